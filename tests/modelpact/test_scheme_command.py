"""`modelpact run`: what a scheme file may say, what is printed, and how errors end."""

import json
from pathlib import Path

import pytest

from contracts.errors import InvalidInput
from modelpact.cli import main
from modelpact.scheme.report import failures, mean, notes, share
from modelpact.scheme.scheme_file import read_scheme, scheme_from_data
from modelpact.scheme.tables import BEHAVIOURS

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").rglob("scheme.toml"))
GOOD = """
seed = 5
[data]
name = "digits"
test = 100
validation = 100
pilot = 240
[training]
rounds = 40
[measuring]
sizes = 6
repetitions = 6
confidence = 0.8
[population]
costs = [4.0, 1.5]
probabilities = [0.5, 0.5]
participants = 3
[valuation]
family = "linear"
scale = 1000.0
[[participants]]
count = 3
[[participants]]
behaviour = "free-riding"
[audit]
label_noise = [0.5]
copies = []
"""


def written(tmp_path, text):
    path = tmp_path / "scheme.toml"
    path.write_text(text)
    return path


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    place = tmp_path_factory.mktemp("command")
    toml = written(place, GOOD)
    return toml, place / "run", main(["run", str(toml), "--output", str(place / "run")])


def test_a_run_prints_the_menu_who_got_what_and_other_rules(finished, capsys):
    toml, folder, code = finished
    assert main(["run", str(toml), "--output", str(folder)]) == code  # as before: nothing is done again
    printed = capsys.readouterr()
    for words in (
        "share of the model",
        "participant 3",
        "free-riding",
        "0 samples of",
        "accuracy shaping",
        "alone",
    ):
        assert words in printed.out
    assert str(folder) in printed.out
    assert "\x1b" not in printed.out + printed.err
    assert (printed.err == "") == (code == 0)


def test_json_is_json_alone(finished, capsys):
    toml, folder, code = finished
    assert main(["run", str(toml), "--output", str(folder), "--json"]) == code
    found = json.loads(capsys.readouterr().out)
    assert found["folder"] == str(folder)
    assert found["audit"] == json.loads((folder / "audit.json").read_bytes())["result"]
    assert found["summary"]["draws"] == 1
    assert bool(found["failures"]) == (code == 1)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.parent.name)
def test_every_example_is_a_scheme(path):
    assert len(read_scheme(path).seats) >= 2


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("[data]", "[datum]"), "unknown key 'datum': did you mean 'data'"),
        (("seed = 5", 'seed = "five"'), "seed = 'five'"),
        (("seed = 5", "seed = -1"), "seed = -1"),
        (("seed = 5", "sede = 5"), "did you mean 'seed'"),
        (('name = "digits"', 'name = "mnist"'), "[data] name = 'mnist'"),
        (('name = "digits"', ""), "[data] no key 'name'"),
        (("test = 100", "test = 5000"), "test"),
        (("test = 100", "test = true"), "[data] test = True"),
        (("test = 100", "test = nan"), "[data] test = nan"),
        (("validation = 100", "validation = 3"), "validation = 3"),
        (("pilot = 240", "pilot = 2000"), "too little data"),
        (("pilot = 240", "pilot = 8"), "too little data"),
        (("pilot = 240", "pilot = 0"), "[data] pilot = 0"),
        (("pilot = 240", "pilot = 1595"), "too little data"),
        (("rounds = 40", "rounds = 0"), "[training] rounds = 0"),
        (("rounds = 40", "rounds = 1.5"), "[training] rounds = 1.5"),
        (("rounds = 40", "round = 40"), "did you mean 'rounds'"),
        (("rounds = 40", 'trainer = "flour"'), "trainer = 'flour'"),
        (("rounds = 40", "trainer = 3"), "[training] trainer = 3"),
        (("rounds = 40", 'aggregation = "krumm"'), "krumm"),
        (("rounds = 40", "rate = -1.0"), "[training] rate = -1"),
        (("sizes = 6", "sizes = 2"), "[measuring] sizes = 2"),
        (("confidence = 0.8", "confidence = 1.0"), "[measuring] confidence = 1"),
        (("sizes = 6", 'family = "cubic"'), "[measuring] family: no family is fitted any longer: leave it out"),
        (("costs = [4.0, 1.5]", "costs = [4.0, -1.5]"), "[population] costs[1] = -1.5"),
        (("costs = [4.0, 1.5]", "costs = 4.0"), "[population] costs"),
        (("costs = [4.0, 1.5]", "costs = [4.0]"), "[population]"),
        (("participants = 3\n[val", "participants = 1\n[val"), "participants = 1"),
        (('family = "linear"', 'family = "liner"'), "[valuation] family = 'liner'"),
        (("[valuation]", "[valuation]\nextra = 1"), "[valuation] unknown key 'extra'"),
        (("count = 3", "count = 0"), "[participants[0]] count = 0"),
        (("count = 3", "cost = 0.0"), "[participants[0]] cost = 0"),
        (('"free-riding"', '"free-rider"'), "[participants[1]] behaviour = 'free-rider'"),
        (('"free-riding"', '"malicious"\nattack = "sign-flip"'), "pooled training has no updates"),
        (('"free-riding"', '"malicious"\nattack = "steer"'), "attack = 'steer'"),
        (("label_noise = [0.5]", "label_noise = 0.5"), "[audit] label_noise = 0.5"),
        (("label_noise = [0.5]", "label_noise = [1.5]"), "[audit] label_noise[0] = 1.5"),
        (("copies = []", 'baselines = "no"'), "[audit] baselines = 'no'"),
        (("[audit]", "[delivery]\nmethod = 'noisy-copies'\n[audit]"), "[delivery] method"),
        (("[audit]", "[delivery]\nmethod = 'interpolated'\n[audit]"), "[delivery] method"),
        (("[audit]", "[model]\nhidden = [0]\n[audit]"), "[model] hidden[0] = 0"),
        (("[audit]", "[model]\nhidden = 8\n[audit]"), "[model] hidden = 8"),
        (("[audit]", "[menu]\nmargin = -1\n[audit]"), "[menu] margin = -1"),
        (("[audit]", "[verification]\nconfidence = 1\n[audit]"), "[verification] confidence = 1"),
        (("[[participants]]\ncount = 3", "[participants]\ncount = 3"), "TOML"),
        (("seed = 5", "seed = "), "not TOML"),
        (("seed = 5", "model = 3"), "model = 3: expected a table [model]"),
    ],
)
def test_what_is_not_accepted_is_one_line_and_code_two(tmp_path, capsys, change, words):
    assert change[0] in GOOD
    toml = written(tmp_path, GOOD.replace(*change))
    assert main(["run", str(toml), "--output", str(tmp_path / "run")]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("\n") == 1
    assert words in printed.err


@pytest.mark.parametrize(
    "words",
    [
        ["nowhere.toml"],
        ["{toml}", "--draws", "0"],
        ["{toml}", "--draws", "two"],
        ["{toml}", "--output", "{missing}"],
        ["{toml}", "--output", "{toml}"],
        ["{toml}", "--colour"],
    ],
)
def test_bad_arguments_are_one_line_and_code_two(tmp_path, capsys, words):
    toml = written(tmp_path, GOOD)
    names = {"toml": toml, "missing": tmp_path / "no" / "run"}
    assert main(["run", *(word.format(**names) for word in words)]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_costs_that_nobody_can_bear_end_with_code_one(tmp_path, capsys):
    toml = written(tmp_path, GOOD.replace("[audit]", "[menu]\nmargin = 900.0\n[audit]"))
    assert main(["run", str(toml), "--output", str(tmp_path / "run")]) == 1
    printed = capsys.readouterr()
    assert "no menu of whole samples keeps everybody 900 above" in printed.err
    assert printed.err.count("modelpact: ") == 1
    assert "joint model" not in printed.out
    audit = json.loads((tmp_path / "run" / "audit.json").read_bytes())["result"]
    assert all(row["refused_because"] == "signed nothing" for row in audit["participants"])


def test_no_option_asks_for_more_than_anybody_holds(tmp_path):
    toml = written(tmp_path, GOOD.replace("costs = [4.0, 1.5]", "costs = [0.02, 0.01]"))
    assert main(["run", str(toml), "--output", str(tmp_path / "run")]) == 0
    published = json.loads((tmp_path / "run" / "publish.json").read_bytes())["result"]
    held = json.loads((tmp_path / "run" / "data.json").read_bytes())["result"]["samples"]["stock"] // 3
    assert [option["data"] for option in published["options"]] == [held, held]


def test_participants_are_as_many_truthful_ones_as_the_contract_expects_unless_it_is_said():
    document = {
        "data": {"name": "iris"},
        "population": {"costs": [1.0], "probabilities": [1.0], "participants": 4},
        "valuation": {"family": "linear", "scale": 10.0},
    }
    assert [seat.behaviour for seat in scheme_from_data(document).seats] == ["truthful"] * 4
    document["participants"] = [{"behaviour": behaviour, "count": 2} for behaviour in BEHAVIOURS]
    assert len(scheme_from_data(document).seats) == 2 * len(BEHAVIOURS)
    document["participants"] = [{"behaviour": "truthful"}, 3]
    with pytest.raises(InvalidInput, match="expected tables"):
        scheme_from_data(document)


def interval(middle, low, high):
    return {"mean": middle, "low": low, "high": high, "draws": 20}


def summary(**changed):
    found = {
        "draws": 20,
        "nothing_offered": [],
        "promises": {
            "stated_share": 0.9,
            "draws_with_all_met": {"share": 0.95, "low": 0.75, "high": 0.99, "draws": 20},
        },
        "assumptions": {"curve_kept": {"share": 0.8, "low": 0.5, "high": 0.9, "draws": 20}},
        "rationality": {"gain": interval(5.0, -1.0, 11.0)},
        "switching": [{"type": "a", "option": "b", "gain": interval(1.0, -2.0, 4.0), "gains": False}],
        "cheating": [{"kind": "copies", "gain": interval(-9.0, -10.0, -8.0)}],
    }
    return {**found, **changed}


def test_failures_name_what_does_not_hold():
    assert failures(summary()) == []
    broken = summary(
        promises={
            "stated_share": 0.9,
            "draws_with_all_met": {"share": 0.5, "low": 0.3, "high": 0.7, "draws": 20},
        },
        rationality={"gain": interval(-5.0, -9.0, -1.0)},
        switching=[{"type": "a", "option": "b", "gain": interval(5.0, 2.0, 8.0), "gains": True}],
        cheating=[{"kind": "copies", "gain": interval(5.0, 2.0, 8.0)}],
    )
    found = failures(broken)
    assert len(found) == 4
    assert "50% of draws" in found[0]
    assert "alone by 5" in found[1]
    assert "'a' would gain 5 by 'b'" in found[2]
    assert "copies would gain 5" in found[3]
    nothing = failures(summary(nothing_offered=["nothing is offered, for ..."] * 3))
    assert nothing == ["in 3 of 20 draws nothing is offered, for ..."]


def test_what_cannot_be_known_from_one_draw_is_not_claimed():
    assert mean({"mean": None, "low": None, "high": None, "draws": 0}) == "-"
    assert mean({"mean": 2.0, "low": None, "high": None, "draws": 1}) == "2.0"
    assert share({"share": None, "low": None, "high": None, "draws": 0}) == "-"


def test_notes_say_where_reality_left_the_theory():
    assumed = {
        "contributors": 5,
        "contributors_expected": 6,
        "curve_kept": False,
        "dishonest_data_accepted": ["participant 8"],
        "honest_refused": ["participant 2"],
        "objections": ["the curve rests on 2 measurements"],
    }
    found = notes({"assumptions": assumed})
    assert len(found) == 5
    assert "expects 6" in found[0]
    assert "participant 8" in found[2]
    assert "participant 2" in found[3]
