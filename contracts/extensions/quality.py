r"""Data of different quality that can be verified, exactly or up to a radius.

A datum of quality q counts like q data of quality 1. Type i pays c_i for a raw datum of quality q_i, so
c_i / q_i for an effective one: with quality observed, the problem is a base problem in effective data, designed
alone or in batches.

An estimate of quality has a radius: up to a share rho of the effective data may be missing undetected (padding
costs nothing). Whatever is promised must then hold in the worst case. The contract here

- promises rewards t_i that can be paid even if everybody delivers only (1 - rho) of what was agreed;
- pays whoever honestly delivers everything at least what it gets alone, also at its own, unshaded, cost;
- has the best worst-case accuracy among such contracts (a convex program; see the certificate's gap).

What is guaranteed, and tested: a shader that chooses another option than its own chooses one of *more* data
(shading lowers the cost of data, and cheaper types choose more), so feasibility holds however participants shade
and whichever options they then prefer (interim belief). Shading cannot be made unprofitable by any contract: by
definition it goes undetected. Against being honest it gains type i at most rho (c_i / q_i) max_j m_j. With
probability 1 - `confidence` the verification is wrong and nothing is guaranteed; rewards are never negative, so
the expected reward is at least `confidence` times what was promised.

With a radius the outside option belongs to another cost than the menu's: such problems are designed one by one.

Source: ours.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from contracts import checks
from contracts.contract import Contract, Settlement
from contracts.contract.design import SOLVERS, design_due
from contracts.errors import Infeasible, InvalidInput, NotConverged
from contracts.extension import ReducedProblem
from contracts.extensions.menu import MenuContract
from contracts.extensions.old_verify import TOLERANCE, Certificate, reservation_by_zooming, usable, verify_due
from contracts.problem import Problem
from contracts.problem.accuracy import AccuracyCurve
from contracts.problem.outcomes import total_data
from contracts.problem.population import Population
from contracts.problem.reservation import reservation
from contracts.problem.valuation import Valuation
from contracts.records import frozen


def undetected_share(qualities: Any, radius: float) -> float:
    """The largest share of effective data that may be missing where quality is estimated with a radius.

    A claimed quality is accepted if the estimate is no further from it than the radius, so that honest
    participants always pass; since the estimate may be as far from the truth again, a quality of `quality - 2 *
    radius` may pass for `quality`.

    Args:
        qualities: claimed qualities, in (0, 1], shape (types,).
        radius: how far an estimate of quality may be from the truth, >= 0, such as the radius of
            `mechanisms.estimate_types` (whose discrepancy is 1 - quality).

    Returns:
        max_i min(1, 2 radius / q_i).

    Raises:
        InvalidInput: a quality outside (0, 1] or a negative radius.

    >>> undetected_share([1.0, 0.5], 0.025)
    0.1
    """
    quality = checks.array("qualities", qualities, low=0.0, high=1.0, open_low=True)
    return float(np.minimum(1.0, 2.0 * checks.number("radius", radius, low=0.0) / quality).max())


@frozen
class QualityProblem(ReducedProblem):
    """A problem in which types differ in the cost and in the verifiable quality of their data.

    Args:
        population: the types (pairs of cost and quality), the costs of a raw datum, and the participants.
        qualities: effective data in one raw datum of each type, in (0, 1], shape (types,).
        accuracy: the learning curve, by effective data.
        valuation: what a model is worth to every participant.
        radius: share of the effective data that may be missing undetected, in [0, 1); see `undetected_share`.
        confidence: probability, in (0, 1], that verification is right about everybody.
        belief, maximise: as in `Problem`.

    >>> from contracts import GeneralizationBound, LinearValuation, design_contract, verify
    >>> problem = QualityProblem(
    ...     population=Population(costs=[0.1, 0.1], probabilities=[0.5, 0.5], participants=10),
    ...     qualities=[0.5, 1.0],
    ...     accuracy=GeneralizationBound(),
    ...     valuation=LinearValuation(scale=100.0),
    ...     radius=0.05,
    ... )
    >>> contract = design_contract(problem)
    >>> bool(contract.raw_contribution[0] > contract.contribution[0]), verify(contract).holds
    (True, True)
    """

    population: Population
    qualities: Any
    accuracy: AccuracyCurve
    valuation: Valuation
    radius: float = 0.0
    confidence: float = 1.0
    belief: str = "interim"
    maximise: str = "accuracy"

    def __post_init__(self) -> None:
        if not isinstance(self.population, Population):
            raise InvalidInput(f"population = {self.population!r:.60}: expected a Population")
        set_field = object.__setattr__
        quality = checks.array(
            "qualities", self.qualities, low=0.0, high=1.0, open_low=True, length=self.population.types
        )
        set_field(self, "qualities", quality)
        set_field(self, "radius", checks.number("radius", self.radius, low=0.0, high=1.0, open_high=True))
        set_field(
            self, "confidence", checks.number("confidence", self.confidence, low=0.0, high=1.0, open_low=True)
        )
        self.honest()

    def honest(self) -> Problem:
        """The base problem in effective data, everybody delivering what was agreed."""
        return Problem(
            population=dataclasses.replace(self.population, costs=self.population.costs / self.qualities),
            accuracy=self.accuracy,
            valuation=self.valuation,
            belief=self.belief,
            maximise=self.maximise,
        )

    def worst_case(self) -> Problem:
        """The base problem in what is delivered at least; a datum of it costs 1 / (1 - radius) times as much."""
        honest = self.honest()
        costs = honest.population.costs / (1.0 - self.radius)
        return dataclasses.replace(honest, population=dataclasses.replace(honest.population, costs=costs))

    def reduced(self) -> Problem:
        """The base problem in effective data.

        Raises:
            InvalidInput: with a radius there is none.
        """
        if self.radius > 0.0:
            raise InvalidInput(
                f"radius = {self.radius:g}: such a problem is no base problem in other terms and is not solved"
                " in batches; expected radius = 0, or design_contract for each"
            )
        return self.honest()

    def lifted(self, contract: Contract) -> QualityContract:
        """The contract in raw and effective data."""
        return QualityContract(problem=self, menu=contract)

    def design(self, *, solver: str = "interior-point") -> QualityContract:
        """The best contract; `design_contract` calls this.

        Raises:
            Infeasible: nobody can be promised as much as it gets alone, so much may be missing.
        """
        if self.radius == 0.0:
            return super().design(solver=solver)
        checks.choice("solver", solver, SOLVERS)
        alone, contract = reservation(self.honest()), None
        try:
            contract = design_due(self.worst_case(), alone, solver=solver)
        except NotConverged as error:
            if error.best is not None:  # a contract without a proof; else none keeps such promises
                raise
        if contract is None or (alone.utility.max() > 0.0 and not contract.contribution.any()):
            raise Infeasible(
                f"radius = {self.radius:g}: with so much missing undetected no contract was found that gives"
                " everybody what it gets alone; a smaller radius (more samples verified) or more participants"
                " would help"
            )
        return self.lifted(contract)


@frozen
class QualityContract(MenuContract):
    """The best contract where quality is verified.

    Attributes:
        problem: the problem it answers.
        menu: the menu in what is delivered at least; its expectations are those of the worst case.
    """

    problem: QualityProblem
    menu: Contract

    @property
    def contribution(self) -> np.ndarray:
        """Effective data agreed upon, shape (types,)."""
        return self.menu.contribution / (1.0 - self.problem.radius)

    @property
    def raw_contribution(self) -> np.ndarray:
        """Data of its own quality that each type collects for that, shape (types,)."""
        return self.contribution / self.problem.qualities

    @property
    def least_delivered(self) -> np.ndarray:
        """Effective data delivered at least, shape (types,)."""
        return self.menu.contribution

    @property
    def shading_gain(self) -> np.ndarray:
        """What each type gains at most by shading as far as undetected, in any option, shape (types,).

        Against its utility if honest, its reward being what was promised for the option.
        """
        paid = self.problem.honest().population.costs
        shaded = self.expected_reward - np.multiply.outer(paid, self.least_delivered)
        return shaded.max(axis=1) - self.utility

    @property
    def shaded_option(self) -> np.ndarray:
        """Whose option each type prefers if it shades: its own unless another is better, shape (types,)."""
        paid = self.problem.honest().population.costs
        shaded = self.expected_reward - np.multiply.outer(paid, self.least_delivered)
        best = shaded.max(axis=1) > np.diagonal(shaded) + TOLERANCE * self.menu.problem.largest_value
        return np.where(best, shaded.argmax(axis=1), np.arange(paid.size))

    def settle(
        self, counts: Any, policy: str = "capped", *, seed: int | None = None, delivered: Any = 1.0
    ) -> Settlement:
        """The models to hand out once it is known who takes part and what they delivered.

        Args:
            counts, policy, seed: as in `Contract.settle`.
            delivered: share of the agreed effective data that each type delivered, in [1 - radius, 1].

        Raises:
            InvalidInput: counts that are not the participants', or a share that verification would detect.
        """
        types = self.contribution.size
        share = np.broadcast_to(np.asarray(delivered, dtype=float), (types,))
        share = checks.array("delivered", share, low=1.0 - self.problem.radius - 1e-12, high=1.0)
        plain = self.menu.settle(counts, policy, seed=seed)
        total = float(plain.counts @ (self.contribution * share))
        trained = float(self.problem.accuracy(total))
        value = self.rewards(policy).value(total, seed=seed)
        paid = self.problem.population.costs * self.raw_contribution * share
        return dataclasses.replace(
            plain,
            total_data=total,
            trained_accuracy=trained,
            accuracy=np.minimum(self.problem.valuation.inverse(value), trained),
            value=value,
            utility=value - paid,
        )

    def certify(self) -> Certificate:
        """Check everything from the original problem, in the worst case.

        `extended` holds the "largest gain by shading" and the "bound on it" (which must not be less); the "least
        feasibility slack if all shade and choose anew" (must be >= 0 up to rounding under the interim belief);
        the "expected value if all are honest"; the "largest envy if all are honest" (rewards under caps then
        exceed the promises, for some options more than for others); and the "least gain over staying alone at
        this confidence", below zero where a failed verification could cost an honest participant more than it
        gains.
        """
        problem = self.problem
        worst = problem.worst_case()
        menu = dataclasses.replace(self.menu, problem=worst)
        alone = reservation_by_zooming(problem.honest())
        found = verify_due(menu, alone)
        if usable(self.menu, worst.population)[1]:  # named among its violations
            return found
        paid = problem.honest().population.costs
        gain, bound = self.shading_gain, problem.radius * paid * self.contribution.max(initial=0.0)
        chosen_anew = self._slack_if_all_shade()
        complaints = [
            f"shading: {list(problem.population.names or ())[i]} gains {gain[i]:.9g}, more than {bound[i]:.9g}"
            for i in np.flatnonzero(gain > bound + found.tolerance)
        ]
        if problem.belief == "interim" and chosen_anew < -1e-7 * worst.largest_value:
            complaints.append(f"feasibility: short by {-chosen_anew:.3g} if all shade and choose anew")
        honest_value, honest_envy = self._if_all_are_honest()
        expected = problem.confidence * self.expected_reward - paid * self.contribution - alone
        violations = (*found.violations, *complaints)
        return dataclasses.replace(
            found,
            holds=not violations,
            violations=violations,
            extended={
                "largest gain by shading": float(gain.max()),
                "bound on it": float(bound.max()),
                "least feasibility slack if all shade and choose anew": chosen_anew,
                "expected value if all are honest": honest_value,
                "largest envy if all are honest": honest_envy,
                "least gain over staying alone at this confidence": float(expected.min()),
            },
        )

    def _slack_if_all_shade(self) -> float:
        """Least slack of feasibility where all shade and take the option they then prefer (interim belief)."""
        delivered = self.least_delivered[self.shaded_option]
        population = self.problem.population
        others = total_data(delivered, population.probabilities, population.participants - 1)
        value = self.menu.problem.value
        offered = [others.shifted(float(own)).expectation(value) for own in self.least_delivered]
        return float((np.array(offered) - self.expected_reward).min())

    def _if_all_are_honest(self) -> tuple[float, float]:
        """Expected value of the trained model and the largest envy, where all deliver and rewards are capped."""
        population, value = self.problem.population, self.menu.problem.value
        p, n = population.probabilities, population.participants
        caps = self.rewards("capped").levels
        others = total_data(self.contribution, p, n - 1)
        received = np.array(
            [
                others.shifted(float(own)).expectation(lambda x, cap=cap: np.minimum(value(x), cap))
                for own, cap in zip(self.contribution, caps, strict=True)
            ]
        )
        paid = self.problem.honest().population.costs
        each = received - np.multiply.outer(paid, self.contribution)
        return total_data(self.contribution, p, n).expectation(value), float(
            (each - np.diagonal(each)[:, None]).max()
        )
