"""The standard form over balls: what is derived from a file's numbers, derived again without rounding.

Probabilities and weights of scenarios are the numbers in the file divided by their sum.
"""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from flint import arb

from contracts.problem.problem import Problem
from contracts.problem.scenario import Scenario, scenario_population
from contracts.problem.standard_form import StandardForm
from contracts.proof.intervals.ball import NotRigorous, ball, balls, fractions
from contracts.proof.intervals.law_balls import LawBalls
from contracts.proof.intervals.world_balls import Worth


class WorldBalls(NamedTuple):
    """One scenario.

    Attributes:
        weight: how likely it is.
        stated: probabilities of the types within their groups, as stated, fractions.
        laws: of the groups' numbers of participants.
        worth: what data are worth.
    """

    weight: Any
    stated: list[Fraction]
    laws: list[LawBalls]
    worth: Worth


class FormBalls(NamedTuple):
    """The standard form; vectors of balls by type unless said otherwise.

    Attributes:
        form: the same in floats: its rows and cases, no number of it.
        relative: V_i / mean scale.
        effective: data delivered at least for each raw datum.
        costs: effective costs of the rows.
        honest: what a datum costs each type that shades nothing, in units of rows.
        joining: what joining costs each, in own units.
        worlds: all of them.
    """

    form: StandardForm
    relative: np.ndarray
    effective: np.ndarray
    costs: np.ndarray
    honest: np.ndarray
    joining: np.ndarray
    worlds: list[WorldBalls]

    @property
    def problem(self) -> Problem:
        """The problem as stated."""
        return self.form.problem


def form_balls(form: StandardForm) -> FormBalls:
    """Derive the standard form again.

    Raises:
        NotRigorous: a curve, a valuation or a law has no enclosure; costs that floats take for equal are not.
    """
    problem, population = form.problem, form.problem.population
    doubt = population.doubt
    if doubt is not None and doubt.distance == "kullback-leibler" and doubt.radius > 0.0:
        raise NotRigorous("doubt by Kullback-Leibler divergence (its bounds are floats)")
    scales = fractions(problem.scales)
    quality = (
        [Fraction(1)] * population.types if population.qualities is None else fractions(population.qualities)
    )
    kept = 1 - Fraction(population.shading)
    costs = fractions(population.costs)
    _check_rows(form, [c / (q * v) for c, q, v in zip(costs, quality, scales, strict=True)])
    unit = _mean_scale(form, scales)
    relative = balls(scales) / unit
    effective = balls(q * kept for q in quality)
    each = balls(costs) / (effective * relative)
    first = [int(np.flatnonzero(form.row == row)[0]) for row in range(form.rows)]
    joining = np.broadcast_to(np.asarray(problem.outside.joining_cost, dtype=float), (population.types,))
    return FormBalls(
        form=form,
        relative=relative,
        effective=effective,
        costs=each[first],
        honest=balls(costs) / (balls(quality) * relative),
        joining=balls(joining),
        worlds=_worlds(form, unit),
    )


def _check_rows(form: StandardForm, ratio: list[Fraction]) -> None:
    names = form.problem.population.names or ()
    first = [int(np.flatnonzero(form.row == row)[0]) for row in range(form.rows)]
    for i, row in enumerate(form.row):
        if ratio[i] != ratio[first[row]]:
            raise NotRigorous(f"{names[first[row]]} and {names[i]} have costs that are equal but for rounding")
    for a, b in pairwise(first):
        alike = form.group[form.row[a]] == form.group[form.row[b]]
        if alike and ratio[a] < ratio[b]:
            raise NotRigorous(f"{names[a]} and {names[b]} have costs whose order is a matter of rounding")


def _mean_scale(form: StandardForm, scales: list[Fraction]) -> Any:
    if len(set(scales)) == 1:
        return ball(scales[0])
    population = form.problem.population
    p = within_groups(population.probabilities, population.group_of)
    means = np.array([LawBalls(law).mean for law in population.laws], dtype=object)
    shares = balls(p) * means[population.group_of] / means.sum()
    return (shares * balls(scales)).sum()


def within_groups(probabilities: np.ndarray, group: np.ndarray) -> list[Fraction]:
    """Probabilities that sum to one within each group, exactly."""
    found = fractions(probabilities)
    total: dict[int, Fraction] = {}
    for g, p in zip(group.tolist(), found, strict=True):
        total[g] = total.get(g, Fraction(0)) + p
    return [p / total[g] for g, p in zip(group.tolist(), found, strict=True)]


def worst_first(
    order: list[int], probabilities: list[Fraction], group: np.ndarray, radius: Fraction
) -> list[Fraction]:
    """The member of each group's ball of total variation that takes from the first types, for the last one."""
    worst = list(probabilities)
    for g in np.unique(group):
        members = [i for i in order if group[i] == g]
        left, last = radius, members[-1]
        for i in members[:-1]:
            moved = min(worst[i], left)
            worst[i], left = worst[i] - moved, left - moved
            worst[last] += moved
    return worst


def _worlds(form: StandardForm, unit: Any) -> list[WorldBalls]:
    problem, found = form.problem, []
    scenarios = problem.scenarios or (Scenario(weight=1.0),)
    weights = fractions([scenario.weight for scenario in scenarios])
    for scenario, weight, world in zip(scenarios, weights, form.worlds, strict=True):
        there = scenario_population(problem.population, scenario)
        curve = problem.accuracy if scenario.accuracy is None else scenario.accuracy
        worth = Worth(
            curve,
            problem.valuation,
            unit,
            baseline=problem.baseline,
            target_is_value=problem.target_is_value,
            floor=float(world.plain.accuracy.floor),
        )
        stated = within_groups(there.probabilities, problem.population.group_of)
        laws = [LawBalls(law) for law in there.laws]
        found.append(WorldBalls(ball(weight / sum(weights)), stated, laws, worth))
    return found


def by_cost(balls_of: FormBalls, world: WorldBalls) -> np.ndarray:
    """Probabilities of the types at the member that is worst for all contracts, shape (types,)."""
    form = balls_of.form
    order = sorted(range(form.row.size), key=lambda i: -int(form.row[i]))
    return _at_worst(form, world, order)


def by_data(balls_of: FormBalls, world: WorldBalls, data: list[Fraction]) -> np.ndarray:
    """Probabilities of the types at the member that is worst for one menu, shape (types,)."""
    order = sorted(range(len(data)), key=lambda i: -data[i])
    return _at_worst(balls_of.form, world, order)


def _at_worst(form: StandardForm, world: WorldBalls, order: list[int]) -> np.ndarray:
    doubt = form.problem.population.doubt
    if doubt is None:
        return balls(world.stated)
    group = form.problem.population.group_of
    return balls(worst_first(order, world.stated, group, Fraction(doubt.radius)))


def of_rows(form: StandardForm, values: np.ndarray) -> np.ndarray:
    """Sums over the types of each row."""
    found = np.array([arb(0)] * form.rows, dtype=object)
    for row, value in zip(form.row, values, strict=True):
        found[row] = found[row] + value
    return found
