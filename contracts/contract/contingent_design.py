"""Designing menus whose amounts follow from the whole profile of signatures, one for each number of them."""

from __future__ import annotations

import numpy as np

from contracts.contract.insured_design import program_of
from contracts.errors import Infeasible
from contracts.problem import Problem
from contracts.problem.clause import Clause
from contracts.problem.reservation import outside_utility
from contracts.problem.shape import check_concave
from contracts.problem.standard_form import standard_form
from contracts.program.contingent import Contingent, solve_contingent


def design_contingent(problem: Problem) -> tuple[Clause, np.ndarray]:
    """A contingent menu for each number of signatures that has one, from the most downwards."""
    form, law = standard_form(problem), problem.population.laws[0]
    for world in form.worlds:
        check_concave(world.plain)
    found: list[tuple[int, Contingent]] = []
    for number in range(law.most, 1, -1):
        one = solve_contingent(program_of(form, number))
        if one is None:
            break
        found.append((number, one))
    if not found:
        raise Infeasible("no contingent menu keeps all margins in every profile: expected smaller margins")
    found.reverse()
    menus = [menu for _, menu in found]
    clause = Clause(
        kind="contingent",
        counts=np.array([number for number, _ in found]),
        contribution=np.concatenate([menu.contribution for menu in menus]),
        cap=np.concatenate([menu.worth for menu in menus]),
        guarantee=np.tile(form.due(outside_utility(form)), (len(found), 1)),
    )
    prices = np.concatenate([*(menu.truth for menu in menus), *(menu.participation for menu in menus)])
    return clause, prices
