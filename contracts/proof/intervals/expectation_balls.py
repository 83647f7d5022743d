"""What models are worth in expectation, enclosed: over all outcomes, or by a mixture of known distance."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
from flint import arb

from contracts.proof.intervals.ball import NotRigorous, ball, balls, between, vector_of
from contracts.proof.intervals.loss_balls import CrowdBalls, MixtureBalls
from contracts.proof.intervals.loss_cover import Cover, cover
from contracts.proof.intervals.outcome_balls import Outcomes, everybody, few_outcomes, others, without
from contracts.proof.intervals.world_balls import TARGET, VALUE, Worth
from contracts.proof.losses import expected_losses
from contracts.proof.mixture_check import Exponentials

TILTS = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0)  # of the floor: at which its probability is bounded
ACCURACY = "accuracy"


class ExpectedBalls(NamedTuple):
    """Expectations in one world.

    Attributes:
        given: value of the trained model as each type believes, in units of rows, shape (types,); no more than
            that where it is found by a mixture.
        value, target: of the trained model, above the baseline.
        accuracy: the same; None where it is not enclosed.
        by_outcomes: whether they were found over all outcomes.
    """

    given: np.ndarray
    value: Any
    target: Any
    accuracy: Any | None
    by_outcomes: bool


def expected(
    crowd: CrowdBalls, worth: Worth, x: list[Fraction], mixture: Exponentials | None, most: float, linear: bool
) -> ExpectedBalls:
    """Enclose the expectations of a menu.

    Args:
        crowd: who takes part, by type.
        worth: what data are worth.
        x: data that each type delivers, shape (types,).
        mixture: of the proof; for too many outcomes.
        most: the most data that matter.
        linear: whether value is proportional to accuracy.

    Raises:
        NotRigorous: there are too many outcomes, and no mixture.
    """
    if few_outcomes(crowd, x):
        return _by_outcomes(crowd, worth, x)
    if mixture is None:
        raise NotRigorous("expectations (too many outcomes to list, and the proof has no mixture)")
    return _by_mixture(crowd, worth, x, mixture, most, linear)


def _by_outcomes(crowd: CrowdBalls, worth: Worth, x: list[Fraction]) -> ExpectedBalls:
    def value(amount: Any) -> Any:
        return worth.at(VALUE, amount)

    law = everybody(crowd, x)
    total = _mean(law, value, worth.top_value, arb(1))
    accuracy = _mean(law, lambda amount: worth.at(ACCURACY, amount), worth.top_accuracy, arb(1))
    given, known = [], {}
    chances = crowd.occurrence() if crowd.ex_ante else None
    for i, own in enumerate(x):
        g = int(crowd.group[i])
        if chances is not None and crowd.probabilities[i] != 0:
            absent = _mean(without(crowd, x, i), value, worth.top_value, 1 - chances[i])
            given.append((total - absent) / chances[i])
            continue
        if (g, own) not in known:
            mine, rest = ball(own), others(crowd, x, g)
            known[g, own] = _mean(rest, lambda amount, mine=mine: value(mine + amount), worth.top_value, arb(1))
        given.append(known[g, own])
    return ExpectedBalls(vector_of(given), total, total if worth.target_is_value else accuracy, accuracy, True)


def _mean(law: Outcomes, function: Callable[[Any], Any], top: Any, whole: Any) -> Any:
    """The mean over outcomes of a probability `whole`; those that are not listed have between 0 and the top."""
    found, listed = arb(0), arb(0)
    for amount, chance in zip(law.data, law.chances, strict=True):
        found = found + chance * function(amount)
        listed = listed + chance
    rest = arb.max(whole - listed, arb(0))
    return found + between(0, rest.upper()) * top


def _by_mixture(
    crowd: CrowdBalls, worth: Worth, x: list[Fraction], mixture: Exponentials, most: float, linear: bool
) -> ExpectedBalls:
    data = balls(x)
    parts = MixtureBalls(balls(mixture.rates), balls(mixture.target_weights), balls(mixture.value_weights))
    losses = expected_losses(crowd, *parts, data)
    of_value = expected_losses(crowd, *parts._replace(target=parts.value), data).target
    idle, idle_each = crowd.idle(np.array([amount == 0 for amount in x]))
    tail, tail_each = crowd.beyond()
    short = _between_nothing_and_floor(crowd, worth, data, idle)
    one, other = (
        cover(worth, kind, mixture.rates, weights, most)
        for kind, weights in ((VALUE, mixture.value_weights), (TARGET, mixture.target_weights))
    )
    start = parts.value.sum(), parts.target.sum()
    given = [
        worth.top_value - _most_lost(one, loss, worth.top_value, start[0], chance, rest)
        for loss, chance, rest in zip(losses.value, idle_each, tail_each, strict=True)
    ]
    value = worth.top_value - _true_loss(one, of_value, worth.top_value, start[0], idle, short, tail)
    target = worth.top_target - _true_loss(other, losses.target, worth.top_target, start[1], idle, short, tail)
    accuracy = None if worth.target_is_value else target
    if linear:
        accuracy = value / worth.top_value * worth.top_accuracy
    return ExpectedBalls(vector_of(given), value, target, accuracy, False)


def _between_nothing_and_floor(crowd: CrowdBalls, worth: Worth, data: np.ndarray, idle: Any) -> Any:
    """A bound on the probability that some data come, and not enough to leave the floor (by Chernoff)."""
    floor, best = worth.floor_high, arb(1)
    if floor == 0.0:
        return arb(0)
    for tilt in TILTS:
        rate = np.array([arb(tilt / floor)], dtype=object)
        one = np.array([arb(1)], dtype=object)
        found = expected_losses(crowd, rate, one, one, data).target
        best = arb.min(best, (found - idle) * (arb(tilt / floor) * arb(floor)).exp())
    return arb.max(best, arb(0))


def _most_lost(found: Cover, mean: Any, top: Any, start: Any, idle: Any, tail: Any) -> Any:
    """What the expected loss is at most.

    Args:
        found: how mixture and loss compare.
        mean: expected loss by the mixture.
        top, start: loss and mixture without data.
        idle: probability that there are none.
        tail: bound on the probability of more data than the mixture was compared on.
    """
    if not found.low > 0.0:
        raise NotRigorous("expectations (too many outcomes to list, and the proof's mixture is not the curve's)")
    low = arb(found.low)
    return mean / low - idle * (start / low - top) + found.lost * (tail if found.complete else arb(1))


def _true_loss(found: Cover, mean: Any, top: Any, start: Any, idle: Any, short: Any, tail: Any) -> Any:
    """The expected loss; `short` bounds the probability that some data come that do not leave the floor."""
    high = arb(found.high)
    most = _most_lost(found, mean, top, start, idle, tail)
    least = mean / high - idle * (start / high - top)
    least = least - (found.left * (tail if found.complete else arb(1)) + short * start) / high
    return between(least.lower(), most.upper())
