"""Other objectives: certificates, laws between them, closed forms, and every outcome enumerated."""

import dataclasses
from functools import cache, partial

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import optimize

from contracts import (
    Arctan,
    DistributionCost,
    Infeasible,
    InvalidInput,
    LinearValuation,
    NashBargaining,
    Objective,
    Population,
    PowerLaw,
    Problem,
    Rawlsian,
    Welfare,
    design_contract,
    verify,
)
from contracts.problem.objective import Outcome, Slopes
from contracts.records import frozen
from contracts.testing import problems

CURVE = PowerLaw(optimum=0.95, coefficient=1.0, exponent=0.5)
OBJECTIVES = [
    Welfare(),
    Welfare(coordinator=2.0),
    Rawlsian(),
    Rawlsian(over="utility"),
    NashBargaining(),
    DistributionCost(rate=0.02),
    DistributionCost(rate=2e-4, exponent=2.0),
]
# Found by the solver of objectives that this one replaced, and by enumerating every outcome.
OF_THREE = {
    "interim": [
        79.93113411,
        252.20647363,
        5.788751811,
        79.4773181055,
        1.86581945882,
        83.7783025448,
        84.5002890791,
    ],
    "ex-ante": [
        79.28703616,
        252.00906253,
        5.788751811,
        79.0830970580,
        1.82876783861,
        83.7376096798,
        84.4682500690,
    ],
}
OF_MANY = {
    "interim": [99.2529515886, 298.4329548919, 35.4301516529, 99.2172590366, 4.04505058073],
    "ex-ante": [99.2529512913, 298.4329546839, 35.4301516529, 99.2172584421, 4.04505058073],
}


def under(problem, objective):
    return dataclasses.replace(problem, objective=objective)


def best(problem, objective, **options):
    return design_contract(under(problem, objective), **options)


def value_of(objective, contract):
    """An objective of any contract's menu, by the definition."""
    problem = contract.problem
    population, target = problem.population, contract.objective
    if not problem.target_is_value:
        target = contract.expected_accuracy
    outcome = Outcome(
        utility=contract.utility,
        reward=contract.expected_reward,
        alone=contract.reservation_utility,
        probabilities=population.probabilities,
        participants=population.mean_participants,
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        return objective.weight() * target + float(objective.formula(outcome, np))


def of_size(objective, problem):
    """Costs of handing out models in proportion to what they are worth to the coordinator."""
    if not isinstance(objective, DistributionCost):
        return objective
    size = problem.largest_target
    rate = 0.3 * size / problem.population.participants / problem.largest_value**objective.exponent
    return dataclasses.replace(objective, rate=rate)


@pytest.mark.slow
@settings(max_examples=10)
@given(problems(types=(1, 5), families=("power-law", "generalization-bound")), st.sampled_from(range(7)))
def test_each_optimum_is_proved_and_no_other_contract_is_better(problem, number):
    objective = of_size(OBJECTIVES[number], problem)
    base = design_contract(problem, time_limit=0.0)
    try:
        contract = best(problem, objective, time_limit=1.0)
        others = [best(problem, other, time_limit=1.0) for other in OBJECTIVES[:4]]
    except (Infeasible, InvalidInput):
        assume(False)
        raise
    certificate = verify(contract)
    assert certificate.holds, certificate
    assert contract.reached == pytest.approx(value_of(objective, contract), rel=1e-9, abs=1e-9)
    allowed = 1e-6 * objective.unit(problem)
    for other in [base, *others]:
        assert value_of(objective, other) <= contract.reached + allowed
        assert other.objective <= base.objective + 1e-6 * problem.largest_value or not problem.target_is_value


def score(objective, problem, alone, target, utility, reward):
    """The objectives once more."""
    p, n = problem.population.probabilities, problem.population.participants
    if isinstance(objective, Welfare):
        return p @ utility + objective.coordinator * target
    if isinstance(objective, NashBargaining):
        return p @ np.log(np.maximum(utility - alone, 1e-9))
    return target - n * objective.rate * (p @ reward**objective.exponent)


@pytest.mark.parametrize("belief", ["interim", "ex-ante"])
@pytest.mark.parametrize("number", range(7))
def test_the_same_optimum_as_before(build, belief, number):
    objective = OBJECTIVES[number]
    contract = best(build([0.3, 0.1], 3, belief=belief, probabilities=[0.4, 0.6], accuracy=CURVE), objective)
    assert contract.reached == pytest.approx(OF_THREE[belief][number], rel=1e-7)
    assert contract.reached == pytest.approx(value_of(objective, contract), rel=1e-10)
    certificate = verify(contract)
    assert certificate.holds, certificate
    assert -1e-9 <= certificate.as_solved_gap <= 1e-6 * objective.unit(contract.problem)


@pytest.mark.slow
@pytest.mark.parametrize("belief", ["interim", "ex-ante"])
@pytest.mark.parametrize("number", range(7))
def test_enumeration_of_all_outcomes_finds_nothing_better(build, by_enumeration, belief, number):
    problem = build([0.3, 0.1], 3, belief=belief, probabilities=[0.4, 0.6], accuracy=CURVE)
    objective = OBJECTIVES[number]
    contract = best(problem, objective)
    if isinstance(objective, Rawlsian):
        over_gain = objective.over == "gain"
        reached = by_enumeration(problem, None, level=lambda u, f: u - f if over_gain else u, near=contract)
    else:
        again = partial(score, objective, problem, contract.reservation_utility)
        reached = by_enumeration(problem, again, near=contract)
    assert contract.reached == pytest.approx(reached, rel=2e-5, abs=2e-5)
    assert contract.reached >= reached - 1e-6 * objective.unit(problem)


def test_with_one_type_all_aims_of_the_participants_are_one_scalar_problem(build):
    problem = build([0.2], 8, accuracy=CURVE)
    scalar = optimize.minimize_scalar(
        lambda m: 0.2 * m - float(problem.value(8 * m)), bounds=(1.0, 400.0), method="bounded",
        options={"xatol": 1e-9},
    )  # fmt: skip
    for objective in (Welfare(), Rawlsian(), Rawlsian(over="utility"), NashBargaining()):
        contract = best(problem, objective)
        assert contract.utility[0] == pytest.approx(-scalar.fun, rel=1e-9)
        assert contract.contribution[0] == pytest.approx(scalar.x, rel=1e-3)


def test_free_distribution_is_no_objective_and_a_heavy_coordinator_comes_near_it(build, scenario):
    problem = build(scenario[0], 10)
    base = design_contract(problem)
    assert best(problem, DistributionCost(rate=0.0)).reached == pytest.approx(base.objective, abs=1e-7)
    assert best(problem, Welfare(coordinator=1e6)).objective == pytest.approx(base.objective, abs=1e-3)


def test_nash_bargains_the_same_in_any_unit(build):
    contract = best(build([0.3, 0.1], 10, accuracy=CURVE), NashBargaining())
    scaled = build([3.0, 1.0], 10, accuracy=CURVE, valuation=LinearValuation(scale=1000.0))
    other = best(scaled, NashBargaining())
    assert contract.reached == pytest.approx(2.46880136685, rel=1e-8)
    assert other.contribution == pytest.approx(contract.contribution, rel=1e-6)
    assert other.reached == pytest.approx(contract.reached + np.log(10.0), abs=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("belief", ["interim", "ex-ante"])
@pytest.mark.parametrize("number", range(5))
def test_many_types_and_a_million_participants(build, belief, number):
    objective = OBJECTIVES[number]
    contract = best(build(np.geomspace(0.2, 0.01, 20), 10**6, belief=belief), objective)
    assert contract.reached == pytest.approx(OF_MANY[belief][number], rel=1e-8)
    certificate = verify(contract)
    assert certificate.holds, certificate
    assert certificate.as_solved_gap < 1e-7 * objective.unit(contract.problem)


STATED = Problem(
    population=Population(costs=[0.1, 0.3, 0.2], probabilities=[0.3, 0.3, 0.4], participants=10),
    accuracy=CURVE,
    valuation=LinearValuation(scale=100.0),
)


@cache
def designed(objective):
    return best(STATED, objective)


CHANGES = [
    (lambda c: {"reached": c.reached + 0.1}, "what is maximised: stated"),
    (lambda c: {"contribution": c.contribution * 1.01}, "what is maximised: stated"),
    (lambda c: {"expected_reward": c.expected_reward * 1.3}, "feasibility: "),
    (lambda c: {"expected_reward": c.expected_reward - 1e-2}, "what is maximised: stated"),
    (lambda c: {"problem": under(c.problem, Welfare(coordinator=1.0))}, "what is maximised: stated"),
    (lambda c: {"contribution": c.contribution * [np.nan, 1.0, 1.0]}, "contribution: type 1"),
]


@pytest.mark.parametrize("objective", [Welfare(), Rawlsian(), NashBargaining()], ids=lambda o: o.family)
@pytest.mark.parametrize(("change", "word"), CHANGES)
def test_what_is_changed_is_named(objective, change, word):
    contract = designed(objective)
    assert verify(contract).holds
    certificate = verify(dataclasses.replace(contract, **change(contract)))
    assert not certificate.holds
    assert not certificate.optimal
    assert any(text.startswith(word) for text in certificate.violations), certificate.violations


@pytest.mark.parametrize("objective", OBJECTIVES[:4], ids=lambda o: o.family)
def test_a_worse_menu_that_keeps_its_promises_is_not_called_optimal(objective):
    contract, base = designed(objective), design_contract(STATED)
    worse = dataclasses.replace(
        base, problem=contract.problem, proof=contract.proof, reached=value_of(objective, base)
    )
    certificate = verify(worse)
    assert certificate.holds, certificate.violations
    assert not certificate.optimal
    assert certificate.as_solved_gap == pytest.approx(contract.reached - worse.reached, rel=1e-3)
    alone = verify(dataclasses.replace(contract, proof=type(contract.proof)()))
    assert alone.holds
    assert alone.as_solved_gap is None
    assert "no proof" in alone.missing


@settings(max_examples=25)
@given(
    st.lists(st.floats(0.0, 3.0), min_size=3, max_size=3),
    st.floats(0.0, 2.0),
    st.sampled_from([0, 1, 2, 3]),
)
def test_any_prices_bound_every_contract(y, factor, number):
    """Forged prices never prove more than is so: neither of the best contract nor of others."""
    objective = OBJECTIVES[number]
    contract = designed(objective)
    cases = contract.proof.cases
    forged = dataclasses.replace(
        cases,
        feasibility=np.array(y)[None, None, :] * np.ones_like(cases.feasibility),
        linear=tuple(factor * prices for prices in cases.linear),
        contribution=factor * cases.contribution,
    )
    proof = dataclasses.replace(contract.proof, cases=forged)
    certificate = verify(dataclasses.replace(contract, proof=proof))
    assert certificate.holds
    assert certificate.as_solved_gap is None or certificate.as_solved_gap >= -1e-7


@frozen
class SquareRoots(Objective):
    """An objective of a user's own: sum_i p_i sqrt(u_i)."""

    family = "square-roots"

    def weight(self):
        return 0.0

    def formula(self, outcome: Outcome, xp):
        return xp.sum(outcome.probabilities * xp.sqrt(outcome.utility))

    def slopes(self, outcome: Outcome):
        first = 0.5 * outcome.probabilities / np.sqrt(outcome.utility)
        return Slopes(first, 0.0 * first, -0.5 * first / outcome.utility, 0.0 * first)

    def unit(self, problem):
        return problem.largest_value**0.5


def test_an_objective_of_ones_own():
    contract = best(STATED, SquareRoots())
    certificate = verify(contract)
    assert certificate.holds
    assert certificate.as_solved_gap < 1e-6
    assert contract.reached >= value_of(SquareRoots(), designed(Welfare())) - 1e-9
    assert contract.reached == pytest.approx(value_of(SquareRoots(), contract))


@pytest.mark.parametrize("objective", OBJECTIVES, ids=lambda o: o.family)
def test_slopes_are_those_of_the_formula(objective):
    rng = np.random.default_rng(0)
    u, t, p = np.array([3.0, 4.0, 6.0]), np.array([20.0, 30.0, 45.0]), rng.dirichlet(np.ones(3))
    at = Outcome(u, t, np.array([0.1, 0.3, 0.6]), p, 10.0)
    found = objective.slopes(at)

    def by(name, step, take):
        up, down = (take(at._replace(**{name: getattr(at, name) + sign * step})) for sign in (1, -1))
        return (up - down) / (2.0 * step.max())

    for j, step in enumerate(1e-5 * np.eye(3)):
        for name, first, second in (
            ("utility", "by_utility", "by_utility_twice"),
            ("reward", "by_reward", "by_reward_twice"),
        ):
            slope = by(name, step, lambda o: float(objective.formula(o, np)))
            bend = by(name, step, lambda o, first=first, j=j: getattr(objective.slopes(o), first)[j])
            assert getattr(found, first)[j] == pytest.approx(slope, rel=1e-6, abs=1e-8)
            assert getattr(found, second)[j] == pytest.approx(bend, rel=1e-6, abs=1e-8)


def test_where_nothing_pays_nothing_is_done_and_nobody_bargains(build):
    problem = build([1, 0.85, 0.7, 0.55, 0.4], 4)
    contract = best(problem, Welfare())
    assert contract.reached == 0.0
    assert not contract.contribution.any()
    assert verify(contract).holds
    with pytest.raises(Infeasible):
        best(problem, NashBargaining())
    hopeless = build([900.0, 800.0], 2)
    assert best(hopeless, Rawlsian()).reached == 0.0
    with pytest.raises(Infeasible):
        best(hopeless, NashBargaining())


def test_curves_that_are_no_mixture_have_objectives_too(build):
    problem = build([0.3, 0.1], 4, accuracy=Arctan(optimum=0.9, scale=100.0))
    fair, base = best(problem, Welfare()), design_contract(problem)
    assert verify(fair).holds
    assert fair.reached >= value_of(Welfare(), base) - 1e-9


def test_bad_input_is_named(build):
    problem = build([0.3, 0.1], 10, accuracy=CURVE)
    for call, words in [
        (lambda: Welfare(coordinator=-1.0), "coordinator = -1"),
        (lambda: Welfare(coordinator=float("nan")), "coordinator = nan"),
        (lambda: Rawlsian(over="all"), "over = 'all'"),
        (lambda: DistributionCost(rate=-1.0), "rate = -1"),
        (lambda: DistributionCost(rate=1.0, exponent=0.5), "exponent = 0.5"),
        (lambda: under(problem, "welfare"), "objective = 'welfare'"),
        (lambda: best(problem, Welfare(), solver="conic"), "expected 'interior-point' for another objective"),
    ]:
        with pytest.raises(InvalidInput, match=words):
            call()
