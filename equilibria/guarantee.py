"""What the theorem on the verified rule promises for a game, and how many samples it would need."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from scipy import optimize

from mechanisms.verification import log_term

if TYPE_CHECKING:
    from equilibria.participation import ParticipationGame
    from equilibria.verified import VerifiedRule


@dataclass(frozen=True, kw_only=True, eq=False)
class Guarantee:
    """What the theorem promises for a rule and a game, and what it would need.

    Attributes:
        holds: whether 2 a eps + c q <= c n0, the theorem's condition.
        confidence: probability with which the truthful grand coalition is a Nash equilibrium; zero if the
            condition fails, because then nothing is proved.
        radius: eps, how far estimates may be from the truth.
        slack: s = 2 a eps, in units of utility.
        verification_cost: c q charged to each agent, zero when samples are free.
        budget: c n0, what slack and verification cost may use together.
        ex_ante_gain: bound on the expected gain of any deviation chosen before the samples are drawn,
            (1 - confidence) times the range of payoffs; infinite if the condition fails.
        samples_needed: fewest samples for each agent that meet the condition, None if no number does.
        least_complexity: smallest complexity for which some number of paid samples, with as many trusted
            ones, meets the condition; zero when samples are free.
    """

    holds: bool
    confidence: float
    radius: float
    slack: float
    verification_cost: float
    budget: float
    ex_ante_gain: float
    samples_needed: int | None
    least_complexity: float

    def __str__(self) -> str:
        used = self.slack + self.verification_cost
        if self.holds:
            return (
                f"proved: the truthful grand coalition is a Nash equilibrium with probability at least "
                f"{self.confidence:g} (slack plus verification {used:.4g} <= {self.budget:.4g})"
            )
        if used <= self.budget:
            return "nothing is proved: the slack is below the theorem's 2 a eps. Measure the frequency instead"
        need = (
            "no number of samples would do"
            if self.samples_needed is None
            else f"{self.samples_needed} samples from each agent would do"
        )
        if self.samples_needed is None and self.least_complexity > 0:
            need += f", the complexity would have to be at least {self.least_complexity:.4g}"
        return (
            f"nothing is proved: slack plus verification {used:.4g} exceeds the standalone cost "
            f"{self.budget:.4g}; {need}. Measure the frequency instead"
        )


def guarantee_of(rule: VerifiedRule, game: ParticipationGame) -> Guarantee:
    """What is proved about the truthful grand coalition of `game`; see `VerifiedRule.guarantee`."""
    budget = game.cost * game.standalone_contribution
    radius, charge = rule.radius(game), rule.charge(game)
    slack = 2.0 * game.loss_weight * radius
    holds = slack + charge <= budget and rule.slack_factor == 1.0
    spread = 3.0 * game.loss_weight + game.standalone_loss + charge
    return Guarantee(
        holds=holds,
        confidence=rule.confidence if holds else 0.0,
        radius=radius,
        slack=slack,
        verification_cost=charge,
        budget=budget,
        ex_ante_gain=(1.0 - rule.confidence) * spread if holds else math.inf,
        samples_needed=_samples_needed(rule, game),
        least_complexity=_least_complexity(rule, game) if rule.paid else 0.0,
    )


def _samples_needed(rule: VerifiedRule, game: ParticipationGame) -> int | None:
    """Fewest samples with 2 a eps(q) + c q <= c n0: convex in q, so bisect to the left of the minimum."""
    most = max(1, math.floor(game.standalone_contribution)) if rule.paid else 2**53
    budget = game.cost * game.standalone_contribution

    def excess(samples: int) -> float:
        trial = replace(rule, samples=samples, estimates=None, reports=None)
        return 2.0 * game.loss_weight * trial.radius(game) + trial.charge(game) - budget

    # In log q both terms are convex and their sum has one minimum.
    span = (0.0, math.log(most))
    least: Any = optimize.minimize_scalar(lambda q: excess(round(math.exp(q))), bounds=span, method="bounded")
    low, high = 0, min(most, max(1, round(math.exp(least.x))))
    if excess(high) > 0:
        return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if excess(middle) <= 0 else (middle, high)
    return high


def _least_complexity(rule: VerifiedRule, game: ParticipationGame) -> float:
    """alpha at which the best number of paid samples, q*, just uses the budget: 3 c q* = c n0."""
    logarithm = log_term(agents=game.players, probes=rule.probes, confidence=rule.confidence)
    best = (game.loss_weight * math.sqrt(logarithm) / game.cost) ** (2.0 / 3.0)
    return (3.0 * best) ** (1.0 + game.exponent) * game.cost / (game.loss_weight * game.exponent)
