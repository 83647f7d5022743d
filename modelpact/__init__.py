"""The front door: command line, whole-scheme runs, sweeps, report; and every public name of the packages below.

`modelpact.design_contract` is `contracts.design_contract`, and `modelpact.contracts` the package: nothing has
to be imported under a name that others use too. The list is `__init__.pyi`; each is imported on first use.

>>> import modelpact
>>> modelpact.contracts.design_contract is modelpact.design_contract
True
"""

import ast
import functools
import importlib.util
from pathlib import Path
from typing import Any


@functools.cache
def _exported() -> dict[str, tuple[str, str | None]]:
    """For each exported name the module it comes from, and what it is called there, if it isn't the module."""
    found: dict[str, tuple[str, str | None]] = {}
    for node in ast.parse(Path(__file__).with_suffix(".pyi").read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Import):
            found |= {alias.name: (alias.name, None) for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + str(node.module)
            found |= {alias.name: (module, alias.name) for alias in node.names}
    return found


def __getattr__(name: str) -> Any:
    """What is below, only when it is asked for."""
    if name.startswith("__") or name not in _exported():
        raise AttributeError(f"module 'modelpact' has no attribute {name!r}")
    module, inner = _exported()[name]
    found = importlib.import_module(module, __name__)
    return found if inner is None else getattr(found, inner)


def __dir__() -> list[str]:
    return sorted({*globals(), *_exported()})


def _refuse_a_foreign_contracts() -> None:
    """PyContracts installs a package `contracts` too: whichever is found first, or was installed last, wins."""
    found = importlib.util.find_spec("contracts")
    where = Path(found.origin) if found and found.origin else None
    if where is None or "attach_stub" not in where.read_text(encoding="utf-8", errors="replace"):
        raise ImportError(
            f"the package `contracts` found at {where} is not modelpact's (PyContracts has one of that name"
            " too): install modelpact in an environment of its own",
            name="contracts",
        )


_refuse_a_foreign_contracts()
