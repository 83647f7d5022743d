"""Menus whose contributions are given: the least utilities, and better lots nearby.

With contributions fixed, linear constraints are lower bounds on utilities and on differences of two: the least
utilities that obey them are found by raising whoever has too little, and a menu exists if promises to give these
can be kept.
"""

from __future__ import annotations

import numpy as np

from contracts.problem.cases import SERVED, STAYS, Case, Linear, linear_constraints
from contracts.problem.standard_form import StandardForm
from contracts.program.case_program import Point, Setting, expected_at, idle_of
from contracts.program.rounding import in_lots, pools

SOUND = 1e-11  # of the largest value: by how much a promise may exceed what can be given
NEAR = 1e-9  # of the unit of data
MOVES = 30


class FixedMenus:
    """Menus of a decided case, by their contributions, in whole lots unless these do not count yet."""

    def __init__(self, at: Setting, case: Case, *, whole: bool = True):
        self.at, self.case = at, case
        linear = linear_constraints(at.form, in_lots(at.form, case) if whole else case, at.asked)
        speaks = linear.by_u.any(axis=1)
        self.linear = Linear(*(part[speaks] for part in linear))
        self.of_data = Linear(*(part[~speaks] for part in linear))
        self.idle = idle_of(at, case)

    def point(self, x: np.ndarray) -> Point | None:
        """The menu with contributions x (shape (rows,), in data) and least utilities; None if there is none."""
        at, of_data = self.at, self.of_data
        if (of_data.by_x @ x < of_data.least - NEAR * at.data_unit).any():
            return None
        utility = least_utilities(self.linear, x, at.value_unit)
        if utility is None:
            return None
        losses = expected_at(at, x / at.data_unit, self.idle)
        can = at.worlds.top_value[:, None] - losses.value_loss - at.costs * x / at.data_unit
        short = (utility / at.value_unit - can)[:, self.case.service == SERVED].max(initial=0.0)
        if short > SOUND:
            return None
        nothing = np.zeros((at.worlds.weight.size, at.form.rows))
        utility = np.where(self.case.service == STAYS, 0.0, utility)
        return Point(x, utility, 0.0, nothing, np.zeros(0))

    def target(self, x: np.ndarray) -> float:
        """The target with contributions x, in units of the objective."""
        losses = expected_at(self.at, x / self.at.data_unit, self.idle)
        return float(self.at.worlds.weight @ self.at.worlds.top_target) - losses.target_loss


def least_utilities(linear: Linear, x: np.ndarray, unit: float) -> np.ndarray | None:
    """The least u with by_x x + by_u u >= least, for constraints on single utilities and differences of two."""
    rest = linear.least - linear.by_x @ x
    raised, against = linear.by_u.argmax(axis=1), linear.by_u.argmin(axis=1)
    up = linear.by_u[np.arange(rest.size), raised] > 0.0
    down = linear.by_u[np.arange(rest.size), against] < 0.0
    size = np.abs(linear.by_u).max(axis=1)
    rest = rest / size
    utility = np.full(x.size, -np.inf)
    np.maximum.at(utility, raised[up & ~down], rest[up & ~down])
    utility = np.where(np.isfinite(utility), utility, 0.0)
    both = np.flatnonzero(up & down)
    for _ in range(x.size + 1):
        before = utility.copy()
        np.maximum.at(utility, raised[both], rest[both] + utility[against[both]])
        if (utility == before).all():
            break
    tolerance = SOUND * unit
    left = rest - np.where(up, utility[raised], 0.0) + np.where(down, utility[against], 0.0)
    return utility if (left <= tolerance).all() else None


def better_lots(menus: FixedMenus, form: StandardForm, start: np.ndarray) -> np.ndarray | None:
    """Climb by the target from contributions in whole lots: one pool up or down, or one up and another down.

    Args:
        menus: what is a menu.
        form: the standard form.
        start: where to begin, shape (rows,).
    """
    case, lot = in_lots(form, menus.case), form.lot or 0.0
    steps = [np.zeros(form.rows) for _ in pools(form, menus.case)]
    for step, rows in zip(steps, pools(form, menus.case), strict=True):
        step[rows] = lot
    single = [sign * step for step in steps for sign in (1.0, -1.0)]
    double = [a - b for i, a in enumerate(steps) for j, b in enumerate(steps) if i != j]
    best = start
    if menus.point(start) is None:
        best = _lowered(menus, steps, start, case)
        if best is None:
            return None
    value = menus.target(best)
    for _ in range(MOVES):
        moved = None
        for step in (*single, *double):
            x = best + step
            if (x < case.low - 1e-9 * lot).any() or (x > case.high * (1.0 + 1e-12)).any():
                continue
            reached = menus.target(x)
            if reached > value and menus.point(x) is not None:
                moved, value = x, reached
        if moved is None:
            return best
        best = moved
    return best


def _lowered(menus: FixedMenus, steps: list[np.ndarray], start: np.ndarray, case: Case) -> np.ndarray | None:
    """A menu below, pools lowered in all ways by up to two lots, the least loss first."""
    ways = np.array(list(np.ndindex(*([3] * len(steps))))) if len(steps) <= 4 else np.eye(len(steps), dtype=int)
    found = [start - sum(n * step for n, step in zip(way, steps, strict=True)) for way in ways]
    found = [x for x in found if (x >= case.low - 1e-12 * np.abs(start)).all()]
    for x in sorted(found, key=menus.target, reverse=True):
        if menus.point(x) is not None:
            return x
    return None
