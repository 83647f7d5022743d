r"""Everybody known by name: the total data is certain, and the best menu solves one equation.

Nobody's option tempts anybody else, so whoever takes part can be asked for as much as leaves it what it is due:
x_i = min(capacity_i, (v(X) - due_i) / c_i). The target rises with the total X, so the best menu has the largest
X with

    X = sum_i min(capacity_i, (v(X) - due_i) / c_i),    v(X) >= due_i for all i,

v being the least of the worlds' values. It holds for every curve, mixture of exponentials or not.

Source: Wang et al., AAAI 2025 (arXiv 2412.11122), complete information; capacities and worlds are ours.
"""

from __future__ import annotations

import numpy as np

from contracts.problem.cases import Asked
from contracts.problem.standard_form import StandardForm

GRID = 4000
LOWEST = 1e-9  # of the largest total: where the grid begins
HALVINGS = 80


def applies(form: StandardForm) -> bool:
    """Whether a problem is of this kind: all named, free menus, the coordinator's target, everybody served."""
    problem = form.problem
    stays = problem.outside.utility is not None or bool(np.any(problem.outside.joining_cost))
    return problem.population.named and problem.menu.free and problem.objective is None and not stays


def menu_of_known_total(form: StandardForm, asked: Asked) -> tuple[np.ndarray, np.ndarray] | None:
    """Contributions and utilities of the best menu, shape (rows,) each; None where there is none.

    The largest total is bracketed on a logarithmic grid, then halved into; data that nobody gains from (a total
    of zero) are a menu where nobody is due anything.
    """
    least = float(asked.due.max())

    def given(total: np.ndarray) -> np.ndarray:
        return np.min([world.plain.value(total) for world in form.worlds], axis=0)

    def surplus(total: np.ndarray) -> np.ndarray:
        """By how much data offered at a total exceed it; negative where somebody gets less than it is due."""
        value = given(total)
        each = np.minimum(form.capacity, (value[:, None] - asked.due) / form.costs)
        return np.where(value >= least, each.sum(axis=1) - total, -np.inf)

    top = min(world.plain.largest_value for world in form.worlds)
    if top < least:
        return None
    most = float(np.minimum(form.capacity, (top - asked.due) / form.costs).sum())
    grid = np.geomspace(LOWEST * most, most, GRID) if most > 0.0 else np.zeros(1)
    enough = np.flatnonzero(surplus(grid) >= 0.0)
    if not enough.size:
        return (np.zeros(form.rows), np.zeros(form.rows)) if least <= 0.0 else None
    low, high = grid[enough[-1]], grid[min(enough[-1] + 1, grid.size - 1)]
    for _ in range(HALVINGS):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if surplus(np.array([middle]))[0] >= 0.0 else (low, middle)
    value = float(given(np.array([low]))[0])
    contribution = np.maximum(np.minimum(form.capacity, (value - asked.due) / form.costs), 0.0)
    return contribution, value - form.costs * contribution
