r"""Which types to leave out, when training is dear.

Where outcomes below the curve's floor matter (few participants, costly data), the program as solved continues
the curve below zero, and leaving the dearest types out can be better than asking little of them. Contributions
rise as costs fall, so what is left out is a prefix of the types by falling cost. Every candidate is feasible
for the true curve; the best by its true objective is kept. A relaxation bounds what any contract could reach.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Generator, Iterable
from typing import Any, NamedTuple, TypeVar

import numpy as np

from contracts.problem.outcomes import believed_total, total_data
from contracts.problem.population import Population
from contracts.program.first_moment import FirstMoment, Program, excess_without_data, exclude, moments, unfold
from contracts.program.interior_point import Solution, solve
from contracts.program.relaxation import relax

EXHAUSTIVE = 64
CONVERGED = 1e-8
CLOSE = 1e-9
TIE = 1e-13  # of the largest target: rounding
T = TypeVar("T", bound=Any)
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


class Task(NamedTuple):
    """A program to solve, how many rows are left out of it, and whether it is the relaxation (a bound)."""

    program: Program
    excluded: int
    relaxed: bool


class Found(NamedTuple):
    """What a search found: the best candidate (None if no program was solved) and the relaxation's solution
    (None where it was not solved, or where the curve is concave from the start and the first program exact)."""

    best: Candidate | None
    bound: Candidate | None


Plan = Generator[list[Task], list[Candidate | None], Found]


def search(model: FirstMoment, solver: Solver = solve, bounds: Solver = solve, *, close: float = CLOSE) -> Found:
    """Solve with every prefix left out (as far as it can matter), and the relaxation, which `bounds` solves.

    Args:
        model: the problem made ready.
        solver, bounds: what solves programs, and the relaxation.
        close: what does not matter, as a share of the largest target.
    """

    def solved(task: Task) -> Candidate | None:
        return attempt(model, task.program, task.excluded, bounds if task.relaxed else solver)

    stages = plan(model, close)
    tasks = next(stages)
    while True:
        try:
            tasks = stages.send([solved(task) for task in tasks])
        except StopIteration as end:
            return end.value


def plan(model: FirstMoment, close: float = CLOSE) -> Plan:
    """The programs to solve, stage by stage; whoever solves them sends the candidates back, in their order."""
    whole = Task(model.program, 0, relaxed=False)
    if not model.knee > 0.0:
        (best,) = yield [whole]
        return Found(best, None)
    relaxed = relax(model)
    full, *bounds = yield [whole] + ([Task(relaxed, 0, relaxed=True)] if relaxed is not None else [])
    bound = bounds[0] if bounds else None
    if not undecided(model, full, bound, close):
        return Found(full, bound)
    rows, best = model.program.costs.size, full
    # Many types: a coarse search, then every prefix around its best.
    stride = int(np.ceil(rows / EXHAUSTIVE))
    for prefixes in (lambda _: range(stride, rows, stride), lambda k: _around(k, stride, rows)):
        middle = best.excluded if best is not None else 0
        worth = [k for k in prefixes(middle) if full is None or possible_improvement(model, full, k) > CLOSE]
        found = (yield [Task(model.program, k, relaxed=False) for k in worth]) if worth else []
        best = best_of([best, *found], model.target_unit)
    return Found(best, bound)


def best_of(candidates: Iterable[T | None], unit: float) -> T | None:
    """The candidate of the largest target (in multiples of `unit`), None if there is none; of equals the last.

    In their order by what they leave out, it asks nothing of those of whom others ask next to nothing.
    """
    best: Any = None
    for one in candidates:
        if one is not None and (best is None or one.target >= best.target - TIE * unit):
            best = one
    return best


def _around(middle: int, stride: int, rows: int) -> list[int]:
    return [k for k in range(max(1, middle - stride + 1), min(rows, middle + stride)) if k % stride]


def gap(model: FirstMoment, found: Found) -> float:
    """How much better than the best candidate (the null contract if there is none) another contract may be, as a
    share of the largest target; infinite without a bound."""
    if not model.knee > 0.0 and found.best is not None:
        return 0.0
    if found.bound is None:
        return np.inf
    reached = 0.0 if found.best is None else found.best.target / model.target_unit
    return max(1.0 - found.bound.loss - reached, 0.0)


def undecided(model: FirstMoment, full: Candidate | None, bound: Candidate | None, close: float = CLOSE) -> bool:
    """Whether some exclusion might beat the full program, as far as the relaxation's optimum tells."""
    if full is None or bound is None:
        return True
    return (1.0 - bound.loss) * model.target_unit - full.target > close * model.target_unit


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
    return candidate_at(model, program, excluded, solution, m, u)


def candidate_at(
    model: FirstMoment, program: Program, excluded: int, solution: Solution, m: np.ndarray, u: np.ndarray
) -> Candidate:
    """The candidate with contributions m and utilities u, in the program's units."""
    loss, contribution = solution.loss, m * model.data_unit
    if loss is None:
        belief = model.problem.belief
        loss = float(moments(exclude(program, excluded, belief), m, belief, np).target_loss)
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
    return sure + below_floor(model, others) * float(excess_without_data(program)[0] + 2.0)


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
    """A bound on the probability that the data trained on stay where the program counts too large a loss."""
    p, turnout = model.program.probabilities, model.problem.population.turnout
    if turnout.least * float(contribution.min()) >= model.knee:
        return 0.0
    return float(chernoff(contribution, p, model.knee, lambda log_phi: turnout.log_power(log_phi).value))


def chernoff(
    contribution: np.ndarray,
    probabilities: np.ndarray,
    floor: Any,
    log_power: Callable[[np.ndarray], np.ndarray],
) -> np.ndarray:
    """A bound on the probability that all contributions together stay below a floor.

    Args:
        contribution, probabilities: of the types, shape (*batch, types).
        floor: shape (*batch).
        log_power: log E phi^N by log phi, shape (*batch, rates).

    Returns:
        The least over a grid of rates s of e^{s floor} E phi(s)^N, shape (*batch).
    """
    relative = contribution / np.expand_dims(np.maximum(floor, 1e-300), -1)
    phi = np.exp(-RATES[:, None] * relative[..., None, :]) @ probabilities[..., None]
    with np.errstate(divide="ignore"):
        return np.exp((RATES + log_power(np.log(phi[..., 0]))).min(axis=-1))
