"""Margins: pooling by branch and bound against trying every pooling, and every outcome enumerated."""

import dataclasses
import itertools

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from contracts import Arctan, Infeasible, InvalidInput, PowerLaw, design_contract, design_contracts, verify
from contracts.extensions.margins import OPEN, SHARED, MarginProblem, _Search, covers
from contracts.program.mixture_program import prepare_mixture
from contracts.testing import problems

CURVE = PowerLaw(optimum=0.95, coefficient=1.0, exponent=0.5)
COSTS = [0.5, 0.2, 0.15, 0.05]


def best(problem, joining=0.0, preference=0.0):
    stated = MarginProblem(problem=problem, participation_margin=joining, preference_margin=preference)
    return design_contract(stated)


@pytest.mark.slow
@settings(max_examples=12)
@given(problems(types=(1, 4), families=("power-law",), spread=10.0), st.floats(1e-4, 0.01), st.floats(0.0, 0.05))
def test_margins_hold_cost_something_and_none_is_the_base_problem(problem, preference, joining):
    base, top = design_contract(problem), problem.largest_value
    try:
        nominal, strict = best(problem), best(problem, joining * top, preference * top)
    except (Infeasible, InvalidInput):
        assume(False)
        raise
    target = (lambda c: c.objective) if problem.target_is_value else (lambda c: c.expected_accuracy)
    assert target(nominal) == pytest.approx(target(base), rel=1e-6)
    assert target(strict) <= target(nominal) * (1.0 + 1e-6)
    costs, t, m = problem.population.costs, strict.expected_reward, strict.contribution
    assert (strict.information_rent >= (joining - 1e-9) * top).all()
    for i, j in itertools.permutations(range(costs.size), 2):
        lost = strict.utility[i] - (t[j] - costs[i] * m[j])
        assert strict.option[i] == strict.option[j] or lost >= (preference - 1e-9) * top
        assert strict.option[i] != strict.option[j] or (m[i], t[i]) == (m[j], t[j])
    assert verify(strict).holds
    assert verify(nominal).holds


def test_wider_margins_never_help_and_none_are_the_base_problem(build):
    problem = build(COSTS, 10, accuracy=CURVE)
    reached = [[best(problem, a, b).objective for b in (0.0, 0.2, 1.0, 4.0)] for a in (0.0, 1.0, 3.0)]
    assert (np.diff(reached, axis=0) <= 1e-7).all()
    assert (np.diff(reached, axis=1) <= 1e-7).all()
    assert reached[0][0] == pytest.approx(design_contract(problem).objective, abs=1e-8)


@pytest.mark.parametrize("belief", ["interim", "ex-ante"])
@pytest.mark.parametrize("preference", [0.05, 0.5, 3.0])
def test_no_pooling_is_better_than_the_one_found(build, belief, preference):
    problem = build(COSTS, 10, accuracy=CURVE, belief=belief)
    contract = best(problem, 0.5, preference)
    stated, model = contract.problem, prepare_mixture(problem)
    search = _Search(stated, model, model.program, 0)
    each = {}
    for pooling in itertools.product((0, 1), repeat=3):
        found = search._solve(np.array(pooling))
        each[pooling] = 100.0 - 100.0 * search._loss(found) if found.broken == 0.0 else -np.inf
    top = problem.largest_value / 100.0
    assert contract.objective == pytest.approx(100.0 * top - (100.0 - max(each.values())) * top, abs=1e-6)
    assert verify(contract).optimality_gap <= 1e-5


@pytest.mark.parametrize("belief", ["interim", "ex-ante"])
def test_enumeration_of_all_outcomes_and_poolings_finds_nothing_better(build, by_enumeration, belief):
    problem = build([0.3, 0.12, 0.1], 3, belief=belief, accuracy=CURVE)
    contract = best(problem, 0.7, 0.4)
    reached = [
        by_enumeration(problem, lambda a, u, t: a, margins=(0.7, (groups, 0.4)), near=contract)  # noqa: ARG005
        for groups in ([{0, 1, 2}], [{0, 1}, {2}], [{0}, {1, 2}], [{0}, {1}, {2}])
    ]
    assert contract.objective == pytest.approx(max(reached), abs=2e-4)
    assert contract.objective >= max(reached) - 1e-4


@given(st.lists(st.lists(st.sampled_from([-1, 0, 1]), min_size=3, max_size=3), min_size=1, max_size=9))
def test_a_partition_is_recognised(parts):
    everything = all(
        any(all(p in (OPEN, w) for p, w in zip(part, whole, strict=True)) for part in parts)
        for whole in itertools.product((0, 1), repeat=3)
    )
    assert covers([np.array(part) for part in parts]) == everything


def test_what_is_changed_is_named(build):
    contract = best(build(COSTS, 10, accuracy=CURVE), 0.5, 0.5)
    assert len(contract.leaves) > 1
    assert np.unique(contract.option).size in (2, 3)
    wider = dataclasses.replace(contract.problem, participation_margin=0.6, preference_margin=0.7)
    rewards = contract.menu.expected_reward
    for change, word in [
        ({"leaves": contract.leaves[1:]}, "leaves out some ways"),
        ({"problem": wider}, "participation margin: "),
        ({"problem": wider}, "preference margin: "),
        ({"option": np.zeros(4, dtype=int)}, "are said to share option 0"),
        ({"menu": dataclasses.replace(contract.menu, expected_reward=rewards - 0.1)}, "participation margin: "),
        (
            {"menu": dataclasses.replace(contract.menu, contribution=contract.menu.contribution * 0.9)},
            "objective",
        ),
    ]:
        certificate = verify(dataclasses.replace(contract, **change))
        assert not certificate.holds
        assert any(word in sentence for sentence in certificate.violations), (word, certificate.violations)


def test_a_forged_bound_is_not_believed(build):
    contract = best(build(COSTS, 10, accuracy=CURVE), 0.5, 0.5)
    shared = np.array([SHARED, SHARED, SHARED])
    first, *others = contract.leaves
    nothing = dataclasses.replace(first.witness, feasibility_multipliers=np.full(4, np.nan))
    narrower = dataclasses.replace(first.witness, excluded=1)
    for leaves in (
        (first._replace(pooling=shared),),
        (first._replace(witness=nothing), *others),
        (*others, first._replace(witness=narrower)),
    ):
        assert not verify(dataclasses.replace(contract, leaves=leaves)).holds


def test_equal_costs_share_and_order_does_not_matter(build):
    contract = best(build([0.05, 0.2, 0.5, 0.2], 10, accuracy=CURVE), 0.5, 0.5)
    other = best(build([0.5, 0.2, 0.05], 10, probabilities=[0.25, 0.5, 0.25], accuracy=CURVE), 0.5, 0.5)
    assert contract.option[1] == contract.option[3]
    assert contract.objective == pytest.approx(other.objective, abs=1e-7)
    assert contract.contribution[[2, 1, 0]] == pytest.approx(other.contribution, rel=1e-5)


def test_nothing_can_be_asked_where_nothing_pays(build):
    contract = best(build([900.0, 800.0], 2))
    assert contract.objective == 0.0
    assert verify(contract).holds
    with pytest.raises(Infeasible, match="participation_margin = 1"):
        best(build([900.0, 800.0], 2), 1.0)
    with pytest.raises(Infeasible, match="participation_margin = 90"):
        best(build(COSTS, 10, accuracy=CURVE), 90.0)


def test_bad_input_is_named(build):
    problem = build(COSTS, 10, accuracy=CURVE)
    for call, words in [
        (lambda: MarginProblem(problem=problem, participation_margin=-1.0), "participation_margin = -1"),
        (lambda: MarginProblem(problem=problem, preference_margin=float("inf")), "preference_margin = inf"),
        (lambda: MarginProblem(problem=problem, preference_margin="1"), "preference_margin = '1'"),
        (lambda: MarginProblem(problem="p"), "problem = 'p'"),
        (lambda: best(build(COSTS, 10, accuracy=Arctan(optimum=0.9, scale=100.0))), "Arctan"),
        (lambda: design_contracts([MarginProblem(problem=problem)]), "MarginProblem"),
        (lambda: MarginProblem(problem=problem).design(solver="conic"), "solver"),
    ]:
        with pytest.raises(InvalidInput, match=words):
            call()
