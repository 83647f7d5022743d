"""Attacks that try what they send on the rule before they send it.

Sources: V. Shejwalkar, A. Houmansadr, "Manipulating the Byzantine", NDSS 2021 (tuning an attack against the
rule); M. Raynal, C. Troncoso, "On the conflict of robustness and learning in collaborative machine learning",
IEEE S&P 2025 (the idea of `steer`; the algorithm is ours).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from contracts.checks import integer
from contracts.errors import InvalidInput
from mechanisms.aggregation.updates import as_updates, namespace

TUNED_SCALES = tuple(float(scale) for scale in np.geomspace(0.05, 50, 19))
STEER_SCALES = (0.0, 0.1, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 8.0, 12.0)


def steer(
    honest: Any,
    *,
    target: Any,
    harm: Callable[[Any], Any],
    rule: Callable[[Any], Any],
    colluders: int,
    reference: Any = None,
    scales: tuple[float, ...] = STEER_SCALES,
) -> Any:
    """Stay close to a reference and steer to a target as far as does most harm after aggregation.

    Colluders send reference + c (target - reference) with the c that minimises `harm` of the aggregate: a
    small c passes rules that look at distances; for rules that look at behaviour the target is a model that
    is right where the defender looks and wrong elsewhere. Either all of them send it or, against rules that
    look for colluders who are alike, the first does and the others send zeros, whichever does more harm.
    Knows the honest updates, the rule, and through it the defender's data. It is greedy from round to round,
    so what it achieves is a lower bound.

    Args:
        honest: (h, d) honest updates, NumPy or JAX.
        target: the update that leads to the model the attacker wants, length d.
        harm: a function of the aggregate, smaller is better for the attacker.
        rule: a function of all n = h + colluders updates, the honest ones first.
        colluders: how many rows the attacker sends.
        reference: where to hide, length d; None is the honest mean.
        scales: the values of c that are tried.

    Returns:
        (colluders, d) malicious updates.

    Raises:
        InvalidInput: an argument out of range.

    >>> from mechanisms.aggregation import median
    >>> honest = np.array([[0.0], [1.0], [2.0]])
    >>> steer(honest, target=[9.0], harm=lambda mean: (mean[0] - 9) ** 2, rule=median, colluders=1)
    array([[3.]])
    """
    values = as_updates(honest, "honest")
    count = integer("colluders", colluders, low=1)
    if not scales:
        raise InvalidInput("scales is empty: expected at least one number")
    xp = namespace(values)
    center = values.mean(axis=0) if reference is None else xp.asarray(reference)
    if np.shape(target) != values.shape[1:]:
        raise InvalidInput(f"target has shape {np.shape(target)}: expected {values.shape[1:]}")
    direction = xp.asarray(target) - center
    together = np.ones(count)
    choices = [(scale, who) for who in (together, 1.0 * (np.arange(count) == 0)) for scale in scales]
    choices = choices[: len(scales)] if count == 1 else choices

    def sent(scale: Any, active: Any) -> Any:
        return (active[:, None] * (center + scale * direction)).astype(values.dtype)

    def outcome(scale: Any, active: Any) -> Any:
        return harm(rule(xp.concatenate([values, sent(scale, active)])))

    if isinstance(values, jax.Array):
        tried = jnp.asarray([c for c, _ in choices]), jnp.asarray(np.array([who for _, who in choices]))
        best = jnp.argmin(jax.vmap(outcome)(*tried))
        return sent(tried[0][best], tried[1][best])
    return sent(*choices[int(np.argmin([float(outcome(*one)) for one in choices]))])


def tuned_little(honest: Any, *, rule: Callable[[Any], Any], colluders: int, harm: Any = None) -> Any:
    """A little is enough with the number of deviations, either way, that does most harm after aggregation.

    Knows the honest updates and the rule. Nineteen sizes from .05 to 50 deviations up and down are tried, then
    nine between the neighbours of the best.

    Args:
        honest: (h, d) honest updates, h >= 2, NumPy or JAX.
        rule: a function of all n = h + colluders updates, the honest ones first.
        colluders: how many send the row.
        harm: a function of the aggregate, smaller is better for the attacker; None is minus its squared distance
            to the honest mean.

    Raises:
        InvalidInput: an argument out of range.

    >>> from mechanisms.aggregation import mean
    >>> tuned_little([[0.0], [2.0]], rule=mean, colluders=1).round(1)
    array([71.7])
    """
    values = several(honest, 2)
    spread = values.std(axis=0, ddof=1)
    both = tuple(sign * scale for scale in TUNED_SCALES for sign in (1.0, -1.0))
    return _tuned(values, -spread, values.mean(axis=0), sorted(both), rule, colluders, harm)


def tuned_inner_product(honest: Any, *, rule: Callable[[Any], Any], colluders: int, harm: Any = None) -> Any:
    """Inner-product manipulation with the multiple that does most harm after aggregation.

    Knows the honest updates and the rule. Arguments and search are as of `tuned_little`, the multiples positive.

    >>> from mechanisms.aggregation import median
    >>> tuned_inner_product([[1.0], [2.0], [3.0]], rule=median, colluders=1).round(2)
    array([-0.1])
    """
    values = as_updates(honest, "honest")
    mean = values.mean(axis=0)
    return _tuned(values, -mean, 0 * mean, TUNED_SCALES, rule, colluders, harm)


def _tuned(
    values: Any, move: Any, base: Any, scales: Any, rule: Callable[[Any], Any], colluders: int, harm: Any
) -> Any:
    xp, count = namespace(values), integer("colluders", colluders, low=1)
    center = values.mean(axis=0)

    def sent(scale: Any) -> Any:
        return (base + scale * move).astype(values.dtype)

    def outcome(scale: Any) -> Any:
        result = rule(xp.concatenate([values, xp.broadcast_to(sent(scale), (count, values.shape[1]))]))
        return -xp.sum((result - center) ** 2) if harm is None else harm(result)

    def best_of(tried: Any) -> Any:
        if xp is jnp:
            return jnp.argmin(jax.vmap(outcome)(tried))
        return int(np.argmin([float(outcome(scale)) for scale in tried]))

    coarse = xp.asarray(np.asarray(scales, values.dtype))
    best = best_of(coarse)
    low, high = coarse[xp.maximum(best - 1, 0)], coarse[xp.minimum(best + 1, len(coarse) - 1)]
    fine = xp.concatenate([coarse[best][None], low + (high - low) * xp.linspace(0, 1, 9, dtype=values.dtype)])
    return sent(fine[best_of(fine)])


def several(honest: Any, least: int) -> Any:
    """The honest updates, checked to be enough."""
    values = as_updates(honest, "honest")
    if len(values) < least:
        raise InvalidInput(f"honest has {len(values)} rows: expected at least {least}")
    return values
