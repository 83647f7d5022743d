"""A set of curves of some posterior mass, under every one of which values are promised."""

from __future__ import annotations

from typing import Any

import numpy as np

from contracts.errors import InvalidInput
from contracts.measured.curve_posterior import CurveDraws
from contracts.problem.curve import AccuracyCurve
from contracts.records import frozen


@frozen
class CurveSet:
    """Curves drawn from a posterior, the most extreme left out.

    Attributes:
        curves: those that are kept.
        level: which share of the draws they are.
    """

    curves: CurveDraws
    level: float

    finite = True
    point = False

    @classmethod
    def central(cls, draws: CurveDraws, level: float) -> CurveSet:
        """The share `level` of draws that are least extreme anywhere: by their most extreme rank."""
        number = len(draws.accuracy)
        above = (draws.accuracy[:, None, :] < draws.accuracy[None, :, :]).mean(axis=1)
        below = (draws.accuracy[:, None, :] > draws.accuracy[None, :, :]).mean(axis=1)
        extreme = np.maximum(above, below).max(axis=1)
        kept = np.argsort(extreme, kind="stable")[: int(np.ceil(level * number))]
        chosen = CurveDraws(data=draws.data, accuracy=draws.accuracy[np.sort(kept)], baseline=draws.baseline)
        return cls(curves=chosen, level=level)

    @property
    def data(self) -> np.ndarray:
        """Sizes at which they are kept."""
        return self.curves.data

    @property
    def least(self) -> np.ndarray:
        """The lowest accuracy of any curve at each size."""
        return self.curves.accuracy.min(axis=0)

    @property
    def most(self) -> np.ndarray:
        """The highest accuracy of any curve at each size."""
        return self.curves.accuracy.max(axis=0)

    @property
    def members(self) -> np.ndarray:
        """One row for each curve, by which `accuracy` knows it, shape (curves, 1)."""
        return np.arange(len(self.curves.accuracy))[:, None]

    def accuracy(self, parameters: np.ndarray, data: np.ndarray) -> np.ndarray:
        """Accuracies of members at amounts of data, shape (curves, amounts)."""
        chosen = parameters[:, 0].astype(int)
        some = CurveDraws(
            data=self.curves.data, accuracy=self.curves.accuracy[chosen], baseline=self.curves.baseline
        )
        return some(data)


@frozen
class Envelope(AccuracyCurve):
    """The highest accuracy of curves at every size, as they are interpolated; known to NumPy only.

    Args:
        of: the curves.
    """

    family = "envelope"
    of: CurveSet

    @property
    def optimum(self) -> Any:  # type: ignore[override]
        """The highest at the last size."""
        return float(self.of.most[-1])

    @property
    def floor(self) -> float:
        """Not looked for: accuracy may leave zero later."""
        return 0.0

    def shortfall(self, data: Any, xp: Any) -> Any:  # noqa: ARG002
        """See `AccuracyCurve.shortfall`."""
        curves = CurveDraws(data=self.of.data, accuracy=self.of.most[None], baseline=self.of.curves.baseline)
        return self.optimum - curves(data)[0]

    def parameters(self) -> dict[str, Any]:
        """Not available: files hold the measured curve."""
        raise InvalidInput("accuracy: the best of many curves is stored as the measured curve")
