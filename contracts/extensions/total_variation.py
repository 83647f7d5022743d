r"""Robust contracts where the probabilities are known up to a distance of total variation.

Moving probability to dearer types makes the joint data rarer, in the order of first-order stochastic dominance,
for every menu whose contributions rise as costs fall, and incentive compatible ones do. The member of the ball
that moves all it may from the cheapest types to the dearest therefore is worst for the objective and for all
promises at once: the base problem at that member *is* the robust problem.

Source: ours.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from contracts import checks
from contracts.contract import Contract
from contracts.extension import ReducedProblem
from contracts.extensions.ambiguity import dearest_within, least_tail, vertices
from contracts.extensions.robust_contract import (
    Ball,
    RobustContract,
    WorstCase,
    deliverable,
    expected_target,
    interim_problem,
    reached,
    with_probabilities,
)
from contracts.problem import Problem
from contracts.proof.duality import (
    by_row,
    distinct_rows,
    idle_outcomes,
    mean_power,
    transforms,
    type_losses_by_mixture,
)
from contracts.proof.witness import Witness
from contracts.records import frozen

FEW_TYPES = 8


@frozen
class WithinTotalVariation(Ball, ReducedProblem):
    """A robust problem: the probabilities are known up to a total variation distance.

    Composes with batches (`design_contracts`): each is one base problem.

    Args:
        problem: the base problem, with the probabilities believed in; interim belief.
        radius: half the sum of the absolute differences, in [0, 1].

    Raises:
        InvalidInput: a radius outside [0, 1], or an ex-ante belief.

    >>> from contracts import GeneralizationBound, LinearValuation, Population, Problem, design_contract
    >>> problem = Problem(
    ...     population=Population(costs=[0.2, 0.04], probabilities=[0.5, 0.5], participants=10),
    ...     accuracy=GeneralizationBound(),
    ...     valuation=LinearValuation(scale=100.0),
    ... )
    >>> robust = design_contract(WithinTotalVariation(problem=problem, radius=0.1))
    >>> robust.worst_probabilities
    array([0.6, 0.4])
    >>> robust.worst_case < robust.if_right <= robust.nominal.objective
    True
    >>> [breach.name for breach in robust.nominal_breaches]
    ['type 2']
    """

    problem: Any
    radius: Any

    def __post_init__(self) -> None:
        interim_problem(self.problem)
        object.__setattr__(self, "radius", checks.number("radius", self.radius, low=0.0, high=1.0))

    def __str__(self) -> str:
        return f"all probabilities within {self.radius:g} (total variation) of the stated ones"

    @property
    def worst_probabilities(self) -> np.ndarray:
        """Worst for the coordinator and for every promise, whatever the menu."""
        population = self.problem.population
        if self.radius == 0.0:
            return population.probabilities
        return dearest_within(population.costs, population.probabilities, self.radius)

    def distance(self, probabilities: np.ndarray) -> float:
        """Total variation distance from the stated probabilities."""
        return float(0.5 * np.abs(probabilities - self.problem.population.probabilities).sum())

    def reduced(self) -> Problem:
        """The base problem at the worst probabilities."""
        return with_probabilities(self.problem, self.worst_probabilities)

    def lifted(self, contract: Contract) -> RobustContract:
        """The robust contract: the best one at the worst probabilities."""
        p = self.problem.population.probabilities
        return RobustContract(
            problem=self,
            contribution=contract.contribution,
            expected_reward=contract.expected_reward,
            reservation_utility=contract.reservation_utility,
            worst_probabilities=self.worst_probabilities,
            worst_case=reached(contract),
            bound=reached(contract),
            if_right=expected_target(self.problem, contract.contribution, p),
            reference=contract,
            provenance=contract.provenance,
        )

    def worst_deliverable(self, contribution: np.ndarray) -> np.ndarray:
        """T_i at the worst probabilities."""
        return deliverable(self.problem, contribution, self.worst_probabilities)

    def prove(self, contract: RobustContract) -> WorstCase:
        """Every vertex of the ball where types are few; else linear programs for how rare cheap types can be.

        The expected loss is convex in the probabilities (for mixtures of exponentials), so that a vertex is
        worst; for other curves the order of dominance says so, and vertices confirm it.
        """
        problem, menu, worst = self.problem, contract.contribution, self.worst_probabilities
        violations = self._dominance(menu) if menu.size > FEW_TYPES else self._enumeration(contract)
        number = len(vertices(problem.population.probabilities, self.radius)) if menu.size <= FEW_TYPES else 0
        target = expected_target(problem, menu, worst)
        return WorstCase(
            target=target,
            attained=target,
            given=deliverable(problem, menu, worst),
            nominal=expected_target(problem, contract.nominal.contribution, worst),
            how=f"worst of {number} vertices of the ball"
            if number
            else "linear programs: no member of the ball makes any set of cheaper types rarer",
            violations=tuple(violations),
        )

    def _enumeration(self, contract: RobustContract) -> list[str]:
        """Complaints about vertices that are worse than the member taken to be worst."""
        problem, menu = self.problem, contract.contribution
        tolerance = 1e-9 * problem.largest_target
        target, given = at_probabilities(problem, menu, self.worst_probabilities, contract.reference.witness)
        found = []
        for q in vertices(problem.population.probabilities, self.radius):
            there, offered = at_probabilities(problem, menu, q, contract.reference.witness)
            if self.distance(q) > self.radius + 1e-12:
                found.append(f"vertices: {q} is outside of the ball")
            if there < target - tolerance or (offered < given - 1e-9 * problem.largest_value).any():
                found.append(f"worst case: the probabilities {q} are worse")
        return found

    def _dominance(self, menu: np.ndarray) -> list[str]:
        """Complaints about sets of cheap types that could be rarer, and about menus that do not rise."""
        population = self.problem.population
        costs, found = population.costs, []
        cheapest_last = np.lexsort((menu, -costs))
        if (np.diff(menu[cheapest_last]) < -1e-9 * menu.max(initial=1e-300)).any():
            found.append("incentive compatibility: contributions do not rise as costs fall")
        for cost in np.unique(costs)[:-1]:
            least = least_tail(population.probabilities, costs <= cost, self.radius)
            share = float(self.worst_probabilities[costs <= cost].sum())
            if share > least + 1e-9:
                found.append(
                    f"worst probabilities: types of costs up to {cost:g} have {share:g}, could have {least:g}"
                )
        return found


def at_probabilities(
    problem: Problem, contribution: np.ndarray, probabilities: np.ndarray, witness: Witness | None
) -> tuple[float, np.ndarray]:
    """Expected target and T_i of a menu at some probabilities, by a proof's mixture if there is one."""
    if witness is None or not witness.rates.size:
        return (
            expected_target(problem, contribution, probabilities),
            deliverable(problem, contribution, probabilities),
        )
    there = with_probabilities(problem, probabilities)
    _, p, row = distinct_rows(there)
    m = by_row(contribution, row)
    mix = transforms(witness.rates, m, p)
    idle, idle_each = idle_outcomes(there, p, witness.excluded)
    top, best = problem.largest_value, problem.largest_target
    losses = type_losses_by_mixture(there, witness.value_weights, mix, m, p)
    losses = losses - idle_each * (witness.value_weights.sum() - top)
    loss = witness.target_weights @ mean_power(there.population.participants, mix.log_phi)
    loss = loss - idle * (witness.target_weights.sum() - best)
    return float(best - loss), (top - losses)[row]
