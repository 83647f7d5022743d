"""The welfare optimum against linear programs, its own second algorithm, and theory."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize

from contracts.errors import Infeasible
from equilibria import welfare_program
from equilibria.participation import ParticipationGame
from equilibria.testing import participation_games
from equilibria.welfare import welfare_optimum


def program_loss(game, total, slack=0.0, reserve=0.0):
    """V at a prescribed total by a linear program over contributions and the error, shares no code with the
    solver."""
    a, kappa, count = game.loss_weight, game.standalone_loss, game.players
    scale = game.standalone_contribution  # contributions in units of n0, errors in units of kappa
    noise = a * game.complexity * total**-game.exponent
    unit = game.cost * scale / kappa
    objective = np.concatenate([np.zeros(count), [count]])
    rows = np.zeros((count + 1, count + 1))
    rows[:count, :count] = np.eye(count) * (unit - slack / total * scale / kappa)
    rows[:count, -1] = 1.0
    limits = (a * game.types + kappa - slack) / kappa
    rows[count, -1] = 1.0
    best = (a * game.types.min() + kappa - slack - reserve) / kappa
    mixture = np.concatenate([a * game.types * scale / total / kappa, [-1.0]])
    equalities = np.stack([np.concatenate([np.ones(count), [0.0]]), mixture])
    result = optimize.linprog(
        objective,
        A_ub=rows,
        b_ub=np.append(limits, best),
        A_eq=equalities,
        b_eq=[total / scale, -noise / kappa],
        bounds=[(0, None)] * count + [(None, None)],
        options={"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10},
    )
    return kappa * result.fun + game.cost * total if result.status == 0 else np.inf


@settings(max_examples=60)
@given(game=participation_games(max_agents=9, knife_edge=False), where=st.floats(1.003, 8.0))
def test_no_total_of_any_linear_program_beats_it(game, where):
    optimum = welfare_optimum(game)
    kappa = game.standalone_loss
    assert -optimum.welfare <= program_loss(game, where * game.standalone_contribution) + 1e-6 * kappa
    # And at its own total the program agrees, unless that is the isolated point n0.
    if optimum.total > 1.001 * game.standalone_contribution:
        assert np.isclose(program_loss(game, optimum.total), -optimum.welfare, atol=1e-5 * kappa)


@pytest.mark.slow
@settings(max_examples=40)
@given(game=participation_games(max_agents=8, knife_edge=False), share=st.sampled_from([0.0, 0.2, 0.6]))
def test_a_dense_scan_of_linear_programs_finds_nothing_better(game, share):
    budget = game.cost * game.standalone_contribution
    slack, reserve = share * budget, (1 - share) * 0.5 * budget
    optimum = welfare_optimum(game, slack=slack, reserve=reserve)
    totals = game.standalone_contribution * np.geomspace(1.003, 1 + game.players / game.exponent, 60)
    scanned = min(program_loss(game, total, slack, reserve) for total in totals)
    assert -optimum.welfare <= scanned + 1e-6 * game.standalone_loss
    assert optimum.least_surplus >= -1e-7 * game.standalone_loss


@given(game=participation_games(max_agents=12), slack=st.floats(0.0, 0.9))
def test_newton_and_the_closed_form_agree(game, slack):
    types = np.sort(game.types)
    program = welfare_program.sorted_program(game, types, slack * game.cost * game.standalone_contribution, 0.0)
    totals = game.standalone_contribution * np.geomspace(1.001, 1 + game.players / game.exponent, 50)
    noise = game.loss_weight * game.complexity * totals**-game.exponent - game.standalone_loss
    charge = game.cost * totals - program.slack
    dense = welfare_program.error_over_all_prefixes(program, noise, charge)
    newton = welfare_program.error_by_newton(program, noise, charge)
    ceiling = program.ceiling(charge)
    margin = 1e-7 * game.standalone_loss  # at the edge of feasibility rounding decides
    inside = (dense < ceiling - margin) | (newton < ceiling - margin)
    assert np.allclose(dense[inside], newton[inside], atol=margin)


def test_many_agents_and_few_agents_use_the_same_optimum(monkeypatch, worked):
    few = welfare_optimum(worked)
    monkeypatch.setattr(welfare_program, "DENSE", 1)
    many = welfare_optimum(worked)
    assert np.isclose(few.welfare, many.welfare, rtol=1e-12)
    assert np.allclose(few.contributions, many.contributions, rtol=1e-6, atol=1.0)


def test_equal_agents_give_equal_amounts_even_at_the_margin(constants):
    game = ParticipationGame(types=[0.12] * 9 + [0.055] * 12 + [0.0] + [0.12] * 8, **constants)
    given_samples = welfare_optimum(game).contributions
    assert np.ptp(given_samples[9:21]) == 0.0
    assert given_samples[9] > 0.0
    assert given_samples[:9].sum() == given_samples[22:].sum() == 0.0


def test_too_much_slack_is_refused(worked):
    budget = worked.cost * worked.standalone_contribution
    assert welfare_optimum(worked, slack=0.99 * budget).least_surplus >= -1e-9
    # A single agent far better than the rest cannot be compensated by partners.
    lonely = ParticipationGame(types=[0.0, 0.9], loss_weight=1.0, complexity=40.0, cost=3.125e-7)
    with pytest.raises(Infeasible, match="slack"):
        welfare_optimum(lonely, slack=1.5 * budget)


@settings(max_examples=50)
@given(game=participation_games(max_agents=20, knife_edge=False))
def test_the_optimal_total_is_at_most_that_without_rationality(game):
    # Observed in all runs, not proved: N* <= n0 J^(1 / (1 + gamma)).
    total = welfare_optimum(game).total
    assert total <= game.standalone_contribution * game.players ** (1 / (1 + game.exponent)) * (1 + 1e-6)
