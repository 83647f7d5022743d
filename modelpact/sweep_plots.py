"""Pictures of sweeps: one variable along one axis (lines) or two (maps).

>>> from modelpact.sweep_plots import PANELS
>>> list(PANELS)
['contribution', 'expected_reward', 'information_cost', 'information_rent']
"""

from __future__ import annotations

import importlib.util
import io
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from contracts import checks
from contracts.errors import BackendMissing, InvalidInput

if TYPE_CHECKING:
    import xarray
    from matplotlib.figure import Figure

# The four panels of the papers' figure, with what their axes are called.
PANELS = {
    "contribution": "contribution",
    "expected_reward": "expected reward",
    "information_cost": "information cost",
    "information_rent": "information rent",
}
MOST_LINES = 8


def check_drawable(axes: Sequence[str]) -> None:
    """Refuse what could not be drawn, before anything is computed.

    Raises:
        InvalidInput: more than two axes, or none.
        BackendMissing: matplotlib is not installed.
    """
    if len(axes) not in (1, 2):
        raise InvalidInput(f"the sweep has the axes {list(axes)}: expected one or two; select along the others")
    if importlib.util.find_spec("matplotlib") is None:
        raise BackendMissing("matplotlib", "plotting", "plots")


def plot_sweep(data: xarray.Dataset, variables: Sequence[str] = tuple(PANELS)) -> Figure:
    """Draw variables of a sweep, one panel each (one for each type, if the sweep has two axes).

    Args:
        data: what `sweep` returned, reduced to one or two axes (by `.sel` or `.isel`).
        variables: which variables, by name.

    Returns:
        The matplotlib figure.

    Raises:
        InvalidInput: an unknown variable, or a sweep with more than two axes.
        BackendMissing: matplotlib is not installed.
    """
    dimensions = [str(name) for name in data["objective"].dims]
    check_drawable(dimensions)
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    for name in variables:
        checks.choice("variables", name, [str(key) for key in data.data_vars if key != "error"])
    panels = _panels(data, variables, len(dimensions))
    columns = min(len(panels), 2 if len(panels) <= 4 else 3)
    rows = math.ceil(len(panels) / columns)
    figure = Figure(figsize=(4.6 * columns, 3.4 * rows), layout="constrained")
    FigureCanvasAgg(figure)
    for place, (title, values) in enumerate(panels):
        axes = figure.add_subplot(rows, columns, place + 1)
        if len(dimensions) == 1:
            _lines(axes, values, dimensions[0])
        else:
            _map(figure, axes, values, dimensions)
        axes.set_title(title, fontsize="medium")
    return figure


def picture(data: xarray.Dataset, suffix: str) -> bytes:
    """The default plot of a sweep as a file of the given kind (".png", ".pdf", ".svg")."""
    stream = io.BytesIO()
    plot_sweep(data).savefig(stream, format=suffix.lstrip("."), dpi=150)
    return stream.getvalue()


def _panels(data: xarray.Dataset, variables: Sequence[str], axes: int) -> list[tuple[str, Any]]:
    panels = []
    for name in variables:
        title = f"{PANELS.get(name, name.replace('_', ' '))} ({data[name].attrs.get('units', '')})"
        if axes == 1 or "type" not in data[name].dims:
            panels.append((title, data[name]))
        else:
            panels += [(f"{title}, {_type(label)}", data[name].sel(type=label)) for label in data["type"].values]
    return panels


def _type(label: Any) -> str:
    return label if isinstance(label, str) else f"type {label}"


def _lines(axes: Any, values: Any, dimension: str) -> None:
    x, positions = _places(values[dimension].values)
    if "type" in values.dims:
        chosen = np.unique(np.linspace(0, values.sizes["type"] - 1, MOST_LINES).astype(int))
        for k in chosen:
            label = _type(values["type"].values[k])
            axes.plot(positions, values.isel(type=int(k)).values, marker=".", label=label)
        axes.legend(fontsize="small")
    else:
        axes.plot(positions, values.values, marker=".")
    _label(axes, "x", dimension, x, positions)
    axes.grid(alpha=0.3)


def _map(figure: Any, axes: Any, values: Any, dimensions: Sequence[str]) -> None:
    vertical, horizontal = dimensions
    x, across = _places(values[horizontal].values)
    y, up = _places(values[vertical].values)
    shown = axes.pcolormesh(across, up, np.ma.masked_invalid(values.values), shading="nearest", cmap="viridis")
    figure.colorbar(shown, ax=axes)
    _label(axes, "x", horizontal, x, across)
    _label(axes, "y", vertical, y, up)


def _places(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Labels and where they stand: numbers at their value, texts one after the other."""
    if labels.dtype.kind in "if":
        return labels, labels.astype(float)
    return labels, np.arange(labels.size, dtype=float)


def _label(axes: Any, which: str, dimension: str, labels: np.ndarray, places: np.ndarray) -> None:
    getattr(axes, f"set_{which}label")(dimension)
    if labels.dtype.kind not in "if":
        getattr(axes, f"set_{which}ticks")(places, [str(label) for label in labels])
    elif places.size > 3 and places.min() > 0 and _geometric(places):
        getattr(axes, f"set_{which}scale")("log")


def _geometric(places: np.ndarray) -> bool:
    """Whether values spread over more than two decades rise in ratios rather than in steps."""
    ratios, steps = np.diff(np.log(places)), np.diff(places)
    even = np.ptp(ratios) / np.abs(ratios).mean() < np.ptp(steps) / np.abs(steps).mean()
    return bool(even and places.max() / places.min() > 100.0)
