"""The published approach, done honestly: enumerate all outcomes and hand the program to scipy's trust-constr.

Wang et al. (AAAI 2025) enumerate every possible number of participants of each type, start at the pooled
contract and call scipy. So does this, but with derivatives that are exact (by autodiff) instead of derived by
hand, with scaled variables, tolerances at which it converges, a start that is always feasible (what each does
alone) where the pooled contract is not viable, and an answer that says what it violates. It is the yardstick
of `benchmarks/solvers.py` and an independent oracle for tests: of the package it uses the problem only.
"""

from __future__ import annotations

import itertools
import math
import time
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from scipy import optimize, special

from contracts.problem import Problem


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """What the baseline found: the menu, its value, and by how much it breaks its worst constraint."""

    contribution: np.ndarray
    expected_reward: np.ndarray
    objective: float
    violation: float
    outcomes: int
    iterations: int
    seconds: float
    finished: bool


def outcomes(types: int, participants: int) -> np.ndarray:
    """All numbers of participants by type that sum to `participants`, shape (outcomes, types)."""
    bars = itertools.combinations(range(participants + types - 1), types - 1)
    count = math.comb(participants + types - 1, types - 1)
    cuts = np.fromiter(itertools.chain.from_iterable(bars), dtype=np.int32).reshape(count, types - 1)
    edges = np.column_stack([np.full(count, -1), cuts, np.full(count, participants + types - 1)])
    return np.diff(edges, axis=1) - 1.0


def probabilities(problem: Problem, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Probability of each outcome, shape (outcomes,), and as each type believes, shape (outcomes, types)."""
    p, n = problem.population.probabilities, problem.population.participants
    log = special.gammaln(n + 1) - special.gammaln(counts + 1).sum(axis=1) + special.xlogy(counts, p).sum(axis=1)
    prior = np.exp(log)
    if problem.belief == "interim":
        return prior, prior[:, None] * counts / (n * p)
    return prior, prior[:, None] * (counts > 0) / -np.expm1(n * np.log1p(-p))


def alone(problem: Problem) -> tuple[np.ndarray, np.ndarray]:
    """What each type gets and contributes alone, by a fine grid and a refinement, both of shape (types,)."""
    grid = np.r_[0.0, np.geomspace(max(problem.accuracy.floor, 1e-3), 1e9, 40_000)]
    best = []
    for cost in problem.population.costs:

        def loss(data: float, cost: float = cost) -> float:
            return cost * data - float(problem.value(max(data, 0.0)))

        k = int(np.argmin(cost * grid - problem.value(grid)))
        refined = optimize.minimize_scalar(
            loss, bounds=(grid[max(k - 1, 0)], grid[min(k + 1, len(grid) - 1)]), method="bounded",
            options={"xatol": 1e-10 * grid[k]},
        )  # fmt: skip
        best.append((-float(refined.fun), float(refined.x)) if refined.fun < 0 else (0.0, 0.0))
    utility, contribution = np.array(best).T
    return utility, contribution


def pooled(problem: Problem, floor: np.ndarray) -> float:
    """The largest contribution that everybody can make alike in return for the whole model."""
    n, costs = problem.population.participants, problem.population.costs
    high = float(problem.largest_value / costs.max())

    def slack(data: float) -> float:
        return float(np.min(problem.value(n * data) - costs * data - floor))

    grid = np.geomspace(high * 1e-6, high, 4000)
    viable = [data for data in grid if slack(data) >= 0]
    if not viable:
        return 0.0
    low = viable[-1]
    high = float(grid[min(np.searchsorted(grid, low) + 1, len(grid) - 1)])
    return float(optimize.brentq(slack, low, high)) if slack(high) < 0 else low


def solve(problem: Problem, *, seconds: float = math.inf, most_outcomes: int = 3_000_000) -> Baseline:
    """Solve by enumeration; stops at the time limit with what it has.

    Raises:
        MemoryError: more outcomes than can be enumerated.
    """
    began = time.perf_counter()
    types, n = problem.population.types, problem.population.participants
    digits = (math.lgamma(n + types) - math.lgamma(n + 1) - math.lgamma(types)) / math.log(10)
    if digits > math.log10(most_outcomes):
        raise MemoryError(f"1e{digits:.0f} outcomes")
    counts = outcomes(types, n)
    prior, belief = probabilities(problem, counts)
    costs, v1 = problem.population.costs, problem.largest_value
    (floor, single), m0 = alone(problem), pooled(problem, alone(problem)[0])
    start, reward = np.ones(types), np.full(types, float(problem.value(n * m0)) / v1)
    if m0 == 0.0:  # the menu of what each does alone always satisfies every constraint
        m0 = max(float(single.max()), 1.0)
        start, reward = single / m0, problem.value(single) / v1

    with jax.enable_x64(True):
        expected = jax.jit(lambda y, w: w.T @ problem.value(jnp.asarray(counts) @ (m0 * y)) / v1)
        slope = jax.jit(jax.jacrev(expected))
        curvature = jax.jit(jax.hessian(expected))

        def call(function: Any, x: np.ndarray, weights: np.ndarray) -> np.ndarray:
            return np.asarray(function(jnp.asarray(x[:types]), jnp.asarray(weights)))

        def padded(block: np.ndarray) -> np.ndarray:
            return np.pad(block, ((0, types), (0, types)))

        x = np.r_[start, reward]
        compiling = time.perf_counter()
        for function, weights in itertools.product((expected, slope, curvature), (prior, belief)):
            if function is not curvature or weights is prior:
                call(function, x, weights)
        began += time.perf_counter() - compiling  # compilation is paid once for each shape, not counted

        unit = np.eye(types)
        pairs = [(i, j) for i in range(types) for j in range(types) if i != j]
        pay = np.vstack([unit, [unit[i] - unit[j] for i, j in pairs]])
        give = pay * np.r_[costs, [costs[i] for i, _ in pairs]][:, None] * m0 / v1
        linear = optimize.LinearConstraint(
            np.hstack([-give, pay]),
            lb=np.r_[floor / v1, np.zeros(len(pairs))],  # type: ignore[arg-type]
        )
        feasible = optimize.NonlinearConstraint(
            lambda x: call(expected, x, belief) - x[types:],
            lb=0.0,
            ub=np.inf,
            jac=lambda x: np.hstack([call(slope, x, belief), -unit]),
            hess=lambda x, v: padded(call(curvature, x, belief @ v)),
        )
        result = optimize.minimize(
            lambda x: -float(call(expected, x, prior)),
            x,
            jac=lambda x: np.r_[-call(slope, x, prior), np.zeros(types)],
            hess=lambda x: padded(-call(curvature, x, prior)),
            bounds=optimize.Bounds(np.zeros(2 * types), np.inf),  # type: ignore[arg-type]
            constraints=[linear, feasible],
            method="trust-constr",
            options={"gtol": 1e-15, "xtol": 1e-10, "barrier_tol": 1e-10, "maxiter": 1000},
            callback=lambda _x, _state: time.perf_counter() - began > seconds,
        )
    return Baseline(
        contribution=m0 * result.x[:types],
        expected_reward=v1 * result.x[types:],
        objective=-v1 * float(result.fun),
        violation=v1 * float(result.constr_violation),
        outcomes=len(counts),
        iterations=int(result.nit),
        seconds=time.perf_counter() - began,
        finished=time.perf_counter() - began <= seconds,
    )
