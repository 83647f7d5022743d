"""What all commands share: options, JSON on stdout, progress on stderr, targets that can be written.

A command prints tables for people or, with `--json`, exactly one JSON document on stdout. Anything else (notes,
violations, errors) goes to stderr, one line each. Progress is shown on stderr, only where somebody watches.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from cyclopts import Parameter

from contracts.errors import InvalidInput
from modelpact.tables import console

Flag = Annotated[bool, Parameter(negative="")]
Report = Callable[[int, int], None]

PICTURES = (".png", ".pdf", ".svg")


def plain(value: Any) -> Any:
    """A value as JSON knows it: records and arrays unpacked, numbers that are not finite as null.

    >>> plain({"slack": np.array([0.5, np.inf]), "holds": np.True_})
    {'slack': [0.5, None], 'holds': True}
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {entry.name: plain(getattr(value, entry.name)) for entry in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist())
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [plain(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def document(kind: str, content: Any) -> str:
    """One JSON document of the schema `modelpact/<kind>/1`.

    >>> print(document("greeting", {"words": ("good", "day")}), end="")
    {
     "schema": "modelpact/greeting/1",
     "words": [
      "good",
      "day"
     ]
    }
    """
    named = {"schema": f"modelpact/{kind}/1", **plain(content)}
    return json.dumps(named, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


@contextlib.contextmanager
def working(what: str) -> Iterator[Callable[[str], None]]:
    """Turn a wheel on stderr while something runs; call what is given to say what is done now."""
    watched = console(error=True)
    if not watched.is_terminal:
        yield lambda _: None
        return
    with watched.status(what) as status:
        yield status.update


@contextlib.contextmanager
def progress(what: str) -> Iterator[Report]:
    """Show a bar with the time left on stderr; call what is given with what is done, and how much there is."""
    watched = console(error=True)
    if not watched.is_terminal:
        yield lambda *_: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=watched, transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, count: bar.update(task, completed=done, total=count)


def writable(path: Path | None, suffixes: tuple[str, ...] = (), keep: Path | None = None) -> None:
    """Refuse a target that could not be written, before any work is done.

    Args:
        path: the target; None is fine.
        suffixes: the endings accepted; any, if empty.
        keep: a file that must not be overwritten, the input.

    Raises:
        InvalidInput: saying what is wrong with the target.
    """
    if path is None:
        return
    if suffixes and path.suffix.lower() not in suffixes:
        raise InvalidInput(f"cannot write {path}: expected a name that ends in {' or '.join(suffixes)}")
    if path.is_dir():
        raise InvalidInput(f"cannot write {path}: it is a folder")
    if not path.parent.is_dir():
        raise InvalidInput(f"cannot write {path}: there is no folder {path.parent}")
    if keep is not None and keep.exists() and path.exists() and path.samefile(keep):
        raise InvalidInput(f"cannot write {path}: it is the input itself")


def spell(seconds: float) -> str:
    """A length of time in words, roughly.

    >>> spell(17.0), spell(200.0), spell(9000.0)
    ('15 seconds', '3 minutes', '2.5 hours')
    """
    if seconds < 90:
        return f"{max(5 * round(seconds / 5), 5)} seconds"
    return f"{round(seconds / 60)} minutes" if seconds < 5400 else f"{seconds / 3600:.1f} hours"


def foretell(line: str) -> None:
    """Print what is to come, and how long it takes, on stderr, only where somebody watches."""
    if console(error=True).is_terminal:
        whisper([line])


def whisper(lines: Sequence[str], prefix: str = "") -> None:
    """Print lines on stderr."""
    quiet = console(error=True)
    for line in lines:
        quiet.print(f"{prefix}{line}", markup=False)
