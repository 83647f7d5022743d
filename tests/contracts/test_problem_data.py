"""Problems as tables: nothing lost through JSON and TOML, and one line for whatever tables may not say."""

import contextlib
import dataclasses
import json
import tomllib
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts import InvalidInput, LinearValuation, Population, PowerLaw, Problem
from contracts.problem.accuracy import Exponential, Tabulated
from contracts.problem.data import problem_from_data, problem_to_data
from contracts.problem.doubt import Doubt
from contracts.problem.generating_functions import generated_turnout
from contracts.problem.menu import Menu
from contracts.problem.objective import DistributionCost, NashBargaining, Objective, Rawlsian, Welfare
from contracts.problem.outside import Outside
from contracts.problem.participants import Binomial, FiniteTurnout, Poisson
from contracts.problem.scenario import Scenario
from contracts.problem.valuation import ExponentialUtility, PowerValuation


def same(one: Any, other: Any) -> bool:
    """Whether two records are equal to the bit."""
    if isinstance(one, np.ndarray):
        return isinstance(other, np.ndarray) and one.dtype == other.dtype and one.tobytes() == other.tobytes()
    if type(one) is not type(other):
        return False
    if dataclasses.is_dataclass(one):
        return all(same(getattr(one, f.name), getattr(other, f.name)) for f in dataclasses.fields(one))
    if isinstance(one, tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other


def toml(value: Any, place: str = "") -> str:
    """Nested tables as TOML text; tables in lists, and tables of tables of groups, are written inline."""
    inner = {key: entry for key, entry in value.items() if isinstance(entry, dict) and not place}
    lines = [
        f"{json.dumps(key, ensure_ascii=False)} = {inline(entry)}"
        for key, entry in value.items()
        if key not in inner
    ]
    lines += [f"[{key}]\n{toml(entry, key)}" for key, entry in inner.items()]
    return "\n".join(lines)


def inline(value: Any) -> str:
    if isinstance(value, dict):
        pairs = ", ".join(f"{inline(key)} = {inline(entry)}" for key, entry in value.items())
        return f"{{{pairs}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(inline, value))}]"
    return json.dumps(value, ensure_ascii=False)


sizes = st.floats(1e-3, 1e3)
shares = st.floats(0.0, 1.0, exclude_max=True)
texts = st.text(st.characters(codec="utf-8", exclude_categories=["C"]), min_size=1, max_size=6)
laws = st.one_of(
    st.integers(2, 10**12),
    sizes.map(lambda mean: Poisson(mean=mean)),
    st.builds(lambda n, q: Binomial(trials=n, probability=q), st.integers(2, 50), st.floats(0.01, 1.0)),
    st.lists(st.integers(2, 90), min_size=1, max_size=4, unique=True).flatmap(
        lambda counts: simplex(len(counts)).map(lambda p: FiniteTurnout(counts=counts, probabilities=p))
    ),
)
curves = st.one_of(
    st.builds(lambda a, c: PowerLaw(optimum=a, coefficient=c), st.floats(0.6, 1.0), sizes),
    st.builds(lambda rate: Exponential(optimum=0.9, rate=rate), sizes),
    st.just(Tabulated(data=[50, 100, 400], accuracy=[0.4, 0.55, 0.72])),
)
objectives = st.one_of(
    st.none(),
    st.builds(lambda weight: Welfare(coordinator=weight), st.one_of(st.just(0.0), sizes)),
    st.builds(
        lambda over, weight: Rawlsian(over=over, coordinator=weight), st.sampled_from(["gain", "utility"]), sizes
    ),
    st.just(NashBargaining()),
    st.builds(lambda rate: DistributionCost(rate=rate, exponent=1.5), sizes),
)


def simplex(size: int) -> st.SearchStrategy[Any]:
    return st.lists(sizes, min_size=size, max_size=size).map(lambda w: np.array(w) / np.sum(w))


def maybe(strategy: st.SearchStrategy[Any], usual: Any = None) -> st.SearchStrategy[Any]:
    return st.one_of(st.just(usual), strategy)


@st.composite
def populations(draw: st.DrawFn) -> Population:
    types = draw(st.integers(1, 4))
    each = st.lists(sizes, min_size=types, max_size=types)
    names = draw(st.lists(texts, min_size=types, max_size=types, unique=True))
    limits: dict[str, Any] = {
        "names": names,
        "qualities": draw(maybe(st.lists(st.floats(0.01, 1.0), min_size=types, max_size=types))),
        "capacities": draw(maybe(each)),
        "shading": draw(maybe(shares, 0.0)),
        "doubt": draw(
            maybe(
                st.builds(
                    lambda radius, distance: Doubt(radius=radius, distance=distance),
                    shares,
                    st.sampled_from(["total-variation", "kullback-leibler"]),
                )
            )
        ),
    }
    kind = draw(st.sampled_from(["one", "groups", "named"]))
    if kind == "named" and types > 1:
        return Population(costs=draw(each), participants="named", **limits)
    if kind == "one":
        return Population(
            costs=draw(each), probabilities=draw(simplex(types)), participants=draw(laws), **limits
        )
    groups = draw(st.lists(texts, min_size=types, max_size=types))
    probabilities = np.zeros(types)
    for group in set(groups):
        members = [i for i in range(types) if groups[i] == group]
        probabilities[members] = draw(simplex(len(members)))
    numbers = {group: draw(laws) for group in set(groups)}
    return Population(
        costs=draw(each), probabilities=probabilities, participants=numbers, groups=groups, **limits
    )


@st.composite
def scenarios(draw: st.DrawFn, population: Population) -> tuple[Scenario, ...]:
    weights = draw(st.lists(sizes, max_size=3))
    found = []
    for weight in weights:
        changed = draw(st.booleans())
        groups = population.group_names
        one = draw(laws)
        found.append(
            Scenario(
                weight=weight / sum(weights),
                probabilities=population.probabilities if changed else None,
                participants=draw(maybe(st.just(one if groups is None else dict.fromkeys(groups, one)))),
                accuracy=draw(maybe(curves)),
            )
        )
    return tuple(found)


@st.composite
def problems(draw: st.DrawFn) -> Problem:
    """Any ingredients that go together (what does not is drawn again)."""
    population = draw(populations())
    each = st.one_of(sizes, st.lists(sizes, min_size=population.types, max_size=population.types))
    scale = draw(each)
    valuation = draw(st.sampled_from([LinearValuation, PowerValuation, ExponentialUtility]))
    values: dict[str, Any] = {
        "population": population,
        "accuracy": draw(curves),
        "valuation": valuation(scale=scale),
        "belief": draw(st.sampled_from(["interim", "ex-ante"])),
        "maximise": draw(st.sampled_from(["accuracy", "value"])),
        "baseline": draw(maybe(st.floats(0.0, 0.5), 0.0)),
        "outside": Outside(utility=draw(maybe(each)), joining_cost=draw(maybe(each, 0.0))),
        "menu": Menu(
            options=draw(maybe(st.integers(1, 9))),
            lot=draw(maybe(st.floats(1e-6, 1e-3))),
            participation_margin=draw(maybe(sizes, 0.0)),
            preference_margin=draw(maybe(sizes, 0.0)),
        ),
        "objective": draw(objectives),
        "scenarios": draw(scenarios(population)),
        "currency": draw(maybe(texts, "")),
    }
    usual = ("objective", "scenarios", "menu", "belief")  # given up first where ingredients do not go together
    for kept in range(len(usual) + 1):
        with contextlib.suppress(InvalidInput):
            return Problem(**{key: value for key, value in values.items() if key not in usual[:kept]})
    population = dataclasses.replace(population, capacities=None, doubt=None)
    return Problem(population=population, accuracy=values["accuracy"], valuation=values["valuation"])


@settings(max_examples=60, deadline=None)
@given(problems())
def test_nothing_is_lost_through_json_and_toml(problem: Problem):
    data = problem_to_data(problem)
    assert same(problem_from_data(data), problem)
    assert same(problem_from_data(json.loads(json.dumps(data, allow_nan=False))), problem)
    assert same(problem_from_data(tomllib.loads(toml(data))), problem)
    assert problem_to_data(problem_from_data(data)) == data


CLINICS = """
currency = "EUR"
[population]
names = ["rural", "city", "Aachen"]
groups = ["clinics", "clinics", "Aachen"]
costs = [150.0, 70.0, 40.0]
probabilities = [0.4, 0.6, 1.0]
qualities = [0.9, 1.0, 1.0]
capacities = [200.0, 500.0, 800.0]
shading = 0.1
doubt = {distance = "total-variation", radius = 0.05}
[population.participants]
clinics = {family = "poisson", mean = 8}
Aachen = 1
[accuracy]
family = "exponential"
optimum = 0.9
rate = 0.001
baseline = 0.5
[valuation]
family = "linear"
scale = [90000.0, 90000.0, 90000.0]
[outside]
utility = [0.0, 1.0, 2.0]
joining_cost = 500.0
[menu]
options = 3
lot = 10.0
participation_margin = 50.0
preference_margin = 5.0
[objective]
family = "welfare"
coordinator = 0.5
target = "value"
[[scenarios]]
weight = 0.75
[[scenarios]]
weight = 0.25
population = {probabilities = [0.6, 0.4, 1.0], participants = {clinics = 4, Aachen = 1}}
accuracy = {family = "exponential", optimum = 0.8, rate = 0.002}
"""


def test_every_table_says_what_python_says():
    people = Population(
        names=["rural", "city", "Aachen"],
        groups=["clinics", "clinics", "Aachen"],
        costs=[150.0, 70.0, 40.0],
        probabilities=[0.4, 0.6, 1.0],
        participants={"clinics": Poisson(mean=8), "Aachen": 1},
        qualities=[0.9, 1.0, 1.0],
        capacities=[200.0, 500.0, 800.0],
        shading=0.1,
        doubt=Doubt(radius=0.05),
    )
    stated = Problem(
        population=people,
        accuracy=Exponential(optimum=0.9, rate=0.001),
        valuation=LinearValuation(scale=[90000.0, 90000.0, 90000.0]),
        maximise="value",
        baseline=0.5,
        outside=Outside(utility=[0.0, 1.0, 2.0], joining_cost=500.0),
        menu=Menu(options=3, lot=10.0, participation_margin=50.0, preference_margin=5.0),
        objective=Welfare(coordinator=0.5),
        scenarios=[
            Scenario(weight=0.75),
            Scenario(
                weight=0.25,
                probabilities=[0.6, 0.4, 1.0],
                participants={"clinics": 4, "Aachen": 1},
                accuracy=Exponential(optimum=0.8, rate=0.002),
            ),
        ],
        currency="EUR",
    )
    assert same(problem_from_data(tomllib.loads(CLINICS)), stated)


def plain(**changes: Any) -> dict[str, Any]:
    """The tables of a plain problem, with some tables changed or added."""
    tables: dict[str, Any] = {
        "population": {"costs": [0.2, 0.1], "probabilities": [0.5, 0.5], "participants": 10},
        "accuracy": {"family": "exponential", "optimum": 0.9, "rate": 0.01},
        "valuation": {"family": "linear", "scale": 100.0},
    }
    for name, change in changes.items():
        tables[name] = tables.get(name, {}) | change if isinstance(change, dict) else change
    return tables


def test_a_plain_problem_has_the_keys_it_always_had():
    data = problem_to_data(problem_from_data(plain()))
    assert list(data) == ["belief", "maximise", "population", "accuracy", "valuation"]
    assert list(data["population"]) == ["costs", "probabilities", "participants", "names"]


def test_everybody_known_by_name_is_one_word():
    people = {"costs": [0.2, 0.1], "names": ["a", "b"], "participants": "named"}
    problem = problem_from_data(plain() | {"population": people})
    assert problem.population.named
    assert problem.population.groups == ("a", "b")
    assert problem_to_data(problem)["population"] == people


def test_the_target_may_stand_in_the_objective():
    assert problem_from_data(plain(objective={"family": "value"})).maximise == "value"
    assert problem_from_data(plain(objective={"family": "value"})).objective is None
    fair = problem_from_data(plain(objective={"family": "nash-bargaining", "target": "value"}))
    assert (fair.maximise, type(fair.objective)) == ("value", NashBargaining)
    assert problem_from_data(plain(maximise="value", objective={"family": "value"})).maximise == "value"
    assert problem_from_data(plain(maximise="value", objective={"family": "welfare"})).maximise == "value"


def test_generating_functions_come_back_as_the_law_they_generate():
    law = generated_turnout(lambda z: np.exp(3.0 * (z - 1.0)))
    problem = Problem(
        population=Population(costs=[0.2, 0.1], probabilities=[0.5, 0.5], participants=law),
        accuracy=PowerLaw(),
        valuation=LinearValuation(scale=1.0),
    )
    assert same(problem_from_data(problem_to_data(problem)), problem)


def test_classes_of_ones_own_have_no_text():
    class Own(Welfare):
        pass

    class Curve(Exponential):
        family = "own"

    assert issubclass(Own, Objective)
    problem = problem_from_data(plain())
    with pytest.raises(InvalidInput, match="objective: Own is a class of your own"):
        problem_to_data(dataclasses.replace(problem, objective=Own()))
    with pytest.raises(InvalidInput, match="accuracy: Curve is a class of your own"):
        problem_to_data(dataclasses.replace(problem, accuracy=Curve()))


GROUPED = {
    "costs": [0.3, 0.2, 0.1],
    "probabilities": [0.4, 0.6, 1.0],
    "groups": ["clinics", "clinics", "Aachen"],
    "participants": {"clinics": 8, "Aachen": 1},
}
SPREAD = {"costs": [0.3, 0.1], "capacities": [4.0, 9.0], "qualities": [1.0, 0.5]}


def grouped(**changes: Any) -> dict[str, Any]:
    return plain() | {"population": {key: v for key, v in (GROUPED | changes).items() if v is not None}}


BAD = [
    (grouped(groups=["clinics", "clinics"]), "[population] groups has length 2: expected 3, one per type"),
    (grouped(groups=["clinics", 3, "Aachen"]), "groups = ['clinics', 3, 'Aachen']: expected a list of texts"),
    (grouped(probabilities=[0.2, 0.3, 0.5]), "'clinics' sum to 0.5: expected a sum of 1 within each group; the"),
    (grouped(participants=9), "[population] participants = 9: expected a number or law for each group"),
    (grouped(participants={"clinics": 8}), "[population.participants] no key 'Aachen'"),
    (grouped(participants={"clinic": 8, "Aachen": 1}), "unknown key 'clinic': did you mean 'clinics'?"),
    (grouped(participants={"clinics": "8", "Aachen": 1}), "[population.participants] clinics = '8': expected a"),
    (grouped(participants={"clinics": {"family": "poison", "mean": 8}, "Aachen": 1}), "did you mean 'poisson'?"),
    (grouped(participants={"clinics": {"family": "poisson"}, "Aachen": 1}), "participants.clinics] no key 'mea"),
    (grouped(groups=None), "[population.participants] no key 'family': expected one of poisson, binomial, fini"),
    (plain(population={"participants": "nmaed"}), "participants = 'nmaed': expected a number, a law"),
    (plain(population={"participants": "named"}), "probabilities: expected none where participants = 'named'"),
    (plain(population={"qualities": [1.0]}), "[population] qualities has length 1: expected 2"),
    (plain(population={"qualities": [1.0, 1.5]}), "[population] qualities[1] = 1.5: expected a number in (0, 1"),
    (plain(population={"capacities": 5.0}), "[population] capacities = 5.0: expected a list of numbers"),
    (plain(population={"capacities": [5.0, 0.0]}), "[population] capacities[1] = 0: expected a finite number >"),
    (plain(population={"shading": 1.0}), "[population] shading = 1.0: expected a number in [0, 1)"),
    (plain(population={"doubt": 0.1}), "population.doubt = 0.1: expected a table [population.doubt]"),
    (plain(population={"doubt": {"radius": 1.5}}), "[population.doubt] radius = 1.5: expected a number in [0,"),
    (plain(population={"doubt": {"raduis": 0.5}}), "[population.doubt] unknown key 'raduis': did you mean 'rad"),
    (plain(population={"doubt": {"radius": 0.1, "distance": "hellinger"}}), "[population.doubt] distance = 'he"),
    (plain(accuracy={"baseline": 0.95}), "baseline = 0.95: expected less than the curve's optimum 0.9"),
    (plain(accuracy={"baseline": "half"}), "[accuracy] baseline = 'half': expected a number"),
    (plain(accuracy={"baselin": 0.5}), "[accuracy] unknown key 'baselin': did you mean 'baseline'?"),
    (plain(accuracy={"rate": [0.1, 0.2]}), "[accuracy] rate = [0.1, 0.2]: expected a number"),
    (plain(valuation={"scale": [1.0]}), "[valuation] scale has length 1: expected a number, or 2, one per type"),
    (plain(valuation={"scale": [1.0, "x"]}), "[valuation] scale = [1.0, 'x']: expected a number or a list of n"),
    (plain(valuation={"scale": [1.0, -1.0]}), "[valuation] scale[1] = -1: expected a finite number > 0"),
    (plain(outside={"utility": [1.0]}), "[outside] utility has length 1: expected a number, or 2, one per type"),
    (plain(outside={"joining_cost": [0.0]}), "[outside] joining_cost has length 1: expected a number, or 2"),
    (plain(outside={"joining_cost": -1}), "[outside] joining_cost = -1: expected a finite number >= 0"),
    (plain(outside={"utility": "much"}), "[outside] utility = 'much': expected a number or a list of numbers"),
    (plain(outside={"joining": 1.0}), "[outside] unknown key 'joining': did you mean 'joining_cost'?"),
    (plain(outside=3), "outside = 3: expected a table [outside]"),
    (plain(menu={"options": 0}), "[menu] options = 0: expected a whole number >= 1"),
    (plain(menu={"options": 2.5}), "[menu] options = 2.5: expected a whole number >= 1"),
    (plain(menu={"options": True}), "[menu] options = True: expected a number"),
    (plain(menu={"lot": 0}), "[menu] lot = 0: expected a finite number > 0"),
    (plain(menu={"option": 2}), "[menu] unknown key 'option': did you mean 'options'?"),
    (plain(menu={"assurance": "tables"}), "[menu] assurance = 'tables': expected one of 'count', 'table'"),
    (plain(population=SPREAD, menu={"lot": 5.0}), "a lot and smaller capacities do not go together: nobody has"),
    (plain(objective={"coordinator": 1.0}), "[objective] no key 'family': expected one of accuracy, value, wel"),
    (plain(objective={"family": "wellfare"}), "[objective] family = 'wellfare': did you mean 'welfare'?"),
    (plain(objective={"family": "welfare", "coordinater": 1}), "unknown key 'coordinater': did you mean 'coord"),
    (plain(objective={"family": "welfare", "coordinator": -1}), "[objective] coordinator = -1: expected a fini"),
    (plain(objective={"family": "distribution-cost"}), "[objective] no key 'rate'"),
    (plain(objective={"family": "value", "coordinator": 1}), "[objective] unknown key 'coordinator'"),
    (plain(objective={"family": "rawlsian", "target": "accurate"}), "[objective] target = 'accurate': did you"),
    (plain(objective={"family": "rawlsian", "over": "gains"}), "[objective] over = 'gains': expected one of 'g"),
    (plain(maximise="accuracy", objective={"family": "value"}), "maximise = 'accuracy': the table [objective]"),
    (plain(scenarios={"weight": 1.0}), "scenarios = {'weight': 1.0}: expected tables [[scenarios]]"),
    (plain(scenarios=[{"weight": 0.6}, {"weight": 0.3}]), "scenarios: weights sum to 0.9: expected a sum of 1"),
    (plain(scenarios=[{"weight": 1.5}]), "[scenarios[0]] weight = 1.5: expected a number in [0, 1]"),
    (plain(scenarios=[{"wieght": 1.0}]), "[scenarios[0]] unknown key 'wieght': did you mean 'weight'?"),
    (plain(scenarios=[{"weight": 1.0, "population": {"costs": [1.0]}}]), "[scenarios[0].population] unknown ke"),
    (
        plain(scenarios=[{"weight": 1.0, "population": {"probabilities": [1.0]}}]),
        "scenarios[0]: probabilities has length 1: expected 2",
    ),
    (
        plain(scenarios=[{"weight": 1.0, "population": {"participants": 1}}]),
        "scenarios[0]: participants = 1: expected a whole number from 2",
    ),
    (plain(scenarios=[{"weight": 1.0, "accuracy": {"family": "arctan"}}]), "[scenarios[0].accuracy] no key 'op"),
    (plain(belief="ex-ante", scenarios=[{"weight": 1.0}]), "the ex-ante belief and scenarios do not go togethe"),
    (plain(currency=3), "currency = 3: expected a text"),
    (plain(scenario=[]), "unknown key 'scenario': did you mean 'scenarios'?"),
]  # fmt: skip


@pytest.mark.parametrize(("document", "message"), BAD, ids=[message[:70] for _, message in BAD])
def test_bad_tables_are_refused_in_one_line_that_names_table_key_and_value(document, message):
    with pytest.raises(InvalidInput) as caught:
        problem_from_data(document)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


def test_more_options_than_types_are_a_mistake():
    assert problem_from_data(plain(menu={"options": 2})).menu.options == 2
    with pytest.raises(InvalidInput, match=r"menu\.options = 7: expected at most 2"):
        problem_from_data(plain(menu={"options": 7}))


def test_a_lot_that_somebody_has_is_accepted():
    assert problem_from_data(plain(population=SPREAD | {"capacities": [4.0, 11.0]}, menu={"lot": 5.0}))
