"""Where the best contract of a case does what no menu may: there the case is split.

A split is a kind of `contracts.proof.evidence`, the row or link, and a threshold.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np

from contracts.problem.cases import (
    APART,
    BLOCKED,
    EITHER,
    REACHABLE,
    SERVED,
    SHARED,
    STAYS,
    UNDECIDED,
    Case,
    neighbours,
)
from contracts.problem.standard_form import StandardForm
from contracts.program.case_program import Point, Setting
from contracts.program.rounding import NEAR, in_lots, links_open, option_room
from contracts.program.shared_options import different_options, pair_split
from contracts.proof.evidence import BOUNDS, IDLE, LINK, PAIR, REACH, SERVICE

Split = tuple[int, int, float]
TIE = 1e-11  # of the largest value: rounding
SOUND = 1e-9  # of the largest value: by how much a menu may exceed what can be given
WHOLE = 1e-7  # of a lot: nearer to a whole number is one


def widths_of(form: StandardForm, margin: np.ndarray) -> np.ndarray:
    """How far apart neighbours must be for the preference margins of both, in data, shape (rows - 1,)."""
    steps = np.maximum(form.costs[:-1] - form.costs[1:], 1e-300)
    return np.maximum(margin[:-1], margin[1:]) / steps


def split_of(at: Setting, case: Case, point: Point) -> Split | None:
    """Where the best contract of a case does what no menu may: kind, index and threshold; None if nowhere."""
    for rule in (_service, _reach, _link, _pair, _nothing, _lots):
        found = rule(at, case, point)
        if found is not None:
            return found
    return None


def _service(at: Setting, case: Case, point: Point) -> Split | None:
    rows = np.flatnonzero(case.service == EITHER)
    if not rows.size:
        return None
    p = np.mean([world.probabilities for world in at.form.worlds], axis=0)
    return SERVICE, int(rows[np.argmax((p * point.contribution)[rows])]), 0.0


def _reach(at: Setting, case: Case, point: Point) -> Split | None:
    form, worst = at.form, (0.0, -1)
    x, u = point.contribution, point.utility
    for a, b in neighbours(form, case):
        if b == a + 1 and case.reach[a] == UNDECIDED and case.link[a] != SHARED and x[b] <= form.reach[a]:
            envy = u[b] - u[a] - (form.costs[a] - form.costs[b]) * x[b]
            if envy > max(worst[0], TIE * at.value_unit):
                worst = (float(envy), a)
    return None if worst[1] < 0 else (REACH, worst[1], 0.0)


def _link(at: Setting, case: Case, point: Point) -> Split | None:
    form, menu = at.form, at.form.problem.menu
    if menu.options is None and menu.preference_margin == 0.0:
        return None
    undecided = links_open(form, case)
    if not undecided.size:
        return None
    x, u = point.contribution, point.utility
    steps = np.maximum(form.costs[:-1] - form.costs[1:], 1e-300)
    slope = np.diff(u) / steps
    first, second = slope - x[:-1], x[1:] - slope
    apart = np.maximum(first, 0.0) + np.maximum(second, 0.0)
    small = NEAR * max(float(x.max()), 1e-300)
    if menu.preference_margin > 0.0:
        least = np.minimum(first, second)
        widths = widths_of(form, at.asked.margin)
        doubt = np.minimum(apart, np.maximum(widths - least, 0.0)) / (widths + small)
        doubtful = undecided[doubt[undecided] > NEAR]
        if doubtful.size:
            return LINK, int(doubtful[np.argmax(doubt[doubtful])]), 0.0
    if menu.options is None or np.unique(form.group).size > 1:
        return None
    room, free = option_room(form, case, at.asked)
    counted = int((apart[undecided] > small).sum()) + sum(1 for k in free if x[k] > small or u[k] > SOUND)
    if counted <= room:
        return None
    weight = apart * np.minimum(*_beside(at))
    place = undecided[np.argmax(weight[undecided])]
    return (LINK, int(place), 0.0) if apart[place] > small else None


def _pair(at: Setting, case: Case, point: Point) -> Split | None:
    """Where options of different groups may be one."""
    return pair_split(at, case, point) if np.unique(at.form.group).size > 1 else None


def _beside(at: Setting) -> tuple[np.ndarray, np.ndarray]:
    p = np.mean([world.probabilities for world in at.form.worlds], axis=0) + 1e-9
    below = np.cumsum(p)[:-1]
    return below, p.sum() - below


def _nothing(at: Setting, case: Case, point: Point) -> Split | None:
    """Whether the first of a group brings nothing and gets nothing, and only then has no option that counts."""
    most = at.form.problem.menu.options
    if most is None or different_options(at, case, point) <= most:
        return None
    reward = point.utility + at.form.costs * point.contribution
    rows = [k for k in option_room(at.form, case, at.asked)[1] if k not in case.idle and reward[k] > 0.0]
    return (IDLE, max(rows, key=lambda k: reward[k]), 0.0) if rows else None


def _lots(at: Setting, case: Case, point: Point) -> Split | None:
    lot = at.form.lot
    if lot is None:
        return None
    lots = point.contribution / lot
    off = np.where(case.service == STAYS, 0.0, np.abs(lots - np.round(lots)))
    inside = in_lots(at.form, case)
    off[inside.low >= inside.high] = 0.0
    p = np.mean([world.probabilities for world in at.form.worlds], axis=0) + 1e-9
    row = int(np.argmax(np.where(off > WHOLE, off * p, 0.0)))
    if off[row] <= WHOLE:
        return None
    return BOUNDS, row, (np.floor(lots[row]) + 0.5) * lot


def branches(case: Case, kind: int, index: int, threshold: float) -> Iterator[Case]:
    """The two parts of a case."""
    if kind == BOUNDS:
        low, high = case.low.copy(), case.high.copy()
        high[index], low[index] = min(high[index], threshold), max(low[index], threshold)
        yield dataclasses.replace(case, high=high)
        yield dataclasses.replace(case, low=low)
        return
    if kind == PAIR:
        pair = divmod(index, case.low.size)
        yield dataclasses.replace(case, shared=(*case.shared, pair))
        yield dataclasses.replace(case, apart=(*case.apart, pair))
        return
    if kind == IDLE:
        high = case.high.copy()
        high[index] = 0.0
        yield dataclasses.replace(case, idle=(*case.idle, index), high=high)
        yield dataclasses.replace(case, active=(*case.active, index))
        return
    name, values = {
        LINK: ("link", (SHARED, APART)),
        REACH: ("reach", (REACHABLE, BLOCKED)),
        SERVICE: ("service", (SERVED, STAYS)),
    }[kind]
    for value in values:
        changed = getattr(case, name).copy()
        changed[index] = value
        yield dataclasses.replace(case, **{name: changed})
