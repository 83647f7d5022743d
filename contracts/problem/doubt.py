"""Doubt about the probabilities: how far from the stated ones they may be."""

from __future__ import annotations

from typing import Any

from contracts import checks
from contracts.records import frozen

DISTANCES = ("total-variation", "kullback-leibler")


@frozen
class Doubt:
    """All probabilities within a distance of the stated ones are possible, and every promise is kept in each.

    Args:
        radius: how far, > 0; for total variation (half the sum of absolute differences) at most 1, for the
            divergence of Kullback and Leibler in nats.
        distance: "total-variation" or "kullback-leibler".

    Raises:
        InvalidInput: naming the argument, the value and what is accepted.

    >>> Doubt(radius=0.05)
    Doubt(radius=0.05, distance='total-variation')
    """

    radius: Any
    distance: str = "total-variation"

    def __post_init__(self) -> None:
        checks.choice("distance", self.distance, DISTANCES)
        high = 1.0 if self.distance == "total-variation" else float("inf")
        object.__setattr__(self, "radius", checks.number("radius", self.radius, low=0.0, high=high))

    def __str__(self) -> str:
        measure = "total variation" if self.distance == "total-variation" else "Kullback-Leibler"
        return f"all probabilities within {self.radius:g} ({measure}) of the stated ones"

    def parameters(self) -> dict[str, Any]:
        """As files hold it."""
        return {"distance": self.distance, "radius": self.radius}
