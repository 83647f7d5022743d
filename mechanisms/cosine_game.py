"""The cosine game of gradients: a coalition is worth the direction it shares with everybody together.

With updates u_i and weights c_i (all one if not given) let u_S = sum of c_i u_i over S. The value of S is
v(S) = cos(u_S, u_N), with v = 0 for a coalition whose updates cancel or are zero (Xu, Lyu, Ma, Miao, Foo and
Low, NeurIPS 2021, cosine gradient Shapley value). The game depends on the updates only through their inner
products, so the number of parameters enters once and all 2^n values follow by doubling. Where the server
takes another step than the sum, as a robust rule does, `reference` is that step: v(S) = cos(u_S, reference).
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from contracts import checks
from contracts.errors import InvalidInput
from mechanisms.shapley import MOST_PLAYERS, ShapleyValues, shapley_from_table

# A coalition whose sum is shorter than this times the lengths in it, squared, has lost digits to cancellation
# in the Gram matrix: it is recomputed from coordinates. At the bound the loss is below 1e-12.
CANCELLED = 1e-2
# A sum this much shorter than the lengths in it is rounding residue of zero.
ZERO = 1e-13
WIDEST = 200  # powers of two between rows: their squares stay far from what overflows


def cosine_values(
    updates: ArrayLike, *, weights: ArrayLike | None = None, reference: ArrayLike | None = None
) -> Float[np.ndarray, " coalitions"]:
    """Return the cosine of every coalition with the reference, in the order of the coalitions' bits.

    Args:
        updates: one row per participant, at most 24 rows; only directions and relative lengths matter.
        weights: one per participant, >= 0; None weights all equally.
        reference: the direction to compare with; None compares with everybody's weighted sum.

    Raises:
        InvalidInput: rows of different sizes, a NaN or infinite entry, too many participants, or updates
            that cancel, so that no direction is left to compare with.

    >>> cosine_values([[1.0, 0.0], [0.0, 1.0]]).round(4)
    array([0.    , 0.7071, 0.7071, 1.    ])
    """
    rows = _weighted(updates, weights, most=MOST_PLAYERS)
    direction = _direction(rows, reference, reach=WIDEST)
    rows = _squeezed(rows, WIDEST)
    squares, reach = _doubled_squares(rows @ rows.T), _doubled(np.linalg.norm(rows, axis=1))
    cancelled = squares < CANCELLED * reach**2
    if reference is None and cancelled[-1]:
        cancelled[1:] = True  # the reference itself is a small difference of large updates
    safe = (reach > 0) & ~cancelled
    values = np.zeros(len(squares))
    values[safe] = _doubled(rows @ direction)[safe] / np.sqrt(squares[safe])
    doubtful = np.flatnonzero(cancelled)
    if len(doubtful):
        values[doubtful] = _direct(rows, direction, doubtful, reach)
    return np.clip(values, -1.0, 1.0)


def cosine_shapley(
    updates: ArrayLike, *, weights: ArrayLike | None = None, reference: ArrayLike | None = None
) -> ShapleyValues:
    """Return the exact cosine gradient Shapley values: each in [-2, 2], their sum 1 (without a reference).

    Twenty participants take a fraction of a second; the cost doubles with each further one.

    Args:
        updates: one row per participant, 1 to 24 rows.
        weights: one per participant, >= 0; None weights all equally.
        reference: the direction to compare with; None compares with everybody's weighted sum.

    Raises:
        InvalidInput: as `cosine_values`.

    >>> cosine_shapley([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]).values.round(4)
    array([0.3988, 0.3988, 0.2023])
    """
    return shapley_from_table(cosine_values(updates, weights=weights, reference=reference))


def cosine_contributions(
    updates: ArrayLike, *, weights: ArrayLike | None = None, reference: ArrayLike | None = None
) -> Float[np.ndarray, " participants"]:
    """Return each participant's own cosine with the reference, the linear-time surrogate of its value.

    The surrogate is v({i}), in [-1, 1]. It keeps the order of the exact values in all but structured cases
    and is close to them in proportion (error falling as size^-1/2 for independent updates), but it does not
    sum to 1: normalise before comparing. A participant whose update is zero gets 0.

    Args:
        updates: one row per participant, any number of rows.
        weights: one per participant, >= 0; None weights all equally.
        reference: the direction to compare with; None compares with everybody's weighted sum.

    Raises:
        InvalidInput: as `cosine_values`.

    >>> cosine_contributions([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]).round(4)
    array([0.8944, 0.8944, 0.4472])
    """
    rows = _weighted(updates, weights)
    direction = _direction(rows, reference, reach=WIDEST)
    rows = _squeezed(rows, 0)  # of one row alone only the direction counts
    lengths = np.linalg.norm(rows, axis=1)
    dots = rows @ direction
    return np.clip(np.divide(dots, lengths, out=np.zeros(len(rows)), where=lengths > 0), -1.0, 1.0)


def _weighted(updates: ArrayLike, weights: ArrayLike | None, most: int | None = None) -> np.ndarray:
    rows = checks.array("updates", updates, ndim=2)
    if most is not None and len(rows) > most:
        raise InvalidInput(
            f"updates has {len(rows)} rows: expected at most {most} for exact values; use "
            "cosine_contributions or sample_shapley"
        )
    if weights is not None:
        factors = checks.array("weights", weights, low=0, length=len(rows))
        rows = rows * (factors / max(factors.max(), np.finfo(float).tiny))[:, None]
    return rows


def _squeezed(rows: np.ndarray, reach: int) -> np.ndarray:
    """The rows in a unit near the median row's largest entry, none but zeros more than 2^reach away from it.

    A coalition with rows so far apart has the direction of the longest, to more digits than there are; so
    nothing is changed, and what one row holds makes no square of another's under- or overflow.
    """
    peaks = np.abs(rows).max(axis=1)
    if not peaks.any():
        return rows
    exponents = np.frexp(peaks)[1]
    unit = int(np.sort(exponents[peaks > 0])[np.count_nonzero(peaks) // 2])
    wanted = np.clip(exponents - unit, -reach, reach)
    return np.ldexp(rows, (wanted - exponents)[:, None])


def _direction(rows: np.ndarray, reference: ArrayLike | None, *, reach: int) -> np.ndarray:
    """The unit vector to compare with."""
    rows = _squeezed(rows, reach)
    if reference is not None:
        (vector,) = _squeezed(checks.array("reference", reference, length=rows.shape[1])[None], 0)
        if not vector.any():
            raise InvalidInput("reference is zero: expected a direction to compare contributions with")
        return vector / np.linalg.norm(vector)
    vector = rows.sum(axis=0)
    norm = np.linalg.norm(vector)
    if norm <= ZERO * np.linalg.norm(rows, axis=1).sum():
        raise InvalidInput("updates sum to zero: expected a joint direction to compare contributions with")
    return vector / norm


def _doubled(terms: np.ndarray) -> np.ndarray:
    """Sums of the terms over all subsets, in bit order."""
    sums = np.zeros(1)
    for term in terms:
        sums = np.concatenate([sums, sums + term])
    return sums


def _doubled_squares(gram: np.ndarray) -> np.ndarray:
    """Squared length of every coalition's sum, in bit order."""
    squares = np.zeros(1)
    for player, row in enumerate(gram):
        squares = np.concatenate([squares, squares + row[player] + 2 * _doubled(row[:player])])
    return squares


def _direct(rows: np.ndarray, direction: np.ndarray, coalitions: np.ndarray, reach: np.ndarray) -> np.ndarray:
    """Cosines of some coalitions from coordinates in an orthogonal basis, which keep all their digits."""
    basis, coordinates = np.linalg.qr(rows.T)
    compared = direction @ basis
    values = np.empty(len(coalitions))
    for start in range(0, len(coalitions), 1 << 16):
        chosen = coalitions[start : start + (1 << 16)]
        members = (chosen[:, None] >> np.arange(len(rows)) & 1).astype(np.float64)
        sums = members @ coordinates.T
        lengths = np.linalg.norm(sums, axis=1)
        alive = lengths > ZERO * reach[chosen]
        values[start : start + len(chosen)] = np.divide(
            sums @ compared, lengths, out=np.zeros(len(chosen)), where=alive
        )
    return values
