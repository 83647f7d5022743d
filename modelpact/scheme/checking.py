"""Verification of what participants deliver: enough different samples, and labels as good as the target's.

A model trained on the pilot's samples is the probe. The difference between its error on a submission and on
the coordinator's validation samples estimates how wrong the labels are; a submission whose estimate exceeds
the Hoeffding radius of `mechanisms.verification` is refused, and an honest one is with small probability.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from contracts.records import frozen
from mechanisms.datasets import Samples
from mechanisms.models import Model
from mechanisms.verification import accept, estimate_types, probe_losses
from modelpact.scheme.menu import Menu
from modelpact.scheme.pilot import train_weighted
from modelpact.scheme.settings import Scheme
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
        agents: how many submissions are checked at once.
        samples: how many samples of each have their labels checked; 0 for all.
        confidence: probability that no honest submission is refused.
    """

    model: Model
    probe: np.ndarray
    trusted: Samples
    agents: int
    samples: int
    confidence: float

    @classmethod
    def of(cls, scheme: Scheme, data: Record, *, agents: int) -> Checker:
        """The checker of a scheme: trains the probe on the pilot's samples."""
        pilot = samples(data, "pilot")
        model = classifier(scheme.model, features=data.result["features"], classes=data.result["classes"])
        probe = train_weighted(
            model, pilot, np.ones((1, len(pilot))), training=scheme.training, seed=scheme.seed
        )
        return cls(
            model=model,
            probe=probe[0],
            trusted=samples(data, "validation"),
            agents=max(agents, 1),
            samples=scheme.verification.samples,
            confidence=scheme.verification.confidence,
        )

    def check(self, given: Samples, demanded: int, draw: np.random.Generator) -> dict:
        """What checking finds, and whether the submission is accepted."""
        distinct = len(np.unique(np.column_stack([given.inputs, given.labels]), axis=0)) if len(given) else 0
        if distinct < demanded or not len(given):
            return {
                "distinct": distinct,
                "estimate": None,
                "radius": None,
                "accepted": False,
                "reason": f"{distinct} different samples of {demanded}",
            }
        looked = given
        if self.samples and self.samples < len(given):
            looked = given.take(draw.permutation(len(given))[: self.samples])
        found = estimate_types(
            # the radius is for as many submissions as there are; copies keep the others' fate out of this one's
            [self._losses(looked)] * self.agents,
            self._losses(self.trusted),
            confidence=self.confidence,
        )
        estimate, radius = float(found.estimates[0]), float(found.radii[0])
        fine = bool(accept([0.0], [estimate], radius)[0])
        return {
            "distinct": distinct,
            "estimate": estimate,
            "radius": radius,
            "accepted": fine,
            "reason": ""
            if fine
            else f"labels differ from the target's by {estimate:.2f}, more than {radius:.2f}",
        }

    def _losses(self, part: Samples) -> np.ndarray:
        return probe_losses([lambda rows: self.model.predict(self.probe, rows)], part.inputs, part.labels)


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
