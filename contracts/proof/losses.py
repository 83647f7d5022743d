r"""Expected losses by mixtures of exponentials, for any number of groups, with their gradients.

With phi_g(s) = sum_{i in g} p_i e^{-s x_i} and the generating functions G_g of the groups' numbers,

    E e^{-s X} = prod_g G_g(phi_g),
    E_i e^{-s X} = e^{-s x_i} G_g'(phi_g)/G_g'(1) prod_{h != g} G_h(phi_h)        (i of group g),

or, given that i's type occurs (ex-ante belief, of one group), [G(phi) - G(phi - p_i e_i)] / [1 - G(1 - p_i)].
Every derivative follows from d log phi_g / d x_j = -s P_j with the tilted probabilities P_j = p_j e_j / phi_g.
Where nobody brings data the true loss is the whole value, which on a curve with a floor is less than the
mixture's: among contracts in which some bring nothing for certain, that outcome has a known probability and is
counted as what it is.

Crowds of floats take transforms by logarithms, those of balls (`contracts.proof.intervals.loss_balls`) as they
are; all else is said once. Formulas of the program are written down elsewhere, on purpose.
"""

from __future__ import annotations

from itertools import accumulate
from typing import Any, NamedTuple

import numpy as np

from contracts.problem.participants import Turnout
from contracts.problem.problem import Problem

RAREST, SUREST = 1e-150, 1.0 - 1.2e-16  # probabilities between which logarithms of both sides are finite
MOST_EXPONENT = 690.0


class Transforms(NamedTuple):
    """What is expected of the data at each rate.

    Attributes:
        power: E phi^N of everybody of a group, shape (terms, groups).
        slope: its derivative by log phi.
        others, others_slope: the same for the others of whom somebody of the group knows.
        own: e^{-s x} of each row, shape (terms, rows).
        tilted: its share of phi.
    """

    power: Any
    slope: Any
    others: Any
    others_slope: Any
    own: Any
    tilted: Any


class Present(NamedTuple):
    """What is expected given that one's own type occurs, shape (terms, rows).

    Attributes:
        each: E e^{-s X}.
        slope: its derivative by log phi where one's own share of phi is held.
        kept: what is added by one's own share.
    """

    each: Any
    slope: Any
    kept: Any


class Crowd(NamedTuple):
    """Who takes part in one world.

    Attributes:
        plain: the world's plain problem (of one group, where the belief is the ex-ante one).
        probabilities: of rows (or types) within their groups, shape (rows,).
        group: each one's group, shape (rows,).
        laws: of the groups' numbers of participants.
    """

    plain: Problem
    probabilities: np.ndarray
    group: np.ndarray
    laws: tuple[Turnout, ...]

    @property
    def ex_ante(self) -> bool:
        """Whether participants expect a draw of everybody in which their own type occurs."""
        return self.plain.belief == "ex-ante"

    @property
    def tops(self) -> tuple[float, float]:
        """The largest target and the largest value."""
        return self.plain.largest_target, self.plain.largest_value

    def transforms(self, rates: np.ndarray, x: np.ndarray) -> Transforms:
        """Transforms of contributions x."""
        parts = np.zeros((4, rates.size, len(self.laws)))
        tilted = np.zeros((rates.size, x.size))
        for g, law in enumerate(self.laws):
            members = self.group == g
            log_phi, tilted[:, members] = self._phi(rates, x, members)
            for k, one in enumerate((law, law.others())):
                value, slope, _ = one.log_power(log_phi)
                parts[2 * k : 2 * k + 2, :, g] = np.exp(value), np.exp(value) * slope
        power, slope, others, others_slope = parts
        return Transforms(power, slope, others, others_slope, np.exp(-np.multiply.outer(rates, x)), tilted)

    def _phi(self, rates: np.ndarray, x: np.ndarray, members: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """log phi and the tilted probabilities of a group, relative to the largest term."""
        exponent, p = -np.multiply.outer(rates, x[members]), self.probabilities[members]
        top = exponent[:, p > 0].max(axis=1)
        with np.errstate(over="ignore"):
            each = np.where(p > 0, p * np.exp(np.where(p > 0, exponent - top[:, None], 0.0)), 0.0)
        total = each.sum(axis=1)
        return top + np.log(total), each / total[:, None]

    def present(self, rates: np.ndarray, x: np.ndarray) -> Present:
        """Transforms given that a type occurs; for types that never do, the limit of ever rarer ones."""
        law, p = self.laws[0], np.clip(self.probabilities, RAREST, SUREST)
        log_phi = self._phi(rates, x, self.group == 0)[0][:, None]
        exponent = -np.multiply.outer(rates, x)
        absent = np.log1p(-np.minimum(p * np.exp(np.minimum(exponent - log_phi, MOST_EXPONENT)), SUREST))
        occurs, others = law.lost(np.zeros(p.size), np.log1p(-p)), law.others()
        kept = law.mean * np.exp(others.log_power(log_phi + absent).value + exponent) * p / occurs
        slope = law.mean * np.exp(log_phi) * others.lost(log_phi, absent) / occurs
        return Present(law.lost(log_phi, absent) / occurs, slope, kept)

    def idle(self, nothing: np.ndarray) -> tuple[float, np.ndarray]:
        """Probability that nobody brings data: for the coordinator, and as each believes, zero for who does."""
        p, group = self.probabilities, self.group
        idle = np.array([min(float(p[nothing & (group == g)].sum()), 1.0) for g in range(len(self.laws))])
        nobody = np.array([float(law.generating(q)) for law, q in zip(self.laws, idle, strict=True)])
        if self.ex_ante:
            law, own, log_idle = self.laws[0], np.clip(p, RAREST, SUREST), np.log(max(float(idle[0]), RAREST))
            absent = np.log1p(-np.minimum(own / max(float(idle[0]), RAREST), SUREST))
            each = law.lost(np.full(p.size, log_idle), absent) / law.lost(np.zeros(p.size), np.log1p(-own))
        else:
            others = [law.others().generating(q) for law, q in zip(self.laws, idle, strict=True)]
            each = np.array([o * np.prod(np.delete(nobody, g)) for g, o in enumerate(others)])[group]
        return float(np.prod(nobody)), np.where(nothing, each, 0.0)


class Losses(NamedTuple):
    """Expected losses at a point, and how they change with it.

    Attributes:
        target: the coordinator's expected loss.
        value: each row's, shape (rows,).
        target_by_x: gradient of the first, shape (rows,).
        priced_by_x: gradient of the sum of the second at some prices, shape (rows,).
        terms: the absolute terms of which the first is made.
        value_terms: those of the second, beyond itself.
    """

    target: Any
    value: Any
    target_by_x: Any
    priced_by_x: Any
    terms: Any
    value_terms: Any = 0.0


def expected_losses(
    crowd: Any,
    rates: np.ndarray,
    target_weights: np.ndarray,
    value_weights: np.ndarray,
    x: np.ndarray,
    nothing: np.ndarray | None = None,
    prices: np.ndarray | None = None,
) -> Losses:
    """Losses by mixtures at contributions x, all arrays over rows of shape (rows,).

    Args:
        crowd: who takes part, a `Crowd` of floats or one of balls.
        rates, target_weights, value_weights: the mixtures, shape (terms,).
        x: contributions, >= 0.
        nothing: which rows bring nothing, whatever the contract; None leaves losses without data uncorrected.
        prices: of the rows' losses; no gradients without them.
    """
    at, group = crowd.transforms(rates, x), crowd.group
    priced = np.zeros(x.size) if prices is None else prices
    paid = np.stack([(at.own * priced)[:, group == g].sum(axis=1) for g in range(at.power.shape[1])], axis=1)
    rest, moved = _but_each(at.power, at.others * paid)
    everybody = at.power[:, 0] * rest[:, 0]
    given = crowd.present(rates, x) if crowd.ex_ante else None
    each = at.own * (at.others * rest)[:, group] if given is None else given.each
    (idle, idle_each), (target_top, value_top) = (
        (0.0, 0.0) if nothing is None else crowd.idle(nothing),
        crowd.tops,
    )
    target, excess = target_weights @ everybody, idle * (target_weights.sum() - target_top)
    value = value_weights @ each - idle_each * (value_weights.sum() - value_top)
    by_target = by_value = None
    if prices is not None:
        by_target = -(target_weights * rates) @ (at.tilted * (at.slope * rest)[:, group])
        # What others lose by a row's data: those of its own group count one participant less.
        by_phi = (at.slope * moved + paid * at.others_slope * rest)[:, group]
        own = each * prices
        if given is not None:
            by_phi, own = (given.slope @ prices)[:, None], given.kept * prices
        by_value = -(value_weights * rates) @ (own + at.tilted * by_phi)
    return Losses(target - excess, value, by_target, by_value, target + abs(excess))


def _but_each(power: np.ndarray, change: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Products over all groups but one, and how they change as the factors do, shape (terms, groups)."""
    columns = list(zip(power.T, change.T, strict=True))
    none = np.ones(len(power)), np.zeros(len(power))
    before = list(accumulate(columns[:-1], _times, initial=none))
    after = list(accumulate(columns[:0:-1], _times, initial=none))[::-1]
    both = [_times(first, last) for first, last in zip(before, after, strict=True)]
    return np.stack([product for product, _ in both], axis=1), np.stack([moved for _, moved in both], axis=1)


def _times(first: tuple[Any, Any], second: tuple[Any, Any]) -> tuple[Any, Any]:
    return first[0] * second[0], first[0] * second[1] + first[1] * second[0]
