"""Lines above curves where outcomes may lie, proved with balls: on a concave stretch by the tangent next to the
line, else by branch and bound."""

from __future__ import annotations

from typing import Any

import numpy as np
from flint import arb

from contracts.proof.curve_table import line
from contracts.proof.curve_table import peak as table_peak
from contracts.proof.intervals.ball import balls, between, largest, upper
from contracts.proof.intervals.world_balls import TARGET, VALUE, Worth, _middle, peak

STEPS, MOST_CELLS = 3, 4000
WIDER = 1.0 + 1e-14  # more than totals of floats are rounded
CLOSE = 1e-9  # of the largest value: to which lines touch where the curve is not concave


def concave_above_floor(worth: Worth, most: float) -> bool:
    """Whether value and target are proved to be concave above the floor."""
    kinds = {VALUE} if worth.target_is_value else {VALUE, TARGET}
    waiting = [(kind, worth.floor_high, max(most, worth.floor_high)) for kind in kinds]
    looked = 0
    while waiting:
        kind, a, b = waiting.pop()
        looked += 1
        bend = worth.coefficients(kind, between(a, b), 3)[2]
        if bend <= 0:
            continue
        middle = _middle(a, b)
        # At the floor slopes may be infinite: there no more is needed than that values rise to where it ends.
        if looked > MOST_CELLS or not a < middle < b or b - a <= 1e-13 * b or bend > 0:
            return False
        waiting += [(kind, a, middle), (kind, middle, b)]
    return True


def lines(
    worth: Worth, concave: bool, kind: str, table: Any, at: np.ndarray, lowest: np.ndarray, highest: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Intercepts (balls, proved) and slopes (floats) of lines above the curve where outcomes may lie."""
    lowest, highest = lowest / WIDER, highest * WIDER
    _, slope = line(table, at, lowest, highest)
    place, _ = table_peak(table, slope, lowest, highest)
    found = [_intercept(worth, concave, kind, *each) for each in zip(slope, lowest, highest, place, strict=True)]
    return balls(found), slope


def _intercept(
    worth: Worth, concave: bool, kind: str, slope: float, low: float, high: float, place: float
) -> float:
    """A float that the curve less the line's rise nowhere exceeds on [low, high]."""
    floor = worth.floor_high
    if not concave:
        return peak(worth, kind, arb(slope), low, high, tolerance=CLOSE)[1]
    start = max(low, floor)
    best = -np.inf
    if low <= floor:  # nothing below the floor, and no more than at its end across it
        best = upper(worth.at(kind, arb(floor)) - arb(slope) * arb(low))
        if slope < 0.0:
            best = max(best, upper(worth.at(kind, arb(floor)) - arb(slope) * arb(floor)))
    if high <= start:
        return max(best, upper(worth.at(kind, arb(max(high, start))) - arb(slope) * arb(low)))
    c = min(max(place, start), high)
    for _ in range(STEPS):
        _, incline, bend = worth.coefficients(kind, arb(c), 3)
        if not incline.is_finite() or not bend < 0:
            break
        moved = c - float(((incline - slope) / (bend * 2)).mid())
        c = min(max(moved, start), high) if np.isfinite(moved) else c
    level, incline = worth.coefficients(kind, arb(c), 2)
    steep = incline - arb(slope)
    if not steep.is_finite():
        return peak(worth, kind, arb(slope), low, high, tolerance=CLOSE)[1]
    off = largest([steep * (arb(high) - arb(c)), steep * (arb(start) - arb(c))], 0)
    return max(best, upper(level - arb(slope) * arb(c) + off))
