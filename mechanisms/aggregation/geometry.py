"""Distances between updates, computed once and read by every rule that looks at whole rows.

A rule that weighs rows by their mutual distances needs only the n x n squared distances: the d parameters
enter twice, to compute these and to average with the weights found. Distances come from inner products of
rows shifted to a central row, so that a large common offset does not cancel the digits that matter; NumPy
inputs are accumulated in float64 whatever their type.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mechanisms.aggregation.updates import by_columns, namespace


def inner_products(values: Any, center: Any = None) -> Any:
    """The n x n inner products of the rows, each taken relative to `center` (default the origin)."""
    if isinstance(values, jax.Array):
        shifted = values if center is None else values - center
        return jnp.matmul(shifted, shifted.T, precision="highest")

    def part(columns: slice) -> np.ndarray:
        block = values[:, columns].astype(np.float64)
        if center is not None:
            block -= center[columns]
        return block @ block.T

    return sum(by_columns(part, values.shape[1], threads=1))  # BLAS brings threads of its own


def squared_distances(values: Any, present: Any) -> Any:
    """The n x n squared distances; infinite to absent rows and where they overflow, zero to itself."""
    xp = namespace(values)
    size = len(values)
    lengths = squared_lengths(values)
    ordered = xp.argsort(xp.where(present, lengths, xp.inf))
    center = values[ordered[(present.sum() - 1) // 2]]  # of median length: not itself an enormous row
    products = inner_products(values, center)
    squared = _from_products(products, present)
    # The central row: its median distance is the least, so most rows keep all their digits around it.
    rank = (present.sum() - 1) // 2
    central = xp.argmin(xp.where(present, xp.sort(squared, axis=1)[xp.arange(size), rank], xp.inf))
    if xp is jnp or _cancelled(products, squared).any():
        products = inner_products(values, values[central])
        squared = _from_products(products, present)
    if xp is np:
        for row, other in np.argwhere(np.triu(_cancelled(products, squared))):
            gap = values[row].astype(np.float64) - values[other]
            squared[row, other] = squared[other, row] = gap @ gap
    return squared


def squared_lengths(values: Any, center: Any = None) -> Any:
    """The n squared Euclidean lengths of the rows relative to `center` (default the origin)."""
    if isinstance(values, jax.Array):
        return jnp.sum((values if center is None else values - center) ** 2, axis=1)

    def part(columns: slice) -> np.ndarray:
        block = values[:, columns] if center is None else values[:, columns] - center[columns]
        return np.einsum("ij,ij->i", block, block).astype(np.float64)

    return sum(by_columns(part, values.shape[1]))


def _from_products(products: Any, present: Any) -> Any:
    xp = namespace(products)
    size = len(products)
    lengths = xp.diagonal(products)
    squared = lengths[:, None] + lengths[None, :] - (products + products.T)
    measurable = present & xp.isfinite(lengths)
    squared = xp.where(measurable[:, None] & measurable[None, :], xp.maximum(squared, 0), xp.inf)
    return xp.where(xp.eye(size, dtype=bool), 0, squared)


def _cancelled(products: np.ndarray, squared: np.ndarray) -> np.ndarray:
    """Which distances are so small against the lengths they come from that half of their digits are lost."""
    lengths = np.diagonal(products)
    lost = squared < 1e-8 * (lengths[:, None] + lengths[None, :])
    return lost & np.isfinite(squared) & ~np.eye(len(squared), dtype=bool)


def combine(weights: Any, values: Any) -> Any:
    """The weighted sum of the rows, in the type of `values`."""
    return weights.astype(values.dtype) @ values


def row_keys(values: Any) -> Any:
    """One number a row that depends on its entries alone and differs between different rows: breaks ties.

    The rows' products with cos 1, ..., cos d. These cosines are linearly independent over the rationals
    (Lindemann and Weierstrass), so different rows have different keys up to rounding.
    """
    xp = namespace(values)
    return values @ xp.asarray(np.cos(np.arange(1, values.shape[1] + 1)).astype(values.dtype))
