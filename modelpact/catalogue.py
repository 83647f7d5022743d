"""The instances of the papers, and instructive ones of ours, by name, with numbers that can be checked.

>>> from contracts import design_contract
>>> round(design_contract(load("S1")).objective, 6)
86.478276
>>> load("harmonic-quality").unravel().sizes.tolist()
[10, 9, 8, 7, 6, 5, 4, 3, 2, 1]
>>> for comparison in instance("dear-six").check()[:3]:
...     print(comparison)
objective: modelpact 60.285971049, found 60.285971049
objective, ex-ante belief: modelpact 58.962709094, found 58.962709094
objective, ex-ante belief: wang2025paid 0, found 58.962709094: their code starts from everybody pooled, which
does not pay here, and returns nothing and success
"""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import numpy as np

from contracts.errors import InvalidInput
from contracts.problem import Problem
from contracts.records import frozen
from equilibria.participation import ParticipationGame
from modelpact import tables
from modelpact.quantities import OF_GAMES, OF_PROBLEMS, OF_SWEEPS
from modelpact.sweep_file import SweepFile, read_sweep
from modelpact.terminal import Flag, document, working, writable

FOLDER = files("modelpact") / "instances"


@frozen
class Reference:
    """A number by which an instance is recognised.

    Attributes:
        quantity: what it is, a name of `modelpact.quantities`.
        value: the number, or one for each type, agent or coalition.
        tolerance: how far a found value may be off, relative to the largest entry (absolute if all are zero).
        by: whose number it is, a key of the bibliography.
        belief: the belief under which it holds; empty for the file's own.
        rule: the rule under which it holds; empty for the file's first.
        type: which type's entry is meant, counted from 1; 0 for all.
        differs: why a published number is not met; empty if it is.
    """

    quantity: str
    value: Any
    tolerance: float
    by: str = "modelpact"
    belief: str = ""
    rule: str = ""
    type: int = 0
    differs: str = ""

    def __str__(self) -> str:
        under = (self.belief and f"{self.belief} belief", self.rule and f"{self.rule.replace('_', ' ')} rule")
        which = f"type {self.type}" if self.type else ""
        return ", ".join(filter(None, (self.quantity.replace("_", " "), which, *under)))


@frozen
class Comparison:
    """A reference beside what is found now.

    Attributes:
        reference: the reference.
        found: the value computed.
        error: largest difference, relative to the reference's largest entry; infinite if lengths differ.
        holds: whether the value is met or, if the reference `differs`, is not met.
    """

    reference: Reference
    found: Any
    error: float
    holds: bool

    def __str__(self) -> str:
        reference = self.reference
        text = f"{reference}: {reference.by} {_brief(reference.value)}, found {_brief(self.found)}"
        text += f": {reference.differs}" if reference.differs else ""
        return text if self.holds else f"{text} - THIS DOES NOT HOLD"


@frozen
class Instance:
    """A problem, sweep or game of the catalogue.

    Attributes:
        name: its name.
        title: what it is.
        source: where it is from, a key of the bibliography.
        place: where in the source, or why we made it.
        text: the file's text, TOML.
        references: numbers by which it is recognised.
    """

    name: str
    title: str
    source: str
    place: str
    text: str
    references: tuple[Reference, ...]

    @property
    def kind(self) -> str:
        """ "problem" (for `modelpact design`), "sweep" (`modelpact sweep`) or "game" (`modelpact play`)."""
        keys = tomllib.loads(self.text).keys()
        return "problem" if "population" in keys else "sweep" if "axes" in keys else "game"

    def check(self) -> tuple[Comparison, ...]:
        """Compute every reference value afresh."""
        return tuple(self._compared(reference) for reference in self.references)

    def _compared(self, reference: Reference) -> Comparison:
        found = np.asarray(self._found(reference), dtype=float)
        if reference.type:
            found = found[reference.type - 1]
        value = np.asarray(reference.value, dtype=float)
        scale = float(np.abs(value).max(initial=0.0)) or 1.0
        error = float(np.abs(found - value).max()) / scale if found.shape == value.shape else np.inf
        met = error <= reference.tolerance
        return Comparison(
            reference=reference, found=found.tolist(), error=error, holds=met != bool(reference.differs)
        )

    def _found(self, reference: Reference) -> Any:
        if self.kind == "problem":
            problem = load(self.name)
            assert isinstance(problem, Problem)
            belief = reference.belief or problem.belief
            return OF_PROBLEMS[reference.quantity](dataclasses.replace(problem, belief=belief))
        if self.kind == "sweep":
            stated = load(self.name)
            assert isinstance(stated, SweepFile)
            return OF_SWEEPS[reference.quantity](stated)
        game = _games(self.name)[reference.rule]
        return OF_GAMES[reference.quantity](game)


def names() -> tuple[str, ...]:
    """The names in the catalogue.

    >>> names()[:4]
    ('S1', 'S2', 'S3', 'two-types')
    """
    return tuple(_index())


def instance(name: str) -> Instance:
    """An instance with its source and reference values; upper and lower case are the same.

    Raises:
        InvalidInput: there is no instance of this name.

    >>> instance("s1").source
    'wang2025paid'
    """
    known = {entry.lower(): entry for entry in names()}
    if not isinstance(name, str) or name.lower() not in known:
        raise InvalidInput(f"name = {name!r:.60}: expected one of {', '.join(names())}")
    entry = dict(_index()[known[name.lower()]])
    references = tuple(Reference(**each) for each in entry.pop("references"))
    text = (FOLDER / entry.pop("file")).read_text(encoding="utf-8")
    return Instance(name=known[name.lower()], text=text, references=references, **entry)


def load(name: str) -> Any:
    """The `Problem`, the `SweepFile` or, under the first rule of its file, the `ParticipationGame` of this name.

    Raises:
        InvalidInput: there is no instance of this name.

    >>> load("two-types").population.costs
    array([0.02, 0.01])
    """
    found = instance(name)
    if found.kind == "game":
        return _games(name)[""]
    if found.kind == "sweep":
        with as_file(FOLDER / _index()[found.name]["file"]) as path:
            return read_sweep(path)
    from contracts.problem.data import problem_from_data

    return problem_from_data(tomllib.loads(found.text))


def _games(name: str) -> Mapping[str, ParticipationGame]:
    """The game under each rule of its file, and under the first by the empty name."""
    from modelpact.play import game_from_data

    file = game_from_data(tomllib.loads(instance(name).text), name)
    return {"": file.game} | {rule: file.game.with_rule(each) for rule, each in file.rules.items()}


@cache
def _index() -> Mapping[str, Any]:
    return tomllib.loads((FOLDER / "index.toml").read_text(encoding="utf-8"))


def catalogue(
    name: str | None = None, /, *, check: Flag = False, output: Path | None = None, json: Flag = False
) -> int:
    """List the problems and games of the papers, or print one as a file to be edited and used.

    Parameters
    ----------
    name
        Which one to print; without a name all are listed.
    check
        Compute the reference values afresh, of one or of all, and compare. Exits with 1 if one does not hold.
    output
        Where to write the file that is printed otherwise.
    json
        Print the list, the instance or the comparisons as JSON.
    """
    from contracts.storage import write_atomically

    chosen = [instance(each) for each in ([name] if name else names())]
    if output and not name:
        raise InvalidInput(f"output = {output}: expected the name of what to write there")
    writable(output)
    if output:
        write_atomically(output, chosen[0].text)
    if check:
        return _check(chosen, json)
    if json:
        print(document("catalogue", {"instances": [_record(each) for each in chosen]}), end="")
    elif output:
        tables.console().print(f"Wrote {output}", markup=False)
    elif name:
        print(chosen[0].text, end="")
    else:
        tables.console().print(_list(chosen))
    return 0


def _check(chosen: list[Instance], json: bool) -> int:
    compared: dict[str, tuple[Comparison, ...]] = {}
    with working("checking") as now:
        for each in chosen:
            now(f"checking {each.name}")
            compared[each.name] = each.check()
    if json:
        listed = [_record(each) | {"comparisons": compared[each.name]} for each in chosen]
        print(document("catalogue", {"instances": listed}), end="")
    else:
        for name, comparisons in compared.items():
            print(name, *(f"  {comparison}" for comparison in comparisons), sep="\n")
    return 0 if all(comparison.holds for found in compared.values() for comparison in found) else 1


def _record(each: Instance) -> dict[str, Any]:
    fields = ("name", "kind", "title", "source", "place", "text", "references")
    return {field: getattr(each, field) for field in fields}


def _list(chosen: list[Instance]) -> Any:
    from rich.table import Table

    table = Table("name", "kind", "title", "source", **tables.boxed())
    for each in chosen:
        table.add_row(each.name, each.kind, each.title, each.source)
    return table


def _brief(value: Any) -> str:
    values = np.atleast_1d(value)
    shown = ", ".join(f"{each:.11g}" for each in values[:6])
    return shown if np.ndim(value) == 0 else f"[{shown}{', ...' if values.size > 6 else ''}]"
