"""Read a contract-design problem from a TOML file; errors name the file, the key and what is accepted.

```toml
belief = "interim"                  # or "ex-ante"; optional, as everything below that is marked so
currency = "EUR"                    # optional
[population]
costs = [0.2, 0.1]                  # of one datum, by type
probabilities = [0.5, 0.5]          # within each group
participants = 10                   # or a law: {family = "poisson", mean = 10}, "binomial", "finite"; by group
                                    # {clinics = 8, Aachen = 1}; or "named": everybody listed, known by name
names = ["small", "large"]          # optional
groups = ["clinics", "clinics"]     # optional: who can be told apart
qualities = [0.9, 1.0]              # optional: effective data in one datum
capacities = [200.0, 500.0]         # optional: the most data of each type
shading = 0.1                       # optional: share of the data that may be missing undetected
doubt = {distance = "total-variation", radius = 0.05}   # optional, or "kullback-leibler"
# or, instead of costs, probabilities and names: observed = "signups.csv" (columns type, count, cost; a row for
# each with type, cost; or bids), which states the doubt, too; optional: level = 0.95; for bids types = 4,
# law = "lognormal"; doubt = "none" takes the estimates for certain
[accuracy]
family = "power-law"                # and its parameters; or "measured" with a CSV file
optimum = 0.95
coefficient = 2.0
exponent = 0.5
baseline = 0.5                      # optional: what everybody has without data
# or: family = "measured", measurements = "curve.csv"; optional: fit = "posterior", promise = "average", level
[valuation]
family = "linear"
scale = 100.0                       # or a list, one number per type
[outside]                           # optional: what everybody gets by staying out
utility = [0.0, 10.0]               # a number or a list; without it, training alone
joining_cost = 5.0
[menu]                              # optional
options = 3
lot = 10.0
participation_margin = 5.0
preference_margin = 1.0
assurance = "count"                 # a launch clause (without options and lots); or "table", "cut", "contingent"
[objective]                         # optional
family = "welfare"                  # or "accuracy", "value", "rawlsian", "nash-bargaining", "distribution-cost"
coordinator = 0.5
target = "value"                    # the coordinator's own: "accuracy" unless stated
[[scenarios]]                       # optional: what may turn out true
weight = 0.7
[[scenarios]]
weight = 0.3
population = {probabilities = [0.6, 0.4]}
```
"""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Any

from contracts import checks
from contracts.errors import InvalidInput
from contracts.measured import learning_curves
from contracts.measured.fitted_population import FittedPopulation, fit_population
from contracts.measured.measured_curve import PROMISES, MeasuredCurve
from contracts.measured.measurements_file import read_measurements
from contracts.measured.observations_file import read_observations
from contracts.problem import Problem, accuracy
from contracts.problem.data import problem_from_data
from contracts.problem.data_tables import choice, kinds, known
from contracts.records import frozen

LARGEST_FILE = 10_000_000
ESTIMATION = ("level", "types", "law")
BESIDE = ("qualities", "capacities", "shading", "doubt")


@frozen
class ProblemFile:
    """What a problem file says.

    Attributes:
        path: the file.
        problem: the problem it states.
        observed: the estimate that its population is, where that was observed.
    """

    path: Path
    problem: Problem
    observed: FittedPopulation | None = None

    @property
    def seen(self) -> tuple[str, ...]:
        """Where the probabilities come from, where they were observed."""
        return () if self.observed is None else (self.observed.summary(self.problem.population),)

    @property
    def notes(self) -> tuple[str, ...]:
        """What the reader should know about the measurements before trusting the curve; usually nothing."""
        curve = self.problem.accuracy
        if not isinstance(curve, MeasuredCurve):
            return ()
        notes = [
            f"measurements: {found}"
            for found in curve.measurements.irregularities()
            if found.significant is not False
        ]
        notes += [f"measurements: {note}" for note in curve.measurements.notes]
        if curve.fitted is not None and curve.fitted.at_bound:
            notes.append(f"fitted curve: {', '.join(curve.fitted.at_bound)} at the bound of its range")
        return (*notes, *(f"learning curve: {objection}" for objection in curve.evidence.objections))


def read_problem(path: str | os.PathLike[str]) -> ProblemFile:
    """Read a problem file.

    Args:
        path: a TOML file, as this module's documentation shows; the accuracy's family is one of
            "power-law", "generalization-bound", "exponential", "arctan", "tabulated",
            "monotone-tabulated" (`data`, `accuracy`) or "measured" (`measurements`: a CSV file, relative to the
            problem file; `fit`: "posterior" by default, a family to take for the true one, or "best" for the one
            that explains the measurements best; `promise`: "average", "model" or "value", the last two with the
            `level` at which they are kept).

    Returns:
        The `ProblemFile`.

    Raises:
        InvalidInput: one line that names the file, the key, the value found and what is accepted.

    >>> read_problem("nowhere.toml")
    Traceback (most recent call last):
    contracts.errors.InvalidInput: nowhere.toml: No such file or directory: expected a TOML file
    """
    document = read_toml(Path(path))
    try:
        problem, observed = _problem(document, Path(path).parent)
    except InvalidInput as error:
        raise InvalidInput(f"{path}: {error}") from error
    return ProblemFile(path=Path(path), problem=problem, observed=observed)


def read_toml(path: Path) -> dict[str, Any]:
    """The tables of a TOML file.

    Raises:
        InvalidInput: the file cannot be read, is too large, or is not TOML.
    """
    try:
        if path.is_file() and path.stat().st_size > LARGEST_FILE:
            raise InvalidInput(f"{path}: {path.stat().st_size} bytes: expected at most {LARGEST_FILE}")
        return tomllib.loads(path.read_bytes().decode("utf-8"))
    except OSError as error:
        raise InvalidInput(f"{path}: {error.strerror}: expected a TOML file") from error
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{path}: byte {error.start} is not UTF-8: expected a TOML file") from error
    except (ValueError, RecursionError) as error:  # TOMLDecodeError, or integers of thousands of digits
        if isinstance(error, InvalidInput):
            raise
        reason = "nested too deeply" if isinstance(error, RecursionError) else _toml_error(str(error))
        raise InvalidInput(f"{path}: not TOML: {reason}") from error


def _toml_error(said: str) -> str:
    """What is wrong with a TOML file, in words that say so where something is stated twice."""
    reason = " ".join(said.split(";")[0].split())
    twice = any(word in reason for word in ("overwrite", "twice", "Duplicate", "immutable namespace"))
    place = f" ({reason.rpartition('(')[2]}" if reason.endswith(")") else ""
    return f"a key or a table is stated twice{place}" if twice else reason


def _problem(document: dict[str, Any], folder: Path) -> tuple[Problem, FittedPopulation | None]:
    table, population, observed = document.get("accuracy"), document.get("population"), None
    if isinstance(population, dict) and "observed" in population:
        observed, stated = _observed(population, folder)
        document = document | {"population": stated}
    if not isinstance(table, dict) or table.get("family") != "measured":
        return problem_from_data(document, families=(*accuracy.FAMILIES, "measured")), observed
    return problem_from_data(document, _measured(table, folder)), observed


def _observed(table: dict[str, Any], folder: Path) -> tuple[FittedPopulation, dict[str, Any]]:
    """What was observed, and the table that states it."""
    known("population", table, ("observed", "participants"), (*ESTIMATION, *BESIDE))
    kinds("population", {key: table[key] for key in ("observed", "law", "level", "types") if key in table})
    if table["participants"] == "named":
        raise InvalidInput("[population] participants = 'named': expected a number or a law beside observations")
    try:
        found = fit_population(
            participants=2,
            **read_observations(folder / table["observed"]),
            **{key: table[key] for key in ESTIMATION if key in table},
        )
    except InvalidInput as error:
        raise InvalidInput(f"[population] observed: {error}") from error
    stated = {key: table[key] for key in ("participants", *BESIDE) if key in table}
    if stated.get("doubt") == "none":
        del stated["doubt"]
    else:
        stated.setdefault("doubt", found.doubt.parameters())
    for key in ("costs", "probabilities"):
        stated[key] = getattr(found.population, key).tolist()
    return found, stated | {"names": list(found.population.names or ())}


def _measured(table: dict[str, Any], folder: Path) -> MeasuredCurve:
    known("accuracy", table, ("family", "measurements"), ("fit", "baseline", "promise", "level"))
    kinds("accuracy", table)
    choice("accuracy", table, "fit", ("posterior", *learning_curves.FAMILIES, "best"))
    choice("accuracy", table, "promise", PROMISES)
    if "level" in table and table.get("promise", "average") == "average":
        raise InvalidInput("[accuracy] level: expected promise = 'model' or 'value' beside it")
    try:
        measurements = read_measurements(folder / table["measurements"])
    except InvalidInput as error:
        raise InvalidInput(f"[accuracy] measurements: {error}") from error
    fit = table.get("fit", "posterior")
    chance = checks.number("[accuracy] baseline", table.get("baseline", 0.0), low=0.0, high=1.0, open_high=True)
    if fit == "best":
        fit = learning_curves.compare_families(measurements)[0].family
    try:
        return MeasuredCurve(
            measurements=measurements,
            fit=fit,
            chance=chance,
            **{key: table[key] for key in ("promise", "level") if key in table},
        )
    except InvalidInput as error:
        raise InvalidInput(f"[accuracy] {error}") from error
