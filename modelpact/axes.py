"""Axes of a sweep: which fields of a problem vary along a dimension, and through which values.

>>> from contracts import LinearValuation, Population, PowerLaw, Problem
>>> problem = Problem(
...     population=Population(costs=[0.2, 0.1], probabilities=[0.5, 0.5], participants=10),
...     accuracy=PowerLaw(optimum=0.95, coefficient=2.0, exponent=0.5),
...     valuation=LinearValuation(scale=100.0),
... )
>>> changed(problem, {"population.participants": 50, "population.probabilities[0]": 0.2}).population
Population(costs=array([0.2, 0.1]), probabilities=array([0.2, 0.8]), participants=50,
    names=('type 1', 'type 2'))
>>> Axis.logarithmic("population.participants", 2, 2000, 4).labels
(2, 20, 200, 2000)
"""

from __future__ import annotations

import dataclasses
import difflib
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from contracts import checks
from contracts.errors import InvalidInput
from contracts.problem import Problem, accuracy, valuation
from contracts.problem import participants as turnout
from contracts.problem.data import family, population
from contracts.records import frozen

WHOLE_TABLES = ("population", "accuracy", "valuation")
OPTIONS = ("belief", "maximise")
MOST_VALUES = 1_000_000


@frozen
class Axis:
    """One dimension of a sweep.

    Args:
        settings: for each point of the axis the fields that it sets, for example
            `{"population.participants": 20}`. Fields are "belief", "maximise", those of "population", "accuracy"
            and "valuation", one entry of a list ("population.costs[0]"), or a whole table ("accuracy"). Setting
            one probability rescales the others to sum to one.
        labels: the coordinate of each point: all numbers or all texts.
        unit: the unit of the coordinate; empty if it has none.

    Raises:
        InvalidInput: no points, or a wrong number of labels, or labels that occur twice.
    """

    settings: Sequence[Mapping[str, Any]]
    labels: Sequence[Any]
    unit: str = ""

    def __post_init__(self) -> None:
        settings, labels = tuple(dict(each) for each in self.settings), tuple(self.labels)
        if not settings:
            raise InvalidInput("an axis has no values: expected at least one")
        if len(labels) != len(settings):
            raise InvalidInput(f"labels has length {len(labels)}: expected {len(settings)}, one per value")
        texts = [isinstance(label, str) for label in labels]
        numbers = [
            isinstance(label, int | float | np.number) and not isinstance(label, bool) for label in labels
        ]
        if not all(texts) and not all(numbers):
            raise InvalidInput("labels: expected all numbers or all texts")
        if len(set(labels)) != len(labels):
            raise InvalidInput("labels occur twice: expected different values along an axis")
        object.__setattr__(self, "settings", settings)
        object.__setattr__(self, "labels", labels)

    @classmethod
    def of(cls, field: str, values: Sequence[Any], labels: Sequence[Any] | None = None) -> Axis:
        """The field takes the values listed, in that order (lists of numbers, whole tables too)."""
        if isinstance(values, str) or not isinstance(values, Sequence | np.ndarray):
            raise InvalidInput(f"values = {values!r:.60}: expected a list of values for {field}")
        plain = [value.item() if isinstance(value, np.generic) else value for value in values]
        simple = all(isinstance(value, int | float | str) for value in plain)
        shown = labels if labels is not None else plain if simple else range(len(plain))
        settings = [{field: value} for value in plain]
        return cls(settings=settings, labels=tuple(shown), unit=UNITS.get(_bare(field), ""))

    @classmethod
    def linear(cls, field: str, start: float, stop: float, count: int) -> Axis:
        """Evenly spaced values; whole numbers where the field holds them."""
        return cls.of(field, _spaced(field, start, stop, count, np.linspace))

    @classmethod
    def logarithmic(cls, field: str, start: float, stop: float, count: int) -> Axis:
        """Values in even ratios, from a positive `start`; whole numbers where the field holds them."""
        checks.number("start", start, low=0.0, open_low=True)
        checks.number("stop", stop, low=0.0, open_low=True)
        return cls.of(field, _spaced(field, start, stop, count, np.geomspace))


UNITS = {
    "population.participants": "participants",
    "population.costs": "cost per datum",
    "valuation.scale": "cost",
}


def _spaced(field: str, start: float, stop: float, count: int, spacing: Any) -> list[Any]:
    low, high = checks.number("start", start), checks.number("stop", stop)
    values = spacing(low, high, checks.integer("count", count, low=1, high=MOST_VALUES))
    if _bare(field) == "population.participants":
        return [int(value) for value in dict.fromkeys(np.rint(values))]
    return values.tolist()


def _bare(field: str) -> str:
    return re.sub(r"\[\d+\]$", "", field)


def changed(problem: Problem, settings: Mapping[str, Any]) -> Problem:
    """The problem with some fields set.

    Args:
        problem: the problem to start from.
        settings: values by field, as `Axis` describes them.

    Raises:
        InvalidInput: an unknown field, or a value that the field does not accept.
    """
    parts: dict[str, dict[str, Any]] = defaultdict(dict)
    for field, value in settings.items():
        part, _, name = field.partition(".")
        if field in WHOLE_TABLES:
            parts[""][field] = _table(field, value)
        elif field in OPTIONS:
            parts[""][field] = value
        elif part in WHOLE_TABLES and name:
            parts[part][name] = value
        else:
            raise InvalidInput(_unknown(field, problem))
    whole = parts.pop("", {})
    for part, values in parts.items():
        record = whole.get(part, getattr(problem, part))
        whole[part] = _set(record, part, values, problem)
    return dataclasses.replace(problem, **whole)


def _table(name: str, value: Any) -> Any:
    if not isinstance(value, dict):
        if type(value).__module__.startswith("contracts."):
            return value
        raise InvalidInput(f"{name} = {value!r:.60}: expected a table")
    if name == "population":
        return population(name, value)
    return family(name, value, accuracy.FAMILIES if name == "accuracy" else valuation.FAMILIES)


def _set(record: Any, part: str, values: dict[str, Any], problem: Problem) -> Any:
    known = {entry.name for entry in dataclasses.fields(record)}
    changes: dict[str, Any] = {}
    for name, value in sorted(values.items(), key=lambda item: "[" in item[0]):  # whole lists first
        match = re.fullmatch(r"(\w+)(?:\[(\d+)\])?", name)
        if match is None or match[1] not in known:
            raise InvalidInput(_unknown(f"{part}.{name}", problem))
        if match[2] is None:
            law = name == "participants" and isinstance(value, dict)
            changes[name] = family("population.participants", value, turnout.FAMILIES) if law else value
        else:
            current = changes.get(match[1], getattr(record, match[1]))
            changes[match[1]] = _entry(part, match[1], current, int(match[2]), value)
    if "costs" in changes and np.size(changes["costs"]) != np.size(getattr(record, "costs", ())):
        changes.setdefault("names", None)
    try:
        return dataclasses.replace(record, **changes)
    except InvalidInput as error:
        raise InvalidInput(f"[{part}] {error}") from error


def _entry(part: str, name: str, current: Any, index: int, value: Any) -> np.ndarray:
    where = f"{part}.{name}[{index}]"
    if np.ndim(current) != 1 or index >= np.size(current):
        raise InvalidInput(f"{where}: expected an entry of a list with {np.size(current)} entries")
    result = np.array(current, dtype=float)
    if name != "probabilities":
        result[index] = checks.number(where, value)
        return result
    share = checks.number(where, value, low=0.0, high=1.0)
    rest = float(result.sum() - result[index])
    if rest <= 0.0 and share < 1.0:
        raise InvalidInput(f"{where} = {share:g}: expected 1, as no other type has a chance")
    result *= (1.0 - share) / rest if rest > 0.0 else 0.0
    result[index] = share
    return result


def _unknown(field: str, problem: Problem) -> str:
    accepted = [*OPTIONS, *WHOLE_TABLES]
    for part in WHOLE_TABLES:
        accepted += [f"{part}.{entry.name}" for entry in dataclasses.fields(getattr(problem, part))]
    close = difflib.get_close_matches(field, accepted, n=1)
    hint = f"did you mean {close[0]!r}? " if close else ""
    return f"unknown field {field!r}: {hint}accepted: {', '.join(accepted)}"
