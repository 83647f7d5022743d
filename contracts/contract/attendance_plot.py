"""A picture of what if not everybody comes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from contracts.contract.attendance import Attendance
from contracts.contract.contract import Contract
from contracts.contract.plots import GREY, INK, MOST_NAMED, figure_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

POINTS = 33


def draw_attendance(contract: Contract) -> Figure:
    """What each type gains over staying out, by the probability with which each other comes.

    A dot marks from where on joining pays; below the line at zero it does not.

    >>> from contracts.testing import example_contract
    >>> len(draw_attendance(example_contract()).axes)
    1
    """
    found = contract.attendance()
    figure = figure_of(8.0)
    axes = figure.subplots()
    attendance = np.linspace(0.0, 1.0, POINTS)
    gains = found.gain(attendance)
    shown = _few(found)
    for i in shown:
        (line,) = axes.plot(attendance, gains[:, i], label=found.names[i])
        if not np.isnan(found.critical[i]):
            axes.plot(found.critical[i], max(np.interp(found.critical[i], attendance, gains[:, i]), 0.0), "o",
                      color=line.get_color())  # fmt: skip
    axes.axhline(0.0, color=GREY, linewidth=1.0)
    axes.set_xlabel("probability with which each other comes")
    axes.set_ylabel("gain over staying out, in own units")
    axes.set_title(str(found).removeprefix("what if not everybody comes: "), color=INK, fontsize=9, wrap=True)
    if shown.size:
        axes.legend(frameon=False)
    return figure


def _few(found: Attendance) -> np.ndarray:
    """The types that are drawn: all, or a few of many that sign."""
    signs = np.flatnonzero(found.terms.own >= 0)
    if signs.size <= MOST_NAMED:
        return signs
    return signs[np.unique(np.linspace(0, signs.size - 1, MOST_NAMED).astype(int))]
