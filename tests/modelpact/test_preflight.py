"""What the data allow, said or refused before anything is trained; models of the user's own."""

import time
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from contracts.errors import InvalidInput
from modelpact.scheme import run_scheme
from modelpact.scheme.draws import _mean_share
from modelpact.scheme.preflight import preflight
from modelpact.scheme.scheme_file import read_scheme, scheme_from_data
from modelpact.scheme.stages import run_stages
from modelpact.scheme.world import DATA

PEOPLE = {"costs": [2.0, 1.0], "probabilities": [0.5, 0.5], "participants": 6}
WORTH = {"family": "linear", "scale": 1000.0}


def stated(name, **tables):
    return scheme_from_data({"data": {"name": name}, "population": PEOPLE, "valuation": WORTH, **tables})


def allowed(scheme, folder, **options):
    return preflight(scheme, run_stages(scheme, folder, [DATA])["data"], **options)


def test_it_says_what_the_data_allow(tmp_path):
    found = allowed(stated("digits"), tmp_path, timed=True)
    assert sum(found.rows.values()) == 1797
    assert found.participants == 6
    assert found.largest == found.rows["stock"] // 6
    assert found.seconds > 0
    line = str(found)
    assert f"options up to {found.largest} samples; about" in line
    assert "\n" not in line


@pytest.mark.parametrize("name", ["wine", "iris"])
def test_data_that_are_too_few_are_refused_before_anything_is_trained(tmp_path, name):
    began, seen = time.process_time(), []
    with pytest.raises(InvalidInput) as caught:
        run_scheme(stated(name), tmp_path / "run", on_stage=lambda stage, _: seen.append(stage.name))
    assert seen == ["data"]
    assert time.process_time() - began < 2
    message = str(caught.value)
    assert "expected at least 60 for models of 20 and more" in message
    assert "[measuring] smallest = " in message
    assert "\n" not in message


def test_what_would_do_does(tmp_path):
    with pytest.raises(InvalidInput, match=r"\[data\] pilot = 60, which leaves 7") as caught:
        allowed(stated("wine"), tmp_path)
    assert allowed(stated("wine", data={"name": "wine", "pilot": 60}), tmp_path).largest == 7
    smallest = int(str(caught.value).rsplit("smallest = ", 1)[1])
    assert allowed(stated("wine", measuring={"smallest": smallest}), tmp_path).fewest <= 26


def test_nothing_left_for_the_participants_is_refused(tmp_path):
    scheme = stated("wine", data={"name": "wine", "pilot": 104}, participants=[{"count": 9}])
    with pytest.raises(InvalidInput, match="leave 2 rows for 9 participants"):
        allowed(scheme, tmp_path)


def test_a_table_with_a_header_is_cut(tmp_path):
    draw = np.random.default_rng(0)
    rows = draw.normal(size=(500, 4))
    labels = (rows @ [1, -1, 0.5, 0] + draw.normal(size=500) > 0).astype(int)
    lines = ["age,weight,height,dose,label"]
    lines += [",".join(map(str, [*row, label])) for row, label in zip(rows, labels, strict=True)]
    (tmp_path / "table.csv").write_text("\n".join(lines))
    found = allowed(stated(str(tmp_path / "table.csv")), tmp_path / "run")
    assert sum(found.rows.values()) == 500


MODULE = """
import numpy as np
from mechanisms.models import MultilayerPerceptron, PytreeModel

def make_model(features, classes):
    def apply(params, inputs):
        return inputs @ params["weight"] + params["bias"]
    start = {"weight": np.zeros((features, classes)), "bias": np.zeros(classes)}
    return PytreeModel(apply, start, features=features, classes=classes)

def tree(features, classes):
    from sklearn.tree import DecisionTreeClassifier
    return DecisionTreeClassifier()

def two(features, classes):
    return MultilayerPerceptron(features=features, classes=2)

def broken(features, classes):
    raise RuntimeError("out of memory")

def number(features, classes):
    return 3

nothing = 3
"""
SCHEME = """
model = "{name}"
[data]
name = "digits"
test = 200
validation = 200
pilot = 200
[training]
rounds = 30
[measuring]
sizes = 4
repetitions = 3
[population]
costs = [4.0, 1.5]
probabilities = [0.5, 0.5]
participants = 3
[valuation]
family = "linear"
scale = 1000.0
[audit]
label_noise = []
copies = []
baselines = false
"""


@pytest.fixture
def written(tmp_path):
    (tmp_path / "own_models_of_a_test.py").write_text(MODULE)

    def write(name):
        path = tmp_path / "scheme.toml"
        path.write_text(SCHEME.format(name=name))
        return path

    return write


def test_a_model_of_the_users_own_is_carried_through(written, tmp_path):
    scheme = read_scheme(written("own_models_of_a_test:make_model"))
    assert len(scheme.model.content) == 64
    records = run_scheme(scheme, tmp_path / "run")
    assert records["train"].arrays["params"].shape == (650,)
    ours = run_scheme(replace(scheme, model=type(scheme.model)()), tmp_path / "ours")
    # the same model spelt out gives the same menu
    options = [[o["data"] for o in found["publish"].result["options"]] for found in (records, ours)]
    assert options[0] == options[1]


@pytest.mark.slow
@pytest.mark.parametrize("trainer", ["pooled", "federated"])
def test_a_network_of_pytorch_is_carried_through(tmp_path, trainer):
    pytest.importorskip("torch")
    (tmp_path / "torch_model_of_a_test.py").write_text(
        "import torch\n\n\ndef make(features, classes):\n"
        "    layers = torch.nn.Linear(features, 12), torch.nn.ReLU(), torch.nn.Linear(12, classes)\n"
        "    return torch.nn.Sequential(*layers)\n"
    )
    path = tmp_path / "scheme.toml"
    cheap = SCHEME.replace("[4.0, 1.5]", "[0.4, 0.15]")  # data enough to learn from are worth their cost
    path.write_text(cheap.format(name="torch_model_of_a_test:make"))
    scheme = read_scheme(path)
    scheme = replace(scheme, training=replace(scheme.training, trainer=trainer, rounds=40))
    records = run_scheme(scheme, tmp_path / "run")
    assert records["train"].result["accuracy"][-1] > 0.6
    assert records["deliver"].result["models"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nowhere_at_all:make", "model = 'nowhere_at_all:make' does not import: No module named"),
        ("own_models_of_a_test:absent", "has no attribute 'absent'"),
        ("own_models_of_a_test:nothing", "is int: expected 'package.module:function'"),
        ("own_models_of_a_test", "model = 'own_models_of_a_test': expected 'package.module:function'"),
    ],
)
def test_what_does_not_import_is_refused_in_one_line(written, name, message):
    with pytest.raises(InvalidInput) as caught:
        read_scheme(written(name))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("tree", "makes SklearnModel: expected a model whose parameters are a vector"),
        ("two", "the model knows 2 classes: expected 10"),
        ("broken", "failed: RuntimeError: out of memory"),
        ("number", "model = int: expected a torch.nn.Module"),
    ],
)
def test_what_makes_no_usable_model_is_refused_before_anything_is_trained(written, tmp_path, name, message):
    scheme, seen = read_scheme(written(f"own_models_of_a_test:{name}")), []
    with pytest.raises(InvalidInput) as caught:
        run_scheme(scheme, tmp_path / "run", on_stage=lambda stage, _: seen.append(stage.name))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert seen == ["data"]


def test_two_models_and_flower_are_refused():
    ours = "modelpact.scheme.trainers:classifier"
    with pytest.raises(InvalidInput, match="expected only one"):
        stated("digits", model={"hidden": [3], "factory": ours})
    with pytest.raises(InvalidInput, match="'flower' with a model of your own"):
        stated("digits", model=ours, training={"trainer": "flower"})


def test_shares_have_intervals_of_shares():
    for shares in ([0.0, 0.0], [1.0, 1.0, 1.0], [0.0, 1.0], [0.5, 0.75, 0.25]):
        found = _mean_share(shares)
        assert 0 <= found["low"] <= found["mean"] <= found["high"] <= 1
    assert _mean_share([0.5])["low"] is None
    # where all are 0 or 1 it is the exact binomial interval
    exact = stats.binomtest(3, 10).proportion_ci(0.95, method="exact")
    found = _mean_share([1.0] * 3 + [0.0] * 7)
    assert (found["low"], found["high"]) == pytest.approx((exact.low, exact.high))


def test_intervals_of_shares_cover():
    draw, missed = np.random.default_rng(0), 0
    for _ in range(500):
        found = _mean_share((draw.binomial(4, 0.2, size=10) / 4).tolist())
        missed += not found["low"] <= 0.2 <= found["high"]
    assert missed / 500 <= 0.05
