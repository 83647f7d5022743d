"""What attackers on updates did to the joint model: the same training without their attack, beside it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from modelpact.scheme.handover import training_job
from modelpact.scheme.replays import Draw
from modelpact.scheme.settings import Scheme
from modelpact.scheme.stages import Record
from modelpact.scheme.trainers import find_trainer


def attacks(scheme: Scheme, draw: Draw, records: Mapping[str, Record]) -> dict[str, Any]:
    """Who attacked updates, and the joint model's test accuracy with and without it; empty if nobody did.

    `moved` is how far the attack moved the joint parameters, as a share of how far training without it moves
    them: above zero it has reached the rounds, whatever it did to the accuracy.

    Whoever attacks updates delivers good data, and checks of data find nothing wrong with them: it is paid. What
    its updates do is up to the aggregation rule, and is measured here by training once more, with the same
    draws, every attacker sending honest updates. Whoever's data were refused takes no part in training: its
    attack never reaches a round.
    """
    named = [
        {
            "name": signature["name"],
            "attack": signature["attack"],
            "accepted": k in draw.accepted,
        }
        for k, signature in enumerate(draw.signatures)
        if signature["attack"] not in ("", "label-flip") and signature["option"] is not None
    ]
    if not named:
        return {}
    job = training_job(scheme, records)
    params = records["train"].arrays["params"]
    attacked = draw.model.accuracy(params, draw.test.inputs, draw.test.labels)
    found = {
        "attackers": named,
        "aggregation": scheme.training.aggregation,
        "accuracy": attacked,
        "accuracy_without_attack": attacked,
        "moved": 0.0,
    }
    if any(job.attacks):
        honest = dataclasses.replace(job, attacks=("",) * len(job.attacks))
        full = find_trainer(scheme.training.trainer)(honest).full
        clean = draw.model.accuracy(full.params, draw.test.inputs, draw.test.labels)
        found["accuracy_without_attack"] = clean
        trained = np.linalg.norm(np.asarray(full.params) - np.asarray(full.initial))
        found["moved"] = float(np.linalg.norm(params - np.asarray(full.params)) / max(float(trained), 1e-300))
    return found
