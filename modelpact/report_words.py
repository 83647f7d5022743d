"""What a report says of a problem, in plain words: who takes part, what is assumed, what was asked for.

Sentences hold names as users wrote them: whoever shows them escapes them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from contracts.problem import Problem
from contracts.problem.accuracy import AccuracyCurve
from contracts.problem.population import Population
from modelpact.plain_numbers import amount, percent

CLAUSES = {
    "count": "Nobody who signs may lose by it, whoever else signs: with too few signatures all are released.",
    "table": "Nobody who signs may lose by it, whoever else signs: there is a menu for each number of"
    " signatures.",
    "cut": "Nobody who signs may lose by it, whoever else signs: contributions are cut until the model pays"
    " for them.",
    "contingent": "Nobody who signs may lose by it, whoever else signs: what each owes and receives follows from"
    " who signed which option.",
}
MANY = 8  # names that are listed

BELIEFS = {
    "interim": "Each participant knows its own kind, and expects the others to be drawn by these chances.",
    "ex-ante": "Each kind reckons with all draws of the participants in which it occurs at least once.",
}


def money(value: float, currency: str) -> str:
    """An amount with its unit."""
    return f"{amount(value)} {currency}".rstrip()


def listed(names: Any) -> str:
    """A few names, or how many there are."""
    names = list(names)
    if len(names) > MANY:
        return f"{', '.join(names[: MANY - 1])} and {len(names) - MANY + 1} more"
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def who(population: Population) -> str:
    """Who takes part, as the beginning of a sentence.

    >>> who(Population(costs=[0.2, 0.1], probabilities=[0.5, 0.5], participants=7))
    '7 participants of 2 kinds'
    >>> who(Population(costs=[0.2, 0.1], names=["Aachen", "Bonn"], participants="named"))
    '2 participants, known by name (Aachen and Bonn),'
    """
    kinds = f"{population.types} {'kind' if population.types == 1 else 'kinds'}"
    if population.named:
        return f"{population.types} participants, known by name ({listed(population.names)}),"
    if population.groups is not None:
        return f"Participants of {kinds}, in groups that everybody can tell apart ({population.size}),"
    if isinstance(population.participants, int):
        return f"{amount(population.participants)} participants of {kinds}"
    return f"Participants of {kinds}, their number not known in advance ({population.size}),"


def taking_part(problem: Problem) -> str:
    """What is assumed of who takes part."""
    population = problem.population
    belief = BELIEFS[problem.belief]
    if population.named:
        return f"All of {listed(population.names)}, each with the cost stated, which everybody may know."
    each = "each of one of the kinds named, with the chances and costs stated, independently of one another"
    if population.groups is not None:
        found = f"{population.size}; the groups' numbers are independent, and within a group {each}."
    elif isinstance(population.participants, int):
        found = f"{amount(population.participants)} participants, {each}."
    else:
        found = f"As many as this law says: {population.size}; {each}."
    return f"{found} {belief}"


def scenarios(problem: Problem) -> tuple[str, ...]:
    """What each scenario is called; one that is called nothing where there are no others."""
    if len(problem.scenarios) < 2:
        return ("",)
    return tuple(
        f"scenario {k + 1} ({percent(scenario.weight)} likely)" for k, scenario in enumerate(problem.scenarios)
    )


def laws(problem: Problem) -> str:
    """What data give, as a sentence's end."""
    curves = {id(one.accuracy or problem.accuracy): one.accuracy for one in problem.scenarios}
    if len(curves) < 2:
        (curve,) = curves.values() or (None,)
        return law(curve or problem.accuracy)
    each = [
        f"in scenario {k + 1} {law(one.accuracy or problem.accuracy)}" for k, one in enumerate(problem.scenarios)
    ]
    return "; ".join(each)


def law(accuracy: AccuracyCurve) -> str:
    """What data give on one curve."""
    curve: Any = accuracy
    top = percent(float(curve.optimum))
    shapes = {
        "power-law": lambda: (
            f"it falls short of {top} by {amount(curve.coefficient)} divided by the number of data to the power"
            f" of {amount(curve.exponent)}"
        ),
        "generalization-bound": lambda: (
            f"it follows the general bound of learning theory, up to {top}, for models of complexity"
            f" {amount(curve.complexity)}"
        ),
        "exponential": lambda: (
            f"it approaches {top}, each datum closing {percent(curve.rate)} of what is missing"
        ),
        "arctan": lambda: f"it approaches {top} and is half of that at {amount(curve.scale)} data",
        "weibull": lambda: (
            f"it approaches {top}, all but {percent(0.368)} of which it reaches at {amount(curve.scale)} data"
            f"{_bend(curve.exponent)}"
        ),
        "hill": lambda: (
            f"it approaches {top} and is half of that at {amount(curve.scale)} data{_bend(curve.exponent)}"
        ),
        "tabulated": lambda: f"it runs through {len(curve.data)} given points, up to {top}",
        "measured": lambda: _measured(curve, top),
    }
    return shapes.get(curve.family, lambda: f"it follows a curve of its own, up to {top}")()


def _bend(exponent: float) -> str:
    return f" (exponent {amount(exponent)}: {'S-shaped' if exponent > 1.0 else 'flattening from the start'})"


PROMISED = {
    "average": "on average over the curves that the measurements leave possible",
    "model": "as shares of the trained model's value, which move with the curve",
    "value": "as values that are kept under all but the least likely curves",
}


def _measured(curve: Any, top: str) -> str:
    """What is known of a measured curve, and how it is promised."""
    measured = curve.measurements
    first, last = measured.data[[0, -1]]
    return (
        f"it was measured {measured.size} times, between {amount(first)} and {amount(last)} data, and approaches"
        f" {top}; promises are made {PROMISED[curve.promise]}"
    )


def worth(problem: Problem) -> str:
    """What models are worth, as a sentence."""
    scales = problem.scales
    if np.ptp(scales) == 0.0:
        found = f"The same to everybody: a perfect model {amount(float(scales[0]))}"
    else:
        found = (
            f"Not the same to everybody: a perfect model from {amount(float(scales.min()))} to"
            f" {amount(float(scales.max()))}, as the table “All numbers” says"
        )
    of = getattr(problem.valuation, "of", "")
    shape = (
        "any other in proportion to its accuracy"
        if problem.valuation.linear
        else f"any other less in proportion to its loss ({of})"
        if of
        else "and each further step in accuracy less than the one before"
    )
    had = f"the {percent(problem.baseline)} that everybody has without data"
    above = f", less what {had} are worth" if problem.valuation.linear else f", counted from {had}"
    return f"{found}, {shape}{above if problem.baseline else ''}."


def conditions(problem: Problem, currency: str) -> tuple[str, ...]:
    """What the problem asks for, or knows, besides costs, one curve and one kind of value: one sentence each."""
    return (*_of_population(problem.population), *_of_outside(problem, currency), *_of_menu(problem, currency))


def _of_population(population: Population) -> list[str]:
    found = []
    if population.qualities is not None:
        found.append(
            "Data differ in quality: a datum counts for its kind's share of a perfect one, and options ask for"
            " as many data as make the same effective data."
        )
    if population.capacities is not None:
        found.append("Nobody is asked for more data than it has.")
    if population.shading:
        found.append(
            f"Up to {percent(population.shading)} of what is agreed may be missing without being noticed: every"
            " promise is kept even if everybody delivers only the rest."
        )
    if population.doubt is not None:
        found.append(
            f"The chances of the kinds may be wrong: {population.doubt}. Every promise is kept in the worst of"
            " them, and what is said of the joint model is the least over them."
        )
    return found


def _of_outside(problem: Problem, currency: str) -> list[str]:
    outside, found = problem.outside, []
    if outside.utility is not None:
        found.append(
            "What staying out gives is stated for each kind, and need not be what it would gain by training"
            " alone."
        )
    joining = np.unique(outside.joining_cost)
    if joining.any():
        costs = (
            money(float(joining[0]), currency)
            if joining.size == 1
            else f"from {amount(float(joining[0]))} to {money(float(joining[-1]), currency)}"
        )
        found.append(
            f"Taking part costs each {costs} whatever it brings, and gains are what remains after that."
        )
    if problem.baseline:
        found.append(
            f"Everybody has an accuracy of {percent(problem.baseline)} without any data: only what a model adds"
            " to that is worth anything."
        )
    return found


def _of_menu(problem: Problem, currency: str) -> list[str]:
    menu, found = problem.menu, []
    if menu.options is not None:
        found.append(f"The menu may have at most {menu.options} {'option' if menu.options == 1 else 'options'}.")
    if menu.lot is not None:
        found.append(f"Options ask for whole lots of {amount(menu.lot)} (effective) data.")
    if menu.participation_margin:
        least = money(menu.participation_margin, currency)
        found.append(f"Everybody who takes part gains at least {least} over staying out.")
    if menu.preference_margin:
        least = money(menu.preference_margin, currency)
        found.append(f"Everybody would lose at least {least} by another option than its own.")
    if menu.assurance is not None:
        found.append(CLAUSES[menu.assurance])
    if len(problem.scenarios) > 1:
        found.append(
            f"One of {len(problem.scenarios)} scenarios will turn out true: the menu is best on average over"
            " them, and its promises are kept in each."
        )
    return found


def aim(problem: Problem) -> str:
    """What is maximised, where that is not the joint model; "" where it is."""
    objective: Any = problem.objective
    if objective is None:
        return ""
    target = "value" if problem.target_is_value else "accuracy"
    weight = objective.weight()
    plus = f", plus {amount(weight)} times the joint model's expected {target}" if weight else ""
    worst = "gain over staying out" if getattr(objective, "over", "gain") == "gain" else "gain"
    words = {
        "welfare": f"the mean gain of a participant{plus}",
        "rawlsian": f"the {worst} of whoever is worst off{plus}",
        "nash-bargaining": "the mean logarithm of the gains over staying out (Nash's bargaining solution)",
        "distribution-cost": f"the joint model's expected {target}, less what handing out models costs",
    }
    return words.get(objective.family, f"an objective of its own ({objective.family})")
