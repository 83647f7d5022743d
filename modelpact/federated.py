"""Training by Flower: each participant a process of its own that keeps its data, and a server that sees updates.

`trainer = "flower"` in a scheme's `[training]` does what `trainer = "federated"` does in one process, with the
same arithmetic: the same minibatches, the same rules, the same rounding. Flower pins much, so it is never a
dependency and has an environment of its own; one command makes it:

    python3 -m venv flower && flower/bin/pip install -q -e '.[flower]'

and the variable FLOWER_PYTHON names its interpreter:

    FLOWER_PYTHON=flower/bin/python modelpact run scheme.toml

All processes run on this machine and talk over the loopback interface. Here the data are cut up by the scheme
itself, so this process has seen them; the server has not. The processes are those of `modelpact.flower_node`.
They use Flower's long-lived clients: those of its deployment engine start Python and JAX anew in every round.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from contracts.errors import BackendMissing, InvalidInput, ModelpactError
from mechanisms.aggregation.in_rounds import RuleInRounds
from mechanisms.delivery.full_model import FullModel
from modelpact.scheme.trainers import Trained, TrainingJob

VARIABLE = "FLOWER_PYTHON"
MOST_PARTICIPANTS = 100  # each is a process with a Python of its own
# of every process: one thread each, and no reports to Flower's makers
SURROUNDINGS = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "FLWR_TELEMETRY_ENABLED": "0"}


def flower(job: TrainingJob) -> Trained:
    """Train in rounds as `modelpact.scheme.trainers.federated` does, in processes that Flower connects.

    Args:
        job: what the scheme asks for.

    Raises:
        BackendMissing: no interpreter that has Flower.
        InvalidInput: a rule that judges by a participant's data, which no server sees; too many participants.
        ModelpactError: a process failed; the message says which, and its last words.
    """
    interpreter = _interpreter()
    _refuse(job)
    with tempfile.TemporaryDirectory(prefix="modelpact-flower-") as name:
        folder = Path(name)
        _hand_out(job, folder)
        _run(interpreter, folder, len(job.participants))
        with np.load(folder / "result.npz", allow_pickle=False) as result:
            path = result["path"]
    full = FullModel(model=job.model, initial=path[0], params=path[-1], path=path)
    return Trained(full=full, accuracy=np.array([_accuracy(job, params) for params in path]))


def _interpreter() -> str:
    named = os.environ.get(VARIABLE)
    if named is None and find_spec("flwr") is None:
        raise BackendMissing("flwr", f"training by Flower (in an environment that {VARIABLE} names)", "flower")
    if named is not None and shutil.which(named) is None:
        raise InvalidInput(f"{VARIABLE} = {named!r}: expected the interpreter of an environment that has Flower")
    return named or sys.executable


def _refuse(job: TrainingJob) -> None:
    if len(job.participants) > MOST_PARTICIPANTS:
        raise InvalidInput(
            f"{len(job.participants)} participants: expected at most {MOST_PARTICIPANTS}, a process each"
        )
    if job.settings.aggregation != "mean":  # without samples, rules that judge by them are refused
        RuleInRounds(rule=job.settings.aggregation, malicious=job.settings.malicious)


def _hand_out(job: TrainingJob, folder: Path) -> None:
    """What all may know in one file, and each participant's samples in a folder of its own."""
    settings = job.settings
    known = {
        "features": job.model.features,
        "classes": job.model.classes,
        "hidden": list(getattr(job.model, "hidden", ())),
        "sizes": [len(part) for part in job.participants],
        "attacks": list(job.attacks),
        "rounds": settings.rounds,
        "rate": settings.rate,
        "epochs": settings.epochs,
        "batch": settings.batch,
        "aggregation": settings.aggregation,
        "malicious": settings.malicious,
        "seed": job.seed,
    }
    (folder / "job.json").write_text(json.dumps(known))
    for place, part in enumerate(job.participants):
        (folder / str(place)).mkdir()
        np.savez(folder / str(place) / "samples.npz", inputs=part.inputs, labels=part.labels)


def _run(interpreter: str, folder: Path, participants: int) -> None:
    """Start the server and the participants, and wait until the server is done or one of them fails."""
    address = f"127.0.0.1:{_free_port()}"
    roles = {"the server": ["server"]}
    roles |= {f"participant {place}": ["participant", str(place)] for place in range(participants)}
    processes: dict[str, subprocess.Popen[bytes]] = {}
    try:
        for who, role in roles.items():
            command = [interpreter, "-m", "modelpact.flower_node", *role, address, str(folder)]
            with (folder / f"{who}.log").open("wb") as words:
                processes[who] = subprocess.Popen(
                    command, stdout=words, stderr=words, env=os.environ | SURROUNDINGS
                )
        while processes["the server"].poll() != 0:
            if any(process.poll() not in (None, 0) for process in processes.values()):
                time.sleep(1.0)  # who fails takes others along: all are named
                failed = [who for who, process in processes.items() if process.poll() not in (None, 0)]
                words = (f"{who} failed: {_last_words(folder / f'{who}.log')}" for who in failed)
                raise ModelpactError(f"Flower: {'; '.join(words)}")
            time.sleep(0.05)
        _wait(processes.values(), seconds=10.0)  # participants go when the server closes
    finally:
        for process in processes.values():
            process.kill()
        _wait(processes.values())


def _wait(processes: Iterable[subprocess.Popen[bytes]], seconds: float | None = None) -> None:
    with suppress(subprocess.TimeoutExpired):
        for process in processes:
            process.wait(seconds)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _last_words(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines()
    return lines[-1][:300] if lines else "it said nothing"


def _accuracy(job: TrainingJob, params: np.ndarray) -> float:
    """On the validation samples, rounded to single precision as the built-in trainer rounds it."""
    right = job.model.predict(params, job.validation.inputs) == job.validation.labels
    return float(np.float32(right.sum()) / np.float32(right.size))
