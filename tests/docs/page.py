"""Run a page of the documentation: every block of code on it, in order, as a reader would.

- `python` is executed, `pycon` is a session whose answers must be those shown;
- `console` runs the lines that start with `$ modelpact` and compares what they print, if it is shown;
- a block of `toml` or `csv` with a caption is the file of that name;
- `sh` says what to type elsewhere and may only install things, start a cluster, or run a test suite;
- `json` must parse. All blocks of a page share one folder and one namespace.
"""

from __future__ import annotations

import contextlib
import doctest
import io
import json
import re
from pathlib import Path
from typing import Any

from modelpact.cli import main

FENCE = re.compile(r"^```(\{code-block\} )?(\w+)\n(.*?)^```$", flags=re.M | re.S)
NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?(?:e[+-]?\d+)?")
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
ELSEWHERE = ("pip install ", "dask scheduler", "dask worker", "python -m pytest", "#")
TOLERANCE = 1e-4  # of numbers shown, relative above one: they are printed with four digits or so


class Checker(doctest.OutputChecker):
    """Equal words, and numbers equal up to the tolerance."""

    def check_output(self, want: str, got: str, optionflags: int) -> bool:
        return super().check_output(want, got, optionflags) or close(want, got)


def close(shown: str, printed: str) -> bool:
    words = [NUMBER.sub("0", text).split() for text in (shown, printed)]
    numbers = [[float(each.replace(",", "")) for each in NUMBER.findall(text)] for text in (shown, printed)]
    return words[0] == words[1] and all(
        abs(a - b) <= TOLERANCE * max(1.0, abs(a)) for a, b in zip(*numbers, strict=True)
    )


def blocks(page: Path) -> list[tuple[str, str, int]]:
    """(language, content, line) of every block of code."""
    text = page.read_text(encoding="utf-8")
    return [(found[2], found[3], text.count("\n", 0, found.start()) + 2) for found in FENCE.finditer(text)]


def run(page: Path) -> None:
    namespace: dict[str, Any] = {"__name__": page.stem}
    for language, content, line in blocks(page):
        RUNNERS[language](content, namespace, f"{page.name}:{line}")


def _python(content: str, namespace: dict[str, Any], where: str) -> None:
    exec(compile(content, where, "exec"), namespace)


def _session(content: str, namespace: dict[str, Any], where: str) -> None:
    test = doctest.DocTestParser().get_doctest(content, namespace, where, where, 0)
    assert test.examples, where
    report = io.StringIO()
    runner = doctest.DocTestRunner(checker=Checker(), optionflags=FLAGS, verbose=False)
    test.globs = namespace  # the parser copies them
    runner.run(test, out=report.write, clear_globs=False)
    assert runner.summarize(verbose=False).failed == 0, report.getvalue()


def _console(content: str, _: dict[str, Any], where: str) -> None:
    for part in re.split(r"^\$ ", content, flags=re.M)[1:]:
        command, _, shown = part.replace("\\\n", " ").partition("\n")
        words = command.split("#")[0].split()
        assert words[0] == "modelpact", where
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = main(words[1:])
        printed = out.getvalue() + err.getvalue()
        if shown.strip():
            assert Checker().check_output(shown, printed, FLAGS), f"{where}\n{printed}"
        else:
            assert code == 0, f"{where}\n{printed}"


def _file(content: str, _: dict[str, Any], where: str) -> None:
    caption = re.match(r":caption: (\S+)\n", content)
    assert caption, f"{where}: which file is this?"
    Path(caption[1]).write_text(content[caption.end() :].lstrip("\n"), encoding="utf-8")


def _elsewhere(content: str, _: dict[str, Any], where: str) -> None:
    for line in content.splitlines():
        assert line.startswith(ELSEWHERE), f"{where}: {line}"


def _parsed(content: str, _: dict[str, Any], where: str) -> None:
    assert json.loads(content), where


RUNNERS = {
    "python": _python,
    "pycon": _session,
    "console": _console,
    "toml": _file,
    "csv": _file,
    "sh": _elsewhere,
    "json": _parsed,
    "text": lambda *_: None,
}
