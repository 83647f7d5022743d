"""Classifiers as pure functions of one flat parameter vector.

A model is a description of shapes (frozen, hashable, so it can be a static argument of `jax.jit`); its
parameters are one vector, because every aggregation, reward and delivery rule of this package is a map on
vectors. Precision follows the caller's JAX scope: float32 as JAX starts, float64 in `jax.enable_x64(True)`.
"""

from __future__ import annotations

import abc
import itertools
import math
from collections.abc import Sequence
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
from mechanisms.seeds import LARGEST_SEED


@dataclass(frozen=True)
class Model(abc.ABC):
    """A classifier with flat parameters.

    Attributes:
        features: number of input features.
        classes: number of classes.
    """

    features: int
    classes: int

    def __post_init__(self):
        checks.integer("features", self.features, low=1)
        checks.integer("classes", self.classes, low=2)

    @property
    @abc.abstractmethod
    def size(self) -> int:
        """The number of parameters."""

    @abc.abstractmethod
    def initial(self, seed: int = 0) -> Float[np.ndarray, " size"]:
        """Draw starting parameters."""

    @abc.abstractmethod
    def logits(self, params: ArrayLike, inputs: ArrayLike) -> Array:
        """Return the class scores, shape (samples, classes), of inputs of shape (samples, features)."""

    def loss(
        self, params: ArrayLike, inputs: ArrayLike, labels: ArrayLike, weights: ArrayLike | None = None
    ) -> Array:
        """Mean cross-entropy in nats, each sample counted with its weight.

        Args:
            params: flat parameters.
            inputs: shape (samples, features).
            labels: shape (samples,), from 0.
            weights: shape (samples,), >= 0; None counts all equally. If all are 0 the loss is 0.

        >>> model = SoftmaxRegression(features=2, classes=4)
        >>> round(float(model.loss(model.initial(), np.ones((3, 2)), np.array([0, 1, 2]))), 4)  # log 4
        1.3863
        """
        scores = jax.nn.log_softmax(self.logits(params, inputs))
        surprise = -jnp.take_along_axis(scores, jnp.asarray(labels)[:, None], axis=1)[:, 0]
        if weights is None:
            return surprise.mean()
        counted = jnp.asarray(weights)
        total = counted.sum()
        return (counted * surprise).sum() / jnp.where(total > 0, total, 1)

    def predict(self, params: ArrayLike, inputs: ArrayLike) -> np.ndarray:
        """Return the most probable class of each input.

        Raises:
            InvalidInput: parameters or inputs of another shape than this model's.
        """
        if np.shape(params) != (self.size,):
            raise InvalidInput(f"params of shape {np.shape(params)}: expected ({self.size},)")
        if np.ndim(inputs) != 2 or np.shape(inputs)[1] != self.features:
            raise InvalidInput(f"inputs of shape {np.shape(inputs)}: expected (samples, {self.features})")
        return np.asarray(_predict(self, jnp.asarray(params), jnp.asarray(inputs)))

    def accuracy(self, params: ArrayLike, inputs: ArrayLike, labels: ArrayLike) -> float:
        """Fraction of inputs, in [0, 1], whose most probable class is the label.

        >>> model = SoftmaxRegression(features=2, classes=2)
        >>> model.accuracy(np.zeros(6), np.ones((4, 2)), np.array([0, 0, 0, 1]))
        0.75
        """
        return float(np.mean(self.predict(params, inputs) == np.asarray(labels)))


@partial(jax.jit, static_argnums=0)
def _predict(model: Model, params: Array, inputs: Array) -> Array:
    return jnp.argmax(model.logits(params, inputs), axis=-1)


@dataclass(frozen=True)
class SoftmaxRegression(Model):
    """Multinomial logistic regression: a weight per feature and class, a bias per class.

    >>> SoftmaxRegression(features=64, classes=10).size
    650
    """

    @property
    def size(self) -> int:
        """The number of parameters."""
        return (self.features + 1) * self.classes

    def initial(self, seed: int = 0) -> Float[np.ndarray, " size"]:
        """Return zeros: the problem is convex, so every start is as good (the seed changes nothing)."""
        checks.integer("seed", seed, high=LARGEST_SEED)
        return np.zeros(self.size)

    def logits(self, params: ArrayLike, inputs: ArrayLike) -> Array:
        """Return the class scores, shape (samples, classes)."""
        return _affine(jnp.asarray(params), jnp.asarray(inputs), self.features, self.classes)


@dataclass(frozen=True)
class MultilayerPerceptron(Model):
    """A fully connected network with tanh between its layers.

    Attributes:
        hidden: widths of the hidden layers.

    >>> MultilayerPerceptron(features=64, classes=10, hidden=(32,)).size
    2410
    """

    hidden: tuple[int, ...] = (32,)

    def __post_init__(self):
        super().__post_init__()
        widths = self.hidden if isinstance(self.hidden, Sequence) else (self.hidden,)
        object.__setattr__(self, "hidden", tuple(checks.integer("hidden", w, low=1) for w in widths))

    @property
    def layers(self) -> tuple[tuple[int, int], ...]:
        """Inputs and outputs of every layer, in the order in which its parameters lie in the vector."""
        widths = (self.features, *self.hidden, self.classes)
        return tuple(itertools.pairwise(widths))

    @property
    def size(self) -> int:
        """The number of parameters."""
        return sum((width + 1) * out for width, out in self.layers)

    def initial(self, seed: int = 0) -> Float[np.ndarray, " size"]:
        """Draw Glorot-normal weights (variance 2 / (inputs + outputs)) and zero biases."""
        draw = np.random.default_rng(checks.integer("seed", seed, high=LARGEST_SEED))
        parts = []
        for width, out in self.layers:
            parts += [draw.normal(0, math.sqrt(2 / (width + out)), width * out), np.zeros(out)]
        return np.concatenate(parts)

    def logits(self, params: ArrayLike, inputs: ArrayLike) -> Array:
        """Return the class scores, shape (samples, classes)."""
        signal, params, start = jnp.asarray(inputs), jnp.asarray(params), 0
        for index, (width, out) in enumerate(self.layers):
            stop = start + (width + 1) * out
            signal = _affine(params[start:stop], jnp.tanh(signal) if index else signal, width, out)
            start = stop
        return signal


def _affine(params: Array, inputs: Array, width: int, out: int) -> Array:
    return inputs @ params[: width * out].reshape(width, out) + params[width * out :]
