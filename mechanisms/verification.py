"""Probabilistic verification: estimate the quality of a participant's data from a few of their samples.

The quality of distribution P_j is its discrepancy from the target P_0 over a class of probe classifiers,
theta_j = sup_f |R_j(f) - R_0(f)|, where R is the risk under a loss in [0, 1]. Sampling each P_j and P_0 gives
estimates that are all within a radius of the truth with a prescribed confidence: for the models of the class
that was estimated (`mechanisms.model_class`), and for no others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from contracts.checks import array, integer, number
from contracts.errors import InvalidInput
from mechanisms.model_class import ModelClass, ProbeClass
from mechanisms.shift import ShiftTests, label_array


@dataclass(frozen=True, kw_only=True, eq=False)
class TypeEstimates:
    """Estimated qualities, and how far they may be from the truth.

    Attributes:
        estimates: estimated discrepancy of each agent's data, in [0, 1], shape (agents,).
        radii: how far each estimate may be from the truth, shape (agents,).
        confidence: probability with which all estimates are within their radius.
        samples: samples taken from each agent, shape (agents,).
        trusted_samples: samples of the target distribution.
        model_class: the models for which estimates and radii hold.
        refused: agents whose samples differ from the target in what the models do not measure, boolean, shape
            (agents,); see `refusing`.
        false_alarm: probability with which anybody whose data are those of the target is refused.
    """

    estimates: Any
    radii: Any
    confidence: float
    samples: Any
    trusted_samples: int
    model_class: ModelClass
    refused: Any = None
    false_alarm: float = 0.0

    def __post_init__(self) -> None:
        agents = np.size(self.estimates)
        for name in ("estimates", "radii"):
            checked = array(name, getattr(self, name), low=0.0, high=np.inf, length=agents)
            object.__setattr__(self, name, checked)
        samples = array("samples", self.samples, low=1.0, length=agents).astype(np.int64)
        object.__setattr__(self, "samples", samples)
        number("confidence", self.confidence, low=0.0, high=1.0, open_low=True, open_high=True)
        integer("trusted_samples", self.trusted_samples, low=1)
        refused = np.zeros(agents, dtype=bool) if self.refused is None else np.array(self.refused, dtype=bool)
        if refused.shape != (agents,):
            raise InvalidInput(f"refused has shape {refused.shape}: expected ({agents},)")
        object.__setattr__(self, "refused", refused)

    def refusing(self, tests: ShiftTests) -> TypeEstimates:
        """The same estimates, with those refused whose samples the tests found to differ from the target.

        Args:
            tests: of the same agents, in the same order.

        Raises:
            InvalidInput: tests of another number of agents.
        """
        if tests.rejected.shape != self.estimates.shape:
            raise InvalidInput(f"tests of {tests.rejected.size} agents: expected {self.estimates.size}")
        alarm = 1.0 - (1.0 - self.false_alarm) * (1.0 - tests.level)
        return replace(self, refused=self.refused | tests.rejected, false_alarm=max(alarm, self.false_alarm))


def estimate_types(
    losses: Sequence[Any] | np.ndarray,
    trusted_losses: Any,
    *,
    labels: Sequence[Any] | None = None,
    trusted_labels: Any = None,
    confidence: float = 0.95,
) -> TypeEstimates:
    """Estimate every agent's discrepancy from the losses of the probes on samples.

    Probes cannot see that labels are missing or rare among an agent's samples. Give the labels, and frequencies
    are
    compared too: who lacks four tenths of what the target holds is at least .4 away from it.

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
    found = np.abs(means - trusted.mean(axis=0)).max(axis=1)
    kinds = 0
    if labels is not None or trusted_labels is not None:
        frequencies, target = _frequencies(
            labels, trusted_labels, [len(table) for table in tables], len(trusted)
        )
        found = np.maximum(found, np.abs(frequencies - target).sum(axis=1) / 2.0)
        kinds = target.size
    return with_radii(
        found.clip(0.0, 1.0),
        [len(table) for table in tables],
        len(trusted),
        ProbeClass(probes=probes, labels=kinds),
        confidence,
    )


def with_radii(
    estimates: np.ndarray,
    samples: Sequence[int],
    trusted_samples: int,
    model_class: ModelClass,
    confidence: float,
) -> TypeEstimates:
    """Estimates with the radii that their class of models gives for these numbers of samples."""
    radii = [
        model_class.radius(
            samples=count, agents=len(samples), trusted_samples=trusted_samples, confidence=confidence
        )
        for count in samples
    ]
    return TypeEstimates(
        estimates=estimates,
        radii=np.array(radii),
        confidence=confidence,
        samples=np.array(samples),
        trusted_samples=trusted_samples,
        model_class=model_class,
    )


def _frequencies(
    labels: Any, trusted: Any, sizes: list[int], trusted_size: int
) -> tuple[np.ndarray, np.ndarray]:
    """How often each label of the target occurs among the agents' samples and the trusted ones; what only an
    agent has counts as one label more, which the target lacks."""
    if labels is None or trusted is None or not isinstance(labels, Sequence) or len(labels) != len(sizes):
        raise InvalidInput("labels, trusted_labels: expected both, a list of labels for each agent")
    told = [
        label_array(f"labels[{agent}]", entry, size)
        for agent, (entry, size) in enumerate(zip(labels, sizes, strict=True))
    ]
    known = np.unique(label_array("trusted_labels", trusted, trusted_size))

    def shares(values: np.ndarray) -> np.ndarray:
        counts = [(values == label).mean() for label in known]
        return np.array([*counts, max(0.0, 1.0 - sum(counts))])

    return np.stack([shares(entry) for entry in told]), shares(np.asarray(trusted))


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
