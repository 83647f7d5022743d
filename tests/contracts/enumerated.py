"""A small problem with every outcome listed: what a menu gives, reaches and breaks, without the library.

Only the fields of the user's `Problem`, its curve and its valuation are read. Outcomes (how many of each type
come) have their probabilities in every scenario and, for doubt by total variation, at every vertex of the balls.
For given contributions the rewards are exact: what bounds them is a system of differences, which has a least and
a greatest solution, and every objective wants one of the two.

Data here are effective data x_i = q_i m_i as agreed, of which the share 1 - shading is delivered at least;
rewards are y_i = t_i / V_i, the expected value of the model where a perfect one is worth 1.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from typing import Any, NamedTuple

import numpy as np
from scipy import optimize, stats

from contracts import Binomial, FiniteTurnout, Poisson, Problem

NEGLIGIBLE = 1e-12  # probability of numbers of participants left out
MOST_OUTCOMES = 200_000
ROUNDING = 1e-9
EDGE = 1e-7  # relative: data at the edge of a capacity count as out of reach


class Alike(NamedTuple):
    """Which types have one option, and who has nothing for nothing."""

    blocks: tuple[tuple[int, ...], ...]
    nothing: frozenset[int]


NOBODY = Alike((), frozenset())


class World(NamedTuple):
    """A scenario: outcomes, and for each member of the doubt what is believed of them."""

    weight: float
    curve: Any
    counts: np.ndarray  # (outcomes, types)
    prior: np.ndarray  # (members, outcomes)
    beliefs: np.ndarray  # (members, types, outcomes)
    shares: np.ndarray  # (members, types)
    participants: float


class Enumerated:
    """The problem, enumerated."""

    def __init__(self, problem: Problem, *, members: int = 0, seed: int = 0):
        self.problem, population = problem, problem.population
        self.size = size = population.costs.size
        self.family = getattr(problem.objective, "family", "")
        self.weight = 1.0 if self.wants_least else getattr(problem.objective, "coordinator", 0.0)
        self.scale = np.broadcast_to(np.asarray(problem.valuation.scale, float), (size,))
        valuation: Any = problem.valuation
        self.worth_of = dataclasses.replace(valuation, scale=1.0)
        self.group = np.zeros(size, int)
        if population.groups is not None:
            self.group = np.array([list(dict.fromkeys(population.groups)).index(g) for g in population.groups])
        quality = np.ones(size) if population.qualities is None else np.asarray(population.qualities)
        self.quality, self.kept = quality, 1.0 - population.shading
        self.cost = population.costs / (quality * self.scale)
        raw = np.full(size, np.inf) if population.capacities is None else np.asarray(population.capacities)
        self.capacity, self.reach = raw * quality, raw * quality / self.kept
        self.rng = np.random.default_rng(seed)
        scenarios = problem.scenarios or (None,)
        self.curves = [problem.accuracy if s is None else (s.accuracy or problem.accuracy) for s in scenarios]
        self.worlds = [self._world(s, c, members) for s, c in zip(scenarios, self.curves, strict=True)]
        self.unit = float(self._stated_shares() @ self.scale)
        joining = np.broadcast_to(np.asarray(problem.outside.joining_cost, float), (size,))
        given = problem.outside.utility
        self.alone, self.alone_data = self._alone()
        if given is not None:
            self.alone = np.broadcast_to(np.asarray(given, float), (size,)).copy()
        self.joining = joining
        self.stays = (self.alone + joining) / self.scale
        self.due = self.stays + problem.menu.participation_margin / self.scale
        self.preference = problem.menu.preference_margin / self.scale
        self.may_stay = given is not None or bool(np.any(joining))
        by_value = problem.maximise == "value" or type(problem.valuation).__name__ == "LinearValuation"
        self.by_value = by_value

    # --- outcomes -------------------------------------------------------------------------------------------

    def _law(self, law: Any) -> dict[int, float]:
        if isinstance(law, Poisson):
            most = int(stats.poisson.isf(NEGLIGIBLE, law.mean)) + 2
            return {k: float(stats.poisson.pmf(k, law.mean)) for k in range(most + 1)}
        if isinstance(law, Binomial):
            n = int(law.trials)
            return {k: float(stats.binom.pmf(k, n, law.probability)) for k in range(n + 1)}
        if isinstance(law, FiniteTurnout):
            return {int(k): float(p) for k, p in zip(law.counts, law.probabilities, strict=True)}
        return {int(law): 1.0}

    def _laws(self, participants: Any) -> list[dict[int, float]]:
        names = self.problem.population.groups
        if names is None:
            return [self._law(participants)]
        if isinstance(participants, dict):
            return [self._law(participants[name]) for name in dict.fromkeys(names)]
        return [self._law(one) for one in participants]

    def _stated_shares(self) -> np.ndarray:
        population = self.problem.population
        means = np.array([sum(k * p for k, p in law.items()) for law in self._laws(population.participants)])
        return population.probabilities * (means / means.sum())[self.group]

    def _world(self, scenario: Any, curve: Any, members: int) -> World:
        population, doubt = self.problem.population, self.problem.population.doubt
        p = np.asarray(population.probabilities, float)
        participants = population.participants
        if scenario is not None:
            p = p if scenario.probabilities is None else np.asarray(scenario.probabilities, float)
            participants = participants if scenario.participants is None else scenario.participants
        laws = self._laws(participants)
        groups = [np.flatnonzero(self.group == g) for g in range(len(laws))]
        possible = []
        for of_group in groups:
            own = [p[of_group]]
            if doubt is not None and doubt.radius > 0:
                own = self._ball(p[of_group], doubt, members)
            possible.append(own)
        numbers = [_counts(len(g), law) for g, law in zip(groups, laws, strict=True)]
        if math.prod(len(n) for n in numbers) > MOST_OUTCOMES:
            raise ValueError("too many outcomes for the oracle")
        places = list(itertools.product(*(range(len(n)) for n in numbers)))
        counts = np.zeros((len(places), self.size))
        for g, of_group in enumerate(groups):
            counts[:, of_group] = numbers[g][[place[g] for place in places]]
        means = np.array([sum(k * q for k, q in law.items()) for law in laws])
        prior, beliefs, shares = [], [], []
        for member in itertools.product(*possible):
            every = [_multinomial(n, law, q) for n, law, q in zip(numbers, laws, member, strict=True)]
            fewer = [_multinomial(n, _others(law), q) for n, law, q in zip(numbers, laws, member, strict=True)]
            joint = _product(every)
            prior.append(joint)
            mine = []
            for i in range(self.size):
                g = self.group[i]
                chance = float(joint @ (counts[:, i] > 0))
                if self.problem.belief == "ex-ante" and chance > 0.0:
                    mine.append(joint * (counts[:, i] > 0) / chance)
                else:
                    mine.append(_product([fewer[h] if h == g else every[h] for h in range(len(laws))]))
            beliefs.append(mine)
            share = np.zeros(self.size)
            for g, of_group in enumerate(groups):
                share[of_group] = member[g] * means[g] / means.sum()
            shares.append(share)
        weight = 1.0 if scenario is None else float(scenario.weight)
        return World(
            weight, curve, counts, np.array(prior), np.array(beliefs), np.array(shares), float(means.sum())
        )

    def _ball(self, p: np.ndarray, doubt: Any, members: int) -> list[np.ndarray]:
        drawn = [self.rng.dirichlet(np.ones(p.size) * self.rng.uniform(0.1, 3.0)) for _ in range(members)]
        if doubt.distance == "kullback-leibler":
            return [p, *(_within_divergence(p, q, doubt.radius) for q in drawn)]
        found = vertices(p, doubt.radius)
        for q in drawn:
            distance = 0.5 * np.abs(q - p).sum()
            found.append(p + (q - p) * min(1.0, doubt.radius / max(distance, 1e-300)))
        return [*found, p]

    def _shifted(self, i: int) -> bool:
        """Whether i's belief is about the others only."""
        possible = self.problem.population.probabilities[i] > 0.0
        return not (self.problem.belief == "ex-ante" and possible)

    # --- worths ---------------------------------------------------------------------------------------------

    def worth(self, curve: Any, data: np.ndarray) -> np.ndarray:
        """What a model is worth beyond the baseline where a perfect one is worth 1."""
        return self.worth_of(self._level(curve, data)) - self.worth_of(float(self.problem.baseline))

    def _level(self, curve: Any, data: np.ndarray) -> np.ndarray:
        return np.maximum(np.asarray(curve(np.asarray(data, float))), self.problem.baseline)

    def target(self, curve: Any, data: np.ndarray) -> np.ndarray:
        """What the coordinator maximises, beyond the baseline."""
        if self.by_value:
            return self.unit * self.worth(curve, data)
        return self._level(curve, data) - self.problem.baseline

    def _alone(self) -> tuple[np.ndarray, np.ndarray]:
        utility, data = np.zeros(self.size), np.zeros(self.size)
        for i, curve in itertools.product(range(self.size), self.curves):
            most = min(1.0 / self.cost[i], self.capacity[i])

            def profit(x: Any, i: int = i, curve: Any = curve) -> Any:
                return self.scale[i] * (self.worth(curve, x) - self.cost[i] * x)

            grid = np.unique(np.r_[np.linspace(0.0, most, 2001), most * np.geomspace(1e-9, 1.0, 2000)])
            values = profit(grid)
            for k in np.argsort(values)[-3:]:
                near = grid[[max(k - 1, 0), min(k + 1, grid.size - 1)]]
                found: Any = optimize.minimize_scalar(
                    lambda x, profit=profit: -float(profit(np.array(x))),
                    bounds=near,
                    method="bounded",
                    options={"xatol": 1e-12 * most},
                )
                for x in (float(found.x), float(grid[k])):
                    value = float(profit(np.array(x)))
                    if value > utility[i]:
                        utility[i], data[i] = value, x
        return utility, data

    # --- a menu ---------------------------------------------------------------------------------------------

    def expected(self, x: np.ndarray) -> tuple[list[np.ndarray], np.ndarray]:
        """The expected target of each member of each world, and the most each can be given, least of all."""
        targets, most = [], np.full(self.size, np.inf)
        for world in self.worlds:
            total = world.counts @ x
            targets.append(world.prior @ self.target(world.curve, self.kept * total))
            for i in range(self.size):
                whole = self.worth(world.curve, self.kept * (total + x[i] * self._shifted(i)))
                most[i] = min(most[i], float((world.beliefs[:, i] @ whole).min()))
        return targets, most

    def deliverable(self, i: int, x: float) -> bool:
        """Whether i could deliver an option of x data (it may shade like everybody)."""
        return not x >= self.reach[i] * (1.0 - EDGE)

    def rewards(
        self, x: np.ndarray, stay: frozenset[int], most: np.ndarray, *, least: bool, alike: Alike = NOBODY
    ) -> np.ndarray | None:
        """The least (or greatest) rewards with which contributions keep every promise; None where none do.

        Besides, they may have to be alike for some types, and none for others.
        """
        served = [i for i in range(self.size) if i not in stay]
        low = np.maximum(self.due + self.cost * x, 0.0)
        high = most.copy()
        high[list(alike.nothing)] = 0.0
        for i, j in itertools.product(stay, served):
            if self.group[i] == self.group[j] and self.deliverable(i, x[j]):
                high[j] = min(high[j], self.stays[i] + self.cost[i] * x[j])
        steps = []  # reward_i - reward_j >= step
        for i, j in itertools.permutations(served, 2):
            if self.group[i] == self.group[j] and self.deliverable(i, x[j]):
                apart = abs(x[i] - x[j]) > 1e-9 * max(x[i], x[j])
                steps.append((i, j, self.cost[i] * (x[i] - x[j]) + apart * self.preference[i]))
        for block in alike.blocks:
            steps += [(i, j, 0.0) for i, j in itertools.permutations(block, 2)]
        y = (low if least else high).copy()
        for _ in range(self.size + 1):
            for i, j, step in steps:
                if least:
                    y[i] = max(y[i], y[j] + step)
                else:
                    y[j] = min(y[j], y[i] - step)
        y[list(stay)] = 0.0
        sound = all(low[i] - 1e-8 <= y[i] <= high[i] + 1e-8 for i in served)
        sound = sound and all(y[i] - y[j] >= step - 1e-8 for i, j, step in steps)
        return y if sound else None

    def value(self, x: np.ndarray, y: np.ndarray, stay: frozenset[int], targets: list[np.ndarray]) -> float:
        """The objective."""
        objective: Any = self.problem.objective
        utility = self.scale * (y - self.cost * x) - self.joining
        utility = np.where([i in stay for i in range(self.size)], self.alone, utility)
        if self.family == "rawlsian":
            level = (utility - self.alone if objective.over == "gain" else utility).min()
            pairs = zip(self.worlds, targets, strict=True)
            return float(level) + self.weight * sum(w.weight * float(each.min()) for w, each in pairs)
        total = 0.0
        for world, each in zip(self.worlds, targets, strict=True):
            social = [self._social(utility, y, share, world.participants) for share in world.shares]
            total += world.weight * float((self.weight * each + np.array(social)).min())
        return total

    def _social(self, utility: np.ndarray, y: np.ndarray, share: np.ndarray, number: float) -> float:
        objective: Any = self.problem.objective
        if self.family == "welfare":
            return float(share @ utility)
        if self.family == "nash-bargaining":
            gain, occurs = utility - self.alone, share > 0
            return float(share[occurs] @ np.log(gain[occurs])) if (gain[occurs] > 0).all() else -np.inf
        if self.family == "distribution-cost":
            each = np.maximum(self.unit * y, 0.0) ** objective.exponent
            return -float(objective.rate * number * (share @ each))
        return 0.0

    @property
    def wants_least(self) -> bool:
        """Whether the objective wants small rewards rather than large ones."""
        return self.family in ("", "distribution-cost")

    def options(self, x: np.ndarray, y: np.ndarray, stay: frozenset[int]) -> int:
        """Different options, of all groups together; nothing for nothing does not count."""
        found: list[tuple[float, float]] = []
        largest = max(float(x.max()), 1e-300)
        for i in range(self.size):
            nothing = x[i] <= EDGE * largest and y[i] <= EDGE
            same = any(abs(a - x[i]) <= EDGE * largest and abs(b - y[i]) <= EDGE for a, b in found)
            if i not in stay and not nothing and not same:
                found.append((float(x[i]), float(y[i])))
        return len(found)

    def answer(self, x: np.ndarray, stay: frozenset[int]) -> tuple[float, np.ndarray] | None:
        """The best rewards for given contributions, and the objective."""
        if (x > self.capacity * (1 + 1e-9)).any():
            return None
        targets, most = self.expected(x)
        best = None
        for alike in self._alike(x, stay):
            for least in (self.wants_least, not self.wants_least):
                y = self.rewards(x, stay, most, least=least, alike=alike)
                if y is None:
                    break
                limit = self.problem.menu.options
                if limit is not None and self.options(x, y, stay) > limit:
                    continue
                value = self.value(x, y, stay, targets)
                if best is None or value > best[0]:
                    best = value, y
        return best

    def _alike(self, x: np.ndarray, stay: frozenset[int]) -> list[Alike]:
        """Which types that bring the same may have the same option, and who nothing for nothing."""
        if self.problem.menu.options is None:
            return [NOBODY]
        served = [i for i in range(self.size) if i not in stay]
        idle = [i for i in served if x[i] == 0.0 and self.due[i] <= 0.0]
        found = []
        for nothing in subsets(idle):
            rest = [i for i in served if i not in nothing]
            for blocks in partitions(rest):
                even = all(np.ptp(x[list(block)]) <= 1e-9 * x[list(block)].max() for block in blocks)
                if even and len(blocks) <= self.problem.menu.options:
                    found.append(Alike(tuple(blocks), nothing))
        return found


def partitions(items: list[int]) -> list[list[tuple[int, ...]]]:
    """All ways to put items into blocks."""
    if not items:
        return [[]]
    first, rest = items[0], items[1:]
    found = []
    for smaller in partitions(rest):
        found.append([(first,), *smaller])
        found += [[*smaller[:k], (first, *smaller[k]), *smaller[k + 1 :]] for k in range(len(smaller))]
    return found


def subsets(items: list[int]) -> list[frozenset[int]]:
    """All subsets."""
    return [frozenset(s) for k in range(len(items) + 1) for s in itertools.combinations(items, k)]


def _counts(types: int, law: dict[int, float]) -> np.ndarray:
    """Every vector of counts that sums to a possible number, or to one less."""
    numbers = {k for k, p in law.items() if p > 0} | {k - 1 for k, p in law.items() if p > 0 and k > 0}
    most = max(numbers)
    every = [k for k in itertools.product(range(most + 1), repeat=types) if sum(k) in numbers]
    return np.array(every, float)


def _others(law: dict[int, float]) -> dict[int, float]:
    mean = sum(k * p for k, p in law.items())
    return {k - 1: k * p / mean for k, p in law.items() if k > 0}


def _multinomial(counts: np.ndarray, law: dict[int, float], p: np.ndarray) -> np.ndarray:
    number = counts.sum(axis=1).astype(int)
    chance = np.array([law.get(n, 0.0) for n in number])
    log_factorial = np.array([math.lgamma(k + 1.0) for k in range(int(number.max()) + 2)])
    with np.errstate(divide="ignore", invalid="ignore"):
        powers = np.where(counts > 0, counts * np.log(p), 0.0).sum(axis=1)
    ways = log_factorial[number] - log_factorial[counts.astype(int)].sum(axis=1)
    return chance * np.exp(ways + powers)


def _product(parts: list[np.ndarray]) -> np.ndarray:
    joint = np.ones(1)
    for part in parts:
        joint = np.multiply.outer(joint, part).ravel()
    return joint


def vertices(p: np.ndarray, radius: float) -> list[np.ndarray]:
    """The vertices of a ball of total variation within the simplex: one type gains what others lose in turn."""
    found: dict[tuple, np.ndarray] = {}
    for receiver in range(p.size):
        others = [i for i in range(p.size) if i != receiver]
        for order in itertools.permutations(others):
            q, left = p.copy(), radius
            for i in order:
                moved = min(q[i], left)
                q[i], left = q[i] - moved, left - moved
                q[receiver] += moved
            found[tuple(q.round(14))] = q
    return list(found.values())


def _within_divergence(p: np.ndarray, q: np.ndarray, radius: float) -> np.ndarray:
    """The furthest point from p towards q whose divergence from p is at most the radius."""
    q = np.where(p > 0, q, 0.0) / q[p > 0].sum()

    def divergence(a: float) -> float:
        r = p + a * (q - p)
        return float(np.where(r > 0, r * np.log(np.where(r > 0, r, 1.0) / np.where(p > 0, p, 1.0)), 0.0).sum())

    low, high = 0.0, 1.0
    for _ in range(60):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if divergence(middle) <= radius else (low, middle)
    return p + low * (q - p)


def _stayers(listed: Enumerated, x: np.ndarray, y: np.ndarray) -> frozenset[int]:
    """Who is offered nothing, though more is due: who stays out where one may."""
    nothing = (x == 0.0) & (np.abs(y) <= ROUNDING) & (listed.due >= -ROUNDING)
    return frozenset(int(i) for i in np.flatnonzero(nothing)) if listed.may_stay else frozenset()


def reached(problem: Problem, contribution: np.ndarray, reward: np.ndarray) -> float:
    """The objective of a menu (counted from the baseline), by enumeration."""
    listed = Enumerated(problem)
    x, y = np.asarray(contribution) * listed.quality, np.asarray(reward) / listed.scale
    return listed.value(x, y, _stayers(listed, x, y), listed.expected(x)[0])


def violations(
    problem: Problem, contribution: np.ndarray, reward: np.ndarray, *, tolerance: float = 1e-6, members: int = 5
) -> list[str]:
    """Which promises a menu breaks, by enumeration, by more than a share of the value of a perfect model.

    Args:
        problem: the problem.
        contribution: raw data m_i, shape (types,).
        reward: t_i in each type's own money, shape (types,).
        tolerance: in units in which a perfect model is worth 1.
        members: how many further members of each ball of doubt are drawn and looked at.
    """
    listed, found = Enumerated(problem, members=members), []
    names = list(problem.population.names or ())
    m, t = np.asarray(contribution, float), np.asarray(reward, float)
    if not (np.isfinite(m).all() and np.isfinite(t).all() and (m >= 0).all() and (t >= -tolerance).all()):
        return [f"contributions {m}, rewards {t}: not finite and >= 0"]
    x, y = m * listed.quality, t / listed.scale
    stay = _stayers(listed, x, y)
    served = [i for i in range(listed.size) if i not in stay]
    most = listed.expected(x)[1]
    gain = y - listed.cost * x - listed.due
    found += [f"participation: {names[i]} lacks {-gain[i]:.3g}" for i in served if gain[i] < -tolerance]
    found += [
        f"feasibility: {names[i]} is short by {y[i] - most[i]:.3g}" for i in served if y[i] > most[i] + tolerance
    ]
    excess = x - listed.capacity
    found += [
        f"capacity: {names[i]} owes {excess[i]:.3g} too much"
        for i in range(listed.size)
        if excess[i] > 1e-6 * listed.capacity[i]
    ]
    for i, j in itertools.product(range(listed.size), served):
        if i == j or listed.group[i] != listed.group[j] or not listed.deliverable(i, x[j]):
            continue
        other = y[j] - listed.cost[i] * x[j]
        own = listed.stays[i] if i in stay else y[i] - listed.cost[i] * x[i]
        same = abs(x[i] - x[j]) <= 1e-6 * max(x[i], x[j]) and abs(y[i] - y[j]) <= tolerance
        margin = 0.0 if i in stay or same else listed.preference[i]
        if other + margin > own + tolerance:
            found.append(f"incentives: {names[i]} gains {other + margin - own:.3g} by the option of {names[j]}")
    menu = problem.menu
    if menu.lot is not None:
        off = x / menu.lot - np.round(x / menu.lot)
        found += [
            f"lots: {names[i]} owes {x[i] / menu.lot:.9g} of them" for i in np.flatnonzero(abs(off) > 1e-6)
        ]
    if menu.options is not None and listed.options(x, y, stay) > menu.options:
        found.append(f"options: {listed.options(x, y, stay)} where {menu.options} are allowed")
    return found
