"""Verdicts on leaks: what counts as shown, and that many candidates do not look like a gain."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mechanisms.delivery.verdicts import chosen, exceed, judge


def test_the_choice_among_many_equal_candidates_gains_nothing():
    draw = np.random.default_rng(0)
    gains = []
    for _ in range(200):
        candidates = draw.random((60, 300)) < 0.7
        gains.append(chosen(candidates).mean() - 0.7)
    best = np.mean([(draw.random((60, 300)) < 0.7).mean(axis=1).max() - 0.7 for _ in range(50)])
    assert abs(np.mean(gains)) < 4 * np.sqrt(0.21 / 300 / 200)
    assert best > 0.05  # while the best of sixty, judged where it was chosen, looks better by five points


def covered(excess, level, draws=400, samples=250):
    """How often the interval says something false about a true excess over the larger of two references."""
    draw, wrong_low, wrong_high = np.random.default_rng(1), 0, 0
    for _ in range(draws):
        right = draw.random(samples) < 0.7 + excess
        other = np.where(draw.random(samples) < 0.8, right, draw.random(samples) < 0.7 - 0.2 * excess)
        truth = 0.7 + excess - max(0.7, 0.8 * (0.7 + excess) + 0.2 * (0.7 - 0.2 * excess))
        found = exceed("", right.astype(float), (0.7, other.astype(float)), level=level, cells=1)
        wrong_low += found.low > truth
        wrong_high += found.high < truth
    return wrong_low / draws, wrong_high / draws


@pytest.mark.parametrize("excess", [0.0, 0.1])
def test_either_end_is_wrong_no_oftener_than_stated(excess):
    low, high = covered(excess, 0.9)
    assert low <= 0.1 + 3 * np.sqrt(0.09 / 400)
    assert high <= 0.1 + 3 * np.sqrt(0.09 / 400)


@given(st.floats(0, 1), st.integers(2, 200))
def test_the_reference_is_the_larger_and_the_interval_has_the_excess_in_it(promise, samples):
    right = (np.arange(samples) % 3 > 0).astype(float)
    alone = (np.arange(samples) % 2).astype(float)
    found = exceed("", right, (promise, alone), level=0.95, cells=4)
    assert found.reference == pytest.approx(max(promise, alone.mean()))
    assert found.low <= found.excess + 1e-12
    assert found.high >= found.excess - 1e-12


def row(gain, samples=4000):
    right = np.zeros(samples)
    right[: round((0.7 + gain) * samples)] = 1
    return exceed("", right, (0.7,), level=0.95, cells=2)


@pytest.mark.parametrize(
    ("gains", "untested", "word"),
    [
        ([0.0, 0.01], (), "holds"),
        ([0.0, 0.045], (), "open"),
        ([0.0, 0.1], (), "leaks"),
        ([0.0, 0.01], ("something",), "open"),
        ([0.0, 0.1], ("something",), "leaks"),
        ([], ("everything",), "open"),
    ],
)
def test_words(gains, untested, word):
    verdict = judge([row(gain) for gain in gains], tolerance=0.05, level=0.95, untested=untested)
    assert verdict.word == word
    assert verdict.holds == (word == "holds")
    assert word in str(verdict)
    if gains:
        assert verdict.worst.excess == pytest.approx(max(gains))
