"""What was found when a contract was checked: two statements, never mixed.

**Every promise holds**: individual rationality, incentive compatibility, feasibility in every world, the limits
of the menu and of capacities, and every stated number. **It is optimal**: a bound on all contracts that the
problem allows, on the true curve, is proved within the gap asked for. Neither follows from the other, and what
is proved only of some contracts, or of another curve, is kept apart under its own name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import TYPE_CHECKING

import numpy as np

from contracts.records import frozen

if TYPE_CHECKING:
    import pandas


@frozen
class Certificate:
    """What was found when a contract was checked.

    Attributes:
        holds: whether every promise is kept and every stated number agrees.
        optimal: whether besides no contract that the problem allows is better by more than the gap asked for.
        gap: proved bound on how much better any contract can be, on the true curve, in units of the objective
            (of value; of accuracy if that is maximised and the valuation is not linear); None if none is proved.
        as_solved_gap: the same for the contracts and the curve that `scope` names; None if none is proved.
        scope: what `as_solved_gap` is about, such as "the curve continued below its floor"; "" if `gap` says
            all.
        missing: in one line why `optimal` is not proved; "" if it is.
        participation_slack: what each type gains over staying out, shape (types,), in its own units; individual
            rationality needs >= 0 (the margin asked for).
        envy: the most that each type would gain by another option that it can deliver, shape (types,), in its
            own units; incentive compatibility needs zero: whoever envies nobody has its own option.
        envied: whose option that is, an index of a type, shape (types,).
        feasibility_slack: what could be given at most in every world, less what is promised, shape (types,).
        independent_check: how expectations were taken, and confirmed by another route.
        violations: sentences that name the constraint, who, and by how much; empty if `holds`.
        tolerance: what was tolerated, in units of value.
        about: what the certificate is about, in sentences for those who rely on it.
        caution: why what holds on the curve need not hold in the world: measurements that reject the curve, or
            lie far from what the contract needs; "" if there is no such reason.
        extended: further numbers by name; each says in its own words what must hold.
    """

    holds: bool
    optimal: bool
    gap: float | None
    as_solved_gap: float | None
    scope: str
    missing: str
    participation_slack: np.ndarray
    envy: np.ndarray
    envied: np.ndarray
    feasibility_slack: np.ndarray
    independent_check: str
    violations: tuple[str, ...]
    tolerance: float
    about: tuple[str, ...] = ()
    caution: str = ""
    extended: Mapping[str, float] = field(default_factory=dict)

    @property
    def verdict(self) -> str:
        """Both statements, in one line."""
        if not self.holds:
            return "DOES NOT HOLD"
        holds = (
            f"every promise holds on the curve, BUT {self.caution}" if self.caution else "every promise holds"
        )
        if self.optimal and self.gap is not None:
            return f"{holds}; no contract is better by more than {self.gap:.3g}"
        return f"{holds}; optimality not proved: {self.missing}"

    def to_dataframe(self) -> pandas.DataFrame:
        """The slacks as a data frame, one row per type in the order of the problem (needs pandas)."""
        from contracts.frames import frame

        names = ("participation_slack", "envy", "envied", "feasibility_slack")
        return frame(
            {name: getattr(self, name) for name in names}, range(1, self.participation_slack.size + 1), "type"
        )

    def __str__(self) -> str:
        solved = (
            "" if self.as_solved_gap is None or not self.scope else f" ({self.as_solved_gap:.3g}: {self.scope})"
        )
        lines = [
            f"individual rationality: least slack {self.participation_slack.min():.3g}",
            f"incentive compatibility: largest envy {self.envy.max():.3g}",
            f"feasibility: least slack {self.feasibility_slack.min():.3g}",
            f"optimality gap: {'not proved' if self.gap is None else f'{self.gap:.3g}'}{solved}",
            self.independent_check,
        ]
        lines += [f"{name}: {number:.6g}" for name, number in self.extended.items()]
        return "\n".join([self.verdict, *lines, *self.about, *self.violations])
