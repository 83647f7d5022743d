r"""The first-moment program against every q of a Kullback-Leibler ball, by cutting planes.

For a mixture of exponentials the expected loss under q is sum_s w_s G(phi_s(q)) with phi_s(q) = sum_j q_j e^{-s
m_j} linear in q, and G increasing. Taking the worst q for every rate s on its own gives

    E L <= sum_s w_s G(max_q phi_s(q)),

a bound on the worst case that is convex in the contributions, hardly larger than it (all rates that matter want
nearly the same q), and computed exactly: each maximum is an exponential tilt. The same holds for what
participants expect. Both are largest values of convex functions, with kinks where contributions are equal, so
they are minimised by their tangents (Kelley 1960, with tangents also half-way to the last point), by linear
programs (HiGHS).

Source: ours.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy import optimize, sparse

from contracts.errors import NotConverged
from contracts.program.first_moment import FirstMoment
from contracts.program.newton import maps
from contracts.program.tilts import tilted

ROUNDS, SHORT_ROUNDS = 400, 60
# Held back from every promise, in units of the largest value, so that what is returned keeps them all.
MARGIN = 1e-8
PRECISION = 1e-8  # of log E L
PRECISE = {"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10}


class Worst(NamedTuple):
    """Bounds over the ball at one point, with their gradients by m.

    Attributes:
        loss, slope: on E L, shape () and (types,).
        value_loss: on E of the loss of value.
        losses, slopes: on E_i L, shape (types,) and (types, types).
        probabilities: the worst q of the rates, averaged by their weight in the slope, shape (types,).
    """

    loss: float
    slope: np.ndarray
    value_loss: float
    losses: np.ndarray
    slopes: np.ndarray
    probabilities: np.ndarray


class Found(NamedTuple):
    """What the cutting planes found, in the program's units.

    Attributes:
        contribution, utility: the menu, by row.
        loss, value_loss: bounds on its expected losses over the ball.
        members: members of the ball at which promises or the objective were tight, shape (members, types).
        rounds: how many linear programs were solved.
    """

    contribution: np.ndarray
    utility: np.ndarray
    loss: float
    value_loss: float
    members: np.ndarray
    rounds: int


def worst(model: FirstMoment, contribution: np.ndarray, radius: float) -> Worst:
    """Evaluate the bounds at contributions by row, in the program's units."""
    program, law = model.program, model.problem.population.turnout
    s, p = program.rates, program.probabilities
    # Types that never occur may contribute less than the least that does: they must not overflow.
    least = contribution[p > 0].min()
    each = np.exp(-np.multiply.outer(s, np.maximum(contribution - least, 0.0)))
    q = tilted(p, each, radius)
    mean = (q * each).sum(axis=1)
    share = q * each / mean[:, None]
    log_phi = np.log(mean) - s * least
    everybody, others = law.log_power(log_phi), law.others().log_power(log_phi)
    terms = program.target_weights * np.exp(everybody.value)
    pull = terms * everybody.slope * s
    empty = float(law.generating(0.0)) * (program.target_weights.sum() - 1.0)
    own = program.value_weights[:, None] * np.exp(-np.multiply.outer(s, contribution) + others.value[:, None])
    pulls = own * s[:, None]
    return Worst(
        loss=float(terms.sum() - empty),
        slope=-(pull @ share),
        value_loss=float(program.value_weights @ np.exp(everybody.value))
        - float(law.generating(0.0)) * (program.value_weights.sum() - 1.0),
        losses=own.sum(axis=0),
        slopes=-((pulls * others.slope[:, None]).T @ share) - np.diag(pulls.sum(axis=0)),
        probabilities=pull @ q / pull.sum(),
    )


def solve(model: FirstMoment, radius: float, start: np.ndarray) -> Found:
    """Minimise the bound on E L over all menus whose promises hold by the bounds on E_i L.

    Args:
        model: the prepared problem; its losses must be mixtures of exponentials.
        radius: of the ball, > 0.
        start: contributions by row, in the program's units, at which tangents begin.

    Raises:
        NotConverged: no menu in which all types may contribute keeps its promises, or too many rounds.
    """
    program = model.program
    types = program.costs.size
    to_m, to_u = maps(program, np)
    # Columns: x = (gaps, e), then the bound on log E L.
    budget = np.r_[np.ones(2 * types - 1), 0.0, 0.0]
    rows = [budget, *np.column_stack([-to_u, np.zeros(types)])[1:]]
    limits = [1.0 / float(program.costs[-1]), *(program.reservation[0] - program.reservation[1:])]
    objective_rows: list[int] = []
    promises: list[int] = []
    members: list[np.ndarray] = []

    def cut(m: np.ndarray) -> Worst:
        here = worst(model, m, radius)
        slope = here.slope / here.loss
        objective_rows.append(len(rows))
        members.append(here.probabilities)
        rows.append(np.r_[slope @ to_m, -1.0])
        limits.append(float(slope @ m - np.log(here.loss)))
        for i in range(types):
            by_m = here.slopes[i].copy()
            by_m[i] += program.costs[i]
            promises.append(len(rows))
            rows.append(np.r_[by_m @ to_m + to_u[i], 0.0])
            reached = here.losses[i] - here.slopes[i] @ m
            limits.append(1.0 - MARGIN - program.reservation[0] - reached)
        return here

    centre, missing = start, ""
    cut(centre)
    for count in range(1, ROUNDS + 1):
        answer = optimize.linprog(
            np.r_[np.zeros(2 * types), 1.0],
            A_ub=sparse.csr_array(np.array(rows)),
            b_ub=np.array(limits),
            bounds=[(0.0, None)] * (2 * types) + [(-700.0, 1.0)],
            method="highs",
            options=PRECISE,
        )
        if answer.x is None:
            missing = _missing(model, rows, limits, promises, cut)
            break
        x = np.maximum(answer.x[:-1], 0.0)
        m, u = to_m @ x, program.reservation[0] + to_u @ x
        here = cut(m)
        excess = float((here.losses + program.costs * m + u).max() - 1.0)
        if excess <= 0.0 and np.log(here.loss) - answer.x[-1] <= PRECISION:
            prices = np.maximum(-answer.ineqlin.marginals[objective_rows[:-1]], 0.0)
            together = prices @ np.array(members[:-1]) / prices.sum()
            return Found(m, u, here.loss, here.value_loss, np.array([together, *members]), count)
        centre = 0.5 * (centre + m)
        cut(centre)
    raise NotConverged(
        "no contract was found in which every type contributes and whose promises hold for all of the ball"
        f"{missing}: expected a radius smaller than {radius:g}, or a ball of total variation"
    )


def _missing(
    model: FirstMoment,
    rows: list[np.ndarray],
    limits: list[float],
    promises: list[int],
    cut: Callable[[np.ndarray], Worst],
) -> str:
    """Who is given too little in the menu that is best for whoever is given least, and by how much."""
    program = model.program
    to_m, to_u = maps(program, np)
    columns, missing, prices = len(rows[0]), 0.0, np.zeros(program.costs.size)
    for _ in range(SHORT_ROUNDS):
        short = np.zeros(len(rows))
        short[promises] = -1.0
        answer = optimize.linprog(
            np.r_[np.zeros(columns), 1.0],
            A_ub=sparse.csr_array(np.column_stack([np.array(rows), short])),
            b_ub=np.array(limits),
            bounds=[(0.0, None)] * (columns - 1) + [(-700.0, 1.0), (None, None)],
            method="highs",
            options=PRECISE,
        )
        if answer.x is None or not answer.x[-1] > 0.0:
            return ""
        x = np.maximum(answer.x[: columns - 1], 0.0)
        m, u = to_m @ x, program.reservation[0] + to_u @ x
        missing = float(answer.x[-1])
        # Each tangent has one promise for each row, in their order.
        prices = -answer.ineqlin.marginals[promises].reshape(-1, prices.size).sum(axis=0)
        here = cut(m)
        excess = float((here.losses + program.costs * m + u).max() - 1.0 + MARGIN)
        if excess <= 1.001 * missing:
            break
    short = np.isin(model.groups, np.flatnonzero(prices > 1e-6 * prices.max()))
    named = ", ".join(name for name, one in zip(model.problem.population.names or (), short, strict=True) if one)
    return f" ({named} cannot be given what is due: at least {missing * model.value_unit:.3g} is missing)"
