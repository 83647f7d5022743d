"""Whatever holds real numbers is checked alike; everything else is refused in one line."""

import collections
import re
from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts import (
    CustomCurve,
    Exponential,
    ExponentialMixture,
    ExponentialUtility,
    FiniteTurnout,
    InvalidInput,
    LinearValuation,
    LogarithmicValuation,
    Measurements,
    Population,
    PowerLaw,
    Problem,
    Tabulated,
    checks,
    design_contract,
    verify,
)

HOLDERS = [list, tuple, collections.deque, np.array, lambda v: np.array(v, object), lambda v: np.float32(v),
           lambda v: jnp.asarray(v), lambda v: memoryview(np.array(v, float))]  # fmt: skip
NO_NUMBERS = [None, "0.1", b"0.1", {0.1, 0.2}, {0.1: 0.2}, {0.1: 0.2}.values(), (x for x in [0.1, 0.2]),
              object(), True, [True, False], ["a"], [None], [[1.0, 2.0], [3.0]], [1j], 10**400, [10**400],
              np.array("2020", "M8"), lambda: 0.1, np.array([True])]  # fmt: skip


def population(**change):
    return Population(**{"costs": [0.2, 0.1], "probabilities": [0.5, 0.5], "participants": 10} | change)


def stated(**change):
    return Problem(
        **{"population": population(), "accuracy": PowerLaw(), "valuation": LinearValuation()} | change
    )


@pytest.mark.parametrize("holder", HOLDERS)
def test_whatever_holds_numbers_becomes_an_array_of_its_own(holder):
    given_ = holder([0.25, 0.5])
    found = checks.array("costs", given_, low=0.0)
    assert found.tolist() == [0.25, 0.5]
    assert found.dtype == np.float64
    assert not np.shares_memory(found, np.asarray(given_, dtype=float)) or not isinstance(given_, np.ndarray)
    assert population(costs=given_).costs.tolist() == [0.25, 0.5]
    with pytest.raises(InvalidInput, match=r"costs\[1\] = -0.5"):
        population(costs=holder([0.25, -0.5]))
    with pytest.raises(InvalidInput, match=r"probabilities sum to 0.75"):
        population(probabilities=holder([0.25, 0.5]))


def test_ranges_and_series_are_accepted():
    pandas = pytest.importorskip("pandas")
    assert population(costs=range(2, 0, -1)).costs.tolist() == [2.0, 1.0]
    series = pandas.Series([0.2, 0.1], index=["a", "b"])
    assert population(costs=series).costs.tolist() == [0.2, 0.1]
    with pytest.raises(InvalidInput, match=r"costs\[0\] = -0.2"):
        population(costs=-series)


@pytest.mark.parametrize("value", NO_NUMBERS, ids=lambda value: type(value).__name__)
@pytest.mark.parametrize(
    "use",
    [
        lambda value: checks.array("value", value),
        lambda value: checks.number("value", value),
        lambda value: checks.integer("value", value),
        lambda value: checks.numbers("value", value),
        lambda value: checks.probabilities("value", value),
        lambda value: population(costs=value),
        lambda value: population(probabilities=value),
        lambda value: Exponential(rate=value),
        lambda value: LinearValuation(scale=value),
        lambda value: Tabulated(data=value, accuracy=value),
        lambda value: ExponentialMixture(optimum=0.9, weights=value, rates=value),
        lambda value: FiniteTurnout(counts=value, probabilities=[0.5, 0.5]),
        lambda value: Measurements(data=value, accuracy=[0.1, 0.2, 0.3]),
        lambda value: PowerLaw()(value),
        lambda value: LinearValuation().inverse(value),
    ],
)
def test_what_holds_no_numbers_is_refused_in_one_line(use, value):
    with pytest.raises(InvalidInput) as caught:
        use(value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 200


def test_missing_values_of_masked_arrays_are_no_numbers():
    with pytest.raises(InvalidInput, match=r"costs\[1\] = nan"):
        population(costs=np.ma.masked_array([0.2, 0.1], mask=[False, True]))


@given(st.integers(-(10**25), 10**25))
def test_whole_numbers_of_any_size_are_kept(value):
    assert checks.integer("value", value, low=-(10**26)) == value
    assert checks.number("value", value) == float(value)
    assert type(checks.number("value", np.float64(value))) is float
    with pytest.raises(InvalidInput):
        checks.integer("value", value, low=value + 1)
    with pytest.raises(InvalidInput):
        checks.integer("value", value, low=value - 1, high=value - 1)


@pytest.mark.parametrize(
    "make", [np.float32, np.float16, jnp.float32, Fraction, np.array, jnp.asarray, np.int64]
)
def test_numbers_of_every_kind_become_pythons(make):
    scale = LinearValuation(scale=make(100)).scale
    assert type(scale) is float
    assert scale == 100.0
    assert type(Exponential(rate=make(1)).rate) is float
    assert type(population(participants=make(10)).participants) is int


def test_a_single_precision_scale_is_designed_and_proved():
    contract = design_contract(stated(valuation=LinearValuation(scale=np.float32(100.1))))
    assert verify(contract).holds
    curve = PowerLaw(optimum=np.array([0.5, 0.75], dtype=np.float32))
    assert curve.optimum.dtype == np.float64


def test_tracers_pass_into_curves_and_valuations_and_nowhere_else():
    with jax.enable_x64(True):
        for make in (lambda x: Exponential(rate=x)(10.0), lambda x: LinearValuation(scale=x)(0.5)):
            assert np.isfinite(float(jax.jit(jax.grad(make))(0.1)))
        with pytest.raises(InvalidInput, match="mean = "):
            jax.jit(lambda x: checks.number("mean", x))(1.0)


def test_arrays_are_printed_on_one_line():
    with pytest.raises(
        InvalidInput, match=re.escape("value = array([[1, 2], [3, 4]]): expected a finite number")
    ):
        checks.number("value", np.array([[1, 2], [3, 4]]))
    with pytest.raises(InvalidInput, match=re.escape("costs = 0.2: expected a list of numbers")):
        population(costs=0.2)


# Custom curves: the optimum is what they never exceed.
@pytest.mark.parametrize(
    ("function", "optimum", "message"),
    [
        (
            lambda x: jnp.tanh(x / 50.0),
            0.5,
            r"accuracy at [\d.]+ data is 0\.\d+: expected at most the optimum 0.5",
        ),
        (lambda x: 0.9 * x / (x + 40.0), 0.5, "expected at most the optimum 0.5"),
        (lambda x: 0.5 + 1e-9 + 0.0 * x, 0.5, "accuracy at 0 data is 0.500000001"),
        (lambda x: float(x), 0.5, "function fails on an array of data"),
    ],
)
def test_custom_curves_above_their_optimum_are_refused(function, optimum, message):
    with pytest.raises(InvalidInput, match=message) as caught:
        CustomCurve(function=function, optimum=optimum)
    assert "\n" not in str(caught.value)


def test_a_loose_optimum_is_right_but_loose():
    contracts = [
        design_contract(
            stated(
                accuracy=CustomCurve(function=lambda x: 0.9 * x / (x + 40.0), optimum=optimum),
                valuation=LinearValuation(scale=100.0),
            )
        )
        for optimum in (0.9, 0.95, 1.0)
    ]
    assert all(verify(contract).holds for contract in contracts)
    found = [contract.objective for contract in contracts]
    assert found == pytest.approx([found[0]] * 3, rel=1e-6)


def test_curves_that_rise_above_their_optimum_between_what_was_tried_are_refused_by_designs():
    curve = CustomCurve(function=lambda x: 0.4 * x / (x + 40.0), optimum=0.5)
    object.__setattr__(curve, "function", lambda x: 0.9 * x / (x + 40.0))
    with pytest.raises(InvalidInput, match=r"expected at most the optimum 0\.5"):
        design_contract(stated(accuracy=curve, valuation=LinearValuation(scale=100.0)))


# Losses that vanish, to the last digit, on part of the range.
@pytest.mark.parametrize(
    ("accuracy", "valuation", "many"),
    [
        (ExponentialMixture(optimum=0.9, weights=[0.5, 0.7], rates=[0.01, 0.1]), LinearValuation(scale=1e3), 10),
        (Exponential(rate=0.01), LinearValuation(scale=1e6), 10**6),
        (PowerLaw(), ExponentialUtility(scale=100.0, risk_aversion=800.0), 10),
        (Exponential(rate=0.01), ExponentialUtility(scale=100.0, risk_aversion=1e9), 10),
        (PowerLaw(), LogarithmicValuation(scale=100.0, sensitivity=1e3), 10),
        (PowerLaw(), LogarithmicValuation(scale=100.0, sensitivity=1e100), 10),
    ],
)
def test_losses_that_vanish_are_designed_and_proved(accuracy, valuation, many):
    problem = stated(population=population(participants=many), accuracy=accuracy, valuation=valuation)
    contract = design_contract(problem)
    certificate = verify(contract)
    assert certificate.holds, str(certificate)
    assert contract.objective > 0.97 * problem.largest_value


def test_the_limits_of_risk_aversion_and_sensitivity_are_named():
    with pytest.raises(InvalidInput, match=r"risk_aversion = 10000000000.0: expected a number in \(0, 1e\+09\]"):
        ExponentialUtility(risk_aversion=1e10)
    with pytest.raises(InvalidInput, match=r"sensitivity = 1e\+300: expected a number in \(0, 1e\+100\]"):
        LogarithmicValuation(sensitivity=1e300)


@pytest.mark.parametrize("r", [1e-3, 1.0, 36.0, 40.0, 800.0, 1e9])
def test_values_of_the_very_risk_averse_can_be_inverted(r):
    utility = ExponentialUtility(scale=10.0, risk_aversion=r)
    for accuracy in (0.0, 0.3, 1.0):
        value = utility(accuracy)
        assert utility(utility.inverse(value)) == pytest.approx(value, rel=1e-12)
        assert 0.0 <= utility.inverse(value) <= 1.0 + 1e-12
        assert utility.loss(1.0, 1.0 - accuracy, np) == pytest.approx(10.0 - value, abs=1e-9)
