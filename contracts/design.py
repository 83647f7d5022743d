"""Design the best contract for a problem."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from contracts import checks, interior_point
from contracts.accuracy import inspect
from contracts.contract import Contract, Provenance, Witness
from contracts.errors import InvalidInput, NotConverged
from contracts.exclusion import Candidate, search
from contracts.extension import ExtendedProblem
from contracts.first_moment import FirstMoment, prepare
from contracts.outcomes import total_data
from contracts.problem import Problem

SOLVERS = ("interior-point", "conic")


def design_contract(problem: Any, *, solver: str = "interior-point") -> Any:
    """Find the contract that maximises the coordinator's expected accuracy (or value).

    Solves the first-moment relaxation exactly over who takes part, leaves types out where that is better,
    and maps the answer back to a menu in the user's order of types. `verify` proves it.

    Args:
        problem: types, costs, probabilities, curve, valuation, belief; or a problem of one of the extensions,
            which gives a contract of its own class.
        solver: "interior-point" (default: fast, precise, any size) or "conic" (cvxpy with Clarabel: an
            independent second opinion for up to about 50 types and 10,000 participants, to about 1e-6).

    Returns:
        The contract. Where nobody's participation can pay it is the null contract, and `reason` says why.

    Raises:
        InvalidInput: the curve decreases or is not concave above its floor, or the numbers are too extreme.
        NotConverged: the solver stopped early; the message says how far it got.

    Source: Wang et al., AAAI 2025 (arXiv 2412.11122); exact expectations, exclusion and bounds are ours.

    >>> from contracts import GeneralizationBound, LinearValuation, Population
    >>> problem = Problem(
    ...     population=Population(costs=[0.02, 0.01], probabilities=[0.5, 0.5], participants=10),
    ...     accuracy=GeneralizationBound(optimum=1.0, complexity=1.0),
    ...     valuation=LinearValuation(scale=100.0),
    ... )
    >>> round(design_contract(problem).objective, 6)
    93.593713
    """
    checks.choice("solver", solver, SOLVERS)
    if isinstance(problem, ExtendedProblem):
        return problem.design(solver=solver)
    if not isinstance(problem, Problem):
        raise InvalidInput(f"problem = {problem!r}: expected a Problem")
    began = time.perf_counter()
    check_shape(problem)
    if hopeless(problem):
        return _null(problem, None, began)
    model = prepare(problem)
    if solver == "conic":
        from contracts.conic import solve as solver_function
    else:
        solver_function = interior_point.solve
    best, bound = search(model, solver_function)
    contract = contract_of(model, best, bound, solver, began)
    if solver == "conic":
        _demand_proof(contract)
    return contract


def _demand_proof(contract: Contract) -> None:
    """Cone solvers stop short of this program's optimum now and then: let only proven answers pass."""
    from contracts.verify import verify

    certificate = verify(contract)
    if not certificate.holds:
        raise NotConverged(
            f"solver = 'conic': {certificate.violations[0]}; expected solver='interior-point'", best=contract
        )


def hopeless(problem: Problem) -> bool:
    """Whether all participants together could not afford the data with which accuracy leaves zero."""
    return problem.most_data <= problem.accuracy.floor


def check_shape(problem: Problem) -> None:
    """Refuse numbers too extreme for floats, and curves that decrease or are not concave above their floor."""
    most = problem.most_data
    if not 1e-250 < most < 1e250 or not np.isfinite(most):
        raise InvalidInput(
            f"participants * largest value / smallest cost = {most:g} data: expected between 1e-250 and 1e250;"
            " choose other units"
        )
    if hopeless(problem):
        return
    shape = inspect(problem.accuracy, high=most)
    for low, high in shape.decreasing:
        raise InvalidInput(f"accuracy decreases between {low:g} and {high:g} data: expected an increasing curve")
    for low, high in shape.convex:
        raise InvalidInput(
            f"accuracy is not concave between {low:g} and {high:g} data: expected a concave curve above its"
            f" floor ({problem.accuracy.floor:g} data); fit a family, or tabulate its concave part"
        )


def contract_of(
    model: FirstMoment, best: Candidate | None, bound: Candidate | None, solver: str, began: float
) -> Contract:
    """The contract that a solved program stands for, in the user's units and order, with its proofs."""
    problem = model.problem
    alone = model.reservation.utility
    global_witness = None if bound is None else _witness(model, bound)
    if best is None or best.target <= 1e-12 * model.target_unit:
        if alone.max() > 0.0:
            raise NotConverged(
                "no program was solved although training alone pays; rescale costs and values", best=best
            )
        return _null(problem, global_witness, began)
    row = model.groups
    contribution = best.contribution[row]
    expected_reward = best.utility[row] + problem.population.costs * contribution
    witness = _witness(model, best)
    return Contract(
        problem=problem,
        contribution=contribution,
        expected_reward=expected_reward,
        reservation_utility=alone,
        objective=_expected(model, best, problem.target_is_value, problem.value),
        expected_accuracy=_expected(model, best, not problem.target_is_value, problem.accuracy),
        reason=_reason(best),
        provenance=Provenance(
            solver=solver,
            expectation="mixture of exponentials" if model.program.curves is None else "Gauss rule",
            excluded=best.excluded,
            iterations=best.solution.iterations,
            seconds=time.perf_counter() - began,
            fit_error=0.0
            if model.program.curves is not None
            else max(model.target_mixture.relative_error, model.value_mixture.relative_error),
        ),
        witness=witness,
        global_witness=witness if global_witness is None and not problem.accuracy.floor > 0 else global_witness,
    )


def _expected(model: FirstMoment, best: Candidate, is_target: bool, function) -> float:
    problem = model.problem
    if is_target:
        return best.target
    if problem.valuation.linear:
        return best.target / float(problem.valuation.scale)
    population = problem.population
    law = total_data(best.contribution, model.program.probabilities, population.participants)
    return law.expectation(function)


def _reason(best: Candidate) -> str:
    if best.excluded == 0:
        return ""
    kinds = "the dearest type" if best.excluded == 1 else f"the {best.excluded} dearest types"
    return f"asking nothing of {kinds} is better than asking little: their data would not pay"


def _null(problem: Problem, global_witness: Witness | None, began: float) -> Contract:
    nothing = np.zeros(problem.population.types)
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
            " nothing given (the certificate's global gap bounds what any contract could reach)"
        ),
        provenance=Provenance(
            solver="closed form",
            expectation="mixture of exponentials",
            excluded=np.unique(problem.population.costs).size,
            iterations=0,
            seconds=time.perf_counter() - began,
            fit_error=0.0,
        ),
        witness=None,
        global_witness=global_witness,
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
