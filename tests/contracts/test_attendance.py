"""What if not everybody comes: against enumeration of all who may come, and what the covering count promises."""

import dataclasses
import itertools

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from contracts import (
    Infeasible,
    InvalidInput,
    Poisson,
    Population,
    design_contract,
    launch_from,
)
from contracts.contract.attendance_plot import draw_attendance
from contracts.testing import example_contract, plain_problems, problems

BASE = example_contract().problem


def two(participants=10):
    population = Population(costs=[0.02, 0.01], probabilities=[0.5, 0.5], participants=participants)
    return dataclasses.replace(BASE, population=population)


def three(participants=10):
    population = Population(costs=[0.3, 0.1, 0.03], probabilities=[0.3, 0.4, 0.3], participants=participants)
    return dataclasses.replace(BASE, population=population)


@pytest.mark.parametrize(
    ("problem", "count", "critical"),
    [(two(), 6, [0.93, 0.08]), (three(), None, [0.71, 0.67, 1.0]), (BASE, 6, [0.94, 0.21, 0.08, 0.02, 0.0])],
)
def test_the_notes_table(problem, count, critical):
    found = design_contract(problem).attendance()
    assert found.covering_count == count
    assert np.allclose(found.critical, critical, atol=0.006)


def by_enumeration(contract, attendance):
    """Expected gains of the own options over who of the others comes, and of what type, one by one."""
    problem, caps = contract.problem, contract.rewards("capped").levels
    population = problem.population
    others, types = population.participants - 1, population.types
    gains = np.zeros(types)
    states = range(-1, types)
    chance = {-1: 1.0 - attendance} | {i: attendance * population.probabilities[i] for i in range(types)}
    for profile in itertools.product(states, repeat=others):
        likely = np.prod([chance[k] for k in profile])
        brought = sum(contract.contribution[k] for k in profile if k >= 0)
        for i in range(types):
            value = min(float(problem.value(brought + contract.contribution[i])), caps[i])
            paid = population.costs[i] * contract.contribution[i]
            gains[i] += likely * (value - paid - contract.reservation_utility[i])
    return gains


@pytest.mark.parametrize("problem", [two(4), three(4)])
@pytest.mark.parametrize("attendance", [0.0, 0.35, 1.0])
def test_gains_are_the_sum_over_who_comes(problem, attendance):
    contract = design_contract(problem)
    assert np.allclose(contract.attendance().gain(attendance), by_enumeration(contract, attendance), atol=1e-9)


@settings(max_examples=8, deadline=None, phases=[Phase.generate], derandomize=True)
@given(problem=plain_problems(types=(1, 3), participants=(2, 6), families=("power-law",)))
def test_joining_pays_from_the_critical_attendance_on(problem):
    contract = design_contract(dataclasses.replace(problem, belief="interim"), time_limit=0.0)
    found = contract.attendance()
    slack = 3e-6 * problem.largest_value
    for i in np.flatnonzero(~np.isnan(found.critical)):
        from_here = found.gain(np.linspace(found.critical[i], 1.0, 5))[:, i]
        assert (from_here >= -slack).all()
        if found.critical[i] > 0.01:
            assert found.gain(found.critical[i] - 0.01)[i] < slack


@settings(max_examples=8, deadline=None, phases=[Phase.generate], derandomize=True)
@given(problem=plain_problems(types=(1, 3), participants=(2, 6), families=("power-law",)), data=st.data())
def test_with_the_covering_count_nobody_loses_and_with_fewer_somebody_may(problem, data):
    contract = design_contract(dataclasses.replace(problem, belief="interim"), time_limit=0.0)
    count = contract.attendance().covering_count
    signs = np.flatnonzero(contract.contribution > 0.0)
    caps, tolerance = contract.rewards("capped").levels, 2e-6 * problem.largest_value

    def worst(size):
        """The most that anybody loses where so many sign, all others bringing least."""
        poorest = contract.contribution[signs].min() * (size - 1)
        value = np.minimum(problem.value(poorest + contract.contribution[signs]), caps[signs])
        paid = problem.population.costs[signs] * contract.contribution[signs]
        return float((contract.reservation_utility[signs] - value + paid).max())

    if count is None:
        if signs.size:
            assert worst(problem.population.participants) > 0.0
        return
    assert worst(count) <= tolerance
    assert count == 1 or worst(count - 1) > 0.0
    drawn = data.draw(st.lists(st.sampled_from(signs.tolist()), min_size=count, max_size=count))
    brought = contract.contribution[drawn].sum()
    for i in drawn:
        value = min(float(problem.value(brought)), caps[i])
        paid = problem.population.costs[i] * contract.contribution[i]
        assert value - paid >= contract.reservation_utility[i] - tolerance


@settings(max_examples=8, deadline=None, phases=[Phase.generate], derandomize=True)
@given(problem=problems(ingredients="any", at_most=3))
def test_every_kind_of_contract_has_an_attendance(problem):
    try:
        contract = design_contract(problem, time_limit=0.0)
        found = contract.attendance()
    except (Infeasible, InvalidInput) as error:
        assert "\n" not in str(error)  # noqa: PT017
        return
    gain = found.gain(1.0)
    signs = ~np.isnan(gain)
    assert str(found)
    if contract.clause is None and problem.belief == "interim" and problem.population.doubt is None:
        assert np.allclose(gain[signs], contract.information_rent[signs], atol=1e-6 * problem.scales.max())


def test_a_crowd_and_an_uncertain_number():
    assert design_contract(two(1000)).attendance().covering_count > 500
    contract = design_contract(two(Poisson(mean=10)))
    assert np.allclose(contract.attendance().gain(1.0), contract.information_rent, atol=1e-6)


def test_a_count_clause_is_free_where_the_menu_covers():
    contract = design_contract(two())
    clause = launch_from(contract)
    assert clause.clause.launch_count == 6
    assert clause.objective == contract.objective
    assert (clause.attendance().critical == 0.0).all()
    assert clause.certificate.holds
    assert clause.certificate.optimal == contract.certificate.optimal
    forged = dataclasses.replace(clause, clause=dataclasses.replace(clause.clause, counts=np.array([5])))
    assert not forged.certificate.holds
    assert "individual rationality" in forged.certificate.violations[0]
    with pytest.raises(Infeasible, match="no number of signatures covers"):
        launch_from(design_contract(three()))
    with pytest.raises(InvalidInput, match="count = 5"):
        launch_from(contract, 5)
    with pytest.raises(InvalidInput, match="has a launch clause"):
        launch_from(clause)


def test_it_is_drawn_and_said():
    assert len(draw_attendance(example_contract()).axes[0].lines) == 11
    assert "0.94 or more (type 1 needs that)" in str(example_contract().attendance())
    assert "sure to come (type 3 needs that)" in str(design_contract(three()).attendance())
    with pytest.raises(InvalidInput, match="attendance"):
        example_contract().attendance().gain(1.5)
