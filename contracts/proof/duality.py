r"""A lower bound on the loss of every contract, by weak duality.

For prices y, w >= 0 the Lagrangian

    Lag(x) = E L(m(x)) - sum_i y_i (T_i(m) - t_i) - sum_i w_i (u_i - f_i)

is convex in the gap variables x >= 0, so its linearisation at any point bounds the loss of every contract from
below, whatever the prices; good prices make the bound tight. Nothing here is shared with the solvers.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from contracts.problem import Problem
from contracts.problem.participants import Turnout
from contracts.proof.outcome_gradients import ContinuedLoss, expected_loss, type_losses
from contracts.proof.soundness import ROUNDING
from contracts.proof.witness import Witness
from contracts.records import Keyed


class Mixture(NamedTuple):
    """Transforms of the contributions at the rates of a witness."""

    rates: np.ndarray
    log_phi: np.ndarray
    tilted: np.ndarray


def mean_power(n: int | Turnout, logs: np.ndarray, order: int = 0) -> np.ndarray:
    """E [N (N-1) ... (N-order+1) exp((N - order) l)] for each l <= 0, any shape: phi^N and its derivatives."""
    if not isinstance(n, Turnout):
        factor = 1.0
        for k in range(order):
            factor *= n - k
        return factor * np.exp((n - order) * logs)
    total = np.zeros(np.shape(logs))
    for count, chance in zip(*n.support, strict=True):
        if count >= order:
            total += chance * mean_power(int(count), logs, order)
    return total


def transforms(rates: np.ndarray, contribution: np.ndarray, p: np.ndarray) -> Mixture:
    """The transforms of contributions m at the rates, relative to the largest term so that none overflows."""
    exponent = -np.multiply.outer(rates, contribution)
    top = exponent[:, p > 0].max(axis=1)
    with np.errstate(over="ignore"):
        each = np.where(p > 0, p * np.exp(np.where(p > 0, exponent - top[:, None], 0.0)), 0.0)
    total = each.sum(axis=1)
    return Mixture(rates, top + np.log(total), each / total[:, None])


def type_losses_by_mixture(
    problem: Problem, weights: np.ndarray, mix: Mixture, m: np.ndarray, p: np.ndarray
) -> np.ndarray:
    """E_i L for every row, by the mixture."""
    n = problem.population.participants
    if isinstance(n, Turnout):
        return weights @ _expected_by_count(problem, mix, m, p)
    if problem.belief == "interim":
        return weights @ np.exp(-np.multiply.outer(mix.rates, m) + (n - 1) * mix.log_phi[:, None])
    present = -np.expm1(n * np.log1p(-np.clip(p, 1e-300, 1 - 1.2e-16)))
    share = _shares(mix, m, p)
    return weights @ (np.exp(n * mix.log_phi)[:, None] * -np.expm1(n * np.log1p(-share)) / present)


def _shares(mix: Mixture, m: np.ndarray, p: np.ndarray) -> np.ndarray:
    exponent = np.minimum(-np.multiply.outer(mix.rates, m) - mix.log_phi[:, None], 690.0)
    return np.minimum(np.maximum(p, 1e-300) * np.exp(exponent), 1 - 1.2e-16)


def _expected_by_count(problem: Problem, mix: Mixture, m: np.ndarray, p: np.ndarray) -> np.ndarray:
    """E_i exp(-s n·m) for each rate and row, summed over the numbers of participants."""
    turnout = problem.population.turnout
    if problem.belief == "interim":
        others = mean_power(turnout, mix.log_phi, 1) / turnout.mean
        return np.exp(-np.multiply.outer(mix.rates, m)) * others[:, None]
    absent = np.log1p(-np.clip(p, 1e-300, 1 - 1.2e-16))
    without, total, present = np.log1p(-_shares(mix, m, p)), 0.0, np.zeros(p.size)
    for count, chance in zip(*turnout.support, strict=True):
        present -= chance * np.expm1(count * absent)
        total = total - chance * np.exp(count * mix.log_phi)[:, None] * np.expm1(count * without)
    return total / present


def _gradient_by_count(
    problem: Problem, weights: np.ndarray, mix: Mixture, m: np.ndarray, p: np.ndarray, prices: np.ndarray
) -> np.ndarray:
    """`type_loss_gradient` where the number of participants is uncertain."""
    turnout, s = problem.population.turnout, mix.rates
    phi, own = np.exp(mix.log_phi), np.exp(-np.multiply.outer(s, m))
    if problem.belief == "interim":
        once, twice = (mean_power(turnout, mix.log_phi, order) / turnout.mean for order in (1, 2))
        others = (own @ prices * twice * phi)[:, None] * mix.tilted
        return -(weights * s) @ (prices * own * once[:, None] + others)
    p = np.clip(p, 1e-300, 1 - 1.2e-16)
    without, absent = np.log1p(-_shares(mix, m, p)), np.log1p(-p)
    present, rest, kept = np.zeros(p.size), 0.0, 0.0
    for count, chance in zip(*turnout.support, strict=True):
        present -= chance * np.expm1(count * absent)
        if count:
            power = chance * count * np.exp((count - 1) * mix.log_phi)[:, None]
            rest = rest - power * np.expm1((count - 1) * without)
            kept = kept + power * np.exp((count - 1) * without)
    others = (rest * phi[:, None]) @ (prices / present)
    return -(weights * s) @ (others[:, None] * mix.tilted + kept * own * (p * prices / present))


def type_loss_gradient(
    problem: Problem, weights: np.ndarray, mix: Mixture, m: np.ndarray, p: np.ndarray, prices: np.ndarray
) -> np.ndarray:
    """The gradient of sum_i prices_i E_i L by m."""
    n, s = problem.population.participants, mix.rates
    if isinstance(n, Turnout):
        return _gradient_by_count(problem, weights, mix, m, p, prices)
    if problem.belief == "interim":
        each = np.exp(-np.multiply.outer(s, m) + (n - 1) * mix.log_phi[:, None])
        others = (each @ prices)[:, None] * mix.tilted * (n - 1)
        return -(weights * s) @ (prices * each + others)
    p = np.clip(p, 1e-300, 1 - 1.2e-16)
    present = -np.expm1(n * np.log1p(-p))
    absent = (n - 1) * np.log1p(-_shares(mix, m, p))
    total = np.exp(n * mix.log_phi)
    others = total[:, None] * -np.expm1(absent) @ (prices / present)
    once = np.exp(-np.multiply.outer(s, m) + (n - 1) * mix.log_phi[:, None] + absent) * (p / present * prices)
    return -(weights * s * n) @ (others[:, None] * mix.tilted + once)


def distinct_rows(problem: Problem) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Distinct costs falling, their probabilities, and each type's row."""
    costs = problem.population.costs
    falling, row = _falling(Keyed((costs.tobytes(),), costs))
    return falling, np.bincount(row, weights=problem.population.probabilities), row


@lru_cache(maxsize=64)
def _falling(keyed: Keyed) -> tuple[np.ndarray, np.ndarray]:
    rising, place = np.unique(keyed.value, return_inverse=True)
    return rising[::-1], rising.size - 1 - place


def by_row(values: np.ndarray, row: np.ndarray) -> np.ndarray:
    """Values of the user's types as values of the rows (types of equal cost share an option)."""
    found = np.empty(int(row.max()) + 1)
    found[row] = values
    return found


def idle_outcomes(problem: Problem, p: np.ndarray, excluded: int) -> tuple[float, np.ndarray]:
    """Probability that nobody takes part but excluded rows: for the coordinator, and as each row believes."""
    n = problem.population.participants
    nobody = min(float(p[:excluded].sum()), 1.0)
    each = np.zeros(p.size)
    if isinstance(n, Turnout):
        return _idle_by_count(problem, p, excluded, nobody)
    if problem.belief == "interim":
        each[:excluded] = nobody ** (n - 1)
    elif nobody > 0:
        own = np.clip(p[:excluded], 1e-300, 1 - 1.2e-16)
        inside = -np.expm1(n * np.log1p(-np.clip(own / nobody, 1e-300, 1 - 1.2e-16)))
        each[:excluded] = nobody**n * inside / -np.expm1(n * np.log1p(-own))
    return nobody**n, each


def _idle_by_count(problem: Problem, p: np.ndarray, excluded: int, nobody: float) -> tuple[float, np.ndarray]:
    turnout = problem.population.turnout
    own, each, present, idle = np.clip(p[:excluded], 1e-300, 1 - 1.2e-16), np.zeros(p.size), 0.0, 0.0
    for count, chance in zip(*turnout.support, strict=True):
        idle += chance * nobody**count
        if problem.belief == "interim" and count:
            each[:excluded] += chance * count / turnout.mean * nobody ** (count - 1)
        elif problem.belief != "interim" and nobody > 0:
            inside = -np.expm1(count * np.log1p(-np.clip(own / nobody, 1e-300, 1 - 1.2e-16)))
            each[:excluded] += chance * nobody**count * inside
            present = present - chance * np.expm1(count * np.log1p(-own))
    if problem.belief != "interim" and nobody > 0:
        each[:excluded] /= present
    return idle, each


class LossBound(NamedTuple):
    """What weak duality says of the loss of every contract.

    Attributes:
        bound: no contract loses less.
        loss: what the given contract loses, in the same program.
        sensitivity: by how much both may be off for each unit of relative error of the mixture.
        rounding: by how much the bound may be off since floats are rounded.
    """

    bound: float
    loss: float
    sensitivity: float
    rounding: float


def lower_bound(problem: Problem, witness: Witness, alone: np.ndarray, contribution: np.ndarray) -> LossBound:
    """Weak duality: a lower bound on the loss of every contract.

    Args:
        problem: the problem.
        witness: prices, finite and >= 0, and the point.
        alone: what each type is due at least, shape (types,).
        contribution: of the given contract, shape (types,).
    """
    costs, p, row = distinct_rows(problem)
    n, value_top = problem.population.participants, problem.largest_value
    f = by_row(alone, row)
    y, w = witness.feasibility_multipliers, witness.participation_multipliers
    m, u, k = witness.contribution, witness.utility, witness.excluded
    if not witness.rates.size:
        return _bound_over_outcomes(problem, witness, f, contribution)
    mix = transforms(witness.rates, m, p)
    powers, slopes = mean_power(n, mix.log_phi), mean_power(n, mix.log_phi, 1) * np.exp(mix.log_phi)
    idle, idle_each = idle_outcomes(problem, p, k)
    target_top = problem.largest_target
    excess, value_excess = 0.0, np.zeros(costs.size)
    if idle > 0.0:
        excess = idle * (witness.target_weights.sum() - target_top)
        value_excess = idle_each * (witness.value_weights.sum() - value_top)
    losses = type_losses_by_mixture(problem, witness.value_weights, mix, m, p) - value_excess
    slack = value_top - losses - costs * m - u
    lagrangian = witness.target_weights @ powers - excess - y @ slack - w @ (u - f)
    by_target = -(witness.target_weights * mix.rates * slopes) @ mix.tilted
    by_losses = type_loss_gradient(problem, witness.value_weights, mix, m, p, y)
    change = least_change(problem, costs, by_target + by_losses, y, w, witness, f)
    given = transforms(witness.rates, by_row(contribution, row), p)
    loss = float(witness.target_weights @ mean_power(n, given.log_phi) - excess)
    terms = witness.target_weights @ powers + abs(excess) + loss + w @ (np.abs(u) + np.abs(f))
    terms = terms + y @ (value_top + np.abs(losses) + costs * m + np.abs(u)) + change.terms
    bound = float(lagrangian + change.value)
    return LossBound(bound, loss, loss + float(y.sum()) * value_top, float(terms) * ROUNDING)


class Change(NamedTuple):
    """How far a linearised Lagrangian can change, and the sum of the absolute terms of which that is made."""

    value: float
    terms: float


def least_change(
    problem: Problem,
    costs: np.ndarray,
    by_losses: np.ndarray,
    y: np.ndarray,
    w: np.ndarray,
    witness: Witness,
    f: np.ndarray,
) -> Change:
    """The least that the linearised Lagrangian can change from the witness's point to any contract.

    Args:
        problem: the problem.
        costs: of the rows, shape (rows,).
        by_losses: gradient of the loss and of the priced losses by m, shape (rows,), <= 0.
        y, w: the prices, shape (rows,).
        witness: whose point it is.
        f: what each row is due at least, shape (rows,).
    """
    place = witness.contribution, witness.utility, f[0], witness.excluded
    residual, point = by_gaps(costs, by_losses + y * costs, y - w, *place)
    size, _ = by_gaps(costs, y * costs - by_losses, y + w, *place)
    # Every contract has c_I m_I <= V - f_I (m_I is the sum of the gaps of the chain) and u_1 <= V.
    top = problem.largest_value
    most, gain = max(top - float(f[-1]), 0.0) / float(costs[-1]), max(top - float(f[0]), 0.0)
    lowest = min(0.0, float(residual[:-1].min(initial=0.0))) * most
    change = float(lowest - residual @ point + min(0.0, float(residual[-1])) * gain)
    return Change(change, float(size[:-1].max(initial=0.0) * most + size @ np.abs(point) + size[-1] * gain))


def _bound_over_outcomes(
    problem: Problem, witness: Witness, f: np.ndarray, contribution: np.ndarray
) -> LossBound:
    """The same bound with expectations over the law of the outcomes, for any curve concave above its floor."""
    costs, p, row = distinct_rows(problem)
    n, top = problem.population.participants, problem.largest_value
    y, w = witness.feasibility_multipliers, witness.participation_multipliers
    m, u, k = witness.contribution, witness.utility, witness.excluded
    target, value = ContinuedLoss(problem, problem.target_is_value), ContinuedLoss(problem, True)
    target_top = problem.largest_target
    idle, idle_each = idle_outcomes(problem, p, k)
    excess = idle * (float(target(np.zeros(1))[0]) - target_top) if idle > 0.0 else 0.0
    value_excess = idle_each * (float(value(np.zeros(1))[0]) - top) if k else 0.0 * idle_each
    mean, by_m = expected_loss(target, m, p, n)
    losses, gradient = type_losses(value, problem.belief, m, p, n, y)
    slack = top - losses + value_excess - costs * m - u
    lagrangian = mean - excess - y @ slack - w @ (u - f)
    change = least_change(problem, costs, by_m + gradient, y, w, witness, f)
    loss, _ = expected_loss(target, by_row(contribution, row), p, n)
    terms = abs(mean) + abs(excess) + abs(loss) + w @ (np.abs(u) + np.abs(f)) + change.terms
    terms = terms + y @ (top + np.abs(losses) + np.abs(value_excess) + costs * m + np.abs(u))
    sensitivity = float(loss + y.sum() * top)
    return LossBound(
        float(lagrangian + change.value), float(loss - excess), sensitivity, float(terms) * ROUNDING
    )


def by_gaps(
    costs: np.ndarray,
    by_m: np.ndarray,
    by_u: np.ndarray,
    m: np.ndarray,
    u: np.ndarray,
    first: float,
    excluded: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Gradient and coordinates in the gap variables (gaps of the chain, then e); held ones are left out."""
    steps = costs[:-1] - costs[1:]
    slopes = np.diff(u) / steps
    chain = np.empty(2 * m.size - 1)
    chain[0::2], chain[1::2] = m, slopes
    by_chain = np.empty_like(chain)
    tails = np.cumsum(by_u[::-1])[::-1]
    by_chain[0::2], by_chain[1::2] = by_m, steps * tails[1:]
    gaps = np.diff(chain, prepend=0.0)
    by_gap = np.cumsum(by_chain[::-1])[::-1]
    free = slice(max(2 * excluded - 1, 0), None)
    return np.r_[by_gap[free], tails[0]], np.r_[gaps[free], u[0] - first]
