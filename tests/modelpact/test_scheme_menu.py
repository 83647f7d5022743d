"""Menus of whole samples, cautious curves, and the errors of pilots."""

import dataclasses
import itertools

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from contracts import LinearValuation, Population, PowerLaw, Problem, design_contract
from contracts.errors import Infeasible
from contracts.measured.learning_curves import fit_curve
from contracts.measured.measurements import Measurements
from contracts.problem.reservation import reservation
from mechanisms.datasets import Samples
from modelpact.scheme.menu import whole_samples
from modelpact.scheme.pilot import cautious_curve, deviations, standard_error
from modelpact.scheme.world import pad, with_label_noise


@st.composite
def problems(draw):
    types = draw(st.integers(1, 3))
    steps = draw(st.lists(st.floats(1.3, 4.0), min_size=types, max_size=types))
    weights = np.array(draw(st.lists(st.integers(1, 5), min_size=types, max_size=types)), dtype=float)
    return Problem(
        population=Population(
            costs=(draw(st.floats(0.5, 2.0)) * np.cumprod(steps)).tolist(),
            probabilities=(weights / weights.sum()).tolist(),
            participants=draw(st.integers(2, 5)),
        ),
        accuracy=PowerLaw(
            optimum=draw(st.floats(0.9, 1.0)),
            coefficient=draw(st.floats(2.0, 8.0)),
            exponent=draw(st.floats(0.6, 1.2)),
        ),
        valuation=LinearValuation(scale=1000.0),
    )


def most_expected(problem, data, own):
    """E v(a(total)) of somebody who delivers `data[own]`, over every combination of the others."""
    population, total = problem.population, 0.0
    for others in itertools.product(range(population.types), repeat=population.participants - 1):
        amount = data[own] + sum(data[k] for k in others)
        total += np.prod(population.probabilities[list(others)]) * float(problem.value(amount))
    return total


@settings(max_examples=25, deadline=None)
@given(problem=problems(), margin=st.sampled_from([0.0, 5.0, 20.0]))
def test_a_menu_of_whole_samples_keeps_everybody_willing(problem, margin):
    """Rationality with the margin, incentives and feasibility, checked by enumeration."""
    best = design_contract(problem)
    try:
        data, rewards, advantage = whole_samples(best, margin=margin)
    except Infeasible:
        assume(False)  # margins need not be affordable; that they are refused is tested below
        return
    costs, tolerance = problem.population.costs, 1e-6 * problem.largest_value
    assert (data == np.floor(data)).all()
    assert (data <= best.contribution + 1e-5).all()
    alone = reservation(problem).utility
    for i in range(costs.size):
        own = rewards[i] - costs[i] * data[i]
        assert own >= alone[i] + margin - tolerance
        assert rewards[i] <= most_expected(problem, data, i) + tolerance
        for j in range(costs.size):
            other = rewards[j] - costs[i] * data[j]
            assert own >= other + (advantage if data[i] != data[j] else 0.0) - tolerance


def test_without_margin_rounding_costs_hardly_anything():
    problem = Problem(
        population=Population(costs=[7.0, 3.0, 1.2], probabilities=[0.3, 0.4, 0.3], participants=6),
        accuracy=PowerLaw(optimum=0.95, coefficient=6.0, exponent=1.0),
        valuation=LinearValuation(scale=1000.0),
    )
    best = design_contract(problem)
    data, rewards, _ = whole_samples(best, margin=0.0)
    assert (best.contribution - data < 0.02 * best.contribution + 1.0).all()
    menu = dataclasses.replace(best, contribution=data, expected_reward=rewards)
    # the caps of such a menu give what it promises
    assert menu.rewards("capped").mean == pytest.approx(rewards)


def test_margins_that_nobody_can_pay_are_refused():
    problem = Problem(
        population=Population(costs=[2.0, 1.0], probabilities=[0.5, 0.5], participants=3),
        accuracy=PowerLaw(optimum=0.95, coefficient=6.0, exponent=1.0),
        valuation=LinearValuation(scale=1000.0),
    )
    with pytest.raises(Infeasible, match="smaller margin"):
        whole_samples(design_contract(problem), margin=500.0)


def test_a_curve_that_hardly_rises_is_no_ground_for_a_menu():
    problem = Problem(
        population=Population(costs=[2.0, 1.0], probabilities=[0.5, 0.5], participants=3),
        accuracy=PowerLaw(optimum=0.9, coefficient=1e-5, exponent=1.0),
        valuation=LinearValuation(scale=1000.0),
    )
    with pytest.raises(Infeasible, match="larger pilot"):
        whole_samples(design_contract(problem), margin=0.0)


def test_the_errors_of_a_pilot_are_exact_for_means():
    """The statistic that is a mean of x of P samples: its deviations among fresh samples, and among pilots."""
    draw = np.random.default_rng(0)
    most, repetitions, sizes = 90, 12, np.array([10, 30, 60])
    found, errors, means = [], [], []
    for _ in range(1500):
        held = draw.normal(size=most)
        measured = np.array(
            [[held[draw.permutation(most)[:x]].mean() for _ in range(repetitions)] for x in sizes]
        )
        fresh, error = deviations(measured, sizes / most, least=0.0)
        found.append(fresh**2)
        errors.append(error**2)
        means.append(measured.mean(axis=1))
    assert np.mean(found, axis=0) == pytest.approx(1 / sizes, rel=0.06)
    assert np.mean(errors, axis=0) == pytest.approx(np.var(means, axis=0), rel=0.12)


def test_the_error_of_a_fit_agrees_with_its_own_where_no_parameter_is_at_its_bound():
    data = np.array([20.0, 40, 80, 160, 320])
    noise = np.array([0.004, -0.006, 0.005, -0.002, 0.001])
    measured = Measurements(data=data, accuracy=0.9 - 3 * data**-0.8 + noise, standard_error=[0.01] * 5)
    fit = fit_curve(measured)
    assert fit.at_bound == ()
    at = np.array([30.0, 100.0, 1000.0])
    assert standard_error(fit, at) == pytest.approx(fit.standard_error_at(at), rel=1e-3)


@settings(max_examples=30, deadline=None)
@given(gap=st.floats(0.0, 0.05), exponent=st.floats(0.5, 1.2))
def test_a_cautious_curve_promises_no_more_than_the_lower_edge(gap, exponent):
    alone, joint = np.geomspace(20, 100, 12), np.geomspace(200, 600, 12)

    def curve(x):
        return 0.96 - 0.5 * (x / 20) ** -exponent

    cautious = cautious_curve(alone, curve(alone) + gap, joint, curve(joint) - gap)
    # what all have together is nowhere promised above the lower edge
    assert (cautious(joint) <= curve(joint) - gap + 1e-9).all()
    if gap == 0.0:
        assert cautious(alone) == pytest.approx(curve(alone), abs=1e-4)
    # it never falls
    assert (np.diff(cautious(np.geomspace(20, 1000, 50))) >= 0).all()


@settings(max_examples=30, deadline=None)
@given(size=st.integers(1, 60), level=st.floats(0, 1), classes=st.integers(2, 10), seed=st.integers(0, 99))
def test_label_noise_changes_exactly_its_share(size, level, classes, seed):
    draw = np.random.default_rng(seed)
    part = Samples(inputs=draw.normal(size=(size, 2)), labels=draw.integers(classes, size=size))
    noisy = with_label_noise(part, level, classes=classes, draw=draw)
    assert (noisy.labels != part.labels).sum() == round(level * size)
    assert ((noisy.labels >= 0) & (noisy.labels < classes)).all()


def test_padding_adds_samples_of_no_weight():
    part = Samples(inputs=np.ones((2, 3)), labels=np.array([1, 2]))
    filled, weights = pad([part, part], 7)
    assert weights.tolist() == [1, 1, 1, 1, 0, 0, 0]
    assert filled.labels.tolist() == [1, 2, 1, 2, 0, 0, 0]
    assert filled.inputs.sum() == 12
