"""Fitting learning curves: exact recovery, honest standard errors, agreement with scipy, bad input."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize

from contracts.errors import InvalidInput
from contracts.measured.learning_curves import (
    FAMILIES,
    Measurements,
    compare_families,
    fit_family,
    read_measurements,
)
from contracts.measured.profile import overdispersion, profile_interval
from contracts.problem.accuracy import Arctan, Exponential, GeneralizationBound, Hill, PowerLaw, Weibull

DATA = np.geomspace(30, 5000, 14)
CURVES = {
    "power-law": PowerLaw(optimum=0.93, coefficient=2.5, exponent=0.6),
    "generalization-bound": GeneralizationBound(optimum=0.9, complexity=0.05),
    "exponential": Exponential(optimum=0.88, rate=0.002),
    "arctan": Arctan(optimum=0.95, scale=150.0),
    "weibull": Weibull(optimum=0.92, scale=300.0, exponent=0.5),
    "hill": Hill(optimum=0.9, scale=300.0, exponent=1.6),
}


@pytest.mark.parametrize("family", FAMILIES)
def test_an_exact_curve_is_recovered(family):
    truth = CURVES[family]
    fit = fit_family(Measurements(data=DATA, accuracy=truth(DATA)), family=family)
    for name in fit.parameters:
        assert getattr(fit.curve, name) == pytest.approx(getattr(truth, name), rel=1e-7)
    assert fit.rmse < 1e-10


@settings(max_examples=60)
@given(
    optimum=st.floats(0.3, 0.99), loss=st.floats(0.05, 0.9), exponent=st.floats(0.15, 1.8),
    start=st.floats(1.0, 1e4), span=st.floats(30.0, 1e4),
)  # fmt: skip
def test_power_laws_are_recovered_wherever_they_lie(optimum, loss, exponent, start, span):
    data = np.geomspace(start, start * span, 12)
    truth = PowerLaw(optimum=optimum, coefficient=loss * optimum * start**exponent, exponent=exponent)
    fit = fit_family(Measurements(data=data, accuracy=truth(data)))
    assert fit.rmse < 1e-8
    assert fit.curve(data * 1.3) == pytest.approx(truth(data * 1.3), abs=1e-7)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_generating_family_is_ranked_first(family):
    noise = np.random.default_rng(3).normal(0.0, 1e-3, DATA.size)
    accuracy = CURVES[family](DATA) + noise
    measured = Measurements(data=DATA, accuracy=accuracy, standard_error=np.full(DATA.size, 1e-3))
    ranked = compare_families(measured)
    # exponential curves are Weibull curves, which noise may favour by a little
    nested = ("exponential", "weibull") if family == "exponential" else (family,)
    assert ranked[0].family in nested
    assert next(fit for fit in ranked if fit.family == family).aicc - ranked[0].aicc < 4.0
    assert [fit.aicc for fit in ranked] == sorted(fit.aicc for fit in ranked)


def test_estimates_and_covariance_agree_with_scipys_curve_fit():
    rng = np.random.default_rng(0)
    error = rng.uniform(0.002, 0.01, DATA.size)
    accuracy = CURVES["power-law"](DATA) + rng.normal(0.0, error)
    for standard_error in (error, None):
        fit = fit_family(Measurements(data=DATA, accuracy=accuracy, standard_error=standard_error))
        estimate, covariance = optimize.curve_fit(
            lambda x, a, b, c: a - b * x**-c, DATA, accuracy, p0=fit.estimate * 1.01,
            sigma=standard_error, absolute_sigma=standard_error is not None, xtol=1e-14, ftol=1e-14,
        )  # fmt: skip
        assert fit.estimate == pytest.approx(estimate, rel=1e-5)
        # curve_fit differentiates by finite differences
        assert fit.covariance == pytest.approx(covariance, rel=1e-3)


@pytest.mark.slow
def test_standard_errors_cover_the_truth_as_often_as_they_promise():
    rng = np.random.default_rng(1)
    truth, error, runs = CURVES["power-law"], np.full(DATA.size, 0.004), 300
    actual = np.array([truth.optimum, truth.coefficient, truth.exponent])
    inside, band = np.zeros(3), 0
    for _ in range(runs):
        measured = Measurements(data=DATA, accuracy=truth(DATA) + rng.normal(0.0, error), standard_error=error)
        fit = fit_family(measured)
        inside += np.abs(fit.estimate - actual) < 1.96 * fit.standard_error
        band += abs(fit.curve(700.0) - truth(700.0)) < 1.96 * fit.standard_error_at(700.0)
    # 300 runs of a 95 % interval: standard deviation 1.3 %, so four of them
    assert np.all(np.abs(inside / runs - 0.95) < 0.05)
    assert abs(band / runs - 0.95) < 0.05


def test_chi_square_is_that_of_noise_when_the_family_is_right():
    rng = np.random.default_rng(2)
    truth, error = CURVES["arctan"], np.full(DATA.size, 0.004)
    p_values = []
    for _ in range(100):
        accuracy = truth(DATA) + rng.normal(0.0, error)
        measured = Measurements(data=DATA, accuracy=accuracy, standard_error=error)
        p_values.append(fit_family(measured, family="arctan").p_value)
    assert 0.4 < np.mean(p_values) < 0.6


def test_a_parameter_at_its_bound_has_no_standard_error_but_the_band_remains():
    accuracy = 1.0 - 0.9 * (DATA / 30) ** -0.9 + 0.004
    fit = fit_family(Measurements(data=DATA, accuracy=accuracy, standard_error=np.full(DATA.size, 1e-3)))
    assert fit.at_bound == ("optimum",)
    assert np.isnan(fit.standard_error[0])
    assert np.isfinite(fit.standard_error[1:]).all()
    assert np.isfinite(fit.standard_error_at(DATA)).all()
    assert "at its bound" in str(fit)


def test_three_points_leave_no_freedom_for_three_parameters():
    fit = fit_family(Measurements(data=[10, 100, 1000], accuracy=[0.3, 0.6, 0.7]))
    assert fit.degrees_of_freedom == 0
    assert np.isinf(fit.standard_error).all()
    assert fit.aicc == np.inf


def test_constant_accuracy_is_fitted_without_a_fuss():
    ranked = compare_families(Measurements(data=DATA, accuracy=np.full(DATA.size, 0.5)))
    assert ranked[0].rmse < 1e-6


def test_irregularities_are_reported_with_their_significance():
    truth = CURVES["power-law"](DATA)
    assert Measurements(data=DATA, accuracy=truth).irregularities() == ()
    dented = truth.copy()
    dented[5] -= 0.2
    for error, significant in ((0.001, True), (0.5, False)):
        measured = Measurements(
            data=DATA, accuracy=dented, standard_error=np.full(DATA.size, error)
        ).irregularities()
        assert [found.kind for found in measured if found.at == DATA[5]] == ["decrease", "bend"]
        assert all(found.significant is significant for found in measured if found.at == DATA[5])


BAD_FILES = {
    "": "empty",
    "data,sizes,acts\n1,2,3\n": "no column 'accuracy'",
    "data,accuracy\n10,0.5\n20,x\n30,0.7\n": "row 3, column 'accuracy': 'x'",
    "data,accuracy\n10,0.5\n20\n30,0.7\n": "row 3, column 'accuracy': ''",
    "data,accuracy\n10,0.5\n20,nan\n30,0.7\n": "row 3, column 'accuracy': nan: expected a number in [0, 1]",
    "data,accuracy\n10,0.5\n20,60\n30,0.7\n": "row 3, column 'accuracy': 60",
    "data,accuracy\n-1,0.5\n5,0.6\n30,0.7\n": "row 2, column 'data': -1",
    "data,accuracy\n1,0.5\n": "1 rows of measurements: expected at least 2",
    "data,accuracy\n1,0.5\n1,0.6\n": "1 different amounts of data: expected at least 2",
    "data,accuracy\n1,0.5\ninf,0.6\n": "row 3, column 'data': inf: expected a finite number > 0",
    "data,accuracy\n1,50\n2,60\n": "(percent? name the column 'accuracy (%)')",
    "data,accuracy\n": "0 rows",
    "data,accuracy,standard_error\n1,.5,2\n5,.6,.1\n9,.7,.1\n": "'standard_error': 2: expected at most 1",
    "data,accuracy,standard_error\n1,.5,-1\n5,.6,.1\n": "row 2, column 'standard_error': -1",
    "data,accuracy\n1,.2\n2,.15\n4,.1\n8,.05\n": "if these are error rates, name the column 'error'",
    "data,accuracy,data\n1,.5,0\n5,.6,.1\n9,.7,.1\n": "'data' occurs twice",
}


@pytest.mark.parametrize(("text", "message"), BAD_FILES.items(), ids=list(BAD_FILES.values()))
def test_bad_files_are_refused_in_one_line_that_names_the_cell(tmp_path, text, message):
    path = tmp_path / "curve.csv"
    path.write_text(text)
    with pytest.raises(InvalidInput) as caught:
        read_measurements(path)
    assert message in str(caught.value)
    assert "curve.csv" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_unreadable_files_are_refused(tmp_path):
    binary = tmp_path / "binary.csv"
    binary.write_bytes(b"\xff\xfe\x00data")
    for path in (tmp_path / "missing.csv", tmp_path, binary):
        with pytest.raises(InvalidInput, match="expected a CSV file of measurements"):
            read_measurements(path)


def test_files_may_have_other_columns_blank_lines_and_a_byte_order_mark(tmp_path):
    path = tmp_path / "curve.csv"
    path.write_text("\ufeffaccuracy, note, data\r\n0.5,a,10\r\n\r\n0.6,b,20\r\n0.65,c,40\r\n", encoding="utf-8")
    measured = read_measurements(path)
    assert measured.data.tolist() == [10, 20, 40]
    assert measured.accuracy.tolist() == [0.5, 0.6, 0.65]
    assert measured.standard_error is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"data": [1], "accuracy": [0.1]}, "1 measurements: expected at least 2"),
        ({"data": [1, 3, 2], "accuracy": [0.1, 0.2, 0.3]}, "data[2] = 2: expected more than data[1] = 3"),
        ({"data": [1, 2, 3], "accuracy": [0.1, 0.2, 1.3]}, "accuracy[2] = 1.3"),
        ({"data": [1, 2, 3], "accuracy": [0.1, 0.2]}, "accuracy has length 2: expected 3"),
        (
            {"data": [1, 2, 3], "accuracy": [0.1] * 3, "standard_error": [0.1, -1, 0]},
            "standard_error[1] = -1",
        ),
    ],
)
def test_bad_measurements_are_refused(arguments, message):
    with pytest.raises(InvalidInput) as caught:
        Measurements(**arguments)
    assert message in str(caught.value)


def test_bad_arguments_of_the_fit_are_refused():
    with pytest.raises(InvalidInput, match="family = 'logistic': expected one of 'power-law'"):
        fit_family(Measurements(data=[1, 2, 3], accuracy=[0.1, 0.2, 0.3]), family="logistic")
    with pytest.raises(InvalidInput, match="expected Measurements"):
        fit_family([1, 2, 3])  # type: ignore[arg-type]


def test_profiles_are_wider_where_standard_errors_know_nothing():
    accuracy = 1.0 - 0.9 * (DATA / 30) ** -0.9 + 0.004
    fit = fit_family(Measurements(data=DATA, accuracy=accuracy, standard_error=np.full(DATA.size, 1e-3)))
    low, high = profile_interval(fit, 1e5)
    assert fit.at_bound == ("optimum",)
    assert low < float(fit.curve(1e5)) <= high <= 1.0
    assert low < 0.9999


def test_profiles_agree_with_the_delta_method_where_the_curve_is_nearly_linear_in_its_parameters():
    truth = CURVES["power-law"](DATA)
    fit = fit_family(Measurements(data=DATA, accuracy=truth, standard_error=np.full(DATA.size, 1e-4)))
    low, high = profile_interval(fit, float(DATA[-1]), 0.95)
    wide = 1.96 * float(fit.standard_error_at(DATA[-1]))
    assert high - low == pytest.approx(2.0 * wide, rel=0.3, abs=2e-4)


def test_scatter_beyond_the_standard_errors_is_overdispersion():
    noise = 0.02 * np.where(np.arange(DATA.size) % 2, 1.0, -1.0)
    accuracy = CURVES["arctan"](DATA) + noise
    fit = fit_family(
        Measurements(data=DATA, accuracy=accuracy, standard_error=np.full(DATA.size, 0.002)), family="arctan"
    )
    assert overdispersion(fit) == pytest.approx(fit.chi_square / fit.degrees_of_freedom)
    assert overdispersion(fit) > 50.0
    clean = fit_family(
        Measurements(data=DATA, accuracy=CURVES["arctan"](DATA), standard_error=np.full(DATA.size, 0.01)),
        family="arctan",
    )
    assert overdispersion(clean) == 1.0


def test_a_plateau_without_a_slope_is_fitted():
    measured = Measurements(
        data=[16, 21, 30, 39, 50, 70, 91, 118], accuracy=[0.9382] * 7 + [0.9383], standard_error=[0.001] * 8
    )
    assert fit_family(measured).rmse < 1e-3
