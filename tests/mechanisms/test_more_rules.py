"""SMEA, CAF, DnC, SignGuard, AutoGM, clustering, MoNNA and clipping, against what their definitions say."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq

from contracts.errors import InvalidInput
from mechanisms import aggregation
from mechanisms.aggregation import aggregate
from mechanisms.testing import updates_to_aggregate

seeds = st.integers(0, 10**6)


def drawn(seed, rows=9, columns=4):
    return np.random.default_rng(seed).standard_normal((rows, columns))


@given(seeds)
@settings(max_examples=15)
def test_smea_is_the_subset_of_least_top_eigenvalue(seed):
    rows = drawn(seed)
    subsets = [list(s) for s in itertools.combinations(range(9), 7)]
    best = min(subsets, key=lambda s: np.linalg.eigvalsh(np.cov(rows[s].T, bias=True))[-1])
    np.testing.assert_allclose(aggregation.smea(rows, malicious=2), rows[best].mean(axis=0), atol=1e-12)


@given(seeds, st.integers(0, 3))
@settings(max_examples=15)
def test_caf_is_the_filter_written_down_with_covariances(seed, f):
    rows, weights = drawn(seed), np.ones(9)
    best, least = None, np.inf
    while best is None or weights.sum() > 9 - 2 * f:
        mean = weights @ rows / weights.sum()
        away = rows - mean
        values, vectors = np.linalg.eigh((weights[:, None] * away).T @ away / weights.sum())
        if values[-1] < least:
            best, least = mean, values[-1]
        tau = (away @ vectors[:, -1]) ** 2
        weights = weights * (1 - tau / tau[weights > 0].max())
        weights = np.where(weights < 1e-12, 0, weights)
    np.testing.assert_allclose(aggregation.caf(rows, malicious=f), best, atol=1e-8)


@given(seeds)
@settings(max_examples=15)
def test_dnc_leaves_out_what_lies_farthest_along_the_top_direction(seed):
    rows = drawn(seed)
    away = rows - rows.mean(axis=0)
    scores = (away @ np.linalg.svd(away)[2][0]) ** 2
    kept = np.argsort(scores)[:7]
    np.testing.assert_allclose(aggregation.dnc(rows, malicious=2), rows[kept].mean(axis=0), atol=1e-10)


def test_dnc_draws_parameters_and_an_enormous_row_hides_others():
    rows = drawn(0, 12, 40)
    first, again, other = (aggregation.dnc(rows, malicious=2, parameters=5, seed=s) for s in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    rows[:2] = 0
    rows[0, 0], rows[1, 1] = 1e6, 30  # of the two, the second is not seen
    lost = aggregation.dnc(rows, malicious=1)
    assert abs(lost[1]) > 2


@given(seeds)
@settings(max_examples=15)
def test_monna_is_as_good_as_ones_own_update(seed):
    draw = np.random.default_rng(seed)
    honest, own = drawn(seed), drawn(seed)[0]
    sent = draw.standard_normal((2, 4)) * 10.0 ** draw.integers(-2, 4)
    rows = np.vstack([honest, sent])
    near = np.argsort(((rows - own) ** 2).sum(axis=1))[:9]
    found = aggregation.monna(rows, own=own, malicious=2)
    np.testing.assert_allclose(found, rows[near].mean(axis=0), atol=1e-12)
    mean = honest.mean(axis=0)
    spread = ((honest - mean) ** 2).sum(axis=1).mean() + ((own - mean) ** 2).sum()
    assert ((found - mean) ** 2).sum() <= 4 * 2 / 9 * spread


def test_autogm_is_the_geometric_median_if_weight_is_shared_and_drops_far_rows():
    rows = drawn(3)
    shared = aggregation.autogm(rows, sharing=1e9)
    np.testing.assert_allclose(shared, aggregation.geometric_median(rows), atol=1e-4)
    far = np.vstack([rows, np.full((2, 4), 100.0)])
    further = np.vstack([rows, np.full((2, 4), 1e6)])
    np.testing.assert_allclose(aggregation.autogm(far), aggregation.autogm(further), atol=1e-9)
    point = aggregation.autogm(rows)  # optimal in the weights and in the point
    gaps = np.linalg.norm(rows - point, axis=1)
    unit = np.sort(np.linalg.norm(rows[:, None] - rows, axis=2), axis=1)[:, 4].min()
    level = brentq(lambda x: np.maximum(x - gaps, 0).sum() - 9 * unit, 0, 100)  # the water level
    weights = np.maximum(level - gaps, 0)
    slope = (weights[:, None] * (point - rows) / gaps[:, None]).sum(axis=0) / weights.sum()
    assert np.linalg.norm(slope) < 1e-3


def test_signguard_drops_other_signs_and_odd_lengths_and_is_no_longer_than_the_median():
    draw = np.random.default_rng(0)
    honest = draw.standard_normal((8, 200)) * 0.3 + 1
    rows = np.vstack([honest, -honest[:1], 50 * honest[:1], 1e-3 * honest[:1]])
    middle = np.median(np.linalg.norm(rows, axis=1))
    clipped = honest * np.minimum(1, middle / np.linalg.norm(honest, axis=1))[:, None]
    np.testing.assert_allclose(aggregation.signguard(rows), clipped.mean(axis=0), atol=1e-9)
    assert np.linalg.norm(aggregation.signguard(1e3 * rows)) <= 1e3 * middle


@given(seeds)
@settings(max_examples=15)
def test_clustering_is_average_linkage_of_directions(seed):
    from sklearn.cluster import AgglomerativeClustering

    rows = drawn(seed)
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    apart = 1 - unit @ unit.T
    labels = AgglomerativeClustering(n_clusters=2, metric="precomputed", linkage="average").fit_predict(apart)
    larger = labels == (labels.sum() > 4)  # nine rows: no tie
    np.testing.assert_allclose(aggregation.clustering(rows), rows[larger].mean(axis=0), atol=1e-12)


@given(updates_to_aggregate(rows=(5, 12)), st.integers(0, 2))
@settings(max_examples=30)
def test_adaptive_clipping_is_as_published(rows, f):
    clipped = aggregation.adaptive_clipping(rows, malicious=f)
    size, lengths = len(rows), np.linalg.norm(rows, axis=1)
    count = int(2 * f / size * (size - f) + 1e-9)
    limit = np.sort(lengths)[size - count - 1]
    np.testing.assert_allclose(np.linalg.norm(clipped, axis=1), np.minimum(lengths, limit), atol=1e-12)
    static = aggregation.static_clipping(rows, radius=1.0)
    np.testing.assert_allclose(np.linalg.norm(static, axis=1), np.minimum(lengths, 1), atol=1e-12)
    for result in (clipped, static):  # directions stay
        np.testing.assert_allclose(
            result * lengths[:, None], rows * np.linalg.norm(result, axis=1)[:, None], atol=1e-9
        )


def test_clipping_makes_absent_rows_zero():
    rows = drawn(1)
    rows[2, 1], rows[5, 0] = np.nan, np.inf
    clipped = aggregation.adaptive_clipping(rows, malicious=2)
    assert not clipped[[2, 5]].any()
    assert np.isfinite(clipped).all()
    assert not aggregation.static_clipping(rows, radius=1.0)[2].any()


RULES = ["smea", "caf", "dnc", "signguard", "autogm", "clustering", "monna", "adaptive-clipping+mean"]


@pytest.mark.slow
@pytest.mark.parametrize("name", [*RULES, "static-clipping+krum"])
def test_jax_agrees(name):
    rows = drawn(4)
    rows[1], rows[6, 0] = rows[0], np.nan
    options = {"own": rows[2]} if name == "monna" else {"radius": 1.0} if "static" in name else {}
    expected = aggregate(rows, name, malicious=2, **options)
    with jax.enable_x64(True):
        jitted = jax.jit(lambda values: aggregate(values, name, malicious=2, **options))
        np.testing.assert_allclose(jitted(jnp.asarray(rows)), expected, atol=1e-9)
        slope = jax.grad(lambda values: jitted(values).sum())(jnp.asarray(np.nan_to_num(rows)))
    assert np.isfinite(slope).all()


@pytest.mark.parametrize("name", RULES)
def test_copies_are_returned_and_one_row_is_the_aggregate(name):
    copies = np.tile([0.1, -0.7, 3.0], (11, 1))
    options = {"own": copies[0]} if name == "monna" else {}
    np.testing.assert_allclose(aggregate(copies, name, malicious=2, **options), copies[0], rtol=1e-14)
    np.testing.assert_allclose(aggregate(copies[:1], name, malicious=0, **options), copies[0], rtol=1e-14)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda rows: aggregation.smea(np.vstack([rows] * 6), malicious=20), "subsets to try"),
        (lambda rows: aggregation.caf(rows, malicious=5), "needs at least 2 * malicious + 1 = 11"),
        (lambda rows: aggregation.dnc(rows, malicious=1, parameters=0), "parameters = 0"),
        (lambda rows: aggregation.dnc(rows, malicious=1, repetitions=0), "repetitions = 0"),
        (lambda rows: aggregation.signguard(rows, shortest=2), "shortest = 2"),
        (lambda rows: aggregation.signguard(rows, longest=0.5), "longest = 0.5"),
        (lambda rows: aggregation.autogm(rows, sharing=0), "sharing = 0"),
        (lambda rows: aggregation.monna(rows, own=[1.0], malicious=1), "own has length 1"),
        (lambda rows: aggregation.static_clipping(rows, radius=-1), "radius = -1"),
        (lambda rows: aggregation.adaptive_clipping(rows, malicious=5), "needs at least"),
        (lambda rows: aggregate(rows, "monna", malicious=1), "needs own"),
        (lambda rows: aggregate(rows, "static-clipping", radius=1.0), "then one rule"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(InvalidInput) as caught:
        call(drawn(0))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("seed", [14, 22, 29, 30])
def test_fractions_of_signs_tie_in_numpy_as_in_jax(seed):
    rows = np.random.default_rng(seed).standard_normal((7, 5))
    with jax.enable_x64(True):
        in_jax = aggregation.signguard(jax.numpy.asarray(rows))
    np.testing.assert_allclose(in_jax, aggregation.signguard(rows), atol=1e-9)


@pytest.mark.parametrize("size", [0.01, 0.1, 1.0, 100.0])
def test_equal_colluders_fall_together_in_numpy_and_jax(size):
    honest = np.random.default_rng(3).standard_normal((12, 5))
    rows = np.vstack([honest, np.tile(honest.mean(axis=0) + size, (3, 1))])
    with jax.enable_x64(True):
        in_jax = aggregation.caf(jax.numpy.asarray(rows), malicious=3)
    np.testing.assert_allclose(in_jax, aggregation.caf(rows, malicious=3), atol=1e-9)
