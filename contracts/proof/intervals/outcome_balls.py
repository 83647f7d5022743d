"""All outcomes of a world over balls: total data and probabilities, where they are few."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import product
from math import comb
from typing import Any, NamedTuple

import numpy as np
from flint import arb

from contracts.proof.intervals.ball import ball, power
from contracts.proof.intervals.loss_balls import CrowdBalls

MOST_OUTCOMES = 20_000


class Outcomes(NamedTuple):
    """Amounts and their probabilities; together they may be less than what can happen."""

    data: list[Any]
    chances: list[Any]


def few_outcomes(crowd: CrowdBalls, x: list[Fraction]) -> bool:
    """Whether all outcomes can be listed."""
    total = 1
    for g, law in enumerate(crowd.laws):
        levels = len({x[i] for i in np.flatnonzero(crowd.group == g)})
        here = 0
        for n in law.support():
            here += comb(n + levels - 1, levels - 1)
            if here > MOST_OUTCOMES:
                return False
        total *= here
        if total > MOST_OUTCOMES:
            return False
    return True


def everybody(crowd: CrowdBalls, x: list[Fraction]) -> Outcomes:
    """The total data of all participants."""
    return _combined([_of_group(crowd, x, g) for g in range(len(crowd.laws))])


def others(crowd: CrowdBalls, x: list[Fraction], g: int) -> Outcomes:
    """The total data of all others, as somebody of group g believes."""
    return _combined([_of_group(crowd, x, h, others=h == g) for h in range(len(crowd.laws))])


def without(crowd: CrowdBalls, x: list[Fraction], i: int) -> Outcomes:
    """Those outcomes (of one group) in which type i does not occur, with the probabilities that they have."""
    return _of_group(crowd, x, 0, left_out=i)


def _of_group(
    crowd: CrowdBalls, x: list[Fraction], g: int, *, others: bool = False, left_out: int | None = None
) -> Outcomes:
    mass: dict[Fraction, Any] = {}
    for i in np.flatnonzero(crowd.group == g):
        if i != left_out and crowd.probabilities[i] != 0:
            mass[x[i]] = mass.get(x[i], arb(0)) + crowd.probabilities[i]
    law = crowd.laws[g]
    levels = [ball(level) for level in mass]
    data, chances = [], []
    for count in law.support(others=others):
        chance = law.chance(count, others=others)
        tables = [_table(each, count) for each in mass.values()]
        factor = chance * arb.fac_ui(count)
        for counts in _compositions(count, len(levels)):
            total, weight = arb(0), factor
            for k, level, table in zip(counts, levels, tables, strict=True):
                if k:
                    total, weight = total + level * k, weight * table[k]
            data.append(total)
            chances.append(weight)
    return Outcomes(data, chances)


def _table(mass: Any, count: int) -> list[Any]:
    """Powers over factorials."""
    return [power(mass, k) / arb.fac_ui(k) for k in range(count + 1)]


def _compositions(count: int, parts: int) -> Iterator[tuple[int, ...]]:
    if parts == 0:
        if count == 0:
            yield ()
        return
    if parts == 1:
        yield (count,)
        return
    for first in range(count + 1):
        for rest in _compositions(count - first, parts - 1):
            yield first, *rest


def _combined(groups: list[Outcomes]) -> Outcomes:
    if len(groups) == 1:
        return groups[0]
    data, chances = [], []
    for each in product(*(list(zip(*group, strict=True)) for group in groups)):
        total, chance = arb(0), arb(1)
        for amount, likely in each:
            total, chance = total + amount, chance * likely
        data.append(total)
        chances.append(chance)
    return Outcomes(data, chances)
