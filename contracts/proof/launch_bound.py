"""How much better another insured menu can be: weak duality at the menu's own guarantees.

With b the guarantees, the total of every profile, and so the expected target, is concave in b wherever the curve
is; constraints that are linear in b, or whose tangents are, hold for every covered menu. So for prices >= 0 no
insured menu reaches more than

    target(b*) + max over b of [ slope . (b - b*) + prices . constraints(b) ],

b between what is due and the largest value. Launching from fewer than all only makes covering harder.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import stats

from contracts.problem.clause import Clause, signatures
from contracts.problem.shape import concave_from
from contracts.problem.standard_form import StandardForm
from contracts.proof.launch_profiles import played
from contracts.proof.released_bound import left_open, released_bound

STEP = 1e-6  # of the data: by which slopes are taken on either side


class Terms(NamedTuple):
    """An insured menu, what its rows are due at least, and what staying out gives the poorest of each row."""

    form: StandardForm
    clause: Clause
    due: np.ndarray
    outside: np.ndarray


def gap_of(terms: Terms, prices: np.ndarray | None, reached: float) -> tuple[float | None, str]:
    """How much better another insured menu can be at most; None with the reason where that is not proved."""
    form, clause = terms.form, terms.clause
    if prices is None:
        return None, "the contract carries no proof"
    plain = form.worlds[0].plain
    if concave_from(plain) > plain.accuracy.floor:
        return None, "the curve has inflections, with which other insured menus are not bounded"
    shape = (clause.counts.size, form.rows)
    if np.shape(prices) != shape or not np.isfinite(prices).all() or (np.asarray(prices) < 0.0).any():
        return None, f"the prices of its proof have not the shape {shape}, or are no numbers >= 0"
    numbers, likely = _numbers(form, clause.served)
    place = np.minimum(np.searchsorted(clause.counts, numbers, side="right") - 1, clause.counts.size - 1)
    bound = sum(
        float(chance) * released_bound(form, clause.served, terms.due, int(number))
        for number, chance in zip(numbers[place < 0], likely[place < 0], strict=True)
    )
    for menu in np.unique(place[place >= 0]):
        here = place == menu
        limit = _bound(terms, int(menu), numbers[here], likely[here], np.asarray(prices[menu], dtype=float))
        if not np.isfinite(limit):
            return None, "at this menu's guarantees, options as large as honesty allows are not covered"
        bound += limit
    return left_open(bound - reached, form)


def _numbers(form: StandardForm, served: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How many of the served sign, where all come and sign as meant, and how likely each number is."""
    counts, mass = form.worlds[0].laws[0].support
    share = float((form.worlds[0].probabilities * served).sum() / form.worlds[0].probabilities.sum())
    numbers = np.arange(int(counts[-1]) + 1)
    chance = mass @ stats.binom.pmf(numbers, counts[:, None], min(share, 1.0))
    return numbers[chance > 0.0], chance[chance > 0.0]


def _bound(terms: Terms, menu: int, numbers: np.ndarray, chances: np.ndarray, prices: np.ndarray) -> float:
    """What no insured menu for these numbers exceeds, times their probability; NaN where this menu is none."""
    form, served = terms.form, terms.clause.served
    b, cost, due = terms.clause.guarantee[menu][served], form.costs[served], terms.due[served]
    plain, rows, left = form.worlds[0].plain, cost.size, form.rows - cost.size
    step, margins = -np.diff(cost), np.zeros(form.rows)
    np.maximum.at(margins, form.row, form.problem.menu.preference_margin / form.relative)
    margin = margins[served]
    # Amounts below the top, and the least of the top, as linear functions of b.
    by = np.zeros((rows, rows))
    by[np.arange(rows - 1), np.arange(rows - 1)] = -1.0 / step
    by[np.arange(rows - 1), np.arange(1, rows)] = 1.0 / step
    by[-1] = by[-2]
    fixed = np.r_[-margin[1:] / step, margin[-2] / step[-1]]
    amounts = by @ b + fixed
    # The menu of these guarantees whose options are as large as honesty allows, whatever the contract's are.
    full = Clause(
        kind="count",
        counts=numbers[:1],
        contribution=np.pad(np.maximum(amounts, 0.0), (left, 0))[None],
        cap=np.pad(np.maximum(b + cost * amounts, 0.0), (left, 0))[None],
        guarantee=np.pad(b, (left, 0))[None],
    )
    # Tables have a menu for each number, weighed by its probability alone; one menu weighs all numbers together.
    each = [_expected(terms, full, int(number), by) for number in numbers]
    if not (amounts > 0.0).all() or any(one is None for one in each):
        return np.nan
    weight = chances if numbers.size > 1 else np.ones(1)
    target = sum(w * one[0] for w, one in zip(weight, each, strict=True))  # type: ignore[index]
    slope = sum((w * one[1] for w, one in zip(weight, each, strict=True)), np.zeros(rows))  # type: ignore[index]
    # Constraints, each >= 0 at every covered menu: chain exactly, cover by the tangent at this menu.
    apart = (margin[:-1] + margin[1:]) / step
    constraints = [(by[i + 1] - by[i], fixed[i + 1] - fixed[i] - apart[i]) for i in range(rows - 2)]
    for row in range(left):  # who is left out gains nothing by the dearest option
        away = form.costs[row] - cost[0]
        most = float(terms.outside[row] - margins[row])
        constraints.append((away * by[0] - (np.arange(rows) == 0), most + away * fixed[0]))
    first = int(numbers[-1]) * amounts[0]
    lift = float(_slope(plain.value, np.array([first]))[0])
    for row in (rows - 2, rows - 1):
        level = cost[row] * by[row] + (np.arange(rows) == row)
        held = float(plain.value(first)) + lift * numbers[-1] * (fixed[0] - amounts[0]) - cost[row] * fixed[row]
        constraints.append((lift * numbers[-1] * by[0] - level, held))
    linear = slope + sum(
        (price * row for price, (row, _) in zip(prices, constraints, strict=True)), np.zeros(rows)
    )
    constant = sum(price * least for price, (_, least) in zip(prices, constraints, strict=True))
    top = np.full(rows, plain.largest_value)
    most = float(np.maximum(linear * due, linear * top).sum())
    found = float(target) - float(slope @ b) + float(constant) + most
    return found if numbers.size > 1 else float(chances[0]) * found


def _expected(terms: Terms, full: Clause, number: int, by: np.ndarray) -> tuple[float, np.ndarray] | None:
    """The expected target of a menu with so many signatures, and its slope by the guarantees; None if
    uncovered.
    """
    form, served = terms.form, terms.clause.served
    plain, cost = form.worlds[0].plain, form.costs[served]
    share = form.worlds[0].probabilities * served
    counts = signatures(number, cost.size)
    likely = stats.multinomial.pmf(counts, number, share[served] / share.sum())
    total = played(form, full, np.pad(counts, [(0, 0), (form.rows - cost.size, 0)]), form.rows - 1).total
    if not (total > plain.accuracy.floor).all():
        return None
    target = plain.value(total) if plain.target_is_value else plain.accuracy(total)
    by_x = _slope(plain.value if plain.target_is_value else plain.accuracy, total)
    rise = _slope(plain.value, total)
    spread = 1.0 / (1.0 - counts[:, -1] * rise / cost[-1])
    by_b = spread[:, None] * (counts[:, :-1] @ by[:-1])
    by_b[:, -1] -= spread * counts[:, -1] / cost[-1]
    return float(likely @ target), (likely * by_x) @ by_b


def _slope(function, x: np.ndarray) -> np.ndarray:
    """The derivative, by differences on both sides."""
    step = STEP * np.maximum(x, 1e-9)
    return (np.asarray(function(x + step)) - np.asarray(function(np.maximum(x - step, 0.0)))) / (
        x + step - np.maximum(x - step, 0.0)
    )
