"""Few options and whole lots: laws, brute force, and certificates that notice."""

import dataclasses
from itertools import combinations_with_replacement

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from contracts import (
    Infeasible,
    InvalidInput,
    LinearValuation,
    Population,
    PowerLaw,
    Problem,
    design_contract,
    design_contracts,
    verify,
)
from contracts.extensions.tier_search import opened_gaps
from contracts.extensions.tiers import TieredProblem
from contracts.problem.outcomes import believed_total, total_data
from contracts.problem.reservation import reservation
from contracts.program.exclusion import attempt
from contracts.program.first_moment import prepare
from contracts.program.interior_point import solve
from contracts.testing import problems

FLOORLESS = ("exponential",)  # the others take a linear program more, and time
FEW = settings(max_examples=4, deadline=None, suppress_health_check=list(HealthCheck), phases=[Phase.generate])


def spread(types=8, participants=50, belief="interim", seed=0, ratio=20.0):
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
    )


@pytest.mark.slow
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck), phases=[Phase.generate])
@given(problems(types=(1, 7)), st.integers(1, 5))
def test_many_problems_of_every_kind(problem, tiers):
    contract = designed(problem, tiers=tiers)
    if contract is None:
        assert tiers < problem.population.types
        return
    certificate = verify(contract)
    assert certificate.holds, certificate
    assert contract.price >= -1e-7 * problem.largest_value


def designed(problem, **limits):
    """The menu, or None where none of the kind keeps everybody."""
    try:
        return design_contract(TieredProblem(problem=problem, **limits))
    except Infeasible:
        return None


@FEW
@given(problems(types=(1, 5), families=FLOORLESS), st.integers(1, 5))
def test_few_options_hold_and_cost_something(problem, tiers):
    contract = designed(problem, tiers=tiers)
    if contract is None:
        assert tiers < problem.population.types
        return
    certificate = verify(contract)
    assert certificate.holds, certificate
    assert len(contract.options) <= tiers
    assert contract.price >= -1e-7 * problem.largest_value


@FEW
@given(problems(types=(1, 6), families=FLOORLESS))
def test_as_many_options_as_types_cost_nothing(problem):
    contract = designed(problem, tiers=problem.population.types)
    assert contract is not None
    assert abs(contract.price) <= 1e-7 * problem.largest_value


@pytest.mark.slow
@pytest.mark.parametrize("belief", ["interim", "ex-ante"])
def test_more_options_are_never_worse(belief):
    found = [designed(spread(belief=belief), tiers=tiers) for tiers in range(1, 9)]
    values = [contract.objective for contract in found]
    assert all(np.diff(values) >= -1e-6)
    assert values[0] < values[-1] - 1e-3


@pytest.mark.slow
@pytest.mark.parametrize("belief", ["interim", "ex-ante"])
@pytest.mark.parametrize("participants", [4, 1000, 10**6])
def test_no_choice_of_gaps_is_better(belief, participants):
    problem = spread(types=5, participants=participants, belief=belief, seed=3)
    model = prepare(problem)
    for tiers in (1, 2, 3):
        best = 0.0
        for opened in np.ndindex(*(2,) * 4):
            if sum(opened) < tiers:
                mask = opened_gaps(np.array(opened), False)
                found = attempt(
                    model, model.program, 0, lambda p, b, mask=mask: solve(p._replace(active=mask), b)
                )
                best = max(best, found.target if found is not None else 0.0)
        contract = designed(problem, tiers=tiers)
        assert (contract is None) == (best == 0.0)
        if contract is not None:
            loss = 95.0 - best
            assert abs(contract.objective - best) <= 1e-6 * loss


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
        whole = [believed_total(problem, m, i).expectation(problem.value) for i in range(costs.size)]
        rows, right = [], []
        for i in range(costs.size):
            for j in range(costs.size):
                if i != j:
                    row = np.zeros(costs.size)
                    row[i], row[j] = -1.0, 1.0
                    rows.append(row)
                    right.append(costs[i] * (m[j] - m[i]))
        bounds = list(zip(alone + costs * m, whole, strict=True))
        if all(low <= high for low, high in bounds):
            answer = linprog(np.zeros(costs.size), A_ub=np.array(rows), b_ub=np.array(right), bounds=bounds)
            if answer.status == 0:
                best = (value, m)
    return best


@pytest.mark.parametrize("belief", ["interim", "ex-ante"])
@pytest.mark.parametrize("lot", [pytest.param(40.0, marks=pytest.mark.slow), 90.0])
def test_no_assignment_of_lots_is_better(belief, lot):
    problem = dataclasses.replace(
        spread(types=3, belief=belief),
        population=Population(costs=[0.12, 0.3, 0.06], probabilities=[0.3, 0.4, 0.3], participants=6),
    )
    value, contribution = best_in_lots(problem, lot)
    contract = designed(problem, lot=lot)
    np.testing.assert_allclose(contract.objective, value, atol=1e-6)
    np.testing.assert_allclose(contract.contribution, contribution, atol=1e-6)
    assert verify(contract).holds


def test_small_lots_are_nearly_free():
    problem = spread(types=4)
    prices = [designed(problem, lot=lot).price for lot in (30.0, 3.0, 0.3)]
    assert prices[0] > prices[2]
    assert 0.0 <= prices[2] <= 2e-3


def test_options_in_lots():
    contract = designed(spread(), tiers=2, lot=25.0)
    assert len(contract.options) == 2
    assert np.allclose(contract.contribution % 25.0, 0.0)
    assert verify(contract).holds
    assert "2 options, lots of 25 data" in str(contract)


def test_staying_out_is_no_option():
    # Only the last type's data pay; the first two would train nothing alone.
    problem = dataclasses.replace(
        spread(types=3),
        population=Population(costs=[40.0, 20.0, 0.05], probabilities=[0.3, 0.3, 0.4], participants=1000),
    )
    contract = designed(problem, tiers=1)
    assert np.allclose(contract.contribution[:2], 0.0)
    assert np.allclose(contract.expected_reward[:2], 0.0)
    assert contract.contribution[2] > 1.0
    assert verify(contract).holds


@pytest.mark.slow
def test_thirty_types_and_a_million_participants():
    contract = designed(spread(types=30, participants=10**6, ratio=30.0), tiers=3)
    certificate = verify(contract)
    assert certificate.holds, certificate
    assert len(contract.options) == 3
    assert certificate.optimality_gap <= 1e-5 * (95.0 - contract.objective)


def test_a_worse_menu_is_noticed():
    problem = spread()
    contract = designed(problem, tiers=3)
    worse = dataclasses.replace(contract, menu=designed(problem, tiers=2).menu)
    assert any("another menu of the kind may be better" in text for text in verify(worse).violations)
    wider = dataclasses.replace(contract, problem=TieredProblem(problem=problem, tiers=2))
    assert any("3 options, at most 2" in text for text in verify(wider).violations)
    lots = dataclasses.replace(contract, problem=TieredProblem(problem=problem, lot=7.0))
    assert any("not a whole number" in text for text in verify(lots).violations)
    broken = dataclasses.replace(contract.menu, expected_reward=contract.expected_reward + 1.0)
    assert any("feasibility" in text for text in verify(dataclasses.replace(contract, menu=broken)).violations)


def test_too_few_options_say_what_would_help():
    with pytest.raises(Infeasible, match="lot = 1e\\+07 data: expected a smaller lot"):
        design_contract(TieredProblem(problem=spread(), lot=1e7))
    with pytest.raises(Infeasible, match="tiers = 1: expected more options"):
        design_contract(TieredProblem(problem=spread(types=4, participants=2, ratio=5000.0, seed=2), tiers=1))


@pytest.mark.parametrize("tiers", [0, -1, 1.5, "two", float("nan"), True])
def test_numbers_of_options_that_are_none(tiers):
    with pytest.raises(InvalidInput, match="tiers"):
        TieredProblem(problem=spread(), tiers=tiers)


@pytest.mark.parametrize("lot", [0.0, -5.0, float("nan"), float("inf"), "ten", [1.0]])
def test_lots_that_are_none(lot):
    with pytest.raises(InvalidInput, match="lot"):
        TieredProblem(problem=spread(), lot=lot)


def test_other_wrong_uses():
    with pytest.raises(InvalidInput, match="at least one"):
        TieredProblem(problem=spread())
    with pytest.raises(InvalidInput, match="expected a Problem"):
        TieredProblem(problem="five types", tiers=2)
    with pytest.raises(InvalidInput, match="interior-point"):
        design_contract(TieredProblem(problem=spread(), tiers=2), solver="conic")
    with pytest.raises(InvalidInput, match="not solved in batches"):
        design_contracts([TieredProblem(problem=spread(), tiers=2)])
