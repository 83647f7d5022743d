"""What is asked of the menu besides being a contract."""

from __future__ import annotations

import dataclasses
from typing import Any

from contracts import checks
from contracts.records import frozen

CLAUSES = ("count", "table", "cut", "contingent")


@frozen
class Menu:
    """Limits of the menu.

    An option is a distinct pair of data to contribute and expected reward. To contribute nothing and receive
    nothing needs no model and does not count; a model given for no contribution does.

    Args:
        options: the most options (over all groups), >= 1; None for any number.
        lot: contributions are whole multiples of this amount of (effective) data, > 0; None for any amount.
        participation_margin: least gain of every type over staying out, >= 0, in units of its cost.
        preference_margin: least loss of every type by choosing another option than its own (of its group), >= 0,
            in units of its cost; types that share an option are exempt.
        assurance: the launch clause, with which signing never loses, whoever else signs. "count": an insured
            menu,
            released with fewer than a number of signatures; "table": one insured menu for each number of
            signatures; "cut": contributions are cut, never raised, until the model pays for them; "contingent":
            what each owes and receives follows from who signed which option; None: promises
            are made to those who expect everybody to sign. With a clause, margins are kept in every launch.

    Raises:
        InvalidInput: naming the argument, the value and what is accepted.

    >>> Menu(options=3, lot=10.0).options
    3
    """

    options: Any = None
    lot: Any = None
    participation_margin: Any = 0.0
    preference_margin: Any = 0.0
    assurance: Any = None

    def __post_init__(self) -> None:
        set_field = object.__setattr__
        if self.options is not None:
            set_field(self, "options", checks.integer("options", self.options, low=1))
        if self.lot is not None:
            set_field(self, "lot", checks.number("lot", self.lot, low=0.0, open_low=True))
        for name in ("participation_margin", "preference_margin"):
            set_field(self, name, checks.number(name, getattr(self, name), low=0.0))
        if self.assurance is not None:
            checks.choice("assurance", self.assurance, CLAUSES)

    @property
    def plain(self) -> bool:
        """Whether nothing is asked."""
        return self.free and self.participation_margin == 0.0

    @property
    def free(self) -> bool:
        """Whether the menu may have any options: no limit of number, lots, preferences, no launch clause."""
        limited = self.options is not None or self.lot is not None or self.preference_margin != 0.0
        return not limited and self.assurance is None

    def parameters(self) -> dict[str, Any]:
        """As files hold it: what is asked, and nothing else."""
        values = {entry.name: getattr(self, entry.name) for entry in dataclasses.fields(self)}
        return {name: value for name, value in values.items() if value not in (None, 0.0)}
