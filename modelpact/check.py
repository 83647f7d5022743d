"""What a problem file says, in plain words, and what looks wrong in it, before anything is designed.

>>> from contracts import LinearValuation, Population, PowerLaw, Problem
>>> problem = Problem(
...     population=Population(costs=[200.0, 100.0], probabilities=[0.5, 0.5], participants=2),
...     accuracy=PowerLaw(optimum=0.95, coefficient=2.0, exponent=0.5),
...     valuation=LinearValuation(scale=100.0),
... )
>>> warnings(problem)
('nothing pays: not even all data that the largest value buys give a model',)
"""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np

from contracts.contract import Contract
from contracts.problem import Problem
from contracts.problem.reservation import outside_option
from contracts.problem.shape import hopeless
from contracts.problem.standard_form import standard_form
from contracts.records import frozen
from modelpact import tables
from modelpact.problem_file import ProblemFile, read_problem
from modelpact.report_words import aim, conditions, laws, taking_part, worth
from modelpact.terminal import Flag, document, whisper

RARE = 0.01  # a probability below which a type hardly ever occurs
ALIKE = 0.01  # relative difference of costs below which two types are nearly one


@frozen
class Alone:
    """What each type would do without the others, shape (types,) each.

    Attributes:
        names: the types.
        contribution: raw data it would train on; NaN where outside options are given.
        accuracy: what these reach; NaN where outside options are given.
        net_value: what staying out gives, in own units.
    """

    names: tuple[str, ...]
    contribution: np.ndarray
    accuracy: np.ndarray
    net_value: np.ndarray


@frozen
class Checked:
    """What a problem file says.

    Attributes:
        says: sentences about who takes part, what data give, what models are worth, and further conditions.
        warnings: what may be meant, but looks wrong; one line each.
        alone: what everybody would do alone.
    """

    says: tuple[str, ...]
    warnings: tuple[str, ...]
    alone: Alone


def check(stated: ProblemFile) -> Checked:
    """Say what a problem file says, and what looks wrong, without designing anything.

    Args:
        stated: what `modelpact.problem_file.read_problem` read.
    """
    problem = stated.problem
    goal = aim(problem)
    says = (
        taking_part(problem),
        *(f"Of the chances is known: {line}." for line in stated.seen),
        f"What data give: {laws(problem)}.",
        f"What models are worth. {worth(problem)}",
        *conditions(problem, problem.currency),
        f"Maximised is {goal}." if goal else "Maximised is how good the joint model is.",
    )
    return Checked(says=says, warnings=(*stated.notes, *warnings(problem)), alone=_alone(problem))


def warnings(problem: Problem) -> tuple[str, ...]:
    """What in a problem looks wrong, one line each.

    Args:
        problem: any problem.
    """
    form = standard_form(problem)
    if all(hopeless(world.plain) for world in form.worlds):
        return ("nothing pays: not even all data that the largest value buys give a model",)
    population, found = problem.population, []
    names, costs = list(population.names or ()), population.costs
    for i in np.flatnonzero(population.probabilities < RARE):
        found.append(f"{names[i]}: a probability of {population.probabilities[i]:.3g} makes it hardly matter")
    order = np.argsort(costs)
    for a, b in itertools.pairwise(order):
        same = population.groups is None or population.groups[a] == population.groups[b]
        if same and 0.0 < costs[b] / costs[a] - 1.0 < ALIKE:
            found.append(
                f"{names[a]} and {names[b]}: costs of {costs[a]:g} and {costs[b]:g} are nearly the same"
            )
    if problem.outside.utility is None:
        alone = outside_option(form)
        idle = [names[i] for i in np.flatnonzero(alone.contribution == 0.0)]
        if idle and len(idle) < len(names):
            found.append(f"would train nothing alone, so dear are their data: {', '.join(idle)}")
    if costs.max() > 1e6 * costs.min():
        found.append(f"costs from {costs.min():g} to {costs.max():g}: are all in the same unit?")
    return tuple(found)


def _alone(problem: Problem) -> Alone:
    form = standard_form(problem)
    alone, given = outside_option(form), problem.outside.utility is not None
    nothing = np.full(alone.utility.shape, np.nan)
    data = alone.contribution * form.effective
    reached = np.max([[float(world.plain.accuracy(x)) for x in data] for world in form.worlds], axis=0)
    return Alone(
        names=tuple(problem.population.names or ()),
        contribution=nothing if given else alone.contribution,
        accuracy=nothing if given else problem.baseline + reached,
        net_value=alone.utility,
    )


def check_command(problem: Path, /, *, json: Flag = False) -> int:
    """Say what a problem file says and what looks wrong in it, within a second or two.

    Nothing is designed. Exits with 0 if nothing looks wrong, with 1 if something does (which may be meant), and
    with 2 if the file cannot be read as a problem.

    Parameters
    ----------
    problem
        A problem file, as for `modelpact design`; or a contract file, whose problem is checked.
    json
        Print one JSON document instead.
    """
    if problem.suffix.lower() == ".json":
        stated = ProblemFile(path=problem, problem=Contract.load(problem).problem)
    else:
        stated = read_problem(problem)
    found = check(stated)
    if json:
        print(document("check", found), end="")
    else:
        _show(found)
    whisper(found.warnings, "modelpact: ")
    return 1 if found.warnings else 0


def _show(found: Checked) -> None:
    out, alone = tables.console(), found.alone
    for sentence in found.says:
        out.print(sentence)
    columns = {"staying out": tables.numbers(alone.net_value)}
    if np.isfinite(alone.contribution).all():
        alone_columns = {"data alone": alone.contribution, "accuracy alone": alone.accuracy}
        columns = {title: tables.numbers(values) for title, values in alone_columns.items()} | columns
    out.print()
    out.print(tables.by_name("type", alone.names, columns))
    if not found.warnings:
        out.print("\nFound nothing that looks wrong. Next: modelpact design")
