"""Skewed real data: what verification proves is about the models it names, and holds for them."""

import csv
import importlib.util
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn import datasets, linear_model

from contracts.errors import InvalidInput
from equilibria.participation import ParticipationGame
from equilibria.verified import VerifiedRule
from mechanisms.model_class import ProbeClass
from mechanisms.shift import shift_tests
from mechanisms.verification import estimate_types, probe_losses

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
STORED = BENCHMARKS / "results" / "skewed_splits.csv"


def load_benchmark(name):
    found = importlib.util.spec_from_file_location(name, BENCHMARKS / f"{name}.py")
    module = importlib.util.module_from_spec(found)
    sys.path.insert(0, str(BENCHMARKS))
    try:
        found.loader.exec_module(module)
    finally:
        sys.path.remove(str(BENCHMARKS))
    return module


splits = load_benchmark("skewed_splits")
#: Agents who would train so much alone that even wide radii fit: the theorem's condition is not what is tested.
RICH = {"loss_weight": 1.0, "complexity": 1e4, "cost": 1e-6}


def load(name):
    bunch = getattr(datasets, f"load_{name}")()
    scale = bunch.data.std(axis=0)
    return (bunch.data / np.where(scale > 0, scale, 1.0)), bunch.target


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
    charged = estimate_types(losses, target, labels=told, trusted_labels=labels[trusted], classes=10)
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
    assert "coalition without those refused (agent 4) is" in str(found)


def test_nothing_is_proved_for_other_models_than_those_estimated():
    estimates = estimate_types([np.zeros(5000)] * 3, np.zeros(5000))
    game = ParticipationGame(types=[0.0, 0.0, 0.01], **RICH)
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
    rows = [row for seed in range(50) for row in splits.measure(name, seed)]
    for models in ("probes and labels", "decision stumps"):
        proved = [row for row in rows if row["models"] == models and row["proved"]]
        assert len(proved) == 50
        assert proved[0]["confidence"] == 0.95
        # A radius that says something, and data that are far from the target.
        assert proved[0]["radius"] < 0.3
        assert sum(row["within"] for row in proved) >= 0.95 * len(proved)


def test_splits_are_skewed_and_their_rows_are_what_they_say():
    rows = list(splits.measure("breast_cancer", 1))
    assert [row["models"] for row in rows] == ["probes and labels", "decision stumps"]
    for row in rows:
        assert row["within"] == (max(row["off"], row["trained above"]) <= row["radius"])
    labels = np.repeat(np.arange(10), 100)
    owner = splits.dirichlet_shares(labels, 4, np.random.default_rng(0))
    table = np.array([[np.sum((labels == kind) & (owner == agent)) for kind in range(10)] for agent in range(4)])
    assert table.sum() == 1000
    assert (table < 5).mean() > 0.4  # of a hundred: most lack most


def test_stored_splits_are_within_their_radius():
    lines = [line for line in STORED.read_text().splitlines() if not line.startswith("#")]
    rows = list(csv.DictReader(lines))
    assert len(rows) == 200
    for models in ("probes and labels", "decision stumps"):
        proved = [row for row in rows if row["models"] == models and row["proved"] == "True"]
        assert sum(row["within"] == "True" for row in proved) >= 0.95 * len(proved) > 0


def test_what_is_printed_as_proved_promises_no_more_than_the_numbers():
    estimates = estimate_types([np.zeros(60_000)] * 3, np.zeros(60_000), confidence=0.9999999)
    game = ParticipationGame(types=[0.0, 0.0, 0.01], **RICH)
    assert "at least 0.999999 (" in str(VerifiedRule(estimates=estimates).guarantee(game))
    assert "with probability 0.999999" in str(game.partition(types=estimates))
    # Where everybody is refused, nobody is promised anything.
    nobody = VerifiedRule(estimates=replace(estimates, refused=[True] * 3)).guarantee(game)
    assert not nobody.holds
    assert str(nobody) == "nothing is proved: everybody is refused"
    # Nor where estimates and refusals together may always be wrong, whatever the slack is.
    unsure = VerifiedRule(estimates=replace(estimates, confidence=0.2, false_alarm=0.3)).guarantee(game)
    assert not unsure.holds
    assert "refusals with 0.3, together with 1 or more" in str(unsure)


def test_who_is_refused_is_said_by_truth_values_not_words():
    estimates = estimate_types([np.zeros(50)] * 2, np.zeros(50))
    with pytest.raises(InvalidInput, match="expected true or false for each of 2"):
        replace(estimates, refused=["no", "no"])
    with pytest.raises(InvalidInput, match="expected true or false for each of 2"):
        replace(estimates, refused=[False])


@pytest.mark.parametrize("name", ["estimates", "reports"])
def test_nothing_is_proved_from_numbers_of_other_agents(name):
    game = ParticipationGame(types=[0.0, 0.0, 0.01], **RICH)
    with pytest.raises(InvalidInput, match=f"{name} has length 2: expected 3"):
        VerifiedRule(samples=60_000, **{name: [0.0, 0.1]}).guarantee(game)
