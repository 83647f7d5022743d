"""Files of measurements as people have them: read right, or refused with the cure; none silently wrong."""

import io
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts import BackendMissing, InvalidInput, read_measurements
from contracts.measured.number_text import parse_columns

SIZES, ACCURACIES, ERRORS = [50, 100, 200, 1600], [0.81, 0.86, 0.9, 0.925], [0.01, 0.008, 0.006, 0.004]
ROWS = list(zip(SIZES, ACCURACIES, ERRORS, strict=True))


def table(names, rows, mark=",", end="\n"):
    return end.join(mark.join(map(str, row)) for row in (names, *rows)) + end


def comma(number):
    return str(number).replace(".", ",")


def german(number):
    return f"{number:,}".replace(",", ".")


def swiss(number):
    return f"{number:,}".replace(",", "'")


SPLITS = ("train_size", "split0_test_score", "split1_test_score")
KERAS = ("n_train", "loss", "accuracy", "val_loss", "val_accuracy")
PLAIN = table(("data", "accuracy", "standard_error"), ROWS)
TWO = [row[:2] for row in ROWS]
POINTS = [(x, f"{100 * a:g}", f"{100 * e:g}") for x, a, e in ROWS]

# What is read: bytes or text, whether it has standard errors, and what its notes say.
READ = {
    "plain": (PLAIN, True, ""),
    "windows line ends": (PLAIN.replace("\n", "\r\n"), True, ""),
    "byte order mark": (PLAIN.encode("utf-8-sig"), True, ""),
    "utf-16": (PLAIN.encode("utf-16"), True, ""),
    "utf-16 big endian": (b"\xfe\xff" + PLAIN.encode("utf-16-be"), True, ""),
    "utf-16 without a mark": (PLAIN.encode("utf-16-le"), True, ""),
    "latin-1": ((PLAIN + "\n").replace("data", "Datensätze").encode("latin-1"), True, "Latin-1"),
    "semicolons and decimal commas": (
        table(("data", "accuracy", "se"), [(x, comma(a), comma(e)) for x, a, e in ROWS], ";"), True, "",
    ),
    "semicolons and decimal points": (table(("data", "accuracy", "se"), ROWS, ";"), True, ""),
    "semicolons, decimal commas, thousands": (
        table(("data", "accuracy"), [(german(x), comma(a)) for x, a in TWO], ";"), False, "",
    ),
    "quoted decimal commas": (table(("data", "accuracy"), [(x, f'"{comma(a)}"') for x, a in TWO]), False, ""),
    "quoted thousands": (table(("data", "accuracy"), [(f'"{x:,}.0"', a) for x, a in TWO]), False, ""),
    "swiss thousands": (table(("data", "accuracy"), [(swiss(x), a) for x, a in TWO]), False, ""),
    "thin blanks between thousands": (
        table(("data", "accuracy"), [(f"{x:,}".replace(",", "\u202f"), a) for x, a in TWO], ";"), False, "",
    ),
    "tabs": (table(("data", "accuracy", "sem"), ROWS, "\t"), True, ""),
    "tabs and decimal commas": (
        table(("data", "accuracy"), [(x, comma(a)) for x, a in TWO], "\t"), False, "",
    ),
    "bars": (table(("data", "accuracy", "sem"), ROWS, "|"), True, ""),
    "blanks": (table(("data", "accuracy", "sem"), ROWS, "   "), True, ""),
    "numpy's comment": ("# data accuracy sem\n" + table(("50", "0.81", "0.01"), ROWS[1:], " "), True, ""),
    "comments above": ("# measured in May\n" + PLAIN, True, ""),
    "excel's sep": ("sep=;\n" + table(("data", "accuracy", "se"), ROWS, ";"), True, ""),
    "a title above": ("Pilot of May\n\n" + PLAIN, True, "left aside"),
    "percent in the name": (table(("data", "accuracy (%)", "standard error (%)"), POINTS), True, "percent"),
    "percent in one name": (table(("data", "Accuracy [%]", "standard error"), POINTS), True, "percent"),
    "percent signs": (
        table(("data", "accuracy", "se"), [(x, f"{a}%", f"{e} %") for x, a, e in POINTS]), True, "percent",
    ),
    "scikit-learn": (
        table(("train_sizes", "train_scores_mean", "test_scores_mean", "test_scores_std"),
              [(x, 0.99, a, e) for x, a, e in ROWS]), True, "standard deviations",
    ),
    "scikit-learn, split by split": (
        table(SPLITS, [(x, a - 0.01, a + 0.01) for x, a in TWO]),
        True, "spread",
    ),
    "pandas' index": (table(("", "n_samples", "accuracy"), [(k, *row) for k, row in enumerate(TWO)]), False, ""),
    "keras": (
        table(KERAS, [(x, 0.2, 0.99, 0.5, a) for x, a in TWO]),
        False, "left aside: 'loss', 'accuracy', 'val_loss'",
    ),
    "people": (table(("Number of samples", "Mean accuracy", "SEM"), ROWS), True, ""),
    "people again": (table(("# Training Examples", "Test Acc.", "Std. Err."), ROWS), True, ""),
    "deviation and how many": (
        table(("n", "accuracy", "sd", "runs"), [(x, a, 2.0 * e, 4) for x, a, e in ROWS]), True, "over the root",
    ),
    "unsorted": (table(("data", "accuracy", "standard_error"), ROWS[::-1]), True, "in order of size"),
    "replicates": (
        table(("data", "accuracy"), [(x, a + d) for x, a in TWO for d in (-0.01, 0.01)]), True, "spread",
    ),
    "k for thousands": (table(("data", "accuracy"), [(f"{x / 1000:g}k", a) for x, a in TWO]), False, ""),
    "exponents": (table(("data", "accuracy"), [(f"{x:.3e}", a) for x, a in TWO]), False, ""),
    "error rates": (
        table(("data", "error rate"), [(x, round(1 - a, 4)) for x, a in TWO]), False, "error is read",
    ),
    "other columns": (
        table(("model", "data", "accuracy", "seconds"), [("net", x, a, 12.5) for x, a in TWO]), False,
        "left aside: 'model', 'seconds'",
    ),
    "two names of one's own": (table(("patients seen", "hits"), TWO), False, "are read as data and accuracy"),
    "trailing marks": (PLAIN.replace("\n", ",,\n"), True, ""),
}  # fmt: skip


@pytest.mark.parametrize("name", READ)
def test_what_can_only_mean_one_thing_is_read(name, tmp_path):
    content, errors, note = READ[name]
    path = tmp_path / "curve.csv"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    measured = read_measurements(path)
    assert measured.data.tolist() == SIZES
    assert measured.accuracy == pytest.approx(ACCURACIES)
    if not errors:
        assert measured.standard_error is None
    elif "spread" in note:  # two replicates .01 from their mean, pooled: .0141 / sqrt(2)
        assert measured.standard_error == pytest.approx([0.01] * 4, rel=1e-6)
    else:
        assert measured.standard_error == pytest.approx(ERRORS)
    assert note in "; ".join(measured.notes)
    assert note or not measured.notes or name in ("pandas' index",)


REFUSED = {
    "decimal commas between commas": (table(("data", "accuracy"), [(x, comma(a)) for x, a in TWO]), "quotes"),
    "thousands between commas": (
        table(("data", "accuracy"), [(f"{x:,}", a) for x, a in TWO]), "3 cells: expected 2",
    ),
    "three columns of them": (
        table(("data", "accuracy", "se"), [("10,000", 0.5), ("20,000", 0.6)]), "leading zeros",
    ),
    "thousands or decimals": (
        table(("data", "accuracy"), [(german(x), a) for x, a in TWO], ";"), "'1.600' may mean 1600 or 1.6",
    ),
    "both marks": ("data;accuracy\n50;0,81\n100;0.86\n", "decimal points and decimal commas"),
    "no names": (table(("50", "0.81"), TWO[1:]), "numbers where names of columns are expected"),
    "percent without a word": (table(("data", "accuracy"), [(x, 100 * a) for x, a in TWO]), "accuracy (%)"),
    "fractions called percent": (table(("data", "accuracy (%)"), TWO), "leave the percent out"),
    "percent signs in some rows": ("data,accuracy\n50,81%\n100,0.86\n", "no percent sign"),
    "percent signs in one column": ("data,accuracy,se\n50,81%,0.01\n100,86%,0.01\n", "expected both alike"),
    "plus and minus": ("data,accuracy\n50,0.81 ± 0.01\n100,0.86 ± 0.01\n", "column 'standard_error' of its own"),
    "epochs": (table(("epoch", "accuracy"), TWO), "counts passes over the same data"),
    "squared errors": (table(("data", "mse"), TWO), "expected r2 = 1 - mse / variance"),
    "errors called accuracies": (
        table(("data", "accuracy"), [(x, round(0.5 * (1 - a), 4)) for x, a in TWO]), "name the column 'error'",
    ),
    "accuracies called errors": (
        table(("data", "error"), [(10, 0.85), (20, 0.9), (40, 0.93), (80, 0.95)]), "name the column 'accuracy'",
    ),
    "errors in percent": (table(("data", "accuracy", "se"), [(x, a, 100 * e) for x, a, e in ROWS]), "percent"),
    "errors half in percent": (table(("data", "accuracy", "se"), [(x, a, 0.6) for x, a in TWO]), "percent?"),
    "a word": ("data,accuracy\n50,0.81\nmany,0.86\n", "row 3, column 'data': 'many'"),
    "old excel": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600, "save it as .xlsx or as CSV"),
    "a zip": (b"PK\x03\x04" + b"\0" * 60, "a damaged file"),
    "a picture": (b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", "not text"),
    "twice": ("data,accuracy,accuracy\n1,.5,.6\n2,.6,.7\n", "occurs twice"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_the_rest_is_refused_with_the_cure(name, tmp_path):
    content, cure = REFUSED[name]
    path = tmp_path / "curve.csv"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(InvalidInput) as caught:
        read_measurements(path)
    assert cure in str(caught.value)
    assert "\n" not in str(caught.value)


def workbook(*sheets, formats=()):
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    book.remove(book.active)
    for title, rows in sheets:
        sheet = book.create_sheet(title)
        for row in rows:
            sheet.append(row)
        for column, shown in formats:
            for cell in sheet[column][1:]:
                cell.number_format = shown
    stream = io.BytesIO()
    book.save(stream)
    return stream.getvalue()


NAMES = ("data", "accuracy", "standard_error")


@pytest.mark.parametrize(
    ("sheets", "formats", "note"),
    [
        ([("Pilot", [NAMES, *ROWS])], (), ""),
        ([("Pilot", [NAMES, *ROWS])], [("B", "0.0%"), ("C", "0.0%")], "read as percent"),
        ([("Empty", []), ("Pilot", [("Pilot of May",), (), NAMES, *ROWS])], (), "left aside"),
        ([("Pilot", [NAMES, *ROWS[::-1]]), ("Notes", [("by hand",)])], (), "sheet 'Pilot' is read"),
        ([("Pilot", [NAMES, *((str(x), f"{a}".replace(".", ","), comma(e)) for x, a, e in ROWS)])], (), ""),
    ],
)
def test_spreadsheets_are_read(sheets, formats, note, tmp_path):
    path = tmp_path / "curve.xlsx"
    path.write_bytes(workbook(*sheets, formats=formats))
    measured = read_measurements(path)
    assert measured.data.tolist() == SIZES
    assert measured.accuracy == pytest.approx(ACCURACIES)
    assert measured.standard_error == pytest.approx(ERRORS)
    assert note in "; ".join(measured.notes)


def test_spreadsheets_that_say_two_things_are_refused(tmp_path):
    path = tmp_path / "curve.xlsx"
    path.write_bytes(workbook(("Pilot", [NAMES, *ROWS]), formats=[("B", "0%")]))
    with pytest.raises(InvalidInput, match="expected both alike"):
        read_measurements(path)
    path.write_bytes(workbook(("Nothing", [])))
    with pytest.raises(InvalidInput, match="is empty"):
        read_measurements(path)


def test_without_openpyxl_one_line_says_what_to_install(tmp_path, monkeypatch):
    path = tmp_path / "curve.xlsx"
    path.write_bytes(workbook(("Pilot", [NAMES, *ROWS])))
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    with pytest.raises(BackendMissing, match=r"pip install 'modelpact\[tables\]'"):
        read_measurements(path)


@pytest.mark.parametrize(
    ("errors", "note"),
    [
        (["0", "0.01", "", "0.02"], "2 standard errors are zero or missing: 0.02, the largest, stands for them"),
        (["0", "0", "0", "0"], "all standard errors are zero or missing"),
        (["1e-7"] * 4, "are they variances"),
        (["0.49"] * 4, "larger than a single trial's"),
    ],
)
def test_suspicious_standard_errors_are_named(errors, note, tmp_path):
    path = tmp_path / "curve.csv"
    path.write_text(table(NAMES, [(x, a, e) for (x, a), e in zip(TWO, errors, strict=True)]))
    assert note in "; ".join(read_measurements(path).notes)


@pytest.mark.parametrize(
    ("name", "values", "accuracy"),
    [
        ("val_loss", [2.0, 1.0, 0.5], np.exp([-2.0, -1.0, -0.5])),
        ("neg_log_loss", [-2.0, -1.0, -0.5], np.exp([-2.0, -1.0, -0.5])),
        ("bits per byte", [2.0, 1.0, 0.5], [0.25, 0.5, 2**-0.5]),
        ("Perplexity", [8.0, 4.0, 2.0], [0.125, 0.25, 0.5]),
    ],
)
def test_losses_by_any_name(name, values, accuracy, tmp_path):
    path = tmp_path / "curve.csv"
    path.write_text(table(("tokens", name, "se"), [(10.0 ** (6 + k), v, 0.01) for k, v in enumerate(values)]))
    measured = read_measurements(path)
    assert measured.accuracy == pytest.approx(np.asarray(accuracy))
    assert measured.data.tolist() == [1e6, 1e7, 1e8]


@given(
    numbers=st.lists(st.integers(1, 10**9), min_size=2, max_size=6, unique=True),
    style=st.sampled_from(["{:,}", "{}", "{:,}.5"]),
    swapped=st.booleans(),
)
def test_grouped_numbers_are_read_as_meant_or_refused(numbers, style, swapped):
    written = [style.format(n) for n in numbers]
    if swapped:
        written = [text.translate(str.maketrans(",.", ".,")) for text in written]
    meant = [n + 0.5 * style.endswith(".5") for n in numbers]
    try:
        found = parse_columns({"data": written})["data"][0]
    except InvalidInput as error:
        assert "may mean" in str(error)  # noqa: PT017
        return
    assert found.tolist() == meant


@given(content=st.binary(max_size=200))
def test_any_bytes_are_read_or_refused_in_one_line(content, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "any.csv"
    path.write_bytes(content)
    try:
        read_measurements(path)
    except (InvalidInput, BackendMissing) as error:
        assert "\n" not in str(error)  # noqa: PT017


@given(text=st.text(alphabet="0123456789.,;%+-eE \n\t\"'#kdata", max_size=80))
def test_any_numbers_are_read_or_refused_in_one_line(text, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "numbers.csv"
    path.write_text("data,accuracy\n" + text)
    try:
        measured = read_measurements(path)
        assert (measured.accuracy <= 1.0).all()
    except InvalidInput as error:
        assert "\n" not in str(error)  # noqa: PT017
