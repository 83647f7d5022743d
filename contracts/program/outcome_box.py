r"""What no contract in a box of contributions exceeds on the true curve, by cutting planes over outcomes.

In a box every outcome n has total data between n·low and n·high, and there the curve lies below its concave
envelope. With envelopes in place of curves what remains is a convex program, and any tangent of an envelope is a
cut: of the objective, and of what each row can be given in each world. The linear program of all cuts bounds
every contract in the box; its prices, those of the cuts at each point, are the proof
(`contracts.proof.leaf_bound`).

Source: cutting planes are textbook (Kelley 1960); envelopes of curves on boxes are spatial branch and bound
(Falk and Soland 1969).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import optimize

from contracts.problem.cases import SERVED, Case, Linear, linear_constraints
from contracts.program.case_program import Setting, box
from contracts.program.outcome_space import Space, box_of, lines

PENALTY = 1e4  # of breaking anything, per unit of value: makes every box solvable
ROUNDS = 15
AGREES = 0.05  # of what is allowed: a cut that changes less adds nothing
SLOW = 0.03  # of what a bound is above what is known: to gain less in a round is to have ended
MOST_POINTS = 24
GAIN = 1e-6  # of the largest value: where logarithms of gains are finite
UNPRICED = 1e-12


class Leaf(NamedTuple):
    """Points and prices that bound a case.

    Attributes:
        contribution, utility: where envelopes were replaced by tangents, shape (points, rows).
        share: of each point's tangent of the objective, summing to one, shape (points,).
        feasibility: prices of what each row is given, shape (points, worlds, rows).
        linear: prices of the case's linear constraints.
    """

    contribution: np.ndarray
    utility: np.ndarray
    share: np.ndarray
    feasibility: np.ndarray
    linear: np.ndarray


class Bounded(NamedTuple):
    """What was found about a case, in the user's units.

    Attributes:
        bound: what no contract exceeds.
        leaf: what proves it.
        contribution, utility, level: the best point of the relaxation.
        excess: of each row, by how much envelopes lie above curves there as its contribution is open, priced.
        low, high: the box, shape (rows,).
    """

    bound: float
    leaf: Leaf
    contribution: np.ndarray
    utility: np.ndarray
    level: float
    excess: np.ndarray
    low: np.ndarray
    high: np.ndarray


class _Cut(NamedTuple):
    """Tangents at one point, by (x, u): of the objective, and of what is given to each row in each world."""

    x: np.ndarray
    u: np.ndarray
    objective: float
    by_x: np.ndarray
    by_u: np.ndarray
    given: np.ndarray
    given_by_x: np.ndarray


def bound_box(
    at: Setting, spaces: list[Space], case: Case, starts: np.ndarray, known: float, allowed: float
) -> Bounded:
    """Bound a case.

    Args:
        at: the setting.
        spaces: its worlds.
        case: the case, in whole lots.
        starts: where to cut first, shape (points, 2, rows): contributions and utilities, in the user's units.
        known: what a contract reaches; to be no more than `allowed` above it is enough.
        allowed: see there.
    """
    bounds = box_of(at, spaces, case)
    stated = linear_constraints(at.form, case, at.asked)
    if bounds is None:
        return empty(at, case)
    program = _Program(at, spaces, case, stated, bounds)
    cuts = [program.cut(x / at.data_unit, u / at.value_unit) for x, u in starts]
    if not cuts:
        cuts = [program.cut(program.middle, program.highest)]
    before, goal = np.inf, (known + allowed) / at.unit
    for _ in range(ROUNDS):
        answer = program.solve(cuts)
        cut = program.cut(answer.x, answer.u)
        slack = program.exceeds(answer, cut)
        enough = answer.bound <= goal or slack <= AGREES * allowed / at.unit
        slow = before - answer.bound <= SLOW * (answer.bound - goal)
        if enough or (slow and slack <= SLOW * (answer.bound - goal)):
            break
        before = answer.bound
        if len(cuts) >= MOST_POINTS:
            cuts = [cut for cut, used in zip(cuts, answer.used, strict=True) if used]
        cuts.append(cut)
    else:
        answer = program.solve(cuts)
    return program.read(cuts, answer)


class _Answer(NamedTuple):
    """The linear program's answer, and its prices by points."""

    bound: float
    x: np.ndarray
    u: np.ndarray
    z: float
    tau: float
    share: np.ndarray
    feasibility: np.ndarray
    linear: np.ndarray

    @property
    def used(self) -> np.ndarray:
        """Which points have prices."""
        return (self.share > UNPRICED) | (self.feasibility.max(axis=(1, 2)) > UNPRICED)


class _Program:
    """The linear program of a case in the program's units, variables (x, u, z, objective, what is broken)."""

    def __init__(self, at: Setting, spaces: list[Space], case: Case, stated: Linear, bounds: tuple):
        self.at, self.spaces, self.case = at, spaces, case
        rows = at.form.rows
        self.low, self.high = (bound / at.data_unit for bound in bounds)
        low, high = box(at, case)
        self.high = np.maximum(np.minimum(self.high, high[:rows]), self.low)
        low[:rows], high[:rows] = self.low, self.high
        served = case.service == SERVED
        low[rows : 2 * rows] = np.where(served, at.asked.due / at.value_unit, 0.0)
        high[rows : 2 * rows] = np.where(served, np.maximum(at.top, low[rows : 2 * rows]), 0.0)
        self.size = np.ones(low.size)  # of a column: contributions are counted in those of the box
        self.size[:rows] = max(float(self.high.max()), 1e-300)
        self.bounds = [*zip(low / self.size, high / self.size, strict=True), (None, None), (0.0, None)]
        self.served, self.levelled = np.flatnonzero(served), at.asked.level is not None
        parts = [stated.by_x * at.data_unit, stated.by_u * at.value_unit]
        if self.levelled:
            parts.append(stated.by_z[:, None] * at.value_unit)
        matrix = np.hstack(parts)
        self.scale = np.abs(matrix).max(axis=1, initial=0.0)
        self.scale = np.where(self.scale > 0.0, self.scale, 1.0)
        self.matrix, self.least = matrix / self.scale[:, None], stated.least / self.scale
        self.middle = 0.5 * (self.low + self.high)
        self.highest = 0.5 * (low + high)[rows : 2 * rows]
        self.reach = []
        for space in spaces:
            counts = space.outcomes.counts
            self.reach.append((counts @ self.low, counts @ self.high))

    def cut(self, x: np.ndarray, u: np.ndarray) -> _Cut:
        at, rows, case = self.at, self.at.form.rows, self.case
        x = np.clip(x, self.low, self.high)
        least = at.asked.due / at.value_unit
        if at.goal.curved:
            least = np.minimum(least + GAIN, np.maximum(at.top, least))
        u = np.where(case.service == SERVED, np.clip(u, least, np.maximum(at.top, least)), 0.0)
        utility, data = u * at.value_unit, x * at.data_unit
        reward = utility + at.form.costs * data
        slopes = at.goal.slopes(utility, reward, case.service)
        by_u = (slopes.by_utility + slopes.by_reward) * at.value_unit / at.unit
        by_x = slopes.by_reward * at.costs * at.value_unit / at.unit
        objective = at.goal.social(utility, reward, case.service) / at.unit - by_u @ u - by_x @ x
        given, given_by_x = np.zeros((len(self.spaces), rows)), np.zeros((len(self.spaces), rows, rows))
        for w, (space, reach) in enumerate(zip(self.spaces, self.reach, strict=True)):
            counts, prior, belief = space.outcomes
            value = lines(space.value, counts @ x, *reach)
            target = value if space.target is space.value else lines(space.target, counts @ x, *reach)
            short = prior @ (1.0 - target.intercept)
            objective += space.target_unit * (1.0 - short)
            by_x = by_x + space.target_unit * ((prior * target.slope) @ counts)
            given[w] = space.value_unit * (1.0 - (1.0 - value.intercept) @ belief)
            given_by_x[w] = space.value_unit * (belief * value.slope[:, None]).T @ counts
        return _Cut(x, u, float(objective), by_x, by_u, given, given_by_x)

    def solve(self, cuts: list[_Cut]) -> _Answer:
        at, rows, served = self.at, self.at.form.rows, self.served
        worlds, level = len(self.spaces), int(self.levelled)
        size = 2 * rows + level + 2
        of_cut = 1 + worlds * served.size
        matrix, limit = np.zeros((len(cuts) * of_cut, size)), np.zeros(len(cuts) * of_cut)
        own = np.zeros((served.size, size))
        own[:, :rows], own[:, rows : 2 * rows] = np.diag(at.costs)[served], np.eye(rows)[served]
        for j, cut in enumerate(cuts):
            first = j * of_cut
            matrix[first, :rows], matrix[first, rows : 2 * rows] = -cut.by_x, -cut.by_u
            matrix[first, 2 * rows : 2 * rows + level] = -at.goal.lift * at.value_unit / at.unit
            matrix[first, -2] = 1.0
            limit[first] = cut.objective
            for w in range(worlds):
                part = slice(first + 1 + w * served.size, first + 1 + (w + 1) * served.size)
                matrix[part] = own
                matrix[part, :rows] -= cut.given_by_x[w][served]
                matrix[part, -1] = -1.0
                limit[part] = cut.given[w][served]
        stated = np.hstack([-self.matrix, np.zeros((len(self.matrix), 1)), -np.ones((len(self.matrix), 1))])
        matrix = np.vstack([matrix, stated])
        matrix[:, :-2] *= self.size
        cost = np.zeros(size)
        cost[-2:] = -1.0, PENALTY
        answer = optimize.linprog(cost, matrix, np.r_[limit, -self.least], bounds=self.bounds, method="highs")
        if answer.x is None:
            raise RuntimeError(answer.message)
        prices = np.maximum(-answer.ineqlin.marginals, 0.0)
        by_cut = prices[: len(limit)].reshape(len(cuts), of_cut)
        feasibility = np.zeros((len(cuts), worlds, rows))
        feasibility[:, :, served] = by_cut[:, 1:].reshape(len(cuts), worlds, served.size)
        v = np.r_[answer.x[:-2] * self.size, answer.x[-2:]]
        z = float(v[2 * rows]) if level else 0.0
        of_rows, stated = (v[:rows], v[rows : 2 * rows], z, float(v[-2])), prices[len(limit) :]
        return _Answer(-float(answer.fun), *of_rows, by_cut[:, 0], feasibility, stated)

    def exceeds(self, answer: _Answer, cut: _Cut) -> float:
        """By how much the linear program's answer exceeds envelopes there."""
        at = self.at
        objective = cut.objective + cut.by_x @ answer.x + cut.by_u @ answer.u
        objective += at.goal.lift * answer.z * at.value_unit / at.unit
        short = answer.u + at.costs * answer.x - cut.given - cut.given_by_x @ answer.x
        priced = (answer.feasibility.sum(axis=0) * np.maximum(short, 0.0)).sum()
        return float(max(answer.tau - objective, 0.0) + priced)

    def read(self, cuts: list[_Cut], answer: _Answer) -> Bounded:
        at, used = self.at, answer.used
        kept = [cut for cut, used_one in zip(cuts, used, strict=True) if used_one]
        share = answer.share[used]
        leaf = Leaf(
            contribution=np.array([cut.x for cut in kept]) * at.data_unit,
            utility=np.array([cut.u for cut in kept]) * at.value_unit,
            share=share / share.sum(),
            feasibility=answer.feasibility[used] * at.unit / at.value_unit,
            linear=answer.linear * at.unit / self.scale,
        )
        return Bounded(
            bound=answer.bound * at.unit,
            leaf=leaf,
            contribution=answer.x * at.data_unit,
            utility=answer.u * at.value_unit,
            level=answer.z * at.value_unit,
            excess=self._excess(answer) * at.unit,
            low=self.low * at.data_unit,
            high=self.high * at.data_unit,
        )

    def _excess(self, answer: _Answer) -> np.ndarray:
        found, prices = np.zeros(self.at.form.rows), answer.feasibility.sum(axis=0)
        for w, (space, reach) in enumerate(zip(self.spaces, self.reach, strict=True)):
            counts, prior, belief = space.outcomes
            paid = space.value_unit * (belief @ prices[w])
            parts = [(space.value, paid), (space.target, space.target_unit * prior)]
            widths = counts * (self.high - self.low)
            share = widths / np.maximum(widths.sum(axis=1, keepdims=True), 1e-300)
            for curve, weight in parts:
                found += (weight * np.maximum(lines(curve, counts @ answer.x, *reach).excess, 0.0)) @ share
        return found


def empty(at: Setting, case: Case) -> Bounded:
    """A case without contracts, as is seen without prices."""
    constraints = linear_constraints(at.form, case, at.asked).least.size
    rows, worlds = at.form.rows, at.worlds.weight.size
    nothing = np.zeros(rows)
    gains = np.maximum(at.asked.due, 0.0) + GAIN * at.value_unit
    leaf = Leaf(nothing[None], gains[None], np.ones(1), np.zeros((1, worlds, rows)), np.zeros(constraints))
    return Bounded(-np.inf, leaf, nothing, gains, 0.0, nothing, nothing, nothing)
