"""The catalogue: every number in it is computed again, and every file in it works."""

import json
import tomllib
from pathlib import Path

import numpy as np
import pytest

from contracts import InvalidInput, Problem
from equilibria import ParticipationGame
from modelpact import catalogue
from modelpact.citation import bibliography
from modelpact.cli import main
from modelpact.play import read_game
from modelpact.problem_file import read_problem
from modelpact.quantities import OF_GAMES, OF_PROBLEMS, OF_SWEEPS
from modelpact.sweep_file import SweepFile, read_sweep

ROOT = Path(__file__).parents[2]
EVERY = pytest.mark.parametrize("name", catalogue.names())


@EVERY
def test_every_reference_value_is_met(name):
    comparisons = catalogue.instance(name).check()
    assert comparisons
    for comparison in comparisons:
        assert comparison.holds, str(comparison)


@EVERY
def test_every_instance_has_a_source_and_known_quantities(name):
    found = catalogue.instance(name)
    assert {found.source, *(reference.by for reference in found.references)} <= set(bibliography())
    accepted = {"problem": OF_PROBLEMS, "sweep": OF_SWEEPS, "game": OF_GAMES}[found.kind]
    assert {reference.quantity for reference in found.references} <= set(accepted)
    assert all(0 < reference.tolerance <= 1e-4 for reference in found.references)


@EVERY
def test_what_is_printed_is_a_file_that_commands_read(name, tmp_path, capsys):
    path = tmp_path / "file.toml"
    assert main(["catalogue", name]) == 0
    path.write_text(capsys.readouterr().out)
    stated = catalogue.load(name)
    if isinstance(stated, Problem):
        again = read_problem(path).problem
        np.testing.assert_array_equal(again.population.costs, stated.population.costs)
        assert again.belief == stated.belief
    elif isinstance(stated, SweepFile):
        assert {k: axis.labels for k, axis in read_sweep(path).axes.items()} == {
            k: axis.labels for k, axis in stated.axes.items()
        }
    else:
        assert isinstance(stated, ParticipationGame)
        np.testing.assert_array_equal(read_game(path).game.types, stated.types)


def test_examples_of_the_same_instances_say_the_same():
    others = {"game": "harmonic-quality", "two_types": "two-type-grid"}
    found = [*(ROOT / "examples" / "paper").glob("*.toml")]
    for path in (*found, ROOT / "examples/harmonic_quality/game.toml", ROOT / "examples/sweeps/two_types.toml"):
        name = others.get(path.stem, path.stem)
        assert tomllib.loads(catalogue.instance(name).text) == tomllib.loads(path.read_text())


def test_no_file_is_left_without_an_entry():
    stored = {path.name for path in (ROOT / "modelpact" / "instances").glob("*.toml")} - {"index.toml"}
    entries = tomllib.loads((ROOT / "modelpact" / "instances" / "index.toml").read_text())
    assert stored == {entry["file"] for entry in entries.values()}


def test_checking_can_fail(monkeypatch, capsys):
    index = dict(tomllib.loads((ROOT / "modelpact" / "instances" / "index.toml").read_text()))
    index["S2"]["references"][0]["value"] *= 1 + 1e-6
    index["S2"]["references"][1]["value"] = 69.053252849  # said to differ, but does not
    monkeypatch.setattr(catalogue, "_index", lambda: index)
    assert main(["catalogue", "S2", "--check"]) == 1
    assert capsys.readouterr().out.count("THIS DOES NOT HOLD") == 2


def test_the_command_checks_and_reports(capsys):
    assert main(["catalogue", "two-types", "--check"]) == 0
    assert "64.160811944" in capsys.readouterr().out
    assert main(["catalogue", "two-types", "--check", "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)["instances"]
    assert all(comparison["holds"] for comparison in found["comparisons"])
    assert main(["catalogue"]) == 0
    out = capsys.readouterr().out
    assert all(name in out for name in catalogue.names())


def test_mistakes_are_refused(tmp_path, capsys):
    for arguments, message in (
        (["s4"], "name = 's4': expected one of S1"),
        (["S1", "--output", str(tmp_path)], "it is a folder"),
        (["--output", str(tmp_path / "a.toml")], "expected the name of what to write"),
    ):
        assert main(["catalogue", *arguments]) == 2
        assert message in capsys.readouterr().err
    with pytest.raises(InvalidInput, match="name = 3"):
        catalogue.load(3)
