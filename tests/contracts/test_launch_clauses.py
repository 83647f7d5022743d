"""Launch clauses: the numbers of their study, theorems on random instances, forgeries, files, settlement."""

import dataclasses
import itertools
from functools import cache
from math import comb

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from contracts import (
    Binomial,
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
    design_contract,
    design_contracts,
    verify,
)
from contracts.contract.agreement import agreement
from contracts.contract.launch_design import design_launch
from contracts.contract.terms import Terms

KINDS = ("count", "table", "cut")


def problem(costs, chances, participants=10, **menu):
    return Problem(
        population=Population(costs=costs, probabilities=chances, participants=participants),
        accuracy=GeneralizationBound(),
        valuation=LinearValuation(scale=100.0),
        menu=Menu(**menu),
    )


@cache
def _designed(stated):
    costs, chances, participants, menu = stated
    return design_contract(problem(list(costs), list(chances), participants, **dict(menu)))


def designed(case, participants=10, **menu):
    """The best contract of a case, made once."""
    costs, chances = case
    return _designed((tuple(costs), tuple(chances), participants, tuple(sorted(menu.items()))))


TWO = [0.02, 0.01], [0.5, 0.5]
THREE = [0.3, 0.1, 0.03], [0.3, 0.4, 0.3]
FIVE = [0.2, 0.16, 0.12, 0.08, 0.04], [0.2] * 5


@pytest.mark.parametrize(
    ("case", "margin", "price", "count"),
    [
        (TWO, 0.0, 1e-6, 7),
        (TWO, 0.02, 0.0035, 7),
        (TWO, 0.1, 0.017, 7),
        (THREE, 0.0, 0.049, 4),
        (THREE, 0.02, 0.053, 4),
        (THREE, 0.1, 0.068, 4),
        pytest.param(FIVE, 0.0, 4e-5, 7, marks=pytest.mark.slow),
        pytest.param(FIVE, 0.02, 0.009, 7, marks=pytest.mark.slow),
        pytest.param(FIVE, 0.1, 0.044, 7, marks=pytest.mark.slow),
    ],
)
def test_the_price_of_an_insured_menu(case, margin, price, count):
    plain = designed(case)
    margins = {"participation_margin": margin, "preference_margin": margin}
    found = designed(case, assurance="count", **margins)
    lost = plain.objective - found.objective
    assert lost == pytest.approx(price, rel=0.04, abs=3e-7)
    assert found.launch_count == count
    certificate = verify(found)
    assert certificate.holds
    assert certificate.optimal
    assert certificate.gap < 1e-5
    assert lost <= certificate.extended["price of the clause at most"] < lost + 0.002
    assert certificate.participation_slack.min() >= margin - 1e-7


def test_more_participants_pay_less():
    prices = []
    for number in (10, 20):
        plain, found = (designed(THREE, number, **menu) for menu in ({}, {"assurance": "count"}))
        prices.append(plain.objective - found.objective)
        assert found.launch_count == 4
    assert np.allclose(prices, [0.049, 0.014], atol=6e-4)


def test_a_cut_menu_costs_what_it_does():
    for case, price in ((TWO, 0.0), (THREE, 0.080)):
        found = designed(case, assurance="cut")
        assert designed(case).objective - found.objective == pytest.approx(price, abs=6e-4)
        certificate = verify(found)
        assert certificate.holds
        assert certificate.gap is None
        assert certificate.scope == "contracts without a launch clause"


@pytest.mark.parametrize("margin", [20.0, 60.0, 5000.0])
def test_a_cut_menu_that_can_tell_nobody_apart_is_given_up_at_once(margin):
    asked = []

    def design(stated):
        asked.append(stated.menu.preference_margin)
        return design_contract(stated)

    stated = problem(*THREE, assurance="cut", preference_margin=margin)
    with pytest.raises(Infeasible, match=rf"^cut, no menu of several options keeps .* of {margin:g} "):
        design_launch(stated, design)
    assert len(asked) <= 4
    assert max(asked) <= 4 * margin


@pytest.mark.slow
def test_whom_no_menu_can_serve_is_left_out_of_the_insured_one():
    dear = [0.5, 0.1, 0.05, 0.01, 0.001], [0.2] * 5
    contract = designed(dear, assurance="count")
    assert contract.contribution[0] == 0.0 < contract.contribution[1]
    assert verify(contract).holds
    alone = contract.reservation_utility
    for signed in itertools.chain(*(itertools.combinations_with_replacement(range(5), k) for k in range(1, 11))):
        settled = contract.settle(np.bincount(signed, minlength=5))
        mine = sorted(set(signed))
        kept = np.where(settled.released | (not settled.launched), alone, settled.utility)
        assert (kept >= alone)[mine].all(), signed
    assert verify(designed(dear, assurance="cut")).holds


@pytest.mark.parametrize("margin", [40.0, 60.0, 1000.0])
def test_where_no_menu_covers_it_is_said_in_one_line(margin):
    with pytest.raises(
        Infeasible, match=r'no insured menu covers: all 10 .* expected smaller margins, .* assurance = "cut"$'
    ) as caught:
        designed(([0.5, 0.1, 0.05], [0.2, 0.3, 0.5]), assurance="count", participation_margin=margin)
    assert "\n" not in str(caught.value)


@st.composite
def instances(draw):
    types = draw(st.integers(2, 3))
    ratios = draw(st.lists(st.floats(1.3, 4.0), min_size=types - 1, max_size=types - 1))
    costs = draw(st.floats(0.02, 0.3)) / np.cumprod([1.0, *ratios])
    shares = np.array(draw(st.lists(st.floats(0.15, 1.0), min_size=types, max_size=types)))
    kind = draw(st.sampled_from(KINDS))
    margins = {"participation_margin": 0.02, "preference_margin": 0.02 if kind != "cut" else 0.0}
    return problem(costs, shares / shares.sum(), draw(st.integers(4, 7)), assurance=kind, **margins)


@pytest.mark.slow
@settings(max_examples=16, deadline=None, phases=[Phase.generate], derandomize=True)
@given(stated=instances(), data=st.data())
def test_signing_ones_own_option_never_loses(stated, data):
    try:
        contract = design_contract(stated, time_limit=0.0)
    except Infeasible as error:
        assert "\n" not in str(error)  # noqa: PT017
        return
    terms = Terms.of(contract)
    counts = np.array(data.draw(st.lists(st.integers(0, 4), min_size=terms.options, max_size=terms.options)))
    own = data.draw(st.integers(0, terms.options - 1))
    if contract.contribution[own] == 0.0:
        return
    counts[own] += 1
    if counts.sum() > stated.population.participants:
        return
    settled = contract.settle(counts)
    at_least = 0.0 if settled.released[own] else stated.menu.participation_margin
    assert settled.utility[own] >= contract.reservation_utility[own] + at_least - 1e-7
    if contract.clause.insured and settled.launched:
        # what it gets is the same in every launch by this number, and more than by any other option
        for other in range(terms.options):
            swapped = counts.copy()
            swapped[own] -= 1
            swapped[other] += 1
            there = contract.settle(swapped)
            raw, value = there.contribution[other], there.value[other]
            gained = value - stated.population.costs[own] * raw
            assert gained <= settled.utility[own] - (0.02 - 1e-7 if other != own else -1e-9)
    assert verify(contract).holds
    assert settled.accuracy.max() <= settled.trained_accuracy + 1e-12


def test_the_table_follows_who_comes():
    expected = {0.9: (92.02, 93.20), 0.7: (60.2, 92.10)}
    count, table = (designed(TWO, assurance=kind) for kind in ("count", "table"))
    assert count.launch_count == 7
    assert table.launch_count == 2
    for attendance, values in expected.items():
        for contract, value in zip((count, table), values, strict=True):
            assert value_at(contract, attendance) == pytest.approx(value, abs=0.06)


def value_at(contract, attendance):
    """Expected value of the trained model where each comes with some probability, all signing truthfully."""
    law = Binomial(trials=contract.problem.population.participants, probability=attendance)
    chances, total = contract.problem.population.probabilities, 0.0
    for number, likely in zip(*law.support, strict=True):
        for first in range(int(number) + 1):
            share = comb(int(number), first) * chances[0] ** first * chances[1] ** (int(number) - first)
            settled = contract.settle([first, int(number) - first])
            total += likely * share * float(contract.problem.value(settled.total_data))
    return total


def test_an_uncertain_number_signs_by_the_table():
    stated = problem(*TWO, assurance="table", participation_margin=0.01, preference_margin=0.01)
    law = dataclasses.replace(stated.population, participants=Binomial(trials=8, probability=0.8))
    contract = design_contract(dataclasses.replace(stated, population=law))
    assert contract.clause.counts.tolist() == list(range(2, 9))
    assert verify(contract).holds
    with pytest.raises(InvalidInput, match="a launch count and an uncertain number of participants"):
        dataclasses.replace(stated, population=law, menu=Menu(assurance="count"))


@pytest.mark.parametrize("kind", KINDS)
def test_files_keep_everything(kind):
    contract = designed(TWO, assurance=kind, participation_margin=0.02)
    again = Contract.from_json(contract.to_json())
    assert again.to_json() == contract.to_json()
    assert str(verify(again)) == str(verify(contract))
    assert (again.settle([4, 5]).utility == contract.settle([4, 5]).utility).all()
    with pytest.raises(InvalidInput, match=r"\[clause\]"):
        Contract.from_json(contract.to_json().replace('"guarantee"', '"guaranty"'))


CHANGES = {
    "counts": lambda clause: {"counts": [2]} if clause.kind == "count" else {},
    "contribution": lambda clause: {"contribution": clause.contribution * [[0.999, 1.0]]},
    "cap": lambda clause: {"cap": clause.cap * [[1.001, 1.0]]},
    "guarantee": lambda clause: {"guarantee": clause.guarantee + np.array([[0.5, 0.0]])},
    # The whole model is what the top option receives; a cap would be read in the agreement and not be settled.
    "top": lambda clause: {"cap": np.where(np.isinf(clause.cap), 5.0, clause.cap)} if clause.insured else {},
    "kind": lambda clause: {"kind": "cut" if clause.kind == "count" else "count", "counts": [4]},
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("change", CHANGES)
def test_forged_clauses_are_found_out(kind, change):
    contract = designed(TWO, assurance=kind, participation_margin=0.02, preference_margin=0.0)
    changed = CHANGES[change](contract.clause)
    if change == "kind" and kind == "table":
        changed = {
            name: getattr(contract.clause, name)[-1:] for name in ("contribution", "cap", "guarantee")
        } | {
            "kind": "count",
            "counts": contract.clause.counts[-1:],
        }
    if not changed:
        return
    forged = dataclasses.replace(contract, clause=dataclasses.replace(contract.clause, **changed))
    assert not verify(forged).holds
    assert all("\n" not in line for line in verify(forged).violations)


def test_prices_prove_no_more_than_they_can():
    contract = designed(THREE, assurance="count", preference_margin=0.02)
    proved = verify(contract)
    for launch in (None, np.ones((2, 3)), np.full((1, 3), np.nan), -np.ones((1, 3))):
        forged = dataclasses.replace(contract, proof=dataclasses.replace(contract.proof, launch=launch))
        found = verify(forged)
        assert found.holds
        assert not found.optimal
        assert found.gap is None
    wild = dataclasses.replace(contract, proof=dataclasses.replace(contract.proof, launch=np.full((1, 3), 5.0)))
    assert verify(wild).gap >= proved.gap
    lower = dataclasses.replace(contract, objective=contract.objective + 0.01)
    assert not verify(lower).holds


def test_a_worse_insured_menu_is_no_optimum():
    good = designed(THREE, assurance="count", preference_margin=0.02, participation_margin=0.02)
    # A menu made for wider margins keeps these, and its own prices leave open how much is lost.
    wide = designed(THREE, assurance="count", preference_margin=1.0, participation_margin=1.0)
    worse = dataclasses.replace(wide, problem=good.problem)
    certificate = verify(worse)
    lost = good.objective - wide.objective
    assert lost > 0.05
    assert certificate.gap is None or not certificate.holds or certificate.gap >= lost - 1e-6


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"menu": Menu(assurance="count", lot=1.0)}, "a launch clause and lots or a limit of options"),
        ({"menu": Menu(assurance="cut"), "belief": "ex-ante"}, "a cut clause and the ex-ante belief"),
    ],
)
def test_what_does_not_go_together(change, said):
    with pytest.raises(InvalidInput, match=said):
        dataclasses.replace(problem(*TWO), **change)
    with pytest.raises(InvalidInput, match="assurance = 'lottery'"):
        Menu(assurance="lottery")


def test_outside_options_joining_costs_and_qualities():
    population = Population(costs=[0.02, 0.012], probabilities=[0.5, 0.5], participants=8, qualities=[0.8, 1.0])
    stated = Problem(
        population=population,
        accuracy=PowerLaw(optimum=0.95, coefficient=2.0, exponent=0.5),
        valuation=LinearValuation(scale=[90.0, 110.0]),
        outside=Outside(utility=[10.0, 20.0], joining_cost=0.5),
        baseline=0.1,
        menu=Menu(assurance="count", participation_margin=0.1, preference_margin=0.1),
    )
    contract = design_contract(stated)
    certificate = verify(contract)
    assert certificate.holds
    assert certificate.optimal
    settled = contract.settle([4, 4])
    assert np.allclose(settled.utility, contract.guarantee)
    assert (settled.utility >= np.array([10.1, 20.1]) - 1e-7).all()
    assert "deliver" in agreement(contract)


def test_batches_and_bad_signatures():
    stated = problem(*TWO, assurance="count")
    (found,) = design_contracts([stated])
    assert found.clause.kind == "count"
    with pytest.raises(InvalidInput, match="at most 10 signatures"):
        found.settle([9, 9])
    with pytest.raises(InvalidInput, match="expected 'capped'"):
        found.settle([5, 5], "lottery", seed=1)
    with pytest.raises(InvalidInput, match="without a launch clause"):
        verify(found, rigorous=True)
    with pytest.raises(InvalidInput, match="an insured menu and types that all act alike"):
        problem([0.02, 0.02], [0.5, 0.5], assurance="count")
    with pytest.raises(Infeasible, match="no insured menu covers"):
        designed(THREE, 2, assurance="table", participation_margin=30.0)


def test_the_words():
    count = agreement(designed(THREE, assurance="count"))
    assert "If fewer than 4 sign, all are released" in count
    assert "deliver equal amounts M" in count
    table = agreement(designed(TWO, assurance="table"))
    assert "With 2 signatures" in table
    assert "If fewer than 2 sign" in table
    assert "Contributions are cut" in agreement(designed(TWO, assurance="cut"))


def test_the_least_stated_for_the_top_option_is_no_more_than_it_delivers():
    contract = designed(TWO, assurance="count")
    assert verify(contract).holds
    for times in (10.0, 1e300):
        more = contract.clause.contribution.copy()
        more[:, -1] *= times
        forged = dataclasses.replace(contract, clause=dataclasses.replace(contract.clause, contribution=more))
        assert not verify(forged).holds, times
