r"""The best contract of all and a proof of it, by branch and bound on contributions.

A box of contributions is bounded by its concave program (`contracts.program.box_program`); the box whose bound
is largest is split, until no bound exceeds the best contract found by more than is tolerated. The tree is the
proof: its leaves cover all contracts, each with the prices that bound it (`contracts.proof.tree_check`
recomputes them).
"""

from __future__ import annotations

import heapq
import time
from dataclasses import dataclass

import numpy as np

from contracts.program.box_program import Bound, Box, Space, bound, prove, shrink, whole
from contracts.program.first_moment import FirstMoment
from contracts.program.local_search import Menu, Truth, improve
from contracts.proof.witness import Tree

EAGER, RARELY = 6, 8  # local searches at the first boxes, later at every eighth
STRICTER, FINER = 0.95, 0.1  # shares of the tolerance: to leave room for another's arithmetic; and to aim at
NOTICEABLE = 1e-8  # of the largest target: an improvement that is not rounding


@dataclass(eq=False)
class Node:
    """A box of the tree (None if it holds no contract), its bound, and where it is split (row < 0: a leaf)."""

    box: Box | None
    bound: Bound | None
    row: int = -1
    threshold: float = 0.0
    children: tuple[Node, ...] = ()


@dataclass(eq=False)
class Answer:
    """What branch and bound found.

    Attributes:
        root: the tree.
        best: the best menu, None if none noticeably better than the one given was found.
        target: the best menu's target.
        bound: no contract reaches more.
        boxes: how many were bounded.
        finished: whether the tolerance was reached (else the time ran out).
    """

    root: Node
    best: Menu | None
    target: float
    bound: float
    boxes: int
    finished: bool

    @property
    def gap(self) -> float:
        """How much better another contract may be."""
        return self.bound - self.target


def branch(truth: Truth, start: np.ndarray, target: float, tolerance: float, seconds: float) -> Answer:
    """Search all contracts.

    Goes on to a tenth of the tolerance where that needs no more boxes again than the tolerance did.

    Args:
        truth: the problem.
        start: contributions of the best contract known, or of where to look for one, shape (types,).
        target: what that contract reaches (0 where none is known but the null contract).
        tolerance: how much better another contract may be, of the largest target.
        seconds: the time allowed.
    """
    end, space = time.perf_counter() + seconds, truth.space
    box = shrink(space, whole(space))
    root = Node(box, None if box is None else bound(space, box))
    heap = [(-_target(root), 0, root)]
    best, boxes, enough, splits = None, 1, EAGER, 0

    def gap() -> float:
        return max(-heap[0][0], 0.0) - target

    def try_from(m: np.ndarray) -> None:
        nonlocal best, target
        found = improve(truth, m)
        if found is not None and found.target > target + NOTICEABLE:
            best, target = found, found.target

    if gap() > FINER * tolerance:
        try_from(start)
    while gap() > FINER * tolerance and time.perf_counter() < end:
        if gap() > STRICTER * tolerance:
            enough = max(EAGER, 2 * boxes)
        elif boxes >= enough:
            break
        node = heap[0][2]
        assert node.bound is not None
        if splits < EAGER or splits % RARELY == 0:
            try_from(node.bound.contribution)
        splits += 1
        if gap() <= FINER * tolerance or not _split(space, node):
            break
        heapq.heappop(heap)
        for child in node.children:
            _bound_child(space, child, node, target + FINER * tolerance)
            boxes += 1
            heapq.heappush(heap, (-_target(child), boxes, child))
    return Answer(root, best, target, target + max(gap(), 0.0), boxes, gap() <= tolerance)


def _target(node: Node) -> float:
    return -1.0 if node.bound is None else node.bound.target


def _bound_child(space: Space, child: Node, parent: Node, enough: float) -> None:
    assert child.box is not None
    assert parent.bound is not None
    child.box, before = shrink(space, child.box), parent.bound
    if child.box is None:
        child.bound = before._replace(target=-1.0)
        return
    m = np.clip(before.contribution, child.box.low, child.box.high)
    child.bound = prove(space, child.box, m, before.feasibility_multipliers, before.participation_multipliers)
    if child.bound.target > enough:
        child.bound = min(child.bound, bound(space, child.box), key=lambda found: found.target)


def _split(space: Space, node: Node) -> bool:
    """Split where the envelopes lie furthest above the curves."""
    box, found = node.box, node.bound
    assert box is not None
    assert found is not None
    width = box.high - box.low
    if width.max() <= 1e-9 * max(float(box.high.max()), 1e-300):
        return False
    reach = space.outcomes.counts * width
    share = reach / np.maximum(reach.sum(axis=1, keepdims=True), 1e-300)
    scores = found.excess @ share
    row = int(np.argmax(scores + 1e-9 * width / width.max()))
    middle = 0.5 * (box.low[row] + box.high[row])
    threshold = float(np.clip(found.contribution[row], middle - 0.3 * width[row], middle + 0.3 * width[row]))
    below, above = box.high.copy(), box.low.copy()
    below[row], above[row] = threshold, threshold
    node.row, node.threshold = row, threshold
    node.children = (Node(Box(box.low, below), None), Node(Box(above, box.high), None))
    return True


def proof(model: FirstMoment, root: Node) -> Tree:
    """The tree as a proof in the user's units."""
    types = model.program.costs.size
    nodes: list[Node] = []
    waiting = [root]
    while waiting:
        node = waiting.pop()
        nodes.append(node)
        waiting.extend(reversed(node.children))
    empty = Bound(0.0, np.zeros(types), np.zeros(types), np.zeros(types), np.zeros(0))
    leaves = [node.bound or empty for node in nodes if node.row < 0]
    price = model.target_unit / model.value_unit
    return Tree(
        row=np.array([node.row for node in nodes]),
        threshold=np.array([node.threshold for node in nodes]) * model.data_unit,
        contribution=np.stack([leaf.contribution for leaf in leaves]) * model.data_unit,
        feasibility_multipliers=np.stack([leaf.feasibility_multipliers for leaf in leaves]) * price,
        participation_multipliers=np.stack([leaf.participation_multipliers for leaf in leaves]) * price,
    )
