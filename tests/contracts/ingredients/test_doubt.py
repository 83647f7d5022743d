"""Doubt about probabilities, against enumerated vertices, members drawn from the ball, and closed forms."""

import dataclasses
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts import (
    Arctan,
    Doubt,
    Exponential,
    GeneralizationBound,
    Infeasible,
    InvalidInput,
    LinearValuation,
    Menu,
    Poisson,
    Population,
    PowerLaw,
    Problem,
    design_contract,
    verify,
)
from contracts.problem.outcomes import total_data
from contracts.problem.standard_form import worst_within_groups
from contracts.program.cutting_planes import worst
from contracts.program.first_moment import prepare
from contracts.program.tilts import tilted
from contracts.proof.ambiguity import divergence, largest_mean, vertices
from contracts.testing import problems

FIVE = ([0.5, 0.4, 0.03, 0.02, 0.001], [0.2, 0.3, 0.25, 0.15, 0.1])
POWER = PowerLaw(optimum=1.0, coefficient=4.0, exponent=0.5)
IF_RIGHT = "expected target if the stated probabilities are right"
DISTANCES = ("total-variation", "kullback-leibler")


def make(participants=100, costs=FIVE[0], probabilities=FIVE[1], accuracy=None, doubt=None, **options):
    return Problem(
        population=Population(costs=costs, probabilities=probabilities, participants=participants, doubt=doubt),
        accuracy=GeneralizationBound() if accuracy is None else accuracy,
        valuation=LinearValuation(scale=100.0),
        **options,
    )


def doubted(problem, radius, distance="total-variation"):
    population = dataclasses.replace(problem.population, doubt=Doubt(radius=radius, distance=distance))
    return dataclasses.replace(problem, population=population)


def total_variation(q, p):
    return 0.5 * float(np.abs(q - p).sum())


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
            low, high = (middle, high) if distance(p + middle * (other - p), p) <= radius else (low, middle)
        found.append(p + low * rng.choice([1.0, rng.uniform()]) * (other - p))
    return found


def deliverable(problem, m, q):
    """What can be given at most to each type, at probabilities q, number known."""
    others = total_data(m, q, problem.population.participants - 1)
    return np.array([others.shifted(float(own)).expectation(problem.value) for own in m])


def expected_value(problem, m, q):
    return total_data(m, q, problem.population.participants).expectation(problem.value)


# Radius -> the least expected values of ten and a hundred participants, by the class that this one replaced.
VARIATION = {0.0: (91.8597905501, 99.9999999999986), 0.05: (90.0862796607, 99.99999999943944),
             0.12: (88.0342943574, 99.9999998678675), 0.4: (80.2815045058, 99.33063924541769)}  # fmt: skip


@pytest.mark.parametrize("radius", [0.05, 0.12, 0.4])
def test_the_worst_case_is_the_worst_of_all_vertices(radius):
    """Five types, a hundred participants, an exponential curve: everything in closed form at every vertex."""
    rate = 2e-4
    contract = design_contract(doubted(make(accuracy=Exponential(optimum=1.0, rate=rate)), radius))
    each = np.exp(-rate * contract.contribution)
    found = corners(np.array(FIVE[1]), radius)
    assert len(found) >= 20
    value = 100.0 * (1.0 - (found @ each) ** 100)
    given = 100.0 * (1.0 - (found @ each)[:, None] ** 99 * each)
    assert contract.objective == pytest.approx(value.min(), rel=1e-9)
    assert contract.objective == pytest.approx(VARIATION[radius][1], rel=1e-10)
    assert (given >= contract.expected_reward - 1e-7).all()
    certificate = verify(contract)
    assert certificate.holds, certificate
    assert certificate.feasibility_slack == pytest.approx(given.min(axis=0) - contract.expected_reward, abs=1e-7)


@pytest.mark.parametrize("radius", [0.05, 0.4])
def test_the_same_optimum_as_before(radius):
    contract = design_contract(doubted(make(10), radius))
    assert contract.objective == pytest.approx(VARIATION[radius][0], rel=1e-9)
    certificate = verify(contract)
    assert certificate.holds, certificate
    right = expected_value(contract.problem, contract.contribution, np.array(FIVE[1]))
    assert certificate.extended[IF_RIGHT] == pytest.approx(right, rel=1e-12)
    assert certificate.as_solved_gap < 1e-6


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
    q = worst_within_groups(costs, p, np.zeros(p.size, dtype=int), radius)
    assert q.sum() == pytest.approx(1.0)
    assert (q >= 0.0).all()
    assert total_variation(q, p) <= radius + 1e-12
    for cost in np.unique(costs)[:-1]:
        least = max(p[costs <= cost].sum() - radius, 0.0)
        assert q[costs <= cost].sum() == pytest.approx(least, abs=1e-9)


@settings(max_examples=5)
@given(problems(types=(2, 3), participants=(2, 8), families=("power-law",)), st.data())
def test_laws_of_total_variation(problem, data):
    problem = dataclasses.replace(problem, belief="interim", valuation=LinearValuation(scale=100.0))
    small = data.draw(st.floats(0.0, 0.5))
    large = data.draw(st.floats(small, 1.0))
    trusting, robust, wider = (design_contract(doubted(problem, r), time_limit=0.0) for r in (0.0, small, large))
    nominal = design_contract(problem, time_limit=0.0)
    slack = 1e-7 * problem.largest_value
    assert trusting.objective == nominal.objective
    assert trusting.objective + slack >= robust.objective >= wider.objective - slack
    for q in members(problem.population.probabilities, total_variation, small, 5):
        assert (deliverable(problem, robust.contribution, q) >= robust.expected_reward - slack).all()
        assert expected_value(problem, robust.contribution, q) >= robust.objective - slack
    certificate = verify(robust)
    assert certificate.holds, certificate


def test_types_that_are_rarer_than_the_radius_and_types_of_one_cost():
    problem = make(10, costs=[0.04, 0.2, 0.04, 0.2, 0.1], probabilities=[0.05, 0.2, 0.1, 0.3, 0.35])
    contract = design_contract(doubted(problem, 0.3))
    q = contract.form.worlds[0].plain.population.probabilities
    assert q[[0, 2]] == pytest.approx([0.0, 0.0])
    assert q[4] == pytest.approx(0.2)
    assert contract.contribution[1] == contract.contribution[3]
    assert verify(contract).holds
    everybody = design_contract(doubted(problem, 1.0))
    assert everybody.form.worlds[0].plain.population.probabilities[[1, 3]].sum() == pytest.approx(1.0)
    assert verify(everybody).holds


def test_many_types(build):
    contract = design_contract(build(np.linspace(0.5, 0.05, 12), 30, doubt=Doubt(radius=0.1)))
    certificate = verify(contract)
    assert certificate.holds, certificate
    p = contract.problem.population.probabilities
    for q in members(p, total_variation, 0.1, 20):
        assert (deliverable(contract.problem, contract.contribution, q) >= contract.expected_reward - 1e-5).all()


@pytest.mark.parametrize(
    ("participants", "accuracy"),
    [(6, Arctan(optimum=1.0, scale=300.0)), (Poisson(mean=8.0), None)],
    ids=["arctan", "poisson"],
)
def test_curves_that_are_no_mixture_and_uncertain_numbers(participants, accuracy):
    problem = make(participants, costs=[0.3, 0.1, 0.02], probabilities=[0.4, 0.3, 0.3], accuracy=accuracy)
    contract = design_contract(doubted(problem, 0.1), time_limit=0.0)
    certificate = verify(contract)
    assert certificate.holds, certificate
    assert contract.objective < design_contract(problem, time_limit=0.0).objective


@pytest.mark.parametrize(("distance", "radius"), [("total-variation", 0.1), ("kullback-leibler", 0.05)])
def test_the_contract_for_the_stated_probabilities_breaks_promises(distance, radius):
    nominal = design_contract(make(10))
    believing = dataclasses.replace(nominal, problem=doubted(nominal.problem, radius, distance))
    certificate = verify(believing)
    assert not certificate.holds
    assert certificate.feasibility_slack.min() < -0.1
    measure = {"total-variation": total_variation, "kullback-leibler": divergence}[distance]
    p = nominal.problem.population.probabilities
    drawn = [deliverable(nominal.problem, nominal.contribution, q) for q in members(p, measure, radius, 40)]
    slack = np.min(drawn, axis=0) - nominal.expected_reward
    assert slack.min() < -0.1
    assert (certificate.feasibility_slack <= slack + 1e-7).all()


def test_under_the_ex_ante_belief_another_member_is_worse():
    """Why it is refused: two types contribute alike; the first fears more of the second than of its own type,
    for its own presence is known to it whatever its probability."""
    m, p = np.array([100.0, 100.0, 2000.0]), np.array([0.3, 0.2, 0.5])
    claimed = worst_within_groups(np.array([0.3, 0.2, 0.1]), p, np.zeros(3, dtype=int), 0.1)
    other = np.array([0.3, 0.3, 0.4])
    assert claimed == pytest.approx([0.4, 0.2, 0.4])
    value = GeneralizationBound()
    at_claimed = total_data(m, claimed, 4, present=0).expectation(value)
    at_other = total_data(m, other, 4, present=0).expectation(value)
    assert at_other < at_claimed - 1e-3
    for distance in DISTANCES:
        with pytest.raises(InvalidInput, match="the ex-ante belief and doubt do not go together"):
            make(10, belief="ex-ante", doubt=Doubt(radius=0.1, distance=distance))


def test_envy_under_caps_elsewhere_in_the_ball_is_told():
    """Incentives are exact for options at their worst only; recomputed here at all vertices."""
    contract = design_contract(doubted(make(4, costs=[0.3, 0.1, 0.05], probabilities=[0.3, 0.3, 0.4]), 0.2))
    certificate = verify(contract)
    (name,) = [name for name in certificate.extended if name.startswith("largest envy under caps")]
    problem, levels = contract.problem, contract.rewards("capped").levels
    costs, largest = problem.population.costs, 0.0
    for q in corners(problem.population.probabilities, 0.2):
        others = total_data(contract.contribution, q, 3)
        worth = np.array(
            [
                others.shifted(float(own)).expectation(lambda x, cap=cap: np.minimum(problem.value(x), cap))
                for own, cap in zip(contract.contribution, levels, strict=True)
            ]
        )
        utility = worth - np.multiply.outer(costs, contract.contribution)
        largest = max(largest, float((utility.max(axis=1) - np.diagonal(utility)).max()))
    assert certificate.extended[name] == pytest.approx(largest, abs=1e-6)
    assert any("the largest envy is" in text for text in certificate.about)


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
    for q in members(p, divergence, radius, 20, seed):
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
    """With two types the ball is an interval, and its dear end is worst: a plain problem."""
    problem = make(10, costs=[0.5, 0.02], probabilities=[0.4, 0.6])
    contract = design_contract(doubted(problem, radius, "kullback-leibler"), time_limit=0.0)
    p = problem.population.probabilities
    low, high = 0.4, 1.0 - 1e-12
    for _ in range(80):
        middle = 0.5 * (low + high)
        inside = divergence(np.array([middle, 1.0 - middle]), p) <= radius
        low, high = (middle, high) if inside else (low, middle)
    population = dataclasses.replace(problem.population, probabilities=[low, 1.0 - low])
    exact = design_contract(dataclasses.replace(problem, population=population), time_limit=0.0)
    assert contract.objective == pytest.approx(exact.objective, abs=2e-5)
    certificate = verify(contract)
    assert certificate.holds, certificate
    assert certificate.as_solved_gap < 2e-5


# Participants, radius, rate of an exponential curve (None: the default bound) -> worst case, if right, bound.
DIVERGENCE = {
    (10, 0.05, None): (88.5903923963, 91.4364163080, 88.6813158913),
    (10, 1e-3, 1e-3): (99.8160587076, 99.8712356982, 99.8160587139),
    (10, 0.05, 1e-3): (98.7629747408, 99.8638252011, 98.7629747700),
    (10, 0.3, 1e-3): (89.6779320661, 99.6368409496, 89.6779322781),
}


@pytest.mark.slow
@pytest.mark.parametrize(("participants", "radius", "rate"), DIVERGENCE)
def test_promises_hold_for_members_of_a_divergence_ball(participants, radius, rate):
    accuracy = None if rate is None else Exponential(optimum=1.0, rate=rate)
    problem = make(participants, accuracy=accuracy)
    contract = design_contract(doubted(problem, radius, "kullback-leibler"))
    certificate = verify(contract)
    assert certificate.holds, certificate
    reached, right, bound = DIVERGENCE[participants, radius, rate]
    assert contract.objective == pytest.approx(reached, rel=1e-7)
    assert certificate.extended[IF_RIGHT] == pytest.approx(right, rel=1e-7)
    assert contract.objective + certificate.as_solved_gap == pytest.approx(bound, rel=1e-7)
    p = problem.population.probabilities
    drawn = np.array([contract.proof.member, *members(p, divergence, radius, 60)])
    assert divergence(contract.proof.member, p) <= radius * (1.0 + 1e-9)
    if rate is None:
        for q in drawn[:10]:
            assert (deliverable(problem, contract.contribution, q) >= contract.expected_reward - 1e-6).all()
        return
    each = np.exp(-rate * contract.contribution)
    given = 100.0 * (1.0 - (drawn @ each)[:, None] ** (participants - 1) * each)
    assert (given >= contract.expected_reward - 1e-7).all()
    assert (100.0 * (1.0 - (drawn @ each) ** participants) >= contract.objective - 1e-7).all()


@pytest.mark.slow
def test_wider_balls_of_divergence_are_worse():
    problem = make(100, accuracy=Exponential(optimum=1.0, rate=1e-4))
    found = [design_contract(doubted(problem, r, "kullback-leibler")).objective for r in (0.0, 1e-3, 0.05, 0.3)]
    assert (np.diff(found) < 1e-6).all()


@pytest.mark.slow
def test_who_cannot_be_given_what_is_due_is_named_and_by_how_much():
    """What is missing grows one for one with what is due."""

    def missing(margin):
        people = Population(
            costs=[0.6, 0.3, 0.1], names=["A", "B", "C"], probabilities=[0.1, 0.1, 0.8], participants=4
        )
        problem = Problem(
            population=people,
            accuracy=GeneralizationBound(optimum=1.0, complexity=2.0),
            valuation=LinearValuation(scale=100.0),
            menu=Menu(participation_margin=margin),
        )
        with pytest.raises(Infeasible, match="A, B cannot be given what is due: at least") as refused:
            design_contract(doubted(problem, 20.0, "kullback-leibler"))
        return float(str(refused.value).split("at least ")[1].split()[0])

    assert missing(12.0) - missing(10.0) == pytest.approx(2.0, abs=0.02)


@pytest.mark.slow
def test_types_that_never_come_keep_their_promises():
    problem = make(170, costs=[0.4, 0.05, 0.02], probabilities=[0.0, 0.6, 0.4])
    contract = design_contract(doubted(problem, 0.01, "kullback-leibler"))
    assert contract.proof.member[0] == 0.0
    certificate = verify(contract)
    assert certificate.holds, certificate


@pytest.mark.parametrize("distance", DISTANCES)
def test_no_doubt_is_the_problem_as_stated(distance):
    problem = make(10)
    contract, nominal = design_contract(doubted(problem, 0.0, distance)), design_contract(problem)
    assert contract.objective == nominal.objective
    assert np.array_equal(contract.contribution, nominal.contribution)
    certificate = verify(contract)
    assert certificate.holds
    assert certificate.gap == verify(nominal).gap


@pytest.mark.parametrize("distance", DISTANCES)
def test_nothing_pays_in_any_ball(distance):
    contract = design_contract(doubted(make(2, costs=[1e6, 9e5], probabilities=[0.5, 0.5]), 0.1, distance))
    assert contract.objective == 0.0
    assert verify(contract).holds


@pytest.mark.parametrize("distance", DISTANCES)
def test_what_was_tampered_with_is_found(distance):
    contract = design_contract(doubted(make(10), 0.05, distance), time_limit=0.0)
    assert verify(contract).holds

    def complaints(**changes):
        certificate = verify(dataclasses.replace(contract, **changes))
        assert not certificate.holds
        return " ".join(certificate.violations)

    more = contract.expected_reward + np.array([0, 0, 0, 0, 0.5])
    assert "feasibility: type 5 is promised" in complaints(expected_reward=more)
    assert "individual rationality: type 1" in complaints(contribution=contract.contribution + 100.0)
    rewards = contract.expected_reward.copy()
    rewards[2] += 0.3
    assert "would rather take the option of type 3" in complaints(expected_reward=rewards)
    rewards[2] = np.nan
    assert "individual rationality: type 3 would gain nan" in complaints(expected_reward=rewards)
    assert "type 1 would contribute -1 data" in complaints(contribution=np.r_[-1.0, contract.contribution[1:]])
    assert "objective: stated" in complaints(objective=contract.objective + 0.1)
    assert "expected accuracy: stated" in complaints(expected_accuracy=contract.expected_accuracy + 0.1)
    assert "feasibility: " in complaints(problem=doubted(contract.problem, 0.2, distance))
    proof = dataclasses.replace(contract.proof, member=np.array([1.0, 0, 0, 0, 0]))
    forged = verify(dataclasses.replace(contract, proof=proof))
    assert (forged.as_solved_gap is None) == (distance == "kullback-leibler")
    assert not forged.optimal or distance == "total-variation"


def test_the_menu_settles_at_any_probabilities():
    contract = design_contract(doubted(make(10), 0.1))
    rewards = contract.rewards("capped")
    assert rewards.mean == pytest.approx(contract.expected_reward, rel=1e-9)
    # Caps laid down for the worst case give at least what was promised if the stated probabilities are right.
    for i in range(5):
        law = total_data(contract.contribution, FIVE[1], 9).shifted(float(contract.contribution[i]))
        capped = np.minimum(contract.problem.value(law.data), rewards.levels[i]) @ law.probabilities
        assert capped >= contract.expected_reward[i] - 1e-9
    assert contract.settle([2, 2, 2, 2, 2]).total_data == pytest.approx(2 * contract.contribution.sum())


@pytest.mark.parametrize(
    ("make_it", "message"),
    [
        (lambda: Doubt(radius=1.1), "radius = 1.1: expected a number in"),
        (lambda: Doubt(radius=-0.1), "radius = -0.1"),
        (lambda: Doubt(radius=float("nan")), "radius = nan"),
        (lambda: Doubt(radius=-1, distance="kullback-leibler"), "radius = -1: expected a finite number >= 0"),
        (lambda: Doubt(radius=float("inf"), distance="kullback-leibler"), "radius = inf"),
        (lambda: Doubt(radius=0.1, distance="euclidean"), "distance = 'euclidean'"),
        (lambda: make(doubt=0.1), "doubt = 0.1: expected a Doubt"),
        (
            lambda: design_contract(
                doubted(make(3, accuracy=Arctan(optimum=1.0, scale=300.0)), 0.1, "kullback-leibler")
            ),
            "no mixture of exponentials",
        ),
    ],
)
def test_what_is_no_ball_is_refused(make_it, message):
    with pytest.raises(InvalidInput, match=message):
        make_it()
