"""Who takes part, over balls: transforms of contributions by generating functions themselves."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from flint import arb

from contracts.proof.intervals.ball import vector_of
from contracts.proof.intervals.law_balls import LawBalls
from contracts.proof.losses import Present, Transforms


class MixtureBalls(NamedTuple):
    """Losses as mixtures of exponentials, shape (terms,)."""

    rates: np.ndarray
    target: np.ndarray
    value: np.ndarray


def zeros(size: int) -> np.ndarray:
    """A vector of zeros."""
    return np.array([arb(0)] * size, dtype=object)


class CrowdBalls(NamedTuple):
    """Who takes part: probabilities of rows (or types) within their groups, their groups, the groups' laws.

    `tops` are the largest target and the largest value.
    """

    probabilities: np.ndarray
    group: np.ndarray
    laws: list[LawBalls]
    ex_ante: bool
    tops: tuple[Any, Any] = (arb(0), arb(0))

    def transforms(self, rates: np.ndarray, x: np.ndarray) -> Transforms:
        """See `contracts.proof.losses.Transforms`."""
        own, parts, phis = np.exp(-np.multiply.outer(rates, x)), [], []
        for g, law in enumerate(self.laws):
            phi = (self.probabilities * own)[:, self.group == g].sum(axis=1)
            power, belief = (vector_of(map(function, phi)) for function in (law.generating, law.belief))
            slopes = (vector_of(f(z, 1) * z for z in phi) for f in (law.generating, law.belief))
            parts.append((power, next(slopes), belief, next(slopes)))
            phis.append(phi)
        power, slope, others, others_slope = (np.stack(column, axis=1) for column in zip(*parts, strict=True))
        tilted = self.probabilities * own / np.stack(phis, axis=1)[:, self.group]
        return Transforms(power, slope, others, others_slope, own, tilted)

    def present(self, rates: np.ndarray, x: np.ndarray) -> Present:
        """See `contracts.proof.losses.Present`."""
        law, own = self.laws[0], np.exp(-np.multiply.outer(rates, x))
        found = np.empty((3, *own.shape), dtype=object)
        for i, (p, occurs) in enumerate(zip(self.probabilities, self.occurrence(), strict=True)):
            for k, phi in enumerate((self.probabilities * own).sum(axis=1)):
                if p == 0:
                    once = own[k, i] * law.belief(phi)
                    found[:, k, i] = once, phi * own[k, i] * law.belief(phi, 1), once
                    continue
                lost = law.generating(phi - p * own[k, i]), law.generating(phi - p * own[k, i], 1)
                change = law.generating(phi) - lost[0], phi * (law.generating(phi, 1) - lost[1])
                found[:, k, i] = change[0] / occurs, change[1] / occurs, p * own[k, i] * lost[1] / occurs
        return Present(*found)

    def occurrence(self) -> np.ndarray:
        """The probability that each type occurs (of one group), shape (rows,)."""
        return vector_of(1 - self.laws[0].generating(1 - p) for p in self.probabilities)

    def idle(self, nothing: np.ndarray) -> tuple[Any, np.ndarray]:
        """Probability that nobody brings data: for the coordinator, and as each believes, zero for who does."""
        p, group, laws = self.probabilities, self.group, self.laws
        idle = [sum(p[nothing & (group == g)], arb(0)) for g in range(len(laws))]
        nobody = [law.generating(q) for law, q in zip(laws, idle, strict=True)]
        each = zeros(p.size)
        for i in np.flatnonzero(nothing):
            g = int(group[i])
            if self.ex_ante and p[i] != 0:
                each[i] = (nobody[0] - laws[0].generating(idle[0] - p[i])) / (1 - laws[0].generating(1 - p[i]))
            else:
                each[i] = laws[g].belief(idle[g]) * np.prod(nobody[:g] + nobody[g + 1 :])
        return np.prod(nobody), each

    def beyond(self) -> tuple[Any, np.ndarray]:
        """A bound on the probability of more participants than laws reckon with, and as each believes."""
        chances = [law.beyond() for law in self.laws]
        total = sum(chances, arb(0))
        each = vector_of(total - chances[g] + law.beyond(others=True) for g, law in enumerate(self.laws))[
            self.group
        ]
        if self.ex_ante:
            for i, (p, occurs) in enumerate(zip(self.probabilities, self.occurrence(), strict=True)):
                each[i] = each[i] if p == 0 else total / occurs
        return total, each
