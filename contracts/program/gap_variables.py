r"""An affine change of variables in which linear constraints become bounds.

Of constraints A v >= b so many independent ones are chosen as there are variables, those that bind at pooled
optima first; w = (A v - b) of the chosen ones are the new variables, >= 0. For a chain of incentive constraints
these are its gaps. Equalities (pairs of opposite constraints, also after others have been substituted) are
chosen first and their variables dropped: what is held is held to the last digit. Of the others, those that
follow from w >= 0 are dropped, and the rest stay rows C w + c >= 0.

Prices come back by the same matrix: at a stationary point the prices of the chosen constraints are
(A_chosen^-1)' times the gradient of everything else.
"""

from __future__ import annotations

import itertools
from typing import NamedTuple

import numpy as np

TINY = 1e-12
CANDIDATES, SAME = 1e-9, 1e-11


class Pair(NamedTuple):
    """An equality: constraint `first` and, once earlier equalities are substituted, its opposite `second`.

    Attributes:
        first, second: their places in A.
        ratio: `second` is -ratio times `first`, as substituted.
        first_uses, second_uses: how much of each earlier equality, as substituted, was taken off either.
    """

    first: int
    second: int
    ratio: float
    first_uses: np.ndarray
    second_uses: np.ndarray


class GapVariables(NamedTuple):
    """v = base + directions w with w >= 0, and rows @ w + const >= 0.

    Attributes:
        base: shape (variables,).
        directions: shape (variables, free).
        bounds: which constraint each free variable is, shape (free,).
        kept: which constraints are rows, shape (kept,).
        rows, const: of these, shape (kept, free) and (kept,).
        chosen: all chosen constraints, equalities first, shape (independent,).
        inverse: shape (variables, independent): the change of v by the value of each chosen one.
        pairs: the equalities.
    """

    base: np.ndarray
    directions: np.ndarray
    bounds: np.ndarray
    kept: np.ndarray
    rows: np.ndarray
    const: np.ndarray
    chosen: np.ndarray
    inverse: np.ndarray
    pairs: tuple[Pair, ...]

    def prices(self, gradient: np.ndarray, of_rows: np.ndarray, constraints: int) -> np.ndarray:
        """Prices of all constraints, shape (constraints,), >= 0 but for rounding.

        Args:
            gradient: of what is minimised by v, less the priced rows and other constraints, shape (variables,).
            of_rows: prices of the rows kept.
            constraints: how many there are.
        """
        found = np.zeros(constraints)
        found[self.kept] = of_rows
        of_chosen = self.inverse.T @ gradient
        equal = len(self.pairs)
        found[self.chosen[equal:]] += of_chosen[equal:]
        # A price of a constraint as substituted is one of itself and of the earlier ones that were taken off.
        more = np.zeros(equal)
        for k in range(equal - 1, -1, -1):
            pair, price = self.pairs[k], of_chosen[k] + more[k]
            more[:k] -= more[k] * pair.first_uses
            if price >= 0.0:
                found[pair.first] += price
            else:
                found[pair.second] -= price / pair.ratio
                more[:k] += price * (pair.second_uses / pair.ratio + pair.first_uses)
        return found


def gap_variables(matrix: np.ndarray, least: np.ndarray, rank: np.ndarray) -> GapVariables:
    """Choose variables for matrix @ v >= least.

    Args:
        matrix: shape (constraints, variables), of natural scale (largest entries about 1).
        least: shape (constraints,).
        rank: which constraints to choose first (the lowest), shape (constraints,).
    """
    pairs, reduced, alive = _equalities(matrix, least)
    order = np.flatnonzero(alive)
    order = order[np.argsort(rank[order], kind="stable")]
    others = _independent(reduced, order, matrix.shape[1] - len(pairs))
    chosen = np.array([pair.first for pair in pairs] + others, dtype=int)
    basis = matrix[chosen]
    if chosen.size < matrix.shape[1]:
        basis = np.vstack([basis, _completion(basis)])
    # Slopes between nearly equal costs are huge: with rows of one size nothing is lost to them.
    height = np.abs(basis).max(axis=1)
    inverse = (np.linalg.inv(basis / height[:, None]) / height)[:, : chosen.size]
    base, directions = inverse @ least[chosen], inverse[:, len(pairs) :]
    kept = np.setdiff1d(order, others, assume_unique=True)
    rows, const = matrix[kept] @ directions, matrix[kept] @ base - least[kept]
    size = np.abs(rows).max(axis=1, initial=0.0)
    rows[np.abs(rows) < TINY * size[:, None]] = 0.0
    sums = np.abs(matrix[kept]) @ np.abs(base) + np.abs(least[kept])
    const[np.abs(const) < TINY * sums] = 0.0  # rounding, of which no constraint should come
    needed = (rows < 0.0).any(axis=1) | (const < 0.0)
    return GapVariables(
        base, directions, np.array(others, dtype=int), kept[needed], rows[needed], const[needed], chosen,
        inverse, tuple(pairs),
    )  # fmt: skip


def _equalities(matrix: np.ndarray, least: np.ndarray) -> tuple[list[Pair], np.ndarray, np.ndarray]:
    """Find pairs of opposites until there are no more; the constraints with them substituted."""
    reduced, rest = matrix.copy(), least.copy()
    uses = np.zeros((least.size, 0))
    alive, pairs = np.ones(least.size, dtype=bool), []
    scale = np.abs(matrix).max(axis=1, initial=1e-300)
    while True:
        found = _opposites(reduced, rest, alive)
        if not found:
            return pairs, reduced, alive
        for first, second in found:
            row = reduced[first].copy()
            pivot = int(np.argmax(np.abs(row)))
            if not alive[[first, second]].all() or np.abs(row[pivot]) < 1e-9 * scale[first]:
                continue
            ratio = -float(reduced[second, pivot] / row[pivot])
            if np.abs(reduced[second] + ratio * row).max() > TINY * np.abs(reduced[second]).max():
                continue  # changed by the equalities just found: the next round looks again
            pairs.append(Pair(first, second, ratio, uses[first], uses[second]))
            alive[[first, second]] = False
            share = reduced[:, pivot] / row[pivot]
            share[~alive] = 0.0
            reduced = reduced - np.outer(share, row)
            reduced[np.abs(reduced) < TINY * scale[:, None]] = 0.0
            rest = rest - share * rest[first]
            uses = np.column_stack([uses, share])
            # What is left of some holds by itself.
            alive &= (np.abs(reduced).max(axis=1) > 0.0) | (rest > TINY * np.maximum(1.0, np.abs(least)))


def _opposites(reduced: np.ndarray, rest: np.ndarray, alive: np.ndarray) -> list[tuple[int, int]]:
    """Pairs of constraints that hold a linear form from both sides at one value."""
    places = np.flatnonzero(alive)
    size = np.abs(reduced[places]).max(axis=1, initial=0.0)
    places, size = places[size > 0.0], size[size > 0.0]
    # A fixed mix of the numbers of each constraint finds candidates; they are compared in full.
    mix = np.cos(1.0 + np.arange(reduced.shape[1] + 1))
    normal = np.column_stack([reduced[places], rest[places]]) / size[:, None]
    keys = normal @ mix
    order = np.argsort(np.abs(keys), kind="stable")
    found, last = [], -1
    for i, j in itertools.pairwise(order):
        near = abs(keys[i] + keys[j]) <= CANDIDATES * (1.0 + abs(keys[i]))
        if near and i != last and np.abs(normal[i] + normal[j]).max() <= SAME * (1.0 + np.abs(normal[i]).max()):
            first, second = sorted((int(places[i]), int(places[j])))
            found.append((first, second))
            last = j
    return found


def _independent(reduced: np.ndarray, order: np.ndarray, most: int) -> list[int]:
    """The first independent rows in the given order, by elimination."""
    left = reduced[order]
    size = np.abs(left).max(axis=1, initial=1e-300)
    found: list[int] = []
    for k in range(order.size):
        if len(found) == most:
            break
        row = left[k]
        pivot = int(np.argmax(np.abs(row)))
        if np.abs(row[pivot]) <= 1e-9 * size[k]:
            continue
        found.append(int(order[k]))
        below = left[k + 1 :]
        touched = np.flatnonzero(below[:, pivot])
        below[touched] -= np.outer(below[touched, pivot] / row[pivot], row)
        below[touched, pivot] = 0.0
    return found


def _completion(basis: np.ndarray) -> np.ndarray:
    """Unit rows for the variables that no constraint speaks of: they are held at zero."""
    silent = np.flatnonzero(~basis.any(axis=0))
    return np.eye(basis.shape[1])[silent]
