import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.errors import InvalidInput
from mechanisms.datasets import KINDS, NAMES, Samples, load, split
from mechanisms.testing import assert_disjoint_split

IRIS = load("iris")
DIGITS = load("digits")


@pytest.mark.parametrize(
    ("name", "samples", "features", "classes"),
    [("digits", 1797, 64, 10), ("breast-cancer", 569, 30, 2), ("wine", 178, 13, 3), ("iris", 150, 4, 3)],
)
def test_real_data_have_their_known_shapes_and_every_class_everywhere(name, samples, features, classes):
    data = load(name, seed=3)
    parts = (data.train, data.validation, data.test)
    assert sum(map(len, parts)) == samples
    assert (data.features, data.classes) == (features, classes)
    for part in parts:
        assert np.array_equal(np.unique(part.labels), np.arange(classes))
        assert np.isfinite(part.inputs).all()


@pytest.mark.parametrize("name", NAMES)
def test_scaling_uses_training_samples_only(name):
    train = load(name).train.inputs
    if name == "digits":
        assert train.min() == 0
        assert train.max() == 1
    else:
        np.testing.assert_allclose(train.mean(axis=0), 0, atol=1e-12)
        np.testing.assert_allclose(train.std(axis=0), 1, atol=1e-12)


def test_parts_are_disjoint_and_reproducible():
    again, other = load("digits"), load("digits", seed=1)
    assert np.array_equal(DIGITS.train.inputs, again.train.inputs)
    assert not np.array_equal(DIGITS.train.inputs, other.train.inputs)
    rows = [{row.tobytes() for row in part.inputs} for part in (DIGITS.train, DIGITS.validation, DIGITS.test)]
    assert not rows[0] & rows[1]
    assert not rows[0] & rows[2]
    assert not rows[1] & rows[2]


@given(
    kind=st.sampled_from(KINDS),
    participants=st.integers(1, 12),
    seed=st.integers(0, 10**6),
    concentration=st.floats(0.01, 100),
)
def test_every_split_is_disjoint_nonempty_and_reproducible(kind, participants, seed, concentration):
    def cut():
        return split(IRIS, participants=participants, kind=kind, concentration=concentration, seed=seed)

    parts = cut()
    assert len(parts) == participants
    assert_disjoint_split(IRIS, parts)
    for part, again in zip(parts, cut(), strict=True):
        assert np.array_equal(part.inputs, again.inputs)
        assert np.array_equal(part.labels, again.labels)
    if kind != "class-imbalance":
        assert sum(map(len, parts)) == len(IRIS.train)


def test_each_kind_is_what_it_says():
    uniform = [len(part) for part in split(DIGITS, participants=7)]
    assert max(uniform) - min(uniform) <= 1
    power = [len(part) for part in split(DIGITS, participants=10, kind="power-law", samples=60)]
    assert power == sorted(power)
    assert sum(power) == 600
    nested = split(DIGITS, participants=10, kind="class-imbalance")
    assert [len(np.unique(part.labels)) for part in nested] == list(range(1, 11))
    assert len({len(part) for part in nested}) == 1
    peaked = split(DIGITS, participants=10, kind="dirichlet", concentration=0.05)
    flat = split(DIGITS, participants=10, kind="dirichlet", concentration=1000)

    def largest_share(parts):
        return np.mean([np.bincount(part.labels, minlength=10).max() / len(part) for part in parts])

    assert largest_share(peaked) > 0.5
    assert largest_share(flat) < 0.2


@given(level=st.floats(0, 1), seed=st.integers(0, 100))
def test_label_noise_changes_exactly_its_share_and_always_to_another_class(level, seed):
    clean = split(IRIS, participants=3, seed=seed)
    noisy = split(IRIS, participants=3, seed=seed, label_noise=[0.0, level, 1.0])
    for part, other, share in zip(clean, noisy, [0.0, level, 1.0], strict=True):
        assert np.array_equal(part.inputs, other.inputs)
        assert (part.labels != other.labels).sum() == round(share * len(part))
        assert other.labels.min() >= 0
        assert other.labels.max() <= 2


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: load("mnist"), "name = 'mnist'"),
        (lambda: load("iris", test=0.999), "test = 0.999"),
        (lambda: load("iris", validation=100, test=49), "expected at least 3"),
        (lambda: load("iris", validation=1), "validation = 1"),
        (lambda: load("iris", seed=-1), "seed = -1"),
        (lambda: split(IRIS, participants=0), "participants = 0"),
        (lambda: split(IRIS, participants=10**6), "participants = 1000000"),
        (lambda: split(IRIS, participants=2, kind="equal"), "kind = 'equal'"),
        (lambda: split(IRIS, participants=2, samples=1000), "samples = 1000"),
        (lambda: split(IRIS, participants=40, kind="class-imbalance", samples=2), "samples = 2"),
        (lambda: split(IRIS, participants=2, kind="dirichlet", concentration=0), "concentration = 0"),
        (lambda: split(IRIS, participants=2, label_noise=1.5), "label_noise[0] = 1.5"),
        (lambda: split(IRIS, participants=2, label_noise=[0.1, 0.1, 0.1]), "label_noise has length 3"),
        (lambda: Samples(inputs=np.zeros(3), labels=np.zeros(3, int)), "samples: inputs of shape (3,)"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(InvalidInput) as caught:
        call()
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
