"""The audit of one draw: what was promised against what came of it, on samples nobody has looked at before.

For every honest participant: accuracy, value, cost and utility as promised and as realised; what it would have
had alone, by every other option, and by cheating, replayed on the same draw; and where the real training was
not what the theory assumes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from modelpact.scheme import baselines
from modelpact.scheme.attacked import attacks
from modelpact.scheme.handover import delivered, full_model
from modelpact.scheme.menu import curve_of
from modelpact.scheme.replays import Draw, Outcome
from modelpact.scheme.settings import Scheme
from modelpact.scheme.stages import Made, Record, Stage
from modelpact.scheme.world import honest_seats, samples


def audit(scheme: Scheme, records: Mapping[str, Record]) -> Made:
    """Measure everything on the test samples."""
    draw = Draw.of(scheme, records)
    honest = honest_seats(list(draw.signatures))
    models = delivered(scheme, records)
    participants = [_participant(draw, records, k, models) for k in range(len(draw.signatures))]
    for k in honest:
        participants[k] |= _alternatives(scheme, draw, k)
    found = {
        "contract": records["publish"].result["contract"],
        "nothing_offered": records["publish"].result["nothing_offered"],
        "participants": participants,
        "honest": honest,
        "launch": records["launch"].result["launch"],
        "promises_met": all(participants[k]["met"] for k in draw.accepted),
        "assumptions": _assumptions(scheme, draw, records, honest),
        "delivery": {"method": records["deliver"].result["method"], **records["deliver"].result["proofs"]},
        "attacks": attacks(scheme, draw, records),
        "edited": {name: list(pair) for record in records.values() for name, pair in record.edited.items()},
    }
    if scheme.audit.baselines and honest:
        found["baselines"] = baselines.carry_out(draw, honest, curve_of(records["fit"]).middle)
        found["gain_of_riding_free_without_contract"] = baselines.gain_of_riding_free(draw, honest)
    return found, {}


def _participant(draw: Draw, records: Mapping[str, Record], k: int, models: Mapping[int, Any]) -> dict[str, Any]:
    """One seat: what it signed, delivered, was promised, and received."""
    signature = draw.signatures[k]
    spent = {s["seat"]: s["cost"] for s in records["contribute"].result["submissions"]}
    found = {f["seat"]: f for f in records["verify"].result["findings"]}
    row: dict[str, Any] = {
        "name": signature["name"],
        "behaviour": signature["behaviour"],
        "cost_of_a_sample": signature["cost"],
        "type": signature["type"],
        "option": signature["option"],
        "data": 0 if signature["option"] is None else int(draw.menu.data[signature["option"]]),
        "accepted": k in draw.accepted,
        "refused_because": found[k]["reason"] if k in found else _unsigned(signature),
        "cost": spent.get(k, 0.0),
    }
    if k not in draw.accepted:
        # nothing from the coordinator; whoever delivered something still has it, and can train by itself
        given = samples(records["contribute"], k) if k in found else draw.held[k].take(np.arange(0))
        kept = draw.by_itself(given, row["cost"], k) if k in found else draw.alone(k)
        value = draw.worth(kept.accuracy, k)
        return {**row, "cost": kept.cost, "accuracy": kept.accuracy, "value": value, "utility": kept.utility}
    (reward,) = [r for r in records["settle"].result["rewards"] if r["seat"] == k]
    test = samples(records["data"], "test")
    accuracy = draw.model.accuracy(models[k], test.inputs, test.labels)
    value = draw.worth(accuracy, k)
    return {
        **row,
        "promised_accuracy": reward["promised_accuracy"],
        "error": reward["error"],
        "accuracy": accuracy,
        "met": bool(accuracy >= reward["promised_accuracy"] - reward["error"]),
        "not_exceeded": bool(accuracy <= reward["promised_accuracy"] + reward["error"]),
        "promised_value": reward["promised_value"],
        "value": value,
        "promised_utility": reward["promised_value"] - row["cost"],
        "expected_utility": draw.expected_value(k, reward["option"]) - row["cost"],
        "utility": value - row["cost"],
    }


def _unsigned(signature: Mapping[str, Any]) -> str:
    return "released: too few signed" if signature.get("released") else "signed nothing"


def _alternatives(scheme: Scheme, draw: Draw, k: int) -> dict[str, Any]:
    """What a seat would have gained by anything else; differences of replays."""
    own = int(draw.signatures[k]["option"])
    kept = draw.with_option(k, own)
    options = {
        draw.menu.names[j]: draw.with_option(k, j)
        for j in draw.menu.other_options(own)
        if draw.menu.data[j] <= len(draw.held[k])
    }
    cheating = {
        "free-riding": draw.with_behaviour(k, "free-riding"),
        "label-flip": draw.with_behaviour(k, "malicious"),
    }
    for level in scheme.audit.copies:
        cheating[f"copies {level:g}"] = draw.with_behaviour(k, "duplicating", share=level)
    for level in scheme.audit.label_noise:
        cheating[f"label noise {level:g}"] = draw.with_behaviour(k, "low-quality", share=level)
    by_itself = draw.alone(k)
    gains = {"alone": by_itself} | options
    return {
        "replayed": _plain(kept),
        "alone": _plain(by_itself),
        "options": {name: _plain(outcome) for name, outcome in options.items()},
        "cheating": {name: _plain(outcome) for name, outcome in cheating.items()},
        "gain_by_option": {name: outcome.utility - kept.utility for name, outcome in gains.items()},
        "gain_by_cheating": {name: outcome.utility - kept.utility for name, outcome in cheating.items()},
        "promised_gain_by_option": _promised_gains(draw, k, own, list(options)),
        "regret": max(0.0, *(outcome.utility - kept.utility for outcome in gains.values())),
    }


def _promised_gains(draw: Draw, k: int, own: int, options: list[str]) -> dict[str, float]:
    """What the menu itself says another option would have gained, in expectation; at most 0 by design."""
    cost = float(draw.signatures[k]["cost"])
    kind = int(draw.signatures[k]["type"])
    expected = draw.menu.gains(kind, cost)
    others = {name: float(expected[draw.menu.names.index(name)]) for name in options}
    return {
        name: value - float(expected[own])
        for name, value in ({"alone": draw.menu.alone(cost, kind)[1]} | others).items()
    }


def _assumptions(scheme: Scheme, draw: Draw, records: Mapping[str, Record], honest: list[int]) -> dict[str, Any]:
    """Where reality was not what the theory assumes."""
    settled, test = records["settle"].result, samples(records["data"], "test")
    full = full_model(scheme, records)
    trained = 0.0 if full.params is None else full.accuracy(full.params, test)
    total = float(settled["accepted_data"])
    low, high = (
        curve_of(records["fit"]).posterior.interval(total, scheme.measuring.confidence) if total else (0.0, 1.0)
    )
    unfit = [k for k in draw.accepted if k not in honest]
    return {
        "contributors_expected": _number(scheme.population.mean_participants),
        "contributors": len(draw.accepted),
        "contributors_as_expected": _as_expected(scheme, draw),
        "dishonest_data_accepted": [draw.signatures[k]["name"] for k in unfit],
        "honest_refused": [
            draw.signatures[k]["name"] for k in honest_seats(list(draw.signatures)) if k not in draw.accepted
        ],
        "trained_accuracy": trained,
        "trained_accuracy_on_validation": settled["trained_accuracy"],
        "sampling_error": float(np.sqrt(max(trained * (1 - trained), 1 / len(test)) / len(test))),
        "expected_accuracy": settled["expected_accuracy"],
        "interval": [float(low), float(high)],
        "curve_kept": bool(low <= settled["trained_accuracy"] <= high),
        "objections": records["fit"].result["objections"],
    }


def _number(mean: float) -> int | float:
    return int(mean) if mean == int(mean) else mean


def _as_expected(scheme: Scheme, draw: Draw) -> bool:
    """Whether of each group as many contribute as its law allows."""
    population = scheme.population
    came = np.zeros(len(population.laws))
    np.add.at(came, population.group_of[[int(draw.signatures[k]["type"]) for k in draw.accepted]], 1)
    return all(number in law.support[0] for number, law in zip(came, population.laws, strict=True))


def _plain(outcome: Outcome) -> dict[str, Any]:
    return {
        "accepted": outcome.accepted,
        "accuracy": outcome.accuracy,
        "cost": outcome.cost,
        "utility": outcome.utility,
    }


AUDIT = Stage(
    name="audit",
    purpose="audit",
    after=("data", "fit", "publish", "launch", "contribute", "verify", "train", "settle", "deliver"),
    reads=("model", "training", "measuring", "population", "participants", "verification", "delivery", "audit"),
    carry_out=audit,
)
