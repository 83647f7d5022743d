"""What promises and objectives are at worst, where the probabilities are in doubt.

What incentive compatibility means there: options are counted at their worst. Once rewards are laid down as caps
they are worth what was promised at the worst member of the ball and more elsewhere, and there a type may prefer
another option; no rule is worth the same under all probabilities. The certificate says by how much,
where types are few.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from contracts.problem.outcomes import Law
from contracts.problem.standard_form import StandardForm
from contracts.proof.ambiguity import largest_losses, vertices
from contracts.proof.expectations import Expected, believed_law, expected, stated_crowds
from contracts.proof.losses import Crowd
from contracts.proof.mixture_check import Exponentials, mixture_error
from contracts.proof.plain_proof import MIXTURE_ERROR
from contracts.proof.promises import Menu, unequal

FEW, MOST_VERTICES, MOST_ATOMS = 8, 400, 5000
HALVINGS = 60  # of the bracket of a cap


class Doubted(NamedTuple):
    """What is expected at worst, and what is to be said about it."""

    worlds: list[Expected]
    violations: list[str]
    about: list[str]
    extended: dict[str, float]


def doubted(
    form: StandardForm, menu: Menu, worlds: list[Expected], mixtures: list[Exponentials] | None
) -> Doubted:
    """Expectations over whole balls of probabilities.

    Args:
        form: the standard form.
        menu: the menu.
        worlds: expectations at the worst member (total variation), or at the stated probabilities.
        mixtures: of the proof, one for each world.
    """
    doubt = form.problem.population.doubt
    if doubt is None or doubt.radius == 0.0 or not menu.data.any():
        return Doubted(worlds, [], [], {})
    if doubt.distance == "kullback-leibler":
        return _divergence(form, menu, worlds[0], mixtures)
    stated = [expected(crowd, menu.data, None).target for crowd in stated_crowds(form)]
    weights = [world.weight for world in form.worlds]
    extended = {
        "expected target if the stated probabilities are right": float(np.average(stated, weights=weights))
    }
    looked = [_over_vertices(form, menu, world, k) for k, world in enumerate(worlds)]
    about = [
        "expectations are those of the worst probabilities in doubt; incentives are exact for options counted so"
    ]
    elsewhere = [found.envy for found in looked if np.isfinite(found.envy)]
    if elsewhere:
        name = "largest envy under caps elsewhere in the ball (own units; above zero: not exact there)"
        extended[name] = max(elsewhere)
        about[0] += f"; under caps elsewhere in the ball the largest envy is {max(elsewhere):.3g}"
    return Doubted([found.world for found in looked], unequal(form, menu), about, extended)


class _Looked(NamedTuple):
    world: Expected
    envy: float


def _over_vertices(form: StandardForm, menu: Menu, world: Expected, index: int) -> _Looked:
    """The least over the vertices of each group's ball, the others at their worst; where types are few."""
    radius = form.problem.population.doubt.radius  # type: ignore[union-attr]
    stated, group = stated_crowds(form)[index].probabilities, world.crowd.group
    worst, caps = -np.inf, _caps(menu, world) if len(world.crowd.laws) == 1 else None
    for g in range(len(world.crowd.laws)):
        members = np.flatnonzero(group == g)
        corners = vertices(stated[members], radius) if members.size <= FEW else np.zeros((0, members.size))
        if len(corners) > MOST_VERTICES:
            continue
        for corner in corners:
            p = world.crowd.probabilities.copy()
            p[members] = corner
            there = expected(world.crowd._replace(probabilities=p), menu.data, None)
            world = world._replace(
                given=np.minimum(world.given, there.given),
                value=min(world.value, there.value),
                accuracy=min(world.accuracy, there.accuracy),
                target=min(world.target, there.target),
            )
            if caps is not None:
                worst = max(worst, _envy_under(form, menu, there.crowd, caps))
    return _Looked(world, worst)


def _caps(menu: Menu, world: Expected) -> np.ndarray | None:
    """The cap of each option that makes it worth what is promised at the worst member, shape (types,)."""
    law = believed_law(world.crowd, menu.data, 0)
    if law.data.size > MOST_ATOMS or law.step > 0.0:
        return None
    found = np.zeros(menu.data.size)
    for i in np.flatnonzero(~menu.stays):
        low, high = 0.0, world.crowd.plain.largest_value
        for _ in range(HALVINGS):
            middle = 0.5 * (low + high)
            enough = _capped(world.crowd, law, float(menu.data[i]), middle) >= menu.worth[i]
            low, high = (low, middle) if enough else (middle, high)
        found[i] = high
    return found


def _capped(crowd: Crowd, others: Law, own: float, cap: float) -> float:
    return others.shifted(own).expectation(lambda data: np.minimum(crowd.plain.value(data), cap))


def _envy_under(form: StandardForm, menu: Menu, crowd: Crowd, caps: np.ndarray) -> float:
    """The largest envy, in own units, where option j gives the smaller of the model's value and its cap."""
    law, served = believed_law(crowd, menu.data, 0), ~menu.stays
    if not served.any():
        return -np.inf
    worth = np.array(
        [_capped(crowd, law, float(own), float(cap)) for own, cap in zip(menu.data, caps, strict=True)]
    )
    cost = form.problem.population.costs / form.effective
    utility = np.multiply.outer(form.relative, worth) - np.multiply.outer(cost, menu.data)
    utility = np.where(served & (menu.data <= form.reach[form.row][:, None]), utility, -np.inf)
    own = np.diagonal(utility)
    return float((utility.max(axis=1) - own)[served & np.isfinite(own)].max(initial=0.0))


def _divergence(form: StandardForm, menu: Menu, world: Expected, mixtures: list[Exponentials] | None) -> Doubted:
    """Bounds over a ball of Kullback-Leibler, by a bound on each rate's transform."""
    doubt, plain = form.problem.population.doubt, world.crowd.plain
    error = np.inf if mixtures is None else mixture_error(plain, mixtures[0])
    if mixtures is None or not error <= MIXTURE_ERROR:
        short = (
            "expectations: over a Kullback-Leibler ball they are bounded by mixtures of exponentials only, of"
        )
        return Doubted([world], [f"{short} which the contract carries none that stand for the curve"], [], {})
    radius = doubt.radius  # type: ignore[union-attr]
    loss, losses = largest_losses(world.crowd, mixtures[0], menu.data, radius)
    of_value = Exponentials(
        rates=mixtures[0].rates,
        target_weights=mixtures[0].value_weights,
        value_weights=mixtures[0].value_weights,
    )
    value = plain.largest_value - (1.0 + error) * _value_loss(world, of_value, menu, radius)
    target = plain.largest_target - (1.0 + error) * loss
    accuracy = world.accuracy
    if plain.valuation.linear:
        accuracy = value / float(plain.valuation.scale)
    elif not plain.target_is_value:
        accuracy = target
    worst = world._replace(
        given=plain.largest_value - (1.0 + error) * losses, value=value, accuracy=accuracy, target=target
    )
    about = [
        "no member of the ball of probabilities is worst: expectations are bounds over all of it; incentives are"
        " exact for options counted so"
    ]
    name = "expected target if the stated probabilities are right"
    return Doubted([worst], unequal(form, menu), about, {name: world.target})


def _value_loss(world: Expected, of_value: Exponentials, menu: Menu, radius: float) -> float:
    loss, _ = largest_losses(world.crowd, of_value, menu.data, radius)
    # What is known to be lost where nobody comes is the whole value, not the whole target.
    empty = float(world.crowd.laws[0].generating(0.0))
    return loss + empty * (world.crowd.plain.largest_value - world.crowd.plain.largest_target)
