"""A learning curve whose loss is a mixture of exponentials."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from scipy import optimize

from contracts import checks
from contracts.errors import InvalidInput
from contracts.numeric import batched
from contracts.problem.accuracy import AccuracyCurve
from contracts.pytrees import register
from contracts.records import frozen

RATES_PER_DECADE = 8


@register
@frozen
class ExponentialMixture(AccuracyCurve):
    """Accuracy `optimum - sum(weights * exp(-rates * data))`, never below zero.

    Args:
        optimum: accuracy with unlimited data, in (0, 1].
        weights: of the exponentials, > 0, shape (terms,).
        rates: shares lost by one datum, > 0, shape (terms,), per datum.

    >>> curve = ExponentialMixture(optimum=0.9, weights=[0.5, 0.7], rates=[0.01, 0.1])
    >>> curve([0.0, 100.0, 1e6]).round(4)
    array([0.   , 0.716, 0.9  ])
    """

    family = "exponential-mixture"
    optimum: Any
    weights: Any
    rates: Any

    def __post_init__(self) -> None:
        if batched(self.optimum, 0) or batched(self.weights, 1) or batched(self.rates, 1):
            return  # tracers, or a batch that is checked when it is taken apart
        weights = checks.array("weights", self.weights, low=0.0, open_low=True)
        object.__setattr__(self, "weights", weights)
        object.__setattr__(
            self, "rates", checks.array("rates", self.rates, low=0.0, open_low=True, length=weights.size)
        )
        object.__setattr__(
            self, "optimum", checks.number("optimum", self.optimum, low=0.0, high=1.0, open_low=True)
        )

    @property
    def floor(self) -> float:
        """The largest amount of data with which accuracy is still zero."""
        return _floor(float(self.optimum), tuple(self.weights), tuple(self.rates))

    @property
    def natural_rates(self) -> np.ndarray:
        """Its own rates, and others between and above for concave functions of the loss."""
        # Much faster ones would have vanished, to the last digit, before accuracy leaves zero.
        low, high = float(self.rates.min()), 3.0 * float(self.rates.max())
        spaced = np.geomspace(low, high, int(RATES_PER_DECADE * np.log10(high / low)) + 2)
        return np.union1d(self.rates, spaced)

    def shortfall(self, data: Any, xp: Any) -> Any:
        """See `AccuracyCurve.shortfall`."""
        return xp.exp(-xp.asarray(data)[..., None] * self.rates) @ self.weights

    def parameters(self) -> dict[str, Any]:
        """Not available: files do not hold mixtures."""
        raise InvalidInput("accuracy: a mixture of exponentials cannot be stored in a file; tabulate it first")


@lru_cache(maxsize=256)
def _floor(optimum: float, weights: tuple[float, ...], rates: tuple[float, ...]) -> float:
    w, s = np.array(weights), np.array(rates)

    def missing(log_data: float) -> float:
        return float(np.exp(-s * np.exp(log_data)) @ w) - optimum

    if w.sum() <= optimum:
        return 0.0
    low = float(np.log(1e-12 / s.max()))
    high = float(np.log(50.0 / s.min() + np.log(w.sum() / optimum) / s.min()))
    root: Any = optimize.brentq(missing, low, high, xtol=1e-15) if missing(low) > 0 else low
    return float(np.exp(root))
