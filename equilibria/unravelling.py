"""Unravelling: who leaves when, and why.

In each round everybody who would rather train alone leaves at once. Under rules of equal shares this is the
simultaneous best-response dynamics: leavers never want to return, and from the grand coalition it ends at the
greatest equilibrium.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from contracts.records import frozen
from equilibria.coalition_game import CoalitionGame
from equilibria.pooled import EqualShareRule


@frozen
class UnravellingStep:
    """One round.

    Attributes:
        members: who is in at the start of the round, agent numbers.
        leavers: who of them leaves at its end, agent numbers.
        gains: what staying would have been worth to each leaver, below zero, in units of utility.
        least_gain: the smallest gain from staying of any member; infinite for an empty coalition.
        learning_error: the bound on the loss of the members' model; infinite without data.
        total_surplus: the members' total surplus.
    """

    members: Int[np.ndarray, " members"]
    leavers: Int[np.ndarray, " leavers"]
    gains: Float[np.ndarray, " leavers"]
    least_gain: float
    learning_error: float
    total_surplus: float


@frozen
class Unravelling:
    """The whole cascade, in memory proportional to agents plus rounds; a sequence of `UnravellingStep`.

    Attributes:
        left_after: the round, from zero, after which each agent left; the number of the last round for those
            who stayed and -1 for those who never were in or are refused, shape (agents,).
        gains_on_leaving: what staying was worth when they left, zero for the others, shape (agents,).
        sizes: members in each round, shape (rounds,).
        least_gains: smallest gain from staying of any member in each round, shape (rounds,).
        learning_errors: the bound on the loss of the model of each round, shape (rounds,).
        total_surpluses: the members' total surplus in each round, shape (rounds,).
        epsilon: largest gain of any agent by leaving or joining the last coalition; zero means Nash.

    >>> from equilibria.participation import ParticipationGame
    >>> game = ParticipationGame(types=[0.1, 0.2, 0.6], loss_weight=1.0, complexity=40.0, cost=3.125e-7)
    >>> [(step.leavers.tolist(), step.gains.round(3).tolist()) for step in game.unravel()]
    [([0, 1], [-0.154, -0.054]), ([], [])]
    """

    left_after: Int[np.ndarray, " agents"]
    gains_on_leaving: Float[np.ndarray, " agents"]
    sizes: Int[np.ndarray, " rounds"]
    least_gains: Float[np.ndarray, " rounds"]
    learning_errors: Float[np.ndarray, " rounds"]
    total_surpluses: Float[np.ndarray, " rounds"]
    epsilon: float

    def __len__(self) -> int:
        return self.sizes.size

    def __getitem__(self, index: int) -> UnravellingStep:
        number = range(len(self))[index]
        last = number == len(self) - 1
        leavers = np.flatnonzero((self.left_after == number) & (not last))
        return UnravellingStep(
            members=np.flatnonzero(self.left_after >= number),
            leavers=leavers,
            gains=self.gains_on_leaving[leavers],
            least_gain=float(self.least_gains[number]),
            learning_error=float(self.learning_errors[number]),
            total_surplus=float(self.total_surpluses[number]),
        )

    def __iter__(self) -> Iterator[UnravellingStep]:
        return (self[index] for index in range(len(self)))

    @property
    def final(self) -> np.ndarray:
        """Who is in at the end, boolean, shape (agents,)."""
        return self.left_after == len(self) - 1

    @property
    def complete(self) -> bool:
        """Whether at most one member is left of a coalition that had more."""
        return bool(self.sizes[0] > 1 >= self.sizes[-1])

    def __str__(self) -> str:
        lines = ["round  members  leaving  least gain  error bound  surplus"]
        shown = range(len(self)) if len(self) <= 24 else [*range(12), *range(len(self) - 12, len(self))]
        leaving = np.append(-np.diff(self.sizes), 0)
        for row in shown:
            if row and row - 1 not in shown:
                lines.append("  ...")
            lines.append(
                f"{row:>5}  {self.sizes[row]:>7}  {leaving[row]:>7}  {self.least_gains[row]:>10.4f}  "
                f"{self.learning_errors[row]:>11.5f}  {self.total_surpluses[row]:>7.4f}"
            )
        end = "equilibrium" if self.epsilon == 0.0 else f"an outsider or member still gains {self.epsilon:.3g}"
        return "\n".join([*lines, f"ends with {self.sizes[-1]} members: {end}"])


def unravel(game: CoalitionGame, start: Any = None) -> Unravelling:
    """Let everybody who would rather train alone leave, round after round, until nobody does.

    Args:
        game: the participation game.
        start: the first coalition; everybody, if omitted.

    Returns:
        The cascade, with the certificate of its last coalition.

    Raises:
        InvalidInput: `start` names unknown agents.

    >>> from equilibria.participation import ParticipationGame
    >>> game = ParticipationGame(types=[0.1, 0.2, 0.6], loss_weight=1.0, complexity=40.0, cost=3.125e-7)
    >>> print(unravel(game))
    round  members  leaving  least gain  error bound  surplus
        0        3        2     -0.1540      0.36934   0.1380
        1        1        0      0.0000      0.70000   0.0000
    ends with 1 members: equilibrium
    """
    members = game.profile(start)
    sortable = isinstance(game.rule, EqualShareRule) and game.alike
    rounds = _sorted_rounds if sortable else _general_rounds
    left_after, gains, rows = rounds(game, members)
    sizes, least, errors, totals = (np.array(column) for column in zip(*rows, strict=True))
    return Unravelling(
        left_after=left_after,
        gains_on_leaving=gains,
        sizes=sizes.astype(np.int64),
        least_gains=least,
        learning_errors=errors,
        total_surpluses=totals,
        epsilon=game.epsilon(left_after == len(sizes) - 1),
    )


def _general_rounds(game: CoalitionGame, members: np.ndarray):
    left_after = np.where(members, 0, -1)
    gains = np.zeros(game.players)
    rows = []
    while True:
        worth = game.surpluses(members)
        least = float(worth[members].min(initial=np.inf))
        rows.append((members.sum(), least, game.learning_error(members), worth.sum()))
        leaving = members & (worth < -game.tolerances)
        if not leaving.any():
            left_after[members] = len(rows) - 1
            return left_after, gains, rows
        left_after[leaving] = len(rows) - 1
        gains[leaving] = worth[leaving]
        members = members & ~leaving


def _sorted_rounds(game: CoalitionGame, members: np.ndarray):
    """The same rounds for equal shares: the leavers are always the best of those left, a binary search
    away."""
    rule = game.rule
    assert isinstance(rule, EqualShareRule)
    inside = np.flatnonzero(members & rule.eligible(game))
    order = inside[np.argsort(-game.types[inside], kind="stable")]
    worst_first = game.types[order]
    sums = np.cumsum(worst_first)
    sizes = np.arange(1.0, order.size + 1)
    margins = (game.standalone_loss - rule.group_loss(game, sizes)) / game.loss_weight
    noise = game.complexity * (sizes * rule.share(game, sizes)) ** -game.exponent
    left_after = np.full(game.players, -1)
    gains = np.zeros(game.players)
    rows = []
    size = order.size
    descending = -worst_first
    while size:
        mean, margin = sums[size - 1] / size, margins[size - 1]
        least = game.loss_weight * (margin - mean + worst_first[size - 1])
        error = game.loss_weight * (mean + noise[size - 1])
        rows.append((size, least, error, game.loss_weight * margin * size))
        threshold = mean - margin - game.tolerance / game.loss_weight
        remaining = int(np.searchsorted(descending[:size], -threshold, side="right"))
        if remaining == size:
            break
        leaving = order[remaining:size]
        left_after[leaving] = len(rows) - 1
        gains[leaving] = game.loss_weight * (margin - mean + game.types[leaving])
        size = remaining
    else:
        rows.append((0, np.inf, np.inf, 0.0))
    left_after[order[:size]] = len(rows) - 1
    return left_after, gains, rows
