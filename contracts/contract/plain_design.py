"""Design the best contract for a plain problem: the published program, with any reservation utilities."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from contracts.contract import Contract, Provenance
from contracts.errors import Infeasible, NotConverged
from contracts.problem import Problem
from contracts.problem.outcomes import total_data
from contracts.problem.reservation import Reservation
from contracts.problem.shape import check_shape, hopeless
from contracts.program import compiled, interior_point
from contracts.program.branch_and_bound import Answer, proof
from contracts.program.exclusion import CLOSE, Candidate, Found, Solver, gap, search
from contracts.program.first_moment import FirstMoment, prepare
from contracts.program.global_search import sharpen
from contracts.proof.evidence import Proof
from contracts.proof.plain_proof import Given, plain_gaps
from contracts.proof.witness import Tree, Witness

SOLVERS = ("interior-point", "compiled", "conic")
CONIC_GAP = 5e-6  # of the largest target: what the conic solver reaches
NULL_PROVED = (
    1e-3  # of the largest target: what another contract may reach where the null contract is called proved
)


def design_due(
    problem: Problem,
    due: Reservation | None,
    *,
    solver: str,
    global_gap: float = np.inf,
    time_limit: float = 0.0,
    close: float = CLOSE,
) -> Contract:
    """`design_contract` where what each type is due at least is not what it gets alone at its cost.

    Who is left out is looked for only where the relaxation leaves more than `close` open, a share of the largest
    target.
    """
    began = time.perf_counter()
    check_shape(problem)
    if hopeless(problem):
        if due is not None and due.utility.max() > 0.0:
            who = (problem.population.names or ())[int(due.utility.argmax())]
            raise Infeasible(
                f"{who} is due {due.utility.max():.6g}, but all data that may pay together give no model:"
                " expected cheaper data or more participants"
            )
        return null_contract(problem, None, began, left=0.0)
    model = prepare(problem, due)
    found = search(model, *_solvers(solver), close=close)
    answer = sharpen(model, found, global_gap, time_limit)
    contract = contract_of(model, found, solver, began, answer)
    if solver == "conic":
        _demand_proof(contract, due)
    left = gap(model, found) if answer is None else answer.gap
    if left > global_gap and time_limit > 0.0:
        contract = dataclasses.replace(
            contract, reason="; ".join(filter(None, [contract.reason, _open(model, left, answer)]))
        )
    return contract


def _solvers(name: str) -> tuple[Solver, Solver]:
    """What solves the programs, and what their relaxation (a bound, for which conic is not precise enough)."""
    if name == "conic":
        from contracts.program import conic

        return conic.solve, interior_point.solve
    method = compiled.solve if name == "compiled" else interior_point.solve
    return method, method


def _demand_proof(contract: Contract, due: Reservation | None) -> None:
    """Cone solvers stop short of this program's optimum now and then: let only proven answers pass."""
    problem, witness = contract.problem, contract.witness
    if witness is None:
        return
    alone = contract.reservation_utility if due is None else due.utility
    given = Given(problem, alone, contract.contribution, contract.reached, complete=True)
    bounded = plain_gaps(given, Proof(witness=witness))
    if bounded.solved is None or not bounded.solved <= CONIC_GAP * problem.largest_target:
        found = bounded.complaints[0] if bounded.complaints else f"another may be better by {bounded.solved:.3g}"
        raise NotConverged(f"solver = 'conic': {found}; expected solver='interior-point'", best=contract)


class _Menu(NamedTuple):
    """The menu chosen: contributions and utilities of the rows in the user's units, and where they come from."""

    contribution: np.ndarray
    utility: np.ndarray
    excluded: int
    solver: str
    expectation: str
    iterations: int
    candidate: Candidate | None


def contract_of(
    model: FirstMoment, found: Found, solver: str, began: float, answer: Answer | None = None
) -> Contract:
    """The contract that a search found, in the user's units and order, with its proofs."""
    problem, alone = model.problem, model.reservation.utility
    bound = None if found.bound is None else _witness(model, found.bound)
    tree = None if answer is None else proof(model, answer.root)
    menu = _menu(model, found, solver, answer)
    if menu is None:
        if alone.max() > 0.0:
            raise NotConverged(
                "no program was solved although training alone pays; rescale costs and values", best=None
            )
        left = gap(model, found) if answer is None else answer.gap
        return null_contract(problem, bound, began, tree=tree, left=left * model.target_unit)
    contribution = menu.contribution[model.groups]
    witness = (
        _witness(model, menu.candidate) if menu.candidate and model.knee <= problem.accuracy.floor else None
    )
    objective = _expected(model, menu, problem.target_is_value, problem.value)
    accuracy = (
        objective / float(problem.valuation.scale)
        if problem.valuation.linear
        else _expected(model, menu, not problem.target_is_value, problem.accuracy)
    )
    return Contract(
        problem=problem,
        contribution=contribution,
        expected_reward=menu.utility[model.groups] + problem.population.costs * contribution,
        reservation_utility=alone,
        objective=objective,
        expected_accuracy=accuracy,
        reason=_reason(menu.excluded),
        provenance=Provenance(
            solver=menu.solver,
            expectation=menu.expectation,
            excluded=menu.excluded,
            iterations=menu.iterations,
            seconds=time.perf_counter() - began,
            fit_error=max(model.target_mixture.relative_error, model.value_mixture.relative_error)
            if menu.expectation == "mixture of exponentials"
            else 0.0,
        ),
        reached=_reached(problem, objective, accuracy),
        proof=Proof(
            witness=witness,
            global_witness=witness if bound is None and not model.knee > 0.0 else bound,
            tree=tree,
        ),
    )


def _menu(model: FirstMoment, found: Found, solver: str, answer: Answer | None) -> _Menu | None:
    """The best menu found; None if it is the null contract."""
    better, best = None if answer is None else answer.best, found.best
    if better is not None:
        excluded = int(np.argmax(better.contribution > 0.0))
        units = better.contribution * model.data_unit, better.utility * model.value_unit
        return _Menu(*units, excluded, "branch and bound", "outcomes", answer.boxes if answer else 0, None)
    if best is None or best.target <= 1e-12 * model.target_unit:
        return None
    expectation = "mixture of exponentials" if model.program.curves is None else "Gauss rule"
    rounds = best.solution.iterations
    return _Menu(best.contribution, best.utility, best.excluded, solver, expectation, rounds, best)


def _expected(model: FirstMoment, menu: _Menu, is_target: bool, function: Callable[[Any], Any]) -> float:
    if is_target and menu.candidate is not None:
        return menu.candidate.target
    population = model.problem.population
    law = total_data(menu.contribution, model.program.probabilities, population.participants)
    return law.expectation(function)


def _reached(problem: Problem, value: float, accuracy: float) -> float:
    return value if problem.target_is_value else accuracy


def _reason(excluded: int) -> str:
    if excluded == 0:
        return ""
    kinds = "the dearest type" if excluded == 1 else f"the {excluded} dearest types"
    return f"asking nothing of {kinds} is better than asking little: their data would not pay"


def _open(model: FirstMoment, left: float, answer: Answer | None) -> str:
    better = f"another contract may be better by {left * model.target_unit:.3g}" if left < np.inf else "no bound"
    if answer is not None:
        return f"branch and bound stopped after {answer.boxes} cases: {better}"
    return f"not searched by branch and bound (too many outcomes): {better}"


def null_contract(
    problem: Problem,
    global_witness: Witness | None,
    began: float,
    *,
    tree: Tree | None = None,
    left: float = np.inf,
) -> Contract:
    """The contract that asks nothing and gives nothing; `left` is how much better another may be."""
    nothing = np.zeros(problem.population.types)
    top = problem.largest_target
    proved = left <= NULL_PROVED * top
    verdict = (
        "proved" if proved else "not proved: the certificate's global gap bounds what any contract could reach"
    )
    return Contract(
        problem=problem,
        contribution=nothing,
        expected_reward=nothing,
        reservation_utility=nothing,
        objective=0.0,
        expected_accuracy=0.0,
        reason=(
            "no contract was found under which taking part pays: at these costs nobody would train alone, nor"
            " give enough data in exchange for the joint model to make it better than none; nothing is asked,"
            f" nothing given ({verdict})"
        ),
        provenance=Provenance(
            solver="closed form",
            expectation="mixture of exponentials",
            excluded=np.unique(problem.population.costs).size,
            iterations=0,
            seconds=time.perf_counter() - began,
            fit_error=0.0,
        ),
        reached=0.0,
        proof=Proof(global_witness=global_witness, tree=tree),
    )


def _witness(model: FirstMoment, candidate: Candidate) -> Witness:
    program, rows = candidate.program, candidate.program.costs.size
    # The solver's multipliers belong to its objective; those of E L follow by the chain rule.
    prices = candidate.solution.multipliers * (candidate.slope * model.target_unit / model.value_unit)
    return Witness(
        rates=program.rates / model.data_unit,
        target_weights=program.target_weights * model.target_unit,
        value_weights=program.value_weights * model.value_unit,
        excluded=candidate.excluded,
        contribution=candidate.contribution,
        utility=candidate.utility,
        feasibility_multipliers=prices[:rows],
        participation_multipliers=np.concatenate([[0.0], prices[rows:]]),
    )
