"""Verification of what participants deliver: all of it, new to each other, rightly labelled, and as useful as it
should be.

Four checks, each of which refuses an honest submission with small probability:

- *Labels*: a few samples are labelled once more by the coordinator. A share x of wrong labels escapes q such
  checks with probability (1 - x)^q; what escapes saves x of the cost, what is found loses the model. Cheating
  with labels pays only if x c m > (1 - (1 - x)^q) v for some x, which a handful of checks excludes.
- *Likeness*: a model trained on the pilot's samples is a probe. Its error on the submission may differ from
  that on the coordinator's validation samples by the Hoeffding radius of `mechanisms.verification`.
- *Copies*: no more samples may lie close to another of the same submission than in as many validation samples;
  close is nearer than a quarter of these are. Copies changed by more than that are not found so.
- *Use*: a model trained on the submission alone reaches what the pilot's models of as many samples reached,
  up to their spread. This finds whatever teaches little, however it was made.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy import stats

from contracts.records import frozen
from mechanisms.datasets import Samples
from mechanisms.verification import accept, estimate_types, probe_losses
from modelpact.scheme.menu import Menu
from modelpact.scheme.pilot import train_weighted
from modelpact.scheme.settings import Scheme
from modelpact.scheme.stages import Made, Record, Stage
from modelpact.scheme.stock import held_by_each
from modelpact.scheme.trainers import classifier
from modelpact.scheme.world import pad, samples, stream

QUARTILE = 0.25
SUBSETS = 20  # of the validation samples, from which natural distances are known


@frozen
class Checker:
    """Decides on submissions, by the same rule for all.

    Attributes:
        model: of the probe.
        probe: its parameters.
        trusted: the coordinator's samples.
        truth: the label that relabelling finds, by the bytes of an input.
        lessons: the record of the stage "fit": what models of so many samples reach.
        agents: how many submissions are checked at once.
        slots: the most samples a submission has.
        scheme: the scheme.
    """

    model: Any
    probe: Any
    trusted: Samples
    truth: Mapping[bytes, int]
    lessons: Mapping[str, Any]
    agents: int
    slots: int
    scheme: Scheme

    @classmethod
    def of(cls, scheme: Scheme, records: Mapping[str, Record]) -> Checker:
        """The checker of a scheme, from "data", "fit" and "contribute"; it trains the probe on the pilot."""
        data = records["data"]
        pilot, stock = samples(data, "pilot"), samples(data, "stock")
        model = classifier(scheme.model, features=data.result["features"], classes=data.result["classes"])
        everything = np.ones((1, len(pilot)))
        probe = train_weighted(model, pilot, everything, training=scheme.training, seed=scheme.seed)
        return cls(
            model=model,
            probe=probe[0],
            trusted=samples(data, "validation"),
            truth={row.tobytes(): int(label) for row, label in zip(stock.inputs, stock.labels, strict=True)},
            lessons=records["fit"].result["measurements"],
            agents=max(len(records["contribute"].result["submissions"]), 1),
            slots=int(held_by_each(scheme, data).max()),
            scheme=scheme,
        )

    @property
    def level(self) -> float:
        """The probability with which copies, and use, refuse one honest submission."""
        return (1.0 - self.scheme.verification.confidence) / (2.0 * self.agents)

    def check(self, given: Samples, demanded: int, draw: np.random.Generator) -> dict[str, Any]:
        """What checking finds, and whether the submission is accepted; the first failure ends it."""
        if len(given) < demanded or not len(given):
            return _verdict({}, f"{len(given)} samples of {demanded}")
        looked = given.take(draw.permutation(len(given)))
        again = looked.take(np.arange(min(self.scheme.verification.relabelled, len(looked))))
        found: dict[str, Any] = {"wrong_labels": self._wrong(again)}
        if found["wrong_labels"]:
            return _verdict(found, f"{found['wrong_labels']} of {len(again)} labels wrong when labelled again")
        found["difference"], found["radius"] = self._difference(looked)
        if not accept([0.0], [found["difference"]], found["radius"])[0]:
            reason = f"the probe's error differs by {found['difference']:.2f}, more than {found['radius']:.2f}"
            return _verdict(found, reason)
        found["close"], found["close_allowed"] = self._close(looked, draw)
        if found["close"] > found["close_allowed"]:
            return _verdict(found, f"{found['close']} samples are copies or nearly so")
        found["taught"], found["taught_at_least"] = self._taught(given)
        if found["taught"] < found["taught_at_least"]:
            reason = f"teaches an accuracy of {found['taught']:.3f}, less than {found['taught_at_least']:.3f}"
            return _verdict(found, reason)
        return _verdict(found, "")

    def _wrong(self, again: Samples) -> int:
        """How many labels differ from what the coordinator finds.

        It is the participants' samples that carry true labels here; of altered copies the original's counts.
        """
        return sum(self._label(row) != int(label) for row, label in zip(again.inputs, again.labels, strict=True))

    def _label(self, row: np.ndarray) -> int:
        if row.tobytes() in self.truth:
            return self.truth[row.tobytes()]
        known = np.stack([np.frombuffer(key, dtype=row.dtype) for key in self.truth])
        return list(self.truth.values())[int(np.argmin(((known - row) ** 2).sum(axis=1)))]

    def _difference(self, looked: Samples) -> tuple[float, float]:
        verification = self.scheme.verification
        tried = looked.take(np.arange(min(verification.samples or len(looked), len(looked))))
        # the radius is for as many submissions as there are; copies keep the others' fate out of this one's
        found = estimate_types(
            [self._losses(tried)] * self.agents, self._losses(self.trusted), confidence=verification.confidence
        )
        return float(found.estimates[0]), float(found.radii[0])

    def _close(self, looked: Samples, draw: np.random.Generator) -> tuple[int, int]:
        """Samples with a neighbour nearer than a quarter of the target's have, and how many there may be."""
        count = min(len(looked), len(self.trusted))
        if count < 2:
            return 0, 0
        natural = [
            np.quantile(_nearest(self.trusted.inputs[draw.permutation(len(self.trusted))[:count]]), QUARTILE)
            for _ in range(SUBSETS)
        ]
        close = int((_nearest(looked.inputs[:count]) < np.mean(natural)).sum())
        # neighbours are often each other's: at most half as many are independent
        return close, 2 * int(stats.binom.isf(self.level, (count + 1) // 2, QUARTILE))

    def _taught(self, given: Samples) -> tuple[float, float]:
        """What a model of this submission alone reaches, and what it must."""
        padded, weights = pad([given], max(self.slots, len(given)))
        params = train_weighted(
            self.model, padded, weights[None], training=self.scheme.training, seed=self.scheme.seed
        )[0]
        reached = self.model.accuracy(params, self.trusted.inputs, self.trusted.labels)
        at = np.log(np.array(self.lessons["data"]))
        size = np.log(len(given))
        usual = float(np.interp(size, at, self.lessons["accuracy"]))
        spread = np.hypot(self.lessons["deviation"], self.lessons["error"])
        # Student's quantile, for the spread is known from the pilot's few repetitions
        times = float(stats.t.isf(self.level, self.scheme.measuring.repetitions - 1))
        return reached, usual - times * float(np.interp(size, at, spread))

    def _losses(self, part: Samples) -> np.ndarray:
        return probe_losses([lambda rows: self.model.predict(self.probe, rows)], part.inputs, part.labels)


def _verdict(found: dict[str, Any], reason: str) -> dict[str, Any]:
    return {**found, "accepted": not reason, "reason": reason}


def _nearest(rows: np.ndarray) -> np.ndarray:
    """Each row's distance to the nearest other."""
    squares = (rows**2).sum(axis=1)
    distances = squares[:, None] + squares - 2.0 * rows @ rows.T
    np.fill_diagonal(distances, np.inf)
    return np.sqrt(np.maximum(distances.min(axis=1), 0.0))


def check_submissions(scheme: Scheme, inputs: Mapping[str, Record]) -> Made:
    """Check every submission; keep those that are accepted."""
    menu, signatures = Menu.of(inputs["launch"]), inputs["launch"].result["signatures"]
    submissions: Sequence[dict] = inputs["contribute"].result["submissions"]
    checker = Checker.of(scheme, inputs)
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
    after=("data", "fit", "launch", "contribute"),
    reads=("model", "training", "measuring", "participants", "verification"),
    carry_out=check_submissions,
)
