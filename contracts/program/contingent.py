r"""The best contract whose amounts follow from the whole profile of signatures, for one number of them.

With n the counts of options signed, p their law where all choose their own, q_j that of the others of who signs
j:

- maximise sum_n p(n) W(x(n)), x(n) = sum_j n_j m_j(n), over amounts m_j(n) and values t_j(n) <= V(x(n));
- participation in every profile: t_j(n) - c_j m_j(n) >= what j is due;
- truth on average: E_q[t_j - c_j m_j] >= E_q[t_k - c_j m_k] + eta_j.

Value and target are concave, so their tangents make this a linear program, with more of them where it is wrong.

Source: ours.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from scipy import optimize, sparse, special

from contracts.program.insured import InsuredProgram
from contracts.program.insured_total import target_and_slope, value_and_slope

FIRST = 24  # tangents of each profile, to begin with
TURNS = 40
CLOSE = 1e-8  # of the largest value: where a tangent is close enough
NEAR = 0.02  # of the largest value
LEAST = 0.003  # of the largest value: models worth less need no tangents, to begin with
INSIDE = 2e-8  # of the largest value: how far inside its promises a menu is kept, so that closeness breaks none
PRECISE = {"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10}


class Contingent(NamedTuple):
    """A contingent menu, and the prices that bound all others.

    Attributes:
        contribution, worth: what each option asks for and gives, shape (profiles, rows); 0 for who did not sign.
        truth: prices of choosing one's own option rather than another, shape (rows, rows).
        participation: prices of participation, shape (profiles, rows).
    """

    contribution: np.ndarray
    worth: np.ndarray
    truth: np.ndarray
    participation: np.ndarray


def solve_contingent(program: InsuredProgram) -> Contingent | None:
    """The best contingent menu for as many signatures as `program.launch`; None if there is none."""
    layout = _Layout(program)
    fixed, due = layout.promises()
    points = np.geomspace(*layout.range, FIRST)
    first = [layout.tangents(np.full(len(program.counts), point)) for point in points]
    rows = sparse.vstack([fixed, *(some for some, _ in first)]).tocsr()
    least = np.concatenate([due, *(some for _, some in first)])
    found: Any = None
    for _ in range(TURNS):
        found = optimize.linprog(
            -layout.gain, A_ub=-rows, b_ub=-least, bounds=layout.bounds, method="highs", options=PRECISE
        )
        if found.status == 4:  # numbers too far apart for so much precision
            found = optimize.linprog(-layout.gain, A_ub=-rows, b_ub=-least, bounds=layout.bounds, method="highs")
        if found.status != 0:
            return None
        total = layout.total(found.x)
        wrong = layout.excess(found.x, total) > CLOSE
        if not wrong.any():
            break
        # tangents far from where they matter are let go
        near = (rows @ found.x - least < NEAR) | (np.arange(least.size) < due.size)
        more, levels = layout.tangents(total, wrong)
        rows, least = sparse.vstack([rows[near], more]).tocsr(), np.r_[least[near], levels]
    return layout.read(found)


def chances_of(counts: np.ndarray, share: np.ndarray) -> np.ndarray:
    """How likely these counts are among as many who sign, each as meant."""
    number = counts[0].sum()
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.where(counts > 0.0, counts * np.log(share), 0.0).sum(axis=1)
    return np.exp(special.gammaln(number + 1.0) - special.gammaln(counts + 1.0).sum(axis=1) + logs)


class _Layout:
    """Where each variable is: amounts, then values, of who signed, then the value and the target of each
    profile.

    Amounts are in units of what would cost a row the largest value, values in units of it.
    """

    def __init__(self, program: InsuredProgram):
        self.program, self.unit = program, program.unit
        counts = program.counts
        self.profile, self.row = np.nonzero(counts > 0)
        self.there, self.many = self.profile.size, len(counts)
        self.data = self.unit / program.costs[self.row]
        self.share = counts[self.profile, self.row] * self.data
        # of the others of who signs an option, all choosing their own
        rest = counts[self.profile] - (np.arange(program.costs.size) == self.row[:, None])
        self.likely = chances_of(rest, program.share)
        size = 2 * self.there + 2 * self.many
        self.gain = np.zeros(size)
        self.gain[-self.many :] = program.chances
        room = np.maximum(1.0 - program.due[self.row] / self.unit, 0.0)
        self.bounds = np.c_[
            np.zeros(size), np.r_[room, np.ones(self.there + self.many), np.full(self.many, np.inf)]
        ]
        self.size = size

    @cached_property
    def range(self) -> tuple[float, float]:
        """Totals at which tangents are laid, to begin with."""
        high = self.program.launch * self.unit / float(self.program.costs.min())
        points = np.geomspace(1e-9 * high, high, 400)
        worth = np.asarray(self.program.plain.value(points)) > LEAST * self.unit
        return float(points[np.argmax(worth)]), high

    def total(self, x: np.ndarray) -> np.ndarray:
        return np.bincount(self.profile, weights=self.share * x[: self.there], minlength=self.many)

    def promises(self) -> tuple[Any, np.ndarray]:
        """Truth, participation, and no value above the model's, as rows @ x >= least."""
        there, program = self.there, self.program
        each = np.arange(there)
        blocks, least, pairs = [], [], len(program.costs)
        for i in range(pairs):
            for j in range(pairs):
                if i == j:
                    continue
                sign = np.where(self.row == i, 1.0, np.where(self.row == j, -1.0, 0.0)) * self.likely
                paid = -sign * program.costs[i] / program.costs[self.row]
                blocks.append(np.r_[paid, sign, np.zeros(2 * self.many)])
                least.append(program.margin[i] / self.unit + INSIDE)
        truth = sparse.csr_array(np.array(blocks).reshape(-1, self.size))
        join = sparse.csr_array(
            (np.r_[np.full(there, -1.0), np.ones(there)], (np.r_[each, each], np.r_[each, there + each])),
            shape=(there, self.size),
        )
        least = np.r_[least, program.due[self.row] / self.unit + INSIDE]
        given = sparse.csr_array(
            (
                np.r_[np.full(there, -1.0), np.ones(there)],
                (np.r_[each, each], np.r_[there + each, 2 * there + self.profile]),
            ),
            shape=(there, self.size),
        )
        return sparse.vstack([truth, join, given]), np.r_[least, np.full(there, INSIDE)]

    def tangents(self, total: np.ndarray, which: np.ndarray | None = None) -> tuple[Any, np.ndarray]:
        """Value and target of some profiles lie below their tangents at these totals."""
        kept = np.arange(self.many) if which is None else np.flatnonzero(which)
        total = np.maximum(total[kept], self.range[0])
        plain, rows, least = self.program.plain, [], []
        place = np.full(self.many, -1)
        place[kept] = np.arange(kept.size)
        member = np.flatnonzero(place[self.profile] >= 0)
        for function, first, size in (
            (value_and_slope, 2 * self.there, self.unit),
            (target_and_slope, 2 * self.there + self.many, plain.largest_target),
        ):
            level, slope = function(plain, total)
            at = place[self.profile[member]]
            entries = np.r_[slope[at] * self.share[member] / size, np.full(kept.size, -1.0)]
            where = (np.r_[at, np.arange(kept.size)], np.r_[member, first + kept])
            rows.append(sparse.csr_array((entries, where), shape=(kept.size, self.size)))
            least.append((slope * total - level) / size)
        return sparse.vstack(rows), np.concatenate(least)

    def excess(self, x: np.ndarray, total: np.ndarray) -> np.ndarray:
        """By how much value or target of each profile is overstated, in their largest."""
        plain, first = self.program.plain, 2 * self.there
        value = x[first : first + self.many] - plain.value(total) / self.unit
        target = plain.value(total) if plain.target_is_value else plain.accuracy(total)
        aim = x[first + self.many :] - target / plain.largest_target
        # what hardly ever happens need not be aimed at precisely
        return np.maximum(value, aim * np.minimum(self.program.chances * self.many, 1.0))

    def read(self, found: Any) -> Contingent:
        """The menu and its prices; these in units of the objective for a unit of value."""
        shape, rows = self.program.counts.shape, self.program.costs.size
        amount, worth, participation = np.zeros(shape), np.zeros(shape), np.zeros(shape)
        amount[self.profile, self.row] = self.data * found.x[: self.there]
        total = (self.program.counts * amount).sum(axis=1)
        given = np.minimum(self.unit * found.x[self.there : 2 * self.there],
                           np.asarray(self.program.plain.value(total))[self.profile])  # fmt: skip
        worth[self.profile, self.row] = given
        prices = np.maximum(-found.ineqlin.marginals, 0.0) * self.program.plain.largest_target / self.unit
        truth = np.zeros((rows, rows))
        truth[~np.eye(rows, dtype=bool)] = prices[: rows * (rows - 1)]
        participation[self.profile, self.row] = prices[rows * (rows - 1) :][: self.there]
        return Contingent(amount, worth, truth, participation)
