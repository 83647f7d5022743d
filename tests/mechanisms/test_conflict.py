"""The conflict of robustness and learning: the measurement itself, and what it shows on real data."""

from dataclasses import replace

import jax
import numpy as np
import pytest

from contracts.errors import InvalidInput
from mechanisms.attacks import ATTACKS
from mechanisms.coalitions import Coalition, draw_task
from mechanisms.conflict import ConflictCurves, measure_conflict

SMALL = Coalition(dataset="iris", participants=7, malicious=2, rounds=6, samples=12, group_samples=6, hidden=())
DIGITS = Coalition()


@pytest.fixture(scope="module")
def small():
    return measure_conflict(SMALL, rules=["mean", "median"], knob="representativeness", values=[2, 3], seeds=2)


def test_the_same_call_gives_the_same_numbers_and_each_seed_stands_alone(small):
    again = measure_conflict(SMALL, rules=["median"], knob="representativeness", values=[3], seeds=1)
    np.testing.assert_allclose(again.gain[0, 0, 0], small.gain[1, 1, 0], atol=1e-6)
    np.testing.assert_allclose(again.alone[0, 0], small.alone[1, 0], atol=1e-6)


def test_measures_are_what_they_say(small):
    np.testing.assert_allclose(small.success, small.attacked_rate - small.clean_rate, atol=1e-6)
    for rate in (small.clean_rate, small.attacked_rate, small.clean_group, small.attacked_group, small.alone):
        assert ((rate >= 0) & (rate <= 1)).all()
    assert small.gain.shape == (2, 2, 2)
    assert "median" in repr(small)


def test_without_colluders_nothing_is_attacked():
    peaceful = measure_conflict(SMALL, rules=["mean"], knob="colluders", values=[0, 2], seeds=2)
    np.testing.assert_array_equal(peaceful.success[:, 0], 0)
    np.testing.assert_array_equal(peaceful.lost[:, 0], 0)
    assert (peaceful.success[:, 1] != 0).any()


@pytest.mark.parametrize("attack", [name for name in ATTACKS if name != "steer"])
def test_every_attack_runs_and_a_robust_rule_survives_it(attack):
    curves = measure_conflict(
        SMALL, rules=["median"], knob="representativeness", values=[3], attack=attack, seeds=2
    )
    assert np.isfinite(curves.gain).all()
    np.testing.assert_array_equal(curves.success, curves.lost)
    assert curves.lost.mean() < 0.2


def test_who_holds_what():
    for held, holders in ((4, 2), (10, 11)):
        task = draw_task(replace(DIGITS, groups_held=held, holders=holders), 3)
        inside = task.test[2] == 1
        (target,) = set(task.test[1][inside])
        assert target != task.wrong
        victim = set(task.victim[1][task.victim[2] == 1])
        assert len(victim) == held
        assert (target in victim) == (held == 10)
        assert int(task.wrong) in victim
        knows = (task.peers[1] == target).any(axis=1)
        assert knows[:11].sum() == holders
        assert knows[11:].all() == (holders == 11)
        assert set(task.attacker[1][task.attacker[2] > 1]) == {int(task.wrong)}


def test_knobs_change_nothing_but_what_they_turn():
    one, other = (draw_task(replace(DIGITS, groups_held=k), 0) for k in (3, 9))
    for left, right in zip(
        jax.tree.leaves(one._replace(victim=())), jax.tree.leaves(other._replace(victim=())), strict=True
    ):
        np.testing.assert_array_equal(left, right)


def made_up(gain, success):
    """Curves of one rule at two values with given numbers per seed."""
    arrays = {
        name: np.zeros((1, 2, 4)) for name in ("clean_rate", "attacked_rate", "clean_group", "attacked_group")
    }
    return ConflictCurves(
        coalition=SMALL, knob="rarity", values=(1.0, 2.0), rules=("median",), attack="steer",
        alone=np.zeros((2, 4)), gain=np.array([gain]), success=np.array([success]), lost=np.zeros((1, 2, 4)),
        **arrays, seconds=0.0,
    )  # fmt: skip


def test_a_verdict_needs_the_interval_and_not_only_the_mean():
    sure, unsure = [0.30, 0.31, 0.29, 0.30], [0.0, 0.6, 0.0, 0.6]
    low, zero = [0.01, 0.0, 0.02, 0.01], [0.0, 0.0, 0.0, 0.0]
    assert made_up([sure, sure], [low, sure]).verdict().tolist() == [["both", "unsafe"]]
    assert made_up([zero, zero], [low, sure]).verdict().tolist() == [["useless", "neither"]]
    assert made_up([unsure, sure], [low, unsure]).verdict().tolist() == [["open", "open"]]
    assert made_up([sure, sure], [low, sure]).safe_and_useful() == [("median", 1.0)]
    low_end, high_end = made_up([sure, sure], [low, sure]).interval("gain")
    # Student's 97.5 % quantile with 3 degrees of freedom is 3.1824
    np.testing.assert_allclose(high_end - low_end, 2 * 3.1824 * np.std(sure, ddof=1) / 2, rtol=1e-4)


def test_bad_arguments():
    settings = {"rules": ["median"], "knob": "rarity", "values": [1], "seeds": 1}
    for message, changed in (
        ("knob = 'luck'", {"knob": "luck"}),
        ("attack = 'bribe'", {"attack": "bribe"}),
        ("rule = 'medina'", {"rules": ["medina"]}),
        ("at least one each", {"rules": []}),
        ("at least one each", {"values": []}),
        (r"values\[0\] = nan", {"values": [float("nan")]}),
        ("holders = 9", {"values": [9]}),
        ("holders = 1.5", {"values": [1.5]}),
        ("seeds = 0", {"seeds": 0}),
        ("tolerance = 'x'", {"tolerance": "x"}),
        ("no tolerance to turn", {"knob": "tolerance"}),
        ("needs tolerance", {"rules": ["acceptance-radius"]}),
        ("bulyan needs at least", {"rules": ["bulyan"]}),
    ):
        with pytest.raises(InvalidInput, match=message):
            measure_conflict(SMALL, **{**settings, **changed})
    for message, fields in (
        ("dataset = 'mnist'", {"dataset": "mnist"}),
        ("malicious = 4", {"participants": 7, "malicious": 4}),
        ("colluders = 4", {"colluders": 4}),
        ("concentration = 0", {"concentration": 0}),
        ("rate = -1", {"rate": -1}),
        ("groups_held = 11", {"groups_held": 11}),
        ("expected the victim", {"participants": 1, "malicious": 0}),
    ):
        with pytest.raises(InvalidInput, match=message):
            Coalition(**fields)


@pytest.mark.slow
def test_behaviour_rules_protect_only_where_there_is_nothing_to_learn():
    curves = measure_conflict(
        DIGITS, rules=["mean", "loss-rejection"], knob="representativeness", values=[4, 10], seeds=3
    )
    average, screened = curves.attacked_rate.mean(axis=-1)
    gain = curves.gain.mean(axis=-1)[1]
    assert average.min() > 0.9
    assert screened[0] > 0.7
    assert gain[0] > 0.3
    assert screened[1] < 0.1
    assert gain[1] < 0.03


@pytest.mark.slow
def test_distance_rules_protect_knowledge_that_is_common_and_not_what_is_rare():
    rules = ["median", "trimmed-mean", "multi-krum"]
    curves = measure_conflict(
        Coalition(rounds=25, groups_held=5), rules=rules, knob="rarity", values=[11, 2], seeds=3
    )
    success, known = curves.success.mean(axis=-1), curves.clean_group.mean(axis=-1)
    assert (success[:, 0] < 0.15).all()
    assert (success[:, 1] > 0.3).all()
    assert (known[:, 0] > 0.8).all()
    assert (known[:, 1] < 0.1).all()
    found = curves.safe_and_useful(gain=0.1, success=0.15)
    assert {("median", 11.0), ("trimmed-mean", 11.0)} <= set(found)  # the counter-result: identical peers
    assert not any(value == 2.0 for _, value in found)


@pytest.mark.slow
def test_no_tolerance_is_both_safe_and_useful_where_knowledge_is_rare():
    rare = Coalition(rounds=25, groups_held=5, holders=2)
    curves = measure_conflict(
        rare,
        rules=["acceptance-radius", "clipping-radius"],
        knob="tolerance",
        values=[1.0, 1.5, 2.0],
        seeds=3,
    )
    useful = curves.gain.mean(axis=-1) > 0.1
    assert useful.any()
    assert (curves.success.mean(axis=-1)[useful] > 0.15).all()
    assert curves.safe_and_useful() == []
