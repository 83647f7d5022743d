"""The form of all data of the project: frozen, keyword-only, compared by identity."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any, TypeVar, dataclass_transform

import numpy as np

T = TypeVar("T")


@dataclass_transform(frozen_default=True, kw_only_default=True, eq_default=False)
def frozen(cls: type[T]) -> type[T]:
    """Make `cls` a frozen keyword-only dataclass without `==` (arrays have no single truth value)."""
    return dataclass(frozen=True, kw_only=True, eq=False)(cls)


@dataclass(frozen=True)
class Keyed:
    """A value with a hashable key that stands for it, so that `functools.lru_cache` can remember its results."""

    key: tuple
    value: Any = field(compare=False)


def identity(record: Any) -> tuple:
    """What a curve or a valuation is, by value: its class and its parameters, hashable."""
    values = (getattr(record, entry.name) for entry in fields(record))
    return (type(record), *(np.asarray(v).tobytes() if hasattr(v, "shape") else v for v in values))
