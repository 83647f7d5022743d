"""The bound that a proof by cases gives (`contracts.proof.leaf_bound`), over balls.

Cases and the form of their linear constraints are those of floats. What these differ by from the exact ones is
bounded: outside options enter on the side that allows more contracts, and every cost, share and limit is
compared with the ball of what it stands for.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from contracts.problem.cases import Asked, Linear
from contracts.problem.objective import Rawlsian
from contracts.proof.intervals.ball import NotRigorous, ball, balls, largest, lower, upper
from contracts.proof.intervals.form_balls import FormBalls, by_cost
from contracts.proof.intervals.loss_balls import CrowdBalls, zeros
from contracts.proof.intervals.objective_balls import beside, weight_balls
from contracts.proof.leaf_bound import InWorld, Setting
from contracts.proof.losses import Losses
from contracts.proof.reached import Tangent

WIDER = 1e-12  # relative: by which boxes are widened, more than floats were rounded
CLOSE = 1e-13  # relative: how far floats may be from what they stand for
ROUNDED = 2.0**-46  # relative: what a few operations of floats miss


def asked_floats(form: FormBalls, outside: np.ndarray) -> Asked:
    """What problems ask, in floats on the side that allows more contracts."""
    problem, row = form.problem, form.form.row
    rows = form.form.rows
    margin = ball(problem.menu.participation_margin)
    due, stays, apart = np.full(rows, -np.inf), np.full(rows, np.inf), np.zeros(rows)
    preference = ball(problem.menu.preference_margin)
    for i, (alone, join, relative) in enumerate(zip(outside, form.joining, form.relative, strict=True)):
        least = lower((alone + join + margin) / relative)
        # Nobody who trains alone does worse than nothing, whatever the ball of it says.
        due[row[i]] = max(due[row[i]], least if problem.outside.utility is not None else max(least, 0.0))
        stays[row[i]] = min(stays[row[i]], upper((alone + join) / relative))
        apart[row[i]] = max(apart[row[i]], lower(preference / relative))
    level, aside = None, np.array([upper(f + j) for f, j in zip(outside, form.joining, strict=True)])
    if isinstance(problem.objective, Rawlsian):
        over = outside if problem.objective.over == "gain" else zeros(row.size)
        level = np.array([lower(j + f) for j, f in zip(form.joining, over, strict=True)])
    return Asked(due=due, stays=stays, margin=apart, level=level, aside=aside)


def _missed(form: FormBalls) -> float:
    """By how much costs, their differences and shares in floats may differ from the exact ones.

    Raises:
        NotRigorous: by more than rounding.
    """
    plain = form.form
    cost = [abs(ball(c) - exact) for c, exact in zip(plain.costs, form.costs, strict=True)]
    share = [abs(ball(r) - exact) for r, exact in zip(plain.relative, form.relative, strict=True)]
    off = max(upper(largest(cost, 0)) / plain.costs.max(), upper(largest(share, 0)) / plain.relative.max())
    if off > CLOSE or (np.array([upper(c) for c in cost]) > CLOSE * plain.costs).any():
        raise NotRigorous("the bound (effective costs are too far from what floats hold)")
    most = max(upper(largest(cost, 0)), upper(largest(share, 0)))
    return 4.0 * most + ROUNDED * float(max(plain.costs.max(), plain.relative.max(), 1.0))


def setting_balls(
    form: FormBalls,
    outside: np.ndarray,
    crowds: list[CrowdBalls],
    losses: list[Callable[[Any, Any, Any], Losses]],
    received: Callable[[np.ndarray], np.ndarray] | None = None,
) -> Setting:
    """What all cases of a proof have in common, over balls.

    Args:
        form: the standard form.
        outside: what each type gets by staying out, in own units, enclosed, shape (types,).
        crowds: who takes part in each world, by row.
        losses: below the losses of each world, as in `InWorld`.
        received: as in `Setting`.
    """
    plain, objective, miss = form.form, form.problem.objective, _missed(form)
    by_type = [
        crowd._replace(probabilities=by_cost(form, world), group=form.problem.population.group_of)
        for world, crowd in zip(form.worlds, crowds, strict=True)
    ]
    asked, top = asked_floats(form, outside), min(upper(world.worth.top_value) for world in form.worlds)
    size = np.maximum(np.abs(asked.due), abs(top)) * (1.0 + WIDER)
    goal = weight_balls(objective)

    def off(linear: Linear, high: np.ndarray) -> Any:
        amounts = (linear.by_x != 0.0).astype(int) @ balls(high * (1.0 + WIDER)) + (linear.by_u != 0.0).astype(
            int
        ) @ balls(size)
        return miss * amounts + ROUNDED * balls(np.abs(linear.least))

    def tangent(utility: np.ndarray, reward: np.ndarray) -> Tangent:
        found = [beside(objective, crowd, utility, reward, outside) for crowd in by_type]
        weights = [world.weight for world in form.worlds]
        return Tangent(
            *(
                sum(w * part for w, part in zip(weights, column, strict=True))
                for column in zip(*found, strict=True)
            )
        )

    return Setting(
        form=plain,
        asked=asked,
        top=top,
        costs=form.costs,
        relative=form.relative,
        joining=form.joining,
        outside=outside,
        worlds=[
            InWorld(goal * world.weight, below, crowd.tops, 0.0)
            for world, crowd, below in zip(form.worlds, crowds, losses, strict=True)
        ],
        likely=np.any([crowd.probabilities > 0 for crowd in by_type], axis=0),
        tangent=tangent,
        received=received,
        number=balls,
        off=off,
        wider=WIDER,
        upper=upper,
    )
