"""The oracle is right where the answer is known: published problems, complete information, laws in two forms."""

import dataclasses
import itertools

import numpy as np
import pytest
from enumerated import Enumerated, vertices
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from oracle import best, reached, violations
from scipy import optimize

from contracts import (
    Binomial,
    FiniteTurnout,
    GeneralizationBound,
    LinearValuation,
    Poisson,
    Population,
    PowerLaw,
    Problem,
    design_contract,
)
from contracts.testing import ANY, parts, problems, refusal

CURVE = PowerLaw(optimum=0.95, coefficient=2.0, exponent=0.6)
SMALL = {"types": (2, 3), "participants": (2, 4), "families": ("power-law", "exponential")}


def stated(accuracy=CURVE, scale=100.0, **population):
    return Problem(
        population=Population(**population), accuracy=accuracy, valuation=LinearValuation(scale=scale)
    )


@settings(max_examples=8, phases=[Phase.generate])
@given(problems(**SMALL, spread=10.0))
def test_published_problems_have_their_known_optimum(problem):
    contract = design_contract(problem)
    value, m, t = best(problem, starts=8)
    scale = problem.largest_target
    assert not violations(problem, contract.contribution, contract.expected_reward)
    assert reached(problem, contract.contribution, contract.expected_reward) <= value + 1.1e-3 * scale
    assert value <= reached(problem, contract.contribution, contract.expected_reward) + 1.1e-3 * scale
    assert not violations(problem, m, t)
    assert reached(problem, m, t) == pytest.approx(value, abs=1e-7 * scale)


@pytest.mark.parametrize(
    "law",
    [
        Poisson(mean=2.0),
        Binomial(trials=4, probability=0.6),
        FiniteTurnout(counts=[1, 4], probabilities=[0.5, 0.5]),
    ],
)
@pytest.mark.parametrize("belief", ["interim", "ex-ante"])
def test_uncertain_numbers_have_their_known_optimum(law, belief):
    problem = dataclasses.replace(
        stated(costs=[0.5, 0.2], probabilities=[0.4, 0.6], participants=law), belief=belief
    )
    contract = design_contract(problem)
    value, *_ = best(problem, starts=6)
    assert not violations(problem, contract.contribution, contract.expected_reward)
    assert value == pytest.approx(contract.objective, abs=1e-4)


def test_everybody_known_by_name_is_complete_information():
    """Everybody is left what it gets alone: the total solves one equation (of Wang et al.)."""
    problem = stated(costs=[0.3, 0.15, 0.1], participants="named")
    alone = Enumerated(problem).alone
    each, due = float((1.0 / problem.population.costs).sum()), float((alone / problem.population.costs).sum())
    total = float(
        optimize.brentq(lambda d: d - each * 100.0 * float(CURVE(d)) + due, 200.0, 1e5)  # type: ignore[arg-type]
    )
    assert best(problem, starts=8)[0] == pytest.approx(100.0 * float(CURVE(total)), abs=1e-5)


@given(st.lists(st.floats(0.0, 30.0), min_size=3, max_size=3))
@settings(max_examples=10)
def test_a_poisson_number_splits_into_groups(data):
    """Poisson numbers of each type are independent: told apart or not, the same is expected of the data."""
    p = np.array([0.2, 0.3, 0.5])
    together = Enumerated(stated(costs=[0.3, 0.2, 0.1], probabilities=p, participants=Poisson(mean=1.5)))
    apart = Enumerated(
        stated(
            costs=[0.3, 0.2, 0.1],
            probabilities=[1.0] * 3,
            groups=["a", "b", "c"],
            participants={name: Poisson(mean=1.5 * share) for name, share in zip("abc", p, strict=True)},
        )
    )
    one, other = together.expected(np.array(data)), apart.expected(np.array(data))
    np.testing.assert_allclose(one[0][0], other[0][0], rtol=1e-9)
    np.testing.assert_allclose(one[1], other[1], rtol=1e-9)


@given(st.integers(2, 4), st.floats(0.01, 0.9), st.integers(0, 1000))
def test_vertices_are_where_linear_functions_are_largest(types, radius, seed):
    rng = np.random.default_rng(seed)
    p, gains = rng.dirichlet(np.ones(types)), rng.normal(size=types)
    # q = p + a - b with a, b >= 0, sum a = sum b <= radius
    found = optimize.linprog(
        np.r_[-gains, gains],
        A_ub=np.vstack([np.r_[np.ones(types), np.zeros(types)], np.c_[-np.eye(types), np.eye(types)]]),
        b_ub=np.r_[radius, p],
        A_eq=[np.r_[np.ones(types), -np.ones(types)]],
        b_eq=[0.0],
    )
    assert max(q @ gains for q in vertices(p, radius)) == pytest.approx(p @ gains - found.fun, abs=1e-9)
    for q in vertices(p, radius):
        assert q.min() >= -1e-15
        assert 0.5 * np.abs(q - p).sum() <= radius + 1e-12


@settings(max_examples=10, phases=[Phase.generate])
@given(parts(ingredients=ANY, types=(2, 3), participants=(2, 3)).filter(lambda made: refusal(made) is None))
def test_what_the_oracle_finds_keeps_its_own_promises(made):
    problem = Problem(**made)
    if problem.population.doubt is not None and problem.population.doubt.distance == "kullback-leibler":
        return
    value, m, t = best(problem, starts=4)
    if np.isfinite(value):
        assert not violations(problem, m, t)
        assert reached(problem, m, t) == pytest.approx(value, rel=1e-6, abs=1e-6)


def test_each_broken_promise_is_named():
    problem = stated(costs=[0.5, 0.2], probabilities=[0.4, 0.6], participants=3)
    _, m, t = best(problem, starts=6)
    for name, (i, change) in itertools.product(
        ("m", "t"), [(0, 1.0), (1, 1.0), (0, -1.0), (1, -1.0), (0, np.nan), (1, np.inf)]
    ):
        broken = {"m": m.copy(), "t": t.copy()}
        broken[name][i] += change
        found = violations(problem, broken["m"], broken["t"])
        assert found or (name == "m" and change < 0.0)


def test_floors_may_call_for_types_that_contribute_nothing():
    """c = (2, .4), N = 6: by the interim belief 60.28597, the first type out with m_2 = 161.05."""
    problem = stated(GeneralizationBound(), costs=[2.0, 0.4], probabilities=[0.5, 0.5], participants=6)
    value, m, _ = best(problem, starts=16)
    assert value == pytest.approx(60.28597, abs=1e-5)
    assert m == pytest.approx([0.0, 161.05], abs=0.01)
