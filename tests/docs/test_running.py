"""Every block of code in the documentation runs, in order, as a reader would run it.

- `python` is executed, `pycon` is a session whose answers must be those shown;
- `console` runs the lines that start with `$ modelpact` and compares what they print, if it is shown;
- a block of `toml`, or of `python` or `text` with a caption, is the file of that name;
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

import pytest

from modelpact.cli import main

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(page for page in DOCS.rglob("*.md") if "_build" not in page.parts)
SLOW = {
    "run-a-whole-scheme",
    "choose-an-aggregation-rule",
    "property-tests",
    "deliver-a-promised-accuracy",
    "use-a-cluster",
    "sweep-thousands",
}

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
    if content.startswith(":caption:"):
        _file(content, namespace, where)
        return
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


def _file_or_picture(content: str, namespace: dict[str, Any], where: str) -> None:
    if content.startswith(":caption:"):
        _file(content, namespace, where)


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
    "sh": _elsewhere,
    "json": _parsed,
    "text": _file_or_picture,
}


RUNNABLE = [
    pytest.param(page, marks=pytest.mark.slow) if page.stem in SLOW else page
    for page in PAGES
    if any(language != "text" for language, *_ in blocks(page))
]


def title(page: Path) -> str:
    return str(page.relative_to(DOCS))


@pytest.mark.parametrize("page", RUNNABLE, ids=title)
def test_the_page_runs(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    run(page)


@pytest.mark.parametrize("page", PAGES, ids=title)
def test_every_block_says_what_it_is(page):
    text = page.read_text(encoding="utf-8")
    fences = [line for line in text.splitlines() if line.startswith("```")]
    assert len(fences) % 2 == 0
    for opening in fences[::2]:
        known = re.fullmatch(r"```(?:\{code-block\} )?(\w+)", opening)
        assert (known and known[1] in RUNNERS) or re.fullmatch(r"```\{[\w-]+\}.*", opening), opening


def test_the_runner_notices_mistakes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for wrong in (
        "```python\nassert 1 == 2\n```\n",
        "```pycon\n>>> 1 + 1\n3\n```\n",
        "```console\n$ modelpact design nowhere.toml\n```\n",
        "```console\n$ modelpact catalogue S1\nbelief\n```\n",
        "```toml\nx = 1\n```\n",
        "```sh\nrm -r /\n```\n",
    ):
        page = tmp_path / "page.md"
        page.write_text(wrong)
        with pytest.raises(Exception):  # noqa: B017, PT011 - whatever it is
            run(page)
    assert Checker().check_output("x 1.0001\n", "x 1.00012\n", 0)
    assert not Checker().check_output("x 1.0\n", "x 1.1\n", 0)
    assert not Checker().check_output("x 1\n", "y 1\n", 0)
