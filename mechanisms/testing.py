"""Hypothesis strategies and assertions for whoever builds on this package.

Strategies draw small valid inputs; assertions state laws and name what breaks them. They are the ones the
package's own tests use. Hypothesis is needed to call a strategy.
"""

from __future__ import annotations

import itertools
import math
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


HOSTILE = ("enormous", "tiny", "not finite", "copies", "one bit off", "colluding", "opposed", "spread", "mixed")


def hostile_updates(honest: np.ndarray, malicious: int, *, kind: str, seed: int) -> np.ndarray:
    """The honest updates and rows made to break a rule, in an order of the seed's.

    Args:
        honest: (h, d) honest updates, float32 or float64.
        malicious: how many hostile rows are added.
        kind: one of `HOSTILE`: as large as the type holds, as small, NaN and infinities, copies of honest rows,
            copies with one bit changed, all equal at some distance from the honest mean, enormous and opposed to
            one another, each somewhere else, or some of all.
        seed: decides what is left open.

    Returns:
        (h + malicious, d) updates of the type of `honest`.

    >>> hostile_updates(np.zeros((3, 2)), 1, kind="not finite", seed=0).shape
    (4, 2)
    """
    draw = np.random.default_rng(seed)
    order = draw.permutation(len(honest) + malicious)
    one = "" if kind == "mixed" else kind
    rows = [_hostile(honest, one or str(draw.choice(HOSTILE[:-1])), draw) for _ in range(malicious)]
    if kind == "colluding":
        rows = rows[:1] * malicious
    if kind == "opposed":
        rows = [row * (-1) ** index for index, row in enumerate(rows[:1] * malicious)]
    return np.vstack([honest, *rows]).astype(honest.dtype)[order]


def _hostile(honest: np.ndarray, kind: str, draw: np.random.Generator) -> np.ndarray:
    """One hostile row."""
    size, largest = honest.shape[1], float(np.finfo(honest.dtype).max)
    heading, row = draw.standard_normal(size), honest[draw.integers(len(honest))].copy()
    if kind in ("enormous", "opposed"):
        most = math.log10(largest) - 1
        length = 10 ** draw.uniform(2, most) if draw.random() < 0.5 else 10**most
        return heading / np.abs(heading).max() * length
    match kind:
        case "tiny":
            return heading * float(np.finfo(honest.dtype).tiny) * 10 ** draw.uniform(0, 20)
        case "not finite":
            row[draw.integers(size)] = draw.choice([np.nan, np.inf, -np.inf])
            return row
        case "copies":
            return row
        case "one bit off":
            place = draw.integers(size)
            row[place] = np.nextafter(row[place], honest.dtype.type(draw.choice([-np.inf, np.inf])))
            return row
    spread = honest.std(axis=0, dtype=np.longdouble).astype(float)
    heading = np.sign(heading) if draw.random() < 0.5 else heading
    return honest.mean(axis=0, dtype=np.longdouble).astype(float) + 10 ** draw.uniform(-1, 4) * spread * heading


def error_ratio(result: np.ndarray, honest: np.ndarray) -> float:
    """|result - mean|^2 over the mean squared distance of the honest rows to their mean.

    An error of the last digits counts as none: 64 roundings of the largest honest entry in every parameter.

    >>> round(error_ratio(np.array([2.0]), np.array([[0.0], [2.0]])), 9)
    1.0
    """
    rows = np.asarray(honest, np.longdouble)
    center = rows.mean(axis=0)
    spread = float(np.sqrt(((rows - center) ** 2).sum() / len(rows)))
    rounding = 64 * float(np.finfo(honest.dtype).eps) * float(np.abs(rows).max()) * math.sqrt(rows.shape[1])
    error = float(np.sqrt(((np.asarray(result, np.longdouble) - center) ** 2).sum()))
    error = error - rounding if not error <= rounding else 0.0  # what is not a number stays so
    if error == 0:
        return 0.0
    ratio = error / spread if spread > 0 else math.inf
    return ratio * ratio


def robustness_ratio(rule: Callable[[np.ndarray], np.ndarray], values: np.ndarray, malicious: int) -> float:
    """The largest |rule(U) - mean_S|^2 over the mean squared distance to mean_S, over all sets S of n - f
    rows.

    A rule is (f, kappa)-robust if this is at most kappa for all updates (Allouah et al., AISTATS 2023).

    >>> from mechanisms.aggregation import mean, median
    >>> rows = np.array([[0.0], [1.0], [2.0], [1e6]])
    >>> robustness_ratio(mean, rows, 1) > 1e9 > 10 > robustness_ratio(median, rows, 1)
    True
    """
    result, size = rule(values), len(values)
    subsets = itertools.combinations(range(size), size - malicious)
    return max(error_ratio(result, values[list(subset)]) for subset in subsets)
