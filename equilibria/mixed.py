"""Mixed profiles of participation games under rules of equal shares, exactly.

When all others join independently, an agent's gain from being in depends on inverse moments of the number of
joiners only, one for each power in the rule and one for the mean type; `equilibria.inverse_moments` computes
them for any number of agents.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy import optimize

from contracts.checks import array, brief
from contracts.errors import InvalidInput
from contracts.records import frozen
from equilibria.inverse_moments import BLOCK, NODES, WEIGHTS, log_factor, log_generating, shortfall
from equilibria.participation import ParticipationGame
from equilibria.pooled import EqualShareRule


@frozen
class MixedEquilibrium:
    """A profile of independent probabilities of joining, with its regret.

    Attributes:
        probabilities: probability with which each agent joins, shape (agents,).
        gains: what joining for sure is worth to each agent against the others, shape (agents,).
        regret: largest gain of any agent by joining or staying out for sure, at least zero.
        expected_size: expected number of members.
        stable: for agents that mix by themselves in their class, whether their gain falls as more of the
            class join; False if joining feeds on itself.
    """

    probabilities: Float[np.ndarray, " agents"]
    gains: Float[np.ndarray, " agents"]
    regret: float
    expected_size: float
    stable: bool


def equal_share_rule(game: ParticipationGame) -> EqualShareRule:
    """The game's rule, if it is one of equal shares; else InvalidInput."""
    if not isinstance(game, ParticipationGame):
        raise InvalidInput(f"game = {brief(game)}: expected a participation game")
    if not isinstance(game.rule, EqualShareRule):
        raise InvalidInput(
            f"rule = {brief(game.rule)}: expected a rule of equal shares; tabulate the game for others"
        )
    game.require_alike("mixed profiles and thresholds of types")
    return game.rule


def mixed_gains(game: ParticipationGame, probabilities: Any) -> np.ndarray:
    """Expected gain of each agent from joining for sure when all others join independently.

    Args:
        game: a participation game under a rule of equal shares.
        probabilities: with which each agent joins, in [0, 1], shape (agents,).

    Returns:
        Utility in minus utility out, shape (agents,), in time proportional to the number of
        distinct pairs of type and probability.

    Raises:
        InvalidInput: probabilities of the wrong length or outside [0, 1], or a rule of unequal shares.

    >>> game = ParticipationGame(types=[0.1, 0.2, 0.6], loss_weight=1.0, complexity=40.0, cost=3.125e-7)
    >>> bool(np.allclose(mixed_gains(game, [0, 1, 1]), game.gains([1, 2])))
    True
    """
    rule = equal_share_rule(game)
    chance = array("probabilities", probabilities, low=0.0, high=1.0, length=game.players)
    admitted = rule.eligible(game)
    pairs, kind, count = np.unique(
        np.stack([game.types[admitted], chance[admitted]], axis=1),
        axis=0,
        return_inverse=True,
        return_counts=True,
    )
    gains = np.zeros(game.players)
    gains[admitted] = _gains_by_kind(game, rule, pairs[:, 0], pairs[:, 1], count.astype(float))[kind.ravel()]
    return gains


def _gains_by_kind(game, rule, types, chance, count) -> np.ndarray:
    log_phi = log_generating(chance, count)
    # Expected sum of types over 1 + M needs sum_k x_k theta_k exp(-t) / factor_k, one left out for each
    # agent.
    pull, weight = np.zeros(NODES.size), count * chance
    step = max(1, BLOCK // NODES.size)
    blocks = [slice(start, start + step) for start in range(0, types.size, step)]
    for block in blocks:
        odds = np.exp(-NODES - log_factor(chance[block]))
        pull += (weight[block] * types[block]) @ odds
    gains = np.empty(types.size)
    for block in blocks:
        factor = log_factor(chance[block])
        others = log_phi - factor
        own = np.exp(-NODES - factor)
        saved = expected_saving(game, rule, others)
        # Sum over the others of theta_k, minus theta_j for each of them that joins.
        mass = pull - (chance[block] * types[block])[:, None] * own
        density = WEIGHTS * np.exp(-NODES)
        mean_sum = (np.exp(others) * mass) @ density
        joined = shortfall(1.0, others)
        gains[block] = saved - game.loss_weight * (mean_sum - types[block] * joined)
    return gains


def expected_saving(game: ParticipationGame, rule: EqualShareRule, log_phi: np.ndarray) -> Any:
    """kappa - E[psi(1 + M)]: what sharing noise and cost saves in expectation."""
    terms = rule.loss_terms(game)
    alone = game.standalone_loss - sum(scale for scale, _ in terms)
    return alone + sum(scale * shortfall(power, log_phi) for scale, power in terms)


def mixed_profile(game: ParticipationGame, probabilities: Any) -> MixedEquilibrium:
    """Certify a profile of joining probabilities: gains and regret of every agent.

    Raises:
        InvalidInput: see `mixed_gains`.

    >>> game = ParticipationGame(types=[0.1, 0.2, 0.6], loss_weight=1.0, complexity=40.0, cost=3.125e-7)
    >>> mixed_profile(game, [0, 0, 1]).regret < 1e-12
    True
    """
    chance = array("probabilities", probabilities, low=0.0, high=1.0, length=game.players)
    gains = mixed_gains(game, chance)
    regret = np.maximum(gains * (1.0 - chance), -gains * chance).max()
    mixing = np.flatnonzero((chance > 0) & (chance < 1))
    stable = True
    for label in np.unique(game.types[mixing]):
        alike = (game.types == label) & (chance > 0) & (chance < 1)
        more, fewer = chance.copy(), chance.copy()
        step = 1e-4 * min(float(chance[alike].min()), 1.0 - float(chance[alike].max()))
        more[alike] += step
        fewer[alike] -= step
        agent = int(np.flatnonzero(alike)[0])
        stable &= bool(mixed_gains(game, more)[agent] <= mixed_gains(game, fewer)[agent])
    return MixedEquilibrium(
        probabilities=chance,
        gains=gains,
        regret=max(0.0, float(regret)),
        expected_size=float(chance.sum()),
        stable=stable,
    )


def symmetric_equilibria(game: ParticipationGame) -> tuple[MixedEquilibrium, ...]:
    """Equilibria in which agents of equal type join with equal probability.

    Every class of equal types stays out, joins or mixes. Patterns in which at most one class mixes are
    searched completely up to the resolution of the scan (200 intervals between sign changes); patterns in
    which several mix, by Newton-like iterations from several starts, so some of those may be missed.

    Args:
        game: a participation game under a rule of equal shares with at most six distinct types.

    Returns:
        The equilibria found, in order of expected size, each with its regret.

    Raises:
        InvalidInput: more than six distinct types, or a rule of unequal shares.

    >>> types = [0.0] * 20 + [0.3] * 3
    >>> game = ParticipationGame(types=types, loss_weight=1.0, complexity=40.0, cost=3.125e-7)
    >>> good = [round(float(e.probabilities[0]), 4) for e in symmetric_equilibria(game)]
    >>> good
    [0.0, 0.0, 0.3848, 1.0]
    """
    equal_share_rule(game)
    levels, labels = np.unique(game.types, return_inverse=True)
    if levels.size > 6:
        raise InvalidInput(f"types: expected at most six distinct values, found {levels.size}")
    first = np.array([np.flatnonzero(labels == label)[0] for label in range(levels.size)])

    def gains(x: np.ndarray) -> np.ndarray:
        return mixed_gains(game, x[labels])[first]

    found: list[np.ndarray] = []
    for pattern in itertools.product((0.0, 1.0, np.nan), repeat=levels.size):
        fixed = np.array(pattern)
        for x in _solutions(gains, fixed):
            worth = gains(x)
            regret = np.maximum(worth * (1 - x), -worth * x).max()
            new = all(np.abs(x - other).max() > 1e-7 for other in found)
            if regret <= 1e-8 * game.standalone_loss and new:
                found.append(x)
    profiles = [mixed_profile(game, x[labels]) for x in found]
    return tuple(sorted(profiles, key=lambda profile: profile.expected_size))


def _solutions(gains, fixed: np.ndarray) -> list[np.ndarray]:
    mixing = np.flatnonzero(np.isnan(fixed))
    if mixing.size == 0:
        return [fixed]

    def at(values: np.ndarray) -> np.ndarray:
        x = fixed.copy()
        x[mixing] = values
        return x

    if mixing.size == 1:
        grid = np.linspace(1e-6, 1 - 1e-6, 201)
        worth = np.array([gains(at(np.array([x])))[mixing[0]] for x in grid])
        crossings = np.flatnonzero(np.signbit(worth[:-1]) != np.signbit(worth[1:]))
        roots = [
            optimize.brentq(lambda x: gains(at(np.array([x])))[mixing[0]], grid[i], grid[i + 1], xtol=1e-14)
            for i in crossings
        ]
        return [at(np.array([root])) for root in roots]
    starts = np.random.default_rng(0).uniform(0.02, 0.98, size=(4, mixing.size))
    answers = []
    for start in starts:
        with np.errstate(all="ignore"):
            result = optimize.least_squares(
                lambda x: gains(at(x))[mixing],
                start,
                bounds=(1e-9, 1 - 1e-9),
                xtol=1e-15,
                ftol=1e-15,
                gtol=1e-15,
                max_nfev=100,
            )
        answers.append(at(result.x))
    return answers
