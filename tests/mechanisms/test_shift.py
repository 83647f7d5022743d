"""What probes cannot see: missing labels, other inputs; false alarms and power as stated; stumps by
enumeration."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.errors import InvalidInput
from mechanisms.model_class import ProbeClass, StumpClass, VCClass
from mechanisms.radius import hoeffding_radius
from mechanisms.shift import shift_tests
from mechanisms.stumps import estimate_types_over_stumps, largest_stump_difference
from mechanisms.verification import TypeEstimates, estimate_types


def test_false_alarms_are_as_rare_as_stated_and_power_is_at_least_as_stated():
    rng = np.random.default_rng(0)
    stated = shift_tests(
        [[0] * 60], [0] * 150, features=[np.zeros((60, 2))], trusted_features=np.zeros((150, 2))
    )
    alarms = found_label = found_feature = 0
    runs, share = 60, 0.0
    for _ in range(runs):
        trusted = rng.choice(3, size=150, p=[0.6, 0.3, 0.1])
        inputs = rng.normal(size=(150, 2))
        same = rng.choice(3, size=60, p=[0.6, 0.3, 0.1])
        told = shift_tests([same], trusted, features=[rng.normal(size=(60, 2))], trusted_features=inputs)
        alarms += bool(told.rejected[0])
        share = told.detectable_share[0]
        # An agent without the label of exactly the share that is said to be found, and inputs that far away.
        lacking = (rng.random(150) < share).astype(int)
        found_label += shift_tests([np.zeros(60, dtype=int)], np.where(lacking, 1, 0)).rejected[0]
        away = rng.random((60, 2))
        away[:, 0] += told.detectable_distance[0]
        found_feature += shift_tests(
            [np.zeros(60, dtype=int)],
            np.zeros(150, dtype=int),
            features=[away],
            trusted_features=rng.random((150, 2)),
        ).rejected[0]
    assert alarms <= 0.05 * runs + 3 * np.sqrt(0.05 * 0.95 * runs)
    assert found_label >= 0.8 * runs - 3 * np.sqrt(0.16 * runs)
    assert found_feature >= 0.8 * runs - 3 * np.sqrt(0.16 * runs)
    assert 0.0 < share < 0.3
    assert not stated.rejected.any()
    assert "missing label" in str(stated)


def test_labels_are_compared_over_every_set_of_them():
    # The total variation is the largest difference over all sets of labels: by enumeration.
    rng = np.random.default_rng(1)
    trusted = rng.choice(4, size=200)
    labels = [rng.choice(4, size=80, p=p) for p in ([0.25] * 4, [0.7, 0.1, 0.1, 0.1], [0.5, 0.5, 0.0, 0.0])]
    zero = [np.zeros(80)] * 3
    found = estimate_types(zero, np.zeros(200), labels=labels, trusted_labels=trusted, classes=5)
    for agent, own in enumerate(labels):
        sets = [[k for k in range(4) if mask >> k & 1] for mask in range(16)]
        most = max(abs(np.isin(own, chosen).mean() - np.isin(trusted, chosen).mean()) for chosen in sets)
        assert np.isclose(found.estimates[agent], most)
    assert found.model_class == ProbeClass(probes=1, labels=5)
    radius = hoeffding_radius(samples=80, trusted_samples=200, agents=3, probes=16)
    assert np.allclose(found.radii, radius)


def test_labels_that_the_target_lacks_count_too():
    found = estimate_types(
        [np.zeros(4)], np.zeros(4), labels=[["x", "x", "a", "b"]], trusted_labels=["a", "a", "b", "b"], classes=3
    )
    assert found.estimates.tolist() == [0.5]


@settings(max_examples=20)
@given(data=st.data())
def test_the_largest_difference_over_stumps_by_enumeration(data):
    seed = data.draw(st.integers(0, 10**6))
    rng = np.random.default_rng(seed)
    kinds = int(rng.integers(2, 4))
    own, other = (
        rng.integers(0, 5, size=(rng.integers(1, 8), 2)),
        rng.integers(0, 5, size=(rng.integers(1, 8), 2)),
    )
    told, known = rng.integers(0, kinds, len(own)), rng.integers(0, kinds, len(other))
    most = 0.0
    for feature in range(2):
        for threshold in range(-1, 6):
            for left in range(kinds + 1):
                for right in range(kinds + 1):

                    def error(table, labels, feature=feature, threshold=threshold, left=left, right=right):
                        return (np.where(table[:, feature] <= threshold, left, right) != labels).mean()

                    most = max(most, abs(error(own, told) - error(other, known)))
    assert np.isclose(largest_stump_difference(own, told, other, known), most)


def test_radii_grow_with_the_class():
    options = {"samples": 5000, "agents": 3, "trusted_samples": 5000, "confidence": 0.95}
    classes = [
        ProbeClass(),
        ProbeClass(probes=5),
        ProbeClass(labels=10),
        StumpClass(features=8, labels=2),
        VCClass(dimension=50),
    ]
    radii = [kind.radius(**options) for kind in classes]
    assert radii == sorted(radii)
    assert len({str(kind) for kind in classes}) == 5


def test_what_is_refused_is_refused_with_its_false_alarms():
    estimates = estimate_types([np.zeros(100)] * 2, np.zeros(100))
    tests = shift_tests([[0] * 50 + [1] * 50, [0] * 100], [0, 1] * 50)
    refusing = estimates.refusing(tests)
    assert refusing.refused.tolist() == [False, True]
    assert np.isclose(refusing.false_alarm, 0.05)
    with pytest.raises(InvalidInput, match="tests of 2 agents"):
        estimate_types([np.zeros(9)], np.zeros(9)).refusing(tests)


def estimates_with(**changed):
    whole = {"estimates": [0.1], "radii": [0.1], "confidence": 0.9, "samples": [1], "trusted_samples": 1}
    return TypeEstimates(**{**whole, "model_class": ProbeClass(), **changed})


@pytest.mark.parametrize(
    "act",
    [
        lambda: shift_tests([], [0]),
        lambda: shift_tests([[0.5]], [0]),
        lambda: shift_tests([[0]], [0], level=0.0),
        lambda: shift_tests([[0]], [0], features=[[[0.0]]]),
        lambda: shift_tests([[0]], [0], features=[[[0.0]], [[0.0]]], trusted_features=[[0.0]]),
        lambda: shift_tests([[0]], [0], features=[[[0.0, 1.0]]], trusted_features=[[0.0]]),
        lambda: shift_tests([[0]], [0], features=[[[np.nan]]], trusted_features=[[0.0]]),
        lambda: estimate_types([[0.0]], [0.0], labels=[[1]]),
        lambda: estimate_types([[0.0]], [0.0], labels=[[1, 1]], trusted_labels=[1]),
        lambda: estimate_types([[0.0]], [0.0], labels=[[1], [1]], trusted_labels=[1]),
        lambda: estimate_types([[0.0]], [0.0], labels="a", trusted_labels=[1]),
        lambda: estimate_types([[0.0]], [0.0], labels=[[1]], trusted_labels=[1]),
        lambda: estimate_types([[0.0, 0.0]], [0.0], labels=[[1, 2]], trusted_labels=[3], classes=2),
        lambda: estimate_types([[0.0]], [0.0], labels=[["1"]], trusted_labels=[1], classes=2),
        lambda: shift_tests([["0"]], [0]),
        lambda: estimate_types_over_stumps([], [], [[0.0]], [0], classes=2),
        lambda: estimate_types_over_stumps([[[0.0]]], [[0]], [[0.0]], [1], classes=1),
        lambda: estimates_with(estimates=[1.5]),
        lambda: estimates_with(samples=[1.5]),
        lambda: estimates_with(false_alarm=-1.0),
        lambda: estimates_with(model_class="probes"),
        lambda: estimates_with(refused=[True, False]),
        lambda: largest_stump_difference([[0.0]], [0], [[0.0, 1.0]], [0]),
        lambda: ProbeClass(probes=0),
        lambda: ProbeClass(labels=2000),
        lambda: StumpClass(features=0, labels=2),
        lambda: estimates_with(radii=[0.1, 0.2]),
    ],
)
def test_bad_input(act):
    with pytest.raises(InvalidInput) as caught:
        act()
    assert "\n" not in str(caught.value)
