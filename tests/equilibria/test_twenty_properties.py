"""The laws of the participation model, each for games drawn over the whole range of behaviour."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from equilibria.correlated import correlated_equilibrium
from equilibria.declared import DeclaredTypesRule
from equilibria.dynamics import best_response_dynamics
from equilibria.participation import ParticipationGame
from equilibria.pooled import PooledRule
from equilibria.pure import pure_equilibria
from equilibria.table import all_coalitions, worth_table
from equilibria.testing import (
    assert_individually_rational,
    assert_nash,
    assert_unravelling,
    coalitions,
    equal_share_rules,
    participation_games,
)
from equilibria.verified import VerifiedRule
from equilibria.welfare import FullInformationRule, welfare_optimum

FULL = FullInformationRule()


def rescaled(game, **changes):
    return ParticipationGame(
        **{
            "types": game.types,
            "loss_weight": game.loss_weight,
            "complexity": game.complexity,
            "exponent": game.exponent,
            "cost": game.cost,
            "rule": game.rule,
            **changes,
        }
    )


@given(game=participation_games(), amount=st.floats(1e-3, 1e3))
def test_01_the_standalone_amount_is_the_cheapest(game, amount):
    samples = amount * game.standalone_contribution

    def loss(n):
        return game.loss_weight * game.complexity * n**-game.exponent + game.cost * n

    kappa = game.standalone_loss
    assert kappa <= loss(samples) * (1 + 1e-12)
    assert np.isclose(kappa, loss(game.standalone_contribution), rtol=1e-12)
    power = game.exponent / (1 + game.exponent)
    assert np.isclose(rescaled(game, cost=2 * game.cost).standalone_loss, 2**power * kappa, rtol=1e-12)
    order = np.argsort(game.types)
    assert (np.diff(game.reservation_utilities[order]) <= 0).all()


@given(game=participation_games(max_agents=12))
def test_02_full_information_is_individually_rational(game):
    optimum = welfare_optimum(game)
    assert_individually_rational(game.with_rule(FULL), "all")
    assert np.isclose(optimum.contributions.sum(), optimum.total, rtol=1e-9)
    assert np.isclose(game.excess_risk(optimum.contributions), optimum.learning_error, rtol=1e-9)
    assert optimum.least_surplus >= -1e-7 * game.standalone_loss


@given(data=st.data(), game=participation_games(max_agents=6))
def test_03_joining_is_weakly_dominant_under_full_information(data, game):
    full = game.with_rule(FULL)
    assert full.epsilon("all") == 0.0
    members = data.draw(coalitions(game))
    assert (full.gains(members) >= -1e2 * game.tolerance).all()


@given(game=participation_games(max_agents=12))
def test_04_contributors_are_a_prefix_and_all_but_the_last_are_indifferent(game):
    # With every type below the marginal one at its cap, surpluses of contributors of better type vanish.
    full = game.with_rule(FULL)
    given_samples, surplus = full.contributions(), full.surpluses()
    giving = given_samples > 1e-9 * given_samples.sum()
    marginal = game.types[giving].max()
    better = game.types < marginal
    assert giving[better].all() or np.allclose(surplus[better & ~giving], 0, atol=1e-6 * game.standalone_loss)
    assert np.allclose(surplus[better], 0.0, atol=1e-6 * game.standalone_loss)
    assert np.allclose(given_samples[game.types > marginal], 0.0, atol=1e-9 * given_samples.sum())


@given(game=participation_games(max_agents=12))
def test_05_the_best_agent_alone_bounds_the_loss(game):
    optimum = welfare_optimum(game)
    n0, kappa = game.standalone_contribution, game.standalone_loss
    paid = game.cost * n0
    alone = game.players * (game.loss_weight * game.types.min() + kappa - paid) + paid
    assert -optimum.welfare <= alone * (1 + 1e-12)
    assert n0 * (1 - 1e-12) <= optimum.total <= n0 * (1 + game.players / game.exponent) * (1 + 1e-12)


@given(data=st.data(), game=participation_games(max_agents=7))
def test_06_surplus_grows_with_the_coalition_under_full_information(data, game):
    full = game.with_rule(FULL)
    members = data.draw(coalitions(game))
    agent = data.draw(st.integers(0, game.players - 1))
    larger = members.copy()
    larger[agent] = True
    noise = 1e-7 * game.standalone_loss * game.players
    assert full.total_surplus(larger) >= full.total_surplus(members) - noise >= -2 * noise


@given(data=st.data(), game=participation_games(max_agents=7, knife_edge=False))
def test_07_relabelling_agents_relabels_the_answers(data, game):
    order = np.array(data.draw(st.permutations(range(game.players))))
    relabelled = rescaled(game, types=game.types[order])
    members = data.draw(coalitions(game))
    scale = game.standalone_contribution
    assert np.allclose(game.gains(members)[order], relabelled.gains(members[order]), atol=game.tolerance)
    before, after = (g.with_rule(FULL).contributions() for g in (game, relabelled))
    assert np.allclose(before[order], after, rtol=1e-6, atol=1e-6 * scale)
    assert pure_equilibria(game).sizes.tolist() == pure_equilibria(relabelled).sizes.tolist()
    for old, new in zip(pure_equilibria(game), pure_equilibria(relabelled), strict=True):
        assert sorted(order[new.members]) == old.members.tolist()


@given(data=st.data(), game=participation_games(highest=0.4), shift=st.floats(0.0, 0.5))
def test_08_a_common_shift_of_types_changes_nothing_but_the_level(data, game, shift):
    moved = rescaled(game, types=game.types + shift)
    members = data.draw(coalitions(game))
    assert np.allclose(game.gains(members), moved.gains(members), atol=1e3 * game.tolerance)
    before, after = welfare_optimum(game), welfare_optimum(moved)
    level = game.players * game.loss_weight * shift
    assert np.isclose(-after.welfare, -before.welfare + level, rtol=1e-9)


@given(game=participation_games(), factor=st.floats(0.01, 100.0))
def test_09_units_of_utility_do_not_matter(game, factor):
    other = rescaled(game, loss_weight=factor * game.loss_weight, cost=factor * game.cost)
    before, after = welfare_optimum(game), welfare_optimum(other)
    assert np.isclose(after.welfare, factor * before.welfare, rtol=1e-9)
    assert pure_equilibria(game).sizes.tolist() == pure_equilibria(other).sizes.tolist()


@given(game=participation_games(), factor=st.floats(0.01, 100.0))
def test_10_units_of_data_do_not_matter(game, factor):
    other = rescaled(game, complexity=game.complexity * factor**game.exponent, cost=game.cost / factor)
    before, after = welfare_optimum(game), welfare_optimum(other)
    assert np.isclose(after.welfare, before.welfare, rtol=1e-9)
    assert np.isclose(other.standalone_contribution, factor * game.standalone_contribution, rtol=1e-9)
    assert pure_equilibria(game).sizes.tolist() == pure_equilibria(other).sizes.tolist()


@given(game=participation_games(), level=st.floats(0.0, 0.9), agents=st.integers(2, 30))
def test_11_with_equal_types_full_information_is_pooling(game, level, agents):
    equal = rescaled(game, types=np.full(agents, level))
    power = game.exponent / (1 + game.exponent)
    share = game.standalone_contribution * agents**-power
    assert np.allclose(equal.with_rule(FULL).contributions(), share, rtol=1e-5)
    worth = game.loss_weight * PooledRule().worth(equal, np.float64(agents))
    assert np.isclose(equal.with_rule(FULL).total_surplus(), worth, rtol=1e-7)
    assert np.isclose(equal.total_surplus(), worth, rtol=1e-9)


@given(data=st.data(), game=participation_games())
def test_12_the_pooled_surplus_depends_on_size_alone(data, game):
    members = data.draw(coalitions(game))
    worth = PooledRule().worth(game, np.arange(1.0, game.players + 1))
    expected = game.loss_weight * worth[members.sum() - 1] if members.any() else 0.0
    assert np.isclose(game.total_surplus(members), expected, rtol=1e-9, atol=game.players * game.tolerance)
    # The generic route through contributions agrees with the one-pass formula.
    direct = game.surplus_of(game.contributions(members), game.contributions(members))
    if members.any():
        assert np.allclose(direct[members], game.surpluses(members)[members], atol=1e3 * game.tolerance)
    assert worth[0] == 0.0
    assert (np.diff(worth) > 0).all()


@settings(max_examples=200)
@given(game=participation_games(max_agents=8, rule=equal_share_rules()))
def test_13_the_threshold_theorem_finds_what_enumeration_finds(game):
    admitted = game.rule.eligible(game)
    coalitions_, worth = worth_table(game)
    regret = np.where(coalitions_, -worth, worth).max(axis=1)
    nash = coalitions_[(regret <= game.tolerance) & ~(coalitions_ & ~admitted).any(axis=1)]
    answer = pure_equilibria(game)
    assert {tuple(np.flatnonzero(row)) for row in nash} == {tuple(e.members) for e in answer}
    for equilibrium in answer:
        members = game.profile(equilibrium.members)
        assert_nash(game, members)
        assert np.isclose(equilibrium.total_surplus, game.total_surplus(members), atol=1e2 * game.tolerance)
        if members.any():
            assert np.isclose(equilibrium.learning_error, game.learning_error(members), rtol=1e-9)
            outside = game.types[admitted & ~members]
            assert game.types[members].min() >= outside.max(initial=0.0)


@given(data=st.data(), game=participation_games(max_agents=8, knife_edge=False), seed=st.integers(0, 99))
def test_14_every_better_response_path_ends_where_the_cascade_ends(data, game, seed):
    cascade = game.unravel()
    assert_unravelling(game, cascade)
    assert len(cascade) - 1 <= game.players - 1
    greatest = pure_equilibria(game)[-1].members
    assert np.flatnonzero(cascade.final).tolist() == greatest.tolist()
    for order in ("random", "largest"):
        path = best_response_dynamics(game, "all", order=order, seed=seed)
        assert path.outcome == "equilibrium"
        assert np.array_equal(path.final, cascade.final)
    start = data.draw(coalitions(game))
    assert best_response_dynamics(game, start, order="random", seed=seed).outcome == "equilibrium"


@given(
    agents=st.integers(2, 200),
    ratio=st.floats(0.02, 0.3),
    spread=st.floats(0.05, 0.999) | st.floats(1.001, 1.2),
)
def test_15_harmonic_types_unravel_completely_beyond_the_critical_spread(agents, ratio, spread):
    power = 1 / 3

    def critical(m):
        return (1 - m**-power) / (1 - 1 / m)

    beta = spread * ratio * critical(agents)
    assume(beta > 1.001 * ratio * critical(2) or agents == 2)
    harmonic = np.concatenate([[0.0], np.cumsum(1 / np.arange(1, agents))])
    assume(beta * harmonic[-1] <= 1.0)
    samples = 1e4
    cost = ratio / (3 * samples)
    game = ParticipationGame(
        types=1.0 - beta * harmonic, loss_weight=1.0, complexity=2 * cost * samples**1.5, cost=cost
    )
    expected = [0, 1] if spread > 1 else [0, 1, agents]
    if agents == 2:
        expected = [0, 1] if spread > 1 else [0, 2]
    assert pure_equilibria(game).sizes.tolist() == expected
    assert game.unravel().complete == (spread > 1)


def certified(game, samples_fraction):
    """A verified rule whose slack and cost just use the budget, by choice of the estimates' radius."""
    return int(max(1, samples_fraction * game.standalone_contribution))


@settings(max_examples=60)
@given(data=st.data(), game=participation_games(max_agents=6, highest=0.5, knife_edge=False))
def test_16_estimates_within_the_radius_leave_nobody_worse_off(data, game):
    needed = VerifiedRule(samples=1).guarantee(game).samples_needed
    paid = needed is not None
    if not paid:
        needed = VerifiedRule(samples=1, paid=False).guarantee(game).samples_needed
    assume(needed is not None)
    rule = VerifiedRule(samples=needed, paid=paid)
    radius = rule.radius(game)
    assert rule.guarantee(game).holds
    signs = np.array(data.draw(st.lists(st.floats(-1, 1), min_size=game.players, max_size=game.players)))
    if data.draw(st.booleans()):
        signs = np.sign(signs)
    # Clipping moves an estimate towards the truth, so it stays within the radius; the factor absorbs
    # rounding.
    estimates = np.clip(game.types + (1 - 1e-9) * radius * signs, 0.0, 1.0)
    realised = game.with_rule(replace(rule, estimates=estimates))
    assert rule.optimum(game.with_rule(rule), game.profile("all")) is not None
    assert realised.surpluses("all").min() >= -1e-7 * game.standalone_loss
    assert_nash(realised, "all", tolerance=1e-7 * game.standalone_loss)
    members = data.draw(coalitions(game))
    assert realised.surpluses(members).min() >= -1e-7 * game.standalone_loss


@given(data=st.data(), game=participation_games(max_agents=5, highest=0.5))
def test_17_a_report_matters_only_through_acceptance(data, game):
    rule = VerifiedRule(samples=10, estimates=game.types)
    radius = rule.radius(game)
    agent = data.draw(st.integers(0, game.players - 1))
    report = data.draw(st.floats(0.0, 1.0))
    reports = game.types.copy()
    reports[agent] = report
    told = game.with_rule(replace(rule, reports=reports)).surpluses("all")
    truth = game.with_rule(rule).surpluses("all")
    if abs(report - game.types[agent]) <= radius:
        assert np.array_equal(told, truth)
    else:
        assert np.isclose(told[agent], -game.cost * 10, rtol=1e-12)


@given(game=participation_games(), size=st.floats(0.1, 10.0), agent=st.integers(0, 7))
def test_18_a_sole_supplier_does_not_care_about_types(game, size, agent):
    supplier = agent % game.players
    given_samples = np.zeros(game.players)
    given_samples[supplier] = size * game.standalone_contribution
    surplus = game.surplus_of(given_samples, given_samples)[supplier]
    changed = rescaled(game, types=np.linspace(0, 0.3, game.players))
    assert np.isclose(
        surplus, changed.surplus_of(given_samples, given_samples)[supplier], atol=1e3 * game.tolerance
    )
    given_samples[supplier] = game.standalone_contribution
    assert abs(game.surplus_of(given_samples, given_samples)[supplier]) <= 1e3 * game.tolerance


@given(data=st.data(), game=participation_games(max_agents=6))
def test_19_truth_is_safe_when_all_others_over_report(data, game):
    agent = data.draw(st.integers(0, game.players - 1))
    extra = np.array(data.draw(st.lists(st.floats(0, 0.4), min_size=game.players, max_size=game.players)))
    extra[agent] = 0.0
    declared = game.with_rule(DeclaredTypesRule(reports=game.types + extra))
    members = data.draw(coalitions(game))
    members[agent] = True
    assert declared.surpluses(members)[agent] >= -1e-7 * game.standalone_loss


@settings(max_examples=60)
@given(data=st.data(), game=participation_games(max_agents=6, rule=equal_share_rules()))
def test_20_certificates_agree_with_the_definition_and_with_each_other(data, game):
    members = data.draw(coalitions(game))
    utilities = game.utilities(members)
    best = 0.0
    for agent in range(game.players):
        other = members.copy()
        other[agent] ^= True
        best = max(best, float(game.utilities(other)[agent] - utilities[agent]))
    certificate = game.certificate(members)
    assert np.isclose(certificate.epsilon, best, atol=game.tolerance)
    merged = correlated_equilibrium(game)
    full = correlated_equilibrium(game, merge=False)
    noise = 1e-6 * game.standalone_loss
    assert np.isclose(merged.value, full.value, atol=noise)
    assert merged.value >= pure_equilibria(game).total_surpluses.max(initial=0.0) - noise
    assert merged.regret <= noise
    assert full.regret <= noise
    assert merged.bound >= merged.value - noise
    assert np.isclose(merged.bound, merged.value, atol=10 * noise)


@pytest.mark.parametrize("agents", [2, 5])
def test_all_coalitions_are_listed_once(agents):
    assert len({tuple(row) for row in all_coalitions(agents)}) == 2**agents
