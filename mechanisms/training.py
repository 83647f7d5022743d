"""Collaborative training in rounds, into which any aggregation rule and any reward rule plugs.

A round: every participant trains from the model it holds; an aggregation rule turns the updates into one step
of the server; a reward rule decides what each participant receives of it. Without rules this is federated
averaging (McMahan et al. 2017): the mean weighted by sample counts, and the same model to everybody. The
rules and the result are described in `mechanisms.rounds`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import ArrayLike

from contracts import checks
from contracts.errors import InvalidInput, NotConverged
from mechanisms.datasets import Samples
from mechanisms.local_training import LocalTraining, Stack, check_fit, local_updates, stack
from mechanisms.models import Model
from mechanisms.protocols import VectorModel, check_inputs
from mechanisms.rounds import Aggregate, Reward, RewardRule, Round, RoundReport, StatefulRule, TrainingRun
from mechanisms.seeds import LARGEST_SEED

_BoundRule = Callable[[np.ndarray, Round], np.ndarray]


def train(
    model: VectorModel,
    participants: Sequence[Samples] | Stack,
    *,
    rounds: int,
    local: LocalTraining | None = None,
    aggregate: Aggregate | StatefulRule | None = None,
    reward: RewardRule | None = None,
    corrupt: Callable[[np.ndarray, Round], np.ndarray] | None = None,
    validation: Samples | None = None,
    patience: int | None = None,
    initial: ArrayLike | None = None,
    on_round: Callable[[RoundReport], None] | None = None,
    checkpoints: bool = False,
    seed: int = 0,
) -> TrainingRun:
    """Train a model jointly, in rounds.

    Args:
        model: the classifier.
        participants: their samples.
        rounds: the most rounds to carry out, >= 1.
        local: how participants train between rounds; defaults to one full-batch step of length 0.5.
        aggregate: the aggregation rule; None is the mean weighted by sample counts (or what the reward rule
            prefers).
        reward: what participants receive; None gives everybody the server's model.
        corrupt: stands for participants who break the protocol: replaces the updates (one row per
            participant) by what arrives at the server.
        validation: samples on which progress is measured, and early stopping decided.
        patience: stop after this many rounds without a lower loss, and return the round of lowest loss.
        initial: starting parameters; defaults to `model.initial(seed)`.
        on_round: called after each round.
        checkpoints: keep the server's parameters of every round.
        seed: decides the start and the minibatches; equal arguments give equal runs.

    Raises:
        InvalidInput: an argument out of range, or a rule whose result has the wrong shape.
        NotConverged: parameters became infinite or NaN; `best` holds the run up to the last finite round.

    >>> from mechanisms.datasets import load, split
    >>> from mechanisms.models import SoftmaxRegression
    >>> iris = load("iris")
    >>> model = SoftmaxRegression(features=4, classes=3)
    >>> parts = split(iris, participants=3)
    >>> train(model, parts, rounds=20, validation=iris.validation)
    20 rounds with 3 participants: accuracy 0.333 -> 0.833 (all rounds done)
    """
    started = time.perf_counter()
    rounds = checks.integer("rounds", rounds, low=1)
    if patience is not None:
        patience = checks.integer("patience", patience, low=1)
    seed = checks.integer("seed", seed, high=LARGEST_SEED)
    padded = stack(participants)
    check_fit(model, padded)
    count, sizes = len(padded.sizes), padded.sizes
    server = model.initial(seed) if initial is None else checks.array("initial", initial, length=model.size)
    holders = np.broadcast_to(server, (count, model.size))
    yardstick = _yardstick(padded, validation, model)
    rule = _bind(aggregate, count, model.size)
    memory = reward.start(sizes) if reward is not None else None
    log = _Log(model, count, server, checkpoints, yardstick)
    stopped, best = "all rounds done", (log.losses[0], 0, server, holders)

    def run(why: str, chosen: tuple[float, int, np.ndarray, np.ndarray]) -> TrainingRun:
        return log.run(why, chosen, time.perf_counter() - started)

    for number in range(rounds):
        moment = Round(number=number, rounds=rounds, params=server, sizes=sizes)
        try:
            updates = local_updates(model, holders, padded, local=local, seed=seed, round_number=number)
            uploads = _uploads(updates, corrupt, moment)
            memory, step = _settle(memory, uploads, rule, reward, moment)
        except _DivergedError as error:
            raise NotConverged(f"{error} in round {number}", best=run("diverged", best)) from None
        server, holders = server + step.server, holders + step.participants
        log.record(server, holders, step.figures, reward is None)
        if on_round is not None:
            on_round(RoundReport(number=number, rounds=rounds, loss=log.losses[-1], accuracy=log.accuracies[-1]))
        if patience is None or log.losses[-1] < best[0]:
            best = (log.losses[-1], number + 1, server, holders)
        elif number + 1 - best[1] >= patience:
            stopped = f"no lower loss for {patience} rounds"
            break
    return run(stopped, best)


class _DivergedError(Exception):
    """Something in this round is not finite."""


def _uploads(
    updates: np.ndarray, corrupt: Callable[[np.ndarray, Round], np.ndarray] | None, moment: Round
) -> np.ndarray:
    """What arrives at the server."""
    finite = np.isfinite(updates).all(axis=1)
    if not finite.all():
        who = int(np.argmin(finite))
        raise _DivergedError(f"lower the rate: local training of participant {who} diverged")
    if corrupt is None:
        return updates
    return _shaped("corrupt", corrupt(updates, moment), updates.shape)


def _settle(
    memory: Any, uploads: np.ndarray, rule: _BoundRule | None, reward: RewardRule | None, moment: Round
) -> tuple[Any, Reward]:
    """What the server and each participant gain in this round, and what the reward rule remembers."""
    if reward is None:
        common = _mean(uploads, moment.sizes) if rule is None else rule(uploads, moment)
        move = _shaped("the rule's result", common, moment.params.shape)
        step = Reward(server=move, participants=np.broadcast_to(move, uploads.shape))
    else:
        memory, step = reward.settle(memory, uploads, _at(rule, moment), moment)
        _shaped("the rule's result", step.server, moment.params.shape)
        _shaped("the rule's rewards", step.participants, uploads.shape)
    if not (np.isfinite(step.server).all() and np.isfinite(step.participants).all()):
        raise _DivergedError("use a robust aggregation rule, or lower the rate: the joint step is not finite")
    return memory, step


class _Log:
    """Collects what a run measures."""

    def __init__(self, model, count, server, checkpoints, yardstick):
        self.model, self.count, self.keep, self.yardstick = model, count, checkpoints, yardstick
        self.initial = server
        self.losses, self.accuracies, self.shared, self.figures, self.kept = [], [], [], [], []
        self.record(server, np.broadcast_to(server, (count, model.size)), None, True)

    def record(self, server, holders, figures, shared):
        rows = server[None] if shared else np.vstack([server, holders])
        evaluate = _evaluate if isinstance(self.model, Model) else _evaluate_one_by_one
        losses, accuracies = evaluate(self.model, rows, *self.yardstick)
        self.losses.append(float(losses[0]))
        self.accuracies.append(float(accuracies[0]))
        rest = accuracies if shared else accuracies[1:]
        self.shared.append(np.broadcast_to(np.asarray(rest, dtype=np.float64), self.count))
        if figures is not None:
            self.figures.append(figures)
        if self.keep:
            self.kept.append(server)

    def run(self, why, chosen, seconds) -> TrainingRun:
        _, returned, server, holders = chosen
        names = self.figures[0] if self.figures else ()
        return TrainingRun(
            model=self.model,
            initial=self.initial,
            params=server,
            participants=np.array(holders),
            loss=np.array(self.losses),
            accuracy=np.array(self.accuracies),
            participant_accuracy=np.array(self.shared),
            figures={name: np.array([f[name] for f in self.figures]) for name in names},
            checkpoints=np.array(self.kept).reshape(-1, self.model.size),
            rounds=len(self.losses) - 1,
            returned_round=returned,
            stopped=why,
            seconds=seconds,
        )


@partial(jax.jit, static_argnums=0)
def _evaluate(model: Model, params: Array, inputs: Array, labels: Array, weights: Array) -> tuple[Array, Array]:
    def one(vector):
        right = jnp.argmax(model.logits(vector, inputs), axis=-1) == labels
        return model.loss(vector, inputs, labels, weights), (weights * right).sum() / weights.sum()

    return jax.vmap(one)(params)


def _evaluate_one_by_one(
    model: VectorModel, params: np.ndarray, inputs: np.ndarray, labels: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    used = weights > 0
    losses = [float(model.loss(row, inputs[used], labels[used])) for row in params]
    return np.array(losses), np.array([model.accuracy(row, inputs[used], labels[used]) for row in params])


def _yardstick(padded: Stack, validation: Samples | None, model: VectorModel) -> tuple[np.ndarray, ...]:
    if validation is None:
        inputs = padded.inputs.reshape(-1, *padded.inputs.shape[2:])
        return inputs, padded.labels.ravel(), padded.weights.ravel()
    if len(validation) == 0:
        raise InvalidInput("validation has no samples: expected at least one")
    check_inputs("validation", model, validation.inputs)
    return validation.inputs, validation.labels, np.ones(len(validation))


def _bind(rule: Aggregate | StatefulRule | None, count: int, size: int) -> _BoundRule | None:
    """Make either kind of rule a function of (updates, moment); a memory is kept for this run only."""
    if rule is None:
        return None
    if not isinstance(rule, StatefulRule):
        return lambda updates, moment: np.asarray(rule(updates))  # noqa: ARG005
    memory = rule.start(count, size)

    def step(updates: np.ndarray, moment: Round) -> np.ndarray:
        nonlocal memory
        memory, aggregate = rule.step(memory, updates, moment)
        return np.asarray(aggregate)

    return step


def _at(rule: _BoundRule | None, moment: Round) -> Aggregate | None:
    return None if rule is None else lambda updates: rule(updates, moment)


def _mean(updates: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    return sizes @ updates / sizes.sum()


def _shaped(name: str, value: Any, shape: tuple[int, ...]) -> np.ndarray:
    result = checks.numbers(name, value).astype(np.float64, copy=False)
    if result.shape != shape:
        raise InvalidInput(f"{name} has shape {result.shape}: expected {shape}")
    return result
