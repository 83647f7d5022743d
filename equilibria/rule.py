"""What a participation rule is: how much data each member of a coalition gives, hence what each of them gets.

A rule needs only `contributions`. Equilibrium conditions need only `gains`: what membership is worth to every
agent, given who else is in. Rules with more structure override `gains` with a faster answer; whether it is
consistent, `equilibria.testing.assert_rule` checks.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np

from contracts.checks import numbers
from contracts.errors import InvalidInput
from equilibria.environment import Environment


class Rule(ABC):
    """Assigns contributions to the members of every coalition of the agents of an `Environment`.

    Masks that a rule is given are read-only.
    """

    #: Whether agents of equal type are treated alike, so that one of them can stand for all.
    anonymous: bool = True

    @abstractmethod
    def contributions(self, game: Environment, members: np.ndarray) -> np.ndarray:
        """Samples each agent gives when `members` take part, zero for the others.

        Args:
            game: the agents, whose types and constants apply.
            members: who takes part, boolean, shape (agents,).

        Returns:
            Samples, at least zero, shape (agents,).
        """

    def surpluses(self, game: Environment, members: np.ndarray) -> np.ndarray:
        """Utility minus reservation utility of each member when `members` take part; zero for the others."""
        if not members.any():
            return np.zeros(game.players)
        given = checked_contributions(self, game, members)
        # Without data there is no model: everybody trains alone.
        return np.where(members, game.surplus_of(given, given), 0.0) if given.any() else np.zeros(game.players)

    def gains(self, game: Environment, members: np.ndarray) -> np.ndarray:
        """What membership is worth: utility in minus utility out, the others as in `members`, shape
        (agents,).

        For members it is their surplus in `members`; for an outsider, the surplus after joining.
        """
        result = np.array(self.surpluses(game, members))
        outside = np.flatnonzero(~members)
        if outside.size == 0:
            return result
        alike = self.anonymous and game.alike
        groups = np.unique(game.types[outside], return_inverse=True)[1] if alike else None
        labels = np.arange(outside.size) if groups is None else groups
        for label in np.unique(labels):
            same = outside[labels == label]
            joined = members.copy()
            joined[same[0]] = True
            result[same] = self.surpluses(game, joined)[same[0]]
        return result


def untouchable(members: np.ndarray) -> np.ndarray:
    """A mask that a rule can read and not write into, whatever it does."""
    kept = np.array(members, dtype=bool)
    kept.flags.writeable = False
    return kept.view()


def asked(rule: Rule, question: str, game: Environment, members: np.ndarray) -> np.ndarray:
    """A rule's answer to one of its questions, shape (agents,), finite numbers.

    Args:
        rule: the rule.
        question: "contributions", "surpluses" or "gains".
        game: the agents.
        members: who takes part, boolean, shape (agents,).

    Raises:
        InvalidInput: the rule writes into the coalition, or its answer has the wrong shape or numbers; the
            message names rule and agent.
    """
    name = type(rule).__name__
    try:
        found = getattr(rule, question)(game, untouchable(members))
    except ValueError as error:
        if isinstance(error, InvalidInput):
            raise
        if "read-only" in str(error) or "WRITEABLE" in str(error):
            raise InvalidInput(f"{name} writes into the coalition it is given: copy it first") from error
        raise
    answer = numbers(f"{name}.{question}", found).astype(np.float64, copy=False)
    if answer.shape != (game.players,):
        raise InvalidInput(f"{name}.{question} has shape {answer.shape}: expected ({game.players},)")
    if not np.isfinite(answer).all():
        agent = int(np.flatnonzero(~np.isfinite(answer))[0])
        raise InvalidInput(f"{name}.{question}[{agent}] = {answer[agent]:g}: expected a finite number")
    return answer


def checked_contributions(rule: Rule, game: Environment, members: np.ndarray) -> np.ndarray:
    """What a rule asks of each agent: at least zero, and nothing of those who are not in.

    Raises:
        InvalidInput: see `asked`; or a contribution below zero, or by an outsider, or above a capacity.
    """
    given = asked(rule, "contributions", game, members)
    name = type(rule).__name__
    for wrong, expected in (
        (given < 0, "at least 0"),
        ((given != 0) & ~members, "0, the agent is not in the coalition"),
        (() if game.capacities is None else given > game.capacities * (1 + 1e-12), "at most the capacity"),
    ):
        if np.any(wrong):
            agent = int(np.flatnonzero(wrong)[0])
            raise InvalidInput(f"{name}.contributions[{agent}] = {given[agent]:g}: expected {expected}")
    return given
