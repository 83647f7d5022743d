"""Designing menus with a launch clause: insured ones (count, table), and menus whose contributions are cut."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable

import numpy as np

from contracts import checks
from contracts.contract.attendance import covering_count, expected
from contracts.contract.contingent_design import design_contingent
from contracts.contract.contract import Contract
from contracts.contract.insured_design import design_insured
from contracts.contract.launch_made import made_with
from contracts.contract.terms import Terms
from contracts.errors import Infeasible, InvalidInput
from contracts.problem import Problem
from contracts.problem.clause import Clause
from contracts.problem.menu import Menu
from contracts.problem.participants import FixedTurnout
from contracts.problem.standard_form import standard_form

ATTEMPTS = 5  # at margins with which choices of a cut menu are right
JUST = 1e-7  # of the largest value: what a cut menu leaves beyond what is due
SAME = 1e-9  # relative: options that differ by less are one
MARGIN = 1e-4  # of the largest value: the first of them

Design = Callable[[Problem], Contract]


def design_launch(problem: Problem, design: Design) -> Contract:
    """The best contract with the launch clause that a problem asks for.

    Args:
        problem: with `menu.assurance`.
        design: how problems without a clause are designed.

    Raises:
        Infeasible: no number of signatures covers an insured menu, or a cut menu leaves its choices open.
        InvalidInput: too many profiles of signatures to look at each, or a curve with inflections.
    """
    began = time.perf_counter()
    plain = design(_without_clause(problem, Menu(participation_margin=_margin_of(problem))))
    if not plain.contribution.any() and problem.menu.assurance != "contingent":
        if problem.menu.participation_margin > 0.0:
            raise Infeasible(f"{plain.reason}; expected a smaller participation_margin")
        return dataclasses.replace(plain, problem=problem)
    if problem.menu.assurance == "contingent":
        found = made_with(problem, plain, *design_contingent(problem))
    elif problem.menu.assurance == "cut":
        found = _cut(problem, plain, design)
    else:
        found = made_with(problem, plain, *design_insured(problem, plain))
    seconds = time.perf_counter() - began
    return dataclasses.replace(found, provenance=dataclasses.replace(found.provenance, seconds=seconds))


def launch_from(contract: Contract, count: int | None = None) -> Contract:
    """The same menu with a count clause: released with fewer than so many signatures.

    Free where the menu covers: whoever signs, signatories of their own option then gain nothing by staying out,
    in every profile, and nothing else changes as everybody expected signs.

    Args:
        contract: a contract without a clause, for one group of a known number, all of whom contribute.
        count: signatures needed, at least the covering count; that when omitted.

    Raises:
        InvalidInput: a contract of another kind, or a count out of range.
        Infeasible: no number of signatures covers this menu.

    >>> from contracts.testing import example_contract
    >>> launch_from(example_contract()).clause.launch_count
    6
    """
    terms, number = Terms.of(contract), contract.problem.population.laws[0]
    if contract.clause is not None:
        raise InvalidInput(f"contract: it has a launch clause already ({contract.clause.kind!r})")
    if len(contract.form.worlds) > 1 or len(terms.world.laws) > 1 or not isinstance(number, FixedTurnout):
        raise InvalidInput("contract: expected one group of a known number of participants, in one scenario")
    if (contract.contribution <= 0.0).any():
        raise InvalidInput("contract: expected one to which every type contributes")
    least = covering_count(terms)
    if least is None:
        raise Infeasible(
            "no number of signatures covers this menu: somebody would lose whoever signed; expected"
            ' Menu(assurance="count"), which insures it, or "cut"'
        )
    needed = least if count is None else checks.integer("count", count, low=least, high=number.count)
    form = contract.form
    first = np.unique(form.row, return_index=True)[1]
    clause = Clause(
        kind="fixed",
        counts=np.array([needed]),
        contribution=contract.delivered[None],
        cap=(contract.rewards("capped").levels / form.relative)[first][None],
        guarantee=form.due(contract.reservation_utility)[None],
    )
    return dataclasses.replace(contract, clause=clause)


def _margin_of(problem: Problem) -> float:
    """Insured menus are compared with the best menu without margins; a cut menu keeps that of participation."""
    return problem.menu.participation_margin if problem.menu.assurance == "cut" else 0.0


def _without_clause(problem: Problem, menu: Menu) -> Problem:
    return dataclasses.replace(problem, menu=menu)


def _cut(problem: Problem, plain: Contract, design: Design) -> Contract:
    """The best menu without a clause, cut; with margins where choices would otherwise be wrong."""
    menu, margin, worst = problem.menu, problem.menu.preference_margin, 0.0
    relative = plain.form.relative
    # More than is due by what cutting leaves, or whoever gets just its due would be cut with all signatures.
    due = menu.participation_margin + 2.0 * JUST * problem.largest_value * float(relative.max())
    for attempt in range(ATTEMPTS):
        if attempt:
            margin = max(2.0 * margin, 1.5 * worst, MARGIN * problem.largest_value * float(relative.min()))
        plain = design(_without_clause(problem, Menu(participation_margin=due, preference_margin=margin)))
        if margin > 0.0 and _one_for_all(plain):  # as with any larger margin: one option keeps them all
            raise Infeasible(
                f"cut, no menu of several options keeps a preference margin of {menu.preference_margin:.6g}"
                f" (from {margin:.6g} on the best menu has one option for all): expected a smaller"
                ' preference_margin, costs that differ more, or assurance = "count" or "table"'
            )
        form = standard_form(problem)
        first = np.unique(form.row, return_index=True)[1]
        nothing = plain.delivered <= 0.0
        clause = Clause(
            kind="cut",
            counts=np.array([1]),
            contribution=plain.delivered[None],
            cap=np.where(nothing, 0.0, (plain.rewards("capped").levels / form.relative)[first])[None],
            # a little more than is due: where it would just be met, at one amount alone, nobody cares
            guarantee=(form.due(plain.reservation_utility) + JUST * problem.largest_value)[None],
        )
        made = made_with(problem, plain, clause, None)
        worst = _most_gained(made) + menu.preference_margin
        if worst <= 1e-9 * problem.largest_value:
            return made
    margin_asked = menu.preference_margin > 0.0 or menu.participation_margin > 0.0
    raise Infeasible(
        f"cut, the menu leaves somebody {worst:.3g} better off by another's option at every margin tried:"
        f" expected {'smaller margins, ' if margin_asked else ''}costs that differ more, or assurance ="
        ' "count" or "table"'
    )


def _one_for_all(plain: Contract) -> bool:
    """Whether types of several costs share the only option of a menu (equal data mean equal rewards)."""
    data = plain.delivered[plain.delivered > 0.0]
    return data.size > 1 and float(np.ptp(data)) <= SAME * float(data.max())


def _most_gained(contract: Contract) -> float:
    """The most that a type gains by another's option, where all others choose their own."""
    terms = Terms.of(contract)
    gains = terms.gain(*expected(terms, terms.own))
    each = gains[np.arange(terms.own.size), np.arange(terms.own.size)]
    own = np.where(terms.own >= 0, each[np.arange(terms.own.size), terms.own], 0.0)
    other = np.where(np.arange(terms.options) == terms.own[:, None], -np.inf, each)
    other[:, terms.data <= 0.0] = -np.inf
    return float((other.max(axis=1) - own).max()) if terms.options > 1 else -np.inf
