"""Contributions to a score from recorded updates: definitions, agreement on digits, cost, bad input."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from contracts.errors import InvalidInput
from mechanisms.aggregation import RuleInRounds
from mechanisms.datasets import load, split
from mechanisms.local_training import LocalTraining
from mechanisms.models import SoftmaxRegression
from mechanisms.recorded_games import (
    RecordedRounds,
    Recorder,
    exact_contributions,
    gtg_shapley,
    leave_one_out,
    round_contributions,
)
from mechanisms.shapley import shapley
from mechanisms.training import train


def drawn(seed, rounds=3, participants=4, size=5):
    draw = np.random.default_rng(seed)
    return RecordedRounds(
        starts=draw.normal(size=(rounds, size)),
        updates=draw.normal(size=(rounds, participants, size)),
        weights=draw.integers(1, 5, participants),
    )


def score(parameters):
    return float(np.tanh(parameters).sum() - parameters[0] ** 2)


@given(st.integers(0, 10**6))
@settings(max_examples=15)
def test_games_are_their_definitions(seed):
    recorded = drawn(seed)

    def mean(number, members):
        weights = recorded.weights[list(members)]
        return weights @ recorded.updates[number, list(members)] / weights.sum() if members else 0.0

    def whole(members):
        return score(recorded.starts[0] + sum(mean(t, members) for t in range(3)))

    exact = exact_contributions(recorded, score)
    np.testing.assert_allclose(exact.values, shapley(whole, players=4).values, atol=1e-9)
    assert exact.evaluations == 16
    assert exact.efficiency_gap < 1e-9
    rounds = [
        shapley(lambda members, t=t: score(recorded.starts[t] + mean(t, members)), players=4).values
        for t in range(3)
    ]
    found = round_contributions(recorded, score, decay=0.5)
    np.testing.assert_allclose(found.values, rounds[0] + rounds[1] / 2 + rounds[2] / 4, atol=1e-9)
    left = leave_one_out(recorded, score)
    np.testing.assert_allclose(left.values[1], whole((0, 1, 2, 3)) - whole((0, 2, 3)), atol=1e-9)
    assert left.evaluations == 6
    sampled = gtg_shapley(recorded, score, between=0, within=0, settled=1e-9, most_sweeps=300)
    slack = 0.25 * np.abs(np.array(rounds)).sum(axis=0).max()
    np.testing.assert_allclose(sampled.values, sum(rounds), atol=slack)
    assert sampled.efficiency_gap < 1e-9


@pytest.fixture(scope="module")
def on_digits():
    digits = load("digits", validation=300, test=300)
    parts = split(digits, participants=5, samples=60, label_noise=[0, 0, 0, 0.4, 0.9])
    model, recorder = SoftmaxRegression(features=64, classes=10), Recorder()
    run = train(model, parts, rounds=5, local=LocalTraining(epochs=5), aggregate=recorder)

    def accuracy(parameters):
        return model.accuracy(parameters, digits.validation.inputs, digits.validation.labels)

    return recorder.rounds(), accuracy, run


def test_on_digits_the_ways_agree_and_noise_is_worth_least(on_digits):
    recorded, accuracy, run = on_digits
    exact, rounds = exact_contributions(recorded, accuracy), round_contributions(recorded, accuracy)
    sampled = gtg_shapley(recorded, accuracy)
    np.testing.assert_allclose(recorded.model((0, 1, 2, 3, 4)), run.params, atol=1e-9)
    assert exact.total == pytest.approx(rounds.total)  # the rounds' gains telescope
    for found in (exact, rounds, sampled, leave_one_out(recorded, accuracy)):
        assert np.argmin(found.values) == 4
        assert found.values[4] < found.values[:3].min()
    assert stats.pearsonr(rounds.values, sampled.values)[0] > 0.95
    assert np.abs(rounds.values - sampled.values).max() < 0.05
    assert stats.pearsonr(exact.values, rounds.values)[0] > 0.8


def test_on_digits_each_way_costs_what_it_says(on_digits):
    """Models scored, counted by the score itself: 2^n, rounds times 2^n, n + 2, and fewer by truncation."""
    recorded, accuracy, _ = on_digits
    asked = []

    def counted(parameters):
        asked.append(1)
        return accuracy(parameters)

    costs = {}
    for way in (exact_contributions, round_contributions, leave_one_out, gtg_shapley):
        asked.clear()
        found = way(recorded, counted)
        assert found.evaluations == len(asked)
        costs[way] = found.evaluations
    assert costs[exact_contributions] == 2**5
    assert costs[round_contributions] == 5 * 2**5
    assert costs[leave_one_out] == 5 + 2
    # among five, most coalitions are met in some order: truncation saves little
    assert costs[gtg_shapley] < costs[round_contributions]


def test_on_digits_ten_participants_agree_with_exact_values():
    """Of ten, of whom the labels get worse: 1024 models for exact values, a fraction for the sampled ones."""
    digits = load("digits", validation=300, test=300)
    noise = np.linspace(0, 0.9, 10)
    parts = split(digits, participants=10, samples=60, label_noise=noise)
    model, recorder = SoftmaxRegression(features=64, classes=10), Recorder()
    train(model, parts, rounds=3, local=LocalTraining(epochs=5), aggregate=recorder)
    recorded = recorder.rounds()

    def accuracy(parameters):
        return model.accuracy(parameters, digits.validation.inputs, digits.validation.labels)

    by_rounds, sampled = round_contributions(recorded, accuracy), gtg_shapley(recorded, accuracy)
    assert by_rounds.evaluations == 3 * 2**10
    assert sampled.evaluations < 0.7 * by_rounds.evaluations
    assert stats.pearsonr(by_rounds.values, sampled.values)[0] > 0.99
    assert np.abs(by_rounds.values - sampled.values).max() < 0.04
    assert stats.kendalltau(by_rounds.values, -noise)[0] > 0.7
    exact, left = exact_contributions(recorded, accuracy), leave_one_out(recorded, accuracy)
    assert (exact.evaluations, left.evaluations) == (2**10, 10 + 2)
    assert stats.pearsonr(exact.values, by_rounds.values)[0] > 0.85
    # cheapest and worst: what others bring, too, counts for nobody
    assert stats.pearsonr(exact.values, left.values)[0] < stats.pearsonr(exact.values, by_rounds.values)[0]


def test_the_recorder_leaves_the_run_as_it_is_and_keeps_hostile_updates():
    iris = load("iris")
    parts, model = split(iris, participants=4), SoftmaxRegression(features=4, classes=3)

    def spoil(updates, _):
        updates = updates.copy()
        updates[2] = np.nan
        return updates

    for rule in (RuleInRounds(rule="trimmed-mean", malicious=1), lambda rows: np.nanmedian(rows, axis=0)):
        plain = train(model, parts, rounds=3, aggregate=rule, corrupt=spoil)
        recorder = Recorder(rule=rule)
        run = train(model, parts, rounds=3, aggregate=recorder, corrupt=spoil)
        np.testing.assert_array_equal(run.params, plain.params)
        values = leave_one_out(recorder.rounds(), lambda parameters: float(parameters @ parameters)).values
        assert values[2] == 0  # what is not finite was not sent


def test_rounds_that_change_nothing_cost_two_models_and_truncation_saves_the_rest():
    still = RecordedRounds(starts=np.zeros((2, 1)), updates=np.zeros((2, 3, 1)), weights=[1, 1, 1])
    found = gtg_shapley(still, lambda parameters: float(parameters[0]))
    assert (found.skipped, found.evaluations) == (2, 4)
    assert not found.values.any()
    enough = RecordedRounds(starts=[[0.0]], updates=np.ones((1, 6, 1)), weights=np.ones(6))
    quick = gtg_shapley(enough, lambda parameters: float(parameters[0]))
    assert quick.evaluations == 8  # whoever comes first brings everything
    np.testing.assert_allclose(quick.values, 1 / 6)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: exact_contributions(drawn(0, participants=13), score), "at most 12; use gtg_shapley"),
        (lambda: leave_one_out(drawn(0), lambda _: math.nan), "score of coalition (0, 1, 2, 3) = nan"),
        (lambda: leave_one_out(drawn(0), lambda _: "high"), "expected a finite number"),
        (lambda: gtg_shapley(drawn(0), score, within=-1), "within = -1"),
        (lambda: gtg_shapley(drawn(0), score, settled=0), "settled = 0"),
        (lambda: gtg_shapley(drawn(0), score, most_sweeps=1), "most_sweeps = 1"),
        (lambda: round_contributions(drawn(0), score, decay=0), "decay = 0"),
        (lambda: RecordedRounds(starts=[[0.0]], updates=[[1.0]], weights=[1]), "updates has shape (1, 1)"),
        (lambda: RecordedRounds(starts=[[0.0, 1.0]], updates=[[[1.0]]], weights=[1]), "starts has shape (1, 2)"),
        (lambda: RecordedRounds(starts=[[0.0]], updates=[[[1.0]]], weights=[0]), "weights: expected"),
        (lambda: Recorder().rounds(), "nothing was recorded"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(InvalidInput) as caught:
        call()
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
