r"""What no contract of a case exceeds, by weak duality, whatever the prices.

With prices y >= 0 of rows' rewards in every world and l >= 0 of the case's linear constraints the Lagrangian

    sum_w weight_w c E_w target + S(u, t) + z + sum_{i,w} y_{i,w} (T_{i,w}(x) - u_i - cost_i x_i)
        + l (A (x, u, z) - least)

is concave in contributions x, utilities u and the level z of who is worst off, so that its linearisation at any
point bounds the objective of every contract of the case. So do linearisations of its parts at several points,
the prices shared among these; and each contract has 0 <= x_i <= (V - due_i)/cost_i and due_i <= u_i <= V. Good
prices leave nothing to be gained in that box.

The formulas are those of floats and of balls (`contracts.proof.intervals.case_balls`). Boxes, and the form of
linear constraints, are floats in both; what balls allow for that is in the setting.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from contracts.problem.cases import EITHER, SERVED, STAYS, Asked, Case, Linear, linear_constraints
from contracts.problem.narrowing import narrowed
from contracts.problem.objective import NashBargaining
from contracts.problem.standard_form import StandardForm
from contracts.proof.arithmetic import larger, smaller
from contracts.proof.losses import Losses
from contracts.proof.promises import largest_value
from contracts.proof.reached import Tangent, levelled
from contracts.proof.soundness import ROUNDING, ProofRefused, inside, numbers, prices

NEAR = 1e-9  # of the largest value, or amount: a case is called empty by more only
SPARE = 1e-10  # of the largest amount: more than costs, and what is received, are rounded
SETTLED = 1e-5
LEVELS = 1e3  # widenings of boxes: that of levels, which come of several amounts
MOST_POINTS = 1000  # of a leaf: what rounding is allowed for is that of sums of some thousand terms


class InWorld(NamedTuple):
    """One world of a proof.

    Attributes:
        weight: of the coordinator's target there.
        losses: expected ones by contributions, by the box of the case, and by prices; convex there.
        tops: the largest target and the largest value.
        start: the loss of the target without data, by the mixture.
    """

    weight: Any
    losses: Callable[[Any, Box, Any], Losses]
    tops: tuple[Any, Any]
    start: Any


class Setting(NamedTuple):
    """What all cases of a proof have in common.

    Attributes:
        form: the standard form: its rows and its cases.
        asked: what the linear constraints need, floats.
        top: the largest value in the worst world: what nobody is promised more than.
        costs: of the rows, shape (rows,).
        relative, joining, outside: of each type, what one unit of rows is worth to it, what joining costs it and
            what it gets by staying out, in own units, shape (types,).
        worlds: all of them.
        likely: which types may occur, shape (types,).
        received: what rows are given at most, in the worst world, where they bring the most, shape (rows,) in
            and out; None where boxes stay as they are.
        tangent: S linearised at utilities in own units and rewards in units of rows, shape (types,).
        number: floats as what is computed with.
        off: by how much linear constraints may be wrong on a box of such contributions.
        wider: by how much boxes are widened, relative.
        upper: what a bound is at most, if it is one of balls.
    """

    form: StandardForm
    asked: Asked
    top: float
    costs: Any
    relative: Any
    joining: Any
    outside: Any
    worlds: list[InWorld]
    likely: np.ndarray
    tangent: Callable[[Any, Any], Tangent]
    received: Callable[[np.ndarray], np.ndarray] | None = None
    number: Callable[[np.ndarray], Any] = np.asarray
    off: Callable[[Linear, np.ndarray], Any] = lambda linear, _: 0.0 * linear.least
    wider: float = 0.0
    upper: Callable[[Any], float] | None = None


def by_mixture(losses: Callable[..., Losses]) -> Callable[[Any, Box, Any], Losses]:
    """Losses by contributions, by who brings nothing for certain, and by prices, as those of a box."""
    return lambda x, box, y: losses(x, box.nothing, y)


class Leaf(NamedTuple):
    """The points and the prices of a leaf, as the proof gives them.

    Attributes:
        contribution, utility: shape (points, rows).
        level: shape (points,).
        feasibility: shape (points, worlds, rows).
        share: what the objective counts at each point, shape (points,).
        linear: of the linear constraints.
    """

    contribution: np.ndarray
    utility: np.ndarray
    level: np.ndarray
    feasibility: np.ndarray
    share: np.ndarray
    linear: np.ndarray


class Bound(NamedTuple):
    """What no contract exceeds, and how far off that may be, by errors of mixtures and by rounding."""

    value: float
    sensitivity: float = 0.0
    rounding: float = 0.0


class _Part(NamedTuple):
    """A part of a Lagrangian at a point, its gradient, and the absolute terms of which they are made."""

    value: Any
    terms: Any
    by_x: Any = 0.0
    x_terms: Any = 0.0
    by_u: Any = 0.0
    u_terms: Any = 0.0
    by_z: Any = 0.0
    z_terms: Any = 0.0


class Box(NamedTuple):
    """Where the contributions and utilities of a case lie; who is served, and who brings nothing for certain."""

    low: np.ndarray
    high: np.ndarray
    served: np.ndarray
    nothing: np.ndarray


class _Point(NamedTuple):
    """Where the Lagrangian is linearised."""

    x: Any
    u: Any
    z: Any


def leaf_bound(setting: Setting, case: Case, leaf: Leaf) -> Bound:
    """An upper bound of the objective over all contracts of a case; -inf if it holds none.

    Raises:
        ProofRefused: a number of the leaf cannot be one of a proof.
    """
    points, form = len(leaf.contribution), setting.form
    box = _box(setting, case)
    constraints = linear_constraints(form, case, setting.asked)
    y = prices("feasibility", leaf.feasibility, (points, len(setting.worlds), form.rows)).copy()
    weights = prices("linear constraints", leaf.linear, constraints.least.shape)
    share = _shares(leaf.share, points)
    if box is None:
        return Bound(-np.inf)
    y[:, :, ~box.served] = 0.0  # nothing is promised to whoever may be left out
    counted = setting.number(share)
    at = [_point(setting, case, box, leaf, k) for k in range(points)]
    beside = [part for point in at if (part := _beside(setting, case, point)) is not None]
    if len(beside) < points:
        return Bound(-np.inf)
    parts, sensitivity = [_linear(setting, constraints, weights, at[0], box)], 0.0
    for point, part, each, one in zip(at, beside, y, counted / counted.sum(), strict=True):
        parts.append(_moved(_Part(*(one * number for number in part)), point, at[0]))
        for world, of_world in zip(setting.worlds, each, strict=True):
            priced = setting.number(of_world)
            parts.append(_moved(_world(setting, world, point, box, priced, one), point, at[0]))
            if setting.upper is None:
                top = world.weight * one * max(world.tops[0], world.start)
                sensitivity += float(top + priced.sum() * world.tops[1])
    total = _Part(*(sum(column) for column in zip(*parts, strict=True)))
    value, terms = _largest(setting, case, box, at[0], total)
    if setting.upper is not None:
        return Bound(setting.upper(value))
    return Bound(float(value), sensitivity, float(ROUNDING * terms))


def _shares(values: Any, points: int) -> np.ndarray:
    """What points count, the largest one; so that no sum of them is too large for a float."""
    if points > MOST_POINTS:
        raise ProofRefused(f"a case of the proof has more than {MOST_POINTS} points")
    share = prices("points", values, (points,))
    if not share.max() > 0.0:
        raise ProofRefused("the points of the proof count nothing")
    return share / share.max()


def _moved(part: _Part, point: _Point, to: _Point) -> _Part:
    """A linear function given at a point, given at another."""
    if point is to:
        return part
    value, terms = part.value, part.terms
    pairs = zip(
        (part.by_x, part.by_u, part.by_z), (part.x_terms, part.u_terms, part.z_terms), point, to, strict=True
    )
    for slope, sizes, here, there in pairs:
        value = value + np.sum(slope * (there - here))
        terms = terms + np.sum(sizes * (abs(there) + abs(here)))
    return part._replace(value=value, terms=terms)


def _box(setting: Setting, case: Case) -> Box | None:
    """Where a contract of the case is; None if there is none."""
    due, costs, top = setting.asked.due, setting.form.costs, setting.top
    served, stays = case.service == SERVED, case.service == STAYS
    low = np.maximum(case.low, 0.0)
    high = np.where(stays, 0.0, np.minimum(case.high, np.maximum(top - due, 0.0) / costs))
    if (served & (due > top + NEAR * abs(top))).any() or (low > high + NEAR * np.maximum(high, low)).any():
        return None
    high = np.maximum(high, low)
    if setting.received is not None:
        spare = SPARE * max(abs(top), float(np.abs(due).max()))
        found = narrowed(setting.form, case, setting.asked, top, setting.received, spare=spare, settled=SETTLED)
        if found is None:
            return None
        low, high = found
    return Box(low, high, served, high <= 0.0)


def _point(setting: Setting, case: Case, box: Box, leaf: Leaf, k: int) -> _Point:
    """A point of a leaf, within what any contract has."""
    rows, due, top = setting.form.rows, setting.asked.due, setting.top
    x = numbers("contributions of the proof", leaf.contribution[k], (rows,))
    u = numbers("utilities of the proof", leaf.utility[k], (rows,))
    z = numbers("levels of the proof", leaf.level[k], ())
    high = np.maximum(top - due, 0.0) / setting.form.costs
    x = np.where(box.served, x, np.clip(x, 0, high))
    x = inside("a contribution", x, np.zeros(rows), high)
    u = inside("a utility", np.where(box.served, u, due), due, np.maximum(top, due))
    x = np.where((case.service == STAYS) | box.nothing, 0.0, x)
    number = setting.number
    return _Point(number(x), number(np.where(box.served, u, 0.0)), number(z[None])[0])


def _world(setting: Setting, world: InWorld, at: _Point, box: Box, y: Any, share: Any) -> _Part:
    """A share of the coordinator's part, and the priced rewards, of one world."""
    (target, value), costs, weight = world.tops, setting.costs, world.weight * share
    found = world.losses(at.x, box, y)
    return _Part(
        weight * (target - found.target) + (y * (value - found.value - costs * at.x - at.u)).sum(),
        weight * (target + found.terms)
        + (y * (value + abs(found.value) + found.value_terms + costs * at.x + abs(at.u))).sum(),
        -weight * found.target_by_x - found.priced_by_x - y * costs,
        weight * abs(found.target_by_x) + abs(found.priced_by_x) + y * costs,
        -y,
        y,
    )


def _linear(setting: Setting, constraints: Linear, weights: np.ndarray, at: _Point, box: Box) -> _Part:
    """The priced constraints, and what they may be wrong by anywhere in the box."""
    by_x, by_u, by_z, least = linear = Linear(*(part[weights > 0.0] for part in constraints))
    price = setting.number(weights[weights > 0.0])
    slack = by_x @ at.x + by_u @ at.u + by_z * at.z - least + setting.off(linear, box.high)
    size = abs(by_x) @ abs(at.x) + abs(by_u) @ abs(at.u) + abs(by_z * at.z) + abs(least)
    slopes = [part for column in (by_x, by_u, by_z) for part in (price @ column, price @ abs(column))]
    return _Part((price * slack).sum(), (price * size).sum(), *slopes)


def _beside(setting: Setting, case: Case, at: _Point) -> _Part | None:
    """S linearised, with what it may change by types that may stay out; None if the case is worth nothing."""
    form, objective, joining = setting.form, setting.form.problem.objective, setting.joining
    if objective is None:
        return _Part(0.0, 0.0)
    if levelled(form):
        return _Part(at.z, abs(at.z), by_z=1.0, z_terms=1.0)
    row, relative, service = form.row, setting.relative, case.service[form.row]
    served, stays, either = (service == kind for kind in (SERVED, STAYS, EITHER))
    if isinstance(objective, NashBargaining) and (stays & setting.likely).any():
        return None  # nobody bargains to stay outside
    least, most = relative * setting.asked.due[row] - joining, relative * setting.top - joining
    utility = np.where(served, relative * at.u[row] - joining, np.where(stays, setting.outside, most))
    reward = np.where(served, at.u[row] + setting.costs[row] * at.x[row], 0.0 * setting.costs[row])
    slope = setting.tangent(utility, reward)
    ends = smaller(least, setting.outside), larger(most, setting.outside)
    change = larger(*(slope.by_utility * (end - utility) for end in ends))
    change = (change + larger(slope.by_reward * setting.top, 0.0 * change))[either].sum()
    by_u = [relative * size(slope.by_utility) + size(slope.by_reward) for size in (np.asarray, abs)]
    by_x = [setting.costs[row] * size(slope.by_reward) for size in (np.asarray, abs)]
    sums = [_of_rows(form, np.where(served, each, 0.0)) for each in (*by_x, *by_u)]
    return _Part(slope.value + change, abs(slope.value) + abs(change), *sums)


def _of_rows(form: StandardForm, values: Any) -> Any:
    """Sums over the types of each row."""
    found = np.zeros(form.rows, dtype=values.dtype)
    np.add.at(found, form.row, values)
    return found


def _largest(setting: Setting, case: Case, box: Box, at: _Point, total: _Part) -> tuple[Any, Any]:
    """The largest value of the linearised Lagrangian on the box, and the sum of its absolute terms."""
    due, top, served, wider = setting.asked.due, setting.top, box.served, setting.wider
    wide = wider * max(abs(top), float(np.abs(due).max()))
    low, high = np.where(served, due - wide, 0.0), np.where(served, np.maximum(top, due) + wide, 0.0)
    least, most = _levels(setting, case)
    slack = LEVELS * wider * max(abs(least), abs(most), abs(top))
    changes = [
        (total.by_x, total.x_terms, box.low * (1.0 - wider) - at.x, box.high * (1.0 + wider) - at.x),
        (total.by_u, total.u_terms, low - at.u, high - at.u),
        (total.by_z, total.z_terms, least - slack - at.z, most + slack - at.z),
    ]
    value, terms = total.value, total.terms
    for slope, sizes, down, up in changes:
        value = value + np.sum(larger(slope * down, slope * up))
        terms = terms + np.sum(sizes * larger(abs(down), abs(up)))
    return value, terms


def _levels(setting: Setting, case: Case) -> tuple[float, float]:
    """The least and the largest level of who is worst off."""
    level, aside, form = setting.asked.level, setting.asked.aside, setting.form
    if level is None or aside is None:
        return 0.0, 0.0
    service, out = case.service[form.row], aside - level
    most = form.relative * setting.top - level
    least = np.minimum(
        form.relative * setting.asked.due[form.row] - level, np.where(service == SERVED, np.inf, out)
    )
    ends = np.select([service == SERVED, service == STAYS], [most, out], np.maximum(most, out))
    return min(0.0, float(least.min())), max(float(ends.min()), 0.0)


def lowest_top(form: StandardForm) -> float:
    """The largest value in the world where it is least: what nobody can be promised more than."""
    top = min(world.plain.largest_value for world in form.worlds)
    if not 0.0 < top <= largest_value(form):
        raise ProofRefused("the largest value is no positive number")
    return top
