"""Logit choice: limits, every participant's choice enumerated, and margins that make choices right."""

import dataclasses
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts import Infeasible, InvalidInput, LinearValuation, Menu, PowerLaw, Welfare, design_contract, verify
from contracts.contract.choice import choose, design_for_choice, sufficient_margin
from contracts.testing import contracts, example_contract

CURVE = PowerLaw(optimum=0.95, coefficient=1.0, exponent=0.5)
COSTS = [0.5, 0.2, 0.05]


def with_margins(problem, margin):
    menu = Menu(participation_margin=margin, preference_margin=margin)
    return dataclasses.replace(problem, menu=menu)


def strict(build, margin=1.0, **other):
    return design_contract(with_margins(build(COSTS, 10, accuracy=CURVE, **other), margin))


@pytest.mark.parametrize("belief", ["interim", "ex-ante"])
def test_with_margins_the_rational_take_their_own(build, belief):
    contract = strict(build, belief=belief)
    choice = choose(contract, scale=1e-3)
    assert choice.right == pytest.approx(np.ones(3), abs=1e-12)
    assert choice.expected_accuracy == pytest.approx(contract.expected_accuracy, abs=1e-9)
    assert not choice.violations
    if belief == "interim":
        slack = verify(contract).feasibility_slack
        assert choice.feasibility_slack[choice.own] == pytest.approx(slack, abs=1e-6)


def test_without_margins_the_rational_are_torn(build):
    contract = design_contract(build(COSTS, 10, accuracy=CURVE))
    assert choose(contract, scale=1e-6).right.min() <= 0.5


def test_who_does_not_care_chooses_anything(build):
    choice = choose(strict(build), scale=1e9)
    everything = 1.0 / (choice.contribution.size + 1)
    assert choice.probabilities == pytest.approx(np.full_like(choice.probabilities, everything), abs=1e-6)
    assert choice.staying_out == pytest.approx(np.full(3, everything), abs=1e-6)


@settings(max_examples=6)
@given(contracts(types=(1, 4), participants=(2, 50), families=("power-law",)), st.floats(1e-3, 50.0))
def test_probabilities_are_probabilities_and_the_better_is_likelier(contract, scale):
    choice = choose(contract, scale=scale)
    total = choice.probabilities.sum(axis=1) + choice.staying_out
    assert total == pytest.approx(np.ones(total.size), abs=1e-12)
    costs = contract.problem.population.costs
    utility = choice.expected_reward - np.multiply.outer(costs, choice.contribution)
    for i in range(costs.size):
        assert (np.diff(choice.probabilities[i][np.argsort(utility[i])]) >= -1e-12).all()
    assert choice.option_probabilities == pytest.approx(
        contract.problem.population.probabilities @ choice.probabilities, abs=1e-12
    )


@pytest.mark.parametrize("scale", [0.3, 3.0, 30.0])
def test_listing_every_participants_type_and_choice_gives_the_same(build, scale):
    problem = build([0.3, 0.1], 3, accuracy=CURVE, probabilities=[0.4, 0.6])
    contract = design_contract(problem)
    choice = choose(contract, scale=scale)
    p = problem.population.probabilities
    data = np.append(choice.contribution, 0.0)
    each = np.column_stack([choice.probabilities, choice.staying_out])
    moves = [(p[i] * each[i, j], data[j]) for i in range(2) for j in range(data.size)]
    accuracy = sum(
        np.prod([chance for chance, _ in all_three]) * problem.accuracy(sum(amount for _, amount in all_three))
        for all_three in itertools.product(moves, repeat=3)
    )
    assert choice.expected_accuracy == pytest.approx(float(accuracy), abs=1e-12)
    for j, amount in enumerate(choice.contribution):
        offered = sum(
            a * b * problem.value(x + y + amount) for (a, x), (b, y) in itertools.product(moves, repeat=2)
        )
        assert choice.largest_reward[j] == pytest.approx(float(offered), abs=1e-9)


def test_what_cannot_be_kept_is_named(build):
    choice = choose(design_contract(build(COSTS, 10, accuracy=CURVE)), scale=5.0)
    assert choice.staying_out.max() > 0.01
    assert (choice.feasibility_slack < 0.0).any()
    assert any(sentence.startswith("feasibility: whoever takes the option of") for sentence in choice.violations)
    assert "feasibility" in str(choice)


def test_options_that_do_not_differ_count_once(build):
    twice = build([0.5, 0.2, 0.05, 0.2], 10, accuracy=CURVE, probabilities=[0.3, 0.2, 0.3, 0.2])
    once = build([0.5, 0.2, 0.05], 10, accuracy=CURVE, probabilities=[0.3, 0.4, 0.3])
    first, second = (choose(design_contract(problem), scale=2.0) for problem in (twice, once))
    assert first.contribution == pytest.approx(second.contribution, rel=1e-6)
    assert first.expected_accuracy == pytest.approx(second.expected_accuracy, abs=1e-9)
    assert np.array_equal(first.own, second.own[[0, 1, 2, 1]])


@settings(max_examples=4)
@given(st.floats(0.3, 0.95), st.floats(0.05, 1.0))
def test_the_sufficient_margin_suffices(share, scale):
    problem = dataclasses.replace(
        example_contract().problem, accuracy=CURVE, valuation=LinearValuation(scale=300.0)
    )
    margin = sufficient_margin(share, scale=scale, options=5)
    assert choose(design_contract(with_margins(problem, margin)), scale=scale).right.min() >= share - 1e-9


@pytest.mark.slow
def test_the_least_margin_for_a_share_is_found_and_no_larger(build):
    problem = build(COSTS, 10, accuracy=CURVE)
    contract, choice = design_for_choice(problem, share=0.8, scale=0.5)
    assert choice.right.min() >= 0.8
    assert verify(contract).holds
    margin = contract.problem.menu.preference_margin
    assert 0.0 < margin <= sufficient_margin(0.8, scale=0.5, options=3)
    assert choose(design_contract(with_margins(problem, 0.9 * margin)), scale=0.5).right.min() < 0.8
    with pytest.raises(Infeasible, match=r"share = 0\.999"):
        design_for_choice(problem, share=0.999, scale=1000.0)


def test_everybody_errs_in_its_own_units(build):
    problem = build(COSTS, 10, accuracy=CURVE)
    base = choose(design_contract(problem), scale=1.0)
    same = dataclasses.replace(problem, valuation=LinearValuation(scale=[100.0, 100.0, 100.0]))
    assert choose(design_contract(same), scale=1.0).expected_accuracy == base.expected_accuracy
    doubled = dataclasses.replace(
        problem,
        population=dataclasses.replace(problem.population, costs=np.array(COSTS) * [2.0, 1.0, 1.0]),
        valuation=LinearValuation(scale=[200.0, 100.0, 100.0]),
    )
    surer = choose(design_contract(doubled), scale=1.0)
    # In its own, doubled units the first type errs half as much.
    assert surer.right[0] == pytest.approx(choose(design_contract(problem), scale=0.5).right[0], rel=1e-5)
    assert surer.right[1] == pytest.approx(base.right[1], rel=1e-5)
    fair = design_contract(dataclasses.replace(problem, objective=Welfare()))
    assert choose(fair, scale=1.0).staying_out.max() < base.staying_out.max()


def test_bad_input_is_named(build):
    contract = example_contract()
    for call, words in [
        (lambda: choose(contract, scale=0.0), "scale = 0"),
        (lambda: choose(contract, scale=float("inf")), "scale = inf"),
        (lambda: choose("menu", scale=1.0), "contract = 'menu'"),
        (lambda: sufficient_margin(1.0, scale=1.0, options=2), "share = 1"),
        (lambda: sufficient_margin(0.5, scale=-1.0, options=2), "scale = -1"),
        (lambda: sufficient_margin(0.5, scale=1.0, options=0), "options = 0"),
        (lambda: design_for_choice("p", share=0.5, scale=1.0), "problem = 'p'"),
    ]:
        with pytest.raises(InvalidInput, match=words):
            call()
