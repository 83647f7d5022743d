"""What is computed with floats and with balls agrees; samples find expectations that are too high."""

import numpy as np
import pytest
from flint import arb

from contracts import Exponential, FiniteTurnout, LinearValuation, Poisson, Population, Problem
from contracts.problem.participants import Binomial, FixedTurnout
from contracts.problem.standard_form import standard_form
from contracts.proof import simulation
from contracts.proof.arithmetic import larger, largest_so_far, least, smaller
from contracts.proof.duality import Prices, lower_bound
from contracts.proof.expectations import worlds_expected
from contracts.proof.intervals.ball import ball, balls, precision
from contracts.proof.intervals.law_balls import LawBalls
from contracts.proof.intervals.loss_balls import CrowdBalls
from contracts.proof.losses import Crowd, Losses, expected_losses
from contracts.proof.promises import read_menu

RATES, TARGET, VALUE = np.array([0.001, 0.02, 0.5]), np.array([50.0, 40.0, 0.0]), np.array([30.0, 60.0, 5.0])
X, PRICES = np.array([0.0, 3.0, 40.0, 200.0]), np.array([0.3, 0.0, 2.0, 0.7])
LAWS = {
    "known": (0, 0, 0, 0, [FixedTurnout(count=5)]),
    "poisson": (0, 0, 0, 0, [Poisson(mean=4.0)]),
    "sometimes nobody": (0, 0, 0, 0, [FiniteTurnout(counts=[0, 1, 3], probabilities=[0.2, 0.3, 0.5])]),
    "two groups": (0, 0, 1, 1, [Binomial(trials=5, probability=0.4), FixedTurnout(count=1)]),
    "three groups": (0, 0, 1, 2, [Poisson(mean=2.0), FixedTurnout(count=1), FixedTurnout(count=3)]),
}
HALVES = {"two groups": [0.25, 0.75, 0.0, 1.0], "three groups": [0.25, 0.75, 1.0, 1.0]}


def crowds(name, belief="interim"):
    *group, laws = LAWS[name]
    p = np.array(HALVES.get(name, [0.25, 0.5, 0.0, 0.25]))
    plain = Problem(
        population=Population(costs=[0.4, 0.3, 0.2, 0.1], probabilities=[0.25, 0.5, 0.0, 0.25], participants=4),
        accuracy=Exponential(optimum=0.9, rate=0.01),
        valuation=LinearValuation(scale=100.0),
        belief=belief,
    )
    floats = Crowd(plain, p, np.array(group), tuple(laws))
    tops = tuple(ball(top) for top in floats.tops)
    return floats, CrowdBalls(
        balls(p), np.array(group), [LawBalls(law) for law in laws], belief == "ex-ante", tops
    )


@pytest.mark.parametrize(
    ("name", "belief"),
    [*((name, "interim") for name in LAWS), *((name, "ex-ante") for name in list(LAWS)[:3])],
)
@pytest.mark.parametrize("nothing", [[False] * 4, [True, False, False, False], [True, True, True, False]])
def test_losses_and_their_slopes_agree(name, belief, nothing):
    floats, exact = crowds(name, belief)
    x = np.where(nothing, 0.0, X)
    with precision():
        numbers = (balls(part) for part in (RATES, TARGET, VALUE, x))
        enclosed = expected_losses(exact, *numbers, np.array(nothing), balls(PRICES))
        found = expected_losses(floats, RATES, TARGET, VALUE, x, np.array(nothing), PRICES)
        for one, other in zip(found, enclosed, strict=True):
            middle = np.array([float(each) for each in np.ravel(other)])
            np.testing.assert_allclose(np.ravel(one), middle, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("name", ["known", "poisson"])
def test_slopes_of_those_who_never_occur_are_differences(name):
    floats, _ = crowds(name, "ex-ante")
    prices, step = np.array([0.0, 0.0, 1.0, 0.0]), 1e-4

    def at(x):
        return expected_losses(floats, RATES, TARGET, VALUE, x, np.zeros(4, dtype=bool), prices)

    for j in range(4):
        moved = step * np.eye(4)[j]
        difference = (at(X + 10.0 + moved).value - at(X + 10.0 - moved).value)[2] / (2.0 * step)
        assert at(X + 10.0).priced_by_x[j] == pytest.approx(difference, abs=1e-7)


@pytest.mark.parametrize("excluded", [0, 1, 2])
def test_bounds_by_prices_agree_and_allow_for_their_terms(excluded):
    floats, exact = crowds("known")
    costs, due = np.array([0.4, 0.3, 0.2, 0.1]), np.array([1.0, 1.5, 2.0, 5.0])
    nothing = np.arange(4) < excluded
    m, u = np.where(nothing, 0.0, [2.0, 3.0, 5.0, 40.0]), np.array([1.0, 2.0, 2.5, 7.0])
    y, w = np.array([0.01, 0.0, 0.3, 0.1]), np.array([0.0, 0.2, 0.01, 0.0])

    def bound(crowd, number, top):
        mixture = [number(part) for part in (RATES, TARGET, VALUE)]
        prices = Prices(number(y), number(w), number(m), number(u), excluded)
        losses = lambda x, priced: expected_losses(crowd, *mixture, x, nothing, priced)  # noqa: E731
        return lower_bound(losses, prices, number(costs), number(due), top, 30.0)

    one = bound(floats, np.asarray, 90.0)
    with precision():
        other = bound(exact, balls, ball(90.0))
        assert one.bound == pytest.approx(float(other.bound), rel=1e-12)
        assert one.rounding == pytest.approx(float(other.rounding), rel=1e-12)
    assert one.sensitivity == pytest.approx(30.0 + y.sum() * 90.0)
    terms = expected_losses(floats, RATES, TARGET, VALUE, m, nothing).terms
    assert one.rounding >= 1e-12 * (terms + 30.0 + y.sum() * 90.0)


def test_terms_count_what_cancels():
    floats, _ = crowds("known")
    found = expected_losses(floats, RATES, 3.0 * TARGET, VALUE, X, np.array([True, False, False, False]))
    excess = 0.25**5 * (270.0 - 90.0)
    assert found.target == pytest.approx(found.terms - 2.0 * excess, rel=1e-12)


@pytest.mark.parametrize("name", list(LAWS))
def test_slopes_are_differences(name):
    floats, _ = crowds(name)

    def at(x):
        found = expected_losses(floats, RATES, TARGET, VALUE, x, np.zeros(4, dtype=bool), PRICES)
        return np.array([found.target, PRICES @ found.value])

    found = expected_losses(floats, RATES, TARGET, VALUE, X + 9.0, np.zeros(4, dtype=bool), PRICES)
    for j in range(4):
        moved = 1e-4 * np.eye(4)[j]
        slopes = (at(X + 9.0 + moved) - at(X + 9.0 - moved)) / 2e-4
        assert (found.target_by_x[j], found.priced_by_x[j]) == pytest.approx(tuple(slopes), abs=1e-7)


@pytest.mark.parametrize("excluded", [0, 1, 2])
def test_the_bound_is_the_least_of_the_linearised_lagrangian(excluded):
    """By the vertices of what gaps may be: one of them all that can be paid, or none; and u_1 at either end."""
    costs, due, top = np.array([0.4, 0.3, 0.2]), np.array([1.0, 1.5, 2.0]), 90.0
    y, w = np.array([0.01, 0.2, 0.3]), np.array([0.0, 0.4, 0.01])
    m, u = np.where(np.arange(3) < excluded, 0.0, [2.0, 3.0, 5.0]), np.array([1.2, 1.5, 2.5])
    by_x, value = np.array([-1.0, -2.0, -0.5]), np.array([20.0, 10.0, 5.0])
    losses = lambda _, __: Losses(30.0, value, by_x, 0.1 * by_x, 40.0)  # noqa: E731
    found = lower_bound(losses, Prices(y, w, m, u, excluded), costs, due, top, 25.0)
    gradient, ends = (1.1 * by_x + y * costs, y - w), []
    for gap in range(max(2 * excluded - 1, 0), 6):  # the last: no gap at all
        chain = np.where(np.arange(5) >= gap, (top - due[-1]) / costs[-1], 0.0)
        for first in (due[0], top):
            utility = first + np.r_[0.0, np.cumsum((costs[:-1] - costs[1:]) * chain[1::2])]
            ends.append(gradient[0] @ (chain[0::2] - m) + gradient[1] @ (utility - u))
    here = 30.0 - y @ (top - value - costs * m - u) - w @ (u - due)
    assert found.bound == pytest.approx(here + min(ends), rel=1e-12)
    assert found.rounding > 1e-12 * (40.0 + 25.0 + y @ (top + value + costs * m + u) + w @ (u + due))


def test_the_smaller_of_two_is_that_of_floats_and_holds_either_ball():
    assert smaller(np.array([1.0, 3.0]), 2.0).tolist() == [1.0, 2.0]
    assert larger(np.array([1.0, 3.0]), 2.0).tolist() == [2.0, 3.0]
    assert (least(np.array([2.0, 1.0, 3.0])), np.isnan(least(np.array([2.0, np.nan])))) == (1.0, True)
    assert largest_so_far(np.array([1.0, 3.0, 2.0])).tolist() == [1.0, 3.0, 3.0]
    wide = arb(1, 1)  # from 0 to 2
    found = smaller(np.array([wide, arb(5)], dtype=object), 1.0)
    assert found[0].contains(0) and found[0].contains(1) and not found[0].contains(1.5)  # noqa: PT018
    assert float(found[1]) == 1.0
    assert float(larger(arb(5), 1.0)) == 5.0
    assert [float(each) for each in largest_so_far(np.array([-np.inf, arb(2), 1.0], dtype=object))] == [
        -np.inf,
        2,
        2,
    ]
    assert float(least(np.array([arb(3), 2.0, arb(4)], dtype=object))) == 2.0
    assert smaller(np.array([1.0, 4.0], dtype=object), np.array([2.0, 3.0], dtype=object)).tolist() == [1.0, 3.0]


def sampled(participants, probabilities=(0.5, 0.3, 0.2), groups=None):
    people = {"probabilities": probabilities, "participants": participants, "groups": groups}
    problem = Problem(
        population=Population(costs=[0.4, 0.2, 0.1], **people),
        accuracy=Exponential(optimum=0.9, rate=0.01),
        valuation=LinearValuation(scale=100.0),
    )
    form = standard_form(problem)
    menu, _ = read_menu(form, np.array([5.0, 10.0, 30.0]), np.ones(3), np.zeros(3))
    [world] = worlds_expected(form, menu.data, None)
    return menu, world._replace(how="expectations over the outcomes, on a lattice")


@pytest.mark.parametrize(
    "participants", [4, Poisson(mean=3.0), FiniteTurnout(counts=[0, 1, 9], probabilities=[0.3, 0.4, 0.3])]
)
def test_samples_confirm_expectations_and_find_those_that_are_too_high(participants):
    menu, world = sampled(participants)
    text, complaints = simulation.confirmed(menu, [world])
    assert "simulation of 4000 draws" in text
    assert complaints == []
    for i in range(3):
        high = world._replace(given=world.given + 5.0 * (np.arange(3) == i))
        assert simulation.confirmed(menu, [high])[1] != []
        low = world._replace(given=world.given - 5.0 * (np.arange(3) == i))
        assert simulation.confirmed(menu, [low])[1] == []
    assert simulation.confirmed(menu, [world, world._replace(value=world.value + 5.0)])[1] != []
    assert simulation.confirmed(menu, [world._replace(how="expectations over all outcomes")]) == ("", [])


def test_every_group_is_sampled():
    menu, world = sampled({"a": 3, "b": Poisson(mean=2.0)}, [0.6, 0.4, 1.0], ["a", "a", "b"])
    assert simulation.confirmed(menu, [world])[1] == []
    for i in range(3):
        high = world._replace(given=world.given + 5.0 * (np.arange(3) == i))
        assert simulation.confirmed(menu, [high])[1] != []


def test_others_are_one_less_than_all():
    menu, world = sampled(6)
    drawn = simulation._sample(np.random.default_rng(1), world.crowd, menu.data, 0)
    mean = float(world.crowd.probabilities @ menu.data)
    assert drawn.others.mean() == pytest.approx(5 * mean, rel=0.02)
    assert drawn.whole.mean() == pytest.approx(6 * mean, rel=0.02)
    assert drawn.seen.tolist() == [1.0] * simulation.DRAWS
