"""What a report says of a contract, as numbers: kind by kind, option by option, check by check."""

from __future__ import annotations

from dataclasses import fields

import numpy as np

from contracts.contract import Contract
from contracts.contract.full_information import full_information
from contracts.contract.rewards import Rewards
from contracts.errors import InvalidInput
from contracts.problem.outcomes import total_data
from contracts.problem.reservation import reservation
from contracts.proof.certificate import Certificate
from contracts.records import frozen

SAME = 1e-6  # relative difference below which two options are one: far below what anybody can measure out
OFTEN = (0.05, 0.5, 0.95)


@frozen
class Received:
    """The model a kind receives.

    Attributes:
        cap: the accuracy above which it receives none, in [0, 1].
        everything: whether it receives whatever is trained.
        low, middle, high: accuracy that is exceeded in 95, 50 and 5 of 100 cases.
        worse: the probability of ending worse than alone, once it is known who takes part.
    """

    cap: float
    everything: bool
    low: float
    middle: float
    high: float
    worse: float


@frozen
class Kind:
    """What the contract means for one type; values and gains are expected ones, in units of cost.

    Attributes:
        name, cost, chance: the type.
        alone_data, alone_accuracy, alone_gain: what it would do alone, and gain.
        contribution, value, gain: what it contributes, receives, and gains by its own option.
        other_gain: what it would gain by the best option of another, or None where there is one option only.
        received: the model, or None where the promises make no sense.
    """

    name: str
    cost: float
    chance: float
    alone_data: float
    alone_accuracy: float
    alone_gain: float
    contribution: float
    value: float
    gain: float
    other_gain: float | None
    received: Received | None

    @property
    def advantage(self) -> float:
        """What it gains over staying alone."""
        return self.gain - self.alone_gain


@frozen
class Option:
    """One line of the menu, and the kinds it is meant for."""

    contribution: float
    value: float
    received: Received | None
    kinds: tuple[Kind, ...]


@frozen
class Check:
    """One line of the certificate: what must hold, the number found, and whether it does."""

    name: str
    number: float | None
    holds: bool
    violations: tuple[str, ...]


@frozen
class Facts:
    """Everything a report says.

    Attributes:
        contract, certificate: what is reported, and what `verify` found.
        kinds: by falling cost.
        options: by rising contribution.
        checks: the certificate, line by line.
        expected_data: expected data of the joint model.
        trained: accuracy of the joint model that is exceeded in 95, 50 and 5 of 100 cases, or None.
        information_cost: expected value lost because costs are not observed; None without a finding.
    """

    contract: Contract
    certificate: Certificate
    kinds: tuple[Kind, ...]
    options: tuple[Option, ...]
    checks: tuple[Check, ...]
    expected_data: float
    trained: tuple[float, float, float] | None
    information_cost: float | None

    @property
    def together(self) -> bool:
        """Whether anybody contributes anything."""
        return any(kind.contribution for kind in self.kinds)

    @property
    def tolerance(self) -> float:
        """What is as good as nothing, in units of value."""
        return 100.0 * self.certificate.tolerance


def facts(contract: Contract, certificate: Certificate) -> Facts:
    """Collect what a report says.

    Args:
        contract: a contract.
        certificate: what `verify` says of it now.
    """
    kinds = _kinds(contract, certificate)
    population = contract.problem.population
    expected = population.participants * float(population.probabilities @ contract.contribution)
    return Facts(
        contract=contract,
        certificate=certificate,
        kinds=kinds,
        options=_options(contract, kinds),
        checks=_checks(certificate),
        expected_data=expected,
        trained=_trained(contract),
        information_cost=_information_cost(contract, certificate),
    )


def sensible(contract: Contract) -> bool:
    """Whether contributions and promised values are such as can occur at all."""
    promised, top = contract.expected_reward, contract.problem.largest_value
    return bool((contract.contribution >= 0).all() and (promised >= 0).all() and (promised <= top).all())


def _kinds(contract: Contract, certificate: Certificate) -> tuple[Kind, ...]:
    problem, population = contract.problem, contract.problem.population
    alone, received = reservation(problem), _received(contract, certificate)
    noise = certificate.tolerance
    found = [
        Kind(
            name=name,
            cost=float(population.costs[i]),
            chance=float(population.probabilities[i]),
            alone_data=float(alone.contribution[i]),
            alone_accuracy=float(problem.accuracy(alone.contribution[i])),
            alone_gain=float(alone.utility[i]),
            contribution=_cleared(contract.contribution[i], noise / population.costs[i]),
            value=_cleared(contract.expected_reward[i], noise),
            gain=_cleared(contract.utility[i], noise),
            other_gain=_other_gain(contract, certificate, i),
            received=received[i],
        )
        for i, name in enumerate(population.names or ())
    ]
    return tuple(sorted(found, key=lambda kind: -kind.cost))


def _other_gain(contract: Contract, certificate: Certificate, i: int) -> float | None:
    """What type i would gain at most by an option that is not its own."""
    different = ~(_same(contract.contribution, i) & _same(contract.expected_reward, i))
    costs = contract.problem.population.costs
    other = (contract.expected_reward - costs[i] * contract.contribution)[different]
    return _cleared(float(other.max()), certificate.tolerance) if other.size else None


def _cleared(number: float, noise: float) -> float:
    """The number, or 0 where it is but rounding."""
    return 0.0 if abs(number) <= noise else float(number)


def _same(values: np.ndarray, i: int) -> np.ndarray:
    return np.abs(values - values[i]) <= SAME * max(float(np.abs(values).max()), 1e-300)


def _received(contract: Contract, certificate: Certificate) -> list[Received | None]:
    try:
        capped = contract.rewards("capped") if sensible(contract) else None
    except InvalidInput:
        capped = None
    if capped is None:
        return [None] * contract.contribution.size
    inverse = contract.problem.valuation.inverse
    low, middle, high = (inverse(capped.quantile(level)) for level in OFTEN)
    caps = capped.accuracy_cap
    # Whoever is promised the whole model's expected value, up to rounding, receives whatever is trained.
    largest = contract.expected_reward + np.maximum(certificate.feasibility_slack, 0.0)
    everything = (contract.expected_reward > 0) & (contract.expected_reward >= largest * (1.0 - 1e-9))
    worse = _worse(contract, certificate, capped)
    columns = (caps, everything, low, middle, high, worse)
    names = [entry.name for entry in fields(Received)]
    return [
        Received(**{name: column[i].item() for name, column in zip(names, columns, strict=True)})
        for i in range(caps.size)
    ]


def _worse(contract: Contract, certificate: Certificate, capped: Rewards) -> np.ndarray:
    """Probability that a type gets less than alone, once it is known who takes part."""
    outside = contract.utility - certificate.participation_slack
    needed = outside + contract.problem.population.costs * contract.contribution - 100.0 * certificate.tolerance
    pairs = zip(capped.values, capped.probabilities, needed, strict=True)
    return np.array([np.clip(p[v < least].sum(), 0.0, 1.0) for v, p, least in pairs])


def _options(contract: Contract, kinds: tuple[Kind, ...]) -> tuple[Option, ...]:
    near = SAME * max(float(contract.contribution.max()), 1e-300), SAME * contract.problem.largest_value
    groups: list[list[Kind]] = []
    for kind in sorted(kinds, key=lambda kind: (kind.contribution, kind.value)):
        last = groups[-1][0] if groups else None
        together = last is not None and (
            abs(kind.contribution - last.contribution) <= near[0] and abs(kind.value - last.value) <= near[1]
        )
        groups[-1].append(kind) if together else groups.append([kind])
    return tuple(
        Option(
            contribution=group[0].contribution,
            value=group[0].value,
            received=group[0].received,
            kinds=tuple(sorted(group, key=lambda kind: -kind.cost)),
        )
        for group in groups
    )


def _trained(contract: Contract) -> tuple[float, float, float] | None:
    if not sensible(contract) or not contract.contribution.any():
        return None
    population = contract.problem.population
    law = total_data(contract.contribution, population.probabilities, population.participants)
    reached = np.cumsum(law.probabilities)
    places = [min(int(np.searchsorted(reached, level)), law.data.size - 1) for level in OFTEN]
    low, middle, high = (float(contract.problem.accuracy(law.data[place])) for place in places)
    return low, middle, high


def _information_cost(contract: Contract, certificate: Certificate) -> float | None:
    if not certificate.holds or not contract.contribution.any():
        return None
    lost = full_information(contract.problem).objective - contract.objective
    return lost if lost > 100.0 * certificate.tolerance else None


CHECKS = ("individual rationality", "incentive compatibility", "feasibility", "optimality")


def _checks(certificate: Certificate) -> tuple[Check, ...]:
    numbers = (
        float(certificate.participation_slack.min()),
        float(certificate.envy.max()),
        float(certificate.feasibility_slack.min()),
        certificate.gap,
    )
    found = []
    for name, number in zip(CHECKS, numbers, strict=True):
        broken = tuple(v for v in certificate.violations if v.startswith(f"{name}:"))
        holds = certificate.optimal if name == "optimality" else not broken and number is not None
        found.append(Check(name=name, number=number, holds=holds, violations=broken))
    named = {violation for check in found for violation in check.violations}
    rest = tuple(violation for violation in certificate.violations if violation not in named)
    found.append(Check(name="stated numbers", number=None, holds=not rest, violations=rest))
    return tuple(found)
