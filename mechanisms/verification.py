"""Probabilistic verification: estimate the quality of a participant's data from a few of their samples.

The quality of distribution P_j is its discrepancy from the target P_0 over a class of probe classifiers,
theta_j = sup_f |R_j(f) - R_0(f)|, where R is the risk under a loss in [0, 1]. Sampling each P_j and P_0 gives
estimates that are all within a radius of the truth with a prescribed confidence: for the models of the class
that was estimated (`mechanisms.model_class`), and for no others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from contracts.checks import array, brief, integer, number
from contracts.errors import InvalidInput
from contracts.records import frozen
from mechanisms.model_class import ModelClass, ProbeClass
from mechanisms.shift import ShiftTests, label_array


@frozen
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
        for name, most in (("estimates", 1.0), ("radii", np.inf)):
            checked = array(name, getattr(self, name), low=0.0, high=most, length=agents)
            object.__setattr__(self, name, checked)
        counts = array("samples", self.samples, low=1.0, high=2.0**53, length=agents)
        if (counts % 1.0 != 0.0).any():
            raise InvalidInput(f"samples = {brief(self.samples)}: expected whole numbers")
        object.__setattr__(self, "samples", counts.astype(np.int64))
        number("confidence", self.confidence, low=0.0, high=1.0, open_low=True, open_high=True)
        number("false_alarm", self.false_alarm, low=0.0, high=1.0)
        integer("trusted_samples", self.trusted_samples, low=1)
        if not isinstance(self.model_class, ModelClass):
            raise InvalidInput(f"model_class = {brief(self.model_class)}: expected such as ProbeClass()")
        refused = np.zeros(agents, dtype=bool) if self.refused is None else np.array(self.refused)
        if refused.shape != (agents,) or refused.dtype != bool:
            raise InvalidInput(f"refused = {brief(self.refused)}: expected true or false for each of {agents}")
        object.__setattr__(self, "refused", refused)

    @property
    def largest_radius(self) -> float:
        """How far any estimate may be from the truth, recomputed from the numbers of samples."""
        return self.model_class.radius(
            samples=int(self.samples.min()),
            agents=self.samples.size,
            trusted_samples=self.trusted_samples,
            confidence=self.confidence,
        )

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
    classes: int | None = None,
    confidence: float = 0.95,
) -> TypeEstimates:
    """Estimate every agent's discrepancy from the losses of the probes on samples.

    Probes cannot see that labels are missing or rare among an agent's samples. Give the labels, and frequencies
    are compared too: who lacks four tenths of what the target holds is at least .4 away from it.

    Args:
        losses: for each agent, the loss of every probe on every sample, in [0, 1], shape (samples, probes) or
            (samples,) for one probe. Agents may have given different numbers of samples.
        trusted_losses: the same on samples of the target, shape (trusted samples, probes) or (trusted
            samples,).
        labels: for each agent, the labels of these samples, shape (samples,); whole numbers or texts.
        trusted_labels: the same of the target's samples.
        classes: with labels, how many different ones there may be at all, at least two: known beforehand, since
            those that nobody happens to have shown count too.
        confidence: probability, in (0, 1), that all estimates are within their radius.

    Returns:
        The estimates max over probes |mean loss - mean trusted loss|, clipped to [0, 1], with Hoeffding
        radii.

    Raises:
        InvalidInput: a loss outside [0, 1], no samples, a different number of probes, or more labels than
            `classes`.

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
        told, known = _labels(labels, trusted_labels, [len(table) for table in tables], len(trusted))
        kinds = number_of_classes(classes, told, known)
        found = np.maximum(found, [_total_variation(entry, known) for entry in told])
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


def _labels(
    labels: Any, trusted: Any, sizes: list[int], trusted_size: int
) -> tuple[list[np.ndarray], np.ndarray]:
    if labels is None or trusted is None or not isinstance(labels, Sequence) or len(labels) != len(sizes):
        raise InvalidInput("labels, trusted_labels: expected both, a list of labels for each agent")
    known = label_array("trusted_labels", trusted, trusted_size)
    told = [
        label_array(f"labels[{agent}]", entry, size, like=known)
        for agent, (entry, size) in enumerate(zip(labels, sizes, strict=True))
    ]
    return told, known


def number_of_classes(classes: Any, labels: Sequence[np.ndarray], trusted: np.ndarray) -> int:
    """How many different labels there may be, not below how many there are, or raise.

    Radii for as many labels as were seen would hold for a class chosen by the samples: they prove nothing.
    """
    if classes is None:
        raise InvalidInput("classes: expected how many different labels there may be, known beforehand")
    given, seen = (
        integer("classes", classes, low=2, high=1000),
        np.unique(np.concatenate([trusted, *labels])).size,
    )
    if seen > given:
        raise InvalidInput(f"classes = {given}: expected at least {seen}, as many as were seen")
    return given


def _total_variation(own: np.ndarray, other: np.ndarray) -> float:
    """Half the sum over labels of how much their frequencies differ."""
    kinds = np.unique(np.concatenate([own, other]))
    return sum(abs(float((own == kind).mean() - (other == kind).mean())) for kind in kinds) / 2.0


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
    truth = array("types", types, low=0.0, high=1.0)
    if (truth + base > 1.0 + 1e-12).any():
        raise InvalidInput(
            f"types, trusted_loss: {truth.max():g} and {base:g}, expected a sum of at most 1, an error rate"
        )
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
