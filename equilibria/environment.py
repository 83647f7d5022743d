"""The agents of a participation game: the quality and cost of their data, and what training is worth to them.

Agent j holds data of type theta_j in [0, 1], the discrepancy between their distribution and the target's (low
is good). When a coalition gives n_j samples each, N in all, everybody in it receives the same model, whose
excess risk is bounded by

    E(n, theta) = a * ( sum_j n_j theta_j / N + alpha * N ** -gamma )

and member j's utility is -E - c_j n_j. Outside, j trains alone on the best amount of their own data, of which
there may be at most q_j.

This is data and formulas; it knows neither rules nor games. Rules take it, games add a rule to it.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

from contracts.checks import array, brief, number
from contracts.errors import InvalidInput
from contracts.records import frozen
from equilibria.combinations import NEEDS_AGENTS_ALIKE


@frozen
class Environment:
    """Agents with data of private quality; the attributes are those of `ParticipationGame`, but for the rule."""

    types: Any
    loss_weight: float
    complexity: float
    exponent: float = 0.5
    cost: Any = None
    costs: Any = None
    capacities: Any = None

    def __post_init__(self) -> None:
        types = array("types", self.types, low=0.0, high=1.0)
        if types.size < 2:
            raise InvalidInput("types has length 1: expected at least two agents, a game needs two players")
        checked: dict[str, Any] = {
            "types": types,
            "loss_weight": number("loss_weight", self.loss_weight, low=0.0, open_low=True),
            "complexity": number("complexity", self.complexity, low=0.0, open_low=True),
            "exponent": number("exponent", self.exponent, low=0.0, high=1.0, open_low=True),
        }
        if (self.cost is None) == (self.costs is None):
            raise InvalidInput("cost, costs: expected one of them, a cost for all or one for each agent")
        if self.costs is None:
            checked["cost"] = number("cost", self.cost, low=0.0, open_low=True)
        for name in ("costs", "capacities"):
            if getattr(self, name) is not None:
                entries = array(name, getattr(self, name), low=0.0, open_low=True, length=types.size)
                checked[name] = entries
        for name, value in checked.items():
            object.__setattr__(self, name, value)
        with np.errstate(all="ignore"):
            alone = self.standalone_contributions
            scale = alone * types.size * (1 + 1 / self.exponent)
        if not (np.all(alone > 0) and np.isfinite([scale, self.standalone_losses]).all()):
            raise InvalidInput(
                f"loss_weight, complexity, exponent, cost: the standalone optimum "
                f"{np.min(alone):g} samples is out of range: rescale the units"
            )

    @property
    def players(self) -> int:
        """Number of agents."""
        return self.types.size

    @property
    def alike(self) -> bool:
        """Whether agents differ in quality only: one cost for all, and as many data as anybody wants."""
        return self.costs is None and self.capacities is None

    def require_alike(self, what: str) -> None:
        """Refuse, with its reason, what is known only for agents who differ in quality alone.

        Args:
            what: an entry of `equilibria.combinations.NEEDS_AGENTS_ALIKE`.

        Raises:
            InvalidInput: costs or capacities by agent.
        """
        reason = NEEDS_AGENTS_ALIKE[what]
        if not self.alike:
            given = " and ".join(name for name in ("costs", "capacities") if getattr(self, name) is not None)
            raise InvalidInput(f"{given} by agent: {what} needs agents who differ in quality alone: {reason}")

    @property
    def unit_costs(self) -> Any:
        """Utility for each sample: one number, or one for each agent, shape (agents,)."""
        return self.cost if self.costs is None else self.costs

    @property
    def limits(self) -> Any:
        """The most samples each agent can give: their capacities, infinite when there are none."""
        return np.inf if self.capacities is None else self.capacities

    @cached_property
    def standalone_contributions(self) -> Any:
        """Samples each would train on alone, min(q_j, (a alpha gamma / c_j)^(1 / (1 + gamma))): one number if
        the same for all, else shape (agents,)."""
        with np.errstate(all="ignore"):
            ratio = np.float64(self.loss_weight) * self.complexity * self.exponent / self.unit_costs
            wanted = ratio ** (1.0 / (1.0 + self.exponent))
        return (
            float(wanted)
            if self.alike
            else np.minimum(wanted, np.inf if self.capacities is None else self.capacities)
        )

    @cached_property
    def standalone_losses(self) -> Any:
        """Loss plus cost of training alone on perfect data, kappa_j: one number if the same for all, else shape
        (agents,)."""
        alone = self.standalone_contributions
        if self.alike:
            return self.cost * alone * (1.0 + self.exponent) / self.exponent
        with np.errstate(all="ignore"):
            return self.loss_weight * self.complexity * alone**-self.exponent + self.unit_costs * alone

    @property
    def standalone_contribution(self) -> float:
        """Samples any agent would train on alone, n0 = (a alpha gamma / c)^(1 / (1 + gamma)); the same for all.

        Raises:
            InvalidInput: agents differ; see `standalone_contributions`.
        """
        self.require_alike("one standalone contribution for all")
        return self.standalone_contributions

    @property
    def standalone_loss(self) -> float:
        """Loss plus cost of training alone on perfect data, kappa = c n0 (1 + gamma) / gamma.

        Raises:
            InvalidInput: agents differ; see `standalone_losses`.
        """
        self.require_alike("one standalone loss for all")
        return self.standalone_losses

    @property
    def tolerances(self) -> np.ndarray:
        """A billionth of each agent's standalone loss, whatever the others': smaller gains are rounding."""
        return 1e-9 * np.broadcast_to(self.standalone_losses, self.types.shape)

    @property
    def tolerance(self) -> float:
        """The smallest of the tolerances: gains up to here are rounding for everybody."""
        return float(self.tolerances.min())

    @cached_property
    def reservation_utilities(self) -> np.ndarray:
        """What each agent gets alone, -(a theta_j + kappa_j), shape (agents,)."""
        return -(self.loss_weight * self.types + self.standalone_losses)

    def profile(self, value: Any) -> np.ndarray:
        """The coalition as a mask; agent numbers and "all" are accepted too, None means "all".

        Raises:
            InvalidInput: an agent is unknown or named twice, or a mask has the wrong length.

        >>> from equilibria.participation import ParticipationGame
        >>> game = ParticipationGame(types=[0.1, 0.2], loss_weight=1.0, complexity=40.0, cost=3.125e-7)
        >>> game.profile([1])
        array([False,  True])
        >>> game.profile([2])
        Traceback (most recent call last):
        contracts.errors.InvalidInput: coalition[0] = 2: expected an agent number from 0 to 1
        """
        if value is None or (isinstance(value, str) and value == "all"):
            return np.ones(self.players, dtype=bool)
        try:
            given = np.asarray(sorted(value) if isinstance(value, set | frozenset) else value)
        except (ValueError, TypeError) as error:
            raise InvalidInput(
                f"coalition = {brief(value)}: expected agent numbers or a boolean mask"
            ) from error
        if given.dtype == bool and given.shape == (self.players,):
            return given.copy()
        if given.dtype == bool or given.ndim != 1 or (given.size and given.dtype.kind not in "iu"):
            shape = f"a boolean mask of length {self.players}"
            raise InvalidInput(f"coalition = {brief(value)}: expected agent numbers or {shape}")
        numbers = given.astype(np.int64)
        wrong = np.flatnonzero((numbers < 0) | (numbers >= self.players))
        if wrong.size:
            found = f"coalition[{wrong[0]}] = {numbers[wrong[0]]}"
            raise InvalidInput(f"{found}: expected an agent number from 0 to {self.players - 1}")
        if np.unique(numbers).size != numbers.size:
            raise InvalidInput(f"coalition = {brief(value)}: expected every agent at most once")
        mask = np.zeros(self.players, dtype=bool)
        mask[numbers] = True
        return mask

    def excess_risk(self, contributions: np.ndarray) -> float:
        """The bound E(n, theta) on the loss of a model trained on `contributions`; infinite without data."""
        total = float(contributions.sum())
        if total == 0.0:
            return np.inf
        mixture = float(contributions @ self.types) / total
        return self.loss_weight * (mixture + self.complexity * total**-self.exponent)

    def surplus_of(self, contributions: np.ndarray, charged: np.ndarray) -> np.ndarray:
        """Utility minus reservation utility of everybody who gets the model and pays for `charged`
        samples."""
        return -self.excess_risk(contributions) - self.unit_costs * charged - self.reservation_utilities
