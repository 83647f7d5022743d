"""Balls: numbers with a proved bound of their error (Arb, by python-flint), and vectors of them.

Floats are taken as the exact binary numbers that they are; every operation rounds outwards.

Source: F. Johansson, "Arb: efficient arbitrary-precision midpoint-radius interval arithmetic", IEEE Trans.
Comput. 2017.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from typing import Any

import numpy as np
from flint import arb, arb_series, ctx, fmpq

from contracts.proof.soundness import ProofRefused

BITS = 160  # of midpoints: differences of nearly equal losses keep more than a float's accuracy
OPEN = "not proved rigorously: "
MOST_POWER = 10_000  # exponents for which numbers that may be zero are multiplied out


class NotRigorous(ProofRefused):
    """What is asked for is not proved with balls; the message says what."""

    def __str__(self) -> str:
        return f"{OPEN}{super().__str__()}"


@contextmanager
def precision(bits: int = BITS) -> Iterator[None]:
    """Compute with midpoints of so many bits."""
    before = ctx.prec
    ctx.prec = bits
    try:
        yield
    finally:
        ctx.prec = before


def ball(value: Any) -> Any:
    """A float, a whole number or a fraction, exactly (fractions to the last bit)."""
    if isinstance(value, Fraction):
        return arb(fmpq(value.numerator, value.denominator))
    return arb(value) if isinstance(value, int) else arb(float(value))


def balls(values: Iterable[Any]) -> np.ndarray:
    """A vector of them."""
    return vector_of(ball(value) for value in values)


def fractions(values: Any) -> list[Fraction]:
    """Floats as the fractions that they are."""
    return [Fraction(float(value)) for value in np.asarray(values).tolist()]


def between(low: Any, high: Any) -> Any:
    """The ball of all numbers from `low` to `high`."""
    return arb(low).union(arb(high))


def upper(value: Any) -> float:
    """A float that is not below; infinite where nothing is known."""
    return _outwards(arb(value).upper(), np.inf)


def lower(value: Any) -> float:
    """A float that is not above; minus infinity where nothing is known."""
    return _outwards(arb(value).lower(), -np.inf)


def _outwards(end: Any, away: float) -> float:
    if not end.is_finite():
        return away
    found = float(end)
    step = found if arb(found) == end else float(np.nextafter(found, away))
    return step if np.isfinite(step) else away


def where(mask: Any, yes: Any, no: Any) -> np.ndarray:
    """Balls by a mask."""
    return np.where(mask, yes, no)


def vector_of(values: Any) -> np.ndarray:
    """Balls as a vector."""
    found = list(values)
    vector = np.empty(len(found), dtype=object)
    vector[:] = found
    return vector


def largest(values: Iterable[Any], start: Any) -> Any:
    """The largest of some balls and of one more."""
    most = arb(start)
    for value in values:
        most = arb.max(most, arb(value))
    return most


def power(base: Any, exponent: int) -> Any:
    """A whole power, of balls that hold zero too."""
    if base > 0 or exponent > MOST_POWER:
        return arb(base) ** exponent
    found, square = arb(1), arb(base)
    while exponent:
        found = found * square if exponent & 1 else found
        square, exponent = square * square, exponent >> 1
    return found


def taylor(function: Any, centre: Any, terms: int) -> list[Any]:
    """Taylor coefficients of a function at a ball (those of every point of it), the first `terms`."""
    before = ctx.cap
    ctx.cap = terms
    try:
        found = function(arb_series([arb(centre), 1], prec=terms))
        return [found[k] for k in range(terms)]
    finally:
        ctx.cap = before
