"""Which ingredients of a problem do not go together, and why: one table, read by the code and by people.

Whatever is not listed here goes with everything else.
"""

from __future__ import annotations

from collections.abc import Callable
from math import comb
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from contracts.errors import InvalidInput
from contracts.problem.menu import CLAUSES
from contracts.problem.participants import Turnout

if TYPE_CHECKING:
    from contracts.problem.problem import Problem

Test = Callable[[Any], bool]


class Refused(NamedTuple):
    """Two ingredients that do not go together.

    Attributes:
        first, second: their names.
        reason: the theorem or the counterexample.
        applies: whether a problem has them both.
    """

    first: str
    second: str
    reason: str
    applies: Test


def _distance(problem: Problem) -> str:
    return problem.population.doubt.distance if problem.population.doubt is not None else ""


def _capacities_fall(problem: Problem) -> bool:
    """Whether, within a group, somebody of a lower effective cost has less effective data."""
    population = problem.population
    if population.capacities is None:
        return False
    quality = np.ones(population.types) if population.qualities is None else population.qualities
    cost, most = population.costs / (quality * problem.scales), population.capacities * quality
    for group in np.unique(population.group_of):
        members = np.flatnonzero(population.group_of == group)
        order = members[np.lexsort((most[members], -cost[members]))]
        if (np.diff(most[order]) < -1e-12 * most[order][:-1]).any():
            return True
    return False


def _no_lot(problem: Problem) -> bool:
    """Whether nobody has the effective data of one lot."""
    population, lot = problem.population, problem.menu.lot
    if population.capacities is None or lot is None:
        return False
    quality = 1.0 if population.qualities is None else population.qualities
    return bool((population.capacities * quality < lot).all())


def _several(problem: Problem) -> bool:
    return len(problem.scenarios) > 0


def _objective(problem: Problem, *families: str) -> bool:
    return problem.objective is not None and getattr(problem.objective, "family", "") in families


def _ex_ante(problem: Problem) -> bool:
    return problem.belief == "ex-ante"


def _limited(problem: Problem) -> bool:
    return not problem.menu.free


MOST_CONTINGENT = 400  # profiles of signatures, of all numbers

NO_MIXTURES = ("arctan", "tabulated", "monotone-tabulated")


def _alike(problem: Problem) -> bool:
    """Whether data cost everybody the same, by what they are worth to it."""
    population = problem.population
    quality = 1.0 if population.qualities is None else population.qualities
    return np.unique(population.costs / (quality * problem.scales)).size < 2


def _clause(problem: Problem, *kinds: str) -> bool:
    return problem.menu.assurance in (kinds or CLAUSES)


def _profiles(problem: Problem) -> int:
    """How many profiles of signatures there are, of all numbers from 2 on."""
    population = problem.population
    quality = 1.0 if population.qualities is None else population.qualities
    kinds, most = np.unique(population.costs / (quality * problem.scales)).size, population.laws[0].most
    return 10**9 if most > 10**4 else comb(most + kinds, kinds) - 1 - kinds


def _promises_model(problem: Problem) -> bool:
    """Whether shares of the model are promised, which move with the curve."""
    return getattr(problem.accuracy, "promise", "") == "model"


def _other_chance(problem: Problem) -> bool:
    """Whether a measured curve starts from another accuracy than what everybody has."""
    chance = getattr(problem.accuracy, "chance", None)
    return chance is not None and chance != getattr(problem, "baseline", 0.0)


def _kinked(problem: Problem) -> bool:
    """Whether value is nothing up to a score that not everybody has, and rises from there."""
    least = getattr(problem.valuation, "without_data", 0.0)
    return getattr(problem, "baseline", 0.0) < least * (1.0 - 1e-9)


TABLE: tuple[Refused, ...] = (
    Refused(
        "a valuation of losses",
        "a baseline below its reference",
        "value would bend upwards where it begins; state as baseline the reference's score: exp(-reference) of a"
        " cross-entropy, 1 / reference of a perplexity, 1 - reference of an error",
        _kinked,
    ),
    Refused(
        "a measured curve's chance level",
        "another baseline",
        "both say what everybody has without data: state the same number",
        _other_chance,
    ),
    Refused(
        "the promise of a model",
        "groups",
        "what an option may give under every curve is known for one menu and types that differ in one cost",
        lambda p: _promises_model(p) and p.population.groups is not None,
    ),
    Refused(
        "the promise of a model",
        "scenarios",
        "one share cannot be the one that the curves of every scenario allow",
        lambda p: _promises_model(p) and _several(p),
    ),
    Refused(
        "the promise of a model",
        "shading",
        "what a shader gains differs from curve to curve, and nobody is the dearest under all of them",
        lambda p: _promises_model(p) and p.population.shading > 0.0,
    ),
    Refused(
        "the promise of a model",
        "the ex-ante belief",
        "every type then expects another total of data, so that an option is not worth the same to all",
        lambda p: _promises_model(p) and _ex_ante(p),
    ),
    Refused(
        "the promise of a model",
        "a launch clause",
        "what is delivered follows from one published curve",
        lambda p: _promises_model(p) and _clause(p),
    ),
    Refused(
        "the promise of a model",
        "another objective than the coordinator's target",
        "the search compares menus by the target alone",
        lambda p: _promises_model(p) and p.objective is not None,
    ),
    Refused(
        "the promise of a model",
        "Kullback-Leibler doubt",
        "no member of the ball is worst for all menus and curves",
        lambda p: _promises_model(p) and _distance(p) == "kullback-leibler",
    ),
    Refused(
        "the ex-ante belief",
        "doubt",
        "what it is conditioned on (one's own type occurs) differs from member to member",
        lambda p: _ex_ante(p) and p.population.doubt is not None,
    ),
    Refused(
        "the ex-ante belief",
        "groups",
        "it is defined for one group: a draw of all participants with at least one of one's own type",
        lambda p: _ex_ante(p) and p.population.groups is not None,
    ),
    Refused(
        "the ex-ante belief",
        "scenarios",
        "what it is conditioned on (one's own type occurs) differs from scenario to scenario",
        lambda p: _ex_ante(p) and _several(p),
    ),
    Refused(
        "the ex-ante belief",
        "shading",
        "what a shader then expects is not what its type expects",
        lambda p: _ex_ante(p) and p.population.shading > 0.0,
    ),
    Refused(
        "capacities",
        "lower effective costs with less data",
        "types then differ in two dimensions (cost and capacity); capacities that everybody can see belong into"
        " groups of their own",
        _capacities_fall,
    ),
    Refused(
        "a lot",
        "smaller capacities",
        "nobody has the effective data of a single lot",
        _no_lot,
    ),
    Refused(
        "Kullback-Leibler doubt",
        "menu limits",
        "no member of the ball is worst for all menus, so that a search over menus has no bound",
        lambda p: _distance(p) == "kullback-leibler" and _limited(p),
    ),
    Refused(
        "Kullback-Leibler doubt",
        "another objective than the coordinator's target",
        "no member of the ball is worst for it",
        lambda p: _distance(p) == "kullback-leibler" and p.objective is not None,
    ),
    Refused(
        "Kullback-Leibler doubt",
        "capacities",
        "no member of the ball is worst for all menus, so that a search over who can deliver what has no bound",
        lambda p: _distance(p) == "kullback-leibler" and p.population.capacities is not None,
    ),
    Refused(
        "Kullback-Leibler doubt",
        "groups or scenarios",
        "the bound on each rate's transform is known for one ball only",
        lambda p: _distance(p) == "kullback-leibler" and (_several(p) or p.population.groups is not None),
    ),
    Refused(
        "Kullback-Leibler doubt",
        "curves through points, or of an arctan",
        "their loss is no mixture of exponentials, by which expectations are bounded over the ball",
        lambda p: _distance(p) == "kullback-leibler" and getattr(p.accuracy, "family", "") in NO_MIXTURES,
    ),
    Refused(
        "total-variation doubt",
        "Nash bargaining or distribution costs",
        "the member of the ball that is worst for the objective is not the one that is worst for the promises",
        lambda p: _distance(p) == "total-variation" and _objective(p, "nash-bargaining", "distribution-cost"),
    ),
    Refused(
        "total-variation doubt",
        "welfare where scales differ",
        "in their own units types of low effective cost need not be better off, so that no member is worst",
        lambda p: _distance(p) == "total-variation" and _objective(p, "welfare") and np.ptp(p.scales) > 0.0,
    ),
    Refused(
        "the least utility as objective",
        "outside utilities below zero",
        "the level that everybody reaches is looked for from zero on",
        lambda p: (
            _objective(p, "rawlsian")
            and getattr(p.objective, "over", "") == "utility"
            and p.outside.utility is not None
            and float(np.min(p.outside.utility)) < 0.0
        ),
    ),
    Refused(
        "distribution costs",
        "scenarios",
        "types that choose alike cannot be offered one option without loss",
        lambda p: _objective(p, "distribution-cost") and _several(p),
    ),
    Refused(
        "a launch clause",
        "groups",
        "the theorems count the signatures of one group, whose members nobody can tell apart; names are groups",
        lambda p: _clause(p) and p.population.groups is not None,
    ),
    Refused(
        "a launch clause",
        "scenarios",
        "what is delivered follows from one published curve",
        lambda p: _clause(p) and _several(p),
    ),
    Refused(
        "a launch clause",
        "a curve that is not known for certain",
        "what is delivered follows from one published curve",
        lambda p: _clause(p) and getattr(p.accuracy, "region", None) is not None,
    ),
    Refused(
        "a launch clause",
        "doubt",
        "its promises hold for any probabilities; those stated are what the objective is averaged over",
        lambda p: _clause(p) and p.population.doubt is not None,
    ),
    Refused(
        "a launch clause",
        "shading",
        "what some owe follows from what the others delivered",
        lambda p: _clause(p) and p.population.shading > 0.0,
    ),
    Refused(
        "a launch clause",
        "another objective than the coordinator's target",
        "the program of guarantees is convex for the target only",
        lambda p: _clause(p) and p.objective is not None,
    ),
    Refused(
        "a launch clause",
        "lots or a limit of options",
        "what is owed follows from the signatures, in any amount",
        lambda p: _clause(p) and (p.menu.lot is not None or p.menu.options is not None),
    ),
    Refused(
        "an insured menu",
        "capacities",
        "what the top option owes is known only when all have signed, and may be more than somebody has",
        lambda p: _clause(p, "count", "table") and p.population.capacities is not None,
    ),
    Refused(
        "an insured menu",
        "types that all act alike",
        "its menu has one option, for which contracts.launch_from counts signatures",
        lambda p: _clause(p, "count", "table") and _alike(p),
    ),
    Refused(
        "a contingent menu",
        "many participants or types",
        f"profiles of signatures are listed, up to {MOST_CONTINGENT}; contingent_limit says how much a"
        f" contract of"
        " another kind leaves to be gained",
        lambda p: _clause(p, "contingent") and _profiles(p) > MOST_CONTINGENT,
    ),
    Refused(
        "a contingent menu",
        "capacities",
        "who could deliver what another owes differs from profile to profile",
        lambda p: _clause(p, "contingent") and p.population.capacities is not None,
    ),
    Refused(
        "a contingent menu",
        "the ex-ante belief",
        "its choices are right by Bayes' rule, for each number of signatures",
        lambda p: _clause(p, "contingent") and _ex_ante(p),
    ),
    Refused(
        "a launch count",
        "an uncertain number of participants",
        "no one number of signatures fits all that may come; a table has a menu for each",
        lambda p: _clause(p, "count") and isinstance(p.population.participants, Turnout),
    ),
    Refused(
        "a cut clause",
        "the ex-ante belief",
        "its choices are checked by Bayes' rule",
        lambda p: _clause(p, "cut") and _ex_ante(p),
    ),
)


def check_combination(problem: Problem) -> None:
    """Refuse two ingredients that do not go together, in one line that names them and says why.

    Raises:
        InvalidInput: with the first line of the table that applies.
    """
    for line in TABLE:
        if line.applies(problem):
            raise InvalidInput(f"{line.first} and {line.second} do not go together: {line.reason}")
