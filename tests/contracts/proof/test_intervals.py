"""Certificates over balls: they agree with the ordinary ones, enclose the truth, and are not fooled."""

import dataclasses
import json
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from flint import arb

from contracts import (
    Arctan,
    BackendMissing,
    Contract,
    CustomCurve,
    Doubt,
    Exponential,
    ExponentialUtility,
    GeneralizationBound,
    LinearValuation,
    LogarithmicValuation,
    Menu,
    MonotoneTabulated,
    Outside,
    Poisson,
    Population,
    PowerLaw,
    PowerValuation,
    Problem,
    Tabulated,
    design_contract,
    verify,
)
from contracts.proof.certify import GAP, certify, mixtures_of
from contracts.proof.evidence import Proof
from contracts.proof.intervals.ball import ball, balls, between, lower, power, precision, upper
from contracts.proof.intervals.expectation_balls import _by_mixture, _by_outcomes
from contracts.proof.intervals.form_balls import by_data, form_balls
from contracts.proof.intervals.law_balls import LawBalls
from contracts.proof.intervals.loss_balls import CrowdBalls
from contracts.proof.intervals.loss_cover import VALUE, cover
from contracts.proof.intervals.rigorous import Given, rigorously
from contracts.proof.intervals.world_balls import Worth, peak
from contracts.proof.outside_options import outside_utilities

POWER_LAW = PowerLaw(optimum=0.95, coefficient=2.0, exponent=0.4)
FALLING = [0.2, 0.16, 0.12, 0.08, 0.04]
FORGERIES = Path(__file__).parent / "forgeries"
CURVES = {
    "power law": POWER_LAW,
    "bound": GeneralizationBound(),
    "exponential": Exponential(optimum=0.9, rate=0.005),
    "arctan": Arctan(optimum=0.9, scale=100.0),
    "tabulated": Tabulated(data=[100, 400, 1000], accuracy=[0.5, 0.8, 0.9]),
    "monotone": MonotoneTabulated(data=[50, 100, 200], accuracy=[0.05, 0.6, 0.8]),
}
VALUATIONS = (
    LinearValuation(scale=100.0),
    PowerValuation(scale=100.0, exponent=0.7),
    ExponentialUtility(scale=100.0, risk_aversion=2.0),
    LogarithmicValuation(scale=100.0, sensitivity=3.0),
)


def stated(costs=FALLING, participants=10, accuracy=POWER_LAW, valuation=VALUATIONS[0], **other):
    of_people = ("capacities", "names", "groups", "doubt", "qualities", "shading")
    people = {name: other.pop(name) for name in of_people if name in other}
    p = other.pop("probabilities", None if participants == "named" else np.ones(len(costs)) / len(costs))
    population = Population(costs=costs, probabilities=p, participants=participants, **people)
    return Problem(population=population, accuracy=accuracy, valuation=valuation, **other)


PROBLEMS = {
    "S1": stated(accuracy=GeneralizationBound()),
    "S2": stated([1, 0.85, 0.7, 0.55, 0.4], accuracy=GeneralizationBound()),
    "S3": stated([0.5, 0.4, 0.03, 0.02, 0.001], accuracy=GeneralizationBound()),
    "many": stated(participants=100),
    "law": stated([0.2, 0.1, 0.04], Poisson(mean=20.0)),
    "groups": stated([0.2, 0.1, 0.04], {"a": 4, "b": 1}, groups=["a", "a", "b"], probabilities=[0.5, 0.5, 1.0]),
    "named hospitals": stated(
        [150.0, 120.0, 90.0, 70.0, 50.0, 40.0],
        "named",
        PowerLaw(optimum=0.97, coefficient=1.2, exponent=0.5),
        LinearValuation(scale=100_000.0),
        names=list("ABCDEF"),
        baseline=0.5,
    ),
    "capacities": stated(capacities=[100.0, 150.0, 200.0, 400.0, 900.0]),
    "lots": stated([0.2, 0.12, 0.04], 6, menu=Menu(lot=10.0)),
    "options": stated(menu=Menu(options=3)),
    "outside": stated([0.2, 0.1, 0.04], 6, outside=Outside(utility=[0.0, 10.0, 60.0])),
    "curved value": stated([0.2, 0.1, 0.04], 6, valuation=VALUATIONS[3]),
    "outcomes": stated([0.2, 0.04], 4, CURVES["arctan"]),
    "branched": stated([0.9, 0.6], 3, CURVES["monotone"]),
}
_DESIGNED: dict[str, Contract] = {}


def designed(name) -> Contract:
    if name not in _DESIGNED:
        _DESIGNED[name] = design_contract(PROBLEMS[name])
    return _DESIGNED[name]


@pytest.mark.parametrize("name", list(PROBLEMS))
def test_what_is_designed_is_proved(name):
    contract = designed(name)
    ordinary, certificate = verify(contract), verify(contract, rigorous=True)
    assert certificate.holds, certificate
    assert certificate.optimal, certificate
    # The ordinary kernel allows for errors of mixtures that are enclosed here.
    assert 0.0 <= certificate.gap <= 1.5 * ordinary.gap + 1e-6 * contract.problem.largest_value
    short = certificate.extended["largest amount by which a promise may be broken"]
    assert 0.0 <= short <= certificate.tolerance
    assert f"up to at most {short:.3g}" in str(certificate)
    np.testing.assert_allclose(certificate.participation_slack, ordinary.participation_slack, atol=1e-7)
    np.testing.assert_allclose(certificate.envy, ordinary.envy, atol=1e-9)


def test_every_ingredient_is_proved(case):
    ordinary = certify(case.problem, **case.stated, proof=case.proof)
    columns = case.stated
    given = Given(
        raw=columns["contribution"],
        reward=columns["expected_reward"],
        reservation=columns["reservation_utility"],
        objective=columns["objective"],
        accuracy=columns["expected_accuracy"],
        reached=None,
    )
    certificate = rigorously(ordinary, case.problem, given, case.proof, GAP)
    assert (certificate.holds, certificate.optimal) == (True, True), certificate
    assert certificate.gap == pytest.approx(ordinary.gap, rel=1e-3, abs=1e-6)


@pytest.mark.parametrize("field", ["contribution", "expected_reward"])
def test_a_promise_broken_by_more_than_rounding_is_found(field):
    contract = designed("S1")
    values = getattr(contract, field).copy()
    values[2] += {"contribution": 1e-6 / 0.12, "expected_reward": 1e-6}[field]
    assert not verify(dataclasses.replace(contract, **{field: values}), rigorous=True).holds


@pytest.mark.parametrize("name", sorted(path.name for path in FORGERIES.glob("*.json")))
def test_no_forged_file_is_called_optimal(name):
    certificate = verify(Contract.load(FORGERIES / name), rigorous=True)
    assert (certificate.optimal, certificate.gap) == (False, None)


def with_weights(contract, name, change):
    witness = getattr(contract.proof, name)
    changed = {key: change(getattr(witness, key)) for key in ("target_weights", "value_weights")}
    proof = Proof(**{name: dataclasses.replace(witness, **changed)})
    return dataclasses.replace(contract, proof=proof)


def test_a_relaxation_above_the_curve_is_refused_and_a_lower_one_is_looser():
    contract = designed("S1")
    above = verify(with_weights(contract, "global_witness", lambda w: 1.02 * w), rigorous=True)
    assert (above.optimal, above.gap) == (False, None)
    shrunk = verify(with_weights(contract, "global_witness", lambda w: 1.005 * w), rigorous=True)
    assert shrunk.gap == pytest.approx(verify(contract, rigorous=True).gap, rel=1e-3, abs=1e-6)
    lower_one = verify(with_weights(contract, "global_witness", lambda w: 0.995 * w), rigorous=True)
    assert lower_one.gap > shrunk.gap + 1e-3


def test_negative_weights_are_no_mixture():
    contract = designed("S1")
    for name in ("witness", "global_witness"):
        found = verify(with_weights(contract, name, lambda w: np.r_[-1e-9, w[1:]]), rigorous=True)
        assert (found.gap, found.as_solved_gap) == (None, None)
        assert "negative" in found.missing


def test_a_mixture_above_the_curve_between_any_points_is_caught():
    # A steep exponential on top of a mixture that lies below the loss: it sticks out near zero only.
    with precision():
        worth = form_balls(designed("S1").form).worlds[0].worth
        witness = designed("S1").proof.global_witness
        fine = cover(worth, VALUE, witness.rates, witness.value_weights, 1e5)
        rates = np.r_[witness.rates, 1e9]
        thorn = np.r_[witness.value_weights, 20.0]
        found = cover(worth, VALUE, rates, thorn, 1e5)
    assert fine.floor_factor <= 1.0
    assert found.floor_factor == pytest.approx(1.2, rel=1e-3)
    assert found.high == pytest.approx(fine.high, abs=1e-9)


@pytest.mark.parametrize("width", [1e-2, 1e-6])
def test_a_narrow_dip_of_the_loss_is_seen(width):
    # The mixture has the loss's value on either side of a dip that no table of points need hit.
    worth = Worth(
        MonotoneTabulated(data=[100.0, 100.0 + width, 1e4], accuracy=[0.1, 0.5, 0.6]),
        VALUATIONS[0],
        ball(100.0),
        baseline=0.0,
        target_is_value=True,
        floor=0.0,
    )
    with precision():
        found = cover(worth, VALUE, np.array([0.0]), np.array([20.0]), 5000.0)
        true = 20.0 / float(worth.loss(VALUE, arb(5000.0)))
    assert found.high >= true
    assert found.high == pytest.approx(true, rel=1e-6)
    assert found.low == pytest.approx(20.0 / 60.0, rel=1e-6)


@pytest.mark.parametrize("name", list(CURVES))
@pytest.mark.parametrize("valuation", VALUATIONS, ids=lambda v: v.family)
def test_balls_hold_the_values_of_floats_and_outside_options(name, valuation):
    problem = stated([0.2, 0.04], 4, CURVES[name], valuation, baseline=0.0)
    with precision():
        worth = form_balls(design_form(problem)).worlds[0].worth
        for x in (0.0, 1.0, 30.0, 57.0, 100.0, 101.0, 400.0, 1e3, 1e5):
            enclosed = worth.at(VALUE, arb(x))
            assert float(enclosed.rad()) < 1e-9
            assert float(enclosed.mid()) == pytest.approx(float(problem.value(x)), abs=1e-11 * 100)
            # A wide ball holds what narrow ones hold.
            wide = worth.at(VALUE, between(x, 2.0 * x + 1.0))
            assert lower(wide) <= float(problem.value(1.5 * x + 0.5)) + 1e-9 <= upper(wide) + 2e-9
        for cost, alone in zip(problem.population.costs, outside_utilities(design_form(problem)), strict=True):
            low, high = peak(worth, VALUE, ball(cost), 0.0, 100.0 / cost)
            assert low <= alone + 1e-11 * 100
            assert alone <= high + 1e-12 * 100
            assert high - low <= 1e-11 * 100


def design_form(problem):
    from contracts.problem.standard_form import standard_form

    return standard_form(problem)


def test_peaks_hold_the_values_at_points_for_any_slope():
    with precision():
        for name in ("bound", "monotone", "tabulated"):
            problem = stated([0.2, 0.04], 4, CURVES[name])
            worth = form_balls(design_form(problem)).worlds[0].worth
            for slope in (0.0, 0.01, 0.1, 1.0):
                data = np.linspace(20.0, 700.0, 5001)
                most = float((problem.value(data) - slope * data).max())
                low, high = peak(worth, VALUE, ball(slope), 20.0, 700.0)
                assert most - 1e-10 <= high <= most + 1e-3
                assert low <= high


@pytest.mark.parametrize("belief", ["interim", "ex-ante"])
def test_mixtures_and_outcomes_enclose_one_another(belief):
    contract = design_contract(stated([0.2, 0.1, 0.04], 8, belief=belief))
    form = contract.form
    with precision():
        exact = form_balls(form)
        world, data = exact.worlds[0], [Fraction(float(x)) for x in contract.contribution]
        crowd = CrowdBalls(by_data(exact, world, data), np.zeros(3, dtype=int), world.laws, belief == "ex-ante")
        listed = _by_outcomes(crowd, world.worth, data)
        mixture = mixtures_of(contract.proof, 1)[0]
        mixed = _by_mixture(crowd, world.worth, data, mixture, contract.problem.most_data, True)
    for one, other in zip(listed.given, mixed.given, strict=True):
        assert lower(other) <= upper(one)
        assert upper(one) - lower(other) <= 1e-7
    assert mixed.value.overlaps(listed.value)
    assert float(mixed.value.rad()) < 1e-6
    assert mixed.accuracy.overlaps(listed.accuracy)


def test_tails_and_beliefs_of_laws():
    from scipy import stats

    from contracts import Binomial, FiniteTurnout

    with precision():
        for law in (
            Poisson(mean=12.0),
            Binomial(trials=400, probability=0.05),
            FiniteTurnout(counts=[2, 5], probabilities=[0.25, 0.75]),
        ):
            exact = LawBalls(law)
            for z in (0.3, 1.0):
                assert float(exact.generating(arb(z))) == pytest.approx(float(law.generating(z)), rel=1e-12)
                assert float(exact.belief(arb(z))) == pytest.approx(float(law.others().generating(z)), rel=1e-12)
            for n in (2, 5, 8):
                chances = dict(zip(*(column.tolist() for column in law.support), strict=True))
                assert float(exact.chance(n)) == pytest.approx(chances.get(n, 0.0), rel=1e-9)
                others = dict(zip(*(column.tolist() for column in law.others().support), strict=True))
                assert float(exact.chance(n, others=True)) == pytest.approx(others.get(n, 0.0), rel=1e-9)
        poisson = LawBalls(Poisson(mean=12.0))
        most = poisson.law.most
        assert stats.poisson(12.0).sf(most) <= float(poisson.beyond()) <= 1e-12
        assert stats.poisson(12.0).sf(most - 1) <= float(poisson.beyond(others=True)) <= 1e-12


def test_roundings_are_outwards():
    with precision():
        third = ball(Fraction(1, 3))
        assert Fraction(lower(third)) < Fraction(1, 3) < Fraction(upper(third))
        assert lower(ball(0.1)) == upper(ball(0.1)) == 0.1
        assert (upper(arb.pos_inf()), lower(arb.nan())) == (np.inf, -np.inf)
        assert power(between(-1, 1), 3).contains(0)
        assert list(balls([1, 2])) == [1, 2]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"accuracy": CustomCurve(function=lambda x: 0.9 * x / (x + 50.0), optimum=0.9)}, "'custom'"),
        ({"doubt": Doubt(radius=0.05, distance="kullback-leibler")}, "Kullback-Leibler"),
    ],
)
def test_what_has_no_enclosure_is_not_passed(changes, said):
    contract = design_contract(stated([0.2, 0.04], 4, **changes))
    certificate = verify(contract, rigorous=True)
    assert not certificate.holds
    assert not certificate.optimal
    assert certificate.gap is None
    assert certificate.violations[-1].startswith("not proved rigorously: ")
    assert said in certificate.violations[-1]


def test_costs_that_are_equal_but_for_rounding_are_named():
    costs, qualities = [0.774, 2.7642857142857142, 0.1], [0.28, 1.0, 1.0]
    problem = stated(costs, 4, qualities=qualities)
    assert design_form(problem).rows == 2
    certificate = verify(design_contract(problem), rigorous=True)
    assert not certificate.holds
    assert "type 1 and type 2 have costs that are equal but for rounding" in certificate.violations[-1]
    alike = stated([0.3 * 0.1, 0.1 * 0.3, 0.02], 4)
    assert verify(design_contract(alike), rigorous=True).optimal


def test_a_missing_proof_is_missing_evidence():
    bare = dataclasses.replace(designed("S1"), proof=Proof())
    certificate = verify(bare, rigorous=True)
    assert certificate.holds
    assert (certificate.optimal, certificate.gap) == (False, None)
    many = dataclasses.replace(designed("many"), proof=Proof())
    certificate = verify(many, rigorous=True)
    assert not certificate.holds
    assert "too many outcomes" in certificate.violations[-1]


def test_a_missing_library_says_how_to_install_it(monkeypatch):
    for name in [name for name in sys.modules if name.startswith("contracts.proof.intervals")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "flint", None)
    with pytest.raises(BackendMissing, match=r"pip install 'modelpact\[rigorous\]'"):
        verify(designed("S1"), rigorous=True)


def test_the_command_line_proves_rigorously(tmp_path, capsys):
    from modelpact.cli import main

    path = tmp_path / "contract.json"
    designed("S1").save(path)
    assert main(["verify", str(path), "--rigorous"]) == 0
    assert "every promise holds up to at most" in capsys.readouterr().out
    bare = tmp_path / "bare.json"
    dataclasses.replace(designed("S1"), proof=Proof()).save(bare)
    assert main(["verify", str(bare), "--rigorous"]) == 3
    broken = json.loads(path.read_text())
    broken["expected_reward"][0] *= 0.99
    path.write_text(json.dumps(broken))
    assert main(["verify", str(path), "--rigorous", "--json"]) == 1
