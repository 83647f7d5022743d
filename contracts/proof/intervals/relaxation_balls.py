"""Mixtures of a proof shrunk until they lie below the losses, with what is left beyond their range."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from flint import arb

from contracts.proof.intervals.ball import balls
from contracts.proof.intervals.loss_balls import CrowdBalls, MixtureBalls
from contracts.proof.intervals.loss_cover import Cover, cover
from contracts.proof.intervals.world_balls import TARGET, VALUE, Worth
from contracts.proof.losses import Losses, expected_losses
from contracts.proof.mixture_check import MOST_ABOVE
from contracts.proof.soundness import ProofRefused


class Below(NamedTuple):
    """Losses that no true loss is below, by more in expectation than what is left out.

    Attributes:
        mixture: the shrunk mixtures.
        left_target: what the coordinator's expected loss may be lower by.
        left_value: the same as each row believes, shape (rows,).
        target: how the mixture of the target compares with its loss.
        lost_target: what the expected loss may exceed that by the mixture by, beyond its range.
    """

    mixture: MixtureBalls
    left_target: Any
    left_value: np.ndarray
    target: Cover
    lost_target: Any

    def losses(self, crowd: CrowdBalls, x: np.ndarray, nothing: np.ndarray, prices: np.ndarray) -> Losses:
        """Expected losses of which no true one is below."""
        found = expected_losses(crowd, *self.mixture, x, nothing, prices)
        return found._replace(target=found.target - self.left_target, value=found.value - self.left_value)


def below(
    worth: Worth,
    crowd: CrowdBalls,
    rates: np.ndarray,
    target: np.ndarray,
    value: np.ndarray,
    most: float,
    *,
    floor: bool,
) -> Below:
    """Shrink mixtures.

    Args:
        worth: what data are worth.
        crowd: who takes part, by row.
        rates, target, value: the mixtures, floats, shape (terms,).
        most: the most data that matter.
        floor: whether they are to lie below the true loss on the floor too (else they continue the curve there).

    Raises:
        ProofRefused: they are far above.
    """
    found = cover(worth, TARGET, rates, target, most), cover(worth, VALUE, rates, value, most)
    factors = [max(one.high, one.floor_factor if floor else 0.0, 1.0) for one in found]
    if not max(factors) <= MOST_ABOVE:
        raise ProofRefused("the proof has a mixture that is not below its loss")
    tail, tail_each = crowd.beyond()
    of_target, of_value = (
        balls(weights) / arb(factor) for weights, factor in zip((target, value), factors, strict=True)
    )
    return Below(
        MixtureBalls(balls(rates), of_target, of_value),
        found[0].left * (tail if found[0].complete else arb(1)),
        tail_each * found[1].left if found[1].complete else np.array([found[1].left] * tail_each.size),
        found[0],
        found[0].lost * (tail if found[0].complete else arb(1)),
    )
