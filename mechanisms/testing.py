"""Hypothesis strategies and assertions for whoever builds on this package.

Strategies draw small valid inputs; assertions state laws and name what breaks them. They are the ones the
package's own tests use. Hypothesis is needed to call a strategy.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from contracts.errors import BackendMissing
from mechanisms.datasets import Dataset, Samples
from mechanisms.shapley import Game, ShapleyValues

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy


def _strategies():
    try:
        from hypothesis import strategies
    except ImportError as error:
        raise BackendMissing("hypothesis", "drawing test cases", "test") from error
    return strategies


def update_matrices(
    *, participants: tuple[int, int] = (1, 6), size: tuple[int, int] = (1, 12)
) -> SearchStrategy[np.ndarray]:
    """Draw updates, one row per participant, some of them zero, repeated or opposite to another."""
    st = _strategies()

    @st.composite
    def draw(choose):
        count, width = choose(st.integers(*participants)), choose(st.integers(*size))
        random = np.random.default_rng(choose(st.integers(0, 2**32 - 1)))
        rows = random.normal(size=(count, width)) * 10.0 ** choose(st.integers(-6, 6))
        for row in range(1, count):
            match choose(st.sampled_from(["new", "new", "new", "zero", "repeat", "opposite"])):
                case "zero":
                    rows[row] = 0
                case "repeat":
                    rows[row] = rows[row - 1]
                case "opposite":
                    rows[row] = -0.5 * rows[row - 1]
        return rows

    return draw()


def updates_to_aggregate(
    *, rows: tuple[int, int] = (7, 12), columns: tuple[int, int] = (1, 5)
) -> SearchStrategy[np.ndarray]:
    """Draw (n, d) updates: small whole numbers, full of ties and equal rows, or draws without ties.

    Args:
        rows: the least and largest n.
        columns: the least and largest d.
    """
    st = _strategies()

    @st.composite
    def draw(choose):
        shape = choose(st.integers(*rows)), choose(st.integers(*columns))
        if choose(st.booleans()):
            count = shape[0] * shape[1]
            entries = choose(st.lists(st.integers(-3, 3), min_size=count, max_size=count))
            return np.array(entries, float).reshape(shape)
        return np.random.default_rng(choose(st.integers(0, 2**32 - 1))).standard_normal(shape)

    return draw()


def coalition_tables(*, players: tuple[int, int] = (1, 6)) -> SearchStrategy[np.ndarray]:
    """Draw the values of all coalitions of a game, in bit order; nobody's value need not be zero."""
    st = _strategies()
    number = st.floats(-100, 100, allow_nan=False, width=32)
    return st.integers(*players).flatmap(
        lambda count: st.lists(number, min_size=2**count, max_size=2**count).map(np.array)
    )


def assert_shapley_axioms(game: Game, result: ShapleyValues, *, tolerance: float = 1e-10) -> None:
    """Assert efficiency, and symmetry and null players as found by comparing all coalitions.

    Args:
        game: of few players, all of whose coalitions are evaluated.
        result: what is claimed of it, exact.
        tolerance: relative to the largest coalition value.

    >>> from mechanisms.shapley import shapley
    >>> game = lambda coalition: float(len(coalition))
    >>> assert_shapley_axioms(game, shapley(game, players=3))
    """
    count = len(result.values)
    table = np.array(
        [game(tuple(i for i in range(count) if bits >> i & 1)) for bits in range(2**count)], dtype=float
    )
    slack = tolerance * max(1.0, float(np.abs(table).max()))
    coalitions = np.arange(2**count)
    gap = abs(result.values.sum() - (table[-1] - table[0]))
    assert gap <= slack, f"efficiency: values sum to {result.values.sum()}, off by {gap:.2e}"
    for i in range(count):
        without = coalitions[coalitions >> i & 1 == 0]
        if np.array_equal(table[without], table[without | 1 << i]):
            assert abs(result.values[i]) <= slack, f"null player {i} gets {result.values[i]:.2e}"
        for j in range(i):
            neither = without[without >> j & 1 == 0]
            if np.array_equal(table[neither | 1 << i], table[neither | 1 << j]):
                gap = abs(result.values[i] - result.values[j])
                assert gap <= slack, f"symmetric players {j} and {i} differ by {gap:.2e}"


def assert_rewards_follow(order: np.ndarray, rewards: np.ndarray, joint: np.ndarray) -> None:
    """Assert that a higher standing brings a reward closer to the joint step, in angle and in distance.

    Args:
        order: one standing per participant.
        rewards: one row per participant.
        joint: the joint step, not zero.

    >>> assert_rewards_follow(np.array([1, 2]), np.array([[1.0, 0.0], [1.0, 1.0]]), np.array([1.0, 1.0]))
    """
    unit = joint / np.linalg.norm(joint)
    lengths = np.linalg.norm(rewards, axis=1)
    cosines = np.divide(rewards @ unit, lengths, out=np.zeros(len(rewards)), where=lengths > 0)
    distances = np.linalg.norm(rewards - joint, axis=1)
    slack = 1e-12
    for better in range(len(order)):
        for worse in np.flatnonzero(order < order[better]):
            assert cosines[better] >= cosines[worse] - slack, f"{better} stands above {worse}: cosine lower"
            assert distances[better] <= distances[worse] + slack * np.linalg.norm(joint), (
                f"{better} stands above {worse}: distance larger"
            )


def assert_disjoint_split(dataset: Dataset, parts: tuple[Samples, ...]) -> None:
    """Assert that every participant holds training samples, and none of them more often than it exists.

    Labels may be noisy and are not compared.
    """
    assert all(len(part) for part in parts), "a participant is left empty"
    rows, stock = np.unique(dataset.train.inputs, axis=0, return_counts=True)
    held = {row.tobytes(): 0 for row in rows}
    for part in parts:
        for row in part.inputs:
            assert row.tobytes() in held, "a participant holds a sample that is not a training sample"
            held[row.tobytes()] += 1
    for row, count in zip(rows, stock, strict=True):
        assert held[row.tobytes()] <= count, "two participants hold the same sample"


def robustness_ratio(rule: Callable[[np.ndarray], np.ndarray], values: np.ndarray, malicious: int) -> float:
    """The largest |rule(U) - mean_S|^2 over the mean squared distance to mean_S, over all sets S of n - f
    rows.

    A rule is (f, kappa)-robust if this is at most kappa for all updates (Allouah et al., AISTATS 2023).

    >>> from mechanisms.aggregation import mean, median
    >>> rows = np.array([[0.0], [1.0], [2.0], [1e6]])
    >>> robustness_ratio(mean, rows, 1) > 1e9 > 10 > robustness_ratio(median, rows, 1)
    True
    """
    result, size, worst = rule(values), len(values), 0.0
    for subset in itertools.combinations(range(size), size - malicious):
        honest = values[list(subset)]
        center = honest.mean(axis=0)
        spread = np.mean(np.sum((honest - center) ** 2, axis=1))
        error = np.sum((result - center) ** 2)
        if spread > 0:
            worst = max(worst, float(error / spread))
        elif error > 1e-18 * max(1.0, float(np.sum(center**2))):
            return np.inf
    return worst
