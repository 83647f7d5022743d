"""Contract files: nothing lost, nothing half-written, foreign text refused in one line."""

import json

import numpy as np
import pytest

from contracts import Contract, CustomCurve, InvalidInput, Tabulated, design_contract, verify
from contracts.problem.data import problem_from_data, problem_to_data


@pytest.fixture(scope="module", name="contract")
def contract_fixture():
    from contracts import LinearValuation, Population, PowerLaw, Problem

    population = Population(
        costs=[0.2, 0.04], probabilities=[0.3, 0.7], participants=10, names=["Klinik Süd", "clinic"]
    )
    curve = PowerLaw(optimum=0.95, coefficient=2.0, exponent=0.4)
    return design_contract(
        Problem(population=population, accuracy=curve, valuation=LinearValuation(scale=100.0))
    )


def test_nothing_is_lost(contract, tmp_path):
    path = tmp_path / "contract.json"
    contract.save(path)
    read = Contract.load(path)
    assert read.to_json() == contract.to_json()
    for name in ("contribution", "expected_reward", "reservation_utility"):
        assert getattr(read, name).tobytes() == getattr(contract, name).tobytes()
    assert read.objective == contract.objective
    assert read.problem.population.names == ("Klinik Süd", "clinic")
    assert verify(read).holds


def test_probabilities_come_back_to_the_last_bit(build):
    rng = np.random.default_rng(0)
    for types in (2, 3, 5, 40):
        written = build([0.1] * types, 5, probabilities=rng.dirichlet(np.ones(types)) * (1.0 + 1e-7))
        read = problem_from_data(problem_to_data(written))
        assert read.population.probabilities.tobytes() == written.population.probabilities.tobytes()


def test_the_file_has_the_promised_keys(contract):
    document = json.loads(contract.to_json())
    assert {"objective", "contribution", "expected_reward", "reservation_utility", "certificate"} <= set(
        document
    )
    keys = {"holds", "participation_slack", "envy", "feasibility_slack", "as_solved_gap", "gap"}
    assert keys <= set(document["certificate"])
    assert document["certificate"]["holds"] is True


def test_other_curves_survive_too(build):
    curve = Tabulated(data=[50, 100, 400], accuracy=[0.4, 0.55, 0.72])
    contract = design_contract(build([0.2, 0.1], 5, accuracy=curve))
    assert verify(Contract.from_json(contract.to_json())).holds


def test_functions_cannot_be_stored(build):
    curve = CustomCurve(function=lambda x: 0.9 * x / (x + 200.0), optimum=0.9)
    with pytest.raises(InvalidInput, match="tabulate it"):
        design_contract(build([0.2, 0.1], 5, accuracy=curve)).to_json()


def test_truncated_and_foreign_files_are_refused(contract, tmp_path):
    text = contract.to_json()
    rng = np.random.default_rng(0)
    for cut in rng.integers(0, len(text) - 2, 40):
        with pytest.raises(InvalidInput, match=r"not a contract file|no field"):
            Contract.from_json(text[:cut])
    for foreign in ("[]", "{}", "3", '{"schema": "other/1"}', "\x00", "[" * 100_000):
        with pytest.raises(InvalidInput, match="not a contract file"):
            Contract.from_json(foreign)
    with pytest.raises(InvalidInput, match="cannot read"):
        Contract.load(tmp_path / "nowhere.json")
    (tmp_path / "binary.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InvalidInput, match="not UTF-8"):
        Contract.load(tmp_path / "binary.json")


@pytest.mark.parametrize("value", [None, "x", [], {}, [1, 2, 3], [1, "a"], True, float("nan")])
@pytest.mark.parametrize("field", ["contribution", "objective", "problem", "witness", "provenance"])
def test_wrong_fields_are_named(contract, field, value):
    document = json.loads(contract.to_json())
    if field == "witness" and value is None:
        pytest.skip("a contract without a proof is allowed")
    document[field] = value
    with pytest.raises(InvalidInput):
        Contract.from_json(json.dumps(document))
    del document[field]
    with pytest.raises(InvalidInput, match=field):
        Contract.from_json(json.dumps(document))


def test_an_unwritable_place_is_named_and_nothing_is_written(contract, tmp_path):
    with pytest.raises(InvalidInput, match="cannot write"):
        contract.save(tmp_path / "no" / "such" / "folder.json")
    assert list(tmp_path.iterdir()) == []
