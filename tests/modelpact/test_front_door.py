"""Everything public is found under `modelpact`, on first use; and a foreign `contracts` is noticed."""

import importlib
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import modelpact

ROOT = Path(__file__).parents[2]
FLOORS = ("contracts", "mechanisms", "equilibria")


@pytest.mark.parametrize("floor", FLOORS)
def test_every_public_name_of_the_floors_is_found_at_the_top(floor):
    package = importlib.import_module(floor)
    assert getattr(modelpact, floor) is package
    assert set(package.__all__) <= set(dir(modelpact))
    for name in package.__all__:
        assert getattr(modelpact, name) is getattr(package, name), name


def test_nothing_else_is_named_and_no_module_hides_a_name():
    below = {name for floor in FLOORS for name in importlib.import_module(floor).__all__}
    own = {name for name, (_, inner) in modelpact._exported().items() if inner and name not in below}
    assert all(modelpact._exported()[name][0].startswith(".") for name in own), own
    assert all(callable(getattr(modelpact, name)) for name in own)
    assert not {module.name for module in pkgutil.iter_modules(modelpact.__path__)} & set(modelpact._exported())
    with pytest.raises(AttributeError, match="'modelpact' has no attribute 'desing_contract'"):
        modelpact.desing_contract  # noqa: B018


def test_importing_modelpact_loads_no_floor():
    loaded = "{'contracts', 'mechanisms', 'equilibria', 'jax'} & set(sys.modules)"
    code = f"import sys, modelpact; print(sorted({loaded}))"
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_a_foreign_contracts_is_said_in_one_line(tmp_path):
    (tmp_path / "contracts.py").write_text("def contract(function):\n    return function\n")
    code = f"import sys; sys.path[:0] = [{str(tmp_path)!r}, {str(ROOT)!r}]; import modelpact"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    last = result.stderr.strip().splitlines()[-1]
    assert last.startswith(f"ImportError: the package `contracts` found at {tmp_path}")
    assert last.endswith("install modelpact in an environment of its own")
