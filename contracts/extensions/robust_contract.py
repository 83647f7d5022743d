r"""Contracts that hold, and are best in the worst case, for all probabilities near the stated ones.

Individual rationality and incentive compatibility do not depend on the probabilities of types; what can be
given, T_i(m; q), and the coordinator's objective do. A robust contract promises only what can be given under
every q of a ball around p, and maximises its least expected target over that ball:

    maximise  min_q E_q a(n·m)   s.t.   t_i - c_i m_i >= f_i,   t_i - c_i m_i >= t_j - c_i m_j,
                                        t_i <= T_i(m; q) for every q.

Balls of total variation (`contracts.extensions.total_variation`) and of Kullback and Leibler
(`contracts.extensions.kullback_leibler`).

What a promise means: t_i is the expected value that the option gives, whatever the probabilities turn out to be;
participants count on it, and on no more. Where rewards are laid down as caps before anybody knows q (those of
`at(worst_probabilities)`), their means are t_i at the worst q and no less elsewhere.

Participants are taken to have interim beliefs. Under the ex-ante belief (n given n_i >= 1) the condition itself
depends on q_i, no single q is worst for all types, and the problems here refuse it.

Source: ours.
"""

from __future__ import annotations

import dataclasses
from abc import abstractmethod
from functools import cached_property
from typing import Any

import numpy as np

from contracts.contract import Contract, Provenance
from contracts.contract.design import design_contract
from contracts.contract.verify import (
    TOLERANCE,
    Certificate,
    broken_promises,
    refused,
    reservation_by_zooming,
    usable,
    verify,
)
from contracts.errors import InvalidInput
from contracts.extension import ExtendedContract, ExtendedProblem
from contracts.problem import Problem
from contracts.problem.outcomes import total_data
from contracts.records import frozen


@frozen
class Breach:
    """A promise that cannot be kept.

    Attributes:
        name: to which type it was made.
        promised: the expected value promised.
        deliverable: the largest expected value that can be given, in units of cost.
        short: the difference.
    """

    name: str
    promised: float
    deliverable: float
    short: float

    def __str__(self) -> str:
        return (
            f"feasibility: {self.name} is promised {self.promised:.9g}, at most {self.deliverable:.9g} can be"
            f" given: short by {self.short:.3g}"
        )


def with_probabilities(problem: Problem, probabilities: np.ndarray) -> Problem:
    """The problem with other probabilities of the types."""
    within = np.clip(probabilities, 0.0, 1.0)  # sums of differences may stick out by a rounding
    population = dataclasses.replace(problem.population, probabilities=within)
    return dataclasses.replace(problem, population=population)


def expected_target(problem: Problem, contribution: np.ndarray, probabilities: np.ndarray) -> float:
    """What the coordinator maximises, from the law of the data."""
    law = total_data(contribution, probabilities, problem.population.participants)
    return law.expectation(problem.target)


def reached(contract: Contract) -> float:
    """What the coordinator of a contract maximises: its expected value, or accuracy."""
    return contract.objective if contract.problem.target_is_value else contract.expected_accuracy


def deliverable(problem: Problem, contribution: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """T_i(m; q), the largest expected value that each type can be given, from the law of the data."""
    n = problem.population.participants
    others = total_data(contribution, probabilities, n - 1 if isinstance(n, int) else n.others())
    return np.array([others.shifted(float(own)).expectation(problem.value) for own in contribution])


def breaches(problem: Problem, promised: np.ndarray, given: np.ndarray) -> tuple[Breach, ...]:
    """The promises beyond what can be given."""
    tolerance = TOLERANCE * problem.largest_value
    return tuple(
        Breach(
            name=(problem.population.names or ())[int(i)],
            promised=float(promised[i]),
            deliverable=float(given[i]),
            short=float(promised[i] - given[i]),
        )
        for i in np.flatnonzero(~(promised <= given + tolerance))
    )


@frozen
class RobustContract(ExtendedContract):
    """A menu whose promises hold for all probabilities in a ball.

    Expected targets are values of the trained model (accuracies where accuracy is maximised and the valuation is
    not linear).

    Attributes:
        problem: the robust problem it answers.
        contribution, expected_reward, reservation_utility: the menu, as in `Contract`, shape (types,).
        worst_probabilities: the worst probabilities in the ball (for a Kullback-Leibler ball: those of `bound`).
        worst_case: the least expected target over the ball (Kullback-Leibler: a proven lower bound on it).
        bound: no contract that holds for all of the ball has a better worst case than this.
        if_right: the expected target if the stated probabilities are right.
        reference: the best contract at `worst_probabilities`; it proves `bound`.
        provenance: how it was found.
    """

    problem: Any
    contribution: np.ndarray
    expected_reward: np.ndarray
    reservation_utility: np.ndarray
    worst_probabilities: np.ndarray
    worst_case: float
    bound: float
    if_right: float
    reference: Contract
    provenance: Provenance

    @property
    def utility(self) -> np.ndarray:
        """u_i = t_i - c_i m_i, shape (types,)."""
        return self.expected_reward - self.problem.problem.population.costs * self.contribution

    @property
    def nominal(self) -> Contract:
        """The best contract for those who trust the stated probabilities; designed when first asked for."""
        return self.problem.nominal

    @property
    def price_of_robustness(self) -> float:
        """What the guarantee costs if the stated probabilities are right, in units of the target."""
        return reached(self.nominal) - self.if_right

    @cached_property
    def nominal_breaches(self) -> tuple[Breach, ...]:
        """The promises of the nominal contract that some probabilities in the ball break, and by how much."""
        given = self.problem.worst_deliverable(self.nominal.contribution)
        return breaches(self.problem.problem, self.nominal.expected_reward, given)

    def at(self, probabilities: Any) -> Contract:
        """The same menu as a contract of the base problem with the given probabilities (not its best one).

        There it can be settled, or mapped back to stochastic rewards of the promised means.
        """
        problem = with_probabilities(self.problem.problem, np.asarray(probabilities, dtype=float))
        return as_base_contract(self, problem, f"made to hold for {self.problem}")

    def __str__(self) -> str:
        lines = [
            str(self.at(self.problem.problem.population.probabilities)),
            f"worst case {self.worst_case:.6f} (no contract guarantees more than {self.bound:.6f}), nominal"
            f" contract {self.nominal.objective:.6f}, price of robustness {self.price_of_robustness:.6f}",
        ]
        if self.nominal_breaches:
            lines.append("the nominal contract breaks promises in the ball:")
            lines += [str(breach) for breach in self.nominal_breaches]
        return "\n".join(lines)

    def certify(self) -> Certificate:
        """Recompute every promise and the worst case over the ball, and the bound on what is possible."""
        problem: Problem = self.problem.problem
        sound, unusable = usable(self, problem.population)
        if unusable:
            return refused(sound.certify(), unusable)
        alone = reservation_by_zooming(problem)
        costs = problem.population.costs
        envy = self.expected_reward - np.multiply.outer(costs, self.contribution) - self.utility[:, None]
        worst, reference = self.problem.prove(self), verify(self.reference)
        known = reference.optimality_gap is not None
        violations = [
            *reference.violations,
            *worst.violations,
            *broken_promises(problem, self.expected_reward, self.utility, alone, envy, worst.given),
            *self._misstated(alone, worst),
            *([] if known else ["optimality: no proof for the worst probabilities"]),
        ]

        def above(gap: float | None) -> float | None:
            return None if gap is None else max(reached(self.reference) + gap - worst.target, 0.0)

        return Certificate(
            holds=not violations,
            participation_slack=self.utility - alone,
            envy=envy,
            feasibility_slack=worst.given - self.expected_reward,
            optimality_gap=above(reference.optimality_gap),
            global_gap=above(reference.global_gap),
            independent_check=worst.how,
            violations=tuple(violations),
            tolerance=TOLERANCE * problem.largest_value,
            extended={
                "worst case": worst.target,
                "least found in the ball": worst.attained,
                "if the probabilities are right": self.if_right,
                "nominal contract": reached(self.nominal),
                "nominal contract, least found in the ball": worst.nominal,
                "price of robustness": self.price_of_robustness,
                "largest breach of the nominal contract": max(
                    (b.short for b in self.nominal_breaches), default=0.0
                ),
            },
        )

    def _misstated(self, alone: np.ndarray, worst: WorstCase) -> list[str]:
        problem: Problem = self.problem.problem
        p = problem.population.probabilities
        tolerance = 1e-7 * problem.largest_target
        stated = [
            ("worst case", self.worst_case, worst.target),
            ("if the probabilities are right", self.if_right, expected_target(problem, self.contribution, p)),
            ("bound", self.bound, reached(self.reference)),
        ]
        found = [
            f"{name}: stated {said:.9g}, recomputed {recomputed:.9g}"
            for name, said, recomputed in stated
            if not abs(said - recomputed) <= tolerance
        ]
        if not np.abs(alone - self.reservation_utility).max() <= 100 * TOLERANCE * problem.largest_value:
            found.append("reservation utility: not what is recomputed")
        outside = self.problem.distance(self.worst_probabilities) - self.problem.radius
        if not outside <= 1e-9 or not np.abs(self.worst_probabilities - _of(self.reference)).max() <= 1e-12:
            found.append("worst probabilities: outside of the ball, or not those of the reference")
        return found


@frozen
class WorstCase:
    """What a proof of the worst case found.

    Attributes:
        target: the least expected target over the ball, or a lower bound on it.
        attained: the least expected target found at a member of the ball.
        given: the least T_i over the ball (or lower bounds), shape (types,).
        nominal: the nominal contract's least expected target found in the ball.
        how: how it was proved, in words.
        violations: what went wrong.
    """

    target: float
    attained: float
    given: np.ndarray
    nominal: float
    how: str
    violations: tuple[str, ...]


class Ball(ExtendedProblem):
    """What both kinds of ball share."""

    problem: Any
    radius: Any

    @cached_property
    def nominal(self) -> Contract:
        """The best contract at the stated probabilities."""
        return design_contract(self.problem)

    @abstractmethod
    def distance(self, probabilities: np.ndarray) -> float:
        """How far probabilities are from the stated ones."""

    @abstractmethod
    def worst_deliverable(self, contribution: np.ndarray) -> np.ndarray:
        """The least T_i of a menu over the ball, each attained in it (monotone contributions)."""

    @abstractmethod
    def prove(self, contract: RobustContract) -> WorstCase:
        """Bound what the menu gives over the ball, by a route that the design did not take."""


def _of(contract: Contract) -> np.ndarray:
    return contract.problem.population.probabilities


def interim_problem(problem: Any) -> Problem:
    """The problem, if it is one with interim beliefs."""
    if not isinstance(problem, Problem):
        raise InvalidInput(f"problem = {problem!r:.60}: expected a Problem")
    if problem.belief != "interim":
        raise InvalidInput(
            f"problem.belief = {problem.belief!r}: expected 'interim'; under the ex-ante belief the worst"
            " probabilities differ from type to type"
        )
    return problem


def as_base_contract(menu: Any, problem: Problem, reason: str) -> Contract:
    """The menu of an extended contract as a contract of a base problem (not its best one)."""
    population = problem.population
    law = total_data(menu.contribution, population.probabilities, population.participants)
    return Contract(
        problem=problem,
        contribution=menu.contribution,
        expected_reward=menu.expected_reward,
        reservation_utility=menu.reservation_utility,
        objective=law.expectation(problem.value),
        expected_accuracy=law.expectation(problem.accuracy),
        reason=reason,
        provenance=menu.provenance,
        reached=law.expectation(problem.target),
    )
