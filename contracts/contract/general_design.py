"""Designing problems beyond the published program: groups, worlds, limits of the menu, other objectives."""

from __future__ import annotations

import dataclasses
import time
from typing import NamedTuple

import numpy as np

from contracts.contract.contract import Contract, Provenance
from contracts.contract.stated import Stated
from contracts.errors import Infeasible
from contracts.problem.cases import STAYS, asked_of, whole
from contracts.problem.laws import trained
from contracts.problem.shape import check_shape
from contracts.program.goals import Goal, goal_of
from contracts.program.rounding import in_lots
from contracts.program.search import NOTHING_PAYS, Found, search
from contracts.proof.evidence import Proof

TIE = 1e-12  # of the objective's size: a menu no better than nothing is nothing


class _Rows(NamedTuple):
    """A menu by rows, with who stays out, and what it reaches."""

    contribution: np.ndarray
    utility: np.ndarray
    service: np.ndarray
    value: float
    accuracy: float
    reached: float


def design_general(stated: Stated, *, global_gap: float, time_limit: float) -> Contract:
    """The best contract of a problem, by a search over cases.

    Args:
        stated: the problem with its standard form.
        global_gap: how far from optimal it may be, relative to the objective's size.
        time_limit: seconds for the search.

    Raises:
        Infeasible: no contract gives everybody what it is due; the message names whom, and by how much.
        InvalidInput: a curve decreases, or the numbers are too extreme.
    """
    began, form = time.perf_counter(), stated.form
    for world in form.worlds:
        check_shape(world.plain)
    goal = goal_of(form, stated.outside)
    asked = asked_of(form, stated.outside)
    found = search(form, asked, stated.outside, time_limit=time_limit, global_gap=global_gap)
    menus = [menu for menu in (_menu(stated, goal, found), _nothing(stated, goal)) if menu is not None]
    menus = [menu for menu in menus if np.isfinite(menu.reached)]
    if not menus:
        raise Infeasible(found.reason or "no contract gives everybody what it is due")
    best = max(menus, key=lambda menu: menu.reached - (0.0 if menu.contribution.any() else TIE * goal.unit))
    return _contract(stated, best, found, began)


def nothing_contract(stated: Stated, reason: str) -> Contract | None:
    """The contract that asks nothing, under which all who are due something stay out; None if they may not."""
    began, goal = time.perf_counter(), goal_of(stated.form, stated.outside)
    menu = _nothing(stated, goal)
    if menu is None or not np.isfinite(menu.reached):
        return None
    contract = _contract(stated, menu, NOTHING_PAYS, began)
    return dataclasses.replace(contract, reason=f"{contract.reason}; {reason}")


def _menu(stated: Stated, goal: Goal, found: Found) -> _Rows | None:
    if found.contribution is None or found.utility is None or found.case is None:
        return None
    return _measured(stated, goal, found.contribution, found.utility, found.case.service)


def _nothing(stated: Stated, goal: Goal) -> _Rows | None:
    """Nothing is asked and nothing given: a contract where nobody is due anything, or where all may stay out."""
    rows = stated.form.rows
    unserved = stated.due > 0.0
    if unserved.any() and not stated.may_stay_out:
        return None
    service = np.where(unserved, STAYS, 0)
    return _measured(stated, goal, np.zeros(rows), np.zeros(rows), service)


def _measured(
    stated: Stated, goal: Goal, contribution: np.ndarray, utility: np.ndarray, service: np.ndarray
) -> _Rows:
    form = stated.form
    data = np.where(service == STAYS, 0.0, np.maximum(contribution, 0.0))
    value = accuracy = target = 0.0
    for world in form.worlds:
        law = trained(form, world, data)
        value += world.weight * law.expectation(world.plain.value)
        accuracy += world.weight * law.expectation(world.plain.accuracy)
        target += world.weight * law.expectation(world.plain.target)
    reward = utility + form.costs * data
    social = goal.social(utility, reward, service)
    if goal.levelled:
        social = _least(stated, utility, service)
    return _Rows(data, utility, service, value, accuracy, goal.weight * target + social)


def _least(stated: Stated, utility: np.ndarray, service: np.ndarray) -> float:
    """How well off the worst off is, for objectives that look at nobody else."""
    form, objective = stated.form, stated.form.problem.objective
    own = form.relative * utility[form.row] - form.problem.outside.joining_cost
    own = np.where(service[form.row] == STAYS, stated.outside, own)
    return float((own - (stated.outside if getattr(objective, "over", "") == "gain" else 0.0)).min())


def _contract(stated: Stated, menu: _Rows, found: Found, began: float) -> Contract:
    form, problem = stated.form, stated.form.problem
    data, stays = menu.contribution[form.row], menu.service[form.row] == STAYS
    reward = form.relative * (menu.utility[form.row] + form.costs[form.row] * data)
    reached = menu.reached
    if problem.objective is None and not problem.target_is_value:
        reached += problem.baseline
    return Contract(
        problem=problem,
        contribution=data / form.effective,
        expected_reward=np.where(stays, 0.0, reward),
        reservation_utility=stated.outside,
        objective=menu.value,
        expected_accuracy=problem.baseline + menu.accuracy,
        reached=reached,
        reason=_reason(stated, menu, stays, found),
        provenance=Provenance(
            solver="interior-point",
            expectation="mixture of exponentials",
            excluded=int((menu.contribution == 0.0).sum()),
            iterations=found.nodes,
            seconds=time.perf_counter() - began,
            fit_error=0.0,
        ),
        proof=Proof(cases=found.cases, global_cases=found.global_cases),
    )


def _reason(stated: Stated, menu: _Rows, stays: np.ndarray, found: Found) -> str:
    names = stated.form.problem.population.names or ()
    parts = []
    if stays.any():
        parts.append(f"better without {', '.join(names[int(i)] for i in np.flatnonzero(stays))}, who stay out")
    small = _below_a_lot(stated)
    if small.any():
        who = ", ".join(names[int(i)] for i in np.flatnonzero(small))
        parts.append(f"nothing is asked of who cannot bring one lot: {who}")
    if not menu.contribution.any():
        parts.append("nothing is asked, nothing given: no contract was found under which taking part pays")
    if found.cut_short:
        parts.append(f"the search ended after {found.nodes} cases, before all were looked at")
    return "; ".join(parts)


def _below_a_lot(stated: Stated) -> np.ndarray:
    """Which types can bring less than one lot, shape (types,)."""
    form = stated.form
    if form.lot is None:
        return np.zeros(form.row.size, dtype=bool)
    return in_lots(form, whole(form)).high[form.row] <= 0.0
