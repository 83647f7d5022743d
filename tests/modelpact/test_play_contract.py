"""`modelpact play` of problems and contracts: equilibria of the menu with a launch clause and without."""

import json

import pytest

from contracts import (
    Contract,
    GeneralizationBound,
    InvalidInput,
    LinearValuation,
    Menu,
    Population,
    Problem,
    design_contract,
)
from modelpact.play import play
from modelpact.play_contract import analyse_menus

PROBLEM = """
[population]
costs = [0.02, 0.01]
probabilities = [0.5, 0.5]
participants = 4
[accuracy]
family = "generalization-bound"
optimum = 1.0
complexity = 1.0
[valuation]
family = "linear"
scale = 100.0
"""
CLAUSE = '[menu]\nassurance = "count"\nparticipation_margin = 0.02\npreference_margin = 0.02\n'


def contract(**menu):
    return design_contract(
        Problem(
            population=Population(costs=[0.02, 0.01], probabilities=[0.5, 0.5], participants=4),
            accuracy=GeneralizationBound(),
            valuation=LinearValuation(scale=100.0),
            menu=Menu(**menu),
        )
    )


def test_a_problem_with_a_clause_is_played_with_and_without(tmp_path, capsys):
    path = tmp_path / "launched.toml"
    path.write_text(PROBLEM + CLAUSE)
    output = tmp_path / "menus.json"
    assert play(path, output=output) == 0
    shown = capsys.readouterr().out
    assert "launched, with the clause" in shown
    assert "nobody signs" in shown
    report = json.loads(output.read_text())
    launched, plain = report["menus"]["with the clause"], report["menus"]["without a clause"]
    assert [one["truthful"] for one in launched["equilibria"]] == [True, False]
    assert not launched["equilibria"][1]["strict"]
    assert plain["equilibria"][-1]["strict"]
    assert launched["in_turn"]["all_sign"] == 1.0
    assert plain["in_turn"]["all_sign"] == 0.0


def test_a_contract_without_a_clause_is_shown_beside_one(tmp_path, capsys):
    path = tmp_path / "contract.json"
    contract().save(path)
    assert play(path, json=True) == 0
    menus = json.loads(capsys.readouterr().out)["menus"]
    assert next(iter(menus)) == "without a clause"
    assert len(menus) == 2
    assert all(menu["equilibria"][0]["truthful"] for menu in menus.values())
    assert set(analyse_menus(Contract.load(path))["menus"]) == set(menus)


def test_bad_input(tmp_path):
    path = tmp_path / "problem.toml"
    path.write_text(PROBLEM)
    with pytest.raises(InvalidInput, match="--plot, --groups: expected a game file"):
        play(path, plot=tmp_path / "a.png")
    with pytest.raises(InvalidInput, match="cannot read"):
        play(tmp_path / "none.json")
    (tmp_path / "broken.json").write_text("{}")
    with pytest.raises(InvalidInput, match="not a contract file"):
        play(tmp_path / "broken.json")
