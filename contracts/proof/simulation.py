"""A second opinion on expectations that were not taken over all outcomes: a sample of who takes part."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from contracts.proof.expectations import Expected
from contracts.proof.losses import Crowd
from contracts.proof.promises import Menu

DRAWS, SEED = 4000, 20250101
COMPARED = 20  # types whose beliefs are simulated
TOO_FAR = 6.0  # standard errors: twenty-one comparisons at once exceed it less than once in 10^7 checks


def confirmed(menu: Menu, worlds: list[Expected]) -> tuple[str, list[str]]:
    """How expectations agree with a sample, in words, and complaints; nothing where they are exact."""
    worst = 0.0
    sampled = [world for world in worlds if world.how != "expectations over all outcomes"]
    if not sampled:
        return "", []
    for world in sampled:
        worst = float(np.maximum(worst, _largest_deviation(world, menu.data)))
    text = f"simulation of {DRAWS} draws: largest deviation {worst:.2f} standard errors"
    return text, [f"expectations: a {text}"] if not worst <= TOO_FAR else []


class _Drawn(NamedTuple):
    """Draws of what a group brings: all, all but one, and how much likelier somebody of it sees the latter."""

    whole: np.ndarray
    others: np.ndarray
    seen: np.ndarray


def _largest_deviation(world: Expected, data: np.ndarray) -> float:
    rng = np.random.default_rng(SEED)
    crowd, value = world.crowd, world.crowd.plain.value
    drawn = [_sample(rng, crowd, data, g) for g in range(len(crowd.laws))]
    whole = sum(one.whole for one in drawn)
    worst = _deviation(value(whole), world.value, crowd, 1.0)
    if crowd.ex_ante:
        return worst
    for g, one in enumerate(drawn):
        others, members = whole - one.whole + one.others, np.flatnonzero(crowd.group == g)
        for i in members[np.unique(np.linspace(0, members.size - 1, COMPARED).astype(int))]:
            found = _deviation(value(others + data[i]), float(world.given[i]), crowd, one.seen)
            worst = float(np.maximum(worst, found))
    return worst


def _sample(rng: np.random.Generator, crowd: Crowd, data: np.ndarray, g: int) -> _Drawn:
    (counts, chances), members = crowd.laws[g].support, crowd.group == g
    come = rng.choice(counts, size=DRAWS, p=chances / chances.sum())
    p = crowd.probabilities[members] / crowd.probabilities[members].sum()
    others = rng.multinomial(np.maximum(come - 1, 0), p) @ data[members]
    one = np.where(come > 0, rng.choice(data[members], size=DRAWS, p=p), 0.0)
    return _Drawn(others + one, others, come / (chances @ counts) * chances.sum())


def _deviation(values: np.ndarray, expected: float, crowd: Crowd, seen: np.ndarray | float) -> float:
    # Below the floor a mixture counts a model as worth less than nothing: promises may only be too low.
    missing = seen * (expected - values)
    error = float(missing.std(ddof=1)) / np.sqrt(values.size) + 1e-9 * crowd.plain.largest_value
    return max(float(missing.mean()), 0.0) / error
