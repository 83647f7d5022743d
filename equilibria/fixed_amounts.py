"""The rule under which everybody gives an amount fixed in advance, whoever else is in: what they own, say."""

from __future__ import annotations

from typing import Any

import numpy as np

from contracts.checks import array
from contracts.errors import InvalidInput
from contracts.records import frozen
from equilibria.environment import Environment
from equilibria.rule import Rule


@frozen
class FixedAmountsRule(Rule):
    """Every member gives their own amount, at their own cost.

    Attributes:
        samples: what each agent gives when in, above zero, at most their capacity, shape (agents,).

    Raises:
        InvalidInput: an amount that is not above zero or, once a game is known, the wrong number of them, or one
            above a capacity.

    >>> from equilibria.participation import ParticipationGame
    >>> game = ParticipationGame(types=[0.1, 0.2], loss_weight=1.0, complexity=40.0, costs=[3e-7, 6e-7])
    >>> game.with_rule(FixedAmountsRule(samples=[1e5, 2e4])).contributions([1])
    array([    0., 20000.])
    """

    samples: Any
    anonymous = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "samples", array("samples", self.samples, low=0.0, open_low=True))

    def amounts(self, game: Environment) -> np.ndarray:
        """What each agent gives when in, shape (agents,).

        Raises:
            InvalidInput: the wrong number of amounts, or one above a capacity.
        """
        if self.samples.size != game.players:
            raise InvalidInput(
                f"samples has length {self.samples.size}: expected {game.players}, one for each agent"
            )
        above = np.flatnonzero(self.samples > game.limits)
        if above.size:
            agent = int(above[0])
            raise InvalidInput(
                f"samples[{agent}] = {self.samples[agent]:g}: expected at most the agent's capacity"
            )
        return self.samples

    def contributions(self, game: Environment, members: np.ndarray) -> np.ndarray:
        """The amount of every member."""
        return np.where(members, self.amounts(game), 0.0)

    def surpluses(self, game: Environment, members: np.ndarray) -> np.ndarray:
        """Surplus of each member in one pass over the agents."""
        return np.where(members, self.gains(game, members), 0.0)

    def gains(self, game: Environment, members: np.ndarray) -> np.ndarray:
        """Worth of membership to every agent in one pass, from the total and the mean type alone."""
        amounts = self.amounts(game)
        extra = np.where(members, 0.0, amounts)
        total = amounts[members].sum() + extra
        mixture = ((amounts * game.types)[members].sum() + extra * game.types) / total
        error = game.loss_weight * (mixture + game.complexity * total**-game.exponent)
        return -error - game.unit_costs * amounts - game.reservation_utilities
