"""How far a rule may be moved: the (f, kappa) bounds that are published or that we prove.

A rule is (f, kappa)-robust if for every set S of n - f rows, whatever the other f rows are,

    |rule(U) - mean_S|^2 <= kappa * (1/|S|) sum_S |u_i - mean_S|^2.

No rule has a kappa below f / (n - 2 f). Published (Allouah, Farhadkhani, Guerraoui, Gupta, Pinot, Stephan,
"Fixing by mixing", AISTATS 2023; quoted from memory, never exceeded in `benchmarks/robustness_bounds.py`):
trimmed mean, Krum, median, geometric median, and what nearest-neighbour mixing makes of a bound. The others
are ours, with h = n - f rows in S, v their mean squared distance to their mean m:

* *Multi-Krum* (n - f rows): the chosen rows minimise the sum of scores, so theirs is at most that of S, 2 h^2 v.
  Each malicious one has t = n - 2 f - 1 honest rows or more among its neighbours, whose mean is within
  sqrt(h v / t) of m. With Cauchy-Schwarz, kappa = 2 f / h + (8 f + 4 f^2 / h) / t.
* *Minimum diameter*: the chosen rows' diameter is at most that of S, whose square is at most 2 h v, and t = n
  - 2 f of them are in S. kappa = 2 f / h + f^2 (8 + 4 / t) / h.
* *Mean around the median*: by Chebyshev the median has (median - m)^2 <= c v in every parameter, c = 2 h / (n
  - 2 f); the n - f values closest to it are in squares no farther than S. kappa = (sqrt(c) + sqrt(1 + c))^2.
* *Bulyan*: the same within the n - 2 f chosen rows, of which n - 3 f or more are honest, c = 2 h / (n - 4 f).
  kappa = (sqrt(c) + sqrt((1 + c) h / (n - 4 f)))^2.
* *SMEA*: for the n - f rows whose covariance has the least top eigenvalue, and S, the means of both lie
  within sqrt(f / (n - 2 f) * eigenvalue) of their common rows' mean. kappa = 4 f / (n - 2 f).

Clipping rules have none: they bound how long an update counts, not how far from the mean they end. Nor have
rules that judge by directions, signs or clusters.
"""

from __future__ import annotations

import math

from contracts.checks import integer
from contracts.errors import InvalidInput

MIXING = "nearest-neighbour-mixing+"


def robustness_bound(rule: str, *, rows: int, malicious: int) -> float | None:
    """The kappa of a rule's (f, kappa) bound; None if none is known.

    Args:
        rule: a name as `aggregate` takes it; of compositions those with "nearest-neighbour-mixing+".
        rows: how many updates there are, n.
        malicious: how many the rule withstands, f < n / 2.

    Raises:
        InvalidInput: n or f out of range.

    >>> robustness_bound("trimmed-mean", rows=10, malicious=2)
    2.6666666666666665
    >>> robustness_bound("norm-clipping", rows=10, malicious=2) is None
    True
    """
    n = integer("rows", rows, low=1)
    f = integer("malicious", malicious)
    if 2 * f >= n:
        raise InvalidInput(f"malicious = {f} of {n} rows: expected fewer than half")
    if isinstance(rule, str) and rule.startswith(MIXING):
        inner = robustness_bound(rule.removeprefix(MIXING), rows=n, malicious=f)
        return None if inner is None else 8 * f / (n - f) * (inner + 1)
    bound = _BOUNDS.get(rule)
    return None if bound is None else bound(n, f)


def _multi_krum(n: int, f: int) -> float:
    return 2 * f / (n - f) + (8 * f + 4 * f**2 / (n - f)) / max(n - 2 * f - 1, 1)


def _minimum_diameter(n: int, f: int) -> float:
    return 2 * f / (n - f) + f**2 * (8 + 4 / (n - 2 * f)) / (n - f)


def _mean_around_median(n: int, f: int) -> float:
    from_median = 2 * (n - f) / (n - 2 * f)
    return (math.sqrt(from_median) + math.sqrt(1 + from_median)) ** 2


def _bulyan(n: int, f: int) -> float:
    left = max(n - 4 * f, 1)
    from_median = 2 * (n - f) / left
    return (math.sqrt(from_median) + math.sqrt((1 + from_median) * (n - f) / left)) ** 2


def _median(n: int, f: int) -> float:
    return 4 * (1 + f / (n - 2 * f)) ** 2


_BOUNDS = {
    "trimmed-mean": lambda n, f: 6 * f / (n - 2 * f) * (1 + f / (n - 2 * f)),
    "krum": lambda n, f: 6 * (1 + f / (n - 2 * f)),
    "median": _median,
    "geometric-median": _median,
    "multi-krum": _multi_krum,
    "minimum-diameter": _minimum_diameter,
    "mean-around-median": _mean_around_median,
    "bulyan": _bulyan,
    "smea": lambda n, f: 4 * f / (n - 2 * f),
}
