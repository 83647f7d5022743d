"""The best contract of a small problem, by listing every outcome: an oracle that shares nothing with the library.

Only the fields of the user's `Problem`, its curve and its valuation are used. Outcomes (how many of each type come)
are enumerated, with their probabilities in every scenario and, for doubt by total variation, at every vertex of the
balls. Contracts are searched by SLSQP from many starts in every discrete case: who stays out, who contributes
nothing, who shares an option, who can deliver whose data. For given contributions the rewards are exact: what
bounds them is a system of differences, which has a least and a greatest solution, and every objective wants one of
the two.

Data here are effective data x_i = q_i m_i as agreed, of which the share 1 - shading is delivered at least; rewards
are y_i = t_i / V_i, the expected value of the model where a perfect one is worth 1.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
import warnings
from typing import Any, NamedTuple

import numpy as np
from scipy import optimize, stats

from contracts import Binomial, FiniteTurnout, Poisson, Problem

NEGLIGIBLE = 1e-12  # probability of numbers of participants left out
MOST_OUTCOMES = 200_000
ROUNDING = 1e-9
EDGE = 1e-7  # relative: data at the edge of a capacity count as out of reach


class World(NamedTuple):
    """A scenario: outcomes, and for each member of the doubt what is believed of them."""

    weight: float
    curve: Any
    counts: np.ndarray  # (outcomes, types)
    prior: np.ndarray  # (members, outcomes)
    beliefs: np.ndarray  # (members, types, outcomes)
    shares: np.ndarray  # (members, types)
    participants: float


class Case(NamedTuple):
    """What is decided before the continuous search."""

    blocks: tuple[tuple[int, ...], ...]  # served types that share an option
    stay: frozenset[int]
    null: frozenset[int]  # types that contribute nothing
    free: bool  # whether those may receive something all the same
    low: tuple[float, ...]  # of each block's data
    high: tuple[float, ...]


class Oracle:
    """The problem, enumerated."""

    def __init__(self, problem: Problem, *, members: int = 0, seed: int = 0):
        self.problem, population = problem, problem.population
        self.size = size = population.costs.size
        self.scale = np.broadcast_to(np.asarray(problem.valuation.scale, float), (size,))
        self.worth_of = dataclasses.replace(problem.valuation, scale=1.0)
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
                found = optimize.minimize_scalar(
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

    def rewards(self, x: np.ndarray, stay: frozenset[int], most: np.ndarray, *, least: bool) -> np.ndarray | None:
        """The least (or greatest) rewards with which contributions keep every promise; None where none do."""
        served = [i for i in range(self.size) if i not in stay]
        low = np.maximum(self.due + self.cost * x, 0.0)
        high = most.copy()
        for i, j in itertools.product(stay, served):
            if self.group[i] == self.group[j] and self.deliverable(i, x[j]):
                high[j] = min(high[j], self.stays[i] + self.cost[i] * x[j])
        steps = []  # reward_i - reward_j >= step
        for i, j in itertools.permutations(served, 2):
            if self.group[i] == self.group[j] and self.deliverable(i, x[j]):
                apart = abs(x[i] - x[j]) > 1e-9 * max(x[i], x[j])
                steps.append((i, j, self.cost[i] * (x[i] - x[j]) + apart * self.preference[i]))
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
        family = getattr(self.problem.objective, "family", "")
        weight = 1.0 if family in ("", "distribution-cost") else getattr(self.problem.objective, "coordinator", 0.0)
        utility = self.scale * (y - self.cost * x) - self.joining
        utility = np.where([i in stay for i in range(self.size)], self.alone, utility)
        if family == "rawlsian":
            over: Any = getattr(self.problem.objective, "over")  # noqa: B009
            level = float((utility - self.alone).min() if over == "gain" else utility.min())
            return level + weight * sum(w.weight * float(e.min()) for w, e in zip(self.worlds, targets, strict=True))
        total = 0.0
        for world, each in zip(self.worlds, targets, strict=True):
            social = [self._social(family, utility, y, share, world.participants) for share in world.shares]
            total += world.weight * float((weight * each + np.array(social)).min())
        return total

    def _social(self, family: str, utility: np.ndarray, y: np.ndarray, share: np.ndarray, number: float) -> float:
        objective: Any = self.problem.objective
        if family == "welfare":
            return float(share @ utility)
        if family == "nash-bargaining":
            gain, occurs = utility - self.alone, share > 0
            if (gain[occurs] <= 0).any():
                return -np.inf
            return float(share[occurs] @ np.log(gain[occurs]))
        if family == "distribution-cost":
            return -float(objective.rate * number * (share @ np.maximum(self.unit * y, 0.0) ** objective.exponent))
        return 0.0

    @property
    def wants_least(self) -> bool:
        """Whether the objective wants small rewards rather than large ones."""
        return getattr(self.problem.objective, "family", "") in ("", "distribution-cost")

    def options(self, x: np.ndarray, y: np.ndarray, stay: frozenset[int]) -> int:
        """Different options, counted group by group; nothing for nothing does not count."""
        found: list[tuple[int, float, float]] = []
        largest = max(float(x.max()), 1e-300)
        for i in range(self.size):
            nothing = x[i] <= EDGE * largest and y[i] <= EDGE
            same = any(
                g == self.group[i] and abs(a - x[i]) <= EDGE * largest and abs(b - y[i]) <= EDGE for g, a, b in found
            )
            if i not in stay and not nothing and not same:
                found.append((int(self.group[i]), float(x[i]), float(y[i])))
        return len(found)

    def answer(self, x: np.ndarray, stay: frozenset[int]) -> tuple[float, np.ndarray] | None:
        """The best rewards for given contributions, and the objective."""
        if (x > self.capacity * (1 + 1e-9)).any():
            return None
        targets, most = self.expected(x)
        best = None
        for least in (self.wants_least, not self.wants_least):
            y = self.rewards(x, stay, most, least=least)
            if y is None:
                return None
            if self.problem.menu.options is not None and self.options(x, y, stay) > self.problem.menu.options:
                continue
            value = self.value(x, y, stay, targets)
            if best is None or value > best[0]:
                best = value, y
        return best


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


# --- the search ------------------------------------------------------------------------------------------------


def _partitions(items: list[int]) -> list[list[tuple[int, ...]]]:
    if not items:
        return [[]]
    first, rest = items[0], items[1:]
    found = []
    for smaller in _partitions(rest):
        found.append([(first,), *smaller])
        found += [[*smaller[:k], (first, *smaller[k]), *smaller[k + 1 :]] for k in range(len(smaller))]
    return found


def _subsets(items: list[int]) -> list[frozenset[int]]:
    return [frozenset(s) for k in range(len(items) + 1) for s in itertools.combinations(items, k)]


def cases(oracle: Oracle) -> list[Case]:
    """Every discrete case."""
    menu, everybody = oracle.problem.menu, list(range(oracle.size))
    limited = menu.options is not None or menu.preference_margin > 0.0
    floors = oracle.problem.baseline > 0.0 or any(float(curve.floor) > 0.0 for curve in oracle.curves)
    found = []
    for stay in _subsets(everybody) if oracle.may_stay else [frozenset()]:
        served = [i for i in everybody if i not in stay]
        poor = [i for i in served if oracle.due[i] <= 0.0]
        idle = {(frozenset(s), False) for s in _subsets(poor)} if limited else {(frozenset(), True)}
        if floors:
            idle |= {(s, True) for s in _subsets(served)}
        for null, free in idle:
            rest = [i for i in served if free or i not in null]
            groups = [[i for i in rest if oracle.group[i] == g] for g in sorted(set(oracle.group))]
            each = [_partitions(g) if limited else [[(i,) for i in g]] for g in groups]
            for parts in itertools.product(*each):
                blocks = tuple(block for part in parts for block in part)
                if menu.options is not None and len(blocks) > menu.options:
                    continue
                if free and any(0 < len(null & set(block)) < len(block) for block in blocks):
                    continue
                found += _by_reach(oracle, blocks, stay, null, free)
    return found


def _by_reach(oracle: Oracle, blocks: Any, stay: frozenset[int], null: frozenset[int], free: bool) -> list[Case]:
    """Between which capacities each block's data lie."""
    ranges = []
    for block in blocks:
        most = float(oracle.capacity[list(block)].min())
        if null & set(block):
            ranges.append([(0.0, 0.0)])
            continue
        mates = [i for i in range(oracle.size) if oracle.group[i] == oracle.group[block[0]]]
        edges = sorted({float(oracle.reach[i]) for i in mates if i not in block and oracle.reach[i] < most})
        ranges.append(list(itertools.pairwise([0.0, *edges, most])))
    return [
        Case(blocks, stay, null, free, tuple(low for low, _ in one), tuple(high for _, high in one))
        for one in itertools.product(*ranges)
    ]


class _Search:
    """The continuous search of one case: data and rewards of blocks, a level, a worst value for each world."""

    def __init__(self, oracle: Oracle, case: Case):
        self.oracle, self.case = oracle, case
        self.unit = 0.3 / float(oracle.cost.mean())
        n, size = len(case.blocks), oracle.size
        self.spread = np.zeros((size, n))
        for b, block in enumerate(case.blocks):
            self.spread[list(block), b] = 1.0
        self.n = n
        objective: Any = oracle.problem.objective
        self.family = getattr(objective, "family", "")
        self.rawls = self.family == "rawlsian"
        self.robust = any(len(w.prior) > 1 for w in oracle.worlds)
        self.extra = int(self.rawls) + (len(oracle.worlds) if self.robust else 0)
        largest = max(float(oracle.target(c, np.array(1e300))) for c in oracle.curves)
        social = float(oracle.scale.mean()) if self.family in ("welfare", "rawlsian") else 0.0
        self.size = 1.0 if self.family == "nash-bargaining" else max(largest, social)
        self.served = [i for i in range(size) if i not in case.stay]
        self.blocked = self._linear()
        self.known: tuple[bytes, Any] | None = None

    def _linear(self) -> tuple[np.ndarray, np.ndarray]:
        """Rows a with a [x, y] >= b, x in units."""
        o, case, rows, least = self.oracle, self.case, [], []
        size = o.size
        block_of = {i: b for b, block in enumerate(case.blocks) for i in block}
        null = [i for i in self.served if i not in block_of]

        def reached(i: int, j: int) -> bool:
            return j not in block_of or not case.high[block_of[j]] > o.reach[i]

        def add(pairs: list[tuple[int, float, float]], b: float) -> None:
            row = np.zeros(2 * size)
            for i, by_x, by_y in pairs:
                row[i] += by_x * self.unit
                row[size + i] += by_y
            rows.append(row)
            least.append(b)

        for i in self.served:
            if i in null:
                continue
            add([(i, -o.cost[i], 1.0)], float(o.due[i]))
        for i, j in itertools.permutations(self.served, 2):
            same = block_of.get(i, -1 - i * 0) == block_of.get(j, -1)
            if o.group[i] == o.group[j] and not same and reached(i, j):
                add([(i, -o.cost[i], 1.0), (j, o.cost[i], -1.0)], float(o.preference[i]))
        for i, j in itertools.product(case.stay, self.served):
            if o.group[i] == o.group[j] and reached(i, j):
                add([(j, o.cost[i], -1.0)], -float(o.stays[i]))
        full = np.array(rows).reshape(-1, 2 * size)
        wide = np.zeros((2 * size, 2 * self.n))
        wide[:size, : self.n] = self.spread
        wide[size:, self.n :] = self.spread
        return full @ wide, np.array(least)

    def evaluate(self, z: np.ndarray) -> tuple[float, np.ndarray, np.ndarray, np.ndarray]:
        """Minus the objective and its gradient, the constraints (>= 0) and their Jacobian."""
        key = z.tobytes()
        if self.known is not None and self.known[0] == key:
            return self.known[1]
        found = self._evaluate(z)
        self.known = key, found
        return found

    def _evaluate(self, z: np.ndarray) -> tuple[float, np.ndarray, np.ndarray, np.ndarray]:
        o, n = self.oracle, self.n
        objective: Any = o.problem.objective
        x, y = self.spread @ z[:n] * self.unit, self.spread @ z[n : 2 * n]
        matrix, least = self.blocked
        values = [matrix @ z[: 2 * n] - least]
        slopes = [np.pad(matrix, ((0, 0), (0, self.extra)))]
        weight = {"": 1.0, "distribution-cost": 1.0}.get(self.family, getattr(objective, "coordinator", 0.0))
        utility = o.scale * (y - o.cost * x) - o.joining
        stays = np.array([i in self.case.stay for i in range(o.size)])
        utility = np.where(stays, o.alone, utility)
        by_x, by_y = np.where(stays, 0.0, -o.scale * o.cost), np.where(stays, 0.0, o.scale)
        total, gradient, place = 0.0, np.zeros(z.size), 2 * n + int(self.rawls)
        for w, world in enumerate(o.worlds):
            sums = world.counts @ x
            step = 1e-6 * sums + 1e-7 * self.unit
            goal = o.target(world.curve, o.kept * sums)
            goal_slope = self._slope(lambda d, c=world.curve: o.target(c, d), sums, step)
            for k, prior in enumerate(world.prior):
                g = np.zeros(z.size)
                e = weight * float(prior @ goal)
                g[:n] += weight * ((prior * goal_slope) @ world.counts) @ self.spread * self.unit
                s, sx, sy = self._social(world, k, utility, y, by_x, by_y)
                e += s
                g[:n] += sx @ self.spread * self.unit
                g[n : 2 * n] += sy @ self.spread
                if self.robust:
                    values.append(np.array([(e - z[place + w] * self.size) / self.size]))
                    row = g / self.size
                    row[place + w] -= 1.0
                    slopes.append(row[None])
                else:
                    total += world.weight * e
                    gradient += world.weight * g
            if self.robust:
                total += world.weight * z[place + w] * self.size
                gradient[place + w] += world.weight * self.size
            for i in (i for i in self.served if self.spread[i].any()):
                own = sums + x[i] * o._shifted(i)
                step = 1e-6 * own + 1e-7 * self.unit
                whole = o.worth(world.curve, o.kept * own)
                slope = self._slope(lambda d, c=world.curve: o.worth(c, d), own, step)
                belief = world.beliefs[:, i]
                by_all = (belief * slope) @ world.counts
                by_all[:, i] += (belief @ slope) * o._shifted(i)
                row = np.zeros((len(belief), z.size))
                row[:, :n] = by_all @ self.spread * self.unit
                row[:, n : 2 * n] -= self.spread[i]
                values.append(belief @ whole - y[i])
                slopes.append(row)
        if self.rawls:
            from_ = o.alone if objective.over == "gain" else np.zeros(o.size)
            row = np.zeros((o.size, z.size))
            row[:, :n] = by_x[:, None] * self.spread * self.unit / o.scale.mean()
            row[:, n : 2 * n] = by_y[:, None] * self.spread / o.scale.mean()
            row[:, 2 * n] = -1.0
            values.append((utility - from_) / o.scale.mean() - z[2 * n])
            slopes.append(row)
            total += z[2 * n] * o.scale.mean()
            gradient[2 * n] += o.scale.mean()
        return -total / self.size, -gradient / self.size, np.concatenate(values) - ROUNDING, np.concatenate(slopes)

    def _slope(self, function: Any, data: np.ndarray, step: np.ndarray) -> np.ndarray:
        """The derivative by agreed data."""
        low = np.maximum(data - step, 0.0)
        high = data + step
        return (function(self.oracle.kept * high) - function(self.oracle.kept * low)) / (high - low)

    def _social(self, world: World, k: int, utility: Any, y: Any, by_x: Any, by_y: Any) -> tuple[float, Any, Any]:
        o, share = self.oracle, world.shares[k]
        objective: Any = o.problem.objective
        none = np.zeros(o.size)
        if self.family == "welfare":
            return float(share @ utility), share * by_x, share * by_y
        if self.family == "nash-bargaining":
            gain = np.maximum(utility - o.alone, 1e-9 * o.scale)
            return float(share @ np.log(gain)), share / gain * by_x, share / gain * by_y
        if self.family == "distribution-cost":
            each = np.maximum(o.unit * y, 0.0)
            rate = -objective.rate * world.participants * share
            power = each ** (objective.exponent - 1.0) if objective.exponent > 1.0 else np.ones(o.size)
            return float(rate @ each**objective.exponent), none, rate * objective.exponent * power * o.unit
        return 0.0, none, none

    def run(self, start: np.ndarray) -> np.ndarray | None:
        """Contributions per type near a start (data of types)."""
        o, case, n = self.oracle, self.case, self.n
        if n == 0:
            return np.zeros(o.size)
        data = np.array([start[list(block)].mean() for block in case.blocks]) / self.unit
        low, high = np.array(case.low) / self.unit, np.array(case.high) / self.unit
        data = np.clip(data, low, np.minimum(high, 1e6))
        most = o.expected(self.spread @ data * self.unit)[1]
        reward = np.array([0.95 * most[list(block)].min() for block in case.blocks])
        z = np.r_[data, np.maximum(reward, 0.0), np.zeros(self.extra)]
        bounds = [(a, b if np.isfinite(b) else None) for a, b in zip(low, high, strict=True)]
        bounds += [(0.0, 1.0)] * n + [(None, None)] * self.extra
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            found = optimize.minimize(
                lambda z: self.evaluate(z)[:2],
                z,
                jac=True,
                method="SLSQP",
                bounds=bounds,
                constraints=[
                    {"type": "ineq", "fun": lambda z: self.evaluate(z)[2], "jac": lambda z: self.evaluate(z)[3]}
                ],
                options={"maxiter": 150, "ftol": 1e-13},
            )
        if not np.isfinite(found.x).all():
            return None
        return self.spread @ np.clip(found.x[:n], low, high) * self.unit


def best(problem: Problem, *, starts: int = 12, seed: int = 0) -> tuple[float, np.ndarray, np.ndarray]:
    """The best contract that was found: its objective (counted from the baseline), raw contributions, rewards.

    The objective is -inf where none was found that keeps every promise.
    """
    doubt = problem.population.doubt
    if doubt is not None and doubt.distance == "kullback-leibler" and doubt.radius > 0:
        raise ValueError("the oracle does not search within Kullback-Leibler balls")
    oracle = Oracle(problem)
    rng = np.random.default_rng(seed)
    found: tuple[float, np.ndarray, np.ndarray] = (-np.inf, np.zeros(oracle.size), np.zeros(oracle.size))

    def consider(x: np.ndarray | None, stay: frozenset[int]) -> None:
        nonlocal found
        reached = None if x is None else oracle.answer(x, stay)
        if reached is not None and reached[0] > found[0]:
            found = reached[0], x, reached[1]  # type: ignore[assignment]

    listed = cases(oracle)
    rng.shuffle(listed)  # type: ignore[arg-type]
    listed = sorted(listed, key=lambda case: (len(case.null), len(case.stay)))[:250]
    if problem.menu.lot is not None:
        _by_lots(oracle, listed, rng, starts, consider)
    else:
        for case in listed:
            for start in _starts(oracle, rng, max(2, -(-starts // len(listed)))):
                consider(_Search(oracle, case).run(start), case.stay)
            consider(np.zeros(oracle.size), case.stay)
        alone = np.minimum(oracle.alone_data, oracle.capacity)
        consider(alone, frozenset())
    value, x, y = found
    return value, x / oracle.quality, y * oracle.scale


def _starts(oracle: Oracle, rng: np.random.Generator, count: int) -> list[np.ndarray]:
    unit = 0.3 / oracle.cost.mean()
    found = []
    for k in range(count):
        if k == 0:
            found.append(np.full(oracle.size, unit))
        elif k == 1:
            found.append(unit * (0.2 + 0.8 * np.argsort(np.argsort(-oracle.cost)) / oracle.size))
        elif k % 3 == 2:
            found.append(np.maximum(oracle.alone_data * rng.uniform(0.5, 1.5), 0.05 * unit))
        else:
            drawn = unit * np.exp(rng.normal(-0.5, 1.0, oracle.size))
            order = np.argsort(-oracle.cost)
            rising = np.empty(oracle.size)
            rising[order] = np.sort(drawn)
            found.append(rising)
    return found


def _by_lots(oracle: Oracle, listed: list[Case], rng: np.random.Generator, starts: int, consider: Any) -> None:
    """Every vector of whole lots where they are few, else those near what is best without lots."""
    lot = float(oracle.problem.menu.lot)
    most = np.minimum((1.0 - oracle.due) / oracle.cost, oracle.capacity)
    numbers = np.floor(np.maximum(most, 0.0) / lot + 1e-9).astype(int)
    stays = sorted({case.stay for case in listed}, key=sorted)
    if math.prod(int(n) + 1 for n in numbers) * len(stays) <= 6000:
        for k in itertools.product(*(range(n + 1) for n in numbers)):
            for stay in stays:
                x = np.array(k, float) * lot
                x[list(stay)] = 0.0
                consider(x, stay)
        return
    free = Oracle(dataclasses.replace(oracle.problem, menu=dataclasses.replace(oracle.problem.menu, lot=None)))
    for case in listed:
        for start in _starts(oracle, rng, max(1, starts // len(listed))):
            x = _Search(free, case).run(start)
            if x is None:
                continue
            blocks = [b for b, block in enumerate(case.blocks) if not (case.free and case.null & set(block))]
            for k in itertools.product((-1, 0, 1, 2), repeat=len(blocks)):
                whole = np.zeros(oracle.size)
                for b, more in zip(blocks, k, strict=True):
                    one = list(case.blocks[b])
                    whole[one] = max(np.floor(x[one[0]] / lot + 1e-9) + more, 0.0) * lot
                consider(whole, case.stay)


# --- a contract ------------------------------------------------------------------------------------------------


def _stayers(oracle: Oracle, x: np.ndarray, y: np.ndarray) -> frozenset[int]:
    """Who is offered nothing, though more is due: who stays out where one may."""
    nothing = (x == 0.0) & (np.abs(y) <= ROUNDING) & (oracle.due > ROUNDING)
    return frozenset(int(i) for i in np.flatnonzero(nothing)) if oracle.may_stay else frozenset()


def reached(problem: Problem, contribution: np.ndarray, reward: np.ndarray) -> float:
    """The objective of a menu (counted from the baseline), by enumeration."""
    oracle = Oracle(problem)
    x, y = np.asarray(contribution) * oracle.quality, np.asarray(reward) / oracle.scale
    return oracle.value(x, y, _stayers(oracle, x, y), oracle.expected(x)[0])


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
    oracle, found = Oracle(problem, members=members), []
    names = problem.population.names
    m, t = np.asarray(contribution, float), np.asarray(reward, float)
    if not (np.isfinite(m).all() and np.isfinite(t).all() and (m >= 0).all() and (t >= -tolerance).all()):
        return [f"contributions {m}, rewards {t}: not finite and >= 0"]
    x, y = m * oracle.quality, t / oracle.scale
    stay = _stayers(oracle, x, y)
    served = [i for i in range(oracle.size) if i not in stay]
    most = oracle.expected(x)[1]
    gain = y - oracle.cost * x - oracle.due
    found += [f"participation: {names[i]} lacks {-gain[i]:.3g}" for i in served if gain[i] < -tolerance]
    found += [
        f"feasibility: {names[i]} is short by {y[i] - most[i]:.3g}" for i in served if y[i] > most[i] + tolerance
    ]
    excess = x - oracle.capacity
    found += [
        f"capacity: {names[i]} owes {excess[i]:.3g} too much"
        for i in range(oracle.size)
        if excess[i] > 1e-6 * oracle.capacity[i]
    ]
    for i, j in itertools.product(range(oracle.size), served):
        if i == j or oracle.group[i] != oracle.group[j] or not oracle.deliverable(i, x[j]):
            continue
        other = y[j] - oracle.cost[i] * x[j]
        own = oracle.stays[i] if i in stay else y[i] - oracle.cost[i] * x[i]
        same = abs(x[i] - x[j]) <= 1e-6 * max(x[i], x[j]) and abs(y[i] - y[j]) <= tolerance
        margin = 0.0 if i in stay or same else oracle.preference[i]
        if other + margin > own + tolerance:
            found.append(f"incentives: {names[i]} gains {other + margin - own:.3g} by the option of {names[j]}")
    menu = problem.menu
    if menu.lot is not None:
        off = x / menu.lot - np.round(x / menu.lot)
        found += [f"lots: {names[i]} owes {x[i] / menu.lot:.9g} of them" for i in np.flatnonzero(abs(off) > 1e-6)]
    if menu.options is not None and oracle.options(x, y, stay) > menu.options:
        found.append(f"options: {oracle.options(x, y, stay)} where {menu.options} are allowed")
    return found
