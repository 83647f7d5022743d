r"""Thousands of contracts at once.

Everything that problems share is done once (mixtures of exponentials, relaxations, reservation utilities), all
programs of one belief and one padded shape are solved together (`contracts.batch_solver`), and what is left out
is searched as `contracts.exclusion` does. Answers are those of `design_contract`, to rounding.

>>> from contracts import GeneralizationBound, LinearValuation, Population, Problem
>>> problems = [
...     Problem(
...         population=Population(costs=[0.02, 0.01], probabilities=[0.5, 0.5], participants=participants),
...         accuracy=GeneralizationBound(),
...         valuation=LinearValuation(scale=100.0),
...     )
...     for participants in (10, 20, 40)
... ]
>>> [round(contract.objective, 4) for contract in design_contracts(problems)]
[93.5937, 95.5038, 96.822]
"""

from __future__ import annotations

import dataclasses
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import jax
import numpy as np

from contracts.batch_solver import LARGE, MOST_TYPES, SMALL, padded_types, solve_programs
from contracts.contract import Contract
from contracts.design import check_shape, contract_of, design_contract, hopeless
from contracts.errors import InvalidInput, ModelpactError
from contracts.exclusion import (
    CLOSE,
    CONVERGED,
    Candidate,
    attempt,
    chernoff,
    expected_target,
    possible_improvement,
    undecided,
)
from contracts.extension import ExtendedProblem, ReducedProblem
from contracts.first_moment import FirstMoment, Program, exclude, prepare, unfold
from contracts.interior_point import CYCLING, Solution, solve
from contracts.problem import Problem
from contracts.records import Keyed, identity
from contracts.relaxation import relax
from contracts.reservation import reservations


def design_contracts(problems: Problem | Iterable[Problem | ReducedProblem]) -> list[Any]:
    """Find the best contracts for many problems together.

    Args:
        problems: problems of any kinds and numbers of types, or one `Problem` whose costs, probabilities,
            participants, curve and valuation parameters carry leading batch dimensions (float64; they are
            broadcast against each other). Up to 64 types are solved together; larger problems, and curves that
            are no mixture of exponentials, one by one. Extended problems that are base problems in other terms
            (`ReducedProblem`) are taken too, others refused.

    Returns:
        The contracts in the order of the problems (of a batch: in C order), as `design_contract` gives them.

    Raises:
        InvalidInput, NotConverged: as `design_contract`; the message names the first problem that fails. Use
            `attempt_contracts` to keep the others.
    """
    answers = attempt_contracts(problems)
    for index, answer in enumerate(answers):
        if isinstance(answer, ModelpactError):
            answer.args = (f"problems[{index}]: {answer}", *answer.args[1:])
            raise answer
    return answers


def attempt_contracts(problems: Problem | Iterable[Problem | ReducedProblem]) -> list[Any]:
    """Like `design_contracts`, with the error of a problem that fails in place of its contract."""
    given = unstack(problems) if isinstance(problems, Problem) else list(problems)
    stated = [_base(problem, index) for index, problem in enumerate(given)]
    return [
        _guarded(problem.lifted, answer)
        if isinstance(problem, ReducedProblem) and isinstance(answer, Contract)
        else answer
        for problem, answer in zip(given, _attempt(stated), strict=True)
    ]


def _base(problem: Any, index: int) -> Problem:
    if isinstance(problem, ReducedProblem):
        return problem.reduced()
    if isinstance(problem, ExtendedProblem):
        kind = type(problem).__name__
        raise InvalidInput(
            f"problems[{index}] is a {kind}, which is not solved in batches: expected design_contract for each"
        )
    if not isinstance(problem, Problem):
        raise InvalidInput(f"problems[{index}] = {problem!r:.60}: expected a Problem")
    return problem


def _attempt(stated: list[Problem]) -> list[Contract | ModelpactError]:
    began = time.perf_counter()
    answers: list[Contract | ModelpactError | None] = [None] * len(stated)
    models = _prepared(stated, answers)
    found = _search(list(models.values()))
    share = (time.perf_counter() - began) / max(len(stated), 1)
    for (index, model), (best, bound) in zip(models.items(), found, strict=True):
        answers[index] = _guarded(contract_of, model, best, bound, "interior-point", time.perf_counter() - share)
    return [
        _guarded(design_contract, stated[index]) if answer is None else answer
        for index, answer in enumerate(answers)
    ]


def unstack(problem: Problem) -> list[Problem]:
    """The problems of a batch in C order: parameters with leading batch dimensions, broadcast together.

    Args:
        problem: costs and probabilities of shape (*batch, types); participants and the parameters of curve and
            valuation of shape (*batch) (tabulated curves: (*batch, points)).

    Raises:
        InvalidInput: shapes that do not broadcast, single-precision arrays, or a value out of range.

    >>> from contracts import LinearValuation, Population, PowerLaw
    >>> curve = PowerLaw(optimum=[0.9, 0.95, 1.0], coefficient=1.0, exponent=0.5)
    >>> population = Population(costs=[0.2, 0.1], probabilities=[0.5, 0.5], participants=10)
    >>> batch = Problem(population=population, accuracy=curve, valuation=LinearValuation(scale=100.0))
    >>> [single.accuracy.optimum for single in unstack(batch)]
    [0.9, 0.95, 1.0]
    """
    leaves, structure = jax.tree_util.tree_flatten_with_path(problem)
    names = ["".join(str(key) for key in path).lstrip(".") for path, _ in leaves]
    values = [np.asarray(leaf) for _, leaf in leaves]
    vectors = {"population.costs", "population.probabilities", "accuracy.data", "accuracy.accuracy"}
    own = [int(name in vectors) for name in names]
    for name, value in zip(names, values, strict=True):
        if value.dtype == np.float32:
            raise InvalidInput(f"{name} is float32: expected float64 (make it under jax.enable_x64(True))")
    shapes = [value.shape[: value.ndim - k] for value, k in zip(values, own, strict=True)]
    try:
        batch = np.broadcast_shapes(*shapes)
    except ValueError as error:
        text = ", ".join(f"{name} {shape}" for name, shape in zip(names, shapes, strict=True) if shape)
        raise InvalidInput(f"batch dimensions do not broadcast: {text}") from error
    wide = [
        np.broadcast_to(value, batch + value.shape[value.ndim - k :]).reshape(-1, *value.shape[value.ndim - k :])
        for value, k in zip(values, own, strict=True)
    ]
    singles = []
    for index in range(int(np.prod(batch))):
        parts = [value[index] if k else value[index].item() for value, k in zip(wide, own, strict=True)]
        try:
            singles.append(jax.tree_util.tree_unflatten(structure, parts))
        except InvalidInput as error:
            raise InvalidInput(
                f"problem {tuple(map(int, np.unravel_index(index, batch)))} of the batch: {error}"
            ) from error
    return singles


def _guarded(function: Callable[..., Any], *arguments: Any) -> Any:
    """The function's result, or the error it raised on purpose."""
    try:
        return function(*arguments)
    except ModelpactError as error:
        return error


def _prepared(
    problems: Sequence[Problem], answers: list[Contract | ModelpactError | None]
) -> dict[int, FirstMoment]:
    """Models of the problems that can be batched, by index; errors go into `answers`."""
    sound: list[int] = []
    for index, problem in enumerate(problems):
        answers[index] = _guarded(_check, problem)
        few = np.unique(problem.population.costs).size <= MOST_TYPES
        if answers[index] is None and few and not hopeless(problem):
            sound.append(index)
    alone = reservations([problems[index] for index in sound])
    models = {index: prepare(problems[index], own) for index, own in zip(sound, alone, strict=True)}
    return {index: model for index, model in models.items() if model.program.curves is None}


def _check(problem: Problem) -> None:
    most = problem.most_data
    # A curve that is sound on a wider range is sound; else look at the range that matters.
    if 1e-240 < most < 1e240 and _is_sound(
        Keyed((identity(problem.accuracy), np.ceil(np.log10(most))), problem)
    ):
        return
    check_shape(problem)


@lru_cache(maxsize=512)
def _is_sound(keyed: Keyed) -> bool:
    from contracts.accuracy import inspect

    try:
        shape = inspect(keyed.value.accuracy, high=10.0 ** keyed.key[-1])
    except InvalidInput:
        return False
    return shape.increasing and shape.concave


class _Task(NamedTuple):
    """A program to solve: which model's, and how many rows are left out."""

    model: int
    program: Program
    excluded: int


def _search(models: Sequence[FirstMoment]) -> list[tuple[Candidate | None, Candidate | None]]:
    """What `exclusion.search` finds for each model, all programs of a stage solved together."""
    floored = [k for k, model in enumerate(models) if model.problem.accuracy.floor > 0.0]
    tasks = [_Task(k, model.program, 0) for k, model in enumerate(models)]
    tasks += [_Task(k, _relaxed(models[k]), 0) for k in floored]
    many = len(models) > SMALL
    found = _attempts(models, tasks, many)
    best, bound = found[: len(models)], dict(zip(floored, found[len(models) :], strict=True))
    unsure = [k for k in floored if undecided(models[k], best[k], bound[k])]
    prefixes = [
        _Task(k, models[k].program, excluded)
        for k in unsure
        for excluded in range(1, models[k].program.costs.size)
        if _worth_trying(models[k], best[k], excluded)
    ]
    for task, candidate in zip(prefixes, _attempts(models, prefixes, many), strict=True):
        reached = best[task.model]
        if candidate is not None and (reached is None or candidate.target > reached.target):
            best[task.model] = candidate
    return [(candidate, bound.get(k)) for k, candidate in enumerate(best)]


def _worth_trying(model: FirstMoment, full: Candidate | None, excluded: int) -> bool:
    return full is None or possible_improvement(model, full, excluded) > CLOSE


def _attempts(models: Sequence[FirstMoment], tasks: Sequence[_Task], many: bool) -> list[Candidate | None]:
    shapes: dict[tuple, list[int]] = defaultdict(list)
    programs = []
    for place, task in enumerate(tasks):
        belief = models[task.model].problem.belief
        programs.append(exclude(task.program, task.excluded, belief))
        shapes[(belief, padded_types(task.program.costs.size))].append(place)
    answers: list[Candidate | None] = [None] * len(tasks)
    for (belief, _), places in shapes.items():
        terms = max(models[tasks[k].model].program.rates.size for k in places)
        solutions = solve_programs([programs[k] for k in places], belief, terms=terms, many=many)
        solved: dict[int, list[_Solved]] = defaultdict(list)
        for place, solution in zip(places, solutions, strict=True):
            task, model = tasks[place], models[tasks[place].model]
            if solution.error <= CONVERGED:
                solved[task.program.costs.size].append(_Solved(place, model, task, programs[place], solution))
            else:
                answers[place] = attempt(model, task.program, task.excluded, _recall(solution, task))
        for members in solved.values():
            for first in range(0, len(members), LARGE):
                for one, candidate in _candidates(members[first : first + LARGE]):
                    answers[one.place] = candidate
    return answers


class _Solved(NamedTuple):
    """A task with the program that was solved for it."""

    place: int
    model: FirstMoment
    task: _Task
    program: Program
    solution: Solution


def _candidates(solved: Sequence[_Solved]) -> Iterable[tuple[_Solved, Candidate]]:
    """What `exclusion.attempt` makes of solved programs of one number of types, all at once."""
    models = [one.model for one in solved]

    def stacked(field: str) -> np.ndarray:
        return np.stack([getattr(one.program, field) for one in solved])

    shape = solved[0].program._replace(**{name: stacked(name) for name in ("costs", "reservation", "active")})
    m, u = unfold(shape, np.stack([one.solution.gaps for one in solved]), np)
    contribution = m * np.array([[model.data_unit] for model in models])
    utility = u * np.array([[model.value_unit] for model in models])
    participants = np.array([one.program.participants for one in solved])
    floors = np.array([float(model.problem.accuracy.floor) for model in models])
    below = chernoff(contribution, stacked("probabilities"), participants, floors)
    for one, data, gain, chance in zip(solved, contribution, utility, below.tolist(), strict=True):
        loss = one.solution.loss or 0.0
        target = expected_target(one.model, data, loss, chance)
        yield one, Candidate(one.task.excluded, one.task.program, one.solution, data, gain, loss, target)


def _recall(solution: Solution, task: _Task) -> Callable[[Program, str], Solution]:
    """A solver that knows the answer. Where the batch found none, the single one is asked, unless that would
    only repeat, step by step, why a program without some types has no solution."""
    types = task.program.costs.size
    if solution.error <= CYCLING or (task.excluded and padded_types(types) == types):
        return lambda _program, _belief: solution
    return solve


def _relaxed(model: FirstMoment) -> Program:
    """`relax(model)`, whose linear programs are shared by models of one curve, valuation and range."""
    problem = model.problem
    key = (
        identity(problem.accuracy),
        identity(problem.valuation),
        problem.target_is_value,
        model.value_mixture.high,
    )
    relaxed = _relaxation(Keyed(key, model))
    return model.program._replace(
        rates=relaxed.rates * model.data_unit,
        target_weights=relaxed.target_weights,
        value_weights=relaxed.value_weights,
    )


@lru_cache(maxsize=512)
def _relaxation(keyed: Keyed) -> Program:
    return relax(dataclasses.replace(keyed.value, data_unit=1.0))
