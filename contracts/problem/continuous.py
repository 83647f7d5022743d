"""Costs spread continuously: a distribution instead of types.

The distribution is cut into cells. If every cost is rounded *up* to the dearest of its cell, the best contract
is one for the true population too: a member with a lower cost who picks what it likes best contributes no less,
so models are no worse and every promise can be kept. If every cost is rounded *down* to the cheapest, the best
contract is worth at least as much as any contract for the true population: the options meant for the cheapest
of each cell are incentive compatible and rational for them, and bring more data. The truth lies between.

Source: ours.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from contracts import checks
from contracts.errors import InvalidInput
from contracts.problem.accuracy import AccuracyCurve
from contracts.problem.population import Population
from contracts.problem.problem import Problem
from contracts.problem.valuation import Valuation
from contracts.records import frozen

TAIL = 1e-9
TABLE = 20_001


@frozen
class EmpiricalCosts:
    """A distribution of costs through a sample: linear between its ordered values.

    Args:
        samples: costs observed, > 0, shape (samples,), at least two different ones; equal ones are an atom.

    >>> costs = EmpiricalCosts(samples=[0.1, 0.2, 0.4])
    >>> costs.ppf([0.0, 0.5, 0.75]), costs.cdf(0.3)
    (array([0.1, 0.2, 0.3]), array(0.75))
    """

    samples: Any

    def __post_init__(self) -> None:
        samples = np.sort(checks.array("samples", self.samples, low=0.0, open_low=True))
        if samples[0] == samples[-1]:
            raise InvalidInput(f"samples are all {samples[0]:g}: expected at least two different costs")
        object.__setattr__(self, "samples", samples)

    def ppf(self, probability: Any) -> np.ndarray:
        """The cost below which a share of the population lies, any shape."""
        return np.quantile(self.samples, np.asarray(probability, dtype=float))

    def cdf(self, cost: Any) -> np.ndarray:
        """The share of the population with at most this cost, any shape."""
        cost = np.asarray(cost, dtype=float)
        last = np.searchsorted(self.samples, cost, side="right") - 1
        inside = np.clip(last, 0, self.samples.size - 2)
        width = self.samples[inside + 1] - self.samples[inside]
        part = np.where(width > 0, (cost - self.samples[inside]) / np.where(width > 0, width, 1.0), 0.0)
        share = (inside + np.clip(part, 0.0, 1.0)) / (self.samples.size - 1)
        return np.where(last < 0, 0.0, np.where(cost >= self.samples[-1], 1.0, share))


@frozen
class ContinuousProblem:
    """A coordinator's problem with costs drawn from a distribution.

    Args:
        distribution: of the cost of a datum: a frozen distribution of `scipy.stats`, an `EmpiricalCosts`, or
            anything with `cdf` and `ppf`; positive. Tails that reach zero or have no end are cut where 1e-9 of
            the population lies beyond.
        participants, accuracy, valuation, maximise: as in `Population` and `Problem`.
        cells: how many cells the finest grid has, a multiple of 4 from 8 to 1024.

    Participants know their own cost (the interim belief; that a given cost occurs somewhere in the population,
    as the ex-ante belief supposes, has probability zero).

    Raises:
        InvalidInput: naming the argument and what is accepted.

    Source: ours.

    >>> from scipy import stats
    >>> from contracts import LinearValuation, PowerLaw, design_continuous
    >>> problem = ContinuousProblem(
    ...     distribution=stats.uniform(0.05, 0.45),
    ...     participants=100,
    ...     accuracy=PowerLaw(optimum=0.95, coefficient=2.0, exponent=0.6),
    ...     valuation=LinearValuation(scale=100.0),
    ...     cells=16,
    ... )
    >>> contract = design_continuous(problem)
    >>> round(contract.extrapolated, 2), contract.error_estimate < 0.02
    (94.09, True)
    >>> contract.certificate.holds
    True
    """

    distribution: Any
    participants: Any
    accuracy: AccuracyCurve
    valuation: Valuation
    maximise: str = "accuracy"
    cells: Any = 64

    def __post_init__(self) -> None:
        object.__setattr__(self, "cells", checks.integer("cells", self.cells, low=8, high=1024))
        if self.cells % 4:
            raise InvalidInput(f"cells = {self.cells}: expected a multiple of 4")
        if not callable(getattr(self.distribution, "cdf", None)) or not callable(
            getattr(self.distribution, "ppf", None)
        ):
            raise InvalidInput(
                f"distribution = {self.distribution!r:.60}: expected a distribution with cdf and ppf, such as"
                " scipy.stats.uniform(0.05, 0.45)"
            )
        low, high = self.support
        if not (np.isfinite(low) and low > 0.0):
            raise InvalidInput(f"distribution: costs reach down to {low:g}: expected positive costs")
        if not (np.isfinite(high) and high > low):
            raise InvalidInput(f"distribution: costs range from {low:g} to {high:g}: expected a range")
        self.at([low], [1.0])

    @property
    def support(self) -> tuple[float, float]:
        """The least and the largest cost, tails cut."""
        low, high = float(self.distribution.ppf(0.0)), float(self.distribution.ppf(1.0))
        low = low if low > 0.0 and np.isfinite(low) else float(self.distribution.ppf(TAIL))
        high = high if np.isfinite(high) else float(self.distribution.ppf(1.0 - TAIL))
        return low, high

    def at(self, costs: Any, probabilities: Any) -> Problem:
        """The same problem for finitely many costs."""
        return Problem(
            population=Population(costs=costs, probabilities=probabilities, participants=self.participants),
            accuracy=self.accuracy,
            valuation=self.valuation,
            maximise=self.maximise,
        )

    def edges(self, cells: int) -> tuple[np.ndarray, np.ndarray]:
        """The ends of cells that are narrow in probability and in proportion, and the probability of each."""
        low, high = self.support
        share = np.linspace(0.0, 1.0, TABLE)
        table = np.union1d(np.geomspace(low, high, TABLE), np.clip(self.distribution.ppf(share), low, high))
        place = 0.5 * self.distribution.cdf(table) + 0.5 * np.log(table / low) / np.log(high / low)
        place = (place - place[0]) / (place[-1] - place[0])
        ends = np.interp(np.arange(cells + 1) / cells, place, table)
        ends[0], ends[-1] = low, high
        below = np.r_[0.0, self.distribution.cdf(ends[1:-1]), 1.0]
        return ends, np.diff(below)

    def rounded(self, cells: int, *, up: bool) -> Problem:
        """The problem with every cost rounded up to the dearest, or down to the cheapest, of its cell."""
        ends, mass = self.edges(cells)
        kept = mass > 0.0
        return self.at((ends[1:] if up else ends[:-1])[kept], mass[kept])
