"""What a scheme file says.

```toml
seed = 1
[data]                      # real data, cut into what each party holds
name = "digits"
test = 300                  # only the audit looks at these
validation = 300            # the coordinator's: verification and delivery are calibrated on them
pilot = 250                 # measures the learning curve; the rest are the participants'
[population]                # what the contract is designed for
names = ["small", "large"]
costs = [2.0, 1.0]          # of one labelled sample
probabilities = [0.5, 0.5]
participants = 6            # or a law, or numbers by group, or "named", as in problem files
[valuation]
family = "linear"
scale = 1000.0              # or one for each type
[[participants]]            # who really comes; by default as many truthful ones as the contract expects
behaviour = "truthful"
count = 6
[[participants]]
behaviour = "free-riding"
[[participants]]
samples = 30                # how many it has; by default an equal part of what is left
```

The model is a softmax regression, a network (`[model]` with `hidden`), or your own:
`model = "my_package:make_model"` before the tables, a function of `features` and `classes` that returns a
`torch.nn.Module`, an estimator of scikit-learn, or another model of `mechanisms.protocols`; modules beside the
scheme file are found.
All other tables are optional: `[model]`, `[training]`, `[measuring]`, `[menu]`, `[outside]`, `[objective]`,
`[verification]`, `[delivery]`, `[audit]`. Populations, outside options and objectives are as in problem files;
where data differ in quality, what is delivered, and counted, are usable samples. `read_scheme` reads such a
file; errors name the file, the table, the key and what is accepted.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from contracts import checks
from contracts.errors import InvalidInput
from contracts.problem.data import objective_from_data, outside_from_data, valuation_from_data
from contracts.problem.data_population import population_from_data
from contracts.problem.data_tables import known
from mechanisms.sample_file import is_file
from mechanisms.seeds import LARGEST_SEED
from modelpact.problem_file import read_toml
from modelpact.scheme.entry import importable
from modelpact.scheme.settings import Scheme
from modelpact.scheme.tables import (
    Auditing,
    Data,
    Handing,
    Measuring,
    ModelShape,
    Seat,
    Terms,
    Training,
    Verification,
)

_TABLES: dict[str, tuple[str, type]] = {
    "data": ("data", Data),
    "model": ("model", ModelShape),
    "training": ("training", Training),
    "measuring": ("measuring", Measuring),
    "menu": ("menu", Terms),
    "verification": ("verification", Verification),
    "delivery": ("delivery", Handing),
    "audit": ("audit", Auditing),
}


def read_scheme(path: str | os.PathLike[str]) -> Scheme:
    """Read a scheme file.

    Raises:
        InvalidInput: one line that names the file, the table, the key, the value and what is accepted.

    >>> read_scheme("nowhere.toml")
    Traceback (most recent call last):
    contracts.errors.InvalidInput: nowhere.toml: No such file or directory: expected a TOML file
    """
    document = read_toml(Path(path))
    data = document.get("data")
    if isinstance(data, dict) and is_file(data.get("name")):
        document["data"] = data | {"name": str(Path(path).parent / data["name"])}
    try:
        with importable(Path(path).parent, Path.cwd()):
            return scheme_from_data(document)
    except InvalidInput as error:
        raise InvalidInput(f"{path}: {error}") from error


def scheme_from_data(document: Mapping[str, Any]) -> Scheme:
    """A scheme from nested tables of plain values, as a TOML file holds them.

    Raises:
        InvalidInput: an unknown or missing key, a wrong kind of value, or a value out of range.

    >>> tables = {"data": {"name": "iris"}, "valuation": {"family": "linear", "scale": 100.0}}
    >>> people = {"costs": [1.0, 0.5], "probabilities": [0.5, 0.5], "participants": 3}
    >>> len(scheme_from_data({**tables, "population": people}).seats)
    3
    """
    known(
        "",
        dict(document),
        ("data", "population", "valuation"),
        ("seed", "participants", "outside", "objective", *(key for key in _TABLES if key != "data")),
    )
    if isinstance(document.get("model"), str):
        document = {**document, "model": {"factory": document["model"]}}
    for key, value in document.items():
        if key not in ("seed", "participants") and not isinstance(value, dict):
            raise InvalidInput(f"{key} = {value!r:.60}: expected a table [{key}]")
    population = population_from_data("population", document["population"])
    given: dict[str, Any] = {
        name: _read(key, cls, document[key]) for key, (name, cls) in _TABLES.items() if key in document
    }
    if "outside" in document:
        given["outside"] = outside_from_data(document["outside"], population.types)
    if "objective" in document:
        given["objective"], target = objective_from_data(document["objective"])
        if target not in (None, "accuracy"):
            raise InvalidInput(f"[objective] target = {target!r}: expected 'accuracy', or another objective")
    seats = document.get("participants", [])
    if not isinstance(seats, list) or not all(isinstance(seat, dict) for seat in seats):
        raise InvalidInput(f"participants = {seats!r:.60}: expected tables [[participants]]")
    return Scheme(
        seed=checks.integer("seed", document.get("seed", 0), high=LARGEST_SEED),
        population=population,
        valuation=valuation_from_data(document["valuation"], population.types),
        participants=tuple(_read(f"participants[{i}]", Seat, seat) for i, seat in enumerate(seats)),
        **given,
    )


def _read(name: str, cls: type, table: dict[str, Any]) -> Any:
    fields = [f for f in dataclasses.fields(cls) if f.init]
    if name == "measuring" and "family" in table:
        raise InvalidInput(
            "[measuring] family: no family is fitted any longer: leave it out; for caution promise = 'model'"
        )
    required = tuple(f.name for f in fields if f.default is dataclasses.MISSING)
    known(name, table, required, tuple(f.name for f in fields if f.name not in required))
    try:
        return cls(**table)
    except InvalidInput as error:
        raise InvalidInput(f"[{name}] {error}") from error
