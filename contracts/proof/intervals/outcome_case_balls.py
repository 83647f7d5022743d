"""Losses over all outcomes (`contracts.proof.outcome_losses`), over balls.

Which outcomes, and the slopes of lines, are those of floats; probabilities are computed, and that a line lies
above the curve is proved, anew.
"""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import numpy as np
from flint import arb

from contracts.proof.curve_table import tables
from contracts.proof.intervals.ball import NotRigorous, power, upper, vector_of
from contracts.proof.intervals.line_balls import concave_above_floor, lines
from contracts.proof.intervals.loss_balls import CrowdBalls
from contracts.proof.intervals.world_balls import TARGET, VALUE, Worth
from contracts.proof.losses import Crowd, Losses
from contracts.proof.outcome_losses import Curves, Everybody, everybody_of, losses_over_outcomes

MOST_OUTCOMES = 20_000
MOST_LOOKED_AT = 10_000_000  # outcomes times points
WIDER = 1.0 + 4e-12  # more than boxes are widened, and totals rounded


class OutcomeBalls(NamedTuple):
    """One world: its outcomes, lines above its curves, and what models are worth."""

    everybody: Everybody
    curves: Curves
    crowd: CrowdBalls
    worth: Worth

    def losses(self, x: Any, box: Any, prices: Any) -> Losses:
        """Expected losses of which no true one is below in a box."""
        return losses_over_outcomes(self.everybody, self.curves, self.crowd.tops, x, box, prices)

    def received(self, high: np.ndarray) -> np.ndarray:
        """Floats that what each row is given at most does not exceed, shape (rows,)."""
        counts, _, belief, _ = self.everybody
        top = self.worth.top_value
        most = vector_of(self.worth.at(VALUE, arb(x * WIDER)).upper() for x in (counts @ high).tolist())
        return np.array([upper(top - short) for short in belief.T @ (top - most)])


def outcome_balls(worth: Worth, crowd: CrowdBalls, floats: Crowd, most: float) -> OutcomeBalls:
    """The outcomes of one world.

    Args:
        worth: what data are worth.
        crowd: who takes part, by row.
        floats: who takes part, in floats: for slopes, and which outcomes there are.
        most: more data than participants bring.

    Raises:
        NotRigorous: there are too many outcomes.
    """
    of_value, of_target = tables(floats.plain)
    concave = concave_above_floor(worth, most)

    def drawn(kind: str, table: Any, at: np.ndarray, low: np.ndarray, high: np.ndarray) -> tuple[Any, Any]:
        return lines(worth, concave, kind, table, at, low / WIDER, high * WIDER)

    curves = Curves(
        partial(drawn, VALUE, of_value), None if of_target is None else partial(drawn, TARGET, of_target)
    )
    return OutcomeBalls(_everybody(crowd, everybody_of(floats)), curves, crowd, worth)


def _everybody(crowd: CrowdBalls, listed: Everybody) -> Everybody:
    counts, p = listed.counts.astype(int), crowd.probabilities
    if len(counts) > MOST_OUTCOMES:
        raise NotRigorous("a proof over outcomes (there are too many)")
    groups = [np.flatnonzero(crowd.group == g) for g in range(len(crowd.laws))]
    occurs = crowd.occurrence() if crowd.ex_ante else None
    prior, belief = np.empty(len(counts), dtype=object), np.empty(counts.shape, dtype=object)
    for k, come in enumerate(counts.tolist()):
        each = [_chance(crowd, g, come, members) for g, members in enumerate(groups)]
        prior[k] = np.prod(each)
        for g, members in enumerate(groups):
            rest = np.prod(each[:g] + each[g + 1 :]) if len(each) > 1 else arb(1)
            for i in members.tolist():
                if not come[i]:
                    belief[k, i] = arb(0)
                elif occurs is not None and p[i] != 0:
                    belief[k, i] = prior[k] / occurs[i]
                else:
                    fewer = [n - (j == i) for j, n in enumerate(come)]
                    belief[k, i] = rest * _chance(crowd, g, fewer, members, others=True)
    return Everybody(listed.counts, prior, belief)


def _chance(crowd: CrowdBalls, g: int, come: list[int], members: np.ndarray, *, others: bool = False) -> Any:
    """The probability that so many come of each row of a group."""
    number = sum(come[i] for i in members.tolist())
    found = crowd.laws[g].chance(number, others=others) * arb.fac_ui(number)
    for i in members.tolist():
        found = found * power(crowd.probabilities[i], come[i]) / arb.fac_ui(come[i])
    return found
