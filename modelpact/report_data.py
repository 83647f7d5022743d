"""What a report says of a contract: its kinds, options, checks and joint models, as data."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from contracts.contract import Contract
from contracts.proof.certificate import Certificate
from contracts.records import frozen

SAME = 1e-6  # relative difference below which two options are one: far below what anybody can measure out


@frozen
class Received:
    """The model a kind receives, in one scenario.

    Attributes:
        cap: the accuracy above which it receives none, in [0, 1].
        everything: whether it receives whatever is trained.
        low, middle, high: accuracy that is exceeded in 95, 50 and 5 of 100 cases.
        worse: the probability of ending worse than by staying out, once it is known who takes part.
    """

    cap: float
    everything: bool
    low: float
    middle: float
    high: float
    worse: float


@frozen
class Kind:
    """What the contract means for one type; values and gains are expected ones, in its own units of cost.

    Attributes:
        name, group, cost, chance: the type; "" is the group of all.
        quality: effective data in one of its data.
        capacity: the most data it has; None for any amount.
        perfect: value of a perfect model to it.
        alone_data, alone_accuracy: what it would do by staying out; None where utilities are given.
        alone_gain: what it gets by staying out.
        stays: whether it is left outside of the deal.
        contribution, value: what it contributes (raw data), and receives, by its own option.
        effective: the effective data that this makes, all of them delivered.
        gain: what it gains: by its own option, or by staying out where that is what it does.
        other_gain: what it would gain by the best option of another; None where there is none for it.
        received: the model, one for each scenario; empty where the promises make no sense.
    """

    name: str
    group: str
    cost: float
    chance: float
    quality: float
    capacity: float | None
    perfect: float
    alone_data: float | None
    alone_accuracy: float | None
    alone_gain: float
    stays: bool
    contribution: float
    effective: float
    value: float
    gain: float
    other_gain: float | None
    received: tuple[Received, ...]

    @property
    def advantage(self) -> float:
        """What it gains over staying out."""
        return self.gain - self.alone_gain


@frozen
class Option:
    """One line of the menu, and the kinds it is meant for.

    Attributes:
        group: for whom it is; "" for everybody.
        effective: effective data to bring.
        kinds: by falling cost.
    """

    group: str
    effective: float
    kinds: tuple[Kind, ...]

    @property
    def received(self) -> tuple[Received, ...]:
        """The model, one for each scenario."""
        return self.kinds[0].received

    @property
    def contribution(self) -> float | None:
        """Data to bring; None where that differs from kind to kind, as their quality does."""
        return _common([kind.contribution for kind in self.kinds])

    @property
    def value(self) -> float | None:
        """What the model is worth; None where that differs from kind to kind, as their scale does."""
        return _common([kind.value for kind in self.kinds])


@frozen
class Check:
    """One line of the certificate: what must hold, the number found, and whether it does."""

    name: str
    number: float | None
    holds: bool
    violations: tuple[str, ...]


@frozen
class Joint:
    """The joint model in one scenario, with doubt about total variation at the worst probabilities.

    Attributes:
        weight: how likely the scenario is.
        data: expected effective data.
        accuracy: expected accuracy.
        low, middle, high: accuracy that is exceeded in 95, 50 and 5 of 100 cases.
    """

    weight: float
    data: float
    accuracy: float
    low: float
    middle: float
    high: float


@frozen
class Facts:
    """Everything a report says.

    Attributes:
        contract, certificate: what is reported, and what `verify` found.
        kinds: by group and falling cost.
        options: by group and rising contribution.
        checks: the certificate, line by line.
        expected_data: expected data brought, as counted by those who bring them.
        joint: the joint model, one for each scenario; empty where there is none.
        information_cost: expected value lost because costs are not observed; None without a finding.
    """

    contract: Contract
    certificate: Certificate
    kinds: tuple[Kind, ...]
    options: tuple[Option, ...]
    checks: tuple[Check, ...]
    expected_data: float
    joint: tuple[Joint, ...]
    information_cost: float | None

    @property
    def together(self) -> bool:
        """Whether anybody contributes anything."""
        return any(kind.contribution for kind in self.kinds)

    @property
    def tolerance(self) -> float:
        """What is as good as nothing, in units of value."""
        return 100.0 * self.certificate.tolerance

    @property
    def certain(self) -> bool:
        """Whether nothing is left to chance: everybody is known by name, takes part, and delivers."""
        population = self.contract.problem.population
        return population.named and population.shading == 0.0 and len(self.contract.form.worlds) == 1


def _common(values: Sequence[float]) -> float | None:
    """What all values are but for rounding; None where they differ."""
    return values[0] if np.ptp(values) <= SAME * max(map(abs, values)) else None
