"""Menus of few options, and contributions in whole lots.

A coordinator may be able to prepare only a few versions of the model, or to take data only by the case. The
best such menu loses something against the best menu without such limits; how much, and that no other menu of
the kind loses less, is part of the answer.
"""

from __future__ import annotations

import dataclasses
import time
from typing import Any

import numpy as np

from contracts import checks
from contracts.contract import Contract
from contracts.contract.design import contract_of, design_contract
from contracts.contract.verify import (
    LATTICE_ERROR,
    OPTIMALITY_TOLERANCE,
    Certificate,
    reservation_by_zooming,
    verify_menu,
)
from contracts.errors import Infeasible, InvalidInput
from contracts.extension import ExtendedProblem
from contracts.extensions.menu import MenuContract
from contracts.extensions.tier_proof import loss_of, prove
from contracts.extensions.tier_search import Found, Shape, search_shape
from contracts.problem import Problem
from contracts.problem.shape import check_concave, hopeless
from contracts.program import exclusion
from contracts.program.exclusion import CLOSE, Candidate, attempt, undecided
from contracts.program.first_moment import FirstMoment, exclude, prepare
from contracts.program.interior_point import solve
from contracts.program.relaxation import relax
from contracts.proof.duality import by_row, distinct_rows
from contracts.proof.mixture_check import below, mixture_error
from contracts.proof.witness import Witness
from contracts.records import frozen

SAME = 1e-9  # of the largest contribution and of the largest value: closer options are one
WHOLE_LOTS = 1e-9


@frozen
class TieredProblem(ExtendedProblem):
    """A problem whose menu may have few options only, or contributions in whole lots only.

    An option is a distinct pair of contribution and expected reward. To contribute nothing and receive nothing
    needs no model and does not count; a model given for no contribution does.

    Args:
        problem: the problem without these limits.
        tiers: the most options, >= 1; None for any number.
        lot: contributions are whole multiples of this amount of data, > 0; None for any amount.

    It is not a base problem in other terms: `design_contracts` does not take it. One design takes well below a
    second for 10 types, a few seconds for 30, whatever the number of participants.

    Raises:
        InvalidInput: naming the argument and what is accepted.

    Source: ours.

    >>> from contracts import LinearValuation, Population, PowerLaw, design_contract, verify
    >>> problem = Problem(
    ...     population=Population(costs=[0.3, 0.1, 0.02], probabilities=[0.3, 0.4, 0.3], participants=10),
    ...     accuracy=PowerLaw(optimum=0.95, coefficient=2.0, exponent=0.6),
    ...     valuation=LinearValuation(scale=100.0),
    ... )
    >>> contract = design_contract(TieredProblem(problem=problem, tiers=2))
    >>> len(contract.options), round(contract.objective, 3), round(contract.price, 3)
    (2, 92.856, 0.108)
    >>> verify(contract).holds
    True
    """

    problem: Problem
    tiers: Any = None
    lot: Any = None

    def __post_init__(self) -> None:
        if not isinstance(self.problem, Problem):
            raise InvalidInput(f"problem = {self.problem!r:.60}: expected a Problem")
        if self.tiers is None and self.lot is None:
            raise InvalidInput("tiers = None, lot = None: expected a limit on at least one of them")
        if self.tiers is not None:
            object.__setattr__(self, "tiers", checks.integer("tiers", self.tiers, low=1))
        if self.lot is not None:
            object.__setattr__(self, "lot", checks.number("lot", self.lot, low=0.0, open_low=True))

    def design(self, *, solver: str) -> TieredContract:
        """The best menu of the kind; see `design_contract`.

        Raises:
            Infeasible: no menu of the kind keeps every type; the message says what would.
            InvalidInput: another solver than "interior-point".
        """
        if solver != "interior-point":
            raise InvalidInput(f"solver = {solver!r}: expected 'interior-point' for few options or whole lots")
        began = time.perf_counter()
        check_concave(self.problem)
        free = design_contract(self.problem)
        if hopeless(self.problem):
            nothing = np.zeros((0, 1))
            return TieredContract(
                problem=self, menu=free, free=free, points=nothing, global_points=nothing, rounds=0
            )
        model = prepare(self.problem)
        found, bound = _search(model, self)
        if found.best is None and model.reservation.utility.max() > 0.0:
            raise Infeasible(self._needs())
        proved = exclusion.Found(found.best, None if bound is None else bound.best)
        menu = contract_of(model, proved, "outer approximation", began)
        return TieredContract(
            problem=self,
            menu=menu,
            free=free,
            points=found.points,
            global_points=found.points if bound is None else bound.points,
            rounds=found.rounds + (0 if bound is None else bound.rounds),
        )

    def _needs(self) -> str:
        limits = []
        if self.tiers is not None:
            limits.append(f"tiers = {self.tiers}: expected more options")
        if self.lot is not None:
            limits.append(f"lot = {self.lot:g} data: expected a smaller lot")
        return "no such menu gives every type as much as it gets alone; " + ", or ".join(limits)


def _search(model: FirstMoment, problem: TieredProblem) -> tuple[Found, Found | None]:
    """The best menu, whoever is left out, and the best under the relaxation (None without a floor)."""
    program, belief = model.program, model.problem.belief
    tiers = None if problem.tiers is None or problem.tiers >= program.costs.size else problem.tiers
    lot = 0.0 if problem.lot is None else problem.lot / model.data_unit
    shape = Shape(tiers, lot, 0, float(program.reservation[0]) <= 0.0)
    best = search_shape(model, program, shape, attempt(model, program, 0, solve))
    if not model.problem.accuracy.floor > 0.0:
        return best, None
    relaxed = relax(model)
    if relaxed is None:
        return best, None
    bound = search_shape(model, relaxed, shape, attempt(model, relaxed, 0, solve))
    if not undecided(model, best.best, bound.best):
        return best, bound
    rounds = best.rounds
    for excluded in range(1, program.costs.size):
        given = exclude(program, excluded, belief)
        if given.target_offset + given.value_offset.max() < 1e-13:
            continue  # leaving these out is a choice that the program without exclusion has, too
        free = attempt(model, program, excluded, solve)
        if free is None or not _better(free, best.best, model):
            continue
        found = search_shape(model, program, shape._replace(excluded=excluded), free)
        rounds += found.rounds
        if found.best is not None and _better(found.best, best.best, model):
            best = found
    return best._replace(rounds=rounds), bound


def _better(candidate: Candidate, best: Candidate | None, model: FirstMoment) -> bool:
    return best is None or candidate.target > best.target + CLOSE * model.target_unit


@frozen
class TieredContract(MenuContract):
    """The best menu of few options, or in whole lots.

    Attributes:
        problem: the problem it answers.
        menu: the menu, one row per type.
        free: the best menu without the limits.
        points, global_points: contributions at which the proof linearises the program as solved and the
            relaxation, shape (points, distinct costs).
        rounds: mixed-integer programs solved.
    """

    problem: TieredProblem
    menu: Contract
    free: Contract
    points: np.ndarray
    global_points: np.ndarray
    rounds: int

    @property
    def options(self) -> tuple[tuple[float, float], ...]:
        """The options to prepare, (contribution, expected reward), from small to large; (0, 0) is none."""
        return _options(self.menu)

    @property
    def price(self) -> float:
        """What the limits cost: expected target of the free menu less this one's.

        In units of value (of accuracy if that is maximised and the valuation is not linear).
        """
        return _target(self.free) - _target(self.menu)

    def certify(self) -> Certificate:
        """Check the menu, the number of its options, the lots, and that no menu of the kind is better.

        `extended` has the number of options, the price of the limits, and the nodes that the proof took. The
        proof is a branch and bound of its own (`contracts.extensions.tier_proof`); cut short at 1000 nodes, it
        gives the gap proved by then.
        """
        base = self.problem.problem
        menu = dataclasses.replace(self.menu, problem=base)
        alone = reservation_by_zooming(base)
        certificate = verify_menu(menu, alone)
        gap, nodes, complaints = self._gap(menu, alone)
        global_gap, more = self._global_gap(menu, alone, gap)
        complaints += self._broken_limits(menu)
        violations = (*certificate.violations, *complaints)
        return dataclasses.replace(
            certificate,
            holds=not violations,
            optimality_gap=gap,
            global_gap=global_gap,
            violations=violations,
            extended={
                "options": float(len(_options(menu))),
                "price of the limits": _target(self.free) - _target(menu),
                "nodes of the proof": float(nodes + more),
            },
        )

    def _limits(self) -> dict[str, Any]:
        tiers = self.problem.tiers
        rows = np.unique(self.problem.problem.population.costs).size
        lot = 0.0 if self.problem.lot is None else self.problem.lot
        return {"tiers": None if tiers is None or tiers >= rows else tiers, "lot": lot}

    def _gap(self, menu: Contract, alone: np.ndarray) -> tuple[float | None, int, list[str]]:
        problem, witness = self.problem.problem, menu.witness
        if witness is None:
            return (None if menu.contribution.any() else 0.0), 0, []
        error = mixture_error(problem, witness) if witness.rates.size else LATTICE_ERROR
        if not error <= 1e-6:
            return None, 0, [f"optimality: the proof's mixture differs from the curve by {error:.3g} (relative)"]
        loss = _loss(menu, witness)
        proof = prove(problem, witness, alone, self.points, loss, error=error, **self._limits())
        gap = (1.0 + error) * loss - proof.bound
        top = problem.largest_target
        if gap <= OPTIMALITY_TOLERANCE * top:
            return gap, proof.nodes, []
        return gap, proof.nodes, [f"optimality: another menu of the kind may be better by {gap:.6g}"]

    def _global_gap(self, menu: Contract, alone: np.ndarray, gap: float | None) -> tuple[float | None, int]:
        problem, witness = self.problem.problem, menu.global_witness
        if not problem.accuracy.floor > 0.0:
            return gap, 0
        minorant = None if witness is None or not witness.rates.size else below(problem, witness)
        if minorant is None:
            return None, 0
        level = loss_of(problem, minorant, minorant.contribution)
        proof = prove(problem, minorant, alone, self.global_points, level, error=0.0, **self._limits())
        top = problem.largest_target
        return max(top - _target(menu) - proof.bound, 0.0), proof.nodes

    def _broken_limits(self, menu: Contract) -> list[str]:
        found, names = [], list(self.problem.problem.population.names or ())
        options = len(_options(menu))
        if self.problem.tiers is not None and options > self.problem.tiers:
            found.append(f"tiers: the menu has {options} options, at most {self.problem.tiers} are possible")
        if self.problem.lot is not None:
            lots = menu.contribution / self.problem.lot
            for i in np.flatnonzero(np.abs(lots - np.round(lots)) > WHOLE_LOTS * np.maximum(lots, 1.0)):
                found.append(f"lot: {names[i]} would contribute {lots[i]:.9g} lots: not a whole number")
        return found

    def __str__(self) -> str:
        limits = [f"{len(self.options)} options"]
        if self.problem.lot is not None:
            limits.append(f"lots of {self.problem.lot:g} data")
        return f"{self.menu}\n{', '.join(limits)}: {self.price:.6g} less than without these limits"


def _options(menu: Contract) -> tuple[tuple[float, float], ...]:
    unit = max(float(menu.contribution.max()), 1e-300)
    value = menu.problem.largest_value
    options: list[tuple[float, float]] = []
    for m, t in sorted(zip(menu.contribution.tolist(), menu.expected_reward.tolist(), strict=True)):
        nothing = m <= SAME * unit and t <= SAME * value
        same = options and abs(m - options[-1][0]) <= SAME * unit and abs(t - options[-1][1]) <= SAME * value
        if not nothing and not same:
            options.append((m, t))
    return tuple(options)


def _target(menu: Contract) -> float:
    return menu.objective if menu.problem.target_is_value else menu.expected_accuracy


def _loss(menu: Contract, witness: Witness) -> float:
    _, _, row = distinct_rows(menu.problem)
    return loss_of(menu.problem, witness, by_row(menu.contribution, row))
