"""Sweeps: labelled, certified, identical however they are cut, and never lost."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from contracts import (
    Contract,
    CustomCurve,
    GeneralizationBound,
    InvalidInput,
    LinearValuation,
    Population,
    Problem,
    design_contract,
    full_information,
)
from modelpact import sweep_results
from modelpact.axes import Axis, changed
from modelpact.sweeps import sweep

ROOT = Path(__file__).parents[2]
PROBLEM = Problem(
    population=Population(costs=[0.02, 0.01], probabilities=[0.5, 0.5], participants=10),
    accuracy=GeneralizationBound(),
    valuation=LinearValuation(scale=100.0),
)
AXES = {
    "participants": Axis.of("population.participants", [4, 10, 40]),
    "chance": Axis.linear("population.probabilities[0]", 0.1, 0.9, 4),
}


def assert_identical(first, second):
    assert set(first.variables) == set(second.variables)
    for name in first.variables:
        np.testing.assert_array_equal(first[name].values, second[name].values, err_msg=name)
        assert first[name].dims == second[name].dims


@pytest.fixture(scope="module")
def data():
    return sweep(PROBLEM, AXES)


def test_every_point_is_the_contract_of_its_problem(data):
    assert data["contribution"].dims == ("participants", "chance", "type")
    assert data["contribution"].attrs["units"] == "data"
    assert data["chance"].values.tolist() == pytest.approx([0.1, 0.1 + 0.8 / 3, 0.1 + 1.6 / 3, 0.9])
    point = data.sel(participants=40).isel(chance=1)
    problem = changed(
        PROBLEM, {"population.participants": 40, "population.probabilities[0]": float(point["chance"])}
    )
    contract: Contract = design_contract(problem)
    assert float(point["objective"]) == pytest.approx(contract.objective, abs=1e-9)
    np.testing.assert_allclose(point["information_rent"], contract.information_rent, atol=1e-7)
    known = full_information(problem).objective
    assert float(point["information_cost"]) == pytest.approx(known - contract.objective, abs=1e-8)
    assert (data["certified"] == 1).all()
    assert float(data["as_solved_gap"].max()) < 1e-8


def test_a_file_gives_the_same_data_back_and_is_not_computed_again(tmp_path, data, monkeypatch):
    output = tmp_path / "grid.nc"
    assert_identical(sweep(PROBLEM, AXES, output=output), data)
    monkeypatch.setattr(sweep_results, "compute", None)
    again = sweep(PROBLEM, AXES, output=output)
    assert_identical(again, data)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["grid.nc"]


def test_an_interrupted_sweep_computes_only_what_is_missing(tmp_path, data, monkeypatch):
    output, computed = tmp_path / "grid.nc", []
    compute = sweep_results.compute

    def failing(problems, types):
        if len(computed) == 2:
            raise KeyboardInterrupt
        computed.append(len(problems))
        return compute(problems, types)

    monkeypatch.setattr(sweep_results, "compute", failing)
    with pytest.raises(KeyboardInterrupt):
        sweep(PROBLEM, AXES, output=output, chunk=4)
    assert not output.exists()
    (tmp_path / "grid.nc.chunks" / "chunk-000001.npz").write_bytes(b"PK\x03\x04 half a file")
    monkeypatch.setattr(sweep_results, "compute", lambda *a: computed.append(-len(a[0])) or compute(*a))
    resumed = sweep(PROBLEM, AXES, output=output, chunk=4)
    assert computed == [4, 4, -4, -4]
    for name in ("objective", "information_cost"):
        np.testing.assert_allclose(resumed[name], data[name], atol=1e-9)


def test_problems_that_fail_are_recorded_and_do_not_stop_the_others():
    axes = {
        "cost": Axis.of("population.costs[0]", [0.02, -1.0, 0.03]),
        "participants": Axis.of("population.participants", [10, 1]),
    }
    found = sweep(PROBLEM, axes)
    texts = found["error"].values
    assert texts[0, 0] == ""
    assert texts[2, 0] == ""
    assert "costs[0] = -1: expected a finite number > 0" in texts[1, 0]
    assert "participants = 1" in texts[0, 1]
    assert np.isnan(found["objective"].values[:, 1]).all()
    assert found["certified"].values[:, 0].tolist() == [1.0, 0.0, 1.0]
    wavy = CustomCurve(function=lambda x: 1.1 * x / (x + 100.0) - 0.3 * x / (x + 1e4), optimum=1.0)
    mixed = sweep(PROBLEM, {"curve": Axis.of("accuracy", [GeneralizationBound(), wavy])})
    assert mixed["error"].values[0] == ""
    assert "decreases" in mixed["error"].values[1]


def test_axes_may_change_the_number_of_types():
    scenarios = Axis.of("population", [
        {"costs": [0.02], "probabilities": [1.0], "participants": 10},
        {"costs": [0.03, 0.02, 0.01], "probabilities": [0.2, 0.3, 0.5], "participants": 10},
    ], labels=["one", "three"])  # fmt: skip
    found = sweep(PROBLEM, {"scenario": scenarios})
    assert found.sizes == {"scenario": 2, "type": 3}
    assert found["scenario"].values.tolist() == ["one", "three"]
    assert np.isnan(found["contribution"].values[0, 1:]).all()
    assert (found["certified"] == 1).all()


@pytest.mark.parametrize(
    ("axes", "message"),
    [
        ({}, "at least one"),
        ({"n": Axis.of("population.participant", [2])}, "did you mean 'population.participants'"),
        ({"type": Axis.of("population.participants", [2])}, "'type' is taken"),
        ({"n": 3}, "expected an Axis"),
        (
            {"a": Axis.of("population.participants", [2]), "b": Axis.of("population.participants", [3])},
            "both set population.participants",
        ),
        (
            {
                "n": Axis.of("population.participants", range(2, 5000)),
                "p": Axis.linear("valuation.scale", 1, 2, 9999),
            },
            "at most 10000000",
        ),
    ],
)  # fmt: skip
def test_wrong_axes_are_refused_at_once(axes, message):
    with pytest.raises(InvalidInput, match=message):
        sweep(PROBLEM, axes)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Axis.of("belief", []), "no values"),
        (lambda: Axis.of("belief", "interim"), "expected a list"),
        (lambda: Axis.of("population.participants", [2, 2]), "twice"),
        (lambda: Axis.of("population.participants", [2, 3], labels=["a"]), "labels has length 1"),
        (lambda: Axis.logarithmic("population.costs[0]", 0, 1, 3), "start = 0"),
        (lambda: Axis.linear("population.costs[0]", 0.1, float("nan"), 3), "stop = nan"),
        (lambda: Axis.linear("population.costs[0]", 0.1, 1.0, 0), "count = 0"),
    ],
)
def test_wrong_values_are_refused(make, message):
    with pytest.raises(InvalidInput, match=message):
        make()


def test_what_another_version_computed_is_not_mixed_in(tmp_path, monkeypatch):
    """Its solvers may be others."""
    from modelpact.sweeps import _Plan

    plans = []
    for version in ("1.0", "1.1", "1.0"):
        monkeypatch.setattr("modelpact.sweeps.installed_version", lambda version=version: version)
        plans.append(_Plan(PROBLEM, AXES, 4).digest)
    assert plans[0] == plans[2] != plans[1]


def test_chunks_of_another_sweep_are_not_taken_for_ones_own(tmp_path):
    output = tmp_path / "grid.nc"
    folder = tmp_path / "grid.nc.chunks"
    folder.mkdir()
    (folder / "sweep.json").write_text('{"sweep": "of somebody else"}')
    with pytest.raises(InvalidInput, match="another sweep"):
        sweep(PROBLEM, AXES, output=output)
    assert (folder / "sweep.json").exists()


def test_places_that_cannot_be_written_are_said_at_once(tmp_path):
    with pytest.raises(InvalidInput, match="No such file or directory"):
        sweep(PROBLEM, AXES, output=tmp_path / "missing" / "grid.nc")
    with pytest.raises(InvalidInput, match="it is a folder"):
        sweep(PROBLEM, AXES, output=tmp_path)
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    with pytest.raises(InvalidInput, match="Not a directory"):
        sweep(PROBLEM, AXES, output=blocked / "grid.nc")
    with pytest.raises(InvalidInput, match="cannot write"):
        sweep(PROBLEM, AXES, output="/proc/grid.nc")


def test_a_full_disk_stops_the_sweep_and_keeps_what_is_stored(tmp_path, monkeypatch):
    output, real, written = tmp_path / "grid.nc", os.fsync, []

    def full(descriptor):
        if len(written) == 3:  # the manifest and two chunks fit
            raise OSError(28, "No space left on device")
        written.append(descriptor)
        real(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InvalidInput, match=r"chunk-000002\.npz: No space left on device"):
        sweep(PROBLEM, AXES, output=output, chunk=4)
    names = sorted(p.name for p in (tmp_path / "grid.nc.chunks").iterdir())
    assert names == ["chunk-000000.npz", "chunk-000001.npz", "sweep.json"]


SCRIPT = """
import sys
from modelpact import sweep_results
from modelpact.axes import Axis
from modelpact.sweeps import sweep
sys.path.insert(0, {tests!r})
from test_sweep_problem import PROBLEM
compute, log = sweep_results.compute, open(sys.argv[2], "a")
def logged(problems, types):
    columns = compute(problems, types)
    log.write("chunk\\n"); log.flush()
    return columns
sweep_results.compute = logged
axes = {{
    "participants": Axis.linear("population.participants", 2, 201, {n}),
    "chance": Axis.linear("population.probabilities[0]", 0.02, 0.98, {p}),
}}
sweep(PROBLEM, axes, output=sys.argv[1])
"""


def run(tmp_path, name, size):
    (tmp_path / "test_sweep_problem.py").write_text(
        "from contracts import *\n"
        "population = Population(costs=[0.02, 0.01], probabilities=[0.5, 0.5], participants=10)\n"
        "parts = dict(accuracy=GeneralizationBound(), valuation=LinearValuation(scale=100.0))\n"
        "PROBLEM = Problem(population=population, **parts)\n"
    )
    script = SCRIPT.format(tests=str(tmp_path), n=size[0], p=size[1])
    arguments = [sys.executable, "-c", script, str(tmp_path / f"{name}.nc"), str(tmp_path / f"{name}.log")]
    return subprocess.Popen(arguments, cwd=ROOT)


def chunks(tmp_path, name):
    log = tmp_path / f"{name}.log"
    return log.read_text().count("chunk") if log.exists() else 0


@pytest.mark.slow
@pytest.mark.parametrize("size", [(200, 50)], ids=["ten thousand problems"])
def test_a_killed_sweep_is_resumed_complete_and_identical(tmp_path, size):
    from modelpact.sweeps import CHUNK

    count = -(-size[0] * size[1] // CHUNK)
    victim = run(tmp_path, "killed", size)
    while chunks(tmp_path, "killed") < count // 2:
        assert victim.poll() is None, "the sweep ended before it was killed"
        time.sleep(0.02)
    victim.send_signal(signal.SIGKILL)
    victim.wait()
    assert not (tmp_path / "killed.nc").exists()
    stored = len(list((tmp_path / "killed.nc.chunks").glob("chunk-*.npz")))
    before = chunks(tmp_path, "killed")
    assert run(tmp_path, "killed", size).wait() == 0
    # Nothing is computed again but the chunk that was being computed, or written, when the end came.
    assert chunks(tmp_path, "killed") - before == count - stored
    assert before - stored in (0, 1)
    assert run(tmp_path, "whole", size).wait() == 0
    resumed = sweep_results.from_netcdf((tmp_path / "killed.nc").read_bytes())
    whole = sweep_results.from_netcdf((tmp_path / "whole.nc").read_bytes())
    assert resumed.sizes["participants"] * resumed.sizes["chance"] == size[0] * size[1]
    assert_identical(resumed, whole)
    assert (resumed["certified"] == 1).all()


RICH = Problem(
    population=Population(
        costs=[0.03, 0.02, 0.01],
        probabilities=[0.4, 0.6, 1.0],
        participants={"clinics": 8, "Aachen": 1},
        groups=["clinics", "clinics", "Aachen"],
        capacities=[10.0, 20.0, 30.0],
    ),
    accuracy=GeneralizationBound(),
    valuation=LinearValuation(scale=[90.0, 100.0, 110.0]),
)


def test_every_ingredient_is_an_axis():
    stated = changed(
        RICH,
        {
            "population.capacities": [50.0, 60.0, 70.0],
            "population.capacities[2]": 80.0,
            "population.doubt.radius": 0.1,
            "population.participants.clinics": {"family": "poisson", "mean": 5},
            "population.probabilities[0]": 0.1,
            "valuation.scale[1]": 95.0,
            "outside.joining_cost": 3.0,
            "menu.options": 2,
            "baseline": 0.25,
            "objective": {"family": "rawlsian", "coordinator": 1.0},
        },
    )
    population = stated.population
    assert population.capacities.tolist() == [50.0, 60.0, 80.0]
    assert population.doubt is not None
    assert population.doubt.radius == 0.1
    assert population.participants[0].mean == 5.0
    assert population.participants[1] == 1
    np.testing.assert_allclose(population.probabilities, [0.1, 0.9, 1.0])
    assert stated.valuation.scale.tolist() == [90.0, 95.0, 110.0]
    assert (stated.outside.joining_cost, stated.menu.options, stated.baseline) == (3.0, 2, 0.25)
    again = changed(
        stated, {"objective.coordinator": 2.0, "accuracy.baseline": 0.5, "population.doubt.radius": 0.2}
    )
    assert (again.objective.coordinator, again.baseline, again.population.doubt.radius) == (2.0, 0.5, 0.2)
    assert changed(again, {"objective": {"family": "value"}}).objective is None


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("population.participants.clinic", 3, "no such group: expected clinics, Aachen"),
        ("population.doubt.raduis", 0.1, "did you mean 'population.doubt.radius'"),
        ("outside.joining", 1.0, "did you mean 'outside.joining_cost'"),
        ("objective.coordinator", 1.0, "expected a problem with an objective"),
        ("population.qualities[0]", 0.5, "expected an entry of a list"),
        ("menu.options", 0, "options = 0: expected a whole number"),
        ("menu", {"option": 3}, "did you mean 'options'"),
        ("population.capacities[7]", 1.0, "expected an entry of a list with 3 entries"),
    ],
)
def test_fields_that_are_not_there_are_named(field, value, message):
    with pytest.raises(InvalidInput, match=message):
        changed(RICH, {field: value})


def test_another_problem_is_another_sweep():
    """Every ingredient is part of what a stored chunk belongs to."""
    from modelpact.sweeps import _Plan

    axes = {"participants": Axis.of("population.participants.clinics", [4, 10])}
    changes = [
        {"outside.joining_cost": 1.0},
        {"menu.lot": 2.0},
        {"baseline": 0.1},
        {"population.doubt.radius": 0.1},
        {"population.capacities[2]": 31.0},
        {"objective": {"family": "welfare"}},
        {},
    ]
    digests = {_Plan(changed(RICH, change), axes, 4).digest for change in changes}
    assert len(digests) == len(changes)
