"""Designing for probabilities that are known up to a Kullback-Leibler divergence.

No member of the ball is worst for every menu. A contract is designed against a bound on the worst case
(`contracts.program.cutting_planes`), so that every promise is kept by every member of the ball; how much better
any other contract that holds could be is bounded by the best contract at one member, whose proof it carries.

The two differ by what the bound per rate gives away: nothing for two types, 1e-9 to 1e-6 of the value where many
take part, up to 0.1 % at ten participants and costs spread 500-fold.

Source: ours.
"""

from __future__ import annotations

import dataclasses
import time

import numpy as np

from contracts.contract.contract import Contract, Provenance
from contracts.contract.general_design import design_general, nothing_contract
from contracts.contract.plain_design import design_due
from contracts.contract.stated import Stated
from contracts.errors import Infeasible, InvalidInput, ModelpactError, NotConverged
from contracts.problem import Problem
from contracts.problem.cases import asked_of
from contracts.problem.outcomes import total_data
from contracts.problem.reservation import Reservation
from contracts.program import cutting_planes, interior_point
from contracts.program.exclusion import attempt
from contracts.program.first_moment import FirstMoment, prepare
from contracts.program.search import bound_over_outcomes
from contracts.program.tilts import tilted
from contracts.proof.general_proof import at_member

MOST_REFERENCES = 8
STEPS = 100


def design_within_divergence(stated: Stated, *, solver: str, time_limit: float) -> Contract:
    """The best contract whose promises hold for every member of the ball.

    Args:
        stated: the problem with its standard form.
        solver: for the reference contract.
        time_limit: seconds for its branch and bound.

    Raises:
        InvalidInput: the curve's loss is no mixture of exponentials.
        Infeasible: no contract gives everybody what it is due at every member of the ball.
    """
    try:
        return _serving(stated, solver=solver, time_limit=time_limit)
    except NotConverged as error:
        _demand_mixture(prepare(stated.plain, stated.reservation))
        found = nothing_contract(stated, f"serving everybody whatever the probabilities: {error}")
        if found is not None:
            return found
        # Already at the stated probabilities more may be due than can be given: to whom, and how much.
        design_general(stated, global_gap=1e-3, time_limit=time_limit)
        raise Infeasible(str(error)) from error


def _demand_mixture(model: FirstMoment) -> FirstMoment:
    if model.program.curves is not None:
        raise InvalidInput(
            "accuracy: its loss is no mixture of exponentials, which doubt by Kullback-Leibler divergence needs:"
            " expected another curve, or doubt in total variation"
        )
    return model


def _serving(stated: Stated, *, solver: str, time_limit: float) -> Contract:
    """The best contract that serves everybody."""
    began = time.perf_counter()
    plain, due = stated.plain, stated.reservation
    nominal = design_due(plain, due, solver=solver, time_limit=time_limit)
    radius = stated.form.problem.population.doubt.radius  # type: ignore[union-attr]
    if not nominal.contribution.any():
        return stated.read(nominal)
    model = _demand_mixture(prepare(plain, due))
    start = np.zeros(model.program.costs.size)
    np.maximum.at(start, model.groups, nominal.contribution / model.data_unit)
    found = cutting_planes.solve(model, radius, start)
    contribution = found.contribution[model.groups] * model.data_unit
    utility = found.utility[model.groups] * model.value_unit
    reference = _reference(model, due, contribution, found.members, radius, solver)
    value = model.value_unit * (1.0 - found.value_loss)
    target = model.target_unit * (1.0 - found.loss)
    menu = Contract(
        problem=plain,
        contribution=contribution,
        expected_reward=utility + plain.population.costs * contribution,
        reservation_utility=due.utility,
        objective=value,
        expected_accuracy=_accuracy(plain, contribution, value, target),
        reached=target,
        reason="",
        provenance=Provenance(
            solver="cutting planes",
            expectation="mixture of exponentials",
            excluded=0,
            iterations=found.rounds,
            seconds=time.perf_counter() - began,
            fit_error=max(model.target_mixture.relative_error, model.value_mixture.relative_error),
        ),
        proof=dataclasses.replace(reference.proof, member=reference.problem.population.probabilities),
    )
    if not stated.may_stay_out and plain.accuracy.floor == 0.0:
        return stated.read(menu)
    # On the true curve, and for contracts that leave some outside, more may be reached at that member.
    form = at_member(stated.form, menu.proof)
    cases = bound_over_outcomes(
        form, asked_of(form, stated.outside), stated.outside, target, time_limit=time_limit, global_gap=1e-3
    )
    return stated.read(dataclasses.replace(menu, proof=dataclasses.replace(menu.proof, global_cases=cases)))


def _accuracy(plain: Problem, contribution: np.ndarray, value: float, target: float) -> float:
    """The expected accuracy: at the worst where value or the target tells, else at the stated probabilities."""
    if plain.valuation.linear:
        return value / float(plain.valuation.scale)
    if not plain.target_is_value:
        return target
    population = plain.population
    law = total_data(contribution, population.probabilities, population.participants)
    return law.expectation(plain.accuracy)


def _at(problem: Problem, probabilities: np.ndarray) -> Problem:
    within = np.clip(probabilities, 0.0, 1.0)  # sums of differences may stick out by a rounding
    population = dataclasses.replace(problem.population, probabilities=within)
    return dataclasses.replace(problem, population=population)


def _reference(
    model: FirstMoment,
    due: Reservation,
    contribution: np.ndarray,
    members: np.ndarray,
    radius: float,
    solver: str,
) -> Contract:
    """The best contract at the member of the ball where it is worst, of those that are bad for the menu and of
    those that the planes touched."""
    p, row = model.program.probabilities, model.groups
    distinct = members[np.sort(np.unique(members.round(6), axis=0, return_index=True)[1])]
    spread = distinct[np.unique(np.linspace(0, len(distinct) - 1, MOST_REFERENCES).astype(int))]
    share = model.problem.population.probabilities / np.where(p > 0, p, 1.0)[row]
    candidates = [*(q[row] * share for q in spread), _ascent(model, contribution, radius)]
    stated = [_at(model.problem, q) for q in candidates]
    return design_due(min(stated, key=lambda one: _promise(one, due)), due, solver=solver)


def _promise(problem: Problem, due: Reservation) -> float:
    """About what the best contract of a problem reaches: with all types taking part."""
    try:
        model = prepare(problem, due)
        found = attempt(model, model.program, 0, interior_point.solve)
    except ModelpactError:
        return np.inf
    return np.inf if found is None else found.target


def _ascent(model: FirstMoment, contribution: np.ndarray, radius: float) -> np.ndarray:
    """A member at which the expected loss is large: steps to the best of its tangents.

    The loss is convex in the probabilities, so that every step raises it.
    """
    law = model.problem.population.turnout
    each = np.exp(-np.multiply.outer(model.program.rates / model.data_unit, contribution))
    p = q = model.problem.population.probabilities
    for _ in range(STEPS):
        mean = np.maximum(each @ q, 1e-300)
        power = law.log_power(np.log(mean))
        gains = (model.program.target_weights * np.exp(power.value) * power.slope / mean) @ each
        following = tilted(p, gains[None, :], radius)[0]
        if np.abs(following - q).max() <= 1e-13:
            break
        q = following
    return q
