"""Best-response dynamics: where paths end, and cycles where there is no equilibrium."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from equilibria.dynamics import best_response_dynamics
from equilibria.normal_form import NormalFormGame
from equilibria.testing import coalitions, normal_form_games, participation_games, rules

PENNIES = NormalFormGame(payoffs=[[[1, -1], [-1, 1]], [[-1, 1], [1, -1]]])


@pytest.mark.parametrize("order", ["cyclic", "largest", "random", [1, 0]])
def test_matching_pennies_runs_in_a_circle_of_four(order):
    path = best_response_dynamics(PENNIES, [0, 0], order=order)
    assert path.outcome == "cycle"
    assert {tuple(profile) for profile in path.cycle} == {(0, 0), (0, 1), (1, 0), (1, 1)}


@given(game=normal_form_games(), order=st.sampled_from(["cyclic", "largest", "random"]), seed=st.integers(0, 9))
def test_every_path_ends_and_every_move_gains(game, order, seed):
    start = np.zeros(game.players, dtype=int)
    path = best_response_dynamics(game, start, order=order, seed=seed)
    assert path.outcome in ("equilibrium", "cycle")
    profile = start.copy()
    for move in path.moves:
        changed = profile.copy()
        changed[move.player] = move.action
        gain = game.utilities(changed)[move.player] - game.utilities(profile)[move.player]
        assert np.isclose(gain, move.gain)
        assert gain > 0
        profile = changed
    assert np.array_equal(profile, path.final)
    if path.outcome == "equilibrium":
        assert tuple(path.final) in {tuple(row) for row in game.pure_equilibria()}


@pytest.mark.slow
@given(data=st.data(), game=participation_games(max_agents=5, rule=rules(), knife_edge=False))
def test_paths_of_participation_games_end_in_certified_equilibria_or_cycles(data, game):
    path = best_response_dynamics(game, data.draw(coalitions(game)), limit=200)
    assert path.outcome in ("equilibrium", "cycle")
    if path.outcome == "equilibrium":
        assert game.epsilon(path.final) == 0.0


def test_the_limit_is_kept(worked):
    path = best_response_dynamics(worked, "all", limit=3)
    assert path.outcome == "limit"
    assert len(path.moves) == 3
    assert path.epsilon > 0
