r"""Upper bounds on what any contract can achieve, the curve's zero floor included.

Below the floor a model is worth nothing, not less: the true loss is flat there, hence not convex; nor is it on
either side of an inflection. A
mixture of exponentials that nowhere exceeds it makes models at least as accurate as they really are, both for
the coordinator and for participants; the optimum of that convex program bounds every contract.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from contracts.program.exponential_sum import ExponentialSum, Loss, Losses, on_common_rates
from contracts.program.first_moment import FirstMoment, Program
from contracts.records import Keyed

POINTS_PER_DECADE = 24
RATES_PER_DECADE = 6
TINY = float(np.finfo(float).tiny)  # where a loss is too small for a float, so must the mixture be
FAINT = 0.01  # of the largest loss: below it, what is missing counts absolutely
VANISHING = 1e-13  # of the largest value: where a loss is no more than rounding


def minorant(loss: Loss, knee: float, high: float, slack: float = 0.0) -> ExponentialSum:
    """The best mixture of exponentials below a loss on [0, high], by linear programming (HiGHS).

    Args:
        loss: decreasing, vectorised; that of a worthless model on the floor.
        knee: data up to which the loss is not convex (its floor, or an inflection), > 0.
        high: end of the range.
        slack: by how much it may lie above, relative to the largest loss: no mixture is below a loss that
            vanishes. With it, how far it lies below counts absolutely where the loss is faint.

    Returns:
        The mixture; its `relative_error` is how far it may lie below the loss.
    """
    from scipy.optimize import linprog

    near = np.linspace(0.0, 4.0 * knee, 120)
    x = np.union1d(near, np.geomspace(4.0 * knee, high, int(POINTS_PER_DECADE * np.log10(high / knee))))
    top = float(loss(np.zeros(1))[0])
    true = np.maximum(loss(x) + slack * top, TINY)
    rates = np.geomspace(1e-3 / high, 25.0 / knee, int(RATES_PER_DECADE * np.log10(25e3 * high / knee)))
    matrix = np.exp(-np.multiply.outer(x, rates)) / true[:, None]
    # Scaled columns keep the program's coefficients within the solver's tolerances.
    scale = matrix.max(axis=0)
    weight = np.gradient(np.log(x + knee)) * (true / (true + FAINT * top) if slack > 0.0 else 1.0)
    matrix = matrix / scale
    weights = np.zeros(rates.size)
    for method in ("highs", "highs-ipm"):
        answer = linprog(-weight @ matrix, A_ub=matrix, b_ub=np.ones(x.size), method=method)
        if answer.x is not None and answer.x.max() > 0.0:
            weights = np.maximum(answer.x, 0.0) / scale
            break
    else:
        weights[0] = true.min()  # next to a constant
    kept = weights > 0
    mixture = ExponentialSum(weights=weights[kept], rates=rates[kept], low=0.0, high=high, relative_error=1.0)
    fine = np.union1d(np.linspace(0.0, 8.0 * knee, 4000), np.geomspace(knee, high, 8000))
    ratio = mixture(fine) / np.maximum(loss(fine) + slack * top, TINY)
    # The grid of the program is coarse: shrink until nothing sticks out of the fine one.
    shrink = 1.0 / max(1.0, float(ratio.max()) * (1.0 + 1e-12))
    return ExponentialSum(
        weights=mixture.weights * shrink,
        rates=mixture.rates,
        low=0.0,
        high=high,
        relative_error=float(1.0 - ratio.min() * shrink),
    )


def relax(model: FirstMoment) -> Program | None:
    """The program with losses that are nowhere above the true ones; None where they vanish (no mixture does)."""
    problem = model.problem
    least = float(problem.value_loss(np.array([model.value_mixture.high]))[0])
    if model.program.curves is not None and not least > VANISHING * model.value_unit:
        return None
    # Models of one curve, valuation and range share their linear programs.
    scope = (model.value_mixture.high, model.knee)
    key = (*problem.family, *scope)
    losses = _minorants(Keyed(key, (problem, *scope)))
    return model.program._replace(
        rates=losses.rates * model.data_unit,
        target_weights=losses.target_weights / model.target_unit,
        value_weights=losses.value_weights / model.value_unit,
        curves=None,
    )


@lru_cache(maxsize=512)
def _minorants(keyed: Keyed) -> Losses:
    problem, high, knee = keyed.value
    floor, top = float(problem.accuracy.floor), float(problem.accuracy.optimum)
    of_value = minorant(lambda x: problem.value_loss(np.maximum(x, floor)), knee, high)
    if problem.target_is_value:
        return on_common_rates(of_value, of_value)
    shortfall = problem.accuracy.shortfall
    of_target = minorant(lambda x: np.minimum(shortfall(np.maximum(x, floor), np), top), knee, high)
    return on_common_rates(of_target, of_value)
