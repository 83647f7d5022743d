"""What a participation rule is: how much data each member of a coalition gives, hence what each of them gets.

A rule needs only `contributions`. Equilibrium conditions need only `gains`: what membership is worth to every
agent, given who else is in. Rules with more structure override `gains` with a faster answer.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from equilibria.participation import ParticipationGame


class Rule(ABC):
    """Assigns contributions to the members of every coalition of a `ParticipationGame`."""

    #: Whether agents of equal type are treated alike, so that one of them can stand for all.
    anonymous: bool = True

    @abstractmethod
    def contributions(self, game: ParticipationGame, members: np.ndarray) -> np.ndarray:
        """Samples each agent gives when `members` take part, zero for the others.

        Args:
            game: the game whose types and constants apply.
            members: who takes part, boolean, shape (agents,).

        Returns:
            Samples, at least zero, shape (agents,).
        """

    def surpluses(self, game: ParticipationGame, members: np.ndarray) -> np.ndarray:
        """Utility minus reservation utility of each member when `members` take part; zero for the others."""
        if not members.any():
            return np.zeros(game.players)
        given = self.contributions(game, members)
        return np.where(members, game.surplus_of(given, given), 0.0)

    def gains(self, game: ParticipationGame, members: np.ndarray) -> np.ndarray:
        """What membership is worth: utility in minus utility out, the others as in `members`, shape
        (agents,).

        For members it is their surplus in `members`; for an outsider, the surplus after joining.
        """
        result = self.surpluses(game, members).copy()
        outside = np.flatnonzero(~members)
        if outside.size == 0:
            return result
        groups = np.unique(game.types[outside], return_inverse=True)[1] if self.anonymous else None
        labels = np.arange(outside.size) if groups is None else groups
        for label in np.unique(labels):
            alike = outside[labels == label]
            joined = members.copy()
            joined[alike[0]] = True
            result[alike] = self.surpluses(game, joined)[alike[0]]
        return result
