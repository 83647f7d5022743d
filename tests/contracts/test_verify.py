"""Certificates: they hold for designs, and name what breaks when a number is changed."""

import dataclasses
import json

import numpy as np
import pytest

from contracts import Arctan, Contract, GeneralizationBound, InvalidInput, design_contract, verify
from contracts.proof.evidence import Proof
from contracts.proof.witness import Witness

NUMBERS = [
    (("contribution", 0), 1.01, ("individual rationality", "incentive compatibility", "objective")),
    (("contribution", 4), 0.99, ("incentive compatibility", "objective", "feasibility")),
    (("expected_reward", 0), 0.999, ("individual rationality", "incentive compatibility")),
    (("expected_reward", 2), 1.05, ("incentive compatibility", "feasibility")),
    (("reservation_utility", 1), 1.1, ("reservation utility",)),
    (("objective",), 1.0001, ("objective",)),
    (("expected_accuracy",), 0.999, ("expected accuracy",)),
    (("problem", "population", "costs", 0), 1.1, ("individual rationality", "reservation utility")),
    (("problem", "population", "participants"), 2, ("objective", "feasibility")),
    (("problem", "accuracy", "complexity"), 1.2, ("reservation utility", "objective")),
    (("problem", "valuation", "scale"), 0.9, ("reservation utility", "objective")),
]


@pytest.fixture(scope="module", name="text")
def text_fixture():
    from contracts import GeneralizationBound, LinearValuation, Population, Problem

    population = Population(costs=[0.2, 0.16, 0.12, 0.08, 0.04], probabilities=[0.2] * 5, participants=10)
    problem = Problem(
        population=population, accuracy=GeneralizationBound(), valuation=LinearValuation(scale=100.0)
    )
    return design_contract(problem).to_json()


@pytest.mark.parametrize(("path", "factor", "named"), NUMBERS, ids=lambda v: str(v)[:40])
def test_a_changed_number_is_found_and_named(text, path, factor, named):
    document = json.loads(text)
    place = document
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = place[path[-1]] * factor
    certificate = verify(Contract.from_json(json.dumps(document)))
    assert not certificate.holds
    assert any(sentence.startswith(word) for sentence in certificate.violations for word in named), certificate


def test_the_untouched_file_holds(text):
    assert verify(Contract.from_json(text)).holds


@pytest.mark.parametrize("belief", ["interim", "ex-ante"])
def test_a_worse_contract_is_refused_for_optimality_alone(build, belief):
    problem = build([0.2, 0.04], 10, belief=belief)
    best = design_contract(problem)
    worse = design_contract(build([0.2, 0.04], 10, belief=belief, probabilities=[0.6, 0.4]))
    menu = {name: getattr(worse, name) for name in ("contribution", "expected_reward")}
    mixed = dataclasses.replace(best, **menu)
    certificate = verify(mixed)
    assert not certificate.optimal
    assert not certificate.holds or certificate.gap is None or certificate.gap > 0.1


def test_bounds_hold_for_any_prices(build):
    """Weak duality does not depend on the solver: other prices give bounds that are valid, only looser."""
    contract = design_contract(build([0.2, 0.1, 0.04], 10))
    rng = np.random.default_rng(0)
    assert contract.witness is not None
    for _ in range(20):
        # (What is looser than the whole of the objective is not told.)
        prices = contract.witness.feasibility_multipliers * rng.uniform(0.8, 1.2, 3)
        witness = dataclasses.replace(contract.witness, feasibility_multipliers=prices)
        gap = verify(
            dataclasses.replace(contract, proof=dataclasses.replace(contract.proof, witness=witness))
        ).as_solved_gap
        assert gap is not None
        assert gap >= -1e-10


def test_without_a_proof_no_bound_is_claimed(build):
    contract = design_contract(build([0.2, 0.04], 10))
    bare = dataclasses.replace(contract, proof=Proof())
    certificate = verify(bare)
    assert certificate.as_solved_gap is None
    assert certificate.gap is None
    assert certificate.feasibility_slack.min() == pytest.approx(
        verify(contract).feasibility_slack.min(), abs=1e-8
    )


def test_the_proof_is_plain_numbers():
    assert {field.name for field in dataclasses.fields(Witness)} >= {"rates", "feasibility_multipliers"}


@pytest.mark.parametrize("number", [-5.0, np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("field", ["contribution", "expected_reward", "reservation_utility"])
def test_numbers_that_are_none_break_what_they_stand_for(build, field, number):
    contract = design_contract(build([0.2, 0.04], 10))
    values = getattr(contract, field).copy()
    values[0] = number
    certificate = verify(dataclasses.replace(contract, **{field: values}))
    assert not certificate.holds
    if field == "contribution":
        assert certificate.violations[0] == f"contribution: type 1 would contribute {number:g} data"


def test_menus_of_another_shape_are_refused(build):
    contract = design_contract(build([0.2, 0.04], 10))
    with pytest.raises(InvalidInput, match=r"expected_reward has shape \(3,\): expected \(2,\)"):
        verify(dataclasses.replace(contract, expected_reward=np.ones(3)))


def test_a_proof_that_leaves_types_out_proves_nothing_about_the_others(build):
    contract = design_contract(build([0.2, 0.04], 10))
    forged = dataclasses.replace(contract.witness, excluded=1)
    certificate = verify(
        dataclasses.replace(contract, proof=dataclasses.replace(contract.proof, witness=forged))
    )
    assert certificate.as_solved_gap is None or certificate.scope == ""
    forged = dataclasses.replace(contract.global_witness, excluded=1)
    certificate = verify(
        dataclasses.replace(contract, proof=dataclasses.replace(contract.proof, global_witness=forged))
    )
    assert certificate.gap is None
    assert "the proof leaves out types that contribute" in certificate.missing


@pytest.mark.parametrize(
    "curve", [Arctan(optimum=0.9, scale=50.0), GeneralizationBound()], ids=lambda c: c.family
)
@pytest.mark.parametrize("share", [1e-17, 1e-12, 1e-8])
def test_types_that_hardly_ever_occur_have_promises_too(build, curve, share):
    problem = build([0.2, 0.04], 10, probabilities=[share, 1.0 - share], accuracy=curve, belief="ex-ante")
    certificate = verify(design_contract(problem))
    assert certificate.holds, "\n".join(certificate.violations)


@pytest.mark.parametrize("belief", ["interim", "ex-ante"])
def test_expectations_are_confirmed_over_all_outcomes_where_they_are_few(build, belief):
    contract = design_contract(build([0.2, 0.16, 0.12, 0.08, 0.04], 10, belief=belief))
    assert verify(contract).independent_check == "expectations over all outcomes"
    dear = dataclasses.replace(contract.witness, value_weights=contract.witness.value_weights * (1.0 - 1e-5))
    certificate = verify(dataclasses.replace(contract, proof=dataclasses.replace(contract.proof, witness=dear)))
    assert certificate.holds
    assert certificate.as_solved_gap == certificate.gap  # the other proof stands


def test_expectations_are_simulated_where_outcomes_are_many(build):
    contract = design_contract(build([0.2, 0.16, 0.12, 0.08, 0.04], 1000))
    assert "simulation of 4000 draws" in verify(contract).independent_check
    dear = dataclasses.replace(contract.witness, value_weights=contract.witness.value_weights * 0.9)
    certificate = verify(dataclasses.replace(contract, proof=dataclasses.replace(contract.proof, witness=dear)))
    assert "on a lattice; simulation of 4000 draws" in certificate.independent_check
