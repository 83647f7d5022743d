"""What a report says of a contract, as numbers: kind by kind, option by option, check by check."""

from __future__ import annotations

from dataclasses import fields

import numpy as np

from contracts.contract import Contract
from contracts.contract.full_information import full_information, is_benchmark
from contracts.contract.launch_settlement import chance_of_loss, trained_law
from contracts.contract.options import options_of
from contracts.contract.rewards import Rewards, whole_model
from contracts.errors import InvalidInput
from contracts.problem.reservation import outside_option
from contracts.problem.standard_form import StandardForm
from contracts.proof.certificate import Certificate
from contracts.proof.promises import read_menu
from modelpact.report_data import SAME, Check, Facts, Joint, Kind, Option, Received

OFTEN = (0.05, 0.5, 0.95)
WHOLE = (
    1e-9  # whoever is promised the whole model's expected value, up to rounding, receives whatever is trained
)


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
    allowed = 100.0 * certificate.tolerance * contract.form.relative
    if contract.clause is not None:  # what is delivered follows from who signs, too
        return chance_of_loss(contract, allowed)
    paid = contract.expected_reward - contract.utility
    needed = _outside(contract, certificate) + paid - allowed
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
