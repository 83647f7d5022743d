"""Inverse moments of the number of joiners, to rounding, by quadrature.

When every agent k joins independently with probability x_k, the number of joiners M is Poisson-binomial
with generating function Phi(s) = prod (1 - x_k + x_k s). Its inverse moments are

    1 - E[(1 + M)^-p] = 1 / Gamma(p) * integral over t > 0 of t^(p-1) exp(-t) (1 - Phi(exp(-t))),

one integral for each power in the rule and p = 1 for the mean type; the difference from one converges even
for powers near zero. The substitution t = exp(u - exp(-u)) makes the integrand fall doubly exponentially on
both sides, so the trapezoidal rule converges to rounding for any number of agents, from two to millions.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import special

from contracts.checks import array, number

#: Nodes of the trapezoidal rule in u; with these, inverse moments agree with enumeration to about 1e-14.
_STEPS = np.linspace(-4.6, 6.6, 449)
NODES = np.exp(_STEPS - np.exp(-_STEPS))
WEIGHTS = (_STEPS[1] - _STEPS[0]) * NODES * (1.0 + np.exp(-_STEPS))

#: Most agents times nodes held in memory at once.
BLOCK = 2_000_000


def shortfall(power: float, log_phi: np.ndarray) -> Any:
    """1 - E[(1 + M)^-power] from the logarithm of M's generating function at the nodes, on the last axis."""
    if power == 0.0:
        return np.zeros(log_phi.shape[:-1])
    density = WEIGHTS * np.exp((power - 1.0) * np.log(NODES) - NODES) / special.gamma(power)
    return -np.expm1(log_phi) @ density


def inverse_moment(probabilities: Any, power: float) -> float:
    """E[(1 + M)^-power] for M the number of successes in independent trials.

    Args:
        probabilities: of each trial, in [0, 1], shape (trials,); may be empty.
        power: in [0, 100].

    Returns:
        The moment, to about 14 digits.

    >>> round(inverse_moment([0.5, 0.5], 1.0), 12) == round(1 / 4 + 1 / 2 / 2 + 1 / 4 / 3, 12)
    True
    """
    checked = array("probabilities", probabilities, low=0.0, high=1.0, empty=True)
    return 1.0 - float(
        shortfall(number("power", power, low=0.0, high=100.0), log_generating(checked, np.ones(checked.size)))
    )


def log_generating(probabilities: np.ndarray, multiplicity: np.ndarray) -> np.ndarray:
    """Logarithm of Phi at the nodes, shape (nodes,), for trials that each occur `multiplicity` times."""
    total = np.zeros(NODES.size)
    step = max(1, BLOCK // NODES.size)
    for start in range(0, probabilities.size, step):
        block = slice(start, start + step)
        total += multiplicity[block] @ log_factor(probabilities[block])
    return total


def log_factor(probabilities: np.ndarray) -> np.ndarray:
    """Logarithm of each trial's factor 1 - x + x exp(-t) at the nodes, shape (trials, nodes)."""
    # log(1 - x + x exp(-t)) without cancellation; x = 1 gives -t, even where exp(-t) is zero.
    with np.errstate(divide="ignore"):
        inside = np.log1p(probabilities[:, None] * np.expm1(-NODES))
    return np.where(probabilities[:, None] == 1.0, -NODES, inside)
