"""Launched or released: what becomes of the signatures under the contract's launch clause.

What is owed and given follows from who signed which option; amounts are rounded up to whole samples, for which
the design has left room. Released, everybody is as if it had not signed. Without a clause a contract is launched
as it was published. All later stages read the menu and the signatures from here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from contracts.contract import Contract
from contracts.errors import InvalidInput
from modelpact.scheme.settings import Scheme
from modelpact.scheme.stages import Made, Record, Stage
from modelpact.scheme.stock import share_of_stock

ROUNDING = 1e-9  # relative: amounts that are whole but for rounding are not rounded up


def launch(scheme: Scheme, inputs: Mapping[str, Record]) -> Made:
    """Count the signatures, and say what each option owes and receives, or that all are released.

    Raises:
        InvalidInput: somebody owes more samples than it holds.
    """
    published, signed = inputs["publish"].result, inputs["sign"].result["signatures"]
    contract = Contract.from_json(json.dumps(inputs["design"].result["contract"]))
    if contract.clause is None:
        return {**published, "signatures": signed, "launch": None}, {}
    types = contract.contribution.size
    counts = np.bincount([s["option"] for s in signed if s["option"] is not None], minlength=types)
    most = contract.problem.population.laws[0].most
    if counts.sum() > most:
        raise InvalidInput(
            f"{counts.sum()} sign: expected at most the {most} for whom the contract was made; fewer"
            f" [[participants]]"
        )
    settled = contract.settle(counts)
    released = settled.released if settled.launched else np.ones(types, dtype=bool)
    options = [_as_owed(contract, counts, i, option) for i, option in enumerate(published["options"])]
    share = share_of_stock(scheme, inputs["data"])
    for option, number in zip(options, counts.tolist(), strict=True):
        if number and settled.launched and option["data"] > share:
            raise InvalidInput(
                f"too little data: with these signatures option {option['name']!r} owes {option['data']}"
                f" samples: expected at most the {share} that each participant holds"
            )
    kept = [_kept(signature, released) for signature in signed]
    found = {
        "clause": contract.clause.kind,
        "needed": contract.clause.launch_count,
        "signed": int(counts.sum()),
        "launched": bool(settled.launched),
        "released": [s["name"] for s in kept if s.get("released")],
    }
    return {**published, "options": options, "signatures": kept, "launch": found}, {}


def _kept(signature: Mapping[str, Any], released: np.ndarray) -> dict[str, Any]:
    """A signature as it counts: one that is released is none."""
    option = signature["option"]
    if option is None or not released[option]:
        return {**signature, "released": False}
    return {**signature, "option": None, "released": True}


def _as_owed(contract: Contract, counts: np.ndarray, i: int, option: Mapping[str, Any]) -> dict[str, Any]:
    """What an option owes and gives with these signatures; what nobody signed, as if somebody had."""
    if not counts[i]:
        counts = counts.copy()
        if counts.sum() >= contract.problem.population.laws[0].most:
            counts[int(np.argmax(counts))] -= 1
        counts[i] += 1
    settled, usable = contract.settle(counts), float(contract.form.effective[i])
    amount = float(settled.contribution[i]) * usable
    whole = settled.accuracy[i] >= settled.trained_accuracy - 1e-12
    gone = not settled.launched or bool(settled.released[i])
    return {
        **option,
        "data": 0 if gone else int(np.ceil(amount * (1.0 - ROUNDING))),
        "accuracy_cap": None if whole and not gone else (0.0 if gone else float(settled.accuracy[i])),
        "expected_value": 0.0 if gone else float(settled.value[i]),
        "expected_utility": float(settled.utility[i]),
    }


LAUNCH = Stage(
    name="launch",
    purpose="launch, or release all",
    after=("data", "design", "publish", "sign"),
    reads=("participants",),
    carry_out=launch,
)
