"""Different tastes: everything in everybody's own units."""

import dataclasses
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts import (
    ExponentialUtility,
    InvalidInput,
    LinearValuation,
    Population,
    PowerLaw,
    PowerValuation,
    design_contract,
    design_contracts,
    verify,
)
from contracts.extensions.tastes import TasteProblem
from contracts.testing import contracts, problems

CURVE = PowerLaw(optimum=0.95, coefficient=1.0, exponent=0.5)


def tastes(costs, scales, participants=10, *, probabilities=None, **other):
    if probabilities is None:
        probabilities = [1 / len(costs)] * len(costs)
    return TasteProblem(
        population=Population(costs=costs, probabilities=probabilities, participants=participants),
        valuations=[LinearValuation(scale=scale) for scale in scales],
        **{"accuracy": CURVE, **other},
    )


@settings(max_examples=4)
@given(problems(types=(1, 4), participants=(2, 200), families=("power-law", "generalization-bound")))
def test_equal_scales_are_the_base_problem(problem):
    stated = TasteProblem(
        population=problem.population,
        accuracy=problem.accuracy,
        valuations=[problem.valuation] * problem.population.types,
        belief=problem.belief,
        maximise=problem.maximise,
    )
    base, contract = design_contract(problem), design_contract(stated)
    assert contract.objective == base.objective
    assert np.array_equal(contract.utility, base.utility)
    assert verify(contract).holds == verify(base).holds


@settings(max_examples=4)
@given(
    problems(types=(2, 4), participants=(3, 200), families=("power-law", "generalization-bound")),
    st.lists(st.floats(0.2, 5.0), min_size=5, max_size=5),
)
def test_nobody_loses_and_nobody_envies_in_own_units(problem, factors):
    types = problem.population.types
    scales = 100.0 * np.array(factors[:types])
    stated = TasteProblem(
        population=problem.population,
        accuracy=problem.accuracy,
        valuations=[dataclasses.replace(problem.valuation, scale=scale) for scale in scales],
        belief=problem.belief,
    )
    contract = design_contract(stated)
    certificate = verify(contract)
    assert certificate.holds, certificate
    costs, m, t = stated.population.costs, contract.contribution, contract.menu.expected_reward
    worth = scales / (stated.population.probabilities @ scales)
    alone = [
        max(0.0, float(np.max(v(stated.accuracy(x)) - c * x)))
        for c, v in zip(costs, stated.valuations, strict=True)
        for x in [np.geomspace(1e-3, 1e3, 4000) * contract.menu.problem.largest_value / c / 100.0]
    ]
    gain = worth * t - costs * m
    assert (gain >= np.array(alone) - 1e-7 * scales).all()
    for i, j in itertools.permutations(range(types), 2):
        assert worth[i] * t[j] - costs[i] * m[j] <= gain[i] + 1e-7 * scales[i]


@settings(max_examples=4)
@given(st.floats(0.1, 10.0))
def test_units_of_one_type_do_not_matter(factor):
    plain, other = tastes([0.2, 0.1], [100.0, 80.0]), tastes([0.2, 0.1 * factor], [100.0, 80.0 * factor])
    first, second = design_contract(plain), design_contract(other)
    assert second.contribution == pytest.approx(first.contribution, rel=1e-5)
    assert second.expected_accuracy == pytest.approx(first.expected_accuracy, abs=1e-9)
    assert second.utility == pytest.approx(first.utility * [1.0, factor], rel=1e-6)


@pytest.mark.parametrize("belief", ["interim", "ex-ante"])
def test_enumeration_of_all_outcomes_finds_nothing_better(by_enumeration, belief):
    problem = tastes([0.3, 0.4], [60.0, 200.0], 3, belief=belief)
    contract = design_contract(problem)
    common = dataclasses.replace(
        problem.reduced(), population=problem.population, valuation=LinearValuation(scale=1.0)
    )
    scales = np.array([60.0, 200.0])
    reached = by_enumeration(common, lambda a, u, t: a, scales=scales, near=contract)  # noqa: ARG005
    assert contract.expected_accuracy == pytest.approx(reached, abs=1e-5)


def test_batches_give_the_same(build):
    stated = [tastes([0.2, 0.1, 0.3], [100.0, 80.0 * k, 120.0], 10 * k) for k in (1, 2, 3)]
    together = design_contracts([*stated, build([0.2, 0.1], 10)])
    for problem, contract in zip(stated, together, strict=False):
        alone = design_contract(problem)
        assert contract.expected_accuracy == pytest.approx(alone.expected_accuracy, abs=1e-9)
        assert verify(contract).holds


def test_settling_speaks_everybodys_own_units():
    contract = design_contract(tastes([0.2, 0.1], [100.0, 400.0]))
    settled = contract.settle([4, 6])
    assert settled.value == pytest.approx(np.array([100.0, 400.0]) * settled.accuracy, rel=1e-9)
    assert settled.utility == pytest.approx(settled.value - [0.2, 0.1] * contract.contribution)
    assert contract.rewards("capped").mean * contract.problem.scales == pytest.approx(contract.expected_reward)


def test_what_is_changed_is_named():
    contract = design_contract(tastes([0.2, 0.1, 0.3], [100.0, 400.0, 100.0]))
    menu = contract.menu
    keener = dataclasses.replace(
        contract.problem, valuations=[LinearValuation(scale=scale) for scale in (100.0, 400.0, 90.0)]
    )
    for change, word in [
        ({"menu": dataclasses.replace(menu, contribution=menu.contribution * 1.01)}, "individual rationality"),
        ({"menu": dataclasses.replace(menu, expected_reward=menu.expected_reward * [1, 1, 1.05])}, "incentive"),
        ({"menu": dataclasses.replace(menu, expected_reward=menu.expected_reward * 1.3)}, "feasibility"),
        ({"problem": keener}, "reservation utility"),
    ]:
        certificate = verify(dataclasses.replace(contract, **change))
        assert not certificate.holds
        assert any(sentence.startswith(word) for sentence in certificate.violations), certificate.violations


def test_bad_input_is_named():
    population = Population(costs=[0.2, 0.1], probabilities=[0.5, 0.5], participants=10)
    linear = LinearValuation(scale=100.0)
    for valuations, words in [
        ([linear, PowerValuation(scale=100.0, exponent=0.5)], "not convex"),
        ([ExponentialUtility(risk_aversion=1.0), ExponentialUtility(risk_aversion=2.0)], r"valuations\[1\]"),
        ([linear], "length 1: expected 2"),
        ([linear, 3.0], r"valuations\[1\] = 3.0"),
        (linear, "one Valuation per type"),
    ]:
        with pytest.raises(InvalidInput, match=words):
            TasteProblem(population=population, accuracy=CURVE, valuations=valuations)
    with pytest.raises(InvalidInput, match="population = 3"):
        TasteProblem(population=3, accuracy=CURVE, valuations=[linear])


def test_a_common_shape_may_be_any_concave_valuation():
    stated = TasteProblem(
        population=Population(costs=[0.2, 0.1], probabilities=[0.5, 0.5], participants=10),
        accuracy=CURVE,
        valuations=[PowerValuation(scale=100.0, exponent=0.5), PowerValuation(scale=300.0, exponent=0.5)],
        maximise="value",
    )
    assert verify(design_contract(stated)).holds


@pytest.mark.slow
@settings(max_examples=8)
@given(
    contracts(types=(1, 4), participants=(2, 40), families=("power-law", "exponential")),
    st.floats(0.1, 0.99),
    st.floats(0.0, 1.0),
)
def test_whoever_is_risk_averse_prefers_capped_rewards(contract, exponent, kink):
    """E h(r) for concave increasing h: powers, and lines that bend at a level."""
    top = contract.problem.largest_value
    for h in (lambda v: (v / top) ** exponent, lambda v: np.minimum(v / top, kink)):
        capped, proportional, lottery = (
            np.array([h(v) @ p for v, p in zip(found.values, found.probabilities, strict=True)])
            for found in map(contract.rewards, ("capped", "proportional", "lottery"))
        )
        assert (capped >= proportional - 1e-9).all()
        assert (proportional >= lottery - 1e-9).all()
