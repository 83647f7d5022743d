"""What models are worth in expectation under a menu, world by world.

Over the law of the total data, group by group: exactly where outcomes are few (for participants known by name
there is one), else on a lattice; or, where that would take long, by the proof's mixtures once they are found to
stand for the curve.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from scipy import fft

from contracts.problem.outcomes import MOST_OUTCOMES, Law, believed_total, merge, total_data
from contracts.problem.participants import FixedTurnout, Turnout
from contracts.problem.standard_form import StandardForm, World, scenario_population, worst_within_groups
from contracts.proof.losses import Crowd, expected_losses
from contracts.proof.mixture_check import Exponentials, mixture_error

EXACT, LATTICE = 1e-9, 1e-7  # of the largest value: what expectations over exact laws, and over lattices, miss
SOUND = 1e-9  # relative error of mixtures by which promises may be checked
MOST_TERMS = 4_000_000  # amounts of data times different options that are looked at one by one
SAME = 9  # digits to which amounts of data that are one agree
CELLS = 2**17


class Expected(NamedTuple):
    """Expectations in one world.

    Attributes:
        given: the value of the trained model as each type believes, shape (types,), in units of rows.
        value, accuracy, target: of the trained model, above the baseline.
        error: what these may miss, in units of rows.
        how: by what they were found.
        crowd: who takes part, types instead of rows.
    """

    given: np.ndarray
    value: float
    accuracy: float
    target: float
    error: float
    how: str
    crowd: Crowd


def crowds(form: StandardForm, x: np.ndarray) -> list[Crowd]:
    """Who takes part in each world, by type, at the probabilities that are worst for contributions x.

    In a ball of total variation the member that takes mass from those who bring most and gives it to those who
    bring least, and of these to the dearest, is worst for whatever rises with the total, and for welfare.
    """
    doubt = form.problem.population.doubt
    stated = stated_crowds(form)
    if doubt is None or doubt.distance != "total-variation":
        return stated
    rank = np.empty(x.size)
    amount = np.round(x / max(float(x.max()), 1e-300), SAME)
    rank[np.lexsort((form.costs[form.row], -amount))] = np.arange(x.size)
    return [
        crowd._replace(probabilities=worst_within_groups(rank, crowd.probabilities, crowd.group, doubt.radius))
        for crowd in stated
    ]


def stated_crowds(form: StandardForm) -> list[Crowd]:
    """Who takes part in each world, by type, at the stated probabilities."""
    population, found = form.problem.population, []
    for world, scenario in zip(form.worlds, form.problem.scenarios or (None,), strict=True):
        there = population if scenario is None else scenario_population(population, scenario)
        found.append(Crowd(world.plain, there.probabilities, population.group_of, world.laws))
    return found


def believed_law(crowd: Crowd, x: np.ndarray, g: int) -> Law:
    """The law of what others bring, as somebody of group g believes."""
    return combined([_law(crowd, x, h, others=h == g) for h in range(len(crowd.laws))])


def everybody_law(crowd: Crowd, x: np.ndarray) -> Law:
    """The law of what all bring."""
    return combined([_law(crowd, x, g) for g in range(len(crowd.laws))])


def expected(crowd: Crowd, x: np.ndarray, mixtures: Exponentials | None) -> Expected:
    """What the trained model is worth in one world.

    Args:
        crowd: who takes part, by type.
        x: data that each type brings, shape (types,).
        mixtures: those of the proof for this world, if it has any; used only if they stand for the curve.
    """
    plain = crowd.plain
    total = everybody_law(crowd, x)
    value, accuracy = total.expectation(plain.value), total.expectation(plain.accuracy)
    target = value if plain.target_is_value else accuracy
    kinds = np.unique(np.stack([crowd.group.astype(float), x]), axis=1).shape[1]
    if kinds * total.data.size > MOST_TERMS and mixtures is not None:
        error = mixture_error(plain, mixtures)
        if error <= SOUND:
            weights = mixtures.target_weights, mixtures.value_weights
            losses = expected_losses(crowd, mixtures.rates, *weights, x, x <= 0.0)
            given = plain.largest_value - losses.value
            how = f"expectations by the proof's mixture of exponentials, which the curve confirms to {error:.1g}"
            return Expected(given, value, accuracy, target, (EXACT + error) * plain.largest_value, how, crowd)
    given, steps = _believed(crowd, x)
    exact = total.step == 0.0 and steps == 0.0
    how = "expectations over all outcomes" if exact else "expectations over the outcomes, on a lattice"
    error = (EXACT if exact else LATTICE) * plain.largest_value
    return Expected(given, value, accuracy, target, error, how, crowd)


def _law(crowd: Crowd, x: np.ndarray, g: int, others: bool = False) -> Law:
    members = crowd.group == g
    law = crowd.laws[g].others() if others else crowd.laws[g]
    return total_data(x[members], crowd.probabilities[members], _count(law))


def _count(law: Turnout) -> int | Turnout:
    return law.count if isinstance(law, FixedTurnout) else law


def _believed(crowd: Crowd, x: np.ndarray) -> tuple[np.ndarray, float]:
    """E_i v for each type, and the coarsest step of the laws."""
    value, given, step = crowd.plain.value, np.zeros(x.size), 0.0
    if crowd.ex_ante:
        for i in range(x.size):
            law = believed_total(crowd.plain, x, i)
            given[i], step = law.expectation(value), max(step, law.step)
        return given, step
    for g in range(len(crowd.laws)):
        others = believed_law(crowd, x, g)
        members = np.flatnonzero(crowd.group == g)
        amounts, place = np.unique(x[members], return_inverse=True)
        worth = np.array([float(value(others.data + own) @ others.probabilities) for own in amounts])
        given[members], step = worth[place], max(step, others.step)
    return given, step


def combined(laws: list[Law]) -> Law:
    """The law of a sum of independent amounts."""
    total = laws[0]
    for law in laws[1:]:
        if total.data.size * law.data.size <= MOST_OUTCOMES:
            mass = np.multiply.outer(total.probabilities, law.probabilities).ravel()
            data, mass = merge(np.add.outer(total.data, law.data).ravel(), mass)
            total = Law(data=data, probabilities=mass, step=max(total.step, law.step))
        else:
            total = _on_lattice(total, law)
    return total


def _on_lattice(first: Law, second: Law) -> Law:
    """Each amount split between two neighbours on a lattice, so that means are kept."""
    low = float(first.data[0] + second.data[0])
    width = float(first.data[-1] + second.data[-1]) - low
    step = width / (CELLS - 4)
    spectrum: Any = 1.0
    for law in (first, second):
        single = _split((law.data - law.data[0]) / step, law.probabilities)
        spectrum = spectrum * np.asarray(fft.rfft(single, 2 * CELLS))
    mass = np.maximum(np.asarray(fft.irfft(spectrum, 2 * CELLS)), 0.0)
    kept = mass > 1e-18
    data = low + step * np.flatnonzero(kept)
    return Law(data=data, probabilities=mass[kept] / mass[kept].sum(), step=step)


def _split(place: np.ndarray, mass: np.ndarray) -> np.ndarray:
    cell = np.floor(place).astype(int)
    share = place - cell
    single = np.zeros(CELLS)
    np.add.at(single, cell, mass * (1.0 - share))
    np.add.at(single, cell + 1, mass * share)
    return single


def worlds_expected(form: StandardForm, x: np.ndarray, mixtures: list[Exponentials] | None) -> list[Expected]:
    """`expected` in every world, at the probabilities that are worst in it."""
    each = mixtures or [None] * len(form.worlds)
    return [expected(crowd, x, one) for crowd, one in zip(crowds(form, x), each, strict=True)]


def mean_of(worlds: tuple[World, ...], numbers: list[float]) -> float:
    """The average over worlds."""
    return float(sum(world.weight * number for world, number in zip(worlds, numbers, strict=True)))
