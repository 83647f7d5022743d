"""Labelled samples of the user's own: what is read, what is refused, and that nothing depends on the form."""

import numpy as np
import pytest
from sklearn.datasets import load_wine

from contracts import InvalidInput, LinearValuation, Population
from mechanisms.coalitions import Coalition
from mechanisms.datasets import load
from mechanisms.sample_file import read_samples
from modelpact.conflict import read_conflict_file
from modelpact.scheme.scheme_file import read_scheme
from modelpact.scheme.settings import Scheme
from modelpact.scheme.tables import Data

INPUTS, LABELS = load_wine(return_X_y=True)
WORDS = np.array(["a", "b, or so", "c"])


@pytest.fixture
def folder(tmp_path):
    np.savez(tmp_path / "wine.npz", inputs=INPUTS, labels=LABELS)
    header = ["x0", "label", *(f"x{i}" for i in range(1, 13))]
    rows = [
        ",".join([repr(float(row[0])), f'"{WORDS[label]}"', *(repr(float(x)) for x in row[1:])])
        for row, label in zip(INPUTS, LABELS, strict=True)
    ]
    (tmp_path / "wine.csv").write_text("\n".join([",".join(header), *rows]) + "\n")
    return tmp_path


@pytest.mark.parametrize("name", ["wine.npz", "wine.csv"])
def test_a_file_is_as_good_as_data_that_ship(folder, name):
    ours, theirs = load(str(folder / name), test=40, seed=3), load("wine", test=40, seed=3)
    assert ours.name == "wine"
    for part in ("train", "validation", "test"):
        np.testing.assert_array_equal(getattr(ours, part).inputs, getattr(theirs, part).inputs)
        np.testing.assert_array_equal(getattr(ours, part).labels, getattr(theirs, part).labels)


def test_coalitions_take_files(folder):
    coalition = Coalition(
        dataset=str(folder / "wine.csv"), participants=5, malicious=1, samples=10, group_samples=5
    )
    assert coalition.groups == 3
    assert coalition.title == "wine"


def test_files_are_found_beside_what_names_them(folder, monkeypatch):
    (folder / "conflict.toml").write_text(
        '[coalition]\ndataset = "wine.npz"\n[[sweep]]\nknob = "rarity"\nvalues = [1]\nrules = ["mean"]\n'
    )
    (folder / "scheme.toml").write_text(
        '[data]\nname = "wine.npz"\n[valuation]\nfamily = "linear"\nscale = 100.0\n'
        "[population]\ncosts = [1.0, 0.5]\nprobabilities = [0.5, 0.5]\nparticipants = 3\n"
    )
    monkeypatch.chdir("/")
    sweep = read_conflict_file(folder / "conflict.toml").sweeps[0]
    assert "wine.npz" in repr(sweep)
    assert read_scheme(folder / "scheme.toml").data.content


def scheme(folder):
    population = Population(costs=[1.0, 0.5], probabilities=[0.5, 0.5], participants=3)
    data = Data(name=str(folder / "wine.npz"))
    return Scheme(data=data, population=population, valuation=LinearValuation(scale=100.0))


def test_a_run_starts_anew_where_the_file_changes_and_not_where_it_moves(folder, tmp_path):
    before = scheme(folder).table("data")
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    (moved / "wine.npz").write_bytes((folder / "wine.npz").read_bytes())
    assert scheme(moved).table("data") == before
    assert str(folder) not in repr(before)
    np.savez(folder / "wine.npz", inputs=INPUTS + 1.0, labels=LABELS)
    assert scheme(folder).table("data") != before


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (" \n", "is empty"),
        ("x,y\n1,2\n", "expected one named 'label'"),
        ("label\n1\n", "at least one of numbers"),
        ("label,label,x\n1,1,2\n", "expected one named 'label'"),
        ("x,label\n" + "1,a\n" * 9, "1 classes"),
        ("x,label\n" + "1,a\n2,b\n" * 2, "2 samples with label 'a': expected at least 3"),
        ("x,label\n1,a\nmany,b\n", "row 2, x = 'many': expected a number"),
        ("x,label\n1,a\nnan,b\n", "sample 1, feature 0 = nan"),
        ("x,label\n1,a\n1\n", "not a table"),
        (b"\xff\xfe\x00", "not a table"),
    ],
)
def test_bad_tables_are_named(tmp_path, content, message):
    path = tmp_path / "bad.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InvalidInput, match=message):
        read_samples(str(path))


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"inputs": np.zeros((4, 2))}, "labels"),
        ({"inputs": np.zeros(4), "labels": np.zeros(4)}, r"inputs float64 \(4,\)"),
        ({"inputs": np.zeros((4, 2)), "labels": np.zeros(3)}, r"labels \(3,\)"),
        ({"inputs": np.array([["a"], ["b"]]), "labels": np.zeros(2)}, "inputs <U1"),
        ({"inputs": np.array([[object()]]), "labels": np.zeros(1)}, "not a file of samples"),
    ],
)
def test_bad_arrays_are_named(tmp_path, arrays, message):
    np.savez(tmp_path / "bad.npz", **arrays)
    with pytest.raises(InvalidInput, match=message):
        read_samples(str(tmp_path / "bad.npz"))


def test_what_is_no_file_of_samples_is_refused(tmp_path):
    (tmp_path / "foreign.npz").write_text("not an archive")
    with pytest.raises(InvalidInput, match="not a file of samples"):
        read_samples(str(tmp_path / "foreign.npz"))
    for call in (load, read_samples, lambda name: Data(name=name)):
        with pytest.raises(InvalidInput, match="No such file"):
            call(str(tmp_path / "missing.csv"))
    for call in (load, lambda name: Data(name=name), lambda name: Coalition(dataset=name)):
        with pytest.raises(InvalidInput, match=r"'mnist': expected one of 'digits'.*or the path of a \.csv"):
            call("mnist")
