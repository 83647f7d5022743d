r"""The law of the total data n·m that will be trained on, before anybody knows who takes part.

Exact (all outcomes) where they are few; otherwise on a lattice: each contribution is split between its two
neighbours so that its mean is kept, and the N-fold convolution is one power of a Fourier transform. The split
adds a variance of at most N step^2/4, which is what the lattice's error comes from.
"""

from __future__ import annotations

from collections.abc import Callable
from math import comb
from typing import Any

import numpy as np
from scipy import fft, special

from contracts.problem import Problem
from contracts.problem.participants import Turnout
from contracts.records import frozen

MOST_OUTCOMES = 200_000
EXACT_BINOMIAL = 150  # draws up to which binomial coefficients are exact to rounding
LATTICE = 2**18
RARE = 1e-9  # members expected: fewer than two for all that can be computed
TAIL = 40.0  # standard deviations kept on either side of the mean


@frozen
class Law:
    """A distribution on finitely many amounts of data.

    Attributes:
        data: the amounts, increasing, shape (atoms,).
        probabilities: their probabilities, shape (atoms,).
        step: 0 if the law is exact, else the step of the lattice it was computed on.
    """

    data: np.ndarray
    probabilities: np.ndarray
    step: float

    def expectation(self, function: Callable[[np.ndarray], np.ndarray]) -> float:
        """Mean of a function of the data."""
        return float(function(self.data) @ self.probabilities)

    def shifted(self, data: float) -> Law:
        """The law of the sum with a fixed amount."""
        return Law(data=self.data + data, probabilities=self.probabilities, step=self.step)


def total_data(
    contribution: Any,
    probabilities: Any,
    draws: int | Turnout,
    *,
    present: int | None = None,
    cells: int = LATTICE,
) -> Law:
    """The law of the sum of `draws` independent contributions.

    Args:
        contribution: data of each type, >= 0, shape (types,).
        probabilities: probability of each type, shape (types,).
        draws: number of participants, >= 0, or the law of their number.
        present: a type of positive probability that is known to occur at least once.
        cells: of the lattice where outcomes of a known number are too many, a power of two; fewer are faster.

    >>> law = total_data([0.0, 10.0], [0.5, 0.5], 2)
    >>> law.data, law.probabilities
    (array([ 0., 10., 20.]), array([0.25, 0.5 , 0.25]))
    >>> total_data([0.0, 10.0], [0.5, 0.5], 2, present=1).probabilities.round(4)
    array([0.6667, 0.3333])
    """
    contribution, p = np.asarray(contribution, dtype=float), np.asarray(probabilities, dtype=float)
    without = p.copy()
    if present is not None:
        without[present] = 0.0
    levels, place = np.unique(contribution, return_inverse=True)
    mass, mass_without = (np.bincount(place, weights=w, minlength=levels.size) for w in (p, without))
    levels, mass, mass_without = levels[mass > 0], mass[mass > 0], mass_without[mass > 0]
    if isinstance(draws, Turnout):
        return _of_many(levels, mass, mass_without if present is not None else None, draws, cells)
    outcomes = comb(draws + levels.size - 1, levels.size - 1) if levels.size < 60 else MOST_OUTCOMES + 1
    if levels.size > 2 and outcomes > MOST_OUTCOMES:
        return _lattice(levels, mass, mass_without if present is not None else None, draws, cells)
    everybody = _exact(levels, mass, draws)
    if present is None or without.sum() <= 0.0:
        return everybody
    # Given that the type occurs: leave out the outcomes in which it does not.
    kept = mass_without > 0
    others = _exact(levels[kept], mass_without[kept] / mass_without.sum(), draws)
    with np.errstate(divide="ignore"):  # of nobody else
        log_absent = draws * float(np.log1p(-p[present]))
    data = np.concatenate([everybody.data, others.data])
    signed = np.concatenate([everybody.probabilities, -np.exp(log_absent) * others.probabilities])
    return _sorted(data, signed / -np.expm1(log_absent))


def rare(probability: float, draws: int | Turnout) -> bool:
    """Whether a type is so rare that where it occurs at all it occurs once."""
    return probability * (draws.mean if isinstance(draws, Turnout) else draws) <= RARE


def believed_total(problem: Problem, contribution: np.ndarray, of_type: int, option: int | None = None) -> Law:
    """The law of the trained data as a participant believes it.

    Args:
        problem: the problem.
        contribution: data of each type's option, shape (types,), in the user's order.
        of_type: the index of the participant's type.
        option: the option it chooses; by default its own. Under the ex-ante belief only its own is defined.
    """
    population = problem.population
    p, n = population.probabilities, population.participants
    chosen = of_type if option is None else option
    others = n.others() if isinstance(n, Turnout) else n - 1
    if problem.belief == "interim":
        return total_data(contribution, p, others).shifted(float(contribution[chosen]))
    if rare(float(p[of_type]), n):  # the limit of ever rarer types: exactly one member
        return total_data(contribution, p, others).shifted(float(contribution[of_type]))
    return total_data(contribution, p, n, present=of_type)


def _exact(levels: np.ndarray, mass: np.ndarray, draws: int) -> Law:
    if levels.size == 1 or draws == 0:
        return Law(data=np.array([levels[0] * draws]), probabilities=np.ones(1), step=0.0)
    if levels.size == 2:
        return _binomial(levels, mass, draws)
    return _sorted(*_compositions(levels, mass, draws))


def _binomial(levels: np.ndarray, mass: np.ndarray, draws: int) -> Law:
    spread = TAIL * np.sqrt(draws * mass[0] * mass[1]) + TAIL**2
    first = int(max(0, np.floor(draws * mass[1] - spread)))
    last = int(min(draws, np.ceil(draws * mass[1] + spread)))
    many = np.arange(first, last + 1)
    data = levels[0] * (draws - many) + levels[1] * many
    if draws > EXACT_BINOMIAL:
        from scipy import stats

        return Law(data=data, probabilities=stats.binom.pmf(many, draws, mass[1]), step=0.0)
    chances = special.binom(draws, many) * mass[1] ** many * mass[0] ** (draws - many)
    return Law(data=data, probabilities=chances, step=0.0)


def _compositions(levels: np.ndarray, mass: np.ndarray, draws: int) -> tuple[np.ndarray, np.ndarray]:
    """All outcomes, type by type: the rest of the draws is binomial among the types still to come."""
    from scipy import stats

    data, weight, left = np.zeros(1), np.ones(1), np.array([draws])
    remaining, numbers = 1.0, np.arange(draws + 1)
    for level, share in zip(levels[:-1], mass[:-1], strict=True):
        chances = stats.binom.pmf(numbers, numbers[:, None], min(share / remaining, 1.0))
        parent = np.repeat(np.arange(left.size), left + 1)
        first = np.cumsum(left + 1) - (left + 1)
        counts = np.arange(parent.size) - first[parent]
        data, weight = data[parent] + level * counts, weight[parent] * chances[left[parent], counts]
        left, remaining = left[parent] - counts, remaining - share
    return data + levels[-1] * left, weight


def compositions(total: int, parts: int) -> np.ndarray:
    """All ways in which so many participants are of so many types, one a row.

    >>> compositions(2, 2).tolist()
    [[0, 2], [1, 1], [2, 0]]
    """
    left, rows = np.array([total]), np.zeros((1, 0), dtype=np.int64)
    for _ in range(parts - 1):
        counts = np.concatenate([np.arange(k + 1) for k in left])
        rows = np.column_stack([np.repeat(rows, left + 1, axis=0), counts])
        left = np.repeat(left, left + 1) - counts
    return np.column_stack([rows, left])


def merge(data: np.ndarray, mass: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sort atoms and bring together those that differ by rounding only (equal sums in different orders)."""
    order = np.argsort(data, kind="stable")
    data, mass = data[order], mass[order]
    first = np.concatenate([[True], np.diff(data) > 1e-12 * abs(data[-1])])
    return data[first], np.bincount(np.cumsum(first) - 1, weights=mass)


def _sorted(data: np.ndarray, mass: np.ndarray) -> Law:
    values, probabilities = merge(data, mass)
    kept = probabilities > 0.0
    return Law(data=values[kept], probabilities=probabilities[kept], step=0.0)


def _lattice(
    levels: np.ndarray, mass: np.ndarray, mass_without: np.ndarray | None, draws: int, cells: int
) -> Law:
    excess = levels - levels[0]
    mean = float(mass @ excess)
    deviation = float(np.sqrt(mass @ (excess - mean) ** 2 * draws))
    most = draws * float(excess[-1])
    width = min(most, 2.0 * TAIL * deviation)
    # Splitting spreads every outcome by about sqrt(draws)/2 cells, also beyond the largest: leave room for it,
    # or it would wrap around to the other end.
    margin = min(int(TAIL * 0.5 * np.sqrt(draws)) + 2, cells // 4)
    step = width / (cells - 2 * margin)
    low = min(max(0.0, draws * mean - 0.5 * width), most - width)
    power = _power(_transform(excess / step, mass, cells), draws)
    if mass_without is not None:
        power = power - _power(_transform(excess / step, mass_without, cells), draws)
    wrapped: Any = fft.irfft(power, cells)
    index = int(np.floor(low / step)) - margin + np.arange(cells)
    probabilities = np.maximum(wrapped[index % cells], 0.0)
    kept = probabilities > 1e-18
    total = probabilities[kept].sum()
    data = draws * levels[0] + step * np.maximum(index[kept], 0)
    return Law(data=data, probabilities=probabilities[kept] / total, step=step)


def _of_many(
    levels: np.ndarray, mass: np.ndarray, mass_without: np.ndarray | None, turnout: Turnout, cells: int
) -> Law:
    """The law for an uncertain number of draws: exact for few of them, the rest on a lattice.

    Where a type is known to occur, the outcomes without it are taken away (`mass_without` is theirs).
    """
    counts, chances = turnout.support
    kept = mass_without > 0 if mass_without is not None else np.zeros(levels.size, dtype=bool)
    left = float(mass_without.sum()) if mass_without is not None else 0.0
    few = _few(counts, levels.size, min(cells, MOST_OUTCOMES))
    data, signed = [], []
    for count, chance in zip(counts[few], chances[few], strict=True):
        everybody = _exact(levels, mass, int(count))
        data.append(everybody.data)
        signed.append(chance * everybody.probabilities)
        absent = left**count
        if mass_without is not None and absent > 0.0:
            others = _exact(levels[kept], mass_without[kept] / left, int(count)) if kept.any() else everybody
            data.append(others.data)
            signed.append(-chance * absent * others.probabilities)
    step = 0.0
    if not few.all():
        lattice, chance_of_each, step = _lattice_of_many(
            levels, mass, mass_without, counts[~few], chances[~few], cells
        )
        data.append(lattice)
        signed.append(chance_of_each)
    values, found = merge(np.concatenate(data), np.concatenate(signed))
    positive = found > 0.0
    total = float(found[positive].sum())
    return Law(data=values[positive], probabilities=found[positive] / total, step=step)


def _few(counts: np.ndarray, levels: int, most: int) -> np.ndarray:
    """Which numbers of draws have so few outcomes, together with all smaller ones, that they are enumerated."""
    if levels == 1:
        return np.ones(counts.size, dtype=bool)
    outcomes = [comb(int(n) + levels - 1, levels - 1) if levels < 60 else most + 1 for n in counts]
    return np.cumsum(np.minimum(outcomes, float(most + 1))) <= most


def _lattice_of_many(
    levels: np.ndarray,
    mass: np.ndarray,
    mass_without: np.ndarray | None,
    counts: np.ndarray,
    chances: np.ndarray,
    cells: int,
) -> tuple[np.ndarray, np.ndarray, float]:
    """Amounts, their (unnormalised) probabilities and the step, for the given numbers of draws only."""
    share = chances / chances.sum()
    mean_count, mean = float(share @ counts), float(mass @ levels)
    variance = mean_count * float(mass @ (levels - mean) ** 2)
    variance += float(share @ (counts - mean_count) ** 2) * mean**2
    centre, most = mean_count * mean, float(counts[-1]) * float(levels[-1])
    least = float(counts[0]) * float(levels[0])
    low = max(least, centre - TAIL * np.sqrt(variance))
    high = min(most, centre + TAIL * np.sqrt(variance))
    margin = min(int(TAIL * 0.5 * np.sqrt(counts[-1])) + 2, cells // 4)
    step = (high - low) / (cells - 2 * margin)
    power = _generated(_transform(levels / step, mass, cells), counts, chances)
    if mass_without is not None:
        power = power - _generated(_transform(levels / step, mass_without, cells), counts, chances)
    wrapped: Any = fft.irfft(power, cells)
    index = int(np.floor(low / step)) - margin + np.arange(cells)
    probabilities = np.maximum(wrapped[index % cells], 0.0)
    kept = probabilities > 1e-18
    return step * np.maximum(index[kept], 0), probabilities[kept], step


def _power(z: np.ndarray, draws: int) -> np.ndarray:
    """z^draws; powers too small to matter, nearly all where draws are many, are left out."""
    found, large = np.zeros_like(z), np.abs(z) > 1e-20 ** (1.0 / max(draws, 1))
    found[large] = z[large] ** draws
    return found


def _generated(z: np.ndarray, counts: np.ndarray, chances: np.ndarray) -> np.ndarray:
    """The sum of chances z^counts; powers too small to matter are left out."""
    total, power, before = np.zeros_like(z), np.ones_like(z), 0
    where = np.arange(z.size)
    for count, chance in zip(counts, chances, strict=True):
        power, before = power * z[where] ** int(count - before), count
        large = np.abs(power) > 1e-19
        if large.mean() < 0.5:
            where, power = where[large], power[large]
        total[where] += chance * power
    return total


def _transform(place: np.ndarray, mass: np.ndarray, cells: int = LATTICE) -> Any:
    cell = np.floor(place)
    share, cell = place - cell, cell.astype(np.int64)
    single = np.zeros(cells)
    np.add.at(single, cell % cells, mass * (1.0 - share))
    np.add.at(single, (cell + 1) % cells, mass * share)
    return fft.rfft(single)
