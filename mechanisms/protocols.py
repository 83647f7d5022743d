"""What a model must be able to do, by what is done with it.

A *classifier* is (parameters, predict, accuracy): its parameters may be anything, a vector, a fitted estimator,
a state dict. What a method needs beyond that it asks for:

- a *vector model* has parameters that are one vector, so that updates can be aggregated, masked and averaged;
- a *trainable* model can be trained further from any parameters, by gradient steps;
- a *fittable* model can be fitted anew to weighted samples.

`mechanisms.models.Model` is all but the last; `PytreeModel`, `TorchModel` and `SklearnModel` adapt JAX pytrees,
`torch.nn.Module` and scikit-learn estimators. `as_model` picks the adapter.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike

from contracts.errors import InvalidInput


@runtime_checkable
class Classifier(Protocol):
    """Anything that answers for some parameters."""

    @property
    def classes(self) -> int:
        """How many different answers there are."""
        ...

    def predict(self, params: Any, inputs: ArrayLike) -> np.ndarray:
        """Return the class of each input, shape (samples,), from 0."""
        ...

    def accuracy(self, params: Any, inputs: ArrayLike, labels: ArrayLike) -> float:
        """Return the share of inputs, in [0, 1], whose class is the label."""
        ...


@runtime_checkable
class VectorModel(Classifier, Protocol):
    """A classifier whose parameters are one vector."""

    @property
    def size(self) -> int:
        """The number of parameters."""
        ...

    def initial(self, seed: int = 0) -> np.ndarray:
        """Draw starting parameters."""
        ...

    def loss(self, params: Any, inputs: ArrayLike, labels: ArrayLike) -> Any:
        """Return the mean cross-entropy in nats."""
        ...


@runtime_checkable
class Trainable(Classifier, Protocol):
    """A classifier that gradient steps improve."""

    def descend(
        self,
        params: Any,
        inputs: ArrayLike,
        labels: ArrayLike,
        *,
        moments: Sequence[int],
        rate: float,
        weights: ArrayLike | None = None,
    ) -> Sequence[Any]:
        """Return the parameters after each of these numbers of steps (rising, from 0) of length `rate`."""
        ...


@runtime_checkable
class Fittable(Classifier, Protocol):
    """A classifier that is fitted anew."""

    def fit(
        self, inputs: ArrayLike, labels: ArrayLike, *, weights: ArrayLike | None = None, seed: int = 0
    ) -> Any:
        """Return the parameters fitted to weighted samples."""
        ...


def answers(model: Classifier, params: Any, inputs: ArrayLike) -> np.ndarray:
    """The classes a model answers, checked: one whole number from 0 to `classes - 1` for each input.

    Raises:
        InvalidInput: the model answers with another shape, or with what is no class.

    >>> from mechanisms.models import SoftmaxRegression
    >>> answers(SoftmaxRegression(features=2, classes=2), np.zeros(6), np.ones((3, 2)))
    array([0, 0, 0])
    """
    found = np.asarray(model.predict(params, inputs))
    count = len(np.asarray(inputs))
    if found.shape != (count,):
        raise InvalidInput(f"predict gave shape {found.shape} for {count} inputs: expected ({count},)")
    whole = found.dtype.kind in "iu" or (found.dtype.kind == "f" and bool((found == np.floor(found)).all()))
    if not whole or (count and not (found.min() >= 0 and found.max() < model.classes)):
        raise InvalidInput(f"predict gave {found.dtype} answers: expected classes from 0 to {model.classes - 1}")
    return found.astype(np.int64)


def check_inputs(name: str, model: Classifier, inputs: np.ndarray) -> None:
    """Refuse inputs of another number of features than a model takes, where it says how many."""
    features = getattr(model, "features", None)
    if features is not None and (inputs.ndim != 2 or inputs.shape[1] != features):
        found = inputs.shape[1] if inputs.ndim == 2 else f"{inputs.shape[1:]} as"
        raise InvalidInput(f"{name} has {found} features: expected {features}")


def as_model(thing: Any, *, classes: int) -> Classifier:
    """A model as it is, a `torch.nn.Module` or a scikit-learn estimator in its adapter.

    Raises:
        InvalidInput: it is none of these, or a model of another number of classes.

    >>> from sklearn.tree import DecisionTreeClassifier
    >>> as_model(DecisionTreeClassifier(max_depth=2), classes=3)
    SklearnModel(DecisionTreeClassifier(max_depth=2), classes=3)
    """
    made: Any = thing
    if callable(getattr(thing, "state_dict", None)) and callable(getattr(thing, "forward", None)):
        from mechanisms.torch_model import TorchModel

        made = TorchModel(thing, classes=classes)
    elif callable(getattr(thing, "get_params", None)) and callable(getattr(thing, "fit", None)):
        from mechanisms.sklearn_model import SklearnModel

        made = SklearnModel(thing, classes=classes)
    usable = isinstance(made, Classifier) and isinstance(made, Trainable | Fittable)
    if isinstance(made, type) or not usable:
        raise InvalidInput(
            f"model = {type(thing).__name__}: expected a torch.nn.Module, a scikit-learn estimator, or an object"
            " with classes, predict, accuracy and either initial and descend, or fit"
        )
    if made.classes != classes:
        raise InvalidInput(f"the model knows {made.classes} classes: expected {classes}, as the data have")
    return made
