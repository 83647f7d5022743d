"""The contract: a menu of (data to contribute, model received), with what is needed to check it."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from contracts import checks
from contracts.errors import InvalidInput
from contracts.problem import Problem
from contracts.proof.witness import Tree, Witness
from contracts.records import frozen

if TYPE_CHECKING:
    from contracts.contract.rewards import Rewards
    from contracts.proof.certificate import Certificate


@frozen
class Provenance:
    """How a contract was found.

    Attributes:
        solver: "interior-point", "compiled", "conic", "branch and bound" (where no program's answer was as
            good) or "closed form".
        expectation: how expectations were taken: "mixture of exponentials", "Gauss rule" or over "outcomes".
        excluded: how many distinct costs, from the dearest down, contribute nothing by design.
        iterations: iterations of the solver.
        seconds: time spent.
        fit_error: largest relative error of the mixture against the loss, on the range that matters.
    """

    solver: str
    expectation: str
    excluded: int
    iterations: int
    seconds: float
    fit_error: float


@frozen
class Settlement:
    """Who receives which model once the participants are known.

    Attributes:
        counts: participants of each type, shape (types,).
        total_data: data the joint model is trained on.
        trained_accuracy: its accuracy.
        accuracy: accuracy of the model each type receives, shape (types,); never above the trained one.
        value: its value, shape (types,), in units of cost.
        utility: value less the cost of the data contributed, shape (types,).
        names: the types' names.
    """

    counts: np.ndarray
    total_data: float
    trained_accuracy: float
    accuracy: np.ndarray
    value: np.ndarray
    utility: np.ndarray
    names: tuple[str, ...]

    def __str__(self) -> str:
        rows = [f"{'type':<16}{'count':>7}{'accuracy':>11}{'value':>11}{'utility':>11}"]
        for i, name in enumerate(self.names):
            rows.append(
                f"{name:<16}{self.counts[i]:>7d}{self.accuracy[i]:>11.4f}{self.value[i]:>11.4f}"
                f"{self.utility[i]:>11.4f}"
            )
        rows.append(f"trained on {self.total_data:g} data: accuracy {self.trained_accuracy:.4f}")
        return "\n".join(rows)


@frozen
class Contract:
    """A menu with one option per type; arrays keep the order in which the user gave the types.

    Attributes:
        problem: the problem it answers.
        contribution: m_i, data to contribute, shape (types,).
        expected_reward: t_i, expected value of the model received, shape (types,), in units of cost.
        reservation_utility: f_i, what each type gets alone, shape (types,).
        objective: expected value of the trained model.
        expected_accuracy: expected accuracy of the trained model.
        reason: why types were left out or nobody takes part; empty otherwise.
        provenance: how it was found.
        witness: proof of optimality for the program as solved, or None.
        global_witness: proof of a bound against the true curve, floor included, or None.
        tree: a sharper proof of such a bound by cases, where that one left too much open; else None.
    """

    problem: Problem
    contribution: np.ndarray
    expected_reward: np.ndarray
    reservation_utility: np.ndarray
    objective: float
    expected_accuracy: float
    reason: str
    provenance: Provenance
    witness: Witness | None
    global_witness: Witness | None
    tree: Tree | None = None

    @property
    def utility(self) -> np.ndarray:
        """u_i = t_i - c_i m_i, shape (types,)."""
        return self.expected_reward - self.problem.population.costs * self.contribution

    @property
    def information_rent(self) -> np.ndarray:
        """u_i - f_i, what each type gains over staying alone, shape (types,)."""
        return self.utility - self.reservation_utility

    def rewards(self, policy: str = "capped") -> Rewards:
        """The stochastic model rewards of a policy: "capped" (recommended), "proportional" or "lottery"."""
        from contracts.contract.rewards import rewards

        return rewards(self, policy)

    def settle(self, counts: Any, policy: str = "capped", *, seed: int | None = None) -> Settlement:
        """Compute the models to hand out once it is known who takes part.

        Args:
            counts: participants of each type, in the order of the types; they must sum to the participants.
            policy: the reward policy that was announced.
            seed: for the lottery only, which is drawn here.

        Raises:
            InvalidInput: wrong length, negative or fractional counts, or a wrong sum.
        """
        population = self.problem.population
        counts = checks.array("counts", counts, low=0.0, length=population.types)
        for i in np.flatnonzero(counts != np.floor(counts)):
            raise InvalidInput(f"counts[{i}] = {counts[i]:g}: expected a whole number")
        if counts.sum() not in population.turnout.support[0]:
            raise InvalidInput(
                f"counts sum to {counts.sum():g}: expected the {population.participants} participants"
            )
        total = float(counts @ self.contribution)
        trained = float(self.problem.accuracy(total))
        value = self.rewards(policy).value(total, seed=seed)
        accuracy = np.minimum(self.problem.valuation.inverse(value), trained)
        return Settlement(
            counts=counts.astype(int),
            total_data=total,
            trained_accuracy=trained,
            accuracy=accuracy,
            value=value,
            utility=value - population.costs * self.contribution,
            names=tuple(population.names or ()),
        )

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

        return decode(text)

    def save(self, path: Any) -> None:
        """Write the JSON text to a file, atomically."""
        from contracts.storage import write_atomically

        write_atomically(path, self.to_json())

    @classmethod
    def load(cls, path: Any) -> Contract:
        """Read a contract file."""
        from contracts.contract.files import read

        return read(path)

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

    def __str__(self) -> str:
        rows = [MENU_HEADER, *self._rows()]
        widths = [max(len(row[k]) for row in rows) + 2 for k in range(len(MENU_HEADER))]
        lines = ["".join(cell.rjust(w) for cell, w in zip(row, widths, strict=True)) for row in rows]
        n = self.problem.population.participants
        lines.append(
            f"{n} participants, {self.problem.belief} belief: expected value {self.objective:.6f},"
            f" expected accuracy {self.expected_accuracy:.6f}"
        )
        return "\n".join([*lines, self.reason] if self.reason else lines)

    def __repr__(self) -> str:
        types = self.problem.population.types
        return f"Contract({types} types, objective={self.objective:.9g}, solver={self.provenance.solver!r})"

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{escape(cell)}</th>" for cell in MENU_HEADER)
        body = "".join(
            "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in self._rows()
        )
        note = f"expected value {self.objective:.6f}, expected accuracy {self.expected_accuracy:.6f}" + (
            f"; {escape(self.reason)}" if self.reason else ""
        )
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
