"""Menus that a program as solved finds only when told where to look.

Below a curve's floor the program counts too large a loss. Where the dearest bring nothing for certain it is told
so and counts exactly, which can be better; so can be to ask nothing of anybody; and where the total is certain
the best menu is known in closed form.
"""

from __future__ import annotations

import dataclasses
import time

import numpy as np

from contracts.problem.cases import SERVED, SHARED, Case
from contracts.problem.standard_form import StandardForm
from contracts.program.case_program import Point, idle_of, value_at
from contracts.program.case_tree import Menu, Tree, leaves_of
from contracts.program.known_total import menu_of_known_total
from contracts.program.splits import TIE
from contracts.program.whole_lots import FixedMenus

EXHAUSTIVE = 64  # prefixes of a group that are tried


def without_some(first: Tree, best: Menu | None, global_bound: float | None, until: float) -> Menu | None:
    """Menus in which the dearest of some groups bring nothing, which the program as solved counts exactly."""
    at, form = first.setting, first.setting.form
    known = -np.inf if best is None else best.value
    if best is not None and global_bound is not None and global_bound <= known + first.allowed:
        return best
    nothing = _null(first)
    if nothing is not None and nothing.value > known:
        best, known = nothing, nothing.value
    held = dict.fromkeys(np.unique(form.group).tolist(), 0)
    improved = True
    while improved:
        improved = False
        for group in held:
            for number in _prefixes(int((form.group == group).sum()), held[group]):
                case = _held(form, first.root_case, held | {group: number})
                if time.perf_counter() > until or _most_by_holding(first, case) <= known + first.allowed:
                    continue
                tree = Tree(at, case, first.allowed)
                tree.accept(known)
                tree.run(until)
                first.nodes += tree.nodes
                if tree.best is not None and tree.best.value > known + TIE * at.unit:
                    best, known, improved = tree.best, tree.best.value, len(held) > 1
                    held[group] = number
    return best


def known_total(first: Tree, best: Menu | None) -> Menu | None:
    """The menu in closed form where the total is certain, if the program as solved does not know it as well."""
    at, form = first.setting, first.setting.form
    found = menu_of_known_total(form, at.asked)
    if found is None:
        return best
    total = found[0].sum()
    target = sum(float(world.weight * world.plain.target(total)) for world in form.worlds)
    if best is not None and target <= best.value + TIE * at.unit:
        return best
    nothing = np.zeros((at.worlds.weight.size, form.rows))
    return Menu(first.root_case, Point(*found, 0.0, nothing, np.zeros(0)), target)


def _most_by_holding(first: Tree, case: Case) -> float:
    """What no menu exceeds that holds some rows at zero, by the prices of all others.

    The programs differ in what they count where nobody brings data, and the optimum rises by no more than that
    difference at the prices.
    """
    at = first.setting
    more, before = idle_of(at, case), idle_of(at, first.root_case)
    change = (more.value - before.value) * at.value_unit
    prices = max(float((leaf.solved.point.feasibility * change).sum()) for leaf in leaves_of(first.root))
    return first.bound + (more.target - before.target) * at.unit + max(prices, 0.0)


def _null(first: Tree) -> Menu | None:
    """Nothing is asked of anybody, and nothing given: a menu where nobody is due anything."""
    at, form = first.setting, first.setting.form
    served = dataclasses.replace(first.root_case, service=np.full(form.rows, SERVED))
    case = dataclasses.replace(served, high=np.zeros(form.rows), link=np.full(form.rows - 1, SHARED))
    if (case.low > 0.0).any():
        return None
    point = FixedMenus(at, case).point(np.zeros(form.rows))
    if point is None or at.asked.level is not None:
        return None
    value = value_at(at, case, point.contribution, point.utility, 0.0)
    return Menu(case, point, value) if np.isfinite(value) else None


def _prefixes(rows: int, now: int) -> list[int]:
    stride = int(np.ceil(rows / EXHAUSTIVE))
    return [k for k in range(0, rows + 1, stride) if k != now]


def _held(form: StandardForm, case: Case, held: dict[int, int]) -> Case:
    high = case.high.copy()
    for group, number in held.items():
        high[np.flatnonzero(form.group == group)[:number]] = 0.0
    return dataclasses.replace(case, high=high)
