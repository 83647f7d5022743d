r"""Exact expectations over groups and worlds for losses that are mixtures of exponentials.

With independent sizes N_g of the groups (generating functions G_g) and phi_g(s) = sum_{i in g} p_i e^{-s x_i},

    E e^{-sX} = prod_g G_g(phi_g),

and who is of group g itself believes e^{-s x_i} (G_g'(phi_g) / G_g'(1)) prod_{h != g} G_h(phi_h). All of it is
exp of a sum of functions of single log phi_g, so that every derivative follows from theirs (moments of the
tilted laws of N_g) and from dlog phi_g / dx_j = -s P_j with the tilted probabilities P_j = p_j e^{-s x_j} /
phi_g. A known number of participants, a law, several groups and named participants are one formula.

Where nobody brings data the mixture's loss at zero may exceed the true one, which is the whole value: what is
known to be such an outcome (rows held at zero, nobody there) is corrected by `idle`.

Source: ours.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from contracts.problem.participants import FixedTurnout, LogPower, Turnout
from contracts.program.participation import Partials, Transform, ex_ante


class Worlds(NamedTuple):
    """Who takes part and what losses are, in the units of a program.

    Attributes:
        group: of each row, shape (rows,).
        probabilities: of the rows within their groups, shape (worlds, rows).
        laws, others: of each group's number of participants, and of the others that a member expects; by world.
        counts: the numbers of participants that are known, NaN where they are not, shape (worlds, groups).
        rates: shape (terms,).
        target_weights, value_weights: of the losses, shape (worlds, terms).
        weight: of each world in the target, shape (worlds,).
        top_target, top_value: the largest losses, shape (worlds,).
        belief: "interim" or "ex-ante".
    """

    group: np.ndarray
    probabilities: np.ndarray
    laws: tuple[tuple[Turnout, ...], ...]
    others: tuple[tuple[Turnout, ...], ...]
    counts: np.ndarray
    rates: np.ndarray
    target_weights: np.ndarray
    value_weights: np.ndarray
    weight: np.ndarray
    top_target: np.ndarray
    top_value: np.ndarray
    belief: str


class Idle(NamedTuple):
    """By how much the mixtures' expected losses are too large where nobody brings data.

    Attributes:
        target: over all worlds, by their weights.
        value: shape (worlds, rows).
    """

    target: float
    value: np.ndarray


class Expected(NamedTuple):
    """Expectations at a point, and what their derivatives are made of.

    Attributes:
        target_loss: the worlds' weighted E L.
        value_loss: E_i L, shape (worlds, rows).
        shares: what each rate has of `target_loss`, relative to it, shape (worlds, terms).
        tilted: P, shape (worlds, terms, rows).
        powers, powers_of_others: log G(phi) and log G'(phi)/G'(1), shape (worlds, terms, groups) each.
        believed: the transform as each row believes it, shape (worlds, terms, rows); of the interim belief.
        partials: those of the ex-ante belief.
    """

    target_loss: float
    value_loss: np.ndarray
    shares: np.ndarray
    tilted: np.ndarray
    powers: LogPower
    powers_of_others: LogPower
    believed: np.ndarray
    partials: Partials | None


class Derivatives(NamedTuple):
    """By contributions: of the target's loss, of every E_i L, and of their priced sum.

    Attributes:
        gradient: shape (rows,).
        jacobian: shape (worlds, rows, rows).
        hessian: shape (rows, rows).
    """

    gradient: np.ndarray
    jacobian: np.ndarray
    hessian: np.ndarray


def counts_of(laws: tuple[tuple[Turnout, ...], ...]) -> np.ndarray:
    """The numbers that are known, NaN elsewhere."""
    known = [
        [float(law.count) if isinstance(law, FixedTurnout) else np.nan for law in of_world] for of_world in laws
    ]
    return np.array(known)


def expected(worlds: Worlds, contribution: np.ndarray, idle: Idle) -> Expected:
    """Evaluate all expected losses at contributions of the rows, shape (rows,)."""
    log_phi, tilted = _transforms(worlds, contribution)
    powers = _log_powers(worlds.laws, worlds.counts, log_phi)
    total = powers.value.sum(axis=-1)
    loss, shares = _loss_and_shares(worlds, total, idle.target)
    if worlds.belief == "ex-ante":
        partials = _ex_ante(worlds, contribution, log_phi, tilted)
        value = worlds.value_weights @ partials.value - idle.value
        return Expected(loss, value, shares, tilted, powers, powers, tilted, partials)
    of_others = _log_powers(worlds.others, worlds.counts - 1.0, log_phi)
    change = of_others.value
    if change.shape[-1] > 1:
        change = (total[..., None] - powers.value + change)[..., worlds.group]
    believed = np.exp(np.minimum(change - worlds.rates[:, None] * contribution, 0.0))
    value = (worlds.value_weights[:, None, :] @ believed)[:, 0, :] - idle.value
    return Expected(loss, value, shares, tilted, powers, of_others, believed, None)


def derivatives(worlds: Worlds, at: Expected, prices: np.ndarray, factor: float) -> Derivatives:
    """First and second derivatives at a point.

    Args:
        worlds: the worlds.
        at: the expectations there.
        prices: of E_i L in the Hessian, shape (worlds, rows).
        factor: the target's loss counts as `factor` times itself over `at.target_loss`: with that loss it is
            itself, with 1.0 its relative change (logarithms).
    """
    psi = factor * at.shares
    if at.partials is not None:
        return _by_partials(worlds, at, at.partials, prices[0], psi[0])
    if at.powers.slope.shape[-1] == 1:
        return _of_one_group(worlds, at, prices, psi)
    s, group = worlds.rates[:, None], worlds.group
    slope, bend = at.powers.slope, at.powers.bend
    slope_less = at.powers_of_others.slope - slope
    bend_less = at.powers_of_others.bend - bend
    same = np.equal.outer(group, group)
    sp = s * at.tilted
    whole = slope[..., group] * sp
    own = at.powers_of_others.slope[..., group] * sp
    counted = worlds.value_weights[..., None] * at.believed
    losing = s * counted  # -d E_i L / dx_i through one's own data
    jacobian = -_pairs(same, counted, own, whole)
    rows = np.arange(group.size)
    jacobian[:, rows, rows] -= losing.sum(axis=-2)
    # Second derivatives: C counts how much each rate is priced, by believers' groups and in all.
    priced = counted * prices[:, None, :]
    by_group = priced @ np.equal.outer(group, np.arange(slope.shape[-1])).astype(float)
    total = psi + by_group.sum(axis=-1)
    less = by_group * slope_less
    first = total[..., None] * slope + less
    second = total[..., None] * bend + by_group * bend_less
    inner = by_group * slope_less**2 + second - first
    cross = np.swapaxes(whole, -1, -2) @ (total[..., None] * 0.5 * whole + less[..., group] * sp)
    block = np.where(same, np.swapaxes(sp, -1, -2) @ (inner[..., group] * sp), 0.0)
    mixed = _pairs(same, losing * prices[:, None, :], own, whole)
    hessian = (cross + mixed).sum(axis=0)
    hessian = hessian + hessian.T + block.sum(axis=0)
    diagonal = (s * (first[..., group] * sp + s * priced)).sum(axis=(0, 1))
    hessian[rows, rows] += diagonal
    gradient = -((psi[..., None] * whole).sum(axis=(0, 1)))
    return Derivatives(gradient, jacobian, hessian)


def _of_one_group(worlds: Worlds, at: Expected, prices: np.ndarray, psi: np.ndarray) -> Derivatives:
    """The same where there is one group: nobody's view of the others differs."""
    s, rows = worlds.rates[:, None], np.arange(worlds.group.size)
    slope, bend = at.powers.slope, at.powers.bend
    own, own_bend = at.powers_of_others.slope, at.powers_of_others.bend
    sp = s * at.tilted
    counted = worlds.value_weights[..., None] * at.believed
    losing = s * counted
    seen = own * sp
    jacobian = -(np.swapaxes(counted, -1, -2) @ seen)
    jacobian[:, rows, rows] -= losing.sum(axis=-2)
    priced = losing * prices[:, None, :]
    both = counted @ prices[..., None]
    psi = psi[..., None]
    first = psi * slope + both * own
    inner = psi * (slope * slope + bend) + both * (own * own + own_bend) - first
    mixed = (np.swapaxes(priced, -1, -2) @ seen).sum(axis=0)
    hessian = (np.swapaxes(sp, -1, -2) @ (inner * sp)).sum(axis=0) + mixed + mixed.T
    hessian[rows, rows] += (s * (first * sp + priced)).sum(axis=(0, 1))
    gradient = -(np.swapaxes(psi * slope, -1, -2) @ sp).sum(axis=(0, 1))
    return Derivatives(gradient, jacobian, hessian)


def _pairs(same: np.ndarray, left: np.ndarray, own: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Sums over rates by pairs of rows; a member's view of its own group is another than that of the others."""
    flat = np.swapaxes(left, -1, -2)
    return flat @ own if same.all() else np.where(same, flat @ own, flat @ whole)


def idle(worlds: Worlds, held: np.ndarray) -> Idle:
    """What to take off the mixtures' losses where the rows `held` (shape (rows,)) contribute nothing.

    Nobody but them takes part, or nobody at all: then the model is worth nothing, and its loss is the largest.
    """
    p, group = worlds.probabilities, worlds.group
    members = np.equal.outer(np.arange(len(worlds.laws[0])), group)
    silent = np.minimum((members * (p * held)[:, None, :]).sum(axis=-1), 1.0)
    chance = np.array([[float(law.generating(z)) for law, z in zip(*pair, strict=True)]
                       for pair in zip(worlds.laws, silent, strict=True)])  # fmt: skip
    nobody = chance.prod(axis=1)
    excess = worlds.target_weights.sum(axis=1) - worlds.top_target * worlds.weight
    believed = np.zeros(p.shape)
    if worlds.belief == "ex-ante":
        believed[0] = _idle_ex_ante(worlds.laws[0][0], p[0], held, float(silent[0, 0]))
    else:
        for w, of_world in enumerate(worlds.others):
            for g, law in enumerate(of_world):
                rest = np.delete(chance[w], g).prod()
                believed[w, held & (group == g)] = float(law.generating(silent[w, g])) * rest
    spare = worlds.value_weights.sum(axis=1) - worlds.top_value
    return Idle(float(nobody @ excess), believed * spare[:, None])


def _idle_ex_ante(law: Turnout, p: np.ndarray, held: np.ndarray, silent: float) -> np.ndarray:
    found = np.zeros(p.size)
    own = np.maximum(p[held], 1e-300)
    if not own.size:
        return found
    absent = np.log1p(-np.minimum(own / max(silent, 1e-300), 1.0 - 1.2e-16))
    occurs = law.lost(np.zeros(own.size), np.log1p(-np.minimum(own, 1.0 - 1.2e-16)))
    found[held] = law.lost(np.full(own.size, np.log(max(silent, 1e-300))), absent) / occurs
    return found


def _transforms(worlds: Worlds, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """log phi, shape (worlds, terms, groups), and P: relative to the least contribution of each group."""
    occurs, group, s = worlds.probabilities > 0, worlds.group, worlds.rates
    groups = worlds.counts.shape[1]
    p = worlds.probabilities[:, None, :]
    if groups == 1:
        least = np.where(occurs, x, np.inf).min(axis=1, keepdims=True)
        weighted = np.expm1(-s[:, None] * np.where(occurs, x - least, 0.0)[:, None, :])
        weighted *= p
        shifted = weighted.sum(axis=-1, keepdims=True)
        weighted += p
        weighted /= 1.0 + shifted
        return np.log1p(shifted) - s[:, None] * least[:, None, :], weighted
    least = np.full((occurs.shape[0], groups), np.inf)
    for g in range(groups):
        mine = group == g
        least[:, g] = np.where(occurs[:, mine], x[mine], np.inf).min(axis=1)
    excess = np.where(occurs, x - least[:, group], 0.0)
    falls = np.expm1(-s[:, None] * excess[:, None, :])
    shifted = (p * falls) @ np.equal.outer(group, np.arange(groups)).astype(float)
    tilted = p * (1.0 + falls) / (1.0 + shifted)[..., group]
    return np.log1p(shifted) - s[:, None] * least[:, None, :], tilted


def _log_powers(laws: tuple[tuple[Turnout, ...], ...], counts: np.ndarray, log_phi: np.ndarray) -> LogPower:
    """log E phi^N and its derivatives by log phi, of each world and group."""
    slope = np.zeros(log_phi.shape)
    bend = np.zeros(log_phi.shape)
    slope += counts[:, None, :]
    value = slope * log_phi
    if np.isnan(counts).any():
        for w, g in zip(*np.nonzero(np.isnan(counts)), strict=True):
            value[w, :, g], slope[w, :, g], bend[w, :, g] = laws[w][g].log_power(log_phi[w, :, g])
    return LogPower(value, slope, bend)


def _loss_and_shares(worlds: Worlds, total: np.ndarray, idle_target: float) -> tuple[float, np.ndarray]:
    """The weighted E L, and each rate's share: powers may be too small for a float where data abound."""
    weights = worlds.target_weights
    largest = float(np.max(np.where(weights > 0, total, -np.inf), initial=-np.inf))
    largest = largest if np.isfinite(largest) else 0.0
    terms = weights * np.exp(np.minimum(total - largest, 0.0))
    scaled = float(terms.sum()) - idle_target * np.exp(min(-largest, 690.0))
    return float(scaled * np.exp(largest)), terms / scaled if scaled > 0.0 else terms


def _ex_ante(worlds: Worlds, x: np.ndarray, log_phi: np.ndarray, tilted: np.ndarray) -> Partials:
    at = Transform(log_phi[0, :, 0], tilted[0])
    return ex_ante(x, worlds.probabilities[0], worlds.laws[0][0], worlds.rates, at, np)


def _by_partials(
    worlds: Worlds, at: Expected, part: Partials, prices: np.ndarray, psi: np.ndarray
) -> Derivatives:
    """The same for the ex-ante belief (one world, one group)."""
    s, w, tilted = worlds.rates, worlds.value_weights[0], at.tilted[0]
    n, bend = at.powers.slope[0, :, 0], at.powers.bend[0, :, 0]
    first, second = w * (part.by_log_phi @ prices), w * (part.by_log_phi_twice @ prices)
    curvature = s * s * (n * psi + first)
    middle = s * s * ((n * n + bend) * psi + second) - curvature
    cross = tilted.T @ ((w * s)[:, None] * part.by_both * prices)
    diagonal = np.diag(prices * (w @ part.by_own_twice) + curvature @ tilted)
    return Derivatives(
        -tilted.T @ (n * s * psi),
        (np.diag(w @ part.by_own) - ((w * s)[:, None] * part.by_log_phi).T @ tilted)[None],
        diagonal + (tilted.T * middle) @ tilted - cross - cross.T,
    )
