"""Formulas written once for NumPy and JAX: which library evaluates them, and in which precision.

A curve or a valuation is a formula `f(x, xp)` over an array library `xp`. Ordinary numbers are evaluated by
NumPy (no compilation, float64); JAX arrays and tracers by `jax.numpy`, so that the same object can be
differentiated, mapped and compiled.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from contracts import checks
from contracts.errors import ModelpactError

_started: set[int] = set()  # processes in which JAX has computed for us


@contextlib.contextmanager
def double_precision() -> Iterator[None]:
    """A scope in which JAX computes with float64.

    Raises:
        ModelpactError: this process was forked from one in which JAX had started, where it would wait for ever
            for threads that were not copied.
    """
    if _started and os.getpid() not in _started:
        raise ModelpactError(
            "this process was forked after JAX had started, where JAX waits for ever: expected workers that are"
            " spawned, such as multiprocessing.get_context('spawn')"
        )
    _started.add(os.getpid())
    with jax.enable_x64(True):
        yield


def library(*values: Any) -> ModuleType:
    """Return `jax.numpy` if any value is a JAX array or tracer, else `numpy`."""
    leaves = jax.tree_util.tree_leaves(values, is_leaf=_is_no_tree)
    return jnp if any(isinstance(leaf, jax.Array) for leaf in leaves) else np


def _is_no_tree(value: Any) -> bool:
    return isinstance(value, Iterable) and not isinstance(value, list | tuple | dict)


def traced(*values: Any) -> bool:
    """Whether any value is a tracer, which has no numbers to check."""
    return any(isinstance(value, Tracer) for value in values)


def batched(value: Any, own: int) -> bool:
    """Whether a value of `own` dimensions is a tracer, or a JAX array with batch dimensions in front."""
    return isinstance(value, jax.Array) and (traced(value) or value.ndim > own)


def parameter(name: str, value: Any, **interval: Any) -> Any:
    """Check a number or an array of numbers (a batch); let tracers pass unchecked."""
    if traced(value):
        return value
    given = checks.reals(value)
    if given is None or given.ndim == 0:
        return checks.number(name, value, **interval)
    return checks.array(name, value, ndim=None, **interval)


def filled(values: np.ndarray, least: int) -> np.ndarray:
    """Values in one row, filled up to a power of two: for every length JAX compiles anew."""
    row = np.full(1 << max(values.size - 1, least - 1).bit_length(), values.flat[0] if values.size else 0.0)
    row[: values.size] = values.ravel()
    return row


def compiled(function: Callable[..., Any], *, static: Sequence[str] = ()) -> Callable[[Any], Callable[..., Any]]:
    """What compiles a function of a curve and other arguments: curve -> compiled function.

    Settled curves of one kind share what is compiled; for others, which may read what changes, it is made anew.
    """
    options: dict[str, Any] = {"static_argnames": tuple(static)}
    shared = jax.jit(function, **options)
    return lambda curve: shared if curve.settled else jax.jit(partial(function), **options)
