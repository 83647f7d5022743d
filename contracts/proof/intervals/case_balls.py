"""The bound that a proof by cases gives (`contracts.proof.leaf_bound`), over balls.

Cases and the form of their linear constraints are those of floats. What these differ by from the exact ones is
bounded: outside options enter on the side that allows more contracts, and every cost, share and limit is
compared with the ball of what it stands for.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from flint import arb

from contracts.problem.cases import EITHER, SERVED, STAYS, Asked, Case, Linear, linear_constraints
from contracts.problem.objective import NashBargaining, Rawlsian
from contracts.proof import leaf_bound as floats
from contracts.proof.evidence import Cases
from contracts.proof.intervals.ball import NotRigorous, ball, balls, largest, lower, upper, where
from contracts.proof.intervals.form_balls import FormBalls
from contracts.proof.intervals.loss_balls import CrowdBalls, expected_losses, idle_chances, zeros
from contracts.proof.intervals.objective_balls import beside, weight_balls
from contracts.proof.intervals.relaxation_balls import Below
from contracts.proof.leaves import in_lots, leaves_of, too_many_options
from contracts.proof.soundness import ProofRefused, prices

WIDER = 1e-12  # relative: by which boxes are widened, more than floats were rounded
CLOSE = 1e-13  # relative: how far floats may be from what they stand for
ROUNDED = 2.0**-46  # relative: what a few operations of floats miss


class Exact(NamedTuple):
    """What all cases have in common.

    Attributes:
        form: the standard form.
        setting: the same in floats: for boxes and the form of constraints.
        outside: what each type gets by staying out, in own units, enclosed, shape (types,).
        crowds, by_type: who takes part in each world, by row and by type.
        losses: below the losses of each world.
        miss: by which entries of linear constraints may be wrong.
    """

    form: FormBalls
    setting: floats.Setting
    outside: np.ndarray
    crowds: list[CrowdBalls]
    by_type: list[CrowdBalls]
    losses: list[Below]
    miss: float


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


def missed(form: FormBalls) -> float:
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


def bound_by_cases(exact: Exact, cases: Cases, *, stay: bool) -> Any:
    """A ball whose upper end no contract's objective exceeds.

    Raises:
        ProofRefused: the proof is none.
    """
    form = exact.form.form
    leaves = leaves_of(form, cases, stay=stay)
    columns = cases.contribution, cases.utility, cases.level, cases.feasibility, cases.linear
    if any(len(column) != len(leaves) for column in columns):
        raise ProofRefused("the proof has not as many prices as cases")
    best = -np.inf
    for case, *numbers_of in zip(leaves, *columns, strict=True):
        bound = _leaf(exact, in_lots(form, case), floats.Leaf(*numbers_of))
        if bound is not None and not too_many_options(form, case, exact.setting.asked.due):
            best = max(best, upper(bound))
    return best


def _leaf(exact: Exact, case: Case, leaf: floats.Leaf) -> Any | None:
    """A bound of the objective over a case; None if it holds no contract."""
    setting, form = exact.setting, exact.form.form
    rows, worlds = form.rows, len(exact.crowds)
    constraints = linear_constraints(form, case, setting.asked)
    y = prices("feasibility", leaf.feasibility, (worlds, rows)).copy()
    weights = prices("linear constraints", leaf.linear, constraints.least.shape)
    x, u, z = floats._point(setting, case, leaf)
    box = floats._box(setting, case)
    if box is None:
        return None
    x, u = np.where(box.nothing, 0.0, x), np.where(box.served, u, 0.0)
    y[:, ~box.served] = 0.0
    sums = _Sums(rows)
    for k in range(worlds):
        sums.add_world(exact, k, balls(x), balls(u), balls(y[k]), box.nothing)
    high = box.high * (1.0 + WIDER)
    sums.add_linear(exact, constraints, weights, (x, u, z), high)
    if not sums.add_objective(exact, case, x, u, z):
        return None
    return sums.largest(exact, case, box, high, (x, u, z))


class _Sums:
    """A Lagrangian at a point and its gradient, balls."""

    def __init__(self, rows: int):
        self.value, self.by_x, self.by_u, self.by_z = arb(0), zeros(rows), zeros(rows), arb(0)

    def add_world(
        self, exact: Exact, k: int, x: np.ndarray, u: np.ndarray, y: np.ndarray, nothing: np.ndarray
    ) -> None:
        world, crowd, losses, costs = exact.form.worlds[k], exact.crowds[k], exact.losses[k], exact.form.costs
        weight = weight_balls(exact.form.problem.objective) * world.weight
        mixture, worth = losses.mixture, world.worth
        idle, idle_each = idle_chances(crowd, nothing)
        found = expected_losses(crowd, mixture, x, y)
        target = found.target - idle * (mixture.target.sum() - worth.top_target) - losses.left_target
        value = found.value - idle_each * (mixture.value.sum() - worth.top_value) - losses.left_value
        self.value = self.value + weight * (worth.top_target - target)
        self.value = self.value + (y * (worth.top_value - value - costs * x - u)).sum()
        self.by_x = self.by_x - weight * found.target_by_x - found.priced_by_x - y * costs
        self.by_u = self.by_u - y

    def add_linear(
        self, exact: Exact, constraints: Linear, weights: np.ndarray, point: tuple, high: np.ndarray
    ) -> None:
        """Priced constraints, and what they may be wrong by anywhere in the box."""
        x, u, z = point
        setting = exact.setting
        size = np.maximum(np.abs(setting.asked.due), abs(setting.top)) * (1.0 + WIDER)
        for k in np.flatnonzero(weights):
            price, total, off = arb(weights[k]), -arb(constraints.least[k]), arb(abs(constraints.least[k]))
            off = off * ROUNDED
            for j in np.flatnonzero(constraints.by_x[k]):
                entry = arb(constraints.by_x[k, j])
                total, off = total + entry * arb(x[j]), off + arb(exact.miss) * arb(high[j])
                self.by_x[j] = self.by_x[j] + price * entry
            for j in np.flatnonzero(constraints.by_u[k]):
                entry = arb(constraints.by_u[k, j])
                total, off = total + entry * arb(u[j]), off + arb(exact.miss) * arb(size[j])
                self.by_u[j] = self.by_u[j] + price * entry
            entry = arb(constraints.by_z[k])
            self.by_z = self.by_z + price * entry
            self.value = self.value + price * (total + entry * arb(z) + off)

    def add_objective(self, exact: Exact, case: Case, x: np.ndarray, u: np.ndarray, z: float) -> bool:
        """S linearised; whether contracts of the case are worth anything."""
        form, objective = exact.form, exact.form.problem.objective
        if objective is None:
            return True
        if isinstance(objective, Rawlsian):
            self.value, self.by_z = self.value + arb(z), self.by_z + 1
            return True
        row, relative, joining = form.form.row, form.relative, form.joining
        service, asked, top = case.service[row], exact.setting.asked, arb(exact.setting.top)
        if isinstance(objective, NashBargaining) and any(
            (crowd.probabilities[i] > 0) for crowd in exact.by_type for i in np.flatnonzero(service == STAYS)
        ):
            return False
        served, stays = service == SERVED, service == STAYS
        at_u, at_x = balls(u)[row], balls(x)[row]
        least, most = relative * balls(asked.due)[row] - joining, relative * top - joining
        utility = where(served, relative * at_u - joining, where(stays, exact.outside, most))
        reward = where(served, at_u + form.costs[row] * at_x, arb(0))
        for world, crowd in zip(form.worlds, exact.by_type, strict=True):
            found = beside(objective, crowd, utility, reward, exact.outside)
            self.value = self.value + world.weight * found.value
            for i in range(row.size):
                by_u, by_t = world.weight * found.by_utility[i], world.weight * found.by_reward[i]
                if served[i]:
                    self.by_u[row[i]] = self.by_u[row[i]] + relative[i] * by_u + by_t
                    self.by_x[row[i]] = self.by_x[row[i]] + by_t * form.costs[row[i]]
                elif service[i] == EITHER:
                    ends = [arb.min(least[i], exact.outside[i]), arb.max(most[i], exact.outside[i])]
                    change = arb.max(by_u * (ends[0] - utility[i]), by_u * (ends[1] - utility[i]))
                    self.value = self.value + change + arb.max(by_t * top, arb(0))
        return True

    def largest(self, exact: Exact, case: Case, box: Any, high: np.ndarray, point: tuple) -> Any:
        """The largest value over the box, widened."""
        x, u, z = point
        due, top = exact.setting.asked.due, exact.setting.top
        wide = WIDER * max(abs(top), float(np.abs(due).max()))
        found = self.value
        low = box.low * (1.0 - WIDER)
        for j in range(x.size):
            found = found + _most(self.by_x[j], arb(low[j]) - arb(x[j]), arb(high[j]) - arb(x[j]))
            if box.served[j]:
                ends = arb(due[j]) - arb(u[j]) - wide, arb(max(top, due[j])) - arb(u[j]) + wide
                found = found + _most(self.by_u[j], *ends)
        least, most = floats._levels(exact.setting, case)
        slack = 1e-9 * max(abs(least), abs(most), abs(top)) if exact.setting.asked.level is not None else 0.0
        return found + _most(self.by_z, arb(least) - slack - arb(z), arb(most) + slack - arb(z))


def _most(slope: Any, down: Any, up: Any) -> Any:
    return arb.max(slope * down, slope * up)


def float_setting(form: FormBalls, outside: np.ndarray) -> floats.Setting:
    """The setting of all cases in floats."""
    tops = [upper(world.worth.top_value) for world in form.worlds]
    asked = asked_floats(form, outside)
    ends = np.array([upper(f) for f in outside])
    return floats.Setting(form.form, asked, ends, [], [], [], min(tops))
