"""What the data allow, said before anything is trained: rows, participants, the largest option, the time."""

from __future__ import annotations

import math
import time

import numpy as np

from contracts.errors import InvalidInput
from contracts.records import frozen
from mechanisms.models import Model
from modelpact.scheme.handover import model_of
from modelpact.scheme.pilot import LARGEST_SHARE
from modelpact.scheme.settings import Scheme
from modelpact.scheme.stages import Record
from modelpact.scheme.stock import share_of_stock
from modelpact.scheme.world import samples
from modelpact.terminal import spell

STEPS = 5  # that are timed
COMPILED = 8  # functions of about the size of the one that is timed


@frozen
class Preflight:
    """What a scheme's data allow.

    Attributes:
        rows: of the data, by part: pilot, validation, test and stock.
        participants: who label samples.
        fewest: rows that the pilot needs.
        largest: samples that each participant could deliver: no option asks for more.
        seconds: how long the rest will take, roughly; None if nobody measured.
    """

    rows: dict[str, int]
    participants: int
    fewest: int
    largest: int
    seconds: float | None = None

    def __str__(self) -> str:
        parts = self.rows
        text = (
            f"{sum(parts.values())} rows: {parts['test']} for the test, {parts['validation']} for validation,"
            f" {parts['pilot']} for the pilot (at least {self.fewest}), {parts['stock']} for {self.participants}"
            f" participants: options up to {self.largest} samples"
        )
        return text if self.seconds is None else f"{text}; about {spell(self.seconds)}"


def preflight(scheme: Scheme, data: Record, *, timed: bool = False) -> Preflight:
    """Refuse data that are too few, and say what they allow.

    Args:
        scheme: the scheme.
        data: the record of the stage "data".
        timed: time a few steps of training, to say how long the rest takes.

    Raises:
        InvalidInput: the pilot is too small, nothing is left for the participants, or the model does not go with
            the trainer; saying what would do.
    """
    rows = {name: int(count) for name, count in data.result["samples"].items()}
    labelling = sum(seat.behaviour != "free-riding" for seat in scheme.seats)
    fewest = math.ceil(2 * scheme.measuring.smallest / LARGEST_SHARE)
    largest = share_of_stock(scheme, data)
    _check_pilot(scheme, rows, fewest, labelling)
    if largest < 1:
        raise InvalidInput(
            f"too little data: the pilot, validation and test leave {rows['stock']} rows for {labelling}"
            " participants: expected at least one each; fewer [[participants]], or smaller test, validation or"
            " pilot in [data]"
        )
    model = model_of(scheme, data)
    if not isinstance(model, Model) and scheme.training.trainer == "federated" and scheme.training.batch:
        raise InvalidInput(
            f"[training] batch = {scheme.training.batch}: expected 0, for {model!r:.60} makes its own"
        )
    seconds = _seconds(scheme, data, rows, labelling) if timed else None
    return Preflight(rows=rows, participants=labelling, fewest=fewest, largest=largest, seconds=seconds)


def _check_pilot(scheme: Scheme, rows: dict[str, int], fewest: int, labelling: int) -> None:
    if rows["pilot"] >= fewest:
        return
    left = rows["pilot"] + rows["stock"]
    smallest = int(LARGEST_SHARE * rows["pilot"]) // 2
    if left - fewest >= labelling:
        cure = (
            f"[data] pilot = {fewest}, which leaves {(left - fewest) // max(labelling, 1)} for each participant"
        )
    else:
        cure = "more data"
    if smallest >= 2:
        cure += f", or [measuring] smallest = {smallest}"
    raise InvalidInput(
        f"[data] pilot leaves {rows['pilot']} samples of {sum(rows.values())}: too little data, expected at"
        f" least {fewest} for models of {scheme.measuring.smallest} and more: {cure}"
    )


def _seconds(scheme: Scheme, data: Record, rows: dict[str, int], labelling: int) -> float:
    """Training steps to come, by the rows in each, times what a step on the participants' rows takes now."""
    model, stock = model_of(scheme, data), samples(data, "stock")
    start, weights = model.initial(0), np.ones(len(stock))
    taken = []
    for _ in range(2):  # the first one compiles
        began = time.perf_counter()
        path = model.descend(  # type: ignore[attr-defined]
            start, stock.inputs, stock.labels, moments=[STEPS], rate=scheme.training.rate, weights=weights
        )
        np.asarray(path)
        taken.append(time.perf_counter() - began)
    replays = 6 + len(scheme.audit.copies) + len(scheme.audit.label_noise)
    pilot = scheme.measuring.sizes * scheme.measuring.repetitions * rows["pilot"] / len(stock)
    audits = labelling * (replays + 1.0 + 2.0 * scheme.audit.baselines)
    trainings = pilot + 2.0 + audits
    steps = scheme.training.rounds * scheme.training.epochs
    compiling = max(taken[0] - taken[1], 0.0) * COMPILED
    return compiling + trainings * steps * taken[1] / STEPS
