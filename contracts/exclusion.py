r"""Which types to leave out, when training is dear.

Where outcomes below the curve's floor matter (few participants, costly data), the program as solved continues
the curve below zero, and leaving the dearest types out can be better than asking little of them. Contributions
rise as costs fall, so what is left out is a prefix of the types by falling cost. Every candidate is feasible
for the true curve; the best by its true objective is kept. A relaxation bounds what any contract could reach.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np

from contracts.first_moment import FirstMoment, Program, exclude, moments, unfold
from contracts.interior_point import Solution, solve
from contracts.outcomes import believed_total, total_data
from contracts.population import Population
from contracts.relaxation import relax

EXHAUSTIVE = 64
CONVERGED = 1e-8
CLOSE = 1e-9


class Candidate(NamedTuple):
    """One solved program.

    Attributes:
        excluded: rows left out.
        program: the program solved.
        solution: its solution.
        contribution: per row, in the user's units.
        utility: per row, in the user's units.
        target: its true expected target, in the user's units.
    """

    excluded: int
    program: Program
    solution: Solution
    contribution: np.ndarray
    utility: np.ndarray
    target: float


Solver = Callable[[Program, str], Solution]


def search(model: FirstMoment, solver: Solver = solve) -> tuple[Candidate | None, Candidate | None]:
    """Solve with every prefix left out (as far as it can matter), and the relaxation.

    Returns:
        The best candidate (None if no program was solved) and the relaxation's solution (None where the curve
        has no floor, so that the first program is already exact).
    """
    full = attempt(model, model.program, 0, solver)
    if not model.problem.accuracy.floor > 0.0:
        return full, None
    bound = attempt(model, relax(model), 0, solve)
    return (_best(model, solver, full) if undecided(model, full, bound) else full), bound


def undecided(model: FirstMoment, full: Candidate | None, bound: Candidate | None) -> bool:
    """Whether some exclusion might beat the full program, as far as the relaxation's optimum tells."""
    if full is None or bound is None:
        return True
    m = bound.contribution / model.data_unit
    loss = float(moments(bound.program, m, model.problem.belief, np).target_loss) * model.target_unit
    return _largest_target(model) - loss - full.target > CLOSE * model.target_unit


def _largest_target(model: FirstMoment) -> float:
    return model.value_unit if model.problem.target_is_value else float(model.problem.accuracy.optimum)


def attempt(model: FirstMoment, program: Program, excluded: int, solver: Solver) -> Candidate | None:
    """Solve one program; None if it is infeasible or did not converge."""
    belief = model.problem.belief
    restricted = exclude(program, excluded, belief)
    solution = solver(restricted, belief)
    while solution.error <= CONVERGED:
        m, u = unfold(restricted, solution.gaps, np)
        short = _promised_too_much(model, restricted, m, u)
        if short <= 0.0:
            break
        restricted = restricted._replace(value_offset=restricted.value_offset - 2.0 * short)
        solution = solver(restricted, belief)
    else:
        return None
    contribution = m * model.data_unit
    return Candidate(
        excluded=excluded,
        program=program,
        solution=solution,
        contribution=contribution,
        utility=u * model.value_unit,
        target=expected_target(model, contribution),
    )


def _promised_too_much(model: FirstMoment, program: Program, m: np.ndarray, u: np.ndarray) -> float:
    """By how much a Gauss rule's small error lets promises exceed what can be given, in program units."""
    if program.curves is None:
        return 0.0
    problem, p = model.problem, program.probabilities
    population = Population(costs=program.costs, probabilities=p, participants=problem.population.participants)
    rows = dataclasses.replace(problem, population=population)
    promised = (u + program.costs * m) * model.value_unit
    laws = (believed_total(rows, m * model.data_unit, i) for i in range(p.size))
    excess = max(t - law.expectation(problem.value) for t, law in zip(promised, laws, strict=True))
    return excess / model.value_unit if excess > 1e-10 * model.value_unit else 0.0


def _best(model: FirstMoment, solver: Solver, best: Candidate | None) -> Candidate | None:
    rows = model.program.costs.size

    full = best

    def improve(candidates: Iterable[int]) -> None:
        nonlocal best
        for excluded in candidates:
            if full is not None and possible_improvement(model, full, excluded) <= CLOSE:
                continue
            found = attempt(model, model.program, excluded, solver)
            if found is not None and (best is None or found.target > best.target):
                best = found

    if rows <= EXHAUSTIVE:
        improve(range(1, rows))
        return best
    # Many types: a coarse search, then every prefix around its best.
    stride = int(np.ceil(rows / EXHAUSTIVE))
    improve(range(stride, rows, stride))
    middle = best.excluded if best is not None else 0
    improve(k for k in range(max(1, middle - stride + 1), min(rows, middle + stride)) if k != middle)
    return best


def possible_improvement(model: FirstMoment, full: Candidate, excluded: int) -> float:
    """By how much holding a prefix at zero might beat the full program (in units of the target).

    The two programs differ only where nobody but the prefix takes part: there the full one counts the mixture's
    loss at zero, the other the true one. Moving the full program's objective and constraints by that
    difference improves its optimum by no more than the difference at its prices (concavity). Outcomes below
    the floor, which are truly better than either program counts them, are added as likely as they would be if
    the others kept to what they contribute now.
    """
    program, belief = model.program, model.problem.belief
    restricted = exclude(program, excluded, belief)
    slope = moments(program, full.contribution / model.data_unit, belief, np).objective_slope
    prices = full.solution.multipliers[: program.costs.size] * float(slope)
    others = np.where(np.arange(program.costs.size) < excluded, 0.0, full.contribution)
    miscounted = below_floor(model, others) * float(program.target_weights.sum() + 1.0)
    return float(restricted.target_offset + prices @ restricted.value_offset) + miscounted


def expected_target(model: FirstMoment, contribution: np.ndarray) -> float:
    """The true expected target of a contribution vector (per row, user's units), floor included."""
    if below_floor(model, contribution) < 1e-13:
        m = contribution / model.data_unit
        loss = float(moments(model.program, m, model.problem.belief, np).target_loss)
        return _largest_target(model) - loss * model.target_unit
    law = total_data(contribution, model.program.probabilities, model.problem.population.participants)
    return law.expectation(model.problem.target)


def below_floor(model: FirstMoment, contribution: np.ndarray) -> float:
    """A bound (Chernoff) on the probability that the data trained on stay below the floor."""
    p, turnout = model.program.probabilities, model.problem.population.turnout
    floor = model.problem.accuracy.floor
    if turnout.least * float(contribution.min()) >= floor:
        return 0.0
    rates = np.geomspace(0.01 / floor, 1000.0 / floor, 60)
    with np.errstate(divide="ignore"):
        log_phi = np.log(np.exp(-np.multiply.outer(rates, contribution)) @ p)
    return float(np.exp(np.min(rates * floor + turnout.log_power(log_phi).value)))
