"""Contracts as JSON text: the whole problem, the menu, the proof and the certificate, without loss.

Numbers are written with the shortest digits that give the same float64 back. Reading checks the schema and
every field's presence, kind and shape; whether the numbers hold together is for `verify` to say. The certificate
in a file is what its author states: it is written for those who read files, and never read.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from contracts import checks
from contracts.contract.clause_data import clause_from_data, clause_to_data
from contracts.contract.proof_data import proof_from_data, proof_to_data
from contracts.contract.provenance import Provenance
from contracts.errors import InvalidInput
from contracts.json_text import read_json, write_json
from contracts.measured import measured_curve  # noqa: F401 - says how measured curves are read
from contracts.problem import Problem
from contracts.problem.data import problem_from_data, problem_to_data
from contracts.problem.data_tables import brief, known, table_of
from contracts.problem.standard_form import standard_form

if TYPE_CHECKING:
    from contracts.contract.contract import Contract
    from contracts.proof.certificate import Certificate

SCHEMA, FIRST_SCHEMA = "modelpact/contract/2", "modelpact/contract/1"
VECTORS = ("contribution", "expected_reward", "reservation_utility")
SCALARS = ("objective", "expected_accuracy")
PROOFS = ("witness", "global_witness", "tree")  # files of the first schema have them beside the menu
COMMON = ("schema", *SCALARS, "names", *VECTORS, "reason", "problem", "provenance")
SAME = 1e-6  # of a perfect model's value: what a certificate's slacks may differ from the contract's


def encode(contract: Contract, certificate: Certificate | None = None) -> str:
    """The contract as JSON text, with the certificate given or, without one, its own.

    Raises:
        InvalidInput: the problem has no faithful text, a number is not finite, or the certificate is of another
            contract.
    """
    certificate = contract.certificate if certificate is None else certificate
    document: dict[str, Any] = {"schema": SCHEMA}
    for name in (*SCALARS, "reached"):
        document[name] = checks.number(name, getattr(contract, name))
    document["names"] = list(contract.problem.population.names or ())
    for name in VECTORS:
        document[name] = checks.array(name, getattr(contract, name)).tolist()
    _check_certificate(contract, certificate)
    return write_json(
        document
        | {
            "reason": contract.reason,
            "certificate": _certificate_data(certificate),
            "problem": problem_to_data(contract.problem),
            "provenance": dataclasses.asdict(contract.provenance),
            "proof": proof_to_data(contract.proof),
        }
        | ({} if contract.clause is None else {"clause": clause_to_data(contract.clause)})
    )


def decode(text: str) -> dict[str, Any]:
    """The fields of a contract that `encode` wrote; see `Contract.from_json`."""
    try:
        document = read_json(text)
    except InvalidInput as error:
        raise InvalidInput(f"not a contract file: {error}") from error
    schema = document.get("schema") if isinstance(document, dict) else type(document).__name__
    if schema not in (SCHEMA, FIRST_SCHEMA):
        raise InvalidInput(f"not a contract file: schema = {schema!r:.60}: expected {SCHEMA!r}")
    first = schema == FIRST_SCHEMA
    known("", document, (), (*COMMON, "certificate", *(PROOFS if first else ("reached", "proof", "clause"))))
    stated = _table(document, "problem")
    problem = problem_from_data(stated)
    vectors: dict[str, Any] = {
        name: checks.array(name, _get(document, name), length=problem.population.types) for name in VECTORS
    }
    scalars: dict[str, Any] = {name: checks.number(name, _get(document, name)) for name in SCALARS}
    proof = _first_proof(document) if first else _table(document, "proof")
    own = scalars["objective" if problem.target_is_value else "expected_accuracy"]
    _check_names(_get(document, "names"), problem)
    return {
        "problem": problem,
        **vectors,
        **scalars,
        "reached": own if first else checks.number("reached", _get(document, "reached")),
        "reason": _text(document, "reason"),
        "provenance": _provenance(_table(document, "provenance")),
        "proof": proof_from_data(proof, standard_form(problem)),
        "clause": clause_from_data(_table(document, "clause")) if "clause" in document else None,
    }


def read(path: Any) -> dict[str, Any]:
    """The fields of the contract in a file; errors name the file."""
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


def _check_certificate(contract: Contract, certificate: Certificate) -> None:
    """Refuse to write a certificate beside a contract that it does not speak of."""
    slack, gain = np.asarray(certificate.participation_slack), contract.information_rent
    if slack.shape != gain.shape:
        raise InvalidInput(
            f"certificate: it is of another contract, one for {slack.size} types: expected its own"
        )
    if not certificate.holds:  # what is misstated may differ
        return
    if contract.clause is not None:  # its slacks are the least over all launches, not the expected gains
        return
    signs = (contract.contribution > 0.0) | (contract.expected_reward > 0.0)
    allowed = SAME * contract.problem.scales
    for i in np.flatnonzero(signs & ~(np.abs(slack - gain) <= allowed)):
        raise InvalidInput(
            f"certificate: it is of another contract, where {contract.problem.population.names[i]} gains"  # type: ignore[index]
            f" {slack[i]:g} (here {gain[i]:g}): expected its own"
        )


def _certificate_data(certificate: Certificate) -> dict[str, Any]:
    """A certificate as a table whose numbers are finite or null, one entry per type at most."""
    found = {}
    for field in dataclasses.fields(certificate):
        value = getattr(certificate, field.name)
        if np.ndim(value) == 2:
            value = value.max(axis=1)
        found[field.name] = _finite(value)
    return found


def _finite(value: Any) -> Any:
    if isinstance(value, np.ndarray | np.generic):
        return _finite(value.tolist())
    if isinstance(value, Mapping):
        return {str(key): _finite(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(entry) for entry in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value


def _check_names(names: Any, problem: Problem) -> None:
    expected = list(problem.population.names or ())
    if names != expected:
        raise InvalidInput(f"names = {brief(names)}: expected those of the problem, {brief(expected)}")


def _first_proof(document: dict[str, Any]) -> dict[str, Any]:
    """The proof in a file of the first schema, null where there is none; the first of them had no tree."""
    for name in PROOFS[:2]:
        _get(document, name)
    return {name: document[name] for name in PROOFS if document.get(name) is not None}


def _get(document: dict[str, Any], name: str) -> Any:
    if name not in document:
        raise InvalidInput(f"no field {name!r}: expected a contract as modelpact writes it")
    return document[name]


def _table(document: dict[str, Any], name: str) -> dict[str, Any]:
    return table_of(name, _get(document, name))


def _text(document: dict[str, Any], name: str) -> str:
    value = _get(document, name)
    if not isinstance(value, str):
        raise InvalidInput(f"{name} = {brief(value)}: expected a text")
    return value


def _provenance(table: dict[str, Any]) -> Provenance:
    kinds = {"str": str, "int": int, "float": float}
    known("provenance", table, (), tuple(field.name for field in dataclasses.fields(Provenance)))
    values: dict[str, Any] = {}
    for field in dataclasses.fields(Provenance):
        value = _get(table, field.name)
        kind = kinds[str(field.type)]
        number = kind is float and isinstance(value, int)
        if isinstance(value, bool) or not (isinstance(value, kind) or number):
            raise InvalidInput(f"provenance.{field.name} = {brief(value)}: expected a {field.type}")
        values[field.name] = kind(value)
    return Provenance(**values)
