"""Factored derivatives against autodiff; the change of variables; the two Newton solvers against each other."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from contracts.program import newton
from contracts.program.first_moment import exclude, factors, fold, moments, prepare, unfold
from contracts.program.gauss import Curves, LossCurve


def dense(f, types):
    gradient = -f.tilted.T @ f.target_gradient
    jacobian = np.diag(f.own) - f.columns.T @ f.tilted
    crossed = f.tilted.T @ f.cross
    hessian = np.diag(f.hessian_diagonal) + (f.tilted.T * f.hessian_middle) @ f.tilted
    return gradient, jacobian, hessian - np.outer(gradient, gradient) - crossed - crossed.T


@pytest.mark.parametrize(
    ("belief", "excluded"),
    [
        ("interim", 0),
        ("ex-ante", 2),
        pytest.param("interim", 2, marks=pytest.mark.slow),
        pytest.param("ex-ante", 0, marks=pytest.mark.slow),
    ],
)
def test_derivatives_equal_autodiff(build, belief, excluded):
    model = prepare(build([0.2, 0.16, 0.12, 0.08, 0.04], 10, belief=belief))
    program = exclude(model.program, excluded, belief)
    m = np.array([0.3, 0.4, 0.4, 0.6, 0.9])
    y = np.array([0.1, 0.0, 0.3, 0.2, 0.7])

    def objective(x):
        here = moments(program, x, belief, jnp)
        return jnp.log(here.target_loss) + y @ here.value_loss

    with jax.enable_x64(True):
        x = jnp.asarray(m)
        expected = (
            jax.jit(jax.grad(lambda v: jnp.log(moments(program, v, belief, jnp).target_loss)))(x),
            jax.jit(jax.jacobian(lambda v: moments(program, v, belief, jnp).value_loss))(x),
            jax.jit(jax.hessian(objective))(x),
        )
    found = dense(factors(program, moments(program, m, belief, np), y), 5)
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("belief", ["interim", "ex-ante"])
@pytest.mark.parametrize("participants", [2, 3, 10])
def test_gauss_rules_give_the_same_derivatives_as_mixtures(build, belief, participants):
    problem = build([0.2, 0.12, 0.04], participants, belief=belief)
    model = prepare(problem)
    units = (model.data_unit, model.value_unit)
    curve = LossCurve(problem=problem, of_value=True, unit=units, knee=problem.accuracy.floor)
    general = model.program._replace(curves=Curves(curve, curve))
    m, y = np.array([0.5, 0.6, 1.1]), np.array([0.2, 0.5, 0.1])
    mixture = moments(model.program, m, belief, np)
    gauss = moments(general, m, belief, np)
    np.testing.assert_allclose(gauss.value_loss, mixture.value_loss, rtol=1e-9)
    assert gauss.target_loss == pytest.approx(mixture.target_loss, rel=1e-9)
    slope, jacobian, _ = dense(factors(general, gauss, y), 3)
    log_slope, log_jacobian, _ = dense(factors(model.program, mixture, y), 3)
    np.testing.assert_allclose(slope, log_slope * mixture.target_loss, rtol=1e-7)
    np.testing.assert_allclose(jacobian, log_jacobian, rtol=1e-7)

    def gradient(x):
        here = moments(general, x, belief, np)
        by_m, by_type, _ = dense(factors(general, here, y), 3)
        return by_m + y @ by_type

    step = 1e-5
    numeric = np.array([(gradient(m + step * e) - gradient(m - step * e)) / (2 * step) for e in np.eye(3)])
    np.testing.assert_allclose(dense(factors(general, gauss, y), 3)[2], numeric, rtol=2e-5, atol=1e-7)


def test_fold_is_the_adjoint_of_unfold(build):
    model = prepare(build(np.geomspace(1, 0.05, 7), 20))
    program = exclude(model.program, 2, "interim")
    rng = np.random.default_rng(0)
    x, by_m, by_u = rng.random(14), rng.normal(size=7), rng.normal(size=7)
    m, u = unfold(program, x, np)
    zero_m, zero_u = unfold(program, 0 * x, np)
    assert fold(program, by_m, by_u, np) @ x == pytest.approx(
        by_m @ (m - zero_m) + by_u @ (u - zero_u), rel=1e-12
    )
    assert (m[:2] == 0).all()
    assert (np.diff(m) >= 0).all()


@pytest.mark.parametrize("belief", ["interim", "ex-ante"])
@pytest.mark.parametrize("excluded", [0, 3])
def test_banded_and_dense_newton_systems_agree(build, belief, excluded):
    model = prepare(build(np.geomspace(1, 0.05, 12), 30, belief=belief))
    program = exclude(model.program, excluded, belief)
    rng = np.random.default_rng(0)
    types = 12
    m = np.sort(rng.random(types)) * (np.arange(types) >= excluded)
    f = factors(program, moments(program, m, belief, np), rng.random(types))
    bounds, slacks = np.exp(rng.normal(size=2 * types)), np.exp(rng.normal(size=2 * types - 1))
    right_x, right_s = rng.normal(size=2 * types) * program.active, rng.normal(size=2 * types - 1)
    dx, dy = newton.dense(program, f, bounds, slacks, newton.maps(program, np), np)(right_x, right_s)
    bx, by = newton.banded(program, f, bounds, slacks)(right_x, right_s)
    np.testing.assert_allclose(bx, dx * program.active, rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(by, dy, rtol=1e-7, atol=1e-9)
