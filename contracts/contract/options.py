"""What every option of a menu is to every type: its worth, its cost, and whether it can be had at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from contracts.records import frozen

if TYPE_CHECKING:
    from contracts.contract.contract import Contract

DELIVERABLE = 1e-9  # relative: who has as many data as an option asks, but for rounding, can deliver them


@frozen
class Options:
    """Option j is the one written for type j; everything in each type's own units of cost.

    Attributes:
        worth: expected value to type i of the reward of option j, shape (types, types).
        raw: raw data that type i must deliver for option j, shape (types, types).
        costs: of one raw datum of each type, shape (types,).
        joining: what joining costs each type, shape (types,).
        available: whether type i may take option j and can deliver its data, shape (types, types).
    """

    worth: np.ndarray
    raw: np.ndarray
    costs: np.ndarray
    joining: np.ndarray
    available: np.ndarray

    @property
    def paid(self) -> np.ndarray:
        """What the data of option j, and joining, cost type i, shape (types, types)."""
        return self.costs[:, None] * self.raw + self.joining[:, None]

    @property
    def utility(self) -> np.ndarray:
        """What type i gets by option j; minus infinity where it cannot have it, shape (types, types)."""
        return np.where(self.available, self.worth - self.paid, -np.inf)

    @property
    def envy(self) -> np.ndarray:
        """What type i would gain by option j instead of its own, shape (types, types)."""
        return self.utility - np.diagonal(self.worth - self.paid)[:, None]


def options_of(contract: Contract) -> Options:
    """What every option of a contract is to every type.

    >>> from contracts.testing import example_contract
    >>> bool(options_of(example_contract()).envy.max() < 1e-6)
    True
    """
    form, problem = contract.form, contract.problem
    data = contract.contribution * form.effective
    raw = data / form.effective[:, None]
    joining = np.broadcast_to(problem.outside.joining_cost, raw.shape[:1])
    group = problem.population.group_of
    within = data <= form.reach[form.row][:, None] * (1.0 + DELIVERABLE)
    return Options(
        worth=form.relative[:, None] * (contract.expected_reward / form.relative),
        raw=raw,
        costs=problem.population.costs,
        joining=joining,
        available=(np.equal.outer(group, group) & within) | np.eye(group.size, dtype=bool),
    )
