"""Whole schemes under a launch clause: launched or released, and what is then owed and given."""

import json
from typing import Any

import pytest

from contracts import Contract
from contracts.errors import InvalidInput
from modelpact.scheme import run_scheme
from modelpact.scheme.draws import summarise
from modelpact.scheme.report import failures, notes, show_run
from modelpact.scheme.scheme_file import scheme_from_data
from modelpact.tables import console

pytestmark = pytest.mark.slow


def stated(clause: str, come: list[dict[str, Any]], **menu: Any):
    return scheme_from_data(
        {
            "seed": 3,
            "data": {"name": "digits", "test": 200, "validation": 200, "pilot": 200},
            "training": {"rounds": 60},
            "measuring": {"sizes": 5, "repetitions": 4},
            "population": {
                "names": ["expert", "crowd"],
                "costs": [6.0, 2.0],
                "probabilities": [0.4, 0.6],
                "participants": 6,
            },
            "valuation": {"family": "linear", "scale": 2000.0},
            "menu": {"assurance": clause, **menu},
            "participants": come,
            "audit": {"label_noise": [], "copies": [], "baselines": False},
        }
    )


SIX = [{"type": "expert", "count": 2}, {"type": "crowd", "count": 4}]


@pytest.mark.parametrize("clause", ["count", "table", "cut", "contingent"])
def test_launched_everybody_delivers_and_receives_what_the_contract_settles(clause, tmp_path):
    scheme = stated(clause, SIX)
    records = run_scheme(scheme, tmp_path / "run")
    found = records["launch"].result["launch"]
    assert found["launched"]
    assert found["signed"] == 6
    contract = Contract.from_json(json.dumps(records["design"].result["contract"]))
    assert contract.certificate.holds
    settled = contract.settle([2, 4])
    options = records["launch"].result["options"]
    for i, option in enumerate(options):
        assert 0.0 <= option["data"] - settled.contribution[i] < 1.0 + 1e-6
    rewards = records["settle"].result["rewards"]
    assert len(rewards) == 6
    assert records["settle"].result["accepted_data"] == 2 * options[0]["data"] + 4 * options[1]["data"]
    for reward in rewards:
        kind = reward["option"]
        worth = contract.form.relative[kind] * float(contract.problem.value(settled.total_data))
        assert options[kind]["share"] == pytest.approx(min(settled.value[kind] / worth, 1.0))
        # rounded up to whole samples nobody is worse off than by staying out, as the published curve says
        utility = options[kind]["expected_value"] - reward["data"] * contract.problem.population.costs[kind]
        assert utility >= contract.reservation_utility[kind]
        assert utility >= settled.utility[kind] - contract.problem.population.costs[kind]
    audit = records["audit"].result
    assert notes(audit)[0].startswith("launched: 6 signed")
    assert not failures(summarise(scheme, [audit]))


def test_released_nobody_delivers_or_receives(tmp_path, capsys):
    records = run_scheme(stated("count", [{"type": "expert"}]), tmp_path / "run")
    assert not records["launch"].result["launch"]["launched"]
    assert records["contribute"].result["submissions"] == []
    assert records["settle"].result["rewards"] == []
    audit = records["audit"].result
    assert {row["refused_because"] for row in audit["participants"]} == {"released: too few signed"}
    assert notes(audit)[0].startswith("released: 1 signed")
    show_run(console(), tmp_path / "run", audit)
    words = capsys.readouterr().out
    assert "receives no model: released: too few signed" in words
    assert "joint model" not in words
    assert "Delivered" not in words


def test_what_a_clause_does_not_go_with():
    with pytest.raises(InvalidInput, match="assurance with options or a lot"):
        stated("count", SIX, lot=5)
    with pytest.raises(InvalidInput, match="assurance = 'maybe': expected one of"):
        stated("maybe", SIX)
