"""The discrepancy over a whole class of models, exactly: decision stumps.

A stump tells one label where a feature is at most a threshold and another above; either may be one nobody has.
How its error differs between two samples is a sum over the two sides, so that the labels of each side can be
chosen by themselves; sorting each feature finds the largest difference over all stumps.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from contracts.checks import array
from contracts.errors import InvalidInput
from mechanisms.model_class import StumpClass
from mechanisms.shift import label_array
from mechanisms.verification import TypeEstimates, number_of_classes, with_radii


def largest_stump_difference(features: Any, labels: Any, trusted_features: Any, trusted_labels: Any) -> float:
    """The largest difference, over all decision stumps, between the errors on two samples, in [0, 1].

    Args:
        features: of one sample, shape (samples, features).
        labels: of that sample, shape (samples,).
        trusted_features: of the other, shape (trusted samples, features).
        trusted_labels: of the other, shape (trusted samples,).

    Raises:
        InvalidInput: samples that do not fit together.

    >>> largest_stump_difference([[0.0], [1.0]], [1, 0], [[0.0], [1.0]], [0, 1])
    1.0
    """
    own = array("features", features, ndim=2)
    other = array("trusted_features", trusted_features, ndim=2)
    if own.shape[1] != other.shape[1]:
        raise InvalidInput(f"features has {own.shape[1]} features: expected {other.shape[1]}")
    known = label_array("trusted_labels", trusted_labels, len(other))
    told = label_array("labels", labels, len(own), like=known)
    kinds, codes = np.unique(np.concatenate([told, known]), return_inverse=True)
    # Each sample counts with the sign of its side, each side with weight one, in the column of its label; the
    # last column is for labels that nobody has.
    mass = np.zeros((len(own) + len(other), kinds.size + 1))
    mass[np.arange(len(mass)), codes] = np.repeat([1.0 / len(own), -1.0 / len(other)], [len(own), len(other)])
    largest = 0.0
    for column in np.concatenate([own, other]).T:
        order = np.argsort(column, kind="stable")
        below = np.concatenate([np.zeros((1, kinds.size + 1)), np.cumsum(mass[order], axis=0)])
        ends = np.concatenate(
            [[True], column[order][1:] > column[order][:-1], [True]]
        )  # thresholds between equal values are none
        below, above = below[ends], mass.sum(axis=0) - below[ends]
        # A side that tells label y errs on all of its mass but y's.
        error = [side.sum(axis=1, keepdims=True) - side for side in (below, above)]
        most = sum(side.max(axis=1) for side in error)
        least = sum(side.min(axis=1) for side in error)
        largest = max(largest, float(np.max(most)), float(-np.min(least)))
    return min(1.0, largest)


def estimate_types_over_stumps(
    features: Sequence[Any],
    labels: Sequence[Any],
    trusted_features: Any,
    trusted_labels: Any,
    *,
    classes: int,
    confidence: float = 0.95,
) -> TypeEstimates:
    """Estimate every agent's discrepancy over all decision stumps, with the class-wide radius.

    Args:
        features: for each agent, their samples, shape (samples, features).
        labels: for each agent, the labels, shape (samples,).
        trusted_features: samples of the target, shape (trusted samples, features).
        trusted_labels: their labels, shape (trusted samples,).
        classes: how many different labels there may be at all, at least two, known beforehand.
        confidence: probability, in (0, 1), that all estimates are within their radius.

    Returns:
        The estimates, with radii that hold for every stump at once: about twice those of a single probe.

    Raises:
        InvalidInput: samples that do not fit together, or more labels than `classes`.

    >>> found = estimate_types_over_stumps([[[0.0], [1.0]]], [[1, 0]], [[0.0], [1.0]], [0, 1], classes=2)
    >>> found.estimates, str(found.model_class)
    (array([1.]), 'all decision stumps on 1 features, 3 labels')
    """
    if (
        not isinstance(features, Sequence)
        or not isinstance(labels, Sequence)
        or len(features) != len(labels)
        or not features
    ):
        raise InvalidInput("features, labels: expected a table and a list of labels for each agent, in lists")
    found = [
        largest_stump_difference(table, told, trusted_features, trusted_labels)
        for table, told in zip(features, labels, strict=True)
    ]
    kinds = number_of_classes(classes, [np.asarray(told) for told in labels], np.asarray(trusted_labels))
    # A side may also tell what nobody has.
    model_class = StumpClass(features=np.shape(trusted_features)[1], labels=kinds + 1)
    return with_radii(
        np.array(found), [len(told) for told in labels], len(trusted_labels), model_class, confidence
    )
