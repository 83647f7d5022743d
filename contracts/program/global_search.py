"""When branch and bound is worth its time, and what it starts from."""

from __future__ import annotations

import numpy as np

from contracts.program.box_program import space_of
from contracts.program.branch_and_bound import Answer, branch
from contracts.program.enumeration import MOST_OUTCOMES, number_of_outcomes
from contracts.program.exclusion import Found, gap
from contracts.program.first_moment import FirstMoment
from contracts.program.local_search import Truth


def can_branch(model: FirstMoment) -> bool:
    """Whether the outcomes are few enough to be looked at one by one."""
    if model.program.turnout is not None:
        return False
    types, participants = model.program.costs.size, model.problem.population.participants
    return number_of_outcomes(types, participants) <= MOST_OUTCOMES


def sharpen(model: FirstMoment, found: Found, global_gap: float, time_limit: float) -> Answer | None:
    """Branch and bound from the best candidate; None where its gap is small enough, or outcomes are too many.

    Args:
        model: the problem made ready.
        found: what the search over prefixes found.
        global_gap: the gap asked for, of the largest target.
        time_limit: seconds.
    """
    if gap(model, found) <= global_gap or time_limit <= 0.0 or not can_branch(model):
        return None
    start, target = _alone(model), 0.0
    if found.best is not None:
        start, target = found.best.contribution, found.best.target
    truth = Truth(model, space_of(model))
    return branch(truth, start / model.data_unit, target / model.target_unit, global_gap, time_limit)


def _alone(model: FirstMoment) -> np.ndarray:
    """What each row would collect alone: everybody's keeping to it is a contract."""
    alone = np.zeros(model.program.costs.size)
    alone[model.groups] = model.reservation.contribution
    return np.maximum.accumulate(alone)
