"""The figures of the worked example, computed independently before this code was written."""

import numpy as np
import pytest

from equilibria.bayesian import bayesian_thresholds
from equilibria.correlated import correlated_equilibrium
from equilibria.declared import ReportingGame
from equilibria.dynamics import best_response_dynamics
from equilibria.extremal import extremal_equilibrium
from equilibria.participation import ParticipationGame
from equilibria.pooled import ClubRule, FixedShareRule
from equilibria.welfare import FullInformationRule, welfare_optimum

GAINS = [-0.0096, -0.0110, -0.0125, -0.0141, -0.0159, -0.0177, -0.0195, -0.0207, -0.0191, 0.0]
ERRORS = [0.45352, 0.46518, 0.47821, 0.49299, 0.51003, 0.53015, 0.55466, 0.58600, 0.62937, 0.70000]
SURPLUS = [0.8038, 0.7010, 0.6000, 0.5011, 0.4047, 0.3114, 0.2220, 0.1380, 0.0619, 0.0]


def test_constants(worked):
    assert np.isclose(worked.standalone_contribution, 160_000)
    assert np.isclose(worked.standalone_loss, 0.15)


def test_pooled_coalition_unravels_one_by_one(worked):
    cascade = worked.unravel()
    assert cascade.sizes.tolist() == list(range(10, 0, -1))
    assert np.allclose(cascade.least_gains, GAINS, atol=5e-5)
    assert np.allclose(cascade.learning_errors, ERRORS, atol=5e-6)
    assert np.allclose(cascade.total_surpluses, SURPLUS, atol=5e-5)
    assert [step.leavers.tolist() for step in cascade] == [*([agent] for agent in range(9)), []]
    assert np.allclose(cascade.gains_on_leaving[:9], GAINS[:9], atol=5e-5)
    assert cascade.complete
    assert cascade.epsilon == 0.0
    assert cascade.final.tolist() == [False] * 9 + [True]


def test_pure_equilibria(worked):
    assert worked.pure_equilibria().sizes.tolist() == [0, 1]
    assert worked.pure_equilibria()[1].members.tolist() == [9]
    fixed = worked.with_rule(FixedShareRule())
    assert fixed.unravel().sizes.tolist() == list(range(10, -1, -1))
    assert fixed.pure_equilibria().sizes.tolist() == [0]


def test_linear_types_unravel_in_leaps(constants):
    game = ParticipationGame(types=np.linspace(0.1, 1.0, 10), **constants)
    assert game.unravel().sizes.tolist() == [10, 6, 4, 3, 2, 1]


def test_full_information(worked):
    game = worked.with_rule(FullInformationRule())
    expected = [300_898.5, 336_454.1] + [0.0] * 8
    assert np.allclose(game.contributions(), expected, rtol=1e-6)
    assert np.isclose(game.learning_error(), 0.373072, atol=5e-7)
    assert np.isclose(game.total_surplus(), 1.64114, atol=5e-6)
    assert np.isclose(game.utilities().sum(), -3.92990, atol=5e-6)
    assert np.allclose(game.surpluses()[:2], 0.0, atol=1e-9)
    assert game.epsilon("all") == 0.0


def test_the_domain_of_the_welfare_program_has_a_hole(constants):
    game = ParticipationGame(types=[0.0] + [0.055] * 12 + [0.12] * 17, **constants)
    optimum = welfare_optimum(game)
    assert np.isclose(-optimum.welfare, 2.8099, atol=5e-5)
    assert np.isclose(optimum.total / game.standalone_contribution, 6.051, atol=5e-4)


def test_weak_equilibria_of_full_information_are_all_upper_sets(constants):
    game = ParticipationGame(types=[0.10, 0.11, 0.12, 0.15, 0.20, 0.30], rule=FullInformationRule(), **constants)
    members = [equilibrium.members.tolist() for equilibrium in game.pure_equilibria()]
    assert members == [list(range(6 - size, 6)) for size in range(7)]


def test_club(worked):
    game = worked.with_rule(ClubRule())
    assert game.rule.admitted(game) == 9
    assert np.isclose(game.total_surplus(), 0.701, atol=5e-5)


def test_truth_is_not_an_equilibrium_of_declared_types(worked):
    reporting = ReportingGame(game=worked)
    for agent, gain in ((0, 0.0821), (1, 0.0956)):
        report, found = reporting.best_response(agent, worked.types)
        assert np.isclose(found, gain, atol=5e-5)
        assert report > worked.types[1 - agent]


def test_the_report_driven_rule_is_not_truthful_within_the_acceptance_window(worked):
    width = 2 * 0.01233
    low, high = worked.types - width, worked.types + width
    reporting = ReportingGame(game=worked, low=low, high=high)
    gains = [reporting.best_response(agent, worked.types)[1] for agent in (0, 1)]
    assert np.allclose(gains, [0.0821, 0.0956], atol=5e-5)


def test_everybody_claiming_the_worst_is_stable_but_for_ties(worked):
    # Babbling: contributions do not depend on who says it, so the rule is the pooled one.
    worst = np.full(10, 0.6)
    reporting = ReportingGame(game=worked)
    pooled = worked.utilities("all")
    assert np.allclose(reporting.utilities(worst), pooled, atol=1e-7)


@pytest.mark.slow
def test_declared_types_are_overbid_until_they_say_nothing_and_then_unravel_as_pooled(worked):
    reporting = ReportingGame(game=worked, high=np.full(10, 0.6))
    path = best_response_dynamics(reporting, worked.types, limit=200)
    assert path.outcome == "equilibrium"
    assert np.isnan(path.final[:9]).all()
    assert path.final[9] == 0.6
    leaving = path.moves[-9:]
    assert [move.player for move in leaving] == list(range(9))
    assert all(np.isnan(move.action) for move in leaving)
    # When everybody claims the worst type, leaving gains what it gains under the pooled rule.
    assert np.allclose([-move.gain for move in leaving], GAINS[:9], atol=5e-5)


def test_correlated_equilibria(worked):
    best = correlated_equilibrium(worked)
    assert np.isclose(best.value, 0.33928, atol=5e-6)
    assert np.isclose(best.bound, best.value, atol=1e-9)
    assert best.regret <= 1e-12
    company = correlated_equilibrium(worked, objective=lambda members: float(members.sum() >= 2))
    assert np.isclose(company.value, 0.991, atol=5e-4)
    first = correlated_equilibrium(worked, objective=lambda members: float(members[0]))
    assert np.isclose(first.value, 0.126, atol=5e-4)
    assert np.isclose(first.joining[0], first.value)


@pytest.mark.parametrize("sense", ["best", "worst"])
def test_extremal_pure_equilibria(worked, sense):
    # Both equilibria, nobody and the worst agent alone, give everybody their reservation utility.
    found = extremal_equilibrium(worked, sense=sense)
    assert found.epsilon == 0.0
    assert found.profile[:9].sum() == 0
    assert np.isclose(found.welfare, worked.reservation_utilities.sum())


@pytest.mark.parametrize(("agents", "threshold"), [(10, 0.8660), (100, 0.8000), (1000, 0.7464)])
def test_bayesian_thresholds_of_uniform_types(constants, agents, threshold):
    from scipy import stats

    game = ParticipationGame(types=np.zeros(agents), **constants)
    (found,) = bayesian_thresholds(game, stats.uniform(0, 1))
    assert np.isclose(found.threshold, threshold, atol=5e-5)
    assert found.stable
    assert abs(found.marginal_gain) < 1e-12
