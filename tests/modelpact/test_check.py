"""A problem file in plain words: what it says, what looks wrong, what everybody would do alone."""

import dataclasses
import json

import numpy as np
import pytest

from contracts import GeneralizationBound, LinearValuation, Outside, Population, Problem, design_contract
from modelpact.check import check, warnings
from modelpact.cli import main
from modelpact.problem_file import ProblemFile

PROBLEM = Problem(
    population=Population(costs=[0.2, 0.1], probabilities=[0.5, 0.5], participants=10),
    accuracy=GeneralizationBound(),
    valuation=LinearValuation(scale=100.0),
)


def checked(problem):
    return check(ProblemFile(path=None, problem=problem))  # type: ignore[arg-type]


def with_population(**changes):
    return dataclasses.replace(PROBLEM, population=dataclasses.replace(PROBLEM.population, **changes))


def test_alone_is_what_contracts_are_compared_with():
    found, contract = checked(PROBLEM), design_contract(PROBLEM)
    assert found.warnings == ()
    assert found.alone.net_value == pytest.approx(contract.reservation_utility)
    gained = 100.0 * found.alone.accuracy - PROBLEM.population.costs * found.alone.contribution
    assert found.alone.net_value == pytest.approx(gained)


def test_outside_options_that_are_given_are_no_training():
    found = checked(dataclasses.replace(PROBLEM, outside=Outside(utility=[1.0, 2.0])))
    assert found.alone.net_value == pytest.approx([1.0, 2.0])
    assert np.isnan(found.alone.contribution).all()


@pytest.mark.parametrize(
    ("problem", "warning"),
    [
        (with_population(costs=[1e6, 1e5]), "nothing pays"),
        (with_population(probabilities=[0.995, 0.005]), "type 2: a probability of 0.005"),
        (with_population(costs=[0.2, 0.2001]), "type 1 and type 2: costs of 0.2 and 0.2001 are nearly the same"),
        (with_population(costs=[30.0, 0.1]), "would train nothing alone, so dear are their data: type 1"),
        (with_population(costs=[0.2, 1e-8]), "are all in the same unit"),
    ],
)
def test_what_looks_wrong_is_said(problem, warning):
    assert any(warning in found for found in warnings(problem)), warnings(problem)


def test_equal_costs_and_groups_apart_look_right():
    assert warnings(with_population(costs=[0.2, 0.2])) == ()
    apart = with_population(
        costs=[0.2, 0.2001], probabilities=[1.0, 1.0], groups=["a", "b"], participants={"a": 3, "b": 3}
    )
    assert warnings(apart) == ()


def test_the_command_exits_by_what_it_found(tmp_path, capsys):
    path, contract = tmp_path / "problem.toml", tmp_path / "contract.json"
    assert main(["catalogue", "S1", "--output", str(path)]) == 0
    assert main(["design", str(path), "--output", str(contract)]) == 0
    capsys.readouterr()
    for file in (path, contract):
        assert main(["check", str(file)]) == 0
        assert "Found nothing that looks wrong" in capsys.readouterr().out
    dear = path.read_text(encoding="utf-8").replace("0.2, 0.16", "30.0, 0.16")
    path.write_text(dear, encoding="utf-8")
    assert main(["check", str(path), "--json"]) == 1
    out, err = capsys.readouterr()
    assert json.loads(out)["warnings"] == ["would train nothing alone, so dear are their data: type 1"]
    assert "modelpact: would train nothing alone" in err
    path.write_text(dear.replace("participants", "participant"), encoding="utf-8")
    assert main(["check", str(path)]) == 2
