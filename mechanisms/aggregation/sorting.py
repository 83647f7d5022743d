"""Order statistics of every column by a sorting network.

A sorting network is a fixed list of comparisons, so sorting n rows column by column is a short program of
`minimum` and `maximum` on whole rows: it vectorises, fuses into one loop under XLA (whose own sort along the
first axis is a hundred times slower on CPU), differentiates, and works under `vmap`. For NumPy, comparisons
that cannot reach a wanted rank are left out beforehand; for JAX, independent comparisons are done together.

Source: K. E. Batcher, "Sorting networks and their applications", AFIPS 1968 (odd-even merge sort).
"""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mechanisms.aggregation.updates import COLUMNS_AT_ONCE, by_columns

LARGEST_NETWORK = 128  # above, O(n log^2 n) calls of NumPy cost more than its sort

Comparison = tuple[int, int, bool, bool]


@functools.cache
def sorting_network(size: int, wanted: tuple[int, int] | None = None) -> tuple[Comparison, ...]:
    """The comparisons (low, high, keep minimum, keep maximum) that sort `size` rows.

    Args:
        size: how many rows.
        wanted: (first, end) if only the set of rows with ranks first .. end - 1 is read, in any order;
            comparisons within that set, or among the ranks below or above it, are then left out.

    >>> len(sorting_network(50)), len(sorting_network(50, (10, 40))), len(sorting_network(50, (24, 26)))
    (403, 340, 330)
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
    if wanted is None:
        return tuple((low, high, True, True) for low, high in comparisons)
    # From the last comparison backwards: what a row is used for afterwards.
    first, end = wanted
    use = ["below" if rank < first else "wanted" if rank < end else "above" for rank in range(size)]
    kept = []
    for low, high in reversed(comparisons):
        if use[low] == use[high] != "compared":
            continue
        kept.append((low, high, *(use[row] in ("wanted", "compared") for row in (low, high))))
        use[low] = use[high] = "compared"
    return tuple(reversed(kept))


@functools.cache
def network_layers(size: int) -> tuple[np.ndarray, np.ndarray]:
    """The full network as layers of comparisons that do not touch: for every layer and row, its partner and
    side.

    Returns:
        Partners, shape (layers, size), a row's own index where it rests; sides, -1 where the row keeps the
        minimum, 1 where it keeps the maximum, 0 where it rests.

    >>> network_layers(2)
    (array([[1, 0]], dtype=int32), array([[-1,  1]], dtype=int32))
    """
    depth, layers = [0] * size, []
    for low, high, _, _ in sorting_network(size):
        layer = max(depth[low], depth[high])
        depth[low] = depth[high] = layer + 1
        layers.extend([] for _ in range(layer + 1 - len(layers)))
        layers[layer].append((low, high))
    partners = np.tile(np.arange(size, dtype=np.int32), (len(layers), 1))  # no 64 bits: JAX may have none
    sides = np.zeros((len(layers), size), np.int32)
    for layer, comparisons in enumerate(layers):
        for low, high in comparisons:
            partners[layer, [low, high]] = high, low
            sides[layer, [low, high]] = -1, 1
    return partners, sides


def sort_rows(values: Any, wanted: tuple[int, int] | None = None) -> Any:
    """Sort every column; entry k of the result is the row of k-th smallest values.

    Args:
        values: (n, d) array without NaN.
        wanted: (first, end) if only ranks first .. end - 1 are read, and their order does not matter.

    >>> [float(row[0]) for row in sort_rows(np.array([[3.0], [1.0], [2.0]]))]
    [1.0, 2.0, 3.0]
    """
    size = len(values)
    if isinstance(values, jax.Array):
        return _sort_in_layers(values)
    if size > LARGEST_NETWORK:
        return list(np.sort(values, axis=0))
    rows = list(values)
    for low, high, minimum, maximum in sorting_network(size, wanted):
        first, second = rows[low], rows[high]
        if minimum:
            rows[low] = np.minimum(first, second)
        if maximum:
            rows[high] = np.maximum(first, second)
    return rows


def _sort_in_layers(values: jax.Array) -> jax.Array:
    """One scan step a layer: compiles in a tenth of a second; the unrolled network would take many."""

    def step(rows: jax.Array, layer: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, None]:
        partner, side = layer
        other, side = rows[partner], side[:, None]
        exchanged = jnp.where(side < 0, jnp.minimum(rows, other), jnp.maximum(rows, other))
        return jnp.where(side == 0, rows, exchanged), None

    partners, sides = network_layers(len(values))
    return jax.lax.scan(step, values, (jnp.asarray(partners), jnp.asarray(sides)))[0]


def over_columns(statistic: Any, values: Any) -> Any:
    """Apply a function of an (n, c) slice that returns c numbers to all columns, a cacheful at a time."""
    size, columns = values.shape
    if isinstance(values, jax.Array):
        if columns <= 2 * COLUMNS_AT_ONCE:
            return statistic(values)
        count = -(-columns // COLUMNS_AT_ONCE)
        padded = jnp.pad(values, ((0, 0), (0, count * COLUMNS_AT_ONCE - columns)))
        blocks = padded.reshape(size, count, COLUMNS_AT_ONCE).swapaxes(0, 1)
        return jax.lax.map(statistic, blocks).reshape(-1)[:columns]
    result = np.empty(columns, values.dtype)

    def fill(part: slice) -> None:
        result[part] = statistic(values[:, part])

    by_columns(fill, columns)
    return result
