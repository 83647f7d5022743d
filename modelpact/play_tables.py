"""What playing a game of participation prints and draws."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from contracts.checks import visible
from equilibria.unravelling import Unravelling
from modelpact.tables import boxed, console


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
            f"{grand['epsilon']:.4f}" if grand["epsilon"] else "none",
            f"{grand['total_surplus']:.4f}",
            "-" if error is None else f"{error:.4f}",
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
    return f"{min(value):,.0f} to {max(value):,.0f}" if isinstance(value, list) else f"{value:,.0f}"


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
            f"{cascade.least_gains[row]:.4f}",
            f"{error:.5f}" if np.isfinite(error) else "-",
            f"{cascade.total_surpluses[row]:.4f}",
        )
    return table
