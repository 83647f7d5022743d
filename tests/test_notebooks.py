"""Every notebook runs from top to bottom, and lies beside its source with results to be read."""

import os
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = sorted((ROOT / "notebooks").glob("*.py"))
LARGEST = 300_000

sys.path.insert(0, str(ROOT / "docs"))


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_results_are_those_of_the_source(path):
    nbformat = pytest.importorskip("nbformat")
    from execute_notebooks import blank

    kept = path.with_suffix(".ipynb")
    notebook = nbformat.reads(kept.read_text(encoding="utf-8"), as_version=4)
    expected = [(cell.cell_type, cell.source) for cell in blank(path).cells]
    assert [(cell.cell_type, cell.source) for cell in notebook.cells] == expected, (
        f"run python docs/execute_notebooks.py {path.stem}"
    )
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert outputs
    assert not [output for output in outputs if output.output_type == "error" or output.get("name") == "stderr"]
    assert kept.stat().st_size < LARGEST


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of Jupyter's own; a notebook's warnings are its output
@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_the_notebook_runs(path, monkeypatch):
    from execute_notebooks import executed

    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
    notebook = executed(path)
    assert any(cell.cell_type == "markdown" for cell in notebook.cells)
