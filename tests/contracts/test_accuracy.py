import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts import (
    Arctan,
    CustomCurve,
    Exponential,
    GeneralizationBound,
    InvalidInput,
    MonotoneTabulated,
    PowerLaw,
    Tabulated,
)
from contracts.problem.accuracy import inspect

CURVES = [
    PowerLaw(optimum=0.9, coefficient=1.8, exponent=0.5),
    GeneralizationBound(),
    GeneralizationBound(optimum=0.8, complexity=30.0),
    Exponential(optimum=0.9, rate=0.01),
    Arctan(optimum=0.8, scale=50.0),
    Tabulated(data=[50, 200, 800, 3200], accuracy=[0.5, 0.7, 0.8, 0.85]),
    MonotoneTabulated(data=[50, 200, 800, 3200], accuracy=[0.5, 0.7, 0.8, 0.85]),
]


def test_the_papers_bound_leaves_zero_at_its_published_floor():
    assert GeneralizationBound().floor == pytest.approx(55.807, abs=5e-4)
    assert GeneralizationBound()(1e4) == pytest.approx(1 - (np.sqrt(2 * (2 + np.log(1e4))) + 4) / 100, abs=1e-14)


@pytest.mark.parametrize("curve", CURVES[:-1], ids=lambda c: c.family)
def test_every_family_is_increasing_and_concave_above_its_floor(curve):
    shape = inspect(curve)
    assert shape.increasing
    assert shape.concave
    assert curve(0.0) == pytest.approx(0.0, abs=1e-15)
    assert curve(curve.floor) == pytest.approx(0.0, abs=1e-12)
    assert float(curve(1e12)) <= float(curve.optimum) * (1 + 1e-15)
    assert float(curve(1e14)) == pytest.approx(float(curve.optimum), abs=1e-5)


@pytest.mark.parametrize("curve", CURVES, ids=lambda c: c.family)
def test_numpy_and_jax_agree_and_derivatives_match_finite_differences(curve):
    data = np.array([70.0, 333.0, 5000.0])
    with jax.enable_x64(True):
        np.testing.assert_allclose(curve(jnp.asarray(data)), curve(data), rtol=1e-14)
        slope = jax.vmap(jax.grad(lambda x: curve.formula(x, jnp)))(jnp.asarray(data))
    step = 1e-5 * data
    np.testing.assert_allclose(
        slope, (curve(data + step) - curve(data - step)) / (2 * step), rtol=1e-6, atol=1e-12
    )


def test_parameters_can_be_mapped_over():
    with jax.enable_x64(True):
        rates = jnp.asarray([0.01, 0.1])
        found = jax.vmap(lambda rate: Exponential(optimum=0.9, rate=rate)(jnp.asarray(10.0)))(rates)
    expected = [Exponential(optimum=0.9, rate=r)(10.0) for r in (0.01, 0.1)]
    np.testing.assert_allclose(found, expected, rtol=1e-14)
    batch = Exponential(optimum=0.9, rate=np.array([0.01, 0.1]))
    np.testing.assert_allclose(batch(10.0), expected, rtol=1e-14)


@given(
    st.lists(st.floats(0.01, 1.0), min_size=1, max_size=8),
    st.lists(st.floats(1.0, 1e3), min_size=8, max_size=8),
)
def test_tabulated_interpolates_and_keeps_shape(slopes, widths):
    widths = np.array(widths[: len(slopes)])
    rises = np.sort(slopes)[::-1] * widths
    data, accuracy = np.cumsum(widths), np.cumsum(rises) / rises.sum() * 0.9
    curve = Tabulated(data=data, accuracy=accuracy)
    np.testing.assert_allclose(curve(data), accuracy, atol=1e-12)
    shape = inspect(curve, low=data[0] * 1e-3, high=2 * data[-1])
    assert shape.increasing
    assert shape.concave


def test_inspection_reports_where_a_curve_misbehaves():
    logistic = CustomCurve(function=lambda x: 0.9 / (1 + jnp.exp(-(x - 500) / 50)), optimum=0.9)
    (low, high), *_ = inspect(logistic, low=1.0, high=5000.0).convex
    assert low < 10
    assert high == pytest.approx(500, rel=0.01)
    falling = CustomCurve(function=lambda x: 0.5 + 0.3 * jnp.sin(x / 100), optimum=0.8)
    assert not inspect(falling, low=1.0, high=1000.0).increasing


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: PowerLaw(optimum=1.2), "optimum = 1.2: expected a number in \\(0, 1\\]"),
        (lambda: PowerLaw(coefficient=-1), "coefficient = -1"),
        (lambda: PowerLaw(exponent=float("nan")), "exponent = nan"),
        (lambda: GeneralizationBound(complexity=0), "complexity = 0"),
        (lambda: Exponential(rate="fast"), "rate = 'fast'"),
        (lambda: Exponential(rate=[0.1, -1]), "rate\\[1\\] = -1"),
        (lambda: Arctan(scale=np.inf), "scale = inf"),
        (lambda: Tabulated(data=[10, 5], accuracy=[0.5, 0.6]), "data\\[1\\] = 5"),
        (lambda: Tabulated(data=[10, 20], accuracy=[0.5, 0.4]), "accuracy\\[1\\] = 0.4 is below"),
        (lambda: Tabulated(data=[10, 20, 30], accuracy=[0.1, 0.2, 0.9]), "concave curve"),
        (lambda: Tabulated(data=[], accuracy=[]), "data is empty"),
        (lambda: MonotoneTabulated(data=[10, 5], accuracy=[0.5, 0.6]), "data\\[1\\] = 5"),
        (lambda: MonotoneTabulated(data=[10, 20], accuracy=[0.5, 0.4]), "accuracy\\[1\\] = 0.4 is below"),
        (lambda: MonotoneTabulated(data=[10, 20], accuracy=[0.5]), "accuracy has length 1: expected 2"),
        (lambda: MonotoneTabulated(data=[10, np.inf], accuracy=[0.5, 0.6]), "data\\[1\\] = inf"),
        (lambda: CustomCurve(function=3), "function = 3"),
        (lambda: PowerLaw()(-1.0), "data = -1|data.* = -1"),
    ],
)
def test_bad_parameters_are_named(make, message):
    with pytest.raises(InvalidInput, match=message):
        make()


@given(st.lists(st.floats(0.0, 1.0), min_size=4, max_size=12))
def test_monotone_tables_rise_through_their_points_as_scipys_do(rises):
    from scipy.interpolate import PchipInterpolator

    accuracy = 0.9 * (np.cumsum(rises) + 0.01) / (np.sum(rises) + 0.01)
    data = 100.0 * np.arange(1, len(rises) + 1) ** 1.5
    curve = MonotoneTabulated(data=data, accuracy=accuracy)
    np.testing.assert_allclose(curve(data), accuracy, atol=1e-12)
    fine = np.linspace(0.0, 1.2 * data[-1], 2000)
    assert (np.diff(curve(fine)) >= -1e-14).all()
    inside = fine[(fine > data[0]) & (fine < data[-2])]  # at the ends scipy takes other slopes
    scipys = PchipInterpolator(np.r_[0.0, data], np.r_[0.0, accuracy])
    np.testing.assert_allclose(curve(inside), scipys(inside), atol=1e-12)


def test_a_power_law_that_stays_at_zero_for_ever_is_refused():
    with pytest.raises(InvalidInput, match=r"accuracy leaves zero at 1e300000 data: expected below 1e300"):
        PowerLaw(coefficient=1e300, exponent=1e-3)
