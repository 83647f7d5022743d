"""A tree of cases, searched best bound first, and the proof it is."""

from __future__ import annotations

import dataclasses
import heapq
import time
from collections.abc import Iterator

import numpy as np

from contracts.problem.cases import EITHER, STAYS, Case, linear_constraints
from contracts.problem.objective import NashBargaining
from contracts.problem.reservation import outside_option
from contracts.program.case_program import Point, Setting, into_box, shortfall, value_at
from contracts.program.convex_program import CONVERGED, GAIN, TOLERANCE, Solved, solve
from contracts.program.rounding import (
    decided,
    in_lots,
    least_utilities,
    lots_near,
    nothing_for_nothing,
    option_room,
)
from contracts.program.shared_options import different_options, grouped
from contracts.program.splits import SOUND, TIE, Split, branches, split_of, widths_of
from contracts.program.whole_lots import FixedMenus, better_lots
from contracts.proof.evidence import LEAF, Cases

QUICK = 1e-11  # relative error at which the program of a case among many is solved well enough


class Node:
    """One case of the tree: what was solved of it, and how it was split."""

    def __init__(self, case: Case, solved: Solved):
        self.case, self.solved, self.bound = case, solved, solved.bound
        self.split: Split | None = None
        self.children: list[Node] = []


@dataclasses.dataclass
class Menu:
    """A menu: a fully decided case with its best contract."""

    case: Case
    point: Point
    value: float


class Tree:
    """Branch and bound over the cases of one program, best bound first."""

    def __init__(self, at: Setting, root: Case, allowed: float):
        self.setting, self.allowed = at, allowed
        self.nodes, self.pushed, self.cut_short = 0, 0, False
        self.best: Menu | None = None
        self.known = -np.inf
        self.tried: set[bytes] = set()
        self.root_case = root
        self.root: Node | None = None
        self.queue: list[tuple[float, int, Node]] = []
        self.final = -np.inf  # the best bound among leaves that are decided
        self.widths = widths_of(at.form, at.asked.margin)

    @property
    def simple(self) -> bool:
        """Whether there is nothing to decide."""
        form, menu = self.setting.form, self.setting.form.problem.menu
        return menu.free and not np.isfinite(form.reach).any() and not (self.root_case.service == EITHER).any()

    @property
    def bound(self) -> float:
        """What no contract of the root exceeds."""
        waiting = max((-negative for negative, _, _ in self.queue), default=-np.inf)
        return max(waiting, self.final)

    def accept(self, value: float) -> None:
        """A menu of this value is known."""
        self.known = max(self.known, value)

    def run(self, until: float, *, proposing: bool = True) -> None:
        """Search until nothing open promises more than the best menu."""
        self.root = self._node(self.root_case)
        self._push(self.root)
        while self.queue:
            node = heapq.heappop(self.queue)[-1]
            if proposing and node.solved.broken == 0.0:
                self._propose(node)
            if 0.0 < node.solved.broken < np.inf:
                self._shut(node)
                continue
            if node.bound <= self.known + self.allowed:
                self._close(node)
                break
            if time.perf_counter() > until and self.nodes > 1:
                self.cut_short = True
                self._close(node)
                break
            split = split_of(self.setting, node.case, node.solved.point)
            if split is None:
                self._close(node)
                if not proposing:  # no other case is worse
                    break
                continue
            node.split = split
            for case in branches(node.case, *split):
                child = self._node(case)
                node.children.append(child)
                self._push(child)

    def _push(self, node: Node) -> None:
        self.pushed += 1
        heapq.heappush(self.queue, (-node.bound, self.pushed, node))

    def _close(self, node: Node) -> None:
        self.final = max(self.final, node.bound)

    def _shut(self, node: Node) -> None:
        """Close a case without a contract, its prices scaled to what is now known."""
        if np.isfinite(self.known) and node.bound > self.known:
            inside = in_lots(self.setting.form, node.case)
            node.solved = solve(self.setting, inside, below=self.known)
            node.bound = node.solved.bound
        self.final = max(self.final, node.bound)

    def _node(self, case: Case) -> Node:
        at, inside = self.setting, in_lots(self.setting.form, case)
        counted = option_room(at.form, case, at.asked)[0] < 0 or (inside.low > inside.high).any()
        if counted or nobody_bargains(at, case):
            return Node(case, _void(at, inside))
        self.nodes += 1
        tolerance = TOLERANCE if self.simple else QUICK
        return Node(case, solve(at, inside, tolerance=tolerance, below=self.known))

    def _propose(self, node: Node) -> None:
        """Try the menus nearest to a case's best contract."""
        at = self.setting
        if self.simple:
            self._take(node.case, node.solved)
            return
        x = node.solved.point.contribution
        case = decided(at.form, at.asked, node.case, x, self.widths)
        if at.form.problem.menu.options is not None and np.unique(at.form.group).size > 1:
            case = grouped(at, case, x)
        if not self._new(case):
            return
        solved = self._solved(case)
        if solved is None:
            self._repair(case, x)
            return
        if at.form.problem.menu.lot is None:
            self._take(case, solved)
            return
        if self._value(case, solved) <= self.known + TIE * at.unit:
            return
        self._propose_lots(case, solved)

    def _repair(self, case: Case, x: np.ndarray) -> None:
        """Menus of a case without room for the solver: where it ended, and what everybody would do alone."""
        form, menus = self.setting.form, FixedMenus(self.setting, case)
        alone = form.contribution(outside_option(form).contribution)
        for data in (x, alone):
            inside = np.where(case.service == STAYS, 0.0, np.clip(data, case.low, case.high))
            point = menus.point(inside)
            if point is not None:
                self._take(case, Solved(point, np.inf, 0.0, 0.0, 0))

    def _propose_lots(self, case: Case, solved: Solved) -> None:
        """Menus in whole lots near a contract: where only the target counts without solving more programs."""
        at = self.setting
        menus = FixedMenus(at, case)
        plain = at.goal.objective is None
        for lots in lots_near(at.form, case, solved.point.contribution):
            if plain and menus.target(lots) * at.unit <= self.known:
                continue
            x = better_lots(menus, at.form, lots) if plain else lots
            if x is None or not self._new(fixed := dataclasses.replace(case, low=x, high=x)):
                continue
            point = menus.point(x)
            if point is None:
                continue
            found = Solved(point, np.inf, 0.0, 0.0, 0) if plain else self._solved(fixed)
            if found is not None:
                self._take(fixed, found)

    def _new(self, case: Case) -> bool:
        parts = (
            case.low,
            case.high,
            case.link,
            case.reach,
            case.service,
            np.array(case.shared),
            np.array(case.idle),
        )
        key = b"".join(part.tobytes() for part in parts)
        if key in self.tried:
            return False
        self.tried.add(key)
        return True

    def _solved(self, case: Case) -> Solved | None:
        self.nodes += 1
        solved = solve(self.setting, in_lots(self.setting.form, case), tolerance=QUICK)
        return solved if solved.broken == 0.0 and solved.error <= CONVERGED else None

    def _value(self, case: Case, solved: Solved) -> float:
        point = solved.point
        return value_at(self.setting, case, point.contribution, point.utility, point.level)

    def _take(self, case: Case, solved: Solved) -> None:
        """Keep a menu if it is one and the best so far."""
        if solved.error > CONVERGED or solved.broken > 0.0:
            return
        at = self.setting
        for point in self._readings(case, solved.point):
            if shortfall(at, case, point.contribution, point.utility) > SOUND * at.value_unit:
                continue
            if not self.counts(case, point):
                continue
            value = value_at(at, case, point.contribution, point.utility, point.level)
            if np.isfinite(value) and (value > self.known or self.best is None):
                self.best, self.known = Menu(case, point, value), max(self.known, value)

    def _readings(self, case: Case, point: Point) -> Iterator[Point]:
        """A point, and where options count those in which who brings nothing, but for rounding, gets nothing."""
        at = self.setting
        if at.form.problem.menu.options is None:
            yield point
            return
        least = least_utilities(at, case, point)
        for utility in (point.utility, least):
            yield nothing_for_nothing(at, case, point._replace(utility=utility))

    def counts(self, case: Case, point: Point) -> bool:
        """Whether a decided case has no more options than are allowed."""
        most = self.setting.form.problem.menu.options
        return most is None or different_options(self.setting, case, point) <= most

    def cases(self) -> Cases:
        """The tree as a proof."""
        return cases_of(self.setting, self.root)


def nobody_bargains(at: Setting, case: Case) -> bool:
    """Whether somebody stays out who is to bargain: nobody bargains to stay outside."""
    bargains = isinstance(at.goal.objective, NashBargaining)
    stays = (case.service == STAYS)[at.form.row]
    return bargains and bool((stays & (at.goal.shares > 0.0).any(axis=0)).any())


def nodes_of(root: Node | None) -> list[Node]:
    """All nodes of a tree, depth first."""
    waiting, found = [] if root is None else [root], []
    while waiting:
        node = waiting.pop()
        found.append(node)
        waiting += node.children[::-1]
    return found


def leaves_of(root: Node | None) -> list[Node]:
    """The nodes that are not split."""
    return [node for node in nodes_of(root) if node.split is None]


def cases_of(at: Setting, root: Node | None) -> Cases:
    """A tree of nodes as a proof, depth first."""
    nodes = nodes_of(root)
    splits = [(LEAF, 0, 0.0) if node.split is None else node.split for node in nodes]
    kind, index, threshold = zip(*splits, strict=True)
    leaves = [node.solved.point for node in nodes if node.split is None]
    return Cases(
        mixtures=at.mixtures,
        kind=np.array(kind, dtype=int),
        index=np.array(index, dtype=int),
        threshold=np.array(threshold, dtype=float),
        contribution=np.array([leaf.contribution for leaf in leaves]),
        utility=np.array([leaf.utility for leaf in leaves]),
        level=np.array([leaf.level for leaf in leaves]),
        feasibility=np.array([leaf.feasibility for leaf in leaves]),
        linear=tuple(leaf.linear for leaf in leaves),
    )


def _void(at: Setting, case: Case) -> Solved:
    """A case without any menu, by counting: no prices are needed."""
    rows = at.form.rows
    constraints = linear_constraints(at.form, case, at.asked).least.size
    nothing = np.zeros(rows)
    gains = at.asked.due + GAIN * at.value_unit  # where logarithms of gains are finite
    point = Point(nothing, gains, 0.0, np.zeros((at.worlds.weight.size, rows)), np.zeros(constraints))
    return Solved(into_box(at, case, point), -np.inf, 0.0, np.inf, 0)
