"""How far estimates of quality may be from the truth, by the number of samples: Hoeffding's and the VC
inequality.

With finitely many models the radius follows from one Hoeffding bound on the difference of the two empirical
means and a union over agents and models; with a class of models, from the number of ways in which its models can
err on so many samples (the growth function). The first is a textbook bound, for losses in [0, 1]; the second is
one with sharper constants, and its proof is given.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import product

from contracts.checks import integer, number
from contracts.errors import InvalidInput

#: How many unseen samples are imagined for each that is seen, and how often these may mislead: as is best.
UNSEEN = tuple(2**power for power in range(16))
MISSING = (0.5, 0.25, 0.1, 0.01, 0.001)


def rounded_down(confidence: float) -> str:
    """A confidence below one as text that promises no more than it: 0.999999 and never 1.

    >>> rounded_down(0.9999999), rounded_down(0.95), rounded_down(0.95 - 0.05)
    ('0.999999', '0.95', '0.9')
    """
    millionths = math.floor(confidence * 1e6 + 1e-6)  # what rounding took from .9 is not missing
    return f"{min(millionths, 999_999) / 1e6:g}"


def log_term(*, agents: int, probes: int, confidence: float) -> float:
    """log(2 J |F| / delta), the price of asking J agents and |F| probes to be right at once.

    Raises:
        InvalidInput: a count below one, or a confidence outside (0, 1).

    >>> round(log_term(agents=10, probes=1, confidence=0.95), 4)
    5.9915
    """
    count = integer("agents", agents, low=1) * integer("probes", probes, low=1)
    level = number("confidence", confidence, low=0.0, high=1.0, open_low=True, open_high=True)
    return math.log(2 * count) - math.log(1.0 - level)


def hoeffding_radius(
    *,
    samples: int,
    agents: int,
    trusted_samples: int | None = None,
    probes: int = 1,
    confidence: float = 0.95,
) -> float:
    """How far the estimates may be from the truth, with finitely many probes and a loss in [0, 1].

    Args:
        samples: samples taken from each agent, at least one.
        agents: number of agents estimated.
        trusted_samples: samples of the target, shared by all; as many as from each agent when omitted.
        probes: number of probe classifiers, fixed before the samples are seen.
        confidence: probability, in (0, 1), that all estimates are within the radius.

    Returns:
        The radius sqrt((1/q + 1/q0) / 2 * log(2 J |F| / delta)); above one it says nothing.

    Raises:
        InvalidInput: a count below one, or a confidence outside (0, 1).

    >>> round(hoeffding_radius(samples=39441, agents=10), 5)
    0.01233
    """
    taken = integer("samples", samples, low=1)
    trusted = taken if trusted_samples is None else integer("trusted_samples", trusted_samples, low=1)
    logarithm = log_term(agents=agents, probes=probes, confidence=confidence)
    return math.sqrt((1.0 / taken + 1.0 / trusted) / 2.0 * logarithm)


def growth_radius(
    *,
    samples: int,
    agents: int,
    log_growth: Callable[[int], float],
    trusted_samples: int | None = None,
    confidence: float = 0.95,
) -> float:
    """How far the estimates may be from the truth when models range over a class, by the VC inequality.

    Valid for the 0-1 loss and any distributions. Vapnik and Chervonenkis (1971) compare samples with as many
    unseen ones; here, as in Devroye (1982), the unseen ones are more, and both samples are treated at once.

    Proof. Let each sample of n have c n unseen ones besides it. For the model whose difference of errors is off
    by more than r, that of the unseen ones is off the same way by no more than a, with probability 1 - p at
    least (Hoeffding; a below). So seen and unseen differ by r - a for some model, with at least 1 - p times the
    probability that any is off by r. Given all q + q0 samples and the unseen ones, which are seen is chosen at
    random without replacement. For one model, seen and unseen then differ by 1 + 1/c times what such a sample is
    off its whole, which is as concentrated as with replacement (Hoeffding 1963, theorem 4), in both samples
    independently; and of models there are no more than ways to err on all of these. QED

    Args:
        samples: samples taken from each agent, at least one.
        agents: number of agents estimated.
        log_growth: from a number of samples to the logarithm of the number of ways in which models of the class
            can err on them, at most.
        trusted_samples: samples of the target; as many as from each agent when omitted.
        confidence: probability, in (0, 1), that all estimates are within the radius.

    Returns:
        The least r = a + (1 + 1/c) sqrt(v/2 (log(2 J / delta) + log_growth((1 + c)(q + q0)) - log(1 - p))) with
        v = 1/q + 1/q0 and a = sqrt(v/c log(1/p) / 2), over several c and p.

    Raises:
        InvalidInput: a count below one, or a confidence outside (0, 1).

    >>> round(growth_radius(samples=10_000, agents=1, log_growth=lambda samples: 0.0), 4)
    0.0194
    """
    taken = integer("samples", samples, low=1)
    trusted = taken if trusted_samples is None else integer("trusted_samples", trusted_samples, low=1)
    union = log_term(agents=agents, probes=1, confidence=confidence)
    spread = 1.0 / taken + 1.0 / trusted

    def radius(unseen: int, missing: float) -> float:
        logarithm = union + log_growth((1 + unseen) * (taken + trusted)) - math.log1p(-missing)
        nearby = math.sqrt(spread / unseen * -math.log(missing) / 2.0)
        return nearby + (1.0 + 1.0 / unseen) * math.sqrt(spread / 2.0 * logarithm)

    return min(radius(unseen, missing) for unseen, missing in product(UNSEEN, MISSING))


def samples_for_radius(radius: float, *, agents: int, probes: int = 1, confidence: float = 0.95) -> int:
    """Fewest samples, from each agent and as many from the target, that bring the radius down to `radius`.

    Args:
        radius: the radius wanted, above zero.
        agents: number of agents estimated.
        probes: number of probe classifiers.
        confidence: probability, in (0, 1), that all estimates are within the radius.

    Returns:
        log(2 J |F| / delta) / radius^2, rounded up.

    Raises:
        InvalidInput: the radius is not above zero, a count below one, a confidence outside (0, 1).

    >>> samples_for_radius(0.025, agents=10)
    9587
    """
    wanted = number("radius", radius, low=0.0, open_low=True)
    logarithm = log_term(agents=agents, probes=probes, confidence=confidence)
    if math.sqrt(logarithm) > 2**31 * wanted:
        raise InvalidInput(f"radius = {radius:g}: expected a radius that fewer than 2^62 samples can reach")
    return max(1, math.ceil(logarithm / wanted**2))
