"""Proofs by cases: they prove the best contracts, and nothing can be done to them that proves a worse one."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts import Menu, Outside, design_contract
from contracts.problem.cases import APART, SHARED, linear_constraints, whole
from contracts.problem.reservation import reservation
from contracts.problem.standard_form import standard_form
from contracts.proof.certify import certify
from contracts.proof.evidence import BOUNDS, LEAF, LINK, SERVICE, Cases, Mixtures, Proof
from contracts.proof.gaps import REFUTED, positive_gap
from contracts.proof.general_proof import asked_of
from contracts.proof.leaves import in_lots, leaves_of, too_many_options
from contracts.proof.reached import unit_of
from contracts.proof.soundness import ProofRefused

ARRAYS = ("contribution", "utility", "level", "feasibility")
MIXTURES = ("rates", "target_weights", "value_weights")
STATED_OF_CONTRACTS = (
    "contribution",
    "expected_reward",
    "reservation_utility",
    "objective",
    "expected_accuracy",
)
NUMBERS = (np.nan, np.inf, -np.inf, 1e100, 1e300, -1.0, 0.0)


def unit(case):
    return unit_of(standard_form(case.problem))


def by_themselves(case, menu_of):
    """A contract that holds and is worse: everybody brings what it would use alone, for the model of that."""
    form = standard_form(case.problem)
    alone = reservation(form.worlds[0].plain)
    x, u = np.zeros((2, form.rows))
    x[form.row], u[form.row] = alone.contribution, alone.utility
    return menu_of(case.problem, x, u)


def test_right_prices_prove_the_best_contract(case):
    certificate = case.certificate()
    assert certificate.holds, certificate
    assert certificate.optimal
    assert certificate.gap <= 1e-5 * unit(case)
    assert (certificate.scope, certificate.missing) == ("", "")


def test_a_worse_contract_is_proved_to_be_worse(case, menu_of):
    if case.problem.menu.participation_margin or case.problem.population.shading:
        return
    certificate = case.certificate(**by_themselves(case, menu_of))
    assert certificate.holds, certificate
    assert not certificate.optimal
    assert certificate.gap is None or certificate.gap > 1e-3 * unit(case)


def test_no_proof_is_no_proof(case):
    for proof in (Proof(), Proof(witness=None, member=np.ones(3) / 3)):
        certificate = case.certificate(proof)
        assert certificate.holds
        assert (certificate.optimal, certificate.gap, certificate.as_solved_gap) == (False, None, None)
        assert "no proof" in certificate.verdict or "says nothing" in certificate.verdict


@pytest.mark.parametrize("name", ["plain", "scenarios", "groups", "welfare", "rawlsian", "distribution"])
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_whatever_is_done_to_a_proof_no_worse_contract_is_proved(solution, menu_of, name, data):
    case = solution(name)
    worse = by_themselves(case, menu_of)
    honest = case.certificate(**worse).gap
    cases = case.proof.cases
    part = data.draw(st.sampled_from((*ARRAYS, "linear", *MIXTURES, "tree")))
    proof = Proof(cases=_damaged(cases, part, data))
    certificate = case.certificate(proof, **worse)
    assert certificate.holds
    assert not certificate.optimal
    assert certificate.gap is None or certificate.gap >= honest - 1e-5 * unit(case)
    kept = case.certificate(proof)
    assert kept.gap is None or 0.0 <= kept.gap < np.inf


def _damaged(cases: Cases, part: str, data) -> Cases:
    if part == "tree":
        changes = [
            {"kind": np.array([BOUNDS])},
            {"kind": np.array([LEAF, LEAF])},
            {"kind": np.zeros(0, dtype=int)},
            {"kind": np.array([7])},
            {"kind": np.array([LINK, LEAF, LEAF]), "index": np.array([9, 0, 0]), "threshold": np.zeros(3)},
            {"linear": ()},
            {"linear": cases.linear * 2},
            {"linear": (cases.linear[0][:-1],)},
        ]
        return dataclasses.replace(cases, **data.draw(st.sampled_from(changes)))
    if part == "linear":
        return dataclasses.replace(cases, linear=(_changed(cases.linear[0], data),))
    if part in MIXTURES:
        mixtures = dataclasses.replace(cases.mixtures, **{part: _changed(getattr(cases.mixtures, part), data)})
        return dataclasses.replace(cases, mixtures=mixtures)
    return dataclasses.replace(cases, **{part: _changed(getattr(cases, part), data)})


def _changed(values, data):
    values = np.array(values, dtype=float)
    how = data.draw(st.sampled_from(["set", "scale", "reverse", "shape", "all"]))
    if how == "set":
        values.flat[data.draw(st.integers(0, values.size - 1))] = data.draw(st.sampled_from(NUMBERS))
    elif how == "scale":
        values = values * data.draw(st.sampled_from([-1.0, 1e-9, 0.5, 0.999, 1.001, 2.0, 1e12, 1e200]))
    elif how == "reverse":
        values = values[..., ::-1]
    elif how == "shape":
        values = values.ravel()[:-1]
    else:
        values = np.full_like(values, data.draw(st.sampled_from(NUMBERS)))
    return values


@settings(max_examples=60, deadline=None)
@given(
    name=st.sampled_from(["plain", "scenarios", "groups", "welfare", "rawlsian", "law", "ex-ante"]),
    seed=st.integers(0, 10**6),
)
def test_any_prices_and_any_point_give_a_bound(solution, name, seed):
    case, rng = solution(name), np.random.default_rng(seed)
    cases = case.proof.cases
    form = standard_form(case.problem)
    low = form.due(case.stated["reservation_utility"])
    top = min(world.plain.largest_value for world in form.worlds)
    proof = dataclasses.replace(
        cases,
        contribution=rng.uniform(0.0, (top - low) / form.costs)[None, :],
        utility=rng.uniform(low, top)[None, :],
        feasibility=rng.exponential(0.5, cases.feasibility.shape) * rng.integers(0, 2),
        linear=(rng.exponential(1.0, cases.linear[0].size) * rng.integers(0, 2),),
    )
    certificate = case.certificate(Proof(cases=proof))
    assert certificate.gap is not None, certificate.missing
    assert certificate.gap >= 0.0


def test_a_proof_of_two_cases(solution):
    """Cut where the best contract is not: the bound of the other case is found by the same prices."""
    case = solution("plain")
    cases, x = case.proof.cases, case.proof.cases.contribution[0]
    twice = {name: np.repeat(getattr(cases, name), 2, axis=0) for name in ARRAYS}
    form = standard_form(case.problem)
    prices = cases.linear[0]
    # Each row's least amount comes first among its constraints, at each leaf.
    split = Cases(
        mixtures=cases.mixtures,
        kind=np.array([LINK, LEAF, LEAF]),
        index=np.zeros(3, dtype=int),
        threshold=np.zeros(3),
        linear=(np.r_[prices, 0.0][: _constraints(form, case, SHARED)], prices),
        **twice,
    )
    certificate = case.certificate(Proof(cases=split))
    assert certificate.gap is not None, certificate.missing
    assert certificate.gap >= case.certificate().gap - 1e-9
    assert x.size == form.rows


def _constraints(form, case, link):
    start = whole(form)
    links = start.link.copy()
    links[0] = link
    asked = asked_of(form, case.stated["reservation_utility"])
    return linear_constraints(form, dataclasses.replace(start, link=links), asked).least.size


@pytest.mark.parametrize(
    ("options", "apart", "due", "empty"),
    [
        (1, 1, 1.0, True),
        (2, 1, 1.0, False),
        (2, 2, 1.0, True),
        (1, 1, 0.0, False),
        (1, 2, 0.0, True),
        (None, 2, 1.0, False),
    ],
)
def test_cases_with_more_options_than_are_allowed_are_empty(problem_of, options, apart, due, empty):
    form = standard_form(problem_of(menu=Menu(options=options)))
    start = whole(form)
    links = start.link.copy()
    links[:apart] = APART
    case = dataclasses.replace(start, link=links)
    assert too_many_options(form, case, np.array([due, 5.0, 9.0])) is empty


def test_the_first_option_counts_where_something_must_be_brought(problem_of):
    form = standard_form(problem_of(menu=Menu(options=1)))
    start = whole(form)
    case = dataclasses.replace(start, link=np.array([APART, SHARED]), low=np.array([1.0, 0.0, 0.0]))
    assert too_many_options(form, case, np.zeros(3))


def test_bounds_move_inwards_to_whole_lots(problem_of):
    form = standard_form(problem_of(menu=Menu(lot=10.0)))
    case = dataclasses.replace(
        whole(form), low=np.array([0.1, 10.0 + 1e-10, 20.0]), high=np.array([39.9, np.inf, 30.0 - 1e-10])
    )
    inside = in_lots(form, case)
    assert inside.low.tolist() == [10.0, 10.0, 20.0]
    assert inside.high.tolist() == [30.0, np.inf, 30.0]


def test_splits_are_read_depth_first(problem_of):
    form = standard_form(problem_of(outside=Outside(joining_cost=1.0)))
    cases = Cases(
        mixtures=None,
        kind=np.array([SERVICE, BOUNDS, LEAF, LEAF, LEAF]),
        index=np.array([0, 2, 0, 0, 0]),
        threshold=np.array([0.0, 5.0, 0.0, 0.0, 0.0]),
        contribution=None,
        utility=None,
        level=None,
        feasibility=None,
        linear=(),
    )
    leaves = leaves_of(form, cases, stay=True)
    assert [leaf.service.tolist() for leaf in leaves] == [[0, 2, 2], [0, 2, 2], [1, 2, 2]]
    assert [leaf.high[2] for leaf in leaves] == [5.0, np.inf, np.inf]
    assert [leaf.low[2] for leaf in leaves] == [0.0, 5.0, 0.0]


def test_a_proof_that_serves_everybody_says_so(solution, problem_of, menu_of):
    """Where outside options are given, contracts that leave somebody out are contracts too."""
    case = solution("plain")
    outside = case.stated["reservation_utility"]
    problem = problem_of(outside=Outside(utility=outside))
    other = case._replace(problem=problem)
    certificate = other.certificate()
    assert certificate.holds
    assert (certificate.optimal, certificate.gap) == (False, None)
    assert certificate.scope == "contracts that serve everybody"
    assert certificate.as_solved_gap == pytest.approx(case.certificate().gap, abs=1e-9)


def test_a_contract_that_beats_a_bound_refutes_it():
    assert positive_gap(-0.9 * REFUTED, 1.0, 0.0) == 0.0
    assert positive_gap(0.5, 1.0, 0.0) == 0.5
    for gap, rounding in (
        (-1.1 * REFUTED, 0.0),
        (np.nan, 0.0),
        (np.inf, 0.0),
        (-np.inf, 0.0),
        (0.0, np.inf),
        (0.0, np.nan),
    ):
        with pytest.raises(ProofRefused):
            positive_gap(gap, 1.0, rounding)


@pytest.mark.parametrize(("share", "optimal"), [(0.99, False), (1.01, True)])
def test_optimal_is_what_is_proved_within_the_gap_asked_for(solution, menu_of, share, optimal):
    case = solution("plain")
    worse = by_themselves(case, menu_of)
    left = case.certificate(**worse).gap / unit(case)
    certificate = case.certificate(**worse, gap=share * left)
    assert certificate.optimal is optimal
    assert ("better by" in certificate.missing) is not optimal


def test_nothing_is_promised_to_whoever_may_stay_out(problem_of, expectations):
    """Prices of promises to such rows count for nothing: contracts that leave them out keep none."""
    problem = problem_of(outside=Outside(utility=[85.0, 0.0, 0.0]))
    form = standard_form(problem)
    m, t = np.array([0.0, 150.0, 600.0]), np.array([0.0, 50.0, 71.0])
    value, accuracy = expectations(problem, m)
    stated = {"contribution": m, "expected_reward": t, "reservation_utility": np.array([85.0, 0.0, 0.0])}
    stated |= {"objective": value, "expected_accuracy": accuracy}
    start = whole(form, stay=True)
    asked = asked_of(form, stated["reservation_utility"])
    for price in (0.0, 1.0, 1e3):
        cases = Cases(
            mixtures=Mixtures(
                rates=np.array([0.002]), target_weights=np.array([[90.0]]), value_weights=np.array([[90.0]])
            ),
            kind=np.array([LEAF]),
            index=np.zeros(1),
            threshold=np.zeros(1),
            contribution=np.array([[0.0, 100.0, 400.0]]),
            utility=np.array([[85.0, 40.0, 50.0]]),
            level=np.zeros(1),
            feasibility=np.full((1, 1, 3), price),
            linear=(np.zeros(linear_constraints(form, start, asked).least.size),),
        )
        certificate = certify(problem, **stated, proof=Proof(cases=cases))
        assert certificate.holds, certificate.violations
        assert certificate.gap is not None, certificate.missing
        assert certificate.gap >= 0.0


def test_a_curve_continued_below_its_floor_is_another_curve(build):
    """A mixture proves a gap where it lies below the true loss, not where it only fits above the floor."""
    contract = design_contract(build([0.2, 0.1, 0.04], 5))
    form = standard_form(contract.problem)
    asked = asked_of(form, contract.reservation_utility)
    stated = {name: getattr(contract, name) for name in STATED_OF_CONTRACTS}

    def proof_by(witness):
        return Cases(
            mixtures=Mixtures(
                rates=witness.rates,
                target_weights=witness.target_weights[None, :],
                value_weights=witness.value_weights[None, :],
            ),
            kind=np.array([LEAF]),
            index=np.zeros(1),
            threshold=np.zeros(1),
            contribution=witness.contribution[None, :],
            utility=witness.utility[None, :],
            level=np.zeros(1),
            feasibility=witness.feasibility_multipliers[None, None, :],
            linear=(np.zeros(linear_constraints(form, whole(form), asked).least.size),),
        )

    solved = certify(contract.problem, **stated, proof=Proof(cases=proof_by(contract.witness)))
    assert solved.scope == "the curve continued below its floor"
    assert solved.gap is None
    assert solved.as_solved_gap is not None
    relaxed = certify(contract.problem, **stated, proof=Proof(global_cases=proof_by(contract.global_witness)))
    assert relaxed.scope == ""
    assert relaxed.gap is not None
    wrong = certify(contract.problem, **stated, proof=Proof(global_cases=proof_by(contract.witness)))
    assert (wrong.gap, wrong.as_solved_gap) == (None, None)
    assert "not below its loss" in wrong.missing
