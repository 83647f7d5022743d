"""Numbers as people write them: which mark is decimal follows from all that are written, or is asked for.

>>> parse_columns({"data": ["1.600", "3.200"], "value": ["0,81", "0,86"]})["data"]
(array([1600., 3200.]), False)
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np

from contracts.errors import InvalidInput

GROUPED = re.compile(r"[-+]?[1-9]\d{0,2}([.,])\d{3}(\1\d{3})*")  # thousands, or three decimals
NONE = ("", "na", "n/a", "nan", "null", "none", "-", "–", "—", "#n/a")
FACTORS = {"k": 1e3, "m": 1e6, "b": 1e9}  # of amounts of data: 10k, 1.5M


def parse_columns(
    cells: Mapping[str, Sequence[str]],
    *,
    place: Callable[[str, int], str] = lambda name, row: f"row {row + 1}, column {name!r}",
    optional: tuple[str, ...] = (),
    amounts: tuple[str, ...] = ("data",),
) -> dict[str, tuple[np.ndarray, bool]]:
    """Numbers of a table's columns, and whether they have percent signs.

    Args:
        cells: texts by column.
        place: how errors call a cell.
        optional: columns that may have empty cells, which become NaN.
        amounts: columns of amounts, which may end in k, M or B.

    Raises:
        InvalidInput: a cell is no number, or what it means cannot be told.
    """
    texts = {name: [_plain(text) for text in column] for name, column in cells.items()}
    decimal = _decimal_mark(texts, place)
    found = {}
    for name, column in texts.items():
        signs = {text.endswith("%") for text in column if text.lower() not in NONE}
        if len(signs) > 1:
            k = next(i for i, text in enumerate(column) if not text.endswith("%"))
            raise InvalidInput(
                f"{place(name, k)}: {cells[name][k]!r}: no percent sign, where other rows have one"
            )
        at = partial(place, name)
        values = [
            _number(text, decimal, name in optional, name in amounts, partial(at, k), cells[name][k])
            for k, text in enumerate(column)
        ]
        if name in amounts:
            _not_both(column, decimal, at)
        found[name] = (np.array(values), signs == {True})
    return found


def _plain(text: str) -> str:
    """Without blanks and apostrophes between thousands, with plain signs."""
    words = text.strip().replace("−", "-").replace(" %", "%").replace("\u00a0%", "%").replace("\u202f%", "%")
    return re.sub(r"(?<=\d)[\s\u00a0\u202f\u2009'’_](?=\d{3}(\D|$))", "", words)


def _decimal_mark(texts: Mapping[str, list[str]], place: Callable[[str, int], str]) -> str:
    """Which of . and , is decimal: "" where no number has a mark; refused where the table contradicts itself."""
    proved: dict[str, tuple[str, int]] = {}
    doubtful: tuple[str, int] | None = None
    for name, column in texts.items():
        for k, text in enumerate(column):
            marks = [c for c in text if c in ".,"]
            if not marks:
                continue
            if GROUPED.fullmatch(text.rstrip("%")):
                if len(marks) == 1:
                    doubtful = doubtful or (name, k)
                else:  # two groups of thousands: the other mark is decimal
                    proved.setdefault("," if marks[0] == "." else ".", (name, k))
                continue
            proved.setdefault(marks[-1], (name, k))
    if len(proved) == 2:
        raise _both(proved, texts, place)
    if proved:
        return next(iter(proved))
    if doubtful is None:
        return "."
    name, k = doubtful
    text = texts[name][k]
    raise InvalidInput(
        f"{place(name, k)}: {text!r} may mean {re.sub('[.,]', '', text)} or {text.replace(',', '.')}:"
        " expected it without a mark between thousands"
    )


def _both(proved: dict[str, tuple[str, int]], texts: Mapping[str, list[str]], place: Callable) -> InvalidInput:
    (first, (name1, k1)), (_, (name2, k2)) = proved.items()
    return InvalidInput(
        f"{place(name2, k2)}: {texts[name2][k2]!r} beside {texts[name1][k1]!r}: decimal points and decimal"
        f" commas in one table: expected {first!r} throughout"
    )


def _number(
    text: str, decimal: str, optional: bool, amount: bool, place: Callable[[], str], written: str
) -> float:
    if optional and text.lower() in NONE:
        return math.nan
    words, factor = text.rstrip("%").strip(), 1.0
    if amount and words[-1:].lower() in FACTORS and words[-1:] != "m":
        words, factor = words[:-1].strip(), FACTORS[words[-1].lower()]
    thousands = "," if decimal == "." else "."
    if thousands in words and not re.fullmatch(rf"[-+]?\d{{1,3}}(\{thousands}\d{{3}})+(\{decimal}\d*)?", words):
        words = "?"
    words = words.replace(thousands, "").replace(decimal, ".")
    try:
        if not re.fullmatch(r"[-+]?((0|[1-9]\d*)(\.\d*)?|\.\d+)(e[-+]?\d+)?|[-+]?inf|nan", words, re.IGNORECASE):
            raise ValueError
        return float(words) * factor
    except ValueError as error:
        hint = ""
        if "±" in written or "+/-" in written or "+-" in written:
            hint = ": put what follows the sign into a column 'standard_error' of its own"
        elif "," in written and decimal == ".":
            hint = " (decimal commas need semicolons between columns)"
        elif re.fullmatch(r"0\d+", words):
            hint = " without leading zeros (thousands need quotes where commas stand between columns)"
        kind = "a finite number > 0" if amount else "a number"
        raise InvalidInput(f"{place()}: {written!r}: expected {kind}{hint}") from error


def _not_both(column: list[str], decimal: str, place: Callable[[int], str]) -> None:
    """Refuse an amount such as 1.600 among whole ones: it may be meant as 1600."""
    three = [k for k, text in enumerate(column) if GROUPED.fullmatch(text) and decimal in text]
    others = [text for k, text in enumerate(column) if k not in three]
    if three and all(re.fullmatch(r"\d+", text) for text in others):
        k = three[0]
        raise InvalidInput(
            f"{place(k)}: {column[k]!r} may mean {column[k].replace(decimal, '')} or"
            f" {column[k].replace(decimal, '.')}: expected it without a mark between thousands"
        )
