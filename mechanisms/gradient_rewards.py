"""Rewards that follow contributions as seen in the gradients, with no validation set.

Cosine gradient Shapley value, CGSV (Xu, Lyu, Ma, Miao, Foo and Low, "Gradient driven rewards to guarantee
fairness in collaborative machine learning", NeurIPS 2021). In every round the uploads are scaled to one
length, each participant's contribution is its direction's share in the joint one, contributions are
remembered as a reputation, and a participant receives the joint step with only its largest entries kept: the
more, the higher its reputation. Its own local step is not kept.

`CosineGradientRewards()` is the method as published. `CosineGradientRewards.mended()` has what we found to be
needed, all of it options of the same class:

- `normalised`: contributions are scaled to sum 1 before they are remembered, so `memory` is the weight of the
  past for any number of participants. (The sum of the cosines grows with their number, which shrinks it.)
- `weighting="equal"`: uploads count equally in the joint step. By reputation, as published, contributions are
  measured against the step they weigh: on class-imbalanced digits one of five participants then takes up to nine
  tenths of all reputation, and who it is says little about the data.
- `decay="linear"`: the step length falls to zero over the run, as `step * (1 - t/T)`. A constant length cannot
  settle, and the published decay of the local learning rate does not reach the server, which rescales updates.
- `floor=0`: whoever contributes nothing, or the opposite, has reputation 0 and no reward, and may earn it
  back. The published floor of 1e-3 pays free-riders and adversaries.
- `per_participant=True`: altruism is multiplied by the number of participants. Reputations are about 1/n, where
  tanh(beta r) is straight for every published beta, 0.5 to 2, so that the knob does nearly nothing.
- `keep="energy"`: the kept fraction is one of the squared length. The joint step's energy sits in few entries,
  so half of the entries are nearly the whole step and rewards come out almost alike; the fewest entries that
  carry the fraction spread the models' accuracies as the reputations are spread.

In both, exactly the largest entries of the whole vector are kept, ties broken by position (the published code
masks by layer and always loses an entry); an update that is not finite, or is rounding residue of nothing,
counts as zero instead of ending the run or being blown up to full length; a round in which the uploads cancel
pays nothing.

What neither promises: that nobody ends below what it reaches alone (`mechanisms.fairness.rationality` says who
does), nor that rare knowledge is paid, since contributions are measured against the majority's direction. How
both do by the paper's own measure is in `benchmarks/results/gradient_rewards.csv`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from contracts import checks
from contracts.errors import InvalidInput
from mechanisms.cosine_game import ZERO, cosine_contributions, cosine_shapley
from mechanisms.rounds import Aggregate, Reward, Round

# Local training in float32 leaves this much rounding, relative to the parameters, in an update of zero.
RESIDUE = 1e-6


@dataclass(frozen=True, kw_only=True)
class CosineGradientRewards:
    """The reward rule, for `mechanisms.training.train(..., reward=...)`.

    Attributes:
        altruism: beta, > 0: a participant of reputation r receives the fraction tanh(beta r) of the joint step,
            over the largest such number. Large values give everybody everything (1e7 is federated averaging of
            directions).
        memory: alpha, the weight of the past in a reputation, in [0, 1).
        step: Gamma, the length of each participant's step (in the first round), > 0.
        exact: measure contributions by exact Shapley values (at most 24 participants) instead of their
            linear-time surrogate.
        keep: whether the rewarded fraction is one of the joint step's "entries" (published) or "energy".
        weighting: of the uploads in the joint step, by "reputation" (published; in the first round by numbers of
            samples) or "equal"; without effect when `train` is given an aggregation rule.
        normalised: scale contributions to sum 1 before they are remembered.
        decay: of the step length over the run, "none" (published) or "linear" to zero.
        floor: the least reputation before they are scaled to sum 1, in [0, 1).
        per_participant: multiply altruism by the number of participants.

    >>> from mechanisms.datasets import load, split
    >>> from mechanisms.models import SoftmaxRegression
    >>> from mechanisms.training import train
    >>> iris = load("iris")
    >>> parts = split(iris, participants=3, label_noise=[0.0, 0.0, 0.8])
    >>> model = SoftmaxRegression(features=4, classes=3)
    >>> run = train(model, parts, rounds=30, reward=CosineGradientRewards(), validation=iris.validation)
    >>> run.figures["reputation"][-1].argmin()
    np.int64(2)
    """

    altruism: float = 1.0
    memory: float = 0.95
    step: float = 0.5
    exact: bool = False
    keep: str = "entries"
    weighting: str = "reputation"
    normalised: bool = False
    decay: str = "none"
    floor: float = 1e-3
    per_participant: bool = False

    @classmethod
    def mended(cls, **changes: Any) -> CosineGradientRewards:
        """The rule with all mends of the module's list; `changes` replace any attribute.

        >>> CosineGradientRewards.mended(altruism=0.5).keep
        'energy'
        """
        mends = {"keep": "energy", "weighting": "equal", "normalised": True, "decay": "linear", "floor": 0.0}
        return cls(**{**mends, "per_participant": True, **changes})

    def __post_init__(self) -> None:
        checks.choice("keep", self.keep, ("entries", "energy"))
        checks.choice("decay", self.decay, ("none", "linear"))
        checks.number("floor", self.floor, low=0, high=1, open_high=True)
        checks.choice("weighting", self.weighting, ("equal", "reputation"))
        checks.number("altruism", self.altruism, low=0, open_low=True)
        checks.number("memory", self.memory, low=0, high=1, open_high=True)
        checks.number("step", self.step, low=0, open_low=True)

    def start(self, sizes: np.ndarray) -> np.ndarray | None:  # noqa: ARG002
        """Return that nobody has a reputation yet."""
        return None

    def settle(
        self, state: np.ndarray | None, updates: np.ndarray, aggregate: Aggregate | None, moment: Round
    ) -> tuple[np.ndarray | None, Reward]:
        """Return the next reputations and this round's rewards, with the figures that led to them."""
        count = len(updates)
        length = self.step * (1 - moment.number / moment.rounds if self.decay == "linear" else 1)
        updates = np.where(np.isfinite(updates).all(axis=1, keepdims=True), updates, 0.0)
        residue = RESIDUE * float(np.linalg.norm(moment.params))
        scaled = scale_to_length(updates, length, zero=residue)
        joint = self._weights(state, moment) @ scaled if aggregate is None else np.asarray(aggregate(scaled))
        contribution, standing, kept = np.zeros(count), state, np.zeros(count)
        if np.linalg.norm(joint) > ZERO * length:
            contribution = (_exact if self.exact else cosine_contributions)(scaled, reference=joint)
            if (contribution > 0).any():
                how = {"memory": self.memory, "normalised": self.normalised, "floor": self.floor}
                standing = update_reputation(state, contribution, **how)
            if standing is not None:
                altruism = self.altruism * (count if self.per_participant else 1)
                kept = altruistic_fractions(standing, altruism=altruism)
        keep = keep_largest if self.keep == "entries" else keep_energy
        figures = {
            "contribution": contribution,
            "reputation": np.zeros(count) if standing is None else standing,
            "kept": kept,
        }
        gifts = np.stack([keep(joint, fraction) for fraction in kept])
        return standing, Reward(server=joint, participants=gifts, figures=figures)

    def _weights(self, reputation: np.ndarray | None, moment: Round) -> np.ndarray:
        if self.weighting == "equal":
            return np.full(len(moment.sizes), 1 / len(moment.sizes))
        return moment.sizes / moment.sizes.sum() if reputation is None else reputation


def _exact(updates: np.ndarray, *, reference: np.ndarray) -> np.ndarray:
    values = cosine_shapley(updates, reference=reference).values
    return np.where(updates.any(axis=1), values, 0.0)  # whoever sends nothing gets nothing, nor a rounding error


def scale_to_length(
    updates: ArrayLike, length: float, *, zero: float = 0.0
) -> Float[np.ndarray, "participants size"]:
    """Scale every update to one length; an update not longer than `zero` becomes exactly zero.

    Raises:
        InvalidInput: rows of different sizes, or an entry that is not finite.

    >>> scale_to_length([[3.0, 4.0], [0.0, 0.0]], 1.0)
    array([[0.6, 0.8],
           [0. , 0. ]])
    """
    rows = checks.array("updates", updates, ndim=2)
    length = checks.number("length", length, low=0)
    peaks = np.abs(rows).max(axis=1, keepdims=True)
    rows = np.divide(rows, peaks, out=np.zeros_like(rows), where=peaks > 0)  # squares cannot overflow
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    return length * np.divide(rows, norms, out=np.zeros_like(rows), where=norms * peaks > zero)


def update_reputation(
    reputation: ArrayLike | None,
    contributions: ArrayLike,
    *,
    memory: float = 0.95,
    normalised: bool = False,
    floor: float = 0.0,
) -> Float[np.ndarray, " participants"]:
    """Blend contributions into reputations, which stay >= 0 and sum to 1.

    Contributions are weighed by `1 - memory` against the old reputation, raised to the floor and rescaled.

    Args:
        reputation: of the last round; None if there was none: then contributions alone decide.
        contributions: of this round, at least one of them > 0.
        memory: weight of the past, in [0, 1).
        normalised: divide contributions by the sum of the positive ones first.
        floor: the least reputation before rescaling, in [0, 1).

    Raises:
        InvalidInput: no contribution is positive, or lengths differ.

    >>> update_reputation([0.5, 0.5], [0.9, -0.1], memory=0.5).round(4)
    array([0.7778, 0.2222])
    """
    gained = checks.array("contributions", contributions)
    memory = checks.number("memory", memory, low=0, high=1, open_high=True)
    positive = np.maximum(gained, 0).sum()
    if positive <= 0:
        raise InvalidInput("contributions: expected at least one > 0")
    low = checks.number("floor", floor, low=0, high=1, open_high=True)
    share = gained / positive if normalised else (1 - memory if reputation is None else 1) * gained
    if reputation is not None:
        share = memory * checks.array("reputation", reputation, low=0, length=len(gained)) + (1 - memory) * share
    standing = np.maximum(share, low)
    return standing / standing.sum()


def altruistic_fractions(reputation: ArrayLike, *, altruism: float) -> Float[np.ndarray, " participants"]:
    """Return the fraction of the joint step each participant receives, 1 at the highest reputation.

    Args:
        reputation: >= 0, not all 0.
        altruism: beta, > 0: the fraction is tanh(beta r) over the largest.

    >>> altruistic_fractions([0.0, 0.25, 0.75], altruism=3.0).round(4)
    array([0.    , 0.6494, 1.    ])
    """
    standing = checks.array("reputation", reputation, low=0)
    altruism = checks.number("altruism", altruism, low=0, open_low=True)
    if not standing.any():
        raise InvalidInput("reputation: expected at least one > 0")
    raised = np.tanh(altruism * standing)
    # tanh rounds tiny reputations like the identity, so nobody with any standing is left without
    return raised / raised.max()


def keep_largest(update: ArrayLike, fraction: float) -> Float[np.ndarray, " size"]:
    """Keep the entries of largest magnitude, floor(fraction * size) of them as published, and zero the rest.

    Ties are broken by position, so what a smaller fraction keeps is among what a larger one keeps.

    Args:
        update: a vector.
        fraction: in [0, 1]; 1 returns the update unchanged.

    >>> keep_largest([3.0, -5.0, 1.0, 3.0], 0.5)
    array([ 3., -5.,  0.,  0.])
    """
    vector = checks.array("update", update)
    count = math.floor(checks.number("fraction", fraction, low=0, high=1) * len(vector) * (1 + 1e-12))
    kept = np.argsort(-np.abs(vector), kind="stable")[:count]
    masked = np.zeros_like(vector)
    masked[kept] = vector[kept]
    return masked


def keep_energy(update: ArrayLike, fraction: float) -> Float[np.ndarray, " size"]:
    """Keep the fewest entries of largest magnitude that carry a fraction of the squared length.

    Args:
        update: a vector.
        fraction: in [0, 1]; 1 returns the update unchanged. Kept entries are nested as for `keep_largest`.

    >>> keep_energy([3.0, -4.0, 0.0, 0.0], 0.6)
    array([ 0., -4.,  0.,  0.])
    """
    vector = checks.array("update", update)
    fraction = checks.number("fraction", fraction, low=0, high=1)
    order = np.argsort(-np.abs(vector), kind="stable")
    carried = np.cumsum((vector[order] / max(np.abs(vector).max(), np.finfo(float).tiny)) ** 2)
    count = np.searchsorted(carried, fraction * carried[-1] * (1 - 1e-12), side="left") + 1
    kept = order[: count if fraction > 0 else 0]
    if fraction == 1:
        kept = order
    masked = np.zeros_like(vector)
    masked[kept] = vector[kept]
    return masked
