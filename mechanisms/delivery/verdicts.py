"""What measured correctness allows to say: whether an attack recovers more than it may.

Every attack is a list of candidates (numbers of steps, points on a line) with, for each, whether it is right on
each test sample. Which candidate is best is chosen on one half of the test samples and judged on the other, both
ways, so that the choice among many does not look like a gain. What is recovered is compared with the larger of
several references on the same samples.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy import stats

HOLDS, OPEN, LEAKS = "holds", "open", "leaks"


@dataclass(frozen=True, kw_only=True)
class Excess:
    """By how much something recovered exceeds the larger of its references, in accuracy.

    Attributes:
        where: which attack, with how much own data.
        recovered: accuracy recovered.
        reference: the larger of the accuracies that it is compared with.
        low, high: of the excess, with the error of the test samples.
    """

    where: str
    recovered: float
    reference: float
    low: float
    high: float

    @property
    def excess(self) -> float:
        """What is recovered beyond the reference."""
        return self.recovered - self.reference


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """Whether a delivery withstands a kind of attack.

    Attributes:
        word: "holds" if every excess is at most the tolerance, the error of the test samples included;
            "leaks" if some excess is above it, likewise; else "open".
        tolerance: the excess that is allowed.
        level: confidence of either statement.
        worst: the largest excess found; None where nothing could be tried.
        untested: what was not tried and may therefore not be called safe.
        because: why it holds whatever is measured, or "".
    """

    word: str
    tolerance: float
    level: float
    worst: Excess | None
    untested: tuple[str, ...] = ()
    because: str = ""

    @property
    def holds(self) -> bool:
        """Whether it is shown to hold."""
        return self.word == HOLDS

    def __str__(self) -> str:
        if self.because:
            return f"{self.word} {self.because}"
        if self.worst is None:
            return f"{self.word} ({'; '.join(self.untested) or 'nothing to try'})"
        found = self.worst
        text = (
            f"{self.word}: {found.where} recovers {found.recovered:.3f}, {found.excess:+.3f} [{found.low:+.3f},"
            f" {found.high:+.3f}] beyond {found.reference:.3f}, allowed {self.tolerance:g}"
        )
        return text + (f"; not tried: {'; '.join(self.untested)}" if self.untested else "")


def chosen(candidates: np.ndarray) -> Float[np.ndarray, " samples"]:
    """Correctness of the best candidate, each half of the samples judging what was best on the other.

    Args:
        candidates: shape (candidates, samples), in [0, 1].

    >>> chosen(np.array([[1, 1, 0, 0], [1, 1, 1, 1.0]]))
    array([1., 1., 1., 1.])
    """
    rows = np.atleast_2d(np.asarray(candidates, dtype=float))
    found = np.empty(rows.shape[1])
    for half in (0, 1):
        best = int(np.argmax(rows[:, 1 - half :: 2].sum(axis=1)))
        found[half::2] = rows[best, half::2]
    return found


def exceed(
    where: str,
    recovered: np.ndarray,
    references: Sequence[np.ndarray | float],
    *,
    level: float,
    cells: int,
) -> Excess:
    """Compare what is recovered with the larger of its references.

    Args:
        where: for the record.
        recovered: correctness on each test sample.
        references: accuracies, or correctness on the same samples.
        level: confidence of a statement about all `cells` comparisons together.
        cells: how many comparisons there are.
    """
    differences = [recovered - np.asarray(reference, dtype=float) for reference in references]
    gains = np.array([float(d.mean()) for d in differences])
    errors = np.array([_error(d) for d in differences])
    # at most the tolerance over the larger reference: over one of them, so each upper end pays for their number;
    # all cells must pass, and each at this level is enough for that (intersection-union test)
    above = stats.norm.isf((1 - level) / len(references))
    # above the tolerance in some cell, over all references: each lower end pays for the number of cells
    below = stats.norm.isf((1 - level) / max(cells, 1))
    return Excess(
        where=where,
        recovered=float(recovered.mean()),
        reference=float(recovered.mean() - gains.min()),
        low=float((gains - below * errors).min()),
        high=float((gains + above * errors).min()),
    )


def _error(difference: np.ndarray) -> float:
    """Standard error of a mean difference; one sample more that differs keeps it from vanishing."""
    count = len(difference)
    spread = (float((difference**2).sum()) + 1.0) / (count + 1) - float(difference.mean()) ** 2
    return float(np.sqrt(max(spread, 1.0 / count) / count))


def judge(found: Sequence[Excess], *, tolerance: float, level: float, untested: Sequence[str] = ()) -> Verdict:
    """The verdict over all comparisons; what was not tried cannot hold."""
    worst = max(found, key=lambda one: one.excess, default=None)
    if any(one.low > tolerance for one in found):
        word = LEAKS
        worst = max((one for one in found if one.low > tolerance), key=lambda one: one.excess)
    elif untested or any(one.high > tolerance for one in found):
        word = OPEN
    else:
        word = HOLDS
    return Verdict(word=word, tolerance=tolerance, level=level, worst=worst, untested=tuple(untested))
