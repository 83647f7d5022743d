"""Rules that look for a centre: geometric median, centred clipping, norm clipping.

Sources: K. Pillutla, S. Kakade, Z. Harchaoui, "Robust aggregation for federated learning", IEEE Trans. Signal
Processing 2022 (geometric median); S. P. Karimireddy, L. He, M. Jaggi, "Learning from
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
from mechanisms.aggregation.geometry import (
    combine,
    lengths_from,
    majority_spread,
    squared_distances,
    squared_lengths,
)
from mechanisms.aggregation.updates import as_updates, namespace, run_rule
from mechanisms.aggregation.weiszfeld import MOST_STEPS, Median, draw_in, geometric_median_weights, is_far


def geometric_median(updates: Any) -> Any:
    """Return the point with the least sum of distances to the rows, iterated to convergence.

    The unit vectors from the rows sum to at most 1e-9 n (JAX in float32: 1e-5 n) more than is optimal, which is
    checked before the result is returned (`mechanisms.aggregation.weiszfeld`); so the sum of distances is at
    most 2e-9 (2e-5) of itself above the least, however far some rows lie. A row that is itself the
    optimum is returned exactly; so it is when more than half of the rows are equal. If all rows lie on a line
    and n is even, every point between the two middle rows is optimal and the one half-way is returned.

    Args:
        updates: (n, d) array, NumPy or JAX. Rows that are not finite are absent.

    Returns:
        The geometric median, length d.

    Raises:
        InvalidInput: `updates` is not an (n, d) array of real numbers, or half of the rows or more are not
            finite.
        NotConverged: after 500 steps the unit vectors still sum to more than 1e-6 n too much (NumPy; under JAX
            the last iterate is returned).

    >>> geometric_median([[0.0, 0.0], [2.0, 0.0], [0.0, 2.0], [2.0, 2.0], [1.0, 1.0]])
    array([1., 1.])
    """
    values = as_updates(updates)
    few = (len(values) - 1) // 2
    return run_rule(_geometric_median, values, rule="geometric_median", tolerated=few, alike=0)


def _geometric_median(values: Any, present: Any) -> Any:
    if isinstance(values, jax.Array):
        return _differentiable_median(values, present)
    median, point = _median(values, present)
    if median.pull > 1e-6:
        raise NotConverged(f"geometric_median: pull {median.pull:.1e} left after {MOST_STEPS} steps", best=point)
    return point


def _median(values: Any, present: Any) -> tuple[Median, Any]:
    """The weights, and the point they make of the rows, far ones drawn in: once, and again if there are any."""
    squared = squared_distances(values, present)
    xp = namespace(values)
    if len(values) > 1:
        present = present & (xp.isfinite(squared).sum(axis=1) > 1)
    central = xp.argmin(majority_spread(squared, present)[1])
    any_far = is_far(squared, present, squared[central]).any()

    def solved(near: Any, rows: Any) -> tuple[Median, Any]:
        median = geometric_median_weights(near, present)
        median = median._replace(weights=median.weights.astype(values.dtype))
        return median, combine(median.weights, rows)

    def one_pass(center: Any) -> tuple[Median, Any]:
        drawn = draw_in(values, present, squared, center, squared_lengths(values, center))
        if xp is np:
            return solved(squared_distances(drawn, present), drawn)
        return solved(jax.lax.cond(any_far, lambda: squared_distances(drawn, present), lambda: squared), drawn)

    if xp is np:
        return one_pass(one_pass(values[central])[1]) if any_far else solved(squared, values)
    start = Median(jnp.zeros_like(values[:, 0]), jnp.zeros_like(squared[0, 0]), jnp.zeros((), bool))
    state = (jnp.where(any_far, 0, 1), (start, values[central]))
    advance = jax.lax.while_loop(  # compiled once
        lambda state: state[0] < 2, lambda state: (state[0] + 1, one_pass(state[1][1])), state
    )
    return advance[1]


@jax.custom_jvp
def _differentiable_median(values: jax.Array, present: jax.Array) -> jax.Array:
    return _median(values, present)[1]


@_differentiable_median.defjvp
def _(primals: tuple[Any, Any], tangents: tuple[Any, Any]) -> tuple[Any, Any]:
    """The optimum follows a change of the rows as Hessian times its change = the change of the pulls."""
    (values, present), (moved, _) = primals, tangents
    median, result = _median(values, present)
    away = result - values
    lengths = jnp.sqrt(jnp.sum(away**2, axis=1))
    attraction = jnp.where(present & (lengths > 0), 1 / jnp.where(lengths > 0, lengths, 1), 0)
    total = jnp.where(median.at_row, 1, attraction.sum())
    root = attraction**1.5
    inner = jnp.matmul(away, away.T, precision="highest")
    matrix = total * jnp.eye(len(values), dtype=values.dtype) - root[:, None] * inner * root[None, :]
    matrix = jnp.where(median.at_row, jnp.eye(len(values), dtype=values.dtype), matrix)
    pushed = combine(attraction, moved) - combine(attraction**3 * jnp.sum(away * moved, axis=1), away)
    along = root * jnp.linalg.solve(matrix, root * (away @ pushed))
    smooth = (pushed + combine(along, away)) / total
    return result, jnp.where(median.at_row, combine(median.weights, moved), smooth)


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
        *_radius(radius, values.dtype),
        rule="centered_clipping",
        tolerated=(len(values) - 1) // 2,
        alike=2,
        steps=integer("steps", steps, low=1),
    )


def _radius(value: float | None, dtype: Any) -> list[np.ndarray]:
    """No array, or one with the radius, which changes its unit with the updates."""
    if value is None:
        return []
    return [np.asarray(math.inf if value == math.inf else number("radius", value, low=0), dtype)]


def _centered_clipping(values: Any, present: Any, center: Any, radius: Any = None, *, steps: int) -> Any:
    xp = namespace(values)
    for _ in range(steps):
        gaps = lengths_from(values, center)
        present = present & xp.isfinite(gaps)
        limit = masked_median(gaps, present) / 2 if radius is None else radius
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
        *_radius(radius, values.dtype),
        rule="norm_clipping",
        tolerated=(len(values) - 1) // 2,
        alike=1,
    )


def _norm_clipping(values: Any, present: Any, radius: Any = None) -> Any:
    xp = namespace(values)
    lengths = lengths_from(values)
    present = present & xp.isfinite(lengths)
    limit = masked_median(lengths, present) if radius is None else radius
    factors = xp.where(lengths > limit, limit / xp.where(lengths > 0, lengths, 1), 1) * present
    return combine(factors / present.sum(), values)


def masked_median(numbers: Any, present: Any) -> Any:
    """The median of those of n numbers whose row is present."""
    xp = namespace(numbers)
    ordered = xp.sort(xp.where(present, numbers, xp.inf))
    count = present.sum()
    return (ordered[(count - 1) // 2] + ordered[count // 2]) / 2
