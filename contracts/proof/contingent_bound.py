"""How much better another contingent menu can be: weak duality, profile by profile.

With prices >= 0 of truth (on average over the others) and of participation (in every profile), the Lagrangian of
all contingent menus for a number of signatures splits into profiles, and in each into one maximum over the
total:

    max over x of p W(x) + A V(x) - r x,

A the sum of what values given weigh (none less than nothing), r what a datum costs where it is cheapest. Nobody
delivers more than pays for the largest value. Concave V and W make the maximum one of bisection.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import stats

from contracts.problem.clause import Clause, signatures
from contracts.problem.problem import Problem
from contracts.problem.shape import concave_from
from contracts.problem.standard_form import StandardForm
from contracts.proof.released_bound import left_open, released_bound
from contracts.proof.soundness import ROUNDING

TURNS = 120
GOLD = 0.5 * (5.0**0.5 - 1.0)


class Prices(NamedTuple):
    """Of truth, shape (rows, rows), and of participation, shape (profiles, rows)."""

    truth: np.ndarray
    participation: np.ndarray


def contingent_gap(
    form: StandardForm, clause: Clause, due: np.ndarray, prices: np.ndarray | None, reached: float
) -> tuple[float | None, str]:
    """How much better another contingent menu can be at most; None with the reason where that is not proved.

    Args:
        form: the standard form.
        clause: the clause.
        due: what each row is due at least.
        prices: of truth, rows x rows for each number, then of participation, one row for each profile.
        reached: what the contract reaches.
    """
    plain, rows = form.worlds[0].plain, form.rows
    if prices is None:
        return None, "the contract carries no proof"
    if concave_from(plain) > plain.accuracy.floor:
        return None, "the curve has inflections, with which other contingent menus are not bounded"
    shape = (clause.counts.size * rows + len(clause.profiles), rows)
    if np.shape(prices) != shape or not np.isfinite(prices).all() or (np.asarray(prices) < 0.0).any():
        return None, f"the prices of its proof have not the shape {shape}, or are no numbers >= 0"
    counts, chances = form.worlds[0].laws[0].support
    place, bound = clause.counts.size * rows, 0.0
    limits: dict[int, float] = {}
    for k, number in enumerate(clause.counts.tolist()):
        size = len(signatures(number, rows))
        one = Prices(prices[k * rows : (k + 1) * rows], prices[place : place + size])
        place += size
        if number in counts:
            limits[number] = bound_of(form, number, due, one)
    for number, chance in zip(counts.astype(int).tolist(), chances, strict=True):
        if number not in limits:
            limits[number] = released_bound(form, np.full(rows, True), due, number)
        bound += float(chance) * limits[number]
    return left_open(bound - reached, form)


def bound_of(form: StandardForm, number: int, due: np.ndarray, prices: Prices) -> float:
    """What no contingent menu for so many signatures exceeds, on average."""
    plain, cost = form.worlds[0].plain, form.costs
    margin = np.zeros(form.rows)
    np.maximum.at(margin, form.row, form.problem.menu.preference_margin / form.relative)
    share = form.worlds[0].probabilities / form.worlds[0].probabilities.sum()
    counts = signatures(number, form.rows)
    likely = stats.multinomial.pmf(counts, number, share)
    # the law of the others of who signs j
    others = np.zeros(counts.shape)
    for j, there in enumerate(counts.T > 0):
        rest = counts[there] - (np.arange(form.rows) == j)
        others[there, j] = stats.multinomial.pmf(rest, number - 1, share)
    truth = prices.truth * (1.0 - np.eye(form.rows))
    given = others * (truth.sum(axis=1) - truth.sum(axis=0)) + prices.participation
    asked = others * (cost * truth.sum(axis=1) - cost @ truth) + prices.participation * cost
    there, most = counts > 0, np.maximum(plain.largest_value - due, 0.0) / cost
    weight = np.where(there, np.maximum(given, 0.0), 0.0).sum(axis=1)
    # Data that cost less than nothing are delivered to the last; the rest where they are cheapest.
    free = np.where(there, np.maximum(-asked, 0.0) * most, 0.0).sum(axis=1)
    each = np.where(there, np.maximum(asked, 0.0) / np.maximum(counts, 1), np.inf).min(axis=1)
    best = _most(plain, likely, weight, each, counts @ most)
    owed = (prices.participation * np.where(there, due, 0.0)).sum() + (truth.sum(axis=1) * margin).sum()
    # The largest value is found from below, and all of it is rounded.
    return float((best + free).sum() - owed + ROUNDING * ((best + free).sum() + abs(owed)))


def _most(
    plain: Problem, likely: np.ndarray, weight: np.ndarray, price: np.ndarray, high: np.ndarray
) -> np.ndarray:
    """max over 0 <= x <= high of likely W(x) + weight V(x) - price x, by golden sections where it is concave."""

    def worth(x: np.ndarray) -> np.ndarray:
        value = plain.value(x)
        target = value if plain.target_is_value else plain.accuracy(x)
        return likely * target + weight * value - price * x

    low = np.minimum(np.full(high.shape, float(plain.accuracy.floor)), high)
    best = np.maximum(np.maximum(worth(np.zeros_like(low)), worth(low)), worth(high))
    for _ in range(TURNS):
        left, right = high - GOLD * (high - low), low + GOLD * (high - low)
        rises = worth(left) < worth(right)
        low, high = np.where(rises, left, low), np.where(rises, high, right)
        best = np.maximum(best, worth(0.5 * (low + high)))
    return best
