"""What a program maximises, by rows: the coordinator's target, S(u, t) of a problem's objective, a level.

Objectives speak of types in their own money; programs of rows in units of the mean scale. S is averaged over
worlds by their weights, each with its own shares of the types.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from contracts.problem.cases import EITHER, SERVED
from contracts.problem.objective import Objective, Outcome, Rawlsian
from contracts.problem.standard_form import StandardForm
from contracts.records import frozen


class RowSlopes(NamedTuple):
    """Derivatives of S by each row's utility and reward, shape (rows,) each."""

    by_utility: np.ndarray
    by_reward: np.ndarray
    by_utility_twice: np.ndarray
    by_reward_twice: np.ndarray


@frozen
class Goal:
    """weight * target + S(u, t) + lift * z, in the user's units.

    Attributes:
        form: the problem's standard form.
        objective: the problem's; None for the target alone.
        alone: what each type gets by staying out, in own units, shape (types,).
        shares: of the types among the participants of each world, shape (worlds, types).
        means: of the numbers of participants, shape (worlds,).
    """

    form: StandardForm
    objective: Objective | None
    alone: np.ndarray
    shares: np.ndarray
    means: np.ndarray

    @property
    def weight(self) -> float:
        """What one unit of the target counts."""
        return 1.0 if self.objective is None else self.objective.weight()

    @property
    def levelled(self) -> bool:
        """Whether a level z that everybody reaches is maximised."""
        return isinstance(self.objective, Rawlsian)

    @property
    def lift(self) -> float:
        """What one unit of the level counts."""
        return 1.0 if self.levelled else 0.0

    @property
    def curved(self) -> bool:
        """Whether there is an S."""
        return self.objective is not None and not self.levelled

    @property
    def unit(self) -> float:
        """The size of the objective."""
        plain = [world.plain for world in self.form.worlds]
        if self.objective is not None:
            return max(self.objective.unit(one) for one in plain)
        return max(one.largest_target for one in plain)

    def social(self, utility: np.ndarray, reward: np.ndarray, service: np.ndarray) -> float:
        """S at utilities and rewards of the rows."""
        if not self.curved or self.objective is None:
            return 0.0
        weights = [world.weight for world in self.form.worlds]
        each = [self.objective.formula(one, np) for one in self._outcomes(utility, reward, service)]
        return float(sum(w * value for w, value in zip(weights, each, strict=True) if w > 0.0))

    def slopes(self, utility: np.ndarray, reward: np.ndarray, service: np.ndarray) -> RowSlopes:
        """Derivatives of S there."""
        form, rows = self.form, self.form.rows
        found = np.zeros((4, rows))
        if self.curved and self.objective is not None:
            served, relative = service[form.row] == SERVED, form.relative
            factors = np.stack([relative, np.ones(relative.size), relative**2, np.ones(relative.size)])
            for world, outcome in zip(form.worlds, self._outcomes(utility, reward, service), strict=True):
                each = np.where(served & (outcome.probabilities > 0), self.objective.slopes(outcome), 0.0)
                for k in range(4):
                    found[k] += world.weight * np.bincount(form.row, factors[k] * each[k], rows)
        return RowSlopes(*found)

    def _outcomes(self, utility: np.ndarray, reward: np.ndarray, service: np.ndarray) -> list[Outcome]:
        form = self.form
        service, joining = service[form.row], form.problem.outside.joining_cost
        top = min(world.plain.largest_value for world in form.worlds)
        # Of whom it is open whether it is served is counted as well off as anybody, at no cost.
        best = np.maximum(form.relative * top - joining, self.alone)
        own = np.select(
            [service == SERVED, service == EITHER],
            [form.relative * utility[form.row] - joining, best],
            self.alone,
        )
        given = np.where(service == SERVED, reward[form.row], 0.0)
        return [
            Outcome(own, given, self.alone, shares, float(mean))
            for shares, mean in zip(self.shares, self.means, strict=True)
        ]


def goal_of(form: StandardForm, outside: Any) -> Goal:
    """The goal of a problem.

    Args:
        form: its standard form.
        outside: what each type gets by staying out, in its own units, shape (types,).
    """
    shares, means = [], []
    group = form.problem.population.group_of
    for world in form.worlds:
        each = np.array([float(law.mean) for law in world.laws])
        p = world.plain.population.probabilities * len(world.laws)
        shares.append(p * (each / each.sum())[group])
        means.append(each.sum())
    return Goal(
        form=form,
        objective=form.problem.objective,
        alone=np.asarray(outside, dtype=float),
        shares=np.array(shares),
        means=np.array(means),
    )
