"""Constraints as bounds: the same set of points, and prices that add up to the gradient."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.program.gap_variables import gap_variables


def constraints(seed, equal):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(2, 5))
    matrix = np.vstack([np.eye(n), -np.eye(n), rng.choice([-1.0, 0.0, 0.5, 1.0], (4, n))])
    point = rng.uniform(0.2, 0.8, n)
    least = np.concatenate([np.zeros(n), -np.ones(n), matrix[2 * n :] @ point - rng.uniform(0.0, 0.5, 4)])
    if equal:  # the last one holds with equality, which only its opposite says
        matrix, least = np.vstack([matrix, -2.0 * matrix[-1]]), np.append(least, -2.0 * (matrix[-1] @ point))
        least[-2] = matrix[-2] @ point
    return matrix, least, point, rng


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.booleans())
def test_the_same_points_and_prices(seed, equal):
    matrix, least, point, rng = constraints(seed, equal)
    if not np.abs(matrix).max(axis=1).all():
        matrix, least = matrix[np.abs(matrix).max(axis=1) > 0], least[np.abs(matrix).max(axis=1) > 0]
    gaps = gap_variables(matrix, least, np.arange(least.size, dtype=float))
    w = matrix[gaps.bounds] @ point - least[gaps.bounds]
    assert (w >= -1e-12).all()
    assert gaps.base + gaps.directions @ w == pytest.approx(point, abs=1e-10)
    rows = gaps.rows @ w + gaps.const
    assert rows == pytest.approx(matrix[gaps.kept] @ point - least[gaps.kept], abs=1e-10)
    # Whatever satisfies bounds and rows satisfies everything.
    free = rng.uniform(0.0, 1.0, gaps.bounds.size) * rng.integers(0, 2, gaps.bounds.size)
    other = gaps.base + gaps.directions @ free
    if (gaps.rows @ free + gaps.const >= 0.0).all():
        assert (matrix @ other - least >= -1e-9).all()
    gradient, of_rows = rng.normal(size=point.size), rng.uniform(size=gaps.kept.size)
    prices = gaps.prices(gradient - of_rows @ matrix[gaps.kept], of_rows, least.size)
    assert prices @ matrix == pytest.approx(gradient, abs=1e-8 * (1.0 + np.abs(prices).max()))
    held = [pair.first for pair in gaps.pairs] + [pair.second for pair in gaps.pairs]
    assert (prices[held] >= 0.0).all()


def test_what_follows_from_an_equality_is_one_too():
    # x_2 = 0 and 0 <= x_1 <= x_2 hold x_1 as well.
    matrix = np.array([[1.0, 0.0], [0.0, 1.0], [0.0, -1.0], [-1.0, 1.0]])
    gaps = gap_variables(matrix, np.zeros(4), np.zeros(4))
    assert gaps.directions.shape == (2, 0)
    assert len(gaps.pairs) == 2
    # A price on x_1 <= 0 is one on x_1 <= x_2 and one on x_2 <= 0.
    assert gaps.prices(np.array([-3.0, 0.0]), np.zeros(0), 4) == pytest.approx([0.0, 0.0, 3.0, 3.0])
