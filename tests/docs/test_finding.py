"""The documentation: what it links to exists, all of it can be found, and it builds without a warning."""

import re
from importlib import import_module
from pathlib import Path

import pytest

from modelpact.citation import bibliography
from modelpact.cli import COMMANDS

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(page for page in DOCS.rglob("*.md") if "_build" not in page.parts)
PACKAGES = ["contracts", "mechanisms", "mechanisms.aggregation", "mechanisms.delivery", "equilibria"]
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")


@pytest.mark.parametrize("page", [*PAGES, ROOT / "README.md"], ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for link in LINK.findall(page.read_text(encoding="utf-8")):
        if link.startswith(("https://", "http://")):
            continue
        target, _, anchor = link.partition("#")
        found = (page.parent / target).resolve() if target else page
        generated = found.suffix == ".ipynb" and (ROOT / "notebooks" / f"{found.stem}.py").exists()
        assert found.exists() or generated, f"{page.name}: {link}"
        if anchor and found.suffix == ".md":
            headings = re.findall(r"^#+ (.*)$", found.read_text(encoding="utf-8"), flags=re.M)
            assert anchor in {re.sub(r"[^\w\- ]", "", each).lower().replace(" ", "-") for each in headings}


def test_every_page_is_two_steps_from_the_readme():
    first = (ROOT / "README.md").read_text(encoding="utf-8")
    assert "docs/index.md" in LINK.findall(first)
    steps = {(DOCS / link.split("#")[0]).resolve() for link in LINK.findall((DOCS / "index.md").read_text())}
    for page in PAGES:
        assert page.resolve() in steps or page.name == "index.md", str(page)


def test_every_page_is_in_the_navigation():
    listed = set()
    for page in PAGES:
        for tree in re.findall(r"^```\{toctree\}\n(.*?)^```", page.read_text(), flags=re.M | re.S):
            names = [line for line in tree.splitlines() if line and not line.startswith(":")]
            listed |= {(page.parent / name).resolve().with_suffix(".md") for name in names}
    assert {page.resolve() for page in PAGES} - {(DOCS / "index.md").resolve()} <= listed


def test_every_citation_is_in_the_bibliography():
    for page in PAGES:
        for keys in re.findall(r"\{cite:\w+\}`([^`]+)`", page.read_text(encoding="utf-8")):
            assert {key.strip() for key in keys.split(",")} <= set(bibliography()), page.name


@pytest.mark.parametrize(
    "package", ["contracts", "mechanisms", "mechanisms.aggregation", "mechanisms.delivery", "equilibria"]
)
def test_every_public_name_is_in_the_reference(package):
    pages = "\n".join(page.read_text() for page in (DOCS / "reference").glob("*.md"))
    assert f".. automodule:: {package}\n   :imported-members:" in pages
    module = import_module(package)
    for name in module.__all__:
        thing = getattr(module, name)
        assert thing.__doc__ or not callable(thing), name


def test_every_command_is_in_the_reference():
    page = (DOCS / "reference" / "command-line.md").read_text(encoding="utf-8")
    for command in COMMANDS:
        assert f"\n## modelpact {command}\n" in page


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of Sphinx's own; those of the build are errors by -W
def test_the_documentation_builds_without_a_warning(tmp_path):
    pytest.importorskip("sphinx")
    pytest.importorskip("sphinxcontrib.bibtex")
    from sphinx.cmd.build import main as build

    assert build(["-W", "--keep-going", "-q", str(DOCS), str(tmp_path / "html")]) == 0
    written = (tmp_path / "html" / "reference" / "contracts.html").read_text(encoding="utf-8")
    for name in import_module("contracts").__all__:
        assert f'"contracts.{name}"' in written or f".{name}" in written, name
