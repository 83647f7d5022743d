"""A scheme: everything that decides a run; `modelpact.scheme.scheme_file` reads one from a file."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from contracts import checks
from contracts.errors import InvalidInput
from contracts.measured.measured_curve import MeasuredCurve
from contracts.measured.measurements import Measurements
from contracts.problem import Problem
from contracts.problem.accuracy import AccuracyCurve
from contracts.problem.data_population import population_to_data
from contracts.problem.data_tables import of_family
from contracts.problem.objective import FAMILIES as OBJECTIVES
from contracts.problem.objective import Objective
from contracts.problem.outside import Outside
from contracts.problem.population import Population
from contracts.problem.valuation import FAMILIES as VALUATIONS
from contracts.problem.valuation import Valuation
from contracts.records import frozen
from mechanisms.seeds import LARGEST_SEED
from modelpact.scheme.tables import (
    Auditing,
    Data,
    Handing,
    Measuring,
    ModelShape,
    Seat,
    Terms,
    Training,
    Verification,
)


@frozen
class Scheme:
    """Everything that decides a run; equal schemes give equal files.

    Attributes:
        seed: decides every draw.
        data, model, training, measuring, menu, verification, delivery, audit: the tables.
        population, valuation, outside, objective: what the contract is designed for.
        participants: who really comes.
    """

    data: Data
    population: Population
    valuation: Valuation
    seed: int = 0
    model: ModelShape = dataclasses.field(default_factory=ModelShape)
    training: Training = dataclasses.field(default_factory=Training)
    measuring: Measuring = dataclasses.field(default_factory=Measuring)
    menu: Terms = dataclasses.field(default_factory=Terms)
    outside: Outside = Outside()
    objective: Objective | None = None
    participants: tuple[Seat, ...] = ()
    verification: Verification = dataclasses.field(default_factory=Verification)
    delivery: Handing = dataclasses.field(default_factory=Handing)
    audit: Auditing = dataclasses.field(default_factory=Auditing)

    def __post_init__(self) -> None:
        checks.integer("seed", self.seed, high=LARGEST_SEED)
        if self.population.shading:
            raise InvalidInput(
                f"[population] shading = {self.population.shading:g}: expected 0, for all that is delivered is"
                " verified"
            )
        # ingredients that do not go together are refused before any work is done
        self.check(np.full(self.population.types, 1e9))
        if not self.participants:
            object.__setattr__(self, "participants", self._expected())
        if self.model.factory and self.training.trainer == "flower":
            raise InvalidInput("trainer = 'flower' with a model of your own: expected 'pooled' or 'federated'")
        for i, seat in enumerate(self.participants):
            self._check_seat(f"[participants[{i}]]", seat)

    def _expected(self) -> tuple[Seat, ...]:
        """As many truthful ones as the contract expects, of each group."""
        names, numbers = self.population.group_names or ("",), []
        for law in self.population.laws:
            counts = law.support[0]
            numbers.append(int(counts[np.argmin(np.abs(counts - float(law.mean)))]))
        return tuple(Seat(count=n, group=name) for name, n in zip(names, numbers, strict=True) if n > 0)

    def _check_seat(self, place: str, seat: Seat) -> None:
        names, groups = self.population.names or (), self.population.group_names
        if seat.type and seat.type not in names:
            raise InvalidInput(f"{place} type = {seat.type!r}: expected one of {', '.join(names)}")
        if seat.group and seat.group not in (groups or ()):
            accepted = f"one of {', '.join(groups)}" if groups else "none, as the population has no groups"
            raise InvalidInput(f"{place} group = {seat.group!r}: expected {accepted}")
        if groups and not (seat.group or seat.type):
            raise InvalidInput(f"{place} no group and no type: expected a group, one of {', '.join(groups)}")
        if seat.attack != "label-flip" and self.training.trainer == "pooled":
            raise InvalidInput(
                f"{place} attack = {seat.attack!r}: expected 'label-flip', for pooled training has no updates"
                " to attack"
            )

    def check(self, most: np.ndarray) -> None:
        """Refuse ingredients that do not go together, whatever the pilot will find; `most` as in `problem`."""
        self.problem(self.curve(Measurements(data=[20, 200], accuracy=[0.5, 0.9]), 0.1), most)

    def curve(self, measured: Measurements, chance: float) -> MeasuredCurve:
        """The learning curve with what is promised on it; `chance` is the accuracy without any data."""
        promise, level = self.measuring.promise, self.measuring.confidence
        return MeasuredCurve(measurements=measured, chance=chance, promise=promise, level=level)

    def problem(self, curve: AccuracyCurve, most: np.ndarray) -> Problem:
        """What the contract is designed for.

        Args:
            curve: the learning curve, by usable samples; a measured one says what everybody has without any.
            most: usable samples that each type could deliver, shape (types,).
        """
        population = self.population
        quality = 1.0 if population.qualities is None else population.qualities
        # what is owed under a clause follows from the signatures, and is checked once they are there
        known = most if self.menu.assurance in (None, "cut") else np.inf
        capacity: Any = np.broadcast_to(known / quality, (population.types,))
        if population.capacities is not None:
            capacity = np.minimum(capacity, population.capacities)
        capacity = capacity if np.isfinite(capacity).any() else None
        return Problem(
            population=dataclasses.replace(population, capacities=capacity),
            accuracy=curve,
            valuation=self.valuation,
            baseline=getattr(curve, "chance", 0.0),
            outside=self.outside,
            menu=self.menu.limits(float(np.max(population.costs / quality))),
            objective=self.objective,
        )

    @property
    def seats(self) -> tuple[Seat, ...]:
        """One entry for each participant who comes."""
        return tuple(seat for seat in self.participants for _ in range(seat.count))

    def table(self, name: str) -> Any:
        """One of the tables as plain values, the same for equal settings."""
        value = getattr(self, name)
        if isinstance(value, Population):
            return population_to_data(value)
        if isinstance(value, Outside):
            return value.parameters()
        if isinstance(value, Objective):
            return of_family("objective", value, OBJECTIVES)
        if isinstance(value, Valuation):
            return of_family("valuation", value, VALUATIONS)
        if name == "participants":
            return [dataclasses.asdict(seat) for seat in self.seats]
        if name == "data" and value.content:  # what is in the file counts, not where it lies
            return dataclasses.asdict(value) | {"name": Path(value.name).name}
        return value if name in ("seed", "objective") else dataclasses.asdict(value)

    def at_seed(self, seed: int) -> Scheme:
        """The same scheme with other draws."""
        return dataclasses.replace(self, seed=seed)
