"""Populations, numbers of participants and scenarios as tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from contracts.errors import InvalidInput
from contracts.problem.accuracy import FAMILIES as CURVES
from contracts.problem.data_tables import (
    brief,
    family,
    is_number,
    kinds,
    known,
    made,
    of_family,
    plain,
    table_of,
)
from contracts.problem.doubt import Doubt
from contracts.problem.participants import FAMILIES as LAWS
from contracts.problem.participants import FixedTurnout
from contracts.problem.population import Population
from contracts.problem.scenario import Scenario

OPTIONAL = ("names", "groups", "qualities", "capacities", "shading", "doubt")
ACCEPTED = "a number, a law {family = ...}, one of these for each group, or 'named'"


def population_to_data(population: Population) -> dict[str, Any]:
    """A population as a table; whatever is as usual is left out."""
    found: dict[str, Any] = {"costs": population.costs.tolist()}
    if _named(population):
        found |= {"participants": "named", "names": list(population.names or ())}
    else:
        found |= {
            "probabilities": population.probabilities.tolist(),
            "participants": participants_to_data(population.participants, population.group_names),
            "names": list(population.names or ()),
        }
        if population.groups is not None:
            found["groups"] = list(population.groups)
    for name in ("qualities", "capacities"):
        if getattr(population, name) is not None:
            found[name] = getattr(population, name).tolist()
    if population.shading != 0.0:
        found["shading"] = population.shading
    if population.doubt is not None:
        found["doubt"] = population.doubt.parameters()
    return found


def _named(population: Population) -> bool:
    """Whether the word "named" says who takes part, each being a group of its own name."""
    each = population.participants
    alone = isinstance(each, tuple) and all(isinstance(one, int) and one == 1 for one in each)
    return alone and population.groups == population.names and bool((population.probabilities == 1.0).all())


def participants_to_data(participants: Any, groups: tuple[str, ...] | None) -> Any:
    """A number or law, or the numbers and laws by group."""
    if isinstance(participants, tuple):
        return {name: _law(one) for name, one in zip(groups or (), participants, strict=True)}
    return _law(participants)


def _law(one: Any) -> Any:
    if isinstance(one, FixedTurnout):
        return one.count
    return of_family("participants", one, LAWS) if hasattr(one, "parameters") else plain(one)


def population_from_data(name: str, table: Mapping[str, Any]) -> Population:
    """A population from a table."""
    named = table.get("participants") == "named"
    required = ("costs", "participants") if named else ("costs", "probabilities", "participants")
    known(name, table, required, OPTIONAL + (("probabilities",) if named else ()))
    kinds(name, {key: value for key, value in table.items() if key not in ("participants", "doubt")})
    if len(table.get("groups", table["costs"])) != len(table["costs"]):  # before these are looked up
        raise InvalidInput(
            f"[{name}] groups has length {len(table['groups'])}: expected {len(table['costs'])}, one per type"
        )
    values = dict(table)
    values["participants"] = participants_from_data(name, table["participants"], table.get("groups"))
    if "doubt" in table:
        values["doubt"] = doubt_from_data(f"{name}.doubt", table["doubt"])
    return made(name, Population, values)


def doubt_from_data(name: str, value: Any) -> Doubt:
    """How far probabilities may be off, from a table."""
    table = table_of(name, value)
    known(name, table, ("radius",), ("distance",))
    kinds(name, table)
    return made(name, Doubt, table)


def participants_from_data(name: str, value: Any, groups: Iterable[str] | None) -> Any:
    """How many take part: a number, a law, one of these by group, or "named".

    Args:
        name: the name of the table that they stand in.
        value: what is found there.
        groups: each type's group; None where there are none.
    """
    if not isinstance(value, dict):
        if is_number(value) or value == "named":
            return value
        raise InvalidInput(f"[{name}] participants = {brief(value)}: expected {ACCEPTED}")
    place = f"{name}.participants"
    if groups is None or isinstance(value.get("family"), str):
        return family(place, value, LAWS)
    known(place, value, tuple(dict.fromkeys(groups)))
    return {group: _of_group(place, group, one) for group, one in value.items()}


def _of_group(place: str, group: str, value: Any) -> Any:
    if isinstance(value, dict):
        return family(f"{place}.{group}", value, LAWS)
    if is_number(value):
        return value
    raise InvalidInput(f"[{place}] {group} = {brief(value)}: expected a whole number or a law {{family = ...}}")


def scenario_to_data(scenario: Scenario, groups: tuple[str, ...] | None) -> dict[str, Any]:
    """A scenario as a table: its weight and what differs from the problem as stated."""
    found: dict[str, Any] = {"weight": scenario.weight}
    changed = {}
    if scenario.probabilities is not None:
        changed["probabilities"] = scenario.probabilities.tolist()
    if scenario.participants is not None:
        changed["participants"] = participants_to_data(scenario.participants, groups)
    if changed:
        found["population"] = changed
    if scenario.accuracy is not None:
        found["accuracy"] = of_family("accuracy", scenario.accuracy, CURVES)
    return found


def scenario_from_data(name: str, table: Mapping[str, Any], groups: tuple[str, ...] | None) -> Scenario:
    """A scenario from a table.

    Args:
        name: what to call the table in errors.
        table: "weight" and what differs: tables "population" (probabilities, participants) and "accuracy".
        groups: each type's group in the problem as stated; None where there are none.
    """
    known(name, table, ("weight",), ("population", "accuracy"))
    kinds(name, {"weight": table["weight"]})
    values: dict[str, Any] = {"weight": table["weight"]}
    if "population" in table:
        place = f"{name}.population"
        changed = table_of(place, table["population"])
        known(place, changed, (), ("probabilities", "participants"))
        kinds(place, {key: value for key, value in changed.items() if key != "participants"})
        values |= changed
        if "participants" in changed:
            if changed["participants"] == "named":
                raise InvalidInput(f"[{place}] participants = 'named': expected numbers or laws")
            values["participants"] = participants_from_data(place, changed["participants"], groups)
    if "accuracy" in table:
        place = f"{name}.accuracy"
        values["accuracy"] = family(place, table_of(place, table["accuracy"]), CURVES)
    return made(name, Scenario, values)
