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

from contracts.problem.clause import Clause
from contracts.problem.participants import FixedTurnout
from contracts.problem.shape import concave_from
from contracts.problem.standard_form import StandardForm
from contracts.proof.launch_profiles import listed, played

STEP = 1e-6  # of the data: by which slopes are taken on either side


class Terms(NamedTuple):
    """An insured menu, and what its rows are due at least."""

    form: StandardForm
    clause: Clause
    due: np.ndarray


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
    counts, chances = form.worlds[0].laws[0].support
    total, released = 0.0, 0.0
    for number, chance in zip(counts.astype(int), chances, strict=True):
        menu = int(np.searchsorted(clause.counts, number, side="right")) - 1
        if menu < 0:  # how good a menu with fewer signatures could be is not known
            released += float(chance)
            continue
        limit = _bound(terms, menu, int(number), np.asarray(prices[menu], dtype=float))
        if not np.isfinite(limit):
            return None, "at this menu's guarantees, options as large as honesty allows are not covered"
        total += float(chance) * limit
    bound = total + released * plain.largest_target
    return max(bound - reached, 0.0), ""


def _bound(terms: Terms, menu: int, number: int, prices: np.ndarray) -> float:
    """What no insured menu for so many signatures exceeds; NaN where the menu with these guarantees is none."""
    form, b = terms.form, terms.clause.guarantee[menu]
    plain, cost, rows = form.worlds[0].plain, form.costs, form.rows
    step, margin = -np.diff(cost), np.zeros(rows)
    np.maximum.at(margin, form.row, form.problem.menu.preference_margin / form.relative)
    # Amounts below the top, and the least of the top, as linear functions of b.
    by = np.zeros((rows, rows))
    by[np.arange(rows - 1), np.arange(rows - 1)] = -1.0 / step
    by[np.arange(rows - 1), np.arange(1, rows)] = 1.0 / step
    by[-1] = by[-2]
    fixed = np.r_[-margin[1:] / step, margin[-2] / step[-1]]
    amounts = by @ b + fixed
    counts, likely = _of_number(form, number)
    # The menu of these guarantees whose options are as large as honesty allows, whatever the contract's are.
    full = Clause(
        kind="count",
        counts=np.array([number]),
        contribution=np.maximum(amounts, 0.0)[None],
        cap=np.maximum(b + cost * amounts, 0.0)[None],
        guarantee=b[None],
    )
    total = played(form, full, counts, 0).total
    if not (amounts > 0.0).all() or not (total > plain.accuracy.floor).all():
        return np.nan
    target = plain.value(total) if plain.target_is_value else plain.accuracy(total)
    by_x = _slope(plain.value if plain.target_is_value else plain.accuracy, total)
    rise = _slope(plain.value, total)
    spread = 1.0 / (1.0 - counts[:, -1] * rise / cost[-1])
    by_b = spread[:, None] * (counts[:, :-1] @ by[:-1])
    by_b[:, -1] -= spread * counts[:, -1] / cost[-1]
    slope = (likely * by_x) @ by_b
    # Constraints, each >= 0 at every covered menu: chain exactly, cover by the tangent at this menu.
    apart = (margin[:-1] + margin[1:]) / step
    chain = [(by[i + 1] - by[i], fixed[i + 1] - fixed[i] - apart[i]) for i in range(rows - 2)]
    first = number * amounts[0]
    lift = float(_slope(plain.value, np.array([first]))[0])
    covers = []
    for row in (rows - 2, rows - 1):
        level = cost[row] * by[row] + (np.arange(rows) == row)
        held = float(plain.value(first)) + lift * number * (fixed[0] - amounts[0]) - cost[row] * fixed[row]
        covers.append((lift * number * by[0] - level, held))
    constraints = [*chain, *covers]
    linear = slope + sum(
        (price * row for price, (row, _) in zip(prices, constraints, strict=True)), np.zeros(rows)
    )
    constant = sum(price * least for price, (_, least) in zip(prices, constraints, strict=True))
    top = np.full(rows, plain.largest_value)
    most = float(np.maximum(linear * terms.due, linear * top).sum())
    return float(likely @ target) - float(slope @ b) + float(constant) + most


def _of_number(form: StandardForm, number: int) -> tuple[np.ndarray, np.ndarray]:
    return listed(form, FixedTurnout(count=number))


def _slope(function, x: np.ndarray) -> np.ndarray:
    """The derivative, by differences on both sides."""
    step = STEP * np.maximum(x, 1e-9)
    return (np.asarray(function(x + step)) - np.asarray(function(np.maximum(x - step, 0.0)))) / (
        x + step - np.maximum(x - step, 0.0)
    )
