"""Problems compiled for tests of programs, and a bound of its own by automatic differentiation."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from contracts.problem.cases import SERVED, Asked, linear_constraints
from contracts.problem.objective import Outcome, Rawlsian
from contracts.problem.participants import Poisson
from contracts.problem.reservation import reservation
from contracts.problem.standard_form import standard_form
from contracts.program.case_program import box, held_rows, setting
from contracts.program.goals import goal_of
from contracts.program.losses import losses_of


def asked_of(form, outside):
    """What the linear constraints need, from the problem."""
    problem, types = form.problem, form.row.size
    joining = np.broadcast_to(np.asarray(problem.outside.joining_cost, dtype=float), (types,))
    stays, margin = np.full(form.rows, np.inf), np.zeros(form.rows)
    np.minimum.at(stays, form.row, (outside + joining) / form.relative)
    np.maximum.at(margin, form.row, problem.menu.preference_margin / form.relative)
    level = None
    if isinstance(problem.objective, Rawlsian):
        level = joining + (outside if problem.objective.over == "gain" else 0.0)
    return Asked(due=form.due(outside), stays=stays, margin=margin, level=level)


def outside_of(form):
    """What each type gets by staying out (nobody shades, nor has capacities that bind alone)."""
    given = form.problem.outside.utility
    if given is not None:
        return np.broadcast_to(np.asarray(given, dtype=float), (form.row.size,))
    return form.relative * np.max([reservation(world.plain).utility for world in form.worlds], axis=0)


def compiled(problem):
    """Form, what is asked, outside utilities, and the setting of the program as solved."""
    form = standard_form(problem)
    outside = outside_of(form)
    asked = asked_of(form, outside)
    losses = losses_of(form, float(min(asked.due.min(), 0.0)))
    return form, asked, outside, setting(form, goal_of(form, outside), asked, losses.solved)


def generating(law):
    if isinstance(law, Poisson):
        return lambda z: jnp.exp(law.mean * (z - 1.0))
    return lambda z: z**law.count


def independent_bound(at, case, point):
    """The tangent of the Lagrangian at the point, largest over the box of all contracts, in the user's units."""
    form, asked, goal = at.form, at.asked, at.goal
    linear = linear_constraints(form, case, asked)
    served, held = case.service == SERVED, held_rows(case)
    rates = at.mixtures.rates

    def lagrangian(v):
        x, u = v[: form.rows], v[form.rows : 2 * form.rows]
        z = v[2 * form.rows] if asked.level is not None else 0.0
        total = goal.lift * z
        for k, world in enumerate(form.worlds):
            p, w = world.probabilities, world.weight
            groups = range(len(world.laws))
            members = [np.flatnonzero(form.group == g) for g in groups]
            phi = [jnp.exp(-rates[:, None] * x[m]) @ p[m] for m in members]
            none = [float((p[m] * held[m]).sum()) for m in members]
            all_of = [generating(law) for law in world.laws]
            others = [generating(law.others()) for law in world.laws]
            top = world.plain.largest_target
            joint = jnp.prod(jnp.stack([f(q) for f, q in zip(all_of, phi, strict=True)]), axis=0)
            nobody = np.prod([float(f(q)) for f, q in zip(all_of, none, strict=True)])
            weights = at.mixtures.target_weights[k]
            loss = weights @ joint - nobody * (weights.sum() - top)
            total += goal.weight * w * (top - loss)
            weights, top = at.mixtures.value_weights[k], world.plain.largest_value
            for i in np.flatnonzero(served):
                g = int(form.group[i])
                seen = others[g](phi[g])
                idle = float(others[g](none[g])) if held[i] else 0.0
                for h in groups:
                    if h != g:
                        seen = seen * all_of[h](phi[h])
                        idle *= float(all_of[h](none[h]))
                mean = weights @ (jnp.exp(-rates * x[i]) * seen) - idle * (weights.sum() - top)
                total += point.feasibility[k, i] * (top - mean - u[i] - form.costs[i] * x[i])
        if goal.curved:
            for k, world in enumerate(form.worlds):
                own = form.relative * u[form.row] - form.problem.outside.joining_cost
                reward = (u + form.costs * x)[form.row]
                outcome = (own, reward, goal.alone, goal.shares[k], goal.means[k])
                total += world.weight * goal.objective.formula(Outcome(*outcome), jnp)
        return total + point.linear @ (linear.by_x @ x + linear.by_u @ u + linear.by_z * z - linear.least)

    parts = [point.contribution, point.utility]
    unit = np.repeat([at.data_unit, at.value_unit], form.rows)
    if asked.level is not None:
        parts, unit = [*parts, [point.level]], np.append(unit, at.value_unit)
    here = np.concatenate(parts)
    with jax.enable_x64(True):
        value, slope = jax.value_and_grad(lagrangian)(jnp.asarray(here))
    low, high = (end * unit for end in box(at, case))
    slope = np.asarray(slope)
    return float(value) + float(np.maximum(slope * (low - here), slope * (high - here)).sum())


@pytest.fixture(name="compiled")
def compiled_fixture():
    return compiled


@pytest.fixture(name="independent_bound")
def independent_bound_fixture():
    return independent_bound
