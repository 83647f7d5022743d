"""Names are shown, never obeyed: by terminals, tables, pages, pictures and files."""

import dataclasses
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts import Contract, Population
from contracts.checks import visible
from contracts.contract import plots
from contracts.testing import example_contract
from modelpact import tables
from modelpact.reports import report

HOSTILE = [
    "Bonn \x1b[31m",
    "[red]Aachen[/red] $x_1^{$",
    "_hid\nden \u202e <b>&amp;",
    "=SUM(A1)" + "!" * 10_000,
    "e",
]


def named(names):
    contract = example_contract()
    population = dataclasses.replace(contract.problem.population, names=names)
    return dataclasses.replace(contract, problem=dataclasses.replace(contract.problem, population=population))


@pytest.fixture(scope="module")
def hostile():
    return named(HOSTILE)


@given(st.lists(st.text(min_size=1), min_size=2, max_size=2, unique_by=visible))
def test_what_acts_is_written_out(names):
    seen = Population(costs=[0.2, 0.1], probabilities=[0.5, 0.5], participants=3, names=names).names or ()
    assert all(name.isprintable() for name in seen)
    again = Population(costs=[0.2, 0.1], probabilities=[0.5, 0.5], participants=3, names=seen)
    assert again.names == seen
    assert all(shown == name for shown, name in zip(seen, names, strict=True) if name.isprintable())


def test_who_wrote_a_name_finds_it_again():
    groups = ["clin\nics", "labs"]
    people = Population(costs=[0.2, 0.1], groups=groups, names=groups, participants={"clin\nics": 2, "labs": 1},
                        probabilities=[1.0, 1.0])  # fmt: skip
    assert people.group_names == ("clin\\nics", "labs")
    contract = named(HOSTILE)
    settled = contract.settle({HOSTILE[0]: 4, HOSTILE[2]: 6})
    assert settled.counts.tolist() == [4, 0, 6, 0, 0]


@settings(max_examples=20)
@given(st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=39))
def test_tables_show_names_as_they_are(name):
    contract = named([name, *(f"type {k}" for k in range(2, 1 + example_contract().problem.population.types))])
    out = io.StringIO()
    console = tables.console()
    console.file = out
    console.print(tables.menu(contract))
    assert out.getvalue().splitlines()[1].startswith(name)


def test_long_names_leave_room_in_tables(hostile):
    many = named([f"{k}" * 10_000 for k in range(1, 1 + hostile.problem.population.types)])
    out = io.StringIO()
    console = tables.console()
    console.file = out
    console.print(tables.menu(many))
    assert max(map(len, out.getvalue().splitlines())) < 300


def test_files_pages_and_pictures(hostile, tmp_path):
    assert Contract.from_json(hostile.to_json()).problem.population.names == hostile.problem.population.names

    text = report(hostile).html

    assert not {"\x1b", "\u202e"} & set(text)
    assert "hid\\nden" in text
    figure = plots.draw_contract(hostile)
    figure.savefig(tmp_path / "menu.png")
