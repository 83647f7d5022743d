"""Several coalitions: against brute force over all partitions and coalitions, in exact integers with ties."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from contracts.errors import InvalidInput
from equilibria.fixed_amounts import FixedAmountsRule
from equilibria.participation import ParticipationGame
from equilibria.pooled import ClubRule, EqualShareRule, FixedShareRule, PooledRule
from equilibria.testing import equal_share_rules, participation_games
from equilibria.verified import VerifiedRule
from equilibria.welfare import FullInformationRule
from mechanisms.shift import shift_tests
from mechanisms.verification import estimate_types

UNIT = 420


class WholeRule(EqualShareRule):
    """Losses of groups that are whole numbers of 2^-20, so that sums and comparisons below are exact."""

    def __init__(self, losses):
        self.losses = np.array(losses, dtype=float) / 2**20

    def share(self, game, size):  # noqa: ARG002
        return np.broadcast_to(1.0, np.shape(size))

    def loss_terms(self, game):  # noqa: ARG002
        return ()

    def group_loss(self, game, size):  # noqa: ARG002
        return self.losses[np.asarray(size, dtype=int) - 1]


def partitions(items):
    if not items:
        yield []
        return
    first, *rest = items
    for smaller in partitions(rest):
        yield [[first], *smaller]
        for i, part in enumerate(smaller):
            yield [*smaller[:i], [first, *part], *smaller[i + 1 :]]


def coalitions(agents):
    return [set(s) for m in range(1, agents + 1) for s in combinations(range(agents), m)]


def core(agents, loss):
    """All partitions that no coalition blocks, from the definition."""
    every = [(s, loss(s)) for s in coalitions(agents)]
    found = []
    for parts in partitions(list(range(agents))):
        present = {j: loss(set(part)) for part in parts for j in part}
        if not any(all(value < present[j] for j in s) for s, value in every):
            found.append({frozenset(part) for part in parts})
    return found


def exact_game(rng, agents):
    """Types and losses as whole numbers; kappa is one of them, up to a rounding far below a unit."""
    kappa = int(rng.integers(1, 60))
    psi = (
        np.sort(rng.integers(0, kappa + 1, size=agents))[::-1].copy()
        if rng.random() < 0.7
        else rng.integers(0, 80, agents)
    )
    types = rng.integers(0, int(rng.integers(2, 60)), size=agents)
    cost = kappa / 2**20 / 3.0  # n0 = 1: kappa = 3 c n0, alpha = 2 c / a
    game = ParticipationGame(
        types=types / 2**20, loss_weight=1.0, complexity=2.0 * cost, cost=cost, rule=WholeRule(psi)
    )

    whole = types.tolist()

    def loss(members):
        # In units of 2^-20 / 420: all means of up to seven whole numbers are whole.
        if len(members) == 1:
            return UNIT * (whole[min(members)] + kappa)
        return sum(whole[j] for j in members) * UNIT // len(members) + UNIT * int(psi[len(members) - 1])

    return game, loss


def against_brute_force(seed, games, most):
    rng = np.random.default_rng(seed)
    for _ in range(games):
        agents = int(rng.integers(2, most + 1))
        game, loss = exact_game(rng, agents)
        expected = core(agents, loss)
        found = game.partition()
        assert {frozenset(part.tolist()) for part in found} in expected
        assert game.blocking_coalition().holds
        # Any partition: the coalition whose least-gaining member gains most.
        labels = rng.integers(0, agents, agents)
        present = {j: loss(set(np.flatnonzero(labels == labels[j]).tolist())) for j in range(agents)}
        most_gain = max(min(present[j] - loss(s) for j in s) for s in coalitions(agents))
        certificate = game.blocking_coalition(labels)
        assert np.isclose(certificate.gain * 2**20 * UNIT, max(0, most_gain), atol=1e-3)
        assert certificate.holds == (most_gain <= 0)
        if most_gain > 0:
            group = set(certificate.members.tolist())
            assert min(present[j] - loss(group) for j in group) == most_gain


def test_partitions_and_blocking_coalitions_against_brute_force():
    against_brute_force(1, 120, 6)


@pytest.mark.slow
def test_two_thousand_games_of_up_to_seven_against_brute_force():
    against_brute_force(2, 1700, 6)
    against_brute_force(3, 300, 7)


def strict_core(game):
    """Partitions that no coalition blocks even weakly, by enumeration with the game's tolerance."""
    agents, close = game.players, 10 * game.tolerance / game.loss_weight

    def loss(members):
        chosen = sorted(members)
        if len(chosen) == 1:
            return game.types[chosen[0]] + game.standalone_loss / game.loss_weight
        return game.types[chosen].mean() + game.rule.group_loss(game, np.float64(len(chosen))) / game.loss_weight

    every = [(s, loss(s)) for s in coalitions(agents)]
    found = []
    for parts in partitions(list(range(agents))):
        present = {j: loss(set(part)) for part in parts for j in part}
        weakly = any(
            all(value <= present[j] + close for j in s) and any(value < present[j] - close for j in s)
            for s, value in every
        )
        if not weakly:
            found.append({frozenset(part) for part in parts})
    return found


@settings(max_examples=25, deadline=None)
@given(game=participation_games(max_agents=5, knife_edge=False))
def test_under_the_pooled_rule_it_is_the_only_partition_that_nobody_blocks_weakly(game):
    assert strict_core(game) == [{frozenset(part.tolist()) for part in game.partition()}]


def test_harmonic_quality_splits_into_four(worked):
    found = worked.partition()
    assert found.sizes.tolist() == [4, 3, 2, 1]
    # Types are sorted best first here.
    assert [part.tolist() for part in found] == [[0, 1, 2, 3], [4, 5, 6], [7, 8], [9]]
    assert np.allclose(found.losses, [0.4297, 0.4973, 0.5941, 0.75], atol=5e-5)
    assert np.isclose(found.total_surplus, 0.4219, atol=5e-5)
    assert np.isclose(found.surpluses[found.surpluses > 1e-9].min(), 0.0059, atol=5e-5)
    assert "4 coalitions" in str(found)
    everybody = worked.blocking_coalition([list(range(10))])
    assert not everybody.holds
    assert everybody.members.size < 10


@settings(max_examples=40)
@given(game=participation_games(max_agents=12, rule=equal_share_rules()), data=st.data())
def test_no_coalition_blocks_and_the_numbers_are_those_of_the_game(game, data):
    found = game.partition()
    assert game.blocking_coalition(found).holds
    assert np.array_equal(np.sort(found.order), np.arange(game.players))
    admitted = game.rule.eligible(game)
    for number, members in enumerate(found):
        if members.size > 1:
            assert admitted[members].all()
        # What a coalition by itself is worth: under a club of the size admitted it may be refused as such.
        if members.size > 1 and not isinstance(game.rule, ClubRule):
            alone = game.surpluses(members)
            fixed = game
            if isinstance(game.rule, FixedShareRule):
                fixed = game.with_rule(FixedShareRule(samples=float(game.rule.share(game, np.float64(1)))))
            assert np.allclose(
                fixed.surpluses(members)[members], found.surpluses[members], atol=1e-7 * game.standalone_loss
            )
            assert np.isclose(game.learning_error(members), found.learning_errors[number], rtol=1e-9)
            assert np.isclose(alone.sum(), found.surpluses[members].sum(), atol=1e-6 * game.standalone_loss)
    assert found.surpluses.min() >= -1e-7 * game.standalone_loss
    order = data.draw(st.permutations(range(game.players)))
    moved = replace(game, types=game.types[list(order)]).partition()
    assert sorted(moved.sizes.tolist()) == sorted(found.sizes.tolist())
    scaled = replace(game, loss_weight=3 * game.loss_weight, cost=3 * game.cost).partition()
    assert np.allclose(scaled.surpluses, 3 * found.surpluses, atol=1e-6 * game.standalone_loss)


@settings(max_examples=60)
@given(game=participation_games(max_agents=7, highest=0.5), seed=st.integers(0, 999))
def test_by_estimates_no_coalition_gains_more_than_twice_their_error(game, seed):
    radius = 0.08
    signs = np.random.default_rng(seed).uniform(-1, 1, game.players)
    believed = np.clip(game.types + radius * signs, 0.0, 1.0)
    found = game.partition(types=believed)
    gain = game.blocking_coalition(found).gain
    assert gain <= 2 * game.loss_weight * np.abs(believed - game.types).max() + game.tolerance


def test_estimates_bring_their_radius(worked):
    draw = np.random.default_rng(0)
    losses = [1.0 * (draw.random(500) < theta) for theta in worked.types]
    estimates = estimate_types(losses, np.zeros(500))
    found = worked.partition(types=estimates)
    assert np.isclose(found.epsilon, 2 * estimates.radii.max())
    assert worked.blocking_coalition(found).gain <= found.epsilon
    assert found.confidence == 0.95
    assert f"gain more than {found.epsilon:.3g} for all its members, with probability 0.95" in str(found)
    everybody_labels = [[0, 1]] * 9 + [[0, 0]]
    tests = shift_tests([labels * 100 for labels in everybody_labels], [0, 1] * 100)
    alone = worked.partition(types=estimates.refusing(tests))
    assert tests.rejected.tolist() == [False] * 9 + [True]
    assert alone.sizes[alone.labels[9]] == 1
    amounts = worked.with_rule(FixedAmountsRule(samples=np.full(10, 5e4)))
    second = estimates.refusing(
        shift_tests([labels * 100 for labels in [[0, 1], [0, 0], *[[0, 1]] * 8]], [0, 1] * 100)
    )
    assert [part.size for part in amounts.partition(types=estimates) if 1 in part] == [5]
    assert [part.size for part in amounts.partition(types=second) if 1 in part] == [1]


def test_numbers_that_are_not_estimates_are_as_far_off_as_they_are(worked):
    believed = worked.types[::-1]
    found = worked.partition(types=believed)
    assert np.isclose(found.epsilon, 2 * np.abs(believed - worked.types).max())
    assert found.confidence == 1.0
    assert worked.blocking_coalition(found).gain <= found.epsilon
    assert worked.partition().epsilon == 0.0


def random_amounts(rng, agents):
    game = ParticipationGame(
        types=rng.random(agents) * 0.5,
        loss_weight=1.0,
        complexity=40.0,
        costs=3e-7 * rng.uniform(0.3, 3.0, agents),
        capacities=rng.choice([5e4, 1e5, 1e9], agents),
    )
    share = rng.uniform(0.1, 2.0) if rng.random() < 0.5 else 1.0
    samples = np.minimum(game.standalone_contributions * share * rng.uniform(0.5, 1.5, agents), game.capacities)
    return game.with_rule(FixedAmountsRule(samples=samples))


def test_amounts_fixed_in_advance_with_own_costs_and_capacities_against_brute_force():
    rng = np.random.default_rng(5)
    for _ in range(150):
        agents = int(rng.integers(2, 7))
        game = random_amounts(rng, agents)
        found = game.partition()
        worth = {}
        for s in coalitions(agents):
            members = np.array(sorted(s))
            worth[frozenset(s)] = game.surpluses(members) if len(s) > 1 else np.zeros(agents)
        most = max(min(worth[frozenset(s)][j] - found.surpluses[j] for j in s) for s in coalitions(agents))
        assert most <= 10 * game.tolerance
        for members in found:
            assert np.allclose(found.surpluses[members], worth[frozenset(members.tolist())][members], atol=1e-9)
        labels = rng.integers(0, agents, agents)
        parts = [frozenset(np.flatnonzero(labels == k).tolist()) for k in np.unique(labels)]
        present = {j: worth[part][j] for part in parts for j in part}
        expected = max(min(worth[frozenset(s)][j] - present[j] for j in s) for s in coalitions(agents))
        assert np.isclose(game.blocking_coalition(labels).gain, max(0.0, expected), atol=1e-9)


EVENLY = (np.arange(1_000_000) + 0.5) / 1_000_000
HARMONIC = np.concatenate([[0.0], np.cumsum(1 / np.arange(1, 1_000_000))])
FAMILIES = {
    "uniform": EVENLY,
    "beta(2, 5)": stats.beta.ppf(EVENLY, 2, 5),
    "harmonic": 1.0 - 0.9 * HARMONIC / HARMONIC[-1],
    "two types": np.where(EVENLY < 0.9, 0.1, 0.6),
}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("family", "ratio", "count", "surplus"),
    [
        ("uniform", 0.15, 178, 141_562),
        ("uniform", 0.001, 7_593, 803.6),
        ("beta(2, 5)", 0.15, 149, 142_432),
        ("beta(2, 5)", 0.001, 6_232, 823.8),
        ("harmonic", 0.15, 89, 144_360),
        ("harmonic", 0.001, 3_536, 868.8),
        ("two types", 0.15, 2, 148_279),
    ],
)
def test_a_million_agents(family, ratio, count, surplus):
    import time

    samples = 1e4
    cost = ratio / (3 * samples)
    game = ParticipationGame(
        types=FAMILIES[family], loss_weight=1.0, complexity=2 * cost * samples**1.5, cost=cost
    )
    start = time.process_time()
    found = game.partition()
    taken = time.process_time() - start
    # The counts were taken from types drawn at random; here they are evenly spread.
    assert np.isclose(len(found), count, rtol=0.025)
    assert np.isclose(found.total_surplus, surplus, rtol=1e-3)
    assert taken < 20  # a hang would be minutes
    assert game.blocking_coalition(found).holds
    if family == "two types" or (family, ratio) == ("harmonic", 0.15):  # everybody together is an equilibrium
        assert game.unravel().total_surpluses[-1] > found.total_surplus
    else:
        assert game.unravel().total_surpluses[-1] < found.total_surplus


def test_of_equally_good_coalitions_the_largest_forms():
    cost = 10 / 2**20 / 3.0
    game = ParticipationGame(
        types=[0.0] * 3, loss_weight=1.0, complexity=2 * cost, cost=cost, rule=WholeRule([10, 5, 5])
    )
    assert game.partition().sizes.tolist() == [3]
    # Alone and together equally good: together.
    assert game.with_rule(WholeRule([10, 10, 11])).partition().sizes.tolist() == [2, 1]


def test_a_largest_size_is_kept(worked):
    found = worked.partition(max_size=2)
    assert found.sizes.max() == 2
    assert found.sizes.sum() == 10


def test_a_club_leaves_those_it_refuses_alone(worked):
    found = worked.with_rule(ClubRule(size=3)).partition()
    assert found.sizes.tolist()[1:] == [1] * 7 or found.sizes.max() <= 3
    assert all(set(part.tolist()) <= {0, 1, 2} for part in found if part.size > 1)


PARTITION = [[0, 1], [2, 3, 4, 5, 6, 7, 8, 9]]


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda game: game.with_rule(FullInformationRule()).partition(), "FullInformationRule"),
        (lambda game: game.with_rule(VerifiedRule(samples=9)).partition(), "types=estimates"),
        (lambda game: game.blocking_coalition([[0, 1]]), "agent 2 is left out"),
        (lambda game: game.blocking_coalition([*PARTITION, [0]]), "agent 0 is in two"),
        (lambda game: game.blocking_coalition([*PARTITION, [10]]), r"partition\[2\] = 10"),
        (lambda game: game.blocking_coalition([0, 1]), "a label for each of 10"),
        (lambda game: game.blocking_coalition("all"), "partition"),
        (lambda game: game.blocking_coalition([[0.5], [1]]), "whole number"),
        (lambda game: game.blocking_coalition([range(2), [2]]), "agent 3 is left out"),
        (lambda game: game.blocking_coalition([[0, [1]], range(2, 10)]), "whole number"),
        (lambda game: game.blocking_coalition([["a"], 1]), "a label for each of 10"),
        (lambda game: game.partition(types=[0.1]), "types has length 1"),
        (lambda game: game.partition(max_size=0), "max_size = 0"),
        (lambda game: game.with_rule(FixedAmountsRule(samples=[1.0])).partition(), "samples has length 1"),
        (lambda game: replace(game, cost=None, costs=np.full(10, 1e-7)).partition(), "FixedAmountsRule"),
    ],
)
def test_bad_input(worked, act, message):
    with pytest.raises(InvalidInput, match=message) as caught:
        act(worked)
    assert "\n" not in str(caught.value)


def test_with_free_entry_two_agents_may_never_come_to_rest(constants):
    game = ParticipationGame(types=[0.0, 0.2], **constants)
    together = game.types.mean() + PooledRule().group_loss(game, np.float64(2))
    assert np.isclose(together, 0.2191, atol=5e-5)
    # The worse follows, the better leaves; with consent the better is alone, and nobody blocks that.
    assert together < 0.35
    assert together > 0.15
    assert game.partition().sizes.tolist() == [1, 1]
    assert game.blocking_coalition([[0], [1]]).holds


def test_an_equilibrium_of_joining_may_be_broken_by_three_together_and_the_partition_is_not(constants):
    game = ParticipationGame(types=[0.0, 0.0, 0.0, 0.0915, 0.2205], **constants)
    assert [found.members.tolist() for found in game.pure_equilibria()] == [[], [4]]
    entering = game.surpluses([0, 1, 2, 4])[:3]
    assert np.allclose(entering, 0.00038, atol=1e-5)
    assert game.blocking_coalition().holds


def test_several_coalitions_beat_partial_unravelling_and_never_everybody_together():
    # Surplus: never above everybody together; here the one coalition keeps nothing, several keep half.
    game = ParticipationGame(types=np.linspace(0, 0.9, 30), loss_weight=1.0, complexity=40.0, cost=3.125e-7)
    found = game.partition()
    grand = game.loss_weight * PooledRule().worth(game, np.float64(30))
    assert game.unravel().total_surpluses[-1] < found.total_surplus < grand
