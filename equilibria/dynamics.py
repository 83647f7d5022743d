"""Best-response dynamics in any order, on any game, with cycle detection.

One player at a time moves to their best action if that gains more than the tolerance. The path ends in a Nash
equilibrium, in a cycle, or at the limit of moves. Under rules of equal shares with increasing f every such
path is finite (finite improvement property); in general a game may have no pure equilibrium to end in.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from contracts.checks import brief, integer, number, numbers
from contracts.errors import InvalidInput
from contracts.records import frozen
from equilibria.game import Game


@frozen
class Move:
    """One strictly improving move.

    Attributes:
        player: who moves.
        action: what they change to.
        gain: what it adds to their utility, above zero.
    """

    player: int
    action: Any
    gain: float


@frozen
class BestResponsePath:
    """A path of best responses.

    Attributes:
        moves: the moves in order.
        final: the last profile, shape (players,).
        outcome: "equilibrium", "cycle" or "limit".
        cycle: for a cycle, the profiles it runs through, once each; else empty.
        epsilon: largest gain of any player at the last profile.
    """

    moves: tuple[Move, ...]
    final: np.ndarray
    outcome: str
    cycle: tuple[np.ndarray, ...]
    epsilon: float

    def __str__(self) -> str:
        length = f"a cycle of {len(self.cycle)} profiles" if self.cycle else f"{self.outcome}"
        return f"{len(self.moves)} best-response moves, then {length} (epsilon {self.epsilon:.3g})"


def best_response_dynamics(
    game: Game,
    start: Any,
    *,
    order: str | Sequence[int] = "cyclic",
    seed: int = 0,
    tolerance: float | None = None,
    limit: int = 10_000,
) -> BestResponsePath:
    """Let players move to their best responses one at a time.

    Args:
        game: any game.
        start: the first profile.
        order: "cyclic" (players in turn), "random" (a fresh random order each round), "largest" (whoever
            gains most), or the players' numbers in the order in which they take turns, each once.
        seed: of the random order.
        tolerance: a move must gain more than this; the game's own tolerance when omitted.
        limit: most moves made before giving up, at least one.

    Returns:
        The path. A cycle is reported when the order is deterministic and a profile returns at the same turn;
        in random order when a profile returns, which shows that the improvement graph has a cycle.

    Raises:
        InvalidInput: an argument outside its range.

    >>> from equilibria.participation import ParticipationGame
    >>> game = ParticipationGame(types=[0.1, 0.2, 0.6], loss_weight=1.0, complexity=40.0, cost=3.125e-7)
    >>> path = best_response_dynamics(game, "all", order="random")
    >>> path.outcome, path.final
    ('equilibrium', array([False, False,  True]))
    """
    accepted = (
        game.tolerances if tolerance is None else np.full(game.players, number("tolerance", tolerance, low=0.0))
    )
    most = integer("limit", limit, low=1)
    turns = _largest(game) if _is(order, "largest") else _turns(game, order, seed)
    profile = game.profile(start).copy()
    moves: list[Move] = []
    trail = [profile.copy()]
    seen = {(_key(profile), 0): 0}
    idle = 0
    timed = not _is(order, "random")
    for turn, choose in enumerate(turns):
        player, action, gain = choose(profile)
        if gain <= accepted[player]:
            idle += 1
            # One player without a gain settles the matter when it is the one who gains most.
            if idle >= (1 if _is(order, "largest") else 2 * game.players):
                return _path(game, moves, profile, "equilibrium", ())
            continue
        idle = 0
        profile[player] = action
        moves.append(Move(player=int(player), action=action, gain=float(gain)))
        period = 1 if _is(order, "largest") else game.players
        key = (_key(profile), (turn + 1) % period if timed else 0)
        if key in seen:
            return _path(game, moves, profile, "cycle", tuple(trail[seen[key] : len(moves)]))
        seen[key] = len(moves)
        trail.append(profile.copy())
        if len(moves) >= most:
            break
    return _path(game, moves, profile, "limit", ())


def _is(order: str | Sequence[int], word: str) -> bool:
    return isinstance(order, str) and order == word


def _largest(game: Game) -> Iterator[Any]:
    def choose(profile: np.ndarray):
        responses = game.best_responses(profile)
        player = int(np.argmax(responses.gains))
        return player, responses.actions[player], responses.gains[player]

    while True:
        yield choose


def _turns(game: Game, order: str | Sequence[int], seed: int) -> Iterator[Any]:
    rng = np.random.default_rng(integer("seed", seed))
    if isinstance(order, str):
        if order not in ("cyclic", "random"):
            raise InvalidInput(
                f"order = {brief(order)}: expected 'cyclic', 'random', 'largest' or the players' numbers"
            )
        fixed = np.arange(game.players)
    else:
        fixed = np.atleast_1d(numbers("order", order))
        if fixed.dtype.kind not in "iu" or not np.array_equal(np.sort(fixed), np.arange(game.players)):
            raise InvalidInput(
                f"order = {brief(order)}: expected every player from 0 to {game.players - 1} once"
            )

    def rounds() -> Iterator[Any]:
        while True:
            for player in rng.permutation(game.players) if _is(order, "random") else fixed:
                yield lambda profile, player=int(player): (player, *game.best_response(player, profile))

    return rounds()


def _key(profile: np.ndarray) -> bytes:
    # Continuous actions that agree to twelve digits are the same state.
    rounded = profile if profile.dtype.kind in "biu" else np.array([float(f"{x:.12g}") for x in profile])
    return np.ascontiguousarray(rounded).tobytes()


def _path(game, moves, profile, outcome, cycle) -> BestResponsePath:
    return BestResponsePath(
        moves=tuple(moves), final=profile, outcome=outcome, cycle=cycle, epsilon=game.epsilon(profile)
    )
