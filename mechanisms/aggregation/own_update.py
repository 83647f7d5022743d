"""Distance rules around one's own update: average what is near it, or clip everything to be near it.

Two of them have one knob, the radius in units of the own update's length. A small radius learns little from
others, a large one lets an attacker in; `mechanisms.conflict` measures whether something between does neither.

Sources: L. He, S. P. Karimireddy, M. Jaggi, "Byzantine-robust decentralized learning via ClippedGossip", 2022
(clipping around oneself); M. Fang et al., "Byzantine-robust decentralized federated learning", CCS 2024
(acceptance relative to one's own length); S. Farhadkhani, R. Guerraoui, N. Gupta, L.-N. Hoang, R. Pinot, J.
Stephan, "Robust collaborative learning with linear gradient overhead", ICML 2023 (MoNNA's nearest-neighbour
averaging).
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from contracts.checks import array
from contracts.errors import InvalidInput
from mechanisms.aggregation.geometry import combine, row_keys, squared_lengths
from mechanisms.aggregation.selection import as_weights, smallest
from mechanisms.aggregation.updates import as_updates, malicious_count, namespace, nonnegative, run_rule


def acceptance_radius(updates: Any, *, own: Any, tolerance: float) -> Any:
    """Average the rows no farther from one's own update than `tolerance` times its length.

    Args:
        updates: (n, d) array, NumPy or JAX. Rows that are not finite are absent.
        own: one's own update, length d; it is the result if no row is accepted.
        tolerance: the radius in units of the length of `own`, >= 0.

    Returns:
        The aggregate, length d.

    Raises:
        InvalidInput: an argument out of range, or no row is finite.

    >>> acceptance_radius([[1.0, 0.0], [1.5, 0.0], [9.0, 0.0]], own=[1.0, 0.0], tolerance=1.0)
    array([1.25, 0.  ])
    """
    return _around(_accept, "acceptance_radius", updates, own, tolerance)


def monna(updates: Any, *, own: Any, malicious: int) -> Any:
    """Average the n - f rows nearest to one's own update (nearest-neighbour averaging, MoNNA without its
    momentum).

    With v the mean squared distance of the n - f honest rows to their mean m, the squared error is at most
    4 f / (n - f) times v + |own - m|^2, whatever the others send: it is as good as one's own update is.

    Args:
        updates: (n, d) array, NumPy or JAX. Rows that are not finite are absent.
        own: one's own update, length d.
        malicious: how many malicious rows to withstand, f; the rule needs n >= 2 f + 1.

    Returns:
        The average of the nearest rows, length d.

    Raises:
        InvalidInput: an argument out of range, or more than f rows that are not finite.

    >>> monna([[1.0, 0.0], [1.5, 0.0], [9.0, 0.0]], own=[1.0, 0.0], malicious=1)
    array([1.25, 0.  ])
    """
    f = malicious_count(malicious)
    values, own = _beside(updates, own)
    least = 2 * f + 1
    needs = f"2 * malicious + 1 = {least}"
    return run_rule(
        _nearest, values, own, rule="monna", least=least, needs=needs, tolerated=f, alike=1, keep=len(values) - f
    )


def _nearest(values: Any, present: Any, own: Any, *, keep: int) -> Any:
    gaps = squared_lengths(values, own)
    return combine(as_weights(smallest(gaps, (gaps, row_keys(values)), keep, present)), values)


def clipping_radius(updates: Any, *, own: Any, tolerance: float) -> Any:
    """Average the rows after clipping their difference to one's own update at `tolerance` times its length.

    Args:
        updates: (n, d) array, NumPy or JAX. Rows that are not finite are absent.
        own: one's own update, length d.
        tolerance: the radius in units of the length of `own`, >= 0.

    Returns:
        The aggregate, length d.

    Raises:
        InvalidInput: an argument out of range, or no row is finite.

    >>> clipping_radius([[1.0, 0.0], [1.5, 0.0], [9.0, 0.0]], own=[1.0, 0.0], tolerance=1.0)
    array([1.5, 0. ])
    """
    return _around(_clip, "clipping_radius", updates, own, tolerance)


def _around(core: Any, rule: str, updates: Any, own: Any, tolerance: float) -> Any:
    values, own = _beside(updates, own)
    return run_rule(core, values, own, nonnegative("tolerance", tolerance), rule=rule, alike=1)


def _beside(updates: Any, own: Any) -> tuple[Any, Any]:
    """The updates and one's own, both NumPy or both JAX."""
    values = as_updates(updates)
    if not isinstance(own, jax.Array):
        own = array("own", own, length=values.shape[1]).astype(values.dtype)
    elif own.shape != values.shape[1:]:
        raise InvalidInput(f"own has shape {own.shape}: expected {values.shape[1:]}")
    if isinstance(own, jax.Array) or isinstance(values, jax.Array):
        values, own = jnp.asarray(values), jnp.asarray(own)
    return values, own


def _accept(values: Any, present: Any, own: Any, tolerance: Any) -> Any:
    xp = namespace(values)
    accepted = present & (squared_lengths(values, own) <= tolerance**2 * squared_lengths(own[None])[0])
    return xp.where(accepted.any(), combine(as_weights(accepted), values), own)


def _clip(values: Any, present: Any, own: Any, tolerance: Any) -> Any:
    xp = namespace(values)
    gaps = xp.sqrt(squared_lengths(values, own))
    limit = tolerance * xp.sqrt(squared_lengths(own[None])[0])
    present = present & xp.isfinite(gaps)
    weights = xp.where(gaps > limit, limit / xp.where(gaps > 0, gaps, 1), 1) * present / present.sum()
    return own * (1 - weights.sum()).astype(own.dtype) + combine(weights, values)
