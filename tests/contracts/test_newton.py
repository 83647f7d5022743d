"""The two factorisations of the interior-point method find the same optimum, whatever is held at zero."""

import numpy as np
import pytest

from contracts import LinearValuation, Population, PowerLaw, Problem
from contracts.program import interior_point
from contracts.program.first_moment import exclude, prepare


def thirty_types():
    draw = np.random.default_rng(1)
    population = Population(
        costs=np.exp(draw.uniform(np.log(0.01), np.log(0.3), 30)),
        probabilities=draw.dirichlet(np.full(30, 2.0)),
        participants=10,
    )
    curve = PowerLaw(optimum=0.95, coefficient=2.0, exponent=0.6)
    return prepare(
        Problem(population=population, accuracy=curve, valuation=LinearValuation(scale=100.0))
    ).program


def holes(program):
    """The second and the twentieth boundary alone are open."""
    active = np.zeros(60)
    active[[0, 3, 4, 39, 40, 59]] = 1.0
    return program._replace(active=active)


@pytest.mark.parametrize(
    "held", [lambda p: exclude(p, 1, "interim"), lambda p: exclude(p, 10, "interim"), holes]
)
def test_the_banded_factorisation_leaves_held_variables_alone(held, monkeypatch):
    program = held(thirty_types())
    banded = interior_point.solve(program, "interim")
    monkeypatch.setattr(interior_point, "DENSE_TYPES", 1000)
    dense = interior_point.solve(program, "interim")
    assert max(banded.error, dense.error) < 1e-9
    losses = [
        float(
            interior_point.moments(
                program, interior_point.unfold(program, s.gaps, np)[0], "interim", np
            ).target_loss
        )
        for s in (banded, dense)
    ]
    np.testing.assert_allclose(*losses, rtol=1e-9)
