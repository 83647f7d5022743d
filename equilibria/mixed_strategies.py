"""Mixed equilibria of finite games: found by quantecon, certified here from the payoffs alone.

For two players all equilibria of a nondegenerate game are found by enumerating vertices, and one of any game by
Lemke and Howson's path. For more players one approximate equilibrium is found by McLennan and Tourky's
simplicial subdivision. All equilibria of three and more players: write the game with `to_nfg` and give it to
Gambit.

Whatever finds them, each comes with every player's regret, computed from the table: that is the certificate.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from contracts.checks import array, choice, number
from contracts.errors import BackendMissing, InvalidInput, NotConverged
from contracts.records import frozen
from equilibria.game import per_player
from equilibria.normal_form import NormalFormGame

#: Regrets up to this fraction of what a player's own choice can change are rounding.
ROUNDING = 1e-9


@frozen
class MixedStrategies:
    """A mixed strategy of each player, with what each could gain by any other.

    Attributes:
        strategies: probability of each action, by player, each of shape (actions,).
        utilities: expected utility of each player, shape (players,).
        regrets: largest gain of each player by any other strategy, recomputed from the payoffs, at least zero,
            shape (players,).
        tolerances: regrets up to here count as none, shape (players,).
        method: how the strategies were found.
    """

    strategies: tuple[Float[np.ndarray, " _"], ...]
    utilities: Float[np.ndarray, " players"]
    regrets: Float[np.ndarray, " players"]
    tolerances: Float[np.ndarray, " players"]
    method: str

    @property
    def epsilon(self) -> float:
        """Largest regret of any player: the strategies are an equilibrium up to it."""
        return float(self.regrets.max())

    @property
    def holds(self) -> bool:
        """Whether no player's regret exceeds their tolerance."""
        return bool((self.regrets <= self.tolerances).all())

    def __str__(self) -> str:
        mixes = "; ".join(", ".join(f"{chance:.4g}" for chance in mix) for mix in self.strategies)
        kind = "equilibrium" if self.holds else "approximate equilibrium"
        return f"mixed {kind}: ({mixes}), nobody gains more than {self.epsilon:.2g}"


def certify_mixed(
    game: NormalFormGame, strategies: Sequence[Any], *, tolerance: Any = None, method: str = "given"
) -> MixedStrategies:
    """What each player could gain by deviating from mixed strategies, from the payoffs.

    Args:
        game: the game.
        strategies: for each player, the probability of each action, summing to one within 1e-9.
        tolerance: regrets up to here count as none, one number or one for each player; a billionth of the most a
            player's own choice can change at any profile, or the game's own if that is larger, when omitted.
        method: how the strategies were found.

    Raises:
        InvalidInput: strategies that are not probabilities of the players' actions.

    >>> pennies = NormalFormGame(payoffs=[[[1, -1], [-1, 1]], [[-1, 1], [1, -1]]])
    >>> certify_mixed(pennies, [[0.5, 0.5], [0.5, 0.5]]).holds
    True
    >>> certify_mixed(pennies, [[0.5, 0.5], [1.0, 0.0]]).regrets
    array([1., 0.])
    """
    if isinstance(strategies, str) or not isinstance(strategies, Sequence) or len(strategies) != game.players:
        raise InvalidInput(f"strategies: expected the probabilities of the actions of {game.players} players")
    mixes = []
    for player, mix in enumerate(strategies):
        name = f"strategies[{player}]"
        chances = array(name, mix, low=0.0, high=1.0 + 1e-9, length=game.actions[player])
        if abs(chances.sum() - 1.0) > 1e-9:
            raise InvalidInput(f"{name} sum to {chances.sum():.12g}: expected a sum of 1")
        mixes.append(chances / chances.sum())
    lost = game.regrets()
    # What each action loses on average against the best reply: of what others change no rounding is left.
    options = [_expected(lost[player], mixes, player) for player in range(game.players)]
    if tolerance is None:
        accepted = np.maximum(game.tolerances, ROUNDING * lost.reshape(game.players, -1).max(axis=1))
    else:
        accepted = per_player("tolerance", tolerance, game.players)
    return MixedStrategies(
        strategies=tuple(mixes),
        utilities=np.array([mix @ _expected(game.payoffs[j], mixes, j) for j, mix in enumerate(mixes)]),
        regrets=np.maximum([mix @ own - own.min() for mix, own in zip(mixes, options, strict=True)], 0.0),
        tolerances=accepted,
        method=method,
    )


def _expected(payoffs: np.ndarray, mixes: list[np.ndarray], player: int) -> np.ndarray:
    """Expected utility of each of a player's actions against the others' mixed strategies."""
    values = np.moveaxis(payoffs, player, 0)
    for other in reversed([mix for index, mix in enumerate(mixes) if index != player]):
        values = values @ other
    return values


def mixed_equilibria(
    game: NormalFormGame, *, count: str = "all", accuracy: float = 1e-6
) -> tuple[MixedStrategies, ...]:
    """Mixed equilibria of a table, each with its certified regret.

    Two players: all of them if the game is nondegenerate; of a degenerate one some may be missing, but
    never all. More players: one approximate equilibrium, and the pure ones.

    Args:
        game: a game in normal form.
        count: "all" that the method finds, or "one".
        accuracy: for more than two players, how far from an equilibrium the result may be, as a fraction of the
            most a player's own choice can change, in (0, 1).

    Returns:
        The equilibria whose regret is within the tolerance, pure ones first; with more than two players, the
        approximate one last, whatever its regret: look at it.

    Raises:
        BackendMissing: quantecon is not installed.
        NotConverged: nothing was found whose regret is within the tolerance.

    >>> pennies = NormalFormGame(payoffs=[[[1, -1], [-1, 1]], [[-1, 1], [1, -1]]])
    >>> [mix.tolist() for mix in mixed_equilibria(pennies)[0].strategies]
    [[0.5, 0.5], [0.5, 0.5]]
    """
    wanted = choice("count", count, ["all", "one"])
    close = number("accuracy", accuracy, low=0.0, high=1.0, open_low=True, open_high=True)
    found = [
        certify_mixed(game, _pure(game, profile), method="every profile") for profile in game.pure_equilibria()
    ]
    if wanted == "one" and found:
        return (found[0],)
    if max(game.actions) > 1:
        found += _two_players(game, wanted) if game.players == 2 else _simplicial(game, close)
    kept = _distinct(found)
    if not kept:
        raise NotConverged("no mixed strategies were found whose regret is within the tolerance")
    return tuple(kept[:1] if wanted == "one" else kept)


def _pure(game: NormalFormGame, profile: np.ndarray) -> list[np.ndarray]:
    return [np.eye(count)[action] for count, action in zip(game.actions, profile, strict=True)]


def _two_players(game: NormalFormGame, wanted: str) -> list[MixedStrategies]:
    solver = _quantecon()
    own, other = _scaled(game)
    table = solver.NormalFormGame([solver.Player(own), solver.Player(np.ascontiguousarray(other.T))])
    answers = []
    if wanted == "all":
        try:
            answers += [(mixes, "vertex enumeration, quantecon") for mixes in solver.vertex_enumeration(table)]
        except Exception:  # what its geometry library raises where the game is degenerate
            answers = []
    # From every start, where nothing else is known.
    for start in range(1 if answers or wanted == "one" else sum(game.actions)):
        answers.append((solver.lemke_howson(table, init_pivot=start), "Lemke and Howson, quantecon"))
    certified = [certify_mixed(game, _clean(mixes), method=method) for mixes, method in answers]
    return [answer for answer in certified if answer.holds]


def _simplicial(game: NormalFormGame, accuracy: float) -> list[MixedStrategies]:
    solver = _quantecon()
    players = [
        solver.Player(
            np.ascontiguousarray(np.transpose(table, [(j + k) % game.players for k in range(game.players)]))
        )
        for j, table in enumerate(_scaled(game))
    ]
    mixes = solver.mclennan_tourky(solver.NormalFormGame(players), epsilon=accuracy)
    spread = game.regrets().reshape(game.players, -1).max(axis=1)
    method = "McLennan and Tourky's simplicial subdivision, quantecon"
    return [certify_mixed(game, _clean(mixes), tolerance=accuracy * spread, method=method)]


def _quantecon() -> Any:
    try:
        import quantecon.game_theory as solver
    except ImportError as error:
        raise BackendMissing("quantecon", "mixed equilibria of tables", extra="games") from error
    return solver


def _scaled(game: NormalFormGame) -> list[np.ndarray]:
    """Payoffs in [0, 1] with the same replies, for a library whose tolerances are absolute: whatever others'
    actions change for a player by themselves is taken away."""
    spreads = [float(lost.max()) for lost in game.regrets()]
    return [
        1.0 - lost / spread if spread > 0.0 else np.zeros(lost.shape)
        for lost, spread in zip(game.regrets(), spreads, strict=True)
    ]


def _clean(mixes: Any) -> list[np.ndarray]:
    positive = [np.maximum(np.asarray(mix, dtype=np.float64), 0.0) for mix in mixes]
    return [mix / mix.sum() for mix in positive]


def _distinct(found: list[MixedStrategies]) -> list[MixedStrategies]:
    """Each profile once, up to rounding of its probabilities."""
    kept: dict[tuple, MixedStrategies] = {}
    for answer in found:
        kept.setdefault(tuple(np.concatenate(answer.strategies).round(7).tolist()), answer)
    return list(kept.values())
