"""All equilibria of a menu: against brute force over strategies and profiles, with and without clauses."""

import dataclasses
import itertools

import numpy as np
import pytest

from contracts import InvalidInput, Menu, Poisson, Population, design_contract, launch_from
from contracts.testing import example_contract
from equilibria import ContractMenu, contract_menu, sign_in_turn

BASE = example_contract().problem
SAFE = {"participation_margin": 0.02, "preference_margin": 0.02}


def designed(costs, chances, participants, **menu):
    population = Population(costs=costs, probabilities=chances, participants=participants)
    return design_contract(dataclasses.replace(BASE, population=population, menu=Menu(**menu)))


def two(participants=10, **menu):
    return designed([0.02, 0.01], [0.5, 0.5], participants, **menu)


def three(participants=10, **menu):
    return designed([0.3, 0.1, 0.03], [0.3, 0.4, 0.3], participants, **menu)


def outcome(contract, signed, who, option):
    """What somebody gets by an option, all signatures known: by settling, or by the contract's own terms."""
    cost = contract.problem.population.costs[who]
    if option == -1:
        return contract.reservation_utility[who]
    if contract.clause is not None:
        settled = contract.settle(np.bincount(signed, minlength=len(contract.contribution)))
        released = settled.released[option]
        gained = settled.value[option] - cost * settled.contribution[option]
        return contract.reservation_utility[who] if released else gained
    total = sum(contract.contribution[k] for k in signed)
    value = min(float(contract.problem.value(total)), contract.rewards("capped").levels[option])
    return value - cost * contract.contribution[option]


def brute(contract):
    """Symmetric pure equilibria by definition: every strategy, every deviation, every profile of the others."""
    population = contract.problem.population
    types, others = population.types, population.participants - 1
    found = []
    for strategy in itertools.product(range(-1, types), repeat=types):
        stable = True
        for who in range(types):
            utility = dict.fromkeys(range(-1, types), 0.0)
            for profile in itertools.product(range(types), repeat=others):
                likely = np.prod(population.probabilities[list(profile)])
                signed = [strategy[k] for k in profile if strategy[k] >= 0]
                for option in utility:
                    mine = [*signed, option] if option >= 0 else signed
                    utility[option] += likely * outcome(contract, mine, who, option)
            stable &= max(utility.values()) <= utility[strategy[who]] + 1e-7
        if stable:
            found.append(strategy)
    return set(found)


@pytest.mark.parametrize(
    "contract",
    [two(3), two(4, assurance="count", **SAFE), two(3, assurance="table", **SAFE), two(3, assurance="cut")],
    ids=["plain", "count", "table", "cut"],
)
def test_they_are_those_of_the_definition(contract):
    found = contract_menu(contract).equilibria()
    assert {tuple(one.choices.tolist()) for one in found} == brute(contract)
    assert found.considered == 9
    for one in found:
        assert (one.slack >= -1e-7).all()
        assert one.strict == bool((one.slack > 1e-7).all()) or not one.strict


def test_the_numbers_of_the_study():
    assert len(contract_menu(two()).equilibria()) == 4
    assert len(contract_menu(three()).equilibria()) == 4
    assert len(contract_menu(launch_from(two())).equilibria()) == 4
    for contract in (two(assurance="count", **SAFE), three(assurance="count", **SAFE)):
        truth, nobody = contract_menu(contract).equilibria()
        assert truth.truthful
        assert truth.strict
        assert truth.objective == pytest.approx(contract.objective, abs=1e-9)
        assert (nobody.choices == -1).all()
        assert not nobody.strict
        assert len(nobody.stays_out) == len(nobody.names)


@pytest.mark.slow
def test_five_types_are_counted():
    assert len(contract_menu(example_contract()).equilibria()) == 15
    stated = dataclasses.replace(BASE, menu=Menu(assurance="count", **SAFE))
    found = contract_menu(design_contract(stated)).equilibria()
    assert found.considered == 7776
    assert [one.truthful for one in found] == [True, False]


def test_participants_of_a_type_may_differ():
    plain = contract_menu(two(3)).equilibria(asymmetric=True)
    assert plain.considered == 165
    assert len(plain) == 5
    found = contract_menu(two(4, assurance="table", **SAFE)).equilibria(asymmetric=True)
    truth, *others = found
    assert truth.truthful
    least = 2  # signatures for a launch: in all others at most none of the others' ever meets another's
    for one in others:
        assert one.objective == 0.0
        assert (np.asarray(one.choices) >= 0).any(axis=1).sum() <= least - 2


def test_named_participants_and_groups():
    population = Population(costs=[0.02, 0.015, 0.01], participants="named")
    contract = design_contract(dataclasses.replace(BASE, population=population))
    found = contract_menu(contract).equilibria()
    assert found[0].truthful
    assert any((one.choices == -1).all() for one in found)
    assert found[0].objective == pytest.approx(contract.objective, abs=1e-9)
    crowd = two(Poisson(mean=5.0))
    assert contract_menu(crowd).equilibria()[0].objective == pytest.approx(crowd.objective, abs=1e-6)


def test_signing_in_turn():
    plain, launched = three(5), three(5, assurance="count", **SAFE)
    assert sign_in_turn(plain, ties="leave").signatures == 0.0
    found = sign_in_turn(launched, ties="leave")
    assert found.all_sign == 1.0
    assert found.first.tolist() == [0, 1, 2]
    assert found.objective == pytest.approx(launched.objective, abs=1e-9)
    assert np.allclose(found.first_gain, launched.guarantee - launched.reservation_utility)


def test_bad_input():
    with pytest.raises(InvalidInput, match="expected the menu of a contract"):
        ContractMenu(costs=[1.0], contributions=[1.0], values=[2.0], reservation_utilities=[0.0]).equilibria()
    with pytest.raises(InvalidInput, match="expected one group of a known number"):
        contract_menu(two(Poisson(mean=5.0))).equilibria(asymmetric=True)
    with pytest.raises(InvalidInput, match="profiles: expected at most"):
        contract_menu(two(10)).equilibria(asymmetric=True)
    with pytest.raises(InvalidInput, match="ties"):
        sign_in_turn(two(3), ties="toss")
    with pytest.raises(InvalidInput, match="expected one group of a known number"):
        sign_in_turn(two(Poisson(mean=5.0)))
