"""Classifiers as pure functions of one flat parameter vector.

A model is a description of shapes (frozen, hashable, so it can be a static argument of `jax.jit`); its
parameters are one vector, because every aggregation, reward and delivery rule of this package is a map on
vectors. Precision follows the caller's JAX scope: float32 as JAX starts, float64 in `jax.enable_x64(True)`.
"""

from __future__ import annotations

import abc
import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.flatten_util import ravel_pytree
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

    def __post_init__(self) -> None:
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

    def descend(
        self,
        params: ArrayLike,
        inputs: ArrayLike,
        labels: ArrayLike,
        *,
        moments: Sequence[int],
        rate: Array | float,
        weights: ArrayLike | None = None,
    ) -> Float[np.ndarray, "moments size"]:
        """Return the parameters after each of these numbers of full-batch gradient steps, rising from 0.

        >>> model = SoftmaxRegression(features=1, classes=2)
        >>> model.descend(np.zeros(4), np.array([[1.0], [-1.0]]), [1, 0], moments=[0, 1], rate=0.5).round(3)
        array([[ 0.  ,  0.  ,  0.  ,  0.  ],
               [-0.25,  0.25,  0.  ,  0.  ]])
        """
        labels = np.asarray(labels)
        counted = jnp.ones(len(labels)) if weights is None else jnp.asarray(weights)
        path = descent_path(self, int(max(moments)), jnp.asarray(params), inputs, labels, counted, rate)
        return np.vstack([np.asarray(params)[None], np.asarray(path)])[list(moments)]

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


@partial(jax.jit, static_argnums=(0, 1))
def descent_path(
    model: Model,
    steps: int,
    start: Array,
    inputs: ArrayLike,
    labels: ArrayLike,
    weights: ArrayLike,
    rate: Array | float,
) -> Array:
    """The points of gradient descent on weighted samples after each step, shape (steps, size); compiled."""

    def step(params, _):
        after = params - rate * jax.grad(model.loss)(params, inputs, labels, weights)
        return after, after

    return jax.lax.scan(step, start, length=steps)[1]


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

    def __post_init__(self) -> None:
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


class PytreeModel(Model):
    """A function of a JAX pytree of parameters, as a model of one flat vector: of Flax, Equinox or plain JAX.

    Args:
        apply: gives class scores, shape (samples, classes), from parameters and inputs (samples, features).
        params: a pytree of parameters of floating-point numbers, from which training starts; or a function of
            a seed that draws one.
        features, classes: as of any model.

    Raises:
        InvalidInput: the tree has no floating-point leaves, or other ones.

    >>> def linear(params, inputs):
    ...     return inputs @ params["weight"] + params["bias"]
    >>> start = {"weight": np.zeros((2, 3)), "bias": np.zeros(3)}
    >>> model = PytreeModel(linear, start, features=2, classes=3)
    >>> model.size, model.tree(np.arange(9.0))["bias"]
    (9, Array([0., 1., 2.], dtype=float32))
    """

    def __init__(self, apply: Callable[[Any, Array], Array], params: Any, *, features: int, classes: int):
        super().__init__(features=features, classes=classes)
        draw = params if callable(params) else lambda _: params
        template = draw(0)
        leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(template)]
        if not leaves or not all(jnp.issubdtype(leaf.dtype, jnp.floating) for leaf in leaves):
            raise InvalidInput("params: expected a pytree of arrays of floating-point numbers")
        vector, unravel = ravel_pytree(jax.tree.map(jnp.asarray, template))
        for name, value in (
            ("apply", apply),
            ("_draw", draw),
            ("_size", vector.size),
            ("_dtype", vector.dtype),
            ("tree", unravel),
        ):
            object.__setattr__(self, name, value)

    # two functions differ though their shapes are equal, and compiled code belongs to one
    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self)

    def __repr__(self) -> str:
        return f"PytreeModel(features={self.features}, classes={self.classes}, size={self.size})"

    @property
    def size(self) -> int:
        """The number of parameters."""
        return int(self._size)  # type: ignore[attr-defined]

    def vector(self, params: Any) -> Float[np.ndarray, " size"]:
        """The vector of a tree of parameters."""
        return np.asarray(ravel_pytree(params)[0], dtype=np.float64)

    def initial(self, seed: int = 0) -> Float[np.ndarray, " size"]:
        """Return what was given to start from, or draw it."""
        return self.vector(self._draw(checks.integer("seed", seed, high=LARGEST_SEED)))  # type: ignore[attr-defined]

    def logits(self, params: ArrayLike, inputs: ArrayLike) -> Array:
        """Return the class scores, shape (samples, classes)."""
        tree = self.tree(jnp.asarray(params, self._dtype))  # type: ignore[attr-defined]
        scores = self.apply(tree, jnp.asarray(inputs))  # type: ignore[attr-defined]
        expected = (len(jnp.asarray(inputs)), self.classes)
        if jnp.shape(scores) != expected:
            raise InvalidInput(f"apply gave shape {jnp.shape(scores)}: expected {expected}")
        return scores


def _affine(params: Array, inputs: Array, width: int, out: int) -> Array:
    return inputs @ params[: width * out].reshape(width, out) + params[width * out :]
