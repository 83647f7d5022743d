"""Uncertain numbers of participants, against sums over the numbers, closed forms and draws."""

import dataclasses
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts import (
    Arctan,
    Binomial,
    Contract,
    Exponential,
    FiniteTurnout,
    GeneralizationBound,
    InvalidInput,
    LinearValuation,
    Poisson,
    Population,
    PowerLaw,
    Problem,
    design_contract,
    design_contracts,
    full_information,
    generated_turnout,
    reservation,
    verify,
)
from contracts.contract.batch import unstack
from contracts.problem.data import problem_from_data, problem_to_data
from contracts.problem.outcomes import total_data
from contracts.problem.participants import FixedTurnout
from contracts.program.first_moment import exclude, factors, moments, prepare
from contracts.testing import assert_holds, problems
from modelpact.axes import Axis
from modelpact.sweeps import sweep

POWER = PowerLaw(optimum=1.0, coefficient=4.0, exponent=0.5)
LAWS = [
    Poisson(mean=6.0),
    Poisson(mean=0.3),
    Binomial(trials=12, probability=0.4),
    Binomial(trials=2, probability=0.7),
    FiniteTurnout(counts=[9, 0, 4], probabilities=[0.2, 0.3, 0.5]),
    generated_turnout(lambda z: 0.25 * z**2 + 0.75 * z**5),
]


@st.composite
def turnouts(draw, least=0):
    kind = draw(st.sampled_from(["poisson", "binomial", "finite"]))
    if kind == "poisson" and least == 0:
        return Poisson(mean=draw(st.floats(1.0, 60.0)))
    if kind == "binomial" and least == 0:
        return Binomial(trials=draw(st.integers(2, 60)), probability=draw(st.floats(0.1, 1.0)))
    counts = draw(st.lists(st.integers(least, 60), min_size=1, max_size=4, unique=True))
    weights = draw(st.lists(st.floats(0.1, 1.0), min_size=len(counts) + 1, max_size=len(counts) + 1))
    return FiniteTurnout(counts=[*counts, 61], probabilities=np.array(weights) / sum(weights))


@pytest.mark.parametrize("law", LAWS, ids=str)
def test_laws_agree_with_sums_over_their_counts(law):
    counts, chances = law.support
    assert chances.sum() == pytest.approx(1.0, abs=1e-14)
    assert law.mean == pytest.approx(counts @ chances, rel=1e-13)
    logs = np.array([0.0, -1e-9, -0.01, -0.5, -3.0, -40.0])
    power = law.log_power(logs)
    direct = np.exp(np.multiply.outer(logs, counts)) @ chances
    assert np.exp(power.value) == pytest.approx(direct, rel=1e-13)
    tilted = chances * np.exp(np.multiply.outer(logs, counts)) / direct[:, None]
    assert power.slope == pytest.approx(tilted @ counts, rel=1e-12, abs=1e-15)
    spread = (tilted * (counts - (tilted @ counts)[:, None]) ** 2).sum(axis=1)
    assert power.bend == pytest.approx(spread, rel=1e-11, abs=1e-14)
    for less in (-1e-12, -0.1, -5.0):
        lost = -(np.exp(np.multiply.outer(logs, counts)) * np.expm1(less * counts)) @ chances
        assert law.lost(logs, less) == pytest.approx(lost, rel=1e-12)
    z = np.array([0.0, 0.3, 0.9j, -0.5 + 0.2j])
    assert law.generating(z) == pytest.approx((z[:, None] ** counts) @ chances, rel=1e-12)


@pytest.mark.parametrize("law", LAWS, ids=str)
def test_others_are_size_biased_and_thinning_is_conditioning(law):
    counts, chances = law.support
    biased = counts * chances / (counts @ chances)
    others, mass = law.others().support
    found = dict(zip(others.tolist(), mass.tolist(), strict=True))
    for count, chance in zip(counts, biased, strict=True):
        if count:
            assert found.get(count - 1, 0.0) == pytest.approx(chance, rel=1e-12, abs=1e-16)
    tilted = chances * 0.6**counts / (chances @ 0.6**counts)
    thinned = dict(zip(*(part.tolist() for part in law.thinned(0.6).support), strict=True))
    for count, chance in zip(counts, tilted, strict=True):
        assert thinned.get(count, 0.0) == pytest.approx(chance, rel=1e-11, abs=1e-16)


@settings(max_examples=30)
@given(turnouts(), st.sampled_from(["interim", "ex-ante"]), st.integers(0, 2), st.integers(0, 10**6))
def test_expectations_are_averages_over_the_number_of_participants(law, belief, excluded, seed):
    """Each number by the formulas for a known one: the belief about the number is what Bayes' rule gives."""
    p = np.array([0.3, 0.1, 0.6])
    problem = make(law, belief=belief, accuracy=POWER, probabilities=p)
    model = prepare(problem)
    m = np.random.default_rng(seed).uniform(0.1, 2.0, 3)
    m[:excluded] = 0.0
    here = moments(exclude(model.program, excluded, belief), m, belief, np)
    target, totals, weight = 0.0, np.zeros(3), np.zeros(3)
    for count, chance in zip(*law.support, strict=True):
        if count == 0:
            target += chance
            continue
        known = model.program._replace(turnout=None, participants=float(count))
        one = moments(exclude(known, excluded, belief), m, belief, np)
        # Somebody who takes part finds a number as much likelier as more take part; ex ante, as its type occurs.
        likelier = chance * (count * np.ones(3) if belief == "interim" else 1.0 - (1.0 - p) ** count)
        target, weight = target + chance * one.target_loss, weight + likelier
        totals = totals + likelier * one.value_loss
    assert float(here.target_loss) == pytest.approx(target, rel=1e-11)
    assert here.value_loss == pytest.approx(totals / weight, rel=1e-11)


@pytest.mark.parametrize("belief", ["interim", "ex-ante"])
@pytest.mark.parametrize("law", LAWS, ids=str)
def test_derivatives_agree_with_differences(law, belief):
    program = exclude(prepare(make(law, belief=belief, accuracy=POWER)).program, 0, belief)
    m, y = np.array([0.7, 0.8, 1.3]), np.array([0.3, 0.0, 0.9])

    def gradient(at):
        found = factors(program, moments(program, at, belief, np), y)
        jacobian = np.diag(found.own) - found.columns.T @ found.tilted
        return -found.tilted.T @ found.target_gradient + jacobian.T @ y

    def value(at):
        here = moments(program, at, belief, np)
        return np.log(here.target_loss) + y @ here.value_loss

    found = factors(program, moments(program, m, belief, np), y)
    log_slope = found.tilted.T @ found.target_gradient
    crossed = found.tilted.T @ found.cross
    hessian = np.diag(found.hessian_diagonal) + (found.tilted.T * found.hessian_middle) @ found.tilted
    hessian = hessian - np.outer(log_slope, log_slope) - crossed - crossed.T
    for j, step in enumerate(1e-5 * np.eye(3)):
        assert (value(m + step) - value(m - step)) / 2e-5 == pytest.approx(gradient(m)[j], rel=1e-7, abs=1e-10)
        difference = (gradient(m + step) - gradient(m - step)) / 2e-5
        assert difference == pytest.approx(hessian[j], rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("belief", ["interim", "ex-ante"])
@pytest.mark.parametrize(
    "law", [Binomial(trials=10, probability=1.0), FiniteTurnout(counts=[10], probabilities=[1])]
)
def test_a_sure_number_is_the_number(law, belief):
    known, sure = (design_contract(make(n, belief=belief)) for n in (10, law))
    assert sure.objective == pytest.approx(known.objective, rel=1e-12)
    assert_holds(sure)
    benchmark, same = full_information(known.problem), full_information(sure.problem)
    assert same.objective == pytest.approx(benchmark.objective, rel=1e-13)


def test_a_poisson_number_in_closed_form():
    """With an exponential curve 1 - e^(-rm), a Poisson number gives E a = 1 - exp(-mean (1 - sum p e^(-rm)))."""
    problem = make(Poisson(mean=5.0), accuracy=Exponential(optimum=1.0, rate=0.01))
    contract = design_contract(problem)
    phi = problem.population.probabilities @ np.exp(-0.01 * contract.contribution)
    assert contract.expected_accuracy == pytest.approx(-np.expm1(5.0 * (phi - 1.0)), rel=1e-12)
    law = total_data(contract.contribution, problem.population.probabilities, problem.population.participants)
    assert law.expectation(lambda x: np.exp(-0.01 * x)) == pytest.approx(np.exp(5.0 * (phi - 1.0)), rel=1e-9)
    assert_holds(contract)


@pytest.mark.parametrize("law", [Poisson(mean=40.0), *LAWS[2:]], ids=str)
def test_the_law_of_the_data_against_draws(law):
    m, p = np.array([10.0, 30.0, 31.0, 80.0]), np.array([0.4, 0.3, 0.2, 0.1])
    rng = np.random.default_rng(5)
    counts, chances = law.support
    sizes = rng.choice(counts, size=40_000, p=chances)
    drawn = rng.multinomial(sizes, p) @ m
    found = total_data(m, p, law)
    assert found.expectation(np.sqrt) == pytest.approx(np.sqrt(drawn).mean(), abs=5 * np.sqrt(drawn).std() / 200)
    given_type = rng.multinomial(sizes, p)
    kept = np.sqrt((given_type @ m)[given_type[:, 1] > 0])
    present = total_data(m, p, law, present=1)
    assert present.expectation(np.sqrt) == pytest.approx(kept.mean(), abs=5 * kept.std() / np.sqrt(kept.size))


def test_the_lattice_for_many_participants_agrees_with_exponentials():
    m, p = np.array([10.0, 30.0, 31.0, 80.0]), np.array([0.4, 0.3, 0.2, 0.1])
    for law in (Poisson(mean=300.0), FiniteTurnout(counts=[100, 500], probabilities=[0.5, 0.5])):
        found = total_data(m, p, law)
        assert found.step > 0.0
        for rate in (1e-5, 1e-4, 3e-4):
            exact = float(np.exp(law.log_power(np.log(p @ np.exp(-rate * m))).value))
            assert found.expectation(lambda x, r=rate: np.exp(-r * x)) == pytest.approx(exact, rel=1e-7)


@pytest.mark.slow
@settings(max_examples=8)
@given(problems(types=(1, 4), families=("power-law", "generalization-bound", "exponential")), turnouts())
def test_contracts_hold_whatever_the_law(problem, law):
    population = dataclasses.replace(problem.population, participants=law)
    contract = design_contract(dataclasses.replace(problem, population=population))
    certificate = verify(contract)
    assert certificate.holds, certificate


def test_the_promise_is_what_draws_give():
    """The objective and a participant's belief against simulated participation, both beliefs."""
    rng, p = np.random.default_rng(11), np.array([0.5, 0.3, 0.2])
    for belief in ("interim", "ex-ante"):
        problem = make(Poisson(mean=4.0), belief=belief, probabilities=p)
        contract = design_contract(problem)
        drawn = rng.multinomial(rng.poisson(4.0, size=200_000), p)
        value = problem.value(drawn @ contract.contribution)
        assert contract.objective == pytest.approx(value.mean(), abs=5 * value.std() / np.sqrt(2e5))
        # Of all who ever take part with their type (interim), or all draws with that type in them (ex ante).
        weight = drawn.astype(float) if belief == "interim" else (drawn > 0).astype(float)
        believed = value @ weight / weight.sum(axis=0)
        offered = contract.expected_reward + verify(contract).feasibility_slack
        assert offered == pytest.approx(believed, abs=0.3)
        assert contract.rewards().mean == pytest.approx(contract.expected_reward, rel=1e-9)


def test_who_comes_alone_and_nobody_at_all_in_the_full_information_benchmark():
    problem = make(FiniteTurnout(counts=[0, 1, 2], probabilities=[0.2, 0.5, 0.3]))
    alone = design_contract(problem).reservation_utility
    p, costs = problem.population.probabilities, problem.population.costs
    known = full_information(make(2)).objective
    single = p @ problem.value(reservation(problem).contribution)
    assert single == pytest.approx(p @ (alone + costs * reservation(problem).contribution), rel=1e-12)
    nothing = float(problem.value(0.0))
    expected = 0.2 * nothing + 0.5 * single + 0.3 * known
    assert full_information(problem).objective == pytest.approx(expected, rel=1e-12)


def test_settling_takes_any_number_that_can_come():
    contract = design_contract(make(FiniteTurnout(counts=[3, 5], probabilities=[0.5, 0.5])))
    assert contract.settle([1, 1, 1]).total_data == pytest.approx(contract.contribution.sum())
    with pytest.raises(InvalidInput, match="counts sum to 4: expected the 3 to 5"):
        contract.settle([2, 1, 1])


@pytest.mark.parametrize("law", LAWS, ids=str)
def test_files_keep_the_law(law):
    problem = make(law)
    again = problem_from_data(json.loads(json.dumps(problem_to_data(problem))))
    assert again.population.turnout.parameters() == law.parameters()
    contract = design_contract(problem)
    read = Contract.from_json(contract.to_json())
    assert read.to_json() == contract.to_json()


@pytest.mark.slow
def test_batches_and_sweeps_take_laws():
    laws = [Poisson(mean=6.0), 6, Binomial(trials=12, probability=0.5)]
    singles = [design_contract(make(law)).objective for law in laws]
    together = design_contracts([make(law) for law in laws])
    assert [contract.objective for contract in together] == pytest.approx(singles, rel=1e-9)
    assert unstack(make(laws[0]))[0].population.participants is laws[0]
    values = [laws[0], 6, {"family": "binomial", "trials": 12, "probability": 0.5}]
    swept = sweep(make(10), {"number": Axis.of("population.participants", values)})
    assert swept.objective.values == pytest.approx(singles, rel=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("belief", ["interim", "ex-ante"])
@pytest.mark.parametrize("law", [Poisson(mean=4.0), Binomial(trials=8, probability=0.5), LAWS[4]], ids=str)
def test_curves_that_are_no_mixture(law, belief):
    contract = design_contract(make(law, accuracy=Arctan(optimum=1.0, scale=300.0), belief=belief))
    assert contract.provenance.expectation == "Gauss rule"
    assert_holds(contract)


@pytest.mark.parametrize(
    ("make_it", "message"),
    [
        (lambda: Poisson(mean=0.0), r"mean = 0.0: expected a number in \(0, 1e\+07\]"),
        (lambda: Poisson(mean=float("nan")), "mean = nan"),
        (lambda: Poisson(mean=-3), "mean = -3"),
        (lambda: Poisson(mean=float("inf")), "mean = inf"),
        (lambda: Binomial(trials=0, probability=0.5), "trials = 0: expected a whole number from 1"),
        (lambda: Binomial(trials=4, probability=0.0), "probability = 0.0"),
        (lambda: Binomial(trials=10**12, probability=0.5), "expected a variance of at most"),
        (lambda: FiniteTurnout(counts=[0], probabilities=[1.0]), "nobody ever comes"),
        (lambda: named(FiniteTurnout(counts=[0, 1], probabilities=[0.5, 0.5])), "two never meet"),
        (lambda: FiniteTurnout(counts=[2, 2], probabilities=[0.5, 0.5]), r"counts\[1\] = 2 occurs twice"),
        (
            lambda: FiniteTurnout(counts=[2.5], probabilities=[1.0]),
            r"counts\[0\] = 2.5: expected a whole number",
        ),
        (lambda: FiniteTurnout(counts=[2, 3], probabilities=[0.5, 0.6]), "probabilities sum to 1.1"),
        (lambda: FiniteTurnout(counts=[], probabilities=[]), "counts is empty"),
        (lambda: named(lambda z: 2 * z**3 - z**2), "coefficient 2 of the generating function is -1"),
        (lambda: named(lambda z: 0.5 * z**2), "is 0.5 at 1: expected 1"),
        (lambda: named(lambda z: (z + 1 / z) / 2), "do not vanish"),
        (lambda: named(lambda z: z**0.5), "not real numbers"),
        (lambda: named(lambda z: 1 - (1 - z) ** 0.5), "do not vanish up to 131072"),
        (lambda: named(lambda z: z.missing), "fails on complex numbers"),
        (lambda: named(lambda z: z * np.nan), "not finite"),
        (lambda: named(lambda z: z), "two never meet"),
        (lambda: named("ten"), "participants = 'ten': expected a whole number, a law"),
        (lambda: design_contract(make(Poisson(mean=5)), solver="conic"), "uncertain number of participants"),
    ],
)
@pytest.mark.filterwarnings("ignore:divide by zero", "ignore:invalid value")
def test_what_is_no_law_is_refused(make_it, message):
    with pytest.raises(InvalidInput, match=message):
        make_it()


def test_a_sure_number_has_every_property_of_a_law():
    sure = FixedTurnout(count=7)
    assert (sure.least, sure.most, sure.mean, sure.variance) == (7, 7, 7.0, 0.0)
    assert sure.others().count == 6
    assert make(7).population.turnout.most == 7
    assert make(1000).population.size == "1,000"


def named(participants):
    return Population(costs=[1.0], probabilities=[1.0], participants=participants)


def make(participants, *, probabilities=(0.3, 0.3, 0.4), **options):
    population = Population(costs=[0.2, 0.12, 0.04], probabilities=probabilities, participants=participants)
    chosen = {"accuracy": GeneralizationBound(), "valuation": LinearValuation(scale=100.0)} | options
    return Problem(population=population, **chosen)
