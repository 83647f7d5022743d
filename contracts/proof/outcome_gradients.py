r"""Expected losses and their gradients over the law of the outcomes, for the proof of contracts on any curve.

    d/dm_j E L(S_N) = N p_j E L'(m_j + S_{N-1})

with the laws of `contracts.problem.outcomes`; slopes by automatic differentiation of the problem's own curve.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from contracts.numeric import compiled, double_precision, filled
from contracts.problem import Problem
from contracts.problem.accuracy import AccuracyCurve
from contracts.problem.outcomes import Law, rare, total_data
from contracts.problem.participants import Turnout, as_turnout
from contracts.problem.valuation import Valuation
from contracts.proof.losses import Crowd, Losses

CELLS = 4096


def losses_by_outcomes(crowd: Crowd, nothing: np.ndarray) -> Callable[..., Losses]:
    """Expected losses by contributions and prices (None: of the target alone), for curves concave above a floor.

    Args:
        crowd: who takes part, by row, of one group.
        nothing: which rows bring nothing, whatever the contract.
    """
    plain, p, n = crowd.plain, crowd.probabilities, crowd.plain.population.participants
    target, value = ContinuedLoss(plain, plain.target_is_value), ContinuedLoss(plain, True)
    idle, each = crowd.idle(nothing)
    target_more, value_more = (
        float(loss(np.zeros(1))[0]) - top for loss, top in zip((target, value), crowd.tops, strict=True)
    )
    excess = idle * target_more if idle > 0.0 else 0.0
    value_excess = each * value_more if each.any() else each

    def losses(m: np.ndarray, prices: np.ndarray | None) -> Losses:
        mean, by_m = expected_loss(target, m, p, n)
        if prices is None:
            return Losses(mean - excess, value_excess, by_m, by_m, abs(mean) + abs(excess))
        losses, gradient = type_losses(value, plain.belief, m, p, n, prices)
        return Losses(mean - excess, losses - value_excess, by_m, gradient, abs(mean) + abs(excess))

    return losses


class ContinuedLoss:
    """The loss of a problem, continued along its tangent below the curve's floor, and its slope."""

    def __init__(self, problem: Problem, of_value: bool):
        self.problem, self.of_value = problem, of_value
        self.floor = float(problem.accuracy.floor)
        self.slopes = _slopes(problem.accuracy)

    def __call__(self, data: np.ndarray) -> np.ndarray:
        """The loss at `data`, any shape."""
        inside = np.maximum(data, self.floor)
        if self.of_value:
            value = self.problem.value_loss(inside)
        else:
            optimum = float(self.problem.accuracy.optimum)
            value = np.minimum(self.problem.accuracy.shortfall(inside, np), optimum)
        if self.floor > 0.0:
            value = value + self.slope(np.array([self.floor]))[0] * np.minimum(data - self.floor, 0.0)
        return value

    def slope(self, data: np.ndarray) -> np.ndarray:
        """Its derivative at `data`, shape (n,), constant below the floor."""
        padded = filled(np.maximum(data, self.floor), 64)
        with double_precision():
            curve, valuation = self.problem.accuracy, self.problem.valuation
            return np.asarray(self.slopes(curve, valuation, jnp.asarray(padded), self.of_value))[: data.size]


def _missing(curve: AccuracyCurve, _: Valuation, x: jax.Array) -> jax.Array:
    return jnp.minimum(curve.shortfall(x, jnp), curve.optimum)


def _worth_missing(curve: AccuracyCurve, valuation: Valuation, x: jax.Array) -> jax.Array:
    return valuation.loss(curve.optimum, _missing(curve, valuation, x), jnp)


@partial(compiled, static=["of_value"])
def _slopes(curve: AccuracyCurve, valuation: Valuation, data: jax.Array, of_value: bool) -> jax.Array:
    slope = jax.grad(_worth_missing if of_value else _missing, argnums=2)
    return jax.vmap(slope, (None, None, 0))(curve, valuation, data)


def expected_loss(
    loss: ContinuedLoss, m: np.ndarray, p: np.ndarray, n: int | Turnout
) -> tuple[float, np.ndarray]:
    """E L(S_N) for N independent draws, and its gradient by m, shape (types,)."""
    fewer = _binned(total_data(m, p, _fewer(n)))
    slopes = [float(loss.slope(fewer.data + own) @ fewer.probabilities) for own in m]
    return total_data(m, p, n).expectation(loss), as_turnout(n).mean * p * np.array(slopes)


def _fewer(n: int | Turnout) -> int | Turnout:
    """One participant less: of others, somebody who takes part expects so many."""
    return n.others() if isinstance(n, Turnout) else n - 1


def type_losses(
    loss: ContinuedLoss, belief: str, m: np.ndarray, p: np.ndarray, n: int | Turnout, prices: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """E_i L for each type, and the gradient of sum_i prices_i E_i L by m."""
    if belief == "interim":
        return _interim(loss, m, p, n, prices)
    mean, gradient = expected_loss(loss, m, p, n)
    losses, total = np.zeros(m.size), np.zeros(m.size)
    for i in range(m.size):
        rest = np.where(np.arange(m.size) == i, 0.0, p)
        if rare(float(p[i]), n):
            only = np.where(np.arange(m.size) == i, prices, 0.0)
            each, by_m = _interim(loss, m, p, n, only)
            losses[i], total = each[i], total + by_m
        elif rest.sum() <= 0.0:
            empty = float(as_turnout(n).generating(0.0))  # nobody came, hence none of the type
            losses[i] = (mean - empty * float(loss(np.zeros(1))[0])) / (1.0 - empty)
            total = total + prices[i] * gradient / (1.0 - empty)
        else:
            without, by_m = expected_loss(loss, m, rest / rest.sum(), _without(n, float(p[i])))
            with np.errstate(divide="ignore"):  # of nobody else
                absent = float(np.exp(as_turnout(n).log_power(np.log1p(-p[i])).value))
            losses[i] = (mean - absent * without) / (1.0 - absent)
            total = total + prices[i] * (gradient - absent * by_m) / (1.0 - absent)
    return losses, total


def _without(n: int | Turnout, probability: float) -> int | Turnout:
    """The number of participants given that a type of that probability is not among them."""
    return n.thinned(1.0 - probability) if isinstance(n, Turnout) else n


def _interim(
    loss: ContinuedLoss, m: np.ndarray, p: np.ndarray, n: int | Turnout, prices: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    one = total_data(m, p, _fewer(n))
    losses = np.array([one.shifted(float(own)).expectation(loss) for own in m])
    gradient = np.zeros(m.size)
    fewer, two = _binned(one), _binned(total_data(m, p, _fewer(_fewer(n))))
    for i in np.flatnonzero(prices > 0.0):
        gradient[i] += prices[i] * float(loss.slope(fewer.data + m[i]) @ fewer.probabilities)
        shifts = np.add.outer(m + m[i], two.data)
        slopes = loss.slope(shifts.ravel()).reshape(shifts.shape) @ two.probabilities
        gradient += prices[i] * as_turnout(_fewer(n)).mean * p * slopes
    return losses, gradient


def _binned(law: Law) -> Law:
    """A law of many atoms gathered in cells at their means: slopes, hence the bound, change to second order."""
    if law.data.size <= CELLS:
        return law
    width = (law.data[-1] - law.data[0]) * (1.0 + 1e-12) / CELLS
    cell = ((law.data - law.data[0]) / width).astype(int)
    mass = np.bincount(cell, weights=law.probabilities)
    kept = mass > 0.0
    middle = np.bincount(cell, weights=law.probabilities * law.data)[kept] / mass[kept]
    return Law(data=middle, probabilities=mass[kept], step=law.step)
