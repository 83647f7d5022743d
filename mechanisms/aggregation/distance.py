"""Rules that choose whole rows by their distances to the others: Krum, Multi-Krum, Bulyan, minimum diameter.

Sources: P. Blanchard, E. M. El Mhamdi, R. Guerraoui, J. Stainer, "Machine learning with adversaries:
Byzantine tolerant gradient descent", NeurIPS 2017 (Krum, Multi-Krum, with n - f - 2 neighbours); E. M. El
Mhamdi, R. Guerraoui, S. Rouault, "The hidden vulnerability of distributed learning in Byzantium", ICML 2018
(Bulyan; minimum-diameter averaging as Brute).
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from contracts.checks import integer
from contracts.errors import NotConverged
from mechanisms.aggregation.coordinatewise import _mean_around_median
from mechanisms.aggregation.diameter import least_diameter_subset
from mechanisms.aggregation.geometry import combine, squared_distances
from mechanisms.aggregation.selection import (
    as_weights,
    first,
    neighbour_scores,
    repeat,
    smallest,
    tie_keys,
)
from mechanisms.aggregation.updates import malicious_count, namespace, run_rule


def krum(updates: Any, *, malicious: int) -> Any:
    """Return the row with the least sum of squared distances to its n - f - 2 nearest other rows.

    Some libraries count n - f - 1 neighbours; the original has n - f - 2, and so has this. Ties: see
    `mechanisms.aggregation.selection`.

    Args:
        updates: (n, d) array, NumPy or JAX. Rows that are not finite are absent.
        malicious: how many malicious rows to withstand, f; the rule needs n >= 2 f + 3.

    Returns:
        One of the rows of `updates`, unchanged.

    Raises:
        InvalidInput: too few updates, or more than f rows that are not finite.

    >>> krum([[0.0], [1.0], [1.2], [1.3], [50.0]], malicious=1)
    array([1.2])
    """
    f = malicious_count(malicious)
    return run_rule(_krum, updates, rule="krum", **_at_least(2, f), malicious=f, chosen=1)


def multi_krum(updates: Any, *, malicious: int, chosen: int | None = None) -> Any:
    """Average the `chosen` rows with the least Krum scores.

    Args:
        updates: (n, d) array, NumPy or JAX. Rows that are not finite are absent.
        malicious: how many malicious rows to withstand, f; the rule needs n >= 2 f + 3.
        chosen: how many rows to average, from 1 (Krum) to n - f (default).

    Returns:
        The average of the chosen rows, length d.

    Raises:
        InvalidInput: too few updates, more than f rows that are not finite, or `chosen` out of range.

    >>> multi_krum([[0.0], [1.0], [1.5], [1.3], [50.0]], malicious=1)
    array([0.95])
    """
    f = malicious_count(malicious)
    size = len(updates)
    count = max(size - f, 1) if chosen is None else integer("chosen", chosen, low=1, high=max(size - f, 1))
    return run_rule(_krum, updates, rule="multi_krum", **_at_least(2, f), malicious=f, chosen=count)


def _krum(values: Any, present: Any, *, malicious: int, chosen: int) -> Any:
    squared = squared_distances(values, present)
    scores = neighbour_scores(squared, len(values) - malicious - 2)
    mask = smallest(scores, tie_keys(values, squared), chosen, present)
    return combine(as_weights(mask), values)


def bulyan(updates: Any, *, malicious: int) -> Any:
    """Choose n - 2 f rows by repeated Krum, then average per parameter the n - 4 f values closest to the
    median.

    Every choice takes the row with the best Krum score among those not chosen yet, its neighbours counted
    among them too: with m rows left it has m - f - 2 neighbours, and at least one.

    Args:
        updates: (n, d) array, NumPy or JAX. Rows that are not finite are absent.
        malicious: how many malicious rows to withstand, f; the rule needs n >= 4 f + 3.

    Returns:
        The aggregate, length d.

    Raises:
        InvalidInput: too few updates, or more than f rows that are not finite.

    >>> bulyan([[0.0], [1.0], [2.0], [3.0], [4.0], [5.0], [1e6]], malicious=1)
    array([2.])
    """
    f = malicious_count(malicious)
    return run_rule(_bulyan, updates, rule="bulyan", **_at_least(4, f), malicious=f)


def _bulyan(values: Any, present: Any, *, malicious: int) -> Any:
    xp = namespace(values)
    size, kept = len(values), len(values) - 2 * malicious
    squared = squared_distances(values, present)
    keys = tie_keys(values, squared)
    ranks = xp.arange(size)

    def choose(step: Any, state: Any) -> Any:
        place, left = state
        among = xp.where(left[:, None] & left[None, :], squared, xp.inf)
        others = xp.sort(xp.where(xp.eye(size, dtype=bool), xp.inf, among), axis=1)
        neighbours = xp.maximum(size - step - malicious - 2, 1)
        scores = xp.where(ranks[None, :] < neighbours, others, 0).sum(axis=1)
        best = first(scores, keys, left)
        return xp.where(best, step, place), left & ~best

    place, _ = repeat(choose, kept, (xp.full(size, size), xp.asarray(present)))
    rows = values[xp.argsort(place)[:kept]]
    return _mean_around_median(rows, xp.ones(kept, bool), keep=kept - 2 * malicious)


def minimum_diameter(updates: Any, *, malicious: int) -> Any:
    """Average the n - f rows whose largest mutual distance is least (MDA).

    The least diameter is usually shared by many subsets; among them the one with the least sum of squared
    distances is taken, see `mechanisms.aggregation.diameter`, which also finds it without listing all
    subsets.

    Args:
        updates: (n, d) array, NumPy or JAX. Rows that are not finite are absent.
        malicious: how many malicious rows to withstand, f; the rule needs n >= 2 f + 1.

    Returns:
        The average of the chosen rows, length d.

    Raises:
        InvalidInput: too few updates, or more than f rows that are not finite.
        NotConverged: the search passed its limit (NumPy; JAX gives NaN).

    >>> minimum_diameter([[0.0], [1.0], [1.5], [50.0], [60.0]], malicious=2)
    array([0.83333333])
    """
    f = malicious_count(malicious)
    return run_rule(
        _minimum_diameter,
        updates,
        rule="minimum_diameter",
        least=2 * f + 1,
        needs=f"2 * malicious + 1 = {2 * f + 1}",
        tolerated=f,
        alike=0,
        malicious=f,
    )


def _minimum_diameter(values: Any, present: Any, *, malicious: int) -> Any:
    squared = squared_distances(values, present)
    keys = tie_keys(values, squared)[1]

    def search(distances: Any, keys: Any) -> Any:
        try:
            return least_diameter_subset(distances, keys, malicious)
        except NotConverged:
            return np.zeros(len(distances), bool)  # compiled code cannot raise; the result is NaN

    if isinstance(values, jax.Array):
        shape = jax.ShapeDtypeStruct((len(values),), jnp.bool_)
        squared, keys = jax.lax.stop_gradient((squared, keys))  # a choice has no derivative
        chosen = jax.pure_callback(search, shape, squared, keys, vmap_method="sequential")
    else:
        chosen = least_diameter_subset(squared, keys, malicious)
    xp = namespace(values)
    return xp.where(chosen.any(), combine(as_weights(chosen), values), xp.nan)


def _at_least(factor: int, malicious: int) -> dict[str, Any]:
    least = factor * malicious + 3
    return {"least": least, "needs": f"{factor} * malicious + 3 = {least}", "tolerated": malicious, "alike": 0}
