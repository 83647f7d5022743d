r"""Other aims than the coordinator's accuracy: welfare, fairness, bargaining, rewards that cost to hand out.

Everything participants are promised stays as it was: the same individual rationality, incentive compatibility
and feasibility. Only what is maximised changes,

    weight * E target + S(u, t),

with S concave in utilities u and expected rewards t, so the optimum is found by the same kind of interior-point
method (`contracts.program.concave_program`) and proved by weak duality (`contracts.proof.concave_bound`).

These problems are designed one by one (`design_contract`), not in batches, and for curves that are mixtures of
exponentials (all families but arctan and most tables).

Source: the objectives are textbook (Bentham, Rawls, Nash 1950); their use here is ours.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from contracts import checks
from contracts.contract import Contract
from contracts.contract.design import null_contract
from contracts.contract.verify import Certificate, doubts, reservation_by_zooming, verify_menu
from contracts.errors import Infeasible, InvalidInput
from contracts.extension import ExtendedProblem
from contracts.extensions.menu import MenuContract
from contracts.problem import Problem
from contracts.problem.objective import Objective, Outcome, Rawlsian
from contracts.problem.objective import Slopes as Slopes
from contracts.problem.reservation import reservation
from contracts.problem.shape import check_concave, hopeless
from contracts.program.concave_program import CONVERGED, Found, Task, solve
from contracts.program.first_moment import FirstMoment, Program, exclude
from contracts.program.mixture_program import menu_of, prefixes, prepare_mixture, witness_of
from contracts.program.relaxation import relax_mixture
from contracts.proof.concave_bound import Bound, Gaps, Tangent, expected_target, upper_bound
from contracts.proof.duality import by_row, distinct_rows
from contracts.proof.mixture_check import below, mixture_error
from contracts.proof.witness import Witness
from contracts.records import frozen


def outcome_of(contract: Contract) -> Outcome:
    """What an objective sees of a menu."""
    population = contract.problem.population
    return Outcome(
        contract.utility,
        contract.expected_reward,
        contract.reservation_utility,
        population.probabilities,
        population.participants,
    )


def value_of(objective: Objective, contract: Contract) -> float:
    """The objective of a menu, whatever that was designed for."""
    problem = contract.problem
    target = contract.objective if problem.target_is_value else contract.expected_accuracy
    social = objective.formula(outcome_of(contract), np)
    return float(objective.weight() * target + social)


@frozen
class ObjectiveProblem(ExtendedProblem):
    """A problem with another objective than the coordinator's expected accuracy.

    Args:
        problem: types, costs, probabilities, curve, valuation, belief; its `maximise` says what the
            coordinator's target is.
        objective: what to maximise: `Welfare`, `Rawlsian`, `NashBargaining`, `DistributionCost`.

    >>> from contracts import GeneralizationBound, LinearValuation, Population, design_contract, verify
    >>> base = Problem(
    ...     population=Population(costs=[0.2, 0.04], probabilities=[0.5, 0.5], participants=10),
    ...     accuracy=GeneralizationBound(),
    ...     valuation=LinearValuation(scale=100.0),
    ... )
    >>> best = design_contract(ObjectiveProblem(problem=base, objective=Welfare()))
    >>> round(best.value, 4), round(value_of(Welfare(), design_contract(base)), 4), verify(best).holds
    (66.9566, 25.4653, True)
    """

    problem: Problem
    objective: Objective

    def __post_init__(self) -> None:
        if not isinstance(self.problem, Problem):
            raise InvalidInput(f"problem = {self.problem!r:.60}: expected a Problem")
        if not isinstance(self.objective, Objective):
            raise InvalidInput(f"objective = {self.objective!r:.60}: expected an Objective such as Welfare()")

    def design(self, *, solver: str = "interior-point") -> ObjectiveContract:
        """The best contract; `design_contract` calls this.

        Raises:
            InvalidInput: another solver, or a curve that is no mixture of exponentials.
            Infeasible: nothing can be promised under which everybody who is to gain does gain.
        """
        checks.choice("solver", solver, ("interior-point",))
        began = time.perf_counter()
        check_concave(self.problem)
        candidates = [] if hopeless(self.problem) else _candidates(self, prepare_mixture(self.problem), began)
        reached = [c for c in (*candidates, *_null(self, began)) if np.isfinite(c.value)]
        if not reached:
            raise Infeasible(
                "no contract was found under which all gain: at these costs the joint model is no better than"
                " what each can train alone; cheaper data or more participants would help"
            )
        best = max(reached, key=lambda contract: contract.value)
        bound = None if hopeless(self.problem) else _relaxed(self)
        return best if bound is None else dataclasses.replace(best, bound=bound)


@frozen
class ObjectiveContract(MenuContract):
    """The best contract for another objective.

    Attributes:
        problem: the problem it answers.
        menu: the menu; its witness holds the prices by which this objective's optimum is proved.
        value: the objective reached.
        shares: for the worst off: how much each row (distinct cost, falling) counts in the proof; else empty.
        bound: the proof, with its shares, of a bound against the true curve; None where the curve has no floor.
    """

    problem: ObjectiveProblem
    menu: Contract
    value: float
    shares: np.ndarray
    bound: tuple[Witness, np.ndarray] | None = None

    def certify(self) -> Certificate:
        """Check participation, incentives, feasibility and the optimality of this objective from the problem.

        `extended` holds the "objective" recomputed from the menu.
        """
        stated, problem = self.menu, self.problem.problem
        menu = dataclasses.replace(stated, problem=problem)
        alone = reservation_by_zooming(problem)
        found = verify_menu(menu, alone)
        recomputed = dataclasses.replace(menu, reservation_utility=alone)
        value = value_of(self.problem.objective, recomputed)
        complaints = []
        unit = self.problem.objective.unit(problem)
        if not abs(value - self.value) <= 1e-6 * max(unit, abs(value)):
            complaints.append(f"objective: stated {self.value:.9g}, recomputed {value:.9g}")
        gap, trouble = _gap(self, recomputed, alone)
        complaints += trouble
        violations = (*found.violations, *complaints)
        return dataclasses.replace(
            found,
            holds=not violations,
            optimality_gap=gap,
            global_gap=_global_gap(self, alone, value, gap),
            violations=violations,
            extended={"objective": value},
        )

    def __str__(self) -> str:
        return f"{self.menu}\n{type(self.problem.objective).__name__}: {self.value:.6f}"


def _candidates(stated: ObjectiveProblem, model: FirstMoment, began: float) -> Iterable[ObjectiveContract]:
    for excluded in prefixes(model):
        program = exclude(model.program, excluded, stated.problem.belief)
        found = solve(_task(stated, model, program))
        if found.error <= CONVERGED and found.contribution[-1] > 0.0:
            yield _contract(stated, model, program, excluded, found, began)


def _task(stated: ObjectiveProblem, model: FirstMoment, program: Program) -> Task:
    objective = stated.objective
    unit = objective.unit(stated.problem)
    lift = isinstance(objective, Rawlsian) and objective.over == "gain"
    return Task(
        program=program,
        belief=stated.problem.belief,
        target_weight=objective.weight() * model.target_unit / unit,
        slopes=None if lift else _scaled(objective, model, unit),
        lift=model.value_unit / unit if lift else 0.0,
        lower=np.zeros(program.active.size),
    )


def _scaled(objective: Objective, model: FirstMoment, unit: float) -> Callable[[Any, Any], Slopes]:
    """The slopes of S in the units of the program."""
    program, scale = model.program, model.value_unit
    alone = program.reservation * scale

    def slopes(u: np.ndarray, t: np.ndarray) -> Slopes:
        at = Outcome(u * scale, t * scale, alone, program.probabilities, int(program.participants))
        each = objective.slopes(at)
        first, second = scale / unit, scale * scale / unit
        return Slopes(
            each.by_utility * first, each.by_reward * first, each.by_utility_twice * second,
            each.by_reward_twice * second,
        )  # fmt: skip

    return slopes


def _contract(
    stated: ObjectiveProblem, model: FirstMoment, program: Program, excluded: int, found: Found, began: float
) -> ObjectiveContract:
    witness, shares = _witness(stated, model, program, excluded, found)
    menu = menu_of(model, witness, found, began)
    return ObjectiveContract(problem=stated, menu=menu, value=value_of(stated.objective, menu), shares=shares)


def _witness(
    stated: ObjectiveProblem, model: FirstMoment, program: Program, excluded: int, found: Found
) -> tuple[Witness, np.ndarray]:
    """The point and the prices in the user's units, and what the worst off count for."""
    unit = stated.objective.unit(stated.problem) / model.value_unit
    participation = found.participation * unit
    shares = np.zeros(0)
    if isinstance(stated.objective, Rawlsian) and stated.objective.over == "gain":
        total = float(participation.sum())
        shares = participation / total
        participation = shares * max(total - 1.0, 0.0)
    elif isinstance(stated.objective, Rawlsian):
        shares = np.eye(1, program.costs.size)[0]
    return witness_of(model, program, excluded, found, found.feasibility * unit, participation), shares


def _null(stated: ObjectiveProblem, began: float) -> list[ObjectiveContract]:
    """Nothing is asked, nothing given: a contract where nobody would train alone."""
    if reservation(stated.problem).utility.max() > 0.0:
        return []
    menu = null_contract(stated.problem, None, began)
    value = value_of(stated.objective, menu)
    return [ObjectiveContract(problem=stated, menu=menu, value=value, shares=np.zeros(0))]


def _relaxed(stated: ObjectiveProblem) -> tuple[Witness, np.ndarray] | None:
    if not stated.problem.accuracy.floor > 0.0:
        return None
    model = prepare_mixture(stated.problem)
    program = relax_mixture(model)
    found = solve(_task(stated, model, program))
    return _witness(stated, model, program, 0, found) if found.error <= CONVERGED else None


def _gap(contract: ObjectiveContract, menu: Contract, alone: np.ndarray) -> tuple[float | None, list[str]]:
    witness, stated = menu.witness, contract.problem
    if witness is None:
        return None, []
    problem, objective = stated.problem, stated.objective
    error = mixture_error(problem, witness)
    _, _, row = distinct_rows(problem)
    bound = _bound(stated, witness, contract.shares, alone)
    target = expected_target(problem, witness, by_row(menu.contribution, row))
    reached = objective.weight() * target + float(objective.formula(outcome_of(menu), np))
    gap = bound.value - reached + error * bound.sensitivity
    return gap, doubts(witness, error, gap, objective.unit(problem))


def _bound(stated: ObjectiveProblem, witness: Witness, shares: np.ndarray, alone: np.ndarray) -> Bound:
    problem = stated.problem
    _, _, row = distinct_rows(problem)
    least = by_row(alone, row)
    social = _tangent(stated, witness, shares, least)
    gaps = Gaps.free(least.size, witness.excluded)
    return upper_bound(problem, witness, least, stated.objective.weight(), social, gaps)


def _tangent(stated: ObjectiveProblem, witness: Witness, shares: np.ndarray, least: np.ndarray) -> Tangent:
    """S linearised at the witness's point by automatic differentiation, not by the slopes the solver used."""
    costs, p, _ = distinct_rows(stated.problem)
    reward = witness.utility + costs * witness.contribution
    n = stated.problem.population.participants
    objective = stated.objective
    if isinstance(objective, Rawlsian):
        # The least of several levels is no more than any mean of them.
        counted = np.maximum(shares, 0.0) / np.maximum(shares, 0.0).sum()
        level = objective.level(Outcome(witness.utility, reward, least, p, n))
        return Tangent(float(counted @ level), counted, np.zeros(p.size))

    def social(utility: jax.Array, reward: jax.Array) -> jax.Array:
        return objective.formula(Outcome(utility, reward, jnp.asarray(least), jnp.asarray(p), n), jnp)

    with jax.enable_x64(True):
        value, slopes = jax.value_and_grad(social, argnums=(0, 1))(
            jnp.asarray(witness.utility), jnp.asarray(reward)
        )
        return Tangent(float(value), np.asarray(slopes[0]), np.asarray(slopes[1]))


def _global_gap(contract: ObjectiveContract, alone: np.ndarray, value: float, gap: float | None) -> float | None:
    if not contract.problem.problem.accuracy.floor > 0.0:
        return gap
    if contract.bound is None:
        return None
    witness, shares = contract.bound
    minorant = below(contract.problem.problem, witness)
    if minorant is None or witness.excluded:  # a bound on contracts that leave types out bounds no others
        return None
    # A minorant needs no allowance for its error: it only has to lie below the true loss.
    return max(_bound(contract.problem, minorant, shares, alone).value - value, 0.0)
