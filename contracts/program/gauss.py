r"""Expectations for any smooth concave curve: Gauss rules of the total data, by doubling.

The law of one participant's contribution is compressed to few points that integrate polynomials of high degree
exactly (Lanczos on its atoms), convolved with itself, compressed again, and so on: log2 N convolutions for N
participants, exact on polynomials of degree 2 POINTS - 1 for every N, and exact altogether while there are no
more than POINTS outcomes. Derivatives need only the laws of one, two and three participants fewer:

    d/dm_j E g(S_N) = N p_j E g'(m_j + S_{N-1}).

Source: ours (Golub and Welsch 1969 for the rules).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property, partial
from math import comb
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from contracts.numeric import compiled, double_precision, filled
from contracts.problem import Problem
from contracts.problem.accuracy import AccuracyCurve
from contracts.problem.outcomes import merge
from contracts.problem.participants import Binomial, FiniteTurnout, Poisson, Turnout
from contracts.records import frozen

POINTS = 48
EXACT = 1500


class Rule(NamedTuple):
    """Points and weights that stand for a law."""

    points: np.ndarray
    weights: np.ndarray


def compress(points: np.ndarray, weights: np.ndarray, size: int = POINTS) -> Rule:
    """The Gauss rule of a discrete law: at most `size` points with the same first moments."""
    kept = weights > 1e-30 * weights.max()
    points, weights = merge(points[kept], weights[kept])
    if points.size <= size:
        return Rule(points, weights)
    middle, half = 0.5 * (points[-1] + points[0]), 0.5 * (points[-1] - points[0])
    scaled = (points - middle) / half
    basis = np.zeros((size, points.size))
    basis[0] = np.sqrt(weights / weights.sum())
    alpha, beta = np.zeros(size), np.zeros(size)
    count = size
    for k in range(size):
        vector = scaled * basis[k]
        alpha[k] = basis[k] @ vector
        # Twice is enough (Kahan and Parlett): keeps the basis orthogonal to rounding.
        for _ in range(2):
            vector = vector - basis[: k + 1].T @ (basis[: k + 1] @ vector)
        beta[k] = np.linalg.norm(vector)
        if k + 1 == size or beta[k] < 1e-14:
            count = k + 1
            break
        basis[k + 1] = vector / beta[k]
    jacobi = np.diag(alpha[:count]) + np.diag(beta[: count - 1], 1) + np.diag(beta[: count - 1], -1)
    nodes, vectors = np.linalg.eigh(jacobi)
    return Rule(middle + half * nodes, weights.sum() * vectors[0] ** 2)


def convolve(a: Rule, b: Rule, size: int = POINTS) -> Rule:
    """The rule of the sum of two independent amounts."""
    points, weights = np.add.outer(a.points, b.points).ravel(), np.outer(a.weights, b.weights).ravel()
    return compress(points, weights, size)


def total(one: Rule, draws: int, size: int = POINTS) -> Rule:
    """The rule of the sum of `draws` independent amounts."""
    result = Rule(np.zeros(1), np.ones(1))
    power = one
    while draws > 0:
        if draws & 1:
            result = convolve(result, power, size)
        draws >>= 1
        if draws:
            power = convolve(power, power, size)
    return result


@frozen
class LossCurve:
    """A loss with its first two derivatives, continued along a line below the amount from which it is convex.

    The line lies nowhere below the loss: the tangent at the floor of a curve that is concave above it.

    Attributes:
        problem: whose loss it is.
        of_value: whether it is the loss of value (else of accuracy).
        unit: data and loss are counted in these units, (data_unit, loss_unit).
        knee: the amount of data from which on the loss is convex.
    """

    problem: Problem
    of_value: bool
    unit: tuple[float, float]
    knee: float

    def __call__(self, data: Any, order: int = 0) -> np.ndarray:
        """The loss (order 0) or its derivative of order 1 or 2 at `data`, any shape."""
        data_unit, loss_unit = self.unit
        x = np.asarray(data, dtype=float) * data_unit
        inside = np.maximum(x, self.knee)
        # The truth itself is what promises are held against.
        value = self.truth(inside) if order == 0 else self._derivative(inside, order)
        if self.knee > 0.0:
            line = (value + self._slope * (x - self.knee), self._slope, 0.0)[order]
            value = np.where(x < self.knee, line, value)
        return value * data_unit**order / loss_unit

    @cached_property
    def _slope(self) -> float:
        knee = np.array([self.knee])
        tangent = float(self._derivative(knee, 1)[0])
        if self.knee <= self.problem.accuracy.floor:
            return tangent
        # An earlier rise of the curve may leave the tangent: then as steep a line as keeps above the loss.
        before = np.r_[0.0, np.geomspace(1e-6 * self.knee, (1.0 - 1e-6) * self.knee, 2000)]
        return min(tangent, float(((self.truth(knee) - self.truth(before)) / (self.knee - before)).min()))

    def truth(self, data: np.ndarray) -> np.ndarray:
        """The loss itself at `data` in the user's units, below the knee too."""
        if self.of_value:
            return self.problem.value_loss(data)
        optimum = float(self.problem.accuracy.optimum)
        return np.minimum(self.problem.accuracy.shortfall(data, np), optimum)

    @cached_property
    def _compiled(self) -> Callable[..., Any]:
        return _evaluate(self.problem.accuracy)

    def _derivative(self, data: np.ndarray, order: int) -> np.ndarray:
        curve, valuation = self.problem.accuracy, self.problem.valuation
        with double_precision():
            row = jnp.asarray(filled(data, 64))
            found = np.asarray(self._compiled(curve, valuation, row, order, self.of_value))
        return found[: data.size].reshape(data.shape)

    @property
    def without_data(self) -> float:
        """The loss of a model trained on nothing, in the loss's unit."""
        return float(self.truth(np.zeros(1))[0]) / self.unit[1]


def _target_loss(curve: AccuracyCurve, _: Any, x: Any) -> Any:
    return jnp.minimum(curve.shortfall(x, jnp), curve.optimum)


def _value_loss(curve: AccuracyCurve, valuation: Any, x: Any) -> Any:
    return valuation.loss(curve.optimum, _target_loss(curve, valuation, x), jnp)


@partial(compiled, static=("order", "of_value"))
def _evaluate(curve: AccuracyCurve, valuation: Any, x: Any, order: int, of_value: bool) -> Any:
    slope = jax.grad(_value_loss if of_value else _target_loss, argnums=2)
    derivative = slope if order == 1 else jax.grad(slope, argnums=2)
    return jax.vmap(derivative, (None, None, 0))(curve, valuation, x)


class Curves(NamedTuple):
    """The losses of a program that is not a mixture of exponentials."""

    target: LossCurve
    value: LossCurve


class Rules(NamedTuple):
    """Rules of the total of N, N-1, N-2 and N-3 participants (the last ones None if negative).

    Where N is uncertain, of everybody, and of how many others one, two and three participants expect.

    Attributes:
        participants: N, or its mean.
        pairs: N (N-1), or its mean.
        others: N-1, or the mean number of others somebody who takes part expects.
        other_pairs: (N-1) (N-2), or the mean for those others.
        draws: the four rules.
    """

    participants: float
    pairs: float
    others: float
    other_pairs: float
    draws: tuple[Rule | None, Rule | None, Rule | None, Rule | None]


def rules(contribution: np.ndarray, probabilities: np.ndarray, participants: int | Turnout) -> Rules:
    """The rules needed for an expectation and its first two derivatives."""
    if isinstance(participants, Turnout):
        return _rules_of_many(contribution, probabilities, participants)
    types = contribution.size
    few = types + participants < 100 and comb(participants + types - 1, types - 1) <= EXACT
    # Few outcomes are kept as they are: a curve with kinks in its curvature is no polynomial.
    size = EXACT if few else POINTS
    one = compress(contribution, probabilities, size)
    fewest = max(participants - 3, 0)
    found: dict[int, Rule] = {fewest: total(one, fewest, size)}
    for n in range(fewest + 1, participants + 1):
        found[n] = convolve(found[n - 1], one, size)
    n, draws = participants, tuple(found.get(participants - k) for k in range(4))
    return Rules(n, n * (n - 1), n - 1, (n - 1) * (n - 2), draws)  # type: ignore[arg-type]


def _rules_of_many(contribution: np.ndarray, probabilities: np.ndarray, turnout: Turnout) -> Rules:
    laws = [turnout]
    for _ in range(3):
        laws.append(laws[-1].others())
    types, most = contribution.size, turnout.most
    few = types + most < 100 and comb(most + types, types) <= EXACT
    size = EXACT if few else POINTS
    one = compress(contribution, probabilities, size)
    if isinstance(turnout, Poisson):
        draws = [_poisson(one, turnout, size)] * 4
    elif all(isinstance(law, Binomial) for law in laws):
        draws = [_binomial(one, law, size) for law in laws if isinstance(law, Binomial)]
    else:
        draws = _mixed(one, laws, size)
    first, second, third = (law.mean for law in laws[:3])
    return Rules(first, first * second, second, second * third, tuple(draws))  # type: ignore[arg-type]


def _poisson(one: Rule, turnout: Poisson, size: int) -> Rule:
    """A Poisson number of draws is the sum of independent Poisson numbers of smaller means."""
    doublings = max(int(np.ceil(np.log2(turnout.mean))), 0)
    part = FiniteTurnout.checked(*Poisson(mean=turnout.mean / 2**doublings).support)
    [rule] = _mixed(one, [part], size)
    for _ in range(doublings):
        rule = convolve(rule, rule, size)
    return rule


def _binomial(one: Rule, turnout: Binomial, size: int) -> Rule:
    """Who does not come adds nothing."""
    chance = turnout.probability
    if chance < 1.0:
        one = compress(np.r_[0.0, one.points], np.r_[1.0 - chance, chance * one.weights], size)
    return total(one, turnout.trials, size)


def _mixed(one: Rule, laws: list[Turnout], size: int) -> list[Rule]:
    """Rules for several laws of the number of draws; the rule of each number is made once."""
    rule, reached, found = Rule(np.zeros(1), np.ones(1)), 0, {}
    for count in sorted({int(count) for law in laws for count in law.support[0]}):
        rule, reached = convolve(rule, total(one, count - reached, size), size), count
        found[count] = rule
    mixed = []
    for law in laws:
        parts = [(found[int(count)], chance) for count, chance in zip(*law.support, strict=True)]
        points = np.concatenate([part.points for part, _ in parts])
        mixed.append(compress(points, np.concatenate([chance * part.weights for part, chance in parts]), size))
    return mixed


def mean(loss: LossCurve, rule: Rule, shift: Any = 0.0, order: int = 0) -> np.ndarray:
    """E of the loss's derivative at shift + S, for each shift."""
    return loss(np.add.outer(np.asarray(shift, dtype=float), rule.points), order) @ rule.weights
