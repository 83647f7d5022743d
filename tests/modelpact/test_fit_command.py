"""The command that says what measurements tell."""

import json
from pathlib import Path

import numpy as np
import pytest

from contracts import fit_curve, read_measurements
from modelpact.cli import main

CURVE = Path(__file__).parents[2] / "examples" / "tumour-clinics" / "curve.csv"
DATA = Path(__file__).parents[1] / "contracts" / "data" / "curves"


def test_fit_prints_what_is_known_and_draws_it(tmp_path, capsys):
    plot = tmp_path / "fit.png"
    assert main(["fit", str(CURVE), "--at", "1000,100000", "--plot", str(plot)]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    for text in ("1,000", "100,000", "0.95 interval", "272 times", "one more measurement at", str(plot)):
        assert text in out
    assert plot.read_bytes().startswith(b"\x89PNG")


def test_fit_prints_one_document(capsys):
    assert main(["fit", str(CURVE), "--at", "1000", "--level", "0.9", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["schema"] == "modelpact/fit/1"
    row = document["at"][0]
    low, high = fit_curve(read_measurements(CURVE)).interval(1000.0, 0.9)
    assert (row["low"], row["high"]) == (pytest.approx(float(low)), pytest.approx(float(high)))
    assert {one["family"] for one in document["families"]} >= {"power-law", "arctan"}
    assert document["objections"] == []


def test_losses_are_shown_as_losses(tmp_path, capsys):
    path = tmp_path / "loss.csv"
    path.write_text("tokens,loss,se\n1e6,4.0,0.01\n1e7,3.4,0.01\n1e8,3.0,0.01\n1e9,2.75,0.01\n")
    assert main(["fit", str(path), "--at", "1e9,1e10", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["at"]
    assert rows[0]["low"] < 2.75 < rows[0]["high"]
    assert rows[0]["low"] < rows[0]["median"] < rows[0]["high"]
    assert rows[1]["median"] < rows[0]["median"]
    assert np.ptp([rows[1]["low"], rows[1]["high"]]) > np.ptp([rows[0]["low"], rows[0]["high"]])


def test_a_perplexity_without_limit_fits_into_the_table(tmp_path, capsys):
    path = tmp_path / "perplexity.csv"
    path.write_text("tokens,perplexity\n1e6,180\n1e7,60\n1e8,30\n")
    assert main(["fit", str(path), "--at", "10,1e8", "--families"]) == 0
    out = capsys.readouterr().out
    assert "median perplexity" in out
    assert " any " in out
    assert max(map(len, out.splitlines())) < 200
    assert "(of exp(-loss), or 1 / perplexity)" in out


def test_a_curve_that_does_not_rise_exits_with_3(capsys):
    assert main(["fit", str(DATA / "plateau.csv")]) == 3
    assert "do not rise" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--at", "ten"], "at = 'ten': expected numbers separated by commas"),
        (["--at", "-5"], "at = '-5': expected finite numbers > 0"),
        (["--level", "1"], "level = 1"),
        (["--baseline", "0.99"], "less than the best measurement"),
        (["--plot", "fit.txt"], "expected a name that ends in .png"),
    ],
)
def test_bad_options_are_refused_in_one_line(options, message, capsys):
    assert main(["fit", str(CURVE), *options]) == 2
    err = capsys.readouterr().err
    assert message in err
    assert err.count("\n") == 1
