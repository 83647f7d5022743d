"""Probabilistic verification: estimate the quality of a participant's data from a few of their samples.

The quality of distribution P_j is its discrepancy from the target P_0 over a class of probe classifiers,
theta_j = sup_f |R_j(f) - R_0(f)|, where R is the risk under a loss in [0, 1]. Sampling each P_j and P_0 gives
estimates that are all within a radius of the truth with a prescribed confidence. With finitely many probes
the radius follows from one Hoeffding bound on the difference of the two empirical means and a union over
agents and probes; with a class of finite VC dimension, from the VC inequality. Both are textbook bounds.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from contracts.checks import array, integer, number
from contracts.errors import InvalidInput


@dataclass(frozen=True, kw_only=True, eq=False)
class TypeEstimates:
    """Estimated qualities, and how far they may be from the truth.

    Attributes:
        estimates: estimated discrepancy of each agent's data, in [0, 1], shape (agents,).
        radii: how far each estimate may be from the truth, shape (agents,).
        confidence: probability with which all estimates are within their radius.
        samples: samples taken from each agent, shape (agents,).
        trusted_samples: samples of the target distribution.
        probes: number of probe classifiers.
    """

    estimates: Float[np.ndarray, " agents"]
    radii: Float[np.ndarray, " agents"]
    confidence: float
    samples: Int[np.ndarray, " agents"]
    trusted_samples: int
    probes: int


def log_term(*, agents: int, probes: int, confidence: float) -> float:
    """log(2 J |F| / delta), the price of asking J agents and |F| probes to be right at once.

    Raises:
        InvalidInput: a count below one, or a confidence outside (0, 1).

    >>> round(log_term(agents=10, probes=1, confidence=0.95), 4)
    5.9915
    """
    count = integer("agents", agents, low=1) * integer("probes", probes, low=1)
    level = number("confidence", confidence, low=0.0, high=1.0, open_low=True, open_high=True)
    return math.log(2 * count) - math.log(1.0 - level)


def hoeffding_radius(
    *,
    samples: int,
    agents: int,
    trusted_samples: int | None = None,
    probes: int = 1,
    confidence: float = 0.95,
) -> float:
    """How far the estimates may be from the truth, with finitely many probes and a loss in [0, 1].

    Args:
        samples: samples taken from each agent, at least one.
        agents: number of agents estimated.
        trusted_samples: samples of the target, shared by all; as many as from each agent when omitted.
        probes: number of probe classifiers, fixed before the samples are seen.
        confidence: probability, in (0, 1), that all estimates are within the radius.

    Returns:
        The radius sqrt((1/q + 1/q0) / 2 * log(2 J |F| / delta)); above one it says nothing.

    Raises:
        InvalidInput: a count below one, or a confidence outside (0, 1).

    >>> round(hoeffding_radius(samples=39441, agents=10), 5)
    0.01233
    """
    taken = integer("samples", samples, low=1)
    trusted = taken if trusted_samples is None else integer("trusted_samples", trusted_samples, low=1)
    logarithm = log_term(agents=agents, probes=probes, confidence=confidence)
    return math.sqrt((1.0 / taken + 1.0 / trusted) / 2.0 * logarithm)


def vc_radius(
    *, samples: int, agents: int, dimension: int, trusted_samples: int | None = None, confidence: float = 0.95
) -> float:
    """How far the estimates may be from the truth when probes range over a class of finite VC dimension.

    Valid for the 0-1 loss. Usually far larger than what a finite set of probes gives.

    Args:
        samples: samples taken from each agent, at least the dimension.
        agents: number of agents estimated.
        dimension: VC dimension of the class of probes, at least one.
        trusted_samples: samples of the target; as many as from each agent when omitted.
        confidence: probability, in (0, 1), that all estimates are within the radius.

    Returns:
        e(q) + e(q0), with e(q) = 2 sqrt(2 (log 2 + d log(e q / d)) / q) + sqrt(log((J + 1) / delta) / (2 q)).

    Raises:
        InvalidInput: a count below one, fewer samples than the dimension, or a confidence outside (0, 1).

    >>> round(vc_radius(samples=39441, agents=10, dimension=10), 3)
    0.292
    """
    degrees = integer("dimension", dimension, low=1)
    taken = integer("samples", samples, low=degrees)
    trusted = taken if trusted_samples is None else integer("trusted_samples", trusted_samples, low=degrees)
    level = number("confidence", confidence, low=0.0, high=1.0, open_low=True, open_high=True)
    union = math.log((integer("agents", agents, low=1) + 1) / (1.0 - level))

    def deviation(count: int) -> float:
        growth = math.log(2.0) + degrees * math.log(math.e * count / degrees)
        return 2.0 * math.sqrt(2.0 * growth / count) + math.sqrt(union / (2.0 * count))

    return deviation(taken) + deviation(trusted)


def samples_for_radius(radius: float, *, agents: int, probes: int = 1, confidence: float = 0.95) -> int:
    """Fewest samples, from each agent and as many from the target, that bring the radius down to `radius`.

    Args:
        radius: the radius wanted, above zero.
        agents: number of agents estimated.
        probes: number of probe classifiers.
        confidence: probability, in (0, 1), that all estimates are within the radius.

    Returns:
        log(2 J |F| / delta) / radius^2, rounded up.

    Raises:
        InvalidInput: the radius is not above zero, a count below one, a confidence outside (0, 1).

    >>> samples_for_radius(0.025, agents=10)
    9587
    """
    wanted = number("radius", radius, low=0.0, open_low=True)
    logarithm = log_term(agents=agents, probes=probes, confidence=confidence)
    if math.sqrt(logarithm) > 2**31 * wanted:
        raise InvalidInput(f"radius = {radius:g}: expected a radius that fewer than 2^62 samples can reach")
    return max(1, math.ceil(logarithm / wanted**2))


def estimate_types(
    losses: Sequence[Any] | np.ndarray, trusted_losses: Any, *, confidence: float = 0.95
) -> TypeEstimates:
    """Estimate every agent's discrepancy from the losses of the probes on samples.

    Args:
        losses: for each agent, the loss of every probe on every sample, in [0, 1], shape (samples, probes) or
            (samples,) for one probe. Agents may have given different numbers of samples.
        trusted_losses: the same on samples of the target, shape (trusted samples, probes) or (trusted
            samples,).
        confidence: probability, in (0, 1), that all estimates are within their radius.

    Returns:
        The estimates max over probes |mean loss - mean trusted loss|, clipped to [0, 1], with Hoeffding
        radii.

    Raises:
        InvalidInput: a loss outside [0, 1], no samples, or a different number of probes.

    >>> estimate_types([[0, 0, 1, 1], [0, 0, 0, 0]], [0, 0, 0, 1]).estimates
    array([0.25, 0.25])
    """
    trusted = _loss_table("trusted_losses", trusted_losses)
    if not isinstance(losses, Sequence | np.ndarray) or len(losses) == 0:
        raise InvalidInput("losses: expected the losses of at least one agent, in a list or an array")
    tables = [_loss_table(f"losses[{agent}]", table) for agent, table in enumerate(losses)]
    probes = trusted.shape[1]
    for agent, table in enumerate(tables):
        if table.shape[1] != probes:
            raise InvalidInput(f"losses[{agent}] has {table.shape[1]} probes: expected {probes}")
    means = np.stack([table.mean(axis=0) for table in tables])
    samples = np.array([table.shape[0] for table in tables])
    radii = [
        hoeffding_radius(
            samples=int(count),
            agents=len(tables),
            trusted_samples=trusted.shape[0],
            probes=probes,
            confidence=confidence,
        )
        for count in samples
    ]
    return TypeEstimates(
        estimates=np.abs(means - trusted.mean(axis=0)).max(axis=1).clip(0.0, 1.0),
        radii=np.array(radii),
        confidence=confidence,
        samples=samples,
        trusted_samples=trusted.shape[0],
        probes=probes,
    )


def _loss_table(name: str, value: Any) -> np.ndarray:
    table = array(name, value, ndim=None, low=0.0, high=1.0)
    if table.ndim not in (1, 2):
        raise InvalidInput(f"{name} has {table.ndim} dimensions: expected (samples,) or (samples, probes)")
    return table.reshape(table.shape[0], -1)


def probe_losses(
    probes: Sequence[Callable[[np.ndarray], np.ndarray]], features: np.ndarray, labels: np.ndarray
) -> np.ndarray:
    """0-1 loss of every probe on every sample of a real data set, shape (samples, probes).

    Args:
        probes: prediction functions from features, shape (samples, dimensions), to labels, shape (samples,),
            such as the `predict` of a fitted scikit-learn classifier.
        features: the samples, shape (samples, dimensions).
        labels: their labels, shape (samples,).

    Returns:
        Ones where a probe errs, zeros elsewhere.

    Raises:
        InvalidInput: no probes, no samples, or a probe that does not return one label for each sample.

    >>> always_one = lambda features: np.ones(len(features), dtype=int)
    >>> probe_losses([always_one], np.zeros((3, 2)), np.array([1, 0, 1])).ravel()
    array([0., 1., 0.])
    """
    truth = np.asarray(labels)
    callables = isinstance(probes, Sequence) and len(probes) > 0 and all(map(callable, probes))
    if not callables or truth.ndim != 1 or truth.size == 0 or np.shape(features)[:1] != truth.shape:
        raise InvalidInput("probes, features, labels: expected at least one probe and one label for each sample")
    columns = []
    for index, probe in enumerate(probes):
        predicted = np.asarray(probe(features))
        if predicted.shape != truth.shape:
            raise InvalidInput(f"probes[{index}] returned shape {predicted.shape}: expected {truth.shape}")
        columns.append(predicted != truth)
    return np.stack(columns, axis=1).astype(np.float64)


def simulate_estimates(
    types: Any,
    *,
    samples: int,
    trusted_samples: int | None = None,
    trusted_loss: float = 0.05,
    runs: int = 1,
    seed: int = 0,
) -> np.ndarray:
    """Draw type estimates as one probe with 0-1 loss would give them.

    The probe errs on the target with probability `trusted_loss` and on agent j's data with probability
    `trusted_loss` + theta_j.

    Args:
        types: true discrepancies, in [0, 1 - trusted_loss], shape (agents,).
        samples: samples taken from each agent, at least one.
        trusted_samples: samples of the target; as many as from each agent when omitted.
        trusted_loss: error rate of the probe on the target, in [0, 1].
        runs: number of independent repetitions.
        seed: of the random draws.

    Returns:
        Estimates, in [0, 1], shape (runs, agents).

    Raises:
        InvalidInput: an argument outside its range.

    >>> simulate_estimates([0.1, 0.5], samples=10**6, seed=1).round(2)
    array([[0.1, 0.5]])
    """
    base = number("trusted_loss", trusted_loss, low=0.0, high=1.0)
    truth = array("types", types, low=0.0, high=1.0 - base)
    taken = integer("samples", samples, low=1)
    trusted = taken if trusted_samples is None else integer("trusted_samples", trusted_samples, low=1)
    rng = np.random.default_rng(integer("seed", seed))
    repetitions = integer("runs", runs, low=1)
    own = rng.binomial(taken, np.minimum(base + truth, 1.0), size=(repetitions, truth.size)) / taken
    target = rng.binomial(trusted, base, size=(repetitions, 1)) / trusted
    return np.abs(own - target).clip(0.0, 1.0)


def accept(reports: Any, estimates: Any, radius: float) -> np.ndarray:
    """Which reports verification accepts: those within the radius of the estimate.

    Args:
        reports: reported types, shape (..., agents).
        estimates: estimated types, shape (..., agents).
        radius: largest difference accepted, at least zero.

    Returns:
        Boolean, the broadcast shape.

    Raises:
        InvalidInput: a report or estimate outside [0, 1], shapes that do not fit, or a negative radius.

    >>> accept([0.1, 0.3], [0.12, 0.2], 0.05)
    array([ True, False])
    """
    claimed = array("reports", reports, ndim=None, low=0.0, high=1.0)
    measured = array("estimates", estimates, ndim=None, low=0.0, high=1.0)
    width = number("radius", radius, low=0.0)
    try:
        return np.abs(claimed - measured) <= width
    except ValueError as error:
        raise InvalidInput(
            f"reports has shape {claimed.shape}: expected that of estimates, {measured.shape}"
        ) from error
