"""Whatever a problem is made of, everything that one does with a problem or its contract works."""

import itertools
import random

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from contracts import (
    Contract,
    Infeasible,
    InvalidInput,
    choose,
    design_contract,
    design_contracts,
    full_information,
    rewards,
)
from contracts.contract.plots import draw_contract, encode
from contracts.problem.data import problem_from_data, problem_to_data
from contracts.problem.scenario import Scenario, scenario_population
from contracts.testing import INGREDIENTS, problems
from equilibria import contract_menu
from modelpact.axes import Axis
from modelpact.reports import report
from modelpact.sweeps import sweep


def counts(contract):
    """Of each group the likeliest number above zero, all of its likeliest type."""
    problem = contract.problem
    population = scenario_population(problem.population, (*problem.scenarios, Scenario(weight=1.0))[0])
    found = np.zeros(population.types, dtype=int)
    for g, law in enumerate(population.laws):
        numbers, chances = law.support
        members = np.flatnonzero(population.group_of == g)
        found[members[np.argmax(population.probabilities[members])]] = int(
            numbers[np.argmax(chances * (numbers > 0))]
        )
    return found


def batch(contract):
    first, second = design_contracts([contract.problem, contract.problem])
    assert first.objective == pytest.approx(contract.objective, rel=2e-3, abs=1e-9)
    assert first.objective == second.objective


def swept(contract):
    axis = Axis(settings=[{"belief": contract.problem.belief}], labels=[0])
    assert "objective" in sweep(contract.problem, {"x": axis})


def tables(contract):
    stored = problem_to_data(contract.problem)
    assert problem_to_data(problem_from_data(stored)) == stored


def json(contract):
    assert Contract.from_json(contract.to_json()).to_json() == contract.to_json()


def settle(contract):
    assert np.isfinite(contract.settle(counts(contract)).utility).all()


def reward(contract):
    assert rewards(contract, "capped") is not None


def page(contract):
    assert report(contract).certificate.holds


def picture(contract):
    assert encode(draw_contract(contract)).startswith(b"\x89PNG")


def notebook(contract):
    assert contract._repr_html_().startswith("<table>")
    assert (contract.problem.population.names or ())[0] in str(contract)


def game(contract):
    menu = contract_menu(contract).certificate(tolerance=1e-6 * float(contract.problem.scales.max()))
    assert menu.holds


def logit(contract):
    if contract.clause is not None:
        with pytest.raises(InvalidInput, match="launch clause: choices with errors are known for fixed terms"):
            choose(contract, scale=1.0)
        return
    assert choose(contract, scale=1.0).right.min() >= 0.0


def informed(contract):
    assert np.isfinite(full_information(contract.problem).objective)


USES = [batch, swept, tables, json, settle, reward, page, picture, notebook, game, logit, informed]
EVERY = list(itertools.product(USES, INGREDIENTS))
FAST = set(random.Random(0).sample(range(len(EVERY)), 60))
CASES = [
    pytest.param(*pair, id=f"{pair[0].__name__}-{pair[1]}", marks=() if k in FAST else pytest.mark.slow)
    for k, pair in enumerate(EVERY)
]


@pytest.mark.parametrize(("use", "ingredient"), CASES)
@settings(max_examples=1, phases=[Phase.generate], derandomize=True, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_every_use_of_every_ingredient(use, ingredient, data):
    drawn = problems(ingredients=[ingredient], types=(2, 2), participants=(2, 3), families=("power-law",))
    contract = designed(data.draw(drawn))
    if contract is not None:
        use(contract)


KNOWN: dict[str, Contract | None] = {}


def designed(problem):
    """The contract of a problem, None where there is none; each is designed once for all uses."""
    key = repr(problem)
    if key not in KNOWN:
        try:
            KNOWN[key] = design_contract(problem)
        except Infeasible:
            KNOWN[key] = None
    return KNOWN[key]
