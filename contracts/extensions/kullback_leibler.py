r"""Robust contracts where the probabilities are known up to a Kullback-Leibler divergence.

No member of the ball is worst for every menu. A contract is designed against a bound on the worst case
(`contracts.program.cutting_planes`), so that every promise is kept by every member of the ball; how much
better any other contract that holds could be is bounded by the best contract at one member.

What is guaranteed: every promise, and `worst_case`, for every member; and that no contract whose promises hold
for all members has a worst case above `bound`. The two differ by what the bound per rate gives away: nothing
for two types, 1e-9 to 1e-6 of the value where many take part, up to 0.1 % at ten participants and costs spread
500-fold.

Source: ours.
"""

from __future__ import annotations

import time
from functools import cached_property
from typing import Any

import numpy as np

from contracts import checks
from contracts.contract import Contract, Provenance
from contracts.contract.design import design_contract
from contracts.errors import InvalidInput
from contracts.extensions.ambiguity import divergence, largest_mean, tilted
from contracts.extensions.robust_contract import (
    Ball,
    RobustContract,
    WorstCase,
    expected_target,
    interim_problem,
    reached,
    with_probabilities,
)
from contracts.problem import Problem
from contracts.problem.outcomes import total_data
from contracts.problem.participants import Turnout
from contracts.program import cutting_planes, interior_point
from contracts.program.exclusion import attempt
from contracts.program.first_moment import FirstMoment, prepare
from contracts.proof.duality import by_row, distinct_rows, mean_power
from contracts.proof.mixture_check import mixture_error
from contracts.proof.witness import Witness
from contracts.records import frozen

MOST_REFERENCES = 8
STEPS = 100


@frozen
class WithinKullbackLeibler(Ball):
    """A robust problem: the probabilities are known up to a Kullback-Leibler divergence.

    Not solved in batches: `design_contract` for each.

    Args:
        problem: the base problem, with the probabilities believed in; interim belief, and a curve whose loss is
        a
            mixture of exponentials.
        radius: the largest sum_j q_j log(q_j / p_j), >= 0, in nats. After n observations of who takes part,
            (types - 1) / (2 n) is about its mean.

    Raises:
        InvalidInput: a negative radius, an ex-ante belief, another curve.

    >>> from contracts import GeneralizationBound, LinearValuation, Population, Problem, design_contract, verify
    >>> problem = Problem(
    ...     population=Population(costs=[0.5, 0.03, 0.01], probabilities=[0.3, 0.4, 0.3], participants=50),
    ...     accuracy=GeneralizationBound(),
    ...     valuation=LinearValuation(scale=100.0),
    ... )
    >>> robust = design_contract(WithinKullbackLeibler(problem=problem, radius=0.05))
    >>> robust.worst_case <= robust.bound < robust.nominal.objective
    True
    >>> verify(robust).holds
    True
    """

    problem: Any
    radius: Any

    def __post_init__(self) -> None:
        interim_problem(self.problem)
        object.__setattr__(self, "radius", checks.number("radius", self.radius, low=0.0))

    def __str__(self) -> str:
        return f"all probabilities within {self.radius:g} (Kullback-Leibler) of the stated ones"

    @cached_property
    def model(self) -> FirstMoment:
        """The base problem made ready for solving."""
        model = prepare(self.problem)
        if model.program.curves is not None:
            raise InvalidInput(
                "problem.accuracy: its loss is no mixture of exponentials, which a Kullback-Leibler ball needs:"
                " expected another curve, or a ball of total variation"
            )
        return model

    def distance(self, probabilities: np.ndarray) -> float:
        """Kullback-Leibler divergence from the stated probabilities."""
        return divergence(probabilities, self.problem.population.probabilities)

    def design(self, *, solver: str = "interior-point") -> RobustContract:
        """Design by cutting planes; `solver` is for the reference contract."""
        began = time.perf_counter()
        nominal = self.nominal
        if self.radius == 0.0 or not nominal.contribution.any():
            return self._trusting(nominal)
        model = self.model
        start = by_row(nominal.contribution, model.groups) / model.data_unit
        found = cutting_planes.solve(model, self.radius, start)
        contribution = found.contribution[model.groups] * model.data_unit
        utility = found.utility[model.groups] * model.value_unit
        reference = self._reference(contribution, found.members, solver)
        problem, p = self.problem, self.problem.population.probabilities
        return RobustContract(
            problem=self,
            contribution=contribution,
            expected_reward=utility + problem.population.costs * contribution,
            reservation_utility=nominal.reservation_utility,
            worst_probabilities=reference.problem.population.probabilities,
            worst_case=problem.largest_target - found.loss * model.target_unit,
            bound=reached(reference),
            if_right=expected_target(problem, contribution, p),
            reference=reference,
            provenance=Provenance(
                solver="cutting planes",
                expectation="mixture of exponentials",
                excluded=0,
                iterations=found.rounds,
                seconds=time.perf_counter() - began,
                fit_error=max(model.target_mixture.relative_error, model.value_mixture.relative_error),
            ),
        )

    def _trusting(self, nominal: Contract) -> RobustContract:
        """Where the ball is a point, or where nobody's participation pays even at its centre."""
        return RobustContract(
            problem=self,
            contribution=nominal.contribution,
            expected_reward=nominal.expected_reward,
            reservation_utility=nominal.reservation_utility,
            worst_probabilities=self.problem.population.probabilities,
            worst_case=reached(nominal),
            bound=reached(nominal),
            if_right=reached(nominal),
            reference=nominal,
            provenance=nominal.provenance,
        )

    def _reference(self, contribution: np.ndarray, members: np.ndarray, solver: str) -> Contract:
        """The best contract at the member of the ball where it is worst, of those that are bad for the menu
        and of those that the planes touched."""
        p, row = self.model.program.probabilities, self.model.groups
        distinct = members[np.sort(np.unique(members.round(6), axis=0, return_index=True)[1])]
        spread = distinct[np.unique(np.linspace(0, len(distinct) - 1, MOST_REFERENCES).astype(int))]
        share = self.problem.population.probabilities / np.where(p > 0, p, 1.0)[row]
        candidates = [*(q[row] * share for q in spread), self._ascent(contribution)]
        stated = [with_probabilities(self.problem, q) for q in candidates]
        return design_contract(min(stated, key=self._promise), solver=solver)

    def _promise(self, problem: Problem) -> float:
        """About what the best contract of a problem reaches: with all types taking part."""
        model = prepare(problem, self.model.reservation)
        found = attempt(model, model.program, 0, interior_point.solve)
        return np.inf if found is None else found.target

    def worst_deliverable(self, contribution: np.ndarray) -> np.ndarray:
        """The least T_i found over the ball, each at a member of it."""
        n = self.problem.population.participants
        if not contribution.any():
            return np.full(contribution.size, float(self.problem.value(0.0)))
        found = []
        for i in range(contribution.size):
            q = self._ascent(contribution, i)
            others = total_data(contribution, q, n.others() if isinstance(n, Turnout) else n - 1)
            found.append(others.shifted(float(contribution[i])).expectation(self.problem.value))
        return np.array(found)

    def _ascent(self, contribution: np.ndarray, of_type: int | None = None) -> np.ndarray:
        """A member at which the expected loss (of a type) is large: steps to the best of its tangents.

        The loss is convex in q, so that every step raises it.
        """
        model, law = self.model, self.problem.population.turnout
        s = model.program.rates / model.data_unit
        weights = model.program.target_weights
        if of_type is not None:
            weights, law = model.program.value_weights * np.exp(-s * contribution[of_type]), law.others()
        each = np.exp(-np.multiply.outer(s, contribution))
        p = q = self.problem.population.probabilities
        for _ in range(STEPS):
            mean = np.maximum(each @ q, 1e-300)
            power = law.log_power(np.log(mean))
            gains = (weights * np.exp(power.value) * power.slope / mean) @ each
            following = tilted(p, gains[None, :], self.radius)[0]
            if np.abs(following - q).max() <= 1e-13:
                break
            q = following
        return q

    def prove(self, contract: RobustContract) -> WorstCase:
        """Bound each rate's transform over the ball by duality, at temperatures on a grid.

        Any temperature gives a valid bound, so that nothing rests on how well an optimum was found.
        """
        problem, menu = self.problem, contract.contribution
        witness = contract.reference.witness
        if witness is None or not menu.any() or self.radius == 0.0:
            p = problem.population.probabilities
            target, given = expected_target(problem, menu, p), self.worst_deliverable(menu)
            return WorstCase(
                target=target, attained=target, given=given, nominal=target, how="law of the data", violations=()
            )
        loss, losses = self._largest_losses(menu, witness)
        error = 1.0 + mixture_error(contract.reference.problem, witness)
        return WorstCase(
            target=problem.largest_target - loss * error,
            attained=expected_target(problem, menu, self._ascent(menu)),
            given=problem.largest_value - losses * error,
            nominal=expected_target(
                problem, contract.nominal.contribution, self._ascent(contract.nominal.contribution)
            ),
            how=f"dual bounds for {witness.rates.size} rates",
            violations=(),
        )

    def _largest_losses(self, menu: np.ndarray, witness: Witness) -> tuple[float, np.ndarray]:
        _, p, row = distinct_rows(self.problem)
        n, m = self.problem.population.participants, by_row(menu, row)
        least = m[p > 0].min()
        shifted = np.exp(-np.multiply.outer(witness.rates, np.maximum(m - least, 0.0)))
        log_phi = np.log(largest_mean(p, shifted, self.radius)) - witness.rates * least
        law = self.problem.population.turnout
        empty = float(law.generating(0.0)) * (witness.target_weights.sum() - self.problem.largest_target)
        loss = float(witness.target_weights @ mean_power(n, log_phi)) - empty
        others = mean_power(n, log_phi, 1) / law.mean
        each = np.exp(-np.multiply.outer(witness.rates, m)) * others[:, None]
        return loss, (witness.value_weights @ each)[row]
