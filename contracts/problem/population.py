"""Who may take part: private types with their costs, how likely each is, and how many join."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from contracts import checks
from contracts.errors import InvalidInput
from contracts.numeric import batched
from contracts.problem.doubt import Doubt
from contracts.problem.generating_functions import generated_turnout
from contracts.problem.participants import LARGEST, Turnout, as_turnout
from contracts.pytrees import register
from contracts.records import frozen


@register(meta=["names", "groups", "shading", "doubt"])
@frozen
class Population:
    """Participants drawn independently from finitely many types, in one group or in several.

    A **group** is a kind of participant that everybody can tell apart (clinics, universities, the registry in
    Aachen): each has options of its own, and its number of participants is independent of the others'. A
    participant known by name is a group of one.

    Args:
        costs: private cost of one datum for each type, > 0, shape (types,), in any order, equal ones allowed.
        probabilities: probability of each type within its group, in [0, 1], summing to 1 within each, shape
            (types,). May be left out where `participants` is "named".
        participants: how many take part: a whole number >= 2 (nobody collaborates alone); or, where that is
            uncertain, its law: `Poisson`, `Binomial`, `FiniteTurnout`, or any probability generating function
            (a function z -> E z^N of complex numbers, kept as the `FiniteTurnout` it generates). With groups one
            of these for each, by name; numbers may then be 1. "named": everybody listed takes part exactly
            once and is known by name.
        names: how to call the types; by default "type 1", "type 2", ...; what a terminal would obey or an eye
            not see (control characters, marks of direction) is written out.
        groups: the name of each type's group, shape (types,); None where nobody can be told apart.
        qualities: effective data in one raw datum of each type, in (0, 1], shape (types,); None for 1.
        capacities: the most raw data that each type has, > 0, shape (types,); None for any amount.
        shading: share of the effective data that may be missing undetected, in [0, 1); promises then hold even
            if everybody delivers only the rest (see `undetected_share`).
        doubt: how far the probabilities may be from the stated ones; None where these are certain.

    Raises:
        InvalidInput: naming the argument, the index and what is accepted.

    Source: Wang et al., AAAI 2025 (arXiv 2412.11122), section 3; all but the first four arguments are ours.

    >>> Population(costs=[0.2, 0.1], probabilities=[0.5, 0.5], participants=10).types
    2
    >>> from contracts import Poisson
    >>> Population(costs=[0.2, 0.1], probabilities=[0.5, 0.5], participants=Poisson(mean=10)).participants
    Poisson(mean=10.0)
    >>> clinics = Population(
    ...     costs=[150.0, 70.0, 40.0],
    ...     probabilities=[0.4, 0.6, 1.0],
    ...     participants={"clinics": Poisson(mean=8), "Aachen": 1},
    ...     groups=["clinics", "clinics", "Aachen"],
    ... )
    >>> clinics.group_names
    ('clinics', 'Aachen')
    """

    costs: Any
    probabilities: Any = None
    participants: Any = None
    names: Sequence[str] | None = None
    groups: Any = None
    qualities: Any = None
    capacities: Any = None
    shading: Any = 0.0
    doubt: Doubt | None = None

    def __post_init__(self) -> None:
        if batched(self.costs, 1) or batched(self.probabilities, 1) or batched(self.participants, 0):
            return  # `contracts.contract.batch.unstack` checks each of the batch
        set_field = object.__setattr__
        costs = checks.array("costs", self.costs, low=0.0, open_low=True)
        types = costs.size
        set_field(self, "costs", costs)
        set_field(self, "names", _names(self.names, types))
        if isinstance(self.participants, str):
            self._name_everybody()
        groups = _groups(self.groups, types)
        set_field(self, "groups", groups)
        set_field(self, "probabilities", _within_groups(self.probabilities, groups, types))
        set_field(self, "participants", _participants(self.participants, self.group_names))
        self._set_limits(types)

    def _name_everybody(self) -> None:
        """Read `participants = "named"`: a group of one for each."""
        if self.participants != "named":
            raise InvalidInput(
                f"participants = {self.participants!r}: expected a whole number, a law, one of these by group,"
                " or 'named'"
            )
        for name in ("groups", "probabilities"):
            if getattr(self, name) is not None and not (
                name == "probabilities" and np.all(np.asarray(self.probabilities) == 1.0)
            ):
                raise InvalidInput(
                    f"{name}: expected none where participants = 'named', each a group of its own"
                )
        object.__setattr__(self, "groups", self.names)
        object.__setattr__(self, "probabilities", np.ones(self.costs.size))
        object.__setattr__(self, "participants", dict.fromkeys(self.names or (), 1))

    def _set_limits(self, types: int) -> None:
        set_field = object.__setattr__
        if self.qualities is not None:
            quality = checks.array("qualities", self.qualities, low=0.0, high=1.0, open_low=True, length=types)
            set_field(self, "qualities", quality)
        if self.capacities is not None:
            capacity = checks.array("capacities", self.capacities, low=0.0, open_low=True, length=types)
            set_field(self, "capacities", capacity)
        set_field(self, "shading", checks.number("shading", self.shading, low=0.0, high=1.0, open_high=True))
        if self.doubt is not None and not isinstance(self.doubt, Doubt):
            raise InvalidInput(f"doubt = {self.doubt!r:.60}: expected a Doubt")

    @property
    def types(self) -> int:
        """The number of types."""
        return self.costs.shape[-1]

    @property
    def group_names(self) -> tuple[str, ...] | None:
        """The groups in the order in which they first appear; None where there is only one, without a name."""
        return None if self.groups is None else tuple(dict.fromkeys(self.groups))

    @property
    def group_of(self) -> np.ndarray:
        """The index of each type's group, shape (types,)."""
        if self.groups is None:
            return np.zeros(self.types, dtype=int)
        order = {name: index for index, name in enumerate(self.group_names or ())}
        return np.array([order[name] for name in self.groups])

    @property
    def laws(self) -> tuple[Turnout, ...]:
        """The law of the number of participants of each group."""
        each = self.participants if isinstance(self.participants, tuple) else (self.participants,)
        return tuple(as_turnout(one) for one in each)

    @property
    def turnout(self) -> Turnout:
        """The law of the number of participants, a sure one where the number is known (of a single group)."""
        return as_turnout(self.participants)

    @property
    def named(self) -> bool:
        """Whether everybody is known by name and takes part: each group has one participant, of one type."""
        alone = self.groups is not None and len(set(self.groups)) == self.types
        return alone and all(law.least == law.most == 1 for law in self.laws)

    @property
    def size(self) -> str:
        """How many take part, in words: "1,000", "Poisson (mean 20)", "clinics: Poisson (mean 8), Aachen: 1"."""
        if isinstance(self.participants, tuple):
            pairs = zip(self.group_names or (), self.participants, strict=True)
            return ", ".join(f"{name}: {_size(one)}" for name, one in pairs)
        return _size(self.participants)

    @property
    def shares(self) -> np.ndarray:
        """Which share of the expected participants is of each type, shape (types,)."""
        means = np.array([float(law.mean) for law in self.laws])
        return self.probabilities * (means / means.sum())[self.group_of]

    @property
    def mean_participants(self) -> float:
        """The mean number of participants, over all groups."""
        return float(sum(float(law.mean) for law in self.laws))

    @property
    def most_participants(self) -> int:
        """The largest number of participants that matters (all but 1e-17 of the probability)."""
        return sum(law.most for law in self.laws)

    @property
    def plain(self) -> bool:
        """Whether there is one group, of data that are all alike, without limits or doubt."""
        alike = self.qualities is None and self.capacities is None and self.shading == 0.0
        return alike and self.groups is None and self.doubt is None


def _size(participants: int | Turnout) -> str:
    return str(participants) if isinstance(participants, Turnout) else f"{participants:,}"


def _groups(groups: Any, types: int) -> tuple[str, ...] | None:
    if groups is None:
        return None
    if isinstance(groups, str) or not all(isinstance(name, str) and name for name in groups):
        raise InvalidInput(f"groups = {groups!r:.60}: expected one non-empty text per type")
    if len(groups) != types:
        raise InvalidInput(f"groups has length {len(groups)}: expected {types}, one per type")
    return tuple(map(checks.visible, groups))


def _within_groups(given: Any, groups: tuple[str, ...] | None, types: int) -> np.ndarray:
    """Probabilities that sum to one within each group."""
    if groups is None:
        return checks.probabilities("probabilities", given, length=types)
    found = checks.array("probabilities", given, low=0.0, high=1.0, length=types)
    for name in dict.fromkeys(groups):
        members = np.array([group == name for group in groups])
        total = float(found[members].sum())
        if abs(total - 1.0) > 1e-6:
            hint = "; they sum to one over everybody" if abs(found.sum() - 1.0) <= 1e-6 else ""
            found_sum = f"probabilities of group {name!r} sum to {total:.9g}"
            raise InvalidInput(f"{found_sum}: expected a sum of 1 within each group{hint}")
        found[members] = checks.probabilities(f"probabilities of group {name!r}", found[members])
    return found


def _participants(given: Any, groups: tuple[str, ...] | None) -> Any:
    if groups is None:
        if isinstance(given, Mapping):
            raise InvalidInput(
                f"participants = {given!r:.60}: expected one number or law, as there are no groups"
            )
        law = _number_or_law("participants", given, low=2)
        if as_turnout(law).most < 2:
            raise InvalidInput("participants: two never meet: expected some probability of two or more")
        return law
    if isinstance(given, tuple) and len(given) == len(groups):
        given = dict(zip(groups, given, strict=True))
    if not isinstance(given, Mapping):
        raise InvalidInput(f"participants = {given!r:.60}: expected a number or law for each group, by its name")
    given = {checks.visible(name) if isinstance(name, str) else name: law for name, law in given.items()}
    for name in given:
        if name not in groups:
            raise InvalidInput(f"participants: no type is of group {name!r}: expected {', '.join(groups)}")
    for name in groups:
        if name not in given:
            raise InvalidInput(f"participants: none for group {name!r}: expected {', '.join(groups)}")
    laws = tuple(_number_or_law(f"participants of {name}", given[name], low=1) for name in groups)
    if sum(as_turnout(law).most for law in laws) < 2:
        raise InvalidInput("participants: two never meet: expected at least two participants over all groups")
    return laws


def _number_or_law(name: str, given: Any, low: int) -> int | Turnout:
    if isinstance(given, Turnout):
        return given
    if callable(given):
        return generated_turnout(given)
    return checks.integer(name, given, low=low, high=LARGEST)


def _names(names: Sequence[str] | None, types: int) -> tuple[str, ...]:
    if names is None:
        return tuple(f"type {i + 1}" for i in range(types))
    if isinstance(names, str) or not all(isinstance(name, str) and name for name in names):
        raise InvalidInput(f"names = {checks.brief(names)}: expected one non-empty text per type")
    if len(names) != types:
        raise InvalidInput(f"names has length {len(names)}: expected {types}")
    seen = tuple(map(checks.visible, names))
    for i, name in enumerate(seen):
        if name in seen[:i]:
            raise InvalidInput(f"names[{i}] = {checks.brief(name)} occurs twice: expected different names")
    return seen
