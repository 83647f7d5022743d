r"""The law of the data that the joint model is trained on, in any world of any problem.

The groups' numbers are independent, so the law of all data is the convolution of the groups' laws
(`contracts.problem.outcomes`); a participant of a group believes in one other of its group less.
"""

from __future__ import annotations

import numpy as np

from contracts.problem.outcomes import Law, believed_total, merge, total_data
from contracts.problem.participants import FixedTurnout, Turnout
from contracts.problem.standard_form import StandardForm, World

MOST_ATOMS = 400_000


def trained(form: StandardForm, world: World, data: np.ndarray) -> Law:
    """The law of all data delivered, before anybody knows who takes part.

    Args:
        form: the problem's standard form.
        world: one of its worlds.
        data: what each row delivers, shape (rows,).
    """
    return sum_of([_of_group(form, world, data, g, law) for g, law in enumerate(world.laws)])


def believed(form: StandardForm, world: World, data: np.ndarray) -> list[Law]:
    """The same as a participant of each row believes it, its own data included, one law for each row."""
    if form.problem.belief == "ex-ante":
        place = np.unique(form.row, return_index=True)[1]
        return [believed_total(world.plain, data[form.row], int(i)) for i in place]
    everybody = [_of_group(form, world, data, g, law) for g, law in enumerate(world.laws)]
    others = []
    for g, law in enumerate(world.laws):
        rest = [law for h, law in enumerate(everybody) if h != g]
        others.append(sum_of([_of_group(form, world, data, g, law.others()), *rest]))
    return [others[g].shifted(float(own)) for g, own in zip(form.group, data, strict=True)]


def _of_group(form: StandardForm, world: World, data: np.ndarray, group: int, law: Turnout) -> Law:
    members = form.group == group
    draws = law.count if isinstance(law, FixedTurnout) else law
    return total_data(data[members], world.probabilities[members], draws)


def sum_of(laws: list[Law]) -> Law:
    """The law of the sum of independent amounts; of many atoms, gathered at their means."""
    total = laws[0]
    for law in laws[1:]:
        few = MOST_ATOMS // max(min(total.data.size, law.data.size), 1)
        total, law = gathered(total, few), gathered(law, few)
        data = np.add.outer(total.data, law.data).ravel()
        mass = np.multiply.outer(total.probabilities, law.probabilities).ravel()
        data, mass = merge(data, mass)
        total = Law(data=data, probabilities=mass, step=max(total.step, law.step))
    return total


def gathered(law: Law, most: int) -> Law:
    """A law of many atoms gathered in cells at their means, which errs to second order in the cells."""
    if law.data.size <= most:
        return law
    width = float(law.data[-1] - law.data[0]) * (1.0 + 1e-12) / most
    cell = ((law.data - law.data[0]) / width).astype(int)
    mass = np.bincount(cell, weights=law.probabilities)
    kept = mass > 0.0
    mean = np.bincount(cell, weights=law.probabilities * law.data)[kept] / mass[kept]
    return Law(data=mean, probabilities=mass[kept], step=max(law.step, width))
