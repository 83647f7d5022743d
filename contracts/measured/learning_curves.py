"""Fit accuracy curves to measurements, with standard errors and a comparison of families.

>>> data = [20, 40, 80, 160, 320]
>>> measured = Measurements(data=data, accuracy=[0.95 - 2.0 * x**-0.7 for x in data])
>>> fit = fit_family(measured)
>>> round(fit.curve.optimum, 6), round(fit.curve.exponent, 6)
(0.95, 0.7)
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from scipy import optimize, stats

from contracts import checks
from contracts.errors import InvalidInput, NotConverged
from contracts.measured.curve_families import FAMILIES, CustomFamily, Family, known_family
from contracts.measured.measurements import Measurements
from contracts.measured.measurements_file import read_measurements
from contracts.problem.accuracy import AccuracyCurve
from contracts.records import frozen

__all__ = [
    "FAMILIES",
    "CurveFit",
    "CustomFamily",
    "Measurements",
    "compare_families",
    "fit_family",
    "read_measurements",
]

REJECTED = 0.01  # probability of a larger misfit below which scatter counts as overdispersion
FEWEST_STEPS, MOST_STEPS = 25, 100  # of a start, and of the best of them
FLAT = 1e-6  # relative improvement of the last steps below which nothing is left to find
HELD_OUT, FEWEST_HELD_OUT = 1.0 / 3.0, 2  # of the measurements, the largest, to judge extrapolation by
WORSE = 2.0  # times the error of another family at sizes held out: said


@frozen
class CurveFit:
    """A curve fitted to measurements by weighted least squares, and how far it can be trusted.

    Attributes:
        family: name of the curve's family.
        curve: the fitted curve.
        parameters: names of the fitted parameters, in the order of the arrays below.
        estimate: their values, shape (parameters,).
        standard_error: their standard errors, shape (parameters,); NaN for a parameter at its bound, which
            has no two-sided error (`profile_interval` has an interval), infinite when there are no degrees of
            freedom to estimate the noise from. Where chi-square rejects the family at 1 %, they are widened by
            the root of chi-square over degrees of freedom (overdispersion).
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
        form: the family itself.
        held_out: root mean squared error, in accuracy, at the largest third of the sizes when fitted to the
            others; NaN where that was not asked for, or there are too few.
        notes: what speaks against trusting it.
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
    form: Family
    held_out: float = np.nan
    notes: tuple[str, ...] = ()

    def standard_error_at(self, data: Any) -> np.ndarray:
        """Standard error of the fitted accuracy at `data` (>= 0, any shape), by the delta method.

        Parameters at a bound count as known.

        >>> data = [20, 40, 80, 160]
        >>> fit = fit_family(Measurements(data=data, accuracy=[.5, .6, .7, .75], standard_error=[.01] * 4))
        >>> bool(fit.standard_error_at(100.0) < fit.standard_error_at(10_000.0))
        True
        """
        data = checks.array("data", data, ndim=None, low=0.0)
        _, jacobian = self.form.evaluate(self.estimate, data.ravel())
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
        return "\n".join([f"{self.family}: {values} ({quality})", *self.notes])

    __repr__ = __str__


def fit_family(measurements: Measurements, *, family: str | CustomFamily = "power-law") -> CurveFit:
    """Fit one family of curves by weighted least squares.

    Residuals are weighted by the standard errors, which are taken as known; without any, all measurements
    weigh the same and the noise is estimated from the residuals. Starts come from a grid over the shape
    parameters, the others solved linearly; the Jacobian is exact. Where many curves fit alike, as on a plateau,
    one of them is the answer.

    Args:
        measurements: the measured curve; see `Measurements.irregularities` for what it should not have.
        family: "power-law", "generalization-bound", "exponential", "arctan", "weibull" or "hill"; or a formula
            of your own, a `CustomFamily`.

    Returns:
        The `CurveFit`.

    Raises:
        InvalidInput: unknown family, or a formula that exceeds its optimum.
        NotConverged: the formula is not finite anywhere within its bounds.
    """
    form = _form(family)
    if not isinstance(measurements, Measurements):
        raise InvalidInput(f"measurements = {measurements!r:.60}: expected Measurements(data=..., accuracy=...)")
    weight = _weight(measurements)
    data, accuracy = measurements.data, measurements.accuracy
    bounds = form.bounds(data)

    @lru_cache(maxsize=1)
    def at(z: bytes) -> tuple[np.ndarray, np.ndarray]:
        found, jacobian = form.evaluate_fitted(np.frombuffer(z), data)
        return (found - accuracy) * weight, jacobian * weight[:, None]

    def search(start: np.ndarray, steps: int, tolerance: float) -> Any:
        return optimize.least_squares(
            lambda z: at(z.tobytes())[0],
            start,
            jac=lambda z: at(z.tobytes())[1],  # type: ignore[arg-type]
            bounds=bounds,
            x_scale="jac",
            ftol=tolerance,
            xtol=tolerance,
            gtol=tolerance,
            max_nfev=steps,
        )

    starts = [
        z for z in form.starts(measurements, weight) if np.isfinite(form.evaluate_fitted(z, data)[0]).all()
    ]
    if not starts:
        raise NotConverged(f"{form.name} is not finite at any of the parameters tried, within their bounds")
    best = min((search(start, FEWEST_STEPS, 1e-8) for start in starts), key=lambda found: found.cost)
    before, best = best.cost, search(best.x, MOST_STEPS if best.cost > 0 else 1, 1e-15)
    fit = _summary(form, form.natural(best.x), best.active_mask != 0, measurements)
    if best.status <= 0 and before - best.cost <= FLAT * before:
        return dataclasses.replace(fit, notes=(*fit.notes, "many curves of this family fit about as well"))
    return fit


def _form(family: Any) -> Family:
    if isinstance(family, Family):
        return family
    return known_family(checks.choice("family", family, tuple(FAMILIES)))


def _weight(measurements: Measurements) -> np.ndarray:
    error = measurements.standard_error
    return np.ones(measurements.size) if error is None else 1.0 / error


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
    bound = np.array([name in at_bound for name in names])
    return _summary(known_family(family), estimate, bound, measurements)


def compare_families(
    measurements: Measurements, *, families: Sequence[str | CustomFamily] = ()
) -> tuple[CurveFit, ...]:
    """Fit families and rank the fits, best (smallest AICc, then smallest RMSE) first.

    AICc judges within the measured range. With six measurements or more every family is also fitted without the
    largest third of the sizes and judged there; where another one foretold these much better than the first,
    the first says so in its notes.

    Args:
        measurements: the measured curve.
        families: which; by default all known ones.

    >>> data = [20, 40, 80, 160, 320, 640]
    >>> measured = Measurements(data=data, accuracy=[0.9 - 0.9 * 2.718281828 ** (-x / 100) for x in data])
    >>> compare_families(measured)[0].family
    'exponential'
    """
    chosen = tuple(families) or tuple(FAMILIES)
    fits = [_judged(fit_family(measurements, family=family), family) for family in chosen]
    best, *others = sorted(fits, key=lambda fit: (fit.aicc, fit.rmse))
    return _warned(best, others), *others


def _judged(fit: CurveFit, family: str | CustomFamily) -> CurveFit:
    """With its error at the largest sizes when fitted to the others."""
    measured = fit.measurements
    kept = measured.size - max(int(HELD_OUT * measured.size), 0)
    if measured.size - kept < FEWEST_HELD_OUT or kept < len(fit.parameters) + 1:
        return fit
    error = measured.standard_error
    first = Measurements(
        data=measured.data[:kept],
        accuracy=measured.accuracy[:kept],
        standard_error=None if error is None else error[:kept],
    )
    missed = fit_family(first, family=family).curve(measured.data[kept:]) - measured.accuracy[kept:]
    return dataclasses.replace(fit, held_out=float(np.sqrt(np.mean(missed**2))))


def _warned(best: CurveFit, others: Sequence[CurveFit]) -> CurveFit:
    """The first, saying which other one extrapolated better, if one did beyond what noise explains."""
    rival = min(others, key=lambda fit: np.nan_to_num(fit.held_out, nan=np.inf), default=None)
    if rival is None or not best.held_out > WORSE * rival.held_out:
        return best
    error = best.measurements.standard_error
    noise = best.rmse if error is None else float(np.sqrt(np.mean(error**2)))
    if best.held_out - rival.held_out <= noise:
        return best
    note = (
        f"fits best, but extrapolates worse than {rival.family}: fitted without the largest third of the sizes,"
        f" it misses them by {best.held_out:.2g}, {rival.family} by {rival.held_out:.2g}"
    )
    return dataclasses.replace(best, notes=(*best.notes, note))


def _summary(form: Family, estimate: np.ndarray, bound: np.ndarray, measurements: Measurements) -> CurveFit:
    weight = _weight(measurements)
    fitted, jacobian = form.evaluate(estimate, measurements.data)
    residual = measurements.accuracy - fitted
    known = measurements.standard_error is not None
    n, free = residual.size, int(np.sum(~bound))
    freedom = n - free
    squares, weighted = float(residual @ residual), float(np.sum((residual * weight) ** 2))
    total = float(np.sum((measurements.accuracy - measurements.accuracy.mean()) ** 2))
    p_value = float(stats.chi2.sf(weighted, freedom)) if known and freedom > 0 else None
    rejected = p_value is not None and p_value < REJECTED
    scatter = weighted / freedom if freedom > 0 else np.inf
    covariance = _covariance(jacobian * weight[:, None], bound, scatter if rejected or not known else 1.0)
    return CurveFit(
        family=form.name,
        curve=form.curve(estimate),
        parameters=tuple(form.parameters),
        estimate=estimate,
        standard_error=np.sqrt(np.diag(covariance)),
        covariance=covariance,
        at_bound=tuple(name for name, at in zip(form.parameters, bound, strict=True) if at),
        residual=residual,
        chi_square=weighted if known else None,
        p_value=p_value,
        degrees_of_freedom=freedom,
        rmse=float(np.sqrt(squares / n)),
        r_squared=1.0 - squares / total if total > 0 else (1.0 if squares == 0 else -np.inf),
        aicc=_aicc(weighted, n, len(form.parameters), known),
        measurements=measurements,
        form=form,
        notes=_notes(scatter) if rejected else (),
    )


def _notes(scatter: float) -> tuple[str, ...]:
    return (
        f"rejected by chi²: measurements scatter {np.sqrt(scatter):.2g} times as much around it as their"
        " standard errors say, by which its own are widened",
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
