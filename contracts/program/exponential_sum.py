r"""Losses as mixtures of exponentials, L(x) = sum_q w_q exp(-s_q x) with w >= 0.

A completely monotone loss (power laws, the papers' bound, exponentials, and most concave functions of them) is
such a mixture. Its expectation over random participation then needs no enumeration: see
`contracts.program.participation`. The weights are found by non-negative least squares on logarithmically spaced
rates (scipy), relative to the loss; the largest relative error, measured on a grid twelve times finer, is kept
and carried into every certificate.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import optimize

from contracts.records import frozen

Loss = Callable[[np.ndarray], np.ndarray]

SAMPLES_PER_DECADE = 20
FINER = 12
QUIET = 1e-13
UNFITTED = 1e-14  # of the largest loss: what is smaller matters to nobody


@frozen
class ExponentialSum:
    """A mixture of exponentials that stands for a loss on a range of data.

    Attributes:
        weights: w >= 0, shape (terms,), in units of the loss.
        rates: s >= 0, shape (terms,), per datum.
        low, high: the range of data on which it stands for the loss.
        relative_error: the largest |fit / loss - 1| found on that range.
    """

    weights: np.ndarray
    rates: np.ndarray
    low: float
    high: float
    relative_error: float

    def __call__(self, data: Any) -> np.ndarray:
        """Value of the mixture at `data`, any shape."""
        return np.exp(-np.multiply.outer(np.asarray(data, dtype=float), self.rates)) @ self.weights


@frozen
class Losses:
    """The losses of the target and of value as mixtures of exponentials, also on common rates.

    Attributes:
        target, value: the mixtures.
        rates: the rates of both, rising, shape (terms,).
        target_weights, value_weights: their weights on these, shape (terms,).
    """

    target: ExponentialSum
    value: ExponentialSum
    rates: np.ndarray
    target_weights: np.ndarray
    value_weights: np.ndarray


def on_common_rates(target: ExponentialSum, value: ExponentialSum) -> Losses:
    """Both mixtures with their weights on the rates of either."""
    rates = np.union1d(target.rates, value.rates)
    weights = [np.zeros(rates.size), np.zeros(rates.size)]
    for row, mixture in zip(weights, (target, value), strict=True):
        row[np.searchsorted(rates, mixture.rates)] = mixture.weights
    return Losses(target=target, value=value, rates=rates, target_weights=weights[0], value_weights=weights[1])


def fit_exponentials(loss: Loss, low: float, high: float, *, rates: np.ndarray | None = None) -> ExponentialSum:
    """Write a loss on [low, high] as a mixture of exponentials, as precisely as one exists.

    Args:
        loss: positive and decreasing, vectorised over data.
        low, high: the range, 0 < low < high.
        rates: the decay rates to choose from, where they are known; else logarithmically spaced ones.

    Returns:
        The most precise mixture found; look at its `relative_error` (1e-11 for completely monotone losses,
        large for others: a mixture of exponentials cannot bend like an arctan).

    >>> fit = fit_exponentials(lambda x: x**-0.5, 1.0, 1e6)
    >>> fit.relative_error < 1e-10
    True
    """
    decades = np.log10(high / low)
    x = np.geomspace(low, high, int(SAMPLES_PER_DECADE * decades) + 2)
    target = loss(x)
    # Far out an exponentially small loss cannot be matched relatively, nor does it matter to anybody.
    x, target = x[target > UNFITTED * target[0]], target[target > UNFITTED * target[0]]
    choices = [rates] if rates is not None else [_spaced(x, per_decade) for per_decade in (9.0, 8.0, 7.0, 6.0)]
    fits = [_fit(x, target, choice) for choice in choices]
    fine = np.geomspace(x[0], x[-1], FINER * x.size)
    exact = loss(fine)
    sums = [ExponentialSum(weights=w, rates=s, low=low, high=high, relative_error=np.inf) for w, s in fits]
    errors = [float(np.abs(mixture(fine) / exact - 1.0).max()) for mixture in sums]
    # Of equally precise mixtures the one that grows least below `low` continues the curve best; nothing is none.
    merit = [max(e, 1e-12) * float(m(0.0)) or np.inf for e, m in zip(errors, sums, strict=True)]
    best = int(np.argmin(merit))
    return ExponentialSum(
        weights=sums[best].weights, rates=sums[best].rates, low=low, high=high, relative_error=errors[best]
    )


def _spaced(x: np.ndarray, per_decade: float) -> np.ndarray:
    return np.geomspace(1e-3 / x[-1], 25.0 / x[0], int(per_decade * np.log10(25e3 * x[-1] / x[0])))


def _fit(x: np.ndarray, target: np.ndarray, rates: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    matrix = np.exp(-np.multiply.outer(x, rates)) / target[:, None]
    scale = np.linalg.norm(matrix, axis=0)
    # The last row asks faintly for a small value at zero, where the data leave the mixture free.
    rows = np.vstack([matrix / scale, QUIET / (target[0] * scale)])
    try:
        weights, _ = optimize.nnls(rows, np.r_[np.ones(x.size), 0.0], maxiter=20 * rates.size)
    except RuntimeError:  # no convergence: this spacing is too fine for the arithmetic
        return np.zeros(1), np.zeros(1)
    kept = weights > 0
    return weights[kept] / scale[kept], rates[kept]
