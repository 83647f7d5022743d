"""Do samples come from where the target's come from? Tests for what probes cannot see.

Missing or rare labels: for each label, Fisher's exact test of its frequency among an agent's samples and among
the trusted ones. Other inputs: for each feature, the Kolmogorov-Smirnov test. Both are SciPy's, valid at every
sample size, and corrected (Bonferroni) for all agents, labels and features together.

What they find is wrong with at most the level's probability. What they do not find may still be there, within
what they can detect: that is stated beside the answer. Features are tested one by one; a difference in how
features go together, or in how labels follow from features, is not seen here (the latter is what probes
measure).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from jaxtyping import Bool, Float
from scipy import stats

from contracts.checks import array, brief, number
from contracts.errors import InvalidInput
from contracts.records import frozen


@frozen
class ShiftTests:
    """Whose samples differ from the target's, and what would have been found.

    Attributes:
        rejected: whether an agent's samples differ from the target's, boolean, shape (agents,).
        label_p: smallest p-value over the labels, times their number and the agents', at most one, shape
            (agents,).
        feature_p: the same over the features; ones if there were none, shape (agents,).
        absent: share of the trusted samples whose label none of the agent's samples has, shape (agents,).
        level: probability with which any agent is rejected whose samples are the target's, at most.
        power: probability with which the following are found, at least.
        detectable_share: smallest share of the target such that an agent who lacks that label altogether is
            found, in [0, 1], one if nothing is found, shape (agents,).
        detectable_distance: smallest difference of a feature's distribution functions that is found; above one,
            none is; infinite without features, shape (agents,).
    """

    rejected: Bool[np.ndarray, " agents"]
    label_p: Float[np.ndarray, " agents"]
    feature_p: Float[np.ndarray, " agents"]
    absent: Float[np.ndarray, " agents"]
    level: float
    power: float
    detectable_share: Float[np.ndarray, " agents"]
    detectable_distance: Float[np.ndarray, " agents"]

    def __str__(self) -> str:
        found = np.flatnonzero(self.rejected)
        lines = [
            f"agent {agent}: differs from the target (labels p {self.label_p[agent]:.2g}, features p "
            f"{self.feature_p[agent]:.2g}; lacks {self.absent[agent]:.0%} of its labels)"
            for agent in found
        ]
        named = (
            "nobody's samples are found to differ"
            if not lines
            else f"wrong with probability {self.level:g} at most"
        )
        text = (
            f"{named}; a missing label is found with probability {self.power:g} from a share of "
            f"{self.detectable_share.max():.2g}"
        )
        if np.isfinite(self.detectable_distance).all():
            text += f", a feature that differs from a distance of {self.detectable_distance.max():.2g}"
        return "\n".join([*lines, text])


def shift_tests(
    labels: Sequence[Any],
    trusted_labels: Any,
    *,
    features: Sequence[Any] | None = None,
    trusted_features: Any = None,
    level: float = 0.05,
    power: float = 0.8,
) -> ShiftTests:
    """Test whether each agent's samples come from the target's distribution of labels and of features.

    Args:
        labels: for each agent, the labels of their samples, shape (samples,).
        trusted_labels: labels of samples of the target.
        features: for each agent, their samples, shape (samples, features).
        trusted_features: samples of the target, shape (trusted samples, features); with `features`, or not at
            all.
        level: probability of any false alarm, in (0, 1), half for labels and half for features.
        power: for which what can be detected is stated, in (0, 1).

    Returns:
        Who differs, and what would have been found.

    Raises:
        InvalidInput: an argument outside its range, or samples that do not fit together.

    >>> found = shift_tests([[0] * 50 + [1] * 50, [0] * 100], [0, 1] * 100)
    >>> found.rejected.tolist(), found.absent.tolist()
    ([False, True], [0.0, 0.5])
    """
    limit = number("level", level, low=0.0, high=1.0, open_low=True, open_high=True)
    chance = number("power", power, low=0.0, high=1.0, open_low=True, open_high=True)
    if isinstance(labels, str) or not isinstance(labels, Sequence) or len(labels) == 0:
        raise InvalidInput("labels: expected the labels of at least one agent, in a list")
    trusted = label_array("trusted_labels", trusted_labels)
    told = [label_array(f"labels[{agent}]", entry, like=trusted) for agent, entry in enumerate(labels)]
    label_p, absent = (
        np.array(column) for column in zip(*[_label_test(entry, trusted) for entry in told], strict=True)
    )
    kinds = np.unique(np.concatenate([trusted, *told])).size
    share = limit if features is None else limit / 2.0
    label_p = np.minimum(1.0, label_p * kinds * len(told))
    feature_p, distance = np.ones(len(told)), np.full(len(told), np.inf)
    if features is not None or trusted_features is not None:
        feature_p, distance = _feature_tests(
            features, trusted_features, [entry.size for entry in told], limit / 2.0, chance
        )
    return ShiftTests(
        rejected=(label_p <= share) | (feature_p <= limit / 2.0),
        label_p=label_p,
        feature_p=feature_p,
        absent=absent,
        level=limit,
        power=chance,
        detectable_share=np.array(
            [_least_share(entry.size, trusted.size, share / (kinds * len(told)), chance) for entry in told]
        ),
        detectable_distance=distance,
    )


def label_array(name: str, value: Any, length: int | None = None, like: np.ndarray | None = None) -> np.ndarray:
    """Labels, whole numbers or texts (as those of `like` are), as an array of shape (samples,), or raise."""
    try:
        found = np.zeros(0) if isinstance(value, str) else np.asarray(value)
    except ValueError:  # ragged
        found = np.zeros(0)
    if found.ndim != 1 or not found.size or found.dtype.kind not in "iubU":
        raise InvalidInput(f"{name} = {brief(value)}: expected a list of labels, whole numbers or texts")
    if length is not None and found.size != length:
        raise InvalidInput(f"{name} has length {found.size}: expected {length}, one for each sample")
    if like is not None and (found.dtype.kind == "U") != (like.dtype.kind == "U"):
        expected = "texts" if like.dtype.kind == "U" else "whole numbers"
        raise InvalidInput(f"{name} = {brief(value)}: expected {expected}, as the target's labels are")
    return found


def _frequency_p(table: list[list[int]]) -> float:
    found: Any = stats.fisher_exact(table)
    return float(found[1])


def _label_test(labels: np.ndarray, trusted: np.ndarray) -> tuple[float, float]:
    """Smallest p-value of any label's frequency, and the trusted share of labels that are absent."""
    least, absent = 1.0, 0.0
    for label in np.unique(np.concatenate([trusted, labels])):
        own, target = int((labels == label).sum()), int((trusted == label).sum())
        table = [[own, labels.size - own], [target, trusted.size - target]]
        least = min(least, _frequency_p(table))
        absent += target / trusted.size if own == 0 else 0.0
    return least, absent


def _least_share(samples: int, trusted: int, level: float, power: float) -> float:
    """The share from which a label that an agent lacks is found: so many trusted samples must have it."""
    low, high = 0, trusted + 1
    while high - low > 1:
        middle = (low + high) // 2
        p = _frequency_p([[0, samples], [middle, trusted - middle]])
        low, high = (low, middle) if p <= level else (middle, high)
    return 1.0 if high > trusted else float(stats.beta.ppf(power, high, trusted - high + 1))


def _feature_tests(
    features: Any, trusted: Any, sizes: list[int], level: float, power: float
) -> tuple[np.ndarray, np.ndarray]:
    """Corrected p-values of the features that differ most, and the distances that would be found."""
    if features is None or trusted is None or isinstance(features, str) or not isinstance(features, Sequence):
        raise InvalidInput("features, trusted_features: expected both, a table of samples for each agent")
    target = array("trusted_features", trusted, ndim=2)
    if len(features) != len(sizes):
        raise InvalidInput(f"features has length {len(features)}: expected {len(sizes)}, one for each agent")
    p, distance = np.ones(len(sizes)), np.ones(len(sizes))
    for agent, (entry, size) in enumerate(zip(features, sizes, strict=True)):
        table = array(f"features[{agent}]", entry, ndim=2, length=size)
        if table.shape[1] != target.shape[1]:
            raise InvalidInput(f"features[{agent}] has {table.shape[1]} features: expected {target.shape[1]}")
        tests = target.shape[1] * len(sizes)
        found = [_distance_p(own, other) for own, other in zip(table.T, target.T, strict=True)]
        p[agent] = min(1.0, min(found) * tests)
        noise = np.sqrt(np.log(1.0 / (1.0 - power)) / 2.0 * (1.0 / size + 1.0 / len(target)))
        distance[agent] = _critical_distance(size, len(target), level / tests) + noise
    return p, distance


def _distance_p(own: np.ndarray, other: np.ndarray) -> float:
    with np.errstate(all="ignore"):
        found: Any = stats.ks_2samp(own, other)
    return float(found.pvalue)


@lru_cache(maxsize=256)
def _critical_distance(samples: int, trusted: int, level: float) -> float:
    """The distance from which the test rejects; its p-value depends on sizes and distance alone."""
    low, high = 0, samples + 1
    while high - low > 1:
        middle = (low + high) // 2
        own = np.repeat([0.0, 1.0], [middle, samples - middle])
        low, high = (low, middle) if _distance_p(own, np.ones(trusted)) <= level else (middle, high)
    return high / samples
