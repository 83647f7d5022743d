"""Promises for every curve of a region, by looking for the curve that breaks them.

For each promise the worst curve is looked for among some hundred on the region's boundary, then by a direct
search (Nelder-Mead) from the worst of them; nothing of the envelopes on which contracts are designed is used.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy import optimize

from contracts.problem.accuracy import AccuracyCurve
from contracts.problem.outcomes import Law, believed_total
from contracts.problem.standard_form import StandardForm, World
from contracts.proof.evidence import Proof
from contracts.proof.expectations import Expected, believed_law, everybody_law
from contracts.proof.outside_options import own_most
from contracts.proof.promises import TOLERANCE, Menu, largest_value
from contracts.proof.soundness import ProofRefused, numbers

LOWEST = "promises made on the region's lowest curve"
SAMPLED, STEPS, SEED = 400, 60, 20250101
GRID = 400  # amounts of data at which training alone is looked at
ATOMS = 2000
SOUND = 100.0  # tolerances by which a search may be off

Score = Callable[[np.ndarray], np.ndarray]


class Regional(NamedTuple):
    """What was found of promises, and what is to be said about it."""

    violations: list[str]
    about: list[str]
    extended: dict[str, float]


def kept_throughout(form: StandardForm, menu: Menu, worlds: list[Expected]) -> Regional:
    """Look for curves under which a promise is broken.

    Args:
        form: the standard form.
        menu: the menu.
        worlds: what is expected in each world on the curve on which promises are made.
    """
    if not form.uncertain:
        return Regional([], [], {})
    violations: list[str] = []
    worst = stated = 0.0
    for world, found in zip(form.worlds, worlds, strict=True):
        if not world.uncertain:
            worst, stated = worst + world.weight * found.target, stated + world.weight * found.target
            continue
        search = _Search(form, world)
        complaints, target = _broken(search, menu, found)
        violations += complaints
        worst += world.weight * target
        law = everybody_law(found.crowd, menu.data)
        stated += world.weight * float(search.target(world.curve(law.data)[None])[0] @ law.probabilities)
    levels = sorted({world.curve.region.level for world in form.worlds if world.curve.region is not None})
    kept = ", ".join(f"{level:g}" for level in levels)
    finite = any(getattr(world.curve.region, "finite", False) for world in form.worlds)
    looked = (
        "under every curve drawn from the posterior but the most extreme"
        if finite
        else f"for each of them the worst curve was looked for among {SAMPLED} on the region's boundary, then by"
        " direct search"
    )
    about = [
        f"promises are kept with confidence {kept}: {looked}; what is reached is what every curve gives at least"
    ]
    extended = {
        "expected target under the worst curve found": worst,
        "expected target if the fitted curve is right": stated,
    }
    return Regional(violations, about, extended)


def _broken(search: _Search, menu: Menu, found: Expected) -> tuple[list[str], float]:
    """Promises that some curve breaks, and the least target found."""
    form, world = search.form, search.world
    names, tolerance = list(form.problem.population.names or ()), SOUND * TOLERANCE * largest_value(form)
    violations: list[str] = []
    if form.problem.outside.utility is None:
        costs = form.problem.population.costs
        joined = menu.reward - costs * menu.raw - menu.joining - form.problem.menu.participation_margin
        missing = form.relative * search.alone() - joined
        violations += [
            f"individual rationality: {names[i]} would get {missing[i]:.3g} less than alone under some curve of"
            " the region"
            for i in np.flatnonzero(~(missing <= tolerance * form.relative) & ~menu.stays)
        ]
    over = form.relative * (menu.worth - search.offered(found, menu.data))
    violations += [
        f"feasibility: {names[i]} is promised {over[i]:.3g} more than some curve of the region gives"
        for i in np.flatnonzero(~(over <= tolerance * form.relative) & ~menu.stays)
    ]
    least = search.expected(everybody_law(found.crowd, menu.data), search.target)
    if not least >= found.target - SOUND * TOLERANCE * world.plain.largest_target:
        violations.append(f"objective: {found.target:.9g} is guaranteed, some curve gives {least:.9g}")
    return violations, least


class _Search:
    """The worst curves of a region, one promise at a time, by sampling and direct search."""

    def __init__(self, form: StandardForm, world: World):
        assert world.curve.region is not None
        self.form, self.world, self.region = form, world, world.curve.region
        self.finite = getattr(self.region, "finite", False)  # curves that can all be looked at
        if self.finite:
            return
        directions = np.random.default_rng(SEED).standard_normal((SAMPLED, self.region.centre.size))
        self.directions = directions / np.linalg.norm(directions, axis=1, keepdims=True)

    def value(self, accuracy: np.ndarray) -> np.ndarray:
        """What models are worth, in units of rows, counted from the baseline."""
        return self.world.plain.valuation(np.maximum(accuracy - self.form.problem.baseline, 0.0))

    def target(self, accuracy: np.ndarray) -> np.ndarray:
        """The coordinator's target, counted from the baseline."""
        above = np.maximum(accuracy - self.form.problem.baseline, 0.0)
        return self.world.plain.valuation(above) if self.world.plain.target_is_value else above

    def least(self, score: Score) -> float:
        """The least of score(parameters of curves (curves, parameters)) over the region."""
        if self.finite:
            return float(score(self.region.members).min())  # type: ignore[attr-defined]
        values = score(self.region.parameters(self.directions))

        def one(w: np.ndarray) -> float:
            unit = w / max(float(np.linalg.norm(w)), 1e-12)
            return float(score(self.region.parameters(unit[None]))[0])

        start = self.directions[int(np.argmin(values))]
        options = {"maxiter": STEPS, "xatol": 1e-6, "fatol": 1e-12 * abs(float(values.min())) + 1e-15}
        found: Any = optimize.minimize(one, start, method="Nelder-Mead", options=options)
        return min(float(values.min()), float(found.fun))

    def expected(self, law: Law, worth: Callable[[np.ndarray], np.ndarray]) -> float:
        """The least expected worth."""
        data, mass = _gathered(law)
        return self.least(lambda z: worth(self.region.accuracy(z, data)) @ mass)

    def offered(self, found: Expected, data: np.ndarray) -> np.ndarray:
        """The least T_i, shape (types,), in units of rows."""
        seen: dict[tuple, float] = {}
        values, crowd = np.empty(data.size), found.crowd
        for i in range(data.size):
            g = int(crowd.group[i])
            key = (i,) if crowd.ex_ante else (g, float(data[i]))
            if key not in seen:
                law = (
                    believed_total(crowd.plain, data, i)
                    if crowd.ex_ante
                    else believed_law(crowd, data, g).shifted(float(data[i]))
                )
                seen[key] = self.expected(law, self.value)
            values[i] = seen[key]
        return values

    def alone(self) -> np.ndarray:
        """The most that each type gets by training alone, shape (types,), in units of rows."""
        found = []
        largest = float(self.value(np.ones(1))[0])
        for cost, most in zip(self.form.honest_costs, own_most(self.form), strict=True):
            top = min(largest / float(cost), float(most))
            data = np.geomspace(1e-7 * top, top, GRID)

            def loss(z: np.ndarray, paid: np.ndarray = cost * data, data: np.ndarray = data) -> np.ndarray:
                profit = self.value(self.region.accuracy(z, data)) - paid
                return -np.maximum(profit.max(axis=1), 0.0)

            found.append(-self.least(loss))
        return np.array(found)


def _gathered(law: Law) -> tuple[np.ndarray, np.ndarray]:
    """A law of many atoms gathered in cells at their means."""
    if law.data.size <= ATOMS:
        return law.data, law.probabilities
    cell = np.linspace(0, ATOMS, law.data.size, endpoint=False).astype(int)
    mass = np.bincount(cell, weights=law.probabilities)
    return np.bincount(cell, weights=law.probabilities * law.data)[mass > 0] / mass[mass > 0], mass[mass > 0]


def bounds_all(form: StandardForm, proof: Proof) -> bool:
    """Whether a proof speaks of all contracts that keep their promises throughout the region."""
    return proof.curves is not None or not form.uncertain


def curves_of(form: StandardForm, directions: Sequence[np.ndarray]) -> list[AccuracyCurve | None]:
    """The curves at directions of length <= 1 in the regions of uncertain worlds; None for the others.

    No contract that keeps its promises throughout the regions reaches more, at its worst, than under them.

    Raises:
        ProofRefused: they are not in the region.
    """
    if len(directions) != len(form.worlds):
        raise ProofRefused("the proof has not one curve for each scenario")
    curves: list[AccuracyCurve | None] = []
    for world, direction in zip(form.worlds, directions, strict=True):
        region = world.curve.region
        if region is None or not world.uncertain:
            curves.append(None)
            continue
        w = numbers("curves of the proof", direction, region.centre.shape)
        parameters = region.parameters(w)
        curve = region.curve(parameters)
        known = np.array(list(curve.parameters().values())[1:], dtype=float)
        within = np.r_[min(parameters[0], 1.0), np.exp(parameters[1:])]
        if not np.linalg.norm(w) <= 1.0 or not np.allclose(known, within, rtol=1e-12, atol=0.0):
            raise ProofRefused("the curve of the proof is not in the region")
        curves.append(curve)
    return curves


def at_curves(form: StandardForm, proof: Proof) -> StandardForm:
    """The form under the curves at which the proof bounds all contracts.

    Raises:
        ProofRefused: they are not in the region.
    """
    if proof.curves is None or not form.uncertain:
        return form
    return form.under(curves_of(form, proof.curves))
