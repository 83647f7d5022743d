"""Problem files whose population was observed: designed with the doubt that the observations leave."""

from pathlib import Path

import pytest

from contracts import Contract, InvalidInput, fit_population, read_observations
from modelpact.cli import main
from modelpact.problem_file import read_problem

EXAMPLE = Path(__file__).parents[2] / "examples" / "observed-sign-ups"


def changed(tmp_path, *pairs):
    text = (EXAMPLE / "problem.toml").read_text()
    for old, new in pairs:
        assert old in text
        text = text.replace(old, new)
    (tmp_path / "signups.csv").write_bytes((EXAMPLE / "signups.csv").read_bytes())
    path = tmp_path / "problem.toml"
    path.write_text(text)
    return path


def test_the_population_is_the_estimate_with_its_doubt():
    stated = read_problem(EXAMPLE / "problem.toml")
    found = fit_population(participants=20, **read_observations(EXAMPLE / "signups.csv"))
    population = stated.problem.population
    assert population.names == ("practice", "hospital", "registry")
    assert population.costs.tolist() == [120.0, 60.0, 30.0]
    assert population.probabilities == pytest.approx(found.population.probabilities)
    assert population.doubt.radius == found.doubt.radius
    assert population.participants == 20


def test_design_says_where_the_probabilities_come_from_and_keeps_promises_for_all_of_them(tmp_path, capsys):
    output = tmp_path / "contract.json"
    assert main(["design", str(EXAMPLE / "problem.toml"), "--output", str(output)]) in (0, 3)
    out, err = capsys.readouterr()
    assert (
        "60 observations: the true probabilities lie within total variation 0.136 with probability 0.95" in err
    )
    assert "every promise holds" in out
    contract = Contract.load(output)
    assert contract.problem.population.doubt is not None
    assert main(["check", str(EXAMPLE / "problem.toml")]) == 0
    assert "Of the chances is known: 60 observations" in capsys.readouterr().out


def test_estimates_may_be_taken_for_certain_or_doubted_otherwise(tmp_path):
    certain = read_problem(changed(tmp_path, ("level = 0.95", 'doubt = "none"')))
    assert certain.problem.population.doubt is None
    assert "taken for certain" in certain.seen[0]
    other = read_problem(
        changed(tmp_path, ("level = 0.95", "doubt = {radius = 0.03}\nqualities = [1, 0.9, 0.8]"))
    )
    assert other.problem.population.doubt.radius == 0.03
    assert other.problem.population.qualities.tolist() == [1.0, 0.9, 0.8]
    wider = read_problem(changed(tmp_path, ("level = 0.95", "level = 0.999")))
    assert wider.problem.population.doubt.radius > 0.14


def test_bids_are_divided_into_types(tmp_path):
    path = changed(tmp_path, ("level = 0.95", 'types = 2\nlaw = "lognormal"'))
    (tmp_path / "signups.csv").write_text("bid\n" + "\n".join(map(str, range(20, 120, 5))))
    assert read_problem(path).problem.population.types == 2


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("signups.csv", "nowhere.csv", "nowhere.csv: No such file"),
        ("level = 0.95", "level = 2.0", "[population] observed: level = 2"),
        ("level = 0.95", 'law = "normal"', "[population] observed: law = 'normal'"),
        ("level = 0.95", "costs = [1.0]", "[population] unknown key 'costs'"),
        ("participants = 20", 'participants = "named"', "expected a number or a law beside observations"),
        ("level = 0.95", "qualities = [1.0]", "[population] qualities"),
    ],
)
def test_bad_files_are_refused_in_one_line(old, new, message, tmp_path):
    with pytest.raises(InvalidInput) as caught:
        read_problem(changed(tmp_path, (old, new)))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
