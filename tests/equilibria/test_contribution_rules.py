"""Contribution games: free-riding under the standard rule, shaping, and the certificate's two bounds."""

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize

from contracts.errors import InvalidInput
from equilibria.contribution import ContributionGame, StandardFederatedRule
from equilibria.dynamics import best_response_dynamics
from equilibria.testing import assert_nash, contribution_games


def accuracy(data):
    return 1.0 - (1.0 + data) ** -0.5


def alone(cost):
    """Where the marginal accuracy, (1 + m)^(-3/2) / 2, meets the cost."""
    return max(0.0, (2.0 * cost) ** (-2.0 / 3.0) - 1.0)


@settings(max_examples=12)
@given(game=contribution_games())
def test_only_the_cheapest_give_anything_under_the_standard_rule(game):
    # Catastrophic free-riding: with distinct costs the cheapest gives what it would give alone, the others
    # nothing.
    path = best_response_dynamics(game, np.zeros(game.players), limit=200)
    assert path.outcome == "equilibrium"
    cheapest = game.costs.min()
    assert np.allclose(path.final[game.costs > cheapest * (1 + 1e-3)], 0.0)
    nobody = np.zeros(game.players)
    lone, _ = game.best_response(int(np.argmin(game.costs)), nobody)
    # The objective is flat at its maximum: amounts agree to the root of the payoff's accuracy.
    assert np.isclose(path.final.sum(), lone, rtol=2e-2, atol=2e-2)


def test_the_standalone_amount_in_closed_form():
    costs = np.array([0.002, 0.01, 0.1])
    game = ContributionGame(costs=costs, rule=StandardFederatedRule(accuracy), limits=1e4)
    for player, cost in enumerate(costs):
        best, _ = game.best_response(player, np.zeros(3))
        assert np.isclose(best, alone(cost), rtol=1e-3, atol=1e-3)
    expected = [accuracy(alone(cost)) - cost * alone(cost) for cost in costs]
    assert np.allclose(game.reservation_utilities, expected, atol=1e-7)


@settings(max_examples=15)
@given(game=contribution_games(max_players=3), data=st.data())
def test_the_gain_is_attained_and_the_bound_holds_for_any_deviation(game, data):
    profile = np.array(data.draw(st.lists(st.floats(0, 100), min_size=game.players, max_size=game.players)))
    certificate = game.certificate(profile)
    before = game.utilities(profile)
    for player in range(game.players):
        changed = profile.copy()
        changed[player] = certificate.deviations[player]
        assert np.isclose(
            game.utilities(changed)[player] - before[player], certificate.gains[player], atol=1e-12
        )
        trials = np.concatenate([np.linspace(0, 1000, 300), np.geomspace(1e-6, 1000, 300)])
        for amount in trials[data.draw(st.integers(0, 9)) :: 10]:
            changed[player] = amount
            gain = game.utilities(changed)[player] - before[player]
            assert gain <= certificate.gain_bounds[player] + 1e-12
    assert certificate.epsilon <= certificate.epsilon_bound <= certificate.epsilon + 1e-6


def test_a_narrow_peak_that_a_grid_would_miss_is_found():
    # A step just above 700: worth 0.9, hidden between any reasonable grid's points from the cheap plateau.
    def rule(contributions):
        return jnp.where(contributions >= 700.123456, 0.9, 0.1)

    game = ContributionGame(costs=[1e-4, 1e-4], rule=rule, limits=1000.0)
    certificate = game.certificate([0.0, 0.0])
    assert np.allclose(certificate.deviations, 700.123456, atol=1e-3)
    assert np.allclose(certificate.gains, 0.8 - 0.0700123456, atol=1e-6)


def shaping(costs, slope):
    """Karimireddy et al.'s known-cost rule: the own model up to the standalone amount, then a line just above
    cost."""
    lone = np.array([alone(cost) for cost in costs])
    base = np.array([accuracy(amount) for amount in lone])

    def rule(contributions):
        line = base + (costs + slope) * (contributions - lone)
        everything = accuracy(jnp.sum(contributions))
        own = accuracy(contributions)
        return jnp.where(contributions <= lone, own, jnp.minimum(line, everything))

    return rule


def test_accuracy_shaping_makes_everybody_give_more_than_alone():
    costs = np.array([0.01, 0.015, 0.02])
    slope = 1e-4
    game = ContributionGame(costs=costs, rule=shaping(costs, slope), limits=1000.0)
    path = best_response_dynamics(game, [alone(cost) for cost in costs], limit=500)
    assert path.outcome == "equilibrium"
    lone = np.array([alone(cost) for cost in costs])
    assert (path.final > lone).all()
    assert_nash(game, path.final)
    assert (game.utilities(path.final) >= game.reservation_utilities - game.tolerance).all()
    # The contributions solve the joint fixed point: each line meets the accuracy of all the data.
    base = 1 - (1 + lone) ** -0.5

    def meet(contributions):
        return base + (costs + slope) * (contributions - lone) - (1 - (1 + contributions.sum()) ** -0.5)

    solution = optimize.root(meet, path.final, tol=1e-14).x
    assert np.allclose(path.final, solution, rtol=1e-3)
    standard = ContributionGame(costs=costs, rule=StandardFederatedRule(accuracy), limits=1000.0)
    assert path.final.sum() > 2 * best_response_dynamics(standard, lone).final.sum()
    again = best_response_dynamics(game, [500.0, 0.0, 20.0], limit=500)
    assert np.allclose(again.final, path.final, rtol=1e-3)


def test_rules_written_for_numpy_give_the_same_answers():
    costs = [0.01, 0.03]
    plain = ContributionGame(
        costs=costs, rule=lambda m: np.full(2, 1 - (1 + float(np.sum(m))) ** -0.5), limits=200.0
    )
    traced = ContributionGame(costs=costs, rule=StandardFederatedRule(accuracy), limits=200.0)
    profile = [3.0, 1.0]
    assert np.allclose(plain.certificate(profile).gains, traced.certificate(profile).gains, atol=1e-12)


@pytest.mark.parametrize(
    "make",
    [
        lambda rule: ContributionGame(costs=[0.1], rule=rule, limits=1.0),
        lambda rule: ContributionGame(costs=[0.1, 0.0], rule=rule, limits=1.0),
        lambda rule: ContributionGame(costs=[0.1, np.nan], rule=rule, limits=1.0),
        lambda rule: ContributionGame(costs=[0.1, 0.1], rule=rule, limits=0.0),
        lambda rule: ContributionGame(costs=[0.1, 0.1], rule=rule, limits=[1.0, np.inf]),
        lambda rule: ContributionGame(costs=[0.1, 0.1], rule=jnp.sum, limits=rule(np.ones(2))),
        lambda rule: ContributionGame(costs=[0.1, 0.1], rule=lambda m: rule(m) * np.nan, limits=1.0),
        lambda rule: ContributionGame(costs=[0.1, 0.1], rule=rule, limits=1.0).epsilon([2.0, 0.0]),
        lambda rule: ContributionGame(costs=[0.1, 0.1], rule=rule, limits=1.0).epsilon([-1.0, 0.0]),
        lambda rule: ContributionGame(costs=[0.1, 0.1], rule=rule, limits=1.0).epsilon([0.5]),
        lambda rule: ContributionGame(costs=[0.1, 0.1], rule=rule, limits=[1.0, 1.0, 1.0]),
        lambda rule: ContributionGame(costs=[0.1, 0.1], rule=rule, limits="all"),
    ],
)
def test_bad_input(make):
    with pytest.raises(InvalidInput):
        make(StandardFederatedRule(accuracy))


def test_plain_rules_may_take_one_profile_or_many():
    def one(contributions):
        return np.full(2, 1 - (1 + float(np.sum(contributions))) ** -0.5)

    def many(contributions):
        total = np.asarray(contributions, dtype=float).sum(axis=-1, keepdims=True)
        return np.broadcast_to(1 - (1 + total) ** -0.5, np.shape(contributions))

    games = [ContributionGame(costs=[0.01, 0.03], rule=rule, limits=200.0) for rule in (one, many)]
    assert [game._takes_batches for game in games] == [False, True]
    certificates = [game.certificate([3.0, 1.0]) for game in games]
    assert np.allclose(certificates[0].gains, certificates[1].gains, atol=1e-12)
    assert np.allclose(certificates[0].deviations, certificates[1].deviations)


@settings(max_examples=8)
@given(costs=st.lists(st.floats(0.005, 0.2), min_size=2, max_size=3))
def test_the_shaping_mechanism_is_certified_by_the_game(costs):
    shaping_module = pytest.importorskip("mechanisms.accuracy_shaping")
    setting = pytest.importorskip("mechanisms.data_sharing")
    sharing = setting.data_sharing(costs, lambda data: data / (data + 1.0))
    for mechanism in (
        shaping_module.AccuracyShaping(sharing=sharing, bonus=0.05),
        shaping_module.StandardRule(sharing=sharing),
    ):
        found = mechanism.equilibrium()
        limits = 1.1 * np.maximum(sharing.ceiling(), found.contributions)
        game = ContributionGame(costs=costs, rule=mechanism, limits=limits)
        certificate = game.certificate(found.contributions)
        # Contributions are exact only to the root of the payoff's accuracy, hence the wider tolerance.
        assert certificate.epsilon <= 1e-5 * game.scale
        assert np.allclose(game.utilities(found.contributions), found.utilities, atol=1e-9)


def test_rules_that_punish_giving_are_refused_because_the_bound_would_be_wrong():
    game = ContributionGame(costs=[0.1, 0.1], rule=lambda m: -jnp.square(m - 3.0), limits=10.0)
    with pytest.raises(InvalidInput, match="falls when their contribution rises"):
        game.certificate([3.0, 3.0])
