r"""Accuracy curves a(data): the accuracy of a model trained on so many data.

A curve is a frozen dataclass, a JAX pytree whose parameters may be numbers or batches, and a function:

>>> curve = PowerLaw(optimum=0.95, coefficient=2.0, exponent=0.5)
>>> curve([0.0, 100.0, 10_000.0])
array([0.  , 0.75, 0.93])

Accuracy is zero on the *floor*, 0 <= data <= `curve.floor`, and increasing and concave above it; `inspect`
says where a given curve is not.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import jax.numpy as jnp
import numpy as np

from contracts import checks
from contracts.errors import InvalidInput
from contracts.numeric import double_precision, filled, traced
from contracts.problem.curve import AccuracyCurve, set_parameter
from contracts.problem.curve_shape import Shape, below_optimum, inspect
from contracts.problem.sigmoid import Hill, Weibull
from contracts.problem.tabulated import Interpolated, MonotoneTabulated, Tabulated
from contracts.pytrees import register
from contracts.records import frozen

__all__ = [
    "FAMILIES",
    "AccuracyCurve",
    "Arctan",
    "CustomCurve",
    "Exponential",
    "GeneralizationBound",
    "Hill",
    "Interpolated",
    "MonotoneTabulated",
    "PowerLaw",
    "Shape",
    "Tabulated",
    "Weibull",
    "inspect",
]
MOST_DECADES = 300  # of data before accuracy leaves zero: what floats can hold


@register
@frozen
class PowerLaw(AccuracyCurve):
    """Accuracy `optimum - coefficient * data**-exponent`, never below zero; the default family.

    The form that fits measured learning curves best (the loss falls as a power of the data).

    Args:
        optimum: accuracy with unlimited data, in (0, 1].
        coefficient: scale of the loss, > 0, in accuracy times data**exponent.
        exponent: rate of decay, in (0, 2].

    >>> PowerLaw(optimum=0.9, coefficient=1.8, exponent=0.5).floor
    4.0
    """

    family = "power-law"
    optimum: Any = 1.0
    coefficient: Any = 1.0
    exponent: Any = 0.5

    def __post_init__(self) -> None:
        set_parameter(self, "optimum", low=0.0, high=1.0, open_low=True)
        set_parameter(self, "coefficient", low=0.0, open_low=True)
        set_parameter(self, "exponent", low=0.0, high=2.0, open_low=True)
        if not traced(self.optimum, self.coefficient, self.exponent):
            self._reachable()

    def _reachable(self) -> None:
        decades = np.log10(np.divide(self.coefficient, self.optimum)) / self.exponent
        if not np.max(decades) < MOST_DECADES:
            raise InvalidInput(
                f"coefficient = {self.coefficient}, exponent = {self.exponent}: accuracy leaves zero at"
                f" 1e{np.max(decades):.0f} data: expected below 1e{MOST_DECADES}"
            )

    @property
    def floor(self) -> Any:
        """Data at which the loss equals the optimum."""
        return (self.coefficient / self.optimum) ** (1.0 / self.exponent)

    def shortfall(self, data: Any, xp: Any) -> Any:
        """See `AccuracyCurve.shortfall`."""
        # Half the floor and less is as good as nothing: keeps the power finite.
        return self.coefficient * xp.maximum(data, 0.5 * self.floor) ** -self.exponent


@register
@frozen
class GeneralizationBound(AccuracyCurve):
    r"""The papers' learning bound, `optimum - (sqrt(2k(2 + ln(x/k))) + 4)/sqrt(x)` with complexity k.

    Zero up to a floor (55.807 data for optimum = k = 1), increasing and concave above. For replication:
    measured curves are fitted ten times better by a power law.

    Args:
        optimum: accuracy of the best model of the class, in (0, 1].
        complexity: k, the complexity of the model class, > 0, in data.

    Source: Karimireddy, Guo and Jordan 2022 (arXiv 2207.04557); Mohri, Rostamizadeh and Talwalkar 2018;
    used by Wang et al., AAAI 2025 (arXiv 2412.11122), with optimum = complexity = 1.

    >>> round(GeneralizationBound(optimum=1.0, complexity=1.0).floor, 3)
    55.807
    """

    family = "generalization-bound"
    optimum: Any = 1.0
    complexity: Any = 1.0

    def __post_init__(self) -> None:
        set_parameter(self, "optimum", low=0.0, high=1.0, open_low=True)
        set_parameter(self, "complexity", low=0.0, open_low=True)

    @property
    def floor(self) -> float:
        """Data at which the bound leaves zero (solved to machine precision)."""
        return _bound_floor(float(self.optimum), float(self.complexity))

    def shortfall(self, data: Any, xp: Any) -> Any:
        """See `AccuracyCurve.shortfall`."""
        # Below 0.4 k, where the loss is already above 2, its logarithm would become unsafe.
        return _bound_loss(xp.maximum(data, 0.4 * self.complexity), self.complexity, xp)


@lru_cache(maxsize=4096)
def _bound_floor(optimum: float, k: float) -> float:
    def logarithmic(log_data: float) -> float:
        return optimum - float(_bound_loss(np.exp(log_data), k, np))

    # At k data the loss is above 2, hence above any optimum; from there it decreases.
    low = high = float(np.log(k))
    while logarithmic(high) < 0.0:
        high += 2.0
    from scipy import optimize

    root: Any = optimize.brentq(logarithmic, low, high, xtol=1e-15)
    return float(np.exp(root))


def _bound_loss(data: Any, complexity: Any, xp: Any) -> Any:
    inside = 2.0 * complexity * (2.0 + xp.log(data / complexity))
    return (xp.sqrt(inside) + 4.0) / xp.sqrt(data)


@register
@frozen
class Exponential(AccuracyCurve):
    """Accuracy `optimum * (1 - exp(-rate * data))`.

    Args:
        optimum: accuracy with unlimited data, in (0, 1].
        rate: share of the remaining loss removed by one datum, > 0, per datum.

    >>> round(float(Exponential(optimum=0.9, rate=0.01)(100.0)), 4)
    0.5689
    """

    family = "exponential"
    optimum: Any = 1.0
    rate: Any = 0.01

    def __post_init__(self) -> None:
        set_parameter(self, "optimum", low=0.0, high=1.0, open_low=True)
        set_parameter(self, "rate", low=0.0, open_low=True)

    @property
    def floor(self) -> float:
        """No floor: accuracy is positive from the first datum."""
        return 0.0

    @property
    def natural_rates(self) -> np.ndarray:
        """Multiples of the rate: powers of the loss."""
        return float(self.rate) * np.arange(1.0, 25.0)

    def shortfall(self, data: Any, xp: Any) -> Any:
        """See `AccuracyCurve.shortfall`."""
        return self.optimum * xp.exp(-self.rate * data)


@register
@frozen
class Arctan(AccuracyCurve):
    """Accuracy `optimum * (2/pi) * arctan(data / scale)`.

    Args:
        optimum: accuracy with unlimited data, in (0, 1].
        scale: data with which half of the optimum is reached, > 0.

    >>> round(float(Arctan(optimum=0.8, scale=50.0)(50.0)), 3)
    0.4
    """

    family = "arctan"
    optimum: Any = 1.0
    scale: Any = 100.0

    def __post_init__(self) -> None:
        set_parameter(self, "optimum", low=0.0, high=1.0, open_low=True)
        set_parameter(self, "scale", low=0.0, open_low=True)

    @property
    def floor(self) -> float:
        """No floor: accuracy is positive from the first datum."""
        return 0.0

    def shortfall(self, data: Any, xp: Any) -> Any:
        """See `AccuracyCurve.shortfall`."""
        return self.optimum * (2.0 / np.pi) * xp.arctan2(self.scale * xp.ones_like(data), data)


@register(meta=["function"])
@frozen
class CustomCurve(AccuracyCurve):
    """Any user function of the data, written with `jax.numpy` (or with operators only).

    Args:
        function: data -> accuracy, elementwise, traceable by JAX, zero or more at 0.
        optimum: what it never exceeds, in (0, 1]; at best its supremum. A larger number keeps every claim right,
            but bounds are looser.
        floor: data up to which it is zero, >= 0.

    A custom curve can be solved, batched and verified, but not stored in a file: tabulate it for that. Since the
    function may read what changes, every design and every check evaluates it anew.

    Raises:
        InvalidInput: the function fails on arrays, or exceeds the optimum.

    >>> float(CustomCurve(function=lambda x: 0.9 * x / (x + 20), optimum=0.9)(20.0))
    0.45
    """

    family = "custom"
    settled = False
    function: Callable[[Any], Any]
    optimum: Any = 1.0
    floor: Any = 0.0

    def __post_init__(self) -> None:
        if not callable(self.function):
            raise InvalidInput(f"function = {self.function!r}: expected a function of the data")
        set_parameter(self, "optimum", low=0.0, high=1.0, open_low=True)
        set_parameter(self, "floor", low=0.0)
        if not traced(self.optimum, self.floor):
            self._bounded()

    def _bounded(self) -> None:
        data = np.r_[0.0, np.geomspace(1e-6, 1e15, 1024)]
        try:
            found = self.formula(data, np)
        except Exception as error:
            reason = checks.brief(str(error).partition("\n")[0])
            raise InvalidInput(f"function fails on an array of data ({reason}): expected jax.numpy") from error
        below_optimum(data, found, self.optimum)

    def formula(self, data: Any, xp: Any) -> Any:
        """See `AccuracyCurve.formula`."""
        if xp is np:
            data = np.asarray(data, dtype=np.float64)
            with double_precision():
                found = np.asarray(self.function(jnp.asarray(filled(data, 4096))), dtype=np.float64)
            return found[: data.size].reshape(data.shape)[()]
        return self.function(data)

    def shortfall(self, data: Any, xp: Any) -> Any:
        """See `AccuracyCurve.shortfall`."""
        return self.optimum - self.formula(data, xp)

    def parameters(self) -> dict[str, Any]:
        """Not available: a function has no faithful text."""
        raise InvalidInput(
            "accuracy: a custom curve cannot be stored in a file;"
            " tabulate it first: Tabulated(data=..., accuracy=...)"
        )


FAMILIES: dict[str, type[AccuracyCurve]] = {
    cls.family: cls
    for cls in (PowerLaw, GeneralizationBound, Exponential, Arctan, Weibull, Hill, Tabulated, MonotoneTabulated)
}
