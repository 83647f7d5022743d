r"""The first-moment program over several scenarios, and an interior-point method for it.

One menu, of which every promise is to be kept in every scenario k:

    minimise  log sum_k w_k E_k L   s.t.   h_ki = 1 - E_k L(m_i + others) - c_i m_i - u_i >= 0,   u_i >= f_i,

in the gap variables of `contracts.program.first_moment`. There are as many feasibility constraints of a type as
there are scenarios; otherwise the method is that of `contracts.program.interior_point` (Mehrotra 1992), with
dense algebra.

Source: ours.
"""

from __future__ import annotations

import warnings
from typing import NamedTuple

import numpy as np
from scipy import linalg

from contracts.program.first_moment import Program, excess_without_data
from contracts.program.interior_point import MAX_ITERATIONS, PATIENCE, TOLERANCE, settled
from contracts.program.newton import maps
from contracts.program.participation import interim, transform
from contracts.program.predictor_corrector import dense_step


class ScenarioProgram(NamedTuple):
    """The program's numbers.

    Attributes:
        base: costs, reservation, rates and weights of the base program, in its units.
        weights: w_k, shape (scenarios,).
        probabilities: of the rows in each scenario, shape (scenarios, rows).
        excluded: how many of the dearest rows contribute nothing.
        target_offset: what the mixture adds to E L where only they come.
        value_offset: the same for the loss of each row in each scenario, shape (scenarios, rows).
    """

    base: Program
    weights: np.ndarray
    probabilities: np.ndarray
    excluded: int
    target_offset: float
    value_offset: np.ndarray


class ScenarioSolution(NamedTuple):
    """The best iterate.

    Attributes:
        contribution, utility: of the rows, in the program's units.
        feasibility: multipliers of h for the objective E L, shape (scenarios, rows).
        participation: multipliers of u >= f, shape (rows,), 0 for the first.
        error: its estimated distance from optimal, in units of the target.
        iterations: how many were made.
        loss: E L.
    """

    contribution: np.ndarray
    utility: np.ndarray
    feasibility: np.ndarray
    participation: np.ndarray
    error: float
    iterations: int
    loss: float


def leave_out(base: Program, weights: np.ndarray, probabilities: np.ndarray, excluded: int) -> ScenarioProgram:
    """The program in which the first `excluded` rows contribute nothing and a model of no data is worthless."""
    target_excess, value_excess = excess_without_data(base)
    nobody = probabilities[:, :excluded].sum(axis=1) if excluded else np.zeros(weights.size)
    idle = np.zeros(probabilities.shape)
    idle[:, :excluded] = (nobody ** (base.participants - 1.0))[:, None]
    offset = float(weights @ nobody**base.participants) * target_excess if excluded else 0.0
    return ScenarioProgram(base, weights, probabilities, excluded, offset, idle * value_excess)


class _Local(NamedTuple):
    """Values and derivatives by m: of log E L, of the losses E_k L of each row, and of the Lagrangian."""

    loss: float
    gradient: np.ndarray
    losses: np.ndarray
    jacobian: np.ndarray
    hessian: np.ndarray


def _evaluate(program: ScenarioProgram, m: np.ndarray, y: np.ndarray) -> _Local:
    base, scenarios = program.base, program.weights.size
    n, terms, rows = base.participants, base.rates.size, m.size
    s, w = np.tile(base.rates, scenarios), np.tile(base.value_weights, scenarios)
    at = transform(m, np.repeat(program.probabilities, terms, axis=0), s, np)
    part, p, prices = interim(m, None, n, s, at, np), at.tilted, np.repeat(y, terms, axis=0)
    logs = np.log(np.outer(program.weights, base.target_weights).ravel()) + n * at.log_phi
    top = logs.max()
    scaled = np.exp(logs - top)
    total = scaled.sum() - program.target_offset * np.exp(min(-top, 690.0))
    psi = scaled / total
    gradient = -(n * s * psi) @ p
    first = w * (part.by_log_phi * prices).sum(axis=1)
    second = w * (part.by_log_phi_twice * prices).sum(axis=1)
    bend = s * s * (n * psi + first)
    cross = p.T @ ((w * s)[:, None] * part.by_both * prices)
    hessian = (
        (p.T * (s * s * (n * n * psi + second) - bend)) @ p - np.outer(gradient, gradient) - cross - cross.T
    )
    hessian += np.diag(w @ (part.by_own_twice * prices) + bend @ p)

    def by_scenario(values: np.ndarray) -> np.ndarray:
        return values.reshape(scenarios, terms, rows)

    jacobian = -np.einsum("kqi,kqj->kij", by_scenario((w * s)[:, None] * part.by_log_phi), by_scenario(p))
    jacobian[:, np.arange(rows), np.arange(rows)] += by_scenario(w[:, None] * part.by_own).sum(axis=1)
    losses = by_scenario(w[:, None] * part.value).sum(axis=1) - program.value_offset
    return _Local(float(np.exp(top) * total), gradient, losses, jacobian, hessian)


def solve_scenarios(program: ScenarioProgram) -> ScenarioSolution:
    """Solve to about 1e-15 of the target, or as far as it goes; the caller judges by the certificate.

    Where full steps run in circles the run is repeated with shorter ones, as in
    `contracts.program.interior_point`.
    """
    return settled(lambda share: _run(program, share))


def _run(program: ScenarioProgram, share: float) -> ScenarioSolution:
    """One run, taking a share of every step."""
    base, rows, scenarios = program.base, program.base.costs.size, program.weights.size
    to_m, to_u = (each[:, max(2 * program.excluded - 1, 0) :] for each in maps(base, np))
    size = to_m.shape[1]
    x = np.full(size, 0.6 / size)
    x[0], x[-1] = 0.5, 0.01
    y = np.zeros(scenarios * rows + rows - 1)
    best: ScenarioSolution | None = None
    s, z, since, iteration = y, x, 0, 0
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", linalg.LinAlgWarning)  # a singular system ends the run below
        for iteration in range(1, MAX_ITERATIONS + 1):
            m, u = to_m @ x, base.reservation[0] + to_u @ x
            local = _evaluate(program, m, y[: scenarios * rows].reshape(scenarios, rows))
            slack = _slack(program, local, m, u)
            if iteration == 1:
                s = np.maximum(slack, 0.05)
                z, y = 0.1 / x, 0.1 / s
                local = _evaluate(program, m, y[: scenarios * rows].reshape(scenarios, rows))
            jacobian = _jacobian(base, local, to_m, to_u)
            infeasibility, stationarity = slack - s, to_m.T @ local.gradient - jacobian.T @ y - z
            short = np.abs(infeasibility)
            error = float(local.loss * (x @ z + s @ y + np.abs(stationarity) @ x + short @ y) + short.max())
            if best is None or error < best.error:
                best, since = _solution(program, local, m, u, y, error, iteration), 0
            else:
                since += 1
            if best.error <= TOLERANCE or since > PATIENCE or not np.isfinite(error):
                break
            try:
                hessian = to_m.T @ local.hessian @ to_m
                steps = dense_step(hessian, jacobian, stationarity, infeasibility, (x, s, z, y))
                x, s, z, y = (a + share * d for a, d in zip((x, s, z, y), steps, strict=True))
            except (np.linalg.LinAlgError, ValueError):  # overflow or a singular system: keep the best
                break
    assert best is not None
    return best._replace(iterations=iteration)


def _slack(program: ScenarioProgram, local: _Local, m: np.ndarray, u: np.ndarray) -> np.ndarray:
    feasible = 1.0 - local.losses - program.base.costs * m - u
    return np.concatenate([feasible.ravel(), (u - program.base.reservation)[1:]])


def _jacobian(base: Program, local: _Local, to_m: np.ndarray, to_u: np.ndarray) -> np.ndarray:
    feasible = [-(each + np.diag(base.costs)) @ to_m - to_u for each in local.jacobian]
    return np.concatenate([*feasible, to_u[1:]])


def _solution(
    program: ScenarioProgram,
    local: _Local,
    m: np.ndarray,
    u: np.ndarray,
    y: np.ndarray,
    error: float,
    iteration: int,
) -> ScenarioSolution:
    # Multipliers of log E L times E L are those of E L.
    feasible, rest = np.split(local.loss * y, [program.weights.size * m.size])
    return ScenarioSolution(
        contribution=m,
        utility=u,
        feasibility=feasible.reshape(program.weights.size, m.size),
        participation=np.concatenate([[0.0], rest]),
        error=error,
        iterations=iteration,
        loss=local.loss,
    )
