r"""Margins: contracts under which nobody has to be exactly indifferent.

The best contract leaves participants indifferent, between joining and staying alone and between options. Here
everybody gains at least `participation_margin` by joining, and prefers its own option to every *different* one
by at least `preference_margin`; types that share one option are exempt. With types by falling cost, and
delta = c_i - c_{i+1}, that is

    u_i >= f_i + participation margin,    m_i + margin/delta <= d_i <= m_{i+1} - margin/delta,

or both gaps zero where the two types share an option (single crossing: neighbours are enough). Which neighbours
share is a choice among 2^(types - 1). It is made by branch and bound: where it is still open the gaps need only
be >= 0, a convex program whose weak-duality bound holds for all completions. The leaves of the search tree, each
with the prices that prove its bound, are the proof: `certify` checks that they leave out no pooling. Up to about
20 types the search ends; beyond, it stops after 2000 programs, and the certificate's gap says how far it got.

These problems are designed one by one (`design_contract`), not in batches, and for curves that are mixtures of
exponentials. Source: ours.
"""

from __future__ import annotations

import dataclasses
import heapq
import time
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from contracts import checks
from contracts.contract import Contract
from contracts.contract.design import null_contract
from contracts.contract.verify import (
    OPTIMALITY_TOLERANCE,
    TOLERANCE,
    Certificate,
    reservation_by_zooming,
    verify_menu,
)
from contracts.errors import Infeasible, InvalidInput
from contracts.extension import ExtendedProblem
from contracts.extensions.menu import MenuContract
from contracts.problem import Problem
from contracts.problem.reservation import reservation
from contracts.problem.shape import check_concave, hopeless
from contracts.program.concave_program import CONVERGED, SHARES, Found, Task, solve
from contracts.program.first_moment import FirstMoment, Program, exclude, moments
from contracts.program.mixture_program import menu_of, prefixes, prepare_mixture, witness_of
from contracts.program.relaxation import relax_mixture
from contracts.proof.concave_bound import Bound, Gaps, Tangent, expected_target, upper_bound
from contracts.proof.duality import by_row, distinct_rows
from contracts.proof.mixture_check import below, mixture_error
from contracts.proof.witness import Witness
from contracts.records import frozen

OPEN, SHARED, APART = -1, 0, 1
MOST_NODES = 2000
CLOSE = 1e-8  # of the largest target: as near as two poolings need not be told apart
BROKEN = 1e-9  # of the largest value: less is rounding
PENALTY = 100.0  # price of infeasibility by which poolings that have no contract are ruled out


@frozen
class MarginProblem(ExtendedProblem):
    """A problem in which joining, and choosing one's own option, must pay by a margin.

    Args:
        problem: types, costs, probabilities, curve, valuation, belief.
        participation_margin: least gain of every type over staying alone, >= 0, in units of cost.
        preference_margin: least loss of every type by choosing another option than its own, >= 0, in units of
            cost.

    >>> from contracts import GeneralizationBound, LinearValuation, Population, design_contract, verify
    >>> base = Problem(
    ...     population=Population(costs=[0.5, 0.1, 0.02], probabilities=[0.2, 0.4, 0.4], participants=10),
    ...     accuracy=GeneralizationBound(),
    ...     valuation=LinearValuation(scale=100.0),
    ... )
    >>> strict = design_contract(MarginProblem(problem=base, participation_margin=1.0, preference_margin=1.0))
    >>> certificate = verify(strict)
    >>> certificate.holds, float(certificate.extended["least gain by joining"].__round__(6))
    (True, 1.0)
    """

    problem: Problem
    participation_margin: float = 0.0
    preference_margin: float = 0.0

    def __post_init__(self) -> None:
        if not isinstance(self.problem, Problem):
            raise InvalidInput(f"problem = {self.problem!r:.60}: expected a Problem")
        for name in ("participation_margin", "preference_margin"):
            object.__setattr__(self, name, checks.number(name, getattr(self, name), low=0.0))

    def design(self, *, solver: str = "interior-point") -> MarginContract:
        """The best contract; `design_contract` calls this.

        Raises:
            InvalidInput: another solver, or a curve that is no mixture of exponentials.
            Infeasible: no contract gives everybody the margin over staying alone.
        """
        checks.choice("solver", solver, ("interior-point",))
        began = time.perf_counter()
        check_concave(self.problem)
        best = None
        if not hopeless(self.problem):
            model = prepare_mixture(self.problem)
            for excluded in prefixes(model):
                found = _designed(self, model, excluded, began)
                if found is not None and (best is None or found.target > best.target):
                    best = found
        if best is None:
            return _null(self, began)
        return dataclasses.replace(best, global_leaves=_relaxed(self))


class Leaf(NamedTuple):
    """Poolings ruled out, or no better than a bound, by one set of prices.

    Attributes:
        pooling: for each pair of neighbouring rows SHARED (0), APART (1) or OPEN (-1), shape (rows - 1,).
        witness: the point and prices of the bound.
    """

    pooling: np.ndarray
    witness: Witness


@frozen
class MarginContract(MenuContract):
    """The best contract with margins.

    Attributes:
        problem: the problem it answers.
        menu: the menu.
        option: the number of the option each type takes; types of equal numbers share it; shape (types,).
        leaves: the proof: a partition of all poolings, with a bound for each part.
        global_leaves: the same against the true curve; None where the curve has no floor.
        nodes: how many programs the search solved.
    """

    problem: MarginProblem
    menu: Contract
    option: np.ndarray
    leaves: tuple[Leaf, ...]
    global_leaves: tuple[Leaf, ...] | None
    nodes: int

    @property
    def target(self) -> float:
        """What the coordinator maximises."""
        problem = self.problem.problem
        return self.menu.objective if problem.target_is_value else self.menu.expected_accuracy

    def certify(self) -> Certificate:
        """Check margins, feasibility and optimality over all poolings from the problem.

        `extended` holds the "least gain by joining", the "least preference" for the own over another option
        (both must reach the margins asked for; infinite if there is one option only), and the number of
        "options".
        """
        stated, problem = self.problem, self.problem.problem
        menu = dataclasses.replace(self.menu, problem=problem)
        alone = reservation_by_zooming(problem)
        found = verify_menu(menu, alone)
        tolerance = TOLERANCE * problem.largest_value
        different = np.not_equal.outer(self.option, self.option)
        preference = np.where(different, -found.envy, np.inf)
        violations = [
            *found.violations,
            *_short(menu, found.participation_slack, preference, stated, tolerance),
            *_unequal(menu, self.option, tolerance),
        ]
        gap, complaints = _gap(self, menu, alone, self.leaves)
        violations += complaints
        return dataclasses.replace(
            found,
            holds=not violations,
            optimality_gap=gap,
            global_gap=_global_gap(self, menu, alone, gap),
            violations=tuple(violations),
            extended={
                "least gain by joining": float(found.participation_slack.min()),
                "least preference": float(preference.min()),
                "options": float(np.unique(self.option).size),
            },
        )


def _designed(stated: MarginProblem, model: FirstMoment, excluded: int, began: float) -> MarginContract | None:
    """The best contract that asks nothing of the first rows."""
    search = _Search(stated, model, model.program, excluded)
    search.run()
    if search.best is None:
        return None
    pooling, found = search.best
    menu = menu_of(model, search.witness(found), found, began)
    row = np.concatenate([[0], np.cumsum(pooling == APART)])[model.groups]
    # Types that share an option share it to the last digit.
    first = np.array([np.flatnonzero(row == k)[0] for k in range(int(row.max()) + 1)])[row]
    menu = dataclasses.replace(
        menu, contribution=menu.contribution[first], expected_reward=menu.expected_reward[first]
    )
    return MarginContract(
        problem=stated,
        menu=menu,
        option=row,
        leaves=tuple(search.leaves),
        global_leaves=None,
        nodes=search.nodes,
    )


def _relaxed(stated: MarginProblem) -> tuple[Leaf, ...] | None:
    if not stated.problem.accuracy.floor > 0.0:
        return None
    model = prepare_mixture(stated.problem)
    search = _Search(stated, model, relax_mixture(model), 0)
    search.run()
    return tuple(search.leaves)


class _Search:
    """Branch and bound over poolings, best bound first."""

    def __init__(self, stated: MarginProblem, model: FirstMoment, program: Program, excluded: int):
        belief = stated.problem.belief
        least = program.reservation + stated.participation_margin / model.value_unit
        self.model, self.belief, self.excluded = model, belief, excluded
        self.program = exclude(program, excluded, belief)._replace(reservation=least)
        steps = program.costs[:-1] - program.costs[1:]
        self.widths = stated.preference_margin / model.value_unit / steps
        self.nodes = 0
        self.best: tuple[np.ndarray, Found] | None = None
        self.best_loss = np.inf
        self.leaves: list[Leaf] = []
        self.tried: set[bytes] = set()

    def run(self) -> None:
        """Search until every open part is known to be no better than the best pooling."""
        root = np.full(self.widths.size, OPEN)
        root[: max(self.excluded - 1, 0)] = SHARED
        found = self._solve(root)
        queue = [(self._loss(found), 0, root, found)]
        while queue:
            loss, _, pooling, found = heapq.heappop(queue)
            self._round(pooling, found)
            undecided = np.flatnonzero(pooling == OPEN)
            if loss >= self.best_loss - CLOSE or not undecided.size or self.nodes >= MOST_NODES:
                self.leaves.append(Leaf(pooling, self.witness(found)))
                continue
            place = undecided[int(np.argmax(self._doubt(found)[undecided]))]
            for choice in (SHARED, APART):
                child = pooling.copy()
                child[place] = choice
                solved = self._solve(child)
                # A part is never better than the whole: an unfinished solution falls back on the whole's prices.
                proof = solved if solved.error <= CONVERGED else found
                heapq.heappush(queue, (max(self._loss(proof), loss), self.nodes, child, proof))

    def _solve(self, pooling: np.ndarray) -> Found:
        """The best contract of a part; if it has none, the least broken one, whose prices show that."""
        self.nodes += 1
        active, lower = self.program.active.copy(), np.zeros(self.program.active.size)
        for offset in (1, 2):
            active[np.flatnonzero(pooling == SHARED) * 2 + offset] = 0.0
            apart = np.flatnonzero(pooling == APART)
            lower[apart * 2 + offset] = self.widths[apart]
        task = Task(self.program._replace(active=active), self.belief, 1.0, None, 0.0, lower)
        found = solve(task, SHARES[:1])
        if found.error > CONVERGED:
            elastic = solve(task._replace(elastic=PENALTY))
            found = solve(task, SHARES[1:]) if elastic.broken <= BROKEN else elastic
        return found

    def _loss(self, found: Found) -> float:
        here = moments(self.program, found.contribution, self.belief, np)
        return float(here.target_loss) + PENALTY * found.broken

    def _doubt(self, found: Found) -> np.ndarray:
        """How far each pair of neighbours is from both sharing an option and being apart enough."""
        first, second = self._gaps(found)
        return np.minimum(first + second, np.maximum(self.widths - np.minimum(first, second), 0.0)) / (
            self.widths + 1e-300
        )

    def _gaps(self, found: Found) -> tuple[np.ndarray, np.ndarray]:
        steps = self.program.costs[:-1] - self.program.costs[1:]
        slope = np.diff(found.utility) / steps
        return slope - found.contribution[:-1], found.contribution[1:] - slope

    def _round(self, pooling: np.ndarray, found: Found) -> None:
        """Try the pooling nearest to a part's best contract."""
        first, second = self._gaps(found)
        nearest = np.where(first + second >= self.widths, APART, SHARED)
        whole = np.where(pooling == OPEN, nearest, pooling)
        if whole.tobytes() in self.tried:
            return
        self.tried.add(whole.tobytes())
        solved = self._solve(whole)
        loss = self._loss(solved)
        if solved.error <= CONVERGED and solved.broken <= 0.0 and loss < self.best_loss:
            self.best, self.best_loss = (whole, solved), loss

    def witness(self, found: Found) -> Witness:
        """The point and the prices of a solution in the user's units."""
        model = self.model
        unit = model.target_unit / model.value_unit
        return witness_of(
            model, self.program, self.excluded, found, found.feasibility * unit, found.participation * unit
        )


def _null(stated: MarginProblem, began: float) -> MarginContract:
    alone = reservation(stated.problem).utility
    if alone.max() > 0.0 or stated.participation_margin > 0.0:
        raise Infeasible(
            f"participation_margin = {stated.participation_margin:g}, preference_margin ="
            f" {stated.preference_margin:g}: no contract was found that leaves everybody so much better off than"
            " alone; a smaller margin, cheaper data or more participants would help"
        )
    menu = null_contract(stated.problem, None, began)
    nobody = np.zeros(alone.size, dtype=int)
    return MarginContract(problem=stated, menu=menu, option=nobody, leaves=(), global_leaves=None, nodes=0)


def _short(
    menu: Contract, gain: np.ndarray, preference: np.ndarray, stated: MarginProblem, tolerance: float
) -> list[str]:
    names, found = list(menu.problem.population.names or ()), []
    for i in np.flatnonzero(gain < stated.participation_margin - tolerance):
        found.append(
            f"participation margin: {names[i]} gains {gain[i]:.9g} by joining, expected"
            f" {stated.participation_margin:.9g}"
        )
    for i in np.flatnonzero(preference.min(axis=1, initial=np.inf) < stated.preference_margin - tolerance):
        j = int(np.argmin(preference[i]))
        found.append(
            f"preference margin: {names[i]} prefers its option to that of {names[j]} by {preference[i, j]:.9g},"
            f" expected {stated.preference_margin:.9g}"
        )
    return found


def _unequal(menu: Contract, option: np.ndarray, tolerance: float) -> list[str]:
    names, found = list(menu.problem.population.names or ()), []
    for number in np.unique(option):
        members = np.flatnonzero(option == number)
        data, reward = menu.contribution[members], menu.expected_reward[members]
        worth = float(menu.problem.population.costs.max()) * float(np.ptp(data))
        if worth > tolerance or float(np.ptp(reward)) > tolerance:
            others = ", ".join(names[i] for i in members)
            found.append(f"options: {others} are said to share option {number} but are offered different ones")
    return found


def _gap(
    contract: MarginContract, menu: Contract, alone: np.ndarray, leaves: Sequence[Leaf]
) -> tuple[float | None, list[str]]:
    if not leaves or menu.witness is None:
        return None, []
    problem = contract.problem.problem
    _, _, row = distinct_rows(problem)
    complaints = []
    if not covers([leaf.pooling for leaf in leaves], leaves[0].witness.excluded):
        complaints.append("optimality: the proof leaves out some ways to share options")
    if {leaf.witness.excluded for leaf in leaves} != {menu.witness.excluded}:
        complaints.append("optimality: the proof is one of contracts that leave out other types")
    error = max(mixture_error(problem, witness) for witness in _distinct_mixtures(leaves))
    if error > 1e-6:
        complaints.append(f"optimality: the proof's mixture differs from the curve by {error:.3g} (relative)")
    bound = _worst([_leaf_bound(contract.problem, leaf, alone) for leaf in leaves])
    reached = expected_target(problem, leaves[0].witness, by_row(menu.contribution, row))
    gap = bound.value - reached + error * bound.sensitivity
    top = problem.largest_target
    if not gap <= OPTIMALITY_TOLERANCE * top:
        complaints.append(f"optimality: another contract may be better by {gap:.6g}")
    return gap, complaints


def _distinct_mixtures(leaves: Sequence[Leaf]) -> list[Witness]:
    return list({_mixture(leaf.witness): leaf.witness for leaf in leaves}.values())


def _mixture(witness: Witness) -> tuple:
    return tuple(part.tobytes() for part in (witness.rates, witness.target_weights, witness.value_weights))


def _worst(bounds: Sequence[Bound]) -> Bound:
    broken = any(np.isnan(bound.value) for bound in bounds)
    return Bound(np.inf, 0.0) if broken else max(bounds, key=lambda bound: bound.value)


def _leaf_bound(stated: MarginProblem, leaf: Leaf, alone: np.ndarray) -> Bound:
    """What no contract of a leaf exceeds."""
    problem = stated.problem
    costs, _, row = distinct_rows(problem)
    due = by_row(alone, row) + stated.participation_margin
    gaps = Gaps.free(costs.size, leaf.witness.excluded)
    least, held = gaps.least.copy(), gaps.held.copy()
    widths = stated.preference_margin / (costs[:-1] - costs[1:])
    for offset in (1, 2):
        held[np.flatnonzero(leaf.pooling == SHARED) * 2 + offset] = True
        apart = np.flatnonzero(leaf.pooling == APART)
        least[apart * 2 + offset] = widths[apart]
    nothing = Tangent(0.0, np.zeros(costs.size), np.zeros(costs.size))
    return upper_bound(problem, leaf.witness, due, 1.0, nothing, Gaps(least, held))


def covers(poolings: Sequence[np.ndarray], excluded: int = 0) -> bool:
    """Whether every way to share options or not (the first `excluded` rows sharing) belongs to some part.

    >>> covers([np.array([0, -1]), np.array([1, 0])]), covers([np.array([-1, 0]), np.array([1, 1])])
    (False, False)
    >>> covers([np.array([0, -1]), np.array([1, 0]), np.array([1, 1])])
    True
    """
    parts = [np.asarray(part)[max(excluded - 1, 0) :] for part in poolings]
    return _covers(parts)


def _covers(parts: Sequence[np.ndarray]) -> bool:
    if not parts:
        return False
    decided = [np.flatnonzero(part != OPEN) for part in parts]
    if any(not places.size for places in decided):
        return True
    place = decided[0][0]

    def half(choice: int) -> list[np.ndarray]:
        chosen = [part.copy() for part in parts if part[place] in (OPEN, choice)]
        for part in chosen:
            part[place] = OPEN
        return chosen

    return _covers(half(SHARED)) and _covers(half(APART))


def _global_gap(contract: MarginContract, menu: Contract, alone: np.ndarray, gap: float | None) -> float | None:
    problem = contract.problem.problem
    if not problem.accuracy.floor > 0.0:
        return gap
    leaves = contract.global_leaves
    if not leaves or not covers([leaf.pooling for leaf in leaves]):
        return None
    bounds = []
    for leaf in leaves:
        minorant = below(problem, leaf.witness)
        if minorant is None or leaf.witness.excluded:
            return None
        # A minorant needs no allowance for its error: it only has to lie below the true loss.
        bounds.append(_leaf_bound(contract.problem, Leaf(leaf.pooling, minorant), alone))
    reached = menu.objective if problem.target_is_value else menu.expected_accuracy
    return max(_worst(bounds).value - reached, 0.0)
