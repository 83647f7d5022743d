r"""The first-moment program: one description that every solver reads.

Only the expected reward t_i = E v(r_i) of each option matters to participants, so the coordinator chooses
contributions m and expected rewards t:

    maximise E a(n·m)   s.t.   t_i - c_i m_i >= f_i,   t_i - c_i m_i >= t_j - c_i m_j,   t_i <= T_i(m).

With types sorted by falling cost, u_i = t_i - c_i m_i and d_i = (u_{i+1} - u_i)/(c_i - c_{i+1}), incentive
compatibility is one chain 0 <= m_1 <= d_1 <= m_2 <= ... <= m_I (single crossing). The variables are the gaps
of the chain and e = u_1 - f_1, all >= 0: every bound is diagonal, and pooled optima are reached exactly. What
remains is h_i = 1 - E_i L - c_i m_i - u_i >= 0 (concave) and u_i >= f_i, where the largest value is 1.

The objective is log E L, as convex as E L and well scaled for every number of participants.

Source: Wang et al., AAAI 2025 (arXiv 2412.11122); the chain and the gap variables are ours.
"""

from __future__ import annotations

import dataclasses
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from contracts.problem import Problem
from contracts.problem.participants import FixedTurnout, LogPower, Turnout
from contracts.problem.reservation import Reservation, reservation
from contracts.problem.shape import concave_from, early
from contracts.program import gauss_program
from contracts.program.distinct_costs import distinct, per_group
from contracts.program.exponential_sum import ExponentialSum, Losses, fit_exponentials, on_common_rates
from contracts.program.gauss import Curves, LossCurve
from contracts.program.participation import BELIEFS, Known, Partials, Transform, transform
from contracts.records import Keyed, frozen

MIXTURE_ERROR = 1e-8  # relative; above it a loss is taken not to be a mixture of exponentials
MULTIPLES = (100, 400, 50)  # of a curve's own rate, until the fit is good
NEXT_TO_NOTHING = 1e-9  # of the largest loss


class Program(NamedTuple):
    """The program's numbers, in units where the largest value is 1 and data are counted in `data_unit`.

    Attributes:
        costs, probabilities, reservation: c, p, f of the distinct types by falling cost, shape (types,).
        participants: N; its mean where it is uncertain.
        rates: s, shape (terms,).
        target_weights, value_weights: w of the loss maximised and of the loss of value, shape (terms,).
        target_offset: what the mixture adds to E L where nobody contributes.
        value_offset: the same for E_i L, shape (types,).
        active: 0 for variables x that are fixed at zero, else 1, shape (2 types,).
        real: 0 for types that only fill up a batch and expect no loss, else 1, shape (types,); None if all are.
        curves: the losses themselves where they are not mixtures of exponentials (then there are no rates).
        turnout: the law of N where it is uncertain.
    """

    costs: Any
    probabilities: Any
    reservation: Any
    participants: Any
    rates: Any
    target_weights: Any
    value_weights: Any
    target_offset: Any
    value_offset: Any
    active: Any
    real: Any = None
    curves: Any = None
    turnout: Any = None


def unfold(program: Program, gaps: Any, xp: Any) -> tuple[Any, Any]:
    """Contributions m and utilities u of the variables x = (gaps of the chain, e); u is affine in x.

    Programs of one shape may be stacked, with a batch in front of every array.
    """
    free = gaps * program.active
    chain = xp.cumsum(free[..., :-1], axis=-1)
    rises = (program.costs[..., :-1] - program.costs[..., 1:]) * chain[..., 1::2]
    least = program.reservation[..., :1] + free[..., -1:]
    return chain[..., 0::2], xp.concatenate([least, least + xp.cumsum(rises, axis=-1)], axis=-1)


def fold(program: Program, by_contribution: Any, by_utility: Any, xp: Any) -> Any:
    """The derivative by x of a function whose derivatives by m and u are given (adjoint of `unfold`)."""
    above = xp.cumsum(by_utility[::-1])[::-1]
    by_slope = (program.costs[:-1] - program.costs[1:]) * above[1:]
    types = by_contribution.shape[0]
    paired = xp.stack([by_contribution, xp.concatenate([by_slope, xp.zeros(1)])], axis=1)
    by_chain = xp.reshape(paired, (2 * types,))[:-1]
    by_gap = xp.cumsum(by_chain[::-1])[::-1]
    return xp.concatenate([by_gap, above[:1]]) * program.active


class Moments(NamedTuple):
    """Expectations at a point and what their derivatives are made of.

    Attributes:
        target_loss: E L.
        value_loss: E_i L, shape (types,).
        at: the transform.
        shares: what each rate has of E L, w phi^N / E L, shape (terms,).
        partials: R and its derivatives.
        log_power: log G(phi) with its derivatives by log phi.
    """

    target_loss: Any
    value_loss: Any
    at: Transform
    shares: Any
    partials: Partials
    log_power: LogPower

    @property
    def objective_slope(self) -> Any:
        """dE L / d objective: the objective is log E L."""
        return self.target_loss


def moments(program: Program, contribution: Any, belief: str, xp: Any) -> Moments | gauss_program.GaussMoments:
    """Evaluate E L and E_i L at a contribution vector m, shape (types,)."""
    if program.curves is not None:
        return gauss_program.moments(program, contribution, belief)
    at = transform(contribution, program.probabilities, program.rates, xp)
    law = Known(program.participants, xp) if program.turnout is None else program.turnout
    partials = BELIEFS[belief](contribution, program.probabilities, law, program.rates, at, xp)
    if program.real is not None:
        partials = Partials(*(program.real * part for part in partials))
    log_power = law.log_power(at.log_phi)
    loss, shares = _loss_and_shares(program, log_power.value, xp)
    return Moments(
        target_loss=loss,
        value_loss=program.value_weights @ partials.value - program.value_offset,
        at=at,
        shares=shares,
        partials=partials,
        log_power=log_power,
    )


def _loss_and_shares(program: Program, log_powers: Any, xp: Any) -> tuple[Any, Any]:
    """E L, and each rate's share: phi^N may be too small for a float where data abound, shares are not."""
    weights = program.target_weights
    largest = xp.max(xp.where(weights > 0, log_powers, -xp.inf))
    terms = weights * xp.exp(xp.minimum(log_powers - largest, 0.0))
    scaled = terms.sum() - program.target_offset * xp.exp(xp.minimum(-largest, 690.0))
    return scaled * xp.exp(largest), terms / scaled


class Factors(NamedTuple):
    """Derivatives with respect to m in factored form: diagonal plus P-transposed times few columns.

    gradient of log E L = -P' target_gradient;
    Jacobian of E_i L   = diag(own) - columns' P,  columns of shape (terms, types);
    Hessian of log E L + sum_i y_i E_i L = diag(hessian_diagonal) + P' diag(hessian_middle) P
        - (gradient)(gradient)' - P' cross - cross' P.
    """

    tilted: Any
    target_gradient: Any
    own: Any
    columns: Any
    hessian_diagonal: Any
    hessian_middle: Any
    cross: Any


def factors(program: Program, here: Moments | gauss_program.GaussMoments, multipliers: Any) -> Factors:
    """Derivatives at a point, for multipliers y >= 0 of the feasibility constraints, shape (types,)."""
    if isinstance(here, gauss_program.GaussMoments):
        return Factors(**gauss_program.derivatives(program, here, multipliers))
    s, w, (_, n, bend) = program.rates, program.value_weights, here.log_power
    tilted, part = here.at.tilted, here.partials
    psi = here.shares
    first = w * (part.by_log_phi @ multipliers)
    second = w * (part.by_log_phi_twice @ multipliers)
    curvature = s * s * (n * psi + first)
    return Factors(
        tilted=tilted,
        target_gradient=n * s * psi,
        own=w @ part.by_own,
        columns=(w * s)[:, None] * part.by_log_phi,
        hessian_diagonal=multipliers * (w @ part.by_own_twice) + curvature @ tilted,
        hessian_middle=s * s * ((n * n + bend) * psi + second) - curvature,
        cross=(w * s)[:, None] * part.by_both * multipliers,
    )


@frozen
class FirstMoment:
    """A problem made ready for solving.

    Attributes:
        problem: the problem, in the user's units and order.
        groups: for each of the user's types its row in the program, shape (types,); equal costs share a row.
        data_unit, value_unit, target_unit: one unit of the program in the user's units.
        reservation: what each of the user's types gets alone.
        target_mixture, value_mixture: the losses as mixtures of exponentials, in the user's units.
        knee: the data from which on the program's losses are the true ones; below, they are larger.
        program: the numbers.
    """

    problem: Problem
    groups: np.ndarray
    data_unit: float
    value_unit: float
    target_unit: float
    reservation: Reservation
    target_mixture: ExponentialSum
    value_mixture: ExponentialSum
    knee: float
    program: Program


def prepare(problem: Problem, alone: Reservation | None = None) -> FirstMoment:
    """Sort and merge the types, fit the losses, choose units, and write down the program.

    Args:
        problem: the problem.
        alone: what each type gets alone, where the caller knows it already.
    """
    population = problem.population
    falling, groups = distinct(population.costs)
    alone = reservation(problem) if alone is None else alone
    value_unit = problem.largest_value
    data_unit = 0.7 * value_unit / float(np.mean(falling))
    losses = mixtures(problem, problem.most_data)
    target_unit, rates = problem.largest_target, losses.rates
    if rates.any():
        # Nor need steps be longer than what removes the whole loss (e^-40), as an exponential curve does early.
        data_unit = min(data_unit, 40.0 / (population.turnout.mean * float(rates[rates > 0.0].min())))
    curves, knee = None, concave_from(problem)
    if max(losses.target.relative_error, losses.value.relative_error) > MIXTURE_ERROR:
        of_value = LossCurve(problem=problem, of_value=True, unit=(data_unit, value_unit), knee=knee)
        of_target = dataclasses.replace(of_value, of_value=False, unit=(data_unit, target_unit))
        curves = Curves(of_value if problem.target_is_value else of_target, of_value)
        rates = np.zeros(0)
    program = Program(
        costs=falling * data_unit / value_unit,
        probabilities=np.bincount(groups, weights=population.probabilities, minlength=falling.size),
        reservation=per_group(alone.utility, groups) / value_unit,
        participants=float(population.turnout.mean),
        rates=rates * data_unit,
        target_weights=losses.target_weights[: rates.size] / target_unit,
        value_weights=losses.value_weights[: rates.size] / value_unit,
        target_offset=0.0,
        value_offset=np.zeros(falling.size),
        active=np.ones(2 * falling.size),
        curves=curves,
        turnout=population.participants if isinstance(population.participants, Turnout) else None,
    )
    return FirstMoment(
        problem=problem,
        groups=groups,
        data_unit=data_unit,
        value_unit=value_unit,
        target_unit=target_unit,
        reservation=alone,
        target_mixture=losses.target,
        value_mixture=losses.value,
        knee=knee,
        program=program,
    )


def exclude(program: Program, excluded: int, belief: str) -> Program:
    """The program in which the first `excluded` (dearest) types contribute nothing.

    Where only excluded types take part the model is worth nothing: its loss is 1, not the mixture's at zero.
    """
    if excluded == 0 and not (program.turnout is not None and program.turnout.least == 0):
        return program
    active = np.ones(2 * program.costs.size)
    active[: max(2 * excluded - 1, 0)] = 0.0
    law = FixedTurnout(count=int(program.participants)) if program.turnout is None else program.turnout
    empty, alone = _idle(law, program.probabilities, excluded, belief)
    target_excess, value_excess = excess_without_data(program)
    return program._replace(
        target_offset=empty * target_excess, value_offset=alone * value_excess, active=active
    )


def _idle(turnout: Turnout, p: np.ndarray, excluded: int, belief: str) -> tuple[float, np.ndarray]:
    """How likely nobody comes but excluded types: for the coordinator, and as each type believes."""
    nobody = min(float(p[:excluded].sum()), 1.0)
    alone = np.zeros(p.size)
    if excluded and belief == "interim":
        alone[:excluded] = turnout.others().generating(nobody)
    elif excluded:
        own = np.maximum(p[:excluded], 1e-300)
        absent = np.log1p(-np.minimum(own / max(nobody, 1e-300), 1.0 - 1.2e-16))
        log_nobody = np.full(excluded, np.log(max(nobody, 1e-300)))
        occurs = turnout.lost(np.zeros(excluded), np.log1p(-np.minimum(own, 1.0 - 1.2e-16)))
        alone[:excluded] = turnout.lost(log_nobody, absent) / occurs
    return float(turnout.generating(nobody)), alone


def excess_without_data(program: Program) -> tuple[float, float]:
    """By how much the program's losses (of the target, of value) exceed the true ones without any data."""
    if program.curves is None:
        return program.target_weights.sum() - 1.0, program.value_weights.sum() - 1.0
    target, value = program.curves
    return float(target(0.0)) - target.without_data, float(value(0.0)) - value.without_data


def mixtures(problem: Problem, high: float) -> Losses:
    """The losses of the target and of value as mixtures of exponentials, above the floor and up to `high`.

    The range ends at the next power of ten, so that problems that differ in size share their mixtures; the
    latest few hundred are remembered.
    """
    return _mixtures(Keyed((*problem.family, np.ceil(np.log10(high))), problem))


@lru_cache(maxsize=512)
def _mixtures(keyed: Keyed) -> Losses:
    problem, high = keyed.value, 10.0 ** keyed.key[-1]
    curve = problem.accuracy
    # Without a floor the range reaches down to 1e-9 of any `high` it stands for.
    low = curve.floor if curve.floor > 0 else early(problem, 1e-10 * high)
    of_value = fit_exponentials(problem.value_loss, low, high, rates=curve.natural_rates)
    if of_value.relative_error > MIXTURE_ERROR and curve.natural_rates is not None:
        of_value = _by_more_rates(problem, curve.natural_rates, high)
    if problem.target_is_value:
        return on_common_rates(of_value, of_value)
    of_target = fit_exponentials(lambda x: curve.shortfall(x, np), low, high, rates=curve.natural_rates)
    return on_common_rates(of_target, of_value)


def _by_more_rates(problem: Problem, natural: np.ndarray, high: float) -> ExponentialSum:
    """The loss of value where it takes more multiples of a curve's own rates, down to almost no data."""
    low = float(problem.accuracy.floor) or _still_nothing(problem, 1e-10 * high)
    fits = []
    for many in MULTIPLES:
        multiples = float(natural.min()) * np.arange(1.0, many + 1.0)
        fastest = float(multiples[-1])
        decades = max(np.log10(25.0 / (low * fastest)), 0.0)
        faster = np.geomspace(fastest, fastest * 10.0**decades, 2 + int(5.0 * decades))
        fits.append(fit_exponentials(problem.value_loss, low, high, rates=np.union1d(multiples, faster)))
        if fits[-1].relative_error <= MIXTURE_ERROR:
            break
    return min(fits, key=lambda fit: fit.relative_error)


def _still_nothing(problem: Problem, low: float) -> float:
    """An amount of data, `low` or less, with which next to nothing is gained yet."""
    top, least = problem.largest_value, 1e-20 * low
    while top - float(problem.value_loss(np.array(low))) > NEXT_TO_NOTHING * top and low > least:
        low *= 0.1
    return low
