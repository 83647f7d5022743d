"""Families of curves with parameters to be fitted: the known ones, and a formula of one's own.

Each is fitted in a form of its own: scales by their logarithms, the rest as they are.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from functools import cache, lru_cache, partial
from itertools import product
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from contracts import checks
from contracts.errors import InvalidInput
from contracts.measured.measurements import Measurements
from contracts.numeric import double_precision, filled
from contracts.problem.accuracy import (
    AccuracyCurve,
    Arctan,
    CustomCurve,
    Exponential,
    GeneralizationBound,
    Hill,
    PowerLaw,
    Weibull,
)
from contracts.problem.sigmoid import STEEPEST
from contracts.records import frozen

# The parameters of each family; all but the optimum are positive scales, fitted by their logarithm.
FAMILIES: dict[str, tuple[type[AccuracyCurve], tuple[str, ...]]] = {
    "power-law": (PowerLaw, ("optimum", "coefficient", "exponent")),
    "generalization-bound": (GeneralizationBound, ("optimum", "complexity")),
    "exponential": (Exponential, ("optimum", "rate")),
    "arctan": (Arctan, ("optimum", "scale")),
    "weibull": (Weibull, ("optimum", "scale", "exponent")),
    "hill": (Hill, ("optimum", "scale", "exponent")),
}
MOST_EXPONENT = {"power-law": 2.0, "weibull": STEEPEST, "hill": STEEPEST}
SMALLEST_OPTIMUM = 1e-6
PADDED = 32  # lengths are filled up to powers of two, for each of which JAX compiles anew
DRAWN = 256  # starts of a formula of one's own
KEPT = 4


class Family:
    """What fitting needs to know of curves with parameters."""

    name: Any
    parameters: Any  # names of them
    logarithmic: Any  # which of them are fitted by their logarithm, shape (parameters,)

    @abstractmethod
    def bounds(self, data: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Least and largest parameters as fitted, wide beyond what measurements at `data` tell apart."""

    @abstractmethod
    def curve(self, values: np.ndarray) -> AccuracyCurve:
        """The curve with these parameters."""

    @abstractmethod
    def formula(self, values: Any, data: Any) -> Any:
        """Accuracy in `jax.numpy`."""

    @abstractmethod
    def candidates(self, measurements: Measurements, weight: np.ndarray) -> list[np.ndarray]:
        """Parameters, as fitted, from which to start."""

    def natural(self, z: np.ndarray) -> np.ndarray:
        """Parameters from the form in which they are fitted."""
        return np.where(self.logarithmic, np.exp(np.where(self.logarithmic, z, 0.0)), z)

    def fitted(self, values: np.ndarray) -> np.ndarray:
        """Parameters in the form in which they are fitted."""
        return np.where(self.logarithmic, np.log(np.where(self.logarithmic, values, 1.0)), values)

    def evaluate(self, values: np.ndarray, data: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Accuracies and their derivatives by the parameters, exact by autodiff."""
        with double_precision():
            accuracy, jacobian = _compiled(self)(values, filled(data, PADDED))
        # Where a floor overflows, accuracy is the constant zero, but autodiff multiplies 0 by infinity.
        return np.asarray(accuracy)[: data.size], np.nan_to_num(np.asarray(jacobian)[: data.size], nan=0.0)

    def evaluate_fitted(self, z: np.ndarray, data: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The same at, and by, parameters in the form in which they are fitted."""
        values = self.natural(z)
        accuracy, jacobian = self.evaluate(values, data)
        return accuracy, jacobian * np.where(self.logarithmic, values, 1.0)

    def starts(self, measurements: Measurements, weight: np.ndarray) -> list[np.ndarray]:
        """The best few candidates."""
        low, high = self.bounds(measurements.data)
        tried = [np.clip(z, low, high) for z in self.candidates(measurements, weight)]

        def misfit(z: np.ndarray) -> float:
            accuracy = self.evaluate(self.natural(z), measurements.data)[0]
            return float(np.nan_to_num(np.sum(((accuracy - measurements.accuracy) * weight) ** 2), nan=np.inf))

        return sorted(tried, key=misfit)[:KEPT]


@lru_cache(maxsize=32)
def _compiled(form: Family) -> Callable[[Any, Any], tuple[Any, Any]]:
    formula = form.formula
    return jax.jit(lambda values, data: (formula(values, data), jax.jacfwd(formula)(values, data)))


@frozen
class KnownFamily(Family):
    """One of `FAMILIES`."""

    name: str

    def __reduce__(self) -> Any:
        return known_family, (self.name,)

    @property
    def parameters(self) -> tuple[str, ...]:  # type: ignore[override]
        """Their names, the optimum first."""
        return FAMILIES[self.name][1]

    @property
    def logarithmic(self) -> np.ndarray:  # type: ignore[override]
        """All but the optimum."""
        return np.arange(len(self.parameters)) > 0

    def bounds(self, data: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """See `Family.bounds`."""
        least, most = np.log(data[0]), np.log(data[-1])
        ranges = {
            "coefficient": (np.log(1e-12), np.log(1e4) + 2.0 * max(most, 0.0)),
            "exponent": (np.log(1e-3), np.log(MOST_EXPONENT.get(self.name, 2.0))),
            "complexity": (least + np.log(1e-12), most + np.log(1e4)),
            "rate": (np.log(1e-8) - most, np.log(1e4) - least),
            "scale": (least + np.log(1e-8), most + np.log(1e8)),
        }
        pairs = [(SMALLEST_OPTIMUM, 1.0)] + [ranges[name] for name in self.parameters[1:]]
        low, high = np.array(pairs).T
        return low, high

    def curve(self, values: np.ndarray) -> AccuracyCurve:
        """See `Family.curve`."""
        cls, names = FAMILIES[self.name]
        return cls(**{name: float(value) for name, value in zip(names, values, strict=True)})

    def formula(self, values: Any, data: Any) -> Any:
        """See `Family.formula`."""
        cls, names = FAMILIES[self.name]
        return cls(**{name: values[k] for k, name in enumerate(names)}).formula(data, jnp)

    def candidates(self, measurements: Measurements, weight: np.ndarray) -> list[np.ndarray]:
        """A grid over the shape parameters, the linear ones solved for."""
        data = measurements.data
        typical = float(np.exp(np.mean(np.log(data))))
        scales = [typical * np.geomspace(1e-3, 1e3, 12), np.geomspace(0.2, 4.0, 6)]
        grid: dict[str, list[np.ndarray]] = {
            "power-law": [np.geomspace(0.05, 2.0, 16)],
            "generalization-bound": [typical * np.geomspace(1e-6, 1e2, 24)],
            "exponential": [np.geomspace(1e-3, 1e3, 24) / typical],
            "arctan": [typical * np.geomspace(1e-3, 1e3, 24)],
            "weibull": scales,
            "hill": scales,
        }
        start = _power_start if self.name == "power-law" else partial(_level_start, self)
        return [start(np.array(shape), measurements, weight) for shape in product(*grid[self.name])]


def _power_start(shape: np.ndarray, measurements: Measurements, weight: np.ndarray) -> np.ndarray:
    data, accuracy, exponent = measurements.data, measurements.accuracy, float(shape[0])
    # Scaled by the first measurement, the basis stays of order one for any exponent.
    basis = np.column_stack([np.ones(data.size), -((data / data[0]) ** -exponent)])
    level, drop = np.linalg.lstsq(basis * weight[:, None], accuracy * weight, rcond=None)[0]
    coefficient = np.log(max(drop, 1e-3)) + exponent * np.log(data[0])
    return np.array([np.clip(level, accuracy.max(), 1.0), coefficient, np.log(exponent)])


def _level_start(
    family: KnownFamily, shape: np.ndarray, measurements: Measurements, weight: np.ndarray
) -> np.ndarray:
    accuracy = measurements.accuracy
    unit = np.asarray(family.curve(np.r_[1.0, shape]).formula(measurements.data, np))
    if family.name == "generalization-bound":
        level = np.average(accuracy + 1.0 - unit, weights=weight**2)
    else:
        level = np.sum(weight**2 * unit * accuracy) / max(np.sum((weight * unit) ** 2), 1e-300)
    return np.r_[np.clip(level, 1e-3, 1.0), np.log(shape)]


@frozen
class CustomFamily(Family):
    """A formula of one's own, with parameters to be fitted within bounds.

    Args:
        function: (data, parameters by name) -> accuracy, elementwise, written with `jax.numpy` or operators
            only; what is below zero counts as zero.
        ranges: for each parameter its least and largest value; those above zero that span a factor of more than
            100 are fitted by their logarithm.
        optimum: what accuracy approaches: the name of a parameter, or a number in (0, 1] that it never exceeds.
        name: what to call it.

    Raises:
        InvalidInput: naming the argument, the value and what is accepted.

    >>> from contracts import Measurements, fit_family
    >>> family = CustomFamily(
    ...     function=lambda data, top, half: top * data / (data + half),
    ...     ranges={"top": (0.1, 1.0), "half": (1.0, 1e5)},
    ...     optimum="top",
    ... )
    >>> x = [20, 40, 80, 160]
    >>> fit = fit_family(Measurements(data=x, accuracy=[0.9 * n / (n + 50.0) for n in x]), family=family)
    >>> fit.estimate.round(6)
    array([ 0.9, 50. ])
    """

    function: Callable[..., Any]
    ranges: Mapping[str, tuple[float, float]]
    optimum: str | float = 1.0
    name: str = "custom"

    def __post_init__(self) -> None:
        if not callable(self.function):
            raise InvalidInput(
                f"function = {checks.brief(self.function)}: expected (data, **parameters) -> accuracy"
            )
        if not isinstance(self.ranges, Mapping) or not self.ranges:
            raise InvalidInput(
                f"ranges = {checks.brief(self.ranges)}: expected the bounds of each parameter, such as"
                " {'half': (1.0, 1e5)}"
            )
        for name, pair in self.ranges.items():
            low, high = checks.array(f"ranges[{name!r}]", pair, length=2)
            if not low < high:
                raise InvalidInput(f"ranges[{name!r}] = ({low:g}, {high:g}): expected the smaller bound first")
        if isinstance(self.optimum, str):
            checks.choice("optimum", self.optimum, tuple(self.ranges))
        else:
            checks.number("optimum", self.optimum, low=0.0, high=1.0, open_low=True)

    @property
    def parameters(self) -> tuple[str, ...]:  # type: ignore[override]
        """Their names, as given."""
        return tuple(self.ranges)

    @property
    def logarithmic(self) -> np.ndarray:  # type: ignore[override]
        """Those above zero whose range is wide."""
        return np.array([low > 0.0 and high > 100.0 * low for low, high in self.ranges.values()])

    def bounds(self, data: np.ndarray) -> tuple[np.ndarray, np.ndarray]:  # noqa: ARG002
        """See `Family.bounds`."""
        low, high = np.array([tuple(map(float, pair)) for pair in self.ranges.values()]).T
        return self.fitted(low), self.fitted(high)

    def curve(self, values: np.ndarray) -> AccuracyCurve:
        """See `Family.curve`."""
        named = dict(zip(self.parameters, map(float, values), strict=True))
        optimum = named[self.optimum] if isinstance(self.optimum, str) else self.optimum
        try:
            return CustomCurve(function=partial(_not_below_zero, self.function, named), optimum=optimum)
        except InvalidInput as error:
            raise InvalidInput(f"{self.name} with {named}: {error}") from error

    def formula(self, values: Any, data: Any) -> Any:
        """See `Family.formula`."""
        return _not_below_zero(self.function, {name: values[k] for k, name in enumerate(self.parameters)}, data)

    def candidates(self, measurements: Measurements, weight: np.ndarray) -> list[np.ndarray]:  # noqa: ARG002
        """Points that fill the ranges evenly."""
        from scipy.stats import qmc

        low, high = self.bounds(measurements.data)
        even = qmc.Sobol(d=low.size, scramble=False).random(DRAWN)
        return list(low + (0.5 / DRAWN + even * (1.0 - 1.0 / DRAWN)) * (high - low))


def _not_below_zero(function: Callable[..., Any], parameters: dict[str, Any], data: Any) -> Any:
    return jnp.maximum(function(data, **parameters), 0.0)


@cache
def known_family(name: str) -> KnownFamily:
    """One of `FAMILIES`, compiled once."""
    return KnownFamily(name=name)
