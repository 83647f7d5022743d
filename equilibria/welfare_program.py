"""The welfare program: least total loss when everybody must be as well off as alone, and how it is solved.

    minimise  V = J E(n, theta) + c N    subject to    E(n, theta) + c n_j <= A_j = a theta_j + kappa

The program is not convex, but at a fixed total N it is a linear program, and at a fixed (N, E) a fractional
knapsack: fill agents best first up to (A_j - E) / c. Duality gives the lowest error at every N in closed
form: with S_k the sum of the k best types, D_k = k theta_{k+1} - S_k and C_k = sum_{j<=k} (theta_{k+1} -
theta_j) A_j,

    E*(N) = max over k with cN > a D_k of ( cN (a theta_{k+1} + a alpha N^-gamma) - a C_k ) / (cN - a D_k),

feasible if E* also stays below A_1, below the same ratio for every k with cN < a D_k, and below (sum A - cN)
/ J. What remains is a search over N in [n0, n0 (1 + J / gamma)], where the optimum provably lies. V(N) has
several local minima and its domain may have holes, so the search is a dense grid followed by local
refinement; the best agents alone at N = n0, always feasible, are a candidate of their own. Derivation and
bounds are this project's own.

The same solver serves the verified rule, whose constraints carry a slack s that shrinks with the agent's own
share, E + c n_j <= A_j - s (1 - n_j / N): replace c by c - s/N and A_j by A_j - s.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from equilibria.environment import Environment

#: Points of the first, logarithmic grid over the total; cells kept for refinement; points and rounds of each.
GRID, CELLS, POINTS, ROUNDS = 400, 8, 17, 12
#: Totals closer to n0 than this, relatively, are left to the best agents alone: there the best agent's
#: rationality is violated to second order only, which rounding hides, and the search would creep along
#: infeasible points.
NEAR = 1e-6
#: Up to this many agents the closed form is evaluated for every prefix; beyond, by Newton's method.
DENSE = 128


@dataclass(frozen=True)
class WelfareProgram:
    """The program on types sorted best first, with the prefix sums every evaluation needs.

    Types are measured from the best one and errors from its reservation loss A_1, so that rounding is
    relative to what is at stake and not to the level of the types.
    """

    types: np.ndarray
    loss_weight: float
    complexity: float
    exponent: float
    cost: float
    standalone: float
    standalone_loss: float
    slack: float
    reserve: float

    @cached_property
    def caps(self) -> np.ndarray:
        """A_j - A_1 less the slack: the error at which agent j gives nothing."""
        return self.loss_weight * self.types - self.slack

    @cached_property
    def cap_sums(self) -> np.ndarray:
        """Sum of the k best agents' caps, k from 0 to J."""
        return np.concatenate([[0.0], np.cumsum(self.caps)])

    @cached_property
    def spread(self) -> np.ndarray:
        """D_k = k theta_{k+1} - S_k, k from 0 to J - 1."""
        before = np.concatenate([[0.0], np.cumsum(self.types[:-1])])
        return np.arange(self.types.size) * self.types - before

    @cached_property
    def weighted(self) -> np.ndarray:
        """C_k = sum over the k best of (theta_{k+1} - theta_j) times agent j's cap, k from 0 to J - 1."""
        products = np.concatenate([[0.0], np.cumsum(self.types[:-1] * self.caps[:-1])])
        return self.types * self.cap_sums[:-1] - products

    def ceiling(self, charge: np.ndarray) -> np.ndarray:
        """Largest error the best agent's rationality and the agents' joint capacity allow."""
        capacity = (self.cap_sums[-1] - charge) / self.types.size
        return np.minimum(self.caps[0] - self.reserve, capacity)

    def lowest_error(self, total: np.ndarray) -> np.ndarray:
        """E*(N) - A_1 for every total in a vector, infinite where infeasible."""
        noise = self.loss_weight * self.complexity * total**-self.exponent - self.standalone_loss
        charge = self.cost * total - self.slack
        find = error_over_all_prefixes if self.types.size <= DENSE else error_by_newton
        error = find(self, noise, charge)
        allowed = (charge > 0) & (total > self.standalone * (1 + NEAR)) & (error <= self.ceiling(charge))
        return np.where(allowed, error, np.inf)

    def loss(self, total: np.ndarray) -> np.ndarray:
        """V(N) - J A_1 = J (E*(N) - A_1) + c N, infinite where infeasible."""
        return self.types.size * self.lowest_error(total) + self.cost * total


def error_over_all_prefixes(program: WelfareProgram, noise: np.ndarray, charge: np.ndarray) -> np.ndarray:
    """E*(N) - A_1 by its closed form, for every prefix and total at once."""
    level = program.loss_weight * program.types + noise[:, None]
    slope = charge[:, None] - program.loss_weight * program.spread
    value = charge[:, None] * level - program.loss_weight * program.weighted
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        ratio = value / slope
    error = np.where(slope > 0, ratio, -np.inf).max(axis=1)
    bound = np.where(slope < 0, ratio, np.inf).min(axis=1)
    blocked = ((slope == 0) & (value > 0)).any(axis=1)
    return np.where((error <= bound) & ~blocked, error, np.inf)


def error_by_newton(program: WelfareProgram, noise: np.ndarray, charge: np.ndarray) -> np.ndarray:
    """Smallest root of the convex, piecewise linear h(E) from its left: finitely many pieces, no
    overshoot."""
    a, agents = program.loss_weight, program.types.size
    error = noise
    active = (charge > 0) & (error <= program.caps[0])
    error = np.where(active, error, np.inf)
    while active.any():
        at, paid = error[active], charge[active]
        piece = _last_full_agent(program, at, paid)
        exhausted = piece >= agents
        k = np.minimum(piece, agents - 1)
        slope = paid - a * program.spread[k]
        value = paid * (a * program.types[k] + noise[active]) - a * program.weighted[k]
        safe = np.where(slope > 0, slope, 1.0)
        following = np.where((slope > 0) & ~exhausted, value / safe, np.inf)
        following = np.where(following <= program.caps[0], following, np.inf)
        moving = following > at + 1e-15 * program.standalone_loss  # a step below rounding is the root
        error[active] = np.maximum(following, at)
        active[np.flatnonzero(active)[~(moving & np.isfinite(following))]] = False
    return error


def _last_full_agent(program: WelfareProgram, error: np.ndarray, charge: np.ndarray) -> np.ndarray:
    """How many of the best agents give their cap at these errors: bisection over prefix sums of the caps."""
    low = np.zeros(error.size, dtype=np.int64)
    high = np.full(error.size, program.types.size + 1)
    while (high - low > 1).any():
        middle = (low + high) // 2
        full = program.cap_sums[np.minimum(middle, program.types.size)] - middle * error <= charge
        full &= middle <= program.types.size
        low, high = np.where(full, middle, low), np.where(full, high, middle)
    return low


def search(program: WelfareProgram) -> tuple[float, float, int]:
    """The best total in [n0, n0 (1 + J / gamma)], its loss, and how many totals were looked at."""
    widest = program.standalone * (1 + program.types.size / program.exponent)
    grid = np.geomspace(program.standalone * (1 + 2 * NEAR), widest, GRID)
    loss = program.loss(grid)
    if not np.isfinite(loss).any():
        return np.nan, np.inf, GRID
    padded = np.concatenate([[np.inf], loss, [np.inf]])
    local = np.flatnonzero(np.isfinite(loss) & (loss <= padded[:-2]) & (loss <= padded[2:]))
    local = local[np.argsort(loss[local])[:CELLS]]
    low, high = grid[np.maximum(local - 1, 0)], grid[np.minimum(local + 1, GRID - 1)]
    best = int(np.argmin(loss))
    total, least = grid[best], loss[best]
    for _ in range(ROUNDS):  # every cell shrinks eightfold a round
        points = np.linspace(low, high, POINTS)
        values = program.loss(points.ravel()).reshape(points.shape)
        at = values.argmin(axis=0)
        columns = np.arange(at.size)
        winner = int(values[at, columns].argmin())
        if values[at[winner], winner] < least:
            total, least = points[at[winner], winner], values[at[winner], winner]
        low, high = points[np.maximum(at - 1, 0), columns], points[np.minimum(at + 1, POINTS - 1), columns]
    return float(total), float(least), GRID + ROUNDS * POINTS * local.size


def loss_alone(program: WelfareProgram) -> float | None:
    """Loss of the best agents alone at n0, where their error is c n0 below A_1, if the slack allows it."""
    charge = program.cost * program.standalone
    return None if charge < program.slack + program.reserve else charge - program.types.size * charge


def fill(program: WelfareProgram, total: float, error: float) -> np.ndarray:
    """Best first up to each cap; the agents of the marginal type share what is left equally."""
    caps = (program.caps - error) / (program.cost - program.slack / total)
    caps = np.maximum(caps, 0.0)
    filled = np.concatenate([[0.0], np.cumsum(caps)])
    marginal = program.types[min(int(np.searchsorted(filled[1:], total)), program.types.size - 1)]
    first, last = (
        np.searchsorted(program.types, marginal, "left"),
        np.searchsorted(program.types, marginal, "right"),
    )
    contributions = np.where(program.types < marginal, caps, 0.0)
    contributions[first:last] = (total - filled[first]) / (last - first)
    return contributions


def sorted_program(game: Environment, types: np.ndarray, slack: float, reserve: float) -> WelfareProgram:
    """The program for types sorted best first, with the game's constants."""
    return WelfareProgram(
        types=types - types[0],
        loss_weight=game.loss_weight,
        complexity=game.complexity,
        exponent=game.exponent,
        cost=game.cost,
        standalone=game.standalone_contribution,
        standalone_loss=game.standalone_loss,
        slack=slack,
        reserve=reserve,
    )
