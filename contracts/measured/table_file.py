"""Tables of text cells from files as people have them: CSV in any usual dialect, and spreadsheets (.xlsx).

Encoding (UTF-8, UTF-16, Latin-1), the mark between columns (comma, semicolon, tab, bar, blanks) and the row of
names are found out; what was not plain is said in notes.
"""

from __future__ import annotations

import csv
import io
import os
import re
import warnings
import zipfile
from pathlib import Path
from typing import Any

from contracts.errors import BackendMissing, InvalidInput
from contracts.records import frozen

LARGEST_FILE = 10_000_000
MARKS = (";", "\t", "|", ",")
NUMBER = re.compile(r"[-+−]?[\d.,'’\s]*\d[\d.,'’\s]*(e[-+]?\d+)?\s*%?", re.IGNORECASE)
OLD_EXCEL, ZIP = b"\xd0\xcf\x11\xe0", b"PK\x03\x04"


@frozen
class Table:
    """Text cells in columns with names.

    Attributes:
        where: the file, as errors call it.
        names: of the columns, as in the file.
        lines: the rows' numbers, as an editor counts them.
        rows: the cells below the names, each row as long as `names`.
        notes: what was not plain.
    """

    where: str
    names: tuple[str, ...]
    lines: tuple[int, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...]

    def column(self, k: int) -> list[str]:
        """The cells of one column."""
        return [row[k] for row in self.rows]

    def place(self, row: int, column: int) -> str:
        """A cell, as errors call it."""
        return f"{self.where}, row {self.lines[row]}, column {self.names[column]!r}"


def read_table(path: str | os.PathLike[str], what: str, first: str) -> Table:
    """Read a table.

    Args:
        path: the file.
        what: what it is to hold, for errors.
        first: what its first row should say, for errors.

    Raises:
        InvalidInput: one line with the file and the cure.
        BackendMissing: a spreadsheet without openpyxl.

    >>> read_table("nowhere.csv", "a CSV file of measurements", "data, accuracy")
    Traceback (most recent call last):
    contracts.errors.InvalidInput: nowhere.csv: No such file or directory: expected a CSV file of measurements
    """
    where = str(path)
    try:
        if Path(where).is_file() and Path(where).stat().st_size > LARGEST_FILE:
            raise InvalidInput(f"{where}: {Path(where).stat().st_size} bytes: expected at most {LARGEST_FILE}")
        content = Path(where).read_bytes()
    except (OSError, ValueError) as error:
        if isinstance(error, InvalidInput):
            raise
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise InvalidInput(f"{where}: {reason}: expected {what}") from error
    if content[:4] == OLD_EXCEL:
        raise InvalidInput(f"{where}: an Excel file of the old form (.xls): save it as .xlsx or as CSV")
    if content[:4] == ZIP:
        numbered, notes = _spreadsheet(where, content, what)
    else:
        numbered, notes = _text_rows(where, content, what)
    return _named(where, numbered, notes, first)


def _named(where: str, numbered: list[tuple[int, list[str]]], notes: list[str], first: str) -> Table:
    """With the row of names found, and every row as long as it."""
    rows = [
        (line, [cell.strip() for cell in row]) for line, row in numbered if any(cell.strip() for cell in row)
    ]
    if not rows:
        raise InvalidInput(f"{where} is empty: expected a first row with {first}")
    titles = 0
    while titles + 1 < len(rows) and sum(map(bool, rows[titles][1])) == 1 < sum(map(bool, rows[titles + 1][1])):
        titles += 1
    if titles:
        notes.append(
            f"row(s) above the names of the columns are left aside: {' '.join(rows[0][1]).strip()!r:.60}"
        )
    line, names = rows[titles]
    while names and not names[-1]:
        names = names[:-1]
    named = [name for name in names if name]
    if len(named) >= 2 and all(NUMBER.fullmatch(name) for name in named):
        raise InvalidInput(
            f"{where}, row {line}: numbers where names of columns are expected: put {first} above"
        )
    body = []
    for line, row in rows[titles + 1 :]:
        if any(row[len(names) :]):
            cure = (
                " (decimal commas need semicolons between columns, or quotes)" if len(names) < len(row) else ""
            )
            raise InvalidInput(
                f"{where}, row {line}: {len(row)} cells: expected {len(names)}, one for each name{cure}"
            )
        body.append((line, tuple(row[: len(names)] + [""] * (len(names) - len(row)))))
    return Table(
        where=where,
        names=tuple(names),
        lines=tuple(line for line, _ in body),
        rows=tuple(row for _, row in body),
        notes=tuple(notes),
    )


def _text_rows(where: str, content: bytes, what: str) -> tuple[list[tuple[int, list[str]]], list[str]]:
    text, notes = _decoded(where, content, what)
    lines = text.splitlines()
    stated = re.fullmatch(r"\s*sep=(.)\s*", lines[0], re.IGNORECASE) if lines else None
    numbered = [(k + 1, line) for k, line in enumerate(lines) if line.strip() and not (stated and k == 0)]
    comments = [(k, line) for k, line in numbered if line.lstrip().startswith("#")]
    plain = [(k, line) for k, line in numbered if not line.lstrip().startswith("#")]
    # Names in a comment just above numbers, as NumPy writes them; "# samples" is a name itself.
    if comments and plain and comments[0][0] <= plain[0][0]:
        k, names = max(pair for pair in comments if pair[0] < plain[0][0])
        numeric = all(
            NUMBER.fullmatch(cell.strip()) for cell in _split(plain[0][1], _mark([plain[0][1]])) if cell.strip()
        )
        own = k == numbered[0][0] and _mark([names]) != " " and not numeric
        if numeric or own:
            plain = [(k, names.replace("#", " ", 1) if numeric else names), *plain]
    if not plain:
        return [], notes
    mark = stated[1] if stated else _mark([line for _, line in plain])
    if mark == " ":
        return [(k, line.split()) for k, line in plain], notes
    try:
        reader = csv.reader(io.StringIO("\n".join(line for _, line in plain)), delimiter=mark, strict=False)
        at = [k for k, _ in plain]
        rows = []
        before = 0
        for row in reader:
            rows.append((at[min(before, len(at) - 1)], row))
            before = reader.line_num
    except csv.Error as error:
        raise InvalidInput(f"{where}: {error}: expected {what}") from error
    return rows, notes


def _decoded(where: str, content: bytes, what: str) -> tuple[str, list[str]]:
    """The text, whatever its encoding."""
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        encodings = ("utf-16",)
    elif b"\x00" in content[:200]:  # every other byte of plain letters in UTF-16
        encodings = ("utf-16-be",) if content[:1] == b"\x00" else ("utf-16-le",)
    else:
        encodings = ("utf-8-sig", "cp1252")
    for encoding in encodings:
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        if any(ord(c) < 32 and c not in "\t\r\n\f\v" for c in text):
            continue
        notes = ["not UTF-8: read as Latin-1"] if encoding == "cp1252" else []
        return text, notes
    raise InvalidInput(f"{where}: not text: expected {what}")


def _split(line: str, mark: str) -> list[str]:
    return line.split() if mark == " " else next(csv.reader([line], delimiter=mark), [])


def _mark(lines: list[str]) -> str:
    """What stands between columns: the first mark that the names have, blanks where they have none."""
    for mark in MARKS:
        if len(_split(lines[0], mark)) > 1:
            return mark
    return " " if len(lines[0].split()) > 1 and len({len(line.split()) for line in lines}) == 1 else ","


def _spreadsheet(where: str, content: bytes, what: str) -> tuple[list[tuple[int, list[str]]], list[str]]:
    """The rows of a spreadsheet's first sheet that has any."""
    try:
        names = zipfile.ZipFile(io.BytesIO(content)).namelist()
    except zipfile.BadZipFile as error:
        raise InvalidInput(f"{where}: a damaged file: expected {what}") from error
    if "xl/workbook.xml" not in names:
        raise InvalidInput(f"{where}: neither text nor an Excel file: save it as .xlsx or as CSV")
    try:
        import openpyxl
    except ImportError as error:
        raise BackendMissing(
            "openpyxl", f"{where}: reading .xlsx (or save the sheet as CSV)", "tables"
        ) from error
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of extensions that hold no cells
            book = openpyxl.load_workbook(io.BytesIO(content), data_only=True)
            sheets = {
                sheet.title: [(k, [_cell(cell) for cell in row]) for k, row in enumerate(sheet.iter_rows(), 1)]
                for sheet in book.worksheets
                if sheet.sheet_state == "visible"
            }
    except Exception as error:  # whatever a damaged file makes of it
        raise InvalidInput(f"{where}: cannot be read as .xlsx: expected {what}") from error
    full = {title: rows for title, rows in sheets.items() if any(any(row) for _, row in rows)}
    if not full:
        return [], []
    title, rows = next(iter(full.items()))
    others = [f"{other!r:.40}" for other in full if other != title]
    notes = [f"sheet {title!r:.40} is read, {', '.join(others)} left aside"] if others else []
    return rows, notes


def _cell(cell: Any) -> str:
    """A cell's text; numbers that are shown in percent with their sign."""
    value = cell.value
    if value is None:
        return ""
    if isinstance(value, float | int) and not isinstance(value, bool):
        if "%" in str(cell.number_format or ""):
            return f"{float(value) * 100.0:.15g}%"
        return f"{value:.15g}" if isinstance(value, float) else str(value)
    return str(value)
