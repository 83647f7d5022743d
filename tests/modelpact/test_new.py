"""`modelpact new`: what it writes can be read, and what is missing is named."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.errors import InvalidInput
from modelpact.cli import main
from modelpact.new import QUESTIONS, interview, problem_text
from modelpact.problem_file import read_problem

REQUIRED = {"names": "Aachen, Bonn", "costs": "40, 60.5", "scale": "3000"}


def test_named_participants_are_written_and_read(tmp_path):
    path = tmp_path / "p.toml"
    (tmp_path / "curve.csv").write_text("data,accuracy\n25,0.87\n50,0.9\n100,0.93\n400,0.95\n")
    flags = ["--names", 'Köln "Süd",b', "--costs", "40,60", "--capacities", "600,450", "--scale", "3e5"]
    more = ["--measurements", "curve.csv", "--baseline", "0.5", "--currency", "EUR", "--options", "2"]
    assert main(["new", str(path), *flags, *more, "--lot", "10"]) == 0
    problem = read_problem(path).problem
    assert problem.population.names == ('Köln "Süd"', "b")
    assert problem.population.groups == problem.population.names
    assert problem.population.capacities.tolist() == [600.0, 450.0]
    assert (problem.baseline, problem.currency) == (0.5, "EUR")
    assert (problem.menu.options, problem.menu.lot) == (2, 10.0)
    assert problem.accuracy.family == "measured"


def test_types_are_alike_unless_it_is_said_how_likely_they_are(tmp_path):
    path = tmp_path / "p.toml"
    path.write_text(problem_text(REQUIRED | {"participants": "10"}))
    population = read_problem(path).problem.population
    assert population.probabilities.tolist() == [0.5, 0.5]
    assert population.costs.tolist() == [40.0, 60.5]
    assert population.participants == 10


@given(st.lists(st.text(min_size=1, max_size=9), min_size=2, max_size=3, unique_by=str.strip), st.data())
def test_any_names_are_written_so_that_they_are_read_again(tmp_path_factory, names, data):
    costs = ",".join(str(data.draw(st.floats(0.01, 1e6))) for _ in names)
    typed = ",".join(names)
    try:
        text = problem_text({"names": typed, "costs": costs, "participants": "3", "scale": "1e9"})
    except InvalidInput:  # a comma or nothing at all within a name
        return
    path = tmp_path_factory.mktemp("new") / "p.toml"
    path.write_text(text, encoding="utf-8")
    try:
        population = read_problem(path).problem.population
    except InvalidInput as error:
        assert "names" in str(error)  # noqa: PT017 - empty or repeated
        return
    assert [float(cost) for cost in costs.split(",")] == population.costs.tolist()
    assert len(population.names) == len(names)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"costs": "40"}, "--costs has 1 numbers: expected 2"),
        ({"costs": "40,x"}, "--costs = 'x': expected a number"),
        ({"costs": ""}, "--costs: What does one datum"),
        ({"scale": "1,5"}, "--scale = 1,5: expected one number"),
        ({"scale": "nan"}, "--scale"),
        ({"probabilities": "0.5,0.5"}, "expected none where everybody listed takes part"),
    ],
)
def test_what_cannot_be_read_is_named(change, message):
    with pytest.raises(InvalidInput, match=message):
        problem_text(REQUIRED | change)


def test_nothing_is_written_that_cannot_be_designed_for(tmp_path, capsys):
    path = tmp_path / "p.toml"
    flags = ["--names", "a,b", "--costs", "1,2", "--scale", "-100"]
    assert main(["new", str(path), *flags]) == 2
    assert capsys.readouterr().err == "modelpact: [valuation] scale = -100: expected a finite number > 0\n"
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_exists_is_kept(tmp_path):
    path = tmp_path / "p.toml"
    path.write_text("mine")
    assert main(["new", str(path), "--names", "a,b", "--costs", "1,2", "--scale", "100"]) == 2
    assert path.read_text() == "mine"


def test_questions_are_asked_until_they_are_answered():
    asked = []
    answers = iter(["a,b", "10", "1,x", "1,2", "", "", "", "", "100", "", "", ""])

    def ask(question):
        asked.append(question)
        return next(answers)

    told = interview({}, ask)
    assert len(asked) == len(QUESTIONS) + 1
    assert asked[2] == asked[3]  # 1,x could not be read
    assert "participants = 10" in problem_text(told)


def test_what_flags_said_is_not_asked():
    assert interview({question.flag: "1" for question in QUESTIONS}, ask=lambda _: 1 / 0)
