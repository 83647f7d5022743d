"""Estimators of scikit-learn as models: the parameters are the fitted estimator itself."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from contracts import checks
from contracts.errors import InvalidInput


class SklearnModel:
    """A scikit-learn classifier or pipeline; it is cloned before each fit and never changed.

    Fitted estimators are no vectors: they can be fitted to fewer samples ("nested-subset") and picked among
    checkpoints, not masked or averaged. Where the estimator has `partial_fit` it can be trained further.

    Args:
        estimator: a classifier of labels from 0.
        classes: how many.

    Raises:
        InvalidInput: `estimator` has no `fit` and `predict`.

    >>> from sklearn.tree import DecisionTreeClassifier
    >>> model = SklearnModel(DecisionTreeClassifier(), classes=2)
    >>> fitted = model.fit([[0.0], [1.0], [2.0]], [0, 0, 1])
    >>> model.predict(fitted, [[1.9], [0.1]])
    array([1, 0])
    """

    def __init__(self, estimator: Any, *, classes: int) -> None:
        for name in ("fit", "predict", "get_params"):
            if not callable(getattr(estimator, name, None)) or isinstance(estimator, type):
                raise InvalidInput(f"estimator = {type(estimator).__name__}: expected a scikit-learn classifier")
        self.classes = checks.integer("classes", classes, low=2)
        self.estimator = estimator

    def __repr__(self) -> str:
        return f"SklearnModel({self.estimator!r}, classes={self.classes})"

    def initial(self, seed: int = 0) -> Any:
        """Return what has learned nothing: it always answers with class 0."""
        checks.integer("seed", seed)
        return _constant(0)

    def fit(
        self, inputs: ArrayLike, labels: ArrayLike, *, weights: ArrayLike | None = None, seed: int = 0
    ) -> Any:
        """Return a clone fitted to the samples of positive weight.

        Weights below one count only where the estimator takes weights; samples of a single class give the
        constant answer.
        """
        from sklearn.base import clone
        from sklearn.utils.validation import has_fit_parameter

        rows, wanted = np.asarray(inputs), np.asarray(labels)
        counted = np.ones(len(wanted)) if weights is None else np.asarray(weights, dtype=float)
        used = counted > 0
        if not used.any():
            return self.initial(seed)
        if len(np.unique(wanted[used])) < 2:
            return _constant(int(wanted[used][0]))
        fresh: Any = clone(self.estimator)
        # the steps of a pipeline draw, too: with states of their own no two fits would be alike
        states = [name for name in fresh.get_params() if name.split("__")[-1] == "random_state"]
        fresh.set_params(**{name: seed % 2**32 for name in states if fresh.get_params()[name] is None})
        fitting = {"sample_weight": counted[used]} if has_fit_parameter(fresh, "sample_weight") else {}
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of training that has not converged on few samples
                return fresh.fit(rows[used], wanted[used], **fitting)
        except ValueError as error:
            raise InvalidInput(f"{type(self.estimator).__name__} cannot be fitted: {_line(error)}") from error

    def predict(self, params: Any, inputs: ArrayLike) -> np.ndarray:
        """Return the fitted estimator's class of each input, shape (samples,)."""
        return np.asarray(params.predict(np.asarray(inputs)))

    def accuracy(self, params: Any, inputs: ArrayLike, labels: ArrayLike) -> float:
        """Return the share of inputs, in [0, 1], whose class is the label."""
        return float(np.mean(self.predict(params, inputs) == np.asarray(labels)))

    def tuned(self, params: Any, inputs: ArrayLike, labels: ArrayLike, *, moments: Sequence[int]) -> list[Any]:
        """Return copies trained further by so many passes of `partial_fit`; none where it has none."""
        if not callable(getattr(params, "partial_fit", None)):
            return []
        current, done, found = copy.deepcopy(params), 0, []
        for moment in moments:
            for _ in range(done, moment):
                current.partial_fit(np.asarray(inputs), np.asarray(labels))
            done = moment
            found.append(copy.deepcopy(current))
        return found


def _constant(label: int) -> Any:
    from sklearn.dummy import DummyClassifier

    return DummyClassifier(strategy="constant", constant=label).fit([[0.0]], [label])


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
