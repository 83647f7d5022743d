"""A second opinion on expectations that were not taken over all outcomes: a sample of who takes part."""

from __future__ import annotations

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


def _largest_deviation(world: Expected, data: np.ndarray) -> float:
    rng = np.random.default_rng(SEED)
    crowd, value = world.crowd, world.crowd.plain.value
    groups = range(len(crowd.laws))
    whole = [_sample(rng, crowd, data, g, others=False) for g in groups]
    worst = _deviation(value(sum(whole)), world.value, crowd)
    if crowd.ex_ante:
        return worst
    for g in groups:
        others = sum(whole) - whole[g] + _sample(rng, crowd, data, g, others=True)
        members = np.flatnonzero(crowd.group == g)
        for i in members[np.unique(np.linspace(0, members.size - 1, COMPARED).astype(int))]:
            worst = float(np.maximum(worst, _deviation(value(others + data[i]), float(world.given[i]), crowd)))
    return worst


def _sample(rng: np.random.Generator, crowd: Crowd, data: np.ndarray, g: int, *, others: bool) -> np.ndarray:
    law = crowd.laws[g].others() if others else crowd.laws[g]
    counts, chances = law.support
    members = crowd.group == g
    come = rng.choice(counts, size=DRAWS, p=chances / chances.sum())
    p = crowd.probabilities[members]
    return rng.multinomial(come, p / p.sum()) @ data[members]


def _deviation(values: np.ndarray, expected: float, crowd: Crowd) -> float:
    error = float(values.std(ddof=1)) / np.sqrt(values.size) + 1e-9 * crowd.plain.largest_value
    # Below the floor a mixture counts a model as worth less than nothing: promises may only be too low.
    return max(float(expected - values.mean()), 0.0) / error
