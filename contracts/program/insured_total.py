"""All data of an insured menu: fixed amounts, and equal ones of the top option that the model just pays for.

The top option delivers M = (V(x) - b) / c each, for the largest x = S + n M. For concave V Newton's method from
the right finds it monotonically.

Source: ours.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from contracts.numeric import compiled, double_precision, filled
from contracts.problem.problem import Problem

NEWTON = 60
CLOSE = 1e-13  # relative: data that differ by less are the same


def insured_total(
    plain: Problem, fixed: np.ndarray, top: np.ndarray, guarantee: float, cost: float
) -> np.ndarray:
    """The largest x with x = fixed + top (V(x) - guarantee) / cost, shape (profiles,).

    Args:
        plain: whose value V is.
        fixed: what the other options deliver, shape (profiles,).
        top: how many signed the top option, shape (profiles,).
        guarantee: what it leaves to those for whom it was made.
        cost: of their data.
    """
    x = fixed + top * (plain.largest_value - guarantee) / cost
    for _ in range(NEWTON):
        value, slope = value_and_slope(plain, x)
        step = (x - fixed - top * (value - guarantee) / cost) / (1.0 - top * slope / cost)
        step = np.where(np.isfinite(step), step, 0.0)
        # from the right it only goes left: a step back is rounding
        x = np.where(top > 0.0, np.maximum(x - np.maximum(step, 0.0), fixed), fixed)
        if (np.abs(step) <= CLOSE * np.maximum(x, 1e-300)).all():
            break
    return x


def value_and_slope(plain: Problem, data: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Value of a model trained on `data`, in units of rows, and its derivative, of the same shape."""
    curve, valuation = plain.worth
    with double_precision():
        value, slope = _slopes(curve)(curve, valuation, jnp.asarray(filled(data, 16)))
        return np.asarray(value)[: data.size], np.asarray(slope)[: data.size]


def target_and_slope(plain: Problem, data: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What is maximised by the data trained on, and its derivative: the value, or the accuracy."""
    if plain.target_is_value:
        return value_and_slope(plain, data)
    curve, _ = plain.worth
    with double_precision():
        value, slope = _accuracies(curve)(curve, jnp.asarray(filled(data, 16)))
        return np.asarray(value)[: data.size], np.asarray(slope)[: data.size]


def _worth(curve, valuation, data):
    return valuation.formula(curve.formula(data, jnp), jnp)


def _accuracy(curve, data):
    return curve.formula(data, jnp)


def _each(curve, valuation, data):
    return jax.vmap(jax.value_and_grad(_worth, argnums=2), (None, None, 0))(curve, valuation, data)


def _each_accuracy(curve, data):
    return jax.vmap(jax.value_and_grad(_accuracy, argnums=1), (None, 0))(curve, data)


_slopes = compiled(_each)
_accuracies = compiled(_each_accuracy)
