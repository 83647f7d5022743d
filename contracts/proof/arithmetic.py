"""What floats and balls (`contracts.proof.intervals.ball`) do not do alike: which of two is smaller.

All formulas of the kernel that are not about rounding itself are written once, for arrays of floats and for
object arrays of balls.
"""

from __future__ import annotations

from typing import Any

import numpy as np


def smaller(first: Any, second: Any) -> Any:
    """The smaller of two, element by element; of balls what holds it whichever it is."""
    if np.asarray(first).dtype == object or np.asarray(second).dtype == object:
        return _smaller(first, second)
    return np.minimum(first, second)


def larger(first: Any, second: Any) -> Any:
    """The larger of two, element by element."""
    return -smaller(-first, -second)


def least(values: np.ndarray) -> Any:
    """The smallest of some."""
    return _smaller.reduce(values) if values.dtype == object else values.min()


def largest_so_far(values: np.ndarray) -> Any:
    """Of each and all before it the largest."""
    return -_smaller.accumulate(-values) if values.dtype == object else np.maximum.accumulate(values)


def _smaller_ball(first: Any, second: Any) -> Any:
    if isinstance(first, float):
        return min(first, second) if isinstance(second, float) else second.min(first)
    return first.min(second)


_smaller = np.frompyfunc(_smaller_ball, 2, 1)
