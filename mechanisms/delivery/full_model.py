"""The joint model in full, with what the delivery methods weaken: where it started, its path, its samples."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

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
from mechanisms.rounds import TrainingRun


@dataclass(frozen=True, kw_only=True, eq=False)
class FullModel:
    """A trained model from which weaker ones are made.

    Attributes:
        model: the classifier.
        initial: parameters before training; recipients usually know them.
        params: parameters after training: the full model.
        path: parameters from `initial` to `params`, one row per step or round; needed by "early-stop".
        samples: the pooled training samples; needed by "nested-subset".
        steps: full-batch gradient steps that "nested-subset" retrains with.
        rate: their length.
    """

    model: Model
    initial: Float[np.ndarray, " size"]
    params: Float[np.ndarray, " size"]
    path: Float[np.ndarray, "moments size"] | None = None
    samples: Samples | None = None
    steps: int = 300
    rate: float = 0.5

    def __post_init__(self):
        for name in ("initial", "params"):
            checks.array(name, getattr(self, name), length=self.model.size)
        if self.path is not None and np.shape(self.path)[1:] != (self.model.size,):
            raise InvalidInput(f"path of shape {np.shape(self.path)}: expected (moments, {self.model.size})")
        checks.integer("steps", self.steps, low=1)
        checks.number("rate", self.rate, low=0, open_low=True)

    @classmethod
    def of(cls, run: TrainingRun, *, samples: Samples | None = None) -> FullModel:
        """Take the model that `mechanisms.training.train` returned.

        Args:
            run: with `checkpoints=True`, or "early-stop" has no path to stop on.
            samples: pooled training samples, if the coordinator has them.
        """
        path = run.checkpoints[: run.returned_round + 1] if len(run.checkpoints) else None
        return cls(model=run.model, initial=run.initial, params=run.params, path=path, samples=samples)

    def accuracy(self, params: ArrayLike, samples: Samples) -> float:
        """Accuracy of some parameters of this model on samples, in [0, 1]."""
        return self.model.accuracy(params, samples.inputs, samples.labels)


def train_full(
    model: Model, samples: Samples, *, steps: int = 300, rate: float = 0.5, seed: int = 0
) -> FullModel:
    """Train on pooled samples by full-batch gradient descent, keeping the path.

    Args:
        model: the classifier.
        samples: at least one.
        steps: gradient steps.
        rate: their length.
        seed: decides the start.

    >>> from mechanisms.datasets import load
    >>> from mechanisms.models import SoftmaxRegression
    >>> iris = load("iris")
    >>> full = train_full(SoftmaxRegression(features=4, classes=3), iris.train, steps=50)
    >>> full.path.shape, full.accuracy(full.params, iris.test) > 0.8
    ((51, 15), True)
    """
    if len(samples) == 0:
        raise InvalidInput("samples is empty: expected at least one sample")
    if samples.inputs.shape[1] != model.features:
        raise InvalidInput(f"samples have {samples.inputs.shape[1]} features: expected {model.features}")
    steps = checks.integer("steps", steps, low=1)
    rate = checks.number("rate", rate, low=0, open_low=True)
    initial = model.initial(seed)
    path = descend(model, initial, samples, steps=steps, rate=rate)
    return FullModel(
        model=model, initial=initial, params=path[-1], path=path, samples=samples, steps=steps, rate=rate
    )


def descend(
    model: Model,
    initial: ArrayLike,
    samples: Samples,
    *,
    steps: int,
    rate: Array | float,
    weights: ArrayLike | None = None,
) -> Float[np.ndarray, "moments size"]:
    """Return the path of full-batch gradient descent on weighted samples, the start included."""
    counted = jnp.ones(len(samples)) if weights is None else jnp.asarray(weights)
    start = jnp.asarray(initial)
    path = descent_path(model, steps, start, samples.inputs, samples.labels, counted, rate)
    return np.vstack([np.asarray(initial), np.asarray(path)])


@partial(jax.jit, static_argnums=(0, 1))
def descent_path(
    model: Model, steps: int, start: Array, inputs: Array, labels: Array, weights: Array, rate: Array | float
) -> Array:
    """The points of gradient descent on weighted samples after each step, shape (steps, size); compiled."""

    def step(params, _):
        after = params - rate * jax.grad(model.loss)(params, inputs, labels, weights)
        return after, after

    return jax.lax.scan(step, start, length=steps)[1]
