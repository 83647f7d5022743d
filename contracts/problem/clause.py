"""The launch clause of a menu: what becomes of it by how many sign.

Amounts are effective data and values units of rows (`contracts.problem.standard_form`), one row an option.

Source: assurance contracts (provision points with refund), Bagnoli and Lipman 1989; the clauses here are ours.
"""

from __future__ import annotations

import numpy as np

from contracts import checks
from contracts.errors import InvalidInput
from contracts.records import frozen

KINDS = ("fixed", "count", "table", "cut")


@frozen
class Clause:
    """What a menu with a launch clause offers, by the number of signatures.

    Attributes:
        kind: "fixed": the menu as it is, released with fewer than counts[0] signatures. "count": an insured
            menu,
            released with fewer than counts[0] signatures. "table": an insured menu for each number of signatures
            from counts[0] on, released with fewer. "cut": contributions are cut, never raised, until the model
            pays for them.
        counts: numbers of signatures from which each menu holds, each one more than the one before, shape
            (menus,); 1 for "cut".
        contribution: effective data that each option asks for, shape (menus, rows); of the top option (the last)
            of an insured menu the least that it may be.
        cap: value up to which each option receives the model, shape (menus, rows); infinite for the whole model.
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
        if self.kind != "table" and counts.size != 1:
            raise InvalidInput(f"counts has length {counts.size}: expected 1 for {self.kind!r}")
        object.__setattr__(self, "counts", counts.astype(int))
        shape = np.shape(self.contribution)
        for name in ("contribution", "cap", "guarantee"):
            value = np.asarray(getattr(self, name), dtype=float)
            if value.ndim != 2 or value.shape != shape or value.shape[0] != counts.size:
                raise InvalidInput(f"{name} has shape {value.shape}: expected ({counts.size}, options)")
            finite = value if name != "cap" else np.where(np.isposinf(value), 0.0, value)
            if not np.isfinite(finite).all() or (name != "guarantee" and not (value >= 0.0).all()):
                raise InvalidInput(f"{name}: expected {'finite numbers' if name != 'cap' else 'numbers'} >= 0")
            object.__setattr__(self, name, value)

    @property
    def insured(self) -> bool:
        """Whether every option guarantees the same whoever signs, and the top option bears what varies."""
        return self.kind in ("count", "table")

    @property
    def launch_count(self) -> int:
        """The least number of signatures with which anything is launched."""
        return int(self.counts[0])

    def menu_at(self, signers: np.ndarray) -> np.ndarray:
        """Which menu holds with so many signatures, -1 for none (released), of the same shape."""
        place = np.searchsorted(self.counts, signers, side="right") - 1
        return np.minimum(place, self.counts.size - 1)
