"""Rules that treat every parameter on its own: mean, median, trimmed mean, mean around the median.

Sources: D. Yin, Y. Chen, K. Ramchandran, P. Bartlett, "Byzantine-robust distributed learning: towards optimal
statistical rates", ICML 2018 (median, trimmed mean); C. Xie, O. Koyejo, I. Gupta, "Generalized
Byzantine-tolerant SGD", 2018 (mean around median).
"""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mechanisms.aggregation.geometry import combine
from mechanisms.aggregation.selection import as_weights
from mechanisms.aggregation.sorting import over_columns, sort_rows
from mechanisms.aggregation.updates import as_updates, malicious_count, namespace, run_rule


def mean(updates: Any) -> Any:
    """Average the updates: what federated averaging does with equal weights; one malicious row moves it
    anywhere.

    Args:
        updates: (n, d) array, NumPy or JAX. Rows that are not finite are absent.

    Returns:
        The d averages, of the same kind and type as `updates`.

    Raises:
        InvalidInput: `updates` is not an (n, d) array of real numbers, or no row is finite.

    >>> mean([[0.0, 1.0], [2.0, 3.0]])
    array([1., 2.])
    """
    values = as_updates(updates)
    if not isinstance(values, jax.Array):
        result = _plain_mean(values)
        if np.isfinite(result).all():  # then so are the entries, and no second look at them is needed
            return result
    return run_rule(_mean, values, rule="mean")


def _plain_mean(values: np.ndarray) -> np.ndarray:
    with np.errstate(all="ignore"):
        result = np.ones(len(values), values.dtype) @ values  # BLAS reads memory twice as fast as a reduction
        result /= len(values)
    return result


def _mean(values: Any, present: Any) -> Any:
    return combine(as_weights(present), values)


def median(updates: Any) -> Any:
    """Take the median of every parameter; for an even number of rows, the mean of the two middle values.

    With n > 2 f, every parameter lies between the smallest and the largest honest value whatever f rows hold.

    Args:
        updates: (n, d) array, NumPy or JAX. Rows that are not finite are absent.

    Returns:
        The d medians.

    Raises:
        InvalidInput: `updates` is not an (n, d) array of real numbers, or half of the rows or more are not
            finite.

    >>> median([[0.0, 9.0], [1.0, 5.0], [900.0, 7.0]])
    array([1., 7.])
    """
    values = as_updates(updates)
    few = (len(values) - 1) // 2
    result = _if_finite(values, few)
    return run_rule(_median, values, rule="median", tolerated=few) if result is None else result


def _median(values: Any, present: Any) -> Any:
    count = present.sum()
    return _mean_of_ranks(values, present, (count - 1) // 2, count // 2 + 1)


def trimmed_mean(updates: Any, *, malicious: int) -> Any:
    """Drop the `malicious` smallest and largest values of every parameter and average the rest.

    Each absent row takes the place of one malicious row, so that one value fewer is dropped on either side.

    Args:
        updates: (n, d) array, NumPy or JAX. Rows that are not finite are absent.
        malicious: how many malicious rows to withstand, f; the rule needs n >= 2 f + 1.

    Returns:
        The d trimmed means.

    Raises:
        InvalidInput: too few updates, or more than f rows that are not finite.

    >>> trimmed_mean([[0.0], [1.0], [2.0], [3.0], [-1e9]], malicious=1)
    array([1.])
    """
    f, values = malicious_count(malicious), as_updates(updates)
    result = _if_finite(values, f)
    if result is not None:
        return result
    return run_rule(
        _trimmed_mean,
        values,
        rule="trimmed_mean",
        least=2 * f + 1,
        needs=f"2 * malicious + 1 = {2 * f + 1}",
        tolerated=f,
        malicious=f,
    )


def _trimmed_mean(values: Any, present: Any, *, malicious: int) -> Any:
    count = present.sum()
    cut = malicious - (len(values) - count)
    return _mean_of_ranks(values, present, cut, count - cut)


def _if_finite(values: Any, cut: int) -> Any:
    """The trimmed means of a NumPy array of finite numbers, without a look at them before they are sorted."""
    if isinstance(values, jax.Array) or len(values) <= 2 * cut:
        return None
    result = _mean_of_ranks(values, np.ones(len(values), bool), cut, len(values) - cut)
    return result if np.isfinite(result).all() else None


def _mean_of_ranks(values: Any, present: Any, first: Any, end: Any) -> Any:
    """Per column, the mean of the order statistics of ranks first .. end - 1; absent rows sort last."""
    xp = namespace(values)
    absent = xp is not np or not present.all()

    def statistic(part: Any) -> Any:
        ordered = sort_rows(xp.where(present[:, None], part, xp.inf) if absent else part)
        if xp is np:
            total = np.ones(end - first, part.dtype) @ ordered[first:end]  # BLAS reads memory faster than reduce
            average = total / part.dtype.type(end - first)
            if not np.isfinite(average).all():
                average = np.add.reduce(ordered[first:end] / part.dtype.type(end - first), axis=0)
            if not (absent or np.isfinite(ordered[[0, -1]]).all()):  # there NaN and infinities are sorted to
                average.fill(np.nan)
        else:
            ranks = xp.arange(len(part))[:, None]
            middle = xp.where((ranks >= first) & (ranks < end), ordered, 0)
            average = middle.sum(axis=0) / (end - first)
            average = xp.where(xp.isfinite(average), average, (middle / (end - first)).sum(axis=0))
        # Rounding may carry the average past the values it is made of; robustness promises that it is not.
        return xp.clip(average, _rank(ordered, first), _rank(ordered, end - 1))

    return over_columns(statistic, values)


def _rank(ordered: Any, index: Any) -> Any:
    return jnp.take(ordered, index, axis=0) if isinstance(ordered, jax.Array) else ordered[index]


def mean_around_median(updates: Any, *, malicious: int) -> Any:
    """Average, for every parameter, the n - f values closest to its median.

    A tie between a value below and one above goes to the one below.

    Args:
        updates: (n, d) array, NumPy or JAX. Rows that are not finite are absent.
        malicious: how many malicious rows to withstand, f; the rule needs n >= 2 f + 1.

    Returns:
        The d averages.

    Raises:
        InvalidInput: too few updates, or more than f rows that are not finite.

    >>> mean_around_median([[0.0], [1.0], [2.0], [4.0], [90.0]], malicious=1)
    array([1.75])
    """
    f = malicious_count(malicious)
    return run_rule(
        _mean_around_median,
        updates,
        rule="mean_around_median",
        least=2 * f + 1,
        needs=f"2 * malicious + 1 = {2 * f + 1}",
        tolerated=f,
        keep=len(as_updates(updates)) - f,
    )


def _mean_around_median(values: Any, present: Any, *, keep: int) -> Any:
    """Per column, the mean of the `keep` present values closest to the median, a window of the order."""
    xp = namespace(values)
    count = present.sum()
    middle = ((count - 1) // 2, count // 2)
    largest, room = float(jnp.finfo(values.dtype).max), 4 * 2.0 ** math.ceil(math.log2(len(values)))
    absent = xp is not np or not present.all()

    def around(ordered: Any) -> Any:
        center = (_rank(ordered, middle[0]) + _rank(ordered, middle[1])) / 2
        # The closest values are a window of the sorted column. Moving it up by one trades rank s for rank
        # s + keep, and stops paying at the same place for every later s, so each trade is judged by itself.
        window = list(ordered[:keep])
        for shift, above in enumerate(ordered[keep:]):
            closer = above - center < center - ordered[shift]
            window[shift % keep] = xp.where(closer, above, window[shift % keep])
        return sum(window) / keep

    def statistic(part: Any) -> Any:
        ordered = sort_rows(xp.where(present[:, None], part, xp.inf) if absent else part)
        enormous = xp.maximum(-ordered[0], _rank(ordered, count - 1)) > largest / room
        if xp is np and not enormous.any():
            return around(ordered)
        smaller = xp.where(enormous, xp.asarray(room, part.dtype), 1)  # so that no sum or difference overflows
        return around(ordered / smaller) * smaller

    return over_columns(statistic, values)
