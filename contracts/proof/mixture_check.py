"""Whether the mixtures of exponentials in a proof stand for the losses of the problem, and how well."""

from __future__ import annotations

import dataclasses
from functools import lru_cache

import numpy as np

from contracts.problem import Problem
from contracts.problem.shape import early
from contracts.proof.witness import Witness
from contracts.records import Keyed


def _losses(problem: Problem, data: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    curve = problem.accuracy
    accuracy_loss = np.minimum(curve.shortfall(data, np), float(curve.optimum))
    return (problem.value_loss(data) if problem.target_is_value else accuracy_loss), problem.value_loss(data)


def mixture_error(problem: Problem, witness: Witness) -> float:
    """The largest relative difference between the proof's mixtures and the losses above the floor."""
    return _measured_error(_mixture_key(problem, witness))


def _mixture_key(problem: Problem, witness: Witness) -> Keyed:
    high = problem.most_data
    arrays = (witness.rates, witness.target_weights, witness.value_weights)
    return Keyed((*problem.family, high, *(values.tobytes() for values in arrays)), (problem, witness))


@lru_cache(maxsize=1024)
def _measured_error(keyed: Keyed) -> float:
    problem, witness = keyed.value
    high = problem.most_data
    low = problem.accuracy.floor if problem.accuracy.floor > 0 else early(problem, 1e-9 * high)
    data = np.geomspace(low, high, 3001)
    each = np.exp(-np.multiply.outer(data, witness.rates))
    worst = 0.0
    for loss, weights in zip(
        _losses(problem, data), (witness.target_weights, witness.value_weights), strict=True
    ):
        matters = loss > 1e-13 * loss[0]
        worst = max(worst, float(np.abs((each @ weights)[matters] / loss[matters] - 1.0).max()))
    negative = (witness.target_weights < 0).any() or (witness.value_weights < 0).any()
    return np.inf if negative or not np.isfinite(worst) else worst


def below(problem: Problem, witness: Witness) -> Witness | None:
    """The witness with its mixtures shrunk until they lie below the true losses; None if they are none."""
    shrunk = _shrunk(_mixture_key(problem, witness))
    return shrunk and dataclasses.replace(witness, target_weights=shrunk[0], value_weights=shrunk[1])


@lru_cache(maxsize=1024)
def _shrunk(keyed: Keyed) -> tuple[np.ndarray, np.ndarray] | None:
    problem, witness = keyed.value
    high = problem.most_data
    floor = max(problem.accuracy.floor, early(problem, 1e-9 * high))
    data = np.r_[np.linspace(0.0, 8.0 * floor, 4001), np.geomspace(8.0 * floor, high, 4001)]
    each = np.exp(-np.multiply.outer(data, witness.rates))
    mixtures = (witness.target_weights, witness.value_weights)
    # Where the loss is too small for a float, so must the mixture be.
    tiny = np.finfo(float).tiny
    pairs = zip(mixtures, _losses(problem, data), strict=True)
    ratios = [(each @ w / np.maximum(loss, tiny)).max() for w, loss in pairs]
    if min(w.min(initial=0.0) for w in mixtures) < 0.0 or not max(ratios) <= 1.01:
        return None
    target, value = (w / max(1.0, float(ratio)) for w, ratio in zip(mixtures, ratios, strict=True))
    return target, value
