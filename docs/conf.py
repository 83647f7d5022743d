"""Sphinx settings. Build: sphinx-build -W --keep-going docs docs/_build/html

Nothing is fetched from a network, and nothing executed: the tutorials are notebooks of `notebooks/`, with the
results kept there (`execute_notebooks.py`).
"""

import re
import shutil
from pathlib import Path

from contracts.problem.combinations import TABLE

HERE = Path(__file__).parent
ROOT = HERE.parent
TUTORIALS = ("two_types", "validating_a_contract", "unravelling")

project = "modelpact"
author = "The modelpact maintainers"
project_copyright = "2026, the modelpact maintainers"
release = re.search(r'^version = "(.*)"', (ROOT / "pyproject.toml").read_text(), flags=re.M)[1]

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.mathjax",
    "sphinx_copybutton",
    "sphinxcontrib.bibtex",
]
exclude_patterns = ["_build", "conf.py", "execute_notebooks.py", "**/.ipynb_checkpoints"]
html_theme = "furo"
html_title = "modelpact"

myst_enable_extensions = ["dollarmath", "amsmath", "deflist", "colon_fence", "substitution"]
myst_heading_anchors = 3
myst_substitutions = {
    "refused": "\n".join(
        ["| | with | why not |", "| --- | --- | --- |"]
        + [f"| {line.first} | {line.second} | {line.reason} |" for line in TABLE]
    )
}
bibtex_bibfiles = ["../modelpact/bibliography.bib"]
bibtex_default_style = "unsrt"
bibtex_reference_style = "author_year"
# Lists of attributes are rendered as references, which short names such as `contribution` make ambiguous.
suppress_warnings = ["bibtex.duplicate_citation", "ref.python"]

nb_execution_mode = "off"
nb_merge_streams = True

# Docstrings are plain text in Google form; single backticks name code.
default_role = "code"
autodoc_typehints = "none"
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True, "show-inheritance": True}
autodoc_preserve_defaults = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_use_rtype = False
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True


def plain_text(*event) -> None:
    """Docstrings write |x| for absolute values and fence code as Markdown does: say so to docutils."""
    lines: list[str] = event[-1]
    fenced = False
    for index, line in enumerate(lines):
        opening = re.fullmatch(r"( *)```(\w*)", line)
        if opening:
            fenced = not fenced
            lines[index] = f"{opening[1]}.. code-block:: {opening[2] or 'text'}\n" if fenced else ""
        elif fenced:
            lines[index] = f"   {line}"
        elif not line.lstrip().startswith((">>>", "...")):
            lines[index] = re.sub(r"(?<!\\)\|", r"\\|", line)
    lines[:] = "\n".join(lines).split("\n")


def setup(app) -> None:
    """Hook the above in, before docstrings in Google form are read."""
    app.connect("autodoc-process-docstring", plain_text, priority=400)


def tutorials() -> None:
    """Put the executed notebooks where Sphinx looks for them."""
    for name in TUTORIALS:
        shutil.copyfile(ROOT / "notebooks" / f"{name}.ipynb", HERE / "tutorials" / f"{name}.ipynb")


tutorials()
