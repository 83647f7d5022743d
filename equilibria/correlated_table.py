"""Correlated equilibria of any table: recommendations drawn from one distribution that everybody wants to
follow.

One linear program over profiles: for each player, recommended action and other action, following gains at least
as much as deviating. Coarse ones ask only that nobody gains by ignoring the recommendation for a fixed action.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from scipy import optimize, sparse

from contracts.checks import array, brief, choice
from contracts.errors import InvalidInput, NotConverged
from contracts.records import frozen
from equilibria.normal_form import NormalFormGame
from equilibria.table import require_memory


@frozen
class CorrelatedStrategies:
    """A distribution over profiles from which private recommendations are drawn.

    Attributes:
        profiles: action numbers of the profiles of the support, shape (support, players).
        probabilities: probability of each, shape (support,).
        utilities: expected utility of each player, shape (players,).
        value: expectation of the objective.
        bound: proved bound on the value of any correlated equilibrium, from the program's dual: above for the
            best, below for the worst.
        regrets: largest expected gain of each player from disobeying a recommendation, recomputed from the
            payoffs, at least zero, shape (players,).
        sense: "best" or "worst".
        method: the linear program solved.
    """

    profiles: Int[np.ndarray, "support players"]
    probabilities: Float[np.ndarray, " support"]
    utilities: Float[np.ndarray, " players"]
    value: float
    bound: float
    regrets: Float[np.ndarray, " players"]
    sense: str
    method: str

    def __str__(self) -> str:
        order = np.argsort(-self.probabilities)[:12]
        rows = [f"  {self.probabilities[i]:.4f}  {self.profiles[i].tolist()}" for i in order]
        limit = "at most" if self.sense == "best" else "at least"
        head = (
            f"correlated equilibrium: value {self.value:.6g} ({limit} {self.bound:.6g} possible), "
            f"regret {self.regrets.max():.2g}"
        )
        return "\n".join([head, *rows, *(["  ..."] if self.probabilities.size > 12 else [])])


def correlated_strategies(
    game: NormalFormGame,
    *,
    objective: Callable[[np.ndarray], float] | Any = None,
    sense: str = "best",
    coarse: bool = False,
) -> CorrelatedStrategies:
    """The best or worst correlated equilibrium of a table for an objective.

    Args:
        game: a game in normal form.
        objective: what a profile is worth: a function of action numbers, shape (players,), or a table of shape
            (actions of player 0, actions of player 1, ...); the sum of utilities when omitted.
        sense: "best" or "worst".
        coarse: whether recommendations are accepted or refused before they are seen.

    Returns:
        The distribution with its certificate: regrets recomputed from the payoffs, and a dual bound on the
            value.

    Raises:
        InvalidInput: the program needs more memory than is free, or the objective is not finite for every
            profile.
        NotConverged: the solver failed.

    >>> chicken = NormalFormGame(payoffs=[[[0, 7], [2, 6]], [[0, 2], [7, 6]]])
    >>> best = correlated_strategies(chicken)
    >>> round(best.value, 4), bool(best.regrets.max() < 1e-9)
    (10.5, True)
    """
    choice("sense", sense, ["best", "worst"])
    count = int(np.prod(game.actions, dtype=object))
    rows = sum(a if coarse else a * (a - 1) for a in game.actions)
    require_memory(count * (64 + 24 * max(game.actions) * game.players), f"a program over {count} profiles")
    profiles = np.indices(game.actions).reshape(game.players, -1).T
    values = _values(game, objective, profiles)
    sign = 1.0 if sense == "best" else -1.0
    gains = _gains(game, profiles, coarse)
    scale = np.maximum(abs(gains).max(axis=1).toarray().ravel(), np.finfo(float).tiny)
    scaled = sparse.diags_array(1.0 / scale) @ gains
    worth = max(float(np.abs(values - values.mean()).max()), np.finfo(float).tiny)
    result: Any = optimize.linprog(
        -sign * (values - values.mean()) / worth,
        A_ub=scaled,
        b_ub=np.zeros(scale.size),
        A_eq=np.ones((1, count)),
        b_eq=[1.0],
        bounds=(0, None),
        method="highs",
    )
    if result.x is None:
        raise NotConverged(
            f"the linear program of correlated equilibria failed: {' '.join(result.message.split())}"
        )
    law = np.maximum(result.x, 0.0) / np.maximum(result.x, 0.0).sum()
    prices = np.maximum(-result.ineqlin.marginals, 0.0) * worth
    support = law > 1e-12
    law = np.where(support, law, 0.0) / law[support].sum()
    return CorrelatedStrategies(
        profiles=profiles[support],
        probabilities=law[support],
        utilities=game.payoffs.reshape(game.players, -1) @ law,
        value=float(law @ values),
        bound=sign * float((sign * values - prices @ scaled).max()),
        regrets=_regrets(game, law.reshape(game.actions), coarse),
        sense=sense,
        method=f"linear program, {count} profiles, {rows} {'coarse ' * coarse}obedience constraints, HiGHS",
    )


def _values(game: NormalFormGame, objective: Any, profiles: np.ndarray) -> np.ndarray:
    if objective is None:
        return game.payoffs.sum(axis=0).ravel()
    if callable(objective):
        return array("objective", [objective(profile) for profile in profiles], length=len(profiles))
    table = array("objective", objective, ndim=None)
    if table.shape != game.actions:
        raise InvalidInput(
            f"objective = {brief(objective)}: expected a function or a table of shape {game.actions}"
        )
    return table.ravel()


def _gains(game: NormalFormGame, profiles: np.ndarray, coarse: bool) -> sparse.csr_array:
    """What each deviation gains at every profile to which it applies, shape (deviations, profiles)."""
    blocks = []
    for player, options in enumerate(game.actions):
        payoffs = game.payoffs[player]
        for other in range(options):
            gain = (np.take(payoffs, [other], axis=player) - payoffs).ravel()
            if coarse:
                blocks.append(sparse.csr_array(gain[None, :]))
                continue
            told = profiles[:, player]
            row = np.where(told > other, told - 1, told)
            applies = np.flatnonzero(told != other)
            shape = (max(options - 1, 0), len(profiles))
            if shape[0]:
                blocks.append(sparse.csr_array((gain[applies], (row[applies], applies)), shape=shape))
    if not blocks:
        return sparse.csr_array((1, len(profiles)))
    return sparse.csr_array(sparse.vstack(blocks))


def _regrets(game: NormalFormGame, law: np.ndarray, coarse: bool) -> np.ndarray:
    """Largest expected gain from disobeying, by player, from payoffs and probabilities alone."""
    found = []
    for player, options in enumerate(game.actions):
        # Below the best reply: of what others change no rounding is left.
        payoffs = -np.moveaxis(game.regrets()[player], player, 0).reshape(options, -1)
        chances = np.moveaxis(law, player, 0).reshape(options, -1)
        told = chances @ payoffs.T  # what action b would give when told a, weighted
        gains = told - np.diag(told)[:, None]
        found.append(max(0.0, float(gains.sum(axis=0).max() if coarse else gains.max())))
    return np.array(found)
