"""Families of ever weaker models: one knob from the initial model to the full one.

A family gives the parameters at each of its levels, from 0 (nothing of the training) to `levels` (all of
it). It is a fixed path: the seed decides it once for all recipients. Masked, top-changes, quantised and noisy
models are *nested*: whoever holds a better one can make worse ones itself, of the same distribution as the
others hold (forget coordinates, round to a coarser grid, add noise), so a coalition holds nothing that its best
member does not hold. Early-stopped and nested-subset models come from earlier steps, or fewer samples, of the
same training: there a coalition could extrapolate, and whether it gains is measured (`audit`), not proven.
Families that give recipients independent draws, or a model from which a higher level follows by arithmetic, are
unsafe.
"""

from __future__ import annotations

import abc
from dataclasses import dataclass
from typing import Any

import numpy as np

from contracts.errors import InvalidInput
from mechanisms.delivery.full_model import FullModel
from mechanisms.protocols import Fittable, Trainable, VectorModel


@dataclass(frozen=True, kw_only=True, eq=False)
class Family(abc.ABC):
    """Parameters at every level of weakening.

    Attributes:
        full: the full model.
        seed: decides random orders and draws, of the whole family or (unsafe families) of one recipient.
    """

    full: FullModel
    seed: int

    @property
    @abc.abstractmethod
    def levels(self) -> int:
        """The highest level, at which the full model is given."""

    @abc.abstractmethod
    def at(self, level: int) -> Any:
        """Return the parameters at a level from 0 to `levels`."""

    @property
    def change(self) -> np.ndarray:
        """What training changed in all."""
        return self.full.params - self.full.initial

    def draw(self, *stream: int) -> np.random.Generator:
        """Return the generator of one stream of this family's randomness."""
        return np.random.default_rng([self.seed, *stream])


class EarlyStop(Family):
    """A point on the training path; between two recorded vectors the path is taken as straight."""

    BETWEEN = 16

    @property
    def between(self) -> int:
        """Levels from one recorded moment to the next: one, where parameters are no vectors."""
        return self.BETWEEN if isinstance(self.full.model, VectorModel) else 1

    @property
    def levels(self) -> int:
        """Sixteen levels between any two recorded moments."""
        if self.full.path is None or len(self.full.path) < 2:
            raise InvalidInput(
                "full.path is missing: method 'early-stop' expects the training path; train with "
                "train_full, or with checkpoints=True"
            )
        return (len(self.full.path) - 1) * self.between

    def at(self, level: int) -> Any:
        """Return the point of the path."""
        assert self.full.path is not None
        before, part = divmod(level, self.between)
        if part == 0:
            return self.full.path[before]
        share = part / self.between
        return (1 - share) * self.full.path[before] + share * self.full.path[before + 1]


class NestedSubset(Family):
    """The model retrained, from the same start, on the first samples of one random order.

    A single sample can move the accuracy by points, so the next one enters in sixteen steps of its weight.
    """

    BETWEEN = 16

    @property
    def levels(self) -> int:
        """Sixteen levels for each pooled sample."""
        if self.full.samples is None:
            raise InvalidInput("full.samples is missing: method 'nested-subset' expects pooled training samples")
        return len(self.full.samples) * self.BETWEEN

    def at(self, level: int) -> Any:
        """Retrain on `level / 16` samples."""
        full = self.full
        if level in (0, self.levels):
            return full.initial if level == 0 else full.params
        assert full.samples is not None
        count = len(full.samples)
        weights = np.empty(count)
        weights[self.draw(0).permutation(count)] = np.clip(level / self.BETWEEN - np.arange(count), 0, 1)
        return full.retrained(full.samples, weights)


class Masked(Family):
    """The first coordinates of one random order have been trained, the others have not."""

    @property
    def levels(self) -> int:
        """The number of parameters."""
        return len(self.full.params)

    def order(self) -> np.ndarray:
        """Return the coordinates in the order in which they are given."""
        return self.draw(1).permutation(self.levels)

    def at(self, level: int) -> np.ndarray:
        """Give `level` coordinates."""
        params = self.full.initial.copy()
        given = self.order()[:level]
        params[given] = self.full.params[given]
        return params


class TopChanges(Masked):
    """The coordinates that training changed most have been trained, the others have not."""

    def order(self) -> np.ndarray:
        """Return the coordinates by falling size of their change, ties by position."""
        return np.argsort(-np.abs(self.change), kind="stable")


class Noisy(Family):
    """The full model with Gaussian noise; the noise of a lower level is that of a higher one and more.

    The noise is a Brownian path in its variance, so what the lower level adds is independent of everything
    the higher level holds, and averaging several levels helps no coalition. At level 0 the noise is sixteen
    times as long as the change, and hardly anything of it is left in the accuracy.
    """

    LONGEST = 16.0

    @property
    def levels(self) -> int:
        """4096 equal steps of the noise's standard deviation."""
        return 4096

    def at(self, level: int) -> np.ndarray:
        """Add noise of standard deviation proportional to `levels - level`."""
        size = len(self.full.params)
        unit = self.LONGEST * np.linalg.norm(self.change) / np.sqrt(size) / self.levels
        return self.full.params + unit * self._brownian(self.levels - level)

    def _brownian(self, moment: int) -> np.ndarray:
        """The path at variance `moment**2`, by midpoint refinement: a few draws, the same for all levels."""
        low, high = 0, self.levels
        size = len(self.full.params)
        at_low, at_high = np.zeros(size), high * self.draw(2, high).normal(size=size)
        while low < moment < high:
            middle = (low + high) // 2
            width, part = high**2 - low**2, middle**2 - low**2
            bridge = np.sqrt(part * (width - part) / width) * self.draw(2, middle).normal(size=size)
            at_middle = at_low + (at_high - at_low) * part / width + bridge
            if middle <= moment:
                low, at_low = middle, at_middle
            else:
                high, at_high = middle, at_middle
        return at_low if moment == low else at_high


class Quantised(Family):
    """The change rounded to grids of 1, 3, 9, 27, ... cells, each cell of one split in three by the next.

    A level is a number of refinements: coordinate after coordinate, in one random order, passes to the next
    grid. Grids of odd size keep a cell around zero, so few cells give a sparse change.
    """

    GRIDS = 8

    @property
    def levels(self) -> int:
        """Eight refinements of every coordinate (6561 cells), then the full model."""
        return self.GRIDS * len(self.full.params) + 1

    def at(self, level: int) -> np.ndarray:
        """Refine `level` times."""
        if level == self.levels:
            return self.full.params
        everywhere, further = divmod(level, len(self.full.params))
        depth = np.full(len(self.full.params), everywhere)
        depth[self.draw(3).permutation(len(depth))[:further]] += 1
        cell = 2 * np.abs(self.change).max() / 3.0**depth
        # a change on the outermost edge belongs to the outermost cell
        index = np.clip(np.rint(self.change / np.where(cell > 0, cell, 1)), -(3.0**depth // 2), 3.0**depth // 2)
        return self.full.initial + index * cell


class Interpolated(Family):
    """A point on the straight line from the initial to the full model."""

    @property
    def levels(self) -> int:
        """1024 equal steps."""
        return 1024

    def at(self, level: int) -> np.ndarray:
        """Go `level / levels` of the way."""
        share = level / self.levels
        return (1 - share) * self.full.initial + share * self.full.params


FAMILIES: dict[str, type[Family]] = {
    "early-stop": EarlyStop,
    "nested-subset": NestedSubset,
    "top-changes": TopChanges,
    "masked": Masked,
    "noisy": Noisy,
    "quantised": Quantised,
    "independent-masks": Masked,
    "independent-noise": Noisy,
    "interpolated": Interpolated,
}

# Methods that take any model, and what they need of it; all others are arithmetic on a vector of parameters.
_NEEDED: dict[str, tuple[tuple[type, ...], str]] = {
    "early-stop": ((), ""),
    "nested-subset": ((Trainable, Fittable), "a model with descend or fit"),
    "randomised-response": ((), ""),
}


def check_model(method: str, model: Any) -> None:
    """Refuse a method on a model that lacks what the method needs.

    Raises:
        InvalidInput: naming what is needed.
    """
    kinds, words = _NEEDED.get(method, ((VectorModel,), "a model whose parameters are a vector"))
    if kinds and not isinstance(model, kinds):
        raise InvalidInput(f"method = {method!r} with {model!r:.60}: expected {words}, or 'early-stop'")


UNSAFE_METHODS = {
    "independent-masks": "the union of several recipients' masks is the full model",
    "independent-noise": "the average of several recipients' models is the full model",
    "interpolated": "one recipient who knows the initial model extrapolates to the full model",
    "randomised-response": "the majority of answers to slightly changed inputs is the full model's",
}
# What is true of a method whatever the model: lower levels follow from higher ones alone.
NESTED = ("top-changes", "masked", "noisy", "quantised")
SAFE_METHODS = tuple(name for name in FAMILIES if name not in UNSAFE_METHODS)
METHODS = (*SAFE_METHODS, *UNSAFE_METHODS)
