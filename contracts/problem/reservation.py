"""What each type gets alone: its reservation utility and the data it would then collect."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Sequence
from functools import lru_cache

import jax
import jax.numpy as jnp
import numpy as np

from contracts.numeric import compiled, double_precision
from contracts.problem import Problem
from contracts.problem.population import Population
from contracts.problem.standard_form import StandardForm
from contracts.records import Keyed, frozen

GRID = 600
COARSE, FINE, ZOOMS = 300, 24, 5  # points of the shared grid and of each cell's, and how often cells are divided
GOLDEN = (np.sqrt(5.0) - 1.0) / 2.0


@frozen
class Reservation:
    """The best each type can do without the others.

    Attributes:
        utility: f_i = max(0, max_m v(a(m)) - c_i m), shape (types,), in units of cost.
        contribution: the data at which it is attained (0 where training alone does not pay), shape (types,).
    """

    utility: np.ndarray
    contribution: np.ndarray


def reservation(problem: Problem) -> Reservation:
    """Compute the reservation utilities of all types at once.

    The value of a model cannot exceed the largest value V, so no type collects more than V / cost data. The
    global maximum is found on a logarithmic grid of that range (accuracy is zero on a floor, so the profit
    has a local maximum at 0), refined by golden section, and its place polished by Newton's method on the exact
    derivative (autodiff).

    Returns:
        The utilities, exact to about 1e-15 of V, and the contributions.

    Source: Wang et al., AAAI 2025 (arXiv 2412.11122), section 3.

    >>> from contracts import GeneralizationBound, LinearValuation, Population
    >>> population = Population(costs=[0.02, 0.01], probabilities=[0.5, 0.5], participants=10)
    >>> value = LinearValuation(scale=100.0)
    >>> alone = reservation(Problem(population=population, accuracy=GeneralizationBound(), valuation=value))
    >>> alone.utility.round(6)
    array([55.255892, 64.160812])
    >>> alone.contribution.round(2)
    array([ 715.64, 1148.39])
    """
    costs = np.asarray(problem.population.costs)
    distinct, place = np.unique(costs, return_inverse=True)
    most = problem.largest_value / distinct
    contribution = _maximise(problem, distinct, most)
    contribution = _polish(problem, distinct, contribution)
    utility = problem.value(contribution) - distinct * contribution
    pays = utility > 0.0
    return Reservation(
        utility=np.where(pays, utility, 0.0)[place], contribution=np.where(pays, contribution, 0.0)[place]
    )


def reservations(problems: Sequence[Problem]) -> list[Reservation]:
    """What each type of each problem gets alone; every (curve, valuation) is looked at once for all costs."""
    shared: dict[tuple, list[int]] = defaultdict(list)
    for index, problem in enumerate(problems):
        shared[problem.family].append(index)
    answers: dict[int, Reservation] = {}
    for members in shared.values():
        costs = np.unique(np.concatenate([problems[k].population.costs for k in members]))
        first = problems[members[0]]
        alone = _alone(costs, first)
        for k in members:
            place = np.searchsorted(costs, problems[k].population.costs)
            answers[k] = Reservation(utility=alone.utility[place], contribution=alone.contribution[place])
    return [answers[k] for k in range(len(problems))]


def _alone(costs: np.ndarray, like: Problem) -> Reservation:
    # Sizes are powers of two, each compiled once. Costs are taken in pieces of similar size, so that the search
    # of each covers no wider a range than it would alone.
    pieces = np.split(costs, np.arange(256, costs.size, 256))
    found = []
    for piece in pieces:
        size = 2 ** int(np.ceil(np.log2(piece.size)))
        filled = np.concatenate([piece, piece[-1] * (1.0 + np.arange(1, size - piece.size + 1) / size)])
        population = Population(costs=filled, probabilities=np.full(size, 1.0 / size), participants=2)
        alone = reservation(Problem(population=population, accuracy=like.accuracy, valuation=like.valuation))
        found.append((alone.utility[: piece.size], alone.contribution[: piece.size]))
    utility, contribution = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return Reservation(utility=utility, contribution=contribution)


def _maximise(problem: Problem, costs: np.ndarray, most: np.ndarray) -> np.ndarray:
    lowest = max(problem.accuracy.floor, 1e-9 * most.min())
    lowest = np.minimum(lowest, 0.5 * most)
    data = np.geomspace(lowest, most, GRID, axis=-1)
    best = np.argmax(problem.value(data) - costs[:, None] * data, axis=-1)
    rows = np.arange(costs.size)
    left, right = data[rows, np.maximum(best - 1, 0)], data[rows, np.minimum(best + 1, GRID - 1)]

    def profit(m: np.ndarray) -> np.ndarray:
        return problem.value(m) - costs * m

    # Golden section, all types at once; 45 steps shrink a cell to the square root of the rounding.
    inner, outer = right - GOLDEN * (right - left), left + GOLDEN * (right - left)
    low, high = profit(inner), profit(outer)
    for _ in range(45):
        up = high > low
        left, right = np.where(up, inner, left), np.where(up, right, outer)
        inner, outer = right - GOLDEN * (right - left), left + GOLDEN * (right - left)
        low, high = profit(inner), profit(outer)
    return 0.5 * (left + right)


def _polish(problem: Problem, costs: np.ndarray, contribution: np.ndarray) -> np.ndarray:
    with double_precision():
        newton = _newton(problem.accuracy)
        better = np.asarray(newton(problem.accuracy, problem.valuation, jnp.asarray(costs), contribution))
    near = np.isfinite(better) & (np.abs(better - contribution) <= 1e-4 * contribution)
    return np.where(near, better, contribution)


def _worth(accuracy, valuation, m):
    return valuation.formula(accuracy.formula(m, jnp), jnp)


def _marginal_profit(accuracy, valuation, m, cost):
    return jax.grad(_worth, argnums=2)(accuracy, valuation, m) - cost


_profit_slopes = jax.vmap(jax.value_and_grad(_marginal_profit, argnums=2), (None, None, 0, 0))


@compiled
def _newton(accuracy, valuation, costs, contribution):
    def step(_, m):
        value, slope = _profit_slopes(accuracy, valuation, m, costs)
        return m - value / slope

    return jax.lax.fori_loop(0, 3, step, contribution)


def outside_utility(form: StandardForm) -> np.ndarray:
    """What each type gets by staying out, in its own units, shape (types,); see `outside_option`."""
    return outside_option(form).utility


def outside_option(form: StandardForm) -> Reservation:
    """What each type does, and gets, by staying out.

    Given numbers where the problem gives them; else training alone, honestly, with no more data than it has, on
    the curve of the world that is best for it (of an uncertain curve the best that is not ruled out).

    Returns:
        Utilities in own units, and raw data collected (0 where utilities are given).
    """
    given, types = form.problem.outside.utility, form.relative.size
    if given is not None:
        utility = np.broadcast_to(np.asarray(given, dtype=float), (types,)).copy()
        return Reservation(utility=utility, contribution=np.zeros(types))
    best, data, most = np.zeros(types), np.zeros(types), form.reach[form.row]
    for world in {id(world.alone.accuracy): world for world in form.worlds}.values():
        if world.alone is world.plain:
            population = Population(
                costs=form.honest_costs, probabilities=np.full(types, 1.0 / types), participants=2
            )
            free = reservation(dataclasses.replace(world.plain, population=population))
            found = _within(world.plain, form.honest_costs, most, free)
        else:
            found = by_zooming(world.alone, form.honest_costs, most)
        data = np.where(found.utility > best, found.contribution, data)
        best = np.maximum(best, found.utility)
    raw = data / (form.effective / (1.0 - form.problem.population.shading))
    return Reservation(utility=best * form.relative, contribution=raw)


def _within(problem: Problem, costs: np.ndarray, most: np.ndarray, alone: Reservation) -> Reservation:
    """The best that each type can do with the data it has, in units of rows."""
    limited = alone.contribution > most
    if not limited.any():
        return alone
    utility, contribution = alone.utility.copy(), alone.contribution.copy()
    found = by_zooming(problem, costs[limited], most[limited])
    utility[limited], contribution[limited] = found.utility, found.contribution
    return Reservation(utility=utility, contribution=contribution)


def by_zooming(problem: Problem, costs: np.ndarray, most: np.ndarray) -> Reservation:
    """`reservation` for curves whose every value is dear, and for limited data.

    One grid serves all costs; then the best cell of each is divided again and again.

    Args:
        problem: whose curve and valuation these are.
        costs: of a datum, shape (types,).
        most: the most data that each has, shape (types,); may be infinite.
    """
    return _zoomed(Keyed((*problem.family, costs.tobytes(), most.tobytes()), (problem, costs, most)))


@lru_cache(maxsize=256)
def _zoomed(keyed: Keyed) -> Reservation:
    problem, costs, most = keyed.value
    rows, high = np.arange(costs.size), np.minimum(problem.largest_value / costs, most)
    # With limits on the grid: what pays only near one, beyond a floor, would be missed.
    shared = np.union1d(np.geomspace(1e-9 * high.min(), high.max(), COARSE), high)
    data = np.broadcast_to(shared, (costs.size, shared.size))
    worth = np.where(data <= high[:, None], problem.value(shared), -np.inf)
    best, place = np.zeros(costs.size), np.zeros(costs.size)
    for turn in range(ZOOMS + 1):
        profit = worth - costs[:, None] * data
        top = profit.argmax(axis=-1)
        place = np.where(profit[rows, top] > best, data[rows, top], place)
        best = np.maximum(best, profit[rows, top])
        if turn < ZOOMS:
            low, up = data[rows, np.maximum(top - 1, 0)], data[rows, np.minimum(top + 1, data.shape[1] - 1)]
            data = np.geomspace(low, np.minimum(up, high), FINE, axis=-1)
            worth = problem.value(data)
    return Reservation(utility=best, contribution=place)
