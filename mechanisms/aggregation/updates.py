"""What every rule reads: an (n, d) array of updates, one participant a row, NumPy or JAX.

Three things are decided here once, for all rules.

* **Arrays.** NumPy in, NumPy out; JAX in, JAX out, under `jit`, `vmap` and `grad`. Floating types are kept.
* **Rows that are not finite.** A row that holds a NaN or an infinity (or whose squared length overflows, for
  rules that measure lengths) is *absent*: it has no influence, and it counts as one of the malicious rows the
  rule was told to expect. More absent rows than that is an `InvalidInput`; under `jit`, where nothing can be
  raised, the answer is then NaN in every coordinate.
* **Ties.** Rules that choose rows break ties by a key that belongs to the row and not to its place, so that
  the order in which participants report never matters (`mechanisms.aggregation.selection`).
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from contracts.checks import integer, number
from contracts.errors import InvalidInput

COLUMNS_AT_ONCE = 16_384  # fewer mean more calls, more leave the cache


def namespace(values: Any) -> Any:
    """The module, `numpy` or `jax.numpy`, whose functions work on `values`."""
    return jnp if isinstance(values, jax.Array) else np


def as_updates(updates: Any, name: str = "updates") -> Any:
    """Check the shape and kind of an (n, d) array without looking at its entries.

    Args:
        updates: n participants' updates of d parameters: an array, or rows that NumPy can turn into one.
        name: the argument's name, as the user knows it.

    Returns:
        A NumPy array or a JAX array of a floating type.

    Raises:
        InvalidInput: ragged, empty, not numeric, or not two-dimensional.

    >>> as_updates([[1, 2], [3, 4]]).dtype
    dtype('float64')
    >>> as_updates([[1.0, 2.0], [3.0]])
    Traceback (most recent call last):
    contracts.errors.InvalidInput: updates: expected n rows of equal length d, as an (n, d) array
    """
    shape = "n rows of equal length d, as an (n, d) array"
    try:
        values = updates if isinstance(updates, jax.Array) else np.asarray(updates)
    except (ValueError, TypeError) as error:
        raise InvalidInput(f"{name}: expected {shape}") from error
    if values.dtype == object:
        raise InvalidInput(f"{name}: expected {shape}")
    if not (jnp.issubdtype(values.dtype, jnp.floating) or values.dtype.kind in "iu"):
        raise InvalidInput(f"{name} has type {values.dtype}: expected real numbers")
    if values.ndim != 2 or 0 in values.shape:
        raise InvalidInput(f"{name} has shape {values.shape}: expected {shape}, n >= 1 and d >= 1")
    if values.dtype.kind in "iu":
        values = values.astype(float)
    return values.astype(np.float32) if values.dtype.itemsize < 4 else values


def finite_rows(values: Any) -> Any:
    """Which rows hold neither NaN nor infinity, as n booleans.

    A row's sum is finite only if its entries are, so most rows cost one product with a vector of ones; the
    few whose sum is not finite, perhaps by overflow, are read entry by entry.
    """
    if isinstance(values, jax.Array):
        return jnp.isfinite(values).all(axis=1)
    with np.errstate(all="ignore"):
        present = np.isfinite(values @ np.ones(values.shape[1], values.dtype))
    for row in np.flatnonzero(~present):
        present[row] = np.isfinite(values[row]).all()
    return present


def by_columns(function: Callable[[slice], Any], columns: int, *, threads: int | None = None) -> list[Any]:
    """Call `function` on consecutive slices of the columns, on as many threads as there are processors.

    NumPy releases the interpreter's lock inside its loops, so the slices run side by side; each is small
    enough to stay in the cache, which is what makes the rules fast and keeps their memory near the input's.
    """
    slices = [
        slice(start, min(start + COLUMNS_AT_ONCE, columns)) for start in range(0, columns, COLUMNS_AT_ONCE)
    ]

    def quietly(columns: slice) -> Any:
        with np.errstate(all="ignore"):  # a thread does not inherit its caller's setting
            return function(columns)

    workers = min(len(slices), threads or os.cpu_count() or 1)
    if workers == 1:
        return list(map(quietly, slices))
    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(quietly, slices))


def run_rule(
    core: Callable[..., Any],
    updates: Any,
    *arrays: Any,
    rule: str,
    least: int = 1,
    needs: str = "1 update",
    tolerated: int | None = None,
    **static: Any,
) -> Any:
    """Check the updates, find the absent rows, and run `core(values, present, *arrays, **static)`.

    Args:
        core: the rule itself; it sees zeros in absent rows.
        updates: (n, d) updates.
        arrays: further arrays the rule reads.
        rule: the rule's name, for messages.
        least: the least number of updates the rule needs.
        needs: the same in words.
        tolerated: how many absent rows are accepted; None accepts all but one.
        static: settings that are fixed when the rule is compiled.
    """
    values = as_updates(updates)
    count = values.shape[0]
    if count < least:
        raise InvalidInput(f"updates has {count} rows: {rule} needs at least {needs}")
    if isinstance(values, Tracer):
        return _guarded(core, values, *arrays, tolerated=tolerated, **static)
    present = np.asarray(finite_rows(values))
    check_absent(count - int(present.sum()), count, rule, tolerated)
    if isinstance(values, jax.Array):
        return _compiled(core, tuple(sorted(static)))(values, *arrays, tolerated=tolerated, **static)
    if not present.all():
        values = np.where(present[:, None], values, values.dtype.type(0))
    with np.errstate(all="ignore"):  # enormous rows overflow on their way to being left out
        return core(values, present, *arrays, **static)


def check_absent(absent: int, count: int, rule: str, tolerated: int | None) -> None:
    """Raise if more rows are not finite than the rule tolerates."""
    limit = count - 1 if tolerated is None else tolerated
    if absent > limit:
        raise InvalidInput(f"updates has {absent} rows that are not finite: {rule} accepts at most {limit}")


def malicious_count(value: Any) -> int:
    """The number of malicious rows a rule is to withstand, as a checked whole number."""
    return integer("malicious", value)


def nonnegative(name: str, value: Any) -> Any:
    """A number >= 0; one that JAX is tracing or holds on a device is taken as it is."""
    return value if isinstance(value, jax.Array) else number(name, value, low=0)


def _guarded(core: Any, values: Any, *arrays: Any, tolerated: int | None, **static: Any) -> Any:
    present = finite_rows(values)
    limit = values.shape[0] - 1 if tolerated is None else tolerated
    result = core(jnp.where(present[:, None], values, 0), present, *arrays, **static)
    return jnp.where(jnp.sum(~present) <= limit, result, jnp.nan)


@functools.cache
def _compiled(core: Any, static: tuple[str, ...]) -> Any:
    return jax.jit(functools.partial(_guarded, core), static_argnames=("tolerated", *static))
