"""Check a contract from its problem alone: what `contracts.proof.certify` finds of what it carries."""

from __future__ import annotations

from contracts.contract.checking import certificate_of
from contracts.contract.contract import Contract
from contracts.errors import InvalidInput
from contracts.proof.certificate import Certificate
from contracts.proof.certify import GAP


def verify(contract: Contract, *, gap: float = GAP) -> Certificate:
    """Recompute every promise of a contract, and what its proof says of all others.

    Args:
        contract: a contract, designed here, read from a file, or made by hand.
        gap: how much better another contract may be than one that is called optimal, as a share of the largest
            target.

    Returns:
        The certificate: whether every promise holds, whether the contract is proved optimal, and every slack.

    >>> from contracts import GeneralizationBound, LinearValuation, Population, Problem, design_contract
    >>> problem = Problem(
    ...     population=Population(costs=[0.2, 0.04], probabilities=[0.5, 0.5], participants=10),
    ...     accuracy=GeneralizationBound(),
    ...     valuation=LinearValuation(scale=100.0),
    ... )
    >>> certificate = verify(design_contract(problem))
    >>> certificate.holds, certificate.optimal
    (True, True)
    """
    if not isinstance(contract, Contract):
        raise InvalidInput(f"contract = {contract!r:.60}: expected a Contract")
    return certificate_of(contract, gap=gap)
