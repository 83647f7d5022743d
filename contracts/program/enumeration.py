"""Every outcome of who takes part, and how likely it is: for the coordinator and as each type believes."""

from __future__ import annotations

from math import comb
from typing import NamedTuple

import numpy as np
from scipy.special import gammaln, xlogy

from contracts.problem.outcomes import compositions

MOST_OUTCOMES = 12_000


class Outcomes(NamedTuple):
    """All numbers of participants of each type.

    Attributes:
        counts: n, shape (outcomes, types).
        prior: probability of each outcome, shape (outcomes,).
        believed: probability as a participant of each type sees it, shape (outcomes, types).
    """

    counts: np.ndarray
    prior: np.ndarray
    believed: np.ndarray


def number_of_outcomes(types: int, participants: int) -> int:
    """How many different groups of so many participants there are."""
    return comb(participants + types - 1, types - 1) if types + participants < 10_000 else 10**18


def outcomes(probabilities: np.ndarray, participants: int, belief: str) -> Outcomes:
    """Enumerate the outcomes of positive probability (for the coordinator or for anybody)."""
    counts = compositions(participants, probabilities.size)
    prior = _multinomial(counts, probabilities)
    # One's own type is certain; the others are drawn.
    others = np.stack(
        [_multinomial(_less_one(counts, i), probabilities) for i in range(counts.shape[1])], axis=1
    )
    if belief == "interim":
        believed = others
    else:
        occurs = -np.expm1(participants * np.log1p(-np.minimum(probabilities, 1.0 - 1.2e-16)))
        safe = np.where(probabilities > 0, occurs, 1.0)
        # A type that never occurs believes what ever rarer ones do.
        believed = np.where(probabilities > 0, prior[:, None] * (counts > 0) / safe, others)
    kept = (prior > 0) | (believed > 0).any(axis=1)
    return Outcomes(counts[kept].astype(float), prior[kept], believed[kept])


def _less_one(counts: np.ndarray, i: int) -> np.ndarray:
    fewer = counts.copy()
    fewer[:, i] -= 1
    return fewer


def _multinomial(counts: np.ndarray, p: np.ndarray) -> np.ndarray:
    possible = (counts >= 0).all(axis=1)
    inside = np.maximum(counts, 0)
    total = inside.sum(axis=1)
    with np.errstate(divide="ignore"):
        logs = gammaln(total + 1) - gammaln(inside + 1).sum(axis=1) + xlogy(inside, p).sum(axis=1)
    return np.where(possible, np.exp(logs), 0.0)
