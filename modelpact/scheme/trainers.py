"""The training stage, and how to replace it.

A trainer is a function from a `TrainingJob` (the accepted data sets, the settings, a seed) to a `Trained`
model (parameters before and after training, the path between them, the accuracy along it). To replace the
built-in ones:

1. *In Python*: `register_trainer("mine", function)`, then `trainer = "mine"` under `[training]`. The pilot
   still trains centrally with as many steps.
2. *By files*: `job = modelpact.scheme.read_job(folder, scheme)` gives the job of a run folder in which
   verification is done; train by whatever means; `write_trained(folder, scheme, trained)` writes `train.json`
   and `train.npz`. Run the scheme again: it goes on from there.

The files: `data.npz` holds the coordinator's `validation_inputs`, `validation_labels`; `verify.npz` holds
`inputs_<seat>`, `labels_<seat>` of each accepted seat, and `verify.json` their list under
`result.accepted`. `train.npz` holds `initial`, `params` (shape (size,)) and `path` (moments, size), float32 or
float64; `train.json` holds under `result` the `accuracy` history (one entry per moment of the path, measured
on the validation samples), `rounds` and `trainer`.

Menu and promises do not depend on how the model was trained; what is owed does only where the trained model
falls short of a promise. With equal seeds a trainer elsewhere is offered the same data.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from contracts.checks import choice
from contracts.errors import InvalidInput
from contracts.records import frozen
from mechanisms.aggregation.in_rounds import RuleInRounds
from mechanisms.attacks import attack
from mechanisms.datasets import Samples
from mechanisms.delivery.full_model import FullModel, train_full
from mechanisms.local_training import LocalTraining
from mechanisms.models import MultilayerPerceptron, SoftmaxRegression
from mechanisms.protocols import Fittable
from mechanisms.rounds import Round
from mechanisms.training import train as train_in_rounds
from modelpact.scheme.entry import made_model
from modelpact.scheme.tables import ModelShape, Training


@frozen
class TrainingJob:
    """What a trainer is given.

    Attributes:
        model: the classifier.
        participants: the accepted data sets, one per accepted participant.
        names: of those participants.
        attacks: for each of them "" or, where it attacks federated updates, the name of the attack.
        settings: the table `[training]`.
        validation: the coordinator's samples, on which the accuracy history is measured.
        seed: decides the start and everything else that is drawn.
    """

    model: Any
    participants: tuple[Samples, ...]
    names: tuple[str, ...]
    attacks: tuple[str, ...]
    settings: Training
    validation: Samples
    seed: int


@frozen
class Trained:
    """What a trainer returns.

    Attributes:
        full: the model, with where it started and its path (float32 or float64).
        accuracy: on the validation samples, one entry per moment of the path.
    """

    full: FullModel
    accuracy: np.ndarray


Trainer = Callable[[TrainingJob], Trained]


def classifier(shape: ModelShape, *, features: int, classes: int) -> Any:
    """The model that the table `[model]` describes.

    >>> classifier(ModelShape(hidden=[8]), features=4, classes=3)
    MultilayerPerceptron(features=4, classes=3, hidden=(8,))
    """
    if shape.factory:
        return made_model(shape.factory, shape.content, features, classes)
    if shape.hidden:
        return MultilayerPerceptron(features=features, classes=classes, hidden=shape.hidden)
    return SoftmaxRegression(features=features, classes=classes)


def pooled(job: TrainingJob) -> Trained:
    """Train on all accepted samples together: by full-batch gradient descent, or by its own `fit`."""
    inputs = np.concatenate([part.inputs for part in job.participants])
    labels = np.concatenate([part.labels for part in job.participants])
    samples = Samples(inputs=inputs, labels=labels)
    settings = job.settings
    full = train_full(job.model, samples, steps=settings.rounds, rate=settings.rate, seed=job.seed)
    return Trained(full=full, accuracy=history(full, job.validation))


def federated(job: TrainingJob) -> Trained:
    """Train in rounds: everybody on its own samples, the updates joined by the aggregation rule."""
    settings = job.settings
    rule = None
    if settings.aggregation != "mean":
        rule = RuleInRounds(
            rule=settings.aggregation,
            malicious=settings.malicious,
            model=job.model,
            samples=job.participants[0],
        )
    run = train_in_rounds(
        job.model,
        job.participants,
        rounds=settings.rounds,
        local=LocalTraining(epochs=settings.epochs, rate=settings.rate, batch=settings.batch or None),
        aggregate=rule,
        corrupt=corruption(job.attacks),
        validation=job.validation,
        checkpoints=True,
        seed=job.seed,
    )
    full = FullModel.of(run)
    return Trained(full=full, accuracy=history(full, job.validation))


def corruption(attacks: tuple[str, ...]) -> Callable[[np.ndarray, Round], np.ndarray] | None:
    """What attackers do to the updates of a round (one row per participant); None if nobody attacks.

    >>> corruption(("", "", "sign-flip"))(np.array([[1.0], [3.0], [9.0]]), None)
    array([[ 1.],
           [ 3.],
           [-2.]])
    """
    honest = [k for k, name in enumerate(attacks) if not name]
    if len(honest) == len(attacks) or not honest:
        return None

    def corrupt(updates: np.ndarray, moment: Round) -> np.ndarray:  # noqa: ARG001
        sent = np.array(updates)
        for k, name in enumerate(attacks):
            if name:
                sent[k] = attack(updates[honest], name, colluders=1)[-1]
        return sent

    return corrupt


def history(full: FullModel, validation: Samples) -> np.ndarray:
    """Accuracy on the validation samples at every moment of a model's path, of one that is fitted at its end."""
    path = [full.params] if isinstance(full.model, Fittable) else full.path
    if path is None:
        raise InvalidInput("the trained model has no path: expected its parameters at every moment of training")
    return np.array([full.accuracy(params, validation) for params in path])


def flower(job: TrainingJob) -> Trained:
    """Train as `federated` does, everybody in a process of its own; see `modelpact.federated`."""
    from modelpact.federated import flower as in_processes

    return in_processes(job)


TRAINERS: dict[str, Trainer] = {"pooled": pooled, "federated": federated, "flower": flower}


def register_trainer(name: str, trainer: Trainer) -> None:
    """Make a trainer known by a name that scheme files can use.

    Raises:
        InvalidInput: the name is taken by another trainer.
    """
    if TRAINERS.get(name, trainer) is not trainer:
        raise InvalidInput(f"name = {name!r}: a trainer of this name is registered already")
    TRAINERS[name] = trainer


def find_trainer(name: str) -> Trainer:
    """The trainer of a name.

    Raises:
        InvalidInput: no trainer has this name.
    """
    return TRAINERS[choice("trainer", name, tuple(TRAINERS))]
