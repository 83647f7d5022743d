r"""Expected losses by mixtures over balls, with their gradients, by generating functions themselves.

With e_i = exp(-s x_i), phi_g = sum_{i in g} p_i e_i and B = G'/G'(1),

    E e^{-s X} = prod_g G_g(phi_g),   E_i e^{-s X} = e_i B_g(phi_g) prod_{h != g} G_h(phi_h),

and given that a type occurs (the ex-ante belief) [G(phi) - G(phi - p_i e_i)] / [1 - G(1 - p_i)].
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from flint import arb

from contracts.proof.intervals.law_balls import LawBalls


class CrowdBalls(NamedTuple):
    """Who takes part: probabilities of rows (or types) within their groups, their groups, the groups' laws."""

    probabilities: np.ndarray
    group: np.ndarray
    laws: list[LawBalls]
    ex_ante: bool


class MixtureBalls(NamedTuple):
    """Losses as mixtures of exponentials, shape (terms,)."""

    rates: np.ndarray
    target: np.ndarray
    value: np.ndarray


class LossBalls(NamedTuple):
    """Expected losses at a point, as in `contracts.proof.losses.Losses`."""

    target: Any
    value: np.ndarray
    target_by_x: np.ndarray
    priced_by_x: np.ndarray


def zeros(size: int) -> np.ndarray:
    """A vector of zeros."""
    return np.array([arb(0)] * size, dtype=object)


def expected_losses(
    crowd: CrowdBalls, mixture: MixtureBalls, x: np.ndarray, prices: np.ndarray | None = None
) -> LossBalls:
    """Losses by mixtures at contributions x, nobody's absence corrected; slopes only where prices are given."""
    rows = x.size
    target, value, by_x, priced = arb(0), zeros(rows), zeros(rows), zeros(rows)
    one = _ex_ante if crowd.ex_ante else _interim
    for s, target_weight, value_weight in zip(*mixture, strict=True):
        if target_weight == 0 and value_weight == 0:
            continue
        e = np.exp(x * -s)
        total, slopes, each, by_each = one(crowd, e, prices, value_weight)
        target = target + target_weight * total
        value = value + value_weight * each
        if prices is not None:
            by_x = by_x - target_weight * s * slopes
            priced = priced - value_weight * s * by_each
    return LossBalls(target, value, by_x, priced)


def _phis(crowd: CrowdBalls, e: np.ndarray) -> list[Any]:
    weighted = crowd.probabilities * e
    return [weighted[crowd.group == g].sum() for g in range(len(crowd.laws))]


def _interim(crowd: CrowdBalls, e: np.ndarray, prices: np.ndarray | None, value_weight: Any) -> tuple:
    group, laws, p = crowd.group, crowd.laws, crowd.probabilities
    phis = _phis(crowd, e)
    power = [law.generating(phi) for law, phi in zip(laws, phis, strict=True)]
    belief = [law.belief(phi) for law, phi in zip(laws, phis, strict=True)]
    rest = _without_each(power)
    each = e * np.array([b * r for b, r in zip(belief, rest, strict=True)], dtype=object)[group]
    total = power[0] * rest[0]
    if prices is None:
        return total, None, each, None
    slope = [law.generating(phi, 1) for law, phi in zip(laws, phis, strict=True)]
    weighted = p * e
    slopes = weighted * np.array([a * r for a, r in zip(slope, rest, strict=True)], dtype=object)[group]
    if value_weight == 0:
        return total, slopes, each, zeros(e.size)
    bend = [law.belief(phi, 1) for law, phi in zip(laws, phis, strict=True)]
    paid = [(prices * e)[group == g].sum() for g in range(len(laws))]
    moved = []
    for g in range(len(laws)):
        own = paid[g] * bend[g] * rest[g]
        theirs = sum((paid[h] * belief[h] * rest[h] for h in range(len(laws)) if h != g), arb(0))
        moved.append(own + theirs * slope[g] / power[g])
    return total, slopes, each, prices * each + weighted * np.array(moved, dtype=object)[group]


def _without_each(factors: list[Any]) -> list[Any]:
    """Products of all factors but one."""
    before, after = [arb(1)], [arb(1)]
    for factor in factors[:-1]:
        before.append(before[-1] * factor)
    for factor in factors[:0:-1]:
        after.append(after[-1] * factor)
    return [a * b for a, b in zip(before, after[::-1], strict=True)]


def _ex_ante(crowd: CrowdBalls, e: np.ndarray, prices: np.ndarray | None, _: Any) -> tuple:
    law, p = crowd.laws[0], crowd.probabilities
    weighted, phi = p * e, _phis(crowd, e)[0]
    whole, slope = law.generating(phi), law.generating(phi, 1)
    each, lost, chances = zeros(e.size), zeros(e.size), occurrence(crowd)
    for i in range(e.size):
        if p[i] == 0:
            each[i] = e[i] * law.belief(phi)
        else:
            each[i] = (whole - law.generating(phi - weighted[i])) / chances[i]
    if prices is None:
        return whole, None, each, None
    by_each = zeros(e.size)
    for i in range(e.size):
        if prices[i] == 0:
            continue
        if p[i] == 0:
            by_each = by_each + weighted * (prices[i] * e[i] * law.belief(phi, 1))
            by_each[i] = by_each[i] + prices[i] * each[i]
            continue
        lost = law.generating(phi - weighted[i], 1)
        own = prices[i] / chances[i]
        by_each = by_each + weighted * (own * (slope - lost))
        by_each[i] = by_each[i] + weighted[i] * own * lost
    return whole, weighted * slope, each, by_each


def occurrence(crowd: CrowdBalls) -> np.ndarray:
    """The probability that each type occurs (of one group), shape (rows,)."""
    law = crowd.laws[0]
    return np.array([1 - law.generating(1 - p) for p in crowd.probabilities], dtype=object)


def idle_chances(crowd: CrowdBalls, nothing: np.ndarray) -> tuple[Any, np.ndarray]:
    """Probability that nobody brings data: for the coordinator, and as each believes, zero for who does."""
    p, group, laws = crowd.probabilities, crowd.group, crowd.laws
    idle = [sum(p[nothing & (group == g)], arb(0)) for g in range(len(laws))]
    nobody = [law.generating(q) for law, q in zip(laws, idle, strict=True)]
    rest, each = _without_each(nobody), zeros(p.size)
    for i in np.flatnonzero(nothing):
        g = int(group[i])
        if crowd.ex_ante and p[i] != 0:
            each[i] = (nobody[0] - laws[0].generating(idle[0] - p[i])) / (1 - laws[0].generating(1 - p[i]))
        else:
            each[i] = laws[g].belief(idle[g]) * rest[g]
    return nobody[0] * rest[0], each


def beyond(crowd: CrowdBalls) -> tuple[Any, np.ndarray]:
    """A bound on the probability of more participants than laws reckon with, and as each believes."""
    group, laws = crowd.group, crowd.laws
    chances = [law.beyond() for law in laws]
    total = sum(chances, arb(0))
    each = np.array([total - chances[g] + law.beyond(others=True) for g, law in enumerate(laws)], dtype=object)[
        group
    ]
    if crowd.ex_ante:
        occurs = occurrence(crowd)
        for i, p in enumerate(crowd.probabilities):
            if p != 0:
                each[i] = total / occurs[i]
    return total, each
