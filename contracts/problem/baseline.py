r"""Accuracy and worth counted from what everybody has without any data.

A coin flip is right half of the time; so is whoever knows only which class is commonest. With such a baseline b
the model trained on x data is as good as max(b, a(x)), and what joining is worth begins at v(b):

    a_b(x) = max(b, a(x)) - b,    v_b(y) = v(b + y) - v(b).

a_b is a learning curve like others, with a floor where a reaches b, and v_b a valuation like others: everything
that is known of plain problems holds for them.

Source: ours.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from contracts.errors import InvalidInput
from contracts.problem.accuracy import AccuracyCurve
from contracts.problem.valuation import Valuation
from contracts.pytrees import register
from contracts.records import frozen


@register
@frozen
class AboveBaseline(AccuracyCurve):
    """What a curve adds to a baseline; its own floor ends where the curve reaches the baseline.

    Args:
        curve: the curve.
        baseline: accuracy that everybody has, in (0, the curve's optimum).

    >>> from contracts import PowerLaw
    >>> added = AboveBaseline(curve=PowerLaw(optimum=0.9, coefficient=1.8, exponent=0.5), baseline=0.5)
    >>> round(added.floor, 6), float(added(324.0).round(6))
    (20.25, 0.3)
    """

    family = "above-baseline"
    curve: AccuracyCurve
    baseline: Any

    @property
    def optimum(self) -> Any:  # type: ignore[override]
        """The most that can be added."""
        return self.curve.optimum - self.baseline

    @property
    def natural_rates(self) -> np.ndarray | None:
        """Those of the curve."""
        return self.curve.natural_rates

    def shortfall(self, data: Any, xp: Any) -> Any:
        """See `AccuracyCurve.shortfall`."""
        return self.curve.shortfall(data, xp)

    @property
    def floor(self) -> float:
        """The data with which the curve reaches the baseline."""
        return _reaches(self.curve, float(self.baseline))

    def parameters(self) -> dict[str, Any]:
        """Not available: files hold the curve and the baseline."""
        raise InvalidInput("accuracy: a curve above a baseline is stored as the curve and the baseline")


@lru_cache(maxsize=256)
def _reaches(curve: AccuracyCurve, baseline: float) -> float:
    """The data with which a curve reaches a level, to machine precision."""

    def missing(log_data: float) -> float:
        return float(curve.optimum) - float(curve.shortfall(np.exp(log_data), np)) - baseline

    if float(curve(0.0)) >= baseline:
        return 0.0
    low, high = -50.0, 0.0
    while missing(high) < 0.0:
        high += 5.0
        if high > 700.0:
            raise InvalidInput(f"baseline = {baseline:g}: expected an accuracy that the curve reaches")
    while missing(low) > 0.0:
        low -= 50.0
        if low < -700.0:
            return 0.0
    from scipy import optimize

    root: Any = optimize.brentq(missing, low, high, xtol=1e-15)
    return float(np.exp(root))


@register
@frozen
class WorthAboveBaseline(Valuation):
    """What models are worth beyond one of the baseline's accuracy, by the accuracy they add to it.

    Args:
        valuation: the valuation.
        baseline: accuracy that everybody has, in (0, 1).

    >>> from contracts import PowerValuation
    >>> worth = WorthAboveBaseline(valuation=PowerValuation(scale=10.0, exponent=0.5), baseline=0.25)
    >>> float(worth(0.0)), float(worth(0.75)), float(worth.inverse(5.0))
    (0.0, 5.0, 0.75)
    """

    family = "above-baseline"
    valuation: Valuation
    baseline: Any

    @property
    def linear(self) -> bool:  # type: ignore[override]
        """Whether value is proportional to the accuracy added."""
        return self.valuation.linear

    @property
    def scale(self) -> Any:  # type: ignore[override]
        """The value of a perfect model beyond the baseline's, were it as much as of one of accuracy 1."""
        return self.valuation.scale

    def formula(self, accuracy: Any, xp: Any) -> Any:
        """See `Valuation.formula`."""
        level = self.valuation.formula(self.baseline + accuracy, xp)
        return level - self.valuation.formula(xp.asarray(self.baseline), xp)

    def inverse_formula(self, value: Any, xp: Any) -> Any:
        """See `Valuation.inverse_formula`."""
        worth = value + self.valuation.formula(xp.asarray(self.baseline), xp)
        return self.valuation.inverse_formula(worth, xp) - self.baseline

    def loss(self, top: Any, shortfall: Any, xp: Any) -> Any:
        """See `Valuation.loss`."""
        return self.valuation.loss(self.baseline + top, shortfall, xp)

    def parameters(self) -> dict[str, Any]:
        """Not available: files hold the valuation and the baseline."""
        raise InvalidInput("valuation: worth above a baseline is stored as the valuation and the baseline")


def above(curve: AccuracyCurve, valuation: Valuation, baseline: float) -> tuple[AccuracyCurve, Valuation]:
    """Curve and valuation counted from a baseline; themselves where it is zero."""
    if baseline == 0.0:
        return curve, valuation
    return AboveBaseline(curve=curve, baseline=baseline), WorthAboveBaseline(
        valuation=valuation, baseline=baseline
    )
