"""Losses as measurements and as what models are worth: one scale, on which more is better."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts import (
    Contract,
    InvalidInput,
    LogarithmicValuation,
    LossValuation,
    MeasuredCurve,
    Population,
    PowerLaw,
    Problem,
    design_contract,
    fit_curve,
    read_measurements,
    verify,
)
from contracts.measured.scores import MAPS
from contracts.problem.valuation import LOSSES

REFERENCES = {"cross-entropy": 2.3, "perplexity": 12.0, "error": 0.6}
POPULATION = Population(costs=[0.2, 0.1, 0.04], probabilities=[0.3, 0.4, 0.3], participants=7)


def problem(valuation, baseline=None, curve=None):
    return Problem(
        population=POPULATION,
        accuracy=curve or PowerLaw(optimum=0.9, coefficient=1.5, exponent=0.5),
        valuation=valuation,
        baseline=valuation.without_data if baseline is None else baseline,
    )


@pytest.mark.parametrize("of", LOSSES)
@given(share=st.floats(0.0, 1.0), step=st.floats(0.0, 1.0))
def test_value_is_linear_in_the_loss_itself(of, share, step):
    valuation = LossValuation(scale=80.0, reference=REFERENCES[of], of=of)
    least = LOSSES[of].least
    loss = least + share * (REFERENCES[of] - least)
    score = float(np.clip(MAPS[of].there(np.array(loss)), 0.0, 1.0))
    assert float(valuation(score)) == pytest.approx(80.0 * (1.0 - share), abs=1e-9)
    if share < 1.0:
        assert float(valuation.inverse(valuation(score))) == pytest.approx(score, abs=1e-9)
    # losses of value are differences of values, above the reference and below it
    missing = step * score
    expected = float(valuation(score)) - float(valuation(score - missing))
    assert float(valuation.loss(score, missing, np)) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("of", LOSSES)
def test_small_losses_of_value_keep_their_precision(of):
    valuation = LossValuation(scale=80.0, reference=REFERENCES[of], of=of)
    slope = (valuation(0.7 + 1e-5) - valuation(0.7 - 1e-5)) / 2e-5
    assert valuation.loss(0.7, 1e-12, np) / 1e-12 == pytest.approx(slope, rel=1e-6)


@pytest.mark.parametrize("of", LOSSES)
def test_contracts_are_designed_on_the_loss_stored_and_verified(of):
    contract = design_contract(problem(LossValuation(scale=100.0, reference=REFERENCES[of], of=of)))
    assert contract.certificate.holds
    assert contract.contribution.max() > 0.0
    again = Contract.from_json(contract.to_json())
    assert again.problem.valuation.of == of
    assert verify(again).holds


def test_a_cross_entropy_is_the_logarithm_of_what_exceeds_the_baseline():
    # scale (ln a - ln b) / r with b = exp(-r) is scale log(1 + y/b) / log(1 + (1 - b)/b)
    valuation = LossValuation(scale=100.0, reference=2.0)
    b = np.exp(-2.0)
    y = np.linspace(0.0, 1.0 - b, 7)
    known = LogarithmicValuation(scale=1.0, sensitivity=1.0 / b)
    expected = 100.0 * known(y) / known(1.0 - b)
    np.testing.assert_allclose(valuation(np.minimum(b + y, 1.0)), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("valuation", "baseline"),
    [
        (LossValuation(scale=100.0, reference=2.3), None),
        (LogarithmicValuation(scale=100.0, sensitivity=9.0), 0.1),
    ],
    ids=["loss", "logarithmic"],
)
def test_a_theorem_in_interval_arithmetic(valuation, baseline):
    pytest.importorskip("flint")
    contract = design_contract(problem(valuation, baseline))
    certificate = verify(contract, rigorous=True)
    assert certificate.holds
    assert certificate.independent_check.startswith("proved with balls")


def test_a_lower_baseline_is_refused_with_the_reason():
    with pytest.raises(
        InvalidInput, match=r"a valuation of losses and a baseline below its reference .* exp\(-ref"
    ):
        design_contract(problem(LossValuation(scale=100.0, reference=2.3), baseline=0.0))
    sound = design_contract(problem(LossValuation(scale=100.0, reference=2.3)))
    forged = dataclasses.replace(sound, problem=problem(LossValuation(scale=100.0, reference=2.3), baseline=0.0))
    with pytest.raises(InvalidInput, match="a valuation of losses"):
        verify(forged)
    higher = problem(LossValuation(scale=100.0, reference=2.3), baseline=0.3)  # everybody has a better model
    assert design_contract(higher).certificate.holds


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"of": "brier"}, "of = 'brier'"),
        ({"reference": 0.0}, "reference = 0"),
        ({"reference": 1.0, "of": "perplexity"}, "reference = 1"),
        ({"reference": 1.5, "of": "error"}, "reference = 1.5"),
        ({"scale": 0.0}, "scale = 0"),
    ],
)
def test_bad_valuations_are_refused(changed, message):
    with pytest.raises(InvalidInput) as caught:
        LossValuation(**changed)
    assert message in str(caught.value)


def test_scaling_laws_go_through_the_same_door(tmp_path):
    # L(D) = 1.69 + 410.7 / D^0.28, the fit of Hoffmann et al. 2022 (arXiv 2203.15556) for data alone
    def law(tokens):
        return 1.69 + 410.7 / tokens**0.28

    tokens = np.geomspace(1e8, 1e10, 7)
    path = tmp_path / "loss.csv"
    path.write_text("tokens,loss,standard_error\n" + "".join(f"{x:.0f},{law(x):.5f},0.005\n" for x in tokens))
    measured = read_measurements(path)
    assert measured.score == "cross-entropy"
    posterior = fit_curve(measured)
    low, high = (-np.log(end) for end in posterior.interval(1e11)[::-1])
    assert low < law(1e11) < high
    assert low > 0.9  # what real losses do is an analogy: the interval is wide downwards
    curve = MeasuredCurve(measurements=measured, chance=float(np.exp(-8.0)))
    per_token = dataclasses.replace(POPULATION, costs=[4e-10, 2e-10, 1e-10])
    contract = design_contract(
        Problem(
            population=per_token,
            accuracy=curve,
            valuation=LossValuation(scale=100.0, reference=8.0),
            baseline=float(np.exp(-8.0)),
        )
    )
    assert contract.certificate.holds
    assert contract.contribution.max() > 1e8
