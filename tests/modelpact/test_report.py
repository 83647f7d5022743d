"""Reports: what the page says, for whom, and that it can be checked; its looks are tested in a browser."""

import base64
import dataclasses
import hashlib
import html
import itertools
import json
import re
import shlex
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import modelpact
from contracts import CustomCurve, GeneralizationBound, LinearValuation, Population, Problem, design_contract
from contracts.checks import visible
from contracts.contract import Contract
from contracts.contract.verify import verify
from contracts.errors import InvalidInput
from contracts.proof.evidence import Proof
from contracts.testing import contracts
from modelpact.cli import main
from modelpact.fingerprint import fingerprint
from modelpact.plain_numbers import amount, percent, ticks
from modelpact.problem_file import read_problem
from modelpact.report_facts import facts

ROOT = Path(__file__).parents[2]
HOSTILE = ("<script>alert(1)</script>", '"><img src=x onerror=alert(2)>', "A" * 200, "& ' \u202e", "日本の病院")
VOID = {"meta", "br", "img", "link", "input", "hr"}
UNPAIRED = {"rect", "line", "circle", "path", "text"}


class Page(HTMLParser):
    """The elements of a page; complains where they are not properly nested."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.words = ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.words += data

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


def problem(costs, participants=10, names=None, **options) -> Problem:
    types = len(costs)
    return Problem(
        population=Population(
            costs=costs, probabilities=[1.0 / types] * types, participants=participants, names=names
        ),
        accuracy=GeneralizationBound(),
        valuation=LinearValuation(scale=100.0),
        **options,
    )


@pytest.fixture(scope="module")
def clinics() -> Contract:
    return design_contract(read_problem(ROOT / "examples" / "tumour-clinics" / "problem.toml").problem)


@pytest.fixture(scope="module")
def forged(clinics) -> Contract:
    document = json.loads(clinics.to_json())
    document["contribution"][3] *= 1.1
    return Contract.from_json(json.dumps(document))


def plain(text: str) -> str:
    return " ".join(Page(text).words.replace("\N{NO-BREAK SPACE}", " ").split())


def assert_well_made(text: str) -> Page:
    page = Page(text)
    assert text.startswith("<!DOCTYPE html>")
    assert page.all("html")[0]["lang"] == "en"
    assert len(page.all("h1")) == len(page.all("title")) == len(page.all("main")) == 1
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))
    assert {cell["scope"] for cell in page.all("th")} <= {"col", "row", "colgroup"}
    for picture in page.all("svg"):
        nested = "viewbox" in picture or "x" in picture
        assert nested or picture.get("aria-hidden") == "true" or picture["aria-label"]
    names = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(names) == len(set(names))
    for _, attributes in page.elements:
        assert not {"src", "srcset", "style", "action"} & set(attributes)
        assert not any(name.startswith("on") for name in attributes)
    for link in page.all("a"):
        assert link["href"].startswith("data:application/json") or link["href"][1:] in names
    assert not {"script", "link", "img", "iframe", "form"} & {tag for tag, _ in page.elements}
    assert "default-src 'none'" in page.all("meta")[2]["content"]
    style = re.search("<style>(.*?)</style>", text, flags=re.S).group(1)
    assert "url(" not in style
    assert "@import" not in style
    return page


def test_the_clinics_menu_in_plain_words(clinics):
    page = modelpact.report(clinics, data="samples", currency="euros")
    assert_well_made(page.html)
    words = plain(page.html)
    assert page.certificate.holds
    for sentence in (
        "7 participants of 5 kinds",
        "Checked: everything holds",
        "Bring 26.64 samples Receive a model up to 93.63 % accurate",
        "Worth 93,629 euros on average. Best choice of rural practice.",
        "Bring 80.13 samples Receive the joint model, however good it becomes",
        "Best choice of city hospital, university hospital and screening centre.",
        "Not being able to see what data cost each participant costs",
        "it was measured 11 times, between 12 and 368 data, and approaches 98.2",
        "modelpact settle contract.json --counts 1,2,2,1,1",
    ):
        assert sentence in words, sentence
    assert "Warning" not in words


@pytest.mark.slow
@settings(max_examples=6)
@given(contracts(types=(1, 14)))
def test_every_contract_has_a_well_made_page_that_names_every_kind(contract):
    page = modelpact.report(contract)
    words = plain(page.html)
    assert_well_made(page.html)
    assert page.certificate.holds == ("Warning" not in words)
    assert page.certificate.optimal == ("everything holds" in words)
    assert all(name in words for name in contract.problem.population.names)
    assert "nan" not in words.lower().split()
    assert modelpact.report(contract).html == page.html


def test_a_contract_that_does_not_hold_is_said_to_fail_before_anything_else(forged):
    page = modelpact.report(forged)
    words = plain(page.html)
    assert_well_made(page.html)
    assert not page.certificate.holds
    warning = words.index("Warning: this contract does not hold")
    assert warning < words.index("The menu")
    assert 'role="alert"' in page.html
    assert all(words.count(violation) == 2 for violation in page.certificate.violations)
    assert "Nothing is guaranteed: the check failed." in words
    for claim in ("everything holds", "Guaranteed, with proof", "Why it is fair", "Everything holds."):
        assert claim not in words


@pytest.mark.parametrize(
    "change", [("expected_reward", 0, 3.0), ("expected_reward", 0, 0.0), ("objective", None, 2.0)]
)
def test_promises_that_make_no_sense_are_reported_all_the_same(clinics, change):
    field, place, factor = change
    document = json.loads(clinics.to_json())
    if place is None:
        document[field] *= factor
    else:
        document[field][place] *= factor
    page = modelpact.report(Contract.from_json(json.dumps(document)))
    assert_well_made(page.html)
    assert "Warning" in page.html


def test_nothing_a_user_writes_becomes_markup():
    contract = design_contract(problem([0.2, 0.16, 0.12, 0.08, 0.04], names=HOSTILE))
    page = modelpact.report(contract, title="</title><b>", data="</style><script>", currency="'\"<>&")
    found = assert_well_made(page.html)
    assert not {"b", "img", "script"} & {tag for tag, _ in found.elements}
    assert all(" ".join(name.split()) in " ".join(found.words.split()) for name in map(visible, HOSTILE))


def test_what_is_not_proved_is_not_claimed(clinics):
    """Without a proof every promise holds all the same, and nothing is said about other menus."""
    page = modelpact.report(dataclasses.replace(clinics, proof=Proof()))
    words = plain(page.html)
    assert_well_made(page.html)
    assert (page.certificate.holds, page.certificate.optimal) == (True, False)
    assert "every promise holds; optimality not proved" in words
    assert (
        "Nothing is guaranteed about other menus. Optimality not proved: the contract carries no proof." in words
    )
    assert "Why it is fair" in words
    for claim in ("everything holds", "Everything holds", "better by more than 0", "the best that can be had"):
        assert claim not in words
    banner = re.search('<section class="verdict.*?</section>', page.html, flags=re.S).group(0)
    assert "✓" not in banner
    assert "good" not in banner


def test_a_null_contract_says_that_everybody_stays_alone():
    dear = problem([1.0, 0.85, 0.7, 0.55, 0.4], participants=4)
    page = modelpact.report(design_contract(dear, time_limit=0.0))
    assert_well_made(page.html)
    words = plain(page.html)
    assert "asks nobody for anything: each stays on its own" in words
    assert "That no other menu makes the joint model better is not proved" in words


def test_those_who_are_left_out_bring_nothing():
    found = facts(*certified(design_contract(problem([2.0, 0.4], participants=6))))
    assert [kind.contribution > 0 for kind in found.kinds] == [False, True]
    assert "Bring nothing" in plain(modelpact.report(found.contract).html)


@pytest.fixture(scope="module")
def fifty() -> Contract:
    """Fifty kinds, unlikely ones among them, whose dearest are offered rounding errors."""
    rng = np.random.default_rng(0)
    population = Population(
        costs=np.sort(rng.uniform(0.01, 0.5, 50)), probabilities=rng.dirichlet(np.ones(50)), participants=30
    )
    return design_contract(
        Problem(population=population, accuracy=GeneralizationBound(), valuation=LinearValuation(scale=100.0))
    )


def test_of_fifty_kinds_a_few_are_shown_and_all_are_there(fifty):
    page = modelpact.report(fifty)
    assert_well_made(page.html)
    words = plain(page.html)
    assert words.count("Show all 50 kinds") == 6
    assert "8 of 50 kinds, evenly chosen." in words
    open_ones = plain(re.sub(r"<details.*?</details>", "", page.html, flags=re.S))
    assert all(f"type {k + 1}" in words for k in range(50))
    assert "type 2 " not in open_ones.split("What it gains over")[1]


def test_rounding_is_not_shown_as_an_amount(fifty):
    found = facts(*certified(fifty))
    assert 0.0 < fifty.contribution.min() < 1e-9
    for kind in found.kinds:
        for number in (kind.contribution * kind.cost, kind.value, kind.gain, kind.other_gain or 0.0):
            assert number == 0.0 or abs(number) > found.certificate.tolerance


def certified(contract):
    return contract, verify(contract)


def test_the_chance_to_do_worse_than_alone_is_what_settlements_show(clinics):
    found = facts(*certified(clinics))
    population = clinics.problem.population
    rng, draws, i = np.random.default_rng(1), 4000, population.names.index("city hospital")
    others = rng.multinomial(population.participants - 1, population.probabilities, size=draws)
    counts, how_often = np.unique(others, axis=0, return_counts=True)
    own = np.eye(population.types, dtype=int)[i]
    utility = np.array([clinics.settle(row + own).utility[i] for row in counts])
    worse = how_often[utility < clinics.reservation_utility[i] - found.tolerance].sum() / draws
    kind = next(kind for kind in found.kinds if kind.name == "city hospital")
    assert 0.1 < worse < 0.9
    (received,) = kind.received
    assert received.worse == pytest.approx(worse, abs=4.0 * np.sqrt(worse * (1.0 - worse) / draws))
    assert received.low < received.middle < received.high


def test_the_menu_pools_kinds_that_are_offered_the_same(clinics):
    found = facts(*certified(clinics))
    assert [[kind.name for kind in option.kinds] for option in found.options] == [
        ["rural practice"],
        ["private clinic"],
        ["city hospital", "university hospital", "screening centre"],
    ]
    for kind in found.kinds:
        assert kind.gain >= kind.other_gain - found.tolerance
        assert kind.advantage >= -found.tolerance


def test_the_page_carries_the_contract_it_was_made_from(clinics, tmp_path):
    path = tmp_path / "signed.json"
    clinics.save(path)
    page = modelpact.report(path)
    href = next(link["href"] for link in Page(page.html).all("a") if link["href"].startswith("data:"))
    carried = base64.b64decode(href.split(",")[1])
    assert carried == path.read_bytes()
    assert hashlib.sha256(carried).hexdigest() in page.html
    assert modelpact.report(str(path)).html == modelpact.report(Contract.load(path)).html == page.html


def test_the_commands_shown_run_and_make_the_page_again(clinics, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    clinics.save("contract.json")
    page = modelpact.report("contract.json", title="Ours & yours", data="samples", currency="euros")
    commands = re.search(r"<pre.*?><code>(.*?)</code>", page.html, flags=re.S).group(1)
    lines = [shlex.split(line) for line in html.unescape(commands).splitlines()]
    assert [words[1] for words in lines] == ["verify", "settle", "report"]
    assert [main(words[1:]) for words in lines] == [0, 0, 0]
    assert Path("mine.html").read_text(encoding="utf-8") == page.html


def test_a_scheme_keeps_its_contract_in_the_record_of_its_design(clinics, tmp_path):
    clinics.save(tmp_path / "contract.json")
    contract = json.loads((tmp_path / "contract.json").read_text(encoding="utf-8"))
    (tmp_path / "design.json").write_text(json.dumps({"stage": "design", "result": {"contract": contract}}))
    one, other = (modelpact.report(tmp_path / name).html for name in ("design.json", "contract.json"))
    assert one == other
    (tmp_path / "design.json").write_text('{"stage": "design", "result": {"contract": {"schema": 3}}}')
    with pytest.raises(InvalidInput, match="not a contract file"):
        modelpact.report(tmp_path / "design.json")


def test_a_curve_that_no_file_can_hold_is_reported_without_one():
    problem = Problem(
        population=Population(costs=[0.2, 0.1], probabilities=[0.5, 0.5], participants=10),
        accuracy=CustomCurve(function=lambda x: 0.9 * x / (x + 50.0), optimum=0.9),
        valuation=LinearValuation(scale=100.0),
    )
    page = modelpact.report(design_contract(problem))
    assert_well_made(page.html)
    assert "data:application" not in page.html
    assert "SHA-256" not in page.html


def test_command_writes_the_page_and_its_exit_code_tells(clinics, forged, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    clinics.save("good.json")
    Path("bad.json").write_text(forged.to_json())
    assert main(["report", "good.json"]) == 0
    assert "Wrote report.html" in capsys.readouterr().out
    assert Path("report.html").read_text(encoding="utf-8") == modelpact.report("good.json").html
    assert main(["report", "bad.json", "--output", "bad.html", "--data", "samples"]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert "university hospital" in err
    assert {path.name for path in tmp_path.iterdir()} == {"good.json", "bad.json", "report.html"}


def test_a_page_is_written_where_only_optimality_is_not_proved(clinics, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    document = json.loads(clinics.to_json())
    Path("unproved.json").write_text(json.dumps(document | {"proof": {}}))
    assert main(["report", "unproved.json"]) == 0
    out, err = capsys.readouterr()
    assert "optimality not proved" in out
    assert err.startswith("modelpact: optimality is not proved: ")
    assert Path("report.html").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere.json"], "cannot read nowhere.json"),
        (["broken.json"], "not a contract file"),
        (["good.json", "--output", "page.txt"], ".html"),
        (["good.json", "--output", "nowhere/page.html"], "no folder"),
        (["good.json", "--output", "folder.html"], "it is a folder"),
    ],
)
def test_command_refuses_and_leaves_what_is_there(clinics, tmp_path, capsys, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    clinics.save("good.json")
    Path("broken.json").write_text('{"schema": ')
    Path("folder.html").mkdir()
    Path("report.html").write_text("mine")
    assert main(["report", *arguments]) == 2
    assert message in capsys.readouterr().err
    assert Path("report.html").read_text() == "mine"
    assert len(list(tmp_path.iterdir())) == 4


def audit_file(folder, contract, **changes) -> Path:
    kept = {
        "name": "<b>Klinik</b>",
        "accepted": True,
        "refused_because": "",
        "accuracy": 0.9,
        "utility": 686.7,
        "promised_accuracy": 0.906,
        "error": 0.05,
        "promised_utility": 695.9,
        "met": True,
        "alone": {"utility": 650.0, "accuracy": 0.8},
    }
    refused = {**kept, "name": "cheat", "accepted": False, "met": None, "refused_because": "0 samples of 93"}
    assumed = {
        "trained_accuracy": 0.94,
        "contributors": 1,
        "contributors_expected": 2,
        "curve_kept": True,
        "dishonest_data_accepted": [],
        "honest_refused": [],
        "objections": [],
    }
    result = {"participants": [kept | changes, refused], "promises_met": True, "assumptions": assumed}
    result["promises_met"] = (kept | changes)["met"] is True
    if contract is not None:
        result["contract"] = fingerprint(contract)
    path = folder / "audit.json"
    path.write_text(json.dumps({"format": "modelpact.scheme/3", "stage": "audit", "result": result, "more": 1}))
    return path


def test_an_audit_is_told_of_and_a_broken_promise_comes_first(clinics, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    clinics.save("contract.json")
    page = modelpact.report(clinics, audit=audit_file(tmp_path, clinics))
    assert_well_made(page.html)
    words = plain(page.html)
    for text in (
        "The audit: what came of it",
        "90.6 % ± 5 %",
        "<b>Klinik</b>",
        "cheat: 0 samples of 93",
        "--audit",
    ):
        assert text in words
    assert "1 participants contribute, the contract expects 2" in words
    assert main(["report", "contract.json", "--audit", "audit.json"]) == 0
    audit_file(tmp_path, clinics, met=False, accuracy=0.6)
    broken = plain(modelpact.report(clinics, audit="audit.json").html)
    assert broken.index("Not every promise was kept") < broken.index("Bring 26.64")
    assert main(["report", "contract.json", "--audit", "audit.json"]) == 1
    assert "not kept" in Path("report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"format": ', "not the audit of a scheme"),
        ("{}", "missing required field"),
        ('{"format": "modelpact.scheme/3", "stage": "train", "result": {}}', "participants"),
    ],
)
def test_what_is_no_audit_is_refused(clinics, tmp_path, text, message):
    (tmp_path / "audit.json").write_text(text)
    with pytest.raises(InvalidInput, match=f"audit.json: .*{message}"):
        modelpact.report(clinics, audit=tmp_path / "audit.json")
    with pytest.raises(InvalidInput, match="expected what it was promised"):
        modelpact.report(clinics, audit=audit_file(tmp_path, clinics, error=None))
    with pytest.raises(InvalidInput, match="cannot read"):
        modelpact.report(clinics, audit=tmp_path / "nowhere.json")


def test_an_audit_belongs_to_the_contract_that_was_carried_out(clinics, tmp_path):
    """Another menu or another problem is another contract; who found it, and how it is proved, is not."""
    path = audit_file(tmp_path, clinics)
    others = {
        "menu": dataclasses.replace(clinics, contribution=clinics.contribution * (1.0 + 1e-12)),
        "reward": dataclasses.replace(clinics, expected_reward=clinics.expected_reward * (1.0 - 1e-12)),
        "problem": dataclasses.replace(clinics, problem=dataclasses.replace(clinics.problem, currency="zloty")),
    }
    for name, other in others.items():
        with pytest.raises(InvalidInput, match=r"audit\.json: the audit of another contract") as caught:
            modelpact.report(other, audit=path)
        assert len(str(caught.value).splitlines()) == 1, name
    modelpact.report(dataclasses.replace(clinics, proof=Proof(), reason="found by hand"), audit=path)
    with pytest.raises(InvalidInput, match=r"names no contract: .* run the scheme again"):
        modelpact.report(clinics, audit=audit_file(tmp_path, None))


@pytest.mark.parametrize("wrong", [None, 3, {"schema": 1}, object()])
def test_what_is_no_contract_is_refused(wrong):
    with pytest.raises(InvalidInput, match="expected a Contract"):
        modelpact.report(wrong)


@pytest.mark.parametrize("name", ["title", "data", "currency"])
def test_words_must_be_texts(clinics, name):
    with pytest.raises(InvalidInput, match=f"{name} = 3"):
        modelpact.report(clinics, **{name: 3})


@given(st.floats(-1e30, 1e30))
def test_amounts_are_short_and_close(value):
    text = amount(value)
    scales = {"billion": 1e9, "trillion": 1e12}
    digits = text.replace("−", "-").replace(",", "")
    match = re.fullmatch(r"(-?)([\d.]*)(?: × )?(?:10([⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+))?(?: (billion|trillion))?", digits)
    sign, factor, power, word = match.groups()
    exponent = int((power or "⁰").translate(str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")))
    read = float(sign + (factor or "1")) * 10.0**exponent * scales.get(word or "", 1.0)
    assert read == pytest.approx(value, rel=6e-3)
    assert len(text) <= 16


@given(st.floats(0.0, 1.0))
def test_percentages_tell_a_share_from_nothing_and_from_all(share):
    text = percent(share)
    assert (text == "0 %") == (share == 0.0)
    assert (text == "100 %") == (share == 1.0)
    if text[0].isdigit():
        assert float(text[:-2]) == pytest.approx(100.0 * share, rel=6e-3, abs=1e-6)
        assert 100.0 - float(text[:-2]) == pytest.approx(100.0 * (1.0 - share), rel=6e-3, abs=1e-6)


@given(st.floats(-1e3, 1e3), st.floats(1e-6, 1e3), st.integers(2, 9))
def test_ticks_are_few_and_inside(low, width, most):
    marks = ticks(low, low + width, most)
    assert len(marks) <= most
    assert all(low - 1e-6 * width <= mark <= low + width + 1e-6 * width for mark in marks)
    assert len(marks) >= 1 or most < 4
