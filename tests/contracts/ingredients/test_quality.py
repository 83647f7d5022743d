"""Quality and what may be missing of it undetected: what holds in the worst case, and what a shader gains."""

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
    Problem,
    design_contract,
    design_contracts,
    undetected_share,
    verify,
)
from contracts.problem.outcomes import total_data
from contracts.testing import problems
from mechanisms.radius import hoeffding_radius
from mechanisms.verification import accept, estimate_types

CURVE = PowerLaw(optimum=0.95, coefficient=1.0, exponent=0.5)


def stated(costs=(0.3, 0.2, 0.1), qualities=(1.0, 0.5, 0.8), participants=10, shading=0.0, **other):
    return Problem(
        population=Population(
            costs=list(costs),
            probabilities=[1 / len(costs)] * len(costs),
            participants=participants,
            qualities=qualities,
            shading=shading,
        ),
        accuracy=CURVE,
        valuation=LinearValuation(scale=100.0),
        **other,
    )


def of_quality(problem, qualities, shading):
    population = dataclasses.replace(problem.population, qualities=qualities, shading=shading)
    return dataclasses.replace(problem, population=population)


@pytest.mark.slow
@settings(max_examples=4)
@given(problems(types=(1, 4), participants=(2, 200), families=("power-law", "generalization-bound")))
def test_perfect_quality_perfectly_verified_is_the_plain_problem(problem):
    base, contract = (
        design_contract(problem, time_limit=0.0),
        design_contract(of_quality(problem, [1.0] * problem.population.types, 0.0), time_limit=0.0),
    )
    assert contract.objective == base.objective
    assert np.array_equal(contract.contribution, base.contribution)
    assert verify(contract).holds == verify(base).holds


# Share that may be missing -> expected value, raw contributions; by the class that this ingredient replaced.
REFERENCE = {
    0.0: (91.1052728785, [49.4220094, 98.8440188, 126.1448326]),
    0.05: (90.9959497957, [49.1253382, 98.2506763, 125.9018314]),
    0.2: (90.6044685671, [48.0637999, 96.1276000, 125.0326307]),
}


@pytest.mark.parametrize("shading", REFERENCE)
def test_the_same_optimum_as_before(shading):
    contract = design_contract(stated(shading=shading))
    value, raw = REFERENCE[shading]
    assert contract.objective == pytest.approx(value, rel=1e-9)
    assert contract.contribution == pytest.approx(raw, rel=1e-6)
    certificate = verify(contract)
    assert certificate.holds, certificate
    assert certificate.as_solved_gap < 1e-7
    assert any("withholds" in text for text in certificate.about) == (shading > 0.0)


@settings(max_examples=5)
@given(
    problems(types=(1, 4), participants=(3, 30), families=("power-law", "generalization-bound")),
    st.lists(st.floats(0.2, 1.0), min_size=4, max_size=4),
    st.floats(0.0, 0.3),
    st.lists(st.floats(0.0, 1.0), min_size=4, max_size=4),
)
def test_promises_hold_however_participants_shade(problem, qualities, shading, shades):
    """Whatever share each leaves out undetected, and whichever option it then likes best."""
    types = problem.population.types
    problem = dataclasses.replace(problem, belief="interim")
    try:
        contract = design_contract(of_quality(problem, qualities[:types], shading), time_limit=0.0)
    except Infeasible:
        assume(False)
        raise
    certificate = verify(contract)
    assert certificate.holds, certificate
    top, costs, quality = problem.largest_value, problem.population.costs, np.array(qualities[:types])
    left_out = shading * np.array(shades[:types])
    t, m = contract.expected_reward, contract.contribution
    asked = quality * m  # effective data that an option asks for
    paid = costs / quality
    utility = t - np.multiply.outer(paid * (1.0 - left_out), asked)
    # Incentives bind: between equals, to rounding, everybody takes its own option.
    chosen = (utility + 1e-9 * top * np.eye(types)).argmax(axis=1)
    gained = utility.max(axis=1) - (t - costs * m)
    assert (gained >= left_out * costs * m - 1e-9 * top).all()
    assert (gained <= shading * paid * asked.max() + 1e-9 * top).all()
    delivered = (1.0 - left_out) * asked[chosen]
    assert (delivered >= (1.0 - shading) * asked * (1.0 - 1e-6) - 1e-6).all()
    p, n = problem.population.probabilities, problem.population.participants
    others = total_data(delivered, p, n - 1)
    for i in range(types):
        offered = others.shifted(float(delivered[i])).expectation(problem.value)
        assert offered >= t[chosen[i]] - 1e-6 * top


def test_more_shading_never_helps_and_more_quality_never_hurts():
    reached = [design_contract(stated(shading=shading)).objective for shading in (0.0, 1e-6, 0.05, 0.2)]
    assert (np.diff(reached) <= 1e-7).all()
    assert reached[1] == pytest.approx(reached[0], abs=1e-3)
    better = design_contract(stated(qualities=(1.0, 0.6, 0.9)))
    assert better.objective == pytest.approx(91.3156461133, rel=1e-9)
    assert better.objective >= reached[0]


@settings(max_examples=4)
@given(st.floats(0.3, 1.0))
def test_dearer_and_better_in_proportion_is_the_same(factor):
    first = design_contract(stated([0.3, 0.2], [1.0, 1.0], shading=0.1))
    second = design_contract(stated([0.3 * factor, 0.2], [factor, 1.0], shading=0.1))
    assert second.contribution * [factor, 1.0] == pytest.approx(first.contribution, rel=1e-5)
    assert second.objective == pytest.approx(first.objective, abs=1e-8)
    assert second.expected_reward == pytest.approx(first.expected_reward, rel=1e-7)


@pytest.mark.parametrize(
    ("belief", "shading", "value"),
    [("interim", 0.1, 88.6930596), ("ex-ante", 0.0, 89.0697938)],
    ids=["interim", "ex-ante"],
)
def test_both_solvers_agree(belief, shading, value):
    problem = stated([0.3, 0.1], [1.0, 0.6], 4, belief=belief, shading=shading)
    default, conic = design_contract(problem), design_contract(problem, solver="conic")
    assert conic.objective == pytest.approx(default.objective, abs=2e-4)
    assert default.objective == pytest.approx(value, abs=1e-6)
    assert verify(default).holds
    assert verify(conic).holds


def test_settling_takes_what_was_delivered():
    contract = design_contract(stated(shading=0.1))
    honest, shaded = contract.settle([3, 3, 4]), contract.settle([3, 3, 4], delivered=[1.0, 0.9, 1.0])
    assert honest.total_data > shaded.total_data
    assert honest.total_data == pytest.approx([3, 3, 4] @ (contract.contribution * [1.0, 0.5, 0.8]))
    assert (shaded.accuracy <= shaded.trained_accuracy).all()
    costs = np.array([0.3, 0.2, 0.1]) * contract.contribution
    assert honest.utility == pytest.approx(honest.value - costs)
    assert shaded.utility == pytest.approx(shaded.value - costs * [1.0, 0.9, 1.0])
    with pytest.raises(InvalidInput, match=r"delivered\[1\] = 0.5"):
        contract.settle([3, 3, 4], delivered=[1.0, 0.5, 1.0])


def test_the_contract_pays_what_it_promises_though_all_shade():
    """By drawing participants: the mean of capped rewards is what was promised."""
    rng = np.random.default_rng(1)
    contract = design_contract(stated(shading=0.15))
    rewards, p = contract.rewards("capped"), contract.problem.population.probabilities
    least = 0.85 * contract.contribution * [1.0, 0.5, 0.8]
    others = rng.multinomial(9, p, size=20_000) @ least
    for i in range(3):
        trained = contract.problem.value(others + least[i])
        received = np.minimum(trained, rewards.levels[i])
        error = received.std() / np.sqrt(received.size) + 1e-9
        assert abs(received.mean() - contract.expected_reward[i]) < 5 * error


def test_batches_take_qualities(build):
    different = [stated(participants=n, shading=shading) for n, shading in ((5, 0.0), (10, 0.1))]
    together = design_contracts([*different, build([0.2, 0.1], 10)])
    for problem, contract in zip(different, together, strict=False):
        assert contract.objective == pytest.approx(design_contract(problem).objective, abs=1e-8)
        assert verify(contract).holds


def test_what_is_changed_is_named():
    contract = design_contract(stated(shading=0.1))
    reward = contract.expected_reward
    for change, word in [
        ({"problem": of_quality(contract.problem, [1.0, 0.5, 0.8], 0.12)}, "feasibility"),
        ({"problem": of_quality(contract.problem, [0.9, 0.5, 0.8], 0.1)}, "reservation utility"),
        ({"expected_reward": reward + 3.0}, "feasibility"),
        ({"expected_reward": reward - 0.1}, "individual"),
        ({"expected_reward": reward * [1.0, 1.01, 1.0]}, "incentive"),
        ({"objective": contract.objective + 1e-3}, "objective"),
    ]:
        certificate = verify(dataclasses.replace(contract, **change))
        assert not certificate.holds
        assert any(sentence.startswith(word) for sentence in certificate.violations), certificate.violations


def test_too_much_may_be_missing():
    with pytest.raises(Infeasible, match=r"type 2 cannot be given what is due to it"):
        design_contract(stated([0.02, 0.01], [1.0, 1.0], 2, shading=0.9))
    nothing = design_contract(stated([900.0, 800.0], [1.0, 1.0], 2, shading=0.1))
    assert nothing.objective == 0.0
    assert verify(nothing).holds


@settings(max_examples=30)
@given(st.lists(st.floats(0.0, 0.6), min_size=2, max_size=4), st.integers(0, 2**31))
def test_the_estimate_of_verification_supplies_the_share(discrepancies, seed):
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
        (lambda: stated(shading=1.0), "shading = 1"),
        (lambda: stated(shading=-0.1), "shading = -0.1"),
        (lambda: stated(qualities=(1.0, 0.0, 0.5)), r"qualities\[1\] = 0"),
        (lambda: stated(qualities=(1.0, 1.5, 0.5)), r"qualities\[1\] = 1.5"),
        (lambda: stated(qualities=(1.0, 0.5)), "qualities"),
        (lambda: stated(qualities=(1.0, float("nan"), 0.5)), r"qualities\[1\] = nan"),
        (lambda: stated(shading=0.1, belief="ex-ante"), "ex-ante belief and shading do not go together"),
        (lambda: undetected_share([0.5], -1.0), "radius = -1"),
        (lambda: design_contract(stated(shading=0.1), solver="magic"), "solver"),
    ]:
        with pytest.raises(InvalidInput, match=words):
            call()


@pytest.mark.parametrize("number", [-5.0, np.nan, np.inf])
def test_contributions_that_are_no_amounts_are_named(number):
    contract = design_contract(stated())
    data = contract.contribution.copy()
    data[1] = number
    certificate = verify(dataclasses.replace(contract, contribution=data))
    assert not certificate.holds
    assert any(
        text.startswith("contribution: ") and f"{number:g} data" in text for text in certificate.violations
    )
