"""Hypothesis strategies for problems of any combination of ingredients.

>>> from hypothesis import find
>>> find(problems(ingredients=("groups", "baseline")), lambda problem: True).population.group_names
('g1', 'g2')
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

import numpy as np
from hypothesis import assume
from hypothesis import strategies as st

from contracts.contract import Contract
from contracts.contract.design import design_contract
from contracts.errors import InvalidInput
from contracts.measured.measured_curve import MeasuredCurve
from contracts.measured.measurements import Measurements
from contracts.problem import Problem
from contracts.problem.accuracy import Tabulated
from contracts.problem.combinations import TABLE
from contracts.problem.doubt import Doubt
from contracts.problem.menu import Menu
from contracts.problem.objective import DistributionCost, NashBargaining, Rawlsian, Welfare
from contracts.problem.outside import Outside
from contracts.problem.participants import Binomial, FiniteTurnout, Poisson
from contracts.problem.population import Population
from contracts.problem.scenario import Scenario
from contracts.problem.valuation import LinearValuation
from contracts.testing.strategies import by_logarithm, data_for_half, plain_problems, valuations

KINDS: dict[str, tuple[str, ...]] = {
    "participants": ("law",),
    "groups": ("groups", "named"),
    "qualities": ("qualities",),
    "capacities": ("capacities",),
    "shading": ("shading",),
    "doubt": ("total-variation", "kullback-leibler"),
    "scale": ("scales",),
    "baseline": ("baseline",),
    "outside": ("outside-utility",),
    "joining": ("joining-cost",),
    "options": ("options",),
    "lot": ("lot",),
    "participation": ("participation-margin",),
    "preference": ("preference-margin",),
    "objective": ("welfare", "rawlsian", "nash-bargaining", "distribution-cost"),
    "scenarios": ("scenarios",),
    "belief": ("ex-ante",),
    "assurance": ("count", "table", "cut", "contingent"),
    "curve": ("measured",),
}
INGREDIENTS = tuple(name for names in KINDS.values() for name in names)
ANY = "any"


def alternatives(ingredients: Iterable[str]) -> bool:
    """Whether two of the ingredients are of one kind, of which a problem has one.

    >>> alternatives(["welfare", "rawlsian"]), alternatives(["welfare", "lot"])
    (True, False)
    """
    chosen = set(ingredients)
    return any(len(chosen.intersection(names)) > 1 for names in KINDS.values())


def problems(
    *,
    ingredients: Iterable[str] = (),
    at_most: int = 4,
    types: tuple[int, int] | None = None,
    participants: tuple[int, int] | None = None,
    families: tuple[str, ...] = (),
    spread: float | None = None,
    unlikely: bool = False,
) -> st.SearchStrategy[Problem]:
    """Problems whose costs matter: from negligible to prohibitive for the curve that was drawn.

    Args:
        ingredients: which of `INGREDIENTS` they all have besides the published ones; or `ANY`: each problem up
            to `at_most` of them, as far as these go together. By default none: published problems.
        at_most: see there.
        types, participants, unlikely: as in `populations`; by default (1, 6) and (2, 1000), with ingredients
            (2, 4) and (2, 6), of each group (1, 3).
        families: as in `curves`.
        spread: largest ratio of two costs, by default 100, with ingredients 10.

    Raises:
        InvalidInput: an ingredient that there is not, or two of one kind.
    """
    if not ingredients:
        return plain_problems(
            types=types or (1, 6),
            participants=participants or (2, 1000),
            families=families,
            spread=spread or 100.0,
            unlikely=unlikely,
        )
    drawn = parts(
        ingredients=ingredients,
        at_most=at_most,
        types=types or (2, 4),
        participants=participants or (2, 6),
        families=families,
        spread=spread or 10.0,
        unlikely=unlikely,
    )
    return drawn.filter(lambda made: refusal(made) is None).map(lambda made: Problem(**made))


def contracts(**options: Any) -> st.SearchStrategy[Contract]:
    """Best contracts of `problems(**options)`."""
    return problems(**options).map(design_contract)


def refusal(made: dict[str, Any]) -> str | None:
    """The line of the table of combinations for which a problem of these parts is refused; None if it is not.

    Args:
        made: arguments of a `Problem`, as `parts` draws them.
    """
    sketch: Any = SimpleNamespace(
        **{"belief": "interim", "objective": None, "scenarios": (), "menu": Menu(), "outside": Outside()} | made
    )
    sketch.scales = np.broadcast_to(made["valuation"].scale, (made["population"].types,))
    for line in TABLE:
        if line.applies(sketch):
            return f"{line.first} and {line.second}"
    return None


@st.composite
def parts(
    draw: Any,
    *,
    ingredients: Iterable[str],
    at_most: int = 4,
    types: tuple[int, int] = (2, 4),
    participants: tuple[int, int] = (2, 6),
    families: tuple[str, ...] = (),
    spread: float = 10.0,
    unlikely: bool = False,
) -> dict[str, Any]:
    """Arguments of problems, whether or not they go together; arguments as in `problems`."""
    chosen = _chosen(draw, ingredients, at_most)
    base = draw(
        plain_problems(
            types=types, participants=participants, families=families, spread=spread, unlikely=unlikely
        )
    )
    curve, worth = base.accuracy, base.valuation
    if "scales" in chosen:
        size = base.population.types
        factors = np.exp(draw(st.lists(st.floats(-0.7, 0.7), min_size=size, max_size=size)))
        worth = dataclasses.replace(worth, scale=float(worth.scale) * factors)
    made: dict[str, Any] = {
        "accuracy": curve,
        "valuation": worth,
        "belief": "ex-ante" if "ex-ante" in chosen else "interim",
        "maximise": base.maximise,
    }
    made["population"] = _population(draw, chosen, base, worth, participants, unlikely)
    if "measured" in chosen:
        # What a valuation that is not linear makes of a posterior is another curve than its mean.
        made["valuation"] = LinearValuation(scale=worth.scale)
        made["accuracy"] = _measured(draw, base)
    if "scenarios" in chosen:
        made["scenarios"] = _scenarios(draw, made["population"], curve)
    if "baseline" in chosen:
        every = [curve, *(s.accuracy for s in made.get("scenarios", ()) if s.accuracy is not None)]
        most = min(float(one.optimum) for one in every)
        if "measured" in chosen:
            most = min(most, float(made["accuracy"].measurements.accuracy.max()))
        made["baseline"] = draw(st.floats(0.05, 0.7)) * most
        if "measured" in chosen:
            made["accuracy"] = dataclasses.replace(made["accuracy"], chance=made["baseline"])
    return made | _demands(draw, chosen, base)


def _chosen(draw: Any, ingredients: Iterable[str], at_most: int) -> frozenset[str]:
    if isinstance(ingredients, str):
        if ingredients != ANY:
            raise InvalidInput(f"ingredients = {ingredients!r}: expected {ANY!r} or some of {INGREDIENTS}")
        kinds = draw(st.lists(st.sampled_from(sorted(KINDS)), max_size=at_most, unique=True))
        return frozenset(draw(st.sampled_from(KINDS[kind])) for kind in kinds)
    chosen = frozenset(ingredients)
    if not chosen <= set(INGREDIENTS):
        raise InvalidInput(
            f"ingredients: {sorted(chosen.difference(INGREDIENTS))}: expected some of {INGREDIENTS}"
        )
    if alternatives(chosen):
        raise InvalidInput(f"ingredients = {sorted(chosen)}: expected one of each kind")
    return chosen


def _population(
    draw: Any, chosen: frozenset[str], base: Problem, worth: Any, number: tuple[int, int], unlikely: bool
) -> Population:
    stated, size = base.population, base.population.types
    made: dict[str, Any] = {"costs": stated.costs, "probabilities": stated.probabilities}
    made["participants"] = draw(laws(*number)) if "law" in chosen else stated.participants
    groups = np.zeros(size, dtype=int)
    if "named" in chosen:
        assume(size >= 2)
        made |= {"participants": "named", "probabilities": None}
        groups = np.arange(size)
    elif "groups" in chosen:
        groups, grouped = _grouped(draw, size, "law" in chosen, unlikely)
        made |= grouped
    quality = np.ones(size)
    if "qualities" in chosen:
        quality = np.array(draw(st.lists(st.floats(0.3, 1.0), min_size=size, max_size=size)))
        made["qualities"] = quality
    if "capacities" in chosen:
        cost = stated.costs / (quality * np.broadcast_to(worth.scale, (size,)))
        made["capacities"] = _rising(draw, cost, groups, data_for_half(base.accuracy)) / quality
    if "shading" in chosen:
        made["shading"] = draw(st.floats(0.02, 0.3))
    if "total-variation" in chosen:
        made["doubt"] = Doubt(radius=draw(st.floats(0.01, 0.3)))
    if "kullback-leibler" in chosen:
        made["doubt"] = Doubt(radius=draw(st.floats(0.001, 0.1)), distance="kullback-leibler")
    return Population(**made)


def _grouped(draw: Any, size: int, uncertain: bool, unlikely: bool) -> tuple[np.ndarray, dict[str, Any]]:
    """One to three groups, groups of one included, each of a few participants."""
    many = draw(st.integers(min(2, size), min(3, size)))
    places = [
        *range(many),
        *draw(st.lists(st.integers(0, many - 1), min_size=size - many, max_size=size - many)),
    ]
    group = np.array(draw(st.permutations(places)))
    order = list(dict.fromkeys(group.tolist()))
    shares = np.array(draw(st.lists(st.floats(0.0 if unlikely else 0.05, 1.0), min_size=size, max_size=size)))
    for g in order:
        members = group == g
        total = shares[members].sum()
        shares[members] = shares[members] / total if total > 0.0 else 1.0 / members.sum()
    names = {g: f"g{k + 1}" for k, g in enumerate(order)}
    numbers = {names[g]: draw(laws(2, 3) if uncertain else st.integers(1, 3)) for g in order}
    if many == 1 and numbers["g1"] == 1:
        numbers["g1"] = 2
    return group, {"groups": [names[g] for g in group], "probabilities": shares, "participants": numbers}


def laws(least: int = 2, most: int = 6) -> st.SearchStrategy[Any]:
    """Laws of the number of participants, of means between about the two numbers."""
    finite = st.lists(st.integers(0, most), min_size=1, max_size=3, unique=True).filter(lambda n: max(n) >= 2)
    return st.one_of(
        st.builds(Poisson, mean=st.floats(0.5 * least, max(0.5 * most, 0.5 * least))),
        st.builds(Binomial, trials=st.integers(max(least, 2), max(most, 2)), probability=st.floats(0.3, 1.0)),
        finite.map(lambda n: FiniteTurnout(counts=n, probabilities=[1.0 / len(n)] * len(n))),
    )


def _rising(draw: Any, cost: np.ndarray, group: np.ndarray, unit: float) -> np.ndarray:
    """Effective capacities that rise as effective costs fall, within each group."""
    capacity = np.array(
        draw(st.lists(by_logarithm(0.05 * unit, 20.0 * unit), min_size=cost.size, max_size=cost.size))
    )
    for g in np.unique(group):
        members = np.flatnonzero(group == g)
        order = members[np.argsort(-cost[members], kind="stable")]
        capacity[order] = np.sort(capacity[members])
    return capacity


def _measured(draw: Any, base: Problem) -> MeasuredCurve:
    """The problem's curve as it is known by five measurements, around the data that give half of it."""
    data = data_for_half(base.accuracy) * np.array([0.5, 1.0, 2.0, 4.0, 8.0])
    accuracy = np.asarray(base.accuracy(data))
    noise = np.array(draw(st.lists(st.floats(-1.0, 1.0), min_size=5, max_size=5)))
    error = 0.01 * np.ones(5)
    measured = Measurements(
        data=data, accuracy=np.clip(accuracy + error * noise, 0.0, 1.0), standard_error=error
    )
    return MeasuredCurve(measurements=measured)


def _lower(curve: Any, factor: float) -> Any:
    """A curve of the same family that promises somewhat less."""
    name = "accuracy" if isinstance(curve, Tabulated) else "optimum"
    return dataclasses.replace(curve, **{name: getattr(curve, name) * factor})


def _scenarios(draw: Any, population: Population, curve: Any) -> tuple[Scenario, ...]:
    many = draw(st.integers(2, 3))
    weights = np.array(draw(st.lists(st.floats(0.05, 1.0), min_size=many, max_size=many)))
    found = []
    for weight in weights / weights.sum():
        changed: dict[str, Any] = {}
        if draw(st.booleans()):
            p = np.array(
                draw(st.lists(st.floats(0.05, 1.0), min_size=population.types, max_size=population.types))
            )
            for g in np.unique(population.group_of):
                p[population.group_of == g] /= p[population.group_of == g].sum()
            changed["probabilities"] = p
        if population.groups is None and draw(st.booleans()):
            changed["participants"] = draw(st.integers(2, 6))
        if draw(st.booleans()):
            changed["accuracy"] = _lower(curve, draw(st.floats(0.9, 1.0)))
        found.append(Scenario(weight=float(weight), **changed))
    return tuple(found)


def _demands(draw: Any, chosen: frozenset[str], base: Problem) -> dict[str, Any]:
    """What is asked of the menu, what else there is, and what is maximised."""
    top, size = base.largest_value, base.population.types
    made: dict[str, Any] = {}
    outside, menu = {}, {}
    if "outside-utility" in chosen:
        share = st.one_of(st.just(0.0), st.floats(-0.1, 0.4))
        outside["utility"] = top * np.array(draw(st.lists(share, min_size=size, max_size=size)))
    if "joining-cost" in chosen:
        share = st.one_of(st.just(0.0), st.floats(0.001, 0.1))
        outside["joining_cost"] = top * np.array(draw(st.lists(share, min_size=size, max_size=size)))
    if "options" in chosen:
        menu["options"] = draw(st.integers(1, size))
    if "lot" in chosen:
        menu["lot"] = data_for_half(base.accuracy) * draw(by_logarithm(0.1, 2.0))
    for name in ("participation-margin", "preference-margin"):
        if name in chosen:
            menu[name.replace("-", "_")] = top * draw(by_logarithm(1e-4, 0.03))
    for name in KINDS["assurance"]:
        if name in chosen:
            menu["assurance"] = name
    if outside:
        made["outside"] = Outside(**outside)
    if menu:
        made["menu"] = Menu(**menu)
    objective = _objective(draw, chosen, base)
    return made if objective is None else made | {"objective": objective}


def _objective(draw: Any, chosen: frozenset[str], base: Problem) -> Any:
    weight = st.one_of(st.just(0.0), by_logarithm(0.01, 3.0))
    if "welfare" in chosen:
        return Welfare(coordinator=draw(weight))
    if "rawlsian" in chosen:
        return Rawlsian(over=draw(st.sampled_from(["gain", "utility"])), coordinator=draw(weight))
    if "nash-bargaining" in chosen:
        return NashBargaining()
    if "distribution-cost" in chosen:
        exponent = draw(st.sampled_from([1.0, 1.5, 2.0]))
        share = draw(by_logarithm(0.001, 0.5)) / base.population.participants
        return DistributionCost(
            rate=share * base.largest_target / base.largest_value**exponent, exponent=exponent
        )
    return None


__all__ = [
    "ANY",
    "INGREDIENTS",
    "KINDS",
    "alternatives",
    "contracts",
    "laws",
    "parts",
    "problems",
    "refusal",
    "valuations",
]
