"""Curves of a problem as tables so fine that lines nowhere below them on an interval are found by looking.

Slopes only decide how tight a line is; that it lies above the curve follows from how far the curve may lie above
its table, or is proved over balls (`contracts.proof.intervals.line_balls`).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from contracts.problem import Problem
from contracts.records import Keyed

GRID, FINEST, MOST_POINTS = 4000, 3e-8, 60_000

Lines = Callable[[np.ndarray, np.ndarray, np.ndarray], tuple[Any, Any]]


class Table(NamedTuple):
    """A curve at points so dense that between them it exceeds chords by at most `above`; zero where flat.

    Attributes:
        data, level: the points.
        arcs: where stretches begin and end that are concave and longer than a cell, as indices, shape (arcs, 2).
        above: how far the curve may lie above each chord, shape (points - 1,).
    """

    data: np.ndarray
    level: np.ndarray
    arcs: np.ndarray
    above: np.ndarray


def tables(problem: Problem) -> tuple[Table, Table | None]:
    """Tables of value and, where it is not proportional, of the target."""
    return _tabulated(Keyed((*problem.family, problem.most_data), problem))


@lru_cache(maxsize=64)
def _tabulated(keyed: Keyed) -> tuple[Table, Table | None]:
    problem = keyed.value
    of_value = _table(problem, problem.value, problem.largest_value)
    if problem.target_is_value:
        return of_value, None
    return of_value, _table(problem, problem.accuracy, float(problem.accuracy.optimum))


def _table(problem: Problem, curve: Callable[[Any], Any], top: float) -> Table:
    high, floor = problem.most_data * 1.0001, float(problem.accuracy.floor)
    start = min(floor, high) if floor > 0.0 else 1e-7 * high
    data = np.r_[0.0, np.geomspace(start, high, GRID)]
    for _ in range(12):
        level = np.maximum.accumulate(np.asarray(curve(data), dtype=float))
        above = _overshoot(data, level)
        coarse = np.flatnonzero(above > FINEST * top)
        if not coarse.size or data.size > MOST_POINTS:
            break
        shares = np.arange(1, 4) / 4.0
        extra = data[coarse, None] + shares * (data[coarse + 1] - data[coarse])[:, None]
        if extra.size == 0 or (np.diff(data)[coarse] < 1e-10 * data[coarse + 1]).all():
            break
        data = np.union1d(data, extra.ravel())
    level = np.maximum.accumulate(np.asarray(curve(data), dtype=float))
    slope = np.diff(level) / np.diff(data)
    rounding = 2e-15 * top * (1.0 / np.diff(data)[1:] + 1.0 / np.diff(data)[:-1])
    rises = np.flatnonzero(np.diff(slope) > rounding + 1e-12 * slope[:-1]) + 1
    cuts = np.unique(np.r_[0, rises, data.size - 1])
    arcs = np.stack([cuts[:-1], cuts[1:]], axis=1)[np.diff(cuts) > 1]
    above = _overshoot(data, level)
    # Where the table stayed coarse nothing is known of bends: of a rising curve no more than where it ends.
    above = np.where(above > FINEST * top, np.diff(level), above)
    return Table(data, level, arcs, above)


def _overshoot(data: np.ndarray, level: np.ndarray) -> np.ndarray:
    """How far a curve may exceed its chords if it bends no more than from one neighbour to the other."""
    slope = np.diff(level) / np.diff(data)
    padded = np.concatenate([slope[:1], slope, slope[-1:]])
    return np.maximum(padded[:-2] - padded[2:], 0.0) * np.diff(data) / 4.0


def peak(table: Table, slope: np.ndarray, low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """max over [low, high] of the table's level less slope times data, and where; all shape (outcomes,)."""
    steep = np.diff(table.level) / np.diff(table.data)

    def at(x: np.ndarray) -> np.ndarray:
        return np.interp(x, table.data, table.level) - slope * x

    place, best = low.copy(), at(low)
    candidates = [high]
    for first, last in table.arcs:
        falling = np.minimum.accumulate(steep[first:last])
        stop = first + falling.size - np.searchsorted(falling[::-1], slope, side="left")
        candidates.append(np.clip(table.data[stop], low, high))
    for x in candidates:
        better = at(x) > best
        place, best = np.where(better, x, place), np.where(better, at(x), best)
    return place, best


def line(table: Table, at: np.ndarray, low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Lines (intercept, slope) nowhere below the curve on [low, high], and low at `at`; shape (outcomes,)."""
    # At an end any steeper, or flatter, line would touch: a little inside, only the useful one does.
    at = np.clip(at, low + 1e-6 * (high - low), high - 1e-6 * (high - low))
    level = np.interp(at, table.data, table.level)
    slope = _local_slope(table, at)
    _, intercept = peak(table, slope, low, high)
    far = intercept + slope * at > level + 4.0 * FINEST * table.level[-1]
    # Too close to an end to tell by height which lines are steeper, or flatter, than is useful.
    far |= (np.minimum(at - low, high - at) < 0.01 * (high - low)) & ~_concave(table, low, high)
    if far.any():
        slope[far] = _bridge(table, at[far], low[far], high[far])
        _, intercept = peak(table, slope, low, high)
    return intercept + allowance(table, low, high), slope


def _concave(table: Table, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Whether each [low, high] lies in one concave stretch."""
    if not table.arcs.size:
        return np.zeros(low.size, dtype=bool)
    first, last = table.data[table.arcs].T
    stretch = np.clip(np.searchsorted(first, low, side="right") - 1, 0, first.size - 1)
    return (first[stretch] <= low) & (high <= last[stretch])


def _local_slope(table: Table, at: np.ndarray) -> np.ndarray:
    """Slope of the parabolas through neighbouring points of the table, interpolated."""
    width, rise = np.diff(table.data), np.diff(table.level)
    chord = rise / width
    inner = (width[:-1] * chord[1:] + width[1:] * chord[:-1]) / (width[:-1] + width[1:])
    return np.interp(at, table.data, np.concatenate([chord[:1], inner, chord[-1:]]))


def _bridge(table: Table, at: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """The slope for which the curve is highest on both sides of `at`, by bisection."""
    small = np.zeros(at.size)
    large = np.full(at.size, float((np.diff(table.level) / np.diff(table.data)).max()) * 2.0)
    for _ in range(50):
        middle = 0.5 * (small + large)
        place, _ = peak(table, middle, low, high)
        small, large = np.where(place > at, middle, small), np.where(place > at, large, middle)
    return 0.5 * (small + large)


def allowance(table: Table, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """By how much the curve may exceed the table on each [low, high]; none where it is flat."""
    bent = np.concatenate([[0], np.cumsum(table.above > 1e-14 * table.level[-1])])
    first = np.clip(np.searchsorted(table.data, low, side="right") - 1, 0, table.data.size - 1)
    last = np.clip(np.searchsorted(table.data, high), 0, table.data.size - 1)
    return np.where(bent[last] > bent[first], float(table.above.max()), 0.0)
