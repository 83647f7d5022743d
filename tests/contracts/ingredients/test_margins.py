"""Margins: branch and bound against trying every pooling, every outcome enumerated, and certificates."""

import dataclasses
import itertools

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from contracts import (
    Arctan,
    Infeasible,
    InvalidInput,
    LinearValuation,
    Menu,
    PowerLaw,
    design_contract,
    verify,
)
from contracts.contract.stated import Stated
from contracts.problem.cases import asked_of, whole
from contracts.program.case_program import setting, value_at
from contracts.program.convex_program import CONVERGED, solve
from contracts.program.goals import goal_of
from contracts.program.losses import losses_of
from contracts.proof.evidence import BOUNDS
from contracts.testing import problems

CURVE = PowerLaw(optimum=0.95, coefficient=1.0, exponent=0.5)
COSTS = [0.5, 0.2, 0.15, 0.05]


def margins(joining=0.0, preference=0.0):
    return Menu(participation_margin=joining, preference_margin=preference)


@pytest.mark.slow
@settings(max_examples=10)
@given(problems(types=(1, 4), families=("power-law",), spread=10.0), st.floats(1e-4, 0.01), st.floats(0.0, 0.05))
def test_margins_hold_cost_something_and_small_ones_little(problem, preference, joining):
    # Other valuations of a curve with a floor are no mixtures: solved by losses above, they reach less.
    problem = dataclasses.replace(problem, valuation=LinearValuation(scale=100.0))
    base, top = design_contract(problem, time_limit=0.0), problem.largest_value
    try:
        nearly, strict = (
            design_contract(dataclasses.replace(problem, menu=margins(a * top, b * top)), time_limit=2.0)
            for a, b in ((0.0, 1e-9), (joining, preference))
        )
    except (Infeasible, InvalidInput):
        assume(False)
        raise
    assert nearly.reached == pytest.approx(base.reached, rel=1e-6)
    assert strict.reached <= base.reached * (1.0 + 1e-6)
    costs, t, m = problem.population.costs, strict.expected_reward, strict.contribution
    assert (strict.information_rent >= (joining - 1e-9) * top).all()
    for i, j in itertools.permutations(range(costs.size), 2):
        lost = strict.utility[i] - (t[j] - costs[i] * m[j])
        shared = m[i] == pytest.approx(m[j], rel=1e-9) and t[i] == pytest.approx(t[j], rel=1e-9)
        assert shared or lost >= (preference - 1e-9) * top
    for contract in (nearly, strict):
        assert verify(contract).holds


# Found by the branch and bound that this one replaced, which knew one group, one world and no other ingredients.
GRID = [[91.6763283131, 91.6577085256, 91.4288945757], [91.5898282152, 91.5698585599, 91.3343696360]]


def test_wider_margins_never_help_and_reach_what_they_reached(build):
    reached = np.array(
        [
            [
                design_contract(build(COSTS, 10, accuracy=CURVE, menu=margins(a, b))).objective
                for b in (0.0, 0.2, 4.0)
            ]
            for a in (0.0, 1.0)
        ]
    )
    assert reached == pytest.approx(np.array(GRID), rel=1e-8)
    assert (np.diff(reached, axis=0) <= 1e-7).all()
    assert (np.diff(reached, axis=1) <= 1e-7).all()


BY_POOLING = {
    ("interim", 0.05): 91.6293729053,
    ("interim", 0.5): 91.5852055593,
    ("interim", 3.0): 91.4070243326,
    ("ex-ante", 0.5): 91.5683947254,
}


@pytest.mark.parametrize(("belief", "preference"), BY_POOLING)
def test_no_pooling_is_better_than_the_one_found(build, belief, preference):
    problem = build(COSTS, 10, accuracy=CURVE, belief=belief, menu=margins(0.5, preference))
    contract = design_contract(problem)
    stated = Stated.of(problem)
    form, asked = stated.form, asked_of(stated.form, stated.outside)
    at = setting(form, goal_of(form, stated.outside), asked, losses_of(form, 0.0).solved)
    best = -np.inf
    for pooling in itertools.product((0, 1), repeat=3):
        case = dataclasses.replace(whole(form), link=np.array(pooling))
        found = solve(at, case)
        if found.error <= CONVERGED and found.broken == 0.0:
            best = max(best, value_at(at, case, found.point.contribution, found.point.utility, 0.0))
    assert contract.objective == pytest.approx(best, abs=1e-6)
    assert contract.objective == pytest.approx(BY_POOLING[belief, preference], rel=1e-8)
    assert verify(contract).as_solved_gap <= 1e-4


THREE = {"interim": 88.6539084660, "ex-ante": 88.6289869932}


@pytest.mark.slow
@pytest.mark.parametrize("belief", THREE)
def test_enumeration_of_all_outcomes_and_poolings_finds_nothing_better(build, by_enumeration, belief):
    problem = build([0.3, 0.12, 0.1], 3, belief=belief, accuracy=CURVE)
    contract = design_contract(dataclasses.replace(problem, menu=margins(0.7, 0.4)))
    reached = [
        by_enumeration(problem, lambda a, u, t: a, margins=(0.7, (groups, 0.4)), near=contract)  # noqa: ARG005
        for groups in ([{0, 1, 2}], [{0, 1}, {2}], [{0}, {1, 2}], [{0}, {1}, {2}])
    ]
    assert contract.objective == pytest.approx(max(reached), abs=2e-4)
    assert contract.objective >= max(reached) - 1e-4
    assert contract.objective == pytest.approx(THREE[belief], rel=1e-8)


@pytest.fixture(scope="module")
def strict():
    from contracts import Population, Problem

    problem = Problem(
        population=Population(costs=COSTS, probabilities=[0.25] * 4, participants=10),
        accuracy=CURVE,
        valuation=LinearValuation(scale=100.0),
        menu=margins(0.5, 0.5),
    )
    return design_contract(problem)


def test_what_is_changed_is_named(strict):
    assert verify(strict).holds
    wider = dataclasses.replace(strict.problem, menu=margins(0.6, 0.7))
    m, t = strict.contribution, strict.expected_reward
    # A little more for less data: everybody still gains enough, and some would rather have another's option.
    closer = t - 0.5 * (t - t.mean())
    for change, word in [
        ({"problem": wider}, "individual rationality: "),
        ({"problem": wider}, "preference margin: "),
        ({"expected_reward": t - 0.1}, "individual rationality: "),
        ({"expected_reward": closer}, "incentive compatibility: "),
        ({"contribution": m * 0.9}, "objective: stated"),
        ({"contribution": m * 1.01}, "individual rationality: "),
    ]:
        certificate = verify(dataclasses.replace(strict, **change))
        assert not certificate.holds
        assert any(text.startswith(word) for text in certificate.violations), (word, certificate.violations)


def test_a_forged_proof_is_not_believed(strict):
    def complaint(**changes):
        cases = dataclasses.replace(strict.proof.cases, **changes)
        certificate = verify(dataclasses.replace(strict, proof=type(strict.proof)(cases=cases)))
        assert certificate.holds
        return certificate

    cases = strict.proof.cases
    assert cases.kind.size > 1
    honest = verify(strict).as_solved_gap
    assert honest <= 1e-4
    # Leaving out cases, or prices that are none, proves nothing.
    for changes in (
        {"kind": cases.kind[:-1], "index": cases.index[:-1], "threshold": cases.threshold[:-1]},
        {"feasibility": cases.feasibility * np.nan},
        {"feasibility": -cases.feasibility},
        {"linear": cases.linear[1:]},
        {"kind": np.where(cases.kind >= 0, 7, cases.kind)},
        {"index": cases.index + 4},
    ):
        found = complaint(**changes)
        assert found.as_solved_gap is None, changes
        assert not found.optimal
    # Other splits are another proof, and a worse one.
    other = complaint(kind=np.where(cases.kind >= 0, BOUNDS, cases.kind))
    assert other.as_solved_gap is None or other.as_solved_gap > honest + 1e-3
    no_prices = complaint(feasibility=0.0 * cases.feasibility, linear=tuple(0.0 * y for y in cases.linear))
    assert no_prices.as_solved_gap > 1.0


def test_equal_costs_share_and_order_does_not_matter(build):
    menu = margins(0.5, 0.5)
    contract = design_contract(build([0.05, 0.2, 0.5, 0.2], 10, accuracy=CURVE, menu=menu))
    p = [0.25, 0.5, 0.25]
    other = design_contract(build([0.5, 0.2, 0.05], 10, probabilities=p, accuracy=CURVE, menu=menu))
    assert contract.contribution[1] == contract.contribution[3]
    assert contract.objective == pytest.approx(other.objective, abs=1e-7)
    assert contract.contribution[[2, 1, 0]] == pytest.approx(other.contribution, rel=1e-5)


def test_nothing_can_be_asked_where_nothing_pays(build):
    nothing = design_contract(build([900.0, 800.0], 2, menu=margins(0.0, 1.0)))
    assert nothing.objective == 0.0
    assert verify(nothing).holds
    with pytest.raises(Infeasible, match="type"):
        design_contract(build([900.0, 800.0], 2, menu=margins(1.0)))
    with pytest.raises(Infeasible, match="type"):
        design_contract(build(COSTS, 10, accuracy=CURVE, menu=margins(90.0, 0.1)))


def test_curves_that_are_no_mixture_have_margins_too(build):
    problem = build([0.3, 0.1], 4, accuracy=Arctan(optimum=0.9, scale=100.0))
    base = design_contract(problem)
    strict = design_contract(dataclasses.replace(problem, menu=margins(0.5, 0.5)))
    assert verify(strict).holds
    assert 0.0 < strict.objective < base.objective


def test_bad_input_is_named():
    for call, words in [
        (lambda: margins(-1.0), "participation_margin = -1"),
        (lambda: margins(preference=float("inf")), "preference_margin = inf"),
        (lambda: margins(preference="1"), "preference_margin = '1'"),
    ]:
        with pytest.raises(InvalidInput, match=words):
            call()


def test_other_solvers_are_refused(build):
    with pytest.raises(InvalidInput, match="expected 'interior-point' for menu limits"):
        design_contract(build(COSTS, 10, accuracy=CURVE, menu=margins(0.0, 0.5)), solver="conic")
