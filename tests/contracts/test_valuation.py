import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts import (
    ExponentialUtility,
    InvalidInput,
    LinearValuation,
    LogarithmicValuation,
    LossValuation,
    PowerValuation,
)

VALUATIONS = [
    LinearValuation(scale=100.0),
    PowerValuation(scale=50.0, exponent=0.4),
    ExponentialUtility(scale=10.0, risk_aversion=3.0),
    LogarithmicValuation(scale=7.0, sensitivity=20.0),
]


@pytest.mark.parametrize("valuation", VALUATIONS, ids=lambda v: v.family)
@given(accuracy=st.floats(0, 1))
def test_inverse_undoes_value(valuation, accuracy):
    assert valuation.inverse(valuation(accuracy)) == pytest.approx(accuracy, abs=1e-9)


@pytest.mark.parametrize("valuation", VALUATIONS, ids=lambda v: v.family)
@given(top=st.floats(0.1, 1), share=st.floats(0, 1))
def test_loss_is_the_difference_of_values(valuation, top, share):
    expected = valuation(top) - valuation(max(top * (1 - share), 0.0))
    assert valuation.loss(top, top * share, np) == pytest.approx(expected, abs=1e-6 * valuation.scale)


@pytest.mark.parametrize("valuation", VALUATIONS, ids=lambda v: v.family)
def test_small_losses_keep_their_precision(valuation):
    step = 1e-9
    slope = (valuation(0.7 + 1e-5) - valuation(0.7 - 1e-5)) / 2e-5
    assert valuation.loss(0.7, step, np) / step == pytest.approx(slope, rel=1e-6)


@pytest.mark.parametrize("valuation", VALUATIONS, ids=lambda v: v.family)
def test_values_rise_from_zero_and_are_concave(valuation):
    values = valuation(np.linspace(0, 1, 101))
    assert values[0] == 0
    assert values[-1] == pytest.approx(valuation.scale)
    assert (np.diff(values) > 0).all()
    assert (np.diff(values, 2) <= 1e-9).all()


def test_bad_parameters_are_named():
    with pytest.raises(InvalidInput, match="scale = 0"):
        LinearValuation(scale=0)
    with pytest.raises(InvalidInput, match="exponent = 2"):
        PowerValuation(exponent=2)
    with pytest.raises(InvalidInput, match="value = 101"):
        LinearValuation(scale=100.0).inverse(101.0)


@pytest.mark.parametrize("scale", [7.0, 0.1, 1e8 / 3.0])
@pytest.mark.parametrize(
    "made",
    [
        lambda scale: ExponentialUtility(scale=scale, risk_aversion=1.0),
        lambda scale: LossValuation(scale=scale, reference=2.3),
        lambda scale: LossValuation(scale=scale, reference=11.7, of="perplexity"),
    ],
)
def test_a_perfect_model_is_found_again_whatever_its_value_is_rounded_to(made, scale):
    valuation = made(scale)
    for value in (valuation(1.0), np.nextafter(scale, np.inf)):
        assert 1.0 - 1e-9 < valuation.inverse(value) <= 1.0
    with pytest.raises(InvalidInput, match="value"):
        valuation.inverse(scale * (1.0 + 1e-9))
