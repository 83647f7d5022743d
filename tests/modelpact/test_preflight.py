"""What the data allow, said or refused before anything is trained; models of the user's own."""

import time
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from contracts.errors import InvalidInput
from modelpact.scheme import read_delivered, run_scheme
from modelpact.scheme.draws import _mean_share, summarise
from modelpact.scheme.preflight import preflight
from modelpact.scheme.report import failures
from modelpact.scheme.scheme_file import read_scheme, scheme_from_data
from modelpact.scheme.stages import run_stages
from modelpact.scheme.stock import capacities, held_by_each
from modelpact.scheme.world import DATA, holdings, samples

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
    assert set(found.largest.values()) == {found.rows["stock"] // 6}
    assert found.seconds is not None
    assert found.seconds > 0
    line = str(found)
    assert f"options up to {found.rows['stock'] // 6} samples; about" in line
    assert "\n" not in line


def test_data_that_are_too_few_are_refused_before_anything_is_trained(tmp_path):
    began, seen = time.process_time(), []
    scheme = stated("wine", measuring={"smallest": 20})
    with pytest.raises(InvalidInput) as caught:
        run_scheme(scheme, tmp_path / "run", on_stage=lambda stage, _: seen.append(stage.name))
    assert seen == ["data"]
    assert time.process_time() - began < 2
    message = str(caught.value)
    assert "expected at least 60 for models of 20 and more" in message
    assert "[measuring] smallest = " in message
    assert "\n" not in message


def test_what_would_do_does(tmp_path):
    wanted = {"smallest": 20}
    with pytest.raises(InvalidInput, match=r"\[data\] pilot = 60, which leaves 7") as caught:
        allowed(stated("wine", measuring=wanted), tmp_path)
    larger = stated("wine", data={"name": "wine", "pilot": 60}, measuring=wanted)
    assert set(allowed(larger, tmp_path).largest.values()) == {7}
    smallest = int(str(caught.value).rsplit("smallest = ", 1)[1])
    assert allowed(stated("wine", measuring={"smallest": smallest}), tmp_path).fewest <= 26


@pytest.mark.parametrize("name", ["wine", "iris", "breast-cancer"])
def test_small_data_pass_with_defaults(tmp_path, name):
    found = allowed(stated(name), tmp_path)
    assert found.rows["pilot"] >= found.fewest


def test_a_pilot_of_a_dozen_is_refused(tmp_path):
    with pytest.raises(
        InvalidInput, match="pilot leaves 10 samples of 150: too little data, expected at least 12"
    ):
        allowed(stated("iris", data={"name": "iris", "pilot": 10}), tmp_path)


@pytest.mark.slow
def test_data_that_show_no_gain_are_carried_through_to_the_end(tmp_path):
    """A table of noise, or a pilot that tells nothing: nobody signs, and everybody is where it is alone."""
    scheme = stated("iris", audit={"label_noise": [], "copies": []}, menu={"margin": 900.0})
    records = run_scheme(scheme, tmp_path / "run")
    assert records["design"].result["contract"] is None
    assert all(one["option"] is None for one in records["sign"].result["signatures"])
    audit = records["audit"].result
    (failure,) = failures(summarise(scheme, [audit]))
    assert failure.startswith("nothing is offered, for no menu of whole samples keeps everybody 900 above")
    assert "\n" not in failure
    assert records["deliver"].result["models"] == []
    assert all(row["utility"] >= 0 for row in audit["participants"])


TWO = {
    "names": ["clinic", "hospital"], "costs": [2.0, 1.0], "probabilities": [0.5, 0.5], "participants": 4,
}  # fmt: skip
SIZES = [
    {"type": "clinic", "samples": 30, "count": 2},
    {"type": "hospital", "samples": 200},
    {"type": "hospital"},
]


def test_capacities_come_from_what_each_has(tmp_path):
    scheme = stated("digits", population=TWO, participants=SIZES)
    data = run_stages(scheme, tmp_path, [DATA])["data"]
    left = data.result["samples"]["stock"] - 2 * 30 - 200
    assert held_by_each(scheme, data).tolist() == [30, 30, 200, left]
    assert [len(part) for part in holdings(scheme, data)] == [30, 30, 200, left]
    found = preflight(scheme, data)
    assert found.largest == {"clinic": 30, "hospital": 200}
    assert "options up to 30 (clinic), 200 (hospital) samples" in str(found)
    # they are disjoint parts of the stock
    rows = np.concatenate([part.inputs for part in holdings(scheme, data)])
    assert np.array_equal(rows, samples(data, "stock").inputs[: len(rows)])


def test_what_everybody_has_who_may_be_of_a_type_bounds_its_option(tmp_path):
    """Seats whose type is drawn may be of either; free-riders have nothing, and bound nothing."""
    seats = [{"samples": 50}, {"cost": 1.1, "samples": 80}, {"behaviour": "free-riding"}]
    scheme = stated("digits", population=TWO, participants=seats)
    data = run_stages(scheme, tmp_path, [DATA])["data"]
    assert capacities(scheme, data).tolist() == [50, 50]
    seats[0] = {"type": "clinic", "samples": 50}
    scheme = stated("digits", population=TWO, participants=seats)
    assert capacities(scheme, data).tolist() == [50, 80]
    # where all ride free, nothing bounds what is offered but what there is
    scheme = stated("digits", population=TWO, participants=[{"behaviour": "free-riding"}])
    assert capacities(scheme, data).tolist() == [data.result["samples"]["stock"]] * 2


def test_whose_data_are_dearer_cannot_have_more(tmp_path):
    seats = [{"type": "clinic", "samples": 300}, {"type": "hospital", "samples": 20}]
    with pytest.raises(InvalidInput, match="capacities and lower effective costs with less data") as caught:
        allowed(stated("digits", population=TWO, participants=seats), tmp_path)
    assert "\n" not in str(caught.value)


def test_more_than_there_is_cannot_be_stated(tmp_path):
    scheme = stated("digits", population=TWO, participants=[{"samples": 2000}, {"count": 2}])
    with pytest.raises(
        InvalidInput, match=r"of which \[\[participants\]\] state 2000: expected at least one each"
    ):
        allowed(scheme, tmp_path)


@pytest.mark.slow
def test_nobody_is_asked_for_more_than_it_has(tmp_path):
    people = TWO | {"costs": [0.4, 0.2]}
    seats = [{"type": "clinic", "samples": 25, "count": 2}, {"type": "hospital", "count": 2}]
    scheme = stated("digits", population=people, participants=seats, audit={"label_noise": [], "copies": []})
    records = run_scheme(scheme, tmp_path / "run")
    clinic, hospital = records["publish"].result["options"]
    assert clinic["data"] == 25 < hospital["data"]
    assert clinic["most"] == 25
    problem = records["design"].result["contract"]["problem"]
    assert problem["population"]["capacities"][0] == 25
    gains = records["audit"].result["participants"][0]["gain_by_option"]
    assert set(gains) == {"alone"}  # the hospitals' option is out of reach


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

def pipeline(features, classes):
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.ensemble import RandomForestClassifier
    return make_pipeline(StandardScaler(), RandomForestClassifier(n_estimators=10))

class Own:
    def __init__(self, classes):
        self.classes, self.draw = classes, np.random.default_rng(0)

    def accuracy(self, params, inputs, labels):
        return float(np.mean(self.predict(params, inputs) == labels))

class Keyless(Own):
    def descend(self, params, inputs, labels, *, moments, rate, weights=None):
        return [{} for _ in moments]

    def predict(self, params, inputs):
        return np.zeros(len(inputs), dtype=int)

class Shapeless(Own):
    def fit(self, inputs, labels, *, weights=None, seed=0):
        return None

    def predict(self, params, inputs):
        return np.zeros((len(inputs), 2))

class Moody(Shapeless):
    def fit(self, inputs, labels, *, weights=None, seed=0):
        return int(self.draw.integers(2**30))

    def predict(self, params, inputs):
        return (np.arange(len(inputs)) + params) % self.classes

def keyless(features, classes):
    return Keyless(classes)

def shapeless(features, classes):
    return Shapeless(classes)

def moody(features, classes):
    return Moody(classes)

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


def written_to(path, text):
    path.write_text(text)
    return path


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
        ("keyless", "makes Keyless: expected a model with fit, or one whose parameters are a vector"),
        (
            "shapeless",
            "fails on the pilot's samples: predict gave shape (200, 2) for 200 inputs: expected (200,)",
        ),
        ("moody", "answers differently when it is fitted to the same samples again"),
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


@pytest.mark.slow
def test_a_pipeline_of_scikit_learn_is_carried_through(written, tmp_path):
    """Its steps draw, and no file keeps it: it is fitted again, to the same samples, wherever it is needed."""
    text = written("own_models_of_a_test:pipeline").read_text()
    text = (
        text.replace("200", "300")
        .replace("[4.0, 1.5]", "[3.0, 1.2]")
        .replace("participants = 3", "participants = 4")
    )
    text = text.replace("sizes = 4\nrepetitions = 3\n", "").replace("baselines = false\n", "")
    scheme = read_scheme(written_to(tmp_path / "scheme.toml", text))
    records = run_scheme(scheme, tmp_path / "run")
    assert records["train"].arrays == {} == records["deliver"].arrays
    assert records["deliver"].result["method"] == "nested-subset"
    models, given = read_delivered(tmp_path / "run", scheme), records["deliver"].result["models"]
    assert given
    validation = samples(records["data"], "validation")
    for one in given:
        right = models[one["name"]].predict(validation.inputs) == validation.labels
        assert np.mean(right) == one["achieved"]
    audit = records["audit"].result
    assert audit["participants"][0]["accuracy"] > 0.3
    assert "gradient rewards" not in audit["baselines"]


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        (
            {"training": {"trainer": "federated"}},
            "trainer = 'federated' with model = 'own_models_of_a_test:pipeline'",
        ),
        (
            {"delivery": {"method": "early-stop"}},
            "method = 'early-stop' with model = 'own_models_of_a_test:pipeline'",
        ),
        ({"delivery": {"method": "masked"}}, "expected a model whose parameters are a vector"),
        ({"delivery": {"requires": ["fine-tuning-proof"]}}, "expected a model that can be trained further"),
    ],
)
def test_what_does_not_go_with_an_estimator_is_refused_before_anything_is_trained(
    written, tmp_path, tables, message
):
    scheme, seen = read_scheme(written("own_models_of_a_test:pipeline")), []
    for name, value in tables.items():
        scheme = replace(scheme, **{name: replace(getattr(scheme, name), **value)})
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
