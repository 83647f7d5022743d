"""The floors: contracts <- mechanisms <- equilibria <- modelpact, and light imports."""

import ast
import subprocess
import sys
from functools import cache
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


# Rooms of contracts, and of which others each may know.
ROOMS = {
    "problem": set(),
    "program": {"problem"},
    "proof": {"problem"},
    "measured": {"problem", "program"},
    "contract": {"problem", "program", "proof", "measured"},
}
# Data, no code: what solvers fill in and proofs are read from.
EVIDENCE = {"contracts.proof.evidence", "contracts.proof.witness"}
LONGEST = 400
# Still to be cut.
TOO_LONG: set[str] = set()


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def for_types_only(tree: ast.Module) -> set[ast.AST]:
    """What stands under `if TYPE_CHECKING:`."""
    found: set[ast.AST] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            found |= {inner for part in node.body for inner in ast.walk(part)}
    return found


def imported_modules(path: Path, modules: set[str]) -> set[str]:
    """The modules of a floor that a file imports, at once or when it is used, but for types."""
    tree, found = ast.parse(path.read_text()), set()
    skipped = for_types_only(tree)
    for node in ast.walk(tree):
        if node in skipped:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= (inner & modules) | ({node.module} if inner - modules else set())
    return found & modules


@cache
def graph(floor: str = "contracts") -> dict[str, set[str]]:
    files = {module_of(path): path for path in (ROOT / floor).rglob("*.py")}
    return {module: imported_modules(path, set(files)) - {module} for module, path in files.items()}


def room_of(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else ""


def test_rooms_know_each_other_one_way():
    offenders = [
        f"{module} imports {other}"
        for module, imported in graph().items()
        for other in imported
        if room_of(module) in ROOMS and room_of(other) in ROOMS.keys() - {room_of(module)}
        if room_of(other) not in ROOMS[room_of(module)]
        and not (room_of(module) == "program" and other in EVIDENCE)
    ]
    assert offenders == []


def test_what_programs_and_proofs_share_is_data():
    for module in EVIDENCE:
        tree = ast.parse((ROOT / (module.replace(".", "/") + ".py")).read_text())
        assert not [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.Lambda)]
        assert all(room_of(other) in ("proof", "records") for other in graph()[module])


# Still to be untied.
CIRCLES = {"modelpact": {"modelpact.federated", "modelpact.scheme.trainers"}}


@pytest.mark.parametrize("floor", FLOORS)
def test_imports_form_no_circle(floor):
    """Imports inside functions count: they hide a circle, they do not untie it."""
    waiting, left = dict(graph(floor)), None
    while left != len(waiting):
        left = len(waiting)
        waiting = {module: imported & waiting.keys() for module, imported in waiting.items()}
        waiting = {module: imported for module, imported in waiting.items() if imported}
    # What imports into a circle is no part of it.
    while left and (ends := waiting.keys() - set().union(*waiting.values())):
        waiting = {module: imported for module, imported in waiting.items() if module not in ends}
    assert waiting.keys() <= CIRCLES.get(floor, set())


def test_imports_inside_functions_count(tmp_path):
    lazy = tmp_path / "lazy.py"
    lazy.write_text(
        "def answer():\n    from equilibria import pure\n    import equilibria.rule\n    return pure\n"
    )
    modules = {"equilibria", "equilibria.pure", "equilibria.rule"}
    assert imported_modules(lazy, modules) == {"equilibria.pure", "equilibria.rule"}


def test_no_file_is_long():
    long = {module for module, path in files() if len(path.read_text().splitlines()) > LONGEST}
    assert long <= TOO_LONG


def files():
    return ((module_of(path), path) for path in (ROOT / "contracts").rglob("*.py"))


def test_double_precision_is_asked_for_where_forks_are_noticed():
    asked = [
        path.name
        for _, path in files()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and node.attr == "enable_x64"
    ]
    assert asked == ["numeric.py"]


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
    heavy = "{'cvxpy', 'pulp', 'matplotlib', 'sklearn', 'xarray', 'dask', 'distributed', 'pandas', 'torch'}"
    code = f"import sys, {floor}; print(sorted({heavy} & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_importing_leaves_the_global_precision_alone():
    code = "import jax, contracts, mechanisms, equilibria, modelpact; print(jax.config.jax_enable_x64)"
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "False"
