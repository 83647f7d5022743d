"""The convex program of a case: prices that prove the optimum, oracles, and cases without contracts."""

import dataclasses

import numpy as np
import pytest
from scipy import optimize

from contracts.problem import Problem
from contracts.problem.accuracy import Exponential, GeneralizationBound, PowerLaw
from contracts.problem.cases import (
    APART,
    BLOCKED,
    REACHABLE,
    SERVED,
    SHARED,
    STAYS,
    UNDECIDED,
    linear_constraints,
    whole,
)
from contracts.problem.menu import Menu
from contracts.problem.objective import DistributionCost, NashBargaining, Rawlsian, Welfare
from contracts.problem.outside import Outside
from contracts.problem.participants import Poisson
from contracts.problem.population import Population
from contracts.problem.scenario import Scenario
from contracts.problem.valuation import LinearValuation
from contracts.program.case_program import dual_bound, idle_of, shortfall, value_at
from contracts.program.convex_program import solve
from contracts.program.first_moment import prepare
from contracts.program.interior_point import solve as solve_plain
from contracts.program.worlds import expected

COSTS = np.geomspace(0.2, 0.04, 5)
PEOPLE = Population(costs=COSTS, probabilities=np.full(5, 0.2), participants=10)
GROUPS = Population(
    costs=COSTS,
    probabilities=[0.4, 0.6, 0.3, 0.7, 1.0],
    participants={"a": Poisson(mean=4.0), "b": 3, "c": 1},
    groups=["a", "a", "b", "b", "c"],
)
CAPPED = Population(
    costs=COSTS, probabilities=np.full(5, 0.2), participants=10, capacities=[30, 40, 60, 90, 200]
)


def problem(**parts):
    base = {
        "population": PEOPLE,
        "accuracy": GeneralizationBound(),
        "valuation": LinearValuation(scale=100.0),
    }
    return Problem(**(base | parts))


PROBLEMS = {
    "plain": problem(),
    "groups": problem(population=GROUPS),
    "named": problem(population=Population(costs=COSTS, participants="named")),
    "scenarios": problem(
        scenarios=[Scenario(weight=0.3, accuracy=PowerLaw(coefficient=3.0)), Scenario(weight=0.7)]
    ),
    "groups in scenarios": problem(
        population=GROUPS,
        scenarios=[Scenario(weight=0.3, probabilities=[0.9, 0.1, 0.5, 0.5, 1]), Scenario(weight=0.7)],
    ),
    "capacities": problem(population=CAPPED),
    "scales": problem(
        valuation=LinearValuation(scale=[50.0, 100, 120, 80, 200]), objective=Welfare(coordinator=0.5)
    ),
    "welfare": problem(objective=Welfare()),
    "least gain": problem(objective=Rawlsian()),
    "least utility": problem(objective=Rawlsian(over="utility", coordinator=0.1)),
    "bargaining": problem(objective=NashBargaining()),
    "delivery": problem(objective=DistributionCost(rate=1e-3, exponent=1.5)),
    "margin": problem(menu=Menu(participation_margin=1.0)),
    "negative outside": problem(outside=Outside(utility=[-5.0, -5.0, 0.0, 0.0, 0.0])),
    "baseline": problem(baseline=0.5),
}


@pytest.mark.parametrize("name", PROBLEMS)
def test_prices_prove_the_optimum(name, compiled, independent_bound):
    form, _, _, at = compiled(PROBLEMS[name])
    case = whole(form)
    found = solve(at, case)
    point = found.point
    value = value_at(at, case, point.contribution, point.utility, point.level)
    bound = independent_bound(at, case, point)
    assert found.error <= 1e-10
    assert bound == pytest.approx(found.bound, abs=1e-10 * at.unit)
    assert -1e-10 * at.unit <= bound - value <= 1e-9 * at.unit
    assert shortfall(at, case, point.contribution, point.utility) <= 1e-10 * at.value_unit
    linear = linear_constraints(form, case, at.asked)
    excess = linear.by_x @ point.contribution + linear.by_u @ point.utility + linear.by_z * point.level
    assert (excess - linear.least >= -1e-9 * at.value_unit).all()
    assert (point.linear >= 0.0).all()
    assert (point.feasibility >= 0.0).all()


def changed(form, **parts):
    return dataclasses.replace(whole(form), **{name: np.array(value) for name, value in parts.items()})


CASES = [
    ("plain", {"link": [SHARED, APART, SHARED, APART]}),
    ("plain", {"link": [SHARED] * 4}),
    ("plain", {"high": [0.0, 0.0, np.inf, np.inf, np.inf]}),
    ("plain", {"high": [np.inf, np.inf, 0.0, np.inf, np.inf]}),
    ("plain", {"low": [60.0] * 5, "high": [60.0] * 5}),
    ("plain", {"low": [20.0, 20, 30, 30, 150], "high": [20.0, 20, 30, 30, 150]}),
    ("groups", {"link": [SHARED, 0, APART, 0], "high": [np.inf, np.inf, 100.0, 100.0, np.inf]}),
    ("capacities", {"reach": [BLOCKED, REACHABLE, UNDECIDED, REACHABLE]}),
    ("negative outside", {"service": [STAYS, SERVED, SERVED, SERVED, SERVED]}),
    ("negative outside", {"service": [2, SERVED, 2, SERVED, SERVED]}),
    ("welfare", {"link": [SHARED, SHARED, APART, SHARED], "high": [50.0, 80, 90, np.inf, np.inf]}),
    ("least gain", {"link": [SHARED, SHARED, APART, SHARED], "low": [10.0, 0, 0, 0, 0]}),
]


@pytest.mark.parametrize(("name", "parts"), CASES)
def test_every_case_has_prices_too(name, parts, compiled, independent_bound):
    form, _, _, at = compiled(PROBLEMS[name])
    case = changed(form, **parts)
    found = solve(at, case)
    point = found.point
    value = value_at(at, case, point.contribution, point.utility, point.level)
    assert found.broken == 0.0
    assert -1e-10 * at.unit <= found.bound - value <= 1e-9 * at.unit
    assert found.bound == pytest.approx(independent_bound(at, case, point), abs=1e-10 * at.unit)
    x = point.contribution
    for k in np.flatnonzero(case.link == SHARED):
        assert form.group[k] != form.group[k + 1] or x[k] == pytest.approx(x[k + 1], rel=1e-12, abs=1e-12)


def test_it_is_the_published_program(compiled):
    form, _, _, at = compiled(PROBLEMS["plain"])
    found = solve(at, whole(form))
    model = prepare(form.worlds[0].plain)
    plain = solve_plain(model.program, "interim")
    best = (1.0 - plain.loss) * model.target_unit
    assert found.bound == pytest.approx(best, rel=1e-12)


@pytest.mark.parametrize("name", ["plain", "groups", "welfare", "delivery", "scenarios", "capacities"])
def test_no_local_search_finds_better(name, compiled):
    stated = PROBLEMS[name]
    form, asked, _, at = compiled(stated)
    case = whole(form)
    linear, idle, rows = linear_constraints(form, case, asked), idle_of(at, case), form.rows
    found = solve(at, case)

    def parts(v):
        return np.maximum(v[:rows], 0.0) * at.data_unit, v[rows:] * at.value_unit

    def worth(v):
        return -value_at(at, case, *parts(v), 0.0) / at.unit

    def slack(v):
        x, u = parts(v)
        losses = expected(at.worlds, x / at.data_unit, idle).value_loss
        promises = at.worlds.top_value[:, None] - losses - (u + form.costs * x) / at.value_unit
        rest = (linear.by_x @ x + linear.by_u @ u - linear.least) / at.value_unit
        return np.concatenate([promises.ravel(), rest])

    best = -np.inf
    start = np.concatenate([found.point.contribution / at.data_unit, found.point.utility / at.value_unit])
    for shift in (0.0, 0.1, 0.3):
        run = optimize.minimize(
            worth, start + shift * np.linspace(-1, 1, start.size) ** 2, method="SLSQP",
            constraints={"type": "ineq", "fun": slack}, options={"maxiter": 200, "ftol": 1e-13},
        )  # fmt: skip
        if slack(run.x).min() > -1e-9:
            best = max(best, -run.fun)
    value = value_at(at, case, found.point.contribution, found.point.utility, 0.0) / at.unit
    assert best <= value + 1e-7
    assert best >= value - 1e-3  # it did search


@pytest.mark.parametrize(
    ("stated", "parts"),
    [
        (problem(outside=Outside(utility=[50.0, 60, 60, 60, 99])), {}),
        (problem(), {"low": [0.0, 30, 0, 0, 0], "high": [20.0] * 5}),
        (problem(objective=NashBargaining(), menu=Menu(participation_margin=60.0)), {}),
        (problem(objective=Rawlsian(), menu=Menu(participation_margin=60.0)), {}),
    ],
)
def test_a_case_without_contracts_is_proved_empty(stated, parts, compiled, independent_bound):
    form, _, _, at = compiled(stated)
    case = changed(form, **parts)
    found = solve(at, case, below=-10.0)
    assert found.broken > 0.0
    assert found.bound < -10.0
    assert dual_bound(at, case, found.point) == found.bound
    assert independent_bound(at, case, found.point) == pytest.approx(found.bound, rel=1e-8)


def test_as_many_participants_as_you_like(compiled):
    people = Population(costs=COSTS, probabilities=np.full(5, 0.2), participants=10**6)
    for curve in (GeneralizationBound(), Exponential(rate=0.01)):
        form, _, _, at = compiled(problem(population=people, accuracy=curve))
        found = solve(at, whole(form))
        point = found.point
        value = value_at(at, whole(form), point.contribution, point.utility, 0.0)
        assert found.bound - value <= 1e-10 * at.unit
