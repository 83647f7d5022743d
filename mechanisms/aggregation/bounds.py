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
* *CAF*: as long as S holds less than half of the weighted deviations along the top direction, S loses less
  weight than the others, so at a step where it holds half they lost at most f each; there the eigenvalue is at
  most 2 h v / (n - 2 f). The result has no larger one and shares n - 2 f of the weight with that step.
  kappa = f / (n - 2 f) * (1 + sqrt(2) + 2 sqrt(h / (n - 2 f)))^2.
* *DnC* of one repetition with f = 1: if the malicious row stays, the row left out lies farther along the top
  direction, which no distance of the malicious row to m exceeds by much. With f > 1 an enormous row turns the
  top direction and hides another: there is none.
* *MoNNA*, if one's own update is in S: 4 f / h times v + |own - m|^2, and |own - m|^2 <= h v. kappa = 4 f (1 +
  h) / h.
* *AutoGM*: no step raises its sum, which starts at most r + s / (2 k) for the ball of radius r that holds k
  rows, and r <= (1 + sqrt(h / (h - floor(n / 2)))) sqrt(v). Weight on f malicious rows alone costs s / (2 f),
  so for f below about n / 4 the point stays near S; above, rows farther than twice the sum have no weight, and
  the point moves along a chain of rows that f cannot make long. `_autogm` has both, for sharing = 1.
* *Adaptive clipping* before a rule with bound kappa: kappa + 2 f / (n - 2 f), as published; proved by that
  clipping c of h rows to a ball takes (h - c) / c |moved mean|^2 off their variance.
* *Bucketing* by s before a rule: f of the B buckets are lost, B - f honest ones hold a part g of S at least, g
  = (B - f) * (rows of the smallest bucket) / h. (sqrt(kappa(B, f) / g) + sqrt(1 / g - 1))^2.

The other rules have none, which `tests/mechanisms/test_guarantees.py` shows by rows on which they fail;
`mechanisms.aggregation.guarantees` says what holds of them instead.
"""

from __future__ import annotations

import math

from contracts.checks import integer
from contracts.errors import InvalidInput


def robustness_bound(rule: str, *, rows: int, malicious: int, size: int | None = None) -> float | None:
    """The kappa of a rule's (f, kappa) bound; None if there is none.

    Of rules with options it is that of the options left out; of "dnc" for at most as many parameters as one
    repetition reads.

    Args:
        rule: a name as `aggregate` takes it.
        rows: how many updates there are, n.
        malicious: how many the rule withstands, f < n / 2.
        size: rows a bucket, for "bucketing+".

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
    before, _, after = str(rule).partition("+")
    if not after:
        bound = _BOUNDS.get(rule)
        return None if bound is None else bound(n, f)
    if after == "monna":  # one's own update is none of the rows that it then sees
        return None
    if before == "bucketing":
        return None if size is None else _after_bucketing(after, n, f, integer("size", size, low=1, high=n))
    inner = robustness_bound(after, rows=n, malicious=f, size=size)
    if inner is None or before not in _BEFORE:
        return None
    return _BEFORE[before](inner, n, f)


def _after_bucketing(rule: str, n: int, f: int, size: int) -> float | None:
    buckets = -(-n // size)
    inner = robustness_bound(rule, rows=buckets, malicious=f) if 2 * f < buckets else None
    if inner is None:
        return None
    smallest = n % size or size
    part = (buckets - f) * smallest / (n - f)
    return (math.sqrt(inner / part) + math.sqrt(max(1 / part - 1, 0))) ** 2


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


def _caf(n: int, f: int) -> float:
    return f / (n - 2 * f) * (1 + math.sqrt(2) + 2 * math.sqrt((n - f) / (n - 2 * f))) ** 2


def _dnc(n: int, f: int) -> float | None:
    h = n - f
    if f == 0:
        return 0.0
    if f > 1 or h < 2:
        return None
    return (math.sqrt(n + n**2 * h / (h - 1) ** 2) + math.sqrt(h)) ** 2 / h**2


def _autogm(n: int, f: int) -> float:
    return max(_autogm_beside(n, f, absent) for absent in range(f + 1))


def _autogm_beside(n: int, f: int, absent: int) -> float:
    """With so many of the malicious rows absent; the smoothing at the rows costs less than a thousandth."""
    h, left, half = n - f, f - absent, (n - absent) // 2
    start = 1 + n / (2 * (half + 1))  # the first sum, in radii r
    radius = 1 + math.sqrt(h / (h - half))
    chain = (6 * f + 6) * start + 2
    steps = start - n / (2 * h)
    if left:
        excess, slope = n / (2 * left) - start, n / 2 * (1 / left + 1 / h)
        share = math.sqrt(max(excess, 0) / slope)  # of the weight that is honest at the farthest point
        steps = n / left - 2 * math.sqrt(excess * slope) if 0 < share < 1 else steps
        steps = math.inf if excess <= 0 else steps
    return 1.002 * (math.sqrt(h) + radius * min(max(steps, 0), chain)) ** 2


_BEFORE = {
    "nearest-neighbour-mixing": lambda kappa, n, f: 8 * f / (n - f) * (kappa + 1),
    "adaptive-clipping": lambda kappa, n, f: kappa + 2 * f / (n - 2 * f),
}
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
    "caf": _caf,
    "dnc": _dnc,
    "monna": lambda n, f: 4 * f * (1 + n - f) / (n - f),
    "autogm": _autogm,
    "mean": lambda _, f: None if f else 0.0,
}
