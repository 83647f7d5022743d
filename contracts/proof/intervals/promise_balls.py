"""Whether a menu keeps its promises, up to an amount that is proved: every slack enclosed."""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from flint import arb

from contracts.proof import promises
from contracts.proof.intervals.ball import (
    NotRigorous,
    ball,
    balls,
    between,
    fractions,
    lower,
    upper,
    vector_of,
    where,
)
from contracts.proof.intervals.expectation_balls import ExpectedBalls, expected
from contracts.proof.intervals.form_balls import FormBalls, WorldBalls, by_data
from contracts.proof.intervals.loss_balls import CrowdBalls
from contracts.proof.intervals.objective_balls import beside, weight_balls
from contracts.proof.intervals.world_balls import VALUE, Worth, peak
from contracts.proof.mixture_check import Exponentials
from contracts.proof.outside_options import may_stay_out
from contracts.proof.reached import unit_of
from contracts.records import Keyed

STATED = 1e-7  # by which stated expectations may differ, relative to the largest


class Given(NamedTuple):
    """A contract's numbers, as in `contracts.proof.certify.certify`."""

    raw: np.ndarray
    reward: np.ndarray
    reservation: np.ndarray
    objective: float
    accuracy: float
    reached: float | None


class Promised(NamedTuple):
    """What is proved of the promises.

    Attributes:
        gain, envy, feasible: worst ends of the slacks, in own units, shape (types,) (of feasibility in units of
            rows).
        short: by how much promises may be broken at most, in own units, shape (types,).
        refuted: what is certainly broken.
        open: what is neither proved nor refuted.
        reached: what is maximised, a ball.
        by_outcomes: whether expectations are over all outcomes.
    """

    gain: np.ndarray
    envy: np.ndarray
    feasible: np.ndarray
    short: np.ndarray
    refuted: list[str]
    open: list[str]
    reached: Any
    by_outcomes: bool


class _Verdicts:
    """Amounts by which promises are broken, judged."""

    def __init__(self, types: int):
        self.short, self.refuted, self.open = np.zeros(types), [], []

    def judge(self, what: str, who: int | None, broken: Any, tolerated: float, *, bound: bool = False) -> None:
        """Judge an amount by which something is broken, or a `bound` of it."""
        most = upper(broken)
        if most <= tolerated:
            if who is not None:
                self.short[who] = max(self.short[who], most)
        elif lower(broken) > tolerated and not bound:
            self.refuted.append(f"{what}: short by {lower(broken):.3g}")
        else:
            self.open.append(f"{what} (it may be short by {most:.3g})")


def outside_balls(form: FormBalls) -> np.ndarray:
    """What each type gets by staying out, in own units, enclosed, shape (types,)."""
    problem = form.problem
    types = problem.population.types
    if problem.outside.utility is not None:
        return balls(np.broadcast_to(np.asarray(problem.outside.utility, dtype=float), (types,)))
    found = []
    for i in range(types):
        best = arb(0)
        for world in form.worlds:
            best = arb.max(best, between(*_alone(world.worth, form.honest[i], _own_data(form, i))))
        found.append(best * form.relative[i])
    return vector_of(found)


def _own_data(form: FormBalls, i: int) -> Any | None:
    """The effective data that a type has, a ball."""
    population = form.problem.population
    if population.capacities is None:
        return None
    quality = 1.0 if population.qualities is None else population.qualities[i]
    return ball(Fraction(float(population.capacities[i])) * Fraction(float(quality)))


def _alone(worth: Worth, cost: Any, limit: Any | None) -> tuple[float, float]:
    key = (id(worth), cost.repr(), None if limit is None else limit.repr())
    return _best_alone(Keyed(key, (worth, cost, limit)))


@lru_cache(maxsize=4096)
def _best_alone(keyed: Keyed) -> tuple[float, float]:
    worth, cost, limit = keyed.value
    high = upper(worth.top_value / cost)
    if limit is None or limit > arb(high):
        return peak(worth, VALUE, cost, 0.0, high)
    least, _ = peak(worth, VALUE, cost, 0.0, max(lower(limit), 0.0))
    return least, peak(worth, VALUE, cost, 0.0, upper(limit))[1]


def promised(
    form: FormBalls,
    outside: np.ndarray,
    given: Given,
    mixtures: list[Exponentials] | None,
    most: float,
) -> Promised:
    """Enclose every slack of a menu.

    Args:
        form: the standard form.
        outside: what each type gets by staying out, in own units, enclosed, shape (types,).
        given: the contract.
        mixtures: of its proof, one for each world; None if it has none.
        most: the most data that matter.

    Raises:
        NotRigorous: expectations have no enclosure.
    """
    problem, population = form.problem, form.problem.population
    types, names = population.types, list(population.names or ())
    verdicts, tolerated = _Verdicts(types), promises.own_tolerance(form.form)
    raw, reward, costs = balls(given.raw), balls(given.reward), balls(population.costs)
    margin = ball(problem.menu.participation_margin)
    stays = np.array(
        [
            may_stay_out(problem)
            and given.raw[i] == 0.0
            and given.reward[i] == 0.0
            and bool(-form.joining[i] < outside[i] + margin)
            for i in range(types)
        ]
    )
    data = _delivered(form, given.raw)
    gain = reward - costs * raw - form.joining - outside
    worlds = [_expected(form, world, k, data, mixtures, most, names) for k, world in enumerate(form.worlds)]
    offered = worlds[0][1].given
    for _, other in worlds[1:]:
        offered = np.array([arb.min(a, b) for a, b in zip(offered, other.given, strict=True)], dtype=object)
    by_outcomes = all(world.by_outcomes for _, world in worlds)
    feasible = offered - where(stays, arb(0), reward / form.relative)
    for i in range(types):
        allowed = float(tolerated[i])
        if not stays[i]:
            verdicts.judge(f"individual rationality: {names[i]}", i, margin - gain[i], allowed)
            lacking = -feasible[i] * form.relative[i]
            verdicts.judge(f"feasibility: {names[i]}", i, lacking, allowed, bound=not by_outcomes)
    envy = _judge_envy(form, verdicts, data, reward, stays, outside, given)
    _judge_limits(form, verdicts, given, data, stays)
    reached = _judge_stated(form, verdicts, given, worlds, outside, stays, gain)
    return Promised(
        gain=np.where(stays, 0.0, [lower(g) for g in gain]),
        envy=envy,
        feasible=np.array([lower(slack) for slack in feasible]),
        short=verdicts.short,
        refuted=verdicts.refuted,
        open=verdicts.open,
        reached=reached,
        by_outcomes=by_outcomes,
    )


def _delivered(form: FormBalls, raw: np.ndarray) -> list[Fraction]:
    """Data delivered at least, exactly."""
    population = form.problem.population
    quality = np.ones(raw.size) if population.qualities is None else population.qualities
    kept = 1 - Fraction(population.shading)
    return [m * q * kept for m, q in zip(fractions(raw), fractions(quality), strict=True)]


def _expected(
    form: FormBalls,
    world: WorldBalls,
    k: int,
    data: list[Fraction],
    mixtures: list[Exponentials] | None,
    most: float,
    names: Any,
) -> tuple[CrowdBalls, ExpectedBalls]:
    problem = form.problem
    doubt = problem.population.doubt
    if doubt is not None:
        for row in range(form.form.rows):
            members = np.flatnonzero(form.form.row == row)
            for i in members[1:]:
                if data[i] != data[members[0]]:
                    raise NotRigorous(f"promises in doubt: {names[i]} shares its costs and brings other data")
    crowd = CrowdBalls(
        by_data(form, world, data), problem.population.group_of, world.laws, problem.belief == "ex-ante"
    )
    mixture = None if mixtures is None else mixtures[k]
    return crowd, expected(crowd, world.worth, data, mixture, most, problem.valuation.linear)


def _judge_envy(
    form: FormBalls,
    verdicts: _Verdicts,
    data: list[Fraction],
    reward: np.ndarray,
    stays: np.ndarray,
    outside: np.ndarray,
    given: Given,
) -> np.ndarray:
    """The most that each type gains by another option that it may be able to deliver, in own units."""
    problem, population = form.problem, form.problem.population
    names, tolerated = list(population.names or ()), promises.own_tolerance(form.form)
    amounts, costs = balls(data), balls(population.costs) / form.effective
    worth = reward / form.relative
    floats, _ = promises.read_menu(form.form, given.raw, given.reward, np.array([upper(f) for f in outside]))
    least, worst = problem.menu.preference_margin, np.where(stays, -np.inf, 0.0)
    for i in range(reward.size):
        limit = _own_data(form, i)
        own = outside[i] + form.joining[i] if stays[i] else reward[i] - costs[i] * amounts[i]
        alike = promises._alike(form.form, floats, np.array([i]))[0]
        for j in np.flatnonzero((population.group_of == population.group_of[i]) & ~stays):
            if j == i or (limit is not None and amounts[j] > limit):
                continue
            gain = worth[j] * form.relative[i] - costs[i] * amounts[j] - own
            worst[i] = max(worst[i], upper(gain))
            verdicts.judge(
                f"incentive compatibility: {names[i]} and the option of {names[j]}", i, gain, float(tolerated[i])
            )
            if least > 0.0 and not stays[i] and not alike[j]:
                verdicts.judge(
                    f"preference margin: {names[i]} and the option of {names[j]}",
                    i,
                    gain + ball(least),
                    float(tolerated[i]),
                )
    return np.where(np.isneginf(worst), 0.0, worst)


def _judge_limits(
    form: FormBalls, verdicts: _Verdicts, given: Given, data: list[Fraction], stays: np.ndarray
) -> None:
    """Capacities and lots, exactly (each to one part in 1e9); the number of options, floats taken for exact."""
    problem, population = form.problem, form.problem.population
    names, same = list(population.names or ()), Fraction(promises.SAME)
    if population.capacities is not None:
        for i, (m, most) in enumerate(zip(fractions(given.raw), fractions(population.capacities), strict=True)):
            if m > most * (1 + same):
                verdicts.refuted.append(f"capacity: {names[i]}: short by {float(m - most):.3g}")
    if problem.menu.lot is not None:
        lot = Fraction(problem.menu.lot) * (1 - Fraction(population.shading))
        for i, amount in enumerate(data):
            lots = amount / lot
            if abs(lots - round(lots)) > same * max(lots, Fraction(1)):
                verdicts.refuted.append(f"lots: {names[i]} is asked for {float(lots):.9g} lots")
    if problem.menu.options is not None:
        number = _options(form, data, balls(given.reward) / form.relative, stays)
        if number > problem.menu.options:
            verdicts.open.append(f"at most {problem.menu.options} options (there may be {number})")


def _options(form: FormBalls, data: list[Fraction], worth: np.ndarray, stays: np.ndarray) -> int:
    near = Fraction(promises.SAME) * max(data), ball(promises.SAME * promises.largest_value(form.form))
    seen: list[tuple[Fraction, Any]] = []
    for amount, value, out in zip(data, worth, stays, strict=True):
        known = any(abs(amount - d) <= near[0] and abs(value - w) <= near[1] for d, w in seen)
        if not out and not known and not (amount == 0 and value == 0):
            seen.append((amount, value))
    return len(seen)


def _judge_stated(
    form: FormBalls,
    verdicts: _Verdicts,
    given: Given,
    worlds: list[tuple[CrowdBalls, ExpectedBalls]],
    outside: np.ndarray,
    stays: np.ndarray,
    gain: np.ndarray,
) -> Any:
    """Stated numbers; returns what is maximised."""
    problem, names = form.problem, list(form.problem.population.names or ())
    weights = [world.weight for world in form.worlds]
    tolerated = promises.STATED * promises.own_tolerance(form.form)
    for i, (said, true) in enumerate(zip(balls(given.reservation), outside, strict=True)):
        verdicts.judge(f"stated reservation utility of {names[i]}", None, abs(said - true), float(tolerated[i]))
    utility = where(stays, outside, gain + outside)
    reward = where(stays, arb(0), balls(given.reward) / form.relative)
    target = sum((w * world.target for w, (_, world) in zip(weights, worlds, strict=True)), arb(0))
    each = [beside(problem.objective, crowd, utility, reward, outside).value for crowd, _ in worlds]
    reached = weight_balls(problem.objective) * target
    reached = reached + sum((w * s for w, s in zip(weights, each, strict=True)), arb(0))
    value = sum((w * world.value for w, (_, world) in zip(weights, worlds, strict=True)), arb(0))
    top = promises.largest_value(form.form)
    verdicts.judge("stated objective", None, abs(value - ball(given.objective)), STATED * top)
    if given.reached is not None:
        unit = unit_of(form.form)
        # as stated, an accuracy includes the baseline
        counted = problem.objective is None and not problem.target_is_value
        stated = reached + ball(problem.baseline) if counted else reached
        verdicts.judge("what is stated to be maximised", None, abs(stated - ball(given.reached)), STATED * unit)
    if any(world.accuracy is None for _, world in worlds):
        verdicts.open.append("stated expected accuracy (too many outcomes to list)")
        return reached
    parts = (w * world.accuracy for w, (_, world) in zip(weights, worlds, strict=True))
    accuracy = ball(problem.baseline) + sum(parts, arb(0))
    verdicts.judge("stated expected accuracy", None, abs(accuracy - ball(given.accuracy)), STATED)
    return reached
