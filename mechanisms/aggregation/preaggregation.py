"""What may be done to the updates before a rule sees them: nearest-neighbour mixing, bucketing, clipping.

Sources: Y. Allouah, S. Farhadkhani, R. Guerraoui, N. Gupta, R. Pinot, J. Stephan, "Fixing by mixing", AISTATS
2023; S. P. Karimireddy, L. He, M. Jaggi, "Byzantine-robust learning on heterogeneous datasets via bucketing",
ICLR 2022; Y. Allouah, R. Guerraoui, N. Gupta, A. Jellouli, G. Rizk, J. Stephan, "Adaptive gradient clipping for
robust federated learning", ICLR 2025 (ARC, adaptive robust clipping).
"""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
from jax.core import Tracer

from contracts.checks import integer, number
from mechanisms.aggregation.geometry import combine, lengths_from, squared_distances
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


def adaptive_clipping(updates: Any, *, malicious: int) -> Any:
    """Clip the floor(2 f (n - f) / n) longest rows to the length of the next one (ARC, adaptive robust
    clipping).

    Args:
        updates: (n, d) array, NumPy or JAX. A row that is not finite is absent and becomes zero.
        malicious: how many malicious rows to withstand, f; needs n >= 2 f + 1.

    Returns:
        (n, d) clipped updates.

    Raises:
        InvalidInput: too few updates, or more than f rows that are not finite.

    >>> adaptive_clipping([[1.0, 0.0], [0.0, 2.0], [9.0, 0.0]], malicious=1)
    array([[1., 0.],
           [0., 2.],
           [2., 0.]])
    """
    f, count = malicious_count(malicious), len(as_updates(updates))
    return run_rule(
        _clip_longest,
        updates,
        rule="adaptive_clipping",
        least=2 * f + 1,
        needs=f"2 * malicious + 1 = {2 * f + 1}",
        tolerated=f,
        alike=0,
        clipped=2 * f * (count - f) // count,
    )


def _clip_longest(values: Any, present: Any, *, clipped: int) -> Any:
    xp = namespace(values)
    lengths = xp.where(present, lengths_from(values), xp.inf)
    return _clipped(values, present, xp.sort(lengths)[len(values) - clipped - 1])


def static_clipping(updates: Any, *, radius: float) -> Any:
    """Clip every row to a length.

    A length that is right at the beginning of training is too large at its end, so that attacks are let
    through, or the other way round; `adaptive_clipping` takes it from the rows.

    Args:
        updates: (n, d) array, NumPy or JAX. A row that is not finite is absent and becomes zero.
        radius: the length, in the units of the updates, >= 0.

    Returns:
        (n, d) clipped updates.

    Raises:
        InvalidInput: an argument out of range, or half of the rows or more are not finite.

    >>> static_clipping([[1.0, 0.0], [0.0, 4.0]], radius=2.0)
    array([[1., 0.],
           [0., 2.]])
    """
    values = as_updates(updates)
    limit = np.asarray(number("radius", radius, low=0), values.dtype)
    few = (len(values) - 1) // 2
    return run_rule(_clipped, values, limit, rule="static_clipping", tolerated=few, alike=1)


def _clipped(values: Any, present: Any, limit: Any) -> Any:
    xp = namespace(values)
    lengths = lengths_from(values)
    factors = xp.where(lengths > limit, limit / xp.where(lengths > 0, lengths, 1), 1) * present
    return (values * factors[:, None]).astype(values.dtype)


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
