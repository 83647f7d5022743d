"""Measured learning curves: accuracies of models trained on growing amounts of data, read and inspected.

>>> measured = Measurements(data=[50, 100, 200, 400], accuracy=[0.70, 0.79, 0.77, 0.90])
>>> for irregularity in measured.irregularities():
...     print(irregularity)
accuracy falls by 0.02 from 100 to 200 data
accuracy bends upwards at 200 data: 0.0567 below the chord from 100 to 400 data
"""

from __future__ import annotations

import csv
import math
import os
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from contracts import checks
from contracts.errors import InvalidInput
from contracts.records import frozen

FEWEST_ROWS = 3
COLUMNS = ("data", "accuracy", "standard_error")


@frozen
class Irregularity:
    """A place where measurements are not increasing or not concave.

    Attributes:
        kind: "decrease" or "bend" (upwards, not concave).
        low, at, high: the data between which it lies; `at` is the offending measurement.
        size: how far accuracy lies below the last measurement, or below its neighbours' chord.
        deviations: the same in standard errors of that difference; None without standard errors.
        significant: whether noise alone explains it with a probability below 1 % over the whole curve
            (Bonferroni); None without standard errors.
    """

    kind: str
    low: float
    at: float
    high: float
    size: float
    deviations: float | None
    significant: bool | None

    def __str__(self) -> str:
        if self.kind == "decrease":
            text = f"accuracy falls by {self.size:.3g} from {self.low:g} to {self.at:g} data"
        else:
            text = (
                f"accuracy bends upwards at {self.at:g} data: {self.size:.3g} below the chord"
                f" from {self.low:g} to {self.high:g} data"
            )
        if self.deviations is None:
            return text
        verdict = "significant" if self.significant else "within noise"
        return f"{text} ({self.deviations:.1f} standard errors, {verdict})"


@frozen
class Measurements:
    """Accuracies measured with models trained on different amounts of data.

    Args:
        data: amounts of data, strictly increasing, > 0, shape (measurements,), at least three.
        accuracy: mean accuracies measured there, in [0, 1], same shape.
        standard_error: standard errors of those means, > 0, same shape; None when unknown.

    Raises:
        InvalidInput: naming the argument, the index and what is accepted.

    >>> Measurements(data=[10, 20, 40], accuracy=[0.5, 0.6, 0.65]).size
    3
    """

    data: Any
    accuracy: Any
    standard_error: Any = None

    def __post_init__(self) -> None:
        data = checks.array("data", self.data, low=0.0, open_low=True)
        if data.size < FEWEST_ROWS:
            raise InvalidInput(f"data has {data.size} measurements: expected at least {FEWEST_ROWS}")
        for k in np.flatnonzero(np.diff(data) <= 0):
            raise InvalidInput(f"data[{k + 1}] = {data[k + 1]:g}: expected more than data[{k}] = {data[k]:g}")
        accuracy = checks.array("accuracy", self.accuracy, low=0.0, high=1.0, length=data.size)
        object.__setattr__(self, "data", data)
        object.__setattr__(self, "accuracy", accuracy)
        if self.standard_error is not None:
            error = checks.array("standard_error", self.standard_error, low=0.0, open_low=True, length=data.size)
            object.__setattr__(self, "standard_error", error)

    @property
    def size(self) -> int:
        """The number of measurements."""
        return self.data.size

    def irregularities(self) -> tuple[Irregularity, ...]:
        """Where the measurements decrease or are not concave, in order of data."""
        k = np.arange(1, self.size)
        falls = self._below(k, np.zeros(k.size), k - 1, k - 1, "decrease")
        inner = k[:-1]
        share = (self.data[inner + 1] - self.data[inner]) / (self.data[inner + 1] - self.data[inner - 1])
        bends = self._below(inner, 1.0 - share, inner - 1, inner + 1, "bend")
        return tuple(sorted(falls + bends, key=lambda found: found.at))

    def _below(
        self, at: np.ndarray, weight: np.ndarray, low: np.ndarray, high: np.ndarray, kind: str
    ) -> list[Irregularity]:
        """Measurements lying below (1 - weight) * accuracy[low] + weight * accuracy[high]."""
        size = (1.0 - weight) * self.accuracy[low] + weight * self.accuracy[high] - self.accuracy[at]
        deviations: list[float | None] = [None] * at.size
        if self.standard_error is not None:
            variance = self.standard_error**2
            spread = variance[at] + (1.0 - weight) ** 2 * variance[low] + weight**2 * variance[high]
            deviations = (size / np.sqrt(spread)).tolist()
        threshold = float(stats.norm.isf(0.01 / (2 * self.size)))
        return [
            Irregularity(
                kind=kind,
                low=float(self.data[low[i]]),
                at=float(self.data[at[i]]),
                high=float(self.data[high[i]]) if kind == "bend" else float(self.data[at[i]]),
                size=float(size[i]),
                deviations=deviation,
                significant=None if deviation is None else deviation > threshold,
            )
            # 1e-13 is the rounding of accuracies that lie on a line
            for i, deviation in enumerate(deviations)
            if size[i] > 1e-13
        ]


def read_measurements(path: str | os.PathLike[str]) -> Measurements:
    """Read a CSV file with the columns data, accuracy and, optionally, standard_error.

    Args:
        path: the file, UTF-8, its first line naming the columns (others are left aside).

    Returns:
        The `Measurements`.

    Raises:
        InvalidInput: the file cannot be read, lacks a column, or a cell is not what is accepted; the message
            is one line that names the file, the row (as an editor numbers it) and the column.

    >>> read_measurements("nowhere.csv")
    Traceback (most recent call last):
    contracts.errors.InvalidInput: nowhere.csv: No such file or directory: expected a CSV file of measurements
    """
    where = str(path)
    lines, rows = _rows(where)
    header = [cell.strip() for cell in rows[0]]
    for column in COLUMNS[:2]:
        if column not in header:
            found = ", ".join(map(repr, header))
            raise InvalidInput(f"{where}: no column {column!r} among {found}: expected data, accuracy")
    for column in COLUMNS:
        if header.count(column) > 1:
            raise InvalidInput(f"{where}: column {column!r} occurs twice: expected it once")
    used = [column for column in COLUMNS if column in header]
    table = np.array(
        [
            [_cell(where, line, column, row, header.index(column)) for column in used]
            for line, row in zip(lines[1:], rows[1:], strict=True)
        ]
    )
    if len(table) < FEWEST_ROWS:
        raise InvalidInput(f"{where}: {len(table)} rows of measurements: expected at least {FEWEST_ROWS}")
    for k in np.flatnonzero(np.diff(table[:, 0]) <= 0):
        raise InvalidInput(
            f"{where}, row {lines[k + 2]}, column 'data': {table[k + 1, 0]:g} follows {table[k, 0]:g}:"
            " expected increasing amounts of data"
        )
    return Measurements(**dict(zip(used, table.T, strict=True)))


def _rows(where: str) -> tuple[list[int], list[list[str]]]:
    """The non-blank rows of a CSV file and their line numbers."""
    try:
        with Path(where).open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.reader(stream)
            numbered = [(reader.line_num, row) for row in reader if any(cell.strip() for cell in row)]
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise InvalidInput(f"{where}: {reason}: expected a CSV file of measurements") from error
    except csv.Error as error:
        raise InvalidInput(f"{where}: {error}: expected a CSV file of measurements") from error
    if not numbered:
        raise InvalidInput(f"{where} is empty: expected a first row with data, accuracy")
    lines, rows = zip(*numbered, strict=True)
    return list(lines), list(rows)


def _cell(where: str, line: int, column: str, row: list[str], index: int) -> float:
    """One number of the table, inside what its column accepts."""
    place = f"{where}, row {line}, column {column!r}"
    text = row[index].strip() if index < len(row) else ""
    accepted = "a number in [0, 1]" if column == "accuracy" else "a finite number > 0"
    try:
        value = float(text)
    except ValueError as error:
        raise InvalidInput(f"{place}: {text!r}: expected {accepted}") from error
    inside = 0.0 <= value <= 1.0 if column == "accuracy" else value > 0.0 and math.isfinite(value)
    if not inside:
        raise InvalidInput(f"{place}: {text}: expected {accepted}")
    return value
