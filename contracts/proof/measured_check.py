"""Promises on a curve that is known by measurements: draw by draw, and what the measurements say of it.

Curves are drawn anew from the posterior, which is recomputed from the measurements. A share of the trained
model's value is what each type receives: its promised value over the model's expected one. Nobody learns the
curve before data are collected: who trains alone takes the amount that is best on average.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from scipy import stats

from contracts.problem.outcomes import Law, believed_total
from contracts.problem.standard_form import StandardForm, World
from contracts.proof.expectations import Expected, believed_law, everybody_law
from contracts.proof.losses import Crowd
from contracts.proof.outside_options import own_most
from contracts.proof.promises import TOLERANCE, Menu, largest_value

FRESH, SEED = 1000, 7  # curves that no contract was designed for
CONFIDENCE = 0.95
POINTS, FINE = (
    160,
    2000,
)  # amounts of data at which training alone is looked at: of each curve, of the one on average
LEAST = 1e-6  # of the most that can pay: the smallest of them
ATOMS = 400
SOUND = 100.0


class Measured(NamedTuple):
    """What was found, and what is to be said about it."""

    violations: tuple[str, ...]
    about: tuple[str, ...]
    extended: dict[str, float]
    caution: str


class Drawn(NamedTuple):
    """Utilities curve by curve, in units of rows, shape (curves, types).

    Attributes:
        together: of each type by its own option.
        alone: what it gets by training alone with the amount that is best on average.
        known: the most that it would get alone, had it known the curve.
        envied: the most that it gains by another option; -inf where there is none.
    """

    together: np.ndarray
    alone: np.ndarray
    known: np.ndarray
    envied: np.ndarray


def measured_check(form: StandardForm, menu: Menu, worlds: list[Expected]) -> Measured:
    """What holds on curves drawn from the posterior, and what is to be said of the measurements.

    Args:
        form: the standard form.
        menu: the menu.
        worlds: what is expected in each world on the curve on which promises are made.
    """
    curve: Any = form.problem.accuracy
    evidence = curve.evidence
    if evidence is None:
        return Measured((), (), {}, "")
    total = max(float(everybody_law(one.crowd, menu.data).expectation(lambda data: data)) for one in worlds)
    caution, about = list(evidence.objections), list(evidence.statements)
    least = float(menu.data[menu.data > 0.0].min(initial=np.inf))
    for what, data in (("the joint model", total), ("the smallest contribution", least)):
        said = [f"{what} {words}" for words in evidence.reach(data)] if np.isfinite(data) else []
        (caution if said and evidence.far(data) else about).extend(said)
    violations, extended = [], {}
    if getattr(curve, "possible", None) is not None and curve.promise != "value":
        each = _on_average if curve.promise == "average" else _model
        violations, said, extended = each(form, menu, worlds)
        about += said
    return Measured(tuple(violations), tuple(about), extended, "; ".join(caution))


def _on_average(form: StandardForm, menu: Menu, worlds: list[Expected]) -> tuple[list[str], list[str], dict]:
    drawn = drawn_utilities(form, menu, worlds, form.problem.accuracy.drawn(FRESH, SEED))  # type: ignore[attr-defined]
    allowed = SOUND * TOLERANCE * largest_value(form)
    worse = (drawn.together < drawn.alone - allowed).mean(axis=0)
    names = form.problem.population.names or ()
    extended = {
        f"probability that {name} does worse than alone, over curves": float(worse[i])
        for i, name in enumerate(names)
        if not menu.stays[i]
    }
    said = [
        "promises are kept on average over the curves that the measurements leave possible, not under each of"
        " them; paid by shares of the trained model's value, a type does worse than alone with probability up"
        f" to {worse.max(initial=0.0):.2g}"
    ]
    return [], said, extended


def _model(form: StandardForm, menu: Menu, worlds: list[Expected]) -> tuple[list[str], list[str], dict]:
    curve: Any = form.problem.accuracy
    kept = model_kept(form, drawn_utilities(form, menu, worlds, curve.possible), menu)
    others = drawn_utilities(form, menu, worlds, curve.drawn(FRESH, SEED))
    fresh = model_kept(form, others, menu)
    known = model_kept(form, others._replace(alone=others.known), menu)
    least = at_least(fresh)
    extended = {
        "share of the posterior's curves under which nobody does worse than alone or envies": float(kept.mean()),
        "the same of other curves drawn from it": float(fresh.mean()),
        "the same of all its curves at least (95 % confidence)": least,
        "the same of others had all who train alone known the curve before": float(known.mean()),
    }
    said = [
        "promised are shares of the trained model's value, which move with the curve; nobody does worse than"
        " alone with the amount that is best on average, nor envies anybody, under"
        f" {kept.mean():.3g} of the curves drawn (asked for: {curve.level:g}) and {fresh.mean():.3g} of"
        f" {FRESH} others, so of all with {CONFIDENCE:.0%} confidence under {least:.3g} at least"
    ]
    violations = []
    if kept.mean() < curve.level or not enough(fresh, curve.level):
        violations.append(
            f"model: under {1.0 - min(kept.mean(), fresh.mean()):.3g} of the curves that are possible somebody"
            f" does worse than alone or envies somebody (allowed: {1.0 - curve.level:.3g} with {CONFIDENCE:.0%}"
            " confidence)"
        )
    return violations, said, extended


def at_least(kept: np.ndarray) -> float:
    """The share of all curves of which as many are kept, at least (Clopper and Pearson's bound)."""
    number = int(kept.sum())
    return float(stats.beta.ppf(1.0 - CONFIDENCE, number, kept.size - number + 1)) if number else 0.0


def enough(kept: np.ndarray, level: float) -> bool:
    """Whether curves that were drawn anew show that a share `level` of all keeps the promises."""
    return at_least(kept) >= level


def model_kept(form: StandardForm, drawn: Drawn, menu: Menu) -> np.ndarray:
    """Under which curves individual rationality and incentive compatibility hold, shape (curves,)."""
    allowed = SOUND * TOLERANCE * largest_value(form)
    margin, prefer = (
        one / form.relative
        for one in (form.problem.menu.participation_margin, form.problem.menu.preference_margin)
    )
    rational = (drawn.together >= drawn.alone + margin - allowed) | menu.stays
    compatible = drawn.envied <= drawn.together + allowed - np.where(menu.stays, 0.0, prefer)
    return np.asarray((rational & compatible).all(axis=1))


def drawn_utilities(form: StandardForm, menu: Menu, worlds: list[Expected], curves: Any) -> Drawn:
    """Utilities by the menu and alone under each of some curves.

    Args:
        form, menu, worlds: as in `measured_check`.
        curves: data -> accuracies, one curve a row.
    """
    # Curves speak of the problem's own curve; a scenario with another curve has that one for certain.
    parts = [
        _of_world(form, world, menu, found, curves) for world, found in zip(form.worlds, worlds, strict=True)
    ]
    weight = [world.weight for world in form.worlds]
    mixed = [
        np.asarray(sum(w * one for w, one in zip(weight, column, strict=True)))
        for column in zip(*parts, strict=True)
    ]
    return Drawn(*mixed)


def values_of(form: StandardForm, world: World, curves: Any) -> Any:
    """data -> values above the baseline under each curve, in units of rows, shape (curves, data)."""
    baseline, valuation = form.problem.baseline, world.plain.valuation

    def value(data: np.ndarray) -> np.ndarray:
        accuracy = curves(data) if world.curve is form.problem.accuracy else world.curve(data)[None]
        return np.asarray(valuation(np.maximum(accuracy - baseline, 0.0)))

    return value


def _of_world(form: StandardForm, world: World, menu: Menu, found: Expected, curves: Any) -> tuple:
    value = values_of(form, world, curves)
    data, share = menu.data, shares(menu, found)
    received = np.stack(
        [share[i] * expected_values(value, law_of(found.crowd, data, i)) for i in range(data.size)], axis=1
    )
    paid = (form.problem.population.costs * menu.raw + menu.joining) / form.relative
    together = received - paid
    outside = menu.outside / form.relative
    alone, known = utilities_alone(form, world, value)
    if form.problem.outside.utility is not None:
        alone = known = np.broadcast_to(outside, together.shape)
    costs = form.problem.population.costs / (form.effective * form.relative)
    envied = np.full(together.shape, -np.inf)
    group = form.problem.population.group_of
    for i in range(data.size):
        others = (group == group[i]) & ~menu.stays & (data <= form.reach[form.row[i]])
        others[i] = False
        if others.any():
            other = received[:, others] - costs[i] * data[others] - menu.joining[i] / form.relative[i]
            envied[:, i] = other.max(axis=1)
    together, alone = np.where(menu.stays, outside, together), np.where(menu.stays, outside, alone)
    return together, alone, known, envied


def shares(menu: Menu, found: Expected) -> np.ndarray:
    """Which share of the trained model's value each type is promised, at most all of it, shape (types,)."""
    whole = np.where(found.given > 0.0, found.given, 1.0)
    share = np.where(found.given > 0.0, menu.worth / whole, 0.0)
    return np.clip(np.where(menu.stays, 0.0, share), 0.0, 1.0)


def law_of(crowd: Crowd, data: np.ndarray, i: int) -> Law:
    """The law of the total data as type i believes it, its own among them."""
    if crowd.ex_ante:
        return believed_total(crowd.plain, data, i)
    return believed_law(crowd, data, int(crowd.group[i])).shifted(float(data[i]))


def expected_values(value: Any, law: Law) -> np.ndarray:
    """Expected value under each curve, shape (curves,); many atoms gathered in cells at their means."""
    if law.data.size <= ATOMS:
        return value(law.data) @ law.probabilities
    cell = np.minimum((np.cumsum(law.probabilities) * ATOMS).astype(int), ATOMS - 1)
    mass = np.bincount(cell, weights=law.probabilities, minlength=ATOMS)
    data = np.bincount(cell, weights=law.probabilities * law.data, minlength=ATOMS)
    some = mass > 0.0
    return value(data[some] / mass[some]) @ mass[some]


def utilities_alone(form: StandardForm, world: World, value: Any) -> tuple[np.ndarray, np.ndarray]:
    """What each type gets alone under each curve: by the amount best on average, and had it known the curve."""
    alone, known = [], []
    for cost, most in zip(form.honest_costs, own_most(form), strict=True):
        top = min(world.plain.largest_value / float(cost), float(most))
        data = np.geomspace(LEAST * top, top, POINTS)
        known.append(np.maximum((value(data) - cost * data).max(axis=1), 0.0))
        data = np.geomspace(LEAST * top, top, FINE)
        average = np.asarray(world.plain.value(data)) - cost * data
        best = int(np.argmax(average))
        own = value(data[best : best + 1])[:, 0] - cost * data[best]
        alone.append(own if average[best] > 0.0 else np.zeros(own.size))
    return np.stack(alone, axis=1), np.stack(known, axis=1)
