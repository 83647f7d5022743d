"""Options shared across groups, where a menu may have few: which rows to tell apart next, and proposals.

Within a group neighbours share or do not (`splits`, `rounding`); rows of different groups are told apart in
pairs.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from contracts.problem.cases import APART, OPEN, SERVED, SHARED, Case, classes, known_options
from contracts.program.case_program import Point, Setting
from contracts.proof.evidence import LINK, PAIR

NEAR = 1e-9  # of the largest contribution, and of the largest value
Split = tuple[int, int, float]


def different_options(at: Setting, case: Case, point: Point) -> int:
    """How many options a menu has; to bring nothing and get nothing is none."""
    x, t = point.contribution, point.utility + at.form.costs * point.contribution
    small, worth = NEAR * max(float(x.max(initial=0.0)), 1e-300), NEAR * at.value_unit
    seen: list[tuple[float, float]] = []
    for i in np.flatnonzero(case.service == SERVED):
        nothing = x[i] <= 0.0 and t[i] <= 0.0
        if not nothing and not any(abs(x[i] - a) <= small and abs(t[i] - b) <= worth for a, b in seen):
            seen.append((float(x[i]), float(t[i])))
    return len(seen)


def pair_split(at: Setting, case: Case, point: Point) -> Split | None:
    """The pair of rows to tell apart, or to join, next; None where the menu has no more options than it may.

    As in colouring a graph by contraction: rows known to differ form a clique; the row that is farthest from it
    is compared with the row of it that is nearest.
    """
    most = at.form.problem.menu.options
    if most is None or different_options(at, case, point) <= most:
        return None
    x = point.contribution
    number, clique = classes(at.form, case), []
    left = [int(i) for i in _with_options(case) if number[i] == i]
    order = sorted(left, key=lambda i: -x[i])
    for i in order:
        if all(_apart(at, case, number, i, j) for j in clique):
            clique.append(i)
    open_rows = [(i, [j for j in clique if _split_between(at, case, i, j, x)]) for i in order if i not in clique]
    open_rows = [(i, near) for i, near in open_rows if near]
    if not open_rows:
        return None
    i, near = max(open_rows, key=lambda one: min(abs(x[one[0]] - x[j]) for j in one[1]))
    j = min(near, key=lambda one: abs(x[i] - x[one]))
    return _split_between(at, case, i, j, x)


def _with_options(case: Case) -> np.ndarray:
    """Served rows, but for those that are known to bring nothing and get nothing."""
    served = np.flatnonzero(case.service == SERVED)
    return served[~np.isin(served, case.idle)]


def _apart(at: Setting, case: Case, number: np.ndarray, i: int, j: int) -> bool:
    """Whether the options of two classes are known to differ."""
    only = np.isin(number, (number[i], number[j])) & (case.service == SERVED)
    both = dataclasses.replace(case, service=np.where(only, SERVED, 1))
    return known_options(at.form, both, np.ones(at.form.rows)) > 1


def _split_between(at: Setting, case: Case, i: int, j: int, x: np.ndarray) -> Split | None:
    """The split that brings two rows nearer to sharing, or to being apart; None if that is decided."""
    a, b = min(i, j), max(i, j)
    if at.form.group[a] != at.form.group[b]:
        return None if (a, b) in case.apart or (a, b) in case.shared else (PAIR, a * at.form.rows + b, 0.0)
    links = np.arange(a, b)
    if (case.link[links] == APART).any():
        return None
    links = links[case.link[links] == OPEN]
    return (LINK, int(links[np.argmax(np.diff(x)[links])]), 0.0) if links.size else None


def grouped(at: Setting, case: Case, x: np.ndarray) -> Case:
    """All rows in as many options as there may be, those of like contributions together (least squares).

    Contributions rise within a group, so that what is together among all is together in each group.
    """
    form, most = at.form, at.form.problem.menu.options or at.form.rows
    served = _with_options(case)
    if not served.size:
        return case
    order = served[np.lexsort((form.costs[served], x[served]))]
    cluster = np.full(form.rows, -1)
    cluster[order] = _clusters(x[order], most)
    link = case.link.copy()
    for k in range(form.rows - 1):
        if form.group[k] == form.group[k + 1] and case.service[k] == case.service[k + 1] == SERVED:
            link[k] = SHARED if cluster[k] == cluster[k + 1] else APART
    shared = []
    for one in np.unique(cluster[served]):
        rows = [int(i) for i in served if cluster[i] == one]
        firsts = [i for i in rows if i - 1 not in rows or form.group[i - 1] != form.group[i]]
        shared += [(min(firsts[0], i), max(firsts[0], i)) for i in firsts[1:]]
    return dataclasses.replace(case, link=link, shared=tuple(shared), apart=())


def _clusters(values: np.ndarray, most: int) -> np.ndarray:
    """Which of at most so many runs each of the rising values belongs to, by dynamic programming."""
    size = values.size
    sums = np.concatenate([np.zeros((2, 1)), np.cumsum([values, values * values], axis=1)], axis=1)

    def cost(i: int, j: int) -> float:
        first, second = sums[:, j] - sums[:, i]
        return float(second - first * first / (j - i))

    best, before = np.full((most + 1, size + 1), np.inf), np.zeros((most + 1, size + 1), dtype=int)
    best[0, 0] = 0.0
    for k in range(1, most + 1):
        for j in range(1, size + 1):
            each = [best[k - 1, i] + cost(i, j) for i in range(j)]
            before[k, j] = int(np.argmin(each))
            best[k, j] = each[before[k, j]]
    k, j, found = int(np.argmin(best[:, size])), size, np.zeros(size, dtype=int)
    while j > 0:
        i = int(before[k, j])
        found[i:j] = k
        j, k = i, k - 1
    return found
