"""Accuracy curves and valuations over balls and power series, by formulas of their own.

A curve is evaluated above its floor only; where that begins is enclosed by two floats. Curves through points are
polynomials between them: over a ball that touches several, what is found holds in each (function, slope and
bend, no more).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from flint import arb

from contracts.problem.accuracy import (
    AccuracyCurve,
    Arctan,
    Exponential,
    GeneralizationBound,
    Hill,
    MonotoneTabulated,
    PowerLaw,
    Tabulated,
    Weibull,
)
from contracts.problem.sigmoid import NOTHING
from contracts.problem.valuation import (
    ExponentialUtility,
    LinearValuation,
    LogarithmicValuation,
    LossValuation,
    PowerValuation,
    Valuation,
)
from contracts.proof.intervals.ball import NotRigorous, ball, balls, between

Formula = Callable[[Any], Any]


class Smooth(NamedTuple):
    """An accuracy curve above its floor.

    Attributes:
        accuracy: not below zero there; of balls or of series.
        optimum: what it never exceeds.
        safe: amounts up to here have accuracy zero, whatever the formula says.
        knots: where its third derivative jumps, rising.
    """

    accuracy: Formula
    optimum: Any
    safe: float = 0.0
    knots: tuple[Any, ...] = ()


def curve_balls(curve: AccuracyCurve) -> Smooth:
    """A curve over balls.

    Raises:
        NotRigorous: the curve is of a family that has no formula here.
    """
    for family, make in MAKERS.items():
        if type(curve) is family:
            return make(curve)
    raise NotRigorous(
        f"a curve of the family {getattr(curve, 'family', type(curve).__name__)!r} has no enclosure"
    )


def _power_law(curve: PowerLaw) -> Smooth:
    top, scale, exponent = ball(curve.optimum), ball(curve.coefficient), ball(curve.exponent)
    return Smooth(lambda x: top - (x.log() * -exponent).exp() * scale, top)


def _bound(curve: GeneralizationBound) -> Smooth:
    top, k = ball(curve.optimum), ball(curve.complexity)

    def accuracy(x: Any) -> Any:
        return top - (((x / k).log() + 2) * (k * 2)).sqrt() / x.sqrt() - arb(4) / x.sqrt()

    # Up to k data the loss is above 1: there its root is at least 1.47 sqrt(k) (or the curve cut off).
    return Smooth(accuracy, top, safe=float(curve.complexity))


def _exponential(curve: Exponential) -> Smooth:
    top, rate = ball(curve.optimum), ball(curve.rate)
    return Smooth(lambda x: top - (x * -rate).exp() * top, top)


def _arctan(curve: Arctan) -> Smooth:
    top, scale = ball(curve.optimum), ball(curve.scale)
    return Smooth(lambda x: (x / scale).atan() * (top * 2 / arb.pi()), top)


def _weibull(curve: Weibull) -> Smooth:
    def left(power: Any) -> Any:
        return (-power).exp()

    return _sigmoid(curve, left)


def _hill(curve: Hill) -> Smooth:
    return _sigmoid(curve, lambda power: 1 / (power + 1))


def _sigmoid(curve: Any, left: Formula) -> Smooth:
    """Straight up to next to nothing, then by the share of the loss that is left at (data / scale)**exponent."""
    top, scale, exponent = ball(curve.optimum), ball(curve.scale), ball(curve.exponent)
    nothing = ball(NOTHING)
    start, slope = nothing * scale, top * (nothing.log() * exponent).exp() / (nothing * scale)

    def accuracy(x: Any) -> Any:
        at = x if isinstance(x, arb) else x[0]
        found = None
        if not at < start:
            inside = arb.max(at, start) if isinstance(x, arb) else x
            found = top * (1 - left(((inside / scale).log() * exponent).exp()))
        if not at > start:
            straight = x * slope
            found = straight if found is None else _hull(found, straight)
        return found

    return Smooth(accuracy, top, knots=(start,))


class _Pieces:
    """Polynomials in x - start, each from its start to the next one's."""

    def __init__(self, starts: list[Any], polynomials: list[list[Any]]):
        self.starts, self.polynomials = starts, polynomials

    def __call__(self, x: Any) -> Any:
        at = x if isinstance(x, arb) else x[0]
        last = len(self.starts) - 1
        found = None
        for k, (start, coefficients) in enumerate(zip(self.starts, self.polynomials, strict=True)):
            if (k > 0 and at < start) or (k < last and at > self.starts[k + 1]):
                continue
            y = _horner(coefficients, x - start)
            found = y if found is None else _hull(found, y)
        return found


def _horner(coefficients: list[Any], x: Any) -> Any:
    found = x * 0 + coefficients[-1]
    for coefficient in coefficients[-2::-1]:
        found = found * x + coefficient
    return found


def _hull(first: Any, second: Any) -> Any:
    if isinstance(first, arb):
        return first.union(second)
    terms = max(first.prec, second.prec)
    return type(first)([first[k].union(second[k]) for k in range(terms)], prec=terms)


def _points(curve: Any) -> tuple[np.ndarray, np.ndarray]:
    return balls([0.0, *curve.data]), balls([0.0, *curve.accuracy])


def _pieces(starts: list[Any], polynomials: list[list[Any]], end: Any, top: Any) -> Smooth:
    return Smooth(_Pieces([*starts, end], [*polynomials, [top]]), top, knots=(*starts[1:], end))


def _tabulated(curve: Tabulated) -> Smooth:
    x, y = _points(curve)
    secant = (y[1:] - y[:-1]) / (x[1:] - x[:-1])
    middle = [a * b * 2 / (a + b) if a + b > 0 else arb(0) for a, b in zip(secant[1:], secant[:-1], strict=True)]
    first = secant[0] * 2 - (middle[0] if middle else 0)
    slope = [first, *middle, arb(0)]
    starts, polynomials = [], []
    for k, rise in enumerate(secant):
        width, spread = x[k + 1] - x[k], slope[k] - slope[k + 1]
        share = (rise - slope[k + 1]) / spread if spread > 0 else arb(0.5)
        share = arb.min(arb.max(share, arb(1e-9)), arb(1) - arb(1e-9))
        left, right = width * share, width * (1 - share)
        bend = rise * 2 - (slope[k] * left + slope[k + 1] * right) / width
        starts += [x[k], x[k] + left]
        polynomials.append([y[k], slope[k], (bend - slope[k]) / (left * 2)])
        inner = y[k] + (slope[k] + bend) * left / 2
        polynomials.append([inner, bend, (slope[k + 1] - bend) / (right * 2)])
    return _pieces(starts, polynomials, x[-1], y[-1])


def _monotone(curve: MonotoneTabulated) -> Smooth:
    x, y = _points(curve)
    width, rise = x[1:] - x[:-1], y[1:] - y[:-1]
    secant, slope = rise / width, [rise[0] / width[0]]
    for k in range(1, len(secant)):
        first, second = width[k] * 2 + width[k - 1], width[k] + width[k - 1] * 2
        rising = secant[k] > 0 and secant[k - 1] > 0
        slope.append((first + second) / (first / secant[k - 1] + second / secant[k]) if rising else arb(0))
    slope.append(arb(0))
    polynomials = []
    for k, w in enumerate(width):
        begin, end = slope[k], slope[k + 1]
        square, cubic = (secant[k] * 3 - begin * 2 - end) / w, (begin + end - secant[k] * 2) / w**2
        polynomials.append([y[k], begin, square, cubic])
    return _pieces(list(x[:-1]), polynomials, x[-1], y[-1])


MAKERS: dict[type, Callable[[Any], Smooth]] = {
    PowerLaw: _power_law,
    GeneralizationBound: _bound,
    Exponential: _exponential,
    Arctan: _arctan,
    Weibull: _weibull,
    Hill: _hill,
    Tabulated: _tabulated,
    MonotoneTabulated: _monotone,
}


def worth_balls(valuation: Valuation, scale: Any) -> Formula:
    """A valuation over balls and series, at another scale.

    Raises:
        NotRigorous: the valuation is of a family that has no formula here.
    """
    if type(valuation) is LinearValuation:
        return lambda a: a * scale
    if type(valuation) is PowerValuation:
        return _power_of(ball(valuation.exponent), scale)
    if type(valuation) is ExponentialUtility:
        r = ball(valuation.risk_aversion)
        return lambda a: (1 - (a * -r).exp()) * (scale / (1 - (-r).exp()))
    if type(valuation) is LogarithmicValuation:
        k = ball(valuation.sensitivity)
        return lambda a: (a * k + 1).log() * (scale / (k + 1).log())
    if type(valuation) is LossValuation and valuation.of == "cross-entropy":
        reference = ball(valuation.reference)  # only above its score is anything asked: the baseline's
        return lambda a: (a.log() + reference) * (scale / reference)
    raise NotRigorous(f"a valuation of the class {type(valuation).__name__} has no enclosure")


def _power_of(exponent: Any, scale: Any) -> Formula:
    def worth(a: Any) -> Any:
        if isinstance(a, arb) and not a > 0:  # rising: from zero to the value of its upper end
            most = arb.max(a, arb(0)).upper()
            return between(0, (most.log() * exponent).exp() * scale if most > 0 else arb(0))
        return (a.log() * exponent).exp() * scale

    return worth
