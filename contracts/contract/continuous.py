r"""Costs spread continuously: the best menu for a distribution of costs, between proved bounds.

The distribution is cut into cells. If every cost is rounded *up* to the dearest of its cell, the best contract
is one for the true population too: a member with a lower cost who picks what it likes best contributes no less,
so models are no worse and every promise can be kept. If every cost is rounded *down* to the cheapest, the best
contract is worth at least as much as any contract for the true population: the options meant for the cheapest
of each cell are incentive compatible and rational for them, and bring more data. The truth lies between, and
both sides approach it at a rate of one over the number of cells, which Richardson's extrapolation removes.

What members between two costs get alone may exceed what the menu gives them, by the square of a cell's width;
reservation utilities are raised by what is missing until nobody in between loses.

Source: ours.
"""

from __future__ import annotations

import dataclasses
import time
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from contracts import checks
from contracts.contract import Contract
from contracts.contract.design import check_concave, contract_of, hopeless, null_contract
from contracts.errors import InvalidInput, NotConverged
from contracts.extension import ExtendedProblem
from contracts.extensions.menu import MenuContract
from contracts.extensions.old_verify import TOLERANCE, Certificate, reservation_by_zooming, verify, verify_menu
from contracts.problem import Problem
from contracts.problem.accuracy import AccuracyCurve
from contracts.problem.population import Population
from contracts.problem.reservation import Reservation, reservations
from contracts.problem.valuation import Valuation
from contracts.program.exclusion import CLOSE, Candidate, Found, attempt, candidate_at, possible_improvement
from contracts.program.first_moment import FirstMoment, prepare
from contracts.program.interior_point import Solution, solve
from contracts.program.relaxation import relax
from contracts.records import frozen

TAIL = 1e-9
TABLE = 20_001
LEVELS = (4, 2, 1)  # the cells of the finest grid over those of each
RAISES = 8
PREFIXES = 8
CHECKED = 2000
SAME = 1e-6  # of the largest contribution


@frozen
class EmpiricalCosts:
    """A distribution of costs through a sample: linear between its ordered values.

    Args:
        samples: costs observed, > 0, shape (samples,), at least two different ones; equal ones are an atom.

    >>> costs = EmpiricalCosts(samples=[0.1, 0.2, 0.4])
    >>> costs.ppf([0.0, 0.5, 0.75]), costs.cdf(0.3)
    (array([0.1, 0.2, 0.3]), array(0.75))
    """

    samples: Any

    def __post_init__(self) -> None:
        samples = np.sort(checks.array("samples", self.samples, low=0.0, open_low=True))
        if samples[0] == samples[-1]:
            raise InvalidInput(f"samples are all {samples[0]:g}: expected at least two different costs")
        object.__setattr__(self, "samples", samples)

    def ppf(self, probability: Any) -> np.ndarray:
        """The cost below which a share of the population lies, any shape."""
        return np.quantile(self.samples, np.asarray(probability, dtype=float))

    def cdf(self, cost: Any) -> np.ndarray:
        """The share of the population with at most this cost, any shape."""
        cost = np.asarray(cost, dtype=float)
        last = np.searchsorted(self.samples, cost, side="right") - 1
        inside = np.clip(last, 0, self.samples.size - 2)
        width = self.samples[inside + 1] - self.samples[inside]
        part = np.where(width > 0, (cost - self.samples[inside]) / np.where(width > 0, width, 1.0), 0.0)
        share = (inside + np.clip(part, 0.0, 1.0)) / (self.samples.size - 1)
        return np.where(last < 0, 0.0, np.where(cost >= self.samples[-1], 1.0, share))


@frozen
class ContinuousProblem(ExtendedProblem):
    """A coordinator's problem with costs drawn from a distribution.

    Args:
        distribution: of the cost of a datum: a frozen distribution of `scipy.stats`, an `EmpiricalCosts`, or
            anything with `cdf` and `ppf`; positive. Tails that reach zero or have no end are cut where 1e-9 of
            the population lies beyond.
        participants, accuracy, valuation, maximise: as in `Population` and `Problem`.
        cells: how many cells the finest grid has, a multiple of 4 from 8 to 1024.

    Participants know their own cost (the interim belief; that a given cost occurs somewhere in the population,
    as the ex-ante belief supposes, has probability zero). `design_contracts` does not take it.

    Raises:
        InvalidInput: naming the argument and what is accepted.

    Source: ours.

    >>> from scipy import stats
    >>> from contracts import LinearValuation, PowerLaw, design_contract, verify
    >>> problem = ContinuousProblem(
    ...     distribution=stats.uniform(0.05, 0.45),
    ...     participants=100,
    ...     accuracy=PowerLaw(optimum=0.95, coefficient=2.0, exponent=0.6),
    ...     valuation=LinearValuation(scale=100.0),
    ...     cells=16,
    ... )
    >>> contract = design_contract(problem)
    >>> round(contract.extrapolated, 2), contract.error_estimate < 0.02
    (94.09, True)
    >>> verify(contract).holds
    True
    """

    distribution: Any
    participants: Any
    accuracy: AccuracyCurve
    valuation: Valuation
    maximise: str = "accuracy"
    cells: Any = 64

    def __post_init__(self) -> None:
        object.__setattr__(self, "cells", checks.integer("cells", self.cells, low=8, high=1024))
        if self.cells % 4:
            raise InvalidInput(f"cells = {self.cells}: expected a multiple of 4")
        if not callable(getattr(self.distribution, "cdf", None)) or not callable(
            getattr(self.distribution, "ppf", None)
        ):
            raise InvalidInput(
                f"distribution = {self.distribution!r:.60}: expected a distribution with cdf and ppf, such as"
                " scipy.stats.uniform(0.05, 0.45)"
            )
        low, high = self.support
        if not (np.isfinite(low) and low > 0.0):
            raise InvalidInput(f"distribution: costs reach down to {low:g}: expected positive costs")
        if not (np.isfinite(high) and high > low):
            raise InvalidInput(f"distribution: costs range from {low:g} to {high:g}: expected a range")
        self.at([low], [1.0])

    @property
    def support(self) -> tuple[float, float]:
        """The least and the largest cost, tails cut."""
        low, high = float(self.distribution.ppf(0.0)), float(self.distribution.ppf(1.0))
        low = low if low > 0.0 and np.isfinite(low) else float(self.distribution.ppf(TAIL))
        high = high if np.isfinite(high) else float(self.distribution.ppf(1.0 - TAIL))
        return low, high

    def at(self, costs: Any, probabilities: Any) -> Problem:
        """The same problem for finitely many costs."""
        return Problem(
            population=Population(costs=costs, probabilities=probabilities, participants=self.participants),
            accuracy=self.accuracy,
            valuation=self.valuation,
            maximise=self.maximise,
        )

    def edges(self, cells: int) -> tuple[np.ndarray, np.ndarray]:
        """The ends of cells that are narrow in probability and in proportion, and the probability of each."""
        low, high = self.support
        share = np.linspace(0.0, 1.0, TABLE)
        table = np.union1d(np.geomspace(low, high, TABLE), np.clip(self.distribution.ppf(share), low, high))
        place = 0.5 * self.distribution.cdf(table) + 0.5 * np.log(table / low) / np.log(high / low)
        place = (place - place[0]) / (place[-1] - place[0])
        ends = np.interp(np.arange(cells + 1) / cells, place, table)
        ends[0], ends[-1] = low, high
        below = np.r_[0.0, self.distribution.cdf(ends[1:-1]), 1.0]
        return ends, np.diff(below)

    def rounded(self, cells: int, *, up: bool) -> Problem:
        """The problem with every cost rounded up to the dearest, or down to the cheapest, of its cell."""
        ends, mass = self.edges(cells)
        kept = mass > 0.0
        return self.at((ends[1:] if up else ends[:-1])[kept], mass[kept])

    def design(self, *, solver: str) -> ContinuousContract:
        """The best menu, between bounds; see `design_contract`."""
        if solver != "interior-point":
            raise InvalidInput(f"solver = {solver!r}: expected 'interior-point' for continuous costs")
        began = time.perf_counter()
        check_concave(self.rounded(self.cells, up=False))
        sizes = [self.cells // part for part in LEVELS]
        values = np.array([[_value(self.rounded(cells, up=up)) for up in (True, False)] for cells in sizes])
        menu, raised = _menu(self, began)
        upper = _bounding(self.rounded(self.cells, up=False), began)
        return ContinuousContract(
            problem=self,
            menu=menu,
            upper=upper,
            sizes=np.array(sizes),
            rounded_up=values[:, 0],
            rounded_down=values[:, 1],
            raised=raised,
        )


class Chosen(NamedTuple):
    """The options that somebody chooses, by falling cost.

    Attributes:
        contribution, reward: the options, shape (options,).
        excluded: how many rows of the program contribute nothing by design.
        costs: the dearest who choose each.
        chance: the share of the population that does.
    """

    contribution: np.ndarray
    reward: np.ndarray
    excluded: int
    costs: np.ndarray
    chance: np.ndarray


@frozen
class ContinuousContract(MenuContract):
    """A menu for a continuum of costs. Its rows are the options that somebody chooses, by falling cost.

    Attributes:
        problem: the problem it answers.
        menu: the options as a contract of finitely many types, each with the cost of the dearest who choose it
            and with the probability of those who do.
        upper: the best contract when every cost is rounded down; no contract is worth more.
        sizes: cells of the grids, shape (3,), doubling.
        rounded_up, rounded_down: the targets reached on them, shape (3,).
        raised: by how much reservation utilities were raised at most, so that nobody in between loses.
    """

    problem: ContinuousProblem
    menu: Contract
    upper: Contract
    sizes: np.ndarray
    rounded_up: np.ndarray
    rounded_down: np.ndarray
    raised: float

    @property
    def reached(self) -> float:
        """The menu's expected target, exact for the continuous population: a lower bound on the best."""
        return _target(self.menu)

    @property
    def bound(self) -> float:
        """The target that no contract exceeds, as designed; `verify` adds what is not proved of it."""
        return _target(self.upper)

    @property
    def extrapolated(self) -> float:
        """The best contract's target by Richardson's extrapolation from both sides, within the bounds."""
        up, down = self._limits()
        return float(np.clip(0.5 * (up[-1] + down[-1]), self.reached, max(self.bound, self.reached)))

    @property
    def error_estimate(self) -> float:
        """How far `extrapolated` may be off.

        The two sides' disagreement, their latest change, or a quarter of what lies between the bounds (where a
        distribution's details are finer than the grid, both sides may agree too early), whichever is largest.
        """
        up, down = self._limits()
        moved = 0.5 * np.abs((up + down)[-1] - (up + down)[0])
        width = abs(self.bound - self.reached)
        rounding = 1e-9 * self.menu.problem.largest_value
        return float(min(max(np.abs(up[-1] - down[-1]), moved, 0.25 * width), width) + rounding)

    def _limits(self) -> tuple[np.ndarray, np.ndarray]:
        """Both sides without their error of order one over cells, for the last two pairs of grids."""
        return (2.0 * self.rounded_up[1:] - self.rounded_up[:-1]), (
            2.0 * self.rounded_down[1:] - self.rounded_down[:-1]
        )

    def choice(self, cost: Any) -> np.ndarray:
        """The row of the option that participants of these costs (> 0, any shape) like best."""
        cost = checks.array("cost", cost, ndim=None, low=0.0, open_low=True)
        return np.argmax(self._utilities(cost), axis=-1)

    def contribution_at(self, cost: Any) -> np.ndarray:
        """Data contributed by participants of these costs."""
        return self.menu.contribution[self.choice(cost)]

    def expected_reward_at(self, cost: Any) -> np.ndarray:
        """Expected value of the model that participants of these costs receive."""
        return self.menu.expected_reward[self.choice(cost)]

    def utility_at(self, cost: Any) -> np.ndarray:
        """What participants of these costs gain, in units of cost."""
        cost = checks.array("cost", cost, ndim=None, low=0.0, open_low=True)
        return self._utilities(cost).max(axis=-1)

    def _utilities(self, cost: np.ndarray) -> np.ndarray:
        return self.menu.expected_reward - cost[..., None] * self.menu.contribution

    def certify(self) -> Certificate:
        """Check the menu for the whole distribution, and the bound.

        Who chooses what is found again by comparing all pairs of options; participation is checked at some
        2000 costs and at every cost where the choice changes. Incentives hold by choice. `extended` has the
        value reached, the proved bound, the extrapolated value with its error estimate, and the least slack of
        participation; `optimality_gap` is the bound less the value reached, grid included.
        """
        menu, upper = self._restated(self.menu), self._restated(self.upper)
        certificate = verify_menu(menu, reservation_by_zooming(menu.problem))
        complaints = [*self._misjudged(menu), *self._misbounded()]
        slack, loser = self._participation(menu)
        if slack < -TOLERANCE * menu.problem.largest_value:
            complaints.append(f"individual rationality: cost {loser:g} would get {-slack:.3g} less than alone")
        above = verify(upper)
        complaints += [f"upper bound: {text}" for text in above.violations]
        proved = above.global_gap if above.global_gap is not None else above.optimality_gap
        bound = self.bound + max(proved or 0.0, 0.0) if proved is not None else np.inf
        gap = bound - _target(menu)
        if gap < -TOLERANCE * menu.problem.largest_value:
            complaints.append(f"upper bound: {bound:.9g} is below the {_target(menu):.9g} reached")
        violations = (*certificate.violations, *complaints)
        return dataclasses.replace(
            certificate,
            holds=not violations,
            optimality_gap=gap if np.isfinite(gap) else None,
            global_gap=gap if np.isfinite(gap) and above.global_gap is not None else None,
            violations=violations,
            extended={
                "value reached": _target(menu),
                "upper bound": bound,
                "extrapolated value": self.extrapolated,
                "error estimate": self.error_estimate,
                "least slack of participation between costs": slack,
            },
        )

    def _restated(self, contract: Contract) -> Contract:
        """A contract with the problem's own curve, valuation and participants."""
        population = contract.problem.population
        return dataclasses.replace(contract, problem=self.problem.at(population.costs, population.probabilities))

    def _misjudged(self, menu: Contract) -> list[str]:
        """Whether the options are chosen as often, and by as dear costs, as the menu says."""
        m, t = menu.contribution, menu.expected_reward
        low, high = self.problem.support
        population = menu.problem.population
        found = []
        for j in range(m.size):
            less, more = m < m[j], m > m[j]
            dearest = min(high, ((t[j] - t[less]) / (m[j] - m[less])).min(initial=np.inf))
            cheapest = ((t[more] - t[j]) / (m[more] - m[j])).max(initial=-np.inf)
            above = 1.0 if dearest >= high else float(self.problem.distribution.cdf(dearest))
            below = 0.0 if cheapest < low else float(self.problem.distribution.cdf(cheapest))
            if abs(above - below - population.probabilities[j]) > 1e-9:
                found.append(
                    f"choice: option {j + 1} is said to be chosen with probability"
                    f" {population.probabilities[j]:.9g}, found {above - below:.9g}"
                )
            if abs(dearest - population.costs[j]) > 1e-9 * high:
                found.append(
                    f"choice: option {j + 1} is chosen up to cost {dearest:.9g}, said {population.costs[j]:.9g}"
                )
        return found

    def _misbounded(self) -> list[str]:
        """Whether the bound's costs are the distribution's, rounded down."""
        population = self.upper.problem.population
        order = np.argsort(population.costs)
        costs, mass = population.costs[order], population.probabilities[order]
        before = np.r_[0.0, np.cumsum(mass)[:-1]]
        needed = np.asarray(self.problem.distribution.cdf(costs))
        needed[0] = 0.0  # what is cut off below the least cost
        found = []
        for k in np.flatnonzero(before < needed - 1e-9):
            found.append(
                f"upper bound: costs below {costs[k]:g} have probability {before[k]:.9g}, the distribution"
                f" {needed[k]:.9g}: not rounded down"
            )
        if costs[0] > self.problem.support[0] * (1 + 1e-12):
            found.append(f"upper bound: no cost below {costs[0]:g}: not rounded down")
        return found

    def _participation(self, menu: Contract) -> tuple[float, float]:
        """The least of what is gained over staying alone, and at which cost."""
        low, high = self.problem.support
        costs = np.unique(np.r_[np.geomspace(low, high, CHECKED), menu.problem.population.costs])
        gain = self.utility_at(costs) - reservation_by_zooming(self.problem.at(costs, _even(costs.size)))
        worst = int(np.argmin(gain))
        return float(gain[worst]), float(costs[worst])

    def __str__(self) -> str:
        low, high = self.problem.support
        return (
            f"{self.menu}\ncosts from {low:g} to {high:g}: best {self.extrapolated:.6g}"
            f" ± {self.error_estimate:.2g}, reached {self.reached:.6g}, at most {self.bound:.6g}"
        )


def _alone(problem: Problem) -> Reservation:
    """What each type gets alone; for many sizes, as batches do it, without compiling for each."""
    return reservations([problem])[0]


def _even(size: int) -> np.ndarray:
    return np.full(size, 1.0 / size)


def _target(contract: Contract) -> float:
    return contract.objective if contract.problem.target_is_value else contract.expected_accuracy


def _best(model: FirstMoment) -> Candidate | None:
    """The best contract of finitely many costs, leaving out as many of the dearest as is good.

    Prefixes are searched coarsely, then around the best: what is found is a contract whatever was missed.
    """
    full = best = attempt(model, model.program, 0, solve)
    if not model.problem.accuracy.floor > 0.0:
        return best
    rows = model.program.costs.size
    step, tried = max(1, rows // PREFIXES), set()
    places = list(range(step, rows, step))
    while places:
        for excluded in places:
            if full is not None and possible_improvement(model, full, excluded) <= CLOSE:
                continue
            found = attempt(model, model.program, excluded, solve)
            if found is not None and (best is None or found.target > best.target):
                best = found
        tried.update(places)
        middle = 0 if best is None else best.excluded
        if step == 1 and {middle - 1, middle + 1} <= tried | {-1, 0, rows}:
            break
        step = max(1, step // 2)
        places = [k for k in (middle - step, middle + step) if 0 < k < rows and k not in tried]
    return best


def _value(problem: Problem) -> float:
    if hopeless(problem):
        return 0.0
    best = _best(prepare(problem, _alone(problem)))
    return 0.0 if best is None else best.target


def _bounding(problem: Problem, began: float) -> Contract:
    """The best contract of finitely many costs with a proof against every contract."""
    if hopeless(problem):
        from contracts.contract.design import design_contract

        return design_contract(problem)
    model = prepare(problem, _alone(problem))
    relaxed = relax(model) if problem.accuracy.floor > 0.0 else None
    bound = None if relaxed is None else attempt(model, relaxed, 0, solve)
    return contract_of(model, Found(_best(model), bound), "interior-point", began)


def _menu(problem: ContinuousProblem, began: float) -> tuple[Contract, float]:
    """The menu for costs rounded up, with reservation utilities raised until nobody in between loses."""
    up = problem.rounded(problem.cells, up=True)
    ends, mass = problem.edges(problem.cells)
    ends = np.r_[ends[0], ends[1:][mass > 0.0]]
    alone = _alone(up)
    most = _alone(problem.at(ends[:-1], _even(ends.size - 1))).utility - alone.utility
    raised = np.zeros(most.size)
    for turn in range(RAISES + 1):
        due = Reservation(utility=alone.utility + raised, contribution=alone.contribution)
        chosen = _chosen(problem, up, due)
        short = _short(problem, chosen, ends)
        if turn == RAISES or short.max() <= 0.1 * TOLERANCE * up.largest_value:
            return _stated(problem, chosen, began), float(raised.max())
        # The last turns ask for what the cheapest of a cell gets alone: then nobody in it can lose.
        step = np.where(short > 0.0, most, 0.0) if turn >= RAISES - 2 else 1.1 * short
        raised = np.where(short > 0.0, np.minimum(raised + step, most), raised)
    raise AssertionError("the last turn returns")


def _chosen(problem: ContinuousProblem, up: Problem, due: Reservation) -> Chosen:
    """The options that somebody chooses when costs rounded up are due so much."""
    _, high = problem.support
    best = None if hopeless(up) else _best(prepare(up, due))
    if best is None:
        if due.utility.max() > 0.0:
            raise NotConverged("no menu was found although training alone pays; use more cells")
        return Chosen(np.zeros(1), np.zeros(1), 1, np.array([high]), np.ones(1))
    costs = np.sort(up.population.costs)[::-1]
    m, t = best.contribution, best.utility + costs * best.contribution
    kept: list[int] = []
    # Rows that differ by the solver's rounding are one option: the last of them.
    for j in np.flatnonzero(np.r_[np.diff(m) > SAME * m.max(), True]).tolist():
        # Cheaper costs choose later rows: drop rows that are better only where another is better still.
        while kept and (
            m[j] <= m[kept[-1]]
            or (len(kept) > 1 and _switch(m, t, kept[-1], j) >= _switch(m, t, kept[-2], kept[-1]))
        ):
            if m[j] <= m[kept[-1]] and t[j] <= t[kept[-1]]:
                break
            kept.pop()
        if not kept or m[j] > m[kept[-1]]:
            kept.append(j)
    switches = [_switch(m, t, a, b) for a, b in pairwise(kept)]
    dearest = np.minimum(np.r_[high, switches], high)
    chance = -np.diff(np.r_[1.0, problem.distribution.cdf(dearest[1:]), 0.0])
    some = (chance > 0.0) & (np.r_[dearest[1:], 0.0] < high)
    rows = np.array(kept)[some]
    return Chosen(m[rows], t[rows], best.excluded, dearest[some], chance[some])


def _switch(m: np.ndarray, t: np.ndarray, a: int, b: int) -> float:
    """The cost at which row b is as good as row a, which asks for less."""
    return float((t[b] - t[a]) / (m[b] - m[a]))


def _short(problem: ContinuousProblem, chosen: Chosen, ends: np.ndarray) -> np.ndarray:
    """By how much somebody in each cell would get less than alone, shape (cells,)."""
    inside = np.concatenate([ends[:-1] + share * np.diff(ends) for share in (0.0, 0.2, 0.4, 0.6, 0.8)])
    asked = np.unique(np.r_[inside, ends[-1], chosen.costs])
    alone = _alone(problem.at(asked, _even(asked.size))).utility
    gain = (chosen.reward - asked[:, None] * chosen.contribution).max(axis=1) - alone
    cell = np.clip(np.searchsorted(ends, asked, side="left") - 1, 0, ends.size - 2)
    short = np.zeros(ends.size - 1)
    np.maximum.at(short, cell, -gain)
    return short


def _stated(problem: ContinuousProblem, chosen: Chosen, began: float) -> Contract:
    """The options as a contract of finitely many types: those who choose each, at the cost of the dearest."""
    m, costs = chosen.contribution, chosen.costs
    discrete = problem.at(costs, chosen.chance)
    if hopeless(discrete) or not m.any():
        return null_contract(discrete, None, began)
    model = prepare(discrete, _alone(discrete))
    rows = m.size
    unpriced = Solution(np.zeros(2 * rows), np.zeros(2 * rows - 1), 0.0, 0)
    excluded = int(chosen.excluded > 0 and m[0] == 0.0)
    gain = (chosen.reward - costs * m) / model.value_unit
    menu = candidate_at(model, model.program, excluded, unpriced, m / model.data_unit, gain)
    return contract_of(model, Found(menu, None), "interior-point", began)
