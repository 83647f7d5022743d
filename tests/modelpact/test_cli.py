"""The command line: what it prints, what it writes, how it exits."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from modelpact.cli import main

ROOT = Path(__file__).parents[2]
CLINICS = ROOT / "examples" / "tumour-clinics" / "problem.toml"
PAPER = ROOT / "examples" / "paper"
KEYS = {"objective", "contribution", "expected_reward", "reservation_utility", "certificate"}
CERTIFICATE = {"holds", "participation_slack", "envy", "feasibility_slack", "as_solved_gap", "gap"}


@pytest.fixture(scope="module")
def contract_file(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("contract") / "contract.json"
    assert main(["design", str(PAPER / "s1.toml"), "--output", str(path)]) == 0
    return path


def refused(capsys, arguments: list[str], message: str) -> None:
    """Exit code 2, one line on stderr that says what is wrong, nothing on stdout."""
    capsys.readouterr()
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert message in err


def test_design_prints_the_menu_and_writes_contract_and_picture(tmp_path, capsys):
    output, plot = tmp_path / "contract.json", tmp_path / "contract.png"
    assert main(["design", str(CLINICS), "--output", str(output), "--plot", str(plot)]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    for text in (
        "rural practice",
        "screening centre",
        "11 measurements from 12 to 368 data",
        "every promise holds",
        str(output),
        str(plot),
    ):
        assert text in out
    assert "\x1b" not in out
    assert plot.read_bytes().startswith(b"\x89PNG")
    document = json.loads(output.read_text())
    assert set(document) >= KEYS
    assert set(document["certificate"]) >= CERTIFICATE
    assert document["certificate"]["holds"] is True


def test_design_prints_the_contract_file_on_request(contract_file, capsys):
    assert main(["design", str(PAPER / "s1.toml"), "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    stored = json.loads(contract_file.read_text())
    for key in KEYS - {"certificate"}:
        assert printed[key] == stored[key]


def test_verify_accepts_what_design_wrote(contract_file, capsys):
    assert main(["verify", str(contract_file)]) == 0
    assert capsys.readouterr().out.startswith("every promise holds; no contract is better by more than ")
    assert main(["verify", str(contract_file), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["holds"] is True


CHANGES = [
    (("contribution", 0), 1.1, "type 1"),
    (("contribution", 4), 0.8, "type"),
    (("expected_reward", 2), 1.01, "type"),
    (("expected_reward", 4), 0.9, "type 5"),
    (("reservation_utility", 1), 0.5, "type 2"),
    (("objective",), 1.0001, "objective"),
    (("expected_accuracy",), 0.999, "accuracy"),
    (("problem", "population", "costs", 0), 1.05, "type 1"),
    (("problem", "population", "participants"), 0.5, "type"),
    (("problem", "valuation", "scale"), 0.98, ""),
    (("problem", "accuracy", "complexity"), 2.0, ""),
]


@pytest.mark.parametrize(("where", "factor", "who"), CHANGES, ids=[".".join(map(str, c[0])) for c in CHANGES])
def test_one_changed_number_fails_verification_and_says_who_by_how_much(
    contract_file, tmp_path, capsys, where, factor, who
):
    document = json.loads(contract_file.read_text())
    inner = document
    for key in where[:-1]:
        inner = inner[key]
    inner[where[-1]] *= factor
    path = tmp_path / "forged.json"
    path.write_text(json.dumps(document))
    assert main(["verify", str(path)]) == 1
    out, err = capsys.readouterr()
    assert "every promise holds" not in out
    assert err.startswith("modelpact: ")
    assert who in err


def test_settle_says_who_receives_which_model(contract_file, capsys):
    assert main(["settle", str(contract_file), "--counts", "3,2,2,2,1"]) == 0
    out = capsys.readouterr().out
    assert "type 5" in out
    assert "trained on" in out
    assert main(["settle", str(contract_file), "--counts", "3,2,2,2,1", "--json"]) == 0
    settled = json.loads(capsys.readouterr().out)
    assert settled["counts"] == [3, 2, 2, 2, 1]
    assert max(settled["accuracy"]) <= settled["trained_accuracy"]


def test_participants_may_be_given_by_name(contract_file, capsys):
    assert main(["settle", str(contract_file), "--counts", "3,2,2,2,1", "--json"]) == 0
    by_position = capsys.readouterr().out
    named = "type 1=3, type 3=2,type 2=2,type 5=1,type 4=2"
    assert main(["settle", str(contract_file), "--counts", named, "--json"]) == 0
    assert capsys.readouterr().out == by_position
    assert main(["settle", str(contract_file), "--counts", "type 1=10", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["counts"] == [10, 0, 0, 0, 0]
    assert main(["settle", str(contract_file), "--counts", "type 1=10"]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines() if line.startswith("type ")]
    assert rows[2][-5:] == ["0", "-", "-", "-", "-"]  # nobody is there to owe or to get anything
    assert "-" not in rows[1]


@pytest.fixture(scope="module")
def unproved(contract_file) -> Path:
    """The same contract without its proof."""
    document = json.loads(contract_file.read_text())
    path = contract_file.with_name("unproved.json")
    path.write_text(json.dumps(document | {"proof": {}}))
    return path


def test_promises_without_a_proof_of_optimality_are_told_apart(unproved, capsys):
    assert main(["verify", str(unproved)]) == 3
    out, err = capsys.readouterr()
    assert out.startswith("every promise holds; optimality not proved: ")
    assert err.startswith("modelpact: optimality is not proved: ")
    assert err.count("\n") == 1
    assert main(["verify", str(unproved), "--promises"]) == 0
    assert main(["verify", str(unproved), "--json"]) == 3


def test_settling_says_first_what_was_checked(contract_file, unproved, capsys):
    assert main(["settle", str(contract_file), "--counts", "3,2,2,2,1"]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("Checked: ")
    assert err == ""
    assert main(["settle", str(unproved), "--counts", "3,2,2,2,1"]) == 0
    out, err = capsys.readouterr()
    assert out.splitlines()[0].startswith("Checked: every promise holds; optimality not proved: ")
    assert main(["settle", str(unproved), "--counts", "3,2,2,2,1", "--json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["counts"] == [3, 2, 2, 2, 1]
    assert "optimality is not proved" in err


def test_nothing_is_settled_where_a_promise_is_broken(contract_file, tmp_path, capsys):
    document = json.loads(contract_file.read_text())
    document["expected_reward"][4] *= 0.9
    path = tmp_path / "forged.json"
    path.write_text(json.dumps(document))
    assert main(["settle", str(path), "--counts", "3,2,2,2,1"]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert "type 5" in err


def test_how_long_a_proof_is_sought_is_up_to_the_user(tmp_path, capsys):
    problem = str(PAPER / "two-types.toml")
    assert main(["design", problem, "--global-gap", "0.01", "--time-limit", "1"]) == 0
    refused(capsys, ["design", problem, "--global-gap", "0"], "global_gap = 0")
    refused(capsys, ["design", problem, "--time-limit", "-1"], "time_limit = -1")


RICH = """
currency = "EUR"
[population]
names = ["rural", "city", "Aachen"]
groups = ["clinics", "clinics", "Aachen"]
costs = [0.3, 0.2, 0.1]
probabilities = [0.4, 0.6, 1.0]
participants = {clinics = 4, Aachen = 1}
[accuracy]
family = "exponential"
optimum = 0.9
rate = 0.01
[valuation]
family = "linear"
scale = [90.0, 100.0, 150.0]
[outside]
joining_cost = 1.0
"""


def test_a_problem_of_many_ingredients_is_designed_verified_and_settled(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("problem.toml").write_text(RICH)
    assert main(["design", "problem.toml", "--output", "contract.json"]) == 0
    out = capsys.readouterr().out
    assert "clinics: 4, Aachen: 1 participants" in out
    assert " EUR" in out
    assert main(["verify", "contract.json"]) == 0
    capsys.readouterr()
    assert main(["settle", "contract.json", "--counts", "Aachen=1,rural=4", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["counts"] == [4, 0, 1]
    refused(
        capsys, ["settle", "contract.json", "--counts", "4,0,0"], "counts of Aachen sum to 0: expected the 1"
    )


def test_a_lottery_is_drawn_by_its_seed(contract_file, capsys):
    command = [
        "settle",
        str(contract_file),
        "--counts",
        "3,2,2,2,1",
        "--policy",
        "lottery",
        "--json",
        "--seed",
        "3",
    ]
    assert main(command) == 0
    first = capsys.readouterr().out
    assert main(command) == 0
    assert capsys.readouterr().out == first


def test_the_second_solver_agrees(tmp_path, capsys):
    path = tmp_path / "conic.json"
    assert main(["design", str(PAPER / "two-types.toml"), "--solver", "conic", "--output", str(path)]) == 0
    assert json.loads(path.read_text())["objective"] == pytest.approx(93.592998, abs=1e-3)


@pytest.mark.parametrize(("old", "new"), [("participants = 10", "participants = 2"), ("= 100.0", "= 0.01")])
def test_where_nothing_pays_the_null_contract_says_why(tmp_path, capsys, old, new):
    path = tmp_path / "dear.toml"
    path.write_text((PAPER / "s2.toml").read_text().replace(old, new))
    assert main(["design", str(path)]) == 0
    assert "nothing is asked, nothing given" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["design", "nowhere.toml"], "nowhere.toml: No such file or directory"),
        (["design", str(CLINICS), "--output", "nowhere/contract.json"], "there is no folder nowhere"),
        (["design", str(CLINICS), "--output", str(CLINICS)], "it is the input itself"),
        (["design", str(CLINICS), "--output", str(ROOT)], "it is a folder"),
        (["design", str(CLINICS), "--plot", "contract.jpeg"], "expected a name that ends in .png"),
        (["design", str(CLINICS), "--solver", "simplex"], "simplex"),
        (["design", str(CLINICS), "--outputs", "a.json"], "--outputs"),
        (["design"], "PROBLEM"),
        (["verify", "nowhere.json"], "nowhere.json"),
        (["verify", str(CLINICS)], "not a contract file"),
        (["settle", str(CLINICS), "--counts", "1,1"], "not a contract file"),
        (["desing", str(CLINICS)], "design"),
    ],
)
def test_bad_commands_are_refused_in_one_line(capsys, arguments, message):
    refused(capsys, arguments, message)


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ("3,2,2,2", "counts"),
        ("3,2,2,2,2", "counts sum to 11: expected the 10 participants"),
        ("3,2,2,2,1.5", "expected whole numbers separated by commas"),
        ("3,2,2,4,-1", "counts[4] = -1"),
        ("three", "expected whole numbers separated by commas"),
        ("type 1=3,type 7=7", "no type is called 'type 7': did you mean 'type"),
        ("type 1=3,type 1=7", "'type 1' is given twice"),
        ("type 1=3,7", "no type is called ''"),
        ("type 1=three", "expected whole numbers separated by commas, such as 3,2,2,2,1 or Aachen=1,rural=3"),
        ("type 1=3", "counts sum to 3: expected the 10 participants"),
        ("type 1=11,type 2=-1", "counts[1] = -1"),
        ("", "counts"),
    ],
)
def test_bad_counts_are_refused_in_one_line(contract_file, capsys, counts, message):
    refused(capsys, ["settle", str(contract_file), "--counts", counts], message)


def test_truncated_and_foreign_contracts_are_refused(contract_file, tmp_path, capsys):
    text, path = contract_file.read_text(), tmp_path / "bad.json"
    document = json.loads(text)
    cases = [text[: len(text) // 2], "{}", "[1, 2]", "null", text.replace('"schema"', '"scheme"')]
    for key in document:
        cases.append(json.dumps({k: v for k, v in document.items() if k != key}))
    cases.append(json.dumps(document | {"contribution": document["contribution"][:-1]}))
    cases.append(json.dumps(document | {"contribution": [float("nan")] * 5}))
    cases.append(json.dumps(document | {"objective": "high"}))
    for case in cases:
        path.write_text(case)
        capsys.readouterr()
        code = main(["verify", str(path)])
        out, err = capsys.readouterr()
        # a file without its stored certificate or names may still be verified afresh
        assert code in (0, 1, 2)
        if code == 2:
            assert out == ""
            assert err.count("\n") == 1
            assert "bad.json" in err
    for case in cases[:5]:
        path.write_text(case)
        refused(capsys, ["verify", str(path)], "bad.json")


EXTREME = [
    ("costs = [0.2, 0.16, 0.12, 0.08, 0.04]", "costs = [1e300, 0.16, 0.12, 0.08, 1e-300]"),
    ("scale = 100.0", "scale = 1e300"),
    ("scale = 100.0", "scale = 1e-300"),
    ("complexity = 1.0", "complexity = 1e300"),
    ("complexity = 1.0", "complexity = 1e-300"),
    ("optimum = 1.0", "optimum = 1e-300"),
    ("participants = 10", "participants = 1000000000000"),
    ("participants = 10", "participants = 1000000000001"),
]


@pytest.mark.parametrize(("old", "new"), EXTREME, ids=[case[1] for case in EXTREME])
def test_extreme_numbers_are_answered_or_refused_in_one_line(tmp_path, capsys, old, new):
    path, output = tmp_path / "extreme.toml", tmp_path / "contract.json"
    text = (PAPER / "s1.toml").read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    code = main(["design", str(path), "--output", str(output)])
    err = capsys.readouterr().err
    assert code in (0, 2)
    assert output.exists() == (code == 0)
    assert err.count("\n") == (0 if code == 0 else 1)


def test_bad_input_leaves_nothing_behind(tmp_path, capsys):
    (tmp_path / "problem.toml").write_text(CLINICS.read_text())  # its curve.csv is missing here
    output, plot = tmp_path / "contract.json", tmp_path / "contract.png"
    refused(
        capsys,
        ["design", str(tmp_path / "problem.toml"), "--output", str(output), "--plot", str(plot)],
        "curve.csv: No such file",
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["problem.toml"]


def test_it_runs_as_a_module_and_ends_quietly_when_its_reader_leaves():
    command = f"{sys.executable} -m modelpact design {CLINICS} | head -n 1"
    result = subprocess.run(command, shell=True, cwd=ROOT, capture_output=True, text=True, check=True)
    assert result.stdout.startswith("Learning curve")
    assert result.stderr == ""


def test_a_full_disk_is_one_line():
    command = f"{sys.executable} -m modelpact design {CLINICS} > /dev/full"
    result = subprocess.run(command, shell=True, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert result.stderr == "modelpact: cannot print: No space left on device\n"
