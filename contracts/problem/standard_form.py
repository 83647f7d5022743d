r"""The form to which every problem is compiled, whatever its ingredients.

Effective data x_i = q_i m_i (quality q) and effective cost c_i / (q_i V_i) (scale V) make the utility of option
j to type i proportional to t_j - cost_i x_j: who values models most, or has the best data, acts like the one
whose data are cheapest. So types become **rows**: the distinct (effective cost, capacity) of each group, by
falling cost. All promises must hold in every **world**: a scenario, at the probabilities that are worst for it.

Units: values and utilities of rows are those of the mean scale, so that a problem in which nobody differs but in
costs has itself as standard form. Data are what is delivered at least (effective data less what may be shaded).

Source: ours.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from functools import cached_property

import numpy as np

from contracts.errors import InvalidInput
from contracts.problem.accuracy import AccuracyCurve
from contracts.problem.baseline import above
from contracts.problem.participants import Turnout
from contracts.problem.population import Population
from contracts.problem.problem import Problem
from contracts.problem.scenario import Scenario, scenario_population
from contracts.records import frozen


@frozen
class World:
    """One scenario, at the probabilities that are worst in it.

    Attributes:
        weight: how likely it is.
        probabilities: of the rows within their groups, shape (rows,).
        laws: of each group's number of participants.
        plain: a plain problem with this world's curve and the mean valuation, both above the baseline. In a
            world of one group its types are the user's types, at effective costs, and it is the problem of
            those who live there; with several groups only its curve, valuation and `most_data` mean anything.
            Where the curve is uncertain, it is the one on which promises are made.
        curve: the curve as stated.
        alone: `plain` with the best curve that training alone may hope for; itself where the curve is certain.
    """

    weight: float
    probabilities: np.ndarray
    laws: tuple[Turnout, ...]
    plain: Problem
    curve: AccuracyCurve
    alone: Problem

    @property
    def uncertain(self) -> bool:
        """Whether promises must be kept for more than one curve."""
        return self.curve.region is not None and not self.curve.region.point


@frozen
class StandardForm:
    """Rows and worlds.

    Attributes:
        problem: the problem as stated.
        unit: the mean scale: the value of a perfect model in units of rows.
        relative: V_i / unit, what one unit of rows is worth to each type, shape (types,).
        effective: data delivered at least for each raw datum of each type, shape (types,).
        row: each type's row, shape (types,).
        costs: effective costs of the rows, falling within each group, shape (rows,).
        group: each row's group, shape (rows,).
        capacity: the most that each row can deliver when it shades nothing more than it may, shape (rows,).
        reach: the most that each row can deliver of options meant for others (a shader reaches further).
        worlds: all of them.
    """

    problem: Problem
    unit: float
    relative: np.ndarray
    effective: np.ndarray
    row: np.ndarray
    costs: np.ndarray
    group: np.ndarray
    capacity: np.ndarray
    reach: np.ndarray
    worlds: tuple[World, ...]

    @property
    def rows(self) -> int:
        """The number of rows."""
        return self.costs.size

    @property
    def lot(self) -> float | None:
        """What of a lot that is agreed upon is delivered at least; None for any amount."""
        lot = self.problem.menu.lot
        return None if lot is None else lot * (1.0 - self.problem.population.shading)

    @cached_property
    def honest_costs(self) -> np.ndarray:
        """What a datum costs each type that shades nothing, in units of rows, shape (types,)."""
        population = self.problem.population
        quality = 1.0 if population.qualities is None else population.qualities
        return population.costs / (quality * self.relative)

    def due(self, outside: np.ndarray) -> np.ndarray:
        """What each row is due at least: the largest of its types, in units of rows, shape (rows,).

        Args:
            outside: what each type gets by staying out, in its own units, shape (types,).
        """
        joining = self.problem.outside.joining_cost
        each = (outside + joining + self.problem.menu.participation_margin) / self.relative
        due = np.full(self.rows, -np.inf)
        np.maximum.at(due, self.row, each)
        return due

    def contribution(self, raw: np.ndarray) -> np.ndarray:
        """Data delivered at least by the rows, from the raw data of the types, shape (rows,)."""
        return _of_rows(raw * self.effective, self.row, self.rows)

    @property
    def uncertain(self) -> bool:
        """Whether promises must be kept for more than one curve in some world."""
        return any(world.uncertain for world in self.worlds)

    def under(self, curves: Sequence[AccuracyCurve | None]) -> StandardForm:
        """The form with a curve taken for true in each world; with its own where that is None."""
        worlds = [
            world if curve is None else dataclasses.replace(world, plain=_on(self.problem, world.plain, curve))
            for world, curve in zip(self.worlds, curves, strict=True)
        ]
        return dataclasses.replace(self, worlds=tuple(worlds))

    @property
    def simple(self) -> bool:
        """Whether it is the published program with other costs, probabilities and reservation utilities."""
        problem = self.problem
        doubt = problem.population.doubt
        one = len(self.worlds) == 1 and len(self.worlds[0].laws) == 1
        any_member = doubt is not None and doubt.distance == "kullback-leibler" and doubt.radius > 0.0
        free = problem.menu.free and problem.objective is None and not np.isfinite(self.capacity).any()
        return one and free and not any_member


def standard_form(problem: Problem) -> StandardForm:
    """Compile a problem to rows and worlds.

    >>> from contracts import LinearValuation, Population, PowerLaw
    >>> population = Population(
    ...     costs=[0.2, 0.1], probabilities=[0.5, 0.5], participants=10, qualities=[1.0, 0.5]
    ... )
    >>> valuation = LinearValuation(scale=[150.0, 50.0])
    >>> form = standard_form(Problem(population=population, accuracy=PowerLaw(), valuation=valuation))
    >>> form.unit, form.relative, form.costs
    (100.0, array([1.5, 0.5]), array([0.4       , 0.13333333]))
    """
    population = problem.population
    unit = float(problem.mean_valuation.scale)
    relative = problem.scales / unit
    quality = np.ones(population.types) if population.qualities is None else population.qualities
    effective = quality * (1.0 - population.shading)
    costs = population.costs / (effective * relative)
    most = np.full(population.types, np.inf) if population.capacities is None else population.capacities
    row, first = _rows(population.group_of, costs, most * quality)
    scenarios = problem.scenarios or (Scenario(weight=1.0),)
    return StandardForm(
        problem=problem,
        unit=unit,
        relative=relative,
        effective=effective,
        row=row,
        costs=costs[first],
        group=population.group_of[first],
        capacity=(most * effective)[first],
        reach=(most * quality)[first],
        worlds=tuple(_world(problem, scenario, unit, costs, row) for scenario in scenarios),
    )


def _rows(group: np.ndarray, costs: np.ndarray, most: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Each type's row, and for each row one of its types: by group, falling cost, rising capacity."""
    order = np.lexsort((most, -costs, group))
    keys = np.stack([group[order], costs[order], most[order]])
    new = np.r_[True, ~np.all((keys[:, 1:] == keys[:, :-1]), axis=0)]
    row = np.empty(group.size, dtype=int)
    row[order] = np.cumsum(new) - 1
    return row, order[new]


def _of_rows(values: np.ndarray, row: np.ndarray, rows: int) -> np.ndarray:
    """Values of types as values of rows: the largest of each row's types (they agree but for rounding)."""
    found = np.full(rows, -np.inf)
    np.maximum.at(found, row, values)
    return found


def _world(problem: Problem, scenario: Scenario, unit: float, costs: np.ndarray, row: np.ndarray) -> World:
    stated = scenario_population(problem.population, scenario)
    p = stated.probabilities
    doubt = problem.population.doubt
    if doubt is not None and doubt.distance == "total-variation":
        p = worst_within_groups(costs, p, stated.group_of, doubt.radius)
    curve: AccuracyCurve = problem.accuracy if scenario.accuracy is None else scenario.accuracy
    one = len(stated.laws) == 1
    alone = stated.participants[0] if isinstance(stated.participants, tuple) else stated.participants
    plain = Problem(
        population=Population(
            costs=costs,
            probabilities=p if one else p / p.sum(),
            participants=alone if one else max(stated.most_participants, 2),
            names=stated.names,
        ),
        accuracy=curve.usual,
        valuation=dataclasses.replace(problem.valuation, scale=unit),  # type: ignore[type-var]
        belief=problem.belief,
        maximise=problem.maximise,
        currency=problem.currency,
    )
    lowest = curve.promised(plain.most_data, plain.valuation)
    best = lowest if curve.region is None else curve.at_best
    promised = _on(problem, plain, lowest)
    return World(
        weight=float(scenario.weight),
        probabilities=np.bincount(row, weights=p),
        laws=stated.laws,
        plain=promised,
        curve=curve,
        alone=promised if best is lowest else _on(problem, plain, best),
    )


def _on(problem: Problem, plain: Problem, curve: AccuracyCurve) -> Problem:
    """A plain problem with another curve, counted from the problem's baseline."""
    if problem.baseline >= float(curve.optimum):
        raise InvalidInput(
            f"baseline = {problem.baseline:g}: expected less than {float(curve.optimum):g}, the optimum of the"
            " worst curve that is not ruled out"
        )
    valuation = dataclasses.replace(problem.valuation, scale=plain.valuation.scale)  # type: ignore[type-var]
    accuracy, worth = above(curve, valuation, problem.baseline)
    return dataclasses.replace(plain, accuracy=accuracy, valuation=worth)


def worst_within_groups(
    costs: np.ndarray, probabilities: np.ndarray, group: np.ndarray, radius: float
) -> np.ndarray:
    """In each group's ball of total variation the member that is worst for every promise and for the target.

    Contributions rise as effective costs fall, so the member that takes mass from the cheapest types upwards and
    gives it to the dearest is worst, whatever the menu.

    >>> costs, p = np.array([0.3, 0.2, 0.1]), np.array([0.3, 0.6, 0.1])
    >>> worst_within_groups(costs, p, np.zeros(3, dtype=int), 0.25).round(12)
    array([0.55, 0.45, 0.  ])
    """
    worst = np.array(probabilities, dtype=float)
    for one in np.unique(group):
        members = np.flatnonzero(group == one)
        order = members[np.argsort(costs[members], kind="stable")]
        left, dearest = radius, order[-1]
        for i in order[:-1]:
            moved = min(worst[i], left)
            worst[i], left = worst[i] - moved, left - moved
            worst[dearest] += moved
        worst[members] = worst[members] / worst[members].sum()
    return worst
