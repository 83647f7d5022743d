"""Contracts that were made to look optimal: none is called so, whatever was done to its proof."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts import (
    Arctan,
    Contract,
    CustomCurve,
    Exponential,
    GeneralizationBound,
    LinearValuation,
    MonotoneTabulated,
    Population,
    PowerLaw,
    Problem,
    design_contract,
    verify,
)
from contracts.contract.plain_design import null_contract
from contracts.problem.outcomes import total_data
from contracts.problem.reservation import reservation
from contracts.proof.evidence import Proof
from contracts.proof.witness import Tree

FORGERIES = Path(__file__).parent / "forgeries"
NUMBERS = (np.nan, np.inf, -np.inf, 1e100, 1e308, -1.0, -1e-12, 0.0)


def stated(costs, participants, accuracy, **other):
    share = np.ones(len(costs)) / len(costs)
    population = Population(costs=costs, probabilities=share, participants=participants)
    return Problem(population=population, accuracy=accuracy, valuation=LinearValuation(scale=100.0), **other)


PROBLEMS = {
    "floor": stated([0.2, 0.1, 0.04], 6, GeneralizationBound()),
    "ex-ante": stated(
        [0.2, 0.1, 0.04], 6, PowerLaw(optimum=0.95, coefficient=2.0, exponent=0.4), belief="ex-ante"
    ),
    "no floor": stated([0.2, 0.1, 0.04], 6, Exponential(optimum=0.9, rate=0.005)),
    "outcomes": stated([0.2, 0.04], 4, Arctan(optimum=0.9, scale=100.0)),
    "left out": stated([1.0, 0.4], 6, GeneralizationBound()),
    "branched": stated([0.9, 0.6], 3, MonotoneTabulated(data=[50, 100, 200], accuracy=[0.05, 0.6, 0.8])),
}
_DESIGNED: dict[str, Contract] = {}


def designed(name) -> Contract:
    if name not in _DESIGNED:
        _DESIGNED[name] = design_contract(PROBLEMS[name])
    return _DESIGNED[name]


def with_menu(contract, contribution, reward) -> Contract:
    """Another menu under the proof of a contract, with everything stated as it is."""
    problem = contract.problem
    population = problem.population
    law = total_data(contribution, population.probabilities, population.participants)
    return dataclasses.replace(
        contract,
        contribution=contribution,
        expected_reward=reward,
        objective=law.expectation(problem.value),
        expected_accuracy=law.expectation(problem.accuracy),
        reached=law.expectation(problem.target),
    )


def by_themselves(contract) -> Contract:
    """A contract that holds and is worse: everybody brings what it would use alone, for the model of that."""
    alone = reservation(contract.problem)
    return with_menu(
        contract, alone.contribution, alone.utility + contract.problem.population.costs * alone.contribution
    )


@pytest.mark.parametrize("name", sorted(path.name for path in FORGERIES.glob("*.json")))
def test_no_forged_file_is_called_optimal(name):
    certificate = verify(Contract.load(FORGERIES / name))
    assert certificate.holds
    assert (certificate.optimal, certificate.gap) == (False, None)
    assert certificate.verdict.startswith("every promise holds; optimality not proved: ")


def test_a_type_left_out_for_no_reason_is_named_with_its_scope():
    certificate = verify(Contract.load(FORGERIES / "left_out.json"))
    assert certificate.as_solved_gap < 1e-8
    assert "contracts that ask nothing of the dearest cost" in certificate.scope


@pytest.mark.parametrize("name", list(PROBLEMS))
def test_designs_are_proved(name):
    certificate = verify(designed(name))
    assert certificate.holds, certificate
    assert certificate.optimal, certificate
    assert (
        certificate.verdict == f"every promise holds; no contract is better by more than {certificate.gap:.3g}"
    )


@pytest.mark.parametrize("name", list(PROBLEMS))
def test_deleted_proofs_prove_nothing(name):
    bare = dataclasses.replace(designed(name), proof=Proof())
    certificate = verify(bare)
    assert certificate.holds
    assert (certificate.optimal, certificate.gap, certificate.as_solved_gap) == (False, None, None)
    assert certificate.missing == "the contract carries no proof"


def test_the_null_contract_is_no_exception():
    problem = stated([1.0, 0.4], 10, GeneralizationBound())
    nothing = null_contract(problem, None, 0.0)
    certificate = verify(nothing)
    assert certificate.holds
    assert (certificate.optimal, certificate.gap) == (False, None)
    forged = dataclasses.replace(nothing, proof=Proof(global_witness=design_contract(problem).global_witness))
    certificate = verify(forged)
    assert not certificate.optimal
    assert certificate.gap > 71.0


def test_where_nobody_can_afford_a_model_the_null_contract_is_proved():
    problem = stated([50.0, 40.0], 3, PowerLaw(optimum=0.9, coefficient=9.0, exponent=0.5))
    assert problem.most_data <= problem.accuracy.floor
    certificate = verify(null_contract(problem, None, 0.0))
    assert certificate.optimal
    assert certificate.gap == 0.0
    assert not verify(null_contract(stated([0.5, 0.4], 9, problem.accuracy), None, 0.0)).optimal


def test_prices_so_large_that_their_sums_are_none():
    contract = designed("branched")
    assert contract.tree is not None
    worse = by_themselves(contract)
    for price in (1e300, 1e308):
        huge = dataclasses.replace(
            contract.tree,
            feasibility_multipliers=np.full_like(contract.tree.feasibility_multipliers, price),
            participation_multipliers=np.full_like(contract.tree.participation_multipliers, price),
        )
        nothing = null_contract(contract.problem, None, 0.0)
        for menu in (contract, worse, nothing):
            certificate = verify(dataclasses.replace(menu, proof=Proof(tree=huge)))
            assert not certificate.optimal
            assert certificate.gap is None or certificate.gap > 1.0


def test_prices_of_the_program_as_solved_say_nothing_about_the_true_curve():
    contract = designed("floor")
    contract = dataclasses.replace(contract, proof=Proof(witness=contract.proof.witness))
    certificate = verify(contract)
    assert certificate.scope == "the curve continued below its floor"
    assert certificate.as_solved_gap < 1e-8
    assert (certificate.optimal, certificate.gap) == (False, None)
    assert "is about the curve continued below its floor" in certificate.missing


def test_a_tree_that_leaves_much_open_says_how_much():
    contract = designed("branched")
    worse = by_themselves(contract)
    certificate = verify(worse)
    assert certificate.holds
    assert not certificate.optimal
    assert certificate.gap >= contract.objective - worse.objective
    assert f"another contract may be better by {certificate.gap:.3g}" in certificate.missing


def test_a_proof_by_prices_needs_a_concave_curve():
    """Of a curve with inflections the linearised loss bounds nothing, whatever a file says."""
    bent = CustomCurve(function=lambda x: 0.95 * x**2 / (x**2 + 150.0**2), optimum=0.95)
    problem = stated([0.3, 0.1], 3, bent)
    utility = reservation(problem).utility + 1.0
    borrowed = dataclasses.replace(
        designed("outcomes").witness, contribution=np.array([20.0, 40.0]), utility=utility
    )
    contract = dataclasses.replace(
        by_themselves(dataclasses.replace(designed("outcomes"), problem=problem)),
        reservation_utility=reservation(problem).utility,
        proof=Proof(witness=borrowed, global_witness=borrowed),
    )
    certificate = verify(contract)
    assert (certificate.gap, certificate.as_solved_gap) == (None, None)
    assert "concave" in certificate.missing


@settings(max_examples=120, deadline=None)
@given(data=st.data(), name=st.sampled_from([*PROBLEMS]), worse=st.booleans())
def test_whatever_is_done_to_a_proof_no_worse_contract_is_proved(data, name, worse):
    best = designed(name)
    contract = by_themselves(best) if worse else best
    proofs = {field: getattr(best, field) for field in ("witness", "global_witness", "tree")}
    part = data.draw(st.sampled_from([field for field, proof in proofs.items() if proof is not None]))
    kept = data.draw(st.booleans())
    changes = proofs if kept else dict.fromkeys(proofs)
    forged = dataclasses.replace(contract, proof=Proof(**(changes | {part: _damaged(proofs[part], data)})))
    certificate = verify(forged)
    assert certificate.holds
    lost = best.objective - contract.objective
    unit = contract.problem.largest_target
    assert certificate.gap is None or certificate.gap >= lost - 1e-7 * unit
    assert certificate.gap is None or 0.0 <= certificate.gap < np.inf


def _damaged(proof, data):
    fields = [field.name for field in dataclasses.fields(proof)]
    name = data.draw(st.sampled_from(fields))
    if name == "excluded":
        return dataclasses.replace(proof, excluded=data.draw(st.sampled_from([-1, 0, 1, 2, 3, 99, 0.5, None])))
    values = np.array(getattr(proof, name), dtype=float)
    if not values.size:
        return dataclasses.replace(proof, **{name: np.ones(3)})
    how = data.draw(st.sampled_from(["set", "scale", "reverse", "shape", "all", "another"]))
    if how == "set":
        values.flat[data.draw(st.integers(0, values.size - 1))] = data.draw(st.sampled_from(NUMBERS))
    elif how == "scale":
        values = values * data.draw(st.sampled_from([-1.0, 1e-9, 0.5, 0.999, 1.001, 2.0, 1e12, 1e250]))
    elif how == "reverse":
        values = values[::-1]
    elif how == "shape":
        values = values.ravel()[:-1]
    elif how == "all":
        values = np.full_like(values, data.draw(st.sampled_from(NUMBERS)))
    else:
        values = np.abs(np.random.default_rng(data.draw(st.integers(0, 99))).normal(size=values.shape)) * 10.0
    if isinstance(proof, Tree) and name == "row":
        values = np.nan_to_num(values, nan=-1.0, posinf=7.0, neginf=-7.0).clip(-9, 9).astype(int)
    return dataclasses.replace(proof, **{name: values})


@settings(max_examples=80, deadline=None)
@given(data=st.data(), name=st.sampled_from([*PROBLEMS]))
def test_whatever_is_done_to_a_menu_no_broken_promise_is_called_kept(data, name):
    contract = designed(name)
    problem, costs = contract.problem, contract.problem.population.costs
    m, t = contract.contribution.copy(), contract.expected_reward.copy()
    values = data.draw(st.sampled_from([m, t]))
    how = data.draw(st.sampled_from(["set", "scale", "reverse", "swap"]))
    if how == "set":
        values[data.draw(st.integers(0, values.size - 1))] = data.draw(st.sampled_from(NUMBERS))
    elif how == "scale":
        values *= data.draw(st.sampled_from([-1.0, 0.5, 0.9, 1.0 - 1e-6, 1.0 + 1e-6, 1.1, 1e9]))
    elif how == "reverse":
        values[:] = values[::-1].copy()
    else:
        m, t = t.copy(), m.copy()
    forged = dataclasses.replace(contract, contribution=m, expected_reward=t)
    if np.isfinite(m).all() and (m >= 0).all() and m.max() < 1e12:
        forged = with_menu(contract, m, t)
    certificate = verify(forged)
    if certificate.holds:
        utility = t - costs * m
        assert (utility >= contract.reservation_utility - 1e-6).all()
        assert (t - np.outer(costs, m) <= utility[:, None] + 1e-6).all()
        assert (t <= problem.largest_value).all()
        assert forged.objective <= contract.objective + verify(contract).gap + 1e-6


def test_contributions_beyond_all_worth_are_named():
    contract = designed("outcomes")
    certificate = verify(dataclasses.replace(contract, contribution=np.array([1e300, 1e300])))
    assert not certificate.holds
    assert certificate.violations[0].startswith("contribution: type 1 would contribute 1e+300 data")
