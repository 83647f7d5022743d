"""A named rule with what it remembers from round to round, for the training loop of `mechanisms.training`.

Centred clipping starts from the last aggregate, FoolsGold reads every participant's summed updates, and
behaviour rules need the model of the round. `RuleInRounds` keeps the first two and makes a defender of one
participant.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from contracts.checks import integer
from contracts.errors import InvalidInput
from mechanisms.aggregation.behaviour import Defender
from mechanisms.aggregation.registry import aggregate, find


@dataclass(frozen=True, kw_only=True, eq=False)
class RuleInRounds:
    """An aggregation rule with a memory, as `train(..., aggregate=...)` takes it.

    Attributes:
        rule: a registered name, or names joined by "+".
        malicious: how many malicious participants to withstand, f.
        model: a classifier of `mechanisms.models`; behaviour rules need it.
        defender: whose update and data judge: the index of a participant.
        samples: that participant's samples (`inputs`, `labels`); behaviour rules need them.
        options: further arguments of the rule.

    Raises:
        InvalidInput: an unknown rule, or a rule that judges without a model or samples to judge by.

    >>> from mechanisms.datasets import load, split
    >>> from mechanisms.models import SoftmaxRegression
    >>> from mechanisms.training import train
    >>> iris = load("iris")
    >>> parts = split(iris, participants=5)
    >>> model = SoftmaxRegression(features=4, classes=3)
    >>> rule = RuleInRounds(rule="roni", model=model, samples=parts[0])
    >>> run = train(model, parts, rounds=20, aggregate=rule, validation=iris.validation)
    >>> bool(run.accuracy[-1] > run.accuracy[0])
    True
    """

    rule: str
    malicious: int = 0
    model: Any = None
    defender: int = 0
    samples: Any = None
    options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        judges = any({"defender", "own"} & part.required for part in find(self.rule))
        if judges and (self.model is None or self.samples is None):
            raise InvalidInput(f"rule {self.rule!r} judges by a defender: expected model and samples")
        integer("malicious", self.malicious)
        integer("defender", self.defender)

    def start(self, participants: int, size: int) -> tuple[np.ndarray, np.ndarray]:
        """The memory before the first round: no last aggregate, no history."""
        integer("defender", self.defender, high=participants - 1)
        return np.zeros(size), np.zeros((participants, size))

    def step(
        self, state: tuple[np.ndarray, np.ndarray], updates: np.ndarray, moment: Any
    ) -> tuple[tuple[np.ndarray, np.ndarray], np.ndarray]:
        """The memory after this round, and the aggregate."""
        center, history = state
        finite = np.asarray(np.isfinite(updates).all(axis=1))
        history = history + np.where(finite[:, None], updates, 0)
        judge = None
        if self.samples is not None and self.model is not None:
            judge = Defender.of_model(
                self.model,
                parameters=moment.params,
                update=updates[self.defender],
                inputs=self.samples.inputs,
                labels=self.samples.labels,
            )
        known = {"malicious": self.malicious, "center": center, "history": history, "defender": judge}
        result = np.asarray(aggregate(updates, self.rule, **known, **self.options))
        return (result, history), result
