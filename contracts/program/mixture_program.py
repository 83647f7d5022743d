"""Between the extensions and the program: who may be left out, and the menu that a solution stands for."""

from __future__ import annotations

import time

import numpy as np

from contracts.contract import Contract, Provenance
from contracts.errors import InvalidInput
from contracts.problem import Problem
from contracts.problem.outcomes import total_data
from contracts.program.concave_program import Found
from contracts.program.first_moment import FirstMoment, Program, exclude, prepare
from contracts.proof.concave_bound import expected_target
from contracts.proof.duality import distinct_rows
from contracts.proof.evidence import Proof
from contracts.proof.witness import Witness

MATTERS = 1e-11  # a chance of nobody but the dearest types below which leaving them out changes nothing
MOST_PREFIXES = 64


def prepare_mixture(problem: Problem) -> FirstMoment:
    """The program of a problem whose curve is a mixture of exponentials.

    Raises:
        InvalidInput: it is none.
    """
    model = prepare(problem)
    if model.program.curves is not None:
        error = max(model.target_mixture.relative_error, model.value_mixture.relative_error)
        raise InvalidInput(
            f"accuracy = {type(problem.accuracy).__name__}, valuation = {type(problem.valuation).__name__}: the"
            f" loss is no mixture of exponentials to 1e-8 (error {error:.1g}); expected one, such as that of a"
            " power law with a linear valuation"
        )
    return model


def prefixes(model: FirstMoment) -> list[int]:
    """How many of the dearest rows may be worth leaving out: where being alone with them is not too unlikely."""
    program, belief = model.program, model.problem.belief
    if not model.problem.accuracy.floor > 0.0:
        return [0]
    found = [0]
    for excluded in range(1, min(program.costs.size, MOST_PREFIXES)):
        held = exclude(program, excluded, belief)
        if max(float(held.value_offset.max()), held.target_offset) > MATTERS:
            found.append(excluded)
    return found


def menu_of(model: FirstMoment, witness: Witness, found: Found, began: float) -> Contract:
    """The menu of the witness's point, in the user's order of types."""
    problem, row = model.problem, model.groups
    contribution = witness.contribution[row]
    expected_value, expected_accuracy = expectations(problem, witness.contribution, witness)
    return Contract(
        problem=problem,
        contribution=contribution,
        expected_reward=witness.utility[row] + problem.population.costs * contribution,
        reservation_utility=model.reservation.utility,
        objective=expected_value,
        expected_accuracy=expected_accuracy,
        reason="" if not witness.excluded else f"nothing is asked of the {witness.excluded} dearest costs",
        provenance=Provenance(
            solver="interior-point",
            expectation="mixture of exponentials",
            excluded=witness.excluded,
            iterations=found.iterations,
            seconds=time.perf_counter() - began,
            fit_error=max(model.target_mixture.relative_error, model.value_mixture.relative_error),
        ),
        reached=expected_value if problem.target_is_value else expected_accuracy,
        proof=Proof(witness=witness),
    )


def expectations(problem: Problem, contribution: np.ndarray, witness: Witness) -> tuple[float, float]:
    """Expected value and accuracy of the model trained on contributions, shape (rows,), floor included."""
    _, p, _ = distinct_rows(problem)
    n = problem.population.participants
    if problem.valuation.linear and n * float(contribution.min()) >= problem.accuracy.floor:
        value = expected_target(problem, witness, contribution)
        return value, value / float(problem.valuation.scale)
    law = total_data(contribution, p, n)
    return law.expectation(problem.value), law.expectation(problem.accuracy)


def witness_of(
    model: FirstMoment,
    program: Program,
    excluded: int,
    found: Found,
    feasibility: np.ndarray,
    participation: np.ndarray,
) -> Witness:
    """The point of a solution in the user's units, with prices that are already."""
    return Witness(
        rates=program.rates / model.data_unit,
        target_weights=program.target_weights * model.target_unit,
        value_weights=program.value_weights * model.value_unit,
        excluded=excluded,
        contribution=found.contribution * model.data_unit,
        utility=found.utility * model.value_unit,
        feasibility_multipliers=feasibility,
        participation_multipliers=participation,
    )
