"""What is maximised: the coordinator's target, welfare, fairness, bargaining, less what delivery costs.

Everything participants are promised is the same whatever the objective: individual rationality, incentive
compatibility and feasibility. What is maximised is

    weight * E target + S(u, t),

with S concave in utilities u and expected rewards t, a sum of functions of one type's each.

Source: the objectives are textbook (Bentham, Rawls, Nash 1950); their use here is ours.
"""

from __future__ import annotations

import dataclasses
from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np

from contracts import checks
from contracts.records import frozen

if TYPE_CHECKING:
    from contracts.problem.problem import Problem


class Slopes(NamedTuple):
    """First and second derivatives of S by each type's utility and reward, each of shape (types,)."""

    by_utility: Any
    by_reward: Any
    by_utility_twice: Any
    by_reward_twice: Any


class Outcome(NamedTuple):
    """What an objective sees of a menu; arrays of shape (types,), in the user's units.

    Attributes:
        utility: u_i, in own units, the joining cost taken off.
        reward: t_i, in units of the mean valuation.
        alone: what each gets by staying out, in own units.
        probabilities: which share of the participants is of each type.
        participants: the mean number of participants.
    """

    utility: Any
    reward: Any
    alone: Any
    probabilities: Any
    participants: float


class Objective:
    """An objective weight * E target + S(u, t).

    Derive your own: S must be a sum of functions of one type's utility and reward each, concave in both; proofs
    are only as good as that.

    Attributes:
        family: the name by which files call the objective.
    """

    family: ClassVar[str]

    @abstractmethod
    def weight(self) -> float:
        """The weight of the coordinator's expected target."""

    @abstractmethod
    def formula(self, outcome: Outcome, xp: Any) -> Any:
        """S by the array library `xp`."""

    @abstractmethod
    def slopes(self, outcome: Outcome) -> Slopes:
        """First and second derivatives of S by u and t (its terms each depend on one type)."""

    @abstractmethod
    def unit(self, problem: Problem) -> float:
        """The size of the objective, for which optimality is stated relative to it."""

    def parameters(self) -> dict[str, Any]:
        """The objective as plain numbers and words, as a file stores it."""
        fields = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}  # type: ignore[arg-type]
        return {"family": self.family} | fields


@frozen
class Welfare(Objective):
    """Expected utility of a participant, sum_i p_i u_i, plus the coordinator's target at some weight.

    Args:
        coordinator: what one unit of the expected target counts against one unit of the participants' mean
            utility, >= 0. With `coordinator=0` participants alone matter.

    >>> Welfare(coordinator=0.5).weight()
    0.5
    """

    family = "welfare"
    coordinator: float = 0.0

    def __post_init__(self) -> None:
        _set(self, "coordinator", checks.number("coordinator", self.coordinator, low=0.0))

    def weight(self) -> float:
        """See `Objective.weight`."""
        return self.coordinator

    def formula(self, outcome: Outcome, xp: Any) -> Any:
        """See `Objective.formula`."""
        return xp.sum(outcome.probabilities * outcome.utility)

    def slopes(self, outcome: Outcome) -> Slopes:
        """See `Objective.slopes`."""
        nothing = np.zeros(outcome.utility.size)
        return Slopes(outcome.probabilities, nothing, nothing, nothing)

    def unit(self, problem: Problem) -> float:
        """See `Objective.unit`."""
        return problem.largest_value + self.coordinator * problem.largest_target


@frozen
class Rawlsian(Objective):
    """The lot of whoever is worst off: the least gain u_i - f_i over staying alone, or the least utility u_i.

    All types listed count, however rare.

    Args:
        over: "gain" or "utility".
        coordinator: what one unit of the expected target counts against one unit of that, >= 0. Often many menus
            leave the worst off equally well; a small weight picks an accurate one of them.

    >>> Rawlsian(over="utility").over
    'utility'
    """

    family = "rawlsian"
    over: str = "gain"
    coordinator: float = 0.0

    def __post_init__(self) -> None:
        checks.choice("over", self.over, ("gain", "utility"))
        _set(self, "coordinator", checks.number("coordinator", self.coordinator, low=0.0))

    def weight(self) -> float:
        """See `Objective.weight`."""
        return self.coordinator

    def formula(self, outcome: Outcome, xp: Any) -> Any:
        """See `Objective.formula`."""
        return xp.min(self.level(outcome))

    def level(self, outcome: Outcome) -> Any:
        """How well off each type is, shape (types,)."""
        return outcome.utility - outcome.alone if self.over == "gain" else outcome.utility

    def slopes(self, outcome: Outcome) -> Slopes:
        """See `Objective.slopes`; here of the utility of the dearest type, which is the least."""
        nothing = np.zeros(outcome.utility.size)
        return Slopes(np.eye(1, nothing.size)[0], nothing, nothing, nothing)

    def unit(self, problem: Problem) -> float:
        """See `Objective.unit`."""
        return problem.largest_value + self.coordinator * problem.largest_target


@frozen
class NashBargaining(Objective):
    """Nash's product of gains, as the mean logarithm sum_i p_i log(u_i - f_i).

    Independent of the unit of value, up to a constant. Types of probability zero do not bargain.

    >>> NashBargaining().weight()
    0.0
    """

    family = "nash-bargaining"

    def weight(self) -> float:
        """See `Objective.weight`."""
        return 0.0

    def formula(self, outcome: Outcome, xp: Any) -> Any:
        """See `Objective.formula`; minus infinity where somebody gains nothing."""
        gain = outcome.utility - outcome.alone
        occurs = outcome.probabilities > 0
        sound = xp.where(occurs & (gain > 0), gain, 1.0)
        total = xp.sum(outcome.probabilities * xp.log(sound))
        return xp.where(xp.any(occurs & (gain <= 0)), -xp.inf, total)

    def slopes(self, outcome: Outcome) -> Slopes:
        """See `Objective.slopes`."""
        nothing = np.zeros(outcome.utility.size)
        first = outcome.probabilities / (outcome.utility - outcome.alone)
        return Slopes(first, nothing, -first / (outcome.utility - outcome.alone), nothing)

    def unit(self, problem: Problem) -> float:  # noqa: ARG002
        """See `Objective.unit`: logarithms have none."""
        return 1.0


@frozen
class DistributionCost(Objective):
    """The coordinator's expected target less what handing out models costs, N sum_i p_i rate t_i^exponent.

    Args:
        rate: cost, in units of the target, of handing one participant a model of expected value 1; >= 0.
        exponent: >= 1; above one, better models cost more than in proportion.

    >>> DistributionCost(rate=1e-3, exponent=2.0).exponent
    2.0
    """

    family = "distribution-cost"
    rate: float
    exponent: float = 1.0

    def __post_init__(self) -> None:
        _set(self, "rate", checks.number("rate", self.rate, low=0.0))
        _set(self, "exponent", checks.number("exponent", self.exponent, low=1.0))

    def weight(self) -> float:
        """See `Objective.weight`."""
        return 1.0

    def formula(self, outcome: Outcome, xp: Any) -> Any:
        """See `Objective.formula`."""
        each = xp.maximum(outcome.reward, 0.0) ** self.exponent
        return -self.rate * outcome.participants * xp.sum(outcome.probabilities * each)

    def slopes(self, outcome: Outcome) -> Slopes:
        """See `Objective.slopes`."""
        nothing, k = np.zeros(outcome.utility.size), self.exponent
        share = -self.rate * outcome.participants * outcome.probabilities
        twice = share * k * (k - 1.0) * outcome.reward ** (k - 2.0) if k > 1.0 else nothing
        return Slopes(nothing, share * k * outcome.reward ** (k - 1.0), nothing, twice)

    def unit(self, problem: Problem) -> float:
        """See `Objective.unit`."""
        return problem.largest_target


def _set(record: Any, name: str, value: Any) -> None:
    object.__setattr__(record, name, value)


FAMILIES: dict[str, type[Objective]] = {
    cls.family: cls for cls in (Welfare, Rawlsian, NashBargaining, DistributionCost)
}
