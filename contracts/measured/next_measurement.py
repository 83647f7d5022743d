"""What one more measurement would tell, and where it tells most, before it is made."""

from __future__ import annotations

from typing import Any

import numpy as np

from contracts import checks
from contracts.measured.curve_posterior import CurvePosterior
from contracts.records import frozen

DRAWS, RESULTS, SEED = 3000, 60, 5
SMOOTH = 0.2  # of the spread of what may be measured: how far apart results may be that are taken for alike
FACTORS = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0)


@frozen
class NextMeasurement:
    """Expected widths of the interval at one size after one more measurement at another.

    Attributes:
        at: the size that matters.
        level: of the interval.
        width: of it now.
        data: sizes at which one more measurement may be made, shape (sizes,).
        expected_width: after that, on average over what may be measured, shape (sizes,).
        standard_error: that the new measurement is taken to have.
    """

    at: float
    level: float
    width: float
    data: np.ndarray
    expected_width: np.ndarray
    standard_error: float

    @property
    def best(self) -> int:
        """Index of the size that narrows most; of those within a hundredth of it the smallest."""
        return int(np.flatnonzero(self.expected_width <= 1.01 * self.expected_width.min())[0])

    def __str__(self) -> str:
        k = self.best
        less = 1.0 - self.expected_width[k] / self.width if self.width > 0.0 else 0.0
        if less < 0.02:
            return f"one more measurement as precise would hardly narrow the interval at {self.at:g} data"
        return (
            f"one more measurement at {self.data[k]:g} data (standard error {self.standard_error:.2g}) narrows"
            f" the interval at {self.at:g} data by {less:.0%} on average, from {self.width:.3g} to"
            f" {self.expected_width[k]:.3g}"
        )


def next_measurement(
    posterior: CurvePosterior, at: float, *, data: Any = None, level: float = 0.95
) -> NextMeasurement:
    """How much narrower the interval at one size becomes by a measurement at others.

    Results are drawn from the posterior, and curves drawn from it weighed by how well they agree with each
    result.

    Args:
        posterior: what is known now.
        at: the size that matters, > 0.
        data: sizes at which one more measurement may be made, > 0; by default half to 32 times the largest
            measured, as far as `at`.
        level: of the interval, in (0, 1).

    >>> from contracts import Measurements, fit_curve
    >>> posterior = fit_curve(Measurements(data=[50, 100, 200, 400], accuracy=[0.70, 0.77, 0.82, 0.85]))
    >>> found = next_measurement(posterior, 10_000)
    >>> bool((found.expected_width < 1.05 * found.width).all()), float(found.data[found.best]) > 400.0
    (True, True)
    """
    at = checks.number("at", at, low=0.0, open_low=True)
    level = checks.number("level", level, low=0.0, high=1.0, open_low=True, open_high=True)
    last = float(posterior.measurements.data[-1])
    if data is None:
        x = np.array([factor * last for factor in FACTORS if factor * last <= max(at, last)])
    else:
        x = np.unique(checks.array("data", data, low=0.0, open_low=True))
    sizes = np.unique(np.r_[x, at])
    curves = posterior.draws(DRAWS, SEED, sizes).accuracy
    target = curves[:, np.searchsorted(sizes, at)]
    tails = 0.5 + 0.5 * level * np.array([-1.0, 1.0])
    error = float(np.median(np.mean(posterior.errors, axis=0)[-3:]))
    width = float(np.diff(np.quantile(target, tails))[0])
    widths = [_expected(curves[:, np.searchsorted(sizes, one)], target, error, tails) for one in x]
    return NextMeasurement(
        at=at, level=level, width=width, data=x, expected_width=np.minimum(widths, width), standard_error=error
    )


def _expected(value: np.ndarray, target: np.ndarray, error: float, tails: np.ndarray) -> float:
    """The mean width of the target's interval over results."""
    spread = float(np.hypot(error, SMOOTH * value.std()))
    results = np.quantile(value, (np.arange(RESULTS) + 0.5) / RESULTS)
    order = np.argsort(target)
    widths = []
    for result in results:
        weight = np.exp(-0.5 * ((value - result) / spread) ** 2)[order]
        mass = np.cumsum(weight)
        low, high = np.interp(tails, (mass - 0.5 * weight) / mass[-1], target[order])
        widths.append(high - low)
    return float(np.mean(widths))
