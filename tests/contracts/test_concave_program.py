"""The interior point for concave objectives: derivatives against differences, and the base solver."""

import numpy as np
import pytest
from scipy import optimize

from contracts import PowerLaw, design_contract
from contracts.program.concave_program import Slopes, Task, _geometry, _local, solve
from contracts.program.first_moment import exclude, moments
from contracts.program.mixture_program import prepare_mixture

CURVE = PowerLaw(optimum=0.95, coefficient=1.0, exponent=0.5)


def task(problem, **changes):
    program = prepare_mixture(problem).program
    plain = Task(program, problem.belief, 1.0, None, 0.0, np.zeros(program.active.size))
    return plain._replace(**changes)


def logarithms(u, t):
    return Slopes(1.0 / (2.0 + u), 1.0 / (3.0 + t), -1.0 / (2.0 + u) ** 2, -1.0 / (3.0 + t) ** 2)


@pytest.mark.parametrize("belief", ["interim", "ex-ante"])
@pytest.mark.parametrize("excluded", [0, 1])
@pytest.mark.parametrize("lift", [0.0, 0.7])
def test_derivatives_are_those_of_differences(build, belief, excluded, lift):
    stated = task(build([0.3, 0.2, 0.1], 5, accuracy=CURVE, belief=belief), lift=lift, elastic=3.0)
    program = exclude(stated.program, excluded, belief)
    slopes = None if lift else logarithms
    stated = stated._replace(program=program, slopes=slopes, lower=0.1 * program.active)
    space = _geometry(stated)
    rng = np.random.default_rng(2)
    x, y = rng.uniform(0.05, 0.3, space.room.size), rng.uniform(0.5, 1.5, 5)

    def loss(x):
        m, u = space.m0 + space.to_m @ x, space.u0 + space.to_u @ x
        social = 0.0 if lift else np.log(2.0 + u).sum() + np.log(3.0 + u + program.costs * m).sum()
        return float(moments(program, m, belief, np).target_loss) - social - space.reward @ x

    here = _local(stated, space, x, y)
    assert here.gradient == pytest.approx(optimize.approx_fprime(x, loss, 1e-7), abs=1e-5)
    slopes = optimize.approx_fprime(x, lambda x: _local(stated, space, x, y).constraints, 1e-7)
    assert here.jacobian == pytest.approx(slopes, abs=1e-5)

    def lagrangian_gradient(x):
        at = _local(stated, space, x, y)
        return at.gradient - at.jacobian.T @ y

    curvature = optimize.approx_fprime(x, lagrangian_gradient, 1e-6)
    assert here.hessian == pytest.approx(curvature, abs=1e-4)


@pytest.mark.parametrize("belief", ["interim", "ex-ante"])
@pytest.mark.parametrize("participants", [5, 1000, 10**6])
def test_accuracy_alone_gives_the_base_contract(build, belief, participants):
    problem = build(np.geomspace(0.3, 0.01, 12), participants, belief=belief)
    stated = task(problem)
    found = solve(stated)
    reached = 100.0 * (1.0 - float(moments(stated.program, found.contribution, belief, np).target_loss))
    base = design_contract(problem)
    if base.provenance.excluded == 0:
        assert reached == pytest.approx(base.objective, abs=1e-8)


def test_what_is_infeasible_is_broken_as_little_as_possible(build):
    stated = task(build([0.3, 0.1], 5, accuracy=CURVE))
    program = stated.program._replace(reservation=np.array([2.0, 2.0]))
    assert solve(stated._replace(program=program)).error > 1e-8
    found = solve(stated._replace(program=program, elastic=100.0))
    assert found.error <= 1e-8
    # Everybody is due twice the largest value: at best all of one value is missing, and what data cost.
    assert found.broken >= 1.0
    whole = solve(stated._replace(elastic=100.0))
    assert whole.broken <= 1e-9
