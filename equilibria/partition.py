"""Which coalitions form when there may be several: the partition that no group wants to break.

A coalition blocks a partition if all its members would lose less in it than where they are. Members of a
coalition agree what it is worth, so of the agents not yet placed one coalition is the best for all its members:
the one of least loss, a prefix by quality. Form it, and go on with the rest. The result has no blocking
coalition (it is in the core, whatever the rule of equal shares), and the core is what this gives over all ways
to break ties; of equally good prefixes the largest is taken, which under the pooled rule gives the only
partition that no coalition blocks even weakly.

This is a club and not the game of joining: quality must be public, or estimated, and whoever wants to join needs
the coalition's consent. It is no Nash equilibrium of joining freely, and may keep less surplus than one
coalition of all.

The theorem on top coalitions is that of Banerjee, Konishi and Sonmez (2001); the prefixes, the algorithm and the
bound with estimates are this project's own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from contracts.checks import array, integer
from contracts.errors import InvalidInput
from contracts.records import frozen
from equilibria.coalition_game import CoalitionGame
from equilibria.coalition_loss import CoalitionLoss, coalition_loss
from mechanisms.radius import rounded_down
from mechanisms.verification import TypeEstimates


@frozen
class StablePartition:
    """Coalitions that no group of agents wants to break, best first; a sequence of arrays of agent numbers.

    Attributes:
        labels: number of each agent's coalition, from zero, shape (agents,).
        order: agent numbers, coalition after coalition, best agents first, shape (agents,).
        sizes: members of each coalition, shape (coalitions,).
        losses: what each member loses, in units of utility; under amounts fixed in advance without the cost of
            their own data, and of an agent alone the loss at which being alone is as good, shape (coalitions,).
        learning_errors: the bound on the loss of each coalition's model, shape (coalitions,).
        surpluses: what each agent gets above training alone, shape (agents,).
        epsilon: what all members of some coalition could at most gain by forming it, with the confidence; zero
            within the tolerance, or 2 a eps when types were estimated within eps of the truth.
        confidence: probability with which no coalition gains more than epsilon, those of agents who are refused
            left aside; one when it does not rest on samples.
        method: how it was found.
        tolerance: gains up to here count as none, in units of utility.

    >>> from equilibria.participation import ParticipationGame
    >>> game = ParticipationGame(types=[0.1, 0.12, 0.6], loss_weight=1.0, complexity=40.0, cost=3.125e-7)
    >>> print(game.partition())
    2 coalitions, surplus 0.06189 of 3 agents (top coalitions, best prefix first)
      2 members, loss 0.2291 each: {0, 1}
      1 member, loss 0.7500: {2}
    """

    labels: Int[np.ndarray, " agents"]
    order: Int[np.ndarray, " agents"]
    sizes: Int[np.ndarray, " coalitions"]
    losses: Float[np.ndarray, " coalitions"]
    learning_errors: Float[np.ndarray, " coalitions"]
    surpluses: Float[np.ndarray, " agents"]
    epsilon: float
    confidence: float
    method: str
    tolerance: float

    def __len__(self) -> int:
        return self.sizes.size

    def __getitem__(self, index: int) -> np.ndarray:
        number = range(len(self))[index]
        first = int(self.sizes[:number].sum())
        return np.sort(self.order[first : first + int(self.sizes[number])])

    def __iter__(self) -> Iterator[np.ndarray]:
        return (np.sort(part) for part in np.split(self.order, np.cumsum(self.sizes)[:-1]))

    @property
    def total_surplus(self) -> float:
        """Sum of the surpluses."""
        return float(self.surpluses.sum())

    def __str__(self) -> str:
        lines = [
            f"{len(self)} coalition{'' if len(self) == 1 else 's'}, surplus {self.total_surplus:.4g} of "
            f"{self.labels.size} agents ({self.method})"
        ]
        if self.epsilon > 0.0:
            lines.append(
                f"  by estimates: no coalition could gain more than {self.epsilon:.3g} for all its members"
                + (f", with probability {rounded_down(self.confidence)}" if self.confidence < 1.0 else "")
            )
        for members, loss in zip(self, self.losses[:20], strict=False):
            names = ", ".join(map(str, members[:12])) + (", ..." if members.size > 12 else "")
            what = "1 member, loss" if members.size == 1 else f"{members.size} members, loss"
            lines.append(f"  {what} {loss:.4f}{' each' if members.size > 1 else ''}: {{{names}}}")
        return "\n".join(lines + (["  ..."] if len(self) > 20 else []))


def partition(game: CoalitionGame, *, types: Any = None, max_size: int | None = None) -> StablePartition:
    """The partition in the core with the largest coalitions: top coalitions, one after the other.

    Args:
        game: a participation game under a rule of equal shares, or of amounts fixed in advance.
        types: types by which coalitions form instead of the game's own, numbers of shape (agents,) or
            `mechanisms.TypeEstimates`, whose refused agents stay alone; surpluses and errors are at the game's
            own types.
        max_size: largest coalition allowed, if there is a limit. With equal types the strict core may then be
            empty; the partition is in the core.

    Returns:
        The partition. Sorting and short scans: about a second for a million agents and thousands of coalitions;
        with amounts fixed in advance that exceed what some would train on alone, quadratic in the agents.

    Raises:
        InvalidInput: a rule under which members need not agree; types of the wrong length; a size below one.

    >>> from equilibria.participation import ParticipationGame
    >>> game = ParticipationGame(types=[0.1, 0.12, 0.6], loss_weight=1.0, complexity=40.0, cost=3.125e-7)
    >>> [members.tolist() for members in partition(game, max_size=1)]
    [[0], [1], [2]]
    """
    most = None if max_size is None else integer("max_size", max_size, low=1)
    sampled = types if isinstance(types, TypeEstimates) else None
    estimates = types if sampled is None else sampled.estimates
    believed = None if estimates is None else array("types", estimates, low=0.0, high=1.0, length=game.players)
    loss = coalition_loss(game, believed)
    radius = 0.0 if believed is None else float(np.abs(believed - game.types).max())
    if sampled is not None:
        radius = sampled.largest_radius
        loss = replace(loss, eligible=loss.eligible & ~sampled.refused)
    groups = _equal(loss, most) if loss.common else _thresholds(loss, most)
    groups += [np.array([agent]) for agent in np.flatnonzero(~loss.eligible)]
    true = loss if believed is None else coalition_loss(game)
    order = np.concatenate(groups)
    sizes = np.array([group.size for group in groups], dtype=np.int64)
    labels = np.empty(game.players, dtype=np.int64)
    labels[order] = np.repeat(np.arange(sizes.size), sizes)
    losses = partition_losses(true, labels, sizes)
    surpluses = game.loss_weight * (true.alone - losses[labels])
    return StablePartition(
        labels=labels,
        order=order,
        sizes=sizes,
        losses=game.loss_weight * losses,
        learning_errors=_errors(game, labels, sizes),
        surpluses=surpluses,
        epsilon=2.0 * game.loss_weight * radius,
        confidence=1.0 if sampled is None else sampled.confidence,
        method="top coalitions, best prefix first",
        tolerance=game.tolerance,
    )


def _by_quality(loss: CoalitionLoss) -> np.ndarray:
    admitted = np.flatnonzero(loss.eligible)
    return admitted[np.argsort(loss.types[admitted], kind="stable")]


def _equal(loss: CoalitionLoss, most: int | None) -> list[np.ndarray]:
    """Top coalitions where being alone, too, is ranked alike: prefixes of those left, one after the other."""
    order, groups, start = _by_quality(loss), [], 0
    while start < order.size:
        found = loss.best_prefix(order[start:], most)
        # Together if equally good.
        size = found.size if found.loss <= loss.alone[order[start]] + loss.tolerance else 1
        groups.append(order[start : start + size])
        start += size
    return groups


def _thresholds(loss: CoalitionLoss, most: int | None) -> list[np.ndarray]:
    """Top coalitions where everybody has an own level at which being alone is as good."""
    left, groups = _by_quality(loss), []
    while left.size:
        group = _top(loss, left, most)
        groups.append(group)
        left = left[~np.isin(left, group)] if group.size < left.size else left[:0]
    return groups


def _top(loss: CoalitionLoss, left: np.ndarray, most: int | None) -> np.ndarray:
    """The coalition of least loss among those that are rational for all members, or the best agent alone."""
    single = left[int(np.argmin(loss.alone[left]))]
    willing = left
    while willing.size > 1:
        found = loss.best_prefix(willing, most)
        group = willing[: found.size]
        if (
            found.loss <= loss.alone[group].min() + loss.tolerance
        ):  # every rational coalition loses at least that
            together = found.loss <= loss.alone[single] + loss.tolerance
            return group if together else np.array([single])
        # The least demanding of those left would rather be alone than in any coalition of these.
        willing = willing[loss.alone[willing] > loss.alone[willing].min()]
    return np.array([single])


def partition_losses(loss: CoalitionLoss, labels: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """The loss of each coalition, in units of the loss weight; alone, the agent's own level."""
    total = np.bincount(labels, weights=loss.amounts, minlength=sizes.size)
    mass = np.bincount(labels, weights=loss.amounts * loss.types, minlength=sizes.size)
    alone = np.empty(sizes.size)
    alone[labels] = loss.alone
    together = sizes > 1
    result = alone.copy()
    result[together] = mass[together] / total[together] + loss.noise(total[together])
    return result


def _errors(game: CoalitionGame, labels: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """The bound on the loss of each coalition's model; alone everybody trains on the best amount of their
    own."""
    alone = np.broadcast_to(game.standalone_contributions, game.types.shape)
    share = getattr(game.rule, "share", None)
    given = game.rule.amounts(game) if share is None else share(game, np.float64(1) * sizes[labels])  # type: ignore
    amounts = np.where(sizes[labels] > 1, given, alone)
    total = np.bincount(labels, weights=amounts, minlength=sizes.size)
    mixture = np.bincount(labels, weights=amounts * game.types, minlength=sizes.size) / total
    return game.loss_weight * (mixture + game.complexity * total**-game.exponent)


def as_labels(value: Any, players: int) -> tuple[np.ndarray, np.ndarray]:
    """A partition given as coalitions, labels or `StablePartition`: each agent's number of coalition, and sizes.

    Raises:
        InvalidInput: an agent is left out or in two coalitions, or labels of the wrong length.
    """
    if isinstance(value, StablePartition):
        labels = value.labels
    elif (
        isinstance(value, list | tuple)
        and value
        and all(isinstance(part, Iterable) and not isinstance(part, str) for part in value)
    ):
        labels = np.full(players, -1, dtype=np.int64)
        for number, part in enumerate(value):
            for entry in part:
                agent = integer(f"partition[{number}]", entry, high=players - 1)
                if labels[agent] >= 0:
                    raise InvalidInput(f"partition[{number}]: agent {agent} is in two coalitions, expected one")
                labels[agent] = number
        if (labels < 0).any():
            left = int(np.flatnonzero(labels < 0)[0])
            raise InvalidInput(
                f"partition: agent {left} is left out, expected all {players} in one coalition each"
            )
    else:
        try:
            given = np.asarray(value) if not isinstance(value, str | set | dict) else np.zeros(0)
        except ValueError:  # ragged
            given = np.zeros(0)
        if given.shape != (players,) or given.dtype.kind not in "iubU":
            raise InvalidInput(
                f"partition: expected lists of agent numbers, or a label for each of {players} agents"
            )
        labels = np.unique(given, return_inverse=True)[1].reshape(-1)
    if labels.size != players:
        raise InvalidInput(f"partition: has {labels.size} agents, expected {players}")
    return np.unique(labels, return_inverse=True, return_counts=True)[1:]
