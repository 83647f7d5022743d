"""Mixed profiles against enumeration of all coalitions, and symmetric equilibria."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from contracts.errors import InvalidInput
from equilibria.bayesian import bayesian_thresholds
from equilibria.inverse_moments import inverse_moment
from equilibria.mixed import mixed_gains, mixed_profile, symmetric_equilibria
from equilibria.participation import ParticipationGame
from equilibria.pooled import ClubRule, FixedShareRule, PooledRule
from equilibria.table import worth_table
from equilibria.testing import equal_share_rules, participation_games
from equilibria.welfare import FullInformationRule

CHANCE = st.sampled_from([0.0, 1.0, 0.5]) | st.floats(1e-6, 1.0)


@settings(max_examples=60)
@given(data=st.data(), game=participation_games(max_agents=7, rule=equal_share_rules()))
def test_quadrature_agrees_with_enumeration(data, game):
    chance = np.array(data.draw(st.lists(CHANCE, min_size=game.players, max_size=game.players)))
    coalitions, worth = worth_table(game)
    found = mixed_gains(game, chance)
    for agent in range(game.players):
        factors = np.where(coalitions, chance, 1 - chance)
        factors[:, agent] = 0.5  # the worth of membership does not depend on whether the agent is in
        expected = factors.prod(axis=1) @ worth[:, agent]
        assert np.isclose(found[agent], expected, atol=1e-10 * (game.standalone_loss + game.loss_weight))


@given(trials=st.integers(0, 30), chance=st.floats(0.0, 1.0), power=st.floats(0.05, 3.0))
def test_inverse_moments_of_the_binomial(trials, chance, power):
    counts = np.arange(trials + 1)
    expected = stats.binom.pmf(counts, trials, chance) @ (1.0 + counts) ** -power
    assert np.isclose(inverse_moment(np.full(trials, chance), power), expected, rtol=1e-10)


def test_inverse_moments_at_scale():
    # E[1 / (1 + M)] = (1 - (1 - x)^J) / (J x) with J - 1 trials.
    for players, chance in ((10**4, 0.3), (10**5, 1e-5), (10**5, 1.0)):
        expected = -np.expm1(players * np.log1p(-chance)) / (players * chance) if chance < 1 else 1 / players
        found = inverse_moment(np.full(players - 1, chance), 1.0)
        assert np.isclose(found, expected, rtol=1e-9)


def test_the_unstable_mixed_equilibrium_between_two_pure_ones(constants):
    game = ParticipationGame(types=[0.0] * 20 + [0.3] * 3, **constants)
    found = symmetric_equilibria(game)
    bad_in = [equilibrium for equilibrium in found if equilibrium.probabilities[-1] == 1.0]
    assert np.allclose([e.probabilities[0] for e in bad_in], [0.0, 0.3848, 1.0], atol=5e-5)
    assert [e.stable for e in bad_in] == [True, False, True]
    assert np.isclose(bad_in[0].gains[0], -0.1695, atol=5e-5)
    assert np.isclose(bad_in[2].gains[0], 0.0581, atol=5e-5)


@settings(max_examples=6)
@given(game=participation_games(max_agents=6, knife_edge=False))
def test_symmetric_equilibria_include_the_symmetric_pure_ones_and_have_no_regret(game):
    if np.unique(game.types).size > 3:
        return
    found = symmetric_equilibria(game)
    for equilibrium in found:
        assert equilibrium.regret <= 1e-7 * game.standalone_loss
    listed = [tuple(np.round(e.probabilities, 6)) for e in found]
    for pure in game.pure_equilibria():
        assert tuple(game.profile(pure.members).astype(float)) in listed


def test_thresholds_do_not_gain_by_deviating(constants):
    # A tabulated check: draw the others' types many times and average the marginal type's gain.
    game = ParticipationGame(types=np.zeros(8), **constants)
    (found,) = bayesian_thresholds(game, stats.uniform(0.2, 0.5))
    rng = np.random.default_rng(1)
    draws = rng.uniform(0.2, 0.7, size=(40_000, 7))
    joined = draws >= found.threshold
    size = 1 + joined.sum(axis=1)
    for own, sign in ((found.threshold, 0), (found.threshold + 0.02, 1), (found.threshold - 0.02, -1)):
        mean = (own + np.where(joined, draws, 0).sum(axis=1)) / size
        gains = game.standalone_loss * (1 - size ** (-1 / 3)) - (mean - own)
        error = gains.std() / np.sqrt(len(gains))
        assert abs(gains.mean()) < 4 * error if sign == 0 else sign * gains.mean() > 4 * error


def test_everybody_joins_when_quality_hardly_varies(constants):
    game = ParticipationGame(types=np.zeros(10), **constants)
    (lowest, *_) = bayesian_thresholds(game, stats.uniform(0.3, 0.01))
    assert lowest.threshold == 0.3
    assert lowest.participation == 1.0
    assert lowest.marginal_gain > 0


@pytest.mark.parametrize(
    "act",
    [
        lambda game: mixed_gains(game, [0.5]),
        lambda game: mixed_gains(game, [1.5] * 10),
        lambda game: mixed_gains(game, [np.nan] * 10),
        lambda game: mixed_profile(game.with_rule(FullInformationRule()), [0.5] * 10),
        lambda game: symmetric_equilibria(game),
        lambda game: bayesian_thresholds(game, "uniform"),
        lambda game: bayesian_thresholds(game, stats.norm()),
        lambda game: bayesian_thresholds(game.with_rule(ClubRule()), stats.uniform()),
    ],
)
def test_bad_input(worked, act):
    with pytest.raises(InvalidInput):
        act(worked)


@pytest.mark.slow
def test_two_groups_far_apart_have_two_stable_thresholds(constants):
    # Most draws are good, some are bad: the good either all join, or leave the bad to themselves.
    game = ParticipationGame(types=np.zeros(30), **constants)
    good, bad = stats.uniform(0.1, 0.02), stats.uniform(0.28, 0.02)

    class Mixture:
        """Nine in ten good, one in ten bad."""

        def support(self):
            return 0.1, 0.3

        def sf(self, level):
            return 0.9 * good.sf(level) + 0.1 * bad.sf(level)

        def ppf(self, chance):
            share = np.asarray(chance)
            return np.where(
                share < 0.9, good.ppf(np.clip(share / 0.9, 0, 1)), bad.ppf(np.clip((share - 0.9) / 0.1, 0, 1))
            )

    found = bayesian_thresholds(game, Mixture())
    assert [e.stable for e in found] == [True, False, True]
    assert found[0].participation == 1.0
    assert found[-1].participation <= 0.11
    for equilibrium in found[1:]:
        assert abs(equilibrium.marginal_gain) < 1e-9


def test_fixed_shares_have_a_dearer_first_member(constants):
    game = ParticipationGame(types=np.zeros(12), rule=FixedShareRule(), **constants)
    (*_, last) = bayesian_thresholds(game, stats.uniform(0, 0.4))
    pooled = bayesian_thresholds(game.with_rule(PooledRule()), stats.uniform(0, 0.4))[-1]
    assert last.threshold >= pooled.threshold
