"""`modelpact play` of a contract or a problem file: all equilibria of its menu, with a launch clause and
without.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from contracts import Contract, Menu, design_contract, launch_from
from contracts.checks import visible
from contracts.errors import Infeasible, InvalidInput
from equilibria import contract_menu, sign_in_turn
from equilibria.menu_equilibria import MenuEquilibrium
from modelpact.tables import boxed, console

SHOWN = 12  # equilibria of a menu in the table


def read_contract(path: Path, document: Mapping[str, Any] | None) -> Contract:
    """The contract in a file, or the best one for a problem file.

    Args:
        path: of the file.
        document: its tables, if it is a problem file.
    """
    if document is None:
        return Contract.load(path)
    from modelpact.problem_file import read_problem

    return design_contract(read_problem(path).problem)


def analyse_menus(contract: Contract) -> dict[str, Any]:
    """The equilibria of a contract's menu with a launch clause and without, as JSON-ready records.

    Raises:
        InvalidInput: it asks nothing of anybody, or there are too many strategies.
    """
    if not contract.contribution.any():
        raise InvalidInput("nobody takes part in this contract: expected one that asks something of somebody")
    menus = {"without a clause": contract} if contract.clause is None else {"with the clause": contract}
    other = _other(contract)
    if other is not None:
        menus[other[0]] = other[1]
    return {"menus": {name: _record(menu) for name, menu in menus.items()}}


def _other(contract: Contract) -> tuple[str, Contract] | None:
    """The same problem's menu without the clause; or with one, the cheapest there is; None where there is
    none.
    """
    problem = contract.problem
    if contract.clause is not None:
        margin = problem.menu.participation_margin if problem.menu.assurance is None else 0.0
        free = dataclasses.replace(problem, menu=Menu(participation_margin=margin))
        return "without a clause", design_contract(free, time_limit=1.0)
    try:
        return "with a count clause", launch_from(contract)
    except (InvalidInput, Infeasible):
        pass
    for kind in ("count", "cut"):
        menu = Menu(assurance=kind, participation_margin=problem.menu.participation_margin)
        try:
            return f"with the clause {kind!r}", design_contract(dataclasses.replace(problem, menu=menu))
        except (InvalidInput, Infeasible):
            continue
    return None


def _record(contract: Contract) -> dict[str, Any]:
    found = contract_menu(contract).equilibria()
    record: dict[str, Any] = {
        "objective": contract.objective,
        "launch_count": contract.launch_count,
        "attendance": str(contract.attendance()),
        "equilibria": [_equilibrium(one) for one in found],
    }
    try:
        turn = sign_in_turn(contract, ties="leave")
    except InvalidInput:  # groups, an uncertain number, or too many positions
        return record | {"in_turn": None}
    return record | {
        "in_turn": {"all_sign": turn.all_sign, "signatures": turn.signatures, "value": turn.objective}
    }


def _equilibrium(one: MenuEquilibrium) -> dict[str, Any]:
    return {
        "text": str(one).rpartition(": ")[0],
        "truthful": one.truthful,
        "value": one.objective,
        "strict": one.strict,
        "stays_out": list(one.stays_out),
        "utilities": one.utilities.tolist(),
    }


def show_menus(title: str, report: Mapping[str, Any]) -> None:
    """Print the equilibria of each menu."""
    from rich.table import Table

    out = console()
    for name, record in report["menus"].items():
        out.print(
            f"\n{visible(title)}, {name}: value {record['objective']:,.6g} where all sign truthfully",
            markup=False,
        )
        table = Table("equilibrium", "value", "strict", "stays out", **boxed())
        table.columns[1].justify = "right"
        for one in record["equilibria"][:SHOWN]:
            away = ", ".join(one["stays_out"]) or "-"
            table.add_row(
                visible(one["text"]), f"{one['value']:,.6g}", "yes" if one["strict"] else "no", visible(away)
            )
        out.print(table, markup=False)
        if len(record["equilibria"]) > SHOWN:
            out.print(f"and {len(record['equilibria']) - SHOWN} more", markup=False)
        out.print(record["attendance"], markup=False)
        turn = record["in_turn"]
        if turn is not None:
            out.print(
                f"signing in turn, ties meaning no: {turn['signatures']:.4g} sign on average, value"
                f" {turn['value']:,.6g}",
                markup=False,
            )
