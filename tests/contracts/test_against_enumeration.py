"""The default solver against the published approach: enumerate every outcome, solve by scipy."""

import dataclasses
import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

from contracts import GeneralizationBound, LinearValuation, Population, Problem
from contracts.contract.design import design_contract
from contracts.testing import assert_feasible, assert_incentive_compatible, assert_individually_rational
from modelpact.problem_file import read_problem

ROOT = Path(__file__).parents[2]


def load(path: Path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


baseline = load(ROOT / "benchmarks" / "enumeration_baseline.py")


def example(name: str, **population) -> Problem:
    problem = read_problem(ROOT / "examples" / f"{name}.toml").problem
    return dataclasses.replace(problem, population=dataclasses.replace(problem.population, **population))


CASES = {name: example(f"paper/{name}") for name in ("s1", "s2", "s3", "two-types")}
CASES |= {f"{n} clinics": example("tumour-clinics/problem", participants=n) for n in (2, 4, 5, 6, 7, 12)}
CASES |= {f"{name}, interim": dataclasses.replace(CASES[name], belief="interim") for name in ("s1", "s2", "s3")}


FEW = ("s1", "s2", "two-types", "s1, interim", "2 clinics", "5 clinics")


@pytest.mark.parametrize("name", [n if n in FEW else pytest.param(n, marks=pytest.mark.slow) for n in CASES])
def test_the_best_contract_is_as_good_as_what_enumeration_finds(name):
    problem = CASES[name]
    contract, enumerated = design_contract(problem), baseline.solve(problem)
    assert enumerated.violation <= 1e-6 * problem.largest_value
    # trust-constr stops about 1e-6 short, and never finds better
    assert contract.objective >= enumerated.objective - 1e-8 * problem.largest_value
    assert contract.objective == pytest.approx(enumerated.objective, abs=1e-5 * problem.largest_value)


@pytest.mark.parametrize("name", CASES)
def test_the_best_contract_satisfies_every_constraint(name):
    contract = design_contract(CASES[name])
    assert_individually_rational(contract)
    assert_incentive_compatible(contract)
    assert_feasible(contract)


def test_what_is_enumerated_is_everything_once():
    counts = baseline.outcomes(3, 4)
    assert counts.shape == (15, 3)
    assert len({tuple(row) for row in counts}) == 15
    assert np.all(counts.sum(axis=1) == 4)
    assert np.all(counts >= 0)
    for belief in ("interim", "ex-ante"):
        problem = Problem(
            population=Population(costs=[3.0, 2.0, 1.0], probabilities=[0.5, 0.2, 0.3], participants=4),
            accuracy=GeneralizationBound(),
            valuation=LinearValuation(scale=1.0),
            belief=belief,
        )
        prior, believed = baseline.probabilities(problem, counts)
        assert prior.sum() == pytest.approx(1.0, abs=1e-14)
        assert believed.sum(axis=0) == pytest.approx(np.ones(3), abs=1e-14)
        assert np.all(believed[counts == 0] == 0.0)
