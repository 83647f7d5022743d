"""Laws of the numbers of participants over balls: generating functions, beliefs, chances and tails."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
from flint import arb

from contracts.problem.participants import Binomial, FiniteTurnout, FixedTurnout, Poisson, Turnout
from contracts.proof.intervals.ball import NotRigorous, ball, balls, power


class LawBalls:
    """A law of the number N of participants of a group; with `others`, what somebody of it believes.

    The belief has the generating function B = G'/G'(1): the size-biased law, less one.
    """

    def __init__(self, law: Turnout):
        self.law = law
        if isinstance(law, FiniteTurnout):
            mass = balls(law.probabilities)
            self.counts, self.mass = [int(n) for n in law.counts], mass / mass.sum()
        elif not isinstance(law, FixedTurnout | Poisson | Binomial):
            raise NotRigorous(f"a number of participants of the class {type(law).__name__} has no enclosure")

    @cached_property
    def mean(self) -> Any:
        """E N."""
        law = self.law
        if isinstance(law, FixedTurnout):
            return arb(law.count)
        if isinstance(law, Poisson):
            return ball(law.mean)
        if isinstance(law, Binomial):
            return ball(law.probability) * law.trials
        return sum((m * n for n, m in zip(self.counts, self.mass, strict=True)), arb(0))

    def generating(self, z: Any, order: int = 0) -> Any:
        """G(z) or a derivative of it."""
        law = self.law
        if isinstance(law, FixedTurnout):
            return _power(z, law.count, order)
        if isinstance(law, Poisson):
            return ((z - 1) * self.mean).exp() * self.mean**order
        if isinstance(law, Binomial):
            q = ball(law.probability)
            return _power(1 - q + q * z, law.trials, order) * q**order
        return sum((m * _power(z, n, order) for n, m in zip(self.counts, self.mass, strict=True)), arb(0))

    def belief(self, z: Any, order: int = 0) -> Any:
        """B(z) or a derivative of it."""
        return self.generating(z, order + 1) / self.mean

    def chance(self, n: int, *, others: bool = False) -> Any:
        """P(N = n), or that there are n others."""
        if others:
            return self.chance(n + 1) * (n + 1) / self.mean
        law = self.law
        if isinstance(law, FixedTurnout):
            return arb(int(n == law.count))
        if isinstance(law, Poisson):
            return (-self.mean).exp() * power(self.mean, n) / arb.fac_ui(n)
        if isinstance(law, Binomial):
            if n > law.trials:
                return arb(0)
            q = ball(law.probability)
            return arb.bin_uiui(law.trials, n) * power(q, n) * power(1 - q, law.trials - n)
        return self.mass[self.counts.index(n)] if n in self.counts else arb(0)

    def support(self, *, others: bool = False) -> list[int]:
        """Numbers that matter; for laws without a largest number not all that may occur."""
        counts = [int(n) for n in self.law.support[0]]
        return [n - 1 for n in counts if n > 0] if others else counts

    def beyond(self, *, others: bool = False) -> Any:
        """A bound on the probability of more participants than `law.most` (of that many others), by Chernoff."""
        law, most = self.law, self.law.most
        if isinstance(law, FixedTurnout | FiniteTurnout) or (isinstance(law, Binomial) and most >= law.trials):
            return arb(0)
        count = most if others else most + 1
        if isinstance(law, Binomial):
            q = law.probability
            tilt = arb(count * (1.0 - q) / (q * max(law.trials - count, 1)))
        else:
            tilt = arb(count / float(law.mean))
        if not tilt > 1:
            return arb(1)
        found = self.belief(tilt) if others else self.generating(tilt)
        return arb.min(found / tilt**count, arb(1))


def _power(z: Any, n: int, order: int) -> Any:
    """The derivative of z^n."""
    if order > n:
        return arb(0)
    factor = arb(int(np.prod([n - k for k in range(order)], dtype=object)) if order else 1)
    return factor * power(z, n - order)
