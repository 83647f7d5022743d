"""Contributions to a score, such as accuracy, from the updates that were recorded while training.

A coalition is worth the score of the model that its updates alone would have made; nothing is trained again.
Either over the whole run, the start plus every round's mean of the members' updates (one game), or round by
round, the model of the round plus that mean (a game a round, whose values are added). What costs is the score
of a model, and every result says how many were asked for.

Sources: T. Song, Y. Tong, S. Wei, "Profit allocation for federated learning", IEEE Big Data 2019 (both games;
MR is the one by rounds); Z. Liu, Y. Chen, H. Yu, Y. Liu, L. Cui, "GTG-Shapley: efficient and accurate
participant contribution evaluation in federated learning", ACM TIST 2022.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from contracts import checks
from contracts.errors import InvalidInput
from mechanisms.rounds import Aggregate, Round, StatefulRule
from mechanisms.seeds import LARGEST_SEED
from mechanisms.shapley import Game, shapley

Score = Callable[[np.ndarray], float]
MOST_EXACT = 12  # participants: 4096 models a game


@dataclass(frozen=True, kw_only=True, eq=False)
class RecordedRounds:
    """What was uploaded in every round of a run.

    Attributes:
        starts: the joint model's parameters before each round, shape (rounds, size).
        updates: what each participant uploaded, shape (rounds, participants, size). One that is not finite
            counts as not sent.
        weights: of the participants in a mean, >= 0, not all 0; usually their numbers of samples.

    Raises:
        InvalidInput: shapes that do not fit, or weights out of range.

    >>> RecordedRounds(starts=[[0.0]], updates=[[[1.0], [3.0]]], weights=[1, 1]).model((0, 1))
    array([2.])
    """

    starts: Float[np.ndarray, "rounds size"]
    updates: Float[np.ndarray, "rounds participants size"]
    weights: Float[np.ndarray, " participants"]

    def __post_init__(self) -> None:
        updates, starts = (
            checks.numbers("updates", self.updates).astype(float),
            checks.array("starts", self.starts, ndim=2),
        )
        if updates.ndim != 3 or 0 in updates.shape:
            raise InvalidInput(f"updates has shape {updates.shape}: expected (rounds, participants, size)")
        if starts.shape != (updates.shape[0], updates.shape[2]):
            expected = (updates.shape[0], updates.shape[2])
            raise InvalidInput(f"starts has shape {starts.shape}: expected {expected}, as the updates")
        weights = checks.array("weights", self.weights, low=0, length=updates.shape[1])
        if not weights.any():
            raise InvalidInput("weights: expected at least one > 0")
        for name, value in (("starts", starts), ("updates", updates), ("weights", weights)):
            value.setflags(write=False)
            object.__setattr__(self, name, value)

    def step(self, number: int, coalition: tuple[int, ...]) -> np.ndarray:
        """The mean of the coalition's updates in a round; zero if it sent nothing."""
        rows = self.updates[number, list(coalition)]
        sent = np.asarray(np.isfinite(rows).all(axis=1))
        shares = self.weights[list(coalition)] * sent
        shares = shares / (shares.sum() or 1.0)
        return shares @ np.where(sent[:, None], rows, 0.0)

    def model(self, coalition: tuple[int, ...]) -> np.ndarray:
        """The parameters that the coalition's updates of all rounds make of the start."""
        steps = [self.step(number, coalition) for number in range(len(self.starts))]
        return self.starts[0] + np.sum(steps, axis=0)


@dataclass(kw_only=True, eq=False)
class Recorder:
    """An aggregation rule that keeps what it is given, for `train(..., aggregate=Recorder())`.

    Attributes:
        rule: what makes the joint step of the updates; None is the mean by numbers of samples.
        kept: what was seen, a round an entry; read it with `rounds`.

    >>> from mechanisms.datasets import load, split
    >>> from mechanisms.models import SoftmaxRegression
    >>> from mechanisms.training import train
    >>> iris, recorder = load("iris"), Recorder()
    >>> model = SoftmaxRegression(features=4, classes=3)
    >>> run = train(model, split(iris, participants=3), rounds=4, aggregate=recorder)
    >>> recorder.rounds().updates.shape
    (4, 3, 15)
    """

    rule: Aggregate | StatefulRule | None = None
    kept: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = field(default_factory=list)

    def start(self, participants: int, size: int) -> Any:
        """Forget what was kept, and start the rule."""
        self.kept.clear()
        return self.rule.start(participants, size) if isinstance(self.rule, StatefulRule) else None

    def step(self, state: Any, updates: np.ndarray, moment: Round) -> tuple[Any, np.ndarray]:
        """Keep the updates and return what the rule makes of them."""
        self.kept.append((np.array(moment.params), np.array(updates), np.array(moment.sizes)))
        if self.rule is None:
            return state, moment.sizes @ updates / moment.sizes.sum()
        if isinstance(self.rule, StatefulRule):
            return self.rule.step(state, updates, moment)
        return state, np.asarray(self.rule(updates))

    def rounds(self) -> RecordedRounds:
        """What was recorded.

        Raises:
            InvalidInput: nothing was.
        """
        if not self.kept:
            raise InvalidInput("nothing was recorded: expected a run of train(..., aggregate=recorder)")
        starts, updates, sizes = zip(*self.kept, strict=True)
        return RecordedRounds(starts=np.array(starts), updates=np.array(updates), weights=sizes[0])


@dataclass(frozen=True, kw_only=True, eq=False)
class Contributions:
    """What each participant contributed to a score.

    Attributes:
        values: one a participant, in the score's unit.
        total: what all together gained: of the run's game, or the sum over rounds.
        efficiency_gap: |sum of values - total|; leave-one-out values need not sum to it.
        evaluations: models scored.
        method: which values these are.
        skipped: rounds left out because they hardly changed the score.
        met: whether every sampled round settled before its limit.
    """

    values: Float[np.ndarray, " participants"]
    total: float
    efficiency_gap: float
    evaluations: int
    method: str
    skipped: int = 0
    met: bool = True

    def __repr__(self) -> str:
        shown = ", ".join(f"{value:.4g}" for value in self.values)
        return f"{self.method}: ({shown}), {self.evaluations} models scored"


class _Scored:
    """A game whose values are scores of models, each asked for once."""

    def __init__(self, make: Callable[[tuple[int, ...]], np.ndarray], score: Score):
        self.make, self.score, self.known = make, score, {}

    def __call__(self, coalition: tuple[int, ...]) -> float:
        if coalition not in self.known:
            found = np.asarray(self.score(self.make(coalition)))
            if found.size != 1 or found.dtype.kind not in "iufb" or not np.isfinite(found).all():
                raise InvalidInput(f"score of coalition {coalition} = {found}: expected a finite number")
            self.known[coalition] = float(found.reshape(()))
        return self.known[coalition]


def _whole(recorded: RecordedRounds, score: Score) -> _Scored:
    return _Scored(recorded.model, score)


def _of_round(recorded: RecordedRounds, score: Score, number: int) -> _Scored:
    return _Scored(lambda members: recorded.starts[number] + recorded.step(number, members), score)


def leave_one_out(recorded: RecordedRounds, score: Score) -> Contributions:
    """Score with everybody less that without each participant: n + 2 models.

    Two participants who bring the same are both worth nothing by it.

    Args:
        recorded: what was uploaded.
        score: of flat parameters, larger is better; any finite number.

    >>> recorded = RecordedRounds(starts=[[0.0]], updates=[[[1.0], [3.0]]], weights=[1, 1])
    >>> leave_one_out(recorded, lambda parameters: parameters[0])
    leave one out: (-1, 1), 4 models scored
    """
    game, everybody = _whole(recorded, score), tuple(range(len(recorded.weights)))
    rest = [tuple(other for other in everybody if other != one) for one in everybody]
    values = np.array([game(everybody) - game(others) for others in rest])
    return _result(values, game(everybody) - game(()), len(game.known), "leave one out")


def exact_contributions(recorded: RecordedRounds, score: Score) -> Contributions:
    """Shapley values of the whole run's game: 2^n models, at most twelve participants.

    Args:
        recorded: what was uploaded.
        score: of flat parameters, larger is better; any finite number.

    Raises:
        InvalidInput: too many participants, or a score that is not a finite number.

    >>> recorded = RecordedRounds(starts=[[0.0]], updates=[[[1.0], [3.0]]], weights=[1, 1])
    >>> exact_contributions(recorded, lambda parameters: parameters[0])
    exact: (0, 2), 4 models scored
    """
    game = _whole(recorded, score)
    values = shapley(_few(game, recorded), players=len(recorded.weights)).values
    return _result(values, _gain(game, recorded), len(game.known), "exact")


def round_contributions(recorded: RecordedRounds, score: Score, *, decay: float = 1.0) -> Contributions:
    """Shapley values of every round's game, added (MR): rounds times 2^n models, at most twelve participants.

    Args:
        recorded: what was uploaded.
        score: of flat parameters, larger is better; any finite number.
        decay: round t counts decay^t, in (0, 1].

    Raises:
        InvalidInput: too many participants, an argument out of range, or a score that is not a finite number.

    >>> recorded = RecordedRounds(starts=[[0.0]], updates=[[[1.0], [3.0]]], weights=[1, 1])
    >>> round_contributions(recorded, lambda parameters: parameters[0])
    by rounds: (0, 2), 4 models scored
    """
    decay = checks.number("decay", decay, low=0, high=1, open_low=True)
    values, total, evaluations = np.zeros(len(recorded.weights)), 0.0, 0
    for number in range(len(recorded.starts)):
        game = _of_round(recorded, score, number)
        values = values + decay**number * shapley(_few(game, recorded), players=len(values)).values
        total += decay**number * _gain(game, recorded)
        evaluations += len(game.known)
    return _result(values, total, evaluations, "by rounds")


def gtg_shapley(
    recorded: RecordedRounds,
    score: Score,
    *,
    between: float = 0.005,
    within: float = 0.005,
    settled: float = 0.01,
    most_sweeps: int = 50,
    seed: int = 0,
) -> Contributions:
    """Shapley values of every round's game, sampled with guided truncation (GTG-Shapley), for any number.

    A round that changes the score by at most `between` is skipped. Otherwise sweeps of n random orders, each
    participant first in one, are evaluated, and an order is left as soon as its score is within `within` of
    everybody's: who comes later adds nothing. Sweeps end when the last one moved the values by at most `settled`
    times the round's gain on average. (The original compares each value's change with the value itself, which a
    participant worth nothing never lets end.)

    Truncation biases values by up to `within` a round; there is no interval.

    Args:
        recorded: what was uploaded.
        score: of flat parameters, larger is better; any finite number.
        between, within: in the score's unit, >= 0.
        settled: > 0, relative.
        most_sweeps: a round's limit, >= 2; `met` is false if one reached it.
        seed: decides the orders.

    Raises:
        InvalidInput: an argument out of range, or a score that is not a finite number.

    >>> recorded = RecordedRounds(starts=[[0.0]], updates=[[[1.0], [3.0]]], weights=[1, 1])
    >>> gtg_shapley(recorded, lambda parameters: parameters[0])
    GTG-Shapley: (0, 2), 4 models scored
    """
    between, within = checks.number("between", between, low=0), checks.number("within", within, low=0)
    settled = checks.number("settled", settled, low=0, open_low=True)
    most = checks.integer("most_sweeps", most_sweeps, low=2)
    draw = np.random.default_rng(checks.integer("seed", seed, high=LARGEST_SEED))
    values, total, evaluations, skipped, met = np.zeros(len(recorded.weights)), 0.0, 0, 0, True
    for number in range(len(recorded.starts)):
        game = _of_round(recorded, score, number)
        gain = _gain(game, recorded)
        total += gain
        if abs(gain) <= between:
            skipped += 1
        else:
            found, done = _sweeps(game, len(values), within, settled * abs(gain), most, draw)
            values, met = values + found, met and done
        evaluations += len(game.known)
    return _result(values, total, evaluations, "GTG-Shapley", skipped=skipped, met=met)


def _sweeps(
    game: _Scored, count: int, within: float, settled: float, most: int, draw: np.random.Generator
) -> tuple[np.ndarray, bool]:
    """The mean marginal contributions over sweeps, and whether they settled."""
    sums, before = np.zeros(count), np.zeros(count)
    for sweep in range(1, most + 1):
        for first in range(count):
            rest = np.delete(np.arange(count), first)
            sums += _truncated(game, [first, *draw.permutation(rest)], within)
        values = sums / (sweep * count)
        if sweep > 1 and np.abs(values - before).mean() <= settled:
            return values, True
        before = values
    return before, False


def _truncated(game: _Scored, order: list[int], within: float) -> np.ndarray:
    marginals, members = np.zeros(len(order)), ()
    everybody, so_far = game(tuple(range(len(order)))), game(())
    for player in order:
        if abs(everybody - so_far) <= within:
            break
        members = tuple(sorted((*members, int(player))))
        marginals[player] = game(members) - so_far
        so_far = game(members)
    return marginals


def _gain(game: _Scored, recorded: RecordedRounds) -> float:
    return game(tuple(range(len(recorded.weights)))) - game(())


def _few(game: Game, recorded: RecordedRounds) -> Game:
    if len(recorded.weights) > MOST_EXACT:
        raise InvalidInput(
            f"updates of {len(recorded.weights)} participants: exact values take at most {MOST_EXACT}; "
            "use gtg_shapley"
        )
    return game


def _result(values: ArrayLike, total: float, evaluations: int, method: str, **more: Any) -> Contributions:
    found = np.array(values, float)
    found.setflags(write=False)
    gap = abs(float(found.sum()) - total)
    return Contributions(
        values=found, total=total, efficiency_gap=gap, evaluations=evaluations, method=method, **more
    )
