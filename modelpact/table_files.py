"""Tables as files for spreadsheets: CSV or Excel (.xlsx) by the file's ending, numbers in full.

A text that a spreadsheet would take for a formula is written as a text. Source: OWASP, "CSV Injection".
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from contracts.errors import BackendMissing
from contracts.storage import write_atomically

if TYPE_CHECKING:
    from contracts.contract import Contract, Settlement

TABLES = (".csv", ".xlsx")
FORMULAS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def menu_columns(contract: Contract) -> dict[str, Any]:
    """What a contract says to each type, by column."""
    population = contract.problem.population
    groups = {} if population.groups is None else {"group": population.groups}
    return {
        "type": population.names or (),
        **groups,
        "cost": population.costs,
        "probability": population.probabilities,
        "contribution": contract.contribution,
        "value": contract.expected_reward,
        "net value": contract.utility,
        "staying out": contract.reservation_utility,
        "better by": contract.information_rent,
    }


def settlement_columns(settled: Settlement) -> dict[str, Any]:
    """Who receives what, by column."""
    return {
        "type": settled.names,
        "participants": settled.counts,
        "contributed each": settled.contribution,
        "accuracy": settled.accuracy,
        "value": settled.value,
        "net value": settled.utility,
    }


def write_table(path: Path, columns: Mapping[str, Any], *, sheet: str = "modelpact") -> None:
    """Write a table, atomically.

    Args:
        path: ends in .csv or .xlsx.
        columns: entries by column, all of one length.
        sheet: what the sheet of a spreadsheet is called.

    Raises:
        BackendMissing: a spreadsheet without openpyxl.
    """
    write_atomically(path, table_bytes(path.suffix, columns, sheet=sheet))


def table_bytes(suffix: str, columns: Mapping[str, Any], *, sheet: str = "modelpact") -> bytes:
    """The same as bytes, for the ending ".csv" or ".xlsx".

    >>> table_bytes(".csv", {"type": ["=A1"], "cost": [0.1]}).decode("utf-8-sig").splitlines()
    ['type,cost', "'=A1,0.1"]
    """
    rows = [list(columns), *([_plain(entry) for entry in row] for row in zip(*columns.values(), strict=True))]
    return _spreadsheet(rows, sheet) if suffix.lower() == ".xlsx" else _csv(rows)


def _plain(entry: Any) -> str | int | float | bool | None:
    """A number or a text; None for what is no number."""
    value = entry.item() if isinstance(entry, np.generic) else entry
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if isinstance(value, str | int | float | bool) or value is None else str(value)


def _csv(rows: list[list[Any]]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text)
    for row in rows:
        writer.writerow([_harmless(entry) if isinstance(entry, str) else entry for entry in row])
    # With the mark spreadsheets know that it is UTF-8.
    return text.getvalue().encode("utf-8-sig")


def _harmless(text: str) -> str:
    return f"'{text}" if text.startswith(FORMULAS) else text


def _spreadsheet(rows: list[list[Any]], sheet: str) -> bytes:
    try:
        import openpyxl
    except ImportError as error:
        raise BackendMissing("openpyxl", "writing .xlsx", "tables") from error
    book = openpyxl.Workbook()
    page: Any = book.active
    page.title, page.freeze_panes = sheet, "A2"
    for i, row in enumerate(rows, 1):
        for j, entry in enumerate(row, 1):
            cell = page.cell(i, j, entry)
            if isinstance(entry, str):
                cell.data_type = "s"  # a text, whatever it begins with
    stream = io.BytesIO()
    book.save(stream)
    return stream.getvalue()
