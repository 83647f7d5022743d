"""What models are worth in one world, over balls: nothing on the floor, a smooth function of the data above."""

from __future__ import annotations

from typing import Any

import numpy as np
from flint import arb

from contracts.problem.accuracy import AccuracyCurve
from contracts.problem.valuation import Valuation
from contracts.proof.intervals.ball import NotRigorous, ball, between, lower, taylor, upper
from contracts.proof.intervals.curve_balls import curve_balls, worth_balls

VALUE, TARGET = "value", "target"
WIDENINGS = 30


class Worth:
    """Value (in units of rows) and accuracy above the baseline, by data.

    Args:
        curve: the curve.
        valuation: whose scale is replaced.
        scale: the mean scale.
        baseline: accuracy that everybody has.
        target_is_value: whether the target is value (else accuracy).
        floor: about where accuracy leaves the baseline; looked for here if that is wrong.
    """

    def __init__(
        self,
        curve: AccuracyCurve,
        valuation: Valuation,
        scale: Any,
        *,
        baseline: float,
        target_is_value: bool,
        floor: float,
    ):
        self.smooth, self.baseline = curve_balls(curve), ball(baseline)
        self.worth, self.target_is_value = worth_balls(valuation, scale), target_is_value
        self.nothing = self.worth(self.baseline)
        self.top_accuracy = self.smooth.optimum - self.baseline
        self.top_value = self.worth(self.smooth.optimum) - self.nothing
        self.top_target = self.top_value if target_is_value else self.top_accuracy
        self.floor_low, self.floor_high = self._floor(floor)

    def top(self, kind: str) -> Any:
        """What unlimited data would give."""
        return self.top_value if kind == VALUE else self.top_target

    @property
    def tops(self) -> tuple[Any, Any]:
        """The largest target and the largest value."""
        return self.top_target, self.top_value

    def accuracy(self, x: Any) -> Any:
        """Above the baseline, for data (a ball or a series) above the floor."""
        return self.smooth.accuracy(x) - self.baseline

    def above(self, kind: str, x: Any) -> Any:
        """Value, or the target, for data (a ball or a series) above the floor."""
        if kind == VALUE or self.target_is_value:
            return self.worth(self.smooth.accuracy(x)) - self.nothing
        return self.accuracy(x)

    def at(self, kind: str, x: Any) -> Any:
        """Value, the target, or accuracy, for any data >= 0 (a ball)."""
        x = arb(x)
        if x <= arb(self.floor_low):
            return arb(0)
        if x >= arb(self.floor_high):
            return arb.max(self._kind(kind, x), arb(0))
        # Rising: nothing at the lower end of the ball.
        most = arb.max(x.upper(), arb(self.floor_high))
        return between(0, arb.max(self._kind(kind, most), arb(0)))

    def _kind(self, kind: str, x: Any) -> Any:
        return self.accuracy(x) if kind == "accuracy" else self.above(kind, x)

    def loss(self, kind: str, x: Any) -> Any:
        """What is missing to the top, for data (a ball or a series) above the floor."""
        return self.top(kind) - self.above(kind, x)

    def coefficients(self, kind: str, x: Any, terms: int) -> list[Any]:
        """Taylor coefficients of value or target, at every point of a ball above the floor."""
        return taylor(lambda series: self.above(kind, series), x, terms)

    def breaks(self, x: Any) -> bool:
        """Whether a knot of a curve through points lies in a ball."""
        return any(not (knot < x or knot > x) for knot in self.smooth.knots)

    def _floor(self, guess: float) -> tuple[float, float]:
        """Floats between which accuracy leaves the baseline (curves rise)."""
        if guess <= 0.0 and self.smooth.safe == 0.0 and self._rises_at(0.0) >= 0:
            return 0.0, 0.0
        guess = max(guess, self.smooth.safe, 1e-300)
        width = 4e-16
        low = high = guess
        for _ in range(WIDENINGS):
            low = low if self._rises_at(low) < 0 else max(guess * (1.0 - width), 0.0)
            high = high if self._rises_at(high) > 0 else guess * (1.0 + width)
            if self._rises_at(low) < 0 and self._rises_at(high) > 0:
                return low, high
            width *= 4.0
        raise NotRigorous("where accuracy leaves its floor cannot be enclosed")

    def _rises_at(self, x: float) -> int:
        if x < self.smooth.safe or (x == 0.0 and self.baseline > 0):
            return -1
        if x == 0.0:
            found = self.accuracy(arb(0))
            if not found.is_finite():
                return -1
            return 0 if found == 0 or found.contains(0) else (1 if found > 0 else -1)
        found = self.accuracy(arb(x))
        return 1 if found > 0 else (-1 if found < 0 else 0)


def peak(
    worth: Worth, kind: str, slope: Any, low: float, high: float, *, tolerance: float = 1e-14
) -> tuple[float, float]:
    """Floats below and above the largest of value (or target) less slope times data, over [low, high].

    By branch and bound: where the derivative has one sign the largest is at an end, and where the function is
    concave it is at most f(c) + f'(c)^2 / (2 k), k the least bend; else cells are halved, until both floats are
    within a `tolerance` of the largest value.
    """
    slope = arb(slope)

    def profit(x: float) -> Any:
        return worth.at(kind, x) - slope * arb(x)

    start = min(max(low, worth.floor_high), high)
    ends = profit(low), profit(start), profit(high)
    best = max(lower(end) for end in ends)
    most = max(upper(end) for end in ends)
    scale = upper(worth.top(kind))
    waiting = [(start, high)]
    # Below the floor there is no value: the largest is at the lower end.
    if low < worth.floor_high:
        most = max(most, upper(worth.at(kind, worth.floor_high) - slope * arb(low)) if start > low else most)
    while waiting:
        a, b = waiting.pop()
        if not b > a:
            continue
        simple = upper(worth.at(kind, b) - slope * arb(a))
        if simple <= max(best + (tolerance if tolerance > 1e-12 else 0.0) * scale, most):
            most = max(most, simple)
            continue
        middle = _middle(a, b)
        bound = _concave_peak(worth, kind, slope, a, b)
        best = max(best, lower(profit(middle)))
        if bound is not None and bound <= max(best + tolerance * scale, most):
            most = max(most, bound)
            continue
        if not a < middle < b or b - a <= 1e-13 * b:
            most = max(most, min(simple, simple if bound is None else bound))
            continue
        waiting += [(a, middle), (middle, b)]
    return best, max(most, best)


def _middle(a: float, b: float) -> float:
    return float(np.sqrt(a) * np.sqrt(b)) if a > 0.0 and b > 4.0 * a else 0.5 * (a + b)


def _concave_peak(worth: Worth, kind: str, slope: Any, a: float, b: float) -> float | None:
    """A bound over [a, b] by derivatives; None if there is none."""
    x = between(a, b)
    if not x > 0 and not b > 0.0:
        return None
    _, first, second = worth.coefficients(kind, x, 3)
    first = first - slope
    if not first.is_finite():
        return None
    if first >= 0:
        return upper(worth.at(kind, b) - slope * arb(b))
    if first <= 0:
        return upper(worth.at(kind, a) - slope * arb(a))
    if not second < 0:
        return None
    middle = arb(_middle(a, b))
    level, incline, *_ = worth.coefficients(kind, middle, 2)
    steep = incline - slope
    return upper(level - slope * middle + steep * steep / (-second * 4))
