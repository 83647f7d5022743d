"""Agents under a rule: what every coalition gives and gets, who would rather be in or out, and certificates.

Searches (pure equilibria, the cascade, partitions, correlated equilibria) take such games; the games know
nothing of them. `equilibria.participation` puts both together for users.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from contracts.checks import brief
from contracts.errors import InvalidInput
from contracts.records import frozen
from equilibria.environment import Environment
from equilibria.game import BestResponses, Game
from equilibria.rule import Rule, asked, checked_contributions


@frozen
class CoalitionGame(Environment, Game):
    """Join or stay out, under a rule that says how much data members give; made as `ParticipationGame`.

    What a rule answers is checked each time: shapes, finite numbers, contributions of members only and at
    least zero. Rules get coalitions that they cannot write into.
    """

    rule: Rule

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.rule, Rule):
            raise InvalidInput(f"rule = {brief(self.rule)}: expected a rule such as PooledRule()")

    def contributions(self, coalition: Any = None) -> np.ndarray:
        """Samples each agent gives when `coalition` (everybody, if omitted) takes part, shape (agents,).

        >>> from equilibria.participation import ParticipationGame
        >>> game = ParticipationGame(types=[0.1, 0.2], loss_weight=1.0, complexity=40.0, cost=3.125e-7)
        >>> game.contributions([1])
        array([     0., 160000.])
        """
        return checked_contributions(self.rule, self, self.profile(coalition))

    def learning_error(self, coalition: Any = None) -> float:
        """The bound E on the loss of the coalition's model; infinite when nobody gives data."""
        return self.excess_risk(self.contributions(coalition))

    def surpluses(self, coalition: Any = None) -> np.ndarray:
        """What each member gets above training alone; zero for outsiders, shape (agents,)."""
        return asked(self.rule, "surpluses", self, self.profile(coalition))

    def total_surplus(self, coalition: Any = None) -> float:
        """Sum of the members' surpluses."""
        return float(self.surpluses(coalition).sum())

    def gains(self, coalition: Any = None) -> np.ndarray:
        """Utility in minus utility out for every agent, the others as in `coalition`, shape (agents,).

        >>> from equilibria.participation import ParticipationGame
        >>> game = ParticipationGame(types=[0.1, 0.2], loss_weight=1.0, complexity=40.0, cost=3.125e-7)
        >>> game.gains([1]).round(3)
        array([-0.019,  0.   ])
        """
        return asked(self.rule, "gains", self, self.profile(coalition))

    def utilities(self, profile: Any = None) -> np.ndarray:
        """Utility of every agent, members or not, shape (agents,)."""
        return self.reservation_utilities + self.surpluses(profile)

    def best_responses(self, profile: Any) -> BestResponses:
        """Whether each agent would rather be in or out, and what changing is worth."""
        members = self.profile(profile)
        worth = self.gains(members)
        gains = np.maximum(np.where(members, -worth, worth), 0.0)
        moves = gains > self.tolerances
        return BestResponses(
            actions=members ^ moves, gains=gains, gain_bounds=gains, method="both actions of every agent"
        )
