"""Shapley values of any coalition game: exact from all coalitions, or sampled with confidence intervals.

A coalition game gives every set of players a value, v(S). The Shapley value of player i is its marginal
contribution v(S + i) - v(S) averaged over a uniformly random order of arrival (Shapley 1953). A table of
coalition values is indexed by the coalition's bits: entry `sum(2**i for i in S)` holds v(S).
"""

from __future__ import annotations

import bisect
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike
from scipy import special

from contracts import checks
from contracts.errors import InvalidInput
from mechanisms.confidence import betting_interval
from mechanisms.seeds import LARGEST_SEED

if TYPE_CHECKING:
    import pandas

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
        guaranteed: whether that is proved, from a known range of marginal contributions, or approximate.
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
    guaranteed: bool = True
    total: float
    efficiency_gap: float
    evaluations: int
    permutations: int
    met: bool
    method: str

    def to_dataframe(self) -> pandas.DataFrame:
        """The values and their intervals as a data frame, one row per player from 0 (needs pandas).

        >>> shapley_from_table([0, 1, 3, 4]).to_dataframe()["value"].tolist()
        [1.0, 3.0]
        """
        from contracts.frames import frame

        columns = {
            "value": self.values,
            "low": self.values - self.half_widths,
            "high": self.values + self.half_widths,
        }
        return frame(columns, range(self.values.size), "player")

    def __repr__(self) -> str:
        first = [f"{value:.4g}" for value in self.values]
        shown = ", ".join(first if len(first) <= 8 else [*first[:2], "...", first[-1]])
        if self.permutations == 0:
            return f"Shapley values ({shown}), exact from all coalitions"
        return (
            f"Shapley values ({shown}) +- {self.half_widths.max():.2g} ({self.confidence:.0%}"
            f"{'' if self.guaranteed else ', approximately'}, {self.permutations} permutations)"
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
    marginals: tuple[float, float] | None = None,
    confidence: float = 0.95,
    max_permutations: int = 10_000,
    seed: int = 0,
) -> ShapleyValues:
    """Estimate Shapley values from random orders of arrival until all intervals are narrow enough.

    Orders come in antithetic pairs (an order and its reverse; Mitchell et al. 2022), whose mean is one
    observation. The intervals are a confidence sequence (`mechanisms.confidence`), looked at after 32, 64, 128,
    ... pairs; the error probability is shared equally among players.

    *With the range of marginal contributions given*, all intervals hold together with at least probability
    `confidence`, whatever the game and whenever sampling stops. *Without it*, the range of all contributions
    seen so far, of every player, and zero, is taken for it: the confidence is then approximate, as a rare
    contribution larger than any seen makes it fail, and `guaranteed` is false. Contributions that never vary
    are no proof that they never do: half-widths fall with the number of orders, and if nothing was seen but zero
    they are infinite. If all coalitions have been met along the way, the result is exact.

    Args:
        game: the value of a coalition, given as a sorted tuple of player numbers from 0.
        players: how many, >= 1.
        tolerance: the half-width wanted for every player, > 0, in the unit of the game's values.
        marginals: the least and the largest any marginal contribution v(S + i) - v(S) can be, such as (-1, 1)
            for accuracies; None if unknown.
        confidence: in (0, 1).
        max_permutations: stop here even if the tolerance is not met (`met` is then false), >= 64.
        seed: decides the orders.

    Raises:
        InvalidInput: an argument out of range, a coalition whose value is not a finite number, or a marginal
            contribution outside the range given.

    >>> sample_shapley(lambda coalition: len(coalition) / 12, players=12, tolerance=0.05, marginals=(0, 0.2))
    Shapley values (0.08333, 0.08333, ..., 0.08333) +- 0.035 (95%, 64 permutations)
    >>> sample_shapley(lambda coalition: len(coalition) ** 2, players=4, tolerance=0.2)
    Shapley values (4, 4, 4, 4), exact from all coalitions
    """
    count = checks.integer("players", players, low=1)
    tolerance = checks.number("tolerance", tolerance, low=0, open_low=True)
    confidence = checks.number("confidence", confidence, low=0, high=1, open_low=True, open_high=True)
    most = checks.integer("max_permutations", max_permutations, low=2 * FIRST_LOOK) // 2
    draw = np.random.default_rng(checks.integer("seed", seed, high=LARGEST_SEED))
    bounds = np.zeros(2) if marginals is None else checks.array("marginals", marginals, length=2)
    if marginals is not None and bounds[0] >= bounds[1]:
        raise InvalidInput(f"marginals = {marginals}: expected the least, then the largest contribution")
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

    pairs: list[np.ndarray] = []
    seen = np.zeros(2) if marginals is None else bounds
    target = FIRST_LOOK
    while True:
        while len(pairs) < target:
            order = draw.permutation(count)
            both = _marginals(value, order), _marginals(value, order[::-1])
            if marginals is None:
                seen = np.array([min(seen[0], np.min(both)), max(seen[1], np.max(both))])
            else:
                _check_marginals(both, bounds)
            pairs.append((both[0] + both[1]) / 2)
        if count <= MOST_PLAYERS and len(known) == 2**count:
            exact = shapley_from_table([known[_members(bits, count)] for bits in range(2**count)])
            return replace(exact, evaluations=evaluations)
        sample = np.array(pairs)
        estimate = sample.mean(axis=0)
        half = _half_widths(sample, estimate, seen, (1 - confidence) / count)
        if half.max() <= tolerance or target >= most:
            break
        target = min(2 * target, most)
    total = value(tuple(range(count))) - value(())
    return ShapleyValues(
        values=estimate,
        half_widths=half,
        confidence=confidence,
        guaranteed=marginals is not None,
        total=total,
        efficiency_gap=abs(float(estimate.sum() - total)),
        evaluations=evaluations,
        permutations=2 * len(pairs),
        met=bool(half.max() <= tolerance),
        method="permutations",
    )


def _half_widths(sample: np.ndarray, estimate: np.ndarray, seen: np.ndarray, error: float) -> np.ndarray:
    low, high = seen
    if high == low:
        return np.full(len(estimate), np.inf)  # nothing was seen but one number
    below, above = betting_interval(sample, low=low, high=high, error=error)
    return np.maximum(above - estimate, estimate - below)


def _check_marginals(both: tuple[np.ndarray, np.ndarray], bounds: np.ndarray) -> None:
    low, high = bounds
    slack = 1e-9 * (high - low)
    for found in both:
        outside = np.flatnonzero((found < low - slack) | (found > high + slack))
        if len(outside):
            raise InvalidInput(
                f"marginals = ({low:g}, {high:g}): player {outside[0]} contributed {found[outside[0]]:g}"
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
