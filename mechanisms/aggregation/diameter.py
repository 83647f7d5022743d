"""The rows of least diameter, exactly, without listing subsets.

Leaving f rows out so that no two rows of the rest are farther apart than t means: the left-out rows cover
every edge of the graph that joins rows farther apart than t. So the least diameter is found by bisection
over the n (n - 1) / 2 distances, each step a vertex cover of size f, decided by branching on the row with
most edges. All C(n, f) subsets would be 10^10 for 50 rows and f = 10; this takes milliseconds there.

Many subsets can share the least diameter. Among the covers found at it, each completed to f rows by dropping
the row farthest (in sum of squares) from the rest, the one with the least sum of squared distances is taken,
then the one with the least sum of row keys, so that the order of the rows does not matter.

Source for the branching: M. Cygan et al., "Parameterized Algorithms", Springer 2015, section 3.1.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from contracts.errors import NotConverged
from mechanisms.aggregation.selection import tie_tolerance

MOST_BRANCHES = 200_000  # about a second; random rows take tens


def least_diameter_subset(squared: np.ndarray, keys: np.ndarray, left_out: int) -> np.ndarray:
    """The mask of the n - `left_out` rows with the least diameter.

    Args:
        squared: (n, n) squared distances; infinite to absent rows.
        keys: n numbers that belong to the rows, for ties.
        left_out: how many rows are not chosen, fewer than n / 2.

    Returns:
        n booleans; none is true if every subset holds rows at an infinite distance.

    Raises:
        NotConverged: more than `MOST_BRANCHES` branches.

    >>> places = np.array([0.0, 1.0, 1.5, 50.0, 60.0])
    >>> least_diameter_subset((places[:, None] - places) ** 2, places, 2)
    array([ True,  True,  True, False, False])
    """
    tolerance = tie_tolerance(squared.dtype)
    squared, keys = np.asarray(squared, float), np.asarray(keys, float)
    size = len(squared)
    candidates = np.unique(np.append(squared[np.isfinite(squared)], 0.0))
    low, high = 0, len(candidates) - 1
    while low < high:
        middle = (low + high) // 2
        if next(covers(_farther(squared, candidates[middle] * (1 + tolerance)), left_out), None) is None:
            low = middle + 1
        else:
            high = middle
    edges = _farther(squared, candidates[low] * (1 + tolerance))
    subsets = {_complete(cover, squared, keys, left_out, tolerance) for cover in covers(edges, left_out)}
    mask = np.zeros(size, bool)
    if subsets:
        spreads = {chosen: squared[np.ix_(chosen, chosen)].sum() for chosen in subsets}
        least = min(spreads.values()) * (1 + tolerance)
        tied = [chosen for chosen in subsets if spreads[chosen] <= least]
        mask[list(min(tied, key=lambda chosen: keys[list(chosen)].sum()))] = True
    return mask


def covers(edges: list[int], budget: int) -> Iterator[int]:
    """Sets of at most `budget` vertices that touch every edge, among them all minimal ones.

    Args:
        edges: for every vertex, its neighbours as the bits of an integer.
        budget: the largest number of vertices.

    Yields:
        The vertices of a cover, as the bits of an integer.

    >>> [f"{cover:03b}" for cover in covers([0b010, 0b101, 0b010], 1)]
    ['010']
    """
    stack = [((1 << len(edges)) - 1, 0, budget)]  # vertices still undecided, cover so far, budget left
    branches = 0
    while stack:
        alive, cover, left = stack.pop()
        branches += 1
        if branches > MOST_BRANCHES:
            raise NotConverged(f"minimum_diameter: more than {MOST_BRANCHES} branches for {len(edges)} updates")
        degrees = [(edges[v] & alive).bit_count() if alive >> v & 1 else 0 for v in range(len(edges))]
        most = max(degrees)
        if most == 0:
            yield cover
            continue
        if left <= 0 or sum(degrees) > 2 * left * most:
            continue
        vertex = degrees.index(most)
        neighbours = edges[vertex] & alive
        if most <= left:
            stack.append((alive & ~neighbours & ~(1 << vertex), cover | neighbours, left - most))
        stack.append((alive & ~(1 << vertex), cover | 1 << vertex, left - 1))


def _farther(squared: np.ndarray, limit: float) -> list[int]:
    return [sum(1 << int(j) for j in np.flatnonzero(row > limit)) for row in squared]


def _complete(
    cover: int, squared: np.ndarray, keys: np.ndarray, left_out: int, tolerance: float
) -> tuple[int, ...]:
    inside = [v for v in range(len(squared)) if not cover >> v & 1]
    while len(inside) > len(squared) - left_out:
        totals = squared[np.ix_(inside, inside)].sum(axis=1)
        farthest = totals >= totals.max() * (1 - tolerance)
        del inside[int(np.argmax(np.where(farthest, keys[inside], -np.inf)))]
    return tuple(inside)
