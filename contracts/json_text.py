"""JSON text, strictly: no key twice, finite numbers only; written with every list of numbers on one line."""

from __future__ import annotations

import json
import math
from typing import Any

from contracts.errors import InvalidInput


def read_json(text: str) -> Any:
    """The value of a JSON text.

    Raises:
        InvalidInput: it is no complete JSON text, a key occurs twice, or a number is not finite.

    >>> read_json('{"scale": 3, "scale": 4}')
    Traceback (most recent call last):
    contracts.errors.InvalidInput: key 'scale' occurs twice
    """
    try:
        return json.loads(text, object_pairs_hook=_once, parse_constant=_refuse, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        if isinstance(error, InvalidInput):
            raise
        raise InvalidInput(f"no complete JSON text ({str(error)[:80]})") from error


def write_json(value: Any) -> str:
    r"""A value as JSON text: tables indented, lists of numbers and words on one line each.

    Numbers have the shortest digits that give the same float64 back.

    Raises:
        InvalidInput: a number is not finite.

    >>> write_json({"costs": [0.2, 0.1], "names": []})
    '{\n "costs": [0.2, 0.1],\n "names": []\n}\n'
    """
    try:
        return _text(value, 1) + "\n"
    except ValueError as error:
        raise InvalidInput("cannot be written: a number is not finite") from error


def _text(value: Any, depth: int) -> str:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    if isinstance(value, dict) and value:
        parts = [f"{_text(key, 0)}: {_text(entry, depth + 1)}" for key, entry in value.items()]
    elif any(isinstance(entry, dict | list) for entry in inner):
        parts = [_text(entry, depth + 1) for entry in inner]
    else:
        return json.dumps(value, allow_nan=False, ensure_ascii=False)
    indent = "\n" + " " * depth
    opening, closing = "{}" if isinstance(value, dict) else "[]"
    return f"{opening}{indent}{f',{indent}'.join(parts)}{indent[:-1]}{closing}"


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise InvalidInput(f"key {key!r:.60} occurs twice")
        found[key] = value
    return found


def _refuse(word: str) -> Any:
    raise InvalidInput(f"{word} is no number: expected finite numbers")


def _finite(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise InvalidInput(f"{digits:.60} is too large: expected finite numbers")
    return value
