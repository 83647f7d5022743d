"""What playing a game of participation prints and draws."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from contracts.checks import visible
from equilibria.unravelling import Unravelling
from modelpact.plain_numbers import amount
from modelpact.tables import boxed, console

MANY = 1e12  # from here on numbers are said in few digits


def picture(cascades: Mapping[str, Unravelling], title: str, ending: str) -> bytes:
    """Every cascade in one picture of a format such as "png"."""
    import io

    from equilibria.plots import plot_cascades

    figure = plot_cascades({name.replace("_", " "): cascade for name, cascade in cascades.items()})
    figure.suptitle(title)
    picture = io.BytesIO()
    figure.savefig(picture, format=ending)
    return picture.getvalue()


def show(report: Mapping[str, Any], cascades: Mapping[str, Unravelling]) -> None:
    """Print what was found under every rule, and who leaves."""
    from rich.markup import escape
    from rich.table import Table

    out = console()
    out.print(
        f"[bold]{escape(visible(report['title']))}[/bold]: {report['agents']} agents, alone each would train on "
        f"{_amounts(report['standalone_contribution'])} samples\n",
        markup=True,
    )
    table = Table("rule", "deviation", "surplus", "error", "givers", "stay", "Nash sizes", **boxed())
    for column in table.columns[1:6]:
        column.justify, column.no_wrap = "right", True
    table.columns[0].overflow, table.columns[2].min_width, table.columns[3].min_width = "fold", 7, 6
    for name, record in report["rules"].items():
        grand, equilibria = record["grand_coalition"], record["equilibria"]
        error = grand["learning_error"]
        table.add_row(
            name.replace("_", " "),
            _figure(grand["epsilon"]) if grand["epsilon"] else "none",
            _figure(grand["total_surplus"]),
            "-" if error is None else _figure(error),
            str(grand["contributors"]),
            str(record["cascade"]["sizes"][-1]),
            "-" if equilibria is None else _brief(equilibria["sizes"]),
        )
    out.print(table)
    for name, cascade in cascades.items():
        if len(cascade) > 1:
            out.print(f"\n[bold]{escape(name.replace('_', ' '))}: who leaves[/bold]", markup=True)
            out.print(_cascade_table(cascade))
    out.print()
    for name, record in report["rules"].items():
        if "partition" in record:
            out.print(record["partition"]["text"], markup=False)
        for text in filter(None, (record.get("guarantee"), record.get("trial", {}).get("text"))):
            out.print(f"{name}: {text}", markup=False)


def _amounts(value: float | list[float]) -> str:
    return " to ".join(map(_samples, (min(value), max(value)) if isinstance(value, list) else (value,)))


def _samples(value: float) -> str:
    return f"{value:,.0f}" if value < MANY else amount(value)


def _figure(value: float, decimals: int = 4) -> str:
    """So many decimals, unless digits without end would stand before them."""
    return f"{value:.{decimals}f}" if not MANY <= abs(value) < np.inf else amount(value)


def _brief(sizes: list[int]) -> str:
    return ", ".join(map(str, sizes[:3])) + (f" .. {sizes[-1]}" if len(sizes) > 3 else "") or "none"


def _cascade_table(cascade: Unravelling):
    from rich.table import Table

    table = Table("round", "members", "leave", "least gain", "error bound", "surplus", **boxed())
    for column in table.columns:
        column.justify = "right"
    count = len(cascade)
    shown = list(range(count)) if count <= 24 else [*range(12), *range(count - 12, count)]
    for row in shown:
        if row and row - 1 not in shown:
            table.add_row(*["..."] * 6)
        following = cascade.sizes[row + 1] if row + 1 < count else cascade.sizes[row]
        error = cascade.learning_errors[row]
        table.add_row(
            str(row),
            str(cascade.sizes[row]),
            str(cascade.sizes[row] - following),
            _figure(cascade.least_gains[row]),
            _figure(error, 5) if np.isfinite(error) else "-",
            _figure(cascade.total_surpluses[row]),
        )
    return table
