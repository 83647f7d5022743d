"""How much contracts whose amounts follow from the signed profile could gain over one whose amounts do not."""

from __future__ import annotations

import numpy as np

from contracts.contract.contract import Contract
from contracts.contract.insured_design import program_of
from contracts.errors import InvalidInput
from contracts.problem.participants import FixedTurnout
from contracts.problem.shape import check_concave
from contracts.program.contingent_limit import limit_prices
from contracts.proof.contingent_bound import Prices, bound_of
from contracts.proof.outside_options import outside_utilities
from contracts.records import frozen


@frozen
class ContingentLimit:
    """What no contract reaches that asks for and gives anything by the profile of signatures.

    Attributes:
        bound: on the expected target where all sign their own options, participation kept in every profile and
            truth on average.
        reached: by the contract at hand.
    """

    bound: float
    reached: float

    @property
    def gap(self) -> float:
        """By how much contingent contracts may be better, at most; >= 0."""
        return max(self.bound - self.reached, 0.0)

    def __str__(self) -> str:
        return f"no contract that depends on the signed profile is better by more than {self.gap:.3g}"


def contingent_limit(contract: Contract) -> ContingentLimit:
    """Bound all contracts whose amounts may depend on the signed profile, beside one at hand.

    By weak duality over all profiles of signatures, up to 60,000 of them, for contracts as
    `Menu(assurance="contingent")` designs for few: participation in every profile, truth on average.
    Prices are searched among those by type alone, so that the gap may be larger than what is lost.

    Args:
        contract: for one group of a known number, in one scenario, without capacities or another objective.

    Raises:
        InvalidInput: a contract of another kind, a curve with inflections, or too many profiles.

    >>> from contracts import Population, design_contract
    >>> from contracts.testing import example_contract
    >>> import dataclasses
    >>> two = Population(costs=[0.02, 0.01], probabilities=[0.5, 0.5], participants=10)
    >>> contract = design_contract(dataclasses.replace(example_contract().problem, population=two))
    >>> contingent_limit(contract).gap < 1e-3
    True
    """
    if not isinstance(contract, Contract):
        raise InvalidInput(f"contract = {contract!r:.60}: expected a Contract")
    problem, form = contract.problem, contract.form
    plain = (
        len(form.worlds) == 1
        and len(problem.population.laws) == 1
        and isinstance(problem.population.laws[0], FixedTurnout)
        and problem.population.capacities is None
        and problem.objective is None
        and problem.population.shading == 0.0
        and problem.population.doubt is None
        and problem.belief == "interim"
        and problem.accuracy.known
    )
    if not plain:
        raise InvalidInput(
            "contract: expected one for one group of a known number, with the interim belief, in one"
            " scenario of a"
            " known curve, without capacities, shading, doubt or another objective"
        )
    check_concave(form.worlds[0].plain)
    number = problem.population.laws[0].most
    program = program_of(form, number)
    truth, participation = limit_prices(program)
    due = form.due(outside_utilities(form))
    # by profile, as the bound has them: each price as likely as its option is met
    order = np.lexsort(program.counts.T[::-1])
    own = program.counts.T @ program.chances
    others = program.chances[:, None] * program.counts / np.where(own > 0.0, own, np.inf)
    prices = Prices(truth, others[order] * participation)
    bound = bound_of(form, number, due, prices)
    base = 0.0 if problem.target_is_value else problem.baseline
    return ContingentLimit(bound=bound + base, reached=contract.reached)
