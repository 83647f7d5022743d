"""Rules that keep the larger crowd: SignGuard by the signs of the entries, clustering by directions.

Sources: J. Xu, S.-L. Huang, L. Song, T. Lan, "Byzantine-robust federated learning through collaborative
malicious gradient filtering", ICDCS 2022 (SignGuard); F. Sattler, K.-R. Mueller, T. Wiegand, W. Samek, "On the
Byzantine robustness of clustered federated learning", ICASSP 2020 (clustering).
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform

from contracts.checks import number
from mechanisms.aggregation.centers import masked_median
from mechanisms.aggregation.geometry import combine, inner_products, majority_spread, row_keys, squared_lengths
from mechanisms.aggregation.selection import as_weights
from mechanisms.aggregation.updates import as_updates, namespace, run_rule, unit_peaks

SHIFTS = 20  # steps of the mean shift


def signguard(updates: Any, *, shortest: float = 0.1, longest: float = 3.0) -> Any:
    """Average rows of ordinary length and signs, clipped to the median length.

    A row is ordinary in length between `shortest` and `longest` times the median; in signs, if its fractions of
    positive, zero and negative entries belong to the largest cluster, by mean shift with twice the radius of the
    smallest ball around a row that holds more than half. If no row is both, those of ordinary signs are
    averaged.

    Signs say nothing of directions: an attack that keeps the fractions passes. It has no bound, but its result
    is never longer than the median row.

    Args:
        updates: (n, d) array, NumPy or JAX. Rows that are not finite are absent.
        shortest, longest: in median lengths, 0 <= shortest <= 1 <= longest.

    Returns:
        The aggregate, length d.

    Raises:
        InvalidInput: an argument out of range, or half of the rows or more are not finite.

    >>> signguard([[1.0, 2.0], [2.0, 1.0], [1.0, 1.0], [-1.0, -2.0]]).round(2)
    array([1.33, 1.33])
    """
    low = number("shortest", shortest, low=0, high=1)
    high = number("longest", longest, low=1)
    few = (len(as_updates(updates)) - 1) // 2
    return run_rule(_signguard, updates, rule="signguard", tolerated=few, alike=0, shortest=low, longest=high)


def _signguard(values: Any, present: Any, *, shortest: float, longest: float) -> Any:
    xp = namespace(values)
    lengths = xp.sqrt(squared_lengths(values))
    middle = masked_median(lengths, present)
    ordinary = present & (lengths >= shortest * middle) & (lengths <= longest * middle)
    kind = values.dtype  # of truth values JAX takes the mean in 32 bits, which ties would feel
    signs = xp.stack([(values > 0).mean(axis=1, dtype=kind), (values < 0).mean(axis=1, dtype=kind)], axis=1)
    crowd = _largest_cluster(signs, present, row_keys(values), 1 / values.shape[1])
    chosen = xp.where((crowd & ordinary).any(), crowd & ordinary, crowd)
    factors = xp.where(lengths > middle, middle / xp.where(lengths > 0, lengths, 1), 1)
    return combine((as_weights(chosen) * factors).astype(lengths.dtype), values)


def _largest_cluster(points: Any, present: Any, keys: Any, chance: float) -> Any:
    """The rows whose mean shift, in a ball of the majority's radius, ends where most rows' does.

    The squared radius is at least `chance`, by which fractions of d entries differ anyway.
    """
    xp = namespace(points)

    def gaps(first: Any, second: Any) -> Any:
        return xp.sum((first[:, None] - second[None, :]) ** 2, axis=2)

    spread = 4 * majority_spread(gaps(points, points), present)[0]  # twice as far, squared
    radius = xp.maximum(spread, chance) * (1 + 1e-9)
    ends = points
    for _ in range(SHIFTS):
        near = (gaps(ends, points) <= radius) & present[None, :]
        ends = (near @ points) / xp.maximum(near.sum(axis=1), 1)[:, None]
    together = (gaps(ends, ends) <= radius / 4) & present[None, :] & present[:, None]
    sizes = together.sum(axis=1)
    fullest = present & (sizes == xp.where(present, sizes, 0).max())
    return together[xp.argmin(xp.where(fullest, keys, xp.inf))]


def clustering(updates: Any) -> Any:
    """Average the larger of two clusters of the rows' directions (average linkage of cosine distances).

    A malicious row with an honest direction and any length counts: put "adaptive-clipping+" before it. Honest
    rows in two crowds lose one. It has no bound.

    Args:
        updates: (n, d) array, NumPy or JAX. Rows that are not finite are absent.

    Returns:
        The average of the larger cluster, of the tighter one if they are equally large, length d.

    Raises:
        InvalidInput: `updates` is not an (n, d) array of real numbers, or half of the rows or more are not
            finite.

    >>> clustering([[1.0, 0.0], [1.0, 0.2], [1.0, 0.1], [-9.0, 0.0]]).round(2)
    array([1. , 0.1])
    """
    few = (len(as_updates(updates)) - 1) // 2
    return run_rule(_clustering, updates, rule="clustering", tolerated=few)


def _clustering(values: Any, present: Any) -> Any:
    xp = namespace(values)
    rows = unit_peaks(values, present)
    products = inner_products(rows)
    lengths = xp.sqrt(xp.diagonal(products))
    scale = xp.where(lengths > 0, lengths, 1)
    cosines = products / scale[:, None] / scale[None, :]
    keys = row_keys(rows)
    if xp is np:
        return combine(as_weights(_larger_cluster(cosines, keys, present)), values)
    shape = jax.ShapeDtypeStruct((len(values),), jnp.bool_)
    known = jax.lax.stop_gradient((cosines, keys))
    chosen = jax.pure_callback(_larger_cluster, shape, *known, present, vmap_method="sequential")
    return combine(as_weights(chosen), values)


def _larger_cluster(cosines: Any, keys: Any, present: Any) -> np.ndarray:
    cosines, keys, present = np.asarray(cosines, float), np.asarray(keys), np.asarray(present)
    inside = np.flatnonzero(present)
    inside = inside[np.argsort(keys[inside], kind="stable")]  # so that ties do not depend on the order
    if len(inside) < 3:
        return present
    apart = np.clip(1 - cosines[np.ix_(inside, inside)], 0, 2)
    np.fill_diagonal(apart, 0)
    labels = fcluster(linkage(squareform(apart, checks=False), "average"), 2, "maxclust")

    def order(label: int) -> tuple[float, float, float]:
        members = labels == label
        return -members.sum(), round(apart[np.ix_(members, members)].mean(), 9), keys[inside[members]].min()

    chosen = np.zeros(len(keys), bool)
    chosen[inside[labels == min(np.unique(labels), key=order)]] = True
    return chosen
