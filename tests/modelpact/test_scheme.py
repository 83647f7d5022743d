"""Whole schemes on real data: every stage's file, what follows from what, and who gains."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from contracts.errors import InvalidInput
from modelpact.scheme import Trained, read_job, register_trainer, run_scheme, write_trained
from modelpact.scheme.draws import run_draws, seed_of, summarise
from modelpact.scheme.replays import Draw
from modelpact.scheme.report import failures
from modelpact.scheme.scheme_file import read_scheme, scheme_from_data
from modelpact.scheme.timeline import STAGES
from modelpact.scheme.trainers import TRAINERS, pooled

ROOT = Path(__file__).parents[2]
SHOWCASE = ROOT / "examples" / "digits-consortium" / "scheme.toml"

SMALL: dict[str, Any] = {
    "seed": 3,
    "data": {"name": "digits", "test": 200, "validation": 200, "pilot": 200},
    "training": {"rounds": 60},
    "measuring": {"sizes": 5, "repetitions": 4},
    "population": {
        "names": ["expert", "crowd"],
        "costs": [5.0, 1.5],
        "probabilities": [0.4, 0.6],
        "participants": 4,
    },
    "valuation": {"family": "linear", "scale": 1000.0},
    "participants": [
        {"behaviour": "truthful", "count": 3},
        {"behaviour": "strategic"},
        {"behaviour": "free-riding"},
        {"behaviour": "low-quality"},
        {"behaviour": "duplicating"},
        {"behaviour": "malicious"},
    ],
    "audit": {"label_noise": [0.4], "copies": [], "baselines": False},
}


def small(**tables: Any) -> dict[str, Any]:
    """The small scheme with some tables, or entries of them, replaced."""
    document = deepcopy(SMALL)
    for name, value in tables.items():
        if isinstance(value, dict) and name in document:
            document[name] |= value
        else:
            document[name] = value
    return document


def as_toml(document: dict[str, Any]) -> str:
    """TOML text of such a document."""
    lines = [f"{key} = {_value(value)}" for key, value in document.items() if not isinstance(value, dict | list)]
    for name, value in document.items():
        tables = value if isinstance(value, list) else [value]
        for table in tables if isinstance(value, dict | list) else []:
            lines.append(f"[[{name}]]" if isinstance(value, list) else f"[{name}]")
            lines += [f"{key} = {_value(entry)}" for key, entry in table.items()]
    return "\n".join(lines) + "\n"


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{', '.join(map(_value, value))}]"
    return f'"{value}"' if isinstance(value, str) else repr(value)


HONEST, CHEATS = range(4), range(4, 8)


@pytest.fixture(scope="module")
def scheme():
    return scheme_from_data(SMALL)


@pytest.fixture(scope="module")
def folder(scheme, tmp_path_factory):
    place = tmp_path_factory.mktemp("scheme") / "run"
    run_scheme(scheme, place)
    return place


@pytest.fixture
def records(scheme, folder):
    return run_scheme(scheme, folder)


@pytest.fixture
def again(folder, tmp_path):
    """A copy of the finished run, and the names of the stages that a scheme still has to carry out there."""
    place = tmp_path / "copy"
    place.mkdir()
    for path in folder.iterdir():
        (place / path.name).write_bytes(path.read_bytes())

    def carried_out(scheme):
        names = []
        run_scheme(scheme, place, on_stage=lambda stage, done: done or names.append(stage.name))
        return names

    return place, carried_out


def contents(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.is_file()}


def test_honest_data_are_accepted_and_cheats_refused(records):
    assert records["verify"].result["accepted"] == list(HONEST)
    found = {f["seat"]: f["reason"] for f in records["verify"].result["findings"]}
    assert "0 samples" in found[4]
    assert "labels wrong" in found[5]
    assert "copies" in found[6]
    assert "labels wrong" in found[7]


def test_nobody_is_promised_more_than_was_trained_or_signed(records):
    options, settled = records["publish"].result["options"], records["settle"].result
    assert settled["accepted_data"] == sum(options[r["option"]]["data"] for r in settled["rewards"])
    for reward in settled["rewards"]:
        share, trained = options[reward["option"]]["share"], settled["trained_accuracy"]
        chance = records["fit"].result["chance"]
        # the value is linear here: a share of what is above naming the commonest class
        assert reward["promised_accuracy"] == pytest.approx(chance + share * (trained - chance))
        assert reward["promised_accuracy"] <= trained


def test_delivered_models_have_the_accuracy_owed_on_the_coordinators_samples(records):
    for reward, model in zip(
        records["settle"].result["rewards"], records["deliver"].result["models"], strict=True
    ):
        # to one sample of 200, or to the nearest step of training
        assert abs(model["achieved"] - reward["promised_accuracy"]) <= 0.02


def test_the_audit_measures_the_delivered_models_anew(scheme, records):
    draw = Draw.of(scheme, records)
    for k in HONEST:
        row = records["audit"].result["participants"][k]
        scores = draw.model.logits(records["deliver"].arrays[f"params_{k}"], draw.test.inputs)
        accuracy = np.mean(np.asarray(scores).argmax(axis=1) == draw.test.labels)
        assert row["accuracy"] == pytest.approx(accuracy)
        assert row["utility"] == pytest.approx(
            1000 * (accuracy - records["fit"].result["chance"]) - row["cost_of_a_sample"] * row["data"]
        )


def test_replaying_what_was_done_gives_what_came_of_it(records):
    rows = records["audit"].result["participants"]
    for k in HONEST:
        assert rows[k]["replayed"]["cost"] == pytest.approx(rows[k]["cost"])
        # the same training on arrays of another shape: rounding may move one sample of 200 over the boundary
        assert rows[k]["replayed"]["accuracy"] == pytest.approx(rows[k]["accuracy"], abs=0.015)


def test_cheating_does_not_pay_on_this_draw(records):
    for k in HONEST:
        row = records["audit"].result["participants"][k]
        assert all(gain < 0 for gain in row["gain_by_cheating"].values())
        assert row["cheating"]["free-riding"] == {"accepted": False, "accuracy": 0, "cost": 0, "utility": 0}


def test_the_strategic_sign_what_is_best_for_themselves(records):
    signed = records["sign"].result["signatures"][3]
    options = records["publish"].result["options"]
    gains = [option["expected_value"] - signed["cost"] * option["data"] for option in options]
    assert signed["option"] == int(np.argmax(gains))
    # which is the option made for their type: that is what the menu is for
    assert options[signed["option"]]["data"] == options[signed["type"]]["data"]


def test_equal_schemes_leave_equal_files(scheme, folder, tmp_path):
    run_scheme(scheme, tmp_path / "other")
    assert contents(tmp_path / "other") == contents(folder)


def test_a_finished_run_does_nothing_more(scheme, again):
    _, carried_out = again
    assert carried_out(scheme) == []


@pytest.mark.parametrize(
    ("tables", "expected"),
    [
        ({"delivery": {"method": "top-changes"}}, ["deliver", "audit"]),
        ({"audit": {"label_noise": []}}, ["audit"]),
        ({"verification": {"relabelled": 12}}, ["verify", "train", "settle", "deliver", "audit"]),
        # pooled training makes nothing of it: stages that read the table find what they found before, and
        # those that do not read it are not done again
        ({"training": {"malicious": 1}}, ["pilot", "verify", "train", "deliver", "audit"]),
    ],
)
def test_a_changed_table_redoes_what_depends_on_it(again, tables, expected):
    _, carried_out = again
    assert carried_out(scheme_from_data(small(**tables))) == expected
    assert carried_out(scheme_from_data(small(**tables))) == []


@pytest.mark.slow
def test_a_changed_seed_redoes_everything_that_draws(again):
    _, carried_out = again
    names = carried_out(scheme_from_data(small(seed=4)))
    assert names == [stage.name for stage in STAGES]


def test_a_record_edited_by_the_real_world_is_kept_and_followed(scheme, again):
    place, carried_out = again
    record = json.loads((place / "verify.json").read_bytes())
    record["result"]["accepted"] = [0, 1, 2]
    (place / "verify.json").write_text(json.dumps(record))
    assert carried_out(scheme) == ["train", "settle", "deliver", "audit"]
    assert json.loads((place / "verify.json").read_bytes())["result"]["accepted"] == [0, 1, 2]
    assert len(json.loads((place / "settle.json").read_bytes())["result"]["rewards"]) == 3


@pytest.mark.parametrize("left", [b"", b"\n", b'{"format": 1}'])
def test_an_empty_record_or_one_of_another_version_is_made_again(scheme, folder, again, left):
    """What was typed by hand is another matter: `test_scheme_edits`."""
    place, carried_out = again
    (place / "train.json").write_bytes(left)
    assert carried_out(scheme) == ["train"]
    assert contents(place) == contents(folder)


def test_damaged_arrays_are_made_again(scheme, folder, again):
    place, carried_out = again
    (place / "train.npz").write_bytes((place / "train.npz").read_bytes()[:-7])
    (place / "deliver.npz").unlink()
    assert carried_out(scheme) == ["train", "deliver"]
    assert contents(place) == contents(folder)


def test_a_model_trained_elsewhere_is_taken_up(scheme, folder, again):
    place, carried_out = again
    job = read_job(place, scheme)
    assert len(job.participants) == 4
    shorter = pooled(dataclasses.replace(job, settings=dataclasses.replace(job.settings, rounds=50)))
    (place / "train.json").unlink()
    write_trained(place, scheme, shorter)
    assert carried_out(scheme) == ["settle", "deliver", "audit"]
    before, after = (json.loads((p / "settle.json").read_bytes())["result"] for p in (folder, place))
    # shares of the model, whatever model it is
    promised = [[r["promised_accuracy"] for r in found["rewards"]] for found in (before, after)]
    assert (promised[0] == promised[1]) == (before["trained_accuracy"] == after["trained_accuracy"])
    assert contents(place)["publish.json"] == contents(folder)["publish.json"]


def test_a_trainer_elsewhere_needs_verified_data(scheme, tmp_path):
    with pytest.raises(InvalidInput, match="'data' is not done"):
        read_job(tmp_path, scheme)


def test_a_registered_trainer_replaces_the_stage(again):
    _, carried_out = again
    seen = []

    def mine(job):
        seen.append(job)
        found = pooled(job)
        return Trained(full=found.full, accuracy=found.accuracy)

    register_trainer("mine", mine)
    try:
        with pytest.raises(InvalidInput, match="registered already"):
            register_trainer("mine", pooled)
        scheme = scheme_from_data(small(training={"trainer": "mine"}))
        assert "train" in carried_out(scheme)
        assert seen[0].names == ("participant 1", "participant 2", "participant 3", "participant 4")
        assert seen[0].seed == scheme.seed
    finally:
        del TRAINERS["mine"]


@pytest.mark.slow
def test_federated_rounds_with_a_robust_rule_withstand_an_attack_on_updates(tmp_path):
    attackers = {"behaviour": "malicious", "attack": "fall-of-empires", "count": 2}
    seats = [{"behaviour": "truthful", "count": 5}, attackers]
    trained = {}
    for rule in ("mean", "median"):
        training = {"trainer": "federated", "rounds": 60, "aggregation": rule, "malicious": 2}
        document = small(training=training, participants=seats, audit={"label_noise": []})
        found = run_scheme(scheme_from_data(document), tmp_path / rule)
        assert found["verify"].result["accepted"] == [0, 1, 2, 3, 4, 5, 6]  # their data are good
        assert found["audit"].result["assumptions"]["dishonest_data_accepted"] == [
            "participant 6",
            "participant 7",
        ]
        trained[rule] = found["train"].result["accuracy"][-1]
    assert trained["median"] > trained["mean"] + 0.01


def test_nobody_accepted_is_no_error(tmp_path):
    document = small(participants=[{"behaviour": "free-riding", "count": 2}])
    found = run_scheme(scheme_from_data(document), tmp_path / "none")
    assert found["settle"].result["accepted_data"] == 0
    assert found["deliver"].result["models"] == []
    assert found["audit"].result["honest"] == []


@pytest.mark.slow
def test_draws_have_seeds_of_their_own(scheme, tmp_path):
    audits = run_draws(scheme, tmp_path / "run", draws=2)
    assert (tmp_path / "run" / "draws" / "001" / "audit.json").exists()
    assert len({seed_of(3, k) for k in range(100)}) == 100
    summary = summarise(scheme, audits)
    assert summary["draws"] == summary["promises"]["draws_with_all_met"]["draws"] == 2
    json.dumps(summary, allow_nan=False)
    # the mean of the draws' means, recomputed
    gains = [
        np.mean([row["replayed"]["utility"] - row["alone"]["utility"] for row in audit["participants"][:4]])
        for audit in audits
    ]
    assert summary["rationality"]["gain"]["mean"] == pytest.approx(np.mean(gains))


KILLED = """
import os, signal, sys
from dataclasses import replace
from pathlib import Path
from modelpact.scheme import stages, timeline
from modelpact.scheme.scheme_file import read_scheme

def dying(stage, when):
    def carry_out(*arguments):
        if when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        made = stage.carry_out(*arguments)
        write = stages.write_atomically
        def write_then_die(path, content):
            if str(path).endswith(".json"):
                os.kill(os.getpid(), signal.SIGKILL)
            return write(path, content)
        stages.write_atomically = write_then_die
        return made
    return replace(stage, carry_out=carry_out)

def run(victim, when):
    timeline.STAGES = tuple(dying(s, when) if s is victim else s for s in timeline.STAGES)
    timeline.run_scheme(read_scheme(sys.argv[1]), sys.argv[2])

for victim in timeline.STAGES:
    for when in ("before", "between its files"):
        child = os.fork()  # nothing has been computed yet: a child is a process as fresh as this one
        if child == 0:
            run(victim, when)
            os._exit(0)
        ended = os.WTERMSIG(os.waitpid(child, 0)[1])
        there = [s.name for s in timeline.STAGES if (Path(sys.argv[2]) / f"{s.name}.json").exists()]
        print(victim.name, ended, *there, flush=True)
"""


@pytest.mark.slow
def test_killed_in_every_stage_a_run_loses_nothing_finished(folder, tmp_path):
    """A process is killed before and after the work of each stage; the next one goes on where it stopped."""
    toml, place = tmp_path / "scheme.toml", tmp_path / "run"
    toml.write_text(as_toml(SMALL))
    command = [sys.executable, "-W", "ignore", "-c", KILLED, str(toml), str(place)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    names = [stage.name for stage in STAGES]
    expected = [[name, str(int(signal.SIGKILL)), *names[:k]] for k, name in enumerate(names)]
    assert [line.split() for line in ended.stdout.splitlines()] == [row for row in expected for _ in range(2)]
    left = []
    run_scheme(read_scheme(toml), place, on_stage=lambda stage, done: done or left.append(stage.name))
    assert left == ["audit"]
    # files half written when a run was killed are gone
    assert contents(place) == contents(folder)


@pytest.mark.slow
def test_the_showcase_keeps_its_promises(tmp_path):
    """Twenty draws of the whole scheme: promises kept as often as stated, nobody gains by anything else."""
    scheme = read_scheme(SHOWCASE)
    summary = summarise(scheme, run_draws(scheme, tmp_path / "run", draws=20))
    assert failures(summary) == []
    assert summary["promises"]["draws_with_all_met"]["share"] >= scheme.measuring.confidence
    assert summary["rationality"]["gain"]["low"] > 0
    assert all(row["gain"]["high"] < 0 for row in summary["cheating"])
    assert not any(row["gains"] for row in summary["switching"])
    # what the theory promised lies in what was found, for every type and every other choice
    for row in summary["switching"]:
        assert row["gain"]["low"] <= row["promised_gain"]["mean"] <= row["gain"]["high"]
    assert summary["assumptions"]["dishonest_data_accepted"]["share"] == 0
    # without a contract, whoever rides free gains
    assert summary["assumptions"]["gain_of_riding_free_without_contract"]["low"] > 0
