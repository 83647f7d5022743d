"""A menu for a continuum of costs, between proved bounds, and its certificate."""

from __future__ import annotations

import dataclasses
from functools import cached_property
from typing import Any

import numpy as np

from contracts import checks
from contracts.contract.contract import Contract
from contracts.contract.verify import verify
from contracts.problem.continuous import ContinuousProblem
from contracts.proof.certificate import Certificate
from contracts.proof.certify import GAP
from contracts.proof.outside_options import reservation_by_zooming
from contracts.records import frozen

CHECKED = 2000
ROUNDING = 1e-9  # of the largest value: what promises may miss by


@frozen
class ContinuousContract:
    """A menu for a continuum of costs. Its rows are the options that somebody chooses, by falling cost.

    Attributes:
        problem: the problem it answers.
        menu: the options as a contract of finitely many types, each with the cost of the dearest who choose it
            and with the probability of those who do.
        upper: the best contract when every cost is rounded down; no contract is worth more.
        sizes: cells of the grids, shape (3,), doubling.
        rounded_up, rounded_down: the targets reached on them, shape (3,).
        raised: by how much reservation utilities were raised at most, so that nobody in between loses.
    """

    problem: ContinuousProblem
    menu: Contract
    upper: Contract
    sizes: np.ndarray
    rounded_up: np.ndarray
    rounded_down: np.ndarray
    raised: float

    @property
    def reached(self) -> float:
        """The menu's expected target, exact for the continuous population: a lower bound on the best."""
        return self.menu.reached

    @property
    def bound(self) -> float:
        """The target that no contract exceeds, as designed; the certificate adds what is not proved of it."""
        return self.upper.reached

    @property
    def extrapolated(self) -> float:
        """The best contract's target by Richardson's extrapolation from both sides, within the bounds."""
        up, down = self._limits()
        return float(np.clip(0.5 * (up[-1] + down[-1]), self.reached, max(self.bound, self.reached)))

    @property
    def error_estimate(self) -> float:
        """How far `extrapolated` may be off.

        The two sides' disagreement, their latest change, or a quarter of what lies between the bounds (where a
        distribution's details are finer than the grid, both sides may agree too early), whichever is largest.
        """
        up, down = self._limits()
        moved = 0.5 * np.abs((up + down)[-1] - (up + down)[0])
        width = abs(self.bound - self.reached)
        rounding = 1e-9 * self.menu.problem.largest_value
        return float(min(max(np.abs(up[-1] - down[-1]), moved, 0.25 * width), width) + rounding)

    def _limits(self) -> tuple[np.ndarray, np.ndarray]:
        """Both sides without their error of order one over cells, for the last two pairs of grids."""
        return (2.0 * self.rounded_up[1:] - self.rounded_up[:-1]), (
            2.0 * self.rounded_down[1:] - self.rounded_down[:-1]
        )

    def choice(self, cost: Any) -> np.ndarray:
        """The row of the option that participants of these costs (> 0, any shape) like best."""
        cost = checks.array("cost", cost, ndim=None, low=0.0, open_low=True)
        return np.argmax(self._utilities(cost), axis=-1)

    def contribution_at(self, cost: Any) -> np.ndarray:
        """Data contributed by participants of these costs."""
        return self.menu.contribution[self.choice(cost)]

    def expected_reward_at(self, cost: Any) -> np.ndarray:
        """Expected value of the model that participants of these costs receive."""
        return self.menu.expected_reward[self.choice(cost)]

    def utility_at(self, cost: Any) -> np.ndarray:
        """What participants of these costs gain, in units of cost."""
        cost = checks.array("cost", cost, ndim=None, low=0.0, open_low=True)
        return self._utilities(cost).max(axis=-1)

    def _utilities(self, cost: np.ndarray) -> np.ndarray:
        return self.menu.expected_reward - cost[..., None] * self.menu.contribution

    @cached_property
    def certificate(self) -> Certificate:
        """What is found when the menu is checked for the whole distribution, and the bound with it.

        Who chooses what is found again by comparing all pairs of options; participation is checked at some
        2000 costs and at every cost where the choice changes. Incentives hold by choice. `extended` has the
        value reached, the proved bound, the extrapolated value with its error estimate, and the least slack of
        participation; `gap` is the bound less the value reached, grid included.
        """
        menu, upper = self._restated(self.menu), self._restated(self.upper)
        found, above, top = verify(menu), verify(upper), menu.problem.largest_value
        slack, loser = self._participation(menu)
        complaints = [*self._misjudged(menu), *self._misbounded()]
        if slack < -ROUNDING * top:
            complaints.append(f"individual rationality: cost {loser:g} would get {-slack:.3g} less than alone")
        complaints += [f"upper bound: {text}" for text in above.violations]
        bound = np.inf if above.gap is None else upper.reached + above.gap
        gap = bound - menu.reached
        if gap < -ROUNDING * top:
            complaints.append(f"upper bound: {bound:.9g} is below the {menu.reached:.9g} reached")
        violations = (*found.violations, *complaints)
        asked = GAP * menu.problem.largest_target
        optimal = not violations and gap <= asked
        missing = f"another menu may be better by {gap:.3g} (asked for: {asked:.3g}): expected more cells"
        if violations:
            missing = "a promise is broken"
        elif gap == np.inf:
            missing = f"upper bound: {above.missing}"
        return dataclasses.replace(
            found,
            holds=not violations,
            optimal=optimal,
            gap=max(gap, 0.0) if gap < np.inf and not violations else None,
            as_solved_gap=None,
            scope="",
            missing="" if optimal else missing,
            violations=violations,
            extended={
                "value reached": menu.reached,
                "upper bound": bound,
                "extrapolated value": self.extrapolated,
                "error estimate": self.error_estimate,
                "least slack of participation between costs": slack,
            },
        )

    def _restated(self, contract: Contract) -> Contract:
        """A contract with the problem's own curve, valuation and participants."""
        population = contract.problem.population
        return dataclasses.replace(contract, problem=self.problem.at(population.costs, population.probabilities))

    def _misjudged(self, menu: Contract) -> list[str]:
        """Whether the options are chosen as often, and by as dear costs, as the menu says."""
        m, t = menu.contribution, menu.expected_reward
        low, high = self.problem.support
        population = menu.problem.population
        found = []
        for j in range(m.size):
            less, more = m < m[j], m > m[j]
            dearest = min(high, ((t[j] - t[less]) / (m[j] - m[less])).min(initial=np.inf))
            cheapest = ((t[more] - t[j]) / (m[more] - m[j])).max(initial=-np.inf)
            above = 1.0 if dearest >= high else float(self.problem.distribution.cdf(dearest))
            below = 0.0 if cheapest < low else float(self.problem.distribution.cdf(cheapest))
            if abs(above - below - population.probabilities[j]) > 1e-9:
                found.append(
                    f"choice: option {j + 1} is said to be chosen with probability"
                    f" {population.probabilities[j]:.9g}, found {above - below:.9g}"
                )
            if abs(dearest - population.costs[j]) > 1e-9 * high:
                found.append(
                    f"choice: option {j + 1} is chosen up to cost {dearest:.9g}, said {population.costs[j]:.9g}"
                )
        return found

    def _misbounded(self) -> list[str]:
        """Whether the bound's costs are the distribution's, rounded down."""
        population = self.upper.problem.population
        order = np.argsort(population.costs)
        costs, mass = population.costs[order], population.probabilities[order]
        before = np.r_[0.0, np.cumsum(mass)[:-1]]
        needed = np.asarray(self.problem.distribution.cdf(costs))
        needed[0] = 0.0  # what is cut off below the least cost
        found = []
        for k in np.flatnonzero(before < needed - 1e-9):
            found.append(
                f"upper bound: costs below {costs[k]:g} have probability {before[k]:.9g}, the distribution"
                f" {needed[k]:.9g}: not rounded down"
            )
        if costs[0] > self.problem.support[0] * (1 + 1e-12):
            found.append(f"upper bound: no cost below {costs[0]:g}: not rounded down")
        return found

    def _participation(self, menu: Contract) -> tuple[float, float]:
        """The least of what is gained over staying alone, and at which cost."""
        low, high = self.problem.support
        costs = np.unique(np.r_[np.geomspace(low, high, CHECKED), menu.problem.population.costs])
        gain = self.utility_at(costs) - reservation_by_zooming(
            self.problem.at(costs, np.full(costs.size, 1.0 / costs.size))
        )
        worst = int(np.argmin(gain))
        return float(gain[worst]), float(costs[worst])

    def __str__(self) -> str:
        low, high = self.problem.support
        return (
            f"{self.menu}\ncosts from {low:g} to {high:g}: best {self.extrapolated:.6g}"
            f" ± {self.error_estimate:.2g}, reached {self.reached:.6g}, at most {self.bound:.6g}"
        )
