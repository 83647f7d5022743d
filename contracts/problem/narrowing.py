"""Smaller boxes around the contracts of a case: contributions rise, and nobody pays more than it can get."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from contracts.problem.cases import SERVED, STAYS, Asked, Case, neighbours
from contracts.problem.standard_form import StandardForm

ROUNDS = 200
Received = Callable[[np.ndarray], np.ndarray]


def narrowed(
    form: StandardForm,
    case: Case,
    asked: Asked,
    top: float,
    received: Received,
    *,
    spare: float,
    settled: float,
) -> tuple[np.ndarray, np.ndarray] | None:
    """Bounds on the contributions of all contracts of a case; None if it holds none.

    Args:
        form: the standard form.
        case: the case.
        asked: what each row is due.
        top: the largest value.
        received: what each row can be given at most where rows bring the most, shape (rows,), by these amounts.
        spare: by how much what is received may be too small, in units of rows.
        settled: share of its width by which a box has to become smaller for another look at it.
    """
    costs, served, pairs = form.costs, case.service == SERVED, neighbours(form, case)
    low = np.maximum(case.low, 0.0)
    high = np.minimum(case.high, (np.maximum(top - asked.due, 0.0) + spare) / costs)
    high = np.where(case.service == STAYS, 0.0, high)
    utility = asked.due.copy()
    for a, b in pairs:
        low[b] = max(low[b], low[a])
        utility[b] = max(utility[b], utility[a] + (costs[a] - costs[b]) * low[a] - spare)
    for _ in range(ROUNDS):
        for a, b in pairs[::-1]:
            high[a] = min(high[a], high[b])
        paid = (received(high) - utility + spare) / costs
        moved = np.minimum(high, np.where(served, paid, np.maximum(paid, 0.0)))
        if (moved < low).any():
            return None
        done = (high - moved <= settled * (high - low)).all()
        high = moved
        if done:
            break
    return low, np.maximum(high, low)
