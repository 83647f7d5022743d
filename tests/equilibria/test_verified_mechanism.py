"""Probabilistic verification: the guarantee's figures, and what repeated sampling shows."""

from dataclasses import replace

import numpy as np
import pytest

from contracts.errors import InvalidInput
from equilibria.participation import ParticipationGame
from equilibria.verification_trial import verification_trial
from equilibria.verified import VerifiedRule
from mechanisms.verification import estimate_types

PAID = VerifiedRule(samples=39_441)


def test_the_guarantee_of_the_worked_example(worked):
    found = PAID.guarantee(worked)
    assert found.holds
    assert np.isclose(found.radius, 0.01233, atol=5e-6)
    assert np.isclose(found.slack + found.verification_cost, 0.03698, atol=5e-6)
    assert np.isclose(found.budget, 0.05)
    assert np.isclose(found.least_complexity, 25.44, atol=5e-3)
    assert found.confidence == 0.95
    assert "proved" in str(found)
    assert not str(found).startswith("nothing")


def test_the_sample_size_is_the_smallest_that_meets_the_condition(worked):
    for paid in (True, False):
        needed = VerifiedRule(samples=1, paid=paid).guarantee(worked).samples_needed
        assert VerifiedRule(samples=needed, paid=paid).guarantee(worked).holds
        assert not VerifiedRule(samples=needed - 1, paid=paid).guarantee(worked).holds
    assert VerifiedRule(samples=1, paid=False).guarantee(worked).samples_needed == 9587


def test_the_least_complexity_is_where_verification_starts_to_pay(worked):
    bound = PAID.guarantee(worked).least_complexity
    for factor, possible in ((0.99, False), (1.01, True)):
        game = replace(worked, complexity=factor * bound)
        assert (PAID.guarantee(game).samples_needed is not None) == possible


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        (VerifiedRule(samples=400), "nothing is proved"),
        (replace(PAID, slack_factor=0.5), "the slack is below"),
        (VerifiedRule(samples=400), "samples from each agent would do"),
    ],
)
def test_without_the_condition_nothing_is_promised(worked, rule, text):
    found = rule.guarantee(worked)
    assert not found.holds
    assert found.confidence == 0.0
    assert found.ex_ante_gain == np.inf
    assert text in str(found)


def test_where_no_number_of_samples_would_do_the_guarantee_says_so(constants):
    game = ParticipationGame(types=[0.1, 0.2], **{**constants, "complexity": 2.5})
    assert "no number of samples would do" in str(PAID.guarantee(game))


def test_a_thousand_verifications_make_the_grand_coalition_nash(worked):
    trial = verification_trial(worked, PAID, runs=1000)
    assert trial.frequency >= 0.95
    assert trial.interval[0] >= 0.95
    assert trial.within_radius >= 950
    assert trial.least_surpluses.min() > 0.0
    assert np.isclose(trial.total_surpluses.mean(), 1.525, atol=2e-3)


@pytest.mark.parametrize(
    ("factor", "low", "high"),
    [(0.25, 0.86, 0.97), (0.0, 0.05, 0.17)],
)
def test_without_the_slack_it_is_nash_less_often(worked, factor, low, high):
    trial = verification_trial(worked, replace(PAID, slack_factor=factor), runs=400)
    assert low < trial.frequency < high
    assert trial.interval[0] < trial.frequency < trial.interval[1]


def test_free_samples(worked):
    certified = VerifiedRule(samples=9587, paid=False)
    assert verification_trial(worked, certified, runs=200).frequency == 1.0
    few = VerifiedRule(samples=2500, paid=False, slack_factor=0.0)
    assert 0.2 < verification_trial(worked, few, runs=300).frequency < 0.4
    half = VerifiedRule(samples=2500, paid=False, slack_factor=0.5)
    assert verification_trial(worked, half, runs=200).frequency > 0.98


def test_the_exact_interval_is_clopper_pearson(worked):
    from scipy import stats

    trial = verification_trial(worked, replace(PAID, slack_factor=0.0), runs=100, level=0.9)
    k, n = trial.equilibria, trial.runs
    assert np.isclose(trial.interval[0], stats.beta.ppf(0.05, k, n - k + 1))
    assert np.isclose(trial.interval[1], stats.beta.ppf(0.95, k + 1, n - k))


def test_a_rejected_liar_pays_for_the_samples_and_the_others_carry_on(worked):
    reports = worked.types.copy()
    reports[0] = 0.9
    game = worked.with_rule(replace(PAID, reports=reports))
    surplus = game.surpluses("all")
    assert np.isclose(surplus[0], -worked.cost * PAID.samples)
    assert game.contributions()[0] == 0.0
    assert surplus[1:].min() > 0.0


def test_infeasible_verification_dissolves_the_coalition(worked):
    # More samples than an agent would ever train on: verification costs more than it can save.
    game = worked.with_rule(VerifiedRule(samples=2_000_000))
    assert np.allclose(game.surpluses("all"), -worked.cost * 2_000_000)
    assert game.unravel().sizes.tolist() == [10, 0]


def test_estimates_follow_the_seed(worked):
    first, again, other = (replace(PAID, seed=seed).estimated(worked) for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_where_agents_would_train_on_less_than_one_sample_nothing_can_be_proved():
    game = ParticipationGame(types=[0.1, 0.2], loss_weight=1.0, complexity=0.01, cost=1.0)
    assert game.standalone_contribution < 1
    found = VerifiedRule(samples=1).guarantee(game)
    assert not found.holds
    assert found.samples_needed is None


def test_estimates_say_themselves_how_they_were_made(worked):
    draw = np.random.default_rng(2)
    losses = [1.0 * (draw.random(50) < theta) for theta in worked.types]
    estimates = estimate_types(losses, np.zeros(60), confidence=0.9)
    rule = VerifiedRule(estimates=estimates, paid=False)
    # Bare numbers forgot with how many samples they were made: a radius of .547 was taken for .012.
    assert np.isclose(rule.radius(worked), estimates.radii[0])
    found = rule.guarantee(worked)
    assert not found.holds
    assert np.isclose(found.radius, estimates.radii[0])
    assert np.array_equal(rule.estimated(worked), estimates.estimates)
    with pytest.raises(InvalidInput, match="samples: the estimates say it"):
        replace(rule, samples=39_441)
    with pytest.raises(InvalidInput, match="samples: expected how many"):
        VerifiedRule(estimates=estimates.estimates)
    with pytest.raises(InvalidInput, match="estimates has length 10"):
        rule.guarantee(ParticipationGame(types=[0.1, 0.2], loss_weight=1.0, complexity=40.0, cost=3e-7))
    with pytest.raises(InvalidInput, match="drawn anew"):
        verification_trial(worked, rule)


def test_with_unequal_samples_the_radius_is_that_of_the_fewest_and_everybody_pays_their_own(worked):
    losses = [np.zeros(100 * (agent + 1)) for agent in range(10)]
    estimates = estimate_types(losses, np.zeros(500))
    rule = VerifiedRule(estimates=estimates, reports=estimates.estimates)
    assert np.isclose(rule.radius(worked), estimates.radii[0])
    assert rule.charged(worked).tolist() == [100.0 * (agent + 1) for agent in range(10)]
    refused = VerifiedRule(estimates=estimates, reports=np.full(10, 1.0) - estimates.estimates)
    assert np.allclose(worked.with_rule(refused).surpluses("all"), -worked.cost * estimates.samples)


def test_a_game_that_the_estimates_exclude_gets_no_promise(worked):
    rule = replace(PAID, estimates=worked.types)
    radius, first = rule.radius(worked), worked.types[0]
    assert rule.guarantee(worked).holds
    assert replace(PAID, estimates=worked.types + 0.9 * radius).guarantee(worked).holds
    off = np.array(worked.types)
    off[0] = first + 1.1 * radius
    found = replace(PAID, estimates=off).guarantee(worked)
    assert not found.holds
    assert found.confidence == 0.0
    assert str(found).startswith(f"nothing is proved: agent 0 is of type {first:.4g} in this game and estimated")
    # whoever is refused is not spoken of
    losses = [np.zeros(400), np.ones(400)]
    estimates = estimate_types(losses, np.zeros(400))
    game = ParticipationGame(types=[0.0, 0.2], loss_weight=1.0, complexity=4000.0, cost=1e-7)
    assert not VerifiedRule(estimates=estimates, paid=False).guarantee(game).holds
    refused = replace(estimates, refused=[False, True])
    assert VerifiedRule(estimates=refused, paid=False).guarantee(game).holds
