"""Constraints the attacks meet, and the adaptive attack against the rules it knows."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.errors import InvalidInput
from mechanisms import adaptive_attacks, aggregation, attacks, backdoor
from mechanisms.aggregation import rules
from mechanisms.attacks import ATTACKS, attack
from mechanisms.testing import updates_to_aggregate

INFORMED = [name for name in ATTACKS if name.startswith("tuned-")]
NEED_OWN = ("monna", "acceptance-radius", "clipping-radius")
PLAIN = [n for n in ATTACKS if n not in ("steer", "label-flip", "edge-case-backdoor", *INFORMED)]


def distances(sent, honest):
    return np.sum((honest - sent) ** 2, axis=1)


@given(updates_to_aggregate(rows=(3, 9)))
def test_min_max_and_min_sum_meet_their_constraint_with_equality(honest):
    mutual = np.array([distances(row, honest) for row in honest])
    spread = honest.std(axis=0).max() > 0
    far, total = distances(attacks.min_max(honest), honest), distances(attacks.min_sum(honest), honest)
    assert far.max() <= mutual.max() * (1 + 1e-9) + 1e-12
    assert total.sum() <= mutual.sum(axis=1).max() * (1 + 1e-9) + 1e-12
    if spread:
        np.testing.assert_allclose(far.max(), mutual.max(), rtol=1e-9)
        np.testing.assert_allclose(total.sum(), mutual.sum(axis=1).max(), rtol=1e-9)


@pytest.mark.parametrize("name", [n for n in PLAIN if n != "mimic"])
@given(updates_to_aggregate(rows=(3, 9)), st.integers(0, 100))
def test_attacks_do_not_depend_on_the_order_of_honest_participants(name, honest, seed):
    shuffled = np.random.default_rng(seed).permutation(honest)
    function = ATTACKS[name].function
    np.testing.assert_allclose(function(shuffled), function(honest), atol=1e-9)


@pytest.mark.parametrize("name", PLAIN)
def test_jax_agrees_with_numpy_and_rows_are_appended(name):
    honest = np.random.default_rng(0).standard_normal((6, 4))
    sent = attack(honest, name, colluders=2)
    np.testing.assert_array_equal(sent[:6], honest)
    np.testing.assert_array_equal(sent[6], sent[7])
    with jax.enable_x64(True):
        jitted = jax.jit(lambda rows: attack(rows, name, colluders=2))(jnp.asarray(honest))
    np.testing.assert_allclose(jitted, sent, atol=1e-9)


def test_every_attack_states_what_it_must_know():
    assert all(one.knows for one in ATTACKS.values())


def test_gaussian_has_the_length_it_says():
    honest = np.random.default_rng(0).standard_normal((5, 20_000)) + 1
    ratio = np.linalg.norm(attacks.gaussian(honest, seed=1)) / np.linalg.norm(honest.mean(axis=0))
    assert abs(ratio - 3) < 0.1
    assert not np.array_equal(attacks.gaussian(honest, seed=1), attacks.gaussian(honest, seed=2))


@pytest.mark.parametrize("rule", [*rules("average"), *[r for r in rules("distance") if r not in NEED_OWN]])
def test_the_adaptive_attack_does_at_least_as_well_as_staying_honest(rule):
    draw = np.random.default_rng(3)
    honest, target = draw.standard_normal((12, 5)), 4 * np.ones(5)

    def combined(rows):
        return aggregation.aggregate(rows, rule, malicious=3)

    def harm(result):
        return ((result - target) ** 2).sum()

    sent = adaptive_attacks.steer(honest, target=target, harm=harm, rule=combined, colluders=3)
    assert sent.shape == (3, 5)
    achieved = harm(combined(np.vstack([honest, sent])))
    stay = np.tile(honest.mean(axis=0), (3, 1))
    assert achieved <= harm(combined(np.vstack([honest, stay])))
    with jax.enable_x64(True):
        compiled = jax.jit(
            lambda x: adaptive_attacks.steer(x, target=target, harm=harm, rule=combined, colluders=3)
        )
        in_jax = compiled(honest)
    np.testing.assert_allclose(in_jax, sent, atol=1e-9)


@pytest.mark.parametrize("name", INFORMED)
@pytest.mark.parametrize("rule", ["trimmed-mean", "krum", "geometric-median"])
def test_tuned_attacks_do_at_least_what_any_fixed_size_does_and_jax_agrees(name, rule):
    honest = np.random.default_rng(5).standard_normal((9, 4)) + 1

    def combined(rows):
        return aggregation.aggregate(rows, rule, malicious=2)

    def damage(rows):
        return np.linalg.norm(combined(rows) - honest.mean(axis=0))

    rows = attack(honest, name, colluders=2, rule=combined)
    plain, argument = name.removeprefix("tuned-"), "deviations" if "little" in name else "scale"
    for size in (0.5, 1.0, 1.5, 3.0, 20.0):
        fixed = attack(honest, plain, colluders=2, **{argument: size})
        assert damage(rows) >= 0.93 * damage(fixed)
    if rule == "trimmed-mean":  # the others take long to compile
        with jax.enable_x64(True):
            jitted = jax.jit(lambda x: attack(x, name, colluders=2, rule=combined))(jnp.asarray(honest))
        assert abs(damage(np.asarray(jitted)) - damage(rows)) < 1e-6


def test_a_tuned_attack_serves_the_harm_it_is_given():
    honest = np.random.default_rng(0).standard_normal((7, 2))

    def upwards(result):
        return -result[0]

    rows = attack(honest, "tuned-a-little-is-enough", colluders=2, rule=aggregation.median, harm=upwards)
    assert rows[-1][0] > honest.mean(axis=0)[0]  # negative deviations are tried, too


def test_edge_cases_are_the_tail_and_the_backdoor_stays_within_honest_reach():
    draw = np.random.default_rng(0)
    reference = draw.standard_normal((300, 3)) * [1, 5, 0]  # a direction without variance
    inputs = np.vstack([reference[:50], [[6.0, 0, 0], [0, 6.0, 0]]])
    assert backdoor.edge_cases(inputs, reference, count=1)[0] == 50  # far in the direction of little variance
    honest = draw.standard_normal((6, 3))
    near, far = honest.mean(axis=0) + 0.01, honest.mean(axis=0) + 50
    np.testing.assert_allclose(backdoor.edge_case_backdoor(honest, backdoor=near), near)
    sent = backdoor.edge_case_backdoor(honest, backdoor=far)
    reach = np.linalg.norm(honest - honest.mean(axis=0), axis=1).max()
    np.testing.assert_allclose(np.linalg.norm(sent - honest.mean(axis=0)), reach)


def test_against_foolsgold_colluders_do_not_send_the_same():
    honest, target = np.eye(6), np.full(6, -3.0)
    sent = adaptive_attacks.steer(
        honest,
        target=target,
        harm=lambda result: ((result - target) ** 2).sum(),
        rule=aggregation.foolsgold,
        colluders=3,
    )
    assert np.any(sent[0] != 0)
    np.testing.assert_array_equal(sent[1:], 0)


def test_bad_arguments():
    honest = np.zeros((4, 2))
    for message, call in (
        ("name = 'bribe'", lambda: attack(honest, "bribe", colluders=1)),
        ("name = 'label-flip'", lambda: attack(honest, "label-flip", colluders=1)),
        ("colluders = 0", lambda: attack(honest, "mimic", colluders=0)),
        ("attack 'mimic'", lambda: attack(honest, "mimic", colluders=1, power=3)),
        ("row = 4", lambda: attacks.mimic(honest, row=4)),
        ("scale = -1", lambda: attacks.fall_of_empires(honest, scale=-1)),
        ("honest has 1 rows", lambda: attacks.a_little_is_enough(honest[:1])),
        ("honest has shape", lambda: attacks.min_max(honest[0])),
        ("target has shape", lambda: attack(honest, "steer", colluders=1, target=[1.0], harm=sum, rule=sum)),
        (
            "scales is empty",
            lambda: attack(honest, "steer", colluders=1, target=[1.0, 1.0], harm=sum, rule=sum, scales=()),
        ),
        ("backdoor has shape", lambda: attack(honest, "edge-case-backdoor", colluders=1, backdoor=[1.0])),
        ("attack 'tuned-", lambda: attack(honest, "tuned-a-little-is-enough", colluders=1)),
        ("count = 4", lambda: backdoor.edge_cases([[1.0]], [[1.0]], count=4)),
        ("reference has 2 features", lambda: backdoor.edge_cases([[1.0]], [[1.0, 2.0]], count=1)),
        ("whole numbers from 0 to 2", lambda: attacks.flip_labels([3], classes=3)),
    ):
        with pytest.raises(InvalidInput, match=message):
            call()
