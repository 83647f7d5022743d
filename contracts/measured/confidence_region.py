r"""Which learning curves are compatible with measurements, and the best and the worst of them at every size.

The parameters' estimates are taken to be normal in the form in which they were fitted: the optimum itself, the
logarithms of all scales. The region is the ellipsoid that holds the true parameters with a given confidence; an
optimum above 1 counts as 1. At each amount of data the lowest (highest) accuracy of the region is found by
linearising over the ellipsoid again and again from several starts: accuracy is monotone in every parameter.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from scipy import stats

from contracts import checks
from contracts.errors import InvalidInput
from contracts.measured.curve_families import FAMILIES, MOST_EXPONENT
from contracts.measured.learning_curves import CurveFit, fit_family
from contracts.measured.measurements import Measurements
from contracts.numeric import double_precision
from contracts.problem.accuracy import AccuracyCurve
from contracts.records import frozen

STEPS = 60
PATIENCE = 4
CONVERGED = 1e-13  # of the accuracy
DIRECTIONS = 200
STARTS = 4
NOT_NEGATIVE = 1e-10  # of the largest eigenvalue: rounding of a covariance
SYMMETRIC = 1e-8


@frozen
class ConfidenceRegion:
    """An ellipsoid of curve parameters.

    Attributes:
        family: the curves' family.
        level: the confidence, in (0, 1).
        centre: the optimum and the logarithms of the scales, shape (parameters,).
        factor: the ellipsoid is centre + factor @ w for all w of length at most 1, shape
            (parameters, parameters).
        covariance: of the estimates themselves, by which it was found, shape (parameters, parameters).
    """

    family: str
    level: float
    centre: np.ndarray
    factor: np.ndarray
    covariance: np.ndarray

    @property
    def point(self) -> bool:
        """Whether the region holds one curve only."""
        return not self.factor.any()

    @property
    def least_optimum(self) -> float:
        """The smallest optimum of the region's curves; not positive if some learn nothing."""
        return float(min(self.centre[0] - np.linalg.norm(self.factor[0]), 1.0))

    @property
    def _capped(self) -> bool:
        """Whether some optimum of the ellipsoid is above 1."""
        return bool(self.centre[0] + np.linalg.norm(self.factor[0]) > 1.0)

    def parameters(self, directions: Any) -> np.ndarray:
        """Optimum and logarithms of scales at directions w of length <= 1, shape (..., parameters)."""
        return self.centre + np.asarray(directions) @ self.factor.T

    def accuracy(self, parameters: np.ndarray, data: np.ndarray) -> np.ndarray:
        """Accuracies of curves, rows of parameters, at amounts of data, shape (curves, amounts)."""
        raw = _raw(self.family, np.repeat(parameters, data.size, axis=0), np.tile(data, len(parameters)))[0]
        capped = raw.reshape(len(parameters), data.size)
        return np.maximum(capped - np.maximum(parameters[:, :1] - 1.0, 0.0), 0.0)

    def curve(self, parameters: np.ndarray) -> AccuracyCurve:
        """The curve with one set of parameters, within what its family accepts."""
        cls, names = FAMILIES[self.family]
        values = dict(zip(names, np.r_[min(parameters[0], 1.0), np.exp(parameters[1:])].tolist(), strict=True))
        if "exponent" in values:
            values["exponent"] = min(values["exponent"], MOST_EXPONENT[self.family])
        return cls(**values)

    def lowest(self, data: Any) -> tuple[np.ndarray, np.ndarray]:
        """The lowest accuracies of the region, continued below zero, and where they are attained.

        Args:
            data: amounts of data, > 0, shape (n,).

        Returns:
            Accuracies, shape (n,), and parameters, shape (n, parameters).
        """
        data = np.asarray(data, dtype=float)
        free, at_free = self._extreme(data, -1.0, self.factor)
        if not self._capped:
            return free, self.parameters(at_free)
        # min(optimum, 1) is the smaller of the two: an optimum above 1 counts as 1.
        held = self.factor.copy()
        held[0] = 0.0
        full, at_full = self._extreme(data, -1.0, held)
        full = full + 1.0 - self.centre[0]
        lower = full < free
        return np.where(lower, full, free), self.parameters(np.where(lower[:, None], at_full, at_free))

    def direction(self, parameters: np.ndarray) -> np.ndarray:
        """The shortest direction w that leads to parameters of the region, never longer than 1."""
        w = np.linalg.lstsq(self.factor, parameters - self.centre, rcond=None)[0]
        return w / max(1.0, float(np.linalg.norm(w)) * (1.0 + 1e-12))

    def highest(self, data: Any) -> np.ndarray:
        """Accuracies that no curve of the region exceeds, never above 1, shape (n,)."""
        data = np.asarray(data, dtype=float)
        free = self._extreme(data, 1.0, self.factor)[0]
        if not self._capped:
            return np.clip(free, 0.0, 1.0)
        held = self.factor.copy()
        held[0] = 0.0
        full = self._extreme(data, 1.0, held)[0] + 1.0 - self.centre[0]
        return np.clip(np.minimum(free, full), 0.0, 1.0)

    def _extreme(self, data: np.ndarray, sign: float, factor: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The largest (sign 1) or smallest (-1) accuracy at each amount of data, and the w where it is."""
        size = self.centre.size
        around = np.random.default_rng(0).standard_normal((DIRECTIONS, size))
        around = np.vstack([np.eye(size), -np.eye(size), around / np.linalg.norm(around, axis=1)[:, None]])
        grid = np.repeat(self.centre + around @ factor.T, data.size, axis=0)
        tried = sign * _raw(self.family, grid, np.tile(data, len(around)))[0].reshape(len(around), -1)
        starts = around[np.argsort(tried, axis=0)[-STARTS:]]
        value, w = self._climbed(starts, data, sign, factor)
        # What is best at one amount of data is a good start at its neighbours.
        again = np.stack([w, np.roll(w, 1, axis=0), np.roll(w, -1, axis=0)])
        value, w = self._climbed(again, data, sign, factor)
        return sign * value, w

    def _climbed(
        self, starts: np.ndarray, data: np.ndarray, sign: float, factor: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """The best accuracy (times sign) and its direction found from starts (starts, amounts, parameters)."""
        count, amounts, size = starts.shape
        x, w = np.tile(data, count), starts.reshape(-1, size)
        best, slope = _raw(self.family, self.centre + w @ factor.T, x)
        best, share, idle = sign * best, np.ones(x.size), 0
        for _ in range(STEPS):
            towards = sign * slope @ factor
            length = np.linalg.norm(towards, axis=1, keepdims=True)
            moved = w + share[:, None] * (towards / np.where(length > 0, length, 1.0) - w)
            norm = np.linalg.norm(moved, axis=1, keepdims=True)
            moved = np.where(norm > 1e-12, moved / np.maximum(norm, 1e-12), w)
            value, bend = _raw(self.family, self.centre + moved @ factor.T, x)
            better = sign * value > best
            idle = idle + 1 if (sign * value - best).max() <= CONVERGED else 0
            if idle > PATIENCE:
                break
            best = np.where(better, sign * value, best)
            w, slope = np.where(better[:, None], moved, w), np.where(better[:, None], bend, slope)
            # Full steps are right where accuracy is nearly linear; where they overshoot, shorter ones.
            share = np.where(better, np.minimum(2.0 * share, 1.0), 0.5 * share)
        best, w = best.reshape(count, amounts), w.reshape(count, amounts, size)
        first, columns = np.argmax(best, axis=0), np.arange(amounts)
        return best[first, columns], w[first, columns]


@cache
def _compiled(family: str) -> Callable[[Any, Any], tuple[Any, Any]]:
    cls, names = FAMILIES[family]

    def accuracy(z: Any, data: Any) -> Any:
        values = jnp.concatenate([z[:1], jnp.exp(z[1:])])
        curve = cls(**{name: values[k] for k, name in enumerate(names)})
        return curve.optimum - curve.shortfall(data, jnp)

    return jax.jit(jax.vmap(jax.value_and_grad(accuracy)))


def _raw(family: str, parameters: np.ndarray, data: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Optimum less shortfall, one curve and amount a row, and its slope by the parameters."""
    size = 1 << int(np.ceil(np.log2(max(data.size, 256))))
    z = np.vstack([parameters, np.repeat(parameters[:1], size - data.size, axis=0)])
    x = np.r_[data, np.full(size - data.size, data[0])]
    with double_precision():
        value, slope = _compiled(family)(jnp.asarray(z), jnp.asarray(x))
    value, slope = np.asarray(value)[: data.size], np.asarray(slope)[: data.size]
    # Far below a floor the loss may overflow: as bad as anything.
    return np.nan_to_num(value, nan=-1e300, neginf=-1e300), np.nan_to_num(slope)


def confidence_region(fit: CurveFit, *, level: float = 0.95, covariance: Any = None) -> ConfidenceRegion:
    """The curves that a fit does not rule out.

    Args:
        fit: what `fit_family` returned. Parameters at a bound count as known.
        level: confidence, in (0, 1).
        covariance: of the estimates, in the order of `fit.parameters`, symmetric and positive semidefinite, such
            as `bootstrap_covariance` gives; by default the fit's own.

    Returns:
        The region. With known standard errors its size follows the chi-square distribution; where the noise was
        estimated from residuals, the F distribution.

    Raises:
        InvalidInput: the level, the covariance's shape or values are not what is accepted, or the measurements
            are too few to have a covariance.
    """
    if not isinstance(fit, CurveFit):
        raise InvalidInput(f"fit = {fit!r:.60}: expected what fit_family returns")
    if fit.family not in FAMILIES:
        raise InvalidInput(f"fit: a formula of one's own ({fit.family}): expected one of {', '.join(FAMILIES)}")
    level = checks.number("level", level, low=0.0, high=1.0, open_low=True, open_high=True)
    scale = np.r_[1.0, 1.0 / fit.estimate[1:]]
    covariance = _checked(fit, covariance)
    values, vectors = np.linalg.eigh(covariance * np.outer(scale, scale))
    free = int((values > NOT_NEGATIVE * max(values[-1], 0.0)).sum())
    radius = 0.0 if free == 0 else _radius(fit, level, len(fit.parameters) - len(fit.at_bound))
    return ConfidenceRegion(
        family=fit.family,
        level=level,
        centre=np.r_[fit.estimate[0], np.log(fit.estimate[1:])],
        factor=radius * vectors * np.sqrt(np.maximum(values, 0.0)),
        covariance=covariance,
    )


def _radius(fit: CurveFit, level: float, free: int) -> float:
    if fit.measurements.standard_error is not None:
        return float(np.sqrt(stats.chi2.ppf(level, free)))
    return float(np.sqrt(free * stats.f.ppf(level, free, max(fit.degrees_of_freedom, 1))))


def _checked(fit: CurveFit, covariance: Any) -> np.ndarray:
    size = len(fit.parameters)
    if covariance is None:
        covariance = np.array(fit.covariance)
        known = [name in fit.at_bound for name in fit.parameters]
        covariance[known, :] = covariance[:, known] = 0.0
        if not np.isfinite(covariance).all():
            raise InvalidInput(
                f"fit: {fit.measurements.size} measurements are too few for a covariance of {size} parameters:"
                " expected more measurements, or their standard errors"
            )
    covariance = checks.array("covariance", covariance, ndim=2, length=size)
    if covariance.shape != (size, size):
        raise InvalidInput(f"covariance has shape {covariance.shape}: expected {(size, size)}")
    deviation = np.sqrt(np.maximum(np.diag(covariance), 0.0))
    unit = np.where(deviation > 0.0, deviation, 1.0)
    correlation = covariance / np.outer(unit, unit)
    for i, j in np.argwhere(np.abs(correlation - correlation.T) > SYMMETRIC):
        raise InvalidInput(
            f"covariance[{i}][{j}] = {covariance[i, j]:g}, covariance[{j}][{i}] = {covariance[j, i]:g}:"
            " expected a symmetric matrix"
        )
    least, most = np.linalg.eigvalsh(correlation)[[0, -1]]
    if least < -1e-8 * max(most, 1e-300):
        raise InvalidInput(
            f"covariance has the eigenvalue {least:.3g} (as correlations): expected a positive semidefinite"
            " matrix"
        )
    return 0.5 * (covariance + covariance.T)


def bootstrap_covariance(fit: CurveFit, *, draws: int = 200, seed: int = 0) -> np.ndarray:
    """Covariance of the estimates over measurements drawn anew around the fitted curve, and fitted again.

    Args:
        fit: the fit. Noise is drawn with the measurements' standard errors, or else with the residuals' own.
        draws: how many times, >= 10; each takes a few hundredths of a second.
        seed: of the draws.

    Returns:
        The covariance, shape (parameters, parameters).
    """
    draws = checks.integer("draws", draws, low=10)
    measured = fit.measurements
    noise = measured.standard_error
    if noise is None:
        noise = np.full(measured.size, np.sqrt(fit.residual @ fit.residual / max(fit.degrees_of_freedom, 1)))
    random = np.random.default_rng(checks.integer("seed", seed))
    estimates = []
    for _ in range(draws):
        accuracy = np.clip(fit.curve(measured.data) + noise * random.standard_normal(measured.size), 0.0, 1.0)
        again = Measurements(data=measured.data, accuracy=accuracy, standard_error=measured.standard_error)
        estimates.append(fit_family(again, family=fit.family).estimate)
    return np.cov(np.array(estimates).T)
