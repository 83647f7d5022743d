r"""A primal-dual interior-point method for the convex program of any case.

Mehrotra's predictor-corrector on a dense system (`predictor_corrector.dense_step`), in variables in which as
many linear constraints as possible are bounds (`gap_variables`): pooled optima are reached to the last digit.
Where there is only the coordinator's target its logarithm is minimised, as convex and well scaled for every
number of participants. A case without any contract shows by its elastic program: the least amount by which all
promises and linear constraints must be broken is positive, and its prices, scaled up, prove a bound below
anything.

Source: Mehrotra 1992 for the method.
"""

from __future__ import annotations

import warnings
from typing import NamedTuple

import numpy as np
from scipy import linalg

from contracts.problem.cases import SERVED, STAYS, Case
from contracts.program.case_program import (
    Correction,
    Point,
    Scaled,
    Setting,
    box,
    corrected,
    dual_bound,
    idle_of,
    into_box,
    scaled_constraints,
)
from contracts.program.gap_variables import GapVariables, gap_variables
from contracts.program.interior_point import patience
from contracts.program.predictor_corrector import State, dense_step
from contracts.program.worlds import Derivatives, Idle, derivatives, expected

MAX_ITERATIONS = 150
PATIENCE = 15
TOLERANCE = 1e-14
LEAST_SLACK = 0.02
SHARES = (1.0, 0.7, 0.4)
CONVERGED = 1e-8
CYCLING = 1e-10  # an error above which full steps are taken to run in circles
ROUGH = 1e-4  # an error above which shorter steps help less than asking whether there is any contract
BROKEN = 1e-9  # of the largest value: less is rounding
GAIN = 0.05  # of the largest value
LARGEST_SCALE = 1e13


class Solved(NamedTuple):
    """The answer to one case.

    Attributes:
        point: contributions, utilities, level and prices, in the user's units.
        bound: what no contract of the case exceeds, in the user's units; by the prices, so that it is right
            however well the solver did.
        error: the estimated distance from optimal, relative to the objective's size.
        broken: by how much promises have to be broken at least, in units of value (0 where they need not).
        iterations: how many were made.
    """

    point: Point
    bound: float
    error: float
    broken: float
    iterations: int


class _Space(NamedTuple):
    """One case's program in its gap variables, and perhaps one elastic variable more."""

    at: Setting
    case: Case
    scaled: Scaled
    gaps: GapVariables
    idle: Idle
    served: np.ndarray
    to_x: np.ndarray
    to_u: np.ndarray
    to_z: np.ndarray
    elastic: bool
    log: bool
    reach: float


class _Local(NamedTuple):
    """At a point: objective's gradient, constraints, Jacobian, Hessian of the Lagrangian, and by (x, u, z)."""

    gradient: np.ndarray
    constraints: np.ndarray
    jacobian: np.ndarray
    hessian: np.ndarray
    outer_gradient: np.ndarray
    outer_jacobian: np.ndarray
    loss: float


def solve(at: Setting, case: Case, *, tolerance: float = TOLERANCE, below: float = -np.inf) -> Solved:
    """Solve the program of a case, or prove that it holds no contract.

    Args:
        at: the setting.
        case: the case.
        tolerance: the error at which to stop, relative to the objective's size.
        below: what a bound for a case without contracts must fall below, in the user's units.

    Returns:
        The best iterate. Where the case holds no contract, `broken` is positive and the bound is `below` or
        less, by prices as good as any others.
    """
    with np.errstate(all="ignore"):  # where rounding or a wild step ends a run, the best iterate is kept
        return _solve(at, case, tolerance, below)


def _solve(at: Setting, case: Case, tolerance: float, below: float) -> Solved:
    space = _space(at, case, elastic=False)
    found = _run(space, SHARES[0], tolerance)
    if found[1] > ROUGH:
        least = least_broken(at, case)
        if least.broken > BROKEN * at.value_unit and least.error <= CONVERGED:
            empty = _proved_empty(at, case, least, below)
            if empty.bound < np.inf:
                return empty
    if found[1] > CYCLING:
        found = min(found, *(_run(space, share, tolerance) for share in SHARES[1:]), key=lambda run: run[1])
    return _solved(space, *found)


def least_broken(at: Setting, case: Case) -> Solved:
    """The contract of a case that breaks its constraints least; its prices are those of breaking them."""
    for boxed in (True, False):
        space = _space(at, case, elastic=True, boxed=boxed)
        found = _run(space, SHARES[0], TOLERANCE)
        if found[1] > CONVERGED:
            found = min(found, _run(space, SHARES[1], TOLERANCE), key=lambda run: run[1])
        if found[1] <= CONVERGED:
            break
    return _solved(space, *found)


def _proved_empty(at: Setting, case: Case, least: Solved, below: float) -> Solved:
    """The prices of breaking constraints, scaled until they outweigh the objective."""
    point = least.point
    if at.goal.curved:  # where logarithms of gains are finite
        gain = at.asked.due + GAIN * at.value_unit
        point = point._replace(utility=np.where(case.service == STAYS, 0.0, np.maximum(point.utility, gain)))
    point = into_box(at, case, point)
    target = (below if np.isfinite(below) else 0.0) - at.unit
    priced, bound, scale = point, np.inf, 1.0
    while not bound < target and scale < LARGEST_SCALE:
        scale *= 4.0
        priced = point._replace(feasibility=scale * point.feasibility, linear=scale * point.linear)
        bound = dual_bound(at, case, priced)
    if not bound < target:  # broken by too little to be proved
        return Solved(priced, np.inf, least.error, least.broken, least.iterations)
    return Solved(priced, bound, least.error, least.broken, least.iterations)


def _space(at: Setting, case: Case, *, elastic: bool, boxed: bool = False) -> _Space:
    scaled, rows = scaled_constraints(at, case, boxed=boxed), at.form.rows
    gaps = gap_variables(scaled.matrix, scaled.least, scaled.rank)
    columns = gaps.directions
    if elastic:
        columns = np.hstack([columns, np.zeros((columns.shape[0], 1))])
    plain = not at.goal.curved and not at.goal.levelled and at.goal.weight > 0.0 and at.correction is None
    return _Space(
        at, case, scaled, gaps, idle_of(at, case), case.service == SERVED,
        columns[:rows], columns[rows : 2 * rows], columns[2 * rows :], elastic, plain and not elastic,
        float(box(at, case)[1][:rows].max()),
    )  # fmt: skip


def _start(space: _Space) -> np.ndarray:
    """Contributions spread around half a unit; everybody gains, so that logarithms of gains exist."""
    gaps, rank = space.gaps, space.scaled.rank
    kind = np.floor(rank[gaps.bounds])
    w = np.full(gaps.bounds.size, 0.05)
    w[kind <= 1.0] = 0.6 / max(w.size, 1)
    w[kind == 2.0] = 0.5
    w[kind == 3.0] = LEAST_SLACK
    fall = gaps.rows @ w
    tight = (gaps.const > 1e-6) & (fall < -0.9 * gaps.const)
    if tight.any():
        w = w * float((-0.9 * gaps.const[tight] / fall[tight]).min())
    # Raise whoever is due more than the first of its group.
    for k in np.flatnonzero(kind == 3.0):
        mine = (rank[gaps.kept] == 3.0) & (gaps.rows[:, k] > 0.0)
        short = -((gaps.rows @ w + gaps.const)[mine] / gaps.rows[mine, k]).min(initial=0.0)
        w[k] += max(float(short), 0.0) + (LEAST_SLACK if short > 0.0 else 0.0)
    if space.elastic:  # everything holds at the start when it is broken enough
        w = np.append(w, 0.0)
        w[-1] = 0.1 - min(float(_local(space, w, _ones(space)).constraints.min(initial=0.0)), 0.0)
    return w


def _ones(space: _Space) -> np.ndarray:
    return np.ones(int(space.served.sum()) * space.at.worlds.weight.size + space.gaps.kept.size)


def _run(space: _Space, share: float, tolerance: float) -> tuple[State, float, int]:
    """One run, taking a share of every step: the best iterate, its error, and the number of iterations."""
    w = _start(space)
    promises = int(space.served.sum()) * space.at.worlds.weight.size
    g = _local(space, w, _ones(space)).constraints
    s = np.maximum(g, np.where(np.arange(g.size) < promises, 0.05, np.where(g > 0.0, 1e-8, 0.05)))
    state = (w, s, 0.1 / w, 0.1 / s)
    if not w.size:  # nothing is left to choose
        return (w, g, w, np.zeros(g.size)), -min(float(g.min(initial=0.0)), 0.0), 0
    if space.elastic and s.size:  # the price 1 of breaking is shared by all that may be broken
        y = np.full(s.size, 1.0 / s.size)
        state = (w, s, float(np.mean(s * y)) / w, y)
    best, best_error, since, iteration = state, np.inf, 0, 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", linalg.LinAlgWarning)  # a singular system ends the run below
        for iteration in range(1, MAX_ITERATIONS + 1):  # noqa: B007 - reported
            try:
                following, error = _iterate(space, state)
            except (np.linalg.LinAlgError, ValueError):  # overflow or a singular system: keep the best
                break
            best, best_error, since = (state, error, 0) if error < best_error else (best, best_error, since + 1)
            finite = all(np.isfinite(part).all() for part in following)
            if (
                best_error <= tolerance
                or since > (patience(best_error, np) if best_error <= CYCLING else PATIENCE)
                or not finite
            ):
                break
            w, s, z, y = (old + share * (new - old) for old, new in zip(state, following, strict=True))
            state = (w, s, z, y)
    return best, best_error, iteration


def _iterate(space: _Space, state: State) -> tuple[State, float]:
    """One predictor-corrector step, and the error of the state that was given."""
    w, s, z, y = state
    here = _local(space, w, y)
    infeasibility = here.constraints - s
    stationarity = here.gradient - here.jacobian.T @ y - z
    # A bound counts what is not stationary over all that contracts may be, not only over where the point is.
    reach = np.maximum(w, space.reach) if space.log else w
    error = w @ z + s @ y + np.abs(stationarity) @ reach + np.abs(infeasibility) @ y
    error = error * (here.loss if space.log else 1.0) + np.abs(infeasibility).max(initial=0.0)
    change = dense_step(here.hessian, here.jacobian, stationarity, infeasibility, state)
    w, s, z, y = (old + step for old, step in zip(state, change, strict=True))
    return (w, s, z, y), float(error)


def _variables(space: _Space, w: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    base, rows = space.gaps.base, space.at.form.rows
    level = base[2 * rows :] + space.to_z @ w
    return base[:rows] + space.to_x @ w, base[rows : 2 * rows] + space.to_u @ w, float(level.sum())


def _local(space: _Space, w: np.ndarray, y: np.ndarray) -> _Local:
    at, served, rows = space.at, space.served, space.at.form.rows
    x, u, _ = _variables(space, w)
    worlds, count = at.worlds.weight.size, int(space.served.sum())
    prices = np.zeros((worlds, rows))
    prices[:, served] = y[: worlds * count].reshape(worlds, count)
    losses = expected(at.worlds, x, space.idle)
    factor = 0.0 if space.elastic else (1.0 if space.log else losses.target_loss)
    by = derivatives(at.worlds, losses, prices, factor)
    if at.correction is not None:
        by, losses = _corrected(at.correction, by, target=not space.elastic), corrected(at, x, losses)
    hessian_x = by.hessian - np.outer(by.gradient, by.gradient) if space.log else by.hessian
    gradient = np.zeros(space.gaps.base.size)
    gradient[:rows] = by.gradient
    hessian = space.to_x.T @ hessian_x @ space.to_x
    if at.goal.curved and not space.elastic:
        hessian = hessian - _social(space, x, u, gradient)
    if at.goal.levelled and not space.elastic:
        gradient[-1] = -at.goal.lift * at.value_unit / at.unit
    inner = space.gaps.directions.T @ gradient
    promise = (at.worlds.top_value[:, None] - losses.value_loss - at.costs * x - u)[:, served].ravel()
    by_x = -by.jacobian[:, served].reshape(-1, rows)
    own = np.tile(np.eye(rows)[served], (worlds, 1))
    outer = np.hstack([by_x - own * at.costs, -own, np.zeros((own.shape[0], gradient.size - 2 * rows))])
    jacobian = np.vstack([outer @ space.gaps.directions, space.gaps.rows])
    free = space.gaps.bounds.size
    constraints = np.concatenate([promise, space.gaps.rows @ w[:free] + space.gaps.const])
    if space.elastic:
        inner = np.append(inner, 1.0)
        # What bounds all contracts is not to be broken: proofs are read there.
        gives = np.concatenate([np.ones(promise.size), space.gaps.kept < space.scaled.scale.size])
        jacobian = np.hstack([jacobian, gives[:, None]])
        constraints = constraints + gives * w[-1]
    return _Local(inner, constraints, jacobian, hessian, gradient, outer, losses.target_loss)


def _corrected(more: Correction, by: Derivatives, *, target: bool) -> Derivatives:
    gradient = by.gradient + more.target_slopes if target else by.gradient
    return Derivatives(gradient, by.jacobian + more.value_slopes, by.hessian)


def _social(space: _Space, x: np.ndarray, u: np.ndarray, gradient: np.ndarray) -> np.ndarray:
    """The Hessian of S by the variables; its gradient is taken off `gradient`."""
    at, rows = space.at, space.at.form.rows
    each = at.goal.slopes(u * at.value_unit, (u + at.costs * x) * at.value_unit, space.case.service)
    one, two = at.value_unit / at.unit, at.value_unit**2 / at.unit
    gradient[:rows] -= one * at.costs * each.by_reward
    gradient[rows : 2 * rows] -= one * (each.by_utility + each.by_reward)
    to_t = space.to_u + at.costs[:, None] * space.to_x
    by_u = (space.to_u.T * (two * each.by_utility_twice)) @ space.to_u
    return by_u + (to_t.T * (two * each.by_reward_twice)) @ to_t


def _solved(space: _Space, state: State, error: float, iterations: int) -> Solved:
    at, rows = space.at, space.at.form.rows
    w, _, _, y = state
    x, u, level = _variables(space, w)
    here = _local(space, w, y)
    factor = here.loss if space.log else 1.0
    worlds, count = at.worlds.weight.size, int(space.served.sum())
    of_promises, of_rows = np.split(y, [worlds * count])
    gradient = here.outer_gradient - here.outer_jacobian.T @ of_promises
    gradient = gradient - of_rows @ space.scaled.matrix[space.gaps.kept]
    linear = space.gaps.prices(gradient, of_rows, space.scaled.least.size)
    stated = space.scaled.scale.size
    feasibility = np.zeros((worlds, rows))
    feasibility[:, space.served] = of_promises.reshape(worlds, count)
    point = Point(
        contribution=x * at.data_unit,
        utility=u * at.value_unit,
        level=level * at.value_unit,
        feasibility=factor * feasibility * at.unit / at.value_unit,
        linear=factor * np.maximum(linear[:stated], 0.0) * at.unit / space.scaled.scale,
    )
    broken = float(w[-1]) * at.value_unit if space.elastic else 0.0
    point = point if space.elastic else into_box(at, space.case, point)
    bound = dual_bound(at, space.case, point)
    if not space.elastic and error > CONVERGED:
        free = _without_prices(at, space.case, point)
        least = dual_bound(at, space.case, free)
        point, bound = (point, bound) if bound <= least else (free, least)
    return Solved(point, bound if np.isfinite(bound) else np.inf, error, broken, iterations)


def _without_prices(at: Setting, case: Case, point: Point) -> Point:
    """The most anybody may contribute and have: what it reaches bounds a case whose prices are too rough."""
    low, high = box(at, case)
    rows = at.form.rows
    most = np.where(np.isfinite(high), high, low)
    return Point(
        contribution=most[:rows] * at.data_unit,
        utility=most[rows : 2 * rows] * at.value_unit,
        level=float(most[2 * rows :].sum()) * at.value_unit,
        feasibility=np.zeros_like(point.feasibility),
        linear=np.zeros_like(point.linear),
    )
