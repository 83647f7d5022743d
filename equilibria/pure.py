"""All pure Nash equilibria of a participation game.

For rules of equal shares with f strictly increasing there is a threshold theorem. Sort agents worst first,
d_1 >= ... >= d_J, and let U_m be the m worst. An insider of type theta stays if the sum over the coalition of
(theta_k - theta) is at most f(m); an outsider at least as bad as some insider then gains strictly by joining,
because f(m) < f(m+1). So every nonempty equilibrium is some U_m, and with T_m = sum_{k<=m} (d_k - d_m):

    U_m is an equilibrium  iff  T_m <= f(m)  and  ( m = J  or  T_{m+1} >= f(m+1) ).

Sorting and prefix sums find them all. Other rules, and agents who differ in cost or capacity, are enumerated.
The theorem is this project's own.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float, Int

from contracts.records import frozen
from equilibria.coalition_game import CoalitionGame
from equilibria.pooled import EqualShareRule
from equilibria.table import worth_table


@frozen
class PureEquilibrium:
    """One coalition nobody wants to leave or join.

    Attributes:
        members: agent numbers, ascending.
        regret: largest gain of any agent by changing their mind, in units of utility, at least zero.
        total_surplus: sum of what members get above training alone.
        learning_error: the bound on the loss of the coalition's model; infinite without data.
    """

    members: Int[np.ndarray, " members"]
    regret: float
    total_surplus: float
    learning_error: float


@frozen
class PureEquilibria:
    """The pure Nash equilibria of a participation game, smallest coalition first; a sequence.

    Attributes:
        coalitions: agent numbers of each equilibrium, worst agent first when found by the theorem.
        regrets: largest gain of any agent in each, at least zero.
        total_surpluses: the members' total surplus in each.
        learning_errors: the bound on the loss of each coalition's model; infinite for the empty one.
        method: "threshold theorem" or "enumeration".
        tolerance: gains up to here do not upset an equilibrium.

    >>> from equilibria.participation import ParticipationGame
    >>> game = ParticipationGame(types=[0.1, 0.2, 0.6], loss_weight=1.0, complexity=40.0, cost=3.125e-7)
    >>> print(game.pure_equilibria())
    2 pure Nash equilibria (threshold theorem)
            0 members, surplus 0: {}
            1 members, surplus 0: {2}
    """

    coalitions: tuple[np.ndarray, ...]
    regrets: Float[np.ndarray, " equilibria"]
    total_surpluses: Float[np.ndarray, " equilibria"]
    learning_errors: Float[np.ndarray, " equilibria"]
    method: str
    tolerance: float

    def __len__(self) -> int:
        return len(self.coalitions)

    def __getitem__(self, index: int) -> PureEquilibrium:
        return PureEquilibrium(
            members=np.sort(self.coalitions[index]),
            regret=float(self.regrets[index]),
            total_surplus=float(self.total_surpluses[index]),
            learning_error=float(self.learning_errors[index]),
        )

    def __iter__(self) -> Iterator[PureEquilibrium]:
        return (self[index] for index in range(len(self)))

    @property
    def sizes(self) -> np.ndarray:
        """Number of members of each equilibrium."""
        return np.array([members.size for members in self.coalitions], dtype=np.int64)

    def __str__(self) -> str:
        lines = [f"{len(self)} pure Nash equilibri{'um' if len(self) == 1 else 'a'} ({self.method})"]
        for coalition, surplus in zip(self.coalitions[:20], self.total_surpluses, strict=False):
            names = ", ".join(map(str, np.sort(coalition)[:12])) + (", ..." if coalition.size > 12 else "")
            lines.append(f"  {coalition.size:>7} members, surplus {surplus:.6g}: {{{names}}}")
        return "\n".join(lines + (["  ..."] if len(self) > 20 else []))


def pure_equilibria(game: CoalitionGame) -> PureEquilibria:
    """All pure Nash equilibria of `game`, ties broken in favour of the status quo within its tolerance.

    Agents refused by the rule are reported as outside; they are indifferent.

    Args:
        game: the participation game.

    Returns:
        The equilibria in order of size: by the threshold theorem in O(J log J) when the rule is one of equal
        shares with increasing f, else by enumerating the 2^J coalitions.

    Raises:
        InvalidInput: enumeration needs more memory than is free.

    >>> from equilibria.participation import ParticipationGame
    >>> game = ParticipationGame(types=[0.3, 0.31, 0.32], loss_weight=1.0, complexity=40.0, cost=3.125e-7)
    >>> pure_equilibria(game).sizes.tolist()
    [0, 3]
    """
    rule = game.rule
    if isinstance(rule, EqualShareRule) and game.alike:
        sizes = np.arange(1.0, game.players + 1)
        if (np.diff(rule.worth(game, sizes)) > 0).all():
            return _by_theorem(game, rule)
    return _by_enumeration(game)


def _by_theorem(game: CoalitionGame, rule: EqualShareRule) -> PureEquilibria:
    admitted = np.flatnonzero(rule.eligible(game))
    order = admitted[np.argsort(-game.types[admitted], kind="stable")]
    worst_first = game.types[order]
    size = np.arange(1.0, order.size + 1)
    # U_m's spread, T_m: the m-1 agents above the step from d_{m-1} to d_m each count it once.
    spread = np.concatenate([[0.0], np.cumsum(size[:-1] * -np.diff(worst_first))])
    least_gain = game.loss_weight * (rule.worth(game, size) - spread) / size
    joining = np.concatenate([least_gain[1:], [-np.inf]])
    regrets = np.maximum(np.maximum(-least_gain, joining), 0.0)
    found = np.flatnonzero(regrets <= game.tolerance)
    alone = max(0.0, float(least_gain[0]))
    empty = [0] if alone <= game.tolerance else []
    means = np.cumsum(worst_first) / size
    totals = size * rule.share(game, size)
    errors = game.loss_weight * (means + game.complexity * totals**-game.exponent)
    return PureEquilibria(
        coalitions=tuple(order[: m + 1] if m >= 0 else order[:0] for m in [*(-1 for _ in empty), *found]),
        regrets=np.concatenate([[alone] * len(empty), regrets[found]]),
        total_surpluses=np.concatenate([[0.0] * len(empty), game.loss_weight * rule.worth(game, size[found])]),
        learning_errors=np.concatenate([[np.inf] * len(empty), errors[found]]),
        method="threshold theorem",
        tolerance=game.tolerance,
    )


def _by_enumeration(game: CoalitionGame) -> PureEquilibria:
    coalitions, worth = worth_table(game)
    gains = np.where(coalitions, -worth, worth)
    regrets = gains.max(axis=1).clip(0.0)
    found = np.flatnonzero((gains <= game.tolerances).all(axis=1))
    found = found[np.argsort(coalitions[found].sum(axis=1), kind="stable")]
    members = coalitions[found]
    return PureEquilibria(
        coalitions=tuple(np.flatnonzero(mask) for mask in members),
        regrets=regrets[found],
        total_surpluses=(worth[found] * members).sum(axis=1),
        learning_errors=np.array([game.learning_error(mask) for mask in members]),
        method="enumeration",
        tolerance=game.tolerance,
    )
