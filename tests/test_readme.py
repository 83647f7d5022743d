"""The README's Python runs, its commands exist, and the output it shows is what is printed today."""

import re
from pathlib import Path

import pytest

from modelpact.cli import main

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?(?:e[+-]?\d+)?")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", TEXT, flags=re.M | re.S)


def commands() -> list[list[str]]:
    lines = "\n".join(blocks("sh")).replace("\\\n", " ").splitlines()
    found = [re.search(r"(?:^|[ /])modelpact (.*?)(?:&&|#|$)", line) for line in lines]
    return [match.group(1).split() for match in found if match]


def test_python_blocks_run_in_order(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    namespace: dict[str, object] = {}
    assert blocks("python")
    for block in blocks("python"):
        exec(compile(block, "README.md", "exec"), namespace)


def test_commands_run_in_order(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    assert len(commands()) >= 4
    for command in commands():
        assert main(command) == 0


def test_two_commands_set_everything_up():
    setting_up = [block for block in blocks("sh") if "-m venv" in block]
    assert len(setting_up) == 2
    assert "modelpact design examples/" in setting_up[0]
    assert "pytest" in setting_up[1]


def test_the_output_shown_is_the_output(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    shown = blocks("text")[0]
    design = next(command for command in commands() if command[0] == "design")
    assert main(design) == 0
    printed = capsys.readouterr().out
    words = [NUMBER.sub("", part).split() for part in (shown, printed)]
    assert words[0] == words[1]
    # A bound against the true curve is as tight as the linear solver at hand makes it.
    loose = ("better by more than", "optimality gap")
    stable = [
        [line for line in part.splitlines() if not any(bound in line for bound in loose)]
        for part in (shown, printed)
    ]
    numbers = [[float(n.replace(",", "")) for line in part for n in NUMBER.findall(line)] for part in stable]
    # slacks and gaps near zero are rounding: only their size is compared
    assert numbers[1] == pytest.approx(numbers[0], rel=1e-4, abs=1e-3)
