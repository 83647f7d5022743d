"""Skewed real data: what verification proves is about the models it names, and holds for them."""

import numpy as np
import pytest
from sklearn import datasets, linear_model

from equilibria.participation import ParticipationGame
from equilibria.verified import VerifiedRule
from mechanisms.model_class import ProbeClass
from mechanisms.shift import shift_tests
from mechanisms.stumps import estimate_types_over_stumps, largest_stump_difference
from mechanisms.verification import TypeEstimates, estimate_types, probe_losses

#: Agents who would train so much alone that even wide radii fit: the theorem's condition is not what is tested.
RICH = {"loss_weight": 1.0, "complexity": 1e4, "cost": 1e-6}


def load(name):
    bunch = getattr(datasets, f"load_{name}")()
    scale = bunch.data.std(axis=0)
    return (bunch.data / np.where(scale > 0, scale, 1.0)), bunch.target


def dirichlet_shares(labels, agents, rng):
    """Which samples belong to whom when each label is split by Dirichlet(.1)."""
    owner = np.empty(labels.size, dtype=int)
    for label in np.unique(labels):
        rows = rng.permutation(np.flatnonzero(labels == label))
        cuts = (np.cumsum(rng.dirichlet(np.full(agents, 0.1))) * rows.size).astype(int)[:-1]
        for agent, part in enumerate(np.split(rows, cuts)):
            owner[part] = agent
    return owner


def test_an_agent_with_four_of_ten_digits_is_charged_for_what_it_lacks_or_refused():
    features, labels = load("digits")
    rng = np.random.default_rng(0)
    order = rng.permutation(labels.size)
    features, labels = features[order], labels[order]
    train, trusted, rest = np.split(np.arange(labels.size), [300, 600])
    probe = linear_model.LogisticRegression(max_iter=2000).fit(features[train], labels[train])
    own, told = [], []
    for agent in range(5):
        rows = rng.choice(rest[labels[rest] < 4] if agent == 4 else rest, size=150)
        noisy = np.where(rng.random(150) < (0.0 if agent == 4 else 0.3), rng.integers(0, 10, 150), labels[rows])
        own.append(features[rows])
        told.append(noisy)
    losses = [probe_losses([probe.predict], table, lab) for table, lab in zip(own, told, strict=True)]
    target = probe_losses([probe.predict], features[trusted], labels[trusted])
    blind = estimate_types(losses, target)
    assert blind.estimates.argmin() == 4  # the probe alone puts first who lacks six digits of ten
    charged = estimate_types(losses, target, labels=told, trusted_labels=labels[trusted])
    assert charged.estimates.argmax() == 4
    assert charged.estimates[4] > 0.5
    game = ParticipationGame(types=np.clip(charged.estimates, 0, 1), **RICH)
    first = game.with_rule(VerifiedRule(estimates=blind, reports=blind.estimates)).contributions()
    last = game.with_rule(VerifiedRule(estimates=charged)).contributions()
    assert first[4] == first.max()
    assert last[4] == 0.0
    # Or refused: its samples are not the target's, by labels and by inputs.
    tests = shift_tests(told, labels[trusted], features=own, trusted_features=features[trusted])
    assert tests.rejected.tolist() == [False] * 4 + [True]
    refusing = VerifiedRule(estimates=blind.refusing(tests), reports=blind.estimates)
    assert game.with_rule(refusing).contributions()[4] == 0.0
    found = refusing.guarantee(game)
    assert found.refused == (4,)
    assert found.confidence <= 0.9 + 1e-12
    assert "not refused (agents 4)" in str(found)


def test_nothing_is_proved_for_other_models_than_those_estimated():
    estimates = estimate_types([np.zeros(5000)] * 3, np.zeros(5000))
    game = ParticipationGame(types=[0.0, 0.0, 0.1], **RICH)
    rule = VerifiedRule(estimates=estimates)
    assert rule.guarantee(game).holds
    assert rule.guarantee(game, ProbeClass()).holds
    assert "for the one probe classifier and no other models" in str(rule.guarantee(game))
    richer = rule.guarantee(game, "nearest neighbours")
    assert not richer.holds
    assert richer.confidence == 0.0
    assert str(richer).startswith("nothing is proved for nearest neighbours")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["digits", "breast_cancer"])
def test_where_it_says_proved_the_models_of_the_class_are_within_the_radius(name):
    features, labels = load(name)
    features = features[:, 10:26]
    splits, agents, samples = 25, 4, 60
    within = {"probes": 0, "stumps": 0}
    for split in range(splits):
        rng = np.random.default_rng(split)
        order = rng.permutation(labels.size)
        train, rest = order[:150], order[150:]
        probes = [
            linear_model.LogisticRegression(max_iter=500).fit(features[train, ::step], labels[train])
            for step in (1, 3)
        ]
        predict = [
            lambda table, model=model, step=step: model.predict(table[:, ::step])
            for model, step in zip(probes, (1, 3), strict=True)
        ]
        owner = dirichlet_shares(labels[rest], agents, rng)
        # Everybody's distribution is what they own; samples are drawn from it, and trusted ones from all.
        owned = [rest[owner == agent] for agent in range(agents)]
        owned = [rows if rows.size else rest[:1] for rows in owned]
        drawn = [rng.choice(rows, size=samples) for rows in owned]
        trusted = rng.choice(rest, size=150)
        losses = [probe_losses(predict, features[rows], labels[rows]) for rows in drawn]
        target = probe_losses(predict, features[trusted], labels[trusted])
        told = [labels[rows] for rows in drawn]
        estimates = estimate_types(losses, target, labels=told, trusted_labels=labels[trusted])
        true = np.array(
            [
                np.abs(
                    probe_losses(predict, features[rows], labels[rows]).mean(axis=0)
                    - probe_losses(predict, features[rest], labels[rest]).mean(axis=0)
                ).max()
                for rows in owned
            ]
        )
        lacking = np.array(
            [
                sum(
                    abs((labels[rows] == label).mean() - (labels[rest] == label).mean())
                    for label in np.unique(labels)
                )
                / 2
                for rows in owned
            ]
        )
        game = ParticipationGame(
            types=np.clip(estimates.estimates, 0, 1), loss_weight=1.0, complexity=1e9, cost=1e-6
        )
        assert VerifiedRule(estimates=estimates).guarantee(game).holds
        within["probes"] += bool(
            (np.abs(estimates.estimates - np.maximum(true, lacking)) <= estimates.radii).all()
        )
        stumps = estimate_types_over_stumps(
            [features[rows] for rows in drawn], told, features[trusted], labels[trusted]
        )
        assert isinstance(stumps, TypeEstimates)
        exact = np.array(
            [
                largest_stump_difference(features[rows], labels[rows], features[rest], labels[rest])
                for rows in owned
            ]
        )
        within["stumps"] += bool((np.abs(stumps.estimates - exact) <= stumps.radii).all())
    assert min(within.values()) >= 0.95 * splits, within
