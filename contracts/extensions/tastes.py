r"""Participants to whom models are worth differently.

If a model of accuracy a is worth V_i w(a) to type i, dividing its utility by V_i leaves all its choices as they
are: it is a type of the base model with the cost c_i / V_i. Who values models most acts like the one whose data
are cheapest. So the problem is a base problem in other terms, designed alone or in batches (`design_contracts`);
menu, gains and checks are given back in everybody's own units.

Valuations of different *shapes* are refused: one promised expectation E v(r) no longer tells what an option is
worth to whom, options are rewarded in as many dimensions as there are shapes, and the problem is not convex.

Source: ours.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from contracts.contract import Contract, Settlement
from contracts.errors import InvalidInput
from contracts.extension import ReducedProblem
from contracts.extensions.menu import MenuContract
from contracts.extensions.old_verify import TOLERANCE, Certificate, reservation_by_zooming, verify
from contracts.problem import Problem
from contracts.problem.accuracy import AccuracyCurve
from contracts.problem.population import Population
from contracts.problem.valuation import Valuation
from contracts.records import frozen, identity


@frozen
class TasteProblem(ReducedProblem):
    """A problem in which types value models differently.

    Args:
        population: the types, their costs and probabilities, and the number of participants.
        accuracy: the learning curve of the jointly trained model.
        valuations: what a model is worth to each type, one per type, in the units of its cost; of one family and
            shape, with scales of their own.
        belief, maximise: as in `Problem`; "value" is the participants' mean value.

    Types of equal c_i / V_i choose alike and are offered the same option; the ex-ante belief, "at least one of
    my type takes part", takes them together.

    >>> from contracts import GeneralizationBound, LinearValuation, design_contract, verify
    >>> problem = TasteProblem(
    ...     population=Population(costs=[0.1, 0.1], probabilities=[0.5, 0.5], participants=10),
    ...     accuracy=GeneralizationBound(),
    ...     valuations=[LinearValuation(scale=50.0), LinearValuation(scale=250.0)],
    ... )
    >>> contract = design_contract(problem)
    >>> contract.contribution[0] < contract.contribution[1], verify(contract).holds
    (np.True_, True)
    """

    population: Population
    accuracy: AccuracyCurve
    valuations: Sequence[Valuation]
    belief: str = "interim"
    maximise: str = "accuracy"

    def __post_init__(self) -> None:
        if not isinstance(self.population, Population):
            raise InvalidInput(f"population = {self.population!r:.60}: expected a Population")
        if not isinstance(self.valuations, Sequence):
            raise InvalidInput(f"valuations = {self.valuations!r:.60}: expected one Valuation per type")
        object.__setattr__(self, "valuations", tuple(self.valuations))
        if len(self.valuations) != self.population.types:
            raise InvalidInput(
                f"valuations has length {len(self.valuations)}: expected {self.population.types}, one per type"
            )
        for i, valuation in enumerate(self.valuations):
            _check_shape(i, valuation, self.valuations[0])
        self.reduced()

    @property
    def scales(self) -> np.ndarray:
        """What a model that is worth 1 on average is worth to each type, shape (types,)."""
        scales = np.array([float(valuation.scale) for valuation in self.valuations])
        return scales / _mean(scales, self.population.probabilities)

    def reduced(self) -> Problem:
        """The base problem: everybody has the mean valuation, and the cost c_i / V_i in its units."""
        first = self.valuations[0]
        scales = np.array([float(valuation.scale) for valuation in self.valuations])
        mean = _mean(scales, self.population.probabilities)
        return Problem(
            population=dataclasses.replace(self.population, costs=self.population.costs / self.scales),
            accuracy=self.accuracy,
            valuation=dataclasses.replace(first, scale=mean),  # type: ignore[type-var]
            belief=self.belief,
            maximise=self.maximise,
        )

    def lifted(self, contract: Contract) -> TasteContract:
        """The contract in everybody's own units."""
        return TasteContract(problem=self, menu=contract)


def _mean(scales: np.ndarray, p: np.ndarray) -> float:
    # Equal scales give exactly the base problem.
    return float(scales[0] + p @ (scales - scales[0]))


def _check_shape(i: int, valuation: Any, first: Any) -> None:
    if not isinstance(valuation, Valuation):
        raise InvalidInput(f"valuations[{i}] = {valuation!r:.60}: expected a Valuation")
    shapes = [identity(dataclasses.replace(v, scale=1.0)) for v in (valuation, first)]  # type: ignore[type-var]
    if shapes[0] != shapes[1]:
        raise InvalidInput(
            f"valuations[{i}] = {valuation!r}: expected the family and shape of valuations[0] = {first!r}, with"
            " any scale; with valuations of different shapes one expected reward no longer says what an option"
            " is worth to whom, and the problem is not convex"
        )


@frozen
class TasteContract(MenuContract):
    """The best contract where types value models differently.

    Attributes:
        problem: the problem it answers.
        menu: the menu in units of the mean valuation, as a contract of the reduced problem.
    """

    problem: TasteProblem
    menu: Contract

    @property
    def expected_reward(self) -> np.ndarray:
        """Expected worth of the model each type receives, to itself, shape (types,), in units of its cost."""
        return self.problem.scales * self.menu.expected_reward

    @property
    def utility(self) -> np.ndarray:
        """Expected reward less the cost of the data, in own units, shape (types,)."""
        return self.expected_reward - self.problem.population.costs * self.contribution

    @property
    def reservation_utility(self) -> np.ndarray:
        """What each type gets alone, in own units, shape (types,)."""
        return self.problem.scales * self.menu.reservation_utility

    def settle(self, counts: Any, policy: str = "capped", *, seed: int | None = None) -> Settlement:
        """The models to hand out once it is known who takes part; values and utilities in own units."""
        settled, scales = self.menu.settle(counts, policy, seed=seed), self.problem.scales
        value = scales * settled.value
        costs = self.problem.population.costs * self.contribution
        return dataclasses.replace(settled, value=value, utility=value - costs)

    def certify(self) -> Certificate:
        """Check everything from the original problem; participation and incentives in everybody's own units.

        `participation_slack`, `envy` and `feasibility_slack` are in the units of the type they concern (of the
        row, for envy); gaps are in those of the mean valuation.
        """
        problem, scales = self.problem, self.problem.scales
        found = verify(dataclasses.replace(self.menu, problem=problem.reduced()))
        alone = _alone(problem)
        costs, m, t = problem.population.costs, self.contribution, self.menu.expected_reward
        utility = scales * t - costs * m
        envy = np.multiply.outer(scales, t) - np.multiply.outer(costs, m) - utility[:, None]
        tolerance = TOLERANCE * np.array([float(v(float(problem.accuracy.optimum))) for v in problem.valuations])
        own = ("individual rationality", "incentive compatibility")
        violations = [text for text in found.violations if not text.startswith(own)]
        violations += _broken(list(problem.population.names or ()), utility, alone, envy, tolerance)
        return dataclasses.replace(
            found,
            holds=not violations,
            participation_slack=utility - alone,
            envy=envy,
            feasibility_slack=scales * found.feasibility_slack,
            violations=tuple(violations),
            tolerance=float(tolerance.max()),
        )


def _alone(problem: TasteProblem) -> np.ndarray:
    """What each type gets alone with its own valuation at its own cost."""
    one = [
        Problem(
            population=Population(costs=[cost], probabilities=[1.0], participants=2),
            accuracy=problem.accuracy,
            valuation=valuation,
        )
        for cost, valuation in zip(problem.population.costs, problem.valuations, strict=True)
    ]
    return np.array([reservation_by_zooming(single)[0] for single in one])


def _broken(
    names: list[str], utility: np.ndarray, alone: np.ndarray, envy: np.ndarray, tolerance: np.ndarray
) -> list[str]:
    found = [
        f"individual rationality: {names[i]} would get {utility[i]:.9g}, alone {alone[i]:.9g}: short by"
        f" {alone[i] - utility[i]:.3g}"
        for i in np.flatnonzero(utility < alone - tolerance)
    ]
    for i in np.flatnonzero(envy.max(axis=1) > tolerance):
        j = int(np.argmax(envy[i]))
        found.append(
            f"incentive compatibility: {names[i]} would rather take the option of {names[j]}:"
            f" gains {envy[i, j]:.3g}"
        )
    return found
