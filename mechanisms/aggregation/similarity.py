"""FoolsGold: participants that pull together round after round count less.

Source: C. Fung, C. J. M. Yoon, I. Beschastnikh, "The limitations of federated learning in sybil settings",
RAID 2020, algorithm 1.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from contracts.errors import InvalidInput
from mechanisms.aggregation.geometry import combine, inner_products
from mechanisms.aggregation.selection import tie_tolerance
from mechanisms.aggregation.updates import as_updates, finite_rows, namespace, run_rule, unit_peaks


def foolsgold(updates: Any, *, history: Any = None) -> Any:
    """Average the rows with weights that fall with the largest cosine between a row's history and another's.

    It assumes that honest participants differ and that colluders are alike: identical honest rows are taken
    for colluders, and colluders who take care to differ are not seen.

    Args:
        updates: (n, d) array, NumPy or JAX. Rows that are not finite are absent.
        history: (n, d) array of every participant's summed updates up to this round; None takes `updates`. A
            row that is not finite makes its participant absent.

    Returns:
        The weighted mean, length d; zero if every weight is zero.

    Raises:
        InvalidInput: `updates` or `history` is not an (n, d) array of real numbers, or no row is finite.

    >>> foolsgold([[1.0, 0.0], [0.0, 1.0], [-3.0, -3.0], [-3.0, -3.0]])
    array([0.5, 0.5])
    """
    values = as_updates(updates)
    past = values if history is None else as_updates(history, "history")
    if past.shape != values.shape:
        raise InvalidInput(f"history has shape {past.shape}: expected that of updates, {values.shape}")
    if isinstance(values, jax.Array) or isinstance(past, jax.Array):
        values, past = jnp.asarray(values), jnp.asarray(past)
    return run_rule(_foolsgold, values, past, rule="foolsgold")


def _foolsgold(values: Any, present: Any, history: Any) -> Any:
    weights = foolsgold_weights(history, present)
    total = weights.sum()
    xp = namespace(values)
    return combine(weights / xp.where(total > 0, total, 1), values)


def foolsgold_weights(history: Any, present: Any) -> Any:
    """The weight in [0, 1] of every row, from the cosines between histories."""
    xp = namespace(history)
    size = len(history)
    present = present & finite_rows(history)
    products = inner_products(unit_peaks(history, present))
    lengths = xp.sqrt(xp.diagonal(products))
    scale = xp.where((lengths > 0) & present, lengths, 1)
    cosines = xp.where(present[:, None] & present[None, :], products, 0) / scale[:, None] / scale[None, :]
    cosines = xp.where(xp.eye(size, dtype=bool), 0, cosines)
    most = cosines.max(axis=1)
    # Pardon: an honest row that resembles a colluder resembles it less than the colluders each other.
    pardoned = (most[:, None] < most[None, :]) & (most[None, :] > 0)
    cosines = xp.where(pardoned, cosines * most[:, None] / xp.where(most > 0, most, 1)[None, :], cosines)
    weights = xp.clip(1 - cosines.max(axis=1), 0, 1) * present
    weights = xp.where(weights < tie_tolerance(weights.dtype), 0, weights)  # parallel up to rounding
    top = weights.max()
    weights = xp.clip(weights / xp.where(top > 0, top, 1), 1e-12, 0.99)  # 0.99 as in the authors' code
    return xp.clip(xp.log(weights / (1 - weights)) + 0.5, 0, 1) * present
