"""Every combination of ingredients is designed, kept and proved, or refused in one line of the table."""

import dataclasses
import itertools
import os
import random
import re

import numpy as np
import pytest
from enumerated import Enumerated
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from oracle import best, reached, violations

from contracts import (
    Contract,
    Doubt,
    Infeasible,
    InvalidInput,
    LinearValuation,
    Menu,
    Outside,
    Poisson,
    Population,
    PowerLaw,
    Problem,
    Scenario,
    choose,
    design_contract,
    verify,
)
from contracts.problem.outcomes import total_data
from contracts.problem.scenario import scenario_population
from contracts.testing import (
    ANY,
    INGREDIENTS,
    alternatives,
    assert_feasible,
    assert_incentive_compatible,
    assert_individually_rational,
    parts,
    refusal,
)

SMALL = {
    "types": (2, 3),
    "participants": (2, 4),
    "families": ("power-law", "exponential", "generalization-bound"),
}
EXHAUSTIVE = (
    os.environ.get("EXHAUSTIVE") == "1"
)  # hours: every pair, 200 triples, 500 draws beside the oracle, anew
GAP = 1e-3  # of the objective's size: what may be left unproved
EVERY_PAIR = [pair for pair in itertools.combinations(INGREDIENTS, 2) if not alternatives(pair)]
PAIRS = random.Random(1).sample(EVERY_PAIR, 25)
TRIPLES = [three for three in itertools.combinations(INGREDIENTS, 3) if not alternatives(three)]

few = settings(max_examples=2 if EXHAUSTIVE else 1, phases=[Phase.generate], derandomize=not EXHAUSTIVE)


def size(problem):
    """The size of the objective, for which gaps are stated relative to it."""
    listed = Enumerated(problem)
    if listed.family == "nash-bargaining":
        return 1.0
    largest = max(float(listed.target(curve, np.array(1e300))) for curve in listed.curves)
    own = listed.unit if listed.family in ("welfare", "rawlsian") else 0.0
    return max(listed.weight, 1.0) * largest + own


def enumerable(problem):
    doubt = problem.population.doubt
    return doubt is None or doubt.distance == "total-variation"


def designed(problem):
    """The best contract, or None where there is none, of which the oracle must not know better."""
    try:
        return design_contract(problem)
    except Infeasible as error:
        said = str(error)
    except InvalidInput as error:  # which is found only by fitting the loss, so that no table knows it
        doubt = problem.population.doubt
        assert doubt is not None
        assert doubt.distance == "kullback-leibler"
        if "no mixture of exponentials" not in str(error):
            raise
        return None
    assert "\n" not in said
    if enumerable(problem) and problem.menu.assurance is None:  # the oracle knows no clauses
        assert best(problem, starts=4)[0] == -np.inf
    return None


def check(made):
    """Design, promises, proof, file, settlement and choice of one combination, or its refusal."""
    reason = refusal(made)
    if reason is not None:
        with pytest.raises(InvalidInput, match=re.escape(reason)) as caught:
            Problem(**made)
        assert "\n" not in str(caught.value)
        return
    contract = designed(Problem(**made))
    if contract is not None:
        check_promises(contract)
        check_proof(contract)
        check_file(contract)
        check_settlement(contract)
        check_choice(contract)


def check_promises(contract):
    assert_individually_rational(contract, tolerance=1e-6)
    assert_incentive_compatible(contract, tolerance=1e-6)
    assert_feasible(contract, tolerance=1e-6)
    if contract.clause is None:  # the oracle knows fixed terms
        assert not violations(contract.problem, contract.contribution, contract.expected_reward)


def check_proof(contract):
    certificate = verify(contract)
    assert certificate.holds, certificate.violations
    if certificate.optimal:
        assert certificate.gap <= 1.01 * GAP * size(contract.problem)
    else:
        said = certificate.missing or contract.reason
        assert said
        assert "\n" not in said


def check_file(contract):
    text = contract.to_json()
    again = Contract.from_json(text)
    assert again.to_json() == text
    assert np.array_equal(again.contribution, contract.contribution)
    assert np.array_equal(again.expected_reward, contract.expected_reward)


def likely(problem):
    """Counts that may occur: of each group its likeliest number above zero, all of its likeliest type."""
    population = scenario_population(problem.population, (*problem.scenarios, Scenario(weight=1.0))[0])
    counts = np.zeros(population.types, dtype=int)
    for g, law in enumerate(population.laws):
        numbers, chances = law.support
        members = np.flatnonzero(population.group_of == g)
        counts[members[np.argmax(population.probabilities[members])]] = int(
            numbers[np.argmax(chances * (numbers > 0))]
        )
    return counts


def check_settlement(contract):
    settlement = contract.settle(likely(contract.problem))
    assert np.isfinite(settlement.utility).all()
    assert (settlement.accuracy <= settlement.trained_accuracy + 1e-9).all()
    assert ("trained on" if settlement.launched else "released") in str(settlement)


def check_choice(contract):
    if contract.clause is not None:
        with pytest.raises(InvalidInput, match="launch clause"):
            choose(contract, scale=1.0)
        return
    choice = choose(contract, scale=0.02 * float(contract.problem.scales.mean()))
    np.testing.assert_allclose(choice.probabilities.sum(axis=1) + choice.staying_out, 1.0, atol=1e-9)


@pytest.mark.parametrize("pair", PAIRS, ids="+".join)
@settings(max_examples=1, phases=[Phase.generate], derandomize=not EXHAUSTIVE)
@given(st.data())
def test_pairs_of_ingredients(pair, data):
    check(data.draw(parts(ingredients=pair, **{**SMALL, "families": ("power-law",)})))


@pytest.mark.slow
@pytest.mark.parametrize("pair", EVERY_PAIR if EXHAUSTIVE else EVERY_PAIR[::4], ids="+".join)
@few
@given(st.data())
def test_every_pair_of_ingredients(pair, data):
    check(data.draw(parts(ingredients=pair, **SMALL)))


@pytest.mark.slow
@pytest.mark.parametrize("three", random.Random(0).sample(TRIPLES, 200 if EXHAUSTIVE else 30), ids="+".join)
@settings(max_examples=1, phases=[Phase.generate], derandomize=not EXHAUSTIVE)
@given(st.data())
def test_triples_of_ingredients(three, data):
    check(data.draw(parts(ingredients=three, **SMALL)))


def check_against_oracle(made, starts):
    if refusal(made) is not None or not enumerable(Problem(**made)):
        return
    problem = Problem(**made)
    if problem.menu.assurance is not None:  # the oracle knows fixed terms
        return
    contract = designed(problem)
    if contract is None:
        return
    assert not violations(problem, contract.contribution, contract.expected_reward)
    certificate = verify(contract)
    value, m, t = best(problem, starts=starts)
    mine = reached(problem, contract.contribution, contract.expected_reward)
    gap = np.inf if certificate.gap is None else certificate.gap  # what is not proved is said
    assert value <= mine + gap + 1e-6 * size(problem), (m, t)


@settings(max_examples=20, phases=[Phase.generate], derandomize=not EXHAUSTIVE)
@given(parts(ingredients=ANY, at_most=3, **{**SMALL, "types": (2, 2)}))
def test_the_oracle_finds_nothing_better(made):
    check_against_oracle(made, 4)


@pytest.mark.slow
@settings(max_examples=500 if EXHAUSTIVE else 40, phases=[Phase.generate], derandomize=not EXHAUSTIVE)
@given(parts(ingredients=ANY, **SMALL))
def test_the_oracle_finds_nothing_better_in_many(made):
    check_against_oracle(made, 12)


# --- what changes nothing --------------------------------------------------------------------------------

BASE = Problem(
    population=Population(costs=[0.5, 0.2, 0.1], probabilities=[0.3, 0.4, 0.3], participants=4),
    accuracy=PowerLaw(optimum=0.95, coefficient=2.0, exponent=0.6),
    valuation=LinearValuation(scale=100.0),
)


def populated(problem=BASE, **changes):
    return dataclasses.replace(problem, population=dataclasses.replace(problem.population, **changes))


NEUTRAL = {
    "radius 0": populated(doubt=Doubt(radius=0.0)),
    "divergence 0": populated(doubt=Doubt(radius=0.0, distance="kullback-leibler")),
    "as many options as types": dataclasses.replace(BASE, menu=Menu(options=3)),
    "margins 0": dataclasses.replace(BASE, menu=Menu(participation_margin=0.0, preference_margin=0.0)),
    "one scenario": dataclasses.replace(BASE, scenarios=(Scenario(weight=1.0),)),
    "a scenario twice": dataclasses.replace(BASE, scenarios=(Scenario(weight=0.4), Scenario(weight=0.6))),
    "huge capacities": populated(capacities=[1e9, 1e9, 1e9]),
    "qualities 1": populated(qualities=[1.0, 1.0, 1.0]),
    "nothing shaded": populated(shading=0.0),
    "joining for nothing": dataclasses.replace(BASE, outside=Outside(joining_cost=[0.0, 0.0, 0.0])),
    "outside as alone": dataclasses.replace(BASE, outside=Outside(utility=Enumerated(BASE).alone)),
    "baseline 0": dataclasses.replace(BASE, baseline=0.0),
    "one group": populated(groups=["all"] * 3, participants={"all": 4}),
    "one scale": dataclasses.replace(BASE, valuation=LinearValuation(scale=[100.0, 100.0, 100.0])),
}


@pytest.mark.parametrize("name", NEUTRAL)
def test_neutral_ingredients_change_nothing(name):
    plain, other = design_contract(BASE), design_contract(NEUTRAL[name])
    # Optima are flat: menus may differ by the root of what values differ by.
    exact = name not in ("outside as alone", "huge capacities", "as many options as types")
    assert other.objective == pytest.approx(plain.objective, abs=1e-7)
    if exact:
        np.testing.assert_allclose(other.contribution, plain.contribution, rtol=1e-5)
    assert reached(BASE, other.contribution, other.expected_reward) == pytest.approx(plain.objective, abs=1e-7)


def test_everybody_named_is_complete_information_of_that_profile():
    """One equation: everybody is left what it gets alone."""
    problem = populated(costs=[0.5, 0.2, 0.1], probabilities=None, participants="named")
    contract = design_contract(problem)
    each = contract.problem.population.costs
    alone = Enumerated(problem).alone
    total = float(contract.contribution.sum())
    worth = 100.0 * float(problem.accuracy(total))
    assert total == pytest.approx(float(((worth - alone) / each).sum()), rel=1e-6)
    np.testing.assert_allclose(contract.utility, alone, atol=1e-5)


def test_poisson_numbers_told_apart_have_the_law_of_one_poisson_number():
    p = np.array([0.3, 0.4, 0.3])
    apart = populated(
        groups=["a", "b", "c"],
        probabilities=[1.0] * 3,
        participants={name: Poisson(mean=4.0 * share) for name, share in zip("abc", p, strict=True)},
    )
    contract = design_contract(apart)
    law = total_data(contract.contribution, p, Poisson(mean=4.0))
    assert contract.expected_accuracy == pytest.approx(law.expectation(BASE.accuracy), rel=1e-8)


# --- what helps nobody -----------------------------------------------------------------------------------

DOUBT = [populated(doubt=Doubt(radius=r)) for r in (0.0, 0.05, 0.2)]
DIVERGENCE = [populated(doubt=Doubt(radius=r, distance="kullback-leibler")) for r in (0.0, 0.01, 0.1)]
JOIN = [dataclasses.replace(BASE, menu=Menu(participation_margin=x)) for x in (0.0, 1.0, 4.0)]
PREFER = [dataclasses.replace(BASE, menu=Menu(preference_margin=x)) for x in (0.0, 0.5, 2.0)]
OPTIONS = [dataclasses.replace(BASE, menu=Menu(options=k)) for k in (3, 2, 1)]
CAPACITY = [populated(capacities=[k * 30.0, k * 60.0, k * 200.0]) for k in (10.0, 1.0, 0.3)]
COSTLY = [dataclasses.replace(BASE, outside=Outside(joining_cost=x)) for x in (0.0, 2.0, 8.0)]
SHADING = [populated(shading=x) for x in (0.0, 0.05, 0.2)]
TOLD_APART = [
    populated(
        groups=["a", "b", "c"],
        probabilities=[1.0] * 3,
        participants={
            name: Poisson(mean=4.0 * share) for name, share in zip("abc", (0.3, 0.4, 0.3), strict=True)
        },
    ),
    populated(participants=Poisson(mean=4.0)),
]


@pytest.mark.parametrize(
    "chain",
    [DOUBT, DIVERGENCE, JOIN, PREFER, OPTIONS, CAPACITY, COSTLY, SHADING, TOLD_APART],
    ids=["doubt", "divergence", "joining", "preference", "options", "capacity", "costly", "shading", "apart"],
)
def test_what_is_asked_more_is_never_better(chain):
    values = []
    for problem in chain:
        contract = designed(problem)
        # The objective at the stated probabilities would not be monotone: that at the worst ones is.
        values.append(-np.inf if contract is None else contract.objective)
    assert all(b <= a + 2.0 * GAP * 95.0 for a, b in itertools.pairwise(values)), values
    assert values[-1] < values[0] - 0.01, values
