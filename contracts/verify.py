r"""Check a contract from its problem alone; nothing here is shared with the solvers.

Participation, incentive compatibility and feasibility are recomputed from the menu. Optimality is proved by
weak duality: for prices y, w >= 0 the Lagrangian of the loss

    Lag(x) = E L(m(x)) - sum_i y_i (T_i(m) - t_i) - sum_i w_i (u_i - f_i)

is convex in the gap variables x >= 0, so its linearisation at any point bounds the loss of every contract from
below, whatever the prices; good prices make the bound tight. The mixtures of exponentials by which the
expectations are taken are themselves compared with the problem's curve first, and their error is carried.
"""

from __future__ import annotations

import dataclasses
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from contracts.contract import Contract, Witness
from contracts.outcome_gradients import ContinuedLoss, expected_loss, type_losses
from contracts.outcomes import believed_total, total_data
from contracts.problem import Problem
from contracts.records import Keyed, frozen, identity

TOLERANCE = 1e-9  # of the largest value: rounding of sums of a few thousand terms, far below any promise
OPTIMALITY_TOLERANCE = 5e-6  # of the largest target: what the conic solver reaches
DRAWS = 4000
LATTICE_ERROR = 1e-9  # relative error of expectations over the law of the outcomes


@frozen
class Certificate:
    """What was found when a contract was checked.

    Attributes:
        holds: whether every constraint holds, the stated numbers agree and optimality is proved.
        participation_slack: u_i - f_i, shape (types,); individual rationality needs >= 0.
        envy: what type i would gain by taking j's option, t_j - c_i m_j - u_i, shape (types, types);
            incentive compatibility needs <= 0.
        feasibility_slack: T_i - t_i, shape (types,): what could be given at most, less what is promised.
        optimality_gap: proved bound on how much better another contract can be, for the program as solved (the
            curve continued concavely below its floor), in units of value (of accuracy if that is maximised and
            the valuation is not linear). None if there is no proof.
        global_gap: the same against the true curve, floor included; None if there is no proof.
        independent_check: how expectations were confirmed by another route, and how far they differ.
        violations: sentences that name the constraint, who, and by how much; empty if `holds`.
        tolerance: what was tolerated, in units of value.
    """

    holds: bool
    participation_slack: np.ndarray
    envy: np.ndarray
    feasibility_slack: np.ndarray
    optimality_gap: float | None
    global_gap: float | None
    independent_check: str
    violations: tuple[str, ...]
    tolerance: float

    def __str__(self) -> str:
        lines = [
            f"individual rationality: least slack {self.participation_slack.min():.3g}",
            f"incentive compatibility: largest envy {self.envy.max():.3g}",
            f"feasibility: least slack {self.feasibility_slack.min():.3g}",
            f"optimality gap: {_shown(self.optimality_gap)} (program as solved),"
            f" {_shown(self.global_gap)} (true curve)",
            self.independent_check,
        ]
        verdict = "everything holds" if self.holds else "DOES NOT HOLD"
        return "\n".join([verdict, *lines, *self.violations])


def verify(contract: Contract) -> Certificate:
    """Recompute individual rationality, incentive compatibility, feasibility and optimality.

    Args:
        contract: a contract, designed here, read from a file, or made by hand.

    Returns:
        The certificate, with every slack.

    >>> from contracts import GeneralizationBound, LinearValuation, Population, design_contract
    >>> problem = Problem(
    ...     population=Population(costs=[0.2, 0.04], probabilities=[0.5, 0.5], participants=10),
    ...     accuracy=GeneralizationBound(),
    ...     valuation=LinearValuation(scale=100.0),
    ... )
    >>> verify(design_contract(problem)).holds
    True
    """
    problem = contract.problem
    tolerance = TOLERANCE * problem.largest_value
    costs = problem.population.costs
    alone = reservation_by_zooming(problem)
    utility = contract.expected_reward - costs * contract.contribution
    envy = contract.expected_reward - np.multiply.outer(costs, contract.contribution) - utility[:, None]
    offered, source = _largest_rewards(contract)
    objective, accuracy = _expectations(contract)
    gap, global_gap, complaints = _gaps(contract, alone, objective, accuracy)
    check, disagreement = _independently(contract, offered, objective)
    violations = [
        *_broken(contract, alone, utility, envy, offered, tolerance),
        *_misstated(contract, alone, objective, accuracy, tolerance),
        *complaints,
        *disagreement,
    ]
    return Certificate(
        holds=not violations,
        participation_slack=utility - alone,
        envy=envy,
        feasibility_slack=offered - contract.expected_reward,
        optimality_gap=gap,
        global_gap=global_gap,
        independent_check=f"{check}; {source}",
        violations=tuple(violations),
        tolerance=tolerance,
    )


def reservation_by_zooming(problem: Problem) -> np.ndarray:
    """f_i by a grid over all amounts of data that can pay, zoomed into three times; shape (types,)."""
    key = (*_family(problem), problem.population.costs.tobytes())
    return _zoomed(Keyed(key, problem)).copy()


def _family(problem: Problem) -> tuple:
    return identity(problem.accuracy), identity(problem.valuation), problem.target_is_value


# Contracts of one sweep share curves, costs and mixtures: what depends on these alone is remembered.
@lru_cache(maxsize=1024)
def _zoomed(keyed: Keyed) -> np.ndarray:
    problem = keyed.value
    costs, place = np.unique(problem.population.costs, return_inverse=True)
    high = problem.largest_value / costs
    low = np.minimum(max(problem.accuracy.floor, 1e-9 * high.min()), 0.5 * high)
    best = np.zeros(costs.size)
    for points in (1500, 60, 60, 60, 60):
        data = np.geomspace(low, high, points, axis=-1)
        profit = problem.value(data) - costs[:, None] * data
        top = np.argmax(profit, axis=-1)
        rows = np.arange(costs.size)
        best = np.maximum(best, profit[rows, top])
        low, high = data[rows, np.maximum(top - 1, 0)], data[rows, np.minimum(top + 1, points - 1)]
    return best[place]


class _Mixture(NamedTuple):
    """Transforms of the contributions at the rates of a witness."""

    rates: np.ndarray
    log_phi: np.ndarray
    tilted: np.ndarray


def _mix(rates: np.ndarray, contribution: np.ndarray, p: np.ndarray) -> _Mixture:
    exponent = -np.multiply.outer(rates, contribution)
    top = exponent[:, p > 0].max(axis=1)
    with np.errstate(over="ignore"):
        each = np.where(p > 0, p * np.exp(np.where(p > 0, exponent - top[:, None], 0.0)), 0.0)
    total = each.sum(axis=1)
    return _Mixture(rates, top + np.log(total), each / total[:, None])


def _type_losses(
    problem: Problem, weights: np.ndarray, mix: _Mixture, m: np.ndarray, p: np.ndarray
) -> np.ndarray:
    """E_i L for every row, by the mixture."""
    n = problem.population.participants
    if problem.belief == "interim":
        return weights @ np.exp(-np.multiply.outer(mix.rates, m) + (n - 1) * mix.log_phi[:, None])
    present = -np.expm1(n * np.log1p(-np.clip(p, 1e-300, 1 - 1.2e-16)))
    share = _shares(mix, m, p)
    return weights @ (np.exp(n * mix.log_phi)[:, None] * -np.expm1(n * np.log1p(-share)) / present)


def _shares(mix: _Mixture, m: np.ndarray, p: np.ndarray) -> np.ndarray:
    exponent = np.minimum(-np.multiply.outer(mix.rates, m) - mix.log_phi[:, None], 690.0)
    return np.minimum(np.maximum(p, 1e-300) * np.exp(exponent), 1 - 1.2e-16)


def _type_loss_gradient(
    problem: Problem, weights: np.ndarray, mix: _Mixture, m: np.ndarray, p: np.ndarray, prices: np.ndarray
) -> np.ndarray:
    """The gradient of sum_i prices_i E_i L by m."""
    n, s = problem.population.participants, mix.rates
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


def _rows(problem: Problem) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Distinct costs falling, their probabilities, and each type's row."""
    rising, place = np.unique(problem.population.costs, return_inverse=True)
    row = rising.size - 1 - place
    return rising[::-1], np.bincount(row, weights=problem.population.probabilities), row


def _idle_outcomes(problem: Problem, p: np.ndarray, excluded: int) -> tuple[float, np.ndarray]:
    """Probability that only excluded rows take part: for the coordinator, and as each row believes."""
    n = problem.population.participants
    nobody = min(float(p[:excluded].sum()), 1.0)
    each = np.zeros(p.size)
    if problem.belief == "interim":
        each[:excluded] = nobody ** (n - 1)
    elif nobody > 0:
        own = np.clip(p[:excluded], 1e-300, 1 - 1.2e-16)
        inside = -np.expm1(n * np.log1p(-np.clip(own / nobody, 1e-300, 1 - 1.2e-16)))
        each[:excluded] = nobody**n * inside / -np.expm1(n * np.log1p(-own))
    return nobody**n, each


def _largest_rewards(contract: Contract) -> tuple[np.ndarray, str]:
    """T_i, what could be given at most, by the proof's mixture if there is one."""
    problem, m = contract.problem, contract.contribution
    if contract.witness is None or not contract.witness.rates.size:
        laws = [believed_total(problem, m, i) for i in range(m.size)]
        return np.array([law.expectation(problem.value) for law in laws]), "expectations over outcomes"
    witness = contract.witness
    _, row_p, row = _rows(problem)
    order = np.zeros(row_p.size, dtype=int)
    order[row] = np.arange(row.size)
    mix = _mix(witness.rates, m[order], row_p)
    losses = _type_losses(problem, witness.value_weights, mix, m[order], row_p)
    _, idle = _idle_outcomes(problem, row_p, witness.excluded)
    losses = losses - idle * (witness.value_weights.sum() - problem.largest_value)
    return (problem.largest_value - losses)[row], "expectations by the proof's mixture of exponentials"


def _expectations(contract: Contract) -> tuple[float, float]:
    """Expected value and expected accuracy of the trained model, over its outcomes."""
    problem = contract.problem
    population = problem.population
    law = total_data(contract.contribution, population.probabilities, population.participants)
    return law.expectation(problem.value), law.expectation(problem.accuracy)


def _gaps(
    contract: Contract, alone: np.ndarray, objective: float, accuracy: float
) -> tuple[float | None, float | None, list[str]]:
    problem = contract.problem
    top = problem.largest_value if problem.target_is_value else float(problem.accuracy.optimum)
    reached = objective if problem.target_is_value else accuracy
    gap: float | None = None
    complaints: list[str] = []
    if contract.witness is not None:
        bound, loss, sensitivity = _bound(problem, contract.witness, alone, contract.contribution)
        error = _mixture_error(problem, contract.witness) if contract.witness.rates.size else LATTICE_ERROR
        gap = loss - bound + error * sensitivity
        if error > 1e-6:
            complaints.append(
                f"optimality: the proof's mixture differs from the curve by {error:.3g} (relative)"
            )
        if not gap <= OPTIMALITY_TOLERANCE * top:
            complaints.append(f"optimality: another contract may be better by {gap:.6g}")
        if not (contract.witness.feasibility_multipliers >= 0).all():
            complaints.append("optimality: the proof has a negative price")
    elif not contract.contribution.any():
        gap = 0.0
    global_gap: float | None = None
    if contract.global_witness is not None and not contract.global_witness.rates.size:
        # Without a floor the program as solved is the true one.
        global_gap = gap if problem.accuracy.floor <= 0.0 else None
    elif contract.global_witness is not None:
        below = _below(problem, contract.global_witness)
        if below is not None:
            # A minorant needs no allowance for its error: it only has to lie below the true loss.
            bound, _, _ = _bound(problem, below, alone, contract.contribution)
            global_gap = max(top - reached - bound, 0.0)
    return gap, global_gap, complaints


def _bound(
    problem: Problem, witness: Witness, alone: np.ndarray, contribution: np.ndarray
) -> tuple[float, float, float]:
    """Weak duality: a lower bound on the loss, the contract's loss in the same program, and by how much both
    may be off for each unit of relative error of the mixture."""
    costs, p, row = _rows(problem)
    n, value_top = problem.population.participants, problem.largest_value
    f = np.zeros(costs.size)
    f[row] = alone
    y = np.maximum(witness.feasibility_multipliers, 0.0)
    w = np.maximum(witness.participation_multipliers, 0.0)
    m, u, k = witness.contribution, witness.utility, witness.excluded
    if not witness.rates.size:
        return _bound_over_outcomes(problem, witness, f, contribution)
    mix = _mix(witness.rates, m, p)
    powers = np.exp(n * mix.log_phi)
    idle, idle_each = _idle_outcomes(problem, p, k)
    target_top = value_top if problem.target_is_value else float(problem.accuracy.optimum)
    excess, value_excess = 0.0, np.zeros(costs.size)
    if k:
        excess = idle * (witness.target_weights.sum() - target_top)
        value_excess = idle_each * (witness.value_weights.sum() - value_top)
    losses = _type_losses(problem, witness.value_weights, mix, m, p) - value_excess
    slack = value_top - losses - costs * m - u
    lagrangian = witness.target_weights @ powers - excess - y @ slack - w @ (u - f)
    by_m = -(witness.target_weights * mix.rates * n * powers) @ mix.tilted + y * costs
    by_m = by_m + _type_loss_gradient(problem, witness.value_weights, mix, m, p, y)
    bound = lagrangian + _least_change(problem, costs, by_m, y - w, witness, f[0])
    order = np.zeros(costs.size, dtype=int)
    order[row] = np.arange(row.size)
    given = _mix(witness.rates, contribution[order], p)
    loss = float(witness.target_weights @ np.exp(n * given.log_phi) - excess)
    return float(bound), loss, loss + float(y.sum()) * value_top


def _least_change(
    problem: Problem, costs: np.ndarray, by_m: np.ndarray, by_u: np.ndarray, witness: Witness, first: float
) -> float:
    """The least that the linearised Lagrangian can change from the witness's point to any contract."""
    residual, point = _by_gaps(costs, by_m, by_u, witness.contribution, witness.utility, first, witness.excluded)
    # Every contract has m_I <= V / c_I (the sum of the gaps of the chain) and e <= V.
    top = problem.largest_value
    lowest = min(0.0, float(residual[:-1].min(initial=0.0))) * top / costs[-1]
    return float(lowest - residual @ point + min(0.0, float(residual[-1])) * top)


def _bound_over_outcomes(
    problem: Problem, witness: Witness, f: np.ndarray, contribution: np.ndarray
) -> tuple[float, float, float]:
    """The same bound with expectations over the law of the outcomes, for curves of any shape."""
    costs, p, row = _rows(problem)
    n, top = problem.population.participants, problem.largest_value
    y = np.maximum(witness.feasibility_multipliers, 0.0)
    w = np.maximum(witness.participation_multipliers, 0.0)
    m, u, k = witness.contribution, witness.utility, witness.excluded
    target, value = ContinuedLoss(problem, problem.target_is_value), ContinuedLoss(problem, True)
    target_top = top if problem.target_is_value else float(problem.accuracy.optimum)
    idle, idle_each = _idle_outcomes(problem, p, k)
    excess = idle * (float(target(np.zeros(1))[0]) - target_top) if k else 0.0
    value_excess = idle_each * (float(value(np.zeros(1))[0]) - top) if k else 0.0 * idle_each
    mean, by_m = expected_loss(target, m, p, n)
    losses, gradient = type_losses(value, problem.belief, m, p, n, y)
    slack = top - losses + value_excess - costs * m - u
    lagrangian = mean - excess - y @ slack - w @ (u - f)
    bound = lagrangian + _least_change(problem, costs, by_m + gradient + y * costs, y - w, witness, f[0])
    order = np.zeros(costs.size, dtype=int)
    order[row] = np.arange(row.size)
    loss, _ = expected_loss(target, contribution[order], p, n)
    return float(bound), float(loss - excess), float(loss + y.sum() * top)


def _by_gaps(
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


def _losses(problem: Problem, data: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    curve = problem.accuracy
    accuracy_loss = np.minimum(curve.shortfall(data, np), float(curve.optimum))
    return (problem.value_loss(data) if problem.target_is_value else accuracy_loss), problem.value_loss(data)


def _mixture_error(problem: Problem, witness: Witness) -> float:
    """The largest relative difference between the proof's mixtures and the losses above the floor."""
    return _measured_error(_mixture_key(problem, witness))


def _mixture_key(problem: Problem, witness: Witness) -> Keyed:
    population = problem.population
    high = population.participants * problem.largest_value / float(population.costs.min())
    arrays = (witness.rates, witness.target_weights, witness.value_weights)
    return Keyed((*_family(problem), high, *(values.tobytes() for values in arrays)), (problem, witness))


@lru_cache(maxsize=1024)
def _measured_error(keyed: Keyed) -> float:
    problem, witness = keyed.value
    population = problem.population
    high = population.participants * problem.largest_value / float(population.costs.min())
    low = problem.accuracy.floor if problem.accuracy.floor > 0 else 1e-9 * high
    data = np.geomspace(low, high, 3001)
    each = np.exp(-np.multiply.outer(data, witness.rates))
    worst = 0.0
    for loss, weights in zip(
        _losses(problem, data), (witness.target_weights, witness.value_weights), strict=True
    ):
        matters = loss > 1e-13 * loss[0]
        worst = max(worst, float(np.abs((each @ weights)[matters] / loss[matters] - 1.0).max()))
    negative = (witness.target_weights < 0).any() or (witness.value_weights < 0).any()
    return np.inf if negative or not np.isfinite(worst) else worst


def _below(problem: Problem, witness: Witness) -> Witness | None:
    """The witness with its mixtures shrunk until they lie below the true losses; None if they are none."""
    shrunk = _shrunk(_mixture_key(problem, witness))
    return shrunk and dataclasses.replace(witness, target_weights=shrunk[0], value_weights=shrunk[1])


@lru_cache(maxsize=1024)
def _shrunk(keyed: Keyed) -> tuple[np.ndarray, np.ndarray] | None:
    problem, witness = keyed.value
    population = problem.population
    high = population.participants * problem.largest_value / float(population.costs.min())
    floor = max(problem.accuracy.floor, 1e-9 * high)
    data = np.r_[np.linspace(0.0, 8.0 * floor, 4001), np.geomspace(8.0 * floor, high, 4001)]
    each = np.exp(-np.multiply.outer(data, witness.rates))
    mixtures = (witness.target_weights, witness.value_weights)
    # Where the loss is too small for a float, so must the mixture be.
    tiny = np.finfo(float).tiny
    pairs = zip(mixtures, _losses(problem, data), strict=True)
    ratios = [(each @ w / np.maximum(loss, tiny)).max() for w, loss in pairs]
    if min(w.min(initial=0.0) for w in mixtures) < 0.0 or not max(ratios) <= 1.01:
        return None
    target, value = (w / max(1.0, float(ratio)) for w, ratio in zip(mixtures, ratios, strict=True))
    return target, value


def _independently(contract: Contract, offered: np.ndarray, objective: float) -> tuple[str, list[str]]:
    """Sample participants and compare the promised expectations with the sample's."""
    problem = contract.problem
    population = problem.population
    n, m = population.participants, contract.contribution
    rng = np.random.default_rng(20250101)
    others = rng.multinomial(n - 1, population.probabilities, size=DRAWS) @ m
    kinds = rng.choice(population.types, size=DRAWS, p=population.probabilities)
    worst = _deviation(problem.value(others + m[kinds]), objective, problem)
    if problem.belief == "interim":
        for i in np.unique(np.linspace(0, population.types - 1, 20).astype(int)):
            worst = max(worst, _deviation(problem.value(others + m[i]), float(offered[i]), problem))
    text = f"simulation of {DRAWS} draws: largest deviation {worst:.2f} standard errors"
    # 21 comparisons at once: six standard errors are exceeded by chance less than once in 10^7 checks.
    return text, [f"expectations: a {text}"] if worst > 6.0 else []


def _deviation(values: np.ndarray, expected: float, problem: Problem) -> float:
    error = float(values.std(ddof=1)) / np.sqrt(values.size) + 1e-9 * problem.largest_value
    # Below the floor the program counts a model as worth less than nothing: promises may only be too low.
    return max(float(expected - values.mean()), 0.0) / error


def _broken(
    contract: Contract,
    alone: np.ndarray,
    utility: np.ndarray,
    envy: np.ndarray,
    offered: np.ndarray,
    tolerance: float,
) -> list[str]:
    names = list(contract.problem.population.names or ())
    found = []
    for i in np.flatnonzero(contract.contribution < 0):
        found.append(f"contribution: {names[i]} would contribute {contract.contribution[i]:g} data")
    for i in np.flatnonzero(utility < alone - tolerance):
        found.append(
            f"individual rationality: {names[i]} would get {utility[i]:.9g}, alone {alone[i]:.9g}:"
            f" short by {alone[i] - utility[i]:.3g}"
        )
    for i in np.flatnonzero(envy.max(axis=1) > tolerance):
        j = int(np.argmax(envy[i]))
        found.append(
            f"incentive compatibility: {names[i]} would rather take the option of {names[j]}:"
            f" gains {envy[i, j]:.3g}"
        )
    for i in np.flatnonzero(contract.expected_reward > offered + tolerance):
        found.append(
            f"feasibility: {names[i]} is promised {contract.expected_reward[i]:.9g}, at most"
            f" {offered[i]:.9g} can be given: short by {contract.expected_reward[i] - offered[i]:.3g}"
        )
    return found


def _misstated(
    contract: Contract, alone: np.ndarray, objective: float, accuracy: float, tolerance: float
) -> list[str]:
    top = contract.problem.largest_value
    names = list(contract.problem.population.names or ())
    found = []
    for i in np.flatnonzero(np.abs(contract.reservation_utility - alone) > 100 * tolerance):
        found.append(
            f"reservation utility: {names[i]} is stated to get {contract.reservation_utility[i]:.9g} alone,"
            f" recomputed {alone[i]:.9g}"
        )
    # The lattice on which large problems are recomputed is good to about 1e-8.
    if not abs(contract.objective - objective) <= 1e-7 * top:
        found.append(f"objective: stated {contract.objective:.9g}, recomputed {objective:.9g}")
    if not abs(contract.expected_accuracy - accuracy) <= 1e-7:
        found.append(f"expected accuracy: stated {contract.expected_accuracy:.9g}, recomputed {accuracy:.9g}")
    return found


def _shown(gap: float | None) -> str:
    return "not proved" if gap is None else f"{gap:.3g}"
