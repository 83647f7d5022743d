"""Models of promised accuracies picked from what a training run already wrote: any model, any library."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from contracts import checks
from contracts.errors import BackendMissing, InvalidInput, ModelpactError
from mechanisms.protocols import Classifier, answers

UNSTATED_TOLERANCE = 0.02  # where nobody says on how many samples scores were measured


@dataclass(frozen=True, kw_only=True, eq=False)
class DeliveredCheckpoint:
    """The checkpoint that one recipient gets.

    Attributes:
        promised: the accuracy promised, in [0, 1].
        achieved: its score.
        standard_error: of the score as an estimate of the accuracy on new samples; NaN if nobody said on how
            many samples it was measured.
        met: whether `achieved` differs from `promised` by no more than the tolerance.
        index: of the checkpoint among those given.
        checkpoint: it, as it was given: a path or an object.
        remark: what was met instead if the promise was not, or "".
    """

    promised: float
    achieved: float
    standard_error: float
    met: bool
    index: int
    checkpoint: Any
    remark: str

    def __repr__(self) -> str:
        error = "" if math.isnan(self.standard_error) else f" +- {self.standard_error:.3f}"
        tail = "" if self.met else f": {self.remark}"
        return (
            f"promised {self.promised:.3f}, achieved {self.achieved:.3f}{error}, checkpoint {self.index}{tail}"
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class CheckpointDelivery:
    """What every recipient gets, of the checkpoints of one training run.

    Attributes:
        scores: of all checkpoints, in the order given.
        models: one per promise, in the order of the promises.
        coalition_proof, fine_tuning_proof: "to be audited", for nothing here is so by construction.
        load: reads a checkpoint.
        first: the first checkpoint, which recipients are taken to know.
    """

    scores: Float[np.ndarray, " checkpoints"]
    models: tuple[DeliveredCheckpoint, ...]
    load: Callable[[Any], Any]
    first: Any
    coalition_proof: str = "to be audited"
    fine_tuning_proof: str = "to be audited"

    @property
    def met(self) -> bool:
        """Whether every promise was met."""
        return all(model.met for model in self.models)

    def __repr__(self) -> str:
        head = f"{len(self.scores)} checkpoints, scores {self.scores.min():.3f} to {self.scores.max():.3f}"
        head += f"; coalition-proof: {self.coalition_proof}; fine-tuning-proof: {self.fine_tuning_proof}"
        return "\n  ".join([head, *map(repr, self.models)])

    def held_by_recipients(self, model: Classifier | None) -> dict[str, Any]:
        """What an audit needs to know; each checkpoint once, the worst first.

        Raises:
            InvalidInput: `model` is missing, or does not take such checkpoints.
        """
        if model is None:
            raise InvalidInput("model is missing: expected the model that takes these checkpoints")
        vector = getattr(model, "vector", lambda loaded: loaded)
        chosen = {given.index: given for given in sorted(self.models, key=lambda one: one.achieved)}
        params = tuple(vector(self.load(given.checkpoint)) for given in chosen.values())
        return {
            "method": "checkpoints",
            "model": model,
            "initial": vector(self.load(self.first)),
            "rate": 0.5,
            "promises": tuple(given.promised for given in chosen.values()),
            "params": params,
            "predicts": tuple(partial(answers, model, each) for each in params),
        }


def deliver_checkpoints(
    score: Callable[[Any], float],
    checkpoints: Sequence[Any],
    accuracies: ArrayLike,
    *,
    load: Callable[[Any], Any] | None = None,
    samples: int | None = None,
    tolerance: float | None = None,
) -> CheckpointDelivery:
    """Pick, for each promised accuracy, the checkpoint whose score is nearest; of equal ones the earliest.

    It needs a score and what a training run wrote, nothing else: the way for large models. Recipients then hold
    points of one training path, as with `deliver(..., method="early-stop")`.

    Args:
        score: gives the accuracy, in [0, 1], of a loaded checkpoint on samples that no recipient holds.
        checkpoints: from the start of training to its end: paths, or the objects themselves.
        accuracies: the promises, in [0, 1]; a number for one recipient.
        load: reads a checkpoint before it is scored; None reads paths by their ending (.safetensors, .pt, .pth,
            .joblib, .npz, .npy) and takes other objects as they are. Joblib files can run code: read your own.
        samples: how many samples the score is measured on, for its standard error.
        tolerance: how far from its promise a score counts as met; defaults to one standard error, or 0.02.

    Raises:
        InvalidInput: no checkpoints, one that does not load, a score that is no number in [0, 1], or a promise
            below the worst checkpoint.
        BackendMissing: the library that reads such files is not installed.

    >>> deliver_checkpoints(lambda step: 1 - 0.5**step, range(8), [0.5, 0.85], samples=400)
    8 checkpoints, scores 0.000 to 0.992; coalition-proof: to be audited; fine-tuning-proof: to be audited
      promised 0.500, achieved 0.500 +- 0.025, checkpoint 1
      promised 0.850, achieved 0.875 +- 0.017, checkpoint 3: the nearest checkpoint
    """
    promises = checks.array("accuracies", np.atleast_1d(checks.numbers("accuracies", accuracies)), low=0, high=1)
    given = list(checkpoints)
    if not given:
        raise InvalidInput("checkpoints is empty: expected at least one")
    if samples is not None:
        samples = checks.integer("samples", samples, low=1)
    if tolerance is not None:
        tolerance = checks.number("tolerance", tolerance, low=0)
    reader = read_checkpoint if load is None else load
    scores = np.array([_scored(score, reader, each, i) for i, each in enumerate(given)])
    errors = [_error(found, samples) for found in scores]
    usual = [UNSTATED_TOLERANCE if samples is None else error for error in errors]
    allowed = usual if tolerance is None else [tolerance] * len(given)
    lowest = int(np.argmin(scores))
    for i, promise in enumerate(promises):
        if promise < scores[lowest] - allowed[lowest]:
            raise InvalidInput(
                f"accuracies[{i}] = {promise:g}: expected at least {scores[lowest]:.4g}, the score of"
                f" checkpoints[{lowest}], the worst; give an earlier one"
            )
    models = []
    for promise in promises:
        index = int(np.argmin(np.abs(scores - promise)))
        met = bool(abs(scores[index] - promise) <= allowed[index])
        above = promise > scores.max()
        remark = "above the best checkpoint, which is given" if above else "the nearest checkpoint"
        models.append(
            DeliveredCheckpoint(
                promised=float(promise),
                achieved=float(scores[index]),
                standard_error=errors[index],
                met=met,
                index=index,
                checkpoint=given[index],
                remark="" if met else remark,
            )
        )
    scores.setflags(write=False)
    return CheckpointDelivery(scores=scores, models=tuple(models), load=partial(_loaded, reader), first=given[0])


def read_checkpoint(checkpoint: Any) -> Any:
    """Read a path by its ending; anything else is returned as it is.

    Raises:
        InvalidInput: an unknown ending.
        BackendMissing: the library that reads it is not installed.
    """
    if not isinstance(checkpoint, str | os.PathLike):
        return checkpoint
    path = Path(checkpoint)
    ending = path.suffix.lower()
    if ending not in _READERS:
        raise InvalidInput(f"ending {ending!r}: expected one of {', '.join(_READERS)}, or load=...")
    library, reader = _READERS[ending]
    try:
        return reader(path)
    except ImportError as error:
        raise BackendMissing(library, f"reading {path.name}") from error


def _safetensors(path: Path) -> Any:
    from safetensors.numpy import load_file

    return load_file(path)


def _torch(path: Path) -> Any:
    import torch

    return torch.load(path, map_location="cpu", weights_only=True)


def _joblib(path: Path) -> Any:
    import joblib

    return joblib.load(path)


def _numpy(path: Path) -> Any:
    found = np.load(path, allow_pickle=False)
    return {name: found[name] for name in found.files} if hasattr(found, "files") else found


_READERS: dict[str, tuple[str, Callable[[Path], Any]]] = {
    ".safetensors": ("safetensors", _safetensors),
    ".pt": ("torch", _torch),
    ".pth": ("torch", _torch),
    ".joblib": ("joblib", _joblib),
    ".npz": ("numpy", _numpy),
    ".npy": ("numpy", _numpy),
}


def _loaded(reader: Callable[[Any], Any], checkpoint: Any, name: str = "checkpoint") -> Any:
    try:
        return reader(checkpoint)
    except BackendMissing:
        raise
    except InvalidInput as error:
        raise InvalidInput(f"{name} = {checks.brief(checkpoint)}: {error}") from error
    except Exception as error:  # whatever the library raises on a file that is none of its own
        words = " ".join(str(error).split())[:120]
        raise InvalidInput(
            f"{name} = {checks.brief(checkpoint)} does not load: {type(error).__name__}: {words}"
        ) from error


def _scored(score: Callable[[Any], float], reader: Callable[[Any], Any], checkpoint: Any, index: int) -> float:
    loaded = _loaded(reader, checkpoint, f"checkpoints[{index}]")
    try:
        found = score(loaded)
    except ModelpactError as error:
        raise InvalidInput(f"score of checkpoints[{index}]: {error}") from error
    except Exception as error:  # whatever the user's function raises, on weights of another network for one
        words = " ".join(str(error).split())[:120]
        raise InvalidInput(f"score of checkpoints[{index}] failed: {type(error).__name__}: {words}") from error
    plain = getattr(found, "item", None)  # of a number in an array or tensor of any library
    if callable(plain) and math.prod(getattr(found, "shape", ())) == 1:
        found = plain()
    return checks.number(f"score of checkpoints[{index}]", found, low=0, high=1)


def _error(achieved: float, samples: int | None) -> float:
    if samples is None:
        return math.nan
    # one sample more than none keeps the error of an accuracy of exactly 0 or 1 from vanishing
    smoothed = (achieved * samples + 1) / (samples + 2)
    return math.sqrt(smoothed * (1 - smoothed) / samples)
