r"""Contracts that are feasible for the true curve, improved locally (SLSQP), floor and inflections included.

The objective depends on contributions alone; rewards only have to exist. Given m, utilities must satisfy
f_i <= u_i <= T_i(m) - c_i m_i and rise between neighbours by what the chain allows, which is decided exactly by
passing intervals along the chain.
"""

from __future__ import annotations

import warnings
from typing import NamedTuple

import numpy as np
from scipy import optimize

from contracts.program.box_program import Space
from contracts.program.first_moment import FirstMoment

STEP = 1e-5  # relative, of central differences: their error is about 1e-10
MARGIN = 1e-10  # of the largest value, left between what is promised and what can be given
TRIES = 4
NOTHING = 1e-9  # of the largest contribution: what the solver means by zero


class Menu(NamedTuple):
    """A feasible menu in the program's units: contributions, least utilities, expected target."""

    contribution: np.ndarray
    utility: np.ndarray
    target: float


class Truth:
    """The true expectations of a problem over its enumerated outcomes, in the program's units."""

    def __init__(self, model: FirstMoment, space: Space):
        self.model, self.space = model, space

    def value(self, data: np.ndarray) -> np.ndarray:
        """Value of a model trained on `data`."""
        return np.asarray(self.model.problem.value(data * self.model.data_unit)) / self.model.value_unit

    def target(self, data: np.ndarray) -> np.ndarray:
        """What the coordinator maximises."""
        return np.asarray(self.model.problem.target(data * self.model.data_unit)) / self.model.target_unit

    def rewards(self, m: np.ndarray) -> np.ndarray:
        """T_i, what can be given at most, shape (types,)."""
        return self.value(self.space.outcomes.counts @ m) @ self.space.outcomes.believed

    def objective(self, m: np.ndarray) -> float:
        """The expected target."""
        return float(self.target(self.space.outcomes.counts @ m) @ self.space.outcomes.prior)

    def menu(self, m: np.ndarray) -> Menu | None:
        """The menu with these contributions and the least utilities; None if there is none."""
        costs, f = self.space.costs, self.space.reservation
        u = least_utilities(costs, f, self.rewards(m) - costs * m - MARGIN, m)
        return None if u is None else Menu(m, u, self.objective(m))


def least_utilities(costs: np.ndarray, f: np.ndarray, most: np.ndarray, m: np.ndarray) -> np.ndarray | None:
    """The least u with f <= u <= most and steps_i m_i <= u_{i+1} - u_i <= steps_i m_{i+1}; None without any."""
    if (np.diff(m) < 0.0).any() or (m < 0.0).any():
        return None
    steps = costs[:-1] - costs[1:]
    u = f.copy()
    for i in range(steps.size):
        u[i + 1] = max(u[i + 1], u[i] + steps[i] * m[i])
    for i in reversed(range(steps.size)):
        u[i] = max(u[i], u[i + 1] - steps[i] * m[i + 1])
    return u if (u <= most).all() else None


def improve(truth: Truth, start: np.ndarray) -> Menu | None:
    """The best feasible menu near contributions that need not be feasible; None if none is found."""
    margin, types = 2.0 * MARGIN, start.size
    m = np.maximum.accumulate(np.maximum(start, 0.0))
    best = truth.menu(m)
    for _ in range(TRIES):
        m = _slsqp(truth, m, margin)[:types]
        m = np.maximum.accumulate(np.where(m > NOTHING * m.max(), m, 0.0))
        found = truth.menu(m)
        if found is not None:
            return found if best is None or found.target > best.target else best
        margin *= 30.0
    return best


def _slsqp(truth: Truth, m: np.ndarray, margin: float) -> np.ndarray:
    space, types = truth.space, m.size
    counts, prior, believed = space.outcomes
    steps = (space.costs[:-1] - space.costs[1:])[:, None]
    eye, zero = np.eye(types), np.zeros((types, types))
    rise = (eye[1:] - eye[:-1]) / steps
    chain = np.vstack([np.hstack([-eye[:-1], rise]), np.hstack([eye[1:], -rise])])

    def slopes(function, m):
        x = counts @ m
        step = STEP * np.maximum(x, 1e-6)
        return (function(x + step) - function(np.maximum(x - step, 0.0))) / (2.0 * step)

    def given(x):
        return truth.rewards(x[:types]) - space.costs * x[:types] - x[types:] - margin

    def given_slope(x):
        by_m = (believed * slopes(truth.value, x[:types])[:, None]).T @ counts
        return np.hstack([by_m - np.diag(space.costs), -eye])

    u = space.reservation + np.r_[0.0, np.cumsum(steps[:, 0] * m[:-1])]
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # trial steps outside the bounds are clipped
        answer = optimize.minimize(
            lambda x: -truth.objective(np.maximum(x[:types], 0.0)),
            np.r_[m, u],
            jac=lambda x: np.r_[-(prior * slopes(truth.target, x[:types])) @ counts, zero[0]],
            bounds=[(0.0, None)] * types + [(f, None) for f in space.reservation],
            constraints=[
                {"type": "ineq", "fun": given, "jac": given_slope},
                {"type": "ineq", "fun": lambda x: chain @ x, "jac": lambda x: chain},  # noqa: ARG005
            ],
            method="SLSQP",
            options={"maxiter": 80, "ftol": 1e-12},
        )
    return answer.x if np.isfinite(answer.x).all() else np.r_[m, u]
