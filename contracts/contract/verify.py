"""Check a contract from its problem alone: what `contracts.proof.certify` finds of what it carries."""

from __future__ import annotations

from contracts.contract.checking import certificate_of
from contracts.contract.contract import Contract
from contracts.errors import BackendMissing, InvalidInput
from contracts.proof.certificate import Certificate
from contracts.proof.certify import GAP


def verify(contract: Contract, *, gap: float = GAP, rigorous: bool = False) -> Certificate:
    """Recompute every promise of a contract, and what its proof says of all others.

    Args:
        contract: a contract, designed here, read from a file, or made by hand.
        gap: how much better another contract may be than one that is called optimal, as a share of the largest
            target.
        rigorous: whether to compute with balls (Arb, by python-flint), so that what is proved are theorems about
            the binary numbers that the contract holds: every promise up to an amount that is stated and at most
            1e-9 of the largest value, and the gap. Whatever cannot be enclosed counts as not proved, and is
            named.

    Raises:
        InvalidInput: something that is no contract; `rigorous`, and it has a launch clause.
        BackendMissing: `rigorous`, and python-flint is not installed.

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
    if rigorous and contract.clause is not None:
        raise InvalidInput(
            "rigorous = True: expected a contract without a launch clause, which balls do not know yet"
        )
    certificate = certificate_of(contract, gap=gap)
    return _rigorously(contract, certificate, gap) if rigorous else certificate


def _rigorously(contract: Contract, certificate: Certificate, gap: float) -> Certificate:
    try:
        from contracts.proof.intervals.rigorous import Given, rigorously
    except ModuleNotFoundError as error:
        if error.name != "flint":
            raise
        raise BackendMissing("python-flint", "verification with balls", "rigorous") from error
    given = Given(
        raw=contract.contribution,
        reward=contract.expected_reward,
        reservation=contract.reservation_utility,
        objective=contract.objective,
        accuracy=contract.expected_accuracy,
        reached=contract.reached,
    )
    return rigorously(certificate, contract.problem, given, contract.proof, gap)
