# ruff: noqa: ARG005
"""Rules of the user's own: what they answer is checked, they cannot change the coalition, cascades end."""

import numpy as np
import pytest
from hypothesis import given, settings

from contracts.errors import InvalidInput
from equilibria.declared import DeclaredTypesRule, ReportingGame
from equilibria.dynamics import best_response_dynamics
from equilibria.game import NashCertificate
from equilibria.normal_form import NormalFormGame
from equilibria.participation import ParticipationGame
from equilibria.pooled import PooledRule
from equilibria.rule import Rule
from equilibria.testing import assert_nash, assert_rule, assert_unravelling, participation_games, rules
from equilibria.unravelling import Unravelling

GAME = ParticipationGame(types=[0.1, 0.2, 0.2, 0.6], loss_weight=1.0, complexity=40.0, cost=3.125e-7)


class Own(Rule):
    """What a user might write; `answer` takes the agents and the mask."""

    def __init__(self, answer, **others):
        self.answer = answer
        self.__dict__.update(others)

    def contributions(self, game, members):
        return self.answer(game, members)


def writes(game, members):
    members[np.flatnonzero(members)[:1]] = False
    return np.where(members, 1e5, 0.0)


def insists(game, members):
    members.flags.writeable = True
    return writes(game, members)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (writes, "Own writes into the coalition"),
        (insists, "Own writes into the coalition"),
        (
            lambda game, members: np.where(members, -1e5, 0.0),
            r"contributions\[0\] = -100000: expected at least 0",
        ),
        (lambda game, members: np.where(members, np.nan, 0.0), r"contributions\[0\] = nan"),
        (lambda game, members: np.where(members, np.inf, 0.0), "finite"),
        (lambda game, members: np.full(4, 1e5), "not in the coalition|Nash"),
        (lambda game, members: np.full(3, 1e5), r"has shape \(3,\)"),
        (lambda game, members: 1e5, r"has shape \(\)"),
        (lambda game, members: None, "contributions = None: expected real numbers"),
        (lambda game, members: [1.0, [2.0]], "expected real numbers"),
        (lambda game, members: np.full(4, 1j), "expected real numbers"),
    ],
)
def test_impossible_answers_are_refused_in_one_line_wherever_they_are_asked_for(answer, message):
    game = GAME.with_rule(Own(answer))
    for act in (
        game.unravel,
        game.pure_equilibria,
        lambda: game.contributions([0, 1]),
        lambda: game.certificate([0, 1]),
    ):
        with pytest.raises(InvalidInput, match=message) as caught:
            act()
        assert "\n" not in str(caught.value)


def test_answers_cannot_be_written_into():
    table = NormalFormGame(payoffs=np.zeros((2, 2, 2)))
    records = [GAME, GAME.partition(), GAME.unravel(), GAME.pure_equilibria(), GAME.certificate("all"), table]
    records += [GAME.blocking_coalition([[0, 1, 2, 3]]), table.certificate([0, 0])]
    for record in records:
        for name in record.__dataclass_fields__:
            value = getattr(record, name)
            for array in value if isinstance(value, tuple) else [value]:
                if isinstance(array, np.ndarray):
                    assert not array.flags.writeable, (type(record).__name__, name)


def test_a_rule_that_asks_for_nothing_leaves_everybody_as_well_off_as_alone():
    game = GAME.with_rule(Own(lambda game, members: np.zeros(game.players)))
    assert game.surpluses("all").tolist() == [0.0] * 4
    assert game.unravel().sizes.tolist() == [4]


def test_capacities_bind_what_a_rule_may_ask_for():
    game = ParticipationGame(
        types=[0.1, 0.2], loss_weight=1.0, complexity=40.0, cost=3e-7, capacities=[1e5, 10.0],
        rule=Own(lambda game, members: np.where(members, 100.0, 0.0)),
    )  # fmt: skip
    with pytest.raises(InvalidInput, match=r"contributions\[1\] = 100: expected at most the capacity"):
        game.contributions("all")


@settings(max_examples=12)
@given(game=participation_games(max_agents=4, rule=rules(), knife_edge=False))
def test_our_own_rules_pass_their_check(game):
    assert_rule(game.rule, game)


def shifted(question, by):
    """The pooled rule with one answer changed for the first agent."""

    class Changed(PooledRule):
        pass

    def answer(self, game, members):
        result = np.array(getattr(PooledRule, question)(self, game, members), dtype=float)
        result[0] += by
        return result

    setattr(Changed, question, answer)
    return Changed()


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (shifted("gains", 0.01), "gains|surplus|at most"),
        (shifted("surpluses", 0.5), "at most|outsiders"),
        (shifted("surpluses", -0.01), "outsiders|gains"),
        (
            Own(lambda _, members: np.where(members, np.random.default_rng().random(4), 0.0)),
            "asked again|joining",
        ),
        (Own(lambda _, members: np.where(members, 1e5 * (1 + np.arange(4)), 0.0)), "unequally|joining"),
    ],
)
def test_inconsistent_rules_are_found(rule, message):
    with pytest.raises(AssertionError, match=message):
        assert_rule(rule, GAME)


@pytest.mark.parametrize(
    "field",
    ["sizes", "least_gains", "learning_errors", "total_surpluses", "left_after", "gains_on_leaving", "epsilon"],
)
def test_every_number_of_a_cascade_is_looked_at(field):
    cascade = GAME.unravel()
    assert_unravelling(GAME, cascade)
    parts = {name: getattr(cascade, name) for name in Unravelling.__dataclass_fields__}
    changed = parts[field] + 1 if field == "epsilon" else parts[field].copy()
    if field != "epsilon":
        changed[-1 if field != "gains_on_leaving" else 3] += 1
    with pytest.raises(AssertionError):
        assert_unravelling(GAME, Unravelling(**{**parts, field: changed}))


def certificate(gains, bounds, tolerances):
    return NashCertificate(
        profile=np.zeros(2, dtype=int),
        utilities=np.zeros(2),
        deviations=np.ones(2, dtype=int),
        gains=np.array(gains),
        gain_bounds=np.array(bounds),
        tolerances=np.array(tolerances),
        method="",
    )


def test_a_certificate_says_what_is_proved_and_not_what_was_found():
    open_ = certificate([0.0, 0.0], [0.0, np.inf], [1e-9, 1e-9])
    assert not open_.holds
    assert not open_.refuted
    assert open_.deviator is None
    assert str(open_).startswith("not proved to be a Nash equilibrium")
    assert certificate([0.0, 0.0], [1e-9, 1e-10], [1e-9, 1e-9]).holds
    beaten = certificate([1.0, 0.5], [1.0, 0.5], [2.0, 0.1])
    assert beaten.refuted
    assert beaten.deviator == 1


def test_reports_without_a_bound_are_never_proved_to_be_equilibria():
    game = ReportingGame(game=GAME.with_rule(DeclaredTypesRule()))
    path = best_response_dynamics(game, [0.6] * 4, limit=3)
    assert not game.certificate(path.final).holds
    with pytest.raises(AssertionError, match=r"not proved|not a Nash"):
        assert_nash(game, path.final)


def test_one_players_large_payoffs_hide_nothing():
    # Rounding relative to the range over all players, or all profiles, called every profile Nash.
    game = NormalFormGame(payoffs=[[[0.0, -1e11], [0.25, -1e11]], [[1.0, 0.0], [1.0, 0.0]]])
    assert game.pure_equilibria().tolist() == [[1, 0]]
    assert not game.certificate([0, 0]).holds
    assert game.certificate([1, 0]).holds
    tolerant = NormalFormGame(payoffs=game.payoffs, tolerances=[0.3, 0.0])
    assert tolerant.pure_equilibria().tolist() == [[0, 0], [1, 0]]
    assert game.pure_equilibria(tolerance=[0.3, 1.0]).tolist() == [[0, 0], [0, 1], [1, 0], [1, 1]]
