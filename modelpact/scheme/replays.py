"""The same draw with one thing changed: what a participant would have got by another choice.

Replays train centrally, with as many steps as a participant has epochs, and always on arrays of one shape, so
that nothing is compiled twice. A gain is the difference of two replays and never of a replay and the run
itself, so that another trainer's luck is not mistaken for a gain.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from contracts.records import frozen
from mechanisms.datasets import Samples
from mechanisms.delivery import deliver
from mechanisms.delivery.full_model import FullModel, trained_path
from mechanisms.protocols import Fittable
from modelpact.scheme.checking import Checker
from modelpact.scheme.handover import method_of, model_of
from modelpact.scheme.menu import Menu
from modelpact.scheme.settings import Scheme
from modelpact.scheme.stages import Record
from modelpact.scheme.world import deliver_data, holdings, pad, samples, stream


@frozen
class Outcome:
    """What one participant got in a replay.

    Attributes:
        accepted: whether its submission was; whoever is refused has what its own data teach.
        accuracy: of its model on the test samples.
        cost: of the data it delivered.
        utility: value less cost.
    """

    accepted: bool
    accuracy: float
    cost: float
    utility: float


@frozen
class Draw:
    """One draw of a scheme, ready to be replayed.

    Attributes:
        scheme: the scheme.
        menu: what was published, as it was launched: other options at the amounts of this launch.
        model: the classifier.
        held: each seat's samples.
        signatures: what each seat signed.
        accepted: the seats whose data were accepted.
        given: their accepted data, by seat.
        validation, test: the coordinator's samples, and those that only the audit looks at.
        checker: verification.
        slots: the most samples one model is trained on.
    """

    scheme: Scheme
    menu: Menu
    model: Any
    held: tuple[Samples, ...]
    signatures: Sequence[dict[str, Any]]
    accepted: Sequence[int]
    given: Mapping[int, Samples]
    validation: Samples
    test: Samples
    checker: Checker
    slots: int

    @classmethod
    def of(cls, scheme: Scheme, records: Mapping[str, Record]) -> Draw:
        """The draw that the records of a run hold."""
        data, verified = records["data"], records["verify"]
        held = holdings(scheme, data)
        return cls(
            scheme=scheme,
            menu=Menu.of(records["launch"]),
            model=model_of(scheme, data),
            held=held,
            signatures=records["launch"].result["signatures"],
            accepted=verified.result["accepted"],
            given={k: samples(verified, k) for k in verified.result["accepted"]},
            validation=samples(data, "validation"),
            test=samples(data, "test"),
            checker=Checker.of(scheme, records),
            slots=max(int(data.result["samples"]["stock"]), 1),
        )

    def total(self) -> int:
        """Samples accepted in all."""
        return int(sum(self.menu.data[self.signatures[k]["option"]] for k in self.accepted))

    def train(self, parts: Sequence[Samples]) -> FullModel:
        """Train centrally on all these samples."""
        padded, weights = pad(parts, self.slots)
        training, used = self.scheme.training, int(weights.sum())
        steps = training.rounds * training.epochs
        options = {"moments": range(steps + 1), "rate": training.rate, "seed": self.scheme.seed}
        start, path = trained_path(self.model, padded, weights=weights, **options)
        if not isinstance(self.model, Fittable):
            path = np.asarray(path, dtype=np.float64)
        return FullModel(
            model=self.model,
            initial=start,
            params=path[-1],
            path=None if isinstance(self.model, Fittable) else path,
            samples=Samples(inputs=padded.inputs[:used], labels=padded.labels[:used]),
            steps=steps,
            rate=training.rate,
        )

    def worth(self, accuracy: float, seat: int) -> float:
        """Value of a model to a seat."""
        return float(self.menu.worth(accuracy, int(self.signatures[seat]["type"])))

    def expected_value(self, seat: int, option: int) -> float:
        """What the menu says to expect of an option's model, to a seat."""
        kind = int(self.signatures[seat]["type"])
        return float(self.menu.gains(kind, 0.0)[option] + self.menu.joining[kind])

    def _joining(self, seat: int) -> float:
        return float(self.menu.joining[int(self.signatures[seat]["type"])])

    def delivered(self, full: FullModel, accuracies: Sequence[float]) -> list[float]:
        """Test accuracies of models of these accuracies, or of the full model where it has less."""
        best = full.accuracy(full.params, self.validation)
        owed = [min(accuracy, best) for accuracy in accuracies]
        made = deliver(
            full,
            owed,
            held_out=self.validation,
            method=method_of(self.scheme, self.model),
            seed=self.scheme.seed,
        )
        return [float(np.mean(one.predict(self.test.inputs) == self.test.labels)) for one in made.models]

    def with_option(self, seat: int, option: int) -> Outcome:
        """What a seat would have got had it signed this option and delivered what it asks."""
        amount, cost = int(self.menu.data[option]), float(self.signatures[seat]["cost"])
        part = self.held[seat].take(np.arange(amount))
        return self._checked(
            seat, option, part, cost * amount + self._joining(seat), stream(self.scheme, "verify", seat)
        )

    def with_behaviour(self, seat: int, behaviour: str, *, share: float = 0.0) -> Outcome:
        """What a seat would have got for its own option had it delivered something else."""
        own, option = self.signatures[seat], int(self.signatures[seat]["option"])
        played = {**own, "behaviour": behaviour, "label_noise": share, "copies": share, "attack": "label-flip"}
        amount = int(self.menu.data[option])
        draws = [stream(self.scheme, stage, seat, round(1e6 * share)) for stage in ("audit", "verify")]
        part, borne = deliver_data(self.held[seat], amount, played, classes=self.model.classes, draw=draws[0])
        cost = borne * float(own["cost"]) * amount + self._joining(seat)
        return self._checked(seat, option, part, cost, draws[1])

    def alone(self, seat: int) -> Outcome:
        """What a seat would have had with data of its own, as many as pay by the published curve."""
        cost, kind = float(self.signatures[seat]["cost"]), int(self.signatures[seat]["type"])
        if self.menu.outside is not None:
            return Outcome(accepted=False, accuracy=0.0, cost=0.0, utility=float(self.menu.outside[kind]))
        amount = min(self.menu.alone(cost, kind)[0], len(self.held[seat]))
        return self.by_itself(self.held[seat].take(np.arange(amount)), cost * amount, seat)

    def by_itself(self, part: Samples, cost: float, seat: int) -> Outcome:
        """What training on these samples gives, which cost so much in all; nothing without samples."""
        if not len(part):
            return Outcome(accepted=False, accuracy=0.0, cost=cost, utility=-cost)
        full = self.train([part])
        accuracy = full.accuracy(full.params, self.test)
        return Outcome(accepted=False, accuracy=accuracy, cost=cost, utility=self.worth(accuracy, seat) - cost)

    def _checked(self, seat: int, option: int, part: Samples, cost: float, draw: np.random.Generator) -> Outcome:
        if not self.checker.check(part, int(self.menu.data[option]), draw)["accepted"]:
            return self.by_itself(part, cost, seat)
        return self._replayed(seat, option, part, cost)

    def _replayed(self, seat: int, option: int, part: Samples, cost: float) -> Outcome:
        others = [self.given[k] for k in self.accepted if k != seat]
        full = self.train([*others, part])
        best = full.accuracy(full.params, self.validation)
        accuracy = self.delivered(full, [float(self.menu.promise(best)[option])])[0]
        return Outcome(accepted=True, accuracy=accuracy, cost=cost, utility=self.worth(accuracy, seat) - cost)
