"""Checkpoints as models of promised accuracies: which is picked, what is read, what is refused."""

import importlib.util

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.errors import InvalidInput
from mechanisms.datasets import load
from mechanisms.delivery import audit, deliver_checkpoints
from mechanisms.models import SoftmaxRegression

SCORES = st.lists(st.floats(0, 1), min_size=1, max_size=12)


def itself(score):
    return score


@given(SCORES, st.lists(st.floats(0, 1), min_size=1, max_size=4))
def test_the_nearest_is_picked_and_nothing_is_hidden(scores, promises):
    promises = [max(promise, min(scores)) for promise in promises]
    found = deliver_checkpoints(itself, scores, promises, tolerance=0.05)
    for model, promise in zip(found.models, promises, strict=True):
        gaps = [abs(score - promise) for score in scores]
        assert gaps[model.index] == min(gaps)
        assert model.index == gaps.index(min(gaps))
        assert model.met == (min(gaps) <= 0.05)
        assert bool(model.remark) != model.met
        assert model.checkpoint == scores[model.index] == model.achieved
    assert found.met == all(model.met for model in found.models)


def test_errors_are_stated_where_the_number_of_samples_is():
    (model,) = deliver_checkpoints(itself, [0.1, 0.8], 0.79, samples=400).models
    assert model.standard_error == pytest.approx(0.02, abs=1e-4)
    assert model.met
    (model,) = deliver_checkpoints(itself, [0.1, 0.8], 0.79).models
    assert np.isnan(model.standard_error)
    (above,) = deliver_checkpoints(itself, [0.1, 0.8], 0.9, samples=400).models
    assert "above the best checkpoint" in above.remark


def written(folder, name, values):
    path = folder / name
    if name.endswith(".safetensors"):
        from safetensors.numpy import save_file

        save_file(values, path)
    elif name.endswith((".pt", ".pth")):
        import torch

        torch.save({key: torch.as_tensor(value) for key, value in values.items()}, path)
    elif name.endswith(".joblib"):
        import joblib

        joblib.dump(values, path)
    elif name.endswith(".npz"):
        np.savez(path, **values)
    return path


LIBRARIES = {
    ".safetensors": "safetensors",
    ".pt": "torch",
    ".pth": "torch",
    ".joblib": "joblib",
    ".npz": "numpy",
}


@pytest.mark.parametrize("ending", LIBRARIES)
def test_files_are_read_by_their_ending(tmp_path, ending):
    if importlib.util.find_spec(LIBRARIES[ending]) is None:
        pytest.skip(f"{LIBRARIES[ending]} is not installed")
    paths = [written(tmp_path, f"{k}{ending}", {"right": np.array([k / 10])}) for k in range(1, 10)]
    found = deliver_checkpoints(lambda state: float(state["right"][0]), paths, [0.3, 0.8])
    assert [model.checkpoint for model in found.models] == [paths[2], paths[7]]
    broken = tmp_path / f"broken{ending}"
    broken.write_bytes(b"nothing that loads")
    with pytest.raises(InvalidInput, match=r"checkpoints\[9\] = .* does not load") as caught:
        deliver_checkpoints(lambda state: float(state["right"][0]), [*paths, broken], 0.3)
    assert "\n" not in str(caught.value)


def fails(_):
    raise RuntimeError("no\nsuch thing")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: deliver_checkpoints(fails, [0.5], 0.5),
            "score of checkpoints[0] failed: RuntimeError: no such thing",
        ),
        (lambda: deliver_checkpoints(itself, [], 0.5), "checkpoints is empty"),
        (lambda: deliver_checkpoints(itself, [0.5, 1.5], 0.5), "score of checkpoints[1] = 1.5"),
        (lambda: deliver_checkpoints(itself, [float("nan")], 0.5), "score of checkpoints[0] = nan"),
        (lambda: deliver_checkpoints(lambda _: "high", [1], 0.5), "score of checkpoints[0] = 'high'"),
        (
            lambda: deliver_checkpoints(itself, [0.5, 0.9], [0.9, 0.2]),
            "accuracies[1] = 0.2: expected at least 0.5",
        ),
        (lambda: deliver_checkpoints(itself, [0.5], 1.2), "accuracies[0] = 1.2"),
        (lambda: deliver_checkpoints(itself, ["model.onnx"], 0.5), "ending '.onnx'"),
        (lambda: deliver_checkpoints(itself, ["nowhere.npz"], 0.5), "does not load: FileNotFoundError"),
        (
            lambda: deliver_checkpoints(itself, [1], 0.5, load=fails),
            "does not load: RuntimeError: no such thing",
        ),
        (lambda: deliver_checkpoints(itself, [0.5], 0.5, samples=0), "samples = 0"),
        (lambda: audit(deliver_checkpoints(itself, [0.5], 0.5), test=load("iris").test), "model is missing"),
    ],
)
def test_bad_input_is_one_line(call, message):
    with pytest.raises(InvalidInput) as caught:
        call()
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_score_may_be_any_number_of_any_library():
    half = [np.float32(0.5), np.array(0.5), np.int64(1)]
    if importlib.util.find_spec("torch") is not None:
        import torch

        half.append(torch.tensor(0.5))
    for one in half:
        assert deliver_checkpoints(lambda _, one=one: one, [0], 1.0).models[0].achieved == float(one)


def test_weights_of_another_network_are_named_by_their_checkpoint():
    torch = pytest.importorskip("torch")
    from mechanisms.torch_model import TorchModel

    iris, model = load("iris"), TorchModel(torch.nn.Linear(4, 3), classes=3)
    states = [torch.nn.Linear(size, 3).state_dict() for size in (4, 5)]

    def score(state):
        return model.accuracy(model.vector(state), iris.test.inputs, iris.test.labels)

    with pytest.raises(InvalidInput, match=r"score of checkpoints\[1\]: state dict: 'weight' is \(3, 5\)"):
        deliver_checkpoints(score, states, 1.0)


def test_checkpoints_are_audited_with_the_model_that_takes_them():
    iris, model = load("iris"), SoftmaxRegression(features=4, classes=3)
    path = list(
        model.descend(model.initial(), iris.train.inputs, iris.train.labels, moments=range(0, 60, 3), rate=0.02)
    )

    def score(params):
        return model.accuracy(params, iris.validation.inputs, iris.validation.labels)

    delivery = deliver_checkpoints(score, path, [0.75, 0.8])
    options = {"test": iris.test, "shares": [0.2], "moments": [0, 30], "rates": [0.5]}
    with pytest.raises(InvalidInput, match="own is missing"):
        audit(delivery, model=model, **options)
    with pytest.raises(InvalidInput, match="joint is missing"):
        audit(delivery, model=model, own=iris.train, **options)
    found = audit(delivery, model=model, own=iris.train, joint=len(iris.train), **options)
    assert found.method == "checkpoints"
    assert "ray" in found.by_one
