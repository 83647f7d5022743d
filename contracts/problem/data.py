"""Problems as plain data (tables of numbers and words), as problem files and contract files hold them.

Errors name the table, the key, the value and what is accepted.
"""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Iterable, Mapping
from typing import Any

from contracts.errors import InvalidInput
from contracts.problem import BELIEFS, TARGETS, Problem, accuracy, valuation
from contracts.problem.accuracy import AccuracyCurve
from contracts.problem.participants import FAMILIES as TURNOUTS
from contracts.problem.participants import Turnout
from contracts.problem.population import Population

# What each key holds; parameters of families that are not listed are numbers.
KINDS: dict[str, str] = {
    "costs": "a list of numbers",
    "probabilities": "a list of numbers",
    "counts": "a list of numbers",
    "data": "a list of numbers",
    "accuracy": "a list of numbers",
    "names": "a list of texts",
    "family": "a text",
    "measurements": "the path of a CSV file",
    "fit": "a text",
}


def problem_to_data(problem: Problem) -> dict[str, Any]:
    """A problem as nested tables of plain values; `problem_from_data` gives it back exactly.

    Raises:
        InvalidInput: the curve is a user's function, which has no faithful text.
    """
    population = problem.population
    return {
        "belief": problem.belief,
        "maximise": problem.maximise,
        "population": {
            "costs": population.costs.tolist(),
            "probabilities": population.probabilities.tolist(),
            "participants": (
                population.participants.parameters()
                if isinstance(population.participants, Turnout)
                else population.participants
            ),
            "names": list(population.names or ()),
        },
        "accuracy": problem.accuracy.parameters(),
        "valuation": problem.valuation.parameters(),
    }


def problem_from_data(
    document: dict[str, Any],
    curve: AccuracyCurve | None = None,
    *,
    families: Iterable[str] = tuple(accuracy.FAMILIES),
) -> Problem:
    """A problem from nested tables.

    Args:
        document: tables "population", "accuracy", "valuation" and the words "belief", "maximise".
        curve: the accuracy curve, where the caller has read that table already.
        families: the families of curves to name where an unknown one is asked for.

    Raises:
        InvalidInput: an unknown or missing key, a wrong kind of value, or a value out of range.
    """
    tables, options = ("population", "accuracy", "valuation"), ("belief", "maximise")
    known("", document, tables, options)
    for name in tables:
        if not isinstance(document[name], dict):
            raise InvalidInput(f"{name} = {document[name]!r:.60}: expected a table [{name}]")
    choice("", document, "belief", BELIEFS)
    choice("", document, "maximise", TARGETS)
    read = curve if curve is not None else family("accuracy", document["accuracy"], accuracy.FAMILIES, families)
    return Problem(
        population=population("population", document["population"]),
        accuracy=read,
        valuation=family("valuation", document["valuation"], valuation.FAMILIES),
        **{name: document[name] for name in options if name in document},
    )


def population(name: str, table: dict[str, Any]) -> Population:
    """A population from a table; its participants are a number or, where uncertain, a table with a family."""
    required, optional = ("costs", "probabilities", "participants"), ("names",)
    if isinstance(table.get("participants"), dict):
        table = table | {"participants": family(f"{name}.participants", table["participants"], TURNOUTS)}
    return build(name, Population, table, required, optional)


def family(
    name: str, table: dict[str, Any], families: Mapping[str, type], accepted: Iterable[str] | None = None
) -> Any:
    """An object of the family that a table names."""
    words = tuple(accepted or families)
    if "family" not in table:
        raise InvalidInput(f"[{name}] no key 'family': expected one of {', '.join(words)}")
    choice(name, table, "family", words)
    cls = families[table["family"]]
    required = tuple(field.name for field in dataclasses.fields(cls))
    return build(name, cls, table, ("family", *required))


def build(name: str, cls: type, table: dict[str, Any], required: tuple, optional: tuple = ()) -> Any:
    """An object from a table whose keys are its fields; its own checks name the key and the value."""
    known(name, table, required, optional)
    kinds(name, table)
    try:
        return cls(**{key: value for key, value in table.items() if key != "family"})
    except InvalidInput as error:
        raise InvalidInput(f"[{name}] {error}") from error


def known(name: str, table: dict[str, Any], required: tuple, optional: tuple = ()) -> None:
    """Refuse unknown and missing keys, an unknown one with the likeliest correction."""
    accepted = (*required, *optional)
    place = f"[{name}] " if name else ""
    for key in table:
        if key not in accepted:
            close = difflib.get_close_matches(key, accepted, n=1)
            hint = f"did you mean {close[0]!r}? " if close else ""
            raise InvalidInput(f"{place}unknown key {key!r}: {hint}accepted: {', '.join(accepted)}")
    for key in required:
        if key not in table:
            what = f"key {key!r}" if name else f"table [{key}]"
            raise InvalidInput(f"{place}no {what}: expected {', '.join(required)}")


def kinds(name: str, table: dict[str, Any]) -> None:
    """Refuse values of the wrong kind."""
    for key, value in table.items():
        kind = KINDS.get(key, "a number")
        if key == "participants" and isinstance(value, Turnout):
            continue
        if not _is(kind, value):
            raise InvalidInput(f"[{name}] {key} = {_brief(value)}: expected {kind}")


def _is(kind: str, value: Any) -> bool:
    if kind == "a number":  # TOML's integers have 64 bits; Python reads longer ones
        whole = isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63
        return whole or isinstance(value, float)
    if kind == "a list of numbers":
        return isinstance(value, list) and all(_is("a number", entry) for entry in value)
    if kind == "a list of texts":
        return isinstance(value, list) and all(isinstance(entry, str) and entry for entry in value)
    return isinstance(value, str) and value != ""


def choice(name: str, table: dict[str, Any], key: str, words: tuple[str, ...]) -> None:
    """Refuse words that are not among the accepted ones."""
    if key in table and (not isinstance(table[key], str) or table[key] not in words):
        place = f"[{name}] " if name else ""
        close = difflib.get_close_matches(str(table[key]), words, n=1)
        hint = f"did you mean {close[0]!r}? " if close else ""
        raise InvalidInput(f"{place}{key} = {_brief(table[key])}: {hint}accepted: {', '.join(words)}")


def _brief(value: Any, limit: int = 60) -> str:
    try:
        text = repr(value)
    except ValueError:  # integers of more digits than Python prints
        text = "a very large number"
    return text if len(text) <= limit else text[: limit - 3] + "..."
