"""Proofs over all outcomes: they prove the best contracts on curves with floors, and nothing worse."""

import dataclasses
import json
from fractions import Fraction
from functools import cache
from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts import (
    Arctan,
    GeneralizationBound,
    LinearValuation,
    Menu,
    MonotoneTabulated,
    NashBargaining,
    Outside,
    Poisson,
    Population,
    PowerLaw,
    Problem,
    Scenario,
    Welfare,
    design_contract,
    verify,
)
from contracts.contract.proof_data import proof_from_data, proof_to_data
from contracts.problem.cases import asked_of, whole
from contracts.problem.narrowing import narrowed
from contracts.problem.outcomes import compositions
from contracts.problem.standard_form import standard_form
from contracts.program.outcome_space import _outcomes
from contracts.proof.evidence import BOUNDS, LEAF, Proof
from contracts.proof.general_proof import crowds_of
from contracts.proof.losses import Crowd, expected_losses
from contracts.proof.outcome_losses import curves_of, everybody_of, losses_over_outcomes, received_over_outcomes
from contracts.proof.reached import unit_of
from contracts.proof.soundness import ROUNDING, ProofRefused

VALUE = LinearValuation(scale=100.0)
BOUND = GeneralizationBound(optimum=1.0, complexity=1.0)
PEOPLE = {"costs": [0.6, 0.3, 0.1], "probabilities": [0.4, 0.3, 0.3], "participants": 4}


def problem_of(accuracy=BOUND, *, population=None, **other):
    people = Population(**(PEOPLE if population is None else population))
    return Problem(population=people, accuracy=accuracy, valuation=VALUE, **other)


GROUPS = {
    "costs": [0.6, 0.3, 0.1],
    "probabilities": [0.5, 0.5, 1.0],
    "groups": ["a", "a", "b"],
    "participants": {"a": 2, "b": Poisson(mean=1.5)},
}
PROBLEMS = {
    "groups": problem_of(population=GROUPS),
    "options": problem_of(menu=Menu(options=2)),
    "lots": problem_of(menu=Menu(lot=60.0)),
    "stay out": problem_of(outside=Outside(joining_cost=3.0)),
    "capacities": problem_of(population=PEOPLE | {"capacities": [90.0, 200.0, 600.0]}),
    "named": problem_of(
        population={"costs": [0.6, 0.3, 0.1], "names": ["A", "B", "C"], "participants": "named"},
        menu=Menu(participation_margin=1.0),
    ),
    "scenarios": problem_of(
        Arctan(optimum=0.9, scale=200.0),
        scenarios=[Scenario(weight=0.5), Scenario(weight=0.5, probabilities=[0.7, 0.2, 0.1])],
    ),
    "welfare": problem_of(PowerLaw(), baseline=0.5, objective=Welfare(coordinator=0.5)),
    "ex-ante": problem_of(
        MonotoneTabulated(data=[50.0, 120.0, 400.0], accuracy=[0.1, 0.6, 0.9]),
        belief="ex-ante",
        menu=Menu(options=2),
    ),
    "bargaining": problem_of(Arctan(optimum=0.9, scale=100.0), objective=NashBargaining()),
}


@cache
def designed(name):
    return design_contract(PROBLEMS[name], time_limit=60.0)


def unit(name):
    return unit_of(standard_form(PROBLEMS[name]))


@pytest.mark.parametrize("name", [*PROBLEMS])
def test_designs_are_proved_on_the_true_curve(name):
    contract = designed(name)
    assert contract.certificate.holds, contract.certificate
    assert contract.certificate.optimal, contract.certificate
    assert contract.certificate.gap <= 1e-3 * unit(name)
    cases = contract.proof.global_cases
    assert cases is not None
    assert cases.mixtures is None


@pytest.mark.parametrize("name", ["groups", "lots", "stay out", "scenarios", "welfare", "ex-ante"])
def test_balls_prove_what_floats_say(name):
    pytest.importorskip("flint")
    contract = designed(name)
    certificate = verify(contract, rigorous=True)
    assert certificate.holds, certificate
    assert certificate.gap == pytest.approx(contract.certificate.gap, abs=1e-5 * unit(name))


@pytest.mark.parametrize("name", [*PROBLEMS])
def test_files_keep_them(name):
    contract = designed(name)
    data = json.loads(json.dumps(proof_to_data(contract.proof)))
    again = proof_from_data(data, standard_form(contract.problem))
    assert proof_to_data(again) == data
    assert verify(dataclasses.replace(contract, proof=again)).gap == contract.certificate.gap


NUMBERS = (np.nan, np.inf, -1.0, 0.0, 1e100, 1e300)


@settings(max_examples=30, deadline=None)
@given(data=st.data(), name=st.sampled_from([*PROBLEMS]))
def test_whatever_is_done_to_a_proof_its_bound_is_none_or_right(data, name):
    contract = designed(name)
    cases = contract.proof.global_cases
    part = data.draw(
        st.sampled_from(
            [
                "contribution",
                "utility",
                "level",
                "feasibility",
                "share",
                "leaf",
                "threshold",
                "index",
                "linear",
                "tree",
            ]
        )
    )
    certificate = verify(dataclasses.replace(contract, proof=Proof(global_cases=_damaged(cases, part, data))))
    assert certificate.holds
    # The contract itself is in reach of every right bound: a smaller gap than none would have been refused.
    assert certificate.gap is None or 0.0 <= certificate.gap < np.inf
    # A menu that is worse by more than the honest gap stays worse.
    worse = dataclasses.replace(contract, proof=Proof(global_cases=_damaged(cases, part, data)))
    nothing = _worse(worse)
    if nothing is not None:
        found = verify(nothing)
        lost = contract.reached - nothing.reached
        assert not found.optimal
        assert found.gap is None or found.gap >= lost - 1e-6 * unit(name)


def _worse(contract):
    """The contract that asks nothing and gives nothing, where nobody is due anything and it is much worse."""
    problem = contract.problem
    if (contract.reservation_utility > 0.0).any() or problem.objective is not None or not problem.outside.plain:
        return None
    nothing = np.zeros(problem.population.types)
    reached = 0.0 if problem.target_is_value else problem.baseline
    stated = {"objective": 0.0, "expected_accuracy": problem.baseline, "reached": reached}
    return dataclasses.replace(contract, contribution=nothing, expected_reward=nothing, **stated)


def _damaged(cases, part, data):
    if part == "tree":
        split = np.array([BOUNDS, LEAF, LEAF])
        changes = [
            {"kind": np.array([BOUNDS])},
            {"kind": np.array([LEAF, LEAF])},
            {"kind": split, "index": np.array([9, 0, 0]), "threshold": np.zeros(3)},
            {"kind": np.array([LEAF]), "index": np.zeros(1, dtype=int), "threshold": np.zeros(1)},
            {"linear": ()},
            {"linear": cases.linear[:-1]},
            {"leaf": None},
            {"share": None},
            {"leaf": cases.leaf[::-1] + 1},
            {"leaf": np.full(cases.leaf.shape, np.nan)},
            {"share": np.zeros(cases.share.shape)},
        ]
        return dataclasses.replace(cases, **data.draw(st.sampled_from(changes)))
    if part == "linear":
        k = data.draw(st.integers(0, len(cases.linear) - 1))
        changed = [*cases.linear]
        changed[k] = _changed(changed[k], data)
        return dataclasses.replace(cases, linear=tuple(changed))
    return dataclasses.replace(cases, **{part: _changed(getattr(cases, part), data)})


def _changed(values, data):
    values = np.array(values, dtype=float)
    how = data.draw(st.sampled_from(["set", "scale", "reverse", "shape"]))
    if how == "set":
        values.flat[data.draw(st.integers(0, values.size - 1))] = data.draw(st.sampled_from(NUMBERS))
    elif how == "scale":
        values = values * data.draw(st.sampled_from([-1.0, 0.0, 1e-9, 0.5, 0.999, 1.001, 2.0, 1e12, 1e200]))
    elif how == "reverse":
        values = values[..., ::-1]
    else:
        values = values[:-1]
    return values


def test_a_leaf_less_is_no_proof():
    contract = designed("lots")
    cases = contract.proof.global_cases
    assert cases.kind.size > 1
    last = cases.leaf.max()
    kept = cases.leaf < last
    points = {
        name: getattr(cases, name)[kept]
        for name in ("contribution", "utility", "level", "feasibility", "share", "leaf")
    }
    forged = dataclasses.replace(cases, **points, linear=cases.linear[:-1])
    for broken in (
        forged,
        dataclasses.replace(
            forged, kind=cases.kind[:-1], index=cases.index[:-1], threshold=cases.threshold[:-1]
        ),
    ):
        certificate = verify(dataclasses.replace(contract, proof=Proof(global_cases=broken)))
        assert (certificate.gap, certificate.optimal) == (None, False)


def test_points_count_the_objective_once_however_large_what_they_count():
    """Of shares whose sum overflows nothing would be left of the objective, and of what it could be at most."""
    people = {"costs": [0.6, 0.3, 0.2], "probabilities": [0.4, 0.3, 0.3], "participants": 6}
    curve = GeneralizationBound(optimum=1.0, complexity=2.0)  # nobody can train alone
    problem = problem_of(curve, population=people, menu=Menu(options=2))
    contract = design_contract(problem, time_limit=60.0)
    nothing, cases = _worse(contract), contract.proof.global_cases
    twice = np.repeat(np.arange(cases.leaf.size), 2)
    points = {name: getattr(cases, name)[twice] for name in ("contribution", "utility", "level", "leaf")}
    nowhere = tuple(0.0 * each for each in cases.linear)
    prices = {"feasibility": 0.0 * cases.feasibility[twice], "linear": nowhere}
    for share in (1.7e308, 1.0, 1e-300):
        counted = np.full(twice.size, share)
        forged = Proof(global_cases=dataclasses.replace(cases, **points, **prices, share=counted))
        certificate = verify(dataclasses.replace(nothing, proof=forged))
        assert certificate.gap >= contract.reached
        assert not certificate.optimal
        scaled = dataclasses.replace(cases, share=cases.share / cases.share.max() * share)
        again = verify(dataclasses.replace(contract, proof=Proof(global_cases=scaled)))
        assert again.gap == pytest.approx(contract.certificate.gap, abs=1e-9 * contract.reached)


@pytest.mark.parametrize("points", [1001, 400_000])
def test_files_do_not_keep_their_readers_for_hours(points):
    contract = designed("groups")
    cases = contract.proof.global_cases
    first = np.r_[np.zeros(points, dtype=int), np.arange(cases.leaf.size)]
    columns = ("contribution", "utility", "level", "feasibility", "share", "leaf")
    longer = dataclasses.replace(cases, **{name: getattr(cases, name)[first] for name in columns})
    assert verify(dataclasses.replace(contract, proof=Proof(global_cases=longer))).gap is None


def test_moved_boxes_bound_what_they_hold():
    """With another threshold leaves hold other contracts, which the same prices bound as badly as they do."""
    contract = designed("lots")
    cases = contract.proof.global_cases
    for factor in (0.0, 0.5, 0.9, 1.1, 3.0):
        moved = dataclasses.replace(cases, threshold=cases.threshold * factor)
        certificate = verify(dataclasses.replace(contract, proof=Proof(global_cases=moved)))
        assert certificate.gap is None or certificate.gap >= 0.0


# -- losses -----------------------------------------------------------------------------------------------


class Box:
    def __init__(self, low, high):
        self.low, self.high = np.asarray(low, dtype=float), np.asarray(high, dtype=float)


@pytest.mark.parametrize("name", ["groups", "options", "scenarios", "ex-ante", "named"])
def test_outcomes_have_the_probabilities_of_their_generating_functions(name):
    """E e^{-s X} over the outcomes is that of the groups' generating functions, for everybody and each row."""
    form = standard_form(PROBLEMS[name])
    x = np.array([13.0, 40.0, 90.0])
    for crowd in crowds_of(form):
        counts, prior, belief, _ = everybody_of(crowd)
        for rate in (1e-3, 1e-2, 0.1):
            ones = np.ones(1)
            known = expected_losses(crowd, rate * ones, ones, ones, x)
            each = np.exp(-rate * (counts @ x))
            assert prior @ each == pytest.approx(float(known.target), abs=1e-7)
            np.testing.assert_allclose(belief.T @ each, known.value, atol=1e-7)


def test_who_never_occurs_sees_itself_among_the_others():
    people = Population(costs=[0.3, 0.2, 0.1], probabilities=[0.0, 0.4, 0.6], participants=3)
    form = standard_form(problem_of(population=None))
    crowd = Crowd(form.worlds[0].plain, np.array([0.0, 0.4, 0.6]), np.zeros(3, dtype=int), people.laws)
    counts, prior, belief, _ = everybody_of(crowd)
    assert prior.sum() == pytest.approx(1.0)
    np.testing.assert_allclose(belief.sum(axis=0), 1.0)
    assert (counts[belief[:, 0] > 0.0, 0] == 1).all()


@settings(max_examples=30, deadline=None)
@given(data=st.data(), name=st.sampled_from(["groups", "options", "scenarios", "welfare", "ex-ante"]))
def test_losses_are_below_the_true_ones_everywhere_in_the_box(data, name):
    form = standard_form(PROBLEMS[name])
    share = st.floats(0.0, 1.0)
    most = 600.0 * np.array([data.draw(share) for _ in range(form.rows)])
    low = most * np.array([data.draw(share) for _ in range(form.rows)])
    point, other = (
        low + (most - low) * np.array([data.draw(share) for _ in range(form.rows)]) for _ in range(2)
    )
    prices = np.array([data.draw(share) for _ in range(form.rows)])
    box = Box(low, most)
    for crowd in crowds_of(form):
        everybody = everybody_of(crowd)
        found = losses_over_outcomes(everybody, curves_of(crowd), crowd.tops, point, box, prices)
        value = np.asarray(crowd.plain.value(everybody.counts @ other))
        target = np.asarray(crowd.plain.target(everybody.counts @ other))
        lost = everybody.prior @ (crowd.tops[0] - target)
        priced = prices @ (everybody.belief.T @ (crowd.tops[1] - value))
        step = other - point
        assert found.target + found.target_by_x @ step <= lost + 1e-9 * crowd.tops[0]
        assert prices @ found.value + found.priced_by_x @ step <= priced + 1e-9 * crowd.tops[1]
        most_given = received_over_outcomes(everybody, crowd, most)
        assert (
            everybody.belief.T @ value + (1.0 - everybody.belief.sum(axis=0)) * crowd.tops[1]
            <= most_given + 1e-7
        ).all()


@pytest.mark.parametrize("name", ["groups", "options", "capacities", "scenarios", "welfare", "ex-ante"])
def test_contracts_lie_in_the_narrowed_boxes_of_their_cases(name):
    """The designed contract is in every box around it, and no box is empty but those beyond what pays."""
    contract, form = designed(name), standard_form(PROBLEMS[name])
    crowds = crowds_of(form)
    everybody = [everybody_of(crowd) for crowd in crowds]
    asked, top = asked_of(form, contract.reservation_utility), min(crowd.tops[1] for crowd in crowds)
    x = form.contribution(contract.contribution)

    def received(high):
        pairs = zip(everybody, crowds, strict=True)
        return np.min([received_over_outcomes(one, crowd, high) for one, crowd in pairs], axis=0)

    def narrow(low, high):
        case = dataclasses.replace(
            whole(form), low=np.asarray(low, dtype=float), high=np.asarray(high, dtype=float)
        )
        return narrowed(form, case, asked, top, received, spare=1e-9 * top, settled=1e-5)

    free = np.full(form.rows, np.inf)
    for low, high in ((0.0 * x, free), (x, free), (0.0 * x, x), (x, x), (0.5 * x, 1.5 * x)):
        box = narrow(low, np.maximum(high, x))
        assert box is not None
        assert (box[0] <= x * (1.0 + 1e-9) + 1e-9).all()
        assert (x <= box[1] * (1.0 + 1e-9) + 1e-9).all()
    whole_box = narrow(0.0 * x, free)
    assert (whole_box[1] <= (top - asked.due) / form.costs * (1.0 + 1e-6)).all()
    assert narrow(1.01 * whole_box[1] + 1.0, free) is None


def test_outcomes_that_are_too_many_are_refused():
    people = Population(costs=[0.3, 0.2, 0.1, 0.05], probabilities=[0.25] * 4, participants=200)
    form = standard_form(problem_of())
    crowd = Crowd(form.worlds[0].plain, np.full(4, 0.25), np.zeros(4, dtype=int), people.laws)
    with pytest.raises(ProofRefused, match="too many outcomes"):
        everybody_of(crowd)
    assert compositions(200, 4).shape[0] > 200_000


def test_outcomes_that_are_too_many_are_counted_before_they_are_listed():
    """264 million would take all memory."""
    people = {"costs": np.geomspace(0.1, 1.0, 8), "probabilities": [0.125] * 8, "participants": 50}
    form = standard_form(problem_of(population=people))
    assert _outcomes(form, form.worlds[0]) is None


@pytest.mark.parametrize("number", [4, 1000, 100_000])
def test_what_probabilities_may_be_wrong_by_is_allowed_for(number):
    people = Population(costs=[0.2, 0.1], probabilities=[0.5, 0.5], participants=number)
    (crowd,) = crowds_of(standard_form(Problem(population=people, accuracy=BOUND, valuation=VALUE)))
    everybody = everybody_of(crowd)
    some = np.linspace(0, len(everybody.prior) - 1, 40).astype(int)
    exact = [float(Fraction(comb(number, int(n)), 2**number)) for n in everybody.counts[some, 0]]
    assert (np.abs(everybody.prior[some] / exact - 1.0) <= (1.0 + everybody.blur) * ROUNDING).all()
