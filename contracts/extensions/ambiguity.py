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


def tilted(p: np.ndarray, gains: np.ndarray, radius: float) -> np.ndarray:
    """The member of a Kullback-Leibler ball with the largest mean gain, q_j in proportion to p_j exp(b gain_j).

    Args:
        p: the centre, shape (types,).
        gains: shape (rows, types).
        radius: >= 0.

    Returns:
        One member a row, shape (rows, types); the centre where all gains are equal.
    """
    gains = np.where(p > 0, gains, -np.inf)
    top = gains.max(axis=1, keepdims=True)
    best = gains >= top
    # Even all of the probability on the best types may be within reach.
    concentrated = np.where(best, p, 0.0)
    share = concentrated.sum(axis=1, keepdims=True)
    deviation = np.sqrt(np.maximum(_spread(gains, p), 0.0))[:, None]
    scale = np.where(deviation > 1e-14 * np.maximum(np.abs(top), 1e-300), deviation, np.inf)
    slack = np.where(p > 0, (np.where(p > 0, gains, 0.0) - top) / scale, -np.inf)
    log_p = np.log(np.where(p > 0, p, 1.0))
    low, high = np.full(top.shape, -20.0), np.full(top.shape, 40.0)  # of log b: bisection
    for _ in range(100):
        middle = 0.5 * (low + high)
        inside = _tilt_divergence(slack, log_p, np.exp(middle)) <= radius
        low, high = np.where(inside, middle, low), np.where(inside, high, middle)
    weight = np.exp(np.exp(low) * slack + log_p) * (p > 0)
    result = weight / weight.sum(axis=1, keepdims=True)
    result = np.where(-np.log(share) <= radius, concentrated / share, result)
    return np.where(np.isinf(scale) | (radius <= 0.0), p, result)


def _spread(gains: np.ndarray, p: np.ndarray) -> np.ndarray:
    finite = np.where(p > 0, gains, 0.0)
    mean = finite @ p
    return ((finite - mean[:, None]) ** 2) @ p


def _tilt_divergence(slack: np.ndarray, log_p: np.ndarray, strength: np.ndarray) -> np.ndarray:
    finite = np.where(np.isfinite(slack), slack, 0.0)
    exponent = np.where(np.isfinite(slack), strength * finite + log_p, -np.inf)
    log_total = special.logsumexp(exponent, axis=1, keepdims=True)
    q = np.exp(exponent - log_total)
    return (q * (strength * finite - log_total)).sum(axis=1, keepdims=True)


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
