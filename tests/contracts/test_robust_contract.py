"""Robust contracts, against enumerated vertices, members drawn from the ball, and closed forms."""

import dataclasses
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts import (
    Arctan,
    Exponential,
    GeneralizationBound,
    InvalidInput,
    LinearValuation,
    Poisson,
    Population,
    PowerLaw,
    Problem,
    WithinKullbackLeibler,
    WithinTotalVariation,
    design_contract,
    design_contracts,
    verify,
)
from contracts.extensions.ambiguity import dearest_within, divergence, largest_mean, least_tail, tilted, vertices
from contracts.extensions.robust_contract import deliverable, expected_target
from contracts.problem.outcomes import total_data
from contracts.program.cutting_planes import worst
from contracts.program.first_moment import prepare
from contracts.testing import problems

FIVE = ([0.5, 0.4, 0.03, 0.02, 0.001], [0.2, 0.3, 0.25, 0.15, 0.1])
POWER = PowerLaw(optimum=1.0, coefficient=4.0, exponent=0.5)


def make(participants=100, costs=FIVE[0], probabilities=FIVE[1], accuracy=None, **options):
    return Problem(
        population=Population(costs=costs, probabilities=probabilities, participants=participants),
        accuracy=GeneralizationBound() if accuracy is None else accuracy,
        valuation=LinearValuation(scale=100.0),
        **options,
    )


def corners(p, radius):
    """Vertices of the ball from its inequalities: every basic solution that satisfies them all."""
    size = p.size
    subsets = np.array([[(k >> j) & 1 for j in range(size)] for k in range(1, 2**size - 1)], dtype=float)
    matrix = np.vstack([subsets, -np.eye(size)])
    limits = np.r_[subsets @ p + radius, np.zeros(size)]
    chosen = np.array(list(combinations(range(len(limits)), size - 1)))
    systems = np.concatenate([matrix[chosen], np.ones((len(chosen), 1, size))], axis=1)
    sides = np.concatenate([limits[chosen], np.ones((len(chosen), 1))], axis=1)
    sound = np.abs(np.linalg.det(systems)) > 1e-9
    points = np.linalg.solve(systems[sound], sides[sound][..., None])[..., 0]
    inside = (points @ matrix.T <= limits + 1e-10).all(axis=1)
    return np.unique(points[inside].round(10), axis=0)


def members(p, distance, radius, count, seed=3):
    """Members of a ball on its border or inside, drawn towards random corners of the simplex."""
    rng, found = np.random.default_rng(seed), []
    for _ in range(count):
        other = rng.dirichlet(np.full(p.size, rng.choice([0.1, 1.0, 5.0])))
        low, high = 0.0, 1.0
        for _ in range(50):
            middle = 0.5 * (low + high)
            low, high = (middle, high) if distance(p + middle * (other - p)) <= radius else (low, middle)
        found.append(p + low * rng.choice([1.0, rng.uniform()]) * (other - p))
    return found


@pytest.mark.parametrize("radius", [0.05, 0.12, 0.4])
def test_the_worst_case_is_the_worst_of_all_vertices(radius):
    """Five types, a hundred participants, an exponential curve: everything in closed form at every vertex."""
    rate = 2e-4
    robust = design_contract(
        WithinTotalVariation(problem=make(accuracy=Exponential(optimum=1.0, rate=rate)), radius=radius)
    )
    each = np.exp(-rate * robust.contribution)
    found = corners(np.array(FIVE[1]), radius)
    assert len(found) >= 20
    objective = 100.0 * (1.0 - (found @ each) ** 100)
    given = 100.0 * (1.0 - (found @ each)[:, None] ** 99 * each)
    assert robust.worst_case == pytest.approx(objective.min(), rel=1e-9)
    assert (given >= robust.expected_reward - 1e-7).all()
    certificate = verify(robust)
    assert certificate.holds, certificate
    assert certificate.feasibility_slack == pytest.approx(given.min(axis=0) - robust.expected_reward, abs=1e-7)


@pytest.mark.parametrize(
    ("p", "radius"), [([0.2, 0.5, 0.3], 0.4), ([0.6, 0.1, 0.1, 0.2], 0.15), (FIVE[1], 0.12)]
)
def test_vertices_are_those_of_the_inequalities(p, radius):
    p = np.array(p)
    ours, exact = vertices(p, radius), corners(p, radius)
    assert (0.5 * np.abs(ours - p).sum(axis=1) <= radius + 1e-12).all()
    for vertex in exact:
        assert np.abs(ours - vertex).max(axis=1).min() < 1e-9


@settings(max_examples=40)
@given(st.lists(st.floats(0.01, 1.0), min_size=2, max_size=9), st.floats(0.0, 1.0), st.integers(0, 10**6))
def test_no_member_makes_any_set_of_cheap_types_rarer(weights, radius, seed):
    p = np.array(weights) / sum(weights)
    costs = np.random.default_rng(seed).choice([0.1, 0.2, 0.3, 0.4], size=p.size)
    q = dearest_within(costs, p, radius)
    assert q.sum() == pytest.approx(1.0)
    assert 0.5 * np.abs(q - p).sum() <= radius + 1e-12
    for cost in np.unique(costs)[:-1]:
        assert q[costs <= cost].sum() == pytest.approx(least_tail(p, costs <= cost, radius), abs=1e-9)


@settings(max_examples=6)
@given(problems(types=(2, 3), participants=(2, 8), families=("power-law",)), st.data())
def test_laws_of_total_variation(problem, data):
    problem = dataclasses.replace(problem, belief="interim")
    small = data.draw(st.floats(0.0, 0.5))
    large = data.draw(st.floats(small, 1.0))
    trusting, robust, wider = (
        design_contract(WithinTotalVariation(problem=problem, radius=r)) for r in (0.0, small, large)
    )
    nominal = design_contract(problem)
    slack = 1e-7 * problem.largest_value
    assert trusting.worst_case == pytest.approx(trusting.if_right)
    assert trusting.reference.objective == nominal.objective
    assert trusting.worst_case + slack >= robust.worst_case >= wider.worst_case - slack
    assert robust.price_of_robustness >= -slack
    for q in members(problem.population.probabilities, robust.problem.distance, small, 5):
        assert (deliverable(problem, robust.contribution, q) >= robust.expected_reward - slack).all()
        assert expected_target(problem, robust.contribution, q) >= robust.worst_case - slack
    certificate = verify(robust)
    assert certificate.holds, certificate


def test_types_that_are_rarer_than_the_radius_and_types_of_one_cost():
    problem = make(10, costs=[0.04, 0.2, 0.04, 0.2, 0.1], probabilities=[0.05, 0.2, 0.1, 0.3, 0.35])
    robust = design_contract(WithinTotalVariation(problem=problem, radius=0.3))
    assert robust.worst_probabilities[[0, 2]] == pytest.approx([0.0, 0.0])
    assert robust.worst_probabilities[4] == pytest.approx(0.2)
    assert robust.contribution[1] == robust.contribution[3]
    assert verify(robust).holds
    everybody = design_contract(WithinTotalVariation(problem=problem, radius=1.0))
    assert everybody.worst_probabilities[[1, 3]].sum() == pytest.approx(1.0)
    assert verify(everybody).holds


def test_many_types_are_proved_by_linear_programs():
    problem = make(30, costs=np.linspace(0.5, 0.05, 12), probabilities=np.full(12, 1 / 12))
    robust = design_contract(WithinTotalVariation(problem=problem, radius=0.1))
    certificate = verify(robust)
    assert certificate.holds, certificate
    assert "linear programs" in certificate.independent_check


@pytest.mark.slow
def test_curves_that_are_no_mixture_and_uncertain_numbers():
    for participants, accuracy in ((6, Arctan(optimum=1.0, scale=300.0)), (Poisson(mean=8.0), None)):
        problem = make(participants, costs=[0.3, 0.1, 0.02], probabilities=[0.4, 0.3, 0.3], accuracy=accuracy)
        robust = design_contract(WithinTotalVariation(problem=problem, radius=0.1))
        certificate = verify(robust)
        assert certificate.holds, certificate
        assert robust.worst_case < robust.nominal.objective


def test_the_nominal_contract_breaks_what_it_is_said_to_break():
    problem = make(10)
    for kind, radius in ((WithinTotalVariation, 0.1), (WithinKullbackLeibler, 0.05)):
        ball = kind(problem=problem, radius=radius)
        robust = design_contract(ball)
        breach = robust.nominal_breaches[-1]
        i = problem.population.names.index(breach.name)
        nominal = design_contract(problem)
        assert breach.promised == pytest.approx(nominal.expected_reward[i], rel=1e-9)
        assert breach.short == pytest.approx(breach.promised - breach.deliverable)
        assert breach.short > 0.1
        drawn = min(
            float(deliverable(problem, nominal.contribution, q)[i])
            for q in members(problem.population.probabilities, ball.distance, ball.radius, 40)
        )
        assert breach.deliverable <= drawn + 1e-9
        assert breach.name in str(robust)


def test_under_the_ex_ante_belief_another_member_is_worse():
    """Why it is refused: two types contribute alike; the first fears more of the second than of its own type,
    for its own presence is known to it whatever its probability."""
    m, p = np.array([100.0, 100.0, 2000.0]), np.array([0.3, 0.2, 0.5])
    claimed = dearest_within(np.array([0.3, 0.2, 0.1]), p, 0.1)
    other = np.array([0.3, 0.3, 0.4])
    assert claimed == pytest.approx([0.4, 0.2, 0.4])
    value = GeneralizationBound()
    at_claimed = total_data(m, claimed, 4, present=0).expectation(value)
    at_other = total_data(m, other, 4, present=0).expectation(value)
    assert at_other < at_claimed - 1e-3
    with pytest.raises(InvalidInput, match="belief = 'ex-ante': expected 'interim'"):
        WithinTotalVariation(problem=make(10, belief="ex-ante"), radius=0.1)


@pytest.mark.slow
def test_batches_take_total_variation_and_refuse_divergence():
    problem = make(10)
    radii = [0.0, 0.05, 0.1]
    together = design_contracts([WithinTotalVariation(problem=problem, radius=r) for r in radii])
    singles = [design_contract(WithinTotalVariation(problem=problem, radius=r)) for r in radii]
    assert [c.worst_case for c in together] == pytest.approx([c.worst_case for c in singles], rel=1e-9)
    assert together[1].problem.radius == 0.05
    with pytest.raises(InvalidInput, match="WithinKullbackLeibler, which is not solved in batches"):
        design_contracts([WithinKullbackLeibler(problem=problem, radius=0.1)])


@settings(max_examples=40)
@given(st.integers(1, 6), st.sampled_from([1e-6, 1e-3, 0.05, 0.5, 3.0]), st.integers(0, 10**6))
def test_tilts_are_the_best_members_and_duality_bounds_them(types, radius, seed):
    rng = np.random.default_rng(seed)
    p = rng.dirichlet(np.ones(types))
    gains = np.exp(-rng.uniform(0.0, 5.0, (3, types)) * rng.choice([1.0, 1e-6]))
    found = tilted(p, gains, radius)
    reached = (found * gains).sum(axis=1)
    bound = largest_mean(p, gains, radius)
    assert all(divergence(q, p) <= radius * (1 + 1e-9) + 1e-12 for q in found)
    assert (bound >= reached - 1e-13).all()
    assert bound == pytest.approx(reached, abs=1e-7 * float(np.ptp(gains)) + 1e-13)
    for q in members(p, lambda q: divergence(q, p), radius, 20, seed):
        assert (gains @ q <= reached + 1e-9 * np.ptp(gains, axis=1) + 1e-12).all()


@pytest.mark.parametrize("participants", [10, Poisson(mean=7.0)], ids=str)
def test_tangents_of_the_bound_agree_with_differences(participants):
    model = prepare(make(participants, accuracy=POWER))
    m, radius = np.array([0.3, 0.4, 0.6, 0.9, 2.0]), 0.05
    here = worst(model, m, radius)
    for j, step in enumerate(1e-5 * np.eye(5)):
        up, down = worst(model, m + step, radius), worst(model, m - step, radius)
        assert (up.loss - down.loss) / 2e-5 == pytest.approx(here.slope[j], rel=1e-5, abs=1e-9)
        assert (up.losses - down.losses) / 2e-5 == pytest.approx(here.slopes[:, j], rel=1e-5, abs=1e-9)


@pytest.mark.parametrize("radius", [0.001, 0.05, 0.5])
def test_two_types_in_a_divergence_ball_are_solved_exactly(radius):
    """With two types the ball is an interval, and its dear end is worst: a base problem."""
    problem = make(10, costs=[0.5, 0.02], probabilities=[0.4, 0.6])
    robust = design_contract(WithinKullbackLeibler(problem=problem, radius=radius))
    p = problem.population.probabilities
    low, high = 0.4, 1.0 - 1e-12
    for _ in range(80):
        middle = 0.5 * (low + high)
        inside = divergence(np.array([middle, 1.0 - middle]), p) <= radius
        low, high = (middle, high) if inside else (low, middle)
    population = dataclasses.replace(problem.population, probabilities=[low, 1.0 - low])
    exact = design_contract(dataclasses.replace(problem, population=population))
    assert robust.worst_case == pytest.approx(exact.objective, abs=2e-5)
    certificate = verify(robust)
    assert certificate.holds, certificate
    assert certificate.optimality_gap < 2e-5


@pytest.mark.slow
@pytest.mark.parametrize("participants", [10, 100])
def test_promises_hold_for_members_of_a_divergence_ball(participants):
    problem = make(participants, accuracy=Exponential(optimum=1.0, rate=1e-3))
    p, previous = problem.population.probabilities, design_contract(problem).objective + 1e-6
    for radius in (1e-3, 0.05, 0.3):
        robust = design_contract(WithinKullbackLeibler(problem=problem, radius=radius))
        each = np.exp(-1e-3 * robust.contribution)
        drawn = np.array([robust.worst_probabilities, *members(p, robust.problem.distance, radius, 300)])
        given = 100.0 * (1.0 - (drawn @ each)[:, None] ** (participants - 1) * each)
        assert (given >= robust.expected_reward - 1e-7).all()
        assert (100.0 * (1.0 - (drawn @ each) ** participants) >= robust.worst_case - 1e-7).all()
        assert robust.worst_case <= robust.bound + 1e-6
        assert robust.worst_case <= previous
        previous = robust.worst_case + 1e-6
        certificate = verify(robust)
        assert certificate.holds, certificate
        assert certificate.optimality_gap < 0.2
        assert certificate.extended["worst case"] <= certificate.extended["least found in the ball"] + 1e-9


def test_types_that_never_come_keep_their_promises():
    problem = make(170, costs=[0.4, 0.05, 0.02], probabilities=[0.0, 0.6, 0.4])
    robust = design_contract(WithinKullbackLeibler(problem=problem, radius=0.01))
    assert robust.worst_probabilities[0] == 0.0
    certificate = verify(robust)
    assert certificate.holds, certificate


def test_a_divergence_of_zero_is_the_nominal_contract():
    problem = make(10)
    robust = design_contract(WithinKullbackLeibler(problem=problem, radius=0.0))
    assert robust.worst_case == robust.nominal.objective
    assert robust.price_of_robustness == 0.0
    assert not robust.nominal_breaches
    assert verify(robust).holds


def test_nothing_pays_in_any_ball():
    problem = make(2, costs=[1e6, 9e5], probabilities=[0.5, 0.5])
    for kind in (WithinTotalVariation, WithinKullbackLeibler):
        robust = design_contract(kind(problem=problem, radius=0.1))
        assert robust.worst_case == 0.0
        assert verify(robust).holds


@pytest.mark.parametrize("ball", [WithinTotalVariation, WithinKullbackLeibler])
def test_what_was_tampered_with_is_found(ball):
    robust = design_contract(ball(problem=make(10), radius=0.05))

    def complaints(**changes):
        certificate = verify(dataclasses.replace(robust, **changes))
        assert not certificate.holds
        return " ".join(certificate.violations)

    more = robust.expected_reward + np.array([0, 0, 0, 0, 0.5])
    assert "feasibility: type 5 is promised" in complaints(expected_reward=more)
    assert "individual rationality: type 1" in complaints(contribution=robust.contribution + 100.0)
    rewards = robust.expected_reward.copy()
    rewards[2] += 0.3
    assert "would rather take the option of type 3" in complaints(expected_reward=rewards)
    rewards[2] = np.nan
    assert "individual rationality: type 3 would get nan" in complaints(expected_reward=rewards)
    assert "type 1 would contribute -1 data" in complaints(contribution=np.r_[-1.0, robust.contribution[1:]])
    assert "worst case: stated" in complaints(worst_case=robust.worst_case + 0.1)
    assert "bound: stated" in complaints(bound=robust.bound - 0.1)
    assert "if the probabilities are right: stated" in complaints(if_right=robust.if_right + 0.1)
    assert "outside of the ball" in complaints(worst_probabilities=np.array([1.0, 0, 0, 0, 0]))


def test_the_menu_settles_at_any_probabilities():
    robust = design_contract(WithinTotalVariation(problem=make(10), radius=0.1))
    rewards = robust.at(robust.worst_probabilities).rewards()
    assert rewards.mean == pytest.approx(robust.expected_reward, rel=1e-9)
    # Caps laid down for the worst case give at least what was promised if the stated probabilities are right.
    stated = robust.at(FIVE[1])
    assert stated.objective == pytest.approx(robust.if_right)
    for i in range(5):
        law = total_data(robust.contribution, FIVE[1], 9).shifted(float(robust.contribution[i]))
        capped = np.minimum(stated.problem.value(law.data), rewards.levels[i]) @ law.probabilities
        assert capped >= robust.expected_reward[i] - 1e-9
    assert stated.settle([2, 2, 2, 2, 2]).total_data == pytest.approx(2 * robust.contribution.sum())


@pytest.mark.parametrize(
    ("make_it", "message"),
    [
        (lambda: WithinTotalVariation(problem=make(), radius=1.1), "radius = 1.1: expected a number in"),
        (lambda: WithinTotalVariation(problem=make(), radius=-0.1), "radius = -0.1"),
        (lambda: WithinTotalVariation(problem=make(), radius=float("nan")), "radius = nan"),
        (lambda: WithinTotalVariation(problem="five", radius=0.1), "problem = 'five': expected a Problem"),
        (lambda: WithinKullbackLeibler(problem=make(), radius=-1), "radius = -1: expected a finite number >= 0"),
        (lambda: WithinKullbackLeibler(problem=make(), radius=float("inf")), "radius = inf"),
        (lambda: WithinKullbackLeibler(problem=make(belief="ex-ante"), radius=0.1), "expected 'interim'"),
        (
            lambda: design_contract(
                WithinKullbackLeibler(problem=make(3, accuracy=Arctan(optimum=1.0, scale=300.0)), radius=0.1)
            ),
            "no mixture of exponentials",
        ),
    ],
)
def test_what_is_no_ball_is_refused(make_it, message):
    with pytest.raises(InvalidInput, match=message):
        make_it()
