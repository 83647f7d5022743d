"""Weibull and Hill curves and formulas of one's own: fitted, designed on, proved, stored."""

import numpy as np
import pytest
from scipy import optimize

from contracts import (
    Contract,
    CustomFamily,
    Hill,
    InvalidInput,
    LinearValuation,
    Measurements,
    NotConverged,
    Population,
    Problem,
    Weibull,
    compare_families,
    confidence_region,
    design_contract,
    fit_family,
    profile_interval,
    read_measurements,
    verify,
)
from contracts.problem.accuracy import inspect
from contracts.problem.data import problem_from_data, problem_to_data

POPULATION = Population(costs=[0.2, 0.1, 0.04], probabilities=[0.3, 0.4, 0.3], participants=7)
X = np.geomspace(20, 5000, 9)
CASES = [(cls, exponent) for cls in (Weibull, Hill) for exponent in (0.3, 0.8, 1.7)]


def problem(curve):
    return Problem(population=POPULATION, accuracy=curve, valuation=LinearValuation(scale=100.0))


@pytest.mark.parametrize(("cls", "exponent"), CASES)
def test_they_are_designed_on_proved_and_stored(cls, exponent):
    curve = cls(optimum=0.93, scale=60.0, exponent=exponent)
    contract = design_contract(problem(curve))
    certificate = contract.certificate
    assert certificate.holds
    assert certificate.gap is not None
    assert certificate.gap < 0.1  # of a value of 93
    again = Contract.from_json(contract.to_json(certificate))
    assert verify(again).holds
    assert problem_from_data(problem_to_data(again.problem)).accuracy.exponent == exponent
    assert inspect(curve, high=1e6).concave is (exponent <= 1.0)


@pytest.mark.parametrize(("cls", "exponent"), CASES)
def test_they_follow_their_formula_and_start_at_nothing(cls, exponent):
    curve = cls(optimum=0.9, scale=50.0, exponent=exponent)
    share = (X / 50.0) ** exponent
    exact = 1.0 - np.exp(-share) if cls is Weibull else share / (1.0 + share)
    np.testing.assert_allclose(curve(X), 0.9 * exact, rtol=1e-12)
    assert curve(0.0) == 0.0
    assert curve(1e300) == pytest.approx(0.9)
    assert (np.diff(curve(np.geomspace(1e-14, 1e9, 400))) >= -1e-16).all()


def test_a_contract_on_one_is_a_theorem_in_interval_arithmetic():
    pytest.importorskip("flint")
    contract = design_contract(problem(Weibull(optimum=0.93, scale=60.0, exponent=0.8)))
    certificate = verify(contract, rigorous=True)
    assert certificate.holds
    assert certificate.independent_check.startswith("proved with balls")


def test_fits_agree_with_scipys_curve_fit():
    random = np.random.default_rng(2)
    error = np.full(X.size, 0.004)
    y = Hill(optimum=0.9, scale=100.0, exponent=0.8)(X) + random.normal(0.0, error)
    fit = fit_family(Measurements(data=X, accuracy=y, standard_error=error), family="hill")
    estimate, covariance = optimize.curve_fit(
        lambda x, a, s, n: a * x**n / (s**n + x**n), X, y, p0=fit.estimate * 1.02, sigma=error,
        absolute_sigma=True, xtol=1e-14, ftol=1e-14,
    )  # fmt: skip
    assert fit.estimate == pytest.approx(estimate, rel=1e-5)
    assert fit.covariance == pytest.approx(covariance, rel=1e-3)


MICHAELIS = CustomFamily(
    function=lambda data, top, half: top * data / (data + half),
    ranges={"top": (0.05, 1.0), "half": (1.0, 1e6)},
    optimum="top",
    name="michaelis-menten",
)


def test_a_formula_of_ones_own_is_fitted_compared_and_designed_on():
    random = np.random.default_rng(4)
    y = Hill(optimum=0.9, scale=100.0, exponent=1.0)(X) + random.normal(0.0, 0.003, X.size)
    measured = Measurements(data=X, accuracy=y, standard_error=np.full(X.size, 0.003))
    fit = fit_family(measured, family=MICHAELIS)
    assert fit.family == "michaelis-menten"
    assert fit.estimate == pytest.approx([0.9, 100.0], rel=0.05)
    low, high = profile_interval(fit, 1e5)
    assert low < 0.9 * 1e5 / 100_100 < high
    assert low < float(fit.curve(1e5)) < high
    ranked = compare_families(measured, families=("power-law", MICHAELIS))
    assert ranked[0].family == "michaelis-menten"
    contract = design_contract(problem(fit.curve))
    assert contract.certificate.holds
    with pytest.raises(InvalidInput, match="cannot be stored in a file"):
        contract.to_json()
    with pytest.raises(InvalidInput, match="a formula of one's own"):
        confidence_region(fit)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"function": 3}, "function = 3"),
        ({"ranges": {}}, "ranges = {}"),
        ({"ranges": {"top": (1.0, 0.5)}}, "expected the smaller bound first"),
        ({"ranges": {"top": (1.0,)}}, "ranges['top'] has length 1"),
        ({"optimum": "half"}, "optimum = 'half': expected one of 'top'"),
        ({"optimum": 1.5}, "optimum = 1.5"),
    ],
)
def test_bad_formulas_are_refused(arguments, message):
    usual = {"function": lambda data, top: top * data / (data + 1), "ranges": {"top": (0.1, 1.0)}}
    with pytest.raises(InvalidInput) as caught:
        CustomFamily(**{**usual, **arguments})
    assert message in str(caught.value)


def test_a_formula_that_is_never_finite_or_exceeds_its_optimum_is_refused():
    measured = Measurements(data=X, accuracy=np.linspace(0.5, 0.9, X.size))
    nowhere = CustomFamily(function=lambda data, a: a * data * np.nan, ranges={"a": (0.1, 1.0)})
    with pytest.raises(NotConverged, match="not finite"):
        fit_family(measured, family=nowhere)
    over = CustomFamily(function=lambda data, a: a * data, ranges={"a": (1e-4, 1e-3)}, name="line")
    with pytest.raises(InvalidInput, match=r"line with .*: accuracy at .* expected at most the optimum"):
        fit_family(measured, family=over)


def test_where_chi_square_rejects_the_errors_are_widened_and_it_says_so():
    zigzag = 0.02 * np.where(np.arange(X.size) % 2, 1.0, -1.0)
    y = np.clip(Hill(optimum=0.9, scale=100.0, exponent=1.0)(X) + zigzag, 0, 1)
    known = fit_family(Measurements(data=X, accuracy=y, standard_error=np.full(X.size, 0.002)), family="hill")
    unknown = fit_family(Measurements(data=X, accuracy=y), family="hill")
    # as if errors were unknown, for these are all alike
    np.testing.assert_allclose(known.standard_error, unknown.standard_error, rtol=1e-5)
    assert "rejected by chi²" in str(known)
    assert unknown.notes == ()


def test_the_best_within_the_range_says_that_another_extrapolates_better(request):
    # a real curve, half of it: a power law through all of it would miss the last size by a quarter
    lines = (request.path.parent / "data" / "curves" / "lcdb_extract.csv").read_text().splitlines()[1:]
    rows = [line.split(",") for line in lines if "Devnagari-Script,ens.RandomForest," in line]
    x, y, error = np.array([row[3:6] for row in rows], dtype=float).T
    half = Measurements(data=x[:12], accuracy=y[:12], standard_error=np.maximum(error[:12], 1e-3))
    best, *others = compare_families(half)
    rival = min(others, key=lambda fit: fit.held_out)
    assert f"fits best, but extrapolates worse than {rival.family}" in str(best)
    assert abs(float(rival.curve(x[-1])) - y[-1]) < 0.2 * abs(float(best.curve(x[-1])) - y[-1])
    clean = compare_families(Measurements(data=X, accuracy=0.9 - 0.8 * X**-0.5))
    assert clean[0].held_out < 1e-6
    assert clean[0].notes == ()


def test_too_few_measurements_are_not_held_out():
    ranked = compare_families(Measurements(data=[10, 20, 40, 80], accuracy=[0.5, 0.6, 0.65, 0.67]))
    assert all(np.isnan(fit.held_out) for fit in ranked)


@pytest.mark.parametrize("name", ["plateau", "plateau_rounded", "flat", "s_shape", "notconverged1036"])
@pytest.mark.parametrize("family", ["power-law", "weibull", "hill"])
def test_plateaus_and_odd_curves_are_answered(name, family, request):
    folder = request.path.parent / "data" / "curves"
    fit = fit_family(read_measurements(folder / f"{name}.csv"), family=family)
    assert np.isfinite(fit.estimate).all()
    assert 0.0 <= float(fit.curve(1e6)) <= 1.0
