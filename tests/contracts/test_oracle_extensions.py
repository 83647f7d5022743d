"""The oracle against the solvers of each condition alone, as long as these have problem classes of their own."""

import dataclasses

import pytest
from enumerated import Enumerated
from oracle import best

from contracts import (
    DistributionCost,
    Doubt,
    GeneralizationBound,
    LinearValuation,
    MarginProblem,
    Menu,
    NashBargaining,
    ObjectiveProblem,
    Population,
    PowerLaw,
    Problem,
    QualityProblem,
    Rawlsian,
    Scenario,
    ScenarioProblem,
    TasteProblem,
    TieredProblem,
    Welfare,
    WithinTotalVariation,
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
    known = design_contract(
        MarginProblem(problem=base, participation_margin=margins[0], preference_margin=margins[1])
    )
    asked = dataclasses.replace(base, menu=Menu(participation_margin=margins[0], preference_margin=margins[1]))
    assert best(asked, starts=8)[0] == pytest.approx(known.target, abs=1e-4)


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
    known = design_contract(ObjectiveProblem(problem=BASE, objective=objective))
    value, *_ = best(dataclasses.replace(BASE, objective=objective), starts=8)
    assert value == pytest.approx(known.value, abs=1e-4)


@pytest.mark.parametrize(("options", "lot"), [(1, None), (2, None), (None, 20.0), (2, 20.0)])
def test_menus_of_few_options_and_whole_lots(options, lot):
    known = design_contract(TieredProblem(problem=BASE, tiers=options, lot=lot))
    value, *_ = best(dataclasses.replace(BASE, menu=Menu(options=options, lot=lot)), starts=8)
    assert value == pytest.approx(known.objective, abs=1e-4)


def test_scenarios():
    p = [[0.6, 0.3, 0.1], [0.1, 0.3, 0.6]]
    known = design_contract(ScenarioProblem(problem=BASE, weights=[0.3, 0.7], probabilities=p))
    scenarios = (Scenario(weight=0.3, probabilities=p[0]), Scenario(weight=0.7, probabilities=p[1]))
    value, *_ = best(dataclasses.replace(BASE, scenarios=scenarios), starts=8)
    assert value == pytest.approx(known.problem.expected(known.contribution), abs=1e-4)


def test_total_variation():
    known = design_contract(WithinTotalVariation(problem=BASE, radius=0.1))
    asked = populated(BASE, doubt=Doubt(radius=0.1))
    worst = dataclasses.replace(
        BASE, population=dataclasses.replace(BASE.population, probabilities=[0.4, 0.4, 0.2])
    )
    value, m, _ = best(asked, starts=8)
    assert value == pytest.approx(design_contract(worst).objective, abs=1e-4)
    assert known is not None
    # The worst member is the one that moves mass from the cheapest to the dearest.
    assert float(Enumerated(asked).expected(m)[0][0].min()) == pytest.approx(
        float(Enumerated(worst).expected(m)[0][0][0]), abs=1e-9
    )


def test_tastes():
    valuations = [LinearValuation(scale=v) for v in (80.0, 100.0, 150.0)]
    known = design_contract(
        TasteProblem(population=BASE.population, accuracy=BASE.accuracy, valuations=valuations)
    )
    value, *_ = best(dataclasses.replace(BASE, valuation=LinearValuation(scale=[80.0, 100.0, 150.0])), starts=8)
    assert value == pytest.approx(known.menu.objective, abs=1e-4)


@pytest.mark.parametrize("shading", [0.0, 0.1])
def test_qualities(shading):
    known = design_contract(
        QualityProblem(
            population=BASE.population,
            qualities=[1.0, 0.8, 0.5],
            accuracy=BASE.accuracy,
            valuation=BASE.valuation,
            radius=shading,
        )
    )
    asked = populated(BASE, qualities=[1.0, 0.8, 0.5], shading=shading)
    assert best(asked, starts=8)[0] == pytest.approx(known.menu.objective, abs=1e-4)
