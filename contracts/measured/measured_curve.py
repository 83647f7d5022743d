r"""A learning curve known by its measurements, and three promises that one can make on it.

- **average**: participants share the posterior; what is promised holds on average over curves. Since nobody
  learns the curve before data are collected, the posterior mean is *the* curve (for a valuation that is not
  linear the curve of the same expected value), and the certificate says with which probability each type does
  worse than alone.
- **model**: what is promised is a share of the model's value, which moves with the curve; nobody does worse than
  alone, nor envies anybody, under the curves of a set of posterior mass `level`.
- **value**: a fixed expected value whatever the curve: what the lowest curves give, and no less than anybody
  could have alone under the highest.

Source: ours.
"""

from __future__ import annotations

import hashlib
import json
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from scipy import optimize

from contracts import checks
from contracts.errors import Infeasible, InvalidInput
from contracts.measured import curve_prior
from contracts.measured.curve_posterior import CurveDraws, CurvePosterior, fit_curve
from contracts.measured.curve_set import CurveSet, Envelope
from contracts.measured.evidence import Evidence
from contracts.measured.exponential_mixture import ExponentialMixture
from contracts.measured.learning_curves import FAMILIES, CurveFit, fit_family
from contracts.measured.measurements import Measurements
from contracts.measured.uncertain_curve import UncertainCurve
from contracts.problem.curve import AccuracyCurve
from contracts.problem.data import RECOMPUTED
from contracts.problem.valuation import Valuation
from contracts.pytrees import register
from contracts.records import Keyed, frozen, identity

PROMISES = ("average", "model", "value")
DRAWS, SEED = 400, 20260101
RATES_PER_DECADE, TERMS = 6, 16
FINER = 4
LOWERED = (0.0, 1e-4, 1e-3, 3e-3, 0.01, 0.02, 0.04, 0.08)  # of the optimum: tried, the best is taken
PRECISE = 0.003  # loss above which a mixture is fitted relatively
OPTIONAL = ("standard_error", "score", "reading", "notes")
KEYS = ("fit", "promise", "level", "chance", "prior", "data", "accuracy", "digest", *OPTIONAL)


@register(meta=["measurements", "fit", "promise", "level", "chance"])
@frozen
class MeasuredCurve(AccuracyCurve):
    """A learning curve of which measurements are known, and what is promised on it.

    Args:
        measurements: what was measured.
        fit: "posterior", or the family of `fit_family` whose fitted curve is taken for the true one.
        promise: "average", "model" or "value"; see this module's text.
        level: of the posterior mass of curves under which promises are kept, in (0, 1); not used on average.
        chance: accuracy without any data, in [0, 1): the `baseline` of the problem.

    Raises:
        InvalidInput: naming the argument and what is accepted.

    >>> from contracts import LinearValuation, Population, Problem, design_contract, read_measurements
    >>> curve = MeasuredCurve(measurements=read_measurements("examples/tumour-clinics/curve.csv"))
    >>> problem = Problem(
    ...     population=Population(costs=[150, 70, 30], probabilities=[0.3, 0.4, 0.3], participants=7),
    ...     accuracy=curve,
    ...     valuation=LinearValuation(scale=100_000.0),
    ... )
    >>> certificate = design_contract(problem).certificate
    >>> certificate.holds, certificate.caution
    (True, '')
    """

    family = "measured"
    measurements: Measurements
    fit: str = "posterior"
    promise: str = "average"
    level: Any = 0.95
    chance: Any = 0.0

    def __post_init__(self) -> None:
        checks.choice("fit", self.fit, ("posterior", *FAMILIES))
        checks.choice("promise", self.promise, PROMISES)
        level = checks.number("level", self.level, low=0.0, high=1.0, open_low=True, open_high=True)
        object.__setattr__(self, "level", level)
        chance = checks.number("chance", self.chance, low=0.0, high=1.0, open_high=True)
        object.__setattr__(self, "chance", chance)
        if self.fit != "posterior" and self.promise == "model":
            raise InvalidInput(f"promise = 'model' with fit = {self.fit!r}: expected fit = 'posterior'")
        _ = self.posterior  # refuses what cannot be

    @property
    def known(self) -> bool:
        """Never for certain."""
        return False

    @cached_property
    def posterior(self) -> CurvePosterior:
        """The posterior over curves."""
        return _posterior(Keyed(identity(self.measurements), self.measurements), self.chance)

    @cached_property
    def fitted(self) -> CurveFit | None:
        """The family fitted, where one is taken for the true one."""
        return None if self.fit == "posterior" else fit_family(self.measurements, family=self.fit)

    @cached_property
    def middle(self) -> AccuracyCurve:
        """The posterior mean as an increasing concave curve, or the fitted one."""
        if self.fitted is not None:
            return self.fitted.curve
        x = self.posterior.sizes
        return concave(x, self.posterior.mean(x), self.chance)

    @property
    def usual(self) -> AccuracyCurve:
        """The curve that is used on average."""
        return self.middle

    @cached_property
    def possible(self) -> CurveDraws | None:
        """Curves drawn from the posterior; None where a family's curve is taken for the true one."""
        return None if self.fitted is not None else self.posterior.draws(DRAWS, SEED)

    def drawn(self, number: int, seed: int) -> CurveDraws:
        """Other curves, none of which a contract was designed for."""
        return self.posterior.draws(number, seed)

    @cached_property
    def region(self) -> Any:  # type: ignore[override]
        """The curves under which values are promised; None for the other promises."""
        if self.promise != "value":
            return None
        if self.fitted is not None:
            return UncertainCurve(fit=self.fitted, level=self.level).region
        assert self.possible is not None
        return CurveSet.central(self.possible, self.level)

    def promised(self, most_data: float, valuation: Valuation | None = None) -> AccuracyCurve:
        """The curve on which promises are made.

        Args:
            most_data: up to which amount.
            valuation: where it is not linear, the curve is the one of the same expected value.
        """
        if self.promise == "value":
            if self.fitted is not None:
                return UncertainCurve(fit=self.fitted, level=self.level).promised(most_data)
            return concave_below(self.region, self.chance)
        if valuation is None or valuation.linear or self.possible is None:
            return self.middle
        return _equivalent(self, valuation)

    @cached_property
    def at_best(self) -> AccuracyCurve:  # type: ignore[override]
        """The best that training alone may hope for."""
        if self.promise != "value":
            return self.middle
        if self.fitted is not None:
            return UncertainCurve(fit=self.fitted, level=self.level).at_best
        return Envelope(of=self.region)

    @cached_property
    def evidence(self) -> Evidence:  # type: ignore[override]
        """What the measurements say for and against it."""
        name = "the posterior mean of measured curves" if self.fitted is None else f"a fitted {self.fit}"
        return Evidence(measurements=self.measurements, curve=self.middle, name=name)

    @property
    def optimum(self) -> Any:  # type: ignore[override]
        """That of the curve used."""
        return self.middle.optimum

    @property
    def floor(self) -> float:
        """That of the curve used."""
        return self.middle.floor

    @property
    def natural_rates(self) -> np.ndarray | None:
        """Those of the curve used."""
        return self.middle.natural_rates

    def shortfall(self, data: Any, xp: Any) -> Any:
        """That of the curve used."""
        return self.middle.shortfall(data, xp)

    def parameters(self) -> dict[str, Any]:
        """The measurements and what is promised: all that the curve is recomputed from."""
        measured = self.measurements
        found = {
            "family": self.family,
            "fit": self.fit,
            "promise": self.promise,
            "level": self.level,
            "chance": self.chance,
            "prior": curve_prior.name(),
            "data": measured.data.tolist(),
            "accuracy": measured.accuracy.tolist(),
        }
        if measured.standard_error is not None:
            found["standard_error"] = measured.standard_error.tolist()
        if measured.score != "accuracy":
            found["score"] = measured.score
        if measured.notes:
            found["reading"] = list(measured.notes)
        found["digest"] = digest(found)
        found["notes"] = [*self.evidence.statements, *self.evidence.objections]
        return found

    @classmethod
    def from_parameters(cls, table: dict[str, Any]) -> MeasuredCurve:
        """The curve that `parameters` wrote, recomputed from its measurements; notes are not believed.

        Raises:
            InvalidInput: naming the key and what is accepted; also if the digest is of other measurements.
        """
        for key in table:
            if key not in (*KEYS, "family"):
                raise InvalidInput(f"unknown key {key!r}: accepted: {', '.join(KEYS)}")
        for key in KEYS:
            if key not in table and key not in OPTIONAL:
                raise InvalidInput(f"no key {key!r}: expected {', '.join(KEYS)}")
        if table["prior"] != curve_prior.name():
            raise InvalidInput(
                f"prior = {checks.brief(table['prior'])}: this version knows {curve_prior.name()!r}; design anew"
            )
        stated = {key: value for key, value in table.items() if key not in ("digest", "notes")}
        if table["digest"] != digest(stated):
            raise InvalidInput(
                "digest: it is of other measurements or another promise: expected those agreed upon"
            )
        measured = Measurements(
            data=table["data"],
            accuracy=table["accuracy"],
            standard_error=table.get("standard_error"),
            score=table.get("score", "accuracy"),
            notes=_reading(table.get("reading", [])),
        )
        words = {key: table[key] for key in ("fit", "promise", "level", "chance")}
        return cls(measurements=measured, **words)


RECOMPUTED[MeasuredCurve.family] = MeasuredCurve.from_parameters


def _reading(notes: Any) -> tuple[str, ...]:
    """What the reader of the measurements noted, as a file states it."""
    if not isinstance(notes, list) or not all(isinstance(note, str) for note in notes):
        raise InvalidInput(f"reading = {checks.brief(notes)}: expected a list of texts")
    return tuple(checks.visible(note) for note in notes)


def digest(stated: dict[str, Any]) -> str:
    """A hash of what a measured curve is recomputed from."""
    text = json.dumps(stated, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def concave(data: np.ndarray, accuracy: np.ndarray, chance: float) -> ExponentialMixture:
    """The increasing concave curve nearest to points: a mixture of exponentials with positive weights.

    Args:
        data: rising sizes.
        accuracy: there; the last is approached with unlimited data.
        chance: points not above it are left out.
    """
    y = np.maximum.accumulate(accuracy)
    keep = y > chance + 1e-6
    x, y = data[keep], y[keep]
    if not x.size:
        x, y = data[-1:], np.maximum(accuracy[-1:], chance) + 1e-6
    loss = y[-1] - y + 1e-9
    decades = np.log10(300.0 * x[-1] / x[0])
    rates = np.geomspace(1e-2 / x[-1], 3.0 / x[0], int(RATES_PER_DECADE * decades))
    weigh = 1.0 / (loss + PRECISE)
    weights, _ = optimize.nnls(
        np.exp(-np.outer(x, rates)) * weigh[:, None], loss * weigh, maxiter=20 * rates.size
    )
    if not weights.any():
        weights[-1] = 1e-9
    some = np.flatnonzero(weights)
    # What is compiled for one number of terms serves most curves: the last term fills up, in equal parts.
    parts = -some.size % TERMS + 1
    some = np.r_[some[:-1], np.full(parts, some[-1])]
    weights[some[-1]] /= parts
    return ExponentialMixture(optimum=min(float(y[-1]) + 1e-9, 1.0), weights=weights[some], rates=rates[some])


def concave_below(region: CurveSet, chance: float) -> ExponentialMixture:
    """`concave` for the lowest curves, lowered until it exceeds none of them anywhere."""
    curve = concave(region.data, region.least, chance)
    x = np.r_[
        np.linspace(0.0, region.data[0], FINER + 1)[1:],
        np.geomspace(region.data[0], region.data[-1], FINER * region.data.size),
    ]
    lowest = CurveDraws(data=region.data, accuracy=region.least[None], baseline=chance)(x)[0]
    loss = curve.shortfall(x, np)
    found = []
    for less in LOWERED:
        top = float(curve.optimum) - less
        # What the lowest curve misses to the top is matched by a larger loss, where there is any.
        more = float(np.max((top - lowest) / np.maximum(loss, 1e-12), initial=1.0))
        if top > chance and np.isfinite(more):
            scaled = np.maximum(top - more * loss, chance)
            found.append((float(np.mean(scaled)), top, more))
    if not found or max(found)[0] <= chance + 1e-9:
        raise Infeasible(
            f"at level {region.level:g} the worst curve never rises above what everybody has without data;"
            " expected more precise measurements, a lower level, or promise = 'model' or 'average'"
        )
    _, top, more = max(found)
    return ExponentialMixture(optimum=top, weights=curve.weights * more * (1.0 + 1e-9), rates=curve.rates)


@lru_cache(maxsize=128)
def _posterior(measured: Keyed, chance: float) -> CurvePosterior:
    return fit_curve(measured.value, baseline=chance)


def _equivalent(curve: MeasuredCurve, valuation: Valuation) -> ExponentialMixture:
    """The curve that has at every size the value expected over the posterior."""
    assert curve.possible is not None
    x = curve.posterior.sizes
    expected = np.asarray(valuation(curve.possible.accuracy)).mean(axis=0)
    return concave(x, np.asarray(valuation.inverse(expected)), curve.chance)
