"""The menu: the best contract for the measured curve, in whole samples, as participants read it.

The contract is designed in whole lots, for no more data than each participant could deliver and with the margins
asked for; what is published is that contract, as shares of the trained model's value: nobody needs to know the
curve for them to be kept. Values are counted from what naming the commonest class is worth. Samples are usable
ones: where a type's data are of quality q, a usable sample costs it 1/q of what a sample costs.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from contracts import design_contract, verify
from contracts.contract import Contract
from contracts.contract.options import options_of
from contracts.contract.rewards import whole_model
from contracts.errors import Infeasible
from contracts.measured.measured_curve import MeasuredCurve
from contracts.problem import Problem
from contracts.problem.data import valuation_from_data
from contracts.problem.data_tables import of_family
from contracts.problem.reservation import outside_option
from contracts.problem.standard_form import standard_form
from contracts.problem.valuation import FAMILIES as VALUATIONS
from contracts.problem.valuation import Valuation
from contracts.records import frozen
from modelpact.fingerprint import fingerprint
from modelpact.scheme.settings import Scheme
from modelpact.scheme.stages import Made, Record, Stage
from modelpact.scheme.stock import capacities

LONGEST = 10.0  # seconds
SAMPLES = 4000  # amounts at which training alone is tried


@frozen
class Menu:
    """What is published; values, costs and gains are in each type's own units.

    Attributes:
        names: of the options, one per type.
        groups: for whom each is.
        data: usable samples to deliver, whole numbers.
        share: of the trained model's value, counted from the baseline, in [0, 1]; 1 is the whole model.
        expected_value: of the model of its own option to each type.
        costs: of a usable sample to each type.
        joining: what joining costs each type.
        outside: what staying out gives each type, where that is stated; None where it is training alone.
        most: usable samples that each type has at most.
        curve: the measured accuracy curve; its `chance` is the baseline.
        valuation: the value of a model by its accuracy; its scale may be one for each type.
    """

    names: tuple[str, ...]
    groups: tuple[str, ...]
    data: np.ndarray
    share: np.ndarray
    expected_value: np.ndarray
    costs: np.ndarray
    joining: np.ndarray
    outside: np.ndarray | None
    most: np.ndarray
    curve: MeasuredCurve
    valuation: Valuation

    @classmethod
    def of(cls, record: Record) -> Menu:
        """The menu as the record of the stage "publish" holds it."""
        found = record.result
        options = found["options"]

        def column(name: str) -> np.ndarray:
            return np.array([option[name] for option in options], dtype=float)

        return cls(
            names=tuple(option["name"] for option in options),
            groups=tuple(option["group"] for option in options),
            data=np.array([option["data"] for option in options], dtype=int),
            share=column("share"),
            expected_value=column("expected_value"),
            costs=column("cost"),
            joining=column("joining_cost"),
            outside=column("alone_utility") if found["outside_is_stated"] else None,
            most=column("most"),
            curve=MeasuredCurve.from_parameters(found["curve"]),
            valuation=valuation_from_data(found["valuation"], len(options)),
        )

    def worth(self, accuracy: Any, kind: int) -> Any:
        """Value of models of some accuracies (a number, or an array) to a type, counted from the baseline."""
        scale = np.broadcast_to(np.asarray(self.valuation.scale, dtype=float), (len(self.names),))
        one = dataclasses.replace(self.valuation, scale=float(scale[kind]))  # type: ignore[type-var]
        return one(np.maximum(accuracy, self.curve.chance)) - one(self.curve.chance)

    def gains(self, kind: int, cost: float, *, borne: float = 1.0) -> np.ndarray:
        """What each option is expected to give a type, shape (options,); minus infinity where it is not for it.

        Args:
            kind: the type.
            cost: of a usable sample.
            borne: the share of the data's cost that it bears.
        """
        scale = np.broadcast_to(np.asarray(self.valuation.scale, dtype=float), (len(self.names),))
        value = self.expected_value * (scale[kind] / scale)
        there = np.array([group == self.groups[kind] for group in self.groups])
        there &= np.array([self.option_of(k) is not None for k in range(len(self.names))])
        return np.where(there, value - borne * cost * self.data - self.joining[kind], -np.inf)

    def promise(self, trained: float) -> np.ndarray:
        """Accuracies owed to each option when the trained model has this one; the same for every scale."""
        one = dataclasses.replace(self.valuation, scale=1.0)  # type: ignore[type-var]
        least = float(one(self.curve.chance))
        worth = least + self.share * max(float(one(trained)) - least, 0.0)
        return np.minimum(one.inverse(np.minimum(worth, 1.0)), trained)

    def option_of(self, kind: int) -> int | None:
        """The option made for a type; None if it gives and gets nothing."""
        return kind if self.data[kind] > 0 or self.expected_value[kind] > 0 else None

    def alone(self, cost: float, kind: int) -> tuple[int, float]:
        """Samples that a type would label for itself at this cost, and its gain, by the published curve."""
        if self.outside is not None:
            return 0, float(self.outside[kind])
        top = float(self.worth(float(self.curve.optimum), kind))
        most = int(min(np.ceil(top / cost), max(self.most[kind], 1.0)))
        amounts = np.unique(np.geomspace(1, max(most, 1), SAMPLES).astype(int))
        gains = self.worth(self.curve(amounts.astype(float)), kind) - cost * amounts
        best = int(np.argmax(gains))
        return (int(amounts[best]), float(gains[best])) if gains[best] > 0 else (0, 0.0)

    def other_options(self, option: int) -> list[int]:
        """Options of the same group with terms that differ from those of this one, one of each."""
        terms = [*zip(self.groups, self.data.tolist(), self.share.tolist(), strict=True)]
        first = [j for j, term in enumerate(terms) if term not in terms[:j] and term[0] == self.groups[option]]
        return [j for j in first if terms[j] != terms[option] and self.data[j] > 0]


def curve_of(record: Record) -> MeasuredCurve:
    """The curve that the fit found, recomputed from its measurements."""
    return MeasuredCurve.from_parameters(record.result["published"])


def design(scheme: Scheme, inputs: Mapping[str, Record]) -> Made:
    """Find the best contract for the measured curve, with its proof.

    Where no menu makes everybody as well off as alone, nothing is offered, and why is said: that the data
    show no gain is a finding, too.
    """
    useless = inputs["fit"].result["useless"]
    if useless:
        why = f"nothing is offered, for {useless}: expected a larger pilot, or other data or models"
        return {"contract": None, "holds": True, "nothing_offered": why}, {}
    problem = scheme.problem(curve_of(inputs["fit"]), capacities(scheme, inputs["data"]))
    try:
        contract = _best(problem)
        found = "" if contract.contribution.any() else contract.reason
    except Infeasible as error:
        contract, found = None, str(error)
    if contract is None or not contract.contribution.any():
        return {"contract": None, "holds": True, "nothing_offered": _why_nothing(scheme, found)}, {}
    contract = dataclasses.replace(contract, provenance=dataclasses.replace(contract.provenance, seconds=0.0))
    certificate = verify(contract)
    plain = json.loads(contract.to_json(certificate))
    return {"contract": plain, "holds": bool(certificate.holds), "nothing_offered": ""}, {}


def _why_nothing(scheme: Scheme, found: str) -> str:
    margin = scheme.menu.margin
    due = f"{margin:g} above what it has" if margin else "as well off as"
    return (
        f"nothing is offered, for no menu of whole samples keeps everybody {due} by staying out ({found}):"
        " expected a smaller margin, lower costs, more participants or, where the measured curve hardly rises,"
        " a larger pilot or [measuring] promise = 'average'"
    )


def _best(problem: Problem) -> Contract:
    """The best contract that is found without a search by the clock, so that equal schemes give equal files.

    Only where none is found so, as when some had better stay out, the search goes on until one is proved best.
    """
    with contextlib.suppress(Infeasible):
        contract = design_contract(problem, time_limit=0.0)
        if contract.contribution.any() or contract.certificate.optimal:
            return contract
    return design_contract(problem, time_limit=LONGEST)


def publish(scheme: Scheme, inputs: Mapping[str, Record]) -> Made:
    """Publish the contract as a menu of whole samples and accuracies; without one, what everybody has alone."""
    if inputs["design"].result["contract"] is None:
        return _nothing(scheme, inputs), {}
    contract = Contract.from_json(json.dumps(inputs["design"].result["contract"]))
    problem, form = contract.problem, contract.form
    population, certificate = problem.population, contract.certificate
    # whoever is promised the trained model's whole expected value has all of it, up to rounding
    share = np.where(whole_model(contract), 1.0, _shares(contract))
    cost = population.costs / form.effective
    data, alone = contract.contribution * form.effective, outside_option(form)
    joining = np.broadcast_to(problem.outside.joining_cost, data.shape)
    options = [
        {
            "name": (population.names or ())[i],
            "group": population.groups[i] if population.groups else "",
            "cost": float(cost[i]),
            "joining_cost": float(joining[i]),
            "data": round(float(data[i])),
            # nobody collects more than the best model is worth
            "most": float(
                min(form.reach[form.row[i]], problem.scales[i] / population.costs[i] * form.effective[i])
            ),
            "share": float(share[i]),
            "expected_value": float(contract.expected_reward[i]),
            "expected_utility": float(alone.utility[i] + certificate.participation_slack[i]),
            "alone_data": float(alone.contribution[i] * form.effective[i]),
            "alone_utility": float(alone.utility[i]),
        }
        for i in range(data.size)
    ]
    return {
        "contract": fingerprint(contract),
        "nothing_offered": "",
        "options": options,
        "outside_is_stated": problem.outside.utility is not None,
        "curve": problem.accuracy.parameters(),
        "valuation": of_family("valuation", problem.valuation, VALUATIONS),
        "advantage_over_alone": float(certificate.participation_slack.min()),
        "advantage_over_other_options": _advantage(contract),
        "expected_value_of_trained_model": contract.objective,
    }, {}


def _shares(contract: Contract) -> np.ndarray:
    """Which share of the trained model's value each option gives, with a clause on average over who signs."""
    if contract.clause is None:
        return contract.rewards("proportional").levels
    return np.minimum(contract.expected_reward / (contract.form.relative * contract.objective), 1.0)


def _nothing(scheme: Scheme, inputs: Mapping[str, Record]) -> dict[str, Any]:
    """A menu on which there is nothing to sign."""
    curve = dataclasses.replace(curve_of(inputs["fit"]), promise="average")
    problem = scheme.problem(curve, capacities(scheme, inputs["data"]))
    population, form = problem.population, standard_form(problem)
    alone = outside_option(form)
    options = [
        {
            "name": (population.names or ())[i],
            "group": population.groups[i] if population.groups else "",
            "cost": float(population.costs[i] / form.effective[i]),
            "joining_cost": 0.0,
            "data": 0,
            "most": float(form.reach[form.row[i]]),
            "share": 0.0,
            "expected_value": 0.0,
            "expected_utility": float(alone.utility[i]),
            "alone_data": float(alone.contribution[i] * form.effective[i]),
            "alone_utility": float(alone.utility[i]),
        }
        for i in range(population.types)
    ]
    return {
        "contract": None,
        "nothing_offered": inputs["design"].result["nothing_offered"],
        "options": options,
        "outside_is_stated": problem.outside.utility is not None,
        "curve": problem.accuracy.parameters(),
        "valuation": of_family("valuation", problem.valuation, VALUATIONS),
        "advantage_over_alone": 0.0,
        "advantage_over_other_options": 0.0,
        "expected_value_of_trained_model": 0.0,
    }


def _advantage(contract: Contract) -> float:
    """The least that anybody loses by an option that differs from its own; 0 where there is none."""
    envy, data = options_of(contract).envy, contract.contribution * contract.form.effective
    other = np.abs(np.subtract.outer(data, data)) > 0.5
    other &= np.isfinite(envy)
    return float(-envy[other].max()) if other.any() else 0.0


DESIGN = Stage(
    name="design",
    purpose="design the best contract",
    after=("data", "fit"),
    reads=("population", "valuation", "menu", "outside", "objective", "participants"),
    carry_out=design,
)
PUBLISH = Stage(
    name="publish",
    purpose="publish the menu",
    after=("data", "fit", "design"),
    reads=("population", "valuation", "menu", "outside", "objective", "participants"),
    carry_out=publish,
)
