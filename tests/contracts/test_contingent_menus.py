"""Contingent menus: the numbers of their study, promises by enumeration, the bound by another program,
forgeries.
"""

import dataclasses
import itertools
from functools import cache

import numpy as np
import pytest
from scipy import stats

from contracts import (
    Binomial,
    Clause,
    Contract,
    GeneralizationBound,
    Infeasible,
    InvalidInput,
    LinearValuation,
    Menu,
    Outside,
    Population,
    PowerLaw,
    Problem,
    contingent_limit,
    design_contract,
    launch_from,
    verify,
)
from contracts.contract.agreement import agreement
from contracts.problem.clause import signatures
from contracts.proof.released_bound import left_open

TWO = (0.02, 0.01), (0.5, 0.5)
THREE = (0.3, 0.1, 0.03), (0.3, 0.4, 0.3)


def problem(case, participants, **menu):
    costs, chances = case
    return Problem(
        population=Population(costs=list(costs), probabilities=list(chances), participants=participants),
        accuracy=GeneralizationBound(),
        valuation=LinearValuation(scale=100.0),
        menu=Menu(**menu),
    )


@cache
def designed(case, participants, **menu):
    return design_contract(problem(case, participants, **menu))


def small():
    return designed(THREE, 4, assurance="contingent")


@pytest.mark.parametrize(
    ("case", "value"), [(TWO, 93.5937), pytest.param(THREE, 88.5418, marks=pytest.mark.slow)]
)
def test_the_value_of_what_depends_on_the_profile(case, value):
    contract = designed(case, 10, assurance="contingent")
    assert contract.objective == pytest.approx(value, abs=6e-5)
    certificate = verify(contract)
    assert certificate.holds
    assert certificate.optimal
    assert certificate.gap < 1e-5
    limit = contingent_limit(designed(case, 10))
    assert limit.bound >= contract.objective - 1e-6
    assert limit.gap == pytest.approx(contract.objective - designed(case, 10).objective, abs=0.06)


def played(contract, who, option, others):
    """What a type gets by an option in a profile of the others, by settling."""
    counts = np.array(others)
    counts[option] += 1
    settled = contract.settle(counts)
    cost = contract.problem.population.costs[who]
    outside = contract.reservation_utility[who]
    return outside if settled.released[option] else settled.value[option] - cost * settled.contribution[option]


def test_promises_by_enumeration():
    contract, chances = small(), np.array(THREE[1])
    assert verify(contract).holds
    for number in range(4):  # others who sign, in any number
        profiles = signatures(number, 3)
        likely = stats.multinomial.pmf(profiles, number, chances)
        for who in range(3):
            each = np.array([[played(contract, who, k, others) for k in range(3)] for others in profiles])
            assert (each[:, who] >= contract.reservation_utility[who] - 1e-9).all()
            assert (likely @ each <= likely @ each[:, who] + 1e-9).all()
    for counts in itertools.product(range(3), repeat=3):
        if sum(counts) > 4:
            continue
        settled = contract.settle(counts)
        assert settled.accuracy.max() <= settled.trained_accuracy + 1e-9
        assert settled.launched == (sum(counts) in (2, 3, 4))


def test_no_menu_with_fixed_or_insured_terms_is_better():
    contingent = small()
    for kind in (None, "table", "count", "cut"):
        assert designed(THREE, 4, assurance=kind).objective <= contingent.objective + 1e-6


def test_the_bound_is_that_of_a_program_of_its_own():
    """The concave program over all profiles, written once more for cvxpy, with the curve by its own tangents."""
    cvxpy = pytest.importorskip("cvxpy")
    contract = small()
    counts, costs, chances = signatures(4, 3), np.array(THREE[0]), np.array(THREE[1])
    plain, likely = contract.form.worlds[0].plain, stats.multinomial.pmf(counts, 4, chances)
    amount, worth = cvxpy.Variable(counts.shape, nonneg=True), cvxpy.Variable(counts.shape, nonneg=True)
    scale = 1000.0  # data
    total = cvxpy.sum(cvxpy.multiply(counts, amount), axis=1)
    value = cvxpy.Variable(len(counts))
    rules = []
    for point in np.geomspace(1.2 * plain.accuracy.floor, 20_000.0, 400):
        step = 1e-5 * point
        slope = (plain.value(point + step) - plain.value(point - step)) / (2.0 * step)
        rules.append(value <= float(plain.value(point)) + float(slope) * (scale * total - point))
    others = likely[:, None] * counts / (4.0 * chances)
    for i in range(3):
        met = counts[:, i] > 0
        rules.append((worth[:, i] - scale * costs[i] * amount[:, i])[met] >= contract.reservation_utility[i])
        rules.append((value - worth[:, i])[met] >= 0.0)
        for k in range(3):
            own = others[:, i] @ (worth[:, i] - scale * costs[i] * amount[:, i])
            rules.append(own >= others[:, k] @ (worth[:, k] - scale * costs[i] * amount[:, k]))
    found = cvxpy.Problem(cvxpy.Maximize(likely @ value), rules)
    found.solve(solver="CLARABEL")
    assert found.value == pytest.approx(contract.objective, abs=2e-3)
    certificate = verify(contract)
    assert contract.objective + certificate.gap <= found.value + 2e-3


def test_files_settle_and_words():
    contract = small()
    again = Contract.from_json(contract.to_json())
    assert again.to_json() == contract.to_json()
    assert str(verify(again)) == str(verify(contract))
    assert (again.settle([1, 2, 1]).utility == contract.settle([1, 2, 1]).utility).all()
    words = agreement(contract)
    assert "table of profiles is part of this agreement: 31 profiles" in words
    assert "If fewer than 2 sign, all are released" in words
    assert "signing never loses" in str(contract.attendance())


@pytest.mark.parametrize("part", ["contribution", "cap", "guarantee"])
@pytest.mark.parametrize("more", [1e-3, -1e-3])
def test_forged_profiles_are_found_out(part, more):
    contract = small()
    draw = np.random.default_rng(0)
    values = getattr(contract.clause, part)
    missed = []
    for place in draw.choice(values.size, size=min(values.size, 20), replace=False):
        changed = values.copy()
        if changed.flat[place] == 0.0 and part != "guarantee":
            continue  # options that nobody signed
        changed.flat[place] += more * max(changed.flat[place], 1.0)
        forged = dataclasses.replace(contract, clause=dataclasses.replace(contract.clause, **{part: changed}))
        if verify(forged).holds:
            missed.append(int(place))
    if part == "guarantee":  # what is stated may be less than what is given only where it is due
        assert bool(missed) == (more > 0.0)
    else:
        # of a number of signatures that is not expected nothing is stated, so that others' fair terms do as well
        fair = [np.flatnonzero(values.ravel() != 0.0).tolist().index(place) for place in missed]
        rows = {int(contract.clause.profiles[place // 3].sum()) for place in missed}
        assert rows <= {2, 3}, fair


def test_prices_prove_no_more_than_they_can():
    contract = small()
    honest, good = verify(contract), contract.proof.launch
    assert honest.optimal
    for launch in (None, good[:-1], np.full(good.shape, np.nan), -good):
        found = verify(dataclasses.replace(contract, proof=dataclasses.replace(contract.proof, launch=launch)))
        assert found.holds
        assert not found.optimal
        assert found.gap is None
    draw = np.random.default_rng(1)
    for scale in (0.0, 0.5, 2.0, 1e3):
        forged = good * scale * draw.uniform(0.5, 1.5, good.shape)
        found = verify(dataclasses.replace(contract, proof=dataclasses.replace(contract.proof, launch=forged)))
        assert found.gap is not None
        assert found.gap >= honest.gap - 1e-9
    # a menu that is not the best is not called so with the best one's prices
    worse = designed(THREE, 4, assurance="contingent", participation_margin=0.5)
    worse = dataclasses.replace(worse, problem=contract.problem, proof=contract.proof)
    certificate = verify(worse)
    assert certificate.holds
    assert certificate.gap >= contract.objective - worse.objective - 1e-6 > 0.0


def test_margins_outside_options_and_an_uncertain_number():
    stated = Problem(
        population=Population(
            costs=[0.02, 0.012],
            probabilities=[0.5, 0.5],
            participants=Binomial(trials=5, probability=0.8),
            qualities=[0.8, 1.0],
        ),
        accuracy=PowerLaw(optimum=0.95, coefficient=2.0, exponent=0.5),
        valuation=LinearValuation(scale=[90.0, 110.0]),
        outside=Outside(utility=[10.0, 20.0], joining_cost=0.5),
        baseline=0.1,
        maximise="accuracy",
        menu=Menu(assurance="contingent", participation_margin=0.1, preference_margin=0.1),
    )
    contract = design_contract(stated)
    certificate = verify(contract)
    assert certificate.holds
    assert certificate.gap is not None
    settled = contract.settle([2, 2])
    assert (settled.utility >= np.array([10.1, 20.1]) - 1e-7).all()
    assert certificate.participation_slack.min() >= 0.1 - 1e-7


def test_bad_input():
    with pytest.raises(InvalidInput, match="a contingent menu and many participants or types"):
        problem(THREE, 12, assurance="contingent")
    with pytest.raises(InvalidInput, match="a contingent menu and the ex-ante belief"):
        dataclasses.replace(problem(TWO, 4, assurance="contingent"), belief="ex-ante")
    with pytest.raises(Infeasible, match="no contingent menu keeps all margins"):
        designed(TWO, 3, assurance="contingent", participation_margin=60.0)
    with pytest.raises(InvalidInput, match="expected one for one group of a known number"):
        contingent_limit(
            design_contract(
                Problem(
                    population=Population(costs=[0.02, 0.01], participants="named"),
                    accuracy=GeneralizationBound(),
                    valuation=LinearValuation(scale=100.0),
                )
            )
        )
    with pytest.raises(InvalidInput, match="expected a Contract"):
        contingent_limit(None)  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match=r"contribution has shape \(1, 2\): expected \(3, options\)"):
        Clause(
            kind="contingent", counts=[2], contribution=[[1.0, 1.0]], cap=[[1.0, 1.0]], guarantee=[[0.0, 0.0]]
        )


def test_menus_leave_out_whom_no_menu_covers():
    costs, chances = [0.5, 0.01, 0.001], [0.3, 0.3, 0.4]
    dear = (tuple(costs), tuple(chances))
    table = designed(dear, 6, assurance="table")
    certificate = verify(table)
    assert certificate.holds
    assert table.contribution[0] == 0.0
    assert (table.contribution[1:] > 0.0).all()
    assert table.settle([6, 0, 0]).launched is False
    assert table.settle([4, 0, 0]).released.all()
    # who is left out would lose by any option, in every launch
    for counts in itertools.product(range(4), range(1, 4)):
        settled = table.settle([0, *counts])
        if settled.launched:
            got = settled.value[1:] - costs[0] * settled.contribution[1:]
            assert (got <= table.reservation_utility[0] + 1e-7).all()
    with pytest.raises(InvalidInput, match="expected one to which every type contributes"):
        launch_from(dataclasses.replace(table, clause=None))


@pytest.mark.parametrize("gap", [-1.0, np.nan, np.inf])
def test_a_bound_that_a_contract_beats_proves_nothing(gap):
    # as everywhere else: it is refuted, not a gap of nothing
    form = small().form
    assert left_open(gap, form)[0] is None
    assert left_open(-1e-9, form) == (0.0, "")
