"""Populations from observations: probabilities, costs, and doubt that covers as often as stated."""

import numpy as np
import pytest

from contracts import InvalidInput, fit_population


def test_counts_give_the_posterior_mean_and_a_radius_that_covers():
    random, truth, covered = np.random.default_rng(1), np.array([0.2, 0.5, 0.3]), []
    for _ in range(200):
        found = fit_population(participants=5, counts=random.multinomial(40, truth), costs=[3, 2, 1], level=0.9)
        distance = 0.5 * np.abs(found.population.probabilities - truth).sum()
        covered.append(distance <= found.doubt.radius)
    assert 0.85 <= np.mean(covered) <= 0.96  # 200 trials at .9: within 2.4 standard errors below
    assert found.population.doubt is found.doubt


def test_more_observations_leave_less_doubt():
    radii = [
        fit_population(participants=5, counts=[n, 2 * n], costs=[2, 1]).doubt.radius for n in (1, 10, 100, 1000)
    ]
    assert (np.diff(radii) < 0).all()
    # of a binomial share, at 95 %: 1.96 standard errors
    assert radii[-1] == pytest.approx(1.96 * np.sqrt(2 / 9 / 3000), rel=0.03)


def test_costs_are_means_of_what_was_asked_with_their_errors():
    found = fit_population(participants=5, counts=[3, 4, 5], costs=[3.0, [1.8, 2.2], [1.0]])
    assert found.population.costs.tolist() == [3.0, 2.0, 1.0]
    assert found.cost_error[0] == 0.0
    assert found.cost_error[1] == pytest.approx(0.2)
    assert np.isnan(found.cost_error[2])


def test_bids_are_divided_into_types_at_the_cost_of_their_dearest_member():
    bids = np.arange(1.0, 13.0)
    found = fit_population(participants=5, bids=bids, types=4)
    assert found.population.costs.tolist() == [12.0, 9.0, 6.0, 3.0]
    assert found.counts.tolist() == [3, 3, 3, 3]
    tied = fit_population(participants=5, bids=[1, 1, 1, 2, 2, 3, 3, 3], types=4)
    assert tied.population.costs.tolist() == [3.0, 2.0, 1.0]
    assert tied.counts.tolist() == [3, 2, 3]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({}, "counts, bids: expected one of them"),
        ({"counts": [1], "costs": [1], "bids": [1]}, "counts, bids: expected one of them"),
        ({"counts": [1, 2], "costs": [1]}, "costs has length 1: expected 2"),
        ({"counts": [1, 2]}, "costs = None: expected one entry for each of the 2 types"),
        ({"counts": [1.5, 2], "costs": [1, 2]}, "counts[0] = 1.5: expected a whole number"),
        ({"counts": [0, 0], "costs": [1, 2]}, "all are zero"),
        ({"counts": [1, 2], "costs": [1, [2, -1]]}, "costs[1][1] = -1"),
        ({"bids": [1.0, -1.0]}, "bids[1] = -1"),
        ({"bids": [1.0, 2.0], "types": 3}, "types = 3"),
        ({"bids": [1.0, 2.0], "types": 1, "level": 1.0}, "level = 1"),
    ],
)
def test_bad_observations_are_refused(changed, message):
    with pytest.raises(InvalidInput) as caught:
        fit_population(participants=5, **changed)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
