"""The command that says on which numbers a contract hangs, and its picture.

>>> from modelpact.sensitivity_command import tornado
>>> callable(tornado)
True
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.table import Table

from contracts.checks import short
from contracts.errors import BackendMissing
from modelpact import tables
from modelpact.problem_file import read_problem
from modelpact.sensitivity import Effect, Sensitivity, sensitivity
from modelpact.terminal import PICTURES, Flag, document, progress, whisper, writable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_BARS = 20
BLUE, ORANGE = "#3B6FB6", "#D9822B"


def sensitivity_command(
    problem: Path,
    /,
    *,
    by: float = 0.1,
    field: tuple[str, ...] = (),
    plot: Path | None = None,
    time_limit: float = 10.0,
    json: Flag = False,
) -> int:
    """Say on which numbers the best contract hangs: design it again with each smaller and larger.

    Prints, for each number of the problem, by how much the objective changes where it is smaller and where it is
    larger, with everything else as stated, and for whom signing changes most. Exits with 0.

    Parameters
    ----------
    problem
        A problem file, as for `modelpact design`.
    by
        The share by which each number varies.
    field
        Only this number, such as population.costs[0]; may be given several times.
    plot
        Where to draw the changes (.png, .pdf or .svg).
    time_limit
        Seconds that each search for a proof may take.
    json
        Print one JSON document instead.
    """
    stated = read_problem(problem)
    writable(plot, PICTURES)
    whisper(stated.notes, "note: ")
    with progress("designing") as report:
        found = sensitivity(stated.problem, by=by, fields=field or None, time_limit=time_limit, done=report)
    picture = _encoded(found, plot.suffix) if plot else None
    if json:
        print(document("sensitivity", _record(found)), end="")
    else:
        _show(found)
    if plot and picture is not None:
        from contracts.storage import write_atomically

        write_atomically(plot, picture)
        if not json:
            tables.console().print(f"Wrote {plot}")
    return 0


def _record(found: Sensitivity) -> dict[str, Any]:
    names = found.contract.problem.population.names
    return {"by": found.by, "reached": found.contract.reached, "names": names, "effects": found.effects}


def _show(found: Sensitivity) -> None:
    share = f"{100 * found.by:g} %"
    table = Table(
        "number",
        "as it is less and more",
        "objective, less",
        "more",
        "signing changes most for",
        **tables.boxed(),
    )
    for column in table.columns[2:4]:
        column.justify = "right"
    for effect in found.effects:
        table.add_row(
            effect.field, _values(effect), *_changes(effect, found.contract.reached), _whom(effect, found)
        )
    out = tables.console()
    out.print(
        f"Objective of the best contract {found.contract.reached:,.6g}; each number {share} less and more:\n"
    )
    out.print(table)
    for effect in found.effects:
        for error, real in zip(effect.errors, effect.possible, strict=True):
            if error and real:
                out.print(f"{effect.field}: {error}")


def _values(effect: Effect) -> str:
    if any(isinstance(value, np.ndarray) for value in effect.values):
        return "in proportion"
    return ", ".join(f"{value:.6g}" for value in effect.values)


def _changes(effect: Effect, reached: float) -> list[str]:
    return [
        ("none exists" if real else "-") if one is None else f"{one - reached:+,.4g}"
        for one, real in zip(effect.reached, effect.possible, strict=True)
    ]


def _whom(effect: Effect, found: Sensitivity) -> str:
    """Who gains or loses most by signing, compared with the contract as stated."""
    changes = [one - found.contract.information_rent for one in effect.better_by if one is not None]
    if not changes or not np.isfinite(changes).all():
        return "-"
    change = changes[int(np.argmax([np.abs(one).max() for one in changes]))]
    most = int(np.abs(change).argmax())
    if abs(change[most]) <= 100 * found.contract.certificate.tolerance:
        return "-"
    return f"{short((found.contract.problem.population.names or ())[most])} ({change[most]:+,.4g})"


def tornado(found: Sensitivity) -> Figure:
    """Draw the changes of the objective, the largest on top.

    Args:
        found: what `sensitivity` said.

    Returns:
        The matplotlib figure.

    Raises:
        BackendMissing: matplotlib is not installed.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise BackendMissing("matplotlib", "plotting", "plots") from error
    effects = [effect for effect in found.effects if any(effect.possible)][:MOST_BARS][::-1]
    figure = Figure(figsize=(8, 1.2 + 0.32 * len(effects)), layout="constrained")
    FigureCanvasAgg(figure)
    axes, reached = figure.subplots(), found.contract.reached
    for side, colour, label in ((0, BLUE, "less"), (1, ORANGE, "more")):
        ends = [effect.reached[side] for effect in effects]
        widths = [0.0 if end is None else end - reached for end in ends]
        axes.barh(
            range(len(effects)),
            widths,
            left=reached,
            color=colour,
            height=0.62,
            label=f"{100 * found.by:g} % {label}",
        )
    for place, effect in enumerate(effects):
        for one, real in zip(effect.reached, effect.possible, strict=True):
            if one is None and real:
                axes.annotate("  no contract", (reached, place), va="center", fontsize=8)
    axes.axvline(reached, color="black", linewidth=0.8)
    axes.set_yticks(range(len(effects)), [effect.field for effect in effects], fontsize=9)
    axes.set_xlabel("objective of the best contract")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=9, loc="lower right")
    return figure


def _encoded(found: Sensitivity, suffix: str) -> bytes:
    from contracts.contract.plots import encode

    return encode(tornado(found), suffix)
