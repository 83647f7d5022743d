"""The bound that the prices of a plain problem give (`contracts.proof.duality`), over balls."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from flint import arb

from contracts.proof.intervals.ball import balls, largest, where
from contracts.proof.intervals.loss_balls import CrowdBalls, expected_losses, idle_chances
from contracts.proof.intervals.relaxation_balls import Below
from contracts.proof.intervals.world_balls import Worth
from contracts.proof.witness import Witness


class LossBound(NamedTuple):
    """No contract loses less than `bound`; the given one, by the mixture, `loss`. Balls."""

    bound: Any
    loss: Any


def loss_bound(
    worth: Worth,
    crowd: CrowdBalls,
    losses: Below,
    witness: Witness,
    costs: np.ndarray,
    due: np.ndarray,
    data: np.ndarray,
) -> LossBound:
    """Weak duality.

    Args:
        worth: what data are worth.
        crowd: who takes part, by row.
        losses: mixtures below the losses.
        witness: checked numbers.
        costs: of the rows, balls.
        due: floats that are not above what each row is due, shape (rows,).
        data: of the given contract, balls, shape (rows,).
    """
    rows, top = costs.size, worth.top_value
    y, w = balls(witness.feasibility_multipliers), balls(witness.participation_multipliers)
    m, u, f = balls(witness.contribution), balls(witness.utility), balls(due)
    nothing = np.arange(rows) < witness.excluded
    m = where(nothing, arb(0), m)
    idle, idle_each = idle_chances(crowd, nothing)
    mixture = losses.mixture
    excess = idle * (mixture.target.sum() - worth.top_target)
    value_excess = idle_each * (mixture.value.sum() - top)
    found = expected_losses(crowd, mixture, m, y)
    given = found.value - value_excess - losses.left_value
    slack = top - given - costs * m - u
    lagrangian = found.target - excess - losses.left_target - (y * slack).sum() - (w * (u - f)).sum()
    by_losses = found.target_by_x + found.priced_by_x
    residual, point = _by_gaps(costs, by_losses + y * costs, y - w, m, u, f[0], witness.excluded)
    most = largest([top - f[-1]], 0) / costs[-1]
    gain = largest([top - f[0]], 0)
    lowest = -largest([-r for r in residual[:-1]], 0) * most
    change = lowest - (residual * point).sum() + arb.min(residual[-1], arb(0)) * gain
    loss = expected_losses(crowd, mixture, data).target - excess
    return LossBound(lagrangian + change, loss)


def _by_gaps(
    costs: np.ndarray,
    by_m: np.ndarray,
    by_u: np.ndarray,
    m: np.ndarray,
    u: np.ndarray,
    first: Any,
    excluded: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Gradient and coordinates in the gaps of the chain m_1 <= s_1 <= m_2 <= ..., s the slopes of utility."""
    rows = m.size
    steps = costs[:-1] - costs[1:]
    tails = np.cumsum(by_u[::-1])[::-1]
    chain, by_chain = np.empty(2 * rows - 1, dtype=object), np.empty(2 * rows - 1, dtype=object)
    chain[0::2], by_chain[0::2] = m, by_m
    chain[1::2], by_chain[1::2] = (u[1:] - u[:-1]) / steps, steps * tails[1:]
    gaps = chain.copy()
    gaps[1:] = chain[1:] - chain[:-1]
    by_gap = np.cumsum(by_chain[::-1])[::-1]
    free = slice(max(2 * excluded - 1, 0), None)
    return np.append(by_gap[free], [tails[0]]), np.append(gaps[free], [u[0] - first])
