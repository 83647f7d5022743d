"""What everybody gets by staying out."""

from __future__ import annotations

from typing import Any

import numpy as np

from contracts import checks
from contracts.records import frozen


@frozen
class Outside:
    """The outside option: training alone unless given otherwise, and what joining costs.

    Args:
        utility: what each type gets by staying out, in its own units of cost, counted from the worth of the
            model that everybody has without data (the baseline); a number for all, shape (types,), or None:
            the best it can do by training alone on the same curve, up to its own capacity.
        joining_cost: what each type pays for taking part at all (a lawyer, an interface), >= 0, in units of its
            cost; a number for all, or shape (types,).

    Raises:
        InvalidInput: naming the argument, the index and what is accepted.

    >>> Outside(joining_cost=500.0).joining_cost
    500.0
    """

    utility: Any = None
    joining_cost: Any = 0.0

    def __post_init__(self) -> None:
        if self.utility is not None:
            object.__setattr__(self, "utility", _per_type("utility", self.utility))
        object.__setattr__(self, "joining_cost", _per_type("joining_cost", self.joining_cost, low=0.0))

    @property
    def plain(self) -> bool:
        """Whether everybody trains alone and joining is free."""
        return self.utility is None and not np.any(self.joining_cost)

    def parameters(self) -> dict[str, Any]:
        """As files hold it."""
        found = {} if self.utility is None else {"utility": _plain(self.utility)}
        return found | ({"joining_cost": _plain(self.joining_cost)} if np.any(self.joining_cost) else {})


def _per_type(name: str, value: Any, **interval: Any) -> Any:
    if np.ndim(value) == 0:
        return checks.number(name, value, **interval)
    return checks.array(name, value, **interval)


def _plain(value: Any) -> Any:
    return value.tolist() if isinstance(value, np.ndarray) else value
