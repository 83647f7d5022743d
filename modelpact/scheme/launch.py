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
from modelpact.scheme.stock import held_by_each

ROUNDING = 1e-9  # relative: amounts that are whole but for rounding are not rounded up


def launch(scheme: Scheme, inputs: Mapping[str, Record]) -> Made:
    """Count the signatures, and say what each option owes and receives, or that all are released.

    Raises:
        InvalidInput: somebody owes more samples than it holds.
    """
    published, signed = inputs["publish"].result, inputs["sign"].result["signatures"]
    designed = inputs["design"].result["contract"]
    contract = None if designed is None else Contract.from_json(json.dumps(designed))
    if contract is None or contract.clause is None:
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
    each = held_by_each(scheme, inputs["data"]).tolist()
    for seat, signature, held in zip(scheme.seats, signed, each, strict=True):
        idle = signature["option"] is None or seat.behaviour == "free-riding"
        option = None if idle else options[signature["option"]]
        if option is not None and settled.launched and option["data"] > held:
            raise InvalidInput(
                f"too little data: with these signatures {signature['name']!r} owes {option['data']} samples:"
                f" expected at most the {held} that it holds"
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
    whole = float(contract.form.relative[i] * contract.form.worlds[0].plain.value(settled.total_data))
    gone = not settled.launched or bool(settled.released[i])
    return {
        **option,
        "data": 0 if gone else int(np.ceil(amount * (1.0 - ROUNDING))),
        "share": 0.0 if gone or whole <= 0.0 else min(float(settled.value[i]) / whole, 1.0),
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
