"""Few options and whole lots: laws, brute force, and certificates that notice."""

import dataclasses
from itertools import combinations_with_replacement

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from contracts import (
    GeneralizationBound,
    Infeasible,
    InvalidInput,
    LinearValuation,
    Menu,
    Population,
    PowerLaw,
    Problem,
    design_contract,
    verify,
)
from contracts.contract.stated import Stated
from contracts.problem.cases import OPEN, SHARED, asked_of, whole
from contracts.problem.outcomes import believed_total, total_data
from contracts.problem.reservation import reservation
from contracts.program.case_program import setting, value_at
from contracts.program.convex_program import CONVERGED, solve
from contracts.program.goals import goal_of
from contracts.program.losses import losses_of
from contracts.testing import problems

FLOORLESS = ("exponential",)  # the others take a second search, and time
FEW = settings(max_examples=4, deadline=None, suppress_health_check=list(HealthCheck), phases=[Phase.generate])


def spread(types=8, participants=50, belief="interim", seed=0, ratio=20.0, **limits):
    draw = np.random.default_rng(seed)
    return Problem(
        population=Population(
            costs=np.exp(draw.uniform(np.log(0.3 / ratio), np.log(0.3), types)),
            probabilities=draw.dirichlet(np.full(types, 2.0)),
            participants=participants,
        ),
        accuracy=PowerLaw(optimum=0.95, coefficient=2.0, exponent=0.6),
        valuation=LinearValuation(scale=100.0),
        belief=belief,
        menu=Menu(**limits),
    )


def limited(problem, **limits):
    return dataclasses.replace(problem, menu=Menu(**limits))


def designed(problem, **limits):
    """The contract, or None where none of the kind keeps everybody."""
    try:
        return design_contract(limited(problem, **limits), time_limit=3.0)
    except Infeasible:
        return None


def options(contract):
    """How many different options there are; nothing for nothing is none."""
    pairs = np.column_stack([contract.contribution, contract.expected_reward])
    pairs = pairs[pairs.any(axis=1)] / np.maximum(pairs.max(axis=0), 1e-300)
    return len(np.unique(pairs.round(7), axis=0))


@pytest.mark.slow
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck), phases=[Phase.generate])
@given(problems(types=(1, 7)), st.integers(1, 5))
def test_many_problems_of_every_kind(problem, number):
    number = min(number, problem.population.types)
    contract = designed(problem, options=number)
    if contract is None:
        assert number < problem.population.types
        return
    certificate = verify(contract)
    assert certificate.holds, certificate
    assert options(contract) <= number
    assert contract.reached <= design_contract(problem).reached + 1e-6 * problem.largest_target


@FEW
@given(problems(types=(1, 5), families=FLOORLESS), st.integers(1, 5))
def test_few_options_hold_and_cost_something(problem, number):
    number = min(number, problem.population.types)
    contract = designed(problem, options=number)
    if contract is None:
        assert number < problem.population.types
        return
    certificate = verify(contract)
    assert certificate.holds, certificate
    assert options(contract) <= number
    assert contract.reached <= design_contract(problem).reached + 1e-7 * problem.largest_target


@FEW
@given(problems(types=(1, 6), families=FLOORLESS))
def test_as_many_options_as_types_cost_nothing(problem):
    contract = designed(problem, options=problem.population.types)
    assert contract is not None
    assert contract.reached == pytest.approx(design_contract(problem).reached, rel=1e-7)


# Options -> expected value of `spread()`; by the search that this one replaced.
OF_EIGHT = {
    "interim": [93.9607757165, 94.0261994747, 94.0294574055, 94.0294574055],
    "ex-ante": [93.9607757165, 94.0257053408, 94.0289728684, 94.0290245288],
}


@pytest.mark.slow
@pytest.mark.parametrize("belief", OF_EIGHT)
def test_more_options_are_never_worse(belief):
    found = [designed(spread(belief=belief), options=number) for number in (1, 2, 3, 4, 8)]
    values = [contract.objective for contract in found]
    assert values[:4] == pytest.approx(OF_EIGHT[belief], rel=1e-9)
    assert all(np.diff(values) >= -1e-6)
    for contract in found:
        certificate = verify(contract)
        assert certificate.holds, certificate
        assert certificate.as_solved_gap <= 1e-4 + 1e-9


OF_FIVE = {
    ("interim", 4): [90.4328734962, 90.5616290515, 90.5628457966],
    ("ex-ante", 4): [90.4328734962, 90.5549115291, 90.5558122882],
    ("interim", 10**6): [94.9976409154, 94.9978005058, 94.9978005058],
}


@pytest.mark.slow
@pytest.mark.parametrize(("belief", "participants"), OF_FIVE)
def test_no_choice_of_pools_is_better(belief, participants):
    problem = spread(types=5, participants=participants, belief=belief, seed=3)
    stated = Stated.of(limited(problem, options=5))
    form = stated.form
    at = setting(
        form, goal_of(form, stated.outside), asked_of(form, stated.outside), losses_of(form, 0.0).solved
    )
    found = {}
    for links in np.ndindex(2, 2, 2, 2):
        case = dataclasses.replace(whole(form), link=np.where(np.array(links) == 1, OPEN, SHARED))
        solved = solve(at, case)
        if solved.error <= CONVERGED and solved.broken == 0.0:
            found[links] = value_at(at, case, solved.point.contribution, solved.point.utility, 0.0)
    for number, reference in enumerate(OF_FIVE[belief, participants], start=1):
        best = max(value for links, value in found.items() if sum(links) < number)
        contract = designed(problem, options=number)
        assert abs(contract.objective - best) <= 1e-6 * (95.0 - best)
        assert contract.objective == pytest.approx(reference, rel=1e-9)


def best_in_lots(problem, lot):
    """Every assignment of lots, exact outcomes, utilities by linear programming."""
    costs, n = problem.population.costs, problem.population.participants
    order = np.argsort(-costs)
    alone = reservation(problem).utility
    most = int(problem.largest_value / costs.min() / lot)
    best = (0.0, None)
    for chosen in combinations_with_replacement(range(most + 1), costs.size):
        m = np.empty(costs.size)
        m[order] = lot * np.array(chosen)
        if (costs * m > problem.largest_value).any():
            continue
        value = total_data(m, problem.population.probabilities, n).expectation(problem.value)
        if value <= best[0]:
            continue
        most_given = [believed_total(problem, m, i).expectation(problem.value) for i in range(costs.size)]
        rows, right = [], []
        for i in range(costs.size):
            for j in range(costs.size):
                if i != j:
                    row = np.zeros(costs.size)
                    row[i], row[j] = -1.0, 1.0
                    rows.append(row)
                    right.append(costs[i] * (m[j] - m[i]))
        bounds = list(zip(alone + costs * m, most_given, strict=True))
        if all(low <= high for low, high in bounds):
            answer = linprog(np.zeros(costs.size), A_ub=np.array(rows), b_ub=np.array(right), bounds=bounds)
            if answer.status == 0:
                best = (value, m)
    return best


@pytest.mark.slow
@pytest.mark.parametrize("belief", ["interim", "ex-ante"])
@pytest.mark.parametrize(("lot", "reference"), [(40.0, 90.8733023207), (90.0, 90.4123134252)])
def test_no_assignment_of_lots_is_better(belief, lot, reference):
    problem = dataclasses.replace(
        spread(types=3, belief=belief),
        population=Population(costs=[0.12, 0.3, 0.06], probabilities=[0.3, 0.4, 0.3], participants=6),
    )
    value, contribution = best_in_lots(problem, lot)
    contract = design_contract(limited(problem, lot=lot))
    np.testing.assert_allclose(contract.objective, value, atol=1e-6)
    np.testing.assert_allclose(contract.contribution, contribution, atol=1e-6)
    assert contract.objective == pytest.approx(reference, rel=1e-10)
    assert verify(contract).holds


@pytest.mark.slow
def test_small_lots_are_nearly_free():
    problem = spread(types=4)
    free = design_contract(problem).objective
    prices = [free - designed(problem, lot=lot).objective for lot in (30.0, 3.0, 0.3)]
    assert prices[0] > prices[2]
    assert 0.0 <= prices[2] <= 2e-3


def test_options_in_lots():
    contract = designed(spread(), options=2, lot=25.0)
    assert options(contract) == 2
    assert np.allclose(contract.contribution / 25.0, np.round(contract.contribution / 25.0))
    assert contract.objective == pytest.approx(93.9974709830, rel=1e-9)
    assert verify(contract).holds


def test_staying_out_is_no_option():
    # Only the last type's data pay; the first two would train nothing alone.
    problem = dataclasses.replace(
        spread(types=3),
        population=Population(costs=[40.0, 20.0, 0.05], probabilities=[0.3, 0.3, 0.4], participants=1000),
    )
    contract = designed(problem, options=1)
    assert np.allclose(contract.contribution[:2], 0.0)
    assert np.allclose(contract.expected_reward[:2], 0.0)
    assert contract.contribution[2] > 1.0
    assert contract.objective == pytest.approx(94.8342489860, rel=1e-9)
    assert verify(contract).holds


@pytest.mark.slow
def test_thirty_types_and_a_million_participants():
    contract = design_contract(limited(spread(types=30, participants=10**6, ratio=30.0), options=3))
    certificate = verify(contract)
    assert certificate.holds, certificate
    assert options(contract) == 3
    assert contract.objective == pytest.approx(94.99802231933, rel=1e-6)
    assert certificate.as_solved_gap <= 1e-4


def test_a_worse_menu_is_noticed():
    problem = spread(types=4)
    contract, worse = (designed(problem, options=number) for number in (2, 1))
    assert verify(contract).holds
    forged = verify(dataclasses.replace(worse, problem=contract.problem, proof=contract.proof))
    assert forged.holds
    assert forged.as_solved_gap > 0.9 * (contract.objective - worse.objective) > 1e-3
    assert not forged.optimal or forged.gap >= contract.objective - worse.objective

    def complaints(**changes):
        certificate = verify(dataclasses.replace(contract, **changes))
        assert not certificate.holds
        return " ".join(certificate.violations)

    fewer = limited(problem, options=1)
    assert "options: the menu has 2, at most 1 are allowed" in complaints(problem=fewer)
    assert "lots: type 1 is asked for" in complaints(problem=limited(problem, lot=7.0))
    assert "feasibility" in complaints(expected_reward=contract.expected_reward + 1.0)
    # The proof for few options says nothing of problems with more of them.
    free = verify(dataclasses.replace(worse, problem=contract.problem))
    assert free.as_solved_gap is None or free.as_solved_gap >= contract.objective - worse.objective - 1e-9


@pytest.mark.slow
@pytest.mark.parametrize(("capacity", "named"), [(39.0, True), (40.0, False)])
def test_who_cannot_bring_one_lot_is_named(capacity, named):
    people = Population(
        costs=[0.6, 0.3, 0.2],
        names=["A", "B", "C"],
        probabilities=[0.4, 0.3, 0.3],
        participants=6,
        capacities=[capacity, 200.0, 600.0],
    )
    curve = GeneralizationBound(optimum=1.0, complexity=2.0)
    problem = Problem(
        population=people, accuracy=curve, valuation=LinearValuation(scale=100.0), menu=Menu(lot=40.0)
    )
    assert ("nothing is asked of who cannot bring one lot: A" in design_contract(problem).reason) == named


def test_too_few_options_and_too_large_lots_are_refused():
    with pytest.raises(Infeasible, match=r"lot = 1e\+07 data: expected a smaller lot"):
        design_contract(spread(lot=1e7))
    with pytest.raises(Infeasible, match="options = 1: expected more options"):
        design_contract(spread(types=4, participants=2, ratio=5000.0, seed=2, options=1))


@pytest.mark.parametrize("number", [0, -1, 1.5, "two", float("nan"), True])
def test_numbers_of_options_that_are_none(number):
    with pytest.raises(InvalidInput, match="options"):
        Menu(options=number)


@pytest.mark.parametrize("lot", [0.0, -5.0, float("nan"), float("inf"), "ten", [1.0]])
def test_lots_that_are_none(lot):
    with pytest.raises(InvalidInput, match="lot"):
        Menu(lot=lot)


def test_other_wrong_uses():
    with pytest.raises(InvalidInput, match="menu = 2: expected a"):
        dataclasses.replace(spread(), menu=2)
    with pytest.raises(InvalidInput, match="interior-point"):
        design_contract(spread(options=2), solver="conic")
    with pytest.raises(InvalidInput, match="assurance = 'tables': expected one of 'count', 'table', 'cut'"):
        Menu(assurance="tables")
