r"""How a designed menu moves with the numbers of its problem: the solver's side, with NumPy alone.

At an optimum where strict complementarity holds, the gaps x of the chain and the multipliers y solve

    x_k = 0 where x_k is at its bound, else dLag/dx_k = 0;      G_k = 0 where y_k > 0, else y_k = 0,

and move with the parameters theta as the implicit function theorem says: dz/dtheta = -K^{-1} d(residual)/dtheta,
where K is made of the solver's second derivatives. A curve enters through its loss: a change of the loss is,
like the loss itself, a sum of exponentials, with weights that depend on it linearly.

Source: Fiacco 1976 (sensitivity of a nonlinear program); Blondel et al., NeurIPS 2022 (arXiv 2105.15183), for
implicit differentiation of solvers; the program is that of `contracts.program.first_moment`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import numpy as np

from contracts.errors import InvalidInput
from contracts.problem import Problem
from contracts.problem.reservation import by_zooming
from contracts.problem.shape import check_shape, hopeless
from contracts.program import newton
from contracts.program.exclusion import Candidate, below_floor, search
from contracts.program.first_moment import (
    Factors,
    FirstMoment,
    Program,
    exclude,
    factors,
    fold,
    moments,
    prepare,
    unfold,
)

RATES = 96  # of a loss's changes, spaced evenly on the scale of their logarithms
BESIDE = np.array([0.98, 0.99, 1.0, 1.01, 1.02])  # multiples of a curve's own rates, for changes of a rate
PLACES = 4 * RATES  # amounts of data at which a change is looked at
TERMS = 256  # rates of one program, filled up so that all have one shape
SINGULAR = 1e-10  # of the largest singular values: smaller ones of a fit of changes are rounding
SMALLEST = 1e-8  # of the largest value: smaller losses are fitted no better than this one
MISFIT = 1e-6  # of the largest change of a loss: what a fit of changes may miss
STRICT = 1e-6  # in the program's units: what tells a bound that holds from one that does not matter
FLAT = 1e-10  # of the largest singular value: what a smaller one belongs to is not decided by the problem
REPEATED = 1e-9  # of a gradient's size: what tells it from another
LOOSE = 1e-6  # in the program's units: what contributions may move in such directions
BELOW = 1e-10  # probability of outcomes that the program counts as less than they are
NO_CHANGES = np.zeros(0), np.zeros((0, PLACES)), np.ones(PLACES)
NOTHING = "problem: the null contract is best, and its derivatives are not known"


class Optimum(NamedTuple):
    """What the solver found, in the program's units, types by falling cost.

    Attributes:
        gaps, multipliers: x, shape (2 types,); y, shape (2 types - 1,).
        inverse: of K for unknowns that move, zero for others, shape (4 types - 1, 4 types - 1).
        active: 0 for variables held at zero by leaving types out.
        rates, target_weights, value_weights: of the losses, shape (TERMS,).
        data, change: where a change of the loss is looked at; from there to its weights, shape (TERMS, data).
        alone: data collected alone, 0 where that does not pay, shape (types,).
        units: of data, value and target.
    """

    gaps: Any
    multipliers: Any
    inverse: Any
    active: Any
    rates: Any
    target_weights: Any
    value_weights: Any
    data: Any
    change: Any
    alone: Any
    units: Any


def optimum(problem: Problem, wanted: str, *, differentiable: bool, curves: bool) -> Optimum:
    """Solve a plain problem, and find out how its optimum moves.

    Args:
        problem: the problem.
        wanted: "objective", "contribution" or "menu": what is to be differentiated, which must be unique.
        differentiable: whether anything is.
        curves: whether the parameters of curve or valuation change.
    """
    check_shape(problem)
    costs = problem.population.costs
    if np.unique(costs).size < costs.size:
        raise InvalidInput("costs: two are equal, where menus have no derivative: expected different ones")
    if hopeless(problem):
        raise InvalidInput(NOTHING)
    most = np.full(costs.size, np.inf)
    falling = np.argsort(-costs, kind="stable")
    alone = by_zooming(problem, costs, most)
    model = prepare(problem, alone)
    if model.program.curves is not None:
        raise InvalidInput(
            f"accuracy: the loss of this {problem.accuracy.family} curve is no mixture of exponentials"
        )
    best = search(model).best
    if best is None or best.target <= 1e-12 * model.target_unit:
        raise InvalidInput(NOTHING)
    _demand_exact(model, best)
    program = exclude(best.program, best.excluded, problem.belief)
    inverse = _inverse(model, program, best, wanted) if differentiable else _nothing(costs.size)
    rates, change, data = _changes(model) if curves else NO_CHANGES
    kept, rest = program.rates.size, TERMS - program.rates.size - rates.size
    if rest < 0:
        raise InvalidInput(
            f"accuracy, valuation: a mixture of {kept} exponentials: expected at most {TERMS // 2}"
        )
    padded = np.zeros((2, TERMS))
    padded[:, :kept] = program.target_weights, program.value_weights
    return Optimum(
        gaps=best.solution.gaps,
        multipliers=best.solution.multipliers,
        inverse=inverse,
        active=program.active,
        rates=np.r_[program.rates, rates * model.data_unit, np.zeros(rest)],
        target_weights=padded[0],
        value_weights=padded[1],
        data=data,
        change=np.vstack([np.zeros((kept, data.size)), change, np.zeros((rest, data.size))]),
        alone=alone.contribution[falling],
        units=np.array([model.data_unit, model.value_unit, model.target_unit]),
    )


def _demand_exact(model: FirstMoment, best: Candidate) -> None:
    """The program's objective must be the true one, not one that counts too little below the curve's floor."""
    given = best.contribution[best.contribution > 0.0]
    if given.min() < model.knee and (best.excluded or below_floor(model, best.contribution) > BELOW):
        raise InvalidInput(
            "problem: so few data may come together that a model is worth nothing, where derivatives are not"
            " known: expected more participants or cheaper data"
        )


def _nothing(types: int) -> np.ndarray:
    return np.zeros((4 * types - 1, 4 * types - 1))


def _inverse(model: FirstMoment, program: Program, best: Candidate, wanted: str) -> np.ndarray:
    """The inverse of K, zero for what stays at its bound; of several the smallest, where that is all the same.

    For the objective alone prices must be unique; nothing of K is needed (envelope theorem).
    """
    x, y, types = best.solution.gaps, best.solution.multipliers, program.costs.size
    m, u = unfold(program, x, np)
    here = moments(program, m, model.problem.belief, np)
    f = factors(program, here, y[:types])
    by_m = (f.own + program.costs) * y[:types] - f.tilted.T @ (f.target_gradient + f.columns @ y[:types])
    by_u = y[:types] - np.r_[0.0, y[types:]]
    prices = fold(program, by_m, by_u, np)
    slacks = np.r_[1.0 - here.value_loss - program.costs * m - u, (u - program.reservation)[1:]]
    of_types = np.array([*range(types), *range(1, types)])
    held = program.active == 0.0
    hessian, jacobian = _curvature(program, f)
    if wanted == "objective":
        _demand_prices(_different(jacobian, (x > STRICT) & ~held, slacks < STRICT)[1])
        return _nothing(types)
    for own, price, kind in ((np.where(held, 1.0, x), prices, "link"), (slacks, y, "promise")):
        for k in np.flatnonzero(np.maximum(own, price) < STRICT)[:1]:
            which = k // 2 if kind == "link" else of_types[k]
            cost = program.costs[which] * model.value_unit / model.data_unit
            raise InvalidInput(
                f"problem: a {kind} of the type with costs {cost:.6g} is about to start or to cease to bind,"
                " where there is no derivative: expected other numbers"
            )
    moving = (x > prices) & ~held
    binding, _ = _different(jacobian, moving, y > slacks)
    free = np.r_[moving, binding]
    matrix = np.block([[hessian, -jacobian.T], [jacobian, np.zeros((slacks.size, slacks.size))]])
    inverse, chosen = _nothing(types), np.ix_(free, free)
    inverse[chosen], loose = _inverted(matrix[chosen])
    to_m = newton.maps(program, np)[0][:, free[: 2 * types]]
    if loose.size and (wanted == "menu" or np.abs(to_m @ loose[: to_m.shape[1]]).max() > LOOSE):
        what = "menu is" if wanted == "menu" else "contributions are"
        other = "; designed_contribution asks less" if wanted == "menu" else ""
        raise InvalidInput(f"problem: the best {what} not unique, without derivative{other}")
    return inverse


def _demand_prices(binding: np.ndarray) -> None:
    """Gradients of what binds must be independent, or the optimum has a kink."""
    rows = binding / np.maximum(np.abs(binding).max(axis=1, keepdims=True), 1e-300)
    if rows.shape[0] > rows.shape[1] or np.linalg.svd(rows, compute_uv=False).min(initial=1.0) < FLAT:
        raise InvalidInput("problem: prices are not unique, the objective has a kink: expected other numbers")


def _curvature(program: Program, f: Factors) -> tuple[np.ndarray, np.ndarray]:
    """Hessian of the Lagrangian and Jacobian of the constraints, by the gaps."""
    to_m, to_u = newton.maps(program, np)
    gradient, crossed = f.tilted.T @ f.target_gradient, f.tilted.T @ f.cross
    hessian = np.diag(f.hessian_diagonal) + (f.tilted.T * f.hessian_middle) @ f.tilted
    hessian = hessian - np.outer(gradient, gradient) - crossed - crossed.T
    feasible = (f.columns.T @ f.tilted - np.diag(f.own + program.costs)) @ to_m - to_u
    return to_m.T @ hessian @ to_m, np.concatenate([feasible, to_u[1:]])


def _different(jacobian: np.ndarray, moving: np.ndarray, binding: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What binds and says something of its own about what moves, and its gradients.

    Types that share an option share a promise; where nothing contributes, staying in may be as good as out.
    """
    kept, chosen = binding.copy(), np.zeros((1, int(moving.sum())))
    for k in np.flatnonzero(binding):
        row, size = jacobian[k, moving], np.abs(jacobian[k]).max(initial=0.0)
        kept[k] = not (np.abs(chosen - row).max(axis=1, initial=0.0) <= REPEATED * size).any()
        if kept[k]:
            chosen = np.vstack([chosen, row])
    return kept, chosen[1:]


def _inverted(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The pseudoinverse of a matrix after balancing, and directions (columns) that it cannot tell apart."""
    scale = 1.0 / np.sqrt(np.maximum(np.abs(matrix).max(axis=0), 1e-300))
    left, sizes, right = np.linalg.svd(scale[:, None] * matrix * scale)
    kept = sizes > FLAT * sizes.max(initial=0.0)
    inverse = (right[kept].T / sizes[kept]) @ left.T[kept]
    return scale[:, None] * inverse * scale, scale[:, None] * right[~kept].T


def _changes(model: FirstMoment) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rates of which changes of a loss are made, the map from changes to weights, and from where."""
    problem, mixture = model.problem, model.value_mixture
    x = np.geomspace(mixture.low, mixture.high, PLACES)
    natural = problem.accuracy.natural_rates
    if natural is None:
        rates = np.geomspace(1e-3 / x[-1], 25.0 / x[0], RATES)
    else:
        rates = np.unique(np.multiply.outer(natural, BESIDE))[: TERMS // 2]
    weight = 1.0 / np.maximum(problem.value_loss(x), SMALLEST * problem.largest_value)
    matrix = weight[:, None] * np.exp(-np.multiply.outer(x, rates))
    back = np.linalg.pinv(matrix, rcond=SINGULAR) * weight
    fit = np.exp(-np.multiply.outer(x, rates))
    _demand_fit(problem, x, weight[:, None] * (fit @ back - np.eye(x.size)))
    return rates, back, x


def _demand_fit(problem: Problem, x: np.ndarray, miss: np.ndarray) -> None:
    """Changes of the loss with each parameter must be sums of exponentials, as the loss itself is."""
    leaves, kind = jax.tree.flatten((problem.accuracy, problem.valuation))
    for k, leaf in enumerate(leaves):
        step = 1e-5 * abs(float(leaf))
        either = []
        for moved in (leaf + step, leaf - step):
            curve, valuation = jax.tree.unflatten(kind, [*leaves[:k], moved, *leaves[k + 1 :]])
            top = float(curve.optimum)
            either.append(valuation.loss(top, curve.shortfall(x, np), np))
        change = (either[0] - either[1]) / (2.0 * step)
        size = float(np.abs(change / np.maximum(problem.value_loss(x), SMALLEST * problem.largest_value)).max())
        missed = float(np.abs(miss @ change).max())
        if missed > MISFIT * size:
            raise InvalidInput(
                f"accuracy, valuation: parameter {k} of these changes the loss by what is no sum of exponentials"
                f" (misfit {missed / size:.1g}): derivatives are not known"
            )
