r"""The best menu of any problem: branch and bound over cases.

Each case (which neighbours share an option, bounds on contributions, who can deliver what, who stays out) is a
convex program whose prices bound all its contracts (`contracts.program.convex_program`). The case with the best
bound is split where its best contract does what no menu may; menus are found by deciding all that is open as that
contract suggests. It ends when no case promises more than the best menu, but for the gap allowed; the cases with
their prices are the proof. A problem without limits of the menu is one case.

Where the curve has a floor or inflections, or its loss is no mixture, menus come from the program as solved, and a
second search, over losses nowhere above the true ones, bounds every contract on the true curve.

Source: branch and bound is textbook (Land and Doig 1960); the cases are ours.
"""

from __future__ import annotations

import dataclasses
import heapq
import time
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
    Asked,
    Case,
    linear_constraints,
    neighbours,
    whole,
)
from contracts.problem.objective import NashBargaining
from contracts.problem.standard_form import StandardForm
from contracts.program.case_program import (
    Point,
    Setting,
    idle_of,
    into_box,
    setting,
    shortfall,
    value_at,
)
from contracts.program.convex_program import CONVERGED, Solved, solve
from contracts.program.goals import Goal, goal_of
from contracts.program.known_total import applies, menu_of_known_total
from contracts.program.losses import losses_of
from contracts.program.rounding import NEAR, decided, in_lots, links_open, lots_near, option_room
from contracts.program.whole_lots import FixedMenus, better_lots
from contracts.proof.evidence import BOUNDS, LEAF, LINK, REACH, SERVICE, Cases
from contracts.records import frozen

QUICK = 1e-11  # relative error at which the program of a case among many is solved well enough
TIE = 1e-11  # of the objective's size: rounding
SOUND = 1e-9  # of the largest value: by how much a menu may exceed what can be given
EXHAUSTIVE = 64


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
        global_gap: how far from optimal a menu may be, relative to the objective's size.
        time_limit: seconds after which the search ends with what it has.
    """
    began, goal = time.perf_counter(), goal_of(form, outside)
    losses = losses_of(form, float(min(asked.due.min(), 0.0)))
    allowed = global_gap * goal.unit
    stay = _may_stay(form)
    first = Tree(setting(form, goal, asked, losses.solved), whole(form, stay=stay), allowed)
    first.run(began + time_limit * (1.0 if losses.true else 0.5))
    trees, best = [first], first.best
    bound = global_bound = first.bound
    global_cases = None
    if not losses.true:
        global_bound = None
        if losses.relaxed is not None:
            relaxed = Tree(setting(form, goal, asked, losses.relaxed), whole(form, stay=stay), allowed)
            relaxed.accept(-np.inf if best is None else best.value)
            relaxed.run(began + time_limit, proposing=False)
            trees.append(relaxed)
            global_bound, global_cases = relaxed.bound, relaxed.cases()
        if losses.knee > 0.0:
            best = _without_some(first, best, global_bound, began + time_limit)
    if applies(form):
        best = _known_total(first, best)
    if best is None:
        return _nothing(first, goal, losses.true, sum(tree.nodes for tree in trees))
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


class Node:
    """One case of the tree: what was solved of it, and how it was split."""

    def __init__(self, case: Case, solved: Solved):
        self.case, self.solved, self.bound = case, solved, solved.bound
        self.split: tuple[int, int, float] | None = None
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
        self.nodes, self.cut_short = 0, False
        self.best: Menu | None = None
        self.known = -np.inf
        self.tried: set[bytes] = set()
        self.root_case = root
        self.root: Node | None = None
        self.queue: list[tuple[float, int, Node]] = []
        self.final = -np.inf  # the best bound among leaves that are decided
        form = at.form
        steps = np.maximum(form.costs[:-1] - form.costs[1:], 1e-300)
        self.widths = np.maximum(at.asked.margin[:-1], at.asked.margin[1:]) / steps

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
            split = self._split_of(node)
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
        heapq.heappush(self.queue, (-node.bound, self.nodes + len(self.queue), node))

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
        if counted or self._nobody_bargains(case):
            return Node(case, _void(at, inside))
        self.nodes += 1
        tolerance = 1e-15 if self.simple else QUICK
        return Node(case, solve(at, inside, tolerance=tolerance, below=self.known))

    def _nobody_bargains(self, case: Case) -> bool:
        """Whether somebody stays out who is to bargain: nobody bargains to stay outside."""
        bargains = isinstance(self.setting.goal.objective, NashBargaining)
        stays = (case.service == STAYS)[self.setting.form.row]
        return bargains and bool((stays & (self.setting.goal.shares > 0.0).any(axis=0)).any())

    def _split_of(self, node: Node) -> tuple[int, int, float] | None:
        """Where the best contract of a case does what no menu may: kind, index and threshold; None if nowhere."""
        for rule in (self._service, self._reach, self._link, self._nothing, self._lots):
            found = rule(node.case, node.solved.point)
            if found is not None:
                return found
        return None

    def _service(self, case: Case, point: Point) -> tuple[int, int, float] | None:
        rows = np.flatnonzero(case.service == EITHER)
        if not rows.size:
            return None
        p = np.mean([world.probabilities for world in self.setting.form.worlds], axis=0)
        return SERVICE, int(rows[np.argmax((p * point.contribution)[rows])]), 0.0

    def _reach(self, case: Case, point: Point) -> tuple[int, int, float] | None:
        form, worst = self.setting.form, (0.0, -1)
        x, u = point.contribution, point.utility
        for a, b in neighbours(form, case):
            if b == a + 1 and case.reach[a] == UNDECIDED and case.link[a] != SHARED and x[b] <= form.reach[a]:
                envy = u[b] - u[a] - (form.costs[a] - form.costs[b]) * x[b]
                if envy > max(worst[0], TIE * self.setting.value_unit):
                    worst = (float(envy), a)
        return None if worst[1] < 0 else (REACH, worst[1], 0.0)

    def _link(self, case: Case, point: Point) -> tuple[int, int, float] | None:
        form, menu = self.setting.form, self.setting.form.problem.menu
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
            doubt = np.minimum(apart, np.maximum(self.widths - least, 0.0)) / (self.widths + small)
            doubtful = undecided[doubt[undecided] > NEAR]
            if doubtful.size:
                return LINK, int(doubtful[np.argmax(doubt[doubtful])]), 0.0
        if menu.options is None:
            return None
        room, free = option_room(form, case, self.setting.asked)
        counted = int((apart[undecided] > small).sum()) + sum(1 for k in free if x[k] > small or u[k] > SOUND)
        if counted <= room:
            return None
        weight = apart * np.minimum(*self._weights(undecided))
        place = undecided[np.argmax(weight[undecided])]
        return (LINK, int(place), 0.0) if apart[place] > small else None

    def _weights(self, _: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        p = np.mean([world.probabilities for world in self.setting.form.worlds], axis=0) + 1e-9
        below = np.cumsum(p)[:-1]
        return below, p.sum() - below

    def _nothing(self, case: Case, point: Point) -> tuple[int, int, float] | None:
        """Whether the first of a group brings nothing, where only then its option does not count."""
        form = self.setting.form
        if form.problem.menu.options is None:
            return None
        room, free = option_room(form, case, self.setting.asked)
        small = NEAR * self.setting.data_unit
        open_rows = [k for k in free if case.high[k] > small]
        if len(open_rows) <= room or not open_rows:
            return None
        row = max(open_rows, key=lambda k: point.contribution[k])
        return (BOUNDS, row, small) if point.contribution[row] > small else None

    def _lots(self, case: Case, point: Point) -> tuple[int, int, float] | None:
        lot = self.setting.form.problem.menu.lot
        if lot is None:
            return None
        lots = point.contribution / lot
        off = np.where(case.service == STAYS, 0.0, np.abs(lots - np.round(lots)))
        inside = in_lots(self.setting.form, case)
        off[inside.low >= inside.high] = 0.0
        p = np.mean([world.probabilities for world in self.setting.form.worlds], axis=0) + 1e-9
        row = int(np.argmax(np.where(off > 1e-7, off * p, 0.0)))
        if off[row] <= 1e-7:
            return None
        return BOUNDS, row, (np.floor(lots[row]) + 0.5) * lot

    def _propose(self, node: Node) -> None:
        """Try the menus nearest to a case's best contract."""
        at = self.setting
        if self.simple:
            self._take(node.case, node.solved)
            return
        case = decided(at.form, at.asked, node.case, node.solved.point.contribution, self.widths)
        if not self._new(case):
            return
        solved = self._solved(case)
        if solved is None:
            return
        if at.form.problem.menu.lot is None:
            self._take(case, solved)
            return
        if self._value(case, solved) <= self.known + TIE * at.unit:
            return
        self._propose_lots(case, solved)

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
        key = b"".join(part.tobytes() for part in (case.low, case.high, case.link, case.reach, case.service))
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
        at, point = self.setting, solved.point
        if solved.error > CONVERGED or solved.broken > 0.0:
            return
        if shortfall(at, case, point.contribution, point.utility) > SOUND * at.value_unit:
            return
        if not self._counts(case, point):
            return
        value = self._value(case, solved)
        if np.isfinite(value) and (value > self.known or self.best is None):
            self.best, self.known = Menu(case, point, value), max(self.known, value)

    def _counts(self, case: Case, point: Point) -> bool:
        """Whether a decided case has no more options than are allowed."""
        at = self.setting
        if at.form.problem.menu.options is None:
            return True
        room, free = option_room(at.form, case, at.asked)
        small = NEAR * max(float(point.contribution.max(initial=0.0)), 1e-300)
        taken = [k for k in free if point.contribution[k] > small or point.utility[k] > SOUND * at.value_unit]
        return len(taken) + links_open(at.form, case).size <= room

    def cases(self) -> Cases:
        """The tree as a proof."""
        return cases_of(self.setting, self.root)


def branches(case: Case, kind: int, index: int, threshold: float) -> Iterator[Case]:
    """The two parts of a case."""
    if kind == BOUNDS:
        low, high = case.low.copy(), case.high.copy()
        high[index], low[index] = min(high[index], threshold), max(low[index], threshold)
        yield dataclasses.replace(case, high=high)
        yield dataclasses.replace(case, low=low)
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
    point = Point(nothing, nothing, 0.0, np.zeros((at.worlds.weight.size, rows)), np.zeros(constraints))
    return Solved(into_box(at, case, point), -np.inf, 0.0, np.inf, 0)


def _may_stay(form: StandardForm) -> bool:
    outside = form.problem.outside
    return outside.utility is not None or bool(np.any(outside.joining_cost))


def _without_some(first: Tree, best: Menu | None, global_bound: float | None, until: float) -> Menu | None:
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


def _known_total(first: Tree, best: Menu | None) -> Menu | None:
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


def _nothing(first: Tree, goal: Goal, true: bool, nodes: int) -> Found:
    """Who cannot be given what it is due, as far as the best attempt at everybody shows."""
    at, form = first.setting, first.setting.form
    case = in_lots(form, dataclasses.replace(first.root_case, service=np.full(form.rows, SERVED)))
    solved = solve(at, case)
    names, reason = form.problem.population.names or (), "no menu was found that keeps all promises"
    if solved.broken > 0.0:
        worst = int(np.argmax(solved.point.feasibility.sum(axis=0)))
        types = np.flatnonzero(form.row == worst)
        who = ", ".join(names[i] for i in types)
        short = solved.broken * float(form.relative[types].max())
        reason = f"{who} cannot be given what is due to it: {short:.6g} is missing even at best"
    return Found(
        contribution=None, utility=None, level=0.0, case=None, value=-np.inf, bound=first.bound,
        global_bound=first.bound if true else None, cases=None, global_cases=None, nodes=nodes,
        cut_short=first.cut_short, reason=reason,
    )  # fmt: skip
