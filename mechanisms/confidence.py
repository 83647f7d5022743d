"""Confidence sequences for the mean of bounded observations: intervals that may be looked at any time.

A gambler bets against every candidate mean m; if m is true the capital is a nonnegative martingale, and by
Ville's inequality exceeds 1/alpha at any time with probability at most alpha. The means against which neither
of two gamblers, one for each side and each with half of the money, has become that rich form the interval; it
holds at all times together, so one may stop when it is narrow. Nothing but the range is assumed, and it adapts
to the variance.

Source: I. Waudby-Smith, A. Ramdas, "Estimating means of bounded random variables by betting", JRSS B 2024 (the
hedged capital process with predictable plug-in bets).
"""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float

from contracts import checks

MOST_AT_STAKE = 0.5  # of the capital, so that no bet ends in ruin
HALVINGS = 40  # of the range, to find an end of the interval


def betting_interval(
    observations: Float[np.ndarray, "times series"], *, low: float, high: float, error: float
) -> tuple[Float[np.ndarray, " series"], Float[np.ndarray, " series"]]:
    """The interval for each series' mean after all of its observations, one of a confidence sequence.

    Args:
        observations: independent in time, each in [low, high].
        low, high: the range.
        error: the probability, in (0, 1), with which a series' intervals may ever miss its mean.

    Raises:
        InvalidInput: an observation outside the range, or an argument out of range.

    >>> flips = np.random.default_rng(0).integers(0, 2, (400, 1))
    >>> low, high = betting_interval(flips, low=0, high=1, error=0.05)
    >>> (low.round(2), high.round(2))
    (array([0.47]), array([0.65]))
    """
    low = checks.number("low", low)
    high = checks.number("high", high, low=low, open_low=True)
    error = checks.number("error", error, low=0, high=1, open_low=True, open_high=True)
    seen = checks.array("observations", observations, ndim=2)
    slack = 1e-12 * (high - low)  # of rounding
    seen = (checks.array("observations", seen, ndim=2, low=low - slack, high=high + slack) - low) / (high - low)
    seen = np.clip(seen, 0, 1)
    stakes = _bets(seen, error)
    below = _end(seen, stakes, math.log(2 / error))
    above = 1 - _end(1 - seen, stakes, math.log(2 / error))
    return low + (high - low) * below, low + (high - low) * above


def _bets(seen: np.ndarray, error: float) -> np.ndarray:
    """What is staked at each time, from what was seen before it: about the best for the variance so far."""
    times = np.arange(1, len(seen) + 1)[:, None]
    means = (0.5 + np.cumsum(seen, axis=0)) / (times + 1)
    variances = (0.25 + np.cumsum((seen - means) ** 2, axis=0)) / (times + 1)
    before = np.vstack([np.full((1, seen.shape[1]), 0.25), variances[:-1]])
    return np.sqrt(2 * math.log(2 / error) / (before * times * np.log1p(times)))


def _end(seen: np.ndarray, stakes: np.ndarray, wealth: float) -> np.ndarray:
    """The least mean against which betting on larger ones has not made that wealth (in logarithm)."""
    low, high = np.zeros(seen.shape[1]), np.ones(seen.shape[1])
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        factors = 1 + np.minimum(stakes, MOST_AT_STAKE / middle) * (seen - middle)
        rich = np.log(factors).sum(axis=0) >= wealth
        low, high = np.where(rich, middle, low), np.where(rich, high, middle)
    return low
