r"""Contracts where nobody knows from which of several populations the participants will come.

Scenario k has weight w_k and probabilities p_k of the types; given the scenario, participants are drawn
independently. The coordinator commits to one menu and maximises the expected target over scenarios,

    maximise  sum_k w_k E_k a(n·m)   s.t.   t_i - c_i m_i >= f_i,   t_i - c_i m_i >= t_j - c_i m_j,
                                            t_i <= T_ki(m) for every scenario k,

where T_ki is the most that can be given to type i in scenario k in expectation, to a participant who knows its
own type (the interim belief).

Why promises hold in every scenario rather than on average: one's own type is evidence about the scenario. By
Bayes' rule type i believes in scenario k with pi_ki proportional to w_k p_ki, and so expects something else of
the option of type j than type j does, unless that option is worth t_j in every scenario. Promises that hold
only on average over pi_i invite envy that t_j - c_i m_j does not show. Those that hold in every scenario are
the same promise whatever anybody believes, and menus are then never better than if everybody knew the scenario.
Rewards are those of `ScenarioContract.at(k)`: their means are t_i in scenario k. They can be handed out where
the scenario is known by then; where it is not, t_i is what participants may count on, and no more. (Contracts
that bet with participants on the scenario, as Cremer and McLean 1988 do, are outside of this class.)

Source: ours.
"""

from __future__ import annotations

import dataclasses
import time
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from contracts import checks
from contracts.contract import Contract, Provenance
from contracts.contract.design import check_concave, design_contract, hopeless
from contracts.errors import InvalidInput, NotConverged
from contracts.extension import ExtendedContract, ExtendedProblem
from contracts.extensions.old_verify import (
    Certificate,
    doubts,
    refused,
    reservation_by_zooming,
    usable,
    verify_menu,
)
from contracts.extensions.robust_contract import (
    Breach,
    as_base_contract,
    breaches,
    deliverable,
    expected_target,
    reached,
    with_probabilities,
)
from contracts.extensions.scenario_program import ScenarioSolution, leave_out, solve_scenarios
from contracts.problem import Problem
from contracts.problem.participants import Turnout
from contracts.problem.reservation import reservation
from contracts.program.exclusion import CLOSE, CONVERGED, best_of
from contracts.program.first_moment import MIXTURE_ERROR, FirstMoment, Program, prepare
from contracts.program.relaxation import relax
from contracts.proof.duality import (
    by_row,
    distinct_rows,
    idle_outcomes,
    least_change,
    mean_power,
    transforms,
    type_loss_gradient,
    type_losses_by_mixture,
)
from contracts.proof.mixture_check import below, mixture_error
from contracts.proof.witness import Witness
from contracts.records import frozen


@frozen
class ScenarioProblem(ExtendedProblem):
    """A problem in which it is not known which of several populations will come.

    Does not compose with batches (`design_contracts`): it is a program of its own.

    Args:
        problem: the base problem: interim belief, a fixed number of participants, a curve whose loss is a
            mixture of exponentials. The probabilities of its population are replaced by the mean over scenarios.
        weights: how likely each scenario is, in [0, 1], summing to 1, shape (scenarios,). Promises hold in
            scenarios of weight 0, too.
        probabilities: of the types in each scenario, each row summing to 1, shape (scenarios, types).

    Raises:
        InvalidInput: naming the argument, the index and what is accepted; for an ex-ante belief, whose condition
            (one's own type occurs) differs from scenario to scenario; for an uncertain number of participants.

    >>> from contracts import GeneralizationBound, LinearValuation, Population, design_contract, verify
    >>> problem = Problem(
    ...     population=Population(costs=[0.2, 0.04], probabilities=[0.5, 0.5], participants=10),
    ...     accuracy=GeneralizationBound(),
    ...     valuation=LinearValuation(scale=100.0),
    ... )
    >>> unsure = ScenarioProblem(problem=problem, weights=[0.5, 0.5], probabilities=[[0.8, 0.2], [0.2, 0.8]])
    >>> contract = design_contract(unsure)
    >>> verify(contract).holds, 0.0 < contract.price_of_not_knowing < 5.0
    (True, True)
    """

    problem: Any
    weights: Any
    probabilities: Any

    def __post_init__(self) -> None:
        problem = _accepted(self.problem)
        rows = checks.array("probabilities", self.probabilities, ndim=2, low=0.0, high=1.0)
        types = problem.population.types
        if rows.shape[1] != types:
            raise InvalidInput(f"probabilities has {rows.shape[1]} columns: expected {types}, one per type")
        rows = np.array([checks.probabilities(f"probabilities[{k}]", row) for k, row in enumerate(rows)])
        weights = checks.probabilities("weights", self.weights, length=len(rows))
        object.__setattr__(self, "weights", weights)
        object.__setattr__(self, "probabilities", rows)
        object.__setattr__(self, "problem", with_probabilities(problem, weights @ rows))

    @property
    def scenarios(self) -> int:
        """The number of scenarios."""
        return self.weights.size

    @property
    def posterior(self) -> np.ndarray:
        """What each type believes of each scenario (Bayes' rule), shape (types, scenarios).

        A type that never occurs believes the weights.
        """
        joint = self.weights * self.probabilities.T
        total = joint.sum(axis=1, keepdims=True)
        return np.where(total > 0.0, joint / np.where(total > 0.0, total, 1.0), self.weights)

    def at(self, scenario: int) -> Problem:
        """The base problem of those who know the scenario."""
        last = self.scenarios - 1
        return with_probabilities(
            self.problem, self.probabilities[checks.integer("scenario", scenario, high=last)]
        )

    @cached_property
    def known(self) -> tuple[Contract, ...]:
        """The best contract of each scenario if it were known; designed when first asked for."""
        return tuple(design_contract(self.at(k)) for k in range(self.scenarios))

    @cached_property
    def of_mean(self) -> Contract:
        """The best contract of those who take the mean population for the true one."""
        return design_contract(self.problem)

    def expected(self, contribution: np.ndarray) -> float:
        """The expected target of contributions, shape (types,), over scenarios."""
        each = [expected_target(self.problem, contribution, p) for p in self.probabilities]
        return float(self.weights @ each)

    def deliverable(self, contribution: np.ndarray) -> np.ndarray:
        """T_ki, the most that can be given in expectation, shape (scenarios, types)."""
        return np.array([deliverable(self.problem, contribution, p) for p in self.probabilities])

    def design(self, *, solver: str) -> ScenarioContract:
        """The best menu whose promises hold in every scenario."""
        if solver != "interior-point":
            raise InvalidInput(f"solver = {solver!r}: expected 'interior-point' for several scenarios")
        began = time.perf_counter()
        check_concave(self.problem)
        if hopeless(self.problem):
            return _contract(self, None, None, began)
        model = prepare(self.problem)
        if model.program.curves is not None:
            error = max(model.target_mixture.relative_error, model.value_mixture.relative_error)
            raise InvalidInput(
                f"problem: the loss differs from a mixture of exponentials by {error:.3g} (relative): expected"
                f" at most {MIXTURE_ERROR:g}, as of power laws, the generalization bound or exponentials"
            )
        best, bound = _search(self, model)
        if best is None and model.reservation.utility.max() > 0.0:
            raise NotConverged(
                "no program was solved although training alone pays; rescale costs and values", best=None
            )
        return _contract(self, best, bound, began)


def _accepted(problem: Any) -> Problem:
    if not isinstance(problem, Problem):
        raise InvalidInput(f"problem = {problem!r:.60}: expected a Problem")
    if problem.belief != "interim":
        raise InvalidInput(
            f"problem.belief = {problem.belief!r}: expected 'interim'; what the ex-ante belief is conditioned on"
            " differs from scenario to scenario"
        )
    if isinstance(problem.population.participants, Turnout):
        raise InvalidInput(
            f"problem.population.participants = {problem.population.participants}: expected a whole number"
        )
    return problem


class _Candidate(NamedTuple):
    """A solved program in the user's units: contributions and utilities per type, its proof, what it reaches."""

    contribution: np.ndarray
    utility: np.ndarray
    witness: Witness
    iterations: int
    loss: float
    target: float


def _search(problem: ScenarioProblem, model: FirstMoment) -> tuple[_Candidate | None, Witness | None]:
    """The best over all prefixes of dear types left out, and the proof of a bound for the true curve."""
    full = _attempt(problem, model, model.program, 0)
    if not model.knee > 0.0:
        return full, None if full is None else full.witness
    relaxed = relax(model)
    bound = None if relaxed is None else _attempt(problem, model, relaxed, 0)
    close = CLOSE * model.target_unit
    if full is not None and bound is not None and model.target_unit - bound.loss - full.target <= close:
        return full, bound.witness
    rows = model.program.costs.size
    found = [full, *(_attempt(problem, model, model.program, k) for k in range(1, rows))]
    best = best_of(found, model.target_unit)
    if best is not None and best.target <= 1e-12 * model.target_unit:
        best = None
    return best, None if bound is None else bound.witness


def _attempt(problem: ScenarioProblem, model: FirstMoment, base: Program, excluded: int) -> _Candidate | None:
    """Solve one program; None if it is infeasible or did not converge."""
    rows = base.costs.size
    p = np.array([np.bincount(model.groups, weights=row, minlength=rows) for row in problem.probabilities])
    solution = solve_scenarios(leave_out(base, problem.weights, p, excluded))
    if not solution.error <= CONVERGED:
        return None
    contribution = (solution.contribution * model.data_unit)[model.groups]
    return _Candidate(
        contribution=contribution,
        utility=(solution.utility * model.value_unit)[model.groups],
        witness=_witness(model, base, excluded, solution),
        iterations=solution.iterations,
        loss=solution.loss * model.target_unit,
        target=problem.expected(contribution),
    )


def _witness(model: FirstMoment, base: Program, excluded: int, solution: ScenarioSolution) -> Witness:
    unit = model.target_unit / model.value_unit
    return Witness(
        rates=base.rates / model.data_unit,
        target_weights=base.target_weights * model.target_unit,
        value_weights=base.value_weights * model.value_unit,
        excluded=excluded,
        contribution=solution.contribution * model.data_unit,
        utility=solution.utility * model.value_unit,
        feasibility_multipliers=solution.feasibility * unit,
        participation_multipliers=solution.participation * unit,
    )


def _contract(
    problem: ScenarioProblem, best: _Candidate | None, bound: Witness | None, began: float
) -> ScenarioContract:
    population = problem.problem.population
    contribution = np.zeros(population.types) if best is None else best.contribution
    reward = np.zeros(population.types) if best is None else best.utility + population.costs * contribution
    return ScenarioContract(
        problem=problem,
        contribution=contribution,
        expected_reward=reward,
        reservation_utility=reservation(problem.problem).utility,
        reached=problem.expected(contribution),
        provenance=Provenance(
            solver="closed form" if best is None else "interior-point",
            expectation="mixture of exponentials",
            excluded=np.unique(population.costs).size if best is None else best.witness.excluded,
            iterations=0 if best is None else best.iterations,
            seconds=time.perf_counter() - began,
            fit_error=0.0,
        ),
        witness=None if best is None else best.witness,
        global_witness=bound,
    )


@frozen
class ScenarioContract(ExtendedContract):
    """A menu whose promises hold in every scenario.

    Targets are values of the trained model (accuracies where accuracy is maximised and the valuation is not
    linear).

    Attributes:
        problem: the problem it answers.
        contribution, expected_reward, reservation_utility: the menu, as in `Contract`, shape (types,).
        reached: the expected target over scenarios.
        provenance: how it was found.
        witness, global_witness: proofs of bounds, as in `Contract`, with feasibility multipliers of shape
            (scenarios, rows).
    """

    problem: ScenarioProblem
    contribution: np.ndarray
    expected_reward: np.ndarray
    reservation_utility: np.ndarray
    reached: float
    provenance: Provenance
    witness: Witness | None
    global_witness: Witness | None

    @property
    def utility(self) -> np.ndarray:
        """u_i = t_i - c_i m_i, shape (types,)."""
        return self.expected_reward - self.problem.problem.population.costs * self.contribution

    @property
    def known(self) -> float:
        """The expected target if everybody knew the scenario: the mean of each scenario's best contract."""
        return float(self.problem.weights @ [reached(contract) for contract in self.problem.known])

    @property
    def price_of_not_knowing(self) -> float:
        """What knowing the scenario beforehand would add, in units of the target."""
        return self.known - self.reached

    @cached_property
    def mean_breaches(self) -> tuple[tuple[Breach, ...], ...]:
        """For each scenario the promises that the contract for the mean population would break there."""
        mean = self.problem.of_mean
        given = self.problem.deliverable(mean.contribution)
        return tuple(breaches(self.problem.problem, mean.expected_reward, each) for each in given)

    def at(self, scenario: int) -> Contract:
        """The same menu as a contract of the problem in which the scenario is known (not its best one).

        There it can be settled, or mapped back to stochastic rewards of the promised means.

        Args:
            scenario: its index, from 0.
        """
        return self._in(self.problem.at(scenario))

    def _in(self, problem: Problem) -> Contract:
        return as_base_contract(self, problem, f"made to hold in each of {self.problem.scenarios} scenarios")

    def __str__(self) -> str:
        each = [reached(self.at(k)) for k in range(self.problem.scenarios)]
        lines = [str(self._in(self.problem.problem)).rsplit("\n", 2)[0]]
        for k, (weight, target) in enumerate(zip(self.problem.weights, each, strict=True)):
            lines.append(f"scenario {k} (weight {weight:.3g}): expected {target:.6f}")
        lines.append(
            f"over scenarios {self.reached:.6f}, if the scenario were known {self.known:.6f}:"
            f" price of not knowing {self.price_of_not_knowing:.6f}"
        )
        for k, broken in enumerate(self.mean_breaches):
            lines += [f"in scenario {k} the contract for the mean population breaks {each}" for each in broken]
        return "\n".join(lines)

    def certify(self) -> Certificate:
        """Check the menu in every scenario from the laws of the data, and bound what any menu could reach.

        `feasibility_slack` is the least over scenarios.
        """
        problem = self.problem
        sound, unusable = usable(self, problem.problem.population)
        if unusable:
            return refused(sound.certify(), unusable)
        alone = reservation_by_zooming(problem.problem)
        menus = [verify_menu(self.at(k), alone) for k in range(problem.scenarios)]
        target = problem.expected(self.contribution)
        gap, global_gap, complaints = _gaps(self, alone, target)
        if not abs(self.reached - target) <= 1e-7 * problem.problem.largest_target:
            complaints.append(f"reached: stated {self.reached:.9g}, recomputed {target:.9g}")
        violations = (*_named(menus), *complaints)
        largest = max((each.short for broken in self.mean_breaches for each in broken), default=0.0)
        extended = {f"scenario {k}": reached(self.at(k)) for k in range(problem.scenarios)}
        return dataclasses.replace(
            menus[0],
            holds=not violations,
            feasibility_slack=np.min([menu.feasibility_slack for menu in menus], axis=0),
            optimality_gap=gap,
            global_gap=global_gap,
            independent_check="; ".join(f"scenario {k}: {m.independent_check}" for k, m in enumerate(menus)),
            violations=violations,
            extended={
                **extended,
                "over scenarios": target,
                "if the scenario were known": self.known,
                "price of not knowing": self.price_of_not_knowing,
                "contract for the mean population, over scenarios": problem.expected(
                    problem.of_mean.contribution
                ),
                "largest breach of the contract for the mean population": largest,
            },
        )


def _named(menus: list[Certificate]) -> list[str]:
    """Violations of all scenarios: those that depend on the scenario say which."""
    common = ("individual rationality", "incentive", "contribution", "reservation")
    found = [
        text if text.startswith(common) else f"scenario {k}: {text}"
        for k, menu in enumerate(menus)
        for text in menu.violations
    ]
    return list(dict.fromkeys(found))


def _gaps(
    contract: ScenarioContract, alone: np.ndarray, target: float
) -> tuple[float | None, float | None, list[str]]:
    """The gap of the program as solved, that of the true curve, and complaints."""
    problem = contract.problem
    base, top = problem.problem, problem.problem.largest_target
    gap: float | None = None
    complaints: list[str] = []
    if contract.witness is not None:
        bound, loss, sensitivity = scenario_bound(problem, contract.witness, alone, contract.contribution)
        error = mixture_error(base, contract.witness)
        gap = loss - bound + error * sensitivity
        complaints += doubts(contract.witness, error, gap, top)
    elif contract.contribution.any():
        complaints.append("optimality: no proof")
    minorant = None if contract.global_witness is None else below(base, contract.global_witness)
    if minorant is not None:
        bound, _, _ = scenario_bound(problem, minorant, alone, contract.contribution)
        global_gap = max(top - target - bound, 0.0)
    else:
        global_gap = 0.0 if hopeless(base) else None
    return (global_gap if gap is None else gap), global_gap, complaints


def scenario_bound(
    problem: ScenarioProblem, witness: Witness, alone: np.ndarray, contribution: np.ndarray
) -> tuple[float, float, float]:
    """Weak duality over scenarios; what `contracts.proof.duality.lower_bound` is for one.

    Args:
        problem: the problem.
        witness: prices, with feasibility multipliers of shape (scenarios, rows).
        alone: what each type gets alone, shape (types,).
        contribution: of each type, shape (types,).

    Returns:
        A lower bound on the expected loss of every menu, the loss of `contribution` in the same program, and by
        how much both may be off for each unit of relative error of the mixture.
    """
    base, n = problem.problem, problem.problem.population.participants
    costs, _, row = distinct_rows(base)
    first, top = by_row(alone, row), base.largest_value
    y = np.maximum(witness.feasibility_multipliers, 0.0)
    w = np.maximum(witness.participation_multipliers, 0.0)
    m, u = witness.contribution, witness.utility
    best = base.largest_target
    lagrangian, loss, by_m = -w @ (u - first), 0.0, np.zeros(costs.size)
    for k in range(problem.scenarios):
        weight, known = problem.weights[k], problem.at(k)
        p = distinct_rows(known)[1]
        mix, given = transforms(witness.rates, m, p), transforms(witness.rates, by_row(contribution, row), p)
        idle, idle_each = idle_outcomes(known, p, witness.excluded)
        excess = idle * (witness.target_weights.sum() - best) if idle > 0.0 else 0.0
        losses = type_losses_by_mixture(known, witness.value_weights, mix, m, p)
        losses = losses - idle_each * (witness.value_weights.sum() - top)
        lagrangian += weight * (witness.target_weights @ mean_power(n, mix.log_phi) - excess)
        lagrangian -= y[k] @ (top - losses - costs * m - u)
        slopes = mean_power(n, mix.log_phi, 1) * np.exp(mix.log_phi)
        by_m -= weight * (witness.target_weights * mix.rates * slopes) @ mix.tilted
        by_m += type_loss_gradient(known, witness.value_weights, mix, m, p, y[k])
        loss += weight * (witness.target_weights @ mean_power(n, given.log_phi) - excess)
    change = least_change(base, costs, by_m, y.sum(axis=0), w, witness, first).value
    return float(lagrangian + change), float(loss), float(loss + y.sum() * top)
