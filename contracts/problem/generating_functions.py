"""Laws of the number of participants from their probability generating functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from contracts.errors import InvalidInput
from contracts.problem.participants import FiniteTurnout

FINEST_CIRCLE = 2**17


def generated_turnout(function: Callable[[Any], Any]) -> FiniteTurnout:
    """The law whose generating function is given.

    The coefficients of z -> E z^N are read off its values on the unit circle (discrete Fourier transform), on
    circles of twice as many points until nothing changes.

    Args:
        function: the generating function, for complex numbers of modulus at most 1 (arrays of them, or one by
            one).

    Raises:
        InvalidInput: the function is no probability generating function (a negative coefficient, a sum other
            than 1, no power series), or its counts reach beyond 131,072.

    >>> import numpy as np
    >>> law = generated_turnout(lambda z: np.exp(20.0 * (z - 1.0)))
    >>> round(law.mean, 9), round(law.variance, 9)
    (20.0, 20.0)
    >>> generated_turnout(lambda z: 2.0 * z**3 - z**2)
    Traceback (most recent call last):
    contracts.errors.InvalidInput: participants: coefficient 2 of the generating function is -1: expected >= 0
    """
    points, coefficients = 64, _coefficients(function, 64)
    while points < FINEST_CIRCLE:
        points *= 2
        finer = _coefficients(function, points)
        settled = np.abs(finer[: points // 2] - coefficients).max() <= 1e-13
        coefficients = finer
        if settled and np.abs(finer[points // 2 :]).max() <= 1e-13:
            return _probabilities(coefficients[: points // 2])
    _check(coefficients)
    raise InvalidInput(
        f"participants: the generating function's coefficients do not vanish up to {FINEST_CIRCLE}: expected a"
        " power series with fewer terms that matter"
    )


def _coefficients(function: Callable[[Any], Any], points: int) -> np.ndarray:
    circle = np.exp(2j * np.pi * np.arange(points) / points)
    try:
        values = np.asarray(function(circle), dtype=complex)
        if values.shape != circle.shape:
            values = np.array([complex(function(z)) for z in circle])
    except Exception as error:
        raise InvalidInput(
            f"participants: the generating function fails on complex numbers of modulus 1 ({error})"
        ) from error
    if not np.isfinite(values).all():
        raise InvalidInput("participants: the generating function is not finite on the unit circle")
    found = np.fft.fft(values) / points
    if np.abs(found.imag).max() > 1e-10:
        raise InvalidInput("participants: the generating function has coefficients that are not real numbers")
    return found.real


def _check(coefficients: np.ndarray) -> None:
    for count in np.flatnonzero(coefficients < -1e-12):
        raise InvalidInput(
            f"participants: coefficient {count} of the generating function is {coefficients[count]:g}:"
            " expected >= 0"
        )
    total = float(coefficients.sum())
    if abs(total - 1.0) > 1e-9:
        raise InvalidInput(
            f"participants: the generating function is {total:.9g} at 1: expected 1 (probabilities sum to 1)"
        )


def _probabilities(coefficients: np.ndarray) -> FiniteTurnout:
    _check(coefficients)
    mass = np.where(coefficients > 1e-15, coefficients, 0.0)
    counts = np.flatnonzero(mass)
    return FiniteTurnout(counts=counts, probabilities=mass[counts] / mass.sum())
