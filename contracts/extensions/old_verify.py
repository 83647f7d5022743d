r"""How extended contracts are checked until they are contracts like others: see `contracts.proof.certify`.

Participation, incentive compatibility and feasibility are recomputed from the menu. Optimality is proved by weak
duality (`contracts.proof.duality`). The mixtures of exponentials by which expectations are taken are themselves
compared with the problem's curve first (`contracts.proof.mixture_check`), and their error is carried.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import field
from functools import lru_cache
from math import comb
from typing import Any, TypeVar

import numpy as np

from contracts.contract import Contract
from contracts.errors import InvalidInput
from contracts.extension import ExtendedContract
from contracts.problem import Problem
from contracts.problem.outcomes import believed_total, total_data
from contracts.problem.participants import Turnout
from contracts.problem.population import Population
from contracts.proof.duality import (
    by_row,
    distinct_rows,
    idle_outcomes,
    lower_bound,
    transforms,
    type_losses_by_mixture,
)
from contracts.proof.mixture_check import below, mixture_error
from contracts.proof.soundness import ProofRefused
from contracts.proof.tree_check import tree_bound
from contracts.proof.witness import Tree, Witness
from contracts.records import Keyed, frozen

T = TypeVar("T", bound=Any)
TOLERANCE = 1e-9  # of the largest value: rounding of sums of a few thousand terms, far below any promise
OPTIMALITY_TOLERANCE = 5e-6  # of the largest target: what the conic solver reaches
DRAWS = 4000
LATTICE_ERROR = 1e-9  # relative error of expectations over the law of the outcomes
OUTCOME_ERROR = 1e-7  # of the largest value: what a mixture may differ from the curve


@frozen
class Certificate:
    """What was found when a contract was checked.

    Attributes:
        holds: whether every constraint holds, the stated numbers agree and optimality is proved.
        participation_slack: u_i - f_i, shape (types,); individual rationality needs >= 0.
        envy: what type i would gain by taking j's option, t_j - c_i m_j - u_i, shape (types, types);
            incentive compatibility needs <= 0.
        feasibility_slack: T_i - t_i, shape (types,): what could be given at most, less what is promised.
        optimality_gap: proved bound on how much better another contract can be, for the program as solved (the
            curve continued concavely below its floor), in units of value (of accuracy if that is maximised and
            the valuation is not linear); the global gap where the contract was found for the true curve itself.
            None if there is no proof.
        global_gap: the same against the true curve, floor included; None if there is no proof.
        independent_check: how expectations were confirmed by another route, and how far they differ.
        violations: sentences that name the constraint, who, and by how much; empty if `holds`.
        tolerance: what was tolerated, in units of value.
        extended: what an extension checked besides, by name; each says in its own words what must hold.
    """

    holds: bool
    participation_slack: np.ndarray
    envy: np.ndarray
    feasibility_slack: np.ndarray
    optimality_gap: float | None
    global_gap: float | None
    independent_check: str
    violations: tuple[str, ...]
    tolerance: float
    extended: Mapping[str, float] = field(default_factory=dict)

    def __str__(self) -> str:
        lines = [
            f"individual rationality: least slack {self.participation_slack.min():.3g}",
            f"incentive compatibility: largest envy {self.envy.max():.3g}",
            f"feasibility: least slack {self.feasibility_slack.min():.3g}",
            f"optimality gap: {_shown(self.optimality_gap)} (program as solved),"
            f" {_shown(self.global_gap)} (true curve)",
            self.independent_check,
        ]
        lines += [f"{name}: {number:.6g}" for name, number in self.extended.items()]
        verdict = "everything holds" if self.holds else "DOES NOT HOLD"
        return "\n".join([verdict, *lines, *self.violations])


def verify(contract: Contract | ExtendedContract) -> Certificate:
    """Recompute individual rationality, incentive compatibility, feasibility and optimality.

    Args:
        contract: a contract, designed here, read from a file, or made by hand.

    Returns:
        The certificate, with every slack.

    >>> from contracts import GeneralizationBound, LinearValuation, Population, design_contract
    >>> problem = Problem(
    ...     population=Population(costs=[0.2, 0.04], probabilities=[0.5, 0.5], participants=10),
    ...     accuracy=GeneralizationBound(),
    ...     valuation=LinearValuation(scale=100.0),
    ... )
    >>> verify(design_contract(problem)).holds
    True
    """
    if isinstance(contract, ExtendedContract):
        return contract.certify()
    return verify_due(contract, reservation_by_zooming(contract.problem))


def verify_due(contract: Contract, alone: np.ndarray) -> Certificate:
    """`verify` where what each type is due at least, shape (types,), is not what it gets alone at its cost."""
    sound, unusable = usable(contract, contract.problem.population)
    menu, objective, accuracy = _menu(sound, alone)
    gap, global_gap, complaints = _gaps(sound, alone, objective, accuracy)
    violations = (*unusable, *menu.violations, *complaints)
    return dataclasses.replace(
        menu, holds=not violations, optimality_gap=gap, global_gap=global_gap, violations=violations
    )


def verify_menu(contract: Contract, alone: np.ndarray) -> Certificate:
    """Everything but optimality: what every contract must satisfy, whatever it was designed for.

    Args:
        contract: the contract.
        alone: what each type is due at least, shape (types,).
    """
    sound, unusable = usable(contract, contract.problem.population)
    menu = _menu(sound, alone)[0]
    return refused(menu, unusable) if unusable else menu


def usable(contract: T, population: Population) -> tuple[T, list[str]]:
    """A contract with contributions that can be made, and complaints about others.

    Args:
        contract: any record with a menu: `contribution`, `expected_reward` and `reservation_utility`.
        population: whose types it is for.
    """
    types, names, found = population.types, list(population.names or ()), []
    for column in ("contribution", "expected_reward", "reservation_utility"):
        shape = np.shape(getattr(contract, column))
        if shape != (types,):
            raise InvalidInput(f"{column} has shape {shape}: expected ({types},), one for each type")
    possible = np.isfinite(contract.contribution) & (contract.contribution >= 0.0)
    for i in np.flatnonzero(~possible):
        found.append(f"contribution: {names[i]} would contribute {contract.contribution[i]:g} data")
    if found:
        contract = dataclasses.replace(contract, contribution=np.where(possible, contract.contribution, 0.0))
    if np.isinf(contract.expected_reward).any():  # no more a promise than what is not a number
        reward = np.where(np.isfinite(contract.expected_reward), contract.expected_reward, np.nan)
        contract = dataclasses.replace(contract, expected_reward=reward)
    return contract, found


def refused(certificate: Certificate, complaints: list[str]) -> Certificate:
    """A certificate that does not hold, for these reasons first."""
    return dataclasses.replace(certificate, holds=False, violations=(*complaints, *certificate.violations))


def _menu(contract: Contract, alone: np.ndarray) -> tuple[Certificate, float, float]:
    """What `verify_menu` finds, with the expected value and accuracy of the trained model."""
    problem = contract.problem
    tolerance = TOLERANCE * problem.largest_value
    costs = problem.population.costs
    utility = contract.expected_reward - costs * contract.contribution
    envy = contract.expected_reward - np.multiply.outer(costs, contract.contribution) - utility[:, None]
    offered, source = _largest_rewards(contract)
    objective, accuracy = _expectations(contract)
    check, disagreement = _independently(contract, offered, objective)
    violations = [
        *broken_promises(problem, contract.expected_reward, utility, alone, envy, offered),
        *_misstated(contract, alone, objective, accuracy, tolerance),
        *disagreement,
    ]
    certificate = Certificate(
        holds=not violations,
        participation_slack=utility - alone,
        envy=envy,
        feasibility_slack=offered - contract.expected_reward,
        optimality_gap=None,
        global_gap=None,
        independent_check=f"{check}; {source}",
        violations=tuple(violations),
        tolerance=tolerance,
    )
    return certificate, objective, accuracy


def reservation_by_zooming(problem: Problem) -> np.ndarray:
    """f_i by a grid over all amounts of data that can pay, zoomed into three times; shape (types,)."""
    key = (*problem.family, problem.population.costs.tobytes())
    return _zoomed(Keyed(key, problem)).copy()


# Contracts of one sweep share curves, costs and mixtures: what depends on these alone is remembered.
@lru_cache(maxsize=1024)
def _zoomed(keyed: Keyed) -> np.ndarray:
    problem = keyed.value
    costs, place = np.unique(problem.population.costs, return_inverse=True)
    high = problem.largest_value / costs
    low = np.minimum(max(problem.accuracy.floor, 1e-9 * high.min()), 0.5 * high)
    best = np.zeros(costs.size)
    for points in (1500, 60, 60, 60, 60):
        data = np.geomspace(low, high, points, axis=-1)
        profit = problem.value(data) - costs[:, None] * data
        top = np.argmax(profit, axis=-1)
        rows = np.arange(costs.size)
        best = np.maximum(best, profit[rows, top])
        low, high = data[rows, np.maximum(top - 1, 0)], data[rows, np.minimum(top + 1, points - 1)]
    return best[place]


def _largest_rewards(contract: Contract) -> tuple[np.ndarray, str]:
    """T_i, what could be given at most, by the proof's mixture if there is one."""
    problem, m = contract.problem, contract.contribution
    if contract.witness is None or not contract.witness.rates.size:
        laws = [believed_total(problem, m, i) for i in range(m.size)]
        return np.array([law.expectation(problem.value) for law in laws]), "expectations over outcomes"
    witness = contract.witness
    _, row_p, row = distinct_rows(problem)
    options = by_row(m, row)
    mix = transforms(witness.rates, options, row_p)
    losses = type_losses_by_mixture(problem, witness.value_weights, mix, options, row_p)
    _, idle = idle_outcomes(problem, row_p, witness.excluded)
    losses = losses - idle * (witness.value_weights.sum() - problem.largest_value)
    return (problem.largest_value - losses)[row], "expectations by the proof's mixture of exponentials"


def _expectations(contract: Contract) -> tuple[float, float]:
    """Expected value and expected accuracy of the trained model, over its outcomes."""
    problem = contract.problem
    population = problem.population
    law = total_data(contract.contribution, population.probabilities, population.participants)
    return law.expectation(problem.value), law.expectation(problem.accuracy)


def doubts(witness: Witness, error: float, gap: float, top: float) -> list[str]:
    """Why a proof by prices is not accepted: its mixtures' relative error, its gap, or its prices."""
    found = []
    if error > 1e-6:
        found.append(f"optimality: the proof's mixture differs from the curve by {error:.3g} (relative)")
    if not gap <= OPTIMALITY_TOLERANCE * top:
        found.append(f"optimality: another contract may be better by {gap:.6g}")
    if min(witness.feasibility_multipliers.min(), witness.participation_multipliers.min()) < 0.0:
        found.append("optimality: the proof has a negative price")
    return found


def _dearest(problem: Problem, rows: int) -> np.ndarray:
    """Which types have one of the dearest costs, so many of them."""
    return distinct_rows(problem)[2] < rows


def _gaps(
    contract: Contract, alone: np.ndarray, objective: float, accuracy: float
) -> tuple[float | None, float | None, list[str]]:
    problem = contract.problem
    top = problem.largest_target
    reached = objective if problem.target_is_value else accuracy
    gap: float | None = None
    complaints: list[str] = []
    if contract.witness is not None:
        bound, loss, sensitivity, _ = lower_bound(problem, contract.witness, alone, contract.contribution)
        error = mixture_error(problem, contract.witness) if contract.witness.rates.size else LATTICE_ERROR
        gap = loss - bound + error * sensitivity
        complaints += doubts(contract.witness, error, gap, top)
        if contract.contribution[_dearest(problem, contract.witness.excluded)].any():
            complaints.append("optimality: the proof leaves out types that contribute")
    elif not contract.contribution.any():
        gap = 0.0
    global_gap: float | None = None
    if contract.global_witness is not None and contract.global_witness.excluded:
        complaints.append("optimality: the proof against the true curve leaves out types")
    elif contract.global_witness is not None and not contract.global_witness.rates.size:
        # Without a floor the program as solved is the true one.
        global_gap = gap if problem.accuracy.floor <= 0.0 else None
    elif contract.global_witness is not None:
        minorant = below(problem, contract.global_witness)
        if minorant is not None:
            # A minorant needs no allowance for its error: it only has to lie below the true loss.
            bound, *_ = lower_bound(problem, minorant, alone, contract.contribution)
            global_gap = max(top - reached - bound, 0.0)
    if contract.tree is not None:
        limit = _tree_bound(problem, contract.tree, alone)
        if limit is None:
            complaints.append("optimality: the proof by cases is none (its cases form no tree)")
        else:
            left = max(limit - reached, 0.0)
            global_gap = left if global_gap is None else min(global_gap, left)
    if not contract.contribution.any() and problem.most_data <= problem.accuracy.floor:
        global_gap = 0.0
    return global_gap if gap is None else gap, global_gap, complaints


def _tree_bound(problem: Problem, tree: Tree, alone: np.ndarray) -> float | None:
    try:
        return tree_bound(problem, tree, alone)
    except ProofRefused:
        return None


def _independently(contract: Contract, offered: np.ndarray, objective: float) -> tuple[str, list[str]]:
    """Confirm expectations by a route of its own: over all outcomes if they are few, else by simulation."""
    n, types = contract.problem.population.participants, contract.problem.population.types
    by_mixture = contract.witness is not None and contract.witness.rates.size > 0
    if by_mixture and not isinstance(n, Turnout) and comb(n + types - 1, types - 1) <= DRAWS:
        return _by_enumeration(contract, offered)
    return _by_simulation(contract, offered, objective)


def _by_enumeration(contract: Contract, offered: np.ndarray) -> tuple[str, list[str]]:
    """Compare what the mixture says can be given with its expectation over all outcomes."""
    problem = contract.problem
    laws = [believed_total(problem, contract.contribution, i) for i in range(offered.size)]
    excess = offered - np.array([law.expectation(problem.value) for law in laws])
    # Below the floor the program counts a model as worth less than nothing: promises may only be too low.
    worst, of_type = float(excess.max()), int(excess.argmax())
    text = f"all outcomes enumerated: the mixture promises {max(worst, 0.0):.1g} too much at most"
    if worst <= OUTCOME_ERROR * problem.largest_value:
        return text, []
    return text, [f"expectations: {list(problem.population.names or ())[of_type]}: {text}"]


def _by_simulation(contract: Contract, offered: np.ndarray, objective: float) -> tuple[str, list[str]]:
    """Sample participants and compare the promised expectations with the sample's."""
    problem = contract.problem
    population = problem.population
    n, m = population.participants, contract.contribution
    rng = np.random.default_rng(20250101)
    if isinstance(n, Turnout):
        come, meet = (rng.choice(law.support[0], size=DRAWS, p=law.support[1]) for law in (n, n.others()))
        everybody = rng.multinomial(come, population.probabilities) @ m
        others = rng.multinomial(meet, population.probabilities) @ m
    else:
        others = rng.multinomial(n - 1, population.probabilities, size=DRAWS) @ m
        everybody = others + m[rng.choice(population.types, size=DRAWS, p=population.probabilities)]
    worst = _deviation(problem.value(everybody), objective, problem)
    if problem.belief == "interim":
        for i in np.unique(np.linspace(0, population.types - 1, 20).astype(int)):
            worst = max(worst, _deviation(problem.value(others + m[i]), float(offered[i]), problem))
    text = f"simulation of {DRAWS} draws: largest deviation {worst:.2f} standard errors"
    # 21 comparisons at once: six standard errors are exceeded by chance less than once in 10^7 checks.
    return text, [f"expectations: a {text}"] if worst > 6.0 else []


def _deviation(values: np.ndarray, expected: float, problem: Problem) -> float:
    error = float(values.std(ddof=1)) / np.sqrt(values.size) + 1e-9 * problem.largest_value
    # Below the floor the program counts a model as worth less than nothing: promises may only be too low.
    return max(float(expected - values.mean()), 0.0) / error


def broken_promises(
    problem: Problem,
    expected_reward: np.ndarray,
    utility: np.ndarray,
    alone: np.ndarray,
    envy: np.ndarray,
    offered: np.ndarray,
) -> list[str]:
    """Who is short of which promise, and by how much. Whatever is not a number breaks its constraint."""
    names, tolerance = list(problem.population.names or ()), TOLERANCE * problem.largest_value
    found = [
        f"individual rationality: {names[i]} would get {utility[i]:.9g}, alone {alone[i]:.9g}:"
        f" short by {alone[i] - utility[i]:.3g}"
        for i in np.flatnonzero(~(utility >= alone - tolerance))
    ]
    for i in np.flatnonzero(~(envy.max(axis=1) <= tolerance)):
        j = int(np.argmax(envy[i]))
        found.append(
            f"incentive compatibility: {names[i]} would rather take the option of {names[j]}:"
            f" gains {envy[i, j]:.3g}"
        )
    for i in np.flatnonzero(~(expected_reward <= offered + tolerance)):
        found.append(
            f"feasibility: {names[i]} is promised {expected_reward[i]:.9g}, at most"
            f" {offered[i]:.9g} can be given: short by {expected_reward[i] - offered[i]:.3g}"
        )
    return found


def _misstated(
    contract: Contract, alone: np.ndarray, objective: float, accuracy: float, tolerance: float
) -> list[str]:
    top = contract.problem.largest_value
    names = list(contract.problem.population.names or ())
    found = []
    for i in np.flatnonzero(~(np.abs(contract.reservation_utility - alone) <= 100 * tolerance)):
        found.append(
            f"reservation utility: {names[i]} is stated to get {contract.reservation_utility[i]:.9g} alone,"
            f" recomputed {alone[i]:.9g}"
        )
    # The lattice on which large problems are recomputed is good to about 1e-8.
    if not abs(contract.objective - objective) <= 1e-7 * top:
        found.append(f"objective: stated {contract.objective:.9g}, recomputed {objective:.9g}")
    if not abs(contract.expected_accuracy - accuracy) <= 1e-7:
        found.append(f"expected accuracy: stated {contract.expected_accuracy:.9g}, recomputed {accuracy:.9g}")
    return found


def _shown(gap: float | None) -> str:
    return "not proved" if gap is None else f"{gap:.3g}"
