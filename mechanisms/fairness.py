"""How fair a collaboration's outcome is: do those who bring more end with more, and does anybody lose by it.

The customary measure is the correlation between what participants reach alone and what they end with (Lyu et
al. 2020, Xu et al. 2021). A correlation is scale-free, so it hides whether the better ones end better by a
point or by ten: spread and slope stand beside it. If all end alike, or all start alike, no correlation is
defined, and the result says so.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike
from scipy import stats

from contracts import checks
from contracts.errors import InvalidInput


@dataclass(frozen=True, kw_only=True, eq=False)
class Fairness:
    """Association of final with standalone accuracy; NaN where undefined.

    Attributes:
        pearson: linear correlation, in [-1, 1].
        spearman: rank correlation, in [-1, 1], ties sharing their mean rank.
        slope: accuracy points gained at the end per point of standalone accuracy (least squares).
        spread: highest minus lowest final accuracy.
        mean: mean final accuracy.
        undefined: why correlations are undefined, or "".
    """

    pearson: float
    spearman: float
    slope: float
    spread: float
    mean: float
    undefined: str

    def __repr__(self) -> str:
        measured = f"Pearson {self.pearson:.2f}, Spearman {self.spearman:.2f}, slope {self.slope:.3f}"
        how = self.undefined or measured
        return f"{how}; final mean {self.mean:.3f}, spread {self.spread:.3f}"


def fairness(standalone: ArrayLike, final: ArrayLike) -> Fairness:
    """Measure how final accuracies follow standalone accuracies.

    Args:
        standalone: what each participant reaches alone, in [0, 1].
        final: what each participant ends with, in [0, 1].

    Raises:
        InvalidInput: entries out of range or different lengths.

    >>> fairness([0.5, 0.6, 0.8], [0.7, 0.72, 0.8])
    Pearson 0.99, Spearman 1.00, slope 0.343; final mean 0.740, spread 0.100
    >>> fairness([0.5, 0.6], [0.7, 0.7])
    correlation undefined: all final accuracies are equal; final mean 0.700, spread 0.000
    """
    alone = checks.array("standalone", standalone, low=0, high=1)
    end = checks.array("final", final, low=0, high=1, length=len(alone))
    undefined = ""
    if len(alone) < 2:
        undefined = "correlation undefined: one participant"
    elif _equal(alone):
        undefined = "correlation undefined: all standalone accuracies are equal"
    elif _equal(end):
        undefined = "correlation undefined: all final accuracies are equal"
    varied = len(alone) > 1 and not _equal(alone)
    return Fairness(
        pearson=math.nan if undefined else _correlation(alone, end),
        spearman=math.nan if undefined else _correlation(stats.rankdata(alone), stats.rankdata(end)),
        slope=float(np.polyfit(alone, end, 1)[0]) if varied else math.nan,
        spread=float(np.ptp(end)),
        mean=float(end.mean()),
        undefined=undefined,
    )


def _equal(accuracies: np.ndarray) -> bool:
    """Whether all are the same up to the last digits: what differs there is rounding, not merit."""
    return bool(np.ptp(accuracies) <= 8 * np.finfo(float).eps)


def _correlation(first: np.ndarray, second: np.ndarray) -> float:
    return float(np.corrcoef(first, second)[0, 1])


@dataclass(frozen=True, kw_only=True, eq=False)
class Interval:
    """A mean over independent runs with its confidence interval.

    Attributes:
        mean: over the runs in which the figure was defined.
        low, high: Student's interval; NaN with fewer than two defined runs.
        confidence: of the interval.
        runs: number of runs in which the figure was defined.
        undefined: number of runs in which it was not.
    """

    mean: float
    low: float
    high: float
    confidence: float
    runs: int
    undefined: int

    def __repr__(self) -> str:
        where = f"{self.runs} runs" + (f", undefined in {self.undefined} more" if self.undefined else "")
        return f"{self.mean:.3f} [{self.low:.3f}, {self.high:.3f}] ({self.confidence:.0%}, {where})"


def over_runs(
    figures: ArrayLike, *, confidence: float = 0.95, low: float = -math.inf, high: float = math.inf
) -> Interval:
    """Summarise a figure over runs with different seeds; undefined (NaN) runs are counted, not hidden.

    Args:
        figures: one number per run; NaN where undefined.
        confidence: of the interval, in (0, 1).
        low, high: what the figure cannot go beyond, such as -1 and 1 for correlations; the interval is cut to
            it.

    Raises:
        InvalidInput: no runs, or a figure beyond `low` or `high`.

    >>> over_runs([0.9, 1.0, 0.8, float("nan")], low=0, high=1)
    0.900 [0.652, 1.000] (95%, 3 runs, undefined in 1 more)
    """
    values = checks.numbers("figures", figures)
    confidence = checks.number("confidence", confidence, low=0, high=1, open_low=True, open_high=True)
    if values.ndim != 1 or len(values) == 0:
        raise InvalidInput(f"figures has shape {values.shape}: expected (runs,), at least one")
    defined = values[~np.isnan(values)]
    beyond = np.flatnonzero((values < low) | (values > high))
    if len(beyond):
        raise InvalidInput(
            f"figures[{beyond[0]}] = {values[beyond[0]]:g}: expected a number in [{low:g}, {high:g}]"
        )
    mean = float(defined.mean()) if len(defined) else math.nan
    half = math.nan
    if len(defined) > 1:
        half = stats.t.ppf((1 + confidence) / 2, len(defined) - 1) * stats.sem(defined)
    return Interval(
        mean=mean,
        low=float(max(mean - half, low)),
        high=float(min(mean + half, high)),
        confidence=confidence,
        runs=len(defined),
        undefined=len(values) - len(defined),
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class Rationality:
    """Who would have done better alone.

    Attributes:
        shortfall: standalone minus final accuracy of each participant; positive is a loss.
        allowance: how large a shortfall sampling alone explains, for each participant.
        losers: the participants whose shortfall exceeds its allowance.
        confidence: that a collaboration in which nobody truly loses names no loser.
    """

    shortfall: Float[np.ndarray, " participants"]
    allowance: Float[np.ndarray, " participants"]
    losers: tuple[int, ...]
    confidence: float

    def __repr__(self) -> str:
        if not self.losers:
            return f"nobody ends below its standalone accuracy ({self.confidence:.0%})"
        named = ", ".join(f"{i} (by {self.shortfall[i]:.3f})" for i in self.losers)
        return f"below their standalone accuracy ({self.confidence:.0%}): participants {named}"


def rationality(
    standalone: ArrayLike, final: ArrayLike, *, samples: int, confidence: float = 0.95
) -> Rationality:
    """Say which participants end below what they reach alone by more than the sampling error.

    Args:
        standalone, final: accuracies of each participant's two models, in [0, 1].
        samples: how many test samples each accuracy was measured on.
        confidence: that no participant is named by chance; shared among participants by the union bound.

    The allowance is one-sided and takes the two measurements as independent, which is cautious when both were
    taken on the same samples.

    >>> rationality([0.60, 0.89], [0.75, 0.75], samples=500)
    below their standalone accuracy (95%): participants 1 (by 0.140)
    """
    alone = checks.array("standalone", standalone, low=0, high=1)
    end = checks.array("final", final, low=0, high=1, length=len(alone))
    samples = checks.integer("samples", samples, low=1)
    confidence = checks.number("confidence", confidence, low=0, high=1, open_low=True, open_high=True)
    deviation = np.sqrt((alone * (1 - alone) + end * (1 - end)) / samples)
    allowance = float(stats.norm.isf((1 - confidence) / len(alone))) * deviation
    shortfall = alone - end
    return Rationality(
        shortfall=shortfall,
        allowance=allowance,
        losers=tuple(int(i) for i in np.flatnonzero(shortfall > allowance)),
        confidence=confidence,
    )
