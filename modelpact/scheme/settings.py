"""What a scheme file says: one frozen table each for data, model, training and all that follows.

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
```

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

import numpy as np

from contracts import checks
from contracts.errors import InvalidInput
from contracts.measured.learning_curves import FAMILIES as CURVES
from contracts.problem import Problem
from contracts.problem.accuracy import AccuracyCurve, PowerLaw
from contracts.problem.data import objective_from_data, outside_from_data, valuation_from_data
from contracts.problem.data_population import population_from_data, population_to_data
from contracts.problem.data_tables import known, of_family
from contracts.problem.menu import Menu
from contracts.problem.objective import FAMILIES as OBJECTIVES
from contracts.problem.objective import Objective
from contracts.problem.outside import Outside
from contracts.problem.population import Population
from contracts.problem.valuation import FAMILIES as VALUATIONS
from contracts.problem.valuation import Valuation
from contracts.records import frozen
from mechanisms.aggregation.registry import find
from mechanisms.attacks import ATTACKS
from mechanisms.datasets import check_name
from mechanisms.delivery import SAFE_METHODS
from mechanisms.sample_file import digest, is_file
from mechanisms.seeds import LARGEST_SEED
from modelpact.problem_file import read_toml

BEHAVIOURS = ("truthful", "strategic", "free-riding", "duplicating", "low-quality", "malicious")
HONEST = BEHAVIOURS[:2]
SEAT_ATTACKS = tuple(name for name in ATTACKS if name != "steer")  # which needs to know the defender's data


@frozen
class Data:
    """Which real data, and how they are cut.

    Args:
        name: one of `mechanisms.datasets.NAMES`, or the path of a CSV or NPZ file of samples (in a scheme file,
            relative to it).
        test, validation: samples kept for the audit, and by the coordinator; below 1 a fraction of all.
        pilot: samples on which the learning curve is measured; below 1 a fraction of the rest.

    Attributes:
        content: SHA-256 of a file of samples: where it changes, a run starts anew.
    """

    name: str
    test: float = 0.2
    validation: float = 0.2
    pilot: float = 0.25
    content: str = dataclasses.field(init=False, default="")

    def __post_init__(self) -> None:
        check_name("name", self.name)
        if is_file(self.name):
            object.__setattr__(self, "content", digest(self.name))
        for key in ("test", "validation", "pilot"):
            checks.number(key, getattr(self, key), low=0, open_low=True)


@frozen
class ModelShape:
    """The classifier: widths of its hidden layers, none for softmax regression."""

    hidden: Any = ()

    def __post_init__(self) -> None:
        if not isinstance(self.hidden, list | tuple):
            raise InvalidInput(f"hidden = {self.hidden!r}: expected a list of widths")
        widths = tuple(checks.integer(f"hidden[{i}]", w, low=1) for i, w in enumerate(self.hidden))
        object.__setattr__(self, "hidden", widths)


@frozen
class Training:
    """How the joint model is trained.

    Args:
        trainer: a name of `modelpact.scheme.trainers`: "pooled", "federated" or "flower", or one of the user's.
        rounds: full-batch gradient steps of pooled training, rounds of federated training.
        rate: length of a gradient step.
        epochs, batch: of local training in each federated round; 0 for batch takes all samples at once.
        aggregation: how a federated round joins the updates, a name of `mechanisms.aggregation`.
        malicious: how many malicious participants that rule is told to withstand.
    """

    trainer: str = "pooled"
    rounds: int = 200
    rate: float = 0.5
    epochs: int = 1
    batch: int = 0
    aggregation: str = "mean"
    malicious: int = 0

    def __post_init__(self) -> None:
        if not isinstance(self.trainer, str):
            raise InvalidInput(f"trainer = {self.trainer!r}: expected the name of a trainer")
        checks.integer("rounds", self.rounds, low=1, high=100_000)
        checks.number("rate", self.rate, low=0, open_low=True)
        checks.integer("epochs", self.epochs, low=1)
        checks.integer("batch", self.batch)
        checks.integer("malicious", self.malicious)
        find(self.aggregation)


@frozen
class Measuring:
    """How the pilot measures the learning curve, and how cautiously it is read.

    Args:
        sizes: how many amounts of data, between `smallest` and four fifths of the pilot's. smallest: the least
        amount of data. repetitions: models trained at each amount. family: of the fitted curve, one of
        `contracts.measured.learning_curves.FAMILIES`, or "plausible": all that the
            measurements do not rule out.
        confidence: the share of schemes, in [0.5, 1), in which every promise is to be met.
    """

    sizes: int = 8
    smallest: int = 20
    repetitions: int = 12
    family: str = "plausible"
    confidence: float = 0.9

    def __post_init__(self) -> None:
        checks.integer("sizes", self.sizes, low=4, high=100)
        checks.integer("smallest", self.smallest, low=1)
        checks.integer("repetitions", self.repetitions, low=2, high=1000)
        checks.choice("family", self.family, (*CURVES, "plausible"))
        checks.number("confidence", self.confidence, low=0.5, high=1, open_high=True)


@frozen
class Terms:
    """What is asked of the menu, beside being of whole samples.

    Args:
        margin: the least gain over staying out, in units of cost.
        preference_margin: the least loss by choosing another option than one's own, likewise.
        options: the most options; None for any number.
        lot: options ask for whole multiples of so many samples.
    """

    margin: float = 0.0
    preference_margin: float = 0.0
    options: int | None = None
    lot: int = 1

    def __post_init__(self) -> None:
        checks.number("margin", self.margin, low=0)
        checks.number("preference_margin", self.preference_margin, low=0)
        checks.integer("lot", self.lot, low=1)
        if self.options is not None:
            checks.integer("options", self.options, low=1)

    @property
    def limits(self) -> Menu:
        """The same as a problem has it."""
        return Menu(
            options=self.options,
            lot=float(self.lot),
            participation_margin=self.margin,
            preference_margin=self.preference_margin,
        )


@frozen
class Seat:
    """Participants of one kind who really come.

    Args:
        behaviour: "truthful" signs the option made for its cost and delivers it; "strategic" signs what is
            best for itself, or nothing; "free-riding" signs the best reward and delivers nothing;
            "duplicating" fills up with slightly changed copies; "low-quality" delivers wrong labels; "malicious"
            attacks its labels, or delivers good ones and attacks its updates in federated training.
        count: how many.
        cost: what a usable sample costs it; None is the cost of its type.
        type: its type, by name; "" is the one whose cost is nearest or, without a cost, drawn.
        group: of which group its type is drawn; needed where there are groups and no type is named.
        label_noise: the share of its labels that are wrong; None is 0.4 for "low-quality", else 0.
        copies: the share of copies that "duplicating" delivers.
        attack: of "malicious": "label-flip", or another of `mechanisms.attacks`, on updates.
    """

    behaviour: str = "truthful"
    count: int = 1
    cost: float | None = None
    type: str = ""
    group: str = ""
    label_noise: float | None = None
    copies: float = 0.9
    attack: str = "label-flip"

    def __post_init__(self) -> None:
        checks.choice("behaviour", self.behaviour, BEHAVIOURS)
        checks.integer("count", self.count, low=1, high=1000)
        if self.cost is not None:
            checks.number("cost", self.cost, low=0, open_low=True)
        noise = self.label_noise if self.label_noise is not None else 0.4 * (self.behaviour == "low-quality")
        object.__setattr__(self, "label_noise", checks.number("label_noise", noise, low=0, high=1))
        checks.number("copies", self.copies, low=0, high=1)
        checks.choice("attack", self.attack, SEAT_ATTACKS)


@frozen
class Verification:
    """How submissions are checked.

    Args:
        samples: samples of each submission on which the probe is tried; 0 tries it on all.
        confidence: probability that the probe refuses no honest submission.
        relabelled: samples of each submission that the coordinator has labelled once more; one label that
            differs and the submission is refused.
    """

    samples: int = 0
    confidence: float = 0.95
    relabelled: int = 10

    def __post_init__(self) -> None:
        checks.integer("samples", self.samples)
        checks.integer("relabelled", self.relabelled)
        checks.number("confidence", self.confidence, low=0, high=1, open_low=True, open_high=True)


@frozen
class Handing:
    """How models of promised accuracies are made: one of `mechanisms.delivery.SAFE_METHODS`."""

    method: str = "early-stop"

    def __post_init__(self) -> None:
        checks.choice("method", self.method, SAFE_METHODS)


@frozen
class Auditing:
    """What the audit replays.

    Args:
        label_noise: shares of wrong labels of which it measures what they would have gained.
        copies: the same of copied samples.
        baselines: whether to carry out the other rules on the same draw.
    """

    label_noise: Any = (0.03, 0.1, 0.4)
    copies: Any = (0.3, 0.9)
    baselines: bool = True

    def __post_init__(self) -> None:
        for key in ("label_noise", "copies"):
            value = getattr(self, key)
            if not isinstance(value, list | tuple):
                raise InvalidInput(f"{key} = {value!r}: expected a list of numbers")
            levels = checks.array(key, list(value), low=0, high=1, open_low=True, empty=True)
            object.__setattr__(self, key, tuple(levels.tolist()))
        if not isinstance(self.baselines, bool):
            raise InvalidInput(f"baselines = {self.baselines!r}: expected true or false")


@frozen
class Scheme:
    """Everything that decides a run; equal schemes give equal files.

    Attributes:
        seed: decides every draw.
        data, model, training, measuring, menu, verification, delivery, audit: the tables.
        population, valuation, outside, objective: what the contract is designed for.
        participants: who really comes.
    """

    data: Data
    population: Population
    valuation: Valuation
    seed: int = 0
    model: ModelShape = dataclasses.field(default_factory=ModelShape)
    training: Training = dataclasses.field(default_factory=Training)
    measuring: Measuring = dataclasses.field(default_factory=Measuring)
    menu: Terms = dataclasses.field(default_factory=Terms)
    outside: Outside = Outside()
    objective: Objective | None = None
    participants: tuple[Seat, ...] = ()
    verification: Verification = dataclasses.field(default_factory=Verification)
    delivery: Handing = dataclasses.field(default_factory=Handing)
    audit: Auditing = dataclasses.field(default_factory=Auditing)

    def __post_init__(self) -> None:
        checks.integer("seed", self.seed, high=LARGEST_SEED)
        if self.population.shading:
            raise InvalidInput(
                f"[population] shading = {self.population.shading:g}: expected 0, for all that is delivered is"
                " verified"
            )
        self.problem(PowerLaw(), 1e9)  # ingredients that do not go together are refused before any work is done
        if not self.participants:
            object.__setattr__(self, "participants", self._expected())
        for i, seat in enumerate(self.participants):
            self._check_seat(f"[participants[{i}]]", seat)

    def _expected(self) -> tuple[Seat, ...]:
        """As many truthful ones as the contract expects, of each group."""
        names, numbers = self.population.group_names or ("",), []
        for law in self.population.laws:
            counts = law.support[0]
            numbers.append(int(counts[np.argmin(np.abs(counts - float(law.mean)))]))
        return tuple(Seat(count=n, group=name) for name, n in zip(names, numbers, strict=True) if n > 0)

    def _check_seat(self, place: str, seat: Seat) -> None:
        names, groups = self.population.names or (), self.population.group_names
        if seat.type and seat.type not in names:
            raise InvalidInput(f"{place} type = {seat.type!r}: expected one of {', '.join(names)}")
        if seat.group and seat.group not in (groups or ()):
            accepted = f"one of {', '.join(groups)}" if groups else "none, as the population has no groups"
            raise InvalidInput(f"{place} group = {seat.group!r}: expected {accepted}")
        if groups and not (seat.group or seat.type):
            raise InvalidInput(f"{place} no group and no type: expected a group, one of {', '.join(groups)}")
        if seat.attack != "label-flip" and self.training.trainer == "pooled":
            raise InvalidInput(
                f"{place} attack = {seat.attack!r}: expected 'label-flip', for pooled training has no updates"
                " to attack"
            )

    def problem(self, curve: AccuracyCurve, most: float) -> Problem:
        """What the contract is designed for.

        Args:
            curve: the learning curve, by usable samples.
            most: usable samples that each could deliver.
        """
        population = self.population
        quality = 1.0 if population.qualities is None else population.qualities
        capacity = np.broadcast_to(most / quality, (population.types,))
        if population.capacities is not None:
            capacity = np.minimum(capacity, population.capacities)
        return Problem(
            population=dataclasses.replace(population, capacities=capacity),
            accuracy=curve,
            valuation=self.valuation,
            outside=self.outside,
            menu=self.menu.limits,
            objective=self.objective,
        )

    @property
    def seats(self) -> tuple[Seat, ...]:
        """One entry for each participant who comes."""
        return tuple(seat for seat in self.participants for _ in range(seat.count))

    def table(self, name: str) -> Any:
        """One of the tables as plain values, the same for equal settings."""
        value = getattr(self, name)
        if isinstance(value, Population):
            return population_to_data(value)
        if isinstance(value, Outside):
            return value.parameters()
        if isinstance(value, Objective):
            return of_family("objective", value, OBJECTIVES)
        if isinstance(value, Valuation):
            return of_family("valuation", value, VALUATIONS)
        if name == "participants":
            return [dataclasses.asdict(seat) for seat in self.seats]
        if name == "data" and value.content:  # what is in the file counts, not where it lies
            return dataclasses.asdict(value) | {"name": Path(value.name).name}
        return value if name in ("seed", "objective") else dataclasses.asdict(value)

    def at_seed(self, seed: int) -> Scheme:
        """The same scheme with other draws."""
        return dataclasses.replace(self, seed=seed)


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
    required = tuple(f.name for f in fields if f.default is dataclasses.MISSING)
    known(name, table, required, tuple(f.name for f in fields if f.name not in required))
    try:
        return cls(**table)
    except InvalidInput as error:
        raise InvalidInput(f"[{name}] {error}") from error
