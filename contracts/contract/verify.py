"""Check a contract from its problem alone: what `contracts.proof.certify` finds of what it carries."""

from __future__ import annotations

from typing import Any

from contracts.contract import Contract
from contracts.extension import ExtendedContract
from contracts.proof.certify import GAP, certify
from contracts.proof.evidence import Proof

__all__ = ["proof_of", "verify"]


def verify(contract: Contract | ExtendedContract, *, gap: float = GAP) -> Any:
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
    if isinstance(contract, ExtendedContract):
        return contract.certify()
    return certify(
        contract.problem,
        contribution=contract.contribution,
        expected_reward=contract.expected_reward,
        reservation_utility=contract.reservation_utility,
        objective=contract.objective,
        expected_accuracy=contract.expected_accuracy,
        proof=proof_of(contract),
        gap=gap,
    )


def proof_of(contract: Contract) -> Proof:
    """The proof that a contract carries."""
    return Proof(witness=contract.witness, global_witness=contract.global_witness, tree=contract.tree)
