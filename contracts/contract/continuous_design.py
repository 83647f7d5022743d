"""Designing for a distribution of costs: two plain problems, costs rounded up and down.

Both sides approach the best contract at a rate of one over the number of cells, which Richardson's extrapolation
removes. What members between two costs get alone may exceed what the menu gives them, by the square of a cell's
width; reservation utilities are raised by what is missing until nobody in between loses.

Source: ours.
"""

from __future__ import annotations

import dataclasses
import time
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from contracts.contract.continuous import ROUNDING, ContinuousContract
from contracts.contract.contract import Contract, Provenance
from contracts.contract.plain_design import design_due
from contracts.errors import InvalidInput
from contracts.problem import Problem
from contracts.problem.continuous import ContinuousProblem
from contracts.problem.outcomes import total_data
from contracts.problem.reservation import Reservation, reservations
from contracts.problem.shape import check_concave

LEVELS = (4, 2, 1)  # the cells of the finest grid over those of each
RAISES = 8
CLOSE = 1e-5  # of the largest target: far below what lies between costs rounded up and down
SAME = 1e-6  # of the largest contribution


def design_continuous(problem: ContinuousProblem) -> ContinuousContract:
    """The best menu for a distribution of costs, between bounds.

    Raises:
        InvalidInput: the curve decreases or has inflections above its floor, or the numbers are too extreme.
        NotConverged: the grid is too coarse for a menu; use more cells.
    """
    if not isinstance(problem, ContinuousProblem):
        raise InvalidInput(f"problem = {problem!r:.60}: expected a ContinuousProblem")
    check_concave(problem.rounded(problem.cells, up=False))
    sizes = [problem.cells // part for part in LEVELS]
    down = [_best(problem.rounded(cells, up=False)) for cells in sizes]
    up = [_best(problem.rounded(cells, up=True)) for cells in sizes]
    menu, raised = _menu(problem, up[-1])
    return ContinuousContract(
        problem=problem,
        menu=menu,
        upper=down[-1],
        sizes=np.array(sizes),
        rounded_up=np.array([contract.reached for contract in up]),
        rounded_down=np.array([contract.reached for contract in down]),
        raised=raised,
    )


def _best(problem: Problem, due: Reservation | None = None) -> Contract:
    """The best contract of finitely many costs, with a proof against every contract."""
    return design_due(problem, _alone(problem) if due is None else due, solver="interior-point", close=CLOSE)


def _alone(problem: Problem) -> Reservation:
    """What each type gets alone; for many sizes, as batches do it, without compiling for each."""
    return reservations([problem])[0]


def _even(size: int) -> np.ndarray:
    return np.full(size, 1.0 / size)


class Chosen(NamedTuple):
    """The options that somebody chooses, by falling cost.

    Attributes:
        contribution, reward: the options, shape (options,).
        costs: the dearest who choose each.
        chance: the share of the population that does.
    """

    contribution: np.ndarray
    reward: np.ndarray
    costs: np.ndarray
    chance: np.ndarray


def _menu(problem: ContinuousProblem, up: Contract) -> tuple[Contract, float]:
    """The menu for costs rounded up, with reservation utilities raised until nobody in between loses.

    Args:
        problem: the problem.
        up: the best contract for costs rounded up.
    """
    began = time.perf_counter()
    ends, mass = problem.edges(problem.cells)
    ends = np.r_[ends[0], ends[1:][mass > 0.0]]
    alone = _alone(up.problem)
    most = _alone(problem.at(ends[:-1], _even(ends.size - 1))).utility - alone.utility
    raised, best, chosen = np.zeros(most.size), up, _chosen(problem, up)
    for turn in range(RAISES):
        short = _short(problem, chosen, ends)
        if short.max() <= 0.1 * ROUNDING * up.problem.largest_value:
            break
        # The last turns ask for what the cheapest of a cell gets alone: then nobody in it can lose.
        step = np.where(short > 0.0, most, 0.0) if turn >= RAISES - 2 else 1.1 * short
        raised = np.where(short > 0.0, np.minimum(raised + step, most), raised)
        due = Reservation(utility=alone.utility + raised, contribution=alone.contribution)
        best = _best(up.problem, due)
        chosen = _chosen(problem, best)
    seconds = time.perf_counter() - began + up.provenance.seconds
    return _stated(problem, chosen, dataclasses.replace(best.provenance, seconds=seconds)), float(raised.max())


def _chosen(problem: ContinuousProblem, best: Contract) -> Chosen:
    """The options of a contract that somebody of the distribution chooses."""
    _, high = problem.support
    order = np.argsort(-best.problem.population.costs)
    m, t = best.contribution[order], best.expected_reward[order]
    if not m.any():
        return Chosen(np.zeros(1), np.zeros(1), np.array([high]), np.ones(1))
    kept: list[int] = []
    # Rows that differ by the solver's rounding are one option: the last of them.
    for j in np.flatnonzero(np.r_[np.diff(m) > SAME * m.max(), True]).tolist():
        # Cheaper costs choose later rows: drop rows that are better only where another is better still.
        while kept and (
            m[j] <= m[kept[-1]]
            or (len(kept) > 1 and _switch(m, t, kept[-1], j) >= _switch(m, t, kept[-2], kept[-1]))
        ):
            if m[j] <= m[kept[-1]] and t[j] <= t[kept[-1]]:
                break
            kept.pop()
        if not kept or m[j] > m[kept[-1]]:
            kept.append(j)
    switches = [_switch(m, t, a, b) for a, b in pairwise(kept)]
    dearest = np.minimum(np.r_[high, switches], high)
    chance = -np.diff(np.r_[1.0, problem.distribution.cdf(dearest[1:]), 0.0])
    some = (chance > 0.0) & (np.r_[dearest[1:], 0.0] < high)
    rows = np.array(kept)[some]
    return Chosen(m[rows], t[rows], dearest[some], chance[some])


def _switch(m: np.ndarray, t: np.ndarray, a: int, b: int) -> float:
    """The cost at which row b is as good as row a, which asks for less."""
    return float((t[b] - t[a]) / (m[b] - m[a]))


def _short(problem: ContinuousProblem, chosen: Chosen, ends: np.ndarray) -> np.ndarray:
    """By how much somebody in each cell would get less than alone, shape (cells,)."""
    inside = np.concatenate([ends[:-1] + share * np.diff(ends) for share in (0.0, 0.2, 0.4, 0.6, 0.8)])
    asked = np.unique(np.r_[inside, ends[-1], chosen.costs])
    alone = _alone(problem.at(asked, _even(asked.size))).utility
    gain = (chosen.reward - asked[:, None] * chosen.contribution).max(axis=1) - alone
    cell = np.clip(np.searchsorted(ends, asked, side="left") - 1, 0, ends.size - 2)
    short = np.zeros(ends.size - 1)
    np.maximum.at(short, cell, -gain)
    return short


def _stated(problem: ContinuousProblem, chosen: Chosen, provenance: Provenance) -> Contract:
    """The options as a contract of finitely many types: those who choose each, at the cost of the dearest."""
    stated = problem.at(chosen.costs, chosen.chance)
    law = total_data(chosen.contribution, stated.population.probabilities, problem.participants)
    value, accuracy = law.expectation(stated.value), law.expectation(stated.accuracy)
    return Contract(
        problem=stated,
        contribution=chosen.contribution,
        expected_reward=chosen.reward,
        reservation_utility=_alone(stated).utility,
        objective=value,
        expected_accuracy=accuracy,
        reached=value if stated.target_is_value else accuracy,
        reason="" if chosen.contribution.any() else "no menu was found from which anybody would choose",
        provenance=provenance,
    )
