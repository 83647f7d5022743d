"""Formulas written once for NumPy and JAX: which library evaluates them, and in which precision.

A curve or a valuation is a formula `f(x, xp)` over an array library `xp`. Ordinary numbers are evaluated by
NumPy (no compilation, float64); JAX arrays and tracers by `jax.numpy`, so that the same object can be
differentiated, mapped and compiled.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from contracts import checks


def library(*values: Any) -> ModuleType:
    """Return `jax.numpy` if any value is a JAX array or tracer, else `numpy`."""
    leaves = jax.tree_util.tree_leaves(values)
    return jnp if any(isinstance(leaf, jax.Array) for leaf in leaves) else np


def parameter(name: str, value: Any, **interval: Any) -> Any:
    """Check a number or an array of numbers (a batch); let JAX arrays and placeholders pass unchecked."""
    if isinstance(value, np.ndarray | list | tuple) and np.ndim(value) > 0:
        return checks.array(name, value, ndim=None, **interval)
    if isinstance(value, int | float | np.generic | np.ndarray | str | list | tuple):
        return checks.number(name, value, **interval)
    if type(value) is object or isinstance(value, jax.Array):  # jax.tree_util puts placeholders into leaves
        return value
    return checks.number(name, value, **interval) if not hasattr(value, "shape") else value
