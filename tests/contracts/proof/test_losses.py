"""Expected losses by mixtures: against all outcomes, against differences, and against identities of laws."""

import numpy as np
import pytest

from contracts import Exponential, GeneralizationBound, LinearValuation, Poisson, Population, PowerLaw, Problem
from contracts.problem.outcomes import Law
from contracts.problem.participants import Binomial, as_turnout
from contracts.problem.standard_form import standard_form
from contracts.proof.expectations import _on_lattice, combined, crowds, expected
from contracts.proof.losses import Crowd, expected_losses
from contracts.proof.mixture_check import Exponentials, below, mixture_error
from contracts.proof.outside_options import outside_utilities, reservation_by_zooming

RATES, TARGET, VALUE = np.array([0.001, 0.01]), np.array([50.0, 40.0]), np.array([30.0, 60.0])


def crowd_of(population, belief="interim"):
    problem = Problem(
        population=population,
        accuracy=Exponential(optimum=0.9, rate=0.01),
        valuation=LinearValuation(scale=100.0),
        belief=belief,
    )
    form = standard_form(problem)
    world = form.worlds[0]
    return Crowd(world.plain, world.probabilities, form.group, world.laws), problem


CROWDS = {
    "one group": (Population(costs=[0.2, 0.1, 0.05], probabilities=[0.5, 0.3, 0.2], participants=4), "interim"),
    "ex-ante": (Population(costs=[0.2, 0.1, 0.05], probabilities=[0.5, 0.3, 0.2], participants=4), "ex-ante"),
    "ex-ante law": (
        Population(
            costs=[0.2, 0.1, 0.05],
            probabilities=[0.5, 0.3, 0.2],
            participants=Binomial(trials=4, probability=0.5),
        ),
        "ex-ante",
    ),
    "groups": (
        Population(
            costs=[0.2, 0.1, 0.05],
            probabilities=[0.7, 0.3, 1.0],
            groups=["a", "a", "b"],
            participants={"a": Binomial(trials=3, probability=0.6), "b": 2},
        ),
        "interim",
    ),
    "named": (Population(costs=[0.2, 0.1, 0.05], names=["A", "B", "C"], participants="named"), "interim"),
}


@pytest.fixture(params=list(CROWDS))
def crowd_and_problem(request):
    return crowd_of(*CROWDS[request.param])


def mixture(weights, amounts):
    return weights @ np.exp(-np.multiply.outer(RATES, amounts))


def by_outcomes(crowd, problem, outcomes, x):
    form = standard_form(problem)
    amounts, chances = outcomes(problem, x, form.worlds[0])
    target = float(chances @ mixture(TARGET, amounts))
    each = []
    for i in range(x.size):
        if crowd.ex_ante:
            each.append(_ex_ante(problem, x, i))
            continue
        amounts, chances = outcomes(problem, x, form.worlds[0], believer=i)
        each.append(float(chances @ mixture(VALUE, amounts)))
    return target, np.array(each)


def _ex_ante(problem, x, i):
    """The mean over draws in which type i occurs, by listing who comes in order."""
    import itertools

    p, total, occurs = problem.population.probabilities, 0.0, 0.0
    for count, chance in zip(*problem.population.turnout.support, strict=True):
        for who in itertools.product(range(p.size), repeat=int(count)):
            if i in who:
                weight = chance * float(np.prod(p[list(who)]))
                total += weight * float(mixture(VALUE, np.array([x[list(who)].sum()]))[0])
                occurs += weight
    return total / occurs


def test_losses_are_those_of_all_outcomes(crowd_and_problem, outcomes):
    crowd, problem = crowd_and_problem
    x = np.array([3.0, 40.0, 200.0])
    found = expected_losses(crowd, RATES, TARGET, VALUE, x, np.zeros(3, dtype=bool), np.zeros(3))
    idle = float(np.prod([law.generating(0.0) for law in crowd.laws]))  # where nobody comes there is no model
    target, value = by_outcomes(crowd, problem, outcomes, x)
    excess = TARGET.sum() - crowd.plain.largest_target
    assert found.target == pytest.approx(target - idle * excess, abs=1e-9)
    assert found.value == pytest.approx(value, abs=1e-9)


def test_slopes_are_differences(crowd_and_problem):
    crowd, _ = crowd_and_problem
    x, prices = np.array([3.0, 40.0, 200.0]), np.array([0.3, 0.0, 2.0])
    nothing = np.zeros(3, dtype=bool)

    def at(x):
        found = expected_losses(crowd, RATES, TARGET, VALUE, x, nothing, prices)
        return np.array([found.target, prices @ found.value])

    found = expected_losses(crowd, RATES, TARGET, VALUE, x, nothing, prices)
    for j in range(3):
        step = 1e-4 * np.eye(3)[j]
        target, priced = (at(x + step) - at(x - step)) / 2e-4
        assert found.target_by_x[j] == pytest.approx(target, abs=1e-7)
        assert found.priced_by_x[j] == pytest.approx(priced, abs=1e-7)


def test_whoever_brings_nothing_for_certain_leaves_nothing_at_times(crowd_and_problem, outcomes):
    """Where only such come, the loss is the whole value, not the mixture's."""
    crowd, problem = crowd_and_problem
    x, nothing = np.array([0.0, 0.0, 200.0]), np.array([True, True, False])
    found = expected_losses(crowd, RATES, TARGET, VALUE, x, nothing, np.zeros(3))
    plain = expected_losses(crowd, RATES, TARGET, VALUE, x, np.zeros(3, dtype=bool), np.zeros(3))
    form = standard_form(problem)
    amounts, chances = outcomes(problem, x, form.worlds[0])
    came = 0.0 if not crowd.laws else float(np.prod([law.generating(0.0) for law in crowd.laws]))
    idle, each = crowd.idle(nothing)
    assert idle == pytest.approx(chances[amounts == 0.0].sum(), abs=1e-9)
    assert found.target == pytest.approx(
        plain.target - (idle - came) * (TARGET.sum() - crowd.plain.largest_target), abs=1e-9
    )
    if not crowd.ex_ante:
        for i in (0, 1):
            amounts, chances = outcomes(problem, x, form.worlds[0], believer=i)
            assert each[i] == pytest.approx(chances[amounts == 0.0].sum(), abs=1e-9)
    assert each[2] == 0.0
    excess = VALUE.sum() - crowd.plain.largest_value
    assert found.value == pytest.approx(plain.value - each * excess, abs=1e-9)


def test_idle_of_rare_types_is_the_limit(crowd_and_problem):
    population = Population(costs=[0.2, 0.1, 0.05], probabilities=[1e-13, 0.3, 0.7 - 1e-13], participants=4)
    crowd, _ = crowd_of(population, "ex-ante")
    _, each = crowd.idle(np.array([True, True, False]))
    assert each[0] == pytest.approx(0.3**3, rel=1e-9)
    usual, _ = crowd_of(
        Population(costs=[0.2, 0.1, 0.05], probabilities=[1e-5, 0.3, 0.7 - 1e-5], participants=4), "ex-ante"
    )
    assert usual.idle(np.array([True, True, False]))[1][0] == pytest.approx(0.3**3, rel=1e-3)


def test_a_poisson_group_is_as_many_observed_groups():
    """Poisson(n) people of unobserved types are Poisson(n p_i) people of each observed type."""
    mixed, _ = crowd_of(Population(costs=[0.2, 0.1], probabilities=[0.3, 0.7], participants=Poisson(mean=5.0)))
    apart, _ = crowd_of(
        Population(
            costs=[0.2, 0.1],
            probabilities=[1.0, 1.0],
            groups=["a", "b"],
            participants={"a": Poisson(mean=1.5), "b": Poisson(mean=3.5)},
        )
    )
    x, nothing, prices = np.array([10.0, 90.0]), np.array([True, False]), np.array([1.0, 2.0])
    for held in (np.zeros(2, dtype=bool), nothing):
        at = np.where(held, 0.0, x)
        first, second = (expected_losses(c, RATES, TARGET, VALUE, at, held, prices) for c in (mixed, apart))
        for one, other in zip(first, second, strict=True):
            assert one == pytest.approx(other, rel=1e-10)


def test_expectations_of_groups_are_those_of_all_outcomes(outcomes, solution):
    for name in ("groups", "named", "law", "scenarios", "scales"):
        problem = solution(name).problem
        form = standard_form(problem)
        x = np.array([20.0, 60.0, 150.0])
        for world, crowd in zip(form.worlds, crowds(form, x), strict=True):
            found = expected(crowd, x, None)
            raw = x / form.effective
            amounts, chances = outcomes(problem, raw, world)
            assert found.value == pytest.approx(chances @ world.plain.value(amounts), abs=1e-9)
            for i in range(3):
                amounts, chances = outcomes(problem, raw, world, believer=i)
                assert found.given[i] == pytest.approx(chances @ world.plain.value(amounts), abs=1e-9)
            assert found.how == "expectations over all outcomes"


def test_many_amounts_are_added_on_a_lattice():
    rng = np.random.default_rng(0)
    laws = []
    for _ in range(2):
        mass = rng.random(3000)
        laws.append(Law(data=np.sort(rng.uniform(0.0, 50.0, 3000)), probabilities=mass / mass.sum(), step=0.0))
    found = combined(laws)
    assert found.step > 0.0
    exact = np.add.outer(laws[0].data, laws[1].data)
    weights = np.multiply.outer(laws[0].probabilities, laws[1].probabilities)
    for function in (lambda x: x, lambda x: np.exp(-0.05 * x), lambda x: x**0.5):
        assert found.expectation(function) == pytest.approx(float((function(exact) * weights).sum()), rel=1e-7)
    few = [Law(data=np.array([1.0, 3.0]), probabilities=np.array([0.25, 0.75]), step=0.0)] * 2
    lattice, enumerated = _on_lattice(*few), combined(few)
    assert enumerated.data.tolist() == [2.0, 4.0, 6.0]
    assert lattice.expectation(np.sqrt) == pytest.approx(enumerated.expectation(np.sqrt), rel=1e-9)


@pytest.mark.parametrize(("factor", "sound"), [(1.0 + 9e-7, True), (1.0 + 1.1e-6, False)])
def test_mixtures_are_measured_against_the_curve(factor, sound):
    _, problem = crowd_of(Population(costs=[0.2], probabilities=[1.0], participants=4))
    exact = Exponentials(rates=np.array([0.01]), target_weights=np.array([90.0]), value_weights=np.array([90.0]))
    off = Exponentials(
        rates=exact.rates, target_weights=exact.target_weights, value_weights=exact.value_weights * factor
    )
    assert mixture_error(problem, exact) < 1e-12
    assert (mixture_error(problem, off) <= 1e-6) is sound
    assert mixture_error(problem, off) == pytest.approx(factor - 1.0, rel=1e-6)


def test_a_mixture_may_not_exceed_what_there_is_to_lose_without_data():
    """A term that vanishes before the first point looked at is found at 0, where outcomes may lie."""
    _, problem = crowd_of(Population(costs=[0.2], probabilities=[1.0], participants=4))
    spike = Exponentials(
        rates=np.array([0.01, 1e12]), target_weights=np.array([90.0, 50.0]), value_weights=np.array([90.0, 50.0])
    )
    assert mixture_error(problem, spike) == pytest.approx(50.0 / 90.0)
    assert below(problem, spike) is None


@pytest.mark.parametrize("part", ["rates", "target_weights", "value_weights"])
@pytest.mark.parametrize("number", [np.nan, np.inf, -1e-9, 1e308])
def test_what_is_no_mixture_is_infinitely_wrong(part, number):
    _, problem = crowd_of(Population(costs=[0.2], probabilities=[1.0], participants=4))
    values = {name: np.array([90.0]) for name in ("target_weights", "value_weights")} | {
        "rates": np.array([0.01])
    }
    broken = Exponentials(**(values | {part: np.array([number])}))
    assert mixture_error(problem, broken) > 1e-6
    assert below(problem, broken) is None or number in (1e308,)


def test_relaxations_lie_below_the_loss():
    problem = Problem(
        population=Population(costs=[0.2], probabilities=[1.0], participants=4),
        accuracy=GeneralizationBound(),
        valuation=LinearValuation(scale=100.0),
    )
    for share, sound in ((0.9, True), (1.009, True), (1.02, False)):
        one = Exponentials(
            rates=np.array([0.0]),
            target_weights=np.array([share * 1e-3]),
            value_weights=np.array([share * 1e-3]),
        )
        limit = problem.value_loss(np.array([problem.most_data]))[0]
        one = Exponentials(
            rates=one.rates, target_weights=np.array([share * limit]), value_weights=np.array([share * limit])
        )
        found = below(problem, one)
        assert (found is not None) is sound
        if found is not None:
            assert found.value_weights[0] <= limit * (1.0 + 1e-12)
            assert found.value_weights[0] == pytest.approx(min(share, 1.0) * limit, rel=1e-12)


def test_more_data_than_usual_are_looked_at_where_they_matter():
    _, problem = crowd_of(Population(costs=[0.2], probabilities=[1.0], participants=4))
    slow = Exponentials(
        rates=np.array([0.01, 0.0]), target_weights=np.array([90.0, 1e-9]), value_weights=np.array([90.0, 1e-9])
    )
    assert mixture_error(problem, slow) < mixture_error(problem, slow, 2.0 * problem.most_data)


def test_training_alone_ends_at_ones_own_capacity():
    curve = PowerLaw(optimum=0.9, coefficient=1.8, exponent=0.5)
    population = Population(
        costs=[0.05, 0.05, 0.05],
        probabilities=[0.4, 0.3, 0.3],
        participants=4,
        capacities=[1e9, 50.0, 3.0],
        groups=None,
    )
    problem = Problem(population=population, accuracy=curve, valuation=LinearValuation(scale=100.0))
    found = outside_utilities(standard_form(problem))
    free = (0.9 * 100.0 / 0.05) ** (2.0 / 3.0)
    assert found[0] == pytest.approx(100.0 * float(curve(free)) - 0.05 * free, rel=1e-9)
    assert found[1] == pytest.approx(100.0 * float(curve(50.0)) - 0.05 * 50.0, rel=1e-12)
    assert found[2] == 0.0
    shaded = Problem(
        population=Population(costs=[0.05], probabilities=[1.0], participants=4, shading=0.3, qualities=[0.5]),
        accuracy=curve,
        valuation=LinearValuation(scale=100.0),
    )
    honest = outside_utilities(standard_form(shaded))
    assert honest == pytest.approx(reservation_by_zooming(problem, np.array([0.1])), rel=1e-12)


def test_as_turnout_of_a_number_is_sure():
    assert as_turnout(3).others().count == 2
