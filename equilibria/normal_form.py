"""Any small finite game as an array of payoffs, and its pure equilibria by inspection of the whole array."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from contracts.checks import array, brief
from contracts.errors import InvalidInput
from contracts.records import frozen
from equilibria.game import BestResponses, Game, per_player
from equilibria.participation import ParticipationGame
from equilibria.table import all_coalitions, require_memory

#: Differences and sums of payoffs up to here are finite.
LARGEST = 1e300


@frozen
class NormalFormGame(Game):
    """A finite game by its payoffs.

    Attributes:
        payoffs: utility of each player at each profile of actions, shape (players, actions of player 0,
            actions of player 1, ...), between -1e300 and 1e300.
        tolerances: gains up to here are rounding, in units of utility, one number or one for each player. Zero
            when
            omitted: numbers in a table are compared as they are.
        title: what the game is called.
        comment: what is said about it.
        player_names: name of each player; their numbers from one when omitted.
        action_names: names of each player's actions; their numbers from one when omitted.

    Raises:
        InvalidInput: the shape does not fit the number of players, an entry is out of range, or names do not
            fit.

    >>> dilemma = NormalFormGame(payoffs=[[[-1, -3], [0, -2]], [[-1, 0], [-3, -2]]])
    >>> dilemma.pure_equilibria()
    array([[1, 1]])
    """

    payoffs: Any
    tolerances: Any = 0.0
    title: str = ""
    comment: str = ""
    player_names: Any = None
    action_names: Any = None

    def __post_init__(self) -> None:
        payoffs = array("payoffs", self.payoffs, ndim=None, low=-LARGEST, high=LARGEST)
        if payoffs.ndim < 3 or payoffs.ndim != payoffs.shape[0] + 1 or min(payoffs.shape) < 1:
            raise InvalidInput(
                f"payoffs has shape {payoffs.shape}: expected (players, actions of the first, of the second, "
                "...) with at least two players"
            )
        checked = {
            "payoffs": payoffs,
            "tolerances": per_player("tolerances", self.tolerances, payoffs.shape[0]),
            "title": _text("title", self.title),
            "comment": _text("comment", self.comment),
            "player_names": _names("player_names", self.player_names, payoffs.shape[0]),
        }
        lists = [None] * payoffs.shape[0] if self.action_names is None else self.action_names
        if isinstance(lists, str) or not isinstance(lists, Sequence) or len(lists) != payoffs.shape[0]:
            raise InvalidInput(f"action_names = {brief(lists)}: expected {payoffs.shape[0]} lists of names")
        checked["action_names"] = tuple(
            _names(f"action_names[{player}]", names, count)
            for player, (names, count) in enumerate(zip(lists, payoffs.shape[1:], strict=True))
        )
        for name, value in checked.items():
            object.__setattr__(self, name, value)

    @property
    def players(self) -> int:
        """Number of players."""
        return self.payoffs.shape[0]

    @property
    def actions(self) -> tuple[int, ...]:
        """Number of actions of each player."""
        return self.payoffs.shape[1:]

    @property
    def tolerance(self) -> float:
        """The largest of the tolerances."""
        return float(self.tolerances.max())

    def profile(self, value: Any) -> np.ndarray:
        """The profile as action numbers, shape (players,).

        Raises:
            InvalidInput: not one known action for each player.
        """
        try:
            given = np.asarray(value)
        except ValueError:  # ragged
            given = np.zeros(0)
        if given.shape != (self.players,) or given.dtype.kind not in "iub":
            raise InvalidInput(f"profile = {brief(value)}: expected {self.players} action numbers")
        chosen = given.astype(np.int64)
        wrong = np.flatnonzero((chosen < 0) | (chosen >= self.actions))
        if wrong.size:
            player = int(wrong[0])
            last = self.actions[player] - 1
            raise InvalidInput(f"profile[{player}] = {chosen[player]}: expected an action from 0 to {last}")
        return chosen

    def utilities(self, profile: Any) -> np.ndarray:
        """Payoff of every player."""
        return self.payoffs[(slice(None), *self.profile(profile))]

    def best_responses(self, profile: Any) -> BestResponses:
        """The best action of every player, the lowest-numbered of equals; staying put if nothing is
        better."""
        chosen = self.profile(profile)
        actions, gains = chosen.copy(), np.zeros(self.players)
        for player in range(self.players):
            at: list[Any] = list(chosen)
            at[player] = slice(None)
            options = self.payoffs[(player, *at)]
            if options.max() > options[chosen[player]]:
                actions[player] = int(options.argmax())
                gains[player] = options.max() - options[chosen[player]]
        return BestResponses(actions=actions, gains=gains, gain_bounds=gains, method="every action")

    def regrets(self) -> np.ndarray:
        """What each player gains by their best deviation at every profile, shape (players, actions, ...)."""
        gains = [self.payoffs[p].max(axis=p, keepdims=True) - self.payoffs[p] for p in range(self.players)]
        return np.stack(gains)

    def pure_equilibria(self, *, tolerance: Any = None) -> np.ndarray:
        """All pure Nash equilibria as rows of action numbers, shape (equilibria, players).

        Args:
            tolerance: gains up to here count as none, one number or one for each player; the game's own when
                omitted.
        """
        accepted = self.tolerances if tolerance is None else per_player("tolerance", tolerance, self.players)
        within = [regret <= most for regret, most in zip(self.regrets(), accepted, strict=True)]
        return np.argwhere(np.all(within, axis=0))


def tabulate(game: ParticipationGame | Game, actions: Sequence[Any] | None = None) -> NormalFormGame:
    """Write a game as an array of payoffs.

    Args:
        game: a participation game (action 0 is out, 1 is in), or any other game together with `actions`.
        actions: for games whose actions are not join or stay out, the actions to tabulate, one sequence for
            each player.

    Returns:
        The tabulated game.

    Raises:
        InvalidInput: the table needs more memory than is free, or `actions` are missing.

    >>> game = ParticipationGame(types=[0.1, 0.6], loss_weight=1.0, complexity=40.0, cost=3.125e-7)
    >>> tabulate(game).pure_equilibria()
    array([[0, 0],
           [0, 1]])
    """
    if isinstance(game, ParticipationGame) and actions is None:
        coalitions = all_coalitions(game.players)
        utilities = np.stack([game.utilities(members) for members in coalitions])
        # Row i of the table has agent j in if bit j is set: the first agent varies fastest, as in column
        # order.
        payoffs = utilities.T.reshape((game.players, *([2] * game.players)), order="F")
        names = [("out", "in")] * game.players
        return NormalFormGame(payoffs=payoffs, tolerances=game.tolerances, action_names=names)
    if isinstance(game, NormalFormGame) and actions is None:
        return game
    listed = isinstance(actions, Sequence) and all(isinstance(a, Sequence | np.ndarray) for a in actions)
    if actions is None or not listed or len(actions) != game.players or min(map(len, actions)) == 0:
        raise InvalidInput(f"actions: expected one sequence of actions for each of the {game.players} players")
    shape = tuple(len(options) for options in actions)
    require_memory(16 * game.players * int(np.prod(shape, dtype=object)), f"a table of {shape} profiles")
    payoffs = np.empty((game.players, *shape))
    for index in np.ndindex(shape):
        profile = np.array([options[i] for options, i in zip(actions, index, strict=True)])
        payoffs[(slice(None), *index)] = game.utilities(profile)
    return NormalFormGame(payoffs=payoffs, tolerances=game.tolerances)


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise InvalidInput(f"{name} = {brief(value)}: expected text")
    return value


def _names(name: str, value: Any, count: int) -> tuple[str, ...]:
    if value is None:
        return tuple(str(number + 1) for number in range(count))
    listed = (
        isinstance(value, Sequence) and not isinstance(value, str) and all(isinstance(v, str) for v in value)
    )
    if not listed or len(value) != count:
        raise InvalidInput(f"{name} = {brief(value)}: expected {count} names")
    return tuple(value)
