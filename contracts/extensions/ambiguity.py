r"""Sets of probabilities around the stated ones, and their worst members.

- **Total variation**: all q with half sum_j |q_j - p_j| <= radius.
- **Kullback-Leibler**: all q with sum_j q_j log(q_j / p_j) <= radius, in nats; what is impossible stays so.

Contributions rise as costs fall, so what can be trained falls when probability moves to dearer types. In a ball
of total variation one member is worst for everything at once: it takes `radius` from the cheapest types and
gives it to the dearest, and so leaves the least possible probability to every set of cheapest types. In a
Kullback-Leibler ball there is no such member; the worst one for a linear function is an exponential tilt.

Source: ours; the tilt is the variational formula of Donsker and Varadhan (1975).
"""

from __future__ import annotations

from itertools import combinations

import numpy as np
from scipy import optimize, special

from contracts.program.tilts import tilted as tilted


def dearest_within(costs: np.ndarray, probabilities: np.ndarray, radius: float) -> np.ndarray:
    """The worst member of a ball of total variation: `radius` moves from the cheapest types to a dearest one.

    >>> dearest_within(np.array([0.3, 0.2, 0.1]), np.array([0.3, 0.6, 0.1]), 0.25).round(12)
    array([0.55, 0.45, 0.  ])
    """
    worst, left = np.array(probabilities, dtype=float), radius
    order = np.argsort(costs, kind="stable")
    dearest = int(order[-1])
    for i in order[:-1]:
        moved = min(worst[i], left)
        worst[i], left = worst[i] - moved, left - moved
        worst[dearest] += moved
        if left <= 0.0:
            break
    return worst / worst.sum()


def vertices(probabilities: np.ndarray, radius: float) -> np.ndarray:
    """All vertices of a ball of total variation within the simplex (and some of its other points), one a row.

    At a vertex one type has gained; some have lost everything, and at most one more a part.
    """
    p = np.asarray(probabilities, dtype=float)
    found = [p]
    for winner in range(p.size):
        others = [j for j in range(p.size) if j != winner]
        for size in range(len(others) + 1):
            for lost in combinations(others, size):
                emptied = float(p[list(lost)].sum())
                if emptied > radius * (1.0 + 1e-12):
                    continue
                whole = p.copy()
                whole[list(lost)] = 0.0
                whole[winner] += emptied
                found.append(whole)
                rest = max(radius - emptied, 0.0)
                for partly in others:
                    if partly not in lost and p[partly] >= rest > 0.0:
                        vertex = whole.copy()
                        vertex[partly] -= rest
                        vertex[winner] += rest
                        found.append(vertex)
    return np.unique(np.array(found), axis=0)


def least_tail(probabilities: np.ndarray, kept: np.ndarray, radius: float) -> float:
    """The least probability that a member of a ball of total variation gives to the types `kept`, by LP."""
    p = np.asarray(probabilities, dtype=float)
    size = p.size
    # Variables: what each type gains and what it loses.
    cost = np.concatenate([kept, -kept.astype(float)])
    balance = np.concatenate([np.ones(size), -np.ones(size)])[None, :]
    lost = np.concatenate([np.zeros(size), np.ones(size)])[None, :]
    bounds = [(0.0, None)] * size + [(0.0, float(share)) for share in p]
    answer = optimize.linprog(cost, A_ub=lost, b_ub=[radius], A_eq=balance, b_eq=[0.0], bounds=bounds)
    return float(p[kept].sum() + answer.fun)


def divergence(q: np.ndarray, p: np.ndarray) -> float:
    """Kullback-Leibler divergence of q from p, in nats; infinite where q has what p has not."""
    return float(special.rel_entr(q, p).sum())


def largest_mean(p: np.ndarray, gains: np.ndarray, radius: float) -> np.ndarray:
    """An upper bound on the mean gain of every member of a Kullback-Leibler ball, for each row of gains.

    By duality, for every temperature t > 0: mean <= t log sum_j p_j exp(gain_j / t) + t radius. Any temperature
    gives a valid bound; the best of a grid that is refined is used, so that nothing depends on an optimiser.
    """
    occurs = p > 0
    p, gains = p[occurs] / p[occurs].sum(), gains[:, occurs]
    if radius <= 0.0:
        return gains @ p
    top = gains.max(axis=1)
    centred = gains - top[:, None]
    spread = np.maximum(-centred.min(axis=1), 1e-300)
    logs = np.linspace(-12.0, 12.0, 49)[None, :] * np.ones((top.size, 1))
    best = np.zeros(top.size)  # the limit of temperature 0: the largest gain itself
    with np.errstate(over="ignore", invalid="ignore"):
        for _ in range(6):
            heat = np.exp(logs) * spread[:, None]
            inside = np.log1p(np.expm1(centred[:, None, :] / heat[:, :, None]) @ p)
            bound = heat * (np.where(np.isfinite(inside), inside, np.inf) + radius)
            place = np.argmin(bound, axis=1)
            best = np.minimum(best, bound[np.arange(top.size), place])
            step = (logs[:, 1] - logs[:, 0])[:, None]
            middle = logs[np.arange(top.size), place][:, None]
            logs = middle + np.linspace(-1.0, 1.0, 49)[None, :] * step
    return np.minimum(top + best, top)
