"""Laws of the rules that try updates on a defender's data."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from contracts.errors import InvalidInput
from mechanisms import aggregation
from mechanisms.aggregation import Defender, RuleInRounds, aggregate, rules
from mechanisms.attacks import attack
from mechanisms.datasets import load, split
from mechanisms.models import SoftmaxRegression
from mechanisms.training import train

MODEL = SoftmaxRegression(features=3, classes=2)
SCREENED = ["zeno", "loss-rejection", "error-rejection", "roni"]


@pytest.fixture(scope="module")
def defender():
    draw = np.random.default_rng(0)
    inputs = draw.standard_normal((60, 3))
    labels = (inputs @ [1.0, -2.0, 0.5] > 0).astype(int)
    parameters = np.zeros(MODEL.size)
    own = -0.5 * np.asarray(jax.grad(MODEL.loss)(parameters, inputs, labels), float)
    return Defender.of_model(MODEL, parameters=parameters, update=own, inputs=inputs, labels=labels)


@pytest.fixture(scope="module")
def values(defender):
    draw = np.random.default_rng(1)
    good = defender.update + 0.1 * draw.standard_normal((8, MODEL.size))
    return np.vstack([good, -5 * defender.update + 0.1 * draw.standard_normal((3, MODEL.size))])


@pytest.mark.parametrize("name", [*rules("behaviour"), "loss-screen+median", "roni-screen+krum"])
def test_what_harms_on_the_defenders_data_is_left_out(name, defender, values):
    result = aggregate(values, name, malicious=3, defender=defender)
    assert np.linalg.norm(result - defender.update) < 0.3 * np.linalg.norm(defender.update)
    average = aggregation.mean(values)
    assert np.linalg.norm(average - defender.update) > np.linalg.norm(defender.update)


@pytest.mark.parametrize("name", [*rules("behaviour"), "zeno-screen+trimmed-mean"])
def test_the_order_of_peers_does_not_matter_and_jax_agrees(name, defender, values):
    settings = {"malicious": 3, "defender": defender}
    expected = aggregate(values, name, **settings)
    shuffled = np.random.default_rng(2).permutation(values)
    np.testing.assert_allclose(aggregate(shuffled, name, **settings), expected, atol=1e-12)
    with jax.enable_x64(True):
        jitted = jax.jit(lambda rows, who: aggregate(rows, name, malicious=3, defender=who))
        np.testing.assert_allclose(jitted(jnp.asarray(values), defender), expected, atol=1e-12)


@pytest.mark.parametrize("name", SCREENED)
def test_accepting_all_is_the_mean(name, defender, values):
    options = {"tolerance": 1e6} if name == "roni" else {}
    result = aggregate(values, name, malicious=0, defender=defender, **options)
    np.testing.assert_allclose(result, values.mean(axis=0), atol=1e-12)


def test_error_ties_are_broken_by_the_loss_and_not_by_place(defender):
    rows = np.outer([1.0, 1.1, 1.2, 1.3, 1.4], defender.update)  # one direction: the same errors, other losses
    for order in ([0, 1, 2, 3, 4], [4, 2, 0, 1, 3]):
        result = aggregation.error_rejection(rows[order], defender=defender, malicious=2)
        np.testing.assert_allclose(result, rows[2:].mean(axis=0), atol=1e-12)


def test_roni_never_rejects_a_copy_of_the_own_update_and_falls_back_to_it(defender):
    bad = Defender.of_model(
        MODEL,
        parameters=defender.parameters,
        update=-defender.update,  # harms on its own data
        inputs=defender.inputs,
        labels=defender.labels,
    )
    rows = np.vstack([-3 * defender.update, bad.update, -4 * defender.update])
    np.testing.assert_allclose(aggregation.roni(rows, defender=bad), bad.update)
    np.testing.assert_allclose(aggregation.roni(rows[::2], defender=bad), bad.update)


def test_fltrust_is_no_longer_than_the_own_update_and_ignores_opposition(defender, values):
    length = np.linalg.norm(defender.update)
    for scale in (1e-6, 1.0, 1e6):
        assert np.linalg.norm(aggregation.fltrust(scale * values, defender=defender)) <= length * (1 + 1e-12)
    opposed = aggregation.fltrust(-np.abs(values) * np.sign(defender.update), defender=defender)
    np.testing.assert_array_equal(opposed, 0)


@pytest.mark.parametrize("name", [*rules("behaviour"), "loss-screen+median"])
def test_rows_that_are_not_finite_and_enormous_rows_have_no_say(name, defender, values):
    spoiled = values.copy()
    spoiled[8:] = [np.full(MODEL.size, np.nan), np.full(MODEL.size, np.inf), -1e200 * defender.update]
    result = aggregate(spoiled, name, malicious=3, defender=defender)
    assert np.linalg.norm(result - defender.update) < 0.5 * np.linalg.norm(defender.update)


def test_bad_arguments(defender, values):
    for message, call in (
        ("malicious = 11", lambda: aggregation.zeno(values, defender=defender, malicious=11)),
        ("penalty = -1", lambda: aggregation.zeno(values, defender=defender, malicious=1, penalty=-1)),
        ("tolerance = -1", lambda: aggregation.roni(values, defender=defender, tolerance=-1)),
        (
            r"defender.parameters has shape \(8,\)",
            lambda: aggregation.fltrust(values[:, :3], defender=defender),
        ),
        ("updates has shape", lambda: aggregation.fltrust(values[0], defender=defender)),
    ):
        with pytest.raises(InvalidInput, match=message):
            call()


def digits_run(rule, corrupt, **settings):
    digits = load("digits", validation=300, test=300)
    parts = split(digits, participants=9, samples=60)
    model = SoftmaxRegression(features=64, classes=10)
    if rule is not None:
        rule = RuleInRounds(rule=rule, malicious=2, model=model, samples=parts[0], **settings)
    run = train(model, parts, rounds=15, aggregate=rule, corrupt=corrupt, validation=digits.validation)
    return run.accuracy[-1]


def flipped(updates, _moment):
    return attack(updates[:-2], "fall-of-empires", colluders=2, scale=20.0)


@pytest.mark.parametrize(
    "rule", ["median", "centered-clipping", "foolsgold", "loss-rejection", "zeno-screen+median"]
)
def test_rules_protect_the_training_loop(rule):
    assert digits_run(None, flipped) < 0.5
    assert digits_run(rule, flipped) > digits_run(None, None) - 0.15


def test_rules_in_rounds_refuse_what_they_cannot_do():
    for message, settings in (
        ("expected model and samples", {"rule": "roni"}),
        ("expected model and samples", {"rule": "loss-screen+median"}),
        ("rule = 'medina'", {"rule": "medina"}),
        ("malicious = -1", {"rule": "median", "malicious": -1}),
    ):
        with pytest.raises(InvalidInput, match=message):
            RuleInRounds(**settings)
    with pytest.raises(InvalidInput, match="defender = 9"):
        RuleInRounds(rule="median", defender=9).start(9, 4)
