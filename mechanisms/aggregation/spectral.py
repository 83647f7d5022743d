"""Rules that look at the covariance of the updates: SMEA, CAF, DnC.

They read only the n x n squared distances: with weights w on the rows and mean m = sum_i w_i u_i, the inner
products <u_i - m, u_j - m> follow from these, and the covariance has the eigenvalues of that matrix weighted.

Sources: Y. Allouah, R. Guerraoui, N. Gupta, R. Pinot, J. Stephan, "On the privacy-robustness-utility trilemma in
distributed learning", ICML 2023 (SMEA); Y. Allouah, R. Guerraoui, J. Stephan, "Towards trustworthy federated
learning with untrusted participants", ICML 2025 (CAF, the covariance bound-agnostic filter); V. Shejwalkar, A.
Houmansadr, "Manipulating the Byzantine", NDSS 2021 (DnC, divide and conquer).
"""

from __future__ import annotations

import itertools
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from contracts.checks import integer
from contracts.errors import InvalidInput
from mechanisms.aggregation.geometry import combine, squared_distances
from mechanisms.aggregation.selection import as_weights, repeat, smallest, tie_keys, tie_tolerance
from mechanisms.aggregation.updates import as_updates, malicious_count, namespace, run_rule

MOST_SUBSETS = 20_000  # half a second
SUBSETS_AT_ONCE = 512
TOGETHER = 1e-9  # eigenvalues this close, relatively, are one: no basis of their space is preferred


def smea(updates: Any, *, malicious: int) -> Any:
    """Average the n - f rows whose covariance has the least top eigenvalue (smallest maximum eigenvalue
    averaging).

    All C(n, f) subsets are tried, with exact eigenvalues (libraries that make one step of the power iteration
    from a random start choose other subsets).

    Args:
        updates: (n, d) array, NumPy or JAX. Rows that are not finite are absent.
        malicious: how many malicious rows to withstand, f; the rule needs n >= 2 f + 1, and at most 20,000
            subsets.

    Returns:
        The average of the chosen rows, length d.

    Raises:
        InvalidInput: too few updates, too many subsets, or more than f rows that are not finite.

    >>> smea([[0.0], [1.0], [2.0], [50.0]], malicious=1)
    array([1.])
    """
    f, size = malicious_count(malicious), len(as_updates(updates))
    if 2 * f < size and math.comb(size, f) > MOST_SUBSETS:
        raise InvalidInput(
            f"updates has {size} rows: smea with malicious = {f} has {math.comb(size, f)} subsets to try, "
            f"expected at most {MOST_SUBSETS}; caf needs none"
        )
    return run_rule(_smea, updates, rule="smea", **_majority(f), malicious=f)


def _smea(values: Any, present: Any, *, malicious: int) -> Any:
    xp, size = namespace(values), len(values)
    squared = squared_distances(values, present)
    kept = size - malicious
    subsets = np.array(list(itertools.combinations(range(size), kept)))

    def top(chosen: Any) -> Any:
        inside = squared[chosen[:, :, None], chosen[:, None, :]]
        known = xp.isfinite(inside).all(axis=(1, 2))
        equal = xp.full((1, kept), 1 / kept, squared.dtype)
        products = _centered(xp.where(known[:, None, None], inside, 0), equal)
        return xp.where(known, xp.linalg.eigvalsh(products)[:, -1], xp.inf)

    if xp is np:
        chunks = range(0, len(subsets), SUBSETS_AT_ONCE)
        tops = np.concatenate([top(subsets[start : start + SUBSETS_AT_ONCE]) for start in chunks])
    else:
        padding = -len(subsets) % min(SUBSETS_AT_ONCE, len(subsets))
        padded = np.concatenate([subsets, subsets[:padding]])
        chunks = padded.reshape(-1, min(SUBSETS_AT_ONCE, len(subsets)), kept)
        tops = jax.lax.map(top, jax.lax.stop_gradient(jnp.asarray(chunks))).ravel()[: len(subsets)]
    tops = xp.maximum(tops, 0)
    keys = tie_keys(values, squared)[1][subsets].sum(axis=1)
    tied = tops <= tops.min() * (1 + tie_tolerance(squared.dtype))
    best = xp.asarray(subsets)[xp.argmin(xp.where(tied, keys, xp.inf))]
    return combine(as_weights((xp.arange(size)[:, None] == best[None, :]).any(axis=1)), values)


def caf(updates: Any, *, malicious: int) -> Any:
    """Weigh rows down by their part in the direction of most variance, again and again; the best mean on the
    way.

    Every step multiplies a row's weight by 1 - tau_i / max tau, tau_i its squared deviation in the top
    direction, until less than n - 2 f of the weight is left. The result is the weighted mean at which the top
    eigenvalue was least. Unlike the original's, eigenvalues are exact.

    Args:
        updates: (n, d) array, NumPy or JAX. Rows that are not finite are absent.
        malicious: how many malicious rows to withstand, f; the rule needs n >= 2 f + 1.

    Returns:
        The weighted mean, length d.

    Raises:
        InvalidInput: too few updates, or more than f rows that are not finite.

    >>> caf([[0.0], [1.0], [2.0], [1e9]], malicious=1).round(6)
    array([1.])
    """
    f = malicious_count(malicious)
    return run_rule(_caf, updates, rule="caf", **_majority(f), malicious=f)


def _caf(values: Any, present: Any, *, malicious: int) -> Any:
    xp, size = namespace(values), len(values)
    squared = squared_distances(values, present)
    present = present & (xp.isfinite(squared).sum(axis=1) > (size > 1))
    squared = xp.where(present[:, None] & present[None, :], squared, 0)
    weights = xp.where(present, 1, 0).astype(squared.dtype)

    def step(index: Any, state: Any) -> Any:
        weights, best, least = state
        total = weights.sum()
        active = (index == 0) | (total > size - 2 * malicious)
        total = xp.where(total > 0, total, 1)
        shares = weights / total
        products = _centered(squared[None], shares[None])[0]
        unit = xp.where(weights > 0, xp.diagonal(products), 0).max()  # squares of what is left cannot overflow
        products, root = products / xp.where(unit > 0, unit, 1), xp.sqrt(shares)
        eigenvalues, vectors = xp.linalg.eigh(products * root[:, None] * root[None, :])
        eigenvalues, largest = xp.maximum(eigenvalues, 0), xp.maximum(eigenvalues[-1], 0)
        better = active & (largest * unit < least)
        best, least = xp.where(better, shares, best), xp.where(better, largest * unit, least)
        along = (eigenvalues >= largest * (1 - TOGETHER)) & (eigenvalues > 0)
        scores = ((products @ (root[:, None] * vectors)) ** 2 / xp.where(along, eigenvalues, 1) * along).sum(
            axis=1
        )
        scores = xp.where(weights > 0, scores, 0)
        most = scores.max()
        active = active & (most > 0)
        # Equal rows fall together: what rounding left of one of them would decide the next step.
        lower = xp.where(
            scores >= most * (1 - TOGETHER), 0, weights * (1 - scores / xp.where(most > 0, most, 1))
        )
        return xp.where(active, lower, weights), best, least

    start = (weights, weights / xp.maximum(weights.sum(), 1), xp.asarray(np.inf, squared.dtype))
    best = repeat(step, size, start)[1]
    return combine(jax.lax.stop_gradient(best) if xp is jnp else best, values)


def dnc(updates: Any, *, malicious: int, parameters: int = 10_000, repetitions: int = 5, seed: int = 0) -> Any:
    """Average the rows that never are among the f with most of the top direction's variance (divide and
    conquer).

    In every repetition some parameters are drawn, the rows centred on their mean there, and the f rows that lie
    farthest along the direction of most variance left out. What is never left out is averaged; if that is
    nothing, what is left out least often.

    A colluder who sends an enormous row is that direction and hides the others: the rule is for attacks that
    hide in the spread. It has no bound.

    Args:
        updates: (n, d) array, NumPy or JAX. Rows that are not finite are absent.
        malicious: how many rows to leave out in every repetition, f; the rule needs n >= 2 f + 1.
        parameters: how many are drawn, at least 1; with d or more, one repetition is all there is.
        repetitions: how often, at least 1.
        seed: of the draws.

    Returns:
        The average of the rows left, length d.

    Raises:
        InvalidInput: an argument out of range, or more than f rows that are not finite.

    >>> dnc([[0.0], [1.0], [2.0], [50.0]], malicious=1)
    array([1.])
    """
    f = malicious_count(malicious)
    drawn = integer("parameters", parameters, low=1)
    times = integer("repetitions", repetitions, low=1)
    settings: dict[str, Any] = {"parameters": drawn, "repetitions": times, "seed": integer("seed", seed)}
    return run_rule(_dnc, updates, rule="dnc", **_majority(f), malicious=f, **settings)


def _dnc(values: Any, present: Any, *, malicious: int, parameters: int, repetitions: int, seed: int) -> Any:
    xp, (size, columns) = namespace(values), values.shape
    draw = np.random.default_rng(seed)
    times = repetitions if parameters < columns else 1
    kept = xp.zeros(size, int)
    for _ in range(times):
        some = values[:, np.sort(draw.choice(columns, parameters, replace=False))] if times > 1 else values
        squared = squared_distances(some, present)
        within = present & (xp.isfinite(squared).sum(axis=1) > (size > 1))
        finite = xp.where(within[:, None] & within[None, :], squared, 0)
        weights = (within / xp.maximum(within.sum(), 1)).astype(finite.dtype)
        eigenvalues, vectors = xp.linalg.eigh(
            _centered(finite[None], weights[None])[0] * within[:, None] * within[None, :]
        )
        along = eigenvalues >= eigenvalues[-1] * (1 - TOGETHER)
        scores = (vectors**2 * xp.maximum(eigenvalues, 0) * along).sum(axis=1)
        kept = kept + smallest(scores, tie_keys(values, squared), size - malicious, within)
    return combine(as_weights(kept == kept.max()), values)


def _centered(squared: Any, weights: Any) -> Any:
    """The inner products of the rows less their weighted mean, for a batch of squared distances and weights."""
    rows = (squared * weights[:, None, :]).sum(axis=2)
    mean = (rows * weights).sum(axis=1)[:, None, None]
    return (rows[:, :, None] + rows[:, None, :] - squared - mean) / 2


def _majority(malicious: int) -> dict[str, Any]:
    least = 2 * malicious + 1
    return {"least": least, "needs": f"2 * malicious + 1 = {least}", "tolerated": malicious, "alike": 0}
