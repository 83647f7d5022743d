"""Judging menus of shares of the model: which shares the most curves allow, and how many curves that are.

Types by falling effective cost; an option is for neighbours among them. Under one curve, option k gives
t_k = s_k T_k, a share of the value T_k of the model that is trained. The cheapest types receive all of it. From
there upwards, what an option may give lies in an interval under every curve: enough for its own types to sign
and not to work more for the next option's, and no more than keeps the next option's types where they are.
Neighbours' compatibility under a curve is everybody's, for data rise from option to option.

Source: ours.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from contracts.contract.stated import Stated
from contracts.proof.expectations import Expected, crowds, expected
from contracts.proof.measured_check import expected_values, law_of, utilities_alone, values_of

ROOM = 1e-9  # of the largest value: what rounding may take from a promise


class Options(NamedTuple):
    """A menu: who is offered which option.

    Attributes:
        first: by falling cost the first type of each option; dearer ones than the first's are left out.
        data: that each option asks for, rising, shape (options,).
    """

    first: tuple[int, ...]
    data: np.ndarray


class Judged(NamedTuple):
    """What becomes of a menu with the shares that the most curves allow.

    Attributes:
        menu: the options.
        share: of the model's value that each gives, shape (options,).
        allowed: share of the curves under which all promises are kept; less than 0 where the mean curve is none.
        target: expected on the mean curve; -inf unless enough curves allow it.
    """

    menu: Options
    share: np.ndarray
    allowed: float
    target: float


class Judge:
    """What all menus of one problem are judged by; utilities in units of rows, types by falling cost.

    Args:
        stated: the problem.
        level: share of the curves that have to allow a menu.
    """

    def __init__(self, stated: Stated, level: float):
        form, world = stated.form, stated.form.worlds[0]
        self.form, self.world, self.level = form, world, level
        curve: Any = form.problem.accuracy
        self.order = np.argsort(-form.honest_costs, kind="stable")
        self.cost = form.honest_costs[self.order]
        self.most = (form.capacity[form.row])[self.order]
        self.drawn = values_of(form, world, curve.possible)
        outside = stated.outside / form.relative
        if form.problem.outside.utility is None:
            alone, _ = utilities_alone(form, world, self.drawn)
        else:
            alone = np.broadcast_to(outside, (len(curve.possible.accuracy), outside.size))
        joining = np.broadcast_to(form.problem.outside.joining_cost / form.relative, outside.shape)
        room = ROOM * world.plain.largest_value
        #: What keeps each type outside, and what makes it sign, under each curve and (last) on average.
        self.outside = np.vstack([alone + joining, outside + joining])[:, self.order]
        margin, prefer = form.problem.menu.participation_margin, form.problem.menu.preference_margin
        self.due = self.outside + (margin / form.relative)[self.order] + room
        self.prefer = (prefer / form.relative)[self.order] + room

    def contributions(self, menu: Options) -> np.ndarray:
        """Data delivered by each type, in the user's order."""
        found, sizes = np.zeros(self.order.size), np.diff((*menu.first, self.order.size))
        found[self.order[menu.first[0] :]] = np.repeat(menu.data, sizes)
        return found

    def reached_by(self, data: np.ndarray) -> Expected:
        """What is expected of the trained model on the curve that is used on average."""
        return expected(crowds(self.form, data)[0], data, None)

    def possible(self, menu: Options) -> Options | None:
        """The menu in whole lots, within what its types have; None where options coincide or ask nothing."""
        last = (*menu.first[1:], self.order.size)
        most = np.array([self.most[i:j].min() for i, j in zip(menu.first, last, strict=True)])
        data = np.minimum(menu.data, most)
        lot = self.form.lot
        if lot is not None:
            data = np.minimum(np.round(data / lot), np.floor(most / lot * (1.0 + ROOM))) * lot
        rising = (np.diff(data) > 0.0).all() and data[0] >= 0.0 and data[-1] > 0.0
        return menu._replace(data=data) if rising else None

    def judged(self, menu: Options) -> Judged:
        """The menu with the shares that the most curves allow."""
        x = self.contributions(menu)
        crowd = crowds(self.form, x)[0]
        last = (*menu.first[1:], self.order.size)
        kept, above, shares = np.ones(len(self.due), dtype=bool), np.zeros(0), []
        for k in range(len(menu.first) - 1, -1, -1):
            i, j = menu.first[k], last[k]
            law = law_of(crowd, x, int(self.order[i]))
            worth = np.maximum(
                np.r_[expected_values(self.drawn, law), self._middle(law.data) @ law.probabilities], 1e-300
            )
            low = np.max(self.due[:, i:j] + self.cost[i:j] * menu.data[k], axis=1)
            high = worth
            if k + 1 < len(menu.first):
                more, there = menu.data[k + 1] - menu.data[k], last[k + 1]
                low = np.maximum(low, above + np.max(self.prefer[i:j] - self.cost[i:j] * more))
                high = np.minimum(high, above - np.max(self.prefer[j:there] + self.cost[j:there] * more))
            if k == 0 and i > 0:
                high = np.minimum(high, np.min(self.outside[:, :i] + self.cost[:i] * menu.data[0], axis=1))
            whole = k + 1 == len(menu.first)
            share = 1.0 if whole else self._share(low / worth, high / worth, kept, k)
            kept = kept & (low <= share * worth) & (share * worth <= high)
            above = share * worth
            shares.append(share)
        allowed = float(kept[:-1].mean()) - (0.0 if kept[-1] else 1.0)
        target = self.reached_by(x).target if allowed >= self.level else -np.inf
        return Judged(menu, np.array(shares[::-1]), allowed, target)

    def _middle(self, data: np.ndarray) -> np.ndarray:
        return np.asarray(self.world.plain.value(data))

    def _share(self, low: np.ndarray, high: np.ndarray, kept: np.ndarray, k: int) -> float:
        """The share that the most curves allow, of those that the mean curve allows."""
        some = kept & (low <= high)
        some[-1] = False
        if low[-1] > high[-1]:
            return float(np.clip(high[-1], 0.0, 1.0))
        if not some.any():
            return float(np.clip(0.5 * (low[-1] + high[-1]), 0.0, 1.0))
        tried = np.unique(np.clip(np.r_[low[some], high[some], low[-1], high[-1]], low[-1], high[-1]))
        count = np.searchsorted(np.sort(low[some]), tried, side="right")
        count = count - np.searchsorted(np.sort(high[some]), tried, side="left")
        good = tried[count == count.max()]
        # Of shares that as many curves allow, the middle is safest; a larger one lets dearer options give more.
        return float(0.5 * (good[0] + good[-1]) if k == 0 else 0.25 * good[0] + 0.75 * good[-1])
