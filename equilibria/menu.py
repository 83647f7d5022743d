"""Contracts as games: does everybody choose the option of a menu that was written for their cost?

A menu offers option k: give contributions[k], get a reward worth values[k] in expectation, when all others
choose the options meant for them. A participant of type i, cost c_i, picks the best option or trains alone.
Truthful choice is a Bayesian equilibrium when no type gains by another option (incentive compatibility) or by
leaving (individual rationality). Others need not choose truthfully: `ContractMenu.equilibria` finds all
equilibria.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float, Int

from contracts.checks import array, number, probabilities
from contracts.contract import Contract
from contracts.contract.options import options_of
from contracts.errors import InvalidInput
from contracts.proof.promises import TOLERANCE, own_tolerance
from contracts.records import frozen
from equilibria.menu_equilibria import MenuEquilibria, menu_equilibria


@frozen
class MenuCertificate:
    """How far truthful choice is from a Bayesian equilibrium.

    Attributes:
        utilities: what each type gets from its own option, shape (types,).
        envy: what type i would gain by option k instead of its own, shape (types, options); zero on the
            diagonal.
        rationality: utility minus reservation utility, shape (types,).
        gains: largest gain of each type by another option or by leaving, at least zero, shape (types,).
        choices: each type's best choice, its own option when none is better, -1 for leaving, shape (types,).
        expected_gain: expectation of `gains` under the types' probabilities; NaN when none were given.
        tolerances: gains up to here count as none: of type i by option k, on the diagonal by leaving, shape
            (types, options).
    """

    utilities: Float[np.ndarray, " types"]
    envy: Float[np.ndarray, "types types"]
    rationality: Float[np.ndarray, " types"]
    gains: Float[np.ndarray, " types"]
    choices: Int[np.ndarray, " types"]
    expected_gain: float
    tolerances: Float[np.ndarray, "types types"]

    @property
    def epsilon(self) -> float:
        """Largest gain of any type, at least zero: truthful choice is an epsilon-Bayesian equilibrium."""
        return float(self.gains.max())

    @property
    def holds(self) -> bool:
        """Whether truthful choice is a Bayesian equilibrium: nobody gains more than is tolerated."""
        return bool((self._beyond() <= 0.0).all())

    def _beyond(self) -> np.ndarray:
        """Gains beyond what is tolerated, by option and by leaving, shape (types, options + 1)."""
        return np.c_[self.envy - self.tolerances, -self.rationality - self.tolerances.diagonal()]

    def __str__(self) -> str:
        if self.holds:
            most = max(self.epsilon, self.tolerances.max())
            return f"truthful choice is a Bayesian equilibrium: no type gains more than {most:.3g}"
        beyond = self._beyond()
        worst, option = np.unravel_index(beyond.argmax(), beyond.shape)
        leaves = option == len(beyond)
        gain = -self.rationality[worst] if leaves else self.envy[worst, option]
        where = "leaving" if leaves else f"option {option}"
        return f"not a Bayesian equilibrium: type {worst} gains {gain:.6g} by {where}"


@frozen
class ContractMenu:
    """A menu of options for participants whose costs are private.

    Attributes:
        costs: cost per unit of contribution of each type, above zero, shape (types,).
        contributions: what each option asks for, at least zero, shape (types,); option i is meant for type i. Or
            shape (types, types), row i what each option asks of type i, where data differ in quality.
        values: expected value of each option's reward when everybody else chooses truthfully, shape (types,);
            or shape (types, types), row i the values to type i, when types see different odds.
        reservation_utilities: what each type gets alone, shape (types,).
        probabilities: of the types, shape (types,); only for the expected gain.
        available: which options each type can take, shape (types, types); all when omitted.
        contract: whose menu it is; None for one made by hand, of which no more is known than these values.

    Raises:
        InvalidInput: lengths that do not fit, or values outside their range.

    >>> menu = ContractMenu(
    ...     costs=[1.0, 2.0], contributions=[0.4, 0.1], values=[0.6, 0.25], reservation_utilities=[0.1, 0.05]
    ... )
    >>> print(menu.certificate())
    truthful choice is a Bayesian equilibrium: no type gains more than 6e-10
    """

    costs: Any
    contributions: Any
    values: Any
    reservation_utilities: Any
    probabilities: Any = None
    available: Any = None
    contract: Contract | None = None

    def __post_init__(self) -> None:
        costs = array("costs", self.costs, low=0.0, open_low=True)
        types = costs.size
        checked: dict[str, Any] = {
            "costs": costs,
            "contributions": _by_option("contributions", self.contributions, types, low=0.0),
            "values": _by_option("values", self.values, types),
            "reservation_utilities": array("reservation_utilities", self.reservation_utilities, length=types),
        }
        if self.probabilities is not None:
            checked["probabilities"] = probabilities("probabilities", self.probabilities, length=types)
        if self.available is not None:
            checked["available"] = _by_option("available", np.asarray(self.available) * 1.0, types) > 0.5
        for name, value in checked.items():
            object.__setattr__(self, name, value)

    def utilities(self) -> np.ndarray:
        """Utility of every type from every option (-inf where it cannot take it), shape (types, options)."""
        each = np.atleast_2d(self.values) - self.costs[:, None] * self.contributions
        return each if self.available is None else np.where(self.available, each, -np.inf)

    def certificate(self, *, tolerance: float | None = None) -> MenuCertificate:
        """Check every type's choice against all others.

        Args:
            tolerance: gains up to here count as none. When omitted, a billionth of what the best model is worth
                to the type; in a menu made by hand of the larger of the two values compared, so that no other
                option decides what is small.

        Returns:
            The envy of every type for every option, individual rationality, and the largest gain.
        """
        accepted = self._rounding() if tolerance is None else number("tolerance", tolerance, low=0.0)
        everything = self.utilities()
        own = np.diag(everything)
        envy = everything - own[:, None]
        rationality = own - self.reservation_utilities
        best = envy.argmax(axis=1)
        envious = np.maximum(envy.max(axis=1), 0.0)
        gains = np.maximum(envious, -rationality)
        choices = np.where(envious > 0.0, best, np.arange(self.costs.size))
        choices = np.where(-rationality > envious, -1, choices)
        expected = np.nan if self.probabilities is None else float(self.probabilities @ gains)
        return MenuCertificate(
            utilities=own,
            envy=envy,
            rationality=rationality,
            gains=gains,
            choices=choices,
            expected_gain=expected,
            tolerances=np.broadcast_to(accepted, envy.shape),
        )

    def _rounding(self) -> np.ndarray:
        """What counts as no gain of type i by option k, on the diagonal by leaving."""
        if self.contract is not None:
            return own_tolerance(self.contract.form)[:, None]
        sizes = np.abs(np.broadcast_to(self.values, (self.costs.size, self.costs.size)))
        own, alone = sizes.diagonal(), np.abs(self.reservation_utilities)
        return TOLERANCE * np.maximum(sizes + np.diag(np.maximum(alone - own, 0.0)), own[:, None])

    def equilibria(
        self, *, scenario: int = 0, asymmetric: bool = False, tolerance: Any = None
    ) -> MenuEquilibria:
        """All pure Bayesian equilibria, not the truthful one alone; see `menu_equilibria`.

        Raises:
            InvalidInput: the menu was made by hand: what options are worth when others choose otherwise is not
                known; or there are too many strategies to look at each.
        """
        if self.contract is None:
            raise InvalidInput(
                "equilibria: expected the menu of a contract, as contract_menu(contract) makes it"
            )
        return menu_equilibria(self.contract, scenario=scenario, asymmetric=asymmetric, tolerance=tolerance)


def _by_option(name: str, value: Any, types: int, **interval: Any) -> np.ndarray:
    """Numbers by option, or by type and option."""
    found = array(name, value, ndim=None, length=types, **interval)
    if found.ndim > 2 or found.shape != (types,) * found.ndim:
        raise InvalidInput(f"{name} has shape {found.shape}: expected ({types},) or ({types}, {types})")
    return found


def contract_menu(contract: Contract) -> ContractMenu:
    """The game of choosing from a contract's menu.

    Everybody takes an option of its group that it can deliver, or stays out; all in its own units of cost.

    Args:
        contract: a contract of any problem.

    Returns:
        The menu; its certificate repeats the contract's incentive compatibility and individual rationality
        from the side of the participants.

    Raises:
        InvalidInput: something that is no contract.

    >>> from contracts.testing import example_contract
    >>> menu = contract_menu(example_contract())
    >>> menu.certificate().holds
    True
    """
    if not isinstance(contract, Contract):
        raise InvalidInput(f"contract = {contract!r:.60}: expected a Contract")
    offered, population = options_of(contract), contract.problem.population
    return ContractMenu(
        costs=population.costs,
        contributions=offered.raw,
        values=offered.worth - offered.joining[:, None],
        reservation_utilities=contract.reservation_utility,
        probabilities=population.shares,
        available=offered.available,
        contract=contract,
    )
