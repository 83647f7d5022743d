"""`modelpact conflict config.toml`: measure what a coalition can learn and what an attacker can do to it."""

from __future__ import annotations

import dataclasses
import io
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table

from contracts.checks import choice, integer, number
from contracts.errors import BackendMissing, InvalidInput
from contracts.storage import write_atomically
from mechanisms.aggregation import find
from mechanisms.coalitions import Coalition
from mechanisms.conflict import KNOBS, measure_conflict
from mechanisms.conflict_curves import MEASURES, ConflictCurves
from mechanisms.sample_file import is_file
from modelpact.conflict_kept import expected_seconds, kept, settings_of
from modelpact.tables import boxed, console
from modelpact.terminal import PICTURES, Flag, document, foretell, spell, working, writable

SWEEP_KEYS = ("knob", "values", "rules", "attack", "seeds", "tolerance", "coalition")


@dataclasses.dataclass(frozen=True, kw_only=True)
class ConflictFile:
    """A checked configuration.

    Attributes:
        sweeps: the arguments of `measure_conflict`, one set a sweep.
        gain: the least useful learning gain.
        success: the largest attack success that counts as safe.
    """

    sweeps: tuple[dict[str, Any], ...]
    gain: float
    success: float


def read_conflict_file(path: Path) -> ConflictFile:
    """Read and check a configuration.

    The file has a table `[coalition]` (the attributes of `mechanisms.coalitions.Coalition`; a file of samples is
    named relative to the configuration), one `[[sweep]]`
    or more (`knob`, `values`, `rules`, and optionally `attack`, `seeds`, `tolerance` and a `coalition` of
    its own that overrides), and optionally `[thresholds]` with `gain` and `success`, 0.1 each.

    Raises:
        InvalidInput: the file cannot be read, is not TOML, or holds a key or value that is not accepted.
    """
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidInput(f"cannot read {path}: {error.strerror or error}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{path} is not TOML: {error}") from error
    _only(data, ("coalition", "sweep", "thresholds"), str(path))
    common = _found(_table(data.get("coalition", {}), "coalition"), path)
    thresholds = _table(data.get("thresholds", {}), "thresholds")
    _only(thresholds, ("gain", "success"), "thresholds")
    sweeps = data.get("sweep", [])
    if not isinstance(sweeps, list) or not sweeps:
        raise InvalidInput(f"{path}: expected at least one [[sweep]]")
    return ConflictFile(
        sweeps=tuple(_sweep(sweep, common, f"sweep[{index}]") for index, sweep in enumerate(sweeps)),
        gain=number("thresholds.gain", thresholds.get("gain", 0.1), low=0, high=1),
        success=number("thresholds.success", thresholds.get("success", 0.1), low=0, high=1),
    )


def _found(coalition: dict[str, Any], config: Path) -> dict[str, Any]:
    """The table with the path of a file of samples taken from where the configuration is."""
    name = coalition.get("dataset")
    return coalition | {"dataset": str(config.parent / name)} if is_file(name) else coalition


def _sweep(sweep: Any, common: dict[str, Any], where: str) -> dict[str, Any]:
    given = _table(sweep, where)
    _only(given, SWEEP_KEYS, where)
    for key in ("knob", "values", "rules"):
        if key not in given:
            raise InvalidInput(f"{where} has no {key!r}")
    for key in ("values", "rules"):
        if not isinstance(given[key], list) or not given[key]:
            raise InvalidInput(f"{where}.{key} = {given[key]!r}: expected a list that is not empty")
    for rule in given["rules"]:
        find(rule)
    choice(f"{where}.knob", given["knob"], list(KNOBS))
    fields = {**common, **_table(given.get("coalition", {}), f"{where}.coalition")}
    _only(fields, tuple(f.name for f in dataclasses.fields(Coalition)), f"{where}.coalition")
    if not isinstance(fields.get("hidden", []), list):
        raise InvalidInput(f"{where}.coalition.hidden = {fields['hidden']!r}: expected a list of widths")
    return {
        "coalition": Coalition(**fields),
        "knob": given["knob"],
        "values": [number(f"{where}.values[{i}]", value, low=0) for i, value in enumerate(given["values"])],
        "rules": given["rules"],
        "attack": given.get("attack", "steer"),
        "seeds": integer(f"{where}.seeds", given.get("seeds", 4), low=1),
        "tolerance": given.get("tolerance"),
    }


def conflict(
    config: Path, /, *, output: Path | None = None, plot: Path | None = None, json: Flag = False
) -> int:
    """Measure learning gain against attack success, as a configuration file says.

    Says first how long it will take; prints the table of each sweep when it is measured, mean and 95 % interval
    over seeds, and says which settings are both useful and safe. Every finished sweep is kept in the output: a
    command that was stopped goes on after it. Finding none is a result, not a failure: the exit code is 0.

    Parameters
    ----------
    config
        TOML file with a coalition and sweeps over what its members know or how much the rule tolerates.
    output
        Where to keep the measurements (JSON); by default the configuration's name with -conflict, in the current
        folder. Sweeps that it already holds, of the same settings and version, are not measured again.
    plot
        Where to draw them (.png, .pdf or .svg).
    json
        Print the measurements as JSON instead of tables.
    """
    settings = read_conflict_file(Path(config))
    target = Path(f"{Path(config).stem}-conflict.json") if output is None else output
    writable(target, keep=Path(config))
    writable(plot, PICTURES)
    out, measured = console(), _measured(settings, target)
    for one in measured:
        if not json:
            out.print(conflict_table(one, gain=settings.gain, success=settings.success))
            out.print(conclusion(one, gain=settings.gain, success=settings.success), style="bold")
            out.print()
    found = kept(target)
    curves = [found[settings_of(sweep)] for sweep in settings.sweeps]
    if plot is not None:
        write_atomically(plot, plot_conflict(curves, kind=plot.suffix[1:].lower()))
    if json:
        print(target.read_text(encoding="utf-8"), end="")
    else:
        for path in filter(None, (target, plot)):
            out.print(f"Wrote {path}", markup=False)
    return 0


def _measured(settings: ConflictFile, target: Path) -> Iterator[ConflictCurves]:
    """Each sweep as soon as it is measured and kept; those that are kept already at once."""
    found = {} if not target.exists() else kept(target)
    names = [settings_of(sweep) for sweep in settings.sweeps]
    waiting = [sweep for name, sweep in zip(names, settings.sweeps, strict=True) if name not in found]
    if waiting:
        with working("how long it takes"):
            seconds = expected_seconds(waiting)
        rules = sum(len(sweep["rules"]) for sweep in waiting)
        foretell(f"{len(waiting)} of {len(names)} sweeps to measure, {rules} rules: about {spell(seconds)}")
    curves: dict[str, ConflictCurves] = {}
    for index, (name, sweep) in enumerate(zip(names, settings.sweeps, strict=True)):
        place = f"sweep {index + 1} of {len(names)}"
        if name in found:
            curves[name] = found[name]
        else:
            with working(place) as now:
                curves[name] = measure_conflict(**sweep, on_rule=lambda rule: now(f"{place}: {rule}"))  # noqa: B023
            _keep(target, curves | {n: c for n, c in found.items() if n in names}, names, settings)
        yield curves[name]
    if not waiting:
        _keep(target, curves, names, settings)


def _keep(
    target: Path, curves: Mapping[str, ConflictCurves], names: Sequence[str], settings: ConflictFile
) -> None:
    done = [name for name in names if name in curves]
    sweeps = [as_json(curves[name], settings) | {"settings": name} for name in done]
    write_atomically(target, document("conflict", {"sweeps": sweeps, "finished": len(done) == len(names)}))


def conflict_table(curves: ConflictCurves, *, gain: float, success: float) -> Table:
    """A table of one sweep: a row a rule, a column a knob value, gain over attack success."""
    title = f"{curves.coalition.title}, attack {curves.attack}, {curves.alone.shape[1]} seeds"
    caption = "learning gain / attack success, ± half the 95 % interval, verdict"
    table = Table(title=title, caption=caption, **boxed())
    table.add_column(curves.knob, no_wrap=True)
    for value in curves.values:
        table.add_column(f"{value:g}", justify="right")
    table.add_row("alone (accuracy)", *(f"{value:.3f}" for value in curves.alone.mean(axis=1)), style="dim")
    words = curves.verdict(gain=gain, success=success)
    style = {"both": "green", "open": "yellow"}
    for i, rule in enumerate(curves.rules):
        cells = []
        for j in range(len(curves.values)):
            figures = "\n".join(_figure(curves, measure, i, j) for measure in ("gain", "success"))
            word = str(words[i, j])
            cells.append(f"{figures}\n[{style.get(word, 'red')}]{word}[/]")
        table.add_row(rule, *cells)
    return table


def _figure(curves: ConflictCurves, measure: str, rule: int, value: int) -> str:
    mean = getattr(curves, measure)[rule, value].mean()
    half = curves.interval(measure)[1][rule, value] - mean
    return f"{mean:+.2f}±{half:.2f}" if np.isfinite(half) else f"{mean:+.2f}"


def conclusion(curves: ConflictCurves, *, gain: float, success: float) -> str:
    """One sentence: which settings are both useful and safe, that none is, or that it takes more seeds."""
    found = curves.safe_and_useful(gain=gain, success=success)
    goal = f"gain >= {gain:g} and attack success <= {success:g}"
    if found:
        places = ", ".join(f"{rule} at {value:g}" for rule, value in found)
        return f"Useful and safe ({goal}): {places}."
    words = curves.verdict(gain=gain, success=success)
    undecided = f"{(words == 'open').sum()} of {words.size}"
    if (words == "open").any():
        return f"No setting is shown to have {goal}; {undecided} are open with this number of seeds."
    return f"No setting has {goal}: here robustness and learning are in conflict."


def as_json(curves: ConflictCurves, settings: ConflictFile) -> dict[str, Any]:
    """All measurements of a sweep, with what they were made from."""
    return {
        "coalition": dataclasses.asdict(curves.coalition),
        "knob": curves.knob,
        "values": list(curves.values),
        "rules": list(curves.rules),
        "attack": curves.attack,
        "seeds": curves.alone.shape[1],
        "thresholds": {"gain": settings.gain, "success": settings.success},
        **{name: getattr(curves, name).tolist() for name in ("alone", *MEASURES)},
        "verdict": curves.verdict(gain=settings.gain, success=settings.success).tolist(),
        "seconds": curves.seconds,
    }


def plot_conflict(curves: list[ConflictCurves], *, kind: str) -> bytes:
    """Draw learning gain against attack success, a panel a sweep, a line a rule along the knob.

    Args:
        curves: the sweeps.
        kind: "png", "svg" or "pdf".

    Raises:
        InvalidInput: another kind.
        BackendMissing: matplotlib is not installed.
    """
    choice("kind", kind, ["png", "svg", "pdf"])
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise BackendMissing("matplotlib", "plotting", "plots") from error
    figure = Figure(figsize=(5.2 * len(curves), 4.6), layout="constrained")
    for axes, one in zip(figure.subplots(1, len(curves), squeeze=False)[0], curves, strict=True):
        for rule, gains, successes in zip(
            one.rules, one.gain.mean(axis=-1), one.success.mean(axis=-1), strict=True
        ):
            axes.plot(gains, successes, marker="o", markersize=4, label=rule)
            for value, x, y in zip(one.values, gains, successes, strict=True):
                axes.annotate(f"{value:g}", (x, y), textcoords="offset points", xytext=(3, 3), fontsize=6)
        axes.set(xlabel="learning gain", ylabel="attack success", title=f"{one.coalition.title}: {one.knob}")
        axes.legend(fontsize=7)
    stream = io.BytesIO()
    figure.savefig(stream, format=kind)
    return stream.getvalue()


def _table(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InvalidInput(f"{where} = {value!r}: expected a table")
    return value


def _only(table: dict[str, Any], accepted: tuple[str, ...], where: str) -> None:
    for key in table:
        if key not in accepted:
            raise InvalidInput(f"{where} has unknown key {key!r}: expected one of {', '.join(accepted)}")
