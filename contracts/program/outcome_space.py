"""Everybody who may take part in each world, and the true curves, for bounds over outcomes."""

from __future__ import annotations

from math import comb
from typing import NamedTuple

import numpy as np
from scipy import stats

from contracts.problem.cases import Case
from contracts.problem.narrowing import narrowed
from contracts.problem.outcomes import compositions
from contracts.problem.standard_form import StandardForm, World
from contracts.program.case_program import Setting
from contracts.program.envelope import Curve, allowance, envelope, highest, tabulate, value

MOST_OUTCOMES = 3000
RARE = 1e-9  # probability below which an outcome counts as the best of all
NEVER = 1e-12  # a probability for types that do not occur, who have beliefs too
SPARE = 1e-6  # of the largest value: boxes are called empty only where another table of the curve would agree
SETTLED = 1e-2


class Outcomes(NamedTuple):
    """Who takes part in one world.

    Attributes:
        counts: of each row, shape (outcomes, rows).
        prior: probabilities, shape (outcomes,).
        belief: the same as each row believes, shape (outcomes, rows).
    """

    counts: np.ndarray
    prior: np.ndarray
    belief: np.ndarray


class Space(NamedTuple):
    """One world in a program's units: outcomes, and the curves of value and target, at most one each.

    `target_unit` is what the largest target counts in the objective.
    """

    outcomes: Outcomes
    value: Curve
    target: Curve
    value_unit: float
    target_unit: float


class Lines(NamedTuple):
    """Lines above a curve, one for each outcome: intercepts, slopes, and by how much they exceed it there."""

    intercept: np.ndarray
    slope: np.ndarray
    excess: np.ndarray


def spaces_of(at: Setting) -> list[Space] | None:
    """The worlds of a setting; None where there are too many outcomes."""
    found = []
    for world in at.form.worlds:
        outcomes = _outcomes(at.form, world)
        if outcomes is None:
            return None
        most = (at.top * at.value_unit - at.asked.due).clip(0.0) / at.form.costs
        high = 1.001 * max(world.plain.most_data, float((outcomes.counts @ most).max())) / at.data_unit
        found.append(_space(at, world, outcomes, high))
    return found


def _space(at: Setting, world: World, outcomes: Outcomes, high: float) -> Space:
    plain, unit = world.plain, at.data_unit
    grid = np.geomspace(1e-9 * high, high, 400)
    half = grid[np.argmax(plain.value(grid * unit) >= 0.5 * plain.largest_value)]
    points = [half, float(plain.accuracy.floor) / unit, *np.ravel(getattr(world.curve, "data", [])) / unit]
    marks = np.unique([point for point in points if point > 0.0])
    of_value = tabulate(lambda x: plain.value(x * unit) / plain.largest_value, marks, high)
    of_target = of_value
    if not plain.target_is_value:
        of_target = tabulate(lambda x: plain.accuracy(x * unit) / plain.largest_target, marks, high)
    factor = at.goal.weight * world.weight * plain.largest_target / at.goal.unit
    return Space(outcomes, of_value, of_target, plain.largest_value / at.value_unit, factor)


def _outcomes(form: StandardForm, world: World) -> Outcomes | None:
    """All outcomes but the rarest: the group's numbers are independent."""
    rows = form.rows
    counts, prior = np.zeros((1, rows)), np.ones(1)
    p = np.maximum(world.probabilities, NEVER)
    for g, law in enumerate(world.laws):
        mine = np.flatnonzero(form.group == g)
        share = p[mine] / p[mine].sum()
        if sum(comb(int(n) + mine.size - 1, mine.size - 1) for n in law.support[0]) > 40 * MOST_OUTCOMES:
            return None
        each, chance = [], []
        for n, mass in zip(*law.support, strict=True):
            of_group = compositions(int(n), mine.size)
            each.append(of_group)
            chance.append(mass * np.atleast_1d(stats.multinomial.pmf(of_group, int(n), share)))
        members, chances = np.concatenate(each), np.concatenate(chance)
        # A type that never occurs is seen by itself alone.
        seen = chances * np.maximum(1.0, (members / share).max(axis=1))
        members, chances = members[seen > RARE], chances[seen > RARE]
        if len(counts) * len(members) > 40 * MOST_OUTCOMES:
            return None
        counts = np.repeat(counts, len(members), axis=0)
        counts[:, mine] = np.tile(members, (len(prior), 1))
        prior = np.outer(prior, chances).ravel()
    if form.problem.belief == "ex-ante":
        occurs = 1.0 - np.asarray(world.laws[0].generating(1.0 - p))
        belief = prior[:, None] * (counts > 0) / np.maximum(occurs, NEVER)
    else:
        mean = np.array([float(law.mean) for law in world.laws])[form.group]
        belief = prior[:, None] * counts / (mean * p)
    kept = np.maximum(prior, belief.max(axis=1)) > RARE
    if kept.sum() > MOST_OUTCOMES:
        return None
    return Outcomes(counts[kept], prior[kept], belief[kept])


def lines(curve: Curve, at: np.ndarray, low: np.ndarray, high: np.ndarray) -> Lines:
    """Lines above the curve on each [low, high] that touch its envelope at `at`."""
    # At an end any steeper, or flatter, line would touch: a little inside, only the useful one does.
    at = np.clip(at, low + 1e-6 * (high - low), high - 1e-6 * (high - low))
    slope = envelope(curve, low, high, at).slope
    _, intercept = highest(curve, slope, low, high)
    intercept = intercept + allowance(curve, low, high)
    return Lines(intercept, slope, intercept + slope * at - value(curve, at))


def box_of(at: Setting, spaces: list[Space], case: Case) -> tuple[np.ndarray, np.ndarray] | None:
    """Bounds on the contributions of all contracts of a case, in the user's units; None if it holds none."""

    def received(high: np.ndarray) -> np.ndarray:
        each = []
        for space in spaces:
            counts, _, belief = space.outcomes
            short = 1.0 - value(space.value, counts @ (high / at.data_unit))
            each.append(space.value_unit * at.value_unit * (1.0 - short @ belief))
        return np.min(each, axis=0)

    top = at.top * at.value_unit
    return narrowed(at.form, case, at.asked, top, received, spare=SPARE * at.value_unit, settled=SETTLED)
