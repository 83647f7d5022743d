"""Other objectives: certificates, laws between them, and every outcome enumerated."""

import dataclasses
from functools import cache, partial

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import optimize

from contracts import Arctan, Infeasible, InvalidInput, PowerLaw, design_contract, design_contracts, verify
from contracts.extensions.objectives import ObjectiveProblem, outcome_of, value_of
from contracts.problem.objective import (
    DistributionCost,
    NashBargaining,
    Objective,
    Outcome,
    Rawlsian,
    Slopes,
    Welfare,
)
from contracts.proof.concave_bound import Gaps, Tangent, upper_bound
from contracts.proof.duality import by_row, distinct_rows
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


def best(problem, objective):
    return design_contract(ObjectiveProblem(problem=problem, objective=objective))


def of_size(objective, problem):
    """Costs of handing out models in proportion to what they are worth to the coordinator."""
    if not isinstance(objective, DistributionCost):
        return objective
    size = problem.largest_value if problem.target_is_value else float(problem.accuracy.optimum)
    rate = 0.3 * size / problem.population.participants / problem.largest_value**objective.exponent
    return dataclasses.replace(objective, rate=rate)


@pytest.mark.slow
@settings(max_examples=10)
@given(problems(types=(1, 5), families=("power-law", "generalization-bound")), st.sampled_from(range(7)))
def test_each_optimum_is_proved_and_no_other_contract_is_better(problem, number):
    objective = of_size(OBJECTIVES[number], problem)
    base = design_contract(problem)
    try:
        contract = best(problem, objective)
        others = [best(problem, of_size(other, problem)) for other in OBJECTIVES[:4]]
    except (Infeasible, InvalidInput):
        assume(False)
        raise
    certificate = verify(contract)
    assert certificate.holds, certificate
    assert certificate.optimality_gap is None or certificate.optimality_gap >= -1e-9 * objective.unit(problem)
    allowed = 1e-6 * objective.unit(problem)
    for other in [base, *(found.menu for found in others)]:
        assert value_of(objective, other) <= contract.value + allowed
        target = (other.objective, base.objective) if problem.target_is_value else (
            other.expected_accuracy, base.expected_accuracy)  # fmt: skip
        assert target[0] <= target[1] + 1e-6 * problem.largest_value


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
    assert contract.value == pytest.approx(reached, rel=2e-5, abs=2e-5)
    assert contract.value >= reached - 1e-6 * objective.unit(problem)


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


def test_free_distribution_is_the_base_problem_and_a_heavy_coordinator_comes_near_it(build, scenario):
    costs, _, _ = scenario
    problem = build(costs, 10)
    base = design_contract(problem)
    free = best(problem, DistributionCost(rate=0.0))
    assert free.value == pytest.approx(base.objective, abs=1e-7)
    assert best(problem, Welfare(coordinator=1e6)).objective == pytest.approx(base.objective, abs=1e-3)


def test_nash_bargains_the_same_in_any_unit(build):
    contract = best(build([0.3, 0.1], 10, accuracy=CURVE), NashBargaining())
    from contracts import LinearValuation

    scaled = build([3.0, 1.0], 10, accuracy=CURVE, valuation=LinearValuation(scale=1000.0))
    other = best(scaled, NashBargaining())
    assert other.contribution == pytest.approx(contract.contribution, rel=1e-6)
    assert other.value == pytest.approx(contract.value + np.log(10.0), abs=1e-9)


@pytest.mark.parametrize("belief", ["interim", "ex-ante"])
@pytest.mark.parametrize("objective", OBJECTIVES[:5], ids=lambda o: type(o).__name__)
def test_many_types_and_a_million_participants(build, belief, objective):
    contract = best(build(np.geomspace(0.2, 0.01, 20), 10**6, belief=belief), objective)
    certificate = verify(contract)
    assert certificate.holds, certificate
    assert certificate.optimality_gap < 1e-7 * objective.unit(contract.problem.problem)


def menu(contract, **changes):
    return {"menu": dataclasses.replace(contract.menu, **changes)}


CHANGES = [
    (lambda c: {"value": c.value + 0.1}, "objective"),
    (lambda c: {"shares": c.shares[::-1] * [0.2, 0.8]}, "optimality"),
    (lambda c: {"menu": dataclasses.replace(c.menu, contribution=c.menu.contribution * 1.01)}, "objective"),
    (lambda c: {"menu": dataclasses.replace(c.menu, expected_reward=c.menu.expected_reward * 1.3)}, "feasib"),
    (
        lambda c: {"menu": dataclasses.replace(c.menu, expected_reward=c.menu.expected_reward - 1e-2)},
        "optimality",
    ),
    (lambda c: {"problem": dataclasses.replace(c.problem, objective=Welfare())}, "objective"),
]


@pytest.mark.parametrize(("change", "word"), CHANGES)
def test_what_is_changed_is_named(build, change, word):
    contract = best(build([0.3, 0.1], 10, accuracy=CURVE, probabilities=[0.3, 0.7]), Rawlsian())
    certificate = verify(dataclasses.replace(contract, **change(contract)))
    assert not certificate.holds
    text = " ".join(certificate.violations)
    assert word in text, text


@cache
def designed():
    return best(STATED, Welfare(coordinator=1.0)), design_contract(STATED)


@settings(max_examples=25)
@given(
    st.lists(st.floats(0.0, 3.0), min_size=3, max_size=3),
    st.lists(st.floats(0.0, 3.0), min_size=3, max_size=3),
    st.floats(0.0, 2.0),
)
def test_any_prices_bound_every_contract(y, w, weight):
    contract, base = designed()
    _, p, row = distinct_rows(STATED)
    witness = dataclasses.replace(
        contract.menu.witness, feasibility_multipliers=np.array(y), participation_multipliers=np.array(w)
    )
    alone = by_row(contract.reservation_utility, row)
    social = Tangent(float(p @ witness.utility), p, np.zeros(3))
    bound = upper_bound(STATED, witness, alone, weight, social, Gaps.free(3)).value
    for menu in (contract.menu, base):
        assert bound >= weight * menu.objective + p @ by_row(menu.utility, row) - 1e-7


@frozen
class SquareRoots(Objective):
    """An objective of a user's own: sum_i p_i sqrt(u_i)."""

    def weight(self):
        return 0.0

    def formula(self, outcome: Outcome, xp):
        return xp.sum(outcome.probabilities * xp.sqrt(outcome.utility))

    def slopes(self, outcome: Outcome):
        first = 0.5 * outcome.probabilities / np.sqrt(outcome.utility)
        return Slopes(first, 0.0 * first, -0.5 * first / outcome.utility, 0.0 * first)

    def unit(self, problem):
        return problem.largest_value**0.5


def test_an_objective_of_ones_own(build):
    contract = best(STATED, SquareRoots())
    assert verify(contract).holds
    assert contract.value >= value_of(SquareRoots(), best(STATED, Welfare()).menu) - 1e-9
    assert contract.value == pytest.approx(float(SquareRoots().formula(outcome_of(contract.menu), np)))


def test_where_nothing_pays_nothing_is_done_and_nobody_bargains(build):
    problem = build([1, 0.85, 0.7, 0.55, 0.4], 4)
    contract = best(problem, Welfare())
    assert contract.value == 0.0
    assert not contract.contribution.any()
    assert verify(contract).holds
    with pytest.raises(Infeasible, match="cheaper data or more participants"):
        best(problem, NashBargaining())
    hopeless = build([900.0, 800.0], 2)
    assert best(hopeless, Rawlsian()).value == 0.0
    with pytest.raises(Infeasible):
        best(hopeless, NashBargaining())


def test_bad_input_is_named(build):
    problem = build([0.3, 0.1], 10, accuracy=CURVE)
    for call, words in [
        (lambda: Welfare(coordinator=-1.0), "coordinator = -1"),
        (lambda: Welfare(coordinator=float("nan")), "coordinator = nan"),
        (lambda: Rawlsian(over="all"), "over = 'all'"),
        (lambda: DistributionCost(rate=-1.0), "rate = -1"),
        (lambda: DistributionCost(rate=1.0, exponent=0.5), "exponent = 0.5"),
        (lambda: ObjectiveProblem(problem=3, objective=Welfare()), "problem = 3"),
        (lambda: ObjectiveProblem(problem=problem, objective="welfare"), "objective = 'welfare'"),
        (lambda: best(build([0.3, 0.1], 10, accuracy=Arctan(optimum=0.9, scale=100.0)), Welfare()), "Arctan"),
        (lambda: design_contracts([ObjectiveProblem(problem=problem, objective=Welfare())]), "ObjectiveProblem"),
        (
            lambda: design_contract(ObjectiveProblem(problem=problem, objective=Welfare()), solver="conic"),
            "solver",
        ),
    ]:
        with pytest.raises(InvalidInput, match=words):
            call()


def _stated():
    from contracts import LinearValuation, Population, Problem

    return Problem(
        population=Population(costs=[0.1, 0.3, 0.2], probabilities=[0.3, 0.3, 0.4], participants=10),
        accuracy=CURVE,
        valuation=LinearValuation(scale=100.0),
    )


STATED = _stated()
