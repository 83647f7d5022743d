r"""A learning curve that is known up to the uncertainty of its fit.

Rewards are promised in value before anybody knows the true curve. Nobody may lose by taking part even if
training alone goes as well as any curve of the region allows, and no model may be promised that the worst curve
of the region would not give:

    u_i >= max over curves of f_i,   t_i <= min over curves of T_i(m).

The lowest accuracy at every amount of data, over all curves of the region, is itself an increasing curve,
concave above its floor. Its loss is majorised by a mixture of exponentials: what can be given under that curve
can be given under every curve of the region. Incentives do not depend on the curve.

Source: ours.
"""

from __future__ import annotations

from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from scipy import interpolate

from contracts import checks
from contracts.errors import Infeasible, InvalidInput
from contracts.measured.confidence_region import ConfidenceRegion, confidence_region
from contracts.measured.exponential_mixture import ExponentialMixture
from contracts.measured.learning_curves import FAMILIES, CurveFit, known_fit
from contracts.measured.measurements import Measurements
from contracts.problem.accuracy import AccuracyCurve
from contracts.problem.data import RECOMPUTED
from contracts.program.exponential_sum import fit_exponentials
from contracts.pytrees import register
from contracts.records import frozen

PER_DECADE = 24
FLOOR_PER_DECADE = 8
NEGLIGIBLE = 1e-7  # accuracy given away so that the far tail need not be matched relatively
ROUNDING = 1e-9
AT_ONCE = 1024  # amounts of data at which the best curve is looked for together


@register(meta=["fit", "level", "covariance"])
@frozen
class UncertainCurve(AccuracyCurve):
    """A fitted curve of which only a region is known; asked for a number, it is the fitted one.

    Promises are kept for every curve of the region: models promised are those that the worst one gives, and
    what types get by training alone is what the best one gives. The coordinator maximises what is reached under
    the worst curve. Promises are more cautious than they need be by a few thousandths of the loss, for
    exponential and arctan curves by up to 3 %.

    Args:
        fit: the curve fitted to measurements, by `fit_family`.
        level: with which confidence promises must be kept, in (0, 1).
        covariance: of the estimates; by default the fit's own (see `confidence_region`).

    Raises:
        InvalidInput: naming the argument and what is accepted.

    Source: ours.

    >>> from contracts import LinearValuation, Population, Problem, design_contract
    >>> from contracts import fit_family, read_measurements
    >>> fit = fit_family(read_measurements("examples/tumour-clinics/curve.csv"))
    >>> problem = Problem(
    ...     population=Population(costs=[150, 70, 30], probabilities=[0.3, 0.4, 0.3], participants=20),
    ...     accuracy=UncertainCurve(fit=fit),
    ...     valuation=LinearValuation(scale=100_000.0),
    ... )
    >>> certificate = design_contract(problem).certificate
    >>> certificate.holds, certificate.optimal
    (True, True)
    """

    family = "uncertain"
    fit: CurveFit
    level: Any = 0.95
    covariance: Any = None

    def __post_init__(self) -> None:
        level = checks.number("level", self.level, low=0.0, high=1.0, open_low=True, open_high=True)
        object.__setattr__(self, "level", level)
        if self.covariance is not None:
            object.__setattr__(self, "covariance", checks.array("covariance", self.covariance, ndim=2))
        if self.region.least_optimum <= 0.0:
            raise InvalidInput(
                f"fit: at level {level:g} its region holds curves that never learn (optimum"
                f" {self.region.least_optimum:.3g}): expected more precise measurements, or a lower level"
            )

    @cached_property
    def region(self) -> ConfidenceRegion:  # type: ignore[override]
        """The curves not ruled out."""
        return confidence_region(self.fit, level=self.level, covariance=self.covariance)

    @property
    def optimum(self) -> Any:  # type: ignore[override]
        """That of the fitted curve."""
        return self.fit.curve.optimum

    @property
    def floor(self) -> float:
        """That of the fitted curve."""
        return self.fit.curve.floor

    @property
    def natural_rates(self) -> np.ndarray | None:
        """Those of the fitted curve."""
        return self.fit.curve.natural_rates

    def shortfall(self, data: Any, xp: Any) -> Any:
        """That of the fitted curve."""
        return self.fit.curve.shortfall(data, xp)

    def promised(self, most_data: float, valuation: Any = None) -> AccuracyCurve:  # noqa: ARG002
        """A curve that no curve of the region falls below, up to an amount of data.

        Raises:
            Infeasible: it never leaves zero.
        """
        if self.region.point:
            return self.fit.curve
        # Ranges end at powers of ten, so that problems that differ in size share the curve.
        return lowest_curve(self.region, 10.0 ** float(np.ceil(np.log10(most_data))))

    @cached_property
    def at_best(self) -> AccuracyCurve:  # type: ignore[override]
        """The highest accuracy of the region at every amount of data."""
        return self.fit.curve if self.region.point else HighestCurve(of=self.region)

    def parameters(self) -> dict[str, Any]:
        """The fit, the measurements and the covariance of the region; `from_parameters` gives the curve back."""
        fit, measured = self.fit, self.fit.measurements
        covariance = self.region.covariance if self.covariance is None else self.covariance
        found = {
            "family": self.family,
            "fit": fit.family,
            "level": self.level,
            "estimate": fit.estimate.tolist(),
            "at_bound": list(fit.at_bound),
            "covariance": covariance.tolist(),
            "data": measured.data.tolist(),
            "accuracy": measured.accuracy.tolist(),
        }
        if measured.standard_error is not None:
            found["standard_error"] = measured.standard_error.tolist()
        return found

    @classmethod
    def from_parameters(cls, table: dict[str, Any]) -> UncertainCurve:
        """The curve that `parameters` wrote.

        Raises:
            InvalidInput: naming the key and what is accepted.
        """
        keys = ("fit", "level", "estimate", "at_bound", "covariance", "data", "accuracy", "standard_error")
        for key in keys[:-1]:
            if key not in table:
                raise InvalidInput(f"no key {key!r}: expected {', '.join(keys)}")
        for key in table:
            if key not in (*keys, "family"):
                raise InvalidInput(f"unknown key {key!r}: accepted: {', '.join(keys)}")
        measured = Measurements(
            data=table["data"], accuracy=table["accuracy"], standard_error=table.get("standard_error")
        )
        fit = known_fit(
            measured,
            family=checks.choice("fit", table["fit"], tuple(FAMILIES)),
            estimate=checks.array("estimate", table["estimate"], low=0.0, open_low=True),
            at_bound=table["at_bound"],
        )
        return cls(fit=fit, level=table["level"], covariance=table["covariance"])


RECOMPUTED[UncertainCurve.family] = UncertainCurve.from_parameters


@frozen
class HighestCurve(AccuracyCurve):
    """At every amount of data the highest accuracy of a region's curves; known to NumPy only.

    Args:
        of: the region.
    """

    family = "highest"
    of: ConfidenceRegion

    @property
    def optimum(self) -> Any:  # type: ignore[override]
        """The highest of the region, at most 1."""
        return float(min(self.of.centre[0] + np.linalg.norm(self.of.factor[0]), 1.0))

    @property
    def floor(self) -> float:
        """Not looked for: accuracy may leave zero later."""
        return 0.0

    def shortfall(self, data: Any, xp: Any) -> Any:  # noqa: ARG002
        """See `AccuracyCurve.shortfall`."""
        data = np.asarray(data, dtype=float)
        asked, found = data.ravel(), np.zeros(data.size)
        some = np.flatnonzero(asked > 0.0)
        for part in np.split(some, np.arange(AT_ONCE, some.size, AT_ONCE)):
            if part.size:
                found[part] = self.of.highest(asked[part])
        return np.maximum(self.optimum - found, 0.0).reshape(data.shape)

    def parameters(self) -> dict[str, Any]:
        """Not available: files hold the uncertain curve."""
        raise InvalidInput("accuracy: the best curve of a region is stored as the uncertain curve")


@lru_cache(maxsize=64)
def lowest_curve(region: ConfidenceRegion, most: float) -> ExponentialMixture:
    """A curve that no curve of the region falls below, up to an amount of data.

    Raises:
        Infeasible: it never leaves zero.
    """
    top = region.least_optimum
    data = np.geomspace(1e-9 * most, 10.0 * most, 10 * FLOOR_PER_DECADE)
    lowest, _ = region.lowest(data)
    above = data[lowest > 0.0]
    if not above.size:
        raise Infeasible(
            f"at level {region.level:g} the worst curve never leaves zero with what can be paid for;"
            " expected more precise measurements, or a lower level"
        )
    low = max(float(above[0]) * 10.0 ** (-1.0 / FLOOR_PER_DECADE), 1e-9 * most)
    points = np.geomspace(low, 10.0 * most, 2 * int(PER_DECADE * np.log10(10.0 * most / low)) + 1)
    loss = np.maximum(top - region.lowest(points)[0], 0.0) + NEGLIGIBLE * top
    smooth = interpolate.PchipInterpolator(np.log(points), np.log(loss))
    rates = None
    if region.family == "exponential":  # one rate or nearly: the usual spacing is too wide
        rate = float(np.exp(region.centre[1]))
        width = float(np.linalg.norm(region.factor[1]))
        near = rate * np.exp(np.linspace(-1.0 - width, 1.0 + width, 120))
        rates = np.r_[1e-3 / points[-1], near]
    fit = fit_exponentials(lambda x: np.exp(smooth(np.log(x))), low, float(points[-1]), rates=rates)
    # Raise the mixture until no curve of the region loses more at any of the points.
    more = float((loss / fit(points)).max()) * (1.0 + ROUNDING)
    return ExponentialMixture(optimum=top, weights=fit.weights * max(more, 1.0), rates=fit.rates)
