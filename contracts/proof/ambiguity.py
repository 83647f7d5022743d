r"""Doubt about the probabilities: what every member of a ball around the stated ones promises at least.

- **Total variation**: all q with half sum_j |q_j - p_j| <= radius. One member is worst for everything at once.
- **Kullback-Leibler**: all q with sum_j q_j log(q_j / p_j) <= radius, in nats; what is impossible stays so. No
  member is worst; the mean of each rate's transform is bounded over the ball by duality (Donsker and Varadhan
  1975).
"""

from __future__ import annotations

from itertools import combinations

import numpy as np
from scipy import special

from contracts.proof.losses import Crowd
from contracts.proof.mixture_check import Exponentials

ROUNDS, TEMPERATURES = 6, 49


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
    logs = np.linspace(-12.0, 12.0, TEMPERATURES)[None, :] * np.ones((top.size, 1))
    best = np.zeros(top.size)  # the limit of temperature 0: the largest gain itself
    with np.errstate(over="ignore", invalid="ignore"):
        for _ in range(ROUNDS):
            heat = np.exp(logs) * spread[:, None]
            inside = np.log1p(np.expm1(centred[:, None, :] / heat[:, :, None]) @ p)
            bound = heat * (np.where(np.isfinite(inside), inside, np.inf) + radius)
            place = np.argmin(bound, axis=1)
            best = np.minimum(best, bound[np.arange(top.size), place])
            step = (logs[:, 1] - logs[:, 0])[:, None]
            middle = logs[np.arange(top.size), place][:, None]
            logs = middle + np.linspace(-1.0, 1.0, TEMPERATURES)[None, :] * step
    return np.minimum(top + best, top)


def largest_losses(
    crowd: Crowd, mixtures: Exponentials, x: np.ndarray, radius: float
) -> tuple[float, np.ndarray]:
    """Bounds on the expected losses of the target, and of value as each believes, over a Kullback-Leibler ball.

    Args:
        crowd: who takes part, in one group, by type or by row, at the stated probabilities.
        mixtures: of the losses.
        x: data that each brings.
        radius: of the ball.
    """
    p, law = crowd.probabilities, crowd.laws[0]
    least = float(x[p > 0].min())
    shifted = np.exp(-np.multiply.outer(mixtures.rates, np.maximum(x - least, 0.0)))
    with np.errstate(divide="ignore"):
        log_phi = np.log(largest_mean(p, shifted, radius)) - mixtures.rates * least
    empty = float(law.generating(0.0)) * (mixtures.target_weights.sum() - crowd.plain.largest_target)
    loss = float(mixtures.target_weights @ np.exp(law.log_power(log_phi).value)) - empty
    others = np.exp(law.others().log_power(log_phi).value)
    each = np.exp(-np.multiply.outer(mixtures.rates, x)) * others[:, None]
    return loss, mixtures.value_weights @ each
