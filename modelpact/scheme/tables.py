"""The tables of a scheme file: one frozen class each for data, model, training and all that follows."""

from __future__ import annotations

import dataclasses
from typing import Any

from contracts import checks
from contracts.errors import InvalidInput
from contracts.measured.measured_curve import PROMISES
from contracts.problem.menu import CLAUSES, Menu
from contracts.records import frozen
from mechanisms.aggregation.registry import find
from mechanisms.attacks import ATTACKS
from mechanisms.datasets import check_name
from mechanisms.delivery import SAFE_METHODS
from mechanisms.sample_file import digest, is_file
from modelpact.scheme.entry import content_of, load_factory

BEHAVIOURS = ("truthful", "strategic", "free-riding", "duplicating", "low-quality", "malicious")
HONEST = BEHAVIOURS[:2]
PROOFS = ("coalition-proof", "fine-tuning-proof")
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
    """The classifier.

    Args:
        hidden: widths of its hidden layers, none for softmax regression.
        factory: instead, a function of the user's own that makes it, as "package.module:function"; in a scheme
            file `model = "package.module:function"` says so.

    Attributes:
        content: SHA-256 of the function's file: where it changes, a run starts anew.
    """

    hidden: Any = ()
    factory: str = ""
    content: str = dataclasses.field(init=False, default="")

    def __post_init__(self) -> None:
        if self.factory:
            if self.hidden:
                raise InvalidInput(f"hidden = {self.hidden!r} with model = {self.factory!r}: expected only one")
            object.__setattr__(self, "content", content_of(load_factory(self.factory)))
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
    """How the pilot measures the learning curve, and what is promised on it.

    Args:
        sizes: how many amounts of data, between `smallest` and two thirds of the pilot's.
        smallest: the least amount of data; 0 is a fifteenth of the pilot's samples, from 4 to 20.
        repetitions: models trained at each amount.
        promise: that nobody does worse than alone on "average" over the curves that are possible, or under a
            share `confidence` of them ("model"); or a fixed "value" (`contracts.measured.measured_curve`).
        confidence: that share of curves, and of schemes in which every delivered accuracy is to be met, in
            [0.5, 1).
    """

    sizes: int = 8
    smallest: int = 0
    repetitions: int = 12
    promise: str = "average"
    confidence: float = 0.9

    def __post_init__(self) -> None:
        checks.integer("sizes", self.sizes, low=4, high=100)
        checks.integer("smallest", self.smallest)
        checks.integer("repetitions", self.repetitions, low=2, high=1000)
        checks.choice("promise", self.promise, PROMISES)
        checks.number("confidence", self.confidence, low=0.5, high=1, open_high=True)

    def least(self, pilot: int) -> int:
        """The least amount of data at which a pilot of so many samples measures.

        >>> Measuring().least(300), Measuring().least(26), Measuring(smallest=10).least(26)
        (20, 4, 10)
        """
        return self.smallest or max(min(20, pilot // 15), 4)


@frozen
class Terms:
    """What is asked of the menu, beside being of whole samples.

    Args:
        margin: the least gain over staying out, in units of cost.
        preference_margin: the least loss by choosing another option than one's own, likewise.
        options: the most options; None for any number.
        lot: options ask for whole multiples of so many samples.
        assurance: the launch clause (see `contracts.Menu`); None for none.
            What is owed then follows from the signatures, rounded up to whole samples.
    """

    margin: float = 0.0
    preference_margin: float = 0.0
    options: int | None = None
    lot: int = 1
    assurance: str | None = None

    def __post_init__(self) -> None:
        checks.number("margin", self.margin, low=0)
        checks.number("preference_margin", self.preference_margin, low=0)
        checks.integer("lot", self.lot, low=1)
        if self.options is not None:
            checks.integer("options", self.options, low=1)
        if self.assurance is not None:
            checks.choice("assurance", self.assurance, CLAUSES)
            if self.options is not None or self.lot != 1:
                raise InvalidInput("assurance with options or a lot: what is owed follows from the signatures")

    def limits(self, sample: float) -> Menu:
        """The same as a problem has it.

        Args:
            sample: what a usable sample costs at most; with a launch clause margins allow for one more of them.
        """
        if self.assurance is not None:
            return Menu(
                assurance=self.assurance,
                participation_margin=self.margin + sample,
                preference_margin=self.preference_margin + (sample if self.assurance != "cut" else 0.0),
            )
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
        samples: how many samples each of them has, and can label at most; 0 is an equal part of what is left of
            the data.
    """

    behaviour: str = "truthful"
    count: int = 1
    cost: float | None = None
    type: str = ""
    group: str = ""
    label_noise: float | None = None
    copies: float = 0.9
    attack: str = "label-flip"
    samples: int = 0

    def __post_init__(self) -> None:
        checks.integer("samples", self.samples)
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
    """How models of promised accuracies are made, and what must be shown before any is handed out.

    Args:
        method: one of `mechanisms.delivery.SAFE_METHODS`; None is "early-stop", and "nested-subset" for models
            that are fitted anew.
        requires: "coalition-proof", "fine-tuning-proof", or both: a run stops before delivery where the models
            made fail it, or are not shown to meet it.
        tolerance: accuracy by which what is recovered may exceed what is allowed; see `mechanisms.audit`.
    """

    method: str | None = None
    requires: Any = ()
    tolerance: float = 0.05

    def __post_init__(self) -> None:
        if self.method is not None:
            checks.choice("method", self.method, SAFE_METHODS)
        checks.number("tolerance", self.tolerance, low=0)
        if not isinstance(self.requires, list | tuple):
            raise InvalidInput(f"requires = {self.requires!r}: expected a list of {', '.join(PROOFS)}")
        for i, name in enumerate(self.requires):
            checks.choice(f"requires[{i}]", name, PROOFS)
        object.__setattr__(self, "requires", tuple(self.requires))


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
