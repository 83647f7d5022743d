"""The launch clause of a menu: what becomes of it by how many sign.

Amounts are effective data and values units of rows (`contracts.problem.standard_form`), one row an option.

Source: assurance contracts (provision points with refund), Bagnoli and Lipman 1989; the clauses here are ours.
"""

from __future__ import annotations

import itertools
from functools import cached_property

import numpy as np

from contracts import checks
from contracts.errors import InvalidInput
from contracts.records import frozen

KINDS = ("fixed", "count", "table", "cut", "contingent")


@frozen
class Clause:
    """What a menu with a launch clause offers, by the number of signatures.

    Attributes:
        kind: "fixed": the menu as it is, released with fewer than counts[0] signatures. "count": an insured
            menu,
            released with fewer than counts[0] signatures. "table": an insured menu for each number of signatures
            from counts[0] on, released with fewer. "cut": contributions are cut, never raised, until the model
            pays for them. "contingent": what each option asks for and gives follows from the whole profile of
            signatures, one for each number from counts[0] on, released with fewer or more.
        counts: numbers of signatures from which each menu holds, each one more than the one before, shape
            (menus,); 1 for "cut".
        contribution: effective data that each option asks for, shape (menus, rows); of the top option (the last)
            of an insured menu the least that it may be. Of a contingent menu shape (profiles, rows), in the
            order
            of `profiles`; 0 for options that nobody signed.
        cap: value up to which each option receives the model, of the same shape; infinite for the whole model.
        guarantee: what each option leaves to its own row, the cost of joining not yet taken off, shape (menus,
            rows): in every launch at least (of insured menus exactly).

    Raises:
        InvalidInput: shapes that do not fit, or numbers out of their range.
    """

    kind: str
    counts: np.ndarray
    contribution: np.ndarray
    cap: np.ndarray
    guarantee: np.ndarray

    def __post_init__(self) -> None:
        checks.choice("kind", self.kind, KINDS)
        counts = checks.array("counts", self.counts, low=1.0)
        if (counts != np.floor(counts)).any() or (np.diff(counts) != 1).any():
            raise InvalidInput(f"counts = {counts.tolist()!r:.60}: expected whole numbers, each one more")
        if self.kind not in ("table", "contingent") and counts.size != 1:
            raise InvalidInput(f"counts has length {counts.size}: expected 1 for {self.kind!r}")
        object.__setattr__(self, "counts", counts.astype(int))
        rows = np.shape(self.guarantee)[-1] if np.ndim(self.guarantee) == 2 else 0
        for name in ("contribution", "cap", "guarantee"):
            value = np.asarray(getattr(self, name), dtype=float)
            listed = self.contingent and name != "guarantee"
            wanted = (_how_many(counts, rows) if listed else counts.size, rows)
            if rows < 1 or value.shape != wanted:
                raise InvalidInput(f"{name} has shape {value.shape}: expected ({wanted[0]}, options)")
            finite = value if name != "cap" else np.where(np.isposinf(value), 0.0, value)
            if not np.isfinite(finite).all() or (name != "guarantee" and not (value >= 0.0).all()):
                raise InvalidInput(f"{name}: expected {'finite numbers' if name != 'cap' else 'numbers'} >= 0")
            object.__setattr__(self, name, value)

    @property
    def insured(self) -> bool:
        """Whether every option guarantees the same whoever signs, and the top option bears what varies."""
        return self.kind in ("count", "table")

    @property
    def contingent(self) -> bool:
        """Whether amounts follow from the whole profile of signatures, not from its number alone."""
        return self.kind == "contingent"

    @property
    def served(self) -> np.ndarray:
        """Which options are signed at all, shape (rows,)."""
        return np.full(self.rows, True) if self.contingent else self.contribution[-1] > 0.0

    @property
    def rows(self) -> int:
        """How many options there are."""
        return self.guarantee.shape[1]

    @property
    def largest(self) -> tuple[np.ndarray, np.ndarray]:
        """Contribution and cap of each option with all signatures; contingent ones at most, shape (rows,)."""
        if self.contingent:
            return self.contribution.max(axis=0), self.cap.max(axis=0)
        return self.contribution[-1], self.cap[-1]

    @cached_property
    def profiles(self) -> np.ndarray:
        """Of a contingent menu, the profiles of signatures in order, shape (profiles, rows)."""
        return np.concatenate([signatures(int(number), self.rows) for number in self.counts])

    def place(self, counts: np.ndarray) -> np.ndarray:
        """Of a contingent menu, where each profile is listed, -1 for none (released), shape (profiles,)."""
        base = float(self.counts[-1] + 1)
        powers = base ** np.arange(self.rows - 1, -1, -1)
        known = self.profiles.sum(axis=1) * base**self.rows + self.profiles @ powers
        asked = counts.sum(axis=1) * base**self.rows + counts @ powers
        found = np.minimum(np.searchsorted(known, asked), known.size - 1)
        return np.where(known[found] == asked, found, -1)

    @property
    def launch_count(self) -> int:
        """The least number of signatures with which anything is launched."""
        return int(self.counts[0])

    def menu_at(self, signers: np.ndarray) -> np.ndarray:
        """Which menu holds with so many signatures, -1 for none (released), of the same shape."""
        place = np.searchsorted(self.counts, signers, side="right") - 1
        return np.minimum(place, self.counts.size - 1)


def signatures(number: int, rows: int) -> np.ndarray:
    """All ways in which so many sign options, rising from the first option on, shape (profiles, rows).

    >>> signatures(2, 2).tolist()
    [[0, 2], [1, 1], [2, 0]]
    """
    if rows == 1:
        return np.array([[number]])
    bars = np.array(list(itertools.combinations(range(number + rows - 1), rows - 1)), dtype=int)
    bars = bars.reshape(-1, rows - 1)
    edges = np.c_[np.full(len(bars), -1), bars, np.full(len(bars), number + rows - 1)]
    return np.diff(edges, axis=1) - 1


def _how_many(counts: np.ndarray, rows: int) -> int:
    """How many profiles of these numbers of signatures there are."""
    from math import comb

    return sum(comb(int(number) + rows - 1, rows - 1) for number in counts) if rows > 0 else 0
