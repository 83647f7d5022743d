"""Scales of value that differ between types: everything in everybody's own units."""

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
    PowerLaw,
    PowerValuation,
    design_contract,
    design_contracts,
    verify,
)
from contracts.contract.options import options_of
from contracts.testing import contracts, problems

CURVE = PowerLaw(optimum=0.95, coefficient=1.0, exponent=0.5)


@pytest.fixture
def scaled(build):
    def make(costs, scales, participants=10, **other):
        return build(costs, participants, accuracy=CURVE, valuation=LinearValuation(scale=scales), **other)

    return make


def of_scale(problem, scale):
    return dataclasses.replace(problem, valuation=dataclasses.replace(problem.valuation, scale=scale))


@settings(max_examples=4)
@given(problems(types=(1, 4), participants=(2, 200), families=("power-law", "generalization-bound")))
def test_equal_scales_are_the_plain_problem(problem):
    stated = of_scale(problem, [problem.valuation.scale] * problem.population.types)
    base, contract = (design_contract(one, time_limit=0.0) for one in (problem, stated))
    assert contract.objective == base.objective
    assert np.array_equal(contract.utility, base.utility)
    assert verify(contract).holds == verify(base).holds


FAMILIES = ("power-law", "generalization-bound")
FACTORS = st.lists(st.floats(0.2, 5.0), min_size=5, max_size=5)


@settings(max_examples=4)
@given(problems(types=(2, 3), participants=(3, 20), families=FAMILIES), FACTORS)
def test_nobody_loses_and_nobody_envies_in_own_units(problem, factors):
    check_own_units(problem, factors)


@pytest.mark.slow
@settings(max_examples=12)
@given(problems(types=(2, 4), participants=(3, 200), families=FAMILIES), FACTORS)
def test_nobody_loses_and_nobody_envies_in_own_units_among_many(problem, factors):
    check_own_units(problem, factors)


def check_own_units(problem, factors):
    types = problem.population.types
    scales = 100.0 * np.array(factors[:types])
    stated = of_scale(problem, scales)
    contract = design_contract(stated, time_limit=0.0)
    certificate = verify(contract)
    assert certificate.holds, certificate
    costs, m, t = stated.population.costs, contract.contribution, contract.expected_reward
    alone = [
        max(0.0, float(np.max(v(stated.accuracy(x)) - c * x)))
        for c, scale in zip(costs, scales, strict=True)
        for v in [dataclasses.replace(problem.valuation, scale=scale)]
        for x in [np.geomspace(1e-5, 10.0, 4000) * scale / c]
    ]
    gain = t - costs * m
    assert (gain >= np.array(alone) - 1e-7 * scales).all()
    for i, j in itertools.permutations(range(types), 2):
        assert scales[i] / scales[j] * t[j] - costs[i] * m[j] <= gain[i] + 1e-7 * scales[i]
    assert options_of(contract).envy.max(axis=1) == pytest.approx(certificate.envy, abs=1e-9 * scales.max())


@settings(max_examples=4)
@given(st.floats(0.1, 10.0))
def test_units_of_one_type_do_not_matter(factor):
    from contracts import Population, Problem

    def make(costs, scales):
        return Problem(
            population=Population(costs=costs, probabilities=[0.5, 0.5], participants=10),
            accuracy=CURVE,
            valuation=LinearValuation(scale=scales),
        )

    first = design_contract(make([0.2, 0.1], [100.0, 80.0]))
    second = design_contract(make([0.2, 0.1 * factor], [100.0, 80.0 * factor]))
    assert second.contribution == pytest.approx(first.contribution, rel=1e-5)
    assert second.expected_accuracy == pytest.approx(first.expected_accuracy, abs=1e-9)
    assert second.utility == pytest.approx(first.utility * [1.0, factor], rel=1e-6)


# Costs, scales -> expected accuracy, utilities; by the class that this ingredient replaced.
REFERENCE = [
    ([0.2, 0.1], [100.0, 80.0], 0.918918670630, [71.1889842, 63.1620522]),
    ([0.2, 0.1, 0.3], [100.0, 80.0, 120.0], 0.916518652897, [73.8106617, 64.4008904, 83.2204330]),
    ([0.2, 0.1, 0.3], [100.0, 400.0, 100.0], 0.924395854303, [73.3254824, 332.3779684, 67.7431911]),
    ([0.2, 0.1], [100.0, 400.0], 0.928769141835, [71.1889842, 332.3779684]),
]


@pytest.mark.parametrize(("costs", "scales", "accuracy", "utility"), REFERENCE)
def test_the_same_optimum_as_before(scaled, costs, scales, accuracy, utility):
    contract = design_contract(scaled(costs, scales))
    assert contract.expected_accuracy == pytest.approx(accuracy, rel=1e-10)
    assert contract.utility == pytest.approx(utility, rel=1e-7)
    certificate = verify(contract)
    assert certificate.holds, certificate
    assert certificate.as_solved_gap < 1e-7 * max(scales)


@pytest.mark.parametrize(("belief", "accuracy"), [("interim", 0.869785921499), ("ex-ante", 0.869223584725)])
def test_enumeration_of_all_outcomes_finds_nothing_better(build, scaled, by_enumeration, belief, accuracy):
    contract = design_contract(scaled([0.3, 0.4], [60.0, 200.0], 3, belief=belief))
    common = build([0.3, 0.4], 3, accuracy=CURVE, valuation=LinearValuation(scale=1.0), belief=belief)
    scales = np.array([60.0, 200.0])
    reached = by_enumeration(common, lambda a, u, t: a, scales=scales, near=contract)  # noqa: ARG005
    assert contract.expected_accuracy == pytest.approx(reached, abs=1e-5)
    assert contract.expected_accuracy == pytest.approx(accuracy, rel=1e-10)


def test_batches_give_the_same(build, scaled):
    stated = [scaled([0.2, 0.1, 0.3], [100.0, 80.0 * k, 120.0], 10 * k) for k in (1, 2, 3)]
    together = design_contracts([*stated, build([0.2, 0.1], 10)])
    for problem, contract in zip(stated, together, strict=False):
        alone = design_contract(problem)
        assert contract.expected_accuracy == pytest.approx(alone.expected_accuracy, abs=1e-9)
        assert verify(contract).holds


def test_settling_and_rewards_speak_everybodys_own_units(scaled):
    contract = design_contract(scaled([0.2, 0.1], [100.0, 400.0]))
    settled = contract.settle([4, 6])
    assert settled.value == pytest.approx(np.array([100.0, 400.0]) * settled.accuracy, rel=1e-9)
    assert settled.utility == pytest.approx(settled.value - [0.2, 0.1] * contract.contribution)
    assert contract.rewards("capped").mean == pytest.approx(contract.expected_reward)


def test_what_is_changed_is_named(scaled):
    contract = design_contract(scaled([0.2, 0.1, 0.3], [100.0, 400.0, 100.0]))
    m, t = contract.contribution, contract.expected_reward
    for change, word in [
        ({"contribution": m * 1.01}, "individual rationality"),
        ({"expected_reward": t * [1, 1, 1.05]}, "incentive"),
        ({"expected_reward": t * 1.3}, "feasibility"),
        ({"problem": of_scale(contract.problem, [100.0, 400.0, 90.0])}, "reservation utility"),
    ]:
        certificate = verify(dataclasses.replace(contract, **change))
        assert not certificate.holds
        assert any(sentence.startswith(word) for sentence in certificate.violations), certificate.violations


def test_bad_input_is_named(build):
    for scales, words in [
        ([100.0, -1.0], r"scale\[1\] = -1"),
        ([100.0, np.nan], r"scale\[1\] = nan"),
        ([100.0], r"valuation.scale has shape \(1,\): expected a number or \(2,\), one for each type"),
        ([100.0, 90.0, 80.0], r"valuation.scale has shape \(3,\)"),
    ]:
        with pytest.raises(InvalidInput, match=words):
            design_contract(build([0.2, 0.1], 10, valuation=LinearValuation(scale=scales)))
    with pytest.raises(
        InvalidInput, match=r"valuation.scale has shape \(3,\): expected \(2,\), one for each type"
    ):
        build([0.2, 0.1], 10, valuation=LinearValuation(scale=[1.0, 2.0, 3.0]), shading=0.1)


@pytest.mark.parametrize(
    "shape",
    [lambda s: PowerValuation(scale=s, exponent=0.5), lambda s: ExponentialUtility(scale=s, risk_aversion=1.0)],
)
def test_a_common_shape_may_be_any_concave_valuation(build, shape):
    problem = build([0.2, 0.1], 10, accuracy=CURVE, valuation=shape([100.0, 300.0]), maximise="value")
    assert verify(design_contract(problem)).holds


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
