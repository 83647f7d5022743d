"""Which numbers a contract hangs on: every effect is the design of the changed problem, and none is left out."""

import dataclasses
import json

import pytest

from contracts import (
    Binomial,
    Infeasible,
    InvalidInput,
    LinearValuation,
    Menu,
    Population,
    PowerLaw,
    Problem,
    design_contract,
)
from modelpact.axes import changed
from modelpact.cli import main
from modelpact.sensitivity import sensitivity

PROBLEM = Problem(
    population=Population(costs=[0.2, 0.1], probabilities=[0.5, 0.5], participants=10),
    accuracy=PowerLaw(optimum=0.95, coefficient=2.0, exponent=0.5),
    valuation=LinearValuation(scale=100.0),
)


@pytest.fixture(scope="module")
def found():
    return sensitivity(PROBLEM)


def test_every_effect_is_a_design_of_its_own(found):
    for effect in found.effects:
        for k, value in enumerate(effect.values):
            if effect.possible[k]:
                contract = design_contract(changed(PROBLEM, {effect.field: value}))
                assert effect.reached[k] == pytest.approx(contract.reached, rel=1e-9)
                assert effect.contribution[k] == pytest.approx(contract.contribution, rel=1e-6)
                assert effect.better_by[k] == pytest.approx(contract.information_rent, abs=1e-6)


def test_all_numbers_vary_and_the_largest_effect_is_first(found):
    assert {effect.field for effect in found.effects} == {
        "population.costs",
        "population.costs[0]",
        "population.costs[1]",
        "population.probabilities[0]",
        "population.probabilities[1]",
        "population.participants",
        "accuracy.optimum",
        "accuracy.coefficient",
        "accuracy.exponent",
        "valuation.scale",
    }
    swings = [
        max(abs(one - found.contract.reached) for one in effect.reached if one) for effect in found.effects
    ]
    assert swings == sorted(swings, reverse=True)
    (costs,) = [effect for effect in found.effects if effect.field == "population.costs"]
    assert costs.reached[0] >= found.contract.reached >= costs.reached[1]


def test_what_cannot_be_is_no_missing_contract():
    (effect,) = sensitivity(PROBLEM, fields=["accuracy.optimum"]).effects
    assert effect.possible == (True, False)
    assert "expected a number in (0, 1]" in effect.errors[1]


def test_a_contract_that_vanishes_comes_first():
    problem = dataclasses.replace(PROBLEM, menu=Menu(participation_margin=15.0))
    with pytest.raises(Infeasible):
        design_contract(dataclasses.replace(PROBLEM, menu=Menu(participation_margin=22.5)))
    found = sensitivity(problem, by=0.5, fields=["population.costs", "menu.participation_margin"])
    assert found.effects[0].reached.count(None) == 1
    assert found.effects[0].possible == (True, True)
    assert any("is missing" in error for error in found.effects[0].errors)


def test_numbers_inside_laws_menus_and_groups_vary():
    population = Population(
        costs=[0.2, 0.1],
        probabilities=[1.0, 1.0],
        groups=["clinics", "labs"],
        participants={"clinics": 3, "labs": Binomial(trials=4, probability=0.5)},
    )
    problem = dataclasses.replace(PROBLEM, population=population, menu=Menu(participation_margin=1.0))
    fields = {effect.field for effect in sensitivity(problem).effects}
    assert {"population.participants.clinics", "menu.participation_margin"} <= fields
    assert "population.probabilities[0]" not in fields


@pytest.mark.parametrize("by", [0.0, 1.0, -0.1, float("nan"), "much"])
def test_shares_lie_between_nothing_and_everything(by):
    with pytest.raises(InvalidInput, match="by = "):
        sensitivity(PROBLEM, by=by)


def test_unknown_fields_are_one_line():
    with pytest.raises(InvalidInput, match=r"fields\[1\] = 'valuation.scal': expected one of"):
        sensitivity(PROBLEM, fields=["valuation.scale", "valuation.scal"])


def test_the_command_prints_a_table_and_draws(tmp_path, capsys):
    path, picture = tmp_path / "problem.toml", tmp_path / "tornado.svg"
    assert main(["catalogue", "S1", "--output", str(path)]) == 0
    capsys.readouterr()
    line = ["sensitivity", str(path), "--field", "valuation.scale", "--field", "accuracy.optimum"]
    assert main([*line, "--plot", str(picture)]) == 0
    shown = capsys.readouterr().out
    assert "90, 110" in shown
    assert "valuation.scale" in picture.read_text(encoding="utf-8") or picture.stat().st_size > 1000
    assert main([*line, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["effects"][0]["field"] == "accuracy.optimum"


@pytest.mark.parametrize(("promise", "counts"), [("average", False), ("model", True), ("value", True)])
def test_a_level_counts_only_where_a_share_of_the_curves_is_asked_for(promise, counts):
    from contracts import MeasuredCurve, Measurements
    from modelpact.sensitivity import _numbers

    measured = Measurements(data=[10, 20, 40], accuracy=[0.5, 0.6, 0.65])
    curve = MeasuredCurve(measurements=measured, promise=promise)
    problem = dataclasses.replace(PROBLEM, accuracy=curve)
    assert ("accuracy.level" in {field for field, _, _ in _numbers(problem)}) == counts
