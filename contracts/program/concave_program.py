r"""An interior-point method for any concave objective over the contracts of the first-moment program.

    maximise  weight (1 - E L(m)) + S(u, t) + lift z     over the gaps of the chain >= `lower`, and z >= 0,
    s.t.      1 - E_i L(m) - c_i m_i - u_i - z >= 0,    u_i >= f_i,

where S is a sum of concave functions of each type's utility u_i and expected reward t_i = u_i + c_i m_i. The
level z is something given to everybody on top: with it the smallest gain is maximised. Fixed gaps (pooled or
excluded types) and least gaps (margins) only change what the variables are. The method is the
predictor-corrector of `contracts.program.interior_point` on a dense system: up to some hundred types.

Source: Mehrotra 1992 for the method; the gap variables are ours.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from scipy import linalg

from contracts.problem.objective import Slopes
from contracts.program.first_moment import Moments, Program, moments
from contracts.program.newton import maps
from contracts.program.predictor_corrector import State, dense_step

MAX_ITERATIONS = 200
PATIENCE = 15
TOLERANCE = 1e-14
LEAST_SLACK = 0.02
CONVERGED = 1e-8
SHARES = (1.0, 0.7, 0.4)


class Task(NamedTuple):
    """What to maximise, over which contracts; all in the units of the program.

    Attributes:
        program: the program; its `active` marks the gaps that are not held at zero.
        belief: "interim" or "ex-ante".
        target_weight: the weight of the coordinator's target.
        slopes: the derivatives of S at (u, t); None where there is no S.
        lift: the weight of what everybody gets on top; 0 where there is no such thing.
        lower: least gaps, shape (2 types,), zero where the gap is held.
        elastic: price of breaking feasibility, for programs that may have no solution; None forbids it.
    """

    program: Program
    belief: str
    target_weight: float
    slopes: Callable[[Any, Any], Slopes] | None
    lift: float
    lower: np.ndarray
    elastic: float | None = None


class Found(NamedTuple):
    """The best iterate of a run, in the units of the program.

    Attributes:
        contribution, utility: m and u, the level z included, shape (types,).
        feasibility: prices of feasibility, shape (types,).
        participation: prices of u_i >= f_i, shape (types,); the first is that of e >= 0.
        broken: by how much feasibility had to be broken (0 unless `elastic`).
        error: the estimated distance from optimal.
        iterations: how many iterations were made.
    """

    contribution: np.ndarray
    utility: np.ndarray
    feasibility: np.ndarray
    participation: np.ndarray
    broken: float
    error: float
    iterations: int


class _Geometry(NamedTuple):
    """m = m0 + to_m x and u = u0 + to_u x for the free variables x, the last columns z and the elastic one."""

    to_m: np.ndarray
    to_u: np.ndarray
    m0: np.ndarray
    u0: np.ndarray
    room: np.ndarray  # how each variable enters feasibility directly, shape (variables,)
    reward: np.ndarray  # linear part of the objective, shape (variables,)


class _Local(NamedTuple):
    """Derivatives at a point: gradient of the loss, constraints, their Jacobian, Hessian of the Lagrangian."""

    gradient: np.ndarray
    constraints: np.ndarray
    jacobian: np.ndarray
    hessian: np.ndarray


def solve(task: Task, shares: tuple[float, ...] = SHARES) -> Found:
    """Solve one program with NumPy; the caller judges the result by its certificate.

    Args:
        task: what to solve.
        shares: of every step to take, tried one after the other until one run converges: full steps run in
            circles now and then, where few outcomes decide or gains are small; shorter ones settle.
    """
    space, best = _geometry(task), None
    for share in shares:
        found = _run(task, space, share)
        if best is None or found.error < best.error:
            best = found
        if best.error <= CONVERGED:
            break
    assert best is not None
    return best


def _run(task: Task, space: _Geometry, share: float) -> Found:
    """One run, taking a share of every step."""
    types = task.program.costs.size
    x = _start(task, space)
    y = np.full(2 * types - 1, 1.0)
    constraints = _local(task, space, x, y).constraints
    # What is linear holds at the start, and so ever after: logarithms of gains need it.
    s = np.concatenate([np.maximum(constraints[:types], 0.05), constraints[types:]])
    state = (x, s, 0.1 / x, 0.1 / s)
    best, best_error, since, iteration = state, np.inf, 0, 0
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", linalg.LinAlgWarning)  # a singular system ends the run below
        for iteration in range(1, MAX_ITERATIONS + 1):  # noqa: B007 - reported
            try:
                following, error = _iterate(task, space, state)
            except (np.linalg.LinAlgError, ValueError):  # overflow or a singular system: keep the best
                break
            best, best_error, since = (state, error, 0) if error < best_error else (best, best_error, since + 1)
            if best_error <= TOLERANCE or since > PATIENCE or not all(np.isfinite(v).all() for v in following):
                break
            x, s, z, y = (old + share * (new - old) for old, new in zip(state, following, strict=True))
            state = (x, s, z, y)
    return _found(task, space, best, best_error, iteration)


def _geometry(task: Task) -> _Geometry:
    program = task.program
    to_m, to_u = maps(program, np)
    m0, u0 = to_m @ task.lower, program.reservation[0] + to_u @ task.lower
    free = program.active > 0
    types, own = program.costs.size, int(free.sum())
    room, reward = [0.0] * own, [0.0] * own
    if task.lift:
        room, reward = [*room, -1.0], [*reward, task.lift]
    if task.elastic is not None:
        room, reward = [*room, 1.0], [*reward, -task.elastic]
    more = np.zeros((types, len(room) - own))
    return _Geometry(
        np.hstack([to_m[:, free], more]),
        np.hstack([to_u[:, free], more]),
        m0,
        u0,
        np.array(room),
        np.array(reward),
    )


def _start(task: Task, space: _Geometry) -> np.ndarray:
    """Contributions spread around half a unit; everybody gains, so that logarithms of gains exist."""
    own = int((task.program.active > 0).sum())
    x = np.full(space.room.size, 0.05)
    x[:own] = 0.6 / own
    x[0], x[own - 1] = 0.5, 0.0
    short = task.program.reservation - space.u0 - space.to_u @ x
    x[own - 1] = max(float(short.max()), 0.0) + LEAST_SLACK
    return x


def _local(task: Task, space: _Geometry, x: np.ndarray, y: np.ndarray) -> _Local:
    program, types = task.program, task.program.costs.size
    m, u = space.m0 + space.to_m @ x, space.u0 + space.to_u @ x
    by_m = _expectations(task, m, y[:types])
    gradient = space.to_m.T @ by_m.gradient - space.reward
    hessian = space.to_m.T @ by_m.hessian @ space.to_m
    if task.slopes is not None:
        to_t = space.to_u + program.costs[:, None] * space.to_m
        each = task.slopes(u, u + program.costs * m)
        gradient = gradient - space.to_u.T @ each.by_utility - to_t.T @ each.by_reward
        hessian = hessian - (space.to_u.T * each.by_utility_twice) @ space.to_u
        hessian = hessian - (to_t.T * each.by_reward_twice) @ to_t
    feasible = 1.0 - by_m.constraints - program.costs * m - u + space.room @ x
    by_x = -(by_m.jacobian + np.diag(program.costs)) @ space.to_m - space.to_u + space.room
    return _Local(
        gradient,
        np.concatenate([feasible, (u - program.reservation)[1:]]),
        np.concatenate([by_x, space.to_u[1:]]),
        hessian,
    )


def _expectations(task: Task, m: np.ndarray, prices: np.ndarray) -> _Local:
    """By m: the gradient of weight E L, the losses E_i L, their Jacobian, and the Hessian at the prices."""
    program = task.program
    here = moments(program, m, task.belief, np)
    assert isinstance(here, Moments)  # Gauss rules are refused before
    s, n, w = program.rates, program.participants, program.value_weights
    part, tilted = here.partials, here.at.tilted
    psi = task.target_weight * here.target_loss * here.shares
    first, second = w * (part.by_log_phi @ prices), w * (part.by_log_phi_twice @ prices)
    curvature = s * s * (n * psi + first)
    middle = s * s * (n * n * psi + second) - curvature
    cross = tilted.T @ ((w * s)[:, None] * part.by_both * prices)
    diagonal = np.diag(prices * (w @ part.by_own_twice) + curvature @ tilted)
    return _Local(
        -tilted.T @ (n * s * psi),
        here.value_loss,
        np.diag(w @ part.by_own) - ((w * s)[:, None] * part.by_log_phi).T @ tilted,
        diagonal + (tilted.T * middle) @ tilted - cross - cross.T,
    )


def _iterate(task: Task, space: _Geometry, state: State) -> tuple[State, float]:
    """One predictor-corrector step, and the error of the state that was given."""
    x, s, z, y = state
    at = _local(task, space, x, y)
    infeasibility = at.constraints - s
    stationarity = at.gradient - at.jacobian.T @ y - z
    error = x @ z + s @ y + np.abs(stationarity) @ x + np.abs(infeasibility) @ y + np.abs(infeasibility).max()
    change = dense_step(at.hessian, at.jacobian, stationarity, infeasibility, state)
    x, s, z, y = (old + step for old, step in zip(state, change, strict=True))
    return (x, s, z, y), float(error)


def _found(task: Task, space: _Geometry, state: State, error: float, iterations: int) -> Found:
    x, _, z, y = state
    types, own = task.program.costs.size, int((task.program.active > 0).sum())
    level = float(x[own]) if task.lift else 0.0
    return Found(
        contribution=space.m0 + space.to_m @ x,
        utility=space.u0 + space.to_u @ x + level,
        feasibility=y[:types],
        participation=np.concatenate([[z[own - 1]], y[types:]]),
        broken=float(x[-1]) if task.elastic is not None else 0.0,
        error=error,
        iterations=iterations,
    )
