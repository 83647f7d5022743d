"""Files of measurements: what can only mean one thing is read, and for the rest one line names the cure."""

from __future__ import annotations

import csv
import math
import os
from pathlib import Path

import numpy as np

from contracts.errors import InvalidInput
from contracts.measured.measurements import FEWEST_ROWS, Measurements
from contracts.measured.scores import MAPS, NAMES, RANGES

DATA = (
    "data",
    "train_size",
    "train_sizes",
    "size",
    "size_train",
    "n",
    "n_train",
    "samples",
    "tokens",
    "examples",
)
ERRORS = ("standard_error", "std_err", "stderr", "std_error", "se", "sem", "s.e.")
DEVIATIONS = ("test_score_std", "std", "sd", "std_test_score")
SIGNS = ("(%)", "%", "in %", "percent")
LARGEST_FILE = 10_000_000


def read_measurements(path: str | os.PathLike[str]) -> Measurements:
    """Read a CSV file of measured scores by amounts of data.

    Columns are found by name: `data` (or `train_size`, `tokens`, ...), `accuracy` (or `error`, `loss`,
    `perplexity`, `auc`, `r2`, ...; see `contracts.measured.scores`) and, optionally, `standard_error` (or
    `std_err`, `sem`, ...). Two columns of other names are the data and the accuracy. Semicolons with decimal
    commas, tabs, percent and several rows of one size (replicates, whose mean and standard error are taken) are
    understood.

    Args:
        path: the file, UTF-8, its first line naming the columns (others are left aside).

    Returns:
        The `Measurements`; its notes say what was not plain.

    Raises:
        InvalidInput: the file cannot be read, lacks a column, or a cell is not what is accepted; the message
            is one line that names the file, the row (as an editor numbers it) and the column.

    >>> read_measurements("nowhere.csv")
    Traceback (most recent call last):
    contracts.errors.InvalidInput: nowhere.csv: No such file or directory: expected a CSV file of measurements
    """
    where = str(path)
    lines, rows, comma = _rows(where)
    columns, notes = _columns(where, [cell.strip() for cell in rows[0]])
    score, percent = columns.pop("score"), columns.pop("percent")
    cells = {
        name: [
            _cell(
                where, line, name, rows[0][index].strip(), row[index].strip() if index < len(row) else "", comma
            )
            for line, row in zip(lines[1:], rows[1:], strict=True)
        ]
        for name, index in columns.items()
    }
    signs = percent or any(sign for _, sign in cells["value"])
    table = {name: np.array([value for value, _ in column]) for name, column in cells.items()}
    if signs:
        table = {name: values if name == "data" else values / 100.0 for name, values in table.items()}
        notes.append("read as percent")
    _check_values(where, lines[1:], rows[0][columns["value"]].strip(), score, table)
    if "deviation" in table:
        notes.append(
            "standard deviations over splits stand for standard errors: rather too large than too small"
        )
        table["error"] = table.pop("deviation")
    lines, table, more = _merged(where, lines[1:], table)
    made = _measurements(where, score, table, [*notes, *more])
    _refuse_error_rates(where, made)
    return made


def _columns(where: str, header: list[str]) -> tuple[dict, list[str]]:
    """Which column is what, the score's kind, and whether it is in percent."""
    plain, percent = [], []
    for name in header:
        word = name.lower()
        sign = next((one for one in SIGNS if word.endswith(one)), None)
        plain.append((word[: -len(sign)] if sign else word).strip().replace(" ", "_").replace("-", "_"))
        percent.append(sign is not None)
    found: dict = {}
    for kind, names in (("data", DATA), ("value", tuple(NAMES)), ("error", ERRORS), ("deviation", DEVIATIONS)):
        places = [k for name in names for k, word in enumerate(plain) if word == name]
        if places:
            if plain.count(plain[places[0]]) > 1:
                raise InvalidInput(f"{where}: column {header[places[0]]!r} occurs twice: expected it once")
            found[kind] = places[0]
    notes = []
    if len(header) == 2 and len(found) < 2 and not {"error", "deviation"} & set(found):
        found = {"data": 0, "value": 1}
        notes.append(f"columns {header[0]!r} and {header[1]!r} are read as data and accuracy")
    for kind, name in (("data", "data"), ("value", "accuracy")):
        if kind not in found:
            raise InvalidInput(
                f"{where}: no column {name!r} among {', '.join(map(repr, header))}: expected data, accuracy"
            )
    if "error" in found:
        found.pop("deviation", None)
    score = NAMES.get(plain[found["value"]], "accuracy")
    return {**found, "score": score, "percent": percent[found["value"]]}, notes


def _rows(where: str) -> tuple[list[int], list[list[str]], bool]:
    """The non-blank rows of a CSV file, their line numbers, and whether commas are decimal."""
    try:
        if Path(where).is_file() and Path(where).stat().st_size > LARGEST_FILE:
            raise InvalidInput(f"{where}: {Path(where).stat().st_size} bytes: expected at most {LARGEST_FILE}")
        text = Path(where).read_text(encoding="utf-8-sig")
        first = next((line for line in text.splitlines() if line.strip()), "")
        mark = ";" if ";" in first else "\t" if "\t" in first and "," not in first else ","
        reader = csv.reader(text.splitlines(), delimiter=mark)
        numbered = [(reader.line_num, row) for row in reader if any(cell.strip() for cell in row)]
    except InvalidInput:
        raise
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise InvalidInput(f"{where}: {reason}: expected a CSV file of measurements") from error
    except csv.Error as error:
        raise InvalidInput(f"{where}: {error}: expected a CSV file of measurements") from error
    if not numbered:
        raise InvalidInput(f"{where} is empty: expected a first row with data, accuracy")
    lines, rows = zip(*numbered, strict=True)
    return list(lines), list(rows), mark != ","


def _cell(where: str, line: int, kind: str, column: str, text: str, comma: bool) -> tuple[float, bool]:
    """One number of the table, and whether it has a percent sign; no error given is no number."""
    accepted = "a finite number > 0" if kind == "data" else "a number"
    sign = text.endswith("%")
    words = text.rstrip("%").strip()
    if kind in ("error", "deviation") and words.lower() in ("", "na", "nan", "-"):
        return math.nan, False
    try:
        value = float(words.replace(",", ".") if comma else words)
    except ValueError as error:
        hint = " (decimal commas need semicolons between columns)" if "," in words else ""
        raise InvalidInput(
            f"{where}, row {line}, column {column!r}: {text!r}: expected {accepted}{hint}"
        ) from error
    if kind in ("error", "deviation") and not 0.0 <= value < math.inf:
        raise InvalidInput(f"{where}, row {line}, column {column!r}: {text}: expected a finite number >= 0")
    return value, sign


def _check_values(where: str, lines: list[int], column: str, score: str, table: dict[str, np.ndarray]) -> None:
    words, low, high = RANGES[score]
    for line, data, value in zip(lines, table["data"], table["value"], strict=True):
        if not 0.0 < data < math.inf:
            raise InvalidInput(f"{where}, row {line}, column 'data': {data:g}: expected a finite number > 0")
        if not low <= value <= high:
            large = bool(low == 0.0 and high == 1.0 and 1.0 < value <= 100.0 and table["value"].min() >= 0.0)
            cure = " (percent? name the column 'accuracy (%)')" if large else ""
            raise InvalidInput(f"{where}, row {line}, column {column!r}: {value:g}: expected {words}{cure}")
    for kind in ("error", "deviation"):
        for line, value in zip(lines, table.get(kind, ()), strict=False):
            if value > 1.0 and score in ("accuracy", "error", "auc", "r2"):
                raise InvalidInput(f"{where}, row {line}, column '{kind}': {value:g}: expected at most 1")


def _merged(where: str, lines: list[int], table: dict[str, np.ndarray]) -> tuple:
    """Rows of one size as their mean, its standard error taken from their spread."""
    data = table["data"]
    again = np.flatnonzero(np.diff(data) < 0)
    if again.size:
        k = int(again[0])
        raise InvalidInput(
            f"{where}, row {lines[k + 1]}, column 'data': {data[k + 1]:g} follows {data[k]:g}:"
            " expected increasing amounts of data"
        )
    sizes, place, count = np.unique(data, return_inverse=True, return_counts=True)
    if len(data) < FEWEST_ROWS or sizes.size < FEWEST_ROWS:
        what = "rows of measurements" if sizes.size == len(data) else "different amounts of data"
        raise InvalidInput(f"{where}: {sizes.size} {what}: expected at least {FEWEST_ROWS}")
    if sizes.size == len(data):
        return lines, table, []
    mean = np.bincount(place, table["value"]) / count
    squares = np.bincount(place, (table["value"] - mean[place]) ** 2)
    free = float((count - 1).sum())
    # One spread for all sizes: two or three replicates say little each.
    spread = math.sqrt(float(squares.sum()) / free)
    merged = {"data": sizes, "value": mean, "error": np.maximum(spread, 1e-3) / np.sqrt(count)}
    note = f"{len(data)} rows of {sizes.size} sizes: means, with standard errors from their spread {spread:.2g}"
    return lines, merged, [note]


def _measurements(where: str, score: str, table: dict[str, np.ndarray], notes: list[str]) -> Measurements:
    there, _, slope = MAPS[score]
    error = table.get("error")
    if error is not None:
        error = np.minimum(error * slope(table["value"]), 1.0)
    if score not in ("accuracy", "auc", "r2"):
        notes.append(f"{score} is read on the scale of accuracies, where more is better")
    if score not in ("accuracy", "error"):
        notes.append(f"what real curves look like was learned from accuracies: for {score} it is an analogy")
    try:
        return Measurements(
            data=table["data"],
            accuracy=there(table["value"]),
            standard_error=error,
            score=score,
            notes=tuple(notes),
        )
    except InvalidInput as found:
        raise InvalidInput(f"{where}: {found}") from found


def _refuse_error_rates(where: str, made: Measurements) -> None:
    falls = bool((np.diff(made.accuracy) < 0.0).all()) and made.size > FEWEST_ROWS
    if made.score == "accuracy" and falls and made.accuracy[-1] < 0.5 * made.accuracy[0] < 0.25:
        raise InvalidInput(
            f"{where}: accuracy falls at every size, from {made.accuracy[0]:g} to {made.accuracy[-1]:g}:"
            " expected accuracies; if these are error rates, name the column 'error'"
        )
