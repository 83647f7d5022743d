"""Input validation shared by every package: each check names the argument, the index and what is accepted.

A check takes the argument's name and value, returns the value in canonical form (Python float or int, or
NumPy float64) and raises `InvalidInput` otherwise.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Real
from typing import Any

import numpy as np

from contracts.errors import InvalidInput


def reals(value: Any) -> np.ndarray | None:
    """Real numbers as a new array of float64 (of int64 for whole ones), whatever holds them; None if none do.

    Lists, ranges, and whatever NumPy reads as an array (a series of pandas, an array of JAX) are accepted; sets,
    tables, texts, generators, truth values, ragged lists and tracers of JAX are not.
    """
    try:
        if isinstance(value, np.ma.MaskedArray):
            value = np.ma.filled(value.astype(float), np.nan)
        found = np.array(value)
        if found.dtype == object and all(map(_is_real, found.flat)):
            found = found.astype(np.float64)  # no entries, or whole numbers beyond 64 bits
    except Exception:  # what other libraries raise when asked for numbers
        return None
    if found.dtype.kind not in "iuf":
        return None
    return found if found.dtype.kind in "iu" else found.astype(np.float64, copy=False)


def _is_real(entry: Any) -> bool:
    return isinstance(entry, Real) and not isinstance(entry, bool)


def numbers(name: str, value: Any) -> np.ndarray:
    """Return `value` as a new array of real numbers, of any shape, finite or not, or raise.

    >>> numbers("profile", [[1, 2], [3]])
    Traceback (most recent call last):
    contracts.errors.InvalidInput: profile = [[1, 2], [3]]: expected real numbers in rows of equal length
    """
    given = reals(value)
    if given is None:
        raise InvalidInput(f"{name} = {brief(value)}: expected real numbers in rows of equal length")
    return given


def _interval(low: float, high: float, open_low: bool, open_high: bool) -> str:
    if low == -math.inf and high == math.inf:
        return "a finite number"
    if high == math.inf:
        return f"a finite number {'>' if open_low else '>='} {low:g}"
    if low == -math.inf:
        return f"a finite number {'<' if open_high else '<='} {high:g}"
    return f"a number in {'(' if open_low else '['}{low:g}, {high:g}{')' if open_high else ']'}"


def _inside(values: np.ndarray, low: float, high: float, open_low: bool, open_high: bool) -> np.ndarray:
    above = values > low if open_low else values >= low
    below = values < high if open_high else values <= high
    return np.isfinite(values) & above & below


def number(
    name: str,
    value: Any,
    *,
    low: float = -math.inf,
    high: float = math.inf,
    open_low: bool = False,
    open_high: bool = False,
) -> float:
    """Return `value` as a float inside the interval, or raise.

    >>> number("optimum", 0.9, low=0, high=1)
    0.9
    >>> number("scale", -2, low=0, open_low=True)
    Traceback (most recent call last):
    contracts.errors.InvalidInput: scale = -2: expected a finite number > 0
    """
    expected = _interval(low, high, open_low, open_high)
    given = reals(value)
    if given is None or given.ndim != 0 or not _inside(given, low, high, open_low, open_high):
        raise InvalidInput(f"{name} = {brief(value)}: expected {expected}")
    return float(given)


def integer(name: str, value: Any, *, low: int = 0, high: int | None = None) -> int:
    """Return `value` as an int in [low, high]; a float such as 10.0 is accepted, 10.5 is not.

    >>> integer("participants", 10.5, low=1)
    Traceback (most recent call last):
    contracts.errors.InvalidInput: participants = 10.5: expected a whole number >= 1
    """
    expected = f"a whole number >= {low}" if high is None else f"a whole number from {low} to {high}"
    given = reals(value)
    if given is None or given.ndim != 0 or not (np.isfinite(given) and given == np.floor(given)):
        raise InvalidInput(f"{name} = {brief(value)}: expected {expected}")
    whole = int(value) if isinstance(value, int) else int(given)
    if whole < low or (high is not None and whole > high):
        raise InvalidInput(f"{name} = {brief(value)}: expected {expected}")
    return whole


def array(
    name: str,
    value: Any,
    *,
    ndim: int | None = 1,
    low: float = -math.inf,
    high: float = math.inf,
    open_low: bool = False,
    open_high: bool = False,
    length: int | None = None,
    empty: bool = False,
) -> np.ndarray:
    """Return `value` as a new float64 array whose every entry lies in the interval, or raise.

    Args:
        name: the argument's name, as the user knows it.
        value: anything NumPy can turn into a real array.
        ndim: the number of dimensions accepted; None accepts any.
        low, high, open_low, open_high: the interval accepted.
        length: the length of the first dimension, if it is prescribed.
        empty: whether no entries at all are accepted.

    >>> array("costs", [0.2, float("nan")], low=0, open_low=True)
    Traceback (most recent call last):
    contracts.errors.InvalidInput: costs[1] = nan: expected a finite number > 0
    """
    result = numbers(name, value).astype(np.float64, copy=False)
    if result.ndim == 0 and ndim:
        raise InvalidInput(f"{name} = {brief(value)}: expected a list of numbers")
    if ndim is not None and result.ndim != ndim:
        raise InvalidInput(f"{name} has {result.ndim} dimensions: expected {ndim}")
    if result.size == 0 and not empty:
        raise InvalidInput(f"{name} is empty: expected at least one number")
    if length is not None and result.shape[0] != length:
        raise InvalidInput(f"{name} has length {result.shape[0]}: expected {length}")
    inside = _inside(result, low, high, open_low, open_high)
    if not inside.all():
        index = tuple(int(i) for i in np.argwhere(~inside)[0])
        where = "".join(f"[{i}]" for i in index)
        expected = _interval(low, high, open_low, open_high)
        raise InvalidInput(f"{name}{where} = {result[index]:g}: expected {expected}")
    return result


def probabilities(name: str, value: Any, *, length: int | None = None) -> np.ndarray:
    """Return a probability vector: entries in [0, 1] that sum to one within 1e-6, then exactly rescaled.

    >>> probabilities("probabilities", [0.5, 0.4])
    Traceback (most recent call last):
    contracts.errors.InvalidInput: probabilities sum to 0.9: expected a sum of 1 (within 1e-06)
    """
    tolerance = 1e-6
    result = array(name, value, low=0.0, high=1.0, length=length)
    total = float(result.sum())
    if abs(total - 1.0) > tolerance:
        raise InvalidInput(f"{name} sum to {total:.9g}: expected a sum of 1 (within {tolerance:g})")
    # What has been rescaled once stays as it is, so that files give back what was written.
    return result if abs(total - 1.0) <= result.size * np.finfo(float).eps else result / total


def choice(name: str, value: Any, accepted: Sequence[str]) -> str:
    """Return `value` if it is one of the accepted words.

    >>> choice("belief", "exante", ["interim", "ex-ante"])
    Traceback (most recent call last):
    contracts.errors.InvalidInput: belief = 'exante': expected one of 'interim', 'ex-ante'
    """
    if not isinstance(value, str) or value not in accepted:
        raise InvalidInput(f"{name} = {brief(value)}: expected one of {', '.join(map(repr, accepted))}")
    return value


def visible(text: str) -> str:
    """A text in which nothing acts: what a terminal would obey, or an eye not see, is written out.

    Control characters, line breaks, marks of direction and characters without width become their codes.

    >>> print(visible("Bonn\x1b[31m"), visible("Aachen\u202e"))
    Bonn\\x1b[31m Aachen\\u202e
    """
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


def short(text: str, limit: int = 40) -> str:
    """A text that fits where there is little room."""
    return text if len(text) <= limit else text[: limit - 3] + "..."


def brief(value: Any, limit: int = 60) -> str:
    """A value on one line."""
    try:
        text = " ".join(repr(value).split())
    except Exception:  # such as whole numbers of more digits than Python prints
        text = f"a {type(value).__name__} that cannot be shown"
    return text if len(text) <= limit else text[: limit - 3] + "..."
