r"""The Newton system of the interior-point method, solved in two ways.

Unknowns are the steps dx of the variables and dy of the constraint multipliers:

    (H + diag(z/x)) dx - G' dy = right_x,      G dx + diag(slack/y) dy = right_s.

Keeping dy (rather than eliminating it) preserves the little curvature of flat optima. `dense` serves few
types, and JAX; `banded` serves many: in terms of (m, u) everything but the expectations is local to neighbouring
types, and the expectations couple all types only through two numbers for each rate of the mixture.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from scipy import linalg

from contracts.program.first_moment import Factors, Program

Solve = Callable[[Any, Any], tuple[Any, Any]]
Maps = tuple[Any, Any]


def dense(program: Program, f: Factors, bound_ratio: Any, slack_ratio: Any, affine: Maps, xp: Any) -> Solve:
    """Factorise by LU.

    Args:
        program: the program.
        f: factored derivatives at the point.
        bound_ratio: z/x, shape (2 types,).
        slack_ratio: slack/y, shape (2 types - 1,).
        affine: the program's `maps`.
        xp: `numpy` or `jax.numpy`.

    Returns:
        The function (right_x, right_s) -> (dx, dy).
    """
    to_m, to_u = affine
    gradient = f.tilted.T @ f.target_gradient
    crossed = f.tilted.T @ f.cross
    hessian = xp.diag(f.hessian_diagonal) + (f.tilted.T * f.hessian_middle) @ f.tilted
    hessian = hessian - gradient[:, None] * gradient - crossed - crossed.T
    feasible = (f.columns.T @ f.tilted - xp.diag(f.own + program.costs)) @ to_m - to_u
    jacobian = xp.concatenate([feasible, to_u[1:]])
    matrix = to_m.T @ hessian @ to_m + xp.diag(bound_ratio)
    # Entries span thirty decades near the optimum: scale symmetrically first.
    scale = xp.concatenate([1.0 / xp.sqrt(xp.diagonal(matrix)), 1.0 / xp.sqrt(slack_ratio + 1e-3)])
    top = xp.concatenate([matrix, -jacobian.T], axis=1)
    bottom = xp.concatenate([jacobian, xp.diag(slack_ratio)], axis=1)
    substitute = _factorise(scale[:, None] * xp.concatenate([top, bottom]) * scale, xp)
    variables = bound_ratio.shape[0]

    def solve(right_x: Any, right_s: Any) -> tuple[Any, Any]:
        solution = scale * substitute(scale * xp.concatenate([right_x, right_s]))
        return solution[:variables], solution[variables:]

    return solve


def _factorise(matrix: Any, xp: Any) -> Callable[[Any], Any]:
    """LU with partial pivoting; a singular matrix raises in NumPy and gives infinities in JAX."""
    if xp is jnp:
        factorised = jax.scipy.linalg.lu_factor(matrix)
        return lambda right: jax.scipy.linalg.lu_solve(factorised, right)
    getrf, getrs = linalg.get_lapack_funcs(("getrf", "getrs"), (matrix,))
    lu, pivots, info = getrf(matrix, overwrite_a=True)
    if info != 0:
        raise np.linalg.LinAlgError("singular matrix")
    return lambda right: getrs(lu, pivots, right)[0]


def maps(program: Program, xp: Any) -> Maps:
    """M and U of `unfold` as matrices, m = M x and u = f_1 + U x, each of shape (types, 2 types)."""
    types = program.costs.shape[0]
    row, link = np.arange(types)[:, None], np.arange(2 * types - 1)
    # Link k of the chain lifts m_i from i >= k/2 on, and u_i by what costs fall from type k//2 to i.
    to_m = np.concatenate([2 * row >= link, np.zeros((types, 1))], axis=1)
    falls = xp.where(row > link // 2, program.costs[link // 2] - program.costs[row], 0.0)
    to_u = xp.concatenate([falls, xp.ones((types, 1))], axis=1)
    return to_m * program.active, to_u * program.active


# Places of a type's unknowns in the banded system: dm, du, multipliers of its two gaps (below and above m),
# multiplier of h, multiplier of u >= f (for type 1: of e >= 0).
M, U, BELOW, ABOVE, H, K, WIDTH = 0, 1, 2, 3, 4, 5, 6
BAND = 7


def banded(program: Program, f: Factors, bound_ratio: np.ndarray, slack_ratio: np.ndarray) -> Solve:
    """Factorise by a band of width 15 and a correction of rank 2 (terms); arguments as for `dense`.

    The steps of the gaps are recovered from their multipliers, so that small gaps stay precise.
    """
    types = program.costs.size
    inverse_ratio = program.active / bound_ratio
    active = _active_terms(f)
    f = f._replace(
        tilted=f.tilted[active],
        target_gradient=f.target_gradient[active],
        columns=f.columns[active],
        hessian_middle=f.hessian_middle[active],
        cross=f.cross[active],
    )
    band = _band(program, f, inverse_ratio, slack_ratio)
    factorise, substitute = linalg.get_lapack_funcs(("gbtrf", "gbtrs"), (band,))
    lu, pivots, info = factorise(band, BAND, BAND)
    if info != 0:
        raise np.linalg.LinAlgError("singular band")

    def local(right: np.ndarray) -> np.ndarray:
        return substitute(lu, BAND, BAND, right, pivots)[0]

    left, right_factor = _correction(f, types)
    spread = local(left)
    small = _factorise(np.eye(left.shape[1]) + right_factor @ spread, np)

    def solve_once(right: np.ndarray) -> np.ndarray:
        base = local(right[:, None])[:, 0]
        return base - spread @ small(right_factor @ base)

    def solve(right_x: np.ndarray, right_s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        right = np.zeros((types, WIDTH))
        by_gap = inverse_ratio * right_x
        right[:, BELOW], right[:-1, ABOVE], right[0, K] = by_gap[:-1:2], by_gap[1:-1:2], by_gap[-1]
        right[:, H], right[1:, K] = right_s[:types], right_s[types:]
        step = solve_once(right.ravel()).reshape(types, WIDTH)
        by_bound = np.empty(2 * types)
        by_bound[:-1:2], by_bound[1:-1:2], by_bound[-1] = step[:, BELOW], step[:-1, ABOVE], step[0, K]
        # Variables held at zero move nothing, but their own pairs (variable, price) must still be centred.
        by_variable = (program.active * by_bound + right_x) / bound_ratio
        return by_variable, np.concatenate([step[:, H], step[1:, K]])

    return solve


def _active_terms(f: Factors) -> np.ndarray:
    weight = np.abs(f.target_gradient) + np.abs(f.hessian_middle) + np.abs(f.columns).max(axis=1)
    return weight + np.abs(f.cross).max(axis=1) > 1e-22 * weight.max()


def _band(program: Program, f: Factors, inverse_ratio: np.ndarray, slack_ratio: np.ndarray) -> np.ndarray:
    types = program.costs.size
    band = np.zeros((3 * BAND + 1, WIDTH * types))
    first = WIDTH * np.arange(types)

    def put(rows: np.ndarray, columns: np.ndarray, values: Any) -> None:
        band[2 * BAND + rows - columns, columns] = values

    def both(rows: np.ndarray, columns: np.ndarray, values: Any, sign: float = 1.0) -> None:
        put(rows, columns, values)
        put(columns, rows, sign * values)

    per_slope = 1.0 / (program.costs[:-1] - program.costs[1:])
    here, after = first[:-1], first[1:]
    ones = np.ones(types)
    put(first + M, first + M, f.hessian_diagonal)
    both(first + BELOW, first + M, ones)
    both(after + BELOW, after + U, -per_slope)
    both(after + BELOW, here + U, per_slope)
    both(here + ABOVE, after + U, per_slope)
    both(here + ABOVE, here + U, -per_slope)
    both(here + ABOVE, here + M, -ones[1:])
    put(first + BELOW, first + BELOW, -inverse_ratio[:-1:2])
    put(here + ABOVE, here + ABOVE, -inverse_ratio[1:-1:2])
    put(first[-1:] + ABOVE, first[-1:] + ABOVE, 1.0)
    both(first + H, first + M, -(f.own + program.costs), -1.0)
    both(first + H, first + U, -ones, -1.0)
    put(first + H, first + H, slack_ratio[:types])
    both(first[:1] + K, first[:1] + U, ones[:1])
    put(first[:1] + K, first[:1] + K, -inverse_ratio[-1:])
    both(after + K, after + U, ones[1:], -1.0)
    put(after + K, after + K, slack_ratio[types:])
    return band


def _correction(f: Factors, types: int) -> tuple[np.ndarray, np.ndarray]:
    """The expectations' coupling, left @ right, through (P dm) and (X dm + columns dy) for each rate."""
    terms = f.tilted.shape[0]
    middle = np.diag(f.hessian_middle) - np.outer(f.target_gradient, f.target_gradient)
    left = np.zeros((types, WIDTH, 2 * terms))
    left[:, M, :terms] = f.tilted.T @ middle - f.cross.T
    left[:, M, terms:] = -f.tilted.T
    left[:, H, :terms] = f.columns.T
    right = np.zeros((2 * terms, types, WIDTH))
    right[:terms, :, M] = f.tilted
    right[terms:, :, M] = f.cross
    right[terms:, :, H] = f.columns
    size = types * WIDTH
    return left.reshape(size, 2 * terms), right.reshape(2 * terms, size)
