"""One step of Mehrotra's predictor-corrector method (1992) on a dense system.

For programs in the form of `contracts.program.interior_point`: variables x >= 0 with prices z, constraints >= 0
with slacks s and prices y.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import linalg

State = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def dense_step(
    hessian: np.ndarray,
    jacobian: np.ndarray,
    stationarity: np.ndarray,
    infeasibility: np.ndarray,
    state: State,
) -> State:
    """The changes of (x, s, z, y) of a predictor and a corrector from one factorisation.

    Args:
        hessian: of the Lagrangian by x.
        jacobian: of the constraints.
        stationarity: gradient of the Lagrangian, z included.
        infeasibility: constraints less slacks.
        state: x, s, z, y, all positive.

    Raises:
        numpy.linalg.LinAlgError: the system is singular.
    """
    x, s, z, y = state
    matrix, place = hessian.copy(), np.arange(x.size)
    matrix[place, place] += z / x
    substitute, scale = _factorised(matrix, jacobian, s / y)
    mu = (x @ z + s @ y) / (x.size + s.size)

    def direction(target_x: Any, target_s: Any) -> State:
        right = np.concatenate([target_x / x - z - stationarity, target_s / y - s - infeasibility])
        step = scale * substitute(scale * right)
        dx, dy = step[: x.size], step[x.size :]
        return dx, (target_s - s * dy) / y - s, (target_x - z * dx) / x - z, dy

    dx, ds, dz, dy = direction(0.0 * x, 0.0 * s)
    primal, dual = _longest(x, dx, s, ds, 1.0), _longest(z, dz, y, dy, 1.0)
    affine = (x + primal * dx) @ (z + dual * dz) + (s + primal * ds) @ (y + dual * dy)
    sigma = np.clip(affine / ((x.size + s.size) * mu), 0.0, 1.0) ** 3
    dx, ds, dz, dy = direction(sigma * mu - dx * dz, sigma * mu - ds * dy)
    primal, dual = _longest(x, dx, s, ds, 0.995), _longest(z, dz, y, dy, 0.995)
    return primal * dx, primal * ds, dual * dz, dual * dy


def _factorised(
    matrix: np.ndarray, jacobian: np.ndarray, slack_ratio: np.ndarray
) -> tuple[Callable, np.ndarray]:
    # Entries span thirty decades near the optimum: scale symmetrically first.
    scale = np.concatenate([1.0 / np.sqrt(np.diagonal(matrix)), 1.0 / np.sqrt(slack_ratio + 1e-3)])
    n = matrix.shape[0]
    whole = np.zeros((scale.size, scale.size))
    whole[:n, :n], whole[:n, n:], whole[n:, :n] = matrix, -jacobian.T, jacobian
    place = np.arange(n, scale.size)
    whole[place, place] = slack_ratio
    getrf, getrs = linalg.get_lapack_funcs(("getrf", "getrs"), (whole,))
    lu, pivots, info = getrf(scale[:, None] * whole * scale, overwrite_a=True)
    if info != 0:
        raise np.linalg.LinAlgError("singular matrix")
    return (lambda right: getrs(lu, pivots, right)[0]), scale


def _longest(x: np.ndarray, dx: np.ndarray, s: np.ndarray, ds: np.ndarray, share: float) -> float:
    """The longest step, at most 1, that keeps 1 - `share` of the distance to every bound."""
    ratio = max(float((-dx / x).max()), float((-ds / s).max(initial=0.0)))
    return min(1.0, share / max(ratio, share))
