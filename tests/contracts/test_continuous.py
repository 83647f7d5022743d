"""Continuous costs: bounds that hold, estimates that are honest, and menus from which everybody may choose."""

import dataclasses

import numpy as np
import pytest
from scipy import stats

from contracts import (
    ContinuousProblem,
    EmpiricalCosts,
    GeneralizationBound,
    InvalidInput,
    LinearValuation,
    LogarithmicValuation,
    PowerLaw,
    design_continuous,
    design_contracts,
)
from contracts.problem.reservation import reservation

POWER = PowerLaw(optimum=0.95, coefficient=2.0, exponent=0.6)
UNIFORM = stats.uniform(0.05, 0.45)
LOGNORMAL = stats.lognorm(0.6, scale=0.1)
SAMPLED = EmpiricalCosts(samples=np.random.default_rng(0).gamma(3.0, 0.05, 200))


def problem(distribution=UNIFORM, *, participants=100, curve=POWER, cells=16, **options):
    return ContinuousProblem(
        distribution=distribution,
        participants=participants,
        accuracy=curve,
        valuation=options.pop("valuation", LinearValuation(scale=100.0)),
        cells=cells,
        **options,
    )


@pytest.mark.parametrize("distribution", [UNIFORM, LOGNORMAL, SAMPLED], ids=["uniform", "log-normal", "sampled"])
def test_a_small_grid_holds(distribution):
    contract = design_continuous(problem(distribution))
    certificate = contract.certificate
    assert certificate.holds, certificate
    assert contract.reached <= contract.extrapolated <= certificate.extended["upper bound"]
    assert contract.error_estimate <= contract.bound - contract.reached + 1e-6


@pytest.mark.slow
@pytest.mark.parametrize("curve", [POWER, GeneralizationBound()], ids=["power-law", "bound"])
@pytest.mark.parametrize("distribution", [UNIFORM, LOGNORMAL, SAMPLED], ids=["uniform", "log-normal", "sampled"])
def test_the_estimate_is_honest(distribution, curve):
    fine = design_continuous(problem(distribution, curve=curve, cells=256))
    for cells in (16, 32, 64):
        coarse = design_continuous(problem(distribution, curve=curve, cells=cells))
        off = abs(coarse.extrapolated - fine.extrapolated)
        assert off <= coarse.error_estimate + fine.error_estimate
        # The true optimum lies in both brackets.
        assert coarse.reached <= fine.bound + 1e-7
        assert fine.reached <= coarse.bound + 1e-7


def test_uniform_costs_converge():
    found = [design_continuous(problem(cells=cells)) for cells in (8, 16, 32)]
    widths = np.array([contract.bound - contract.reached for contract in found])
    assert ((widths[1:] / widths[:-1] > 0.4) & (widths[1:] / widths[:-1] < 0.6)).all()
    assert found[-1].error_estimate < 5e-3
    # With everybody pooled at the dearest cost, the menu is optimal already.
    np.testing.assert_allclose([contract.extrapolated for contract in found], 94.090680, atol=1e-5)


@pytest.mark.parametrize("distribution", [LOGNORMAL, SAMPLED], ids=["log-normal", "sampled"])
def test_everybody_chooses_and_nobody_loses(distribution):
    stated = problem(distribution, curve=GeneralizationBound())
    contract = design_continuous(stated)
    draw = np.random.default_rng(1)
    costs = np.clip(stated.distribution.ppf(draw.random(4000)), *stated.support)
    row = contract.choice(costs)
    everything = contract.menu.expected_reward - costs[:, None] * contract.menu.contribution
    np.testing.assert_allclose(contract.utility_at(costs), everything.max(axis=1))
    np.testing.assert_allclose(contract.expected_reward_at(costs), contract.menu.expected_reward[row])
    assert (np.diff(contract.contribution_at(np.sort(costs))) <= 0).all()
    share = np.bincount(row, minlength=contract.menu.contribution.size) / costs.size
    chance = contract.menu.problem.population.probabilities
    assert (np.abs(share - chance) <= 6.0 * np.sqrt(chance / costs.size) + 1e-3).all()
    few = costs[:300]
    alone = reservation(stated.at(few, np.full(few.size, 1.0 / few.size))).utility
    assert (contract.utility_at(few) >= alone - 1e-7).all()
    # The promise can be kept when participants are drawn from the distribution itself.
    others = contract.contribution_at(np.clip(stated.distribution.ppf(draw.random((4000, 99))), *stated.support))
    for j, promised in enumerate(contract.menu.expected_reward):
        worth = 100.0 * stated.accuracy(others.sum(axis=1) + contract.menu.contribution[j])
        assert promised <= worth.mean() + 5.0 * worth.std() / np.sqrt(4000.0)


def test_another_distribution_is_noticed():
    contract = design_continuous(problem(LOGNORMAL))
    dearer = dataclasses.replace(contract, problem=problem(stats.lognorm(0.6, scale=0.11)))
    assert any("choice: option" in text for text in dearer.certificate.violations)
    cheaper = dataclasses.replace(contract, problem=problem(stats.lognorm(0.6, scale=0.09)))
    assert any("not rounded down" in text for text in cheaper.certificate.violations)
    poorer = dataclasses.replace(contract.menu, expected_reward=contract.menu.expected_reward - 1.0)
    broken = dataclasses.replace(contract, menu=poorer).certificate
    assert any("individual rationality: cost" in text for text in broken.violations)


@pytest.mark.slow
def test_other_targets_and_curves():
    stated = problem(valuation=LogarithmicValuation(scale=100.0, sensitivity=3.0), maximise="accuracy", cells=8)
    contract = design_continuous(stated)
    assert contract.certificate.holds
    assert contract.extrapolated < 0.95
    assert "costs from 0.05 to 0.5: best" in str(contract)


def test_costs_nobody_can_pay_give_nothing():
    contract = design_continuous(problem(stats.uniform(1e6, 1e6), participants=5, cells=8))
    assert contract.reached == 0.0
    assert not contract.menu.contribution.any()
    assert contract.certificate.holds


def test_a_sample_as_a_distribution():
    costs = EmpiricalCosts(samples=[0.3, 0.1, 0.2, 0.2])
    share = np.linspace(0.0, 1.0, 7)
    assert (costs.cdf(costs.ppf(share)) >= share - 1e-12).all()
    np.testing.assert_allclose(costs.cdf([0.05, 0.1, 0.2, 0.25, 0.3, 1.0]), [0, 0, 2 / 3, 5 / 6, 1, 1])


@pytest.mark.parametrize(
    "samples", [[], [0.1], [0.1, 0.1], [0.1, -0.2], [0.1, float("nan")], "costs", [[0.1, 0.2]]]
)
def test_samples_that_are_none(samples):
    with pytest.raises(InvalidInput, match="samples"):
        EmpiricalCosts(samples=samples)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"distribution": 0.3}, "distribution = 0.3: expected a distribution with cdf and ppf"),
        ({"distribution": stats.norm(0.3, 0.1)}, "distribution: costs reach down to"),
        ({"distribution": stats.uniform(0.3, 0.0)}, "distribution"),
        ({"cells": 6}, "cells"),
        ({"cells": 18}, "a multiple of 4"),
        ({"cells": 10**6}, "cells"),
        ({"participants": 1}, "participants"),
        ({"participants": 10.5}, "participants"),
        ({"maximise": "profit"}, "maximise"),
        ({"curve": "steep"}, "accuracy"),
        ({"valuation": 100.0}, "valuation"),
    ],
)
def test_wrong_arguments(options, message):
    with pytest.raises(InvalidInput, match=message):
        problem(**options)


def test_other_wrong_uses():
    with pytest.raises(InvalidInput, match="expected a ContinuousProblem"):
        design_continuous(problem().rounded(8, up=True))
    with pytest.raises(InvalidInput, match="expected a Problem"):
        design_contracts([problem()])
    with pytest.raises(InvalidInput, match="cost"):
        design_continuous(problem(cells=8)).choice(-1.0)
