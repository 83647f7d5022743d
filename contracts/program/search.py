r"""The best menu of any problem: branch and bound over cases.

Each case (which neighbours share an option, bounds on contributions, who can deliver what, who stays out) is a
convex program whose prices bound all its contracts (`contracts.program.convex_program`). The case with the best
bound is split where its best contract does what no menu may; menus are found by deciding all that is open as
that contract suggests. It ends when no case promises more than the best menu, but for the gap allowed; the cases
with their prices are the proof. A problem without limits of the menu is one case.

Where the curve has a floor or inflections, or its loss is no mixture, menus come from the program as solved, and
a second search bounds every contract on the true curve: over boxes of contributions and all outcomes, or, where
these are too many, over losses nowhere above the true ones.

Source: branch and bound is textbook (Land and Doig 1960); the cases are ours.
"""

from __future__ import annotations

import dataclasses
import time

import numpy as np

from contracts.problem import menu
from contracts.problem.cases import SERVED, Asked, Case, whole
from contracts.problem.shape import hopeless
from contracts.problem.standard_form import StandardForm
from contracts.program.case_program import setting
from contracts.program.case_tree import Menu, Tree
from contracts.program.convex_program import solve
from contracts.program.goals import goal_of
from contracts.program.known_total import applies
from contracts.program.left_out import known_total, without_some
from contracts.program.losses import WorldLosses, losses_of
from contracts.program.outcome_tree import OutcomeTree
from contracts.program.refinement import better_menu, least_short
from contracts.program.rounding import in_lots, option_room
from contracts.proof.evidence import Cases
from contracts.records import frozen

EXACT = 1e-6  # of the objective's size: how close cases are searched on the program as solved
SHARE = 0.5  # of a gap: what is aimed at, so that it is proved with another's arithmetic


@frozen
class Found:
    """The best menu found, and proofs.

    Attributes:
        contribution, utility: of the rows, in the user's units (utility in that of rows), shape (rows,); None
            where no menu was found.
        level: z, where there is one.
        case: the fully decided case of the menu; who stays out is in its `service`.
        value: the objective of the program as solved.
        bound: what no menu exceeds in the program as solved, continued below floors.
        global_bound: what none exceeds on the true curve; None where that is not known.
        cases: the proof of `bound`; None where the program's losses are no mixtures but lie above them.
        global_cases: the proof of `global_bound` where that needs another relaxation.
        nodes: how many cases were solved.
        cut_short: whether a limit of time ended the search.
        reason: where there is no menu: who cannot be given what, by how much.
    """

    contribution: np.ndarray | None
    utility: np.ndarray | None
    level: float
    case: Case | None
    value: float
    bound: float
    global_bound: float | None
    cases: Cases | None
    global_cases: Cases | None
    nodes: int
    cut_short: bool
    reason: str | None = None


NOTHING_PAYS = Found(
    contribution=None, utility=None, level=0.0, case=None, value=-np.inf, bound=np.inf, global_bound=None,
    cases=None, global_cases=None, nodes=0, cut_short=False,
    reason="all data that may pay together give no model: expected cheaper data or more participants",
)  # fmt: skip


def search(
    form: StandardForm,
    asked: Asked,
    outside: np.ndarray,
    *,
    global_gap: float = 1e-6,
    time_limit: float = 60.0,
) -> Found:
    """Find the best menu of a problem, with its proofs.

    Args:
        form: the standard form.
        asked: what every menu must obey besides (`contracts.problem.cases`).
        outside: what each type gets by staying out, in its own units, shape (types,).
        global_gap: how far from optimal a menu may be on the true curve, relative to the objective's size.
        time_limit: seconds after which the search ends with what it has.
    """
    began, goal = time.perf_counter(), goal_of(form, outside)
    if all(hopeless(world.plain) for world in form.worlds) and (asked.due >= 0.0).all():
        return NOTHING_PAYS
    losses = losses_of(form, float(min(asked.due.min(), 0.0)))
    stay = _may_stay(form)
    first = Tree(
        setting(form, goal, asked, losses.solved), whole(form, stay=stay), min(global_gap, EXACT) * goal.unit
    )
    first.run(began + time_limit * (1.0 if losses.true else 0.5))
    trees: list[Tree | OutcomeTree] = [first]
    best, bound, global_bound, global_cases = first.best, first.bound, None, None
    if losses.true:
        global_bound = bound
    else:
        best = better_menu(first, best, began + 0.6 * time_limit)
        last = _on_true_curve(first, best, losses, global_gap, began + time_limit)
        best = last.best if isinstance(last, OutcomeTree) else best
        if last is not None:
            trees.append(last)
            global_bound, global_cases = last.bound, last.cases()
        if losses.knee > 0.0:
            best = without_some(first, best, global_bound, began + time_limit)
    if applies(form):
        best = known_total(first, best)
    if best is None:
        return _nothing(first, losses.true, sum(tree.nodes for tree in trees))
    return Found(
        contribution=best.point.contribution,
        utility=best.point.utility,
        level=best.point.level,
        case=best.case,
        value=best.value,
        bound=bound,
        global_bound=global_bound,
        cases=first.cases() if losses.fitted else None,
        global_cases=global_cases,
        nodes=sum(tree.nodes for tree in trees),
        cut_short=any(tree.cut_short for tree in trees),
    )


def _on_true_curve(
    first: Tree, best: Menu | None, losses: WorldLosses, global_gap: float, until: float
) -> Tree | OutcomeTree | None:
    """A search that bounds all contracts on the true curve: over outcomes, by mixtures if they are too many."""
    at, known = first.setting, -np.inf if best is None else best.value
    found = OutcomeTree(first, best, SHARE * global_gap * at.unit)
    if found.spaces:
        found.run(until)
        return found
    if losses.relaxed is None:
        return None
    relaxed = Tree(setting(at.form, at.goal, at.asked, losses.relaxed), first.root_case, first.allowed)
    relaxed.accept(known)
    relaxed.run(until, proposing=False)
    return relaxed


def bound_over_outcomes(
    form: StandardForm,
    asked: Asked,
    outside: np.ndarray,
    reached: float,
    *,
    time_limit: float,
    global_gap: float,
) -> Cases | None:
    """A proof that no contract is much better than one that is known; None where outcomes are too many.

    Args:
        form, asked, outside, time_limit, global_gap: as in `search`.
        reached: what the contract reaches.
    """
    goal, losses = goal_of(form, outside), losses_of(form, float(min(asked.due.min(), 0.0)))
    first = Tree(setting(form, goal, asked, losses.solved), whole(form, stay=_may_stay(form)), 0.0)
    found = OutcomeTree(first, None, SHARE * global_gap * goal.unit, known=reached)
    if not found.spaces:
        return None
    found.run(time.perf_counter() + time_limit)
    return found.cases()


def _may_stay(form: StandardForm) -> bool:
    outside = form.problem.outside
    return outside.utility is not None or bool(np.any(outside.joining_cost))


def _unmet(menu: menu.Menu) -> str:
    """What would help where each can be given its due, but by no menu within the limits."""
    parts = ["no menu was found that keeps all promises"]
    if menu.options is not None:
        parts.append(f"options = {menu.options}: expected more options")
    if menu.lot is not None:
        parts.append(f"lot = {menu.lot:g} data: expected a smaller lot")
    if menu.preference_margin > 0.0:
        parts.append(f"preference_margin = {menu.preference_margin:g}: expected a smaller margin")
    return "; ".join(parts)


def _nothing(first: Tree, true: bool, nodes: int) -> Found:
    """Who cannot be given what it is due, as far as the best attempt at everybody shows."""
    at, form = first.setting, first.setting.form
    case = in_lots(form, dataclasses.replace(first.root_case, service=np.full(form.rows, SERVED)))
    solved = solve(at, case)
    names, reason = form.problem.population.names or (), _unmet(form.problem.menu)
    room = option_room(form, case, at.asked)[0]
    if room < 0:
        most = form.problem.menu.options
        reason = f"options = {most}: at least {most - room} are needed"
    elif solved.broken > 0.0:
        worst, short = int(np.argmax(solved.point.feasibility.sum(axis=0))), solved.broken
        if not true:
            worst, short = least_short(at, solved.point.contribution)
        types = np.flatnonzero(form.row == worst)
        who = ", ".join(names[int(i)] for i in types)
        short *= float(form.relative[types].max())
        nearest = "even at best" if true else "in the best attempt"
        if short > 0.0:
            reason = f"{who} cannot be given what is due to it: {short:.6g} is missing {nearest}"
    return Found(
        contribution=None, utility=None, level=0.0, case=None, value=-np.inf, bound=first.bound,
        global_bound=first.bound if true else None, cases=None, global_cases=None, nodes=nodes,
        cut_short=first.cut_short, reason=reason,
    )  # fmt: skip
