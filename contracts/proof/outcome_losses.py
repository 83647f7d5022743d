r"""Losses that no true one is below in a box of contributions, over all outcomes.

Every outcome n has total data between n·low and n·high, where a line lies above the true curve
(`contracts.proof.curve_table`). So expected losses are nowhere below a linear function of contributions. What is
left out, as too rare, counts as if nothing were lost in it.

Formulas are those of floats and of balls; lines, and probabilities, are given as either.
"""

from __future__ import annotations

from functools import reduce
from math import comb, prod
from typing import Any, NamedTuple

import numpy as np
from scipy import special

from contracts.problem.outcomes import compositions
from contracts.problem.participants import Turnout
from contracts.proof.curve_table import Lines, Table, allowance, line, tables
from contracts.proof.losses import SUREST, Crowd, Losses
from contracts.proof.soundness import ROUNDING, ProofRefused

MOST_OUTCOMES = 200_000
MOST_LOOKED_AT = 100_000_000  # outcomes times points: lest a file keep its reader for hours
RARE = 1e-10  # probability below which outcomes are left out


class Everybody(NamedTuple):
    """Outcomes: counts of the rows, probabilities, and what each row believes of them.

    `blur`: what probabilities may be wrong by, relative to themselves, in multiples of `ROUNDING`.
    """

    counts: np.ndarray
    prior: Any
    belief: Any
    blur: float = 0.0


class Curves(NamedTuple):
    """Lines above the curves of value and, where it is another, of the target."""

    value: Lines
    target: Lines | None


def losses_over_outcomes(
    everybody: Everybody, curves: Curves, tops: tuple[Any, Any], x: Any, box: Any, prices: Any
) -> Losses:
    """Expected losses of which no true one is below, linear in contributions.

    Args:
        everybody: the outcomes of a world.
        curves: lines above its curves.
        tops: the largest target and the largest value.
        x: contributions about which lines are drawn, shape (rows,).
        box: with `low` and `high`, floats, shape (rows,).
        prices: of the rows' losses.
    """
    counts, prior, belief, blur = everybody
    reach = counts @ box.low, counts @ box.high
    middle = x if x.dtype != object else np.array([float(each.mid()) for each in x])
    value = curves.value(counts @ middle, *reach)
    target = value if curves.target is None else curves.target(counts @ middle, *reach)
    total = counts @ x

    def lost(lines: tuple[Any, Any], top: Any) -> tuple[Any, Any]:
        intercept, slope = lines
        return top - intercept - slope * total, top + abs(intercept) + abs(slope) * reach[1]

    (short, sizes), (missed, terms) = lost(value, tops[1]), lost(target, tops[0])
    return Losses(
        target=(prior * missed).sum(),
        value=belief.T @ short,
        target_by_x=-counts.T @ (prior * target[1]),
        priced_by_x=-counts.T @ ((belief @ prices) * value[1]),
        terms=(1.0 + blur) * (prior * terms).sum(),
        value_terms=(1.0 + blur) * (belief.T @ sizes),
    )


def curves_of(crowd: Crowd) -> Curves:
    """Lines above tabulated curves."""
    of_value, of_target = tables(crowd.plain)
    target, value = crowd.tops
    return Curves(_lines(of_value, value), None if of_target is None else _lines(of_target, target))


def _lines(table: Table, top: float) -> Lines:
    def drawn(at: np.ndarray, low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        intercept, slope = np.full(at.size, top), np.zeros(at.size)
        known = high <= table.data[-1]  # beyond the table nothing but the largest value is known
        if known.any():
            intercept[known], slope[known] = line(table, at[known], low[known], high[known])
        return intercept, slope

    return drawn


def received_over_outcomes(everybody: Everybody, crowd: Crowd, high: np.ndarray) -> np.ndarray:
    """What each row is given at most where rows bring the most, shape (rows,)."""
    table, top = tables(crowd.plain)[0], crowd.tops[1]
    total = everybody.counts @ high
    most = np.interp(total, table.data, table.level) + allowance(table, total, total)
    less = everybody.belief.T @ np.where(total <= table.data[-1], top - most, 0.0)
    return top - (1.0 - everybody.blur * ROUNDING) * less


def everybody_of(crowd: Crowd) -> Everybody:
    """Who may take part, but for the rarest outcomes.

    Raises:
        ProofRefused: there are too many outcomes.
    """
    groups = [_of_group(crowd, g, law) for g, law in enumerate(crowd.laws)]
    if prod(len(group.prior) for group in groups) > MOST_OUTCOMES:
        raise ProofRefused("the proof by cases has too many outcomes to look at")
    counts, prior, belief, blur = reduce(_both, groups)
    kept = np.maximum(prior, belief.max(axis=1)) > RARE
    return Everybody(counts[kept], prior[kept], belief[kept], blur)


def _both(first: Everybody, second: Everybody) -> Everybody:
    """Outcomes of two independent parts; rows of one believe of the other what everybody does."""
    one, other = np.indices((len(first.prior), len(second.prior))).reshape(2, -1)
    mine, theirs = first.belief[one] * second.prior[other, None], first.prior[one, None] * second.belief[other]
    return Everybody(
        first.counts[one] + second.counts[other],
        first.prior[one] * second.prior[other],
        np.where(second.counts.any(axis=0), theirs, mine),
        first.blur + second.blur,
    )


def _of_group(crowd: Crowd, g: int, law: Turnout) -> Everybody:
    """The outcomes of one group; other rows do not occur."""
    members = np.flatnonzero(crowd.group == g)
    p = crowd.probabilities[members]
    chance, seen = (dict(zip(*one.support, strict=True)) for one in (law, law.others()))
    sizes = sorted({int(n) for n in chance} | {int(n) + 1 for n in seen})
    if sum(comb(n + p.size - 1, p.size - 1) for n in sizes) > MOST_OUTCOMES:
        raise ProofRefused("the proof by cases has too many outcomes to look at")
    counts = np.concatenate([compositions(n, p.size) for n in sizes])
    total = counts.sum(axis=1)
    mass = np.array([chance.get(n, 0.0) for n in sizes])[np.searchsorted(sizes, total)]
    others = np.array([seen.get(n - 1, 0.0) for n in sizes])[np.searchsorted(sizes, total)]
    prior = mass * _multinomial(counts, p)
    belief = np.zeros((prior.size, crowd.group.size))
    for k, i in enumerate(members):
        comes, one = counts[:, k] > 0, np.eye(p.size, dtype=int)[k]
        if crowd.ex_ante and p[k] > 0.0:
            belief[comes, i] = prior[comes] / float(
                law.lost(np.zeros(1), np.log1p(-np.minimum(p[k : k + 1], SUREST)))[0]
            )
        else:
            belief[comes, i] = others[comes] * _multinomial(counts[comes] - one, p)
    full = np.zeros((prior.size, crowd.group.size))
    full[:, members] = counts
    kept = np.maximum(prior, belief.max(axis=1)) > RARE
    return Everybody(full[kept], prior[kept], belief[kept], _blur(max(sizes)))


def _blur(number: int) -> float:
    """Logarithms of factorials, of their digits' relative error, leave the more doubt the larger they are."""
    return 4.0 * float(np.finfo(float).eps * special.gammaln(number + 1.0)) / ROUNDING


def _multinomial(counts: np.ndarray, p: np.ndarray) -> np.ndarray:
    """Probabilities of counts given their sums."""
    ways = special.gammaln(counts.sum(axis=1) + 1.0) - special.gammaln(counts + 1.0).sum(axis=1)
    return np.exp(ways + special.xlogy(counts, p).sum(axis=1))
