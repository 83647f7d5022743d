"""The bound that a proof by cases over outcomes gives (`contracts.proof.tree_check`), over balls.

Slopes of lines are those of floats; that a line lies above the curve is proved anew: on a concave stretch by the
tangent next to it, else by branch and bound.
"""

from __future__ import annotations

from math import comb
from typing import Any, NamedTuple

import numpy as np
from flint import arb

from contracts.problem import Problem
from contracts.proof import tree_check as floats
from contracts.proof.intervals.ball import NotRigorous, balls, between, largest, lower, upper
from contracts.proof.intervals.loss_balls import CrowdBalls
from contracts.proof.intervals.outcome_balls import MOST_OUTCOMES
from contracts.proof.intervals.world_balls import TARGET, VALUE, Worth, _middle, peak
from contracts.proof.soundness import ProofRefused
from contracts.proof.witness import Tree

SHRINKS, STEPS, MOST_CELLS = 60, 3, 4000
CLOSE = 1e-9  # of the largest value: to which lines touch where the curve is not concave


class Group(NamedTuple):
    """All outcomes: counts of the rows, their probabilities, and what each row believes of them."""

    counts: np.ndarray
    probability: np.ndarray
    belief: np.ndarray


class Chain(NamedTuple):
    """What all cases share; `concave` says whether the curve is proved to be so above its floor."""

    worth: Worth
    concave: bool
    group: Group
    costs: np.ndarray
    due: np.ndarray
    top: float


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
    if (due < 0.0).any():
        raise ProofRefused("the proof by cases needs outside options that are worth something")
    floats._check_tree(tree, rows)
    top = upper(worth.top_value)
    high = np.array([upper(largest([arb(top) - arb(f)], 0) / c) for f, c in zip(due, costs, strict=True)])
    group = _everybody(crowd, number)
    chain = Chain(worth, _concave(worth, number * float(high.max())), group, costs, due, top)
    tables = floats._tables(plain)
    best = 0.0
    cases = floats._leaves(tree, floats.Case(np.zeros(rows), high))
    leaves = zip(tree.contribution, tree.feasibility_multipliers, tree.participation_multipliers, strict=True)
    for case, leaf in zip(cases, leaves, strict=True):
        best = max(best, _bound(chain, case, tables, *leaf))
    return best


def _everybody(crowd: CrowdBalls, number: int) -> Group:
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
    return Group(counts, prior, belief)


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


def _bound(chain: Chain, case: Any, tables: tuple, m: np.ndarray, y: np.ndarray, w: np.ndarray) -> float:
    small = _smaller(chain, case)
    if small is None:
        return -np.inf
    group, of_target = chain.group, tables[1]
    at = group.counts @ m
    prices, kept = balls(y), balls(w)
    weights = np.array([(row * prices).sum() for row in group.belief], dtype=object)
    if of_target is None:
        weights = weights + group.probability
    total, by_m = -(kept * balls(chain.due)).sum(), -prices * chain.costs
    parts = [(VALUE, tables[0], weights)] + (
        [] if of_target is None else [(TARGET, of_target, group.probability)]
    )
    for kind, table, each in parts:
        intercept, slope = _lines(chain, kind, table, at, small)
        total = total + (each * intercept).sum()
        sloped = each * balls(slope)
        by_m = by_m + np.array([(sloped * balls(column)).sum() for column in group.counts.T], dtype=object)
    return upper(total + _linear_program(chain, by_m, kept - prices, small))


def _lines(chain: Chain, kind: str, table: Any, at: np.ndarray, case: Any) -> tuple[np.ndarray, np.ndarray]:
    """Intercepts (balls, proved) and slopes (floats) of lines above the curve where outcomes may lie."""
    lowest, highest = chain.group.counts @ case.low, chain.group.counts @ case.high
    lowest, highest = lowest * (1.0 - 1e-14), highest * (1.0 + 1e-14)
    _, slope = floats._line(table, at, lowest, highest)
    place, _ = floats._peak(table, slope, lowest, highest)
    found = [_intercept(chain, kind, *each) for each in zip(slope, lowest, highest, place, strict=True)]
    return balls(found), slope


def _intercept(chain: Chain, kind: str, slope: float, low: float, high: float, place: float) -> float:
    """A float that the curve less the line's rise nowhere exceeds on [low, high]."""
    worth, floor = chain.worth, chain.worth.floor_high
    if not chain.concave:
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


def _smaller(chain: Chain, case: Any) -> Any | None:
    """The case less what no contract in it can be: contributions rise, and nobody pays more than it can get."""
    top, group, costs = chain.top, chain.group, np.array([lower(c) for c in chain.costs])
    low = np.maximum.accumulate(case.low)
    high = np.minimum.accumulate(case.high[::-1])[::-1]
    for _ in range(SHRINKS):
        if (high < low - 1e-12 * top / costs).any():
            return None
        totals = (group.counts @ high) * (1.0 + 1e-14)
        most = np.array([chain.worth.at(VALUE, arb(total)).upper() for total in totals.tolist()], dtype=object)
        utility = [arb(chain.due[0])]
        for i, step in enumerate(chain.costs[:-1] - chain.costs[1:]):
            utility.append(arb.max(arb(chain.due[i + 1]), utility[i] + step * arb(low[i])))
        paid = [
            upper(((most * group.belief[:, i]).sum() - utility[i] + 1e-12 * top) / chain.costs[i])
            for i in range(low.size)
        ]
        new = np.minimum.accumulate(np.minimum(high, paid)[::-1])[::-1]
        if (new < low).any():
            return None
        if (high - new <= 1e-5 * (high - low)).all():
            return floats.Case(low, new)
        high = new
    return floats.Case(low, high)


def _linear_program(chain: Chain, by_m: np.ndarray, by_u: np.ndarray, case: Any) -> Any:
    """The largest by_m·m + by_u·u over the case, as in `contracts.proof.tree_check`."""
    later = np.cumsum(by_u[::-1])[::-1]
    slopes = by_m.copy()
    for i, step in enumerate(chain.costs[:-1] - chain.costs[1:]):
        gain = step * later[i + 1]
        if gain < 0:
            slopes[i] = slopes[i] + gain
        else:
            slopes[i + 1] = slopes[i + 1] + arb.max(gain, arb(0))
    first = arb.max(later[0] * arb(chain.due[0]), later[0] * arb(chain.top))
    ends = np.unique(np.concatenate([case.low, case.high]))
    best: list[Any] = [arb(0)] * ends.size
    for slope, low, high in zip(slopes, case.low, case.high, strict=True):
        reached: Any = None
        after: list[Any] = []
        for end, before in zip(ends, best, strict=True):
            if low <= end <= high and before is not None:
                here = before + slope * arb(end)
                reached = here if reached is None else arb.max(reached, here)
            after.append(reached)
        best = after
    return first + best[-1] if best[-1] is not None else arb.neg_inf()
