"""The pilot: measure a learning curve on real data, and read it with caution.

The pilot's samples are few, so the models trained on parts of them share samples. With sample variance s²
among R models trained on x of P samples drawn without replacement, one model of x fresh samples has variance
s² / (1 - x/P), and the mean of the R models varies from pilot to pilot by that times x/P + (1 - x/P)/R (both
exact for statistics that are sums over samples; a Hájek projection says why accuracies come near it).

The curve is then read twice. What somebody has alone is taken from the upper edge of its error band, what all
have together, to which the curve is extrapolated, from the lower edge, the luck of one training included; bands
are those of all families that the measurements do not rule out. One power law through both, nowhere above the
lower, is what the contract is designed for: it promises no more than is likely to be kept, to participants whose
alternative is hardly better than it says.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from scipy import stats

from contracts.errors import NotConverged
from contracts.measured.learning_curves import FAMILIES, CurveFit, fit_family
from contracts.measured.measurements import Measurements
from contracts.problem.accuracy import FAMILIES as CURVES
from contracts.problem.accuracy import AccuracyCurve, PowerLaw
from contracts.problem.data_tables import family
from mechanisms.datasets import Samples
from mechanisms.delivery.full_model import trained_path
from mechanisms.models import Model
from modelpact.scheme.settings import Scheme
from modelpact.scheme.stages import Made, Record, Stage
from modelpact.scheme.stock import held_by_each
from modelpact.scheme.tables import Training
from modelpact.scheme.trainers import classifier
from modelpact.scheme.world import samples, stream

LARGEST_SHARE = 2 / 3  # of the pilot's samples in one model
# A family has support while Akaike's criterion, chi-square plus twice its parameters, is at most this above
# the least (Burnham and Anderson). The errors are known, so there is no correction for few measurements.
PLAUSIBLE = 2.0
POINTS = 12
PULL = 3.0  # how much less a point of the upper edge counts than one of the lower


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
    """Fit curves to the pilot's measurements and choose the one to publish."""
    pilot, settings = inputs["pilot"].result, scheme.measuring
    sizes, accuracy = np.array(pilot["data"], dtype=float), np.array(pilot["accuracy"])
    # no deviation is known more finely than to half a sample of the validation set
    fresh, error = deviations(
        accuracy, sizes / pilot["samples"], least=0.5 / inputs["data"].result["samples"]["validation"]
    )
    measured = Measurements(data=sizes, accuracy=accuracy.mean(axis=1), standard_error=error)
    fits = _fits(measured, settings.family)
    held, least = held_by_each(scheme, inputs["data"]), settings.least(pilot["samples"])
    each = float(held[held > 0].mean()) if held.any() else float(inputs["data"].result["samples"]["stock"])
    together = each * scheme.population.mean_participants
    alone = np.geomspace(least, max(float(held.max()), each, 2.0 * least), POINTS)
    nearest = max(2.0 * each, 4.0 * least)
    joint = np.geomspace(nearest, max(together, 2.0 * nearest), POINTS)
    z = float(stats.norm.ppf(settings.confidence))
    upper = np.max([f.curve(alone) + z * standard_error(f, alone) for f in fits], axis=0)
    # one training varies too, less with more samples; by 1/sqrt at least
    varies = fresh[-1] * np.sqrt(sizes[-1] / joint)
    lower = np.min([f.curve(joint) - z * np.hypot(standard_error(f, joint), varies) for f in fits], axis=0)
    published = cautious_curve(alone, upper, joint, lower)
    measurements = {
        "data": pilot["data"],
        "accuracy": measured.accuracy.tolist(),
        "error": error.tolist(),
        "deviation": fresh.tolist(),
    }
    return {
        "measurements": measurements,
        "fits": [_described(f) for f in fits],
        "alone": {"data": alone.tolist(), "upper": upper.tolist()},
        "together": {"data": joint.tolist(), "lower": lower.tolist()},
        "overlap": bool(upper[-1] > lower.min()),
        "central": fits[0].curve.parameters(),
        "published": published.parameters(),
        "irregularities": [str(found) for found in measured.irregularities() if found.significant is not False],
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


def cautious_curve(alone: np.ndarray, upper: np.ndarray, joint: np.ndarray, lower: np.ndarray) -> AccuracyCurve:
    """One power law through what is had alone at most and what is had together at least.

    Promises come first: the lower edge counts more, decides where the two overlap, and is nowhere exceeded.
    """
    least = np.minimum.accumulate(lower[::-1])[::-1]
    points = Measurements(
        data=np.concatenate([alone, joint]),
        accuracy=np.clip(np.concatenate([np.minimum(upper, least[0]), least]), 0.0, 1.0),
        # what is promised binds more than what might be had elsewhere
        standard_error=np.repeat([1.0, 1.0 / PULL], [alone.size, joint.size]),
    )
    found = fit_family(points, family="power-law")
    excess = max(float(np.max(found.curve(joint) - least)), 0.0)
    optimum, coefficient, exponent = found.estimate.tolist()
    return PowerLaw(optimum=optimum - excess, coefficient=coefficient, exponent=exponent)


def standard_error(fitted: CurveFit, data: np.ndarray) -> np.ndarray:
    """Error of a fitted curve, by the delta method with every parameter free, also one that met its bound.

    Where the curve misses the measurements by more than their errors explain, the error grows in proportion.
    """
    measured = fitted.measurements
    weight = 1.0 / np.asarray(measured.standard_error)
    own = _slopes(fitted, np.asarray(measured.data)) * weight[:, None]
    scale = np.linalg.norm(own, axis=0)
    scale[scale == 0.0] = 1.0  # a parameter that no measurement depends on; its share of the error stays 0
    covariance = np.linalg.pinv((own / scale).T @ (own / scale), rcond=1e-10) / np.outer(scale, scale)
    spread = max(1.0, (fitted.chi_square or 0.0) / max(fitted.degrees_of_freedom, 1))
    slopes = _slopes(fitted, data)
    return np.sqrt(spread * np.einsum("ij,jk,ik->i", slopes, covariance, slopes))


def _slopes(fitted: CurveFit, data: np.ndarray) -> np.ndarray:
    """Derivatives of accuracy with respect to the parameters, by differences one-sided towards the inside."""
    cls = CURVES[fitted.family]
    columns = []
    for k, value in enumerate(fitted.estimate):
        moved = fitted.estimate.copy()
        moved[k] = value * (1 - 1e-6)
        curve = cls(**dict(zip(fitted.parameters, moved.tolist(), strict=True)))
        columns.append((fitted.curve(data) - curve(data)) / (value * 1e-6))
    return np.column_stack(columns)


def _fits(measured: Measurements, wanted: str) -> list[CurveFit]:
    if wanted != "plausible":
        return [fit_family(measured, family=wanted)]

    def criterion(fitted: CurveFit) -> float:
        return float(fitted.chi_square or 0.0) + 2.0 * len(fitted.parameters)

    found: list[CurveFit] = []
    for name in FAMILIES:
        with contextlib.suppress(NotConverged):  # a family that cannot be fitted explains nothing
            found.append(fit_family(measured, family=name))
    if not found:
        raise NotConverged("no family of curves could be fitted to the pilot's measurements")
    ranked = sorted(found, key=criterion)
    return [fitted for fitted in ranked if criterion(fitted) <= criterion(ranked[0]) + PLAUSIBLE]


def _described(fitted: CurveFit) -> dict:
    return {
        "family": fitted.family,
        "parameters": dict(zip(fitted.parameters, fitted.estimate.tolist(), strict=True)),
        "chi_square": fitted.chi_square,
        "degrees_of_freedom": fitted.degrees_of_freedom,
        "at_bound": list(fitted.at_bound),
    }


def curve_of(record: Record, which: str) -> AccuracyCurve:
    """The "central" or the "published" curve of the fit."""
    return family("curve", record.result[which], CURVES)


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
    reads=("measuring", "population", "participants"),
    carry_out=fit,
)
