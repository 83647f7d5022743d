"""The real-data demonstrations: measured errors against the model, and the kept measurements."""

import json
from pathlib import Path

import numpy as np
import pytest

from contracts.errors import InvalidInput
from equilibria.label_noise import label_noise
from equilibria.welfare import FullInformationRule
from modelpact.play import read_game

EXAMPLES = Path(__file__).parents[2] / "examples" / "label_noise"
RATES = np.array([0.02, 0.041, 0.064, 0.091, 0.123, 0.16, 0.207, 0.27, 0.364, 0.553])


@pytest.fixture(scope="module")
def digits():
    task = label_noise("digits", RATES)
    sizes = [30, 60, 120, 240, 480]
    return task, task.calibrated_game(sizes, task.learning_curve(sizes, repeats=60), standalone=60)


def test_the_fitted_game_is_the_reference_one(digits):
    # Reference, from another split: alpha 2.5255, gamma .7035, kappa .2414; clean errors .241 .141 .082 .052
    # .035.
    task, game = digits
    assert np.isclose(game.exponent, 0.70, atol=0.03)
    assert np.isclose(game.complexity, 2.5, atol=0.3)
    assert np.isclose(game.standalone_contribution, 60)
    assert np.isclose(game.standalone_loss, 0.241, atol=0.01)
    clean = task.learning_curve([30, 120, 480], repeats=60)
    assert np.allclose(clean, [0.241, 0.082, 0.035], atol=0.01)


def test_measured_errors_rise_as_the_best_leave(digits):
    task, game = digits
    reference = [0.229, 0.295, 0.393, 0.602]
    errors = []
    for first, expected in zip((0, 3, 6, 9), reference, strict=True):
        members = np.arange(first, 10)
        measured = task.error(game.contributions(members), repeats=60)
        errors.append(measured.mean)
        assert np.isclose(measured.mean, expected, atol=0.02)
        assert measured.standard_error < 0.02
    assert np.all(np.diff(errors) > 0.03)


def test_full_information_is_far_better_and_rational_up_to_model_misfit(digits):
    task, game = digits
    full = game.with_rule(FullInformationRule())
    assert np.allclose(full.contributions()[:2], [103, 100], atol=6)
    measured = task.error(full.contributions(), repeats=60)
    assert np.isclose(measured.mean, 0.0845, atol=0.01)
    gains = task.measured_gains(full, repeats=40)
    assert gains[0] > -0.02
    assert gains[2:].min() > 0.15


@pytest.mark.slow
def test_the_measured_cascade_ends_with_the_worst_agent(digits):
    task, game = digits
    cascade = task.cascade(game, repeats=60)
    assert cascade.sizes[0] == 10
    assert cascade.sizes[-1] == 1
    assert np.flatnonzero(cascade.left_after == len(cascade.sizes) - 1).tolist() == [9]
    assert (np.diff(cascade.errors) > 0).all()


def test_rates_are_estimated_from_samples(digits):
    task, _ = digits
    estimates = np.stack([task.estimates(400, seed=seed) for seed in range(5)])
    # One trusted probe serves all agents, so the shared error of its base rate does not average out.
    assert np.abs(estimates.mean(axis=0) - RATES).max() < 0.06
    assert np.abs(np.diff(estimates.mean(axis=0)) - np.diff(RATES)).max() < 0.05


def test_errors_follow_the_seed(digits):
    task, _ = digits
    counts = [10.0] * 10
    assert task.error(counts, repeats=5, seed=1).mean == task.error(counts, repeats=5, seed=1).mean
    assert task.error(counts, repeats=5, seed=1).mean != task.error(counts, repeats=5, seed=2).mean


@pytest.mark.parametrize("name", ["digits", "breast_cancer"])
def test_kept_measurements_belong_to_the_kept_game(name):
    kept = json.loads((EXAMPLES / f"{name}.json").read_text())
    file = read_game(EXAMPLES / f"{name}.toml")
    assert file.game.types.tolist() == kept["rates"]
    cascade = file.game.unravel()
    assert cascade.sizes.tolist() == kept["cascade"]["predicted_sizes"]
    predicted = [file.game.learning_error(np.arange(first, file.game.players)) for first in range(3)]
    assert np.allclose(predicted, kept["chain"]["predicted_error"][:3], atol=1e-4)
    assert kept["cascade"]["measured_sizes"][-1] == 1
    assert not any(row["proved"] for row in kept["verification"])


def test_breast_cancer_unravels_too():
    task = label_noise("breast_cancer", [0.01, 0.05, 0.2])
    assert task.classes == 2
    errors = [task.error(counts, repeats=40).mean for counts in ([60, 0, 0], [0, 60, 0], [0, 0, 60])]
    assert errors[0] < errors[1] < errors[2]


@pytest.mark.parametrize(
    "act",
    [
        lambda task: task.error([0] * 10),
        lambda task: task.error([1000] * 10),
        lambda task: task.error([10] * 9),
        lambda task: task.error([10] * 10, repeats=1),
        lambda task: task.learning_curve([0]),
        lambda task: task.learning_curve([10_000]),
        lambda task: task.calibrated_game([10, 20], [0.1, 0.2], standalone=5),
        lambda task: task.calibrated_game([10, 20], [0.4, 0.1], standalone=5),
        lambda task: task.calibrated_game([10], [0.1], standalone=5),
        lambda task: task.estimates(0),
        lambda task: task.estimates(10_000),
    ],
)
def test_bad_input(digits, act):
    with pytest.raises(InvalidInput) as caught:
        act(digits[0])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("data", "rates"), [("iris", [0.1]), ("digits", [1.0]), ("digits", [np.nan])])
def test_bad_tasks(data, rates):
    with pytest.raises(InvalidInput):
        label_noise(data, rates)
