"""Reports of every ingredient that a problem can have: each page is well made, and says what is true of it."""

import dataclasses
import importlib.util
import itertools
from pathlib import Path

import numpy as np
import pytest

import modelpact
from contracts import (
    DistributionCost,
    Doubt,
    LinearValuation,
    Menu,
    NashBargaining,
    Outside,
    Poisson,
    Population,
    PowerLaw,
    Problem,
    Rawlsian,
    Scenario,
    Welfare,
    design_contract,
)
from contracts.contract.launch_settlement import chance_of_loss
from contracts.problem.menu import Menu as Limits
from modelpact.report_facts import facts
from modelpact.reports import typical_counts


def reading():
    """The reader of pages of the tests beside."""
    specification = importlib.util.spec_from_file_location("pages", Path(__file__).with_name("test_report.py"))
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module.assert_well_made, module.plain


assert_well_made, plain = reading()

FEW = Population(costs=[0.3, 0.1, 0.03], probabilities=[0.3, 0.4, 0.3], participants=6)
GROUPS = {"groups": ["clinics", "clinics", "Aachen"], "probabilities": [0.5, 0.5, 1.0]}
OTHER = PowerLaw(optimum=0.9, coefficient=2.0, exponent=0.5)


def stated(
    scale=100.0, baseline=0.0, menu: Limits | None = None, outside=None, objective=None, scenarios=(), **who
):
    """Three kinds, six participants, and one thing that is otherwise."""
    population = {
        "costs": [0.2, 0.1, 0.05],
        "probabilities": [0.3, 0.4, 0.3],
        "participants": 6,
        "names": ["<i>rural</i>", "city", "Bonn"],
    }
    return Problem(
        population=Population(**(population | who)),
        accuracy=PowerLaw(optimum=0.95, coefficient=2.0, exponent=0.5),
        valuation=LinearValuation(scale=scale),
        baseline=baseline,
        menu=menu or Menu(),
        outside=outside or Outside(),
        objective=objective,
        scenarios=scenarios,
    )


CASES = {
    "law": (
        {"participants": Poisson(mean=6.0)},
        ("their number not known in advance (Poisson (mean 6))", "As many as this law says"),
    ),
    "groups": (
        GROUPS | {"participants": {"clinics": Poisson(mean=3.0), "Aachen": 1}},
        (
            "in groups that everybody can tell apart (clinics: Poisson (mean 3), Aachen: 1)",
            "For clinics Bring",
            "For Aachen Bring",
            "The same menu for everybody in a group.",
            "there is none for it",
        ),
    ),
    "qualities": (
        {"qualities": [0.5, 0.8, 1.0]},
        ("Data differ in quality", "effective samples", "quality"),
    ),
    "capacities": (
        {"capacities": [50.0, 100.0, 200.0]},
        ("has at most", "Nobody is asked for more data than it has.", "and that it has the data for"),
    ),
    "shading": ({"shading": 0.1}, ("Up to 10 % of what is agreed may be missing without being noticed",)),
    "scales": (
        {"scale": [80.0, 100.0, 150.0]},
        ("Not the same to everybody: a perfect model from 80 to 150", "perfect model"),
    ),
    "baseline": (
        {"baseline": 0.3},
        (
            "Everybody has an accuracy of 30 % without any data",
            "less what the 30 % that everybody has without data are worth",
        ),
    ),
    "outside": (
        {"outside": Outside(utility=[0.0, 20.0, 95.0])},
        (
            "Left outside of the deal: Bonn.",
            "What staying out gives is stated for each kind",
            "What it gains over staying out",
            "Every kind that takes part expects at least the gain it has by staying out",
        ),
    ),
    "joining": (
        {"outside": Outside(joining_cost=2.0)},
        ("Taking part costs each 2 euros whatever it brings", "of the data brought and of joining"),
    ),
    "options": ({"menu": Menu(options=2)}, ("The menu may have at most 2 options.", "options to choose from2")),
    "lots": (
        {"menu": Menu(lot=50.0)},
        ("Options ask for whole lots of 50 (effective) data.", "The menu is as was asked for"),
    ),
    "margins": (
        {"menu": Menu(participation_margin=1.0, preference_margin=0.5)},
        (
            "Everybody who takes part gains at least 1 euros over staying out.",
            "at least 1 euros better off than staying alone",
            "Everybody would lose at least 0.5 euros by another option than its own.",
        ),
    ),
    "scenarios": (
        {"scenarios": [Scenario(weight=0.75), Scenario(weight=0.25, accuracy=OTHER)]},
        (
            "One of 2 scenarios will turn out true",
            "In scenario 1 (75 % likely) receive",
            "In scenario 2 (25 % likely) receive the joint model",
            "in scenario 2 it falls short of 90 %",
            "Every promise can be kept, whoever takes part, in every scenario.",
        ),
    ),
    "doubt": (
        {"doubt": Doubt(radius=0.1)},
        (
            "all probabilities within 0.1 (total variation) of the stated ones",
            "least expected accuracy of the joint model",
            "at all chances within the doubt stated",
            "options counted at their worst chances",
        ),
    ),
    "divergence": (
        {"doubt": Doubt(radius=0.02, distance="kullback-leibler")},
        ("within 0.02 (Kullback-Leibler)", "at all chances within the doubt stated"),
    ),
    "welfare": (
        {"objective": Welfare(coordinator=0.5)},
        (
            "Maximised is the mean gain of a participant, plus 0.5 times",
            "better in what is maximised by more than",
        ),
    ),
    "rawlsian": (
        {"objective": Rawlsian(over="utility", coordinator=0.1)},
        ("Maximised is the gain of whoever is worst off, plus 0.1 times",),
    ),
    "nash": ({"objective": NashBargaining()}, ("Maximised is the mean logarithm of the gains",)),
    "delivery": (
        {"objective": DistributionCost(rate=1e-3, exponent=2.0)},
        ("less what handing out models costs",),
    ),
}


@pytest.fixture(scope="module")
def pages():
    found = {}

    def page(name):
        if name not in found:
            contract = design_contract(stated(**CASES[name][0]))
            found[name] = contract, modelpact.report(contract, data="samples", currency="euros")
        return found[name]

    return page


@pytest.mark.parametrize("name", list(CASES))
def test_every_ingredient_is_told_of(pages, name):
    contract, page = pages(name)
    words = plain(page.html)
    assert_well_made(page.html)
    assert page.certificate.holds
    for sentence in CASES[name][1]:
        assert sentence in words, sentence
    assert page.certificate.optimal == ("everything holds" in words)
    assert page.certificate.optimal == ("optimality not proved" not in words)
    assert all(sentence in words for sentence in page.certificate.about)
    assert contract.reason in words
    assert "<i>rural</i>" in words
    assert "<i>" not in page.html
    assert not {"nan", "inf", "none,"} & set(words.lower().replace("chance to do worse", "").split())


@pytest.mark.parametrize("name", list(CASES))
def test_the_settlement_shown_is_one_that_the_laws_allow(pages, name):
    contract, page = pages(name)
    counts = typical_counts(contract.problem)
    assert f"--counts {','.join(map(str, counts))}" in plain(page.html)
    settled = contract.settle(counts)
    # accuracies on the page and in settlements are counted alike
    for i, kind_name in enumerate(settled.names):
        kind = next(kind for kind in facts(contract, page.certificate).kinds if kind.name == kind_name)
        assert settled.accuracy[i] <= kind.received[0].cap + 1e-9


@pytest.mark.parametrize("name", list(CASES))
def test_gains_are_those_of_the_contract_in_own_units(pages, name):
    contract, page = pages(name)
    names = list(contract.problem.population.names)
    for kind in facts(contract, page.certificate).kinds:
        i = names.index(kind.name)
        if kind.stays:
            assert (kind.contribution, kind.value) == (0.0, 0.0)
            assert kind.gain == kind.alone_gain == contract.reservation_utility[i]
            assert kind.other_gain <= kind.gain + 1e-6
            continue
        assert kind.gain == pytest.approx(contract.utility[i], abs=1e-6)
        assert kind.alone_gain == pytest.approx(contract.reservation_utility[i], abs=1e-5)
        assert kind.other_gain is None or kind.other_gain <= kind.gain + 1e-5


def consortium(**menu) -> Problem:
    """Six partners known by name: an accuracy of one half for free, whole lots of ten."""
    return Problem(
        population=Population(
            costs=[1.0, 1.2, 1.5, 2.0, 2.5, 3.0],
            names=["Aachen", "Bonn", "Celle", "Dessau", "Essen", "Fulda"],
            participants="named",
            capacities=[600.0, 500.0, 400.0, 300.0, 200.0, 150.0],
        ),
        accuracy=PowerLaw(optimum=0.95, coefficient=6.0, exponent=0.6),
        valuation=LinearValuation(scale=10_000.0),
        baseline=0.5,
        menu=Menu(lot=10.0, **menu),
        currency="euros",
    )


def test_where_everybody_is_known_by_name_all_is_certain_and_nothing_expected():
    contract = design_contract(consortium(options=6))
    page = modelpact.report(contract, data="images")
    words = plain(page.html)
    assert_well_made(page.html)
    assert page.certificate.optimal
    for sentence in (
        "6 participants, known by name (Aachen, Bonn, Celle, Dessau, Essen and Fulda), can train one model",
        "As it is known who takes part, what follows is certain.",
        "Everybody is known by name, and so is what its data cost it",
        "Nothing: everybody is known by name and takes part, so that every number on this page is certain",
        "Bring 600 images",
        "Every promise can be kept. No other menu",
        "Everybody has an accuracy of 50 % without any data",
        "Options ask for whole lots of 10 (effective) data.",
        "--counts 1,1,1,1,1,1",
        "(here: everybody)",
    ):
        assert sentence in words, sentence
    for word in ("expected", "Expected", "expects", "on average", "On average", "chance to do worse", "Kind"):
        assert word not in words, word
    assert [kind.received[0].worse for kind in facts(contract, page.certificate).kinds] == [0.0] * 6
    settled = contract.settle(dict.fromkeys(contract.problem.population.names, 1))
    assert settled.trained_accuracy == pytest.approx(contract.expected_accuracy, abs=1e-9)
    assert np.round(settled.total_data) == 2150


def test_a_broken_promise_of_any_problem_is_named():
    contract = design_contract(consortium())
    broken = dataclasses.replace(contract, contribution=contract.contribution + 5.0)
    page = modelpact.report(broken)
    words = plain(page.html)
    assert_well_made(page.html)
    assert not page.certificate.holds
    assert "Warning: this contract does not hold" in words
    assert "capacity: Aachen is asked for 605 data and has 600" in words
    assert "lots: Aachen is asked for 60.5 lots" in words
    assert "everything holds" not in words


@pytest.mark.parametrize("kind", ["count", "cut", "contingent"])
def test_who_signs_under_a_clause_is_not_told_that_it_may_lose(kind):
    limits = Menu(assurance=kind, participation_margin=0.1)
    contract = design_contract(dataclasses.replace(stated(menu=limits), population=FEW))
    page = modelpact.report(contract)
    words = plain(page.html)
    assert "nobody who signs its own option ends up with less than it would have had alone" in words
    assert "may have done worse" not in words
    found = facts(contract, page.certificate)
    assert [got.worse for one in found.kinds for got in one.received] == [0.0] * 3
    assert ("how much follows from who signs" in words) == (kind != "cut")
    # by settlements of every profile in which everybody signs
    for counts in itertools.product(range(7), repeat=3):
        if sum(counts) == 6:
            got = contract.settle(counts)
            there = (np.array(counts) > 0) & ~got.released
            assert (got.utility >= contract.reservation_utility + 0.1 - 1e-6)[there].all()
    # a due that is not reached is seen: alone each would have all that it is given on average
    raised = chance_of_loss(
        dataclasses.replace(contract, reservation_utility=contract.utility + 1.0), np.zeros(3)
    )
    assert (raised > 0.1).all()
