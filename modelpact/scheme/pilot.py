"""The pilot: measure a learning curve on real data, and read it with caution.

The pilot's samples are few, so the models trained on parts of them share samples. With sample variance s²
among R models trained on x of P samples drawn without replacement, one model of x fresh samples has variance
s² / (1 - x/P), and the mean of the R models varies from pilot to pilot by that times x/P + (1 - x/P)/R (both
exact for statistics that are sums over samples; a Hájek projection says why accuracies come near it).

What these measurements say of the learning curve is a posterior over curves (`contracts.measured`), counted from
what naming the commonest class gives; the scheme says what is promised on it. Nothing is offered unless the
pilot's largest models are clearly better than that.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from contracts.measured.measurements import Measurements
from mechanisms.datasets import Samples
from mechanisms.delivery.full_model import trained_path
from mechanisms.models import Model
from modelpact.scheme.settings import Scheme
from modelpact.scheme.stages import Made, Record, Stage
from modelpact.scheme.tables import Training
from modelpact.scheme.trainers import classifier
from modelpact.scheme.world import samples, stream

LARGEST_SHARE = 2 / 3  # of the pilot's samples in one model
HARDLY = 1e-6  # accuracy
CLEARLY = 2.0  # standard errors


def measure(scheme: Scheme, inputs: Mapping[str, Record]) -> Made:
    """Train models on growing parts of the pilot's samples."""
    data, settings = inputs["data"], scheme.measuring
    held, validation = samples(data, "pilot"), samples(data, "validation")
    most = int(LARGEST_SHARE * len(held))
    least = settings.least(len(held))
    sizes = np.unique(np.geomspace(least, most, settings.sizes).round().astype(int))
    shape = {"features": data.result["features"], "classes": data.result["classes"]}
    model = classifier(scheme.model, **shape)
    draw = stream(scheme, "pilot")
    accuracy = []
    for size in sizes:
        chosen = np.zeros((settings.repetitions, len(held)))
        for row in chosen:
            row[draw.permutation(len(held))[:size]] = 1.0
        params = train_weighted(model, held, chosen, training=scheme.training, seed=scheme.seed)
        accuracy.append([model.accuracy(p, validation.inputs, validation.labels) for p in params])
    return {"data": sizes.tolist(), "accuracy": accuracy, "samples": len(held)}, {}


def train_weighted(model: Any, part: Samples, weights: np.ndarray, *, training: Training, seed: int) -> Any:
    """Models trained centrally, one per row of sample weights, with as many steps as a participant's epochs."""
    steps = training.rounds * training.epochs
    if not isinstance(model, Model):
        options = {"moments": [steps], "rate": training.rate, "seed": seed}
        return [trained_path(model, part, weights=row, **options)[1][-1] for row in weights]
    start = jnp.asarray(model.initial(seed))
    return np.asarray(
        _train_weighted(model, steps, start, part.inputs, part.labels, jnp.asarray(weights), training.rate)
    )


@partial(jax.jit, static_argnums=(0, 1))
def _train_weighted(
    model: Model, steps: int, start: Array, inputs: Array, labels: Array, weights: Array, rate: Array | float
) -> Array:
    def one(counted):
        def step(params, _):
            return params - rate * jax.grad(model.loss)(params, inputs, labels, counted), None

        return jax.lax.scan(step, start, length=steps)[0]

    return jax.vmap(one)(weights)


def fit(scheme: Scheme, inputs: Mapping[str, Record]) -> Made:
    """The posterior over learning curves, and what is said against it."""
    pilot, labels = inputs["pilot"].result, samples(inputs["data"], "validation").labels
    sizes, accuracy = np.array(pilot["data"], dtype=float), np.array(pilot["accuracy"])
    # no deviation is known more finely than to half a sample of the validation set
    fresh, error = deviations(accuracy, sizes / pilot["samples"], least=0.5 / len(labels))
    chance, means = float(np.bincount(labels).max() / len(labels)), accuracy.mean(axis=1)
    # the validation samples that judge the models have an error, too
    total = np.sqrt(error**2 + means * (1.0 - means) / len(labels))
    doubt = CLEARLY * float(total[-1])
    shown, useless = bool(means[-1] > chance + doubt), bool(means.max() <= chance)
    # whose models are all worse than naming the commonest class names it, with however many samples
    used = np.full_like(means, chance + HARDLY) if useless else means
    curve = scheme.curve(Measurements(data=sizes, accuracy=used, standard_error=total), chance)
    measurements = {
        "data": pilot["data"],
        "accuracy": means.tolist(),
        "error": error.tolist(),
        "deviation": fresh.tolist(),
    }
    return {
        "measurements": measurements,
        "chance": chance,
        "published": curve.parameters(),
        "useless": ""
        if shown
        else f"models of the pilot's samples reach {means[-1]:.3f} ± {doubt:.3f}, not shown to be better than"
        f" naming the commonest class, {chance:.3f}",
        "objections": list(curve.evidence.objections),
    }, {}


def deviations(accuracy: np.ndarray, share: np.ndarray, *, least: float) -> tuple[np.ndarray, np.ndarray]:
    """How much models of fresh samples vary, and how far the pilot's mean may be from theirs.

    Args:
        accuracy: of the pilot's models, shape (sizes, repetitions).
        share: of the pilot's samples in each model, in (0, 1), shape (sizes,).
        least: the least deviation among the pilot's models that is believed.
    """
    among = np.maximum(accuracy.std(axis=1, ddof=1), least)
    fresh = among / np.sqrt(1.0 - share)
    return fresh, fresh * np.sqrt(share + (1.0 - share) / accuracy.shape[1])


PILOT = Stage(
    name="pilot",
    purpose="measure a learning curve",
    after=("data",),
    reads=("model", "training", "measuring"),
    carry_out=measure,
)
FIT = Stage(
    name="fit",
    purpose="fit it",
    after=("data", "pilot"),
    reads=("measuring",),
    carry_out=fit,
)
