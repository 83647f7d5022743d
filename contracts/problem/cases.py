r"""Cases: what a menu may still be, and the linear constraints that every contract of a case obeys.

The best menu is searched, and its optimality is proved, by cases: which neighbours share an option, between
which bounds contributions lie, who can deliver whose contribution, who stays out. In each case what remains is a
convex program in contributions x and utilities u of the rows (`contracts.problem.standard_form`). Its linear
constraints are written down here, once for the search and for the proof; what can be given each of them says in
its own formulas.

Incentive compatibility binds within a group only, and neighbours suffice: with costs falling and contributions
rising along a group, u_b - u_a >= (c_a - c_b) x_a keeps b from a's option and u_b - u_a <= (c_a - c_b) x_b keeps
a from b's. Who cannot deliver x_b needs no keeping: either x_b <= reach_a and the second constraint, or
x_b >= reach_a without it.

Source: single crossing is textbook (Mirrlees 1971; Maskin and Riley 1984); capacities and staying out are ours.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np

from contracts.problem.objective import NashBargaining, Rawlsian
from contracts.problem.standard_form import StandardForm
from contracts.records import frozen

OPEN, SHARED, APART = -1, 0, 1  # of links: whether two neighbours share an option
UNDECIDED, REACHABLE, BLOCKED = -1, 0, 1  # of links: whether the dearer one can deliver the cheaper one's data
SERVED, STAYS, EITHER = 0, 1, 2  # of rows


@frozen
class Case:
    """What is decided. Link k stands for the rows k and k + 1, whether or not they are of one group.

    Attributes:
        low, high: bounds on each row's contribution, in data, shape (rows,).
        link: whether neighbours share an option: OPEN, SHARED or APART, shape (rows - 1,).
        reach: whether the dearer of two can deliver what the cheaper one owes: UNDECIDED, REACHABLE or BLOCKED,
            shape (rows - 1,).
        service: whether each row is SERVED, STAYS out or EITHER, shape (rows,).
        shared, apart: pairs (a, b), a < b, of rows of different groups that share an option, or do not.
        idle, active: rows that, if served, bring nothing and get nothing, which is no option; or have one.
    """

    low: np.ndarray
    high: np.ndarray
    link: np.ndarray
    reach: np.ndarray
    service: np.ndarray
    shared: tuple[tuple[int, int], ...] = ()
    apart: tuple[tuple[int, int], ...] = ()
    idle: tuple[int, ...] = ()
    active: tuple[int, ...] = ()


class Linear(NamedTuple):
    """Constraints by_x x + by_u u + by_z z >= least, one a row.

    Attributes:
        by_x, by_u: shape (constraints, rows).
        by_z: of the level z >= 0 given to everybody in its own units, shape (constraints,); zero where there is
            no such level.
        least: shape (constraints,).
    """

    by_x: np.ndarray
    by_u: np.ndarray
    by_z: np.ndarray
    least: np.ndarray


class Asked(NamedTuple):
    """What the linear constraints need besides the case.

    Attributes:
        due: what each served row is due at least, shape (rows,).
        stays: what each row gets by staying out, joining cost added, shape (rows,): what no option may exceed
            for those who are to stay.
        margin: preference margin of each row, shape (rows,).
        level: for objectives with a level z: for each type what it starts from, u_i - level_i >= z in its own
            units, shape (types,); None where there is none.
        aside: with it, what each type that stays out gets, joining cost added, in its own units, shape (types,).
    """

    due: np.ndarray
    stays: np.ndarray
    margin: np.ndarray
    level: np.ndarray | None = None
    aside: np.ndarray | None = None


def asked_of(form: StandardForm, outside: np.ndarray) -> Asked:
    """What a problem asks of its menus.

    Args:
        form: its standard form.
        outside: what each type gets by staying out, in its own units, shape (types,).
    """
    problem, relative = form.problem, form.relative
    joining = np.broadcast_to(np.asarray(problem.outside.joining_cost, dtype=float), relative.shape)
    stays, margin = np.full(form.rows, np.inf), np.zeros(form.rows)
    np.minimum.at(stays, form.row, (outside + joining) / relative)
    np.maximum.at(margin, form.row, problem.menu.preference_margin / relative)
    level = None
    if isinstance(problem.objective, Rawlsian):
        level = joining + (outside if problem.objective.over == "gain" else 0.0)
    return Asked(due=form.due(outside), stays=stays, margin=margin, level=level, aside=outside + joining)


def whole(form: StandardForm, *, stay: bool = False) -> Case:
    """The case of all contracts: nothing is decided, except where there is nothing to decide.

    Args:
        form: the problem's standard form.
        stay: whether rows may stay out (else everybody is served).
    """
    rows = form.rows
    reach = np.where(np.isfinite(form.reach[:-1]), UNDECIDED, REACHABLE)
    return Case(
        low=np.zeros(rows),
        high=form.capacity.copy(),
        link=np.full(max(rows - 1, 0), OPEN),
        reach=reach,
        service=np.full(rows, EITHER if stay else SERVED),
    )


def neighbours(form: StandardForm, case: Case) -> list[tuple[int, int]]:
    """Pairs (a, b) of consecutive served rows of one group, a the dearer one."""
    served = np.flatnonzero(case.service == SERVED)
    return [(int(a), int(b)) for a, b in pairwise(served) if form.group[a] == form.group[b]]


def linear_constraints(form: StandardForm, case: Case, asked: Asked) -> Linear:
    """All linear constraints of a case, in an order that depends on the case alone."""
    found = _Rows(form.rows)
    for i in range(form.rows):
        _own(found, case, asked, i, float(form.costs[i]))
    for a, b in neighbours(form, case):
        _between(found, form, case, asked, a, b)
    for a, b in case.shared:
        if case.service[a] == case.service[b] == SERVED:
            _alike(found, form, a, b)
    for i in np.flatnonzero(case.service == STAYS):
        _keep_out(found, form, case, asked, int(i))
    if asked.level is not None:
        for i, (row, relative) in enumerate(zip(form.row, form.relative, strict=True)):
            if case.service[row] == SERVED:
                found.add(u={int(row): float(relative)}, z=-1.0, least=float(asked.level[i]))
            elif case.service[row] == STAYS and asked.aside is not None:
                found.add(z=-1.0, least=float(asked.level[i] - asked.aside[i]))
    return found.stacked()


class _Rows:
    """Constraints being collected."""

    def __init__(self, rows: int):
        self.rows = rows
        self.found: list[tuple[dict[int, float], dict[int, float], float, float]] = []

    def add(
        self,
        *,
        x: dict[int, float] | None = None,
        u: dict[int, float] | None = None,
        z: float = 0.0,
        least: float = 0.0,
    ) -> None:
        self.found.append((x or {}, u or {}, z, least))

    def stacked(self) -> Linear:
        by_x, by_u = np.zeros((2, len(self.found), self.rows))
        for k, (x, u, _, _) in enumerate(self.found):
            for row, value in x.items():
                by_x[k, row] += value
            for row, value in u.items():
                by_u[k, row] += value
        by_z = np.array([z for _, _, z, _ in self.found])
        return Linear(by_x, by_u, by_z, np.array([least for *_, least in self.found]))


def _own(found: _Rows, case: Case, asked: Asked, i: int, cost: float) -> None:
    """Bounds of one row, and what it is due."""
    found.add(x={i: 1.0}, least=float(case.low[i]))
    if np.isfinite(case.high[i]):
        found.add(x={i: -1.0}, least=-float(case.high[i]))
    if case.service[i] == SERVED:
        found.add(u={i: 1.0}, least=float(asked.due[i]))
        if asked.due[i] < 0.0:  # no model is worth less than nothing
            found.add(u={i: 1.0}, x={i: cost})
        if i in case.idle:
            found.add(u={i: -1.0})
    elif case.service[i] == STAYS:
        found.add(x={i: -1.0})


def _between(found: _Rows, form: StandardForm, case: Case, asked: Asked, a: int, b: int) -> None:
    """Incentives between two served neighbours of one group."""
    step = float(form.costs[a] - form.costs[b])
    adjacent = b == a + 1
    link = int(case.link[a]) if adjacent else OPEN
    reach = int(case.reach[a]) if adjacent else (UNDECIDED if np.isfinite(form.reach[a]) else REACHABLE)
    apart = link == APART
    found.add(x={b: 1.0, a: -1.0})
    found.add(u={b: 1.0, a: -1.0}, x={a: -step}, least=float(asked.margin[b]) if apart else 0.0)
    if link == SHARED:
        found.add(x={a: 1.0, b: -1.0})
        found.add(u={b: -1.0, a: 1.0}, x={a: step})
        return
    if reach == REACHABLE:
        found.add(u={b: -1.0, a: 1.0}, x={b: step}, least=float(asked.margin[a]) if apart else 0.0)
        if np.isfinite(form.reach[a]):
            found.add(x={b: -1.0}, least=-float(form.reach[a]))
    elif reach == BLOCKED:
        found.add(x={b: 1.0}, least=float(form.reach[a]))
    if apart:
        _pools(found, form, case, asked, a, b, reach)


def _pools(found: _Rows, form: StandardForm, case: Case, asked: Asked, a: int, b: int, reach: int) -> None:
    """Margins of those who share an option with one of two neighbours that do not."""
    i = a
    while reach == REACHABLE and i > 0 and _pooled(form, case, i - 1):
        i -= 1
        if form.reach[i] < form.reach[a]:  # it need not be able to deliver what b owes
            break
        more = float(form.costs[i] - form.costs[a])
        step = float(form.costs[a] - form.costs[b])
        found.add(u={b: -1.0, a: 1.0}, x={b: step + more, a: -more}, least=float(asked.margin[i]))
    j = b
    while j < form.rows - 1 and _pooled(form, case, j):
        j += 1
        found.add(
            u={b: 1.0, a: -1.0},
            x={b: float(form.costs[b] - form.costs[j]), a: -float(form.costs[a] - form.costs[j])},
            least=float(asked.margin[j]),
        )


def _pooled(form: StandardForm, case: Case, k: int) -> bool:
    """Whether rows k and k + 1 are known to share an option."""
    both = case.service[k] == SERVED and case.service[k + 1] == SERVED
    return bool(both and form.group[k] == form.group[k + 1] and case.link[k] == SHARED)


def _alike(found: _Rows, form: StandardForm, a: int, b: int) -> None:
    """Two rows of different groups have one option: the same data for the same reward."""
    ours, theirs = float(form.costs[a]), float(form.costs[b])
    for sign in (1.0, -1.0):
        found.add(x={a: sign, b: -sign})
        found.add(u={a: sign, b: -sign}, x={a: sign * ours, b: -sign * theirs})


def _keep_out(found: _Rows, form: StandardForm, case: Case, asked: Asked, i: int) -> None:
    """Whoever is to stay out would not rather take the option of the nearest served neighbours."""
    mates = np.flatnonzero((case.service == SERVED) & (form.group == form.group[i]))
    for j in [*mates[mates < i][-1:], *mates[mates > i][:1]]:
        # What i gets by j's option: u_j + (c_j - c_i) x_j.
        found.add(
            u={int(j): -1.0}, x={int(j): -float(form.costs[j] - form.costs[i])}, least=-float(asked.stays[i])
        )


def classes(form: StandardForm, case: Case) -> np.ndarray:
    """A number for each row, the same for those that are known to share an option, shape (rows,)."""
    number = np.arange(form.rows)
    links = [(k, k + 1) for k in range(form.rows - 1) if _pooled(form, case, k)]
    for a, b in [*links, *case.shared]:
        number[number == number[b]] = number[a]
    return number


def due_for_idling(form: StandardForm, asked: Asked) -> np.ndarray:
    """What rows are due at least where it matters who may bring nothing and get nothing, shape (rows,).

    Whoever bargains gains something in every contract that is worth anything.
    """
    if not isinstance(form.problem.objective, NashBargaining):
        return asked.due
    bargains = np.any([world.probabilities > 0.0 for world in form.worlds], axis=0) & (asked.stays >= 0.0)
    return np.where(bargains, np.inf, asked.due)


def known_options(form: StandardForm, case: Case, due: np.ndarray) -> int:
    """How many options a case is known to have at least.

    Rows that do not share an option have different ones: whoever is on either side of two neighbours apart in
    its group, and pairs of different groups that are apart. One of them may be to bring nothing and get nothing,
    which does not count, if somebody who is due nothing may have it.

    Args:
        form: the standard form.
        case: the case.
        due: what each row is due at least (`due_for_idling`), shape (rows,).
    """
    number = classes(form, case)
    both = (case.service[:-1] == SERVED) & (case.service[1:] == SERVED)
    breaks = np.cumsum(np.r_[0, both & (case.link == APART)])
    chosen: list[int] = []
    for i in np.flatnonzero(case.service == SERVED):
        if all(_differ(form, case, number, breaks, int(i), j) for j in chosen):
            chosen.append(int(i))
    idle = [j for j in chosen if _may_be_idle(form, case, breaks, due, j)]
    return len(chosen) - (1 if idle else 0)


def _may_be_idle(form: StandardForm, case: Case, breaks: np.ndarray, due: np.ndarray, row: int) -> bool:
    """Whether a row may bring nothing and get nothing: as the dearest of its group, or sharing with them."""
    mates = np.flatnonzero((form.group == form.group[row]) & (case.service == SERVED))
    mates = mates[mates <= row]
    free = (due[mates] <= 0.0).all() and (case.low[mates] <= 0.0).all() and not np.isin(mates, case.active).any()
    return bool(free and breaks[mates[0]] == breaks[row])


def _differ(form: StandardForm, case: Case, number: np.ndarray, breaks: np.ndarray, i: int, j: int) -> bool:
    """Whether two rows are known to have different options."""
    if number[i] == number[j]:
        return False
    ours, theirs = np.flatnonzero(number == number[i]), np.flatnonzero(number == number[j])
    for one, other in ((ours, theirs), (theirs, ours)):
        if np.isin(one, case.idle).any() and np.isin(other, case.active).any():
            return True
    for a in ours:
        for b in theirs:
            if form.group[a] == form.group[b] and breaks[a] != breaks[b]:
                return True
            if (min(a, b), max(a, b)) in case.apart:
                return True
    return False
