"""Make models of promised accuracies: choose a level of a family by bisection on held-out samples."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from contracts import checks
from contracts.errors import InvalidInput
from mechanisms.datasets import Samples
from mechanisms.delivery.families import FAMILIES, METHODS, NESTED, UNSAFE_METHODS, Family, check_model
from mechanisms.delivery.full_model import FullModel
from mechanisms.delivery.responses import RandomisedResponse
from mechanisms.protocols import check_inputs
from mechanisms.seeds import LARGEST_SEED


@dataclass(frozen=True, kw_only=True, eq=False)
class DeliveredModel:
    """One recipient's model.

    Attributes:
        promised: the accuracy promised, in [0, 1].
        achieved: its accuracy on the held-out samples.
        standard_error: of `achieved` as an estimate of the accuracy on new samples.
        met: whether `achieved` differs from `promised` by no more than the tolerance.
        knob: how much of the full model it holds, in [0, 1]; its meaning depends on the method.
        params: its parameters; None if answers are delivered instead.
        predict: the class of each input.
        remark: what was met instead if the promise was not, or "".
    """

    promised: float
    achieved: float
    standard_error: float
    met: bool
    knob: float
    params: Any
    predict: Callable[[ArrayLike], np.ndarray]
    remark: str

    def __repr__(self) -> str:
        tail = "" if self.met else f": {self.remark}"
        return f"promised {self.promised:.3f}, achieved {self.achieved:.3f} +- {self.standard_error:.3f}{tail}"


@dataclass(frozen=True, kw_only=True, eq=False)
class Delivery:
    """What every recipient gets.

    Attributes:
        method: how models were weakened.
        coalition_proof: "by construction", where a coalition holds nothing that its best member does not hold;
            "broken: ..." where together they are known to hold more; else "to be audited".
        fine_tuning_proof: "to be audited": whether a recipient with data of its own gets more than it was
            promised depends on model and data, and `audit` measures it.
        full: the full model.
        full_accuracy: its accuracy on the held-out samples.
        held_out: number of held-out samples.
        models: one per promise, in the order of the promises.
    """

    method: str
    coalition_proof: str
    fine_tuning_proof: str
    full: FullModel
    full_accuracy: float
    held_out: int
    models: tuple[DeliveredModel, ...]

    @property
    def met(self) -> bool:
        """Whether every promise was met."""
        return all(model.met for model in self.models)

    def __repr__(self) -> str:
        head = f"{self.method}, full model {self.full_accuracy:.3f} on {self.held_out} held-out samples"
        head += f"; coalition-proof: {self.coalition_proof}; fine-tuning-proof: {self.fine_tuning_proof}"
        return "\n  ".join([head, *map(repr, self.models)])


def deliver(
    full: FullModel,
    accuracies: ArrayLike,
    *,
    held_out: Samples,
    method: str = "early-stop",
    allow_unsafe: bool = False,
    tolerance: float | None = None,
    seed: int = 0,
) -> Delivery:
    """Make one model for each promised accuracy.

    Methods, safe: "early-stop" (a point on the training path), "nested-subset" (retrained on fewer samples),
    "top-changes" (only the parameters that changed most), "masked" (only some parameters), "noisy",
    "quantised". All recipients' models come from one nested family (`mechanisms.delivery.families`): equal
    promises get equal models, and, but for the first two, a coalition holds nothing that its best member does
    not hold. What a recipient gains by training further on data of its own is another question, which no
    method settles by construction: `audit` measures it. The first two take any model, the others one whose
    parameters are a vector.

    Methods, unsafe: see `UNSAFE_METHODS`; they are refused unless `allow_unsafe` is given.

    Args:
        full: the full model and what the method needs of its training.
        accuracies: the promises, in [0, 1]; a number for one recipient.
        held_out: samples no recipient holds and training did not see; accuracies are measured on them.
        method: one of `METHODS`.
        allow_unsafe: accept an unsafe method.
        tolerance: how far from its promise an accuracy counts as met; defaults to one standard error.
        seed: the coordinator's secret; recipients who know it undo random orders and draws.

    Returns:
        The models. A promise outside what the family reaches (above the full model, below the untrained one)
        is answered by the nearest model, marked as not met, with a remark saying what was met.

    Raises:
        InvalidInput: a promise outside [0, 1], no held-out samples, an unsafe method not asked for, or a
            full model without what the method needs.

    >>> from mechanisms.datasets import load
    >>> from mechanisms.delivery import train_full
    >>> from mechanisms.models import MultilayerPerceptron
    >>> digits = load("digits")
    >>> full = train_full(MultilayerPerceptron(features=64, classes=10), digits.train)
    >>> deliver(full, [0.8, 0.99], held_out=digits.validation)
    early-stop, full model 0.9... on 359 held-out samples; coalition-proof: to be audited; fine-tuning-proof: ...
      promised 0.800, achieved 0... +- 0.021
      promised 0.990, achieved 0.9... +- 0.0...: above the full model, which is given
    """
    checks.choice("method", method, METHODS)
    if method in UNSAFE_METHODS and not allow_unsafe:
        raise InvalidInput(
            f"method = {method!r} is unsafe, {UNSAFE_METHODS[method]}: expected a safe method, or "
            "allow_unsafe=True"
        )
    promises = checks.array("accuracies", np.atleast_1d(checks.numbers("accuracies", accuracies)), low=0, high=1)
    if len(held_out) == 0:
        raise InvalidInput("held_out has no samples: expected at least one")
    check_inputs("held_out", full.model, held_out.inputs)
    check_model(method, full.model)
    if tolerance is not None:
        tolerance = checks.number("tolerance", tolerance, low=0)
    seed = checks.integer("seed", seed, high=LARGEST_SEED)
    best = full.accuracy(full.params, held_out)
    make = _respond if method == "randomised-response" else _calibrate
    models = []
    for recipient, promise in enumerate(promises):
        level_seed = seed if not method.startswith("independent") else _seed_of(seed, recipient)
        models.append(make(full, float(promise), best, held_out, method, tolerance, level_seed))
    return Delivery(
        method=method,
        coalition_proof=coalition_standing(method),
        fine_tuning_proof="to be audited",
        full=full,
        full_accuracy=best,
        held_out=len(held_out),
        models=tuple(models),
    )


def coalition_standing(method: str) -> str:
    """What is known of coalitions before an audit.

    >>> coalition_standing("masked"), coalition_standing("early-stop")
    ('by construction', 'to be audited')
    """
    if method in UNSAFE_METHODS:
        return f"broken: {UNSAFE_METHODS[method]}"
    return "by construction" if method in NESTED else "to be audited"


def _calibrate(
    full: FullModel,
    promise: float,
    best: float,
    held_out: Samples,
    method: str,
    tolerance: float | None,
    seed: int,
) -> DeliveredModel:
    family = FAMILIES[method](full=full, seed=seed)
    level = _bisect(family, promise, held_out)
    params = family.at(level)
    achieved = full.accuracy(params, held_out)
    remark = f"the nearest that {method} reaches"
    if level == family.levels and promise > best:
        remark = "above the full model, which is given"
    elif level == 0 and promise < achieved:
        remark = "below the untrained model, which is given"
    return _delivered(
        promise,
        achieved,
        len(held_out),
        tolerance,
        remark,
        knob=level / family.levels,
        params=params,
        predict=partial(full.model.predict, params),
    )


def _bisect(family: Family, promise: float, held_out: Samples) -> int:
    """Halve the levels to where the accuracy passes the promise; return the nearest level seen."""
    seen: dict[int, float] = {}

    def reaches(level: int) -> bool:
        seen[level] = family.full.accuracy(family.at(level), held_out)
        return seen[level] >= promise

    low, high = 0, family.levels
    if reaches(high) and not reaches(low):
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if reaches(middle) else (middle, high)
    # among equally near levels the lowest gives least away
    return min(seen, key=lambda level: (abs(seen[level] - promise), level))


def _respond(
    full: FullModel,
    promise: float,
    best: float,
    held_out: Samples,
    method: str,
    tolerance: float | None,
    seed: int,
) -> DeliveredModel:
    """Randomised response needs no search: the accuracy is linear in the probability of replacement."""
    chance = 1 / full.model.classes
    replaced = min(max((best - promise) / (best - chance), 0.0), 1.0) if best > chance else 0.0
    answers = RandomisedResponse(full=full, replaced=replaced, secret=seed)
    expected = (1 - replaced) * best + replaced * chance
    remark = "above the full model, which is given" if promise > best else f"{method} cannot fall below chance"
    return _delivered(
        promise,
        expected,
        len(held_out),
        tolerance,
        remark,
        knob=1 - replaced,
        params=None,
        predict=answers.predict,
    )


def _delivered(
    promise: float, achieved: float, samples: int, tolerance: float | None, remark: str, **rest
) -> DeliveredModel:
    # one sample more than none keeps the error of an accuracy of exactly 0 or 1 from vanishing
    smoothed = (achieved * samples + 1) / (samples + 2)
    error = math.sqrt(smoothed * (1 - smoothed) / samples)
    met = abs(achieved - promise) <= (error if tolerance is None else tolerance)
    return DeliveredModel(
        promised=promise,
        achieved=achieved,
        standard_error=error,
        met=met,
        remark="" if met else remark,
        **rest,
    )


def _seed_of(seed: int, recipient: int) -> int:
    return int(np.random.SeedSequence([seed, recipient + 1]).generate_state(1)[0])
