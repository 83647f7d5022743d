"""Numbers from the design of the one problem, recomputed by enumeration, and reached by the designer.

Their curve, where the design states none, is a(x) = 1 - (1 + x)^(-1/2) with worth a(x), which gives all of them.
"""

import dataclasses
import math

import numpy as np
import pytest
from enumerated import Enumerated
from oracle import best, cases, reached, search, starting_points, violations

from contracts import CustomCurve, Exponential, LinearValuation, Population, PowerLaw, Problem, design_contract
from contracts.problem.menu import Menu
from contracts.problem.objective import Rawlsian
from contracts.problem.outside import Outside


def plain(data):
    return 1.0 - (1.0 + data) ** -0.5


TOY = CustomCurve(function=plain, optimum=1.0)
ONE = LinearValuation(scale=1.0)


def toy(*, accuracy=TOY, baseline=0.0, outside=Outside(), menu=Menu(), **population):  # noqa: B008
    return Problem(
        population=Population(**population),
        accuracy=accuracy,
        valuation=ONE,
        baseline=baseline,
        outside=outside,
        menu=menu,
    )


def best_of_cases(problem, chosen, starts=4):
    """The best contract of the oracle's cases that are chosen; None if there is none."""
    oracle, values = Enumerated(problem), []
    for case in filter(chosen, cases(oracle)):
        for start in starting_points(oracle, np.random.default_rng(0), starts):
            x = search(oracle, case, start)
            answer = None if x is None else oracle.answer(x, case.stay)
            values += [] if answer is None else [answer[0]]
    return max(values, default=None)


def check_designed(problem, value):
    """The designer reaches what the oracle found, and its promises hold."""
    contract = design_contract(problem)
    assert not violations(problem, contract.contribution, contract.expected_reward)
    assert reached(problem, contract.contribution, contract.expected_reward) == pytest.approx(value, abs=2e-4)


STAYING_OUT = toy(
    costs=[0.3, 0.1], probabilities=[0.3, 0.7], participants=3, outside=Outside(utility=[0.3, 0.0])
)


def test_leaving_out_whom_staying_out_serves_better():
    """Outside (.3, 0): all served .6368, the first type out .7295."""
    assert best_of_cases(STAYING_OUT, lambda case: not case.stay) == pytest.approx(0.6368, abs=5e-5)
    assert best_of_cases(STAYING_OUT, lambda case: case.stay == {0}) == pytest.approx(0.7295, abs=5e-5)
    value, m, t = best(STAYING_OUT, starts=8)
    assert value == pytest.approx(0.7295, abs=5e-5)
    assert (m[0], t[0]) == (0.0, 0.0)


def test_leaving_out_is_found_by_the_designer():
    check_designed(STAYING_OUT, 0.7295)


THIRD = toy(
    costs=[0.3, 0.2, 0.1],
    probabilities=[0.3, 0.4, 0.3],
    participants=3,
    outside=Outside(utility=[0.0, 0.02, 0.8]),
)


def test_those_who_stay_out_need_not_be_the_dearest():
    """Outside (0, .02, .8) leaves out the third; the costs are ours, the design states none."""
    value, m, t = best(THIRD, starts=16)
    assert (m[2], t[2]) == (0.0, 0.0)
    assert (m[:2] > 0.0).all()
    assert best_of_cases(THIRD, lambda case: 2 not in case.stay) is None
    assert value == pytest.approx(0.526523, abs=1e-6)


def test_another_than_the_dearest_is_left_out_by_the_designer():
    check_designed(THIRD, 0.526523)


CAPACITIES = toy(costs=[0.105, 0.1], probabilities=[0.9, 0.1], participants=2, capacities=[0.2, 50.0])


def test_lies_that_cannot_be_delivered_need_no_guarding():
    """c = (.105, .1), K = (.2, 50): with both incentive constraints nothing is feasible, without there is."""
    assert best_of_cases(CAPACITIES, lambda case: case.high[1] > 1.0) == pytest.approx(0.22388, abs=1e-5)
    assert best_of_cases(CAPACITIES, lambda case: case.high[1] < 1.0) is None
    oracle = Enumerated(CAPACITIES)
    # The cheap one is due .157 more, and guarding its option takes more data than anything is worth.
    guarded = (oracle.due[1] - oracle.due[0] - 0.005 * 0.2) / 0.005
    assert 0.1 * guarded > 1.0


def test_capacities_are_met_by_the_designer():
    check_designed(CAPACITIES, 0.22388)


BASELINE = toy(
    accuracy=PowerLaw(optimum=1.0, coefficient=1.2, exponent=0.4),
    baseline=0.55,
    costs=[0.02, 0.004],
    probabilities=[0.5, 0.5],
    participants=3,
)


def test_a_baseline_may_call_for_contributions_that_alone_train_nothing():
    """b = .55: leaving the dear type out loses, though three of them together stay below the baseline.

    The design does not state the probabilities; these are even ones.
    """
    value, m, _ = best(BASELINE, starts=12)
    assert value == pytest.approx(0.224937, abs=1e-6)
    assert 0.0 < 3 * m[0] < (1.2 / 0.45) ** 2.5
    assert best_of_cases(BASELINE, lambda case: case.null == {0}) == pytest.approx(0.222588, abs=1e-6)


def test_a_baseline_is_met_by_the_designer():
    check_designed(BASELINE, 0.224937)


def difference(p, participants=4):
    """What the model is worth more to whoever brings 4 data than to whoever brings .5, all of it handed out."""
    total = 0.0
    for k in range(participants):
        chance = math.comb(participants - 1, k) * p[1] ** k * p[0] ** (participants - 1 - k)
        others = 4.0 * k + 0.5 * (participants - 1 - k)
        total += chance * (plain(4.0 + others) - plain(0.5 + others))
    return total


def test_options_worth_what_was_promised_at_the_worst_member_are_envied_at_another():
    """x = (.5, 4): incentives bind at p = (.8, .2), and fail by .057 at (.5, .5).

    The design does not state the participants: four give its number (two .0563, three .0625).
    """
    assert difference([0.8, 0.2]) - difference([0.5, 0.5]) == pytest.approx(0.057, abs=5e-4)


def test_least_gains_are_in_own_units():
    """Two types that value models 1 : 3: what is equal is what each gains in its own money."""
    problem = dataclasses.replace(
        toy(accuracy=Exponential(rate=0.5), costs=[0.1, 0.1], probabilities=[0.5, 0.5], participants=4),
        valuation=LinearValuation(scale=[1.0, 3.0]),
        objective=Rawlsian(),
    )
    value, m, t = best(problem, starts=8)
    gain = t - 0.1 * m - Enumerated(problem).alone
    assert value == pytest.approx(float(gain.min()), abs=1e-9)
    assert gain.min() > 0.0


def test_least_gains_in_own_units_are_met_by_the_designer():
    problem = dataclasses.replace(
        toy(accuracy=Exponential(rate=0.5), costs=[0.1, 0.1], probabilities=[0.5, 0.5], participants=4),
        valuation=LinearValuation(scale=[1.0, 3.0]),
        objective=Rawlsian(),
    )
    check_designed(problem, best(problem, starts=8)[0])
