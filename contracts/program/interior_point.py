r"""A primal-dual interior-point method (Mehrotra 1992) for the first-moment program.

Variables x >= 0 (gaps) with multipliers z; constraints G(x) = (h, u_2 - f_2, ..., u_I - f_I) >= 0 with slacks
and multipliers y. Each iteration takes a predictor and a corrector step from one factorisation
(`contracts.program.newton`). The same formulas serve NumPy, one problem at a time, and JAX, compiled and in
batches.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import numpy as np

from contracts.program import newton
from contracts.program.first_moment import Program, factors, fold, moments, unfold

DENSE_TYPES = 48
MAX_ITERATIONS = 120
PATIENCE = 8
TOLERANCE = 1e-15
ROUNDED = 1e-12  # an error below which two iterations without progress mean that rounding allows no more
CYCLING = 1e-9  # an error above which full steps are taken to run in circles
SHORTER = 0.7
T = TypeVar("T", bound=Any)


class Point(NamedTuple):
    """An iterate: variables, slacks, multipliers; how far the one before it was from optimal, and its E L."""

    gaps: Any
    slacks: Any
    gap_multipliers: Any
    slack_multipliers: Any
    error: Any
    loss: Any


class Solution(NamedTuple):
    """The best iterate of a run (of many runs, with a batch in front).

    Attributes:
        gaps: x, shape (2 types,).
        multipliers: y, of h (first `types`) and of u >= f, for the objective log E L.
        error: its estimated distance from optimal, in units of the target.
        iterations: how many iterations were made.
        loss: E L there, in the program's units, where the solver knows it.
    """

    gaps: Any
    multipliers: Any
    error: Any
    iterations: Any
    loss: Any = None


def solve(program: Program, belief: str) -> Solution:
    """Solve one program with NumPy.

    Stops when the estimated error, relative to the largest target, reaches 1e-15 or has not improved for
    eight iterations (two, where only rounding is left); the caller judges the result by its certificate. Where
    few outcomes decide, the loss bends so sharply that full steps can run in circles; then the run is repeated
    with shorter ones, which settle.
    """
    return settled(lambda share: _run(program, belief, share))


def settled(run: Callable[[float], T]) -> T:
    """The answer of a run with full steps, or the better of that and one with shorter steps where it cycles."""
    solution = run(1.0)
    if solution.error <= CYCLING:
        return solution
    return min(solution, run(SHORTER), key=lambda found: found.error)


def _run(program: Program, belief: str, share: float) -> Solution:
    """One run, taking a share of every step."""
    with np.errstate(all="ignore"):
        point, affine = start(program, belief, np), maps_of(program, np)
        best, best_error, best_loss, since, iteration = point, np.inf, None, 0, 0
        for iteration in range(1, MAX_ITERATIONS + 1):  # noqa: B007 - reported
            try:
                following = iterate(program, point, belief, affine, np)
            except (np.linalg.LinAlgError, ValueError):  # overflow or a singular system: keep the best
                break
            if following.error < best_error:
                best, best_error, best_loss, since = point, float(following.error), float(following.loss), 0
            else:
                since += 1
            if (
                best_error <= TOLERANCE
                or since > patience(best_error, np)
                or not np.isfinite(following.gaps).all()
            ):
                break
            if share < 1.0:
                old, new = point[:4], following[:4]
                x, s, z, y = (a + share * (b - a) for a, b in zip(old, new, strict=True))
                following = Point(x, s, z, y, following.error, following.loss)
            point = following
    return Solution(best.gaps * program.active, best.slack_multipliers, best_error, iteration, best_loss)


def patience(error: Any, xp: Any) -> Any:
    """How many iterations without progress are borne at an error."""
    return xp.where(error <= ROUNDED, 1, PATIENCE)


def start(program: Program, belief: str, xp: Any) -> Point:
    """The first iterate: contributions spread around .5 data units, slacks off their bounds.

    Variables fixed at zero do not matter, so that neither do types that only fill up a batch.
    """
    order = xp.cumsum(program.active)
    free = xp.sum(program.active)
    gaps = xp.where(order == 1.0, 0.5, xp.where(order == free, 0.01, 0.6 / free))
    # Fixed variables have the price 1 and start with the product of variable and price that all start with.
    gaps = xp.where(program.active > 0.0, gaps, 0.1)
    slacks = xp.maximum(constraints(program, gaps, belief, xp), 0.05)
    # Of a dtype, or JAX would compile again for runs that come back from NumPy.
    error, loss = xp.asarray(xp.inf, dtype=float), xp.asarray(1.0, dtype=float)
    return Point(gaps, slacks, 0.1 / gaps, 0.1 / slacks, error, loss)


def constraints(program: Program, gaps: Any, belief: str, xp: Any) -> Any:
    """G(x): feasibility slacks h of all types, then participation slacks of types 2..I."""
    m, u = unfold(program, gaps, xp)
    feasible = 1.0 - moments(program, m, belief, xp).value_loss - program.costs * m - u
    return xp.concatenate([feasible, (u - program.reservation)[1:]])


def maps_of(program: Program, xp: Any) -> newton.Maps | None:
    """What `iterate` needs of a program beside its numbers: its maps, unless its system is solved as a band."""
    banded = xp is np and program.costs.shape[0] > DENSE_TYPES and program.curves is None
    return None if banded else newton.maps(program, xp)


def iterate(program: Program, point: Point, belief: str, affine: newton.Maps | None, xp: Any) -> Point:
    """One predictor-corrector step; `error` and `loss` of the result are those of the point that was given."""
    x, s, z, y, _, _ = point
    types = program.costs.shape[0]
    m, u = unfold(program, x, xp)
    here = moments(program, m, belief, xp)
    f = factors(program, here, y[:types])
    feasible = 1.0 - here.value_loss - program.costs * m - u
    infeasibility = xp.concatenate([feasible, (u - program.reservation)[1:]]) - s
    # Lagrangian gradient by m and by u, then by the gaps; fixed variables get a price of 1 to stay at zero.
    by_m = (f.own + program.costs) * y[:types] - f.tilted.T @ (f.target_gradient + f.columns @ y[:types])
    by_u = y[:types] - xp.concatenate([xp.zeros(1), y[types:]])
    stationarity = fold(program, by_m, by_u, xp) + (1.0 - program.active) - z
    # Held variables and filled-up types are always well centred: they must not hide that others are not.
    count_x, count_s = program.active, _counted(program, xp)
    count = xp.sum(count_x) + xp.sum(count_s)
    mu = (count_x @ (x * z) + count_s @ (s * y)) / count
    error = here.objective_slope * (x @ z + s @ y + xp.abs(stationarity) @ x + xp.abs(infeasibility) @ y)
    error = error + xp.max(xp.abs(infeasibility))

    if affine is None:
        newton_step = newton.banded(program, f, z / x, s / y)
    else:
        newton_step = newton.dense(program, f, z / x, s / y, affine, xp)

    def direction(target_x: Any, target_s: Any) -> tuple[Any, Any, Any, Any]:
        dx, dy = newton_step(target_x / x - z - stationarity, target_s / y - s - infeasibility)
        return dx, (target_s - s * dy) / y - s, (target_x - z * dx) / x - z, dy

    dx, ds, dz, dy = direction(0.0 * x, 0.0 * s)
    primal, dual = _longest(x, dx, s, ds, 1.0, xp), _longest(z, dz, y, dy, 1.0, xp)
    affine = count_x @ ((x + primal * dx) * (z + dual * dz)) + count_s @ ((s + primal * ds) * (y + dual * dy))
    sigma = xp.clip(affine / (count * mu), 0.0, 1.0) ** 3
    dx, ds, dz, dy = direction(sigma * mu - dx * dz, sigma * mu - ds * dy)
    # Close to the optimum, steps nearly to the bound make convergence quadratic.
    near = 1.0 - xp.clip(10.0 * mu, 1e-6, 5e-3)
    primal, dual = _longest(x, dx, s, ds, near, xp), _longest(z, dz, y, dy, near, xp)
    return Point(x + primal * dx, s + primal * ds, z + dual * dz, y + dual * dy, error, here.target_loss)


def _counted(program: Program, xp: Any) -> Any:
    """1 for the constraints of a type's own, 0 for those of types that only fill up a batch."""
    if program.real is None:
        return xp.ones(2 * program.costs.shape[0] - 1)
    return xp.concatenate([program.real, program.real[1:] * program.real[:-1]])


def _longest(x: Any, dx: Any, s: Any, ds: Any, share: float, xp: Any) -> Any:
    """The longest step, at most 1, that keeps 1 - `share` of the distance to every bound."""
    ratio = xp.maximum((-dx / x).max(), (-ds / s).max())
    return xp.minimum(1.0, share / xp.maximum(ratio, share))
