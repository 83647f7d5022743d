"""Valuations v(accuracy): what a model of some accuracy is worth to a participant, in units of cost.

Every valuation is increasing and concave with v(0) = 0, a JAX pytree whose parameters may be batches, and
knows its inverse, by which a promised value becomes the accuracy of the model to deliver.
"""

from __future__ import annotations

import dataclasses
from abc import abstractmethod
from typing import Any, ClassVar

import numpy as np

from contracts import checks
from contracts.numeric import library, parameter
from contracts.pytrees import register
from contracts.records import frozen


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
            value = checks.array("value", value, ndim=None, low=0.0, high=float(self.scale), empty=True)
        return self.inverse_formula(value, xp)

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


FAMILIES: dict[str, type[Valuation]] = {
    cls.family: cls for cls in (LinearValuation, PowerValuation, ExponentialUtility, LogarithmicValuation)
}
