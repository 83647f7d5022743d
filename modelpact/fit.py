"""The command that says what measurements tell of a learning curve."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from modelpact import tables
from modelpact.terminal import PICTURES, Flag, document, whisper, writable

if TYPE_CHECKING:
    from contracts import CurvePosterior

BEYOND = (1.0, 3.0, 10.0, 30.0)  # times the largest size measured, where none is asked for
SHOWN = 1e6  # from where on digits are left out
BENT = ("cross-entropy", "perplexity")  # scores whose map to the scale of accuracies is no line


def fit(
    curve: Path,
    /,
    *,
    at: str = "",
    level: float = 0.95,
    baseline: float = 0.0,
    plot: Path | None = None,
    families: Flag = False,
    json: Flag = False,
) -> int:
    """Say what measurements tell of a learning curve, at any size, and what one more would tell.

    Exits with 0, or with 3 if the measurements do not support a curve that rises.

    Parameters
    ----------
    curve
        CSV file with the amounts of data and the accuracies measured there (or errors, losses, AUC, R²), best
        with standard errors.
    at
        Sizes that matter, separated by commas, such as 10000,100000.
    level
        Of the intervals.
    baseline
        The accuracy without any data: chance, or the majority class.
    plot
        Where to draw measurements and band (.png, .pdf or .svg).
    families
        Fit formulas, too, and show what each of them foretells.
    json
        Print one JSON document.
    """
    from contracts import checks, fit_curve, next_measurement, read_measurements
    from contracts.measured.evidence import Evidence

    level = checks.number("level", level, low=0.0, high=1.0, open_low=True, open_high=True)
    measured = read_measurements(curve)
    writable(plot, PICTURES, keep=curve)
    posterior = fit_curve(measured, baseline=baseline)
    last = float(measured.data[-1])
    sizes = _sizes(at) or [factor * last for factor in BEYOND]
    rows = _rows(posterior, sizes, level)
    evidence = Evidence(measurements=measured, curve=posterior.mean, name="the posterior mean")
    notes = [str(one) for one in measured.irregularities() if one.significant is not False]
    gain = next_measurement(posterior, max(sizes), level=level)
    fitted = _families(posterior, sizes) if families or json else []
    if plot:
        _draw(posterior, max(sizes), level, plot)
    supported = not evidence.objections
    if json:
        content = {
            "measurements": measured,
            "baseline": posterior.baseline,
            "level": level,
            "at": rows,
            "objections": evidence.objections,
            "notes": [*measured.notes, *notes],
            "families": fitted,
            "next_measurement": {"data": gain.data, "expected_width": gain.expected_width, "width": gain.width}
            | {"at": gain.at, "best": float(gain.data[gain.best]), "standard_error": gain.standard_error},
        }
        print(document("fit", content), end="")
    else:
        _print(rows, level, measured.score, fitted)
        out = tables.console()
        scale = " (of exp(-loss), or 1 / perplexity)" if measured.score in BENT else ""
        for line in (f"{gain}{scale}", *measured.notes, *notes):
            out.print(line, markup=False)
        if plot:
            out.print(f"Wrote {plot}", markup=False)
    whisper(evidence.objections, "modelpact: ")
    return 0 if supported else 3


def _sizes(text: str) -> list[float]:
    from contracts.errors import InvalidInput

    try:
        found = [float(word) for word in text.split(",") if word.strip()]
    except ValueError as error:
        raise InvalidInput(
            f"at = {text!r:.60}: expected numbers separated by commas, such as 1000,10000"
        ) from error
    for size in found:
        if not 0.0 < size < float("inf"):
            raise InvalidInput(f"at = {text!r:.60}: expected finite numbers > 0")
    return found


def _middle(score: str) -> str:
    """What stands for many curves: a map that bends takes medians to medians, but no mean to a mean."""
    return "median" if score in BENT else "mean"


def _rows(posterior: CurvePosterior, sizes: list[float], level: float) -> list[dict[str, Any]]:
    from contracts.measured.scores import MAPS

    x = np.array(sizes)
    low, high = posterior.interval(x, level)
    score = posterior.measurements.score
    back = MAPS[score].back
    ends = np.sort(np.stack([back(low), back(high)]), axis=0)
    middle = posterior.quantile(x, 0.5) if score in BENT else posterior.mean(x)
    columns = (x, back(middle), *ends, posterior.extrapolation(x))
    names = ("data", _middle(score), "low", "high", "extrapolation")
    return [
        {name: float(value) for name, value in zip(names, row, strict=True)}
        for row in zip(*columns, strict=True)
    ]


def _families(posterior: CurvePosterior, sizes: list[float]) -> list[dict[str, Any]]:
    from contracts import compare_families, overdispersion
    from contracts.measured.scores import MAPS

    found = []
    back = MAPS[posterior.measurements.score].back
    for one in compare_families(posterior.measurements):
        fitted = back(np.asarray(one.curve(np.array(sizes))))
        found.append(
            {"family": one.family, "aicc": one.aicc, "p_value": one.p_value, "at_bound": one.at_bound}
            | {"overdispersion": overdispersion(one), "held_out": one.held_out, "notes": one.notes}
            | {"accuracy": fitted}
        )
    return found


def _shown(number: float, score: str) -> str:
    """A score; a loss that stands for accuracy 0 has no limit."""
    from contracts.measured.scores import MAPS

    if score in BENT and number >= MAPS[score].back(np.zeros(())):
        return "any"
    return f"{number:.4f}" if number < SHOWN else f"{number:.4g}"


def _print(rows: list[dict[str, Any]], level: float, score: str, fitted: list[dict[str, Any]]) -> None:
    from rich import box
    from rich.table import Table

    out = tables.console()
    table = Table(box=box.SIMPLE_HEAD)
    formulas = [one["family"] for one in fitted]
    for name in ("data", f"{_middle(score)} {score}", f"{level:.4g} interval", "beyond the range", *formulas):
        table.add_column(name, justify="right")
    for k, row in enumerate(rows):
        far = row["extrapolation"]
        table.add_row(
            f"{row['data']:,.6g}",
            _shown(row[_middle(score)], score),
            f"{_shown(row['low'], score)} to {_shown(row['high'], score)}",
            f"{far:.3g} times" if far > 1.0 else "measured",
            *(_shown(one["accuracy"][k], score) for one in fitted),
        )
    out.print(table)


def _draw(posterior: CurvePosterior, up_to: float, level: float, plot: Path) -> None:
    from contracts.contract.plots import encode
    from contracts.measured.curve_plot import draw_curve
    from contracts.storage import write_atomically

    figure = draw_curve(posterior, up_to=up_to, level=level)
    write_atomically(plot, encode(figure, plot.suffix))
