"""Designing shares of the model itself: promises that move with the curve, and hold under most curves.

What a type receives is a share of the trained model's value, whatever that will be. For given contributions
every curve drawn from the posterior allows an interval of shares; the share is taken that the most curves allow,
so that the search is over contributions alone: of menus with one option (the whole model for all) and with two
(the dearest types give less and receive a share), on a grid that is refined around its best.

Source: ours.
"""

from __future__ import annotations

import time
from typing import Any, NamedTuple

import numpy as np

from contracts.contract.contract import Contract
from contracts.contract.provenance import Provenance
from contracts.contract.stated import Stated
from contracts.errors import Infeasible
from contracts.proof.expectations import Expected, crowds, expected
from contracts.proof.losses import Crowd
from contracts.proof.measured_check import expected_values, law_of, utilities_alone, values_of

GRID, FINE, ROUNDS = 9, 4, 4  # of contributions, of its refinements, and how many rounds in all
LEAST = 3e-3  # of what can pay at most: the smallest contribution looked at
STRICTER = 0.62  # of the share of curves left out: real curves lie outside more often than drawn ones
ROOM = 1e-9  # of the largest value: what rounding may take from a promise


class _Menu(NamedTuple):
    """A menu of two options, the first for the `split` dearest types, and what it reaches."""

    target: float
    split: int
    little: float
    much: float
    share: float


class _Search:
    """What all menus of one problem are judged by; utilities in units of rows, types by falling cost."""

    def __init__(self, stated: Stated):
        form = stated.form
        self.form, self.world = form, form.worlds[0]
        curve: Any = form.problem.accuracy
        self.level = 1.0 - STRICTER * (1.0 - curve.level)
        self.order = np.argsort(-form.honest_costs, kind="stable")
        self.cost = form.honest_costs[self.order]
        self.drawn = values_of(form, self.world, curve.possible)
        self.alone, _ = utilities_alone(form, self.world, self.drawn)
        middle, _ = utilities_alone(form, self.world, self.middle)
        self.alone = np.vstack([self.alone, np.maximum(middle, stated.outside / form.relative)])[:, self.order]
        self.room = ROOM * self.world.plain.largest_value

    def middle(self, data: np.ndarray) -> np.ndarray:
        """Value on the curve that is used on average, one row."""
        return np.asarray(self.world.plain.value(data))[None]

    def contributions(self, menu: _Menu) -> np.ndarray:
        """Data delivered by each type, in the user's order."""
        found = np.empty(self.order.size)
        found[self.order] = np.where(np.arange(self.order.size) < menu.split, menu.little, menu.much)
        return found

    def best_share(self, menu: _Menu) -> tuple[float, float]:
        """The share for the first option that the most curves allow, and how many do; 0 if the mean does not."""
        x = self.contributions(menu)
        crowd = crowds(self.form, x)[0]
        dear, cheap = self.order[0], self.order[-1]
        much = self._worth(crowd, x, int(cheap))
        costs_a, costs_b = self.cost[: menu.split], self.cost[menu.split :]
        own_b = much[:, None] - costs_b * menu.much
        holds = np.asarray((own_b >= self.alone[:, menu.split :] + self.room).all(axis=1))
        if menu.split == 0:
            return 1.0, float(holds[:-1].mean()) if holds[-1] else 0.0
        little = np.maximum(self._worth(crowd, x, int(dear)), 1e-300)
        more = menu.much - menu.little
        low = np.max(self.alone[:, : menu.split] + costs_a * menu.little, axis=1)
        low = np.maximum(low, (much[:, None] - costs_a * more).max(axis=1)) + self.room
        high = np.minimum((much[:, None] - costs_b * more).min(axis=1) - self.room, little)
        low, high = low / little, np.where(holds, high / little, -np.inf)
        tried = np.unique(np.clip(low[(low <= high)], 0.0, 1.0))
        if not tried.size or low[-1] > high[-1]:
            return 0.0, 0.0
        tried = np.unique(np.r_[np.clip(tried, low[-1], high[-1]), low[-1], high[-1]])
        allowed = ((low[:-1] <= tried[:, None]) & (tried[:, None] <= high[:-1])).mean(axis=1)
        # Of shares that as many curves allow, one in their middle is the safest.
        good = tried[allowed >= allowed.max()]
        return float(good[good.size // 2]), float(allowed.max())

    def _worth(self, crowd: Crowd, x: np.ndarray, i: int) -> np.ndarray:
        law = law_of(crowd, x, i)
        return np.r_[expected_values(self.drawn, law), expected_values(self.middle, law)]

    def judged(self, menu: _Menu) -> tuple[_Menu | None, float]:
        """The menu with its best share, if enough curves allow it, and how many do."""
        share, allowed = self.best_share(menu)
        if allowed < self.level:
            return None, allowed
        return menu._replace(target=self.reached(menu).target, share=share), allowed

    def reached(self, menu: _Menu) -> Expected:
        """What is expected of the trained model on the curve that is used on average."""
        x = self.contributions(menu)
        return expected(crowds(self.form, x)[0], x, None)

    def refined(self, split: int) -> tuple[_Menu | None, float]:
        """The best menu of one split."""
        top = self.world.plain.largest_value / float(self.cost[split])
        much = np.geomspace(LEAST * top, top, 2 * GRID)
        ratio = np.geomspace(0.02, 1.0, GRID) if split else np.ones(1)
        best, most = None, 0.0
        for _ in range(ROUNDS):
            for b in much:
                for r in ratio:
                    found, allowed = self.judged(_Menu(-np.inf, split, float(b * r), float(b), 1.0))
                    most = max(most, allowed)
                    if found is not None and (best is None or found.target > best.target):
                        best = found
            if best is None:
                return None, most
            step = much[1] / much[0]
            much = best.much * np.geomspace(step**-0.5, step, FINE)
            if split:
                step = ratio[1] / ratio[0]
                ratio = np.minimum(best.little / best.much * np.geomspace(step**-0.7, step**0.7, FINE), 1.0)
        return best, most


def design_model(stated: Stated) -> Contract:
    """The best menu of shares found that keeps its promises under enough curves.

    Raises:
        Infeasible: none of those looked at does.
    """
    began = time.perf_counter()
    search = _Search(stated)
    found = [search.refined(split) for split in range(search.order.size)]
    menus = [menu for menu, _ in found if menu is not None]
    if not menus:
        level = stated.form.problem.accuracy.level  # type: ignore[attr-defined]
        raise Infeasible(
            f"no share of the model keeps its promises under {level:g} of the curves that the measurements leave"
            f" possible (at best under {max(most for _, most in found):.2g}): expected more measurements, best"
            " at larger sizes, a lower level, or promise = 'average'"
        )
    return _contract(stated, search, max(menus, key=lambda menu: menu.target), began)


def _contract(stated: Stated, search: _Search, menu: _Menu, began: float) -> Contract:
    form, problem = stated.form, stated.form.problem
    x = search.contributions(menu)
    share, allowed = search.best_share(menu)
    found = search.reached(menu)
    given = np.ones(x.size)
    given[search.order[: menu.split]] = share
    reached = found.target + (0.0 if problem.target_is_value else problem.baseline)
    return Contract(
        problem=problem,
        contribution=x / form.effective,
        expected_reward=given * found.given * (1.0 - 1e-12) * form.relative,
        reservation_utility=stated.outside,
        objective=found.value,
        expected_accuracy=found.accuracy + problem.baseline,
        reached=reached,
        reason=(
            "shares of the trained model: "
            + (
                f"{share:.4g} of its value for the dearest {menu.split} types, all of it for the others"
                if menu.split
                else "all of it for everybody"
            )
            + f"; kept under {allowed:.3g} of the curves drawn; the best of menus of one and of two options"
            " looked at"
        ),
        provenance=Provenance(
            solver="draw by draw",
            expectation="outcomes",
            excluded=0,
            iterations=0,
            seconds=time.perf_counter() - began,
            fit_error=0.0,
        ),
    )
