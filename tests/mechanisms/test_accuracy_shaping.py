import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize

from contracts.errors import InvalidInput
from mechanisms.accuracy_shaping import AccuracyShaping, StandardRule, regret
from mechanisms.data_sharing import data_sharing


def hyperbola(data):
    return data / (data + 1)


def generalisation_bound(data):
    """The papers' curve with optimum 1 and k = 1: zero up to e^-2, and not concave where it leaves zero."""
    data = np.maximum(data, np.exp(-2) * (1 + 1e-12))
    return np.maximum(0, 1 - (np.sqrt(2 * (2 + np.log(data))) + 4) / np.sqrt(data))


def power_law(data):
    return 0.95 - 0.85 * (1 + data) ** -0.5


CURVES = {"hyperbola": hyperbola, "bound": generalisation_bound, "power law": power_law}
costs_lists = st.lists(st.floats(-5, -2).map(lambda e: 10.0**e), min_size=1, max_size=6)


def payoff(rule, contributions, agent, amount):
    """What an agent nets, written from the mechanism's words and not from its code."""
    sharing = rule.sharing
    others = sum(contributions) - contributions[agent]
    joint = float(sharing.worth(amount + others))
    cost, alone = sharing.costs[agent], sharing.alone[agent]
    if isinstance(rule, StandardRule):
        return joint - cost * amount
    own = float(sharing.worth(amount))
    if amount > alone:
        own = float(sharing.worth(alone)) + (1 + rule.bonus) * cost * (amount - alone)
    return min(own, joint) - cost * amount


def best_deviation(rule, contributions, agent, seed):
    """An optimised search of its own: differential evolution over log-amounts, polished, and nothing."""
    most = 3 / rule.sharing.costs[agent]

    def loss(z):
        return -payoff(rule, contributions, agent, np.expm1(float(np.ravel(z)[0])))

    found = optimize.differential_evolution(loss, [(0, np.log1p(most))], seed=seed, maxiter=60, tol=1e-12)
    return max(-found.fun, payoff(rule, contributions, agent, 0.0))


@pytest.mark.parametrize("curve", CURVES)
@pytest.mark.parametrize("costs", [[0.01, 0.02, 0.05], [1e-4] * 4, [0.001], [2e-5, 2e-3]])
def test_no_agent_gains_by_departing_from_the_shaped_equilibrium(curve, costs):
    sharing = data_sharing(costs, CURVES[curve])
    rule = AccuracyShaping(sharing=sharing)
    found = rule.equilibrium()
    for agent in range(len(costs)):
        gain = best_deviation(rule, found.contributions, agent, agent) - found.utilities[agent]
        assert gain < 1e-8
    assert found.regret.max() < 1e-8
    assert found.residual < 1e-12


@settings(max_examples=40)
@given(costs=costs_lists, curve=st.sampled_from(sorted(CURVES)), bonus=st.sampled_from([1e-6, 1e-3, 0.1]))
def test_shaping_is_feasible_rational_and_yields_more_data(costs, curve, bonus):
    sharing = data_sharing(costs, CURVES[curve])
    rule = AccuracyShaping(sharing=sharing, bonus=bonus)
    found, free = rule.equilibrium(), StandardRule(sharing=sharing).equilibrium()
    assert found.regret.max() < 1e-8
    assert found.residual < 1e-12
    assert (found.contributions >= sharing.alone * (1 - 1e-12)).all()
    assert (found.utilities >= found.utilities_alone - 1e-12).all()
    assert (found.accuracies <= float(sharing.received(found.total)) + 1e-12).all()
    assert found.total >= free.total * (1 - 1e-9)
    assert free.regret.max() < 1e-8


@settings(max_examples=40)
@given(
    costs=costs_lists,
    curve=st.sampled_from(sorted(CURVES)),
    shares=st.lists(st.floats(0, 3), min_size=6, max_size=6),
)
def test_nobody_ever_receives_more_than_the_joint_model(costs, curve, shares):
    sharing = data_sharing(costs, CURVES[curve])
    given_data = np.array(shares[: len(costs)]) * np.maximum(sharing.alone, 10)
    accuracies = AccuracyShaping(sharing=sharing).accuracies(given_data)
    joint = float(sharing.received(given_data.sum()))
    assert (accuracies <= joint + 1e-12).all()
    own = sharing.received(given_data)
    assert (accuracies >= np.where(given_data <= sharing.alone, own, 0) - 1e-9).all()


def test_standard_rule_is_catastrophic_free_riding():
    sharing = data_sharing([0.02, 0.01, 0.05], hyperbola)
    found = StandardRule(sharing=sharing).equilibrium()
    # the cheapest alone: 1 / (m + 1)^2 = 0.01
    np.testing.assert_allclose(found.contributions, [0, 9, 0], atol=1e-6)
    assert found.unique
    for agent in range(3):
        gain = best_deviation(StandardRule(sharing=sharing), found.contributions, agent, 0)
        assert gain - found.utilities[agent] < 1e-8
    # and what each would do alone is no equilibrium: all but the cheapest would rather give nothing
    assert regret(StandardRule(sharing=sharing), sharing.alone).max() > 0.01


def test_alone_amounts_have_their_closed_form():
    costs = np.array([0.01, 0.04, 0.25])
    sharing = data_sharing(costs, hyperbola)
    np.testing.assert_allclose(sharing.alone, 1 / np.sqrt(costs) - 1, rtol=1e-6)
    assert data_sharing([2.0], hyperbola).alone == pytest.approx([0], abs=1e-9)


def test_the_fixed_point_is_reached_by_best_responses_from_either_side():
    sharing = data_sharing([0.01, 0.02, 0.05], hyperbola)
    rule = AccuracyShaping(sharing=sharing)
    found = rule.equilibrium()
    assert found.unique
    for start in (sharing.alone, np.full(3, 500.0), np.zeros(3)):
        current = np.array(start, dtype=float)
        for _ in range(25):
            for agent in range(3):
                others = current.sum() - current[agent]
                # the last amount at which the line lies below the joint model
                alone, pay = sharing.alone[agent], (1 + rule.bonus) * sharing.costs[agent]

                def gap(amount, others=others, alone=alone, pay=pay):
                    line = float(sharing.worth(alone)) + pay * (amount - alone)
                    return float(sharing.worth(amount + others)) - line

                current[agent] = optimize.brentq(gap, alone, 1e4) if gap(alone) > 0 else alone
        np.testing.assert_allclose(current, found.contributions, rtol=1e-7)


def test_no_grid_profile_yields_more_data_at_equilibrium():
    sharing = data_sharing([0.01, 0.03], hyperbola)
    rule = AccuracyShaping(sharing=sharing, bonus=1e-3)
    found = rule.equilibrium()
    grid = [np.linspace(0, 1.6, 33) * amount for amount in found.contributions]
    stable = [
        profile
        for profile in itertools.product(*grid)
        if all(best_on_grid(rule, profile, agent, grid[agent]) for agent in range(2))
    ]
    assert stable
    assert max(map(sum, stable)) <= found.total * (1 + 1 / 32)


def best_on_grid(rule, profile, agent, amounts):
    payoffs = [payoff(rule, list(profile), agent, amount) for amount in amounts]
    return payoff(rule, list(profile), agent, profile[agent]) >= max(payoffs) - 1e-12


def test_what_nobody_starts_alone_may_pay_together():
    sharing = data_sharing([0.003, 0.003], generalisation_bound)
    assert not sharing.alone.any()
    found = AccuracyShaping(sharing=sharing).equilibrium()
    assert found.total > 100
    assert found.regret.max() < 1e-8
    assert not found.unique  # giving nothing, when nobody gives, is another equilibrium
    assert regret(AccuracyShaping(sharing=sharing), [0.0, 0.0]).max() < 1e-8
    assert StandardRule(sharing=sharing).equilibrium().total == 0


def test_values_other_than_accuracy_itself():
    sharing = data_sharing([0.01, 0.02], hyperbola, value=lambda accuracy: 3 * accuracy**2)
    rule = AccuracyShaping(sharing=sharing)
    found = rule.equilibrium()
    assert found.regret.max() < 1e-8
    middle = 0.5 * (sharing.alone + found.contributions)
    accuracies = rule.accuracies(middle)
    np.testing.assert_allclose(3 * accuracies**2, rule(middle), rtol=1e-9)


def test_curves_of_numbers_only_and_of_jax_are_taken_in_double_precision():
    import jax.numpy as jnp

    plain = data_sharing([0.01], hyperbola).alone
    scalar = data_sharing([0.01], lambda m: float(m) / (float(m) + 1)).alone
    traced = data_sharing([0.01], lambda m: jnp.asarray(m) / (jnp.asarray(m) + 1)).alone
    np.testing.assert_allclose(scalar, plain, rtol=1e-12)
    np.testing.assert_allclose(traced, plain, rtol=1e-12)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: data_sharing([], hyperbola), "costs"),
        (lambda: data_sharing([0.1, 0.0], hyperbola), "costs[1] = 0"),
        (lambda: data_sharing([np.inf], hyperbola), "costs[0] = inf"),
        (lambda: data_sharing([0.1], 0.9), "accuracy: expected a function"),
        (lambda: data_sharing([0.1], lambda m: 1 / (1 + m)), "never falls"),
        (lambda: data_sharing([0.1], lambda m: 2 + 0 * m), "expected values in [0, 1]"),
        (lambda: data_sharing([0.1], lambda m: m * np.nan), "is not finite"),
        (lambda: data_sharing([0.1], lambda _: np.ones(3)), "expected one number per amount"),
        (
            lambda: AccuracyShaping(sharing=data_sharing([0.1], hyperbola), bonus=0),
            "bonus = 0",
        ),
        (
            lambda: AccuracyShaping(sharing=data_sharing([0.1], hyperbola)).accuracies([-1.0]),
            "contributions[0] = -1",
        ),
        (
            lambda: regret(StandardRule(sharing=data_sharing([0.1], hyperbola)), [1.0, 2.0]),
            "contributions has length 2",
        ),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(InvalidInput) as caught:
        call()
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
