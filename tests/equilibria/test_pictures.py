"""Plots show the numbers they are given; what needs an optional library says so when it is missing."""

import sys

import numpy as np
import pytest

from contracts.errors import BackendMissing, InvalidInput
from equilibria.label_noise import label_noise
from equilibria.participation import ParticipationGame
from equilibria.phase import phase_diagram
from equilibria.plots import plot_cascades, plot_partition, plot_phase_diagram
from equilibria.welfare import FullInformationRule


def test_cascades_are_drawn_to_the_end_of_the_longest(worked):
    full = worked.with_rule(FullInformationRule())
    figure = plot_cascades({"pooled": worked.unravel(), "full information": full.unravel()})
    members, errors = figure.axes
    assert [line.get_ydata()[-1] for line in members.lines] == [1, 10]
    assert {len(line.get_xdata()) for line in [*members.lines, *errors.lines]} == {10}
    assert plot_cascades({}).axes


def test_phase_diagram_is_drawn_cell_by_cell(constants):
    game = ParticipationGame(types=np.linspace(0.3, 0.6, 6), **constants)
    diagram = phase_diagram(game, spreads=[0.1, 0.5, 1.0], costs=[1e-8, 1e-7])
    mesh = plot_phase_diagram(diagram).axes[0].collections[0]
    assert np.allclose(np.ravel(mesh.get_array()), diagram.surviving.ravel())


@pytest.mark.parametrize(
    ("library", "act"),
    [
        ("matplotlib.figure", lambda: plot_cascades({})),
        ("sklearn", lambda: label_noise("digits", [0.1])),
    ],
)
def test_missing_libraries_are_named(monkeypatch, library, act):
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(BackendMissing, match="pip install"):
        act()


def test_partitions_are_drawn_agent_by_agent(worked):
    found = worked.partition()
    losses, line = plot_partition(worked, found).axes
    assert np.allclose(losses.lines[0].get_ydata(), -worked.reservation_utilities)
    assert np.allclose(losses.lines[1].get_ydata(), found.losses[found.labels])
    assert len(line.collections[0].get_offsets()) == 10
    with pytest.raises(InvalidInput, match="10"):
        plot_partition(ParticipationGame(types=[0.1, 0.2], loss_weight=1.0, complexity=40.0, cost=1e-7), found)
