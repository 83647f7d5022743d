"""Verified quality: what holds in the worst case, and what a shader gains."""

import dataclasses

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from contracts import (
    Infeasible,
    InvalidInput,
    LinearValuation,
    Population,
    PowerLaw,
    design_contract,
    design_contracts,
    verify,
)
from contracts.extensions.quality import QualityProblem, undetected_share
from contracts.problem.outcomes import total_data
from contracts.testing import problems
from mechanisms.verification import accept, estimate_types, hoeffding_radius

CURVE = PowerLaw(optimum=0.95, coefficient=1.0, exponent=0.5)


def stated(costs=(0.3, 0.2, 0.1), qualities=(1.0, 0.5, 0.8), participants=10, **other):
    return QualityProblem(
        population=Population(
            costs=list(costs), probabilities=[1 / len(costs)] * len(costs), participants=participants
        ),
        qualities=qualities,
        **{"accuracy": CURVE, "valuation": LinearValuation(scale=100.0), **other},
    )


def like(problem, qualities, radius):
    return QualityProblem(
        population=problem.population,
        qualities=qualities,
        accuracy=problem.accuracy,
        valuation=problem.valuation,
        belief=problem.belief,
        maximise=problem.maximise,
        radius=radius,
    )


@pytest.mark.slow
@settings(max_examples=4)
@given(problems(types=(1, 4), participants=(2, 200), families=("power-law", "generalization-bound")))
def test_perfect_quality_perfectly_verified_is_the_base_problem(problem):
    base, contract = (
        design_contract(problem),
        design_contract(like(problem, [1.0] * problem.population.types, 0.0)),
    )
    assert contract.objective == base.objective
    assert np.array_equal(contract.contribution, base.contribution)
    assert verify(contract).holds == verify(base).holds
    assert contract.shading_gain.max() <= 1e-8 * problem.largest_value


@settings(max_examples=5)
@given(
    problems(types=(1, 4), participants=(3, 30), families=("power-law", "generalization-bound")),
    st.lists(st.floats(0.2, 1.0), min_size=4, max_size=4),
    st.floats(0.0, 0.3),
    st.lists(st.floats(0.0, 1.0), min_size=4, max_size=4),
)
def test_promises_hold_however_participants_shade(problem, qualities, radius, shades):
    """Whatever share each leaves out undetected, and whichever option it then likes best."""
    types = problem.population.types
    problem = dataclasses.replace(problem, belief="interim")
    try:
        contract = design_contract(like(problem, qualities[:types], radius))
    except Infeasible:
        assume(False)
        raise
    certificate = verify(contract)
    assert certificate.holds, certificate
    top, paid = problem.largest_value, contract.problem.honest().population.costs
    left_out = radius * np.array(shades[:types])
    t, m = contract.expected_reward, contract.contribution
    utility = t - np.multiply.outer(paid * (1.0 - left_out), m)
    # Incentives bind: between equals, to rounding, everybody takes its own option.
    chosen = (utility + 1e-9 * top * np.eye(types)).argmax(axis=1)
    gained = utility.max(axis=1) - (t - paid * m)
    assert (gained >= left_out * paid * m - 1e-9 * top).all()
    assert (gained <= contract.shading_gain + 1e-9 * top).all()
    assert (contract.shading_gain <= radius * paid * m.max() + 1e-9 * top).all()
    delivered = (1.0 - left_out) * m[chosen]
    assert (delivered >= contract.least_delivered * (1.0 - 1e-6) - 1e-6).all()
    p, n = problem.population.probabilities, problem.population.participants
    others = total_data(delivered, p, n - 1)
    for i in range(types):
        offered = others.shifted(float(delivered[i])).expectation(problem.value)
        assert offered >= t[chosen[i]] - 1e-6 * top


def test_more_radius_never_helps_and_more_quality_never_hurts():
    reached = [design_contract(stated(radius=radius)).objective for radius in (0.0, 1e-6, 0.05, 0.2)]
    assert (np.diff(reached) <= 1e-7).all()
    assert reached[1] == pytest.approx(reached[0], abs=1e-3)
    better = design_contract(stated(qualities=(1.0, 0.6, 0.9)))
    assert better.objective >= reached[0]


@settings(max_examples=4)
@given(st.floats(0.3, 1.0))
def test_dearer_and_better_in_proportion_is_the_same(factor):
    first = design_contract(stated([0.3, 0.2], [1.0, 1.0], radius=0.1))
    second = design_contract(stated([0.3 * factor, 0.2], [factor, 1.0], radius=0.1))
    assert second.contribution == pytest.approx(first.contribution, rel=1e-5)
    assert second.raw_contribution == pytest.approx(first.raw_contribution / [factor, 1.0], rel=1e-5)
    assert second.objective == pytest.approx(first.objective, abs=1e-8)


@pytest.mark.parametrize("belief", ["interim", "ex-ante"])
@pytest.mark.parametrize("solver", ["interior-point", "conic"])
def test_both_solvers_agree_in_the_worst_case(belief, solver):
    contract = design_contract(stated([0.3, 0.1], [1.0, 0.6], 4, belief=belief, radius=0.1), solver=solver)
    default = design_contract(stated([0.3, 0.1], [1.0, 0.6], 4, belief=belief, radius=0.1))
    assert contract.objective == pytest.approx(default.objective, abs=2e-4)
    certificate = verify(contract)
    assert certificate.holds, certificate
    assert certificate.extended["expected value if all are honest"] > contract.objective


def test_settling_takes_what_was_delivered():
    contract = design_contract(stated(radius=0.1))
    honest, shaded = contract.settle([3, 3, 4]), contract.settle([3, 3, 4], delivered=[1.0, 0.9, 1.0])
    assert honest.total_data > shaded.total_data
    assert honest.total_data == pytest.approx([3, 3, 4] @ contract.contribution)
    assert (shaded.accuracy <= shaded.trained_accuracy).all()
    costs = np.array([0.3, 0.2, 0.1]) * contract.raw_contribution
    assert honest.utility == pytest.approx(honest.value - costs)
    assert shaded.utility == pytest.approx(shaded.value - costs * [1.0, 0.9, 1.0])
    with pytest.raises(InvalidInput, match=r"delivered\[1\] = 0.5"):
        contract.settle([3, 3, 4], delivered=[1.0, 0.5, 1.0])


def test_the_contract_pays_what_it_promises_though_all_shade():
    """By drawing participants: the mean of capped rewards is what was promised."""
    rng = np.random.default_rng(1)
    contract = design_contract(stated(radius=0.15))
    rewards, p = contract.rewards("capped"), contract.problem.population.probabilities
    others = rng.multinomial(9, p, size=20_000) @ contract.least_delivered
    for i in range(3):
        trained = contract.problem.honest().value(others + contract.least_delivered[i])
        received = np.minimum(trained, rewards.levels[i])
        error = received.std() / np.sqrt(received.size) + 1e-9
        assert abs(received.mean() - contract.expected_reward[i]) < 5 * error


def test_batches_take_exact_verification_and_say_so_otherwise():
    exact = [stated(participants=n) for n in (5, 10)]
    for problem, contract in zip(exact, design_contracts(exact), strict=True):
        assert contract.objective == pytest.approx(design_contract(problem).objective, abs=1e-8)
    with pytest.raises(InvalidInput, match=r"radius = 0\.1: such a problem is no base problem"):
        design_contracts([stated(radius=0.1)])


def test_what_is_changed_is_named():
    contract = design_contract(stated(radius=0.1))
    menu = contract.menu
    for change, word in [
        ({"problem": dataclasses.replace(contract.problem, radius=0.12)}, "individual rationality"),
        (
            {"problem": dataclasses.replace(contract.problem, qualities=[0.9, 0.5, 0.8])},
            "reservation utility",
        ),
        ({"menu": dataclasses.replace(menu, expected_reward=menu.expected_reward + 3.0)}, "feasibility"),
        ({"menu": dataclasses.replace(menu, expected_reward=menu.expected_reward - 0.1)}, "individual"),
    ]:
        certificate = verify(dataclasses.replace(contract, **change))
        assert not certificate.holds
        assert any(sentence.startswith(word) for sentence in certificate.violations), certificate.violations


def test_a_low_confidence_is_reported():
    certificate = verify(design_contract(stated(radius=0.1, confidence=0.9)))
    assert certificate.holds
    assert certificate.extended["least gain over staying alone at this confidence"] < 0.0
    sure = verify(design_contract(stated(radius=0.1)))
    assert sure.extended["least gain over staying alone at this confidence"] > -1e-7


def test_too_much_may_be_missing():
    with pytest.raises(Infeasible, match=r"radius = 0\.9"):
        design_contract(stated([0.02, 0.01], [1.0, 1.0], 2, radius=0.9))
    nothing = design_contract(stated([900.0, 800.0], [1.0, 1.0], 2, radius=0.1))
    assert nothing.objective == 0.0
    assert verify(nothing).holds


@settings(max_examples=30)
@given(st.lists(st.floats(0.0, 0.6), min_size=2, max_size=4), st.integers(0, 2**31))
def test_the_estimate_of_verification_supplies_the_radius(discrepancies, seed):
    """Within the radius of the estimates the honest pass, and what passes is short by the share at most."""
    rng, samples = np.random.default_rng(seed), 4000
    truth = np.array(discrepancies)
    losses = [rng.random(samples) < 0.05 + theta for theta in truth]
    target = (rng.random(samples) < 0.05).astype(float)
    found = estimate_types([x.astype(float) for x in losses], target, confidence=0.99)
    radius = hoeffding_radius(samples=samples, agents=truth.size, confidence=0.99)
    assume((np.abs(found.estimates - truth) <= radius).all())
    assert accept(truth, found.estimates, radius).all()
    for share_claimed in np.linspace(0.0, 1.0, 21):
        claims = truth * share_claimed  # a better quality than the true one
        passed = accept(claims, found.estimates, radius)
        quality, claimed = 1.0 - truth, 1.0 - claims
        short = 1.0 - quality / claimed
        assert (short[passed] <= undetected_share(claimed, radius) + 1e-12).all()


def test_bad_input_is_named():
    for call, words in [
        (lambda: stated(radius=1.0), "radius = 1"),
        (lambda: stated(radius=-0.1), "radius = -0.1"),
        (lambda: stated(confidence=0.0), "confidence = 0"),
        (lambda: stated(qualities=(1.0, 0.0, 0.5)), r"qualities\[1\] = 0"),
        (lambda: stated(qualities=(1.0, 1.5, 0.5)), r"qualities\[1\] = 1.5"),
        (lambda: stated(qualities=(1.0, 0.5)), "qualities"),
        (lambda: stated(qualities=(1.0, float("nan"), 0.5)), r"qualities\[1\] = nan"),
        (lambda: undetected_share([0.5], -1.0), "radius = -1"),
        (lambda: design_contract(stated(radius=0.1), solver="magic"), "solver"),
    ]:
        with pytest.raises(InvalidInput, match=words):
            call()


@pytest.mark.parametrize("number", [-5.0, np.nan, np.inf])
def test_contributions_that_are_no_amounts_are_named(number):
    contract = design_contract(stated())
    data = contract.contribution.copy()
    data[1] = number
    certificate = verify(
        dataclasses.replace(contract, menu=dataclasses.replace(contract.menu, contribution=data))
    )
    assert not certificate.holds
    assert any(
        text.startswith("contribution: ") and f"{number:g} data" in text for text in certificate.violations
    )
