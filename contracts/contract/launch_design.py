"""Designing menus with a launch clause: insured ones (count, table), and menus whose contributions are cut."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable

import numpy as np

from contracts import checks
from contracts.contract.attendance import covering_count, expected, signing
from contracts.contract.contract import Contract, Provenance
from contracts.contract.profiles import chances, profiles
from contracts.contract.terms import Terms
from contracts.errors import Infeasible, InvalidInput
from contracts.problem import Problem
from contracts.problem.clause import Clause
from contracts.problem.menu import Menu
from contracts.problem.participants import FixedTurnout
from contracts.problem.reservation import outside_utility
from contracts.problem.shape import check_concave
from contracts.problem.standard_form import StandardForm, standard_form
from contracts.program.insured import Found, InsuredProgram, launch_count, solve

MOST_SIGNERS, MOST_PROFILES = 60, 60_000
ATTEMPTS = 5  # at margins with which choices of a cut menu are right
JUST = 1e-7  # of the largest value: what a cut menu leaves beyond what is due
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
    if not plain.contribution.any():
        if problem.menu.participation_margin > 0.0:
            raise Infeasible(f"{plain.reason}; expected a smaller participation_margin")
        return dataclasses.replace(plain, problem=problem)
    cut = problem.menu.assurance == "cut"
    found = _cut(problem, plain, design) if cut else _insured(problem, plain)
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


def _insured(problem: Problem, plain: Contract) -> Contract:
    form, law = standard_form(problem), problem.population.laws[0]
    for world in form.worlds:
        check_concave(world.plain)
    if form.rows < 2:
        raise InvalidInput(
            "assurance: types that all act alike make a menu of one option: expected launch_from(contract), or"
            ' "cut"'
        )
    start = form.due(plain.utility)
    if problem.menu.assurance == "count":
        if not isinstance(law, FixedTurnout):
            raise InvalidInput('assurance = "count": expected a known number of participants, or "table"')
        program = _program(form, law.count)
        found = solve(program, start)
        if found is None:
            raise Infeasible(_uncovered(law.count))
        counts = [launch_count(program, found.guarantee)]
        return _made(problem, plain, _clause("count", counts, program, [found]), np.array([found.prices]))
    if law.most > MOST_SIGNERS:
        raise InvalidInput(f'assurance = "table": up to {law.most:,} may sign: expected at most {MOST_SIGNERS}')
    menus: list[tuple[int, Found]] = []
    program = None
    for number in range(law.most, 1, -1):
        program = _program(form, number)
        found = solve(program, menus[-1][1].guarantee if menus else start)
        if found is None:
            break
        menus.append((number, found))
    if not menus or program is None:
        raise Infeasible(_uncovered(law.most))
    menus.reverse()
    clause = _clause("table", [number for number, _ in menus], program, [found for _, found in menus])
    return _made(problem, plain, clause, np.array([found.prices for _, found in menus]))


def _uncovered(number: int) -> str:
    return (
        f"no insured menu covers: all {number} signing for the dearest option would not reach the launch level;"
        ' expected assurance = "cut", smaller margins, or a problem without its dearest types'
    )


def _program(form: StandardForm, number: int) -> InsuredProgram:
    """The best menu when so many sign, launched from as many."""
    from math import comb

    size = comb(number + form.rows - 1, form.rows - 1)
    if size > MOST_PROFILES:
        raise InvalidInput(
            f"assurance: {number} participants of {form.rows} kinds make {size:,} profiles of signatures:"
            f" expected"
            f" at most {MOST_PROFILES:,}"
        )
    listed = profiles(form.rows - 1, number)
    counts = np.c_[listed, number - listed.sum(axis=1)]
    world = form.worlds[0]
    likely = chances(counts, world.probabilities / world.probabilities.sum(), FixedTurnout(count=number))
    outside = outside_utility(form)
    return InsuredProgram(
        plain=world.plain,
        costs=form.costs,
        due=form.due(outside),
        margin=preference_margins(form),
        counts=counts.astype(float),
        chances=likely,
        launch=number,
    )


def preference_margins(form: StandardForm) -> np.ndarray:
    """What each row is to lose at least by another option: the most of its types', in units of rows."""
    found = np.zeros(form.rows)
    np.maximum.at(found, form.row, form.problem.menu.preference_margin / form.relative)
    return found


def _clause(kind: str, counts: list[int], program: InsuredProgram, found: list[Found]) -> Clause:
    guarantee = np.array([one.guarantee for one in found])
    amounts = np.array([program.amounts(one.guarantee) for one in found])
    cap = guarantee + program.costs * amounts
    cap[:, -1] = np.inf
    return Clause(kind=kind, counts=np.array(counts), contribution=amounts, cap=cap, guarantee=guarantee)


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
        made = _made(problem, plain, clause, None)
        worst = _most_gained(made) + menu.preference_margin
        if worst <= 1e-9 * problem.largest_value:
            return made
    raise Infeasible(
        f"cut, the menu leaves somebody {worst:.3g} better off by another's option at every margin tried:"
        f" expected"
        ' assurance = "count" or "table"'
    )


def _most_gained(contract: Contract) -> float:
    """The most that a type gains by another's option, where all others choose their own."""
    terms = Terms.of(contract)
    gains = terms.gain(*expected(terms, terms.own))
    each = gains[np.arange(terms.own.size), np.arange(terms.own.size)]
    own = np.where(terms.own >= 0, each[np.arange(terms.own.size), terms.own], 0.0)
    other = np.where(np.arange(terms.options) == terms.own[:, None], -np.inf, each)
    other[:, terms.data <= 0.0] = -np.inf
    return float((other.max(axis=1) - own).max()) if terms.options > 1 else -np.inf


def _made(problem: Problem, plain: Contract, clause: Clause, prices: np.ndarray | None) -> Contract:
    """The contract with a clause: what everybody contributes and receives on average, all choosing their own."""
    served = clause.contribution[-1][plain.form.row] > 0.0
    draft = dataclasses.replace(
        plain, problem=problem, clause=clause, expected_reward=served * 1.0, contribution=served * 1.0
    )
    terms = Terms.of(draft)
    launch, worth, data = expected(terms, terms.own)
    own, types = np.maximum(terms.own, 0), np.arange(terms.own.size)
    chance = np.where(served, launch[types, own], 0.0)
    due = draft.reservation_utility + problem.outside.joining_cost
    reward = terms.form.relative * worth[types, own] + (1.0 - chance) * due
    value, accuracy = _trained(terms)
    target = value if problem.target_is_value else accuracy
    return dataclasses.replace(
        draft,
        contribution=np.where(served, data[types, own] / terms.form.effective, 0.0),
        expected_reward=np.where(served, reward, 0.0),
        objective=value,
        expected_accuracy=problem.baseline + accuracy,
        reached=target + (0.0 if problem.target_is_value else problem.baseline),
        proof=dataclasses.replace(plain.proof, launch=prices),
        provenance=Provenance(
            solver="insured menu" if clause.insured else "cut menu",
            expectation="outcomes",
            excluded=plain.provenance.excluded,
            iterations=plain.provenance.iterations,
            seconds=plain.provenance.seconds,
            fit_error=plain.provenance.fit_error,
        ),
    )


def _trained(terms: Terms) -> tuple[float, float]:
    """Expected value and accuracy (above the baseline) of the trained model, all choosing their own options."""
    law = terms.world.laws[0]
    listed = profiles(terms.options, law.most)
    likely = chances(listed, signing(terms, terms.own), law)
    total = terms.outcome(listed).total
    return float(likely @ terms.world.plain.value(total)), float(likely @ terms.world.plain.accuracy(total))
