import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from contracts.errors import InvalidInput
from mechanisms.datasets import load, split
from mechanisms.fairness import fairness, over_runs, rationality
from mechanisms.gradient_rewards import (
    CosineGradientRewards,
    altruistic_fractions,
    keep_energy,
    keep_largest,
    scale_to_length,
    update_reputation,
)
from mechanisms.local_training import LocalTraining, train_alone
from mechanisms.models import MultilayerPerceptron
from mechanisms.rounds import Round
from mechanisms.testing import assert_rewards_follow, update_matrices
from mechanisms.training import train

vectors = st.lists(st.sampled_from([0.0, 1.0, -1.0, 2.5, -3.0, 0.125]), min_size=1, max_size=12).map(np.array)
fractions = st.floats(0, 1)


@given(update=vectors, low=fractions, high=fractions)
def test_masks_are_nested_and_keep_exactly_what_they_say(update, low, high):
    low, high = sorted((low, high))
    fewer, more = keep_largest(update, low), keep_largest(update, high)
    assert ((fewer == 0) | (fewer == more)).all()
    assert (fewer != 0).sum() <= math.floor(low * len(update) * (1 + 1e-12))
    kept = np.sort(np.abs(update))[::-1][: math.floor(low * len(update) * (1 + 1e-12))]
    assert np.linalg.norm(fewer) == pytest.approx(np.linalg.norm(kept), abs=1e-12)
    assert np.array_equal(keep_largest(update, 1.0), update)
    assert not keep_largest(update, 0.0).any()
    assume(update.any() and fewer.any())
    cosine = fewer @ update / np.linalg.norm(fewer) / np.linalg.norm(update)
    assert cosine == pytest.approx(np.linalg.norm(fewer) / np.linalg.norm(update), abs=1e-12)


@given(update=vectors, low=fractions, high=fractions)
def test_energy_masks_are_nested_and_carry_their_share_with_the_fewest_entries(update, low, high):
    low, high = sorted((low, high))
    fewer, more = keep_energy(update, low), keep_energy(update, high)
    assert ((fewer == 0) | (fewer == more)).all()
    assert np.array_equal(keep_energy(update, 1.0), update)
    whole, carried = update @ update, fewer @ fewer
    assert carried >= low * whole * (1 - 1e-9)
    if fewer.any() and low > 0:
        smallest = np.abs(fewer[fewer != 0]).min()
        assert carried - smallest**2 < low * whole


def test_ties_keep_exactly_the_count():
    assert (keep_largest(np.ones(10), 0.3) != 0).sum() == 3
    assert keep_largest([5.0], 1.0) == [5.0]


@given(updates=update_matrices(size=(2, 8)), length=st.floats(0.01, 10))
def test_scaled_updates_have_one_length_or_are_zero(updates, length):
    scaled = scale_to_length(updates, length)
    for before, after in zip(updates, scaled, strict=True):
        if before.any():
            assert np.linalg.norm(after) == pytest.approx(length, rel=1e-12)
            assert after @ before == pytest.approx(length * np.linalg.norm(before), rel=1e-9)
        else:
            assert not after.any()
    assert not scale_to_length(updates, 1.0, zero=1e300).any()


contributions = st.lists(st.floats(-1, 1), min_size=1, max_size=8).map(np.array)


@given(gained=contributions, memory=st.floats(0, 0.99), seed=st.integers(0, 100))
def test_reputations_stay_a_distribution_and_reward_no_harm(gained, memory, seed):
    assume(gained.max() > 1e-6)
    old = np.random.default_rng(seed).dirichlet(np.ones(len(gained)))
    new = update_reputation(old, gained, memory=memory, normalised=True)
    assert new.sum() == pytest.approx(1, abs=1e-12)
    assert (new >= 0).all()
    bad = gained <= 0
    # remembered and new shares sum to at least one before rescaling unless somebody did harm
    if not (gained < 0).any():
        assert (new[bad] <= old[bad] + 1e-12).all()
    order = update_reputation(None, gained)
    assert (np.diff(order[np.argsort(gained)]) >= -1e-12).all()


def test_a_free_rider_decays_to_nothing_and_is_paid_nothing():
    standing = np.array([0.5, 0.25, 0.25])
    for _ in range(400):
        standing = update_reputation(standing, [0.8, 0.5, 0.0], normalised=True)
    assert standing[2] < 1e-8
    saboteur = update_reputation([0.4, 0.4, 0.2], [1.0, 1.0, -1.0], memory=0.5, normalised=True)
    assert saboteur[2] == 0
    assert altruistic_fractions(saboteur, altruism=5.0)[2] == 0


@given(gained=contributions, altruism=st.floats(1e-3, 1e3))
def test_fractions_follow_reputation(gained, altruism):
    standing = np.abs(gained)
    assume(standing.max() > 1e-6)
    kept = altruistic_fractions(standing, altruism=altruism)
    assert kept.max() == 1
    assert (kept >= 0).all()
    assert (np.diff(kept[np.argsort(standing)]) >= 0).all()


def test_altruism_is_the_papers_beta():
    standing = np.array([0.05, 0.15, 0.8])
    for beta in (0.5, 2.0, 10.0):
        expected = np.tanh(beta * standing) / np.tanh(beta * 0.8)
        np.testing.assert_allclose(altruistic_fractions(standing, altruism=beta), expected, rtol=1e-14)
    assert altruistic_fractions([1e-3, 1.0], altruism=1e7) == pytest.approx([1.0, 1.0])
    updates = np.random.default_rng(0).normal(size=(4, 9))
    for number in (1.0, 0.3):  # per participant it is so many times the number of participants
        rule = CosineGradientRewards.mended(altruism=number)
        beta = CosineGradientRewards.mended(altruism=4 * number, per_participant=False)
        first, second = (
            one.settle(None, updates, None, moment(4, 9))[1].figures["kept"] for one in (rule, beta)
        )
        np.testing.assert_allclose(first, second, rtol=1e-14)


def test_without_options_the_rule_is_the_published_one():
    """Three rounds, written down from the paper: reputation from nothing, weights, floor, constant step."""
    draw, sizes, beta, alpha, gamma = np.random.default_rng(3), np.arange(1, 5), 1.0, 0.95, 0.7
    rule = CosineGradientRewards(altruism=beta, memory=alpha, step=gamma)
    state, reputation = rule.start(sizes), np.zeros(4)
    for number in range(3):
        updates = draw.normal(size=(4, 12)) + 0.3
        unit = gamma * updates / np.linalg.norm(updates, axis=1, keepdims=True)
        weights = sizes / sizes.sum() if number == 0 else reputation
        joint = weights @ unit
        psi = unit @ joint / gamma / np.linalg.norm(joint)
        reputation = np.maximum(alpha * reputation + (1 - alpha) * psi, 1e-3)
        reputation /= reputation.sum()
        kept = np.tanh(beta * reputation) / np.tanh(beta * reputation).max()
        state, reward = rule.settle(state, updates, None, moment(4, 12, number))
        np.testing.assert_allclose(reward.server, joint, rtol=1e-12)
        np.testing.assert_allclose(reward.figures["reputation"], reputation, rtol=1e-12)
        np.testing.assert_allclose(reward.figures["kept"], kept, rtol=1e-12)
        assert (np.count_nonzero(reward.participants, axis=1) == np.floor(12 * kept + 1e-9)).all()


@pytest.mark.parametrize("rule", [CosineGradientRewards(), CosineGradientRewards.mended()])
@pytest.mark.parametrize("sent", [np.nan, np.inf, -np.inf])
def test_one_upload_that_is_not_finite_ends_nothing(rule, sent):
    updates = np.random.default_rng(0).normal(size=(4, 6)) + 1
    spoiled = updates.copy()
    spoiled[1, 2] = sent
    _, reward = rule.settle(None, spoiled, None, moment(4, 6))
    assert np.isfinite(reward.participants).all()
    assert reward.figures["contribution"][1] == 0
    updates[1] = 0
    _, absent = rule.settle(None, updates, None, moment(4, 6))
    np.testing.assert_array_equal(reward.participants, absent.participants)


def moment(count, size, number=0, rounds=10):
    return Round(number=number, rounds=rounds, params=np.zeros(size), sizes=np.arange(1, count + 1))


@given(
    updates=update_matrices(participants=(2, 6), size=(4, 12)),
    keep=st.sampled_from(["entries", "energy"]),
    exact=st.booleans(),
    altruism=st.floats(0.1, 10),
)
def test_a_round_rewards_in_the_order_of_reputation(updates, keep, exact, altruism):
    rule = CosineGradientRewards.mended(keep=keep, exact=exact, altruism=altruism, step=1.0)
    count, size = updates.shape
    state = None
    for number in range(3):
        state, reward = rule.settle(state, updates, None, moment(count, size, number))
        figures = reward.figures
        if reward.server.any() and state is not None:
            assert_rewards_follow(figures["kept"], reward.participants, reward.server)
            assert_rewards_follow(figures["reputation"], reward.participants, reward.server)
            best = int(np.argmax(figures["reputation"]))
            assert np.array_equal(reward.participants[best], reward.server)
        null = ~updates.any(axis=1)
        assert not figures["reputation"][null].any()
        assert not reward.participants[null].any()


def test_nothing_uploaded_is_a_round_without_rewards():
    rule = CosineGradientRewards.mended()
    for one in (rule, CosineGradientRewards()):
        state, reward = one.settle(None, np.zeros((3, 4)), None, moment(3, 4))
    assert state is None
    assert not reward.server.any()
    assert not reward.participants.any()
    before = np.array([0.5, 0.3, 0.2])
    after, reward = rule.settle(before, np.array([[1.0, 0], [-1.0, 0], [0, 0]]), None, moment(3, 2))
    assert np.array_equal(after, before)
    assert not reward.participants.any()


@pytest.mark.parametrize("exact", [False, True])
def test_one_participant_receives_its_own_direction(exact):
    updates = np.array([[3.0, -4.0]])
    standing, reward = CosineGradientRewards.mended(step=1.0, exact=exact).settle(
        None, updates, None, moment(1, 2)
    )
    np.testing.assert_allclose(reward.participants, [[0.6, -0.8]], atol=1e-12)
    assert standing == pytest.approx([1.0])


def test_rounding_residue_is_not_blown_up():
    large = Round(number=0, rounds=10, params=np.full(4, 1e3), sizes=np.ones(2))
    updates = np.array([[1.0, 0, 0, 0], [0, 1e-4, 0, 0]])
    _, reward = CosineGradientRewards.mended(step=1.0).settle(None, updates, None, large)
    assert reward.server.tolist() == [0.5, 0, 0, 0]
    assert reward.figures["kept"].tolist() == [1, 0]


def test_the_step_falls_to_zero_and_a_robust_rule_replaces_the_mean():
    updates = np.array([[1.0, 0.0], [1.0, 0.1], [-5.0, 0.0]])
    rule = CosineGradientRewards.mended(step=2.0)
    _, first = rule.settle(None, updates, None, moment(3, 2, 0, 4))
    _, last = rule.settle(None, updates, None, moment(3, 2, 3, 4))
    assert np.linalg.norm(last.server) == pytest.approx(np.linalg.norm(first.server) / 4)
    _, robust = rule.settle(None, updates, lambda u: np.median(u, axis=0), moment(3, 2))
    assert robust.server[0] > 1.9
    assert robust.figures["kept"][2] == 0


@pytest.mark.slow
def test_published_weights_let_one_participant_take_nearly_all_reputation():
    digits = load("digits", seed=0)
    parts = split(digits, participants=5, kind="class-imbalance", seed=0)
    model = MultilayerPerceptron(features=64, classes=10)
    local = LocalTraining(epochs=5, rate=0.5)
    shares = {
        weighting: train(
            model,
            parts,
            rounds=80,
            local=local,
            reward=CosineGradientRewards.mended(keep="entries", weighting=weighting),
        ).figures["reputation"][-1]
        for weighting in ("equal", "reputation")
    }
    assert shares["reputation"].max() > 0.75
    assert shares["equal"].max() < 0.45


@pytest.mark.slow
def test_on_imbalanced_digits_final_accuracy_follows_standalone_accuracy():
    model = MultilayerPerceptron(features=64, classes=10)
    local, rule = LocalTraining(epochs=5, rate=0.5), CosineGradientRewards.mended(altruism=0.5)
    ranks, slopes = [], []
    for seed in range(6):
        digits = load("digits", validation=100, test=500, seed=seed)
        parts = split(digits, participants=5, kind="class-imbalance", seed=seed)
        run = train(model, parts, rounds=80, local=local, reward=rule, validation=digits.test, seed=seed)
        alone = [
            model.accuracy(params, digits.test.inputs, digits.test.labels)
            for params in train_alone(model, parts, epochs=400, local=local, seed=seed)
        ]
        final = run.participant_accuracy[-1]
        measured = fairness(alone, final)
        ranks.append(measured.spearman)
        slopes.append(measured.slope)
        # whoever holds all classes does better alone than the joint model of these rounds, and is named
        assert rationality(alone, final, samples=500).losers in ((), (4,))
        assert np.argmax(alone) == 4
    interval = over_runs(ranks)
    assert interval.mean >= 0.8
    assert interval.low > 0.7
    assert over_runs(slopes).low > 0.1


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: CosineGradientRewards(altruism=0), "altruism = 0"),
        (lambda: CosineGradientRewards(memory=1), "memory = 1"),
        (lambda: CosineGradientRewards(step=-1), "step = -1"),
        (lambda: CosineGradientRewards(keep="some"), "keep = 'some'"),
        (lambda: CosineGradientRewards(weighting="size"), "weighting = 'size'"),
        (lambda: CosineGradientRewards(decay="slow"), "decay = 'slow'"),
        (lambda: CosineGradientRewards.mended(floor=1), "floor = 1"),
        (lambda: scale_to_length([[1.0], [1.0, 2.0]], 1), "updates"),
        (lambda: scale_to_length([[math.nan]], 1), "updates[0][0] = nan"),
        (lambda: update_reputation(None, [-1.0, 0.0]), "expected at least one > 0"),
        (lambda: update_reputation([1.0], [0.5, 0.5]), "reputation has length 1"),
        (lambda: altruistic_fractions([0.0, 0.0], altruism=1), "reputation: expected at least one"),
        (lambda: keep_largest([1.0], 1.1), "fraction = 1.1"),
        (lambda: keep_energy([], 0.5), "update is empty"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(InvalidInput) as caught:
        call()
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
