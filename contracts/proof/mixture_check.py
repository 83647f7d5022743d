"""Whether the mixtures of exponentials in a proof stand for the losses of the problem, and how well."""

from __future__ import annotations

import dataclasses
from functools import lru_cache
from typing import Any, TypeVar

import numpy as np

from contracts.problem import Problem
from contracts.problem.shape import early
from contracts.records import Keyed, frozen

T = TypeVar("T", bound=Any)
MOST_ABOVE = 1.01  # of the loss: a relaxation that has to be shrunk by more is none


@frozen
class Exponentials:
    """The losses of one problem as mixtures of exponentials, as in `contracts.proof.witness.Witness`.

    Attributes:
        rates, target_weights, value_weights: shape (terms,).
    """

    rates: np.ndarray
    target_weights: np.ndarray
    value_weights: np.ndarray


def _losses(problem: Problem, data: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    curve = problem.accuracy
    accuracy_loss = np.minimum(curve.shortfall(data, np), float(curve.optimum))
    return (problem.value_loss(data) if problem.target_is_value else accuracy_loss), problem.value_loss(data)


def mixture_error(problem: Problem, mixtures: Any, most: float = 0.0) -> float:
    """The largest relative difference between mixtures and losses above the floor; infinite if they are none.

    Args:
        problem: the problem.
        mixtures: a record with `rates`, `target_weights` and `value_weights`, each of shape (terms,).
        most: the most data that matter, if more than the problem's own.
    """
    return _measured_error(_mixture_key(problem, mixtures, most))


def _mixture_key(problem: Problem, mixtures: Any, most: float) -> Keyed:
    high = max(problem.most_data, most)
    arrays = (mixtures.rates, mixtures.target_weights, mixtures.value_weights)
    return Keyed((*problem.family, high, *(values.tobytes() for values in arrays)), (problem, mixtures))


def _sound(mixtures: Any) -> bool:
    """Whether rates and weights are finite and nowhere negative, one weight for each rate."""
    arrays = (mixtures.rates, mixtures.target_weights, mixtures.value_weights)
    alike = all(np.shape(values) == np.shape(mixtures.rates) and np.ndim(values) == 1 for values in arrays)
    return alike and all(bool((np.isfinite(values) & (values >= 0.0)).all()) for values in arrays)


def _powers(data: np.ndarray, rates: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):
        return np.exp(-np.multiply.outer(data, rates))


@lru_cache(maxsize=1024)
def _measured_error(keyed: Keyed) -> float:
    problem, mixtures = keyed.value
    if not _sound(mixtures):
        return np.inf
    high, floor = keyed.key[3], float(problem.accuracy.floor)
    # Mixtures fall, so that between 0 and the first point after it nothing is above what it is at 0.
    start = floor if floor > 0.0 else early(problem, 1e-9 * high)
    data = np.geomspace(start, high, 3001)
    data = data if floor > 0.0 else np.r_[0.0, data]
    each = _powers(data, mixtures.rates)
    worst = 0.0
    weights = (mixtures.target_weights, mixtures.value_weights)
    for loss, weight in zip(_losses(problem, data), weights, strict=True):
        matters = loss > 1e-13 * loss[0]
        with np.errstate(over="ignore", invalid="ignore"):
            worst = float(np.maximum(worst, np.abs((each @ weight)[matters] / loss[matters] - 1.0).max()))
    return worst if np.isfinite(worst) else np.inf


def difference(problem: Problem, mixtures: Any, most: float = 0.0) -> float:
    """How far mixtures are from the losses above the floor, relative to the largest; infinite if they are none."""
    return _off(_mixture_key(problem, mixtures, most), False)


def excess(problem: Problem, mixtures: Any, most: float = 0.0) -> float:
    """By how much mixtures exceed the true losses at most, relative to the largest; infinite if they are none."""
    return _off(_mixture_key(problem, mixtures, most), True)


@lru_cache(maxsize=1024)
def _off(keyed: Keyed, above: bool) -> float:
    problem, mixtures = keyed.value
    if not _sound(mixtures):
        return np.inf
    data, worst = _everywhere(problem, keyed.key[3]), 0.0
    data = data if above else data[data >= float(problem.accuracy.floor)]
    each = _powers(data, mixtures.rates)
    for weight, loss in zip(
        (mixtures.target_weights, mixtures.value_weights), _losses(problem, data), strict=True
    ):
        with np.errstate(over="ignore", invalid="ignore"):
            off = each @ weight - loss
            worst = float(np.maximum(worst, (off if above else np.abs(off)).max() / loss[0]))
    return worst if np.isfinite(worst) else np.inf


def _everywhere(problem: Problem, high: float) -> np.ndarray:
    """Data from nothing to `high`, close to one another where curves turn."""
    floor = max(float(problem.accuracy.floor), early(problem, 1e-9 * high))
    return np.r_[np.linspace(0.0, 8.0 * floor, 4001), np.geomspace(8.0 * floor, max(high, 8.0 * floor), 4001)]


def below(problem: Problem, mixtures: T, most: float = 0.0) -> T | None:
    """Mixtures shrunk until they lie below the true losses, as a copy of their record; None if they are none."""
    shrunk = _shrunk(_mixture_key(problem, mixtures, most))
    return shrunk and dataclasses.replace(mixtures, target_weights=shrunk[0], value_weights=shrunk[1])


@lru_cache(maxsize=1024)
def _shrunk(keyed: Keyed) -> tuple[np.ndarray, np.ndarray] | None:
    problem, mixtures = keyed.value
    if not _sound(mixtures):
        return None
    data = _everywhere(problem, keyed.key[3])
    each = _powers(data, mixtures.rates)
    weights = (mixtures.target_weights, mixtures.value_weights)
    # Where the loss is too small for a float, so must the mixture be.
    tiny = np.finfo(float).tiny
    with np.errstate(over="ignore", invalid="ignore"):
        pairs = zip(weights, _losses(problem, data), strict=True)
        ratios = np.array([(each @ w / np.maximum(loss, tiny)).max() for w, loss in pairs])
    if not (ratios <= MOST_ABOVE).all():
        return None
    target, value = (w / max(1.0, float(ratio)) for w, ratio in zip(weights, ratios, strict=True))
    return target, value
