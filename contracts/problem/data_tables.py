"""Tables of numbers and words: what they may hold, and records written as tables and read from them.

Errors are one line that names the table, the key, the value and what is accepted, with the likeliest correction.
"""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from contracts.errors import InvalidInput

# What each key holds, where that is not a number.
KINDS: dict[str, str] = {
    **dict.fromkeys(
        ("costs", "probabilities", "counts", "data", "accuracy", "qualities", "capacities"), "a list of numbers"
    ),
    **dict.fromkeys(("utility", "joining_cost"), "a number or a list of numbers, one per type"),
    **dict.fromkeys(("names", "groups"), "a list of texts"),
    **dict.fromkeys(
        ("family", "fit", "distance", "over", "target", "assurance", "currency", "promise"), "a text"
    ),
    "measurements": "the path of a CSV file",
    **dict.fromkeys(("observed", "law", "of"), "a text"),
}


def family(
    name: str,
    table: dict[str, Any],
    families: Mapping[str, type],
    accepted: Iterable[str] | None = None,
    *,
    beside: tuple[str, ...] = (),
    lenient: bool = False,
    special: Mapping[str, str] | None = None,
) -> Any:
    """An object of the family that a table names.

    Args:
        name: the table's name.
        table: the key "family" and the family's parameters.
        families: the classes by name.
        accepted: the words to name where an unknown family is asked for.
        beside: keys that the table may have besides, which are no parameters.
        lenient: whether parameters that have a default may be left out.
        special: kinds of keys that differ from `KINDS`.
    """
    words = tuple(accepted or families)
    if "family" not in table:
        raise InvalidInput(f"[{name}] no key 'family': expected one of {', '.join(words)}")
    choice(name, table, "family", words)
    cls = families[table["family"]]
    optional = tuple(defaults(cls)) if lenient else ()
    required = tuple(field.name for field in dataclasses.fields(cls) if field.name not in optional)
    known(name, table, ("family", *required), (*optional, *beside))
    kinds(name, table, special)
    return made(name, cls, {key: value for key, value in table.items() if key not in ("family", *beside)})


def build(
    name: str, cls: type, table: dict[str, Any], required: tuple[str, ...], optional: tuple[str, ...] = ()
) -> Any:
    """An object from a table whose keys are its fields; its own checks name the key and the value."""
    known(name, table, required, optional)
    kinds(name, table)
    return made(name, cls, table)


def made(name: str, cls: type, values: Mapping[str, Any]) -> Any:
    """An object from the values of its fields; what it refuses is of the table called `name`."""
    try:
        return cls(**values)
    except InvalidInput as error:
        raise InvalidInput(f"[{name}] {error}") from error


def defaults(cls: type) -> dict[str, Any]:
    """The fields that have a default, with it."""
    return {
        field.name: field.default
        for field in dataclasses.fields(cls)
        if field.default is not dataclasses.MISSING
    }


def plain(value: Any) -> Any:
    """A number, a word or an array as JSON and TOML know it."""
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    return list(value) if isinstance(value, tuple) else value


def stated(record: Any) -> dict[str, Any]:
    """The fields of a record that differ from their defaults."""
    usual, found = defaults(type(record)), {}
    for field in dataclasses.fields(record):
        value = plain(getattr(record, field.name))
        if field.name not in usual or type(value) is list or value != usual[field.name]:
            found[field.name] = value
    return found


def of_family(name: str, record: Any, families: Mapping[str, type]) -> dict[str, Any]:
    """A record's parameters with its family, by which it is read again.

    Raises:
        InvalidInput: its class is a user's, which has no faithful text.
    """
    found = {key: plain(value) for key, value in record.parameters().items()}
    if families.get(str(found.get("family"))) is not type(record):
        raise InvalidInput(
            f"{name}: {type(record).__name__} is a class of your own, which files do not know:"
            f" expected one of {', '.join(families)}"
        )
    return found


def known(
    name: str, table: Mapping[str, Any], required: tuple[str, ...], optional: tuple[str, ...] = ()
) -> None:
    """Refuse unknown and missing keys, an unknown one with the likeliest correction."""
    accepted = (*required, *optional)
    place = f"[{name}] " if name else ""
    for key in table:
        if key not in accepted:
            close = difflib.get_close_matches(str(key), accepted, n=1)
            hint = f"did you mean {close[0]!r}? " if close else ""
            raise InvalidInput(f"{place}unknown key {brief(key)}: {hint}accepted: {', '.join(accepted)}")
    for key in required:
        if key not in table:
            what = f"key {key!r}" if name else f"table [{key}]"
            raise InvalidInput(f"{place}no {what}: expected {', '.join(required)}")


def kinds(name: str, table: Mapping[str, Any], special: Mapping[str, str] | None = None) -> None:
    """Refuse values of the wrong kind."""
    place = f"[{name}] " if name else ""
    for key, value in table.items():
        kind = (special or {}).get(key, KINDS.get(key, "a number"))
        if not _is(kind, value):
            raise InvalidInput(f"{place}{key} = {brief(value)}: expected {kind}")


def is_number(value: Any) -> bool:
    """Whether a value is a number (TOML's integers have 64 bits; Python reads longer ones)."""
    whole = isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63
    return whole or isinstance(value, float)


def _is(kind: str, value: Any) -> bool:
    if kind == "a number":
        return is_number(value)
    if kind.startswith("a number or a list of numbers"):
        return is_number(value) or _is("a list of numbers", value)
    if kind == "a list of numbers":
        return isinstance(value, list) and all(is_number(entry) for entry in value)
    if kind == "a list of texts":
        return isinstance(value, list) and all(isinstance(entry, str) and entry for entry in value)
    return isinstance(value, str) and value != ""


def tables(name: str, value: Any) -> list[dict[str, Any]]:
    """A list of tables."""
    if not isinstance(value, list) or not all(isinstance(entry, dict) for entry in value):
        raise InvalidInput(f"{name} = {brief(value)}: expected tables [[{name}]]")
    return value


def table_of(name: str, value: Any) -> dict[str, Any]:
    """A table."""
    if not isinstance(value, dict):
        raise InvalidInput(f"{name} = {brief(value)}: expected a table [{name}]")
    return value


def choice(name: str, table: Mapping[str, Any], key: str, words: tuple[str, ...]) -> None:
    """Refuse words that are not among the accepted ones."""
    if key in table and (not isinstance(table[key], str) or table[key] not in words):
        place = f"[{name}] " if name else ""
        close = difflib.get_close_matches(str(brief(table[key])).strip("'"), words, n=1)
        hint = f"did you mean {close[0]!r}? " if close else ""
        raise InvalidInput(f"{place}{key} = {brief(table[key])}: {hint}accepted: {', '.join(words)}")


def brief(value: Any, limit: int = 60) -> str:
    """A value in a few characters."""
    try:
        text = repr(value)
    except ValueError:  # integers of more digits than Python prints
        text = "a very large number"
    return text if len(text) <= limit else text[: limit - 3] + "..."
