"""Execute `notebooks/*.py` and keep the results beside them: python docs/execute_notebooks.py [NAME ...].

The .py is what people edit; the .ipynb is for reading on a code host, and in the tutorials. A test keeps them in
step.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import jupytext
import nbformat
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "notebooks"


def blank(path: Path) -> nbformat.NotebookNode:
    """A notebook without results; cells are numbered, or each time they would have other names."""
    notebook = jupytext.read(path)
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{number}"
    return notebook


def executed(path: Path) -> nbformat.NotebookNode:
    """A notebook with its results."""
    notebook = blank(path)
    resources = {"metadata": {"path": str(path.parent)}}
    NotebookClient(
        notebook, timeout=300, kernel_name="python3", resources=resources, record_timing=False
    ).execute()
    notebook.metadata.pop("language_info", None)
    return notebook


def main(names: list[str]) -> None:
    """Execute the notebooks named, or all."""
    os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    for path in [FOLDER / f"{name}.py" for name in names] or sorted(FOLDER.glob("*.py")):
        text = nbformat.writes(executed(path))
        path.with_suffix(".ipynb").write_text(text + "\n", encoding="utf-8")
        print(f"{path.stem}: {len(text) // 1000} kB")


if __name__ == "__main__":
    main(sys.argv[1:])
