"""Assertions about contracts of any problem, recomputed from the problem and the menu alone."""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import numpy as np

from contracts.contract import Contract
from contracts.contract.design import design_contract
from contracts.contract.profiles import profiles
from contracts.contract.terms import Terms
from contracts.contract.verify import verify
from contracts.errors import InvalidInput
from contracts.problem import Problem
from contracts.problem.accuracy import GeneralizationBound
from contracts.problem.outcomes import Law, merge, total_data
from contracts.problem.population import Population
from contracts.problem.standard_form import StandardForm, World, standard_form
from contracts.problem.valuation import LinearValuation

TOLERANCE = 1e-7
EDGE = 1e-7  # relative: data at the edge of what can be delivered cannot be delivered
NOTHING = 1e-9  # of the best possible model's value: less is no reward
MOST_ATOMS = 400_000


class _Menu(NamedTuple):
    """A menu in the units of its problem's standard form; arrays of shape (types,)."""

    form: StandardForm
    contribution: np.ndarray  # raw data
    reward: np.ndarray  # in own units
    delivered: np.ndarray
    utility: np.ndarray  # in own units, the joining cost not yet taken off
    alone: np.ndarray  # what staying out gives, in own units, with the joining cost
    stays: np.ndarray  # who is offered nothing, and stays out
    scale: np.ndarray  # what the best possible model is worth to each

    def name(self, i: int) -> str:
        return (self.form.problem.population.names or ())[i]


@cache
def example_contract() -> Contract:
    """The best contract for the first five-type scenario of the paper, under the interim belief.

    >>> round(example_contract().objective, 6)
    86.483773
    """
    return design_contract(
        Problem(
            population=Population(costs=[0.2, 0.16, 0.12, 0.08, 0.04], probabilities=[0.2] * 5, participants=10),
            accuracy=GeneralizationBound(optimum=1.0, complexity=1.0),
            valuation=LinearValuation(scale=100.0),
        )
    )


def assert_individually_rational(contract: Any, *, tolerance: float = TOLERANCE) -> None:
    """Assert that every type gains at least what it gets by staying out, and the participation margin besides.

    Whoever is offered nothing may stay out where outside options are given or joining is not free.

    Raises:
        AssertionError: naming the type that loses most, and how much.
        InvalidInput: it is no contract.
    """
    menu = _menu(contract)
    gain = menu.utility - menu.alone - menu.form.problem.menu.participation_margin
    gain = np.where(menu.stays, 0.0, gain) / menu.scale
    worst = int(np.argmin(gain))
    if not gain[worst] >= -tolerance:
        lost = -gain[worst] * menu.scale[worst]
        raise AssertionError(f"participation: {menu.name(worst)} loses {lost:.6g} against staying alone")


def assert_incentive_compatible(contract: Any, *, tolerance: float = TOLERANCE) -> None:
    """Assert that no type prefers another option of its group that it can deliver, by the margin asked for.

    Raises:
        AssertionError: naming who envies whom most, and how much.
        InvalidInput: it is no contract.
    """
    menu = _menu(contract)
    envy = _envy(menu, tolerance) / menu.scale[:, None]
    i, j = (int(k) for k in np.unravel_index(int(np.argmax(envy)), envy.shape))
    if not envy[i, j] <= tolerance:
        gained = envy[i, j] * menu.scale[i]
        raise AssertionError(
            f"incentives: {menu.name(i)} would gain {gained:.6g} by the option of {menu.name(j)}"
        )


def assert_feasible(contract: Any, *, tolerance: float = TOLERANCE) -> None:
    """Assert that nobody is promised more than the whole model is worth in expectation, in any world.

    That everybody has the data it owes, and contributions and rewards are finite and >= 0, is asserted, too.
    Of a ball of Kullback and Leibler only the stated probabilities are looked at; `verify` proves the rest.

    Raises:
        AssertionError: naming the type promised most too much, and how much.
        InvalidInput: it is no contract.
    """
    menu = _menu(contract)
    population = menu.form.problem.population
    if population.capacities is not None:
        excess = menu.contribution / population.capacities - 1.0
        i = int(np.argmax(excess))
        if excess[i] > max(tolerance, EDGE):
            raise AssertionError(
                f"capacities: {menu.name(i)} owes {menu.contribution[i]:.6g} data"
                f" but has {population.capacities[i]:.6g}"
            )
    if getattr(contract, "clause", None) is not None:
        _assert_launches_feasible(contract, tolerance)
        return
    for i in np.flatnonzero(~menu.stays):
        whole = min(_whole(menu, world, int(i)) for world in menu.form.worlds)
        if not menu.reward[i] - whole <= tolerance * menu.scale[i]:
            raise AssertionError(
                f"feasibility: {menu.name(int(i))} is promised {menu.reward[i]:.6g}"
                f" but the whole model is worth {whole:.6g} in expectation"
            )


def _assert_launches_feasible(contract: Contract, tolerance: float) -> None:
    """Assert that whoever signs, no option is given a better model than is trained."""
    terms = Terms.of(contract)
    listed = profiles(terms.options, terms.world.laws[0].most)
    outcome = terms.outcome(listed)
    trained = terms.world.plain.value(outcome.total)
    excess = np.where(listed > 0, outcome.worth - trained[:, None], 0.0).max()
    if not excess <= tolerance * terms.world.plain.largest_value:
        raise AssertionError(f"feasibility: in some launch {excess:.6g} more is promised than is trained")


def assert_holds(contract: Any, *, optimal: bool = True) -> None:
    """Assert that `verify` finds nothing wrong.

    Args:
        contract: the contract.
        optimal: whether optimality must be proved, too.

    Raises:
        AssertionError: with everything that does not hold.
        InvalidInput: it is no contract.

    >>> assert_holds(example_contract())
    """
    _sound(contract)
    certificate: Any = verify(contract)
    if not certificate.holds:
        raise AssertionError("; ".join(certificate.violations))
    if optimal and not getattr(certificate, "optimal", True):
        raise AssertionError(f"optimality not proved: {certificate.missing}")


def _sound(contract: Any) -> tuple[Problem, np.ndarray, np.ndarray]:
    """Problem, contributions and rewards; complains about whatever is not a finite number >= 0."""
    problem = getattr(contract, "problem", None)
    if not isinstance(problem, Problem):
        raise InvalidInput(f"contract = {contract!r:.60}: expected a Contract")
    names, found = list(problem.population.names or ()), []
    for what, given in (("contribution", contract.contribution), ("reward", contract.expected_reward)):
        values = np.asarray(given, dtype=float)
        if values.shape != (len(names),):
            raise AssertionError(
                f"{what}s have shape {values.shape}: expected ({len(names)},), one for each type"
            )
        for name, value in zip(names, values, strict=True):
            if not np.isfinite(value):
                raise AssertionError(f"{what} of {name} is {value}: expected a finite number")
            if value < -TOLERANCE * float(problem.scales.max()):
                raise AssertionError(f"{what} of {name} is {value:.6g}: expected none below zero")
        found.append(values)
    return problem, found[0], found[1]


def _menu(contract: Any) -> _Menu:
    problem, contribution, reward = _sound(contract)
    form = standard_form(problem)
    outside = problem.outside
    alone = np.array([_alone(form, i) for i in range(problem.population.types)])
    if outside.utility is not None:
        alone = np.broadcast_to(np.asarray(outside.utility, dtype=float), alone.shape)
    alone = alone + outside.joining_cost
    may_stay = outside.utility is not None or bool(np.any(outside.joining_cost))
    largest = max(world.plain.largest_value for world in form.worlds)
    scale = form.relative * largest
    nothing = (contribution == 0.0) & (np.abs(reward) <= NOTHING * scale)
    return _Menu(
        form=form,
        contribution=contribution,
        reward=reward,
        delivered=contribution * form.effective,
        utility=reward - problem.population.costs * contribution,
        alone=alone,
        stays=nothing & (alone + problem.menu.participation_margin >= 0.0) & may_stay,
        scale=scale,
    )


def _alone(form: StandardForm, i: int) -> float:
    """The most that a type gets by training alone on data of its own, in its own units."""
    population = form.problem.population
    cost, unit = float(form.honest_costs[i]), float(form.relative[i])
    best = 0.0
    for world in form.worlds:
        most = world.plain.largest_value / cost
        if population.capacities is not None:
            quality = 1.0 if population.qualities is None else population.qualities[i]
            most = min(most, float(population.capacities[i] * quality))
        data = np.r_[np.geomspace(1e-9 * most, most, 600), np.linspace(0.0, most, 600)]
        for _ in range(6):
            data = np.unique(data)
            profit = world.plain.value(data) - cost * data
            k = int(np.argmax(profit))
            data = np.linspace(data[max(k - 1, 0)], data[min(k + 1, data.size - 1)], 200)
            best = max(best, unit * float(profit[k]))
    return best


def _envy(menu: _Menu, tolerance: float) -> np.ndarray:
    """What each type would gain by each other option, the margin added, shape (types, types)."""
    form, problem = menu.form, menu.form.problem
    unit = form.relative
    group = problem.population.group_of
    worth, cost = menu.reward / unit, problem.population.costs / form.effective
    other = np.outer(unit, worth) - np.outer(cost, menu.delivered)
    own = np.where(menu.stays, menu.alone, menu.utility)
    largest = max(float(menu.delivered.max()), 1e-300)
    level = worth / (menu.scale / unit)
    alike = np.abs(np.subtract.outer(menu.delivered, menu.delivered)) <= 1e-7 * largest
    alike &= np.abs(np.subtract.outer(level, level)) <= tolerance
    margin = np.where(alike | menu.stays[:, None], 0.0, problem.menu.preference_margin)
    reach = form.reach[form.row]
    possible = np.equal.outer(group, group) & ~menu.stays & ~np.eye(group.size, dtype=bool)
    possible &= ~(menu.delivered >= reach[:, None] * (1.0 - EDGE)) | (menu.delivered <= 0.0)
    return np.where(
        possible, other + margin - own[:, None], np.where(np.eye(group.size, dtype=bool), 0.0, -np.inf)
    )


def _whole(menu: _Menu, world: World, i: int) -> float:
    """What the whole model is worth to a type in expectation, as it believes, in its own units."""
    form, problem = menu.form, menu.form.problem
    x = form.contribution(menu.contribution)
    own, data = int(problem.population.group_of[i]), float(menu.delivered[i])
    joint: Law | None = None
    for g, law in enumerate(world.laws):
        rows = form.group == g
        p = world.probabilities[rows]
        if g != own:
            total = total_data(x[rows], p, law)
        elif problem.belief == "ex-ante" and p[form.row[i]] > 0.0:
            total = total_data(x[rows], p, law, present=int(form.row[i]))
        else:
            total = total_data(x[rows], p, law.others()).shifted(data)
        joint = total if joint is None else _sum(joint, total)
    assert joint is not None  # a problem has a group
    return joint.expectation(world.plain.value) * float(form.relative[i])


def _sum(one: Law, other: Law) -> Law:
    """The law of the sum of two independent amounts."""
    if one.data.size * other.data.size > MOST_ATOMS:
        one, other = (_coarser(law, int(MOST_ATOMS**0.5)) for law in (one, other))
    data, mass = merge(
        np.add.outer(one.data, other.data).ravel(), np.outer(one.probabilities, other.probabilities).ravel()
    )
    return Law(data=data, probabilities=mass, step=max(one.step, other.step))


def _coarser(law: Law, atoms: int) -> Law:
    """A law of fewer atoms, each split between its neighbours on a lattice so that its mean is kept."""
    if law.data.size <= atoms:
        return law
    lattice = np.linspace(law.data[0], law.data[-1], atoms)
    step = float(lattice[1] - lattice[0])
    cell = np.minimum(((law.data - lattice[0]) / step).astype(int), atoms - 2)
    share = (law.data - lattice[cell]) / step
    mass = np.bincount(cell, law.probabilities * (1.0 - share), atoms)
    mass += np.bincount(cell + 1, law.probabilities * share, atoms)
    return Law(data=lattice, probabilities=mass, step=step)
