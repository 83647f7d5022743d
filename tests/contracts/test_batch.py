"""Batched answers are the single ones: in any order, any padding, any mix of problems."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts import (
    Arctan,
    Contract,
    Exponential,
    GeneralizationBound,
    InvalidInput,
    LinearValuation,
    LogarithmicValuation,
    MonotoneTabulated,
    Population,
    PowerLaw,
    Problem,
    design_contract,
    verify,
)
from contracts.contract.batch import attempt_contracts, design_contracts, unstack
from contracts.contract.full_information import full_information, full_informations
from contracts.problem.reservation import reservation, reservations
from contracts.program.batch_solver import solve_programs
from contracts.program.first_moment import exclude, moments, prepare, unfold
from contracts.program.interior_point import solve

CURVES = (GeneralizationBound(), PowerLaw(optimum=0.95, coefficient=2.0, exponent=0.5), Exponential(rate=1e-4))
VALUATIONS = (LinearValuation(scale=100.0), LogarithmicValuation(scale=60.0, sensitivity=2.0))


@st.composite
def problems(draw):
    types = draw(st.sampled_from([1, 2, 3, 4]))
    costs = draw(st.lists(st.floats(0.005, 0.5), min_size=types, max_size=types))
    shares = np.array(draw(st.lists(st.floats(0.05, 1.0), min_size=types, max_size=types)))
    return Problem(
        population=Population(
            costs=costs, probabilities=shares / shares.sum(), participants=draw(st.integers(2, 200))
        ),
        accuracy=draw(st.sampled_from(CURVES)),
        valuation=draw(st.sampled_from(VALUATIONS)),
        belief=draw(st.sampled_from(["interim", "ex-ante"])),
    )


def two_types(participants=10, share=0.5, **options):
    return Problem(
        population=Population(costs=[0.02, 0.01], probabilities=[share, 1 - share], participants=participants),
        accuracy=options.pop("accuracy", CURVES[0]),
        valuation=options.pop("valuation", VALUATIONS[0]),
        **options,
    )


def assert_same(batched, single):
    """Objectives and promises agree to 1e-9 of the largest value; contributions by what they cost."""
    tolerance = 1e-9 * single.problem.largest_value
    assert abs(batched.objective - single.objective) <= tolerance
    assert abs(batched.expected_accuracy - single.expected_accuracy) <= 1e-9
    np.testing.assert_allclose(batched.reservation_utility, single.reservation_utility, atol=tolerance)
    assert batched.provenance.excluded == single.provenance.excluded
    # Only a single design searches all contracts where cheaper bounds prove nothing.
    assert batched.reason.partition(" (")[0] == single.reason.partition(" (")[0]


@pytest.mark.slow
@given(st.lists(problems(), min_size=1, max_size=4), st.randoms(use_true_random=False))
@settings(max_examples=12)
def test_batched_answers_are_the_single_ones_in_any_order(stated, random):
    order = list(range(len(stated)))
    random.shuffle(order)
    answers = attempt_contracts([stated[k] for k in order])
    for k, batched in zip(order, answers, strict=True):
        assert isinstance(batched, Contract)
        single = design_contract(stated[k])
        assert_same(batched, single)
        assert verify(batched).holds == verify(single).holds


@pytest.mark.slow
@given(problems(), st.sampled_from([(4, 64), (8, 64)]))
@settings(max_examples=15)
def test_what_is_solved_with_padding_is_solved_alike(problem, shape):
    types, terms = shape
    program = prepare(problem).program
    single = solve(program, problem.belief)
    (padded,) = solve_programs([program], problem.belief, types=types, terms=terms)
    assert padded.gaps.shape == single.gaps.shape
    assert padded.multipliers.shape == single.multipliers.shape
    # Programs that barely have a solution may be missed with padding: the batch then asks the single solver.
    if padded.error <= 1e-14 and single.error <= 1e-14:
        losses = [
            moments(program, unfold(program, x, np)[0], problem.belief, np).target_loss
            for x in (padded.gaps, single.gaps)
        ]
        assert losses[0] == pytest.approx(losses[1], abs=1e-12)


@pytest.mark.parametrize("types", [2, 4, pytest.param(8, marks=pytest.mark.slow)])
def test_ordinary_programs_are_solved_with_any_padding(types):
    stated = [two_types(n, share) for n in (2, 10, 100) for share in (0.1, 0.9)]
    programs = [prepare(problem).program for problem in stated]
    for program, padded in zip(programs, solve_programs(programs, "interim", types=types), strict=True):
        single = solve(program, "interim")
        assert padded.error <= 1e-15
        np.testing.assert_allclose(padded.gaps, single.gaps, atol=1e-9)


def test_excluded_types_stay_excluded_in_a_padded_batch():
    problem = Problem(
        population=Population(costs=[2.0, 0.4], probabilities=[0.5, 0.5], participants=6),
        accuracy=GeneralizationBound(),
        valuation=LinearValuation(scale=100.0),
    )
    program = exclude(prepare(problem).program, 1, "interim")
    (padded,) = solve_programs([program], "interim", types=4)
    np.testing.assert_allclose(padded.gaps, solve(program, "interim").gaps, atol=1e-9)
    (contract,) = design_contracts([problem])
    assert contract.provenance.excluded == 1
    assert contract.objective == pytest.approx(60.28597, abs=1e-5)


@pytest.mark.slow
def test_reference_values_of_the_papers_scenarios():
    costs = ([0.2, 0.16, 0.12, 0.08, 0.04], [1, 0.85, 0.7, 0.55, 0.4], [0.5, 0.4, 0.03, 0.02, 0.001])
    stated = [
        Problem(
            population=Population(costs=c, probabilities=[0.2] * 5, participants=10),
            accuracy=GeneralizationBound(),
            valuation=LinearValuation(scale=100.0),
            belief=belief,
        )
        for c in costs
        for belief in ("ex-ante", "interim")
    ]
    expected = [86.478276016, 86.483772538, 69.053252849, 69.053252849, 94.013492427, 94.099207098]
    np.testing.assert_allclose([c.objective for c in design_contracts(stated)], expected, atol=1e-7)


def test_more_types_than_a_batch_holds_and_curves_that_are_no_mixture_are_solved_one_by_one():
    many = Problem(
        population=Population(
            costs=np.geomspace(0.2, 0.01, 70), probabilities=np.full(70, 1 / 70), participants=500
        ),
        accuracy=Exponential(rate=1e-4),
        valuation=LinearValuation(scale=100.0),
    )
    other = two_types(accuracy=Arctan(optimum=0.9, scale=200.0))
    for problem, answer in zip((many, other), attempt_contracts([many, other]), strict=True):
        assert isinstance(answer, Contract)
        assert answer.objective == pytest.approx(design_contract(problem).objective, abs=1e-9)


def test_a_problem_that_fails_does_not_stop_the_others():
    from contracts import CustomCurve

    wavy = CustomCurve(function=lambda x: 1.1 * x / (x + 100.0) - x / (x + 1e4) * 0.3, optimum=1.0)
    stated = [two_types(10), two_types(10, accuracy=wavy), two_types(20)]
    first, failed, last = attempt_contracts(stated)
    assert isinstance(failed, InvalidInput)
    assert "decreases" in str(failed)
    assert isinstance(first, Contract)
    assert isinstance(last, Contract)
    with pytest.raises(InvalidInput, match=r"^problems\[1\]: accuracy decreases"):
        design_contracts(stated)


def test_every_leaf_may_carry_a_batch():
    with jax.enable_x64(True):
        population = Population(
            costs=jnp.asarray([[0.02, 0.01], [0.03, 0.01]])[:, None],
            probabilities=jnp.asarray([0.4, 0.6]),
            participants=jnp.asarray([5, 10, 20]),
        )
    batch = Problem(
        population=population,
        accuracy=GeneralizationBound(),
        valuation=LinearValuation(scale=[90.0, 100.0, 110.0]),
    )
    singles = unstack(batch)
    assert len(singles) == 6
    assert singles[4].population.participants == 10
    assert singles[4].population.costs.tolist() == [0.03, 0.01]
    assert singles[4].valuation.scale == 100.0
    for contract, single in zip(design_contracts(batch), singles, strict=True):
        assert_same(contract, design_contract(single))


def test_single_precision_becomes_double():
    population = Population(
        costs=jnp.asarray([[0.02, 0.01], [0.03, 0.01]], dtype=jnp.float32),
        probabilities=jnp.asarray([0.5, 0.5], dtype=jnp.float32),
        participants=10,
    )
    for single in unstack(Problem(population=population, accuracy=CURVES[0], valuation=VALUATIONS[0])):
        assert single.population.costs.dtype == np.float64
        assert single.population.probabilities.tolist() == [0.5, 0.5]


def test_curves_of_a_batch_are_checked_as_single_ones_are():
    curve = MonotoneTabulated(data=jnp.asarray([10.0, 20.0]), accuracy=jnp.asarray([[0.1, 0.5], [0.5, 0.1]]))
    with pytest.raises(InvalidInput, match=r"problem \(1,\) of the batch: accuracy\[1\] = 0.1 is below"):
        unstack(two_types(accuracy=curve, valuation=VALUATIONS[0]))


def test_bad_batches_are_refused_in_one_line():
    curve = PowerLaw(optimum=[0.9, 0.8, 0.7])
    with pytest.raises(InvalidInput, match="do not broadcast"):
        unstack(two_types(accuracy=curve, valuation=LinearValuation(scale=[1.0, 2.0, 3.0, 4.0])))
    # As many scales as types are one for each type.
    with pytest.raises(InvalidInput, match=r"accuracy.optimum has shape \(3,\): expected a number"):
        two_types(accuracy=curve, valuation=LinearValuation(scale=[1.0, 2.0]))
    with jax.enable_x64(True):
        wrong = Population(
            costs=jnp.asarray([[0.02, 0.01], [0.02, -0.01]]),
            probabilities=jnp.asarray([0.5, 0.5]),
            participants=10,
        )
    with pytest.raises(InvalidInput, match=r"problem \(1,\) of the batch: costs\[1\]"):
        unstack(Problem(population=wrong, accuracy=CURVES[0], valuation=VALUATIONS[0]))
    with pytest.raises(InvalidInput, match=r"problems\[0\] = 3"):
        attempt_contracts([3])  # type: ignore[list-item]
    assert attempt_contracts([]) == []


@given(st.lists(problems(), min_size=1, max_size=5))
@settings(max_examples=20)
def test_reservations_found_together_are_the_single_ones(stated):
    for problem, found in zip(stated, reservations(stated), strict=True):
        alone = reservation(problem)
        np.testing.assert_allclose(found.utility, alone.utility, atol=1e-13 * problem.largest_value)
        pays = alone.utility > 1e-12 * problem.largest_value
        np.testing.assert_allclose(found.contribution[pays], alone.contribution[pays], rtol=1e-9)


@given(st.lists(problems(), min_size=1, max_size=5))
@settings(max_examples=20)
def test_benchmarks_found_together_are_the_single_ones(stated):
    for problem, found in zip(stated, full_informations(stated), strict=True):
        alone = full_information(problem)
        assert found.objective == pytest.approx(alone.objective, abs=1e-9 * problem.largest_value)
        assert found.expected_accuracy == pytest.approx(alone.expected_accuracy, abs=1e-9)
        assert found.standard_error == pytest.approx(alone.standard_error, rel=1e-6, abs=1e-12)
