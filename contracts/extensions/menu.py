"""What contracts of the extensions have in common: a menu, like every contract, with more to say about it."""

from __future__ import annotations

from typing import Any

import numpy as np

from contracts.contract import Contract, Settlement
from contracts.contract.rewards import Rewards
from contracts.extension import ExtendedContract


class MenuContract(ExtendedContract):
    """A contract of an extension whose menu is one of the base model's.

    Attributes:
        menu: the menu; its own proof is that of the base model, if it has one.
    """

    menu: Contract

    @property
    def contribution(self) -> np.ndarray:
        """m_i, data to contribute, shape (types,)."""
        return self.menu.contribution

    @property
    def expected_reward(self) -> np.ndarray:
        """t_i, expected value of the model received, shape (types,)."""
        return self.menu.expected_reward

    @property
    def utility(self) -> np.ndarray:
        """u_i, shape (types,)."""
        return self.menu.utility

    @property
    def reservation_utility(self) -> np.ndarray:
        """f_i, what each type gets alone, shape (types,)."""
        return self.menu.reservation_utility

    @property
    def information_rent(self) -> np.ndarray:
        """u_i - f_i, what each type gains over staying alone, shape (types,)."""
        return self.utility - self.reservation_utility

    @property
    def objective(self) -> float:
        """Expected value of the trained model."""
        return self.menu.objective

    @property
    def expected_accuracy(self) -> float:
        """Expected accuracy of the trained model."""
        return self.menu.expected_accuracy

    def rewards(self, policy: str = "capped") -> Rewards:
        """The stochastic model rewards of a policy: see `Contract.rewards`."""
        return self.menu.rewards(policy)

    def settle(self, counts: Any, policy: str = "capped", *, seed: int | None = None) -> Settlement:
        """The models to hand out once it is known who takes part: see `Contract.settle`."""
        return self.menu.settle(counts, policy, seed=seed)

    def __str__(self) -> str:
        return str(self.menu)
