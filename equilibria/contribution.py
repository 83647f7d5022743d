"""Contribution games: how much data, or effort, each participant gives, when the reward depends on
everybody's gift.

Player i gives m_i in [0, limit_i] at cost c_i each and receives a model worth value_i(m). Any rule from
contributions to values plugs in; here is the standard federated rule, under which everybody gets the model of
all the data, and only the cheapest give anything (catastrophic free-riding, Karimireddy, Guo and Jordan 2022,
arXiv 2207.04557).

Deviations are optimised over the whole interval by branch and bound, with proof: a value that does not fall
when one's own contribution rises satisfies value(m) - c m <= value(high) - c low on [low, high], so intervals
whose bound is below the best point found are discarded, and what remains bounds the gain of every deviation,
sampled or not.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from contracts.checks import array, brief, number
from contracts.errors import InvalidInput
from contracts.numeric import double_precision
from contracts.records import frozen
from equilibria.game import BestResponses, Game

#: Evaluations are made in blocks of this size, so that one compilation serves them all.
BLOCK = 512
#: Most blocks spent on one player's best response.
BLOCKS = 400
#: The gap between gain and bound at which branch and bound stops, relative to the scale of the payoffs.
GAP = 1e-8


@dataclass(frozen=True, eq=False)
class StandardFederatedRule:
    """Everybody receives the model trained on all contributions.

    Attributes:
        accuracy: a JAX-traceable function from an amount of data to accuracy, non-decreasing.
        value: a JAX-traceable function from accuracy to utility, non-decreasing; the identity when omitted.

    >>> rule = StandardFederatedRule(accuracy=lambda data: 1 - 1 / (1 + data))
    >>> rule(jnp.array([1.0, 2.0])).tolist()
    [0.75, 0.75]
    """

    accuracy: Callable[[Any], Any]
    value: Callable[[Any], Any] = lambda accuracy: accuracy

    def __call__(self, contributions: Any) -> Any:
        """Value to each player, shape (players,)."""
        return jnp.broadcast_to(self.value(self.accuracy(jnp.sum(contributions))), jnp.shape(contributions))


@frozen
class ContributionGame(Game):
    """Everybody chooses an amount of data to give.

    Attributes:
        costs: utility per unit of data, above zero, shape (players,).
        rule: from contributions, shape (players,), to the value each player receives, shape (players,);
            JAX-traceable (then compiled) or plain NumPy (then called with many profiles at once, if it takes
            them). Each value must not fall when the player's own contribution rises.
        limits: the most each player can give, above zero, one number or shape (players,).

    Raises:
        InvalidInput: fewer than two players, a cost or limit that is not above zero, or a rule that returns
            the wrong shape or no finite numbers.

    >>> rule = StandardFederatedRule(accuracy=lambda data: 1 - 1 / (1 + data))
    >>> game = ContributionGame(costs=[0.01, 0.02], rule=rule, limits=100.0)
    >>> certificate = game.certificate([9.0, 0.0])
    >>> certificate.holds, certificate.epsilon_bound < 1e-7
    (True, True)
    >>> game.reservation_utilities.round(4)
    array([0.81  , 0.7372])
    """

    costs: Any
    rule: Callable[[Any], Any]
    limits: Any

    def __post_init__(self) -> None:
        costs = array("costs", self.costs, low=0.0, open_low=True)
        if costs.size < 2:
            raise InvalidInput("costs has length 1: expected at least two players")
        if np.ndim(self.limits) == 0:
            limits = np.full(costs.size, number("limits", self.limits, low=0.0, open_low=True))
        else:
            limits = array("limits", self.limits, low=0.0, open_low=True, length=costs.size)
        object.__setattr__(self, "costs", costs)
        object.__setattr__(self, "limits", limits)
        if not callable(self.rule):
            raise InvalidInput(f"rule = {brief(self.rule)}: expected a function of the contributions")
        for point in (np.zeros(costs.size), limits):
            values = self.values(point)
            if values.shape != costs.shape or not np.isfinite(values).all():
                raise InvalidInput(
                    f"rule returned {values} at {point}: expected {costs.size} finite values, one a player"
                )

    @property
    def players(self) -> int:
        """Number of players."""
        return self.costs.size

    @cached_property
    def scale(self) -> float:
        """Largest difference in value a player can see, or cost they can bear if that is less; for
        tolerances."""
        spread = np.abs(self.values(self.limits) - self.values(np.zeros(self.players))).max()
        return float(min(max(spread, np.finfo(float).tiny), max(1.0, (self.costs * self.limits).max())))

    @property
    def tolerance(self) -> float:
        """Ten times the gap at which best responses stop, in units of utility."""
        return 10 * GAP * self.scale

    def profile(self, value: Any) -> np.ndarray:
        """Contributions as an array.

        Raises:
            InvalidInput: the wrong number of contributions, or one outside [0, limit].
        """
        given = array("contributions", value, low=0.0, length=self.players)
        above = np.flatnonzero(given > self.limits)
        if above.size:
            player = int(above[0])
            raise InvalidInput(
                f"contributions[{player}] = {given[player]:g}: expected at most {self.limits[player]:g}"
            )
        return given

    def values(self, contributions: Any) -> np.ndarray:
        """What each player receives, before costs, shape (players,)."""
        with double_precision():
            return np.asarray(self.rule(np.asarray(contributions, dtype=np.float64)), dtype=np.float64)

    def utilities(self, profile: Any) -> np.ndarray:
        """Value received minus cost borne, shape (players,)."""
        given = self.profile(profile)
        return self.values(given) - self.costs * given

    @cached_property
    def reservation_utilities(self) -> np.ndarray:
        """What each player gets alone: the best response to nobody else giving anything, shape (players,)."""
        nobody = np.zeros(self.players)
        responses = self.best_responses(nobody)
        return self.utilities(nobody) + responses.gains

    @cached_property
    def _many(self) -> Callable[[int, np.ndarray, np.ndarray], np.ndarray]:
        """Value to one player at a block of own contributions, compiled if the rule can be traced."""

        def values(player, amounts, profile):
            return jax.vmap(lambda amount: self.rule(profile.at[player].set(amount))[player])(amounts)

        with double_precision():
            try:
                jax.eval_shape(self.rule, jnp.zeros(self.players))
            except Exception:  # whatever a rule written for NumPy does when it is traced
                return self._many_plain
        compiled = jax.jit(values)

        def traced(player: int, amounts: np.ndarray, profile: np.ndarray) -> np.ndarray:
            with double_precision():
                return np.asarray(compiled(player, jnp.asarray(amounts), jnp.asarray(profile)))

        return traced

    def _many_plain(self, player: int, amounts: np.ndarray, profile: np.ndarray) -> np.ndarray:
        rows = np.repeat(profile[None, :], amounts.size, axis=0)
        rows[:, player] = amounts
        if self._takes_batches:
            return np.asarray(self.rule(rows), dtype=np.float64)[:, player]
        return np.array([np.asarray(self.rule(row), dtype=np.float64)[player] for row in rows])

    @cached_property
    def _takes_batches(self) -> bool:
        """Whether a rule written for NumPy treats each row of a table as a profile of its own."""
        rows = self.limits * np.linspace(0.0, 1.0, 3 * self.players).reshape(3, -1)
        try:
            together = np.asarray(self.rule(rows), dtype=np.float64)
        except Exception:  # whatever a rule for one profile does when it is given three
            return False
        return np.array_equal(together, np.stack([self.values(row) for row in rows]))

    def _evaluate(self, player: int, amounts: np.ndarray, profile: np.ndarray) -> np.ndarray:
        padding = -amounts.size % BLOCK if self._many is not self._many_plain else 0
        padded = np.pad(amounts, (0, padding), mode="edge").reshape(-1, min(BLOCK, amounts.size + padding))
        return np.concatenate([self._many(player, block, profile) for block in padded])[: amounts.size]

    def best_response(self, player: int, profile: Any) -> tuple[float, float]:
        """The best contribution against the others', and what it gains over the one in the profile."""
        action, gain, _ = self._respond(player, self.profile(profile))
        return action, gain

    def best_responses(self, profile: Any) -> BestResponses:
        """Every player's best contribution, its gain, and a proved bound on the gain of any other."""
        given = self.profile(profile)
        answers = np.array([self._respond(player, given) for player in range(self.players)])
        return BestResponses(
            actions=answers[:, 0],
            gains=answers[:, 1],
            gain_bounds=answers[:, 2],
            method="branch and bound over all contributions, values non-decreasing in one's own",
        )

    def _respond(self, player: int, profile: np.ndarray) -> tuple[float, float, float]:
        cost, limit, here = self.costs[player], self.limits[player], profile[player]
        points = np.unique(np.concatenate([np.linspace(0.0, limit, BLOCK // 2), [here]]))
        values = self._evaluate(player, points, profile)
        falling = np.flatnonzero(np.diff(values) < -GAP * self.scale)
        if falling.size:  # the bounds below would be wrong
            low, high = points[falling[0]], points[falling[0] + 1]
            raise InvalidInput(
                f"rule: the value to player {player} falls when their contribution rises from {low:g} to "
                f"{high:g}, expected one that does not"
            )
        present = values[np.searchsorted(points, here)] - cost * here
        cells = np.stack([points[:-1], points[1:], values[1:]])
        utility = values - cost * points
        best, action = utility.max(), points[utility.argmax()]
        gap = GAP * self.scale
        for _ in range(BLOCKS):
            bounds = cells[2] - cost * cells[0]
            cells = cells[:, bounds > best + gap]
            if not cells.size:
                break
            # The most promising intervals first, as many as fill a block.
            rank = np.argsort(-(cells[2] - cost * cells[0]))
            split, kept = cells[:, rank[:BLOCK]], cells[:, rank[BLOCK:]]
            middle = (split[0] + split[1]) / 2
            value = self._evaluate(player, middle, profile)
            utility = value - cost * middle
            if utility.max() > best:
                best, action = utility.max(), middle[utility.argmax()]
            left = np.stack([split[0], middle, value])
            right = np.stack([middle, split[1], split[2]])
            cells = np.concatenate([left, right, kept], axis=1)
        highest = max(best + gap, float((cells[2] - cost * cells[0]).max(initial=-np.inf)))
        gain = float(max(0.0, best - present))
        # Staying put is the best response when nothing better was found.
        return (float(action) if gain > 0 else float(here)), gain, float(max(highest - present, 0.0))
