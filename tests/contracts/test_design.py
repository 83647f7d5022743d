"""Designed contracts: published numbers, other solvers, laws over random problems, bad input."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts import (
    Arctan,
    CustomCurve,
    Exponential,
    ExponentialUtility,
    GeneralizationBound,
    InvalidInput,
    LinearValuation,
    LogarithmicValuation,
    Population,
    PowerLaw,
    PowerValuation,
    Problem,
    Tabulated,
    design_contract,
    verify,
)
from contracts.program.exclusion import attempt
from contracts.program.first_moment import prepare
from contracts.program.interior_point import solve


@pytest.mark.parametrize("belief", ["ex-ante", "interim"])
def test_published_scenarios(build, scenario, belief):
    costs, ex_ante, interim = scenario
    contract = design_contract(build(costs, 10, belief=belief))
    assert contract.objective == pytest.approx(ex_ante if belief == "ex-ante" else interim, abs=1e-7)
    certificate = verify(contract)
    assert certificate.holds, "\n".join(certificate.violations)
    assert certificate.as_solved_gap <= 1e-8
    assert certificate.gap <= 0.2


def test_published_contributions(build):
    first = design_contract(build([0.2, 0.16, 0.12, 0.08, 0.04], 10))
    np.testing.assert_allclose(first.contribution, [377.53] * 4 + [486.15], atol=6e-3)
    third = design_contract(build([0.5, 0.4, 0.03, 0.02, 0.001], 10))
    assert third.contribution[-1] == pytest.approx(12311.2, abs=0.05)


@pytest.mark.parametrize(
    ("costs", "participants", "belief", "value", "contribution"),
    [
        ([2, 0.4], 6, "ex-ante", 58.9627, None),
        ([2, 0.4], 6, "interim", 60.28597, [0, 161.05]),
        ([1, 0.4], 10, "interim", 71.65274, [0, 183.23]),
        ([1, 0.4], 10, "ex-ante", 71.2964, None),
        ([1, 0.4], 6, "interim", 60.45238, [16.98, 132.79]),
        ([1, 0.85, 0.7, 0.55, 0.4], 4, "interim", 0.0, [0] * 5),
    ],
)
def test_contracts_where_training_is_dear(build, costs, participants, belief, value, contribution):
    contract = design_contract(build(costs, participants, belief=belief))
    assert contract.objective == pytest.approx(value, abs=5e-5)
    if contribution is not None:
        np.testing.assert_allclose(contract.contribution, contribution, atol=6e-3)
    certificate = verify(contract)
    assert certificate.holds, "\n".join(certificate.violations)
    assert certificate.gap >= -1e-9
    assert bool(contract.reason) == (contract.provenance.excluded > 0)


@pytest.mark.parametrize(
    "costs",
    [
        [0.2, 0.16, 0.12, 0.08, 0.04],
        [1, 0.85, 0.7, 0.55, 0.4],
        [0.5, 0.4, 0.03, 0.02, 0.001],
        [0.2, 0.04],
        pytest.param([0.2, 0.17, 0.15, 0.12, 0.09, 0.07, 0.04], marks=pytest.mark.slow),
    ],
    ids=["S1", "S2", "S3", "two types", "seven types"],
)
def test_the_conic_solver_agrees(build, costs):
    problem = build(costs, 10)
    conic = design_contract(problem, solver="conic")
    assert conic.objective == pytest.approx(design_contract(problem).objective, abs=1e-5)
    assert verify(conic).holds


def random_problem(rng, largest_types=40):
    types = int(rng.integers(2, largest_types + 1))
    costs = np.exp(rng.uniform(np.log(0.01), 0.0, types))
    participants = int(np.exp(rng.uniform(np.log(2), np.log(1e6))))
    return Problem(
        population=Population(
            costs=costs, probabilities=rng.dirichlet(np.ones(types)), participants=participants
        ),
        accuracy=GeneralizationBound(),
        valuation=LinearValuation(scale=100.0),
        belief=["interim", "ex-ante"][int(rng.integers(2))],
    )


def check_random_problem(seed):
    problem = random_problem(np.random.default_rng(seed))
    contract = design_contract(problem)
    certificate = verify(contract)
    assert certificate.holds, (seed, certificate)
    if contract.witness is not None:
        assert certificate.as_solved_gap <= 1e-6
    assert certificate.gap >= -1e-7
    model = prepare(problem)
    for excluded in range(1, min(model.program.costs.size, 8)):
        other = attempt(model, model.program, excluded, solve)
        assert other is None or contract.objective >= other.target - 1e-6


@pytest.mark.parametrize("seed", [*range(4), *(pytest.param(k, marks=pytest.mark.slow) for k in range(4, 8))])
def test_random_problems_are_verified(seed):
    check_random_problem(seed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(8, 200))
def test_many_random_problems_are_verified(seed):
    check_random_problem(seed)


@pytest.mark.parametrize("belief", ["interim", "ex-ante"])
def test_a_thousand_types_and_a_million_participants(build, belief):
    contract = design_contract(build(np.linspace(0.5, 0.01, 1000), 10**6, belief=belief))
    certificate = verify(contract)
    assert certificate.holds, "\n".join(certificate.violations)
    assert certificate.as_solved_gap <= 1e-8


CURVES = {
    "power-law": PowerLaw(optimum=0.95, coefficient=2.0, exponent=0.4),
    "exponential": Exponential(optimum=0.9, rate=0.002),
    "arctan": Arctan(optimum=0.9, scale=100.0),
    "tabulated": Tabulated(data=[50, 100, 400, 1600, 6400], accuracy=[0.4, 0.55, 0.72, 0.8, 0.84]),
    "custom": CustomCurve(function=lambda x: 0.9 * x / (x + 200.0), optimum=0.9),
}


@pytest.mark.parametrize("belief", ["interim", "ex-ante"])
@pytest.mark.parametrize("family", list(CURVES))
def test_every_family_of_curves_is_solved_and_proved(build, family, belief):
    contract = design_contract(build([0.2, 0.1, 0.03], 8, accuracy=CURVES[family], belief=belief))
    certificate = verify(contract)
    assert certificate.holds, "\n".join(certificate.violations)
    assert certificate.as_solved_gap <= 3e-6
    assert contract.objective > 20


@pytest.mark.parametrize("maximise", ["accuracy", "value"])
@pytest.mark.parametrize(
    "valuation",
    [
        LogarithmicValuation(scale=100.0, sensitivity=5.0),
        ExponentialUtility(scale=100.0, risk_aversion=2.0),
        PowerValuation(scale=100.0, exponent=0.7),
    ],
    ids=lambda v: v.family,
)
def test_every_valuation_is_solved_and_proved(build, valuation, maximise):
    curve = PowerLaw(optimum=0.95, coefficient=2.0, exponent=0.4)
    contract = design_contract(build([0.2, 0.03], 20, accuracy=curve, valuation=valuation, maximise=maximise))
    certificate = verify(contract)
    assert certificate.holds, "\n".join(certificate.violations)


def test_types_keep_the_order_the_user_gave(build):
    costs, p = np.array([0.2, 0.16, 0.12, 0.08, 0.04]), np.array([0.1, 0.3, 0.2, 0.25, 0.15])
    sorted_contract = design_contract(build(costs, 10, probabilities=p))
    order = np.array([3, 0, 4, 2, 1])
    shuffled = design_contract(build(costs[order], 10, probabilities=p[order]))
    assert shuffled.objective == pytest.approx(sorted_contract.objective, abs=1e-9)
    np.testing.assert_allclose(shuffled.expected_reward, sorted_contract.expected_reward[order], rtol=1e-6)
    assert verify(shuffled).holds


def test_equal_costs_share_an_option(build):
    merged = design_contract(build([0.2, 0.04], 10, probabilities=[0.5, 0.5]))
    split = design_contract(build([0.04, 0.2, 0.04], 10, probabilities=[0.2, 0.5, 0.3]))
    assert split.objective == pytest.approx(merged.objective, abs=1e-8)
    assert split.contribution[0] == split.contribution[2]
    assert verify(split).holds


def test_types_that_never_occur_are_the_limit_of_rare_ones(build):
    never = design_contract(build([0.2, 0.1, 0.04], 10, probabilities=[0.5, 0.0, 0.5]))
    rare = design_contract(build([0.2, 0.1, 0.04], 10, probabilities=[0.5, 1e-9, 0.5 - 1e-9]))
    assert never.objective == pytest.approx(rare.objective, abs=1e-5)
    assert verify(never).holds


def test_one_type_contributes_all_it_can(build):
    contract = design_contract(build([0.1], 10, probabilities=[1.0]))
    assert verify(contract).holds
    assert contract.utility[0] == pytest.approx(contract.reservation_utility[0], abs=1e-8)


@given(scale=st.floats(1e-3, 1e3), unit=st.floats(1e-3, 1e3))
@settings(max_examples=15)
def test_units_do_not_matter(scale, unit):
    def objective(costs, curve, value):
        population = Population(costs=costs, probabilities=[0.3, 0.7], participants=12)
        return design_contract(Problem(population=population, accuracy=curve, valuation=value)).objective

    curve = PowerLaw(optimum=0.9, coefficient=1.8, exponent=0.5)
    base = objective([0.2, 0.05], curve, LinearValuation(scale=100.0))
    more = PowerLaw(optimum=0.9, coefficient=1.8 * unit**0.5, exponent=0.5)
    costs = [0.2 * scale / unit, 0.05 * scale / unit]
    assert objective(costs, more, LinearValuation(scale=100.0 * scale)) == pytest.approx(base * scale, rel=1e-7)


@given(st.integers(2, 30), st.floats(0.05, 0.95))
@settings(max_examples=15)
def test_more_participants_never_hurt_where_training_is_cheap(participants, share):
    def objective(n):
        population = Population(costs=[0.02, 0.01], probabilities=[share, 1 - share], participants=n)
        curve, value = GeneralizationBound(), LinearValuation(scale=100.0)
        return design_contract(Problem(population=population, accuracy=curve, valuation=value)).objective

    assert objective(participants + 1) >= objective(participants) - 1e-7


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"costs": [0.1, -0.2]}, r"costs\[1\] = -0.2: expected a finite number > 0"),
        ({"costs": [0.1, 0.0]}, r"costs\[1\] = 0"),
        ({"costs": [0.1, np.nan]}, r"costs\[1\] = nan"),
        ({"costs": []}, "costs is empty"),
        ({"costs": [[0.1, 0.2]]}, "costs has 2 dimensions"),
        ({"costs": ["a", "b"]}, "costs = "),
        ({"costs": 0.2}, "costs = 0.2: expected a list"),
        ({"probabilities": [0.5]}, "probabilities has length 1: expected 2"),
        ({"probabilities": [0.5, 0.6]}, "probabilities sum to 1.1"),
        ({"probabilities": [1.5, -0.5]}, r"probabilities\[0\] = 1.5"),
        ({"participants": 0}, "participants = 0: expected a whole number from 2"),
        ({"participants": 1}, "participants = 1"),
        ({"participants": 2.5}, "participants = 2.5"),
        ({"participants": "many"}, "participants = 'many'"),
        ({"participants": np.inf}, "participants = inf"),
        ({"names": ["a"]}, "names has length 1"),
        ({"names": ["a", "a"]}, "occurs twice"),
    ],
)
def test_bad_populations_are_named(change, message):
    arguments = {"costs": [0.2, 0.1], "probabilities": [0.5, 0.5], "participants": 10} | change
    with pytest.raises(InvalidInput, match=message):
        Population(**arguments)


def test_bad_problems_are_named(build):
    with pytest.raises(InvalidInput, match="belief = 'bayes'"):
        build([0.2, 0.1], 10, belief="bayes")
    with pytest.raises(InvalidInput, match="maximise = 'profit'"):
        build([0.2, 0.1], 10, maximise="profit")
    with pytest.raises(InvalidInput, match="accuracy = 3: expected a AccuracyCurve"):
        build([0.2, 0.1], 10, accuracy=3)
    with pytest.raises(InvalidInput, match="problem = 3"):
        design_contract(3)
    with pytest.raises(InvalidInput, match="solver = 'magic'"):
        design_contract(build([0.2, 0.1], 10), solver="magic")


def test_falling_curves_are_refused_with_the_range_and_bent_ones_solved(build):
    import jax.numpy as jnp

    logistic = CustomCurve(function=lambda x: 0.9 / (1 + jnp.exp(-(x - 500) / 50)), optimum=0.9)
    certificate = verify(design_contract(build([0.2, 0.1], 10, accuracy=logistic)))
    assert certificate.holds, "\n".join(certificate.violations)
    assert certificate.gap <= 0.1
    falling = CustomCurve(function=lambda x: 0.5 + 0.3 * jnp.sin(x / 100), optimum=0.8)
    with pytest.raises(InvalidInput, match="decreases between"):
        design_contract(build([0.2, 0.1], 10, accuracy=falling))


def test_extreme_numbers_give_an_error_or_a_proven_answer(build):
    with pytest.raises(InvalidInput, match="choose other units"):
        design_contract(build([1e-300, 1e-299], 10))
    cheap = design_contract(build([1e-9, 1e-10], 10))
    assert verify(cheap).holds
    dear = design_contract(build([1e9, 1e8], 10))
    assert dear.objective == 0
    assert "no contract was found" in dear.reason
