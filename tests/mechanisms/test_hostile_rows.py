"""Rules against rows made to break them: within the bound, finite, and the same in other units."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.errors import InvalidInput
from mechanisms.aggregation import aggregate, robustness_bound, rules
from mechanisms.attacks import attack
from mechanisms.testing import HOSTILE, error_ratio, hostile_updates

BOUNDED = [
    "median",
    "trimmed-mean",
    "mean-around-median",
    "krum",
    "multi-krum",
    "bulyan",
    "minimum-diameter",
    "geometric-median",
    "smea",
    "nearest-neighbour-mixing+median",
    "nearest-neighbour-mixing+krum",
]
OTHERS = [name for name in rules("distance") if name not in BOUNDED]
N, F, D = 11, 2, 3
OWN = {"acceptance-radius": {"tolerance": 1.0}, "clipping-radius": {"tolerance": 1.0}}


def honest_rows(seed, dtype=np.float64, scale=1.0):
    draw = np.random.default_rng(seed)
    rows = draw.standard_normal((N - F, D))
    match seed % 4:
        case 0:
            rows = np.round(rows)
        case 1:
            rows = rows * 1e-6 + draw.standard_normal(D)
        case 2:
            rows[: F + 1] += 30
    return (rows * scale).astype(dtype)


def options(name, honest):
    return {"own": honest[0], **OWN.get(name, {})} if name in OWN or name == "monna" else {}


def apply(name, rows, honest):
    with np.errstate(all="ignore"):
        return np.asarray(aggregate(rows, name, malicious=F, **options(name, honest)))


@pytest.mark.parametrize("name", BOUNDED)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_rows_move_a_rule_no_farther_than_its_bound(name, dtype, kind):
    kappa = robustness_bound(name, rows=N, malicious=F)
    for seed in range(6):
        for scale in (1.0, 1e-30, 1e25, *([1e-290, 1e200] if dtype == np.float64 else [])):
            honest = honest_rows(seed, dtype, scale)
            rows = hostile_updates(honest, F, kind=kind, seed=seed)
            result = apply(name, rows, honest)
            assert np.isfinite(result).all()
            assert error_ratio(result, honest) <= kappa, (seed, scale)


@functools.cache
def compiled(name):
    return jax.jit(lambda rows, own: aggregate(rows, name, malicious=F, **options(name, own[None])))


@pytest.mark.slow
@pytest.mark.parametrize("name", BOUNDED)
def test_so_it_is_under_jax(name):
    kappa = robustness_bound(name, rows=N, malicious=F)
    for index, kind in enumerate(HOSTILE):
        honest = honest_rows(index, np.float32, [1.0, 1e-25, 1e25][index % 3])
        rows = hostile_updates(honest, F, kind=kind, seed=index)
        result = np.asarray(compiled(name)(jnp.asarray(rows), jnp.asarray(honest[0])))
        assert error_ratio(result, honest) <= kappa * (1 + 1e-3), kind


@pytest.mark.parametrize("name", [*BOUNDED, *OTHERS, "mean", "foolsgold", "bucketing+median"])
@pytest.mark.parametrize("kind", HOSTILE)
def test_no_rule_returns_what_is_not_finite(name, kind):
    extra = {"size": 2} if name.startswith("bucketing") else {}
    for dtype in (np.float64, np.float32):
        honest = honest_rows(3, dtype)
        rows = hostile_updates(honest, F, kind=kind, seed=5)
        with np.errstate(all="ignore"):
            result = aggregate(rows, name, malicious=F, **options(name, honest), **extra)
        assert np.isfinite(result).all()


@pytest.mark.parametrize("name", [*BOUNDED, *OTHERS])
@given(
    seed=st.integers(0, 10**6), kind=st.sampled_from(HOSTILE), power=st.sampled_from([-900, -500, -40, 60, 400])
)
@settings(max_examples=12)
def test_other_units_and_another_order_change_nothing_under_attack(name, seed, kind, power):
    honest = np.random.default_rng(seed).standard_normal((N - F, D))
    rows = hostile_updates(honest, F, kind=kind, seed=seed)
    with np.errstate(all="ignore"):
        moved = np.ldexp(rows, power)
    lost = (np.isinf(moved) & np.isfinite(rows)).any() or ((moved == 0) & (rows != 0)).any()
    result = apply(name, rows, honest)
    if not lost:  # what another unit cannot hold is another input
        again = np.ldexp(apply(name, moved, np.ldexp(honest, power)), -power)
        np.testing.assert_allclose(again, result, rtol=1e-9, atol=1e-9 * np.abs(result).max())
    order = np.random.default_rng(seed).permutation(N)
    shuffled = apply(name, rows[order], honest)
    np.testing.assert_allclose(shuffled, result, atol=1e-7 * max(1.0, np.abs(result).max()))


@pytest.mark.parametrize("name", BOUNDED)
def test_a_shift_moves_the_result_with_it_under_attack(name):
    honest, shift = honest_rows(3), np.array([64.0, -8.0, 2.0])
    for kind in ("colluding", "copies", "spread"):
        rows = hostile_updates(honest, F, kind=kind, seed=7)
        np.testing.assert_allclose(
            apply(name, rows + shift, honest), apply(name, rows, honest) + shift, atol=1e-7
        )


@pytest.mark.parametrize("name", BOUNDED)
def test_attacks_tuned_against_the_rule_stay_within_its_bound(name):
    kappa = robustness_bound(name, rows=N, malicious=F)
    for seed in range(3):
        honest = honest_rows(seed)
        for kind in ("tuned-a-little-is-enough", "tuned-inner-product-manipulation"):
            rows = attack(honest, kind, colluders=F, rule=lambda rows: apply(name, rows, honest))  # noqa: B023
            assert error_ratio(apply(name, rows, honest), honest) <= kappa


def test_the_known_failures():
    rows = np.vstack([np.zeros((7, 2)), np.full((3, 2), 1e5), [[1e29, -1e29]]])
    for scale in (1.0, 1e-5, 1e150):  # one row of 1e29 made the median the mean of the other ten
        np.testing.assert_array_equal(aggregate(rows * scale, "geometric-median"), [0, 0])
    for far in (1e29, 1e80):  # and neighbours: rows in several directions, none of which is the middle one
        values = np.vstack([honest_rows(3), far * np.eye(3)[:2]])
        point = aggregate(values, "geometric-median")
        away = values - point
        units = away / np.linalg.norm(away, axis=1, keepdims=True)
        assert np.linalg.norm(units.sum(axis=0)) < 1e-7
    spread = np.random.default_rng(0).standard_normal((N, D))
    for name in ("krum", "multi-krum", "bulyan", "nearest-neighbour-mixing+mean", "median", "centered-clipping"):
        expected = aggregate(spread, name, malicious=F)
        for scale in (1e160, 1e-200):
            found = aggregate(spread * scale, name, malicious=F) / scale
            np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)
        for scale in (1e20, 1e-30) if name in ("krum", "centered-clipping") else ():
            found = np.asarray(aggregate(jnp.asarray(spread * scale, jnp.float32), name, malicious=F))
            np.testing.assert_allclose(found.astype(float) / scale, expected, rtol=1e-4, atol=1e-5)


def test_least_spread_decides_between_subsets_of_one_diameter_whatever_a_far_row_sends():
    rows = np.array([[0.0], [1.0], [0.5], [0.5001], [1.1], [0.0]])  # without the last two ties remain
    for far in (10.0, 1e9, 1e29):
        values = np.vstack([rows, [[far]]])
        near = aggregate(rows, "minimum-diameter", malicious=1)
        assert abs(aggregate(values, "minimum-diameter", malicious=2) - near) < 0.2


def test_the_largest_numbers_average_to_finite_ones():
    for dtype in (np.float32, np.float64):
        largest = np.finfo(dtype).max
        values = np.full((N, D), largest, dtype)
        values[:F] = -largest
        for name in (*BOUNDED, "mean", "norm-clipping", "centered-clipping"):
            result = aggregate(values, name, malicious=F)
            assert np.isfinite(result).all()
            if name in BOUNDED:
                np.testing.assert_allclose(result, largest, rtol=1e-5)
            if name in ("mean", "median", "mean-around-median", "norm-clipping") and dtype == np.float32:
                assert np.isfinite(aggregate(jnp.asarray(values), name, malicious=F)).all()


def test_rows_out_of_reach_are_absent_and_never_more_than_are_expected():
    honest = np.ones((N, D))
    honest[: N - F] *= 1e-120  # more than f rows that long would be the unit themselves
    assert np.abs(aggregate(honest, "krum", malicious=F)).max() < 1e-100
    np.testing.assert_allclose(aggregate(honest, "norm-clipping"), 1e-120, rtol=1e-9)
    zeros = np.zeros((N, D))
    zeros[:F] = 1.0
    for name in ("krum", "multi-krum", "bulyan", "minimum-diameter", "geometric-median", "norm-clipping"):
        np.testing.assert_array_equal(aggregate(zeros, name, malicious=F), 0)


def test_bounds_say_what_they_cannot():
    assert robustness_bound("foolsgold", rows=9, malicious=2) is None
    assert robustness_bound("nearest-neighbour-mixing+norm-clipping", rows=9, malicious=2) is None
    for name in BOUNDED:
        bound = robustness_bound(name, rows=15, malicious=3)
        assert bound >= 3 / 9  # below f / (n - 2 f) is impossible
    with pytest.raises(InvalidInput, match="malicious = 5 of 9 rows"):
        robustness_bound("krum", rows=9, malicious=5)
