"""Public strategies draw the ingredients asked for; public assertions find what is broken in any problem."""

from types import SimpleNamespace

import numpy as np
import pytest
from enumerated import Enumerated
from hypothesis import HealthCheck, Phase, find, given, settings
from hypothesis import strategies as st
from oracle import best

from contracts import (
    Doubt,
    InvalidInput,
    LinearValuation,
    Menu,
    Outside,
    Population,
    PowerLaw,
    Problem,
    Scenario,
)
from contracts.testing import (
    ANY,
    INGREDIENTS,
    KINDS,
    alternatives,
    assert_feasible,
    assert_holds,
    assert_incentive_compatible,
    assert_individually_rational,
    example_contract,
    parts,
    problems,
    refusal,
)

EVERY = [assert_individually_rational, assert_incentive_compatible, assert_feasible, assert_holds]
CURVE = PowerLaw(optimum=0.95, coefficient=2.0, exponent=0.6)


def present(problem):
    """The ingredients of a problem, read from its fields."""
    population, menu = problem.population, problem.menu
    groups = population.groups is not None
    family = getattr(problem.objective, "family", "")
    return {
        "groups": groups and not population.named,
        "named": population.named,
        "qualities": population.qualities is not None,
        "capacities": population.capacities is not None,
        "shading": population.shading > 0.0,
        "total-variation": population.doubt is not None and population.doubt.distance == "total-variation",
        "kullback-leibler": population.doubt is not None and population.doubt.distance == "kullback-leibler",
        "scales": np.ndim(problem.valuation.scale) == 1,
        "baseline": problem.baseline > 0.0,
        "outside-utility": problem.outside.utility is not None,
        "options": menu.options is not None,
        "lot": menu.lot is not None,
        **{name: menu.assurance == name for name in KINDS["assurance"]},
        "participation-margin": menu.participation_margin > 0.0,
        "preference-margin": menu.preference_margin > 0.0,
        "scenarios": len(problem.scenarios) > 1,
        "ex-ante": problem.belief == "ex-ante",
        "measured": not problem.accuracy.known,
    } | {name: family == name for name in KINDS["objective"]}


@pytest.mark.parametrize("name", sorted(set(INGREDIENTS) - {"law", "joining-cost", "groups"}))
@settings(max_examples=5, phases=[Phase.generate])
@given(data=st.data())
def test_an_ingredient_asked_for_is_there(name, data):
    problem = data.draw(problems(ingredients=[name]).filter(lambda p: name == "ex-ante" or not p.plain))
    assert present(problem)[name]
    assert 2 <= problem.population.types <= 4
    assert not [other for other, there in present(problem).items() if there and other != name]


@settings(max_examples=40, suppress_health_check=list(HealthCheck))
@given(parts(ingredients=ANY))
def test_combinations_are_accepted_or_refused_by_the_table(made):
    reason = refusal(made)
    if reason is None:
        assert isinstance(Problem(**made), Problem)
    else:
        with pytest.raises(InvalidInput, match="do not go together"):
            Problem(**made)


def test_ingredients_that_there_are_not_are_refused():
    with pytest.raises(InvalidInput, match="luck"):
        find(problems(ingredients=["luck"]), bool)
    with pytest.raises(InvalidInput, match="one of each kind"):
        find(problems(ingredients=["welfare", "rawlsian"]), bool)
    assert not alternatives(["welfare", "options"])


def stated(*, scale=100.0, outside=Outside(), menu=Menu(), scenarios=(), **population):  # noqa: B008
    return Problem(
        population=Population(**population),
        accuracy=CURVE,
        valuation=LinearValuation(scale=scale),
        outside=outside,
        menu=menu,
        scenarios=scenarios,
    )


TWO = {"costs": [0.5, 0.2], "probabilities": [0.4, 0.6], "participants": 3}
PROBLEMS = {
    "plain": stated(**TWO),
    "scales": stated(**TWO, scale=[80.0, 150.0]),
    "groups": stated(
        costs=[0.5, 0.2], probabilities=[1.0, 1.0], groups=["a", "b"], participants={"a": 2, "b": 1}
    ),
    "qualities": stated(**TWO, qualities=[0.5, 0.9]),
    "shading": stated(**TWO, shading=0.1),
    "doubt": stated(**TWO, doubt=Doubt(radius=0.1)),
    "scenarios": stated(
        **TWO, scenarios=(Scenario(weight=0.5), Scenario(weight=0.5, probabilities=[0.8, 0.2], participants=2))
    ),
    "margins": stated(**TWO, menu=Menu(participation_margin=1.0, preference_margin=1.0)),
    "joining": stated(**TWO, outside=Outside(joining_cost=[1.0, 2.0])),
}


def made(problem, m, t):
    return SimpleNamespace(problem=problem, contribution=m, expected_reward=t)


@pytest.fixture(scope="module", params=PROBLEMS)
def found(request):
    problem = PROBLEMS[request.param]
    _, m, t = best(problem, starts=6)
    return problem, m, t


def holds(contract):
    assert_individually_rational(contract)
    assert_incentive_compatible(contract)
    assert_feasible(contract)


def test_assertions_accept_what_the_oracle_found(found):
    holds(made(*found))


@pytest.mark.parametrize("i", [0, 1])
def test_assertions_find_what_is_owed_or_promised_too_much(found, i):
    """A tolerance is 1e-7 of the best model: ten times as much is found, in whichever promise has no slack."""
    problem, m, t = found
    scale = Enumerated(problem).scale[i]
    for data, reward in ((0.0, -0.3 * scale), (0.3 * scale / problem.population.costs[i], 0.0), (0.0, scale)):
        m_too, t_too = m.copy(), t.copy()
        m_too[i] += data
        t_too[i] += reward
        with pytest.raises(AssertionError, match="type"):
            holds(made(problem, m_too, t_too))


@pytest.mark.parametrize("value", [np.nan, np.inf, -1.0])
@pytest.mark.parametrize("check", EVERY)
def test_numbers_that_are_none_break_every_assertion(check, value):
    problem, m, t = PROBLEMS["plain"], np.array([10.0, 10.0]), np.array([50.0, 50.0])
    for which in (m, t):
        kept = which[1]
        which[1] = value
        with pytest.raises(AssertionError, match="of type 2 is"):
            check(made(problem, m, t))
        which[1] = kept


@pytest.mark.parametrize("value", [None, {}, "contract"])
@pytest.mark.parametrize("check", EVERY)
def test_what_is_no_contract_is_invalid(check, value):
    with pytest.raises(InvalidInput, match="expected a Contract"):
        check(value)


def test_lies_across_groups_or_beyond_capacities_do_not_count():
    m, t = np.array([1.0, 300.0]), np.array([60.0, 90.0])
    together = stated(**TWO)
    with pytest.raises(AssertionError, match=r"type 2 would gain 29\.8 by the option of type 1"):
        assert_incentive_compatible(made(together, m, t))
    apart = stated(costs=[0.5, 0.2], probabilities=[1.0, 1.0], groups=["a", "b"], participants={"a": 2, "b": 2})
    assert_incentive_compatible(made(apart, m, t))
    m, t = np.array([20.0, 30.0]), np.array([50.0, 90.0])
    with pytest.raises(AssertionError, match="type 1 would gain 35 "):
        assert_incentive_compatible(made(together, m, t))
    short = stated(**TWO, capacities=[29.0, 40.0])
    assert_incentive_compatible(made(short, m, t))
    with pytest.raises(AssertionError, match="type 1 would gain 35 "):
        assert_incentive_compatible(made(stated(**TWO, capacities=[31.0, 40.0]), m, t))
    with pytest.raises(AssertionError, match="type 2 owes 30 data but has 29"):
        assert_feasible(made(stated(**TWO, capacities=[20.0, 29.0]), m, t))


def test_those_who_stay_out_would_not_rather_take_an_option():
    problem = stated(**TWO, outside=Outside(utility=[30.0, 0.0]))
    m = np.array([0.0, 100.0])
    assert_individually_rational(made(problem, m, np.array([0.0, 79.9])))
    assert_incentive_compatible(made(problem, m, np.array([0.0, 79.9])))
    with pytest.raises(AssertionError, match=r"type 1 would gain 0\.1 by the option of type 2"):
        assert_incentive_compatible(made(problem, m, np.array([0.0, 80.1])))
    with pytest.raises(AssertionError, match="type 1 loses"):
        assert_individually_rational(made(stated(**TWO), m, np.array([0.0, 60.0])))


def test_the_example_holds():
    holds(example_contract())
    assert_holds(example_contract())
