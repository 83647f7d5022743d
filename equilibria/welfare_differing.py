"""The welfare program for agents with costs and capacities of their own.

    minimise  V = J E(n, theta) + sum c_j n_j    subject to    E + c_j n_j <= A_j = a theta_j + kappa_j,  n_j <=
    q_j

At a fixed total N it is a linear program with two entries in almost every row; the best-first order and the
closed form of equal costs are lost. What remains is a search over N between proved ends. The agent of least A_j
supplying alone what they would train on alone is always feasible (everybody else's A_k is at least A_j), so that
joining stays weakly dominant and adding agents never lowers the surplus, as with equal costs; derivation and
proofs are this project's own.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from scipy import optimize, sparse

from contracts.records import frozen

#: Totals tried first, cells refined, points and rounds of each.
GRID, CELLS, POINTS, ROUNDS = 60, 3, 7, 4


@frozen
class DifferingAgents:
    """The members of a coalition, with what the program needs of each.

    Attributes:
        types: shape (members,).
        costs: shape (members,).
        limits: capacities, infinite where there is none, shape (members,).
        caps: A_j, the loss and cost at which each is as well off as alone, shape (members,).
        alone: what each would train on alone, shape (members,).
        loss_weight: a.
        complexity: alpha.
        exponent: gamma.
    """

    types: Float[np.ndarray, " members"]
    costs: Float[np.ndarray, " members"]
    limits: Float[np.ndarray, " members"]
    caps: Float[np.ndarray, " members"]
    alone: Float[np.ndarray, " members"]
    loss_weight: float
    complexity: float
    exponent: float

    def noise(self, total: float) -> float:
        """a alpha N^-gamma."""
        return self.loss_weight * self.complexity * total**-self.exponent

    def error(self, given: np.ndarray) -> float:
        """E of a vector of contributions."""
        total = float(given.sum())
        return self.loss_weight * float(given @ self.types) / total + self.noise(total)

    def loss(self, given: np.ndarray) -> float:
        """V of a vector of contributions."""
        return self.types.size * self.error(given) + float(self.costs @ given)


def best_contributions(agents: DifferingAgents) -> tuple[np.ndarray, int]:
    """Contributions of the least loss found, and how many totals were examined; equal agents give equal
    amounts."""
    supplier = int(np.argmin(agents.caps))
    lone = np.zeros(agents.types.size)
    lone[supplier] = agents.alone[supplier]
    if float(agents.caps.min()) <= agents.loss_weight * float(agents.types.min()):
        return _shared(agents, lone), 0  # so cheap a supplier that float64 has no digit left for what remains
    best, least = lone, agents.loss(lone)
    low, high = _ends(agents)
    totals = np.geomspace(low, max(high, low * (1 + 1e-9)), GRID)
    examined, cells = 0, [totals]
    for _ in range(ROUNDS + 1):
        tried = []
        for points in cells:
            found = [(_at(agents, float(total)), float(total)) for total in points]
            examined += len(points)
            values = [np.inf if given is None else agents.loss(given) for given, _ in found]
            tried.append((values, points))
            index = int(np.argmin(values))
            given = found[index][0]
            if given is not None and values[index] < least:
                best, least = given, values[index]
        ranked = sorted(
            (value, points[max(i - 1, 0)], points[min(i + 1, len(points) - 1)])
            for values, points in tried
            for i, value in enumerate(values)
            if np.isfinite(value)
        )
        cells = [np.linspace(first, last, POINTS) for _, first, last in ranked[:CELLS]]
    return _shared(agents, best), examined


def _ends(agents: DifferingAgents) -> tuple[float, float]:
    """Totals between which every feasible point lies: the noise must leave room below the least A_j, and nobody
    can give more than their capacity or what their A_j pays for."""
    lowest = agents.loss_weight * float(agents.types.min())
    room = float(agents.caps.min()) - lowest
    low = (agents.loss_weight * agents.complexity / room) ** (1.0 / agents.exponent)
    high = float(np.minimum(agents.limits, (agents.caps - lowest) / agents.costs).sum())
    return low, high


def _at(agents: DifferingAgents, total: float) -> np.ndarray | None:
    """The linear program at one total: contributions in units of the total, and E less its noise."""
    members = agents.types.size
    room = agents.caps - agents.noise(total)
    rows = sparse.hstack([sparse.diags_array(agents.costs * total), np.ones((members, 1))], format="csr")
    sums = sparse.csr_array(np.array([[*np.ones(members), 0.0], [*(agents.loss_weight * agents.types), -1.0]]))
    result = optimize.linprog(
        np.concatenate([agents.costs * total, [members]]),
        A_ub=rows,
        b_ub=room,
        A_eq=sums,
        b_eq=[1.0, 0.0],
        bounds=[*((0.0, min(1.0, limit / total)) for limit in agents.limits), (0.0, None)],
        method="highs",
    )
    if result.x is None or result.status != 0:
        return None
    given = np.clip(result.x[:members], 0.0, None)
    return np.minimum(given / given.sum() * total, agents.limits)


def _shared(agents: DifferingAgents, given: np.ndarray) -> np.ndarray:
    """Agents alike in everything give alike: the program is convex at each total, so the mean is as good."""
    kinds = np.stack([agents.types, agents.costs, agents.limits])
    labels = np.unique(kinds, axis=1, return_inverse=True)[1].reshape(-1)
    return (np.bincount(labels, weights=given) / np.bincount(labels))[labels]
