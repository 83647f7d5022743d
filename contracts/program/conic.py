r"""The first-moment program for cvxpy: an independent second opinion (Clarabel, exponential cones).

In centred logarithms every power phi^N is exp(-N s y_bar) times the exponential of a small number, and E L is
a log-sum-exp of N times log phi: disciplined convex for every N. Its precision is the cone solver's multiplied
by N: expect about 1e-6 of the largest value, and failure beyond about 10,000 participants.
"""

from __future__ import annotations

import contextlib
import warnings
from typing import Any

import numpy as np

from contracts.errors import BackendMissing, InvalidInput
from contracts.program.first_moment import Program, moments, unfold
from contracts.program.interior_point import Solution
from contracts.program.newton import maps

MOST_TYPES = 60
MOST_TERMS = 20_000
# Held back from every constraint, so that what the cone solver returns is feasible to the last digit.
MARGIN = 2e-8
# (constraints in logarithms, objective in logarithms): each fails somewhere, so all are tried and the best
# feasible answer is kept.
FORMS = ((True, False), (True, True), (False, True))
UNSOLVED = Solution(np.zeros(0), np.zeros(0), np.inf, 0)


def solve(program: Program, belief: str) -> Solution:
    """Solve one program with cvxpy and Clarabel, in the same units as `interior_point.solve`.

    Raises:
        BackendMissing: cvxpy or Clarabel is not installed.
        InvalidInput: the program is larger than this formulation can carry.
    """
    try:
        import cvxpy as cp
    except ImportError as error:
        raise BackendMissing("cvxpy", "the conic solver") from error
    if program.turnout is not None:
        raise InvalidInput(
            "solver = 'conic' with an uncertain number of participants: expected solver='interior-point'"
        )
    types, n = program.costs.size, program.participants
    terms = program.rates.size * types * (n if belief == "ex-ante" else 1)
    if types > MOST_TYPES or terms > MOST_TERMS:
        raise InvalidInput(
            f"solver = 'conic' with {types} types, {n:g} participants, {belief} belief: too large for cones;"
            " expected solver='interior-point'"
        )
    found = [_attempt(program, belief, forms, cp) for forms in FORMS]
    return min(found, key=lambda solution: (solution.error > MARGIN, _loss(program, solution, belief)))


def _loss(program: Program, solution: Solution, belief: str) -> float:
    if not solution.gaps.size:
        return np.inf
    contribution, _ = unfold(program, solution.gaps, np)
    return float(moments(program, contribution, belief, np).target_loss)


def _attempt(program: Program, belief: str, forms: tuple[bool, bool], cp: Any) -> Solution:
    """Solve with the constraints and the objective in logarithms or as they are: cones like now one, now
    the other."""
    logarithmic_constraints, logarithmic_objective = forms
    types = program.costs.size
    to_m, to_u = maps(program, np)
    x = cp.Variable(2 * types, nonneg=True)
    m, u = to_m @ x, program.reservation[0] + to_u @ x
    powers = _Powers(program, m, cp)
    losses = powers.interim() if belief == "interim" else powers.ex_ante()
    room = 1.0 - MARGIN - cp.multiply(program.costs, m) - u + program.value_offset
    if logarithmic_constraints:
        feasible = cp.hstack([cp.log_sum_exp(terms) for terms in losses]) <= cp.log(room)
    else:
        feasible = cp.hstack([cp.sum(cp.exp(terms)) for terms in losses]) <= room
    constraints = [*powers.constraints, feasible]
    if types > 1:
        constraints.append(u[1:] >= program.reservation[1:] + MARGIN * (program.reservation[1:] > 0))
    terms = powers.target()
    objective = cp.log_sum_exp(terms) if logarithmic_objective else cp.sum(cp.exp(terms))
    problem = cp.Problem(cp.Minimize(objective), constraints)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # an inaccurate answer is judged by its certificate
        with contextlib.suppress(cp.error.SolverError):
            problem.solve(solver=cp.CLARABEL)
    if x.value is None or feasible.dual_value is None:
        return UNSOLVED
    gaps = np.maximum(x.value, 0.0) * program.active
    # Prices of constraints in logarithms, and for the logarithm of the loss, follow by the chain rule.
    loss = float(np.exp(terms.value).sum())
    prices = [np.asarray(c.dual_value).ravel() for c in constraints[len(powers.constraints) :]]
    if logarithmic_constraints:
        prices[0] = prices[0] / np.maximum(room.value, 1e-300)
    scale = (loss if logarithmic_objective else 1.0) / (loss - float(program.target_offset))
    multipliers = np.maximum(np.concatenate(prices), 0.0) * scale
    return Solution(gaps, multipliers, _violation(program, gaps, belief), problem.solver_stats.num_iters or 0)


def _violation(program: Program, gaps: np.ndarray, belief: str) -> float:
    m, u = unfold(program, gaps, np)
    room = 1.0 - moments(program, m, belief, np).value_loss - program.costs * m - u
    return float(max(0.0, -room.min(), (program.reservation - u)[1:].max(initial=0.0)))


class _Powers:
    """Logarithms of powers of phi, each bounded from below by a log-sum-exp."""

    def __init__(self, program: Program, m: Any, cp: Any):
        self.program, self.m, self.cp = program, m, cp
        p, n = program.probabilities, program.participants
        self.occurs = p > 0
        self.mean = p @ m
        self.centred = cp.Variable(program.rates.size)
        self.constraints = [self.centred >= n * self._log_mean_exp(self.occurs)]

    def _log_mean_exp(self, kept: np.ndarray) -> Any:
        """log sum over kept types of p exp(-s (m - mean)), one entry per rate."""
        which = np.flatnonzero(kept)
        spread = np.outer(self.program.rates, np.ones(which.size))
        deviation = self.cp.vstack([self.m[which] - self.mean] * self.program.rates.size)
        log_p = np.log(self.program.probabilities[which])[None, :]
        return self.cp.log_sum_exp(log_p - self.cp.multiply(spread, deviation), axis=1)

    def target(self) -> Any:
        """Logarithms of the terms of E L (the offset, a constant below, is left out of them)."""
        used = self.program.target_weights > 0
        power = self.centred - self.program.participants * self.program.rates * self.mean
        return np.log(self.program.target_weights[used]) + power[np.flatnonzero(used)]

    def interim(self) -> list[Any]:
        """Logarithms of the terms of E_i L, a vector for each type."""
        n, used = self.program.participants, np.flatnonzero(self.program.value_weights > 0)
        rates, log_w = self.program.rates[used], np.log(self.program.value_weights[used])
        others = (n - 1.0) / n * self.centred[used] - (n - 1.0) * rates * self.mean
        return [log_w + others - rates * self.m[i] for i in range(self.program.costs.size)]

    def ex_ante(self) -> list[Any]:
        """The same given n_i >= 1: p_i e^{-s m_i} sum_j phi^j (phi without i)^(N-1-j) / Z_i."""
        cp, program = self.cp, self.program
        n, p = int(program.participants), np.maximum(program.probabilities, 1e-300)
        used = np.flatnonzero(program.value_weights > 0)
        rates, log_w = program.rates[used], np.log(program.value_weights[used])
        rows = []
        for i in range(program.costs.size):
            present = -np.expm1(n * np.log1p(-min(p[i], 1 - 1.2e-16)))
            start = log_w + np.log(p[i] / present) - rates * (self.m[i] + (n - 1) * self.mean)
            without = self.occurs & (np.arange(p.size) != i)
            if not without.any():
                rows.append(start + (n - 1.0) / n * self.centred[used])
                continue
            others = cp.Variable(program.rates.size)
            self.constraints.append(others >= n * self._log_mean_exp(without))
            terms = [start + (j * self.centred[used] + (n - 1 - j) * others[used]) / n for j in range(n)]
            rows.append(cp.hstack(terms))
        return rows
