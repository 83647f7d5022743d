"""What is maximised besides the coordinator's target, over balls: S(u, t) and its slopes by type."""

from __future__ import annotations

from typing import Any

import numpy as np
from flint import arb

from contracts.problem.objective import DistributionCost, NashBargaining, Rawlsian, Welfare
from contracts.proof.intervals.ball import NotRigorous, ball
from contracts.proof.intervals.loss_balls import CrowdBalls, zeros
from contracts.proof.reached import Tangent


def weight_balls(objective: Any) -> Any:
    """The weight of the coordinator's target."""
    return arb(1) if objective is None else ball(objective.weight())


def beside(
    objective: Any, crowd: CrowdBalls, utility: np.ndarray, reward: np.ndarray, alone: np.ndarray
) -> Tangent:
    """S in one world; see `contracts.problem.objective.Outcome`.

    Raises:
        NotRigorous: the objective has no enclosure, or is not finite there.
    """
    means = np.array([law.mean for law in crowd.laws], dtype=object)
    shares = crowd.probabilities * means[crowd.group] / means.sum()
    nothing = zeros(utility.size)
    if objective is None:
        return Tangent(arb(0), nothing, nothing)
    if type(objective) is Welfare:
        return Tangent((shares * utility).sum(), shares, nothing)
    if type(objective) is Rawlsian:
        level = utility - alone if objective.over == "gain" else utility
        least = level[0]
        for each in level[1:]:
            least = arb.min(least, each)
        return Tangent(least, nothing, nothing)
    if type(objective) is NashBargaining:
        return _nash(shares, utility - alone, nothing)
    if type(objective) is DistributionCost:
        return _handed_out(objective, shares * means.sum(), reward, nothing)
    raise NotRigorous(f"an objective of the class {type(objective).__name__} has no enclosure")


def _nash(shares: np.ndarray, gain: np.ndarray, nothing: np.ndarray) -> Tangent:
    value, slopes = arb(0), nothing.copy()
    for i, (share, each) in enumerate(zip(shares, gain, strict=True)):
        if share == 0:
            continue
        if not each > 0:
            raise NotRigorous("the objective is not finite where somebody gains nothing")
        value = value + share * each.log()
        slopes[i] = share / each
    return Tangent(value, slopes, nothing)


def _handed_out(
    objective: DistributionCost, numbers: np.ndarray, reward: np.ndarray, nothing: np.ndarray
) -> Tangent:
    rate, k = ball(objective.rate), ball(objective.exponent)
    value, slopes = arb(0), nothing.copy()
    for i, (number, each) in enumerate(zip(numbers, reward, strict=True)):
        slopes[i] = -rate * number if k == 1 else arb(0)
        if k == 1:
            value = value - rate * number * arb.max(each, arb(0))
        elif each > 0:
            value = value - rate * number * (each.log() * k).exp()
            slopes[i] = -rate * number * k * (each.log() * (k - 1)).exp()
        elif not each <= 0:
            raise NotRigorous("the cost of handing out has no enclosure near nothing")
    return Tangent(value, nothing, slopes)
