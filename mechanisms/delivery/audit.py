"""What recipients can recover: the attacks on delivered models, run and measured.

Alone, a recipient can train its model further on its own samples (fine-tuning), or search along the line from
the initial model through its own (ray). Together, recipients can average their models, take the union of what
each received, or search along the line from a worse model through a better one (extrapolation). Searches use
the recipients' own samples. Behind a query interface they can take the majority of their answers, or ask
about slightly changed inputs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float

from contracts import checks
from contracts.errors import InvalidInput
from mechanisms.datasets import Samples
from mechanisms.delivery.deliver import Delivery
from mechanisms.delivery.full_model import descend
from mechanisms.models import Model
from mechanisms.seeds import LARGEST_SEED

# Searches along a line go this many times beyond the distance known.
REACH = np.concatenate([np.linspace(0.0, 2.0, 21), np.linspace(2.25, 12.0, 40)])
REPEATS = 15
# A changed input differs from the original by this share of each feature's range.
NUDGE = 0.005


@dataclass(frozen=True, kw_only=True, eq=False)
class Audit:
    """Test accuracies before and after each attack.

    Attributes:
        method: of the delivery.
        delivered: each recipient's model as delivered.
        fine_tuned: after further training on own samples; NaN for answers.
        ray: best point, by own samples, on the line from the initial model through its own; NaN for answers.
        average: of all recipients' models; of answers, their majority.
        union: of what each recipient received; NaN for answers.
        extrapolated: best point, by own samples, on the line from the worst model through the best; NaN for
            one recipient or answers.
        repeated: for answers, the majority over slightly changed inputs; NaN for models.
        alone: training on own samples only.
        full: the full model.
        margin: by how much an attack must exceed what it is compared with to count as a leak.
        leaks: attacks that gained: a coalition's average or union against its best member as delivered, ray
            and extrapolation against its best member fine-tuned, repeated questions against one question.
    """

    method: str
    delivered: Float[np.ndarray, " recipients"]
    fine_tuned: Float[np.ndarray, " recipients"]
    ray: Float[np.ndarray, " recipients"]
    average: float
    union: float
    extrapolated: float
    repeated: float
    alone: float
    full: float
    margin: float
    leaks: tuple[str, ...]

    def __repr__(self) -> str:
        best = int(np.argmax(self.delivered))
        figures = {
            "delivered": self.delivered[best],
            "fine-tuned": self.fine_tuned[best],
            "ray": self.ray[best],
            "average": self.average,
            "union": self.union,
            "extrapolated": self.extrapolated,
            "repeated": self.repeated,
            "alone": self.alone,
            "full": self.full,
        }
        shown = ", ".join(f"{name} {value:.3f}" for name, value in figures.items() if not math.isnan(value))
        return f"{self.method}, best recipient: {shown}; leaks: {', '.join(self.leaks) or 'none'}"


def audit(
    delivery: Delivery,
    *,
    own: Samples,
    test: Samples,
    steps: int = 30,
    steps_alone: int = 300,
    rate: float = 0.5,
    seed: int = 0,
) -> Audit:
    """Run the attacks on a delivery.

    Args:
        delivery: what recipients hold.
        own: the samples a recipient, or the coalition, can train and search with.
        test: fresh samples, on which accuracies are reported.
        steps: full-batch gradient steps of fine-tuning.
        steps_alone: the same for training on own samples only.
        rate: their length.
        seed: of the changed inputs.

    Raises:
        InvalidInput: `own` or `test` has no samples or other features, or a number out of range.

    >>> from mechanisms.datasets import load, split
    >>> from mechanisms.delivery import deliver, train_full
    >>> from mechanisms.models import SoftmaxRegression
    >>> digits = load("digits")
    >>> full = train_full(SoftmaxRegression(features=64, classes=10), digits.train)
    >>> given = deliver(full, 0.7, held_out=digits.validation, method="interpolated", allow_unsafe=True)
    >>> audit(given, own=digits.validation.take(range(50)), test=digits.test).full > 0.9
    True
    """
    for name, samples in (("own", own), ("test", test)):
        if len(samples) == 0:
            raise InvalidInput(f"{name} has no samples: expected at least one")
        if samples.inputs.shape[1] != delivery.full.model.features:
            raise InvalidInput(
                f"{name} has {samples.inputs.shape[1]} features: expected {delivery.full.model.features}"
            )
    steps = checks.integer("steps", steps, low=1)
    steps_alone = checks.integer("steps_alone", steps_alone, low=1)
    rate = checks.number("rate", rate, low=0, open_low=True)
    seed = checks.integer("seed", seed, high=LARGEST_SEED)
    full, model = delivery.full, delivery.full.model
    missing = np.full(len(delivery.models), math.nan)

    def tested(params: np.ndarray) -> float:
        return full.accuracy(params, test)

    delivered = np.array([np.mean(given.predict(test.inputs) == test.labels) for given in delivery.models])
    fine_tuned, ray, union, extrapolated, repeated = missing, missing, math.nan, math.nan, math.nan
    if delivery.method == "randomised-response":
        average = _majority([given.predict(test.inputs) for given in delivery.models], test, model.classes)
        repeated = _repeated(delivery, test, seed)
    else:
        params = np.stack([given.params for given in delivery.models if given.params is not None])
        tune = [descend(model, row, own, steps=steps, rate=rate)[-1] for row in params]
        fine_tuned = np.array([tested(row) for row in tune])
        ray = np.array([tested(_search(model, full.initial, row, own)) for row in params])
        average = tested(params.mean(axis=0))
        union = tested(_union(full.initial, params))
        if len(params) > 1:
            worst, best = np.argmin(delivered), np.argmax(delivered)
            extrapolated = tested(_search(model, params[worst], params[best], own))
    alone = tested(descend(model, full.initial, own, steps=steps_alone, rate=rate)[-1])
    best_model = float(delivered.max())
    margin = 2 * math.sqrt(2 * max(best_model * (1 - best_model), 1 / len(test)) / len(test))
    base = float(np.fmax(best_model, fine_tuned.max()))
    gained = {
        "average": average - best_model,
        "union": union - best_model,
        "ray": float(ray.max()) - base,
        "extrapolated": extrapolated - base,
        "repeated": repeated - best_model,
    }
    return Audit(
        method=delivery.method,
        delivered=delivered,
        fine_tuned=fine_tuned,
        ray=ray,
        average=average,
        union=union,
        extrapolated=extrapolated,
        repeated=repeated,
        alone=alone,
        full=tested(full.params),
        margin=margin,
        leaks=tuple(name for name, gain in gained.items() if gain > margin),
    )


def _search(model: Model, start: np.ndarray, through: np.ndarray, own: Samples) -> np.ndarray:
    """The point on a line whose loss on own samples is lowest."""
    points = start + REACH[:, None] * (through - start)
    return points[int(np.argmin(_losses(model, jnp.asarray(points), own.inputs, own.labels)))]


@partial(jax.jit, static_argnums=0)
def _losses(model: Model, points: Array, inputs: Array, labels: Array) -> Array:
    return jax.vmap(lambda point: model.loss(point, inputs, labels))(points)


def _union(initial: np.ndarray, params: np.ndarray) -> np.ndarray:
    """What anybody received: per coordinate, the mean over those whose value is not the initial one."""
    received = params != initial
    sums = np.where(received, params, 0).sum(axis=0)
    return np.where(received.any(axis=0), sums / np.maximum(received.sum(axis=0), 1), initial)


def _majority(answers: list[np.ndarray], test: Samples, classes: int) -> float:
    votes = np.stack([np.bincount(column, minlength=classes) for column in np.array(answers).T])
    return float(np.mean(votes.argmax(axis=1) == test.labels))


def _repeated(delivery: Delivery, test: Samples, seed: int) -> float:
    draw = np.random.default_rng(seed)
    best = max(delivery.models, key=lambda given: given.knob)
    width = NUDGE * np.ptp(test.inputs, axis=0)
    answers = [
        best.predict(test.inputs + draw.uniform(-1, 1, test.inputs.shape) * width) for _ in range(REPEATS)
    ]
    return _majority(answers, test, delivery.full.model.classes)
