"""Pictures of participation games; needs matplotlib."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from contracts.errors import BackendMissing
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
