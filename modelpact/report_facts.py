"""What a report says of a contract, as numbers: kind by kind, option by option, check by check."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields

import numpy as np

from contracts.contract import Contract
from contracts.contract.full_information import full_information, is_benchmark
from contracts.contract.launch_settlement import trained_law
from contracts.contract.options import options_of
from contracts.contract.rewards import Rewards, whole_model
from contracts.errors import InvalidInput
from contracts.problem.reservation import outside_option
from contracts.problem.standard_form import StandardForm
from contracts.proof.certificate import Certificate
from contracts.proof.promises import read_menu
from contracts.records import frozen

SAME = 1e-6  # relative difference below which two options are one: far below what anybody can measure out
OFTEN = (0.05, 0.5, 0.95)
WHOLE = (
    1e-9  # whoever is promised the whole model's expected value, up to rounding, receives whatever is trained
)


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


def facts(contract: Contract, certificate: Certificate) -> Facts:
    """Collect what a report says.

    Args:
        contract: a contract.
        certificate: what `verify` says of it now.
    """
    kinds = _kinds(contract, certificate)
    population = contract.problem.population
    brought = np.where(np.isfinite(contract.contribution), contract.contribution, 0.0)
    return Facts(
        contract=contract,
        certificate=certificate,
        kinds=kinds,
        options=_options(contract, kinds),
        checks=_checks(contract, certificate),
        expected_data=population.mean_participants * float(population.shares @ brought),
        joint=_joint(contract),
        information_cost=_information_cost(contract, certificate),
    )


def sensible(contract: Contract) -> bool:
    """Whether contributions and promised values are such as can occur at all."""
    promised, form = contract.expected_reward, contract.form
    top = form.relative * max(world.plain.largest_value for world in form.worlds)
    asked = np.isfinite(contract.contribution).all() and (contract.contribution >= 0).all()
    return bool(asked and (promised >= 0).all() and (promised <= top * (1.0 + WHOLE)).all())


def _kinds(contract: Contract, certificate: Certificate) -> tuple[Kind, ...]:
    problem, population, form = contract.problem, contract.problem.population, contract.form
    alone = outside_option(form)
    given, noise = problem.outside.utility is not None, certificate.tolerance * form.relative
    # stated outside utilities may be wrong; those that the certificate recomputed are what it compares with
    stays = _stays(contract, alone.utility)
    received = _received(contract, certificate, stays)
    outside = np.where(stays, alone.utility, _outside(contract, certificate))
    gain, other = np.where(stays, alone.utility, contract.utility), _other_gains(contract, stays)
    groups = population.groups or ("",) * population.types
    own = form.effective / (1.0 - population.shading)
    found = []
    for i, name in enumerate(population.names or ()):
        brought = _cleared(contract.contribution[i], noise[i] / population.costs[i])
        found.append(
            Kind(
                name=name,
                group=groups[i],
                cost=float(population.costs[i]),
                chance=float(population.probabilities[i]),
                quality=float(own[i]),
                capacity=None if population.capacities is None else float(population.capacities[i]),
                perfect=float(problem.scales[i]),
                alone_data=None if given else float(alone.contribution[i]),
                alone_accuracy=None if given else _accuracy(form, float(alone.contribution[i] * own[i])),
                alone_gain=_cleared(outside[i], noise[i]),
                stays=bool(stays[i]),
                contribution=brought,
                effective=brought * float(own[i]),
                value=_cleared(contract.expected_reward[i], noise[i]),
                gain=_cleared(gain[i], noise[i]),
                other_gain=None if np.isneginf(other[i]) else _cleared(other[i], noise[i]),
                received=received[i],
            )
        )
    order = {name: place for place, name in enumerate(dict.fromkeys(groups))}
    return tuple(sorted(found, key=lambda kind: (order[kind.group], -kind.cost)))


def _outside(contract: Contract, certificate: Certificate) -> np.ndarray:
    """What staying out gives each type, as the certificate recomputed it."""
    if contract.clause is not None:  # its slacks are the least over all launches
        return contract.reservation_utility
    return contract.utility - certificate.participation_slack


def _accuracy(form: StandardForm, data: float) -> float:
    """Accuracy reached with so many effective data, on the best curve."""
    return form.problem.baseline + max(float(world.plain.accuracy(data)) for world in form.worlds)


def _stays(contract: Contract, outside: np.ndarray) -> np.ndarray:
    """Who is left outside of the deal."""
    menu, _ = read_menu(contract.form, contract.contribution, contract.expected_reward, outside)
    return menu.stays


def _other_gains(contract: Contract, stays: np.ndarray) -> np.ndarray:
    """What each type would gain at most by an option that is not its own; minus infinity where there is none."""
    offered = options_of(contract)
    utility = np.where(stays, -np.inf, offered.utility)
    form = contract.form
    data = contract.contribution * form.effective
    for i in range(stays.size):
        same = _near(data, i) & _near(contract.expected_reward / form.relative, i) & ~stays[i]
        utility[i, same] = -np.inf
    return utility.max(axis=1)


def _cleared(number: float, noise: float) -> float:
    """The number, or 0 where it is but rounding."""
    return 0.0 if abs(number) <= noise else float(number)


def _near(values: np.ndarray, i: int) -> np.ndarray:
    return np.abs(values - values[i]) <= SAME * max(float(np.abs(values).max()), 1e-300)


def _common(values: Sequence[float]) -> float | None:
    """What all values are but for rounding; None where they differ."""
    return values[0] if np.ptp(values) <= SAME * max(map(abs, values)) else None


def _received(contract: Contract, certificate: Certificate, stays: np.ndarray) -> list[tuple[Received, ...]]:
    types, worlds = contract.contribution.size, range(len(contract.form.worlds))
    try:
        if not sensible(contract):
            return [()] * types
        each = [_received_in(contract, certificate, stays, scenario) for scenario in worlds]
    except InvalidInput:
        return [()] * types
    return [tuple(column[i] for column in each) for i in range(types)]


def _received_in(
    contract: Contract, certificate: Certificate, stays: np.ndarray, scenario: int
) -> list[Received]:
    form, capped = contract.form, contract.rewards("capped", scenario=scenario)
    plain, baseline = form.worlds[scenario].plain, contract.problem.baseline
    low, middle, high = (
        baseline + plain.valuation.inverse(np.maximum(capped.quantile(level) / form.relative, 0.0))
        for level in OFTEN
    )
    everything = (contract.expected_reward > 0) & (_whole(contract, certificate, scenario) > 1.0 - WHOLE)
    worse = np.where(stays, 0.0, _worse(contract, certificate, capped))
    columns = (capped.accuracy_cap, everything, low, middle, high, worse)
    names = [entry.name for entry in fields(Received)]
    return [
        Received(**{name: column[i].item() for name, column in zip(names, columns, strict=True)})
        for i in range(worse.size)
    ]


def _whole(contract: Contract, certificate: Certificate, scenario: int) -> np.ndarray:
    """Which share of the whole model's expected value each type is promised."""
    if contract.clause is not None:
        return whole_model(contract) * 1.0
    if len(contract.form.worlds) > 1:
        return contract.rewards("proportional", scenario=scenario).levels
    whole = contract.expected_reward + np.maximum(certificate.feasibility_slack, 0.0)
    return np.where(whole > 0.0, contract.expected_reward / np.where(whole > 0.0, whole, 1.0), 0.0)


def _worse(contract: Contract, certificate: Certificate, capped: Rewards) -> np.ndarray:
    """Probability that a type gets less than by staying out, once it is known who takes part."""
    outside = _outside(contract, certificate)
    paid = contract.expected_reward - contract.utility
    needed = outside + paid - 100.0 * certificate.tolerance * contract.form.relative
    pairs = zip(capped.values, capped.probabilities, needed, strict=True)
    return np.array([np.clip(p[v < least].sum(), 0.0, 1.0) for v, p, least in pairs])


def _options(contract: Contract, kinds: tuple[Kind, ...]) -> tuple[Option, ...]:
    unit = contract.form.unit

    def worth(kind: Kind) -> float:
        return kind.value * unit / kind.perfect

    near = (
        SAME * max(float(max(kind.effective for kind in kinds)), 1e-300),
        SAME * max(world.plain.largest_value for world in contract.form.worlds),
    )
    order = {name: place for place, name in enumerate(dict.fromkeys(kind.group for kind in kinds))}
    lines: list[list[Kind]] = []
    served = [kind for kind in kinds if not kind.stays]
    for kind in sorted(served, key=lambda kind: (order[kind.group], kind.effective, worth(kind))):
        last = lines[-1][0] if lines else None
        together = (
            last is not None
            and kind.group == last.group
            and abs(kind.effective - last.effective) <= near[0]
            and abs(worth(kind) - worth(last)) <= near[1]
        )
        lines[-1].append(kind) if together else lines.append([kind])
    return tuple(
        Option(
            group=line[0].group,
            effective=line[0].effective,
            kinds=tuple(sorted(line, key=lambda kind: -kind.cost)),
        )
        for line in lines
    )


def _joint(contract: Contract) -> tuple[Joint, ...]:
    if not sensible(contract) or not contract.contribution.any():
        return ()
    form, baseline, found = contract.form, contract.problem.baseline, []
    for scenario, world in enumerate(form.worlds):
        law = trained_law(contract, scenario)
        reached = np.cumsum(law.probabilities)
        places = [min(int(np.searchsorted(reached, level)), law.data.size - 1) for level in OFTEN]
        low, middle, high = (baseline + float(world.plain.accuracy(law.data[place])) for place in places)
        found.append(
            Joint(
                weight=world.weight,
                data=law.expectation(lambda data: data),
                accuracy=baseline + law.expectation(world.plain.accuracy),
                low=low,
                middle=middle,
                high=high,
            )
        )
    return tuple(found)


def _information_cost(contract: Contract, certificate: Certificate) -> float | None:
    """What not knowing the costs costs, where that is all that a benchmark with known costs does without."""
    problem = contract.problem
    if not (is_benchmark(problem) and certificate.holds and contract.contribution.any()):
        return None
    known = full_information(problem)
    lost = known.objective - contract.objective
    return lost if lost > 100.0 * certificate.tolerance + 3.0 * known.standard_error else None


CHECKS = ("individual rationality", "incentive compatibility", "feasibility", "limits", "optimality")
LIMITS = ("preference margin", "capacity", "lots", "options")


def _checks(contract: Contract, certificate: Certificate) -> tuple[Check, ...]:
    problem = contract.problem
    limited = not problem.menu.free or problem.population.capacities is not None
    numbers = (
        float(certificate.participation_slack.min()),
        float(certificate.envy.max()),
        float(certificate.feasibility_slack.min()),
        None,
        certificate.gap,
    )
    found = []
    for name, number in zip(CHECKS, numbers, strict=True):
        words = LIMITS if name == "limits" else (name,)
        broken = tuple(v for v in certificate.violations if v.split(":")[0] in words)
        if name == "limits" and not (limited or broken):
            continue
        holds = certificate.optimal if name == "optimality" else not broken
        found.append(Check(name=name, number=number, holds=holds, violations=broken))
    named = {violation for check in found for violation in check.violations}
    rest = tuple(violation for violation in certificate.violations if violation not in named)
    found.append(Check(name="stated numbers", number=None, holds=not rest, violations=rest))
    return tuple(found)
