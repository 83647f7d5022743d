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
from functools import partial
from math import comb
from typing import Any, NamedTuple

import numpy as np
from scipy import stats

from contracts.problem import Problem
from contracts.problem.outcomes import compositions
from contracts.proof.arithmetic import larger, largest_so_far, smaller
from contracts.proof.curve_table import Lines, allowance, line, tables
from contracts.proof.duality import by_row, distinct_rows
from contracts.proof.soundness import ROUNDING, ProofRefused, numbers, prices
from contracts.proof.witness import Tree

MOST_OUTCOMES = 200_000
SHRINKS = 400  # the solver shrinks at every split, here it is done at once


class Group(NamedTuple):
    """Everybody who may take part: counts of the rows, probabilities, and what each row believes of them."""

    counts: np.ndarray
    probability: np.ndarray
    belief: np.ndarray


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
            np.interp(totals, of_value.data, of_value.level) + allowance(of_value, totals, totals)
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
