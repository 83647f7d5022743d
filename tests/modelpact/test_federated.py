"""Training by Flower: the numbers of the built-in trainer; in real processes where Flower is installed."""

import os
import sys

import numpy as np
import pytest

from contracts.errors import BackendMissing, InvalidInput, ModelpactError
from mechanisms.datasets import load, split
from mechanisms.rounds import Round
from modelpact.federated import VARIABLE, _hand_out, flower
from modelpact.flower_node import joining, local_work, read_job
from modelpact.scheme import read_scheme
from modelpact.scheme.stages import run_stages
from modelpact.scheme.tables import ModelShape, Training
from modelpact.scheme.timeline import STAGES
from modelpact.scheme.trainers import TrainingJob, classifier, federated

SETTINGS = {
    "full batches": ({"rounds": 5}, (), ("", "", "", "")),
    "minibatches": ({"rounds": 4, "epochs": 2, "batch": 7, "rate": 0.2}, (8,), ("", "", "", "")),
    "attacked": ({"rounds": 4, "aggregation": "median", "malicious": 1}, (), ("", "sign-flip", "", "")),
    "remembered": ({"rounds": 4, "aggregation": "centered-clipping", "malicious": 1}, (4,), ("", "", "", "")),
}

with_flower = pytest.mark.skipif(
    VARIABLE not in os.environ, reason=f"set {VARIABLE} to the interpreter of an environment that has Flower"
)


def a_job(training=None, hidden=(), attacks=("",) * 4) -> TrainingJob:
    iris = load("iris")
    return TrainingJob(
        model=classifier(ModelShape(hidden=list(hidden)), features=4, classes=3),
        participants=tuple(split(iris, participants=4)),
        names=("a", "b", "c", "d"),
        attacks=attacks,
        settings=Training(trainer="flower", **(training or {"rounds": 3})),
        validation=iris.validation,
        seed=3,
    )


@pytest.fixture(params=list(SETTINGS))
def job(request) -> TrainingJob:
    return a_job(*SETTINGS[request.param])


def test_what_the_processes_compute_is_what_the_built_in_trainer_computes(job, tmp_path):
    """Every process's part, carried out here one after the other, agrees to the last bit."""
    _hand_out(job, tmp_path)
    model, known = read_job(tmp_path)
    assert model == job.model
    work = [local_work(model, known, place, part) for place, part in enumerate(job.participants)]
    join, sizes = joining(model, known), np.array([len(part) for part in job.participants])
    path = [model.initial(job.seed)]
    for number in range(job.settings.rounds):
        moment = Round(number=number, rounds=job.settings.rounds, params=path[-1], sizes=sizes)
        path.append(path[-1] + join(np.stack([one(path[-1], number) for one in work]), sizes, moment))
    np.testing.assert_array_equal(path, federated(job).full.path)


def test_the_server_is_handed_no_samples(tmp_path):
    _hand_out(a_job(), tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"job.json", "0", "1", "2", "3"}
    assert "inputs" not in (tmp_path / "job.json").read_text()


def test_without_flower_it_says_how_to_get_it(monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    with pytest.raises(BackendMissing, match=rf"{VARIABLE}.*pip install 'modelpact\[flower\]'"):
        flower(a_job())


@pytest.mark.parametrize(
    ("training", "message"),
    [({"aggregation": "roni"}, "judges by a defender"), ({"aggregation": "median"}, VARIABLE)],
)
def test_what_cannot_be_trained_so_is_refused(monkeypatch, training, message):
    monkeypatch.setenv(VARIABLE, sys.executable if "defender" in message else "/nowhere/python")
    with pytest.raises(InvalidInput, match=message):
        flower(a_job(training))


def test_a_process_that_fails_is_named_and_none_is_left(monkeypatch):
    monkeypatch.setenv(VARIABLE, "/bin/false")
    with pytest.raises(ModelpactError, match="failed: it said nothing"):
        flower(a_job())


@with_flower
@pytest.mark.slow
@pytest.mark.parametrize("name", ["minibatches", "attacked"])
def test_flower_trains_the_same_model(name):
    job = a_job(*SETTINGS[name])
    one, other = flower(job), federated(job)
    np.testing.assert_array_equal(one.full.path, other.full.path)
    np.testing.assert_array_equal(one.accuracy, other.accuracy)


@with_flower
@pytest.mark.slow
def test_a_participant_that_diverges_ends_the_run_with_a_reason():
    with pytest.raises(ModelpactError, match=r"Flower: the server failed: .*participant 0 diverged"):
        flower(a_job({"rounds": 3, "rate": 1e39}))


SCHEME = """
seed = 2
[data]
name = "digits"
test = 200
validation = 200
pilot = 250
[population]
names = ["clinic", "hospital"]
costs = [4.0, 1.5]
probabilities = [0.5, 0.5]
participants = 4
[valuation]
family = "linear"
scale = 1000.0
[measuring]
repetitions = 4
[training]
trainer = "{trainer}"
rounds = 30
"""


@with_flower
@pytest.mark.slow
def test_a_scheme_trained_by_flower_publishes_settles_and_delivers_the_same(tmp_path):
    records = {}
    for trainer in ("federated", "flower"):
        (tmp_path / f"{trainer}.toml").write_text(SCHEME.format(trainer=trainer))
        scheme = read_scheme(tmp_path / f"{trainer}.toml")
        records[trainer] = run_stages(scheme, tmp_path / trainer, STAGES[:-1])  # all but the audit
    for stage in ("publish", "verify", "settle", "deliver"):
        assert records["flower"][stage].digest == records["federated"][stage].digest, stage
    assert records["flower"]["train"].result["trainer"] == "flower"
    assert len(records["flower"]["deliver"].result["models"]) == 4
