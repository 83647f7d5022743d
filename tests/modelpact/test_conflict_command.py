"""`modelpact conflict`: what is printed and written, and what is refused."""

import json
from pathlib import Path

import pytest

from contracts.errors import InvalidInput
from mechanisms.conflict import measure_conflict
from modelpact.conflict import conflict, read_conflict_file
from modelpact.conflict_kept import kept

SMALL = """
[coalition]
dataset = "iris"
participants = 5
malicious = 1
rounds = 8
samples = 12
group_samples = 6
hidden = []

[[sweep]]
knob = "representativeness"
values = [2, 3]
rules = ["mean", "median"]
seeds = 2

[thresholds]
gain = 0.05
"""


@pytest.fixture
def config(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "conflict.toml"
    path.write_text(SMALL)
    return path


@pytest.mark.slow
def test_table_json_and_plot(config, tmp_path, capsys):
    output, plot = tmp_path / "out.json", tmp_path / "out.svg"
    assert conflict(config, output=output, plot=plot) == 0
    printed = capsys.readouterr().out
    assert "representativeness" in printed
    assert "median" in printed
    (curves,) = json.loads(output.read_text())["sweeps"]
    assert curves["thresholds"] == {"gain": 0.05, "success": 0.1}
    assert len(curves["gain"]) == 2
    assert len(curves["gain"][0][0]) == curves["seeds"] == 2
    assert plot.read_text().lstrip().startswith("<?xml")


def test_json_on_standard_output_is_json_alone(config, capsys):
    assert conflict(config, json=True) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["sweeps"][0]["knob"] == "representativeness"
    assert found["finished"]


TWO = (
    SMALL.replace('rules = ["mean", "median"]', 'rules = ["mean"]')
    + """
[[sweep]]
knob = "representativeness"
values = [3]
rules = ["median"]
seeds = 2
"""
)


def test_a_stopped_command_shows_keeps_and_goes_on(config, tmp_path, capsys, monkeypatch):
    config.write_text(TWO)
    asked, told, measure = [], [], measure_conflict
    monkeypatch.setattr("modelpact.conflict.foretell", told.append)

    def stopping(*arguments, on_rule=None, **options):
        asked.append((options["knob"], tuple(options["rules"])))
        if options["rules"] == ["median"]:
            raise KeyboardInterrupt
        return measure(*arguments, on_rule=on_rule, **options)

    monkeypatch.setattr("modelpact.conflict.measure_conflict", stopping)
    with pytest.raises(KeyboardInterrupt):
        conflict(config)
    printed = capsys.readouterr()
    assert "2 of 2 sweeps to measure, 2 rules: about" in told[0]
    assert "mean" in printed.out
    half = json.loads((tmp_path / "conflict-conflict.json").read_text())
    assert len(half["sweeps"]) == 1
    assert not half["finished"]
    asked.clear()
    monkeypatch.setattr(
        "modelpact.conflict.measure_conflict", lambda **options: asked.append(1) or measure(**options)
    )
    assert conflict(config) == 0
    printed = capsys.readouterr()
    assert "1 of 2 sweeps to measure" in told[1]
    assert len(asked) == 1
    assert "mean" in printed.out
    assert "median" in printed.out
    whole = json.loads((tmp_path / "conflict-conflict.json").read_text())
    assert whole["finished"]
    assert whole["sweeps"][0] == half["sweeps"][0]
    # done already: shown from what is kept; a changed sweep is measured again
    asked.clear()
    assert conflict(config) == 0
    assert asked == []
    assert capsys.readouterr().err == ""
    config.write_text(TWO.replace("values = [3]", "values = [2]"))
    assert conflict(config) == 0
    assert len(asked) == 1


@pytest.mark.parametrize("content", ["", "{", "[]", '{"sweeps": [{"settings": "x"}]}', '{"sweeps": 3}'])
def test_files_that_hold_no_sweeps_are_no_sweeps(tmp_path, content):
    (tmp_path / "kept.json").write_text(content)
    assert kept(tmp_path / "kept.json") == {}


@pytest.mark.parametrize("name", ["conflict.toml", "conflict_open_checks.toml"])
def test_the_examples_are_accepted(name):
    assert len(read_conflict_file(Path(__file__).parents[2] / "examples" / name).sweeps) == 3


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("[[sweep]]", "[[sweep", "not TOML"),
        ("[[sweep]]", "[[sweeps]]", "unknown key 'sweeps'"),
        ("[[sweep]]", "[sweep]", "at least one"),
        ("knob = ", "nob = ", "unknown key 'nob'"),
        ('knob = "representativeness"', "", "has no 'knob'"),
        ('"representativeness"', '"luck"', "knob = 'luck'"),
        ("values = [2, 3]", "values = []", "not empty"),
        ("values = [2, 3]", 'values = [2, "x"]', r"values\[1\] = 'x'"),
        ("values = [2, 3]", "values = [2, 4]", "groups_held = 4"),
        ('"median"]', '"medina"]', "rule = 'medina'"),
        ('"median"]', '"bulyan"]', "bulyan needs at least"),
        ('"median"]', '"clipping-radius"]', "needs tolerance"),
        ("seeds = 2", "seeds = 0", "seeds = 0"),
        ("seeds = 2", 'attack = "bribe"', "attack = 'bribe'"),
        ("malicious = 1", "malicious = 3", "malicious = 3"),
        ("hidden = []", "hidden = 4", "hidden = 4"),
        ("hidden = []", "hiden = []", "unknown key 'hiden'"),
        ('"iris"', '"mnist"', "dataset = 'mnist'"),
        ("gain = 0.05", "gain = 2", "thresholds.gain = 2"),
        ("[coalition]", "coalition = 3\n[thresholds2]", "unknown key"),
    ],
)
def test_bad_files(config, old, new, message):
    config.write_text(config.read_text().replace(old, new, 1))
    with pytest.raises(InvalidInput, match=message):
        conflict(config)


def test_missing_file_and_bad_plot(config, tmp_path):
    with pytest.raises(InvalidInput, match="cannot read"):
        conflict(tmp_path / "none.toml")
    with pytest.raises(InvalidInput, match=r"ends in \.png"):
        conflict(config, plot=tmp_path / "out.jpeg")
    with pytest.raises(InvalidInput, match="there is no folder"):
        conflict(config, output=tmp_path / "none" / "out.json")
    assert [path.name for path in tmp_path.iterdir()] == ["conflict.toml"]
