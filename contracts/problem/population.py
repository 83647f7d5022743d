"""Who may take part: private types with their costs, how likely each is, and how many join."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from contracts import checks
from contracts.errors import InvalidInput
from contracts.numeric import batched
from contracts.problem.participants import LARGEST, Turnout, as_turnout, generated_turnout
from contracts.pytrees import register
from contracts.records import frozen


@register(meta=["names"])
@frozen
class Population:
    """Participants drawn independently from finitely many types.

    Args:
        costs: private cost of one datum for each type, > 0, shape (types,), in any order, equal ones allowed.
        probabilities: probability of each type, in [0, 1], summing to 1, shape (types,).
        participants: how many take part: a whole number >= 2 (nobody collaborates alone); or, where that is
            uncertain, its law: `Poisson`, `Binomial`, `FiniteTurnout`, or any probability generating function
            (a function z -> E z^N of complex numbers, kept as the `FiniteTurnout` it generates).
        names: how to call the types; by default "type 1", "type 2", ...

    Raises:
        InvalidInput: naming the argument, the index and what is accepted.

    Source: Wang et al., AAAI 2025 (arXiv 2412.11122), section 3.

    >>> Population(costs=[0.2, 0.1], probabilities=[0.5, 0.5], participants=10).types
    2
    >>> from contracts import Poisson
    >>> Population(costs=[0.2, 0.1], probabilities=[0.5, 0.5], participants=Poisson(mean=10)).participants
    Poisson(mean=10.0)
    """

    costs: Any
    probabilities: Any
    participants: Any
    names: Sequence[str] | None = None

    def __post_init__(self) -> None:
        if batched(self.costs, 1) or batched(self.probabilities, 1) or batched(self.participants, 0):
            return  # `contracts.contract.batch.unstack` checks each of the batch
        set_field = object.__setattr__
        costs = checks.array("costs", self.costs, low=0.0, open_low=True)
        set_field(self, "costs", costs)
        set_field(
            self,
            "probabilities",
            checks.probabilities("probabilities", self.probabilities, length=costs.size),
        )
        set_field(self, "participants", _participants(self.participants))
        set_field(self, "names", _names(self.names, costs.size))

    @property
    def types(self) -> int:
        """The number of types."""
        return self.costs.shape[-1]

    @property
    def turnout(self) -> Turnout:
        """The law of the number of participants, a sure one where the number is known."""
        return as_turnout(self.participants)

    @property
    def size(self) -> str:
        """How many take part, in words: "1,000", "Poisson (mean 20)"."""
        return str(self.participants) if isinstance(self.participants, Turnout) else f"{self.participants:,}"

    @property
    def most_participants(self) -> int:
        """The largest number of participants that matters (all but 1e-17 of the probability)."""
        return self.participants.most if isinstance(self.participants, Turnout) else self.participants


def _participants(given: Any) -> int | Turnout:
    if isinstance(given, Turnout):
        return given
    if callable(given):
        return generated_turnout(given)
    return checks.integer("participants", given, low=2, high=LARGEST)


def _names(names: Sequence[str] | None, types: int) -> tuple[str, ...]:
    if names is None:
        return tuple(f"type {i + 1}" for i in range(types))
    if isinstance(names, str) or not all(isinstance(name, str) and name for name in names):
        raise InvalidInput(f"names = {names!r}: expected one non-empty text per type")
    if len(names) != types:
        raise InvalidInput(f"names has length {len(names)}: expected {types}")
    for i, name in enumerate(names):
        if name in list(names)[:i]:
            raise InvalidInput(f"names[{i}] = {name!r} occurs twice: expected different names")
    return tuple(names)
