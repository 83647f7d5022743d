"""The form of a stage's result: which keys and kinds of values it has, by which an edited file is checked."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from contracts.checks import brief

NUMBERS = ("integer", "number")


def form_of(value: Any) -> Any:
    """The kinds of values in a result, as plain values themselves.

    A list is of the form that all its entries share; a key that not all of them have ends in "?".

    >>> form_of({"seats": [{"seat": 0, "error": 0.1}, {"seat": 1}], "note": ""})
    {'seats': [{'seat': 'integer', 'error?': 'number'}], 'note': 'text'}
    """
    if isinstance(value, Mapping):
        return {str(key): form_of(entry) for key, entry in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        merged: Any = "nothing"
        for entry in value:
            merged = _merged(merged, form_of(entry))
        return [merged]
    if value is None:
        return "null"
    for kind, name in ((bool, "truth"), (int, "integer"), (float, "number")):
        if isinstance(value, kind):
            return name
    return "text"


def _merged(one: Any, other: Any) -> Any:
    if one == "nothing" or one == other:
        return other
    if other == "nothing":
        return one
    if isinstance(one, list) and isinstance(other, list):
        return [_merged(one[0], other[0])]
    if isinstance(one, dict) and isinstance(other, dict):
        left, right = ({key.rstrip("?"): (key, form) for key, form in each.items()} for each in (one, other))
        found = {}
        for key in {**left, **right}:
            both = key in left and key in right
            always = both and not left[key][0].endswith("?") and not right[key][0].endswith("?")
            form = _merged(left[key][1], right[key][1]) if both else (left.get(key) or right[key])[1]
            found[key if always else f"{key}?"] = form
        return found
    if {one, other} <= set(NUMBERS) if isinstance(one, str) and isinstance(other, str) else False:
        return "number"
    return "anything" if "anything" in (one, other) or "null" not in (one, other) else _or_null(one, other)


def _or_null(one: Any, other: Any) -> Any:
    kind = other if one == "null" else one
    if not isinstance(kind, str):
        return "anything"
    return kind if kind.endswith("null") else f"{kind} or null"


def misfit(value: Any, form: Any, place: str = "result") -> str:
    """What in a value is not of a form, in words; "" if nothing is.

    >>> form = form_of({"accepted": [0, 1]})
    >>> misfit({"accepted": [0]}, form), misfit({}, form), misfit({"accepted": ["x"]}, form)
    ('', "result has no 'accepted'", "result.accepted[0] = 'x': expected an integer")
    """
    if form in ("anything", "nothing"):
        return ""
    if isinstance(form, dict):
        return _misfit_of_table(value, form, place)
    if isinstance(form, list):
        if not isinstance(value, list):
            return f"{place} = {brief(value)}: expected a list"
        found = (misfit(entry, form[0], f"{place}[{i}]") for i, entry in enumerate(value))
        return next((text for text in found if text), "")
    kinds = str(form).split(" or ")
    fits = form_of(value) in (*kinds, *(("integer",) if "number" in kinds else ()))
    if fits and not (isinstance(value, float) and not math.isfinite(value)):
        return ""
    article = "an" if str(form)[0] in "aeiou" else "a"
    return f"{place} = {brief(value)}: expected {article} {form}"


def _misfit_of_table(value: Any, form: Mapping[str, Any], place: str) -> str:
    if not isinstance(value, Mapping):
        return f"{place} = {brief(value)}: expected a table"
    known = {key.rstrip("?"): (entry, key.endswith("?")) for key, entry in form.items()}
    for key in value:
        if key not in known:
            return f"{place} has unknown key {key!r}"
    for key, (entry, optional) in known.items():
        if key in value:
            if text := misfit(value[key], entry, f"{place}.{key}"):
                return text
        elif not optional:
            return f"{place} has no {key!r}"
    return ""
