"""Files of observed sign-ups, survey answers or bids, as `fit_population` takes them."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from contracts.errors import InvalidInput
from contracts.measured.column_names import plain_name
from contracts.measured.number_text import NONE, parse_columns
from contracts.measured.table_file import Table, read_table

NAMES = {
    "type": ("type", "types", "name", "kind", "group", "class", "typ"),
    "count": (
        "count",
        "counts",
        "sign_ups",
        "signups",
        "observed",
        "n",
        "number",
        "participants",
        "answers",
        "anzahl",
    ),
    "cost": (
        "cost",
        "costs",
        "bid",
        "bids",
        "ask",
        "asks",
        "price",
        "cost_per_datum",
        "asked",
        "kosten",
        "gebot",
    ),
}


def read_observations(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read who was observed: arguments of `fit_population`.

    Three forms are understood, in any dialect that `read_measurements` takes:

    - a row for each type: columns `type`, `count`, `cost`;
    - a row for each observation: columns `type`, `cost` (what it asked for a datum);
    - a row for each bid: a column `bid` (or `cost`), without types.

    Args:
        path: a CSV or Excel file (.xlsx) with names of columns in its first row.

    Returns:
        `counts`, `costs` and `names`, or `bids`.

    Raises:
        InvalidInput: the file cannot be read, lacks a column, or a cell is not what is accepted.
        BackendMissing: an Excel file without openpyxl.

    >>> read_observations("examples/observed-sign-ups/signups.csv")["names"]
    ['practice', 'hospital', 'registry']
    """
    table = read_table(path, "a CSV file of observations", "type, count, cost")
    places = _places(table)
    cells = {kind: table.column(places[kind]) for kind in ("count", "cost") if kind in places}
    found = parse_columns(
        cells,
        place=lambda kind, row: table.place(row, places[kind]),
        optional=("cost",) if "type" in places and "count" not in places else (),
        amounts=(),
    )
    numbers = {kind: values for kind, (values, _) in found.items()}
    if not table.rows:
        raise InvalidInput(f"{table.where}: no observations below the names of the columns")
    for kind, low in (("cost", np.nextafter(0.0, 1.0)), ("count", 0.0)):
        for row in np.flatnonzero(numbers.get(kind, np.zeros(0)) < low):
            accepted = "a number > 0" if kind == "cost" else "a whole number >= 0"
            raise InvalidInput(
                f"{table.place(int(row), places[kind])}: {cells[kind][row]!r}: expected {accepted}"
            )
    if "type" not in places:
        times = numbers.get("count", np.ones(len(table.rows)))
        return {"bids": np.repeat(numbers["cost"], times.astype(int)).tolist()}
    return _by_type(table, table.column(places["type"]), numbers)


def _places(table: Table) -> dict[str, int]:
    words = [plain_name(name)[0] for name in table.names]
    places = {}
    for kind, known in NAMES.items():
        found = [k for k, word in enumerate(words) if word in known]
        if len(found) > 1:
            raise InvalidInput(
                f"{table.where}: columns {table.names[found[0]]!r} and {table.names[found[1]]!r} both"
                f" say the {kind}: expected one"
            )
        if found:
            places[kind] = found[0]
    if "cost" not in places:
        among = ", ".join(map(repr, table.names))
        raise InvalidInput(
            f"{table.where}: no column 'cost' among {among:.200}: expected type, count, cost, or bid"
        )
    return places


def _by_type(table: Table, types: list[str], numbers: dict[str, np.ndarray]) -> dict[str, Any]:
    """Counts and costs of types, in the order in which they first appear."""
    for row, name in enumerate(types):
        if name.lower() in NONE:
            raise InvalidInput(f"{table.where}, row {table.lines[row]}: no type: expected its name")
    names = list(dict.fromkeys(types))
    rows = [np.flatnonzero([one == name for one in types]) for name in names]
    if "count" in numbers:
        for name, own in zip(names, rows, strict=True):
            if own.size > 1:
                raise InvalidInput(
                    f"{table.where}, row {table.lines[own[1]]}: type {name!r} occurs twice beside a count"
                )
        return {"names": names, "counts": numbers["count"].tolist(), "costs": numbers["cost"].tolist()}
    asked = [numbers["cost"][own][~np.isnan(numbers["cost"][own])].tolist() for own in rows]
    for name, one in zip(names, asked, strict=True):
        if not one:
            raise InvalidInput(f"{table.where}: nobody of type {name!r} says a cost: expected one at least")
    return {"names": names, "counts": [own.size for own in rows], "costs": asked}
