"""The bound that a proof by cases over outcomes gives (`contracts.proof.tree_check`), over balls.

Slopes of lines are those of floats; that a line lies above the curve is proved anew.
"""

from __future__ import annotations

from functools import partial
from math import comb

import numpy as np
from flint import arb

from contracts.problem import Problem
from contracts.proof import tree_check as floats
from contracts.proof.curve_table import tables
from contracts.proof.intervals.ball import NotRigorous, balls, largest, upper, vector_of
from contracts.proof.intervals.line_balls import WIDER, concave_above_floor, lines
from contracts.proof.intervals.loss_balls import CrowdBalls
from contracts.proof.intervals.outcome_balls import MOST_OUTCOMES
from contracts.proof.intervals.world_balls import TARGET, VALUE, Worth
from contracts.proof.witness import Tree

SHRINKS = 60


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
    top, (of_value, of_target) = upper(worth.top_value), tables(plain)
    high = np.array([upper(largest([arb(top) - arb(f)], 0) / c) for f, c in zip(due, costs, strict=True)])
    concave = concave_above_floor(worth, number * float(high.max()))
    chain = floats.Chain(
        group=_everybody(crowd, number),
        costs=costs,
        due=due,
        top=top,
        high=high,
        most=lambda totals: vector_of(worth.at(VALUE, arb(x * WIDER)).upper() for x in totals.tolist()),
        value=partial(lines, worth, concave, VALUE, of_value),
        target=None if of_target is None else partial(lines, worth, concave, TARGET, of_target),
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
