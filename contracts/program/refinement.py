r"""Menus improved on the true curve where no mixture of exponentials is the loss.

Sequential convex programming: around contributions x0 the program's losses are corrected to first order,

    E L(x)  ~  E M(x) + (E L - E M)(x0) + (E L - E M)'(x0) (x - x0),

M being the mixture; the convex program that results is solved within a distance of x0, and its answer kept if it
is a menu by true expectations and better. Where feasibility binds, the first-order model promises a little too
much, so its promises are tightened by what was missing. What is found is a menu, and locally the best; how far
it may be from the best of all is for the bound to say.

Source: sequential convex programming with a trust region is textbook (Conn, Gould, Toint 2000); the use is ours.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterable

import numpy as np

from contracts.problem.cases import EITHER, SERVED, STAYS, Case
from contracts.problem.laws import believed, trained
from contracts.problem.reservation import outside_option
from contracts.problem.standard_form import StandardForm, World
from contracts.program.case_program import Correction, Point, Setting, expected_at, idle_of, value_at
from contracts.program.case_tree import Menu, Tree
from contracts.program.convex_program import CONVERGED, solve
from contracts.program.rounding import decided, lots_near, pools
from contracts.program.shared_options import grouped
from contracts.program.whole_lots import FixedMenus, better_lots
from contracts.program.worlds import expected

ROUNDS = 40
TIGHTENINGS = 4
SHRINK, GROW = 0.3, 3.0
ENOUGH = 1e-9  # of the objective's size: a smaller improvement ends it
NARROW = 1e-6  # of the unit of data: a smaller distance ends it
STEP = 1e-6  # of a contribution, for differences
KEPT = 1e-11, 1e-8  # of the largest value, kept back from promises: exact laws, and those on a lattice
TOLERANCE = 1e-11


def better_menu(tree: Tree, best: Menu | None, until: float) -> Menu | None:
    """The best menu that is found on the true curve, from what the program as solved found.

    Args:
        tree: the search over the program as solved.
        best: its best menu, if it has one.
        until: a time by `time.perf_counter` at which to end.

    Returns:
        The better one, with its true value; None where none is found.
    """
    at, form = tree.setting, tree.setting.form
    known = [] if best is None else [best.point.contribution]
    alone = form.contribution(outside_option(form).contribution)
    root = tree.root_case
    served = dataclasses.replace(root, service=np.where(root.service == EITHER, SERVED, root.service))
    found: list[Menu | None] = [] if best is None else [best, menu_at(at, best.case, known[0])]
    if best is not None and found[1] is not None and found[1].value - best.value <= ENOUGH * at.unit:
        return best  # the program as solved counts exactly where its best menu is
    cases = [served] if best is None else [served, best.case]
    for case in cases:
        menu = refined(at, case, [*known, alone], until)
        if menu is not None and not tree.simple:
            found += _decided(tree, case, menu.point.contribution, until)
        else:
            found.append(menu)
    # To ask nothing of anybody is tried elsewhere, where no rounding is left in it.
    least = NARROW * at.data_unit
    some = [menu for menu in found if menu is not None and menu.point.contribution.max() > least]
    menus = [menu for menu in some if tree.counts(menu.case, menu.point)]
    return max(menus, key=lambda menu: menu.value, default=best)


def menu_near(tree: Tree, case: Case, x: np.ndarray, until: float) -> Menu | None:
    """The best menu that is found from contributions x, with those of a case served."""
    service = np.where(case.service == EITHER, SERVED, case.service)
    served = dataclasses.replace(tree.root_case, service=service)
    menu = refined(tree.setting, served, [x], until)
    found = [menu] if tree.simple or menu is None else _decided(tree, served, menu.point.contribution, until)
    menus = [each for each in found if each is not None and tree.counts(each.case, each.point)]
    return max(menus, key=lambda each: each.value, default=None)


def _decided(tree: Tree, case: Case, x: np.ndarray, until: float) -> list[Menu | None]:
    """Menus near contributions that may be no menu's: what they leave open is decided, and improved again."""
    at, form = tree.setting, tree.setting.form
    case = decided(form, at.asked, case, x, tree.widths)
    if form.problem.menu.options is not None and np.unique(form.group).size > 1:
        case = grouped(at, case, x)
    menu = refined(at, case, _pooled(form, case, x), until)
    if form.problem.menu.lot is None or menu is None:
        return [menu]
    true = _TrueMenus(at, case, until)
    climbed = [better_lots(true, form, each) for each in lots_near(form, case, menu.point.contribution)]
    return [menu_at(at, dataclasses.replace(case, low=x, high=x), x) for x in climbed if x is not None]


class _TrueMenus(FixedMenus):
    """Menus of a decided case, by their contributions and true expectations; none after a time."""

    def __init__(self, at: Setting, case: Case, until: float):
        super().__init__(at, case)
        self.until = until

    def point(self, x: np.ndarray) -> Point | None:
        menu = menu_at(self.at, self.case, x)
        return None if menu is None else menu.point

    def target(self, x: np.ndarray) -> float:
        if time.perf_counter() > self.until:
            return -np.inf
        of_worlds = zip(self.at.worlds.weight, self.at.form.worlds, strict=True)
        return sum(float(weight) * _target(self.at, _expected(self.at, world, x)) for weight, world in of_worlds)


def _pooled(form: StandardForm, case: Case, x: np.ndarray) -> list[np.ndarray]:
    """Contributions equal within each pool: those of the middle, of who brings least, of who brings most."""
    found = []
    for one in (np.mean, np.min, np.max):
        start = x.copy()
        for rows in pools(form, case):
            start[rows] = one(x[rows])
        found.append(start)
    return found


def refined(at: Setting, case: Case, starts: Iterable[np.ndarray], until: float = np.inf) -> Menu | None:
    """The best menu of a case on the true curve that is found from some contributions.

    Args:
        at: the setting, with mixtures that need not be the losses.
        case: who is served, what is shared, and within which bounds.
        starts: contributions to start from, shape (rows,) each, in data.
        until: a time by `time.perf_counter` after which no other round begins.

    Returns:
        The menu, with its true value; None where none was found.
    """
    found = [_climb(at, case, np.clip(start, case.low, case.high), until) for start in starts]
    menus = [menu for menu in found if menu is not None]
    return max(menus, key=lambda menu: menu.value, default=None)


def _climb(at: Setting, case: Case, start: np.ndarray, until: float) -> Menu | None:
    x = np.where(case.service == STAYS, 0.0, start)
    best, radius = menu_at(at, case, x), np.inf
    for _ in range(ROUNDS):
        if time.perf_counter() > until:
            break
        following = _step(at, case, x, radius)
        if following is None:
            break
        value = -np.inf if best is None else best.value
        moved = float(np.abs(following[0] - x).max())
        menu = following[1]
        if menu is not None and menu.value > value:
            gained, x, best, radius = menu.value - value, menu.point.contribution, menu, GROW * moved
            if gained <= ENOUGH * at.unit:
                break
        else:
            radius = SHRINK * moved
        if radius <= NARROW * at.data_unit:
            break
    return best


def _step(at: Setting, case: Case, x: np.ndarray, radius: float) -> tuple[np.ndarray, Menu | None] | None:
    """The corrected program's answer within a distance, promises tightened until it is a menu."""
    low, high = np.maximum(case.low, x - radius), np.minimum(case.high, x + radius)
    near = dataclasses.replace(case, low=low, high=high)
    here = corrected_at(at, near, x)
    more, reached = here.correction, x
    for _ in range(TIGHTENINGS):
        solved = solve(here._replace(correction=more), near, tolerance=TOLERANCE)
        if solved.broken > 0.0 or solved.error > CONVERGED or more is None:
            return None if reached is x else (reached, None)
        reached = np.where(case.service == STAYS, 0.0, np.maximum(solved.point.contribution, 0.0))
        menu = menu_at(at, case, reached)
        if menu is not None:
            return reached, menu
        true = corrected_at(at, near, reached, slopes=False)
        model = expected_loss(here._replace(correction=more), near, reached)
        short = np.maximum(expected_loss(true, near, reached) - model, 0.0)
        if not short.any():
            break
        more = more._replace(value=more.value + 1.1 * short)
    return reached, None


def expected_loss(at: Setting, case: Case, x: np.ndarray) -> np.ndarray:
    """E_i L at contributions, corrected, in the program's units, shape (worlds, rows)."""
    return expected_at(at, x / at.data_unit, idle_of(at, case)).value_loss


def menu_at(at: Setting, case: Case, x: np.ndarray) -> Menu | None:
    """The best menu with contributions x by true expectations; None if there is none.

    Args:
        at: the setting.
        case: the case.
        x: contributions, shape (rows,), in data.
    """
    fixed = dataclasses.replace(case, low=x, high=x)
    here = corrected_at(at, fixed, x, slopes=False)
    if at.goal.objective is None:
        point = FixedMenus(here, fixed, whole=False).point(x)
    else:
        solved = solve(here, fixed, tolerance=TOLERANCE)
        point = None if solved.broken > 0.0 or solved.error > CONVERGED else solved.point
    if point is None:
        return None
    value = value_at(here, fixed, x, point.utility, point.level)
    return Menu(case, point._replace(contribution=x), value) if np.isfinite(value) else None


def least_short(at: Setting, x: np.ndarray) -> tuple[int, float]:
    """Who is short of what it is due, and by how much in units of value, in the best of some attempts.

    Tried are contributions x, those that everybody would make alone, and none.
    """
    form = at.form
    found = []
    for data in (x, form.contribution(outside_option(form).contribution), np.zeros(form.rows)):
        values = [
            [law.expectation(world.plain.value) for law in believed(form, world, data)] for world in form.worlds
        ]
        short = at.asked.due + form.costs * data - np.min(values, axis=0)
        found.append((float(short.max()), int(short.argmax())))
    short, row = min(found)
    return row, short


def corrected_at(at: Setting, case: Case, x: np.ndarray, *, slopes: bool = True) -> Setting:
    """The setting with its losses corrected at contributions, and to first order around them."""
    rows, worlds = at.form.rows, at.worlds.weight.size
    target, value, exact = _missed(at, case, x)
    by_target, by_value = np.zeros(rows), np.zeros((worlds, rows, rows))
    for j in range(rows) if slopes else ():
        step = (STEP if exact else STEP**0.5) * max(x[j], 1e-3 * at.data_unit)
        ahead = x.copy()
        ahead[j] += step
        more_target, more_value, _ = _missed(at, case, ahead)
        by_target[j] = (more_target - target) / step * at.data_unit
        by_value[:, :, j] = (more_value - value) / step * at.data_unit
    kept = KEPT[0 if exact else 1] * at.worlds.top_value[:, None]
    return at._replace(correction=Correction(x / at.data_unit, value + kept, by_value, target, by_target))


def _missed(at: Setting, case: Case, x: np.ndarray) -> tuple[float, np.ndarray, bool]:
    """True expected losses less those of the mixtures, and whether all laws are exact."""
    form = at.form
    losses = expected(at.worlds, x / at.data_unit, idle_of(at, case))
    value, target, exact = np.zeros(losses.value_loss.shape), 0.0, True
    for w, world in enumerate(form.worlds):
        everybody = trained(form, world, x)
        weight = at.worlds.weight[w]
        reached = everybody.expectation(world.plain.target)
        target += weight * (at.worlds.top_target[w] - _target(at, reached))
        laws = believed(form, world, x)
        value[w] = [law.expectation(world.plain.value) for law in laws]
        exact = exact and everybody.step == 0.0 and all(law.step == 0.0 for law in laws)
    true = at.worlds.top_value[:, None] - value / at.value_unit
    return target - losses.target_loss, true - losses.value_loss, exact


def _expected(at: Setting, world: World, x: np.ndarray) -> float:
    return trained(at.form, world, x).expectation(world.plain.target)


def _target(at: Setting, amount: float) -> float:
    """A target in the program's units."""
    return amount * at.goal.weight / at.goal.unit if at.goal.weight > 0.0 else 0.0
