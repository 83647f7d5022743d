"""The best and the worst pure equilibrium of a small finite game, by mixed-integer programming.

One binary for each action of each player picks a profile; continuous weights on profiles, tied to the
binaries by their marginals, are then forced onto that profile alone. The condition that no player gains by a
fixed deviation is linear in the weights (it is the coarse correlated equilibrium condition), so the program
is the integer hull of a polytope: pure equilibria are its integral points. This formulation is this project's
own.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Int
from scipy import optimize, sparse

from contracts.checks import array, choice
from contracts.errors import Infeasible, NotConverged
from contracts.records import frozen
from equilibria.game import Game
from equilibria.normal_form import NormalFormGame, tabulate


@frozen
class ExtremalEquilibrium:
    """A pure equilibrium that is best or worst for welfare.

    Attributes:
        profile: action numbers, shape (players,); for participation games 1 is in.
        welfare: weighted sum of utilities there.
        epsilon: largest gain of any player by deviating, recomputed from the payoffs.
        sense: "best" or "worst".
        method: the program solved.
    """

    profile: Int[np.ndarray, " players"]
    welfare: float
    epsilon: float
    sense: str
    method: str


def extremal_equilibrium(game: Game, *, sense: str = "best", weights: Any = None) -> ExtremalEquilibrium:
    """The pure Nash equilibrium with the greatest or the smallest welfare.

    Args:
        game: a game in normal form, or a participation game under any rule; it is tabulated.
        sense: "best" or "worst".
        weights: weight of each player's utility in welfare, shape (players,); ones when omitted.

    Returns:
        The equilibrium, with its regret recomputed from the payoffs.

    Raises:
        Infeasible: the game has no pure equilibrium.
        InvalidInput: the table needs more memory than is free, or the weights do not fit.
        NotConverged: the solver failed.

    >>> stag_hunt = NormalFormGame(payoffs=[[[4, 0], [3, 3]], [[4, 3], [0, 3]]])
    >>> extremal_equilibrium(stag_hunt).profile, extremal_equilibrium(stag_hunt, sense="worst").profile
    (array([0, 0]), array([1, 1]))
    """
    choice("sense", sense, ["best", "worst"])
    table = tabulate(game)
    given = np.ones(table.players) if weights is None else weights
    checked = array("weights", given, length=table.players)
    welfare = np.tensordot(checked, table.payoffs, axes=1)
    profile = _solve(table, welfare, sense)
    return ExtremalEquilibrium(
        profile=profile,
        welfare=float(welfare[tuple(profile)]),
        epsilon=table.epsilon(profile),
        sense=sense,
        method=f"mixed-integer program, {welfare.size} profiles, {sum(table.actions)} binaries, HiGHS",
    )


def _solve(table: NormalFormGame, welfare: np.ndarray, sense: str) -> np.ndarray:
    scale = max(float(np.ptp(welfare)), np.finfo(float).tiny)
    values = ((welfare - welfare.min()) / scale).ravel()
    profiles = np.indices(table.actions).reshape(table.players, -1)
    picks, deviations = [], []
    for player, options in enumerate(table.actions):
        for action in range(options):
            picks.append(profiles[player] == action)
            deviations.append(_signed(table, player, action).ravel())
    count, binaries = values.size, len(picks)
    tied = sparse.hstack([sparse.csr_array(np.array(picks, dtype=float)), -sparse.eye_array(binaries)])
    kept = sparse.hstack([sparse.csr_array(np.array(deviations)), sparse.csr_array((binaries, binaries))])
    one = np.concatenate([np.ones(count), np.zeros(binaries)])[None, :]
    found = optimize.milp(
        (1.0 if sense == "worst" else -1.0) * np.concatenate([values, np.zeros(binaries)]),
        constraints=[
            optimize.LinearConstraint(tied, 0.0, 0.0),
            optimize.LinearConstraint(kept, -np.inf, 0.0),
            optimize.LinearConstraint(one, 1.0, 1.0),
        ],
        bounds=optimize.Bounds(0.0, 1.0),
        integrality=np.concatenate([np.zeros(count), np.ones(binaries)]),
    )
    if found.status == 2:
        raise Infeasible(
            "the game has no pure Nash equilibrium: at every profile some player gains by deviating"
        )
    if found.x is None:
        raise NotConverged(f"the mixed-integer program stopped: {' '.join(str(found.message).split())}")
    return profiles[:, int(np.argmax(found.x[:count]))]


def _signed(table: NormalFormGame, player: int, action: int) -> np.ndarray:
    """Gain of deviating to `action` at every profile, scaled so that no gain is lost in the solver's
    tolerance.

    Only signs matter at integral points; gains within the player's tolerance are none.
    """
    payoffs = table.payoffs[player]
    gains = np.take(payoffs, [action], axis=player) - payoffs
    gains = np.where(np.abs(gains) <= table.tolerances[player], 0.0, gains)
    largest = float(np.abs(gains).max())
    if largest == 0.0:
        return gains
    scaled = gains / largest
    return np.where(scaled > 0, np.maximum(scaled, 1e-2), scaled)
