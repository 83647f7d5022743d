r"""How good a contract can be whose contributions lie in a box low <= m <= high.

Outcome by outcome the total data n·m then lie between n·low and n·high, and the concave envelope of the curve on
that interval is the least concave function above it. With envelopes in place of the curve the first-moment
program is concave; its optimum bounds every contract in the box, and the narrower the box the tighter.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from contracts.program.enumeration import Outcomes, outcomes
from contracts.program.envelope import (
    Curve,
    Envelope,
    allowance,
    chord,
    edge,
    envelope,
    highest,
    on_curve,
    tabulate,
    value,
)
from contracts.program.first_moment import FirstMoment

PENALTY = 3e3  # of promising more than can be given, per unit: makes every box solvable
MAX_ITERATIONS, TOLERANCE = 100, 1e-9
ROUNDS = 12  # of shrinking a box
SPARE = 1e-6  # of the largest value: boxes are called empty only where another table of the curve would agree


class Space(NamedTuple):
    """A problem in the program's units, its outcomes enumerated.

    Attributes:
        costs, reservation: c and f of the distinct types by falling cost, shape (types,).
        outcomes: who takes part.
        value, target: the true curves, floor included; the same object where the two are proportional.
        data_unit: one unit of data in the user's.
    """

    costs: np.ndarray
    reservation: np.ndarray
    outcomes: Outcomes
    value: Curve
    target: Curve
    data_unit: float


class Box(NamedTuple):
    """Contributions low <= m <= high, rising from the dearest type to the cheapest."""

    low: np.ndarray
    high: np.ndarray


class Bound(NamedTuple):
    """A proved bound on the target of every contract in a box, with what proves it.

    Attributes:
        target: the bound, in units of the largest target.
        contribution: the point about which envelopes are replaced by lines, shape (types,).
        feasibility_multipliers, participation_multipliers: prices of t <= T and of u >= f, shape (types,).
        excess: by how much each outcome's envelopes lie above the curves there, priced, shape (outcomes,).
    """

    target: float
    contribution: np.ndarray
    feasibility_multipliers: np.ndarray
    participation_multipliers: np.ndarray
    excess: np.ndarray


def space_of(model: FirstMoment) -> Space:
    """Enumerate the outcomes and tabulate the curves of a problem."""
    problem, program = model.problem, model.program
    unit, population = model.data_unit, problem.population
    high = 1.001 * problem.most_data / unit
    marks = _marks(model, high)
    of_value = tabulate(lambda x: problem.value(x * unit) / model.value_unit, marks, high)
    of_target = of_value
    if not problem.target_is_value:
        of_target = tabulate(lambda x: problem.accuracy(x * unit) / model.target_unit, marks, high)
    return Space(
        costs=program.costs,
        reservation=program.reservation,
        outcomes=outcomes(program.probabilities, population.participants, problem.belief),
        value=of_value,
        target=of_target,
        data_unit=unit,
    )


def _marks(model: FirstMoment, high: float) -> np.ndarray:
    curve, unit = model.problem.accuracy, model.data_unit
    grid = np.geomspace(1e-9 * high, high, 400)
    half = grid[np.argmax(curve(grid * unit) >= 0.5 * model.target_unit)]
    points = [half, model.knee / unit, float(curve.floor) / unit, *np.ravel(getattr(curve, "data", [])) / unit]
    return np.unique([point for point in points if point > 0.0])


def whole(space: Space) -> Box:
    """The box of all contracts: nobody pays more than the largest value less what it gets alone."""
    high = (value(space.value, space.value.x[-1:]) - space.reservation) / space.costs
    return Box(np.zeros(high.size), high)


def shrink(space: Space, box: Box) -> Box | None:
    """A smaller box with the same contracts; None if it holds none.

    Nobody pays more than the best it could receive if everybody gave the most; utilities rise along the chain.
    """
    low, high = np.maximum.accumulate(box.low), np.minimum.accumulate(box.high[::-1])[::-1]
    steps = space.costs[:-1] - space.costs[1:]
    for _ in range(ROUNDS):
        utility = space.reservation.copy()
        for i in range(steps.size):
            utility[i + 1] = max(utility[i + 1], utility[i] + steps[i] * low[i])
        received = value(space.value, space.outcomes.counts @ high) + SPARE
        most = (received @ space.outcomes.believed - utility) / space.costs
        if (np.minimum(most, high) < low - 1e-12).any() or (most < -1e-12).any():
            return None
        smaller = np.maximum(np.minimum.accumulate(np.minimum(most, high)[::-1])[::-1], low)
        done = (high - smaller <= 1e-2 * (high - low)).all()
        high = smaller
        if done:
            break
    return Box(low, high)


def bound(space: Space, box: Box) -> Bound:
    """Solve the box's concave program and prove its optimum."""
    m, y, w = _solve(space, box)
    return prove(space, box, m, y, w)


def prove(space: Space, box: Box, m: np.ndarray, y: np.ndarray, w: np.ndarray) -> Bound:
    """The bound that a point and prices give, whatever they are (weak duality)."""
    counts, prior, believed = space.outcomes
    y, w = np.maximum(y, 0.0), np.maximum(w, 0.0)
    w[0] = 0.0  # u_1 >= f_1 is kept as it is
    totals = counts @ m, counts @ box.low, counts @ box.high
    paid = believed @ y
    parts = [(space.value, prior + paid)] if space.value is space.target else None
    parts = parts or [(space.value, paid), (space.target, prior)]
    constant, by_m, excess = -float(w @ space.reservation), -y * space.costs, np.zeros(prior.size)
    for curve, weight in parts:
        intercept, slope, above = _lines(curve, *totals)
        constant += float(weight @ intercept)
        by_m = by_m + (weight * slope) @ counts
        excess = excess + weight * above
    target = constant + _most(space, box, by_m, w - y)
    return Bound(target, m, y, w, excess)


def _lines(curve: Curve, at: np.ndarray, low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, ...]:
    """Lines above the curve on [low, high] that touch the envelope at `at`: intercepts, slopes, and by how much
    they exceed the curve there."""
    # At an end any steeper, or flatter, line would touch: a little inside, only the useful one does.
    at = np.clip(at, low + 1e-6 * (high - low), high - 1e-6 * (high - low))
    slope = envelope(curve, low, high, at).slope
    _, intercept = highest(curve, slope, low, high)
    intercept = intercept + allowance(curve, low, high)
    return intercept, slope, intercept + slope * at - value(curve, at)


def _most(space: Space, box: Box, by_m: np.ndarray, by_u: np.ndarray) -> float:
    """The largest value of a linear function of (m, u) on a box and its chain."""
    steps = space.costs[:-1] - space.costs[1:]
    tails = np.cumsum(by_u[::-1])[::-1]
    by_slope = steps * tails[1:]
    # u_{i+1} - u_i lies between steps_i m_i and steps_i m_{i+1}: at whichever end is better.
    by_m = by_m.copy()
    by_m[1:] += np.maximum(by_slope, 0.0)
    by_m[:-1] += np.minimum(by_slope, 0.0)
    first = space.reservation[0] * tails[0] + max(tails[0], 0.0) * (1.0 - space.reservation[0])
    return float(first) + _rising(by_m, box)


def _rising(by_m: np.ndarray, box: Box) -> float:
    """max by_m·m over rising m in the box: every m_i is then one of the box's ends."""
    levels = np.union1d(box.low, box.high)
    best = np.zeros(levels.size)
    for slope, low, high in zip(by_m, box.low, box.high, strict=True):
        inside = (levels >= low) & (levels <= high)
        best = np.maximum.accumulate(np.where(inside, best + slope * levels, -np.inf))
    return float(best[-1])


class _Edges:
    """Concave envelopes of one box; the chords among their parts are remembered."""

    def __init__(self, curve: Curve, low: np.ndarray, high: np.ndarray):
        self.curve, self.low, self.high = curve, low, high
        self.left, self.right = low.copy(), low.copy()

    def __call__(self, at: np.ndarray) -> Envelope:
        at = np.clip(at, self.low, self.high)
        level, beta, bend = on_curve(self.curve, self.low, self.high, at)
        off = np.flatnonzero(np.isnan(level))
        if off.size:
            new = off[(at[off] <= self.left[off]) | (at[off] >= self.right[off])]
            if new.size:
                self.left[new], self.right[new] = edge(self.curve, self.low[new], self.high[new], at[new])
            level[off], beta[off] = chord(self.curve, self.left[off], self.right[off], at[off])
            bend[off] = 0.0
        return Envelope(level, beta, bend)


class _Here(NamedTuple):
    """Objective, constraints >= 0 and their derivatives at a point."""

    value: float
    slacks: np.ndarray
    gradient: np.ndarray
    jacobian: np.ndarray
    slopes: tuple[np.ndarray, np.ndarray]
    bends: tuple[np.ndarray, np.ndarray]


class _BoxProgram:
    """minimise PENALTY excess - E A(m)  s.t.  T_i(m) - c_i m_i - u_i + excess >= 0  and linear rows.

    Variables are x = (m, u, excess).
    """

    def __init__(self, space: Space, low: np.ndarray, high: np.ndarray):
        self.space, self.types = space, space.costs.size
        ends = space.outcomes.counts @ low, space.outcomes.counts @ high
        self.value = _Edges(space.value, *ends)
        self.target = self.value if space.value is space.target else _Edges(space.target, *ends)
        self.matrix, self.offset = _linear(space, low, high)
        types = self.types
        self.own = np.hstack([-np.diag(space.costs), -np.eye(types), np.ones((types, 1))])

    def __call__(self, x: np.ndarray) -> _Here:
        counts, prior, believed = self.space.outcomes
        at = counts @ x[: self.types]
        v = self.value(at)
        a = v if self.target is self.value else self.target(at)
        slacks = np.r_[v.value @ believed + self.own @ x, self.matrix @ x - self.offset]
        jacobian = np.vstack([self.own, self.matrix])
        jacobian[: self.types, : self.types] += (believed * v.slope[:, None]).T @ counts
        gradient = np.r_[-(prior * a.slope) @ counts, np.zeros(self.types), PENALTY]
        return _Here(
            value=PENALTY * x[-1] - float(prior @ a.value),
            slacks=slacks,
            gradient=gradient,
            jacobian=jacobian,
            slopes=(a.slope, v.slope),
            bends=(a.bend, v.bend),
        )

    def hessian(self, bends: tuple[np.ndarray, ...], y: np.ndarray) -> np.ndarray:
        """Second derivative of the Lagrangian, by m; the rest is linear."""
        counts, prior, believed = self.space.outcomes
        curvature = prior * bends[0] + (believed @ y) * bends[1]
        full = np.diag(np.full(2 * self.types + 1, 1e-12))
        full[: self.types, : self.types] -= (counts * curvature[:, None]).T @ counts
        return full

    def bends(self, here: _Here, x: np.ndarray, there: _Here, other: np.ndarray) -> tuple[np.ndarray, ...]:
        """The curvatures seen on the way from one point to another, where stronger than at the first."""
        way = self.space.outcomes.counts @ (other - x)[: self.types]
        safe = np.where(np.abs(way) > 1e-14, way, np.inf)
        return tuple(
            np.minimum(bend, (new - old) / safe)
            for bend, old, new in zip(here.bends, here.slopes, there.slopes, strict=True)
        )


def _solve(space: Space, box: Box) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A point and prices, nearly optimal, by an interior-point method that stays strictly feasible."""
    low, high = box.low, np.maximum(box.high, box.low + 1e-7 * max(float(box.high[-1]), 1e-9))
    program, types = _BoxProgram(space, low, high), space.costs.size
    x = _start(space, low, high)
    x[-1] = 0.1 - min(float(program(x).slacks[:types].min()), 0.0)
    here = program(x)
    mu = 0.3
    z = mu / here.slacks
    for _ in range(MAX_ITERATIONS):
        step, x, here, dz = _step(program, x, here, z, mu)
        z = z + _longest(z, dz, 0.995) * dz
        # Prices far from the path would spoil the next direction (Waechter and Biegler 2006).
        z = np.clip(z, 1e-4 * mu / here.slacks, 1e4 * mu / here.slacks)
        residual = here.gradient - here.jacobian.T @ z
        off_path = float(np.abs(residual).max()) + float(np.abs(here.slacks * z - mu).max())
        if step == 0.0 or off_path <= 10.0 * mu:
            if mu <= TOLERANCE:
                break
            mu = max(0.1 * mu, 0.999 * TOLERANCE) if step > 0.0 else 0.5 * mu
    w = z[z.size - types :].copy()
    return np.clip(x[:types], box.low, box.high), z[:types], w


def _step(
    program: _BoxProgram, x: np.ndarray, here: _Here, z: np.ndarray, mu: float
) -> tuple[float, np.ndarray, _Here, np.ndarray]:
    """A step that stays inside and lowers the barrier function.

    An envelope's curvature jumps where its chords end. A step that went wrong shows by how much slopes change on
    the way; the next one takes that into account before steps are made shorter.
    """
    merit = here.value - mu * float(np.log(here.slacks).sum())
    bends, shorter = here.bends, 1.0
    dz = np.zeros(z.size)
    for attempt in range(16):
        dx, dz = _direction(program, here, bends, z, mu)
        if not np.isfinite(dx).all():
            break
        downhill = float(here.gradient @ dx - mu * ((here.jacobian @ dx) / here.slacks).sum())
        step = shorter * _longest(here.slacks, here.jacobian @ dx, 0.99)
        other = x + step * dx
        there = program(other)
        if (there.slacks > 0.0).all():
            reached = there.value - mu * float(np.log(there.slacks).sum())
            if reached <= merit + 1e-4 * step * downhill + 1e-12 * abs(merit):
                return step, other, there, dz
        bends = tuple(map(np.minimum, bends, program.bends(here, x, there, other)))
        shorter = shorter if attempt < 3 else 0.4 * shorter
    return 0.0, x, here, dz


def _direction(
    program: _BoxProgram, here: _Here, bends: tuple[np.ndarray, ...], z: np.ndarray, mu: float
) -> tuple[np.ndarray, np.ndarray]:
    weight = z / here.slacks
    system = program.hessian(bends, z[: program.types]) + (here.jacobian * weight[:, None]).T @ here.jacobian
    scale = 1.0 / np.sqrt(np.diag(system))
    right = here.jacobian.T @ (mu / here.slacks) - here.gradient
    try:
        dx = scale * np.linalg.solve(system * scale * scale[:, None], scale * right)
    except np.linalg.LinAlgError:
        dx = np.full(right.size, np.nan)
    return dx, mu / here.slacks - z - weight * (here.jacobian @ dx)


def _linear(space: Space, low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows G x >= b of x = (m, u, excess): bounds, the chain, excess >= 0, and u >= f last."""
    types = space.costs.size
    steps = (space.costs[:-1] - space.costs[1:])[:, None]
    eye, zero = np.eye(types), np.zeros((types, types))
    rise = (eye[1:] - eye[:-1]) / steps
    column = np.zeros((types, 1))
    matrix = np.vstack(
        [
            np.hstack([eye, zero, column]),
            np.hstack([-eye, zero, column]),
            np.hstack([-eye[:-1], rise, column[1:]]),
            np.hstack([eye[1:], -rise, column[1:]]),
            np.r_[np.zeros(2 * types), 1.0][None],
            np.hstack([zero, eye, column]),
        ]
    )
    return matrix, np.r_[low, -high, np.zeros(2 * types - 2), 0.0, space.reservation]


def _start(space: Space, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """A point strictly inside the box and the chain; the excess is left to the caller."""
    types = low.size
    m = low + (high - low) * np.arange(1, types + 1) / (types + 1.0)
    steps = space.costs[:-1] - space.costs[1:]
    rise = np.r_[0.0, np.cumsum(steps * 0.5 * (m[1:] + m[:-1]))]
    return np.r_[m, rise + float((space.reservation - rise).max()) + 0.05, 0.0]


def _longest(x: np.ndarray, dx: np.ndarray, share: float) -> float:
    ratio = float(np.max(-dx / x))
    return 1.0 if ratio <= share else share / ratio
