"""The same sweep on a real dask scheduler with real worker processes."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from contracts import GeneralizationBound, InvalidInput, LinearValuation, Population, Problem
from modelpact.axes import Axis
from modelpact.sweeps import sweep

pytestmark = [
    pytest.mark.slow,
    # Sockets of a killed worker are closed by the garbage collector.
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"),
]
ROOT = Path(__file__).parents[2]
PROBLEM = Problem(
    population=Population(costs=[0.02, 0.01], probabilities=[0.5, 0.5], participants=10),
    accuracy=GeneralizationBound(),
    valuation=LinearValuation(scale=100.0),
)
AXES = {
    "participants": Axis.linear("population.participants", 2, 81, 80),
    "chance": Axis.linear("population.probabilities[0]", 0.05, 0.95, 12),
}
CHUNK = 96


def start(*arguments):
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore"}
    return subprocess.Popen(
        [sys.executable, "-m", "distributed.cli." + arguments[0], *arguments[1:]],
        cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


@pytest.fixture
def cluster(tmp_path):
    """The address of a scheduler, and its two workers."""
    scheduler = start("dask_scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard")
    address = None
    for line in scheduler.stderr:
        found = re.search(r"Scheduler at:\s+(tcp://\S+)", line)
        if found:
            address = found[1]
            break
    assert address is not None
    options = ("--nthreads", "1", "--no-nanny", "--no-dashboard", "--local-directory", str(tmp_path))
    workers = [start("dask_worker", address, *options) for _ in range(2)]
    yield address, workers
    for process in [*workers, scheduler]:
        with process, contextlib.suppress(ProcessLookupError):
            process.kill()


def assert_identical(first, second):
    for name in first.variables:
        np.testing.assert_array_equal(first[name].values, second[name].values, err_msg=name)


def test_a_worker_killed_in_mid_sweep_loses_nothing(cluster, tmp_path):
    address, workers = cluster
    killed = []

    def kill_one(done, count):
        if done >= count // 3 and not killed:
            workers[0].send_signal(signal.SIGKILL)
            killed.append(done)

    remote = sweep(PROBLEM, AXES, output=tmp_path / "remote.nc", scheduler=address, chunk=CHUNK, report=kill_one)
    assert killed
    assert workers[0].wait() == -signal.SIGKILL
    assert (remote["error"] == "").all()
    assert (remote["certified"] == 1).all()
    assert_identical(remote, sweep(PROBLEM, AXES, chunk=CHUNK))


def test_a_client_may_be_passed_in(cluster):
    from distributed import Client

    few = {"participants": Axis.of("population.participants", [5, 10, 20])}
    with Client(cluster[0], set_as_default=False) as client:
        remote = sweep(PROBLEM, few, scheduler=client)
        assert client.status == "running"
    assert_identical(remote, sweep(PROBLEM, few))


def test_a_scheduler_lost_on_the_way_leaves_the_chunks_that_were_stored(cluster, tmp_path):
    address, workers = cluster
    done_so_far = []

    def lose_everybody(done, count):
        done_so_far.append(done)
        if done >= count // 3:
            for worker in workers:
                worker.kill()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sweep(PROBLEM, AXES, output=tmp_path / "lost.nc", scheduler=address, chunk=CHUNK, report=lose_everybody)
    stored = list((tmp_path / "lost.nc.chunks").glob("chunk-*.npz"))
    assert len(stored) == done_so_far[-1] // CHUNK
    local = sweep(PROBLEM, AXES, output=tmp_path / "lost.nc", chunk=CHUNK)
    assert (local["certified"] == 1).all()


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:9", "nonsense", "http://127.0.0.1:9"])
def test_an_unreachable_scheduler_is_said_soon(address, tmp_path):
    began = time.monotonic()
    with pytest.raises(InvalidInput, match="no dask scheduler answers"):
        sweep(PROBLEM, AXES, scheduler=address)
    assert time.monotonic() - began < 60
    with pytest.raises(InvalidInput, match="expected an address"):
        sweep(PROBLEM, AXES, scheduler=3)
