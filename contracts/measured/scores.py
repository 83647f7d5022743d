"""Other scores than accuracy, as numbers in [0, 1] that rise with data: each by a monotone map.

| score | map | no data |
|---|---|---|
| accuracy, auc, r2 | itself | chance, 0.5, 0 |
| error | 1 - error | chance |
| cross-entropy (nats) | exp(-loss): the geometric mean of what the truth was given | 1 / classes |
| perplexity | 1 / perplexity | 1 / classes |

Standard errors go through the slope of the map (delta method). A valuation then speaks of the mapped score: a
loss that matters by itself is `valuation(score)` with `score = exp(-loss)`.
"""

from __future__ import annotations

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
# By what files call them.
NAMES = {
    "accuracy": "accuracy",
    "acc": "accuracy",
    "score": "accuracy",
    "test_score": "accuracy",
    "mean_test_score": "accuracy",
    "test_score_mean": "accuracy",
    "test_accuracy": "accuracy",
    "error": "error",
    "error_rate": "error",
    "test_error": "error",
    "loss": "cross-entropy",
    "log_loss": "cross-entropy",
    "cross_entropy": "cross-entropy",
    "test_loss": "cross-entropy",
    "perplexity": "perplexity",
    "ppl": "perplexity",
    "auc": "auc",
    "roc_auc": "auc",
    "r2": "r2",
    "r²": "r2",
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
