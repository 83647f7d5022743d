"""Types of equal cost share a row of the program."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from contracts.records import Keyed


def distinct(costs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The distinct costs, falling, and for each cost its place among them; the latest few are remembered."""
    return _sorted(Keyed((costs.tobytes(),), costs))


@lru_cache(maxsize=64)
def _sorted(keyed: Keyed) -> tuple[np.ndarray, np.ndarray]:
    rising, place = np.unique(keyed.value, return_inverse=True)
    return rising[::-1].copy(), rising.size - 1 - place


def per_group(values: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Values of types as values of their rows."""
    result = np.empty(int(groups.max()) + 1)
    result[groups] = values
    return result
