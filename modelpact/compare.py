"""What changes for whom from one contract to another.

>>> import dataclasses
>>> from contracts import design_contract
>>> from contracts.testing import example_contract
>>> before = example_contract()
>>> population = dataclasses.replace(before.problem.population, participants=20)
>>> after = design_contract(dataclasses.replace(before.problem, population=population))
>>> found = compare(before, after)
>>> found.problem
('population.participants: 10, then 20',)
>>> found.rows[0].name, found.rows[0].better_by[1] >= 0.0
('type 1', True)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from contracts import checks
from contracts.contract import Contract
from contracts.errors import InvalidInput
from contracts.problem.data import problem_to_data
from contracts.records import frozen
from modelpact import tables
from modelpact.terminal import Flag, document, working

Pair = tuple[float | None, float | None]


KEYS = ("contribution", "expected_reward", "net_value", "staying_out", "better_by")


@frozen
class Row:
    """What two contracts mean for one type; None where it is not in a contract, or has no finite number.

    Attributes:
        name: the type.
        contribution: raw data to contribute.
        expected_reward: expected value of the model received, in the type's own units.
        net_value: that less what the data and joining cost; outside of the deal what staying out gives.
        staying_out: what it gets by staying out.
        better_by: net value less that.
    """

    name: str
    contribution: Pair
    expected_reward: Pair
    net_value: Pair
    staying_out: Pair
    better_by: Pair


@frozen
class Comparison:
    """Two contracts side by side.

    Attributes:
        objective: expected value of the trained model, in units of the mean scale.
        expected_accuracy: of the trained model.
        problem: in what the problems differ, one line for each entry.
        rows: one for each name in either, in the order of the second, then of the first.
        verdicts: what verification says of each.
        holds: whether every promise of each does.
    """

    objective: tuple[float, float]
    expected_accuracy: tuple[float, float]
    problem: tuple[str, ...]
    rows: tuple[Row, ...]
    verdicts: tuple[str, str]
    holds: tuple[bool, bool]


def compare(first: Contract, second: Contract) -> Comparison:
    """Set two contracts side by side: who contributes, receives and gains more or less.

    Types are matched by name. Both contracts are verified; what is compared is what they say.

    Args:
        first, second: any two contracts.

    Raises:
        InvalidInput: something else than a contract.
    """
    for name, contract in (("first", first), ("second", second)):
        if not isinstance(contract, Contract):
            raise InvalidInput(f"{name} = {checks.brief(contract)}: expected a Contract")
    both = first, second
    columns = [_columns(contract) for contract in both]
    names = dict.fromkeys([*columns[1], *columns[0]])
    rows = [
        Row(
            name=name,
            **{key: (columns[0].get(name, {}).get(key), columns[1].get(name, {}).get(key)) for key in KEYS},
        )
        for name in names
    ]
    return Comparison(
        objective=(first.objective, second.objective),
        expected_accuracy=(first.expected_accuracy, second.expected_accuracy),
        problem=tuple(_differences(problem_to_data(first.problem), problem_to_data(second.problem))),
        rows=tuple(rows),
        verdicts=(first.certificate.verdict, second.certificate.verdict),
        holds=(first.certificate.holds, second.certificate.holds),
    )


def _columns(contract: Contract) -> dict[str, dict[str, float | None]]:
    columns = (
        contract.contribution,
        contract.expected_reward,
        contract.utility,
        contract.reservation_utility,
        contract.information_rent,
    )
    numbers = [[float(x) if np.isfinite(x) else None for x in column] for column in columns]
    names = contract.problem.population.names or ()
    return {name: dict(zip(KEYS, row, strict=True)) for name, *row in zip(names, *numbers, strict=True)}


def _differences(first: Any, second: Any, place: str = "") -> Iterator[str]:
    """Entries that differ, by the keys of problem files."""
    if isinstance(first, Mapping) and isinstance(second, Mapping):
        for key in dict.fromkeys([*first, *second]):
            yield from _differences(first.get(key), second.get(key), f"{place}.{key}" if place else str(key))
    elif first != second:
        yield f"{place}: {_brief(first)}, then {_brief(second)}"


def _brief(value: Any) -> str:
    return "none" if value is None else checks.brief(value)


def compare_command(first: Path, second: Path, /, *, json: Flag = False) -> int:
    """Set two contract files side by side: what changes for whom.

    For each type the data to contribute, the expected value of the model received, and by how much signing is
    better than staying out: in the first contract, and the change to the second. Exits with 0 if all promises of
    both hold, else with 1.

    Parameters
    ----------
    first, second
        Files written by `modelpact design --output`.
    json
        Print one JSON document instead.
    """
    contracts = Contract.load(first), Contract.load(second)
    with working("verifying"):
        found = compare(*contracts)
    if json:
        print(document("comparison", found), end="")
    else:
        _show(found)
    return 0 if all(found.holds) else 1


def _show(found: Comparison) -> None:
    out = tables.console()
    for line in found.problem or ("The problems are the same.",):
        out.print(line)
    out.print()
    shown = {
        "contribute": [row.contribution for row in found.rows],
        "value": [row.expected_reward for row in found.rows],
        "better by": [row.better_by for row in found.rows],
    }
    columns = {}
    for title, pairs in shown.items():
        columns[title], columns[f"{title}, change"] = _before(pairs), _change(pairs)
    out.print(tables.by_name("type", [row.name for row in found.rows], columns))
    before, after = found.objective
    out.print(
        f"\nExpected value of the trained model {before:,.6g}, then {after:,.6g}; expected accuracy"
        f" {found.expected_accuracy[0]:.4g}, then {found.expected_accuracy[1]:.4g}."
    )
    for which, verdict in zip(("first", "second"), found.verdicts, strict=True):
        out.print(f"The {which}: {verdict}.")


def _before(pairs: list[Pair]) -> list[str]:
    known = tables.numbers(np.array([before for before, _ in pairs if before is not None]))
    texts = iter(known)
    return ["-" if before is None else next(texts) for before, _ in pairs]


def _change(pairs: list[Pair]) -> list[str]:
    changes = [None if None in pair else pair[1] - pair[0] for pair in pairs]  # type: ignore[operator]
    size = max((abs(x) for pair in pairs for x in pair if x is not None), default=0.0)
    near = [None if x is None else 0.0 if abs(x) <= 1e-9 * size else x for x in changes]
    texts = iter(tables.numbers(np.array([x for x in near if x is not None])))
    return [
        ("gone" if pair[1] is None else "new") if x is None else f"{'+' if x > 0 else ''}{next(texts)}"
        for pair, x in zip(pairs, near, strict=True)
    ]
