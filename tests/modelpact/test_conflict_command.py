"""`modelpact conflict`: what is printed and written, and what is refused."""

import json
from pathlib import Path

import pytest

from contracts.errors import InvalidInput
from modelpact.conflict import conflict, read_conflict_file

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
def config(tmp_path):
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
    assert json.loads(capsys.readouterr().out)["sweeps"][0]["knob"] == "representativeness"


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
