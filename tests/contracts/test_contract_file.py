"""Contract files: nothing lost, nothing half-written, foreign text refused in one line."""

import dataclasses
import json

import numpy as np
import pytest

from contracts import (
    Contract,
    CustomCurve,
    InvalidInput,
    LinearValuation,
    Population,
    PowerLaw,
    Problem,
    Tabulated,
    design_contract,
    verify,
)
from contracts.contract.proof_data import proof_from_data, proof_to_data
from contracts.problem.data import problem_from_data, problem_to_data
from contracts.problem.menu import Menu
from contracts.problem.objective import Welfare
from contracts.problem.scenario import Scenario
from contracts.problem.standard_form import standard_form
from contracts.proof.evidence import Cases, Mixtures, Proof
from contracts.proof.witness import Tree


@pytest.fixture(scope="module", name="contract")
def contract_fixture():
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
@pytest.mark.parametrize(
    "field", ["contribution", "objective", "reached", "names", "reason", "problem", "proof", "provenance"]
)
def test_wrong_fields_are_named(contract, field, value):
    document = json.loads(contract.to_json())
    if (field, value) in (("reason", "x"), ("proof", {})):
        pytest.skip("any reason will do, and a contract may be without a proof")
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


def as_first(document: dict) -> dict:
    """The file as the first schema had it."""
    proof = document["proof"]
    first = {key: value for key, value in document.items() if key not in ("proof", "reached")}
    proofs = {name: proof.get(name) for name in ("witness", "global_witness", "tree")}
    return first | proofs | {"schema": "modelpact/contract/1"}


def test_files_of_the_first_schema_are_read(contract):
    document = as_first(json.loads(contract.to_json()))
    read = Contract.from_json(json.dumps(document))
    assert read.to_json() == contract.to_json()
    del document["tree"]  # the first of them had none
    assert verify(Contract.from_json(json.dumps(document))).holds
    del document["witness"]
    with pytest.raises(InvalidInput, match="no field 'witness'"):
        Contract.from_json(json.dumps(document))


def test_the_certificate_in_a_file_is_not_believed(contract):
    document = json.loads(contract.to_json())
    document["certificate"] = {"holds": True, "participation_slack": "whatever"}
    document["contribution"][0] += 5.0
    assert not Contract.from_json(json.dumps(document)).certificate.holds


def test_writing_does_not_verify_again(contract, tmp_path, monkeypatch):
    assert contract.certificate.holds
    monkeypatch.setattr("contracts.contract.verify.verify", None)
    contract.save(tmp_path / "contract.json")


def test_the_certificate_of_another_contract_is_not_written(contract):
    population = dataclasses.replace(contract.problem.population, costs=[0.06, 0.04], participants=3)
    other = design_contract(dataclasses.replace(contract.problem, population=population))
    with pytest.raises(
        InvalidInput, match=r"^certificate: it is of another contract, where clinic gains [^\n]*$"
    ):
        contract.to_json(other.certificate)
    alone = Population(costs=[0.1], probabilities=[1.0], participants=10)
    other = design_contract(dataclasses.replace(contract.problem, population=alone))
    with pytest.raises(InvalidInput, match="of another contract, one for 1 types"):
        contract.to_json(other.certificate)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"reason"', '"raeson"', "unknown key 'raeson': did you mean 'reason'"),
        ('"reason": ""', '"reason": "", "reason": "x"', "key 'reason' occurs twice"),
        ('"costs"', '"costs": [1.0, 2.0], "costs"', "key 'costs' occurs twice"),
        ('"seconds"', '"secnods"', "provenance.*unknown key 'secnods': did you mean 'seconds'"),
        ('"witness"', '"witnes"', "proof.*unknown key 'witnes': did you mean 'witness'"),
        ('"rates"', '"rate"', "witness.*unknown key 'rate': did you mean 'rates'"),
        ('"participants": 10', '"participants": NaN', "NaN is no number"),
        ('"participants": 10', '"participants": 1e999', "1e999 is too large"),
        ('"participants": 10', '"participants": 1', "participants = 1: expected a whole number from 2"),
        (
            '"names": ["Klinik Süd", "clinic"]',
            '"names": ["clinic", "Klinik Süd"]',
            "names = .*: expected those of",
        ),
        ('"iterations": ', '"iterations": 0.', "provenance.iterations = .*: expected a int"),
        ('   "excluded": 0', '   "excluded": 3', "witness.excluded = 3: expected a whole number from 0 to 2"),
    ],
)
def test_forged_text_is_refused_in_one_line(contract, old, new, message):
    text = contract.to_json()
    assert old in text
    with pytest.raises(InvalidInput, match=message) as caught:
        Contract.from_json(text.replace(old, new, 1))
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


def test_what_is_not_finite_is_not_written(contract):
    for name, value in (("objective", np.nan), ("contribution", np.array([np.inf, 1.0]))):
        with pytest.raises(InvalidInput, match=name):
            dataclasses.replace(contract, **{name: value}).to_json(contract.certificate)
    broken = dataclasses.replace(contract.certificate, holds=False, tolerance=np.inf)
    assert json.loads(contract.to_json(broken))["certificate"]["tolerance"] is None


def test_a_thousand_types_take_less_than_a_megabyte(contract):
    """Every array of the menu, of the certificate and of two proofs by prices has as many numbers as types."""
    numbers = np.random.default_rng(0).random(1000) + 1.0
    population = Population(costs=numbers, probabilities=numbers / numbers.sum(), participants=20)
    grown = dict.fromkeys(("contribution", "expected_reward", "reservation_utility"), numbers)
    prices = ("contribution", "utility", "feasibility_multipliers", "participation_multipliers")
    witness = dataclasses.replace(contract.proof.witness, **dict.fromkeys(prices, numbers))
    large = dataclasses.replace(
        contract,
        problem=dataclasses.replace(contract.problem, population=population),
        proof=Proof(witness=witness, global_witness=witness),
        **grown,
    )
    slack = {
        field.name: numbers if np.ndim(getattr(contract.certificate, field.name)) == 1 else np.ones((1000, 1000))
        for field in dataclasses.fields(contract.certificate)
        if isinstance(getattr(contract.certificate, field.name), np.ndarray)
    }
    text = large.to_json(dataclasses.replace(contract.certificate, holds=False, **slack))
    assert len(text.encode()) < 1_000_000
    assert text.count("\n") < 120
    assert Contract.from_json(text).contribution.tobytes() == numbers.tobytes()


def evidence(form) -> Proof:
    """Numbers of the right shapes for a problem of three rows and two worlds."""
    rng = np.random.default_rng(3)
    draw = lambda *shape: rng.lognormal(size=shape)  # noqa: E731
    mixtures = Mixtures(rates=draw(4), target_weights=draw(2, 4), value_weights=draw(2, 4))
    cases = Cases(
        mixtures=mixtures,
        kind=np.array([1, 0, -1, -1, -1]),
        index=np.array([1, 2, 0, 0, 0]),
        threshold=draw(5),
        contribution=draw(3, form.rows),
        utility=-draw(3, form.rows),
        level=draw(3),
        feasibility=draw(3, 2, form.rows),
        linear=(draw(6), draw(0), draw(2)),
    )
    tree = Tree(
        row=np.array([1, -1, -1]),
        threshold=draw(3),
        contribution=draw(2, form.rows),
        feasibility_multipliers=draw(2, form.rows),
        participation_multipliers=draw(2, form.rows),
    )
    points = {name: draw(4, form.rows) for name in ("contribution", "utility")}
    points |= {"level": draw(4), "feasibility": draw(4, 2, form.rows), "share": draw(4)}
    by_outcomes = dataclasses.replace(cases, mixtures=None, leaf=np.array([0, 1, 1, 2]), **points)
    return Proof(cases=cases, global_cases=by_outcomes, tree=tree, member=draw(3))


@pytest.fixture(name="form")
def form_fixture():
    population = Population(
        costs=[0.3, 0.2, 0.1],
        probabilities=[0.5, 0.5, 1.0],
        groups=["a", "a", "b"],
        participants={"a": 5, "b": 1},
    )
    return standard_form(
        Problem(
            population=population,
            accuracy=PowerLaw(),
            valuation=LinearValuation(scale=[90.0, 100.0, 120.0]),
            menu=Menu(options=2),
            objective=Welfare(coordinator=0.5),
            scenarios=[Scenario(weight=0.5), Scenario(weight=0.5, probabilities=[0.2, 0.8, 1.0])],
        )
    )


def test_every_proof_comes_back_to_the_bit(form):
    proof = evidence(form)
    data = json.loads(json.dumps(proof_to_data(proof)))
    read = proof_from_data(data, form)
    assert proof_to_data(read) == proof_to_data(proof)
    assert read.witness is None
    for name in ("kind", "index", "threshold", "feasibility"):
        written, back = getattr(proof.cases, name), getattr(read.cases, name)
        assert back.dtype == written.dtype
        assert back.tobytes() == written.tobytes()
    assert read.tree is not None
    assert read.tree.row.dtype == int
    assert [prices.size for prices in read.cases.linear] == [6, 0, 2]
    assert proof_from_data({}, form).cases is None


def test_contracts_of_any_problem_come_back(contract, form):
    numbers = np.array([0.1, 1.0 / 3.0, 2.5])
    columns = dict.fromkeys(("contribution", "expected_reward", "reservation_utility"), numbers)
    rich = dataclasses.replace(
        contract, problem=form.problem, reached=7.0 / 3.0, proof=evidence(form), **columns
    )
    slack = {
        field.name: rich.information_rent
        for field in dataclasses.fields(contract.certificate)
        if isinstance(getattr(contract.certificate, field.name), np.ndarray)
    }
    certificate = dataclasses.replace(contract.certificate, **slack)
    text = rich.to_json(certificate)
    read = Contract.from_json(text)
    assert read.to_json(certificate) == text
    assert read.reached == rich.reached
    assert read.contribution.tobytes() == numbers.tobytes()


FIELDS = [
    (record, field.name)
    for record, cls in (("cases", Cases), ("global_cases", Cases), ("tree", Tree))
    for field in dataclasses.fields(cls)
    if (record, field.name) not in {("cases", "leaf"), ("cases", "share"), ("global_cases", "mixtures")}
]


@pytest.mark.parametrize(("record", "field"), FIELDS)
def test_every_field_of_a_proof_is_checked(form, record, field):
    named = {"mixtures": "rates", "kind": record, "row": record, "leaf": record}.get(
        field, field
    )  # others then seem too long
    for spoil in (lambda _: None, lambda v: v[:-1], lambda v: [*v[:-1], "x"], lambda v: [*v[:-1], float("nan")]):
        data = proof_to_data(evidence(form))
        value = data[record][field]
        data[record][field] = {} if isinstance(value, dict) else spoil(value)
        with pytest.raises(InvalidInput, match=named):
            proof_from_data(data, form)
    data = proof_to_data(evidence(form))
    del data[record][field]
    with pytest.raises(InvalidInput, match=f"no key '{field}'"):
        proof_from_data(data, form)


@pytest.mark.parametrize(
    ("record", "field", "value", "message"),
    [
        ("cases", "kind", [1, 0, -1, -1, 9], r"kind\[4\] = 9: expected a whole number from -1 to"),
        ("cases", "kind", [1, 0, -1, -1, -2], r"kind\[4\] = -2"),
        ("cases", "kind", [1, 0, -1, -1, 0.5], r"kind\[4\] = 0.5"),
        ("cases", "index", [1, 9, 0, 0, 0], r"index\[1\] = 9: expected a whole number from 0 to 8"),
        ("tree", "row", [3, -1, -1], r"row\[0\] = 3: expected a whole number from -1 to 2"),
        ("tree", "row", [1, -1, 2], "contribution has length 2: expected 1"),
        ("cases", "level", [], "level is empty"),
        ("cases", "linear", [[1.0], [2.0]], "expected 3 lists of prices"),
        ("cases", "index", [1, 2, 0, 0], "index has length 4: expected 5"),
    ],
)
def test_numbers_that_no_proof_has_are_refused(form, record, field, value, message):
    data = proof_to_data(evidence(form))
    data[record][field] = value
    with pytest.raises(InvalidInput, match=message):
        proof_from_data(data, form)
