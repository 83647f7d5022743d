r"""The best contract of all and a proof of it, by branch and bound on contributions.

A box of contributions is bounded by its concave program (`contracts.box_program`); the box whose bound is
largest is split, until no bound exceeds the best contract found by more than is tolerated. The tree is the
proof: its leaves cover all contracts, each with the prices that bound it (`contracts.tree_check` recomputes
them).
"""

from __future__ import annotations

import heapq
import time
from dataclasses import dataclass

import numpy as np

from contracts.box_program import Bound, Box, Space, bound, prove, shrink, whole
from contracts.contract import Tree
from contracts.local_search import Menu, Truth, improve

EAGER, RARELY = 6, 8  # local searches at the first boxes, later at every eighth


@dataclass(eq=False)
class Node:
    """A box of the tree: its bound (None if it holds no contract) and where it is split (row < 0: a leaf)."""

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
        best: the best menu, None if none better than the one given was found.
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


def branch(truth: Truth, start: np.ndarray, target: float, tolerance: float, seconds: float) -> Answer:
    """Search all contracts.

    Args:
        truth: the problem.
        start: contributions of the best contract known, shape (types,).
        target: what it reaches (0 for the null contract).
        tolerance: how much better another contract may be, of the largest target.
        seconds: the time allowed.
    """
    end = time.perf_counter() + seconds
    space = truth.space
    box = shrink(space, whole(space))
    root = Node(box, None if box is None else bound(space, box))
    best: Menu | None = None
    boxes, searched = 1, 0
    heap = [(-_target(root), 0, root)]

    def try_from(m: np.ndarray) -> None:
        nonlocal best, target
        found = improve(truth, m)
        if found is not None and found.target > target + 1e-12:
            best, target = found, found.target

    if target > 0.0 and _target(root) > target + tolerance:
        try_from(start)
    while -heap[0][0] > target + tolerance and time.perf_counter() < end:
        _, _, node = heap[0]
        searched += 1
        if searched <= EAGER or searched % RARELY == 0:
            assert node.bound is not None
            try_from(node.bound.contribution)
            if -heap[0][0] <= target + tolerance:
                break
        heapq.heappop(heap)
        if not _split(space, node):
            heapq.heappush(heap, (-_target(node), boxes, node))
            break
        for child in node.children:
            _bound_child(space, child, node, target + tolerance)
            boxes += 1
            heapq.heappush(heap, (-_target(child), boxes, child))
    top = max(-heap[0][0], 0.0)
    return Answer(root, best, target, top, boxes, top <= target + tolerance)


def _target(node: Node) -> float:
    return -1.0 if node.bound is None else node.bound.target


def _bound_child(space: Space, child: Node, parent: Node, enough: float) -> None:
    assert child.box is not None
    assert parent.bound is not None
    child.box = shrink(space, child.box)
    if child.box is None:
        return
    before = parent.bound
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


def proof(truth: Truth, root: Node) -> Tree:
    """The tree as a proof in the user's units."""
    model, types = truth.model, truth.space.costs.size
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
