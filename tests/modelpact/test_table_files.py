"""Tables for spreadsheets and data frames: the numbers in full, and nothing that a spreadsheet would obey."""

import csv
import dataclasses
import io
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts import (
    BackendMissing,
    Contract,
    LinearValuation,
    Menu,
    Population,
    PowerLaw,
    Problem,
    design_contract,
)
from contracts.testing import example_contract
from mechanisms.shapley import shapley_from_table
from modelpact import tables
from modelpact.cli import main
from modelpact.table_files import FORMULAS, table_bytes

PAPER = Path(__file__).parents[2] / "examples" / "paper"


@pytest.fixture(scope="module")
def contract_file(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tables")
    arguments = ["design", str(PAPER / "s1.toml"), "--output", str(folder / "contract.json")]
    for name in ("menu.csv", "menu.xlsx"):
        assert main([*arguments, "--table", str(folder / name)]) == 0
    return folder / "contract.json"


def read_csv(path):
    return list(csv.DictReader(io.StringIO(path.read_bytes().decode("utf-8-sig"))))


def read_xlsx(path):
    openpyxl = pytest.importorskip("openpyxl")
    rows = list(openpyxl.load_workbook(path).active.iter_rows(values_only=True))
    return [dict(zip(rows[0], row, strict=True)) for row in rows[1:]]


@pytest.mark.parametrize(("name", "read"), [("menu.csv", read_csv), ("menu.xlsx", read_xlsx)])
def test_menus_are_written_in_full(name, read, contract_file):
    contract, rows = Contract.load(contract_file), read(contract_file.parent / name)
    assert [row["type"] for row in rows] == list(contract.problem.population.names)
    # openpyxl writes 16 digits, of which 17 are full
    exact = 0.0 if name.endswith("csv") else 1e-15
    for column, values in (("contribution", contract.contribution), ("better by", contract.information_rent)):
        assert [float(row[column]) for row in rows] == pytest.approx(values, rel=exact, abs=exact)


@pytest.mark.parametrize(("name", "read"), [("settled.csv", read_csv), ("settled.xlsx", read_xlsx)])
def test_settlements_are_written_in_full(name, read, contract_file, tmp_path, capsys):
    table = tmp_path / name
    assert main(["settle", str(contract_file), "--counts", "2,2,2,2,2", "--table", str(table)]) == 0
    assert f"Wrote {table}" in capsys.readouterr().out
    settled = Contract.load(contract_file).settle([2] * 5)
    assert [float(row["accuracy"]) for row in read(table)] == pytest.approx(settled.accuracy, rel=1e-15)
    assert [int(row["participants"]) for row in read(table)] == [2] * 5


def test_sweeps_are_written_a_row_for_each_problem_and_type(tmp_path):
    spec = tmp_path / "sweep.toml"
    (tmp_path / "problem.toml").write_bytes((PAPER / "s1.toml").read_bytes())
    spec.write_text('problem = "problem.toml"\n[axes.n]\nfield = "population.participants"\nvalues = [10, 20]\n')
    table = tmp_path / "sweep.csv"
    assert main(["sweep", str(spec), "--table", str(table)]) == 0
    rows = read_csv(table)
    assert len(rows) == 10
    assert {row["n"] for row in rows} == {"10", "20"}
    assert all(float(row["holds"]) == 1.0 for row in rows)


@pytest.mark.parametrize("command", ["design", "settle"])
def test_other_endings_are_refused(command, contract_file, capsys):
    source = {"design": PAPER / "s1.toml", "settle": contract_file}[command]
    more = ["--counts", "2,2,2,2,2"] if command == "settle" else []
    assert main([command, str(source), *more, "--table", "menu.ods"]) == 2
    assert "expected a name that ends in .csv or .xlsx" in capsys.readouterr().err


@given(text=st.text(max_size=12), start=st.sampled_from(FORMULAS))
def test_no_text_is_a_formula(text, start):
    found = table_bytes(".csv", {start + text: [start + text], "number": [-1.5]}).decode("utf-8-sig")
    names, row = list(csv.reader(io.StringIO(found, newline="")))[:2]
    assert names[0] == row[0] == "'" + start + text
    assert float(row[1]) == -1.5


def test_formulas_are_texts_in_spreadsheets(tmp_path):
    path = tmp_path / "t.xlsx"
    path.write_bytes(table_bytes(".xlsx", {"type": ["=1+1", "@x"], "cost": [float("nan"), 0.1]}))
    openpyxl = pytest.importorskip("openpyxl")
    page = openpyxl.load_workbook(path).active
    assert [page["A2"].value, page["A2"].data_type, page["B2"].value] == ["=1+1", "s", None]


def test_without_the_libraries_one_line_says_what_to_install(monkeypatch):
    contract = example_contract()
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(BackendMissing, match=r"modelpact\[tables\]"):
        table_bytes(".xlsx", {"a": [1]})
    with pytest.raises(BackendMissing, match=r"modelpact\[tables\]"):
        contract.to_dataframe()


def test_data_frames_hold_the_results():
    pytest.importorskip("pandas")
    contract = example_contract()
    menu, certificate = contract.to_dataframe(), contract.certificate
    assert menu.index.name == "type"
    assert menu["contribution"].to_numpy().tolist() == contract.contribution.tolist()
    assert menu["information_rent"].to_numpy().tolist() == contract.information_rent.tolist()
    assert menu.to_latex(float_format="%.2f").startswith("\\begin{tabular}")
    slacks = certificate.to_dataframe()
    assert slacks["envy"].to_numpy().tolist() == certificate.envy.tolist()
    settled = contract.settle({"type 1": 4, "type 5": 6})
    assert settled.to_dataframe()["counts"].tolist() == [4, 0, 0, 0, 6]
    assert settled.to_dataframe()["accuracy"].tolist() == settled.accuracy.tolist()
    shares = dataclasses.replace(shapley_from_table([0, 1, 3, 4]), half_widths=np.array([0.5, 0.25]))
    assert shares.to_dataframe().loc[1].tolist() == [3.0, 2.75, 3.25]


def shown(contract):
    from rich.console import Console

    console = Console(file=io.StringIO(), width=300)
    console.print(tables.menu(contract))
    return console.file.getvalue()


def test_amounts_are_in_the_currency_and_data_whole_where_lots_are():
    problem = Problem(
        population=Population(costs=[150.0, 70.0, 30.0], probabilities=[0.3, 0.4, 0.3], participants=7),
        accuracy=PowerLaw(optimum=0.95, coefficient=2.0, exponent=0.5),
        valuation=LinearValuation(scale=1_000_000.0),
        menu=Menu(lot=25.0),
        currency="EUR",
    )
    contract = design_contract(problem)
    text = shown(contract)
    for title in ("cost, EUR", "value, EUR", "net value, EUR", "staying out, EUR", "better by, EUR"):
        assert title in text
    assert f"{contract.expected_reward.max():,.0f}"[:3] in text
    assert "," in tables.numbers(contract.expected_reward)[0]
    data = tables.whole_where_lots_are(contract)
    assert (data == np.round(data)).all()
    assert (data % 25.0 == 0.0).all()
    # lots that are not whole are shown as they are
    halves = dataclasses.replace(contract, problem=dataclasses.replace(problem, menu=Menu(lot=12.5)))
    assert (tables.whole_where_lots_are(halves) == contract.contribution).all()
    assert "EUR" not in shown(dataclasses.replace(contract, problem=dataclasses.replace(problem, currency="")))
