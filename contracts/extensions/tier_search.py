r"""Best menus of few options, or in whole lots, by outer approximation.

Types that share an option are neighbours in cost (single crossing): sharing means that both gaps of the chain
between two neighbours are zero. A mixed-integer program (PuLP with HiGHS) chooses which gaps may open, or how
many lots each type contributes, under tangents of the convex functions of `contracts.program.first_moment`; its
optimum bounds every menu. The interior-point method then solves the program with just those gaps open; tangents
there and at the master's own point are added, until the bound is reached.

Source: Duran and Grossmann, "An outer-approximation algorithm for a class of mixed-integer nonlinear programs"
(Math. Programming 1986).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from contracts.program.exclusion import Candidate, attempt, candidate_at
from contracts.program.first_moment import FirstMoment, Program, exclude, factors, moments
from contracts.program.interior_point import Solution, solve

CLOSE = 1e-7  # of the loss: where the search stops
ROUNDS = 60
PATIENCE_IN_LOTS = 20
MASTER_SECONDS = 60.0
NEGLIGIBLE = 1e-13  # of the largest target
SOUND = 1e-10  # of the largest value: how far a promise in whole lots may exceed what can be given


class Shape(NamedTuple):
    """What is asked of a menu besides being a contract.

    Attributes:
        tiers: the most options; None if any number.
        lot: contributions are multiples of it, in the program's unit of data; 0 if they need not be.
        excluded: rows that contribute nothing.
        free: whether (0, 0), to stay out and receive nothing, may be an option that does not count.
    """

    tiers: int | None
    lot: float
    excluded: int
    free: bool


class Found(NamedTuple):
    """The best menu found for a shape, and where the functions were linearised.

    Attributes:
        best: the menu; None if there is none.
        points: contributions per row in the user's units, shape (points, rows).
        rounds: how many masters were solved.
    """

    best: Candidate | None
    points: np.ndarray
    rounds: int


class Master(NamedTuple):
    """A master's answer: its bound on the objective, contributions, open boundaries, and whether staying out."""

    bound: float
    contribution: np.ndarray
    opened: np.ndarray
    out: bool


def search_shape(model: FirstMoment, program: Program, shape: Shape, first: Candidate | None) -> Found:
    """The best menu of a shape.

    Args:
        model: the problem made ready.
        program: its program, or a relaxation of it.
        shape: what is asked.
        first: the best contract of any shape with the same rows excluded: the first place to linearise.
    """
    belief = model.problem.belief
    restricted = exclude(program, shape.excluded, belief)
    restricted = restricted._replace(target_offset=0.0)  # a constant: the objective's logarithm stays convex
    points = [] if first is None else [first.contribution / model.data_unit]
    points += list(_starts(restricted, shape))
    best: Candidate | None = None
    tried: set[tuple] = set()
    idle = rounds = 0
    for rounds in range(1, ROUNDS + 1):  # noqa: B007 - reported
        master = solve_master(restricted, belief, shape, points)
        if master is None or (best is not None and master.bound >= _level(restricted, belief, best, model)):
            break
        key = (*master.opened, master.out, *(master.contribution / shape.lot if shape.lot else ()))
        if key in tried:
            break
        tried.add(key)
        points.append(master.contribution)
        found = _realised(model, program, restricted, shape, master)
        idle += 1
        if found is not None:
            points.append(found.contribution / model.data_unit)
            if best is None or _loss(restricted, belief, found, model) < _loss(restricted, belief, best, model):
                best, idle = found, 0
        if shape.lot and best is not None and idle > PATIENCE_IN_LOTS:
            break
    return Found(best, np.array(points) * model.data_unit, rounds)


def _loss(program: Program, belief: str, candidate: Candidate, model: FirstMoment) -> float:
    return objective(program, belief, candidate.contribution / model.data_unit)[0]


def _level(program: Program, belief: str, best: Candidate, model: FirstMoment) -> float:
    """The bound at which the best menu is as good as optimal."""
    loss = _loss(program, belief, best, model)
    return loss - (CLOSE if program.curves is None else CLOSE * abs(loss))


def _starts(program: Program, shape: Shape) -> np.ndarray:
    """Everybody contributes the same, from little to as much as the dearest could ever pay."""
    most = 1.0 / program.costs[shape.excluded]
    rows = np.outer(most * np.array([0.1, 0.3, 1.0]), np.ones(program.costs.size))
    rows[:, : shape.excluded] = 0.0
    return rows


def objective(program: Program, belief: str, m: np.ndarray) -> tuple[float, np.ndarray]:
    """The convex objective (log E L; E L itself where the loss is no mixture) and its gradient by m.

    A loss too small to matter is added before the logarithm is taken, which leaves it convex.
    """
    here = moments(program, m, belief, np)
    f = factors(program, here, np.zeros(m.size))
    value, slope = float(here.target_loss), -f.tilted.T @ f.target_gradient
    if program.curves is not None:
        return value, slope
    return float(np.log(value + NEGLIGIBLE)), slope * value / (value + NEGLIGIBLE)


def expectations(program: Program, belief: str, m: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """E_i L of every row and its Jacobian by m."""
    here = moments(program, m, belief, np)
    f = factors(program, here, np.zeros(m.size))
    return here.value_loss, np.diag(f.own) - f.columns.T @ f.tilted


def solve_master(program: Program, belief: str, shape: Shape, points: list[np.ndarray]) -> Master | None:
    """The mixed-integer program under tangents at the points; None if no menu satisfies even these."""
    import pulp

    rows = program.costs.size
    c, f = program.costs, program.reservation
    most = (1.0 - f) / c
    lp = pulp.LpProblem("menu", pulp.LpMinimize)
    m = [lp.add_variable(f"m{i}", 0, 0 if i < shape.excluded else most[i]) for i in range(rows)]
    d = [lp.add_variable(f"d{i}", 0, most[i + 1]) for i in range(rows - 1)]
    u = [lp.add_variable(f"u{i}", f[i], 1) for i in range(rows)]
    z = [lp.add_variable(f"z{i}", cat="Binary") for i in range(rows - 1)]
    out = lp.add_variable("out", 0, int(shape.free), cat="Integer")
    loss = lp.add_variable("loss", -800, 800)
    lp += loss
    lp += u[0] <= 1 - out
    lp += m[0] <= most[0] * (1 - out)
    for i in range(rows - 1):
        lp += m[i] <= d[i]
        lp += d[i] <= m[i + 1]
        lp += m[i + 1] - m[i] <= most[i + 1] * z[i]
        lp += u[i + 1] - u[i] == (c[i] - c[i + 1]) * d[i]
    if shape.tiers is not None:
        lp += pulp.lpSum(z) <= shape.tiers - 1 + out
    if shape.lot:
        lots = [lp.add_variable(f"k{i}", 0, int(most[i] / shape.lot), cat="Integer") for i in range(rows)]
        for i in range(rows):
            lp += m[i] == shape.lot * lots[i]
    for point in points:
        value, slope = objective(program, belief, point)
        lp += loss >= value - float(slope @ point) + _affine(slope, m)
        losses, jacobian = expectations(program, belief, point)
        for i in range(rows):
            rest = 1.0 - losses[i] + float(jacobian[i] @ point)
            lp += u[i] + c[i] * m[i] + _affine(jacobian[i], m) <= rest
    options: dict[str, Any] = {"mip_feasibility_tolerance": 1e-9, "primal_feasibility_tolerance": 1e-9}
    lp.solve(pulp.HiGHS(msg=False, gapRel=1e-9, timeLimit=MASTER_SECONDS, **options))
    if loss.varValue is None or lp.sol_status not in (1, 2):
        return None
    contribution = np.maximum.accumulate([max(variable.varValue or 0.0, 0.0) for variable in m])
    if shape.lot:
        contribution = shape.lot * np.round(contribution / shape.lot)
    opened = np.array([round(variable.varValue or 0.0) for variable in z])
    return Master(float(loss.varValue), contribution, opened, bool(round(out.varValue or 0.0)))


def _affine(slope: np.ndarray, m: list) -> Any:
    import pulp

    return pulp.LpAffineExpression([(variable, float(value)) for variable, value in zip(m, slope, strict=True)])


def _realised(
    model: FirstMoment, program: Program, restricted: Program, shape: Shape, master: Master
) -> Candidate | None:
    """The best menu with the master's gaps open, or with its lots."""
    if shape.lot:
        return _in_lots(model, program, restricted, shape, master)
    mask = opened_gaps(master.opened, master.out)
    kept = np.flatnonzero(np.r_[True, master.opened == 1])
    staying = int(kept[1]) if master.out and kept.size > 1 else (program.costs.size if master.out else 0)

    def masked(given: Program, belief: str) -> Solution:
        floor = given.reservation.copy()
        # Types that stay out get nothing alone either: no inside for an interior point, and nothing to ask.
        floor[1:staying] = -1.0
        return solve(given._replace(active=given.active * mask, reservation=floor), belief)

    return attempt(model, program, shape.excluded, masked)


def opened_gaps(opened: np.ndarray, out: bool) -> np.ndarray:
    """Which variables of the program are free, by the open boundaries and whether the first stay out."""
    mask = np.ones(2 * opened.size + 2)
    mask[1:-1:2] = mask[2:-1:2] = opened
    if out:
        mask[0] = mask[-1] = 0.0
    return mask


def least_utilities(program: Program, m: np.ndarray) -> np.ndarray:
    """The least utilities that keep everybody in and every choice right, for monotone contributions."""
    steps = program.costs[:-1] - program.costs[1:]
    u = program.reservation.astype(float).copy()
    for i in range(m.size - 1):
        u[i + 1] = max(u[i + 1], u[i] + steps[i] * m[i])
    for i in range(m.size - 2, -1, -1):
        u[i] = max(u[i], u[i + 1] - steps[i] * m[i + 1])
    return u


def _in_lots(
    model: FirstMoment, program: Program, restricted: Program, shape: Shape, master: Master
) -> Candidate | None:
    """The menu with the master's lots, or the best near it that keeps its promises."""
    belief = model.problem.belief
    m = _mended(restricted, belief, shape, master.contribution)
    if m is None:
        return None
    unpriced = Solution(np.zeros(2 * m.size), np.zeros(2 * m.size - 1), 0.0, 0)
    return candidate_at(model, program, shape.excluded, unpriced, m, least_utilities(restricted, m))


def _mended(program: Program, belief: str, shape: Shape, m: np.ndarray) -> np.ndarray | None:
    """Take lots from whoever can least be given what it is due, until promises can be kept."""
    for _ in range(4 * m.size):
        losses, _ = expectations(program, belief, m)
        slack = 1.0 - losses - program.costs * m - least_utilities(program, m)
        if slack.min() >= -SOUND and _tiers(m, program, shape):
            return m
        short = int(np.argmin(slack))
        level = m == m[short]
        if m[short] < 1.5 * shape.lot:
            return None
        m = np.minimum(m, np.where(level, m[short] - shape.lot, m))
        m = np.maximum.accumulate(m)
    return None


def _tiers(m: np.ndarray, program: Program, shape: Shape) -> bool:
    if shape.tiers is None:
        return True
    count = np.unique(m).size
    out = shape.free and m[0] == 0.0 and least_utilities(program, m)[0] <= 0.0
    return count - int(out) <= shape.tiers
