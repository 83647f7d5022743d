"""What a learning curve is."""

from __future__ import annotations

import dataclasses
from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from contracts import checks
from contracts.numeric import library, parameter

if TYPE_CHECKING:
    from contracts.measured.confidence_region import ConfidenceRegion
    from contracts.measured.evidence import Evidence
    from contracts.problem.valuation import Valuation


class AccuracyCurve:
    """A learning curve; subclasses give its optimum, its floor and how far it falls short.

    A family of your own is a frozen dataclass registered by `contracts.register` (not by JAX's own functions,
    with which JAX takes curves of different classes for each other). Its formula may depend on nothing but its
    fields, which may be numbers, arrays or, named in `meta`, anything hashable.

    Attributes:
        family: the name by which files call the family.
        settled: whether equal fields mean equal curves for ever, so that results may be remembered and compiled.
        optimum: the accuracy approached with unlimited data, never exceeded (subclasses define it).

    >>> from dataclasses import dataclass
    >>> from contracts import register
    >>> @register
    ... @dataclass(frozen=True, kw_only=True, eq=False)
    ... class Hyperbola(AccuracyCurve):
    ...     optimum: float
    ...     half: float
    ...     floor = 0.0
    ...     def shortfall(self, data, xp):
    ...         return self.optimum * self.half / (data + self.half)
    >>> float(Hyperbola(optimum=0.8, half=50.0)(50.0))
    0.4
    """

    family: ClassVar[str]
    settled: ClassVar[bool] = True
    optimum: Any

    @property
    def natural_rates(self) -> np.ndarray | None:
        """Decay rates (per datum) of which the loss, and functions of it, are made, where they are known."""
        return None

    @property
    def region(self) -> ConfidenceRegion | None:
        """The curves of which this one may be any, where it is not known for certain."""
        return None

    @property
    def known(self) -> bool:
        """Whether it is taken for the true one, so that promises are made on itself."""
        return self.region is None

    @property
    def usual(self) -> AccuracyCurve:
        """The curve that stands for it where one is enough: itself."""
        return self

    @property
    def evidence(self) -> Evidence | None:
        """What measurements say for and against it; None where it is stated without any."""
        return None

    def promised(self, most_data: float, valuation: Valuation | None = None) -> AccuracyCurve:  # noqa: ARG002
        """The curve on which promises are made, up to an amount of data: itself, where it is known."""
        return self

    @property
    def at_best(self) -> AccuracyCurve:
        """The best that training alone may hope for: itself, where it is known."""
        return self

    @abstractmethod
    def shortfall(self, data: Any, xp: Any) -> Any:
        """Accuracy missing to the optimum, precise however small; above the optimum on the floor."""

    def formula(self, data: Any, xp: Any) -> Any:
        """Accuracy by the array library `xp`, for data >= 0 of any shape that broadcasts."""
        return xp.maximum(self.optimum - self.shortfall(data, xp), 0.0)

    @property
    @abstractmethod
    def floor(self) -> float:
        """The largest amount of data with which accuracy is still zero."""

    def __call__(self, data: Any) -> Any:
        """Accuracy of a model trained on `data` (>= 0, any shape), in [0, optimum].

        Numbers and NumPy arrays give NumPy float64; JAX arrays give JAX arrays.
        """
        xp = library(self, data)
        if xp is np:
            data = checks.array("data", data, ndim=None, low=0.0, empty=True)
        return self.formula(data, xp)

    def parameters(self) -> dict[str, Any]:
        """The curve as plain numbers and lists, as a file stores it."""
        fields = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}  # type: ignore[arg-type]
        return {"family": self.family} | {
            name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in fields.items()
        }


def set_parameter(curve: AccuracyCurve, name: str, **interval: Any) -> None:
    """Check a parameter of a curve and keep it in canonical form."""
    object.__setattr__(curve, name, parameter(name, getattr(curve, name), **interval))
