"""Settling a contract with a launch clause, and what its models are worth: both over profiles of signatures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from contracts.contract.attendance import signing
from contracts.contract.profiles import chances, profiles
from contracts.contract.terms import Terms
from contracts.errors import InvalidInput
from contracts.problem.laws import trained
from contracts.problem.outcomes import Law, merge
from contracts.records import frozen

if TYPE_CHECKING:
    from contracts.contract.contract import Contract


@frozen
class Settled:
    """What one profile of signatures comes to, by type.

    Attributes:
        launched: whether anything is launched.
        released: whose signatures are released, shape (types,).
        contribution: raw data that each delivers, shape (types,).
        value: of the model that it receives, to each type, shape (types,).
        utility: what each gets, what staying out gives where it is released, shape (types,).
        total: effective data trained on.
    """

    launched: bool
    released: np.ndarray
    contribution: np.ndarray
    value: np.ndarray
    utility: np.ndarray
    total: float


def settle_signatures(contract: Contract, counts: np.ndarray) -> Settled:
    """What becomes of signatures, `counts` by the type whose option was signed, shape (types,).

    Raises:
        InvalidInput: more sign than may take part.
    """
    terms, population = Terms.of(contract), contract.problem.population
    most = terms.world.laws[0].most
    if counts.sum() > most:
        raise InvalidInput(f"counts sum to {counts.sum():g}: expected at most {most:,} signatures")
    signed = np.zeros(terms.options)
    np.add.at(signed, terms.own[terms.own >= 0], counts[terms.own >= 0])
    outcome = terms.outcome(signed[None])
    own = np.maximum(terms.own, 0)
    there = outcome.launched[0][own] & (terms.own >= 0)
    contribution = np.where(there, outcome.data[0][own] / terms.form.effective, 0.0)
    value = np.where(there, terms.form.relative * outcome.worth[0][own], 0.0)
    gained = value - population.costs * contribution - contract.problem.outside.joining_cost
    any_signed = signed > 0.0
    return Settled(
        launched=bool((outcome.launched[0] & any_signed).any()),
        released=~there,
        contribution=contribution,
        value=value,
        utility=np.where(there, gained, terms.outside),
        total=float(outcome.total[0]),
    )


def rewards_by_type(contract: Contract) -> tuple[np.ndarray, tuple[np.ndarray, ...], tuple[np.ndarray, ...]]:
    """Caps of all types, and the values that the model may have to each with their probabilities.

    A release counts as what staying out is worth, the cost of joining included.
    """
    terms = Terms.of(contract)
    law = terms.world.laws[0].others()
    listed = profiles(terms.options, law.most)
    likely = chances(listed, signing(terms, terms.own), law)
    due = terms.outside + contract.problem.outside.joining_cost
    found: dict[int, tuple[np.ndarray, np.ndarray]] = {}
    for k in range(terms.options):
        outcome = terms.outcome(listed + (np.arange(terms.options) == k))
        found[k] = outcome.launched[:, k], outcome.worth[:, k]
    values, masses = [], []
    for i, k in enumerate(terms.own):
        if k < 0:
            values.append(np.zeros(1))
            masses.append(np.ones(1))
            continue
        there, worth = found[int(k)]
        levels, place = np.unique(np.where(there, terms.form.relative[i] * worth, due[i]), return_inverse=True)
        values.append(levels)
        masses.append(np.bincount(place, weights=likely))
    assert contract.clause is not None
    caps = contract.clause.largest[1][terms.form.row] * terms.form.relative
    return np.where(terms.own < 0, 0.0, caps), tuple(values), tuple(masses)


def chance_of_loss(contract: Contract, allowed: np.ndarray) -> np.ndarray:
    """The probability that a type does worse than by staying out, all choosing their own, shape (types,).

    Args:
        contract: a contract with a launch clause.
        allowed: what may be missing by rounding, in own units, shape (types,).
    """
    terms = Terms.of(contract)
    law = terms.world.laws[0].others()
    listed = profiles(terms.options, law.most)
    likely: Any = chances(listed, signing(terms, terms.own), law)
    found = np.zeros(terms.own.size)
    for i in np.flatnonzero(terms.own >= 0):
        k = int(terms.own[i])
        outcome = terms.outcome(listed + (np.arange(terms.options) == k))
        gain = terms.gain(outcome.launched, outcome.worth, outcome.data)[:, i, k]
        found[i] = likely @ (gain < -allowed[i])
    return np.clip(found, 0.0, 1.0)


def trained_law(contract: Contract, scenario: int = 0) -> Law:
    """The law of the data that the model is trained on, everybody choosing its own option; 0 where released."""
    world = contract.form.worlds[scenario]
    if contract.clause is None:
        return trained(contract.form, world, contract.delivered)
    terms = Terms.of(contract, scenario)
    listed = profiles(terms.options, world.laws[0].most)
    likely: Any = chances(listed, signing(terms, terms.own), world.laws[0])
    data, mass = merge(terms.outcome(listed).total, likely)
    kept = mass > 0.0
    return Law(data=data[kept], probabilities=mass[kept], step=0.0)
