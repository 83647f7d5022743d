"""Playing a game from its file: the tables, the JSON, the plot, and every way the file can be wrong."""

import json
from pathlib import Path

import numpy as np
import pytest

from contracts.errors import InvalidInput
from modelpact.cli import main
from modelpact.play import CONSTANTS, RULES, analyse, play, read_game

EXAMPLES = Path(__file__).parents[2] / "examples"
GOOD = """
loss_weight = 1.0
complexity = 40.0
exponent = 0.5
cost = 3.125e-7
types = [0.1, 0.2, 0.6]
"""


def write(tmp_path, text):
    path = tmp_path / "game.toml"
    path.write_text(text)
    return path


def test_the_worked_example_from_its_file(tmp_path, capsys):
    output, plot = tmp_path / "result.json", tmp_path / "cascade.png"
    assert play(EXAMPLES / "harmonic_quality" / "game.toml", output=output, plot=plot) == 0
    report = json.loads(output.read_text())
    pooled, full = report["rules"]["pooled"], report["rules"]["full_information"]
    assert pooled["cascade"]["sizes"] == list(range(10, 0, -1))
    assert pooled["equilibria"]["sizes"] == [0, 1]
    assert np.isclose(pooled["grand_coalition"]["total_surplus"], 0.8038, atol=5e-5)
    assert np.isclose(full["grand_coalition"]["total_surplus"], 1.64114, atol=5e-6)
    assert report["rules"]["verified"]["trial"]["frequency"] >= 0.95
    assert report["rules"]["verified_without_slack"]["trial"]["frequency"] < 0.3
    assert plot.read_bytes().startswith(b"\x89PNG")
    shown = capsys.readouterr().out
    assert pooled["partition"]["sizes"] == [4, 3, 2, 1]
    assert np.isclose(pooled["partition"]["total_surplus"], 0.4219, atol=5e-5)
    assert "no Nash equilibrium of joining freely" in pooled["partition"]["text"]
    assert "partition" not in full
    for text in (
        "4 coalitions of 4, 3, 2 and 1 keep 0.4219",
        "consent",
        "0.8038",
        "1.6411",
        "pooled: who leaves",
        "proved",
        "nothing is proved",
    ):
        assert text in shown


def test_agents_who_differ_are_played_and_their_groups_drawn(tmp_path, capsys):
    text = GOOD.replace("cost = 3.125e-7", "costs = [3e-7, 2e-7, 6e-7]\ncapacities = [1e5, 1e6, 1e6]")
    text = text.replace("[0.1, 0.2, 0.6]", "[0.1, 0.11, 0.6]")
    path = write(tmp_path, text + "[rules.pooled]\n[rules.fixed_amounts]\nsamples = [9e4, 1e5, 1e5]\n")
    play(path, groups=tmp_path / "groups.svg")
    shown = capsys.readouterr().out
    assert "alone each would train on 100,000 to" in shown
    assert "2 coalitions of 2 and 1" in shown
    assert "<svg" in (tmp_path / "groups.svg").read_text()
    report, _ = analyse(read_game(path))
    assert json.dumps(report, allow_nan=False)
    assert report["costs"] == [3e-7, 2e-7, 6e-7]
    with pytest.raises(InvalidInput, match="--groups"):
        play(write(tmp_path, GOOD + "[rules.full_information]\n"), groups=tmp_path / "groups.svg")
    differing = GOOD.replace("cost = 3.125e-7", "costs = [3e-7, 2e-7, 6e-7]") + "[rules.pooled]\n"
    with pytest.raises(InvalidInput, match=r"--groups: .* pooled or fixed_share with one cost for all"):
        play(write(tmp_path, differing), groups=tmp_path / "groups.svg")


@pytest.mark.parametrize(
    ("types", "cost", "said"),
    [
        (np.linspace(0.1, 0.9, 1200), 1e-13, "everybody is alone all the same"),
        (np.full(1200, 0.2), 3e-7, "all are together all the same"),
        (np.where(np.arange(50) < 45, 0.1, 0.6), 3.125e-7, "here they keep less than the one coalition"),
    ],
)
def test_what_is_said_of_several_coalitions(tmp_path, types, cost, said):
    text = GOOD.replace("[0.1, 0.2, 0.6]", str(types.tolist())).replace("3.125e-7", str(cost))
    report, _ = analyse(read_game(write(tmp_path, text + "[rules.pooled]\n")))
    told = report["rules"]["pooled"]["partition"]["text"]
    assert said in told
    assert ("consent" in told) == ("less" in said)


def test_json_on_standard_output_is_all_there_is(tmp_path, capsys):
    play(write(tmp_path, GOOD), json=True)
    report = json.loads(capsys.readouterr().out)
    assert set(report["rules"]) == {"pooled", "full_information", "club"}
    assert report["rules"]["pooled"]["cascade"]["stays"] == [2]


@pytest.mark.parametrize("name", ["digits", "breast_cancer"])
def test_the_demonstrations_play(name):
    report, cascades = analyse(read_game(EXAMPLES / "label_noise" / f"{name}.toml"))
    assert cascades["pooled"].complete
    assert report["rules"]["full_information"]["grand_coalition"]["epsilon"] == 0.0
    assert report["rules"]["verified"]["guarantee"].startswith("nothing is proved")


def test_families_of_types(tmp_path):
    head = GOOD.replace("types = [0.1, 0.2, 0.6]", "")
    harmonic = read_game(
        write(tmp_path, head + '[types]\nfamily="harmonic"\nagents=10\nworst=0.6\nspread=0.1\n')
    )
    assert np.isclose(harmonic.game.types[0], 0.31710317)
    linear = read_game(write(tmp_path, head + '[types]\nfamily="linear"\nagents=3\nbest=0.1\nworst=0.5\n'))
    assert np.allclose(linear.game.types, [0.1, 0.3, 0.5])


def test_large_games_are_not_enumerated(tmp_path):
    text = GOOD.replace("[0.1, 0.2, 0.6]", str(np.linspace(0.1, 0.5, 40).tolist()))
    report, _ = analyse(read_game(write(tmp_path, text)))
    assert report["rules"]["full_information"]["equilibria"] is None
    assert report["rules"]["pooled"]["equilibria"]["method"] == "threshold theorem"
    assert json.dumps(report, allow_nan=False)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("types = [", "not TOML"),
        ("", "lacks loss_weight, complexity, cost, types"),
        (GOOD.replace("cost =", "price ="), "lacks cost|unknown key 'price'"),
        (GOOD.replace("cost =", "costs ="), "costs = 3.125e-07: expected a list"),
        (GOOD + "costs = [1e-7, 1e-7, 1e-7]", "cost, costs: expected one of them"),
        (GOOD + "capacities = [1.0]", "capacities has length 1"),
        (GOOD + "[rules.fixed_amounts]", "lacks samples"),
        (GOOD.replace("0.6", "1.6"), r"types\[2\] = 1.6"),
        (GOOD.replace("3.125e-7", "0.0"), "cost = 0"),
        (GOOD.replace("3.125e-7", "nan"), "cost = nan"),
        (GOOD.replace("3.125e-7", '"cheap"'), "cost = 'cheap'"),
        (GOOD + "title = 3", "title = 3"),
        (GOOD + "rules = 3", "rules"),
        (GOOD + "[rules]", "rules"),
        (GOOD + "[rules.best]", "rules.best.kind = 'best'"),
        (GOOD + "[rules.pooled]\nsize = 2", "unknown key 'size'"),
        (GOOD + "[rules.club]\nsize = 0", "rules.club: size = 0"),
        (GOOD + "[rules.verified]", "lacks samples"),
        (GOOD + "[rules.verified]\nsamples = 10\nruns = -1", "runs = -1"),
        (GOOD + "[rules.verified]\nsamples = 10\nestimates = [0.1]", "estimates has length 1"),
        (GOOD + "[rules]\npooled = 1", "expected a table"),
        (GOOD.replace("types = [0.1, 0.2, 0.6]", "types = 'all'"), "types"),
        (GOOD.replace("types = [0.1, 0.2, 0.6]", "[types]\nfamily = 'normal'"), "types.family"),
        (GOOD.replace("types = [0.1, 0.2, 0.6]", "[types]\nfamily = 'linear'\nagents = 1"), "types.agents"),
        (
            GOOD.replace(
                "types = [0.1, 0.2, 0.6]", "[types]\nfamily='harmonic'\nagents=5\nworst=0.1\nspread=9.0"
            ),
            r"types\[0\]",
        ),
    ],
)
def test_files_that_are_wrong(tmp_path, text, message):
    with pytest.raises(InvalidInput, match=message) as caught:
        play(write(tmp_path, text))
    assert "\n" not in str(caught.value)


def test_files_that_cannot_be_read_or_written(tmp_path):
    with pytest.raises(InvalidInput, match="cannot read"):
        play(tmp_path / "missing.toml")
    binary = tmp_path / "binary.toml"
    binary.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InvalidInput, match="not TOML"):
        play(binary)
    good = write(tmp_path, GOOD)
    with pytest.raises(InvalidInput, match="cannot write"):
        play(good, output=tmp_path / "nowhere" / "out.json")
    with pytest.raises(InvalidInput, match=r"ends in \.png"):
        play(good, plot=tmp_path / "cascade.docx")


def test_what_takes_a_second_a_coalition_is_not_enumerated(tmp_path, monkeypatch):
    text = (
        "loss_weight = 1.0\ncomplexity = 40.0\nexponent = 0.5\ncosts = [3e-7, 2e-7]\ntypes = [0.05, 0.4]\n"
        "[rules.full_information]\n[rules.pooled]\n"
    )
    monkeypatch.setattr("equilibria.welfare_differing.GRID", 8)
    rules = analyse(read_game(write(tmp_path, text)))[0]["rules"]
    assert rules["full_information"]["equilibria"] is None
    assert rules["pooled"]["equilibria"]["method"] == "enumeration"


def test_a_rule_without_options_says_that_it_has_none(tmp_path):
    text = "loss_weight = 1.0\ncomplexity = 40.0\ncost = 3e-7\ntypes = [0.05, 0.4]\n[rules.pooled]\nfoo = 1\n"
    with pytest.raises(InvalidInput, match=r"unknown key 'foo': expected none$"):
        read_game(write(tmp_path, text))


@pytest.mark.parametrize("constants", ["loss_weight = 1e100\ncost = 1e90", "loss_weight = 1.0\ncost = 1e300"])
def test_enormous_units_are_shown_in_few_digits(tmp_path, capsys, constants):
    path = write(tmp_path, f"{constants}\ncomplexity = 40.0\ntypes = [0.1, 0.2, 0.6]\n")
    assert play(path) == 0
    shown = capsys.readouterr().out
    assert max(map(len, shown.split())) < 20
    assert "× 10" in shown


def test_the_help_names_every_rule_and_constant(capsys):
    assert main(["play", "--help"]) == 0
    words = set(capsys.readouterr().out.replace(",", " ").replace("(", " ").replace(":", " ").split())
    assert {*RULES, *CONSTANTS, "types"} <= words
