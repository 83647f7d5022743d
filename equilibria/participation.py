"""Participation games: agents with data of private quality decide whether to train together or alone.

Agent j holds data of type theta_j in [0, 1], the discrepancy between their distribution and the target's (low
is good). When a coalition gives n_j samples each, N in all, everybody in it receives the same model, whose
excess risk is bounded by

    E(n, theta) = a * ( sum_j n_j theta_j / N + alpha * N ** -gamma )

and member j's utility is -E - c n_j. Outside, j trains alone on the best amount of their own data.

The setting follows Capitaine, Boursier, Scheid, Moulines, Jordan, El-Mhamdi and Durmus, "Unravelling in
Collaborative Learning" (NeurIPS 2024, arXiv 2407.14332); the bound above, the constants and the algorithms
are this project's own. The pooled-error form of E is textbook: for every f in the class the risk under the
mixture differs from the target's by at most the weighted mean discrepancy (Ben-David et al. 2010), and
uniform convergence over N samples adds a term of order N ** -gamma.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from contracts.checks import array, brief, number
from contracts.errors import InvalidInput
from equilibria.game import BestResponses, Game
from equilibria.pooled import PooledRule
from equilibria.pure import PureEquilibria, pure_equilibria
from equilibria.rule import Rule
from equilibria.unravelling import Unravelling, unravel


@dataclass(frozen=True, kw_only=True, eq=False)
class ParticipationGame(Game):
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
        cost: c > 0, utility per sample.
        rule: how contributions follow from the coalition.

    Raises:
        InvalidInput: a value is outside its range, or the standalone optimum overflows.

    >>> game = ParticipationGame(types=[0.1, 0.2, 0.6], loss_weight=1.0, complexity=40.0, cost=3.125e-7)
    >>> round(game.standalone_contribution), round(game.standalone_loss, 3)
    (160000, 0.15)
    >>> [equilibrium.members.tolist() for equilibrium in game.pure_equilibria()]
    [[], [2]]
    """

    types: Any
    loss_weight: float
    complexity: float
    exponent: float = 0.5
    cost: float
    rule: Rule = field(default_factory=PooledRule)

    def __post_init__(self):
        types = array("types", self.types, low=0.0, high=1.0)
        if types.size < 2:
            raise InvalidInput("types has length 1: expected at least two agents, a game needs two players")
        types.flags.writeable = False
        positive = {name: getattr(self, name) for name in ("loss_weight", "complexity", "cost")}
        checked: dict[str, Any] = {
            "types": types,
            "exponent": number("exponent", self.exponent, low=0.0, high=1.0, open_low=True),
            **{name: number(name, value, low=0.0, open_low=True) for name, value in positive.items()},
        }
        if not isinstance(self.rule, Rule):
            raise InvalidInput(f"rule = {brief(self.rule)}: expected a rule such as PooledRule()")
        for name, value in checked.items():
            object.__setattr__(self, name, value)
        with np.errstate(all="ignore"):
            scale = self.standalone_contribution * types.size * (1 + 1 / self.exponent)
        if not (self.standalone_contribution > 0 and np.isfinite([scale, self.standalone_loss]).all()):
            raise InvalidInput(
                f"loss_weight, complexity, exponent, cost: the standalone optimum "
                f"{self.standalone_contribution:g} samples is out of range: rescale the units"
            )

    @property
    def players(self) -> int:
        """Number of agents."""
        return self.types.size

    @property
    def tolerance(self) -> float:
        """A billionth of the standalone loss: smaller gains are rounding."""
        return 1e-9 * self.standalone_loss

    @cached_property
    def standalone_contribution(self) -> float:
        """Samples an agent would train on alone, n0 = (a alpha gamma / c)^(1 / (1 + gamma)); the same for
        all."""
        with np.errstate(all="ignore"):
            ratio = np.float64(self.loss_weight) * self.complexity * self.exponent / self.cost
            return float(ratio ** (1.0 / (1.0 + self.exponent)))

    @cached_property
    def standalone_loss(self) -> float:
        """Loss plus cost of training alone on perfect data, kappa = c n0 (1 + gamma) / gamma."""
        return self.cost * self.standalone_contribution * (1.0 + self.exponent) / self.exponent

    @cached_property
    def reservation_utilities(self) -> np.ndarray:
        """What each agent gets alone, -(a theta_j + kappa), shape (agents,)."""
        return -(self.loss_weight * self.types + self.standalone_loss)

    def with_rule(self, rule: Rule) -> ParticipationGame:
        """The same agents under another rule.

        >>> from equilibria.welfare import FullInformationRule
        >>> game = ParticipationGame(types=[0.1, 0.2], loss_weight=1.0, complexity=40.0, cost=3.125e-7)
        >>> game.with_rule(FullInformationRule()).epsilon([0, 1])
        0.0
        """
        return replace(self, rule=rule)

    def profile(self, value: Any) -> np.ndarray:
        """The coalition as a mask; agent numbers and "all" are accepted too, None means "all".

        Raises:
            InvalidInput: an agent is unknown or named twice, or a mask has the wrong length.

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
        return -self.excess_risk(contributions) - self.cost * charged - self.reservation_utilities

    def contributions(self, coalition: Any = None) -> np.ndarray:
        """Samples each agent gives when `coalition` (everybody, if omitted) takes part, shape (agents,).

        >>> game = ParticipationGame(types=[0.1, 0.2], loss_weight=1.0, complexity=40.0, cost=3.125e-7)
        >>> game.contributions([1])
        array([     0., 160000.])
        """
        return self.rule.contributions(self, self.profile(coalition))

    def learning_error(self, coalition: Any = None) -> float:
        """The bound E on the loss of the coalition's model; infinite when nobody gives data."""
        return self.excess_risk(self.contributions(coalition))

    def surpluses(self, coalition: Any = None) -> np.ndarray:
        """What each member gets above training alone; zero for outsiders, shape (agents,)."""
        return self.rule.surpluses(self, self.profile(coalition))

    def total_surplus(self, coalition: Any = None) -> float:
        """Sum of the members' surpluses."""
        return float(self.surpluses(coalition).sum())

    def gains(self, coalition: Any = None) -> np.ndarray:
        """Utility in minus utility out for every agent, the others as in `coalition`, shape (agents,).

        >>> game = ParticipationGame(types=[0.1, 0.2], loss_weight=1.0, complexity=40.0, cost=3.125e-7)
        >>> game.gains([1]).round(3)
        array([-0.019,  0.   ])
        """
        return self.rule.gains(self, self.profile(coalition))

    def utilities(self, profile: Any = None) -> np.ndarray:
        """Utility of every agent, members or not, shape (agents,)."""
        return self.reservation_utilities + self.surpluses(profile)

    def best_responses(self, profile: Any) -> BestResponses:
        """Whether each agent would rather be in or out, and what changing is worth."""
        members = self.profile(profile)
        worth = self.gains(members)
        gains = np.maximum(np.where(members, -worth, worth), 0.0)
        moves = gains > self.tolerance
        return BestResponses(
            actions=members ^ moves, gains=gains, gain_bounds=gains, method="both actions of every agent"
        )

    def pure_equilibria(self) -> PureEquilibria:
        """All pure Nash equilibria: by the threshold theorem for pooled rules, else by enumeration.

        Raises:
            InvalidInput: the rule has no such theorem and the game is too large to enumerate.
        """
        return pure_equilibria(self)

    def unravel(self, start: Any = None) -> Unravelling:
        """Who leaves when: rounds of simultaneous departures from `start` (everybody, if omitted)."""
        return unravel(self, start)
