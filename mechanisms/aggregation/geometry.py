"""Distances between updates, computed once and read by every rule that looks at whole rows.

A rule that weighs rows by their mutual distances needs only the n x n squared distances: the d parameters
enter twice, to compute these and to average with the weights found. Distances come from inner products of
rows shifted to a central row, so that a large common offset does not cancel the digits that matter. Where they
cancel all the same, as for two rows that are close to each other and far from all others, the difference is
taken itself. NumPy inputs are accumulated in float64 whatever their type; JAX computes in that of the updates.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mechanisms.aggregation.updates import COLUMNS_AT_ONCE, by_columns, namespace

DOUBLED_AT_ONCE = 8192  # columns that are turned into 64 bits
SMALL = 1e-24  # next to which what squares lose below the smallest number of 32 bits is nothing
LEAST = 1e-30  # smaller numbers are too close to the smallest of 32 bits, larger than its inverse to the largest


def inner_products(values: Any, center: Any = None) -> Any:
    """The n x n inner products of the rows, each taken relative to `center` (default the origin)."""
    if isinstance(values, jax.Array):
        return _inner_products(values, jnp.zeros_like(values[0]) if center is None else center)

    def part(columns: slice) -> np.ndarray:
        block = values[:, columns].astype(np.float64)
        if center is not None:
            block -= center[columns]
        return block @ block.T

    # BLAS brings threads of its own.
    return sum(by_columns(part, values.shape[1], threads=1, at_once=DOUBLED_AT_ONCE))


def _inner_products(values: jax.Array, center: jax.Array) -> jax.Array:
    """A cacheful of columns at a time, which also keeps the sums short."""
    columns = values.shape[1]

    def part(block: jax.Array, offset: jax.Array) -> jax.Array:
        shifted = block - offset
        return jnp.matmul(shifted, shifted.T, precision="highest")

    def add(index: Any, total: jax.Array) -> jax.Array:
        start = index * COLUMNS_AT_ONCE
        block = jax.lax.dynamic_slice_in_dim(values, start, COLUMNS_AT_ONCE, axis=1)
        return total + part(block, jax.lax.dynamic_slice_in_dim(center, start, COLUMNS_AT_ONCE))

    whole = columns // COLUMNS_AT_ONCE
    done = whole * COLUMNS_AT_ONCE
    total = part(values[:, done:], center[done:])
    return jax.lax.fori_loop(0, whole, add, total) if whole else total


def squared_distances(values: Any, present: Any) -> Any:
    """The n x n squared distances; infinite to absent rows and where they overflow, zero to itself.

    No derivative is taken.
    """
    xp = namespace(values)
    values = values if xp is np else jax.lax.stop_gradient(values)
    size = len(values)
    ordered = xp.argsort(xp.where(present, lengths_from(values), xp.inf))
    center = values[ordered[(present.sum() - 1) // 2]]  # of median length: not itself an enormous row
    products = inner_products(values, center)
    squared = _from_products(products, present)
    # The central row: its median distance is the least, so most rows keep all their digits around it.
    rank = (present.sum() - 1) // 2
    middle = xp.where(present, xp.sort(squared, axis=1)[xp.arange(size), rank], xp.inf)
    central = xp.argsort(middle)[0]
    if xp is jnp or _cancelled(products, squared).any():
        products = inner_products(values, values[central])
        squared = _from_products(products, present)
    refined = _refined if xp is np else _refined_in_loop
    return refined(values, squared, xp.triu(_cancelled(products, squared)))


def _refined(values: np.ndarray, squared: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """The squared distances with those of the given pairs computed from the rows' difference."""
    for row, other in np.argwhere(pairs):
        gap = values[row].astype(np.float64) - values[other]
        squared[row, other] = squared[other, row] = gap @ gap
    return squared


def _refined_in_loop(values: jax.Array, squared: jax.Array, pairs: jax.Array) -> jax.Array:
    size = len(values)

    def one(state: tuple[jax.Array, jax.Array, Any]) -> tuple[jax.Array, jax.Array, Any]:
        squared, which, count = state
        row, other = which[count] // size, which[count] % size
        length = jnp.sum((values[row] - values[other]) ** 2)
        return squared.at[row, other].set(length).at[other, row].set(length), which, count + 1

    which = jnp.argsort(~pairs.ravel())  # the given pairs first
    state = (squared, which, jnp.zeros_like(which[0]))
    return jax.lax.while_loop(lambda state: state[2] < pairs.sum(), one, state)[0]


def squared_lengths(values: Any, center: Any = None) -> Any:
    """The n squared Euclidean lengths of the rows relative to `center` (default the origin)."""
    if isinstance(values, jax.Array):
        return jnp.sum((values if center is None else values - center) ** 2, axis=1)

    def part(columns: slice) -> np.ndarray:
        block = values[:, columns].astype(np.float64)
        if center is not None:
            block -= center[columns]
        return np.einsum("ij,ij->i", block, block)

    return sum(by_columns(part, values.shape[1], at_once=DOUBLED_AT_ONCE))


def lengths_from(values: Any, center: Any = None) -> Any:
    """The n Euclidean lengths of the rows relative to `center` (default the origin), to a few roundings.

    For rules that clip, and need no length to the last digit. In 32 bits they are several times faster than
    `squared_lengths`.
    """
    if not (isinstance(values, np.ndarray) and values.dtype == np.float32):
        return namespace(values).sqrt(squared_lengths(values, center))

    def part(columns: slice) -> np.ndarray:
        block = values[:, columns] if center is None else values[:, columns] - center[columns]
        return np.vecdot(block, block).astype(np.float64)

    squares = np.sum(by_columns(part, values.shape[1]), axis=0)
    if not ((squares > SMALL) & (squares < 1 / LEAST)).all():  # squares may have overflowed, or vanished
        squares = squared_lengths(values, center)
    return np.sqrt(squares)


def _from_products(products: Any, present: Any) -> Any:
    xp = namespace(products)
    size = len(products)
    lengths = xp.diagonal(products)
    squared = lengths[:, None] + lengths[None, :] - (products + products.T)
    measurable = present & xp.isfinite(lengths)
    squared = xp.where(measurable[:, None] & measurable[None, :], xp.maximum(squared, 0), xp.inf)
    return xp.where(xp.eye(size, dtype=bool), 0, squared)


def _cancelled(products: Any, squared: Any) -> Any:
    """Which distances are so small against the lengths they come from that too many digits are lost."""
    xp = namespace(products)
    lengths = xp.diagonal(products)
    least = 1e-8 if products.dtype == np.float64 else 0.03  # leaves 8 of 16, and 5 to 6 of 7
    lost = squared < least * (lengths[:, None] + lengths[None, :])
    return lost & xp.isfinite(squared) & ~xp.eye(len(squared), dtype=bool)


def majority_spread(squared: Any, present: Any) -> tuple[Any, Any]:
    """The least squared radius around a row that holds more than half of the present rows; that of every row.

    No minority moves it out of what honest rows make: fewer than half of the rows fill no such ball.
    """
    xp = namespace(squared)
    ordered = xp.sort(xp.where(present[None, :], squared, xp.inf), axis=1)
    radii = xp.where(present, xp.take(ordered, present.sum() // 2, axis=1, mode="clip"), xp.inf)
    return radii.min(), radii


def combine(weights: Any, values: Any) -> Any:
    """The weighted sum of the rows, in the type of `values`."""
    if isinstance(values, np.ndarray) and values.dtype == np.float32:
        sizes = np.abs(weights[weights != 0])
        if len(sizes) and sizes.min() < LEAST:  # an enormous row clipped: its weight is lost in 32 bits
            result = np.empty(values.shape[1], np.float32)

            def fill(columns: slice) -> None:
                result[columns] = weights @ values[:, columns].astype(np.float64)

            by_columns(fill, values.shape[1])
            return result
    return _product(weights.astype(values.dtype), values)


def row_keys(values: Any) -> Any:
    """One number a row that depends on its entries alone and differs between different rows: breaks ties.

    The rows' products with cos 1, ..., cos d. These cosines are linearly independent over the rationals
    (Lindemann and Weierstrass), so different rows have different keys up to rounding.
    """
    cosines = np.cos(np.arange(1, values.shape[1] + 1))
    keys = _product(values, namespace(values).asarray(cosines.astype(values.dtype)))
    if isinstance(values, np.ndarray) and values.dtype == np.float32:
        sizes = np.abs(keys)
        if not ((sizes > LEAST) & (sizes < 1 / LEAST)).all():
            return sum(by_columns(lambda part: values[:, part].astype(np.float64) @ cosines[part], len(cosines)))
    return keys


def _product(left: Any, right: Any) -> Any:
    """A matrix product in full precision: on some devices JAX's default keeps three digits of float32."""
    return jnp.matmul(left, right, precision="highest") if isinstance(left, jax.Array) else left @ right
