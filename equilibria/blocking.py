"""Would a group break away? The coalition whose least-gaining member gains most, for any partition.

A coalition S breaks a partition if its loss is below that of each member's present place. Let w be the smallest
of these: S is among those who lose at least w, and of these the best prefix by quality loses least. So one scan
for each level of loss in the partition finds the answer, exactly.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Int

from contracts.records import frozen
from equilibria.coalition_game import CoalitionGame
from equilibria.coalition_loss import CoalitionLoss, coalition_loss
from equilibria.partition import as_labels, partition_losses

#: How many of the best agents left are looked at first.
HEAD = 8192


@frozen
class BlockingCertificate:
    """Whether any coalition would break a partition.

    Attributes:
        members: the coalition whose least-gaining member gains most, agent numbers; empty if none gains.
        gain: what each member gains at least, in units of utility, at least zero.
        tolerance: gains up to here count as none.
        levels: how many levels of loss were examined.

    >>> from equilibria.participation import ParticipationGame
    >>> game = ParticipationGame(types=[0.1, 0.12, 0.6], loss_weight=1.0, complexity=40.0, cost=3.125e-7)
    >>> print(game.blocking_coalition([[0], [1], [2]]))
    not stable: coalition {0, 1} gains at least 0.02094 for each member
    """

    members: Int[np.ndarray, " members"]
    gain: float
    tolerance: float
    levels: int

    @property
    def holds(self) -> bool:
        """Whether the partition is in the core: no coalition gains more than the tolerance for each member."""
        return self.gain <= self.tolerance

    def __str__(self) -> str:
        if self.holds:
            return (
                f"in the core: no coalition gains more than {max(self.gain, self.tolerance):.3g} for each member"
            )
        names = ", ".join(map(str, self.members[:12])) + (", ..." if self.members.size > 12 else "")
        return f"not stable: coalition {{{names}}} gains at least {self.gain:.4g} for each member"


def blocking_coalition(game: CoalitionGame, partition: Any) -> BlockingCertificate:
    """The coalition that breaks `partition` with the largest gain of its least-gaining member, exactly.

    Args:
        game: a participation game under a rule of equal shares, or of amounts fixed in advance.
        partition: lists of agent numbers, a label for each agent (regions, clusters), or what `partition` found.

    Raises:
        InvalidInput: the partition leaves out or repeats an agent; a rule under which members need not agree.

    >>> from equilibria.participation import ParticipationGame
    >>> game = ParticipationGame(types=[0.1, 0.12, 0.6], loss_weight=1.0, complexity=40.0, cost=3.125e-7)
    >>> blocking_coalition(game, ["north", "north", "south"]).holds
    True
    """
    labels, sizes = as_labels(partition, game.players)
    loss = coalition_loss(game)
    present = partition_losses(loss, labels, sizes)[labels]
    gain, members, levels = _search(loss, present)
    return BlockingCertificate(
        members=np.sort(members) if gain > 0 else np.zeros(0, dtype=np.int64),
        gain=max(0.0, game.loss_weight * gain),
        tolerance=game.tolerance,
        levels=levels,
    )


def _search(loss: CoalitionLoss, present: np.ndarray) -> tuple[float, np.ndarray, int]:
    """Largest gain over all levels, and the coalition that has it."""
    # Alone, by themselves: whoever is worse off than alone.
    first = int(np.argmax(present - loss.alone))
    gain, members = float(present[first] - loss.alone[first]), np.array([first])
    order = np.argsort(loss.types, kind="stable")
    left = order[loss.eligible[order]]
    levels = np.unique(present[left])
    for level in levels:
        # Mostly the first few settle it; those passed over are dropped now and then.
        head = left[:HEAD]
        willing = head[present[head] >= level]
        found = loss.best_prefix(willing)
        if head.size - willing.size > HEAD // 2 or not (found.settled or left.size == head.size):
            left = left[present[left] >= level]
            willing = left
            found = loss.best_prefix(willing)
        if level - found.loss > gain:
            gain, members = float(level - found.loss), willing[: found.size]
    return gain, members, levels.size
