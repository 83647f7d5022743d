"""Answers instead of parameters: a model behind a query interface that randomises some of its answers."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from mechanisms.delivery.full_model import FullModel


@dataclass(frozen=True, kw_only=True, eq=False)
class RandomisedResponse:
    """The full model's class, replaced with some probability by a class drawn uniformly from all.

    Every draw is a function of the secret and the input alone, so that a repeated question gets the same
    answer, and the inputs on which a better recipient's answer is replaced are among those of a worse one's.
    An input changed ever so little is another question: see `UNSAFE_METHODS`.

    Attributes:
        full: the full model.
        replaced: the probability of replacement, in [0, 1].
        secret: the coordinator's seed.
    """

    full: FullModel
    replaced: float
    secret: int

    def predict(self, inputs: ArrayLike) -> np.ndarray:
        """Return the answers, shape (samples,)."""
        rows = np.ascontiguousarray(inputs, dtype=np.float64)
        answers = np.array(self.full.model.predict(self.full.params, rows))
        for index, row in enumerate(rows):
            key = self.secret.to_bytes(16, "little", signed=False)
            digest = hashlib.blake2b(row.tobytes(), key=key, digest_size=16).digest()
            chance = int.from_bytes(digest[:8], "little") / 2**64
            if chance < self.replaced:
                answers[index] = int.from_bytes(digest[8:], "little") % self.full.model.classes
        return answers
