"""The best contract of a small problem, found without the library: an oracle.

Every outcome is listed (`enumerated`), and contracts are searched by SLSQP from many starts in every discrete
case: who stays out, who contributes nothing, who shares an option, who can deliver whose data. Where the cases
are many some are left out: what is found is a contract all the same, but perhaps not the best.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
import warnings
from typing import Any, NamedTuple

import numpy as np
from enumerated import ROUNDING, Enumerated, World, partitions, reached, subsets, violations
from scipy import optimize

from contracts import Problem

__all__ = ["best", "reached", "violations"]


class Case(NamedTuple):
    """What is decided before the continuous search."""

    blocks: tuple[tuple[int, ...], ...]  # served types that share an option
    stay: frozenset[int]
    null: frozenset[int]  # types that contribute nothing
    free: bool  # whether those may receive something all the same
    low: tuple[float, ...]  # of each block's data
    high: tuple[float, ...]


# --- the search ------------------------------------------------------------------------------------------------


def _dearest(oracle: Enumerated, served: list[int]) -> list[list[int]]:
    """The dearest types of each group, however many; contributions rise along a group."""
    groups = [[i for i in served if oracle.group[i] == g] for g in sorted(set(oracle.group))]
    each = [[sorted(g, key=lambda i: -oracle.cost[i])[:k] for k in range(len(g) + 1)] for g in groups]
    return [list(itertools.chain(*parts)) for parts in itertools.product(*each)]


def cases(oracle: Enumerated) -> list[Case]:
    """Every discrete case."""
    menu, everybody = oracle.problem.menu, list(range(oracle.size))
    limited = menu.options is not None or menu.preference_margin > 0.0
    floors = oracle.problem.baseline > 0.0 or any(float(curve.floor) > 0.0 for curve in oracle.curves)
    found = []
    for stay in subsets(everybody) if oracle.may_stay else [frozenset()]:
        served = [i for i in everybody if i not in stay]
        poor = [i for i in served if oracle.due[i] <= 0.0]
        idle = {(frozenset(s), False) for s in subsets(poor)} if limited else {(frozenset(), True)}
        if floors:
            idle |= {(frozenset(s), True) for s in _dearest(oracle, served)}
        for null, free in idle:
            rest = [i for i in served if free or i not in null]
            groups = [[i for i in rest if oracle.group[i] == g] for g in sorted(set(oracle.group))]
            groups = [rest] if menu.options is not None else groups
            each = [partitions(g) if limited else [[(i,) for i in g]] for g in groups]
            for parts in itertools.product(*each):
                blocks = tuple(block for part in parts for block in part)
                if menu.options is not None and len(blocks) > menu.options:
                    continue
                if free and any(0 < len(null & set(block)) < len(block) for block in blocks):
                    continue
                found += _by_reach(oracle, blocks, stay, null, free)
    return found


def _by_reach(
    oracle: Enumerated, blocks: Any, stay: frozenset[int], null: frozenset[int], free: bool
) -> list[Case]:
    """Between which capacities each block's data lie."""
    ranges = []
    for block in blocks:
        most = float(oracle.capacity[list(block)].min())
        if null & set(block):
            ranges.append([(0.0, 0.0)])
            continue
        mates = [i for i in range(oracle.size) if oracle.group[i] in oracle.group[list(block)]]
        edges = sorted({float(oracle.reach[i]) for i in mates if i not in block and oracle.reach[i] < most})
        ranges.append(list(itertools.pairwise([0.0, *edges, most])))
    return [
        Case(blocks, stay, null, free, tuple(low for low, _ in one), tuple(high for _, high in one))
        for one in itertools.product(*ranges)
    ]


class Search:
    """The continuous search of one case: data and rewards of blocks, a level, a worst value for each world."""

    def __init__(self, oracle: Enumerated, case: Case):
        self.oracle, self.case = oracle, case
        self.unit = 0.3 / float(oracle.cost.mean())
        n, size = len(case.blocks), oracle.size
        self.spread = np.zeros((size, n))
        for b, block in enumerate(case.blocks):
            self.spread[list(block), b] = 1.0
        self.n = n
        self.family = oracle.family
        self.rawls = self.family == "rawlsian"
        self.robust = any(len(w.prior) > 1 for w in oracle.worlds)
        self.extra = int(self.rawls) + (len(oracle.worlds) if self.robust else 0)
        largest = max(float(oracle.target(c, np.array(1e300))) for c in oracle.curves)
        social = float(oracle.scale.mean()) if self.family in ("welfare", "rawlsian") else 0.0
        self.size = 1.0 if self.family == "nash-bargaining" else max(largest, social)
        self.served = [i for i in range(size) if i not in case.stay]
        self.offered = [i for i in self.served if self.spread[i].any()]
        self.equations: list[int] = []
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
        tied: set[int] = set()
        for i, j in itertools.permutations(self.served, 2):
            same = block_of.get(i, -1) == block_of.get(j, -1)
            if o.group[i] == o.group[j] and not same and reached(i, j):
                alike = o.problem.menu.preference_margin == 0.0 and reached(j, i)
                equal = alike and abs(o.cost[i] - o.cost[j]) <= 1e-9 * o.cost[i]
                if equal and (i > j or i in tied):
                    continue  # said already: one equation for each two neighbours
                if equal:
                    self.equations.append(len(rows))
                    tied.add(i)
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
        weight = o.weight
        utility = o.scale * (y - o.cost * x) - o.joining
        stays = np.array([i in self.case.stay for i in range(o.size)])
        utility = np.where(stays, o.alone, utility)
        by_x, by_y = np.where(stays, 0.0, -o.scale * o.cost), np.where(stays, 0.0, o.scale)
        total, gradient, place = 0.0, np.zeros(z.size), 2 * n + int(self.rawls)
        for w, world in enumerate(o.worlds):
            goal, goal_slope, worth, worth_slope = self._levels(world, x)
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
            for i in self.offered:
                whole, slope, belief = worth[i], worth_slope[i], world.beliefs[:, i]
                by_all = (belief * slope) @ world.counts
                by_all[:, i] += (belief @ slope) * o._shifted(i)
                row = np.zeros((len(belief), z.size))
                row[:, :n] = by_all @ self.spread * self.unit
                row[:, n : 2 * n] -= self.spread[i]
                values.append(belief @ whole - y[i] - ROUNDING)
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
        return (
            -total / self.size,
            -gradient / self.size,
            np.concatenate(values) - ROUNDING,
            np.concatenate(slopes),
        )

    def _levels(self, world: World, x: np.ndarray) -> tuple[Any, Any, Any, Any]:
        """The target, and what the model is worth to each type, with derivatives by agreed data; by outcome."""
        o, sums = self.oracle, world.counts @ x
        data = np.array([sums + x[i] * o._shifted(i) for i in range(o.size)] + [sums])
        step = 1e-6 * data + 1e-7 * self.unit
        low, high = np.maximum(data - step, 0.0), data + step
        level = o._level(world.curve, o.kept * np.array([data, low, high]))
        worth = o.worth_of(level) - o.worth_of(float(o.problem.baseline))
        goal = o.unit * worth[:, -1] if o.by_value else level[:, -1] - o.problem.baseline
        width = high - low
        slope = (worth[2] - worth[1]) / width
        return goal[0], (goal[2] - goal[1]) / width[-1], worth[0], slope

    def _social(
        self, world: World, k: int, utility: Any, y: Any, by_x: Any, by_y: Any
    ) -> tuple[float, Any, Any]:
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
        last, z = np.inf, np.array(z)
        for _ in range(3):  # a fresh start from where a run stalled often goes on
            found = self._minimise(z, bounds)
            if not np.isfinite(found.x).all():
                return None
            done = abs(found.fun - last) <= 1e-9
            last, z = found.fun, found.x
            if done:
                break
        return self.spread @ np.clip(z[:n], low, high) * self.unit

    def _minimise(self, z: np.ndarray, bounds: Any) -> Any:
        number = len(self.evaluate(z)[2])
        equal = np.isin(np.arange(number), self.equations)
        kinds = [("ineq", ~equal), *([("eq", equal)] if equal.any() else [])]
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            return optimize.minimize(
                lambda z: self.evaluate(z)[:2],
                z,
                jac=True,
                method="SLSQP",
                bounds=bounds,
                constraints=[
                    {
                        "type": kind,
                        "fun": lambda z, rows=rows: self.evaluate(z)[2][rows],
                        "jac": lambda z, rows=rows: self.evaluate(z)[3][rows],
                    }
                    for kind, rows in kinds
                ],
                options={"maxiter": 100, "ftol": 1e-12},
            )


def search(oracle: Enumerated, case: Case, start: np.ndarray) -> np.ndarray | None:
    """The best contributions that one run finds, shape (types,), in effective data."""
    return Search(oracle, case).run(start)


def best(problem: Problem, *, starts: int = 12, seed: int = 0) -> tuple[float, np.ndarray, np.ndarray]:
    """The best contract that was found: its objective (counted from the baseline), raw contributions, rewards.

    The objective is -inf where none was found that keeps every promise. About `starts` to four times as many
    local searches are made, over as many discrete cases.
    """
    doubt = problem.population.doubt
    if doubt is not None and doubt.distance == "kullback-leibler" and doubt.radius > 0:
        raise ValueError("the oracle does not search within Kullback-Leibler balls")
    oracle = Enumerated(problem)
    rng = np.random.default_rng(seed)
    found: tuple[float, np.ndarray, np.ndarray] = (-np.inf, np.zeros(oracle.size), np.zeros(oracle.size))

    def consider(x: np.ndarray | None, stay: frozenset[int]) -> None:
        nonlocal found
        steps = (0.0,) if problem.menu.lot is not None else (0.0, 1e-6, 1e-4, 1e-2)  # runs may stop just outside
        for less in () if x is None else steps:
            reached = oracle.answer((1.0 - less) * x, stay)
            if reached is not None:
                found = max(found, (reached[0], (1.0 - less) * x, reached[1]), key=lambda one: one[0])
                break

    listed = cases(oracle)
    rng.shuffle(listed)  # type: ignore[arg-type]
    simple = sorted(listed, key=lambda case: (len(case.null) + len(case.stay), -len(case.blocks)))[: 2 * starts]
    listed = (simple + [case for case in listed if case not in simple])[: 3 * starts]
    if problem.menu.lot is not None:
        _by_lots(oracle, listed, rng, starts, consider)
    else:
        for case in listed:
            for start in starting_points(
                oracle, rng, max(2 - (len(listed) > 2 * starts), starts // len(listed))
            ):
                consider(search(oracle, case, start), case.stay)
            consider(np.zeros(oracle.size), case.stay)
        alone = np.minimum(oracle.alone_data, oracle.capacity)
        consider(alone, frozenset())
    value, x, y = found
    return value, x / oracle.quality, y * oracle.scale


def starting_points(oracle: Enumerated, rng: np.random.Generator, count: int) -> list[np.ndarray]:
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


def _by_lots(
    oracle: Enumerated, listed: list[Case], rng: np.random.Generator, starts: int, consider: Any
) -> None:
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
    free = Enumerated(
        dataclasses.replace(oracle.problem, menu=dataclasses.replace(oracle.problem.menu, lot=None))
    )
    for case in listed:
        for start in starting_points(oracle, rng, max(1, starts // len(listed))):
            x = search(free, case, start)
            if x is None:
                continue
            blocks = [b for b, block in enumerate(case.blocks) if not (case.free and case.null & set(block))]
            for k in itertools.product((-1, 0, 1, 2), repeat=len(blocks)):
                whole = np.zeros(oracle.size)
                for b, more in zip(blocks, k, strict=True):
                    one = list(case.blocks[b])
                    whole[one] = max(np.floor(x[one[0]] / lot + 1e-9) + more, 0.0) * lot
                consider(whole, case.stay)
