"""The whole timeline, and its doors for training that happens elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from contracts.errors import InvalidInput
from modelpact.scheme.audit import AUDIT
from modelpact.scheme.checking import VERIFY
from modelpact.scheme.handover import DELIVER, SETTLE, TRAIN, delivered, record_of, training_job
from modelpact.scheme.launch import LAUNCH
from modelpact.scheme.menu import DESIGN, PUBLISH
from modelpact.scheme.pilot import FIT, PILOT
from modelpact.scheme.preflight import Preflight, preflight
from modelpact.scheme.settings import Scheme
from modelpact.scheme.stages import Record, Stage, read_record, run_stages, write_record
from modelpact.scheme.trainers import Trained, TrainingJob, find_trainer
from modelpact.scheme.world import CONTRIBUTE, DATA, SIGN

STAGES = (DATA, PILOT, FIT, DESIGN, PUBLISH, SIGN, LAUNCH, CONTRIBUTE, VERIFY, TRAIN, SETTLE, DELIVER, AUDIT)


def run_scheme(
    scheme: Scheme,
    folder: str | Path,
    *,
    on_stage: Callable[[Stage, bool], None] | None = None,
    on_preflight: Callable[[Preflight], None] | None = None,
) -> dict[str, Record]:
    """Carry out a scheme in a folder, from where an earlier run stopped, and return all records.

    Args:
        scheme: what to carry out; see `modelpact.scheme.scheme_file.read_scheme`.
        folder: where every stage leaves its record.
        on_stage: called before each stage with whether it has been done already.
        on_preflight: called with what the data allow before anything is trained; not if that is done already.

    Raises:
        InvalidInput: an unknown trainer, too little data (before anything is trained), or a folder that cannot
            be written.
    """
    find_trainer(scheme.training.trainer)  # before any work is done
    place = Path(folder)
    records = run_stages(scheme, place, STAGES[:1], on_stage=on_stage)
    waiting = read_record(place, PILOT, scheme, records) is None
    allowed = preflight(scheme, records["data"], timed=waiting and on_preflight is not None)
    if waiting and on_preflight is not None:
        on_preflight(allowed)

    def report(stage: Stage, done: bool) -> None:
        if on_stage is not None and stage.name != "data":
            on_stage(stage, done)

    return run_stages(scheme, place, STAGES, on_stage=report)


def read_job(folder: str | Path, scheme: Scheme) -> TrainingJob:
    """The training job of a run in which verification is done, for a trainer elsewhere.

    Raises:
        InvalidInput: verification is not done in this folder for this scheme.
    """
    return training_job(scheme, _records(Path(folder), scheme))


def write_trained(folder: str | Path, scheme: Scheme, trained: Trained) -> None:
    """Write the record of the training stage for a model that was trained elsewhere."""
    place = Path(folder)
    write_record(place, TRAIN, scheme, _records(place, scheme), *record_of(scheme, trained))


def read_delivered(folder: str | Path, scheme: Scheme) -> dict[str, Any]:
    """The delivered models' parameters by participant: vectors, or fitted estimators, fitted again here.

    Raises:
        InvalidInput: delivery is not done in this folder for this scheme.
    """
    records = _records(Path(folder), scheme, DELIVER)
    names = {one["seat"]: one["name"] for one in records["deliver"].result["models"]}
    return {names[seat]: params for seat, params in delivered(scheme, records).items()}


def _records(folder: Path, scheme: Scheme, last: Stage = VERIFY) -> dict[str, Record]:
    records: dict[str, Record] = {}
    for stage in STAGES[: STAGES.index(last) + 1]:
        found = read_record(folder, stage, scheme, records)
        if found is None:
            raise InvalidInput(
                f"{folder}: stage {stage.name!r} is not done for this scheme: expected to run it first"
            )
        records[stage.name] = found
    return records
