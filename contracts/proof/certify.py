"""The certificate of a contract: every promise recomputed, and what its proof says of all other contracts.

No number of the contract or of its proof is trusted, and nothing here is shared with what solves problems.
"""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import numpy as np

from contracts.errors import InvalidInput
from contracts.problem.problem import Problem
from contracts.problem.shape import check_bend
from contracts.problem.standard_form import StandardForm, standard_form
from contracts.proof import promises
from contracts.proof.certificate import Certificate
from contracts.proof.doubt_check import doubted
from contracts.proof.evidence import Proof
from contracts.proof.expectations import Expected, mean_of, worlds_expected
from contracts.proof.gaps import Bounded, both
from contracts.proof.general_proof import at_member, general_gaps
from contracts.proof.measured_check import measured_check
from contracts.proof.mixture_check import Exponentials
from contracts.proof.outside_options import may_stay_out, outside_utilities
from contracts.proof.plain_proof import Given, plain_gaps
from contracts.proof.promises import Menu
from contracts.proof.reached import outcomes_of, reached_by, unit_of
from contracts.proof.region_check import LOWEST, bounds_all, kept_throughout
from contracts.proof.simulation import confirmed
from contracts.proof.soundness import ProofRefused

STATED = 1e-7  # by which stated expectations may differ from recomputed ones, relative to the largest
GAP = 1e-3  # of the unit of the objective: how much better another contract may be than one called optimal


class _Found(NamedTuple):
    """What was found of the promises, and what the contract reaches."""

    certificate: Certificate
    menu: Menu
    reached: float


def certify(
    problem: Problem,
    *,
    contribution: np.ndarray,
    expected_reward: np.ndarray,
    reservation_utility: np.ndarray,
    objective: float,
    expected_accuracy: float,
    reached: float | None = None,
    proof: Proof | None = None,
    gap: float = GAP,
) -> Certificate:
    """Recompute every promise and every stated number of a contract, and what its proof proves.

    Args:
        problem: the problem, of any ingredients.
        contribution: raw data that each type owes, shape (types,).
        expected_reward: expected value promised to each, in its own units, shape (types,).
        reservation_utility: what each is stated to get by staying out, in its own units, shape (types,).
        objective: stated expected value of the trained model above the baseline's, in units of the mean scale.
        expected_accuracy: its stated expected accuracy, the baseline included.
        reached: the stated value of what is maximised, if it is stated.
        proof: the proof; None, or whatever is missing in it, proves nothing.
        gap: how much better another contract may be than one that is called optimal, relative to the size of the
            objective (the largest target).

    Raises:
        InvalidInput: an array of another shape, or value that bends upwards where it begins.
    """
    check_bend(problem)
    columns = {"contribution": contribution, "expected_reward": expected_reward}
    columns["reservation_utility"] = reservation_utility
    types = problem.population.types
    for name, values in columns.items():
        if np.shape(values) != (types,):
            raise InvalidInput(f"{name} has shape {np.shape(values)}: expected ({types},), one for each type")
    arrays = {name: np.asarray(values, dtype=float) for name, values in columns.items()}
    form, proof = standard_form(problem), proof or Proof()
    outside = outside_utilities(form)
    stated = (objective, expected_accuracy, reached)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        found = _promised(form, outside, proof, arrays, stated)
    if not found.certificate.holds:
        return dataclasses.replace(found.certificate, missing="a promise is broken")
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        bounded = _gaps(form, outside, proof, found)
    if not bounds_all(form, proof):
        scope = ", ".join(filter(None, [bounded.scope, LOWEST]))
        bounded = bounded._replace(gap=None, scope=scope)
    return _judged(found.certificate, _possible(bounded, form), proof, gap * unit_of(form))


def _promised(
    form: StandardForm, outside: np.ndarray, proof: Proof, arrays: dict[str, np.ndarray], stated: tuple
) -> _Found:
    """Everything but optimality: what every contract must satisfy, whatever it was designed for."""
    menu, complaints = promises.read_menu(form, arrays["contribution"], arrays["expected_reward"], outside)
    mixtures = mixtures_of(proof, len(form.worlds))
    worlds = worlds_expected(form, menu.data, mixtures)
    doubt = doubted(form, menu, worlds, mixtures)
    worlds = doubt.worlds
    given = form.relative * np.min([world.given for world in worlds], axis=0)
    missed = form.relative * max(world.error for world in worlds)
    gain = promises.gains(form, menu)
    utility = np.where(menu.stays, outside, gain + outside)
    rewards = np.where(menu.stays, 0.0, menu.worth)
    outcomes = outcomes_of(utility, rewards, outside, [world.crowd for world in worlds])
    reached = reached_by(form, worlds, outcomes)
    region = kept_throughout(form, menu, worlds)
    check, disagreement = confirmed(menu, worlds)
    measured = measured_check(form, menu, worlds)
    violations = [
        *complaints,
        *promises.broken(form, menu, gain, given, missed),
        *promises.misstated(form, arrays["reservation_utility"], outside),
        *_misstated(form, worlds, reached, stated),
        *doubt.violations,
        *region.violations,
        *measured.violations,
        *disagreement,
    ]
    envy, envied = promises.envy(form, menu)
    certificate = Certificate(
        holds=not violations,
        optimal=False,
        gap=None,
        as_solved_gap=None,
        scope="",
        missing="",
        participation_slack=gain,
        envy=envy,
        envied=envied,
        feasibility_slack=given - np.where(menu.stays, 0.0, menu.reward),
        independent_check="; ".join(filter(None, [worlds[0].how, check])),
        violations=tuple(violations),
        tolerance=promises.TOLERANCE * promises.largest_value(form),
        about=(*_about(form, menu), *doubt.about, *region.about, *measured.about),
        caution=measured.caution,
        extended=doubt.extended | region.extended | measured.extended,
    )
    return _Found(certificate, menu, reached)


def mixtures_of(proof: Proof, worlds: int) -> list[Exponentials] | None:
    """The mixtures of a proof, one for each world; None if it has none. They are not checked here."""
    for cases in (proof.cases, proof.global_cases if proof.cases is None else None):
        if cases is not None and cases.mixtures is not None:
            mixtures = cases.mixtures
            if np.shape(mixtures.target_weights)[:1] != (worlds,) or np.shape(mixtures.value_weights)[:1] != (
                worlds,
            ):
                return None
            pairs = zip(mixtures.target_weights, mixtures.value_weights, strict=True)
            return [
                Exponentials(rates=mixtures.rates, target_weights=target, value_weights=value)
                for target, value in pairs
            ]
    witness = proof.witness
    if witness is None or not np.size(witness.rates) or worlds != 1:
        return None
    return [
        Exponentials(
            rates=witness.rates, target_weights=witness.target_weights, value_weights=witness.value_weights
        )
    ]


def _misstated(form: StandardForm, worlds: list[Expected], reached: float, stated: tuple) -> list[str]:
    value = mean_of(form.worlds, [world.value for world in worlds])
    problem = form.problem
    accuracy = problem.baseline + mean_of(form.worlds, [world.accuracy for world in worlds])
    if problem.objective is None and not problem.target_is_value:  # an accuracy, which is stated as it is
        reached += problem.baseline
    sizes = promises.largest_value(form), 1.0, unit_of(form)
    names = "objective", "expected accuracy", "what is maximised"
    found = []
    for name, said, true, size in zip(names, stated, (value, accuracy, reached), sizes, strict=True):
        agrees = said is None or said == true or abs(said - true) <= STATED * size
        if not agrees:
            found.append(f"{name}: stated {said:.9g}, recomputed {true:.9g}")
    return found


def _about(form: StandardForm, menu: Menu) -> list[str]:
    """What somebody who relies on the certificate should know."""
    problem, found = form.problem, []
    if menu.data.any():
        found.append("it is assumed that nobody coordinates on staying away")
    if problem.population.shading > 0.0:
        share = f"{problem.population.shading:.3g}"
        found.append(f"promises are kept even if everybody withholds a share of {share} of its data undetected")
    if menu.stays.any():
        names = [name for name, out in zip(problem.population.names or (), menu.stays, strict=True) if out]
        found.append(f"left outside of the deal: {', '.join(names)}")
    return found


def _gaps(form: StandardForm, outside: np.ndarray, proof: Proof, found: _Found) -> Bounded:
    """What all parts of a proof say."""
    by_cases = general_gaps(form, outside, proof, found.reached)
    if not _one_plain_world(form):
        if all(part is None for part in (proof.witness, proof.global_witness, proof.tree)):
            return by_cases
        refusal = "prices of the plain problem prove nothing about this one"
        return by_cases._replace(complaints=(*by_cases.complaints, refusal))
    due = form.due(outside)[form.row]
    complete = not may_stay_out(form.problem)
    try:
        plain = at_member(form, proof).worlds[0].plain
    except ProofRefused as refusal:
        return by_cases._replace(complaints=(*by_cases.complaints, str(refusal)))
    return both(plain_gaps(Given(plain, due, found.menu.data, found.reached, complete), proof), by_cases)


def _one_plain_world(form: StandardForm) -> bool:
    """Whether the proofs of plain problems speak of it: also of one member of a Kullback-Leibler ball."""
    alone = len(form.worlds) == 1 and len(form.worlds[0].laws) == 1
    free = form.problem.menu.free and form.problem.objective is None
    return alone and free and not np.isfinite(form.capacity).any()


def _possible(bounded: Bounded, form: StandardForm) -> Bounded:
    """No contract is better by more than the best model is worth, whatever a proof leaves open."""
    if form.problem.objective is not None:
        return bounded
    most = unit_of(form)
    gap = None if bounded.gap is None else min(bounded.gap, most)
    solved = None if bounded.solved is None else min(bounded.solved, most)
    return bounded._replace(gap=gap, solved=solved)


def _judged(certificate: Certificate, bounded: Bounded, proof: Proof, asked: float) -> Certificate:
    gap = bounded.gap
    optimal = gap is not None and gap <= asked
    return dataclasses.replace(
        certificate,
        optimal=optimal,
        gap=gap,
        as_solved_gap=bounded.solved,
        scope=bounded.scope if bounded.solved is not None else "",
        missing="" if optimal else _missing(bounded, proof, asked),
    )


def _missing(bounded: Bounded, proof: Proof, asked: float) -> str:
    refused = "; ".join(bounded.complaints)
    if bounded.gap is not None:
        found = f"another contract may be better by {bounded.gap:.3g} (asked for: {asked:.3g})"
    elif bounded.solved is not None:
        found = f"what is proved ({bounded.solved:.3g}) is about {bounded.scope}"
    elif refused:
        return refused
    else:
        nothing = all(getattr(proof, field.name) is None for field in dataclasses.fields(proof))
        found = "the contract carries no proof" if nothing else "its proof says nothing about all contracts"
    return f"{found}; {refused}" if refused else found
