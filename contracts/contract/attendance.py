"""What if not everybody comes: how many signatures suffice, how sure one must be of the others, what one gains.

A contract's promises are made to those who expect everybody else to come and to take the option meant for it.
Here each other participant comes with a probability q only, whatever its type. More data of others never make a
model worse, so the gain of a type rises with q and one number says from where on joining pays.

Source: ours.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from contracts import checks
from contracts.contract.profiles import MOST_PROFILES, chances, profiles
from contracts.contract.terms import Terms
from contracts.problem.laws import gathered, sum_of
from contracts.problem.outcomes import LATTICE, Law, total_data
from contracts.problem.participants import FixedTurnout, Turnout
from contracts.records import frozen

if TYPE_CHECKING:
    from contracts.contract.contract import Contract

TOLERANCE = 1e-6  # of the largest value: smaller losses count as none
CLOSE = 1e-3  # of a probability
COARSE, FINE = 9, 33  # attendances at which gains are looked at, first; all, where there are many types
FEW = 8  # types, each of which has an answer of its own looked for
ATOMS = 4096  # of laws where gains are looked at
SURE = 0.995  # said as "sure"
CELLS = 2**15  # of lattices: fewer than promises are checked with, many enough for the tolerance


@frozen
class Attendance:
    """What becomes of a contract's promises where not everybody comes.

    Attributes:
        names: of the types.
        covering_count: with so many signatures, whoever they are, nobody who signed its own option is worse off
            than by staying out; None if not even all signatures are enough. Released with fewer, the contract
            would be safe to sign: a launch clause from so many signatures on costs nothing.
        critical: the least probability with which each other participant must come for joining to pay, by type,
            shape (types,), in [0, 1]: 0 where signing never loses, NaN for who is to stay out, or loses even
            where everybody comes. Losses of less than a millionth of the largest value count as none; to 0.001,
            where there are more than 8 types interpolated between 33 attendances.
        terms: what the options ask for and give.
    """

    names: tuple[str, ...]
    covering_count: int | None
    critical: np.ndarray
    terms: Terms

    def gain(self, attendance: Any) -> np.ndarray:
        """What each type gains over staying out by its own option, in its own units.

        Args:
            attendance: probability with which each other participant comes, in [0, 1], a number or an array.

        Returns:
            Shape (types,), or (attendances, types); NaN for who is to stay out.

        >>> from contracts.testing import example_contract
        >>> gain = example_contract().attendance().gain([0.5, 1.0])
        >>> gain.shape, bool((gain[1] >= -1e-6).all())
        ((2, 5), True)
        """
        given = checks.array("attendance", np.atleast_1d(attendance), low=0.0, high=1.0)
        found = np.array([own_gains(self.terms, float(q)) for q in given])
        return found if np.ndim(attendance) else found[0]

    def __str__(self) -> str:
        known = self.critical[~np.isnan(self.critical)]
        if self.covering_count is None:
            covered = "no number of signatures covers everybody whoever signs"
        else:
            one = "s" if self.covering_count > 1 else ""
            covered = f"with {self.covering_count} signature{one} nobody who signed loses, whoever they are"
        if not known.size:
            return f"what if not everybody comes: {covered}; for nobody joining pays"
        if not known.any():
            return f"what if not everybody comes: {covered}; signing never loses"
        worst = int(np.nanargmax(self.critical))
        sure = "each other is sure to come"
        often = (
            sure if known.max() > SURE else f"each other comes with a probability of {known.max():.2f} or more"
        )
        return (
            f"what if not everybody comes: {covered}; joining pays for all only if {often} ({self.names[worst]}"
            " needs that)"
        )


def attendance(contract: Contract, *, scenario: int = 0) -> Attendance:
    """What becomes of a contract's promises where not everybody comes.

    Everybody who comes takes the option meant for it; beliefs about who the others are follow Bayes' rule.

    Args:
        contract: a contract of any problem.
        scenario: in which scenario, from 0.

    Raises:
        InvalidInput: there is no such scenario, or the options of a launch clause have too many profiles.

    >>> from contracts.testing import example_contract
    >>> found = attendance(example_contract())
    >>> found.covering_count, found.critical.round(2)
    (6, array([0.94, 0.21, 0.08, 0.02, 0.  ]))
    """
    terms = Terms.of(contract, scenario)
    return Attendance(
        names=tuple(contract.problem.population.names or ()),
        covering_count=covering_count(terms),
        critical=_critical(terms),
        terms=terms,
    )


def own_gains(terms: Terms, attendance: float) -> np.ndarray:
    """What each type gains over staying out by its own option, NaN for who is to stay out, shape (types,)."""
    launch, worth, data = expected(terms, terms.own, attendance, quick=True)
    types, own = np.arange(terms.own.size), np.maximum(terms.own, 0)
    found = terms.gain_of(launch[types, own], worth[types, own], data[types, own])
    return np.where(terms.own >= 0, found, np.nan)


def expected(
    terms: Terms, choices: np.ndarray, attendance: float = 1.0, *, quick: bool = False
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Launch, worth and data of each option, as somebody of each type expects where others choose as stated.

    Args:
        terms: of the menu.
        choices: the option that each type takes, -1 for none, shape (types,).
        attendance: probability with which each other comes.
        quick: whether laws of many outcomes may be coarse.

    Returns:
        Probability of a launch, expected worth and expected data (0 where released), shape (types, options).
    """
    groups, many = terms.form.problem.population.group_of, len(terms.world.laws)
    if terms.clause is not None:
        found = _by_counts(terms, signing(terms, choices) * attendance)
        return tuple(np.broadcast_to(row, (groups.size, row.size)) for row in found)  # type: ignore[return-value]
    data = np.where(choices >= 0, terms.data[choices], 0.0)
    worth = np.empty((many, terms.options))

    def law_of(law: Turnout, g: int) -> Law:
        return _of_group(terms, data, g, law, attendance, CELLS if quick else LATTICE)

    everybody = [law_of(law, g) for g, law in enumerate(terms.world.laws) if many > 1]
    for g, law in enumerate(terms.world.laws):
        own = law_of(law.others(), g)
        total = sum_of([own, *(one for h, one in enumerate(everybody) if h != g)])
        total = gathered(total, ATOMS) if quick else total
        for k in np.flatnonzero(terms.group == g):
            value = terms.world.plain.value(total.data + terms.data[k])
            worth[g, k] = np.minimum(value, terms.cap[k]) @ total.probabilities
        worth[g, terms.group != g] = 0.0
    there = np.ones((groups.size, terms.options))
    return there, worth[groups], there * terms.data


def signing(terms: Terms, choices: np.ndarray) -> np.ndarray:
    """Probability with which a participant (of the only group) takes each option, shape (options,)."""
    found = np.zeros(terms.options)
    np.add.at(found, choices[choices >= 0], terms.chance[choices >= 0])
    return found


def _by_counts(terms: Terms, probability: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Launch, worth and data of each option over all profiles of the others, shape (options,)."""
    others = terms.world.laws[0].others()
    listed = profiles(terms.options, others.most)
    likely = chances(listed, probability, others)
    rows = []
    for k in range(terms.options):
        outcome = terms.outcome(listed + (np.arange(terms.options) == k))
        rows.append([likely @ part[:, k] for part in (outcome.launched, outcome.worth, outcome.data)])
    launch, worth, data = np.array(rows).T
    return launch, worth, data


def _of_group(terms: Terms, data: np.ndarray, group: int, law: Turnout, attendance: float, cells: int) -> Law:
    members = terms.form.problem.population.group_of == group
    draws = law.count if isinstance(law, FixedTurnout) else law
    present, absent = attendance * terms.chance[members], 1.0 - attendance
    return total_data(np.r_[data[members], 0.0], np.r_[present, absent], draws, cells=cells)


def _critical(terms: Terms) -> np.ndarray:
    """From where on each type gains, which rises with attendance; what one root needs serves the next."""
    tolerated = TOLERANCE * terms.form.relative * terms.world.plain.largest_value
    if terms.clause is not None and (worst_gains(terms) >= -tolerated)[terms.own >= 0].all():
        return np.where(terms.own >= 0, 0.0, np.nan)
    grid = np.linspace(0.0, 1.0, COARSE if terms.own.size <= FEW else FINE)
    known = {q: own_gains(terms, q) + tolerated for q in grid.tolist()}
    found = np.full(terms.own.size, np.nan)
    for i in np.flatnonzero(known[1.0] >= 0.0):
        gains = {q: float(each[i]) for q, each in known.items()}
        low, high = max((q for q in gains if gains[q] < 0.0), default=None), 1.0
        while low is not None:
            high = min(q for q in gains if q > low and gains[q] >= 0.0)
            q = _between(low, high, gains)
            if high - low <= CLOSE:
                break
            if terms.own.size > FEW:
                high = q
                break
            known[q] = own_gains(terms, q) + tolerated
            gains[q] = float(known[q][i])
            low = max(q for q in gains if gains[q] < 0.0)
        found[i] = 0.0 if low is None else high
    return found


def _between(low: float, high: float, gains: dict[float, float]) -> float:
    """Where a line through the ends crosses zero, but well inside."""
    share = gains[low] / (gains[low] - gains[high]) if gains[high] > gains[low] else 0.5
    return low + (high - low) * min(max(share, 0.05), 0.95)


def worst_gains(terms: Terms) -> np.ndarray:
    """The least that each type gains over staying out by its own option, whoever else signs, shape (types,)."""
    listed = profiles(terms.options, terms.world.laws[0].others().most)
    worst = np.full(terms.own.size, np.nan)
    for k in range(terms.options):
        outcome = terms.outcome(listed + (np.arange(terms.options) == k))
        gains = terms.gain(outcome.launched * 1.0, outcome.worth, outcome.data)[:, :, k]
        worst[terms.own == k] = gains.min(axis=0)[terms.own == k]
    return worst


def covering_count(terms: Terms) -> int | None:
    """The least number of signatures with which nobody who signed its own option loses, whoever they are."""
    population, clause = terms.form.problem.population, terms.clause
    if clause is not None:
        return 1 if clause.kind == "cut" else clause.launch_count
    signs = np.flatnonzero(terms.own >= 0)
    if not signs.size:
        return None
    asked = terms.data[terms.own]
    least = [
        asked[signs[population.group_of[signs] == g]].min(initial=np.inf) for g in range(len(terms.world.laws))
    ]
    tolerated = TOLERANCE * terms.form.relative * terms.world.plain.largest_value
    joining = np.broadcast_to(terms.form.problem.outside.joining_cost, terms.own.shape)
    counts = []
    for i in signs:
        others = [law.others() if g == population.group_of[i] else law for g, law in enumerate(terms.world.laws)]
        poorest = _poorest(np.array(least), np.array([law.most for law in others]))
        value = np.minimum(terms.world.plain.value(poorest + asked[i]), terms.cap[terms.own[i]])
        paid = population.costs[i] * asked[i] / terms.form.effective[i]
        due = terms.outside[i] + joining[i]
        enough = np.flatnonzero(terms.form.relative[i] * value - paid >= due - tolerated[i])
        if not enough.size:
            return None
        counts.append(int(enough[0]) + 1)
    return max(counts)


def _poorest(least: np.ndarray, most: np.ndarray) -> np.ndarray:
    """The least data that 0, 1, 2, ... others bring, as many of each group as there may be."""
    order = np.argsort(least, kind="stable")
    order = order[np.isfinite(least[order])]
    steps = np.repeat(least[order], np.minimum(most[order], MOST_PROFILES))
    return np.r_[0.0, np.cumsum(steps)]
