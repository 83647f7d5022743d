"""Proofs as plain data; reading checks every field's presence, kind and shape, and that numbers are finite.

Whether a proof proves anything is for `verify` to say.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from contracts import checks
from contracts.errors import InvalidInput
from contracts.problem.data_tables import brief, known, table_of
from contracts.problem.standard_form import StandardForm
from contracts.proof.evidence import IDLE, LEAF, Cases, Mixtures, Proof
from contracts.proof.witness import Tree, Witness


def proof_to_data(proof: Proof) -> dict[str, Any]:
    """A proof as nested tables of plain values; what it lacks is left out."""
    return _plain(proof)


def proof_from_data(table: dict[str, Any], form: StandardForm) -> Proof:
    """A proof from nested tables.

    Args:
        table: what `proof_to_data` gives.
        form: the standard form of the problem, whose rows, worlds and types prescribe the shapes.

    Raises:
        InvalidInput: a field is unknown, missing, or of a wrong kind or shape.
    """
    known("proof", table, (), tuple(field.name for field in dataclasses.fields(Proof)))
    readers = {
        "witness": witness_from_data,
        "global_witness": witness_from_data,
        "tree": tree_from_data,
        "cases": cases_from_data,
        "global_cases": cases_from_data,
    }
    found: dict[str, Any] = {
        name: read(name, table_of(name, table[name]), form) for name, read in readers.items() if name in table
    }
    if "member" in table:
        found["member"] = _numbers("member", table["member"], form.row.size)
    if "curves" in table:
        if not isinstance(table["curves"], list) or len(table["curves"]) != len(form.worlds):
            raise InvalidInput(f"proof.curves: expected a list of {len(form.worlds)}, one for each world")
        found["curves"] = tuple(
            checks.array(f"curves[{k}]", direction, empty=True) for k, direction in enumerate(table["curves"])
        )
    if "launch" in table:
        found["launch"] = checks.array("launch", table["launch"], ndim=2, low=0.0)
    return Proof(**found)


def witness_from_data(name: str, table: dict[str, Any], form: StandardForm) -> Witness:
    """A proof by prices."""
    _complete(name, table, Witness)
    rates = checks.array(f"{name}.rates", table["rates"], low=0.0, empty=True)
    lengths: dict[str, int] = dict.fromkeys(("target_weights", "value_weights"), rates.size)
    values: dict[str, Any] = {
        field.name: _numbers(f"{name}.{field.name}", table[field.name], lengths.get(field.name, form.rows))
        for field in dataclasses.fields(Witness)
        if field.name not in ("rates", "excluded")
    }
    excluded = checks.integer(f"{name}.excluded", table["excluded"], high=form.rows)
    return Witness(rates=rates, excluded=excluded, **values)


def tree_from_data(name: str, table: dict[str, Any], form: StandardForm) -> Tree:
    """A proof by cases over outcomes."""
    _complete(name, table, Tree)
    row = _whole(f"{name}.row", table["row"], -1, form.rows - 1)
    shape = (int((row == LEAF).sum()), form.rows)
    of_leaves = ("contribution", "feasibility_multipliers", "participation_multipliers")
    values: dict[str, Any] = {key: _numbers(f"{name}.{key}", table[key], *shape) for key in of_leaves}
    return Tree(row=row, threshold=_numbers(f"{name}.threshold", table["threshold"], row.size), **values)


def cases_from_data(name: str, table: dict[str, Any], form: StandardForm) -> Cases:
    """A proof by cases: by mixtures with one point for each leaf, or over outcomes with as many as it says."""
    fields, by_outcomes = (
        [field.name for field in dataclasses.fields(Cases)],
        "leaf" in table or "share" in table,
    )
    left = ("mixtures",) if by_outcomes else ("leaf", "share")
    known(name, table, tuple(field for field in fields if field not in left))
    kind = _whole(f"{name}.kind", table["kind"], LEAF, IDLE)
    cases, leaves, worlds = kind.size, int((kind == LEAF).sum()), len(form.worlds)
    leaf = _whole(f"{name}.leaf", table["leaf"], 0, leaves - 1) if by_outcomes else None
    points = leaves if leaf is None else leaf.size
    linear = table["linear"]
    if not isinstance(linear, list) or len(linear) != leaves:
        raise InvalidInput(f"{name}.linear = {brief(linear)}: expected {leaves} lists of prices, one per leaf")
    return Cases(
        mixtures=None if by_outcomes else _mixtures(f"{name}.mixtures", table["mixtures"], worlds),
        kind=kind,
        index=_whole(f"{name}.index", table["index"], 0, form.rows**2 - 1, cases),
        threshold=_numbers(f"{name}.threshold", table["threshold"], cases),
        contribution=_numbers(f"{name}.contribution", table["contribution"], points, form.rows),
        utility=_numbers(f"{name}.utility", table["utility"], points, form.rows),
        level=_numbers(f"{name}.level", table["level"], points),
        feasibility=_numbers(f"{name}.feasibility", table["feasibility"], points, worlds, form.rows),
        linear=tuple(checks.array(f"{name}.linear[{k}]", each, empty=True) for k, each in enumerate(linear)),
        leaf=leaf,
        share=None if leaf is None else _numbers(f"{name}.share", table["share"], points),
    )


def _mixtures(name: str, value: Any, worlds: int) -> Mixtures:
    table = table_of(name, value)
    _complete(name, table, Mixtures)
    rates = checks.array(f"{name}.rates", table["rates"], low=0.0)
    return Mixtures(
        rates=rates,
        target_weights=_numbers(f"{name}.target_weights", table["target_weights"], worlds, rates.size),
        value_weights=_numbers(f"{name}.value_weights", table["value_weights"], worlds, rates.size),
    )


def _complete(name: str, table: dict[str, Any], cls: type) -> None:
    known(name, table, tuple(field.name for field in dataclasses.fields(cls)))


def _numbers(name: str, value: Any, *shape: int) -> np.ndarray:
    """Finite numbers of a shape."""
    found = checks.array(name, value, ndim=len(shape), length=shape[0], empty=not shape[0])
    if found.shape != shape:
        raise InvalidInput(f"{name} has shape {found.shape}: expected {shape}")
    return found


def _whole(name: str, value: Any, low: int, high: int, length: int | None = None) -> np.ndarray:
    """Whole numbers in an interval."""
    found = checks.array(name, value, length=length)
    for k in np.flatnonzero((found != np.floor(found)) | (found < low) | (found > high)):
        raise InvalidInput(f"{name}[{k}] = {found[k]:g}: expected a whole number from {low} to {high}")
    return found.astype(int)


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        every = ((field.name, getattr(value, field.name)) for field in dataclasses.fields(value))
        return {name: _plain(each) for name, each in every if each is not None}
    if isinstance(value, np.ndarray):
        return value.tolist()
    return [_plain(entry) for entry in value] if isinstance(value, tuple) else value
