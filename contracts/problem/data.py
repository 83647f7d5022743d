"""Problems as plain data (tables of numbers and words), as problem files and contract files hold them.

Python, TOML and JSON say the same words; whatever is as usual is left out. Only the accuracy that everybody has
without data stands elsewhere than in Python, beside the curve: `baseline` in the table "accuracy".
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from contracts.errors import InvalidInput
from contracts.problem import BELIEFS, TARGETS, Problem, accuracy, objective, valuation
from contracts.problem.accuracy import AccuracyCurve
from contracts.problem.data_population import (
    population_from_data,
    population_to_data,
    scenario_from_data,
    scenario_to_data,
)
from contracts.problem.data_tables import (
    build,
    choice,
    family,
    is_number,
    kinds,
    known,
    of_family,
    plain,
    stated,
    table_of,
    tables,
)
from contracts.problem.menu import Menu
from contracts.problem.objective import Objective
from contracts.problem.outside import Outside
from contracts.problem.valuation import Valuation

TABLES = ("population", "accuracy", "valuation")
OPTIONAL = ("belief", "maximise", "currency", "outside", "menu", "objective", "scenarios")
# Curves that are recomputed from measurements, by their family; `contracts.measured` says how.
RECOMPUTED: dict[str, Callable[[dict[str, Any]], AccuracyCurve]] = {}
PER_TYPE = {"scale": "a number or a list of numbers, one per type"}


def problem_to_data(problem: Problem) -> dict[str, Any]:
    """A problem as nested tables of plain values; `problem_from_data` gives it back exactly.

    Raises:
        InvalidInput: a curve, law or objective is a user's, which has no faithful text.
    """
    curve = (
        plain(problem.accuracy.parameters())
        if not problem.accuracy.known
        else of_family("accuracy", problem.accuracy, accuracy.FAMILIES)
    )
    found: dict[str, Any] = {"belief": problem.belief, "maximise": problem.maximise}
    if problem.currency:
        found["currency"] = problem.currency
    found["population"] = population_to_data(problem.population)
    found["accuracy"] = curve | ({"baseline": problem.baseline} if problem.baseline else {})
    found["valuation"] = of_family("valuation", problem.valuation, valuation.FAMILIES)
    for name in ("outside", "menu"):
        if table := stated(getattr(problem, name)):
            found[name] = table
    if problem.objective is not None:
        of_family("objective", problem.objective, objective.FAMILIES)
        found["objective"] = {"family": problem.objective.family} | stated(problem.objective)
    if problem.scenarios:
        groups = problem.population.group_names
        found["scenarios"] = [scenario_to_data(scenario, groups) for scenario in problem.scenarios]
    return found


def problem_from_data(
    document: Mapping[str, Any],
    curve: AccuracyCurve | None = None,
    *,
    families: Iterable[str] = tuple(accuracy.FAMILIES),
) -> Problem:
    """A problem from nested tables.

    Args:
        document: tables "population", "accuracy", "valuation" and, where they say something, "outside", "menu",
            "objective", a list of tables "scenarios", and the words "belief", "maximise", "currency".
        curve: the accuracy curve, where the caller has read that table already.
        families: the families of curves to name where an unknown one is asked for.

    Raises:
        InvalidInput: an unknown or missing key, a wrong kind of value, a value out of range, or ingredients that
            do not go together.
    """
    known("", document, TABLES, OPTIONAL)
    parts = {name: table_of(name, document[name]) for name in TABLES}
    choice("", document, "belief", BELIEFS)
    choice("", document, "maximise", TARGETS)
    kinds("", {key: document[key] for key in ("currency",) if document.get(key) != "" and key in document})
    population = population_from_data("population", parts["population"])
    values: dict[str, Any] = {
        name: document[name] for name in ("belief", "maximise", "currency") if name in document
    }
    values["accuracy"] = curve if curve is not None else curve_from_data(parts["accuracy"], families)
    if "baseline" in parts["accuracy"]:
        values["baseline"] = baseline_from_data(parts["accuracy"])
    values["valuation"] = valuation_from_data(parts["valuation"], population.types)
    for name, read in (("outside", outside_from_data), ("menu", menu_from_data)):
        if name in document:
            values[name] = read(table_of(name, document[name]), population.types)
    if "objective" in document:
        aim, target = objective_from_data(table_of("objective", document["objective"]))
        values |= {"objective": aim, "maximise": _target(document, target)}
    values["scenarios"] = tuple(
        scenario_from_data(f"scenarios[{k}]", table, population.groups)
        for k, table in enumerate(tables("scenarios", document.get("scenarios", [])))
    )
    return Problem(population=population, **values)


def curve_from_data(table: dict[str, Any], families: Iterable[str] = tuple(accuracy.FAMILIES)) -> AccuracyCurve:
    """A learning curve from a table, which may hold the baseline, too."""
    if table.get("family") in RECOMPUTED:
        stated = {key: value for key, value in table.items() if key != "baseline"}
        try:
            return RECOMPUTED[table["family"]](stated)
        except InvalidInput as error:
            raise InvalidInput(f"[accuracy] {error}") from error
    return family("accuracy", table, accuracy.FAMILIES, families, beside=("baseline",))


def baseline_from_data(table: Mapping[str, Any]) -> Any:
    """The accuracy that everybody has without data, from the table of the curve."""
    kinds("accuracy", {"baseline": table["baseline"]})
    return table["baseline"]


def valuation_from_data(table: dict[str, Any], types: int) -> Valuation:
    """A valuation from a table; its scale may be a list, one number per type."""
    found = family("valuation", table, valuation.FAMILIES, special=PER_TYPE)
    _one_per_type("valuation", "scale", found.scale, types)
    return found


def outside_from_data(table: dict[str, Any], types: int) -> Outside:
    """The outside option from a table."""
    found = build("outside", Outside, table, (), ("utility", "joining_cost"))
    for key in ("utility", "joining_cost"):
        _one_per_type("outside", key, getattr(found, key), types)
    return found


def menu_from_data(table: dict[str, Any], types: int) -> Menu:  # noqa: ARG001 - as others are read
    """Limits of the menu from a table."""
    return build("menu", Menu, table, (), tuple(field.name for field in dataclasses.fields(Menu)))


def objective_from_data(table: dict[str, Any]) -> tuple[Objective | None, str | None]:
    """The objective from a table, and the coordinator's target where it is stated there."""
    words = (*TARGETS, *objective.FAMILIES)
    choice("objective", table, "family", words)
    if table.get("family") in TARGETS:
        known("objective", table, ("family",))
        return None, table["family"]
    choice("objective", table, "target", TARGETS)
    found = family("objective", table, objective.FAMILIES, words, beside=("target",), lenient=True)
    return found, table.get("target")


def _target(document: Mapping[str, Any], target: str | None) -> str:
    """The coordinator's target, from the objective's table or from the word that files had for it first."""
    if target is None:
        return document.get("maximise", "accuracy")
    if document.get("maximise", target) != target:
        raise InvalidInput(
            f"maximise = {document['maximise']!r}: the table [objective] says {target!r}: expected one of them"
        )
    return target


def _one_per_type(name: str, key: str, value: Any, types: int) -> None:
    if value is None or is_number(value):
        return
    if np.shape(value) != (types,):
        raise InvalidInput(
            f"[{name}] {key} has length {len(value)}: expected a number, or {types}, one per type"
        )
