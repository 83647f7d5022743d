"""What a contract is, in 64 letters: whoever carries a contract out names it by them."""

from __future__ import annotations

import hashlib
import json

from contracts.contract import Contract
from contracts.problem.data import problem_to_data


def fingerprint(contract: Contract) -> str:
    """SHA-256 of a contract's problem and menu: equal for equal promises, whoever found and proved them.

    Raises:
        InvalidInput: a curve, law or objective is a user's, which has no faithful text.

    >>> from contracts.testing import example_contract
    >>> len(fingerprint(example_contract()))
    64
    """
    document = {
        "problem": problem_to_data(contract.problem),
        "contribution": contract.contribution.tolist(),
        "expected_reward": contract.expected_reward.tolist(),
    }
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()
