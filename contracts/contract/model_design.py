"""Designing shares of the model itself: promises that move with the curve, and hold under most curves.

What a type receives is a share of the trained model's value, whatever that will be. The search is over who is
offered which option and over contributions (`model_menu` finds the shares): the best menu of one option first,
then options are divided in two as long as that is better, each time improved by a pattern search.

Source: ours.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from contracts.contract.contract import Contract
from contracts.contract.model_menu import Judge, Judged, Options
from contracts.contract.provenance import Provenance
from contracts.contract.stated import Stated
from contracts.errors import Infeasible
from contracts.proof.measured_check import drawn_utilities, enough, model_kept
from contracts.proof.promises import read_menu

GRID, LEAST = 24, 3e-3  # of the contribution to a menu of one option, and of what can pay at most the smallest
STEPS = (2.0, 1.4, 1.15, 1.05)  # factors of the pattern search
MOST_OPTIONS, MOST_CUTS = 4, 6  # that are looked at
PARTS = (0.03, 0.15, 0.5)  # of an option's data: what its dearer half is asked for at first
STRICTER = (0.7, 0.5, 0.3)  # of the share of curves left out: designed for, so that others confirm it
BETTER = 1e-5  # of the largest target: below that a menu is no better
OTHERS, SEED = 1000, 11  # curves by which a menu is looked at before it is proposed


def design_model(stated: Stated) -> Contract:
    """The best menu of shares found that keeps its promises under enough curves.

    Raises:
        Infeasible: none of those looked at does.
    """
    began, level = time.perf_counter(), stated.form.problem.accuracy.level  # type: ignore[attr-defined]
    most = -1.0
    for stricter in STRICTER:
        search = _Search(stated, 1.0 - stricter * (1.0 - level))
        best = search.best()
        most = max(most, best.allowed)
        if best.target == -np.inf:
            break
        contract = _contract(stated, search.judge, best, began)
        if _confirmed(stated, search.judge, contract):
            return contract
    under = f"at best under {most:.2g}" if most >= 0.0 else "of menus that pay on average not one was found"
    raise Infeasible(
        f"no share of the model keeps its promises under {level:g} of the curves that the measurements leave"
        f" possible ({under}): expected more measurements, best at larger sizes, a lower level, or"
        " promise = 'average'"
    )


class _Search:
    """The search for one problem at one level."""

    def __init__(self, stated: Stated, level: float):
        self.judge, self.outside = Judge(stated, level), not stated.form.problem.outside.plain
        types, asked = self.judge.order.size, stated.form.problem.menu.options
        self.options = min(MOST_OPTIONS, types, asked or types)
        cost = self.judge.cost
        self.cuts = [i for i in range(1, types) if cost[i] < cost[i - 1] * (1.0 - 1e-12)]
        self.small = BETTER * stated.form.worlds[0].plain.largest_target

    def better(self, one: Judged, other: Judged) -> bool:
        """Whether one menu is better than another; of those that too few curves allow, what more allow."""
        if one.target == -np.inf or other.target == -np.inf:
            return (one.target, one.allowed) > (other.target, other.allowed)
        return one.target > other.target + self.small

    def best(self) -> Judged:
        """The best menu found; where staying out is no training alone, the dearest types may be left out."""
        found = self.from_first(0)
        for first in self.cuts if self.outside else ():
            if found.target > -np.inf:
                break
            found = self.from_first(first)
        return found

    def from_first(self, first: int) -> Judged:
        """The best menu found that leaves out the types dearer than `first`."""
        top = self.judge.world.plain.largest_value / float(self.judge.cost[first])
        one = (Options((first,), np.array([data])) for data in np.geomspace(LEAST * top, top, GRID))
        nothing = Judged(Options((first,), np.array([top])), np.ones(1), -2.0, -np.inf)
        best = self.climbed(self.first_of(one, nothing))
        while len(best.menu.first) < self.options:
            divided = [self.climbed(self.first_of(starts, nothing)) for starts in self.divisions(best.menu)]
            divided = [each for each in divided if self.better(each, best)]
            if not divided:
                break
            for each in divided:
                best = each if self.better(each, best) else best
        return best

    def divisions(self, menu: Options) -> Iterator[list[Options]]:
        """Of menus in which one option is divided in two, by where, those that are tried first."""
        cuts = [cut for cut in self.cuts if cut > menu.first[0] and cut not in menu.first]
        for n in np.unique(np.linspace(0, len(cuts) - 1, min(len(cuts), MOST_CUTS)).astype(int)) if cuts else ():
            first = tuple(sorted((*menu.first, cuts[n])))
            k = first.index(cuts[n]) - 1
            starts = []
            for part in PARTS:
                for more in (1.0, 2.0, 5.0):
                    data = np.insert(menu.data, k, part * menu.data[k])
                    data[k + 1 :] *= more
                    starts.append(Options(first, np.maximum.accumulate(data)))
            yield starts

    def first_of(self, menus: Any, nothing: Judged) -> Judged:
        """The best of some menus."""
        best = nothing
        for menu in filter(None, map(self.judge.possible, menus)):
            found = self.judge.judged(menu)
            best = found if self.better(found, best) else best
        return best

    def climbed(self, best: Judged) -> Judged:
        """The menu improved by changing contributions, one at a time and all together."""
        if best.allowed == -2.0:
            return best
        number = best.menu.data.size
        moves = [*np.eye(number), np.ones(number)] if number > 1 else [np.ones(1)]
        for step in STEPS:
            improved, rounds = True, 0
            while improved and rounds < 6:
                improved, rounds = False, rounds + 1
                for move in moves:
                    for factor in (step, 1.0 / step):
                        menu = best.menu._replace(data=best.menu.data * factor**move)
                        found = self.first_of([menu], best)
                        improved, best = improved or found is not best, found
        return best


def _confirmed(stated: Stated, judge: Judge, contract: Contract) -> bool:
    """Whether curves for which it was not designed allow the menu often enough."""
    form, curve = stated.form, stated.form.problem.accuracy
    menu, _ = read_menu(form, contract.contribution, contract.expected_reward, stated.outside)
    found = judge.reached_by(form.effective * contract.contribution)
    drawn = drawn_utilities(form, menu, [found], curve.drawn(OTHERS, SEED))  # type: ignore[attr-defined]
    return enough(model_kept(form, drawn, menu), curve.level)  # type: ignore[attr-defined]


def _contract(stated: Stated, judge: Judge, best: Judged, began: float) -> Contract:
    form, problem, menu = stated.form, stated.form.problem, best.menu
    x = judge.contributions(menu)
    found = judge.reached_by(x)
    given = np.zeros(x.size)
    given[judge.order[menu.first[0] :]] = np.repeat(best.share, np.diff((*menu.first, x.size)))
    reached = found.target + (0.0 if problem.target_is_value else problem.baseline)
    shares = ", then ".join(f"{share:.4g}" for share in best.share)
    left = f"; the dearest {menu.first[0]} types are left out" if menu.first[0] else ""
    return Contract(
        problem=problem,
        contribution=x / form.effective,
        expected_reward=given * found.given * (1.0 - 1e-12) * form.relative,
        reservation_utility=stated.outside,
        objective=found.value,
        expected_accuracy=found.accuracy + problem.baseline,
        reached=reached,
        reason=(
            f"shares of the trained model's value, by falling cost: {shares}; kept under {best.allowed:.3g} of"
            f" the curves drawn{left}; the best menu found, by a search without a bound"
        ),
        provenance=Provenance(
            solver="draw by draw",
            expectation="outcomes",
            excluded=int(menu.first[0]),
            iterations=0,
            seconds=time.perf_counter() - began,
            fit_error=0.0,
        ),
    )
