r"""Thousands of contracts at once.

Everything that problems share is done once (mixtures of exponentials, relaxations, reservation utilities), all
programs of one belief and one padded shape are solved together (`contracts.program.batch_solver`), and what is
left out is searched as `contracts.program.exclusion` does. Answers are those of `design_contract`, to rounding.

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

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np

from contracts.contract import Contract
from contracts.contract.design import design_contract
from contracts.contract.plain_design import contract_of
from contracts.contract.stated import Stated
from contracts.errors import InvalidInput, ModelpactError
from contracts.problem import Problem
from contracts.problem.reservation import Reservation, reservations
from contracts.problem.shape import check_shape, hopeless
from contracts.program.batch_solver import BLOCK, padded_types, solve_programs
from contracts.program.compiled import MOST_TYPES
from contracts.program.exclusion import CONVERGED, Candidate, Found, attempt, chernoff, expected_target, plan
from contracts.program.first_moment import FirstMoment, Program, exclude, prepare, unfold
from contracts.program.interior_point import CYCLING, Solution, solve

WORTH_COMPILING = 64  # programs of one size; fewer are solved with the next larger ones


def design_contracts(problems: Problem | Iterable[Problem]) -> list[Contract]:
    """Find the best contracts for many problems together.

    Args:
        problems: problems of any kinds and numbers of types, or one `Problem` whose costs, probabilities,
            participants, curve and valuation parameters carry leading batch dimensions (float64; they are
            broadcast against each other). Problems whose standard form is the published program (whatever their
            qualities, scales, baselines, margins, or doubt in total variation) are solved together up to 64
            types; larger ones, curves that are no mixture of exponentials, uncertain numbers of participants,
            and all others, one by one.

    Returns:
        The contracts in the order of the problems (of a batch: in C order), as `design_contract` gives them with
        `time_limit=0`: without branch and bound, so that where training is dear a better contract may exist. The
        certificate's gap says by how much; design those problems alone.

    Raises:
        InvalidInput, NotConverged: as `design_contract`; the message names the first problem that fails. Use
            `attempt_contracts` to keep the others.
    """
    answers = attempt_contracts(problems)
    for index, answer in enumerate(answers):
        if isinstance(answer, ModelpactError):
            answer.args = (f"problems[{index}]: {answer}", *answer.args[1:])
            raise answer
    return answers  # type: ignore[return-value]


def attempt_contracts(problems: Problem | Iterable[Problem]) -> list[Contract | ModelpactError]:
    """Like `design_contracts`, with the error of a problem that fails in place of its contract."""
    given = unstack(problems) if isinstance(problems, Problem) else list(problems)
    for index, problem in enumerate(given):
        if not isinstance(problem, Problem):
            raise InvalidInput(f"problems[{index}] = {problem!r:.60}: expected a Problem")
    return _attempt(given)


def _attempt(given: list[Problem]) -> list[Contract | ModelpactError]:
    began = time.perf_counter()
    answers: list[Contract | ModelpactError | None] = [None] * len(given)
    stated = {k: _guarded(Stated.of, problem) for k, problem in enumerate(given) if not problem.plain}
    due = {
        k: one.reservation
        for k, one in stated.items()
        if isinstance(one, Stated) and one.simple and not one.form.uncertain
    }
    plain = {
        k: stated[k].plain if k in due else given[k] for k in range(len(given)) if k in due or k not in stated
    }
    models = _prepared(plain, due, answers)
    found = _search(list(models.values()))
    share = (time.perf_counter() - began) / max(len(given), 1)
    for (index, model), one in zip(models.items(), found, strict=True):
        answer = _guarded(contract_of, model, one, "interior-point", time.perf_counter() - share)
        answers[index] = stated[index].read(answer) if index in due and isinstance(answer, Contract) else answer
    return [
        _guarded(partial(design_contract, time_limit=0.0), given[index]) if answer is None else answer
        for index, answer in enumerate(answers)
    ]


def unstack(problem: Problem) -> list[Problem]:
    """The problems of a batch in C order: parameters with leading batch dimensions, broadcast together.

    Args:
        problem: costs and probabilities of shape (*batch, types); participants and the parameters of curve and
            valuation of shape (*batch) (tabulated curves: (*batch, points)).

    Raises:
        InvalidInput: shapes that do not broadcast, or a value out of range.

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
    vectors = {"population.costs", "population.probabilities"}
    vectors |= {f"accuracy.{name}" for name in ("data", "accuracy", "weights", "rates")}
    own = [int(name in vectors) for name in names]
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
        parts = [
            value[index] if k else np.asarray(value[index]).item() for value, k in zip(wide, own, strict=True)
        ]
        try:
            singles.append(_checked(jax.tree_util.tree_unflatten(structure, parts)))
        except InvalidInput as error:
            raise InvalidInput(
                f"problem {tuple(map(int, np.unravel_index(index, batch)))} of the batch: {error}"
            ) from error
    return singles


def _checked(problem: Problem) -> Problem:
    """The problem made by its constructors, which check it."""
    parts = {name: replace(getattr(problem, name)) for name in ("population", "accuracy", "valuation")}
    return replace(problem, **parts)


def _guarded(function: Callable[..., Any], *arguments: Any) -> Any:
    """The function's result, or the error it raised on purpose."""
    try:
        return function(*arguments)
    except ModelpactError as error:
        return error


def _prepared(
    plain: dict[int, Problem], due: dict[int, Reservation], answers: list[Contract | ModelpactError | None]
) -> dict[int, FirstMoment]:
    """Models of the problems that can be batched, by index; errors go into `answers`."""
    sound: list[int] = []
    for index, problem in plain.items():
        answers[index] = _guarded(check_shape, problem)
        few = np.unique(problem.population.costs).size <= MOST_TYPES
        if answers[index] is None and few and not hopeless(problem):
            sound.append(index)
    own = [index for index in sound if index not in due]
    alone = due | dict(zip(own, reservations([plain[index] for index in own]), strict=True))
    models = {index: prepare(plain[index], alone[index]) for index in sound}
    return {
        index: model
        for index, model in models.items()
        if model.program.curves is None and model.program.turnout is None
    }


class _Task(NamedTuple):
    """A program to solve: which model's, and how many rows are left out."""

    model: int
    program: Program
    excluded: int


def _sizes(models: Sequence[FirstMoment]) -> dict[int, int]:
    """To how many types programs of each number of types are filled up: few programs join larger ones."""
    count = Counter(padded_types(model.program.costs.size) for model in models)
    kept = [size for size in count if count[size] >= WORTH_COMPILING or size == max(count)]
    numbers = {model.program.costs.size for model in models}
    return {types: min(size for size in kept if size >= types) for types in numbers}


def _search(models: Sequence[FirstMoment]) -> list[Found]:
    """What `exclusion.search` finds for each model, all programs of a stage solved together."""
    sizes = _sizes(models)
    plans = [plan(model) for model in models]
    found: dict[int, Found] = {}
    stage = {k: next(one) for k, one in enumerate(plans)}
    while stage:
        tasks = [_Task(k, task.program, task.excluded) for k, wanted in stage.items() for task in wanted]
        answers = iter(_attempts(models, tasks, sizes))
        following = {}
        for k, wanted in stage.items():
            try:
                following[k] = plans[k].send([next(answers) for _ in wanted])
            except StopIteration as end:
                found[k] = end.value
        stage = following
    return [found[k] for k in range(len(models))]


def _attempts(
    models: Sequence[FirstMoment], tasks: Sequence[_Task], sizes: dict[int, int]
) -> list[Candidate | None]:
    shapes: dict[tuple, list[int]] = defaultdict(list)
    programs = []
    for place, task in enumerate(tasks):
        belief = models[task.model].problem.belief
        programs.append(exclude(task.program, task.excluded, belief))
        shapes[(belief, sizes[task.program.costs.size])].append(place)
    answers: list[Candidate | None] = [None] * len(tasks)
    for (belief, size), places in shapes.items():
        terms = max(models[tasks[k].model].program.rates.size for k in places)
        solutions = solve_programs([programs[k] for k in places], belief, types=size, terms=terms)
        solved: dict[int, list[_Solved]] = defaultdict(list)
        for place, solution in zip(places, solutions, strict=True):
            task, model = tasks[place], models[tasks[place].model]
            if solution.error <= CONVERGED:
                solved[task.program.costs.size].append(_Solved(place, model, task, programs[place], solution))
            else:
                answers[place] = attempt(model, task.program, task.excluded, _recall(solution, task, size))
        for members in solved.values():
            for first in range(0, len(members), BLOCK):
                for one, candidate in _candidates(members[first : first + BLOCK]):
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
    participants = np.array([[one.program.participants] for one in solved])
    floors = np.array([model.knee for model in models])
    below = chernoff(contribution, stacked("probabilities"), floors, lambda log_phi: participants * log_phi)
    below = np.where(participants[:, 0] * contribution.min(axis=1) >= floors, 0.0, below)
    for one, data, gain, chance in zip(solved, contribution, utility, below.tolist(), strict=True):
        loss = one.solution.loss or 0.0
        target = expected_target(one.model, data, loss, chance)
        yield one, Candidate(one.task.excluded, one.task.program, one.solution, data, gain, loss, target)


def _recall(solution: Solution, task: _Task, size: int) -> Callable[[Program, str], Solution]:
    """A solver that knows the answer. Where the batch found none, the single one is asked, unless that would
    only repeat, step by step, why a program without some types has no solution."""
    if solution.error <= CYCLING or (task.excluded and size == task.program.costs.size):
        return lambda _program, _belief: solution
    return solve
