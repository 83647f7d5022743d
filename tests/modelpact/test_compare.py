"""Two contracts side by side: by name, with what differs, and never better than they are."""

import dataclasses
import json

import numpy as np
import pytest

from contracts import InvalidInput, Outside, design_contract
from contracts.testing import example_contract
from modelpact.cli import main
from modelpact.compare import compare


def with_population(contract, **changes):
    population = dataclasses.replace(contract.problem.population, **changes)
    return dataclasses.replace(contract.problem, population=population)


@pytest.fixture(scope="module")
def pair():
    before = example_contract()
    return before, design_contract(with_population(before, participants=20))


def test_a_contract_differs_in_nothing_from_itself(pair):
    found = compare(pair[0], pair[0])
    assert found.problem == ()
    for row in found.rows:
        for name in ("contribution", "expected_reward", "net_value", "staying_out", "better_by"):
            before, after = getattr(row, name)
            assert before == after


def test_every_number_is_that_of_its_contract(pair):
    found = compare(*pair)
    assert found.problem == ("population.participants: 10, then 20",)
    for k, contract in enumerate(pair):
        assert [row.contribution[k] for row in found.rows] == pytest.approx(contract.contribution)
        assert [row.net_value[k] for row in found.rows] == pytest.approx(contract.utility)
        assert [row.staying_out[k] for row in found.rows] == pytest.approx(contract.reservation_utility)
        assert [row.better_by[k] for row in found.rows] == pytest.approx(
            contract.utility - contract.reservation_utility
        )
    assert found.objective == (pair[0].objective, pair[1].objective)


def test_types_are_matched_by_name(pair):
    types = pair[0].problem.population.types
    renamed = [*(f"type {k}" for k in range(types, 1, -1)), "someone new"]
    other = dataclasses.replace(pair[0], problem=with_population(pair[0], names=renamed))
    found = {row.name: row for row in compare(pair[0], other).rows}
    assert found["type 1"].contribution[1] is None
    assert found["someone new"].contribution[0] is None
    assert found["type 2"].contribution == (pair[0].contribution[1], pair[0].contribution[types - 2])


def test_broken_promises_are_said(pair):
    broken = dataclasses.replace(pair[0], expected_reward=pair[0].expected_reward * 0.5)
    assert compare(broken, pair[1]).holds == (False, True)
    assert compare(pair[1], broken).holds == (True, False)


def test_outside_options_and_ingredients_show(pair):
    outside = Outside(joining_cost=1.0)
    other = design_contract(dataclasses.replace(pair[0].problem, outside=outside))
    lines = compare(pair[0], other).problem
    assert any("joining_cost" in line for line in lines)


def test_something_else_is_one_line(pair):
    with pytest.raises(InvalidInput, match="second = 3: expected a Contract"):
        compare(pair[0], 3)


def test_the_command_shows_both(pair, tmp_path, capsys):
    for name, contract in zip(("a.json", "b.json"), pair, strict=True):
        contract.save(tmp_path / name)
    assert main(["compare", str(tmp_path / "a.json"), str(tmp_path / "b.json")]) == 0
    shown = capsys.readouterr().out
    assert "population.participants: 10, then 20" in shown
    assert shown.count("every promise holds") == 2
    assert main(["compare", str(tmp_path / "a.json"), str(tmp_path / "b.json"), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert np.allclose([row["contribution"][1] for row in document["rows"]], pair[1].contribution)
    broken = dataclasses.replace(pair[0], expected_reward=pair[0].expected_reward * 0.5)
    broken.save(tmp_path / "a.json")
    assert main(["compare", str(tmp_path / "a.json"), str(tmp_path / "b.json")]) == 1
