"""What a contract's options ask for and give once it is known who signed which.

The terms of a menu without a clause are the same whoever signs; those of a menu with one follow from the counts
(`contracts.contract.launch`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from contracts import checks
from contracts.contract.caps import caps
from contracts.contract.launch import Outcome, launched
from contracts.contract.options import DELIVERABLE
from contracts.problem.clause import Clause
from contracts.problem.standard_form import StandardForm, World
from contracts.records import frozen

if TYPE_CHECKING:
    from contracts.contract.contract import Contract

SAME = 1e-9  # relative: options that differ by less are one


@frozen
class Terms:
    """The options of a menu in one scenario, data effective and values in units of rows.

    Attributes:
        form, world: the problem's standard form, and its world.
        own: which option was made for each type, -1 for staying out, shape (types,).
        group: whose options these are, shape (options,).
        data: effective data that each asks for, without a clause, shape (options,).
        cap: value up to which each receives the model, without a clause, shape (options,).
        outside: what each type gets by staying out, in its own units, shape (types,).
        chance: of each type within its group, shape (types,).
        clause: the launch clause; None for terms that are the same whoever signs.
    """

    form: StandardForm
    world: World
    own: np.ndarray
    group: np.ndarray
    data: np.ndarray
    cap: np.ndarray
    outside: np.ndarray
    chance: np.ndarray
    clause: Clause | None

    @classmethod
    def of(cls, contract: Contract, scenario: int = 0) -> Terms:
        """The terms of a contract.

        Raises:
            InvalidInput: there is no such scenario.

        >>> from contracts.testing import example_contract
        >>> terms = Terms.of(example_contract())
        >>> terms.own.tolist(), bool(terms.outcome([[2, 2, 2, 2, 2]]).launched.all())
        ([0, 1, 2, 3, 4], True)
        """
        form, clause = contract.form, contract.clause
        world = form.worlds[checks.integer("scenario", scenario, high=len(form.worlds) - 1)]
        data, cap = _of_types(contract, scenario)
        served = (data > 0.0) | (contract.expected_reward > 0.0)
        if clause is not None and clause.contingent:
            served = clause.served[form.row]
        group = contract.problem.population.group_of
        size = max(float(data.max()), 1e-300), max(world.plain.largest_value, 1e-300)
        finite = np.minimum(cap, 2.0 * size[1])
        own, first = np.full(data.size, -1), []
        for i in np.flatnonzero(served):
            for k, j in enumerate(first):
                same = abs(data[i] - data[j]) <= SAME * size[0] and abs(finite[i] - finite[j]) <= SAME * size[1]
                if group[i] == group[j] and same:
                    own[i] = k
                    break
            else:
                own[i] = len(first)
                first.append(i)
        if clause is not None:  # its options are the rows, whoever has them
            own = np.where(served, form.row, -1)
            first = [int(np.flatnonzero(form.row == row)[0]) for row in range(form.rows)]
        return cls(
            form=form,
            world=world,
            own=own,
            group=group[first],
            data=data[first],
            cap=cap[first],
            outside=contract.reservation_utility,
            chance=_chances(form, world),
            clause=clause,
        )

    @property
    def options(self) -> int:
        """How many different options there are; to give nothing and get nothing is none."""
        return self.data.size

    def available(self) -> np.ndarray:
        """Which types may sign which option and can deliver its data, shape (types, options)."""
        reach = self.form.reach[self.form.row][:, None] * (1.0 + DELIVERABLE)
        there = np.equal.outer(self.form.problem.population.group_of, self.group) & (self.data <= reach)
        if self.clause is not None:
            there &= self.clause.served
        there[np.flatnonzero(self.own >= 0), self.own[self.own >= 0]] = True
        return there

    def outcome(self, counts: object) -> Outcome:
        """What becomes of signatures.

        Args:
            counts: how many signed each option, shape (profiles, options).
        """
        signed = np.asarray(counts, dtype=float)
        if self.clause is not None:
            return launched(self.clause, self.form, self.world, signed)
        total = signed @ self.data
        worth = np.minimum(self.world.plain.value(total)[:, None], self.cap)
        return Outcome(
            launched=np.ones(signed.shape, dtype=bool),
            data=np.broadcast_to(self.data, signed.shape),
            worth=worth,
            total=total,
        )

    def gain(self, launched: np.ndarray, worth: np.ndarray, data: np.ndarray) -> np.ndarray:
        """What each type gains over staying out by each option, in its own units, shape (..., types, options).

        Args:
            launched: the probability that the option is launched, shape (..., options).
            worth: its expected worth where it is, times that probability, shape (..., options).
            data: the data it asks for, likewise.
        """
        problem = self.form.problem
        cost = problem.population.costs / self.form.effective
        due = self.outside + problem.outside.joining_cost
        each = self.form.relative[:, None] * worth[..., None, :] - cost[:, None] * data[..., None, :]
        return each - due[:, None] * launched[..., None, :]

    def gain_of(self, launched: np.ndarray, worth: np.ndarray, data: np.ndarray) -> np.ndarray:
        """The same for one option of each type, shape (types,)."""
        problem = self.form.problem
        cost = problem.population.costs / self.form.effective
        due = self.outside + problem.outside.joining_cost
        return self.form.relative * worth - cost * data - due * launched


def _of_types(contract: Contract, scenario: int) -> tuple[np.ndarray, np.ndarray]:
    """Effective data and caps of each type's option."""
    form, clause = contract.form, contract.clause
    if clause is not None:
        data, cap = clause.largest
        return data[form.row], cap[form.row]
    return contract.contribution * form.effective, caps(contract, scenario=scenario) / form.relative


def _chances(form: StandardForm, world: World) -> np.ndarray:
    """Of each type within its group: its row's in this world, shared as stated among the types of the row."""
    stated = form.problem.population.probabilities
    total = np.bincount(form.row, weights=stated, minlength=form.rows)
    size = np.bincount(form.row, minlength=form.rows)
    share = np.where(
        total[form.row] > 0.0, stated / np.where(total > 0.0, total, 1.0)[form.row], 1.0 / size[form.row]
    )
    return share * world.probabilities[form.row]
