"""Mixtures as solved lie nowhere below losses that are none, bounds nowhere above, and not far off."""

import numpy as np
import pytest

from contracts.problem import Problem
from contracts.problem.accuracy import (
    Arctan,
    Exponential,
    GeneralizationBound,
    MonotoneTabulated,
    PowerLaw,
    Tabulated,
)
from contracts.problem.population import Population
from contracts.problem.scenario import Scenario
from contracts.problem.standard_form import standard_form
from contracts.problem.valuation import LinearValuation, PowerValuation
from contracts.program.losses import losses_of

PEOPLE = Population(costs=[0.2, 0.1, 0.04], probabilities=[0.3, 0.3, 0.4], participants=10)
DATA, REACHED = [10.0, 100.0, 1000.0, 10000.0], [0.3, 0.6, 0.8, 0.85]
CURVES = {
    "arctan": (Arctan(), 0.025),
    "table": (Tabulated(data=DATA, accuracy=REACHED), 0.08),
    "rising table": (MonotoneTabulated(data=DATA, accuracy=REACHED), 0.08),
}


def compiled(curve, **more):
    return standard_form(
        Problem(population=PEOPLE, accuracy=curve, valuation=LinearValuation(scale=100.0), **more)
    )


@pytest.mark.parametrize("name", CURVES)
def test_losses_that_are_no_mixtures_are_bracketed(name):
    curve, most = CURVES[name]
    form = compiled(curve)
    losses, plain = losses_of(form), form.worlds[0].plain
    assert not losses.true
    assert not losses.fitted
    data = np.concatenate([[0.0], np.geomspace(1e-2, plain.most_data, 3000)])
    true = plain.value_loss(data) / plain.largest_value

    def mixture(found):
        return np.exp(-np.multiply.outer(data, found.rates)) @ found.value_weights[0] / plain.largest_value

    above = mixture(losses.solved) - true
    assert above.min() >= -1e-9
    assert above.max() <= most
    below = true - mixture(losses.relaxed)
    assert below.min() >= -1.001e-7
    if name == "arctan":  # no mixture is near a loss that vanishes
        assert below.max() <= most


def test_losses_that_die_out_stay_covered():
    cheap = Population(costs=[3e-9, 1e-9], probabilities=[0.5, 0.5], participants=6)
    problem = Problem(
        population=cheap,
        accuracy=Exponential(optimum=0.6, rate=4e-4),
        valuation=PowerValuation(scale=100.0, exponent=1 / 3),
    )
    assert problem.value_loss(np.array([problem.most_data]))[0] == 0.0
    losses = losses_of(standard_form(problem))
    assert not losses.fitted
    data = np.geomspace(1e-2, problem.most_data, 3000)
    mixture = np.exp(-np.multiply.outer(data, losses.solved.rates)) @ losses.solved.value_weights[0]
    above = (mixture - problem.value_loss(data)) / problem.largest_value
    assert above.min() >= 0.0
    assert above.max() <= 1e-5


def test_losses_of_all_worlds_share_rates():
    form = compiled(
        GeneralizationBound(),
        scenarios=[Scenario(weight=0.5), Scenario(weight=0.5, accuracy=PowerLaw(coefficient=3.0))],
    )
    losses = losses_of(form)
    assert losses.fitted
    for w, world in enumerate(form.worlds):
        data = np.geomspace(losses.knee, world.plain.most_data, 500)
        true = world.plain.value_loss(data)
        solved, relaxed = (
            np.exp(-np.multiply.outer(data, one.rates)) @ one.value_weights[w]
            for one in (losses.solved, losses.relaxed)
        )
        assert solved == pytest.approx(true, rel=1e-9)
        assert (relaxed <= true * (1 + 1e-9)).all()


def test_target_and_value_may_differ():
    form = standard_form(
        Problem(population=PEOPLE, accuracy=PowerLaw(), valuation=PowerValuation(scale=100.0, exponent=0.7))
    )
    losses, plain = losses_of(form), form.worlds[0].plain
    data = np.geomspace(losses.knee, plain.most_data, 200)
    transform = np.exp(-np.multiply.outer(data, losses.solved.rates))
    assert plain.largest_target - transform @ losses.solved.target_weights[0] == pytest.approx(
        plain.accuracy(data), abs=1e-9
    )
