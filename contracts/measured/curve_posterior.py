"""What measurements say of a learning curve: a posterior over whole curves, honest about what is not known.

>>> measured = Measurements(data=[50, 100, 200, 400], accuracy=[0.70, 0.77, 0.82, 0.85])
>>> curve = fit_curve(measured)
>>> low, high = curve.interval(400)
>>> bool(low < curve.mean(400) < high), float(curve.extrapolation(4000))
(True, 10.0)
>>> bool(np.ptp(curve.interval(40_000)) > np.ptp(curve.interval(400)))
True
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

from contracts import checks
from contracts.errors import InvalidInput
from contracts.measured import curve_prior
from contracts.measured.measurements import Measurements
from contracts.measured.posterior_grid import PosteriorGrid, integrate
from contracts.measured.posterior_sample import Predictor
from contracts.records import frozen

PER_DECADE = 10
MOST = 1e12  # times the last size: curves are constant beyond


@frozen
class CurvePosterior:
    """A posterior over learning curves.

    Shapes are power laws and Weibull curves with a smooth deviation that grows beyond the measurements, weighed
    by what real curves look like (`curve_prior.toml`: tabular classifiers, 16 to about 100,000 data; of other
    tasks the intervals are an analogy). Four curves in ten are expected to go on as real curves did that rose as
    fast in the end, whatever the shape: smooth shapes alone foretell too surely.

    Args:
        measurements: what was measured.
        baseline: the accuracy that everybody has without data (chance, or the majority class), in [0, 1).

    Raises:
        InvalidInput: the baseline is not below the best measurement.
    """

    measurements: Measurements
    baseline: float = 0.0

    def __post_init__(self) -> None:
        if not isinstance(self.measurements, Measurements):
            raise InvalidInput(
                f"measurements = {checks.brief(self.measurements)}: expected Measurements(data=...,"
                " accuracy=...)"
            )
        baseline = checks.number("baseline", self.baseline, low=0.0, high=1.0, open_high=True)
        best = float(self.measurements.accuracy.max())
        if baseline > 0.0 and baseline >= best:
            raise InvalidInput(
                f"baseline = {baseline:g}: expected less than the best measurement, {best:g}: models that are no"
                " better than nothing are worth nothing"
            )
        object.__setattr__(self, "baseline", baseline)

    @cached_property
    def errors(self) -> list[np.ndarray]:
        """Standard errors that there may be, each of shape (measurements,); several where none is known."""
        table, given = curve_prior.constants()["errors"], self.measurements.standard_error
        if given is None:
            return [np.full(self.measurements.size, one) for one in table["unknown"]]
        return [np.maximum(given, table["smallest"])]

    @cached_property
    def grid(self) -> PosteriorGrid:
        """The posterior on its grid."""
        measured = self.measurements
        return integrate(measured.data, measured.accuracy, self.errors, baseline=self.baseline, discrepant=True)

    @cached_property
    def predictor(self) -> Predictor:
        """What predicts from the grid."""
        return Predictor(self.grid, self.measurements, self.baseline)

    def mean(self, data: Any) -> np.ndarray:
        """Posterior mean accuracy at `data` (> 0, any shape)."""
        x = checks.array("data", data, ndim=None, low=0.0, open_low=True)
        return self.predictor.mean(x.ravel()).reshape(x.shape)[()]

    def interval(self, data: Any, level: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
        """Where the accuracy at `data` lies with a probability of `level`.

        Args:
            data: amounts of data, > 0, any shape.
            level: in (0, 1).

        Returns:
            The lower and the upper end, each of the shape of `data`.
        """
        level = checks.number("level", level, low=0.0, high=1.0, open_low=True, open_high=True)
        low, high = self.quantile(data, 0.5 + 0.5 * level * np.array([-1.0, 1.0]))
        return low, high

    def quantile(self, data: Any, share: Any) -> np.ndarray:
        """The posterior's own quantiles at `data`, those of all shares first."""
        x = checks.array("data", data, ndim=None, low=0.0, open_low=True)
        share = checks.array("share", share, ndim=None, low=0.0, high=1.0)
        return np.quantile(self.predictor.sample(x.ravel()), share, axis=0).reshape(share.shape + x.shape)[()]

    def draws(self, number: int, seed: int = 0, data: Any = None) -> CurveDraws:
        """Whole increasing curves drawn from the posterior.

        Args:
            number: how many, from 1 to 10,000.
            seed: of the draws.
            data: rising sizes at which they are kept, > 0; by default from a hundredth of the first measured to
                a million times the last.
        """
        number = checks.integer("number", number, low=1, high=10_000)
        seed = checks.integer("seed", seed)
        x = self.sizes if data is None else checks.array("data", data, low=0.0, open_low=True)
        if (np.diff(x) <= 0).any():
            raise InvalidInput("data: expected rising amounts of data")
        return CurveDraws(data=x, accuracy=self.predictor.curves(x, number, seed), baseline=self.baseline)

    @cached_property
    def sizes(self) -> np.ndarray:
        """Sizes at which curves are kept: the ones measured, and others evenly spread in their logarithm."""
        first, last = self.measurements.data[[0, -1]]
        inner = np.geomspace(first, last, max(int(PER_DECADE * np.log10(last / first)), 2) + 1)
        below = first * 10.0 ** -(np.arange(1, 2 * PER_DECADE + 1) / PER_DECADE)
        above = last * 10.0 ** (np.arange(1, 6 * PER_DECADE + 1) / PER_DECADE)
        return np.concatenate([below[::-1], inner, above])

    def extrapolation(self, data: Any) -> np.ndarray:
        """How many times more data than the largest size measured; below the smallest, how many times fewer."""
        x = checks.array("data", data, ndim=None, low=0.0, open_low=True)
        first, last = self.measurements.data[[0, -1]]
        return np.maximum(np.maximum(x / last, first / x), 1.0)[()]

    def __str__(self) -> str:
        first, last = self.measurements.data[[0, -1]]
        places = (last, 10.0 * last)
        means, (lows, highs) = self.mean(places), self.interval(places)
        said = [
            f"at {x:g} data {mean:.3f} ({low:.3f} to {high:.3f})"
            for x, mean, low, high in zip(places, means, lows, highs, strict=True)
        ]
        return (
            f"{self.measurements.size} measurements from {first:g} to {last:g} data; accuracy {', '.join(said)}"
        )

    __repr__ = __str__


@frozen
class CurveDraws:
    """Increasing curves, piecewise linear in ln x, the baseline without data.

    Attributes:
        data: rising sizes, shape (sizes,).
        accuracy: one curve a row, shape (curves, sizes).
        baseline: accuracy without data.
    """

    data: np.ndarray
    accuracy: np.ndarray
    baseline: float

    def __call__(self, data: Any) -> np.ndarray:
        """Accuracies at `data` (>= 0, any shape), one curve a row."""
        x = np.asarray(checks.array("data", data, ndim=None, low=0.0))
        flat = x.ravel()
        y = np.column_stack([np.full(len(self.accuracy), self.baseline), self.accuracy])
        # From no data to the first size linearly, between sizes linearly in the logarithm.
        cell = np.clip(np.searchsorted(self.data, flat, side="right"), 0, self.data.size)
        left = np.r_[0.0, self.data][cell]
        right = np.r_[self.data, np.inf][cell]
        with np.errstate(divide="ignore", invalid="ignore"):
            share = np.where(
                cell == 0, flat / self.data[0], np.log(flat / np.maximum(left, 1e-300)) / np.log(right / left)
            )
        share = np.where(cell == self.data.size, 0.0, share)
        upper = np.minimum(cell + 1, self.data.size)
        found = y[:, cell] * (1.0 - share) + y[:, upper] * share
        return found.reshape(len(y), *x.shape)


def fit_curve(measurements: Measurements, *, baseline: float = 0.0) -> CurvePosterior:
    """What measurements say of the whole learning curve; nothing that can fail to converge.

    Args:
        measurements: two or more; a plateau, a decline or two points get an answer that says how little is
            known.
        baseline: the accuracy that everybody has without data, in [0, 1).

    Returns:
        The posterior over curves. For one formula and its parameters see `fit_family`.

    Raises:
        InvalidInput: no measurements, or a baseline that is not below the best of them.
    """
    return CurvePosterior(measurements=measurements, baseline=baseline)
