"""Several populations, numbers or curves may be the true ones: one menu that holds under each of them."""

import dataclasses
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from contracts import (
    Arctan,
    Exponential,
    InvalidInput,
    LinearValuation,
    Poisson,
    PowerLaw,
    Scenario,
    design_contract,
    verify,
)
from contracts.testing import populations, problems

FAMILIES = ("power-law", "generalization-bound", "exponential")
TWO = [[0.8, 0.2], [0.3, 0.7]]
SMOOTH = Exponential(optimum=1.0, rate=0.01)


def alternatives(weights, probabilities):
    return [Scenario(weight=w, probabilities=p) for w, p in zip(weights, probabilities, strict=True)]


def with_scenarios(problem, weights, probabilities):
    return dataclasses.replace(problem, scenarios=alternatives(weights, probabilities))


def known(problem):
    """The problems of those who know which scenario is true."""
    for scenario in problem.scenarios:
        population = dataclasses.replace(problem.population, probabilities=scenario.probabilities)
        yield scenario.weight, dataclasses.replace(problem, scenarios=(), population=population)


def price_of_not_knowing(contract, **options):
    best = sum(weight * design_contract(one, **options).reached for weight, one in known(contract.problem))
    return best - contract.reached


@st.composite
def interim_problems(draw, types=(1, 4)):
    problem = draw(problems(types=types, participants=(2, 200), families=FAMILIES))
    # Other valuations of a curve with a floor need not be mixtures of exponentials.
    return dataclasses.replace(problem, belief="interim", valuation=LinearValuation(scale=100.0))


@st.composite
def unsure(draw):
    problem = draw(interim_problems(types=(2, 4)))
    size, scenarios = problem.population.types, draw(st.integers(2, 3))
    shares = [draw(st.lists(st.floats(0.05, 1.0), min_size=size, max_size=size)) for _ in range(scenarios)]
    weights = draw(st.lists(st.floats(0.1, 1.0), min_size=scenarios, max_size=scenarios))
    return with_scenarios(
        problem, np.array(weights) / sum(weights), [np.array(share) / sum(share) for share in shares]
    )


def outcomes(p, draws):
    counts = np.array([k for k in itertools.product(range(draws + 1), repeat=len(p)) if sum(k) == draws])
    return counts, stats.multinomial.pmf(counts, draws, p)


def enumerated(problem, m):
    """E a and T_ki by listing every outcome of every scenario."""
    n, target, given_most = problem.population.participants, 0.0, []
    for scenario in problem.scenarios:
        curve = scenario.accuracy or problem.accuracy
        size = scenario.participants or n
        p = problem.population.probabilities if scenario.probabilities is None else scenario.probabilities
        counts, chances = outcomes(p, size)
        target += scenario.weight * float(chances @ problem.valuation(curve(counts @ m)))
        others, chances = outcomes(p, size - 1)
        given_most.append([float(chances @ problem.valuation(curve(others @ m + own))) for own in m])
    return target, np.array(given_most)


@settings(max_examples=4)
@given(interim_problems())
def test_one_scenario_and_equal_scenarios_are_the_plain_problem(problem):
    base = design_contract(problem, time_limit=0.0)
    p, top = problem.population.probabilities, problem.largest_value
    for weights in ([1.0], [0.3, 0.7]):
        contract = design_contract(with_scenarios(problem, weights, [p] * len(weights)), time_limit=0.5)
        assert contract.reached == pytest.approx(base.reached, abs=1e-7 * top)
        assert verify(contract).holds


@settings(max_examples=5)
@given(unsure())
def test_certified_and_not_better_than_if_the_scenario_were_known(problem):
    contract = design_contract(problem, time_limit=0.5)
    certificate = verify(contract)
    assert certificate.holds, certificate
    # With a floor, menus that leave types out are proposed, and what they miss is bounded.
    bound = sum(
        weight * (best.reached + (verify(best).gap or 0.0))
        for weight, one in known(problem)
        for best in [design_contract(one, time_limit=0.5)]
    )
    assert contract.reached <= bound + 1e-7 * problem.largest_value


@settings(max_examples=5)
@given(populations(types=(2, 3), participants=(2, 5), costs=(0.02, 0.3)), st.floats(0.1, 0.9))
def test_expectations_are_those_of_all_outcomes(population, weight):
    from contracts import Problem

    size = population.types
    rows = [np.arange(1, size + 1) / np.arange(1, size + 1).sum(), np.full(size, 1 / size)]
    problem = Problem(
        population=population,
        accuracy=SMOOTH,
        valuation=LinearValuation(scale=100.0),
        scenarios=alternatives([weight, 1 - weight], rows),
    )
    contract = design_contract(problem)
    target, given_most = enumerated(problem, contract.contribution)
    assert contract.reached == pytest.approx(target, abs=1e-9)
    slack = (given_most - contract.expected_reward).min(axis=0)
    certificate = verify(contract)
    assert certificate.feasibility_slack == pytest.approx(slack, abs=1e-9)
    assert certificate.as_solved_gap <= 1e-6


# Costs -> what is reached, and what it would be if the scenario were known; by the class that this one replaced.
REFERENCE = {
    (0.3, 0.1): (99.8778935223, 0.048972081715, [206.7103011, 246.4976739]),
    (0.6, 0.2): (98.9829890679, 0.411638956629, [135.8995931, 176.1483184]),
    (0.1, 0.09): (99.9950138402, 0.0, [330.2086477, 330.2086477]),
}


@pytest.mark.parametrize("costs", REFERENCE)
def test_brute_force_finds_nothing_better(build, costs):
    problem = build(
        list(costs), 3, accuracy=SMOOTH, scenarios=alternatives([0.4, 0.6], [[0.9, 0.1], [0.2, 0.8]])
    )
    contract = design_contract(problem)
    reached, price, data = REFERENCE[costs]
    assert contract.reached == pytest.approx(reached, rel=1e-10)
    assert contract.contribution == pytest.approx(data, rel=1e-5)
    assert price_of_not_knowing(contract) == pytest.approx(price, abs=1e-8)
    low, high, best = np.zeros(2), np.array([400.0, 800.0]), -np.inf
    for _ in range(6):
        axes = [np.linspace(a, b, 25) for a, b in zip(low, high, strict=True)]
        scores = [
            (score(problem, np.array(m), contract.reservation_utility), m) for m in itertools.product(*axes)
        ]
        best, m = max([*scores, (best, tuple(low))])
        width = 0.15 * (high - low)
        low, high = np.maximum(np.array(m) - width, 0.0), np.array(m) + width
    assert contract.reached >= best - 1e-7
    assert contract.reached == pytest.approx(best, abs=0.02)


def score(problem, m, alone):
    """The target of contributions of two types if any rewards make them a contract, by intervals."""
    dear, cheap = problem.population.costs
    target, given_most = enumerated(problem, m)
    high, low = given_most.min(axis=0), alone + [dear, cheap] * m
    least, most = cheap * (m[1] - m[0]), dear * (m[1] - m[0])  # of t_2 - t_1
    possible = (
        (low <= high).all() and least <= most and max(low[1], low[0] + least) <= min(high[1], high[0] + most)
    )
    return target if possible else -np.inf


@pytest.fixture
def unknown(build):
    return build([0.2, 0.04], 10, scenarios=alternatives([0.5, 0.5], TWO))


def test_promises_are_the_same_in_every_scenario(unknown):
    contract = design_contract(unknown)
    assert contract.reached == pytest.approx(88.2751896488, rel=1e-9)
    assert price_of_not_knowing(contract) == pytest.approx(0.3006365215, abs=1e-7)
    for k in range(2):
        mean = contract.rewards("capped", scenario=k).mean
        assert mean == pytest.approx(contract.expected_reward, abs=1e-7)


def test_the_contract_for_the_mean_population_breaks_promises(build, unknown):
    mean = design_contract(build([0.2, 0.04], 10, probabilities=[0.55, 0.45]))
    certificate = verify(dataclasses.replace(mean, problem=unknown))
    assert not certificate.holds
    assert any(text.startswith("feasibility: type 2") for text in certificate.violations)
    for k, scenario in enumerate(unknown.scenarios):
        there = dataclasses.replace(unknown, scenarios=[dataclasses.replace(scenario, weight=1.0)])
        assert verify(dataclasses.replace(mean, problem=there)).feasibility_slack.min() < 0 or k == 1


def test_dear_types_are_left_out_and_nobody_comes_where_nothing_pays(build):
    prohibitive = build([60.0, 0.5], 5)
    one = design_contract(with_scenarios(prohibitive, [1.0], [prohibitive.population.probabilities]))
    base = design_contract(prohibitive, time_limit=0.0)
    assert base.provenance.excluded == 1
    assert one.contribution[0] == 0.0
    assert one.reached == pytest.approx(base.objective, abs=1e-9)
    two = design_contract(build([20.0, 0.2], 3, scenarios=alternatives([0.5, 0.5], TWO)))
    # Where the curve is continued below its floor the best is 43.1924, and the dear type brings nothing.
    assert two.contribution[0] < 1e-3 * two.contribution[1]
    assert two.reached == pytest.approx(43.223402055, rel=1e-8)
    assert verify(two).holds
    nobody = design_contract(build([900.0, 500.0], 3, scenarios=alternatives([0.5, 0.5], TWO)))
    assert not nobody.contribution.any()
    assert verify(nobody).holds


def test_many_participants_types_that_do_not_occur_and_equal_costs(build):
    problem = build(
        [0.5, 0.4, 0.4, 0.02, 0.001],
        10_000,
        scenarios=alternatives(
            [0.0, 0.4, 0.6], [[1.0, 0, 0, 0, 0], [0.5, 0.5, 0, 0, 0], [0.1, 0.1, 0.2, 0.3, 0.3]]
        ),
    )
    contract = design_contract(problem)
    certificate = verify(contract)
    assert certificate.holds, certificate
    assert contract.contribution[1] == contract.contribution[2]
    assert contract.reached == pytest.approx(99.6114853105, rel=1e-9)


def test_numbers_and_curves_may_differ_too(build):
    base = build([0.3, 0.1], 4, accuracy=SMOOTH)
    slower = Exponential(optimum=0.9, rate=0.006)
    problem = dataclasses.replace(
        base,
        scenarios=[
            Scenario(weight=0.2),
            Scenario(weight=0.3, participants=3),
            Scenario(weight=0.5, accuracy=slower, probabilities=[0.7, 0.3]),
        ],
    )
    contract = design_contract(problem)
    certificate = verify(contract)
    assert certificate.holds, certificate
    assert certificate.as_solved_gap < 1e-6
    target, given_most = enumerated(problem, contract.contribution)
    assert contract.reached == pytest.approx(target, abs=1e-8)
    slack = (given_most - contract.expected_reward).min(axis=0)
    assert certificate.feasibility_slack == pytest.approx(slack, abs=1e-7)
    # Whoever stays out does as well as on the better curve.
    assert contract.reservation_utility == pytest.approx(design_contract(base).reservation_utility, rel=1e-6)
    law = dataclasses.replace(
        base, scenarios=[Scenario(weight=0.5), Scenario(weight=0.5, participants=Poisson(mean=4.0))]
    )
    assert verify(design_contract(law)).holds


def test_what_is_changed_is_named(unknown):
    contract = design_contract(unknown)
    m, t = contract.contribution, contract.expected_reward
    for change, word in [
        ({"contribution": m * [np.nan, 1.0]}, "contribution: type 1 would contribute nan"),
        ({"expected_reward": t * [1.0, np.inf]}, "individual rationality"),
        ({"contribution": m * 1.01}, "individual rationality"),
        ({"expected_reward": t * [1.3, 1.0]}, "incentive"),
        ({"expected_reward": t * 1.3}, "feasibility"),
        ({"reached": contract.reached + 0.01}, "what is maximised"),
        ({"reservation_utility": contract.reservation_utility + 1.0}, "reservation"),
    ]:
        certificate = verify(dataclasses.replace(contract, **change))
        assert not certificate.holds
        assert any(text.startswith(word) for text in certificate.violations), (word, certificate.violations)


def test_forged_proofs_prove_nothing(build, unknown):
    contract = design_contract(unknown)
    cases, mixtures = contract.proof.cases, contract.proof.cases.mixtures
    honest = verify(contract)
    assert honest.as_solved_gap < 1e-6
    for name, change in {
        "mixture differs": {"mixtures": dataclasses.replace(mixtures, rates=mixtures.rates * 1.01)},
        "price": {"feasibility": -cases.feasibility},
        "prices": {"feasibility": cases.feasibility[..., :1]},
    }.items():
        proof = dataclasses.replace(contract.proof, cases=dataclasses.replace(cases, **change))
        certificate = verify(dataclasses.replace(contract, proof=proof))
        assert certificate.holds
        assert certificate.as_solved_gap is None or certificate.scope != honest.scope, name
        assert not certificate.optimal or honest.gap is not None
    # A worse menu that breaks nothing is found out by the bound.
    careful = design_contract(build([0.2, 0.04], 10, scenarios=alternatives([0.5, 0.5], [TWO[0]] * 2)))
    m = careful.contribution
    rewards = careful.expected_reward
    stated = dataclasses.replace(contract, contribution=m, expected_reward=rewards)
    target, _ = enumerated(unknown, m)
    worse = dataclasses.replace(stated, objective=target, expected_accuracy=target / 100.0, reached=target)
    certificate = verify(worse)
    assert certificate.holds, certificate.violations
    assert certificate.as_solved_gap == pytest.approx(contract.reached - target, rel=1e-3)
    assert not certificate.optimal


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda: alternatives([0.5, 0.4], TWO), "weights sum to 0.9"),
        (lambda: alternatives([1.5, -0.5], TWO), r"weight = 1.5"),
        (lambda: alternatives([np.nan, 1.0], TWO), r"weight = nan"),
        (lambda: alternatives(["half", 0.5], TWO), "weight = 'half'"),
        (lambda: alternatives([0.5, 0.5], [[0.5, 0.5], [0.5, 0.4]]), r"sum to 0.9"),
        (lambda: alternatives([0.5, 0.5], [[0.5, 0.5], [-0.5, 1.5]]), r"probabilities\[0\] = -0.5"),
        (lambda: alternatives([0.5, 0.5], [[1.0], [1.0]]), "probabilities"),
        (lambda: [0.5], r"scenarios\[0\] = 0.5: expected a Scenario"),
        (lambda: [Scenario(weight=1.0, accuracy="steep")], "accuracy = 'steep'"),
        (lambda: [Scenario(weight=1.0, participants=1)], "participants = 1"),
    ],
)
def test_bad_input_is_named(build, change, message):
    with pytest.raises(InvalidInput, match=message):
        design_contract(build([0.2, 0.04], 10, scenarios=change()))


def test_what_does_not_go_together_is_refused(build, unknown):
    with pytest.raises(InvalidInput, match="the ex-ante belief and scenarios do not go together"):
        dataclasses.replace(unknown, belief="ex-ante")
    with pytest.raises(InvalidInput, match="solver = 'conic'"):
        design_contract(unknown, solver="conic")
    with pytest.raises(InvalidInput, match="scenario = 2"):
        design_contract(unknown).rewards("capped", scenario=2)


@pytest.mark.parametrize(
    ("participants", "accuracy"),
    [(10, Arctan(optimum=1.0, scale=100.0)), (Poisson(mean=10.0), PowerLaw())],
    ids=str,
)
def test_curves_that_are_no_mixture_and_laws_of_participants(build, participants, accuracy):
    problem = build([0.2, 0.04], participants, accuracy=accuracy, scenarios=alternatives([0.5, 0.5], TWO))
    contract = design_contract(problem, time_limit=1.0)
    assert verify(contract).holds
    assert price_of_not_knowing(contract, time_limit=0.0) >= -1e-6


def test_stated_probabilities_do_not_matter_where_every_scenario_has_its_own(build, unknown):
    other = build([0.2, 0.04], 10, probabilities=[0.1, 0.9], scenarios=unknown.scenarios)
    first, second = design_contract(unknown), design_contract(other)
    assert first.reached == pytest.approx(second.reached, rel=1e-9)
    assert first.contribution == pytest.approx(second.contribution, rel=1e-6)


@pytest.mark.parametrize("apart", [0.0, 1e-12, 1e-10, 1e-9, 2e-8, 1e-6, 1e-4])
def test_promises_are_as_exact_where_costs_are_nearly_equal(apart):
    from contracts import Population, PowerLaw, Problem

    chances = np.full(4, 0.25)
    problem = Problem(
        population=Population(costs=[1.0, 1.0, np.exp(0.5), 1.0 + apart], probabilities=chances, participants=3),
        accuracy=PowerLaw(optimum=1.0, coefficient=1.0, exponent=1.0),
        valuation=LinearValuation(scale=100.0),
        scenarios=alternatives([0.5, 0.5], [chances, chances]),
    )
    certificate = verify(design_contract(problem, time_limit=0.0))
    assert certificate.holds, certificate.violations
    assert certificate.envy.max() < 1e-11 * problem.largest_value
