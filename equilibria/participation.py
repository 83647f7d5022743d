"""Participation games: agents with data of private quality decide whether to train together or alone.

What training together and alone is worth is said in `equilibria.environment`.

The setting follows Capitaine, Boursier, Scheid, Moulines, Jordan, El-Mhamdi and Durmus, "Unravelling in
Collaborative Learning" (NeurIPS 2024, arXiv 2407.14332); the bound there, the constants and the algorithms
are this project's own. The pooled-error form of E is textbook: for every f in the class the risk under the
mixture differs from the target's by at most the weighted mean discrepancy (Ben-David et al. 2010), and
uniform convergence over N samples adds a term of order N ** -gamma.
"""

from __future__ import annotations

from dataclasses import field, replace
from typing import Any

from contracts.records import frozen
from equilibria.blocking import BlockingCertificate, blocking_coalition
from equilibria.coalition_game import CoalitionGame
from equilibria.partition import StablePartition, partition
from equilibria.pooled import PooledRule
from equilibria.pure import PureEquilibria, pure_equilibria
from equilibria.rule import Rule
from equilibria.unravelling import Unravelling, unravel


@frozen
class ParticipationGame(CoalitionGame):
    """Join or stay out, under a rule that says how much data members give.

    A coalition may be written as a boolean mask over the agents or as agent numbers from zero. A profile
    is a mask. Nobody moves for less than the tolerance, a billionth of the standalone loss.

    Attributes:
        types: discrepancy of each agent's data from the target, in [0, 1], low is good, shape (agents,),
            at least two.
        loss_weight: a > 0, utility lost per unit of the excess-risk bound (2 makes the bound the textbook
            one).
        complexity: alpha > 0, size of the estimation error, of the order of the root of the class's
            dimension.
        exponent: gamma in (0, 1], rate at which the estimation error falls with data (1/2 without
            assumptions).
        cost: c > 0, utility per sample, the same for all.
        costs: c_j > 0 instead, by agent, shape (agents,).
        capacities: q_j > 0, the most samples each agent has, shape (agents,); no limits when omitted.
        rule: how contributions follow from the coalition.

    Raises:
        InvalidInput: a value is outside its range, or the standalone optimum overflows.

    >>> game = ParticipationGame(types=[0.1, 0.2, 0.6], loss_weight=1.0, complexity=40.0, cost=3.125e-7)
    >>> round(game.standalone_contribution), round(game.standalone_loss, 3)
    (160000, 0.15)
    >>> [equilibrium.members.tolist() for equilibrium in game.pure_equilibria()]
    [[], [2]]
    """

    rule: Rule = field(default_factory=PooledRule)

    def with_rule(self, rule: Rule) -> ParticipationGame:
        """The same agents under another rule.

        >>> from equilibria.welfare import FullInformationRule
        >>> game = ParticipationGame(types=[0.1, 0.2], loss_weight=1.0, complexity=40.0, cost=3.125e-7)
        >>> game.with_rule(FullInformationRule()).epsilon([0, 1])
        0.0
        """
        return replace(self, rule=rule)

    def pure_equilibria(self) -> PureEquilibria:
        """All pure Nash equilibria: by the threshold theorem for pooled rules, else by enumeration.

        Raises:
            InvalidInput: the rule has no such theorem and the game is too large to enumerate.
        """
        return pure_equilibria(self)

    def unravel(self, start: Any = None) -> Unravelling:
        """Who leaves when: rounds of simultaneous departures from `start` (everybody, if omitted)."""
        return unravel(self, start)

    def partition(self, *, types: Any = None, max_size: int | None = None) -> StablePartition:
        """The coalitions that form when there may be several, so that no group wants to break away.

        See `equilibria.partition.partition` for arguments, and for what this is not.
        """
        return partition(self, types=types, max_size=max_size)

    def blocking_coalition(self, coalitions: Any = None) -> BlockingCertificate:
        """The coalition that would break a partition with the largest gain of its least-gaining member.

        Args:
            coalitions: lists of agent numbers, or a label for each agent; the game's own partition when omitted.
        """
        return blocking_coalition(self, self.partition() if coalitions is None else coalitions)
