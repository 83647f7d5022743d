"""Measured learning curves: accuracies of models trained on growing amounts of data, read and inspected.

>>> measured = Measurements(data=[50, 100, 200, 400], accuracy=[0.70, 0.79, 0.77, 0.90])
>>> for irregularity in measured.irregularities():
...     print(irregularity)
accuracy falls by 0.02 from 100 to 200 data
accuracy bends upwards at 200 data: 0.0567 below the chord from 100 to 400 data
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import stats

from contracts import checks
from contracts.errors import InvalidInput
from contracts.records import frozen

FEWEST_ROWS = 2
SCORES = ("accuracy", "error", "cross-entropy", "perplexity", "auc", "r2")


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
        data: amounts of data, strictly increasing, > 0, shape (measurements,), at least two.
        accuracy: mean accuracies measured there, in [0, 1], same shape.
        standard_error: standard errors of those means, in [0, 1], same shape; None when unknown. Where one is
            zero or missing (NaN), the largest of the others stands for it.
        score: what was measured, where `accuracy` is made of another score (`contracts.measured.scores`).
        notes: what a reader should know of how they came about.

    Raises:
        InvalidInput: naming the argument, the index and what is accepted.

    >>> Measurements(data=[10, 20, 40], accuracy=[0.5, 0.6, 0.65]).size
    3
    """

    data: Any
    accuracy: Any
    standard_error: Any = None
    score: str = "accuracy"
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        data = checks.array("data", self.data, low=0.0, open_low=True)
        if data.size < FEWEST_ROWS:
            raise InvalidInput(f"data has {data.size} measurements: expected at least {FEWEST_ROWS}")
        for k in np.flatnonzero(np.diff(data) <= 0):
            raise InvalidInput(f"data[{k + 1}] = {data[k + 1]:g}: expected more than data[{k}] = {data[k]:g}")
        accuracy = checks.array("accuracy", self.accuracy, low=0.0, high=1.0, length=data.size)
        checks.choice("score", self.score, SCORES)
        object.__setattr__(self, "data", data)
        object.__setattr__(self, "accuracy", accuracy)
        object.__setattr__(self, "notes", tuple(map(str, self.notes)))
        if self.standard_error is not None:
            self._complete_errors()

    def _complete_errors(self) -> None:
        """Put the largest standard error where there is none; without any they are unknown."""
        given = checks.reals(self.standard_error)
        missing = np.zeros(0, dtype=bool) if given is None else np.isnan(given) | (given == 0.0)
        filled = self.standard_error if given is None else np.where(missing, 0.5, given)
        error = checks.array("standard_error", filled, low=0.0, high=1.0, open_low=True, length=self.data.size)
        if missing.all():
            error = None
            note = "all standard errors are zero or missing: taken for unknown"
        elif missing.any():
            most = float(error[~missing].max())
            error = np.where(missing, most, error)
            note = f"{missing.sum()} standard errors are zero or missing: {most:g}, the largest, stands for them"
        else:
            note = ""
        object.__setattr__(self, "standard_error", error)
        if note and note not in self.notes:
            object.__setattr__(self, "notes", (*self.notes, note))

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
