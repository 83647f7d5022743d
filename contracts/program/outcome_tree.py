r"""Branch and bound on the true curve, over boxes of contributions and whatever else is open.

Each case is bounded by its linear program of cuts (`contracts.program.outcome_box`). The case with the best
bound is split: at the contribution for which envelopes exceed curves most, where that is most of what is open,
else where its best point does what no menu may. Menus are looked for near those points.

Source: spatial branch and bound (Falk and Soland 1969).
"""

from __future__ import annotations

import heapq
import time

import numpy as np

from contracts.problem.cases import Case
from contracts.program.case_program import Point
from contracts.program.case_tree import Menu, Tree, nobody_bargains
from contracts.program.outcome_box import Bounded, Leaf, bound_box, empty
from contracts.program.outcome_space import spaces_of
from contracts.program.refinement import menu_near
from contracts.program.rounding import in_lots, option_room
from contracts.program.splits import Split, branches, split_of
from contracts.proof.evidence import BOUNDS, LEAF, Cases

SPATIAL = 0.3  # of what a bound leaves open: envelopes that exceed curves by more are split first
INSIDE = 0.3  # of a box's width: how far from its middle it may be split
NARROW = 1e-9  # of the largest contribution


class Node:
    """A case, its bound, and how it was split."""

    def __init__(self, case: Case, found: Bounded):
        self.case, self.found = case, found
        self.split: Split | None = None
        self.children: list[Node] = []


class OutcomeTree:
    """Branch and bound over boxes.

    Args:
        first: the search over the program as solved: the case of all contracts, units, and constraints.
        best: the best menu that is known.
        allowed: by how much another may be better.
        known: what a contract reaches, where that is not `best`.
    """

    def __init__(self, first: Tree, best: Menu | None, allowed: float, *, known: float | None = None):
        self.first, self.at, self.best, self.allowed = first, first.setting, best, allowed
        self.stated = known
        self.spaces = spaces_of(self.at) or []  # none where there are too many outcomes
        self.root: Node | None = None
        self.nodes, self.cut_short, self.final, self.improving = 0, False, -np.inf, 0.0
        self.queue: list[tuple[float, int, Node]] = []

    @property
    def known(self) -> float:
        """What the best contract known reaches."""
        if self.stated is not None:
            return self.stated
        return -np.inf if self.best is None else self.best.value

    @property
    def bound(self) -> float:
        """What no contract exceeds."""
        return max(self.final, max((-bound for bound, _, _ in self.queue), default=-np.inf))

    def run(self, until: float) -> None:
        """Split until no case promises more than is allowed above what is known."""
        self.root = self._node(self.first.root_case, np.zeros((0, 2, self.at.form.rows)))
        began = time.perf_counter()
        while self.queue:
            node = heapq.heappop(self.queue)[-1]
            if time.perf_counter() > until:
                self.cut_short = True
            elif node.found.bound > self.known + self.allowed:
                spent = time.perf_counter() - began
                if self.stated is None and self.improving <= 0.5 * spent:  # as long as bounds take
                    self._improve(node, until)
                    self.improving += time.perf_counter() - began - spent
                node.split = self._split(node)
            if node.split is None:
                self.final = max(self.final, node.found.bound)
                if self.cut_short or node.found.bound <= max(self.known + self.allowed, self.final):
                    break
                continue
            starts = np.stack([node.found.leaf.contribution, node.found.leaf.utility], axis=1)
            node.children = [self._node(case, starts) for case in branches(node.case, *node.split)]

    def _improve(self, node: Node, until: float) -> None:
        """Look for a menu near the best point of a case."""
        if np.isfinite(node.found.bound):
            menu = menu_near(self.first, node.case, node.found.contribution, until)
            if menu is not None and menu.value > self.known:
                self.best = menu

    def _node(self, case: Case, starts: np.ndarray) -> Node:
        at = self.at
        inside = in_lots(at.form, case)
        self.nodes += 1
        if option_room(at.form, case, at.asked)[0] < 0 or nobody_bargains(at, case):
            found = empty(at, inside)
        else:
            found = bound_box(at, self.spaces, inside, starts, self.known, self.allowed)
        node = Node(case, found)
        heapq.heappush(self.queue, (-found.bound, self.nodes, node))
        return node

    def _split(self, node: Node) -> Split | None:
        at, found = self.at, node.found
        spatial = self._widest(node)
        if spatial is not None and found.excess.sum() >= SPATIAL * (found.bound - self.known):
            return spatial
        prices = found.leaf.feasibility.sum(axis=0)
        point = Point(found.contribution, found.utility, found.level, prices, found.leaf.linear)
        return split_of(at, node.case, point) or spatial

    def _widest(self, node: Node) -> Split | None:
        found = node.found
        width = found.high - found.low
        if found.excess.max() <= 0.0:
            return None
        row = int(np.argmax(found.excess))
        if width[row] <= NARROW * float(found.high.max()):
            return None
        middle = 0.5 * (found.low[row] + found.high[row])
        near = INSIDE * width[row]
        return BOUNDS, row, float(np.clip(found.contribution[row], middle - near, middle + near))

    def cases(self) -> Cases:
        """The tree as a proof."""
        waiting, nodes = [self.root] if self.root else [], []
        while waiting:
            node = waiting.pop()
            nodes.append(node)
            waiting += node.children[::-1]
        splits = [(LEAF, 0, 0.0) if node.split is None else node.split for node in nodes]
        kind, index, threshold = zip(*splits, strict=True)
        found = [node.found for node in nodes if node.split is None]
        leaves: list[Leaf] = [each.leaf for each in found]
        size = [leaf.share.size for leaf in leaves]
        return Cases(
            mixtures=None,
            kind=np.array(kind, dtype=int),
            index=np.array(index, dtype=int),
            threshold=np.array(threshold, dtype=float),
            contribution=np.concatenate([leaf.contribution for leaf in leaves]),
            utility=np.concatenate([leaf.utility for leaf in leaves]),
            level=np.repeat([each.level for each in found], size),
            feasibility=np.concatenate([leaf.feasibility for leaf in leaves]),
            linear=tuple(leaf.linear for leaf in leaves),
            leaf=np.repeat(np.arange(len(leaves)), size),
            share=np.concatenate([leaf.share for leaf in leaves]),
        )
