"""Between which factors a mixture of exponentials stands for a loss, on covering intervals.

On each interval the mixture less a multiple of the loss is a Taylor polynomial with a remainder that holds for
all of it (Lagrange's form, its coefficient enclosed over the whole interval); intervals are halved until what is
enclosed is about what is found at points. Beyond the end of the range both are at most what they are there.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from flint import arb

from contracts.proof.intervals.ball import NotRigorous, between, lower, taylor, upper
from contracts.proof.intervals.world_balls import VALUE, Worth, _middle
from contracts.records import Keyed

TERMS = 12
NEGLIGIBLE = 1e-14  # of the largest loss: where a mixture is less, it need not stand for the loss
FINE = 2e-11  # relative: to which intervals are halved
MOST_INTERVALS = 6000
PARTS = 8


class Cover(NamedTuple):
    """low L <= M <= high L on [start, end]; beyond, M is at most `left` and L at most `lost`.

    Attributes:
        low, high: bounds of mixture / loss.
        left, lost: the mixture and the loss at the end.
        complete: whether the end is that of the range asked for.
        floor_factor: bound of the mixture at zero data, as a multiple of the largest loss.
    """

    low: float
    high: float
    left: Any
    lost: Any
    complete: bool
    floor_factor: float


def cover(worth: Worth, kind: str, rates: np.ndarray, weights: np.ndarray, most: float) -> Cover:
    """Compare a mixture with the loss of value or of the target, above the floor.

    Args:
        worth: what data are worth.
        kind: VALUE or TARGET.
        rates, weights: floats >= 0, shape (terms,).
        most: the most data that matter.

    Raises:
        NotRigorous: these are no mixture, or its distance from the curve has no bound.
    """
    sound = rates.ndim == 1 and rates.shape == weights.shape and np.isfinite([rates, weights]).all()
    if not sound or (rates < 0.0).any() or (weights < 0.0).any():
        raise NotRigorous("the proof's mixture has rates or weights that are negative or no numbers")
    kind = VALUE if worth.target_is_value else kind
    key = (id(worth), kind, rates.tobytes(), weights.tobytes(), most)
    return _covered(Keyed(key, (worth, kind, rates, weights, most)))


@lru_cache(maxsize=64)
def _covered(keyed: Keyed) -> Cover:
    worth, kind, rates, weights, most = keyed.value
    kept = weights > 0.0
    mixture = _Mixture([arb(s) for s in rates[kept].tolist()], [arb(w) for w in weights[kept].tolist()])
    top, start = worth.top(kind), worth.floor_high
    end = max(most, start)
    reach, far = upper(top) * NEGLIGIBLE, end
    if upper(mixture.at(arb(end))) < reach:
        near = max(start, 1e-12 * end)
        for _ in range(60):
            middle = _middle(near, far)
            near, far = (near, middle) if upper(mixture.at(arb(middle))) < reach else (middle, far)
    complete, end = far >= end, far
    low, high = _between(worth, kind, mixture, start, end)
    if start > 0.0:  # across the floor itself
        loss = worth.top(kind) - worth.at(kind, arb(start))
        high = max(high, upper(mixture.at(arb(worth.floor_low)) / loss))
        low = min(low, lower(mixture.at(arb(start)) / top))
    lost = worth.loss(kind, arb(end)) if end > 0.0 else top
    return Cover(low, high, mixture.at(arb(end)), lost, complete, upper(mixture.at(arb(0)) / top))


class _Mixture:
    def __init__(self, rates: list[Any], weights: list[Any]):
        self.rates, self.weights = rates, weights

    def at(self, x: Any) -> Any:
        return self.coefficients(x, 1)[0]

    def coefficients(self, x: Any, terms: int) -> list[Any]:
        """Taylor coefficients at every point of a ball."""
        found = [arb(0)] * terms
        for s, w in zip(self.rates, self.weights, strict=True):
            term = w * (x * -s).exp()
            for k in range(terms):
                found[k] = found[k] + term
                term = term * -s / (k + 1)
        return found

    def last(self, x: float, order: int) -> Any:
        """A bound of the coefficient of some order at all points from x on."""
        at = arb(x)
        return sum(
            (w * (at * -s).exp() * s**order for s, w in zip(self.rates, self.weights, strict=True)), arb(0)
        ) / arb.fac_ui(order)


def _between(worth: Worth, kind: str, mixture: _Mixture, start: float, end: float) -> tuple[float, float]:
    waiting, looked = [(start, end)] if end > start else [], 0
    first = _ratio(worth, kind, mixture, start) if start > 0.0 or not waiting else arb(1)
    low, high = lower(first), upper(first)
    while waiting:
        a, b = waiting.pop()
        looked += 1
        middle = _middle(a, b)
        point = _ratio(worth, kind, mixture, middle)
        low, high = min(low, lower(point)), max(high, upper(point))
        smallest, largest = _enclosed(worth, kind, mixture, a, b, float(point.mid()))
        fits = smallest >= low - FINE and largest <= high + FINE
        small = looked > MOST_INTERVALS or not a < middle < b or b - a <= 1e-12 * b
        if fits or small:
            low, high = min(low, smallest), max(high, largest)
            if not np.isfinite(high):
                raise NotRigorous("the mixture's distance from the curve has no bound")
            continue
        waiting += [(middle, b), (a, middle)]
    return low, high


def _ratio(worth: Worth, kind: str, mixture: _Mixture, x: float) -> Any:
    return mixture.at(arb(x)) / worth.loss(kind, arb(x))


def _enclosed(
    worth: Worth, kind: str, mixture: _Mixture, a: float, b: float, about: float
) -> tuple[float, float]:
    """Floats between which mixture / loss lies on [a, b], which is `about` that in the middle."""
    above, below = worth.loss(kind, arb(a)), worth.loss(kind, arb(b))
    if a == 0.0:
        above = worth.top(kind)
    if not below > 0:
        return -np.inf, np.inf
    plain = lower(mixture.at(arb(b)) / above), upper(mixture.at(arb(a)) / below)
    terms = 2 if worth.breaks(between(a, b)) else TERMS
    middle = _middle(a, b)
    radius = arb.max(arb(b) - arb(middle), arb(middle) - arb(a)).upper()
    if not radius < arb(middle) * 0.9 and worth.floor_high > 0.0:
        return plain
    at = taylor(lambda x: worth.loss(kind, x), arb(middle), terms)
    whole = taylor(lambda x: worth.loss(kind, x), between(a, b), terms + 1)[terms]
    if not whole.is_finite() or not all(c.is_finite() for c in at):
        return plain
    mixed = mixture.coefficients(arb(middle), terms)
    difference = [m - c * about for m, c in zip(mixed, at, strict=True)]
    error = (abs(whole * about) + mixture.last(a, terms)).upper() * radius**terms
    found = []
    for k in range(PARTS):
        t = between(radius * (2 * k - PARTS) / PARTS, radius * (2 * k + 2 - PARTS) / PARTS)
        y = arb(0)
        for c in difference[::-1]:
            y = y * t + c
        found.append(y)
    least, most = min(lower(y) for y in found), max(upper(y) for y in found)
    least, most = arb(least) - error, arb(most) + error
    smallest = about + least / (below if least < 0 else above)
    largest = about + most / (below if most > 0 else above)
    return max(lower(smallest), plain[0]), min(upper(largest), plain[1])
