r"""A lower bound on the loss of every contract, by weak duality.

For prices y, w >= 0 the Lagrangian

    Lag(x) = E L(m(x)) - sum_i y_i (T_i(m) - t_i) - sum_i w_i (u_i - f_i)

is convex in the gap variables x >= 0, so its linearisation at any point bounds the loss of every contract from
below, whatever the prices; good prices make the bound tight. Nothing here is shared with the solvers.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from contracts.problem import Problem
from contracts.problem.participants import as_turnout
from contracts.proof.arithmetic import larger, least, smaller
from contracts.proof.losses import Crowd, Losses
from contracts.proof.soundness import ROUNDING
from contracts.records import Keyed


def distinct_rows(problem: Problem) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Distinct costs falling, their probabilities, and each type's row."""
    costs = problem.population.costs
    falling, row = _falling(Keyed((costs.tobytes(),), costs))
    return falling, np.bincount(row, weights=problem.population.probabilities), row


@lru_cache(maxsize=64)
def _falling(keyed: Keyed) -> tuple[np.ndarray, np.ndarray]:
    rising, place = np.unique(keyed.value, return_inverse=True)
    return rising[::-1], rising.size - 1 - place


def crowd_of(problem: Problem) -> Crowd:
    """Who takes part in a plain problem, by row."""
    costs, p, _ = distinct_rows(problem)
    return Crowd(problem, p, np.zeros(costs.size, dtype=int), (as_turnout(problem.population.participants),))


def by_row(values: np.ndarray, row: np.ndarray) -> np.ndarray:
    """Values of the user's types as values of the rows (types of equal cost share an option)."""
    found = np.empty(int(row.max()) + 1)
    found[row] = values
    return found


class Prices(NamedTuple):
    """A checked `contracts.proof.witness.Witness` without its mixture, in floats or in balls."""

    feasibility: Any
    participation: Any
    contribution: Any
    utility: Any
    excluded: int


class LossBound(NamedTuple):
    """What weak duality says of the loss of every contract.

    Attributes:
        bound: no contract loses less.
        sensitivity: by how much that may be off for each unit of relative error of the mixture.
        rounding: by how much it may be off since floats are rounded.
    """

    bound: Any
    sensitivity: Any
    rounding: Any


def lower_bound(
    losses: Callable[[Any, Any], Losses], prices: Prices, costs: Any, due: Any, top: Any, loss: Any
) -> LossBound:
    """Weak duality: a lower bound on the loss of every contract.

    Args:
        losses: expected ones by contributions of the rows, with gradients at prices of theirs.
        prices: finite and >= 0, and the point.
        costs: of the rows, falling, shape (rows,).
        due: what each row is due at least, shape (rows,).
        top: the largest value.
        loss: of the given contract.
    """
    y, w, m, u, _ = prices
    here = losses(m, y)
    lagrangian = here.target - (y * (top - here.value - costs * m - u)).sum() - (w * (u - due)).sum()
    change, changes = _least_change(prices, here, costs, due, top)
    terms = here.terms + abs(loss) + (w * (abs(u) + abs(due))).sum() + changes
    terms = terms + (y * (top + abs(here.value) + costs * m + abs(u))).sum()
    return LossBound(lagrangian + change, loss + y.sum() * top, ROUNDING * terms)


def _least_change(prices: Prices, here: Losses, costs: Any, due: Any, top: Any) -> tuple[Any, Any]:
    """The least that the linearised Lagrangian changes from its point to any contract, and its terms."""
    y, w, m, u, excluded = prices
    by_losses = here.target_by_x + here.priced_by_x
    point = m, u, due[0]
    residual, gaps = _by_gaps(costs, by_losses + y * costs, y - w, *point)
    size, _ = _by_gaps(costs, y * costs - by_losses, y + w, *point)
    # Every contract has c_I m_I <= V - f_I (m_I is the sum of the gaps of the chain) and u_1 <= V.
    most, gain = larger(top - due[-1], 0.0) / costs[-1], larger(top - due[0], 0.0)
    free = slice(max(2 * excluded - 1, 0), -1)  # the gaps before are zero in every contract, if not at the point
    lowest, largest = least(np.append(residual[free], 0.0)), -least(np.append(-size[free], 0.0))
    change = lowest * most - (residual * gaps).sum() + smaller(residual[-1], 0.0) * gain
    return change, largest * most + (size * abs(gaps)).sum() + size[-1] * gain


def _by_gaps(costs: Any, by_m: Any, by_u: Any, m: Any, u: Any, first: Any) -> tuple[Any, Any]:
    """Gradient and coordinates in the gap variables (gaps of the chain, then e)."""
    steps, tails = costs[:-1] - costs[1:], np.cumsum(by_u[::-1])[::-1]
    by_chain = _between(by_m, steps * tails[1:])
    gaps = np.diff(_between(m, np.diff(u) / steps), prepend=0.0)
    return np.append(np.cumsum(by_chain[::-1])[::-1], tails[0]), np.append(gaps, u[0] - first)


def _between(rows: Any, links: Any) -> Any:
    """Numbers of the rows, and of the links between them, along the chain."""
    return np.append(np.stack([rows[:-1], links], axis=1).ravel(), rows[-1])
