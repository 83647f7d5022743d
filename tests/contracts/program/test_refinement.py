"""Menus on the true curve: as good as the plain solver's, as brute force's, and never more than can be given."""

import dataclasses
import itertools

import numpy as np
import pytest

from contracts import (
    Arctan,
    FiniteTurnout,
    GeneralizationBound,
    Infeasible,
    LinearValuation,
    Menu,
    MonotoneTabulated,
    Outside,
    Population,
    Problem,
    Scenario,
    Tabulated,
    design_contract,
)
from contracts.problem.cases import asked_of, whole
from contracts.problem.laws import believed, trained
from contracts.problem.reservation import outside_option
from contracts.problem.standard_form import standard_form
from contracts.program import refinement
from contracts.program.case_program import setting, shortfall, value_at
from contracts.program.goals import goal_of
from contracts.program.losses import losses_of
from contracts.program.refinement import corrected_at, least_short, menu_at

DATA = [5, 15, 45, 110]
CURVES = {
    "one inflection": MonotoneTabulated(data=DATA, accuracy=[0.2, 0.4, 0.5, 0.7]),
    "a small one": MonotoneTabulated(data=DATA, accuracy=[0.2, 0.4, 0.5, 0.61]),
    "concave": Tabulated(data=DATA, accuracy=[0.2, 0.4, 0.55, 0.7]),
    "slow start": MonotoneTabulated(data=[5, 15, 45], accuracy=[0.1, 0.5, 0.7]),
    "arctan": Arctan(optimum=0.8, scale=10.0),
    "a floor": GeneralizationBound(optimum=1.0, complexity=1.0),
}
SCALES = {"a floor": 200.0}
PEOPLE = Population(costs=[0.121, 0.953], probabilities=[0.21, 0.79], participants=3)
ROOMY = dataclasses.replace(PEOPLE, capacities=[1e6, 1e6])


def problem(name, **more):
    valuation = LinearValuation(scale=SCALES.get(name, 10.0))
    return Problem(**({"population": PEOPLE, "accuracy": CURVES[name], "valuation": valuation} | more))


def setting_of(stated):
    form = standard_form(stated)
    outside = outside_option(form).utility
    at = setting(form, goal_of(form, outside), asked_of(form, outside), losses_of(form).solved)
    return at, whole(form, stay=False)


@pytest.mark.parametrize("name", CURVES)
@pytest.mark.parametrize(
    "neutral",
    [{"population": ROOMY}, {"menu": Menu(options=2)}, {"outside": Outside(utility=[0.0, 0.0])}],
    ids=["capacities", "options", "nothing outside"],
)
def test_what_limits_nothing_costs_nothing(name, neutral):
    best = design_contract(problem(name))
    contract = design_contract(problem(name, **neutral))
    assert contract.certificate.holds
    assert contract.objective >= best.objective - 1e-6 * best.problem.largest_value
    if "outside" not in neutral:  # who is due nothing can be given less
        assert contract.objective == pytest.approx(best.objective, rel=1e-6)


@pytest.mark.parametrize(
    "name",
    [*(pytest.param(name, marks=pytest.mark.slow) for name in ("one inflection", "concave")), "a floor"],
)
def test_lots_and_one_option_against_all_menus(name):
    lot = 0.5 if name != "a floor" else 20.0
    form = standard_form(problem(name))
    best = {1: -np.inf, 2: -np.inf}
    for lots in itertools.combinations_with_replacement(range(40), 2):
        x = lot * np.array(lots)
        if is_menu(form, x):
            value = trained(form, form.worlds[0], x).expectation(form.worlds[0].plain.value)
            options = len(set(lots) - {0}) or 1
            best = {most: max(known, value if options <= most else -np.inf) for most, known in best.items()}
    for most, known in best.items():
        if np.isfinite(known):
            contract = design_contract(problem(name, menu=Menu(lot=lot, options=most)))
            assert contract.certificate.holds
            assert contract.objective >= known - 0.01 * abs(known)


def is_menu(form, x):
    """Whether least rewards for contributions of two rows, the dearer first, can be given."""
    world, (dear, cheap), (least, more) = form.worlds[0], form.costs, outside_option(form).utility[::-1]
    given = [law.expectation(world.plain.value) for law in believed(form, world, x)]
    low = least + dear * x[0]
    high = max(more + cheap * x[1], low + cheap * (x[1] - x[0]))
    low = max(low, high - dear * (x[1] - x[0]))
    return high >= low + cheap * (x[1] - x[0]) - 1e-12 and low <= given[0] and high <= given[1]


@pytest.mark.parametrize("name", CURVES)
def test_corrections_are_the_truth_and_its_slopes(name):
    at, case = setting_of(problem(name, scenarios=two_worlds()))
    x = np.array([3.1, 11.3])
    here = corrected_at(at, case, x)
    form, h = at.form, 1e-3
    promised = np.array([0.3, 0.4])

    def truth(data):
        worlds = [
            [law.expectation(world.plain.value) for law in believed(form, world, data)] for world in form.worlds
        ]
        target = sum(
            world.weight * trained(form, world, data).expectation(world.plain.target) for world in form.worlds
        )
        return target, np.min(np.array(worlds) - promised - form.costs * data, axis=0).min()

    for step in (np.zeros(2), np.array([h, 0.0]), np.array([0.0, -h])):
        target, slack = truth(x + step)
        assert value_at(here, case, x + step, promised, 0.0) == pytest.approx(target, abs=2e-5)
        if slack < 0.0:
            assert shortfall(here, case, x + step, promised) == pytest.approx(-slack, abs=2e-4)


def two_worlds():
    return [Scenario(weight=0.5), Scenario(weight=0.5, probabilities=[0.3, 0.7])]


def test_a_menu_promises_no_more_than_is_there():
    at, case = setting_of(problem("one inflection"))
    x = np.array([3.583, 10.98])
    menu = menu_at(at, case, x)
    assert menu is not None
    law = believed(at.form, at.form.worlds[0], x)
    given = np.array([one.expectation(at.form.worlds[0].plain.value) for one in law])
    assert (menu.point.utility + at.form.costs * x <= given).all()
    assert menu_at(at, case, np.array([3.583, 30.0])) is None


def test_laws_of_participants_on_a_curve_with_an_inflection():
    people = dataclasses.replace(PEOPLE, participants=FiniteTurnout(counts=[2, 4], probabilities=[0.5, 0.5]))
    contract = design_contract(problem("one inflection", population=people))
    assert contract.certificate.holds
    assert contract.objective > 3.7


def test_who_is_short_of_how_much_is_no_more_than_all_it_is_due():
    stated = problem("one inflection", menu=Menu(participation_margin=100.0))
    at, _ = setting_of(stated)
    row, short = least_short(at, np.zeros(2))
    due = outside_option(at.form).utility.max() + 100.0
    assert due - 10.0 <= short <= due
    with pytest.raises(Infeasible, match="type 1 cannot be given what is due to it"):
        design_contract(stated)
    assert row == 1


def test_where_the_program_counts_exactly_nothing_is_tried(monkeypatch):
    def never(*_, **__):
        raise AssertionError("tried")

    monkeypatch.setattr(refinement, "refined", never)
    many = dataclasses.replace(PEOPLE, participants=200)
    assert design_contract(problem("a floor", population=many, menu=Menu(options=2))).certificate.holds
    with pytest.raises(AssertionError, match="tried"):
        design_contract(problem("one inflection", menu=Menu(options=2)))


def test_climbing_by_lots_ends_when_time_is_up():
    at, case = setting_of(problem("one inflection", menu=Menu(lot=0.5)))
    start = np.array([3.5, 11.0])
    late, early = (refinement._TrueMenus(at, case, until) for until in (-np.inf, np.inf))
    assert late.target(start) == -np.inf
    assert early.target(start) > 0.0
