"""Type estimation: radii that hold, sample sizes that suffice, estimates from real losses."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.errors import InvalidInput
from mechanisms.model_class import StumpClass, VCClass
from mechanisms.radius import MISSING, UNSEEN, growth_radius, hoeffding_radius, log_term, samples_for_radius
from mechanisms.stumps import largest_stump_difference
from mechanisms.verification import accept, estimate_types, probe_losses, simulate_estimates


def vc_radius(*, dimension, samples, agents, trusted_samples=None, confidence=0.95):
    return VCClass(dimension=dimension).radius(
        samples=samples, agents=agents, trusted_samples=trusted_samples, confidence=confidence
    )


def test_reference_figures():
    assert np.isclose(log_term(agents=10, probes=1, confidence=0.95), 5.9915, atol=5e-5)
    assert np.isclose(hoeffding_radius(samples=25, trusted_samples=150, agents=10), 0.374, atol=5e-4)
    assert np.isclose(hoeffding_radius(samples=400, trusted_samples=150, agents=10), 0.166, atol=5e-4)
    assert np.isclose(vc_radius(samples=39_441, agents=10, dimension=10), 0.0625, atol=5e-5)
    assert samples_for_radius(0.025, agents=10) == 9587


@given(
    agents=st.integers(1, 1000),
    probes=st.integers(1, 50),
    confidence=st.floats(0.01, 0.999),
    radius=st.floats(0.001, 1.0),
)
def test_the_sample_size_reaches_the_radius_and_one_fewer_does_not(agents, probes, confidence, radius):
    options = {"agents": agents, "probes": probes, "confidence": confidence}
    needed = samples_for_radius(radius, **options)
    assert hoeffding_radius(samples=needed, **options) <= radius * (1 + 1e-12)
    if needed > 1:
        assert hoeffding_radius(samples=needed - 1, **options) > radius * (1 - 1e-12)


@given(samples=st.integers(20, 10**6), agents=st.integers(1, 100), dimension=st.integers(1, 20))
def test_more_samples_shrink_both_radii(samples, agents, dimension):
    assert hoeffding_radius(samples=2 * samples, agents=agents) < hoeffding_radius(
        samples=samples, agents=agents
    )
    wide = vc_radius(samples=samples, agents=agents, dimension=dimension)
    assert vc_radius(samples=2 * samples, agents=agents, dimension=dimension) < wide


@given(
    samples=st.integers(1, 10**6),
    trusted=st.integers(1, 10**6),
    agents=st.integers(1, 100),
    growth=st.floats(0.0, 8.0),
    confidence=st.floats(0.01, 0.999),
)
def test_the_class_wide_radius_is_the_least_of_its_formula(samples, trusted, agents, growth, confidence):
    options = {"samples": samples, "trusted_samples": trusted, "agents": agents, "confidence": confidence}
    found = growth_radius(log_growth=lambda count: growth * np.log(count), **options)

    def by_formula(unseen, missing):
        """Solved for the probability: what the proof bounds it by, at the radius, is the one allowed."""
        seen = [samples, trusted]
        ghosts = [unseen * count for count in seen]
        variance = sum((1 + n / m) ** 2 / n for n, m in zip(seen, ghosts, strict=True))
        away = np.sqrt(sum(1 / m for m in ghosts) * np.log(1 / missing) / 2)
        exponent = np.log(2 * agents) + growth * np.log(sum(seen) + sum(ghosts))
        return (exponent - 2 * max(found - away, 0.0) ** 2 / variance) - np.log((1 - missing) * (1 - confidence))

    slack = [by_formula(unseen, missing) for unseen in UNSEEN for missing in MISSING]
    assert np.isclose(min(slack), 0.0, atol=1e-6 * (1 + growth) * 20)
    # One model is no better than by Hoeffding's inequality for it alone, and not much worse.
    single = growth_radius(log_growth=lambda _: 0.0, **options)
    assert 1.0 < single / hoeffding_radius(**options) < 1.2


@given(samples=st.integers(1, 10**7), agents=st.integers(1, 100), dimension=st.integers(1, 100))
def test_the_class_wide_radius_is_sharper_than_the_textbooks(samples, agents, dimension):
    own = VCClass(dimension=dimension)
    chance = np.sqrt(2 * (np.log(2) + own.log_growth(samples)) / samples)
    textbook = 2 * (2 * chance + np.sqrt(np.log((agents + 1) / 0.05) / (2 * samples)))
    assert vc_radius(samples=samples, agents=agents, dimension=dimension) < 0.6 * textbook


def test_the_class_wide_radius_covers_the_largest_error_over_stumps():
    # Labels are coin flips, so that every stump errs on half of any data, and all discrepancies are zero.
    rng, samples, runs = np.random.default_rng(0), 100, 300
    model_class = StumpClass(features=6, labels=3)
    options = {"samples": samples, "agents": 1, "trusted_samples": samples}
    largest = [
        largest_stump_difference(
            rng.random((samples, 6)),
            rng.integers(0, 2, samples),
            rng.random((samples, 6)),
            rng.integers(0, 2, samples),
        )
        for _ in range(runs)
    ]
    assert (np.array(largest) <= model_class.radius(confidence=0.5, **options)).all()
    # Not far above what happens; the textbook's is ten times that.
    assert model_class.radius(confidence=0.5, **options) < 2.5 * np.median(largest)


def test_ways_to_err_are_counted():
    rng = np.random.default_rng(1)
    for features, labels, samples in ((1, 2, 6), (1, 3, 5), (2, 3, 5), (3, 2, 4)):
        table = rng.permuted(np.tile(np.arange(samples), (features, 1)), axis=1).T
        told = {
            tuple(np.where(table[:, feature] <= cut, left, right))
            for feature in range(features)
            for cut in range(-1, samples)
            for left in range(labels)
            for right in range(labels)
        }
        bound = np.exp(StumpClass(features=features, labels=labels).log_growth(samples))
        assert len(told) <= bound + 1e-9
        if features == 1:
            assert np.isclose(len(told), bound)


def test_the_radius_covers_the_error_with_the_confidence():
    types = np.array([0.0, 0.1, 0.3, 0.8])
    draws = simulate_estimates(types, samples=60, runs=4000, seed=3)
    radius = hoeffding_radius(samples=60, agents=4, confidence=0.8)
    assert (np.abs(draws - types) <= radius).all(axis=1).mean() >= 0.8


def test_estimates_are_the_largest_difference_over_probes():
    rng = np.random.default_rng(0)
    losses = [rng.integers(0, 2, size=(count, 3)) for count in (50, 80)]
    trusted = rng.integers(0, 2, size=(100, 3))
    found = estimate_types(losses, trusted, confidence=0.9)
    by_hand = [np.abs(table.mean(axis=0) - trusted.mean(axis=0)).max() for table in losses]
    assert np.allclose(found.estimates, by_hand)
    assert found.radii[0] > found.radii[1]
    assert found.samples.tolist() == [50, 80]
    assert np.isclose(
        found.radii[1],
        hoeffding_radius(samples=80, trusted_samples=100, agents=2, probes=3, confidence=0.9),
    )


def test_real_data_with_flipped_labels_is_recognised():
    from sklearn.datasets import load_breast_cancer
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    data = load_breast_cancer()
    features = StandardScaler().fit_transform(data.data)
    rng = np.random.default_rng(0)
    order = rng.permutation(len(features))
    train, trusted, rest = order[:150], order[150:300], order[300:]
    probe = LogisticRegression().fit(features[train], data.target[train])
    flips = np.array([0.0, 0.2, 0.45])
    losses = []
    for rate in flips:
        labels = np.where(rng.random(rest.size) < rate, 1 - data.target[rest], data.target[rest])
        losses.append(probe_losses([probe.predict], features[rest], labels))
    found = estimate_types(losses, probe_losses([probe.predict], features[trusted], data.target[trusted]))
    clean = found.estimates[0]
    assert clean < 0.1
    # R_j - R_0 = rho (1 - 2 R_0) for two classes.
    assert np.all(np.abs(found.estimates - flips) <= found.radii)
    assert np.all(np.diff(found.estimates) > 0.1)


@pytest.mark.parametrize(
    "act",
    [
        lambda: hoeffding_radius(samples=0, agents=2),
        lambda: hoeffding_radius(samples=5, agents=0),
        lambda: hoeffding_radius(samples=5, agents=2, confidence=0.0),
        lambda: hoeffding_radius(samples=5.5, agents=2),
        lambda: vc_radius(samples=5, agents=2, dimension=0),
        lambda: samples_for_radius(0.0, agents=2),
        lambda: samples_for_radius(1e-300, agents=2),
        lambda: estimate_types([], [0.0]),
        lambda: estimate_types([[2.0]], [0.0]),
        lambda: estimate_types([[np.nan]], [0.0]),
        lambda: estimate_types([[]], [0.0]),
        lambda: estimate_types([[[0.0, 1.0]]], [0.0]),
        lambda: estimate_types([np.zeros((2, 2, 2))], [0.0]),
        lambda: simulate_estimates([0.99], samples=5, trusted_loss=0.05),
        lambda: simulate_estimates([0.1], samples=5, runs=0),
        lambda: simulate_estimates([0.1], samples=5, seed=-1),
        lambda: accept([0.1, 0.2, 0.3], [0.1, 0.2], 0.1),
        lambda: accept([1.1], [0.1], 0.1),
        lambda: accept([0.1], [0.1], -0.1),
        lambda: probe_losses([], np.zeros((2, 2)), np.zeros(2)),
        lambda: probe_losses([lambda features: features[:1, 0]], np.zeros((2, 2)), np.zeros(2)),
        lambda: probe_losses([lambda features: features[:2, 0]], np.zeros((3, 2)), np.zeros(2)),
    ],
)
def test_bad_input(act):
    with pytest.raises(InvalidInput) as caught:
        act()
    assert "\n" not in str(caught.value)
