"""Promises on measured curves: on average, of a model, of a value; and words that follow the evidence."""

import copy
import itertools
import json
from math import factorial
from pathlib import Path

import numpy as np
import pytest

from contracts import (
    Contract,
    Doubt,
    Infeasible,
    InvalidInput,
    LinearValuation,
    MeasuredCurve,
    Measurements,
    Menu,
    Outside,
    Population,
    Problem,
    Scenario,
    Welfare,
    design_contract,
    read_measurements,
    verify,
)
from contracts.measured.curve_set import CurveSet, Envelope
from contracts.measured.measured_curve import concave, concave_below, digest

DATA = Path(__file__).parent / "data" / "curves"
ROOT = Path(__file__).parents[2]
PRECISE = read_measurements(ROOT / "examples" / "tumour-clinics" / "curve.csv")
COSTS, PROBABILITIES, NUMBER, SCALE = [150.0, 70.0, 30.0], [0.3, 0.4, 0.3], 4, 100_000.0


def problem(measurements=PRECISE, costs=COSTS, scale=SCALE, **changed):
    names = ("fit", "promise", "level", "chance")
    curve = MeasuredCurve(
        measurements=measurements, **{name: changed.pop(name) for name in names if name in changed}
    )
    stated = {"costs": costs, "probabilities": PROBABILITIES, "participants": NUMBER}
    population = Population(**(stated | changed.pop("population", {})))
    return Problem(population=population, accuracy=curve, valuation=LinearValuation(scale=scale), **changed)


@pytest.fixture(scope="module")
def average():
    return design_contract(problem())


@pytest.fixture(scope="module")
def model():
    return design_contract(problem(promise="model", level=0.9))


def test_on_average_the_certificate_says_who_may_do_worse(average):
    certificate = verify(average)
    assert certificate.holds
    assert certificate.optimal
    assert certificate.caution == ""
    assert "on average over the curves" in str(certificate)
    worse = [number for name, number in certificate.extended.items() if "does worse than alone" in name]
    assert len(worse) == 3
    assert all(0.0 <= number <= 0.8 for number in worse)
    assert any("11 measurements between 12 and 368 data" in line for line in certificate.about)


def test_who_does_worse_agrees_with_enumeration(average):
    """Curve by curve, over every composition of the others; what is trained with alone by a grid."""
    curve, m = average.problem.accuracy, average.contribution
    draws = curve.drawn(400, 7)
    grid = np.geomspace(1.0, 2000.0, 4000)
    for i, (share, cost) in enumerate(zip(shares_of(average), COSTS, strict=True)):
        together = share * SCALE * expected_accuracy(draws, m, i) - cost * m[i]
        profit = SCALE * draws(grid) - cost * grid
        alone = profit[:, int(np.argmax(profit.mean(axis=0)))]
        stated = next(v for k, v in average.certificate.extended.items() if f"type {i + 1} does worse" in k)
        assert abs((together < alone).mean() - stated) < 0.05


def expected_accuracy(curves, contribution, i):
    """Of the model trained on i's data and those of the others, under each curve."""
    total = 0.0
    for others in itertools.product(range(NUMBER), repeat=3):
        if sum(others) != NUMBER - 1:
            continue
        ways = factorial(NUMBER - 1) / np.prod([factorial(n) for n in others])
        chance = ways * np.prod(np.power(PROBABILITIES, others))
        total = total + chance * curves([contribution[i] + np.dot(others, contribution)])[:, 0]
    return total


def shares_of(contract):
    middle = contract.problem.accuracy.middle
    one = lambda data: middle(np.asarray(data))[None]  # noqa: E731
    whole = [SCALE * expected_accuracy(one, contract.contribution, i)[0] for i in range(3)]
    return contract.expected_reward / whole


def test_shares_of_the_model_hold_curve_by_curve(model):
    """Both promises under each curve drawn, by enumeration; alone with the amount that is best on average."""
    certificate = verify(model)
    assert certificate.holds
    assert "shares of the trained model's value" in str(certificate)
    curve, m, share = model.problem.accuracy, model.contribution, shares_of(model)
    assert (share <= 1.0 + 1e-9).all()
    for draws, least in ((curve.possible, 0.9), (curve.drawn(300, 99), 0.85)):
        received = np.stack([share[i] * SCALE * expected_accuracy(draws, m, i) for i in range(3)], axis=1)
        grid = np.geomspace(1.0, 2000.0, 15_000)
        holds = np.ones(len(received), dtype=bool)
        for i, cost in enumerate(COSTS):
            best = grid[[np.argmax(SCALE * curve.middle(grid) - cost * grid)]]
            alone = SCALE * draws(best)[:, 0] - cost * best
            own = received[:, i] - cost * m[i]
            holds &= own >= alone - 1.0
            holds &= own >= (received - cost * m).max(axis=1) - 1e-3
        assert holds.mean() >= least


def test_a_menu_of_shares_that_asks_for_too_much_is_seen(model):
    greedy = dataclass_with(model, contribution=model.contribution * 1.5)
    assert not greedy.certificate.holds
    assert any(line.startswith("model:") for line in greedy.certificate.violations)


def dataclass_with(contract, **changed):
    import dataclasses

    return dataclasses.replace(contract, **changed)


def test_values_are_promised_under_every_curve_of_a_set_or_refused_with_the_way_out():
    contract = design_contract(problem(promise="value", level=0.8))
    certificate = verify(contract)
    assert certificate.holds
    region = contract.problem.accuracy.region
    members = region.curves
    for i in range(3):
        worst = SCALE * expected_accuracy(members, contract.contribution, i).min()
        assert contract.expected_reward[i] <= worst * (1.0 + 1e-9)
        grid = np.geomspace(1.0, 2000.0, 1500)
        best = (SCALE * members(grid) - COSTS[i] * grid).max()
        kept = contract.expected_reward[i] - COSTS[i] * contract.contribution[i]
        assert kept >= best * (1.0 - 1e-6)
    vague = Measurements(data=[10, 20, 40], accuracy=[0.5, 0.6, 0.7], standard_error=[0.03] * 3)
    with pytest.raises(Infeasible, match=r"'model'.*'average'"):
        design_contract(problem(vague, promise="value"))


def test_envelopes_bound_every_curve_of_the_set():
    region = CurveSet.central(MeasuredCurve(measurements=PRECISE).possible, 0.9)
    assert len(region.members) == 360
    lowest, highest = concave_below(region, 0.0), Envelope(of=region)
    x = np.geomspace(0.5, 1e7, 997)
    each = region.curves(x)
    assert (lowest(x) <= each.min(axis=0) + 1e-9).all()
    assert (highest(x) >= each.max(axis=0) - 1e-12).all()
    assert np.array_equal(region.accuracy(region.members, x), each)


def test_the_curve_used_follows_the_posterior_mean():
    for path in ("plateau", "flat", "notconverged1036", "plateau_rounded", "s_shape"):
        curve = MeasuredCurve(measurements=read_measurements(DATA / f"{path}.csv"))
        x = curve.measurements.data
        assert np.abs(curve.middle(x) - curve.posterior.mean(x)).max() < 0.012, path
    exact = 0.9 - 0.5 * np.exp(-np.geomspace(1, 1e4, 30) / 300)
    found = concave(np.geomspace(1, 1e4, 30), exact, 0.0)
    assert np.abs(found(np.geomspace(1, 1e4, 30)) - exact).max() < 4e-3


OBJECTIONS = {
    "plateau": "do not rise",
    "flat": "more than 10 data help, or that there is anything to gain together",
    "notconverged1036": "do not rise",
}


@pytest.mark.parametrize("name", OBJECTIONS)
def test_no_green_tick_stands_over_a_curve_that_does_not_rise(name):
    stated = problem(read_measurements(DATA / f"{name}.csv"), costs=[20.0, 10.0, 5.0])
    certificate = design_contract(stated).certificate
    assert OBJECTIONS[name] in certificate.caution
    assert "BUT" in certificate.verdict


def test_a_family_that_its_measurements_reject_stays_rejected_in_the_file():
    stated = problem(read_measurements(DATA / "s_shape.csv"), fit="power-law", costs=[5.0, 2.0, 1.0])
    contract = design_contract(stated)
    again = Contract.from_json(contract.to_json())
    for one in (contract, again):
        assert "reject the curve (chi²" in one.certificate.caution
        assert "BUT" in one.certificate.verdict
    notes = json.loads(contract.to_json())["problem"]["accuracy"]["notes"]
    assert any("reject the curve" in note for note in notes)


def test_a_contract_far_beyond_the_measurements_says_so_in_the_same_line():
    contract = design_contract(problem(costs=[0.5, 0.2, 0.1]))
    assert "times the largest size measured" in contract.certificate.verdict
    near = design_contract(problem())
    assert "times the largest size measured" not in near.certificate.verdict


def test_files_give_back_the_curve_and_believe_no_notes(average):
    text = average.to_json()
    assert Contract.from_json(text).certificate.verdict == average.certificate.verdict
    document = json.loads(text)
    document["problem"]["accuracy"]["notes"] = ["a miracle"]
    assert Contract.from_json(json.dumps(document)).certificate.about == average.certificate.about
    forged = copy.deepcopy(document)
    forged["problem"]["accuracy"]["accuracy"][-1] += 0.02
    with pytest.raises(InvalidInput, match="digest"):
        Contract.from_json(json.dumps(forged))
    table = forged["problem"]["accuracy"]
    table["digest"] = digest({k: v for k, v in table.items() if k not in ("digest", "notes", "baseline")})
    assert not Contract.from_json(json.dumps(forged)).certificate.holds
    old = copy.deepcopy(document)
    old["problem"]["accuracy"]["prior"] = "lcdb-0"
    with pytest.raises(InvalidInput, match="this version knows"):
        Contract.from_json(json.dumps(old))


def test_a_valuation_that_is_not_linear_gets_the_curve_of_the_same_expected_value():
    from contracts import PowerValuation

    curve, valuation = MeasuredCurve(measurements=PRECISE), PowerValuation(scale=1.0, exponent=0.5)
    x = np.array([20.0, 100.0, 300.0])
    same = curve.promised(1e4, valuation)
    assert np.allclose(valuation(same(x)), valuation(curve.possible(x)).mean(axis=0), atol=2e-3)
    assert curve.promised(1e4, LinearValuation(scale=3.0)) is curve.middle


WITH_MODEL = {
    "one option": {"menu": Menu(options=1)},
    "lots": {"menu": Menu(lot=25.0)},
    "a participation margin": {"menu": Menu(participation_margin=300.0)},
    "a preference margin": {"menu": Menu(preference_margin=200.0)},
    "a baseline": {"baseline": 0.6, "chance": 0.6},
    "a scale per type": {"scale": [1e5, 9e4, 1.1e5]},
    "outside utilities": {"outside": Outside(utility=[6e4, 7e4, 8e4])},
    "an outside utility that nobody can match": {"outside": Outside(utility=[99e3, 7e4, 8e4])},
    "joining costs": {"outside": Outside(joining_cost=500.0)},
    "capacities": {"population": {"capacities": [30.0, 100.0, 250.0]}},
    "qualities": {"population": {"qualities": [0.8, 0.9, 1.0]}},
    "doubt": {"population": {"doubt": Doubt(radius=0.1, distance="total-variation")}},
}


@pytest.mark.parametrize("name", WITH_MODEL)
def test_shares_of_the_model_go_together_with(name):
    """Promises and limits, checked on other curves than the design's."""
    changed = {**WITH_MODEL[name]}
    contract = design_contract(problem(promise="model", level=0.9, **changed))
    certificate = verify(contract)
    assert certificate.holds, certificate.violations
    m = contract.contribution
    if name == "one option":
        assert np.ptp(m) == 0.0
    elif name == "lots":
        assert np.allclose(m / 25.0, np.round(m / 25.0))
    elif name == "capacities":
        assert (m <= [30.0, 100.0, 250.0]).all()
    elif name == "an outside utility that nobody can match":
        assert m[0] == contract.expected_reward[0] == 0.0
        assert m[1] > 0.0


def test_margins_are_kept_curve_by_curve():
    def asked(**margins):
        return problem(promise="model", level=0.9, menu=Menu(**margins))

    contract = design_contract(asked(participation_margin=300.0))
    assert np.ptp(contract.contribution) > 0.0
    assert dataclass_with(contract, problem=asked()).certificate.holds
    for more in ({"participation_margin": 3000.0}, {"preference_margin": 3000.0}):
        violations = dataclass_with(contract, problem=asked(**more)).certificate.violations
        assert any(line.startswith("model:") for line in violations), more


def test_who_is_left_out_envies_nobody_under_any_curve():
    """A utility outside that is barely too high for the option offered: the dearest would rather sign."""
    from contracts.contract.stated import Stated
    from contracts.proof.expectations import worlds_expected
    from contracts.proof.measured_check import drawn_utilities, model_kept
    from contracts.proof.promises import read_menu

    contract = design_contract(problem(promise="model", level=0.9, outside=Outside(utility=[99e3, 7e4, 8e4])))
    tempted = problem(promise="model", level=0.9, outside=Outside(utility=[1e4, 7e4, 8e4]))
    form = Stated.of(tempted).form
    menu, _ = read_menu(form, contract.contribution, contract.expected_reward, np.array([1e4, 7e4, 8e4]))
    assert menu.stays[0]
    drawn = drawn_utilities(form, menu, worlds_expected(form, menu.data, None), tempted.accuracy.drawn(50, 3))
    assert not model_kept(form, drawn, menu).any()


def test_what_curves_confirm_is_bounded_with_confidence():
    from scipy import stats

    from contracts.proof.measured_check import at_least, enough

    kept = np.arange(1000) >= 39
    assert stats.binom.sf(960, 1000, at_least(kept)) == pytest.approx(0.05, abs=1e-9)
    assert enough(kept, 0.949)
    assert not enough(np.arange(1000) >= 45, 0.95)
    assert at_least(np.zeros(9, dtype=bool)) == 0.0


REFUSED = {
    "chance level and another baseline": {"baseline": 0.5},
    "model and groups": {
        "promise": "model",
        "population": {"groups": ["a"] * 3, "participants": {"a": 4}},
    },
    "model and scenarios": {
        "promise": "model",
        "scenarios": [Scenario(weight=0.5), Scenario(weight=0.5, probabilities=[0.2, 0.4, 0.4])],
    },
    "model and shading": {"promise": "model", "population": {"shading": 0.1}},
    "model and the ex-ante belief": {"promise": "model", "belief": "ex-ante"},
    "model and a launch clause": {"promise": "model", "menu": Menu(assurance="count")},
    "model and another objective": {"promise": "model", "objective": Welfare()},
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_does_not_go_together_is_refused(name):
    with pytest.raises(InvalidInput, match="do not go together"):
        problem(**REFUSED[name])


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"promise": "best"}, "promise = 'best'"),
        ({"fit": "linear"}, "fit = 'linear'"),
        ({"level": 1.0}, "level = 1"),
        ({"fit": "arctan", "promise": "model"}, "expected fit = 'posterior'"),
        ({"chance": 0.99}, "less than the best measurement"),
    ],
)
def test_bad_measured_curves_are_refused(changed, message):
    with pytest.raises(InvalidInput) as caught:
        MeasuredCurve(measurements=PRECISE, **changed)
    assert message in str(caught.value)


def test_a_baseline_counts_worth_from_chance_on():
    contract = design_contract(problem(chance=0.6, baseline=0.6))
    assert contract.certificate.holds
    assert contract.certificate.caution == ""
    assert contract.problem.accuracy.possible.accuracy.min() >= 0.6
    assert contract.expected_accuracy > 0.95


def test_a_contract_file_remembers_what_was_measured_and_how_it_was_read():
    measured = Measurements(
        data=[50, 100, 200, 400],
        accuracy=np.exp([-1.2, -0.9, -0.7, -0.6]),
        standard_error=[0.01] * 4,
        score="cross-entropy",
        notes=("rows are put in order\x1b[31m",),
    )
    curve = MeasuredCurve(measurements=measured)
    again = MeasuredCurve.from_parameters(json.loads(json.dumps(curve.parameters())))
    assert again.measurements.score == "cross-entropy"
    assert again.measurements.notes == ("rows are put in order\\x1b[31m",)
    assert MeasuredCurve.from_parameters(again.parameters()).parameters() == again.parameters()
    for key, wrong in (("score", "accuracy"), ("reading", ["all is well"])):
        with pytest.raises(InvalidInput, match="digest"):
            MeasuredCurve.from_parameters(curve.parameters() | {key: wrong})
    for wrong in ("text", [1], {}):
        table = curve.parameters() | {"reading": wrong}
        table["digest"] = digest({k: v for k, v in table.items() if k not in ("digest", "notes")})
        with pytest.raises(InvalidInput, match="reading"):
            MeasuredCurve.from_parameters(table)


def test_contributions_about_as_large_as_the_measurements_are_not_worth_a_word():
    evidence = MeasuredCurve(measurements=PRECISE).evidence
    first, last = PRECISE.data[[0, -1]]
    assert evidence.reach(1.009 * last) == evidence.reach(first / 1.009) == ()
    assert "1.02 times" in evidence.reach(1.02 * last)[0]
    assert "1.02 times less" in evidence.reach(first / 1.02)[0]
