"""What a coalition costs its members, where they agree on it: the loss that decides which coalitions form.

Under a rule of equal shares all members of S lose the same, F(S) = mean type + psi(m) / a in units of a, and
alone theta_j + kappa / a. Under amounts fixed in advance they agree on F(S) = sum n_j theta_j / N + alpha
N^-gamma; what they pay for their own data is another matter, so each has an own level e_j of F at which being
alone is as good. In both cases the least F among any agents who admit every subset is that of a prefix by
quality.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from contracts.errors import InvalidInput
from contracts.records import frozen
from equilibria.coalition_game import CoalitionGame
from equilibria.fixed_amounts import FixedAmountsRule
from equilibria.pooled import EqualShareRule

#: Agents looked at first when the best prefix is sought; each further look doubles the number.
FIRST = 32


@dataclass(frozen=True, kw_only=True)
class BestPrefix:
    """The best agents who lose least together.

    Attributes:
        loss: what each loses, in units of the loss weight; infinite if there are fewer than two.
        size: how many they are.
        settled: whether no agents after those that were listed could make it better.
    """

    loss: float
    size: int
    settled: bool


@frozen
class CoalitionLoss:
    """The common loss of coalitions, in units of the loss weight.

    Attributes:
        types: discrepancy of each agent, shape (agents,).
        amounts: weight of each agent's type in the mean, shape (agents,).
        alone: the loss at which being alone is as good, shape (agents,).
        eligible: who may be in a coalition with others, boolean, shape (agents,).
        noise: from totals of the amounts to what they add to the mean type.
        floor: from a total to the least that any larger total adds.
        common: whether being alone, too, is ranked alike by all: then the best single agent is the best of all.
        tolerance: differences up to here are rounding.
    """

    types: Float[np.ndarray, " agents"]
    amounts: Float[np.ndarray, " agents"]
    alone: Float[np.ndarray, " agents"]
    eligible: Bool[np.ndarray, " agents"]
    noise: Callable[[np.ndarray], np.ndarray]
    floor: Callable[[float], float]
    common: bool
    tolerance: float

    def of(self, members: np.ndarray) -> float:
        """The loss of a coalition of at least two, by agent numbers."""
        total = self.amounts[members].sum()
        return float(self.amounts[members] @ self.types[members] / total + self.noise(np.array([total]))[0])

    def best_prefix(self, order: np.ndarray, most: int | None = None) -> BestPrefix:
        """The prefix of least loss among agents in order of quality, of at least two; of equals the largest.

        Args:
            order: agent numbers, best first.
            most: largest size, if it is limited.
        """
        order = order if most is None else order[:most]
        if order.size < 2:
            return BestPrefix(loss=np.inf, size=0, settled=False)
        base = self.types[order[0]]
        total, mass, best, size = 0.0, 0.0, np.inf, 0
        start, block = 0, FIRST
        while start < order.size:
            agents = order[start : start + block]
            totals = total + np.cumsum(self.amounts[agents])
            masses = mass + np.cumsum(self.amounts[agents] * (self.types[agents] - base))
            losses = base + masses / totals + self.noise(totals)
            if start == 0:
                losses[0] = np.inf
            least = float(losses.min())
            if least <= best + self.tolerance:
                best = min(best, least)
                size = start + 1 + int(np.flatnonzero(losses <= best + self.tolerance)[-1])
            total, mass, start, block = float(totals[-1]), float(masses[-1]), start + agents.size, 2 * block
            # Means of longer prefixes only grow.
            if base + mass / total + self.floor(total) > best + self.tolerance:
                return BestPrefix(loss=best, size=size, settled=True)
        return BestPrefix(loss=best, size=size, settled=False)


def coalition_loss(game: CoalitionGame, types: np.ndarray | None = None) -> CoalitionLoss:
    """The loss on which members of coalitions agree under the game's rule, at the game's types or at others.

    Raises:
        InvalidInput: under the rule members do not agree; the message names the rules under which they do.
    """
    given = game.types if types is None else types
    rule, tolerance = game.rule, game.tolerance / game.loss_weight
    if isinstance(rule, EqualShareRule):
        game.require_alike("a partition under equal shares")
        sizes = np.arange(1.0, game.players + 1)
        psi = rule.group_loss(game, sizes) / game.loss_weight
        least_after = np.minimum.accumulate(psi[::-1])[::-1]

        def floor(total: float) -> float:
            return float(least_after[min(int(total), game.players - 1)])

        return CoalitionLoss(
            types=given,
            amounts=np.ones(game.players),
            alone=given + game.standalone_loss / game.loss_weight,
            eligible=rule.eligible(game),
            noise=lambda totals: psi[totals.astype(np.int64) - 1],
            floor=floor,
            common=True,
            tolerance=tolerance,
        )
    if isinstance(rule, FixedAmountsRule):
        amounts = rule.amounts(game)
        return CoalitionLoss(
            types=given,
            amounts=amounts,
            alone=given + (game.standalone_losses - game.unit_costs * amounts) / game.loss_weight,
            eligible=np.ones(game.players, dtype=bool),
            noise=lambda totals: game.complexity * totals**-game.exponent,
            floor=lambda _: float(game.complexity * amounts.sum() ** -game.exponent),
            common=False,
            tolerance=tolerance,
        )
    raise InvalidInput(refusal(rule))


def refusal(rule: Any) -> str:
    """Why coalitions under a rule say nothing, and which rules to take instead."""
    name = type(rule).__name__
    reasons = {
        "FullInformationRule": "its best agent gets nothing above being alone in any coalition, so "
        "that everybody alone is always stable",
        "VerifiedRule": "its best agents get little above being alone in any coalition; partition the estimates "
        "under the pooled rule, types=estimates",
    }
    why = reasons.get(name, "its members need not agree which coalition is best")
    return f"rule = {name}: {why}; expected PooledRule, FixedShareRule, ClubRule or FixedAmountsRule"
