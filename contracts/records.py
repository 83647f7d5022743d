"""The form of all data of the project: frozen, keyword-only, compared by identity."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar, dataclass_transform

T = TypeVar("T")


@dataclass_transform(frozen_default=True, kw_only_default=True, eq_default=False)
def frozen(cls: type[T]) -> type[T]:
    """Make `cls` a frozen keyword-only dataclass without `==` (arrays have no single truth value)."""
    return dataclass(frozen=True, kw_only=True, eq=False)(cls)
