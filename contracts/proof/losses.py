r"""Expected losses by mixtures of exponentials, for any number of groups, with their gradients.

With phi_g(s) = sum_{i in g} p_i e^{-s x_i} and the generating functions G_g of the groups' numbers,

    E e^{-s X} = prod_g G_g(phi_g),
    E_i e^{-s X} = e^{-s x_i} G_g'(phi_g)/G_g'(1) prod_{h != g} G_h(phi_h)        (i of group g)

and every derivative follows from d log phi_g / d x_j = -s P_j with the tilted probabilities P_j. Where nobody
brings data the true loss is the whole value, which on a curve with a floor is less than the mixture's: among
contracts in which some bring nothing for certain, that outcome has a known probability and is counted as what
it is.

Formulas of the program are written down elsewhere, on purpose.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from contracts.problem.participants import Turnout
from contracts.problem.problem import Problem
from contracts.proof.duality import transforms, type_loss_gradient, type_losses_by_mixture

RARE = 1e-9  # members expected: fewer than two for all that can be computed


class Crowd(NamedTuple):
    """Who takes part in one world.

    Attributes:
        plain: the world's plain problem (of one group, where the belief is the ex-ante one).
        probabilities: of rows (or types) within their groups, shape (rows,).
        group: each one's group, shape (rows,).
        laws: of the groups' numbers of participants.
    """

    plain: Problem
    probabilities: np.ndarray
    group: np.ndarray
    laws: tuple[Turnout, ...]

    @property
    def ex_ante(self) -> bool:
        """Whether participants expect a draw of everybody in which their own type occurs."""
        return self.plain.belief == "ex-ante"


class Losses(NamedTuple):
    """Expected losses at a point, and how they change with it.

    Attributes:
        target: the coordinator's expected loss.
        value: each row's, shape (rows,).
        target_by_x: gradient of the first, shape (rows,).
        priced_by_x: gradient of the sum of the second at some prices, shape (rows,).
    """

    target: float
    value: np.ndarray
    target_by_x: np.ndarray
    priced_by_x: np.ndarray


class _Logs(NamedTuple):
    """Logarithms of transforms, shape (terms, groups), with slopes by log phi; tilted probabilities by row."""

    power: np.ndarray
    slope: np.ndarray
    others: np.ndarray
    others_slope: np.ndarray
    tilted: np.ndarray


def expected_losses(
    crowd: Crowd,
    rates: np.ndarray,
    target_weights: np.ndarray,
    value_weights: np.ndarray,
    x: np.ndarray,
    nothing: np.ndarray,
    prices: np.ndarray,
) -> Losses:
    """Losses by mixtures at contributions x, all arrays over rows of shape (rows,).

    Args:
        crowd: who takes part.
        rates, target_weights, value_weights: the mixtures, shape (terms,).
        x: contributions, >= 0.
        nothing: which rows bring nothing, whatever the contract.
        prices: of the rows' losses.
    """
    idle, idle_each = idle_chances(crowd, nothing)
    excess = idle * (target_weights.sum() - crowd.plain.largest_target) if idle > 0.0 else 0.0
    value_excess = idle_each * (value_weights.sum() - crowd.plain.largest_value)
    logs = _logs(crowd, rates, x)
    everybody = np.exp(logs.power.sum(axis=1))
    group = crowd.group
    by_target = -(target_weights * rates * everybody) @ (logs.tilted * logs.slope[:, group])
    if crowd.ex_ante:
        mix = transforms(rates, x, crowd.probabilities)
        value = type_losses_by_mixture(crowd.plain, value_weights, mix, x, crowd.probabilities)
        by_x = type_loss_gradient(crowd.plain, value_weights, mix, x, crowd.probabilities, prices)
    else:
        value, by_x = _interim(crowd, rates, value_weights, x, prices, logs)
    return Losses(float(target_weights @ everybody - excess), value - value_excess, by_target, by_x)


def _logs(crowd: Crowd, rates: np.ndarray, x: np.ndarray) -> _Logs:
    groups = len(crowd.laws)
    power, slope, others, others_slope = np.zeros((4, rates.size, groups))
    tilted = np.zeros((rates.size, x.size))
    for g, law in enumerate(crowd.laws):
        members = crowd.group == g
        mix = transforms(rates, x[members], crowd.probabilities[members])
        tilted[:, members] = mix.tilted
        power[:, g], slope[:, g], _ = law.log_power(mix.log_phi)
        others[:, g], others_slope[:, g], _ = law.others().log_power(mix.log_phi)
    return _Logs(power, slope, others, others_slope, tilted)


def _interim(
    crowd: Crowd, rates: np.ndarray, weights: np.ndarray, x: np.ndarray, prices: np.ndarray, logs: _Logs
) -> tuple[np.ndarray, np.ndarray]:
    """Each row's loss, and the gradient of their sum at the prices."""
    group = crowd.group
    total = logs.power.sum(axis=1, keepdims=True)
    belief = total - logs.power + logs.others
    each = np.exp(-np.multiply.outer(rates, x) + belief[:, group])
    priced = each * prices
    by_group = np.stack([priced[:, group == g].sum(axis=1) for g in range(len(crowd.laws))], axis=1)
    # What others lose by a row's data: those of its own group count one participant less.
    moved = logs.slope * (by_group.sum(axis=1, keepdims=True) - by_group) + logs.others_slope * by_group
    by_x = -(weights * rates) @ (priced + logs.tilted * moved[:, group])
    return weights @ each, by_x


def idle_chances(crowd: Crowd, nothing: np.ndarray) -> tuple[float, np.ndarray]:
    """Probability that nobody brings data: for the coordinator, and as each row believes, shape (rows,)."""
    p, group = crowd.probabilities, crowd.group
    idle = np.array([min(float(p[nothing & (group == g)].sum()), 1.0) for g in range(len(crowd.laws))])
    nobody = np.array([float(law.generating(q)) for law, q in zip(crowd.laws, idle, strict=True)])
    each = np.zeros(p.size)
    if crowd.ex_ante:
        for i in np.flatnonzero(nothing):
            each[i] = _idle_given(crowd.laws[0], float(idle[0]), float(p[i]))
        return float(nobody[0]), each
    for g, law in enumerate(crowd.laws):
        chance = float(law.others().generating(idle[g])) * float(np.prod(np.delete(nobody, g)))
        each[nothing & (group == g)] = chance
    return float(np.prod(nobody)), each


def _idle_given(law: Turnout, idle: float, own: float) -> float:
    """That all who come bring nothing, given that one of a type that brings nothing comes."""
    if own * law.mean <= RARE:
        return float(law.others().generating(idle))
    absent = float(law.generating(1.0 - own))
    return float(law.generating(idle) - law.generating(max(idle - own, 0.0))) / (1.0 - absent)
