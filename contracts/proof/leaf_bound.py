r"""What no contract of a case exceeds, by weak duality, whatever the prices.

With prices y >= 0 of rows' rewards in every world and l >= 0 of the case's linear constraints the Lagrangian

    sum_w weight_w c E_w target + S(u, t) + z + sum_{i,w} y_{i,w} (T_{i,w}(x) - u_i - cost_i x_i)
        + l (A (x, u, z) - least)

is concave in contributions x, utilities u and the level z of who is worst off, so that its linearisation at any
point bounds the objective of every contract of the case; and each has 0 <= x_i <= (V - due_i)/cost_i and
due_i <= u_i <= V. Good prices leave nothing to be gained in that box.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from contracts.problem.cases import EITHER, SERVED, STAYS, Asked, Case, linear_constraints
from contracts.problem.standard_form import StandardForm
from contracts.proof.losses import Crowd, expected_losses
from contracts.proof.mixture_check import Exponentials
from contracts.proof.promises import largest_value
from contracts.proof.reached import levelled, outcomes_of, tangent, weight_of, worthless
from contracts.proof.soundness import ROUNDING, ProofRefused, inside, numbers, prices

NEAR = 1e-9  # of the largest value, or amount: a case is called empty by more only


class Setting(NamedTuple):
    """What all cases of a proof have in common.

    Attributes:
        form: the standard form.
        asked: what the linear constraints need.
        outside: what each type gets by staying out, in own units, shape (types,).
        crowds: who takes part in each world, by row.
        by_type: the same by type.
        mixtures: of each world.
        top: the largest value in the worst world: what nobody is promised more than.
    """

    form: StandardForm
    asked: Asked
    outside: np.ndarray
    crowds: list[Crowd]
    by_type: list[Crowd]
    mixtures: list[Exponentials]
    top: float


class Leaf(NamedTuple):
    """The point and the prices of a leaf, as the proof gives them."""

    contribution: np.ndarray
    utility: np.ndarray
    level: float
    feasibility: np.ndarray
    linear: np.ndarray


class Bound(NamedTuple):
    """What no contract exceeds, and how far off that may be, by errors of mixtures and by rounding."""

    value: float
    sensitivity: float = 0.0
    rounding: float = 0.0


class _Sum:
    """A Lagrangian at a point, its gradient, and the sums of the absolute terms of which both are made."""

    def __init__(self, rows: int):
        self.value, self.terms = 0.0, 0.0
        self.by_x, self.by_u, self.by_z = np.zeros(rows), np.zeros(rows), 0.0
        self.x_terms, self.u_terms, self.z_terms = np.zeros(rows), np.zeros(rows), 0.0


class _Box(NamedTuple):
    """Where the contributions and utilities of a case lie; who is served, and who brings nothing for certain."""

    low: np.ndarray
    high: np.ndarray
    served: np.ndarray
    nothing: np.ndarray


def leaf_bound(setting: Setting, case: Case, leaf: Leaf) -> Bound:
    """Bound the objective over all contracts of a case; -inf if it holds none.

    Raises:
        ProofRefused: a number of the leaf cannot be one of a proof.
    """
    box = _box(setting, case)
    constraints = linear_constraints(setting.form, case, setting.asked)
    rows, worlds = setting.form.rows, len(setting.crowds)
    y = prices("feasibility", leaf.feasibility, (worlds, rows)).copy()
    weights = prices("linear constraints", leaf.linear, constraints.least.shape)
    if box is None:
        return Bound(-np.inf)
    x, u, z = _point(setting, case, leaf)
    x, u = np.where(box.nothing, 0.0, x), np.where(box.served, u, 0.0)
    y[:, ~box.served] = 0.0  # nothing is promised to whoever may be left out
    total = _Sum(rows)
    sensitivity = sum(_add_world(total, setting, k, x, u, y[k], box.nothing) for k in range(worlds))
    total.value += float(
        weights @ (constraints.by_x @ x + constraints.by_u @ u + constraints.by_z * z - constraints.least)
    )
    sizes = (
        np.abs(constraints.by_x) @ np.abs(x)
        + np.abs(constraints.by_u) @ np.abs(u)
        + np.abs(constraints.by_z * z)
    )
    total.terms += float(weights @ (sizes + np.abs(constraints.least)))
    total.by_x += weights @ constraints.by_x
    total.by_u += weights @ constraints.by_u
    total.by_z += float(weights @ constraints.by_z)
    total.x_terms += weights @ np.abs(constraints.by_x)
    total.u_terms += weights @ np.abs(constraints.by_u)
    total.z_terms += float(weights @ np.abs(constraints.by_z))
    beside = _add_objective(total, setting, case, x, u, z)
    if beside == -np.inf:
        return Bound(-np.inf)
    value, terms = _largest(total, setting, case, box, x, u, z)
    return Bound(value + beside, float(sensitivity), ROUNDING * (terms + abs(beside)))


def _box(setting: Setting, case: Case) -> _Box | None:
    """Where a contract of the case is; None if there is none."""
    due, costs, top = setting.asked.due, setting.form.costs, setting.top
    served, stays = case.service == SERVED, case.service == STAYS
    low = np.maximum(case.low, 0.0)
    high = np.where(stays, 0.0, np.minimum(case.high, np.maximum(top - due, 0.0) / costs))
    if (served & (due > top + NEAR * abs(top))).any() or (low > high + NEAR * np.maximum(high, low)).any():
        return None
    high = np.maximum(high, low)
    return _Box(low, high, served, high <= 0.0)


def _point(setting: Setting, case: Case, leaf: Leaf) -> tuple[np.ndarray, np.ndarray, float]:
    """The point of a leaf, within what any contract has."""
    rows, due, top = setting.form.rows, setting.asked.due, setting.top
    x = numbers("contributions of the proof", leaf.contribution, (rows,))
    u = numbers("utilities of the proof", leaf.utility, (rows,))
    z = float(numbers("levels of the proof", leaf.level, ()))
    served = case.service == SERVED
    high = np.maximum(top - due, 0.0) / setting.form.costs
    x = np.where(
        case.service == STAYS,
        0.0,
        inside("a contribution", np.where(served, x, np.clip(x, 0, high)), np.zeros(rows), high),
    )
    u = np.where(served, inside("a utility", np.where(served, u, due), due, np.maximum(top, due)), 0.0)
    return x, u, z


def _add_world(
    total: _Sum, setting: Setting, k: int, x: np.ndarray, u: np.ndarray, y: np.ndarray, nothing: np.ndarray
) -> float:
    """The coordinator's part and the priced rewards of one world; returns how mixtures' errors matter."""
    crowd, mixture, costs = setting.crowds[k], setting.mixtures[k], setting.form.costs
    weight = weight_of(setting.form) * setting.form.worlds[k].weight
    losses = expected_losses(crowd, mixture.rates, mixture.target_weights, mixture.value_weights, x, nothing, y)
    value, target = crowd.plain.largest_value, crowd.plain.largest_target
    total.value += weight * (target - losses.target) + float(y @ (value - losses.value - costs * x - u))
    total.terms += weight * (target + abs(losses.target))
    total.terms += float(y @ (value + np.abs(losses.value) + costs * x + np.abs(u)))
    total.by_x -= weight * losses.target_by_x + losses.priced_by_x + y * costs
    total.x_terms += weight * np.abs(losses.target_by_x) + np.abs(losses.priced_by_x) + y * costs
    total.by_u -= y
    total.u_terms += y
    return weight * max(target, float(mixture.target_weights.sum())) + float(y.sum()) * value


def _add_objective(total: _Sum, setting: Setting, case: Case, x: np.ndarray, u: np.ndarray, z: float) -> float:
    """S linearised; what it may change by types that may stay out is returned."""
    form, objective = setting.form, setting.form.problem.objective
    if objective is None:
        return 0.0
    if levelled(form):
        total.value += z
        total.terms += abs(z)
        total.by_z += 1.0
        total.z_terms += 1.0
        return 0.0
    row, relative, costs = form.row, form.relative, form.costs
    joining = np.broadcast_to(np.asarray(form.problem.outside.joining_cost, dtype=float), row.shape)
    service = case.service[row]
    least, most = relative * setting.asked.due[row] - joining, relative * setting.top - joining
    utility = np.select(
        [service == SERVED, service == STAYS], [relative * u[row] - joining, setting.outside], most
    )
    reward = np.where(service == SERVED, u[row] + costs[row] * x[row], 0.0)
    outcomes = outcomes_of(utility, reward, setting.outside, setting.by_type)
    if worthless(form, service == STAYS, outcomes):
        return -np.inf
    slope = tangent(form, outcomes)
    served = np.where(service == SERVED, 1.0, 0.0)
    total.value += slope.value
    total.terms += abs(slope.value)
    for own, by_u, by_x in (
        (served * relative, slope.by_utility, None),
        (served, slope.by_reward, costs[row]),
    ):
        np.add.at(total.by_u, row, own * by_u)
        np.add.at(total.u_terms, row, own * np.abs(by_u))
        if by_x is not None:
            np.add.at(total.by_x, row, own * by_u * by_x)
            np.add.at(total.x_terms, row, own * np.abs(by_u) * by_x)
    either = service == EITHER
    ends = np.minimum(least, setting.outside), np.maximum(most, setting.outside)
    change = np.max([slope.by_utility * (end - utility) for end in ends], axis=0)
    change = change + np.maximum(slope.by_reward * setting.top, 0.0)
    return float(change[either].sum())


def _largest(
    total: _Sum, setting: Setting, case: Case, box: _Box, x: np.ndarray, u: np.ndarray, z: float
) -> tuple[float, float]:
    """The largest value of the linearised Lagrangian, and the sum of its absolute terms."""
    due, top = setting.asked.due, setting.top
    changes = [(total.by_x, total.x_terms, box.low - x, box.high - x)]
    served = box.served
    low, high = np.where(served, due - u, 0.0), np.where(served, np.maximum(top, due) - u, 0.0)
    changes.append((total.by_u * served, total.u_terms * served, low, high))
    least, most = _levels(setting, case)
    changes.append((np.array(total.by_z), np.array(total.z_terms), np.array(least - z), np.array(most - z)))
    value, terms = total.value, total.terms
    for slope, sizes, down, up in changes:
        value += float(np.maximum(slope * down, slope * up).sum())
        terms += float((sizes * np.maximum(np.abs(down), np.abs(up))).sum())
    return value, terms


def _levels(setting: Setting, case: Case) -> tuple[float, float]:
    """The least and the largest level of who is worst off."""
    level, form = setting.asked.level, setting.form
    if level is None:
        return 0.0, 0.0
    row, service = form.row, case.service[form.row]
    most = form.relative * setting.top - level
    outside = setting.outside if form.problem.objective.over == "utility" else np.zeros(row.size)  # type: ignore[union-attr]
    least = np.minimum(
        form.relative * setting.asked.due[row] - level, np.where(service == SERVED, np.inf, outside)
    )
    ends = np.select([service == SERVED, service == STAYS], [most, outside], np.maximum(most, outside))
    return min(0.0, float(least.min())), max(float(ends.min()), 0.0)


def lowest_top(form: StandardForm) -> float:
    """The largest value in the world where it is least: what nobody can be promised more than."""
    top = min(world.plain.largest_value for world in form.worlds)
    if not 0.0 < top <= largest_value(form):
        raise ProofRefused("the largest value is no positive number")
    return top
