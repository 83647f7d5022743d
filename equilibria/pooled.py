"""Rules that treat all members alike because nobody's quality is known: pooled, fixed share, and the club.

Everybody gives the same share, so a member's utility depends on the coalition only through its size m and the
mean type: u_j = -(a mean + psi(m)). What joining is worth to the group is f(m) = m (kappa - psi(m)) / a, and
agent j's gain from being one of m members is (a/m) (f(m) - sum over the others of (theta_k - theta_j)).

Where costs or capacities differ by agent these formulas fail. The rules still ask for equal shares, by the mean
cost of those who are in, and of nobody more than they have; what that is worth is computed from its definition.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np

from contracts.checks import integer, number
from contracts.errors import InvalidInput
from equilibria.environment import Environment
from equilibria.rule import Rule


class EqualShareRule(Rule):
    """Every member gives the same number of samples, which depends only on how many there are."""

    @abstractmethod
    def share(self, game: Environment, size: Any) -> Any:
        """Samples each of `size` members gives; `size` is at least one, any shape."""

    @abstractmethod
    def loss_terms(self, game: Environment) -> tuple[tuple[float, float], ...]:
        """The pairs (coefficient, power) of psi(m) = sum of coefficient * m ** -power."""

    def group_loss(self, game: Environment, size: Any) -> Any:
        """psi(m): estimation error plus cost of a member of a coalition of `size`, in units of utility."""
        return sum((scale * size**-power for scale, power in self.loss_terms(game)), np.zeros(np.shape(size)))

    def eligible(self, game: Environment) -> np.ndarray:
        """Agents the rule admits, boolean, shape (agents,); the others train alone whatever they choose."""
        return np.ones(game.players, dtype=bool)

    def worth(self, game: Environment, size: Any) -> Any:
        """f(m) = m (kappa - psi(m)) / a: the total surplus of a coalition of `size`, whatever its types, over
        a."""
        return size * (game.standalone_loss - self.group_loss(game, size)) / game.loss_weight

    def contributions(self, game: Environment, members: np.ndarray) -> np.ndarray:
        """The same share for every admitted member, or all they have if that is less."""
        inside = members & self.eligible(game)
        size = int(inside.sum())
        if not size:
            return np.zeros(game.players)
        share = self.share(game if game.alike else _average(game, inside), np.float64(size))
        return np.where(inside, np.minimum(share, game.limits), 0.0)

    def surpluses(self, game: Environment, members: np.ndarray) -> np.ndarray:
        """Surplus of each member in one pass over the agents."""
        if not game.alike:
            return np.where(self.eligible(game), super().surpluses(game, members), 0.0)
        return np.where(members, self.gains(game, members), 0.0)

    def gains(self, game: Environment, members: np.ndarray) -> np.ndarray:
        """Worth of membership to every agent in one pass, from the coalition's size and sum of types
        alone."""
        if not game.alike:
            return super().gains(game, members)
        admitted = self.eligible(game)
        inside = members & admitted
        size = inside.sum() + np.where(inside, 0.0, 1.0)
        mean = (game.types[inside].sum() + np.where(inside, 0.0, game.types)) / size
        surplus = game.standalone_loss - self.group_loss(game, size) - game.loss_weight * (mean - game.types)
        return np.where(admitted, surplus, 0.0)


@dataclass(frozen=True, kw_only=True)
class PooledRule(EqualShareRule):
    """The welfare-maximal rule when types are unknown and exchangeable: n0 m^-p each, p = gamma / (1 +
    gamma).

    It needs no prior: with exchangeable types the split of the data does not change the expected risk, and
    the total that maximises the members' welfare is n0 m^(1 / (1 + gamma)).

    >>> from equilibria.participation import ParticipationGame
    >>> game = ParticipationGame(types=[0.1, 0.2, 0.6], loss_weight=1.0, complexity=40.0, cost=3.125e-7)
    >>> game.with_rule(PooledRule()).contributions([0, 2]).round()
    array([126992.,      0., 126992.])
    """

    def share(self, game: Environment, size: Any) -> Any:
        """n0 m^-p samples."""
        return game.standalone_contribution * size ** -_decay(game)

    def loss_terms(self, game: Environment) -> tuple[tuple[float, float], ...]:
        """psi(m) = kappa m^-p, exactly kappa for one member."""
        return ((game.standalone_loss, _decay(game)),)


@dataclass(frozen=True, kw_only=True)
class FixedShareRule(EqualShareRule):
    """Every member gives the same amount however many they are.

    Attributes:
        samples: the amount, in (0, 1e18]; the pooled share of the grand coalition when omitted.

    Raises:
        InvalidInput: the amount is not in its range.

    >>> from equilibria.participation import ParticipationGame
    >>> game = ParticipationGame(types=[0.1, 0.2, 0.6], loss_weight=1.0, complexity=40.0, cost=3.125e-7)
    >>> game.with_rule(FixedShareRule(samples=50_000)).pure_equilibria().sizes.tolist()
    [0]
    """

    samples: float | None = None

    def __post_init__(self) -> None:
        if self.samples is not None:
            object.__setattr__(
                self, "samples", number("samples", self.samples, low=0.0, high=1e18, open_low=True)
            )

    def share(self, game: Environment, size: Any) -> Any:
        """The fixed amount."""
        grand = np.float64(game.players)
        fixed = PooledRule().share(game, grand) if self.samples is None else self.samples
        return np.broadcast_to(fixed, np.shape(size))

    def loss_terms(self, game: Environment) -> tuple[tuple[float, float], ...]:
        """psi(m) = a alpha (m share)^-gamma + c share."""
        share = float(self.share(game, np.float64(1.0)))
        noise = game.loss_weight * game.complexity * share**-game.exponent
        return ((noise, game.exponent), (game.cost * share, 0.0))


@dataclass(frozen=True, kw_only=True)
class ClubRule(PooledRule):
    """Verification used only to exclude: the pooled rule among the best agents, everybody else refused.

    Attributes:
        size: how many of the best agents are admitted; when omitted, the most that all want to stay. Agents
            whose type equals the last one admitted are told apart by their number.

    Raises:
        InvalidInput: the size is below one or, once a game is known, above the number of agents.

    >>> from equilibria.participation import ParticipationGame
    >>> game = ParticipationGame(types=[0.1, 0.12, 0.6], loss_weight=1.0, complexity=40.0, cost=3.125e-7)
    >>> club = game.with_rule(ClubRule())
    >>> club.rule.admitted(club), club.unravel().sizes.tolist()
    (2, [2])
    """

    #: Agents whose type equals the last one admitted are told apart by their number.
    anonymous = False
    size: int | None = None

    def __post_init__(self) -> None:
        if self.size is not None:
            object.__setattr__(self, "size", integer("size", self.size, low=1))

    def admitted(self, game: Environment) -> int:
        """How many agents are admitted.

        Without a prescribed size, the largest k with sum over the k best of (theta_j - theta_1) <= f(k), so
        that even the best agent prefers to stay.
        """
        if self.size is not None:
            if self.size > game.players:
                raise InvalidInput(f"size = {self.size}: expected at most the {game.players} agents")
            return self.size
        game.require_alike("a club without a size")
        best_first = np.sort(game.types)
        sizes = np.arange(1.0, game.players + 1)
        spread = np.cumsum(best_first - best_first[0])
        slack = game.tolerance * sizes / game.loss_weight
        return int(sizes[spread <= self.worth(game, sizes) + slack].max())

    def eligible(self, game: Environment) -> np.ndarray:
        """The best agents, up to the club's size."""
        mask = np.zeros(game.players, dtype=bool)
        mask[np.argsort(game.types, kind="stable")[: self.admitted(game)]] = True
        return mask


def _decay(game: Environment) -> float:
    return game.exponent / (1.0 + game.exponent)


def _average(game: Environment, inside: np.ndarray) -> Environment:
    """The agents as if each had the mean cost of those inside and enough data: whose best equal share is
    asked."""
    constants = {name: getattr(game, name) for name in ("types", "loss_weight", "complexity", "exponent")}
    cost = np.mean(np.broadcast_to(game.unit_costs, game.types.shape)[inside])
    return Environment(**constants, cost=float(cost))
