"""Intervals of a fitted family by profile likelihood: right at bounds too, where standard errors say nothing.

An accuracy is within the interval if some curve of the family has it at that size and fits the measurements not
much worse than the best one: chi-square rises by at most its quantile, times the overdispersion where the
measurements scatter more than their standard errors say (or errors are unknown: then by the F distribution).

Source: D. J. Venzon and S. H. Moolgavkar, "A method for computing profile-likelihood-based confidence
intervals", J. R. Stat. Soc. C 1988; overdispersion: P. McCullagh and J. Nelder, "Generalized linear models",
1989, 4.5.
"""

from __future__ import annotations

import numpy as np
from scipy import optimize, stats

from contracts import checks
from contracts.measured.learning_curves import CurveFit

STEPS = 24  # of the search for each end
PRECISION = 1e-4  # of an end, in accuracy


def overdispersion(fit: CurveFit) -> float:
    """By how much measurements scatter more than their standard errors say, as a factor of variances, at least
    1.

    Where no standard errors are known it is their variance.
    """
    if fit.chi_square is None:
        return float(fit.residual @ fit.residual) / max(fit.degrees_of_freedom, 1)
    return max(fit.chi_square / max(fit.degrees_of_freedom, 1), 1.0)


def profile_interval(fit: CurveFit, data: float, level: float = 0.95) -> tuple[float, float]:
    """Where the family's accuracy at one size lies with a confidence of `level`, if the family is right.

    Args:
        fit: what `fit_family` returned.
        data: the size, > 0.
        level: in (0, 1).

    Returns:
        The lower and the upper end, in [0, 1].

    >>> from contracts import Measurements, fit_family
    >>> x = [20, 40, 80, 160, 320]
    >>> y = [0.70, 0.79, 0.84, 0.885, 0.91]
    >>> fit = fit_family(Measurements(data=x, accuracy=y, standard_error=[0.01] * 5))
    >>> low, high = profile_interval(fit, 3200.0)
    >>> low < float(fit.curve(3200.0)) < high <= 1.0
    True
    """
    data = checks.number("data", data, low=0.0, open_low=True)
    level = checks.number("level", level, low=0.0, high=1.0, open_low=True, open_high=True)
    best = float(fit.curve(data))
    freedom = max(fit.degrees_of_freedom, 1)
    known = fit.chi_square is not None
    quantile = stats.chi2.ppf(level, 1) if known else stats.f.ppf(level, 1, freedom)
    allowed = float(quantile) * max(overdispersion(fit), 1e-300)
    search = _Profile(fit, data)
    base = search.squares(best)
    return search.end(best, 0.0, base + allowed), search.end(best, 1.0, base + allowed)


class _Profile:
    """The least sum of squares of curves that have one value at one size."""

    def __init__(self, fit: CurveFit, data: float):
        measured = fit.measurements
        self.fit, self.measured = fit, measured
        error = np.ones(measured.size) if measured.standard_error is None else measured.standard_error
        self.x = np.r_[measured.data, data]
        self.weight = np.r_[1.0 / error, 0.0]
        self.scale = float(self.weight.max())
        self.low, self.high = fit.form.bounds(measured.data)
        self.start = fit.form.fitted(fit.estimate)

    def squares(self, value: float) -> float:
        """The least sum of squared residuals with the curve tied to a value."""
        weight = self.weight.copy()
        weight[-1] = 1e2 * self.scale
        target = np.r_[self.measured.accuracy, value]

        def residual(z: np.ndarray) -> np.ndarray:
            return (self.fit.form.evaluate_fitted(z, self.x)[0] - target) * weight

        def jacobian(z: np.ndarray) -> np.ndarray:
            return self.fit.form.evaluate_fitted(z, self.x)[1] * weight[:, None]

        inside = np.clip(self.start, self.low + 1e-12, self.high - 1e-12)
        found = optimize.least_squares(
            residual,
            inside,
            jac=jacobian,  # type: ignore[arg-type]
            bounds=(self.low, self.high),
            x_scale="jac",
            max_nfev=60,
        )
        return 2.0 * float(found.cost)

    def end(self, inside: float, outside: float, allowed: float) -> float:
        """Where the least sum of squares reaches what is allowed, between a value inside and one outside."""
        if self.squares(outside) <= allowed:
            return outside
        for _ in range(STEPS):
            if abs(outside - inside) < PRECISION:
                break
            middle = 0.5 * (inside + outside)
            inside, outside = (middle, outside) if self.squares(middle) <= allowed else (inside, middle)
        return float(inside)
