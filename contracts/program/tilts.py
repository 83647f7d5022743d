"""Exponential tilts: the member of a Kullback-Leibler ball with the largest mean of given gains.

Source: the variational formula of Donsker and Varadhan (1975).
"""

from __future__ import annotations

import numpy as np
from scipy import special


def tilted(p: np.ndarray, gains: np.ndarray, radius: float) -> np.ndarray:
    """The member of a Kullback-Leibler ball with the largest mean gain, q_j in proportion to p_j exp(b gain_j).

    Args:
        p: the centre, shape (types,).
        gains: shape (rows, types).
        radius: >= 0.

    Returns:
        One member a row, shape (rows, types); the centre where all gains are equal.
    """
    gains = np.where(p > 0, gains, -np.inf)
    top = gains.max(axis=1, keepdims=True)
    best = gains >= top
    # Even all of the probability on the best types may be within reach.
    concentrated = np.where(best, p, 0.0)
    share = concentrated.sum(axis=1, keepdims=True)
    deviation = np.sqrt(np.maximum(_spread(gains, p), 0.0))[:, None]
    scale = np.where(deviation > 1e-14 * np.maximum(np.abs(top), 1e-300), deviation, np.inf)
    slack = np.where(p > 0, (np.where(p > 0, gains, 0.0) - top) / scale, -np.inf)
    log_p = np.log(np.where(p > 0, p, 1.0))
    low, high = np.full(top.shape, -20.0), np.full(top.shape, 40.0)  # of log b: bisection
    for _ in range(100):
        middle = 0.5 * (low + high)
        inside = _tilt_divergence(slack, log_p, np.exp(middle)) <= radius
        low, high = np.where(inside, middle, low), np.where(inside, high, middle)
    weight = np.exp(np.exp(low) * slack + log_p) * (p > 0)
    result = weight / weight.sum(axis=1, keepdims=True)
    result = np.where(-np.log(share) <= radius, concentrated / share, result)
    return np.where(np.isinf(scale) | (radius <= 0.0), p, result)


def _spread(gains: np.ndarray, p: np.ndarray) -> np.ndarray:
    finite = np.where(p > 0, gains, 0.0)
    mean = finite @ p
    return ((finite - mean[:, None]) ** 2) @ p


def _tilt_divergence(slack: np.ndarray, log_p: np.ndarray, strength: np.ndarray) -> np.ndarray:
    finite = np.where(np.isfinite(slack), slack, 0.0)
    exponent = np.where(np.isfinite(slack), strength * finite + log_p, -np.inf)
    log_total = special.logsumexp(exponent, axis=1, keepdims=True)
    q = np.exp(exponent - log_total)
    return (q * (strength * finite - log_total)).sum(axis=1, keepdims=True)
