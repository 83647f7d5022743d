"""Models of other libraries: adapters, what a method needs of a model, delivery and audit of any."""

import importlib.util

import jax.numpy as jnp
import numpy as np
import pytest

from contracts.errors import InvalidInput
from mechanisms.datasets import Samples, load, split
from mechanisms.delivery import FullModel, audit, deliver, train_full
from mechanisms.local_training import LocalTraining
from mechanisms.models import MultilayerPerceptron, PytreeModel, SoftmaxRegression
from mechanisms.protocols import Fittable, Trainable, VectorModel, answers, as_model
from mechanisms.sklearn_model import SklearnModel
from mechanisms.training import train

IRIS = load("iris")
QUICK = {"shares": [0.1], "moments": [0, 20], "rates": [0.5]}
needs_torch = pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="PyTorch is not installed")


def linear(params, inputs):
    return inputs @ params["weight"] + params["bias"]


PYTREE = PytreeModel(linear, {"weight": np.zeros((4, 3)), "bias": np.zeros(3)}, features=4, classes=3)


def torch_softmax():
    import torch

    layer = torch.nn.Linear(4, 3)
    torch.nn.init.zeros_(layer.weight)
    torch.nn.init.zeros_(layer.bias)
    return as_model(layer, classes=3)


def test_a_pytree_is_trained_like_the_model_it_spells_out():
    ours = train_full(SoftmaxRegression(features=4, classes=3), IRIS.train, steps=30)
    theirs = train_full(PYTREE, IRIS.train, steps=30)
    weight, bias = ours.params[:12].reshape(4, 3), ours.params[12:]
    tree = PYTREE.tree(theirs.params)
    np.testing.assert_allclose(tree["weight"], weight, atol=1e-5)
    np.testing.assert_allclose(tree["bias"], bias, atol=1e-5)
    assert np.array_equal(PYTREE.vector(tree), theirs.params)


def test_models_of_equal_shape_are_not_taken_for_each_other():
    doubled = PytreeModel(
        lambda params, inputs: 2 * linear(params, inputs) - 1e3 * jnp.eye(3)[0],
        {"weight": np.zeros((4, 3)), "bias": np.zeros(3)},
        features=4,
        classes=3,
    )
    assert doubled != PYTREE
    vector = np.arange(15.0)
    assert 0 not in doubled.predict(vector, IRIS.test.inputs)
    assert 0 in PYTREE.predict(-vector, IRIS.test.inputs)


@needs_torch
def test_torch_is_trained_like_our_own_models():
    model = torch_softmax()
    ours = train_full(SoftmaxRegression(features=4, classes=3), IRIS.train, steps=30)
    start = np.zeros(15)
    path = model.descend(start, IRIS.train.inputs, IRIS.train.labels, moments=[0, 30], rate=0.5)
    state = model.state_dict(path[1])
    np.testing.assert_allclose(state["weight"].numpy().T, ours.params[:12].reshape(4, 3), atol=1e-4)
    expected = float(ours.model.loss(ours.params, IRIS.test.inputs, IRIS.test.labels))
    assert model.loss(path[1], IRIS.test.inputs, IRIS.test.labels) == pytest.approx(expected, abs=1e-4)
    assert np.array_equal(
        model.predict(path[1], IRIS.test.inputs), ours.model.predict(ours.params, IRIS.test.inputs)
    )


@needs_torch
def test_torch_weights_count_samples():
    model = torch_softmax()
    weights = (np.arange(len(IRIS.train)) < 20).astype(float)
    few = IRIS.train.take(range(20))
    weighted = model.descend(np.zeros(15), IRIS.train.inputs, IRIS.train.labels, moments=[5], rate=0.5,
                             weights=weights)  # fmt: skip
    alone = model.descend(np.zeros(15), few.inputs, few.labels, moments=[5], rate=0.5)
    np.testing.assert_allclose(weighted, alone, atol=1e-6)
    halved = model.descend(np.zeros(15), IRIS.train.inputs, IRIS.train.labels, moments=[5], rate=0.5,
                           weights=weights / 2)  # fmt: skip
    np.testing.assert_allclose(weighted, halved, atol=1e-6)


@needs_torch
def test_torch_vectors_hold_running_statistics_and_leave_the_module_alone():
    import torch

    module = torch.nn.Sequential(torch.nn.Linear(4, 6), torch.nn.BatchNorm1d(6), torch.nn.Linear(6, 3))
    before = {name: value.clone() for name, value in module.state_dict().items()}
    model = as_model(module, classes=3)
    assert model.size == 4 * 6 + 6 + 4 * 6 + 6 * 3 + 3
    start = model.initial(1)
    assert np.array_equal(start, model.initial(1))
    assert not np.array_equal(start, model.initial(2))
    after = model.descend(start, IRIS.train.inputs, IRIS.train.labels, moments=[5], rate=0.1)[0]
    assert not np.array_equal(model.state_dict(after)["1.running_mean"], before["1.running_mean"])
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    np.testing.assert_allclose(model.vector(model.state_dict(after)), after)


@needs_torch
@pytest.mark.parametrize(
    "method", ["masked", *(pytest.param(m, marks=pytest.mark.slow) for m in ("early-stop", "nested-subset"))]
)
def test_torch_models_are_delivered_and_audited(method):
    import torch

    torch.manual_seed(0)
    module = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Tanh(), torch.nn.Linear(8, 3))
    full = train_full(as_model(module, classes=3), IRIS.train, steps=60)
    delivery = deliver(full, [0.6, 0.8], held_out=IRIS.validation, method=method)
    assert delivery.models[1].achieved == pytest.approx(0.8, abs=0.12)
    found = audit(delivery, test=IRIS.test, **QUICK)
    assert {"fine-tuned", "ray", "stacked", "as delivered"} <= found.by_one.keys()
    assert {"average", "union", "line", "span"} <= found.by_several.keys()


@needs_torch
def test_torch_models_are_trained_in_rounds():
    parts = split(IRIS, participants=3)
    model = torch_softmax()
    ours = train(SoftmaxRegression(features=4, classes=3), parts, rounds=5, validation=IRIS.validation)
    theirs = train(
        model, parts, rounds=5, validation=IRIS.validation, initial=np.zeros(15), aggregate=lambda u: u.mean(0)
    )
    assert theirs.accuracy[-1] == pytest.approx(ours.accuracy[-1], abs=0.1)
    assert theirs.rounds == 5
    with pytest.raises(InvalidInput, match="batch = 4"):
        train(model, parts, rounds=1, local=LocalTraining(batch=4))


@needs_torch
def test_inputs_may_have_more_axes():
    import torch

    images = Samples(inputs=IRIS.train.inputs.reshape(-1, 1, 2, 2), labels=IRIS.train.labels)
    module = torch.nn.Sequential(torch.nn.Conv2d(1, 4, 2), torch.nn.Flatten(), torch.nn.Linear(4, 3))
    full = train_full(as_model(module, classes=3), images, steps=40)
    delivery = deliver(full, 0.7, held_out=images.take(range(30)))
    assert audit(delivery, test=images.take(range(30, 60)), **QUICK).by_one["stacked"].shape == (1, 2)


def test_estimators_are_delivered_by_retraining_and_audited():
    from sklearn.tree import DecisionTreeClassifier

    model = as_model(DecisionTreeClassifier(max_depth=4, random_state=0), classes=3)
    assert isinstance(model, Fittable)
    assert not isinstance(model, Trainable | VectorModel)
    full = train_full(model, IRIS.train)
    delivery = deliver(full, [0.6, 0.9], held_out=IRIS.validation, method="nested-subset")
    assert all(abs(given.achieved - given.promised) < 0.15 for given in delivery.models)
    found = audit(delivery, test=IRIS.test, **QUICK)
    assert "stacked" in found.by_one
    # nobody trained a tree further: that is missing evidence, not a pass
    assert not found.fine_tuning_proof
    assert "training this kind of model further" in found.fine_tuning.untested
    with pytest.raises(InvalidInput, match="expected a model whose parameters are a vector, or 'early-stop'"):
        deliver(full, 0.6, held_out=IRIS.validation, method="masked")
    with pytest.raises(InvalidInput, match=r"full\.path is missing"):
        deliver(full, 0.6, held_out=IRIS.validation)
    with pytest.raises(InvalidInput, match="that gradient steps train"):
        train(model, split(IRIS, participants=3), rounds=1)


def test_estimators_with_partial_fit_are_trained_further():
    from sklearn.linear_model import SGDClassifier

    model = SklearnModel(SGDClassifier(loss="log_loss", random_state=0), classes=3)
    full = train_full(model, IRIS.train)
    found = audit(deliver(full, 0.6, held_out=IRIS.validation, method="nested-subset"), test=IRIS.test, **QUICK)
    assert "fine-tuned" in found.by_one
    assert not found.fine_tuning.untested


def test_a_path_of_fitted_estimators_is_stopped_early():
    from sklearn.tree import DecisionTreeClassifier

    model = SklearnModel(DecisionTreeClassifier(random_state=0), classes=3)
    path = [model.fit(IRIS.train.inputs[:n], IRIS.train.labels[:n]) for n in (0, 5, 20, 80)]
    full = FullModel(model=model, initial=path[0], params=path[-1], path=path)
    given = deliver(full, [0.3, 0.9], held_out=IRIS.validation).models
    assert given[0].params is path[0]
    assert any(given[1].params is each for each in path[2:])


class Wrong:
    """A model that answers with what it is given."""

    classes = 3

    def __init__(self, found):
        self.found = found

    def fit(self, inputs, labels, *, weights=None, seed=0):  # noqa: ARG002
        return None

    def predict(self, params, inputs):  # noqa: ARG002
        return self.found(inputs)

    def accuracy(self, params, inputs, labels):  # noqa: ARG002
        return 0.5


@pytest.mark.parametrize(
    ("found", "message"),
    [
        (lambda x: np.zeros((len(x), 3)), r"predict gave shape \(30, 3\) for 30 inputs: expected \(30,\)"),
        (lambda x: np.zeros(len(x) - 1, int), r"predict gave shape \(29,\)"),
        (lambda x: np.full(len(x), 3), "expected classes from 0 to 2"),
        (lambda x: np.full(len(x), -1), "expected classes from 0 to 2"),
        (lambda x: np.full(len(x), np.nan), "expected classes from 0 to 2"),
        (lambda x: np.full(len(x), "a"), "expected classes from 0 to 2"),
    ],
)
def test_answers_that_are_no_classes_are_refused(found, message):
    model, inputs = Wrong(found), IRIS.validation.inputs
    with pytest.raises(InvalidInput, match=message):
        answers(model, None, inputs)
    full = FullModel(model=model, initial=None, params=None, samples=IRIS.train)
    with pytest.raises(InvalidInput, match="predict gave"):
        deliver(full, 0.5, held_out=IRIS.validation, method="nested-subset")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: as_model(object(), classes=3), "model = object: expected a torch.nn.Module"),
        (lambda: as_model(3, classes=3), "model = int"),
        (lambda: as_model(SoftmaxRegression, classes=3), "expected a torch.nn.Module"),
        (lambda: as_model(SoftmaxRegression(features=4, classes=2), classes=3), "knows 2 classes: expected 3"),
        (lambda: PytreeModel(linear, {}, features=4, classes=3), "expected a pytree of arrays"),
        (lambda: PytreeModel(linear, {"a": np.arange(3)}, features=4, classes=3), "expected a pytree of arrays"),
        (lambda: SklearnModel(object(), classes=3), "estimator = object"),
        (lambda: train_full(Wrong(lambda x: x), IRIS.train.take([])), "samples is empty"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(InvalidInput) as caught:
        call()
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@needs_torch
def test_scores_of_another_shape_are_refused():
    import torch

    for module, message in (
        (torch.nn.Linear(4, 2), r"the module gave \(30, 2\) for 30 inputs: expected \(30, 3\)"),
        (torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.Flatten(0)), r"gave \(90,\)"),
    ):
        model = as_model(module, classes=3)
        with pytest.raises(InvalidInput, match=message):
            model.predict(model.initial(), IRIS.validation.inputs)
    model = torch_softmax()
    with pytest.raises(InvalidInput, match="scores are not finite"):
        model.predict(np.full(15, 1e38), 1e3 * IRIS.validation.inputs)
    with pytest.raises(InvalidInput, match="params has length 3"):
        model.predict(np.zeros(3), IRIS.validation.inputs)
    with pytest.raises(InvalidInput, match="'weight' is missing: expected shape"):
        model.vector({"other": np.zeros(3)})
    with pytest.raises(InvalidInput, match="module has no parameters"):
        as_model(torch.nn.ReLU(), classes=3)


def test_our_own_networks_are_every_kind_but_fitted():
    model = MultilayerPerceptron(features=4, classes=3)
    assert isinstance(model, Trainable)
    assert isinstance(model, VectorModel)
    assert not isinstance(model, Fittable)
    assert as_model(model, classes=3) is model
