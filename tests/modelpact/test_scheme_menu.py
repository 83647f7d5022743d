"""Menus of whole samples, what the fit says of measurements, and the errors of pilots."""

import dataclasses
import itertools
import json

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from contracts import Menu, PowerLaw, design_contract
from contracts.contract import Contract
from contracts.errors import InvalidInput
from contracts.measured.measurements import Measurements
from mechanisms.datasets import Samples
from modelpact.scheme import menu
from modelpact.scheme.pilot import deviations, fit
from modelpact.scheme.scheme_file import scheme_from_data
from modelpact.scheme.stages import Record
from modelpact.scheme.world import pad, with_label_noise

TABLES = {
    "data": {"name": "digits"},
    "population": {"costs": [7.0, 3.0, 1.2], "probabilities": [0.3, 0.4, 0.3], "participants": 6},
    "valuation": {"family": "linear", "scale": 1000.0},
}
CURVE = PowerLaw(optimum=0.95, coefficient=6.0, exponent=1.0)
CHANCE = 0.1


def scheme(**tables):
    return scheme_from_data(TABLES | tables)


def published(stated, curve=CURVE, stock=1200):
    """The contract of a scheme whose pilot found this curve, and the record of its menu."""
    sizes = np.geomspace(20, 400, 8)
    measured = Measurements(data=sizes, accuracy=curve(sizes), standard_error=[0.003] * 8)
    found = {"published": stated.curve(measured, CHANCE).parameters(), "useless": ""}
    inputs: dict[str, Record] = {
        "fit": Record(result=found, arrays={}),
        "data": Record(result={"samples": {"stock": stock}}, arrays={}),
    }
    inputs["design"] = design = Record(result=menu.design(stated, inputs)[0], arrays={})
    record = Record(result=menu.publish(stated, inputs)[0], arrays={})
    contract = None if design.result["contract"] is None else json.dumps(design.result["contract"])
    return contract and Contract.from_json(contract), record


@st.composite
def schemes(draw):
    types = draw(st.integers(1, 3))
    steps = draw(st.lists(st.floats(1.3, 4.0), min_size=types, max_size=types))
    weights = np.array(draw(st.lists(st.integers(1, 5), min_size=types, max_size=types)), dtype=float)
    population = {
        "costs": (draw(st.floats(0.5, 2.0)) * np.cumprod(steps)).tolist(),
        "probabilities": (weights / weights.sum()).tolist(),
        "participants": draw(st.integers(2, 5)),
    }
    curve = PowerLaw(
        optimum=draw(st.floats(0.9, 1.0)),
        coefficient=draw(st.floats(2.0, 8.0)),
        exponent=draw(st.floats(0.6, 1.2)),
    )
    return population, curve


def most_expected(problem, data, own):
    """E v(a(total)) of somebody who delivers `data[own]`, over every combination of the others."""
    population, total = problem.population, 0.0
    for others in itertools.product(range(population.types), repeat=population.participants - 1):
        amount = data[own] + sum(data[k] for k in others)
        total += np.prod(population.probabilities[list(others)]) * float(problem.value(amount))
    return total


@settings(max_examples=6, deadline=None)
@given(drawn=schemes(), margin=st.sampled_from([0.0, 5.0, 20.0]), least=st.sampled_from([0.0, 2.0]))
def test_a_menu_of_whole_samples_keeps_everybody_willing(drawn, margin, least):
    """Rationality with the margin, incentives, feasibility and capacities, checked by enumeration."""
    population, curve = drawn
    stated = scheme(population=population, menu={"margin": margin, "preference_margin": least})
    contract, record = published(stated, curve, stock=200 * population["participants"])
    assume(contract is not None)  # margins need not be affordable; that nothing is offered then is tested below
    problem, menu_found = contract.problem, menu.Menu.of(record)
    data, rewards = menu_found.data, menu_found.expected_value
    costs, tolerance = problem.population.costs, 1e-6 * problem.largest_value
    assert (np.abs(contract.contribution - data) < 1e-6).all()
    assert (data <= 200).all()
    for i in range(costs.size):
        own = rewards[i] - costs[i] * data[i]
        assert own >= menu_found.alone(costs[i], i)[1] + margin - tolerance
        assert rewards[i] <= most_expected(problem, data, i) + tolerance
        for j in range(costs.size):
            other = rewards[j] - costs[i] * data[j]
            assert own >= other + (least if data[i] != data[j] else 0.0) - tolerance


def test_whole_samples_cost_hardly_anything():
    contract, record = published(scheme())
    free = design_contract(dataclasses.replace(contract.problem, menu=Menu()))
    assert free.objective - 0.1 <= contract.objective <= free.objective + 1e-6
    assert contract.certificate.optimal
    # the shares that are published give what the menu promises
    assert contract.rewards("proportional").mean == pytest.approx(menu.Menu.of(record).expected_value)


def test_what_is_published_settles_as_the_library_does():
    """Where those come whom the contract expects, promises are those of `settle`, by name."""
    contract, record = published(scheme())
    found = menu.Menu.of(record)
    for counts in ((2, 2, 2), (0, 1, 5), (6, 0, 0)):
        settled = contract.settle(dict(zip(found.names, counts, strict=True)), "proportional")
        total = int(np.array(counts) @ found.data)
        assert settled.total_data == pytest.approx(total)
        assert settled.accuracy == pytest.approx(found.promise(float(found.curve(float(total)))), abs=1e-6)


INGREDIENTS = {
    "qualities": {"population": TABLES["population"] | {"qualities": [0.7, 0.9, 1.0]}},
    "capacities": {"population": TABLES["population"] | {"capacities": [20.0, 50.0, 90.0]}},
    "law": {"population": TABLES["population"] | {"participants": {"family": "poisson", "mean": 6}}},
    "doubt": {"population": TABLES["population"] | {"doubt": {"radius": 0.1}}},
    "groups": {
        "population": TABLES["population"]
        | {"groups": ["a", "a", "b"], "probabilities": [0.5, 0.5, 1.0], "participants": {"a": 4, "b": 2}}
    },
    "named": {"population": {"costs": [7.0, 3.0, 1.2], "participants": "named", "names": ["x", "y", "z"]}},
    "scales": {"valuation": {"family": "linear", "scale": [900.0, 1000.0, 1200.0]}},
    "outside": {"outside": {"utility": [100.0, 300.0, 1400.0]}},
    "joining": {"outside": {"joining_cost": 5.0}},
    "options": {"menu": {"options": 2, "lot": 10}},
    "objective": {"objective": {"family": "welfare", "coordinator": 1.0}},
}


@pytest.mark.parametrize("name", list(INGREDIENTS))
def test_every_ingredient_of_a_problem_is_published(name):
    stated = scheme(**INGREDIENTS[name])
    contract, record = published(stated)
    found = menu.Menu.of(record)
    assert contract.certificate.holds
    assert stated.table("population") == scheme(**INGREDIENTS[name]).table("population")
    json.dumps({table: stated.table(table) for table in ("population", "valuation", "outside", "objective")})
    own = contract.problem.population
    lot = 10 if name == "options" else 1
    assert (found.data % lot == 0).all()
    for kind in range(own.types):
        cost = float(found.costs[kind])
        gains = found.gains(kind, cost)
        signed, alone = found.option_of(kind), found.alone(cost, kind)[1]
        assert alone == pytest.approx(contract.reservation_utility[kind], abs=1.0)  # whole samples, on a grid
        if signed is None:
            assert gains.max() <= alone + 1e-6
            continue
        assert signed == kind
        assert gains[kind] == pytest.approx(contract.utility[kind], abs=1e-6)
        assert gains[kind] >= gains.max() - 1e-6
    assert sum(seat.count for seat in stated.participants) == (3 if name == "named" else 6)


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ({"population": TABLES["population"] | {"shading": 0.1}}, "shading = 0.1: expected 0"),
        ({"menu": {"options": 0}}, r"\[menu\] options = 0"),
        ({"menu": {"lot": 0.5}}, r"\[menu\] lot = 0.5"),
        ({"outside": {"utility": [1.0]}}, r"\[outside\] utility has length 1"),
        (INGREDIENTS["groups"] | {"measuring": {"promise": "model"}}, "the promise of a model"),
        ({"measuring": {"promise": "caution"}}, r"\[measuring\] promise = 'caution'"),
        ({"participants": [{"type": "type 9"}]}, "type = 'type 9': expected one of type 1"),
        ({"participants": [{"group": "a"}]}, "group = 'a': expected none"),
        (INGREDIENTS["groups"] | {"participants": [{"count": 2}]}, "expected a group, one of a, b"),
        (
            {"population": TABLES["population"] | {"doubt": {"radius": 0.1, "distance": "kullback-leibler"}}},
            "do not go together",
        ),
    ],
)
def test_what_a_scheme_cannot_be_is_said_before_it_begins(tables, message):
    with pytest.raises(InvalidInput, match=message):
        scheme(**tables)


@pytest.mark.parametrize(
    ("stated", "curve", "words"),
    [
        ({"menu": {"margin": 500.0}}, CURVE, "keeps everybody 500 above what it has by staying out"),
        ({"valuation": {"family": "linear", "scale": 1.0}}, CURVE, "keeps everybody as well off as by staying"),
    ],
    ids=["a margin that nobody can pay", "models that are worth less than a sample"],
)
def test_nothing_is_offered_where_no_menu_is_as_good_as_staying_out(stated, curve, words):
    contract, record = published(scheme(**stated), curve)
    assert contract is None
    assert words in record.result["nothing_offered"]
    assert "larger pilot" in record.result["nothing_offered"]
    found = menu.Menu.of(record)
    assert [found.option_of(kind) for kind in range(3)] == [None] * 3
    assert not np.isfinite(found.gains(0, 1.0)).any()
    # what staying out gives is what everybody has
    for kind, option in enumerate(record.result["options"]):
        alone = found.alone(found.costs[kind], kind)[1]
        assert alone <= option["alone_utility"] + 1e-9
        assert option["expected_utility"] == option["alone_utility"]


def test_the_errors_of_a_pilot_are_exact_for_means():
    """The statistic that is a mean of x of P samples: its deviations among fresh samples, and among pilots."""
    draw = np.random.default_rng(0)
    most, repetitions, sizes = 90, 12, np.array([10, 30, 60])
    found, errors, means = [], [], []
    for _ in range(1500):
        held = draw.normal(size=most)
        measured = np.array(
            [[held[draw.permutation(most)[:x]].mean() for _ in range(repetitions)] for x in sizes]
        )
        fresh, error = deviations(measured, sizes / most, least=0.0)
        found.append(fresh**2)
        errors.append(error**2)
        means.append(measured.mean(axis=1))
    assert np.mean(found, axis=0) == pytest.approx(1 / sizes, rel=0.06)
    assert np.mean(errors, axis=0) == pytest.approx(np.var(means, axis=0), rel=0.12)


def fitted(accuracy, repetitions=12, labels=100):
    """What the fit says of a pilot of 75 samples whose models have these accuracies, with a spread of 0.04."""
    sizes = np.array([20, 26, 34, 50])
    spread = 0.04 * np.linspace(-1, 1, repetitions)
    pilot = {"data": sizes.tolist(), "accuracy": (np.array(accuracy)[:, None] + spread).tolist(), "samples": 75}
    half = {"validation_inputs": np.zeros((labels, 1)), "validation_labels": np.arange(labels) % 2}
    inputs = {"pilot": Record(result=pilot, arrays={}), "data": Record(result={}, arrays=half)}
    return fit(scheme(), inputs)[0]


@pytest.mark.parametrize(
    ("accuracy", "useless"),
    [
        ([0.49, 0.50, 0.51, 0.52], True),
        ([0.45, 0.46, 0.44, 0.45], True),  # worse than chance
        ([0.7, 0.75, 0.78, 0.8], False),
        ([0.99, 0.99, 0.995, 0.995], False),  # learnt at once: whether to join is for the design
    ],
)
def test_nothing_is_offered_on_models_that_are_not_shown_to_beat_the_commonest_class(accuracy, useless):
    found = fitted(accuracy)
    assert found["chance"] == 0.5
    assert bool(found["useless"]) == useless
    inputs = {
        "fit": Record(result=found, arrays={}),
        "data": Record(result={"samples": {"stock": 600}}, arrays={}),
    }
    made = menu.design(scheme(), inputs)[0]
    if useless:
        assert made["contract"] is None
        assert "commonest class, 0.500: expected a larger pilot" in made["nothing_offered"]


def test_models_worth_no_more_than_the_commonest_class_are_worth_nothing():
    _, record = published(scheme())
    found = menu.Menu.of(record)
    assert [float(found.worth(a, 0)) for a in (0.0, CHANCE, CHANCE + 0.2)] == pytest.approx([0.0, 0.0, 200.0])
    assert found.promise(0.05) == pytest.approx([0.05] * 3)  # never more than was trained


@settings(max_examples=30, deadline=None)
@given(size=st.integers(1, 60), level=st.floats(0, 1), classes=st.integers(2, 10), seed=st.integers(0, 99))
def test_label_noise_changes_exactly_its_share(size, level, classes, seed):
    draw = np.random.default_rng(seed)
    part = Samples(inputs=draw.normal(size=(size, 2)), labels=draw.integers(classes, size=size))
    noisy = with_label_noise(part, level, classes=classes, draw=draw)
    assert (noisy.labels != part.labels).sum() == round(level * size)
    assert ((noisy.labels >= 0) & (noisy.labels < classes)).all()


def test_padding_adds_samples_of_no_weight():
    part = Samples(inputs=np.ones((2, 3)), labels=np.array([1, 2]))
    filled, weights = pad([part, part], 7)
    assert weights.tolist() == [1, 1, 1, 1, 0, 0, 0]
    assert filled.labels.tolist() == [1, 2, 1, 2, 0, 0, 0]
    assert filled.inputs.sum() == 12


@pytest.mark.parametrize("kind", ["count", "contingent"])
def test_a_menu_with_a_clause_is_published_with_its_mean_shares(kind):
    contract, record = published(scheme(menu={"assurance": kind, "margin": 5.0}))
    likely, mean, whole = 0.0, np.zeros(3), np.zeros(3)
    for others in itertools.product(range(3), repeat=5):
        chance = float(np.prod(contract.problem.population.probabilities[list(others)]))
        likely += chance
        for i in range(3):
            settled = contract.settle(np.bincount([*others, i], minlength=3))
            mean[i] += chance * settled.value[i]
            whole[i] += chance * float(contract.problem.value(settled.total_data))
    assert likely == pytest.approx(1.0)
    shares = np.array([option["share"] for option in record.result["options"]])
    assert shares[-1] == 1.0
    assert np.allclose(shares, mean / whole, atol=0.01)
