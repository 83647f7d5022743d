"""The public strategies draw what they promise; the public assertions fail on every kind of broken contract."""

import dataclasses

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from contracts.problem.accuracy import FAMILIES, inspect
from contracts.testing import (
    assert_feasible,
    assert_holds,
    assert_incentive_compatible,
    assert_individually_rational,
    contracts,
    curves,
    example_contract,
    populations,
    problems,
    valuations,
)


@given(populations(types=(2, 5), participants=(3, 90), costs=(0.5, 2.0)))
def test_populations_stay_within_what_was_asked(population):
    assert 2 <= population.types <= 5
    assert 3 <= population.participants <= 90
    assert population.costs.min() >= 0.5 * (1 - 1e-12)
    assert population.costs.max() <= 2.0 * (1 + 1e-12)
    assert population.probabilities.sum() == pytest.approx(1.0, abs=1e-12)
    assert population.probabilities.min() > 0.0


@settings(max_examples=20)
@given(st.data())
def test_unlikely_types_occur_on_request(data):
    population = data.draw(populations(types=(3, 3), unlikely=True).filter(lambda p: p.probabilities.min() == 0))
    assert population.probabilities.sum() == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize("family", sorted(set(FAMILIES) - {"monotone-tabulated"}))  # it may have inflections
@settings(max_examples=25)
@given(data=st.data())
def test_curves_have_the_shape_that_theory_asks_for(family, data):
    curve = data.draw(curves(families=(family,)))
    shape = inspect(curve, high=1e6, points=800)
    assert curve.family == family
    assert shape.increasing
    assert shape.concave
    assert 0.0 < curve(1e6) <= float(curve.optimum) * (1 + 1e-12)


@given(valuations(scale=7.0), st.floats(0.0, 1.0))
def test_valuations_are_scaled_and_invertible(valuation, accuracy):
    assert float(valuation(1.0)) == pytest.approx(7.0, rel=1e-12)
    assert float(valuation.inverse(valuation(accuracy))) == pytest.approx(accuracy, abs=1e-9)


@settings(max_examples=15)
@given(problems(types=(1, 4), participants=(2, 60)))
def test_problems_matter(problem):
    """Data are worth collecting for somebody, or at least for all together, at some scale."""
    largest = problem.largest_value / problem.population.costs.min()
    assert float(problem.value(problem.population.participants * largest)) > 0.4 * problem.largest_value


@pytest.mark.slow
@settings(max_examples=25, phases=[Phase.explicit, Phase.generate])  # shrinking would solve hundreds of problems
@given(contracts(types=(1, 4), participants=(2, 60), families=("power-law", "generalization-bound")))
def test_contracts_that_are_drawn_hold(contract):
    assert_individually_rational(contract)
    assert_incentive_compatible(contract)
    assert_feasible(contract)
    assert_holds(contract)


def changed(name: str, index: int, amount: float):
    contract = example_contract()
    values = getattr(contract, name).copy()
    values[index] += amount
    return dataclasses.replace(contract, **{name: values})


@pytest.mark.parametrize(
    ("check", "contract", "message"),
    [
        (
            assert_individually_rational,
            changed("contribution", 0, 1.0),
            "type 1 loses 0.2 against staying alone",
        ),
        (assert_incentive_compatible, changed("expected_reward", 1, 1.0), "by the option of type 2"),
        (assert_feasible, changed("expected_reward", 4, 1.0), "type 5 is promised"),
        (assert_holds, changed("expected_reward", 4, 1.0), "type 5"),
    ],
)
def test_assertions_name_who_is_wronged(check, contract, message):
    check(example_contract())
    with pytest.raises(AssertionError, match=message):
        check(contract)


def test_tolerances_are_relative_to_the_largest_value():
    broken = changed("contribution", 0, 1.0)  # type 1 loses 0.2 of 100
    assert_individually_rational(broken, tolerance=2.1e-3)
    with pytest.raises(AssertionError):
        assert_individually_rational(broken, tolerance=1.9e-3)
    assert np.all(example_contract().contribution > 0)
