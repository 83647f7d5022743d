"""Order statistics of every column by a sorting network.

A sorting network is a fixed list of comparisons, so sorting n rows column by column is a short program of
`minimum` and `maximum` on whole rows: it vectorises, fuses into one loop under XLA (whose own sort along the
first axis is a hundred times slower on CPU), differentiates, and works under `vmap`. Comparisons that cannot
reach a wanted rank are left out beforehand.

Source: K. E. Batcher, "Sorting networks and their applications", AFIPS 1968 (odd-even merge sort).
"""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mechanisms.aggregation.updates import by_columns

LARGEST_NETWORK = 128  # above, O(n log^2 n) comparisons and their compilation cost more than a plain sort

Comparison = tuple[int, int, bool, bool]


@functools.cache
def sorting_network(size: int, wanted: tuple[int, ...]) -> tuple[Comparison, ...]:
    """The comparisons (low, high, keep minimum, keep maximum) that put the wanted ranks of `size` rows in place.

    >>> sorting_network(3, (1,))
    ((0, 1, True, True), (0, 2, False, True), (1, 2, True, False))
    """
    comparisons = []
    merged = 1
    while merged < size:
        step = merged
        while step >= 1:
            for start in range(step % merged, size - step, 2 * step):
                for low in range(start, min(start + step, size - step)):
                    if low // (2 * merged) == (low + step) // (2 * merged):
                        comparisons.append((low, low + step))
            step //= 2
        merged *= 2
    needed, kept = set(wanted), []
    for low, high in reversed(comparisons):
        if low in needed or high in needed:
            kept.append((low, high, low in needed, high in needed))
            needed |= {low, high}
    return tuple(reversed(kept))


def sort_rows(values: Any, wanted: tuple[int, ...] | None = None) -> list[Any]:
    """Sort every column; entry k of the list is the row of k-th smallest values.

    Args:
        values: (n, d) array without NaN.
        wanted: the ranks that will be read; the others are left in no particular order.

    >>> [float(row[0]) for row in sort_rows(np.array([[3.0], [1.0], [2.0]]))]
    [1.0, 2.0, 3.0]
    """
    size = values.shape[0]
    wanted = tuple(range(size)) if wanted is None else wanted
    if size > LARGEST_NETWORK:
        sort = jnp.sort if isinstance(values, jax.Array) else np.sort
        return list(sort(values, axis=0))
    xp = jnp if isinstance(values, jax.Array) else np
    rows = [values[row] for row in range(size)]
    for low, high, minimum, maximum in sorting_network(size, wanted):
        first, second = rows[low], rows[high]
        if minimum:
            rows[low] = xp.minimum(first, second)
        if maximum:
            rows[high] = xp.maximum(first, second)
    return rows


def over_columns(statistic: Any, values: Any) -> Any:
    """Apply a function of an (n, c) slice that returns c numbers to all columns; in slices for NumPy."""
    if isinstance(values, jax.Array):
        return statistic(values)
    result = np.empty(values.shape[1], values.dtype)

    def fill(columns: slice) -> None:
        result[columns] = statistic(values[:, columns])

    by_columns(fill, values.shape[1])
    return result
