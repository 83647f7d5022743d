"""What every rule reads: an (n, d) array of updates, one participant a row, NumPy or JAX.

Three things are decided here once, for all rules.

* **Arrays.** NumPy in, NumPy out; JAX in, JAX out, under `jit`, `vmap` and `grad`. Floating types are kept.
* **Rows that are not finite.** A row that holds a NaN or an infinity is *absent*: it has no influence, and it
  counts as one of the malicious rows the rule was told to expect. More absent rows than that is an
  `InvalidInput`; under `jit`, where nothing can be raised, the answer is then NaN in every coordinate. Nothing
  else makes an answer that is not finite.
* **Units.** Rules that measure lengths do so in a unit that no minority decides: the (n - f)-th smallest of the
  rows' largest entries, which lies between two honest rows' whatever f rows hold (f as the rule was told, or
  the most it withstands). Its power of two is taken out before anything is squared. A row more than
  2^300 = 2e90 units long (2^50 = 1e15 for JAX in 32 bits) is absent too; by the choice of the unit these are f
  rows at most, and leaving them out moves no rule by more than f rows may. Rules that only compare the values of
  a parameter accept every finite number.
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
REACH = {8: 300, 4: 50}  # by bytes of an entry: rows longer than 2 to this power, in units, are absent


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


def processors() -> int:
    """How many processors this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def by_columns(
    function: Callable[[slice], Any], columns: int, *, threads: int | None = None, at_once: int = COLUMNS_AT_ONCE
) -> list[Any]:
    """Call `function` on consecutive slices of the columns, on as many threads as there are processors.

    NumPy releases the interpreter's lock inside its loops, so the slices run side by side; each is small
    enough to stay in the cache, which is what makes the rules fast and keeps their memory near the input's.
    """
    slices = [slice(start, min(start + at_once, columns)) for start in range(0, columns, at_once)]

    def quietly(columns: slice) -> Any:
        with np.errstate(all="ignore"):  # a thread does not inherit its caller's setting
            return function(columns)

    workers = min(len(slices), threads or processors())
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
    alike: int | None = None,
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
        alike: for rules that measure lengths, how many of `arrays`, the first ones, are in the units of the
            updates; None for rules that do not.
        static: settings that are fixed when the rule is compiled.
    """
    values = as_updates(updates)
    count = values.shape[0]
    if count < least:
        raise InvalidInput(f"updates has {count} rows: {rule} needs at least {needs}")
    if isinstance(values, Tracer):
        return _guarded(core, values, *arrays, tolerated=tolerated, alike=alike, **static)
    measured = alike is not None and isinstance(values, np.ndarray) and values.dtype == np.float64
    present = _measurable(np.asarray(values), arrays[: alike or 0]) if measured else None
    if present is not None:
        return _finite(_quietly(core, values, present, *arrays, **static))
    present = np.asarray(finite_rows(values))
    check_absent(count - int(present.sum()), count, rule, tolerated)
    if isinstance(values, jax.Array):
        run = _compiled(core, tuple(sorted(static)))
        return run(values, *arrays, tolerated=tolerated, alike=alike, **static)
    exponent = 0
    if measured:
        peaks = np.where(present, np.abs(values).max(axis=1), np.inf)
        present, exponent = _unit(peaks, present, tolerated, arrays[: alike or 0])
    if not present.all():
        values = np.where(present[:, None], values, values.dtype.type(0))
    if exponent:
        values, *rest = _scaled(-exponent, alike or 0, values, *arrays)
        arrays = tuple(rest)
    result = _quietly(core, values, present, *arrays, **static)
    with np.errstate(over="ignore"):
        return _finite(np.ldexp(result, exponent) if exponent else result)


def _quietly(core: Callable[..., Any], *arguments: Any, **static: Any) -> Any:
    with np.errstate(all="ignore"):  # enormous rows overflow on their way to being left out
        return core(*arguments, **static)


def _finite(result: Any) -> Any:
    """An average of finite rows that rounding carried past the largest number is the largest number."""
    if np.isinf(result).any():
        largest = np.finfo(result.dtype).max
        result = np.clip(result, -largest, largest)
    return result


def _measurable(values: np.ndarray, alike: tuple[Any, ...]) -> np.ndarray | None:
    """That all rows are present, if their squares show that none is out of reach; None if they do not."""

    def part(columns: slice) -> np.ndarray:
        return np.einsum("ij,ij->i", values[:, columns], values[:, columns])

    reach = 2.0 ** REACH[8]
    squares = np.sum(by_columns(part, values.shape[1]), axis=0)
    within = bool(((squares > 1 / reach) & (squares < reach)).all())
    if within and all(_quietly(np.vdot, other, other) < reach for other in alike if np.ndim(other) == 1):
        return np.ones(len(values), bool)
    return None


def _unit(peaks: Any, present: Any, tolerated: int | None, alike: Any) -> tuple[Any, Any]:
    """The rows within reach, and the exponent of the unit: a power of two near the (n - f)-th smallest peak.

    Vectors given beside the updates, as a centre, come from whoever runs the rule: the unit is at least theirs,
    and for rules that withstand no stated number of rows it is theirs.
    """
    xp, size = namespace(peaks), len(peaks)
    unit = xp.sort(peaks)[size - 1 - tolerated] if tolerated is not None else xp.zeros_like(peaks[0])
    for other in alike:
        if np.ndim(other) == 1:
            unit = xp.maximum(unit, xp.abs(other).max())
    exponent = xp.frexp(xp.where(xp.isfinite(unit), unit, 0))[1]
    reach = REACH[peaks.dtype.itemsize]
    within = _shifted(peaks, -exponent) <= xp.asarray(2.0**reach, peaks.dtype) * (unit > 0)
    return present & within, exponent


def _shifted(values: Any, exponent: Any) -> Any:
    """Multiply by 2^exponent, exactly, in halves: one factor alone may be out of range."""
    xp, half = namespace(values), exponent // 2
    one = xp.asarray(1, values.dtype)
    return values * xp.ldexp(one, half) * xp.ldexp(one, exponent - half)


def unit_peaks(values: Any, present: Any) -> Any:
    """Every present row times the power of two that brings its largest entry between a half and one.

    For rules in which only the directions of rows matter; absent rows become zero.
    """
    xp = namespace(values)
    values = xp.where(present[:, None], values, 0)
    exponents = xp.frexp(xp.abs(values).max(axis=1))[1][:, None]
    exponents = exponents if xp is np else jax.lax.stop_gradient(exponents)
    return _shifted(values, -exponents)


def _scaled(exponent: Any, alike: int, *arrays: Any) -> list[Any]:
    """The updates and the next `alike` arrays multiplied by 2^exponent."""
    return [_shifted(one, exponent) if index <= alike else one for index, one in enumerate(arrays)]


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


def _guarded(
    core: Any, values: Any, *arrays: Any, tolerated: int | None, alike: int | None, **static: Any
) -> Any:
    present = finite_rows(values)
    limit = values.shape[0] - 1 if tolerated is None else tolerated
    few = jnp.sum(~present) <= limit
    exponent = 0
    if alike is not None:
        fixed = jax.lax.stop_gradient(values)
        peaks = jnp.where(present, jnp.abs(fixed).max(axis=1), jnp.inf)
        present, exponent = _unit(peaks, present, tolerated, jax.lax.stop_gradient(arrays[:alike]))
    values = jnp.where(present[:, None], values, 0)
    if alike is not None:
        values, *rest = _scaled(-exponent, alike, values, *map(jnp.asarray, arrays))
        arrays = tuple(rest)
    result = core(values, present, *arrays, **static)
    if alike is not None:
        result = _shifted(result, exponent)
    largest = jnp.finfo(result.dtype).max
    result = jnp.where(jnp.isinf(result), jnp.sign(result) * largest, result)
    return jnp.where(few, result, jnp.nan)


@functools.cache
def _compiled(core: Any, static: tuple[str, ...]) -> Any:
    return jax.jit(functools.partial(_guarded, core), static_argnames=("tolerated", "alike", *static))
