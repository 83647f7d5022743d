"""Valuations v(accuracy): what a model of some accuracy is worth to a participant, in units of cost.

Every valuation is increasing and concave with v(0) = 0, a JAX pytree whose parameters may be batches, and
knows its inverse, by which a promised value becomes the accuracy of the model to deliver.
"""

from __future__ import annotations

import dataclasses
from abc import abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple

import numpy as np

from contracts import checks
from contracts.numeric import library, parameter
from contracts.pytrees import register
from contracts.records import frozen

ROUNDING = 1e-12  # relative, by which a formula may exceed its scale


class Valuation:
    """Value of a model by its accuracy.

    Attributes:
        family: the name by which files call the family.
        scale: the value of a model of accuracy 1.
        linear: whether value is proportional to accuracy.
    """

    family: ClassVar[str]
    scale: Any
    linear: ClassVar[bool] = False

    @abstractmethod
    def formula(self, accuracy: Any, xp: Any) -> Any:
        """Value by the array library `xp`."""

    @abstractmethod
    def inverse_formula(self, value: Any, xp: Any) -> Any:
        """Accuracy by the array library `xp`."""

    @abstractmethod
    def loss(self, top: Any, shortfall: Any, xp: Any) -> Any:
        """v(top) - v(top - shortfall), precise however small the shortfall (0 <= shortfall <= top)."""

    def __call__(self, accuracy: Any) -> Any:
        """Value of models of the given accuracies (in [0, 1], any shape), in units of cost."""
        xp = library(self, accuracy)
        if xp is np:
            accuracy = checks.array("accuracy", accuracy, ndim=None, low=0.0, high=1.0, empty=True)
        return self.formula(accuracy, xp)

    def inverse(self, value: Any) -> Any:
        """Accuracy of the models worth the given values (in [0, v(1)], any shape)."""
        xp = library(self, value)
        if xp is np:
            most = float(self.scale)
            value = checks.array("value", value, ndim=None, low=0.0, high=most * (1.0 + ROUNDING), empty=True)
            value = np.minimum(value, most)
        return xp.minimum(self.inverse_formula(value, xp), 1.0)

    def parameters(self) -> dict[str, Any]:
        """The valuation as plain numbers, as a file stores it."""
        fields = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}  # type: ignore[arg-type]
        return {"family": self.family} | fields

    def _set(self, name: str, **interval: Any) -> None:
        object.__setattr__(self, name, parameter(name, getattr(self, name), **interval))


@register
@frozen
class LinearValuation(Valuation):
    """Value `scale * accuracy`, the papers' choice.

    Args:
        scale: value of a perfect model, > 0, in units of cost.

    >>> float(LinearValuation(scale=100.0)(0.84))
    84.0
    """

    family = "linear"
    linear = True
    scale: Any = 1.0

    def __post_init__(self) -> None:
        self._set("scale", low=0.0, open_low=True)

    def formula(self, accuracy: Any, xp: Any) -> Any:  # noqa: ARG002
        """See `Valuation.formula`."""
        return self.scale * accuracy

    def inverse_formula(self, value: Any, xp: Any) -> Any:  # noqa: ARG002
        """See `Valuation.inverse_formula`."""
        return value / self.scale

    def loss(self, top: Any, shortfall: Any, xp: Any) -> Any:  # noqa: ARG002
        """See `Valuation.loss`."""
        return self.scale * shortfall


@register
@frozen
class PowerValuation(Valuation):
    """Value `scale * accuracy**exponent`.

    Args:
        scale: value of a perfect model, > 0.
        exponent: in (0, 1]; less than one means decreasing marginal value.

    >>> float(PowerValuation(scale=10.0, exponent=0.5)(0.25))
    5.0
    """

    family = "power"
    scale: Any = 1.0
    exponent: Any = 0.5

    def __post_init__(self) -> None:
        self._set("scale", low=0.0, open_low=True)
        self._set("exponent", low=0.0, high=1.0, open_low=True)

    def formula(self, accuracy: Any, xp: Any) -> Any:  # noqa: ARG002
        """See `Valuation.formula`."""
        return self.scale * accuracy**self.exponent

    def inverse_formula(self, value: Any, xp: Any) -> Any:  # noqa: ARG002
        """See `Valuation.inverse_formula`."""
        return (value / self.scale) ** (1.0 / self.exponent)

    def loss(self, top: Any, shortfall: Any, xp: Any) -> Any:
        """See `Valuation.loss`."""
        share = xp.minimum(shortfall / top, 1.0)
        safe = xp.where(share < 1.0, share, 0.0)
        kept = xp.where(share < 1.0, xp.expm1(self.exponent * xp.log1p(-safe)), -1.0)
        return -self.scale * top**self.exponent * kept


@register
@frozen
class ExponentialUtility(Valuation):
    """Constant absolute risk aversion: `scale * (1 - exp(-r a)) / (1 - exp(-r))`.

    Args:
        scale: value of a perfect model, > 0.
        risk_aversion: r, in (0, 1e9], per unit of accuracy.

    >>> float(ExponentialUtility(scale=10.0, risk_aversion=2.0)(1.0))
    10.0
    """

    family = "exponential-utility"
    scale: Any = 1.0
    risk_aversion: Any = 1.0

    def __post_init__(self) -> None:
        self._set("scale", low=0.0, open_low=True)
        self._set("risk_aversion", low=0.0, high=1e9, open_low=True)

    def formula(self, accuracy: Any, xp: Any) -> Any:
        """See `Valuation.formula`."""
        return self.scale * xp.expm1(-self.risk_aversion * accuracy) / xp.expm1(-self.risk_aversion)

    def inverse_formula(self, value: Any, xp: Any) -> Any:
        """See `Valuation.inverse_formula`."""
        # Where the last values differ by less than rounding, the least accuracy that has them.
        share = value / self.scale * xp.expm1(-self.risk_aversion)
        return xp.minimum(-xp.log1p(xp.maximum(share, -1.0 + 2.0**-53)) / self.risk_aversion, 1.0)

    def loss(self, top: Any, shortfall: Any, xp: Any) -> Any:
        """See `Valuation.loss`."""
        r = self.risk_aversion
        return self.scale * xp.exp(-r * (top - shortfall)) * xp.expm1(-r * shortfall) / xp.expm1(-r)


@register
@frozen
class LogarithmicValuation(Valuation):
    """Value `scale * log(1 + k a) / log(1 + k)`.

    Args:
        scale: value of a perfect model, > 0.
        sensitivity: k, in (0, 1e100]; the larger, the sooner further accuracy is worth little.

    >>> round(float(LogarithmicValuation(scale=10.0, sensitivity=8.0)(0.25)), 6)
    5.0
    """

    family = "logarithmic"
    scale: Any = 1.0
    sensitivity: Any = 1.0

    def __post_init__(self) -> None:
        self._set("scale", low=0.0, open_low=True)
        self._set("sensitivity", low=0.0, high=1e100, open_low=True)

    def formula(self, accuracy: Any, xp: Any) -> Any:
        """See `Valuation.formula`."""
        return self.scale * xp.log1p(self.sensitivity * accuracy) / xp.log1p(self.sensitivity)

    def inverse_formula(self, value: Any, xp: Any) -> Any:
        """See `Valuation.inverse_formula`."""
        return xp.expm1(value / self.scale * xp.log1p(self.sensitivity)) / self.sensitivity

    def loss(self, top: Any, shortfall: Any, xp: Any) -> Any:
        """See `Valuation.loss`."""
        k = self.sensitivity
        return self.scale * xp.log1p(k * shortfall / (1.0 + k * (top - shortfall))) / xp.log1p(k)


class _Measure(NamedTuple):
    """A loss by the score a in [0, 1] that stands for it, its inverse, and what a shortfall adds to it."""

    loss: Callable[[Any, Any], Any]
    score: Callable[[Any, Any], Any]
    added: Callable[[Any, Any, Any], Any]
    least: float


LOSSES: dict[str, _Measure] = {
    "cross-entropy": _Measure(
        lambda a, xp: -xp.log(a),
        lambda loss, xp: xp.exp(-loss),
        lambda top, missing, xp: -xp.log1p(-missing / top),
        0.0,
    ),
    "perplexity": _Measure(
        lambda a, xp: 1.0 / a,  # noqa: ARG005
        lambda loss, xp: 1.0 / loss,  # noqa: ARG005
        lambda top, missing, xp: missing / (top * (top - missing)),  # noqa: ARG005
        1.0,
    ),
    "error": _Measure(
        lambda a, xp: 1.0 - a,  # noqa: ARG005
        lambda loss, xp: 1.0 - loss,  # noqa: ARG005
        lambda top, missing, xp: missing,  # noqa: ARG005
        0.0,
    ),
}


@register(meta=["of"])
@frozen
class LossValuation(Valuation):
    """Value that falls in proportion to the loss itself: `scale` with none, nothing from `reference` on.

    The score a that stands for a loss is exp(-loss) for a cross-entropy, 1 / perplexity, 1 - error, as
    `contracts.measured.scores` maps measurements. In the loss value is linear; in the score it is concave above
    the reference's, which is the `baseline` of the problem.

    Args:
        scale: value of a model without any loss, > 0, in units of cost.
        reference: the loss of what everybody has without data, such as log(classes) nats; > 0, a perplexity > 1,
            an error at most 1.
        of: "cross-entropy" (nats), "perplexity" or "error".

    >>> worth = LossValuation(scale=100.0, reference=4.0)
    >>> worth(np.exp([-4.0, -3.0, -1.0])).round(6)
    array([ 0., 25., 75.])
    """

    family = "loss"
    scale: Any = 1.0
    reference: Any = 1.0
    of: str = "cross-entropy"

    def __post_init__(self) -> None:
        checks.choice("of", self.of, tuple(LOSSES))
        self._set("scale", low=0.0, open_low=True)
        high = {"cross-entropy": 700.0, "perplexity": 1e300, "error": 1.0}[self.of]
        self._set("reference", low=LOSSES[self.of].least, high=high, open_low=True)

    @property
    def without_data(self) -> float:
        """The score of the reference: below it models are worth nothing."""
        return float(LOSSES[self.of].score(self.reference, np))

    @property
    def _slope(self) -> Any:
        return self.scale / (self.reference - LOSSES[self.of].least)

    def formula(self, accuracy: Any, xp: Any) -> Any:
        """See `Valuation.formula`."""
        measure = LOSSES[self.of]
        above = xp.maximum(accuracy, measure.score(self.reference, xp))
        return self._slope * xp.maximum(self.reference - measure.loss(above, xp), 0.0)

    def inverse_formula(self, value: Any, xp: Any) -> Any:
        """See `Valuation.inverse_formula`."""
        return xp.where(value > 0.0, LOSSES[self.of].score(self.reference - value / self._slope, xp), 0.0)

    def loss(self, top: Any, shortfall: Any, xp: Any) -> Any:
        """See `Valuation.loss`."""
        measure = LOSSES[self.of]
        missing = xp.minimum(shortfall, xp.maximum(top - measure.score(self.reference, xp), 0.0))
        return self._slope * measure.added(top, missing, xp)


FAMILIES: dict[str, type[Valuation]] = {
    cls.family: cls
    for cls in (LinearValuation, PowerValuation, ExponentialUtility, LogarithmicValuation, LossValuation)
}
