"""The contract-design problem: who takes part, what data give, what models are worth."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

from contracts import checks
from contracts.errors import InvalidInput
from contracts.problem.accuracy import AccuracyCurve
from contracts.problem.population import Population
from contracts.problem.valuation import Valuation
from contracts.pytrees import register
from contracts.records import frozen, identity

BELIEFS = ("interim", "ex-ante")
TARGETS = ("accuracy", "value")


@register(meta=["belief", "maximise"])
@frozen
class Problem:
    """A coordinator's problem.

    Args:
        population: the types, their costs and probabilities, and the number of participants.
        accuracy: the learning curve of the jointly trained model.
        valuation: what a model is worth to every participant.
        belief: what a participant thinks of the others. "interim": it knows its own type and expects
            participants - 1 others drawn by the probabilities (Bayes' rule); "ex-ante": it expects a draw of
            all participants with at least one of its type (the published code).
        maximise: the expected "accuracy" of the trained model (the papers') or its expected "value"; the
            same thing when the valuation is linear.

    Source: Wang et al., AAAI 2025 (arXiv 2412.11122), problem (1); the interim belief is ours.
    """

    population: Population
    accuracy: AccuracyCurve
    valuation: Valuation
    belief: str = "interim"
    maximise: str = "accuracy"

    def __post_init__(self) -> None:
        for name, kind in (("population", Population), ("accuracy", AccuracyCurve), ("valuation", Valuation)):
            value = getattr(self, name)
            if not isinstance(value, kind):
                raise InvalidInput(f"{name} = {value!r}: expected a {kind.__name__}")
        checks.choice("belief", self.belief, BELIEFS)
        checks.choice("maximise", self.maximise, TARGETS)

    def value(self, data: Any) -> Any:
        """Value of a model trained on `data` (>= 0, any shape), in units of cost."""
        return self.valuation(self.accuracy(data))

    def value_loss(self, data: np.ndarray) -> np.ndarray:
        """Value missing to the largest at `data` >= 0: precise however small, the whole of it on the floor."""
        top = float(self.accuracy.optimum)
        return self.valuation.loss(top, np.minimum(self.accuracy.shortfall(data, np), top), np)

    @cached_property
    def largest_value(self) -> float:
        """Value of the model that unlimited data would give."""
        return float(self.valuation(float(self.accuracy.optimum)))

    @cached_property
    def most_data(self) -> float:
        """More data than all participants together ever contribute: nobody pays more than the largest value."""
        population = self.population
        return population.most_participants * self.largest_value / float(population.costs.min())

    @property
    def family(self) -> tuple:
        """What losses depend on, as a hashable key: problems of one sweep share curves and mixtures."""
        return identity(self.accuracy), identity(self.valuation), self.target_is_value

    @property
    def target_is_value(self) -> bool:
        """Whether objectives, bounds and gaps are in units of value (else of accuracy)."""
        return self.maximise == "value" or self.valuation.linear

    @property
    def largest_target(self) -> float:
        """The target of the model that unlimited data would give."""
        return self.largest_value if self.target_is_value else float(self.accuracy.optimum)

    def target(self, data: Any) -> np.ndarray:
        """What the coordinator maximises in expectation, by the data the model is trained on."""
        return self.value(data) if self.target_is_value else self.accuracy(data)
