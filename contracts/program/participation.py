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

from contracts.problem.participants import LogPower

# Below every probability that matters: ratios such as P_i / p_i, and what is left of them, stay exact.
SMALLEST_PROBABILITY = 1e-150


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


class Known(NamedTuple):
    """A number of participants that is known, as a law of any array library (`FixedTurnout` for NumPy)."""

    mean: Any
    xp: Any

    def others(self) -> Known:
        """One less."""
        return Known(self.xp.maximum(self.mean - 1.0, 0.0), self.xp)

    def log_power(self, logs: Any) -> LogPower:
        """l N."""
        return LogPower(self.mean * logs, self.mean + 0.0 * logs, 0.0 * logs)

    def lost(self, logs: Any, less: Any) -> Any:
        """exp(l N) (1 - exp(a N))."""
        return -self.xp.exp(self.mean * logs) * self.xp.expm1(self.mean * less)


def interim(contribution: Any, _: Any, law: Any, rates: Any, at: Transform, xp: Any) -> Partials:
    """R for participants who know their own type and expect others drawn from the population."""
    s, (power, slope, bend) = rates[:, None], law.others().log_power(at.log_phi)
    value = xp.exp(-s * contribution + power[:, None])
    by_log = slope[:, None] * value
    return Partials(
        value, -s * value, by_log, s * s * value, -s * by_log, (bend + slope * slope)[:, None] * value
    )


def ex_ante(contribution: Any, probabilities: Any, law: Any, rates: Any, at: Transform, xp: Any) -> Partials:
    """R for participants who expect a draw of everybody given that their own type occurs in it."""
    s, log_phi = rates[:, None], at.log_phi[:, None]
    p = xp.maximum(probabilities, SMALLEST_PROBABILITY)
    one, two = law.others(), law.others().others()
    first, second = law.mean, law.mean * one.mean  # G'(1), G''(1)
    occurs = law.lost(xp.zeros(p.shape), _log_complement(p, xp))
    weight = p * xp.exp(-s * contribution)
    absent = _log_complement(xp.minimum(p * xp.exp(xp.minimum(-s * contribution - log_phi, 690.0)), 1.0), xp)
    phi, left = xp.exp(log_phi), log_phi + absent
    left1 = first * xp.exp(one.log_power(left).value)
    left2 = second * xp.exp(two.log_power(left).value)
    lost1, lost2 = first * one.lost(log_phi, absent), second * two.lost(log_phi, absent)
    return Partials(
        value=law.lost(log_phi, absent) / occurs,
        by_own=-s * weight * left1 / occurs,
        by_log_phi=phi * lost1 / occurs,
        by_own_twice=s * s * weight * (left1 - weight * left2) / occurs,
        by_both=-s * weight * phi * left2 / occurs,
        by_log_phi_twice=phi * (lost1 + phi * lost2) / occurs,
    )


def _log_complement(probability: Any, xp: Any) -> Any:
    """log(1 - probability), finite (about -36.7) for a sure event."""
    return xp.log1p(-xp.minimum(probability, 1.0 - 1.2e-16))


BELIEFS: dict[str, Callable[..., Partials]] = {"interim": interim, "ex-ante": ex_ante}
