"""Settling a contract once it is known who takes part: who receives which model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from contracts import checks
from contracts.errors import InvalidInput
from contracts.problem.population import Population
from contracts.problem.scenario import Scenario, scenario_population
from contracts.records import frozen

if TYPE_CHECKING:
    import pandas

    from contracts.contract.contract import Contract


@frozen
class Settlement:
    """Who receives which model once the participants are known.

    Attributes:
        counts: participants of each type, shape (types,).
        total_data: effective data the joint model is trained on.
        trained_accuracy: its accuracy.
        accuracy: accuracy of the model each type receives, shape (types,); never above the trained one.
        value: its value to that type, shape (types,), in its own units of cost.
        utility: value less the cost of the data contributed and of joining, shape (types,).
        names: the types' names.
        contribution: raw data that each delivered, shape (types,).
        launched: whether the contract is launched; with too few signatures it is released, and nothing is
            delivered.
        released: whose signatures are released, shape (types,).
    """

    counts: np.ndarray
    total_data: float
    trained_accuracy: float
    accuracy: np.ndarray
    value: np.ndarray
    utility: np.ndarray
    names: tuple[str, ...]
    contribution: np.ndarray
    launched: bool
    released: np.ndarray

    def to_dataframe(self) -> pandas.DataFrame:
        """Who receives what as a data frame, one row per type (needs pandas)."""
        from contracts.frames import frame

        names = ("counts", "contribution", "accuracy", "value", "utility", "released")
        return frame({name: getattr(self, name) for name in names}, self.names, "type")

    def __str__(self) -> str:
        rows = [f"{'type':<16}{'count':>7}{'accuracy':>11}{'value':>11}{'utility':>11}"]
        for i, name in enumerate(self.names):
            rows.append(
                f"{name:<16}{self.counts[i]:>7d}{self.accuracy[i]:>11.4f}{self.value[i]:>11.4f}"
                f"{self.utility[i]:>11.4f}"
            )
        if not self.launched:
            return "\n".join([*rows, "released: too few signed, nothing is delivered"])
        rows.append(f"trained on {self.total_data:g} data: accuracy {self.trained_accuracy:.4f}")
        return "\n".join(rows)


def settle(
    contract: Contract,
    counts: Any,
    policy: str = "capped",
    *,
    seed: int | None = None,
    scenario: int = 0,
    delivered: Any = 1.0,
) -> Settlement:
    """The models to hand out once it is known who takes part and what they delivered.

    Args:
        contract: the contract.
        counts: participants of each type, in the order of the types, or by name (types left out: none); of each
            group as many as its law allows; of a contract with a launch clause signatures, any number.
        policy: the reward policy that was announced.
        seed: for the lottery only, which is drawn here.
        scenario: which scenario turned out true, from 0.
        delivered: share of the agreed effective data that each type delivered, in [1 - shading, 1], shape
            (types,) or a number for all.

    Raises:
        InvalidInput: wrong length, negative or fractional counts, an unknown name, a number of participants that
            was not agreed upon, or a share that verification would detect.

    >>> from contracts.testing import example_contract
    >>> settle(example_contract(), {"type 1": 4, "type 5": 6}).counts
    array([4, 0, 0, 0, 6])
    """
    problem, form = contract.problem, contract.form
    population = problem.population
    come = _counted(population, counts)
    if contract.clause is not None:
        return _launched(contract, come, policy, delivered)
    _expected(contract, come, scenario)
    least = 1.0 - population.shading
    share = checks.array(
        "delivered", np.broadcast_to(np.asarray(delivered), (population.types,)), low=least - 1e-12, high=1.0
    )
    quality = form.effective / least
    total = float(come @ (contract.contribution * quality * share))
    world = form.worlds[checks.integer("scenario", scenario, high=len(form.worlds) - 1)]
    rewards = contract.rewards(policy, scenario=scenario)
    trained = float(world.plain.accuracy(total))
    value = rewards.value(total, seed=seed)
    accuracy = np.minimum(world.plain.valuation.inverse(np.maximum(value / form.relative, 0.0)), trained)
    paid = population.costs * contract.contribution * share + problem.outside.joining_cost
    return Settlement(
        counts=come.astype(int),
        total_data=total,
        trained_accuracy=problem.baseline + trained,
        accuracy=problem.baseline + accuracy,
        value=value,
        utility=value - paid,
        names=tuple(population.names or ()),
        contribution=contract.contribution * share,
        launched=True,
        released=np.zeros(population.types, dtype=bool),
    )


def _launched(contract: Contract, signed: np.ndarray, policy: str, delivered: Any) -> Settlement:
    """Of a contract with a launch clause: launched or released, and what then follows from the counts."""
    from contracts.contract.launch_settlement import settle_signatures

    if policy != "capped":
        raise InvalidInput(
            f"policy = {policy!r}: expected 'capped': a launch clause says which models are given"
        )
    if np.any(np.asarray(delivered) != 1.0):
        raise InvalidInput(
            "delivered: expected 1: what the top option owes follows from what the others delivered"
        )
    problem, form = contract.problem, contract.form
    settled, plain = settle_signatures(contract, signed), form.worlds[0].plain
    trained = float(plain.accuracy(settled.total))
    accuracy = np.minimum(plain.valuation.inverse(np.maximum(settled.value / form.relative, 0.0)), trained)
    return Settlement(
        counts=signed.astype(int),
        total_data=settled.total,
        trained_accuracy=problem.baseline + trained,
        accuracy=problem.baseline + np.where(settled.released, 0.0, accuracy),
        value=settled.value,
        utility=settled.utility,
        names=tuple(problem.population.names or ()),
        contribution=settled.contribution,
        launched=settled.launched,
        released=settled.released,
    )


def _counted(population: Population, counts: Any) -> np.ndarray:
    """The counts as an array, by position or by name."""
    names = list(population.names or ())
    if isinstance(counts, Mapping):
        counts = {checks.visible(name) if isinstance(name, str) else name: n for name, n in counts.items()}
        for name in counts:
            if name not in names:
                raise InvalidInput(f"counts: no type is called {name!r}: expected {', '.join(names)}")
        counts = [counts.get(name, 0) for name in names]
    found = checks.array("counts", counts, low=0.0, length=population.types)
    for i in np.flatnonzero(found != np.floor(found)):
        raise InvalidInput(f"counts[{i}] = {found[i]:g}: expected a whole number")
    return found


def _expected(contract: Contract, counts: np.ndarray, scenario: int) -> None:
    """Refuse numbers of participants for which nothing was agreed."""
    stated = contract.problem.scenarios
    chosen = stated[checks.integer("scenario", scenario, high=max(len(stated) - 1, 0))] if stated else None
    population = scenario_population(contract.problem.population, chosen or Scenario(weight=1.0))
    for g, law in enumerate(population.laws):
        came = counts[population.group_of == g].sum()
        if came in law.support[0]:
            continue
        names = population.group_names
        of, size = (f" of {names[g]}", _words(law)) if names else ("", population.size)
        raise InvalidInput(
            f"counts{of} sum to {came:g}: expected the {size} participants for whom the contract was made; with"
            f" {'fewer' if came < law.mean else 'more'} it promises nothing"
        )


def _words(law: Any) -> str:
    return f"{law.most:,}" if law.least == law.most else str(law)
