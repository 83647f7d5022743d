"""Problem files: what they may say, and one line that names the key for all they may not."""

import re
from pathlib import Path

import pytest

from contracts import MeasuredCurve
from contracts.errors import InvalidInput
from contracts.problem.accuracy import Arctan, Exponential, GeneralizationBound, PowerLaw, Tabulated
from contracts.problem.valuation import ExponentialUtility, LogarithmicValuation, PowerValuation
from modelpact.problem_file import read_problem

EXAMPLES = Path(__file__).parents[2] / "examples"
GOOD = """
belief = "interim"
[population]
costs = [0.2, 0.16, 0.12]
probabilities = [0.2, 0.2, 0.6]
participants = 10
[accuracy]
family = "generalization-bound"
optimum = 1.0
complexity = 1.0
[valuation]
family = "linear"
scale = 100.0
"""
CURVE = "data,accuracy,standard_error\n10,0.5,.01\n20,0.6,.01\n40,0.68,.01\n80,0.73,.01\n"


@pytest.fixture
def read(tmp_path):
    (tmp_path / "curve.csv").write_text(CURVE)

    def read_text(text: str):
        path = tmp_path / "problem.toml"
        path.write_text(text)
        return read_problem(path)

    return read_text


def accuracy(table: str) -> str:
    return re.sub(r"\[accuracy\].*\[valuation\]", f"[accuracy]\n{table}\n[valuation]", GOOD, flags=re.S)


def joined_by(participants: str) -> str:
    return GOOD.replace("participants = 10", f"participants = {participants}")


def test_a_file_states_the_problem(read):
    problem = read(GOOD).problem
    assert problem.population.costs.tolist() == [0.2, 0.16, 0.12]
    assert problem.population.participants == 10
    assert isinstance(problem.accuracy, GeneralizationBound)
    assert problem.valuation.scale == 100.0
    assert (problem.belief, problem.maximise) == ("interim", "accuracy")


@pytest.mark.parametrize(
    ("table", "family"),
    [
        ('family = "power-law"\noptimum = 0.9\ncoefficient = 2\nexponent = 0.5', PowerLaw),
        ('family = "exponential"\noptimum = 0.9\nrate = 0.01', Exponential),
        ('family = "arctan"\noptimum = 0.9\nscale = 100', Arctan),
        ('family = "tabulated"\ndata = [10, 40]\naccuracy = [0.5, 0.7]', Tabulated),
        ('family = "measured"\nmeasurements = "curve.csv"', MeasuredCurve),
    ],
)
def test_every_family_of_accuracy_can_be_given(read, table, family):
    assert isinstance(read(accuracy(table)).problem.accuracy, family)


@pytest.mark.parametrize(
    ("table", "family"),
    [
        ('family = "power"\nscale = 9\nexponent = 0.5', PowerValuation),
        ('family = "exponential-utility"\nscale = 9\nrisk_aversion = 2', ExponentialUtility),
        ('family = "logarithmic"\nscale = 9\nsensitivity = 2', LogarithmicValuation),
    ],
)
def test_every_family_of_valuation_can_be_given(read, table, family):
    text = GOOD[: GOOD.index("[valuation]")] + f"[valuation]\n{table}"
    assert isinstance(read(text).problem.valuation, family)


def test_names_belief_and_target_are_kept(read):
    text = GOOD.replace("interim", "ex-ante").replace("[population]", 'maximise = "value"\n[population]')
    text = text.replace("participants", 'names = ["a", "b", "ü"]\nparticipants')
    problem = read(text).problem
    assert problem.population.names == ("a", "b", "ü")
    assert (problem.belief, problem.maximise) == ("ex-ante", "value")


def measured(more=""):
    return accuracy(f'family = "measured"\nmeasurements = "curve.csv"\n{more}')


def test_a_family_is_fitted_on_request(read):
    assert isinstance(read(measured('fit = "arctan"')).problem.accuracy.fitted.curve, Arctan)
    best = read(measured('fit = "best"')).problem.accuracy.fitted
    assert best.aicc <= read(measured('fit = "power-law"')).problem.accuracy.fitted.aicc


@pytest.mark.parametrize("promise", ["average", "model", "value"])
def test_what_is_promised_of_a_measured_curve_is_stated(read, promise):
    level = "" if promise == "average" else "level = 0.8"
    curve = read(measured(f'promise = "{promise}"\n{level}')).problem.accuracy
    assert (curve.promise, curve.fit) == (promise, "posterior")
    assert curve.level == (0.95 if promise == "average" else 0.8)


def test_a_measured_curve_may_have_a_baseline(read):
    stated = read(accuracy('family = "measured"\nmeasurements = "curve.csv"\nbaseline = 0.25'))
    assert stated.problem.baseline == stated.problem.accuracy.chance == 0.25


def test_measurements_that_bend_or_fall_are_noted(read, tmp_path):
    assert read(measured()).notes == ()
    (tmp_path / "curve.csv").write_text(CURVE.replace("40,0.68", "40,0.40"))
    notes = read(measured()).notes
    assert any("accuracy falls by 0.2 from 20 to 40 data" in note for note in notes)
    rejected = read(accuracy('family = "measured"\nmeasurements = "curve.csv"\nfit = "power-law"')).notes
    assert any("its own measurements reject the curve (chi²" in note for note in rejected)


PROBLEMS = [
    path
    for path in sorted(EXAMPLES.rglob("*.toml"))
    # a scheme states no accuracy, it measures one
    if "\n[valuation]" in path.read_text() and "\n[accuracy]" in path.read_text()
]


@pytest.mark.parametrize("path", PROBLEMS, ids=lambda p: f"{p.parent.name}/{p.name}")
def test_every_example_is_a_problem(path):
    assert read_problem(path).notes == ()


BAD = {
    "population = 3": "no table [accuracy]: expected population, accuracy, valuation",
    "population = 3\naccuracy = 3\nvaluation = 3": "population = 3: expected a table [population]",
    GOOD.replace("[valuation]", "[valuatoin]"): "unknown key 'valuatoin': did you mean 'valuation'?",
    GOOD[: GOOD.index("[valuation]")]: "no table [valuation]: expected population, accuracy, valuation",
    GOOD.replace("participants = 10", ""): "[population] no key 'participants'",
    GOOD.replace("participants", "participant"): "unknown key 'participant': did you mean 'participants'?",
    joined_by("1"): "[population] participants = 1: expected a whole number from 2",
    joined_by("0"): "[population] participants = 0: expected a whole number from 2",
    joined_by("10.5"): "[population] participants = 10.5",
    joined_by('"ten"'): "[population] participants = 'ten': expected a number",
    joined_by("true"): "[population] participants = True: expected a number",
    joined_by("1" + 400 * "0"): "[population] participants = 1000",
    joined_by("1" + 5000 * "0"): "not TOML",
    joined_by("2026-11-20"): "[population] participants = datetime.date(2026, 11, 20)",
    GOOD.replace("0.16,", "-0.16,"): "[population] costs[1] = -0.16: expected a finite number > 0",
    GOOD.replace("0.16,", "0.0,"): "[population] costs[1] = 0: expected a finite number > 0",
    GOOD.replace("0.16,", "nan,"): "[population] costs[1] = nan",
    GOOD.replace("0.16,", "inf,"): "[population] costs[1] = inf",
    GOOD.replace("0.16,", '"x",'): "costs = [0.2, 'x', 0.12]: expected a list of numbers",
    GOOD.replace("0.16,", "[0.1],"): "[population] costs = [0.2, [0.1], 0.12]: expected a list of numbers",
    GOOD.replace("[0.2, 0.16, 0.12]", "[]"): "[population] costs is empty",
    GOOD.replace("[0.2, 0.16, 0.12]", "0.2"): "[population] costs = 0.2: expected a list of numbers",
    GOOD.replace("0.2, 0.2, 0.6", "0.2, 0.2, 0.5"): "[population] probabilities sum to 0.9",
    GOOD.replace("0.2, 0.2, 0.6", "0.2, 0.8"): "[population] probabilities has length 2: expected 3",
    GOOD.replace("participants", 'names = ["a", "a", "b"]\nparticipants'): "names[1] = 'a' occurs twice",
    GOOD.replace("participants", "names = [1, 2, 3]\nparticipants"): "names = [1, 2, 3]: expected a list",
    GOOD.replace("participants", "names = 7\nparticipants"): "names = 7: expected a list of texts",
    GOOD.replace("interim", "interrim"): "belief = 'interrim': did you mean 'interim'? accepted:",
    GOOD.replace('"interim"', "3"): "belief = 3: accepted: interim, ex-ante",
    GOOD.replace("belief", "beleif"): "unknown key 'beleif': did you mean 'belief'?",
    GOOD.replace('"linear"', '"quadratic"'): "[valuation] family = 'quadratic': accepted: linear, power",
    GOOD.replace('family = "linear"', ""): "[valuation] no key 'family': expected one of linear, power",
    GOOD.replace("100.0", "-1"): "[valuation] scale = -1: expected a finite number > 0",
    accuracy('family = "powerlaw"'): "[accuracy] family = 'powerlaw': did you mean 'power-law'? accepted:",
    accuracy("family = 3"): "[accuracy] family = 3: accepted: power-law",
    accuracy('family = "power-law"\noptimum = 0.9'): "[accuracy] no key 'coefficient'",
    accuracy('family = "arctan"\noptimum = 1.9\nscale = 1'): "[accuracy] optimum = 1.9: expected a number",
    accuracy('family = "measured"'): "[accuracy] no key 'measurements'",
    accuracy('family = "measured"\nmeasurements = 3'): "measurements = 3: expected the path of a CSV",
    accuracy('family = "measured"\nmeasurements = "no.csv"'): "no.csv: No such file",
    accuracy('family = "measured"\nmeasurements = "curve.csv"\nfit = "logistic"'): "fit = 'logistic': acc",
    accuracy('family = "tabulated"\ndata = [10, 40]\naccuracy = [0.7, 0.5]'): "accuracy[1] = 0.5 is below",
    GOOD + "scale = 90.0\n#": "not TOML: a key or a table is stated twice (at line 14, column 13)",
    GOOD + "[population]": "not TOML: a key or a table is stated twice",
    GOOD + "[menu]\nlot = 3\n[outside]\n[menu]": "not TOML: a key or a table is stated twice",
    GOOD + "[menu]\nlimits = {lot = 3, lot = 4}": "not TOML: a key or a table is stated twice",
    GOOD + "[menu]\noptions = 0": "[menu] options = 0: expected a whole number >= 1",
    GOOD + "[[scenarios]]\nweight = 0.4": "scenarios: weights sum to 0.4: expected a sum of 1",
    GOOD.replace("participants", 'groups = ["a", "b"]\nparticipants'): "groups has length 2: expected",
    accuracy('family = "measured"\nmeasurements = "curve.csv"\nbaseline = 1.5'): "baseline = 1.5: expected",
    accuracy('family = "measured"\nmeasurements = "curve.csv"\nbase = 0.5'): "unknown key 'base': did you mean",
    "belief = ": "not TOML",
    "a = " + 5000 * "[": "not TOML",
}  # fmt: skip


@pytest.mark.parametrize(("text", "message"), BAD.items(), ids=list(BAD.values()))
def test_bad_files_are_refused_in_one_line_that_names_the_key(read, text, message):
    with pytest.raises(InvalidInput) as caught:
        read(text)
    assert message in str(caught.value)
    assert "problem.toml: " in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


def test_unreadable_files_are_refused(tmp_path):
    binary = tmp_path / "binary.toml"
    binary.write_bytes(b"belief = '\xff'")
    with pytest.raises(InvalidInput, match="byte 10 is not UTF-8"):
        read_problem(binary)
    with pytest.raises(InvalidInput, match="Is a directory: expected a TOML file"):
        read_problem(tmp_path)
