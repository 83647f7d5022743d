"""Pictures of a contract; every function returns a matplotlib figure and touches no global state.

>>> from contracts.testing import example_contract
>>> figure = draw_contract(example_contract())
>>> len(figure.axes)
3
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np

from contracts import checks
from contracts.contract import Contract
from contracts.errors import BackendMissing
from contracts.problem.reservation import outside_option

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLUE, ORANGE, GREEN, GREY, INK = "#0072B2", "#E69F00", "#009E73", "#9AA0A6", "#202124"
MOST_NAMED = 12
POLICIES = {"capped": BLUE, "proportional": ORANGE, "lottery": GREEN}


def draw_contract(contract: Contract) -> Figure:
    """The contract at a glance: contributions, rewards, and the menu in the (data, value) plane."""
    figure = figure_of(16.0)
    panels = figure.subplots(1, 3, width_ratios=[1.0, 1.0, 1.25])
    _contributions(panels[0], contract)
    _rewards(panels[1], contract, ("capped",))
    _menu(panels[2], contract)
    population = contract.problem.population
    figure.suptitle(
        f"{population.size} participants of {population.types} types: expected accuracy"
        f" {contract.expected_accuracy:.4f}, expected value of the trained model {contract.objective:,.6g}",
        color=INK,
        fontsize=13,
    )
    return figure


def draw_rewards(contract: Contract) -> Figure:
    """Each type's distribution of rewards under every policy, with the first-moment solution.

    Bars span the 1 % to 99 % quantiles of the value of the model received, thick ones 25 % to 75 %, as the
    type believes them; black lines are the expected rewards that all policies share.
    """
    figure = figure_of(9.0)
    _rewards(figure.subplots(), contract, tuple(POLICIES) if contract.clause is None else ("capped",))
    return figure


def draw_contributions(contract: Contract) -> Figure:
    """What each type contributes, beside the data it would collect alone."""
    figure = figure_of(7.0)
    _contributions(figure.subplots(), contract)
    return figure


def draw_menu(contract: Contract) -> Figure:
    """The options in the plane of data contributed and value received, with indifference lines.

    Each type's line joins what is as good to it as its own option: options above it would be envied. The
    curve is the value of a model trained alone.
    """
    figure = figure_of(8.0)
    _menu(figure.subplots(), contract)
    return figure


def encode(figure: Figure, suffix: str = ".png") -> bytes:
    """The bytes of an image file.

    Args:
        figure: a figure.
        suffix: ".png", ".pdf" or ".svg".

    Raises:
        InvalidInput: another suffix.
    """
    kind = checks.choice("suffix", suffix.lower(), (".png", ".pdf", ".svg"))
    stream = io.BytesIO()
    figure.savefig(stream, format=kind[1:], dpi=150)
    return stream.getvalue()


def figure_of(width: float) -> Figure:
    """An empty figure of a width, in inches.

    Raises:
        BackendMissing: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise BackendMissing("matplotlib", "drawing a contract", "plots") from error
    return Figure(figsize=(width, 5.2), layout="constrained", facecolor="white")


def _style(axes: Axes, title: str, x: str, y: str) -> None:
    axes.set_title(title, loc="left", fontsize=11, color=INK)
    axes.set_xlabel(x, color=INK)
    axes.set_ylabel(y, color=INK)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="#E8EAED", linewidth=0.8)
    axes.set_axisbelow(True)


def _by_cost(contract: Contract) -> np.ndarray:
    """Types from the dearest to the cheapest, group by group: the order in which what they are asked rises."""
    form = contract.form
    return np.lexsort((-form.costs[form.row], form.group[form.row]))


def _names(axes: Axes, contract: Contract, order: np.ndarray) -> None:
    names = _labels(contract)
    if order.size <= MOST_NAMED:
        long = max(len(names[i]) for i in order) > 8
        axes.set_xticks(range(order.size), [names[i] for i in order], rotation=30 if long else 0,
                        ha="right" if long else "center", rotation_mode="anchor")  # fmt: skip


def _labels(contract: Contract) -> list[str]:
    """The types' names as matplotlib shows them as they are, formulas and hidden labels included."""
    names = (checks.short(name).replace("$", r"\$") for name in contract.problem.population.names or ())
    return [name if not name.startswith("_") else f" {name}" for name in names]


def _type_label(order: np.ndarray) -> str:
    return "" if order.size <= MOST_NAMED else "types, from the dearest data to the cheapest"


def _contributions(axes: Axes, contract: Contract) -> None:
    order = _by_cost(contract)
    together, alone = contract.contribution[order], outside_option(contract.form).contribution[order]
    place = np.arange(order.size)
    if order.size <= MOST_NAMED:
        axes.bar(place - 0.2, alone, 0.38, color=GREY, label="alone")
        axes.bar(place + 0.2, together, 0.38, color=BLUE, label="under the contract")
    else:
        axes.fill_between(place, alone, step="mid", color=GREY, alpha=0.6, label="alone", linewidth=0)
        axes.step(place, together, where="mid", color=BLUE, label="under the contract")
    threshold = _logarithmic_below(np.r_[together, alone])
    if threshold:
        axes.set_yscale("symlog", linthresh=threshold)
    largest = float(max(together.max(), alone.max(), 1e-9))
    axes.set_ylim(0.0, largest * (8.0 if threshold else 1.3))
    _style(axes, "Data collected", _type_label(order), "data")
    _names(axes, contract, order)
    axes.legend(frameon=False, loc="upper left")


def _logarithmic_below(amounts: np.ndarray) -> float | None:
    """Where a logarithmic axis should turn linear; None if a linear one shows everything."""
    # What is a millionth of the largest is nothing, up to rounding.
    positive = amounts[amounts > 1e-6 * amounts.max(initial=0.0)]
    if positive.size and positive.max() > 30.0 * positive.min():
        return float(max(positive.min(), 1e-4 * positive.max())) / 2.0
    return None


def _rewards(axes: Axes, contract: Contract, policies: tuple[str, ...]) -> None:
    order = _by_cost(contract)
    place, named = np.arange(order.size), order.size <= MOST_NAMED
    for k, policy in enumerate(policies):
        drawn = contract.rewards(policy)
        q01, q25, q50, q75, q99 = (drawn.quantile(q)[order] for q in (0.01, 0.25, 0.5, 0.75, 0.99))
        shift = place + 0.24 * (k - (len(policies) - 1) / 2)
        colour, label = POLICIES[policy], "reward received" if len(policies) == 1 else policy
        if named:
            axes.vlines(shift, q01, q99, color=colour, linewidth=2, alpha=0.6)
            axes.vlines(shift, q25, q75, color=colour, linewidth=9, alpha=0.7, label=label)
            axes.hlines(q50, shift - 0.07, shift + 0.07, color=colour, linewidth=3)
        else:
            axes.fill_between(place, q01, q99, color=colour, alpha=0.25, linewidth=0)
            axes.fill_between(place, q25, q75, color=colour, alpha=0.5, label=label, linewidth=0)
    expected = contract.expected_reward[order]
    alone = _worth_alone(contract)[order]
    if named:
        axes.hlines(expected, place - 0.4, place + 0.4, color=INK, linewidth=1.2, label="expected reward")
        axes.scatter(place, alone, s=40, marker="D", color=GREY, zorder=3, label="model trained alone")
    else:
        axes.step(place, expected, where="mid", color=INK, linewidth=1.2, label="expected reward")
        axes.plot(place, alone, color=GREY, linewidth=2, label="model trained alone")
    axes.axhline(contract.objective, color=INK, linewidth=0.9, linestyle=(0, (4, 3)), zorder=1)
    axes.annotate(
        "whole model, expected", (0.0, contract.objective), xycoords=("axes fraction", "data"),
        xytext=(4, 4), textcoords="offset points", fontsize=8, color=INK,
    )  # fmt: skip
    _style(axes, "Value of the model received", _type_label(order), "value")
    _names(axes, contract, order)
    axes.margins(x=0.05, y=0.2)
    axes.legend(frameon=False, loc="lower right", fontsize=9)


def _worth_alone(contract: Contract) -> np.ndarray:
    """The value to each type of the model it would train alone, shape (types,)."""
    form = contract.form
    data = outside_option(form).contribution * form.effective / (1.0 - contract.problem.population.shading)
    return form.relative * form.worlds[0].plain.value(data)


def _menu(axes: Axes, contract: Contract) -> None:
    import matplotlib

    # In effective data and in values of the mean scale, in which one curve serves everybody.
    form, order, solo = contract.form, _by_cost(contract), outside_option(contract.form)
    alone = solo.contribution * form.effective
    plain, costs = form.worlds[0].plain, form.costs[form.row]
    m, t = (contract.contribution * form.effective)[order], (contract.expected_reward / form.relative)[order]
    utility = contract.expected_reward / form.relative - costs * contract.contribution * form.effective
    names = _labels(contract)
    colours = matplotlib.colormaps["viridis"](np.linspace(0.0, 0.85, max(order.size, 2)))
    amounts = np.r_[m, alone]
    right, threshold = 1.3 * float(max(amounts.max(), 1e-9)), _logarithmic_below(amounts)
    data = np.linspace(0.0, right, 800)
    if threshold:
        data = np.union1d(np.linspace(0.0, threshold, 100), np.geomspace(threshold, right, 700))
        axes.set_xscale("symlog", linthresh=threshold)
    axes.plot(data, plain.value(data), color=GREY, linewidth=2.5, label="model trained alone")
    lowest = float(min(t.min(), plain.value(alone).min()))
    highest = float(max(t.max(), contract.objective))
    margin = 0.18 * max(highest - lowest, 1e-3 * max(abs(highest), 1.0))
    if order.size <= MOST_NAMED:
        for colour, i in zip(colours, order, strict=False):
            line = utility[i] + costs[i] * data
            axes.plot(data, line, color=colour, linewidth=1.2, alpha=0.85)
            axes.plot([], [], "o", color=colour, label=names[i])
    axes.scatter(m, t, s=54, color=colours[: order.size], edgecolor="white", zorder=4)
    axes.set_xlim(0.0, right)
    axes.set_ylim(lowest - margin, highest + margin)
    title = "The menu, with indifference lines" if order.size <= MOST_NAMED else "The menu"
    _style(axes, title, "data contributed", "value received")
    axes.legend(frameon=False, loc="lower right", fontsize=9)
