"""Pictures of participation games; needs matplotlib."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from contracts.errors import BackendMissing, InvalidInput
from equilibria.participation import ParticipationGame
from equilibria.partition import StablePartition
from equilibria.phase import PhaseDiagram
from equilibria.unravelling import Unravelling

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def _figure(columns: int) -> Figure:
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise BackendMissing("matplotlib", "plotting", extra="plots") from error
    return Figure(figsize=(4.6 * columns, 3.9), layout="constrained")


def plot_cascades(cascades: Mapping[str, Unravelling]) -> Figure:
    """Members and error of the model, round by round, for one or more rules.

    Args:
        cascades: an unravelling for each name in the legend.

    Returns:
        The figure; save it with `figure.savefig(path)`.

    Raises:
        BackendMissing: matplotlib is not installed.

    >>> from equilibria.participation import ParticipationGame
    >>> game = ParticipationGame(types=[0.1, 0.2, 0.6], loss_weight=1.0, complexity=40.0, cost=3.125e-7)
    >>> len(plot_cascades({"pooled": game.unravel()}).axes)
    2
    """
    figure = _figure(2)
    members, errors = figure.subplots(1, 2)
    longest = max((len(cascade) for cascade in cascades.values()), default=1)
    for name, cascade in cascades.items():
        # What has come to rest stays as it is while others still unravel.
        rest = longest - len(cascade)
        sizes = [*cascade.sizes, *[cascade.sizes[-1]] * rest]
        losses = [*cascade.learning_errors, *[cascade.learning_errors[-1]] * rest]
        members.plot(range(longest), sizes, drawstyle="steps-post", marker="o", markersize=4, label=name)
        errors.plot(range(longest), losses, marker="o", markersize=4, label=name)
    members.set(xlabel="round", ylabel="members", ylim=(0, None), title="who stays")
    errors.set(xlabel="round", ylabel="bound on the excess risk", title="what the model is worth")
    for axes in (members, errors):
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.spines[["top", "right"]].set_visible(False)
    figure.legend(*members.get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False)
    return figure


def plot_phase_diagram(diagram: PhaseDiagram) -> Figure:
    """Fraction of the agents that survives the cascade, over the spread of quality and the cost of data.

    Args:
        diagram: as computed by `phase_diagram`, with at least two spreads and two costs.

    Returns:
        The figure.

    Raises:
        BackendMissing: matplotlib is not installed.

    >>> from equilibria.participation import ParticipationGame
    >>> from equilibria.phase import phase_diagram
    >>> game = ParticipationGame(types=[0.3, 0.4, 0.6], loss_weight=1.0, complexity=40.0, cost=3.125e-7)
    >>> diagram = phase_diagram(game, spreads=[0.1, 1.0], costs=[3e-7, 3e-6])
    >>> plot_phase_diagram(diagram).axes[0].get_xlabel()
    'cost of a sample'
    """
    figure = _figure(1)
    axes = figure.subplots()
    image = axes.pcolormesh(
        diagram.costs, diagram.spreads, diagram.surviving, vmin=0, vmax=1, cmap="viridis", shading="nearest"
    )
    axes.set(xscale="log", xlabel="cost of a sample", ylabel="spread of quality", title="who stays in the end")
    figure.colorbar(image, ax=axes, label="fraction of the agents")
    return figure


def plot_partition(game: ParticipationGame, found: StablePartition) -> Figure:
    """Agents on a line by quality, coloured by coalition, and what each loses there and alone.

    Args:
        game: the game whose partition it is.
        found: as `game.partition()` returns it.

    Returns:
        The figure.

    Raises:
        BackendMissing: matplotlib is not installed.
        InvalidInput: a partition of another number of agents.

    >>> from equilibria.participation import ParticipationGame
    >>> game = ParticipationGame(types=[0.1, 0.12, 0.6], loss_weight=1.0, complexity=40.0, cost=3.125e-7)
    >>> [line.get_label() for line in plot_partition(game, game.partition()).axes[0].lines]
    ['alone', 'in its coalition']
    """
    if found.labels.size != game.players:
        raise InvalidInput(f"found: a partition of {found.labels.size} agents, expected {game.players}")
    order = np.argsort(game.types, kind="stable")
    types, labels = game.types[order], found.labels[order]
    alone = -game.reservation_utilities[order]
    figure = _figure(1)
    losses, line = figure.subplots(2, 1, sharex=True, height_ratios=[5, 1])
    losses.plot(types, alone, color="0.6", label="alone")
    here = alone - found.surpluses[order]
    losses.plot(types, here, color="0.1", drawstyle="steps-mid", linewidth=0.8, label="in its coalition")
    colours = np.arange(len(found)) % 10
    for axes, height in ((losses, here), (line, np.zeros(types.size))):
        axes.scatter(
            types, height, c=colours[labels], cmap="tab10", vmin=0, vmax=9, s=18, linewidths=0, zorder=3
        )
        axes.spines[["top", "right"]].set_visible(False)
    losses.set(ylabel="loss and cost", title=f"{len(found)} coalitions")
    losses.legend(frameon=False)
    line.set(xlabel="discrepancy of the data from the target (0 is best)", yticks=[])
    line.spines["left"].set_visible(False)
    return figure
