"""Shapley values of any coalition game: exact from all coalitions, or sampled with confidence intervals.

A coalition game gives every set of players a value, v(S). The Shapley value of player i is its marginal
contribution v(S + i) - v(S) averaged over a uniformly random order of arrival (Shapley 1953). A table of
coalition values is indexed by the coalition's bits: entry `sum(2**i for i in S)` holds v(S).
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike
from scipy import special, stats

from contracts import checks
from contracts.errors import InvalidInput
from mechanisms.seeds import LARGEST_SEED

Game = Callable[[tuple[int, ...]], float]

MOST_PLAYERS = 24  # a table of 2^24 float64 values takes 134 MB
FIRST_LOOK = 32  # pairs of permutations before the first look at the intervals
REMEMBERED = 100_000  # coalition values kept while sampling; with many players few coalitions return


@dataclass(frozen=True, kw_only=True, eq=False)
class ShapleyValues:
    """Shapley values and how well they are known.

    Attributes:
        values: one per player.
        half_widths: half the width of each player's confidence interval; 0 if exact.
        confidence: the probability with which all intervals hold together; 1 if exact.
        total: v(everybody) - v(nobody), which the values sum to (efficiency).
        efficiency_gap: |sum of values - total|, recomputed.
        evaluations: coalition values used.
        permutations: orders of arrival sampled; 0 if exact.
        met: whether the tolerance asked for was met; always true if exact.
        method: "all coalitions" or "permutations".

    >>> shapley_from_table([0, 1, 3, 4])
    Shapley values (1, 3), exact from all coalitions
    """

    values: Float[np.ndarray, " players"]
    half_widths: Float[np.ndarray, " players"]
    confidence: float
    total: float
    efficiency_gap: float
    evaluations: int
    permutations: int
    met: bool
    method: str

    def __repr__(self) -> str:
        shown = ", ".join(f"{value:.4g}" for value in self.values)
        if self.permutations == 0:
            return f"Shapley values ({shown}), exact from all coalitions"
        return (
            f"Shapley values ({shown}) +- {self.half_widths.max():.2g} ({self.confidence:.0%}, "
            f"{self.permutations} permutations)"
        )


def shapley(game: Game, *, players: int) -> ShapleyValues:
    """Return exact Shapley values by evaluating all 2^players coalitions.

    Args:
        game: the value of a coalition, given as a sorted tuple of player numbers from 0.
        players: how many, from 1 to 24.

    Raises:
        InvalidInput: too many players, or a coalition whose value is not a finite number.

    >>> glove = lambda coalition: float(0 in coalition and len(coalition) > 1)  # 0 holds the only left glove
    >>> shapley(glove, players=3).values.round(4)
    array([0.6667, 0.1667, 0.1667])
    """
    count = checks.integer("players", players, low=1, high=MOST_PLAYERS)
    table = np.array([_value(game, _members(bits, count)) for bits in range(2**count)])
    return shapley_from_table(table)


def shapley_from_table(values: ArrayLike) -> ShapleyValues:
    """Return exact Shapley values from a table of all coalition values.

    The cost is a few passes over the table: v(S) enters the value of i with weight
    (|S|-1)! (n-|S|)! / n! if S holds i, and with -|S|! (n-|S|-1)! / n! otherwise, so all players share one
    weighted table of which each sums one half.

    Args:
        values: 2^n numbers in the order of the coalitions' bits.

    Raises:
        InvalidInput: a length that is not a power of two, or a value that is not finite.

    >>> shapley_from_table([0.0, 0.0, 0.0, 1.0]).values
    array([0.5, 0.5])
    """
    table = checks.array("values", values)
    count = len(table).bit_length() - 1
    if len(table) != 2**count or not 1 <= count <= MOST_PLAYERS:
        raise InvalidInput(f"values has length {len(table)}: expected 2^n for 1 to {MOST_PLAYERS} players")
    table = table - table[0]  # values are unchanged by a common shift, and rounding is relative to the rest
    sizes = _coalition_sizes(count)
    order = np.arange(count)
    arrival = 1 / (count * special.comb(count - 1, order))  # |S|! (n-|S|-1)! / n!
    leaving = np.append(arrival, 0.0)[sizes] * table
    joining = np.append(0.0, arrival)[sizes] * table + leaving
    phi = _halves(joining, count) - leaving.sum()
    return ShapleyValues(
        values=phi,
        half_widths=np.zeros(count),
        confidence=1.0,
        total=float(table[-1]),
        efficiency_gap=abs(float(phi.sum() - table[-1])),
        evaluations=len(table),
        permutations=0,
        met=True,
        method="all coalitions",
    )


def sample_shapley(
    game: Game,
    *,
    players: int,
    tolerance: float,
    confidence: float = 0.95,
    max_permutations: int = 10_000,
    seed: int = 0,
) -> ShapleyValues:
    """Estimate Shapley values from random orders of arrival until all intervals are narrow enough.

    Orders come in antithetic pairs (an order and its reverse; Mitchell et al. 2022), whose mean is one
    observation; the intervals are Student's. The intervals are looked at after 32, 64, 128, ... pairs, and
    the error probability is shared equally among all looks and players (union bound), so that the stopping
    rule does not spoil the confidence: at the end all intervals hold together with probability `confidence`,
    up to the normal approximation of means of at least 32 observations. Where a player's observed marginal
    contributions never vary the half-width is 0, which is a sample's word, not a proof.

    Args:
        game: the value of a coalition, given as a sorted tuple of player numbers from 0.
        players: how many, >= 1.
        tolerance: the half-width wanted for every player, > 0, in the unit of the game's values.
        confidence: in (0, 1).
        max_permutations: stop here even if the tolerance is not met (`met` is then false), >= 64.
        seed: decides the orders.

    Raises:
        InvalidInput: an argument out of range, or a coalition whose value is not a finite number.

    >>> sample_shapley(lambda coalition: float(len(coalition) ** 2), players=4, tolerance=0.2)
    Shapley values (4, 4, 4, 4) +- 0 (95%, 64 permutations)
    """
    count = checks.integer("players", players, low=1)
    tolerance = checks.number("tolerance", tolerance, low=0, open_low=True)
    confidence = checks.number("confidence", confidence, low=0, high=1, open_low=True, open_high=True)
    most = checks.integer("max_permutations", max_permutations, low=2 * FIRST_LOOK) // 2
    draw = np.random.default_rng(checks.integer("seed", seed, high=LARGEST_SEED))
    known: dict[tuple[int, ...], float] = {}

    evaluations = 0

    def value(coalition: tuple[int, ...]) -> float:
        nonlocal evaluations
        if coalition in known:
            return known[coalition]
        evaluations += 1
        found = _value(game, coalition)
        if len(known) < REMEMBERED:
            known[coalition] = found
        return found

    looks = 1 + math.ceil(math.log2(most / FIRST_LOOK))
    level = 1 - (1 - confidence) / (looks * count) / 2
    pairs: list[np.ndarray] = []
    target = FIRST_LOOK
    while True:
        while len(pairs) < target:
            order = draw.permutation(count)
            pairs.append((_marginals(value, order) + _marginals(value, order[::-1])) / 2)
        sample = np.array(pairs)
        spread = sample.std(axis=0, ddof=1)
        half = np.asarray(stats.t.ppf(level, len(pairs) - 1)) * spread / math.sqrt(len(pairs))
        if half.max() <= tolerance or target >= most:
            break
        target = min(2 * target, most)
    total = value(tuple(range(count))) - value(())
    estimate = sample.mean(axis=0)
    return ShapleyValues(
        values=estimate,
        half_widths=half,
        confidence=confidence,
        total=total,
        efficiency_gap=abs(float(estimate.sum() - total)),
        evaluations=evaluations,
        permutations=2 * len(pairs),
        met=bool(half.max() <= tolerance),
        method="permutations",
    )


def _marginals(value: Callable[[tuple[int, ...]], float], order: np.ndarray) -> np.ndarray:
    """What each player adds when the players arrive in this order."""
    marginals = np.zeros(len(order))
    before, present = value(()), ()
    for player in order:
        place = bisect.bisect(present, player)
        present = (*present[:place], int(player), *present[place:])
        after = value(present)
        marginals[player] = after - before
        before = after
    return marginals


def _value(game: Game, coalition: tuple[int, ...]) -> float:
    result = np.asarray(game(coalition))
    if result.size != 1 or result.dtype.kind not in "iufb" or not np.isfinite(result).all():
        raise InvalidInput(f"game({coalition}) = {result}: expected a finite number")
    return float(result.reshape(()))


def _members(bits: int, count: int) -> tuple[int, ...]:
    return tuple(player for player in range(count) if bits >> player & 1)


def _coalition_sizes(count: int) -> np.ndarray:
    sizes = np.zeros(1, dtype=np.int8)
    for _ in range(count):
        sizes = np.concatenate([sizes, sizes + 1])
    return sizes


def _halves(table: np.ndarray, count: int) -> np.ndarray:
    """For every player, the sum of the table over the coalitions that hold it."""
    sums = np.empty(count)
    for player in reversed(range(count)):
        half = table.reshape(2, -1)
        sums[player] = half[1].sum()
        table = half[0] + half[1]  # forget the highest player: 2^n + 2^(n-1) + ... steps in all
    return sums
