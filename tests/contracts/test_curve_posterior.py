"""The posterior over curves: calibrated where its prior is true, on real curves, and on odd pilots."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate as quadrature

from contracts import InvalidInput, Measurements, fit_curve, next_measurement, read_measurements
from contracts.measured import curve_prior
from contracts.measured.posterior_grid import _log_mass, integrate
from contracts.measured.posterior_sample import Predictor, truncated_mean

DATA = Path(__file__).parent / "data"
X = np.array([50.0, 100.0, 200.0, 400.0, 800.0])


def real_curves():
    table = np.genfromtxt(
        DATA / "curves" / "lcdb_extract.csv", delimiter=",", names=True, dtype=None, encoding="utf-8"
    )
    keys = sorted({(int(row["dataset_id"]), str(row["learner"])) for row in table})
    for dataset, learner in keys:
        rows = table[(table["dataset_id"] == dataset) & (table["learner"] == learner)]
        yield rows["data"].astype(float), rows["accuracy"], rows["standard_error"], dataset


def pilot(data, accuracy, error, number):
    return Measurements(data=data[:number], accuracy=accuracy[:number], standard_error=error[:number])


def drawn_from_the_prior(random, x):
    """A curve of the prior at sizes x, the measured ones first."""
    table = curve_prior.constants()
    while True:
        asymptote = 1.0 - random.uniform() ** (1.0 / table["asymptote"]["b"])
        drop = abs(random.normal()) * table["drop"]["spread"]
        beta = np.exp(random.normal(table["shape"]["centre"], table["shape"]["spread"]))
        if drop <= asymptote and table["shape"]["slowest"] <= beta <= table["shape"]["fastest"]:
            break
    if random.uniform() < table["shape"]["power_law"]:
        shape = (x / x[0]) ** -beta
    else:
        ends = np.log([table["shape"]["earliest"] * X[0], table["shape"]["latest"] * X[-1]])
        place = np.exp(random.uniform(*ends))
        shape = np.exp((x[0] / place) ** beta - (x / place) ** beta)
    smooth = asymptote - drop * shape
    size, weight = curve_prior.discrepancies(smooth[: X.size])
    kappa = random.choice(size, p=np.exp(weight))
    factor = np.linalg.cholesky(curve_prior.correlation(x, x, X[-1]) + 1e-9 * np.eye(x.size))
    return smooth + kappa * factor @ random.standard_normal(x.size)


@pytest.mark.slow
def test_truths_drawn_from_the_prior_are_covered_as_often_as_stated():
    random, covered = np.random.default_rng(11), []
    later = np.array([2000.0, 1e4, 1e5])
    for _ in range(400):
        truth = drawn_from_the_prior(random, np.r_[X, later])
        measured = np.clip(truth[: X.size] + 0.01 * random.standard_normal(X.size), 0.0, 1.0)
        pilot = Measurements(data=X, accuracy=measured, standard_error=[0.01] * X.size)
        grid = integrate(X, measured, [np.full(X.size, 0.01)], baseline=0.0, discrepant=True)
        sample = Predictor(grid, pilot, 0.0).sample(later, surprises=False)
        low, high = np.quantile(sample, [0.025, 0.975], axis=0)
        covered.append((low <= np.clip(truth[X.size :], 0, 1)) & (np.clip(truth[X.size :], 0, 1) <= high))
    # 1200 dependent checks: 2.5 standard errors of 400 independent ones around the nominal level
    assert abs(np.mean(covered) - 0.95) < 0.027


@pytest.mark.slow
def test_real_curves_are_covered_beyond_the_pilot():
    covered, errors, last = [], [], []
    for data, accuracy, error, _ in real_curves():
        if data.size < 12:
            continue
        third = data.size // 3
        posterior = fit_curve(pilot(data, accuracy, error, third))
        low, high = posterior.interval(data[-1])
        noise = 1.96 * max(error[-1], 1e-3)
        covered.append(low - noise <= accuracy[-1] <= high + noise)
        errors.append(abs(posterior.mean(data[-1]) - accuracy[-1]))
        last.append(abs(accuracy[third - 1] - accuracy[-1]))
    assert len(covered) == 40
    assert np.mean(covered) >= 0.875  # of .95, three standard errors less
    assert np.mean(errors) < np.mean(last)


def test_the_integral_over_the_asymptote_and_the_drop_agrees_with_adaptive_quadrature():
    """Power laws of one exponent: the grid's evidence beside scipy's two-dimensional quadrature."""
    y, error = np.array([0.60, 0.66, 0.71, 0.75, 0.78]), np.full(5, 0.02)
    grid = integrate(X, y, [error], baseline=0.0, discrepant=False)
    k = 5
    beta = curve_prior.exponents()[0][k]
    shape, spread = (X / X[0]) ** -beta, curve_prior.constants()["drop"]["spread"]

    def density(drop, share):  # substituting for the singular prior of the asymptote
        asymptote = 1.0 - share ** (1.0 / 0.6)
        if drop > asymptote:
            return 0.0
        residual = (y - asymptote + drop * shape) / error
        prior = 2.0 * np.exp(-0.5 * (drop / spread) ** 2) / (spread * np.sqrt(2.0 * np.pi))
        return np.exp(-0.5 * residual @ residual) * prior

    whole = quadrature.dblquad(density, 0, 1, 0, 1, epsabs=1e-12, epsrel=1e-6)[0]
    mean = quadrature.dblquad(
        lambda d, s: density(d, s) * (1.0 - s ** (1.0 / 0.6)), 0, 1, 0, 1, epsabs=1e-12, epsrel=1e-6
    )[0]
    chosen = grid.shape == k
    mine = grid.weight[chosen]
    assert np.isclose(mine @ grid.asymptote[chosen] / mine.sum(), mean / whole, atol=2e-3)
    constant = np.prod(error * np.sqrt(2.0 * np.pi)) * np.exp(-curve_prior.shape_weights()[k])
    assert np.isclose(np.exp(grid.evidence) * mine.sum() * constant, whole, rtol=0.02)


@given(st.floats(-40, 40), st.floats(1e-3, 20))
def test_the_mass_between_two_points_is_precise_in_both_tails(low, width):
    found = _log_mass(np.array([low]), np.array([low + width]))[0]
    mirrored = _log_mass(np.array([-low - width]), np.array([-low]))[0]
    assert np.isclose(found, mirrored, rtol=1e-9, atol=1e-12)
    if abs(low) < 5:
        from scipy import stats

        assert np.isclose(np.exp(found), stats.norm.cdf(low + width) - stats.norm.cdf(low), atol=1e-12)


def test_drops_lie_within_what_they_may_and_have_the_mean_of_what_is_drawn():
    grid = integrate(X, np.array([0.9, 0.9, 0.9, 0.9, 0.9]), [np.full(5, 0.01)], baseline=0.3, discrepant=True)
    mean = truncated_mean(grid)
    assert (mean >= 0).all()
    assert (mean <= grid.most).all()
    predictor = Predictor(grid, Measurements(data=X, accuracy=[0.9] * 5), 0.3)
    _, drawn = predictor.drawn(20_000, 1)
    assert np.isclose(drawn.mean(), grid.weight @ mean, rtol=0.02)
    assert (grid.asymptote >= 0.3).all()


def test_draws_are_whole_increasing_curves_that_average_to_the_mean():
    posterior = fit_curve(
        Measurements(data=X, accuracy=[0.6, 0.66, 0.71, 0.75, 0.78], standard_error=[0.01] * 5)
    )
    draws = posterior.draws(2000, 3)
    assert (np.diff(draws.accuracy, axis=1) >= 0).all()
    assert draws.accuracy.min() >= 0.0
    assert draws.accuracy.max() <= 1.0
    sizes = np.array([100.0, 800.0, 8000.0])
    spread = draws(sizes).std(axis=0)
    assert (abs(draws(sizes).mean(axis=0) - posterior.mean(sizes)) < 0.15 * spread + 2e-3).all()
    low, high = posterior.quantile(sizes, [0.1, 0.9])
    assert (abs(((draws(sizes) >= low) & (draws(sizes) <= high)).mean(axis=0) - 0.8) < 0.05).all()
    assert np.array_equal(draws.accuracy, posterior.draws(2000, 3).accuracy)
    assert not np.array_equal(draws.accuracy, posterior.draws(2000, 4).accuracy)
    assert np.array_equal(draws([0.0])[:, 0], np.zeros(2000))


def test_intervals_widen_with_distance_and_level_and_shrink_with_precision():
    accuracy = [0.6, 0.66, 0.71, 0.75, 0.78]
    posterior = fit_curve(Measurements(data=X, accuracy=accuracy, standard_error=[0.01] * 5))
    widths = np.diff(np.stack(posterior.interval([800.0, 8000.0, 80_000.0])), axis=0)[0]
    assert (np.diff(widths) > 0).all()
    levels = [float(np.diff(posterior.interval(8000.0, level))[0]) for level in (0.5, 0.8, 0.9, 0.95, 0.99)]
    assert (np.diff(levels) > 0).all()
    sharper = fit_curve(Measurements(data=X, accuracy=accuracy, standard_error=[0.001] * 5))
    assert np.diff(sharper.interval(1600.0)) < np.diff(posterior.interval(1600.0))
    assert posterior.extrapolation([10.0, 400.0, 8000.0]).tolist() == [5.0, 1.0, 10.0]


def test_intervals_are_the_posterior_s_own_quantiles():
    posterior = fit_curve(
        Measurements(data=X, accuracy=[0.6, 0.66, 0.71, 0.75, 0.78], standard_error=[0.01] * 5)
    )
    low, high = posterior.interval([800.0, 8000.0], 0.9)
    assert np.allclose([low, high], posterior.quantile([800.0, 8000.0], [0.05, 0.95]))


def test_what_rose_faster_in_the_end_is_expected_to_gain_more():
    ranks, beyond = np.array([0.25, 0.5, 0.75]), np.array([8000.0, 80_000.0])
    slow, middle, fast = (
        curve_prior.surprises(beyond, X, 0.7 - step * np.log(X[-1] / X), ranks) for step in (0.0, 0.0162, 0.0831)
    )
    assert (slow < middle).all()
    assert (middle < fast).all()
    # At the centre of a class its own table: factor 10, median
    gains = curve_prior.constants()["surprise"]["gains"]
    assert middle[1, 0] == pytest.approx(gains[1][3][7], rel=2e-3)
    assert curve_prior.rise(X, 0.7 - 0.0162 * np.log(X[-1] / X)) == pytest.approx(0.054)
    assert curve_prior.rise(np.array([1.0, 1e6]), np.array([0.5, 0.6])) == pytest.approx(0.1 / np.log(1e6) / 0.4)
    assert np.array_equal(curve_prior.surprises(X[-1:], X, np.full(5, 0.7), ranks)[:, 0], np.zeros(3))


def test_a_baseline_bounds_every_curve_from_below():
    measured = Measurements(data=X, accuracy=[0.52, 0.55, 0.6, 0.63, 0.66], standard_error=[0.01] * 5)
    posterior = fit_curve(measured, baseline=0.5)
    assert posterior.draws(200).accuracy.min() >= 0.5
    assert posterior.interval(1.0)[0] >= 0.5
    assert posterior.mean(1.0) < fit_curve(measured).mean(50.0)


ODD = {
    "two points": ([10, 1000], [0.5, 0.7], None),
    "plateau": ([16, 32, 64, 128], [0.9837] * 4, [0.001] * 4),
    "decline": ([16, 32, 64, 128], [0.9, 0.8, 0.7, 0.6], [0.001] * 4),
    "perfect": ([16, 32, 64], [1.0] * 3, None),
    "nothing": ([16, 32, 64], [0.0] * 3, None),
    "zero errors": ([16, 32, 64], [0.5, 0.6, 0.7], [0.0] * 3),
    "missing errors": ([16, 32, 64], [0.5, 0.6, 0.7], [0.01, np.nan, 0.0]),
    "tiny sizes": ([1e-9, 2e-9, 4e-9], [0.5, 0.6, 0.7], None),
    "huge sizes": ([1e15, 1e16, 1e20], [0.5, 0.6, 0.7], None),
    "close sizes": ([1000, 1000.001, 1000.002], [0.5, 0.6, 0.7], [0.01] * 3),
    "up and down": ([10, 20, 40, 80, 160], [0.1, 0.9, 0.1, 0.9, 0.1], [1e-6] * 5),
    "large errors": ([10, 20, 40], [0.5, 0.6, 0.7], [1.0] * 3),
}


@pytest.mark.parametrize("name", ODD)
def test_odd_pilots_get_an_answer(name):
    data, accuracy, error = ODD[name]
    measured = Measurements(data=data, accuracy=accuracy, standard_error=error)
    posterior = fit_curve(measured)
    at = np.array([data[0], data[-1], 100.0 * data[-1]])
    low, high = posterior.interval(at)
    mean = posterior.mean(at)
    assert np.isfinite([low, high, mean]).all()
    assert ((low >= 0) & (low <= high) & (high <= 1)).all()
    assert (np.diff(posterior.draws(20).accuracy, axis=1) >= 0).all()
    str(posterior)


@settings(max_examples=15)
@given(
    st.lists(st.floats(1e-3, 1e6), min_size=2, max_size=8, unique=True),
    st.lists(st.floats(0, 1), min_size=8, max_size=8),
    st.none() | st.lists(st.floats(0, 1), min_size=8, max_size=8),
)
def test_any_measurements_get_an_answer(data, accuracy, error):
    x = np.sort(data)
    if (np.diff(x) <= 0).any():
        return
    given_errors = None if error is None else error[: x.size]
    posterior = fit_curve(Measurements(data=x, accuracy=accuracy[: x.size], standard_error=given_errors))
    low, high = posterior.interval([x[0], 10.0 * x[-1]])
    assert (low <= high).all()


@pytest.mark.parametrize("path", sorted((DATA / "csv").glob("*.csv")), ids=lambda path: path.stem)
def test_files_that_can_only_mean_one_thing_are_read(path):
    if path.stem == "errors_named_accuracy":
        with pytest.raises(InvalidInput, match="if these are error rates, name the column 'error'"):
            read_measurements(path)
        return
    measured = read_measurements(path)
    expected = {
        "decimal_comma_excel": (8, 0.9114, None, 1),
        "missing_se": (4, 0.92, 0.01, 1),
        "replicates_long": (3, 0.895, 0.0087, 1),
        "semicolon_decimal_comma": (3, 0.90, 0.01, 0),
        "sklearn_header": (3, 0.90, 0.01, 1),
        "stderr_name": (3, 0.90, 0.01, 0),
        "zero_se": (4, 0.9, 0.01, 1),
    }[path.stem]
    error = None if measured.standard_error is None else pytest.approx(measured.standard_error[-1], abs=5e-5)
    assert (measured.size, pytest.approx(measured.accuracy[-1]), error, len(measured.notes)) == expected


@pytest.mark.parametrize(
    ("column", "values", "accuracy"),
    [
        ("error", "0.3,0.2,0.1", [0.7, 0.8, 0.9]),
        ("loss", "2,1,0.5", np.exp([-2, -1, -0.5])),
        ("perplexity", "8,4,2", [0.125, 0.25, 0.5]),
        ("auc", "0.6,0.7,0.8", [0.6, 0.7, 0.8]),
        ("r2", "0.1,0.2,0.3", [0.1, 0.2, 0.3]),
    ],
)
def test_other_scores_become_numbers_that_rise(tmp_path, column, values, accuracy):
    rows = zip((10, 100, 1000), values.split(","), strict=True)
    path = tmp_path / "curve.csv"
    path.write_text(f"tokens,{column},sem\n" + "".join(f"{x},{y},0.01\n" for x, y in rows))
    measured = read_measurements(path)
    assert np.allclose(measured.accuracy, accuracy)
    slope = {"loss": accuracy, "perplexity": np.square(accuracy)}.get(column, np.ones(3))
    assert np.allclose(measured.standard_error, 0.01 * np.asarray(slope))


BAD = {
    "baseline = 0.8: expected less than the best measurement, 0.78": {"baseline": 0.8},
    "baseline = 1.0: expected a number in [0, 1)": {"baseline": 1.0},
    "measurements = [1, 2]: expected Measurements": {"measurements": [1, 2]},
}


@pytest.mark.parametrize("message", BAD)
def test_bad_arguments_are_refused(message):
    good = {"measurements": Measurements(data=X, accuracy=[0.6, 0.66, 0.71, 0.75, 0.78])}
    with pytest.raises(InvalidInput) as caught:
        fit_curve(**(good | BAD[message]))
    assert message in str(caught.value)


@pytest.mark.parametrize("level", [0.0, 1.0, -1, "x"])
def test_bad_levels_are_refused(level):
    posterior = fit_curve(Measurements(data=X, accuracy=[0.6, 0.66, 0.71, 0.75, 0.78]))
    with pytest.raises(InvalidInput, match="level ="):
        posterior.interval(100.0, level)


def test_one_more_measurement_is_worth_about_what_it_turns_out_to_be_worth():
    """The expected width, beside the mean width after results drawn from the posterior were really added."""
    error = [0.005] * X.size
    measured = Measurements(data=X, accuracy=[0.6, 0.66, 0.71, 0.75, 0.78], standard_error=error)
    posterior = fit_curve(measured)
    found = next_measurement(posterior, 10_000.0, data=[6400.0])
    results = np.quantile(posterior.draws(2000, 9, [6400.0]).accuracy[:, 0], (np.arange(12) + 0.5) / 12)
    widths = []
    for result in results:
        more = Measurements(
            data=np.r_[X, 6400.0], accuracy=np.r_[measured.accuracy, result], standard_error=[*error, 0.005]
        )
        widths.append(float(np.diff(fit_curve(more).interval(10_000.0))[0]))
    assert found.width == pytest.approx(float(np.diff(posterior.interval(10_000.0))[0]), rel=0.15)
    assert 0.5 < np.mean(widths) / found.expected_width[0] < 1.5
    assert found.expected_width[0] < 0.8 * found.width
