"""The bound that a proof by cases over outcomes gives (`contracts.proof.tree_check`), over balls.

Slopes of lines are those of floats; that a line lies above the curve is proved anew: on a concave stretch by the
tangent next to it, else by branch and bound.
"""

from __future__ import annotations

from functools import partial
from math import comb
from typing import Any

import numpy as np
from flint import arb

from contracts.problem import Problem
from contracts.proof import tree_check as floats
from contracts.proof.intervals.ball import NotRigorous, balls, between, largest, upper, vector_of
from contracts.proof.intervals.loss_balls import CrowdBalls
from contracts.proof.intervals.outcome_balls import MOST_OUTCOMES
from contracts.proof.intervals.world_balls import TARGET, VALUE, Worth, _middle, peak
from contracts.proof.witness import Tree

SHRINKS, STEPS, MOST_CELLS = 60, 3, 4000
WIDER = 1.0 + 1e-14  # more than totals of floats are rounded
CLOSE = 1e-9  # of the largest value: to which lines touch where the curve is not concave


def tree_bound(
    worth: Worth, crowd: CrowdBalls, plain: Problem, tree: Tree, costs: np.ndarray, due: np.ndarray
) -> float:
    """What no contract's target exceeds.

    Args:
        worth: what data are worth.
        crowd: who takes part, by row.
        plain: the plain problem, for slopes.
        tree: the proof.
        costs: of the rows, balls.
        due: floats not above what each row is due, shape (rows,).

    Raises:
        ProofRefused: the cases form no tree, or a number cannot be one of a proof.
        NotRigorous: there are too many outcomes.
    """
    number, rows = plain.population.participants, costs.size
    if not isinstance(number, int) or comb(number + rows - 1, rows - 1) > MOST_OUTCOMES:
        raise NotRigorous("a proof over outcomes (there are too many)")
    top, (of_value, of_target) = upper(worth.top_value), floats.tables(plain)
    high = np.array([upper(largest([arb(top) - arb(f)], 0) / c) for f, c in zip(due, costs, strict=True)])
    concave = _concave(worth, number * float(high.max()))
    chain = floats.Chain(
        group=_everybody(crowd, number),
        costs=costs,
        due=due,
        top=top,
        high=high,
        most=lambda totals: vector_of(worth.at(VALUE, arb(x * WIDER)).upper() for x in totals.tolist()),
        value=partial(_lines, worth, concave, VALUE, of_value),
        target=None if of_target is None else partial(_lines, worth, concave, TARGET, of_target),
        number=balls,
        upper=np.vectorize(upper, otypes=[float]),
        rounding=0.0,
        shrinks=SHRINKS,
    )
    return floats.bound_by_tree(chain, tree)


def _everybody(crowd: CrowdBalls, number: int) -> floats.Group:
    p, rows = crowd.probabilities, crowd.probabilities.size
    likely = floats._everybody(np.full(rows, 1.0 / rows), number, "interim")
    counts = likely.counts
    prior = np.empty(len(counts), dtype=object)
    factorial = [arb.fac_ui(k) for k in range(number + 1)]
    powers = [[each**k for k in range(number + 1)] for each in p]
    for k, outcome in enumerate(counts.astype(int).tolist()):
        chance = factorial[number]
        for i, come in enumerate(outcome):
            chance = chance * powers[i][come] / factorial[come]
        prior[k] = chance
    belief = np.empty((len(counts), rows), dtype=object)
    whole = counts.astype(int)
    for i in range(rows):
        if p[i] == 0:
            raise NotRigorous("a proof over outcomes with types of probability zero")
        if crowd.ex_ante:
            weight = np.array([int(come > 0) for come in whole[:, i]], dtype=object)
            belief[:, i] = prior * weight / (1 - (1 - p[i]) ** number)
        else:
            belief[:, i] = prior * np.array(whole[:, i].tolist(), dtype=object) / (p[i] * number)
    return floats.Group(counts, prior, belief)


def _concave(worth: Worth, most: float) -> bool:
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


def _lines(
    worth: Worth, concave: bool, kind: str, table: Any, at: np.ndarray, lowest: np.ndarray, highest: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Intercepts (balls, proved) and slopes (floats) of lines above the curve where outcomes may lie."""
    lowest, highest = lowest / WIDER, highest * WIDER
    _, slope = floats.line(table, at, lowest, highest)
    place, _ = floats.peak(table, slope, lowest, highest)
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
