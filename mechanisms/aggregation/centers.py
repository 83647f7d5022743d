"""Rules that look for a centre: geometric median, centred clipping, norm clipping.

Sources: K. Pillutla, S. Kakade, Z. Harchaoui, "Robust aggregation for federated learning", IEEE Trans. Signal
Processing 2022 (geometric median); Y. Vardi, C.-H. Zhang, "The multivariate L1-median and associated data
depth", PNAS 2000 (its iteration, safe at data points); S. P. Karimireddy, L. He, M. Jaggi, "Learning from
history for Byzantine robust optimization", ICML 2021 (centred clipping).
"""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from contracts.checks import array, integer, number
from contracts.errors import InvalidInput, NotConverged
from mechanisms.aggregation.geometry import combine, squared_distances, squared_lengths
from mechanisms.aggregation.selection import tie_tolerance
from mechanisms.aggregation.updates import as_updates, namespace, run_rule

MOST_STEPS = 10_000


def geometric_median(updates: Any) -> Any:
    """Return the point with the least sum of distances to the rows, iterated to convergence.

    The iteration runs on the n weights of the rows alone. It stops when the sum of the unit vectors towards
    the rows, which is zero at the optimum, is shorter than n times 1e-9 (1e-4 in float32), or when a row is
    itself the optimum, which is then returned exactly; so it is when more than half of the rows are equal.
    If all rows lie on a line and n is even, every point between the two middle rows is optimal and one such
    point is returned.

    Args:
        updates: (n, d) array, NumPy or JAX. Rows that are not finite are absent.

    Returns:
        The geometric median, length d.

    Raises:
        InvalidInput: `updates` is not an (n, d) array of real numbers, or half of the rows or more are not
            finite.
        NotConverged: after 10,000 steps the sum of unit vectors is still longer than n / 1000, so that the
            sum of distances may be 0.2 % above the least (NumPy; under JAX the last iterate is returned).

    >>> geometric_median([[0.0, 0.0], [2.0, 0.0], [0.0, 2.0], [2.0, 2.0], [1.0, 1.0]])
    array([1., 1.])
    """
    values = as_updates(updates)
    return run_rule(_geometric_median, values, rule="geometric_median", tolerated=(len(values) - 1) // 2)


def _geometric_median(values: Any, present: Any) -> Any:
    xp = namespace(values)
    squared = squared_distances(values, present)
    present = present & (xp.isfinite(squared).sum(axis=1) > 1) if len(values) > 1 else present
    squared = xp.where(present[:, None] & present[None, :], squared, 0)
    weights, residual, at_row = geometric_median_weights(squared, present)
    if xp is np and not at_row and residual > 1e-3 * present.sum():
        raise NotConverged(
            f"geometric_median: pull {residual:.1e} left after {MOST_STEPS} steps",
            best=combine(weights, values),
        )
    return combine(weights, values)


def geometric_median_weights(squared: Any, present: Any) -> tuple[Any, Any, Any]:
    """The weights of the rows in their geometric median, from squared distances alone.

    Returns:
        The n weights; the length of the sum of unit vectors left over; whether a row is itself the optimum.
    """
    xp = namespace(squared)
    size = len(squared)
    same = squared <= tie_tolerance(squared.dtype) ** 2 * squared.max()
    same = same & present[:, None] & present[None, :]
    # At row j the other rows pull with sum_i (u_i - u_j) / d_ij; the row is optimal if as many rows as the
    # length of that pull lie on it. Inner products of differences come from distances.
    inverse = xp.where(same | ~present[:, None] | ~present[None, :], 0, 1 / xp.sqrt(xp.where(same, 1, squared)))
    inverse = xp.where(present[:, None] & present[None, :], inverse, 0)
    reach = inverse.sum(axis=1)
    spread = xp.einsum("ji,jk,ik->j", inverse, inverse, squared) / 2
    pull = xp.sqrt(xp.maximum(reach * xp.einsum("ji,ij->j", inverse, squared) - spread, 0))
    margin = xp.where(present, same.sum(axis=1) - pull, -xp.inf)
    optimal = margin >= -tie_tolerance(squared.dtype)  # several rows: the optima are convex, so is their mean
    at_row = optimal.any()
    tolerance = (1e-9 if squared.dtype == np.float64 else 1e-4) * size
    start = (present / xp.sum(present)).astype(squared.dtype)

    def distances(weights: Any) -> Any:
        return squared @ weights - weights @ squared @ weights / 2

    def step(state: Any) -> Any:
        weights, _, count = state
        gaps = xp.sqrt(xp.maximum(distances(weights), tie_tolerance(squared.dtype) ** 2 * squared.max()))
        attraction = xp.where(present, 1 / xp.where(gaps > 0, gaps, 1), 0)
        total = attraction.sum()
        following = attraction / total
        change = following - weights
        moved = xp.sqrt(xp.maximum(-change @ squared @ change / 2, 0))
        return following, moved * total, count + 1

    def unfinished(state: Any) -> Any:
        return (state[1] > tolerance) & (state[2] < MOST_STEPS) & ~at_row

    state = (start, xp.asarray(np.inf, squared.dtype), xp.asarray(0))
    if xp is jnp:
        state = jax.lax.while_loop(unfinished, step, state)
    else:
        while unfinished(state):
            state = step(state)
    on_rows = (optimal / xp.maximum(optimal.sum(), 1)).astype(squared.dtype)
    return xp.where(at_row, on_rows, state[0]), state[1], at_row


def centered_clipping(updates: Any, *, center: Any = None, radius: float | None = None, steps: int = 3) -> Any:
    """Move a centre by the average of the differences to it, each clipped to a radius; repeat.

    Args:
        updates: (n, d) array, NumPy or JAX. Rows that are not finite are absent.
        center: where to start, length d, usually the last aggregate; None is the origin, "no change".
        radius: the length differences are clipped to, in the units of the updates; None takes half the median
            distance of the rows to the centre, anew at every step, which makes the rule scale with its input.
        steps: how many times the centre is moved, at least 1.

    Returns:
        The final centre, length d.

    Raises:
        InvalidInput: `updates`, `center`, `radius` or `steps` is out of range, or half of the rows or more
            are not finite.

    >>> centered_clipping([[1.0], [2.0], [3.0], [1e9]], radius=10.0, steps=1)
    array([4.])
    """
    values = as_updates(updates)
    columns = values.shape[1]
    if center is None:
        start = namespace(values).zeros(columns, values.dtype)
    elif isinstance(center, jax.Array):
        start = center
    else:
        start = array("center", center, length=columns).astype(values.dtype)
    if start.shape != (columns,):
        raise InvalidInput(f"center has shape {start.shape}: expected ({columns},)")
    if isinstance(values, jax.Array):
        start = jnp.asarray(start)
    elif isinstance(start, jax.Array):
        values = jnp.asarray(values)
    return run_rule(
        _centered_clipping,
        values,
        start,
        rule="centered_clipping",
        tolerated=(len(values) - 1) // 2,
        radius=None if radius is None else _radius(radius),
        steps=integer("steps", steps, low=1),
    )


def _radius(value: Any) -> float:
    return math.inf if value == math.inf else number("radius", value, low=0)


def _centered_clipping(values: Any, present: Any, center: Any, *, radius: float | None, steps: int) -> Any:
    xp = namespace(values)
    for _ in range(steps):
        gaps = xp.sqrt(squared_lengths(values, center))
        present = present & xp.isfinite(gaps)
        limit = _masked_median(gaps, present) / 2 if radius is None else radius
        weights = xp.where(gaps > limit, limit / xp.where(gaps > 0, gaps, 1), 1) * present / present.sum()
        center = (center * (1 - weights.sum()) + combine(weights, values)).astype(values.dtype)
    return center


def norm_clipping(updates: Any, *, radius: float | None = None) -> Any:
    """Clip every row to a length and average.

    Args:
        updates: (n, d) array, NumPy or JAX. Rows that are not finite are absent.
        radius: the length, in the units of the updates; None takes the median length of the rows.

    Returns:
        The average of the clipped rows, length d.

    Raises:
        InvalidInput: `updates` or `radius` is out of range, or half of the rows or more are not finite.

    >>> norm_clipping([[1.0, 0.0], [0.0, 2.0], [3e9, 0.0]])
    array([1.        , 0.66666667])
    """
    values = as_updates(updates)
    return run_rule(
        _norm_clipping,
        values,
        rule="norm_clipping",
        tolerated=(len(values) - 1) // 2,
        radius=None if radius is None else _radius(radius),
    )


def _norm_clipping(values: Any, present: Any, *, radius: float | None) -> Any:
    xp = namespace(values)
    lengths = xp.sqrt(squared_lengths(values))
    present = present & xp.isfinite(lengths)
    limit = _masked_median(lengths, present) if radius is None else radius
    factors = xp.where(lengths > limit, limit / xp.where(lengths > 0, lengths, 1), 1) * present
    return combine(factors / present.sum(), values)


def _masked_median(numbers: Any, present: Any) -> Any:
    """The median of those of n numbers whose row is present."""
    xp = namespace(numbers)
    ordered = xp.sort(xp.where(present, numbers, xp.inf))
    count = present.sum()
    return (ordered[(count - 1) // 2] + ordered[count // 2]) / 2
