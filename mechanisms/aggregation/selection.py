"""Choose rows by their scores, in a way that does not depend on the order of the rows.

Exact ties are common: two rows that are each other's only neighbour have the same Krum score, and many
subsets share the least diameter. Scores within rounding of the smallest count as equal to it; then the smaller
sum of squared distances to the nearest half of the rows wins, which no minority can drown, then the smaller row
key (`geometry.row_keys`).
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mechanisms.aggregation.geometry import row_keys
from mechanisms.aggregation.updates import namespace


def tie_tolerance(dtype: Any) -> float:
    """Scores closer than this, relative to the smaller, are a tie: a thousand roundings of their type."""
    return 1e3 * float(jnp.finfo(dtype).eps)


def tie_keys(values: Any, squared: Any) -> tuple[Any, Any]:
    """Second and third key of every row: its squared distances to the nearest half summed, and its row key."""
    nearest = namespace(squared).sort(squared, axis=1)[:, : len(values) // 2 + 1]
    return nearest.sum(axis=1), row_keys(values)


def first(scores: Any, keys: tuple[Any, Any], allowed: Any) -> Any:
    """A mask of the allowed row with the smallest score, ties broken by the keys."""
    xp = namespace(scores)
    totals, last = keys
    tolerance = tie_tolerance(scores.dtype)
    scores = xp.where(allowed, scores, xp.inf)
    least = scores.min()
    tied = allowed & ((scores <= least + tolerance * abs(least)) | (scores == least))
    totals = xp.where(tied, totals, xp.inf)
    tied = tied & (totals <= totals.min() + tolerance * abs(totals.min()))
    last = xp.where(tied, last, xp.inf)
    return xp.arange(len(scores)) == xp.argmin(last)


def smallest(scores: Any, keys: tuple[Any, Any], count: int, allowed: Any) -> Any:
    """A mask of the `count` allowed rows with the smallest scores, ties broken by the keys."""
    xp = namespace(scores)
    if xp is np and 0 < count < len(scores):
        ordered = np.sort(np.where(allowed, scores, np.inf))
        last, beyond = ordered[count - 1 : count + 1]
        if beyond > last + tie_tolerance(scores.dtype) * abs(last):  # no tie where it matters
            return allowed & (scores <= last)

    def take(_: Any, chosen: Any) -> Any:
        left = allowed & ~chosen
        return chosen | (first(scores, keys, left) & left)

    return repeat(take, count, xp.zeros(len(scores), bool))


def repeat(step: Any, times: int, state: Any) -> Any:
    """`times` applications of `step(index, state)`, compiled as a loop for JAX."""
    if isinstance(jax.tree.leaves(state)[0], jax.Array):
        return jax.lax.fori_loop(0, times, step, state)
    for index in range(times):
        state = step(index, state)
    return state


def neighbour_scores(squared: Any, neighbours: int) -> Any:
    """Every row's sum of squared distances to its `neighbours` nearest other rows."""
    xp = namespace(squared)
    others = xp.where(xp.eye(len(squared), dtype=bool), xp.inf, squared)
    return xp.sort(others, axis=1)[:, :neighbours].sum(axis=1)


def as_weights(chosen: Any) -> Any:
    """Equal weights on the chosen rows."""
    return chosen / namespace(chosen).maximum(chosen.sum(), 1)
