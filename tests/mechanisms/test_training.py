import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.errors import InvalidInput, NotConverged
from mechanisms.datasets import Samples, load, split
from mechanisms.local_training import LocalTraining, local_updates, stack, train_alone
from mechanisms.models import MultilayerPerceptron, SoftmaxRegression
from mechanisms.rounds import Reward
from mechanisms.training import train

IRIS = load("iris")
PARTS = split(IRIS, participants=4, kind="power-law", seed=1)
SOFTMAX = SoftmaxRegression(features=4, classes=3)
MLP = MultilayerPerceptron(features=4, classes=3, hidden=(5, 3))


@pytest.mark.parametrize("model", [SOFTMAX, MLP])
def test_gradients_agree_with_finite_differences(model):
    part = PARTS[2]
    draw = np.random.default_rng(0)
    params, weights = draw.normal(size=model.size), draw.uniform(size=len(part))
    with jax.enable_x64(True):

        def loss(vector):
            return model.loss(vector, part.inputs, part.labels, weights)

        gradient = np.asarray(jax.grad(loss)(params))
        step = 1e-6
        numeric = [(loss(params + step * e) - loss(params - step * e)) / (2 * step) for e in np.eye(model.size)]
    np.testing.assert_allclose(gradient, numeric, atol=1e-8)


def test_softmax_regression_agrees_with_scikit_learn():
    from sklearn.linear_model import LogisticRegression

    reference = LogisticRegression(C=1e10, max_iter=5000).fit(IRIS.train.inputs, IRIS.train.labels)
    params = np.concatenate([reference.coef_.T.ravel(), reference.intercept_])
    np.testing.assert_allclose(
        np.asarray(SOFTMAX.logits(params, IRIS.test.inputs)),
        reference.decision_function(IRIS.test.inputs),
        rtol=1e-4,
    )
    expected = reference.score(IRIS.test.inputs, IRIS.test.labels)
    assert SOFTMAX.accuracy(params, IRIS.test.inputs, IRIS.test.labels) == pytest.approx(expected)


def plain_epochs(model, start, part, epochs, rate):
    params = np.asarray(start, dtype=float)
    for _ in range(epochs):
        params = params - rate * np.asarray(jax.grad(model.loss)(params, part.inputs, part.labels))
    return params


@pytest.mark.parametrize("model", [SOFTMAX, MLP])
def test_vectorised_local_training_is_each_participants_own_descent(model):
    start = model.initial(3)
    with jax.enable_x64(True):
        together = local_updates(model, start, PARTS, local=LocalTraining(epochs=4, rate=0.2))
        for part, update in zip(PARTS, together, strict=True):
            expected = plain_epochs(model, start, part, 4, 0.2) - start
            np.testing.assert_allclose(update, expected, atol=1e-12)


@settings(max_examples=6)  # every batch size compiles anew
@given(batch=st.integers(1, 60), epochs=st.integers(1, 3), seed=st.integers(0, 5))
def test_minibatches_use_every_sample_once_per_epoch(batch, epochs, seed):
    # with a linear loss, the sum of minibatch gradients does not depend on their order
    class Linear(SoftmaxRegression):
        def loss(self, params, inputs, _labels, weights=None):
            return (weights * (inputs @ params[: self.features])).sum()

    model = Linear(features=4, classes=3)
    local = LocalTraining(epochs=epochs, rate=1.0, batch=batch)
    updates = local_updates(model, np.zeros(model.size), PARTS, local=local, seed=seed)
    for part, update in zip(PARTS, updates, strict=True):
        np.testing.assert_allclose(update[:4], -epochs * part.inputs.sum(axis=0), atol=1e-3)


def test_one_participant_with_everything_is_gradient_descent():
    run = train(SOFTMAX, [IRIS.train], rounds=30, local=LocalTraining(rate=0.3))
    expected = plain_epochs(SOFTMAX, SOFTMAX.initial(), IRIS.train, 30, 0.3)
    np.testing.assert_allclose(run.params, expected, atol=1e-4)  # float32


def test_federated_averaging_of_one_step_is_the_pooled_gradient():
    run = train(SOFTMAX, PARTS, rounds=5, local=LocalTraining(rate=0.3))
    pooled = Samples(
        inputs=np.concatenate([part.inputs for part in PARTS]),
        labels=np.concatenate([part.labels for part in PARTS]),
    )
    expected = plain_epochs(SOFTMAX, SOFTMAX.initial(), pooled, 5, 0.3)
    np.testing.assert_allclose(run.params, expected, atol=1e-5)
    assert np.array_equal(run.participants, np.broadcast_to(run.params, run.participants.shape))


def test_runs_repeat_and_depend_on_the_seed():
    def go(seed):
        return train(MLP, PARTS, rounds=5, local=LocalTraining(batch=4), seed=seed).params

    assert np.array_equal(go(1), go(1))
    assert not np.array_equal(go(1), go(2))


def test_early_stop_returns_the_round_of_lowest_loss():
    run = train(
        MLP,
        PARTS,
        rounds=400,
        local=LocalTraining(epochs=5, rate=1.0),
        validation=IRIS.validation,
        patience=8,
        checkpoints=True,
    )
    assert run.rounds < 400
    assert run.stopped == "no lower loss for 8 rounds"
    assert run.returned_round == int(np.argmin(run.loss)) == run.rounds - 8
    assert np.array_equal(run.params, run.checkpoints[run.returned_round])
    loss = float(MLP.loss(run.params, IRIS.validation.inputs, IRIS.validation.labels))
    assert run.loss.min() == pytest.approx(loss, rel=1e-5)


def test_history_progress_and_checkpoints_tell_the_same_story():
    seen = []
    run = train(SOFTMAX, PARTS, rounds=6, validation=IRIS.validation, on_round=seen.append, checkpoints=True)
    assert [report.number for report in seen] == list(range(6))
    assert [report.accuracy for report in seen] == list(run.accuracy[1:])
    assert run.loss.shape == (7,)
    assert run.participant_accuracy.shape == (7, 4)
    assert run.checkpoints.shape == (7, SOFTMAX.size)
    for params, accuracy in zip(run.checkpoints, run.accuracy, strict=True):
        measured = SOFTMAX.accuracy(params, IRIS.validation.inputs, IRIS.validation.labels)
        assert measured == pytest.approx(accuracy, abs=1e-6)


class Momentum:
    def start(self, _participants, size):
        return np.zeros(size)

    def step(self, state, updates, _moment):
        velocity = 0.5 * state + updates.mean(axis=0)
        return velocity, velocity


class HalfToSecond:
    def start(self, _sizes):
        return 0

    def settle(self, state, updates, aggregate, _moment):
        joint = updates.mean(axis=0) if aggregate is None else aggregate(updates)
        gifts = np.stack([joint, 0.5 * joint, joint, joint])
        return state + 1, Reward(server=joint, participants=gifts, figures={"round": np.full(4, state)})


def test_stateful_rules_keep_their_memory_within_a_run_only():
    first = train(SOFTMAX, PARTS, rounds=8, aggregate=Momentum())
    plain = train(SOFTMAX, PARTS, rounds=8, aggregate=lambda updates: updates.mean(axis=0))
    assert np.linalg.norm(first.params) > 1.2 * np.linalg.norm(plain.params)
    assert np.array_equal(first.params, train(SOFTMAX, PARTS, rounds=8, aggregate=Momentum()).params)


def test_reward_rules_give_participants_models_of_their_own():
    run = train(SOFTMAX, PARTS, rounds=5, aggregate=Momentum(), reward=HalfToSecond())
    np.testing.assert_allclose(run.participants[1], run.params / 2, atol=1e-12)
    np.testing.assert_allclose(run.participants[0], run.params, atol=1e-12)
    assert run.figures["round"].tolist() == [[t] * 4 for t in range(5)]


def test_corrupted_updates_reach_the_rule():
    def corrupt(updates, moment):
        return np.vstack([updates[:-1], np.full((1, updates.shape[1]), 1e6)])

    median = train(SOFTMAX, PARTS, rounds=5, corrupt=corrupt, aggregate=lambda u: np.median(u, axis=0))
    mean = train(SOFTMAX, PARTS, rounds=5, corrupt=corrupt)
    assert np.linalg.norm(median.params) < 10 < np.linalg.norm(mean.params)


def test_training_alone_follows_the_same_descent():
    alone = train_alone(SOFTMAX, PARTS, epochs=12, local=LocalTraining(rate=0.2))
    expected = plain_epochs(SOFTMAX, SOFTMAX.initial(), PARTS[1], 12, 0.2)
    np.testing.assert_allclose(alone[1], expected, atol=1e-4)


def test_divergence_is_reported_with_the_last_finite_run():
    wide = [Samples(inputs=part.inputs * 1e30, labels=part.labels) for part in PARTS]
    with pytest.raises(NotConverged, match="participant 0 diverged in round"):
        train(SOFTMAX, wide, rounds=50, local=LocalTraining(rate=1e30, epochs=5))
    with pytest.raises(NotConverged, match="not finite in round 0") as caught:
        train(SOFTMAX, PARTS, rounds=3, corrupt=lambda updates, _: updates * np.nan)
    assert np.isfinite(caught.value.best.params).all()


EMPTY = Samples(inputs=np.zeros((0, 4)), labels=np.zeros(0, int))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: stack([]), "participants is empty"),
        (lambda: stack([PARTS[0], EMPTY]), "participants[1] has no samples"),
        (lambda: stack([PARTS[0], 3]), "participants[1] = int"),
        (
            lambda: stack([PARTS[0], Samples(inputs=np.zeros((2, 5)), labels=np.zeros(2, int))]),
            "participants[1] has 5 features",
        ),
        (
            lambda: stack([Samples(inputs=np.full((1, 4), np.nan), labels=np.zeros(1, int))]),
            "participants[0] has an input that is not finite",
        ),
        (lambda: local_updates(SOFTMAX, np.zeros(3), PARTS), "params of shape (3,)"),
        (
            lambda: local_updates(SoftmaxRegression(features=4, classes=2), np.zeros(10), PARTS),
            "whole numbers from 0 to 1",
        ),
        (lambda: train(SoftmaxRegression(features=5, classes=3), PARTS, rounds=1), "expected 5"),
        (lambda: train(SOFTMAX, PARTS, rounds=0), "rounds = 0"),
        (lambda: train(SOFTMAX, PARTS, rounds=1, seed=10**30), "from 0 to 4294967295"),
        (lambda: local_updates(SOFTMAX, np.zeros(15), PARTS, seed=2**32), "from 0 to 4294967295"),
        (lambda: train(SOFTMAX, PARTS, rounds=1, patience=0), "patience = 0"),
        (lambda: train(SOFTMAX, PARTS, rounds=1, validation=EMPTY), "validation has no samples"),
        (lambda: train(SOFTMAX, PARTS, rounds=1, initial=np.zeros(2)), "initial has length 2"),
        (
            lambda: train(SOFTMAX, PARTS, rounds=1, aggregate=lambda u: u),
            "the rule's result has shape (4, 15)",
        ),
        (lambda: train(SOFTMAX, PARTS, rounds=1, corrupt=lambda u, _: u[:2]), "corrupt has shape (2, 15)"),
        (lambda: SOFTMAX.predict(np.zeros(3), np.zeros((1, 4))), "params of shape (3,)"),
        (lambda: SOFTMAX.predict(np.zeros(15), np.zeros(4)), "inputs of shape (4,)"),
        (lambda: LocalTraining(rate=0), "rate = 0"),
        (lambda: LocalTraining(epochs=0), "epochs = 0"),
        (lambda: LocalTraining(batch=0), "batch = 0"),
        (lambda: SoftmaxRegression(features=0, classes=2), "features = 0"),
        (lambda: MultilayerPerceptron(features=2, classes=2, hidden=(0,)), "hidden = 0"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(InvalidInput) as caught:
        call()
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
