"""What participants do on their own: gradient descent on their own samples, all of them in one `vmap`.

Participants hold different numbers of samples, so the samples are padded to a common length and masked; a
padded slot has weight zero, and a minibatch made of padding only is a step of length zero. Every participant
therefore does exactly the epochs it would do alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float
from numpy.typing import ArrayLike

from contracts import checks
from contracts.errors import InvalidInput
from mechanisms.datasets import Samples
from mechanisms.models import Model
from mechanisms.protocols import Trainable, VectorModel, check_inputs
from mechanisms.seeds import LARGEST_SEED


@dataclass(frozen=True)
class LocalTraining:
    """How a participant trains: plain (stochastic) gradient descent.

    Attributes:
        epochs: passes over its own samples.
        rate: step length, > 0.
        batch: minibatch size; None takes all samples in one step.
    """

    epochs: int = 1
    rate: float = 0.5
    batch: int | None = None

    def __post_init__(self) -> None:
        checks.integer("epochs", self.epochs, low=1)
        checks.number("rate", self.rate, low=0, open_low=True)
        if self.batch is not None:
            checks.integer("batch", self.batch, low=1)


class Stack(NamedTuple):
    """The samples of all participants, padded to the longest; `weights` is 1 on samples and 0 on padding."""

    inputs: Float[np.ndarray, "participants slots *features"]
    labels: np.ndarray
    weights: Float[np.ndarray, "participants slots"]

    @property
    def sizes(self) -> np.ndarray:
        """The number of samples of each participant."""
        return self.weights.sum(axis=1).astype(int)


def stack(participants: Sequence[Samples] | Stack) -> Stack:
    """Pad the participants' samples to a common length; a stack is returned as it is.

    Raises:
        InvalidInput: no participants, one without samples, different numbers of features, or a NaN.

    >>> a = Samples(inputs=np.ones((3, 2)), labels=np.array([0, 1, 1]))
    >>> stack([a, a.take([0])]).weights
    array([[1., 1., 1.],
           [1., 0., 0.]])
    """
    if isinstance(participants, Stack):
        return participants
    if len(participants) == 0:
        raise InvalidInput("participants is empty: expected at least one participant's samples")
    for index, part in enumerate(participants):
        if not isinstance(part, Samples):
            raise InvalidInput(f"participants[{index}] = {type(part).__name__}: expected Samples")
        if len(part) == 0:
            raise InvalidInput(f"participants[{index}] has no samples: expected at least one")
        if part.inputs.shape[1:] != participants[0].inputs.shape[1:]:
            raise InvalidInput(
                f"participants[{index}] has {part.inputs.shape[1]} features: expected "
                f"{participants[0].inputs.shape[1]}, as the first has"
            )
        if not np.isfinite(part.inputs).all():
            raise InvalidInput(f"participants[{index}] has an input that is not finite")
    slots = max(len(part) for part in participants)

    def padded(values: np.ndarray) -> np.ndarray:
        return np.pad(values, [(0, slots - len(values))] + [(0, 0)] * (values.ndim - 1))

    return Stack(
        np.stack([padded(part.inputs) for part in participants]),
        np.stack([padded(part.labels) for part in participants]),
        np.stack([padded(np.ones(len(part))) for part in participants]),
    )


def check_fit(model: VectorModel, padded: Stack) -> None:
    """Raise InvalidInput unless the model takes these features and knows all these labels."""
    if not (isinstance(model, VectorModel) and isinstance(model, Trainable)):
        raise InvalidInput(
            f"model = {model!r:.80}: expected one whose parameters are a vector and that gradient steps train"
            " (a model of mechanisms.models, a PytreeModel or a TorchModel)"
        )
    check_inputs("participants", model, padded.inputs.reshape(-1, *padded.inputs.shape[2:]))
    if padded.labels.min() < 0 or padded.labels.max() >= model.classes:
        raise InvalidInput(f"participants' labels: expected whole numbers from 0 to {model.classes - 1}")


def local_updates(
    model: VectorModel,
    params: ArrayLike,
    participants: Sequence[Samples] | Stack,
    *,
    local: LocalTraining | None = None,
    seed: int = 0,
    round_number: int = 0,
) -> Float[np.ndarray, "participants size"]:
    """Train every participant from its starting parameters and return what changed.

    Args:
        model: the classifier.
        params: starting parameters, one vector for all or one row per participant.
        participants: their samples; pass `stack(...)` when calling repeatedly.
        local: how they train; defaults to one full-batch step of length 0.5.
        seed, round_number: decide the minibatches; participants draw independently.

    Returns:
        Parameters after minus parameters before, one row per participant.

    Raises:
        InvalidInput: shapes that do not fit the model, or a label out of range.

    >>> from mechanisms.models import SoftmaxRegression
    >>> samples = Samples(inputs=np.array([[1.0], [-1.0]]), labels=np.array([1, 0]))
    >>> local_updates(SoftmaxRegression(features=1, classes=2), np.zeros(4), [samples]).round(3)
    array([[-0.25,  0.25,  0.  ,  0.  ]])
    """
    local = LocalTraining() if local is None else local
    padded = stack(participants)
    count, slots = padded.inputs.shape[:2]
    check_fit(model, padded)
    start = np.asarray(params)
    if start.shape not in ((model.size,), (count, model.size)):
        raise InvalidInput(f"params of shape {start.shape}: expected ({model.size},) or ({count}, {model.size})")
    seed = checks.integer("seed", seed, high=LARGEST_SEED)
    batch = slots if local.batch is None else min(local.batch, slots)
    if not isinstance(model, Model):
        assert isinstance(model, Trainable)  # check_fit
        return _one_by_one(model, np.broadcast_to(start, (count, model.size)), padded, local)
    keys = jax.random.split(jax.random.fold_in(jax.random.key(seed), round_number), count)
    starts = np.broadcast_to(start, (count, model.size))
    updates = _updates(model, local.epochs, batch, jnp.asarray(starts), *padded, keys, local.rate)
    return np.asarray(updates, dtype=np.float64)


def _one_by_one(model: Trainable, starts: np.ndarray, padded: Stack, local: LocalTraining) -> np.ndarray:
    """The updates of a model that trains itself: full-batch steps, or minibatches as the model makes them."""
    if local.batch is not None:
        raise InvalidInput(f"batch = {local.batch}: expected none, for {model!r:.60} makes its own minibatches")
    found = []
    for start, inputs, labels, weights in zip(starts, *padded, strict=True):
        used = weights > 0
        path = model.descend(start, inputs[used], labels[used], moments=[local.epochs], rate=local.rate)
        found.append(np.asarray(path[-1], dtype=np.float64) - start)
    return np.stack(found)


def train_alone(
    model: VectorModel,
    participants: Sequence[Samples] | Stack,
    *,
    epochs: int,
    local: LocalTraining | None = None,
    initial: ArrayLike | None = None,
    seed: int = 0,
) -> Float[np.ndarray, "participants size"]:
    """Return the parameters each participant reaches on its own samples after `epochs` passes over them.

    This is the reservation: a reward worth less than it is refused. To compare with `train`, give as many
    epochs as the run has in all (rounds times `local.epochs`).
    """
    settings = LocalTraining() if local is None else local
    start = model.initial(seed) if initial is None else np.asarray(initial)
    settings = LocalTraining(epochs=epochs, rate=settings.rate, batch=settings.batch)
    return start + local_updates(model, start, participants, local=settings, seed=seed)


@partial(jax.jit, static_argnums=(0, 1, 2))
def _updates(
    model: Model,
    epochs: int,
    batch: int,
    params: Array,
    inputs: Array,
    labels: Array,
    weights: Array,
    keys: Array,
    rate: Array | float,
) -> Array:
    slots = inputs.shape[1]
    steps = -(-slots // batch)
    gradient = jax.grad(model.loss)

    def one(start, inputs, labels, weights, key):
        def step(current, rows):
            chosen = jnp.minimum(rows, slots - 1)
            counted = jnp.where(rows < slots, weights[chosen], 0)
            return current - rate * gradient(current, inputs[chosen], labels[chosen], counted), None

        def epoch(current, key):
            if steps == 1:
                return current - rate * gradient(current, inputs, labels, weights), None
            # a participant's own samples come first, shuffled, so that its minibatches are full
            order = jnp.argsort(jnp.where(weights > 0, jax.random.uniform(key, (slots,)), 2.0))
            rows = jnp.pad(order, (0, steps * batch - slots), constant_values=slots)
            return jax.lax.scan(step, current, rows.reshape(steps, batch))[0], None

        return jax.lax.scan(epoch, start, jax.random.split(key, epochs))[0] - start

    return jax.vmap(one)(params, inputs, labels, weights, keys)
