r"""Exact expectations over who takes part, without enumerating the outcomes.

The numbers of participants of each type are multinomial, so for every rate s

    E exp(-s n·m) = phi(s)^N,   phi(s) = sum_j p_j exp(-s m_j),

and a loss that is a mixture of exponentials has its expectation at a cost of (types x terms), whatever the
number of participants N. What a participant of type i expects depends on its belief and is, for each rate, a
function R(m_i, l) of its own contribution and of l = log phi only:

    interim:  R = exp(-s m_i + (N-1) l)                    n = e_i + Multinomial(N-1, p)
    ex ante:  R = (phi^N - (phi - p_i e^{-s m_i})^N) / Z_i     n given n_i >= 1,  Z_i = 1 - (1-p_i)^N

so that all derivatives follow from those of R and from dl/dm_j = -s P_j, with the tilted probabilities
P_j = p_j exp(-s m_j) / phi. Every function takes the array library `xp` (NumPy or jax.numpy).

Where the number of participants is uncertain, G(phi) takes the place of phi^N and

    interim:  R = exp(-s m_i) G'(phi) / G'(1)
    ex ante:  R = (G(phi) - G(phi - p_i e^{-s m_i})) / (1 - G(1 - p_i)).

Source: ours; the ex-ante belief is that of the code of Wang et al., AAAI 2025 (arXiv 2412.11122).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from contracts.problem.participants import Turnout

# Below every probability that matters; keeps ratios such as P_i / p_i exact in the limit p_i -> 0.
SMALLEST_PROBABILITY = 1e-300


class Transform(NamedTuple):
    """The Laplace transform of one participant's contribution at each rate.

    Attributes:
        log_phi: l = log sum_j p_j exp(-s m_j), shape (terms,).
        tilted: P_j, shape (terms, types).
    """

    log_phi: Any
    tilted: Any


class Partials(NamedTuple):
    """R(m_i, l) for each rate and type, with its first and second derivatives; shapes (terms, types)."""

    value: Any
    by_own: Any
    by_log_phi: Any
    by_own_twice: Any
    by_both: Any
    by_log_phi_twice: Any


def transform(contribution: Any, probabilities: Any, rates: Any, xp: Any) -> Transform:
    """Evaluate l and P stably: relative to the least contribution, with expm1 and log1p."""
    least = xp.min(xp.where(probabilities > 0, contribution, xp.inf))
    excess = -rates[:, None] * (contribution - least)
    # Types that never occur may contribute less than the least that does: they must not overflow.
    shifted = xp.sum(probabilities * xp.expm1(xp.where(probabilities > 0, excess, 0.0)), axis=-1)
    log_phi = -rates * least + xp.log1p(shifted)
    tilted = probabilities * xp.exp(xp.where(probabilities > 0, excess, 0.0)) / (1.0 + shifted)[:, None]
    return Transform(log_phi, tilted)


def interim(contribution: Any, _: Any, participants: Any, rates: Any, at: Transform, xp: Any) -> Partials:
    """R for participants who know their own type and expect N-1 others drawn from the population."""
    s, others = rates[:, None], participants - 1.0
    value = xp.exp(-s * contribution + others * at.log_phi[:, None])
    return Partials(
        value, -s * value, others * value, s * s * value, -s * others * value, others * others * value
    )


def ex_ante(
    contribution: Any, probabilities: Any, participants: Any, rates: Any, at: Transform, xp: Any
) -> Partials:
    """R for participants who expect a draw of all N given that their own type occurs in it."""
    s, n, log_phi = rates[:, None], participants, at.log_phi[:, None]
    p = xp.maximum(probabilities, SMALLEST_PROBABILITY)
    occurs = -xp.expm1(n * _log_complement(p, xp))
    own = xp.minimum(p * xp.exp(xp.minimum(-s * contribution - log_phi, 690.0)), 1.0)
    absent = _log_complement(own, xp)
    total = xp.exp(n * log_phi) / occurs
    once = xp.exp(-s * contribution + (n - 1.0) * log_phi) * (n * p / occurs)
    left1, left2 = xp.exp((n - 1.0) * absent), xp.exp((n - 2.0) * absent)
    lost1, lost2 = -xp.expm1((n - 1.0) * absent), -xp.expm1((n - 2.0) * absent)
    return Partials(
        value=-total * xp.expm1(n * absent),
        by_own=-s * once * left1,
        by_log_phi=n * total * lost1,
        by_own_twice=s * s * once * (left1 - (n - 1.0) * own * left2),
        by_both=-(n - 1.0) * s * once * left2,
        by_log_phi_twice=n * total * ((n - 1.0) * lost2 + lost1),
    )


def _log_complement(probability: Any, xp: Any) -> Any:
    """log(1 - probability), finite (about -36.7) for a sure event."""
    return xp.log1p(-xp.minimum(probability, 1.0 - 1.2e-16))


def interim_of_many(contribution: Any, _: Any, turnout: Turnout, rates: Any, at: Transform) -> Partials:
    """R for participants who know their own type, where their number is uncertain."""
    s, (power, slope, bend) = rates[:, None], turnout.others().log_power(at.log_phi)
    value = np.exp(-s * contribution + power[:, None])
    by_log = slope[:, None] * value
    return Partials(
        value, -s * value, by_log, s * s * value, -s * by_log, (bend + slope * slope)[:, None] * value
    )


def ex_ante_of_many(
    contribution: Any, probabilities: Any, turnout: Turnout, rates: Any, at: Transform
) -> Partials:
    """R for participants who expect a draw of all given that their own type occurs, their number uncertain."""
    s, log_phi = rates[:, None], at.log_phi[:, None]
    p = np.maximum(probabilities, SMALLEST_PROBABILITY)
    one, two = turnout.others(), turnout.others().others()
    first, second = turnout.mean, turnout.mean * one.mean  # G'(1), G''(1)
    occurs = turnout.lost(np.zeros(p.size), _log_complement(p, np))
    weight = p * np.exp(-s * contribution)
    absent = _log_complement(np.minimum(weight * np.exp(np.minimum(-log_phi, 690.0)), 1.0), np)
    phi, left = np.exp(log_phi), log_phi + absent
    left1 = first * np.exp(one.log_power(left).value)
    left2 = second * np.exp(two.log_power(left).value)
    lost1, lost2 = first * one.lost(log_phi, absent), second * two.lost(log_phi, absent)
    return Partials(
        value=turnout.lost(log_phi, absent) / occurs,
        by_own=-s * weight * left1 / occurs,
        by_log_phi=phi * lost1 / occurs,
        by_own_twice=s * s * weight * (left1 - weight * left2) / occurs,
        by_both=-s * weight * phi * left2 / occurs,
        by_log_phi_twice=phi * (lost1 + phi * lost2) / occurs,
    )


BELIEFS_OF_MANY: dict[str, Callable[..., Partials]] = {"interim": interim_of_many, "ex-ante": ex_ante_of_many}
BELIEFS: dict[str, Callable[..., Partials]] = {"interim": interim, "ex-ante": ex_ante}
