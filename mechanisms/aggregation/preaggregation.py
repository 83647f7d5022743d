"""What may be done to the updates before a rule sees them: nearest-neighbour mixing, bucketing.

Sources: Y. Allouah, S. Farhadkhani, R. Guerraoui, N. Gupta, R. Pinot, J. Stephan, "Fixing by mixing", AISTATS
2023; S. P. Karimireddy, L. He, M. Jaggi, "Byzantine-robust learning on heterogeneous datasets via bucketing",
ICLR 2022.
"""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
from jax.core import Tracer

from contracts.checks import integer
from mechanisms.aggregation.geometry import combine, squared_distances
from mechanisms.aggregation.selection import smallest, tie_keys
from mechanisms.aggregation.updates import (
    as_updates,
    by_columns,
    check_absent,
    finite_rows,
    malicious_count,
    namespace,
    run_rule,
)


def nearest_neighbour_mixing(updates: Any, *, malicious: int) -> Any:
    """Replace every row by the average of its n - f nearest rows, itself among them.

    Args:
        updates: (n, d) array, NumPy or JAX. A row that is not finite is absent: it is no one's neighbour, and
            is replaced by the average of the n - f rows nearest to the central row.
        malicious: how many malicious rows to withstand, f; needs n >= 2 f + 1.

    Returns:
        (n, d) mixed updates.

    Raises:
        InvalidInput: too few updates, or more than f rows that are not finite.

    >>> nearest_neighbour_mixing([[0.0], [1.0], [90.0]], malicious=1)
    array([[ 0.5],
           [ 0.5],
           [45.5]])
    """
    f = malicious_count(malicious)
    return run_rule(
        _mix,
        updates,
        rule="nearest_neighbour_mixing",
        least=2 * f + 1,
        needs=f"2 * malicious + 1 = {2 * f + 1}",
        tolerated=f,
        alike=0,
        keep=len(as_updates(updates)) - f,
    )


def _mix(values: Any, present: Any, *, keep: int) -> Any:
    xp = namespace(values)
    size = len(values)
    squared = squared_distances(values, present)
    keys = tie_keys(values, squared)
    central = smallest(keys[0], keys, 1, present)
    nearby = xp.where(central[:, None], squared, 0).sum(axis=0)
    squared = xp.where(present[:, None], squared, nearby)

    def chosen(row: Any) -> Any:
        return smallest(row, keys, keep, present)

    masks = jax.vmap(chosen)(squared) if isinstance(values, jax.Array) else np.stack(list(map(chosen, squared)))
    weights = (masks / keep).astype(values.dtype)
    if isinstance(values, jax.Array):
        return combine(weights, values)
    mixed = np.empty((size, values.shape[1]), values.dtype)

    def fill(columns: slice) -> None:
        np.matmul(weights, values[:, columns], out=mixed[:, columns])

    by_columns(fill, values.shape[1])
    return mixed


def bucketing(updates: Any, *, size: int, seed: int = 0) -> Any:
    """Shuffle the rows and average them in buckets of `size`; the last bucket may hold fewer.

    A rule that withstands f of n rows must withstand f of the ceil(n / size) buckets afterwards.

    Args:
        updates: (n, d) array, NumPy or JAX. A row that is not finite leaves its bucket; a bucket of such rows
            alone takes the average of all others.
        size: rows a bucket, from 1 to n.
        seed: of the shuffle. The buckets depend on the order of the rows, as the method has it.

    Returns:
        (ceil(n / size), d) bucket averages.

    Raises:
        InvalidInput: `updates` is not an (n, d) array of real numbers, `size` or `seed` is out of range, or
            no row is finite.

    >>> bucketing([[1.0], [3.0], [5.0]], size=3)
    array([[3.]])
    """
    values = as_updates(updates)
    count = len(values)
    per_bucket = integer("size", size, low=1, high=count)
    order = np.random.default_rng(integer("seed", seed)).permutation(count)
    buckets = [order[start : start + per_bucket] for start in range(0, count, per_bucket)]
    if not isinstance(values, jax.Array):
        averages = _bucket_averages(values, buckets)
        if finite_rows(averages).all():  # then so are the rows
            return averages
    xp = namespace(values)
    present = finite_rows(values)
    if not isinstance(values, Tracer):
        check_absent(count - int(present.sum()), count, "bucketing", None)
    values = xp.where(present[:, None], values, 0)
    weights = np.array([np.isin(np.arange(count), bucket) for bucket in buckets]) * present
    weights = xp.where(weights.sum(axis=1, keepdims=True) > 0, weights, present)
    return combine(weights / weights.sum(axis=1, keepdims=True), values)


def _bucket_averages(values: np.ndarray, buckets: list[np.ndarray]) -> np.ndarray:
    """Plain averages: few rows a bucket, so sums beat the product with a matrix of zeros."""
    averages = np.empty((len(buckets), values.shape[1]), values.dtype)

    def fill(columns: slice) -> None:
        for bucket, average in zip(buckets, averages[:, columns], strict=True):
            average[...] = values[bucket[0], columns]
            for row in bucket[1:]:
                average += values[row, columns]
            average /= len(bucket)

    by_columns(fill, values.shape[1])
    return averages
