"""How much the best contract depends on each number of its problem.

>>> from contracts import LinearValuation, Population, PowerLaw, Problem
>>> problem = Problem(
...     population=Population(costs=[0.2, 0.1], probabilities=[0.5, 0.5], participants=10),
...     accuracy=PowerLaw(optimum=0.95, coefficient=2.0, exponent=0.5),
...     valuation=LinearValuation(scale=100.0),
... )
>>> found = sensitivity(problem, fields=["valuation.scale", "population.participants"])
>>> [effect.field for effect in found.effects], found.effects[1].values
(['valuation.scale', 'population.participants'], (9, 11))
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from contracts import checks
from contracts.contract import Contract
from contracts.contract.design import design_contract
from contracts.errors import InvalidInput, ModelpactError
from contracts.problem import Problem
from contracts.records import frozen
from modelpact.axes import WHOLE_TABLES, changed

MOST_NAMED = 12  # types whose costs and probabilities vary one by one


@frozen
class Effect:
    """What becomes of the best contract if one number of the problem is smaller, or larger.

    Attributes:
        field: what varies, as `modelpact.axes` names it.
        values: smaller and larger; a list varies in proportion.
        reached: the objective of the best contract at either; None where there is no contract.
        contribution: data to contribute, by type.
        better_by: by how much signing is better than staying out, by type.
        errors: why there is no contract; empty where there is one.
        possible: whether the problem accepts such a value at all (an accuracy above 1 is none).
    """

    field: str
    values: tuple[Any, Any]
    reached: tuple[float | None, float | None]
    contribution: tuple[np.ndarray | None, np.ndarray | None]
    better_by: tuple[np.ndarray | None, np.ndarray | None]
    errors: tuple[str, str]
    possible: tuple[bool, bool]


@frozen
class Sensitivity:
    """The best contract, and how it changes with each number of its problem.

    Attributes:
        contract: the best contract of the problem as stated.
        by: the share by which numbers vary.
        effects: by falling change of the objective; what leaves nobody a contract first.
    """

    contract: Contract
    by: float
    effects: tuple[Effect, ...]


def sensitivity(
    problem: Problem,
    *,
    by: float = 0.1,
    fields: Sequence[str] | None = None,
    time_limit: float = 10.0,
    done: Callable[[int, int], None] = lambda *_: None,
) -> Sensitivity:
    """Design the best contract again with each number of the problem a little smaller and a little larger.

    Each change is one number or one list in proportion, with everything else as stated: a probability takes from
    the others of its group; numbers of participants and of options vary by one at least.

    Args:
        problem: what is known, more or less.
        by: the share by which each number varies, in (0, 1).
        fields: which numbers, as `modelpact.axes.Axis` names them; by default all that are not zero.
        time_limit: seconds that each search for a proof may take.
        done: told how many designs of how many are done.

    Raises:
        InvalidInput: an unknown field, or one that holds no numbers.
        Infeasible, NotConverged: the problem as stated has no contract.
    """
    share = checks.number("by", by, low=0.0, high=1.0, open_low=True, open_high=True)
    contract = design_contract(problem, time_limit=time_limit)
    varied = {field: (value, whole) for field, value, whole in _numbers(problem)}
    if fields is not None:
        for k, field in enumerate(fields):
            checks.choice(f"fields[{k}]", field, list(varied))
    chosen = list(varied if fields is None else dict.fromkeys(fields))
    effects = []
    for k, field in enumerate(chosen):
        effects.append(_effect(problem, field, *varied[field], share, time_limit))
        done(k + 1, len(chosen))
    effects.sort(key=lambda effect: -_swing(effect, contract.reached))
    return Sensitivity(contract=contract, by=share, effects=tuple(effects))


def _swing(effect: Effect, reached: float) -> float:
    changes = [np.inf if one is None else abs(one - reached) for one in effect.reached]
    return max((each for each, real in zip(changes, effect.possible, strict=True) if real), default=0.0)


def _effect(problem: Problem, field: str, value: Any, whole: bool, by: float, time_limit: float) -> Effect:
    values = (_scaled(value, 1.0 - by, -1, whole), _scaled(value, 1.0 + by, 1, whole))
    tried = [_tried(problem, field, each, time_limit) for each in values]
    found, errors = zip(*tried, strict=True)

    def of(read: Callable[[Contract], Any]) -> tuple[Any, Any]:
        first, second = (None if one is None else read(one) for one in found)
        return first, second

    return Effect(
        field=field,
        values=values,
        reached=of(lambda one: one.reached),
        contribution=of(lambda one: one.contribution),
        better_by=of(lambda one: one.information_rent),
        errors=(str(errors[0] or ""), str(errors[1] or "")),
        possible=(not isinstance(errors[0], InvalidInput), not isinstance(errors[1], InvalidInput)),
    )


def _tried(
    problem: Problem, field: str, value: Any, time_limit: float
) -> tuple[Contract | None, ModelpactError | None]:
    try:
        contract = design_contract(changed(problem, {field: value}), time_limit=time_limit)
    except ModelpactError as error:
        return None, error
    broken = contract.certificate.violations
    return (None, ModelpactError(broken[0])) if broken else (contract, None)


def _scaled(value: Any, factor: float, step: int, whole: bool) -> Any:
    if whole:
        moved = round(value * factor)
        return moved if moved != value else value + step
    scaled = np.asarray(value, dtype=float) * factor
    return float(scaled) if scaled.ndim == 0 else scaled


def _numbers(problem: Problem) -> Iterator[tuple[str, Any, bool]]:
    """Fields that hold numbers, with what they hold, and whether that is a whole number."""
    population = problem.population
    for part in WHOLE_TABLES:
        record = getattr(problem, part)
        for entry in dataclasses.fields(record) if record is not None else ():
            if entry.name == "level" and getattr(record, "promise", "") == "average":
                continue  # on average no share of the curves is asked for
            yield from _of_field(f"{part}.{entry.name}", getattr(record, entry.name), population.group_names)
    if problem.baseline > 0.0:
        yield "baseline", problem.baseline, False
    if population.types <= MOST_NAMED:
        for i, cost in enumerate(population.costs):
            yield f"population.costs[{i}]", float(cost), False
        for i, chance in enumerate(population.probabilities):
            if 0.0 < chance < 1.0:
                yield f"population.probabilities[{i}]", float(chance), False


def _of_field(place: str, value: Any, groups: Sequence[str] | None) -> Iterator[tuple[str, Any, bool]]:
    if place == "population.probabilities":
        return
    if isinstance(value, bool | str) or value is None:
        return
    if isinstance(value, int):
        yield place, value, True
    elif isinstance(value, tuple) and groups is not None and place == "population.participants":
        for name, one in zip(groups, value, strict=True):
            if isinstance(one, int) and one > 1:
                yield f"{place}.{name}", one, True
    elif dataclasses.is_dataclass(value) and place.startswith("population."):
        for entry in dataclasses.fields(value):
            yield from _of_field(f"{place}.{entry.name}", getattr(value, entry.name), None)
    elif _varies(checks.reals(value)):
        yield place, value, False


def _varies(numbers: np.ndarray | None) -> bool:
    if numbers is None or numbers.ndim > 1:
        return False
    return bool(np.isfinite(numbers).all() and np.any(numbers != 0.0))
