"""From a relaxed case to menus: what a case leaves open is decided as its best contract suggests.

Everything here proposes; that a proposal is a menu is checked by solving its (fully decided) case.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np

from contracts.problem.cases import (
    APART,
    BLOCKED,
    EITHER,
    OPEN,
    REACHABLE,
    SERVED,
    SHARED,
    UNDECIDED,
    Asked,
    Case,
    classes,
    due_for_idling,
    known_options,
    linear_constraints,
    neighbours,
)
from contracts.problem.standard_form import StandardForm
from contracts.program.case_program import Point, Setting

NEAR = 1e-9  # of a lot, or of the largest contribution
FEW = 4  # pools whose lots are tried in all ways


def in_lots(form: StandardForm, case: Case) -> Case:
    """A case whose bounds are moved inwards to whole lots, where contributions are."""
    lot = form.lot
    if lot is None:
        return case
    low = np.ceil(case.low / lot - NEAR) * lot
    high = np.where(np.isfinite(case.high), np.floor(np.minimum(case.high, 1e300) / lot + NEAR) * lot, case.high)
    return dataclasses.replace(case, low=low, high=high)


def option_room(form: StandardForm, case: Case, asked: Asked) -> tuple[int, list[int]]:
    """How many more options a case may have, and first served rows that may take the one that does not count."""
    most = form.problem.menu.options
    free, due = [], due_for_idling(form, asked)
    for group in np.unique(form.group):
        served = np.flatnonzero((form.group == group) & (case.service == SERVED))
        if not served.size or served[0] in case.active:
            continue
        if due[served[0]] <= 0.0 and case.low[served[0]] <= 0.0:
            free.append(int(served[0]))
    return (form.rows if most is None else most) - known_options(form, case, due), free


def links_open(form: StandardForm, case: Case) -> np.ndarray:
    """The links between served neighbours of one group of which it is open whether they share an option."""
    adjacent = [a for a, b in neighbours(form, case) if b == a + 1]
    return np.array([a for a in adjacent if case.link[a] == OPEN], dtype=int)


def decided(form: StandardForm, asked: Asked, case: Case, x: np.ndarray, widths: np.ndarray) -> Case:
    """Decide services, reaches and links as contributions suggest.

    Args:
        form, asked: the problem.
        case: what is decided already.
        x: contributions of the rows in the best contract of the case.
        widths: how far apart neighbours must be for the preference margin, in data, shape (rows - 1,).
    """
    service = np.where(case.service == EITHER, SERVED, case.service)
    case = dataclasses.replace(case, service=service)
    reach = case.reach.copy()
    for a, b in neighbours(form, case):
        if b == a + 1 and reach[a] == UNDECIDED and np.isfinite(form.reach[a]):
            reach[a] = BLOCKED if x[b] > form.reach[a] else REACHABLE
    return dataclasses.replace(case, reach=reach, link=_links(form, asked, case, x, widths))


def _links(form: StandardForm, asked: Asked, case: Case, x: np.ndarray, widths: np.ndarray) -> np.ndarray:
    """Which neighbours share: those nearest to each other, as few as are allowed left apart."""
    link, menu = case.link.copy(), form.problem.menu
    undecided = links_open(form, case)
    if menu.preference_margin > 0.0:
        near = undecided[x[undecided + 1] - x[undecided] < 2.0 * widths[undecided]]
        link[near] = SHARED
        undecided = np.setdiff1d(undecided, near)
    if menu.options is None:
        if menu.preference_margin > 0.0:
            link[undecided] = APART
        return link
    room, free = option_room(form, case, asked)
    # Who brings something takes an option that counts.
    small = NEAR * max(float(x.max(initial=0.0)), 1e-300)
    room -= sum(1 for first in free if x[first] > small)
    kept = _best_breaks(form, case, link, undecided, x, max(room, 0))
    link[undecided] = SHARED
    link[kept] = APART
    return link


def _best_breaks(
    form: StandardForm, case: Case, link: np.ndarray, undecided: np.ndarray, x: np.ndarray, room: int
) -> list[int]:
    """The at most `room` links to keep apart so that pooled contributions are nearest to x (least squares)."""
    p = np.mean([world.probabilities for world in form.worlds], axis=0) + 1e-6
    ends = np.flatnonzero(form.group[1:] != form.group[:-1])
    must = {int(k) for k in np.flatnonzero(link == APART)} | {int(k) for k in ends}
    must |= {int(k) for k in range(form.rows - 1) if (case.service[k : k + 2] != SERVED).any()}
    may = {int(k) for k in undecided}
    rows = form.rows
    sums = np.concatenate([np.zeros((3, 1)), np.cumsum([p, p * x, p * x * x], axis=1)], axis=1)

    def cost(i: int, j: int) -> float:
        total, first, second = sums[:, j] - sums[:, i]
        return float(second - first * first / total)

    # best[k][j]: rows before j, with k of the breaks used.
    best = np.full((room + 1, rows + 1), np.inf)
    before = np.zeros((room + 1, rows + 1), dtype=int)
    best[0, 0] = 0.0
    for j in range(1, rows + 1):
        for i in range(j - 1, -1, -1):
            inside = set(range(i, j - 1)) & must
            if inside:
                break
            if i > 0 and i - 1 not in must and i - 1 not in may:
                continue
            used = 1 if i > 0 and i - 1 in may else 0
            each = cost(i, j)
            for k in range(used, room + 1):
                if best[k - used, i] + each < best[k, j]:
                    best[k, j], before[k, j] = best[k - used, i] + each, i
    k, j, kept = int(np.argmin(best[:, rows])), rows, []
    while j > 0:
        i = int(before[k, j])
        if i > 0 and i - 1 in may:
            kept.append(i - 1)
            k -= 1
        j = i
    return kept


def least_utilities(at: Setting, case: Case, point: Point) -> np.ndarray:
    """The least utilities with which the contributions of a decided case can be asked for, shape (rows,).

    What keeps one row from another's option, or is due to it, asks for no less than some utility; so that there
    are least ones, found by raising from nothing whatever falls short.
    """
    linear = linear_constraints(at.form, case, at.asked)
    raises = np.flatnonzero((linear.by_u > 0.0).sum(axis=1) == 1)
    needs = (linear.least - linear.by_x @ point.contribution - linear.by_z * point.level)[raises]
    by_u, row = linear.by_u[raises], linear.by_u[raises].argmax(axis=1)
    own = by_u[np.arange(raises.size), row]
    alone, least = (by_u != 0.0).sum(axis=1) == 1, np.full(point.utility.size, -np.inf)
    np.maximum.at(least, row[alone], needs[alone] / own[alone])
    least = np.where(np.isfinite(least), least, point.utility)
    for _ in range(least.size):
        np.maximum.at(least, row, (needs - (by_u @ least - own * least[row])) / own)
    return np.minimum(least, point.utility)


def nothing_for_nothing(at: Setting, case: Case, point: Point) -> Point:
    """The point; who is asked for nothing and given nothing, but for rounding, exactly so."""
    x, u = point.contribution.copy(), point.utility.copy()
    small = NEAR * max(at.data_unit, float(x.max(initial=0.0)))
    none = (x <= small) & (np.abs(u) <= NEAR * at.value_unit) & (case.low <= 0.0) & (at.asked.due <= 0.0)
    x[none] = u[none] = 0.0
    return point._replace(contribution=x, utility=u)


def pools(form: StandardForm, case: Case) -> list[np.ndarray]:
    """Served rows by the option they share."""
    number = classes(form, case)
    served = np.flatnonzero(case.service == SERVED)
    return [served[number[served] == one] for one in dict.fromkeys(number[served].tolist())]


def lots_near(form: StandardForm, case: Case, x: np.ndarray) -> Iterator[np.ndarray]:
    """Contributions in whole lots near x, pools together: all roundings of few pools, else two."""
    lot = form.lot
    together = pools(form, case)
    inside = in_lots(form, case)
    base = np.array([np.floor(x[rows].mean() / lot + NEAR) for rows in together])
    if len(together) <= FEW:
        shifts = np.array(list(np.ndindex(*([2] * len(together)))))
    else:
        nearest = np.array([np.round(x[rows].mean() / lot) for rows in together]) - base
        shifts = np.array([nearest, np.zeros(base.size)])
    for shift in shifts:
        lots = np.zeros(form.rows)
        for rows, number in zip(together, base + shift, strict=True):
            lots[rows] = min(max(number * lot, inside.low[rows].max()), inside.high[rows].min())
        yield lots
