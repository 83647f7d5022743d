"""Whom a result cites: the right works, from one bibliography that BibTeX can read."""

import dataclasses
import importlib
import re
from pathlib import Path

import pytest

from contracts import (
    Doubt,
    GeneralizationBound,
    InvalidInput,
    LinearValuation,
    Menu,
    Outside,
    Poisson,
    Population,
    PowerLaw,
    Problem,
    Scenario,
    Welfare,
    design_contract,
    verify,
)
from equilibria import CorrelatedEquilibrium, ParticipationGame, VerifiedRule, correlated_equilibrium
from mechanisms import cosine_shapley
from mechanisms.aggregation import rules
from mechanisms.attacks import ATTACKS
from modelpact.citation import BASIS, NAMED, bibliography, citation

ROOT = Path(__file__).parents[2]


def problem(accuracy):
    return Problem(
        population=Population(costs=[0.2, 0.1], probabilities=[0.5, 0.5], participants=10),
        accuracy=accuracy,
        valuation=LinearValuation(scale=100.0),
    )


def keys(result):
    return [work.key for work in citation(result).works]


def test_a_contract_cites_its_problem_its_curve_and_us():
    bound = design_contract(problem(GeneralizationBound()))
    assert keys(bound)[0] == "wang2025paid"
    assert {"karimireddy2022mechanisms", "mohri2018foundations"} <= set(keys(bound))
    assert keys(bound)[-1] == "modelpact"
    power = design_contract(problem(PowerLaw(optimum=0.95, coefficient=2.0, exponent=0.5)))
    assert not {"karimireddy2022mechanisms", "mohri2018foundations"} & set(keys(power))


def test_the_solver_used_is_cited():
    stated = problem(GeneralizationBound())
    assert "mehrotra1992implementation" in keys(design_contract(stated))
    conic = keys(design_contract(stated, solver="conic"))
    assert "diamond2016cvxpy" in conic
    assert "mehrotra1992implementation" not in conic


def test_a_certificate_and_a_settlement_cite_the_problem():
    contract = design_contract(problem(GeneralizationBound()))
    for result in (verify(contract), contract.settle([5, 5]), contract.rewards(), contract.problem):
        assert "wang2025paid" in keys(result)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"outside": Outside(joining_cost=1.0)}, "outside options"),
        ({"menu": Menu(options=2)}, "few options"),
        ({"objective": Welfare()}, "objectives other than accuracy"),
        ({"scenarios": [Scenario(weight=1.0)]}, "several scenarios"),
        ({"baseline": 0.1}, "baselines"),
        ({"population": {"participants": Poisson(mean=6.0)}}, "uncertain numbers"),
        ({"population": {"doubt": Doubt(radius=0.1)}}, "probabilities in doubt"),
        ({"population": {"qualities": [0.5, 1.0]}}, "qualities"),
    ],
)
def test_every_ingredient_says_what_is_ours(changes, reason):
    stated = problem(PowerLaw(optimum=0.95, coefficient=2.0, exponent=0.5))
    assert reason not in str(citation(stated))
    if "population" in changes:
        changes = {"population": dataclasses.replace(stated.population, **changes["population"])}
    found = citation(dataclasses.replace(stated, **changes))
    assert [work.key for work in found.works] == ["wang2025paid", "modelpact"]
    assert reason in str(found)


def test_games_and_equilibria():
    game = ParticipationGame(types=[0.1, 0.2, 0.6], loss_weight=1.0, complexity=40.0, cost=3.125e-7)
    for result in (game, game.unravel(), game.pure_equilibria(), VerifiedRule(samples=100)):
        assert "capitaine2024unravelling" in keys(result)
    found = correlated_equilibrium(game)
    assert isinstance(found, CorrelatedEquilibrium)
    assert keys(found)[0] == "aumann1974subjectivity"
    assert keys(game.partition())[0] == keys(game.blocking_coalition())[0] == "banerjee2001core"
    assert keys(game.certificate("all"))[0] == "nash1951games"
    assert keys(cosine_shapley([[1.0, 0.0], [0.0, 1.0]]))[0] == "shapley1953value"


@pytest.mark.parametrize("name", [*rules(), *ATTACKS])
def test_every_rule_and_attack_can_be_cited(name):
    assert keys(name)[-1] == "modelpact"


def test_composed_rules_cite_their_parts():
    assert keys("loss-screen+trimmed-mean") == ["fang2020local", "yin2018byzantine", "modelpact"]


@pytest.mark.parametrize("result", ["medina", "krum+medina", 3, None, object()])
def test_what_is_unknown_is_refused(result):
    with pytest.raises(InvalidInput, match="result"):
        citation(result)


@pytest.mark.parametrize("name", list(BASIS))
def test_every_class_named_exists_and_every_key_is_in_the_bibliography(name):
    module, kind = name.rsplit(".", 1)
    assert isinstance(getattr(importlib.import_module(module), kind), type)
    assert {key for key, _ in BASIS[name]} <= set(bibliography())


def test_every_rule_named_exists():
    assert set(NAMED) <= {*rules(), *ATTACKS}
    assert set(NAMED.values()) <= set(bibliography())


def test_every_work_reads_as_a_reference():
    for key, work in bibliography().items():
        text = str(work)
        assert re.search(r"\((1[89]|20)\d\d\)\. \S", text), text
        assert not re.search(r"[{}\\]|  |,,|\.\.", text), text
        assert text.endswith(".")
        assert f"{{{key}," in work.bibtex


def test_bibtex_is_read_alike_by_pybtex(tmp_path):
    pybtex = pytest.importorskip("pybtex.database")
    path = tmp_path / "works.bib"
    path.write_text(citation(design_contract(problem(GeneralizationBound()))).bibtex, encoding="utf-8")
    parsed = pybtex.parse_file(str(path))
    assert "wang2025paid" in parsed.entries
    whole = pybtex.parse_file(str(ROOT / "modelpact" / "bibliography.bib"))
    assert set(whole.entries) == set(bibliography())
    for key, entry in whole.entries.items():
        people = [str(person.last_names[-1]) for person in entry.persons["author"]]
        assert bibliography()[key].fields["year"] == entry.fields["year"]
        assert len(people) == len(bibliography()[key].fields["author"].split(" and "))


def test_the_citation_file_agrees_with_the_package():
    text = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    version = re.search(r'^version = "(.*)"', (ROOT / "pyproject.toml").read_text(), flags=re.M)
    assert version
    assert f"\nversion: {version[1]}\n" in text
    assert f"Version {version[1]}" in bibliography()["modelpact"].bibtex
    assert bibliography()["wang2025paid"].fields["doi"] in text
