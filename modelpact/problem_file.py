"""Read a contract-design problem from a TOML file; errors name the file, the key and what is accepted.

```toml
belief = "interim"                  # or "ex-ante"; optional
maximise = "accuracy"               # or "value"; optional
[population]
costs = [0.2, 0.1]                  # of one datum, by type
probabilities = [0.5, 0.5]
participants = 10
names = ["small", "large"]          # optional
[accuracy]
family = "power-law"                # and its parameters; or "measured" with a CSV file
optimum = 0.95
coefficient = 2.0
exponent = 0.5
[valuation]
family = "linear"
scale = 100.0
```
"""

from __future__ import annotations

import dataclasses
import difflib
import os
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from contracts import accuracy, learning_curves, valuation
from contracts.accuracy import AccuracyCurve
from contracts.errors import InvalidInput
from contracts.learning_curves import CurveFit
from contracts.population import Population
from contracts.problem import BELIEFS, TARGETS, Problem
from contracts.records import frozen

# What each key holds; parameters of families that are not listed are numbers.
KINDS: dict[str, str] = {
    "costs": "a list of numbers",
    "probabilities": "a list of numbers",
    "data": "a list of numbers",
    "accuracy": "a list of numbers",
    "names": "a list of texts",
    "family": "a text",
    "measurements": "the path of a CSV file",
    "fit": "a text",
}
LARGEST_FILE = 10_000_000


@frozen
class ProblemFile:
    """What a problem file says.

    Attributes:
        path: the file.
        problem: the problem it states.
        fit: the learning curve fitted to its measurements; None unless the accuracy is "measured".
    """

    path: Path
    problem: Problem
    fit: CurveFit | None

    @property
    def notes(self) -> tuple[str, ...]:
        """What the reader should know about the measurements before trusting the curve; usually nothing."""
        if self.fit is None:
            return ()
        notes = [
            f"measurements: {found}"
            for found in self.fit.measurements.irregularities()
            if found.significant is not False
        ]
        if self.fit.at_bound:
            notes.append(f"fitted curve: {', '.join(self.fit.at_bound)} at the bound of its range")
        if self.fit.p_value is not None and self.fit.p_value < 1e-3:
            notes.append(
                f"fitted curve: misses the measurements by {self.fit.rmse:.2g} on average, more than their"
                f" standard errors explain (chi² {self.fit.chi_square:.0f} on {self.fit.degrees_of_freedom}"
                " degrees of freedom)"
            )
        return tuple(notes)


def read_problem(path: str | os.PathLike[str]) -> ProblemFile:
    """Read a problem file.

    Args:
        path: a TOML file, as this module's documentation shows; the accuracy's family is one of
            "power-law", "generalization-bound", "exponential", "arctan", "tabulated" (`data`, `accuracy`) or
            "measured" (`measurements`: a CSV file, relative to the problem file; `fit`: the family to fit,
            "power-law" by default, or "best" for the one that explains the measurements best).

    Returns:
        The `ProblemFile`.

    Raises:
        InvalidInput: one line that names the file, the key, the value found and what is accepted.

    >>> read_problem("nowhere.toml")
    Traceback (most recent call last):
    contracts.errors.InvalidInput: nowhere.toml: No such file or directory: expected a TOML file
    """
    document = _document(Path(path))
    try:
        problem, fit = _problem(document, Path(path).parent)
    except InvalidInput as error:
        raise InvalidInput(f"{path}: {error}") from error
    return ProblemFile(path=Path(path), problem=problem, fit=fit)


def _document(path: Path) -> dict[str, Any]:
    try:
        if path.is_file() and path.stat().st_size > LARGEST_FILE:
            raise InvalidInput(f"{path}: {path.stat().st_size} bytes: expected at most {LARGEST_FILE}")
        return tomllib.loads(path.read_bytes().decode("utf-8"))
    except OSError as error:
        raise InvalidInput(f"{path}: {error.strerror}: expected a TOML file") from error
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{path}: byte {error.start} is not UTF-8: expected a TOML file") from error
    except (ValueError, RecursionError) as error:  # TOMLDecodeError, or integers of thousands of digits
        if isinstance(error, InvalidInput):
            raise
        reason = "nested too deeply" if isinstance(error, RecursionError) else str(error).split(";")[0]
        raise InvalidInput(f"{path}: not TOML: {reason}") from error


def _problem(document: dict[str, Any], folder: Path) -> tuple[Problem, CurveFit | None]:
    tables, options = ("population", "accuracy", "valuation"), ("belief", "maximise")
    _known("", document, tables, options)
    for name in tables:
        if not isinstance(document[name], dict):
            raise InvalidInput(f"{name} = {document[name]!r:.60}: expected a table [{name}]")
    _choice("", document, "belief", BELIEFS)
    _choice("", document, "maximise", TARGETS)
    curve, fit = _accuracy(document["accuracy"], folder)
    required, optional = ("costs", "probabilities", "participants"), ("names",)
    return Problem(
        population=_build("population", Population, document["population"], required, optional),
        accuracy=curve,
        valuation=_family("valuation", document["valuation"], valuation.FAMILIES),
        **{name: document[name] for name in options if name in document},
    ), fit


def _accuracy(table: dict[str, Any], folder: Path) -> tuple[AccuracyCurve, CurveFit | None]:
    families = (*accuracy.FAMILIES, "measured")
    if table.get("family") != "measured":
        return _family("accuracy", table, accuracy.FAMILIES, families), None
    _known("accuracy", table, ("family", "measurements"), ("fit",))
    _kinds("accuracy", table)
    _choice("accuracy", table, "fit", (*learning_curves.FAMILIES, "best"))
    try:
        measurements = learning_curves.read_measurements(folder / table["measurements"])
    except InvalidInput as error:
        raise InvalidInput(f"[accuracy] measurements: {error}") from error
    if table.get("fit") == "best":
        fit = learning_curves.compare_families(measurements)[0]
    else:
        fit = learning_curves.fit_curve(measurements, family=table.get("fit", "power-law"))
    return fit.curve, fit


def _family(
    name: str, table: dict[str, Any], families: Mapping[str, type], accepted: Iterable[str] | None = None
) -> Any:
    words = tuple(accepted or families)
    if "family" not in table:
        raise InvalidInput(f"[{name}] no key 'family': expected one of {', '.join(words)}")
    _choice(name, table, "family", words)
    cls = families[table["family"]]
    required = tuple(field.name for field in dataclasses.fields(cls))
    return _build(name, cls, table, ("family", *required))


def _build(name: str, cls: type, table: dict[str, Any], required: tuple, optional: tuple = ()) -> Any:
    """An object from a table whose keys are its fields; its own checks name the key and the value."""
    _known(name, table, required, optional)
    _kinds(name, table)
    try:
        return cls(**{key: value for key, value in table.items() if key != "family"})
    except InvalidInput as error:
        raise InvalidInput(f"[{name}] {error}") from error


def _known(name: str, table: dict[str, Any], required: tuple, optional: tuple = ()) -> None:
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


def _kinds(name: str, table: dict[str, Any]) -> None:
    for key, value in table.items():
        kind = KINDS.get(key, "a number")
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


def _choice(name: str, table: dict[str, Any], key: str, words: tuple[str, ...]) -> None:
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
