"""Order statistics of every column.

NumPy sorts short columns in vector registers, so all that is left to do is to hand it slices that fit into the
cache. XLA's own sort along the first axis is a hundred times slower than that on CPU; for JAX the rows go
through a sorting network instead. A network is a fixed list of comparisons, so it is a short program of
`minimum` and `maximum` on whole rows: it vectorises, differentiates, and works under `vmap`. For few rows it
is also faster than NumPy's sort, four times for eight.

Source: K. E. Batcher, "Sorting networks and their applications", AFIPS 1968 (odd-even merge sort).
"""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mechanisms.aggregation.updates import COLUMNS_AT_ONCE, by_columns, processors

NETWORK_BYTES = 420  # comparisons times bytes of an entry up to which the network is faster than NumPy's sort
FEW_COLUMNS = 4096  # for which another thread costs more than it saves
CACHED_BYTES = 800_000  # that the network works on at a time: its comparisons read each entry many times
PADDING = 16  # entries after every row: rows a power of two apart would share few lines of the cache


@functools.cache
def sorting_network(size: int) -> tuple[tuple[int, int], ...]:
    """The comparisons (row of the smaller, row of the larger) that sort `size` rows.

    >>> sorting_network(4)
    ((0, 1), (2, 3), (0, 2), (1, 3), (1, 2))
    >>> len(sorting_network(50))
    403
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
    return tuple(comparisons)


@functools.cache
def network_layers(size: int) -> tuple[np.ndarray, np.ndarray]:
    """The network as layers of comparisons that do not touch: for every layer and row, its partner and side.

    Returns:
        Partners, shape (layers, size), a row's own index where it rests; sides, -1 where the row keeps the
        minimum, 1 where it keeps the maximum, 0 where it rests.

    >>> network_layers(2)
    (array([[1, 0]], dtype=int32), array([[-1,  1]], dtype=int32))
    """
    depth, layers = [0] * size, []
    for low, high in sorting_network(size):
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


def sort_rows(values: Any) -> Any:
    """Sort every column; entry k of the result is the row of k-th smallest values.

    Args:
        values: (n, d) array without NaN; cheapest with few columns, see `over_columns`.

    >>> [float(row[0]) for row in sort_rows(np.array([[3.0], [1.0], [2.0]]))]
    [1.0, 2.0, 3.0]
    """
    if isinstance(values, jax.Array):
        return _sort_in_layers(values)
    size, columns = values.shape
    if len(sorting_network(size)) * values.itemsize <= NETWORK_BYTES:
        return _sort_by_network(values)
    ordered = np.empty((size, columns + PADDING), values.dtype)[:, :columns]
    ordered[...] = values
    ordered.sort(axis=0)
    return ordered


def _sort_by_network(values: np.ndarray) -> np.ndarray:
    size, columns = values.shape
    ordered = np.empty(values.shape, values.dtype)
    at_once = max(CACHED_BYTES // (size * values.itemsize), 1)
    for start in range(0, columns, at_once):
        part = slice(start, start + at_once)
        rows = list(np.array(values[:, part], order="C"))
        spare = np.empty_like(rows[0])
        for low, high in sorting_network(size):
            np.minimum(rows[low], rows[high], out=spare)
            np.maximum(rows[low], rows[high], out=rows[high])
            rows[low], spare = spare, rows[low]
        np.stack(rows, out=ordered[:, part])
    return ordered


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

    share = -(-columns // processors())  # columns do not depend on each other, so slices may on the machine
    by_columns(fill, columns, at_once=min(COLUMNS_AT_ONCE, max(share, FEW_COLUMNS)))
    return result
