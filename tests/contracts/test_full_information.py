"""The complete-information benchmark against brute force, and the information cost."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq
from scipy.stats import multinomial

from contracts import (
    GeneralizationBound,
    LinearValuation,
    Population,
    Problem,
    design_contract,
    full_information,
    reservation,
)
from contracts import full_information as function


def brute_force(problem):
    """Each outcome by scanning for the last sign change of K v(a(D)) - F - D."""
    population = problem.population
    costs, p, n = population.costs, population.probabilities, population.participants
    alone = reservation(problem).utility
    total = 0.0
    for first in range(n + 1):
        counts = np.array([first, n - first])
        rate, spent = counts @ (1 / costs), counts @ (alone / costs)

        def excess(data, rate=rate, spent=spent):
            return rate * problem.value(data) - spent - data

        grid = np.linspace(0, rate * 100, 200_001)
        signs = np.flatnonzero((excess(grid)[:-1] > 0) & (excess(grid)[1:] <= 0))
        if signs.size:
            data = brentq(excess, grid[signs[-1]], grid[signs[-1] + 1], xtol=1e-12)
            total += multinomial(n, p).pmf(counts) * float(problem.value(data))
    return total


@given(st.floats(0.01, 2.0), st.floats(0.01, 2.0), st.integers(2, 9))
@settings(max_examples=15)
def test_two_types_by_brute_force(first, second, participants):
    problem = Problem(
        population=Population(costs=[first, second], probabilities=[0.4, 0.6], participants=participants),
        accuracy=GeneralizationBound(),
        valuation=LinearValuation(scale=100.0),
    )
    found = full_information(problem)
    assert found.objective == pytest.approx(brute_force(problem), rel=1e-7, abs=1e-7)
    assert found.standard_error == 0


def test_the_benchmark_is_no_bound_where_training_is_dear(build):
    """It promises everybody its reservation utility in every outcome; a contract only on average."""
    problem = build([0.25, 0.5], 2, probabilities=[0.4, 0.6])
    assert full_information(problem).objective == pytest.approx(37.657160, abs=1e-5)
    assert design_contract(problem).objective == pytest.approx(38.603473, abs=1e-5)


def test_sampling_agrees_with_enumeration(build, monkeypatch):
    import sys

    problem = build([0.2, 0.16, 0.12, 0.08, 0.04], 10)
    exact = full_information(problem)
    monkeypatch.setattr(sys.modules["contracts.contract.full_information"], "MOST_OUTCOMES", 1)
    sampled = function(problem, seed=3)
    assert sampled.standard_error > 0
    assert abs(sampled.objective - exact.objective) < 5 * sampled.standard_error + 1e-9


def test_information_costs_something_and_pays_rents(build):
    problem = build([0.02, 0.01], 10)
    contract = design_contract(problem)
    assert full_information(problem).objective > contract.objective
    assert contract.information_rent[1] > contract.information_rent[0] - 1e-9


def test_curves_with_inflections_have_the_largest_total_of_every_outcome(build):
    from contracts import CustomCurve
    from contracts.contract.full_information import largest_total

    curve = CustomCurve(function=lambda x: 0.4 * x / (x + 20.0) + 0.5 * x**3 / (x**3 + 200.0**3), optimum=0.9)
    problem = build([0.6, 0.25], 4, accuracy=curve)
    rate, spent = np.array([2.0, 4.0, 5.0, 9.0, 12.0]), np.array([1.0, 5.0, 30.0, 0.0, 60.0])
    data, residual = largest_total(problem, rate, spent)
    fine = np.linspace(1e-3, 1200.0, 400_001)
    value = problem.value(fine)
    for k in range(rate.size):
        pays = rate[k] * value - spent[k] >= fine
        assert data[k] == pytest.approx(fine[np.flatnonzero(pays)[-1]] if pays.any() else 0.0, abs=4e-3)
    assert residual.max() < 1e-9
