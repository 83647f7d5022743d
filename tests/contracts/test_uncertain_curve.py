"""Uncertain learning curves: regions that hold their curves, and promises kept throughout them."""

import dataclasses
import json
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from contracts import (
    Arctan,
    Doubt,
    Exponential,
    ExponentialMixture,
    GeneralizationBound,
    Infeasible,
    InvalidInput,
    LinearValuation,
    Measurements,
    Menu,
    Outside,
    Population,
    PowerLaw,
    Problem,
    Scenario,
    UncertainCurve,
    Welfare,
    bootstrap_covariance,
    confidence_region,
    design_contract,
    design_contracts,
    fit_family,
    verify,
)
from contracts.measured.uncertain_curve import lowest_curve
from contracts.problem.standard_form import standard_form
from contracts.proof.expectations import worlds_expected
from contracts.proof.promises import read_menu
from contracts.proof.region_check import LOWEST, kept_throughout

TRUE = {
    "power-law": PowerLaw(optimum=0.95, coefficient=1.5, exponent=0.6),
    "generalization-bound": GeneralizationBound(optimum=0.9, complexity=0.5),
    "exponential": Exponential(optimum=0.9, rate=0.01),
    "arctan": Arctan(optimum=0.9, scale=80.0),
}


@cache
def fitted(family="power-law", noise=0.004, known=True):
    data = np.geomspace(60.0, 4000.0, 10)
    draw = np.random.default_rng(5)  # with 3 chi-square rejects the family: p = .0007
    accuracy = np.clip(TRUE[family](data) + noise * draw.standard_normal(data.size), 0.0, 1.0)
    error = np.full(data.size, noise) if known else None
    return fit_family(Measurements(data=data, accuracy=accuracy, standard_error=error), family=family)


CROWD = Population(costs=[0.2, 0.1, 0.04], probabilities=[0.4, 0.3, 0.3], participants=20)


def problem(*, fit=None, level=0.95, covariance=None, population=CROWD, **options):
    curve = UncertainCurve(fit=fitted() if fit is None else fit, level=level, covariance=covariance)
    valuation = LinearValuation(scale=100.0)
    return Problem(population=population, accuracy=curve, valuation=valuation, **options)


def nominal(stated):
    """The best contract if the fitted curve were certain."""
    return design_contract(dataclasses.replace(stated, accuracy=stated.accuracy.fit.curve))


def on_the_boundary(region, count, seed=5):
    directions = np.random.default_rng(seed).standard_normal((count, region.centre.size))
    return region.parameters(directions / np.linalg.norm(directions, axis=1, keepdims=True))


@pytest.mark.parametrize(
    "family",
    [pytest.param(name, marks=[pytest.mark.slow] if name != "exponential" else []) for name in TRUE],
)
def test_no_curve_of_the_region_leaves_its_bounds(family):
    region = confidence_region(fitted(family), level=0.95)
    data = np.geomspace(20.0, 1e5, 25)
    accuracies = region.accuracy(on_the_boundary(region, 3000), data)
    lowest, at = region.lowest(data)
    assert (accuracies >= np.maximum(lowest, 0.0) - 2e-6).all()
    assert (accuracies <= region.highest(data) + 2e-6).all()
    own = [region.accuracy(z[None], np.array([x]))[0, 0] for z, x in zip(at, data, strict=True)]
    np.testing.assert_allclose(own, np.maximum(lowest, 0.0), atol=1e-9)
    bottom = lowest_curve(region, 1e5)
    assert (bottom(data) <= accuracies.min(axis=0) + 1e-9).all()
    cautious = {"arctan": 0.035, "exponential": 0.03}.get(family, 0.01)
    assert (bottom(data) >= lowest - cautious * (bottom.optimum - lowest) - 1e-6).all()


@pytest.mark.slow
def test_the_region_holds_the_true_parameters_as_often_as_it_says():
    data = np.geomspace(60.0, 4000.0, 10)
    draw = np.random.default_rng(0)
    true = np.array([0.9, np.log(80.0)])
    inside = 0
    for _ in range(200):
        accuracy = np.clip(TRUE["arctan"](data) + 0.004 * draw.standard_normal(data.size), 0.0, 1.0)
        fit = fit_family(
            Measurements(data=data, accuracy=accuracy, standard_error=np.full(10, 0.004)), family="arctan"
        )
        region = confidence_region(fit, level=0.8)
        inside += np.linalg.norm(np.linalg.solve(region.factor, true - region.centre)) <= 1.0
    assert stats.binomtest(inside, 200, 0.8).pvalue > 1e-4


def test_a_contract_keeps_its_promises():
    stated = problem()
    contract, bold = design_contract(stated), nominal(stated)
    certificate = verify(contract)
    assert certificate.holds, certificate
    assert certificate.optimal
    assert certificate.gap <= 0.05
    assert contract.reached <= certificate.extended["expected target under the worst curve found"] + 1e-7
    assert contract.reached < bold.reached
    right = certificate.extended["expected target if the fitted curve is right"]
    assert contract.reached <= right <= bold.reached + 1e-7
    assert "kept with confidence 0.95" in str(certificate)


def test_the_nominal_contract_does_not():
    stated = problem()
    bold = dataclasses.replace(nominal(stated), problem=stated)
    texts = " ".join(verify(bold).violations)
    assert "less than alone under some curve of the region" in texts
    assert "more than some curve of the region gives" in texts
    assert "objective: stated" in texts


def test_envelopes_are_not_trusted():
    """What is wrong with the curve on which promises are made is found by looking at curves of the region."""
    stated = problem()
    bold = nominal(stated)
    form = standard_form(stated)
    forged = form.under([stated.accuracy.fit.curve])
    outside = bold.reservation_utility
    menu, _ = read_menu(forged, bold.contribution, bold.expected_reward, outside)
    found = kept_throughout(forged, menu, worlds_expected(forged, menu.data, None))
    texts = " ".join(found.violations)
    assert "less than alone" in texts
    assert "more than some curve" in texts
    assert "is guaranteed, some curve gives" in texts


def test_a_bound_needs_a_curve_of_the_region():
    contract = design_contract(problem())
    longer = tuple(1.01 * w / np.linalg.norm(w) for w in contract.proof.curves)
    for curves, reason in (
        (longer, "not in the region"),
        ((), "one curve for each"),
        ((np.zeros(2),), "curves of the proof"),
        (None, "differs from the curve"),
    ):
        certificate = verify(
            dataclasses.replace(contract, proof=dataclasses.replace(contract.proof, curves=curves))
        )
        assert certificate.holds
        assert certificate.gap is None
        assert not certificate.optimal
        assert reason in certificate.missing


def test_the_own_proof_of_the_lowest_curve_bounds_less():
    stated = problem()
    lowest = standard_form(stated).worlds[0].plain.accuracy
    contract = design_contract(stated)
    due = Outside(utility=contract.reservation_utility)
    own = design_contract(dataclasses.replace(stated, accuracy=lowest, outside=due))
    certificate = verify(dataclasses.replace(contract, proof=own.proof))
    assert certificate.holds
    assert certificate.gap is None
    assert not certificate.optimal


@pytest.mark.slow
def test_more_confidence_costs_more():
    stated = [problem(level=level) for level in (1e-6, 0.5, 0.99)]
    values = [design_contract(one).reached for one in stated]
    assert values[0] > values[1] > values[2]
    # With next to no region there is next to no price (the majorant's allowance apart).
    assert 0.0 <= nominal(stated[0]).reached - values[0] <= 0.02


def test_certainty_is_the_nominal_contract():
    stated = problem(covariance=np.zeros((3, 3)))
    contract, known = design_contract(stated), nominal(stated)
    assert contract.reached == known.reached
    np.testing.assert_array_equal(contract.contribution, known.contribution)
    certificate = verify(contract)
    assert certificate.holds
    assert certificate.optimal
    assert certificate.gap == verify(known).gap


def test_asked_for_a_number_it_is_the_fit():
    curve, data = problem().accuracy, np.r_[0.0, np.geomspace(1.0, 1e5, 30)]
    np.testing.assert_array_equal(curve(data), curve.fit.curve(data))
    assert (curve.optimum, curve.floor) == (curve.fit.curve.optimum, curve.fit.curve.floor)
    assert (curve.promised(1e5)(data) <= curve(data)).all()
    assert (curve.at_best(data) >= curve(data) - 1e-12).all()


@pytest.mark.parametrize("known", [True, False])
def test_what_is_written_gives_the_curve_back(known):
    curve = UncertainCurve(fit=fitted(known=known), level=0.9)
    text = json.dumps(curve.parameters(), allow_nan=False)
    again = UncertainCurve.from_parameters(json.loads(text))
    for name in ("centre", "factor", "covariance"):
        np.testing.assert_array_equal(getattr(again.region, name), getattr(curve.region, name))
    assert again.level == 0.9
    assert again.fit.curve.parameters() == curve.fit.curve.parameters()
    assert json.dumps(again.parameters()) == text


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"estimate": [0.9, 0.1]}, "estimate has shape"),
        ({"estimate": [0.9, 0.1, -1.0]}, r"estimate\[2\]"),
        ({"fit": "spline"}, "fit = 'spline'"),
        ({"at_bound": ["rate"]}, "at_bound"),
        ({"level": 2.0}, "level"),
        ({"covariance": [[1.0]]}, "covariance"),
        ({"colour": "red"}, "unknown key 'colour'"),
    ],
)
def test_tables_that_are_none(changed, message):
    table = UncertainCurve(fit=fitted()).parameters() | changed
    with pytest.raises(InvalidInput, match=message):
        UncertainCurve.from_parameters(table)
    with pytest.raises(InvalidInput, match="no key 'level'"):
        UncertainCurve.from_parameters({key: value for key, value in table.items() if key != "level"})


TOGETHER = {
    "groups": {
        "population": Population(
            costs=[0.2, 0.05, 0.1],
            probabilities=[0.5, 0.5, 1.0],
            participants={"a": 10, "b": 8},
            groups=["a", "a", "b"],
        )
    },
    "qualities and shading": {
        "population": Population(
            costs=[0.2, 0.1], probabilities=[0.5, 0.5], participants=20, qualities=[1.0, 0.8], shading=0.1
        )
    },
    "capacities": {
        "population": Population(
            costs=[0.2, 0.05], probabilities=[0.5, 0.5], participants=20, capacities=[60.0, 100.0]
        )
    },
    "doubt": {
        "population": Population(
            costs=[0.2, 0.05],
            probabilities=[0.5, 0.5],
            participants=20,
            doubt=Doubt(radius=0.05, distance="total-variation"),
        )
    },
    "divergence": {
        "population": Population(
            costs=[0.2, 0.05],
            probabilities=[0.5, 0.5],
            participants=20,
            doubt=Doubt(radius=0.01, distance="kullback-leibler"),
        )
    },
    "menu": {"menu": Menu(options=2, participation_margin=0.5)},
    "outside": {"outside": Outside(utility=[40.0, 45.0, 50.0], joining_cost=1.0)},
    "baseline": {"baseline": 0.5},
    "welfare": {"objective": Welfare(coordinator=0.5)},
    "scenarios": {
        "scenarios": [
            Scenario(weight=0.6),
            Scenario(weight=0.4, accuracy=PowerLaw(optimum=0.93, coefficient=1.2, exponent=0.6)),
        ]
    },
    "ex-ante": {"belief": "ex-ante"},
}


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[] if name in ("groups", "baseline") else [pytest.mark.slow])
        for name in TOGETHER
    ],
)
def test_it_goes_with_everything_else(name):
    contract = design_contract(problem(**TOGETHER[name]))
    certificate = verify(contract)
    assert certificate.holds, certificate
    assert contract.contribution.any()
    if name == "divergence":  # whose proof is about the lowest curve
        assert LOWEST in certificate.scope
        assert not certificate.optimal
    else:
        assert certificate.gap is not None, certificate.missing
        assert certificate.gap <= 0.05 * abs(contract.reached)


@pytest.mark.slow
@pytest.mark.parametrize("belief", ["interim", "ex-ante"])
@pytest.mark.parametrize("family", list(TRUE))
def test_every_family_and_belief(family, belief):
    stated = problem(fit=fitted(family), belief=belief)
    contract = design_contract(stated)
    assert verify(contract).holds, verify(contract)
    assert contract.reached <= nominal(stated).reached


@pytest.mark.slow
def test_estimated_noise_and_bootstrap():
    fit = fitted(known=False)
    assert confidence_region(fit).factor[0, 0] != 0.0
    covariance = bootstrap_covariance(fit, draws=60, seed=1)
    ratio = np.sqrt(np.diag(covariance)) / fit.standard_error
    assert ((ratio > 0.4) & (ratio < 2.5)).all()
    assert verify(design_contract(problem(fit=fit, covariance=covariance))).holds


def test_an_impossible_region_says_so():
    # Alone the best curve might be excellent, together the worst nearly useless.
    wide = np.diag([0.0, 1.0, 0.06])
    with pytest.raises((Infeasible, InvalidInput), match="lower level"):
        design_contract(problem(covariance=wide, level=0.99))


@settings(max_examples=20, deadline=None)
@given(
    st.floats(0.1, 1.0), st.lists(st.tuples(st.floats(0.01, 3.0), st.floats(1e-4, 1.0)), min_size=1, max_size=5)
)
def test_mixtures_are_curves(optimum, terms):
    weights, rates = zip(*terms, strict=True)
    curve = ExponentialMixture(optimum=optimum, weights=weights, rates=rates)
    data = np.r_[0.0, np.geomspace(1e-3, 1e7, 400)]
    accuracy = curve(data)
    assert (np.diff(accuracy) >= -1e-12).all()
    assert accuracy[0] == max(0.0, optimum - sum(weights))
    assert (accuracy[data < curve.floor * (1 - 1e-9)] <= 1e-9).all()
    assert (accuracy[data > curve.floor * (1 + 1e-6)] > 0.0).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"level": 0.0}, "level = 0.0"),
        ({"level": 1.0}, "level = 1.0"),
        ({"level": float("nan")}, "level"),
        ({"level": "high"}, "level"),
        ({"covariance": np.zeros((2, 2))}, "covariance"),
        ({"covariance": np.zeros((3, 2))}, r"covariance has shape \(3, 2\)"),
        ({"covariance": -np.eye(3)}, "positive semidefinite"),
        ({"covariance": [[1e-6, 1e-5, 0], [1e-5, 1e-6, 0], [0, 0, 1e-6]]}, "positive semidefinite"),
        ({"covariance": [[1e-6, 1e-7, 0], [0, 1e-6, 0], [0, 0, 1e-6]]}, "symmetric"),
        ({"covariance": np.full((3, 3), np.inf)}, "covariance"),
        ({"covariance": np.eye(3)}, "never learn"),
        ({"fit": "a curve"}, "fit"),
    ],
)
def test_wrong_arguments(options, message):
    with pytest.raises(InvalidInput, match=message):
        problem(**options)


def test_other_wrong_uses():
    exact = fit_family(Measurements(data=[20, 40, 80], accuracy=[0.5, 0.7, 0.8]))
    with pytest.raises(InvalidInput, match="too few"):
        problem(fit=exact)
    with pytest.raises(InvalidInput, match="the optimum of the worst curve"):
        standard_form(problem(baseline=0.95))
    with pytest.raises(InvalidInput, match="draws"):
        bootstrap_covariance(fitted(), draws=1)
    with pytest.raises(InvalidInput, match="weights"):
        ExponentialMixture(optimum=0.9, weights=[0.0], rates=[1.0])
    with pytest.raises(InvalidInput, match="cannot be stored"):
        ExponentialMixture(optimum=0.9, weights=[1.0], rates=[1.0]).parameters()


@pytest.mark.slow
def test_batches_give_the_same_contracts():
    stated = problem()
    (batched,), single = design_contracts([stated]), design_contract(stated)
    assert batched.reached == single.reached
    assert verify(batched).gap == verify(single).gap
