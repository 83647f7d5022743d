"""Other scores than accuracy, as numbers in [0, 1] that rise with data: each by a monotone map.

| score | map | no data |
|---|---|---|
| accuracy, auc, r2 | itself | chance, 0.5, 0 |
| error | 1 - error | chance |
| cross-entropy (nats) | exp(-loss): the geometric mean of what the truth was given | 1 / classes |
| perplexity | 1 / perplexity | 1 / classes |

Standard errors go through the slope of the map (delta method). A valuation then speaks of the mapped score;
where the loss matters by itself, `LossValuation` is linear in it. Squared and absolute errors have no scale of
their own: R² = 1 - mse / variance says what they are worth.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np


class Map(NamedTuple):
    """To the scale of accuracies and back, with the slope's size at the score."""

    there: Callable[[np.ndarray], np.ndarray]
    back: Callable[[np.ndarray], np.ndarray]
    slope: Callable[[np.ndarray], np.ndarray]


def _same(score: np.ndarray) -> np.ndarray:
    return score


def _one(score: np.ndarray) -> np.ndarray:
    return np.ones_like(score)


MAPS: dict[str, Map] = {
    "accuracy": Map(_same, _same, _one),
    "auc": Map(_same, _same, _one),
    "r2": Map(_same, _same, _one),
    "error": Map(lambda score: 1.0 - score, lambda value: 1.0 - value, _one),
    "cross-entropy": Map(
        lambda score: np.exp(-score),
        lambda value: -np.log(np.maximum(value, 1e-300)),
        lambda score: np.exp(-score),
    ),
    "perplexity": Map(
        lambda score: 1.0 / score, lambda value: 1.0 / np.maximum(value, 1e-300), lambda score: score**-2.0
    ),
}
# By what files call them: what was held out before what was trained on, the plainest name first.
NAMES: dict[str, str] = {
    name: kind
    for kind, names in (
        (
            "accuracy",
            "test_accuracy test_acc val_accuracy val_acc validation_accuracy valid_accuracy held_out_accuracy"
            " test_score test_score_mean mean_test_score test_scores val_score validation_score accuracy acc"
            " val_binary_accuracy val_categorical_accuracy val_sparse_categorical_accuracy binary_accuracy"
            " categorical_accuracy sparse_categorical_accuracy accuracy_score balanced_accuracy"
            " test_balanced_accuracy score genauigkeit exactitude",
        ),
        ("error", "test_error val_error error error_rate test_error_rate err misclassification_rate fehlerrate"),
        (
            "cross-entropy",
            "test_loss val_loss validation_loss eval_loss loss log_loss logloss test_log_loss neg_log_loss"
            " test_neg_log_loss cross_entropy crossentropy cross_entropy_loss nll bits_per_token bits_per_byte"
            " bits_per_character bpb bpc",
        ),
        ("perplexity", "test_perplexity val_perplexity eval_perplexity perplexity ppl"),
        ("auc", "test_auc val_auc auc roc_auc test_roc_auc auroc"),
        ("r2", "test_r2 val_r2 r2 r² r2_score r_squared test_r2_score"),
    )
    for name in names.split()
}
# What files hold in other units: the factor to those of the kind.
FACTORS = {
    **dict.fromkeys(("bits_per_token", "bits_per_byte", "bits_per_character", "bpb", "bpc"), math.log(2.0)),
    **dict.fromkeys(("neg_log_loss", "test_neg_log_loss"), -1.0),
}
# What a score of each kind may be, in words and as a range.
RANGES: dict[str, tuple[str, float, float]] = {
    "accuracy": ("a number in [0, 1]", 0.0, 1.0),
    "auc": ("a number in [0, 1]", 0.0, 1.0),
    "r2": ("a number in [0, 1] (R² below 0 is worse than the mean: leave it out)", 0.0, 1.0),
    "error": ("a number in [0, 1]", 0.0, 1.0),
    "cross-entropy": ("a finite number >= 0 (nats)", 0.0, 700.0),
    "perplexity": ("a finite number >= 1", 1.0, 1e300),
}
