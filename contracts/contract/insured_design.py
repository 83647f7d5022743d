"""Designing insured menus: for one number of signatures or each of them, with dear types left out where that
pays.

Who is left out does not sign and is not counted: how many sign is then uncertain. Dear types are left out, the
dearest first, where the menu that serves all does not cover, or where the best menu without a clause does so,
too.
"""

from __future__ import annotations

from math import comb
from typing import NamedTuple

import numpy as np

from contracts.contract.contract import Contract
from contracts.contract.profiles import chances, profiles
from contracts.errors import Infeasible, InvalidInput
from contracts.problem import Problem
from contracts.problem.clause import Clause
from contracts.problem.participants import FixedTurnout
from contracts.problem.reservation import outside_utility
from contracts.problem.shape import check_concave
from contracts.problem.standard_form import StandardForm, standard_form
from contracts.program.insured import Found, InsuredProgram, launch_count, solve

MOST_SIGNERS, MOST_PROFILES = 60, 60_000


class Menus(NamedTuple):
    """A clause, the prices of its proof, shape (menus, rows), and what is expected of it."""

    clause: Clause
    prices: np.ndarray
    target: float


def design_insured(problem: Problem, plain: Contract) -> tuple[Clause, np.ndarray]:
    """The best insured menus that were found, and the prices of their proof, shape (menus, rows).

    Args:
        problem: with `menu.assurance` "count" or "table".
        plain: the best contract without a clause.

    Raises:
        Infeasible: no number of signatures covers.
        InvalidInput: too many profiles of signatures to look at each, or a curve with inflections.
    """
    form, law = standard_form(problem), problem.population.laws[0]
    for world in form.worlds:
        check_concave(world.plain)
    if form.rows < 2:
        raise InvalidInput(
            "assurance: types that all act alike make a menu of one option: expected launch_from(contract), or"
            ' "cut"'
        )
    if problem.menu.assurance == "table" and law.most > MOST_SIGNERS:
        raise InvalidInput(f'assurance = "table": up to {law.most:,} may sign: expected at most {MOST_SIGNERS}')
    one = _count if problem.menu.assurance == "count" else _table
    start = form.due(plain.utility)
    left_out = bool((form.contribution(plain.contribution) <= 0.0).any())
    best = None
    for out in range(form.rows - 1):
        if out and best is not None and not left_out:
            break
        found = one(form, out, start)
        if found is not None and (best is None or found.target > best.target):
            best = found
    if best is None:
        raise Infeasible(
            f"no insured menu covers: all {law.most} signing for the dearest option would not reach the launch"
            " level, nor would those of the cheaper types alone; expected smaller margins, costs that"
            ' differ more, or assurance = "cut"'
        )
    return best.clause, best.prices


def _count(form: StandardForm, out: int, start: np.ndarray) -> Menus | None:
    """One menu from a number of signatures on; with types left out every such number is tried."""
    number, best = form.problem.population.laws[0].most, None
    for launch in range(number, 1, -1):
        program = program_of(form, number, out=out, launch=launch)
        found = solve(program, start[out:])
        if found is not None and (best is None or found.target > best.target):
            counts = [launch if out else launch_count(program, found.guarantee)]
            best = Menus(_clause("count", counts, program, [found]), np.array([found.prices]), found.target)
        if not out:
            break
    return best


def _table(form: StandardForm, out: int, start: np.ndarray) -> Menus | None:
    """A menu for each number of signatures that has one, from the most downwards."""
    law, menus, program = form.problem.population.laws[0], [], None
    for number in range(law.most, 1, -1):
        program = program_of(form, number, out=out)
        found = solve(program, menus[-1][1].guarantee if menus else start[out:])
        if found is None:
            break
        menus.append((number, found))
    if not menus or program is None:
        return None
    menus.reverse()
    clause = _clause("table", [number for number, _ in menus], program, [found for _, found in menus])
    signing = float(_shares(form)[out:].sum()) if out else 1.0
    likely = chances(np.arange(law.most + 1)[:, None], np.array([signing]), law)
    target = sum(found.target * float(likely[number]) for number, found in menus)
    return Menus(clause, np.array([found.prices for _, found in menus]), target)


def program_of(form: StandardForm, number: int, *, out: int = 0, launch: int | None = None) -> InsuredProgram:
    """The best menu for so many signatures, launched from as many; or for all numbers from `launch` on.

    Args:
        form: the standard form.
        number: how many sign; with `out` and `launch` how many are invited.
        out: how many rows are left out, the dearest.
        launch: with rows left out, from how many signatures on the menu is launched.
    """
    several = out > 0 and launch is not None
    least, rows = (launch if several else number), form.rows - out
    assert least is not None
    size = sum(comb(n + rows - 1, rows - 1) for n in range(least, number + 1))
    if size > MOST_PROFILES:
        raise InvalidInput(
            f"assurance: {number} participants of {rows} kinds make {size:,} profiles of signatures: expected"
            f" at most {MOST_PROFILES:,}"
        )
    counts = []
    for n in range(least, number + 1):
        listed = profiles(rows - 1, n)
        counts.append(np.c_[listed, n - listed.sum(axis=1)])
    listed, share = np.concatenate(counts), _shares(form)[out:]
    share = share if several else share / share.sum()
    due = form.due(outside_utility(form))
    margin = preference_margins(form)
    return InsuredProgram(
        plain=form.worlds[0].plain,
        costs=form.costs[out:],
        due=due[out:],
        margin=margin[out:],
        counts=listed.astype(float),
        chances=chances(listed, share, FixedTurnout(count=number)),
        launch=least,
        share=share / share.sum(),
        left_costs=form.costs[:out],
        left_due=_unserved_due(form)[:out] - margin[:out],
    )


def _shares(form: StandardForm) -> np.ndarray:
    share = form.worlds[0].probabilities
    return share / share.sum()


def _unserved_due(form: StandardForm) -> np.ndarray:
    """What each row has at least by staying out, joining included: no more may signing give it."""
    each = (outside_utility(form) + form.problem.outside.joining_cost) / form.relative
    least = np.full(form.rows, np.inf)
    np.minimum.at(least, form.row, each)
    return least


def preference_margins(form: StandardForm) -> np.ndarray:
    """What each row is to lose at least by another option: the most of its types', in units of rows."""
    found = np.zeros(form.rows)
    np.maximum.at(found, form.row, form.problem.menu.preference_margin / form.relative)
    return found


def _clause(kind: str, counts: list[int], program: InsuredProgram, found: list[Found]) -> Clause:
    """The menus as a clause; options of rows left out ask for nothing and give nothing."""
    out = program.left_costs.size
    guarantee = np.array([one.guarantee for one in found])
    amounts = np.array([program.amounts(one.guarantee) for one in found])
    cap = guarantee + program.costs * amounts
    cap[:, -1] = np.inf
    guarantee, amounts, cap = (np.pad(part, [(0, 0), (out, 0)]) for part in (guarantee, amounts, cap))
    return Clause(kind=kind, counts=np.array(counts), contribution=amounts, cap=cap, guarantee=guarantee)
