"""What one holder of a model recovers: by training further, rays, asking again, learning from it.

Each attack returns the answers of its candidates on the test inputs, shape (candidates, samples). The attacker
has own samples, knows the initial model, and is granted the best of its candidates.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import numpy as np
from jax import Array

from mechanisms.datasets import Samples
from mechanisms.models import Model, SoftmaxRegression
from mechanisms.protocols import Classifier, Fittable, Trainable, VectorModel, answers

# Searches along a line go this many times beyond the distance known.
REACH = np.concatenate([np.linspace(0.0, 2.0, 21), np.linspace(2.25, 12.0, 40)])
# Rays that go on so many times as far, whatever own samples say of them: training further from there mends what
# few own samples cannot show.
STRETCHES = (1.5, 2.0, 3.0, 5.0)
# Points between a model and what training further makes of it, and beyond, may generalise better than either:
# Wortsman et al., "Robust fine-tuning of zero-shot models", CVPR 2022.
BLENDS = (0.5, 1.5)
FILLED = [64 * 4**k for k in range(20)]
REPEATS = 15
# A changed input differs from the original by these shares of each feature's range.
NUDGES = (0.005, 0.03)
STACKED_STEPS = (30, 300)

Predict = Callable[[Any], np.ndarray]


@dataclass(frozen=True, kw_only=True, eq=False)
class Attacker:
    """What whoever attacks has.

    Attributes:
        model: of the delivered parameters.
        initial: parameters before training, which it knows.
        moments: numbers of training steps from which it may choose.
        rates: lengths of steps from which it may choose.
        test: samples on which answers are judged.
        slots: the most own samples it has.
        seed: of changed inputs.
    """

    model: Classifier
    initial: Any
    moments: tuple[int, ...]
    rates: tuple[float, ...]
    test: Samples
    slots: int
    seed: int

    def _filled(self, count: int) -> int:
        """The number of samples that so many are filled up to: few different ones, for each is compiled."""
        return min(next(size for size in FILLED if size >= count), max(self.slots, count))

    def answer(self, params: Any) -> np.ndarray:
        """Answers of some parameters on the test inputs."""
        return answers(self.model, params, self.test.inputs)

    def right(self, found: Sequence[np.ndarray]) -> np.ndarray:
        """Which answers are right, shape (candidates, samples)."""
        return np.stack([np.asarray(one) == self.test.labels for one in found]).astype(float)

    def tune(self, points: Sequence[Any], own: Samples) -> list[list[np.ndarray]]:
        """Answers after training each point further on own samples; none if the model cannot be."""
        return [[self.answer(p) for p in path] for path in self._tuned(points, own)]

    def _tuned(self, points: Sequence[Any], own: Samples) -> list[list[Any]]:
        """Parameters on the way of training each point further; those that have run away are left out."""
        if len(own) == 0:
            return [[] for _ in points]
        return [[p for p in path if _finite(p)] for path in self._paths(points, own)]

    def _paths(self, points: Sequence[Any], own: Samples) -> list[list[Any]]:
        model, inputs, labels = self.model, own.inputs, own.labels
        tuned: Any = getattr(model, "tuned", None)
        if tuned is not None:
            return [list(tuned(point, inputs, labels, moments=self.moments)) for point in points]
        if not isinstance(model, Trainable):
            return [[] for _ in points]
        options: dict[str, Any] = {"moments": self.moments}
        if isinstance(model, Model):  # compiled for few numbers of samples
            inputs, labels, options["weights"] = _padded(own, self._filled(len(own)))
        return [
            [each for rate in self.rates for each in model.descend(p, inputs, labels, rate=rate, **options)]
            for p in points
        ]

    def alone(self, own: Samples) -> np.ndarray:
        """What own samples give without any model, shape (candidates, samples)."""
        found = [self.answer(self.initial)] if self.initial is not None else []
        if isinstance(self.model, Trainable) and self.initial is not None:
            found += self.tune([self.initial], own)[0]
        elif isinstance(self.model, Fittable) and len(own):
            found.append(self.answer(self.model.fit(own.inputs, own.labels)))
        found += self.stacked(None, own)
        return self.right(found or [np.full(len(self.test), int(np.bincount(self.test.labels).argmax()))])

    def search(self, start: np.ndarray, through: np.ndarray, own: Samples) -> np.ndarray:
        """The point on a line whose loss on own samples is lowest."""
        points = start + REACH[:, None] * (through - start)
        if isinstance(self.model, Model):
            losses = np.asarray(_losses(self.model, points, *_padded(own, self._filled(len(own)))))
        else:
            assert isinstance(self.model, VectorModel)
            losses = np.array([float(self.model.loss(p, own.inputs, own.labels)) for p in points])
        return points[int(np.argmin(np.where(np.isfinite(losses), losses, np.inf)))]

    def stacked(self, predict: Predict | None, own: Samples) -> list[np.ndarray]:
        """Answers of a softmax regression on the inputs and, if given, on what a model answers to them.

        It needs nothing but answers, so it attacks any model, and models behind a query interface.
        """
        if len(own) < 2:
            return []
        flat = own.inputs.reshape(len(own), -1)
        mean, spread = flat.mean(axis=0), np.maximum(flat.std(axis=0), 1e-3)

        def features(inputs: np.ndarray) -> np.ndarray:
            rows = (inputs.reshape(len(inputs), -1) - mean) / spread
            rows = np.clip(rows, -5, 5) / np.sqrt(rows.shape[1])
            told = [] if predict is None else [2.0 * np.eye(self.model.classes)[predict(inputs)]]
            return np.hstack([rows, *told])

        rows, labels, weights = _padded(
            Samples(inputs=features(own.inputs), labels=own.labels), self._filled(len(own))
        )
        learner = SoftmaxRegression(features=rows.shape[1], classes=self.model.classes)
        moments = STACKED_STEPS
        path = learner.descend(learner.initial(), rows, labels, moments=moments, rate=1.0, weights=weights)
        asked = features(self.test.inputs)
        return [learner.predict(each, asked) for each in path]

    def asked_again(self, predict: Predict) -> list[np.ndarray]:
        """The majority of answers to slightly changed inputs, one for each width of the change."""
        draw, inputs = np.random.default_rng(self.seed), self.test.inputs
        found = []
        for nudge in NUDGES:
            width = nudge * np.ptp(inputs, axis=0)
            changed = (inputs + draw.uniform(-1, 1, inputs.shape) * width for _ in range(REPEATS))
            found.append(majority([predict(each) for each in changed], self.model.classes))
        return found

    def by_one(self, params: Any, predict: Predict, own: Samples) -> dict[str, np.ndarray]:
        """All attacks of one recipient on what it holds; `params` is None where it may only ask."""
        found = {"as delivered": [predict(self.test.inputs)], "asked again": self.asked_again(predict)}
        if len(own):
            found["stacked"] = self.stacked(predict, own)
        if params is not None:
            points = [params]
            if isinstance(self.model, VectorModel) and len(own) and self.initial is not None:
                start = np.asarray(self.initial)
                points.append(self.search(start, params, own))
                points += [start + times * (params - start) for times in STRETCHES]
            first, *others = self._tuned(points, own)
            found["fine-tuned"] = [self.answer(each) for each in first]
            found["ray"] = [self.answer(each) for path in others for each in path]
            if isinstance(self.model, VectorModel):
                blends = (params + share * (each - params) for each in first for share in BLENDS)
                found["blended"] = [self.answer(each) for each in blends]
        return {name: self.right(each) for name, each in found.items() if each}


def majority(answered: Sequence[np.ndarray], classes: int) -> np.ndarray:
    """The most frequent answer to each input; of equally frequent ones the lowest class.

    >>> majority([np.array([0, 2]), np.array([1, 2]), np.array([1, 0])], 3)
    array([1, 2])
    """
    return np.stack([np.bincount(column, minlength=classes) for column in np.array(answered).T]).argmax(axis=1)


def _finite(params: Any) -> bool:
    """Whether training has not run away; parameters that are no vector are taken as they are."""
    return not isinstance(params, np.ndarray) or bool(np.isfinite(params).all())


def _padded(own: Samples, slots: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Own samples filled up with samples of weight 0."""
    spare = max(slots - len(own), 0)
    inputs = np.pad(own.inputs, [(0, spare)] + [(0, 0)] * (own.inputs.ndim - 1))
    return inputs, np.pad(own.labels, (0, spare)), np.r_[np.ones(len(own)), np.zeros(spare)]


@partial(jax.jit, static_argnums=0)
def _losses(model: Model, points: Array, inputs: Array, labels: Array, weights: Array) -> Array:
    return jax.vmap(lambda point: model.loss(point, inputs, labels, weights))(points)
