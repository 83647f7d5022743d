"""Bayesian participation: types drawn independently from a known distribution, each agent knowing only their
own.

An agent's gain from joining rises with their own type, whoever else joins, so symmetric equilibria are
thresholds: join if the type is at least tau. At an interior threshold the marginal type is indifferent,

    kappa - E[psi(1 + M)] = a (mu(tau) - tau) E[M / (1 + M)],    M ~ Binomial(J - 1, P(theta >= tau)),

mu(tau) the mean type above tau.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import integrate, optimize

from contracts.checks import brief, integer
from contracts.errors import InvalidInput
from contracts.records import frozen
from equilibria.inverse_moments import log_generating, shortfall
from equilibria.mixed import equal_share_rule, expected_saving
from equilibria.participation import ParticipationGame
from equilibria.pooled import ClubRule


@frozen
class ThresholdEquilibrium:
    """Join if and only if your type is at least the threshold.

    Attributes:
        threshold: the marginal type.
        participation: probability with which an agent joins.
        expected_size: expected number of members.
        marginal_gain: gain from joining of the marginal type; zero at interior thresholds, up to rounding.
        stable: whether types just below the threshold lose, and those just above gain, when it shifts a
            little.
    """

    threshold: float
    participation: float
    expected_size: float
    marginal_gain: float
    stable: bool


def bayesian_thresholds(
    game: ParticipationGame, distribution: Any, *, intervals: int = 400
) -> tuple[ThresholdEquilibrium, ...]:
    """All symmetric threshold equilibria for independently drawn types, up to the resolution of a scan.

    Args:
        game: supplies the number of agents, the constants and the rule (one of equal shares); its types are
            not used.
        distribution: of the types, continuous with bounded support: a frozen `scipy.stats` distribution.
        intervals: thresholds are bracketed on this many intervals of equal probability, 8 to 100,000.

    Returns:
        The equilibria from the lowest threshold to the highest. Everybody joins at a threshold equal to the
        lowest type; if even the highest type prefers to stay out, or is alone and indifferent, that is not
        listed.

    Raises:
        InvalidInput: the distribution has no bounded support, or the rule has unequal shares.

    >>> from scipy import stats
    >>> game = ParticipationGame(types=[0.0] * 10, loss_weight=1.0, complexity=40.0, cost=3.125e-7)
    >>> [round(e.threshold, 4) for e in bayesian_thresholds(game, stats.uniform(0, 1))]
    [0.866]
    """
    rule = equal_share_rule(game)
    if isinstance(rule, ClubRule):
        raise InvalidInput("rule = ClubRule(...): expected a rule that does not need to know the types")
    if not all(hasattr(distribution, name) for name in ("sf", "ppf", "support")):
        raise InvalidInput(f"distribution = {brief(distribution)}: expected a frozen scipy.stats distribution")
    lowest, highest = map(float, distribution.support())
    if not np.isfinite([lowest, highest]).all() or not lowest < highest:
        raise InvalidInput(f"distribution: expected bounded support, found [{lowest:g}, {highest:g}]")

    def gain(threshold: float) -> float:
        chance = float(distribution.sf(threshold))
        if chance <= 0.0:
            return float(game.standalone_loss - rule.group_loss(game, np.float64(1.0)))
        above = integrate.quad(distribution.sf, threshold, highest, epsabs=1e-13, epsrel=1e-12, limit=200)[0]
        excess = above / chance  # mu(tau) - tau
        log_phi = log_generating(np.array([chance]), np.array([game.players - 1.0]))
        return float(expected_saving(game, rule, log_phi) - game.loss_weight * excess * shortfall(1.0, log_phi))

    # Equal steps of probability, and finer ones towards the top, where the last joiners are.
    count = integer("intervals", intervals, low=8, high=100_000)
    quantiles = np.linspace(0.0, 1.0, count + 1)[:-1]
    tail = 1.0 - np.geomspace(1.0 / count, 1e-6 / game.players, count // 4)
    grid = np.unique(np.clip(distribution.ppf(np.concatenate([quantiles, tail])), lowest, highest))
    values = np.array([gain(float(tau)) for tau in grid])
    found = []
    if values[0] >= 0:
        found.append((lowest, float(values[0]), True))
    for i in np.flatnonzero((values[:-1] < 0) != (values[1:] < 0)):
        crossing: Any = optimize.brentq(gain, grid[i], grid[i + 1], xtol=1e-13)
        root = float(crossing)
        found.append((root, gain(root), bool(values[i] < 0)))
    return tuple(
        ThresholdEquilibrium(
            threshold=tau,
            participation=float(distribution.sf(tau)),
            expected_size=game.players * float(distribution.sf(tau)),
            marginal_gain=worth,
            stable=stable,
        )
        for tau, worth, stable in found
    )
