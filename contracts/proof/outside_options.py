"""What each type gets by staying out, recomputed by a search of its own."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from contracts.problem import Problem
from contracts.problem.standard_form import StandardForm
from contracts.records import Keyed

POINTS = (1500, 60, 60, 60, 60)  # of the grid, and of the grids into which its best cell is divided
FEWER = (240, 20, 20, 20, 20, 20)  # where each value of the curve is the best of many


def may_stay_out(problem: Problem) -> bool:
    """Whether a contract may leave types outside of the deal altogether.

    Where staying out means training alone on the same curve, and joining is free, an option that asks for what
    one would use alone and gives the model of that is as good, so that nothing is lost by serving everybody.
    """
    return problem.outside.utility is not None or bool(np.any(problem.outside.joining_cost))


def outside_utilities(form: StandardForm) -> np.ndarray:
    """What each type gets by staying out, shape (types,), in its own units of cost, counted from the baseline.

    As given; else the best of training alone in any world, at its honest cost, up to its own capacity, on the
    best curve that is not ruled out there.
    """
    problem = form.problem
    if problem.outside.utility is not None:
        return np.broadcast_to(
            np.asarray(problem.outside.utility, dtype=float), (problem.population.types,)
        ).copy()
    most = own_most(form)
    worlds = [
        reservation_by_zooming(
            world.alone, form.honest_costs, most, points=POINTS if world.alone is world.plain else FEWER
        )
        for world in form.worlds
    ]
    return form.relative * np.max(worlds, axis=0)


def own_most(form: StandardForm) -> np.ndarray:
    """The most effective data that each type has, shape (types,)."""
    population = form.problem.population
    if population.capacities is None:
        return np.full(population.types, np.inf)
    return population.capacities * (form.effective / (1.0 - population.shading))


def reservation_by_zooming(
    problem: Problem,
    costs: np.ndarray | None = None,
    most: np.ndarray | None = None,
    *,
    points: tuple[int, ...] = POINTS,
) -> np.ndarray:
    """The largest of 0 and v(a(m)) - cost m over m up to some amount, shape (types,).

    By a grid over all amounts of data that can pay, zoomed into.

    Args:
        problem: whose curve and valuation these are.
        costs: of a datum, shape (types,); by default those of the problem's types.
        most: the most data that each has, shape (types,); by default any amount.
        points: of the grid, and of the grids into which its best cell is divided.
    """
    each = np.asarray(problem.population.costs if costs is None else costs)
    limits = np.full(each.size, np.inf) if most is None else most
    key = (*problem.family, each.tobytes(), limits.tobytes(), points)
    return _zoomed(Keyed(key, (problem, each, limits, points))).copy()


# Contracts of one sweep share curves and costs: what depends on these alone is remembered.
@lru_cache(maxsize=1024)
def _zoomed(keyed: Keyed) -> np.ndarray:
    problem, all_costs, limits, grids = keyed.value
    pairs, place = np.unique(np.stack([all_costs, limits]), axis=1, return_inverse=True)
    costs, most = pairs
    high = np.minimum(problem.largest_value / costs, most)
    low = np.minimum(max(float(problem.accuracy.floor), 1e-9 * float(high.min())), 0.5 * high)
    best = np.zeros(costs.size)
    for points in grids:
        data = np.geomspace(low, high, points, axis=-1)
        profit = problem.value(data) - costs[:, None] * data
        top = np.argmax(profit, axis=-1)
        rows = np.arange(costs.size)
        best = np.maximum(best, profit[rows, top])
        low, high = data[rows, np.maximum(top - 1, 0)], data[rows, np.minimum(top + 1, points - 1)]
    return best[np.ravel(place)]
