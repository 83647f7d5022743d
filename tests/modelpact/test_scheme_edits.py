"""Stage files edited by hand, leftovers of killed writes, attacks on updates, what is asked of delivery."""

import json
import shutil
from copy import deepcopy

import pytest

from contracts.errors import InvalidInput
from modelpact.scheme import run_scheme
from modelpact.scheme.report import notes
from modelpact.scheme.scheme_file import scheme_from_data

SMALL = {
    "seed": 3,
    "data": {"name": "digits", "test": 200, "validation": 200, "pilot": 200},
    "training": {"rounds": 60},
    "measuring": {"sizes": 5, "repetitions": 4},
    "population": {"costs": [5.0, 1.5], "probabilities": [0.4, 0.6], "participants": 4},
    "valuation": {"family": "linear", "scale": 1000.0},
    "audit": {"label_noise": [], "copies": [], "baselines": False},
}


def small(**tables):
    document = deepcopy(SMALL)
    for name, value in tables.items():
        document[name] = {**document.get(name, {}), **value} if isinstance(value, dict) else value
    return scheme_from_data(document)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    place = tmp_path_factory.mktemp("scheme") / "run"
    run_scheme(small(), place)
    return place


@pytest.fixture
def place(finished, tmp_path):
    shutil.copytree(finished, tmp_path / "run")
    return tmp_path / "run"


def carried_out(scheme, place):
    names = []
    run_scheme(scheme, place, on_stage=lambda stage, done: done or names.append(stage.name))
    return names


def edit(place, name, change):
    record = json.loads((place / f"{name}.json").read_bytes())
    written = record["digest"]
    change(record["result"])
    (place / f"{name}.json").write_text(json.dumps(record))
    return written


def result_of(place, name):
    return json.loads((place / f"{name}.json").read_bytes())["result"]


def test_an_edited_settlement_is_marked_in_all_that_follows(place):
    owed = result_of(place, "settle")["rewards"][0]["promised_accuracy"]
    written = edit(place, "settle", lambda r: r["rewards"][0].update(promised_accuracy=owed - 0.05))
    assert carried_out(small(), place) == ["deliver", "audit"]
    for name in ("deliver", "audit"):
        before, after = json.loads((place / f"{name}.json").read_bytes())["edited"]["settle"]
        assert before == written != after
    audit = result_of(place, "audit")
    assert audit["edited"] == {"settle": [before, after]}
    assert notes(audit)[0].startswith(f"settle.json was edited by hand: digest {before[:12]} as written")
    # kept, and still marked, when the run goes on
    assert carried_out(small(audit={"copies": [0.5]}), place) == ["audit"]
    assert result_of(place, "audit")["edited"] == {"settle": [before, after]}
    # taken back, nothing is marked any more
    edit(place, "settle", lambda r: r["rewards"][0].update(promised_accuracy=owed))
    assert carried_out(small(), place) == ["deliver", "audit"]
    assert result_of(place, "audit")["edited"] == {}


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        (
            "settle",
            lambda r: r["rewards"][0].pop("promised_accuracy"),
            "result.rewards[0] has no 'promised_accuracy'",
        ),
        ("settle", lambda r: r["rewards"][0].update(promised_accuracy="a lot"), "expected a number"),
        ("settle", lambda r: r["rewards"][0].update(promised_accuracy=7.0), "accuracies[0] = 7"),
        ("verify", lambda r: r.update(accepted=[0, 99]), "stage 'train' cannot use the edited verify.json"),
        ("sign", lambda r: r.update(signatures=3), "result.signatures = 3: expected a list"),
    ],
)
def test_an_edited_file_that_is_not_well_formed_is_refused_in_one_line(place, name, change, message):
    edit(place, name, change)
    with pytest.raises(InvalidInput) as caught:
        carried_out(small(), place)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text[:-40], "was edited and is not JSON"),
        (lambda text: text.replace('"result"', '"results"'), "was edited and has no 'result'"),
        (lambda text: text.replace('"digest"', '"digests"'), "was edited and has no 'digest'"),
        (lambda _: "{", "was edited and is not JSON"),
        (lambda _: "null", "was edited and has no 'format'"),
        (lambda _: "[]", "was edited and has no 'format'"),
        (lambda _: "\xff", "was edited and is not JSON"),
    ],
)
def test_what_somebody_typed_is_never_written_over(place, change, message):
    path = place / "settle.json"
    path.write_text(change(path.read_text()), encoding="latin-1")
    typed = path.read_bytes()
    with pytest.raises(InvalidInput) as caught:
        carried_out(small(), place)
    assert message in str(caught.value)
    assert "or delete it" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert path.read_bytes() == typed
    path.unlink()
    assert carried_out(small(), place)[0] == "settle"


def test_leftovers_of_killed_writes_are_removed_and_nothing_else(place):
    for name in (".settle.json.abc123.tmp", ".train.npz.x.tmp", ".mine.json.x.tmp", "notes.tmp"):
        (place / name).write_text("half")
    assert carried_out(small(), place) == []
    assert sorted(p.name for p in place.iterdir() if p.suffix == ".tmp") == [".mine.json.x.tmp", "notes.tmp"]


def test_a_method_that_is_not_shown_to_be_what_the_scheme_asks_for_delivers_nothing(place):
    with pytest.raises(InvalidInput, match="requires 'fine-tuning-proof', and 'top-changes' is not shown to be"):
        carried_out(small(delivery={"method": "top-changes", "requires": ["fine-tuning-proof"]}), place)
    carried_out(small(delivery={"method": "top-changes", "requires": ["coalition-proof"]}), place)
    delivered = result_of(place, "audit")["delivery"]
    assert delivered["coalition-proof"] == "holds by construction"
    assert "own data" in delivered["fine-tuning-proof"]


def test_what_is_known_without_an_audit_is_said(finished):
    assert result_of(finished, "audit")["delivery"] == {
        "method": "early-stop",
        "coalition-proof": "to be audited",
        "fine-tuning-proof": "to be audited",
    }


@pytest.mark.slow
@pytest.mark.parametrize(("attack", "harm"), [("sign-flip", (0.0, 0.1)), ("fall-of-empires", (0.02, 1.0))])
def test_what_attackers_on_updates_did_is_measured(tmp_path, attack, harm):
    """Two of six reach the rounds under the mean: sign flips slow it down, an inverted multiple costs more."""
    seats = [{"count": 4}, {"behaviour": "malicious", "attack": attack, "count": 2}]
    scheme = small(training={"trainer": "federated"}, participants=seats)
    run_scheme(scheme, tmp_path / "run")
    audit = result_of(tmp_path / "run", "audit")
    assert [one["attack"] for one in audit["attacks"]["attackers"] if one["accepted"]] == [attack] * 2
    lost = audit["attacks"]["accuracy_without_attack"] - audit["attacks"]["accuracy"]
    assert audit["attacks"]["moved"] > 0.1
    assert harm[0] <= lost <= harm[1]
    (note,) = [text for text in notes(audit) if "were attacks" in text]
    assert "under 'mean' the joint model has" in note


@pytest.mark.parametrize(
    ("delivery", "message"),
    [
        ({"requires": "coalition-proof"}, "requires = 'coalition-proof': expected a list"),
        ({"requires": ["proof"]}, "requires[0] = 'proof'"),
        ({"tolerance": -1}, "tolerance = -1"),
    ],
)
def test_what_a_scheme_may_ask_for(delivery, message):
    with pytest.raises(InvalidInput) as caught:
        small(delivery=delivery)
    assert message in str(caught.value)
