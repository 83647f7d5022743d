r"""Probabilities and costs from observations: who signed up, who said what, who bid how much.

Counts n_i of types have the posterior Dirichlet(n_i + 1/2) (Jeffreys' prior). The population has its mean; the
doubt is the radius of total variation within which the true probabilities lie with a stated confidence, so that
promises are kept for all of them. Bids without types are divided into types of about equal counts, each of
which has the cost of its dearest member: by its option the others gain no less than it does (though what they
have by staying out may be more). A lognormal law of bids instead has types of equal probability, for a sample
too small to show its own quantiles; it counts the bids in each, and the last reaches beyond the dearest bid.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import stats

from contracts import checks
from contracts.errors import InvalidInput
from contracts.problem.doubt import Doubt
from contracts.problem.population import Population
from contracts.records import frozen

DRAWS, SEED = 20_000, 3
LAWS = ("empirical", "lognormal")
JEFFREYS = 0.5


@frozen
class FittedPopulation:
    """A population estimated from observations.

    Attributes:
        population: the posterior mean of the probabilities, with the doubt.
        counts: observations of each type, shape (types,).
        level: with which probability the true probabilities lie within the doubt.
        low, high: interval of each probability at that level, one by one, shape (types,).
        cost_error: standard errors of the costs, shape (types,); zero where a cost is stated or the dearest
            bid's, NaN where it rests on one observation.
    """

    population: Population
    counts: np.ndarray
    level: float
    low: np.ndarray
    high: np.ndarray
    cost_error: np.ndarray

    @property
    def doubt(self) -> Doubt:
        """How far the true probabilities may be off."""
        assert self.population.doubt is not None
        return self.population.doubt

    def __str__(self) -> str:
        names = self.population.names or ()
        rows = [
            f"{name}: cost {self.population.costs[i]:.4g}{self._error(i)},"
            f" probability {self.population.probabilities[i]:.3f} ({self.low[i]:.3f} to {self.high[i]:.3f})"
            for i, name in enumerate(names)
        ]
        return "\n".join([*rows, self.summary(self.population)])

    def summary(self, used: Population) -> str:
        """In one line what the observations say, and whether the population used goes by it."""
        line = (
            f"{int(self.counts.sum())} observations: the true probabilities lie within total variation"
            f" {self.doubt.radius:.3g} with probability {self.level:g}"
        )
        return line if used.doubt is not None else f"{line}; the estimates are taken for certain"

    __repr__ = __str__

    def _error(self, i: int) -> str:
        return f" ± {self.cost_error[i]:.2g}" if self.cost_error[i] > 0.0 else ""


def fit_population(
    *,
    participants: Any,
    counts: Any = None,
    costs: Any = None,
    bids: Any = None,
    types: int = 4,
    law: str = "empirical",
    names: Sequence[str] | None = None,
    level: float = 0.95,
) -> FittedPopulation:
    """A population and its doubt from observations.

    Args:
        participants: how many will take part, or a law of it; known otherwise.
        counts: how often each type was observed, whole numbers >= 0, shape (types,).
        costs: of a datum, > 0, one entry for each type: a number, or a list of what members of it asked for, of
            which the mean is taken.
        bids: instead of both: what each of a sample of prospective participants asks for a datum, > 0.
        types: how many types the bids are divided into, >= 1.
        law: of bids: "empirical", or "lognormal".
        names: of the types.
        level: of the doubt and of the intervals, in (0, 1).

    Returns:
        The population, its doubt and how sure it is.

    Raises:
        InvalidInput: neither counts with costs nor bids, or a value out of range.

    >>> found = fit_population(participants=20, counts=[12, 30, 18], costs=[0.3, [0.19, 0.21, 0.2], 0.1])
    >>> found.population.probabilities.round(3)
    array([0.203, 0.496, 0.301])
    >>> 0.05 < found.doubt.radius < 0.2
    True
    """
    level = checks.number("level", level, low=0.0, high=1.0, open_low=True, open_high=True)
    if (bids is None) == (counts is None):
        raise InvalidInput("counts, bids: expected one of them: counts of types with their costs, or bids")
    checks.choice("law", law, LAWS)
    if bids is not None:
        number, cost, error = _from_bids(bids, types) if law == "empirical" else _lognormal(bids, types, level)
    else:
        number = checks.array("counts", counts, low=0.0)
        for i in np.flatnonzero(number != np.floor(number)):
            raise InvalidInput(f"counts[{i}] = {number[i]:g}: expected a whole number >= 0")
        if number.sum() < 1.0:
            raise InvalidInput("counts: all are zero: expected at least one observation")
        cost, error = _costs(costs, number.size)
    posterior = number + JEFFREYS
    mean = posterior / posterior.sum()
    drawn = np.random.default_rng(SEED).dirichlet(posterior, DRAWS)
    # The order statistic one standard error above: the radius is found from draws.
    place = min(level + np.sqrt(level * (1.0 - level) / DRAWS), 1.0)
    radius = float(np.quantile(0.5 * np.abs(drawn - mean).sum(axis=1), place))
    rest = posterior.sum() - posterior
    ends = [0.5 * (1.0 - level), 0.5 * (1.0 + level)]
    low, high = (
        (np.ones_like(mean) if mean.size == 1 else stats.beta.ppf(end, posterior, np.maximum(rest, 1e-300)))
        for end in ends
    )
    population = Population(
        costs=cost,
        probabilities=mean,
        participants=participants,
        names=None if names is None else tuple(names),
        doubt=Doubt(radius=radius),
    )
    return FittedPopulation(
        population=population, counts=number, level=level, low=low, high=high, cost_error=error
    )


def _costs(costs: Any, types: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean costs and their standard errors."""
    if costs is None or isinstance(costs, str) or not hasattr(costs, "__len__"):
        raise InvalidInput(f"costs = {checks.brief(costs)}: expected one entry for each of the {types} types")
    if len(costs) != types:
        raise InvalidInput(f"costs has length {len(costs)}: expected {types}, one for each count")
    mean, error = np.zeros(types), np.zeros(types)
    for i, one in enumerate(costs):
        if np.ndim(one) == 0:
            mean[i] = checks.number(f"costs[{i}]", one, low=0.0, open_low=True)
            continue
        asked = checks.array(f"costs[{i}]", one, low=0.0, open_low=True)
        mean[i] = asked.mean()
        error[i] = asked.std(ddof=1) / np.sqrt(asked.size) if asked.size > 1 else np.nan
    return mean, error


def _from_bids(bids: Any, types: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Counts, costs and their errors of types of about equal counts, the dearest first."""
    asked = np.sort(checks.array("bids", bids, low=0.0, open_low=True))[::-1]
    types = checks.integer("types", types, low=1, high=asked.size)
    parts = np.array_split(asked, types)
    cost = np.array([part[0] for part in parts])
    # Equal bids belong to one type.
    distinct = np.unique(cost)[::-1]
    place = np.searchsorted(-distinct, -asked, side="right") - 1
    count = np.bincount(np.maximum(place, 0), minlength=distinct.size).astype(float)
    return count, distinct, np.zeros(distinct.size)


def _lognormal(bids: Any, types: int, level: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Types between quantiles of what the next bid is foretold to be, the dearest first.

    The logarithm of the next bid has Student's distribution around the mean of those seen.
    """
    asked = checks.array("bids", bids, low=0.0, open_low=True)
    types = checks.integer("types", types, low=1, high=asked.size)
    logarithms, n = np.log(asked), asked.size
    if n < 3 or np.ptp(logarithms) == 0.0:
        raise InvalidInput(
            f"bids: {n}, {np.unique(asked).size} different: expected at least 3 for a lognormal law"
        )
    spread = float(logarithms.std(ddof=1))
    shares = np.arange(1, types + 1) / types
    shares[-1] = level
    place = stats.t.ppf(shares, n - 1)
    ends = np.exp(logarithms.mean() + place * spread * np.sqrt(1.0 + 1.0 / n))
    if types > 1 and not ends[-1] > ends[-2]:
        raise InvalidInput(
            f"level = {level:g}: expected above {1.0 - 1.0 / types:g}, with {types} types of bids"
        )
    ends[-1] = max(ends[-1], float(asked.max()))
    count = np.bincount(np.searchsorted(ends, asked), minlength=types).astype(float)
    error = ends * spread * np.sqrt(1.0 / n + 0.5 * place**2 / (n - 1))
    return count[::-1], ends[::-1], error[::-1]
