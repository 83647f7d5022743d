r"""The convex program of one case, in units of its own, and the bound that its prices prove.

    maximise  weight * sum_w weight_w (top - E_w L) + S(u, t) + lift z
    s.t.      u_i + c_i x_i <= top_w - E_{i,w} L     for every served row i and world w,
              the linear constraints of the case (`contracts.problem.cases`), z >= 0.

For prices >= 0 the Lagrangian is concave, so its tangent at any point bounds every contract of the case:
whatever the solver did, `dual_bound` is right (but for rounding), and proofs are made of such prices.

Source: weak duality is textbook.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from contracts.problem.cases import EITHER, SERVED, STAYS, Asked, Case, linear_constraints
from contracts.problem.standard_form import StandardForm
from contracts.program.goals import Goal
from contracts.program.losses import worlds_of
from contracts.program.worlds import Expected, Idle, Worlds, derivatives, expected, idle
from contracts.proof.evidence import Mixtures

STEP = 0.7  # of the largest value over the mean cost: the unit of data
LONGEST = 40.0  # e^-40 of a loss is nothing


class Correction(NamedTuple):
    """What true expectations have beyond the mixtures', to first order around contributions.

    Attributes:
        around: the contributions, in the program's units, shape (rows,).
        value: of E_i L, shape (worlds, rows).
        value_slopes: by contributions, shape (worlds, rows, rows).
        target: of the target's loss.
        target_slopes: by contributions, shape (rows,).
    """

    around: np.ndarray
    value: np.ndarray
    value_slopes: np.ndarray
    target: float
    target_slopes: np.ndarray


class Setting(NamedTuple):
    """What all cases of a problem share. Attributes named `*_unit` are those of data, value and the objective.

    Attributes:
        form, goal, asked: the problem.
        mixtures: by which expectations are taken, in the user's units.
        worlds: the same in the program's.
        costs: in the program's units, shape (rows,).
        top: the least of the worlds' largest values, in the program's units: what nobody exceeds.
        correction: what the mixtures miss; None where nothing is corrected.
    """

    form: StandardForm
    goal: Goal
    asked: Asked
    mixtures: Mixtures
    worlds: Worlds
    costs: np.ndarray
    top: float
    data_unit: float
    value_unit: float
    unit: float
    correction: Correction | None = None


class Scaled(NamedTuple):
    """Linear constraints matrix @ (x, u, z) >= least in the program's units, the case's own ones first.

    Attributes:
        matrix: shape (constraints, 2 rows + 1); the last column is missing where there is no level.
        least: shape (constraints,).
        scale: by what each stated constraint was divided, in the user's units, shape (stated,).
        rank: which are to become bounds first (the lowest).
    """

    matrix: np.ndarray
    least: np.ndarray
    scale: np.ndarray
    rank: np.ndarray


class Point(NamedTuple):
    """A point and prices, in the user's units.

    Attributes:
        contribution, utility: shape (rows,).
        level: z.
        feasibility: shape (worlds, rows).
        linear: in the order of `linear_constraints`.
    """

    contribution: np.ndarray
    utility: np.ndarray
    level: float
    feasibility: np.ndarray
    linear: np.ndarray


def setting(form: StandardForm, goal: Goal, asked: Asked, mixtures: Mixtures) -> Setting:
    """Choose units, and write the worlds in them."""
    tops = [world.plain.largest_value for world in form.worlds]
    value_unit = max(tops)
    data_unit = STEP * value_unit / float(np.mean(form.costs))
    most = max(sum(float(law.mean) for law in world.laws) for world in form.worlds)
    slowest = mixtures.rates[mixtures.rates > 0].min(initial=np.inf)
    data_unit = min(data_unit, LONGEST / (most * float(slowest)))
    target = goal.unit / goal.weight if goal.weight > 0.0 else np.inf
    return Setting(
        form=form,
        goal=goal,
        asked=asked,
        mixtures=mixtures,
        worlds=worlds_of(form, mixtures, (data_unit, value_unit, target)),
        costs=form.costs * data_unit / value_unit,
        top=min(tops) / value_unit,
        data_unit=data_unit,
        value_unit=value_unit,
        unit=goal.unit,
    )


def expected_at(at: Setting, x: np.ndarray, silent: Idle) -> Expected:
    """All expected losses at contributions in the program's units, corrected where something is."""
    return corrected(at, x, expected(at.worlds, x, silent))


def corrected(at: Setting, x: np.ndarray, losses: Expected) -> Expected:
    """Expected losses of the mixtures with what they miss."""
    if at.correction is None:
        return losses
    more, change = at.correction, x - at.correction.around
    return losses._replace(
        target_loss=losses.target_loss + more.target + float(more.target_slopes @ change),
        value_loss=losses.value_loss + more.value + more.value_slopes @ change,
    )


def held_rows(case: Case) -> np.ndarray:
    """The rows that bring no data in any contract of the case."""
    return (case.high <= 0.0) | (case.service == STAYS)


def idle_of(at: Setting, case: Case) -> Idle:
    """What to take off the mixtures' losses in a case."""
    return idle(at.worlds, held_rows(case))


def box(at: Setting, case: Case) -> tuple[np.ndarray, np.ndarray]:
    """Bounds on (x, u, z) of every contract of a case, in the program's units: nobody pays more than it gets."""
    due = at.asked.due / at.value_unit
    either, stays = case.service == EITHER, case.service == STAYS
    most = np.maximum((at.top - due) / at.costs, 0.0)
    high = np.where(stays, 0.0, np.minimum(case.high / at.data_unit, most))
    low = np.where(stays, 0.0, case.low / at.data_unit)
    least = np.where(stays, 0.0, np.where(either, np.minimum(due, 0.0), due))
    u_high = np.where(stays, 0.0, np.maximum(at.top, least))
    lows, highs = [low, least], [np.maximum(high, low), u_high]
    if at.asked.level is not None:
        lows, highs = [*lows, np.zeros(1)], [*highs, np.array([_highest_level(at, case) / at.value_unit])]
    return np.concatenate(lows), np.concatenate(highs)


def _highest_level(at: Setting, case: Case) -> float:
    """The largest level of whoever is worst off; who stays out gains nothing, and has what it has outside."""
    form, level, objective = at.form, np.asarray(at.asked.level), at.goal.objective
    service = case.service[form.row]
    most = at.top * at.value_unit * form.relative - level
    outside = at.goal.alone if getattr(objective, "over", "") == "utility" else np.zeros(most.size)
    ends = np.select([service == SERVED, service == STAYS], [most, outside], np.maximum(most, outside))
    return max(float(ends.min()), 0.0)


def scaled_constraints(at: Setting, case: Case, *, boxed: bool = False) -> Scaled:
    """The case's linear constraints and what bounds the rest, in natural scale.

    Args:
        at: the setting.
        case: the case.
        boxed: whether to bound all rows by the box of all contracts, which follows where promises are kept.
    """
    linear = linear_constraints(at.form, case, at.asked)
    levelled, rows = at.asked.level is not None, at.form.rows
    parts = [linear.by_x * at.data_unit, linear.by_u * at.value_unit]
    if levelled:
        parts.append(linear.by_z[:, None] * at.value_unit)
    matrix = np.hstack(parts)
    # Slopes of the chain are counted in data, utilities and levels in units of value.
    of_data, of_value = np.abs(parts[0]).max(axis=1), np.abs(matrix[:, rows:]).max(axis=1)
    scale = np.where(of_data > 0.0, of_data, of_value)
    matrix, least = matrix / scale[:, None], linear.least / scale
    more, bounds = _unstated(at, case, matrix.shape[1], boxed)
    rank = np.concatenate([_rank(linear.by_x, linear.by_u, linear.by_z, least), np.full(bounds.size, 4.0)])
    return Scaled(np.vstack([matrix, more]), np.concatenate([least, bounds]), scale, rank)


def _unstated(at: Setting, case: Case, variables: int, boxed: bool) -> tuple[np.ndarray, np.ndarray]:
    """Bounds of the level z, and boxes around rows of which it is open whether they are served."""
    low, high = box(at, case)
    either = np.flatnonzero(np.tile(case.service == EITHER, 2))
    rows, least = [], []
    for k in np.flatnonzero(np.tile(case.service == SERVED, 2)) if boxed else ():
        rows.append(-np.eye(variables)[k])
        least.append(-high[k])
    for k in either:
        rows += [np.eye(variables)[k], -np.eye(variables)[k]]
        least += [low[k], -high[k]]
    if at.asked.level is not None:
        rows += [np.eye(variables)[-1], -np.eye(variables)[-1]]
        least += [0.0, -high[-1]]
    return np.array(rows).reshape(len(rows), variables), np.array(least)


def _rank(by_x: np.ndarray, by_u: np.ndarray, by_z: np.ndarray, least: np.ndarray) -> np.ndarray:
    """Incentives first (they bind together where types pool), then least contributions and utilities."""
    in_x, in_u = (by_x != 0.0).sum(axis=1), (by_u != 0.0).sum(axis=1)
    single = (in_x == 1) & (in_u == 0) & (by_x.sum(axis=1) > 0.0)
    rank = np.full(least.size, 6.0)
    rank[(in_u == 0) & (in_x == 2)] = 1.0
    rank[(in_u == 1) & (in_x == 0) & (by_u.sum(axis=1) > 0.0) & (by_z == 0.0)] = 3.0
    rank[single] = 2.0
    rank[(in_u == 2) & (in_x <= 1)] = 0.0
    # Of several least contributions of one row the largest is the bound.
    for i in np.flatnonzero(single):
        rivals = single & (by_x[:, int(np.argmax(by_x[i]))] > 0.0)
        if least[i] < least[rivals].max():
            rank[i] = 5.0
    return rank


def value_at(at: Setting, case: Case, contribution: np.ndarray, utility: np.ndarray, level: float) -> float:
    """The objective of the program at a point, all in the user's units."""
    losses = expected_at(at, contribution / at.data_unit, idle_of(at, case))
    loss = losses.target_loss
    reward = utility + at.form.costs * contribution
    social = at.goal.social(utility, reward, case.service) + at.goal.lift * level
    top = float(at.worlds.weight @ at.worlds.top_target)
    return (top - loss) * at.unit + social


def shortfall(at: Setting, case: Case, contribution: np.ndarray, utility: np.ndarray) -> float:
    """By how much promises exceed what can be given at most, in the user's units of value."""
    losses = expected_at(at, contribution / at.data_unit, idle_of(at, case))
    slack = at.worlds.top_value[:, None] - losses.value_loss
    slack = slack - (utility + at.form.costs * contribution) / at.value_unit
    return -float(slack[:, case.service == SERVED].min(initial=0.0)) * at.value_unit


def into_box(at: Setting, case: Case, point: Point) -> Point:
    """A point moved to where contracts of the case are; bounds by its prices stay right."""
    low, high = box(at, case)
    rows = at.form.rows
    moved = np.clip(
        np.concatenate([point.contribution / at.data_unit, point.utility / at.value_unit]),
        np.minimum(low, high)[: 2 * rows],
        high[: 2 * rows],
    )
    return point._replace(
        contribution=moved[:rows] * at.data_unit,
        utility=moved[rows:] * at.value_unit,
        level=max(point.level, 0.0) if at.asked.level is not None else 0.0,
    )


def dual_bound(at: Setting, case: Case, point: Point) -> float:
    """What no contract of a case exceeds by the objective, in the user's units."""
    served = case.service == SERVED
    x, u = point.contribution / at.data_unit, point.utility / at.value_unit
    y = np.where(served, point.feasibility, 0.0) * at.value_unit / at.unit
    losses = expected(at.worlds, x, idle_of(at, case))
    by = derivatives(at.worlds, losses, y, losses.target_loss)
    reward = point.utility + at.form.costs * point.contribution
    each = at.goal.slopes(point.utility, reward, case.service)
    by_t = each.by_reward * at.value_unit / at.unit
    by_u = each.by_utility * at.value_unit / at.unit
    slack = at.worlds.top_value[:, None] - losses.value_loss - (u + at.costs * x)
    priced = y.sum(axis=0)
    gradient_x = -by.gradient - np.einsum("wi,wij->j", y, by.jacobian) + at.costs * (by_t - priced)
    gradient_u = by_u + by_t - priced
    linear = linear_constraints(at.form, case, at.asked)
    w = point.linear / at.unit
    lagrangian = value_at(at, case, point.contribution, point.utility, point.level) / at.unit
    lagrangian += float((y * slack)[:, served].sum())
    v, z = [x, u], point.level
    excess = linear.by_x @ point.contribution + linear.by_u @ point.utility + linear.by_z * z - linear.least
    lagrangian += float(w @ excess)
    gradient = [gradient_x + at.data_unit * (w @ linear.by_x), gradient_u + at.value_unit * (w @ linear.by_u)]
    if at.asked.level is not None:
        v.append(np.array([z / at.value_unit]))
        gradient.append(np.array([(at.goal.lift / at.unit + w @ linear.by_z) * at.value_unit]))
    slope, here = np.concatenate(gradient), np.concatenate(v)
    low, high = box(at, case)
    change = np.where(slope > 0.0, slope * (high - here), slope * (low - here))
    return float(lagrangian + change.sum()) * at.unit
