"""The certificate of a contract, for `verify` and for the contract itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from contracts.proof.certify import GAP, certify
from contracts.proof.launch_check import Stated, certify_launch

if TYPE_CHECKING:
    from contracts.contract.contract import Contract
    from contracts.proof.certificate import Certificate


def certificate_of(contract: Contract, *, gap: float = GAP) -> Certificate:
    """See `contracts.contract.verify.verify`."""
    if contract.clause is not None:
        return _with_clause(contract, gap)
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


def _with_clause(contract: Contract, gap: float) -> Certificate:
    stated = Stated(
        contribution=contract.contribution,
        expected_reward=contract.expected_reward,
        reservation_utility=contract.reservation_utility,
        objective=contract.objective,
        expected_accuracy=contract.expected_accuracy,
        reached=contract.reached,
    )
    assert contract.clause is not None
    return certify_launch(contract.problem, contract.clause, stated, contract.proof, gap)
