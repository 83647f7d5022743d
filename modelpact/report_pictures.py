"""The pictures of a report: places in percent of a frame that is as wide as the reader's screen."""

from __future__ import annotations

import numpy as np

from contracts.problem.standard_form import World
from contracts.records import frozen
from modelpact.plain_numbers import logarithmic_ticks, ticks
from modelpact.report_data import Facts, Joint, Kind

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
    """A learning curve, by effective data: what each kind reaches alone, and all together.

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
    most = max(max(kind.contribution, kind.alone_data or 0.0) for kind in kinds)
    return Scale(low=0.0, high=most if most > 0 else 1.0)


def advantages(kinds: tuple[Kind, ...]) -> Scale:
    """The axis of gains over staying out."""
    most = max(kind.advantage for kind in kinds)
    return Scale(low=0.0, high=most if most > 0 else 1.0)


def accuracies(kinds: tuple[Kind, ...]) -> Scale:
    """The axis of accuracies received and reached alone."""
    values = [kind.alone_accuracy for kind in kinds if kind.alone_accuracy is not None]
    values += [x for kind in kinds for received in kind.received for x in (received.low, received.high)]
    low, high = min(values, default=0.0), max(values, default=1.0)
    margin = 0.06 * max(high - low, LEAST_RANGE)
    marks = 5 if high - low > 0.01 else 3  # the closer, the longer their labels
    return Scale(low=max(low - margin, 0.0), high=min(high + margin, 1.0), most_marks=marks)


def curves(facts: Facts) -> tuple[Curve, ...]:
    """The learning curve of each scenario, of a contract under which somebody contributes."""
    worlds = facts.contract.form.worlds
    return tuple(
        _curve(facts, world, joint)
        for world, joint in zip(worlds, facts.joint, strict=False)
        if joint.data > 0.0
    )


def _curve(facts: Facts, world: World, joint: Joint) -> Curve:
    baseline = facts.contract.problem.baseline

    def reached_with(data: np.ndarray) -> np.ndarray:
        return baseline + np.asarray(world.plain.accuracy(data))

    own = [kind.alone_data * kind.quality for kind in facts.kinds if kind.alone_data]
    alone = sorted({(data, float(reached_with(np.array(data)))) for data in own})
    shown = [data for data, _ in alone] + [joint.data]
    data = Scale(low=min(shown) / 3.0, high=2.0 * max(shown), logarithmic=True)
    amounts_of_data = np.geomspace(data.low, data.high, 121)
    reached = reached_with(amounts_of_data)
    most = baseline + float(world.plain.accuracy.optimum)
    accuracy = _heights(most, float(reached.min()), float(reached.max()))
    points = [
        f"{data.place(float(x)):.2f},{100.0 - accuracy.place(float(y)):.2f}"
        for x, y in zip(amounts_of_data, reached, strict=True)
    ]
    return Curve(
        data=data,
        accuracy=accuracy,
        path="M" + " ".join(points),
        alone=tuple((data.place(x), 100.0 - accuracy.place(y)) for x, y in alone),
        together=(data.place(joint.data), 100.0 - accuracy.place(joint.accuracy)),
        between=(100.0 - accuracy.place(joint.low), 100.0 - accuracy.place(joint.high)),
    )


def _heights(most: float, low: float, high: float) -> Scale:
    margin = 0.05 * max(high - low, LEAST_RANGE)
    top = min(high + 2.0 * margin, most, 1.0)
    return Scale(low=max(low - margin, 0.0), high=top, most_marks=7)
