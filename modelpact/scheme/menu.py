"""The menu: the best contract for the published curve, in whole samples, as participants read it.

The contract is designed for real amounts of data. A menu asks for whole samples, so amounts are rounded down,
all shrunk by the least common factor that keeps everybody willing with the `margin` asked for; then the
expected rewards are chosen anew, as a linear program, so that every option is preferred by those it is made
for by as much as possible.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy import optimize

from contracts import design_contract, verify
from contracts.contract import Contract
from contracts.errors import Infeasible
from contracts.problem import Problem
from contracts.problem.accuracy import FAMILIES as CURVES
from contracts.problem.accuracy import AccuracyCurve
from contracts.problem.data_tables import family
from contracts.problem.outcomes import believed_total
from contracts.problem.reservation import reservation
from contracts.problem.valuation import FAMILIES as VALUATIONS
from contracts.problem.valuation import Valuation
from contracts.records import frozen
from modelpact.scheme.settings import Scheme
from modelpact.scheme.stages import Made, Record, Stage

SHRINKING = 200  # steps in which amounts are shrunk


@frozen
class Menu:
    """What is published.

    Attributes:
        names: of the options, one per type.
        data: samples to deliver, whole numbers.
        accuracy_cap: accuracy up to which the trained model is given; infinite for the whole model.
        expected_value: of the model received, in units of cost.
        costs: of a sample to the type each option is made for.
        curve: the published accuracy curve.
        valuation: the value of a model by its accuracy.
    """

    names: tuple[str, ...]
    data: np.ndarray
    accuracy_cap: np.ndarray
    expected_value: np.ndarray
    costs: np.ndarray
    curve: AccuracyCurve
    valuation: Valuation

    @classmethod
    def of(cls, record: Record) -> Menu:
        """The menu as the record of the stage "publish" holds it."""
        found = record.result
        options = found["options"]
        caps = [np.inf if option["accuracy_cap"] is None else option["accuracy_cap"] for option in options]
        return cls(
            names=tuple(option["name"] for option in options),
            data=np.array([option["data"] for option in options], dtype=int),
            accuracy_cap=np.array(caps),
            expected_value=np.array([option["expected_value"] for option in options]),
            costs=np.array([option["cost"] for option in options]),
            curve=family("curve", found["curve"], CURVES),
            valuation=family("valuation", found["valuation"], VALUATIONS),
        )

    def promise(self, total: float) -> np.ndarray:
        """Accuracies promised to each option when so many samples are accepted in all."""
        return np.minimum(float(self.curve(float(total))), self.accuracy_cap)

    def option_of(self, kind: int) -> int | None:
        """The option made for a type; None if it gives and gets nothing."""
        return kind if self.data[kind] > 0 or self.expected_value[kind] > 0 else None

    def alone(self, cost: float) -> tuple[int, float]:
        """Samples somebody would label for itself at this cost, and its gain, by the published curve."""
        most = int(np.ceil(float(self.valuation(float(self.curve.optimum))) / cost))
        amounts = np.unique(np.geomspace(1, max(most, 1), 4000).astype(int))
        gains = self.valuation(self.curve(amounts.astype(float))) - cost * amounts
        best = int(np.argmax(gains))
        return (int(amounts[best]), float(gains[best])) if gains[best] > 0 else (0, 0.0)

    def other_options(self, option: int) -> list[int]:
        """Options with terms that differ from those of this one, one of each."""
        terms = [*zip(self.data.tolist(), self.accuracy_cap.tolist(), strict=True)]
        first = [j for j, term in enumerate(terms) if term not in terms[:j]]
        return [j for j in first if terms[j] != terms[option] and self.data[j] > 0]


def design(scheme: Scheme, inputs: Mapping[str, Record]) -> Made:
    """Find the best contract for the published curve, with its proof."""
    problem = Problem(
        population=scheme.population,
        accuracy=family("curve", inputs["fit"].result["published"], CURVES),
        valuation=scheme.valuation,
    )
    contract = design_contract(problem)
    # the time it took is no part of the answer: equal schemes give equal files
    contract = dataclasses.replace(contract, provenance=dataclasses.replace(contract.provenance, seconds=0.0))
    certificate = verify(contract)
    return {"contract": json.loads(contract.to_json(certificate)), "holds": bool(certificate.holds)}, {}


def publish(scheme: Scheme, inputs: Mapping[str, Record]) -> Made:
    """Turn the contract into a menu of whole samples and accuracies."""
    best = Contract.from_json(json.dumps(inputs["design"].result["contract"]))
    problem = best.problem
    data, rewards, advantage = whole_samples(best, margin=scheme.menu.margin)
    menu = dataclasses.replace(best, contribution=data, expected_reward=rewards)
    capped = menu.rewards("capped")
    # whoever is promised the trained model's whole expected value has no cap, up to rounding
    whole = menu.rewards("proportional").levels > 1.0 - 1e-9
    caps = np.where(whole, np.inf, capped.accuracy_cap)
    alone = reservation(problem)
    options = [
        {
            "name": (problem.population.names or ())[i],
            "cost": float(problem.population.costs[i]),
            "data": int(data[i]),
            "accuracy_cap": None if np.isinf(caps[i]) else float(caps[i]),
            "expected_value": float(rewards[i]),
            "expected_utility": float(menu.utility[i]),
            "alone_data": float(alone.contribution[i]),
            "alone_utility": float(alone.utility[i]),
        }
        for i in range(data.size)
    ]
    return {
        "options": options,
        "curve": problem.accuracy.parameters(),
        "valuation": problem.valuation.parameters(),
        "advantage_over_alone": float((menu.utility - alone.utility).min()),
        "advantage_over_other_options": advantage,
        "expected_value_of_trained_model": float(_expected(problem, data)),
        "without_rounding_and_margin": best.objective,
    }, {}


def _expected(problem: Problem, data: np.ndarray) -> float:
    from contracts.problem.outcomes import total_data

    law = total_data(data, problem.population.probabilities, problem.population.participants)
    return float(np.asarray(problem.value(law.data)) @ law.probabilities)


def whole_samples(contract: Contract, *, margin: float) -> tuple[np.ndarray, np.ndarray, float]:
    """Whole amounts of data, expected rewards, and by how much everybody prefers its own option.

    Raises:
        Infeasible: nobody's participation pays, or not by that margin.
    """
    for factor in np.linspace(1.0, 0.0, SHRINKING, endpoint=False):
        # a solver's 119.9999999 means 120
        data = np.floor(factor * contract.contribution + 1e-6)
        if not data.any():
            break
        found = preferred_rewards(contract.problem, data, margin=margin)
        if found is not None:
            return data, *found
    why = "expected a smaller margin, lower costs or more participants"
    if contract.contribution.max() < 1.0:
        why = "the published curve hardly rises: expected a larger pilot, or less confidence in [measuring]"
    raise Infeasible(
        f"no menu of whole samples keeps everybody {margin:g} above what it has alone: {contract.reason or why}"
    )


def preferred_rewards(problem: Problem, data: np.ndarray, *, margin: float) -> tuple[np.ndarray, float] | None:
    """Expected rewards under which every option is preferred by its type by as much as possible, if any are.

    A linear program in the rewards t and the advantage s: t_i <= T_i, t_i - c_i m_i >= f_i + margin, and
    t_i - c_i m_i >= t_j - c_i m_j + s wherever the amounts differ (s = 0 where they do not).
    """
    costs, types = problem.population.costs, data.size
    most = np.empty(types)
    for i in range(types):
        law = believed_total(problem, data, i)
        most[i] = np.asarray(problem.value(law.data)) @ law.probabilities
    least = reservation(problem).utility + margin + costs * data
    if (least > most).any():
        return None
    rows, right = [], []
    for i, j in ((i, j) for i in range(types) for j in range(types) if i != j):
        row = np.zeros(types + 1)
        row[i], row[j], row[types] = -1.0, 1.0, float(data[i] != data[j])
        rows.append(row)
        right.append(costs[i] * (data[j] - data[i]))
    top = problem.largest_value
    found = optimize.linprog(
        # among equal advantages the most generous rewards: models cost the coordinator nothing
        np.r_[np.full(types, -1e-6), -1.0],
        A_ub=np.array(rows) if rows else None,
        b_ub=np.array(right) if rows else None,
        bounds=[*zip(least, most, strict=True), (0.0, top)],
        method="highs",
    )
    if found.status != 0:
        return None
    return np.clip(found.x[:types], least, most), float(found.x[types]) if len(set(data)) > 1 else 0.0


def menu_table(record: Record) -> list[dict[str, Any]]:
    """The options of a published menu, for tables."""
    return record.result["options"]


DESIGN = Stage(
    name="design",
    purpose="design the best contract",
    after=("fit",),
    reads=("population", "valuation"),
    carry_out=design,
)
PUBLISH = Stage(
    name="publish", purpose="publish the menu", after=("design",), reads=("menu",), carry_out=publish
)
