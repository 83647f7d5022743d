"""The shapes of what plugs into collaborative training, and of what comes out of it.

- An aggregation rule is a function of the updates, `(participants, size) -> (size,)`, or, if it remembers
  earlier rounds or looks at the model, a `StatefulRule`.
- A reward rule is a `RewardRule`; with it participants hold models of their own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float

from mechanisms.protocols import VectorModel

Aggregate = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True, kw_only=True, eq=False)
class Round:
    """Where a run stands when a rule is asked: everything a rule may look at besides the updates.

    Attributes:
        number: of the round, from 0.
        rounds: how many were planned.
        params: the server's parameters before this round's step.
        sizes: number of samples of each participant.
    """

    number: int
    rounds: int
    params: Float[np.ndarray, " size"]
    sizes: np.ndarray


@runtime_checkable
class StatefulRule(Protocol):
    """An aggregation rule with a memory, or one that looks at the model."""

    def start(self, participants: int, size: int) -> Any:
        """Return the state before the first round."""
        ...

    def step(self, state: Any, updates: np.ndarray, moment: Round) -> tuple[Any, np.ndarray]:
        """Return the next state and the aggregate, shape (size,)."""
        ...


@dataclass(frozen=True, kw_only=True, eq=False)
class Reward:
    """What a reward rule gives in one round.

    Attributes:
        server: the server's step, shape (size,).
        participants: each participant's step from the model it held, shape (participants, size).
        figures: numbers worth keeping, each of shape (participants,), by name.
    """

    server: Float[np.ndarray, " size"]
    participants: Float[np.ndarray, "participants size"]
    figures: dict[str, np.ndarray] = field(default_factory=dict)


@runtime_checkable
class RewardRule(Protocol):
    """Decides what each participant receives."""

    def start(self, sizes: np.ndarray) -> Any:
        """Return the state before the first round, given each participant's number of samples."""
        ...

    def settle(
        self, state: Any, updates: np.ndarray, aggregate: Aggregate | None, moment: Round
    ) -> tuple[Any, Reward]:
        """Return the next state and the reward.

        `aggregate` is the aggregation rule the user chose for this run, or None if the reward rule may
        weight participants as it sees fit.
        """
        ...


@dataclass(frozen=True, kw_only=True, eq=False)
class RoundReport:
    """What a progress callback sees after each round: the measurements of the server's model."""

    number: int
    rounds: int
    loss: float
    accuracy: float


@dataclass(frozen=True, kw_only=True, eq=False)
class TrainingRun:
    """A finished run.

    Attributes:
        model: the classifier.
        initial: the server's parameters before the first round.
        params: the server's parameters: of the last round, or with `patience` of the best.
        participants: each participant's parameters at the same moment.
        loss, accuracy: of the server's model before the first round and after each, on the validation
            samples (on all training samples if none were given).
        participant_accuracy: the same for each participant's model.
        figures: what the reward rule reported, each of shape (rounds, participants).
        checkpoints: the server's parameters before the first round and after each; no rows unless asked for.
        rounds: rounds carried out.
        returned_round: the round whose parameters are returned.
        stopped: why the run ended.
        seconds: wall-clock time.
    """

    model: VectorModel
    initial: Float[np.ndarray, " size"]
    params: Float[np.ndarray, " size"]
    participants: Float[np.ndarray, "participants size"]
    loss: Float[np.ndarray, " moments"]
    accuracy: Float[np.ndarray, " moments"]
    participant_accuracy: Float[np.ndarray, "moments participants"]
    figures: dict[str, np.ndarray]
    checkpoints: Float[np.ndarray, "checkpoints size"]
    rounds: int
    returned_round: int
    stopped: str
    seconds: float

    def __repr__(self) -> str:
        return (
            f"{self.rounds} rounds with {len(self.participants)} participants: accuracy "
            f"{self.accuracy[0]:.3f} -> {self.accuracy[self.returned_round]:.3f} ({self.stopped})"
        )
