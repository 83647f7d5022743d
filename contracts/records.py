"""The form of all data of the project: frozen, keyword-only, compared by identity, with read-only arrays."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from functools import cached_property
from typing import Any, TypeVar, dataclass_transform

import numpy as np

T = TypeVar("T")


@dataclass_transform(frozen_default=True, kw_only_default=True, eq_default=False)
def frozen(cls: type[T]) -> type[T]:
    """Make `cls` a frozen keyword-only dataclass without `==` (arrays have no single truth value).

    Its arrays are read-only, those in tuples and of cached properties too: copies, where somebody else might
    write into them.
    """
    check = getattr(cls, "__post_init__", None)

    def completed(self: Any) -> None:
        if check is not None:
            check(self)
        _fill(self, {name: value for name, value in vars(self).items() if isinstance(value, np.ndarray | tuple)})

    for entry in vars(cls).values():
        if isinstance(entry, cached_property):
            entry.func = _read_only_result(entry.func)
    cls.__post_init__ = completed  # type: ignore[attr-defined]
    cls.__setstate__ = _fill  # type: ignore[attr-defined]  # pickles and deep copies of arrays are writeable
    return dataclass(frozen=True, kw_only=True, eq=False)(cls)


def assembled(cls: type[T], values: Iterable[tuple[str, Any]]) -> T:
    """A record of given fields, not checked."""
    made = object.__new__(cls)
    _fill(made, dict(values))
    return made


def _fill(record: Any, values: Mapping[str, Any]) -> None:
    for name, value in values.items():
        object.__setattr__(record, name, read_only(value))


def read_only(value: Any) -> Any:
    """The value, with arrays (in tuples too) that nobody writes into; others as they are."""
    if isinstance(value, np.ndarray):
        return value if _safe(value) else _locked(value.copy())
    if isinstance(value, tuple) and any(isinstance(entry, np.ndarray | tuple) for entry in value):
        entries = map(read_only, value)
        return type(value)(*entries) if hasattr(value, "_fields") else type(value)(entries)
    return value


def _safe(array: Any) -> bool:
    """Whether neither an array nor what it is a view of can be written into."""
    while isinstance(array, np.ndarray):
        if array.flags.writeable:
            return False
        array = array.base
    return array is None


def _locked(array: np.ndarray) -> np.ndarray:
    array.flags.writeable = False
    return array


def _read_only_result(function: Any) -> Any:
    def computed(record: Any) -> Any:
        return read_only(function(record))

    computed.__doc__ = function.__doc__
    return computed


@dataclass(frozen=True)
class Keyed:
    """A value with a hashable key that stands for it, so that `functools.lru_cache` can remember its results."""

    key: tuple[Any, ...]
    value: Any = field(compare=False)


def content(value: Any) -> Any:
    """A hashable key of what a value is: equal for values of one type with equal contents."""
    if isinstance(value, np.ndarray):
        return np.ndarray, value.shape, value.dtype.str, value.tobytes()
    if isinstance(value, tuple | list):
        return type(value), tuple(map(content, value))
    if hasattr(value, "shape"):
        return content(np.asarray(value))
    if is_dataclass(value) and not isinstance(value, type):
        return identity(value)
    try:
        hash(value)
    except TypeError:  # a dictionary, say: equal to nothing
        return object()
    return type(value), value


def identity(record: Any) -> tuple[Any, ...]:
    """What a curve or a valuation is, by value: its class and its parameters, hashable."""
    if not getattr(record, "settled", True):  # equal to nothing, not to itself a moment later
        return type(record), object()
    return (type(record), *(content(getattr(record, entry.name)) for entry in fields(record)))
