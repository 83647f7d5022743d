r"""An upper bound on any concave objective over all contracts, by weak duality.

For prices y, w >= 0 the Lagrangian

    Lag(x) = weight (top - E L(m)) + S(u, t) + sum_i y_i (T_i(m) - t_i) + sum_i w_i (u_i - least_i)

is concave in the gap variables x, so its linearisation at any point bounds the objective of every contract from
above, whatever the prices. Gaps may be held at zero (types left out, or sharing an option) or bounded from below
(margins). Nothing here is shared with the solver.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from contracts.problem import Problem
from contracts.proof.duality import (
    by_gaps,
    distinct_rows,
    idle_outcomes,
    transforms,
    type_loss_gradient,
    type_losses_by_mixture,
)
from contracts.proof.witness import Witness


class Tangent(NamedTuple):
    """S at the witness's point, and its slopes by each row's utility and reward, shape (rows,)."""

    value: float
    by_utility: np.ndarray
    by_reward: np.ndarray


class Gaps(NamedTuple):
    """What is asked of the gaps of the chain (m_1, d_1 - m_1, m_2 - d_1, ...), and of u_1 above its least.

    Attributes:
        least: lower bounds, in data (the last one in units of value), shape (2 rows,).
        held: which are held at zero, shape (2 rows,).
    """

    least: np.ndarray
    held: np.ndarray

    @classmethod
    def free(cls, rows: int, excluded: int = 0) -> Gaps:
        """No demands but that the first `excluded` rows contribute nothing."""
        return cls(np.zeros(2 * rows), np.arange(2 * rows) < 2 * excluded - 1)


class Bound(NamedTuple):
    """What no contract exceeds, and how far off that may be for each unit of relative error of the mixture."""

    value: float
    sensitivity: float


def upper_bound(
    problem: Problem, witness: Witness, least: np.ndarray, weight: float, social: Tangent, gaps: Gaps
) -> Bound:
    """Bound weight * E target + S over all contracts with u >= least and the gaps asked for.

    Args:
        problem: the problem; expectations are those of the witness's mixtures.
        witness: the point and the prices.
        least: what each row is due, shape (rows,).
        weight: of the coordinator's target.
        social: S linearised at the witness's point; S is concave.
        gaps: what is asked of the gaps.
    """
    costs, p, _ = distinct_rows(problem)
    n, top = problem.population.participants, problem.largest_value
    y = np.maximum(witness.feasibility_multipliers, 0.0)
    w = np.maximum(witness.participation_multipliers, 0.0)
    m, u = witness.contribution, witness.utility
    mix = transforms(witness.rates, m, p)
    powers = np.exp(n * mix.log_phi)
    slack = top - _type_losses(problem, witness, m) - costs * m - u
    lagrangian = weight * expected_target(problem, witness, m) + social.value + y @ slack + w @ (u - least)
    by_m = weight * (witness.target_weights * mix.rates * n * powers) @ mix.tilted - y * costs
    by_m = by_m - type_loss_gradient(problem, witness.value_weights, mix, m, p, y) + social.by_reward * costs
    by_u = social.by_utility + social.by_reward - y + w
    slopes, point = by_gaps(costs, by_m, by_u, m, u, least[0], 0)
    change = _most_change(slopes, point, gaps, top / costs[-1], top)
    loss = problem.largest_target - expected_target(problem, witness, m)
    return Bound(float(lagrangian + change), float(weight * loss + y.sum() * top))


def expected_target(problem: Problem, witness: Witness, m: np.ndarray) -> float:
    """The coordinator's expected target at contributions m, shape (rows,), in the program as solved."""
    _, p, _ = distinct_rows(problem)
    mix = transforms(witness.rates, m, p)
    top, excess = problem.largest_target, 0.0
    if witness.excluded:
        idle, _ = idle_outcomes(problem, p, witness.excluded)
        excess = idle * (witness.target_weights.sum() - top)
    return float(top + excess - witness.target_weights @ np.exp(problem.population.participants * mix.log_phi))


def _type_losses(problem: Problem, witness: Witness, m: np.ndarray) -> np.ndarray:
    _, p, _ = distinct_rows(problem)
    losses = type_losses_by_mixture(problem, witness.value_weights, transforms(witness.rates, m, p), m, p)
    _, idle = idle_outcomes(problem, p, witness.excluded)
    return losses - idle * (witness.value_weights.sum() - problem.largest_value)


def _most_change(slopes: np.ndarray, point: np.ndarray, gaps: Gaps, most_data: float, top: float) -> float:
    """The most that the linearised Lagrangian can change from the witness's point to any contract.

    The gaps of the chain sum to the largest contribution, which costs no more than the largest value.
    """
    free = ~gaps.held
    left = most_data - float(gaps.least[:-1][free[:-1]].sum())
    if left < 0.0:
        return -np.inf  # no contract at all has gaps as large
    fixed = float(slopes[free] @ gaps.least[free]) - float(slopes @ point)
    steepest = max(0.0, float(slopes[:-1][free[:-1]].max(initial=0.0)))
    return fixed + steepest * left + max(0.0, float(slopes[-1])) * top
