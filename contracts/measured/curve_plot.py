"""A picture of a measured learning curve: points with their errors, the band, and where measurements end."""

from __future__ import annotations

from typing import Any

import numpy as np

from contracts.measured.curve_posterior import CurvePosterior

SIZES = 80


def draw_curve(posterior: CurvePosterior, *, up_to: float | None = None, level: float = 0.95) -> Any:
    """Draw measurements, the posterior mean and its band.

    Args:
        posterior: what is known.
        up_to: the largest size drawn; by default ten times the largest measured.
        level: of the band.

    Returns:
        A matplotlib figure.
    """
    from matplotlib.figure import Figure

    measured = posterior.measurements
    first, last = measured.data[[0, -1]]
    x = np.geomspace(first / 2.0, max(10.0 * last if up_to is None else up_to, last), SIZES)
    low, high = posterior.interval(x, level)
    figure = Figure(figsize=(6.4, 4.0), layout="constrained")
    axes = figure.subplots()
    axes.axvspan(first, last, color="0.93", zorder=0, label="measured range")
    axes.fill_between(x, low, high, alpha=0.3, linewidth=0, label=f"{level:.0%} interval")
    axes.plot(x, posterior.mean(x), label="posterior mean")
    error = measured.standard_error
    bars = None if error is None else 1.96 * error
    axes.errorbar(
        measured.data, measured.accuracy, yerr=bars, fmt="ko", markersize=3, label="measured (± 1.96 s.e.)"
    )
    if posterior.baseline > 0.0:
        axes.axhline(posterior.baseline, color="0.5", linestyle=":", label="baseline")
    axes.set(xscale="log", xlabel="data", ylabel=measured.score if measured.score != "error" else "accuracy")
    axes.legend(loc="lower right", fontsize="small")
    return figure
