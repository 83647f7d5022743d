r"""Accuracy curves a(data): the accuracy of a model trained on so many data.

A curve is a frozen dataclass, a JAX pytree whose parameters may be numbers or batches, and a function:

>>> curve = PowerLaw(optimum=0.95, coefficient=2.0, exponent=0.5)
>>> curve([0.0, 100.0, 10_000.0])
array([0.  , 0.75, 0.93])

Accuracy is zero on the *floor*, 0 <= data <= `curve.floor`, and increasing and concave above it; `inspect`
says where a given curve is not.
"""

from __future__ import annotations

import dataclasses
from abc import abstractmethod
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from scipy import optimize

from contracts import checks
from contracts.errors import InvalidInput
from contracts.numeric import batched, filled, library, parameter, traced
from contracts.pytrees import register
from contracts.records import frozen

if TYPE_CHECKING:
    from contracts.measured.confidence_region import ConfidenceRegion

MOST_DECADES = 300  # of data before accuracy leaves zero: what floats can hold


class AccuracyCurve:
    """A learning curve; subclasses give its optimum, its floor and how far it falls short.

    A family of your own is a frozen dataclass registered by `contracts.register` (not by JAX's own functions,
    with which JAX takes curves of different classes for each other). Its formula may depend on nothing but its
    fields, which may be numbers, arrays or, named in `meta`, anything hashable.

    Attributes:
        family: the name by which files call the family.
        settled: whether equal fields mean equal curves for ever, so that results may be remembered and compiled.
        optimum: the accuracy approached with unlimited data, never exceeded (subclasses define it).

    >>> from dataclasses import dataclass
    >>> from contracts import register
    >>> @register
    ... @dataclass(frozen=True, kw_only=True, eq=False)
    ... class Hyperbola(AccuracyCurve):
    ...     optimum: float
    ...     half: float
    ...     floor = 0.0
    ...     def shortfall(self, data, xp):
    ...         return self.optimum * self.half / (data + self.half)
    >>> float(Hyperbola(optimum=0.8, half=50.0)(50.0))
    0.4
    """

    family: ClassVar[str]
    settled: ClassVar[bool] = True
    optimum: Any

    @property
    def natural_rates(self) -> np.ndarray | None:
        """Decay rates (per datum) of which the loss, and functions of it, are made, where they are known."""
        return None

    @property
    def region(self) -> ConfidenceRegion | None:
        """The curves of which this one may be any, where it is not known for certain."""
        return None

    def promised(self, most_data: float) -> AccuracyCurve:  # noqa: ARG002
        """The curve on which promises are made, up to an amount of data: itself, where it is known."""
        return self

    @property
    def at_best(self) -> AccuracyCurve:
        """The best that training alone may hope for: itself, where it is known."""
        return self

    @abstractmethod
    def shortfall(self, data: Any, xp: Any) -> Any:
        """Accuracy missing to the optimum, precise however small; above the optimum on the floor."""

    def formula(self, data: Any, xp: Any) -> Any:
        """Accuracy by the array library `xp`, for data >= 0 of any shape that broadcasts."""
        return xp.maximum(self.optimum - self.shortfall(data, xp), 0.0)

    @property
    @abstractmethod
    def floor(self) -> float:
        """The largest amount of data with which accuracy is still zero."""

    def __call__(self, data: Any) -> Any:
        """Accuracy of a model trained on `data` (>= 0, any shape), in [0, optimum].

        Numbers and NumPy arrays give NumPy float64; JAX arrays give JAX arrays.
        """
        xp = library(self, data)
        if xp is np:
            data = checks.array("data", data, ndim=None, low=0.0, empty=True)
        return self.formula(data, xp)

    def parameters(self) -> dict[str, Any]:
        """The curve as plain numbers and lists, as a file stores it."""
        fields = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}  # type: ignore[arg-type]
        return {"family": self.family} | {
            name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in fields.items()
        }


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
        _set(self, "optimum", low=0.0, high=1.0, open_low=True)
        _set(self, "coefficient", low=0.0, open_low=True)
        _set(self, "exponent", low=0.0, high=2.0, open_low=True)
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
        _set(self, "optimum", low=0.0, high=1.0, open_low=True)
        _set(self, "complexity", low=0.0, open_low=True)

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
        _set(self, "optimum", low=0.0, high=1.0, open_low=True)
        _set(self, "rate", low=0.0, open_low=True)

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
        _set(self, "optimum", low=0.0, high=1.0, open_low=True)
        _set(self, "scale", low=0.0, open_low=True)

    @property
    def floor(self) -> float:
        """No floor: accuracy is positive from the first datum."""
        return 0.0

    def shortfall(self, data: Any, xp: Any) -> Any:
        """See `AccuracyCurve.shortfall`."""
        return self.optimum * (2.0 / np.pi) * xp.arctan2(self.scale * xp.ones_like(data), data)


class Interpolated(AccuracyCurve):
    """A curve through given points, (0, 0) added; beyond the last it stays constant."""

    data: Any
    accuracy: Any

    @property
    def optimum(self) -> Any:  # type: ignore[override]
        """The last tabulated accuracy."""
        return self.accuracy[-1]

    @property
    def floor(self) -> float:
        """No floor: accuracy is positive from the first datum."""
        return 0.0

    def knots(self, xp: Any) -> tuple[Any, Any]:
        """The points with (0, 0), each of shape (points + 1,)."""
        x, y = xp.asarray(self.data), xp.asarray(self.accuracy)
        return xp.concatenate([xp.zeros(1), x]), xp.concatenate([xp.zeros(1), y])


@register
@frozen
class Tabulated(Interpolated):
    """A smooth increasing concave curve through given points (Schumaker's quadratic spline).

    Between the points the curve is once continuously differentiable and keeps their monotonicity and
    concavity; before the first point it falls to (0, 0), which is added; beyond the last it stays constant.

    Args:
        data: amounts of data, increasing, > 0, shape (points,).
        accuracy: accuracies there, non-decreasing, in (0, 1], with non-increasing slopes, shape (points,).

    Raises:
        InvalidInput: the points are unsorted, decrease, or are not concave; the message names the points.

    Source: L. L. Schumaker, "On shape preserving quadratic spline interpolation", SIAM J. Numer. Anal. 1983.

    >>> Tabulated(data=[100, 400], accuracy=[0.5, 0.8])([50.0, 100.0, 400.0, 1e6]).round(3)
    array([0.333, 0.5  , 0.8  , 0.8  ])
    """

    family = "tabulated"
    data: Any
    accuracy: Any

    def __post_init__(self) -> None:
        if batched(self.data, 1) or batched(self.accuracy, 1):
            return  # tracers, or a batch that is checked when it is taken apart
        data, accuracy = _points(self.data, self.accuracy)
        x, y = np.r_[0.0, data], np.r_[0.0, accuracy]
        secants = np.diff(y) / np.diff(x)
        for k in np.flatnonzero(np.diff(secants) > 1e-12 * secants[0]):
            raise InvalidInput(
                f"accuracy[{k}] = {y[k + 1]:g} at {x[k + 1]:g} data lies below the chord from {x[k]:g} to"
                f" {x[k + 2]:g} data: expected a concave curve (fit a family, drop that point, or take"
                " MonotoneTabulated)"
            )
        object.__setattr__(self, "data", data)
        object.__setattr__(self, "accuracy", accuracy)

    def shortfall(self, data: Any, xp: Any) -> Any:
        """See `AccuracyCurve.shortfall`."""
        x, y = self.knots(xp)
        secant = (y[1:] - y[:-1]) / (x[1:] - x[:-1])
        # Harmonic means lie between the secants; the outermost slopes continue the curvature inside them.
        both = secant[1:] + secant[:-1]
        middle = xp.where(both > 0, 2.0 * secant[1:] * secant[:-1] / xp.where(both > 0, both, 1.0), 0.0)
        first = 2.0 * secant[:1] - (middle[:1] if secant.shape[0] > 1 else 0.0)
        slope = xp.concatenate([first, middle, xp.zeros(1)])
        cell = xp.clip(xp.searchsorted(x, data, side="right") - 1, 0, x.shape[0] - 2)
        ends = (x[cell], x[cell + 1], y[cell], y[cell + 1], slope[cell], slope[cell + 1])
        return self.optimum - _schumaker_cell(xp.minimum(data, x[-1]), *ends, xp)


def _schumaker_cell(t: Any, left: Any, right: Any, y0: Any, y1: Any, s0: Any, s1: Any, xp: Any) -> Any:
    """Two parabolas joined at a knot whose place keeps the middle slope between s0 and s1."""
    width = right - left
    secant = (y1 - y0) / width
    spread = s0 - s1
    safe = xp.where(spread > 0, spread, 1.0)
    # Both halves keep the shape when the middle slope equals the secant: knot at the matching share.
    share = xp.where(spread > 0, (secant - s1) / safe, 0.5)
    knot = left + width * xp.clip(share, 1e-9, 1.0 - 1e-9)
    middle = 2.0 * secant - (s0 * (knot - left) + s1 * (right - knot)) / width
    first, second = t - left, t - knot
    value_knot = y0 + 0.5 * (s0 + middle) * (knot - left)
    before = y0 + s0 * first + 0.5 * (middle - s0) / (knot - left) * first**2
    after = value_knot + middle * second + 0.5 * (s1 - middle) / (right - knot) * second**2
    return xp.where(t < knot, before, after)


@register
@frozen
class MonotoneTabulated(Interpolated):
    """A smooth increasing curve through given points, concave or not (monotone cubic interpolation).

    For measured curves as they are: inflections and plateaus stay. Before the first point the curve falls to
    (0, 0), which is added; beyond the last it stays constant. Contracts on it are proved by branch and bound.

    Args:
        data: amounts of data, increasing, > 0, shape (points,).
        accuracy: accuracies there, non-decreasing, in (0, 1], shape (points,).

    Raises:
        InvalidInput: the points are unsorted or decrease; the message names the points.

    Source: F. N. Fritsch and J. Butland, "A method for constructing local monotone piecewise cubic
    interpolants", SIAM J. Sci. Stat. Comput. 1984.

    >>> curve = MonotoneTabulated(data=[100, 200, 400], accuracy=[0.1, 0.6, 0.8])
    >>> curve([50.0, 100.0, 150.0, 400.0, 1e6]).round(3)
    array([0.042, 0.1  , 0.348, 0.8  , 0.8  ])
    """

    family = "monotone-tabulated"
    data: Any
    accuracy: Any

    def __post_init__(self) -> None:
        if batched(self.data, 1) or batched(self.accuracy, 1):
            return  # tracers, or a batch that is checked when it is taken apart
        data, accuracy = _points(self.data, self.accuracy)
        object.__setattr__(self, "data", data)
        object.__setattr__(self, "accuracy", accuracy)

    def shortfall(self, data: Any, xp: Any) -> Any:
        """See `AccuracyCurve.shortfall`."""
        x, y = self.knots(xp)
        width, rise = x[1:] - x[:-1], y[1:] - y[:-1]
        secant = rise / width
        # Weighted harmonic means keep every cubic monotone; at the ends the neighbouring secant does.
        first, second = 2.0 * width[1:] + width[:-1], width[1:] + 2.0 * width[:-1]
        flat = (secant[1:] <= 0.0) | (secant[:-1] <= 0.0)
        left, right = xp.where(flat, 1.0, secant[:-1]), xp.where(flat, 1.0, secant[1:])
        mean = xp.where(flat, 0.0, (first + second) / (first / left + second / right))
        slope = xp.concatenate([secant[:1], mean, xp.zeros(1)])
        cell = xp.clip(xp.searchsorted(x, data, side="right") - 1, 0, x.shape[0] - 2)
        share = (xp.minimum(data, x[-1]) - x[cell]) / width[cell]
        begin, end = slope[cell] * width[cell], slope[cell + 1] * width[cell]
        square, cubic = 3.0 * rise[cell] - 2.0 * begin - end, begin + end - 2.0 * rise[cell]
        return self.optimum - (y[cell] + share * (begin + share * (square + share * cubic)))


def _points(data: Any, accuracy: Any) -> tuple[np.ndarray, np.ndarray]:
    """Tabulated points, checked to increase."""
    data = checks.array("data", data, low=0.0, open_low=True)
    accuracy = checks.array("accuracy", accuracy, low=0.0, high=1.0, open_low=True, length=data.size)
    x, y = np.r_[0.0, data], np.r_[0.0, accuracy]
    for k in np.flatnonzero(np.diff(x) <= 0):
        raise InvalidInput(f"data[{k}] = {x[k + 1]:g}: expected more than data[{k - 1}] = {x[k]:g}")
    for k in np.flatnonzero(np.diff(y) < 0):
        raise InvalidInput(
            f"accuracy[{k}] = {y[k + 1]:g} is below accuracy[{k - 1}] = {y[k]:g}: expected a curve that"
            f" never decreases (between {x[k]:g} and {x[k + 1]:g} data)"
        )
    return data, accuracy


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
        _set(self, "optimum", low=0.0, high=1.0, open_low=True)
        _set(self, "floor", low=0.0)
        if not traced(self.optimum, self.floor):
            self._bounded()

    def _bounded(self) -> None:
        data = np.r_[0.0, np.geomspace(1e-6, 1e15, 1024)]
        try:
            found = self.formula(data, np)
        except Exception as error:
            reason = checks.brief(str(error).partition("\n")[0])
            raise InvalidInput(f"function fails on an array of data ({reason}): expected jax.numpy") from error
        _below_optimum(data, found, self.optimum)

    def formula(self, data: Any, xp: Any) -> Any:
        """See `AccuracyCurve.formula`."""
        if xp is np:
            data = np.asarray(data, dtype=np.float64)
            with jax.enable_x64(True):
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
    cls.family: cls for cls in (PowerLaw, GeneralizationBound, Exponential, Arctan, Tabulated, MonotoneTabulated)
}


@frozen
class Shape:
    """Where a curve has the shape that the theory asks for, on the range inspected.

    Attributes:
        low, high: the range inspected, in data; the floor is left out.
        decreasing: ranges (from, to) on which accuracy decreases.
        convex: ranges (from, to) on which accuracy is not concave.
    """

    low: float
    high: float
    decreasing: tuple[tuple[float, float], ...]
    convex: tuple[tuple[float, float], ...]

    @property
    def increasing(self) -> bool:
        """Whether accuracy never decreases on the range."""
        return not self.decreasing

    @property
    def concave(self) -> bool:
        """Whether accuracy is concave on the range."""
        return not self.convex


def inspect(curve: AccuracyCurve, *, low: float | None = None, high: float = 1e9, points: int = 4000) -> Shape:
    """Look for ranges where a curve decreases or is not concave.

    Args:
        curve: the curve.
        low: where to start; by default just above the floor (or at 1e-9 of `high`).
        high: where to stop, in data.
        points: logarithmically spaced points at which neighbouring slopes are compared.

    Returns:
        The `Shape`; deviations below the rounding of the accuracies (1e-13) are not reported.

    >>> inspect(GeneralizationBound()).concave
    True
    >>> inspect(CustomCurve(function=lambda x: x**2 / (x**2 + 1e4)), high=1e6).convex[0][1]
    57.8...
    """
    start = max(curve.floor, 1e-9 * high) if low is None else low
    x = np.geomspace(start, high, points)
    y = curve(x)
    _below_optimum(x, y, curve.optimum)
    if not np.isfinite(y).all():
        raise InvalidInput(f"accuracy at {x[~np.isfinite(y)][0]:g} data is not finite")
    step = np.diff(y)
    slope = step / np.diff(x)
    # Rounding of y moves a slope by 2e-16/step(x): only larger changes are changes of shape.
    noise = 1e-13 / np.diff(x)
    bends = np.diff(slope) > 2.0 * (noise[1:] + noise[:-1])
    return Shape(
        low=start,
        high=high,
        decreasing=_ranges(step < -1e-13, x[:-1], x[1:]),
        convex=_ranges(bends, x[:-2], x[2:]),
    )


def _below_optimum(data: np.ndarray, accuracy: np.ndarray, optimum: Any) -> None:
    most = np.max(optimum)
    for k in np.flatnonzero(accuracy > most + 1e-12)[:1]:
        raise InvalidInput(
            f"accuracy at {data[k]:g} data is {accuracy[k]:.9g}: expected at most the optimum {most:g}"
        )


def _ranges(flags: np.ndarray, left: np.ndarray, right: np.ndarray) -> tuple[tuple[float, float], ...]:
    edges = np.flatnonzero(np.diff(np.r_[False, flags, False]))
    return tuple((float(left[a]), float(right[b - 1])) for a, b in zip(edges[::2], edges[1::2], strict=True))


def _set(curve: AccuracyCurve, name: str, **interval: Any) -> None:
    object.__setattr__(curve, name, parameter(name, getattr(curve, name), **interval))
