"""Fit accuracy curves to measurements, with standard errors and a comparison of families.

>>> data = [20, 40, 80, 160, 320]
>>> measured = Measurements(data=data, accuracy=[0.95 - 2.0 * x**-0.7 for x in data])
>>> fit = fit_family(measured)
>>> round(fit.curve.optimum, 6), round(fit.curve.exponent, 6)
(0.95, 0.7)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from scipy import optimize, stats

from contracts import checks
from contracts.errors import InvalidInput, NotConverged
from contracts.measured.measurements import Measurements
from contracts.measured.measurements_file import read_measurements
from contracts.numeric import double_precision
from contracts.problem.accuracy import AccuracyCurve, Arctan, Exponential, GeneralizationBound, PowerLaw
from contracts.records import frozen

__all__ = ["FAMILIES", "CurveFit", "Measurements", "compare_families", "fit_family", "read_measurements"]

# The parameters of each family; all but the optimum are positive scales, fitted by their logarithm.
FAMILIES: dict[str, tuple[type[AccuracyCurve], tuple[str, ...]]] = {
    "power-law": (PowerLaw, ("optimum", "coefficient", "exponent")),
    "generalization-bound": (GeneralizationBound, ("optimum", "complexity")),
    "exponential": (Exponential, ("optimum", "rate")),
    "arctan": (Arctan, ("optimum", "scale")),
}
_SMALLEST_OPTIMUM = 1e-6
SMALL, UNLIKELY = 1e-3, 1e-3  # residual, and probability of the misfit, at which a fit fits
MOST_STEPS = 200  # of a start: curves that need more have no slope to speak of


@frozen
class CurveFit:
    """A curve fitted to measurements by weighted least squares, and how far it can be trusted.

    Attributes:
        family: name of the curve's family.
        curve: the fitted curve.
        parameters: names of the fitted parameters, in the order of the arrays below.
        estimate: their values, shape (parameters,).
        standard_error: their standard errors, shape (parameters,); NaN for a parameter at its bound, which
            has no two-sided error, infinite when there are no degrees of freedom to estimate the noise from.
        covariance: covariance of the estimates, shape (parameters, parameters).
        at_bound: names of the parameters that ended at a bound of their range.
        residual: measured minus fitted accuracy, shape (measurements,).
        chi_square: sum of squared residuals in standard errors; None when no standard errors were given.
        p_value: probability of a larger chi-square if the family were right; None like `chi_square`.
        degrees_of_freedom: measurements minus free parameters.
        rmse: root mean squared residual, in accuracy.
        r_squared: share of the accuracies' variance explained, at most 1.
        aicc: Akaike's information criterion corrected for few measurements; the smallest is best. Infinite
            with fewer than two measurements more than parameters.
        measurements: what was fitted.
    """

    family: str
    curve: AccuracyCurve
    parameters: tuple[str, ...]
    estimate: np.ndarray
    standard_error: np.ndarray
    covariance: np.ndarray
    at_bound: tuple[str, ...]
    residual: np.ndarray
    chi_square: float | None
    p_value: float | None
    degrees_of_freedom: int
    rmse: float
    r_squared: float
    aicc: float
    measurements: Measurements

    def standard_error_at(self, data: Any) -> np.ndarray:
        """Standard error of the fitted accuracy at `data` (>= 0, any shape), by the delta method.

        Parameters at a bound count as known.

        >>> data = [20, 40, 80, 160]
        >>> fit = fit_family(Measurements(data=data, accuracy=[.5, .6, .7, .75], standard_error=[.01] * 4))
        >>> bool(fit.standard_error_at(100.0) < fit.standard_error_at(10_000.0))
        True
        """
        data = checks.array("data", data, ndim=None, low=0.0)
        _, jacobian = evaluate(self.family, self.estimate, data.ravel())
        free = [name not in self.at_bound for name in self.parameters]
        jacobian, covariance = jacobian[:, free], self.covariance[np.ix_(free, free)]
        variance = np.einsum("ij,jk,ik->i", jacobian, covariance, jacobian)
        return np.sqrt(np.maximum(variance, 0.0)).reshape(data.shape)

    def __str__(self) -> str:
        values = ", ".join(
            f"{name} {value:.4g}" + (" (at its bound)" if name in self.at_bound else f" ± {error:.2g}")
            for name, value, error in zip(self.parameters, self.estimate, self.standard_error, strict=True)
        )
        quality = f"R² {self.r_squared:.4f}, RMSE {self.rmse:.2g}, AICc {self.aicc:.1f}"
        if self.chi_square is not None:
            quality += f", chi² {self.chi_square:.1f} on {self.degrees_of_freedom} degrees of freedom"
        return f"{self.family}: {values} ({quality})"

    __repr__ = __str__


def fit_family(measurements: Measurements, *, family: str = "power-law") -> CurveFit:
    """Fit one family of curves by weighted least squares.

    Residuals are weighted by the standard errors, which are taken as known; without any, all measurements
    weigh the same and the noise is estimated from the residuals. Starts come from a grid over the shape
    parameter, the others solved linearly; the Jacobian is exact.

    Args:
        measurements: the measured curve; see `Measurements.irregularities` for what it should not have.
        family: "power-law", "generalization-bound", "exponential" or "arctan".

    Returns:
        The `CurveFit`.

    Raises:
        InvalidInput: unknown family, or fewer measurements than parameters.
        NotConverged: no start led to a minimum; carries the best `CurveFit`.
    """
    checks.choice("family", family, tuple(FAMILIES))
    if not isinstance(measurements, Measurements):
        raise InvalidInput(f"measurements = {measurements!r:.60}: expected Measurements(data=..., accuracy=...)")
    low, high = bounds_of(family, measurements.data)
    weight = np.ones(measurements.size)
    if measurements.standard_error is not None:
        weight = 1.0 / measurements.standard_error

    def residual(z: np.ndarray) -> np.ndarray:
        accuracy, _ = evaluate(family, natural(z), measurements.data)
        return (accuracy - measurements.accuracy) * weight

    def jacobian(z: np.ndarray) -> np.ndarray:
        values = natural(z)
        _, matrix = evaluate(family, values, measurements.data)
        return matrix * np.r_[1.0, values[1:]] * weight[:, None]

    found = [
        optimize.least_squares(
            residual,
            np.clip(start, low, high),
            jac=jacobian,  # type: ignore[arg-type]
            bounds=(low, high),
            x_scale="jac",
            ftol=1e-15,
            xtol=1e-14,
            gtol=1e-14,
            max_nfev=MOST_STEPS,
        )
        for start in _starts(family, measurements, weight)
    ]
    best = min(found, key=lambda result: result.cost)
    fit = _summary(family, natural(best.x), best.active_mask != 0, measurements, weight)
    # Without a slope many curves fit alike: where the best of them fits, it is an answer.
    fits = fit.rmse < SMALL or (fit.p_value is not None and fit.p_value > UNLIKELY)
    converged = any(result.status > 0 for result in found) or fits
    if not converged or not np.isfinite(best.cost):
        raise NotConverged(f"fitting {family} to {measurements.size} measurements did not converge", fit)
    return fit


def known_fit(
    measurements: Measurements, *, family: str, estimate: np.ndarray, at_bound: Sequence[str]
) -> CurveFit:
    """The fit whose estimate is known already, as files hold it.

    Args:
        measurements: what was fitted.
        family: as in `fit_family`.
        estimate: of its parameters, shape (parameters,).
        at_bound: names of those that ended at a bound.

    Raises:
        InvalidInput: an estimate of another shape, or an unknown name.
    """
    names = FAMILIES[family][1]
    if estimate.shape != (len(names),):
        raise InvalidInput(f"estimate has shape {estimate.shape}: expected ({len(names)},)")
    for name in at_bound:
        checks.choice("at_bound", name, names)
    weight = np.ones(measurements.size)
    if measurements.standard_error is not None:
        weight = 1.0 / measurements.standard_error
    return _summary(family, estimate, np.array([name in at_bound for name in names]), measurements, weight)


def compare_families(measurements: Measurements) -> tuple[CurveFit, ...]:
    """Fit every family and rank the fits, best (smallest AICc, then smallest RMSE) first.

    >>> data = [20, 40, 80, 160, 320, 640]
    >>> measured = Measurements(data=data, accuracy=[0.9 - 0.9 * 2.718281828 ** (-x / 100) for x in data])
    >>> compare_families(measured)[0].family
    'exponential'
    """
    fits = [fit_family(measurements, family=family) for family in FAMILIES]
    return tuple(sorted(fits, key=lambda fit: (fit.aicc, fit.rmse)))


def natural(z: np.ndarray) -> np.ndarray:
    """Parameters from the form in which they are fitted: all but the optimum by their logarithm."""
    return np.r_[z[0], np.exp(z[1:])]


def bounds_of(family: str, data: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Ranges of the optimum and of the logarithms of the scales, wide beyond what data can tell apart."""
    least, most = np.log(data[0]), np.log(data[-1])
    ranges = {
        "coefficient": (np.log(1e-12), np.log(1e4) + 2.0 * max(most, 0.0)),
        "exponent": (np.log(1e-3), np.log(2.0)),
        "complexity": (least + np.log(1e-12), most + np.log(1e4)),
        "rate": (np.log(1e-8) - most, np.log(1e4) - least),
        "scale": (least + np.log(1e-8), most + np.log(1e8)),
    }
    pairs = [(_SMALLEST_OPTIMUM, 1.0)] + [ranges[name] for name in FAMILIES[family][1][1:]]
    low, high = np.array(pairs).T
    return low, high


@cache
def _formula(family: str) -> Callable[[Any, Any], tuple[Any, Any]]:
    cls, names = FAMILIES[family]

    def accuracy(values: Any, data: Any) -> Any:
        curve = cls(**{name: values[k] for k, name in enumerate(names)})
        return curve.formula(data, jnp)

    return jax.jit(lambda values, data: (accuracy(values, data), jax.jacfwd(accuracy)(values, data)))


def evaluate(family: str, values: np.ndarray, data: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Accuracies and their derivatives with respect to the parameters, exact by autodiff."""
    with double_precision():
        accuracy, jacobian = _formula(family)(values, data)
    # Where a floor overflows, accuracy is the constant zero, but autodiff multiplies 0 by infinity.
    return np.asarray(accuracy), np.nan_to_num(np.asarray(jacobian), nan=0.0)


def _starts(family: str, measurements: Measurements, weight: np.ndarray, keep: int = 4) -> list[np.ndarray]:
    """The best few of a grid over the shape parameter, the linear parameters solved for."""
    data = measurements.data
    typical = np.exp(np.mean(np.log(data)))
    grid = {
        "power-law": np.geomspace(0.05, 2.0, 16),
        "generalization-bound": typical * np.geomspace(1e-6, 1e2, 24),
        "exponential": np.geomspace(1e-3, 1e3, 24) / typical,
        "arctan": typical * np.geomspace(1e-3, 1e3, 24),
    }[family]
    starts = [_linear_start(family, float(shape), measurements, weight) for shape in grid]
    loss = [
        np.sum(((evaluate(family, natural(z), data)[0] - measurements.accuracy) * weight) ** 2) for z in starts
    ]
    return [starts[k] for k in np.argsort(loss)[:keep]]


def _linear_start(family: str, shape: float, measurements: Measurements, weight: np.ndarray) -> np.ndarray:
    data, accuracy = measurements.data, measurements.accuracy
    if family == "power-law":
        # Scaled by the first measurement, the basis stays of order one for any exponent.
        basis = np.column_stack([np.ones(data.size), -((data / data[0]) ** -shape)])
        level, drop = np.linalg.lstsq(basis * weight[:, None], accuracy * weight, rcond=None)[0]
        coefficient = np.log(max(drop, 1e-3)) + shape * np.log(data[0])
        return np.array([np.clip(level, accuracy.max(), 1.0), coefficient, np.log(shape)])
    unit, _ = evaluate(family, np.array([1.0, shape]), data)
    if family == "generalization-bound":
        level = np.average(accuracy + 1.0 - unit, weights=weight**2)
    else:
        level = np.sum(weight**2 * unit * accuracy) / max(np.sum((weight * unit) ** 2), 1e-300)
    return np.array([np.clip(level, 1e-3, 1.0), np.log(shape)])


def _summary(
    family: str, estimate: np.ndarray, bound: np.ndarray, measurements: Measurements, weight: np.ndarray
) -> CurveFit:
    cls, names = FAMILIES[family]
    fitted, jacobian = evaluate(family, estimate, measurements.data)
    residual = measurements.accuracy - fitted
    known = measurements.standard_error is not None
    n, free = residual.size, int(np.sum(~bound))
    freedom = n - free
    squares, weighted = float(residual @ residual), float(np.sum((residual * weight) ** 2))
    total = float(np.sum((measurements.accuracy - measurements.accuracy.mean()) ** 2))
    noise = 1.0 if known else (weighted / freedom if freedom > 0 else np.inf)
    covariance = _covariance(jacobian * weight[:, None], bound, noise)
    return CurveFit(
        family=family,
        curve=cls(**{name: float(value) for name, value in zip(names, estimate, strict=True)}),
        parameters=names,
        estimate=estimate,
        standard_error=np.sqrt(np.diag(covariance)),
        covariance=covariance,
        at_bound=tuple(name for name, at in zip(names, bound, strict=True) if at),
        residual=residual,
        chi_square=weighted if known else None,
        p_value=float(stats.chi2.sf(weighted, freedom)) if known and freedom > 0 else None,
        degrees_of_freedom=freedom,
        rmse=float(np.sqrt(squares / n)),
        r_squared=1.0 - squares / total if total > 0 else (1.0 if squares == 0 else -np.inf),
        aicc=_aicc(weighted, n, len(names), known),
        measurements=measurements,
    )


def _covariance(jacobian: np.ndarray, bound: np.ndarray, noise: float) -> np.ndarray:
    """Inverse of the information matrix of the free parameters; columns scaled for a stable inverse."""
    result = np.full((bound.size, bound.size), np.nan)
    free = np.flatnonzero(~bound)
    scale = np.linalg.norm(jacobian[:, free], axis=0)
    if not free.size or not np.all(scale > 0) or not np.isfinite(noise) or jacobian.shape[0] < free.size:
        result[np.ix_(free, free)] = np.inf
        return result
    _, singular, rows = np.linalg.svd(jacobian[:, free] / scale, full_matrices=False)
    if singular[-1] <= 1e-15 * singular[0]:
        result[np.ix_(free, free)] = np.inf
        return result
    factor = rows.T / singular / scale[:, None]
    result[np.ix_(free, free)] = noise * factor @ factor.T
    return result


def _aicc(weighted: float, n: int, parameters: int, known: bool) -> float:
    """-2 log likelihood + 2k + 2k(k+1)/(n-k-1); with unknown noise, its variance is one parameter more."""
    k = parameters if known else parameters + 1
    if n - k - 1 <= 0:
        return np.inf
    # An exact fit leaves residuals of rounding only: 1e-32 is their square.
    likelihood = weighted if known else n * np.log(max(weighted / n, 1e-32))
    return float(likelihood + 2 * k + 2 * k * (k + 1) / (n - k - 1))
