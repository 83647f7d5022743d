r"""Upper bounds on what any contract can achieve, the curve's zero floor included.

Below the floor a model is worth nothing, not less: the true loss is min(loss, top), which is not convex. A
mixture of exponentials that nowhere exceeds it makes models at least as accurate as they really are, both for
the coordinator and for participants; the optimum of that convex program bounds every contract.
"""

from __future__ import annotations

import numpy as np

from contracts.exponential_sum import ExponentialSum, Loss
from contracts.first_moment import FirstMoment, Program

POINTS_PER_DECADE = 24
RATES_PER_DECADE = 6


def minorant(loss: Loss, top: float, floor: float, high: float) -> ExponentialSum:
    """The best mixture of exponentials below min(loss, top) on [0, high], by linear programming (HiGHS).

    Args:
        loss: decreasing, vectorised; at least `top` on the floor.
        top: the loss of a worthless model.
        floor: data up to which the loss is `top`, > 0.
        high: end of the range.

    Returns:
        The mixture; its `relative_error` is how far it may lie below the loss.
    """
    from scipy.optimize import linprog

    near = np.linspace(0.0, 4.0 * floor, 120)
    x = np.union1d(near, np.geomspace(4.0 * floor, high, int(POINTS_PER_DECADE * np.log10(high / floor))))
    true = np.minimum(loss(np.maximum(x, floor)), top)
    rates = np.geomspace(1e-3 / high, 25.0 / floor, int(RATES_PER_DECADE * np.log10(25e3 * high / floor)))
    matrix = np.exp(-np.multiply.outer(x, rates)) / true[:, None]
    # Scaled columns keep the program's coefficients within the solver's tolerances.
    scale = matrix.max(axis=0)
    weight = np.gradient(np.log(x + floor))
    answer = linprog(-(weight @ matrix) / scale, A_ub=matrix / scale, b_ub=np.ones(x.size), method="highs")
    weights = np.zeros(rates.size) if answer.x is None else np.maximum(answer.x, 0.0) / scale
    kept = weights > 0
    mixture = ExponentialSum(weights=weights[kept], rates=rates[kept], low=0.0, high=high, relative_error=1.0)
    fine = np.union1d(np.linspace(0.0, 8.0 * floor, 4000), np.geomspace(floor, high, 8000))
    ratio = mixture(fine) / np.minimum(loss(np.maximum(fine, floor)), top)
    # The grid of the program is coarse: shrink until nothing sticks out of the fine one.
    shrink = 1.0 / max(1.0, float(ratio.max()) * (1.0 + 1e-12))
    return ExponentialSum(
        weights=mixture.weights * shrink,
        rates=mixture.rates,
        low=0.0,
        high=high,
        relative_error=float(1.0 - ratio.min() * shrink),
    )


def relax(model: FirstMoment) -> Program:
    """The program with losses that are nowhere above the true ones."""
    problem = model.problem
    high = model.value_mixture.high
    curve, top = problem.accuracy, float(problem.accuracy.optimum)
    floor = float(curve.floor)
    of_value = minorant(problem.value_loss, model.value_unit, floor, high)
    of_target = of_value
    if not problem.target_is_value:
        of_target = minorant(lambda x: curve.shortfall(x, np), top, floor, high)
    rates = np.union1d(of_target.rates, of_value.rates)
    weights = [np.zeros(rates.size), np.zeros(rates.size)]
    for row, mixture in zip(weights, (of_target, of_value), strict=True):
        row[np.searchsorted(rates, mixture.rates)] = mixture.weights
    return model.program._replace(
        rates=rates * model.data_unit,
        target_weights=weights[0] / model.target_unit,
        value_weights=weights[1] / model.value_unit,
        curves=None,
    )
