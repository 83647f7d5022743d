"""The floors: contracts <- mechanisms <- equilibria <- modelpact, and light imports."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FLOORS = ["contracts", "mechanisms", "equilibria", "modelpact"]


def imported_packages(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names.add(node.module.split(".")[0])
    return names


@pytest.mark.parametrize("floor", FLOORS)
def test_imports_point_downwards(floor):
    above = set(FLOORS[FLOORS.index(floor) + 1 :])
    offenders = {p.name: imported_packages(p) & above for p in (ROOT / floor).rglob("*.py")}
    assert not {name: bad for name, bad in offenders.items() if bad}


def test_proofs_take_nothing_from_what_they_prove():
    solving = ("contracts.program", "contracts.contract.design", "contracts.contract.batch")
    for path in [*(ROOT / "contracts/proof").glob("*.py"), ROOT / "contracts/contract/verify.py"]:
        text = path.read_text()
        assert not [name for name in solving if f"from {name}" in text or f"import {name}" in text], path.name


@pytest.mark.parametrize("floor", FLOORS)
def test_trees_are_registered_by_our_own_helper_alone(floor):
    paths = [path for path in (ROOT / floor).rglob("*.py") if path != ROOT / "contracts/pytrees.py"]
    assert not [path.name for path in paths if "register_pytree" in (text := path.read_text())
                or "register_dataclass" in text or "register_static" in text]  # fmt: skip


@pytest.mark.parametrize("floor", FLOORS)
def test_heavy_libraries_are_imported_only_when_used(floor):
    heavy = "{'cvxpy', 'pulp', 'matplotlib', 'sklearn', 'xarray', 'dask', 'distributed', 'pandas'}"
    code = f"import sys, {floor}; print(sorted({heavy} & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_importing_leaves_the_global_precision_alone():
    code = "import jax, contracts, mechanisms, equilibria, modelpact; print(jax.config.jax_enable_x64)"
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "False"
