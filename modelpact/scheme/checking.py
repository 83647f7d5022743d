"""Verification of what participants deliver: enough different samples, with labels as good as the target's.

A model trained on the pilot's samples is the probe. The difference between its error on a submission and on
the coordinator's validation samples estimates how far the submission is from the target; one whose estimate
exceeds the Hoeffding radius of `mechanisms.verification` is refused, an honest one with small probability.

That radius is wide for a hundred samples, and wrong labels below it would pass and save their cost. So the
coordinator also has a few samples of each submission labelled again: a share x of wrong labels escapes q such
checks with probability (1 - x)^q, and what escapes saves x of the cost, while what is found loses the model.
Cheating with labels pays only if x c m > (1 - (1 - x)^q) v for some x, which a handful of checks excludes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from contracts.records import frozen
from mechanisms.datasets import Samples
from mechanisms.models import Model
from mechanisms.verification import accept, estimate_types, probe_losses
from modelpact.scheme.menu import Menu
from modelpact.scheme.pilot import train_weighted
from modelpact.scheme.settings import Scheme, Verification
from modelpact.scheme.stages import Made, Record, Stage
from modelpact.scheme.trainers import classifier
from modelpact.scheme.world import samples, stream


@frozen
class Checker:
    """Decides on submissions, by the same rule for all.

    Attributes:
        model: of the probe.
        probe: its parameters.
        trusted: the coordinator's samples.
        truth: the label that relabelling finds, by the bytes of an input.
        agents: how many submissions are checked at once.
        settings: the table `[verification]`.
    """

    model: Model
    probe: np.ndarray
    trusted: Samples
    truth: Mapping[bytes, int]
    agents: int
    settings: Verification

    @classmethod
    def of(cls, scheme: Scheme, data: Record, *, agents: int) -> Checker:
        """The checker of a scheme: trains the probe on the pilot's samples."""
        pilot, stock = samples(data, "pilot"), samples(data, "stock")
        model = classifier(scheme.model, features=data.result["features"], classes=data.result["classes"])
        probe = train_weighted(
            model, pilot, np.ones((1, len(pilot))), training=scheme.training, seed=scheme.seed
        )
        return cls(
            model=model,
            probe=probe[0],
            trusted=samples(data, "validation"),
            truth={row.tobytes(): int(label) for row, label in zip(stock.inputs, stock.labels, strict=True)},
            agents=max(agents, 1),
            settings=scheme.verification,
        )

    def check(self, given: Samples, demanded: int, draw: np.random.Generator) -> dict[str, Any]:
        """What checking finds, and whether the submission is accepted."""
        found: dict[str, Any] = {"distinct": _distinct(given), "estimate": None, "radius": None, "wrong": None}
        if found["distinct"] < demanded or not len(given):
            return {**found, "accepted": False, "reason": f"{found['distinct']} different samples of {demanded}"}
        looked = given.take(draw.permutation(len(given)))
        again = looked.take(np.arange(min(self.settings.relabelled, len(looked))))
        found["estimate"], found["radius"] = self._estimate(looked)
        found["wrong"] = self._wrong(again)
        reason = ""
        if found["wrong"]:
            reason = f"{found['wrong']} of {len(again)} labels wrong when labelled again"
        elif not accept([0.0], [found["estimate"]], found["radius"])[0]:
            reason = f"the probe's error differs by {found['estimate']:.2f}, more than {found['radius']:.2f}"
        return {**found, "accepted": not reason, "reason": reason}

    def _estimate(self, looked: Samples) -> tuple[float, float]:
        tried = looked.take(np.arange(min(self.settings.samples or len(looked), len(looked))))
        # the radius is for as many submissions as there are; copies keep the others' fate out of this one's
        found = estimate_types(
            [self._losses(tried)] * self.agents, self._losses(self.trusted), confidence=self.settings.confidence
        )
        return float(found.estimates[0]), float(found.radii[0])

    def _wrong(self, again: Samples) -> int:
        """How many labels differ from what the coordinator finds; what it has never seen counts as right."""
        rows = zip(again.inputs, again.labels, strict=True)
        return sum(self.truth.get(row.tobytes(), int(label)) != int(label) for row, label in rows)

    def _losses(self, part: Samples) -> np.ndarray:
        return probe_losses([lambda rows: self.model.predict(self.probe, rows)], part.inputs, part.labels)


def _distinct(given: Samples) -> int:
    return len(np.unique(given.inputs, axis=0)) if len(given) else 0


def check_submissions(scheme: Scheme, inputs: Mapping[str, Record]) -> Made:
    """Check every submission; keep those that are accepted."""
    menu, signatures = Menu.of(inputs["publish"]), inputs["sign"].result["signatures"]
    submissions: Sequence[dict] = inputs["contribute"].result["submissions"]
    checker = Checker.of(scheme, inputs["data"], agents=len(submissions))
    findings, arrays = [], {}
    for submission in submissions:
        k = submission["seat"]
        given = samples(inputs["contribute"], k)
        demanded = int(menu.data[signatures[k]["option"]])
        findings.append({"seat": k, **checker.check(given, demanded, stream(scheme, "verify", k))})
        if findings[-1]["accepted"]:
            arrays |= {f"inputs_{k}": given.inputs, f"labels_{k}": given.labels}
    accepted = [found["seat"] for found in findings if found["accepted"]]
    return {"findings": findings, "accepted": accepted}, arrays


VERIFY = Stage(
    name="verify",
    purpose="check what was delivered",
    after=("data", "publish", "sign", "contribute"),
    reads=("model", "training", "verification"),
    carry_out=check_submissions,
)
