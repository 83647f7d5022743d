"""What a game is, and the certificate that a profile of actions is an approximate Nash equilibrium.

A game here is three questions about a profile (one action per player): is it well formed, what does each
player get, and what would each player get at best by changing their own action alone. Everything else,
regret, epsilon, best-response dynamics, is derived from those answers. Participation games answer with join
or stay out, contribution games with an amount of data, tabulated games with an index.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
from jaxtyping import Float

from contracts.checks import array, number
from contracts.records import frozen


@frozen
class BestResponses:
    """The best unilateral deviation of every player from one profile.

    Attributes:
        actions: each player's best action, in the form the game uses for actions, shape (players,).
        gains: what it adds to the player's utility, at least zero, shape (players,); found by evaluating
            `actions`, hence a lower bound on the largest gain possible.
        gain_bounds: a proved upper bound on the largest gain possible, shape (players,). Equal to `gains`
            for games with finitely many actions.
        method: how the deviations were found.
    """

    actions: np.ndarray
    gains: Float[np.ndarray, " players"]
    gain_bounds: Float[np.ndarray, " players"]
    method: str


@frozen
class NashCertificate:
    """How far a profile is from a Nash equilibrium, with the deviations that show it.

    Attributes:
        profile: the profile examined, shape (players,).
        utilities: each player's utility at the profile, shape (players,).
        deviations: each player's best action against the others, shape (players,).
        gains: what that deviation adds, at least zero, shape (players,).
        gain_bounds: proved upper bounds on the gain of any deviation, shape (players,).
        tolerances: gains up to here count as none, in units of each player's utility, shape (players,).
        method: how deviations were optimised.

    >>> from equilibria.participation import ParticipationGame
    >>> game = ParticipationGame(types=[0.1, 0.2, 0.6], loss_weight=1.0, complexity=40.0, cost=3.125e-7)
    >>> print(game.certificate("all"))
    not a Nash equilibrium: player 0 gains 0.154004 by choosing False
    """

    profile: np.ndarray
    utilities: Float[np.ndarray, " players"]
    deviations: np.ndarray
    gains: Float[np.ndarray, " players"]
    gain_bounds: Float[np.ndarray, " players"]
    tolerances: Float[np.ndarray, " players"]
    method: str

    @property
    def epsilon(self) -> float:
        """Largest gain found for any player, at least zero."""
        return float(self.gains.max(initial=0.0))

    @property
    def epsilon_bound(self) -> float:
        """Proved upper bound on the gain of any deviation, at least zero: the profile is a Nash equilibrium up
        to it."""
        return float(self.gain_bounds.max(initial=0.0))

    @property
    def holds(self) -> bool:
        """Whether it is proved that no deviation of any player gains more than their tolerance."""
        return bool((self.gain_bounds <= self.tolerances).all())

    @property
    def refuted(self) -> bool:
        """Whether a deviation was found that gains more than the player's tolerance."""
        return bool((self.gains > self.tolerances).any())

    @property
    def deviator(self) -> int | None:
        """The player who gains most beyond their tolerance, or None when nobody was found to."""
        return int(np.argmax(self.gains - self.tolerances)) if self.refuted else None

    def __str__(self) -> str:
        if self.deviator is not None:
            best, gain = self.deviations[self.deviator], self.gains[self.deviator]
            return f"not a Nash equilibrium: player {self.deviator} gains {gain:.6g} by choosing {best}"
        if self.holds:
            most = max(self.epsilon_bound, float(self.tolerances.max(initial=0.0)))
            return f"Nash equilibrium: no deviation gains more than {most:.3g}"
        return (
            f"not proved to be a Nash equilibrium: no deviation was found that gains more than "
            f"{self.epsilon:.3g}, "
            f"but gains up to {self.epsilon_bound:.3g} are not excluded"
        )


class Game(ABC):
    """A game in strategic form: utilities and best unilateral deviations at any profile of actions."""

    @property
    @abstractmethod
    def players(self) -> int:
        """Number of players, at least two."""

    @property
    @abstractmethod
    def tolerance(self) -> float:
        """Gains up to here are rounding, in units of utility; the largest over the players."""

    @property
    def tolerances(self) -> np.ndarray:
        """Gains up to here are rounding, in units of each player's utility, shape (players,)."""
        return np.full(self.players, self.tolerance)

    @abstractmethod
    def profile(self, value: Any) -> np.ndarray:
        """Return `value` as a valid profile, shape (players,).

        Raises:
            InvalidInput: it is not one action for each player.
        """

    @abstractmethod
    def utilities(self, profile: Any) -> np.ndarray:
        """Utility of every player at `profile`, shape (players,)."""

    @abstractmethod
    def best_responses(self, profile: Any) -> BestResponses:
        """The best deviation of every player when all others keep to `profile`."""

    def best_response(self, player: int, profile: Any) -> tuple[Any, float]:
        """One player's best action against `profile` and what it gains (zero when none is better)."""
        responses = self.best_responses(profile)
        return responses.actions[player], float(responses.gains[player])

    def certificate(self, profile: Any, *, tolerance: Any = None) -> NashCertificate:
        """Certify how close `profile` is to a Nash equilibrium.

        Args:
            profile: one action for each player.
            tolerance: gains up to here count as none, in units of utility, one number or one for each player;
                the game's own when omitted.

        Returns:
            The certificate, with every player's best deviation and what it gains.

        Raises:
            InvalidInput: the profile is malformed, or the tolerance is negative or not finite.
        """
        accepted = self.tolerances if tolerance is None else per_player("tolerance", tolerance, self.players)
        checked = self.profile(profile)
        responses = self.best_responses(checked)
        return NashCertificate(
            profile=checked,
            utilities=self.utilities(checked),
            deviations=responses.actions,
            gains=responses.gains,
            gain_bounds=responses.gain_bounds,
            tolerances=accepted,
            method=responses.method,
        )

    def epsilon(self, profile: Any) -> float:
        """Largest gain found of any unilateral deviation from `profile`; zero when none is above the tolerance.

        Whether zero is proved, and not only all that was found, the certificate says.
        """
        certificate = self.certificate(profile)
        return certificate.epsilon if certificate.refuted else 0.0


def per_player(name: str, value: Any, players: int) -> np.ndarray:
    """One number at least zero for all players, or one for each, as an array of shape (players,), or raise."""
    if np.ndim(value) == 0:
        return np.full(players, number(name, value, low=0.0))
    return array(name, value, low=0.0, length=players)
