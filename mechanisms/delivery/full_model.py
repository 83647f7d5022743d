"""The joint model in full, with what the delivery methods weaken: where it started, its path, its samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from contracts import checks
from contracts.errors import InvalidInput
from mechanisms.datasets import Samples
from mechanisms.protocols import Classifier, Fittable, Trainable, VectorModel, answers, check_inputs
from mechanisms.rounds import TrainingRun


@dataclass(frozen=True, kw_only=True, eq=False)
class FullModel:
    """A trained model from which weaker ones are made.

    Attributes:
        model: any classifier (`mechanisms.protocols`).
        initial: parameters before training; recipients usually know them.
        params: parameters after training: the full model.
        path: parameters from `initial` to `params`, one entry per step, round or checkpoint; needed by
            "early-stop".
        samples: the pooled training samples; needed by "nested-subset".
        steps: gradient steps that "nested-subset" retrains with.
        rate: their length.
    """

    model: Classifier
    initial: Any
    params: Any
    path: Any = None
    samples: Samples | None = None
    steps: int = 300
    rate: float = 0.5

    def __post_init__(self) -> None:
        if isinstance(self.model, VectorModel):
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

    def accuracy(self, params: Any, samples: Samples) -> float:
        """Accuracy of some parameters of this model on samples, in [0, 1]."""
        return float(np.mean(answers(self.model, params, samples.inputs) == samples.labels))

    def retrained(self, samples: Samples, weights: ArrayLike | None = None) -> Any:
        """Parameters that the same training reaches on weighted samples, from the same start."""
        if isinstance(self.model, Trainable):
            inputs, labels = samples.inputs, samples.labels
            path = self.model.descend(
                self.initial, inputs, labels, moments=[self.steps], rate=self.rate, weights=weights
            )
            return path[-1]
        if isinstance(self.model, Fittable):
            return self.model.fit(samples.inputs, samples.labels, weights=weights)
        raise InvalidInput(f"model = {self.model!r:.60}: expected one with descend or fit, to be trained again")


def train_full(
    model: Classifier, samples: Samples, *, steps: int = 300, rate: float = 0.5, seed: int = 0
) -> FullModel:
    """Train on pooled samples, keeping the path of models that are trained by steps.

    Args:
        model: the classifier; one with `descend` is trained by gradient steps, one with `fit` is fitted.
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
    check_inputs("samples", model, samples.inputs)
    steps = checks.integer("steps", steps, low=1)
    rate = checks.number("rate", rate, low=0, open_low=True)
    start, path = trained_path(model, samples, moments=range(steps + 1), rate=rate, seed=seed)
    kept = path if isinstance(model, Trainable) else None
    return FullModel(
        model=model, initial=start, params=path[-1], path=kept, samples=samples, steps=steps, rate=rate
    )


def trained_path(
    model: Classifier,
    samples: Samples,
    *,
    moments: Sequence[int],
    rate: float,
    weights: ArrayLike | None = None,
    seed: int = 0,
) -> tuple[Any, Any]:
    """Where a model starts, and its parameters after so many steps; of one that is fitted, start and end.

    Raises:
        InvalidInput: the model can be neither trained nor fitted.
    """
    inputs, labels = samples.inputs, samples.labels
    start = model.initial(seed) if callable(getattr(model, "initial", None)) else None  # type: ignore[attr-defined]
    if isinstance(model, Trainable):
        return start, model.descend(start, inputs, labels, moments=moments, rate=rate, weights=weights)
    if isinstance(model, Fittable):
        return start, [start, model.fit(inputs, labels, weights=weights, seed=seed)]
    raise InvalidInput(f"model = {model!r:.60}: expected one with descend or fit, to be trained")


def descend(
    model: Trainable,
    initial: Any,
    samples: Samples,
    *,
    steps: int,
    rate: float,
    weights: ArrayLike | None = None,
) -> Any:
    """Return the path of gradient descent on weighted samples, the start included."""
    moments = range(steps + 1)
    return model.descend(initial, samples.inputs, samples.labels, moments=moments, rate=rate, weights=weights)
