"""Problems and contracts beyond the base model: how they are designed, proved and put in batches.

An extension is a problem of its own class. `design_contract` asks it to design itself and gives back a
contract of its own class; `verify` asks that contract for its certificate. Where the extended problem is a base
problem in other terms (another cost, another probability), it is a `ReducedProblem`: the base problem is
designed, alone or in a batch with others, and its contract is read back.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from contracts.contract import Contract
    from contracts.extensions.old_verify import Certificate
    from contracts.problem import Problem


class ExtendedProblem:
    """A problem that `design_contract` takes in place of a base `Problem`."""

    @abstractmethod
    def design(self, *, solver: str) -> Any:
        """The best contract, of the extension's own class."""


class ReducedProblem(ExtendedProblem):
    """An extended problem that is a base problem in other terms; `design_contracts` takes it too."""

    @abstractmethod
    def reduced(self) -> Problem:
        """The base problem."""

    @abstractmethod
    def lifted(self, contract: Contract) -> Any:
        """The extended contract that a contract of the base problem stands for."""

    def design(self, *, solver: str) -> Any:
        """Design the base problem and read its contract back."""
        from contracts.contract.design import design_contract

        return self.lifted(design_contract(self.reduced(), solver=solver))


class ExtendedContract:
    """A contract that `verify` takes in place of a base `Contract`."""

    @abstractmethod
    def certify(self) -> Certificate:
        """Check everything from the extended problem alone."""
