"""Contracts as JSON text: the whole problem, the menu, the proof and the certificate, without loss.

Numbers are written with the shortest digits that give the same float64 back. Reading checks the schema and
every field's presence, kind and shape; whether the numbers hold together is for `verify` to say.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from contracts import checks
from contracts.contract import Contract, Provenance
from contracts.errors import InvalidInput
from contracts.problem.data import problem_from_data, problem_to_data
from contracts.proof.evidence import Proof
from contracts.proof.witness import Tree, Witness

if TYPE_CHECKING:
    from contracts.contract.verify import Certificate

SCHEMA = "modelpact/contract/1"
VECTORS = ("contribution", "expected_reward", "reservation_utility")
SCALARS = ("objective", "expected_accuracy")


def encode(contract: Contract, certificate: Certificate | None = None) -> str:
    """The contract as JSON text, with the certificate given or, without one, what `verify` says now."""
    if certificate is None:
        from contracts.contract.verify import verify

        certificate = verify(contract)
    document = {
        "schema": SCHEMA,
        "objective": contract.objective,
        "expected_accuracy": contract.expected_accuracy,
        "names": list(contract.problem.population.names or ()),
        **{name: getattr(contract, name).tolist() for name in VECTORS},
        "reason": contract.reason,
        "certificate": _plain(certificate),
        "problem": problem_to_data(contract.problem),
        "provenance": _plain(contract.provenance),
        "witness": _plain(contract.witness),
        "global_witness": _plain(contract.global_witness),
        "tree": _plain(contract.tree),
    }
    return json.dumps(document, indent=1, allow_nan=False, ensure_ascii=False) + "\n"


def decode(text: str) -> Contract:
    """Read what `encode` wrote; see `Contract.from_json`."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"not a contract file: no complete JSON text ({str(error)[:80]})") from error
    if not isinstance(document, dict) or document.get("schema") != SCHEMA:
        found = document.get("schema") if isinstance(document, dict) else type(document).__name__
        raise InvalidInput(f"not a contract file: schema = {found!r:.60}: expected {SCHEMA!r}")
    problem = problem_from_data(_table(document, "problem"))
    types = problem.population.types
    vectors: dict[str, Any] = {name: _vector(document, name, types) for name in VECTORS}
    scalars: dict[str, Any] = {name: checks.number(name, _get(document, name)) for name in SCALARS}
    return Contract(
        problem=problem,
        **vectors,
        **scalars,
        reason=str(_get(document, "reason")),
        provenance=_provenance(_table(document, "provenance")),
        reached=scalars["objective" if problem.target_is_value else "expected_accuracy"],
        proof=Proof(
            witness=_witness(document, "witness", problem.population.costs),
            global_witness=_witness(document, "global_witness", problem.population.costs),
            tree=_tree(document, np.unique(problem.population.costs).size),
        ),
    )


def read(path: Any) -> Contract:
    """Read a contract file; errors name the file."""
    try:
        text = Path(path).read_bytes().decode("utf-8")
    except OSError as error:
        raise InvalidInput(f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{path}: not a contract file: byte {error.start} is not UTF-8") from error
    try:
        return decode(text)
    except InvalidInput as error:
        raise InvalidInput(f"{path}: {error}") from error


def _plain(record: Any) -> Any:
    if record is None:
        return None
    return {field.name: _value(getattr(record, field.name)) for field in dataclasses.fields(record)}


def _value(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.tolist()
    return list(value) if isinstance(value, tuple) else value


def _get(document: dict[str, Any], name: str) -> Any:
    if name not in document:
        raise InvalidInput(f"no field {name!r}: expected a contract as modelpact writes it")
    return document[name]


def _table(document: dict[str, Any], name: str) -> dict[str, Any]:
    value = _get(document, name)
    if not isinstance(value, dict):
        raise InvalidInput(f"{name} = {value!r:.60}: expected a table")
    return value


def _vector(document: dict[str, Any], name: str, length: int | None, low: float = -np.inf) -> np.ndarray:
    return checks.array(name, _get(document, name), length=length, low=low, empty=not length)


def _provenance(table: dict[str, Any]) -> Provenance:
    kinds = {"str": str, "int": int, "float": float}
    values: dict[str, Any] = {}
    for field in dataclasses.fields(Provenance):
        value = _get(table, field.name)
        kind = kinds[str(field.type)]
        if not isinstance(value, kind) and not (kind is float and isinstance(value, int)):
            raise InvalidInput(f"provenance.{field.name} = {value!r:.60}: expected a {field.type}")
        values[field.name] = kind(value)
    return Provenance(**values)


def _witness(document: dict[str, Any], name: str, costs: np.ndarray) -> Witness | None:
    if _get(document, name) is None:
        return None
    table, rows = _table(document, name), np.unique(costs).size
    terms = _vector(table, "rates", None, 0.0).size
    lengths = {"rates": terms, "target_weights": terms, "value_weights": terms}
    values: dict[str, Any] = {}
    for field in dataclasses.fields(Witness):
        if field.name == "excluded":
            values["excluded"] = checks.integer(f"{name}.excluded", _get(table, "excluded"), high=rows)
        else:
            values[field.name] = _vector(table, field.name, lengths.get(field.name, rows))
    return Witness(**values)


def _tree(document: dict[str, Any], rows: int) -> Tree | None:
    if document.get("tree") is None:  # files of earlier versions have none
        return None
    table = _table(document, "tree")
    row = _vector(table, "row", None, -1.0)
    for case in np.flatnonzero((row != np.floor(row)) | (row >= rows)):
        raise InvalidInput(f"tree.row[{case}] = {row[case]:g}: expected -1 or a whole number below {rows}")
    prices = ("contribution", "feasibility_multipliers", "participation_multipliers")
    values: dict[str, Any] = {name: checks.array(name, _get(table, name), ndim=2) for name in prices}
    return Tree(row=row.astype(int), threshold=_vector(table, "threshold", row.size), **values)
