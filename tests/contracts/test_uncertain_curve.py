"""Uncertain learning curves: regions that hold their curves, and promises kept throughout them."""

import dataclasses
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from contracts import (
    Arctan,
    Exponential,
    GeneralizationBound,
    Infeasible,
    InvalidInput,
    LinearValuation,
    Measurements,
    Population,
    PowerLaw,
    design_contract,
    design_contracts,
    fit_curve,
    verify,
)
from contracts.extensions.confidence_region import bootstrap_covariance, confidence_region
from contracts.extensions.uncertain_curve import UncertainProblem, lowest_curve
from contracts.measured.exponential_mixture import ExponentialMixture

TRUE = {
    "power-law": PowerLaw(optimum=0.95, coefficient=1.5, exponent=0.6),
    "generalization-bound": GeneralizationBound(optimum=0.9, complexity=0.5),
    "exponential": Exponential(optimum=0.9, rate=0.01),
    "arctan": Arctan(optimum=0.9, scale=80.0),
}


@cache
def fitted(family="power-law", noise=0.004, known=True):
    data = np.geomspace(60.0, 4000.0, 10)
    draw = np.random.default_rng(3)
    accuracy = np.clip(TRUE[family](data) + noise * draw.standard_normal(data.size), 0.0, 1.0)
    error = np.full(data.size, noise) if known else None
    return fit_curve(Measurements(data=data, accuracy=accuracy, standard_error=error), family=family)


def problem(**options):
    return UncertainProblem(
        population=Population(costs=[0.2, 0.1, 0.04], probabilities=[0.4, 0.3, 0.3], participants=20),
        fit=options.pop("fit", fitted()),
        valuation=LinearValuation(scale=100.0),
        **options,
    )


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
    cautious = {"arctan": 0.03, "exponential": 0.03}.get(family, 0.01)
    assert (bottom(data) >= lowest - cautious * (bottom.optimum - lowest) - 1e-6).all()


@pytest.mark.slow
def test_the_region_holds_the_true_parameters_as_often_as_it_says():
    data = np.geomspace(60.0, 4000.0, 10)
    draw = np.random.default_rng(0)
    true = np.array([0.9, np.log(80.0)])
    inside = 0
    for _ in range(200):
        accuracy = np.clip(TRUE["arctan"](data) + 0.004 * draw.standard_normal(data.size), 0.0, 1.0)
        fit = fit_curve(
            Measurements(data=data, accuracy=accuracy, standard_error=np.full(10, 0.004)), family="arctan"
        )
        region = confidence_region(fit, level=0.8)
        inside += np.linalg.norm(np.linalg.solve(region.factor, true - region.centre)) <= 1.0
    assert stats.binomtest(inside, 200, 0.8).pvalue > 1e-4


def test_a_contract_keeps_its_promises():
    contract = design_contract(problem())
    certificate = verify(contract)
    assert certificate.holds, certificate
    assert contract.guaranteed <= certificate.extended["reached under the worst curve found"] + 1e-7
    assert certificate.optimality_gap <= 0.05
    assert contract.price > 0.0
    assert contract.guaranteed <= contract.under_the_fit <= contract.nominal.objective + 1e-7
    assert "kept with confidence 0.95" in str(contract)


def test_the_nominal_contract_does_not():
    contract = design_contract(problem())
    bold = dataclasses.replace(contract, menu=contract.nominal)
    texts = " ".join(verify(bold).violations)
    assert "individual rationality" in texts
    assert "more than some curve of the region gives" in texts
    assert "is guaranteed" in texts


@pytest.mark.slow
def test_more_confidence_costs_more():
    found = [design_contract(problem(level=level)) for level in (1e-6, 0.5, 0.99)]
    values = [contract.guaranteed for contract in found]
    assert values[0] > values[1] > values[2]
    # With next to no region there is next to no price (the majorant's allowance apart).
    assert 0.0 <= found[0].price <= 0.02


def test_certainty_is_the_nominal_contract():
    contract = design_contract(problem(covariance=np.zeros((3, 3))))
    assert contract.price == 0.0
    assert contract.menu is contract.nominal
    assert verify(contract).holds


@pytest.mark.slow
@pytest.mark.parametrize("belief", ["interim", "ex-ante"])
@pytest.mark.parametrize("family", list(TRUE))
def test_every_family_and_belief(family, belief):
    contract = design_contract(problem(fit=fitted(family), belief=belief))
    assert verify(contract).holds, verify(contract)
    assert contract.price >= 0.0


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
        ({"belief": "blind"}, "belief"),
    ],
)
def test_wrong_arguments(options, message):
    with pytest.raises(InvalidInput, match=message):
        problem(**options)


def test_other_wrong_uses():
    exact = fit_curve(Measurements(data=[20, 40, 80], accuracy=[0.5, 0.7, 0.8]))
    with pytest.raises(InvalidInput, match="too few"):
        problem(fit=exact)
    with pytest.raises(InvalidInput, match="interior-point"):
        design_contract(problem(), solver="conic")
    with pytest.raises(InvalidInput, match="not solved in batches"):
        design_contracts([problem()])
    with pytest.raises(InvalidInput, match="draws"):
        bootstrap_covariance(fitted(), draws=1)
    with pytest.raises(InvalidInput, match="weights"):
        ExponentialMixture(optimum=0.9, weights=[0.0], rates=[1.0])
    with pytest.raises(InvalidInput, match="cannot be stored"):
        ExponentialMixture(optimum=0.9, weights=[1.0], rates=[1.0]).parameters()
