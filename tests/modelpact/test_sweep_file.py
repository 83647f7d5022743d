"""Sweep files, the command and the pictures."""

import json
from pathlib import Path

import numpy as np
import pytest

from contracts import GeneralizationBound, InvalidInput, LinearValuation, Population, Problem
from modelpact import sweep_results
from modelpact.axes import Axis
from modelpact.sweep_file import read_sweep, sweep_command
from modelpact.sweep_plots import plot_sweep
from modelpact.sweeps import sweep

ROOT = Path(__file__).parents[2]
PROBLEM = """
[problem.population]
costs = [0.02, 0.01]
probabilities = [0.5, 0.5]
participants = 10
[problem.accuracy]
family = "generalization-bound"
optimum = 1.0
complexity = 1.0
[problem.valuation]
family = "linear"
scale = 100.0
"""
SMALL = (
    PROBLEM
    + """
[axes.participants]
field = "population.participants"
values = [10, 20]
[axes.belief]
field = "belief"
values = ["interim", "ex-ante"]
"""
)


@pytest.mark.parametrize("name", ["two_types", "scenarios"])
def test_the_examples_are_sweeps(name):
    stated = read_sweep(ROOT / "examples" / "sweeps" / f"{name}.toml")
    assert np.prod([len(axis.labels) for axis in stated.axes.values()]) in (1500, 72)


@pytest.mark.slow
def test_the_command_writes_results_and_a_picture(tmp_path, capsys):
    spec = tmp_path / "small.toml"
    spec.write_text(SMALL)
    assert sweep_command(spec, plot=tmp_path / "small.png", json=True) == 0
    summary = json.loads(capsys.readouterr().out)
    assert summary["problems"] == summary["certified"] == 4
    assert 0.0 <= summary["largest_gap"] < 1e-3  # of a largest value of 100, where curves have floors
    data = sweep_results.from_netcdf((tmp_path / "small.nc").read_bytes())
    assert data.sizes == {"participants": 2, "belief": 2, "type": 2}
    assert data["objective"].attrs["units"] == "cost"
    assert (tmp_path / "small.png").read_bytes().startswith(b"\x89PNG")


def test_a_sweep_with_failures_says_so_and_exits_with_one(tmp_path, capsys):
    spec = tmp_path / "failing.toml"
    spec.write_text(SMALL.replace("[10, 20]", "[10, 1]"))
    assert sweep_command(spec) == 1
    shown = capsys.readouterr().out
    assert "4 problems: 2 solved, 2 certified" in shown
    assert "participants = 1" in shown


def test_a_problem_file_may_be_named_and_several_fields_set_at_once(tmp_path):
    (tmp_path / "problem.toml").write_text(PROBLEM.replace("problem.", ""))
    spec = tmp_path / "spec.toml"
    spec.write_text(
        'problem = "problem.toml"\nchunk = 7\n[axes.scenario]\nlabels = ["a", "b"]\n'
        "table = [{population.costs = [0.3, 0.1]}, {population.costs = [0.2, 0.1], valuation.scale = 90.0}]\n"
    )
    stated = read_sweep(spec)
    assert stated.chunk == 7
    assert stated.axes["scenario"].settings[1] == {"population.costs": [0.2, 0.1], "valuation.scale": 90.0}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("values = [10, 20]", "linear = [1, 2]"), r"\[axes.participants\] linear"),
        (("values = [10, 20]", ""), "0 of values, linear, logarithmic, table"),
        (("values = [10, 20]", "values = []"), "expected a list"),
        (("values = [10, 20]", "values = [10, 20]\nvalue = 3"), "unknown key 'value'"),
        (('field = "belief"', "field = 3"), "field = 3: expected a text"),
        (("[problem.valuation]", "[problem.valuatoin]"), "did you mean 'valuation'"),
        (("costs = [0.02, 0.01]", "costs = [0.02, -0.01]"), r"costs\[1\] = -0.01"),
        (("[axes.belief]", "[axis.belief]"), "did you mean 'axes'"),
        (("[axes.belief]", "[axes.belief"), "not TOML"),
    ],
)
def test_mistakes_in_a_file_are_named(tmp_path, change, message):
    spec = tmp_path / "wrong.toml"
    assert change[0] in SMALL
    spec.write_text(SMALL.replace(*change))
    with pytest.raises(InvalidInput, match=message) as caught:
        read_sweep(spec)
    assert "wrong.toml" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_pictures_have_a_panel_for_each_variable_and_type():
    problem = Problem(
        population=Population(costs=[0.02, 0.01], probabilities=[0.5, 0.5], participants=10),
        accuracy=GeneralizationBound(),
        valuation=LinearValuation(scale=100.0),
    )
    axes = {
        "participants": Axis.logarithmic("population.participants", 2, 2000, 4),
        "belief": Axis.of("belief", ["interim", "ex-ante"]),
    }
    data = sweep(problem, axes)
    titles = [axis.get_title() for axis in plot_sweep(data).axes if axis.get_title()]
    assert len(titles) == 7
    lines = plot_sweep(data.sel(belief="interim"), ["contribution", "objective"]).axes
    assert [axis.get_xscale() for axis in lines] == ["log", "log"]
    np.testing.assert_array_equal(
        lines[0].lines[1].get_ydata(), data["contribution"].sel(belief="interim").values[:, 1]
    )
    with pytest.raises(InvalidInput, match="variables = 'error'"):
        plot_sweep(data, ["error"])


def test_what_cannot_be_drawn_is_refused_before_anything_is_computed(tmp_path, monkeypatch):
    path, computed = tmp_path / "three.toml", []
    path.write_text(
        "[problem.population]\ncosts = [0.02, 0.01]\nprobabilities = [0.5, 0.5]\nparticipants = 6\n"
        '[problem.accuracy]\nfamily = "power-law"\noptimum = 0.9\ncoefficient = 1.0\nexponent = 0.5\n'
        '[problem.valuation]\nfamily = "linear"\nscale = 100.0\n'
        '[axes.a]\nfield = "population.participants"\nvalues = [3, 6]\n'
        '[axes.b]\nfield = "valuation.scale"\nvalues = [50.0, 100.0]\n'
        '[axes.c]\nfield = "accuracy.optimum"\nvalues = [0.9, 0.95]\n'
    )
    monkeypatch.setattr("modelpact.sweep_file.sweep", lambda *_, **__: computed.append(1))
    with pytest.raises(InvalidInput, match=r"the sweep has the axes \['a', 'b', 'c'\]: expected one or two"):
        sweep_command(path, plot=tmp_path / "three.png")
    assert not computed
    assert [each.name for each in tmp_path.iterdir()] == ["three.toml"]
