"""The pictures of a report: places in percent of a frame that is as wide as the reader's screen."""

from __future__ import annotations

import numpy as np

from contracts.problem import Problem
from contracts.records import frozen
from modelpact.plain_numbers import logarithmic_ticks, ticks
from modelpact.report_facts import Facts, Kind

LEAST_RANGE = 1e-5  # of accuracy: closer ones look alike


@frozen
class Scale:
    """A straight or logarithmic axis from `low` (0 %) to `high` (100 %)."""

    low: float
    high: float
    logarithmic: bool = False
    most_marks: int = 5

    def place(self, value: float) -> float:
        """Where a value lies, in percent, kept inside the frame.

        >>> Scale(low=1.0, high=100.0, logarithmic=True).place(10.0)
        50.0
        """
        low, high = self.low, self.high
        if self.logarithmic:
            low, high, value = np.log(low), np.log(high), np.log(max(value, self.low))
        return float(np.clip(100.0 * (value - low) / (high - low), 0.0, 100.0)) if high > low else 0.0

    @property
    def marks(self) -> list[float]:
        """Round numbers on it."""
        return (logarithmic_ticks if self.logarithmic else ticks)(self.low, self.high, self.most_marks)


@frozen
class Curve:
    """The learning curve: what each kind reaches alone, and all together.

    Attributes:
        data, accuracy: the axes.
        path: the curve as an SVG path in a frame of 100 by 100.
        alone: places (x, y) of the kinds alone.
        together: place of the joint model, expected.
        between: the heights of the joint model in 95 and 5 of 100 cases.
    """

    data: Scale
    accuracy: Scale
    path: str
    alone: tuple[tuple[float, float], ...]
    together: tuple[float, float]
    between: tuple[float, float]


def amounts(kinds: tuple[Kind, ...]) -> Scale:
    """The axis of data contributed and collected alone."""
    most = max(max(kind.contribution, kind.alone_data) for kind in kinds)
    return Scale(low=0.0, high=most if most > 0 else 1.0)


def advantages(kinds: tuple[Kind, ...]) -> Scale:
    """The axis of gains over staying alone."""
    most = max(kind.advantage for kind in kinds)
    return Scale(low=0.0, high=most if most > 0 else 1.0)


def accuracies(kinds: tuple[Kind, ...]) -> Scale:
    """The axis of accuracies received and reached alone."""
    values = [kind.alone_accuracy for kind in kinds]
    values += [x for kind in kinds if kind.received for x in (kind.received.low, kind.received.high)]
    low, high = min(values), max(values)
    margin = 0.06 * max(high - low, LEAST_RANGE)
    marks = 5 if high - low > 0.01 else 3  # the closer, the longer their labels
    return Scale(low=max(low - margin, 0.0), high=min(high + margin, 1.0), most_marks=marks)


def curve(facts: Facts) -> Curve | None:
    """The learning curve of a contract under which somebody contributes."""
    if facts.trained is None:
        return None
    problem, together = facts.contract.problem, facts.expected_data
    alone = sorted({(kind.alone_data, kind.alone_accuracy) for kind in facts.kinds if kind.alone_data > 0})
    shown = [data for data, _ in alone] + [together]
    data = Scale(low=min(shown) / 3.0, high=2.0 * max(shown), logarithmic=True)
    amounts_of_data = np.geomspace(data.low, data.high, 121)
    reached = problem.accuracy(amounts_of_data)
    accuracy = _heights(problem, float(reached.min()), float(reached.max()))
    points = [
        f"{data.place(float(x)):.2f},{100.0 - accuracy.place(float(y)):.2f}"
        for x, y in zip(amounts_of_data, reached, strict=True)
    ]
    return Curve(
        data=data,
        accuracy=accuracy,
        path="M" + " ".join(points),
        alone=tuple((data.place(x), 100.0 - accuracy.place(y)) for x, y in alone),
        together=(data.place(together), 100.0 - accuracy.place(facts.contract.expected_accuracy)),
        between=(100.0 - accuracy.place(facts.trained[0]), 100.0 - accuracy.place(facts.trained[2])),
    )


def _heights(problem: Problem, low: float, high: float) -> Scale:
    margin = 0.05 * max(high - low, LEAST_RANGE)
    top = min(high + 2.0 * margin, float(problem.accuracy.optimum), 1.0)
    return Scale(low=max(low - margin, 0.0), high=top, most_marks=7)
