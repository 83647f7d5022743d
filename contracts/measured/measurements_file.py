"""Files of measurements: what can only mean one thing is read, and for the rest one line names the cure."""

from __future__ import annotations

import math
import os

import numpy as np
from scipy import stats

from contracts.errors import InvalidInput
from contracts.measured.column_names import Columns, find_columns
from contracts.measured.measurements import FEWEST_ROWS, Measurements
from contracts.measured.number_text import parse_columns
from contracts.measured.scores import FACTORS, MAPS, NAMES, RANGES
from contracts.measured.table_file import Table, read_table

SHARES = ("accuracy", "error", "auc", "r2")  # scores that may stand in percent
FALLS = -0.8  # rank correlation with the sizes at which a score falls or rises throughout
TINY, LARGEST_ERROR = 1e-5, 0.5


def read_measurements(path: str | os.PathLike[str]) -> Measurements:
    """Read a CSV or Excel file (.xlsx) of measured scores by amounts of data.

    Columns are found by name, as scikit-learn, Keras and people call them: `data` (or `train_size`,
    `n_samples`, `tokens`, ...), `accuracy` (or `error`, `val_loss`, `perplexity`, `auc`, `r2`, ...; see
    `contracts.measured.scores`) and, optionally, `standard_error` (or `sem`, or a deviation).
    Two columns of other names are the data and the accuracy. Semicolons, tabs, bars or blanks between columns,
    decimal commas, thousands, percent, UTF-8, UTF-16 or Latin-1, rows in any order, and several rows or columns
    of one size (replicates, whose mean and standard error are taken) are understood.

    Args:
        path: the file, with names of columns above the numbers.

    Returns:
        The `Measurements`; its notes say what was not plain.

    Raises:
        InvalidInput: the file cannot be read, lacks a column, or a cell may mean two things; the message is one
            line that names the file, the row (as an editor numbers it), the column and the cure.
        BackendMissing: an Excel file without openpyxl.

    >>> read_measurements("nowhere.csv")
    Traceback (most recent call last):
    contracts.errors.InvalidInput: nowhere.csv: No such file or directory: expected a CSV file of measurements
    """
    table = read_table(path, "a CSV file of measurements", "data, accuracy")
    columns = find_columns(table.where, list(table.names))
    score, notes = NAMES.get(columns.name, "accuracy"), [*table.notes, *columns.notes]
    lines, values, more = _values(table, columns, score)
    notes += more
    _check_ranges(table, columns, score, lines, values)
    if "deviation" in values:
        notes.append(_errors_from_deviations(values))
    values, more = _merged(table.where, values)
    notes += more
    made = _measurements(table.where, score, values, notes)
    _refuse_other_way_up(table.where, score, values["value"])
    return made


def _values(table: Table, columns: Columns, score: str) -> tuple[np.ndarray, dict[str, np.ndarray], list[str]]:
    """The numbers of the columns that matter, one row a measurement, and the line each is from."""
    places = columns.kinds | {f"replicate {k}": k for k in columns.replicates}
    of = {name: table.names[k] for name, k in places.items()}
    found = parse_columns(
        {name: table.column(k) for name, k in places.items()},
        place=lambda name, row: f"{table.where}, row {table.lines[row]}, column {of[name]!r}",
        optional=("error", "deviation", *(name for name in places if name.startswith("replicate"))),
    )
    lines, notes = np.array(table.lines, dtype=int), []
    if columns.replicates:
        wide = {name: found.pop(name) for name in list(found) if name.startswith("replicate")}
        value = np.concatenate([numbers for numbers, _ in wide.values()])
        kept, signs = ~np.isnan(value), {sign for _, sign in wide.values()}
        if len(signs) > 1:
            raise InvalidInput(f"{table.where}: percent signs in some of the columns only: expected them in all")
        found = {name: (np.tile(numbers, len(wide))[kept], sign) for name, (numbers, sign) in found.items()}
        found["value"], lines = (value[kept], signs == {True}), np.tile(lines, len(wide))[kept]
    values = {name: numbers for name, (numbers, _) in found.items()}
    notes += _from_percent(table, columns, score, values, {name for name, (_, sign) in found.items() if sign})
    if columns.name in FACTORS:
        for name in {"value", "error", "deviation"} & set(values):
            values[name] = values[name] * (
                FACTORS[columns.name] if name == "value" else abs(FACTORS[columns.name])
            )
        notes.append(f"{columns.name} is read as {score} in nats")
    return lines, values, notes


def _from_percent(
    table: Table, columns: Columns, score: str, values: dict[str, np.ndarray], signs: set[str]
) -> list[str]:
    """Divide by a hundred what stands in percent; errors stand in the unit of their scores if that is named."""
    percent = set(columns.percent) | signs
    spread = {"error", "deviation"} & set(values)
    if not percent & {"value", *spread}:
        return []
    if score not in SHARES:
        raise InvalidInput(f"{table.where}: {columns.name} in percent: expected numbers without percent")
    if (
        "value" in columns.percent
        and "value" not in signs
        and values["value"].size
        and values["value"].max() <= 1.0
    ):
        name = table.names[columns.kinds["value"]]
        raise InvalidInput(
            f"{table.where}: column {name!r}: no number above 1: leave the percent out of its name if these are"
            " fractions"
        )
    if "value" in signs and "value" not in columns.percent and spread - percent:
        name = table.names[columns.kinds[min(spread)]]
        raise InvalidInput(
            f"{table.where}: column {name!r}: no percent signs, where the scores have them: expected both alike"
        )
    if "value" in percent:
        percent |= spread
    for name in percent & {"value", *spread}:
        values[name] = values[name] / 100.0
    return ["read as percent"]


def _check_ranges(
    table: Table, columns: Columns, score: str, lines: np.ndarray, values: dict[str, np.ndarray]
) -> None:
    words, low, high = RANGES[score]
    column = table.names[columns.kinds["value"]] if "value" in columns.kinds else "replicates"
    for line, data, value in zip(lines, values["data"], values["value"], strict=True):
        if not 0.0 < data < math.inf:
            raise InvalidInput(
                f"{table.where}, row {line}, column 'data': {data:g}: expected a finite number > 0"
            )
        if not low <= value <= high:
            large = bool(low == 0.0 and high == 1.0 and 1.0 < value <= 100.0 and values["value"].min() >= 0.0)
            cure = " (percent? name the column 'accuracy (%)')" if large else ""
            raise InvalidInput(
                f"{table.where}, row {line}, column {column!r}: {value:g}: expected {words}{cure}"
            )
    for kind in ("error", "deviation"):
        for line, value in zip(lines, values.get(kind, ()), strict=False):
            place = f"{table.where}, row {line}, column {table.names[columns.kinds[kind]]!r}: {value:g}"
            if not (math.isnan(value) or 0.0 <= value < math.inf):
                raise InvalidInput(f"{place}: expected a finite number >= 0")
            if value > 1.0 and score in SHARES:
                raise InvalidInput(f"{place}: expected at most 1 (percent? say so in the names of both columns)")
            if kind == "error" and value > LARGEST_ERROR and score in SHARES and score != "r2":
                raise InvalidInput(f"{place}: no mean of numbers in [0, 1] is that uncertain: percent?")


def _errors_from_deviations(values: dict[str, np.ndarray]) -> str:
    deviation, times = values.pop("deviation"), values.pop("times", None)
    if times is None:
        values["error"] = deviation
        return "standard deviations over splits stand for standard errors: rather too large than too small"
    values["error"] = deviation / np.sqrt(np.maximum(times, 1.0))
    return "standard errors are the standard deviations over the root of how many were run"


def _merged(where: str, values: dict[str, np.ndarray]) -> tuple[dict[str, np.ndarray], list[str]]:
    """In order of size, rows of one size as their mean, its standard error taken from their spread."""
    values.pop("times", None)
    data, notes = values["data"], []
    order = np.argsort(data, kind="stable")
    sizes, place, count = np.unique(data, return_inverse=True, return_counts=True)
    if len(data) < FEWEST_ROWS or sizes.size < FEWEST_ROWS:
        what = "rows of measurements" if sizes.size == len(data) else "different amounts of data"
        raise InvalidInput(f"{where}: {sizes.size} {what}: expected at least {FEWEST_ROWS}")
    if sizes.size == len(data):
        if (np.diff(data) < 0.0).any():
            notes.append("rows are put in order of size")
        return {name: column[order] for name, column in values.items()}, notes
    mean = np.bincount(place, values["value"]) / count
    squares = np.bincount(place, (values["value"] - mean[place]) ** 2)
    # One spread for all sizes: two or three replicates say little each.
    spread = math.sqrt(float(squares.sum()) / float((count - 1).sum()))
    own = " (those in the file are left aside)" if "error" in values else ""
    notes.append(
        f"{len(data)} values of {sizes.size} sizes: means, with standard errors from their spread {spread:.2g}"
        f"{own}"
    )
    return {"data": sizes, "value": mean, "error": np.maximum(spread, 1e-3) / np.sqrt(count)}, notes


def _measurements(where: str, score: str, values: dict[str, np.ndarray], notes: list[str]) -> Measurements:
    there, _, slope = MAPS[score]
    error = values.get("error")
    if error is not None:
        error = np.minimum(error * slope(values["value"]), 1.0)
        notes += _suspicious(there(values["value"]), error, score)
    if score not in ("accuracy", "auc", "r2"):
        notes.append(f"{score} is read on the scale of accuracies, where more is better")
    if score not in ("accuracy", "error"):
        notes.append(f"what real curves look like was learned from accuracies: for {score} it is an analogy")
    try:
        return Measurements(
            data=values["data"],
            accuracy=there(values["value"]),
            standard_error=error,
            score=score,
            notes=tuple(notes),
        )
    except InvalidInput as found:
        raise InvalidInput(f"{where}: {found}") from found


def _suspicious(accuracy: np.ndarray, error: np.ndarray, score: str) -> list[str]:
    """Standard errors that hardly can be what they are called."""
    given = error[(error > 0.0) & np.isfinite(error)]
    if not given.size:
        return []
    notes = []
    if score in ("accuracy", "error") and (error > np.sqrt(accuracy * (1.0 - accuracy)) + 0.05).any():
        notes.append("standard errors larger than a single trial's: are they in percent?")
    if given.max() < TINY:
        notes.append(f"standard errors of {given.max():.1g} at most: are they variances, or divided twice?")
    return notes


def _refuse_other_way_up(where: str, score: str, value: np.ndarray) -> None:
    """Errors called accuracies, and accuracies called errors."""
    if score not in ("accuracy", "error") or value.size <= FEWEST_ROWS:
        return
    trend = float(stats.kendalltau(np.arange(value.size), value)[0])  # type: ignore[arg-type]
    first, last = float(value[0]), float(value[-1])
    if score == "accuracy" and trend <= FALLS and last < 0.5 * first < 0.25:
        raise InvalidInput(
            f"{where}: accuracy falls with the sizes, from {first:g} to {last:g}: expected accuracies; if these"
            " are error rates, name the column 'error'"
        )
    if score == "error" and trend >= -FALLS and 1.0 - last < 0.5 * (1.0 - first) < 0.25:
        raise InvalidInput(
            f"{where}: errors rise with the sizes, from {first:g} to {last:g}: expected error rates; if these"
            " are accuracies, name the column 'accuracy'"
        )
