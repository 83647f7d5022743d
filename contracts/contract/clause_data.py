"""Launch clauses as plain data; a cap that is infinite (the whole model) is null."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from contracts.errors import InvalidInput
from contracts.problem.clause import Clause
from contracts.problem.data_tables import brief, known


def clause_to_data(clause: Clause) -> dict[str, Any]:
    """A clause as a table of plain values."""
    caps = [[None if np.isinf(cap) else cap for cap in row] for row in clause.cap.tolist()]
    return {
        "kind": clause.kind,
        "counts": clause.counts.tolist(),
        "contribution": clause.contribution.tolist(),
        "cap": caps,
        "guarantee": clause.guarantee.tolist(),
    }


def clause_from_data(table: dict[str, Any]) -> Clause:
    """A clause from a table.

    Raises:
        InvalidInput: a key is unknown or missing, or a value is not what is accepted.
    """
    known("clause", table, tuple(field.name for field in dataclasses.fields(Clause)))
    counts = table["counts"]
    if not isinstance(counts, list) or not all(isinstance(n, int) and 0 < n < 10**9 for n in counts):
        raise InvalidInput(f"[clause] counts = {brief(counts)}: expected a list of whole numbers")
    try:
        return Clause(
            kind=table["kind"],
            counts=np.array(counts, dtype=float),
            contribution=_matrix("contribution", table["contribution"]),
            cap=_matrix("cap", table["cap"]),
            guarantee=_matrix("guarantee", table["guarantee"]),
        )
    except InvalidInput as error:
        raise InvalidInput(f"[clause] {error}") from error


def _matrix(name: str, rows: Any) -> np.ndarray:
    """A list of lists of numbers, each as long as the others; null where a cap is infinite."""
    listed = isinstance(rows, list) and rows and all(isinstance(row, list) and row for row in rows)
    if not listed or len({len(row) for row in rows}) != 1:
        raise InvalidInput(f"{name} = {brief(rows)}: expected a list of lists of numbers")
    for row in rows:
        for value in row:
            number = isinstance(value, int | float) and not isinstance(value, bool)
            if not (number or (value is None and name == "cap")):
                raise InvalidInput(f"{name}: {brief(value)}: expected a number")
    return np.array([[np.inf if value is None else float(value) for value in row] for row in rows])
