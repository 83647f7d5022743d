r"""A proved bound on menus of few options or in whole lots; nothing here is shared with the search.

Expected losses are convex, so their tangents at any contributions bound them from below. Under tangents and the
chain of incentive compatibility, what is left is linear but for the choice of options; that is settled by a
branch and bound of our own. Every linear program's bound is recomputed from its multipliers by weak duality
(whatever they are, the bound holds), so no solver's word is taken.

Source: the safe bounds are those of Neumaier and Shcherbina, "Safe bounds in linear and mixed-integer linear
programming" (Math. Programming 2004).
"""

from __future__ import annotations

import heapq
from typing import Any, NamedTuple

import numpy as np

from contracts.problem import Problem
from contracts.proof.duality import (
    by_row,
    distinct_rows,
    idle_outcomes,
    transforms,
    type_loss_gradient,
    type_losses_by_mixture,
)
from contracts.proof.outcome_gradients import ContinuedLoss, expected_loss, type_losses
from contracts.proof.witness import Witness

MOST_NODES = 1000
PROOF_CLOSE = 1e-6  # of the loss: where a branch is closed
NEGLIGIBLE = 1e-12  # of the largest value
REFINEMENTS = 12  # tangents added at a branch whose choices are all made
WHOLE = 1e-6  # of a lot


class Tangents(NamedTuple):
    """Losses and slopes at points: log E L (E L for curves of any shape) and E_i L, by contributions."""

    points: np.ndarray
    loss: np.ndarray
    slope: np.ndarray
    type_loss: np.ndarray
    type_slope: np.ndarray


class Node(NamedTuple):
    """Choices: boundaries open (1), closed (0) or undecided (-1); bounds of lots; whether the first stay out."""

    boundary: np.ndarray
    least: np.ndarray
    most: np.ndarray
    out: bool


class Proof(NamedTuple):
    """The loss that no menu of the kind goes below, and how many nodes it took."""

    bound: float
    nodes: int


def tangents(problem: Problem, witness: Witness, points: np.ndarray, error: float) -> Tangents:
    """Evaluate the losses at contributions of the rows, shape (points, rows), in the user's units.

    What types are offered is taken to be as much better than the mixture says as the mixture may be off.
    """
    found = [_tangent(problem, witness, point) for point in points]
    loss, slope, type_loss, type_slope = (np.array(part) for part in zip(*found, strict=True))
    return Tangents(points, loss, slope, (1.0 - error) * type_loss, (1.0 - error) * type_slope)


def _tangent(problem: Problem, witness: Witness, m: np.ndarray) -> tuple[float, Any, Any, Any]:
    _, p, _ = distinct_rows(problem)
    n, rows = problem.population.participants, p.size
    units = np.eye(rows)
    _, idle = idle_outcomes(problem, p, witness.excluded)
    if not witness.rates.size:
        target, value = ContinuedLoss(problem, problem.target_is_value), ContinuedLoss(problem, True)
        loss, slope = expected_loss(target, m, p, n)
        pairs = [type_losses(value, problem.belief, m, p, n, unit) for unit in units]
        excess = float(value(np.zeros(1))[0]) - problem.largest_value if witness.excluded else 0.0
        return float(loss), slope, pairs[0][0] - idle * excess, np.array([pair[1] for pair in pairs])
    mix = transforms(witness.rates, m, p)
    weight = witness.target_weights * np.exp(n * (mix.log_phi - mix.log_phi.max()))
    loss = float(np.log(weight.sum()) + n * mix.log_phi.max())
    slope = -(weight * mix.rates * n / weight.sum()) @ mix.tilted
    excess = witness.value_weights.sum() - problem.largest_value if witness.excluded else 0.0
    losses = type_losses_by_mixture(problem, witness.value_weights, mix, m, p) - idle * excess
    slopes = [type_loss_gradient(problem, witness.value_weights, mix, m, p, unit) for unit in units]
    return loss, slope, losses, np.array(slopes)


class Relaxation:
    """The linear program under tangents, in gap variables (gaps of the chain, e), values over the largest."""

    def __init__(self, problem: Problem, witness: Witness, alone: np.ndarray, tiers: int | None, lot: float):
        self.problem, self.witness, self.tiers = problem, witness, tiers
        costs, _, row = distinct_rows(problem)
        self.rows, top = costs.size, problem.largest_value
        self.unit = top / float(costs.mean())
        self.costs, self.alone = costs * self.unit / top, by_row(alone, row) / top
        self.most = (1.0 - self.alone) / self.costs
        self.lot = lot / self.unit
        gaps = np.tril(np.ones((2 * self.rows - 1, 2 * self.rows - 1)))
        self.to_m = np.c_[gaps[0::2], np.zeros(self.rows)]
        steps = self.costs[:-1] - self.costs[1:]
        rises = np.vstack([np.zeros((1, 2 * self.rows - 1)), np.cumsum(steps[:, None] * gaps[1::2], axis=0)])
        self.to_u = np.c_[rises, np.ones(self.rows)]
        self.matrix = np.zeros((0, 2 * self.rows + 1))
        self.right = np.zeros(0)
        self._add(-self.to_u[1:], 0.0, self.alone[0] - self.alone[1:])
        self.soft = self.rows - 1  # from here on rows may be relaxed to prove that nothing satisfies them

    def _add(self, by_x: np.ndarray, by_loss: float, right: np.ndarray) -> None:
        self.matrix = np.vstack([self.matrix, np.c_[by_x, np.full(len(by_x), by_loss)]])
        self.right = np.r_[self.right, right]

    def add(self, found: Tangents) -> None:
        """Add tangents."""
        top = self.problem.largest_value
        for m, loss, slope, losses, slopes in zip(*found, strict=True):
            by_m = slope * self.unit
            self._add(by_m[None] @ self.to_m, -1.0, np.array([slope @ m - loss]))
            by_type = slopes * self.unit / top + np.diag(self.costs)
            right = 1.0 - (losses - slopes @ m) / top - self.alone[0]
            self._add(by_type @ self.to_m + self.to_u, 0.0, right)

    def solve(self, node: Node) -> tuple[float, np.ndarray | None]:
        """A proved bound for a node, and where its linear program is attained (None: nothing satisfies it)."""
        a, b, low, high = self._program(node)
        if (low > high).any():
            return np.inf, None
        cost = np.r_[np.zeros(2 * self.rows), 1.0]
        bound, point = _safe_bound(cost, a, b, low, high)
        if point is None:
            # Relax every row alike: if even the least relaxation is positive, no menu satisfies the node.
            needed, _ = _safe_bound(
                np.r_[np.zeros(cost.size), 1.0],
                np.c_[a, -np.ones(len(a))],
                b,
                np.r_[low, 0.0],
                np.r_[high, 10.0],
            )
            return (np.inf if needed > 1e-9 else bound), None
        return bound, self.to_m @ point[:-1]

    def _program(self, node: Node) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        low, high = np.zeros(2 * self.rows + 1), np.ones(2 * self.rows + 1)
        high[0], high[1:-2:2], high[2:-2:2] = self.most[0], self.most[1:], self.most[1:]
        low[-1], high[-1] = (
            (-800.0, 800.0) if self.witness.rates.size else (0.0, 1e3 * self.problem.largest_value)
        )
        if node.out or self.witness.excluded:
            high[: max(2 * self.witness.excluded - 1, 1)] = 0.0
        if node.out:
            high[-2] = 0.0
        closed = node.boundary == 0
        high[1:-2:2][closed] = high[2:-2:2][closed] = 0.0
        extra, right = [self.to_m, -self.to_m], [node.most, -node.least]
        if self.tiers is not None:
            share = np.zeros(2 * self.rows)
            undecided = node.boundary < 0
            share[1:-1:2] = share[2:-1:2] = undecided / self.most[1:]
            extra.append(share[None])
            right.append(np.array([self.tiers - 1.0 + node.out - (node.boundary == 1).sum()]))
        block = np.vstack(extra)
        a = np.vstack([self.matrix, np.c_[block, np.zeros(len(block))]])
        return a, np.r_[self.right, *right], low, high

    def branch(self, node: Node, m: np.ndarray) -> list[Node]:
        """The node's children; none if every choice is made."""
        if self.tiers is not None and (node.boundary < 0).any():
            share = np.where(node.boundary < 0, np.diff(m) / self.most[1:], -1.0)
            return [self._decided(node, int(np.argmax(share)), choice) for choice in (1, 0)]
        if self.lot:
            off = np.abs(m / self.lot - np.round(m / self.lot))
            off[node.most - node.least < 0.5 * self.lot] = 0.0
            i = int(np.argmax(off))
            if off[i] > WHOLE:
                whole = np.floor(m[i] / self.lot) * self.lot
                rank = np.arange(m.size)
                below, above = node.most.copy(), node.least.copy()
                below[rank <= i] = np.minimum(below[rank <= i], whole)
                above[rank >= i] = np.maximum(above[rank >= i], whole + self.lot)
                return [node._replace(most=below), node._replace(least=above)]
        return []

    def _decided(self, node: Node, i: int, choice: int) -> Node:
        boundary = node.boundary.copy()
        boundary[i] = choice
        assert self.tiers is not None
        if (boundary == 1).sum() >= self.tiers - 1 + node.out:
            boundary[boundary < 0] = 0
        return node._replace(boundary=boundary)

    def roots(self) -> list[Node]:
        """All menus: those under which the dearest take part, and those under which they stay out."""
        whole = np.floor(self.most / self.lot * (1 + 1e-12)) * self.lot if self.lot else self.most
        start = Node(np.full(self.rows - 1, -1), np.zeros(self.rows), whole, False)
        if self.tiers == 1:
            start = start._replace(boundary=np.zeros(self.rows - 1, dtype=int))
        if self.tiers is None:
            return [start]
        undecided = np.full(self.rows - 1, -1)
        return [start] + [start._replace(boundary=undecided, out=True)] * bool(self.alone[0] <= 0.0)


def _safe_bound(
    cost: np.ndarray, a: np.ndarray, b: np.ndarray, low: np.ndarray, high: np.ndarray
) -> tuple[float, np.ndarray | None]:
    """The least cost under a x <= b, low <= x <= high: a bound true for any multipliers, and HiGHS's point."""
    from scipy.optimize import linprog

    size = np.abs(a).max(axis=1)
    kept = size > 0
    a, b = a[kept] / size[kept, None], b[kept] / size[kept]
    answer = linprog(cost, A_ub=a, b_ub=b, bounds=np.c_[low, high], method="highs")
    if answer.x is None or answer.status == 2:
        return float(np.minimum(cost * low, cost * high).sum()), None
    prices = np.maximum(-answer.ineqlin.marginals, 0.0)
    reduced = cost + prices @ a
    return float(-prices @ b + np.minimum(reduced * low, reduced * high).sum()), answer.x


def prove(
    problem: Problem,
    witness: Witness,
    alone: np.ndarray,
    points: np.ndarray,
    reached: float,
    *,
    tiers: int | None,
    lot: float,
    error: float,
) -> Proof:
    """Bound the loss of every menu of the kind from below.

    Args:
        problem: the problem.
        witness: its mixtures, and how many rows are excluded (its prices are not used).
        alone: what each of the user's types is due, shape (types,).
        points: where to begin with tangents, shape (points, rows).
        reached: the loss of the contract to be proved, by the same mixtures.
        tiers, lot: as in the problem; a lot of 0 means any contribution.
        error: relative error of the mixtures, to be allowed for.
    """
    if reached <= NEGLIGIBLE * problem.largest_value:
        return Proof(0.0, 0)  # no loss is below zero
    relaxation = Relaxation(problem, witness, alone, tiers, lot)
    relaxation.add(tangents(problem, witness, points[np.isfinite(points).all(axis=1)], error))
    logarithmic = bool(witness.rates.size)
    level = float(np.log(reached)) if logarithmic else reached
    close = level - (PROOF_CLOSE if logarithmic else PROOF_CLOSE * reached)
    heap: list[tuple[float, int, Node]] = [(-np.inf, k, node) for k, node in enumerate(relaxation.roots())]
    proved, nodes, count = level, 0, len(heap)
    while heap and nodes < MOST_NODES:
        inherited, _, node = heapq.heappop(heap)
        if inherited >= close:
            proved = min(proved, inherited)
            continue
        nodes += 1
        bound, m = relaxation.solve(node)
        bound = max(bound, inherited)
        children = [] if m is None else relaxation.branch(node, m)
        for _ in range(REFINEMENTS):
            if bound >= close or m is None or children:
                break
            relaxation.add(tangents(problem, witness, m[None] * relaxation.unit, error))
            refined, m = relaxation.solve(node)
            bound = max(bound, refined)
            children = [] if m is None else relaxation.branch(node, m)
        if bound >= close or not children:
            proved = min(proved, bound)
            continue
        for child in children:
            count += 1
            heapq.heappush(heap, (bound, count, child))
    proved = min([proved, *(bound for bound, _, _ in heap)])
    return Proof((1.0 - error) * (float(np.exp(proved)) if logarithmic else proved), nodes)


def loss_of(problem: Problem, witness: Witness, contribution: np.ndarray) -> float:
    """The coordinator's expected loss by the witness's mixture, for contributions of the rows."""
    _, p, _ = distinct_rows(problem)
    n = problem.population.participants
    if not witness.rates.size:
        return float(expected_loss(ContinuedLoss(problem, problem.target_is_value), contribution, p, n)[0])
    mix = transforms(witness.rates, contribution, p)
    return float(witness.target_weights @ np.exp(n * mix.log_phi))
