"""The oracle against designs for each condition alone."""

import dataclasses

import pytest
from enumerated import Enumerated
from oracle import best

from contracts import (
    DistributionCost,
    Doubt,
    GeneralizationBound,
    LinearValuation,
    Menu,
    NashBargaining,
    Population,
    PowerLaw,
    Problem,
    Rawlsian,
    Scenario,
    Welfare,
    design_contract,
)

BASE = Problem(
    population=Population(costs=[0.5, 0.2, 0.1], probabilities=[0.3, 0.4, 0.3], participants=4),
    accuracy=PowerLaw(optimum=0.95, coefficient=2.0, exponent=0.6),
    valuation=LinearValuation(scale=100.0),
)
FLOOR = dataclasses.replace(BASE, accuracy=GeneralizationBound(complexity=0.3))


def populated(problem, **changes):
    return dataclasses.replace(problem, population=dataclasses.replace(problem.population, **changes))


@pytest.mark.parametrize("base", [BASE, FLOOR])
@pytest.mark.parametrize("margins", [(1.0, 0.0), (0.0, 1.0), (0.5, 0.5)])
def test_margins(base, margins):
    asked = dataclasses.replace(base, menu=Menu(participation_margin=margins[0], preference_margin=margins[1]))
    assert best(asked, starts=8)[0] == pytest.approx(design_contract(asked).reached, abs=1e-4)


@pytest.mark.parametrize(
    "objective",
    [
        Welfare(coordinator=0.3),
        Rawlsian(coordinator=0.1),
        Rawlsian(over="utility", coordinator=0.1),
        NashBargaining(),
        DistributionCost(rate=1e-3, exponent=2.0),
    ],
    ids=str,
)
def test_objectives(objective):
    asked = dataclasses.replace(BASE, objective=objective)
    assert best(asked, starts=8)[0] == pytest.approx(design_contract(asked).reached, abs=1e-4)


@pytest.mark.parametrize(("options", "lot"), [(1, None), (2, None), (None, 20.0), (2, 20.0)])
def test_menus_of_few_options_and_whole_lots(options, lot):
    asked = dataclasses.replace(BASE, menu=Menu(options=options, lot=lot))
    assert best(asked, starts=8)[0] == pytest.approx(design_contract(asked).reached, abs=1e-4)


def test_scenarios():
    p = [[0.6, 0.3, 0.1], [0.1, 0.3, 0.6]]
    scenarios = (Scenario(weight=0.3, probabilities=p[0]), Scenario(weight=0.7, probabilities=p[1]))
    asked = dataclasses.replace(BASE, scenarios=scenarios)
    assert best(asked, starts=8)[0] == pytest.approx(design_contract(asked).reached, abs=1e-4)


def test_total_variation():
    asked = populated(BASE, doubt=Doubt(radius=0.1))
    worst = dataclasses.replace(
        BASE, population=dataclasses.replace(BASE.population, probabilities=[0.4, 0.4, 0.2])
    )
    value, m, _ = best(asked, starts=8)
    assert value == pytest.approx(design_contract(worst).objective, abs=1e-4)
    assert value == pytest.approx(design_contract(asked).objective, abs=1e-4)
    # The worst member is the one that moves mass from the cheapest to the dearest.
    assert float(Enumerated(asked).expected(m)[0][0].min()) == pytest.approx(
        float(Enumerated(worst).expected(m)[0][0][0]), abs=1e-9
    )


def test_scales():
    asked = dataclasses.replace(BASE, valuation=LinearValuation(scale=[80.0, 100.0, 150.0]))
    assert best(asked, starts=8)[0] == pytest.approx(design_contract(asked).objective, abs=1e-4)


@pytest.mark.parametrize("shading", [0.0, 0.1])
def test_qualities(shading):
    asked = populated(BASE, qualities=[1.0, 0.8, 0.5], shading=shading)
    assert best(asked, starts=8)[0] == pytest.approx(design_contract(asked).objective, abs=1e-4)
