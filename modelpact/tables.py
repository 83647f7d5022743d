"""What the command line prints: tables that are plain text when nobody watches."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table

from contracts.checks import short

if TYPE_CHECKING:
    from contracts.contract import Contract, Settlement

MOST_ROWS = 40


def console(*, error: bool = False) -> Console:
    """A console as wide as the terminal, or as the text when written to a file or a pipe."""
    stream = sys.stderr if error else sys.stdout
    return Console(
        file=stream,
        width=None if stream.isatty() else 500,
        highlight=False,
        soft_wrap=True,
        markup=False,
        emoji=False,
    )


def boxed() -> dict[str, Any]:
    """How tables look: ruled on a terminal, plain columns in a file or a pipe."""
    return {"box": box.SIMPLE_HEAD if sys.stdout.isatty() else None, "pad_edge": False}


def menu(contract: Contract) -> Table:
    """The options of a contract, one row per type: what it gives, what it gets, what it has by staying out."""
    population, alone = contract.problem.population, contract.reservation_utility
    offered = {}
    if population.types <= MOST_ROWS:  # a law of rewards for each type: costly for many
        offered = {"accuracy up to": _caps(contract)}
    grouped = population.groups is not None and not population.named
    unit = f", {short(contract.problem.currency)}" if contract.problem.currency else ""
    return by_name(
        "type",
        population.names or (),
        {
            **({"group": list(population.groups or ())} if grouped else {}),
            f"cost{unit}": numbers(population.costs),
            "chance": numbers(population.probabilities),
            "contribute": numbers(whole_where_lots_are(contract)),
            **offered,
            f"value{unit}": numbers(contract.expected_reward),
            f"net value{unit}": numbers(contract.utility),
            f"staying out{unit}": numbers(alone),
            f"better by{unit}": numbers(cleared(contract.information_rent, contract.expected_reward)),
        },
    )


def whole_where_lots_are(contract: Contract) -> np.ndarray:
    """Raw data of each type: whole numbers where lots are whole and nothing but rounding is lost."""
    data, lot = contract.contribution, contract.problem.menu.lot
    whole = np.round(data)
    if lot is None or lot != round(lot) or (np.abs(data - whole) > 1e-6 * np.maximum(whole, 1.0)).any():
        return data
    return whole


def settlement(settled: Settlement, currency: str = "") -> Table:
    """Who receives which model, one row per type; a dash where nobody of the type is there."""
    unit = f", {short(currency)}" if currency else ""
    there = settled.counts > 0

    def each(values: np.ndarray) -> list[str]:
        shown = iter(numbers(values[there]))
        return [next(shown) if present else "-" for present in there]

    return by_name(
        "type",
        settled.names,
        {
            "participants": [str(int(count)) for count in settled.counts],
            "contributed each": each(settled.contribution),
            "model's accuracy": each(settled.accuracy),
            f"model's value{unit}": each(settled.value),
            f"net value{unit}": each(settled.utility),
        },
    )


def numbers(values: np.ndarray, digits: int = 6) -> list[str]:
    """Numbers of one column with as many decimals as its largest needs to show `digits` digits.

    >>> import numpy as np
    >>> numbers(np.array([1234.5, 0.25]))
    ['1,234.50', '0.25']
    """
    values = np.asarray(values, dtype=float)
    largest = float(np.abs(values).max(initial=0.0))
    if largest >= 1e12 or 0 < largest < 1e-4:
        return [f"{value:.{digits - 1}g}" for value in values]
    before = int(np.floor(np.log10(largest))) + 1 if largest >= 1 else 1
    texts = [f"{value:,.{max(digits - before, 0)}f}" for value in values]
    spare = min((len(text) - len(text.rstrip("0")) for text in texts if "." in text), default=0)
    return [text[: len(text) - spare].rstrip(".") if spare else text for text in texts]


def cleared(values: np.ndarray, beside: np.ndarray) -> np.ndarray:
    """Differences of large numbers without what rounding left of them."""
    size = np.abs(np.where(np.isfinite(beside), beside, 0.0)).max(initial=0.0)
    return np.where(np.abs(values) <= 1e-9 * size, 0.0, values)


def _caps(contract: Contract) -> list[str]:
    from contracts.contract.rewards import whole_model

    capped = contract.rewards("capped")
    accuracy = numbers(capped.accuracy_cap)
    # Whoever is promised the whole model's expected value, up to rounding, receives whatever is trained.
    whole = whole_model(contract)
    return [
        "none" if reward == 0.0 else "all trained" if everything else text
        for text, everything, reward in zip(accuracy, whole, contract.expected_reward, strict=True)
    ]


def by_name(first: str, names: Sequence[str], columns: dict[str, list[str]]) -> Table:
    """A table of one row per name, with numbers as texts, cut where it grows too long."""
    table = Table(**boxed())
    table.add_column(first, overflow="fold")
    for title in columns:
        table.add_column(title, justify="right", overflow="fold")
    rows = list(zip(map(short, names), *columns.values(), strict=True))
    for row in rows[:MOST_ROWS]:
        table.add_row(*row)
    if len(rows) > MOST_ROWS:
        table.add_row(f"... {len(rows) - MOST_ROWS} more types")
    return table
