"""The geometric median of n rows as n weights, from their squared distances alone, with a certificate.

The sum of distances f(x) = sum_i |x - u_i| is convex, and its gradient is the sum of the unit vectors from the
rows to x. With R the length of that sum over the rows that x does not lie on, and m the number of those it
lies on, x is optimal if and only if R <= m. The *pull* (R - m) / n, if positive, bounds how far x is from
optimal: scaling the unit vectors less their mean into the unit ball gives a dual solution, so that

    f(x) - min f <= 2 pull f(x).

Every step tries Newton's point, shortened if need be, against Weiszfeld's in the form of Vardi and Zhang, which
always descends, also from a row; what has the least sum of distances is taken. Rows are tried as optima first,
by the same condition: near them nothing is smooth.

All vectors are sums of rows, x = sum_i w_i u_i with sum_i w_i = 1, and inner products of differences follow
from squared distances S: for weights a, b that sum to zero, <sum a_i u_i, sum b_i u_i> = -a S b / 2.

Sources: Y. Vardi, C.-H. Zhang, "The multivariate L1-median and associated data depth", PNAS 2000 (the
condition and the step at a row). The Newton step in n dimensions (Woodbury's identity) and the bound are ours.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mechanisms.aggregation.geometry import majority_spread
from mechanisms.aggregation.selection import tie_tolerance
from mechanisms.aggregation.updates import namespace

MOST_STEPS = 500  # some ten are usual
TOLERANCE: dict[np.dtype[Any], float] = {np.dtype(np.float64): 1e-9, np.dtype(np.float32): 1e-5}  # of the pull
# In radii: rows beyond it are drawn in to it.
FAR: dict[np.dtype[Any], float] = {np.dtype(np.float64): 1e6, np.dtype(np.float32): 3e2}
TWINS = 1e-6  # in radii: rows closer than that may be taken for one, at the price of their distance
SHORTER = (1.0, 0.5, 0.2, 0.05, 0.0)  # of the way from Weiszfeld's point to Newton's


class Median(NamedTuple):
    """The n weights of the rows in their geometric median; the pull left; whether it is a row, exactly."""

    weights: Any
    pull: Any
    at_row: Any


def geometric_median_weights(squared: Any, present: Any) -> Median:
    """Minimise the sum of distances to the present rows.

    Args:
        squared: (n, n) squared distances, finite; what is in absent rows is not read.
        present: which rows count.

    >>> places = np.array([0.0, 1.0, 5.0])
    >>> geometric_median_weights((places[:, None] - places) ** 2, np.ones(3, bool)).weights
    array([0., 1., 0.])
    """
    xp = namespace(squared)
    unit, radii = majority_spread(squared, present)
    squared = xp.where(present[:, None] & present[None, :], squared, 0)
    # With a part 1 - a of the rows within r of a row, the median is within (1 - a) / sqrt(1 - 2 a) r of it
    # (Minsker, Bernoulli 2015). Farther rows are none, though rounding says so of some close to each other.
    count = present.sum()
    most = (count // 2 + 1) ** 2 / count / (2 * (count // 2 + 1) - count)
    within = squared[xp.argmin(radii)] <= 2 * most * unit
    optimal = _optimal_rows(squared, present, unit) & within
    at_row, tolerance = optimal.any(), TOLERANCE[np.dtype(squared.dtype)]
    weights = (present / present.sum()).astype(squared.dtype)

    def unfinished(state: tuple[Any, Any, Any]) -> Any:
        return (state[1] > tolerance) & (state[2] < MOST_STEPS) & ~at_row

    def step(state: tuple[Any, Any, Any]) -> tuple[Any, Any, Any]:
        weights, pull = _step(squared, present, unit, state[0])
        return xp.where(pull > tolerance, weights, state[0]), pull, state[2] + 1

    state = (weights, xp.asarray(np.inf, squared.dtype), xp.asarray(0))
    if xp is jnp:
        state = jax.lax.while_loop(unfinished, step, state)
    else:
        while unfinished(state):
            state = step(state)
    # Several rows may be optimal: all points between them are, and so is their mean.
    on_rows = (optimal / xp.maximum(optimal.sum(), 1)).astype(squared.dtype)
    weights, pull = xp.where(at_row, on_rows, state[0]), xp.where(at_row, 0, state[1])
    if xp is jnp or pull > tolerance:
        at_twin, left = _at_twins(squared, present, unit)
        weights, pull = xp.where(left < pull, at_twin, weights), xp.minimum(left, pull)
    return Median(weights, pull, at_row)


def draw_in(values: Any, present: Any, squared: Any, center: Any, lengths: Any) -> Any:
    """The rows with those drawn in along their rays from `center` that are far from it in majority radii.

    Args:
        values: (n, d) rows.
        present: which rows count.
        squared: their (n, n) squared distances.
        center: a point among the majority, length d.
        lengths: the n squared distances of the rows to it.
    """
    xp = namespace(values)
    far = is_far(squared, present, lengths)
    if xp is np and not far.any():
        return values
    limit = FAR[np.dtype(squared.dtype)] * xp.sqrt(majority_spread(squared, present)[0])
    shorter = xp.where(far, limit / xp.sqrt(xp.where(far, lengths, 1)), 1)[:, None].astype(values.dtype)
    drawn = (center + (values - center) * shorter).astype(values.dtype)
    return xp.where(far[:, None], drawn, values)


def is_far(squared: Any, present: Any, lengths: Any) -> Any:
    """Which present rows are farther from a point, by their squared distances to it, than rows may be."""
    limit = FAR[np.dtype(squared.dtype)] ** 2 * majority_spread(squared, present)[0]
    return present & (lengths > limit)


def _optimal_rows(squared: Any, present: Any, unit: Any) -> Any:
    xp = namespace(squared)
    both = present[:, None] & present[None, :]
    same = both & (squared <= tie_tolerance(squared.dtype) ** 2 * unit)
    inverse = xp.where(both & ~same, 1 / xp.sqrt(xp.where(same | ~both, 1, squared)), 0)
    # |sum_i (u_i - u_j) / d_ij|^2 at row j, with weights inverse_ji on the rows and minus their sum on u_j
    spread = ((inverse @ squared) * inverse).sum(axis=1) / 2
    length = xp.sqrt(xp.maximum(inverse.sum(axis=1) * (inverse * squared).sum(axis=1) - spread, 0))
    return present & (length <= same.sum(axis=1) + tie_tolerance(squared.dtype))


def _at_twins(squared: Any, present: Any, unit: Any) -> tuple[Any, Any]:
    """The best row as a median where it has twins so close that steps between them lose all digits; its pull.

    With T the rows within `TWINS` of row j, and R the length of the sum of unit vectors from the others to it,
    f(u_j) - min f <= 2 (sum over T of distances to u_j) wherever R <= |T|.
    """
    xp = namespace(squared)
    both = present[:, None] & present[None, :]
    twins = both & (squared <= TWINS**2 * unit)
    distances = xp.sqrt(xp.where(both, squared, 0))
    inverse = xp.where(both & ~twins, 1 / xp.where(twins | ~both, 1, distances), 0)
    spread = ((inverse @ squared) * inverse).sum(axis=1) / 2
    length = xp.sqrt(xp.maximum(inverse.sum(axis=1) * (inverse * squared).sum(axis=1) - spread, 0))
    total = distances.sum(axis=1)
    pull = xp.maximum(length - twins.sum(axis=1), 0) / present.sum()
    pull = pull + xp.where(twins, distances, 0).sum(axis=1) / xp.where(total > 0, total, 1)
    pull = xp.where(present, pull, xp.inf)
    best = xp.argmin(pull)
    return (xp.arange(len(squared)) == best).astype(squared.dtype), pull[best]


def point_distances(squared: Any, weights: Any) -> Any:
    """Squared distances of all rows to the point with these weights."""
    xp = namespace(squared)
    rows = squared @ weights
    return xp.maximum(rows - weights @ rows / 2, 0)


def _attraction(squared: Any, present: Any, unit: Any, weights: Any) -> tuple[Any, Any]:
    """One over every row's distance to the point, zero for rows that it lies on; these rows."""
    xp = namespace(squared)
    lengths = point_distances(squared, weights)
    near = present & (lengths <= tie_tolerance(squared.dtype) ** 2 * unit)
    away = present & ~near
    return xp.where(away, 1 / xp.sqrt(xp.where(away, lengths, 1)), 0), near


def _step(squared: Any, present: Any, unit: Any, weights: Any) -> tuple[Any, Any]:
    """The weights of a point with a lesser sum of distances, and the pull at the one given."""
    xp = namespace(squared)
    attraction, near = _attraction(squared, present, unit, weights)
    total = attraction.sum()
    followed = attraction / xp.where(total > 0, total, 1)
    change = weights - followed
    length = total * xp.sqrt(xp.maximum(-change @ squared @ change / 2, 0))
    held = near.sum()
    pull = xp.maximum(length - held, 0) / present.sum()
    stay = xp.where(held > 0, xp.minimum(1, held / xp.where(length > 0, length, 1)), 0)
    weiszfeld = stay * weights + (1 - stay) * followed
    newton = _newton(squared, weights, attraction, followed)
    newton = xp.where(xp.isfinite(newton).all(), newton, weiszfeld)
    tried = xp.stack([weiszfeld + part * (newton - weiszfeld) for part in SHORTER])
    sums = (xp.sqrt(xp.stack([point_distances(squared, one) for one in tried])) * present).sum(axis=1)
    good = sums <= sums.min() * (1 + 30 * float(xp.finfo(squared.dtype).eps))
    # The first good one. Many weights make one point; those of a Weiszfeld step lose no digits.
    chosen = tried[xp.argmax(good)]
    attraction, near = _attraction(squared, present, unit, chosen)
    total = attraction.sum()
    return xp.where(near.any() | (total == 0), chosen, attraction / xp.where(total > 0, total, 1)), pull


def _newton(squared: Any, weights: Any, attraction: Any, followed: Any) -> Any:
    """The weights of Newton's point; not finite if the Hessian is singular.

    With d_i = x - u_i and a_i = 1 / |d_i|, the Hessian is A I - sum_i a_i^3 d_i d_i', A = sum_i a_i, and the
    gradient A sum_i change_i u_i.
    """
    xp = namespace(squared)
    total = attraction.sum()
    lengths, change = point_distances(squared, weights), weights - followed
    inner = (lengths[:, None] + lengths[None, :] - squared) / 2  # of d_i and d_j
    root = attraction**1.5
    against = squared @ change
    slopes = root * total * (against - weights @ against) / 2
    # The ridge keeps rows on a line, where the Hessian is singular, from dividing by zero.
    ridge = 1e-10 if squared.dtype == np.float64 else 1e-4
    identity = xp.eye(len(weights), dtype=squared.dtype)
    matrix = total * (1 + ridge) * identity - root[:, None] * inner * root[None, :]
    matrix = xp.where(total > 0, matrix, identity)
    along = root * xp.linalg.solve(matrix, slopes)
    return followed + (along - along.sum() * weights) / xp.where(total > 0, total, 1)
