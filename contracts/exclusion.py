r"""Which types to leave out, when training is dear.

Where outcomes below the curve's floor matter (few participants, costly data), the program as solved continues
the curve below zero, and leaving the dearest types out can be better than asking little of them. Contributions
rise as costs fall, so what is left out is a prefix of the types by falling cost. Every candidate is feasible
for the true curve; the best by its true objective is kept. A relaxation bounds what any contract could reach.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np

from contracts.first_moment import FirstMoment, Program, exclude, moments, unfold
from contracts.interior_point import Solution, solve
from contracts.outcomes import believed_total, total_data
from contracts.population import Population
from contracts.relaxation import relax

EXHAUSTIVE = 64
CONVERGED = 1e-8
CLOSE = 1e-9
RATES = np.geomspace(0.01, 1000.0, 60)  # times 1 / floor


class Candidate(NamedTuple):
    """One solved program.

    Attributes:
        excluded: rows left out.
        program: the program solved.
        solution: its solution.
        contribution: per row, in the user's units.
        utility: per row, in the user's units.
        loss: E L of the program as solved, in its units.
        target: its true expected target, in the user's units.
    """

    excluded: int
    program: Program
    solution: Solution
    contribution: np.ndarray
    utility: np.ndarray
    loss: float
    target: float

    @property
    def slope(self) -> float:
        """By how much E L rises with the program's objective, which is its logarithm for mixtures."""
        return self.loss if self.program.curves is None else 1.0


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
    return (1.0 - bound.loss) * model.target_unit - full.target > CLOSE * model.target_unit


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
    loss = solution.loss
    if loss is None:
        loss = float(moments(restricted, m, belief, np).target_loss)
    contribution = m * model.data_unit
    return Candidate(
        excluded=excluded,
        program=program,
        solution=solution,
        contribution=contribution,
        utility=u * model.value_unit,
        loss=loss,
        target=expected_target(model, contribution, loss, below_floor(model, contribution)),
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
    """By how much holding a prefix at zero might beat the full program (in units of the target), or more than
    `CLOSE` where it certainly might.

    The two programs differ only where nobody but the prefix takes part: there the full one counts the mixture's
    loss at zero, the other the true one. Moving the full program's objective and constraints by that
    difference improves its optimum by no more than the difference at its prices (concavity). Outcomes below
    the floor, which are truly better than either program counts them, are added as likely as they would be if
    the others kept to what they contribute now.
    """
    program, belief = model.program, model.problem.belief
    restricted = exclude(program, excluded, belief)
    prices = full.solution.multipliers[: program.costs.size] * full.slope
    others = np.where(np.arange(program.costs.size) < excluded, 0.0, full.contribution)
    sure = float(restricted.target_offset + prices @ restricted.value_offset)
    if sure > CLOSE:  # enough to try it
        return sure
    return sure + below_floor(model, others) * float(program.target_weights.sum() + 1.0)


def expected_target(model: FirstMoment, contribution: np.ndarray, loss: float, below: float) -> float:
    """The true expected target of a contribution vector (per row, user's units), floor included.

    Args:
        model: the model.
        contribution: the contributions.
        loss: E L as the program counts it, which is right unless the data trained on can stay below the floor.
        below: a bound on the probability that they do.
    """
    if below < 1e-13:
        return (1.0 - loss) * model.target_unit
    law = total_data(contribution, model.program.probabilities, model.problem.population.participants)
    return law.expectation(model.problem.target)


def below_floor(model: FirstMoment, contribution: np.ndarray) -> float:
    """A bound on the probability that the data trained on stay below the floor."""
    n, floor = model.problem.population.participants, float(model.problem.accuracy.floor)
    return float(chernoff(contribution, model.program.probabilities, n, floor))


def chernoff(contribution: np.ndarray, probabilities: np.ndarray, participants: Any, floor: Any) -> np.ndarray:
    """A bound on the probability that all contributions together stay below a floor.

    Args:
        contribution, probabilities: of the types, shape (*batch, types).
        participants, floor: of shape (*batch).

    Returns:
        The least over a grid of rates s of e^{s floor} phi(s)^N; 0 where nobody contributes too little; shape
        (*batch).
    """
    relative = contribution / np.expand_dims(np.maximum(floor, 1e-300), -1)
    phi = np.exp(-RATES[:, None] * relative[..., None, :]) @ probabilities[..., None]
    with np.errstate(divide="ignore"):
        log_bound = RATES + np.expand_dims(participants, -1) * np.log(phi[..., 0])
    enough = participants * contribution.min(axis=-1) >= floor
    return np.where(enough, 0.0, np.exp(log_bound.min(axis=-1)))
