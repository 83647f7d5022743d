"""Several populations may come: one menu that holds in each of them."""

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
    Problem,
    ScenarioProblem,
    design_contract,
    verify,
)
from contracts.extensions.robust_contract import reached, with_probabilities
from contracts.extensions.scenario_program import leave_out, solve_scenarios
from contracts.extensions.scenarios import scenario_bound
from contracts.program.first_moment import prepare
from contracts.proof.mixture_check import mixture_error
from contracts.testing import populations, problems

FAMILIES = ("power-law", "generalization-bound", "exponential")
TWO = [[0.8, 0.2], [0.3, 0.7]]


@st.composite
def interim_problems(draw, types=(1, 5)):
    problem = draw(problems(types=types, participants=(2, 200), families=FAMILIES))
    # Other valuations of a curve with a floor need not be mixtures of exponentials: those are refused.
    return dataclasses.replace(problem, belief="interim", valuation=LinearValuation(scale=100.0))


@st.composite
def unsure(draw):
    problem = draw(interim_problems(types=(2, 4)))
    size, scenarios = problem.population.types, draw(st.integers(2, 3))
    shares = [draw(st.lists(st.floats(0.05, 1.0), min_size=size, max_size=size)) for _ in range(scenarios)]
    weights = draw(st.lists(st.floats(0.1, 1.0), min_size=scenarios, max_size=scenarios))
    return ScenarioProblem(
        problem=problem,
        weights=np.array(weights) / sum(weights),
        probabilities=[np.array(share) / sum(share) for share in shares],
    )


def outcomes(p, draws):
    counts = np.array([k for k in itertools.product(range(draws + 1), repeat=len(p)) if sum(k) == draws])
    return counts, stats.multinomial.pmf(counts, draws, p)


def enumerated(problem, m):
    """E a and T_ki by listing every outcome of every scenario."""
    base, n = problem.problem, problem.problem.population.participants
    target, given_most = 0.0, []
    for weight, p in zip(problem.weights, problem.probabilities, strict=True):
        counts, chances = outcomes(p, n)
        target += weight * float(chances @ base.target(counts @ m))
        others, chances = outcomes(p, n - 1)
        given_most.append([float(chances @ base.value(others @ m + own)) for own in m])
    return target, np.array(given_most)


def complains(contract, word):
    return any(word in text for text in verify(contract).violations)


@settings(max_examples=5)
@given(interim_problems())
def test_one_scenario_and_equal_scenarios_are_the_base_problem(problem):
    base = design_contract(problem, time_limit=0.0)
    p, top = problem.population.probabilities, problem.largest_value
    for weights in ([1.0], [0.3, 0.7]):
        contract = design_contract(
            ScenarioProblem(problem=problem, weights=weights, probabilities=[p] * len(weights))
        )
        assert contract.reached == pytest.approx(reached(base), abs=1e-9 * top)
        assert contract.provenance.excluded == base.provenance.excluded
        assert verify(contract).holds == verify(base).holds


@settings(max_examples=6)
@given(unsure())
def test_certified_and_not_better_than_if_the_scenario_were_known(problem):
    contract = design_contract(problem)
    certificate = verify(contract)
    assert certificate.holds, certificate
    # With a floor, leaving types out is searched over prefixes only, and proved up to the global gap.
    left = [verify(known).gap or 0.0 for known in problem.known]
    assert contract.price_of_not_knowing >= -1e-7 * problem.problem.largest_value - max(left)


@settings(max_examples=5)
@given(populations(types=(2, 3), participants=(2, 5), costs=(0.02, 0.3)), st.floats(0.1, 0.9))
def test_expectations_are_those_of_all_outcomes(population, weight):
    size = population.types
    rows = [np.arange(1, size + 1) / np.arange(1, size + 1).sum(), np.full(size, 1 / size)]
    problem = ScenarioProblem(problem=smooth(population), weights=[weight, 1 - weight], probabilities=rows)
    contract = design_contract(problem)
    target, given_most = enumerated(problem, contract.contribution)
    assert contract.reached == pytest.approx(target, abs=1e-9)
    slack = (given_most - contract.expected_reward).min(axis=0)
    assert verify(contract).feasibility_slack == pytest.approx(slack, abs=1e-9)
    _, loss, _ = scenario_bound(problem, contract.witness, np.zeros(size), contract.contribution)
    assert 100.0 - loss == pytest.approx(target, abs=1e-6)


def smooth(population):
    return Problem(
        population=population,
        accuracy=Exponential(optimum=1.0, rate=0.01),
        valuation=LinearValuation(scale=100.0),
    )


@pytest.mark.parametrize("costs", [[0.3, 0.1], [0.6, 0.2], [0.1, 0.09]])
def test_brute_force_finds_nothing_better(build, costs):
    base = build(costs, 3, accuracy=Exponential(optimum=1.0, rate=0.01))
    problem = ScenarioProblem(problem=base, weights=[0.4, 0.6], probabilities=[[0.9, 0.1], [0.2, 0.8]])
    contract = design_contract(problem)
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
    dear, cheap = problem.problem.population.costs
    target, given_most = enumerated(problem, m)
    high, low = given_most.min(axis=0), alone + [dear, cheap] * m
    least, most = cheap * (m[1] - m[0]), dear * (m[1] - m[0])  # of t_2 - t_1
    possible = (
        (low <= high).all() and least <= most and max(low[1], low[0] + least) <= min(high[1], high[0] + most)
    )
    return target if possible else -np.inf


def test_promises_are_the_same_in_every_scenario(build):
    """Promises that hold on average over one's own beliefs are worth something else to other types."""
    problem = ScenarioProblem(problem=build([0.2, 0.04], 10), weights=[0.5, 0.5], probabilities=TWO)
    contract = design_contract(problem)
    for k in range(2):
        mean = contract.at(k).rewards("capped").mean
        assert mean == pytest.approx(contract.expected_reward, abs=1e-7)
    # Were the whole model promised at its mean as the dear type believes, the cheap one would expect more of it.
    whole = problem.deliverable(contract.contribution)
    dear, cheap = problem.posterior
    assert problem.posterior.sum(axis=1) == pytest.approx(1.0)
    assert cheap @ whole[:, 0] > dear @ whole[:, 0] + 1.0


def test_the_contract_for_the_mean_population_breaks_promises(build):
    problem = ScenarioProblem(problem=build([0.2, 0.04], 10), weights=[0.5, 0.5], probabilities=TWO)
    contract = design_contract(problem)
    assert problem.problem.population.probabilities == pytest.approx([0.55, 0.45])
    bad, good = contract.mean_breaches
    assert [each.name for each in bad] == ["type 2"]
    assert good == ()
    assert f"{bad[0].short:.3g}" in str(contract)
    certificate = verify(contract)
    assert certificate.extended["price of not knowing"] == pytest.approx(contract.price_of_not_knowing)
    assert certificate.global_gap < 0.1


def test_dear_types_are_left_out_and_nobody_comes_where_nothing_pays(build):
    prohibitive = build([60.0, 0.5], 5)
    p = prohibitive.population.probabilities
    one = design_contract(ScenarioProblem(problem=prohibitive, weights=[1.0], probabilities=[p]))
    base = design_contract(prohibitive, time_limit=0.0)
    assert base.provenance.excluded == one.provenance.excluded == 1
    assert one.reached == pytest.approx(base.objective, abs=1e-9)
    two = design_contract(ScenarioProblem(problem=build([20.0, 0.2], 3), weights=[0.5, 0.5], probabilities=TWO))
    assert two.contribution[0] == 0.0 < two.contribution[1]
    assert verify(two).holds
    nobody = design_contract(
        ScenarioProblem(problem=build([900.0, 500.0], 3), weights=[0.5, 0.5], probabilities=TWO)
    )
    assert not nobody.contribution.any()
    assert verify(nobody).holds


def test_many_participants_types_that_do_not_occur_and_equal_costs(build):
    problem = ScenarioProblem(
        problem=build([0.5, 0.4, 0.4, 0.02, 0.001], 10_000),
        weights=[0.0, 0.4, 0.6],
        probabilities=[[1.0, 0, 0, 0, 0], [0.5, 0.5, 0, 0, 0], [0.1, 0.1, 0.2, 0.3, 0.3]],
    )
    contract = design_contract(problem)
    certificate = verify(contract)
    assert certificate.holds, certificate
    assert contract.contribution[1] == contract.contribution[2]
    assert np.array_equal(problem.posterior[3], [0.0, 0.0, 1.0])


def test_what_is_changed_is_named(build):
    problem = ScenarioProblem(problem=build([0.2, 0.04], 10), weights=[0.5, 0.5], probabilities=TWO)
    contract = design_contract(problem)
    m, t, witness = contract.contribution, contract.expected_reward, contract.witness
    for change, word in [
        ({"contribution": m * [np.nan, 1.0]}, "contribution: type 1 would contribute nan"),
        ({"expected_reward": t * [1.0, np.inf]}, "incentive compatibility"),
        ({"contribution": m * 1.01}, "individual rationality"),
        ({"expected_reward": t * [1.3, 1.0]}, "incentive"),
        ({"expected_reward": t * 1.3}, "scenario 0: feasibility"),
        ({"reached": contract.reached + 0.01}, "reached"),
        ({"reservation_utility": contract.reservation_utility + 1.0}, "reservation"),
        ({"witness": None}, "no proof"),
        ({"witness": dataclasses.replace(witness, rates=witness.rates * 1.01)}, "mixture differs"),
        (
            {"witness": dataclasses.replace(witness, feasibility_multipliers=-witness.feasibility_multipliers)},
            "negative price",
        ),
    ]:
        assert complains(dataclasses.replace(contract, **change), word), word
    # A worse menu that breaks nothing is found out by the bound.
    worse = design_contract(dataclasses.replace(problem, probabilities=[TWO[0], TWO[0]]))
    assert complains(dataclasses.replace(contract, contribution=worse.contribution * 0.9), "may be better")
    assert mixture_error(problem.problem, witness) < 1e-8


def test_solver_reports_what_it_reached(build):
    model = prepare(build([0.2, 0.04], 10))
    solution = solve_scenarios(leave_out(model.program, np.array([0.5, 0.5]), np.array(TWO), 0))
    assert solution.error < 1e-12
    assert (solution.feasibility >= 0.0).all()
    assert solution.participation[0] == 0.0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"weights": [0.5, 0.4]}, "weights sum to 0.9"),
        ({"weights": [1.5, -0.5]}, r"weights\[0\] = 1.5"),
        ({"weights": [1.0]}, "weights has length 1: expected 2"),
        ({"weights": []}, "weights is empty"),
        ({"weights": [np.nan, 1.0]}, r"weights\[0\] = nan"),
        ({"weights": "half"}, "weights"),
        ({"probabilities": [[0.5, 0.5], [0.5, 0.4]]}, r"probabilities\[1\] sum to 0.9"),
        ({"probabilities": [[0.5, 0.5], [-0.5, 1.5]]}, r"probabilities\[1\]\[0\] = -0.5"),
        ({"probabilities": [[1.0], [1.0]]}, "probabilities has 1 columns: expected 2"),
        ({"probabilities": [0.5, 0.5]}, "probabilities has 1 dimensions: expected 2"),
        ({"probabilities": [[0.5, 0.5], [1.0]]}, "rows of equal length"),
        ({"probabilities": []}, "probabilities has 1 dimensions"),
        ({"problem": "clinics"}, "problem = 'clinics'"),
    ],
)
def test_bad_input_is_named(build, change, message):
    fine = {"problem": build([0.2, 0.04], 10), "weights": [0.5, 0.5], "probabilities": TWO}
    with pytest.raises(InvalidInput, match=message):
        ScenarioProblem(**{**fine, **change})


def test_what_cannot_be_solved_is_refused(build):
    def stated(problem):
        return ScenarioProblem(problem=problem, weights=[0.5, 0.5], probabilities=TWO)

    with pytest.raises(InvalidInput, match=r"problem\.belief = 'ex-ante'"):
        stated(build([0.2, 0.04], 10, belief="ex-ante"))
    with pytest.raises(InvalidInput, match=r"problem\.population\.participants = Poisson"):
        stated(build([0.2, 0.04], Poisson(mean=10)))
    with pytest.raises(InvalidInput, match="differs from a mixture of exponentials"):
        design_contract(stated(build([0.2, 0.04], 10, accuracy=Arctan(optimum=1.0, scale=100.0))))
    with pytest.raises(InvalidInput, match="solver = 'conic'"):
        design_contract(stated(build([0.2, 0.04], 10)), solver="conic")
    with pytest.raises(InvalidInput, match="scenario = 2"):
        stated(build([0.2, 0.04], 10)).at(2)


def test_base_probabilities_are_replaced_by_the_mean(build):
    base = build([0.2, 0.04], 10, probabilities=[0.1, 0.9])
    problem = ScenarioProblem(problem=base, weights=[0.5, 0.5], probabilities=TWO)
    mean = design_contract(with_probabilities(base, np.array([0.55, 0.45])))
    assert problem.of_mean.objective == pytest.approx(mean.objective, abs=1e-12)
