"""The contract: a menu of (data to contribute, model received), with what is needed to check it."""

from __future__ import annotations

from functools import cached_property
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from contracts.contract.provenance import Provenance
from contracts.problem import Problem
from contracts.problem.clause import Clause
from contracts.problem.standard_form import StandardForm, standard_form
from contracts.proof.evidence import Proof
from contracts.proof.witness import Tree, Witness
from contracts.records import frozen

if TYPE_CHECKING:
    import pandas

    from contracts.contract.attendance import Attendance
    from contracts.contract.rewards import Rewards
    from contracts.contract.settlement import Settlement
    from contracts.proof.certificate import Certificate


@frozen
class Contract:
    """A menu with one option per type; arrays keep the order in which the user gave the types.

    Values and utilities of each type are in its own units of cost, counted from the worth of what everybody has
    without data (the baseline). Option j costs type i as many raw data as give the effective data of j.

    Attributes:
        problem: the problem it answers.
        contribution: m_i, raw data that each type owes for its own option, shape (types,).
        expected_reward: t_i, expected value of the model received, shape (types,).
        reservation_utility: f_i, what each type gets by staying out, shape (types,).
        objective: expected value of the trained model, in units of the mean scale; over scenarios the mean, with
            doubt about the probabilities the least.
        expected_accuracy: expected accuracy of the trained model, in the same sense.
        reached: what was maximised: the coordinator's target (an accuracy includes the baseline, a value is what
            exceeds the baseline's), or another objective.
        reason: why types were left out, nobody takes part, or something is unproved; empty otherwise.
        provenance: how it was found.
        proof: the numbers that prove its optimality.
        clause: what becomes of the menu by how many sign it; None where promises are made whoever signs. With a
            clause, contributions and rewards are expected ones where everybody signs as meant.
    """

    problem: Problem
    contribution: np.ndarray
    expected_reward: np.ndarray
    reservation_utility: np.ndarray
    objective: float
    expected_accuracy: float
    reached: float
    reason: str
    provenance: Provenance
    proof: Proof = Proof()
    clause: Clause | None = None

    @cached_property
    def form(self) -> StandardForm:
        """The problem's rows and worlds."""
        return standard_form(self.problem)

    @cached_property
    def certificate(self) -> Certificate:
        """What `verify` says of it; computed once."""
        from contracts.contract.checking import certificate_of

        return certificate_of(self)

    @property
    def utility(self) -> np.ndarray:
        """u_i = t_i - c_i m_i less what joining costs; of who stays out its outside option; shape (types,)."""
        paid = self.problem.population.costs * self.contribution
        joined = self.expected_reward - paid - self.problem.outside.joining_cost
        return np.where(self.stays_out, self.reservation_utility, joined)

    @property
    def stays_out(self) -> np.ndarray:
        """Who is left outside of the deal: asked for nothing, given nothing, better off so; shape (types,)."""
        if self.problem.outside.plain:
            return np.zeros(self.contribution.size, dtype=bool)
        nothing = (self.contribution == 0.0) & (self.expected_reward == 0.0)
        due = self.reservation_utility + self.problem.menu.participation_margin
        return nothing & (-np.asarray(self.problem.outside.joining_cost) < due)

    @property
    def information_rent(self) -> np.ndarray:
        """u_i - f_i, what each type gains over staying out, shape (types,)."""
        return self.utility - self.reservation_utility

    @property
    def guarantee(self) -> np.ndarray | None:
        """With a clause, what each type gets by its own option in every launch at least, shape (types,).

        In own units, with all signatures; None without a clause.
        """
        if self.clause is None:
            return None
        worth = self.clause.guarantee[-1][self.form.row] * self.form.relative
        return worth - self.problem.outside.joining_cost

    @property
    def launch_count(self) -> int | None:
        """The least number of signatures with which anything is launched; None without a clause."""
        return None if self.clause is None else self.clause.launch_count

    @property
    def launch_level(self) -> float | None:
        """The value (mean scale) that every launched model reaches; None but for insured menus."""
        if self.clause is None or not self.clause.insured:
            return None
        asked, guarantee = self.clause.contribution[0], self.clause.guarantee[0]
        return float((guarantee + self.form.costs * asked).max())

    @property
    def delivered(self) -> np.ndarray:
        """Data delivered at least for each row of the standard form, shape (rows,)."""
        return self.form.contribution(self.contribution)

    @property
    def witness(self) -> Witness | None:
        """The proof by prices for the program as solved."""
        return self.proof.witness

    @property
    def global_witness(self) -> Witness | None:
        """The proof by prices for the true curve."""
        return self.proof.global_witness

    @property
    def tree(self) -> Tree | None:
        """The proof by cases over outcomes."""
        return self.proof.tree

    def rewards(self, policy: str = "capped", *, scenario: int = 0) -> Rewards:
        """The stochastic model rewards of a policy; see `contracts.contract.rewards.rewards`."""
        from contracts.contract.rewards import rewards

        return rewards(self, policy, scenario=scenario)

    def settle(
        self,
        counts: Any,
        policy: str = "capped",
        *,
        seed: int | None = None,
        scenario: int = 0,
        delivered: Any = 1.0,
    ) -> Settlement:
        """The models to hand out once it is known who takes part; see `contracts.contract.settlement.settle`."""
        from contracts.contract.settlement import settle

        return settle(self, counts, policy, seed=seed, scenario=scenario, delivered=delivered)

    def attendance(self, *, scenario: int = 0) -> Attendance:
        """What if not everybody comes; see `contracts.contract.attendance.attendance`."""
        from contracts.contract.attendance import attendance

        return attendance(self, scenario=scenario)

    def to_dataframe(self) -> pandas.DataFrame:
        """The menu as a data frame, one row per type (needs pandas); its `to_latex()` makes a table for a paper.

        >>> from contracts.testing import example_contract
        >>> list(example_contract().to_dataframe().columns)[-2:]
        ['reservation_utility', 'information_rent']
        """
        from contracts.frames import frame

        population = self.problem.population
        groups = {} if population.groups is None else {"group": population.groups}
        columns = {
            **groups,
            "cost": population.costs,
            "probability": population.probabilities,
            "contribution": self.contribution,
            "expected_reward": self.expected_reward,
            "utility": self.utility,
            "reservation_utility": self.reservation_utility,
            "information_rent": self.information_rent,
        }
        return frame(columns, population.names or (), "type")

    def to_json(self, certificate: Certificate | None = None) -> str:
        """The contract, its problem, its proof and its certificate as JSON text; loses nothing.

        Args:
            certificate: what `verify` said of this contract, if it has been asked already.
        """
        from contracts.contract.files import encode

        return encode(self, certificate)

    @classmethod
    def from_json(cls, text: str) -> Contract:
        """Read what `to_json` wrote.

        Raises:
            InvalidInput: the text is truncated, foreign, or of another schema; the message names the field.
        """
        from contracts.contract.files import decode

        return cls(**decode(text))

    def save(self, path: Any) -> None:
        """Write the JSON text to a file, atomically."""
        from contracts.storage import write_atomically

        write_atomically(path, self.to_json())

    @classmethod
    def load(cls, path: Any) -> Contract:
        """Read a contract file."""
        from contracts.contract.files import read

        return cls(**read(path))

    def _rows(self) -> list[tuple[str, ...]]:
        population = self.problem.population
        columns = (self.contribution, self.expected_reward, self.utility, self.reservation_utility)
        return [
            (
                name,
                f"{population.costs[i]:g}",
                f"{population.probabilities[i]:.3g}",
                *(f"{column[i]:.4f}" for column in columns),
            )
            for i, name in enumerate(population.names or ())
        ]

    def _total(self) -> str:
        certain = "" if self.problem.population.named else "expected "
        return f"{certain}value {self.objective:.6f}, {certain}accuracy {self.expected_accuracy:.6f}"

    def __str__(self) -> str:
        rows = [MENU_HEADER, *self._rows()]
        widths = [max(len(row[k]) for row in rows) + 2 for k in range(len(MENU_HEADER))]
        lines = ["".join(cell.rjust(w) for cell, w in zip(row, widths, strict=True)) for row in rows]
        n = self.problem.population.size
        lines.append(f"{n} participants, {self.problem.belief} belief: {self._total()}")
        if self.problem.objective is not None:
            lines.append(f"{self.problem.objective.family}: {self.reached:.6f}")
        return "\n".join([*lines, self.reason] if self.reason else lines)

    def __repr__(self) -> str:
        types = self.problem.population.types
        return f"Contract({types} types, objective={self.objective:.9g}, solver={self.provenance.solver!r})"

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{escape(cell)}</th>" for cell in MENU_HEADER)
        body = "".join(
            "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in self._rows()
        )
        note = self._total() + (f"; {escape(self.reason)}" if self.reason else "")
        return f"<table><caption>{note}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


MENU_HEADER = (
    "type",
    "cost",
    "probability",
    "contribution",
    "expected reward",
    "utility",
    "alone",
)
