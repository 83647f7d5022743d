"""Agents with costs and capacities of their own: what survives, what does not, and what is refused by name."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import optimize

from contracts.errors import InvalidInput
from equilibria.bayesian import bayesian_thresholds
from equilibria.combinations import NEEDS_AGENTS_ALIKE
from equilibria.contribution import ContributionGame, StandardFederatedRule
from equilibria.declared import DeclaredTypesRule, ReportingGame
from equilibria.dynamics import best_response_dynamics
from equilibria.fixed_amounts import FixedAmountsRule
from equilibria.mixed import mixed_gains
from equilibria.participation import ParticipationGame
from equilibria.phase import phase_diagram
from equilibria.pooled import ClubRule, FixedShareRule, PooledRule
from equilibria.testing import assert_rule, assert_unravelling
from equilibria.verified import VerifiedRule
from equilibria.welfare import FullInformationRule, welfare_optimum

CONSTANTS = {"loss_weight": 1.0, "complexity": 40.0, "exponent": 0.5}


def drawn(rng, agents=4, capacities=True):
    return ParticipationGame(
        types=rng.uniform(0, 0.4, agents).round(3),
        costs=3.125e-7 * rng.uniform(0.3, 3.0, agents),
        capacities=rng.choice([3e4, 1e5, 1e7], agents) if capacities else None,
        **CONSTANTS,
    )


def test_training_alone_at_own_costs_and_with_own_data():
    rng = np.random.default_rng(0)
    game = drawn(rng, 6)
    for agent in range(6):

        def loss(samples, agent=agent):
            return 40.0 * samples**-0.5 + game.costs[agent] * samples

        best = optimize.minimize_scalar(loss, bounds=(1.0, game.capacities[agent]), method="bounded").fun
        assert np.isclose(game.standalone_losses[agent], best, rtol=1e-6)
        assert game.standalone_contributions[agent] <= game.capacities[agent]


def test_equal_costs_by_agent_and_ample_capacities_change_nothing(worked):
    apart = replace(worked, cost=None, costs=np.full(10, worked.cost), capacities=np.full(10, 1e12))
    for rule in (PooledRule(), FixedShareRule(), FullInformationRule(), ClubRule(size=9)):
        same, other = worked.with_rule(rule), apart.with_rule(rule)
        close = 2e-3 if isinstance(rule, FullInformationRule) else 1e-9
        assert np.allclose(same.surpluses("all"), other.surpluses("all"), atol=close)
    assert apart.unravel().sizes.tolist() == worked.unravel().sizes.tolist()
    assert np.isclose(welfare_optimum(apart).welfare, welfare_optimum(worked).welfare, rtol=1e-4)


def test_rules_are_consistent_for_agents_who_differ():
    rng = np.random.default_rng(1)
    for _ in range(8):
        game = drawn(rng)
        amounts = FixedAmountsRule(samples=game.standalone_contributions * rng.uniform(0.3, 1.0, 4))
        for rule in (PooledRule(), FixedShareRule(samples=2e4), ClubRule(size=2), amounts):
            assert_rule(rule, game, coalitions=8)
            assert_unravelling(game.with_rule(rule), game.with_rule(rule).unravel())


def test_pure_equilibria_need_no_longer_be_the_worst_agents():
    # The threshold theorem: every nonempty equilibrium holds the worst agents. Not so with own costs.
    rng = np.random.default_rng(2)
    broken = 0
    for _ in range(60):
        game = replace(drawn(rng, 4, capacities=False), types=rng.uniform(0, 0.05, 4))
        game = game.with_rule(FixedShareRule(samples=2e5))
        for found in game.pure_equilibria():
            members = game.profile(found.members)
            assert game.certificate(members).holds
            if members.any() and not members.all():
                broken += bool(game.types[members].min() < game.types[~members].max())
    assert broken > 5


def test_dynamics_find_equilibria_where_there_is_no_theorem():
    rng = np.random.default_rng(3)
    for _ in range(10):
        game = drawn(rng, 6)
        path = best_response_dynamics(game, "all", limit=200)
        if path.outcome == "equilibrium":
            sets = [tuple(found.members) for found in game.pure_equilibria()]
            assert tuple(np.flatnonzero(path.final)) in sets


def test_full_information_stays_rational_and_stable_for_agents_who_differ():
    rng = np.random.default_rng(4)
    for _ in range(2):
        game = drawn(rng, 3).with_rule(FullInformationRule())
        optimum = welfare_optimum(game)
        assert optimum.least_surplus >= -1e-6
        assert (optimum.contributions <= game.capacities * (1 + 1e-12)).all()
        # Joining is weakly dominant, so the grand coalition is an equilibrium; and more agents, more surplus.
        assert game.gains([0]).min() >= -1e-6
        assert game.certificate("all", tolerance=1e-6).holds
        assert game.total_surplus("all") >= game.total_surplus([0, 1]) - 1e-5
        # No worse than any point of a coarse grid that is rational for all.
        best = np.inf
        axes = [np.linspace(0, min(limit, 4e5), 7) for limit in game.capacities]
        for point in np.stack(np.meshgrid(*axes), axis=-1).reshape(-1, 3):
            if point.sum() > 0 and game.surplus_of(point, point).min() >= 0:
                best = min(best, 3 * game.excess_risk(point) + float(game.costs @ point))
        assert -optimum.welfare <= best * (1 + 1e-3)


def shares_falling_with_size(types, costs, capacities):
    """Everybody's loss above the type-free part, in a coalition of size m that asks n0 m^-p of each, or all they
    have."""

    def loss(agent, members):
        if len(members) == 1:
            amount = min((20.0 / costs[agent]) ** (2 / 3), capacities[agent])
            return types[agent] + 40.0 * amount**-0.5 + costs[agent] * amount
        share = (20.0 / np.mean(costs)) ** (2 / 3) * len(members) ** (-1 / 3)
        amounts = {j: min(share, capacities[j]) for j in members}
        total = sum(amounts.values())
        mean = sum(amounts[j] * types[j] for j in members) / total
        return mean + 40.0 * total**-0.5 + costs[agent] * amounts[agent]

    return loss


@pytest.mark.parametrize("capped", [False, True])
def test_with_shares_that_fall_with_the_size_there_need_be_no_top_coalition(capped):
    rng = np.random.default_rng(5)
    without = 0
    for _ in range(400):
        agents = int(rng.integers(3, 5))
        types = rng.uniform(0, 0.3, agents)
        costs = np.full(agents, 3e-7) if capped else 3e-7 * rng.uniform(0.2, 5.0, agents)
        capacities = rng.choice([1e4, 4e4, 1e7], agents) if capped else np.full(agents, 1e9)
        loss = shares_falling_with_size(types, costs, capacities)
        groups = [[j for j in range(agents) if mask >> j & 1] for mask in range(1, 2**agents)]
        rational = [g for g in groups if all(loss(j, g) <= loss(j, [j]) + 1e-12 for j in g)]
        best = {j: min(loss(j, g) for g in rational if j in g) for j in range(agents)}
        top = [g for g in rational if all(loss(j, g) <= best[j] + 1e-12 for j in g)]
        without += not top
    assert without > 0


def test_contribution_games_have_costs_and_limits_by_player():
    rule = StandardFederatedRule(lambda data: 1 - 1 / (1 + data))
    game = ContributionGame(costs=[0.01, 0.02], rule=rule, limits=[5.0, 50.0])
    assert np.isclose(game.best_response(0, [0.0, 0.0])[0], 5.0)
    path = best_response_dynamics(game, [0.0, 0.0])
    assert path.outcome == "equilibrium"
    assert path.final[0] == 5.0
    assert path.final[1] > 0


ALIKE = ParticipationGame(types=[0.1, 0.2, 0.3], cost=3e-7, **CONSTANTS)
APART = ParticipationGame(types=[0.1, 0.2, 0.3], costs=[3e-7, 3e-7, 4e-7], **CONSTANTS)


@pytest.mark.parametrize(
    ("what", "act"),
    [
        ("one standalone contribution for all", lambda game: game.standalone_contribution),
        ("one standalone loss for all", lambda game: game.standalone_loss),
        ("mixed profiles and thresholds of types", lambda game: mixed_gains(game, [0.5] * 3)),
        ("mixed profiles and thresholds of types", lambda game: bayesian_thresholds(game, None)),
        ("the verified rule", lambda game: game.with_rule(VerifiedRule(samples=9)).contributions("all")),
        ("the verified rule", lambda game: VerifiedRule(samples=9).guarantee(game)),
        ("a partition under equal shares", lambda game: game.partition()),
        ("a club without a size", lambda game: game.with_rule(ClubRule()).contributions("all")),
        ("a welfare optimum with slack", lambda game: welfare_optimum(game, slack=0.1)),
        ("a phase diagram over costs", lambda game: phase_diagram(game, spreads=[1.0], costs=[1e-7])),
    ],
)
def test_what_is_not_known_is_refused_with_its_reason(what, act):
    with pytest.raises(InvalidInput, match="costs by agent") as caught:
        act(APART)
    assert NEEDS_AGENTS_ALIKE[what] in str(caught.value)
    assert "\n" not in str(caught.value)


def test_declared_types_work_for_agents_who_differ():
    declared = APART.with_rule(DeclaredTypesRule())
    full = APART.with_rule(FullInformationRule())
    assert np.allclose(declared.contributions("all"), full.contributions("all"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"costs": [1e-7, 1e-7]}, "costs has length 2: expected 3"),
        ({"costs": [1e-7, 0.0, 1e-7]}, r"costs\[1\] = 0"),
        ({"costs": [1e-7, np.nan, 1e-7]}, r"costs\[1\] = nan"),
        ({"capacities": [1.0]}, "capacities has length 1: expected 3"),
        ({"capacities": [1.0, -1.0, 1.0]}, r"capacities\[1\] = -1"),
        ({"cost": 1e-7}, "expected one of them"),
        ({"costs": None}, "expected one of them"),
        (
            {"rule": FixedAmountsRule(samples=[1.0, 2.0, 3.0]), "capacities": [9.0, 1.0, 9.0]},
            r"samples\[1\] = 2",
        ),
    ],
)
def test_bad_input(change, message):
    with pytest.raises(InvalidInput, match=message) as caught:
        replace(APART, **change).contributions("all")
    assert "\n" not in str(caught.value)
    assert ALIKE.alike


@pytest.mark.parametrize("cost", [3e-7, 1e-18])
def test_no_other_agents_cost_decides_what_counts_as_no_gain(cost):
    def game(kind):
        return ParticipationGame(types=[0.1, kind, 0.1], costs=[3e-7, 3e-7, cost], **CONSTANTS)

    def short_of_a_tie(kind):  # agent 1 would gain a third of a billionth of its loss by joining agent 0
        return game(kind).gains([0])[1] - 3e-10 * game(kind).standalone_losses[1]

    tied = game(optimize.brentq(short_of_a_tie, 0.0, 0.1, xtol=1e-16))
    assert 0 < tied.gains([0])[1] < tied.tolerances[1]
    assert tied.best_responses([0]).actions.tolist()[:2] == [True, False]
    np.testing.assert_allclose(tied.tolerances, 1e-9 * tied.standalone_losses)
    assert tied.tolerance == tied.tolerances.min()


def test_reports_are_looked_at_to_what_is_small_for_each_agent():
    game = ParticipationGame(types=[0.1, 0.2, 0.3], costs=[3e-7, 3e-7, 3e-13], **CONSTANTS)
    reporting = ReportingGame(game=game)
    assert np.allclose(reporting.tolerances, 1e-6 * game.standalone_losses, rtol=1e-12)
    assert reporting.tolerances[2] < 0.02 * reporting.tolerances[0]
    assert reporting.tolerance == reporting.tolerances[0]
    alike = ReportingGame(game=ParticipationGame(types=[0.1, 0.2], cost=3e-7, **CONSTANTS))
    assert alike.tolerances.shape == (2,)


@pytest.mark.parametrize("costs", [[1e-300, 1e300, 1.0], [1e-60, 1.0, 1.0]])
def test_data_too_cheap_to_tell_from_free_leave_the_supplier_alone(costs):
    game = ParticipationGame(types=[0.1, 0.2, 0.6], costs=costs, rule=FullInformationRule(), **CONSTANTS)
    given = game.contributions()
    assert given[0] == game.standalone_contributions[0] > 1e40
    assert not given[1:].any()
