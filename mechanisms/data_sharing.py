"""Data contributed at a cost, valued through the accuracy it gives: the setting of accuracy shaping."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike
from scipy import optimize

from contracts import checks
from contracts.errors import InvalidInput
from contracts.numeric import double_precision

Curve = Callable[[np.ndarray], ArrayLike]


def _itself(accuracy: np.ndarray) -> np.ndarray:
    return accuracy


@dataclass(frozen=True, kw_only=True, eq=False)
class DataSharing:
    """Who can contribute, and what accuracy is worth; made by `data_sharing`.

    Attributes:
        costs: of one unit of data to each agent, > 0, in the unit of value.
        accuracy: test accuracy, in [0, 1], of a model trained on an amount of data.
        value: of an accuracy to every agent.
        alone: the data each agent would contribute for itself.
    """

    costs: Float[np.ndarray, " agents"]
    accuracy: Curve
    value: Curve
    alone: Float[np.ndarray, " agents"]

    def received(self, data: ArrayLike) -> np.ndarray:
        """Return the accuracy that an amount of data gives."""
        accuracies = _evaluate("accuracy", self.accuracy, checks.numbers("data", data))
        if (accuracies < 0).any() or (accuracies > 1).any():
            raise InvalidInput("accuracy: expected values in [0, 1]")
        return accuracies

    def worth(self, data: ArrayLike) -> np.ndarray:
        """Return the value of the accuracy that an amount of data gives."""
        return _evaluate("value", self.value, self.received(data))

    def most(self, cost: float) -> float:
        """Return an amount of data that costs as much as the best accuracy is worth over none."""
        ends = _evaluate("value", self.value, np.array([float(self.received(0.0)), 1.0]))
        return float(max(ends[1] - ends[0], 0.0) / cost)

    def ceiling(self) -> float:
        """Return more data than any agents together would give at a profit."""
        return sum(self.most(float(cost)) for cost in self.costs)

    def accuracy_worth(self, value: float, best: float) -> float:
        """Return the lowest accuracy up to `best` that is worth `value`; `best` if none is worth as much."""

        def lacking(accuracy: float) -> float:
            return float(_evaluate("value", self.value, np.array([accuracy]))[0]) - value

        if lacking(best) <= 0:
            return best
        return 0.0 if lacking(0.0) >= 0 else zero(lacking, 0.0, best)


def data_sharing(costs: ArrayLike, accuracy: Curve, *, value: Curve = _itself) -> DataSharing:
    """Describe who can contribute, and find what each would contribute for itself.

    Args:
        costs: of one unit of data to each agent, > 0, in the unit of value.
        accuracy: test accuracy, in [0, 1], of a model trained on an amount of data; non-decreasing, with
            falling returns wherever it is positive. Any function of an array, or of a number.
        value: of an accuracy to every agent; non-decreasing. Defaults to the accuracy itself.

    Raises:
        InvalidInput: a cost that is not positive, or a function that is not what is expected where probed.

    >>> data_sharing([0.01, 0.02], lambda data: data / (data + 1)).alone.round(3)
    array([9.   , 6.071])
    """
    checked = checks.array("costs", costs, low=0, open_low=True)
    for name, function in (("accuracy", accuracy), ("value", value)):
        if not callable(function):
            raise InvalidInput(f"{name}: expected a function")
    sharing = DataSharing(costs=checked, accuracy=accuracy, value=value, alone=np.zeros(len(checked)))
    reach = max(sharing.ceiling(), 1 / float(checked.min()))
    probe = sharing.worth(reach * np.linspace(0, 1, 257) ** 3)
    if (np.diff(probe) < -1e-9 * max(1.0, np.abs(probe).max())).any():
        raise InvalidInput("accuracy: expected a value that never falls as data grow")
    alone = [
        maximise(lambda data, cost=cost: sharing.worth(data) - cost * data, sharing.most(float(cost)))[0]
        for cost in checked
    ]
    return replace(sharing, alone=np.array(alone))


def zero(function: Callable[[float], float], low: float, high: float) -> float:
    """Return a zero of a function that changes sign between `low` and `high`."""
    return float(np.asarray(optimize.brentq(function, low, high, xtol=1e-300)))


def maximise(
    function: Callable[[np.ndarray], np.ndarray],
    most: float,
    *,
    extra: tuple[float, ...] = (),
    points: int = 4001,
) -> tuple[float, float]:
    """Return where on [0, most] a function is highest, and how high: a grid, then Brent's method."""
    if most <= 0:
        return 0.0, float(function(np.zeros(1))[0])
    grid = np.unique(
        np.concatenate([np.linspace(0, most, points), np.geomspace(1e-9, 1, points) * most, np.array(extra)])
    )
    values = function(grid)
    best = int(np.argmax(values))
    low, high = grid[max(best - 1, 0)], grid[min(best + 1, len(grid) - 1)]
    found = optimize.minimize_scalar(
        lambda amount: -float(function(np.array([amount]))[0]),
        bounds=(low, high),
        method="bounded",
        options={"xatol": 1e-12 * most},
    )
    if -found.fun > values[best]:
        return float(found.x), float(-found.fun)
    return float(grid[best]), float(values[best])


def _evaluate(name: str, function: Curve, points: np.ndarray) -> np.ndarray:
    """Call a user's function in double precision, on the whole array or, failing that, number by number."""
    points = np.asarray(points, dtype=np.float64)
    with double_precision():
        try:
            values = np.asarray(function(points), dtype=np.float64)
        except (TypeError, ValueError):
            values = np.array([float(np.asarray(function(p))) for p in points.ravel()]).reshape(points.shape)
    if values.shape != points.shape:
        raise InvalidInput(f"{name}: expected one number per amount, found shape {values.shape}")
    if not np.isfinite(values).all():
        where = points.ravel()[np.flatnonzero(~np.isfinite(values.ravel()))[0]]
        raise InvalidInput(f"{name}({where:g}) is not finite: expected a finite number")
    return values
