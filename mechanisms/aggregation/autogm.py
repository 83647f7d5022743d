"""The geometric median with automatic weights, AutoGM.

It minimises sum_i a_i |x - u_i| + (s/2) |a|^2 over points x and weights a >= 0 that sum to 1: at a point, a_i
is the positive part of eta - |x - u_i|, over s, so that rows farther than eta have none; with weights, the
point is moved by a step of Weiszfeld's. Both never raise the sum.

Source: S. Li, E. Ngai, T. Voigt, "Byzantine-robust aggregation in federated learning empowered industrial
IoT", IEEE Trans. Industrial Informatics 2021. Its s is a number of the user's; ours is in units of the rows'
own spread.
"""

from __future__ import annotations

from typing import Any

from contracts.checks import number
from mechanisms.aggregation.geometry import combine, majority_spread, squared_distances
from mechanisms.aggregation.selection import as_weights, first, repeat, tie_keys
from mechanisms.aggregation.updates import as_updates, namespace, run_rule
from mechanisms.aggregation.weiszfeld import point_distances

STEPS = 100
NEAR = 1e-6  # of the majority's radius: no row pulls more than from there


def autogm(updates: Any, *, sharing: float = 1.0) -> Any:
    """Return the geometric median of the rows, weighted by how near they are to it.

    A hundred alternate steps from the mean of the most central majority; a local optimum, in which rows far
    out have no weight. It has no published bound.

    Args:
        updates: (n, d) array, NumPy or JAX. Rows that are not finite are absent.
        sharing: s in units of n times the radius of the smallest ball around a row that holds more than half of
            the rows, > 0: a large one shares the weight equally (the geometric median), a small one gives it to
            the nearest rows.

    Returns:
        The weighted geometric median, length d.

    Raises:
        InvalidInput: an argument out of range, or half of the rows or more are not finite.

    >>> autogm([[0.0], [1.0], [2.0], [1e9]]).round(3)
    array([1.])
    """
    share = number("sharing", sharing, low=0, open_low=True)
    few = (len(as_updates(updates)) - 1) // 2
    return run_rule(_autogm, updates, rule="autogm", tolerated=few, alike=0, sharing=share)


def _autogm(values: Any, present: Any, *, sharing: float) -> Any:
    xp, size = namespace(values), len(values)
    squared = squared_distances(values, present)
    unit, radii = majority_spread(squared, present)
    central = xp.argmax(first(radii, tie_keys(values, squared), present))
    present = present & xp.isfinite(squared[central])
    squared = xp.where(present[:, None] & present[None, :], squared, 0)
    least = NEAR * xp.sqrt(unit)

    def step(_: Any, weights: Any) -> Any:
        gaps = xp.where(present, xp.sqrt(point_distances(squared, weights)), xp.inf)
        pull = _nearness(gaps, sharing * size * xp.sqrt(unit))
        pull = pull / xp.where(gaps > least, gaps, xp.where(least > 0, least, 1))
        return xp.where(unit > 0, pull / xp.where(pull.sum() > 0, pull.sum(), 1), weights).astype(squared.dtype)

    start = as_weights(present & (squared[central] <= unit)).astype(squared.dtype)  # a row would hold the point
    return combine(repeat(step, STEPS, start), values)


def _nearness(gaps: Any, spread: Any) -> Any:
    """The positive parts of eta - gap, eta such that they sum to `spread`."""
    xp = namespace(gaps)
    ordered = xp.sort(gaps)
    known = xp.where(xp.isfinite(ordered), ordered, 0)
    levels = (spread + xp.cumsum(known)) / xp.arange(1, len(gaps) + 1)
    inside = (levels > ordered).sum()
    eta = levels[xp.maximum(inside - 1, 0)]
    return xp.maximum(eta - xp.where(xp.isfinite(gaps), gaps, eta), 0)
