"""What all commands have in common: help that teaches, JSON, silence in pipes, progress for whoever watches."""

import inspect
import json
import os
import pty
import re
import shutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.errors import InvalidInput
from modelpact.cli import COMMANDS, SESSION, main
from modelpact.new import QUESTIONS
from modelpact.terminal import document, plain, progress, working, writable

ROOT = Path(__file__).parents[2]
GAME = (
    'title = "Three [agents]"\nloss_weight = 1.0\ncomplexity = 40.0\ncost = 3.125e-7\ntypes = [0.1, 0.2, 0.6]\n'
)
CONFLICT = """
[coalition]
dataset = "iris"
participants = 5
malicious = 1
rounds = 4
samples = 12
group_samples = 6
hidden = []
[[sweep]]
knob = "representativeness"
values = [2, 3]
rules = ["mean", "median"]
seeds = 1
"""
SWEEP = 'problem = "problem.toml"\n[axes.n]\nfield = "population.participants"\nvalues = [10, 20]\n'
LINES = {
    "new": ["new.toml", "--names", "a,b", "--costs", "0.2,0.1", "--participants", "10", "--scale", "100"],
    "fit": ["curve.csv"],
    "check": ["problem.toml"],
    "design": ["problem.toml"],
    "verify": ["contract.json"],
    "settle": ["contract.json", "--counts", "5,5"],
    "compare": ["contract.json", "contract.json"],
    "sensitivity": ["problem.toml", "--field", "valuation.scale"],
    "sweep": ["sweep.toml"],
    "play": ["game.toml"],
    "conflict": ["conflict.toml"],
    "report": ["contract.json"],
    "run": ["scheme.toml"],
    "catalogue": [],
}
KINDS = {
    "design": "contract",
    "verify": "certificate",
    "settle": "settlement",
    "play": "game",
    "compare": "comparison",
}
OPTIONS = {
    "output",
    "plot",
    "json",
    "solver",
    "counts",
    "policy",
    "seed",
    "scheduler",
    "check",
    "title",
    "data",
    "currency",
    "audit",
    "draws",
    "global_gap",
    "promises",
    "rigorous",
    "scenario",
    "time_limit",
    "by",
    "field",
    "groups",
    "at",
    "level",
    "baseline",
    "families",
    "table",
    *(question.flag for question in QUESTIONS),
}
SLOW = {"sweep", "conflict", "run"}
SOME = [pytest.param(name, marks=pytest.mark.slow) if name in SLOW else name for name in COMMANDS]
LONG = [name for name in SOME if name in ("design", "play") or not isinstance(name, str)]


@pytest.fixture
def folder(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("game.toml").write_text(GAME)
    Path("curve.csv").write_text(
        "data,accuracy,standard_error\n10,0.5,0.02\n40,0.65,0.01\n160,0.75,0.01\n640,0.8,0.01\n"
    )
    Path("conflict.toml").write_text(CONFLICT)
    Path("sweep.toml").write_text(SWEEP)
    shutil.copy(ROOT / "examples/digits-consortium/scheme.toml", "scheme.toml")
    assert main(["catalogue", "two-types", "--output", "problem.toml"]) == 0
    assert main(["design", "problem.toml", "--output", "contract.json"]) == 0
    capsys.readouterr()
    return tmp_path


def function(command):
    module, name = COMMANDS[command][0].split(":")
    return getattr(import_module(f"modelpact.{module}"), name)


def documented(command):
    """The keys that the reference lists for a command's JSON."""
    page = (ROOT / "docs" / "reference" / "command-line.md").read_text(encoding="utf-8")
    section = page.split(f"\n## modelpact {command}\n")[1].split("\n## ")[0]
    keys = [line.split(":")[0] for line in section.splitlines() if line.startswith("- `")]
    return {key for line in keys for key in re.findall(r"`(\w+)`", line)}


def run(arguments, folder, **other):
    environment = os.environ | {"PYTHONPATH": str(ROOT), "COLUMNS": "90"} | other
    words = [sys.executable, "-m", "modelpact", *arguments]
    return subprocess.run(words, cwd=folder, env=environment, capture_output=True, check=False)


def test_the_session_in_the_help_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["--help"]) == 0
    shown = capsys.readouterr().out
    commands = re.findall(r"^modelpact (.*)$", SESSION, flags=re.M)
    assert len(commands) >= 6
    for command in commands:
        assert f"modelpact {command}" in shown
        assert main(command.split()) == 0
    assert "Exit codes" in shown


def test_help_lists_every_command_and_each_explains_its_options(capsys):
    main(["--help"])
    overview = capsys.readouterr().out
    for command in COMMANDS:
        assert command in overview
        assert main([command, "--help"]) == 0
        shown = capsys.readouterr().out
        assert "--json" in shown
        assert "--no-" not in shown
        assert "Exit codes" in shown
        assert all(line == line[:80] for line in shown.splitlines())


def test_every_command_has_a_line_here():
    assert set(LINES) == set(COMMANDS)


@pytest.mark.parametrize("command", list(COMMANDS))
def test_options_have_the_same_names_everywhere(command):
    for name, parameter in inspect.signature(function(command)).parameters.items():
        positional = parameter.kind is inspect.Parameter.POSITIONAL_ONLY
        assert positional or (parameter.kind is inspect.Parameter.KEYWORD_ONLY and name in OPTIONS)


@pytest.mark.parametrize("command", SOME)
def test_json_is_one_document_and_nothing_else(command, folder, capsys):
    assert main([command, *LINES[command], "--json"]) == 0
    out, err = capsys.readouterr()
    found = json.loads(out)
    version = 2 if command == "design" else 1
    assert found["schema"] == f"modelpact/{KINDS.get(command, command)}/{version}"
    assert err == ""
    assert set(found) - {"schema"} == documented(command)


@pytest.mark.parametrize("command", [name for name in COMMANDS if name != "catalogue"])
def test_errors_are_one_line_also_with_json(command, folder, capsys):
    arguments = ["nowhere/nowhere.toml", *LINES[command][1:], "--json"]
    assert main([command, *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("modelpact: ")
    assert err.count("\n") == 1


def test_a_forged_contract_is_json_on_stdout_and_a_line_on_stderr(folder, capsys):
    forged = json.loads(Path("contract.json").read_text())
    forged["contribution"][0] *= 1.1
    Path("contract.json").write_text(json.dumps(forged))
    assert main(["verify", "contract.json", "--json"]) == 1
    out, err = capsys.readouterr()
    assert json.loads(out)["holds"] is False
    assert "type 1" in err


@pytest.mark.parametrize("command", LONG)
def test_in_a_pipe_there_is_no_colour_and_no_progress(command, folder):
    finished = run([command, *LINES[command]], folder)
    assert finished.returncode == 0
    assert finished.stderr == b""
    assert b"\x1b" not in finished.stdout
    assert not set("─│┃╭╰━") & set(finished.stdout.decode())


@pytest.mark.parametrize("command", LONG)
def test_on_a_terminal_progress_is_shown_on_stderr(command, folder):
    ours, theirs = pty.openpty()
    environment = os.environ | {"PYTHONPATH": str(ROOT), "TERM": "xterm-256color"}
    environment.pop("NO_COLOR", None)
    words = [sys.executable, "-m", "modelpact", command, *LINES[command]]
    process = subprocess.Popen(words, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=theirs)
    os.close(theirs)
    seen = b""
    while True:
        try:
            piece = os.read(ours, 4096)
        except OSError:  # the other end is closed
            break
        if not piece:
            break
        seen += piece
    assert process.stdout is not None
    with process.stdout as stream:
        out = stream.read()
    os.close(ours)
    assert process.wait() == 0
    assert b"\x1b" in seen
    assert b"\x1b" not in out


@pytest.mark.parametrize("closed", ["stdout", "stderr"])
@pytest.mark.parametrize("words", [["catalogue"], ["settle", "nowhere.json", "--counts", "1,1"]])
def test_a_stream_that_is_closed_changes_no_exit_code(monkeypatch, closed, words):
    """As after `modelpact catalogue >&-`, where Python has no stream at all."""
    monkeypatch.setattr(sys, closed, None)
    assert main(words) == (0 if words == ["catalogue"] else 2)


def test_a_terminal_that_lacks_a_character_gets_its_code(folder):
    finished = run(["play", "game.toml"], folder, PYTHONIOENCODING="ascii")
    assert finished.returncode == 0
    problem = Path("problem.toml").read_text(encoding="utf-8")
    Path("problem.toml").write_text(f'currency = "€"\n{problem}', encoding="utf-8")
    finished = run(["design", "problem.toml"], folder, PYTHONIOENCODING="ascii")
    assert finished.returncode == 0
    assert rb"\u20ac" in finished.stdout


def test_brackets_in_titles_are_printed(folder, capsys):
    assert main(["play", "game.toml"]) == 0
    assert "Three [agents]" in capsys.readouterr().out


def test_plain_knows_what_json_does_not():
    assert plain({1: np.float64("nan"), "a": (np.int64(3), np.array([True, False]))}) == {
        "1": None,
        "a": [3, [True, False]],
    }
    assert json.loads(document("x", {"y": np.inf})) == {"schema": "modelpact/x/1", "y": None}


TREES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(st.text(max_size=6).filter(lambda key: key != "schema"), TREES, max_size=5))
def test_every_document_is_json_and_loses_no_finite_number(content):
    def expected(value):
        if isinstance(value, dict):
            return {key: expected(entry) for key, entry in value.items()}
        if isinstance(value, list):
            return [expected(entry) for entry in value]
        return None if isinstance(value, float) and not np.isfinite(value) else value

    text = document("test", content)
    assert json.loads(text) == {"schema": "modelpact/test/1", **expected(content)}
    assert not {"NaN", "Infinity"} & set(
        re.findall(r'(?<!")\b\w+\b(?!")', re.sub(r'"(?:[^"\\]|\\.)*"', "", text))
    )


def test_progress_and_wheel_are_silent_in_tests(capsys):
    with progress("counting") as report, working("turning") as now:
        report(1, 2)
        now("still")
    assert capsys.readouterr() == ("", "")


def test_targets_are_refused_before_any_work(tmp_path):
    file = tmp_path / "file.toml"
    file.write_text("")
    writable(None)
    writable(tmp_path / "new.png", (".png",))
    for path, message in ((tmp_path, "folder"), (tmp_path / "a" / "b", "no folder"), (file, "input itself")):
        with pytest.raises(InvalidInput, match=message):
            writable(path, keep=file)
    with pytest.raises(InvalidInput, match=r"ends in \.png or \.pdf"):
        writable(tmp_path / "new.doc", (".png", ".pdf"))
