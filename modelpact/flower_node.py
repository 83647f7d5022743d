"""The processes of `modelpact.federated`: a server, or one participant, in an environment that has Flower.

    python -m modelpact.flower_node server ADDRESS FOLDER
    python -m modelpact.flower_node participant PLACE ADDRESS FOLDER

Both read FOLDER/job.json; a participant also FOLDER/PLACE/samples.npz, which the server does not. The server
writes FOLDER/result.npz, whose `path` holds the parameters before the first round and after each.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from mechanisms.aggregation.in_rounds import RuleInRounds
from mechanisms.datasets import Samples
from mechanisms.local_training import LocalTraining, Stack, local_updates, stack
from mechanisms.models import Model
from mechanisms.rounds import Round
from modelpact.scheme.tables import ModelShape
from modelpact.scheme.trainers import classifier, corruption

LONGEST_WAIT = 300.0  # seconds until all participants have come, or the server


def read_job(folder: Path) -> tuple[Model, dict[str, Any]]:
    """The model, and what all may know of the job."""
    job = json.loads((folder / "job.json").read_bytes())
    return classifier(ModelShape(hidden=job["hidden"]), features=job["features"], classes=job["classes"]), job


def local_work(model: Model, job: dict[str, Any], place: int, own: Samples) -> Callable[..., np.ndarray]:
    """A participant's part of a round: from the server's parameters to its update.

    The others' rows stay empty: with the same shapes come the same minibatches and the same rounding as where
    one process trains them all.
    """
    padded = stack([own])
    slots = max(job["sizes"])
    rows = Stack(*(_row_of(array, place, len(job["sizes"]), slots) for array in padded))
    local = LocalTraining(epochs=job["epochs"], rate=job["rate"], batch=job["batch"] or None)

    def work(params: np.ndarray, number: int) -> np.ndarray:
        updates = local_updates(model, params, rows, local=local, seed=job["seed"], round_number=number)
        return updates[place]

    return work


def _row_of(array: np.ndarray, place: int, count: int, slots: int) -> np.ndarray:
    rows = np.zeros((count, slots, *array.shape[2:]), dtype=array.dtype)
    rows[place, : array.shape[1]] = array[0]
    return rows


def joining(model: Model, job: dict[str, Any]) -> Callable[[np.ndarray, np.ndarray, Round], np.ndarray]:
    """The server's part of a round: from the updates, one row per participant, and their sizes to its step."""
    corrupt, memory, rule = corruption(tuple(job["attacks"])), None, None
    if job["aggregation"] != "mean":
        rule = RuleInRounds(rule=job["aggregation"], malicious=job["malicious"])
        memory = rule.start(len(job["sizes"]), model.size)

    def join(updates: np.ndarray, sizes: np.ndarray, moment: Round) -> np.ndarray:
        nonlocal memory
        sent = updates if corrupt is None else corrupt(updates, moment)
        if rule is None or memory is None:
            return sizes @ sent / sizes.sum()
        memory, step = rule.step(memory, sent, moment)
        return step

    return join


def serve(address: str, folder: Path) -> None:
    """Be the server: wait for all participants, train, write the path."""
    flwr, server = importlib.import_module("flwr.common"), importlib.import_module("flwr.server")
    strategies = importlib.import_module("flwr.server.strategy")
    model, job = read_job(folder)
    path = [model.initial(job["seed"])]
    join = joining(model, job)

    class InOrder(strategies.FedAvg):
        """All participants in every round, their updates joined in the order of their places."""

        def initialize_parameters(self, client_manager: Any) -> Any:
            if not client_manager.wait_for(len(job["sizes"]), timeout=LONGEST_WAIT):
                raise TimeoutError(f"not all of {len(job['sizes'])} participants came")
            return flwr.ndarrays_to_parameters([path[0]])

        def aggregate_fit(self, server_round: int, results: Any, failures: Any) -> Any:
            if failures or len(results) != len(job["sizes"]):
                raise RuntimeError(f"round {server_round}: {failures or 'a participant is missing'}")
            answers = sorted((answer for _, answer in results), key=lambda answer: answer.metrics["place"])
            updates = np.stack([flwr.parameters_to_ndarrays(answer.parameters)[0] for answer in answers])
            sizes = np.array([answer.num_examples for answer in answers])
            moment = Round(number=server_round - 1, rounds=job["rounds"], params=path[-1], sizes=sizes)
            for place in np.flatnonzero(~np.isfinite(updates).all(axis=1)):
                raise RuntimeError(f"round {server_round}: participant {place} diverged: lower the rate")
            step = join(updates, sizes, moment)
            if not np.isfinite(step).all():
                raise RuntimeError(f"round {server_round}: the joint step is not finite: lower the rate")
            path.append(path[-1] + step)
            return flwr.ndarrays_to_parameters([path[-1]]), {}

    server.start_server(
        server_address=address,
        config=server.ServerConfig(num_rounds=job["rounds"]),
        strategy=InOrder(
            fraction_evaluate=0.0,
            min_fit_clients=len(job["sizes"]),
            min_available_clients=len(job["sizes"]),
            accept_failures=False,
            on_fit_config_fn=lambda number: {"number": number - 1},
        ),
    )
    if len(path) != job["rounds"] + 1:
        raise RuntimeError(f"{len(path) - 1} of {job['rounds']} rounds were carried out")
    unfinished = folder / "unfinished.npz"
    np.savez(unfinished, path=np.stack(path))
    os.replace(unfinished, folder / "result.npz")


def participate(place: int, address: str, folder: Path) -> None:
    """Be a participant: train on the own samples whenever asked, until the server closes."""
    client = importlib.import_module("flwr.client")
    model, job = read_job(folder)
    with np.load(folder / str(place) / "samples.npz", allow_pickle=False) as file:
        own = Samples(inputs=file["inputs"], labels=file["labels"])
    work = local_work(model, job, place, own)

    class Participant(client.NumPyClient):
        def fit(self, parameters: list[np.ndarray], config: dict[str, Any]) -> Any:
            return [work(parameters[0], int(config["number"]))], len(own), {"place": place}

    client.start_client(server_address=address, client=Participant().to_client(), max_wait_time=LONGEST_WAIT)


def main(arguments: list[str]) -> None:
    """What `python -m` runs."""
    role, *place, address, folder = arguments
    try:
        if role == "server":
            serve(address, Path(folder))
        else:
            participate(int(place[0]), address, Path(folder))
    except Exception:
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)  # or the connections' threads would keep a failed process alive


if __name__ == "__main__":
    main(sys.argv[1:])
