r"""Sweeps: the same question over every combination of some fields of a problem.

>>> from contracts import GeneralizationBound, LinearValuation, Population, Problem
>>> from modelpact.axes import Axis
>>> problem = Problem(
...     population=Population(costs=[0.02, 0.01], probabilities=[0.5, 0.5], participants=10),
...     accuracy=GeneralizationBound(),
...     valuation=LinearValuation(scale=100.0),
... )
>>> data = sweep(problem, {"participants": Axis.of("population.participants", [10, 40])})
>>> data["objective"].round(4).values
array([93.5937, 96.822 ])

Problems are computed in chunks; with an `output`, every chunk is written, atomically, as soon as it is done, to
a folder beside it. An interrupted sweep continues from there, whether it ran here or on a dask cluster.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import io
import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from contracts import checks
from contracts.errors import InvalidInput
from contracts.problem import Problem
from contracts.problem.accuracy import CustomCurve
from contracts.storage import write_atomically
from modelpact import sweep_results
from modelpact.axes import Axis, changed
from modelpact.installed import installed_version
from modelpact.sweep_results import Columns

if TYPE_CHECKING:
    import xarray

CHUNK = 256
MOST_PROBLEMS = 10_000_000
SCHEMA = "modelpact/sweep/1"
Report = Callable[[int, int], None]


def sweep(
    problem: Problem,
    axes: Mapping[str, Axis],
    *,
    output: str | Path | None = None,
    scheduler: Any = None,
    chunk: int = CHUNK,
    report: Report | None = None,
) -> xarray.Dataset:
    """Design, verify and benchmark every combination of the axes' values.

    Args:
        problem: the problem that the axes change.
        axes: for each dimension of the result what varies along it; later axes vary faster.
        output: a NetCDF file to write when all is done. Until then finished chunks are kept in a folder beside
            it, `<output>.chunks`, from which an interrupted sweep continues.
        scheduler: the address of a dask scheduler ("tcp://host:8786") or a `dask.distributed.Client`, to compute
            on its workers; by default everything is computed here. The results are the same.
        chunk: how many problems are computed, and stored, together.
        report: called as (problems done, problems in all) after every chunk.

    Returns:
        An `xarray.Dataset` with the axes as dimensions (and "type"), units in the attributes. A problem that
        failed has NaN and, in "error", why.

    Raises:
        InvalidInput: wrong axes, an output that cannot be written, or a scheduler that does not answer; chunks
            already stored stay.
        BackendMissing: xarray or dask is not installed.
    """
    plan = _Plan(problem, axes, checks.integer("chunk", chunk, low=1, high=100_000))
    store = _Store(Path(output), plan) if output is not None else None
    done = store.stored() if store else {}
    finished = store.finished() if store and not done else None
    if finished is not None:
        return finished
    left = [k for k in range(len(plan)) if k not in done]
    if report:
        report(sum(plan.size(k) for k in done), plan.count)
    for k, columns in _computed(plan, left, scheduler):
        if store:
            store.keep(k, columns)
        done[k] = columns
        if report:
            report(sum(plan.size(k) for k in done), plan.count)
    columns = {name: np.concatenate([done[k][name] for k in range(len(plan))]) for name in done[0]}
    data = sweep_results.dataset(columns, axes, plan.names, "optimal contracts")
    data.attrs["sweep"] = plan.digest
    if store:
        store.finish(data)
    return data


class _Plan:
    """The problems of a sweep, stated when needed, in chunks."""

    def __init__(self, problem: Problem, axes: Mapping[str, Axis], chunk: int):
        if not isinstance(problem, Problem):
            raise InvalidInput(f"problem = {problem!r:.60}: expected a Problem")
        if not isinstance(axes, Mapping) or not axes:
            raise InvalidInput(f"axes = {axes!r:.60}: expected at least one, by the name of its dimension")
        reserved = {"type", "error", *sweep_results.BY_TYPE, *sweep_results.SCALARS}
        for name, axis in axes.items():
            if not isinstance(name, str) or not name or name in reserved:
                raise InvalidInput(f"axes: the name {name!r} is taken or empty: expected another")
            if not isinstance(axis, Axis):
                raise InvalidInput(f"axes[{name!r}] = {axis!r:.60}: expected an Axis")
        fields: dict[str, str] = {}
        for name, axis in axes.items():
            for field in {field for setting in axis.settings for field in setting}:
                if fields.setdefault(field, name) != name:
                    raise InvalidInput(
                        f"axes {fields[field]!r} and {name!r} both set {field}: expected one of them"
                    )
        self.problem, self.axes, self.chunk = problem, axes, chunk
        self.shape = tuple(len(axis.labels) for axis in axes.values())
        self.count = int(np.prod([float(size) for size in self.shape]))
        if self.count > MOST_PROBLEMS:
            raise InvalidInput(f"the axes make {self.count:.3g} problems: expected at most {MOST_PROBLEMS}")
        for name, axis in axes.items():  # an unknown field fails everywhere: say so at once
            _check_fields(problem, name, axis)
        self.types, self.names = self._types()
        self.digest = self._digest()

    def __len__(self) -> int:
        return -(-self.count // self.chunk)

    def size(self, k: int) -> int:
        return min(self.chunk, self.count - k * self.chunk)

    def problems(self, k: int) -> list[Problem | str]:
        """The problems of a chunk; for those that cannot be stated the reason."""
        return [self._problem(index) for index in range(k * self.chunk, k * self.chunk + self.size(k))]

    def _problem(self, index: int) -> Problem | str:
        place = np.unravel_index(index, self.shape)
        settings: dict[str, Any] = {}
        for axis, where in zip(self.axes.values(), place, strict=True):
            settings |= axis.settings[int(where)]
        try:
            return changed(self.problem, settings)
        except InvalidInput as error:
            return f"InvalidInput: {error}"

    def _types(self) -> tuple[int, Sequence[str] | None]:
        """The largest number of types, and their names if they never change."""
        population = self.problem.population
        sizes, renamed = {population.types}, False
        for axis in self.axes.values():
            for setting in axis.settings:
                costs = setting.get("population.costs", setting.get("population"))
                if isinstance(costs, dict):
                    costs = costs.get("costs", ())
                costs = getattr(costs, "costs", costs)
                renamed |= "population" in setting or "population.names" in setting
                if costs is not None and np.ndim(costs) == 1:
                    sizes.add(len(costs))
        return max(sizes), population.names if len(sizes) == 1 and not renamed else None

    def _digest(self) -> str:
        """What the sweep is: a hash of everything that its results depend on."""
        stated: dict[str, Any] = {"schema": SCHEMA, "version": installed_version()}
        stated |= {"chunk": self.chunk, "problem": _text(self.problem)}
        stated["axes"] = {name: [_text(s) for s in axis.settings] for name, axis in self.axes.items()}
        stated["labels"] = {name: [repr(label) for label in axis.labels] for name, axis in self.axes.items()}
        return hashlib.sha256(json.dumps(stated, sort_keys=False).encode()).hexdigest()


def _check_fields(problem: Problem, name: str, axis: Axis) -> None:
    try:
        changed(problem, axis.settings[0])
    except InvalidInput as error:
        if str(error).startswith("unknown field"):
            raise InvalidInput(f"axes[{name!r}]: {error}") from error


def _text(value: Any) -> str:
    """A faithful text of a problem, an ingredient, or plain values; a user's function is told by its values."""
    if isinstance(value, CustomCurve):
        return repr((value.floor, value(np.geomspace(1e-3, 1e12, 301)).tolist()))
    if dataclasses.is_dataclass(value):
        fields = {entry.name: _text(getattr(value, entry.name)) for entry in dataclasses.fields(value)}
        return repr((type(value).__name__, fields))
    if isinstance(value, dict):
        return repr({key: _text(entry) for key, entry in value.items()})
    if isinstance(value, tuple):
        return repr([_text(entry) for entry in value])
    return repr(value.tolist() if isinstance(value, np.ndarray) else value)


class _Store:
    """Finished chunks on disk, beside the output."""

    def __init__(self, output: Path, plan: _Plan):
        self.output, self.plan = output, plan
        self.folder = output.with_name(output.name + ".chunks")
        if output.is_dir():
            raise InvalidInput(f"cannot write {output}: it is a folder: expected a file")
        try:
            self.folder.mkdir(exist_ok=True)
        except OSError as error:
            raise InvalidInput(f"cannot write {output}: {error.strerror} ({self.folder})") from error
        self._claim()

    def _claim(self) -> None:
        manifest = self.folder / "sweep.json"
        try:
            found = json.loads(manifest.read_text()) if manifest.exists() else None
        except (OSError, ValueError):
            found = {}
        if found is None:
            write_atomically(manifest, json.dumps({"schema": SCHEMA, "sweep": self.plan.digest}) + "\n")
        elif not isinstance(found, dict) or found.get("sweep") != self.plan.digest:
            raise InvalidInput(
                f"{self.folder} holds chunks of another sweep: expected the same axes, problem, chunk size and"
                " version of modelpact; delete the folder, or choose another output"
            )

    def _path(self, k: int) -> Path:
        return self.folder / f"chunk-{k:06d}.npz"

    def stored(self) -> dict[int, Columns]:
        """The chunks on disk; a file that cannot be read is computed again."""
        found: dict[int, Columns] = {}
        for k in range(len(self.plan)):
            with contextlib.suppress(OSError, ValueError, EOFError, KeyError, _zip_error()):
                content = io.BytesIO(self._path(k).read_bytes())
                with np.load(content, allow_pickle=False) as stored:
                    columns = {name: stored[name] for name in stored.files}
                if columns["error"].shape == (self.plan.size(k),):
                    found[k] = columns
        return found

    def keep(self, k: int, columns: Columns) -> None:
        """Write one chunk, all of it or nothing."""
        stream = io.BytesIO()
        np.savez(stream, allow_pickle=False, **columns)
        write_atomically(self._path(k), stream.getvalue())

    def finished(self) -> xarray.Dataset | None:
        """The data set in the output file, if it is that of this very sweep."""
        if not self.output.exists():
            return None
        try:
            data = sweep_results.from_netcdf(self.output.read_bytes())
        except (OSError, ValueError):
            return None
        if data.attrs.get("sweep") != self.plan.digest:
            return None
        shutil.rmtree(self.folder, ignore_errors=True)
        return data

    def finish(self, data: xarray.Dataset) -> None:
        """Write the data set, then forget the chunks."""
        write_atomically(self.output, sweep_results.to_netcdf(data))
        shutil.rmtree(self.folder, ignore_errors=True)


def _zip_error() -> type[Exception]:
    from zipfile import BadZipFile

    return BadZipFile


def _computed(plan: _Plan, left: Sequence[int], scheduler: Any) -> Iterator[tuple[int, Columns]]:
    """Chunks with their results, in the order in which they finish."""
    if scheduler is None or not left:
        for k in left:
            yield k, sweep_results.compute(plan.problems(k), plan.types)
        return
    from modelpact.sweep_cluster import compute_on

    yield from compute_on(scheduler, plan.digest, left, lambda k: (plan.problems(k), plan.types))
