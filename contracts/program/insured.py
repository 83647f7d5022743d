r"""The best insured menu for one number of signatures.

Rows by falling cost c_1 > ... > c_I, with guarantees b (variables), delta_i = c_i - c_(i+1), margins eta_i >= 0:

- options below the top ask for m_i = (b_(i+1) - b_i - eta_(i+1)) / delta_i and give a model up to b_i + c_i m_i;
- the top option asks for M, at least M_0 = (b_I - b_(I-1) + eta_(I-1)) / delta_(I-1), and gives the whole model;
- chain: m_(i+1) >= (b_(i+1) - b_i + eta_i) / delta_i for i + 1 < I;
- who is left out, dearer than all, gets no more by signing: b_1 - (c - c_1) m_1 <= what it is due, less a
margin;
- cover: V(K m_1) >= b_(I-1) + c_(I-1) m_(I-1) and >= b_I + c_I M_0, the launch level.

Then in every launch, whoever signs, everybody gets b_i by its own option and at most b_i - eta_i by another. The
total x(b) is concave in b, so the expected target is; chain is linear and cover concave: a convex program. Its
prices come from its linearisation at the answer.

Source: ours.
"""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import numpy as np
from scipy import optimize

from contracts.problem.problem import Problem
from contracts.program.insured_total import insured_total, target_and_slope, value_and_slope
from contracts.records import frozen

INSIDE = (
    1e-9  # of the largest value: how far inside its constraints a menu is kept, so that rounding breaks none
)
EVALUATIONS = 400


@frozen
class InsuredProgram:
    """The best insured menu for one number of signatures.

    Attributes:
        plain: whose curve and value these are.
        costs: of the rows, falling, shape (rows,), at least two.
        due: what each row is due at least, shape (rows,).
        margin: what each row loses at least by another option, shape (rows,).
        counts: how many may sign each option, each row so many in all, shape (profiles, rows).
        chances: how likely that is, shape (profiles,).
        launch: K, the number of signatures that must cover.
        share: of each row among those who sign, shape (rows,).
        left_costs: of rows that are left out, dearer than all others, falling, shape (out,).
        left_due: what signing gives them at most, shape (out,).
    """

    plain: Problem
    costs: np.ndarray
    due: np.ndarray
    margin: np.ndarray
    counts: np.ndarray
    chances: np.ndarray
    launch: int
    share: np.ndarray
    left_costs: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(0))
    left_due: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(0))

    @property
    def steps(self) -> np.ndarray:
        """delta, shape (rows - 1,)."""
        return self.costs[:-1] - self.costs[1:]

    @property
    def unit(self) -> float:
        """The largest value."""
        return self.plain.largest_value

    def amounts(self, guarantee: np.ndarray) -> np.ndarray:
        """What options below the top ask for, and the least of the top, shape (rows,)."""
        rise = np.diff(guarantee)
        return np.r_[(rise - self.margin[1:]) / self.steps, (rise[-1] + self.margin[-2]) / self.steps[-1]]

    def linear(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Amounts and levels as linear functions of b: matrix (rows + 2, rows) and constants; and the chain.

        The first rows are the amounts, the last two the levels that the launch must reach.
        """
        rows = self.costs.size
        matrix, constant = np.zeros((rows + 2, rows)), np.zeros(rows + 2)
        for i, step in enumerate(self.steps):
            matrix[i, i], matrix[i, i + 1], constant[i] = -1.0 / step, 1.0 / step, -self.margin[i + 1] / step
        matrix[rows - 1], constant[rows - 1] = matrix[rows - 2], self.margin[-2] / self.steps[-1]
        for level, row in ((rows, rows - 2), (rows + 1, rows - 1)):
            matrix[level] = self.costs[row] * matrix[row]
            matrix[level, row] += 1.0
            constant[level] = self.costs[row] * constant[row]
        apart = (self.margin[:-1] + self.margin[1:]) / self.steps
        chain = [
            np.r_[matrix[i + 1] - matrix[i], constant[i + 1] - constant[i] - apart[i]] for i in range(rows - 2)
        ]
        # who is left out gains nothing by the dearest option, and so by none
        for cost, due in zip(self.left_costs, self.left_due, strict=True):
            apart = cost - self.costs[0]
            stays = np.r_[apart * matrix[0], due + apart * constant[0]]
            stays[0] -= 1.0
            chain.append(stays)
        return matrix, constant, np.array(chain).reshape(len(chain), rows + 1)


class Found(NamedTuple):
    """A menu: guarantees, what is expected of it, and prices of chain, who is left out, then cover."""

    guarantee: np.ndarray
    target: float
    prices: np.ndarray


def solve(program: InsuredProgram, start: np.ndarray) -> Found | None:
    """The best menu; None where none was found that covers.

    Args:
        program: what to solve.
        start: guarantees to begin with, shape (rows,).
    """
    unit, best = program.unit, None
    if program.due.max() / unit + INSIDE > 1.0:  # more than any model is worth
        return None
    for first in (np.maximum(start, program.due), _widest(program, start)):
        found = optimize.minimize(
            lambda u: _negative(program, unit * u),
            first / unit,
            jac=True,
            method="SLSQP",
            bounds=[(low / unit + INSIDE, 1.0) for low in program.due],
            constraints=_constraints(program),
            options={"maxiter": EVALUATIONS, "ftol": 1e-13},
        )
        guarantee = np.maximum(unit * found.x, program.due)
        if not feasible(program, guarantee):
            continue
        target = expected_target(program, guarantee)[0]
        if best is None or target > best[1]:
            best = guarantee, target
    if best is None:
        return None
    return Found(best[0], best[1], prices(program, best[0]))


def feasible(program: InsuredProgram, guarantee: np.ndarray) -> bool:
    """Whether a menu keeps its chain, its cover and what is due, exactly."""
    matrix, constant, chain = program.linear()
    levels = (matrix @ guarantee + constant)[-2:]
    amounts = program.amounts(guarantee)
    covered = amounts[0] > 0.0 and float(program.plain.value(program.launch * amounts[0])) >= levels.max()
    return bool(
        covered and (guarantee >= program.due).all() and (chain[:, :-1] @ guarantee + chain[:, -1] >= 0).all()
    )


def launch_count(program: InsuredProgram, guarantee: np.ndarray) -> int:
    """The least number of signatures that covers a menu which `program.launch` signatures cover."""
    matrix, constant, _ = program.linear()
    level, first = (matrix @ guarantee + constant)[-2:].max(), program.amounts(guarantee)[0]
    covers = program.plain.value(np.arange(1, program.launch + 1) * first) >= level
    return int(np.argmax(covers)) + 1


def expected_target(program: InsuredProgram, guarantee: np.ndarray) -> tuple[float, np.ndarray]:
    """The expected target, and its derivative by the guarantees."""
    matrix, _, _ = program.linear()
    counts, top, cost = program.counts, program.counts[:, -1], float(program.costs[-1])
    fixed = counts[:, :-1] @ program.amounts(guarantee)[:-1]
    total = insured_total(program.plain, fixed, top, float(guarantee[-1]), cost)
    target, slope = target_and_slope(program.plain, total)
    _, rise = value_and_slope(program.plain, total)
    by_fixed = 1.0 / np.maximum(1.0 - top * rise / cost, 1e-12)
    by_guarantee = by_fixed[:, None] * (counts[:, :-1] @ matrix[: counts.shape[1] - 1])
    by_guarantee[:, -1] -= by_fixed * top / cost
    return float(program.chances @ target), (program.chances * slope) @ by_guarantee


def prices(program: InsuredProgram, guarantee: np.ndarray) -> np.ndarray:
    """Prices of chain and cover, from the program linearised at a menu; zero where that is not solved."""
    _, gradient = expected_target(program, guarantee)
    rows, least = _tangents(program, guarantee)
    unit = program.unit
    found: Any = optimize.linprog(
        -gradient * unit,
        A_ub=-rows * unit,
        b_ub=-least,
        bounds=[(low / unit, 1.0) for low in program.due],
        method="highs",
    )
    if found.status != 0:
        return np.zeros(len(rows))
    return np.maximum(-found.ineqlin.marginals, 0.0)


def _tangents(program: InsuredProgram, guarantee: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Chain, and cover linearised at a menu, as rows @ b >= least."""
    matrix, constant, chain = program.linear()
    first = float(program.amounts(guarantee)[0])
    value, slope = value_and_slope(program.plain, np.array([max(program.launch * first, 0.0)]))
    # V(K m) + V'(K m) K (m_1(b) - m) >= level(b)
    by_first = float(slope[0]) * program.launch
    rows = by_first * matrix[0] - matrix[-2:]
    least = constant[-2:] - float(value[0]) + by_first * (first - constant[0])
    return np.r_[chain[:, :-1], rows], np.r_[-chain[:, -1], least]


def _negative(program: InsuredProgram, guarantee: np.ndarray) -> tuple[float, np.ndarray]:
    target, gradient = expected_target(program, guarantee)
    size = program.plain.largest_target
    return -target / size, -gradient * (program.unit / size)


def _constraints(program: InsuredProgram) -> list[dict[str, Any]]:
    """Chain and cover >= a little, in units of the largest value."""
    unit = program.unit
    matrix, constant, chain = program.linear()
    scale = np.abs(chain[:, :-1]).max(axis=1, initial=1e-300)
    steps = chain / (scale * unit)[:, None] if len(chain) else chain

    def cover(u: np.ndarray) -> np.ndarray:
        first = program.launch * program.amounts(unit * u)[0]
        value, slope = value_and_slope(program.plain, np.array([max(first, 0.0)]))
        value = value + min(first, 0.0) * slope  # goes on below zero
        return (value - (matrix @ (unit * u) + constant)[-2:]) / unit - INSIDE

    def slopes(u: np.ndarray) -> np.ndarray:
        return _tangents(program, unit * u)[0][-2:]

    found: list[dict[str, Any]] = [{"type": "ineq", "fun": cover, "jac": slopes}]
    if len(chain):
        found.append(
            {
                "type": "ineq",
                "fun": lambda u: steps[:, :-1] @ (unit * u) + steps[:, -1] - INSIDE,
                "jac": lambda u: steps[:, :-1] * unit + 0.0 * u,
            }
        )
    return found


def _widest(program: InsuredProgram, start: np.ndarray) -> np.ndarray:
    """Guarantees with as much room as possible in chain and cover: where the constraints can be met at all."""
    unit, rows = program.unit, program.costs.size
    constraints = [
        {
            "type": "ineq",
            "fun": lambda z, one=one: one["fun"](z[:-1]) - z[-1],
            "jac": lambda z, one=one: np.c_[one["jac"](z[:-1]), -np.ones(len(one["fun"](z[:-1])))],
        }
        for one in _constraints(program)
    ]
    found = optimize.minimize(
        lambda z: -z[-1],
        np.r_[np.maximum(start, program.due) / unit, -1.0],
        jac=lambda _: np.r_[np.zeros(rows), -1.0],
        method="SLSQP",
        bounds=[*[(low / unit + INSIDE, 1.0) for low in program.due], (-10.0, 1.0)],
        constraints=constraints,
        options={"maxiter": EVALUATIONS, "ftol": 1e-10},
    )
    return unit * found.x[:-1]
