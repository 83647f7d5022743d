"""The certificate of a contract, for `verify` and for the contract itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from contracts.proof.certify import GAP, certify

if TYPE_CHECKING:
    from contracts.contract.contract import Contract
    from contracts.proof.certificate import Certificate


def certificate_of(contract: Contract, *, gap: float = GAP) -> Certificate:
    """See `contracts.contract.verify.verify`."""
    return certify(
        contract.problem,
        contribution=contract.contribution,
        expected_reward=contract.expected_reward,
        reservation_utility=contract.reservation_utility,
        objective=contract.objective,
        expected_accuracy=contract.expected_accuracy,
        reached=contract.reached,
        proof=contract.proof,
        gap=gap,
    )
