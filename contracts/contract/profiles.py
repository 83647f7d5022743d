"""Who signs what: all counts of options among some participants, and how likely they are.

Everybody signs each option with some probability and otherwise nothing, independently; a profile counts the
signatures of each option. All are listed, so this is for few options and few participants.
"""

from __future__ import annotations

from math import comb

import numpy as np
from scipy import special

from contracts.errors import InvalidInput
from contracts.problem.participants import Turnout

MOST_PROFILES = 200_000
NEVER = -1e5  # log of a probability of zero


def profiles(options: int, most: int) -> np.ndarray:
    """All counts of options by at most so many signers, shape (profiles, options).

    Raises:
        InvalidInput: there are too many to list.

    >>> profiles(2, 1).tolist()
    [[0, 0], [0, 1], [1, 0]]
    """
    size = comb(most + options, options)
    if size > MOST_PROFILES:
        raise InvalidInput(
            f"participants: {most} others who choose among {options} options make {size:,} profiles: expected at"
            f" most {MOST_PROFILES:,}"
        )
    found = np.zeros((1, 0), dtype=int)
    left = np.array([most])
    for _ in range(options):
        repeat = np.repeat(np.arange(left.size), left + 1)
        first = np.repeat(np.cumsum(left + 1) - (left + 1), left + 1)
        count = np.arange(repeat.size) - first
        found, left = np.c_[found[repeat], count], left[repeat] - count
    return found


def chances(listed: np.ndarray, signing: np.ndarray, number: Turnout) -> np.ndarray:
    """How likely each profile is.

    Args:
        listed: `profiles`, shape (profiles, options).
        signing: probability with which each participant signs each option, shape (..., options).
        number: the law of how many there are.

    Returns:
        Shape (..., profiles).
    """
    counts, mass = number.support
    signers = listed.sum(axis=1)
    nobody = np.clip(1.0 - signing.sum(axis=-1), 0.0, 1.0)
    nobody = np.where(nobody < 4e-16 * listed.shape[1], 0.0, nobody)
    with np.errstate(divide="ignore"):
        logs = np.maximum(np.log(signing), NEVER)
        log_nobody = np.maximum(np.log(nobody), NEVER)
    sizes = np.arange(int(signers.max(initial=0)) + 1)
    # Among n participants |k| sign: C(n, |k|) nobody^(n - |k|), on average over n.
    left = counts[:, None] - sizes
    ways = np.where(left >= 0, _log_choose(counts[:, None], sizes), -np.inf)
    ways = ways + np.log(mass)[:, None]
    many = np.exp(ways + np.maximum(left, 0) * log_nobody[..., None, None]).sum(axis=-2)
    orders = special.gammaln(signers + 1.0) - special.gammaln(listed + 1.0).sum(axis=1)
    return np.exp(orders + logs @ listed.T) * many[..., signers]


def _log_choose(n: np.ndarray, k: np.ndarray) -> np.ndarray:
    inner = np.maximum(n - k, 0)
    return special.gammaln(n + 1.0) - special.gammaln(k + 1.0) - special.gammaln(inner + 1.0)
