"""Accuracy shaping with known costs: pay with accuracy so that everybody contributes all it profitably can.

Each of n agents contributes data at its own cost per unit and values the accuracy it receives. Under the
standard federated rule everybody receives the joint model whatever it contributed, and in equilibrium only
the cheapest agents contribute, no more than one of them would alone. Accuracy shaping (Karimireddy, Guo and
Jordan, "Mechanisms that incentivize data sharing in federated learning", 2022) gives each agent

- what its own data would give it, up to the amount m_alone it would contribute for itself;
- beyond that, value rising at its cost plus a small bonus, so that contributing more just pays;
- never more than the joint model.

With g = value of accuracy, so: min(g(m_alone) + (1 + bonus) cost (m - m_alone), g(m + others)) above m_alone.
Agents then stop where the two meet. All meet at the same total M, and agent i's contribution is
m_alone_i + (g(M) - g(m_alone_i)) / ((1 + bonus) cost_i), so the joint fixed point is one equation in M. The
sum of these contributions minus M is concave where g is, hence it has one zero above the sum of the m_alone,
and that is the equilibrium that yields most data. What is claimed here is this argument's, and is measured
again by every result's regret, rather than cited.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from contracts import checks
from mechanisms.data_sharing import DataSharing, maximise, zero


@dataclass(frozen=True, kw_only=True, eq=False)
class SharingEquilibrium:
    """Contributions from which nobody gains by departing alone.

    Attributes:
        rule: "accuracy shaping" or "standard".
        contributions: data of each agent.
        alone: data each would contribute for itself.
        accuracies: what each receives.
        utilities: value received minus cost.
        utilities_alone: the same for an agent on its own.
        regret: the most each agent could gain by another contribution, searched over all of them.
        residual: of the fixed-point equation, relative to the total.
        unique: whether no other total solves it.
    """

    rule: str
    contributions: Float[np.ndarray, " agents"]
    alone: Float[np.ndarray, " agents"]
    accuracies: Float[np.ndarray, " agents"]
    utilities: Float[np.ndarray, " agents"]
    utilities_alone: Float[np.ndarray, " agents"]
    regret: Float[np.ndarray, " agents"]
    residual: float
    unique: bool

    @property
    def total(self) -> float:
        """All data together."""
        return float(self.contributions.sum())

    def __repr__(self) -> str:
        givers = int((self.contributions > 0).sum())
        return (
            f"{self.rule}: {self.total:.4g} data from {givers} of {len(self.contributions)} agents "
            f"({self.alone.sum():.4g} alone), accuracy {self.accuracies.max():.4f}, "
            f"regret {self.regret.max():.1e}"
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class StandardRule:
    """Everybody receives the joint model."""

    sharing: DataSharing

    def __call__(self, contributions: ArrayLike) -> np.ndarray:
        """Return the value each agent receives; a batch of contributions may stand in front."""
        given = checks.numbers("contributions", contributions).astype(np.float64, copy=False)
        return np.broadcast_to(self.sharing.worth(given.sum(axis=-1))[..., None], given.shape)

    def equilibrium(self) -> SharingEquilibrium:
        """Return the equilibrium: the cheapest agents share what one of them would contribute alone.

        >>> from mechanisms.data_sharing import data_sharing
        >>> sharing = data_sharing([0.01, 0.02, 0.05], lambda data: data / (data + 1))
        >>> StandardRule(sharing=sharing).equilibrium()
        standard: 9 data from 1 of 3 agents (18.54 alone), accuracy 0.9000, regret 0.0e+00
        """
        costs = self.sharing.costs
        cheapest = costs == costs.min()
        amount = self.sharing.alone[int(np.argmax(cheapest))]
        contributions = np.where(cheapest, amount / cheapest.sum(), 0.0)
        return _certified("standard", self, self.sharing, contributions, 0.0, bool(cheapest.sum() == 1))


@dataclass(frozen=True, kw_only=True, eq=False)
class AccuracyShaping:
    """The mechanism: more data, more accuracy, never more than the joint model.

    Attributes:
        sharing: the agents and their costs, which the organiser knows.
        bonus: how much more than its cost a unit of data pays beyond `alone`, as a share of the cost, > 0.
    """

    sharing: DataSharing
    bonus: float = 1e-3

    def __post_init__(self) -> None:
        checks.number("bonus", self.bonus, low=0, open_low=True)

    @property
    def _pay(self) -> np.ndarray:
        return (1 + self.bonus) * self.sharing.costs

    def __call__(self, contributions: ArrayLike) -> np.ndarray:
        """Return the value each agent receives, shape (*batch, agents).

        >>> from mechanisms.data_sharing import data_sharing
        >>> sharing = data_sharing([0.01, 0.02], lambda data: data / (data + 1))
        >>> AccuracyShaping(sharing=sharing)([4.0, 20.0]).round(4)  # 4 of its own; the joint model
        array([0.8 , 0.96])
        """
        given = checks.numbers("contributions", contributions).astype(np.float64, copy=False)
        alone, worth = self.sharing.alone, self.sharing.worth
        beyond = worth(alone) + self._pay * np.maximum(given - alone, 0)
        joint = worth(given.sum(axis=-1))[..., None]
        return np.where(given <= alone, np.minimum(worth(given), joint), np.minimum(beyond, joint))

    def accuracies(self, contributions: ArrayLike) -> np.ndarray:
        """Return the accuracy each agent receives, shape (agents,): what `mechanisms.delivery` makes."""
        given = checks.array("contributions", contributions, low=0, length=len(self.sharing.costs))
        best = float(self.sharing.received(given.sum()))
        return np.array([self.sharing.accuracy_worth(float(value), best) for value in self(given)])

    def equilibrium(self) -> SharingEquilibrium:
        """Return the equilibrium of most data, with its regret.

        >>> from mechanisms.data_sharing import data_sharing
        >>> sharing = data_sharing([0.01, 0.02, 0.05], lambda data: data / (data + 1))
        >>> AccuracyShaping(sharing=sharing).equilibrium()
        accuracy shaping: 35.4 data from 3 of 3 agents (18.54 alone), accuracy 0.9725, regret 0.0e+00
        """
        sharing, pay = self.sharing, self._pay
        own = sharing.worth(sharing.alone)

        def excess(total: np.ndarray) -> np.ndarray:
            gained = np.asarray(sharing.worth(total))[..., None] - own
            return np.asarray(sharing.alone.sum() + (gained / pay).sum(axis=-1) - total)

        total, unique = _last_root(excess, float(sharing.alone.sum()), sharing.ceiling())
        # where alone is 0 because data pay only together, the total may be 0: nobody then begins
        contributions = sharing.alone + np.maximum(float(sharing.worth(total)) - own, 0) / pay
        residual = abs(float(contributions.sum()) - total) / max(total, 1.0)
        return _certified("accuracy shaping", self, sharing, contributions, residual, unique)


def regret(
    rule: StandardRule | AccuracyShaping, contributions: ArrayLike, *, points: int = 4001
) -> Float[np.ndarray, " agents"]:
    """Return the most each agent could gain by contributing another amount, the others staying as they are.

    Every amount up to one that costs more than any accuracy is worth is searched: on a grid (even, geometric,
    and around the rule's kinks), then by Brent's method around the best grid point.
    """
    sharing = rule.sharing
    given = checks.array("contributions", contributions, low=0, length=len(sharing.costs))
    current = rule(given) - sharing.costs * given
    gains = np.empty(len(given))
    for agent, cost in enumerate(sharing.costs):

        def utility(amounts, agent=agent, cost=cost):
            profiles = np.broadcast_to(given, (*np.shape(amounts), len(given))).copy()
            profiles[..., agent] = amounts
            return rule(profiles)[..., agent] - cost * np.asarray(amounts)

        most = max(2 * sharing.most(float(cost)), 2 * given[agent])
        best = maximise(utility, most, extra=(given[agent], sharing.alone[agent]), points=points)[1]
        gains[agent] = max(best - current[agent], 0.0)
    return gains


def _certified(
    name: str,
    rule: StandardRule | AccuracyShaping,
    sharing: DataSharing,
    contributions: np.ndarray,
    residual: float,
    unique: bool,
) -> SharingEquilibrium:
    values = rule(contributions)
    best = float(sharing.received(contributions.sum()))
    return SharingEquilibrium(
        rule=name,
        contributions=contributions,
        alone=sharing.alone,
        accuracies=np.array([sharing.accuracy_worth(float(value), best) for value in values]),
        utilities=values - sharing.costs * contributions,
        utilities_alone=sharing.worth(sharing.alone) - sharing.costs * sharing.alone,
        regret=regret(rule, contributions),
        residual=residual,
        unique=unique,
    )


def _last_root(excess: Callable[[np.ndarray], np.ndarray], low: float, high: float) -> tuple[float, bool]:
    """The largest zero in [low, high] of a function that ends negative, and whether it is the only one."""
    if high <= low:
        return low, True
    high = low + 1.01 * (high - low)
    grid = np.unique(
        np.concatenate([np.linspace(low, high, 4001), low + np.geomspace(1e-9, 1, 4001) * (high - low)])
    )
    signs = excess(grid) > 0
    falls = np.flatnonzero(signs[:-1] & ~signs[1:])
    if len(falls) == 0:
        return low, True
    last = int(falls[-1])
    root = zero(lambda total: float(excess(np.asarray(total))), grid[last], grid[last + 1])
    # a start at zero excess is a second solution: nobody begins because nobody else does
    return root, bool(len(falls) == 1 and signs[1])
