"""Bad input is refused in one line that says what is accepted; extremes neither crash nor warn."""

import numpy as np
import pytest

from contracts.errors import InvalidInput
from equilibria.correlated import correlated_equilibrium
from equilibria.declared import DeclaredTypesRule, ReportingGame
from equilibria.dynamics import best_response_dynamics
from equilibria.normal_form import tabulate
from equilibria.participation import ParticipationGame
from equilibria.pooled import ClubRule, FixedShareRule, PooledRule
from equilibria.verified import VerifiedRule
from equilibria.welfare import FullInformationRule

GOOD = {"types": [0.1, 0.2], "loss_weight": 1.0, "complexity": 40.0, "exponent": 0.5, "cost": 3e-7}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"types": [0.1, 1.2]}, r"types\[1\] = 1.2"),
        ({"types": [0.1, np.nan]}, r"types\[1\] = nan"),
        ({"types": [-0.1, 0.1]}, r"types\[0\] = -0.1"),
        ({"types": [0.1]}, "two agents"),
        ({"types": []}, "empty"),
        ({"types": [[0.1, 0.2]]}, "dimensions"),
        ({"types": ["a", "b"]}, "real numbers"),
        ({"cost": 0.0}, "cost = 0"),
        ({"cost": -1.0}, "cost = -1"),
        ({"cost": np.inf}, "cost = inf"),
        ({"cost": "cheap"}, "cost = 'cheap'"),
        ({"exponent": 0.0}, "exponent = 0"),
        ({"exponent": 1.5}, "exponent = 1.5"),
        ({"loss_weight": 0}, "loss_weight = 0"),
        ({"complexity": np.nan}, "complexity = nan"),
        ({"cost": 1e-300, "complexity": 1e300}, "rescale"),
        ({"cost": 1e300, "complexity": 1e-300}, "rescale"),
        ({"rule": "pooled"}, "PooledRule"),
    ],
)
def test_bad_games(change, message):
    with pytest.raises(InvalidInput, match=message) as caught:
        ParticipationGame(**{**GOOD, **change})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("coalition", "message"),
    [
        ([2], r"coalition\[0\] = 2: expected an agent number from 0 to 1"),
        ([0, -1], r"coalition\[1\] = -1"),
        ([0, 0], "at most once"),
        ([True, False, True], "length 2"),
        ([0.5], "agent numbers"),
        ("everybody", "agent numbers"),
        ([[0]], "agent numbers"),
        ([[0], [0, 1]], "agent numbers"),
        ({"a"}, "agent numbers"),
    ],
)
def test_bad_coalitions(coalition, message):
    with pytest.raises(InvalidInput, match=message):
        ParticipationGame(**GOOD).epsilon(coalition)


@pytest.mark.parametrize(
    "make",
    [
        lambda: VerifiedRule(samples=0),
        lambda: VerifiedRule(samples=10, confidence=1.0),
        lambda: VerifiedRule(samples=10, probes=0),
        lambda: VerifiedRule(samples=10, trusted_samples=0),
        lambda: VerifiedRule(samples=10, slack_factor=2.0),
        lambda: VerifiedRule(samples=10, estimates=[2.0]),
        lambda: FixedShareRule(samples=0.0),
        lambda: ClubRule(size=0),
        lambda: DeclaredTypesRule(reports=[np.nan]),
        lambda: ParticipationGame(**GOOD, rule=ClubRule(size=3)).contributions(),
        lambda: ParticipationGame(**GOOD, rule=DeclaredTypesRule(reports=[0.1])).contributions(),
        lambda: ParticipationGame(**GOOD, rule=VerifiedRule(samples=5, estimates=[0.1])).contributions(),
        lambda: ParticipationGame(**GOOD).certificate("all", tolerance=-1),
        lambda: ReportingGame(game=ParticipationGame(**GOOD), low=[0.5, 0.5], high=[0.4, 0.6]),
        lambda: ReportingGame(game=ParticipationGame(**GOOD)).utilities([0.1, 2.0]),
        lambda: best_response_dynamics(ParticipationGame(**GOOD), "all", order="alphabetical"),
        lambda: best_response_dynamics(ParticipationGame(**GOOD), "all", order=[0, 0]),
        lambda: best_response_dynamics(ParticipationGame(**GOOD), "all", limit=0),
    ],
)
def test_bad_arguments(make):
    with pytest.raises(InvalidInput) as caught:
        make()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("agents", [45, 200])
def test_tables_beyond_the_memory_are_refused_at_once(agents):
    game = ParticipationGame(**{**GOOD, "types": np.linspace(0, 0.5, agents)})
    for act in (
        tabulate,
        correlated_equilibrium,
        lambda g: g.with_rule(FullInformationRule()).pure_equilibria(),
    ):
        with pytest.raises(InvalidInput, match="GiB"):
            act(game)


RULES = [
    PooledRule(),
    FixedShareRule(),
    ClubRule(),
    FullInformationRule(),
    VerifiedRule(samples=100),
    DeclaredTypesRule(),
]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: type(rule).__name__)
def test_the_empty_coalition_and_equal_types_are_ordinary(rule):
    for types in ([0.2, 0.2, 0.2], [0.0, 0.0], [0.9, 0.9], [0.0, 0.9]):
        game = ParticipationGame(**{**GOOD, "types": types, "rule": rule})
        assert game.contributions([]).sum() == 0.0
        assert game.learning_error([]) == np.inf
        assert np.array_equal(game.utilities([]), game.reservation_utilities)
        assert np.isfinite(game.gains([])).all()
        assert np.isfinite(game.gains()).all()
        assert len(game.unravel()) >= 1
        assert len(game.unravel([])) == 1
        assert str(game.unravel())
        assert str(game.pure_equilibria())
        assert str(game.certificate("all"))


def test_extreme_constants_neither_crash_nor_warn():
    for change in (
        {"cost": 1e-30},
        {"cost": 1e6},
        {"complexity": 1e-9},
        {"exponent": 1e-3},
        {"loss_weight": 1e9},
    ):
        for rule in RULES:
            game = ParticipationGame(**{**GOOD, "rule": rule, **change})
            assert np.isfinite(game.surpluses()).all()
            assert 0 < game.unravel().sizes[0] <= 2
