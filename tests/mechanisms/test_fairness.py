import math

import numpy as np
import pytest

from contracts.errors import InvalidInput
from mechanisms.fairness import fairness, over_runs, rationality


def test_correlations_are_what_scipy_says_and_undefined_when_they_are():
    from scipy import stats

    draw = np.random.default_rng(0)
    alone, end = draw.uniform(size=8), draw.uniform(size=8).round(1)
    measured = fairness(alone, end)
    assert measured.pearson == pytest.approx(stats.pearsonr(alone, end)[0])
    assert measured.spearman == pytest.approx(stats.spearmanr(alone, end)[0])
    assert measured.slope == pytest.approx(stats.linregress(alone, end)[0])
    for a, b, why in (
        ([0.5, 0.6], [0.7, 0.7], "all final accuracies are equal"),
        ([0.5, 0.5], [0.6, 0.7], "all standalone accuracies are equal"),
        ([0.5], [0.6], "one participant"),
    ):
        undefined = fairness(a, b)
        assert math.isnan(undefined.pearson)
        assert math.isnan(undefined.spearman)
        assert why in undefined.undefined
        assert why in str(undefined)
    nearly = fairness([0.5, 0.6, 0.8], [0.1 + 0.2, 0.3, 0.3])  # equal but for the last digit
    assert math.isnan(nearly.pearson)
    assert "all final accuracies are equal" in nearly.undefined
    assert fairness([0.5, 0.6], [0.7, 0.7]).slope == pytest.approx(0, abs=1e-12)
    cut = over_runs([0.9, 1.0, 0.2], low=-1, high=1)
    assert (cut.high, cut.low) == (1, over_runs([0.9, 1.0, 0.2]).low)
    assert math.isnan(over_runs([0.5], low=0, high=1).high)
    nothing = over_runs([math.nan, math.nan])
    assert (nothing.runs, nothing.undefined) == (0, 2)
    assert math.isnan(nothing.mean)


def test_rationality_names_losers_and_rarely_anybody_by_chance():
    assert rationality([0.9, 0.5], [0.6, 0.5], samples=200).losers == (0,)
    draw = np.random.default_rng(0)
    named = sum(
        bool(rationality(draw.binomial(300, 0.8, 5) / 300, draw.binomial(300, 0.8, 5) / 300, samples=300).losers)
        for _ in range(1000)
    )
    # nobody truly loses: at most 5 % of collaborations name anybody, within the sampling error of 1000
    assert named <= 50 + 3 * math.sqrt(1000 * 0.05 * 0.95)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: fairness([0.5], [0.5, 0.5]), "final has length 2"),
        (lambda: fairness([1.5], [0.5]), "standalone[0] = 1.5"),
        (lambda: over_runs([0.5, 1.2], high=1), "figures[1] = 1.2"),
        (lambda: over_runs([]), "figures has shape (0,)"),
        (lambda: rationality([0.5], [0.5], samples=0), "samples = 0"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(InvalidInput) as caught:
        call()
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
