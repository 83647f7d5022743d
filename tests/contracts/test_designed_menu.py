"""Derivatives of designed menus: against differences of designs, and refused where there are none."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from contracts import (
    CustomCurve,
    Exponential,
    GeneralizationBound,
    InvalidInput,
    LinearValuation,
    LogarithmicValuation,
    Poisson,
    Population,
    Problem,
    design_contract,
    designed_contribution,
    designed_menu,
    designed_objective,
)

STEP = 1e-4


def problem(costs, probabilities, accuracy=None, participants=10, valuation=None, **more):
    return Problem(
        population=Population(costs=costs, probabilities=probabilities, participants=participants),
        accuracy=accuracy or GeneralizationBound(optimum=0.9),
        valuation=valuation or LinearValuation(scale=100.0),
        **more,
    )


THREE = {"costs": np.array([0.012, 0.02, 0.004]), "probabilities": np.array([0.3, 0.5, 0.2])}
LEARNING = {
    "costs": np.array([0.5, 0.2]),
    "probabilities": np.array([0.4, 0.6]),
    "accuracy": Exponential(optimum=0.9, rate=0.003),
    "participants": 8,
    "valuation": LogarithmicValuation(scale=100.0, sensitivity=4.0),
    "maximise": "value",
}


def row(menu):
    return jnp.concatenate([jnp.atleast_1d(part) for part in menu])


def designed(one):
    contract = design_contract(one, time_limit=0.0)
    utility = contract.expected_reward - one.population.costs * contract.contribution
    return np.r_[contract.objective, contract.contribution, utility, contract.expected_reward]


def differences(function, x):
    """Central differences, shape (answers, x)."""
    columns = []
    for k in range(x.size):
        step = np.zeros(x.size)
        step[k] = STEP * x[k]
        columns.append((function(x + step) - function(x - step)) / (2.0 * step[k]))
    return np.array(columns).T


def close(found, expected):
    np.testing.assert_allclose(found, expected, atol=2e-6 * np.abs(expected).max())


def with_parameters(given, x):
    """A problem with other parameters of curve and valuation."""
    one = problem(**given)
    kind = jax.tree.structure((one.accuracy, one.valuation))
    curve, valuation = jax.tree.unflatten(kind, list(x))
    return dataclasses.replace(one, accuracy=curve, valuation=valuation)


@pytest.mark.slow
@pytest.mark.parametrize("belief", ["interim", "ex-ante"])
def test_every_derivative_of_a_menu_is_that_of_designs(belief):
    given = THREE | {"belief": belief}
    one = problem(**given)
    parameters = np.array(jax.tree.leaves((one.accuracy, one.valuation)), dtype=float)
    with jax.enable_x64(True):
        close(row(designed_menu(one)), designed(one))
        by_cost, by_probability, by_parameter = jax.jacobian(
            lambda c, p, x: row(designed_menu(with_parameters(given | {"costs": c, "probabilities": p}, x))),
            argnums=(0, 1, 2),
        )(jnp.array(given["costs"]), jnp.array(given["probabilities"]), jnp.array(parameters))
    close(by_cost, differences(lambda c: designed(problem(**given | {"costs": c})), given["costs"]))
    close(
        by_probability,
        differences(
            lambda p: designed(problem(**given | {"probabilities": p / p.sum()})), given["probabilities"]
        ),
    )
    checked = lambda x: dataclasses.replace(with_parameters(given, x))  # noqa: E731
    close(by_parameter, differences(lambda x: designed(checked(x)), parameters))


@pytest.mark.slow
def test_objective_and_contributions_have_derivatives_of_their_own():
    costs = LEARNING["costs"]
    with jax.enable_x64(True):
        slope = jax.grad(lambda c: designed_objective(problem(**LEARNING | {"costs": c})))(jnp.array(costs))
        moves = jax.jacobian(lambda c: designed_contribution(problem(**LEARNING | {"costs": c})))(
            jnp.array(costs)
        )
    expected = differences(lambda c: designed(problem(**LEARNING | {"costs": c})), costs)
    close(slope, expected[0])
    close(moves, expected[1:3])


def test_types_left_out_have_derivatives():
    given = {"costs": np.array([1.0, 0.4]), "probabilities": np.array([0.5, 0.5])}
    with jax.enable_x64(True):
        slope = jax.grad(lambda p: designed_objective(problem(**given | {"probabilities": p})))(
            jnp.array(given["probabilities"])
        )
    assert designed(problem(**given))[1] == 0.0
    close(
        slope,
        differences(
            lambda p: designed(problem(**given | {"probabilities": p / p.sum()}))[:1], given["probabilities"]
        )[0],
    )


def test_utilities_that_are_free_have_none():
    costs = np.array([0.05, 0.02])
    given = {"probabilities": np.array([0.4, 0.6]), "accuracy": Exponential(optimum=0.9, rate=0.003)}
    with jax.enable_x64(True), pytest.raises(InvalidInput, match="the best menu is not unique"):
        jax.jacobian(lambda c: designed_menu(problem(costs=c, participants=20, **given)))(jnp.array(costs))


@pytest.mark.slow
def test_it_is_mapped_and_compiled():
    costs = jnp.array([[0.012, 0.02, 0.004], [0.011, 0.021, 0.005]])

    def slope(c):
        return jax.grad(lambda c: designed_objective(problem(**THREE | {"costs": c})))(c)

    with jax.enable_x64(True):
        costs = jnp.asarray(costs, float)
        one_by_one = np.stack([slope(c) for c in costs])
        np.testing.assert_allclose(jax.jit(jax.vmap(slope))(costs), one_by_one, rtol=1e-9, atol=1e-9)


def test_second_derivatives_are_refused():
    with jax.enable_x64(True), pytest.raises(InvalidInput, match="derivatives of derivatives"):
        jax.hessian(lambda c: designed_objective(problem(**THREE | {"costs": c})))(jnp.array(THREE["costs"]))


def test_a_knife_edge_is_refused():
    costs = np.array([0.2, 0.16, 0.12, 0.08, 0.04])
    edge = {"probabilities": np.full(5, 0.2), "accuracy": GeneralizationBound()}
    with jax.enable_x64(True), pytest.raises(InvalidInput, match="about to start or to cease to bind"):
        jax.jacobian(lambda c: designed_contribution(problem(costs=c, **edge)))(jnp.array(costs))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"costs": np.array([0.02, 0.02, 0.01])}, "costs: two are equal"),
        ({"participants": Poisson(mean=10.0)}, "participants = Poisson"),
        ({"accuracy": CustomCurve(function=lambda x: 0.9 * x / (x + 20), optimum=0.9)}, "custom curve"),
        ({"baseline": 0.2}, "expected a plain one"),
        ({"costs": np.array([2e4, 1e4, 9e3])}, "null contract"),
    ],
)
def test_what_has_no_derivative_is_refused(change, message):
    with jax.enable_x64(True), pytest.raises(InvalidInput, match=message):
        designed_menu(problem(**THREE | change))


def test_single_precision_is_refused():
    with pytest.raises(InvalidInput, match="enable_x64"):
        designed_menu(problem(**THREE))
