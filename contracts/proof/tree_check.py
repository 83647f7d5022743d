r"""The bound that a proof by cases gives, recomputed from the problem alone; nothing is shared with the solver.

The cases follow from where the proof splits, so that together they hold every contract whatever the proof says.
In a case every outcome n has total data between n·low and n·high, where a line intercept_n + slope_n x lies
above the true curve. With prices y, w >= 0 the Lagrangian

    E A(n·m) + sum_i y_i (E_i V(n·m) - c_i m_i - u_i) + sum_i w_i (u_i - f_i)

is then below a linear function of (m, u), whose largest value on the case bounds the target of every contract in
it. Slopes only decide how tight the bound is; intercepts are found on a table of the problem's own curve, or
proved over balls (`contracts.proof.intervals.tree_balls`), to which the formulas apply as well.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial
from math import comb
from typing import Any, NamedTuple

import numpy as np
from scipy import stats

from contracts.problem import Problem
from contracts.problem.outcomes import compositions
from contracts.proof.arithmetic import larger, largest_so_far, smaller
from contracts.proof.duality import by_row, distinct_rows
from contracts.proof.soundness import ROUNDING, ProofRefused, numbers, prices
from contracts.proof.witness import Tree
from contracts.records import Keyed

GRID, FINEST, MOST_POINTS = 4000, 3e-8, 60_000
MOST_OUTCOMES = 200_000
SHRINKS = 400  # the solver shrinks at every split, here it is done at once


class Table(NamedTuple):
    """A curve at points so dense that between them it exceeds chords by at most `above`; zero where flat.

    Attributes:
        data, level: the points.
        arcs: where stretches begin and end that are concave and longer than a cell, as indices, shape (arcs, 2).
        above: how far the curve may lie above each chord, shape (points - 1,).
    """

    data: np.ndarray
    level: np.ndarray
    arcs: np.ndarray
    above: np.ndarray


class Group(NamedTuple):
    """Everybody who may take part: counts of the rows, probabilities, and what each row believes of them."""

    counts: np.ndarray
    probability: np.ndarray
    belief: np.ndarray


Lines = Callable[[np.ndarray, np.ndarray, np.ndarray], tuple[Any, Any]]


class Case(NamedTuple):
    """Bounds low <= m <= high on the contributions of the rows, in data."""

    low: np.ndarray
    high: np.ndarray


class Chain(NamedTuple):
    """What all cases of a problem have in common, in floats or in balls.

    Attributes:
        group: who may take part.
        costs: of the rows, shape (rows,).
        due: floats not above what each row is due, shape (rows,).
        top, high: floats that values, and contributions, do not exceed; the latter of shape (rows,).
        most: what a model of so many data is worth at most, by outcome.
        value: lines above the curve of value (intercepts, slopes) by where outcomes are, at least and at most.
        target: the same of the target; None where that is value.
        number: floats as what is computed with.
        upper: floats that numbers do not exceed.
        rounding: what floats may miss, of the sum of absolute terms.
        shrinks: how often cases are made smaller at most.
    """

    group: Group
    costs: Any
    due: np.ndarray
    top: float
    high: np.ndarray
    most: Callable[[np.ndarray], Any]
    value: Lines
    target: Lines | None
    number: Callable[[np.ndarray], Any] = np.asarray
    upper: Callable[[Any], Any] = np.asarray
    rounding: float = ROUNDING
    shrinks: int = SHRINKS


def tree_bound(problem: Problem, tree: Tree, alone: np.ndarray) -> float:
    """What no contract's target exceeds, in the problem's units.

    Args:
        problem: the problem.
        tree: the proof.
        alone: what each type is due at least, shape (types,).

    Raises:
        ProofRefused: the cases form no tree, a number cannot be one of a proof, or the bound is no number.
    """
    costs, p, row = distinct_rows(problem)
    n = problem.population.participants
    if not isinstance(n, int) or comb(n + costs.size - 1, costs.size - 1) > MOST_OUTCOMES:
        raise ProofRefused("the proof by cases has too many outcomes to look at")
    due, (of_value, of_target) = by_row(alone, row), tables(problem)
    chain = Chain(
        group=_everybody(p, n, problem.belief),
        costs=costs,
        due=due,
        top=float(of_value.level[-1]),
        high=np.maximum(problem.largest_value - due, 0.0) / costs,
        most=lambda totals: (
            np.interp(totals, of_value.data, of_value.level) + _allowance(of_value, totals, totals)
        ),
        value=partial(line, of_value),
        target=None if of_target is None else partial(line, of_target),
    )
    return bound_by_tree(chain, tree)


def bound_by_tree(chain: Chain, tree: Tree) -> float:
    """What no contract's target exceeds.

    Raises:
        ProofRefused: the cases form no tree, a number cannot be one of a proof, or the bound is no number.
    """
    _check_tree(tree, chain.due.size)
    if (chain.due < 0.0).any():
        raise ProofRefused("the proof by cases needs outside options that are worth something")
    cases = _leaves(tree, Case(np.zeros(chain.due.size), chain.high))
    leaves = zip(tree.contribution, tree.feasibility_multipliers, tree.participation_multipliers, strict=True)
    bounds = [_bound(chain, case, *leaf) for case, leaf in zip(cases, leaves, strict=True)]
    largest = float(np.max(bounds))  # what is not a number stays none
    if not largest < np.inf:
        raise ProofRefused("the proof by cases bounds nothing (its prices are too large)")
    return max(0.0, largest)


def _check_tree(tree: Tree, rows: int) -> None:
    """The cases, read depth first, form exactly one tree with as many leaves as there are prices."""
    kinds, threshold = np.asarray(tree.row), np.asarray(tree.threshold, dtype=float)
    leaves = int((kinds < 0).sum())
    numbers("points of the proof by cases", tree.contribution, (leaves, rows))
    prices("feasibility, by cases", tree.feasibility_multipliers, (leaves, rows))
    prices("participation, by cases", tree.participation_multipliers, (leaves, rows))
    numbers("thresholds of the proof by cases", threshold, kinds.shape)
    open_cases = 1 + np.cumsum(np.where(kinds < 0, -1, 1))
    sound = kinds.ndim == 1 and leaves > 0 and bool((kinds < rows).all())
    if not sound or not (open_cases[:-1] > 0).all() or open_cases[-1] != 0:
        raise ProofRefused("the proof by cases is none (its cases form no tree)")


def _leaves(tree: Tree, whole: Case) -> list[Case]:
    """The cases of the leaves, in their order."""
    waiting, found = [whole], []
    for row, threshold in zip(tree.row, tree.threshold, strict=True):
        low, high = waiting.pop()
        if row < 0:
            found.append(Case(low, high))
            continue
        below, above = high.copy(), low.copy()
        below[row], above[row] = min(high[row], threshold), max(low[row], threshold)
        waiting += [Case(above, high), Case(low, below)]
    return found


def _everybody(p: np.ndarray, n: int, belief: str) -> Group:
    counts = compositions(n, p.size)
    prior = stats.multinomial.pmf(counts, n, p / p.sum())
    columns = []
    for i in range(p.size):
        if p[i] <= 0.0:  # believes to be the only one of its type
            one = counts[:, i] == 1
            rest = np.delete(counts, i, axis=1)
            column = np.zeros(prior.size)
            if p.size > 1:
                q = np.delete(p, i)
                column[one] = stats.multinomial.pmf(rest[one], n - 1, q / q.sum())
        elif belief == "interim":
            column = prior * counts[:, i] / (n * p[i])
        else:
            column = prior * (counts[:, i] > 0)
            column = column / column.sum()
        columns.append(column)
    return Group(counts.astype(float), np.atleast_1d(prior), np.stack(columns, axis=1))


def tables(problem: Problem) -> tuple[Table, Table | None]:
    """Tables of value and, where it is not proportional, of the target."""
    return _tabulated(Keyed((*problem.family, problem.most_data), problem))


@lru_cache(maxsize=64)
def _tabulated(keyed: Keyed) -> tuple[Table, Table | None]:
    problem = keyed.value
    of_value = _table(problem, problem.value, problem.largest_value)
    if problem.target_is_value:
        return of_value, None
    return of_value, _table(problem, problem.accuracy, float(problem.accuracy.optimum))


def _table(problem: Problem, curve: Callable[[Any], Any], top: float) -> Table:
    high, floor = problem.most_data * 1.0001, float(problem.accuracy.floor)
    start = min(floor, high) if floor > 0.0 else 1e-7 * high
    data = np.r_[0.0, np.geomspace(start, high, GRID)]
    for _ in range(12):
        level = np.maximum.accumulate(np.asarray(curve(data), dtype=float))
        above = _overshoot(data, level)
        coarse = np.flatnonzero(above > FINEST * top)
        if not coarse.size or data.size > MOST_POINTS:
            break
        shares = np.arange(1, 4) / 4.0
        extra = data[coarse, None] + shares * (data[coarse + 1] - data[coarse])[:, None]
        if extra.size == 0 or (np.diff(data)[coarse] < 1e-10 * data[coarse + 1]).all():
            break
        data = np.union1d(data, extra.ravel())
    level = np.maximum.accumulate(np.asarray(curve(data), dtype=float))
    slope = np.diff(level) / np.diff(data)
    rounding = 2e-15 * top * (1.0 / np.diff(data)[1:] + 1.0 / np.diff(data)[:-1])
    rises = np.flatnonzero(np.diff(slope) > rounding + 1e-12 * slope[:-1]) + 1
    cuts = np.unique(np.r_[0, rises, data.size - 1])
    arcs = np.stack([cuts[:-1], cuts[1:]], axis=1)[np.diff(cuts) > 1]
    return Table(data, level, arcs, _overshoot(data, level))


def _overshoot(data: np.ndarray, level: np.ndarray) -> np.ndarray:
    """How far a curve may exceed its chords if it bends no more than from one neighbour to the other."""
    slope = np.diff(level) / np.diff(data)
    padded = np.concatenate([slope[:1], slope, slope[-1:]])
    return np.maximum(padded[:-2] - padded[2:], 0.0) * np.diff(data) / 4.0


def peak(table: Table, slope: np.ndarray, low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """max over [low, high] of the table's level less slope times data, and where; all shape (outcomes,)."""
    steep = np.diff(table.level) / np.diff(table.data)

    def at(x: np.ndarray) -> np.ndarray:
        return np.interp(x, table.data, table.level) - slope * x

    place, best = low.copy(), at(low)
    candidates = [high]
    for first, last in table.arcs:
        falling = np.minimum.accumulate(steep[first:last])
        stop = first + falling.size - np.searchsorted(falling[::-1], slope, side="left")
        candidates.append(np.clip(table.data[stop], low, high))
    for x in candidates:
        better = at(x) > best
        place, best = np.where(better, x, place), np.where(better, at(x), best)
    return place, best


def line(table: Table, at: np.ndarray, low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Lines (intercept, slope) nowhere below the curve on [low, high], and low at `at`; shape (outcomes,)."""
    # At an end any steeper, or flatter, line would touch: a little inside, only the useful one does.
    at = np.clip(at, low + 1e-6 * (high - low), high - 1e-6 * (high - low))
    level = np.interp(at, table.data, table.level)
    slope = _local_slope(table, at)
    _, intercept = peak(table, slope, low, high)
    far = intercept + slope * at > level + 4.0 * FINEST * table.level[-1]
    # Too close to an end to tell by height which lines are steeper, or flatter, than is useful.
    far |= (np.minimum(at - low, high - at) < 0.01 * (high - low)) & ~_concave(table, low, high)
    if far.any():
        slope[far] = _bridge(table, at[far], low[far], high[far])
        _, intercept = peak(table, slope, low, high)
    return intercept + _allowance(table, low, high), slope


def _concave(table: Table, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Whether each [low, high] lies in one concave stretch."""
    if not table.arcs.size:
        return np.zeros(low.size, dtype=bool)
    first, last = table.data[table.arcs].T
    stretch = np.clip(np.searchsorted(first, low, side="right") - 1, 0, first.size - 1)
    return (first[stretch] <= low) & (high <= last[stretch])


def _local_slope(table: Table, at: np.ndarray) -> np.ndarray:
    """Slope of the parabolas through neighbouring points of the table, interpolated."""
    width, rise = np.diff(table.data), np.diff(table.level)
    chord = rise / width
    inner = (width[:-1] * chord[1:] + width[1:] * chord[:-1]) / (width[:-1] + width[1:])
    return np.interp(at, table.data, np.concatenate([chord[:1], inner, chord[-1:]]))


def _bridge(table: Table, at: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """The slope for which the curve is highest on both sides of `at`, by bisection."""
    small = np.zeros(at.size)
    large = np.full(at.size, float((np.diff(table.level) / np.diff(table.data)).max()) * 2.0)
    for _ in range(50):
        middle = 0.5 * (small + large)
        place, _ = peak(table, middle, low, high)
        small, large = np.where(place > at, middle, small), np.where(place > at, large, middle)
    return 0.5 * (small + large)


def _allowance(table: Table, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """By how much the curve may exceed the table on each [low, high]; none where it is flat."""
    bent = np.concatenate([[0], np.cumsum(table.above > 1e-14 * table.level[-1])])
    first = np.clip(np.searchsorted(table.data, low, side="right") - 1, 0, table.data.size - 1)
    last = np.clip(np.searchsorted(table.data, high), 0, table.data.size - 1)
    return np.where(bent[last] > bent[first], float(table.above.max()), 0.0)


def _bound(chain: Chain, case: Case, m: np.ndarray, y: np.ndarray, w: np.ndarray) -> float:
    """The largest target of a contract in a case, bounded by the leaf's prices; -inf if it holds none."""
    small = _smaller(chain, case)
    if small is None:
        return -np.inf
    (counts, probability, belief), due, (y, w) = chain.group, chain.due, map(chain.number, (y, w))
    at, lowest, highest = (counts @ data for data in (m, *small))
    weights = belief @ y
    parts = [(chain.value, weights + probability)]
    if chain.target is not None:
        parts = [(chain.value, weights), (chain.target, probability)]
    constant, by_m = -(w * due).sum(), -y * chain.costs
    terms = (w * np.abs(due) + y * chain.costs * small.high + (w + y) * (chain.top + np.abs(due).max())).sum()
    for lines, weight in parts:
        intercept, slope = lines(at, lowest, highest)
        constant = constant + weight @ intercept
        terms = terms + weight @ (np.abs(intercept) + np.abs(slope) * highest)
        by_m = by_m + counts.T @ (weight * slope)
    return float(chain.upper(constant + _linear_program(chain, by_m, w - y, small) + chain.rounding * terms))


def _smaller(chain: Chain, case: Case) -> Case | None:
    """The case less what no contract in it can be: contributions rise, and nobody pays more than it can get."""
    (counts, _, belief), costs, spare = chain.group, chain.costs, 1e-12 * chain.top
    low = np.maximum.accumulate(case.low)
    high = np.minimum.accumulate(case.high[::-1])[::-1]
    for _ in range(chain.shrinks):
        if (high < low - chain.upper(spare / costs)).any():
            return None
        utility = [chain.number(chain.due[:1])[0]]
        for due, step, least in zip(chain.due[1:], costs[:-1] - costs[1:], low, strict=False):
            utility.append(larger(due, utility[-1] + step * least))
        paid = chain.upper((chain.most(counts @ high) @ belief - np.array(utility) + spare) / costs)
        new = np.minimum.accumulate(np.minimum(high, paid)[::-1])[::-1]
        if (new < low).any():
            return None
        if (high - new <= 1e-5 * (high - low)).all():
            return Case(low, new)
        high = new
    return Case(low, high)


def _linear_program(chain: Chain, by_m: Any, by_u: Any, case: Case) -> Any:
    """The largest by_m·m + by_u·u with f_1 <= u_1 <= top and u_{i+1} - u_i from step_i m_i to step_i m_{i+1}."""
    later = np.cumsum(by_u[::-1])[::-1]
    gain = (chain.costs[:-1] - chain.costs[1:]) * later[1:]
    slopes = by_m + np.append(smaller(gain, 0.0), 0.0) + np.append(0.0, larger(gain, 0.0))
    first = larger(later[0] * chain.due[0], later[0] * chain.top)
    # A linear function of rising contributions is largest where each is at an end of some interval.
    ends = np.unique(np.concatenate([case.low, case.high]))
    best = np.zeros(ends.size)
    for slope, low, high in zip(slopes, case.low, case.high, strict=True):
        allowed = (ends >= low) & (ends <= high)
        best = largest_so_far(np.where(allowed, best + slope * ends, -np.inf))
    return first + best[-1]
