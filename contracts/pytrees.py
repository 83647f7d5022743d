"""Frozen data as JAX sees it: every class a tree of its own kind.

Trees of `jax.tree_util.register_dataclass` compare equal when two classes have fields alike (jaxlib 0.10.2), and
a compiled function may then answer with what was compiled for the other class. Here the class is part of the
tree's structure, with the values of the fields that JAX does not look into.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields
from functools import partial
from typing import Any, TypeVar, overload

import jax

from contracts.records import assembled, content

T = TypeVar("T")

REGISTERED: list[type] = []


class Meta:
    """Field values that are part of a tree's structure: equal when their contents are, arrays too."""

    def __init__(self, values: tuple[Any, ...]):
        self.values = values
        self.key: tuple[Any, ...] = tuple(map(content, values))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Meta) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)

    def __repr__(self) -> str:
        return repr(self.values)


@overload
def register(cls: type[T], *, meta: Sequence[str] = ()) -> type[T]: ...
@overload
def register(cls: None = None, *, meta: Sequence[str] = ()) -> Callable[[type[T]], type[T]]: ...
def register(cls: Any = None, *, meta: Sequence[str] = ()) -> Any:
    """Make JAX look into a frozen dataclass: its fields are leaves or trees, but for those named in `meta`.

    What JAX puts together anew (tracers, placeholders, batches) is not checked by `__post_init__`.

    Args:
        cls: the dataclass; left out when used as a decorator with `meta`.
        meta: fields that are part of the structure instead, such as texts and functions; they should be
            hashable or arrays.

    >>> from contracts.records import frozen
    >>> @register(meta=["unit"])
    ... @frozen
    ... class Amount:
    ...     value: float
    ...     unit: str
    >>> jax.tree.map(lambda value: 2.0 * value, Amount(value=1.5, unit="kg")).value
    3.0
    """
    if cls is None:
        return partial(register, meta=meta)
    names = [field.name for field in fields(cls)]
    if unknown := [name for name in meta if name not in names]:
        raise TypeError(f"meta = {unknown}: expected fields of {cls.__name__} ({', '.join(names)})")
    leaves = [name for name in names if name not in meta]
    keys = [jax.tree_util.GetAttrKey(name) for name in leaves]

    def structure(record: Any) -> tuple[type, Meta]:
        return cls, Meta(tuple(getattr(record, name) for name in meta))

    def flatten(record: Any) -> tuple[tuple, tuple[type, Meta]]:
        return tuple(getattr(record, name) for name in leaves), structure(record)

    def flatten_with_keys(record: Any) -> tuple[tuple, tuple[type, Meta]]:
        children, kind = flatten(record)
        return tuple(zip(keys, children, strict=True)), kind

    def unflatten(kind: tuple[type, Meta], children: Any) -> Any:
        return assembled(cls, zip((*leaves, *meta), (*children, *kind[1].values), strict=True))

    jax.tree_util.register_pytree_with_keys(cls, flatten_with_keys, unflatten, flatten)
    REGISTERED.append(cls)
    return cls
