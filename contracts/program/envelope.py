r"""Concave envelopes of an increasing curve on intervals, many intervals at once.

The curve is held as a table fine enough that between its points it bulges above the chord by no more than a
stated error; where it bends downward the table is cut into concave runs, on which the point that is highest
above a line of a given slope is found by bisection. The envelope on [low, high] over a point is found as a
convex hull is: start from the chord between the ends and go to the highest point above it.

Source: ours (the hull of Barber, Dobkin and Huhdanpaa 1996 in two dimensions, only around the point asked for).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

COARSE, MOST_POINTS = 1200, 20_000
BULGE = 1e-7  # of the largest value: to what the table is refined
ON_CURVE = 1e-9


class Curve(NamedTuple):
    """An increasing curve as a table.

    Attributes:
        x, y: the table, shape (points,).
        runs: first and last index of every concave run of more than a cell, shape (runs, 2).
        slopes: of each cell, falling within each run, shape (points - 1,).
        error: by how much the curve may lie above the chords of the table.
        bulging: number of cells before each point in which it may do so, shape (points,).
        gradients: slope at each point, for the curve between points as cubics, shape (points,).
    """

    x: np.ndarray
    y: np.ndarray
    runs: np.ndarray
    slopes: np.ndarray
    error: float
    bulging: np.ndarray
    gradients: np.ndarray


def tabulate(function: Callable[[np.ndarray], Any], marks: np.ndarray, high: float) -> Curve:
    """Tabulate an increasing function with values in [0, 1] on [0, high].

    Args:
        function: vectorised over the argument.
        marks: points > 0 where the function has kinks, or around which it changes.
        high: end of the range.
    """
    low = min(1e-3 * float(marks.min()), 1e-6 * high)
    x = np.union1d(np.r_[0.0, marks[marks < high], high], np.geomspace(low, high, COARSE))
    y = np.asarray(function(x), dtype=float)
    while x.size < MOST_POINTS:
        wide = np.flatnonzero(_bulges(x, y) > BULGE)
        wide = wide[np.diff(x)[wide] > 1e-9 * x[wide + 1]]
        if not wide.size:
            break
        middles = 0.5 * (x[wide] + x[wide + 1])
        x, y = (
            np.insert(x, wide + 1, middles),
            np.insert(y, wide + 1, np.asarray(function(middles), dtype=float)),
        )
    y = np.maximum.accumulate(y)
    # Of level stretches the ends are kept, and a point next to each: slopes there are zero.
    flat = np.r_[False, np.diff(y) == 0.0, False]
    inner = np.r_[False, flat[1:-2] & flat[2:-1], False] if y.size > 2 else flat[:-1]
    level = inner & np.r_[False, inner[:-1]] & np.r_[inner[1:], False]
    return _curve(x[~level], y[~level])


def _bulges(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """How far the curve may rise above the chord of each cell, if it bends no more than its neighbours show."""
    width = np.diff(x)
    slope = np.diff(y) / width
    before, after = np.r_[slope[:1], slope[:-1]], np.r_[slope[1:], slope[-1:]]
    # Nor more than it rises in all: curves increase.
    return np.clip(0.25 * (before - after) * width, 0.0, np.maximum(np.diff(y), 0.0))


def _curve(x: np.ndarray, y: np.ndarray) -> Curve:
    width = np.diff(x)
    slopes = np.diff(y) / width
    noise = 1e-14 * (1.0 / width[1:] + 1.0 / width[:-1])
    rises = np.flatnonzero(np.diff(slopes) > noise + 1e-12 * slopes[:-1]) + 1
    runs = np.column_stack([np.r_[0, rises], np.r_[rises, x.size - 1]])
    # Nothing is highest inside a run of one cell: those are what convex stretches fall into.
    runs = runs[np.diff(runs, axis=1)[:, 0] > 1]
    falling = slopes.copy()
    for first, last in runs:
        falling[first:last] = np.minimum.accumulate(slopes[first:last])
    bulges = _bulges(x, y)
    error = float(bulges.max()) + 1e-15
    inside = (width[1:] * slopes[:-1] + width[:-1] * slopes[1:]) / (width[1:] + width[:-1])
    bulging = np.r_[0, np.cumsum(bulges > 1e-14)]
    return Curve(x, y, runs, falling, error, bulging, np.r_[slopes[0], inside, slopes[-1]])


def value(curve: Curve, at: np.ndarray) -> np.ndarray:
    """The curve at any points, between the points of the table by chords."""
    return np.interp(at, curve.x, curve.y)


def allowance(curve: Curve, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """By how much the curve may lie above the chords of its table on each [low, high], shape (n,)."""
    first = np.maximum(np.searchsorted(curve.x, low, side="right") - 1, 0)
    last = np.minimum(np.searchsorted(curve.x, high), curve.x.size - 1)
    return np.where(curve.bulging[last] > curve.bulging[first], curve.error, 0.0)


def smooth(curve: Curve, at: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Value, slope and curvature, between the points of the table by cubics."""
    k = np.clip(np.searchsorted(curve.x, at) - 1, 0, curve.x.size - 2)
    width = curve.x[k + 1] - curve.x[k]
    share = (at - curve.x[k]) / width
    rise, first, last = curve.y[k + 1] - curve.y[k], curve.gradients[k] * width, curve.gradients[k + 1] * width
    square, cubic = 3.0 * rise - 2.0 * first - last, first + last - 2.0 * rise
    level = curve.y[k] + share * (first + share * (square + share * cubic))
    beta = (first + share * (2.0 * square + 3.0 * share * cubic)) / width
    return level, np.maximum(beta, 0.0), (2.0 * square + 6.0 * share * cubic) / width**2


def highest(curve: Curve, beta: np.ndarray, low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where on [low, high] the curve is highest above a line of slope beta, and by how much; all shape (n,)."""
    places = [low, high]
    for first, last in curve.runs:
        index = first + np.searchsorted(-curve.slopes[first:last], -beta)
        places.append(np.clip(curve.x[index], low, high))
    found = np.stack(places)
    above = value(curve, found) - beta * found
    best = np.argmax(above, axis=0)
    columns = np.arange(low.size)
    return found[best, columns], above[best, columns]


class Envelope(NamedTuple):
    """The concave envelope at points: value, slope and curvature there, all shape (n,)."""

    value: np.ndarray
    slope: np.ndarray
    bend: np.ndarray


def on_curve(
    curve: Curve, low: np.ndarray, high: np.ndarray, at: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Value, slope and curvature of the envelope where it is the curve itself; the value is nan elsewhere."""
    level, beta, bend = smooth(curve, at)
    _, above = highest(curve, beta, low, high)
    return np.where(above - (level - beta * at) > ON_CURVE, np.nan, level), beta, np.minimum(bend, 0.0)


def envelope(curve: Curve, low: np.ndarray, high: np.ndarray, at: np.ndarray) -> Envelope:
    """The concave envelope of the curve on each [low, high] at one point of each."""
    at = np.clip(at, low, high)
    level, beta, bend = on_curve(curve, low, high, at)
    off = np.flatnonzero(np.isnan(level))
    if off.size:
        ends = edge(curve, low[off], high[off], at[off])
        level[off], beta[off] = chord(curve, *ends, at[off])
        bend[off] = 0.0
    return Envelope(level, beta, bend)


def chord(curve: Curve, left: np.ndarray, right: np.ndarray, at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Value at a point and slope of the chord between two points of the curve."""
    start, width = value(curve, left), right - left
    rise = np.where(width > 0, (value(curve, right) - start) / np.where(width > 0, width, 1.0), 0.0)
    return start + rise * (at - left), rise


def edge(curve: Curve, low: np.ndarray, high: np.ndarray, at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The ends of the edge of the hull over a point."""
    left, right = low.copy(), high.copy()
    going = np.arange(low.size)
    for _ in range(60):
        a, b, x = left[going], right[going], at[going]
        level, rise = chord(curve, a, b, x)
        place, above = highest(curve, rise, low[going], high[going])
        higher = above - (level - rise * x) > 1e-11
        going, place, x = going[higher], place[higher], x[higher]
        if not going.size:
            break
        right[going] = np.where(place > x, place, right[going])
        left[going] = np.where(place <= x, place, left[going])
    return left, right
