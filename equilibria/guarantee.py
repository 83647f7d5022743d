"""What the theorem on the verified rule promises for agents, for which models, and what it would need.

The theorem bounds the excess risk of the model that is trained by the discrepancies of the data over a class of
models. Its premise is therefore about that class: estimates over two probe classifiers say nothing about a
network that finds what the probes do not see. Every promise here names its class, and there is none for another.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
from jaxtyping import Bool
from scipy import optimize

from contracts.records import frozen
from equilibria.environment import Environment
from mechanisms.model_class import ModelClass, ProbeClass
from mechanisms.radius import log_term, rounded_down


@frozen
class Sampling:
    """How quality is estimated: with how many samples, over which models, how surely, at whose cost.

    Attributes:
        samples: most samples taken from any agent.
        fewest: fewest samples taken from any agent.
        trusted_samples: samples of the target; as many as from each agent when None.
        model_class: the models whose errors are compared.
        confidence: probability with which all estimates are within their radius.
        false_alarm: probability with which anybody is refused whose samples are the target's.
        refused: agents refused for what the models do not measure, boolean, shape (agents,).
        paid: whether members bear the cost of their samples.
        slack_factor: fraction of the theorem's slack that is used.
    """

    samples: int
    fewest: int
    trusted_samples: int | None
    model_class: ModelClass
    confidence: float
    false_alarm: float
    refused: Bool[np.ndarray, " agents"]
    paid: bool
    slack_factor: float

    def radius(self) -> float:
        """How far estimates may be from the truth, with the confidence: of whoever gave fewest samples."""
        return self.model_class.radius(
            samples=self.fewest,
            agents=self.refused.size,
            trusted_samples=self.trusted_samples,
            confidence=self.confidence,
        )

    def charge(self, environment: Environment) -> float:
        """c q, the most that verification costs anybody; zero when samples are free."""
        return float(np.max(environment.unit_costs)) * self.samples if self.paid else 0.0


@frozen
class Guarantee:
    """What the theorem promises for a rule and a game, and what it would need.

    Attributes:
        holds: whether 2 a eps + c q <= c n0, the theorem's condition, and the models are those estimated over.
        confidence: probability with which the truthful grand coalition is a Nash equilibrium; zero if the
            condition fails, because then nothing is proved.
        model_class: the models for which it is proved, in words. For models outside nothing is proved.
        asked: the models that were asked about, in words, if they are others; else None.
        refused: agents refused because their samples differ from the target in what the models do not measure;
            the promise is to the others.
        radius: eps, how far estimates may be from the truth.
        slack: s = 2 a eps, in units of utility.
        verification_cost: c q charged to each agent, zero when samples are free.
        budget: c n0, what slack and verification cost may use together.
        ex_ante_gain: bound on the expected gain of any deviation chosen before the samples are drawn,
            (1 - confidence) times the range of payoffs; infinite if the condition fails.
        samples_needed: fewest samples for each agent that meet the condition, None if no number does.
        least_complexity: smallest complexity for which some number of paid samples, with as many trusted
            ones, meets the condition; zero when samples are free or the models are not finitely many.
        reason: why nothing is proved whatever the figures; empty if they decide.
    """

    holds: bool
    confidence: float
    model_class: str
    asked: str | None
    refused: tuple[int, ...]
    radius: float
    slack: float
    verification_cost: float
    budget: float
    ex_ante_gain: float
    samples_needed: int | None
    least_complexity: float
    reason: str = ""

    def _refused(self) -> str:
        return f"agent{'s' if len(self.refused) > 1 else ''} {', '.join(map(str, self.refused))}"

    def __str__(self) -> str:
        used = self.slack + self.verification_cost
        if self.holds:
            whom = f" without those refused ({self._refused()})" if self.refused else ""
            return (
                f"proved, for {self.model_class} and no other models: the truthful grand coalition{whom} "
                f"is a Nash equilibrium with probability at least {rounded_down(self.confidence)} "
                f"(slack plus verification {used:.4g} <= {self.budget:.4g})"
            )
        if self.asked is not None:
            return (
                f"nothing is proved for {self.asked}: quality was estimated over {self.model_class} only, and "
                "data may differ in what these do not see. Measure the frequency instead"
            )
        if self.reason:
            return f"nothing is proved: {self.reason}"
        if used <= self.budget:
            return "nothing is proved: the slack is below the theorem's 2 a eps. Measure the frequency instead"
        need = (
            "no number of samples would do"
            if self.samples_needed is None
            else f"{self.samples_needed} samples from each agent would do"
        )
        if self.samples_needed is None and self.least_complexity > 0:
            need += f", the complexity would have to be at least {self.least_complexity:.4g}"
        return (
            f"nothing is proved: slack plus verification {used:.4g} exceeds the standalone cost "
            f"{self.budget:.4g}; {need}. Measure the frequency instead"
        )


def guarantee_of(
    sampling: Sampling, environment: Environment, asked: ModelClass | str | None, reason: str = ""
) -> Guarantee:
    """What is proved about the truthful grand coalition under this sampling; see `VerifiedRule.guarantee`.

    Args:
        sampling: how quality is estimated.
        environment: the game.
        asked: the models that will be trained, if they are others.
        reason: why nothing is proved whatever the figures, where that is known before.
    """
    environment.require_alike("the verified rule")
    budget = environment.cost * environment.standalone_contribution
    radius, charge = sampling.radius(), sampling.charge(environment)
    slack = 2.0 * environment.loss_weight * radius
    other = None if asked is None or asked == sampling.model_class else str(asked)
    confidence = sampling.confidence - sampling.false_alarm
    if sampling.refused.all():
        reason = "everybody is refused"
    elif confidence <= 0.0:
        reason = (
            f"estimates may be wrong with probability {1.0 - sampling.confidence:g}, refusals with"
            f" {sampling.false_alarm:g}, together with 1 or more"
        )
    holds = slack + charge <= budget and sampling.slack_factor == 1.0 and other is None and not reason
    spread = 3.0 * environment.loss_weight + environment.standalone_loss + charge
    return Guarantee(
        holds=holds,
        confidence=confidence if holds else 0.0,
        model_class=str(sampling.model_class),
        asked=other,
        refused=tuple(np.flatnonzero(sampling.refused).tolist()),
        radius=radius,
        slack=slack,
        verification_cost=charge,
        budget=budget,
        ex_ante_gain=(1.0 - confidence) * spread if holds else math.inf,
        samples_needed=_samples_needed(sampling, environment),
        least_complexity=_least_complexity(sampling, environment),
        reason=reason,
    )


def _samples_needed(sampling: Sampling, environment: Environment) -> int | None:
    """Fewest samples with 2 a eps(q) + c q <= c n0: convex in q, so bisect to the left of the minimum."""
    most = max(1, math.floor(environment.standalone_contribution)) if sampling.paid else 2**53
    budget = environment.cost * environment.standalone_contribution

    def excess(samples: int) -> float:
        trial = replace(sampling, samples=samples, fewest=samples)
        return 2.0 * environment.loss_weight * trial.radius() + trial.charge(environment) - budget

    # In log q both terms are convex and their sum has one minimum.
    span = (0.0, math.log(most))
    least: Any = optimize.minimize_scalar(lambda q: excess(round(math.exp(q))), bounds=span, method="bounded")
    low, high = 0, min(most, max(1, round(math.exp(least.x))))
    if excess(high) > 0:
        return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if excess(middle) <= 0 else (middle, high)
    return high


def _least_complexity(sampling: Sampling, environment: Environment) -> float:
    """alpha at which the best number of paid samples, q*, just uses the budget: 3 c q* = c n0."""
    if not (sampling.paid and isinstance(sampling.model_class, ProbeClass)):
        return 0.0
    probes = sampling.model_class.size
    logarithm = log_term(agents=environment.players, probes=probes, confidence=sampling.confidence)
    best = (environment.loss_weight * math.sqrt(logarithm) / environment.cost) ** (2.0 / 3.0)
    scale = environment.cost / (environment.loss_weight * environment.exponent)
    return (3.0 * best) ** (1.0 + environment.exponent) * scale
