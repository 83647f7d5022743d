"""Two hundred damaged and odd pilots: each gets an answer and what speaks against it, or one line of refusal."""

import itertools

import numpy as np
import pytest

from contracts import (
    Infeasible,
    InvalidInput,
    LinearValuation,
    MeasuredCurve,
    Measurements,
    Population,
    Problem,
    design_contract,
    fit_curve,
    read_measurements,
)

SIZES = {
    "usual": np.geomspace(16, 2048, 8),
    "two": np.array([10.0, 1000.0]),
    "many": np.geomspace(16, 1e5, 40),
    "tiny": np.geomspace(1e-9, 1e-7, 5),
    "huge": np.geomspace(1e15, 1e20, 5),
    "close": 1000.0 + 1e-3 * np.arange(6),
    "gap": np.array([1.0, 2.0, 3.0, 1e9]),
}
ERRORS = {"none": None, "tiny": 1e-9, "usual": 0.01, "as large as can be": 1.0}
KINDS = {
    "plateau": lambda u: np.full(u.size, 0.9837),
    "nothing": lambda u: np.zeros(u.size),
    "perfect": lambda u: np.ones(u.size),
    "decline": lambda u: 0.9 - 0.6 * u,
    "error rates": lambda u: 0.1 + 0.4 * np.exp(-3.0 * u),
    "late riser": lambda u: 0.1 + 0.8 * (u > 0.9),
    "up and down": lambda u: 0.5 + 0.4 * (-1.0) ** np.arange(u.size),
    "an outlier": lambda u: np.where(np.arange(u.size) == u.size // 2, 0.05, 0.6 + 0.3 * u),
}
PILOTS = list(itertools.product(KINDS, SIZES, ERRORS))


def pilot(kind, sizes, errors):
    x = SIZES[sizes]
    u = np.log(x / x[0]) / np.log(x[-1] / x[0])
    error = None if ERRORS[errors] is None else np.full(x.size, ERRORS[errors])
    return Measurements(data=x, accuracy=np.clip(KINDS[kind](u), 0.0, 1.0), standard_error=error)


def attempted(action):
    """What an action gives, or its refusal."""
    try:
        return action()
    except (Infeasible, InvalidInput) as refused:
        return refused


def test_there_are_two_hundred():
    assert len(PILOTS) + len(DAMAGED) >= 240


@pytest.mark.parametrize("kind", KINDS)
def test_an_odd_pilot_gets_an_answer(kind):
    for sizes, errors in itertools.product(SIZES, ERRORS):
        measured = pilot(kind, sizes, errors)
        first, last = measured.data[[0, -1]]
        posterior = fit_curve(measured)
        at = np.array([first, last, 100.0 * last])
        mean, (low, high) = posterior.mean(at), posterior.interval(at)
        assert ((low >= 0.0) & (low <= mean + 0.05) & (mean <= high + 0.05) & (high <= 1.0)).all(), (
            sizes,
            errors,
        )
        assert (np.diff(posterior.draws(5).accuracy, axis=1) >= 0.0).all()
        assert "measurements from" in str(posterior)
        curve = MeasuredCurve(measurements=measured)
        assert np.isfinite(curve.middle(at)).all()
        assert all("\n" not in line for line in (*curve.evidence.statements, *curve.evidence.objections))


@pytest.mark.parametrize("kind", ["plateau", "nothing", "perfect", "decline", "error rates", "up and down"])
@pytest.mark.parametrize("errors", ["none", "usual"])
def test_what_does_not_rise_is_objected_to(kind, errors):
    for sizes in set(SIZES) - {"two"}:
        objections = MeasuredCurve(measurements=pilot(kind, sizes, errors)).evidence.objections
        assert objections, sizes
        if kind in ("decline", "error rates") and errors == "none":
            assert any("fall with more data" in line for line in objections), sizes


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_contract_on_an_odd_pilot_is_marked_or_refused(kind):
    for sizes, errors in (("usual", "usual"), ("two", "none"), ("close", "tiny")):
        measured = pilot(kind, sizes, errors)
        top = float(measured.data[-1])
        stated = Problem(
            population=Population(costs=[0.4 / top, 0.1 / top], probabilities=[0.5, 0.5], participants=3),
            accuracy=MeasuredCurve(measurements=measured),
            valuation=LinearValuation(scale=1.0),
        )
        verdict = attempted(lambda: design_contract(stated, time_limit=0.5).certificate.verdict)  # noqa: B023
        if not isinstance(verdict, str):
            assert "\n" not in str(verdict)
        else:
            assert "DOES NOT HOLD" not in verdict
            assert kind == "late riser" or "BUT" in verdict, (kind, sizes, errors)


GOOD = "data,accuracy,standard_error\n10,0.5,0.01\n100,0.7,0.01\n1000,0.8,0.01\n"
DAMAGED = {
    "empty": "",
    "header only": "data,accuracy\n",
    "one row": "data,accuracy\n10,0.5\n",
    "no header": "10,0.5\n100,0.7\n",
    "binary": "\x00\x01\x02",
    "text for a number": GOOD.replace("0.7", "good"),
    "negative size": GOOD.replace("100,", "-100,"),
    "size zero": GOOD.replace("10,0.5", "0,0.5"),
    "infinite size": GOOD.replace("1000", "inf"),
    "size not a number": GOOD.replace("1000", "nan"),
    "accuracy not a number": GOOD.replace("0.8", "nan"),
    "infinite accuracy": GOOD.replace("0.8", "inf"),
    "accuracy above one": GOOD.replace("0.8", "1.8"),
    "negative accuracy": GOOD.replace("0.8", "-0.8"),
    "all sizes equal": GOOD.replace("1000", "100").replace("10,0.5", "100,0.5"),
    "standard error above one": GOOD.replace("0.8,0.01", "0.8,1.5"),
    "negative standard error": GOOD.replace("0.8,0.01", "0.8,-0.1"),
    "a row too short": GOOD.replace("100,0.7,0.01", "100"),
    "a row too long": GOOD.replace("100,0.7,0.01", "100,0.7,0.01,5,6"),
    "other columns": GOOD.replace("accuracy", "colour"),
    "the same column twice": GOOD.replace("standard_error", "accuracy"),
    "an unclosed quote": GOOD.replace("0.7", '"0.7'),
    "overflow": GOOD.replace("1000", "1e999"),
}
REFUSED = {
    "empty", "header only", "one row", "text for a number", "negative size", "size zero", "infinite size",
    "accuracy above one", "negative accuracy", "all sizes equal", "standard error above one",
    "negative standard error", "other columns", "overflow",
}  # fmt: skip


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_file_is_read_or_refused_in_one_line(name, tmp_path):
    path = tmp_path / "curve.csv"
    path.write_text(DAMAGED[name])
    refused = attempted(lambda: fit_curve(read_measurements(path)).interval(1e4))
    if isinstance(refused, InvalidInput):
        assert "\n" not in str(refused)
        assert "expected" in str(refused)
    else:
        assert name not in REFUSED


@pytest.mark.parametrize("cut", range(0, len(GOOD), 3))
def test_a_file_cut_short_anywhere_is_read_or_refused_in_one_line(cut, tmp_path):
    path = tmp_path / "curve.csv"
    path.write_text(GOOD[:cut])
    assert "\n" not in str(attempted(lambda: fit_curve(read_measurements(path))))
