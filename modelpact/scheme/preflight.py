"""What the data allow, said before anything is trained: rows, participants, the largest options, the time."""

from __future__ import annotations

import math
import time
from typing import Any

import numpy as np

from contracts.errors import InvalidInput, ModelpactError
from contracts.records import frozen
from mechanisms.delivery.families import check_model
from mechanisms.delivery.full_model import trained_path
from mechanisms.models import Model
from mechanisms.protocols import Fittable, VectorModel, answers
from modelpact.scheme.handover import method_of, model_of
from modelpact.scheme.pilot import LARGEST_SHARE
from modelpact.scheme.settings import Scheme
from modelpact.scheme.stages import Record
from modelpact.scheme.stock import capacities, held_by_each
from modelpact.scheme.world import samples
from modelpact.terminal import spell

STEPS = 5  # that are timed
COMPILED = 8  # functions of about the size of the one that is timed
HALVINGS = 12  # models fitted until one of a promised accuracy is found


@frozen
class Preflight:
    """What a scheme's data allow.

    Attributes:
        rows: of the data, by part: pilot, validation, test and stock.
        participants: who label samples.
        fewest: rows that the pilot needs.
        largest: samples that the participants of each type could deliver, by its name: no option asks for more.
        seconds: how long the rest will take, roughly; None if nobody measured.
    """

    rows: dict[str, int]
    participants: int
    fewest: int
    largest: dict[str, int]
    seconds: float | None = None

    def __str__(self) -> str:
        parts, sizes = self.rows, sorted(set(self.largest.values()))
        each = ", ".join(f"{size} ({name})" for name, size in self.largest.items())
        text = (
            f"{sum(parts.values())} rows: {parts['test']} for the test, {parts['validation']} for validation,"
            f" {parts['pilot']} for the pilot (at least {self.fewest}), {parts['stock']} for {self.participants}"
            f" participants: options up to {sizes[0] if len(sizes) == 1 else each} samples"
        )
        return text if self.seconds is None else f"{text}; about {spell(self.seconds)}"


def preflight(scheme: Scheme, data: Record, *, timed: bool = False) -> Preflight:
    """Refuse data that are too few, and what does not go with the model, and say what the data allow.

    Args:
        scheme: the scheme.
        data: the record of the stage "data".
        timed: say how long the rest takes, by what a little training takes now; a model of the user's own is
            tried on the pilot's samples in any case.

    Raises:
        InvalidInput: the pilot is too small, too little is left for the participants, who has more data has
            dearer ones, the model does not go with trainer or delivery, or it fails on the data.
    """
    rows = {name: int(count) for name, count in data.result["samples"].items()}
    labelling = sum(seat.behaviour != "free-riding" for seat in scheme.seats)
    fewest = math.ceil(2 * scheme.measuring.least(rows["pilot"]) / LARGEST_SHARE)
    _check_pilot(scheme, rows, fewest, labelling)
    largest = _check_stock(scheme, data, labelling)
    model = model_of(scheme, data)
    _check_model(scheme, model)
    return Preflight(
        rows=rows,
        participants=labelling,
        fewest=fewest,
        largest=dict(zip(scheme.population.names or (), largest.astype(int).tolist(), strict=True)),
        seconds=_seconds(scheme, data, model, labelling) if timed or scheme.model.factory else None,
    )


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
    least = scheme.measuring.least(rows["pilot"])
    raise InvalidInput(
        f"[data] pilot leaves {rows['pilot']} samples of {sum(rows.values())}: too little data, expected at"
        f" least {fewest} for models of {least} and more: {cure}"
    )


def _check_stock(scheme: Scheme, data: Record, labelling: int) -> np.ndarray:
    """How much each type could deliver, once all are known to have something and a contract to allow it."""
    held, stock = held_by_each(scheme, data), int(data.result["samples"]["stock"])
    honest = np.array([seat.behaviour != "free-riding" for seat in scheme.seats])
    stated = sum(seat.samples for seat, labels in zip(scheme.seats, honest, strict=True) if labels)
    if stock < 1 or (held[honest] < 1).any() or stated > stock:
        wanted = f", of which [[participants]] state {stated}" if stated else ""
        raise InvalidInput(
            f"too little data: the pilot, validation and test leave {stock} rows for {labelling}"
            f" participants{wanted}: expected at least one each; fewer [[participants]] or samples, or smaller"
            " test, validation or pilot in [data]"
        )
    largest = capacities(scheme, data)
    scheme.check(largest)  # refuses what no contract is known for
    return largest


def _check_model(scheme: Scheme, model: Any) -> None:
    """Refuse a model that does not go with how it is to be trained, weakened, or judged."""
    training, method = scheme.training, method_of(scheme, model)
    if training.trainer in ("federated", "flower") and not isinstance(model, VectorModel):
        raise InvalidInput(
            f"[training] trainer = {training.trainer!r} with {_name(scheme, model)}: expected 'pooled', for a"
            " model that is fitted anew sends no updates"
        )
    if training.trainer == "federated" and training.batch and not isinstance(model, Model):
        raise InvalidInput(
            f"[training] batch = {training.batch}: expected 0, for {_name(scheme, model)} makes its own"
        )
    if method == "early-stop" and isinstance(model, Fittable):
        raise InvalidInput(
            f"[delivery] method = 'early-stop' with {_name(scheme, model)}: expected 'nested-subset', for a"
            " model that is fitted anew has no path to stop on"
        )
    check_model(method, model)
    tunable = not isinstance(model, Fittable) or hasattr(getattr(model, "estimator", None), "partial_fit")
    if "fine-tuning-proof" in scheme.delivery.requires and not tunable:
        raise InvalidInput(
            f"[delivery] requires 'fine-tuning-proof' of {_name(scheme, model)}: expected a model that can be"
            " trained further, for what is not tried is not shown"
        )


def _name(scheme: Scheme, model: Any) -> str:
    return f"model = {scheme.model.factory!r}" if scheme.model.factory else f"{model!r:.60}"


def _seconds(scheme: Scheme, data: Record, model: Any, labelling: int) -> float:
    """Training to come, by steps and the rows in each, times what little of it takes now."""
    pilot, stock = samples(data, "pilot"), samples(data, "stock")
    replays = 6 + len(scheme.audit.copies) + len(scheme.audit.label_noise)
    measured = scheme.measuring.sizes * scheme.measuring.repetitions * len(pilot) / len(stock)
    audits = labelling * (replays + 1.0 + 2.0 * scheme.audit.baselines)
    taken, tried = [], []
    for _ in range(2):  # the first one compiles
        began = time.perf_counter()
        tried.append(_tried(scheme, data, model))
        taken.append((time.perf_counter() - began) * len(stock) / len(pilot))
    if isinstance(model, Fittable):
        if not np.array_equal(*tried):
            raise InvalidInput(
                f"{_name(scheme, model)} answers differently when it is fitted to the same samples again, as a"
                " run does: expected a fixed random_state"
            )
        return (measured + 2.0 + HALVINGS * audits) * taken[1]
    steps = scheme.training.rounds * scheme.training.epochs
    compiling = max(taken[0] - taken[1], 0.0) * COMPILED
    return compiling + (measured + 2.0 + audits) * steps * taken[1] / STEPS


def _tried(scheme: Scheme, data: Record, model: Any) -> np.ndarray:
    """Train a little on the pilot's samples; the answers on the validation samples."""
    pilot = samples(data, "pilot")
    options = {"moments": [STEPS], "rate": scheme.training.rate, "seed": scheme.seed}
    try:
        params = trained_path(model, pilot, weights=np.ones(len(pilot)), **options)[1][-1]
        return answers(model, params, samples(data, "validation").inputs)
    except ModelpactError as error:
        raise InvalidInput(f"{_name(scheme, model)} fails on the pilot's samples: {error}") from error
    except Exception as error:  # whatever the user's model raises
        words = " ".join(str(error).split())[:160]
        raise InvalidInput(
            f"{_name(scheme, model)} fails on the pilot's samples: {type(error).__name__}: {words}"
        ) from error
