"""Populations from observations: probabilities, costs, and doubt that covers as often as stated."""

import numpy as np
import pytest

from contracts import InvalidInput, fit_population, read_observations


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
        ({"bids": [1.0, 2.0], "law": "normal"}, "law = 'normal'"),
        ({"bids": [1.0, 1.0, 1.0], "law": "lognormal", "types": 2}, "expected at least 3 for a lognormal law"),
        ({"bids": [1.0, 2.0, 3.0], "law": "lognormal", "types": 3, "level": 0.5}, "expected above 0.666"),
    ],
)
def test_bad_observations_are_refused(changed, message):
    with pytest.raises(InvalidInput) as caught:
        fit_population(participants=5, **changed)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_lognormal_bids_have_types_of_equal_probability_in_what_is_foretold():
    bids = np.exp(np.random.default_rng(3).normal(1.0, 0.5, 200))
    found = fit_population(participants=5, bids=bids, types=4, law="lognormal")
    ends = found.population.costs[::-1]
    assert (np.diff(ends) > 0.0).all()
    # the quartiles of the law drawn from, but for sampling
    np.testing.assert_allclose(np.log(ends[:3]), 1.0 + 0.5 * np.array([-0.6745, 0.0, 0.6745]), atol=0.1)
    assert ends[3] >= bids.max()
    assert found.counts.sum() == 200
    assert (np.abs(found.counts - 50) < 25).all()
    assert "±" in str(found)


def test_the_errors_of_lognormal_quantiles_are_those_of_samples_drawn_anew():
    random = np.random.default_rng(5)
    costs, errors = [], []
    for _ in range(300):
        found = fit_population(
            participants=5, bids=np.exp(random.normal(0.0, 0.4, 40)), types=3, law="lognormal", level=0.9
        )
        costs.append(found.population.costs)
        errors.append(found.cost_error)
    # of the two inner ends; the dearest is the largest bid now and then
    np.testing.assert_allclose(np.std(costs, axis=0)[1:], np.mean(errors, axis=0)[1:], rtol=0.15)


FILES = {
    "type,count,cost\na,3,0.3\nb,4,0.2\n": {"names": ["a", "b"], "counts": [3, 4], "costs": [0.3, 0.2]},
    "Type;Cost per datum\na;0,3\nb;0,2\na;\nb;0,4\nb;0,3\n": {
        "names": ["a", "b"], "counts": [2, 3], "costs": [[0.3], [0.2, 0.4, 0.3]],
    },
    "bid\n0.1\n0.3\n0.2\n": {"bids": [0.1, 0.3, 0.2]},
    "bid,number\n0.1,2\n0.3,1\n": {"bids": [0.1, 0.1, 0.3]},
}  # fmt: skip


@pytest.mark.parametrize("text", FILES)
def test_observations_are_read_in_three_forms(text, tmp_path):
    path = tmp_path / "seen.csv"
    path.write_text(text)
    found = read_observations(path)
    assert found == FILES[text]
    assert fit_population(participants=5, types=2, **found).counts.sum() == (
        7 if "count" in text else found_size(found)
    )


def found_size(found):
    return len(found["bids"]) if "bids" in found else sum(found["counts"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("type,count\na,1\n", "no column 'cost'"),
        ("type,count,cost\na,1,0\n", "row 2, column 'cost': '0': expected a number > 0"),
        ("type,count,cost\na,-1,1\n", "row 2, column 'count': '-1': expected a whole number"),
        ("type,count,cost\na,1,1\na,2,1\n", "type 'a' occurs twice beside a count"),
        ("type,cost\na,\na,\n", "nobody of type 'a' says a cost"),
        ("type,cost\n,1\n", "no type"),
        ("type,cost,bid\na,1,2\n", "both say the cost"),
        ("bid\n", "no observations"),
        ("bid\nten\n", "row 2, column 'bid': 'ten'"),
    ],
)
def test_bad_files_of_observations_are_refused_in_one_line(text, message, tmp_path):
    path = tmp_path / "seen.csv"
    path.write_text(text)
    with pytest.raises(InvalidInput) as caught:
        read_observations(path)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
