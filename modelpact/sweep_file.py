"""Sweeps stated in a TOML file, and the command that runs them.

```toml
problem = "problem.toml"              # a problem file; or a table [problem] of the same form
chunk = 256                           # optional: problems computed and stored together

[axes.participants]                   # the table's name is the dimension's
field = "population.participants"
linear = [2, 100, 50]                 # start, stop, count; or logarithmic = [...], or values = [...]

[axes.chance]
field = "population.probabilities[0]" # one entry; the other probabilities are rescaled
linear = [0.02, 0.98, 30]

[axes.scenario]                       # several fields at once: a table of settings
labels = ["even", "spread"]
table = [
    {"population.costs" = [0.2, 0.1]},
    {"population.costs" = [0.5, 0.01], "valuation.scale" = 90.0},
]
```
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from contracts import checks
from contracts.errors import InvalidInput
from contracts.problem import Problem
from contracts.problem.data import problem_from_data
from contracts.problem.data_tables import known
from contracts.records import frozen
from modelpact.axes import WHOLE_TABLES, Axis
from modelpact.problem_file import read_problem, read_toml
from modelpact.sweeps import CHUNK, sweep
from modelpact.table_files import TABLES, write_table
from modelpact.terminal import PICTURES, Flag, document, progress, writable
from modelpact.verdicts import UNPROVED

if TYPE_CHECKING:
    import xarray

RANGES = {"linear": Axis.linear, "logarithmic": Axis.logarithmic}


@frozen
class SweepFile:
    """What a sweep file says.

    Attributes:
        path: the file.
        problem: the problem that the axes change.
        axes: the axes by dimension.
        chunk: how many problems are computed and stored together.
    """

    path: Path
    problem: Problem
    axes: Mapping[str, Axis]
    chunk: int


def read_sweep(path: str | Path) -> SweepFile:
    """Read a sweep file.

    Raises:
        InvalidInput: one line that names the file, the key, the value found and what is accepted.

    >>> read_sweep("nowhere.toml")
    Traceback (most recent call last):
    contracts.errors.InvalidInput: nowhere.toml: No such file or directory: expected a TOML file
    """
    place = Path(path)
    document = read_toml(place)
    try:
        known("", document, ("problem", "axes"), ("chunk",))
        if not isinstance(document["axes"], dict) or not document["axes"]:
            raise InvalidInput("axes: expected at least one table [axes.NAME]")
        return SweepFile(
            path=place,
            problem=_problem(document["problem"], place.parent),
            axes={name: _axis(name, table) for name, table in document["axes"].items()},
            chunk=checks.integer("chunk", document.get("chunk", CHUNK), low=1, high=100_000),
        )
    except InvalidInput as error:
        raise InvalidInput(f"{path}: {error}") from error


def _problem(stated: Any, folder: Path) -> Problem:
    if isinstance(stated, str):
        return read_problem(folder / stated).problem
    if not isinstance(stated, dict):
        raise InvalidInput(
            f"problem = {stated!r:.60}: expected the path of a problem file, or a table [problem]"
        )
    return problem_from_data(stated)


def _axis(name: str, table: Any) -> Axis:
    if not isinstance(table, dict):
        raise InvalidInput(f"axes.{name} = {table!r:.60}: expected a table [axes.{name}]")
    kinds = [kind for kind in ("values", "linear", "logarithmic", "table") if kind in table]
    if len(kinds) != 1:
        raise InvalidInput(
            f"[axes.{name}] {len(kinds)} of values, linear, logarithmic, table: expected exactly one"
        )
    kind = kinds[0]
    entries = table[kind]
    try:
        if not isinstance(entries, list) or not entries:
            raise InvalidInput(f"{kind} = {entries!r:.60}: expected a list")
        if kind == "table":
            known("", table, ("table",), ("labels",))
            if not all(isinstance(entry, dict) and entry for entry in entries):
                raise InvalidInput("table: expected a list of tables of fields and values")
            settings = [_flat(entry) for entry in entries]
            return Axis(settings=settings, labels=table.get("labels", range(len(settings))))
        known("", table, ("field", kind), ("labels",) if kind == "values" else ())
        if not isinstance(table["field"], str):
            raise InvalidInput(f"field = {table['field']!r:.60}: expected a text")
        if kind == "values":
            return Axis.of(table["field"], entries, table.get("labels"))
        if len(entries) != 3:
            raise InvalidInput(f"{kind} = {entries!r:.60}: expected [start, stop, count]")
        return RANGES[kind](table["field"], *entries)
    except InvalidInput as error:
        raise InvalidInput(f"[axes.{name}] {error}") from error


def _flat(entry: dict[str, Any]) -> dict[str, Any]:
    """Settings by field; TOML reads an unquoted population.costs as a table in a table."""
    flat: dict[str, Any] = {}
    for key, value in entry.items():
        if key in WHOLE_TABLES and isinstance(value, dict) and "family" not in value:
            if key == "population" and {"costs", "participants"} <= set(value):
                flat[key] = value
            else:
                flat |= {f"{key}.{name}": inner for name, inner in value.items()}
        else:
            flat[key] = value
    return flat


def sweep_command(
    spec: Path,
    /,
    *,
    output: Path | None = None,
    scheduler: str | None = None,
    plot: Path | None = None,
    table: Path | None = None,
    json: Flag = False,
) -> int:
    """Design, verify and benchmark every combination of a sweep file's axes.

    An interrupted sweep continues when it is started again. Exits with 0 if every problem was solved and
    proved optimal, with 3 if every promise of every contract holds at least, else with 1.

    Parameters
    ----------
    spec
        TOML file with a problem and the axes along which its fields vary.
    output
        Where to write the results (NetCDF); by default beside the sweep file.
    scheduler
        Address of a dask scheduler on whose workers to compute, such as tcp://host:8786.
    plot
        Where to draw the results (.png, .pdf or .svg); for sweeps with one or two axes.
    table
        Where to write the results for spreadsheets (.csv or .xlsx), a row for each problem and type.
    json
        Print the summary as JSON.
    """
    from contracts.storage import write_atomically

    stated = read_sweep(spec)
    target = output or spec.with_suffix(".nc")
    writable(target, keep=spec)
    writable(plot, PICTURES)
    writable(table, TABLES, keep=spec)
    if plot is not None:
        from modelpact.sweep_plots import check_drawable

        check_drawable(list(stated.axes))
    with progress(spec.name) as report:
        data = sweep(
            stated.problem, stated.axes, output=target, scheduler=scheduler, chunk=stated.chunk, report=report
        )
    if table is not None:
        rows = data.to_dataframe().reset_index()
        write_table(table, {str(name): rows[name].tolist() for name in rows.columns}, sheet="sweep")
    if plot is not None:
        from modelpact.sweep_plots import picture

        write_atomically(plot, picture(data, plot.suffix))
    summary = summarise(data) | {"output": str(target)}
    print(document("sweep", summary) if json else _shown(summary) + "\n", end="")
    for path in (plot, table):
        if path is not None and not json:
            print(f"Wrote {path}")
    if summary["certified"] == summary["problems"]:
        return 0
    return UNPROVED if summary["holding"] == summary["problems"] else 1


def summarise(data: xarray.Dataset) -> dict[str, Any]:
    """The sweep in a few numbers: how many problems, how many certified, worst gaps, ranges, first errors."""
    solved = np.isfinite(data["objective"].values)
    errors = data["error"].values.ravel()
    failed = [str(error) for error in errors if error]

    def spread(name: str) -> list[float] | None:
        values = data[name].values[solved]
        return [float(values.min()), float(values.max())] if values.size else None

    gaps = data["gap"].values
    return {
        "problems": int(solved.size),
        "solved": int(solved.sum()),
        "holding": int(data["holds"].values.sum()),
        "certified": int(data["certified"].values.sum()),
        "largest_gap": float(np.nanmax(gaps)) if np.isfinite(gaps).any() else None,
        "objective": spread("objective"),
        "information_cost": spread("information_cost"),
        "failed": len(failed),
        "errors": sorted(set(failed))[:5],
    }


def _shown(summary: dict[str, Any]) -> str:
    lines = [f"{summary['problems']} problems: {summary['solved']} solved, {summary['certified']} certified"]
    if summary["largest_gap"] is not None:
        lines.append(f"largest optimality gap {summary['largest_gap']:.3g}")
    for name in ("objective", "information_cost"):
        if summary[name]:
            lines.append(f"{name.replace('_', ' ')} from {summary[name][0]:.6g} to {summary[name][1]:.6g}")
    lines += [f"failed: {error}" for error in summary["errors"]]
    return "\n".join([*lines, f"Wrote {summary['output']}"])
