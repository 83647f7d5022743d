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
from contracts.problem import Problem
from contracts.problem.data import (
    curve_from_data,
    menu_from_data,
    objective_from_data,
    outside_from_data,
    valuation_from_data,
)
from contracts.problem.data_population import doubt_from_data, participants_from_data, population_from_data
from contracts.problem.doubt import Doubt
from contracts.records import frozen

WHOLE_TABLES = ("population", "accuracy", "valuation", "outside", "menu", "objective")
OPTIONS = ("belief", "maximise", "baseline")
MOST_VALUES = 1_000_000


@frozen
class Axis:
    """One dimension of a sweep.

    Args:
        settings: for each point of the axis the fields that it sets, for example
            `{"population.participants": 20}`. Fields are "belief", "maximise", "baseline", those of
            "population", "accuracy", "valuation", "outside", "menu" and "objective" (also what these hold:
            "population.doubt.radius", "population.participants.clinics", the number of one group), one entry of
            a list ("population.costs[0]"), or a whole table ("accuracy"). Setting one probability rescales the
            others of its group to sum to one.
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
    "population.capacities": "data",
    "menu.lot": "data",
    "menu.options": "options",
    **dict.fromkeys(
        (
            "valuation.scale",
            "outside.utility",
            "outside.joining_cost",
            "menu.participation_margin",
            "menu.preference_margin",
        ),
        "cost",
    ),
}


def _spaced(field: str, start: float, stop: float, count: int, spacing: Any) -> list[Any]:
    low, high = checks.number("start", start), checks.number("stop", stop)
    values = spacing(low, high, checks.integer("count", count, low=1, high=MOST_VALUES))
    if _bare(field).startswith("population.participants") or field == "menu.options":
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
        if field == "accuracy.baseline":  # where files state it
            parts[""]["baseline"] = value
        elif field in WHOLE_TABLES:
            parts[""] |= _table(field, value, problem)
        elif field in OPTIONS:
            parts[""][field] = value
        elif part in WHOLE_TABLES and name:
            parts[part][name] = value
        else:
            raise InvalidInput(_unknown(field, problem))
    whole = parts.pop("", {})
    for part, values in parts.items():
        record = whole.get(part, getattr(problem, part))
        if record is None:
            raise InvalidInput(f"{part}.{next(iter(values))}: expected a problem with an objective that has it")
        whole[part] = _set(record, part, values, problem)
    return dataclasses.replace(problem, **whole)


def _table(name: str, value: Any, problem: Problem) -> dict[str, Any]:
    """Fields of the problem that a whole table sets."""
    if not isinstance(value, dict):
        if type(value).__module__.startswith("contracts."):
            return {name: value}
        raise InvalidInput(f"{name} = {value!r:.60}: expected a table")
    types = problem.population.types
    if name == "accuracy":
        beside = {"baseline": value["baseline"]} if "baseline" in value else {}
        return {name: curve_from_data(value)} | beside
    if name == "objective":
        aim, target = objective_from_data(value)
        return {name: aim} | ({} if target is None else {"maximise": target})
    if name == "population":
        return {name: population_from_data(name, value)}
    read = {"valuation": valuation_from_data, "outside": outside_from_data, "menu": menu_from_data}[name]
    return {name: read(value, types)}


def _set(record: Any, part: str, values: dict[str, Any], problem: Problem) -> Any:
    known = {entry.name for entry in dataclasses.fields(record)}
    changes: dict[str, Any] = {}
    for name, value in sorted(values.items(), key=lambda item: "[" in item[0]):  # whole lists first
        match = re.fullmatch(r"(\w+)(?:\[(\d+)\]|\.(.+))?", name)
        if match is None or match[1] not in known:
            raise InvalidInput(_unknown(f"{part}.{name}", problem))
        field, index, inner = match[1], match[2], match[3]
        current = changes.get(field, getattr(record, field))
        if index is not None:
            group = record.group_of if field == "probabilities" and part == "population" else None
            changes[field] = _entry(part, field, current, int(index), value, group)
        elif inner is not None:
            changes[field] = _inner(f"{part}.{field}", record, current, inner, value, problem)
        else:
            changes[field] = _whole(part, field, value, changes.get("groups", getattr(record, "groups", None)))
    if "costs" in changes and np.size(changes["costs"]) != np.size(getattr(record, "costs", ())):
        changes.setdefault("names", None)
    try:
        return dataclasses.replace(record, **changes)
    except InvalidInput as error:
        raise InvalidInput(f"[{part}] {error}") from error


def _whole(part: str, field: str, value: Any, groups: Any) -> Any:
    """The value of a field, where it is a table of its own."""
    if part == "population" and isinstance(value, dict):
        if field == "participants":
            return participants_from_data(part, value, groups)
        if field == "doubt":
            return doubt_from_data(f"{part}.{field}", value)
    return value


def _inner(place: str, record: Any, current: Any, inner: str, value: Any, problem: Problem) -> Any:
    """A field's value with one of its own fields set: how much doubt, a law's mean, one group's number."""
    if place == "population.participants" and isinstance(current, tuple):
        groups = record.group_names
        if inner not in groups:
            raise InvalidInput(f"unknown field '{place}.{inner}': no such group: expected {', '.join(groups)}")
        law = participants_from_data("population", {inner: value}, [inner])[inner]
        return tuple(law if name == inner else one for name, one in zip(groups, current, strict=True))
    if place == "population.doubt" and current is None and inner == "radius":
        return Doubt(radius=value)
    if not dataclasses.is_dataclass(current) or inner not in {f.name for f in dataclasses.fields(current)}:
        raise InvalidInput(_unknown(f"{place}.{inner}", problem))
    return dataclasses.replace(current, **{inner: value})  # type: ignore[type-var]


def _entry(
    part: str, name: str, current: Any, index: int, value: Any, group: np.ndarray | None = None
) -> np.ndarray:
    where = f"{part}.{name}[{index}]"
    if np.ndim(current) != 1 or index >= np.size(current):
        raise InvalidInput(f"{where}: expected an entry of a list with {np.size(current)} entries")
    result = np.array(current, dtype=float)
    if name != "probabilities":
        result[index] = checks.number(where, value)
        return result
    share = checks.number(where, value, low=0.0, high=1.0)
    others = np.ones(result.size, dtype=bool) if group is None else group == group[index]
    rest = float(result[others].sum() - result[index])
    if rest <= 0.0 and share < 1.0:
        raise InvalidInput(f"{where} = {share:g}: expected 1, as no other type has a chance")
    result[others] *= (1.0 - share) / rest if rest > 0.0 else 0.0
    result[index] = share
    return result


def _unknown(field: str, problem: Problem) -> str:
    accepted = [*OPTIONS, *WHOLE_TABLES]
    for part in WHOLE_TABLES:
        record = getattr(problem, part)
        accepted += (
            [f"{part}.{entry.name}" for entry in dataclasses.fields(record)] if record is not None else []
        )
    accepted += ["population.doubt.radius"]
    close = difflib.get_close_matches(field, accepted, n=1)
    hint = f"did you mean {close[0]!r}? " if close else ""
    return f"unknown field {field!r}: {hint}accepted: {', '.join(accepted)}"
