"""The best menu of any problem against all menus of small ones, reference numbers, and its own proof."""

import dataclasses
import itertools

import numpy as np
import pytest

from contracts.contract.design import design_contract
from contracts.problem import Problem
from contracts.problem.accuracy import Arctan, Exponential, GeneralizationBound, PowerLaw
from contracts.problem.cases import APART, SERVED, SHARED, STAYS, whole
from contracts.problem.menu import Menu
from contracts.problem.objective import NashBargaining, Rawlsian, Welfare
from contracts.problem.outside import Outside
from contracts.problem.participants import Poisson
from contracts.problem.population import Population
from contracts.problem.scenario import Scenario
from contracts.problem.valuation import LinearValuation
from contracts.program.case_program import Point
from contracts.program.convex_program import solve
from contracts.program.rounding import in_lots
from contracts.program.search import search
from contracts.program.splits import branches
from contracts.proof.evidence import LEAF, Proof
from contracts.proof.general_proof import general_gaps

COSTS = np.geomspace(0.2, 0.04, 5)
PEOPLE = Population(costs=COSTS, probabilities=np.full(5, 0.2), participants=10)
# Without a floor: the program as solved is the problem itself.
SMOOTH = {"accuracy": Exponential(rate=0.01), "valuation": LinearValuation(scale=20.0)}
FEW = Population(costs=COSTS, probabilities=np.full(5, 0.2), participants=3)


def problem(**parts):
    base = {
        "population": PEOPLE,
        "accuracy": GeneralizationBound(),
        "valuation": LinearValuation(scale=100.0),
    }
    return Problem(**(base | parts))


def found_of(stated, compiled, **options):
    form, asked, outside, at = compiled(stated)
    return form, at, search(form, asked, outside, **options)


def proved(at, cases, independent_bound, stay=False):
    """The bound that the cases prove, read like a stranger: splits from the root, prices at the leaves."""
    form = at.form
    at = at._replace(mixtures=cases.mixtures)
    waiting, leaf, bounds = [whole(form, stay=stay)], 0, []
    for kind, index, threshold in zip(cases.kind, cases.index, cases.threshold, strict=True):
        case = waiting.pop()
        if kind != LEAF:
            waiting += list(branches(case, int(kind), int(index), float(threshold)))[::-1]
            continue
        k, leaf = leaf, leaf + 1
        most = form.problem.menu.options
        if most is not None and 1 + (case.link == APART).sum() > most and at.asked.due[0] > 0.0:
            continue
        point = (cases.contribution[k], cases.utility[k], cases.level[k], cases.feasibility[k], cases.linear[k])
        bounds.append(independent_bound(at, in_lots(form, case), Point(*point)))
    assert not waiting
    assert leaf == len(cases.linear)
    return max(bounds)


def test_a_problem_without_limits_is_one_case(compiled):
    form, at, found = found_of(problem(**SMOOTH, population=FEW), compiled)
    assert found.nodes == 1
    assert found.cases.kind.tolist() == [LEAF]
    assert found.bound - found.value <= 1e-9 * at.unit
    best = design_contract(problem(**SMOOTH, population=FEW))
    assert found.value == pytest.approx(best.objective, rel=1e-9)
    assert form.rows == 5


@pytest.mark.parametrize("options", [1, 2, 3])
def test_no_pooling_is_better(options, compiled, independent_bound):
    form, at, found = found_of(problem(**SMOOTH, population=FEW, menu=Menu(options=options)), compiled)
    best = -np.inf
    for kept in itertools.combinations(range(form.rows - 1), options - 1):
        link = np.full(form.rows - 1, SHARED)
        link[list(kept)] = APART
        solved = solve(at, dataclasses.replace(whole(form), link=link))
        if solved.broken == 0.0:
            best = max(best, solved.bound)
    assert found.value == pytest.approx(best, rel=1e-8)
    assert proved(at, found.cases, independent_bound) <= found.value + 2e-6 * at.unit
    assert np.unique(found.contribution.round(9)).size <= options


def test_no_lots_are_better(compiled, independent_bound):
    people = Population(costs=[0.2, 0.08], probabilities=[0.5, 0.5], participants=3)
    stated = problem(**SMOOTH, population=people, menu=Menu(lot=20.0))
    form, at, found = found_of(stated, compiled, global_gap=1e-9)
    best = -np.inf
    for lots in itertools.product(range(6), range(12)):
        if lots[0] <= lots[1]:
            x = 20.0 * np.array(lots)
            solved = solve(at, dataclasses.replace(whole(form), low=x, high=x))
            best = max(best, solved.bound if solved.broken == 0.0 and solved.error < 1e-8 else -np.inf)
    assert found.value == pytest.approx(best, rel=1e-9)
    assert np.abs(found.contribution / 20.0 - np.round(found.contribution / 20.0)).max() <= 1e-12
    assert proved(at, found.cases, independent_bound) <= found.value + 1e-8 * at.unit


def test_lots_with_another_objective(compiled):
    _, at, found = found_of(
        problem(**SMOOTH, population=FEW, menu=Menu(lot=20.0), objective=Welfare(coordinator=1.0)), compiled
    )
    assert found.bound - found.value <= 2e-6 * at.unit
    assert np.abs(found.contribution / 20.0 - np.round(found.contribution / 20.0)).max() <= 1e-12


@pytest.mark.parametrize("options", [None, 2])
def test_no_decision_about_capacities_is_better(options, compiled, independent_bound):
    people = Population(
        costs=COSTS, probabilities=np.full(5, 0.2), participants=3, capacities=[15, 20, 30, 45, 100]
    )
    stated = problem(**SMOOTH, population=people, menu=Menu(options=options))
    form, at, found = found_of(stated, compiled)
    best = -np.inf
    for reach in itertools.product([0, 1], repeat=4):
        for kept in itertools.combinations(range(4), (options or 5) - 1):
            link = np.full(4, SHARED)
            link[list(kept)] = APART
            solved = solve(at, dataclasses.replace(whole(form), link=link, reach=np.array(reach)))
            best = max(best, solved.bound if solved.broken == 0.0 and solved.error < 1e-8 else -np.inf)
    assert found.value == pytest.approx(best, rel=2e-6)
    assert proved(at, found.cases, independent_bound) <= found.value + 2e-6 * at.unit


def test_who_stays_out(compiled):
    people = Population(costs=[0.3, 0.1], probabilities=[0.3, 0.7], participants=3)
    stated = problem(
        population=people,
        accuracy=Exponential(rate=0.05),
        valuation=LinearValuation(scale=10.0),
        outside=Outside(utility=[5.0, 0.0]),
    )
    form, at, found = found_of(stated, compiled)
    best = -np.inf
    for service in itertools.product([SERVED, STAYS], repeat=2):
        solved = solve(at, dataclasses.replace(whole(form), service=np.array(service)))
        best = max(best, solved.bound if solved.broken == 0.0 and solved.error < 1e-8 else -np.inf)
    assert found.value == pytest.approx(best, rel=1e-8)
    assert (found.case.service == STAYS).tolist() == [True, False]


# By the solvers of single conditions that this one replaced.
@pytest.mark.parametrize(
    ("parts", "value"),
    [
        ({"objective": Welfare()}, 63.640525802),
        ({"objective": Rawlsian()}, 29.126940879),
        ({"objective": NashBargaining()}, 3.593000845),
        ({"menu": Menu(participation_margin=1.0, preference_margin=1.0)}, 87.337429558),
        ({"menu": Menu(options=3)}, 87.515210297),
        (
            {
                "scenarios": [
                    Scenario(weight=0.3, probabilities=[0.4, 0.3, 0.1, 0.1, 0.1]),
                    Scenario(weight=0.7),
                ]
            },
            86.743863097,
        ),
    ],
    ids=["welfare", "rawlsian", "nash", "margins", "options", "scenarios"],
)
def test_as_good_as_solvers_of_single_conditions(parts, value, compiled):
    _, at, found = found_of(problem(**parts), compiled)
    assert found.value == pytest.approx(value, abs=1e-6 * at.unit)


def test_floors_have_a_proof_for_the_true_curve(compiled):
    _, at, found = found_of(problem(menu=Menu(options=2)), compiled)
    assert found.value <= found.global_bound + 1e-9 * at.unit
    assert found.global_bound - found.value <= 1e-4 * at.unit
    recomputed = general_gaps(at.form, at.goal.alone, Proof(global_cases=found.global_cases), found.value)
    assert recomputed.gap == pytest.approx(found.global_bound - found.value, abs=1e-5 * at.unit)


def test_the_dearest_are_left_out_where_that_is_better(compiled):
    people = Population(costs=[3.0, 0.02], probabilities=[0.1, 0.9], participants=2)
    stated = problem(population=people, accuracy=PowerLaw(optimum=1.0, coefficient=3.0, exponent=0.5))
    _, _, found = found_of(stated, compiled)
    best = design_contract(stated)
    assert found.contribution[0] == pytest.approx(best.contribution[0], abs=1e-6)
    assert found.value == pytest.approx(best.objective, abs=1e-3)


def test_nothing_pays(compiled):
    dear = Population(costs=20.0 * COSTS, probabilities=np.full(5, 0.2), participants=3)
    _, _, found = found_of(problem(population=dear), compiled)
    assert found.value == 0.0
    assert (found.contribution == 0.0).all()


def test_who_cannot_be_given_what(compiled):
    _, _, found = found_of(problem(menu=Menu(participation_margin=50.0)), compiled)
    assert found.contribution is None
    assert found.reason.startswith("type 5 cannot be given what is due to it")


def test_named_participants_share_what_they_can_reach(compiled):
    for curve in (GeneralizationBound(), Arctan()):
        stated = problem(accuracy=curve, population=Population(costs=COSTS, participants="named"))
        form, at, found = found_of(stated, compiled)
        value = float(stated.value(found.contribution.sum()))
        # Everybody is left with what it is due: no larger total can be asked for.
        assert value - COSTS * found.contribution == pytest.approx(at.asked.due, abs=1e-6)
        assert found.value == pytest.approx(value, rel=1e-9)
        assert form.rows == 5


def test_groups_have_options_of_their_own(compiled):
    people = Population(
        costs=[0.2, 0.1, 0.06, 0.04],
        probabilities=[0.4, 0.6, 0.5, 0.5],
        participants={"a": Poisson(mean=3.0), "b": 2},
        groups=["a", "a", "b", "b"],
    )
    values = [
        found_of(problem(**SMOOTH, population=people, menu=Menu(options=k)), compiled)[2].value
        for k in (2, 3, 4)
    ]
    free = found_of(problem(**SMOOTH, population=people), compiled)[2].value
    assert values[0] <= values[1] <= values[2] + 1e-9
    assert values[2] == pytest.approx(free, rel=1e-6)


def test_a_limit_of_time_is_kept(compiled):
    people = Population(costs=np.geomspace(0.2, 0.04, 8), probabilities=np.full(8, 1 / 8), participants=3)
    stated = problem(**SMOOTH, population=people, menu=Menu(options=4, lot=3.0))
    _, _, found = found_of(stated, compiled, time_limit=0.2, global_gap=1e-12)
    assert found.cut_short
    assert found.value <= found.bound
