"""All equilibria of choosing from a contract's menu, not the truthful one alone.

Everybody knows its own type, believes by Bayes' rule in the others, and chooses an option of its group or stays
out. What an option gives depends on what all others chose: a model is worth what all data together make of it,
and a launch clause may release everybody. Symmetric pure strategies map types to choices; all of them are
listed, and expectations are taken over all profiles of the others (under a menu without a clause over the law of
their data).

Gains are counted from staying out, which a released menu gives exactly: where a clause makes launches rare,
margins keep their sign.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np

from contracts import checks
from contracts.contract import Contract
from contracts.contract.attendance import expected, signing
from contracts.contract.profiles import MOST_PROFILES, chances, profiles
from contracts.contract.terms import Terms
from contracts.errors import InvalidInput
from contracts.problem.participants import FixedTurnout
from contracts.records import frozen

OUT = -1
TOLERANCE = 1e-9  # of the best model's worth to each type, times the probability of a launch
MOST_STRATEGIES, MOST_BY_LAW, MOST_ASYMMETRIC = 50_000, 3_000, 3_000
BLOCK = 500_000  # profiles times strategies that are looked at together


@frozen
class MenuEquilibrium:
    """What everybody chooses, such that nobody would rather choose otherwise.

    Attributes:
        choices: for each type the type for which the option that it takes was made, itself where that is its
            own,
            -1 for staying out, shape (types,); of asymmetric equilibria one row for each participant.
        names: of the types.
        truthful: whether everybody takes the option meant for it.
        objective: expected value of the trained model (nothing where nothing is launched), at the mean scale.
        utilities: what each type gets, in its own units, of the shape of `choices`.
        slack: what each type loses at least by any other choice, of the shape of `choices`.
        strict: whether every type loses by every other choice.
        launch: probability that a participant who signs (any option) is not released, at most.
    """

    choices: np.ndarray
    names: tuple[str, ...]
    truthful: bool
    objective: float
    utilities: np.ndarray
    slack: np.ndarray
    strict: bool
    launch: float

    @property
    def stays_out(self) -> tuple[str, ...]:
        """The types of which nobody signs."""
        return tuple(np.array(self.names)[(np.atleast_2d(self.choices) == OUT).all(axis=0)].tolist())

    def __str__(self) -> str:
        what = "truth" if self.truthful else "nobody signs" if (self.choices == OUT).all() else self._who()
        return f"{what}: value {self.objective:.6g}, {'strict' if self.strict else 'weak'}"

    def _who(self) -> str:
        def one(row: np.ndarray) -> str:
            pairs = zip(self.names, row.tolist(), strict=True)
            return ", ".join(f"{who} {'out' if k == OUT else f'as {self.names[k]}'}" for who, k in pairs)

        return "; ".join(one(row) for row in np.atleast_2d(self.choices))


@frozen
class MenuEquilibria:
    """All pure equilibria of a menu, the truthful one first, then by falling objective.

    Attributes:
        equilibria: what was found.
        considered: how many strategies (or profiles of them) were looked at: all there are.
        tolerance: gains up to this share of what the best model is worth to a type, times the probability of a
            launch, count as none.
    """

    equilibria: tuple[MenuEquilibrium, ...]
    considered: int
    tolerance: float

    def __len__(self) -> int:
        return len(self.equilibria)

    def __iter__(self) -> Iterator[MenuEquilibrium]:
        return iter(self.equilibria)

    def __getitem__(self, index: int) -> MenuEquilibrium:
        return self.equilibria[index]

    def __str__(self) -> str:
        return "\n".join(
            [
                f"{len(self)} {'equilibrium' if len(self) == 1 else 'equilibria'} among {self.considered:,}",
                *map(str, self.equilibria),
            ]
        )


def menu_equilibria(
    contract: Contract, *, scenario: int = 0, asymmetric: bool = False, tolerance: Any = None
) -> MenuEquilibria:
    """All pure Bayesian equilibria of choosing from a contract's menu.

    Args:
        contract: a contract of any problem; of an ex-ante belief too, though the game's is Bayes' rule.
        scenario: in which scenario, from 0.
        asymmetric: whether participants of one type may choose differently: all unordered profiles of
            strategies, for one group of a known, small number.
        tolerance: gains up to this share of what the best model is worth to a type, times the probability of a
            launch, count as none; 1e-9 when omitted.

    Returns:
        The equilibria. Options that are alike count as one; to give nothing and get nothing is to stay out.

    Raises:
        InvalidInput: it is no contract, or there are too many strategies or profiles to look at each.

    >>> from contracts.testing import example_contract
    >>> import dataclasses
    >>> from contracts import Population, design_contract
    >>> two = Population(costs=[0.02, 0.01], probabilities=[0.5, 0.5], participants=10)
    >>> contract = design_contract(dataclasses.replace(example_contract().problem, population=two))
    >>> print(menu_equilibria(contract))
    4 equilibria among 9
    truth: value 93.5937, weak
    type 1 as type 1, type 2 as type 1: value 93.4224, weak
    type 1 out, type 2 as type 1: value 90.3545, strict
    nobody signs: value 0, strict
    """
    if not isinstance(contract, Contract):
        raise InvalidInput(f"contract = {contract!r:.60}: expected a Contract")
    accepted = TOLERANCE if tolerance is None else checks.number("tolerance", tolerance, low=0.0)
    terms = Terms.of(contract, scenario)
    if asymmetric:
        return _asymmetric(terms, accepted)
    strategies = list_strategies(terms)
    if _countable(terms):
        found, everything = _by_counts(terms, strategies, accepted)
    else:
        found, everything = _by_law(terms, strategies, accepted)
    return _answer(terms, found, everything, accepted)


def list_strategies(terms: Terms) -> np.ndarray:
    """All maps from types to options that they can take or staying out, shape (strategies, types).

    Raises:
        InvalidInput: there are too many.
    """
    each = [[OUT, *np.flatnonzero(row).tolist()] for row in terms.available()]
    size = float(np.prod([float(len(one)) for one in each]))
    most = MOST_STRATEGIES if _countable(terms) else MOST_BY_LAW
    if size > most:
        raise InvalidInput(
            f"{len(each)} types with {terms.options} options have {size:,.0f} strategies: expected at most"
            f" {most:,}; fewer types, or contract_menu(contract).certificate() for the truthful one alone"
        )
    return np.array(list(itertools.product(*each)), dtype=int).reshape(-1, len(each))


def _countable(terms: Terms) -> bool:
    """Whether profiles of the others are listed: there is one group, of few."""
    from math import comb

    if len(terms.world.laws) != 1:
        return False
    most = terms.world.laws[0].most
    return terms.clause is not None or comb(most + terms.options, terms.options) <= MOST_PROFILES // 8


class Listed:
    """What each option gives in every profile of the others, for one group."""

    def __init__(self, terms: Terms):
        self.terms = terms
        self.others, self.everybody = terms.world.laws[0].others(), terms.world.laws[0]
        self.profiles = profiles(terms.options, self.others.most)
        outcomes = [terms.outcome(self.profiles + (np.arange(terms.options) == k)) for k in range(terms.options)]

        def columns(name: str) -> np.ndarray:
            found = [getattr(outcome, name)[:, k] for k, outcome in enumerate(outcomes)]
            return np.array(found, dtype=float).reshape(terms.options, len(self.profiles)).T

        self.launch, self.worth, self.data = columns("launched"), columns("worth"), columns("data")

    def gains(self, likely: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Gains over staying out, shape (..., types, options), and the probability of a launch by option."""
        launch = likely @ self.launch
        return self.terms.gain(launch, likely @ self.worth, likely @ self.data), launch

    def objective(self, choices: np.ndarray) -> float:
        """Expected value of the trained model where everybody chooses by one strategy."""
        listed = profiles(self.terms.options, self.everybody.most)
        likely = chances(listed, signing(self.terms, choices), self.everybody)
        return float(likely @ self.terms.world.plain.value(self.terms.outcome(listed).total))


def _by_counts(terms: Terms, strategies: np.ndarray, tolerance: float) -> tuple[list[MenuEquilibrium], int]:
    listed, found = Listed(terms), []
    step = max(BLOCK // max(len(listed.profiles), 1), 1)
    for first in range(0, len(strategies), step):
        block = strategies[first : first + step]
        probability = np.array([signing(terms, choices) for choices in block])
        gains, launch = listed.gains(chances(listed.profiles, probability, listed.others))
        for row in np.flatnonzero(_stable(terms, block, gains, launch[:, None, :], tolerance)):
            objective = listed.objective(block[row])
            found.append(_made(terms, block[row], gains[row], launch[row][None], objective, tolerance))
    return found, len(strategies)


def _by_law(terms: Terms, strategies: np.ndarray, tolerance: float) -> tuple[list[MenuEquilibrium], int]:
    found = []
    for choices in strategies:
        launch, worth, data = expected(terms, choices)
        gains = _by_type(terms, launch, worth, data)
        if _stable(terms, choices[None], gains[None], launch[None], tolerance)[0]:
            found.append(_made(terms, choices, gains, launch, _mean_value(terms, choices), tolerance))
    return found, len(strategies)


def _by_type(terms: Terms, launch: np.ndarray, worth: np.ndarray, data: np.ndarray) -> np.ndarray:
    """Gains where expectations differ from type to type, shape (types, options)."""
    return np.array([terms.gain(launch[i], worth[i], data[i])[i] for i in range(len(launch))])


def _mean_value(terms: Terms, choices: np.ndarray) -> float:
    from contracts.problem.laws import sum_of
    from contracts.problem.outcomes import total_data

    data, groups = np.where(choices >= 0, terms.data[choices], 0.0), terms.form.problem.population.group_of
    laws = [
        total_data(
            data[groups == g], terms.chance[groups == g], law.count if isinstance(law, FixedTurnout) else law
        )
        for g, law in enumerate(terms.world.laws)
    ]
    return sum_of(laws).expectation(terms.world.plain.value)


def _tolerated(terms: Terms, launch: np.ndarray, tolerance: float) -> np.ndarray:
    """What counts as no gain, by type, shape (..., types)."""
    scale = terms.form.relative * terms.world.plain.largest_value
    return tolerance * scale * launch.max(axis=-1, initial=0.0)


def _best_other(terms: Terms, choices: np.ndarray, gains: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What each type gains over staying out by its choice, and by the best other one, shape (..., types)."""
    with_out = np.concatenate(
        [np.where(terms.available(), gains, -np.inf), np.zeros((*gains.shape[:-1], 1))], -1
    )
    own = np.take_along_axis(with_out, choices[..., None], axis=-1)  # -1 is the last: staying out
    others = with_out.copy()
    np.put_along_axis(others, np.where(choices >= 0, choices, with_out.shape[-1] - 1)[..., None], -np.inf, -1)
    return own[..., 0], others.max(axis=-1)


def _stable(
    terms: Terms, choices: np.ndarray, gains: np.ndarray, launch: np.ndarray, tolerance: float
) -> np.ndarray:
    own, other = _best_other(terms, choices, gains)
    return np.asarray((other - own <= _tolerated(terms, launch, tolerance)).all(axis=-1))


def _made(
    terms: Terms, choices: np.ndarray, gains: np.ndarray, launch: np.ndarray, objective: float, tolerance: float
) -> MenuEquilibrium:
    own, other = _best_other(terms, choices, gains)
    slack = own - other
    meant = np.array([int(np.flatnonzero(terms.own == k)[0]) if (terms.own == k).any() else OUT for k in range(
        terms.options)] + [OUT])  # fmt: skip
    named = np.where(
        choices == terms.own, np.where(choices == OUT, OUT, np.arange(terms.own.size)), meant[choices]
    )
    return MenuEquilibrium(
        choices=named,
        names=tuple(terms.form.problem.population.names or ()),
        truthful=bool((choices == terms.own).all()),
        objective=objective,
        utilities=own + terms.outside,
        slack=slack,
        strict=bool((slack > _tolerated(terms, launch, tolerance)).all()),
        launch=float(launch.max(initial=0.0)),
    )


def _answer(terms: Terms, found: list[MenuEquilibrium], considered: int, tolerance: float) -> MenuEquilibria:
    del terms
    order = sorted(found, key=lambda one: (not one.truthful, -one.objective))
    return MenuEquilibria(equilibria=tuple(order), considered=considered, tolerance=tolerance)


def _asymmetric(terms: Terms, tolerance: float) -> MenuEquilibria:
    """Equilibria among all unordered profiles of strategies, one for each participant."""
    law = terms.world.laws[0]
    if len(terms.world.laws) > 1 or not isinstance(law, FixedTurnout):
        raise InvalidInput("asymmetric = True: expected one group of a known number of participants")
    strategies, number = list_strategies(terms), law.count
    from math import comb

    size = comb(len(strategies) + number - 1, number)
    if size > MOST_ASYMMETRIC:
        raise InvalidInput(
            f"asymmetric = True: {number} participants with {len(strategies):,} strategies each have {size:,}"
            f" profiles: expected at most {MOST_ASYMMETRIC:,}"
        )
    listed = Listed(terms)
    probability = np.array([signing(terms, choices) for choices in strategies])
    index = {tuple(row): place for place, row in enumerate(listed.profiles.tolist())}
    found = []
    for members in itertools.combinations_with_replacement(range(len(strategies)), number):
        rows = list(members)
        likely = np.array([_convolved(probability[rows[:k] + rows[k + 1 :]], index) for k in range(number)])
        gains, launch = listed.gains(likely)
        if _stable(terms, strategies[rows], gains, launch[:, None, :], tolerance).all():
            objective = _value_of(terms, probability[rows])
            made = [
                _made(terms, strategies[rows[k]], gains[k], launch[k][None], objective, tolerance)
                for k in range(number)
            ]
            found.append(_together(made))
    return _answer(terms, found, size, tolerance)


def _convolved(probability: np.ndarray, index: dict[tuple[int, ...], int]) -> np.ndarray:
    """How likely each profile is where participants sign with probabilities of their own."""
    options = probability.shape[1]
    found = {(0,) * options: 1.0}
    for signs in probability:
        after: dict[tuple[int, ...], float] = {}
        for counts, chance in found.items():
            for k in [OUT, *range(options)]:
                share = max(1.0 - float(signs.sum()), 0.0) if k == OUT else float(signs[k])
                share = 0.0 if share < 1e-15 else share
                if share > 0.0:
                    key = counts if k == OUT else (*counts[:k], counts[k] + 1, *counts[k + 1 :])
                    after[key] = after.get(key, 0.0) + chance * share
        found = after
    likely = np.zeros(len(index))
    for counts, chance in found.items():
        likely[index[counts]] = chance
    return likely


def _value_of(terms: Terms, probability: np.ndarray) -> float:
    listed = profiles(terms.options, len(probability))
    likely = _convolved(probability, {tuple(row): place for place, row in enumerate(listed.tolist())})
    return float(likely @ terms.world.plain.value(terms.outcome(listed).total))


def _together(made: list[MenuEquilibrium]) -> MenuEquilibrium:
    return MenuEquilibrium(
        choices=np.array([one.choices for one in made]),
        names=made[0].names,
        truthful=all(one.truthful for one in made),
        objective=made[0].objective,
        utilities=np.array([one.utilities for one in made]),
        slack=np.array([one.slack for one in made]),
        strict=all(one.strict for one in made),
        launch=max(one.launch for one in made),
    )
