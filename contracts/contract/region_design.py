"""Designing for curves of which only a region is known.

Promises are made on the lowest curve (`World.plain`) and types are due what the best one gives them alone, so
that the standard form is that of a known curve. How much better any other contract that keeps its promises
throughout the region could be, at its worst, is bounded by the best contract under one curve of the region,
whose proof the contract carries.

Source: ours.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np

from contracts.contract.contract import Contract
from contracts.contract.stated import Stated
from contracts.errors import Infeasible, ModelpactError, NotConverged
from contracts.problem.standard_form import World
from contracts.proof.region_check import curves_of

NOTHING = 1e-9  # of the most data: stands for none where a curve is looked for


def design_within_region(stated: Stated, design: Callable[[Stated], Contract]) -> Contract:
    """The best contract under the lowest curve, with a bound on all others.

    Args:
        stated: the problem with its standard form.
        design: what designs a problem of known curves.

    Raises:
        Infeasible: the region is so large that no contract keeps its promises throughout.
    """
    try:
        contract = design(stated)
    except (Infeasible, NotConverged) as error:
        levels = [world.curve.region.level for world in stated.form.worlds if world.curve.region is not None]
        raise Infeasible(
            f"no contract keeps its promises for every curve at level {max(levels):g}: alone, some types might"
            " get more than the worst curve lets all give; expected more precise measurements, a lower level, or"
            " a weaker promise: 'model' (a share of what is trained, under every such curve) or 'average'"
            f" ({error})"
        ) from error
    finite = any(getattr(world.curve.region, "finite", False) for world in stated.form.worlds)
    if (
        stated.divergence or finite
    ):  # whose promises are checked by the proof's mixtures: they must be the lowest curve's
        return contract
    delivered = stated.form.contribution(contract.contribution)
    directions = tuple(_worst(stated, world, delivered) for world in stated.form.worlds)
    single = dataclasses.replace(stated, form=stated.form.under(curves_of(stated.form, directions)))
    try:
        reference = design(single)
    except ModelpactError:  # then the contract's own proof is about the lowest curve
        return contract
    return dataclasses.replace(contract, proof=dataclasses.replace(reference.proof, curves=directions))


def _worst(stated: Stated, world: World, delivered: np.ndarray) -> np.ndarray:
    """Where in the region is the curve that is worst with about as many data as are delivered."""
    region = world.curve.region
    if region is None or not world.uncertain:
        return np.zeros(0)
    means = np.array([float(law.mean) for law in world.laws])[stated.form.group]
    data = max(float(world.probabilities * means @ delivered), NOTHING * world.plain.most_data)
    return region.direction(region.lowest(np.array([data]))[1][0])
