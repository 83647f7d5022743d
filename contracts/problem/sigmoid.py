"""Learning curves that are S-shaped where their exponent is above 1, and concave from the first datum otherwise.

Both are among the families that fit measured learning curves best.

Source: T. Viering and M. Loog, "The Shape of Learning Curves: A Review", IEEE TPAMI 2023 (arXiv 2103.10948),
Table 1; for Hill's form, there called MMF: P. Morgan, L. P. Mercer and N. W. Flodin, PNAS 1975.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

from contracts.problem.curve import AccuracyCurve, set_parameter
from contracts.pytrees import register
from contracts.records import frozen

STEEPEST = 10.0
NOTHING = 1e-12  # of the scale: below it a curve is continued straight to zero, for its slope may be infinite


class Sigmoid(AccuracyCurve):
    """What the two have in common: an optimum, a scale in data and an exponent; no floor."""

    optimum: Any
    scale: Any
    exponent: Any

    def __post_init__(self) -> None:
        set_parameter(self, "optimum", low=0.0, high=1.0, open_low=True)
        set_parameter(self, "scale", low=0.0, open_low=True)
        set_parameter(self, "exponent", low=0.0, high=STEEPEST, open_low=True)

    @property
    def floor(self) -> float:
        """No floor: accuracy is positive from the first datum."""
        return 0.0

    def shortfall(self, data: Any, xp: Any) -> Any:
        """See `AccuracyCurve.shortfall`."""
        share = data / self.scale
        power = xp.exp(xp.minimum(self.exponent * xp.log(xp.maximum(share, NOTHING)), 700.0))
        near = 1.0 - NOTHING**self.exponent * share / NOTHING  # all of it without data
        return self.optimum * xp.where(share < NOTHING, near, self.left(power, xp))

    @abstractmethod
    def left(self, power: Any, xp: Any) -> Any:
        """What is left of the loss, by data in units of the scale to the power of the exponent."""


@register
@frozen
class Weibull(Sigmoid):
    """Accuracy `optimum * (1 - exp(-(data / scale)**exponent))`.

    Args:
        optimum: accuracy with unlimited data, in (0, 1].
        scale: data with which all but 1/e of the optimum is reached, > 0.
        exponent: in (0, 10]; up to 1 the curve is concave, above it is S-shaped.

    >>> round(float(Weibull(optimum=0.9, scale=100.0, exponent=0.5)(100.0)), 4)
    0.5689
    """

    family = "weibull"
    optimum: Any = 1.0
    scale: Any = 100.0
    exponent: Any = 1.0

    def left(self, power: Any, xp: Any) -> Any:
        """See `Sigmoid.left`."""
        return xp.exp(-power)


@register
@frozen
class Hill(Sigmoid):
    """Accuracy `optimum * data**exponent / (scale**exponent + data**exponent)`.

    Args:
        optimum: accuracy with unlimited data, in (0, 1].
        scale: data with which half of the optimum is reached, > 0.
        exponent: in (0, 10]; up to 1 the curve is concave, above it is S-shaped.

    >>> round(float(Hill(optimum=0.9, scale=100.0, exponent=2.0)(200.0)), 4)
    0.72
    """

    family = "hill"
    optimum: Any = 1.0
    scale: Any = 100.0
    exponent: Any = 1.0

    def left(self, power: Any, xp: Any) -> Any:  # noqa: ARG002
        """See `Sigmoid.left`."""
        return 1.0 / (1.0 + power)
