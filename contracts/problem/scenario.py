"""One of several populations or curves that may turn out to be the true one."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from contracts import checks
from contracts.errors import InvalidInput
from contracts.problem.accuracy import AccuracyCurve
from contracts.problem.population import Population
from contracts.records import frozen


@frozen
class Scenario:
    """What may differ from the problem as stated, and how likely that is.

    One menu is designed, best on average over scenarios, whose promises are kept in each of them, however
    unlikely it is.

    Args:
        weight: how likely, in [0, 1]; the weights of a problem's scenarios sum to 1.
        probabilities: of the types (within each group), shape (types,); None for the stated ones.
        participants: how many take part, as in `Population`; None for the stated number.
        accuracy: the learning curve; None for the stated one.

    Raises:
        InvalidInput: naming the argument, the index and what is accepted.

    >>> Scenario(weight=0.3, probabilities=[0.8, 0.2]).weight
    0.3
    """

    weight: Any
    probabilities: Any = None
    participants: Any = None
    accuracy: Any = None

    def __post_init__(self) -> None:
        set_field = object.__setattr__
        set_field(self, "weight", checks.number("weight", self.weight, low=0.0, high=1.0))
        if self.probabilities is not None:
            found = checks.array("probabilities", self.probabilities, low=0.0, high=1.0)
            set_field(self, "probabilities", found)
        if self.accuracy is not None and not isinstance(self.accuracy, AccuracyCurve):
            raise InvalidInput(f"accuracy = {self.accuracy!r:.60}: expected an AccuracyCurve")


def checked_weights(scenarios: tuple[Scenario, ...]) -> np.ndarray:
    """The weights, which must sum to one."""
    return checks.probabilities("scenarios: weights", [scenario.weight for scenario in scenarios])


def scenario_population(population: Population, scenario: Scenario) -> Population:
    """The population of a scenario, as stated."""
    changed: dict[str, Any] = {}
    if scenario.probabilities is not None:
        changed["probabilities"] = scenario.probabilities
    if scenario.participants is not None:
        changed["participants"] = scenario.participants
    return dataclasses.replace(population, **changed) if changed else population


def in_population(scenario: Scenario, population: Population) -> Scenario:
    """The scenario with what it changes as the population holds it (rescaled, by group, as laws).

    Raises:
        InvalidInput: what it changes does not fit the population.
    """
    stated = scenario_population(population, scenario)
    changed = ("probabilities", "participants")
    values = {name: getattr(stated, name) for name in changed if getattr(scenario, name) is not None}
    return dataclasses.replace(scenario, **values) if values else scenario
