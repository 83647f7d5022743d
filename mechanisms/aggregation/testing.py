"""For those who write aggregation rules of their own: data to try them on, and what a robust rule owes.

Needs Hypothesis, which the `test` extra installs.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import strategies as st


@st.composite
def updates(draw: Any, *, rows: tuple[int, int] = (7, 12), columns: tuple[int, int] = (1, 5)) -> np.ndarray:
    """(n, d) updates: small whole numbers, full of ties and equal rows, or draws without ties.

    Args:
        draw: given by Hypothesis.
        rows: the least and largest n.
        columns: the least and largest d.
    """
    shape = draw(st.integers(*rows)), draw(st.integers(*columns))
    if draw(st.booleans()):
        entries = st.lists(st.integers(-3, 3), min_size=shape[0] * shape[1], max_size=shape[0] * shape[1])
        return np.array(draw(entries), float).reshape(shape)
    return np.random.default_rng(draw(st.integers(0, 2**32 - 1))).standard_normal(shape)


def robustness_ratio(rule: Callable[[np.ndarray], np.ndarray], values: np.ndarray, malicious: int) -> float:
    """The largest |rule(U) - mean_S|^2 over the mean squared distance to mean_S, over all sets S of n - f
    rows.

    A rule is (f, kappa)-robust if this is at most kappa for all updates (Allouah et al., AISTATS 2023).

    >>> from mechanisms.aggregation import mean, median
    >>> rows = np.array([[0.0], [1.0], [2.0], [1e6]])
    >>> robustness_ratio(mean, rows, 1) > 1e9 > 10 > robustness_ratio(median, rows, 1)
    True
    """
    result, size, worst = rule(values), len(values), 0.0
    for subset in itertools.combinations(range(size), size - malicious):
        honest = values[list(subset)]
        center = honest.mean(axis=0)
        spread = np.mean(np.sum((honest - center) ** 2, axis=1))
        error = np.sum((result - center) ** 2)
        if spread > 0:
            worst = max(worst, float(error / spread))
        elif error > 1e-18 * max(1.0, float(np.sum(center**2))):
            return np.inf
    return worst
