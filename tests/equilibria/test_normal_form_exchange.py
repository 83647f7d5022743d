"""Tabulated games: pure equilibria, mixed-integer programs, quantecon, and `.nfg` text both ways."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.errors import Infeasible, InvalidInput
from equilibria.contribution import ContributionGame, StandardFederatedRule
from equilibria.extremal import extremal_equilibrium
from equilibria.nfg import from_nfg, to_nfg
from equilibria.normal_form import NormalFormGame, tabulate
from equilibria.testing import normal_form_games, participation_games, rules


@given(game=normal_form_games())
def test_pure_equilibria_are_the_profiles_without_a_better_reply(game):
    found = {tuple(row) for row in game.pure_equilibria()}
    for profile in np.ndindex(*game.actions):
        assert (profile in found) == game.certificate(np.array(profile)).holds


@settings(max_examples=30)
@given(game=participation_games(max_agents=4, rule=rules(), knife_edge=False))
def test_tabulation_keeps_the_participation_game(game):
    table = tabulate(game)
    for profile in np.ndindex(*table.actions):
        members = np.array(profile, dtype=bool)
        assert np.array_equal(table.utilities(np.array(profile)), game.utilities(members))
    members = [np.flatnonzero(row).tolist() for row in table.pure_equilibria(tolerance=game.tolerance)]
    if game.rule.anonymous and not hasattr(game.rule, "admitted"):  # a club leaves out the indifferent
        assert sorted(members) == sorted(e.members.tolist() for e in game.pure_equilibria())


@settings(max_examples=40)
@given(game=normal_form_games(max_actions=3))
def test_extremal_equilibria_agree_with_enumeration(game):
    pure = game.pure_equilibria()
    if not len(pure):
        with pytest.raises(Infeasible, match="no pure Nash"):
            extremal_equilibrium(game)
        return
    welfare = [game.utilities(profile).sum() for profile in pure]
    assert np.isclose(extremal_equilibrium(game).welfare, max(welfare))
    assert np.isclose(extremal_equilibrium(game, sense="worst").welfare, min(welfare))


def test_extremal_equilibria_of_weak_full_information_games(constants):
    from equilibria.participation import ParticipationGame
    from equilibria.welfare import FullInformationRule

    game = ParticipationGame(types=[0.1, 0.11, 0.12, 0.15, 0.3], rule=FullInformationRule(), **constants)
    assert extremal_equilibrium(game).profile.tolist() == [1] * 5
    worst = extremal_equilibrium(game, sense="worst")
    assert worst.profile[:4].sum() == 0


@given(game=normal_form_games())
def test_text_round_trip_to_the_last_bit(game):
    assert np.array_equal(from_nfg(to_nfg(game, title='A "quoted" \\ title')).payoffs, game.payoffs)


@given(payoffs=st.lists(st.floats(-1e300, 1e300), min_size=8, max_size=8))
def test_text_round_trip_of_any_floats(payoffs):
    game = NormalFormGame(payoffs=np.array(payoffs).reshape(2, 2, 2))
    assert np.array_equal(from_nfg(to_nfg(game)).payoffs, game.payoffs)


OUTCOMES = """NFG 1 R "Two by three, outcome form" { "A" "B" }
{ { "up" "down" } { "l" "m" "r" } }
"a comment"
{ { "first" 1, 2 } { "second" 3/4, -1.5 } { "third" 1e-3 7 } }
1 2 3 0 2 1
"""


def test_the_outcome_form_is_read():
    game = from_nfg(OUTCOMES)
    assert game.actions == (2, 3)
    # The first player's action varies fastest; outcome 0 pays nothing.
    assert game.payoffs[0].tolist() == [[1.0, 0.001, 0.75], [0.75, 0.0, 1.0]]
    assert game.payoffs[1].tolist() == [[2.0, 7.0, -1.5], [-1.5, 0.0, 2.0]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "ends"),
        ("EFG 2 R", "extensive form"),
        ('NFG 1 R "t" { "A" "B" }', "ends"),
        ('NFG 1 R "t" { "A" "B" } { 2 2 } 1 2 3', "8 payoffs"),
        ('NFG 1 R "t" { "A" "B" } { 2 2 } 1 2 3 4 5 6 7 x', "found 'x'"),
        ('NFG 1 R "t" { "A" "B" } { 2 2 } 1 2 3 4 5 6 7 1/0', "found '1/0'"),
        ('NFG 1 R "t" { "A" "B" } { 2 } 1 2 3 4', "actions"),
        ('NFG 1 R "t" { "A" } { 2 } 1 2', "two players"),
        ('NFG 1 R "t" { "A" "B" } { 0 2 } 1', "actions"),
        ('NFG 1 R "t" { "A" "B" } { 999999999 999999999 } 1 2', "too short"),
        ('NFG 1 R t { "A" "B" } { 2 2 } 1', "in quotes"),
        ('NFG 1 R "t" { "A" "B" } { { "u" } { "l" "r" } } { { "o" 1 2 } } 1 5', "outcome numbers"),
        (OUTCOMES.replace("1 2 3 0", "1 2"), "outcome numbers"),
        ('NFG 1 R "t" { "A" "B" } { { 1 2', "strategies in quotes"),
        ('NFG 1 R "t" { "A" "B" } { { "u', "not closed"),
        ('NFG 1 R "t" { "A" "B" } { 2 2 } 1 2 3 4 5 6 7 1e3000000', "floats can hold"),
        ('NFG 1 R "t" { "A" "B" } { 2 2 } 1 2 3 4 5 6 7 1e-3000000', "floats can hold"),
        ('NFG 1 R "t" { "A" "B" } { 2 2 } 1 2 3 4 5 6 7 ' + "9" * 5000 + "/7", "floats can hold"),
        ('NFG 1 R "t" { "A" "B" } { ² 2 } 1 2 3 4 5 6 7 8', "actions"),
        ('NFG 1 R "t" { "A" "B" } { 2 2 } 1, 2, 3, 4, 5, 6, 7, 8', "found ','"),
        ('NFG 1 R "t" { "A" "B" } { 2 2 } 1 2 3 4 5 6 7 8 9', "the end"),
        ('NFG 2 R "t" { "A" "B" } { 2 2 } 1 2 3 4 5 6 7 8', "begins with NFG 1"),
        (12, "text"),
    ],
)
def test_bad_text(text, message):
    with pytest.raises(InvalidInput, match=message) as caught:
        from_nfg(text)
    assert "\n" not in str(caught.value)


@pytest.mark.slow  # quantecon compiles
@settings(max_examples=25)
@given(data=st.data())
def test_two_player_games_against_quantecon(data):
    from quantecon.game_theory import NormalFormGame as Reference
    from quantecon.game_theory import Player, vertex_enumeration

    shape = data.draw(st.tuples(st.integers(2, 4), st.integers(2, 4)))
    # Distinct payoffs: vertex enumeration asks for a nondegenerate game.
    order = data.draw(st.permutations(range(2 * shape[0] * shape[1])))
    payoffs = np.array(order, dtype=float).reshape(2, *shape)
    game = NormalFormGame(payoffs=payoffs)
    other = Reference((Player(payoffs[0]), Player(payoffs[1].T)))
    pure = {
        tuple(int(np.argmax(mixture)) for mixture in profile)
        for profile in vertex_enumeration(other)
        if all(np.isclose(mixture.max(), 1.0) for mixture in profile)
    }
    assert {tuple(row) for row in game.pure_equilibria()} == pure


@settings(max_examples=15)
@given(game=participation_games(min_agents=2, max_agents=2, knife_edge=False))
def test_two_agent_participation_games_against_quantecon(game):
    from quantecon.game_theory import NormalFormGame as Reference
    from quantecon.game_theory import Player, pure_nash_brute

    table = tabulate(game)
    other = Reference((Player(table.payoffs[0]), Player(table.payoffs[1].T)))
    reference = set(pure_nash_brute(other, tol=game.tolerance))
    assert {tuple(row) for row in table.pure_equilibria(tolerance=game.tolerance)} == reference


def test_contribution_games_are_tabulated_on_given_amounts():
    rule = StandardFederatedRule(lambda data: 1 - 1 / (1 + data))
    game = ContributionGame(costs=[0.01, 0.02], rule=rule, limits=50.0)
    table = tabulate(game, actions=[[0.0, 4.0, 9.0], [0.0, 6.0]])
    assert table.pure_equilibria().tolist() == [[2, 0]]
    assert np.allclose(table.utilities([1, 1]), game.utilities([4.0, 6.0]))
    with pytest.raises(InvalidInput, match="actions"):
        tabulate(game)


@pytest.mark.parametrize(
    "payoffs",
    [[1.0], [[1.0, 2.0]], [[[np.nan, 1.0]], [[1.0, 1.0]]], np.zeros((3, 2, 2)), np.zeros((2, 0, 2)), "x"],
)
def test_bad_payoffs(payoffs):
    with pytest.raises(InvalidInput):
        NormalFormGame(payoffs=payoffs)


@pytest.mark.parametrize("profile", [[0], [0, 2], [0.5, 0], [-1, 0], "ab"])
def test_bad_profiles(profile):
    with pytest.raises(InvalidInput):
        NormalFormGame(payoffs=np.zeros((2, 2, 2))).epsilon(profile)
