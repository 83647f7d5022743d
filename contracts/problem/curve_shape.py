"""Where a curve has the shape that the theory asks for."""

from __future__ import annotations

from typing import Any

import numpy as np

from contracts.errors import InvalidInput
from contracts.problem.curve import AccuracyCurve
from contracts.records import frozen


@frozen
class Shape:
    """Where a curve has the shape that the theory asks for, on the range inspected.

    Attributes:
        low, high: the range inspected, in data; the floor is left out.
        decreasing: ranges (from, to) on which accuracy decreases.
        convex: ranges (from, to) on which accuracy is not concave.
    """

    low: float
    high: float
    decreasing: tuple[tuple[float, float], ...]
    convex: tuple[tuple[float, float], ...]

    @property
    def increasing(self) -> bool:
        """Whether accuracy never decreases on the range."""
        return not self.decreasing

    @property
    def concave(self) -> bool:
        """Whether accuracy is concave on the range."""
        return not self.convex


def inspect(curve: AccuracyCurve, *, low: float | None = None, high: float = 1e9, points: int = 4000) -> Shape:
    """Look for ranges where a curve decreases or is not concave.

    Args:
        curve: the curve.
        low: where to start; by default just above the floor (or at 1e-9 of `high`).
        high: where to stop, in data.
        points: logarithmically spaced points at which neighbouring slopes are compared.

    Returns:
        The `Shape`; deviations below the rounding of the accuracies (1e-13) are not reported.

    >>> from contracts import CustomCurve, GeneralizationBound
    >>> inspect(GeneralizationBound()).concave
    True
    >>> inspect(CustomCurve(function=lambda x: x**2 / (x**2 + 1e4)), high=1e6).convex[0][1]
    57.8...
    """
    start = max(curve.floor, 1e-9 * high) if low is None else low
    x = np.geomspace(start, high, points)
    y = curve(x)
    below_optimum(x, y, curve.optimum)
    if not np.isfinite(y).all():
        raise InvalidInput(f"accuracy at {x[~np.isfinite(y)][0]:g} data is not finite")
    step = np.diff(y)
    slope = step / np.diff(x)
    # Rounding of y moves a slope by 2e-16/step(x): only larger changes are changes of shape.
    noise = 1e-13 / np.diff(x)
    bends = np.diff(slope) > 2.0 * (noise[1:] + noise[:-1])
    return Shape(
        low=start,
        high=high,
        decreasing=_ranges(step < -1e-13, x[:-1], x[1:]),
        convex=_ranges(bends, x[:-2], x[2:]),
    )


def below_optimum(data: np.ndarray, accuracy: np.ndarray, optimum: Any) -> None:
    """Refuse accuracies above what is stated as the most that there can be."""
    most = np.max(optimum)
    for k in np.flatnonzero(accuracy > most + 1e-12)[:1]:
        raise InvalidInput(
            f"accuracy at {data[k]:g} data is {accuracy[k]:.9g}: expected at most the optimum {most:g}"
        )


def _ranges(flags: np.ndarray, left: np.ndarray, right: np.ndarray) -> tuple[tuple[float, float], ...]:
    edges = np.flatnonzero(np.diff(np.r_[False, flags, False]))
    return tuple((float(left[a]), float(right[b - 1])) for a, b in zip(edges[::2], edges[1::2], strict=True))
