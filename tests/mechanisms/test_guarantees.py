"""What is guaranteed of every registered rule, and rows that show why no more can be."""

import functools

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.errors import InvalidInput
from mechanisms.aggregation import (
    Defender,
    adaptive_clipping,
    aggregate,
    find,
    guarantee,
    robustness_bound,
    rules,
)
from mechanisms.aggregation.geometry import lengths_from, row_keys
from mechanisms.aggregation.guarantees import STATEMENTS
from mechanisms.testing import HOSTILE, error_ratio, hostile_updates

N, F, D = 11, 2, 3
RULES = [*rules("average"), *rules("distance"), *rules("behaviour")]
COMPOSED = [
    "adaptive-clipping+median",
    "adaptive-clipping+signguard",
    "static-clipping+clustering",
    "nearest-neighbour-mixing+mean",
    "nearest-neighbour-mixing+caf",
    "bucketing+median",
    "bucketing+clustering",
    "roni-screen+krum",
]


def loss(parameters, inputs, _):
    return jnp.mean((inputs - parameters) ** 2)


def error_rate(parameters, inputs, _):
    return jnp.mean(jnp.abs(inputs - parameters) > jnp.abs(inputs))


def judge(own, inputs):
    return Defender(
        parameters=np.zeros_like(own),
        update=own,
        inputs=inputs,
        labels=np.zeros(1),
        loss=loss,
        error_rate=error_rate,
    )


def given_to(name, honest, f, own=None, seen=None):
    own = honest[0] if own is None else own
    needed = frozenset().union(*(part.required for part in find(name)))
    known = {
        "defender": judge(own, honest[:3] if seen is None else seen),
        "own": own,
        "tolerance": 1.0,
        "radius": 2.0,
        "size": 2,
    }
    return {"malicious": f, **{key: value for key, value in known.items() if key in needed}}


def answer(name, rows, honest, f=F, **changed):
    with np.errstate(all="ignore"):
        return aggregate(rows, name, **given_to(name, honest, f, **changed))


@pytest.mark.parametrize("kind", HOSTILE)
@pytest.mark.parametrize("name", [*RULES, *COMPOSED])
def test_no_rule_breaks_its_guarantee(name, kind):
    promise = guarantee(name, rows=N, malicious=F, size=2)
    for seed, (dtype, scale) in enumerate(
        [(np.float64, 1.0), (np.float32, 1.0), (np.float32, 1e25), (np.float32, 1e-30), (np.float64, 1e200)]
    ):
        honest = np.random.default_rng(seed).standard_normal((N - F, D))
        honest[: F + 1] += 30 * (seed % 2)
        honest = (honest * scale).astype(dtype)
        rows = hostile_updates(honest, F, kind=kind, seed=seed)
        result = answer(name, rows, honest)
        assert result.dtype == dtype
        assert not promise.broken_by(result, honest=honest, updates=rows, own=honest[0], tolerance=1.0), str(
            promise
        )


BOUNDED = [
    name for name in [*RULES, *COMPOSED] if robustness_bound(name, rows=N, malicious=1, size=2) is not None
]
WITHOUT = [name for name in RULES if robustness_bound(name, rows=N, malicious=F) is None]


def test_the_list_of_rules_without_a_bound_is_known():
    behaviour = rules("behaviour")
    clipping = ["centered-clipping", "norm-clipping", "acceptance-radius", "clipping-radius", "signguard"]
    assert {*WITHOUT} == {"mean", "dnc", "clustering", "foolsgold", *clipping, *behaviour}


def failing_rows(name):
    """Honest rows that are all equal, and hostile ones that move the rule all the same."""
    row = np.array([1.0, 2.0])
    honest = np.tile(row, (N - F, 1))
    seen, own = honest[:3], row
    match name:
        case "mean" | "norm-clipping" | "acceptance-radius" | "clipping-radius" | "fltrust" | "signguard":
            hostile = np.array(
                [[2.0, 1.0]] * F
            )  # as long, of the same signs, within the own length, not at a right angle
        case "centered-clipping":
            hostile = honest[:F]  # the radius, half the median distance, does not reach
        case "clustering":
            hostile = np.array([[1e6, 2e6]] * F)  # in the same direction
        case "foolsgold":
            hostile = np.array([[-5.0, 0.0], [0.0, -7.0]])  # who differ, unlike the honest
        case "dnc":
            hostile = np.array([[1e9, 2.0], [2.0, 1e3]])  # the first is the top direction, and hides the second
        case _:  # what the defender sees wants something else, and only a hostile row is it
            hostile = np.array([[3.0, 0.0]] * F)
            seen = hostile[:1]
    return honest, np.vstack([honest, hostile]), own, seen


@pytest.mark.parametrize("name", WITHOUT)
def test_no_bound_is_missing_where_there_could_be_one(name):
    honest, rows, own, seen = failing_rows(name)
    for scale in (1.0, 2.0**-40):
        moved = (
            answer(name, rows * scale, honest * scale, own=own * scale, seen=seen * scale) / scale - honest[0]
        )
        assert np.linalg.norm(moved) > 0.05
        assert not np.ptp(honest, axis=0).any()


def climbed(name, f, seed, steps=60):
    """Hostile rows found by search: from several places, whatever makes the error larger is kept."""
    draw = np.random.default_rng(seed)
    honest = draw.standard_normal((N - f, draw.integers(1, 4)))
    honest[: draw.integers(0, 3)] *= 20
    own = honest[draw.integers(len(honest))]

    def error(hostile):
        rows = np.vstack([honest, hostile])
        return error_ratio(answer(name, rows, honest, f, own=own), honest)

    starts = [
        honest.mean(axis=0) + 10.0 ** draw.uniform(-1, 2) * draw.standard_normal((f, honest.shape[1]))
        for _ in range(8)
    ]
    best = max(starts, key=error)
    most = error(best)
    for _ in range(steps):
        step = 10.0 ** draw.uniform(-2, 1) * draw.standard_normal(best.shape)
        tried = best + (step if draw.random() < 0.5 else step[:1])
        found = error(tried)
        if found > most:
            best, most = tried, found
    return most


@pytest.mark.slow
@pytest.mark.parametrize("name", BOUNDED)
def test_rows_found_by_search_stay_within_the_bound(name):
    for f in (1, 2):
        kappa = robustness_bound(name, rows=N, malicious=f, size=2)
        for seed in range(4):
            if kappa is not None:
                assert climbed(name, f, seed) <= kappa


@given(st.integers(0, 10**6))
@settings(max_examples=60)
def test_clipping_takes_off_the_variance_what_it_moves_the_mean(seed):
    """The step by which adaptive clipping keeps a rule's bound but for 2 f / (n - 2 f)."""
    draw = np.random.default_rng(seed)
    rows = draw.standard_normal((N, D)) * np.exp(draw.standard_normal((N, 1))) + draw.standard_normal(D)
    clipped = adaptive_clipping(rows, malicious=F)
    count = (clipped != rows).any(axis=1).sum()
    before, after = (((one - one.mean(axis=0)) ** 2).sum() for one in (rows, clipped))
    moved = ((rows.mean(axis=0) - clipped.mean(axis=0)) ** 2).sum() * N
    assert 0 < count <= 2 * F * (N - F) // N
    assert after + (N - count) / count * moved <= before * (1 + 1e-12)


@pytest.mark.parametrize("name", BOUNDED)
def test_bounds_are_as_they_can_be(name):
    bound = functools.partial(robustness_bound, name, size=2)
    for n, f in ((9, 1), (15, 2), (40, 5)):
        kappa = bound(rows=n, malicious=f)
        if kappa is not None:
            assert kappa >= f / (n - 2 * f)  # less is impossible
    if name not in (
        "median",
        "geometric-median",
        "krum",
        "bucketing+median",
        "adaptive-clipping+median",
        "autogm",
    ):
        assert bound(rows=11, malicious=0) in (0, None) or "around" in name or name == "bulyan"


def test_statements_are_read():
    promise = guarantee("caf", rows=15, malicious=3)
    assert (promise.region, promise.kappa) == ("mean", robustness_bound("caf", rows=15, malicious=3))
    assert str(promise).endswith("kappa = 7.438")
    assert STATEMENTS["length"] in str(guarantee("norm-clipping", rows=9, malicious=1))
    assert guarantee("nearest-neighbour-mixing+norm-clipping", rows=9, malicious=1).region == "rows"
    assert guarantee("adaptive-clipping+norm-clipping", rows=9, malicious=1).region == "length"
    assert guarantee("roni-screen+fltrust", rows=9, malicious=1).region == "own length"
    with pytest.raises(InvalidInput, match="expected own and tolerance"):
        guarantee("clipping-radius", rows=3, malicious=1).broken_by([1.0], honest=[[1.0]], updates=[[1.0]])


@pytest.mark.parametrize(
    ("name", "inside", "beyond"),
    [
        ("median", 1.0, 40.0),
        ("norm-clipping", -2.9, 3.1),
        ("centered-clipping", 7.0, 7.2),
        ("clipping-radius", 1.9, 2.1),
        ("fltrust", -0.9, -1.1),
        ("mean", 90.0, 92.0),
    ],
)
def test_what_breaks_a_guarantee_is_seen(name, inside, beyond):
    honest = np.array([[1.0], [2.0], [3.0]])
    seen = {"honest": honest, "updates": np.vstack([honest, [[91.0]]]), "own": honest[0], "tolerance": 1.0}
    promise = guarantee(name, rows=4, malicious=1)
    assert not promise.broken_by([inside], **seen)
    assert promise.broken_by([beyond], **seen)
    assert promise.broken_by([np.nan], **seen)
    assert promise.broken_by([np.inf], **seen)


@pytest.mark.parametrize("scale", [3e38, 1e-40])
def test_what_breaks_ties_is_a_number_at_the_ends_of_32_bits(scale):
    rows = (np.random.default_rng(0).uniform(0.2, 1, (5, 40)) * scale).astype(np.float32)
    expected = rows.astype(np.float64) @ np.cos(np.arange(1, 41))
    with np.errstate(all="ignore"):  # as rules are run
        np.testing.assert_allclose(row_keys(rows), expected, rtol=1e-9)


def test_lengths_do_not_overflow_or_vanish_in_32_bits():
    for scale in (1e-40, 1e-25, 1.0, 1e25, 3e38):
        rows = (np.random.default_rng(0).standard_normal((5, 3)).clip(-1, 1) * scale).astype(np.float32)
        expected = np.linalg.norm(rows.astype(np.float64), axis=1)
        np.testing.assert_allclose(lengths_from(rows), expected, rtol=1e-6)


def test_far_rows_next_to_each_other_are_no_geometric_median():
    base = np.array([6.7213e24, -1.5319e25, -7.219e23, 9.286e24, 6.7906e24])
    near = np.array([2.6e7, -7.6e6, -6.1e7, -3.2e7, 9.7e6])
    other = np.array([-2.1e18, -2.5e17, -2.6e16, 1.6e18, 1.5e18])
    for seed in range(5):
        honest = base + 1e19 * np.random.default_rng(seed).standard_normal((12, 5))
        rows = np.vstack([honest[:2], near, honest[2:5], other, honest[5:7], 1e-4 * near, honest[7:]])
        found = aggregate(rows, "geometric-median")
        assert error_ratio(found, honest) <= robustness_bound("geometric-median", rows=15, malicious=3)
