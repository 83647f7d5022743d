"""What measurements say for and against the curve that a contract stands on."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np
from scipy import stats

from contracts.measured.measurements import Measurements
from contracts.records import frozen

REJECTED = 1e-3  # probability of so bad a fit below which the data reject a curve
NO_RISE, FALLS = 2.0, -3.0  # standard errors of the slope in ln x
FAR, NEAR = 10.0, 3.0  # times beyond the largest size measured, below the smallest
ABOUT = 1.01  # times beyond what was measured that are not worth a word
FEW = 3
UNKNOWN_ERROR = 0.006  # stands for a standard error that nobody knows, where a curve's misfit is judged


@frozen
class Evidence:
    """Measurements beside the curve that is used.

    Attributes:
        measurements: what was measured.
        curve: data -> accuracy, the curve on which promises are made.
        name: of the curve, in words.
    """

    measurements: Measurements
    curve: Callable[[Any], Any]
    name: str

    @cached_property
    def deviations(self) -> np.ndarray:
        """Measured less used accuracy in standard errors, shape (measurements,)."""
        measured = self.measurements
        error = measured.standard_error
        error = np.full(measured.size, UNKNOWN_ERROR) if error is None else np.maximum(error, 1e-3)
        return (measured.accuracy - np.asarray(self.curve(measured.data))) / error

    @property
    def chi_square(self) -> float:
        """Sum of squares of the deviations."""
        return float((self.deviations**2).sum())

    @property
    def p_value(self) -> float:
        """Probability of so large a chi-square if the curve is right and not fitted: in the curve's favour."""
        return float(stats.chi2.sf(self.chi_square, self.measurements.size))

    @cached_property
    def slope(self) -> float:
        """Slope of accuracy in ln x, in its standard errors; of a line through all measurements."""
        measured = self.measurements
        u = np.log(measured.data) - np.log(measured.data).mean()
        error = measured.standard_error
        residual = measured.accuracy - measured.accuracy.mean()
        slope = float(u @ residual / (u @ u))
        left = residual - slope * u
        own = float(left @ left) / max(measured.size - 2, 1)
        given = 1e-6 if error is None else float((np.maximum(error, 1e-3) ** 2).mean())
        return slope / np.sqrt(max(own, given) / float(u @ u))

    @property
    def statements(self) -> tuple[str, ...]:
        """What was measured, and what a reader should know of it."""
        measured = self.measurements
        first, last = measured.data[[0, -1]]
        found = [
            f"the learning curve is {self.name}, from {measured.size} measurements between {first:g} and"
            f" {last:g} data with accuracies {measured.accuracy.min():.4g} to {measured.accuracy.max():.4g}"
        ]
        if measured.standard_error is None:
            found.append("the measurements have no standard errors: a misfit cannot be told from noise")
        else:
            found.append(
                f"the curve used misses the measurements by chi² {self.chi_square:.1f} on {measured.size}, at"
                f" worst by {np.abs(self.deviations).max():.1f} standard errors"
            )
        return (*found, *measured.notes)

    @property
    def objections(self) -> tuple[str, ...]:
        """Why no tick may stand over the curve, whatever is asked of it; empty where nothing is wrong."""
        measured, found = self.measurements, []
        if measured.standard_error is not None and self.p_value < REJECTED:
            found.append(
                f"its own measurements reject the curve (chi² {self.chi_square:.0f} on {measured.size})"
            )
        if measured.size < FEW:
            found.append(f"the curve rests on {measured.size} measurements")
        elif self.slope < FALLS:
            what = measured.score
            if what == "accuracy":
                found.append("the measured accuracies fall with more data (error rates taken for accuracies?)")
            else:
                found.append(f"by the measured {what} models get worse with more data")
        elif self.slope < NO_RISE:
            found.append(
                "the measured accuracies do not rise: nothing shows that more than"
                f" {measured.data[0]:g} data help, or that there is anything to gain together"
            )
        return tuple(found)

    def reach(self, data: float) -> tuple[str, ...]:
        """What is to be said of a model trained on `data`."""
        first, last = self.measurements.data[[0, -1]]
        if data > ABOUT * last:
            return (f"has {data:,.4g} data, {data / last:.3g} times the largest size measured",)
        if 0.0 < data < first / ABOUT:
            return (f"has {data:,.4g} data, {first / data:.3g} times less than the smallest size measured",)
        return ()

    def far(self, data: float) -> bool:
        """Whether that is so far out that it belongs into the same line as the verdict."""
        first, last = self.measurements.data[[0, -1]]
        return bool(data > FAR * last or 0.0 < data < first / NEAR)
