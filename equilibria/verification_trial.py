"""Does verification work? Repeat it with fresh samples, and count.

Where the theorem's condition fails this is all there is; where it holds, it confirms it.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from jaxtyping import Float

from contracts.checks import integer, number
from contracts.errors import InvalidInput
from contracts.records import frozen
from equilibria.participation import ParticipationGame
from equilibria.verified import VerifiedRule
from mechanisms.verification import simulate_estimates


@frozen
class VerificationTrial:
    """How often the truthful grand coalition was a Nash equilibrium in repeated verification.

    Attributes:
        runs: independent repetitions.
        equilibria: in how many the grand coalition was a Nash equilibrium.
        interval: exact (Clopper-Pearson) confidence interval of the frequency.
        level: confidence of the interval.
        within_radius: in how many runs all estimates were within the radius.
        least_surpluses: smallest surplus of any agent in each run, at the true types, shape (runs,).
        total_surpluses: total surplus in each run, shape (runs,).
    """

    runs: int
    equilibria: int
    interval: tuple[float, float]
    level: float
    within_radius: int
    least_surpluses: Float[np.ndarray, " runs"]
    total_surpluses: Float[np.ndarray, " runs"]

    @property
    def frequency(self) -> float:
        """Fraction of runs in which the grand coalition was a Nash equilibrium."""
        return self.equilibria / self.runs

    def __str__(self) -> str:
        low, high = self.interval
        return (
            f"grand coalition Nash in {self.equilibria} of {self.runs} runs ({self.frequency:.3f}, exact "
            f"{self.level:.0%} interval {low:.3f} to {high:.3f}); "
            f"mean surplus {self.total_surpluses.mean():.4g}"
        )


def verification_trial(
    game: ParticipationGame, rule: VerifiedRule, *, runs: int = 1000, level: float = 0.95, seed: int = 0
) -> VerificationTrial:
    """Repeat verification with fresh samples and count how often the truthful grand coalition is Nash.

    A run in which a truthful agent is refused counts as a failure: that agent would rather lie or stay out.

    Args:
        game: the participation game, at the true types.
        rule: the verified rule; its estimates are redrawn in every run.
        runs: number of repetitions, up to a million.
        level: confidence of the exact interval of the frequency.
        seed: of all draws.

    Returns:
        The count with its exact confidence interval, and the surpluses of every run.

    Raises:
        InvalidInput: an argument outside its range.

    >>> from equilibria.participation import ParticipationGame
    >>> game = ParticipationGame(types=[0.1, 0.2, 0.6], loss_weight=1.0, complexity=40.0, cost=3.125e-7)
    >>> verification_trial(game, VerifiedRule(samples=36000), runs=20).frequency
    1.0
    """
    from scipy import stats

    if rule.samples is None:
        raise InvalidInput(
            "rule: expected one with samples, whose estimates can be drawn anew from the true types"
        )
    confidence = number("level", level, low=0.0, high=1.0, open_low=True, open_high=True)
    draws = simulate_estimates(
        game.types,
        samples=rule.samples,
        trusted_samples=rule.trusted_samples,
        trusted_loss=rule.trusted_loss,
        runs=integer("runs", runs, low=1, high=1_000_000),
        seed=seed,
    )
    everybody = game.profile("all")
    radius = rule.radius(game)
    within = (np.abs(draws - game.types) <= radius).all(axis=1)
    surpluses = np.stack([replace(rule, estimates=draw).surpluses(game, everybody) for draw in draws])
    refused = ~np.stack([replace(rule, estimates=draw).accepted(game, everybody) for draw in draws])
    nash = (surpluses >= -game.tolerances).all(axis=1) & ~refused.any(axis=1)
    interval = stats.binomtest(int(nash.sum()), runs).proportion_ci(confidence, method="exact")
    return VerificationTrial(
        runs=runs,
        equilibria=int(nash.sum()),
        interval=(float(interval.low), float(interval.high)),
        level=confidence,
        within_radius=int(within.sum()),
        least_surpluses=surpluses.min(axis=1),
        total_surpluses=surpluses.sum(axis=1),
    )
