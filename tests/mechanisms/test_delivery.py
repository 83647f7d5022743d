import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.errors import InvalidInput
from mechanisms.datasets import Samples, load, split
from mechanisms.delivery import (
    METHODS,
    SAFE_METHODS,
    UNSAFE_METHODS,
    FullModel,
    RandomisedResponse,
    audit,
    deliver,
    train_full,
)
from mechanisms.delivery.families import FAMILIES, NESTED
from mechanisms.models import MultilayerPerceptron, SoftmaxRegression
from mechanisms.training import train

DIGITS = load("digits", validation=450, test=497)
HELD = DIGITS.validation.take(range(400))
OWN = DIGITS.validation.take(range(400, 450))
MODEL = MultilayerPerceptron(features=64, classes=10)
FULL = train_full(MODEL, DIGITS.train)
TARGETS = [0.7, 0.8, 0.9]


def give(accuracies, method, **options):
    return deliver(FULL, accuracies, held_out=HELD, method=method, allow_unsafe=True, **options)


def on_test(params):
    return FULL.accuracy(params, DIGITS.test)


@pytest.mark.parametrize(
    "method",
    [pytest.param(each, marks=pytest.mark.slow) if each == "nested-subset" else each for each in METHODS],
)
def test_promises_are_met_on_held_out_and_on_fresh_samples(method):
    given_models = give(TARGETS, method, seed=5)
    assert given_models.met
    for model, target in zip(given_models.models, TARGETS, strict=True):
        assert abs(model.achieved - target) <= model.standard_error
        fresh = float(np.mean(model.predict(DIGITS.test.inputs) == DIGITS.test.labels))
        # both measurements have a sampling error, and calibration adds that of the held-out samples
        both = np.hypot(model.standard_error, np.sqrt(target * (1 - target) / len(DIGITS.test)))
        assert abs(fresh - target) < 3 * both


@pytest.mark.slow
@pytest.mark.parametrize("method", SAFE_METHODS)
def test_promises_are_met_without_bias_over_seeds(method):
    errors = []
    for seed in range(5):
        digits = load("digits", validation=400, test=497, seed=seed)
        full = train_full(MODEL, digits.train, seed=seed)
        delivery = deliver(full, TARGETS, held_out=digits.validation, method=method, seed=seed)
        assert delivery.met
        errors.append([full.accuracy(m.params, digits.test) - m.promised for m in delivery.models])
    # over 5 seeds the mean error's own deviation is about .028 / sqrt(5) (validation and test sampling)
    assert (np.abs(np.mean(errors, axis=0)) < 3 * 0.028 / np.sqrt(5)).all()


# retraining takes its time
SAFE_WITH_SLOW = [pytest.param(m, marks=pytest.mark.slow) if m == "nested-subset" else m for m in SAFE_METHODS]


QUICK = {"shares": [0.1], "moments": [0, 30, 100], "rates": [0.5]}


@pytest.mark.parametrize("method", SAFE_WITH_SLOW)
def test_a_coalition_gains_nothing_from_the_safe_methods(method):
    delivery = give([0.6, 0.79, 0.8, 0.81], method, seed=2)
    found = audit(delivery, test=DIGITS.test, **QUICK)
    # of points on a training path an extrapolation gains a little, and 497 samples leave open how much
    assert found.coalition_proof if method in NESTED else found.coalition.word != "leaks", found
    assert max(each[0] for each in found.by_several.values()) < found.delivered.max() + 0.1
    assert delivery.coalition_proof == ("by construction" if method in NESTED else "to be audited")


@pytest.mark.slow
@pytest.mark.parametrize("method", [m for m in SAFE_METHODS if m != "nested-subset"])
def test_coalitions_gain_nothing_over_seeds(method):
    gains = []
    for seed in range(3):
        digits = load("digits", validation=450, test=497, seed=seed)
        full = train_full(MODEL, digits.train, seed=seed)
        delivery = deliver(full, [0.6, 0.7, 0.8], held_out=digits.validation, method=method, seed=seed)
        found = audit(delivery, test=digits.test, **QUICK)
        assert found.coalition.word != "leaks"
        together = max(each[-1] for each in found.by_several.values())
        gains.append(together - max(found.recovered[-1, -1], found.alone[-1]))
    assert np.mean(gains) < 0.05


def test_negative_controls_leak_the_full_model():
    for method, attack in (("independent-masks", "union"), ("independent-noise", "average")):
        delivery = give([0.8] * 10, method, seed=2)
        found = audit(delivery, test=DIGITS.test, **QUICK)
        assert delivery.coalition_proof.startswith("broken")
        assert found.coalition.word == "leaks"
        assert found.by_several[attack][0] > found.full - 0.03
    for method, attack in (("interpolated", "ray"), ("randomised-response", "asked again")):
        # with a twentieth of the joint data, which alone give far less than the full model has
        found = audit(give(0.8, method, seed=2), test=DIGITS.test, **QUICK | {"shares": [0.05]})
        assert found.fine_tuning.word == "leaks"
        assert found.by_one[attack][0, -1] > found.full - 0.03


def test_a_model_of_80_brought_back_to_92_by_fifty_samples_is_a_leak():
    delivery = give(0.8, "top-changes")
    # fifty own samples are 6 % of the joint data
    found = audit(delivery, own=OWN, test=DIGITS.test, shares=[50 / len(DIGITS.train)], rates=[0.5])
    assert found.by_one["fine-tuned"][0, 1] > 0.88
    assert found.fine_tuning.word == "leaks"
    assert not found.fine_tuning_proof
    assert found.alone[1] < 0.85
    assert "leaks" in repr(found)


@pytest.mark.slow
def test_rays_and_blends_find_what_training_further_alone_does_not():
    """A point of the training path, taken up to five times as far and trained further from there."""
    gained = {"ray": [], "blended": []}
    for seed in range(2):
        delivery = give(0.8, "early-stop", seed=seed)
        found = audit(delivery, test=DIGITS.test, shares=[0.05], rates=[0.5, 0.1], seed=seed)
        for name, gains in gained.items():
            gains.append(found.by_one[name][0, 1] - found.by_one["fine-tuned"][0, 1])
    assert np.mean(gained["ray"]) > 0.02
    assert np.mean(gained["blended"]) > 0


def test_deliveries_with_other_seeds_are_independent_draws_which_no_audit_of_one_sees():
    """The same promise four times, of one training, each time with another seed: together the full model."""
    models = [give(0.8, "masked", seed=seed).models[0] for seed in range(4)]
    union = FULL.initial.copy()
    for model in models:
        changed = model.params != FULL.initial
        union[changed] = model.params[changed]
    assert max(on_test(model.params) for model in models) < 0.87
    assert on_test(union) > on_test(FULL.params) - 0.03


def test_what_own_data_give_by_themselves_is_no_leak():
    found = audit(give(0.8, "top-changes"), test=DIGITS.test, shares=[0.9], moments=[0, 300], rates=[0.5])
    assert found.recovered[0, 1] > 0.9
    assert found.fine_tuning.holds, found


def test_own_data_that_are_not_there_are_not_shown_to_be_harmless():
    found = audit(
        give(0.99, "early-stop"), own=OWN, test=DIGITS.test, shares=[0.05, 0.5], moments=[0], rates=[1]
    )
    assert found.fine_tuning.word == found.coalition.word == "open"
    assert "own samples" in found.fine_tuning.untested[0]


def test_few_test_samples_leave_a_verdict_open():
    words = [
        audit(give(0.8, "early-stop"), test=DIGITS.test.take(range(count)), **QUICK).fine_tuning.word
        for count in (25, 497)
    ]
    assert words[0] == "open"


def test_equal_promises_get_equal_models_from_the_safe_methods_only():
    for method in METHODS:
        first, second = give([0.8, 0.8], method).models
        same = np.array_equal(first.predict(DIGITS.test.inputs), second.predict(DIGITS.test.inputs))
        assert same == (not method.startswith("independent"))


@settings(max_examples=30, deadline=None)
@given(low=st.floats(0, 1), high=st.floats(0, 1), seed=st.integers(0, 50))
def test_masked_and_quantised_models_follow_from_better_ones(low, high, seed):
    low, high = sorted((low, high))
    for method in ("masked", "top-changes", "quantised"):
        family = FAMILIES[method](full=FULL, seed=seed)
        worse = family.at(int(low * family.levels))
        better = family.at(int(high * family.levels))
        if method == "quantised":
            # a family built on the better model alone gives the same worse model
            change = better - FULL.initial
            scale = np.abs(FULL.params - FULL.initial).max()
            cell = 2 * scale / 3.0 ** depth_of(family, int(low * family.levels))
            if int(low * family.levels) == family.levels:
                continue
            again = np.clip(np.rint(change / cell), *bounds(cell, scale)) * cell
            np.testing.assert_allclose(again, worse - FULL.initial, atol=1e-9 * scale)
        else:
            untouched = worse == FULL.initial
            assert np.array_equal(worse[~untouched], better[~untouched])


def depth_of(family, level):
    everywhere, further = divmod(level, len(FULL.params))
    depth = np.full(len(FULL.params), everywhere)
    depth[np.random.default_rng([family.seed, 3]).permutation(len(depth))[:further]] += 1
    return depth


def bounds(cell, scale):
    half = np.rint((2 * scale / cell - 1) / 2)
    return -half, half


def test_noise_of_a_worse_model_is_that_of_the_better_and_independent_more():
    size, deviations, crossings = len(FULL.params), [], []
    for seed in range(40):
        family = FAMILIES["noisy"](full=FULL, seed=seed)
        better, worse = (family.at(family.levels - level) - FULL.params for level in (324, 724))
        unit = 16 * np.linalg.norm(family.change) / np.sqrt(size) / 4096
        deviations.append([np.std(better) / unit / 324, np.std(worse) / unit / 724])
        crossings.append(np.corrcoef(better, worse - better)[0, 1])
        assert np.array_equal(family.at(family.levels), FULL.params)
    np.testing.assert_allclose(np.mean(deviations, axis=0), 1, atol=4 / np.sqrt(2 * 40 * size))
    assert abs(np.mean(crossings)) < 4 / np.sqrt(40 * size)


@pytest.mark.parametrize("method", [m for m in METHODS if m in FAMILIES])
def test_families_lead_from_the_initial_to_the_full_model(method):
    family = FAMILIES[method](full=FULL, seed=1)
    assert np.array_equal(family.at(family.levels), FULL.params)
    if "nois" not in method:
        np.testing.assert_allclose(family.at(0), FULL.initial, atol=1e-15)
    levels = np.linspace(0, family.levels, 21).astype(int).tolist()
    accuracies = np.array([on_test(family.at(level)) for level in levels])
    useful = accuracies[np.argmax(accuracies >= 0.5) :]  # models below are as good as random, and scatter
    dip = (np.maximum.accumulate(useful) - useful).max()
    # rounding to few cells is not monotone; the others dip by no more than sampling
    assert dip < (0.12 if method == "quantised" else 0.06)


def test_randomised_response_is_exact_cached_and_nested():
    answers = [RandomisedResponse(full=FULL, replaced=p, secret=11) for p in (0.2, 0.5)]
    inputs = DIGITS.train.inputs
    honest = MODEL.predict(FULL.params, inputs)
    better, worse = (a.predict(inputs) for a in answers)
    assert np.array_equal(better, answers[0].predict(inputs))
    # an answer the better one got replaced is replaced alike in the worse one
    assert np.array_equal(better[better != honest], worse[better != honest])
    for p, given_answers in zip((0.2, 0.5), (better, worse), strict=True):
        expected = p * 0.9
        sd = np.sqrt(expected * (1 - expected) / len(inputs))
        assert abs(np.mean(given_answers != honest) - expected) < 4 * sd
    other = RandomisedResponse(full=FULL, replaced=0.5, secret=12).predict(inputs)
    assert not np.array_equal(other, worse)


def test_promises_out_of_reach_say_what_was_met():
    best = FULL.accuracy(FULL.params, HELD)
    for method in METHODS:
        above, full, below = give([0.999, best, 0.0], method).models
        assert not above.met
        assert above.achieved == pytest.approx(best)
        assert "above the full model" in above.remark
        assert full.met
        assert full.achieved == pytest.approx(best)
        assert not below.met
        assert below.remark
        assert below.achieved < 0.25
        assert below.remark in repr(below)


def test_a_family_that_skips_an_accuracy_says_so():
    # from zero parameters the first step already decides all classes: no path point lies at .5
    jump = train_full(SoftmaxRegression(features=64, classes=10), DIGITS.train)
    (model,) = deliver(jump, 0.5, held_out=HELD).models
    assert not model.met
    assert model.remark == "the nearest that early-stop reaches"
    (masked,) = deliver(jump, 0.5, held_out=HELD, method="masked").models
    assert masked.met


def test_a_federated_run_can_be_delivered():
    parts = split(DIGITS, participants=5)
    run = train(MODEL, parts, rounds=40, validation=HELD, patience=10, checkpoints=True)
    full = FullModel.of(run)
    assert np.array_equal(full.initial, MODEL.initial(0))
    (model,) = deliver(full, 0.6, held_out=HELD).models
    assert model.met
    (masked,) = deliver(full, 0.6, held_out=HELD, method="masked", seed=3).models
    assert masked.met


@pytest.mark.parametrize("method", ["early-stop", "randomised-response"])
def test_delivered_models_can_be_sent(method):
    (model,) = give(0.8, method).models
    received = pickle.loads(pickle.dumps(model))
    inputs = DIGITS.test.inputs
    assert np.array_equal(received.predict(inputs), model.predict(inputs))


def test_audit_repeats():
    delivery = give([0.7, 0.8], "early-stop")
    first, second = (audit(delivery, own=OWN, test=DIGITS.test, **QUICK) for _ in range(2))
    assert np.array_equal(first.recovered, second.recovered)
    assert first.delivered.tolist() == [on_test(model.params) for model in delivery.models]
    assert np.all(first.by_one["fine-tuned"][:, 0] != first.by_one["fine-tuned"][:, 0])  # NaN without own data


EMPTY = Samples(inputs=np.zeros((0, 64)), labels=np.zeros(0, int))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: give(1.2, "early-stop"), "accuracies[0] = 1.2"),
        (lambda: give([0.5, np.nan], "early-stop"), "accuracies[1] = nan"),
        (lambda: give([], "early-stop"), "accuracies is empty"),
        (lambda: give(0.5, "distil"), "method = 'distil'"),
        (lambda: deliver(FULL, 0.5, held_out=HELD, method="interpolated"), "is unsafe"),
        (lambda: deliver(FULL, 0.5, held_out=EMPTY), "held_out has no samples"),
        (lambda: deliver(FULL, 0.5, held_out=load("iris").test), "held_out has 4 features"),
        (lambda: give(0.5, "early-stop", tolerance=-1), "tolerance = -1"),
        (lambda: give(0.5, "masked", seed=-1), "seed = -1"),
        (lambda: give(0.5, "randomised-response", seed=10**40), "from 0 to 4294967295"),
        (lambda: audit(give(0.5, "masked"), own=EMPTY, test=DIGITS.test), "own has no samples"),
        (lambda: audit(give(0.5, "masked"), own=OWN, test=load("iris").test), "test has 4 features"),
        (lambda: audit(give(0.5, "masked"), own=OWN, test=OWN, seed=-1), "seed = -1"),
        (lambda: audit(give(0.5, "masked"), own=OWN, test=OWN, moments=[3, 1]), "moments = [3, 1]"),
        (lambda: audit(give(0.5, "masked"), own=OWN, test=OWN, shares=[0]), "shares[0] = 0"),
        (lambda: train_full(MODEL, EMPTY), "samples is empty"),
        (lambda: train_full(MODEL, load("iris").train), "samples has 4 features"),
        (lambda: train_full(MODEL, HELD, steps=0), "steps = 0"),
        (
            lambda: FullModel(model=MODEL, initial=FULL.initial, params=np.zeros(3)),
            "params has length 3",
        ),
        (
            lambda: FullModel(model=MODEL, initial=FULL.initial, params=FULL.params * np.nan),
            "params[0] = nan",
        ),
        (
            lambda: deliver(
                FullModel(model=MODEL, initial=FULL.initial, params=FULL.params), 0.5, held_out=HELD
            ),
            "full.path is missing",
        ),
        (
            lambda: deliver(
                FullModel(model=MODEL, initial=FULL.initial, params=FULL.params),
                0.5,
                held_out=HELD,
                method="nested-subset",
            ),
            "full.samples is missing",
        ),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(InvalidInput) as caught:
        call()
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_every_unsafe_method_says_why():
    for method, why in UNSAFE_METHODS.items():
        with pytest.raises(InvalidInput, match=why.split(" is ")[0]):
            deliver(FULL, 0.5, held_out=HELD, method=method)
