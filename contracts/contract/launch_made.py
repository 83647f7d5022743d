"""The contract that comes of a clause: what everybody owes and receives on average, all choosing their own."""

from __future__ import annotations

import dataclasses

import numpy as np

from contracts.contract.attendance import expected, signing
from contracts.contract.contract import Contract, Provenance
from contracts.contract.profiles import chances, profiles
from contracts.contract.terms import Terms
from contracts.problem import Problem
from contracts.problem.clause import Clause

SOLVER = {
    "count": "insured menu",
    "table": "insured menu",
    "cut": "cut menu",
    "contingent": "linear program over profiles",
}


def made_with(problem: Problem, plain: Contract, clause: Clause, prices: np.ndarray | None) -> Contract:
    """The contract with a clause: what everybody contributes and receives on average, all choosing their own."""
    served = clause.served[plain.form.row]
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
            solver=SOLVER[clause.kind],
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
