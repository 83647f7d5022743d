"""All equilibria of menus of every kind, by the definition: each strategy, each deviation, each draw of the
others.

A type's strategy is the option that it takes or staying out; data are counted one participant after the other,
models are the trained one up to the cap of the option taken, in each type's own units.
"""

import dataclasses
import itertools

import numpy as np
import pytest

from contracts import (
    Binomial,
    LinearValuation,
    Menu,
    Outside,
    Population,
    Scenario,
    Welfare,
    design_contract,
    launch_from,
)
from contracts.testing import example_contract
from equilibria import contract_menu

BASE = example_contract().problem
TWO = {"costs": [0.02, 0.01], "probabilities": [0.5, 0.5], "participants": 3}
CLOSE = 1e-7


def made(population=None, **parts):
    population = Population(**(TWO if population is None else population))
    return design_contract(dataclasses.replace(BASE, population=population, **parts), time_limit=1.0)


GROUPS = {
    "costs": [0.02, 0.01, 0.03, 0.015],
    "probabilities": [0.5, 0.5, 0.4, 0.6],
    "participants": (2, 2),
    "groups": ["a", "a", "b", "b"],
}
KINDS = {
    "plain": made(),
    "lots": made(menu=Menu(lot=300.0)),
    "one option": made(menu=Menu(options=1)),
    "named": made({"costs": [0.02, 0.015, 0.01], "participants": "named"}),
    "groups": made(GROUPS),
    "outside": made(outside=Outside(utility=[50.0, 60.0], joining_cost=0.5)),
    "scales and qualities": made(
        TWO | {"qualities": [0.8, 1.0]}, valuation=LinearValuation(scale=[90.0, 110.0])
    ),
    "capacities": made(TWO | {"capacities": [3000.0, 9000.0]}),
    "objective": made(objective=Welfare(coordinator=1.0)),
    "turnout": made(TWO | {"participants": Binomial(trials=3, probability=0.8)}),
    "scenarios": made(scenarios=[Scenario(weight=0.5), Scenario(weight=0.5, probabilities=[0.3, 0.7])]),
    "count": made(menu=Menu(assurance="count", participation_margin=0.02, preference_margin=0.02)),
    "table": made(menu=Menu(assurance="table", participation_margin=0.02, preference_margin=0.02)),
    "cut": made(menu=Menu(assurance="cut")),
    "contingent": made(menu=Menu(assurance="contingent")),
    "contingent margins": made(
        menu=Menu(assurance="contingent", participation_margin=0.05, preference_margin=0.05)
    ),
    "launched": launch_from(made({"costs": [0.02, 0.019], "probabilities": [0.5, 0.5], "participants": 3})),
}


def draws_of_others(contract, who):
    """Everybody else's types with probabilities, as somebody of this type believes; by scenario 0."""
    population = contract.problem.population
    groups, laws = population.group_of, population.laws
    found = [((), 1.0)]
    for g, law in enumerate(laws):
        members = np.flatnonzero(groups == g)
        chances = contract.form.worlds[0].probabilities[contract.form.row[members]]
        law = law.others() if g == groups[who] else law
        after = []
        for number, mass in zip(*law.support, strict=True):
            for types in itertools.product(range(members.size), repeat=int(number)):
                likely = mass * np.prod([chances[k] for k in types])
                after.append((tuple(members[list(types)]), likely))
        found = [(a + b, p * q) for a, p in found for b, q in after]
    return found


def gained(contract, signed, who, option, caps):
    """What a type gets by an option over staying out, all signatures known."""
    problem, form = contract.problem, contract.form
    if option == -1:
        return 0.0
    joining = float(np.broadcast_to(problem.outside.joining_cost, (form.row.size,))[who])
    if contract.clause is not None:
        settled = contract.settle(np.bincount(signed, minlength=form.row.size))
        if settled.released[option]:
            return 0.0
        value = settled.value[option] / form.relative[option]
        data = settled.contribution[option] * form.effective[option]
    else:
        total = sum(contract.contribution[k] * form.effective[k] for k in signed)
        value = min(float(form.worlds[0].plain.value(total)), caps[option] / form.relative[option])
        data = contract.contribution[option] * form.effective[option]
    cost = problem.population.costs[who] / form.effective[who]
    return form.relative[who] * value - cost * data - joining - contract.reservation_utility[who]


def takes(contract, who):
    """The options that a type may take, -1 for none; of those that are alike the first."""
    form, groups = contract.form, contract.problem.population.group_of
    data = contract.contribution * form.effective
    found = [-1]
    for k in range(groups.size):
        served = data[k] > 0.0 or contract.expected_reward[k] > 0.0
        if groups[k] != groups[who] or not served:
            continue
        if data[k] > form.reach[form.row[who]] * (1.0 + 1e-9) and k != who and contract.clause is None:
            continue
        alike = [
            j
            for j in found
            if j >= 0
            and abs(data[j] - data[k]) < 1e-9 * data.max()
            and abs(
                contract.expected_reward[j] / form.relative[j] - contract.expected_reward[k] / form.relative[k]
            )
            < 1e-9 * 100.0
        ]
        if alike:
            continue
        found.append(k)
    return found


def brute(contract):
    types = contract.problem.population.types
    caps = None if contract.clause is not None else contract.rewards("capped").levels
    may = [takes(contract, who) for who in range(types)]
    beliefs = [draws_of_others(contract, who) for who in range(types)]
    found = set()
    for strategy in itertools.product(*may):
        stable = True
        for who in range(types):
            utility = dict.fromkeys(may[who], 0.0)
            for others, likely in beliefs[who]:
                signed = [strategy[k] for k in others if strategy[k] >= 0]
                for option in utility:
                    mine = [*signed, option] if option >= 0 else signed
                    utility[option] += likely * gained(contract, mine, who, option, caps)
            stable &= max(utility.values()) <= utility[strategy[who]] + CLOSE
        if stable:
            found.add(strategy)
    return found


def canonical(contract, choices):
    """A strategy with each option named by the first type for which one like it was made."""
    form = contract.form
    data = contract.contribution * form.effective
    names = []
    for who, k in enumerate(choices):
        if k < 0:
            names.append(-1)
            continue
        same = [j for j in takes(contract, who) if j >= 0 and abs(data[j] - data[k]) < 1e-9 * data.max()]
        names.append(same[0] if same else k)
    return tuple(names)


@pytest.mark.parametrize("kind", KINDS)
def test_they_are_those_of_the_definition(kind):
    contract = KINDS[kind]
    found = contract_menu(contract).equilibria()
    assert {canonical(contract, one.choices.tolist()) for one in found} == brute(contract)
    assert found[0].truthful


@pytest.mark.parametrize("kind", ["plain", "lots", "count", "cut", "contingent"])
def test_asymmetric_ones_contain_the_symmetric(kind):
    contract = KINDS[kind]
    symmetric = {tuple(one.choices.tolist()) for one in contract_menu(contract).equilibria()}
    found = contract_menu(contract).equilibria(asymmetric=True)
    alike = [np.asarray(one.choices) for one in found]
    assert symmetric == {tuple(rows[0].tolist()) for rows in alike if (rows == rows[0]).all()}
