"""Learning curves through given points."""

from __future__ import annotations

from typing import Any

import numpy as np

from contracts import checks
from contracts.errors import InvalidInput
from contracts.numeric import batched
from contracts.problem.curve import AccuracyCurve
from contracts.pytrees import register
from contracts.records import frozen


class Interpolated(AccuracyCurve):
    """A curve through given points, (0, 0) added; beyond the last it stays constant."""

    data: Any
    accuracy: Any

    @property
    def optimum(self) -> Any:  # type: ignore[override]
        """The last tabulated accuracy."""
        return self.accuracy[-1]

    @property
    def floor(self) -> float:
        """No floor: accuracy is positive from the first datum."""
        return 0.0

    def knots(self, xp: Any) -> tuple[Any, Any]:
        """The points with (0, 0), each of shape (points + 1,)."""
        x, y = xp.asarray(self.data), xp.asarray(self.accuracy)
        return xp.concatenate([xp.zeros(1), x]), xp.concatenate([xp.zeros(1), y])


@register
@frozen
class Tabulated(Interpolated):
    """A smooth increasing concave curve through given points (Schumaker's quadratic spline).

    Between the points the curve is once continuously differentiable and keeps their monotonicity and
    concavity; before the first point it falls to (0, 0), which is added; beyond the last it stays constant.

    Args:
        data: amounts of data, increasing, > 0, shape (points,).
        accuracy: accuracies there, non-decreasing, in (0, 1], with non-increasing slopes, shape (points,).

    Raises:
        InvalidInput: the points are unsorted, decrease, or are not concave; the message names the points.

    Source: L. L. Schumaker, "On shape preserving quadratic spline interpolation", SIAM J. Numer. Anal. 1983.

    >>> Tabulated(data=[100, 400], accuracy=[0.5, 0.8])([50.0, 100.0, 400.0, 1e6]).round(3)
    array([0.333, 0.5  , 0.8  , 0.8  ])
    """

    family = "tabulated"
    data: Any
    accuracy: Any

    def __post_init__(self) -> None:
        if batched(self.data, 1) or batched(self.accuracy, 1):
            return  # tracers, or a batch that is checked when it is taken apart
        data, accuracy = _points(self.data, self.accuracy)
        x, y = np.r_[0.0, data], np.r_[0.0, accuracy]
        secants = np.diff(y) / np.diff(x)
        for k in np.flatnonzero(np.diff(secants) > 1e-12 * secants[0]):
            raise InvalidInput(
                f"accuracy[{k}] = {y[k + 1]:g} at {x[k + 1]:g} data lies below the chord from {x[k]:g} to"
                f" {x[k + 2]:g} data: expected a concave curve (fit a family, drop that point, or take"
                " MonotoneTabulated)"
            )
        object.__setattr__(self, "data", data)
        object.__setattr__(self, "accuracy", accuracy)

    def shortfall(self, data: Any, xp: Any) -> Any:
        """See `AccuracyCurve.shortfall`."""
        x, y = self.knots(xp)
        secant = (y[1:] - y[:-1]) / (x[1:] - x[:-1])
        # Harmonic means lie between the secants; the outermost slopes continue the curvature inside them.
        both = secant[1:] + secant[:-1]
        middle = xp.where(both > 0, 2.0 * secant[1:] * secant[:-1] / xp.where(both > 0, both, 1.0), 0.0)
        first = 2.0 * secant[:1] - (middle[:1] if secant.shape[0] > 1 else 0.0)
        slope = xp.concatenate([first, middle, xp.zeros(1)])
        cell = xp.clip(xp.searchsorted(x, data, side="right") - 1, 0, x.shape[0] - 2)
        ends = (x[cell], x[cell + 1], y[cell], y[cell + 1], slope[cell], slope[cell + 1])
        return self.optimum - _schumaker_cell(xp.minimum(data, x[-1]), *ends, xp)


def _schumaker_cell(t: Any, left: Any, right: Any, y0: Any, y1: Any, s0: Any, s1: Any, xp: Any) -> Any:
    """Two parabolas joined at a knot whose place keeps the middle slope between s0 and s1."""
    width = right - left
    secant = (y1 - y0) / width
    spread = s0 - s1
    safe = xp.where(spread > 0, spread, 1.0)
    # Both halves keep the shape when the middle slope equals the secant: knot at the matching share.
    share = xp.where(spread > 0, (secant - s1) / safe, 0.5)
    knot = left + width * xp.clip(share, 1e-9, 1.0 - 1e-9)
    middle = 2.0 * secant - (s0 * (knot - left) + s1 * (right - knot)) / width
    first, second = t - left, t - knot
    value_knot = y0 + 0.5 * (s0 + middle) * (knot - left)
    before = y0 + s0 * first + 0.5 * (middle - s0) / (knot - left) * first**2
    after = value_knot + middle * second + 0.5 * (s1 - middle) / (right - knot) * second**2
    return xp.where(t < knot, before, after)


@register
@frozen
class MonotoneTabulated(Interpolated):
    """A smooth increasing curve through given points, concave or not (monotone cubic interpolation).

    For measured curves as they are: inflections and plateaus stay. Before the first point the curve falls to
    (0, 0), which is added; beyond the last it stays constant. Contracts on it are proved by branch and bound.

    Args:
        data: amounts of data, increasing, > 0, shape (points,).
        accuracy: accuracies there, non-decreasing, in (0, 1], shape (points,).

    Raises:
        InvalidInput: the points are unsorted or decrease; the message names the points.

    Source: F. N. Fritsch and J. Butland, "A method for constructing local monotone piecewise cubic
    interpolants", SIAM J. Sci. Stat. Comput. 1984.

    >>> curve = MonotoneTabulated(data=[100, 200, 400], accuracy=[0.1, 0.6, 0.8])
    >>> curve([50.0, 100.0, 150.0, 400.0, 1e6]).round(3)
    array([0.042, 0.1  , 0.348, 0.8  , 0.8  ])
    """

    family = "monotone-tabulated"
    data: Any
    accuracy: Any

    def __post_init__(self) -> None:
        if batched(self.data, 1) or batched(self.accuracy, 1):
            return  # tracers, or a batch that is checked when it is taken apart
        data, accuracy = _points(self.data, self.accuracy)
        object.__setattr__(self, "data", data)
        object.__setattr__(self, "accuracy", accuracy)

    def shortfall(self, data: Any, xp: Any) -> Any:
        """See `AccuracyCurve.shortfall`."""
        x, y = self.knots(xp)
        width, rise = x[1:] - x[:-1], y[1:] - y[:-1]
        secant = rise / width
        # Weighted harmonic means keep every cubic monotone; at the ends the neighbouring secant does.
        first, second = 2.0 * width[1:] + width[:-1], width[1:] + 2.0 * width[:-1]
        flat = (secant[1:] <= 0.0) | (secant[:-1] <= 0.0)
        left, right = xp.where(flat, 1.0, secant[:-1]), xp.where(flat, 1.0, secant[1:])
        mean = xp.where(flat, 0.0, (first + second) / (first / left + second / right))
        slope = xp.concatenate([secant[:1], mean, xp.zeros(1)])
        cell = xp.clip(xp.searchsorted(x, data, side="right") - 1, 0, x.shape[0] - 2)
        share = (xp.minimum(data, x[-1]) - x[cell]) / width[cell]
        begin, end = slope[cell] * width[cell], slope[cell + 1] * width[cell]
        square, cubic = 3.0 * rise[cell] - 2.0 * begin - end, begin + end - 2.0 * rise[cell]
        return self.optimum - (y[cell] + share * (begin + share * (square + share * cubic)))


def _points(data: Any, accuracy: Any) -> tuple[np.ndarray, np.ndarray]:
    """Tabulated points, checked to increase."""
    data = checks.array("data", data, low=0.0, open_low=True)
    accuracy = checks.array("accuracy", accuracy, low=0.0, high=1.0, open_low=True, length=data.size)
    x, y = np.r_[0.0, data], np.r_[0.0, accuracy]
    for k in np.flatnonzero(np.diff(x) <= 0):
        raise InvalidInput(f"data[{k}] = {x[k + 1]:g}: expected more than data[{k - 1}] = {x[k]:g}")
    for k in np.flatnonzero(np.diff(y) < 0):
        raise InvalidInput(
            f"accuracy[{k}] = {y[k + 1]:g} is below accuracy[{k - 1}] = {y[k]:g}: expected a curve that"
            f" never decreases (between {x[k]:g} and {x[k + 1]:g} data)"
        )
    return data, accuracy
