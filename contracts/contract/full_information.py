r"""The complete-information benchmark: what the coordinator could reach if costs were observed.

With types observed there is no incentive compatibility: whoever takes part, the coordinator asks for as much
data as leaves everybody at its reservation utility, m_i = (v(a(D)) - f_i)/c_i, where the total data D is the
largest root of one scalar equation,

    D = K v(a(D)) - F,    K = sum_i n_i / c_i,    F = sum_i n_i f_i / c_i.

The right-hand side is concave above the curve's floor, so Newton's method from the right descends to that root;
where the curve has inflections the root is bracketed on a grid.
(It exists, with v >= f_i for all present, whenever training alone pays for somebody present.)

The benchmark keeps everybody at its reservation utility in every outcome, a contract only in expectation:
where training is dear, averaging over outcomes can be worth more than knowing the costs, and the information
cost is negative.

Outcomes matter only through (K, F): they are enumerated where they are few, else sampled with the second
moments of (K, F), which are known exactly, as control variates.

Source: Wang et al., AAAI 2025 (arXiv 2412.11122), complete-information case.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import comb

import numpy as np

from contracts import checks
from contracts.problem import Problem
from contracts.problem.accuracy import inspect
from contracts.problem.outcomes import compositions
from contracts.problem.participants import FixedTurnout, Turnout
from contracts.problem.reservation import outside_utility, reservations
from contracts.problem.standard_form import StandardForm, World, standard_form
from contracts.records import frozen

MOST_OUTCOMES = 60_000
DRAWS = 20_000
MOST_AT_ONCE = 1_000_000
GRID = 4000
FALLS = 20_000


@frozen
class FullInformation:
    """The benchmark.

    Attributes:
        objective: expected value of the trained model, in units of cost.
        expected_accuracy: its expected accuracy.
        standard_error: of the objective, by sampling; 0 where all outcomes were enumerated.
        residual: largest relative error |D - (K v(a(D)) - F)| / D over the outcomes used.
    """

    objective: float
    expected_accuracy: float
    standard_error: float
    residual: float


def full_information(problem: Problem, *, seed: int = 0) -> FullInformation:
    """Solve the complete-information benchmark.

    Args:
        problem: the problem; its belief, menu limits and objective do not matter here. Over scenarios it is the
            mean, with doubt about the probabilities it is what the worst ones give.
        seed: of the sample, where outcomes are too many to enumerate.

    Returns:
        The benchmark. The information cost of a contract is `objective` less the contract's.

    >>> from contracts import GeneralizationBound, LinearValuation, Population
    >>> problem = Problem(
    ...     population=Population(costs=[0.02, 0.01], probabilities=[0.5, 0.5], participants=10),
    ...     accuracy=GeneralizationBound(),
    ...     valuation=LinearValuation(scale=100.0),
    ... )
    >>> round(full_information(problem).objective, 4)
    94.3305
    """
    return full_informations([problem], seed=seed)[0]


def is_benchmark(problem: Problem) -> bool:
    """Whether knowing the costs is all that the benchmark has over a contract.

    It knows no limits of the menu and no other objective; where everybody is known by name there is nothing more
    to know.
    """
    other = problem.objective is not None or len(problem.scenarios) > 1 or problem.population.named
    limited = not (problem.menu.plain and problem.outside.plain) or problem.population.doubt is not None
    return not other and not limited


def full_informations(problems: Sequence[Problem], *, seed: int = 0) -> list[FullInformation]:
    """Solve many complete-information benchmarks together: all outcomes of a curve and valuation at once.

    Args:
        problems: the problems.
        seed: of the samples, where outcomes are too many to enumerate; each problem is sampled alike wherever
            it stands.

    Returns:
        One benchmark each, in the order of the problems.
    """
    seed = checks.integer("seed", seed)
    answers: list[FullInformation | None] = [
        None if problem.plain else of_any(problem, seed=seed) for problem in problems
    ]
    for members in _blocks(problems):
        drawn = [
            _outcomes(problems[k].population.probabilities, problems[k].population.turnout, seed)
            for k in members
        ]
        alone = reservations([problems[k] for k in members])
        per_type = [
            np.stack([1.0 / problems[k].population.costs, own.utility / problems[k].population.costs])
            for k, own in zip(members, alone, strict=True)
        ]
        statistics = [each @ counts.T for each, (counts, _) in zip(per_type, drawn, strict=True)]
        data, errors = largest_total(problems[members[0]], *np.concatenate(statistics, axis=1))
        _by_themselves(data, errors, drawn, alone)
        ends = np.cumsum([len(counts) for counts, _ in drawn])[:-1]
        parts = zip(
            members, drawn, per_type, statistics, np.split(data, ends), np.split(errors, ends), strict=True
        )
        for k, (_, weights), each, known, total, error in parts:
            answers[k] = _summary(problems[k], weights, each, known, total, float(error.max()))
    return [answer for answer in answers if answer is not None]


def _blocks(problems: Sequence[Problem]) -> list[list[int]]:
    """Problems that share curve and valuation, in blocks of a bounded number of outcomes."""
    shared: dict[tuple, list[list[int]]] = {}
    filled: dict[tuple, int] = {}
    for index, problem in enumerate(problems):
        if not problem.plain:
            continue
        key = problem.family
        outcomes = min(_number(problem.population.turnout, problem.population.types), MOST_OUTCOMES)
        if key not in shared or filled[key] + outcomes > MOST_AT_ONCE:
            shared.setdefault(key, []).append([])
            filled[key] = 0
        shared[key][-1].append(index)
        filled[key] += outcomes
    return [block for blocks in shared.values() for block in blocks]


def _summary(
    problem: Problem,
    weights: np.ndarray | None,
    per_type: np.ndarray,
    statistics: np.ndarray,
    data: np.ndarray,
    residual: float,
) -> FullInformation:
    value, accuracy = problem.value(data), problem.accuracy(data)
    if weights is not None:
        return FullInformation(
            objective=float(value @ weights),
            expected_accuracy=float(accuracy @ weights),
            standard_error=0.0,
            residual=residual,
        )
    population = problem.population
    moments = _moments(per_type, population.probabilities, population.turnout)
    objective, error = _controlled(value, statistics, moments)
    mean_accuracy, _ = _controlled(accuracy, statistics, moments)
    return FullInformation(
        objective=objective, expected_accuracy=mean_accuracy, standard_error=error, residual=residual
    )


def of_any(problem: Problem, *, seed: int) -> FullInformation:
    """The benchmark of a problem with other ingredients, world by world."""
    form = standard_form(problem)
    due, found = form.due(outside_utility(form)), []
    for world in form.worlds:
        counts, weights = _outcomes_of_groups(form, world, seed)
        data, residual = _largest_within(world.plain, form, due, counts)
        if weights is None:
            error = float(world.plain.value(data).std() / np.sqrt(data.size))
            weights = np.full(data.size, 1.0 / data.size)
        else:
            error = 0.0
        value, accuracy = world.plain.value(data) @ weights, world.plain.accuracy(data) @ weights
        found.append((world.weight, value, accuracy, error, residual))
    weight, value, accuracy, error, residual = np.array(found).T
    return FullInformation(
        objective=float(weight @ value),
        expected_accuracy=problem.baseline + float(weight @ accuracy),
        standard_error=float(np.sqrt(weight**2 @ error**2)),
        residual=float(residual.max()),
    )


def _outcomes_of_groups(form: StandardForm, world: World, seed: int) -> tuple[np.ndarray, np.ndarray | None]:
    """Counts of the rows with their probabilities; a sample of them with None where they are many."""
    drawn = [_outcomes(world.probabilities[form.group == g], law, seed + g) for g, law in enumerate(world.laws)]
    sizes = [len(counts) for counts, _ in drawn]
    if any(weights is None for _, weights in drawn) or np.prod(sizes, dtype=float) > MOST_OUTCOMES:
        rng = np.random.default_rng(seed)
        picked = [rng.choice(len(counts), size=DRAWS, p=weights) for counts, weights in drawn]
        return np.concatenate([c[k] for (c, _), k in zip(drawn, picked, strict=True)], axis=1), None
    places = np.meshgrid(*[np.arange(size) for size in sizes], indexing="ij")
    counts = [each[place.ravel()] for (each, _), place in zip(drawn, places, strict=True)]
    weights = [np.asarray(each)[place.ravel()] for (_, each), place in zip(drawn, places, strict=True)]
    return np.concatenate(counts, axis=1), np.prod(weights, axis=0)


def _largest_within(
    plain: Problem, form: StandardForm, due: np.ndarray, counts: np.ndarray
) -> tuple[np.ndarray, float]:
    """The most data that those present can be asked for, each within its capacity, by falling from above.

    Whoever is there gives min(capacity, (value - due) / cost); what all give is the value's data again.
    """
    most = np.minimum(form.capacity, np.maximum(plain.largest_value - due, 0.0) / form.costs)
    data = counts @ most
    for _ in range(FALLS):
        given = np.clip((plain.value(data)[:, None] - due) / form.costs, 0.0, most)
        lower = np.minimum((counts * given).sum(axis=1), data)
        if (data - lower <= 1e-13 * data).all():
            break
        data = lower
    given = np.clip((plain.value(data)[:, None] - due) / form.costs, 0.0, most)
    kept = (plain.value(data)[:, None] - due >= -1e-9 * plain.largest_value) | (counts == 0)
    data = np.where(kept.all(axis=1), data, 0.0)
    miss = np.abs(data - (counts * given).sum(axis=1)) * (data > 0)
    return data, float((miss / np.maximum(data, 1e-300)).max(initial=0.0))


def largest_total(problem: Problem, rate: np.ndarray, spent: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The largest D = K v(a(D)) - F for each outcome (0 where there is none), and its relative residual."""
    data = rate * problem.largest_value - spent
    high = float(data.max(initial=0.0))
    if high > problem.accuracy.floor and not inspect(problem.accuracy, high=high).concave:
        return _largest_on_grid(problem, rate, spent, high)
    for _ in range(100):
        safe = np.maximum(data, 0.0)
        excess = safe - rate * problem.value(safe) + spent
        step = 1e-6 * safe + 1e-300
        slope = 1.0 - rate * (problem.value(safe + step) - problem.value(np.maximum(safe - step, 0.0))) / (
            2 * step
        )
        # Beyond the turning point no root is left: such an outcome is worth nothing.
        lower = np.where(slope > 0.0, safe - excess / np.where(slope > 0.0, slope, 1.0), 0.0)
        if np.all(np.abs(lower - data) <= 1e-14 * np.abs(data)):
            break
        data = np.minimum(lower, data)
    data = np.maximum(data, 0.0)
    found = np.abs(data - rate * problem.value(data) + spent)
    solved = found <= 1e-9 * np.maximum(data, spent) + 1e-300
    data = np.where(solved, data, 0.0)
    return data, np.where(solved & (data > 0), found / np.maximum(data, 1e-300), 0.0)


def _by_themselves(
    data: np.ndarray, errors: np.ndarray, drawn: list[tuple[np.ndarray, np.ndarray | None]], alone: list
) -> None:
    """Who comes alone collects what it would alone: there the root is double, and out of Newton's reach."""
    counts = [each for each, _ in drawn]
    ends = np.cumsum([len(each) for each in counts])
    for each, end, own in zip(counts, ends, alone, strict=True):
        single = np.flatnonzero(each.sum(axis=1) == 1)
        data[end - len(each) + single] = each[single] @ own.contribution
        errors[end - len(each) + single] = 0.0


def _number(turnout: Turnout, types: int) -> int:
    """How many outcomes there are; more than are enumerated once that is clear."""
    total = 0
    for n in turnout.support[0]:
        total += comb(int(n) + types - 1, types - 1) if types < 30 else MOST_OUTCOMES + 1
        if total > MOST_OUTCOMES:
            break
    return total


def _largest_on_grid(
    problem: Problem, rate: np.ndarray, spent: np.ndarray, high: float
) -> tuple[np.ndarray, np.ndarray]:
    """`largest_total` for curves with inflections: the last grid point where data pay, then bisection."""
    grid = np.geomspace(1e-6 * high, high * (1.0 + 1e-9), GRID)
    value, low = problem.value(grid), np.zeros(rate.size)
    for part in np.array_split(np.arange(rate.size), rate.size * GRID // MOST_AT_ONCE + 1):
        pays = np.multiply.outer(rate[part], value) - spent[part, None] >= grid
        last = GRID - 1 - np.argmax(pays[:, ::-1], axis=1)
        low[part] = np.where(pays.any(axis=1), grid[last], 0.0)
    above = np.minimum(low * (grid[1] / grid[0]), grid[-1])
    for _ in range(60):
        middle = 0.5 * (low + above)
        pays = rate * problem.value(middle) - spent >= middle
        low, above = np.where(pays, middle, low), np.where(pays, above, middle)
    found = np.abs(low - rate * problem.value(low) + spent)
    return low, np.where(low > 0, found / np.maximum(low, 1e-300), 0.0)


def _outcomes(p: np.ndarray, turnout: Turnout, seed: int) -> tuple[np.ndarray, np.ndarray | None]:
    """All count vectors with their probabilities, or a sample of them with None."""
    if _number(turnout, p.size) <= MOST_OUTCOMES:
        from scipy.stats import multinomial

        each = [compositions(int(n), p.size) for n in turnout.support[0]]
        chances = [
            chance * multinomial(int(n), p).pmf(counts)
            for n, chance, counts in zip(*turnout.support, each, strict=True)
        ]
        return np.concatenate(each), np.concatenate(chances)
    rng = np.random.default_rng(seed)
    if isinstance(turnout, FixedTurnout):
        return rng.multinomial(turnout.count, p, size=DRAWS), None
    numbers, chances = turnout.support
    return rng.multinomial(rng.choice(numbers, size=DRAWS, p=chances), p), None


def _moments(per_type: np.ndarray, p: np.ndarray, turnout: Turnout) -> tuple[np.ndarray, np.ndarray]:
    """Mean and covariance of (K, F)."""
    mean, n = per_type @ p, turnout.mean
    each = (per_type * p) @ per_type.T - np.outer(mean, mean)
    return n * mean, n * each + turnout.variance * np.outer(mean, mean)


def _controlled(
    values: np.ndarray, statistics: np.ndarray, moments: tuple[np.ndarray, np.ndarray]
) -> tuple[float, float]:
    """Mean of `values` with linear and quadratic control variates of known expectation, and its error."""
    mean, covariance = moments
    # What never varies (equal costs) is no help, nor a number to divide by.
    scale = np.sqrt(np.diag(covariance))
    scale = np.where(scale > 1e-12 * np.abs(mean), scale, np.maximum(np.abs(mean), 1e-100))
    k, f = (statistics - mean[:, None]) / scale[:, None]
    unit = covariance / np.outer(scale, scale)
    controls = np.stack([k, f, k * k - unit[0, 0], k * f - unit[0, 1], f * f - unit[1, 1]], axis=1)
    design = np.column_stack([np.ones(values.size), controls])
    answer, *_ = np.linalg.lstsq(design, values, rcond=1e-10)
    rest = values - design @ answer
    return float(answer[0]), float(rest.std() / np.sqrt(values.size))
