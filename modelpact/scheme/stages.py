"""The steps of a scheme as files: what a step reads, what it writes, and when it must be done again.

A stage is a function of the scheme and of earlier stages' records, and returns a record: a `result` of plain
values and named `arrays`. On disk a record is `<stage>.json` and, if it has arrays, `<stage>.npz` beside it:

    {"format": "modelpact.scheme/3", "stage": "train",
     "settings": digest of the tables of the scheme that the stage reads, and its seed,
     "inputs": {"verify": digest of that record, ...},
     "arrays": SHA-256 of the .npz, or null,
     "digest": of the record as it was written,
     "form": the kinds of values in its result (`modelpact.scheme.form`),
     "edited": {"settle": [digest as written, digest as found], ...} of earlier records that were edited,
     "result": {...}}

A record's digest covers its result and its arrays and nothing else. A stage is done if its file is there and
was made from these settings and these inputs; otherwise it, and whatever follows from a changed record, is
carried out. The JSON is written last and atomically, so a run that is killed anywhere continues with the
first stage that was not finished.

Any stage can be done by the real world instead: edit a record's `result`, or write a whole record with
`write_record`, and run the scheme again. It is kept, and what depends on it is done again. An edited record must
have the form of what was written, and every later record, the audit and the report name it with both digests.
That shows what somebody changed by hand; whoever also changes the digests in all files is not found out.
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from contracts.errors import InvalidInput, ModelpactError
from contracts.records import frozen
from contracts.storage import write_atomically
from modelpact.scheme.form import form_of, misfit
from modelpact.scheme.settings import Scheme

FORMAT = "modelpact.scheme/3"
KEYS = ("stage", "settings", "inputs", "arrays", "digest", "form", "result")
AGAIN = "mend it, or delete it and have the stage carried out again"


@frozen
class Record:
    """What a stage has found.

    Attributes:
        result: plain values, as JSON holds them.
        arrays: by name; NumPy arrays without objects.
        digest: SHA-256 of both.
        edited: the records, this one or earlier ones, that were edited: digest as written and as found.
    """

    result: dict[str, Any]
    arrays: Mapping[str, np.ndarray]
    digest: str = ""
    edited: Mapping[str, tuple[str, str]] = dataclasses.field(default_factory=dict)


Made = tuple[dict[str, Any], dict[str, np.ndarray]]


@frozen
class Stage:
    """One step of a scheme.

    Attributes:
        name: of the step, and of its file.
        purpose: what it does, for progress and tables.
        after: the stages whose records it reads.
        reads: the tables of the scheme that it reads.
        carry_out: the step; takes the scheme and the records by stage, returns result and arrays.
    """

    name: str
    purpose: str
    after: tuple[str, ...]
    reads: tuple[str, ...]
    carry_out: Callable[[Scheme, Mapping[str, Record]], Made]


def run_stages(
    scheme: Scheme,
    folder: Path,
    stages: Sequence[Stage],
    *,
    on_stage: Callable[[Stage, bool], None] | None = None,
) -> dict[str, Record]:
    """Carry out the stages that are not done, in order, and return all records.

    Args:
        scheme: the scheme.
        folder: where the records are, or will be; it is created if its parent exists.
        stages: each after those it reads.
        on_stage: called before each stage with whether it has been done already.

    Raises:
        InvalidInput: the folder cannot be written, or whatever a stage refuses.
    """
    _make(folder)
    clean(folder, stages)
    records: dict[str, Record] = {}
    for stage in stages:
        inputs = {name: records[name] for name in stage.after}
        found = read_record(folder, stage, scheme, inputs)
        if on_stage is not None:
            on_stage(stage, found is not None)
        if found is None:
            write_record(folder, stage, scheme, inputs, *_carried_out(stage, scheme, inputs))
            # what later stages see is what the files say, whether this run wrote them or an earlier one
            found = read_record(folder, stage, scheme, inputs)
            if found is None:
                raise InvalidInput(f"{folder / stage.name}.json cannot be read back: expected what was written")
        records[stage.name] = found
    return records


def _carried_out(stage: Stage, scheme: Scheme, inputs: Mapping[str, Record]) -> Made:
    """What a stage makes of its inputs; what an edited one makes impossible is said in one line."""
    names = sorted({name for record in inputs.values() for name in record.edited})
    try:
        return stage.carry_out(scheme, inputs)
    except ModelpactError:
        raise
    except (ArithmeticError, AssertionError, LookupError, TypeError, ValueError) as error:
        if not names:
            raise
        words = " ".join(str(error).split())[:120]
        raise InvalidInput(
            f"stage {stage.name!r} cannot use the edited {', '.join(f'{name}.json' for name in names)}:"
            f" {type(error).__name__}: {words}"
        ) from error


def clean(folder: Path, stages: Sequence[Stage]) -> None:
    """Remove what writes that were killed have left of these stages' files."""
    for stage in stages:
        for left in folder.glob(f".{stage.name}.[jn]*.tmp"):
            left.unlink(missing_ok=True)


def write_record(
    folder: Path,
    stage: Stage,
    scheme: Scheme,
    inputs: Mapping[str, Record],
    result: Mapping[str, Any],
    arrays: Mapping[str, np.ndarray] | None = None,
) -> None:
    """Write the record of a stage, as if it had been carried out here.

    Args:
        folder: of the run.
        stage: which stage it is.
        scheme: the scheme it belongs to.
        inputs: the records it was made from, by stage.
        result: plain values.
        arrays: by name, if there are any.
    """
    packed = _pack(arrays) if arrays else None
    content = {
        "format": FORMAT,
        "stage": stage.name,
        "settings": _settings(stage, scheme),
        "inputs": {name: inputs[name].digest for name in stage.after},
        "arrays": None if packed is None else _sha(packed),
        "digest": "",
        "form": form_of(result),
        "edited": {name: list(pair) for name, pair in _edits(inputs).items()},
        "result": result,
    }
    content["digest"] = digest_of(content)
    if packed is not None:
        write_atomically(folder / f"{stage.name}.npz", packed)
    write_atomically(folder / f"{stage.name}.json", json.dumps(content, indent=1, allow_nan=False) + "\n")


def read_record(folder: Path, stage: Stage, scheme: Scheme, inputs: Mapping[str, Record]) -> Record | None:
    """The record of a stage, or None if it is missing, half-written, or was made from something else.

    Raises:
        InvalidInput: it was edited, and is not JSON or not of the form that was written.
    """
    content = _content(folder / f"{stage.name}.json")
    if content is None:
        return None
    try:
        packed = (folder / f"{stage.name}.npz").read_bytes() if content["arrays"] is not None else None
        expected = {
            "format": FORMAT,
            "stage": stage.name,
            "settings": _settings(stage, scheme),
            "inputs": {name: inputs[name].digest for name in stage.after},
            "arrays": None if packed is None else _sha(packed),
        }
        same = all(content[key] == value for key, value in expected.items())
        written, form, result = content["digest"], content["form"], content["result"]
        if not same or not isinstance(written, str):
            return None
        arrays = {} if packed is None else _unpack(packed)
        digest = digest_of(content)
    except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile):
        return None
    edits = _edits(inputs)
    if digest != written:
        if wrong := misfit(result, form):
            raise InvalidInput(f"{folder / stage.name}.json was edited: {wrong}")
        edits[stage.name] = (written, digest)
    return Record(result=result, arrays=arrays, digest=digest, edited=edits)


def _content(path: Path) -> dict[str, Any] | None:
    """What a record's file holds; None if there is none, an empty one, or one of another version.

    It was written whole, or not at all: whatever is amiss was done by hand, and is not to be written over.
    """
    try:
        text = path.read_bytes()
    except OSError:
        return None
    if not text.strip():
        return None
    try:
        content = json.loads(text)
    except ValueError as error:
        raise InvalidInput(f"{path} was edited and is not JSON: {error}: {AGAIN}") from error
    if not isinstance(content, dict) or "format" not in content:
        raise InvalidInput(f"{path} was edited and has no 'format': {AGAIN}")
    if content["format"] != FORMAT:
        return None
    for key in KEYS:
        if key not in content:
            raise InvalidInput(f"{path} was edited and has no {key!r}: {AGAIN}")
    return content


def digest_of(content: Mapping[str, Any]) -> str:
    """Of a record: its result and its arrays, and nothing else."""
    return _sha(_canonical({"result": content["result"], "arrays": content["arrays"]}))


def _edits(inputs: Mapping[str, Record]) -> dict[str, tuple[str, str]]:
    """The edited records that these come from."""
    return {name: pair for record in inputs.values() for name, pair in record.edited.items()}


def _settings(stage: Stage, scheme: Scheme) -> str:
    return _sha(_canonical({name: scheme.table(name) for name in ("seed", *stage.reads)}))


def _canonical(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, allow_nan=False).encode()


def _sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _pack(arrays: Mapping[str, np.ndarray]) -> bytes:
    stream = io.BytesIO()
    np.savez_compressed(stream, **dict(arrays))  # type: ignore[arg-type]
    return stream.getvalue()


def _unpack(packed: bytes) -> dict[str, np.ndarray]:
    with np.load(io.BytesIO(packed), allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


def _make(folder: Path) -> None:
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise InvalidInput(f"cannot use the folder {folder}: {error.strerror}") from error
