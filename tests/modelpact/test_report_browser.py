"""Reports in a real browser: nothing sticks out, nothing is loaded, everything can be read."""

import importlib.util
import json
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest

import modelpact
from contracts import GeneralizationBound, LinearValuation, Population, PowerLaw, Problem, design_contract
from contracts.contract import Contract
from modelpact.problem_file import read_problem

ROOT = Path(__file__).parents[2]
PHONE, SMALL_PHONE, DESKTOP = 390, 320, 1280


@pytest.fixture(scope="module")
def browser():
    """The helper beside this file; skips where there is no browser."""
    specification = importlib.util.spec_from_file_location("browser", Path(__file__).with_name("browser.py"))
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def pages() -> dict[str, str]:
    clinics = design_contract(read_problem(ROOT / "examples" / "tumour-clinics" / "problem.toml").problem)
    document = json.loads(clinics.to_json())
    document["contribution"][3] *= 1.1
    rng = np.random.default_rng(0)
    fifty = Population(
        costs=np.sort(rng.uniform(0.01, 0.5, 50)), probabilities=rng.dirichlet(np.ones(50)), participants=30
    )
    hostile = ["<script>alert(1)</script>", "A" * 200, "& ' \u202e"]
    evil = Population(costs=[0.2, 0.1, 0.05], probabilities=[0.3, 0.3, 0.4], participants=10, names=hostile)
    huge = Population(costs=[3e-9, 1e-9], probabilities=[0.5, 0.5], participants=10**9)
    null = Population(costs=[1.0, 0.8], probabilities=[0.5, 0.5], participants=4)
    curve = GeneralizationBound()

    def designed(population, curve=curve, scale=100.0):
        problem = Problem(population=population, accuracy=curve, valuation=LinearValuation(scale=scale))
        return design_contract(problem)

    return {
        "clinics": modelpact.report(clinics, data="samples", currency="euros").html,
        "forged": modelpact.report(Contract.from_json(json.dumps(document))).html,
        "fifty": modelpact.report(designed(fifty)).html,
        "evil": modelpact.report(designed(evil), data="B" * 60, currency="C" * 60).html,
        "huge": modelpact.report(designed(huge, PowerLaw(optimum=0.999999), 1e15)).html,
        "null": modelpact.report(designed(null)).html,
    }


@pytest.mark.slow
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_pages_fit_load_nothing_and_can_be_read(browser, pages, tmp_path, dark):
    found, console = browser.measure(tmp_path, pages, [SMALL_PHONE, PHONE, DESKTOP], dark=dark)
    assert console == []
    assert len(found) == 3 * len(pages)
    for page in found:
        where = (page["name"], page["width"])
        assert page["needed"] <= page["width"], where
        assert page["beyond"] == [], where
        assert page["loaded"] == [], where
        assert page["scripts"] == 0, where
        assert page["contrast"][0] >= 4.5, (where, page["contrast"])
    texts = {page["name"]: page for page in found}
    assert "Bring 80.13 samples" in texts["clinics"]["folded"]
    assert "Warning: this contract does not hold" in texts["forged"]["folded"]
    assert "type 49" not in texts["fifty"]["folded"].split("Kind by kind")[2]
    assert "type 49" in texts["fifty"]["text"].split("Kind by kind")[2]
    assert "<script>alert(1)</script>" in texts["evil"]["text"]


@pytest.mark.slow
def test_what_is_measured_can_fail(browser, tmp_path):
    picture = '<img src="http://example.invalid/x.png">'
    bad = f'<body style="margin:0;color:#aaa;background:#fff"><p style="width:500px">too wide{picture}'
    ((page,), _) = browser.measure(tmp_path, {"bad": bad}, [PHONE])
    assert page["needed"] == 500
    assert page["beyond"]
    assert page["loaded"]
    assert page["contrast"][0] < 4.5
    (tmp_path / "bad.html").write_text("<script>console.error('trouble')</script>")
    assert browser.browse((tmp_path / "bad.html").as_uri(), "--dump-dom")[1]


@pytest.mark.slow
@pytest.mark.parametrize("size", [(390, 844), (1280, 900)], ids=["phone", "desktop"])
def test_the_file_opens_without_a_complaint_and_shows_the_verdict(browser, pages, tmp_path, size):
    seen = {}
    for name in ("clinics", "forged"):
        (tmp_path / f"{name}.html").write_text(pages[name], encoding="utf-8")
        picture = tmp_path / f"{name}.png"
        window = f"--window-size={size[0]},{size[1]}"
        _, console = browser.browse((tmp_path / f"{name}.html").as_uri(), window, f"--screenshot={picture}")
        assert console == []
        pixels = matplotlib.image.imread(picture)[..., :3]
        assert pixels.shape[:2] == size[::-1]
        red = (pixels[..., 0] > 0.6) & (pixels[..., 1] < 0.25) & (pixels[..., 2] < 0.25)
        seen[name] = int(red.sum())
    # the red bar beside the warning is in sight at once, on a phone too; where all is well nothing is red
    assert seen["clinics"] == 0
    assert seen["forged"] > 500


@pytest.mark.slow
def test_it_prints(browser, pages, tmp_path):
    (tmp_path / "page.html").write_text(pages["fifty"], encoding="utf-8")
    paper = tmp_path / "page.pdf"
    browser.browse((tmp_path / "page.html").as_uri(), "--no-pdf-header-footer", f"--print-to-pdf={paper}")
    content = paper.read_bytes()
    assert content.startswith(b"%PDF")
    # all fifty kinds in one table, not each picture fifty times
    assert 4 <= content.count(b"/Type /Page\n") <= 14
